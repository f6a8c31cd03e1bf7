//! The lock queue, on both engines: somebody reads for long, a migration waits for them, and the traffic waits behind the migration.

use dbdyno::model::Report;

use crate::harness::Database;
use crate::mariadb::MyDatabase;
use crate::migration::{check_at, migration, migrations};
use crate::place::Place;

/// How long the reader reads, in seconds.
const READS_S: f64 = 3.0;

/// A table of one row, and how many columns `note` it has.
const TABLE: [&str; 2] = ["CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 0)"];
const NOTES: &str =
    "SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND column_name = 'note'";

fn on_postgres(more: &[&str]) -> (Report, String) {
    let database = Database::empty();
    database.execute(&TABLE.join(";"));
    let told = rehearse(database.url(), database.name(), more);
    assert_eq!(database.value(NOTES), "1", "{}", told.1);
    told
}

fn on_mariadb(more: &[&str]) -> (Report, String) {
    let database = MyDatabase::empty();
    database.execute(&TABLE);
    let told = rehearse(database.url(), database.name(), more);
    assert_eq!(database.value(&format!("{NOTES} AND table_schema = DATABASE()")), "1", "{}", told.1);
    told
}

fn rehearse(url: &str, name: &str, more: &[&str]) -> (Report, String) {
    // Four users who think a while, and four connections: nobody waits for a connection, so that all that they lose is the lock.
    let place = Place::new(
        "name = \"one\"\nengines = [\"postgresql\", \"mysql\"]\n[[transaction]]\nname = \"only\"\nstatements = [\"look\"]\n",
        "-- name: look :many\nSELECT n FROM t WHERE id = 1;\n",
    );
    migrations(&place, &[("1_note.sql", "ALTER TABLE t ADD COLUMN note text;")]);
    let words = "migration --in-place --before 4s --after 4s --settle 1s --warmup 500ms --pool-size 4 --clients 4 \
                 --think 20ms --disturb long-reader=3s";
    let measured = check_at(&place, url, name, words, more);
    (measured.report(), measured.errors)
}

#[test]
fn victims_of_a_queue_are_charged_to_the_statement_in_it_with_the_reader_as_root() {
    let queue = of_the_queue(on_postgres);
    of_short_tries(on_postgres, ["--lock-timeout", "200ms", "--backoff", "400ms"], 3..=9, 0.2, queue);
}

#[test]
fn victims_of_a_queue_are_charged_alike_on_mariadb() {
    let queue = of_the_queue(on_mariadb);
    // A second is the shortest limit that it knows, and the reader reads for three.
    of_short_tries(on_mariadb, ["--lock-timeout", "1s", "--backoff", "400ms"], 2..=4, 0.6, queue);
}

/// Gives the longest stall.
fn of_the_queue(rehearse: fn(&[&str]) -> (Report, String)) -> u64 {
    let (report, errors) = rehearse(&["--fail-on", "blocked > 1s"]);
    let queue = migration(&report);
    let alter = &queue.statements[0];
    let root = alter.root.as_ref().unwrap_or_else(|| panic!("a root: {alter:?}"));
    assert_eq!(root.who, "dbdyno long-reader (foreign)", "{errors}");
    assert!(alter.lock_wait_us as f64 > (READS_S - 0.5) * 1e6, "{alter:?}");
    // Each of the four met the queue once, and waited until the reader had ended.
    assert_eq!(queue.blast.blocked, 4, "{queue:?}");
    // The truth are the clients' own response times, beyond what as many took before.
    let (charged, lost) = (queue.blast.blocked_us_total as f64, queue.blast.lost_us as f64);
    assert!((charged / lost - 1.0).abs() < 0.1, "charged {charged} µs, lost {lost} µs: {queue:?}");
    assert!(lost > 4.0 * (READS_S - 0.5) * 1e6, "{lost}");
    assert!(report.findings.iter().any(|of| of.id == "migration-lock-queue"), "{:?}", report.findings);

    queue.blast.blocked_us_max
}

/// A limit on the wait with tries beyond the first cuts the stall to this share of what it was.
fn of_short_tries(
    rehearse: fn(&[&str]) -> (Report, String),
    policy: [&str; 4],
    expected: std::ops::RangeInclusive<usize>,
    share: f64,
    longest_us: u64,
) {
    let policy = [&policy[..], &["--retries", "30"]].concat();
    let (report, errors) = rehearse(&policy);
    let short = migration(&report);
    let tries = &short.statements[0].tries;
    assert!(expected.contains(&tries.len()), "{tries:?} {errors}");
    let gave_up =
        tries.iter().filter(|one| one.error.as_ref().is_some_and(|error| error.contains("timeout")));
    assert_eq!(gave_up.count(), tries.len() - 1, "{tries:?}");
    assert!(
        short.blast.blocked_us_max as f64 <= share * longest_us as f64,
        "{:?}, and {longest_us} without",
        short.blast
    );
}
