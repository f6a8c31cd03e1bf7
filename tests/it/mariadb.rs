//! Datasets in a MariaDB: the same seed gives the same rows as in PostgreSQL, mistakes come before any row and leave nothing
//! behind, and nothing of the user's is lost.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dbdyno::dataset::{
    DatasetError, Existing, Holds, LoadEvent, LoadOptions, LoadSummary, Phase, TableChanges, Template,
    check_parameters, check_session_setting, check_statements, data_state, inspect, load, query_values,
};
use dbdyno::db::{Client, Engine as _, SessionOptions, Target};
use dbdyno::diagnostic::Mistakes;
use dbdyno::sql::values::QueryValue;
use dbdyno::time::Epoch;
use dbdyno::units::Dialect;
use dbdyno::workload::{Workload, load_for};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::contract::mariadb;
use crate::dataset::{SEED, options};
use crate::harness::{Database, dbdyno, is_mysql, on_this_server, runtime};
use crate::place::{Measured, workload_of};

/// A database of one test, dropped with it.
pub struct MyDatabase {
    name: String,
    url: String,
}

impl MyDatabase {
    /// An empty one.
    pub fn empty() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("dataset_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = mariadb().url().replace("/dbdyno?", &format!("/{name}?"));
        execute(mariadb().url(), &[&format!("CREATE DATABASE {name}")]);
        Self { name, url }
    }

    /// A URL of a user who may do everything.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements on a connection of their own.
    pub fn execute(&self, statements: &[&str]) {
        execute(&self.url, statements);
    }

    /// The rows of one query, as text; NULL is absent.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        runtime().block_on(async {
            let mut conn = Conn::from_url(&self.url).await.expect("a connection");
            conn.query_drop("SET time_zone = '+00:00'").await.expect("a setting");
            let rows: Vec<Row> = conn.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let cell = |value: Value| match value {
                Value::NULL => None,
                Value::Bytes(bytes) => Some(String::from_utf8(bytes).expect("text")),
                other => panic!("{other:?} in an answer of text"),
            };
            rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect()
        })
    }

    /// The first column of the first row, as text.
    pub fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql);
        rows.remove(0).remove(0).unwrap_or_else(|| panic!("{sql}: NULL"))
    }

    /// The tables that are not dbdyno's own.
    fn tables(&self) -> Vec<String> {
        let sql = "SELECT table_name FROM information_schema.tables
                   WHERE table_schema = DATABASE() AND table_name NOT LIKE 'dbdyno%' ORDER BY 1";
        self.rows(sql).into_iter().map(|mut row| row.remove(0).expect("a name")).collect()
    }

    /// Reads a table in a transaction that stays open until this is dropped.
    pub fn hold(&self, table: &str) -> MyHolder {
        let runtime = runtime();
        let conn = runtime.block_on(async {
            let mut conn = Conn::from_url(&self.url).await.expect("a connection");
            for sql in ["BEGIN".to_owned(), format!("SELECT * FROM {table} LIMIT 1")] {
                conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            conn
        });
        MyHolder { conn: Some(conn), runtime }
    }

    /// Does something with a connection of dbdyno's own.
    pub fn with<T>(&self, act: impl AsyncFnOnce(&Client) -> T) -> T {
        runtime().block_on(async {
            let client = target(&self.url).connect("test").await.expect("the server runs");
            act(&client).await
        })
    }
}

/// A transaction that stays open.
pub struct MyHolder {
    conn: Option<Conn>,
    runtime: Runtime,
}

impl Drop for MyHolder {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.runtime.block_on(conn.disconnect()).expect("an orderly end");
        }
    }
}

impl Drop for MyDatabase {
    fn drop(&mut self) {
        execute(mariadb().url(), &[&format!("DROP DATABASE {}", self.name)]);
    }
}

