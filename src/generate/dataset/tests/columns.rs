//! What a column of its own can be: known answers, keys, order, dependence, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{Described, build, int, refused, text};
use crate::generate::ValueKind;
use crate::sql::values::{Arena, Slot};

/// A dataset must not change between versions: when one of these does, so must `GENERATOR_VERSION`.
#[test]
fn known_answers_of_columns() {
    let columns: &[(&str, f64, &str)] = &[
        ("id", 0.0, "sequence = {}"),
        ("person", 0.0, "person = {}"),
        ("url", 0.0, "url = {}"),
        ("ip", 0.0, "ip_address = {}"),
        ("ip6", 0.0, "ip_address = { version = 6 }"),
        ("bytes", 0.0, "bytes = { length = [3, 5] }"),
        ("text", 0.0, "text = { length = { lognormal = { median = 12, sigma = 0.5 } } }"),
        ("array", 0.0, "array = { of = { words = [1, 2] }, length = [1, 2] }"),
        ("interval", 0.0, "interval = { length_s = { exponential = { mean = 30, scale = 2 } } }"),
        ("uuid7", 0.0, "uuid = { version = 7, from = '2024-01-01', to = '2025-01-01' }"),
        ("at", 0.0, "timestamp = { from = '2021-01-01', to = '2026-01-01' }\ncorrelation = 0.5"),
        ("uuid7_at", 0.0, "uuid = { version = 7, at = 'at' }"),
        ("ordered_uniform", 0.2, "uniform = [1, 1000000]\ncorrelation = -0.9"),
        ("ordered_normal", 0.0, "normal = { mean = 170, sd = 9, scale = 1 }\ncorrelation = 0.9"),
        ("ordered_lognormal", 0.0, "lognormal = { median = 2500, sigma = 0.8 }\ncorrelation = 0.3"),
        ("ordered_exponential", 0.0, "exponential = { mean = 30, scale = 3 }\ncorrelation = 0.3"),
        ("ordered_zipf", 0.0, "zipf = { n = 100000, exponent = 1.1 }\ncorrelation = 0.3"),
        ("ordered_weighted", 0.0, "weighted = { b = 2, a = 1, c = 1 }\ncorrelation = 0.8"),
        ("unique_uniform", 0.2, "uniform = [1, 5000]\nunique = true"),
        ("unique_normal", 0.0, "normal = { mean = 0, sd = 1, scale = 6 }\nunique = true\ncorrelation = 0.5"),
        ("unique_text", 0.0, "text = { length = [10, 12] }\nunique = true"),
        ("unique_email", 0.0, "email = {}\nunique = true"),
        (
            "histogram",
            0.1,
            "histogram = { common_values = [7, 42], common_frequencies = [0.2, 0.1], bounds = [1, 10, 1000], distinct = 50 }",
        ),
        (
            "histogram_text",
            0.0,
            "histogram = { common_values = ['x'], common_frequencies = [0.2], bounds = ['abc', 'mno', 'xyz'], distinct = -0.5 }\ncorrelation = 0.7",
        ),
        ("expression", 0.0, "expression = \"id * 2.5 || ' of ' || person\""),
        (
            "conditional",
            0.0,
            "conditional = { on = 'ordered_weighted', when = { a = { uniform = [1, 9] } }, else = { words = [1, 1] } }",
        ),
    ];
    let dataset = build(42, &[("people", 1000, columns)]).expect("valid");
    let line = |(column, (name, ..)): (usize, &(&str, f64, &str))| {
        let values: Vec<String> = [0, 1, 999].iter().map(|&row| text(&dataset, 0, column, row)).collect();
        format!("{name}: {}", values.join(" | "))
    };
    let lines: Vec<String> = columns.iter().enumerate().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    id: 1 | 2 | 1000
    person: Scott Schmidt | Camille Murphy | Sharon Wilson
    url: https://example.org/pencil/daily-fork-89155 | https://www.example.com/tent/tent-kitchen-24455 | https://example.org/garden/black-adult-56352
    ip: 10.175.103.147 | 10.15.54.232 | 10.243.73.125
    ip6: 2001:db8:2612:111c:25ac:a7c5:c412:23a | 2001:db8:1213:5404:21d1:d06c:56d1:7987 | 2001:db8:19e:3f7a:349d:de10:d723:14f8
    bytes: [06, 90, 13, 60] | [ed, 36, 2c, 97, d9] | [8c, e9, 16, 4b]
    text: natural thermal s | pink calendar of | candle
    array: {"grey rug","organic clean"} | {"outdoor"} | {"seam wireless","portable"}
    interval: PT54.19S | PT7.49S | PT47.98S
    uuid7: 018cc416-63cf-7e14-818b-62a251f9e30f | 018cc4b7-2eb2-72e5-9652-40b8b65851d6 | 01941d9f-ada0-774b-94e7-65e6958abcea
    at: 2021-01-01T20:55:32.823702Z | 2025-12-24T11:05:25.925509Z | 2023-07-19T07:40:46.880239Z
    uuid7_at: 0176bfbb-ecd7-7b3b-aef3-5bc1d7c2959b | 019b5009-00a5-7824-bb9f-bbeddc11cca0 | 01896d18-27a0-73d2-9093-2232d3190d8f
    ordered_uniform: NULL | 998645 | 62
    ordered_normal: 136.8 | 143.2 | 208.5
    ordered_lognormal: 177 | 1735 | 33842
    ordered_exponential: 12.467 | 0.794 | 18.801
    ordered_zipf: 1 | 1 | 8
    ordered_weighted: c | a | c
    unique_uniform: 1429 | NULL | 3271
    unique_normal: -3.601037 | -1.111584 | -0.941757
    unique_text: rug wire 34 | travel. 883 | watch cu 411
    unique_email: kimberly.thomas162@example.com | christopher.evans699@example.net | kevin.rivera914@example.org
    histogram: 877 | NULL | 555
    histogram_text: abc | x | x
    expression: 2.5 of Scott Schmidt | 5.0 of Camille Murphy | 2500.0 of Sharon Wilson
    conditional: adapter | 5 | oil
    "#);
}

