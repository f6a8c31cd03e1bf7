-- Version 1 of a store in a PostgreSQL database. A migration that was released is never changed: the next one is added.
-- The schema `dbdyno` stands already: dbdyno makes it, or whoever may.

-- One line of the list of runs. Large things have tables of their own, so that a list does not read past them.
-- Names are compared byte by byte, as in a SQLite file, whatever the collation of the database.
CREATE TABLE dbdyno.runs (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    started_at_us BIGINT NOT NULL,
    duration_us BIGINT,
    ended TEXT NOT NULL,
    verdict TEXT NOT NULL,
    workload TEXT NOT NULL,
    scale DOUBLE PRECISION,
    fingerprint TEXT NOT NULL,
    engine TEXT NOT NULL,
    server_version TEXT NOT NULL,
    target TEXT NOT NULL,
    dbdyno_version TEXT NOT NULL,
    note TEXT NOT NULL,
    per_s DOUBLE PRECISION,
    p50_us BIGINT,
    p99_us BIGINT,
    failed BIGINT
);

CREATE INDEX runs_by_start ON dbdyno.runs (started_at_us, id);

CREATE TABLE dbdyno.tags (
    run BIGINT NOT NULL REFERENCES dbdyno.runs (key) ON DELETE CASCADE,
    tag TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, tag)
);

CREATE INDEX tags_by_tag ON dbdyno.tags (tag, run);

CREATE TABLE dbdyno.reports (
    run BIGINT PRIMARY KEY REFERENCES dbdyno.runs (key) ON DELETE CASCADE,
    report TEXT NOT NULL
);

CREATE TABLE dbdyno.metrics (
    run BIGINT NOT NULL REFERENCES dbdyno.runs (key) ON DELETE CASCADE,
    path TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (run, path)
);

-- The value stands in the index, so that a trend reads nothing else.
CREATE INDEX metrics_by_path ON dbdyno.metrics (path, run, value);

CREATE TABLE dbdyno.distributions (
    run BIGINT NOT NULL REFERENCES dbdyno.runs (key) ON DELETE CASCADE,
    stage BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    sum_ns BIGINT NOT NULL,
    histogram BYTEA NOT NULL,
    PRIMARY KEY (run, stage, owner, what)
);