fn execute(url: &str, statements: &[&str]) {
    runtime().block_on(async {
        let mut conn = Conn::from_url(url).await.expect("a connection");
        for sql in statements {
            conn.query_drop(on_this_server(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        conn.disconnect().await.expect("an orderly end");
    });
}

fn target(url: &str) -> Target {
    Target::of_local_server(url).expect("a URL")
}

fn workload(toml: &str, schema: &str, queries: &str) -> (TempDir, Workload) {
    let files = [("workload.toml", toml), ("schema.mysql.sql", schema), ("queries.sql", queries)];
    workload_of(&files, Dialect::Mysql)
}

/// Read by those who load, written by who takes files from the whole server for a moment.
static FILES_ALLOWED: RwLock<()> = RwLock::new(());

fn try_load(url: &str, workload: &Workload, options: &LoadOptions) -> Result<LoadSummary, DatasetError> {
    let _allowed = FILES_ALLOWED.read().unwrap_or_else(PoisonError::into_inner);
    load_now(url, workload, options)
}

fn load_now(url: &str, workload: &Workload, options: &LoadOptions) -> Result<LoadSummary, DatasetError> {
    runtime().block_on(load(&target(url), workload, options, &mut |_| ()))
}

fn refuse() -> LoadOptions {
    options(1.0, 1, Existing::Refuse)
}

fn mistakes(error: DatasetError) -> Mistakes {
    let DatasetError::Mistakes(mistakes) = error else { panic!("{error}") };
    mistakes
}

/// The text that each mistake blames, by its message.
fn blamed(mistakes: &Mistakes) -> BTreeMap<String, String> {
    let blamed = |source: Option<usize>, span: std::ops::Range<usize>| {
        source.map_or_else(String::new, |source| mistakes.text(source)[span].to_owned())
    };
    mistakes
        .items()
        .iter()
        .map(|item| (item.message.clone(), blamed(item.source, item.span.clone())))
        .collect()
}

const KINDS: &str = r#"
    name = "kinds"
    [table.kinds]
    rows = 300
    [table.kinds.column]
    id = { sequence = {} }
    small = { uniform = [-100, 100], null_fraction = 0.2 }
    truth = { boolean = { true_fraction = 0.3 } }
    exact = { decimal = { min = -10, max = 90000, scale = 2 } }
    ratio = { histogram = { bounds = [-1.5, 0.25, 1e6], distinct = 100, type = "float" } }
    word = { words = [1, 3], null_fraction = 0.3 }
    odd = { constant = "tab\tnew\nline\\N back\\ 'single' \"double\" ö %" }
    blank = { constant = "" }
    day = { date = { from = "1960-01-01", to = "2030-01-01" } }
    at = { timestamp = { from = "1960-01-01", to = "2030-01-01" } }
    stamp = { timestamp = { from = "2001-01-01", to = "2030-01-01" } }
    key_a = { uuid = {} }
    key_b = { uuid = {} }
    key_c = { uuid = {} }
    doc = { json = { colour = { weighted = { black = 1, white = 2 } }, note = { words = [1, 4] }, n = { uniform = [1, 9] } } }
    raw = { bytes = { length = [0, 40] } }
    mood = { weighted = { happy = 3, sad = 1 } }
    address = { ip_address = {} }
    later = { after = { column = "at", lag_s = { exponential = { mean = 600, scale = 6 } } } }
    [[transaction]]
    name = "read"
    statements = ["one"]
    parameter = { id = { key = { table = "kinds" } } }
"#;

const ONE_OF_KINDS: &str = "-- name: one :one\nSELECT word FROM kinds WHERE id = :id;\n";

/// A column: its types in PostgreSQL and MariaDB, and its text in both.
type Kind = (&'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const COLUMNS: &[Kind] = &[
    ("id", "bigint", "bigint AUTO_INCREMENT PRIMARY KEY", "id", "id"),
    ("small", "smallint", "tinyint", "small", "small"),
    ("truth", "boolean NOT NULL", "boolean NOT NULL", "truth::int", "truth"),
    ("exact", "numeric(9,2)", "decimal(9,2)", "exact", "exact"),
    ("ratio", "double precision", "double", "round(ratio::numeric, 6)", "round(cast(ratio AS decimal(30,10)), 6)"),
    ("word", "text", "varchar(100) CHARACTER SET utf8mb4", "word", "word"),
    ("odd", "text", "text CHARACTER SET utf8mb4", "odd", "odd"),
    ("blank", "text NOT NULL", "varchar(10) NOT NULL", "blank", "blank"),
    ("day", "date", "date", "day", "day"),
    ("at", "timestamptz", "datetime(6)", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", "at"),
    ("stamp", "timestamptz", "timestamp(6) NULL", "to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", "stamp"),
    ("key_a", "uuid", "char(36)", "key_a", "key_a"),
    ("key_b", "uuid", "uuid", "key_b", "key_b"),
    ("key_c", "uuid", "binary(16)", "replace(key_c::text, '-', '')", "lower(hex(key_c))"),
    ("doc", "json", "json", "doc", "doc"),
    ("raw", "bytea", "varbinary(40)", "encode(raw, 'hex')", "lower(hex(raw))"),
    ("mood", "text", "enum('happy', 'sad')", "mood", "mood"),
    ("address", "inet", "inet4", "host(address)", "address"),
    ("later", "timestamptz", "datetime(6)", "to_char(later AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", "later"),
];

#[test]
fn the_same_seed_gives_the_same_rows_as_in_postgresql_by_load_data_and_by_insert() {
    let list = |of: &dyn Fn(&Kind) -> String| COLUMNS.iter().map(of).collect::<Vec<_>>().join(", ");
    let theirs = format!("CREATE TABLE kinds ({})", list(&|of| format!("{} {}", of.0, of.1)));
    let own_type = |of: &Kind| match of.2 {
        "uuid" if is_mysql() => "char(36)",
        "inet4" if is_mysql() => "varchar(15)",
        own => own,
    };
    let ours = format!("CREATE TABLE kinds ({})", list(&|of| format!("{} {}", of.0, own_type(of))));
    let files = [
        ("workload.toml", KINDS),
        ("schema.sql", theirs.as_str()),
        ("schema.mysql.sql", ours.as_str()),
        ("queries.sql", ONE_OF_KINDS),
    ];
    let postgres = Database::empty();
    let (_folder, of_postgres) = workload_of(&files, Dialect::Postgresql);
    try_load(postgres.url(), &of_postgres, &refuse()).unwrap_or_else(|error| panic!("{error}"));
    let expected = postgres
        .rows(&format!("SELECT {} FROM kinds ORDER BY kinds.id", list(&|of| format!("({})::text", of.3))));
    assert_eq!(expected.len(), 300);

    let (_folder, of_mariadb) = workload_of(&files, Dialect::Mysql);
    let select = format!("SELECT {} FROM kinds ORDER BY id", list(&|of| of.4.to_owned()));
    let database = MyDatabase::empty();
    let summary = try_load(&database.url, &of_mariadb, &refuse()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((summary.rows, summary.notes.as_slice()), (300, [].as_slice()));
    compare(&database.rows(&select), &expected);

    let by_insert = MyDatabase::empty();
    let alone = FILES_ALLOWED.write().unwrap_or_else(PoisonError::into_inner);
    execute(mariadb().url(), &["SET GLOBAL local_infile = OFF"]);
    let summary = load_now(&by_insert.url, &of_mariadb, &refuse());
    execute(mariadb().url(), &["SET GLOBAL local_infile = ON"]);
    drop(alone);
    let summary = summary.unwrap_or_else(|error| panic!("{error}"));
    assert!(summary.notes[0].contains("INSERT"), "{:?}", summary.notes);
    compare(&by_insert.rows(&select), &expected);
    // New rows go on behind the last key.
    by_insert.execute(&["INSERT INTO kinds (truth, blank) VALUES (true, '')"]);
    assert_eq!(by_insert.value("SELECT max(id) FROM kinds"), "301");
}

fn compare(found: &[Vec<Option<String>>], expected: &[Vec<Option<String>>]) {
    assert_eq!(found.len(), expected.len());
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        for (at, (name, ..)) in COLUMNS.iter().enumerate() {
            if *name == "doc" && is_mysql() {
                // It keeps what a document says, and not how it was written.
                let of = |text: &Option<String>| {
                    serde_json::from_str::<serde_json::Value>(text.as_deref().expect("a document"))
                };
                assert_eq!(of(&found[at]).expect("JSON"), of(&expected[at]).expect("JSON"), "row {row}");
                continue;
            }
            assert_eq!(found[at], expected[at], "row {row} of {name}");
        }
    }
}

const SMALL: &str = r#"
    name = "small"
    [table.parents]
    rows = 1000
    [table.parents.column]
    id = { sequence = {} }
    name = { words = [2, 5] }
    [table.children]
    rows = 200_000
    [table.children.column]
    id = { sequence = {} }
    parent_id = { reference = { table = "parents" } }
    note = { text = { length = [20, 40] } }
    [[transaction]]
    name = "read"
    statements = ["one"]
    parameter = { id = { key = { table = "parents" } } }
"#;
const SMALL_SCHEMA: &str = "
    CREATE TABLE parents (id bigint PRIMARY KEY, name varchar(100) NOT NULL);
    CREATE TABLE children (id bigint AUTO_INCREMENT PRIMARY KEY, parent_id bigint NOT NULL, note varchar(40));
    CREATE VIEW named AS SELECT name FROM parents; # what is made is known by its name
    CREATE INDEX children_parent ON children (parent_id);
    ALTER TABLE children ADD CONSTRAINT children_parent_fk FOREIGN KEY (parent_id) REFERENCES parents (id);
    CREATE TRIGGER children_note BEFORE INSERT ON children FOR EACH ROW BEGIN SET NEW.note = 'later'; END;
";
const SMALL_QUERIES: &str = "-- name: one :one\nSELECT name FROM parents WHERE id = :id;\n";

#[test]
fn several_connections_fill_a_table_and_what_slows_rows_down_comes_behind_them() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let (one, many) = (MyDatabase::empty(), MyDatabase::empty());
    let mut events = vec![];
    let loading = target(&many.url);
    let three = options(1.0, 3, Existing::Refuse);
    let allowed = FILES_ALLOWED.read().unwrap_or_else(PoisonError::into_inner);
    let summary = runtime().block_on(load(&loading, &workload, &three, &mut |event| events.push(event)));
    drop(allowed);
    let summary = summary.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.rows, 201_000);
    let sent: u64 =
        events.iter().map(|event| if let LoadEvent::RowsSent { rows, .. } = event { *rows } else { 0 }).sum();
    assert_eq!(sent, 201_000, "what is sent is told");
    let phases: Vec<Phase> = summary.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, [Phase::Schema, Phase::Rows, Phase::Indexes, Phase::Analyze]);
    try_load(&one.url, &workload, &refuse()).unwrap_or_else(|error| panic!("{error}"));
    let digest = "SELECT count(*), sum(id), sum(crc32(concat(id, parent_id, note))) FROM children";
    assert_eq!(many.rows(digest), one.rows(digest));
    assert_eq!(
        many.value("SELECT count(*) FROM children WHERE note = 'later'"),
        "0",
        "no row fired a trigger"
    );
    let keys =
        "SELECT group_concat(DISTINCT index_name ORDER BY index_name) FROM information_schema.statistics
                WHERE table_schema = DATABASE() AND table_name = 'children'";
    assert_eq!(many.value(keys), "children_parent,PRIMARY");
    many.execute(&["INSERT INTO children (parent_id) VALUES (1)"]);
    assert_eq!(many.value("SELECT note FROM children WHERE id = 200001"), "later");
}

#[test]
fn a_load_is_known_by_its_mark_and_replaced_only_when_told() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = MyDatabase::empty();
    let small = options(0.01, 1, Existing::Refuse);
    let looked = |workload: &Workload| {
        database.with(async |client| inspect(client, workload).await).expect("it can be looked at")
    };
    let state = looked(&workload);
    assert_eq!((state.holds, state.missing_tables.len()), (Holds::Unmarked, 2));
    try_load(&database.url, &workload, &small).unwrap_or_else(|error| panic!("{error}"));
    let state = looked(&workload);
    let Holds::This(mark) = &state.holds else { panic!("{state:?}") };
    assert_eq!((mark.rows, mark.seed, mark.scale), (2_010, SEED, 0.01));
    assert_eq!((state.scale, state.missing_tables.len()), (Some(0.01), 0));
    let known = database.with(async |client| data_state(client, &workload).await).expect("an answer");
    assert!(
        known.is_some_and(|state| state.loaded_at_us == mark.loaded_at_us && mark.loaded_at_us.is_some())
    );

    // What becomes of the rows is counted.
    let changes = || {
        let known = database.with(async |client| data_state(client, &workload).await).expect("an answer");
        known.expect("it is loaded").changes
    };
    assert_eq!(changes(), Some(vec![]));
    database.execute(&[
        "INSERT INTO children (parent_id) VALUES (1), (2), (3)",
        "UPDATE children SET note = 'changed' WHERE id <= 2",
        "DELETE FROM children WHERE id = 5",
    ]);
    let changed = TableChanges { table: "children".to_owned(), inserted: 3, updated: 2, deleted: 1 };
    assert_eq!(changes(), Some(vec![changed]));
    // When a table was made is told in whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    database.execute(&["ALTER TABLE children ADD COLUMN other int, ALGORITHM = COPY"]);
    assert_eq!(changes(), None, "it is another table");

    // The same again is there already; another scale is refused, and loaded when told so.
    assert!(try_load(&database.url, &workload, &small).expect("it is there").already_loaded);
    let larger = options(0.02, 1, Existing::Refuse);
    let error = try_load(&database.url, &workload, &larger).expect_err("another scale");
    assert!(
        matches!(&error, DatasetError::Loaded { differences, .. } if differences.contains("0.02")),
        "{error}"
    );
    let replaced = try_load(&database.url, &workload, &options(0.02, 1, Existing::Replace));
    assert_eq!(replaced.expect("it is told so").rows, 4_020);

    // A table that somebody makes under the same name is his.
    database.execute(&[
        "SET foreign_key_checks = 0",
        // MySQL wants in it what refers to it, whoever makes it.
        "ALTER TABLE children DROP FOREIGN KEY children_parent_fk",
        "DROP TABLE parents",
        "CREATE TABLE parents (mine int)",
    ]);
    let error = try_load(&database.url, &workload, &small).expect_err("it is not dbdyno's");
    assert!(matches!(&error, DatasetError::Occupied { tables, .. } if tables == &["parents"]), "{error}");
    let replaced = try_load(&database.url, &workload, &options(0.01, 1, Existing::Replace));
    assert_eq!(replaced.expect("it is told so").rows, 2_010);

    // What refers to the tables from outside keeps them.
    database.execute(&["CREATE TABLE his (p bigint, FOREIGN KEY (p) REFERENCES parents (id))"]);
    let error = try_load(&database.url, &workload, &options(0.01, 1, Existing::Replace))
        .expect_err("he refers to it");
    assert!(error.to_string().contains("a foreign key of his"), "{error}");
    assert_eq!(database.value("SELECT count(*) FROM parents"), "10");
}

