//! A report for a test runner, as JUnit XML: each budget, goal, limit, condition and verdict is a test case. What is broken is a
//! failure; what the measurement cannot tell is an error, so that nobody takes it for a pass.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::format::{NBSP, count, whole_us};
use super::text::sanitise;
use crate::model::{
    BudgetResult, Capacity, Comparison, DdlInfo, DdlOutcome, IndexExperiment, IndexVerdict, Migration,
    MigrationOutcome, PoolStudy, Rehearsal, Report, Severity, Verdict,
};

/// Of a metric for which two arms, or two runs, have no value.
const NO_VALUE: &str = "no value: a slice or a run has too few samples for it (a p99 takes 1,000); measure longer, or limit the mean";

/// The verdicts of a report as JUnit XML.
///
/// # Panics
/// Never: what is written goes into memory.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut suite = TestSuite::new(clean(&format!("dbdyno {} {}", report.kind, report.workload.name)));
    suite.add_test_case(measured(report));
    suite.add_test_cases(report.budgets.iter().map(|budget| of_budget("budget", budget)));
    if let Some(study) = &report.study {
        suite.add_test_cases(of_pool(study));
    }
    if let Some(comparison) = &report.comparison {
        suite.add_test_cases(of_limits(comparison));
    }
    if let Some(experiment) = &report.index {
        suite.add_test_cases(of_indexes(experiment));
    }
    if let Some(capacity) = &report.capacity {
        suite.add_test_case(of_capacity(capacity));
    }
    if let Some(migration) = &report.migration {
        suite.add_test_cases(of_migration(migration));
    }
    let seconds: f64 = report.stages.iter().map(|stage| stage.duration_s + stage.drain_s).sum();
    suite.set_time(whole(seconds));
    let mut all = quick_junit::Report::new("dbdyno");
    all.set_time(whole(seconds));
    all.add_test_suite(suite);
    let xml = all.to_string().expect("a report in memory is written");
    // The library's own addition to the root, which stands first; the schema of Jenkins has it of the suite only.
    xml.replacen(&format!(" skipped=\"{}\"", all.skipped), "", 1)
}

