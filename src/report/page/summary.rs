//! The top of the page: the verdict, the figures that decide, the three gravest findings, budgets.

use super::blocks::{capitalised, class, render};
use super::html::{each, element, escape, with};
use crate::model::{
    ChangeVerdict, CompareReport, Comparison, Finding, IndexExperiment, Migration, Report, Severity, Stage,
    catalogue,
};
use crate::report::format::{DASH, bytes, count, decimal, duration_us, length_s, percent, rate, whole_us};
use crate::report::terminal::Style;
use crate::report::terminal::blocks;

/// Findings that the summary names.
const FINDINGS_SHOWN: usize = 3;
/// Figures that one looks at without counting them.
const TILES_MAX: usize = 8;

/// One figure.
struct Tile {
    label: String,
    value: String,
    note: String,
}

impl Tile {
    fn new(label: &str, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { label: label.to_owned(), value: value.into(), note: note.into() }
    }
}

/// The summary of a report.
pub(super) fn html(report: &Report) -> String {
    let (style, badge, sentence) = blocks::verdict(report);
    let mut html = verdict(style, &badge, &sentence);
    html.extend(answers(report).into_iter().map(|text| element("p", "lead", text)));
    html.push_str(&tiles(&figures(report)));
    html.push_str(&gravest(&report.findings));
    html.push_str(&render(&blocks::budgets(report), 3, "summary"));
    html.push_str(&with("div", "facts", &render(&blocks::facts(report), 3, "summary")));
    html
}

/// The summary of a comparison of stored runs.
pub(super) fn of_compared(report: &CompareReport) -> String {
    let (style, badge, sentence) = blocks::verdict_of_compared(report);
    let mut html = verdict(style, badge, &sentence);
    html.push_str(&element("p", "lead", &report.comparison.answer));
    html.push_str(&tiles(&of_comparison(&report.comparison)));
    html.push_str(&with("div", "facts", &render(&blocks::facts_of_compared(report), 3, "summary")));
    html
}

fn verdict(style: Style, badge: &str, sentence: &str) -> String {
    let class = class(style);
    format!(
        "<p class=\"verdict {class}\"><span class=\"badge\">{}</span> <span>{}</span></p>\n",
        escape(badge),
        escape(sentence)
    )
}

/// What a study answers, in its own words.
pub(super) fn answers(report: &Report) -> Vec<&String> {
    let answers = [
        report.study.as_ref().map(|study| &study.recommendation),
        report.index.as_ref().map(|experiment| &experiment.answer),
        report.comparison.as_ref().filter(|_| report.index.is_none()).map(|comparison| &comparison.answer),
        report.migration.as_ref().map(|migration| &migration.answer),
        report.capacity.as_ref().map(|capacity| &capacity.answer),
    ];
    answers.into_iter().flatten().filter(|text| !text.is_empty()).collect()
}

fn tiles(tiles: &[Tile]) -> String {
    if tiles.is_empty() {
        return String::new();
    }
    let items: String = tiles
        .iter()
        .take(TILES_MAX)
        .map(|tile| {
            let note = if tile.note.is_empty() { String::new() } else { element("dd", "dim", &tile.note) };
            let figure = element("dt", "", &tile.label) + &element("dd", "figure", &tile.value) + &note;
            with("div", "", &figure)
        })
        .collect();
    with("dl", "tiles", &items)
}

