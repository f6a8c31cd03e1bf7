//! A migration under load: what became of it, the verdict, its statements, the course of the traffic, whom it kept waiting, what it
//! left behind.

use super::comparison;
use super::grid::{Cell, Column, Grid};
use super::load::row;
use super::page::{INDENT, Page, Style};
use super::rehearsal;
use super::spark::values_per_mark;
use super::value::plural;
use crate::model::{
    DdlInfo, DdlOutcome, LockStops, Migration, MigrationInfo, MigrationOutcome, MigrationState, Report,
    TimelinePoint, Verdict,
};
use crate::report::format::{DASH, NBSP, bytes, count, duration_us, length_s, rate, whole_us};
use crate::report::text::width;

/// Statements and victims that a summary shows, the costliest.
const STATEMENTS_SHOWN: usize = 12;
const VICTIMS_SHOWN: usize = 8;
/// Names that a fact lists.
const NAMES_SHOWN: usize = 8;
/// Columns of the timeline's labels and of what stands behind its marks.
const LABEL: usize = super::load::TIMELINE_LABEL;
const TOP: usize = 11;
/// Marks of statements on the timeline, by their numbers.
const MARKS: &str = "123456789abcdefghijklmnopqrstuvwxyz";

/// The verdict of the whole report in a few words.
pub(super) fn verdict(report: &Report, migration: &Migration) -> (Style, &'static str, String) {
    let all = migration.conditions.len() as u64;
    let count = |verdict| migration.conditions.iter().filter(|of| of.verdict == verdict).count();
    let failed = match migration.outcome {
        MigrationOutcome::Failed => Some("the migration failed"),
        MigrationOutcome::Stopped => Some("the migration was ended before its end"),
        MigrationOutcome::Applied | MigrationOutcome::Unknown => None,
    };
    let budgets = |words: String, state: &str| {
        let of = report.budgets.iter().filter(|budget| budget.verdict == report.verdict).count();
        let all = plural(report.budgets.len() as u64, "budget");
        if of == 0 { words } else { format!("{words}; {of} of {all} {state}") }
    };
    let sentence = |words: String| failed.map_or(words.clone(), |failed| format!("{failed}; {words}"));
    match report.verdict {
        Verdict::Pass => {
            let words = format!("none of {} holds", plural(all, "condition"));
            (Style::Good, "PASS", budgets(words, "kept"))
        }
        Verdict::Fail => {
            let words = match count(Verdict::Fail) {
                1 => format!("one of {} holds", plural(all, "condition")),
                holding => format!("{holding} of {} hold", plural(all, "condition")),
            };
            (Style::Bad, "FAIL", sentence(budgets(words, "broken")))
        }
        Verdict::Inconclusive | Verdict::None => {
            let words = format!("{} of {} unclear", count(Verdict::Inconclusive), plural(all, "condition"));
            (Style::Caution, "INCONCLUSIVE", sentence(budgets(words, "unclear")))
        }
    }
}

/// What stands above the findings.
pub(super) fn section(page: &mut Page, migration: &Migration, full: bool) {
    page.heading("migration", &origin(migration));
    page.paragraph(INDENT, Style::Bold, &migration.answer);
    conditions(page, migration);
    statements(page, &migration.statements, full);
    victims(page, migration, full);
    timeline(page, migration);
    cost(page, migration);
    state(page, migration);
    rehearsal::sections(page, migration, full);
}

/// What stands below them.
pub(super) fn differences(page: &mut Page, migration: &Migration, full: bool) {
    let Some(compared) = &migration.before_after else { return };
    page.divider("behind the migration (B) against before it (A)");
    comparison::section(page, compared, full);
}

fn origin(migration: &Migration) -> String {
    let count = plural(migration.migrations.len() as u64, "file");
    let copy = if migration.on_copy { "; applied to a copy" } else { "" };
    if let Some(command) = &migration.command {
        return format!("{command}{copy}; its sessions were looked at from outside");
    }
    format!("{count} of {} in {}{copy}", migration.tool, migration.folder)
}