fn whole(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn clean(text: &str) -> String {
    sanitise(text).replace(NBSP, " ")
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(format!("dbdyno.{class}"));
    case.set_time(Duration::ZERO);
    case
}

/// A verdict with what was measured, and why nobody can tell.
fn status(verdict: Verdict, measured: &str, reason: Option<&str>) -> TestCaseStatus {
    let (kind, word) = match verdict {
        Verdict::Pass | Verdict::None => return TestCaseStatus::success(),
        Verdict::Fail => (NonSuccessKind::Failure, "broken"),
        Verdict::Inconclusive => (NonSuccessKind::Error, "inconclusive"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    status.set_type(word).set_message(clean(&format!("{word}: {measured}{why}")));
    status
}

/// Whether there is a measurement to speak of.
fn measured(report: &Report) -> TestCase {
    let invalid = report.findings.iter().find(|finding| finding.severity == Severity::Invalid);
    let of = match invalid {
        Some(finding) => status(Verdict::Inconclusive, &finding.title, Some(&finding.evidence)),
        None if report.ended != "completed" => {
            status(Verdict::Inconclusive, &format!("the run ended as {}", report.ended), None)
        }
        None => TestCaseStatus::success(),
    };
    case("measurement", "the measurement is valid and whole", of)
}

fn of_budget(class: &str, budget: &BudgetResult) -> TestCase {
    let stage = if budget.stage.is_empty() { String::new() } else { format!(" in stage {}", budget.stage) };
    let measured = format!("{}{stage}", budget.measured);
    case(
        class,
        &format!("{} {}", budget.metric, budget.limit),
        status(budget.verdict, &measured, budget.reason.as_deref()),
    )
}

fn of_pool(study: &PoolStudy) -> Vec<TestCase> {
    let goal = study.goal.as_ref().map(|goal| {
        let name = format!("{} {}", goal.metric, goal.limit);
        case("goal", &name, status(goal.verdict, &study.recommendation, None))
    });
    goal.into_iter().collect()
}

fn of_limits(comparison: &Comparison) -> Vec<TestCase> {
    let limited = comparison.metrics.iter().filter_map(|metric| Some((metric, metric.limit.as_ref()?)));
    limited
        .map(|(metric, limit)| {
            let verdict = match metric.limit_kept {
                Some(true) => Verdict::Pass,
                Some(false) => Verdict::Fail,
                None => Verdict::Inconclusive,
            };
            let percent = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
            let measured = metric.ratio.map_or_else(|| NO_VALUE.to_owned(), percent);
            let within =
                metric.simultaneous.map(|(low, high)| format!("{} to {}", percent(low), percent(high)));
            let stage = metric.stage.as_ref().map_or_else(String::new, |stage| format!("{stage}: "));
            case(
                "limit",
                &format!("{stage}{} {limit}", metric.metric),
                status(verdict, &measured, within.as_deref()),
            )
        })
        .collect()
}

/// An index that nobody can judge is an error; what to do with the others is an answer, not a failure.
fn of_indexes(experiment: &IndexExperiment) -> Vec<TestCase> {
    let verdict = |of| if of == IndexVerdict::Inconclusive { Verdict::Inconclusive } else { Verdict::Pass };
    let one = |of: &crate::model::IndexResult| {
        let why = of.why.clone().or_else(|| of.reasons.first().cloned()).unwrap_or_default();
        case("index", &of.definition, status(verdict(of.verdict), &why, None))
    };
    experiment.indexes.iter().map(one).collect()
}

fn of_capacity(capacity: &Capacity) -> TestCase {
    let asked = capacity.at_least_per_s.map_or_else(String::new, |rate| format!(" at {rate}/s or more"));
    let name = format!("{}{asked}", capacity.goals.join(", "));
    case("capacity", &name, status(capacity.verdict, &capacity.answer, None))
}

fn of_migration(migration: &Migration) -> Vec<TestCase> {
    let mut cases = vec![applied(migration)];
    cases.extend(
        migration
            .conditions
            .iter()
            .map(|of| case("migration", &of.condition, status(of.verdict, &of.measured, None))),
    );
    cases.extend(migration.statements.iter().map(of_statement));
    cases.extend(migration.rehearsals.iter().map(of_rehearsal));
    cases
}

/// A statement that failed is a failure; one that does not stand, through no fault of its own, is skipped.
fn of_statement(of: &DdlInfo) -> TestCase {
    const SQL_SHOWN: usize = 100;
    let sql = of.sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = sql.chars().take(SQL_SHOWN).collect();
    let rest = if cut.len() < sql.len() { "…" } else { "" };
    // What a tool sent stands in no line.
    let place = if of.line > 0 { format!("{} line {}", of.file, of.line) } else { of.number.to_string() };
    let status = match of.outcome {
        DdlOutcome::Committed => TestCaseStatus::success(),
        DdlOutcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("broken").set_message(clean(of.error.as_deref().unwrap_or("it failed")));
            status
        }
        DdlOutcome::RolledBack => skipped("rolled back with its transaction"),
        DdlOutcome::NotReached => skipped("not reached"),
    };
    let mut case = case("migration.statement", &format!("{place}: {cut}{rest}"), status);
    case.set_time(Duration::from_micros(of.duration_us));
    if of.blocked > 0 {
        case.set_system_out(clean(&format!(
            "{} executions of the workload waited for it, {} together, {} the longest",
            count(of.blocked),
            whole_us(of.blocked_us_total),
            whole_us(of.blocked_us_max)
        )));
    }
    case
}

/// Another way to apply it, or the way back: one that does not come to its end is an answer, and what is asked of it a condition.
fn of_rehearsal(of: &Rehearsal) -> TestCase {
    let limit = of.lock_timeout_ms.map_or_else(|| "none".to_owned(), |ms| whole_us(ms * 1000));
    let name = match of.kind.as_str() {
        "safe" => "the safe form".to_owned(),
        "down" => "the way back".to_owned(),
        _ => format!("lock_timeout {limit}"),
    };
    let landed = of.outcome == MigrationOutcome::Applied;
    let status = if landed { TestCaseStatus::success() } else { skipped(&of.answer) };
    let mut case = case("migration.rehearsal", &name, status);
    case.set_time(whole(of.took_s.unwrap_or(0.0)));
    if landed {
        case.set_system_out(clean(&of.answer));
    }
    case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(why));
    status
}

fn applied(migration: &Migration) -> TestCase {
    let failed = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed);
    let of = if migration.outcome == MigrationOutcome::Applied {
        TestCaseStatus::success()
    } else {
        let why = failed.and_then(|of| of.error.as_deref()).unwrap_or(&migration.answer);
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("broken").set_message(clean(why));
        if let Some(of) = failed {
            status.set_description(clean(&format!("{} line {}: {}", of.file, of.line, of.sql)));
        }
        status
    };
    let mut case = case("migration", "the migration is applied", of);
    case.set_time(whole(migration.took_s.unwrap_or(0.0)));
    case
}

#[cfg(test)]
mod tests {
    use super::junit;
    use crate::report::fixture;

