-- pgbench's tables on MariaDB and MySQL: the same columns and rows. Their rows lie in the order of the primary key, which is
-- therefore declared with the table.

CREATE TABLE pgbench_history (
    tid     int,
    bid     int,
    aid     int,
    delta   int,
    mtime   datetime(6),
    filler  char(22)
);

CREATE TABLE pgbench_tellers (
    tid       int NOT NULL PRIMARY KEY,
    bid       int,
    tbalance  int,
    filler    char(84)
);

CREATE TABLE pgbench_accounts (
    aid       int NOT NULL PRIMARY KEY,
    bid       int,
    abalance  int,
    filler    char(84)
);

CREATE TABLE pgbench_branches (
    bid       int NOT NULL PRIMARY KEY,
    bbalance  int,
    filler    char(88)
);
