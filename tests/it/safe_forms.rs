//! The safe form of a statement leads where the statement leads: the same schema and the same rows, on a real server.

use dbdyno::db::Target;
use dbdyno::probe::ddl::{DdlSession, Digest};
use dbdyno::sql::safer::{Known, Safer, Stands, safer_in};
use dbdyno::units::Dialect;

use crate::harness::{Database, Session, runtime};
use crate::mariadb::MyDatabase;

/// Tables on which much hangs: a sequence, keys, checks, a partial index and one of an expression, defaults, a comment, odd names.
const SCHEMA: &str = "
    CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(0, 9);
    CREATE TABLE t (id serial PRIMARY KEY, n int NOT NULL DEFAULT 5 CHECK (n >= 0), grp int, word varchar(40),
                    made timestamp DEFAULT '2026-01-01', filler text);
    ALTER TABLE t ADD CONSTRAINT n_word UNIQUE (n, word) DEFERRABLE;
    CREATE INDEX by_n ON t (n, word) INCLUDE (grp) WHERE n > 1;
    CREATE INDEX by_twice ON t ((n * 2));
    COMMENT ON COLUMN t.n IS 'it''s a number';
    INSERT INTO t (n, grp, word, filler) SELECT i, i % 10, 'word ' || i, repeat('x', 900) FROM generate_series(1, 1500) i;
    CREATE SCHEMA s; CREATE TABLE s.\"T\" (id int, \"Name\" text); CREATE INDEX \"By name\" ON s.\"T\" (lower(\"Name\"));
    INSERT INTO s.\"T\" VALUES (1, 'one'), (2, NULL);
    ANALYZE";

const STATEMENTS: [&str; 18] = [
    "CREATE INDEX i ON t (grp)",
    "REINDEX TABLE t",
    "VACUUM (FULL, ANALYZE) t",
    "ALTER TABLE t ADD FOREIGN KEY (grp) REFERENCES u (id)",
    "ALTER TABLE t ADD CHECK (grp < 100)",
    "ALTER TABLE t ALTER grp SET NOT NULL",
    "ALTER TABLE t ADD UNIQUE (id, grp)",
    "ALTER TABLE t ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE",
    "ALTER TABLE t ADD COLUMN a int DEFAULT 5 NOT NULL CHECK (a > 0)",
    "ALTER TABLE t ADD COLUMN b float DEFAULT random(), ADD COLUMN c int DEFAULT 7, ADD CHECK (grp IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9))",
    "ALTER TABLE t ALTER COLUMN n TYPE bigint",
    "ALTER TABLE t ALTER id TYPE bigint",
    "ALTER TABLE t ALTER word TYPE varchar(20)",
    "ALTER TABLE t ALTER grp TYPE text USING 'group ' || t.grp",
    "ALTER TABLE t ALTER made TYPE timestamptz USING made AT TIME ZONE 'UTC'",
    "ALTER TABLE s.\"T\" ALTER \"Name\" TYPE varchar(9)",
    "UPDATE t SET word = 'w' || id, grp = 3 WHERE n > 5",
    "DELETE FROM t WHERE n % 3 = 0",
];

