//! Rows without a database: what `dbdyno preview` shows and writes.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::harness::{Database, own_environment, program};
use crate::place::{Measured, Place};

const WORKLOAD: &str = r#"
    name = "rows"
    [table.people]
    rows = 1_000
    [table.people.column]
    id = { sequence = {} }
    "Full name" = { template = "{first_name} \"{last_name}\", No. {id}" }
    note = { text = { length = [0, 40] }, null_fraction = 0.3 }
    member = { boolean = { true_fraction = 0.5 } }
    born = { date = { from = "1950-01-01", to = "2000-01-01" } }
    seen_at = { timestamp = { from = "2024-01-01", to = "2025-01-01" } }
    balance = { decimal = { min = -100, max = 100, scale = 2 } }
    [table.visits]
    rows = 3_000
    [table.visits.column]
    id = { sequence = {} }
    person_id = { reference = { table = "people" } }
    [table.foreign]
    rows = 5
    [[transaction]]
    name = "only"
    statements = ["one"]
"#;

fn place() -> Place {
    Place::new(WORKLOAD, "-- name: one :many\nSELECT 1;\n")
}

fn preview(place: &Place, words: &[&str]) -> Measured {
    let mut command = place.dbdyno("preview -w");
    Measured::from(&command.arg(place.workload()).args(words).output().expect("the program can be started"))
}

#[test]
fn tables_are_shown_within_the_width_of_the_page() {
    let place = place();
    for width in [60, 80, 200] {
        let mut command = place.dbdyno("preview -w");
        command.arg(place.workload()).env("COLUMNS", width.to_string());
        let shown = Measured::from(&command.output().expect("the program can be started"));
        assert_eq!((shown.code, shown.errors.as_str()), (Some(0), ""));
        let widest = shown.output.lines().map(|line| line.chars().count()).max();
        assert!(widest.expect("lines") <= width, "{width}:\n{}", shown.output);
        for part in
            ["people  1 000 rows at scale 1", "the first 10", "visits  3 000 rows", "NULL", "bigint", "date"]
        {
            assert!(shown.output.contains(part), "{part} is not in\n{}", shown.output);
        }
        assert!(!shown.output.contains('\x1b'), "no colour where no terminal is");
        assert!(!shown.output.contains("foreign"), "a table without columns has no rows to show");
    }
    let one = preview(&place, &["--table", "visits", "--rows", "2", "--scale", "2"]);
    assert!(one.output.starts_with("visits  6 000 rows at scale 2"), "{}", one.output);
    // Title, empty line, names, types, rule, two rows.
    assert_eq!(one.output.lines().count(), 7, "{}", one.output);
}

/// What is written as CSV is what is loaded.
#[test]
fn csv_is_read_back_by_the_server_as_what_was_loaded() {
    let schema = "CREATE TABLE people (id bigint PRIMARY KEY, \"Full name\" text, note text, member boolean, born date,
                      seen_at timestamptz, balance numeric(12, 2));
                  CREATE TABLE visits (id bigint PRIMARY KEY, person_id bigint);";
    let without_foreign = WORKLOAD.replace("[table.foreign]\n    rows = 5\n", "");
    let place = Place::new(&without_foreign, "-- name: one :many\nSELECT 1;\n").file("schema.sql", schema);
    let database = Database::empty();
    let loaded = Measured::from(&place.on(database.url(), "load").output().expect("it starts"));
    assert_eq!(loaded.code, Some(0), "{}", loaded.errors);
    let folder = place.runs().join("csv");
    let written = preview(&place, &["--format", "csv", "--out", folder.to_str().expect("UTF-8")]);
    assert_eq!((written.code, written.output.as_str()), (Some(0), ""), "{}", written.errors);
    let csv = std::fs::read_to_string(folder.join("people.csv")).expect("it was written");
    assert!(csv.starts_with("id,Full name,note,member,born,seen_at,balance\r\n"), "{}", &csv[..200]);
    // A quote within a value stands doubled, and values with one or with a comma in quotes.
    assert!(csv.lines().nth(1).is_some_and(|line| line.starts_with("1,\"") && line.contains("\"\"")));
    database.execute("CREATE TABLE copies (LIKE people)");
    copy_in(&database, &csv);
    let differ = "SELECT count(*) FROM ((TABLE people EXCEPT TABLE copies) UNION ALL (TABLE copies EXCEPT TABLE people)) d";
    assert_eq!(database.value(differ), "0");
    assert_eq!(database.value("SELECT count(*) FROM copies"), "1000");
    // Both NULL and the empty text are there, and they stayed apart.
    assert_eq!(database.value("SELECT count(*) FILTER (WHERE note IS NULL) > 200 AND count(*) FILTER (WHERE note = '') > 0 FROM copies"), "t");

    let again = preview(&place, &["--format", "csv", "--out", folder.to_str().expect("UTF-8")]);
    assert_eq!(again.code, Some(1), "what is there is not overwritten");
    assert!(again.errors.contains("people.csv"), "{}", again.errors);
}

fn copy_in(database: &Database, csv: &str) {
    let runtime = crate::harness::runtime();
    runtime.block_on(async {
        use futures_util::SinkExt as _;
        let settings = dbdyno::db::postgres::Settings::from_url(database.url()).expect("a URL");
        let client = dbdyno::db::postgres::connect(&settings, "test").await.expect("the server runs");
        let sink =
            client.copy_in("COPY copies FROM STDIN WITH (FORMAT csv, HEADER)").await.expect("it begins");
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from(csv.to_owned())).await.expect("it is sent");
        assert_eq!(sink.finish().await.expect("it is read"), 1000);
    });
}

#[test]
fn what_cannot_be_shown_is_refused_with_the_flag_that_helps() {
    let place = place();
    for (words, parts) in [
        (
            &["--table", "peple"] as &[&str],
            &["no columns of a table `peple`", "did you mean `people`?"] as &[&str],
        ),
        (&["--table", "foreign"], &["`foreign`", "people, visits"]),
        (&["--format", "csv"], &["2 tables", "--table", "--out DIR"]),
        (&["--out", "somewhere"], &["--out", "--format csv"]),
        (&["--format", "xml"], &["xml", "table", "csv"]),
    ] {
        let ended = preview(&place, words);
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{}", ended.errors);
        for part in parts {
            assert!(ended.errors.contains(part), "{part} is not in {}", ended.errors);
        }
    }
    let empty = Place::one_statement("SELECT 1");
    let ended = preview(&empty, &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("describes no columns"), "{}", ended.errors);
    let more = preview(&place, &["--format", "csv", "--table", "visits", "--rows", "9999"]);
    assert_eq!((more.code, more.output.lines().count()), (Some(0), 3_001));
    assert!(more.errors.contains("visits has 3 000 rows at scale 1"), "{}", more.errors);
}

/// `| head`
#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let place = place();
    let mut command = Command::new(program());
    own_environment(&mut command);
    command.args(["preview", "--format", "csv", "--table", "people", "--scale", "100000", "-w"]);
    command.arg(place.workload()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    let mut first = [0; 100];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("rows come");
    // The pipe is closed now, and a hundred million rows are not written.
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), b"".as_slice()));
}