fn conditions(page: &mut Page, migration: &Migration) {
    page.heading("fails on", "conditions of the verdict");
    let mut grid = Grid::new(vec![
        Column::text("condition", 16),
        Column::fixed("verdict"),
        Column::text("measured", 20),
    ]);
    for of in &migration.conditions {
        let (style, word) = match of.verdict {
            Verdict::Pass => (Style::Good, "kept"),
            Verdict::Fail => (Style::Bad, "HOLDS"),
            Verdict::Inconclusive | Verdict::None => (Style::Caution, "unclear"),
        };
        grid.row(vec![Cell::new(&of.condition), Cell::new(word).style(style), Cell::new(&of.measured)]);
    }
    page.grid(&grid);
    // What does not fit into a column is said in full.
    for of in migration.conditions.iter().filter(|of| of.verdict != Verdict::Pass && of.measured.len() > 40) {
        page.paragraph(INDENT, Style::Plain, &format!("{}: {}", of.condition, of.measured));
    }
}

/// The costliest in a summary, in their order.
fn shown(statements: &[DdlInfo], full: bool) -> Vec<&DdlInfo> {
    let mut shown: Vec<&DdlInfo> = statements.iter().collect();
    if !full && shown.len() > STATEMENTS_SHOWN {
        shown.sort_by_key(|of| {
            let failed = of.outcome == DdlOutcome::Failed;
            std::cmp::Reverse((failed, of.blocked_us_total, of.lock_wait_us, of.duration_us))
        });
        shown.truncate(STATEMENTS_SHOWN);
        shown.sort_by_key(|of| of.number);
    }
    shown
}

fn statements(page: &mut Page, statements: &[DdlInfo], full: bool) {
    let shown = shown(statements, full);
    let note = if shown.len() < statements.len() {
        format!("the costliest {} of {}; --full shows all", shown.len(), statements.len())
    } else {
        "held: its strongest lock; blocked: executions that waited for it".to_owned()
    };
    page.heading("statements", &note);
    let mut grid = Grid::new(vec![
        Column::number("#"),
        Column::text("statement", 20),
        Column::number("tries").spare(2),
        Column::number("took"),
        Column::number("lock\nwait"),
        Column::text("strongest\nlock", 12).spare(1),
        Column::number("\nheld"),
        Column::number("blocked"),
        Column::number("\ntogether"),
        Column::number("\nlongest"),
    ]);
    for of in &shown {
        let lock = of.locks.first();
        let dash = || Cell::new(DASH);
        let style = match of.outcome {
            DdlOutcome::Committed => Style::Plain,
            DdlOutcome::Failed => Style::Bad,
            DdlOutcome::RolledBack | DdlOutcome::NotReached => Style::Dim,
        };
        let reached = of.outcome != DdlOutcome::NotReached;
        let us = |us: u64| if us > 0 { Cell::new(whole_us(us)) } else { dash() };
        let text: String = of.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        grid.row(vec![
            Cell::new(of.number.to_string()).style(style),
            Cell::new(text).style(style),
            Cell::new(of.tries.len().to_string()),
            if reached { us(of.duration_us) } else { Cell::new("not reached").style(Style::Dim) },
            us(of.lock_wait_us),
            lock.map_or_else(dash, |lock| Cell::new(short_mode(&lock.mode))),
            lock.map_or_else(dash, |lock| us(lock.us)),
            if of.blocked > 0 { Cell::new(count(of.blocked)).style(Style::Bad) } else { dash() },
            us(of.blocked_us_total),
            us(of.blocked_us_max),
        ]);
    }
    page.grid(&grid);
    for of in shown {
        let details = details(of, full);
        if !details.is_empty() {
            page.labelled(INDENT, &format!("{:>3}", of.number), Style::Plain, &details.join("; "));
        }
    }
}

/// `AccessExclusive`
fn short_mode(mode: &str) -> &str {
    mode.strip_suffix("Lock").unwrap_or(mode)
}

