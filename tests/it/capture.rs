//! Capture: what is captured loads with its constraints and comes near its source; what cannot be captured is named; and no value of a
//! row leaves that nobody let go.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Database, dbdyno};
use crate::place::{Measured, Place};

/// A folder for captured workloads, and the program's answer.
struct Captured {
    folder: TempDir,
    ended: Measured,
}

impl Captured {
    fn of(url: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = dbdyno();
        command.args(["capture", "-t", url, "--out"]).arg(folder.path().join("mine")).args(more);
        let ended = Measured::from(&command.output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.errors, ended.output);
        Self { folder, ended }
    }

    fn workload(&self) -> PathBuf {
        self.folder.path().join("mine")
    }

    /// All that was written, by file.
    fn files(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.workload()).expect("it was written");
        entries
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let text = std::fs::read_to_string(&path).expect("a text");
                (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
            })
            .collect()
    }

    fn file(&self, name: &str) -> String {
        self.files().into_iter().find(|(known, _)| known == name).map(|(_, text)| text).expect("it is there")
    }

    /// Loads it into an empty database.
    fn load(&self) -> Database {
        let copy = Database::empty();
        load(&self.workload(), copy.url(), "1");
        copy
    }

    /// Runs it on a database for two seconds.
    fn run(&self, database: &Database) -> Measured {
        let mut command = dbdyno();
        command.args([
            "run",
            "--clients",
            "2",
            "--duration",
            "2s",
            "--warmup",
            "0s",
            "--no-probes",
            "--json",
            "-",
        ]);
        command.args(["-t", database.url(), "-w"]).arg(self.workload());
        command.env("DBDYNO_RUNS_DIR", self.folder.path().join("runs"));
        let ended = Measured::from(&command.output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        ended
    }

    fn fidelity(&self, copy: &Database, source: &Database) -> Value {
        let mut command = dbdyno();
        command.args(["fidelity", "-w"]).arg(self.workload());
        command.args(["-t", copy.url(), "--against", source.url(), "--json", "-", "-q"]);
        let ended = Measured::from(&command.output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        serde_json::from_str(&ended.output).expect("JSON")
    }
}

fn load(workload: &Path, url: &str, scale: &str) {
    let mut command = dbdyno();
    command.args(["load", "-q", "--scale", scale, "-t", url, "-w"]).arg(workload);
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.errors, ended.output);
}

/// Forgets what was counted of the statements of this database: other tests count those of theirs.
fn count_anew(database: &Database) {
    database.execute(
        "SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)",
    );
}

/// Runs a script, each statement by itself.
fn execute(database: &Database, script: &str) {
    script.split(";\n").for_each(|sql| database.execute(sql));
}

/// Constraints as the server writes them, with whether they hold for all rows.
/// Without NOT NULL, which is a constraint with a name from PostgreSQL 18 on: what cannot be made is NULL, and is told.
fn constraints(database: &Database) -> Vec<String> {
    let rows = database.rows(
        "SELECT c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) || ' ' || c.convalidated
         FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbdyno') AND c.conrelid <> 0 AND c.contype <> 'n'
         ORDER BY 1",
    );
    rows.into_iter().flatten().flatten().collect()
}

/// Every awkward thing that a schema can have.
const AWKWARD: &str = r#"
CREATE SCHEMA "Sales";
CREATE TYPE colour AS ENUM ('red', 'it''s blue');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen_at = now(); RETURN NEW; END $$;
CREATE FUNCTION doubled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE SEQUENCE tickets START 500;
CREATE TABLE tenants (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, lead_id bigint);
CREATE TABLE people (
    tenant_id integer NOT NULL REFERENCES tenants, id bigserial PRIMARY KEY, boss_id bigint REFERENCES people,
    favourite colour NOT NULL DEFAULT 'red', seats positive NOT NULL, ticket bigint NOT NULL DEFAULT nextval('tickets'),
    tags text[] NOT NULL, marks integer[], document jsonb NOT NULL, during tstzrange, born date,
    twice integer GENERATED ALWAYS AS (doubled(seats)) STORED, seen_at timestamptz NOT NULL DEFAULT now(),
    duo pair, address inet, lasted interval, amount numeric(12,2) NOT NULL CHECK (amount >= 0), raw bytea, public_id uuid NOT NULL,
    UNIQUE (tenant_id, id));
ALTER TABLE tenants ADD CONSTRAINT tenants_lead FOREIGN KEY (lead_id) REFERENCES people (id);
CREATE TABLE "Sales"."Order" ("select" bigint PRIMARY KEY, "Tenant" integer NOT NULL, person bigint NOT NULL, state text NOT NULL
    CHECK (state IN ('open', 'closed')), FOREIGN KEY ("Tenant", person) REFERENCES people (tenant_id, id));
CREATE TABLE "Sales".lines ("order" bigint NOT NULL REFERENCES "Sales"."Order", line smallint NOT NULL, note text,
    PRIMARY KEY ("order", line));
CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2030-01-01');
CREATE TABLE rooms (room integer, during tsrange NOT NULL, EXCLUDE USING gist (during WITH &&));
CREATE TABLE likes (person bigint REFERENCES people, "order" bigint REFERENCES "Sales"."Order", PRIMARY KEY (person, "order"));
CREATE UNIQUE INDEX people_open ON people (tenant_id, public_id) WHERE born IS NOT NULL;
CREATE INDEX people_lower ON people (lower(tags[1]));
CREATE INDEX events_kind ON events (kind);
CREATE STATISTICS people_both (dependencies) ON tenant_id, favourite FROM people;
CREATE VIEW "Sales".open_orders AS SELECT o."select", p.favourite FROM "Sales"."Order" o JOIN people p ON p.id = o.person WHERE state = 'open';
CREATE MATERIALIZED VIEW per_tenant AS SELECT tenant_id, count(*) AS people FROM people GROUP BY 1;
CREATE TRIGGER people_touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO tenants (name) SELECT left('t' || md5(n::text), 12) FROM generate_series(1, 40) n;
INSERT INTO people (tenant_id, boss_id, favourite, seats, tags, marks, document, during, born, duo, address, lasted, amount, raw, public_id)
    SELECT 1 + n % 40, CASE WHEN n > 20 THEN 1 + n % 20 END, CASE WHEN n % 3 = 0 THEN 'it''s blue' ELSE 'red' END::colour, 1 + n % 7,
           ARRAY['a', 'b'], ARRAY[n, n + 1], '{"k": 1}', tstzrange(now(), NULL), '1990-01-01'::date + n % 9000, ROW(n, 'x')::pair, '10.0.0.1',
           n * interval '1 minute', n * 1.37, '\x01', gen_random_uuid()
    FROM generate_series(1, 2000) n;
