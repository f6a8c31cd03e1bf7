//! The top of the page: what was run and how it ended, findings, budgets.

use super::capacity;
use super::endurance;
use super::grid::{Cell, Column, Grid};
use super::index;
use super::page::{INDENT, Page, Style};
use super::put_on;
use super::study;
use super::value::plural;
use crate::model::{
    BudgetResult, ChangeVerdict, Comparison, Finding, PoolPass, Report, Severity, Stage, TargetInfo, Verdict,
};
use crate::report::format::{bytes, decimal, duration_us, length_s};

/// Findings that a summary shows in full.
const FINDINGS_SHOWN: usize = 3;

/// The verdict, then what was run against what.
pub(super) fn title(page: &mut Page, report: &Report) {
    let (style, badge, sentence) = verdict(report);
    page.line(&[
        (style, &badge),
        (Style::Plain, "  "),
        (Style::Bold, &report.workload.name),
        (Style::Plain, &format!(": {sentence}")),
    ]);
    if !report.generator.valid
        && let Some(reason) = &report.generator.reason
    {
        page.labelled(0, "because", Style::Plain, reason);
    }
    if let Some(ending) = ending(report) {
        page.paragraph(0, Style::Caution, &ending);
    }
    page.blank();
    page.labelled(0, "load", Style::Plain, &load(report));
    arms(page, report);
    endurance::summary(page, report);
    page.labelled(0, "target", Style::Plain, &target(report));
    page.labelled(0, "data", Style::Plain, &data(report));
    page.labelled(0, "run", Style::Plain, &format!("{} · {}", report.id, report.started_at));
}

/// What is compared.
fn arms(page: &mut Page, report: &Report) {
    let Some(comparison) = &report.comparison else { return };
    page.labelled(0, "A", Style::Plain, &comparison.a);
    page.labelled(0, "B", Style::Plain, &comparison.b);
}

/// What a comparison with limits comes to.
fn limits(report: &Report) -> Option<String> {
    let metrics = &report.comparison.as_ref()?.metrics;
    let limited: Vec<_> = metrics.iter().filter(|metric| metric.limit.is_some()).collect();
    let count = |kept| limited.iter().filter(|metric| metric.limit_kept == kept).count();
    let of =
        |number: usize, what: &str| format!("{number} of {} {what}", plural(limited.len() as u64, "limit"));
    Some(match report.verdict {
        Verdict::None => return None,
        Verdict::Pass => of(count(Some(true)), "kept"),
        Verdict::Fail => of(count(Some(false)), "broken"),
        Verdict::Inconclusive => of(count(None), "unclear"),
    })
}

/// How the verdict looks, its word, and a sentence.
pub(super) fn verdict(report: &Report) -> (Style, String, String) {
    let kept = report.budgets.iter().filter(|budget| budget.verdict == Verdict::Pass).count();
    let broken = report.budgets.iter().filter(|budget| budget.verdict == Verdict::Fail).count();
    let all = report.budgets.len();
    let of = |number: usize, what: &str| format!("{number} of {} {what}", plural(all as u64, "budget"));
    if !report.generator.valid {
        let sentence = "the load generator was the limit, not the database; no verdict";
        return (Style::Bad, "INVALID".to_owned(), sentence.to_owned());
    }
    if let Some(gravest) = report.findings.iter().find(|finding| finding.severity == Severity::Invalid) {
        return (Style::Bad, "INVALID".to_owned(), gravest.title.clone());
    }
    if let Some(said) = index::badge(report) {
        return said;
    }
    if let Some(migration) = &report.migration {
        let (style, badge, sentence) = super::migration::verdict(report, migration);
        return (style, badge.to_owned(), sentence);
    }
    if let Some(of) = &report.capacity
        && report.ended == "completed"
    {
        let (style, badge) = capacity::badge(report.verdict);
        return (style, badge.to_owned(), capacity::sentence(of));
    }
    if let Some(sentence) = limits(report) {
        let (style, badge) = match report.verdict {
            Verdict::Pass => (Style::Good, "PASS"),
            Verdict::Fail => (Style::Bad, "FAIL"),
            Verdict::Inconclusive | Verdict::None => (Style::Caution, "INCONCLUSIVE"),
        };
        return (style, badge.to_owned(), sentence);
    }
    let goal = report.study.as_ref().filter(|study| study.goal.is_some());
    let goal = goal.map(|study| study::sentence(study, true));
    let and_goal = |sentence: String| match &goal {
        Some(goal) if all == 0 => goal.clone(),
        Some(goal) => format!("{goal}; {sentence}"),
        None => sentence,
    };
    let (style, badge, sentence) = match report.verdict {
        Verdict::Pass => (Style::Good, "PASS", of(kept, "kept")),
        Verdict::Fail => (Style::Bad, "FAIL", of(broken, "broken")),
        Verdict::Inconclusive => (Style::Caution, "INCONCLUSIVE", of(all - kept - broken, "unclear")),
        Verdict::None if report.ended != "completed" => {
            let limit = if report.comparison.is_some() { "limit" } else { "budget" };
            (Style::Caution, "INCOMPLETE", format!("the run ended early, and no {limit} was set"))
        }
        Verdict::None => (Style::Bold, "MEASURED", without_budget(report)),
    };
    let sentence = if report.verdict == Verdict::None { sentence } else { and_goal(sentence) };
    (style, badge.to_owned(), sentence)
}

