//! Index experiments on a MariaDB: the same verdicts as on PostgreSQL, by what that server can give, and the target as it was.

use dbdyno::dataset::index;
use dbdyno::model::{IndexVerdict, Verdict};
use dbdyno::sql::index::CreateIndex;
use dbdyno::units::Dialect;
use rustix::process::Signal;

use crate::harness::is_mysql;
use crate::index::{QUERIES, SHORT, WORKLOAD, assert_reads_won, experiment, index as of, statement};
use crate::mariadb::MyDatabase;
use crate::place::{Measured, Place, Running};

const SCHEMA: [&str; 9] = [
    "CREATE TABLE customers (id int PRIMARY KEY)",
    "INSERT INTO customers SELECT seq FROM seq_1_to_2000",
    "CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, paid boolean NOT NULL DEFAULT false,
        note varchar(100) NOT NULL DEFAULT (repeat('x', 100)), KEY orders_note (note(10), id DESC) COMMENT 'a, b')",
    "INSERT INTO orders (customer_id, paid) SELECT 1 + seq % 2000, seq % 2 FROM seq_1_to_40000",
    "CREATE TABLE invoices (id int PRIMARY KEY, customer_id int NOT NULL, KEY orders_note (id, customer_id))",
    "INSERT INTO invoices SELECT seq, 1 + seq % 2000 FROM seq_1_to_5000",
    "CREATE INDEX invoices_customer ON invoices (customer_id)",
    "ALTER TABLE invoices ADD CONSTRAINT invoices_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE",
    "ANALYZE TABLE orders, invoices",
];

fn ledger() -> (MyDatabase, Place) {
    let database = MyDatabase::empty();
    database.execute(&SCHEMA);
    (database, Place::new(WORKLOAD, QUERIES))
}

/// All that an experiment must leave as it was: each part of each index, and whether it is used.
fn state(database: &MyDatabase) -> Vec<Vec<Option<String>>> {
    let is_used = if is_mysql() { "IS_VISIBLE" } else { "IGNORED" };
    database.rows(&format!(
        "SELECT TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, COLLATION, NON_UNIQUE, INDEX_COMMENT, {is_used}
         FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
    ))
}

fn run(database: &MyDatabase, place: &Place, more: &[&str]) -> Measured {
    let mut command = place.on(database.url(), SHORT);
    Measured::from(&command.args(more).args(["--json", "-"]).output().expect("it runs"))
}

/// Begins slices that are short, and to be interrupted.
fn begin(database: &MyDatabase, place: &Place, more: &[&str]) -> Running {
    let mut command = std::process::Command::new(crate::harness::program());
    crate::harness::own_environment(&mut command);
    let words = "index --rate 50 --slice 200ms --warmup 0s --settle 0s --pool-size 1 --json -";
    command.env("DBDYNO_RUNS_DIR", place.runs()).args(words.split(' ')).args(more);
    command.args(["-t", database.url(), "-w"]).arg(place.workload());
    Running::spawn(command)
}

mod alone {
    use super::*;