/// All rows, whatever the order of their columns, but for what is random; and a new one, which takes its defaults.
const ROWS: &str = "
    SELECT md5(string_agg((to_jsonb(t) - 'token' - 'b')::text, ',' ORDER BY id)) || (SELECT string_agg(to_jsonb(x)::text, ',') FROM s.\"T\" x)
    FROM t";
const NEW_ROW: &str = "INSERT INTO t (n, grp, word) VALUES (99999, '3', 'new'); INSERT INTO t (grp, word) VALUES ('4', 'of defaults')";

fn digest(url: &str) -> Digest {
    let target = Target::parse(url).expect("a URL");
    runtime().block_on(async {
        let session = DdlSession::open(&target, "test").await.expect("a session");
        session.digest().await.expect("a schema")
    })
}

/// What the server says of the tables of a statement.
fn known(url: &str, sql: &str) -> Known {
    let target = Target::parse(url).expect("a URL");
    runtime().block_on(async {
        let session = DdlSession::open(&target, "test").await.expect("a session");
        session.known(&[sql]).await.expect("an answer")
    })
}

fn steps(dialect: Dialect, url: &str, sql: &str) -> Vec<Safer> {
    let known = known(url, sql);
    safer_in(dialect, sql, &known).unwrap_or_else(|| panic!("a safe form of {sql} with {known:?}"))
}

/// As the rehearsal carries it out.
fn carry_out(session: &Session, steps: &[Safer]) {
    let mut open = false;
    for Safer { sql, stands } in steps {
        if open != (*stands == Stands::Together) {
            open = !open;
            session.execute(if open { "BEGIN" } else { "COMMIT" });
        }
        session.execute(sql);
    }
    if open {
        session.execute("COMMIT");
    }
}

#[test]
fn the_safe_form_leads_to_the_same_schema_and_the_same_rows() {
    for sql in STATEMENTS {
        let [original, safe] =
            [(); 2].map(|()| Database::from_template("safe_forms", |of| of.execute(SCHEMA)));
        original.execute(sql);
        let steps = steps(Dialect::Postgresql, safe.url(), sql);
        carry_out(&safe.session("safe"), &steps);
        assert_eq!(
            digest(original.url()).difference(&digest(safe.url())),
            Vec::<String>::new(),
            "{sql}: {steps:#?}"
        );
        for database in [&original, &safe] {
            database.execute(NEW_ROW);
        }
        assert_eq!(original.value(ROWS), safe.value(ROWS), "{sql}: {steps:#?}");
    }
}

#[test]
fn what_a_column_is_to_others_is_known_before_it_is_replaced() {
    let database = Database::from_template("safe_forms", |of| of.execute(SCHEMA));
    let columns = |table: &str, column: &str| {
        known(database.url(), &format!("ALTER TABLE {table} ALTER {column} TYPE bigint")).columns
    };
    let [n] = &columns("T", "N")[..] else { panic!("names are folded as the server folds them") };
    assert_eq!((n.kind.as_str(), n.not_null, n.default.as_deref()), ("integer", true, Some("5")));
    assert_eq!(n.comment.as_deref(), Some("it's a number"));
    let indexes: Vec<(&str, Option<&str>)> =
        n.indexes.iter().map(|of| (of.name.as_str(), of.constraint.as_deref())).collect();
    assert_eq!(indexes, [("by_n", None), ("by_twice", None), ("n_word", Some("UNIQUE DEFERRABLE"))]);
    assert_eq!((n.checks.len(), n.against.len()), (1, 0));
    let [id] = &columns("public.t", "id")[..] else { panic!("it is there") };
    assert_eq!(id.sequence.as_deref(), Some("public.t_id_seq"));
    assert!(columns("nowhere", "id").is_empty() && columns("t", "nothing").is_empty());

    database.execute(
        "ALTER TABLE t ADD CONSTRAINT of_group FOREIGN KEY (grp) REFERENCES u (id);
         CREATE STATISTICS both ON n, grp FROM t; GRANT SELECT (grp) ON t TO PUBLIC;
         CREATE TABLE child () INHERITS (u)",
    );
    let against = |table: &str, column: &str| columns(table, column).remove(0).against;
    assert_eq!(against("t", "grp"), ["the foreign key of_group", "the statistics both", "rights on it"]);
    assert_eq!(against("u", "id"), ["the foreign key of_group", "partitions, or tables that inherit"]);
    let sql = "ALTER TABLE t ALTER grp TYPE bigint";
    assert_eq!(safer_in(Dialect::Postgresql, sql, &known(database.url(), sql)), None);
}

/// Nothing of it is in one transaction there.
#[test]
fn the_safe_form_leads_to_the_same_schema_and_the_same_rows_on_mariadb() {
    const ROWS: &str = "SELECT MD5(GROUP_CONCAT(CONCAT_WS('|', id, n, `odd name`, word) ORDER BY id)) FROM t";
    for sql in [
        "ALTER TABLE t MODIFY n bigint NOT NULL DEFAULT 7 COMMENT 'more'",
        "ALTER TABLE t CHANGE COLUMN `odd name` `odd name` varchar(900)",
        "UPDATE t SET word = CONCAT('w', id) WHERE n > 5",
        "DELETE FROM t WHERE n % 3 = 0",
    ] {
        let [original, safe] = [(); 2].map(|()| MyDatabase::empty());
        for database in [&original, &safe] {
            database.execute(&[
                "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, n int NOT NULL DEFAULT 7, `odd name` varchar(40), word varchar(40), \
                 INDEX by_word (word))",
                "INSERT INTO t SELECT seq, seq, IF(seq % 7 = 0, NULL, CONCAT('odd ', seq)), CONCAT('word ', seq) FROM seq_1_to_3500",
            ]);
        }
        original.execute(&[sql]);
        let steps = steps(Dialect::Mysql, safe.url(), sql);
        let texts: Vec<&str> = steps.iter().map(|of| of.sql.as_str()).collect();
        safe.execute(&texts);
        assert_eq!(
            digest(original.url()).difference(&digest(safe.url())),
            Vec::<String>::new(),
            "{sql}: {steps:#?}"
        );
        for database in [&original, &safe] {
            database.execute(&["INSERT INTO t (word) VALUES ('of defaults')"]);
        }
        assert_eq!(original.value(ROWS), safe.value(ROWS), "{sql}: {steps:#?}");
    }
    let database = MyDatabase::empty();
    database.execute(&["CREATE TABLE t (id varchar(9) PRIMARY KEY, n int)"]);
    let sql = "UPDATE t SET n = 1";
    assert_eq!(safer_in(Dialect::Mysql, sql, &known(database.url(), sql)), None, "its key is no number");
}
