-- sysbench's table as its own `prepare` makes it on PostgreSQL.

CREATE TABLE sbtest1 (
    id   serial,
    k    integer DEFAULT 0 NOT NULL,
    c    char(120) DEFAULT '' NOT NULL,
    pad  char(60) DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);

-- sysbench makes it after the rows, and so does dbdyno.
CREATE INDEX k_1 ON sbtest1 (k);
