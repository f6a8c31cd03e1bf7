//! `dbdyno load` as people meet it: what it shows, and what is left when it does not come to its end.

use std::process::Command;
use std::time::Duration;

use dbdyno::dataset::{Holds, inspect};
use dbdyno::db::Target;
use rustix::process::Signal;

use crate::harness::{Database, own_environment, program, runtime, wait_until};
use crate::place::{Measured, Place, Running};

const WORKLOAD: &str = r#"
    name = "loaded"
    [table.things]
    rows = 30_000
    [table.things.column]
    id = { sequence = {} }
    name = { words = [2, 5] }
    [[transaction]]
    name = "only"
    statements = ["one"]
"#;

fn place(schema: &str) -> Place {
    Place::new(WORKLOAD, "-- name: one :many\nSELECT 1;\n").file("schema.sql", schema)
}

const SCHEMA: &str = "CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL);\n";

fn holds(place: &Place, database: &Database) -> Holds {
    let workload = dbdyno::workload::load(&place.workload()).expect("right");
    let target = Target::parse(database.url()).expect("a URL");
    runtime().block_on(async {
        let client = target.connect("test").await.expect("the server runs");
        inspect(&client, &workload).await.expect("it can be looked at").holds
    })
}

fn load(place: &Place, database: &Database) -> Measured {
    Measured::from(&place.on(database.url(), "load").output().expect("it starts"))
}

fn begin(place: &Place, database: &Database, words: &[&str]) -> Running {
    let mut command = Command::new(program());
    own_environment(&mut command);
    command.arg("load").args(words).arg("-w").arg(place.workload()).args(["-t", database.url()]);
    Running::spawn(command)
}

#[test]
fn a_load_tells_rows_bytes_and_the_seconds_of_each_phase() {
    let (place, database) = (place(SCHEMA), Database::empty());
    let ended = load(&place, &database);
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""), "{}", ended.errors);
    let told = ended.errors.replace('\u{a0}', " ");
    for part in [
        "things",
        "30 000 rows",
        "rows/s",
        "MB/s",
        "schema ",
        "rows ",
        "indexes and constraints ",
        "vacuum",
        "checkpoint",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(
        !told.contains('\u{1b}') && !told.contains('\r'),
        "nothing is drawn where no terminal is: {told}"
    );
    let again = load(&place, &database);
    assert!(again.errors.contains("it is there already"), "{}", again.errors);
}

/// `script` runs a command in a terminal of its own.
#[test]
fn on_a_terminal_each_table_has_a_bar_without_colour() {
    let place = Place::new(&WORKLOAD.replace("30_000", "300_000"), "-- name: one :many\nSELECT 1;\n")
        .file("schema.sql", SCHEMA);
    let database = Database::empty();
    let mut command = Command::new("script");
    own_environment(&mut command);
    let load = format!(
        "stty cols 110; '{}' load -w '{}' -t '{}'",
        program().display(),
        place.workload().display(),
        database.url()
    );
    command.args(["-qec", &load, "/dev/null"]).env("TERM", "xterm").env("NO_COLOR", "1");
    let ended = Running::spawn(command).end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    let shown = ended.output.replace('\u{a0}', " ");
    for part in ["things", "█", " %  ", "rows/s", "MB/s", "300 000 rows"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains("\u{1b}[3") && !shown.contains("\u{1b}[1m"), "NO_COLOR is obeyed: {shown}");
}

/// Ctrl-C in each phase that takes its time: the message names the phase, the state is known, and the next load begins anew at
/// once, whatever the server was doing.
#[test]
fn an_interrupt_is_told_with_its_phase_and_the_next_load_begins_anew() {
    let slow = "CREATE FUNCTION slow(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
                $$ BEGIN IF $1 = 20000 AND current_setting('application_name') = 'dbdyno load'
                            AND EXISTS (SELECT FROM hold) THEN PERFORM pg_sleep(100); END IF; RETURN $1; END $$;";
    let table = "CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL";
    for (phase, schema, finish) in [
        ("rows", format!("{slow}\n{table});"), "SELECT 1;"),
        (
            "indexes and constraints",
            format!("{slow}\n{table});\nCREATE INDEX ON things (slow(id));"),
            "SELECT 1;",
        ),
        ("finish.sql", format!("{slow}\n{table});"), "SELECT slow(20000);"),
    ] {
        let (place, database) = (place(&schema).file("finish.sql", finish), Database::empty());
        database.execute("CREATE TABLE hold ()");
        database.execute("INSERT INTO hold DEFAULT VALUES");
        // Six million rows are not there as soon as the first of them.
        let running = begin(&place, &database, if phase == "rows" { &["--scale", "200"] } else { &[] });
        let reached = if phase == "rows" {
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0"
        } else {
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        };
        let asks = database.session("test");
        wait_until(phase, Duration::from_secs(60), || asks.value(reached) == "1");
        running.signal(Signal::INT);
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{phase}: {}", ended.errors);
        assert!(ended.errors.contains(&format!("interrupted in the phase `{phase}`")), "{}", ended.errors);
        assert!(matches!(holds(&place, &database), Holds::Interrupted(_)), "{phase}");
        database.execute("DELETE FROM hold");
        let again = load(&place, &database);
        assert_eq!(again.code, Some(0), "{phase}: {}", again.errors);
        assert_eq!(database.value("SELECT count(*) FROM things"), "30000");
        assert!(matches!(holds(&place, &database), Holds::This(_)), "{phase}");
    }
}

/// What stands in for a full disk: the server's error for it, in the middle of the rows.
#[test]
fn a_full_disk_is_told_with_the_table_and_the_load_can_be_redone() {
    let schema = "CREATE FUNCTION room(bigint) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
                  $$ BEGIN IF $1 > 20000 AND NOT EXISTS (SELECT FROM disk) THEN
                     RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                     END IF; RETURN true; END $$;
                  CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL, CHECK (room(id)));";
    let (place, database) = (place(schema), Database::empty());
    database.execute("CREATE TABLE disk ()");
    let ended = load(&place, &database);
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    for part in ["copy rows into things", "No space left on device", "53100"] {
        assert!(ended.errors.contains(part), "{part} is not in {}", ended.errors);
    }
    assert!(matches!(holds(&place, &database), Holds::Interrupted(_)));
    database.execute("INSERT INTO disk DEFAULT VALUES");
    let again = load(&place, &database);
    assert_eq!(again.code, Some(0), "{}", again.errors);
}

/// As when the server is shut down in the middle of the rows.
#[test]
fn a_server_that_goes_away_is_told_with_the_table() {
    let workload = WORKLOAD.replace("30_000", "50_000_000");
    let place = Place::new(&workload, "-- name: one :many\nSELECT 1;\n").file("schema.sql", SCHEMA);
    let database = Database::empty();
    let running = begin(&place, &database, &["--jobs", "2"]);
    let copies = "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0";
    wait_until("rows arrive", Duration::from_secs(60), || database.value(copies) != "0");
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'dbdyno load'",
    );
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("cannot copy rows into things"), "{}", ended.errors);
    assert!(matches!(holds(&place, &database), Holds::Interrupted(_)));
}
