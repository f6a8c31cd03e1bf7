-- pgbench's own tables, as `pgbench -i` of PostgreSQL 14 to 18 makes them: types, fill factors, no foreign keys.

CREATE TABLE pgbench_history (
    tid     int,
    bid     int,
    aid     int,
    delta   int,
    mtime   timestamp,
    filler  char(22)
);

CREATE TABLE pgbench_tellers (
    tid       int NOT NULL,
    bid       int,
    tbalance  int,
    filler    char(84)
) WITH (fillfactor = 100);

CREATE TABLE pgbench_accounts (
    aid       int NOT NULL,
    bid       int,
    abalance  int,
    filler    char(84)
) WITH (fillfactor = 100);

CREATE TABLE pgbench_branches (
    bid       int NOT NULL,
    bbalance  int,
    filler    char(88)
) WITH (fillfactor = 100);

-- pgbench makes them after the rows, and so does dbdyno.
ALTER TABLE pgbench_branches ADD PRIMARY KEY (bid);
ALTER TABLE pgbench_tellers ADD PRIMARY KEY (tid);
ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
