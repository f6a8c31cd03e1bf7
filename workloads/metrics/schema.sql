-- Monitoring data of a fleet: every host reports a few figures once a minute. Rows are appended, seldom late, never updated,
-- and leave with their partition. Plain SQL: psql can run this file as it stands.

CREATE TABLE hosts (
    id      integer PRIMARY KEY,
    name    text NOT NULL,
    region  text NOT NULL,
    role    text NOT NULL
);

-- One series for each figure of each host.
CREATE TABLE series (
    id        integer PRIMARY KEY,
    host_id   integer NOT NULL,
    position  smallint NOT NULL,
    metric    text GENERATED ALWAYS AS (
        CASE position WHEN 1 THEN 'cpu' WHEN 2 THEN 'memory' WHEN 3 THEN 'disk' ELSE 'network' END) STORED
);

-- No primary key: nothing refers to a sample, and an index that only forbids what never happens would cost every insert.
CREATE TABLE samples (
    series_id    integer NOT NULL,
    time         timestamptz NOT NULL,
    value        double precision NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (time);

-- A partition a day. Those of the next days are made ahead, as pg_partman and its like do it.
CREATE TABLE samples_2026_01_01 PARTITION OF samples FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-02 00:00+00');
CREATE TABLE samples_2026_01_02 PARTITION OF samples FOR VALUES FROM ('2026-01-02 00:00+00') TO ('2026-01-03 00:00+00');
CREATE TABLE samples_2026_01_03 PARTITION OF samples FOR VALUES FROM ('2026-01-03 00:00+00') TO ('2026-01-04 00:00+00');
CREATE TABLE samples_2026_01_04 PARTITION OF samples FOR VALUES FROM ('2026-01-04 00:00+00') TO ('2026-01-05 00:00+00');
CREATE TABLE samples_2026_01_05 PARTITION OF samples FOR VALUES FROM ('2026-01-05 00:00+00') TO ('2026-01-06 00:00+00');
CREATE TABLE samples_2026_01_06 PARTITION OF samples FOR VALUES FROM ('2026-01-06 00:00+00') TO ('2026-01-07 00:00+00');
CREATE TABLE samples_2026_01_07 PARTITION OF samples FOR VALUES FROM ('2026-01-07 00:00+00') TO ('2026-01-08 00:00+00');
-- What comes with a broken clock must not fail.
CREATE TABLE samples_default PARTITION OF samples DEFAULT;

CREATE UNIQUE INDEX series_host ON series (host_id, position);
-- Rows lie in the order of their time, so that a few kilobytes of BRIN serve where a B-tree would take a third of the table.
-- Late arrivals widen the range of the pages that they land on.
CREATE INDEX samples_time ON samples USING brin (time) WITH (pages_per_range = 32);
-- The graph of one host asks for a few series out of all.
CREATE INDEX samples_series ON samples (series_id, time);

ALTER TABLE series ADD CONSTRAINT series_host_fk FOREIGN KEY (host_id) REFERENCES hosts (id);
