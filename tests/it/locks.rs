//! Lock stories against a real server: queues behind a DDL, deadlocks with both sides, prepared transactions.

use std::time::Duration;

use dbdyno::model::{Finding, LockEpisodeInfo, Report, Stage};
use dbdyno::units::Dialect;

use crate::engines::{OwnDatabase, POSTGRESQL, TestedEngine, mariadb_or_mysql, on_both_engines};
use crate::place::{Place, measured};

on_both_engines!(
    a_queue_behind_a_ddl_is_told_with_the_ddl_and_its_root,
    who_inserted_a_key_first_holds_up_who_inserts_it_too,
);

fn finding<'a>(report: &'a Report, id: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.id == id);
    found.unwrap_or_else(|| panic!("no finding {id}: {:?}", report.findings))
}

/// The costliest episode of a waiter.
fn episode<'a>(stage: &'a Stage, waiter: &str) -> &'a LockEpisodeInfo {
    let found = stage.locks.episodes.iter().find(|episode| episode.waiter == waiter);
    found.unwrap_or_else(|| panic!("{waiter} did not wait: {:?}", stage.locks))
}

/// Whom a self-join of PostgreSQL's `pg_locks` calls the culprits: who has a lock on the relation that the pool waits for.
const SELF_JOIN: &str = "\
SELECT DISTINCT culprit.application_name
FROM pg_locks AS waiting
JOIN pg_locks AS held
  ON held.granted AND held.pid <> waiting.pid AND held.locktype = waiting.locktype
 AND held.database = waiting.database AND held.relation = waiting.relation
JOIN pg_stat_activity AS victim ON victim.pid = waiting.pid
JOIN pg_stat_activity AS culprit ON culprit.pid = held.pid
WHERE NOT waiting.granted AND victim.application_name LIKE 'dbdyno pool%' AND victim.datname = current_database()";

fn a_queue_behind_a_ddl_is_told_with_the_ddl_and_its_root(on: &TestedEngine) {
    let database = on.stock();
    let place = on.one_statement("SELECT n FROM stock WHERE id = 1");
    let running = place.begin(database.url(), "run --clients 2 --pool-size 2 --warmup 0s --duration 5s");
    place.wait_for_seconds(1);
    let reader = database.session("analytics");
    // One by one: the server keeps the text of a whole message.
    reader.execute("BEGIN");
    reader.execute("SELECT count(*) FROM stock WHERE n > 7");
    let ddl = {
        let session = database.session("migration");
        std::thread::spawn(move || {
            session.execute("ALTER TABLE stock ADD COLUMN note date DEFAULT '1999-12-31'");
        })
    };
    database.wait_for_waiter(on, "migration");
    database.wait_for_waiter(on, "dbdyno pool");
    if on.dialect == Dialect::Postgresql {
        // The join of granted locks knows the reader only, who bars no reader, and misses the DDL.
        assert_eq!(database.session("watcher").column(SELF_JOIN), ["analytics"]);
    }
    // Long enough for two looks, one of which may be late.
    let stood = Duration::from_millis(800).max(on.looks_every * 3);
    std::thread::sleep(stood);
    reader.execute("COMMIT");
    ddl.join().expect("the ALTER gets its lock");
    let report = running.end().report();

    let stage = measured(&report);
    let victim = episode(stage, "only.statement");
    assert_eq!(victim.direct_blockers, ["migration (foreign)"]);
    assert_eq!(
        (victim.root.as_str(), victim.root_state.as_str()),
        ("analytics (foreign)", "idle in transaction")
    );
    let [ddl, root] = victim.chain.as_slice() else { panic!("two links: {:?}", victim.chain) };
    assert_eq!((ddl.who.as_str(), ddl.direct), ("migration (foreign)", true));
    let wanted = ddl.waits_for.as_ref().expect("it waits as well");
    assert_eq!((wanted.lock_type.as_str(), wanted.mode.as_str()), on.ddl_lock);
    assert_eq!(wanted.relation.as_deref(), Some("stock"));
    assert_eq!(ddl.statement.as_deref(), Some("ALTER TABLE stock ADD COLUMN note date DEFAULT…"));
    // MariaDB does not tell what an idle session did last.
    let last = (on.dialect == Dialect::Postgresql).then_some("SELECT count(*) FROM stock WHERE n >…");
    assert_eq!(root.statement.as_deref(), last);
    // Whenever that was looked at, the reader had begun before the ALTER waited.
    assert!(root.transaction_age_us.is_some_and(|us| us > 10_000), "{root:?}");
    assert_eq!((root.direct, root.waits_for.as_ref()), (false, None));

    let told = finding(&report, "queue-behind-ddl");
    assert!(told.title.starts_with("migration (foreign)"), "{}", told.title);
    assert!(
        told.evidence.contains("because of analytics (foreign), idle in transaction"),
        "{}",
        told.evidence
    );
    assert!(told.remedy.contains(&format!("SET {} = ", on.ddl_limit)), "{}", told.remedy);
    // Two clients stood still for at least so long of the five seconds that each of them has.
    let share = victim.client_share.expect("it is the workload's own time");
    assert!((0.1..0.9).contains(&share), "{share}");
    let matrix = stage.locks.matrix.as_ref().expect("the workload waited");
    assert_eq!(
        (matrix.victims[0].victim.as_str(), matrix.culprits[0].as_str()),
        ("only", "analytics (foreign)")
    );
    assert!(stage.locks.wait_us_sampled.is_some_and(|us| us > 500_000), "{:?}", stage.locks.wait_us_sampled);
}

