//! What a study adds to a page: its answer, and one table of what it rests on.

use std::fmt::Write as _;

use super::text::{code, escaped};
use super::word;
use crate::model::{
    Capacity, ChangeVerdict, Comparison, DdlInfo, DdlOutcome, Growth, IndexExperiment, IndexVerdict,
    MetricDifference, Migration, MigrationOutcome, PoolStudy, Predicted, Rehearsal, Report, StepOutcome,
    Verdict, VictimInfo,
};
use crate::report::format::{DASH, bytes, bytes_of, count, decimal, duration_us, percent, rate, whole_us};
use crate::report::text::sanitise;

/// Rows of a table of differences: limits, then what differs.
const DIFFERENCES_MAX: usize = 20;
/// Rows of a table of those who waited.
const VICTIMS_MAX: usize = 8;

/// Whether its stages are what was asked for, and not parts of one answer.
pub(super) fn has_stages_of_its_own(report: &Report) -> bool {
    report.study.is_none()
        && report.comparison.is_none()
        && report.index.is_none()
        && report.capacity.is_none()
        && report.migration.is_none()
}

/// The answer of a study; nothing of a run.
pub(super) fn answer(page: &mut String, report: &Report) {
    if let Some(study) = &report.study {
        pool(page, study);
    }
    if let Some(experiment) = &report.index {
        index(page, experiment);
    } else if let Some(compared) = &report.comparison {
        comparison(page, compared);
    }
    if let Some(of) = &report.capacity {
        capacity(page, of);
    }
    if let Some(of) = &report.migration {
        migration(page, of);
    }
}

fn pool(page: &mut String, study: &PoolStudy) {
    let _ = writeln!(page, "{}\n", escaped(&study.recommendation));
    if let Some(goal) = &study.goal {
        let _ = writeln!(page, "Goal {} {}: {}\n", code(&goal.metric), code(&goal.limit), word(goal.verdict));
    }
    page.push_str("| size | per s | p50 | p99 | pool wait p99 | busy | saturated | top wait |\n");
    page.push_str("|--:|--:|--:|--:|--:|--:|--:|---|\n");
    let time = |us: Option<u64>| us.map_or_else(|| DASH.to_owned(), |us| duration_us(us as f64));
    for point in &study.sizes {
        let mark = if study.knee == Some(point.size) { "**" } else { "" };
        let wait = point.top_wait.as_ref();
        let wait =
            wait.map_or_else(String::new, |of| format!("{} {}", escaped(&of.event), percent(of.share)));
        let _ = writeln!(
            page,
            "| {mark}{}{mark} | {} | {} | {} | {} | {} | {} | {wait} |",
            point.size,
            rate(point.per_s),
            time(point.response_us.p50),
            time(point.response_us.p99),
            time(point.pool_wait_us.p99),
            decimal(point.busy_mean, 1),
            percent(point.saturated_fraction)
        );
    }
    page.push('\n');
    if let Some(validity) = &study.validity {
        let _ = writeln!(page, "{}\n", escaped(validity));
    }
}

fn comparison(page: &mut String, compared: &Comparison) {
    let _ = writeln!(
        page,
        "A is {}, B is {}. {}\n",
        code(&compared.a),
        code(&compared.b),
        escaped(&compared.answer)
    );
    differences(page, compared);
}

