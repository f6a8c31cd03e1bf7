//! Aged tables: dead rows, moved rows and broken HOT chains, and yet every value of the description.

use dbdyno::dataset::Existing;

use super::{options, try_load, workload};
use crate::harness::{Database, Session, wait_until};
use crate::place::folder;

const AGED: &str = r#"
    name = "aged"
    [table.shops]
    rows = 50
    [table.shops.column]
    id = { sequence = {} }
    [table.orders]
    rows = 20_000
    aged = { updated = 0.2, deleted = 0.05 }
    [table.orders.column]
    id = { sequence = {} }
    shop_id = { reference = { table = "shops" } }
    status = { weighted = { new = 1, paid = 3, shipped = 6 } }
    note = { words = [3, 9], null_fraction = 0.1 }
    [[transaction]]
    name = "read"
    statements = ["one"]
    parameter = { id = { key = { table = "orders" } } }
"#;
const SCHEMA: &str = "
    CREATE TABLE shops (id bigint PRIMARY KEY);
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id bigint NOT NULL REFERENCES shops,
        status text NOT NULL CHECK (status IN ('new', 'paid', 'shipped')), note text,
        touched timestamptz DEFAULT '2020-01-01', length int GENERATED ALWAYS AS (length(note)) STORED)FILL;
    CREATE TABLE lines (order_id bigint REFERENCES orders);
    CREATE INDEX orders_status ON orders (status);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := now(); RETURN NEW; END $$;
    CREATE TRIGGER orders_touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TRIGGER orders_off BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE orders DISABLE TRIGGER orders_off;
";
const QUERIES: &str = "-- name: one :one\nSELECT status FROM orders WHERE id = :id;\n";

const DIGEST: &str = "SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o";

/// Counters since the load, once they hold its last statement.
fn counters(session: &Session) -> [f64; 5] {
    const SQL: &str = "SELECT n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup, n_live_tup
                       FROM pg_stat_user_tables WHERE relname = 'orders'";
    let read = || {
        let row = session.rows(SQL).remove(0);
        let number =
            |value: &Option<String>| value.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        [0, 1, 2, 3, 4].map(|at: usize| number(&row[at]))
    };
    wait_until("the load's sessions told their counts", std::time::Duration::from_secs(20), || {
        read()[2] > 900.0
    });
    read()
}