UPDATE tenants SET lead_id = id;
INSERT INTO "Sales"."Order" SELECT n, tenant_id, p.id, CASE WHEN n % 9 = 0 THEN 'open' ELSE 'closed' END
    FROM generate_series(1, 3000) n JOIN people p ON p.id = 1 + n % 2000;
INSERT INTO "Sales".lines SELECT n, l, 'note ' || md5(n::text) FROM generate_series(1, 3000) n, generate_series(1, 1 + n % 3) l;
INSERT INTO events SELECT n, '2024-01-01'::timestamptz + n * interval '6 hours', 'kind ' || n % 5 FROM generate_series(1, 3000) n;
INSERT INTO rooms SELECT 1, tsrange('2024-01-01'::timestamp + n * interval '2 hours', '2024-01-01'::timestamp + (n + 1) * interval '2 hours')
    FROM generate_series(1, 50) n;
INSERT INTO likes SELECT p, o FROM generate_series(1, 500) p, generate_series(1, 3) o;
ANALYZE"#;

fn awkward() -> Database {
    Database::from_template("awkward", |database| {
        execute(database, AWKWARD);
    })
}

#[test]
fn an_awkward_schema_loads_with_every_constraint_or_says_what_to_write_by_hand() {
    let source = awkward();
    let captured = Captured::of(source.url(), &[]);
    let copy = captured.load();
    // A range that no generator makes takes its primary key or NOT NULL with it, and says so; all else is there and holds.
    let (there, here) = (constraints(&source), constraints(&copy));
    let missing: Vec<&String> = there.iter().filter(|of| !here.contains(of)).collect();
    assert!(missing.is_empty(), "{missing:#?}\n{}", captured.file("schema.sql"));
    for (place, remedy) in [
        ("people.during: no generator makes a tstzrange", "fill it in finish.sql"),
        ("people.duo: no generator makes a pair", "UPDATE people SET duo"),
        ("rooms.during", "finish.sql"),
        ("people.document", "json = {"),
        ("tenants.lead_id: it closes a circle", "UPDATE in finish.sql"),
    ] {
        let line = captured.file("workload.toml");
        let line =
            line.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{place}\n{line}"));
        assert!(line.contains(remedy), "{line}");
    }
    for (sql, wanted) in [
        ("SELECT count(*) FROM people", "2000"),
        ("SELECT count(*) FROM likes", "1500"),
        ("SELECT count(*) FROM tenants WHERE lead_id IS NULL", "0"),
        ("SELECT count(*) FROM people WHERE twice <> 2 * seats", "0"),
        ("SELECT count(DISTINCT favourite) FROM people", "2"),
        ("SELECT count(DISTINCT state) FROM \"Sales\".\"Order\"", "2"),
        ("SELECT (SELECT sum(people) FROM per_tenant)::text", "2000"),
        ("SELECT count(*) FROM pg_trigger WHERE tgname = 'people_touch'", "1"),
        ("SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'people_both'", "1"),
        ("SELECT count(*) > 0 FROM events_old", "t"),
        ("SELECT count(*) > 0 FROM \"Sales\".open_orders", "t"),
        (
            "SELECT count(*) FROM pg_indexes WHERE indexname IN ('people_open', 'people_lower', 'events_kind')",
            "3",
        ),
    ] {
        assert_eq!(copy.value(sql), wanted, "{sql}\n{}", captured.file("workload.toml"));
    }
    // One look-up of each table by its key: nothing was counted of it in this database.
    let mut command = dbdyno();
    let folder = captured.folder.path().join("runs");
    command.args([
        "run",
        "--clients",
        "2",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--json",
        "-",
        "-q",
        "--no-probes",
        "-t",
    ]);
    command.arg(copy.url()).arg("-w").arg(captured.workload()).env("DBDYNO_RUNS_DIR", folder);
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    assert!(
        report.stages[0].accounting.ok > 0 && report.stages[0].accounting.failed == 0,
        "{:?}",
        report.stages[0].accounting
    );
}

/// Texts, numbers, times and comments that nobody else has, in columns and in statements.
const SECRETS: &str = "
CREATE TABLE patients (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, ward text, diagnosis varchar(40),
    card bigint NOT NULL, note text, born date);
INSERT INTO patients SELECT n, 'Qz' || md5(n::text), 'mail' || md5('e' || n) || '@secret.example',
    (ARRAY['wardhazel', 'wardmaple', 'wardcedar'])[1 + n % 3], 'ill' || md5('d' || n % 50), 4000000000000000 + n * 7919::bigint,
    repeat(md5('n' || n), 1 + n % 5), '1950-01-01'::date + n * 7 % 20000
FROM generate_series(1, 3000) n;
ANALYZE";

#[test]
fn no_value_of_a_redacted_column_stands_in_any_file() {
    let source = Database::empty();
    execute(&source, SECRETS);
    let session = source.session("clinic");
    let name = source.value("SELECT name FROM patients WHERE id = 77");
    session.execute(&format!("SELECT id FROM patients WHERE name = '{name}' /* asked by {name} */"));
    session.execute(&format!(
        "PREPARE known AS SELECT id FROM patients WHERE ward = 'wardhazel' AND name = '{name}'"
    ));
    session.execute("EXECUTE known");
    let captured = Captured::of(source.url(), &[]);
    let files = captured.files();
    let columns = ["name", "email", "ward", "diagnosis", "note", "card"];
    let mut looked = 0;
    for column in columns {
        for value in source
            .rows(&format!("SELECT DISTINCT {column}::text FROM patients"))
            .into_iter()
            .flatten()
            .flatten()
        {
            looked += 1;
            for (file, text) in &files {
                assert!(!text.contains(&value), "{column} {value} stands in {file}");
            }
            assert!(
                !captured.ended.output.contains(&value) && !captured.ended.errors.contains(&value),
                "{value}"
            );
        }
    }
    assert!(looked > 12_000, "{looked} values were looked for");
    assert!(captured.ended.errors.contains("leaves the database:"), "{}", captured.ended.errors);
    // What the user lets go leaves, and nothing else.
    let kept = Captured::of(source.url(), &["--keep-values", "patients.ward"]);
    let text = kept.file("workload.toml");
    assert!(text.contains("\"wardhazel\"") && !text.contains(&name), "{text}");
    assert!(kept.ended.errors.contains("--keep-values: patients.ward"), "{}", kept.ended.errors);
    // Said as such it is the default; without it all that the statistics hold leaves, and still nothing of a statement.
    let said = Captured::of(source.url(), &["--redact"]);
    let tables = |of: &Captured| of.file("workload.toml").split("[[transaction]]").next().map(str::to_owned);
    assert_eq!(tables(&said), tables(&captured));
    let open = Captured::of(source.url(), &["--no-redact"]);
    assert!(open.file("workload.toml").contains("\"wardmaple\""), "{}", open.file("workload.toml"));
    assert!(!open.file("queries.sql").contains(&name), "{}", open.file("queries.sql"));
    // The made-up data are like the others: as many wards, as often.
    let copy = captured.load();
    assert_eq!(
        copy.value("SELECT count(DISTINCT ward) || ' ' || count(DISTINCT email) FROM patients"),
        "3 3000"
    );
    assert_eq!(copy.value("SELECT min(length(name)) || ' ' || max(length(name)) FROM patients"), "34 34");
}