#[test]
fn known_answers_of_references() {
    let id = ("id", 0.0, "sequence = {}");
    let tables: &[Described<'_>] = &[
        ("parents", 100, &[id]),
        ("tags", 30, &[id]),
        (
            "normal",
            1000,
            &[
                ("p", 0.0, "reference = { table = 'parents', fan_out = { normal = { sd = 2 } } }"),
                ("n", 0.0, "ordinal = { through = 'p' }"),
            ],
        ),
        (
            "counted",
            250,
            &[("p", 0.0, "reference = { table = 'parents', fan_out = { histogram = { 0 = 50, 5 = 50 } } }")],
        ),
        ("once", 80, &[("p", 0.25, "reference = { table = 'parents' }\nunique = true")]),
        ("ordered", 1000, &[("p", 0.0, "reference = { table = 'parents' }\ncorrelation = 0.9")]),
        (
            "pairs",
            300,
            &[
                ("p", 0.0, "reference = { table = 'parents', fan_out = { each = [0, 6] } }"),
                ("t", 0.0, "reference = { table = 'tags', distinct_per = 'p', fan_out = { zipf = 1 } }"),
                ("u", 0.0, "reference = { table = 'tags', distinct_per = 'p' }"),
            ],
        ),
    ];
    let dataset = build(42, tables).expect("valid");
    let mut lines = vec![];
    for (table, (name, rows, columns)) in tables.iter().enumerate().skip(2) {
        for column in 0..columns.len() {
            let values: Vec<String> =
                [0, 1, rows / 2].iter().map(|&row| text(&dataset, table, column, row)).collect();
            lines.push(format!("{name}.{}: {}", columns[column].0, values.join(" | ")));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    normal.p: 54 | 27 | 61
    normal.n: 8 | 4 | 10
    counted.p: 12 | 56 | 81
    once.p: 27 | NULL | NULL
    ordered.p: 1 | 1 | 51
    pairs.p: 1 | 1 | 50
    pairs.t: 30 | 16 | 10
    pairs.u: 3 | 13 | 13
    "#);
}

#[test]
fn no_value_comes_twice() {
    let kinds = [
        "uniform = [1, 2000]",
        "uniform = [-9223372036854775808, 9223372036854775807]",
        "decimal = { min = 0, max = 20, scale = 2 }",
        "normal = { mean = 0, sd = 100, scale = 3, min = -120 }",
        "lognormal = { median = 100, sigma = 1, scale = 3 }",
        "exponential = { mean = 10, scale = 5 }",
        "timestamp = { from = '2024-01-01', to = '2024-01-02', growth = 0.2 }",
        "date = { from = '2000-01-01', to = '2006-01-01' }",
        "interval = { length_s = { uniform = [0, 2000] } }",
        "words = [0, 3]",
        "sentences = [1, 1]",
        "text = { length = [4, 7] }",
        "bytes = { length = [2, 4] }",
        "company = {}",
        "email = {}",
        "url = {}",
        "ip_address = { network = '192.0.0.0/20' }",
        "ip_address = { version = 6 }",
        "uuid = {}",
        "histogram = { bounds = [1, 1500, 100000] }",
        "template = 'a{id}b{uuid}'",
        "template = '{id}'",
    ];
    for kind in kinds {
        for nulls in [0.0, 0.3] {
            let described = format!("{kind}\nunique = true");
            let columns: &[(&str, f64, &str)] = &[("id", 0.0, "sequence = {}"), ("c", nulls, &described)];
            let dataset =
                build(1, &[("t", 2000, columns)]).unwrap_or_else(|refusal| panic!("{kind}: {refusal:?}"));
            let mut arena = Arena::default();
            let mut seen = BTreeSet::new();
            let mut values = 0;
            for row in 0..2000 {
                arena.clear();
                let slot = dataset.value(0, 1, row, &mut arena);
                if let Slot::Text(range) | Slot::Bytes(range) = slot {
                    values += 1;
                    seen.insert(arena.get(range).to_vec());
                } else if slot != Slot::Null {
                    values += 1;
                    seen.insert(format!("{slot:?}").into_bytes());
                }
            }
            assert_eq!(seen.len(), values, "{kind} {nulls}");
            assert!((1300..=1500).contains(&values) || values == 2000, "{kind} {nulls}: {values}");
        }
    }
}

#[test]
fn rows_can_be_too_many_at_another_scale() {
    let columns: &[(&str, f64, &str)] = &[("c", 0.0, "uniform = [1, 1000]\nunique = true")];
    let dataset = build(1, &[("t", 1000, columns)]).expect("just enough");
    assert!(dataset.refusal(0, 0).is_none());
    let refusal = refused(&[("t", 1001, columns)]);
    assert_eq!(refusal.message, "1001 rows cannot have different values, there are 1000");
}

#[test]
fn what_depends_on_others_is_what_they_say() {
    let tables: &[Described<'_>] = &[
        (
            "p",
            50,
            &[
                ("id", 0.0, "sequence = {}"),
                ("price", 0.0, "uniform = [1, 100]"),
                ("kind", 0.0, "weighted = { a = 1, b = 1 }"),
            ],
        ),
        (
            "c",
            500,
            &[
                ("p_id", 0.2, "reference = { table = 'p' }"),
                ("n", 0.0, "uniform = [1, 9]"),
                ("total", 0.0, "expression = 'n * p_id.price'"),
                ("kind", 0.0, "lookup = { through = 'p_id', column = 'kind' }"),
                (
                    "size",
                    0.0,
                    "conditional = { on = 'kind', when = { a = { uniform = [1, 9] }, b = { decimal = { min = 10, max = 19, scale = 1 } } } }",
                ),
            ],
        ),
    ];
    let dataset = build(1, tables).expect("valid");
    assert_eq!((dataset.kind(1, 2), dataset.kind(1, 4)), (ValueKind::Int, ValueKind::Decimal));
    assert!(dataset.nullable(1, 2) && dataset.nullable(1, 4));
    for row in 0..500 {
        let parent = int(&dataset, 1, 0, row).map(|id| u64::try_from(id - 1).expect("a row"));
        let expected =
            parent.and_then(|parent| Some(int(&dataset, 0, 1, parent)? * int(&dataset, 1, 1, row)?));
        assert_eq!(int(&dataset, 1, 2, row), expected);
        let size = text(&dataset, 1, 4, row);
        match parent.map(|parent| text(&dataset, 0, 2, parent)).as_deref() {
            Some("a") => assert!(size.len() == 1, "{size}"),
            Some("b") => assert!(size.len() == 4, "{size}"),
            _ => assert_eq!(size, "NULL"),
        }
    }
}

#[test]
fn what_is_drawn_once_is_determined() {
    let once = "conditional = { on = 'code', when = { '7' = { constant = 'seven' } }, else = { uniform = [1, 900] }, draw = 'once' }";
    let columns: &[(&str, f64, &str)] = &[
        ("code", 0.1, "uniform = [1, 400]"),
        ("town", 0.25, once),
        ("each", 0.0, "conditional = { on = 'code', else = { uniform = [1, 900] } }"),
    ];
    let dataset = build(3, &[("t", 20_000, columns)]).expect("valid");
    let (mut towns, mut strays) = (BTreeMap::new(), 0);
    let (mut rows_without, mut codes_without) = (0.0, 0.0);
    for row in 0..20_000 {
        let (code, town) = (text(&dataset, 0, 0, row), text(&dataset, 0, 1, row));
        rows_without += f64::from(u8::from(town == "NULL"));
        if let Some(known) = towns.insert(code, town.clone()) {
            assert_eq!(known, town);
        } else {
            codes_without += f64::from(u8::from(town == "NULL"));
        }
        strays += usize::from(text(&dataset, 0, 2, row) != text(&dataset, 0, 1, row));
    }
    assert_eq!(towns.len(), 401, "NULL is one of them");
    assert!(towns["7"] == "seven" || towns["7"] == "NULL", "{}", towns["7"]);
    // A quarter of 401 values: 100 ± 5 standard deviations of a binomial count.
    assert!(
        (57.0..=143.0).contains(&codes_without) && rows_without > 1000.0,
        "{codes_without} {rows_without}"
    );
    assert!(strays > 19_000, "each row draws anew unless it is said");
}

#[test]
fn bytes_and_lists_are_what_they_are() {
    let columns: &[(&str, f64, &str)] = &[
        ("b", 0.0, "bytes = { length = [4, 4] }"),
        ("a", 0.0, "array = { of = { constant = 'say \"hi\"\\\\, {x}' }, length = [2, 2] }"),
    ];
    let dataset = build(1, &[("t", 10, columns)]).expect("valid");
    let mut arena = Arena::default();
    let Slot::Bytes(range) = dataset.value(0, 0, 3, &mut arena) else { panic!("bytes") };
    assert_eq!(arena.get(range).len(), 4);
    assert_eq!((dataset.kind(0, 1), dataset.element_kind(0, 1)), (ValueKind::List, Some(ValueKind::Text)));
    assert_eq!(text(&dataset, 0, 1, 0), r#"{"say \"hi\"\\\\, {x}","say \"hi\"\\\\, {x}"}"#);
}

/// Descriptions of a column, and what is said of them beside a sequence, categories and references to three tags; nothing
/// where they are right.
const WRONG: &[(&str, &str)] = &[
    ("uniform = [1, 9]\nunique = true", "10 rows cannot have different values, there are 9"),
    ("weighted = { a = 1 }\nunique = true", "10 rows cannot have different values, there are 1"),
    ("normal = { mean = 0, sd = 1 }\nunique = true", "10 rows cannot have different values, there are 2"),
    ("zipf = { n = 1000, exponent = 1 }\nunique = true", "frequent numbers come more than once"),
    ("city = {}\nunique = true", "names come more than once"),
    (
        "template = '{first_name}{id}x{city}'\nunique = true",
        "nothing keeps the values of this template apart",
    ),
    ("lookup = { through = 'tag_id', column = 'id' }\nunique = true", "nothing keeps these values apart"),
    (
        "histogram = { common_values = [1], common_frequencies = [0.5], bounds = [2, 90] }\nunique = true",
        "common values come more than once",
    ),
    ("histogram = { bounds = [1, 3] }\nunique = true", "10 rows cannot have different values, there are 3"),
    (
        "histogram = { bounds = [1, 3], distinct = -1 }",
        "`distinct` asks for 10 values, and the bounds have room for 3",
    ),
    ("words = [1, 2]\ncorrelation = 0.5", "these values have no order that rows could follow"),
    ("words = [1, 2]\nunique = true\ncorrelation = 0.5", "these values have no order that rows could follow"),
    (
        "boolean = { true_fraction = 0.5 }\ncorrelation = -0.9",
        "`correlation` is -0.9, and at least -0.50 is measured",
    ),
    (
        "date = { from = '2021-01-01', to = '2026-01-01', correlation = 0.5 }\ncorrelation = 0.5",
        "`correlation` is said twice",
    ),
    ("sequence = {}\ncorrelation = 0.5", "`correlation` has no meaning here"),
    ("uuid = { version = 7 }", "a UUID of version 7 has one source of its time"),
    ("uuid = { from = '2021-01-01', to = '2026-01-01' }", "a random UUID has no time"),
    ("uuid = { version = 5 }", "`version` is 5"),
    ("uuid = { version = 7, at = 'id' }", "`id` is not a time"),
    ("ip_address = { network = '10.0.0.0' }", "`10.0.0.0` is not a network"),
    ("interval = { length_s = { words = [1, 1] } }", "`length_s` is not a number of seconds"),
    ("text = { length = { words = [1, 1] } }", "a length is no whole number"),
    ("text = { length = { uniform = [1, 2000000] } }", "2000000 is too many"),
    ("expression = 'idd + 1'", "no column of `t` `idd`"),
    ("expression = 'id.x + 1'", "`id` refers to no table"),
    ("expression = 'c + 1'", "the value of `t.c` would need itself"),
    ("expression = \"id || '\"", "a ' has no partner"),
    ("conditional = { on = 'kind', when = { x = { uuid = {} } } }", "no value of `kind` `x`"),
    (
        "conditional = { on = 'kind', when = { a = { uniform = [9, 1] } } }",
        "for `a`: the range from 9 to 1 is empty",
    ),
    (
        "conditional = { on = 'kind', when = { a = { uuid = {} } }, else = { bytes = { length = [1, 1] } } }",
        "one branch makes UUIDs, another bytes",
    ),
    ("conditional = { on = 'kind', when = {} }", "`when` is empty"),
    ("conditional = { on = 'kind', draw = 'once' }", "`when` is empty"),
    (
        "reference = { table = 'tags', distinct_per = 'tag_id' }",
        "the rows that `tag_id` refers with are not counted",
    ),
    ("reference = { table = 'tags', distinct_per = 'id' }", "`id` refers to no table"),
    (
        "reference = { table = 'tags', distinct_per = 'many' }",
        "5 different rows for one parent, where there are 3",
    ),
    ("reference = { table = 'tags' }\nunique = true", "10 rows cannot have different values, there are 3"),
    ("reference = { table = 'tags', fan_out = { zipf = 1 } }\nunique = true", "several rows refer to one"),
    (
        "reference = { table = 'tags', fan_out = { zipf = 1 } }\ncorrelation = 0.5",
        "this fan-out has an order of its own",
    ),
    (
        "reference = { table = 'tags', fan_out = { histogram = { 0 = 1, 1 = 2 } } }",
        "10 rows cannot be spread so over the 3 rows of `tags`",
    ),
    (
        "reference = { table = 'tags', fan_out = { histogram = { many = 1 } } }",
        "`many` is not a number of children",
    ),
    (
        "reference = { table = 'tags', fan_out = { normal = { sd = 1, mean = 5 } } }",
        "`mean` is 5, and 10 rows for 3 of `tags` are 3.33",
    ),
    ("json = { a = { bytes = { length = [1, 1] } } }", "field `a` is bytes"),
    ("histogram = { bounds = [1, 9], distinct = -0.5 }", ""),
];

#[test]
fn what_cannot_be_is_refused_before_any_row() {
    let id = ("id", 0.0, "sequence = {}");
    let tags = ("tags", 3, &[id] as &[_]);
    for (description, message) in WRONG {
        let columns: &[(&str, f64, &str)] = &[
            id,
            ("tag_id", 0.0, "reference = { table = 'tags' }"),
            ("many", 0.0, "reference = { table = 'tags', fan_out = { each = [0, 5] } }"),
            ("kind", 0.0, "weighted = { a = 1, b = 1 }"),
            ("c", 0.0, description),
        ];
        let tables = [tags, ("t", 10, columns)];
        if message.is_empty() {
            assert!(build(1, &tables).is_ok(), "{description}");
        } else {
            assert_eq!(refused(&tables).message, *message, "{description}");
        }
    }
}

#[test]
fn a_mistake_in_an_expression_knows_its_place() {
    let tables: &[Described<'_>] =
        &[("t", 10, &[("id", 0.0, "sequence = {}"), ("c", 0.0, "expression = 'id * (idd + 1)'")])];
    let (text, bytes) = refused(tables).at.expect("a place");
    assert_eq!(&text[bytes], "idd");
}

#[test]
fn columns_that_exclude_each_other_never_meet_in_a_row() {
    const HISTOGRAM: &str = "histogram = { common_values = [7], common_frequencies = [0.1], bounds = [10, 500] }\nexclusive = 'owner'";
    let tables: &[Described<'_>] = &[
        ("users", 1000, &[("id", 0.0, "sequence = {}")]),
        (
            "notes",
            999,
            &[
                ("user_id", 0.5, "reference = { table = 'users' }\nexclusive = 'owner'"),
                ("number", 0.7, HISTOGRAM),
                ("key", 0.8, "uuid = {}\nunique = true\nexclusive = 'owner'"),
                ("free", 0.5, "uniform = [1, 9]"),
                (
                    "first",
                    0.6,
                    "reference = { table = 'users', fan_out = { each = [0, 3] } }\nexclusive = 'other'",
                ),
                ("once", 0.7, "reference = { table = 'users' }\nunique = true\nexclusive = 'other'"),
            ],
        ),
    ];
    let dataset = build(7, tables).expect("valid");
    let has = |column: usize, row: u64| dataset.value(1, column, row, &mut Arena::default()) != Slot::Null;
    let count = |columns: &[usize], row: u64| columns.iter().filter(|column| has(**column, row)).count();
    assert!((0..999).all(|row| count(&[0, 1, 2], row) == 1));
    assert!((0..999).all(|row| count(&[4, 5], row) <= 1));
    let values = |column: usize| (0..999).filter(|row| has(column, *row)).count();
    for (column, share) in [(0, 500), (1, 300), (2, 200), (4, 400), (5, 300)] {
        assert!(values(column).abs_diff(999 * share / 1000) <= 1, "{column}: {}", values(column));
    }
    let keys: BTreeSet<String> =
        (0..999).map(|row| text(&dataset, 1, 2, row)).filter(|text| text != "NULL").collect();
    assert_eq!(keys.len(), values(2));
    let once: BTreeSet<i64> = (0..999).filter_map(|row| int(&dataset, 1, 5, row)).collect();
    assert_eq!(once.len(), values(5));
    // Not beyond what there are rows, and in no order.
    let two = |nulls: f64, more: &str| {
        let column = format!("uniform = [1, 9]\nexclusive = 'o'{more}");
        refused(&[("t", 10, &[("a", nulls, &column), ("b", 0.5, "uniform = [1, 9]\nexclusive = 'o'")])])
    };
    assert!(two(0.2, "").message.contains("130.0 % of the rows"), "{:?}", two(0.2, ""));
    assert!(two(0.5, "\ncorrelation = 0.5").message.contains("`correlation` cannot be held"));
    // Not by a column that is NULL where another one says so, and not by one alone.
    for made in [
        "tree = { depth = 3, roots = 1, column = 'id' }",
        "expression = 'b + 1'",
        "after = { column = 'at', lag_s = { uniform = [1, 9] } }",
        "conditional = { on = 'b', when = { 1 = { uniform = [1, 9] } } }",
    ] {
        let made = format!("{made}\nexclusive = 'o'");
        let why = refused(&[(
            "t",
            10,
            &[
                ("id", 0.0, "sequence = {}"),
                ("at", 0.0, "timestamp = { from = '2024-01-01', to = '2025-01-01' }"),
                ("b", 0.5, "uniform = [1, 9]\nexclusive = 'o'"),
                ("a", 0.5, &made),
            ],
        )]);
        assert!(why.message.contains("can be NULL by itself"), "{made}: {why:?}");
    }
    let otherwise = "conditional = { on = 'c', when = { 1 = { uniform = [1, 9] } }, else = { uniform = [10, 19] } }\nexclusive = 'o'";
    build(
        7,
        &[(
            "t",
            10,
            &[
                ("a", 0.5, otherwise),
                ("b", 0.5, "uniform = [1, 9]\nexclusive = 'o'"),
                ("c", 0.0, "uniform = [1, 2]"),
            ],
        )],
    )
    .expect("it has a value in every row that is its own");
    let alone = refused(&[(
        "t",
        10,
        &[
            ("a", 0.5, "uniform = [1, 9]\nexclusive = 'ownr'"),
            ("b", 0.5, "uniform = [1, 9]\nexclusive = 'owner'"),
            ("c", 0.5, "uniform = [1, 9]\nexclusive = 'owner'"),
        ],
    )]);
    assert!(alone.message.contains("no other column"), "{alone:?}");
    assert_eq!(alone.help.as_deref(), Some("did you mean `owner`?"));
}
