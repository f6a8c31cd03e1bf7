//! The report as one file for a browser: no network, light and dark, on paper and on a phone, by keyboard and by ear. A pure function
//! of the model. What the sections say is the terminal's; charts, the summary and what follows from it are this module's own.
//!
//! Everything that comes from a database or a file is escaped, the data of the charts too, and a content security policy lets nothing run
//! or load but the script and the style that stand here, named by their hashes.

mod assessment;
mod bars;
mod blocks;
mod chart;
mod course;
mod curves;
mod forest;
mod graph;
mod html;
mod statements;
mod summary;
mod waits;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::bars::Bar;
use self::chart::{Chart, Short};
use self::course::{Course, Happening, Span};
use self::html::{each, element, escape, folded, json_in_script, with};
use crate::model::{CompareReport, Comparison, IndexExperiment, Ledger, Report, Stage, StatementRole};
use crate::report::format::{count, duration_us};
use crate::report::terminal::blocks::{self as said, Block};

/// uPlot 1.6, by Leon Sorokin, MIT: the licence stands in its first lines.
const UPLOT_SCRIPT: &str = include_str!("uplot.js");
const UPLOT_STYLE: &str = include_str!("uplot.css");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// Stages whose tables stand in the page; a file with hundreds of them is no reading.
const STAGES_MAX: usize = 40;
/// Statements with a bar each.
const BARS_MAX: usize = 16;

/// One part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    html: String,
}

/// What the script draws.
#[derive(Serialize)]
struct Data {
    /// The axis of the charts over time, in seconds since the run began.
    range: (Short, Short),
    stages: Vec<Span>,
    events: Vec<Happening>,
    charts: Vec<Chart>,
}

/// The page of a report.
#[must_use]
pub fn page(report: &Report) -> String {
    let course = Course::new(report);
    let over_time = course.charts();
    let studied = curves::of_study(report);
    let stage = said::key_stage(report);
    let percentiles = stage.and_then(curves::percentiles);
    let mut sections = [
        Section { id: "summary", title: "Summary", html: summary::html(report) },
        Section { id: "answer", title: answer_title(report), html: answer(report, &studied) },
        Section { id: "course", title: "Course of the run", html: course_html(report, &over_time) },
        Section { id: "latency", title: "Latency", html: percentiles.iter().map(Chart::html).collect() },
        Section {
            id: "time",
            title: "Where the time went",
            html: stage.map_or_else(String::new, |stage| time(report, stage)),
        },
        Section {
            id: "locks",
            title: "Locks",
            html: stage.map_or_else(String::new, |stage| graph::draw(&stage.locks)),
        },
        Section { id: "findings", title: "Findings", html: summary::findings(&report.findings) },
        Section {
            id: "statements",
            title: "Statements",
            html: stage.map_or_else(String::new, |stage| statements::cards(report, stage)),
        },
        Section { id: "assessment", title: "Assessment", html: assessment::html(report) },
        Section { id: "stages", title: "Stages in full", html: stages(report) },
        Section {
            id: "method",
            title: "Measurement and environment",
            html: blocks::render(&said::method(report), 3, "method"),
        },
    ];
    if report.migration.is_some() {
        // What its statements did to the traffic is seen before it is read.
        sections.swap(1, 2);
    }
    let data = Data {
        range: course.range(),
        stages: course.spans(),
        events: course.happenings(),
        charts: studied.into_iter().chain(over_time).chain(percentiles).collect(),
    };
    let title = format!("{}: {}", report.workload.name, kind(&report.kind));
    let sub = format!("{} · {} · {}", kind(&report.kind), report.started_at, report.id);
    document(&title, &report.workload.name, &sub, &sections, &data)
}

/// The page of a comparison of stored runs.
#[must_use]
pub fn page_of_compared(report: &CompareReport) -> String {
    let sections = [
        Section { id: "summary", title: "Summary", html: summary::of_compared(report) },
        Section { id: "answer", title: "Differences", html: differences(&report.comparison, "answer") },
    ];
    let data =
        Data { range: (Short(0.0), Short(0.0)), stages: Vec::new(), events: Vec::new(), charts: Vec::new() };
    let title = format!("{}: {}", report.workload, kind(&report.kind));
    let sub = format!("{} · {} and {}", kind(&report.kind), report.base.name, report.candidate.name);
    document(&title, &report.workload, &sub, &sections, &data)
}

fn kind(kind: &str) -> &str {
    match kind {
        "run" => "Run",
        "pool" => "Pool study",
        "capacity" => "Capacity study",
        "ab" => "A/B comparison",
        "compare" => "Comparison of runs",
        "index" => "Index experiment",
        "migration" => "Migration check",
        other => other,
    }
}

