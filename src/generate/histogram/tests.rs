//! What is dealt out is what was described: exactly, for every kind of value.

use std::collections::BTreeMap;

use super::{Dealt, Histogram};
use crate::generate::json::plain;
use crate::generate::spec::{HistogramSpec, Refusal};
use crate::generate::value::Made;

fn histogram(text: &str, null_fraction: f64) -> Result<Histogram, Refusal> {
    let spec: HistogramSpec = toml::from_str(text).expect("TOML");
    Histogram::new(&spec, null_fraction)
}

fn at(dealt: &Dealt, place: u64) -> String {
    let mut out = vec![];
    if let Made::Scalar(slot) = dealt.emit(place, &mut out) {
        plain(&mut out, slot);
    }
    String::from_utf8(out).expect("UTF-8")
}

fn counts(text: &str, rows: u64) -> BTreeMap<String, u64> {
    let dealt = histogram(text, 0.0).unwrap_or_else(|refusal| panic!("{refusal:?}")).deal(rows, rows);
    let mut counts = BTreeMap::new();
    for place in 0..rows {
        *counts.entry(at(&dealt, place)).or_default() += 1;
    }
    counts
}

#[test]
fn common_values_have_their_share_and_the_others_are_as_many_as_said() {
    let counts = counts(
        "common_values = [7, 500, 42]\ncommon_frequencies = [0.2, 0.05, 0.1]\nbounds = [1, 10, 100, 1000]\ndistinct = 203",
        10_000,
    );
    assert_eq!((counts["7"], counts["500"], counts["42"]), (2000, 500, 1000));
    assert_eq!(counts.len(), 203);
    let number = |value: &str| value.parse::<u64>().expect("a number");
    let others = |low, high| {
        let inside =
            |value: &str| (low..high).contains(&number(value)) && !["7", "500", "42"].contains(&value);
        counts.iter().filter(|(value, _)| inside(value)).map(|(_, count)| count).sum::<u64>()
    };
    // 6500 rows lie evenly in three groups, whatever their width.
    for group in [others(1, 10), others(10, 100), others(100, 1001)] {
        assert!(group.abs_diff(2167) <= 1, "{group}");
    }
    // The narrow group has eight values that are not common, and all of them come.
    assert_eq!(counts.keys().filter(|value| number(value) < 10).count(), 9);
}

#[test]
fn values_stand_in_their_order_along_the_line() {
    let histogram = histogram(
        "common_values = [5.5, -1.25]\ncommon_frequencies = [0.5, 0.1]\nbounds = [-2, 0, 5, 20.75]\ndistinct = -0.3",
        0.0,
    );
    let dealt = histogram.expect("valid").deal(1000, 1000);
    let values: Vec<f64> = (0..1000).map(|place| at(&dealt, place).parse().expect("a number")).collect();
    assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
    let distinct: std::collections::BTreeSet<String> = (0..1000).map(|place| at(&dealt, place)).collect();
    assert_eq!(distinct.len(), 300);
    assert_eq!((values[0], at(&dealt, 0).as_str()), (-2.0, "-2.00"));
}

#[test]
fn every_type_can_be_unique() {
    for (text, rows) in [
        ("bounds = [0, 50, 99_999]\ndistinct = -1", 40),
        ("bounds = [0, 60, 1000]", 100),
        ("bounds = ['2024-01-01', '2024-06-01', '2025-01-01']\ntype = 'date'", 300),
        ("bounds = ['2024-01-01 00:00:00+00', '2025-01-01 08:00:00.5']\ntype = 'timestamp'", 5000),
        ("bounds = ['0.10', '99.99']\ntype = 'decimal'\ndistinct = -1", 5000),
        ("bounds = [0.5, 1.5, 1e300]\ntype = 'float'\ndistinct = -1", 5000),
        ("bounds = ['anna@x.org', 'bob@x.org', 'bob@y.org', 'zoë']\ndistinct = -1", 5000),
        (
            "bounds = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']\ntype = 'uuid'",
            5000,
        ),
    ] {
        let counts = counts(text, rows);
        assert_eq!(counts.len() as u64, rows, "{text}");
    }
}