/// What the table has no column for.
fn details(of: &DdlInfo, full: bool) -> Vec<String> {
    let mut details = Vec::new();
    match of.outcome {
        DdlOutcome::RolledBack => details.push("rolled back with its transaction".to_owned()),
        DdlOutcome::Failed => details.push(format!("FAILED: {}", of.error.clone().unwrap_or_default())),
        DdlOutcome::Committed | DdlOutcome::NotReached => {}
    }
    if let Some(root) = &of.root {
        details.push(format!("waited for {}, {}", root.who, root.state));
    }
    details.extend(algorithm(of));
    if of.implicit_commit {
        details.push("committed by the server itself, before the COMMIT of its transaction".to_owned());
    }
    details.extend(stops(of));
    if !of.rewritten.is_empty() {
        details.push(format!("rewrote {}", names(&of.rewritten)));
    }
    if !of.rebuilt.is_empty() {
        details.push(format!("rebuilt {}", names(&of.rebuilt)));
    }
    if let Some(scanned) = of.scanned.as_ref().filter(|scanned| !scanned.is_empty()) {
        let rows =
            if of.rows_scanned > 0 { format!(", {} rows", count(of.rows_scanned)) } else { String::new() };
        details.push(format!("scanned {}{rows}", names(scanned)));
    }
    if !of.invalid_indexes.is_empty() {
        details.push(format!("left {} INVALID", names(&of.invalid_indexes)));
    }
    // What it wrote is worth a word where it is more than a few rows of the catalogue.
    let worth = |written: u64| full || written >= 1024 * 1024;
    if let Some(wal) = of.wal_bytes.filter(|wal| worth(*wal)) {
        details.push(format!("WAL {}", bytes(wal)));
    } else if let Some(wal) = of.server_wal_bytes.filter(|wal| of.wal_bytes.is_none() && worth(*wal)) {
        details.push(format!("WAL {} of the whole server", bytes(wal)));
    }
    if let Some(temp) = of.temp_bytes.filter(|temp| *temp > 0) {
        details.push(format!("temporary files {}", bytes(temp)));
    }
    if of.in_transaction && of.carried_us >= 10_000 && !of.locks.is_empty() {
        let end = if of.outcome == DdlOutcome::Committed { "commit" } else { "rollback" };
        details.push(format!("its locks were held on for {} until the {end}", whole_us(of.carried_us)));
    }
    if of.tries.len() > 1 {
        let failed = of.tries.iter().filter(|one| one.error.is_some()).count() as u64;
        details.push(format!(
            "{} of {} gave up",
            count(failed),
            plural(of.tries.len() as u64, "try").replace("trys", "tries")
        ));
    }
    if full {
        details.push(if of.line > 0 { format!("{} line {}", of.file, of.line) } else { of.file.clone() });
        let locks = of.locks.iter().map(|lock| {
            let on = lock.relation.as_ref().map_or_else(String::new, |of| format!(" on {of}"));
            format!("{}{on} {}", short_mode(&lock.mode), whole_us(lock.us))
        });
        let locks: Vec<String> = locks.collect();
        if !locks.is_empty() {
            details.push(format!("locks: {}", locks.join(", ")));
        }
        let waits = of.lock_waits.iter().map(|lock| {
            let on = lock.relation.as_ref().map_or_else(|| lock.lock_type.clone(), Clone::clone);
            format!("{} on {on} {}", short_mode(&lock.mode), whole_us(lock.us))
        });
        let waits: Vec<String> = waits.collect();
        if !waits.is_empty() {
            details.push(format!("waits: {}", waits.join(", ")));
        }
    }
    details
}

/// What its strongest locks do to others, of the relations that it names; of any where it names none of them.
fn stops(of: &DdlInfo) -> Option<String> {
    let strongest = of.locks.first()?.stops;
    let is_part = |part: char| part.is_alphanumeric() || part == '_';
    let words: Vec<&str> = of.sql.split(|part: char| !is_part(part)).collect();
    let is_named = |relation: &&str| words.contains(&relation.rsplit('.').next().unwrap_or(relation));
    let locked = of.locks.iter().filter(|lock| lock.stops == strongest);
    let locked: Vec<&str> = locked.filter_map(|lock| lock.relation.as_deref()).collect();
    let mut named: Vec<&str> = locked.iter().copied().filter(is_named).collect();
    if named.is_empty() {
        named.extend(locked.first());
    }
    named.dedup();
    let relations: Vec<String> = named.into_iter().map(str::to_owned).collect();
    match strongest {
        _ if relations.is_empty() => None,
        LockStops::ReadsAndWrites => {
            Some(format!("its lock lets nobody read or write {}", names(&relations)))
        }
        LockStops::Writes => Some(format!("its lock lets nobody write {}", names(&relations))),
        LockStops::Nothing => None,
    }
}