/// Those of the study first, then those of the stage that matters most.
fn figures(report: &Report) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some(migration) = &report.migration {
        tiles.extend(of_migration(migration));
    }
    if let Some(experiment) = &report.index {
        tiles.extend(of_index(experiment));
    }
    if let Some(comparison) = report.comparison.as_ref().filter(|_| report.index.is_none()) {
        tiles.extend(of_comparison(comparison));
    }
    if let Some(capacity) = &report.capacity {
        let per_s =
            |per_s: Option<f64>| per_s.map_or_else(|| DASH.to_owned(), |value| format!("{}/s", rate(value)));
        let sure = |is: bool| if is { "confirmed by a longer run" } else { "not confirmed" };
        tiles.push(Tile::new(
            "Highest rate that meets the goal",
            per_s(capacity.met_per_s),
            sure(capacity.met_is_confirmed),
        ));
        tiles.push(Tile::new(
            "Lowest rate that misses it",
            per_s(capacity.missed_per_s),
            sure(capacity.missed_is_confirmed),
        ));
    }
    if let Some(study) = &report.study {
        if let Some(recommended) = &study.recommended {
            let note = format!("{} connections in all", count(recommended.connections));
            tiles.push(Tile::new("Recommended pool size", recommended.size.to_string(), note));
        }
        if let Some(knee) = study.knee {
            tiles.push(Tile::new("Knee", knee.to_string(), "95 % of the best throughput"));
        }
    }
    if let Some(breaking) = report.endurance.as_ref().and_then(|of| of.breaking_point.as_ref()) {
        let level = breaking.from_level.or(breaking.load.offered_per_s);
        let value = level.map_or_else(|| breaking.load.stage.clone(), |level| format!("{}/s", rate(level)));
        tiles.push(Tile::new("Breaks at", value, format!("stage {}", breaking.load.stage)));
    }
    if let Some(stage) = blocks::key_stage(report) {
        tiles.extend(of_stage(stage));
    }
    tiles
}

fn of_stage(stage: &Stage) -> Vec<Tile> {
    let at = |us: Option<u64>| us.map_or_else(|| DASH.to_owned(), whole_us);
    let books = &stage.accounting;
    let not_ok = books.failed + books.unknown + books.skipped + books.abandoned;
    let ended = not_ok + books.ok;
    let share = if ended == 0 { 0.0 } else { not_ok as f64 / ended as f64 };
    let offered =
        stage.offered_per_s.map_or_else(String::new, |offered| format!("of {}/s offered", rate(offered)));
    let bound = |quantile: f64| {
        let is_bound = stage.response_us.censored_from.is_some_and(|from| quantile >= from);
        if is_bound { "at least: work that never ended is among it" } else { "" }
    };
    let mut tiles = vec![
        Tile::new("Transactions per second", rate(stage.achieved_per_s), offered),
        Tile::new("Response p50", at(stage.response_us.p50), bound(0.5)),
        Tile::new("Response p99", at(stage.response_us.p99), bound(0.99)),
        Tile::new("Not ok", percent(share), format!("{} of {}", count(not_ok), count(ended))),
        Tile::new(
            "Pool saturated",
            percent(stage.pool.saturated_fraction),
            format!(
                "{} of {} connections busy",
                decimal(stage.pool.busy_mean, 1),
                stage.pool.size * stage.pool.instances.max(1)
            ),
        ),
    ];
    if let Some(host) = &stage.host {
        tiles.push(Tile::new("Host CPU", percent(host.cpu_fraction), format!("{} cores", host.cores)));
    }
    tiles
}

fn of_migration(migration: &Migration) -> Vec<Tile> {
    let blast = &migration.blast;
    let took = migration.took_s.map_or_else(|| DASH.to_owned(), length_s);
    let recovered = migration.recovered_s.map_or_else(|| "not within the measurement".to_owned(), length_s);
    let lost = if blast.lost_us.unsigned_abs() > blast.lost_noise_us {
        let sign = if blast.lost_us < 0 { "−" } else { "" };
        format!("{sign}{}", duration_us(blast.lost_us.unsigned_abs() as f64))
    } else {
        "none seen".to_owned()
    };
    vec![
        Tile::new(
            "Longest block",
            whole_us(blast.blocked_us_max),
            format!("{} executions waited for its locks", count(blast.blocked)),
        ),
        Tile::new("Waiting for its locks", whole_us(blast.blocked_us_total), "all executions together"),
        Tile::new(
            "Time that clients lost",
            lost,
            format!("{} failed, {} skipped", count(blast.failed), count(blast.skipped)),
        ),
        Tile::new("Migration took", took, format!("traffic as before after {recovered}")),
    ]
}