/// Two users who insert a key again and again, of which each but the first finds it there.
fn inserting(on: &TestedEngine) -> Place {
    on.one_statement(match on.dialect {
        Dialect::Postgresql => "INSERT INTO stock (id, n) VALUES (11, 1) ON CONFLICT DO NOTHING",
        Dialect::Mysql => "INSERT IGNORE INTO stock (id, n) VALUES (11, 1)",
    })
}

/// What two users were told who wait for a key from the beginning, until `end` lets them go.
fn held_up(place: &Place, database: &OwnDatabase, on: &TestedEngine, end: impl FnOnce()) -> Report {
    let running = place.begin(database.url(), "run --clients 2 --pool-size 2 --warmup 0s --duration 4s");
    place.wait_for_seconds(1);
    // Long enough for two looks, one of which may be late.
    std::thread::sleep(Duration::from_millis(800).max(on.looks_every * 3));
    end();
    running.end().report()
}

/// InnoDB knows who has inserted a row by the row: a lock of it is made by the first one who waits for it.
fn who_inserted_a_key_first_holds_up_who_inserts_it_too(on: &TestedEngine) {
    let database = on.stock();
    let holder = database.session("clerk");
    holder.execute("BEGIN");
    holder.execute("INSERT INTO stock (id, n) VALUES (11, 0)");
    // He keeps it: who takes it back lets both insert it, and InnoDB calls that a deadlock.
    let report = held_up(&inserting(on), &database, on, || holder.execute("COMMIT"));

    let stage = measured(&report);
    let of_the_key = |episode: &&LockEpisodeInfo| episode.waiter == "only.statement";
    let episodes: Vec<&LockEpisodeInfo> = stage.locks.episodes.iter().filter(of_the_key).collect();
    let waits: u64 = episodes.iter().map(|episode| episode.count).sum();
    assert_eq!(waits, 2, "both users, from the beginning until he lets go: {:#?}", stage.locks);
    for episode in episodes {
        assert_eq!(
            (episode.root.as_str(), episode.root_state.as_str()),
            ("clerk (foreign)", "idle in transaction"),
            "{episode:?}"
        );
        assert_eq!(episode.direct_blockers, ["clerk (foreign)"], "{episode:?}");
        assert_eq!(episode.chain.len(), 1, "{episode:?}");
    }
    let told = finding(&report, "idle-in-transaction-blocker");
    assert!(told.title.contains("clerk (foreign)"), "{}", told.title);
}

/// Of the session that prepared it MySQL goes on to show the thread, which has nothing to do with it any more.
#[test]
fn a_prepared_transaction_of_a_mariadb_is_no_sessions() {
    let on = mariadb_or_mysql();
    let database = on.stock();
    let name = database.session("test").value("SELECT DATABASE()");
    let tool = database.session("nightly tool");
    let in_it = "INSERT INTO stock (id, n) VALUES (11, 0)";
    let prepared = [
        format!("XA START '{name}'"),
        in_it.into(),
        format!("XA END '{name}'"),
        format!("XA PREPARE '{name}'"),
    ];
    for sql in prepared {
        tool.execute(&sql);
    }
    // MariaDB lets the transaction go with its session only, MySQL at once.
    let tool = (on.name == "mysql").then_some(tool);
    let report = held_up(&inserting(on), &database, on, || database.execute(&format!("XA COMMIT '{name}'")));
    drop(tool);

    let victim = episode(measured(&report), "only.statement");
    assert_eq!(
        (victim.root.as_str(), victim.root_state.as_str()),
        ("prepared transaction (foreign)", "prepared transaction"),
        "{victim:?}"
    );
    let told = finding(&report, "prepared-transaction-blocker");
    assert!(told.remedy.contains("XA COMMIT"), "{}", told.remedy);
}