/// What a run has to say where no limit was set: a study its answer, a run that it has no verdict.
fn without_budget(report: &Report) -> String {
    if let Some(comparison) = &report.comparison {
        return differences(comparison);
    }
    let Some(study) = &report.study else {
        return "no budget was set, so there is no verdict".to_owned();
    };
    study::sentence(study, report.stages.iter().any(|stage| stage.offered_per_s.is_some()))
}

/// `B is worse in 2 and better in 1 of 14 metrics`.
fn differences(comparison: &Comparison) -> String {
    let count = |verdict| comparison.metrics.iter().filter(|metric| metric.verdict == verdict).count();
    let all = plural(comparison.metrics.len() as u64, "metric");
    match (count(ChangeVerdict::Worse), count(ChangeVerdict::Better)) {
        (0, 0) => format!("no difference is seen between A and B in {all}"),
        (worse, 0) => format!("B is worse in {worse} of {all}"),
        (0, better) => format!("B is better in {better} of {all}"),
        (worse, better) => format!("B is worse in {worse} and better in {better} of {all}"),
    }
}

fn ending(report: &Report) -> Option<String> {
    let why = match report.ended.as_str() {
        "completed" => return None,
        "interrupted" => "The run was interrupted.",
        "target_lost" => "The target was lost and did not come back.",
        "cut_off" => "The journal of the run has no end: the program was killed, or its machine stopped.",
        other => return Some(format!("The run ended early: {other}. What was measured until then follows.")),
    };
    Some(format!("{why} What was measured until then follows."))
}

fn load(report: &Report) -> String {
    let measured: Vec<&Stage> = report.stages.iter().filter(|stage| stage.measured).collect();
    if let (Some(of), Some(stage)) = (&report.capacity, measured.first()) {
        return capacity::load(of, &pool(stage));
    }
    if let Some(study) = &report.study {
        let sizes: Vec<String> = study.sizes.iter().map(|point| point.size.to_string()).collect();
        if !study.passes.is_empty() {
            let at = |pass: &PoolPass| match (pass.rate_per_s, pass.clients) {
                (Some(per_s), _) => format!("at {}/s", decimal(per_s, 0)),
                (None, clients) => {
                    format!(
                        "with {} who keep every connection busy",
                        plural(u64::from(clients.unwrap_or(0)), "client")
                    )
                }
            };
            let loads: Vec<String> = study.passes.iter().map(at).collect();
            let length = measured.first().map_or_else(String::new, |stage| length_s(stage.duration_s));
            return format!(
                "pool sizes {}, each {}; {length} each time, in an order that is drawn",
                sizes.join(", "),
                loads.join(", ")
            );
        }
        let order: Vec<String> = study.order.iter().map(u32::to_string).collect();
        let each = measured.first().map_or_else(String::new, |stage| format!(", {} each", stage_load(stage)));
        return format!("pool sizes {}{each}; measured in the order {}", sizes.join(", "), order.join(", "));
    }
    if let (Some(comparison), Some(stage)) = (&report.comparison, measured.first()) {
        let of = if comparison.pairs < comparison.pairs_planned {
            let at_most = if comparison.until_decided { "at most " } else { "" };
            format!(" of {at_most}{}", comparison.pairs_planned)
        } else {
            String::new()
        };
        let pairs = plural(u64::from(comparison.pairs), "pair");
        let pool = if measured.iter().any(|other| other.pool.size != stage.pool.size) {
            String::new()
        } else {
            format!(", {}", pool(stage))
        };
        return format!(
            "{pairs}{of} of slices, each {}{pool}; a coin says which arm comes first",
            stage_load(stage)
        );
    }
    if let (Some(migration), Some(before)) = (&report.migration, measured.first()) {
        let took =
            migration.took_s.map_or_else(String::new, |took| format!(" ({})", duration_us(took * 1e6)));
        let behind = measured
            .get(2)
            .map_or_else(String::new, |after| format!(", behind it for {}", length_s(after.duration_s)));
        let load = put_on::sentence(before);
        let pairs = migration.before_after.as_ref().map_or(0, |compared| u64::from(compared.pairs));
        let turns =
            if pairs > 0 { format!(", then in {} by turns", plural(pairs, "pair")) } else { String::new() };
        return format!(
            "{load}; measured before for {}, during the migration{took}{behind}{turns}; {}",
            length_s(before.duration_s),
            pool(before)
        );
    }
    match measured.as_slice() {
        [] => "no stage was measured".to_owned(),
        [stage] => format!("{}, {}", stage_load(stage), pool(stage)),
        [first, ..] => format!("{}, {}", plural(measured.len() as u64, "stage"), pool(first)),
    }
}