fn document(title: &str, heading: &str, sub: &str, sections: &[Section], data: &Data) -> String {
    let style = format!("{UPLOT_STYLE}\n{STYLE}");
    let script = format!("{UPLOT_SCRIPT}\n{SCRIPT}");
    // Names of series and events are strings: nothing in them has no form as JSON.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    let shown: Vec<&Section> = sections.iter().filter(|section| !section.html.is_empty()).collect();
    let nav = each(&shown, |section| {
        format!("<li><a href=\"#{}\">{}</a></li>\n", section.id, escape(section.title))
    });
    let main = each(&shown, |section| {
        format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{}</h2>\n{}</section>\n",
            escape(section.title),
            section.html,
            id = section.id
        )
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{script_hash}'; \
         style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#summary\">To the summary</a>\n\
         <header class=\"top\"><p class=\"brand\">dbdyno</p><div><h1>{heading}</h1><p class=\"sub\">{sub}</p></div>\
         <button type=\"button\" id=\"theme\" hidden>Dark</button></header>\n\
         <div class=\"layout\">\n<nav aria-label=\"Parts of this report\"><ul>\n{nav}</ul></nav>\n<main>\n{main}</main>\n</div>\n\
         <footer><p>Made by dbdyno. This file loads nothing from anywhere.</p></footer>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>{script}</script>\n</body>\n</html>\n",
        script_hash = hash(&script),
        style_hash = hash(&style),
        title = escape(title),
        heading = escape(heading),
        sub = escape(sub),
        data = json_in_script(&data),
    )
}

/// What a content security policy knows a script or a style by.
fn hash(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()))
}

fn answer_title(report: &Report) -> &'static str {
    match report.kind.as_str() {
        "pool" => "Pool sizes",
        "capacity" => "Capacity",
        "index" => "The index",
        "migration" => "The migration",
        _ => "Differences",
    }
}

/// What a study has found out: its charts first, then its tables.
fn answer(report: &Report, charts: &[Chart]) -> String {
    let mut html: String = charts.iter().map(Chart::html).collect();
    if let Some(experiment) = &report.index {
        html.push_str(&effects(experiment));
    }
    html.push_str(&blocks::render(&not_again(said::answer(report), report), 3, "answer"));
    if let Some(comparison) = &report.comparison {
        html.push_str(&differences(comparison, "differences"));
    }
    if let Some(comparison) = report.migration.as_ref().and_then(|migration| migration.before_after.as_ref())
    {
        html.push_str("<h3 id=\"before-after\">Behind the migration (B) against before it (A)</h3>\n");
        html.push_str(&differences(comparison, "before-after"));
    }
    html
}

/// The blocks without the answer, which stands in the summary.
fn not_again(said: Vec<Block>, report: &Report) -> Vec<Block> {
    let answers = summary::answers(report);
    let plain = |text: &str| text.replace('\u{a0}', " ");
    let is_answer = |block: &Block| match block {
        Block::Paragraph { text, .. } => answers.iter().any(|answer| plain(answer) == plain(text)),
        _ => false,
    };
    said.into_iter().filter(|block| !is_answer(block)).collect()
}

fn differences(comparison: &Comparison, prefix: &str) -> String {
    let lines: Vec<forest::Line> = comparison.metrics.iter().map(forest::line).collect();
    let note = format!("A is {}, B is {}.", comparison.a, comparison.b);
    forest::plot("B against A", &note, &lines) + &blocks::render(&said::differences(comparison), 3, prefix)
}

/// What each index does to the statements that it touches.
fn effects(experiment: &IndexExperiment) -> String {
    let of_each =
        experiment.indexes.iter().filter_map(|index| Some((index.label.as_str(), index.effect.as_ref()?)));
    let together = experiment.together.as_ref().map(|effect| ("all indexes together", effect));
    of_each
        .chain(together)
        .map(|(label, effect)| {
            let lines: Vec<forest::Line> = effect
                .statements
                .iter()
                .filter(|of| of.touches || of.role != StatementRole::Unchanged)
                .map(|of| forest::Line { name: of.statement.clone(), ..forest::line(&of.difference) })
                .collect();
            forest::plot(&format!("Statements with {label}"), "B is with the index, A without it.", &lines)
        })
        .collect()
}

fn course_html(report: &Report, charts: &[Chart]) -> String {
    let mut html = String::new();
    if !charts.is_empty() {
        html.push_str(
            "<p class=\"note\">Move over a chart to read all of them at the same second; drag to look closer, double-click to see all. With the \
             keyboard: arrow keys move the crosshair.</p>\n",
        );
        html.push_str(&element("p", "note readout", ""));
        html.extend(charts.iter().map(Chart::html));
        html.push_str(&events(report));
    }
    html.push_str(&blocks::render(&said::stages(report), 3, "course"));
    html
}

