//! The lock queue: somebody reads for long, a migration waits for them, and the traffic waits behind the migration.

use dbdyno::model::{Migration, Report};

use crate::harness::Database;
use crate::place::{Measured, Place};

/// How long the reader reads, in seconds.
const READS_S: f64 = 3.0;

fn rehearse(more: &[&str]) -> (Report, String) {
    let database = Database::empty();
    database.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)");
    // Four users who think a while, and four connections: nobody waits for a connection, so that all that they lose is the lock.
    let place = Place::one_statement("SELECT n FROM t WHERE id = 1");
    let folder = place.path("migrations");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("1_note.sql"), "ALTER TABLE t ADD COLUMN note text;").expect("a file");
    let words =
        "migration --in-place --before 4s --after 4s --settle 1s --warmup 500ms --pool-size 4 --clients 4";
    let mut command = place.on(database.url(), words);
    command.args(["--think", "20ms", "--disturb", "long-reader=3s", "--allow-target", database.name()]);
    command.arg("--migrations").arg(&folder).args(more).args(["--json", "-"]);
    let measured = Measured::from(&command.output().expect("it runs"));
    let report = measured.report();
    assert_eq!(
        database.value("SELECT count(*) FROM pg_attribute WHERE attname = 'note'"),
        "1",
        "{}",
        measured.errors
    );
    (report, measured.errors)
}

fn migration(report: &Report) -> &Migration {
    report.migration.as_ref().expect("a migration check")
}

#[test]
fn victims_of_a_queue_are_charged_to_the_statement_in_it_with_the_reader_as_root() {
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

    let policy = ["--lock-timeout", "200ms", "--retries", "30", "--backoff", "400ms"];
    let (with_timeout, errors) = rehearse(&policy);
    let short = migration(&with_timeout);
    let tries = &short.statements[0].tries;
    // The reader reads for three seconds, and a try and its pause take six tenths of one.
    assert!((3..=9).contains(&tries.len()), "{tries:?} {errors}");
    let gave_up =
        tries.iter().filter(|one| one.error.as_ref().is_some_and(|error| error.contains("55P03"))).count();
    assert_eq!(gave_up, tries.len() - 1, "{tries:?}");
    assert!(
        short.blast.blocked_us_max as f64 <= 0.2 * queue.blast.blocked_us_max as f64,
        "{:?} {:?}",
        short.blast,
        queue.blast
    );
}