fn of_index(experiment: &IndexExperiment) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let single = match experiment.indexes.as_slice() {
        [index] => index.effect.as_ref().map(|effect| (Some(index), effect)),
        _ => experiment.together.as_ref().map(|effect| (None, effect)),
    };
    let Some((index, effect)) = single else { return tiles };
    if let Some(net) = &effect.net {
        let note = format!(
            "{} without, {} with, in statements of each transaction",
            duration_us(net.without_us),
            duration_us(net.with_us)
        );
        tiles.push(Tile::new("Whole mix with the index", ratio(net.ratio), note));
    }
    if let Some(index) = index {
        tiles.push(Tile::new(
            "Size",
            bytes(index.size_bytes),
            format!("built in {}", duration_us(index.build_us as f64)),
        ));
    }
    tiles.push(Tile::new("Pairs of slices", effect.pairs.to_string(), "with it against without it"));
    tiles
}

fn of_comparison(comparison: &Comparison) -> Vec<Tile> {
    let verdicts = |verdict| comparison.metrics.iter().filter(|metric| metric.verdict == verdict).count();
    let all = format!("of {} metrics", comparison.metrics.len());
    let mut tiles = vec![
        Tile::new("B is worse in", verdicts(ChangeVerdict::Worse).to_string(), all.clone()),
        Tile::new("B is better in", verdicts(ChangeVerdict::Better).to_string(), all),
        Tile::new("Pairs", comparison.pairs.to_string(), format!("of {} planned", comparison.pairs_planned)),
    ];
    let main = comparison.metrics.iter().find(|metric| metric.metric == "response.mean");
    if let Some((metric, change)) = main.and_then(|metric| Some((metric, metric.ratio?))) {
        let visible = metric
            .visible
            .map_or_else(String::new, |visible| format!("changes from {} are seen", ratio(visible)));
        tiles.push(Tile::new("Mean response, B against A", ratio(change), visible));
    }
    tiles
}

/// A ratio as a change.
fn ratio(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent > 0.0 { "+" } else { "" };
    format!("{sign}{}\u{a0}%", decimal(percent, usize::from(percent.abs() < 9.95)))
}

fn gravest(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return element("p", "dim", "No finding.");
    }
    let items = each(findings.iter().enumerate().take(FINDINGS_SHOWN), |(place, finding)| {
        format!(
            "<li class=\"{}\"><a href=\"#finding-{place}\">{}</a>{}</li>\n",
            severity(finding.severity).0,
            escape(&capitalised(&finding.title)),
            element("p", "dim", &finding.evidence)
        )
    });
    let more = findings.len().saturating_sub(FINDINGS_SHOWN);
    let more = if more > 0 {
        format!("<p><a href=\"#findings\">{} more below</a></p>\n", count(more as u64))
    } else {
        String::new()
    };
    format!("<h3 id=\"gravest\">What matters most</h3>\n<ol class=\"gravest\">\n{items}</ol>\n{more}")
}

/// Class and word of a severity.
fn severity(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Invalid => ("invalid", "Invalid"),
        Severity::Warning => ("warning", "Warning"),
        Severity::Info => ("info", "Note"),
    }
}

/// Every finding with its evidence, effect and remedy.
pub(super) fn findings(findings: &[Finding]) -> String {
    let card = |(place, finding): (usize, &Finding)| {
        let (class, word) = severity(finding.severity);
        let causes = catalogue::entry(&finding.id).map_or("", |entry| entry.causes);
        let parts: [(&str, &str); 4] = [
            ("evidence", &finding.evidence),
            ("effect", &finding.effect),
            ("usual causes", causes),
            ("remedy", &finding.remedy),
        ];
        let parts: String = parts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(label, text)| element("dt", "", label) + &element("dd", "", text))
            .collect();
        format!(
            "<article class=\"finding {class}\" id=\"finding-{place}\"><h3><span class=\"badge\">{word}</span> {}</h3>\n<dl>\n{parts}</dl>\
             <p class=\"dim\"><code>{}</code></p></article>\n",
            escape(&capitalised(&finding.title)),
            escape(&finding.id)
        )
    };
    findings.iter().enumerate().map(card).collect()
}
