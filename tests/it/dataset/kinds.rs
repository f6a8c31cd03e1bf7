//! Every kind of generator, loaded and counted by exact SQL: what lies in the tables is what was described. The data of a
//! seed is always the same, so that nothing here can hold today and fail tomorrow.

use dbdyno::dataset::Existing;

use super::{options, try_load, workload};
use crate::harness::Database;

const ROWS: f64 = 30_000.0;

/// What must be found in a column.
enum Find {
    /// Share of NULLs, within a point.
    Nulls(f64),
    /// Distinct values, within a tenth.
    Distinct(f64),
    /// Share of the rows that have a value, within a tenth of it.
    Share(&'static str, f64),
    /// Correlation as `ANALYZE` computes it from all rows, within 0.05.
    Correlation(f64),
    /// What an expression gives over all rows, within so much of it.
    Number(&'static str, f64, f64),
    /// Rows for which a condition does not hold: none.
    Always(&'static str),
}

use Find::{Always, Correlation, Distinct, Nulls, Number, Share};

/// Name, type, description, what must be found.
type Kind = (&'static str, &'static str, &'static str, &'static [Find]);

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    // Numbers.
    ("uniform", "int", "uniform = [1, 1000], null_fraction = 0.1, correlation = 0.5",
        &[Nulls(0.1), Distinct(1000.0), Correlation(0.5), Number("avg(uniform)", 500.0, 0.02)]),
    ("plain_uniform", "smallint", "uniform = [1, 20]", &[Distinct(20.0), Share("7", 0.05)]),
    ("exact", "numeric(6,2)", "decimal = { min = 0.5, max = 99.5, scale = 2 }, correlation = -0.7",
        &[Correlation(-0.7), Distinct(9_400.0), Number("avg(exact)", 50.0, 0.02)]),
    ("bell", "int", "normal = { mean = 170, sd = 9, min = 120 }, correlation = 0.9",
        &[Correlation(0.9), Number("avg(bell)", 170.0, 0.01), Number("stddev(bell)", 9.0, 0.03), Share("170", 0.0443)]),
    ("lognormal", "int", "lognormal = { median = 2500, sigma = 0.8 }, correlation = 0.25",
        &[Correlation(0.25), Number("percentile_disc(0.5) WITHIN GROUP (ORDER BY lognormal)", 2500.0, 0.03)]),
    ("decay", "numeric", "exponential = { mean = 30, scale = 3 }, correlation = 1", &[Correlation(1.0), Number("avg(decay)", 30.0, 0.03)]),
    ("rank", "int", "zipf = { n = 500, exponent = 1 }, correlation = 0.4", &[Correlation(0.4), Share("1", 0.1472), Share("2", 0.0736), Distinct(500.0)]),
    ("plain_rank", "int", "zipf = { n = 500, exponent = 1 }", &[Share("1", 0.1472), Share("2", 0.0736)]),
    // Categories.
    ("category", "text COLLATE \"C\"", "weighted = { b = 50, c = 30, a = 20 }, null_fraction = 0.2, correlation = 0.8",
        &[Nulls(0.2), Share("b", 0.4), Share("c", 0.24), Share("a", 0.16), Distinct(3.0), Correlation(0.8)]),
    ("mood", "mood", "weighted = { happy = 3, sad = 1 }", &[Share("sad", 0.25)]),
    ("truth", "boolean", "boolean = { true_fraction = 0.3 }, correlation = 0.75", &[Share("true", 0.3), Correlation(0.75)]),
    // What pg_stats holds.
    ("h_int", "int", "histogram = { common_values = [7, 500, 42], common_frequencies = [0.2, 0.05, 0.1], bounds = [1, 10, 100, 1000, 100_000], distinct = 2000 }, null_fraction = 0.15, correlation = 0.6",
        &[Nulls(0.15), Share("7", 0.2), Share("500", 0.05), Share("42", 0.1), Distinct(2000.0), Correlation(0.6),
          Number("count(*) FILTER (WHERE h_int NOT IN (7, 500, 42) AND h_int BETWEEN 100 AND 999) / 30000.0", 0.125, 0.02)]),
    ("h_numeric", "numeric(12,2)", "histogram = { common_values = ['0.00', '9.99'], common_frequencies = [0.4, 0.1], bounds = ['1.50', '20.00', '1000.75'], distinct = -0.3, type = 'decimal' }",
        &[Share("0.00", 0.4), Share("9.99", 0.1), Distinct(9000.0)]),
    ("h_float", "double precision", "histogram = { common_values = [2.5], common_frequencies = [0.3], bounds = [-1.5, 0.25, 1e6], distinct = 700, type = 'float' }, correlation = -0.3",
        &[Share("2.5", 0.3), Distinct(700.0), Correlation(-0.3)]),
    ("h_text", "varchar(12) COLLATE \"C\"", "histogram = { common_values = [\"O'Neil\", '{a,\"b\"}', ''], common_frequencies = [0.1, 0.05, 0.05], bounds = ['abernathy', 'lovelace', 'zimmerman'], distinct = 5000 }, null_fraction = 0.3",
        &[Nulls(0.3), Share("O''Neil", 0.1), Share("{a,\"b\"}", 0.05), Share("", 0.05), Distinct(5000.0)]),
    ("h_enum", "mood", "histogram = { common_values = ['sad', 'happy'], common_frequencies = [0.6, 0.4] }", &[Share("sad", 0.6), Distinct(2.0)]),
    ("h_day", "date", "histogram = { common_values = ['2024-02-29'], common_frequencies = [0.1], bounds = ['2020-01-01', '2023-01-01', '2025-01-01'], distinct = 1500, type = 'date' }, correlation = 0.9",
        &[Share("2024-02-29", 0.1), Distinct(1500.0), Correlation(0.9)]),
    ("h_time", "timestamptz", "histogram = { bounds = ['2020-01-01 00:00:00+00', '2024-01-01 12:00:00.5+02', '2025-01-01'], distinct = -1, type = 'timestamp' }, correlation = -1",
        &[Distinct(ROWS), Correlation(-1.0), Number("count(*) FILTER (WHERE h_time < '2024-01-01 10:00:00.5+00') / 30000.0", 0.5, 0.001)]),
    ("h_truth", "boolean", "histogram = { common_values = [true, false], common_frequencies = [0.25, 0.7] }, null_fraction = 0.05",
        &[Nulls(0.05), Share("true", 0.25), Share("false", 0.7)]),
    ("h_uuid", "uuid", "histogram = { common_values = ['00112233-4455-6677-8899-aabbccddeeff'], common_frequencies = [0.02], bounds = ['00000000-0000-0000-0000-000000000000', '80000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'], distinct = 999, type = 'uuid' }",
        &[Share("00112233-4455-6677-8899-aabbccddeeff", 0.02), Distinct(999.0)]),
    ("h_unique", "int", "histogram = { bounds = [1, 20_000, 1_000_000] }, unique = true, null_fraction = 0.5", &[Nulls(0.5), Distinct(15_000.0)]),
    // Times.
    ("at", "timestamptz", "timestamp = { from = '2021-01-01', to = '2026-01-01', growth = 3 }, correlation = 0.3",
        &[Correlation(0.3), Number("count(*) FILTER (WHERE at < '2023-07-02 12:00+00') / 30000.0", 0.375, 0.03)]),
    ("inner_at", "timestamp", "timestamp = { from = '2021-01-01', to = '2026-01-01', correlation = 0.6 }", &[Correlation(0.6)]),
    ("day", "date", "date = { from = '2024-01-01', to = '2024-01-11' }, correlation = 0.5", &[Correlation(0.5), Distinct(10.0)]),
    ("span", "interval", "interval = { length_s = { exponential = { mean = 3600, scale = 1 } } }, correlation = 0.95",
        &[Correlation(0.95), Number("extract(epoch FROM avg(span))", 3600.0, 0.03)]),
    ("later", "timestamptz", "after = { column = 'at', lag_s = { exponential = { mean = 600 } } }", &[Always("later >= at")]),
    // Keys.
    ("random_key", "uuid", "uuid = {}", &[Distinct(ROWS), Always("substr(random_key::text, 15, 1) = '4'")]),
    ("grown_key", "uuid", "uuid = { version = 7, from = '2024-01-01', to = '2025-01-01' }", &[Distinct(ROWS), Correlation(1.0), Always("substr(grown_key::text, 15, 1) = '7'")]),
    ("timed_key", "uuid", "uuid = { version = 7, at = 'at' }", &[Distinct(ROWS), Correlation(0.3),
        Always("abs(('x' || substr(replace(timed_key::text, '-', ''), 1, 12))::bit(48)::bigint - floor(extract(epoch FROM at) * 1000)) < 1")]),
    // No value twice.
    ("u_int", "int", "uniform = [1, 40_000], unique = true", &[Distinct(ROWS), Correlation(0.0)]),
    ("u_ordered", "bigint", "uniform = [-1_000_000_000_000, 1_000_000_000_000], unique = true, correlation = -0.8, null_fraction = 0.25", &[Nulls(0.25), Distinct(22_500.0), Correlation(-0.8)]),
    ("u_exact", "numeric", "decimal = { min = 1, max = 301, scale = 2 }, unique = true", &[Distinct(ROWS)]),
    ("u_bell", "numeric", "normal = { mean = 0, sd = 1, scale = 6 }, unique = true, correlation = 0.5", &[Distinct(ROWS), Correlation(0.5), Number("stddev(u_bell)", 1.0, 0.02)]),
    ("u_decay", "numeric", "exponential = { mean = 5, scale = 9 }, unique = true", &[Distinct(ROWS), Number("avg(u_decay)", 5.0, 0.02)]),
    ("u_at", "timestamptz", "timestamp = { from = '2024-01-01', to = '2024-01-02', growth = 4 }, unique = true, correlation = 1", &[Distinct(ROWS), Correlation(1.0)]),
    ("u_day", "date", "date = { from = '1900-01-01', to = '2000-01-01' }, unique = true", &[Distinct(ROWS)]),
    ("u_words", "text", "words = [1, 2], unique = true", &[Distinct(ROWS)]),
    ("u_text", "varchar(8)", "text = { length = [5, 8] }, unique = true", &[Distinct(ROWS), Always("length(u_text) BETWEEN 5 AND 8")]),
    ("u_bytes", "bytea", "bytes = { length = [2, 3] }, unique = true", &[Distinct(ROWS)]),
    ("u_email", "text", "email = {}, unique = true", &[Distinct(ROWS), Always("u_email LIKE '%@example.___'")]),
    ("u_url", "text", "url = {}, unique = true", &[Distinct(ROWS)]),
    ("u_company", "text", "company = {}, unique = true", &[Distinct(ROWS)]),
    ("u_template", "text", "template = '{first_name}.{id}@example.com', unique = true", &[Distinct(ROWS)]),
    ("u_address", "inet", "ip_address = { network = '192.168.0.0/16' }, unique = true, correlation = 0.7", &[Distinct(ROWS), Correlation(0.7)]),
    // Texts, bytes and lists.
    ("letters", "text", "text = { length = { lognormal = { median = 40, sigma = 0.5, max = 400 } } }",
        &[Number("percentile_disc(0.5) WITHIN GROUP (ORDER BY length(letters))", 40.0, 0.03), Always("length(letters) <= 400")]),
    ("raw", "bytea", "bytes = { length = { normal = { mean = 64, sd = 8 } } }", &[Number("avg(octet_length(raw))", 64.0, 0.01), Number("stddev(octet_length(raw))", 8.0, 0.03)]),
    ("sized_words", "text", "words = { zipf = { n = 5, exponent = 2 } }", &[Always("array_length(string_to_array(sized_words, ' '), 1) BETWEEN 1 AND 5")]),
    // 120 first names and 125 last names make 15000 pairs, of which 30 000 draws meet 1 - e^(-30 000 / 15000).
    ("who", "text", "person = {}", &[Distinct(12_970.0), Always("who ~ '^[A-Z][a-z]+ [A-Z][a-z]+$'")]),
    ("page", "text", "url = {}", &[Always("page ~ '^https://(www\\.)?example\\.(com|org)/'")]),
    ("address", "inet", "ip_address = {}", &[Always("address << '10.0.0.0/8'")]),
    ("address_6", "cidr", "ip_address = { version = 6 }", &[Always("address_6 << '2001:db8::/32'"), Distinct(ROWS)]),
    ("numbers", "int[]", "array = { of = { uniform = [1, 9] }, length = [0, 4] }, null_fraction = 0.1",
        &[Nulls(0.1), Number("avg(cardinality(numbers))", 2.0, 0.02), Always("numbers IS NULL OR 9 >= ALL (numbers)")]),
    ("tags", "text[]", "array = { of = { weighted = { 'a \"b\"' = 1, 'c,d' = 3 } }, length = { normal = { mean = 3, sd = 1, min = 1, max = 6 } } }",
        &[Always("tags <@ ARRAY['a \"b\"', 'c,d'] AND cardinality(tags) BETWEEN 1 AND 6"), Number("avg((tags[1] = 'c,d')::int)", 0.75, 0.02)]),
    // Dependence.
    ("postcode", "text", "conditional = { on = 'category', when = { a = { uniform = [10000, 99999] }, b = { text = { length = [5, 5] } } }, else = { constant = 'none' } }",
        &[Always("CASE category WHEN 'a' THEN postcode ~ '^[1-9][0-9]{4}$' WHEN 'b' THEN postcode ~ '^.{5}$' ELSE postcode = 'none' END")]),
    ("cheap", "boolean", "expression = 'exact < 50.00'", &[Always("cheap = (exact < 50)")]),
    ("computed", "numeric", "expression = 'round(uniform * exact * 1.19, 2)'", &[Always("computed IS NOT DISTINCT FROM round(uniform * exact * 1.19, 2)"), Nulls(0.1)]),
    ("label", "text", "expression = \"case when bell > 180 then 'tall' when bell > 160 then 'medium' else 'small' end || '-' || coalesce(uniform, 0)\"",
        &[Always("label = CASE WHEN bell > 180 THEN 'tall' WHEN bell > 160 THEN 'medium' ELSE 'small' END || '-' || coalesce(uniform, 0)")]),
];

fn number(database: &Database, sql: &str) -> f64 {
    let value = database.value(sql);
    value.parse().unwrap_or_else(|_| panic!("{sql} gives {value}"))
}

fn check(database: &Database, table: &str, column: &str, find: &Find) -> Result<(), String> {
    let close = |sql: &str, expected: f64, bound: f64| {
        let found = number(database, &format!("SELECT {sql} FROM {table}"));
        if (found - expected).abs() <= bound {
            Ok(())
        } else {
            Err(format!("{column}: {sql} is {found}, not {expected}"))
        }
    };
    match find {
        Nulls(share) => close(&format!("avg(({column} IS NULL)::int)"), *share, 0.01),
        Distinct(count) => close(&format!("count(DISTINCT {column})"), *count, 0.1 * count),
        Share(value, share) => close(
            &format!("count(*) FILTER (WHERE {column} = '{value}') / count(*)::float"),
            *share,
            0.1 * share,
        ),
        Number(expression, expected, bound) => close(expression, *expected, bound * expected.abs()),
        Always(condition) => close(&format!("count(*) FILTER (WHERE ({condition}) IS NOT TRUE)"), 0.0, 0.0),
        Correlation(expected) => {
            let sql = format!(
                "corr(place, rank) FROM (SELECT row_number() OVER (ORDER BY ctid) AS place, \
                 row_number() OVER (ORDER BY {column}, ctid) AS rank FROM {table} WHERE {column} IS NOT NULL) AS x, \
                 (SELECT 1) AS"
            );
            let found = number(database, &format!("SELECT {sql} y"));
            if (found - expected).abs() <= 0.05 {
                Ok(())
            } else {
                Err(format!("{column}: the correlation is {found}, not {expected}"))
            }
        }
    }
}

const READ: &str = "-- name: one :one\nSELECT id FROM t WHERE id = :id;\n";
const TRANSACTION: &str = "
    [[transaction]]
    name = \"read\"
    statements = [\"one\"]
    parameter = { id = { key = { table = \"t\" } } }
";

#[test]
fn every_kind_is_as_described() {
    let mut toml =
        "name = \"kinds\"\n[table.t]\nrows = 30_000\n[table.t.column]\nid = { sequence = {} }\n".to_owned();
    let mut columns = "id int PRIMARY KEY".to_owned();
    for (name, of_type, description, _) in KINDS {
        toml.push_str(&format!("{name} = {{ {description} }}\n"));
        columns.push_str(&format!(", {name} {of_type}"));
    }
    toml.push_str(TRANSACTION);
    let schema = format!("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE t ({columns});");
    let (_folder, workload) = workload(&toml, &schema, READ);
    let database = Database::empty();
    // One connection: with more of them chunks lie in the table in turn, which is the loader's own test.
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse))
        .unwrap_or_else(|error| panic!("{error}"));
    let found = KINDS
        .iter()
        .flat_map(|(name, _, _, finds)| finds.iter().map(|find| check(&database, "t", name, find)));
    let wrong: Vec<String> = found.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const RELATIONS: &str = r#"
    name = "relations"
    [table.t]
    rows = 2000
    [table.t.column]
    id = { sequence = {} }
    price = { decimal = { min = 1, max = 100, scale = 2 } }

    [table.normal]
    rows = 20_000
    [table.normal.column]
    parent_id = { reference = { table = "t", fan_out = { normal = { sd = 2.5, mean = 10 } } } }
    number = { ordinal = { through = "parent_id" } }
    quantity = { uniform = [1, 5] }
    total = { expression = "quantity * parent_id.price" }

    [table.counted]
    rows = 5_200
    [table.counted.column]
    parent_id = { reference = { table = "t", fan_out = { histogram = { 0 = 1000, 1 = 600, 2 = 300, 40 = 100 } } } }
    number = { ordinal = { through = "parent_id" } }

    [table.skewed]
    rows = 30_000
    [table.skewed.column]
    parent_id = { reference = { table = "t", fan_out = { zipf = 1.0 } } }

    [table.even]
    rows = 30_000
    [table.even.column]
    parent_id = { reference = { table = "t" } }

    [table.ordered]
    rows = 30_000
    [table.ordered.column]
    parent_id = { reference = { table = "t" }, correlation = 0.85 }

    [table.once]
    rows = 1500
    [table.once.column]
    parent_id = { reference = { table = "t" }, unique = true, null_fraction = 0.1 }

    [table.tags]
    rows = 60
    [table.tags.column]
    id = { sequence = {} }

    [table.tagged]
    rows = 6_000
    [table.tagged.column]
    parent_id = { reference = { table = "t", fan_out = { each = [0, 6] } } }
    tag_id = { reference = { table = "tags", distinct_per = "parent_id", fan_out = { zipf = 0.8 } } }

    [table.linked]
    rows = 5_200
    [table.linked.column]
    parent_id = { reference = { table = "t", fan_out = { histogram = { 0 = 1000, 1 = 600, 2 = 300, 40 = 100 } } } }
    tag_id = { reference = { table = "tags", distinct_per = "parent_id" } }

    [table.tenants]
    rows = 20
    [table.tenants.column]
    id = { sequence = {} }
    [table.projects]
    rows = 600
    [table.projects.column]
    tenant_id = { reference = { table = "tenants", fan_out = { normal = { sd = 10 } } } }
    id = { ordinal = { through = "tenant_id" } }
    [table.tasks]
    rows = 20_000
    [table.tasks.column]
    tenant_id = { reference = { table = "projects", column = "tenant_id", fan_out = { zipf = 0.9 } } }
    project_id = { lookup = { through = "tenant_id", column = "id" } }
"#;
const RELATIONS_SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, price numeric(8, 2) NOT NULL);
    CREATE TABLE normal (parent_id int NOT NULL REFERENCES t, number int, quantity int, total numeric(10, 2), PRIMARY KEY (parent_id, number));
    CREATE TABLE counted (parent_id int NOT NULL REFERENCES t, number int, PRIMARY KEY (parent_id, number));
    CREATE TABLE skewed (parent_id int NOT NULL REFERENCES t);
    CREATE TABLE even (parent_id int NOT NULL REFERENCES t);
    CREATE TABLE ordered (parent_id int NOT NULL REFERENCES t);
    CREATE TABLE once (parent_id int UNIQUE REFERENCES t);
    CREATE TABLE tags (id int PRIMARY KEY);
    CREATE TABLE tagged (parent_id int NOT NULL REFERENCES t, tag_id int NOT NULL REFERENCES tags, PRIMARY KEY (parent_id, tag_id));
    CREATE TABLE linked (parent_id int NOT NULL REFERENCES t, tag_id int NOT NULL REFERENCES tags, PRIMARY KEY (parent_id, tag_id));
    CREATE TABLE tenants (id int PRIMARY KEY);
    CREATE TABLE projects (tenant_id int NOT NULL REFERENCES tenants, id int NOT NULL, PRIMARY KEY (tenant_id, id));
    CREATE TABLE tasks (tenant_id int NOT NULL, project_id int NOT NULL, FOREIGN KEY (tenant_id, project_id) REFERENCES projects);
";

/// Primary and foreign keys of the schema are checked by the server while it loads: that it loads is half of the proof.
#[test]
fn children_are_spread_as_described_and_no_pair_comes_twice() {
    let (_folder, workload) = workload(&format!("{RELATIONS}{TRANSACTION}"), RELATIONS_SCHEMA, READ);
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 1, Existing::Refuse))
        .unwrap_or_else(|error| panic!("{error}"));
    let unproven = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated";
    assert_eq!(database.value(unproven), "0");

    let children = |table: &str| {
        format!(
            "(SELECT count(c.parent_id) AS n FROM t LEFT JOIN {table} c ON c.parent_id = t.id GROUP BY t.id) x"
        )
    };
    let near = |sql: &str, expected: f64, bound: f64| {
        let found = number(&database, sql);
        assert!((found - expected).abs() <= bound, "{sql}: {found}, not {expected}");
    };
    near(&format!("SELECT avg(n) FROM {}", children("normal")), 10.0, 0.0);
    near(&format!("SELECT stddev(n) FROM {}", children("normal")), 2.5, 0.05);
    // The density in the middle of the bell, 1 ÷ (2.5 √2π), of 2000 parents.
    near(&format!("SELECT count(*) FROM {} WHERE n = 10", children("normal")), 319.0, 3.0);
    for (number_of_children, parents) in [(0, 1000.0), (1, 600.0), (2, 300.0), (40, 100.0)] {
        for table in ["counted", "linked"] {
            near(
                &format!("SELECT count(*) FROM {} WHERE n = {number_of_children}", children(table)),
                parents,
                0.0,
            );
        }
    }
    // 1 ÷ H(2000) of 30 000 rows, and a half of it; five standard deviations.
    near(&format!("SELECT max(n) FROM {}", children("skewed")), 3668.0, 290.0);
    near(&format!("SELECT n FROM {} ORDER BY n DESC OFFSET 1 LIMIT 1", children("skewed")), 1834.0, 210.0);
    // A Poisson count: its variance is its mean.
    near(&format!("SELECT variance(n) FROM {}", children("even")), 15.0, 2.4);
    check(&database, "ordered", "parent_id", &Correlation(0.85)).unwrap_or_else(|wrong| panic!("{wrong}"));
    near("SELECT count(DISTINCT parent_id) FROM once", 1350.0, 0.0);
    near("SELECT count(*) FROM normal JOIN t ON t.id = parent_id WHERE total <> quantity * price", 0.0, 0.0);
    // The favourite of 60 tags by Zipf's law with exponent 0.8 has 1 ÷ Σ k^-0.8 = 0.144 of the rows: nobody has so many
    // tags that it would have to come twice. Five standard deviations.
    let tags = "(SELECT tag_id, count(*) AS n FROM tagged GROUP BY tag_id) x";
    near(&format!("SELECT max(n) FROM {tags}"), 866.0, 125.0);
    near(&format!("SELECT count(*) FROM {tags}"), 60.0, 0.0);
    near("SELECT count(DISTINCT (tenant_id, project_id)) FROM tasks", 600.0, 60.0);
}