#[test]
fn mistakes_stand_at_their_places_and_leave_nothing_behind() {
    let toml = r#"
    name = "wrong"
    [table.things]
    rows = 10
    [table.things.column]
    id = { sequence = {} }
    nam = { words = [1, 2] }
    truth = { words = [1, 2] }
    tiny = { uniform = [1, 1000] }
    made = { uniform = [1, 9] }
    [[transaction]]
    name = "read"
    statements = ["fine", "wrong_table", "wrong_column", "wrong_words"]
    parameter = { id = { key = { table = "things" } } }
    "#;
    let schema = "CREATE TABLE things (id bigint PRIMARY KEY, name varchar(9), truth boolean, tiny tinyint,\n\
                  made int AS (id + 1), needed int NOT NULL);\nCREATE INDEX things_name ON things (nam);\n";
    let queries = "-- name: fine :one\nSELECT name FROM things WHERE id = :id;\n\
                   -- name: wrong_table :many\nSELECT 1 FROM thing;\n\
                   -- name: wrong_column :many\nSELECT nam FROM things;\n\
                   -- name: wrong_words :many\nSELECT id::text FROM things;\n";
    let (_folder, workload) = workload(toml, schema, queries);
    let database = MyDatabase::empty();
    let found = mistakes(try_load(&database.url, &workload, &refuse()).expect_err("it is wrong"));
    let blamed = blamed(&found);
    let at = |message: &str| {
        let of = blamed.iter().find(|(known, _)| known.contains(message));
        of.unwrap_or_else(|| panic!("{message}: {found}")).1.as_str()
    };
    assert_eq!(at("table `things` has no column `nam`"), "{ words = [1, 2] }");
    assert!(at("`things.truth` is a tinyint(1), and its generator makes text").contains("words"));
    // MySQL tells no width any more, but for what stands for a truth.
    let tiny = if is_mysql() { "tinyint" } else { "tinyint(4)" };
    assert!(at(&format!("`things.tiny` is a {tiny}, and its generator makes 1 to 1000")).contains("1000"));
    assert!(at("`things.made` is computed by the server").contains("uniform"));
    assert_eq!(at("column `needed` of table `things` has no generator"), "things");
    assert!(at("Key column 'nam' doesn't exist").contains("CREATE INDEX"));
    assert_eq!(at("thing' doesn't exist"), "-- name: wrong_table :many");
    assert_eq!(at("Unknown column 'nam'"), "-- name: wrong_column :many");
    assert_eq!(at("You have an error in your SQL syntax"), "-- name: wrong_words :many");
    assert_eq!(blamed.len(), 9, "{found}");
    let words = found.to_string();
    assert!(words.contains("queries.mysql.sql") && words.contains("(at `nam`)"), "{words}");
    assert_eq!(database.tables(), Vec::<String>::new(), "what was made is dropped");

    // A schema that is no SQL is blamed at the word.
    let (_folder, workload) =
        self::workload(SMALL, "CREATE TABLE parents (\n  id bigint PRIMARY KEYY\n);", SMALL_QUERIES);
    let found = mistakes(try_load(&database.url, &workload, &refuse()).expect_err("it is wrong"));
    assert_eq!(self::blamed(&found).values().collect::<Vec<_>>(), ["KEYY"]);

    // A run's look at the statements says what is missing.
    let (_folder, workload) = self::workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let error =
        database.with(async |client| check_statements(client, &workload).await).expect_err("not loaded");
    assert!(error.to_string().contains("run `dbdyno load -w"), "{error}");
}