    #[test]
    fn a_useful_index_is_added_for_what_reads_win_on_mariadb_as_well() {
        let (database, place) = ledger();
        let before = state(&database);
        // MySQL has no IF NOT EXISTS of an index.
        let add = if is_mysql() {
            "ALTER TABLE orders ADD INDEX orders_customer (customer_id), ALGORITHM=INPLACE"
        } else {
            "ALTER TABLE orders ADD INDEX IF NOT EXISTS orders_customer (customer_id), ALGORITHM=INPLACE"
        };
        let ended = run(&database, &place, &["--add", add, "--limit", "mean +900%"]);
        let report = ended.report();
        assert_eq!(ended.code, Some(0), "{}\n{:?}", ended.errors, report.verdict);
        assert_eq!(state(&database), before, "the target is as it was");
        assert_eq!((report.kind.as_str(), report.verdict), ("index", Verdict::Pass));
        assert_eq!(experiment(&report).arms, ["without", "with", "hidden"]);
        let found = of(&report, "orders (customer_id)");
        assert_eq!(found.verdict, IndexVerdict::Add, "{found:?}");
        assert_reads_won(found, "ALL on orders");
        assert_eq!(
            found.production,
            ["ALTER TABLE `orders` ADD INDEX `orders_customer` (customer_id), ALGORITHM=INPLACE, LOCK=NONE;"]
        );
        assert!(found.caveats[0].contains("lock_wait_timeout"), "{found:?}");
        assert!(found.size_by.as_deref().is_some_and(|by| by.contains("innodb_index_stats")), "{found:?}");
        // An entry has its column, the primary key and a little more: 40,000 of them in 16 kB pages.
        assert!((500_000..3_000_000).contains(&found.size_bytes), "{found:?}");

        // What this server does not tell is left out, and said.
        assert_eq!((found.scans, found.fillfactor), (None, None));
        assert!(found.entries_read > Some(0), "{found:?}");
        let effect = found.effect.as_ref().expect("it was measured");
        assert!(statement(found, "order.insert_order").blocks.is_none());
        let counters = effect.counters.as_ref().expect("writes were counted");
        assert!(counters.statements.is_empty() && counters.hot_fraction.is_none(), "{counters:?}");
        let whole = counters.whole.as_ref().expect("of the whole server");
        // An insert into one more index logs an entry more.
        assert!(whole.log_bytes.1 > whole.log_bytes.0 + 5.0, "{whole:?}");
        assert!(whole.page_changes.is_some_and(|(without, with)| with > without), "{whole:?}");
        let why = experiment(&report).not_counted.as_deref().expect("it is said");
        assert!(why.contains("what each statement writes"), "{why}");
        let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
        assert!(page.starts_with("ADD  ledger: index orders (customer_id)"), "{page}");
        for words in
            ["not counted", "LOCK=NONE", "dbdyno_orders_customer", "innodb_index_stats", "lock_wait_timeout"]
        {
            assert!(page.contains(words), "`{words}` is missing: {page}");
        }
        assert!(!page.contains("CONCURRENTLY") && !page.contains("fillfactor"), "{page}");
    }
}

#[test]
fn what_no_statement_uses_is_not_added_and_a_twin_is_named_on_mariadb() {
    let (database, place) = ledger();
    let before = state(&database);
    let adds = [
        "--add",
        "CREATE INDEX ON orders (paid)",
        "--add",
        "CREATE INDEX again ON invoices (customer_id) USING BTREE",
    ];
    let running = begin(&database, &place, &[&adds[..], &["--operations", "0"]].concat());
    // Two rounds of five arms: plans tell what is used, and not how long it takes.
    place.wait_for_seconds(12);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(state(&database), before, "the target is as it was");
    let report = ended.report();
    assert_eq!(experiment(&report).not_counted, None, "nobody asked for it");
    let boolean = of(&report, "orders (paid)");
    assert_eq!(boolean.verdict, IndexVerdict::DoNotAdd, "{boolean:?}");
    assert!(boolean.reasons[0].contains("no statement of the mix used it"), "{boolean:?}");
    assert!(boolean.production.is_empty() && boolean.used_by.is_empty(), "{boolean:?}");
    let twin = of(&report, "invoices (customer_id) USING BTREE");
    assert_eq!(twin.duplicate_of.as_deref(), Some("invoices_customer"));
    assert_eq!(twin.verdict, IndexVerdict::DoNotAdd, "{twin:?}");
    assert_eq!(twin.foreign_keys[0].other_index.as_deref(), Some("invoices_customer"));
    let said =
        "invoices (customer_id) USING BTREE: invoices_customer is made alike and answers the same searches";
    assert!(ended.errors.contains(said), "{}", ended.errors);
}