#[test]
fn an_aged_table_has_dead_rows_and_holes_and_all_its_values() {
    let young = AGED.replace("aged = {", "# aged = {");
    let schema = SCHEMA.replace("FILL", "");
    let (_folder, workload) = workload(AGED, &schema, QUERIES);
    let database = Database::empty();
    let summary = try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    let session = database.session("test");
    let [updated, hot, deleted, dead, live] = counters(&session);
    // A fifth of the rows, half of these twice: changed and changed back. Which rows is drawn: 4 standard deviations.
    assert!((updated - 6_000.0).abs() < 400.0, "{updated}");
    assert!((deleted - 1_000.0).abs() < 130.0, "{deleted}");
    assert!((live - 20_000.0).abs() < 600.0, "{live}");
    // The pages were full: what stayed on its page had room from what was pruned before.
    assert!(hot < updated * 0.8, "{hot} of {updated}");
    assert!(dead > 0.1 * live, "{dead}");
    // Nothing cleans up behind the load's back, and it says so.
    assert_eq!(
        session.value("SELECT reloptions::text FROM pg_class WHERE relname = 'orders'"),
        "{autovacuum_enabled=off}"
    );
    let told = summary.notes.join("\n");
    assert!(told.contains("orders: ") && told.contains("RESET (autovacuum_enabled)"), "{told}");
    // Triggers are as they were, and did not fire.
    assert_eq!(
        session.value("SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal"),
        "orders_offD orders_touchO"
    );

    let (_folder, same_but_young) = super::workload(&young, &schema, QUERIES);
    let other = Database::empty();
    try_load(other.url(), &same_but_young, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    assert_eq!(session.value(DIGEST), other.value(DIGEST));
    let pages = "SELECT pg_relation_size('orders') / 8192";
    let number = |text: String| text.parse::<f64>().expect("a number");
    let (old, new) = (number(session.value(pages)), number(other.value(pages)));
    // At least the rows that moved stand on pages behind the others: 5 % and what found no room.
    assert!(old > new * 1.08, "{old} pages, {new} without age");
    assert!(number(session.value("SELECT max(id) - min(id) FROM orders")) > 19_998.0);
}

/// With room on each page only a changed index entry keeps an update from being HOT.
#[test]
fn room_on_the_pages_does_not_make_every_update_hot() {
    let (_folder, workload) = workload(AGED, &SCHEMA.replace("FILL", " WITH (fillfactor = 50)"), QUERIES);
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    let [updated, hot, ..] = counters(&database.session("test"));
    // Every second round changes the status and changes it back: two of three updates.
    let share = hot / updated;
    assert!((0.2..0.45).contains(&share), "{share}");
}

/// The same rows are hit, wherever they lie: what moved is the same with four connections.
#[test]
fn which_rows_are_hit_follows_from_the_seed() {
    let schema =
        SCHEMA.replace("FILL", "").replace("REFERENCES orders", "REFERENCES orders ON DELETE CASCADE");
    let (_folder, workload) = workload(AGED, &schema, QUERIES);
    // The rows that were put back last stand at the end.
    let last = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM
                (SELECT id FROM orders ORDER BY ctid DESC LIMIT 50) o";
    let tails = [1, 4].map(|jobs| {
        let database = Database::empty();
        try_load(database.url(), &workload, &options(1.0, jobs, Existing::Refuse)).expect("it loads");
        database.value(last)
    });
    assert_eq!(tails[0], tails[1]);
}

/// Rows without a key are told by their place, partitions are aged each, and rows that others refer to stay.
#[test]
fn tables_without_a_key_partitions_and_acting_foreign_keys_are_aged_as_well() {
    let toml = r#"
        name = "odd"
        [table.log]
        rows = 4_000
        aged = { updated = 0.5, deleted = 0.5 }
        column = { kind = { weighted = { a = 1, b = 1 } }, n = { uniform = [1, 1000000] } }
        [table.parents]
        rows = 4_000
        aged = { deleted = 1.0 }
        column = { id = { sequence = {} } }
        [table.children]
        rows = 500
        column = { parent_id = { reference = { table = "parents" } } }
        [[transaction]]
        name = "read"
        statements = ["one"]
    "#;
    let schema = "
        CREATE TABLE log (kind text, n int) PARTITION BY LIST (kind);
        CREATE TABLE log_a PARTITION OF log FOR VALUES IN ('a');
        CREATE TABLE log_b PARTITION OF log FOR VALUES IN ('b');
        CREATE INDEX log_kind ON log (kind);
        CREATE TABLE parents (id bigint PRIMARY KEY);
        CREATE TABLE children (parent_id bigint REFERENCES parents ON DELETE CASCADE);";
    let (_folder, workload) = workload(toml, schema, "-- name: one :many\nSELECT 1;\n");
    let database = Database::empty();
    let summary = try_load(database.url(), &workload, &options(1.0, 2, Existing::Refuse)).expect("it loads");
    let told = summary.notes.join("\n");
    assert!(told.contains("of parents only rows were deleted"), "{told}");
    let counts =
        "SELECT (SELECT count(*) FROM log), (SELECT count(*) FROM parents), (SELECT count(*) FROM children),
                         (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
                          WHERE 'autovacuum_enabled=off' = ANY (reloptions) AND relkind = 'r')";
    let expected = ["4000", "4000", "500", "log_a log_b parents"].map(|value| Some(value.to_owned()));
    assert_eq!(database.rows(counts), [expected]);
    let dead = "SELECT coalesce(sum(n_tup_del), 0) FROM pg_stat_user_tables WHERE relname IN ('log_a', 'log_b', 'parents')";
    let session = database.session("test");
    // Half of the log and all parents but those of the children.
    wait_until("the load's sessions told their counts", std::time::Duration::from_secs(20), || {
        session.value(dead).parse::<f64>().is_ok_and(|dead| dead > 5_000.0)
    });
}

#[test]
fn an_age_that_cannot_be_is_refused_at_its_place() {
    let toml = AGED.replace("updated = 0.2", "updated = 1.2").replace(
        "[[transaction]]",
        "[table.others]\n    rows = 5\n    aged = { deleted = 0.1 }\n    [[transaction]]",
    );
    let folder = folder(&[("workload.toml", &toml), ("queries.sql", QUERIES)]);
    let mistakes = dbdyno::workload::load(folder.path()).expect_err("it is wrong").to_string();
    for part in [
        "`updated` is a share of the table's rows",
        "table `others` is filled by somebody else and cannot be aged",
        "workload.toml:9:",
    ] {
        assert!(mistakes.contains(part), "{part} is not in {mistakes}");
    }
}