#[test]
fn a_captured_shop_comes_near_the_shop() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/shop");
    let source = Database::from_template("small_shop", |database| load(&shop, database.url(), "0.05"));
    count_anew(&source);
    let runs = tempfile::tempdir().expect("a temporary folder");
    let mut command = dbdyno();
    command.args([
        "run",
        "--rate",
        "150",
        "--duration",
        "4s",
        "--warmup",
        "0s",
        "--no-probes",
        "-q",
        "-t",
        source.url(),
        "-w",
    ]);
    command.arg(&shop).env("DBDYNO_RUNS_DIR", runs.path());
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    source.execute("VACUUM ANALYZE");

    let captured = Captured::of(source.url(), &[]);
    let copy = captured.load();
    let found = captured.fidelity(&copy, &source);
    let columns = found["columns_score"].as_f64().expect("a score");
    assert!(columns > 0.9, "{columns}: {:#}", found["columns"]);
    let plans = found["same_plan_rate"].as_f64().expect("a rate");
    assert!(plans >= 0.9, "{plans}: {:#}", found["statements"]);
    // The calls that were counted are the weights: within a point of one another.
    for statement in found["statements"].as_array().expect("a list") {
        let (there, here) = (statement["source_share"].as_f64(), statement["share"].as_f64());
        let apart = (there.expect("counted") - here.expect("a share")).abs();
        assert!(apart < 0.01, "{statement}");
    }
    // Tables are as large, and each is described.
    let count = "SELECT count(*) FROM order_lines";
    let (there, here): (f64, f64) =
        (source.value(count).parse().expect("a number"), copy.value(count).parse().expect("a number"));
    assert!((here / there - 1.0).abs() < 0.02, "{here} of {there}");

    // It runs: under one per cent of the transactions fail.
    let mut command = dbdyno();
    command.args([
        "run",
        "--rate",
        "150",
        "--duration",
        "3s",
        "--warmup",
        "0s",
        "--no-probes",
        "-q",
        "--json",
        "-",
        "-t",
    ]);
    command.arg(copy.url()).arg("-w").arg(captured.workload()).env("DBDYNO_RUNS_DIR", runs.path());
    let report = Measured::from(&command.output().expect("it runs")).report();
    let books = &report.stages[0].accounting;
    assert!(books.ok > 300 && books.failed * 100 < books.ok, "{books:?}");
    // By then both sides have counted.
    assert!(found["rows_score"].is_null() && found["cache_score"].is_null(), "{:#}", found["statements"]);
    let again = captured.fidelity(&copy, &source);
    for part in ["rows_score", "cache_score"] {
        let score = again[part].as_f64().expect("both sides have counted");
        // A few hundred calls at a small scale: how many rows a category or a customer has differs from draw to draw.
        assert!(score > 0.7, "{part} {score}: {:#}", again["statements"]);
    }
    let parts = ["columns_score", "same_plan_rate", "rows_score", "cache_score"];
    let parts: f64 = parts.iter().map(|part| again[*part].as_f64().expect("it is known")).sum();
    let mix = 1.0 - again["mix_distance"].as_f64().expect("it was counted");
    let score = again["score"].as_f64().expect("a score");
    assert!((score - (parts + mix) / 5.0).abs() < 1e-9, "{score}: {:#}", again["statements"]);
}

