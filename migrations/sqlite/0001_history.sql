-- Version 1 of a store in a SQLite file. A migration that was released is never changed: the next one is added.

-- `dbdy`: tells a store from the databases of other programs.
PRAGMA application_id = 1684169849;

-- One line of the list of runs. What runs are chosen by has a column, the rest is JSON in `details`: a list of ten thousand is
-- twice as fast so, and another figure needs no migration. Large things have tables of their own, which a list does not read.
-- AUTOINCREMENT: the key of a deleted run is not given away again.
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    started_at_us INTEGER NOT NULL,
    workload TEXT NOT NULL,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;

CREATE INDEX runs_by_start ON runs (started_at_us, id);

CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_tag ON tags (tag, run);

CREATE TABLE reports (
    run INTEGER PRIMARY KEY REFERENCES runs (key) ON DELETE CASCADE,
    report TEXT NOT NULL
) STRICT;

CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, path)
) STRICT, WITHOUT ROWID;

-- The value stands in the index, so that a trend reads nothing else.
CREATE INDEX metrics_by_path ON metrics (path, run, value);

CREATE TABLE distributions (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    stage INTEGER NOT NULL,
    owner TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    sum_ns INTEGER NOT NULL,
    histogram BLOB NOT NULL,
    UNIQUE (run, stage, owner, what)
) STRICT;