/// Limits first, then what differs, then the main figures.
fn differences(page: &mut String, compared: &Comparison) {
    let rank = |metric: &MetricDifference| match metric.verdict {
        _ if metric.limit.is_some() => 0,
        ChangeVerdict::Worse => 1,
        ChangeVerdict::Better => 2,
        _ => 3,
    };
    let mut metrics: Vec<&MetricDifference> = compared.metrics.iter().collect();
    metrics.sort_by_key(|metric| rank(metric));
    if metrics.is_empty() {
        return;
    }
    page.push_str("| metric | A | B | change | 95 % interval | limit | |\n|---|--:|--:|--:|---|---|---|\n");
    for metric in metrics.iter().take(DIFFERENCES_MAX) {
        let value =
            |value: Option<f64>| value.map_or_else(|| DASH.to_owned(), |value| shown(&metric.unit, value));
        let interval = metric
            .interval
            .map_or_else(|| DASH.to_owned(), |(low, high)| format!("{} to {}", change(low), change(high)));
        let stage = metric.stage.as_ref().map_or_else(String::new, |stage| format!("{}: ", escaped(stage)));
        let _ = writeln!(
            page,
            "| {stage}{} | {} | {} | {} | {interval} | {} | {} |",
            code(&metric.metric),
            value(metric.a),
            value(metric.b),
            metric.ratio.map_or_else(|| DASH.to_owned(), change),
            metric.limit.as_ref().map_or_else(String::new, |limit| code(limit)),
            of_metric(metric)
        );
    }
    if metrics.len() > DIFFERENCES_MAX {
        let _ = writeln!(page, "\n{} more: see the report.", metrics.len() - DIFFERENCES_MAX);
    }
    page.push('\n');
}

fn shown(unit: &str, value: f64) -> String {
    match unit {
        "us" => duration_us(value),
        "per_s" => format!("{}/s", rate(value)),
        // A size is whole, whatever its mean over slices is.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative and saturates"
        )]
        "bytes" => bytes(value as u64),
        _ => rate(value),
    }
}

fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent >= 0.0 { "+" } else { "" };
    format!("{sign}{} %", decimal(percent, usize::from(percent.abs() < 10.0)))
}

fn of_metric(metric: &MetricDifference) -> &'static str {
    match (metric.limit_kept, metric.verdict) {
        (Some(true), _) => word(Verdict::Pass),
        (Some(false), _) => word(Verdict::Fail),
        (None, _) if metric.limit.is_some() => word(Verdict::Inconclusive),
        (None, ChangeVerdict::Better) => "better",
        (None, ChangeVerdict::Worse) => "**worse**",
        (None, ChangeVerdict::Same) => "the same",
        (None, ChangeVerdict::Inconclusive) => "not seen",
    }
}

fn index(page: &mut String, experiment: &IndexExperiment) {
    let _ = writeln!(page, "{}\n", escaped(&experiment.answer));
    page.push_str("| index | verdict | net effect | size | build | why |\n|---|---|--:|--:|--:|---|\n");
    for one in &experiment.indexes {
        let net = one.effect.as_ref().and_then(|effect| effect.net.as_ref());
        let net = net.map_or_else(|| DASH.to_owned(), |net| change(net.ratio));
        let verdict = match one.verdict {
            IndexVerdict::Add => "**add**",
            IndexVerdict::DoNotAdd => "do not add",
            IndexVerdict::Keep => "keep",
            IndexVerdict::Drop => "**drop**",
            IndexVerdict::Inconclusive => "inconclusive",
        };
        let _ = writeln!(
            page,
            "| {} | {verdict} | {net} | {} | {} | {} |",
            code(&one.definition),
            bytes(one.size_bytes),
            duration_us(one.build_us as f64),
            escaped(&one.reasons.join("; "))
        );
    }
    page.push('\n');
}

fn capacity(page: &mut String, of: &Capacity) {
    let _ = writeln!(page, "{}\n", escaped(&of.answer));
    if let Some(limit) = &of.limit {
        let _ = writeln!(page, "What stops more: {}. {}\n", escaped(&limit.evidence), escaped(&limit.remedy));
    }
    page.push_str("| rate | achieved | for | goals | |\n|--:|--:|--:|---|---|\n");
    for step in &of.steps {
        let goals: Vec<String> = step
            .goals
            .iter()
            .map(|goal| format!("{} {}", escaped(&goal.metric), escaped(&goal.measured)))
            .collect();
        let outcome = match step.outcome {
            StepOutcome::Met => "met",
            StepOutcome::Missed => "missed",
            StepOutcome::NoEvidence => "no evidence",
        };
        let asked = step.rate_per_s.map_or_else(|| DASH.to_owned(), |asked| format!("{}/s", rate(asked)));
        let _ = writeln!(
            page,
            "| {asked} | {}/s | {} s | {} | {outcome} |",
            rate(step.achieved_per_s),
            decimal(step.duration_s, 0),
            goals.join(", ")
        );
    }
    page.push('\n');
}