/// `open loop at 500 transactions/s for 60 s`.
pub(super) fn stage_load(stage: &Stage) -> String {
    let (load, length) = (put_on::sentence(stage), length_s(stage.duration_s));
    match load.is_empty() {
        true => length,
        // Behind a comma it would be a part of the last remark.
        false if load.contains(',') => format!("{load}; for {length}"),
        false => format!("{load} for {length}"),
    }
}

/// `a pool of 8`, `4 pools of 10`.
fn pool(stage: &Stage) -> String {
    match stage.pool.instances {
        0 | 1 => format!("a pool of {}", plural(u64::from(stage.pool.size), "connection")),
        many => format!("{many} pools of {} each", plural(u64::from(stage.pool.size), "connection")),
    }
}

fn target(report: &Report) -> String {
    let target = &report.target;
    let engine = engine(target);
    let place = match (target.local, target.same_host) {
        (true, _) => "a throwaway server on this machine".to_owned(),
        (false, true) => format!("{}, on this machine", target.address),
        (false, false) => target.address.clone(),
    };
    format!("{engine} {}, {place}", target.version)
}

/// As its makers call it.
fn engine(target: &TargetInfo) -> &str {
    match target.engine.as_str() {
        "postgresql" => "PostgreSQL",
        "mariadb" => "MariaDB",
        "mysql" => "MySQL",
        other => other,
    }
}

/// The setting that says how much of the data the server keeps.
fn buffers(target: &TargetInfo) -> &'static str {
    if target.engine == "postgresql" { "shared_buffers" } else { "innodb_buffer_pool_size" }
}

fn data(report: &Report) -> String {
    let target = &report.target;
    let size = target.database_bytes.map_or_else(|| "size unknown".to_owned(), bytes);
    let regime = target.cache_regime.as_ref().map_or_else(String::new, |regime| format!(", {regime}"));
    let buffers = target
        .shared_buffers_bytes
        .map_or_else(String::new, |size| format!(" ({} {})", buffers(target), bytes(size)));
    let scale = report.workload.scale.map_or_else(String::new, |scale| format!("scale {}, ", number(scale)));
    format!("{scale}{size}{regime}{buffers}")
}

fn number(value: f64) -> String {
    decimal(value, if (value - value.round()).abs() < 1e-9 { 0 } else { 2 })
}

/// What a person should know, the gravest first.
pub(super) fn findings(page: &mut Page, findings: &[Finding], full: bool) {
    if findings.is_empty() {
        page.heading("findings", "none");
        return;
    }
    let shown = if full { findings.len() } else { findings.len().min(FINDINGS_SHOWN) };
    let note = if shown < findings.len() {
        format!("{shown} of {}; --full shows the others", findings.len())
    } else {
        String::new()
    };
    page.heading("findings", &note);
    for (index, finding) in findings.iter().take(shown).enumerate() {
        if index > 0 {
            page.blank();
        }
        let (style, mark) = match finding.severity {
            Severity::Invalid => (Style::Bad, "✗"),
            Severity::Warning => (Style::Caution, "!"),
            Severity::Info => (Style::Bold, "i"),
        };
        page.line_with_end(INDENT, (style, &format!("{mark} {}", finding.title)), (Style::Dim, &finding.id));
        let parts =
            [("evidence", &finding.evidence), ("effect", &finding.effect), ("remedy", &finding.remedy)];
        for (label, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            page.labelled(INDENT + 2, label, Style::Plain, text);
        }
    }
}

/// Each limit with what was measured.
pub(super) fn budgets(page: &mut Page, budgets: &[BudgetResult]) {
    if budgets.is_empty() {
        return;
    }
    page.heading("budgets", "");
    let mut grid = Grid::new(vec![
        Column::fixed("verdict"),
        Column::text("metric", 20),
        Column::fixed("limit"),
        Column::number("measured"),
        Column::text("stage", 8).spare(1),
    ]);
    for budget in budgets {
        let (style, word) = match budget.verdict {
            Verdict::Pass => (Style::Good, "kept"),
            Verdict::Fail => (Style::Bad, "BROKEN"),
            Verdict::Inconclusive => (Style::Caution, "unclear"),
            Verdict::None => (Style::Dim, "none"),
        };
        grid.row(vec![
            Cell::new(word).style(style),
            Cell::new(&budget.metric),
            Cell::new(&budget.limit),
            Cell::new(&budget.measured),
            Cell::new(&budget.stage),
        ]);
    }
    page.grid(&grid);
    for budget in budgets {
        if let Some(reason) = &budget.reason {
            page.paragraph(INDENT, Style::Plain, &format!("{}: {reason}", budget.metric));
        }
    }
}
