-- Version 1 of a store in a PostgreSQL database. A migration that was released is never changed: the next one is added.
-- The schema `dbdyno` stands already: dbdyno makes it, or whoever may.

-- One line of the list of runs. What runs are chosen by has a column, the rest is JSON in `details`: a list of ten thousand is
-- faster so, and another figure needs no migration. Large things have tables of their own, which a list does not read.
-- Names are compared byte by byte, as in a SQLite file, whatever the collation of the database.
CREATE TABLE dbdyno.runs (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    started_at_us BIGINT NOT NULL,
    workload TEXT NOT NULL,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    details TEXT NOT NULL
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
