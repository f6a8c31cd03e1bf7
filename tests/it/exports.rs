//! Reports in the forms of other programs: what they say is what the report says.

use std::collections::BTreeMap;

use base64::Engine as _;
use dbdyno::model::Report;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::harness::Database;
use crate::place::{Measured, Place, measured};

fn of(place: &Place, words: &str) -> Measured {
    Measured::from(&place.dbdyno(words).output().expect("the program can be started"))
}

/// A run of two seconds, with a budget that is kept and one that is not.
fn measured_once() -> (Place, Report) {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.002)");
    let words =
        "run --clients 2 --duration 2s --warmup 1s --pool-size 2 --budget p50<10s --budget p50<1us --json -";
    let mut command = place.on(database.url(), words);
    let summary = place.path("summary.md");
    std::fs::write(&summary, "# Another step\n").expect("a file");
    let ended = Measured::from(&command.env("GITHUB_STEP_SUMMARY", &summary).output().expect("it runs"));
    assert_eq!(ended.code, Some(3), "{}", ended.errors);
    let report = ended.report();
    (place, report)
}

#[test]
fn a_run_in_every_form() {
    let (place, report) = measured_once();
    let stage = measured(&report);

    let markdown = of(&place, "report --format markdown");
    assert_eq!(markdown.code, Some(0), "{}", markdown.errors);
    assert!(markdown.output.starts_with("## Load test of one: ❌ fail"), "{}", markdown.output);
    let summary = std::fs::read_to_string(place.path("summary.md")).expect("it was there");
    assert_eq!(summary, format!("# Another step\n{}\n", markdown.output), "appended, and the same");

    let junit = of(&place, "report --format junit");
    assert!(junit.output.contains("tests=\"3\""), "two budgets and the measurement: {}", junit.output);
    assert_eq!(junit.output.matches("<failure ").count(), 1, "{}", junit.output);

    let locks = of(&place, "report --format csv --table locks");
    assert_eq!(locks.output.lines().count(), 1, "nobody waited: {}", locks.output);
    let folder = place.path("tables");
    let out = Measured::from(
        &place.dbdyno("report --format csv --out").arg(&folder).output().expect("the program can be started"),
    );
    assert_eq!((out.code, out.output.as_str()), (Some(0), ""), "{}", out.errors);
    let intervals = std::fs::read_to_string(folder.join("intervals.csv")).expect("it was written");
    let seconds: usize = report.stages.iter().map(|stage| stage.intervals.len()).sum();
    assert_eq!(intervals.lines().count(), 1 + seconds);
    let statements = std::fs::read_to_string(folder.join("statements.csv")).expect("it was written");
    assert!(statements.contains(&format!(",{},", stage.statements[0].count)), "{statements}");

    let log = of(&place, "report --format hlog");
    assert_eq!(log.code, Some(0), "{}", log.errors);
    assert_eq!(samples(&log.output), BTreeMap::from([("only".to_owned(), stage.response_us.count)]));
}

/// Samples in an interval log, by their tags.
fn samples(log: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let LogEntry::Interval(interval) = entry.expect("a line of the format") else { continue };
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram());
        let histogram: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.expect("base64").as_slice()).expect("a histogram");
        *counts.entry(interval.tag().expect("a tag").as_str().to_owned()).or_default() += histogram.len();
    }
    counts
}

#[test]
fn a_report_that_was_measured_keeps_to_the_schema_that_is_published() {
    let (place, _) = measured_once();
    let schema = of(&place, "schema report");
    let schema = serde_json::from_str(&schema.output).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema that a validator reads");
    let report = serde_json::from_str(&of(&place, "report --format json").output).expect("a report");
    let wrong: Vec<String> =
        validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let comparisons = of(&place, "schema compare");
    assert!(comparisons.output.contains("\"dbdyno comparison of stored runs\""), "{}", comparisons.output);
}

#[test]
fn forms_that_do_not_go_together_are_refused_before_anything_is_done() {
    let place = Place::one_statement("SELECT 1");
    for (words, named) in [
        ("report --format csv", &["--table", "--out", "intervals"] as &[&str]),
        ("report --table locks", &["--table", "--format csv"]),
        ("report --format junit --out x", &["--out", "--format csv"]),
        ("report --format csv --table nothing", &["nothing", "statements"]),
        ("run -w x --clients 1 --duration 1s --json - --markdown -", &["--markdown", "`-`"]),
    ] {
        let words = words.replace("-w x", &format!("-w {}", place.workload().display()));
        let ended = of(&place, &words);
        assert_eq!(ended.code, Some(2), "{words}: {}", ended.errors);
        for name in named {
            assert!(ended.errors.contains(name), "{words}: {}", ended.errors);
        }
    }
}
