-- sysbench's table as its own `prepare` makes it on MariaDB and MySQL.

CREATE TABLE sbtest1 (
    id   integer NOT NULL AUTO_INCREMENT,
    k    integer DEFAULT 0 NOT NULL,
    c    char(120) DEFAULT '' NOT NULL,
    pad  char(60) DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;

-- sysbench makes it after the rows, and so does dbdyno.
CREATE INDEX k_1 ON sbtest1 (k);
