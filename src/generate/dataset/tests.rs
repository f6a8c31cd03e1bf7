//! Values of whole datasets: known answers, distributions, relations between tables, and what is refused.

use std::collections::BTreeMap;

use super::{Dataset, DatasetTable};
use crate::generate::ColumnGenerator;
use crate::generate::json::plain;
use crate::generate::spec::{ColumnSpec, Modifiers, Refusal, RowSpec, ScopeColumn, ScopeTable, ValueSpec};
use crate::sql::values::{Arena, Slot};
use crate::units::Seed;

mod columns;

type Described<'a> = (&'a str, u64, &'a [(&'a str, f64, &'a str)]);

/// Columns as `workload` reads them: by the name of the generator.
fn spec(text: &str) -> (ColumnSpec, Modifiers) {
    let mut table: toml::Table = toml::from_str(text).expect("TOML");
    let unique = table.remove("unique").is_some_and(|unique| unique.as_bool() == Some(true));
    let correlation = table.remove("correlation").map(|of| of.try_into().expect("a number"));
    let exclusive = table.remove("exclusive").map(|of| of.try_into().expect("a name"));
    let modifiers = Modifiers { unique, correlation, exclusive, ..Modifiers::default() };
    let name = table.keys().next().expect("one generator").clone();
    let value = toml::Value::Table(table);
    let spec = if RowSpec::NAMES.contains(&name.as_str()) {
        ColumnSpec::Row(value.try_into().expect("a generator"))
    } else {
        ColumnSpec::Value(value.try_into::<ValueSpec>().expect("a generator"))
    };
    (spec, modifiers)
}