#[test]
fn a_value_that_does_not_fit_is_named_and_what_is_left_is_loaded_anew() {
    let toml = |word: &str| {
        format!(
            "name = \"fits\"\n[table.things]\nrows = 500\n[table.things.column]\nid = {{ sequence = {{}} }}\n\
             word = {{ {word} }}\n[[transaction]]\nname = \"read\"\nstatements = [\"one\"]\n\
             parameter = {{ id = {{ key = {{ table = \"things\" }} }} }}\n"
        )
    };
    let queries = "-- name: one :one\nSELECT word FROM things WHERE id = :id;\n";
    let database = MyDatabase::empty();
    // What the encoder sees, and what only the server sees.
    for (kind, word) in [
        ("varchar(6)", "text = { length = [1, 7] }"),
        ("enum('red', 'green')", "weighted = { red = 90, green = 9, blue = 1 }"),
    ] {
        let schema = format!("CREATE TABLE things (id bigint PRIMARY KEY, word {kind} NOT NULL);");
        let (_folder, workload) = workload(&toml(word), &schema, queries);
        let error = try_load(&database.url, &workload, &refuse()).expect_err("a value does not fit");
        let DatasetError::Value { table, column, type_name, row, value } = &error else { panic!("{error}") };
        assert_eq!((table.as_str(), column.as_str()), ("things", "word"));
        assert_eq!(type_name.replace(',', ", "), kind.replace(", ", ",").replace(',', ", "));
        assert!(*row < 500 && (value == "blue" || value.len() == 7), "{error}");
        let state =
            database.with(async |client| inspect(client, &workload).await).expect("it can be looked at");
        assert!(matches!(state.holds, Holds::Interrupted(_)), "{state:?}");
    }
    let schema = "CREATE TABLE things (id bigint PRIMARY KEY, word varchar(6) NOT NULL);";
    let (_folder, workload) = workload(&toml("text = { length = [1, 6] }"), schema, queries);
    let summary = try_load(&database.url, &workload, &refuse()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.rows, 500, "the remains of an interrupted load are dbdyno's own");

    // A reference that leads nowhere is found behind the rows.
    let toml =
        SMALL.replace("reference = { table = \"parents\" }", "uniform = [1, 2000]").replace("200_000", "200");
    let (_folder, workload) = self::workload(&toml, SMALL_SCHEMA, SMALL_QUERIES);
    let error = try_load(&database.url, &workload, &refuse()).expect_err("not every number is a parent's");
    assert!(error.to_string().contains("children_parent_fk"), "{error}");
}

