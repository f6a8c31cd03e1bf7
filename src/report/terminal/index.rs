//! An index experiment: for each index what to do and why, what it does to each statement, and what writes pay.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{
    IndexEffectInfo, IndexExperiment, IndexResult, IndexVerdict, PlanDifference, Ratio, Report, Severity,
    StatementEffect, StatementRole, Verdict, WholeWrites, WriteCounters,
};
use crate::report::format::{DASH, NBSP, bytes, count, decimal, duration_us, per_call, percent};

/// Statements that a summary shows.
const STATEMENTS_SHOWN: usize = 8;
/// Width from which the smallest visible change has a column.
const WIDE: usize = 105;
/// A factor from which a change is written as one.
const FACTOR: f64 = 2.0;

/// What the first line says, where nothing graver is to be said.
pub(super) fn badge(report: &Report) -> Option<(Style, String, String)> {
    let experiment = report.index.as_ref()?;
    let is_graver = report.verdict == Verdict::Fail
        || !report.generator.valid
        || report.ended != "completed"
        || report.findings.iter().any(|finding| finding.severity == Severity::Invalid);
    if is_graver || experiment.indexes.is_empty() {
        return None;
    }
    let [index] = experiment.indexes.as_slice() else {
        return Some((Style::Bold, "MEASURED".to_owned(), counted(&experiment.indexes)));
    };
    let (style, word) = words(index.verdict);
    Some((style, word.to_uppercase(), format!("index {}", index.label)))
}

/// `3 indexes: 2 add, 1 inconclusive`
fn counted(indexes: &[IndexResult]) -> String {
    let verdicts = [
        IndexVerdict::Add,
        IndexVerdict::DoNotAdd,
        IndexVerdict::Keep,
        IndexVerdict::Drop,
        IndexVerdict::Inconclusive,
    ];
    let of = |verdict| indexes.iter().filter(|index| index.verdict == verdict).count();
    let said: Vec<String> = verdicts
        .into_iter()
        .filter(|verdict| of(*verdict) > 0)
        .map(|verdict| format!("{} {}", of(verdict), words(verdict).1))
        .collect();
    let all = match indexes.len() {
        1 => "1 index".to_owned(),
        many => format!("{many} indexes"),
    };
    format!("{all}: {}", said.join(", "))
}

fn words(verdict: IndexVerdict) -> (Style, &'static str) {
    match verdict {
        IndexVerdict::Add => (Style::Good, "add"),
        IndexVerdict::DoNotAdd => (Style::Bad, "do not add"),
        IndexVerdict::Keep => (Style::Good, "keep"),
        IndexVerdict::Drop => (Style::Bad, "drop"),
        IndexVerdict::Inconclusive => (Style::Caution, "inconclusive"),
    }
}

/// Each index, then all together.
pub(super) fn section(page: &mut Page, experiment: &IndexExperiment, full: bool) {
    for index in &experiment.indexes {
        put_index(page, index, full);
    }
    if let Some(together) = &experiment.together {
        page.heading("all indexes together", &pairs(together));
        put_effect(page, together, full);
    }
    if let Some(capacity) = &experiment.capacity {
        page.heading("capacity", "clients that never rest; A is without, B with");
        let value = |value: Option<f64>| value.map_or_else(|| DASH.to_owned(), |value| decimal(value, 0));
        let interval = capacity.interval.map_or_else(String::new, |(low, high)| {
            format!(", 95 % interval {} to {}", change(low), change(high))
        });
        let ratio = capacity.ratio.map_or_else(|| DASH.to_owned(), change);
        page.fact(
            "throughput",
            &format!("{}/s without, {}/s with: {ratio}{interval}", value(capacity.a), value(capacity.b)),
        );
    }
    how(page, experiment);
}