/// The only index of a foreign key is hidden where the other one is away; both are back after an interrupt.
#[test]
fn an_index_that_a_foreign_key_needs_is_kept_and_what_was_dropped_is_back_on_mariadb() {
    let (database, place) = ledger();
    let before = state(&database);
    let drops = ["--drop", "invoices_customer", "--drop", "orders.orders_note"];
    let running = begin(&database, &place, &drops);
    place.wait_for_seconds(4);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(state(&database), before, "{}", ended.errors);
    let back = "orders.orders_note is dropped and built anew on the way; should dbdyno be killed, this puts it back: ALTER TABLE `orders` \
                ADD KEY `orders_note` (`note`(10),`id` DESC) COMMENT 'a, b';";
    assert!(ended.errors.contains(back), "{}", ended.errors);
    let report = ended.report();
    let arms = ["none", "all", "hidden", "not invoices.invoices_customer", "not orders.orders_note"];
    assert_eq!(experiment(&report).arms, arms);
    let kept = of(&report, "invoices.invoices_customer");
    assert_eq!(kept.verdict, IndexVerdict::Keep, "{kept:?}");
    assert!(kept.reasons[0].contains("invoices_customer_fk looks rows of invoices up by it"), "{kept:?}");
    assert!(kept.production.is_empty() && kept.required.is_some(), "{kept:?}");
    assert_eq!(of(&report, "orders.orders_note").required, None);
}