#[test]
fn it_needs_no_more_than_the_catalogs_and_changes_nothing() {
    let source = awkward();
    let role = format!("{}_watcher", source.name());
    source.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'w'; GRANT pg_monitor TO {role}"));
    source.execute(&format!(
        "GRANT SELECT ON pg_catalog.pg_statistic, pg_catalog.pg_statistic_ext_data TO {role}"
    ));
    let (_, address) = source.url().split_once('@').expect("an address");
    let url = format!("postgres://{role}:w@{address}");
    let writes = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text FROM pg_stat_user_tables";
    let before = source.value(writes);
    let watcher = Captured::of(&url, &[]);
    let owner = Captured::of(source.url(), &[]);
    assert_eq!(watcher.file("workload.toml"), owner.file("workload.toml"));
    assert_eq!(watcher.file("schema.sql"), owner.file("schema.sql"));
    assert_eq!(source.value(writes), before);
    // One schema alone: what leads out of it is named.
    let sales = Captured::of(source.url(), &["--schema", "Sales"]);
    assert!(
        sales.ended.output.contains("leads into a schema that is not captured"),
        "{}",
        sales.ended.output
    );
    source.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn nothing_of_the_user_s_is_written_over() {
    let source = awkward();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("mine.txt"), "mine").expect("a file");
    let answer = |more: &[&str]| {
        let mut command = dbdyno();
        command.args(["capture", "-t", source.url(), "--out"]).arg(folder.path()).args(more);
        Measured::from(&command.output().expect("it runs"))
    };
    let occupied = answer(&[]);
    assert_eq!(occupied.code, Some(2), "{}", occupied.errors);
    assert!(occupied.errors.contains("not empty"), "{}", occupied.errors);
    let dry = answer(&["--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.errors);
    assert!(dry.output.contains("nothing was written"), "{}", dry.output);
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
    for (wrong, words) in [
        (["--keep-values", "people.favorite"], "no column is called people.favorite"),
        (["--schema", "nowhere"], "there is none of that name"),
    ] {
        let refused = answer(&[wrong[0], wrong[1], "--dry-run"]);
        assert!(refused.code != Some(0) && refused.errors.contains(words), "{}", refused.errors);
    }
}

/// What columns have in common: a postcode determines its town, and a country nearly its money.
const TOGETHER: &str = "
CREATE TABLE addresses (id integer PRIMARY KEY, zip integer NOT NULL, town text NOT NULL, country text NOT NULL, money text NOT NULL,
    note text, amount integer NOT NULL);
INSERT INTO addresses SELECT n, 1000 + zip, 'Hamlet of ' || md5((zip / 4)::text), country, money, NULL, n
FROM (SELECT n, floor(800 * (hashint4(n) & 65535) / 65536.0)::int AS zip,
             (ARRAY['Helvetia', 'Gallia', 'Germania'])[1 + (hashint4(n * 7) & 3) % 3] AS country, hashint4(n * 13) & 15 AS chance
      FROM generate_series(1, 20000) n) rows,
     LATERAL (SELECT CASE WHEN country = 'Helvetia' AND chance < 14 OR chance = 0 THEN 'franken' ELSE 'euros' END AS money) of;
CREATE STATISTICS places (dependencies, ndistinct) ON zip, town FROM addresses;
CREATE STATISTICS moneys (mcv) ON country, money FROM addresses;
CREATE STATISTICS expressions ON (zip % 10), amount FROM addresses;
ANALYZE";

#[test]
fn columns_that_go_together_come_back_together() {
    let source = Database::empty();
    execute(&source, TOGETHER);
    let captured = Captured::of(source.url(), &[]);
    let document = captured.file("workload.toml");
    for value in ["Hamlet", "Helvetia", "franken"] {
        assert!(!document.contains(value), "{value} stands in {document}");
    }
    assert!(document.contains("addresses.expressions: its statistics of expressions"), "{document}");
    let copy = captured.load();
    let towns_per_zip =
        "SELECT max(towns) FROM (SELECT count(DISTINCT town) AS towns FROM addresses GROUP BY zip) x";
    assert_eq!(copy.value(towns_per_zip), "1", "{document}");
    // As many towns, and so many postcodes each.
    let count = |database: &Database, what: &str| -> f64 {
        database.value(&format!("SELECT count(DISTINCT {what}) FROM addresses")).parse().expect("a number")
    };
    for what in ["town", "zip", "(zip, town)"] {
        let ratio = count(&copy, what) / count(&source, what);
        assert!((0.8..1.25).contains(&ratio), "{what}: {ratio}");
    }
    // The shares of the combinations, the largest first.
    let shares = |database: &Database| -> Vec<f64> {
        let rows = database.rows(
            "SELECT count(*) / 20000.0 FROM addresses GROUP BY country, money HAVING count(*) > 100 ORDER BY 1 DESC",
        );
        rows.into_iter().flatten().flatten().map(|share| share.parse().expect("a share")).collect()
    };
    let (there, here) = (shares(&source), shares(&copy));
    assert!(there.len() >= 4, "{there:?}");
    for (there, here) in there.iter().zip(&here) {
        assert!((there - here).abs() < 0.03, "{there} and {here}");
    }
}

/// What the schemas of applications have, beyond what is awkward alone: keys that count for some rows, columns that hang on two keys,
/// limits of lengths, times in their order, partitions by lists of texts, aggregates, collations and searches of their own.
const APPLICATION: &str = r"
CREATE EXTENSION citext;
CREATE COLLATION plain (LC_COLLATE = 'C', LC_CTYPE = 'C');
CREATE FUNCTION keep_first(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)';
CREATE AGGREGATE first_of(text) (SFUNC = keep_first, STYPE = text, PARALLEL = SAFE);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'nobody' THEN RAISE EXCEPTION 'nobody is nobody'; END IF; RETURN NEW; END $$;
CREATE TABLE users (id bigserial PRIMARY KEY, email citext NOT NULL, name text COLLATE plain CHECK (char_length(name) <= 12),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32), begins_at timestamptz NOT NULL, ends_at timestamptz,
    default_post_id bigint, deleted_at timestamptz, CHECK (ends_at > begins_at));
CREATE UNIQUE INDEX users_email ON users (lower(email::text)) WHERE deleted_at IS NULL;
CREATE INDEX users_search ON users USING gin (to_tsvector('words', name));
CREATE TABLE profiles (user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE, settings jsonb NOT NULL DEFAULT '{}', score integer);
CREATE TABLE posts (id bigserial PRIMARY KEY, user_id bigint NOT NULL, is_pinned boolean NOT NULL DEFAULT false, title text NOT NULL,
    state text NOT NULL DEFAULT 'draft', reply_to bigint REFERENCES posts,
    CONSTRAINT posts_author FOREIGN KEY (user_id) REFERENCES users, CONSTRAINT posts_profile FOREIGN KEY (user_id) REFERENCES profiles);
CREATE UNIQUE INDEX posts_pinned ON posts (user_id) WHERE is_pinned;
CREATE TABLE tags (post_id bigint NOT NULL REFERENCES posts ON DELETE CASCADE, tag text NOT NULL, PRIMARY KEY (post_id, tag));
CREATE TABLE visits (id bigint NOT NULL, region text NOT NULL, at timestamptz NOT NULL, post_id bigint, PRIMARY KEY (id, region))
    PARTITION BY LIST (region);
CREATE TABLE visits_eu PARTITION OF visits FOR VALUES IN ('eu', 'ch');
CREATE TABLE visits_us PARTITION OF visits FOR VALUES IN ('us');
CREATE VIEW authors AS SELECT first_of(u.name) AS name, count(*) AS posts FROM users u JOIN posts p ON p.user_id = u.id GROUP BY u.id;
CREATE TRIGGER users_refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE users ADD CONSTRAINT users_default_post FOREIGN KEY (default_post_id) REFERENCES posts (id);
CREATE UNIQUE INDEX users_default_post ON users (default_post_id);
INSERT INTO users (email, name, digest, begins_at, ends_at, deleted_at)
    SELECT 'mail' || n || '@example.com', left(md5(n::text), 3 + n % 10), decode(md5(n::text) || md5('x' || n), 'hex'),
           '2024-01-01'::timestamptz + n * interval '1 hour', '2024-01-01'::timestamptz + n * interval '1 hour' + (n % 50) * interval '1 day'
               + interval '1 minute', CASE WHEN n % 10 = 0 THEN now() END FROM generate_series(1, 1000) n;
INSERT INTO profiles (user_id, score) SELECT n, n % 7 FROM generate_series(1, 1000) n WHERE n % 4 > 0;
INSERT INTO posts (user_id, is_pinned, title, state)
    SELECT user_id, n = 1, md5(user_id || ' ' || n), (ARRAY['draft', 'public', 'gone'])[1 + n % 3]
    FROM profiles, generate_series(1, 6) n WHERE n <= 1 + user_id % 6;
UPDATE posts SET reply_to = id / 2 WHERE id % 3 = 0 AND id > 4;
UPDATE users SET default_post_id = id WHERE id <= 400;
INSERT INTO tags SELECT id, (ARRAY['news', 'sport', 'music'])[t] FROM posts, generate_series(1, 3) t WHERE t <= 1 + id % 3;
INSERT INTO visits SELECT n, (ARRAY['eu', 'ch', 'us'])[1 + n % 3], '2025-01-01'::timestamptz + n * interval '1 minute', 1 + n % 900
    FROM generate_series(1, 4000) n;
ANALYZE";

/// What the application does with user and post number `n`.
fn statements_of(n: u32) -> [String; 9] {
    [
        format!(
            "SELECT * FROM users WHERE lower(email::text) = 'mail{n}@example.com' AND deleted_at IS NULL"
        ),
        format!(
            "INSERT INTO users (email, name, digest, begins_at) VALUES ('new{n}@example.com', 'someone', sha256('{n}'), now()) RETURNING id"
        ),
        format!(
            "SELECT p.*, u.name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.user_id = {n} AND state = 'public' ORDER BY p.id DESC LIMIT 20"
        ),
        format!(
            "INSERT INTO posts (user_id, title, state) SELECT user_id, 'title {n}', 'draft' FROM profiles WHERE user_id = {n}"
        ),
        format!("UPDATE users SET ends_at = begins_at + interval '3 days' WHERE id = {n}"),
        format!("DELETE FROM posts WHERE id = {}", n + 100_000),
        format!(
            "INSERT INTO tags (post_id, tag) VALUES ({n}, 'tag {n}') ON CONFLICT (post_id, tag) DO NOTHING"
        ),
        format!(
            "SELECT region, count(*) FROM visits WHERE at BETWEEN '2025-01-01' AND '2025-01-02' AND post_id = ANY ('{{{n}, 7}}') GROUP BY 1"
        ),
        format!("SELECT name FROM authors WHERE posts > {} LIMIT 10", n % 5),
    ]
}

#[test]
fn what_applications_have_loads_with_valid_constraints_and_runs() {
    let source = Database::empty();
    execute(&source, APPLICATION);
    // What made it is none of what it does.
    count_anew(&source);
    let session = source.session("application");
    (1..=60).flat_map(statements_of).for_each(|sql| session.execute(&sql));
    source.execute("ANALYZE");
    let captured = Captured::of(source.url(), &[]);
    let (document, schema) = (captured.file("workload.toml"), captured.file("schema.sql"));
    let copy = captured.load();
    let (there, here) = (constraints(&source), constraints(&copy));
    let missing: Vec<&String> = there.iter().filter(|of| !here.contains(of)).collect();
    assert!(missing.is_empty(), "{missing:#?}\n{schema}");
    // A key that counts for some rows remains as an index, and is named.
    assert!(document.contains("posts.posts_pinned: it counts for some of the rows only"), "{document}");
    for (sql, wanted) in [
        (
            "SELECT count(*) FROM pg_indexes WHERE indexname = 'posts_pinned' AND indexdef NOT LIKE '%UNIQUE%'",
            "1",
        ),
        ("SELECT count(*) FROM pg_indexes WHERE indexname = 'users_email' AND indexdef LIKE '%UNIQUE%'", "1"),
        ("SELECT count(*) > 100 FROM users WHERE default_post_id IS NOT NULL", "t"),
        ("SELECT count(DISTINCT region) FROM visits", "3"),
        ("SELECT count(*) > 0 FROM authors", "t"),
        ("SELECT count(*) FROM pg_ts_config WHERE cfgname = 'words'", "1"),
    ] {
        assert_eq!(copy.value(sql), wanted, "{sql}\n{document}");
    }
    let runs = captured.folder.path().join("runs");
    let mut command = dbdyno();
    command.args([
        "run",
        "--rate",
        "200",
        "--duration",
        "3s",
        "--warmup",
        "0s",
        "--no-probes",
        "-q",
        "--json",
        "-",
        "-t",
    ]);
    command.arg(copy.url()).arg("-w").arg(captured.workload()).env("DBDYNO_RUNS_DIR", runs);
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let (books, transactions) = (&report.stages[0].accounting, &report.stages[0].transactions);
    assert_eq!(transactions.len(), 9, "{}\n{document}", captured.file("queries.sql"));
    let failures: Vec<_> = transactions.iter().map(|of| (&of.name, &of.errors)).collect();
    assert!(books.ok > 400 && books.failed * 100 < books.ok, "{books:?}: {failures:?}");
}

/// One of every type that is built in and that tables have, of `hstore` too, and rows that belong to a user or to a team.
const KINDS: &str = "
CREATE EXTENSION hstore;
CREATE TABLE owners (id integer PRIMARY KEY);
CREATE TABLE kinds (id bigserial PRIMARY KEY, opens time NOT NULL, closes timetz, lasts interval NOT NULL, price money NOT NULL,
    card macaddr NOT NULL UNIQUE, wide macaddr8, found tsvector NOT NULL, pairs hstore NOT NULL, host inet, net cidr, small smallint,
    real_one real, double_one double precision, exact numeric(10,3), flag boolean, letters char(4), raw bytea, at timestamp, day date,
    key uuid, document json, hosts inet[], lengths interval[], user_id integer REFERENCES owners, team_id integer REFERENCES owners,
    bot_id integer REFERENCES owners, note text, draft text, CONSTRAINT one_owner CHECK (num_nonnulls(user_id, team_id, bot_id) = 1),
    CONSTRAINT note_or_draft CHECK (note IS NULL OR draft IS NULL),
    a_bit bit(3), bits varbit, place point, line_one line, side lseg, frame box, way path, field polygon, ring circle, query tsquery,
    whole int4range, wholes int4multirange, lsn pg_lsn, number oid, word name, letter \"char\", snap pg_snapshot, road jsonpath,
    raws bytea[]);
INSERT INTO owners SELECT generate_series(1, 200);
INSERT INTO kinds (opens, closes, lasts, price, card, wide, found, pairs, host, net, small, real_one, double_one, exact, flag, letters,
    raw, at, day, key, document, hosts, lengths, user_id, team_id, bot_id, note, draft)
SELECT time '06:00' + (n * 7 % 720) * interval '1 minute', timetz '18:00+00' + (n % 60) * interval '1 minute',
       (n % 90) * interval '8 hours' + interval '1 second', (n * 1.25)::numeric::money,
       ('08:00:2b:00:' || to_char(n / 100, 'FM00') || ':' || to_char(n % 100, 'FM00'))::macaddr, '08:00:2b:01:02:03:04:05',
       to_tsvector('simple', 'word' || n % 50 || ' other' || n % 7 || ' third'), hstore('colour', 'c' || n % 9), '10.0.0.1', '10.0.0.0/24',
       n % 100, n / 3.0, n / 7.0, n / 8.0, n % 2 = 0, 'a' || n % 9, '\\x0102', timestamp '2024-01-01' + n * interval '1 hour',
       date '2020-01-01' + n % 900, gen_random_uuid(), '{}', ARRAY[inet '10.0.0.1'], ARRAY[interval '1 hour'],
       CASE WHEN n % 10 < 6 THEN 1 + n % 200 END, CASE WHEN n % 10 IN (6, 7, 8) THEN 1 + n % 200 END, CASE WHEN n % 10 = 9 THEN 1 + n % 200 END,
       CASE WHEN n % 4 = 0 THEN 'note ' || n END, CASE WHEN n % 4 = 1 THEN 'draft ' || n END
FROM generate_series(1, 3000) n;
ANALYZE";

#[test]
fn every_built_in_type_is_made_or_named_and_columns_that_exclude_each_other_do() {
    let source = Database::empty();
    execute(&source, KINDS);
    count_anew(&source);
    let session = source.session("kinds");
    for sql in [
        "SELECT id FROM kinds WHERE opens BETWEEN '08:00' AND '12:00'",
        "SELECT id FROM kinds WHERE card = '08:00:2b:00:00:07'",
        "SELECT count(*) FROM kinds WHERE found @@ to_tsquery('simple', 'word7')",
        "UPDATE kinds SET lasts = '3 hours', price = '7', pairs = 'a=>b' WHERE id = 5",
        "SELECT count(*) FROM kinds WHERE pairs -> 'colour' = 'c3'",
    ] {
        session.execute(sql);
    }
    let captured = Captured::of(source.url(), &[]);
    let document = captured.file("workload.toml");
    for (column, type_name) in [
        ("a_bit", "bit(3)"),
        ("bits", "bit varying"),
        ("place", "point"),
        ("line_one", "line"),
        ("side", "lseg"),
        ("frame", "box"),
        ("way", "path"),
        ("field", "polygon"),
        ("ring", "circle"),
        ("query", "tsquery"),
        ("whole", "int4range"),
        ("wholes", "int4multirange"),
        ("lsn", "pg_lsn"),
        ("number", "oid"),
        ("word", "name"),
        ("letter", "\"char\""),
        ("snap", "pg_snapshot"),
        ("road", "jsonpath"),
        ("raws", "bytea[]"),
    ] {
        let named = format!("kinds.{column}: no generator makes a {type_name}");
        assert!(document.contains(&named), "{named}\n{document}");
    }
    assert_eq!(document.matches("no generator makes").count(), 19, "{document}");
    // Who asks for a card finds one.
    assert!(document.contains("card = { key = { table = \"kinds\", column = \"card\""), "{document}");
    let copy = captured.load();
    let (there, here) = (constraints(&source), constraints(&copy));
    let missing: Vec<&String> = there.iter().filter(|of| !here.contains(of)).collect();
    assert!(missing.is_empty(), "{missing:#?}\n{document}");
    // Each column that is made has values where the source has some.
    let null = copy.rows("SELECT attname FROM pg_stats WHERE tablename = 'kinds' AND null_frac = 1");
    assert_eq!(null.len(), 19, "{null:?}");
    let number = |database: &Database, sql: &str| -> f64 {
        database.value(&format!("SELECT ({sql})::float8 FROM kinds")).parse().expect("a number")
    };
    for (measure, apart) in [
        ("extract(epoch FROM percentile_disc(0.25) WITHIN GROUP (ORDER BY opens))", 0.05),
        ("extract(epoch FROM percentile_disc(0.75) WITHIN GROUP (ORDER BY opens))", 0.05),
        ("count(DISTINCT opens)", 0.2),
        ("extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY lasts))", 0.1),
        ("count(DISTINCT lasts)", 0.2),
        ("percentile_disc(0.5) WITHIN GROUP (ORDER BY price::numeric)", 0.05),
        ("count(DISTINCT card)", 0.0),
        ("avg(pg_column_size(pairs))", 0.5),
        ("avg(pg_column_size(found))", 0.7),
        ("avg(length(found))", 0.7),
        ("count(user_id)", 0.05),
        ("count(team_id)", 0.05),
        ("count(bot_id)", 0.1),
        ("count(note)", 0.05),
        ("count(draft)", 0.05),
        ("count(DISTINCT user_id)", 0.1),
    ] {
        let (there, here) = (number(&source, measure), number(&copy, measure));
        assert!((here / there - 1.0).abs() <= apart, "{measure}: {here} for {there}\n{document}");
    }
    let report = captured.run(&copy).report();
    let (books, transactions) = (&report.stages[0].accounting, &report.stages[0].transactions);
    assert_eq!(transactions.len(), 5, "{}\n{document}", captured.file("queries.sql"));
    let failures: Vec<_> = transactions.iter().map(|of| (&of.name, &of.errors)).collect();
    assert!(books.ok > 100 && books.failed == 0, "{books:?}: {failures:?}");
}

/// Statements whose constants told the server what the types are, which are gone from what it counts.
const TYPED: &str = "
CREATE TABLE tickets (id bigint PRIMARY KEY, state text NOT NULL, rank integer NOT NULL, due date NOT NULL);
INSERT INTO tickets SELECT n, CASE WHEN n % 3 = 0 THEN 'new' ELSE 'old' END, n % 9, '2024-01-01'::date + n FROM generate_series(1, 500) n;
ANALYZE";

#[test]
fn parameters_that_were_constants_get_the_types_that_those_had() {
    let source = Database::empty();
    execute(&source, TYPED);
    count_anew(&source);
    let session = source.session("tickets");
    let all = [
        "SELECT id, 1 + 2 FROM tickets WHERE id = 3",
        "SELECT sum(CASE WHEN state = 'new' THEN 1 ELSE 0 END) FROM tickets",
        "SELECT id FROM tickets WHERE id = ANY (ARRAY[1, 2, 3])",
        "SELECT t.id, v.rank FROM tickets t JOIN (VALUES (1, 10), (2, 20)) AS v (id, rank) ON v.id = t.id",
        "UPDATE tickets SET rank = CASE WHEN state = 'new' THEN 5 ELSE 6 END WHERE id = 3",
        "SELECT count(*) FROM tickets WHERE due < date '2024-02-01' + 7",
        "SELECT count(*) FROM generate_series(1, 20) n JOIN tickets ON tickets.id = n",
        "SELECT sum(CASE WHEN state = 'new' THEN 1 ELSE 0 END) + sum(CASE WHEN rank > 3 THEN 1 ELSE 0 END) AS both, 2 * 3 FROM tickets",
    ];
    for sql in all {
        session.execute(sql);
    }
    let captured = Captured::of(source.url(), &[]);
    let (said, queries) = (&captured.ended.output, captured.file("queries.sql"));
    for code in ["42725", "42883", "42804", "42P18"] {
        assert!(!said.contains(code), "{said}\n{queries}");
    }
    let copy = captured.load();
    let report = captured.run(&copy).report();
    let (books, transactions) = (&report.stages[0].accounting, &report.stages[0].transactions);
    assert_eq!(transactions.len(), all.len(), "{queries}");
    let failures: Vec<_> = transactions.iter().map(|of| (&of.name, &of.errors)).collect();
    assert!(books.ok > 100 && books.failed == 0, "{books:?}: {failures:?}");
}

/// Keys of two columns, a key by its children, a range, a list, a type that no generator makes, and a table without rows.
const STORED: &str = "
CREATE TABLE tenants (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE people (tenant_id integer REFERENCES tenants, number integer, born date, during tstzrange, PRIMARY KEY (tenant_id, number));
CREATE TABLE visits (id bigserial PRIMARY KEY, tenant_id integer NOT NULL, number integer NOT NULL, at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, number) REFERENCES people);
CREATE TABLE nothing (id integer PRIMARY KEY);
INSERT INTO tenants SELECT 7 * n, 'tenant ' || n FROM generate_series(1, 50) n;
INSERT INTO people SELECT 7 * (1 + n % 50), 1000 + n, '1960-01-01'::date + n, tstzrange(now(), now() + n * interval '1 day')
    FROM generate_series(1, 2000) n;
INSERT INTO visits (tenant_id, number, at) SELECT 7 * (1 + n % 2000 % 50), 1000 + n % 2000, now() - n * interval '1 minute'
    FROM generate_series(2001, 8000) n WHERE n % 2000 > 0;
ANALYZE";

#[test]
fn a_copy_with_real_rows_is_asked_for_what_parameters_draw() {
    let source = Database::empty();
    execute(&source, STORED);
    count_anew(&source);
    let application = source.session("clinic");
    for sql in [
        "SELECT name FROM tenants WHERE id = 14",
        "SELECT born FROM people WHERE tenant_id = 14 AND number = 1051",
        "SELECT count(*) FROM people WHERE during = '[2024-01-01,2024-01-02)'",
        "SELECT id FROM visits WHERE at BETWEEN now() - interval '2 days' AND now()",
        "SELECT number FROM visits WHERE id = ANY ('{1,2,3}')",
        "SELECT number FROM visits WHERE at > '2024-01-01' ORDER BY at LIMIT 5",
        "INSERT INTO visits (tenant_id, number, at) VALUES (14, 1051, '2024-01-01')",
        "UPDATE people SET born = '1970-01-01' WHERE tenant_id = 14 AND number = 1051",
        "SELECT id FROM nothing WHERE id = 1",
        "SELECT id FROM tenants WHERE lower(name) = lower('Tenant 7')",
    ] {
        application.execute(sql);
    }
    let captured = Captured::of(source.url(), &["--use-existing-data"]);
    let mut files: Vec<String> = captured.files().into_iter().map(|(name, _)| name).collect();
    files.sort();
    assert_eq!(files, ["queries.sql", "workload.toml"]);
    let text = captured.file("workload.toml");
    for wanted in [
        "query = 'SELECT \"tenant_id\", \"number\" FROM people'",
        "same_row = { as = \"tenant_id\", column = \"number\" }",
        "query = 'SELECT \"during\" FROM people WHERE \"during\" IS NOT NULL'",
        "array_agg(\"id\")",
        "place BETWEEN floor(",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    count_anew(&source);
    let ended = captured.run(&source);
    let report = ended.report();
    let books = &report.stages[0].accounting;
    assert!(books.ok > 100 && books.failed == 0, "{books:?}\n{}", ended.errors);
    assert!(ended.errors.contains("there is nothing to load"), "{}", ended.errors);
    // What is asked for is there: of the keys, each time. PostgreSQL 18 keeps the texts without their tags.
    for (begin, least) in [
        ("SELECT name FROM tenants", 1.0),
        ("SELECT born FROM people", 1.0),
        ("UPDATE people", 1.0),
        ("SELECT id FROM tenants WHERE lower", 1.0),
    ] {
        let rows = source.value(&format!(
            "SELECT sum(rows)::float8 / sum(calls) FROM pg_stat_statements
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query LIKE '%{begin}%'"
        ));
        assert!(rows.parse::<f64>().expect("a number") >= least, "{begin}: {rows}\n{text}");
    }
    let mut command = dbdyno();
    command.args(["load", "-q", "-t", source.url(), "-w"]).arg(captured.workload());
    let refused = Measured::from(&command.output().expect("it runs"));
    assert!(refused.code == Some(2) || refused.code == Some(1), "{}", refused.errors);
    assert!(refused.errors.contains("there is nothing to load"), "{}", refused.errors);
}

/// An application that knows customers and their orders.
const COUNTER: &str = r#"
name = "counter"
[table.customers]
rows = 500
[table.customers.column]
id = { sequence = {} }
[table.orders]
rows = 500
[table.orders.column]
id = { sequence = {} }
customer_id = { reference = { table = "customers" } }
[table.lines]
rows = 1500
[table.lines.column]
id = { sequence = {} }
order_id = { reference = { table = "orders" } }
product = { uniform = [1, 90] }
[[transaction]]
name = "checkout"
[[transaction.step]]
statement = "customer"
[[transaction.step]]
statement = "insert_order"
[[transaction.step]]
statement = "insert_line"
times = 3
[transaction.parameter]
customer_id = { key = { table = "customers" } }
product = { uniform = [1, 90], draw = "each" }
[[transaction]]
name = "look"
weight = 3
statements = ["newest"]
[transaction.parameter]
customer_id = { key = { table = "customers" } }
"#;
const COUNTER_STATEMENTS: &str = "
-- name: customer :many
SELECT id FROM customers WHERE id = :customer_id;
-- name: insert_order :one
INSERT INTO orders (customer_id) VALUES (:customer_id) RETURNING id AS placed;
-- name: insert_line :exec
INSERT INTO lines (order_id, product) VALUES (:placed, :product);
-- name: newest :many
SELECT max(id) FROM orders WHERE customer_id = :customer_id;
";
const COUNTER_SCHEMA: &str = "
CREATE TABLE customers (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
CREATE TABLE orders (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers);
CREATE TABLE lines (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders,
    product integer NOT NULL);
CREATE INDEX orders_customer ON orders (customer_id);
";

#[test]
fn statements_that_make_one_transaction_speak_of_the_same_rows() {
    let source = Database::empty();
    let place = Place::new(COUNTER, COUNTER_STATEMENTS).file("schema.sql", COUNTER_SCHEMA);
    load(&place.workload(), source.url(), "1");
    let application =
        place.begin(source.url(), "run --rate 120 --duration 16s --warmup 0s --no-probes -q --pool-size 6");
    place.wait_for_seconds(1);
    let captured = Captured::of(source.url(), &["--minutes", "0.15"]);
    let ended = application.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let (text, queries) = (captured.file("workload.toml"), captured.file("queries.sql"));
    let read: toml::Table = toml::from_str(&text).expect("TOML");
    let transactions = read["transaction"].as_array().expect("a list");
    let checkout =
        transactions.iter().find(|of| of.get("step").is_some()).unwrap_or_else(|| panic!("{text}"));
    let steps: Vec<(String, Option<i64>)> = checkout["step"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| {
            let times = step.get("times").and_then(toml::Value::as_integer);
            (step["statement"].as_str().expect("a name").to_owned(), times)
        })
        .collect();
    let steps: Vec<(&str, Option<i64>)> = steps.iter().map(|(name, times)| (name.as_str(), *times)).collect();
    assert_eq!(
        steps,
        [("select_customers_by_id", None), ("insert_orders", None), ("insert_lines", Some(3))],
        "{text}"
    );
    // The customer that is read is the one that orders, the order that is put in is the one that gets lines, each its own product.
    assert!(queries.contains("-- name: insert_orders :one"), "{queries}");
    assert!(
        queries.contains("INSERT INTO lines (order_id, product) VALUES (:placed, :product)"),
        "{queries}"
    );
    let parameters = checkout["parameter"].as_table().expect("a table");
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["id", "product"], "{text}");
    assert_eq!(parameters["product"].get("draw").and_then(toml::Value::as_str), Some("each"), "{text}");
    // What begins and ends them is nothing that the workload lacks.
    assert!(!queries.contains("BEGIN") && !queries.contains("COMMIT"), "{queries}");
    // Of all transactions a quarter; and the pool that did for them is told.
    let weight = checkout["weight"].as_float().expect("a number");
    assert!((weight - 25.0).abs() < 5.0, "{weight}");
    assert!(text.contains("--pool-size"), "{text}");

    let copy = captured.load();
    let last = copy.value("SELECT max(id) FROM orders");
    let books = captured.run(&copy).report().stages[0].accounting;
    assert!(books.ok > 100 && books.failed == 0, "{books:?}");
    let lines = "SELECT count(*) FROM lines WHERE order_id = o.id";
    let whole = copy.value(&format!(
        "SELECT count(*) > 20 AND count(*) FILTER (WHERE ({lines}) = 3) = count(*) FROM orders o WHERE id > {last}"
    ));
    assert_eq!(whole, "t", "every new order has its three lines");
}

#[test]
fn statistics_of_the_source_make_the_planner_of_a_small_copy_count_as_there() {
    const TABLE: &str = "
CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL, at timestamptz NOT NULL);
INSERT INTO events SELECT n, CASE WHEN n % 10 = 0 THEN 'rare' ELSE 'usual' END, '2024-01-01'::timestamptz + n * interval '1 minute'
    FROM generate_series(1, 50000) n;
CREATE INDEX events_rare ON events (at) WHERE kind = 'rare';
VACUUM ANALYZE events";
    let source = Database::empty();
    execute(&source, TABLE);
    let captured = Captured::of(source.url(), &[]);
    let numbers = captured.file("statistics.toml");
    assert!(numbers.contains("[table.events]") && !numbers.contains("rare"), "{numbers}");
    let copy = Database::empty();
    let mut command = dbdyno();
    command
        .args(["load", "--scale", "0.1", "--statistics", "source", "-t", copy.url(), "-w"])
        .arg(captured.workload());
    let ended = Measured::from(&command.output().expect("it runs"));
    let version: u32 = source.value("SHOW server_version_num").parse().expect("a number");
    if version < 180_000 {
        // Refused before anything is loaded.
        assert_eq!(ended.code, Some(2), "{}", ended.errors);
        assert!(ended.errors.contains("PostgreSQL 18 is the first"), "{}", ended.errors);
        assert_eq!(copy.value("SELECT to_regclass('events') IS NULL"), "t");
        return;
    }
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.errors.contains("autovacuum is off"), "{}", ended.errors);
    assert_eq!(copy.value("SELECT count(*) FROM events"), "5000");
    let rows = |database: &Database, condition: &str| -> f64 {
        let plan = database.value(&format!("EXPLAIN (FORMAT JSON) SELECT * FROM events {condition}"));
        let plan: Value = serde_json::from_str(&plan).expect("JSON");
        plan[0]["Plan"]["Plan Rows"].as_f64().expect("a number")
    };
    let rare = copy.value("SELECT kind FROM events GROUP BY 1 ORDER BY count(*) LIMIT 1");
    for (there, here) in
        [(String::new(), String::new()), ("WHERE kind = 'rare'".to_owned(), format!("WHERE kind = '{rare}'"))]
    {
        let (there, here) = (rows(&source, &there), rows(&copy, &here));
        assert!((here / there - 1.0).abs() < 0.02, "{here} for {there}");
    }
    assert_eq!(
        copy.value(
            "SELECT 'autovacuum_enabled=false' = ANY (reloptions) FROM pg_class WHERE relname = 'events'"
        ),
        "t"
    );
    let report = captured.run(&copy).report();
    assert!(report.data.is_some_and(|data| data.source_statistics));
}