/// How it was measured, as far as it decides what the figures mean.
fn how(page: &mut Page, experiment: &IndexExperiment) {
    page.heading("how", "");
    page.fact("arms", &experiment.arms.join("; "));
    page.fact(
        "slices",
        if experiment.clones {
            "each arm has a database of its own, copied from one that was loaded"
        } else {
            "before each slice all indexes are built anew, and those that its arm lacks are dropped: every arm begins with the same \
             pages in memory and with indexes as fresh"
        },
    );
    if let Some(cache) = &experiment.cache {
        page.fact("cache", &regime(cache));
    }
    let effects =
        || experiment.indexes.iter().filter_map(|index| index.effect.as_ref()).chain(&experiment.together);
    if effects().any(|effect| effect.counters.as_ref().is_some_and(|counters| counters.whole.is_some())) {
        page.fact(
            "counters",
            &format!("{} each time on one connection", plural(experiment.operations, "transaction")),
        );
    }
    if experiment.operations > 0 && !experiment.held.is_empty() {
        page.fact(
            "counters",
            &format!(
                "{} each time on one connection, behind a vacuum and a checkpoint, autovacuum held off {}",
                plural(experiment.operations, "transaction"),
                experiment.held.join(", ")
            ),
        );
    }
    if let Some(reason) = &experiment.not_hidden {
        page.fact("not split", reason);
    }
    if let Some(reason) = &experiment.not_counted {
        page.fact("not counted", reason);
    }
}

/// What a cache regime means.
fn regime(cache: &str) -> String {
    match cache {
        "cold" => "cold: before each slice the server was restarted, and the kernel asked to forget the data; it need not, and only root \
                   could make it: what it kept was read from memory and not from the disk"
            .to_owned(),
        "warm" => "warm: the server's buffers hold all of the data".to_owned(),
        ratio => format!(
            "the data are {ratio} times as large as the server's buffers; what these do not hold came from the kernel's cache, as far as \
             the machine's memory goes, rather than from the disk"
        ),
    }
}

fn put_index(page: &mut Page, index: &IndexResult, full: bool) {
    let note = index.effect.as_ref().map_or_else(String::new, pairs);
    page.divider(&format!("index {}", index.label));
    page.paragraph(INDENT, Style::Dim, &note);
    let (style, word) = words(index.verdict);
    page.labelled(INDENT, "verdict", style, word);
    for (place, reason) in index.reasons.iter().enumerate() {
        page.labelled(INDENT, if place == 0 { "because" } else { "" }, Style::Plain, reason);
    }
    for (place, statement) in index.production.iter().enumerate() {
        page.labelled(INDENT, if place == 0 { "run" } else { "" }, Style::Bold, statement);
    }
    for (place, caveat) in index.caveats.iter().enumerate() {
        page.labelled(INDENT, if place == 0 { "mind" } else { "" }, Style::Dim, caveat);
    }
    page.fact("size", &size(index));
    let blocks = if index.blocks.is_empty() { String::new() } else { format!("; {}", index.blocks) };
    page.fact("build", &format!("{}{blocks}", duration_us(index.build_us as f64)));
    let before = index
        .scans_before
        .map_or_else(String::new, |scans| format!("; {} before the experiment", count(scans)));
    let by = if index.used_by.is_empty() { "no statement".to_owned() } else { index.used_by.join(", ") };
    let scans = match (index.scans, index.entries_read) {
        (Some(scans), Some(entries)) => {
            format!("{} of {} entries in the measured slices", plural(scans, "scan"), count(entries))
        }
        (None, Some(entries)) => format!("{} read by it in the measured slices", plural_entries(entries)),
        _ => "by its plans, since the server does not count scans".to_owned(),
    };
    page.fact("used by", &format!("{by}; {scans}, as {}{before}", index.name));
    for key in &index.foreign_keys {
        let other = key.other_index.as_ref().map_or_else(
            || "no other index serves it".to_owned(),
            |other| format!("{other} serves it as well"),
        );
        page.fact(
            "foreign key",
            &format!("{} to {}, on delete {}; {other}", key.name, key.parent, key.on_delete),
        );
    }
    if let Some(why) = &index.why {
        page.fact("suggested", why);
    }
    if let Some(effect) = &index.effect {
        put_effect(page, effect, full);
    }
}