#[test]
fn what_stands_in_the_way_is_refused() {
    let (_folder, workload) = workload(SMALL, SMALL_SCHEMA, SMALL_QUERIES);
    let database = MyDatabase::empty();
    database.execute(&["CREATE TABLE children (his int)", "INSERT INTO children VALUES (1)"]);
    let error = try_load(&database.url, &workload, &refuse()).expect_err("a table of somebody else's");
    assert!(error.to_string().contains("--replace"), "{error}");
    assert_eq!(database.value("SELECT his FROM children"), "1");
    let error =
        try_load(&database.url, &workload, &options(-1.0, 1, Existing::Refuse)).expect_err("no scale");
    assert!(matches!(error, DatasetError::Scale(_)), "{error}");

    let busy = runtime().block_on(async {
        let mut holder = Conn::from_url(&database.url).await.expect("a connection");
        let lock = "SELECT GET_LOCK(CONCAT('dbdyno_load_', LEFT(SHA2(DATABASE(), 256), 32)), 0)";
        assert_eq!(holder.query_first::<i64, _>(lock).await.expect("an answer"), Some(1));
        load(&target(&database.url), &workload, &refuse(), &mut |_| ()).await
    });
    assert!(matches!(busy, Err(DatasetError::Busy { .. })), "{busy:?}");
}