#[test]
fn an_index_that_the_server_made_for_a_foreign_key_survives_a_trial_on_mariadb() {
    let (database, _) = ledger();
    database.execute(&["CREATE TABLE entries (id int PRIMARY KEY, order_id int NOT NULL, amount int,
        CONSTRAINT entries_order FOREIGN KEY (order_id) REFERENCES orders (id))"]);
    let before = state(&database);
    let asked = CreateIndex::parse_in("CREATE INDEX ON entries (order_id, amount)", Dialect::Mysql)
        .expect("an index");
    let found = database.with(async |client| index::added(client, &asked, 1).await);
    let found = found.expect("the server answers").expect("it can be built");
    assert_eq!(state(&database), before, "{found:?}");
    assert!(
        found.notes.iter().any(|note| note.contains("made the index entries_order of entries by itself")),
        "{found:?}"
    );
    assert_eq!(found.covers, ["entries_order"]);
    // It is one of its own now: the next trial takes nothing with it.
    let again = database.with(async |client| index::added(client, &asked, 1).await);
    assert_eq!(again.expect("the server answers").expect("it can be built").notes, Vec::<String>::new());
    assert_eq!(state(&database), before);
}

#[test]
fn unused_indexes_are_those_that_no_plan_names_and_no_foreign_key_needs_on_mariadb() {
    let (database, place) = ledger();
    database.execute(&["CREATE INDEX orders_customer ON orders (customer_id)"]);
    let running = begin(&database, &place, &["--drop-unused", "--operations", "0"]);
    place.wait_for_seconds(1);
    running.signal(Signal::INT);
    let report = running.end().report();
    let labels: Vec<&str> = experiment(&report).indexes.iter().map(|index| index.label.as_str()).collect();
    assert_eq!(labels, ["invoices.orders_note", "orders.orders_note"]);
}

#[test]
fn what_cannot_be_put_to_the_test_is_refused_with_the_reason_on_mariadb() {
    let (database, place) = ledger();
    database.execute(&[
        "CREATE UNIQUE INDEX orders_both ON orders (customer_id, id)",
        "CREATE INDEX orders_hidden ON orders (customer_id) IGNORED",
        "CREATE TABLE plain (id int, KEY plain_id (id)) ENGINE=MyISAM",
        "CREATE VIEW shown AS SELECT id FROM orders",
    ]);
    let before = state(&database);
    let refused: [(&[&str], &str); 19] = [
        (&["--add", "DROP TABLE orders"], "it is no CREATE INDEX"),
        (&["--add", "CREATE INDEX i ON orders (paid); DROP TABLE orders"], "holds 2 statements"),
        (&["--add", "ALTER TABLE orders ADD INDEX (paid), DROP COLUMN note"], "changes more than one thing"),
        (&["--add", "CREATE FULLTEXT INDEX i ON orders (note)"], "a FULLTEXT or SPATIAL index"),
        (&["--add", "CREATE INDEX ON nowhere (paid)"], "there is no table nowhere"),
        (&["--add", "CREATE INDEX ON mysql.user (host)"], "it lies in the database mysql"),
        (&["--add", "CREATE INDEX ON plain (id)"], "is kept by MyISAM"),
        (&["--add", "CREATE INDEX ON shown (id)"], "is no table that an index is built on"),
        (&["--add", "CREATE INDEX ON orders (payed)"], "Key column 'payed' doesn't exist"),
        (&["--add", "CREATE UNIQUE INDEX ON orders (paid)"], "Duplicate entry"),
        (&["--add", "CREATE INDEX orders_note ON orders (paid)"], "is --drop what is meant?"),
        (&["--drop", "orders_note"], "write invoices.orders_note or orders.orders_note"),
        (&["--drop", "orders.PRIMARY"], "it is the primary key"),
        (&["--drop", "orders_both"], "it forbids duplicates"),
        (&["--drop", "orders_hidden"], "it is hidden from the planner"),
        (&["--drop", "nothing"], "there is no index of this name"),
        (&["--suggest"], "--suggest (what it tries out is taken back by a rollback) needs PostgreSQL so far"),
        (&["--add", "CREATE INDEX ON orders (paid)", "--clone"], "--clone needs PostgreSQL so far"),
        (&["--add", "CREATE INDEX ON orders (paid)", "--cache", "4"], "it goes with --target local"),
    ];
    for (arguments, words) in refused {
        let ended = run(&database, &place, arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.errors);
        assert!(ended.errors.contains(words), "{arguments:?}: {}", ended.errors);
    }
    assert_eq!(state(&database), before, "nothing was done");
}

/// Half of the data fits into the buffer pool of a throwaway server, from its restart on.
#[test]
fn a_cache_regime_sizes_the_buffer_pool_of_a_throwaway_mariadb() {
    let document = "name = \"keyed\"\nengines = [\"mysql\"]\n[table.entries]\nrows = 60_000\n[table.entries.column]\n\
                    id = { sequence = {} }\naccount = { uniform = [1, 500] }\nnote = { text = { length = [400, 400] } }\n\
                    [[transaction]]\nname = \"look\"\nstatements = [\"entry\"]\n[transaction.parameter]\n\
                    id = { uniform = [1, 60000] }\n";
    let place = Place::new(document, "-- name: entry :one\nSELECT note FROM entries WHERE id = :id;\n").file(
        "schema.mysql.sql",
        "CREATE TABLE entries (id int PRIMARY KEY, account int NOT NULL, note varchar(400) NOT NULL);\n",
    );
    let mut command = std::process::Command::new(crate::harness::program());
    crate::harness::own_environment(&mut command);
    let words = format!(
        "index --rate 100 --slice 300ms --settle 0s --pool-size 1 --operations 0 --warmup 0s --cache 2 -t {} --json -",
        crate::harness::local_mysql()
    );
    command.env("DBDYNO_RUNS_DIR", place.runs()).args(words.split(' '));
    command.arg("-w").arg(place.workload()).args(["--add", "CREATE INDEX ON entries (account)"]);
    let running = Running::spawn(command);
    place.wait_for_seconds(1);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert!(ended.errors.contains("so that innodb_buffer_pool_size is"), "{}", ended.errors);
    let target = ended.report().target;
    let found =
        target.database_bytes.expect("asked") as f64 / target.shared_buffers_bytes.expect("asked") as f64;
    // The server rounds to its chunks.
    assert!((1.6..=2.2).contains(&found), "{found}");
}
