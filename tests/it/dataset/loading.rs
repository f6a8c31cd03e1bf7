//! What a schema may declare, and what the loader makes of it: partitions, identities, sequences, generated columns, keys
//! within `CREATE TABLE`, triggers; and how the rows lie.

use dbdyno::dataset::{Existing, LoadEvent, LoadSummary, Phase, load};
use dbdyno::workload::Workload;

use super::{SMALL, SMALL_QUERIES, SMALL_SCHEMA, options, try_load, workload};
use crate::harness::{Database, runtime};

const ONE: &str = "[[transaction]]\nname = \"read\"\nstatements = [\"one\"]\n";
const ONE_QUERY: &str = "-- name: one :many\nSELECT 1;\n";

/// Loads, and asks `seen` of the database when a phase begins.
fn load_and_look(
    database: &Database,
    workload: &Workload,
    jobs: usize,
    at: Phase,
    sql: &str,
) -> (LoadSummary, String) {
    let mut seen = None;
    let mut progress = |event: LoadEvent| {
        if event == LoadEvent::PhaseBegun(at) {
            let (url, sql) = (database.url().to_owned(), sql.to_owned());
            let look = move || crate::harness::Session::open(&url, "look").value(&sql);
            seen = Some(std::thread::spawn(look).join().expect("it can be asked"));
        }
    };
    let (target, wanted) = (super::target(database.url()), options(1.0, jobs, Existing::Refuse));
    let summary =
        runtime().block_on(load(&target, workload, &wanted, &mut progress)).expect("the workload loads");
    (summary, seen.expect("the phase came"))
}

#[test]
fn a_partitioned_table_takes_its_rows_through_the_parent() {
    let toml = format!(
        "name = \"parts\"\n[table.events]\nrows = 9_000\n[table.events.column]\nid = {{ sequence = {{}} }}\n\
         at = {{ timestamp = {{ from = \"2024-01-01\", to = \"2025-01-01\", correlation = 1.0 }} }}\n\
         [table.regions]\nrows = 3_000\n[table.regions.column]\nid = {{ sequence = {{}} }}\n\
         country = {{ weighted = {{ US = 3, DE = 2, FR = 1 }} }}\n\
         [table.spread]\nrows = 3_000\n[table.spread.column]\nid = {{ sequence = {{}} }}\n{ONE}"
    );
    let schema = "
        CREATE TABLE events (id bigint, at timestamptz, note text DEFAULT 'none', PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE events_h1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
        CREATE TABLE events_h2 (id bigint NOT NULL, at timestamptz NOT NULL, note text DEFAULT 'none');
        ALTER TABLE events ATTACH PARTITION events_h2 FOR VALUES FROM ('2024-07-01') TO ('2025-01-02');
        CREATE INDEX events_at ON events USING brin (at);
        CREATE TABLE regions (id bigint, country text) PARTITION BY LIST (country);
        CREATE TABLE regions_us PARTITION OF regions FOR VALUES IN ('US');
        CREATE TABLE regions_rest PARTITION OF regions DEFAULT;
        CREATE INDEX regions_id ON ONLY regions (id);
        CREATE INDEX regions_us_id ON regions_us (id);
        CREATE INDEX regions_rest_id ON regions_rest (id);
        ALTER INDEX regions_id ATTACH PARTITION regions_us_id;
        ALTER INDEX regions_id ATTACH PARTITION regions_rest_id;
        CREATE TABLE spread (id bigint PRIMARY KEY) PARTITION BY HASH (id);
        CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE spread_1 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 1);";
    let (_folder, workload) = workload(&toml, schema, ONE_QUERY);
    for jobs in [1, 3] {
        let database = Database::empty();
        let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = ANY ('{events_h1,regions_us,spread_0}'::regclass[])";
        let (_, before) = load_and_look(&database, &workload, jobs, Phase::Indexes, indexes);
        assert_eq!(before, "0", "no partition has an index while it is filled");
        assert_eq!(
            database.rows(
                "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM ONLY events_h1) BETWEEN 4300 AND 4600,
                        (SELECT count(*) FROM ONLY regions_us) BETWEEN 1300 AND 1700,
                        (SELECT count(*) FROM ONLY spread_0) BETWEEN 1300 AND 1700,
                        (SELECT count(DISTINCT note) FROM events),
                        (SELECT bool_and(indisvalid) FROM pg_index WHERE NOT indisvalid OR indisvalid)"
            ),
            [["9000", "t", "t", "t", "1", "t"].map(|value| Some(value.to_owned()))]
        );
        // Two partitions of each of events (a key, a BRIN), regions (one) and spread (a key).
        let there =
            "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid AND c.relkind = 'i'";
        assert_eq!(database.value(there), "8");
    }
}