fn migration(page: &mut String, of: &Migration) {
    let _ = writeln!(page, "{}\n", escaped(&of.answer));
    page.push_str("| fails on | measured | |\n|---|---|---|\n");
    for condition in &of.conditions {
        let word = match condition.verdict {
            Verdict::Pass => "kept",
            Verdict::Fail => "**holds**",
            Verdict::Inconclusive | Verdict::None => "unclear",
        };
        let _ =
            writeln!(page, "| {} | {} | {word} |", code(&condition.condition), escaped(&condition.measured));
    }
    page.push_str(
        "\n| # | statement | took | waited for lock | lock | blocked | together | longest | what it did |\n",
    );
    page.push_str("|--:|---|--:|--:|---|--:|--:|--:|---|\n");
    for statement in &of.statements {
        let lock = statement.locks.first().map_or_else(String::new, |lock| {
            format!("{} {}", escaped(lock.mode.trim_end_matches("Lock")), whole_us(lock.us))
        });
        let us = |us: u64| if us > 0 { whole_us(us) } else { DASH.to_owned() };
        let took = if statement.outcome == DdlOutcome::NotReached {
            "not reached".to_owned()
        } else {
            us(statement.duration_us)
        };
        let _ = writeln!(
            page,
            "| {} | {} | {took} | {} | {lock} | {} | {} | {} | {} |",
            statement.number,
            code(&statement.sql),
            us(statement.lock_wait_us),
            statement.blocked,
            us(statement.blocked_us_total),
            us(statement.blocked_us_max),
            did(statement).join("; "),
        );
    }
    victims(page, &of.victims);
    rehearsals(page, of);
    if let Some(growth) = &of.growth {
        larger(page, growth);
    }
    page.push('\n');
}

/// What a statement did to the tables, and how it ended where it does not stand.
fn did(of: &DdlInfo) -> Vec<String> {
    let mut did = Vec::new();
    match of.outcome {
        DdlOutcome::Failed => {
            did.push(format!("**failed**: {}", escaped(of.error.as_deref().unwrap_or_default())));
        }
        DdlOutcome::RolledBack => did.push("rolled back with its transaction".to_owned()),
        DdlOutcome::Committed | DdlOutcome::NotReached => {}
    }
    if of.tries.len() > 1 {
        did.push(format!("{} tries", of.tries.len()));
    }
    did.extend(
        of.root.as_ref().map(|root| format!("waited for {}, {}", escaped(&root.who), escaped(&root.state))),
    );
    if let Some(used) = &of.algorithm {
        let lock = used.lock.as_ref().map_or_else(String::new, |lock| format!(", LOCK={lock}"));
        did.push(match &used.algorithm {
            Some(algorithm) => code(&format!("ALGORITHM={algorithm}{lock}")),
            None => format!("algorithm not known: {}", escaped(&used.evidence)),
        });
    }
    if of.implicit_commit {
        did.push("committed by the server itself".to_owned());
    }
    let scanned = of.scanned.as_deref().unwrap_or_default();
    for (what, names) in [("rewrote", &of.rewritten[..]), ("rebuilt", &of.rebuilt), ("scanned", scanned)] {
        if !names.is_empty() {
            did.push(format!("{what} {}", escaped(&names.join(", "))));
        }
    }
    if !of.invalid_indexes.is_empty() {
        did.push(format!("left {} **invalid**", escaped(&of.invalid_indexes.join(", "))));
    }
    did
}

/// Whom it kept waiting, the costliest first.
fn victims(page: &mut String, victims: &[VictimInfo]) {
    if victims.is_empty() {
        return;
    }
    page.push_str(
        "\n| who waited | for statement | times | together | longest | failed |\n|---|--:|--:|--:|--:|---|\n",
    );
    for victim in victims.iter().take(VICTIMS_MAX) {
        let us = |us: u64| if us > 0 { whole_us(us) } else { DASH.to_owned() };
        let failed: Vec<String> =
            victim.failures.iter().map(|(code, number)| format!("{number} × {}", escaped(code))).collect();
        let failed = if failed.is_empty() { DASH.to_owned() } else { failed.join(", ") };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {failed} |",
            escaped(&victim.transaction),
            victim.statement,
            victim.blocked,
            us(victim.blocked_us_total),
            us(victim.blocked_us_max)
        );
    }
    if victims.len() > VICTIMS_MAX {
        let _ = writeln!(page, "\n{} more: see the report.", victims.len() - VICTIMS_MAX);
    }
}

