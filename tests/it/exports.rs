//! Reports in the forms of other programs: what they say is what the report says.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use dbdyno::model::{Quantiles, Report, Verdict};
use dbdyno::report;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::harness::Database;
use crate::place::{Measured, Place, measured};
use crate::readers;

fn of(place: &Place, words: &str) -> Measured {
    Measured::from(&place.dbdyno(words).output().expect("the program can be started"))
}

/// A run of two seconds, with a budget that is not kept and two that are, one of them on a figure by its place in the report.
fn measured_once() -> (Place, Report) {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.002)");
    let words = "run --clients 2 --duration 2s --warmup 1s --pool-size 2 --budget p50<10s --budget p50<1us \
                 --budget stages[].statements[only.statement].execute_us.p50<10s --json -";
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
    assert!(junit.output.contains("tests=\"4\""), "three budgets and the measurement: {}", junit.output);
    let by_place = report.budgets.iter().find(|budget| budget.metric.starts_with("stages[]"));
    assert_eq!(by_place.map(|budget| budget.verdict), Some(Verdict::Pass), "{:?}", report.budgets);
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
    assert_the_reference_reads(&place, &log.output, &stage.response_us);
}

/// The reference implementation of the format finds every sample of the report. Where it is not packaged, nothing is said.
fn assert_the_reference_reads(place: &Place, log: &str, response: &Quantiles) {
    if cfg!(target_os = "macos") {
        return;
    }
    let file = place.path("run.hlog");
    std::fs::write(&file, log).expect("a file");
    assert_eq!(readers::hdr_tags(&file), ["only"]);
    let read = readers::hdr_log(&file, "only");
    assert_eq!(read.count, response.count);
    let longest = response.max.expect("there are samples") as f64;
    // A histogram of three digits keeps a value to a thousandth.
    assert!((read.max / longest - 1.0).abs() <= 0.001, "{} of {longest}", read.max);
}

#[test]
fn test_runners_read_the_verdicts_of_every_kind() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports");
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    let mut written = Vec::new();
    for entry in std::fs::read_dir(stored).expect("stored reports") {
        let path = entry.expect("an entry").path();
        let Ok(report) = serde_json::from_str::<Report>(&std::fs::read_to_string(&path).expect("a report"))
        else {
            // A comparison of stored runs is no run.
            assert!(path.ends_with("compare.json"), "{}", path.display());
            continue;
        };
        let file = folder.path().join(path.file_stem().expect("a name")).with_extension("xml");
        let xml = report::junit(&report);
        std::fs::write(&file, &xml).expect("the folder can be written");
        files.push(file);
        written.push(xml);
    }
    assert_eq!(files.len(), 6, "{files:?}");
    for (suite, xml) in readers::junit(&files).iter().zip(&written) {
        let count = |tag: &str| xml.matches(tag).count();
        let counted = readers::Suite {
            tests: count("<testcase "),
            failures: count("<failure "),
            errors: count("<error "),
            cases: count("<testcase "),
        };
        assert_eq!(*suite, counted, "{xml}");
        assert!(suite.tests > 0);
    }
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