#[test]
fn odd_texts_are_kept_as_they_are() {
    let counts = counts(
        "common_values = ['', 'a \"b\" \\ {c},', \"o'neil\", 'ünï']\ncommon_frequencies = [0.25, 0.25, 0.25, 0.25]",
        100,
    );
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| *count == 25) && counts.contains_key("a \"b\" \\ {c},"));
}

#[test]
fn texts_between_bounds_are_as_long_as_they_are() {
    let dealt =
        histogram("bounds = ['abernathy', 'lovelace', 'zimmerman']\ndistinct = 3000", 0.0).expect("valid");
    let dealt = dealt.deal(10_000, 10_000);
    let values: std::collections::BTreeSet<String> = (0..10_000).map(|place| at(&dealt, place)).collect();
    assert_eq!(values.len(), 3000);
    assert!(values.iter().all(|value| (8..=9).contains(&value.len())));
    assert!(values.iter().all(|value| value.as_str() < "zimmerman"));
}

#[test]
fn what_cannot_be_is_refused() {
    for (text, nulls, message) in [
        ("common_values = [1]", 0.0, "1 common values have 0 frequencies"),
        (
            "common_values = [1, 2]\ncommon_frequencies = [0.7, 0.6]",
            0.0,
            "the frequencies add up to 1.300000",
        ),
        (
            "common_values = [1, 2]\ncommon_frequencies = [0.6, 0.4]",
            0.1,
            "the frequencies add up to 1.100000 with the NULLs",
        ),
        ("common_values = [1, 2]\ncommon_frequencies = [0.6, 0.2]", 0.0, "20.0 % of the rows have no value"),
        ("common_values = [1, 1]\ncommon_frequencies = [0.5, 0.5]", 0.0, "the common value `1` comes twice"),
        ("common_values = [1]\ncommon_frequencies = [0.0]", 0.0, "a frequency is 0"),
        ("bounds = [3, 2]", 0.0, "the bounds `3` and `2` are out of order"),
        ("bounds = [3]", 0.0, "`bounds` has one value"),
        ("bounds = [1, 2]\ndistinct = -2", 0.0, "`distinct` is -2"),
        (
            "common_values = [1, 2]\ncommon_frequencies = [0.6, 0.4]\ndistinct = 1",
            0.0,
            "`distinct` is 1, and at least 2 values are described",
        ),
        ("bounds = ['x', 'y']\ntype = 'integer'", 0.0, "`x` is not a whole number"),
        ("bounds = ['x', 'y']\ntype = 'date'", 0.0, "`x` is not a time"),
        ("", 0.0, "100.0 % of the rows have no value"),
    ] {
        assert_eq!(histogram(text, nulls).expect_err(text).message, message);
    }
    let narrow = histogram("bounds = [1, 10]\ndistinct = 500", 0.0).expect("for some tables");
    assert_eq!(narrow.lacking(1000, 1000, 0.9), Some((10, 500)));
    assert!(histogram("bounds = [1, 10]\ndistinct = -0.5", 0.0).expect("valid").without_rows().is_err());
}

#[test]
fn texts_that_begin_alike_stay_apart() {
    for bounds in [
        r#"["a", "b", "b1", "c"]"#,
        r#"["x", "x1", "x12", "x123"]"#,
        r#"["user1", "user10", "user100", "user2"]"#,
        r#"["", " ", "  1", "!"]"#,
    ] {
        for rows in [90, 99, 3_000] {
            let counts = counts(&format!("bounds = {bounds}\ndistinct = -1"), rows);
            assert_eq!(counts.len() as u64, rows, "{bounds}");
        }
    }
}

#[test]
fn floats_of_any_size_have_values_between_them() {
    let counts = counts("bounds = [-1.5e308, 1.5e308]\ntype = \"float\"\ndistinct = -1", 100);
    assert_eq!(counts.len(), 100);
    assert!(counts.keys().all(|value| value.parse::<f64>().is_ok_and(f64::is_finite)), "{counts:?}");
}