/// The safe form as SQL that can be taken over.
fn safe_form(page: &mut String, safe: &Rehearsal) {
    let stands_for = safe.statements.iter().filter_map(|of| Some((of.instead_of?, &of.info)));
    let mut lines = Vec::new();
    let (mut last, mut open) = (None, false);
    for (original, info) in stands_for {
        if open && !info.in_transaction {
            lines.push("COMMIT;".to_owned());
        }
        if last != Some(original) {
            lines.push(format!("-- in the place of statement {original}"));
        }
        if !open && info.in_transaction {
            lines.push("BEGIN;".to_owned());
        }
        (last, open) = (Some(original), info.in_transaction);
        // Nothing in it may end the fence.
        let sql = sanitise(&info.sql).split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("{};", sql.replace("```", "'")));
    }
    if open {
        lines.push("COMMIT;".to_owned());
    }
    if !lines.is_empty() {
        let _ = writeln!(
            page,
            "\n<details><summary>The safe form as SQL</summary>\n\n```sql\n{}\n```\n\n</details>",
            lines.join("\n")
        );
    }
}

/// What it takes in production, where that was asked.
fn larger(page: &mut String, growth: &Growth) {
    let scales: Vec<String> = growth.scales.iter().map(f64::to_string).collect();
    let _ = writeln!(
        page,
        "\nIn production, from scales {} without traffic (95 % intervals):\n",
        scales.join(", ")
    );
    page.push_str("| # | table | rows | takes | | WAL | disk at once |\n|--:|---|--:|--:|---|--:|--:|\n");
    for of in &growth.statements {
        let dash = || DASH.to_owned();
        let size = |of: &Option<Predicted>| of.as_ref().map_or_else(dash, |of| bytes_of(of.value));
        let (takes, within) = of.duration_us.as_ref().map_or_else(
            || (dash(), escaped(of.why_not.as_deref().unwrap_or_default())),
            |of| (duration_us(of.value), format!("{} to {}", duration_us(of.low), duration_us(of.high))),
        );
        let _ = writeln!(
            page,
            "| {} | {} | {} | {takes} | {within} | {} | {} |",
            of.statement,
            of.table.as_ref().map_or_else(dash, |table| escaped(table)),
            of.rows.map_or_else(dash, count),
            size(&of.wal_bytes),
            size(&of.disk_bytes)
        );
    }
}

/// What was rehearsed beside it, a line each.
fn rehearsals(page: &mut String, migration: &Migration) {
    if !migration.rehearsals.is_empty() {
        page.push_str("\n| rehearsed as well | outcome | tries | blocked | together | longest |\n|---|---|--:|--:|--:|--:|\n");
    }
    for of in &migration.rehearsals {
        let limit = of.lock_timeout_ms.map_or_else(|| "none".to_owned(), |ms| whole_us(ms * 1000));
        let name = match of.kind.as_str() {
            "safe" => "the safe form".to_owned(),
            "down" => "the way back".to_owned(),
            _ => format!("lock\\_timeout {limit}"),
        };
        let outcome = if of.outcome == MigrationOutcome::Applied { "landed" } else { "**did not land**" };
        let us = |us: u64| if us > 0 { whole_us(us) } else { DASH.to_owned() };
        let (total, longest) = (us(of.blast.blocked_us_total), us(of.blast.blocked_us_max));
        let _ = writeln!(
            page,
            "| {name} | {outcome} | {} | {} | {total} | {longest} |",
            of.tries, of.blast.blocked
        );
    }
    if let Some(safe) = migration.rehearsals.iter().find(|of| of.kind == "safe") {
        safe_form(page, safe);
    }
    for of in migration.also_prepared.iter().flat_map(|of| &of.broken) {
        let _ = writeln!(page, "\nBreaks {}: {}", code(&of.statement), escaped(&of.error));
    }
}