#[test]
fn a_copy_is_what_was_loaded_and_goes_again() {
    let database = MyDatabase::empty();
    database.execute(&[
        "CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2",
        "CREATE TABLE parents (id int AUTO_INCREMENT PRIMARY KEY, word varchar(20) CHARACTER SET latin1, INDEX by_word (word))",
        "CREATE TABLE children (id int PRIMARY KEY, parent int, doubled int AS (id * 2) STORED, made timestamp NULL DEFAULT current_timestamp(), \
         CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id), CHECK (id >= 0))",
        // The name of the former comes before that of the view that it is of.
        "CREATE VIEW words AS SELECT word FROM parents",
        "CREATE VIEW a_view_of_it AS SELECT word FROM words",
        "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        "INSERT INTO parents SELECT seq, CONCAT('word ', seq) FROM seq_0_to_2000",
        "INSERT INTO children (id, parent) SELECT seq, seq FROM seq_0_to_2000",
        "CREATE TRIGGER loud BEFORE INSERT ON children FOR EACH ROW SET NEW.parent = twice(NEW.parent)",
    ]);
    let content = "SELECT CONCAT((SELECT COUNT(*) FROM a_view_of_it), ' ', (SELECT SUM(parent + doubled) FROM children), ' ', \
                   (SELECT MAX(id) FROM parents))";
    let digest = |url: &str| {
        let target = target(url);
        runtime().block_on(async {
            let session = dbdyno::probe::ddl::DdlSession::open(&target, "test").await.expect("a session");
            session.digest().await.expect("a schema")
        })
    };
    let at = target(&database.url);
    // Whoever makes copies has a connection, which lives as long as what it was opened in.
    let engine = runtime();
    let try_open = || {
        engine.block_on(async {
            let client = at.connect("test").await.expect("the server runs");
            Template::open(&at, &client, &mut |_| ()).await
        })
    };
    let open = || try_open().expect("it can be copied");
    let mut template = open();
    let made = engine.block_on(template.copy(std::future::pending(), &mut |_| ())).expect("a copy");
    let name = made.expect("nobody interrupted it");
    let url = database.url.replace(&format!("/{}?", database.name), &format!("/{name}?"));
    // Whoever made it takes it away.
    let copy = std::mem::ManuallyDrop::new(MyDatabase { name, url });
    assert_eq!(digest(&database.url).difference(&digest(&copy.url)), Vec::<String>::new());
    assert_eq!(database.value(content), copy.value(content));
    // What is counted goes on, what goes off goes off, and neither is felt where it was copied from.
    copy.execute(&[
        "INSERT INTO parents (word) VALUES ('new')",
        "INSERT INTO children (id, parent) VALUES (5000, 1000)",
    ]);
    assert_eq!(copy.value("SELECT MAX(id) FROM parents"), "2001");
    assert_eq!(copy.value("SELECT parent FROM children WHERE id = 5000"), "2000");
    assert_eq!(database.value("SELECT MAX(id) FROM parents"), "2000");

    // Another dbdyno leaves it alone as long as its maker lives, and takes it away afterwards.
    let left =
        format!("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{}'", copy.name);
    drop(open());
    assert_eq!(database.value(&left), "1");
    drop(template);
    crate::harness::wait_until("its lock is free", std::time::Duration::from_secs(10), || {
        drop(open());
        database.value(&left) == "0"
    });

    let mut template = open();
    let interrupted = engine.block_on(template.copy(std::future::ready(()), &mut |_| ())).expect("no error");
    assert_eq!(interrupted, None);
    if !is_mysql() {
        // MySQL has none.
        database.execute(&["CREATE SEQUENCE numbers"]);
        let refused = try_open().err().expect("it cannot");
        assert!(refused.to_string().contains("numbers is a sequence"), "{refused}");
    }
}