/// `ALGORITHM=COPY, LOCK=SHARED (…)`
fn algorithm(of: &DdlInfo) -> Option<String> {
    let used = of.algorithm.as_ref()?;
    let Some(algorithm) = &used.algorithm else {
        return Some(format!("its algorithm is not known: {}", used.evidence));
    };
    let lock = used.lock.as_ref().map_or_else(String::new, |lock| format!(", LOCK={lock}"));
    Some(format!("ALGORITHM={algorithm}{lock} ({})", used.evidence))
}

fn names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn victims(page: &mut Page, migration: &Migration, full: bool) {
    let victims = &migration.victims;
    if victims.is_empty() {
        return;
    }
    let shown = if full { victims.len() } else { victims.len().min(VICTIMS_SHOWN) };
    let more = if shown < victims.len() {
        format!("; {shown} of {}, --full shows all", victims.len())
    } else {
        String::new()
    };
    page.heading("victims", &format!("transactions of the workload, by statement of the migration{more}"));
    let mut grid = Grid::new(vec![
        Column::text("transaction", 14),
        Column::number("statement"),
        Column::number("blocked"),
        Column::number("together"),
        Column::number("longest"),
        Column::text("failed", 10),
        Column::number("skipped").spare(1),
    ]);
    for victim in &victims[..shown] {
        let dash = || DASH.to_owned();
        let number = |number: u64| if number > 0 { count(number) } else { dash() };
        let us = |us: u64| if us > 0 { whole_us(us) } else { dash() };
        let failures: Vec<String> =
            victim.failures.iter().map(|(code, number)| format!("{} × {code}", count(*number))).collect();
        let failed = if failures.is_empty() {
            Cell::new(DASH)
        } else {
            Cell::new(failures.join(", ")).style(Style::Bad)
        };
        grid.row(vec![
            Cell::new(&victim.transaction),
            Cell::new(victim.statement.to_string()),
            Cell::new(number(victim.blocked)),
            Cell::new(us(victim.blocked_us_total)),
            Cell::new(us(victim.blocked_us_max)),
            failed,
            Cell::new(number(victim.skipped)),
        ]);
    }
    page.grid(&grid);
}

/// The seconds of all three stages in one row of marks each, with the numbers of the statements above them.
fn timeline(page: &mut Page, migration: &Migration) {
    let points = &migration.timeline;
    if points.len() < 3 || page.has_charts() {
        return;
    }
    let columns = page.inner_width().saturating_sub(LABEL + TOP);
    let chunk = values_per_mark(points.len(), columns);
    let groups: Vec<&[TimelinePoint]> = points.chunks(chunk).collect();
    let length = points.iter().map(|point| point.length_s).sum::<f64>() / points.len() as f64 * chunk as f64;
    page.heading(
        "timeline",
        &format!("one mark is {}; ddl: the statement at work by its number", length_s(length)),
    );
    let marks: String = groups.iter().map(|group| mark(group)).collect();
    let label = |text: &str| format!("{}{text}{}", " ".repeat(INDENT), " ".repeat(LABEL - width(text)));
    page.line(&[(Style::Dim, &label("ddl")), (Style::Bold, &marks)]);
    let mean = |group: &&[TimelinePoint]| {
        let seconds: f64 = group.iter().map(|point| point.length_s).sum();
        (seconds > 0.0).then(|| group.iter().map(|point| point.per_s * point.length_s).sum::<f64>() / seconds)
    };
    row(page, "per s", &groups.iter().map(mean).collect::<Vec<_>>(), rate);
    let worst = |of: fn(&TimelinePoint) -> Option<u64>| -> Vec<Option<f64>> {
        groups.iter().map(|group| group.iter().filter_map(of).max().map(|us| us as f64)).collect()
    };
    row(page, "p50", &worst(|point| point.p50_us), duration_us);
    let p99 = worst(|point| point.p99_us);
    if p99.iter().flatten().count() * 2 >= p99.len() {
        row(page, "p99", &p99, duration_us);
    }
    row(page, "max", &worst(|point| point.max_us), duration_us);
    let errors: Vec<Option<f64>> =
        groups.iter().map(|group| Some(group.iter().map(|point| point.errors as f64).sum())).collect();
    if errors.iter().flatten().any(|errors| *errors > 0.0) {
        row(page, "errors", &errors, |errors| format!("{errors:.0}"));
    }
}