/// What went on in the server, as a table.
fn events(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .stages
        .iter()
        .flat_map(|stage| stage.server_events.iter().map(move |event| (stage, event)))
        .map(|(stage, event)| {
            let end = event.ended_s.map_or_else(|| "the end".to_owned(), |end| duration_us(end * 1e6));
            vec![stage.name.clone(), duration_us(event.t_s * 1e6), end, event.words.clone()]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let dropped: u64 = report.stages.iter().map(|stage| stage.server_events_dropped).sum();
    let more = if dropped > 0 { format!(", {} more were not kept", count(dropped)) } else { String::new() };
    let summary = format!("{} of the server{more}", plural(rows.len(), "event"));
    let titles = [("stage", false), ("from", true), ("until", true), ("what", false)];
    folded(&summary, false, &html::table("Events of the server", &titles, &rows))
}

fn plural(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// Ledgers of transactions and statements, and what sessions waited for in each stage.
fn time(report: &Report, stage: &Stage) -> String {
    let mut html = String::new();
    let mut transactions: Vec<(&str, &Ledger)> =
        stage.transactions.iter().filter_map(|of| Some((of.name.as_str(), of.ledger.as_ref()?))).collect();
    by_cost(&mut transactions);
    if transactions.len() > 1 {
        transactions.extend(stage.ledger.as_ref().map(|ledger| ("all", ledger)));
    }
    html.push_str(&ledgers(
        "Transactions",
        &format!(
            "Parts of the mean response from the planned start to the last answer, in stage {}.",
            stage.name
        ),
        &transactions,
    ));
    let names: Vec<(String, &Ledger)> = stage
        .statements
        .iter()
        .filter_map(|of| Some((format!("{}.{}", of.transaction, of.name), of.ledger.as_ref()?)))
        .collect();
    let mut statements: Vec<(&str, &Ledger)> =
        names.iter().map(|(name, ledger)| (name.as_str(), *ledger)).collect();
    by_cost(&mut statements);
    let left_out = statements.len().saturating_sub(BARS_MAX);
    statements.truncate(BARS_MAX);
    let rest = if left_out > 0 {
        format!(" The {left_out} that took least time in all are left out.")
    } else {
        String::new()
    };
    html.push_str(&ledgers(
        "Statements",
        &format!("Parts of the mean time from sent to done.{rest}"),
        &statements,
    ));
    html.push_str(&waits::by_stage(report));
    html
}

/// Those first that took most of the clients' time.
fn by_cost(ledgers: &mut [(&str, &Ledger)]) {
    let cost = |ledger: &Ledger| ledger.client_us * ledger.calls as f64;
    ledgers.sort_by(|(_, a), (_, b)| cost(b).total_cmp(&cost(a)));
}

fn ledgers(title: &str, note: &str, ledgers: &[(&str, &Ledger)]) -> String {
    let Some((_, first)) = ledgers.first() else { return String::new() };
    let parts: Vec<bars::Part> = said::shares(first).into_iter().map(|(part, _)| part).zip(1..).collect();
    let bars: Vec<Bar> = ledgers
        .iter()
        .map(|(name, ledger)| Bar {
            name: (*name).to_owned(),
            whole: duration_us(ledger.client_us),
            shares: said::shares(ledger).into_iter().map(|(_, share)| share).collect(),
        })
        .collect();
    bars::stacked(title, note, "mean", &parts, &bars)
}

/// Every table of every stage, folded; that of the stage that matters most is open.
fn stages(report: &Report) -> String {
    let key = said::key_stage(report).map(|stage| stage.name.as_str());
    let mut html = String::new();
    for (place, stage) in report.stages.iter().enumerate().take(STAGES_MAX) {
        let title = format!(
            "{}: {}",
            blocks::capitalised(&said::stage_title(report, stage)),
            said::stage_load(stage)
        );
        let inner = blocks::render(&said::stage(stage), 3, &format!("stage-{place}"));
        html.push_str(&with("div", "card", &folded(&title, key == Some(stage.name.as_str()), &inner)));
    }
    let left_out = report.stages.len().saturating_sub(STAGES_MAX);
    if left_out > 0 {
        let words = format!(
            "{} more are not in this file; `dbdyno report {} --full` shows them.",
            plural(left_out, "stage"),
            report.id
        );
        html.push_str(&element("p", "dim", &words));
    }
    html
}

#[cfg(test)]
mod tests;
