//! What follows from a report: where the time went, how much the system takes and what stops it, what could be better, what may go
//! wrong in production. Everything here is put together from findings, studies and figures of the report; nothing is advised that none
//! of them says.

use super::blocks::capitalised;
use super::html::{element, escape, with};
use crate::model::{Endurance, Finding, Report, Severity, Stage, StageLoad, Verdict};
use crate::report::format::{count, duration_us, per_call, percent, rate};
use crate::report::terminal::blocks;

/// Findings about the measurement itself: what they say is no risk of the database.
const OF_THE_MEASUREMENT: [&str; 10] = [
    "generator-bound",
    "host-full",
    "rate-not-reached",
    "probe-gaps",
    "blind-spots",
    "measurement-inconsistent",
    "cut-off",
    "stopped-early",
    "steal-time",
    "no-steady-state",
];
/// A part of the clients' time below this is no bottleneck.
const PART_MIN: f64 = 0.1;
/// Parts that are named.
const PARTS_MAX: usize = 3;
/// From this share of the time on a pool counts as full.
const SATURATED: f64 = 0.5;
/// From this share of the cores on a host counts as full.
const BUSY: f64 = 0.9;

/// One thing that is said, and what it rests on.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    what: String,
    because: String,
}

impl Point {
    fn new(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self { what: what.into(), because: because.into() }
    }
}

/// The four parts, each with its heading.
pub(super) fn html(report: &Report) -> String {
    let stage = blocks::key_stage(report);
    let mut html = String::new();
    html.push_str(&part(
        "Bottlenecks",
        &bottlenecks(report, stage),
        "Nothing stands out as a bottleneck in this report.",
    ));
    html.push_str(&part(
        "Scalability",
        &scalability(report, stage),
        "This report does not tell how far the system scales.",
    ));
    html.push_str(&part(
        "Opportunities",
        &opportunities(report),
        "No finding of this report proposes a change.",
    ));
    html.push_str(&part(
        "Risks in production",
        &risks(report),
        "No finding, budget or blind spot of this report is a risk.",
    ));
    html
}

fn part(title: &str, points: &[Point], otherwise: &str) -> String {
    let mut html = element("h3", "", title);
    if points.is_empty() {
        html.push_str(&element("p", "dim", otherwise));
        return html;
    }
    let items: String = points
        .iter()
        .map(|point| {
            let because =
                if point.because.is_empty() { String::new() } else { element("p", "dim", &point.because) };
            with("li", "", &format!("<strong>{}</strong>{because}", escape(&point.what)))
        })
        .collect();
    html.push_str(&with("ul", "points", &items));
    html
}

/// Where the clients' time went, and what was full.
fn bottlenecks(report: &Report, stage: Option<&Stage>) -> Vec<Point> {
    let mut points = Vec::new();
    if !report.generator.valid {
        let reason = report.generator.reason.clone().unwrap_or_default();
        points.push(Point::new("The load generator was the limit, not the database", reason));
    }
    let Some(stage) = stage else { return points };
    if let Some(ledger) = &stage.ledger {
        let mut shares = blocks::shares(ledger);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (name, share) in shares.into_iter().filter(|(_, share)| *share >= PART_MIN).take(PARTS_MAX) {
            let us = duration_us(share * ledger.client_us);
            points.push(Point::new(
                format!("{} of the clients' time: {}", percent(share), words(&name)),
                format!(
                    "{us} of the mean response of {}, in stage {}",
                    duration_us(ledger.client_us),
                    stage.name
                ),
            ));
        }
    }
    if stage.pool.saturated_fraction >= SATURATED {
        points.push(Point::new(
            "The pool was full",
            format!(
                "every connection busy and someone waiting {} of the time, {} requests waiting on average",
                percent(stage.pool.saturated_fraction),
                rate(stage.pool.waiting_mean)
            ),
        ));
    }
    if let Some(host) = stage.host.as_ref().filter(|host| host.cpu_fraction >= BUSY) {
        let said = format!("{} of {} cores busy", percent(host.cpu_fraction), host.cores);
        points.push(Point::new("The host of the generator had no core to spare", said));
    }
    if let Some(reason) = report.study.as_ref().and_then(|study| study.reason.as_ref()) {
        points.push(Point::new(
            format!("Beyond the knee, further connections are in {}", reason.event),
            format!(
                "{} sessions at a pool of {}, {} at {}",
                rate(reason.sessions_from),
                reason.from_size,
                rate(reason.sessions_to),
                reason.to_size
            ),
        ));
    }
    points
}

/// A column of the ledger as words of a sentence.
fn words(part: &str) -> &str {
    match part {
        "lag" => "late to start",
        "pool wait" => "waiting for a connection of the pool",
        "tried again" => "tries that failed, and the pauses behind them",
        "held idle" => "the transaction open without a statement",
        "network" => "network round trips",
        "on CPU" => "the server working on statements",
        "no core" => "ready on the server and without a core",
        "lock" => "waiting for locks",
        "I/O" => "waiting for reads and writes",
        "else" => "other waits of the server",
        "commit" => "BEGIN and COMMIT",
        "rest" => "unexplained",
        other => other,
    }
}