    type Names = &'static [&'static str];
    /// An element by its name, what it stands in, and its attributes with their values.
    type Element = (String, Option<String>, Vec<(String, String)>);

    /// By the schema of Jenkins' xUnit plugin (junit-10): an element, attributes that it must and that it may have, elements that it
    /// may hold.
    const SCHEMA: [(&str, Names, Names, Names); 7] = [
        ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
        (
            "testsuite",
            &["name", "tests", "failures", "errors"],
            &["time", "skipped", "timestamp"],
            &["testcase"],
        ),
        ("testcase", &["name", "classname", "time"], &[], &["skipped", "error", "failure", "system-out"]),
        ("failure", &["message", "type"], &[], &[]),
        ("error", &["message", "type"], &[], &[]),
        ("skipped", &["message"], &["type"], &[]),
        ("system-out", &[], &[], &[]),
    ];

    /// Start tags with what they stand in and their attributes. Fails where the text is not well-formed.
    fn elements(xml: &str) -> Vec<Element> {
        let mut found = Vec::new();
        let mut open: Vec<String> = Vec::new();
        let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
        while let Some(begin) = rest.find('<') {
            let text = &rest[..begin];
            assert!(!text.contains('>'), "a loose > in {text:?}");
            let end = rest[begin..].find('>').expect("a tag has an end") + begin;
            let tag = &rest[begin + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "tags are closed in order");
                continue;
            }
            let is_empty = tag.ends_with('/');
            let tag = tag.trim_end_matches('/').trim();
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            found.push((name.to_owned(), open.last().cloned(), read_attributes(attributes)));
            if !is_empty {
                open.push(name.to_owned());
            }
        }
        assert!(open.is_empty(), "{open:?} is not closed");
        found
    }

    fn read_attributes(text: &str) -> Vec<(String, String)> {
        let mut attributes = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (name, value) = rest.split_once("=\"").expect("name=\"value\"");
            let (value, after) = value.split_once('"').expect("a value has an end");
            assert!(!value.contains(['<', '>']), "{value}");
            attributes.push((name.trim().to_owned(), value.to_owned()));
            rest = after.trim();
        }
        attributes
    }

    #[test]
    fn every_kind_of_report_keeps_to_the_schema_that_test_runners_read() {
        for (name, report) in fixture::all() {
            let xml = junit(&report);
            let elements = elements(&xml);
            for (element, parent, attributes) in &elements {
                let of = |name: &str| SCHEMA.iter().find(|(known, ..)| *known == name);
                let (_, wanted, allowed, _) = of(element).unwrap_or_else(|| panic!("{name}: <{element}>"));
                let has = |wanted: &str| attributes.iter().any(|(attribute, _)| attribute == wanted);
                assert!(
                    wanted.iter().all(|wanted| has(wanted)),
                    "{name}: <{element}> lacks one of {wanted:?}: {xml}"
                );
                for (attribute, _) in attributes {
                    let known = wanted.contains(&attribute.as_str()) || allowed.contains(&attribute.as_str());
                    assert!(known, "{name}: <{element} {attribute}>: {xml}");
                }
                if let Some(parent) = parent {
                    let (.., holds) = of(parent).expect("it was looked up");
                    assert!(holds.contains(&element.as_str()), "{name}: <{element}> in <{parent}>");
                }
            }
            let count = |element: &str| elements.iter().filter(|(of, ..)| of == element).count().to_string();
            let suite = &elements.iter().find(|(of, ..)| of == "testsuite").expect("a suite").2;
            let said = |attribute: &str| {
                suite.iter().find(|(of, _)| of == attribute).map(|(_, value)| value.clone())
            };
            assert_eq!(said("tests"), Some(count("testcase")), "{name}");
            assert_eq!(said("failures"), Some(count("failure")), "{name}");
            assert_eq!(said("errors"), Some(count("error")), "{name}");
            assert_eq!(said("skipped"), Some(count("skipped")), "{name}");
        }
    }

    #[test]
    fn a_test_runner_sees_a_case_for_the_migration_and_for_each_condition_statement_and_rehearsal() {
        let text = junit(&fixture::migration::migrated());
        // The measurement, the migration, three conditions, four statements, four rehearsals.
        assert!(text.contains("tests=\"13\"") && text.contains("failures=\"3\" "), "{text}");
        assert!(text.contains("could not create unique index &quot;orders_note&quot;"), "{text}");
        assert!(text.contains("name=\"blocked &gt; 1s\""), "{text}");
        let behind = |of: &str| {
            let at =
                text.lines().position(|line| line.contains(of)).unwrap_or_else(|| panic!("{of} in {text}"));
            text.lines().nth(at + 1).unwrap_or_default().trim().to_owned()
        };
        let failed = behind("name=\"2_orders.sql line 1: CREATE UNIQUE INDEX orders_note ON orders (note)\"");
        assert!(failed.starts_with("<failure message=\"could not create unique index"), "{failed}");
        assert!(
            behind(": DROP INDEX orders_status").starts_with("<skipped message=\"not reached\""),
            "{text}"
        );
        assert!(behind(": ALTER TABLE orders ADD COLUMN note text").contains("14 executions"), "{text}");
        assert!(behind("name=\"lock_timeout 50.0 ms\"").starts_with("<skipped "), "{text}");
        assert!(behind("name=\"the way back\"").contains("came to its end"), "{text}");
    }

    #[test]
    fn what_is_broken_fails_and_what_nobody_can_tell_is_an_error() {
        let text = junit(&fixture::overloaded());
        let line = |of: &str| {
            let at =
                text.lines().position(|line| line.contains(of)).unwrap_or_else(|| panic!("{of} in {text}"));
            text.lines().nth(at + 1).unwrap_or_default().trim().to_owned()
        };
        assert!(
            line("checkout.response.p99 &lt; 50ms")
                .starts_with("<failure message=\"broken: &gt; 2.00 s in stage peak\"")
        );
        assert!(line("dashboard.response.p99_9").starts_with("<error message=\"inconclusive: "));
        assert!(!line("errors.rate").starts_with("<failure"), "it is kept");
    }
}