#[test]
fn tables_of_another_database_are_never_dropped_nor_made() {
    let (here, elsewhere) = (MyDatabase::empty(), MyDatabase::empty());
    elsewhere.execute(&["CREATE TABLE parents (his int)", "INSERT INTO parents VALUES (1)"]);
    let other = elsewhere.value("SELECT DATABASE()");
    let qualified = SMALL_SCHEMA.replacen("TABLE parents", &format!("TABLE {other}.parents"), 1);
    let (_folder, workload) = workload(SMALL, &qualified, SMALL_QUERIES);
    for existing in [Existing::Refuse, Existing::Replace] {
        let refused =
            try_load(&here.url, &workload, &options(0.01, 1, existing)).expect_err("it is elsewhere");
        let found = mistakes(refused);
        let (message, blamed) = blamed(&found).pop_first().expect("one mistake");
        assert!(message.contains(&format!("table `{other}.parents` is named with a database")), "{message}");
        assert!(blamed.starts_with(&format!("CREATE TABLE {other}.parents")), "{blamed}");
    }
    assert_eq!(elsewhere.value("SELECT his FROM parents"), "1");
    assert_eq!(here.tables(), Vec::<String>::new());
}

#[test]
fn a_setting_is_checked_by_the_words_with_which_a_session_sets_it() {
    let database = MyDatabase::empty();
    for (name, value, can_be_set) in [
        ("sort_buffer_size", "1048576", true),
        (if is_mysql() { "transaction_isolation" } else { "tx_isolation" }, "READ-COMMITTED", true),
        ("optimizer_switch", "mrr=on", true),
        ("sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", true),
        ("time_zone", "+05:30", true),
        // A session quotes it, whatever it is.
        ("sort_buffer_size", "256*1024", false),
        ("sort_buffer_size", "1048576; CREATE TABLE planted (id int)", false),
        ("sort_buffer_size = 65536, @@SESSION.join_buffer_size", "65536", false),
        ("nonsense", "1", false),
    ] {
        let checked = database.with(async |client| check_session_setting(client, name, value).await);
        let checked = checked.expect("an answer");
        assert_eq!(checked.is_ok(), can_be_set, "{name} = {value}: {checked:?}");
        let options = SessionOptions {
            settings: vec![vec![(name.to_owned(), value.to_owned())]].into(),
            ..SessionOptions::default()
        };
        let engine = target(&database.url).engine(Epoch::begin().clock(), options);
        let connected = runtime().block_on(engine.connect(Arc::from([])));
        assert_eq!(connected.is_ok(), can_be_set, "a session with {name} = {value}");
    }
    assert_eq!(database.tables(), Vec::<String>::new(), "a value is nothing but a value");
}