fn scope(tables: &[Described<'_>]) -> Vec<ScopeTable> {
    let columns = |columns: &[(&str, f64, &str)]| {
        let column = |(name, nulls, text): &(&str, f64, &str)| {
            let (spec, modifiers) = spec(text);
            let modifiers = Modifiers { null_fraction: *nulls, ..modifiers };
            ScopeColumn { name: (*name).to_owned(), spec: Some(spec), modifiers }
        };
        columns.iter().map(column).collect()
    };
    tables
        .iter()
        .map(|(name, rows, of)| ScopeTable { name: (*name).to_owned(), rows: *rows, columns: columns(of) })
        .collect()
}

fn build(seed: u64, tables: &[Described<'_>]) -> Result<Dataset, Refusal> {
    let scope = scope(tables);
    let mut built = vec![];
    for (table, (name, rows, columns)) in tables.iter().enumerate() {
        let mut generators = vec![];
        for (column, (name, nulls, text)) in columns.iter().enumerate() {
            let (spec, modifiers) = spec(text);
            let modifiers = Modifiers { null_fraction: *nulls, ..modifiers };
            let generator = ColumnGenerator::build(&spec, &modifiers, &scope, table, column)?;
            generators.push(((*name).to_owned(), generator));
        }
        built.push(DatasetTable { name: (*name).to_owned(), rows: *rows, columns: generators });
    }
    Ok(Dataset::new(Seed(seed), built))
}

fn text(dataset: &Dataset, table: usize, column: usize, row: u64) -> String {
    let mut arena = Arena::default();
    match dataset.value(table, column, row, &mut arena) {
        Slot::Text(range) => arena.str(range).to_owned(),
        Slot::Bytes(range) => format!("{:02x?}", arena.get(range)),
        Slot::Null => "NULL".to_owned(),
        slot => {
            let mut out = vec![];
            plain(&mut out, slot);
            String::from_utf8(out).expect("ASCII")
        }
    }
}

fn int(dataset: &Dataset, table: usize, column: usize, row: u64) -> Option<i64> {
    match dataset.value(table, column, row, &mut Arena::default()) {
        Slot::Int(value) => Some(value),
        Slot::Null => None,
        other => panic!("{other:?} is not a whole number"),
    }
}

/// A dataset must not change between versions: when one of these does, so must `GENERATOR_VERSION`.
#[test]
fn known_answers() {
    let columns: &[(&str, f64, &str)] = &[
        ("id", 0.0, "sequence = {}"),
        ("uniform", 0.0, "uniform = [1, 1000000]"),
        ("decimal", 0.0, "decimal = { min = 0.99, max = 99.99, scale = 2 }"),
        ("normal", 0.0, "normal = { mean = 170, sd = 9, scale = 1 }"),
        ("lognormal", 0.0, "lognormal = { median = 2500, sigma = 0.8 }"),
        ("exponential", 0.0, "exponential = { mean = 30, scale = 3 }"),
        ("zipf", 0.0, "zipf = { n = 1000, exponent = 1.1 }"),
        ("weighted", 0.3, "weighted = { US = 48, DE = 20, FR = 12 }"),
        ("boolean", 0.0, "boolean = { true_fraction = 0.5 }"),
        ("uuid", 0.0, "uuid = {}"),
        ("timestamp", 0.0, "timestamp = { from = '2021-01-01', to = '2026-01-01', growth = 3 }"),
        ("date", 0.0, "date = { from = '2021-01-01', to = '2026-01-01', correlation = 0.5 }"),
        ("words", 0.0, "words = [2, 4]"),
        ("sentences", 0.0, "sentences = [1, 1]"),
        ("text", 0.0, "text = { length = [10, 20] }"),
        ("first_name", 0.0, "first_name = {}"),
        ("last_name", 0.0, "last_name = {}"),
        ("company", 0.0, "company = {}"),
        ("street", 0.0, "street = {}"),
        ("city", 0.0, "city = {}"),
        ("country", 0.0, "country = {}"),
        ("phone", 0.0, "phone = {}"),
        ("email", 0.0, "email = {}"),
        ("template", 0.0, "template = '{first_name}.{id}@{city} {{{boolean}}}'"),
        (
            "json",
            0.0,
            "json = { size = { uniform = [1, 9] }, of = { json = { on = { date = { from = '2021-01-01', to = '2026-01-01' } } } }, tags = { array = { of = { words = [1, 1] }, length = [0, 4] } } }",
        ),
        ("after", 0.0, "after = { column = 'timestamp', lag_s = { exponential = { mean = 3600 } } }"),
    ];
    let dataset = build(42, &[("people", 1000, columns)]).expect("valid");
    let line = |(column, (name, ..)): (usize, &(&str, f64, &str))| {
        let values: Vec<String> = [0, 1, 999].iter().map(|&row| text(&dataset, 0, column, row)).collect();
        format!("{name}: {}", values.join(" | "))
    };
    let lines: Vec<String> = columns.iter().enumerate().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    id: 1 | 2 | 1000
    uniform: 847372 | 668207 | 575944
    decimal: 69.31 | 85.66 | 97.98
    normal: 172.8 | 168.1 | 162.6
    lognormal: 1621 | 2605 | 1283
    exponential: 22.125 | 7.465 | 2.899
    zipf: 17 | 1 | 18
    weighted: US | US | NULL
    boolean: true | true | false
    uuid: c03dd403-8adf-4ed5-8950-963c2cf8ca15 | c469d5af-d91a-4fc6-97cf-8b8a1a6fc3f7 | 6d7f4443-8680-4582-9b63-63111bc5ce47
    timestamp: 2023-11-04T12:33:44.247017Z | 2025-01-13T14:05:18.901778Z | 2025-03-15T19:13:20.994974Z
    date: 2023-03-02 | 2024-04-16 | 2025-12-31
    words: black vintage | cup jacket pan sandal | magnetic simple classic
    sentences: Vase light mirror classic bag natural classic. | Family lamp monitor wireless bike drill. | Grill pepper glove bolt.
    text: scarf fork racket ad | speaker natural stro | calendar jeans heav
    first_name: Charles | Frank | Sarah
    last_name: Thompson | Brown | Wright
    company: Brooks Trading | Stewart LLC | White Group
    street: 58 Birch Drive | 236 Abbey Square | 226 King Lane
    city: Stockholm | Tallinn | Montreal
    country: Mexico | Portugal | Ireland
    phone: +16315550112 | +14645550194 | +14745550184
    email: amanda.wright1052@example.net | jonathan.green6898@example.org | catherine.thomas8463@example.net
    template: Charles.1@Stockholm {true} | Frank.2@Tallinn {true} | Sarah.1000@Montreal {false}
    json: {"size":5,"of":{"on":"2023-09-13"},"tags":["vintage","desk","wireless","black"]} | {"size":6,"of":{"on":"2025-01-23"},"tags":["basic"]} | {"size":2,"of":{"on":"2021-04-20"},"tags":[]}
    after: 2023-11-04T13:34:57.247017Z | 2025-01-13T16:19:42.901778Z | 2025-03-15T19:25:24.994974Z
    "#);
}

const SHOP: &[Described<'static>] = &[
    (
        "customers",
        1000,
        &[
            ("id", 0.0, "sequence = { start = 100 }"),
            ("joined_at", 0.0, "timestamp = { from = '2021-01-01', to = '2026-01-01', correlation = 0.9 }"),
        ],
    ),
    (
        "orders",
        20_000,
        &[
            ("id", 0.0, "sequence = {}"),
            ("customer_id", 0.1, "reference = { table = 'customers', fan_out = { zipf = 1.1 } }"),
            ("joined_at", 0.0, "lookup = { through = 'customer_id', column = 'joined_at' }"),
        ],
    ),
    (
        "lines",
        60_000,
        &[
            ("order_id", 0.0, "reference = { table = 'orders', fan_out = { each = [1, 5] } }"),
            ("line", 0.0, "ordinal = { through = 'order_id' }"),
        ],
    ),
    (
        "categories",
        100,
        &[("id", 0.0, "sequence = {}"), ("parent_id", 0.0, "tree = { depth = 3, roots = 8 }")],
    ),
];

#[test]
fn references_are_skewed_null_as_often_as_said_and_never_dangle() {
    let dataset = build(1, SHOP).expect("valid");
    let mut counts: BTreeMap<i64, u32> = BTreeMap::new();
    let mut nulls = 0;
    for row in 0..20_000 {
        match int(&dataset, 1, 1, row) {
            Some(id) => *counts.entry(id).or_default() += 1,
            None => nulls += 1,
        }
    }
    // 2000 ± 5 standard deviations of a binomial count.
    assert!((1788..=2212).contains(&nulls), "{nulls}");
    assert!(counts.keys().all(|id| (100..1100).contains(id)));
    // The favourite's share is 1 ÷ Σ k^-1.1 over 1000 ranks, 0.1788: 3218 of 18 000 ± 5 standard deviations.
    let favourite = counts.values().max().expect("many");
    assert!((2960..=3480).contains(favourite), "{favourite}");
    assert!(dataset.nullable(1, 1) && dataset.nullable(1, 2) && !dataset.nullable(1, 0));
}

#[test]
fn what_is_looked_up_is_what_stands_there() {
    let dataset = build(1, SHOP).expect("valid");
    for row in 0..500 {
        let expected = int(&dataset, 1, 1, row)
            .map_or("NULL".to_owned(), |id| text(&dataset, 0, 1, u64::try_from(id - 100).expect("a row")));
        assert_eq!(text(&dataset, 1, 2, row), expected);
    }
}

#[test]
fn order_and_line_are_a_key() {
    let dataset = build(1, SHOP).expect("valid");
    let keys: std::collections::BTreeSet<_> =
        (0..60_000).map(|row| (int(&dataset, 2, 0, row), int(&dataset, 2, 1, row))).collect();
    assert_eq!(keys.len(), 60_000);
    assert_eq!(keys.iter().filter(|(_, line)| *line == Some(1)).count(), 20_000);
}

#[test]
fn a_tree_is_as_deep_as_it_says() {
    let dataset = build(1, SHOP).expect("valid");
    let mut depths = vec![];
    for row in 0..100_u64 {
        let depth = match int(&dataset, 3, 1, row) {
            None => 1,
            Some(parent) => {
                let parent = usize::try_from(parent - 1).expect("a row");
                assert!((parent as u64) < row, "a parent stands before its children");
                depths[parent] + 1
            }
        };
        depths.push(depth);
    }
    assert_eq!(depths.iter().filter(|&&depth| depth == 1).count(), 8);
    assert_eq!(depths.iter().max(), Some(&3));
}

/// Pearson's correlation of row and value, which for an even spread is the rank correlation that `pg_stats` shows.
#[test]
fn correlation_is_what_was_asked_for() {
    let dataset = build(1, SHOP).expect("valid");
    let values: Vec<f64> = (0..1000)
        .map(|row| match dataset.value(0, 1, row, &mut Arena::default()) {
            Slot::Timestamp(micros) => micros as f64,
            other => panic!("{other:?}"),
        })
        .collect();
    let mean = values.iter().sum::<f64>() / 1000.0;
    let (mut both, mut rows, mut own) = (0.0, 0.0, 0.0);
    for (row, value) in values.iter().enumerate() {
        let (x, y) = (row as f64 - 499.5, value - mean);
        both += x * y;
        rows += x * x;
        own += y * y;
    }
    let correlation = both / (rows * own).sqrt();
    assert!((correlation - 0.9).abs() < 0.05, "{correlation}");
}

#[test]
fn another_seed_gives_other_values_and_the_same_seed_the_same() {
    let all = |seed| {
        let dataset = build(seed, SHOP).expect("valid");
        (0..200).map(|row| int(&dataset, 1, 1, row)).collect::<Vec<_>>()
    };
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
}

fn refused(tables: &[Described<'_>]) -> Refusal {
    build(1, tables).expect_err("must be refused")
}

#[test]
fn wrong_descriptions_are_refused_with_the_name_that_was_meant() {
    let id = ("id", 0.0, "sequence = {}");
    let misspelt = refused(&[
        ("customers", 10, &[id]),
        ("orders", 10, &[id, ("customer_id", 0.0, "reference = { table = 'custmers' }")]),
    ]);
    assert_eq!(misspelt.message, "no table `custmers`");
    assert_eq!(misspelt.help.as_deref(), Some("did you mean `customers`?"));

    let unfit = refused(&[
        ("orders", 10, &[id]),
        ("lines", 100, &[("order_id", 0.0, "reference = { table = 'orders', fan_out = { each = [1, 5] } }")]),
    ]);
    assert_eq!(unfit.message, "100 rows cannot be 1 to 5 for each of the 10 rows of `orders`");

    let circle = refused(&[
        ("a", 10, &[("x", 0.0, "reference = { table = 'b', column = 'y' }")]),
        ("b", 10, &[("y", 0.0, "reference = { table = 'a', column = 'x' }")]),
    ]);
    assert_eq!(circle.message, "the value of `a.x` would need itself");

    let own = refused(&[("t", 10, &[id, ("parent", 0.0, "reference = { table = 't' }")])]);
    assert!(own.help.expect("a way out").contains("tree"));

    for (text, message) in [
        ("template = 'x{idd}'", "no column or generator `idd`"),
        ("template = 'x{id'", "a brace has no partner in `x{id`"),
        ("uniform = [9, 1]", "the range from 9 to 1 is empty"),
        ("boolean = { true_fraction = 2 }", "`true_fraction` is 2"),
        ("array = { of = { bytes = { length = [1, 1] } }, length = [0, 1] }", "a list of bytes"),
        ("lookup = { through = 'id', column = 'id' }", "`id` refers to no table"),
        ("after = { column = 'id', lag_s = { words = [1, 1] } }", "`id` is not a time"),
        (
            "date = { from = '2026-01-01', to = '2021-01-01' }",
            "no time lies between 2026-01-01 and 2021-01-01",
        ),
        ("json = { a = { uniform = [9, 1] } }", "field `a`: the range from 9 to 1 is empty"),
        ("tree = { depth = 1, roots = 1 }", "a tree of depth 1"),
    ] {
        assert_eq!(refused(&[("t", 10, &[id, ("c", 0.0, text)])]).message, message);
    }
}

#[test]
fn documents_are_json_and_texts_have_their_length() {
    let columns: &[(&str, f64, &str)] = &[
        (
            "j",
            0.0,
            "json = { 'a\"b' = { constant = 'say \"hi\"' }, n = { decimal = { min = -1, max = 1, scale = 2 } } }",
        ),
        ("t", 0.0, "text = { length = [0, 30] }"),
    ];
    let dataset = build(1, &[("t", 100, columns)]).expect("valid");
    for row in 0..100 {
        let document: serde_json::Value = serde_json::from_str(&text(&dataset, 0, 0, row)).expect("JSON");
        assert_eq!(document["a\"b"], "say \"hi\"");
        assert!((-1.0..=1.0).contains(&document["n"].as_f64().expect("a number")));
        assert!(text(&dataset, 0, 1, row).len() <= 30);
    }
}
