//! A capacity study: the answer, what stops a higher rate, and every step.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::top_wait;
use crate::model::{Capacity, CapacityStep, StepOutcome, Verdict};
use crate::report::format::{DASH, decimal, length_s, per_call, percent, rate};

/// The answer, what stops a higher rate, and the steps.
pub(super) fn section(page: &mut Page, capacity: &Capacity) {
    page.heading("capacity", &format!("the goal: {}", capacity.goals.join(", ")));
    page.paragraph(INDENT, Style::Bold, &capacity.answer);
    if let Some(limit) = &capacity.limit {
        page.blank();
        page.labelled(INDENT, "stopped by", Style::Caution, name(&limit.kind));
        page.fact("evidence", &limit.evidence);
        page.fact("remedy", &limit.remedy);
    }
    page.heading("steps", "in the order in which they were measured");
    let mut grid = Grid::new(vec![
        Column::text("step", 13),
        Column::number("offered\nper s"),
        Column::number("achieved\nper s"),
        Column::text("goal,\nas measured", 14),
        Column::number("busy").spare(3),
        Column::number("satu-\nrated").spare(2),
        Column::number("host\nCPU").spare(4),
        Column::text("top wait", 12).spare(1),
        Column::fixed("outcome"),
    ]);
    for step in &capacity.steps {
        grid.row(row(step));
    }
    page.grid(&grid);
    for step in capacity.steps.iter().filter(|step| step.reason.is_some()) {
        let reason = step.reason.as_deref().unwrap_or_default();
        page.labelled(INDENT, "", Style::Dim, &format!("{}: {reason}", step.stage));
    }
}

fn row(step: &CapacityStep) -> Vec<Cell> {
    let (word, style) = match (step.kind.as_str(), step.outcome) {
        ("probe", _) => ("where to begin", Style::Dim),
        (_, StepOutcome::Met) => ("met", Style::Good),
        (_, StepOutcome::Missed) => ("MISSED", Style::Bad),
        (_, StepOutcome::NoEvidence) => ("cannot tell", Style::Caution),
    };
    let what = match step.kind.as_str() {
        "probe" => "closed ",
        "confirmation" => "confirm ",
        _ => "",
    };
    let goals: Vec<&str> = step.goals.iter().map(|goal| goal.measured.as_str()).collect();
    vec![
        Cell::new(format!("{what}{}", length_s(step.duration_s))),
        Cell::new(step.rate_per_s.map_or_else(|| DASH.to_owned(), rate)),
        Cell::new(rate(step.achieved_per_s)),
        Cell::new(if goals.is_empty() { DASH.to_owned() } else { goals.join(" · ") }),
        Cell::new(decimal(step.busy_mean, 1)),
        Cell::new(percent(step.saturated_fraction)),
        Cell::new(step.host_cpu_fraction.map_or_else(|| DASH.to_owned(), percent)),
        top_wait(step.top_wait.as_ref()),
        Cell::new(word).style(style),
    ]
}

fn name(kind: &str) -> &str {
    match kind {
        "pool" => "the pool: every connection is busy",
        "host_cpu" => "the cores of this machine",
        "server" => "the server: it takes longer the more is asked of it",
        "locks" => "locks: transactions wait for each other",
        "pooler" => "the pooler: its connections to the server are all in use",
        "errors" => "errors: what is asked for fails",
        "generator" => "the load generator, not the database",
        _ => "nothing that was full",
    }
}

/// What a study has to say in one line.
pub(super) fn sentence(capacity: &Capacity) -> String {
    let found = match (capacity.met_per_s, capacity.missed_per_s, capacity.unproven_per_s) {
        (Some(met), _, Some(_)) => {
            format!("{}/s meet the goal; the generator could do no more", per_call(met))
        }
        (Some(met), Some(missed), None) => {
            format!("{}/s meet the goal, {}/s miss it", per_call(met), per_call(missed))
        }
        (Some(met), None, None) => {
            format!("{}/s meet the goal, and nothing that was tried misses it", per_call(met))
        }
        (None, Some(missed), _) => format!("not even {}/s meet the goal", per_call(missed)),
        (None, None, _) => "no rate was found that tells".to_owned(),
    };
    let unsure = match (capacity.met_per_s, capacity.is_complete, capacity.met_is_confirmed) {
        (Some(_), false, false) => "; not confirmed",
        (_, false, _) => "; the search did not end",
        _ => "",
    };
    let asked = capacity
        .at_least_per_s
        .map_or_else(String::new, |asked| format!("; {}/s asked for", per_call(asked)));
    format!("{found}{unsure}{asked}")
}

/// How the verdict is written.
pub(super) fn badge(verdict: Verdict) -> (Style, &'static str) {
    match verdict {
        Verdict::Pass => (Style::Good, "PASS"),
        Verdict::Fail => (Style::Bad, "FAIL"),
        Verdict::Inconclusive => (Style::Caution, "INCONCLUSIVE"),
        Verdict::None => (Style::Bold, "MEASURED"),
    }
}

/// What was put on.
pub(super) fn load(capacity: &Capacity, pool: &str) -> String {
    let rates: Vec<f64> = capacity.steps.iter().filter_map(|step| step.rate_per_s).collect();
    let (lowest, highest) =
        rates.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
    if rates.is_empty() {
        return format!("no rate was measured, {pool}");
    }
    format!("open loop, {} steps from {}/s to {}/s, {pool}", rates.len(), per_call(lowest), per_call(highest))
}