#[test]
fn queries_give_values_and_measures_are_checked() {
    let toml = r#"
    name = "asked"
    [[transaction]]
    name = "read"
    statements = ["one"]
    [transaction.parameter]
    number = { query = "SELECT 7 UNION ALL SELECT 8" }
    ratio = { query = "SELECT 0.5e0" }
    day = { query = "SELECT DATE '2026-01-02'" }
    [measure.age]
    statement = "one"
    column = "word"
    unit = "us"
    [gauge.two]
    query = "SELECT 1, 2"
    every = "1s"
    "#;
    let queries = "-- name: one :one\nSELECT :number AS n, :ratio AS r, :day AS d, 'x' AS word;\n";
    let files = [("workload.toml", toml), ("queries.mysql.sql", queries)];
    let (_folder, workload) = workload_of(&files, Dialect::Mysql);
    let database = MyDatabase::empty();
    let (values, error) = database.with(async |client| {
        check_statements(client, &workload).await.unwrap_or_else(|error| panic!("{error}"));
        let values = query_values(client, &workload).await.unwrap_or_else(|error| panic!("{error}"));
        let dataset = workload.dataset(SEED, 1.0);
        let checked = check_parameters(client, &workload, &dataset, &values).await;
        (values, checked.expect_err("a text is no measure"))
    });
    let of = |name: &str| {
        let transaction = &workload.transactions[0];
        let at = transaction.draws.iter().position(|draw| transaction.slots[draw.slot.index()] == name);
        &*values[0][at.expect("it is drawn")]
    };
    assert_eq!(of("number"), [QueryValue::Int(7), QueryValue::Int(8)]);
    assert_eq!(of("ratio"), [QueryValue::Float(0.5)]);
    assert_eq!(of("day"), [QueryValue::Text("2026-01-02".to_owned())]);
    let found = mistakes(error);
    assert_eq!(found.items().len(), 2, "{found}");
}

#[test]
fn every_workload_that_ships_for_mariadb_loads_and_runs() {
    let mut loaded = vec![];
    for entry in fs::read_dir("workloads").expect("the folder of the workloads") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let workload = match load_for(&path, Dialect::Mysql) {
            Ok(workload) => workload,
            Err(refused) => {
                let words = refused.to_string();
                assert!(
                    words.contains(&format!("workload `{name}` does not run on MariaDB or MySQL")),
                    "{words}"
                );
                continue;
            }
        };
        let database = MyDatabase::empty();
        let small = options(0.01, 2, Existing::Refuse);
        if name == "saas" && is_mysql() {
            // Its INSERT … RETURNING, of which a later transaction takes the number, is known to MariaDB only.
            let refused = try_load(&database.url, &workload, &small).expect_err("MySQL does not know it");
            assert!(refused.to_string().contains("insert_task"), "{refused}");
            assert_eq!(database.tables(), Vec::<String>::new(), "nothing is left of it");
            continue;
        }
        let summary =
            try_load(&database.url, &workload, &small).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(summary.rows > 100, "{name}: {}", summary.rows);
        assert!(try_load(&database.url, &workload, &small).expect("it is there").already_loaded, "{name}");
        database.with(async |client| {
            check_statements(client, &workload).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let values =
                query_values(client, &workload).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let checked = check_parameters(client, &workload, &workload.dataset(SEED, 0.01), &values).await;
            checked.unwrap_or_else(|error| panic!("{name}: {error}"));
        });
        let runs = TempDir::new().expect("a folder");
        let mut command = dbdyno();
        let words = "run --rate 40 --duration 2s --warmup 0s --pool-size 4 --no-probes -q --json - -w";
        command.args(words.split(' ')).arg(&path).args(["-t", database.url()]);
        let ended = Measured::from(&command.env("DBDYNO_RUNS_DIR", runs.path()).output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.errors);
        let books = &ended.report().stages[0].accounting;
        assert!(books.ok > 20 && books.failed == 0, "{name}: {books:?}");
        loaded.push(name);
    }
    loaded.sort();
    let of_both = ["shop", "sysbench", "tpcb"];
    assert_eq!(loaded, if is_mysql() { of_both.to_vec() } else { [&["saas"], &of_both[..]].concat() });
}