/// Capacity now, what stops it, what it would take.
fn scalability(report: &Report, stage: Option<&Stage>) -> Vec<Point> {
    let mut points = Vec::new();
    if let Some(capacity) = &report.capacity {
        points.push(Point::new("Capacity now", capacity.answer.clone()));
        if let Some(limit) = &capacity.limit {
            points.push(Point::new("What stops it", limit.evidence.clone()));
            points.push(Point::new("What it would take", limit.remedy.clone()));
        }
    }
    if let Some(study) = &report.study {
        points.push(Point::new("Capacity now", best(report)));
        if !study.recommendation.is_empty() {
            points.push(Point::new("What it would take", study.recommendation.clone()));
        }
    }
    if let Some(Endurance { breaking_point, held }) = &report.endurance {
        if let Some(held) = held {
            points
                .push(Point::new("Capacity now", format!("the highest load that was borne: {}", load(held))));
        }
        match breaking_point {
            Some(breaking) => points.push(Point::new(
                format!("What stops it: it breaks at {}", load(&breaking.load)),
                breaking.evidence.clone(),
            )),
            None => points
                .push(Point::new("No load of this run broke it", "how much more it takes was not measured")),
        }
    }
    if points.is_empty()
        && report.comparison.is_none()
        && let Some(stage) = stage
    {
        let offered = stage
            .offered_per_s
            .map_or_else(String::new, |offered| format!(" of {}/s offered", per_call(offered)));
        points.push(Point::new(
            format!("Measured: {}/s{offered} in stage {}", rate(stage.achieved_per_s), stage.name),
            "one load says nothing of the highest: `dbdyno capacity` finds the highest rate that keeps a goal",
        ));
    }
    points
}

/// The best size of a study.
fn best(report: &Report) -> String {
    let sizes = report.study.iter().flat_map(|study| &study.sizes);
    sizes.max_by(|a, b| a.per_s.total_cmp(&b.per_s)).map_or_else(
        || "no size was measured".to_owned(),
        |point| format!("{}/s with a pool of {}, the most of all sizes", rate(point.per_s), point.size),
    )
}

fn load(load: &StageLoad) -> String {
    let level = match (load.offered_per_s, load.clients) {
        (Some(offered), _) => format!("{}/s", per_call(offered)),
        (None, Some(clients)) => format!("{} clients", count(u64::from(clients))),
        (None, None) => return format!("stage {}", load.stage),
    };
    format!("{level} (stage {})", load.stage)
}

fn is_of_the_database(finding: &Finding) -> bool {
    finding.severity != Severity::Invalid && !OF_THE_MEASUREMENT.contains(&finding.id.as_str())
}

/// What findings and experiments propose.
fn opportunities(report: &Report) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for index in report.index.iter().flat_map(|experiment| &experiment.indexes) {
        for command in &index.production {
            points.push(Point::new(command.clone(), index.reasons.first().cloned().unwrap_or_default()));
        }
    }
    let proposing = report.findings.iter().filter(|finding| is_of_the_database(finding)).filter(|finding| {
        let remedy = finding.remedy.trim();
        !remedy.is_empty() && !remedy.starts_with("none")
    });
    points.extend(proposing.map(|finding| Point::new(capitalised(&finding.remedy), finding.title.clone())));
    points
}

/// What may go wrong: broken budgets, warnings, and what could not be seen.
fn risks(report: &Report) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for budget in &report.budgets {
        let state = match budget.verdict {
            Verdict::Fail => "is broken",
            Verdict::Inconclusive => "is unclear",
            Verdict::Pass | Verdict::None => continue,
        };
        let reason = budget.reason.as_ref().map_or_else(String::new, |reason| format!("; {reason}"));
        points.push(Point::new(
            format!("{} {} {state}", budget.metric, budget.limit),
            format!("{} in stage {}{reason}", budget.measured, budget.stage),
        ));
    }
    if let Some(migration) = &report.migration {
        let bad = migration.conditions.iter().filter(|of| of.verdict == Verdict::Fail);
        points.extend(bad.map(|of| Point::new(format!("{} holds", of.condition), of.measured.clone())));
    }
    let warnings = report
        .findings
        .iter()
        .filter(|finding| is_of_the_database(finding))
        .filter(|finding| finding.severity == Severity::Warning);
    points.extend(warnings.map(|finding| Point::new(capitalised(&finding.title), finding.effect.clone())));
    points.extend(report.target.blind_spots.iter().map(|spot| Point::new("Not seen", spot.clone())));
    points
}

#[cfg(test)]
mod tests {
    use super::{bottlenecks, opportunities, risks, scalability};
    use crate::model::Verdict;
    use crate::report::fixture;
    use crate::report::terminal::blocks::key_stage;

    #[test]
    fn a_full_pool_is_a_bottleneck_and_its_finding_a_risk_and_an_opportunity() {
        let report = fixture::overloaded();
        let found = bottlenecks(&report, key_stage(&report));
        assert!(found.iter().any(|point| point.what == "The pool was full"), "{found:?}");
        let broken = report.budgets.iter().filter(|budget| budget.verdict != Verdict::Pass).count();
        let risks = risks(&report);
        assert!(risks.len() > broken && risks[0].what.ends_with("is broken"), "{risks:?}");
        let proposed = opportunities(&report);
        assert!(proposed.iter().any(|point| point.what.contains("--pool-size")), "{proposed:?}");
        assert!(
            proposed.iter().all(|point| !point.what.starts_with("None")),
            "a remedy that is none is no opportunity"
        );
    }

    #[test]
    fn a_run_at_one_load_does_not_say_how_far_it_scales() {
        let report = fixture::healthy();
        let said = scalability(&report, key_stage(&report));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].because.contains("dbdyno capacity"));
    }

    #[test]
    fn what_breaks_says_so() {
        let report = fixture::overloaded();
        let said = scalability(&report, key_stage(&report));
        assert!(said.iter().any(|point| point.what.contains("it breaks at 900/s")), "{said:?}");
    }
}