fn plural_entries(count_of: u64) -> String {
    if count_of == 1 { "1 entry".to_owned() } else { format!("{} entries", count(count_of)) }
}

fn pairs(effect: &IndexEffectInfo) -> String {
    format!("with it against without it, {}", plural(u64::from(effect.pairs), "pair"))
}

fn size(index: &IndexResult) -> String {
    let share = if index.table_bytes > 0 {
        format!(" ({} of its table)", percent(index.size_bytes as f64 / index.table_bytes as f64))
    } else {
        String::new()
    };
    let by = index.size_by.as_ref().map_or_else(String::new, |by| format!(", {by}"));
    let fill = index.fillfactor.map_or_else(String::new, |fill| format!(", fillfactor {fill}"));
    format!(
        "{}{share}{by}; {} has about {} rows in {}{fill}",
        bytes(index.size_bytes),
        index.table,
        decimal(index.table_rows, 0),
        bytes(index.table_bytes),
    )
}

fn put_effect(page: &mut Page, effect: &IndexEffectInfo, full: bool) {
    if let Some(net) = &effect.net {
        let interval = net.interval.map_or_else(String::new, |(low, high)| {
            format!(" (95 % interval {} to {})", change(low), change(high))
        });
        page.fact(
            "whole mix",
            &format!(
                "{} in statements for each transaction without, {} with: {}{interval}",
                duration_us(net.without_us),
                duration_us(net.with_us),
                change(net.ratio)
            ),
        );
    }
    if let Some((without, with)) = effect.rows_read {
        page.fact(
            "rows read",
            &format!(
                "of its table {} for each transaction without, {} with: by scans and by indexes",
                per_call(without),
                per_call(with)
            ),
        );
    }
    if let Some(even) = &effect.break_even {
        let at_most = if even.read_share_max > even.read_share {
            format!(" (at most {})", percent(even.read_share_max))
        } else {
            String::new()
        };
        page.fact(
            "break-even",
            &format!(
                "it pays from {} of reads that use it on{at_most}, among these and the writes to its table; here they are {}: a read \
                 wins {}, a write pays {}",
                percent(even.read_share),
                percent(even.read_share_of_mix),
                duration_us(even.won_us),
                duration_us(even.paid_us)
            ),
        );
    }
    put_statements(page, effect, full);
    put_plans(page, effect, full);
    if let Some(counters) = &effect.counters {
        put_counters(page, counters);
    }
}

/// Those that changed or touch the table; all in a full report.
fn put_statements(page: &mut Page, effect: &IndexEffectInfo, full: bool) {
    let is_shown = |of: &&StatementEffect| full || of.touches || of.role != StatementRole::Unchanged;
    let shown: Vec<&StatementEffect> = effect.statements.iter().filter(is_shown).collect();
    let few = if full { shown.len() } else { shown.len().min(STATEMENTS_SHOWN) };
    if few == 0 {
        return;
    }
    page.blank();
    let is_split = shown.iter().any(|of| of.upkeep.is_some());
    let is_wide = page.inner_width() >= WIDE;
    let mut columns = vec![
        Column::text("statement", 14),
        Column::fixed(""),
        Column::number("without"),
        Column::number("with"),
        Column::number("change"),
        Column::fixed("95 % interval"),
    ];
    if is_wide {
        columns.push(Column::number("sees"));
    }
    let counts_rows = shown.iter().any(|of| of.rows_examined.is_some());
    let is_counted = counts_rows || shown.iter().any(|of| of.blocks.is_some());
    if is_counted {
        columns.push(Column::number(if counts_rows { "rows ex-\namined" } else { "blocks" }).spare(1));
    }
    let mut grid = Grid::new(columns);
    for of in &shown[..few] {
        grid.row(row(of, is_wide, is_counted));
    }
    page.grid(&grid);
    let mut key = Vec::new();
    if is_split {
        key.push("kept up: the index is maintained and not used".to_owned());
    }
    if is_wide {
        key.push(
            "sees: the smallest change that would have been found with a probability of 80 %".to_owned(),
        );
    }
    if shown.iter().any(|of| of.blocks.is_some()) {
        key.push("blocks: touched by each execution, without and with".to_owned());
    } else if counts_rows {
        key.push("rows examined: by each execution, without and with".to_owned());
    }
    let hidden = effect.statements.len() - few;
    if hidden > 0 {
        key.push(format!("{} more in --full", plural(hidden as u64, "statement")));
    }
    page.paragraph(INDENT, Style::Dim, &key.join("; "));
}