#[test]
fn sequences_go_on_behind_the_loaded_keys() {
    let column = "[table.NAME]\nrows = 500\n[table.NAME.column]\nid = { sequence = {} }\n";
    let tables: String =
        ["always", "by_default", "old", "shared"].map(|name| column.replace("NAME", name)).concat();
    let toml = format!(
        "name = \"keys\"\n{tables}[table.down]\nrows = 500\n[table.down.column]\n\
         id = {{ sequence = {{ start = -1, step = -1 }} }}\n{ONE}"
    );
    let schema = "
        CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
        CREATE TABLE by_default (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
        CREATE TABLE old (id serial PRIMARY KEY);
        CREATE SEQUENCE \"Numbers of 'all'\" START 1000;
        CREATE TABLE shared (id bigint DEFAULT nextval('\"Numbers of ''all''\"') PRIMARY KEY);
        CREATE SEQUENCE downwards INCREMENT -1;
        CREATE TABLE down (id bigint DEFAULT nextval('downwards') PRIMARY KEY);";
    let (_folder, workload) = workload(&toml, schema, ONE_QUERY);
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    for (table, next) in
        [("always", "501"), ("by_default", "501"), ("old", "501"), ("shared", "1000"), ("down", "-501")]
    {
        let inserted = database.value(&format!("INSERT INTO {table} DEFAULT VALUES RETURNING id"));
        assert_eq!(inserted, next, "{table}");
    }
    assert_eq!(database.value("SELECT count(*) FROM always WHERE twice = id * 2"), "501");
}

const DECLARED: &str = "
    CREATE TABLE parents (id bigint PRIMARY KEY, name text NOT NULL UNIQUE NULLS DISTINCT);
    CREATE TABLE children (id bigint PRIMARY KEY WITH (fillfactor = 70),
        parent_id bigint NOT NULL REFERENCES parents ON DELETE CASCADE DEFERRABLE);
    CREATE TABLE log (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NEW; END $$;
    CREATE TRIGGER children_note AFTER INSERT OR UPDATE OR DELETE ON children FOR EACH ROW EXECUTE FUNCTION note();";

fn declared() -> String {
    DECLARED.replace(" NULLS DISTINCT", "")
}

/// All constraints, as the server tells them.
const CONSTRAINTS: &str = "
    SELECT string_agg(conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated, E'\\n'
                      ORDER BY conname)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'";

#[test]
fn keys_declared_within_a_table_wait_for_the_rows_and_come_back_as_they_were() {
    let toml = SMALL.replace("name = { words = [2, 5] }", "name = { template = \"p{id}\" }");
    let schema = declared();
    let (_folder, workload) = workload(&toml, &schema, SMALL_QUERIES);
    let expected = Database::empty();
    expected.execute(&schema);
    let database = Database::empty();
    let left = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint \
                WHERE connamespace = 'public'::regnamespace AND contype <> 'n'";
    let (_, during) = load_and_look(&database, &workload, 2, Phase::Indexes, left);
    // One with a storage parameter would come back without it, and stays.
    assert_eq!(during, "children_pkey");
    assert_eq!(database.value(CONSTRAINTS), expected.value(CONSTRAINTS));
    assert_eq!(database.value("SELECT count(*) FROM log"), "0", "no trigger fires while rows are loaded");
    database.execute("INSERT INTO children VALUES (-1, 1)");
    assert_eq!(database.value("SELECT what FROM log"), "INSERT");
    let error = crate::harness::runtime().block_on(async {
        let client = super::target(database.url()).connect("test").await.expect("runs");
        let client = client.postgres().expect("it is one");
        client.batch_execute("INSERT INTO children VALUES (-2, -1)").await.expect_err("no such parent")
    });
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("23503"));
}

#[test]
fn rows_that_break_a_key_are_told_with_the_key() {
    let toml = SMALL.replace("[2, 5]", "[1, 1]");
    let (_folder, workload) = workload(&toml, &declared(), SMALL_QUERIES);
    let database = Database::empty();
    let refuse = options(1.0, 1, Existing::Refuse);
    let error = try_load(database.url(), &workload, &refuse).expect_err("words repeat").to_string();
    for part in ["parents: parents_name_key", "is duplicated", "23505"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

/// A vacuum that follows has nothing to do for a page that is frozen.
#[test]
fn one_connection_writes_frozen_rows_and_several_do_not() {
    // Three connections want six megabytes at least.
    let (_folder, workload) = workload(&SMALL.replace("20_000", "300_000"), SMALL_SCHEMA, SMALL_QUERIES);
    // Of both tables, as the rows are there and the vacuum has not been: pages that are not frozen.
    let sql = "SELECT (SELECT sum(s.all_frozen) FROM pg_visibility_map_summary('children') s) || ' of ' ||
                      pg_relation_size('children') / 8192 || ', ' ||
                      (SELECT sum(s.all_frozen) FROM pg_visibility_map_summary('parents') s)";
    for (jobs, all_frozen) in [(1, true), (3, false)] {
        let database = Database::empty();
        database.execute("CREATE EXTENSION pg_visibility");
        let (_, seen) = load_and_look(&database, &workload, jobs, Phase::Indexes, sql);
        let (children, parents) = seen.split_once(", ").expect("two");
        let (frozen, of) = children.split_once(" of ").expect("two");
        assert!(of.parse::<u32>().expect("a count") > 50, "{seen}");
        assert_eq!(frozen == of, all_frozen, "{jobs} jobs: {seen}");
        // A table of one chunk is one connection's, however many there are.
        assert!(parents.parse::<u32>().expect("a count") > 0, "{seen}");
        // A page without a row is none that a vacuum marks: connections that extend a table at once leave some.
        let unfrozen = "SELECT count(*) FROM pg_visibility('children') WHERE NOT all_frozen
                        AND blkno IN (SELECT (ctid::text::point)[0]::bigint FROM children)";
        assert_eq!(database.value(unfrozen), "0", "after the load all are");
    }
}

/// Rows that the schema inserts are there before dbdyno's, and stay.
#[test]
fn rows_of_the_schema_are_not_truncated() {
    let schema = format!("{SMALL_SCHEMA} INSERT INTO parents VALUES (-7, 'from the schema');");
    let (_folder, workload) = workload(SMALL, &schema, SMALL_QUERIES);
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    assert_eq!(database.value("SELECT count(*) FROM parents"), "1001");
    assert_eq!(database.value("SELECT name FROM parents WHERE id = -7"), "from the schema");
}

/// Four contiguous ranges would give 0.25.
#[test]
fn several_jobs_keep_the_order_of_the_rows() {
    let (_folder, workload) = workload(&SMALL.replace("20_000", "500_000"), SMALL_SCHEMA, SMALL_QUERIES);
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 4, Existing::Refuse)).expect("it loads");
    database.execute("SET default_statistics_target = 10000; ANALYZE children (id)");
    let correlation: f64 = database
        .value("SELECT correlation FROM pg_stats WHERE tablename = 'children' AND attname = 'id'")
        .parse()
        .expect("a number");
    assert!(correlation > 0.95, "{correlation}");
}

#[test]
fn what_the_sql_files_fill_is_vacuumed_and_analyzed_as_well() {
    let toml = format!(
        "name = \"sums\"\n[table.sales]\nrows = 2_000\n[table.sales.column]\nid = {{ sequence = {{}} }}\n\
         country = {{ weighted = {{ US = 3, DE = 2, FR = 1 }} }}\n{ONE}"
    );
    let schema = "CREATE TABLE sales (id int PRIMARY KEY, country text);
                  CREATE TABLE per_country (country text, sales bigint);
                  CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM sales WITH NO DATA;";
    let (folder, _) = workload(&toml, schema, ONE_QUERY);
    let finish = "INSERT INTO per_country SELECT country, count(*) FROM sales GROUP BY country;
                  REFRESH MATERIALIZED VIEW totals;";
    std::fs::write(folder.path().join("finish.sql"), finish).expect("a file");
    let workload = dbdyno::workload::load(folder.path()).expect("a workload");
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse)).expect("it loads");
    // Not by what is all visible: a page that the checkpointer is writing at that moment is left out.
    let seen =
        "SELECT string_agg(c.relname || ' ' || reltuples || ' ' || vacuum_count, ', ' ORDER BY c.relname)
                FROM pg_class c JOIN pg_stat_all_tables s ON s.relid = c.oid
                WHERE c.relname IN ('per_country', 'totals')";
    assert_eq!(database.value(seen), "per_country 3 1, totals 1 1");
}