/// Two transactions that update the same two rows in opposite order, with time between the two updates.
fn crossing() -> Place {
    let transaction = |name: &str, first: &str, second: &str| {
        format!(
            "[[transaction]]\nname = \"{name}\"\nretry = {{ on = [\"40P01\"], max_tries = 5 }}\n\
             [[transaction.step]]\nstatement = \"{first}\"\n\
             [[transaction.step]]\nstatement = \"{second}\"\nhold = \"30ms\"\n"
        )
    };
    let update =
        |name: &str, id: u32| format!("-- name: {name} :exec\nUPDATE stock SET n = n + 1 WHERE id = {id};\n");
    Place::new(
        &format!(
            "name = \"crossing\"\n{}{}",
            transaction("forward", "one", "two"),
            transaction("backward", "two", "one")
        ),
        &[update("one", 1), update("two", 2)].concat(),
    )
}

#[test]
fn a_deadlock_is_told_with_both_sides() {
    let database = POSTGRESQL.stock();
    // Long enough to be seen by a look, and short enough for several in a test.
    let name = database.session("test").value("SELECT current_database()");
    database.execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '300ms'"));
    let words = "run --clients 2 --pool-size 2 --warmup 0s --duration 5s";
    let report = crossing().report(database.url(), words);
    let stage = measured(&report);

    // With two clients a circle has two sides, and each is in its second statement.
    let sides = ["backward.one", "forward.two"];
    assert!(!stage.deadlocks.is_empty(), "{:?}", stage.transactions);
    for kind in &stage.deadlocks {
        let mut both = vec![kind.victim.as_str()];
        both.extend(kind.others.iter().map(String::as_str));
        both.sort_unstable();
        assert_eq!(both, sides, "{kind:?}");
        assert!(kind.locks[0].starts_with(&format!("{} waited for ShareLock on a transaction", kind.victim)));
        assert!(kind.locks[0].ends_with(&format!("held up by {}", kind.others[0])), "{kind:?}");
        assert!((0.0..6.0).contains(&kind.t_s), "{kind:?}");
    }
    let told: u64 = stage.deadlocks.iter().map(|kind| kind.count).sum();
    let counted: u64 = stage.transactions.iter().filter_map(|one| one.errors.get("40P01")).sum();
    assert_eq!(told, counted, "each error is one deadlock, tried again or not");
    let said = finding(&report, "deadlocks");
    assert!(said.title.contains("forward") && said.title.contains("backward"), "{}", said.title);
}

#[test]
fn a_prepared_transaction_that_blocks_is_named_and_so_is_what_ends_it() {
    let database = POSTGRESQL.stock();
    let gid = format!("nightly of {}", database.session("test").value("SELECT current_database()"));
    let tool = database.session("nightly tool");
    tool.execute(&format!("BEGIN; UPDATE stock SET n = 0 WHERE id = 1; PREPARE TRANSACTION '{gid}'"));
    let place = POSTGRESQL.one_statement("UPDATE stock SET n = n + 1 WHERE id = 1");
    let running = place.begin(database.url(), "run --clients 1 --pool-size 1 --warmup 0s --duration 4s");
    database.wait_for_waiter(&POSTGRESQL, "dbdyno pool");
    std::thread::sleep(Duration::from_secs(1));
    tool.execute(&format!("COMMIT PREPARED '{gid}'"));
    let report = running.end().report();

    let victim = episode(measured(&report), "only.statement");
    assert_eq!(victim.root_state, "prepared transaction");
    assert_eq!(victim.chain.last().and_then(|link| link.gid.as_deref()), Some(gid.as_str()), "{victim:?}");
    assert!(victim.wait_us_max > 800_000, "{victim:?}");
    let told = finding(&report, "prepared-transaction-blocker");
    assert!(told.remedy.contains(&format!("ROLLBACK PREPARED '{gid}'")), "{}", told.remedy);
}