fn row(of: &StatementEffect, is_wide: bool, is_counted: bool) -> Vec<Cell> {
    let (style, word) = match of.role {
        StatementRole::Won => (Style::Good, "won"),
        StatementRole::Taxed => (Style::Bad, "taxed"),
        StatementRole::Bystander => (Style::Caution, "bystander"),
        StatementRole::Unchanged => (Style::Dim, "none seen"),
    };
    let time = |us: Option<f64>| Cell::new(us.map_or_else(|| DASH.to_owned(), duration_us));
    let difference = &of.difference;
    let ends = Cell::new(interval(difference.interval));
    let mut cells = vec![
        Cell::new(&of.statement),
        Cell::new(word).style(style),
        time(difference.a),
        time(difference.b),
        Cell::new(difference.ratio.map_or_else(|| DASH.to_owned(), change)),
        match of.upkeep.filter(|_| of.touches) {
            Some(Ratio { ratio, .. }) => ends.and(format!("kept up {}", change(ratio))),
            None => ends,
        },
    ];
    if is_wide {
        let visible = difference.visible.map_or_else(|| DASH.to_owned(), change);
        cells.push(Cell::new(visible.trim_start_matches('+')));
    }
    if is_counted {
        // One below the other, as they are compared.
        cells.push(of.blocks.or(of.rows_examined).map_or_else(
            || Cell::new(DASH),
            |(without, with)| Cell::new(per_call(without)).and(per_call(with)),
        ));
    }
    cells
}

fn interval(ends: Option<(f64, f64)>) -> String {
    ends.map_or_else(|| DASH.to_owned(), |(low, high)| format!("{} to {}", change(low), change(high)))
}

/// Plans of statements that changed; all of those that differ in a full report.
fn put_plans(page: &mut Page, effect: &IndexEffectInfo, full: bool) {
    let is_shown = |of: &&StatementEffect| full || of.touches;
    for of in effect.statements.iter().filter(is_shown) {
        let mut told: Vec<&PlanDifference> = Vec::new();
        for plan in &of.plans {
            let is_alike = |other: &PlanDifference| {
                summaries(&other.a) == summaries(&plan.a) && summaries(&other.b) == summaries(&plan.b)
            };
            if told.iter().any(|other| is_alike(other)) {
                continue;
            }
            let alike = of.plans.iter().filter(|other| is_alike(other));
            let classes: Vec<&str> = alike.map(|other| other.class.as_str()).collect();
            put_plan(page, &of.statement, &classes.join(", "), plan);
            told.push(plan);
        }
    }
}

fn summaries(plans: &[crate::model::PlanName]) -> Vec<&str> {
    let mut summaries: Vec<&str> = plans.iter().map(|plan| plan.summary.as_str()).collect();
    summaries.sort_unstable();
    summaries.dedup();
    summaries
}

fn put_plan(page: &mut Page, statement: &str, classes: &str, plan: &PlanDifference) {
    page.blank();
    page.paragraph(INDENT, Style::Bold, &format!("plan of {statement} ({classes})"));
    page.labelled(INDENT + 2, "without", Style::Plain, &summaries(&plan.a).join("; at other times "));
    page.labelled(INDENT + 2, "with", Style::Plain, &summaries(&plan.b).join("; at other times "));
}