/// The statement that is at work; `+` where several are, a line where the traffic is behind or before.
fn mark(group: &[TimelinePoint]) -> char {
    let mut at_work: Vec<usize> = group.iter().flat_map(|point| point.statements.iter().copied()).collect();
    at_work.sort_unstable();
    at_work.dedup();
    match at_work.as_slice() {
        [] => '·',
        [only] => MARKS.chars().nth(only - 1).unwrap_or('#'),
        _ => '+',
    }
}

fn cost(page: &mut Page, migration: &Migration) {
    let blast = &migration.blast;
    let mut cost = Vec::new();
    let is_sure = blast.lost_us.unsigned_abs() > blast.lost_noise_us;
    let noise = duration_us(blast.lost_noise_us as f64);
    cost.push(if is_sure && blast.lost_us > 0 {
        format!("clients waited {} longer than usual, ±{NBSP}{noise}", duration_us(blast.lost_us as f64))
    } else {
        format!("clients lost nothing that could be told from chance (±{NBSP}{noise})")
    });
    if blast.failed + blast.skipped > 0 {
        cost.push(format!("{} failed, {} skipped", count(blast.failed), count(blast.skipped)));
    }
    cost.push(match migration.recovered_s {
        Some(took) if took < 1.5 => "the traffic was as before at once".to_owned(),
        Some(took) => format!("the traffic was as before {} behind the end", length_s(took.round())),
        None => "the traffic was not as before for three seconds in a row".to_owned(),
    });
    page.fact("cost", &cost.join("; "));
    for of in &migration.disturbances {
        page.fact(
            "disturbed",
            &format!("{} at {} for {}", of.what, length_s(of.t_s.round()), duration_us(of.lasted_s * 1e6)),
        );
    }
    if let Some(ms) = migration.lock_timeout_ms {
        let tries = plural(u64::from(migration.retries), "try").replace("trys", "tries");
        let pause = whole_us(migration.backoff_ms * 1000);
        page.fact("timeout", &format!("{}, {tries} beyond the first, {pause} apart", whole_us(ms * 1000)));
    }
}

fn state(page: &mut Page, migration: &Migration) {
    if migration.outcome != MigrationOutcome::Applied {
        let of = |of: &MigrationInfo| {
            let state = match of.state {
                MigrationState::Applied => "applied",
                MigrationState::PartlyApplied => "partly applied",
                MigrationState::RolledBack => "rolled back",
                MigrationState::NotReached => "not reached",
            };
            format!("{} {state}", of.version)
        };
        let states: Vec<String> = migration.migrations.iter().map(of).collect();
        page.labelled(INDENT, "schema", Style::Caution, &states.join(", "));
    }
    let left = &migration.left;
    for (label, list) in [("invalid", &left.invalid_indexes), ("not valid", &left.not_validated)] {
        if !list.is_empty() {
            page.labelled(INDENT, label, Style::Caution, &names(list));
        }
    }
    if !left.without_statistics.is_empty() {
        let list = names(&left.without_statistics);
        page.fact("statistics", &format!("none until the next ANALYZE of {list}"));
    }
    if let Some(why) = &left.unknown {
        page.labelled(INDENT, "left behind", Style::Caution, &format!("not known: {why}"));
    }
}