/// What each write costs.
fn put_counters(page: &mut Page, counters: &WriteCounters) {
    page.blank();
    let spread = counters.spread.map_or_else(String::new, |spread| {
        format!(", alike within {} in {} repetitions", percent(spread), counters.repeats)
    });
    if let Some(whole) = &counters.whole {
        page.paragraph(INDENT, Style::Bold, &format!("what a transaction of writers costs, counted{spread}"));
        return put_whole(page, whole);
    }
    page.paragraph(INDENT, Style::Bold, &format!("what a write costs, counted{spread}"));
    let mut grid = Grid::new(vec![
        Column::text("statement", 18),
        Column::number("WAL records\nwithout"),
        Column::number("\nwith"),
        Column::number("page images\nwithout").spare(1),
        Column::number("\nwith").spare(1),
        Column::number("WAL bytes\nwithout"),
        Column::number("\nwith"),
        Column::number("blocks dirtied\nwithout").spare(2),
        Column::number("\nwith").spare(2),
    ]);
    for of in &counters.statements {
        let cell = |value: f64| Cell::new(per_call(value));
        grid.row(vec![
            Cell::new(&of.statement),
            cell(of.wal_records.0),
            cell(of.wal_records.1),
            cell(of.wal_full_page_images.0),
            cell(of.wal_full_page_images.1),
            cell(of.wal_bytes.0),
            cell(of.wal_bytes.1),
            cell(of.blocks_dirtied.0),
            cell(of.blocks_dirtied.1),
        ]);
    }
    if !grid.is_empty() {
        page.grid(&grid);
    }
    let hot = counters.hot_fraction.map_or_else(
        || "no row of the table was updated".to_owned(),
        |(without, with)| format!("heap-only updates: {} without, {} with", percent(without), percent(with)),
    );
    let growth = match counters.growth_bytes {
        ..=0 => "the index did not grow".to_owned(),
        grown => format!("the index grew by {}", bytes(grown.unsigned_abs())),
    };
    page.paragraph(INDENT, Style::Plain, &format!("{hot}; {growth}"));
}

/// What the whole server wrote.
fn put_whole(page: &mut Page, whole: &WholeWrites) {
    let mut grid = Grid::new(vec![
        Column::text("of the whole server", 20),
        Column::number("without"),
        Column::number("with"),
        Column::number("change"),
    ]);
    let mut row = |what: &str, (without, with): (f64, f64)| {
        let ratio = if without > 0.0 { change(with / without) } else { DASH.to_owned() };
        let cells = [what.to_owned(), per_call(without), per_call(with), ratio];
        grid.row(cells.into_iter().map(Cell::new).collect());
    };
    row("redo log, bytes", whole.log_bytes);
    if let Some(page_changes) = whole.page_changes {
        row("changes of pages", page_changes);
    }
    page.grid(&grid);
}

/// A ratio as a change: `+12 %`, `−3.4 %`, `×2.50`, `÷24.1`.
fn change(ratio: f64) -> String {
    if ratio >= FACTOR {
        return format!("×{}", decimal(ratio, 2));
    }
    if ratio > 0.0 && ratio <= 1.0 / FACTOR {
        return format!("÷{}", decimal(1.0 / ratio, 2));
    }
    let percent = (ratio - 1.0) * 100.0;
    let digits = usize::from(percent.abs() < 9.95);
    let sign = if percent > 0.0 { "+" } else { "" };
    format!("{sign}{}{NBSP}%", decimal(percent, digits))
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn large_changes_are_factors_in_either_direction() {
        for (ratio, shown) in
            [(0.04, "÷25.00"), (0.5, "÷2.00"), (0.9, "−10 %"), (1.02, "+2.0 %"), (3.0, "×3.00")]
        {
            assert_eq!(change(ratio).replace(super::NBSP, " "), shown);
        }
    }
}
