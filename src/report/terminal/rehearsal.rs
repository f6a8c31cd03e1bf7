//! What a migration check says beyond the migration itself: the safe form beside the original, other limits on the waiting for locks,
//! the way back, statements of another version of the application, relations before and behind, and larger tables.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{
    BlastRadius, DdlInfo, DdlOutcome, Growth, GrowthInfo, Migration, MigrationOutcome, Predicted, Rehearsal,
    RehearsedStatement, RelationChange,
};
use crate::report::format::{DASH, NBSP, bytes, bytes_of, count, count_of, duration_us, rate, whole_us};

/// Rows and names that a summary shows.
const RELATIONS_SHOWN: usize = 12;
const BROKEN_SHOWN: usize = 8;
const DIFFERENCES_SHOWN: usize = 6;
/// An extrapolation beyond this many times of what was measured is worth a word.
const FAR: f64 = 10.0;

/// All of it, as far as it was asked for.
pub(super) fn sections(page: &mut Page, migration: &Migration, full: bool) {
    safe(page, migration, full);
    policies(page, migration);
    way_back(page, migration, full);
    prepared(page, migration, full);
    if let Some(growth) = &migration.growth {
        larger(page, growth, &migration.statements);
    }
    relations(page, &migration.relations, full);
}

fn of_kind<'a>(migration: &'a Migration, kind: &'a str) -> impl Iterator<Item = &'a Rehearsal> {
    migration.rehearsals.iter().filter(move |of| of.kind == kind)
}

fn outcome(of: MigrationOutcome) -> Cell {
    match of {
        MigrationOutcome::Applied => Cell::new("landed").style(Style::Good),
        MigrationOutcome::Failed => Cell::new("failed").style(Style::Bad),
        MigrationOutcome::Stopped => Cell::new("stopped").style(Style::Bad),
        MigrationOutcome::Unknown => Cell::new("cut off").style(Style::Caution),
    }
}

fn us(us: u64) -> Cell {
    Cell::new(if us > 0 { whole_us(us) } else { DASH.to_owned() })
}

fn number(number: u64) -> Cell {
    Cell::new(if number > 0 { count(number) } else { DASH.to_owned() })
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each statement that has a safe form, and what stands in its place.
fn safe(page: &mut Page, migration: &Migration, full: bool) {
    let Some(safe) = of_kind(migration, "safe").next() else {
        if let Some(without) = &migration.without_safe_form {
            page.heading("safe form", "nothing was rehearsed");
            page.paragraph(INDENT, Style::Plain, &nothing_rehearsed(without));
        }
        return;
    };
    page.heading("safe form", "measured alike on a fresh copy; each below what it stands for");
    let mut grid = Grid::new(vec![
        Column::number("#"),
        Column::text("statement", 24),
        Column::number("took"),
        Column::text("strongest\nlock", 12).spare(1),
        Column::number("\nheld"),
        Column::number("blocked"),
        Column::number("\ntogether"),
        Column::number("\nlongest"),
    ]);
    let row = |grid: &mut Grid, name: String, of: &DdlInfo, indent: &str, style: Style| {
        let lock = of.locks.first();
        let mode = lock.map_or(DASH, |lock| lock.mode.strip_suffix("Lock").unwrap_or(&lock.mode));
        let took = match of.outcome {
            DdlOutcome::NotReached => Cell::new("not reached").style(Style::Dim),
            DdlOutcome::Failed => Cell::new("FAILED").style(Style::Bad),
            DdlOutcome::Committed | DdlOutcome::RolledBack => us(of.duration_us),
        };
        let sql = one_line(&of.sql);
        // Below an ALTER TABLE what is done to the table says more than that it is this table.
        let sql = if indent.is_empty() { sql } else { without_table(&sql) };
        grid.row(vec![
            Cell::new(name).style(style),
            Cell::new(format!("{indent}{sql}")).style(style),
            took,
            Cell::new(mode),
            us(lock.map_or(0, |lock| lock.us)),
            number(of.blocked),
            us(of.blocked_us_total),
            us(of.blocked_us_max),
        ]);
    };
    let mut last = None;
    for RehearsedStatement { instead_of, info } in &safe.statements {
        let Some(original) = instead_of else { continue };
        if last != Some(*original)
            && let Some(statement) = migration.statements.iter().find(|of| of.number == *original)
        {
            row(&mut grid, original.to_string(), statement, "", Style::Plain);
        }
        last = Some(*original);
        row(&mut grid, String::new(), info, "→ ", Style::Good);
    }
    if !grid.is_empty() {
        page.grid(&grid);
    }
    // Where the table has cut them, they are said in full.
    let in_full = full && !page.has_charts();
    for of in safe.statements.iter().filter(|of| in_full && of.instead_of.is_some()) {
        page.paragraph(INDENT, Style::Plain, &format!("{};", one_line(&of.info.sql)));
    }
    page.paragraph(INDENT, Style::Plain, &against(&migration.blast, safe));
    if let Some(without) = migration.without_safe_form.as_ref().filter(|without| !without.is_empty()) {
        page.fact("as it is", &format!("{}: {NO_FORM}", statements(without)));
    }
    let failed = safe.statements.iter().find(|of| of.info.outcome == DdlOutcome::Failed);
    if let Some(error) = failed.and_then(|of| of.info.error.as_ref()) {
        page.labelled(INDENT, "failed", Style::Caution, error);
    }
}

/// `… ADD COLUMN note text` of `ALTER TABLE orders ADD COLUMN note text`
fn without_table(sql: &str) -> String {
    let action = sql.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(' '));
    action.map_or_else(|| sql.to_owned(), |(_, action)| format!("… {action}"))
}

const NO_FORM: &str =
    "no other form of it can be written in SQL, or more hangs on its table than is known how to carry over";

fn nothing_rehearsed(without: &[usize]) -> String {
    if without.is_empty() {
        return "No statement did what another form of it does not do.".to_owned();
    }
    format!("Of {} {NO_FORM}; the findings say what to do instead.", statements(without))
}

/// `statement 3`, `statements 3, 4`
fn statements(numbers: &[usize]) -> String {
    let listed: Vec<String> = numbers.iter().map(usize::to_string).collect();
    format!("statement{} {}", if numbers.len() == 1 { "" } else { "s" }, listed.join(", "))
}

/// Both in one sentence.
fn against(original: &BlastRadius, safe: &Rehearsal) -> String {
    let waited = |of: &BlastRadius| {
        format!("{} together, {} the longest", whole_us(of.blocked_us_total), whole_us(of.blocked_us_max))
    };
    let took = safe.took_s.map_or_else(String::new, |took| format!(" It took {}.", duration_us(took * 1e6)));
    let policy = safe.lock_timeout_ms.map_or_else(String::new, |ms| {
        let tries = plural(u64::from(safe.retries), "try").replace("trys", "tries");
        format!(" Applied with a lock timeout of {} and {tries} beyond the first.", whole_us(ms * 1000))
    });
    let blocked = match (original.blocked, safe.blast.blocked) {
        (0, 0) => "Neither form kept anybody waiting.".to_owned(),
        (_, 0) => {
            format!("The original kept the traffic waiting {}, the safe form nobody.", waited(original))
        }
        _ => format!(
            "The original kept the traffic waiting {}, the safe form {}.",
            waited(original),
            waited(&safe.blast)
        ),
    };
    format!("{blocked}{took}{policy}")
}

/// The migration itself, and the same with other limits.
fn policies(page: &mut Page, migration: &Migration) {
    let swept: Vec<&Rehearsal> = of_kind(migration, "lock_timeout").collect();
    let Some(first) = swept.first() else { return };
    let tries = plural(u64::from(first.retries), "try").replace("trys", "tries");
    let note = format!(
        "{tries} beyond the first, {} apart; each on a fresh copy",
        whole_us(first.backoff_ms * 1000)
    );
    page.heading("lock timeouts", &note);
    let mut grid = Grid::new(vec![
        Column::number("lock_timeout"),
        Column::fixed("outcome"),
        Column::number("tries"),
        Column::number("took"),
        Column::number("blocked"),
        Column::number("user-\nseconds"),
        Column::number("\nlongest"),
        Column::number("failed").spare(1),
    ]);
    let limit = |ms: Option<u64>| ms.map_or_else(|| "none".to_owned(), |ms| whole_us(ms * 1000));
    let mut row = |ms, ended, tries: u64, took_s: Option<f64>, blast: &BlastRadius| {
        grid.row(vec![
            Cell::new(limit(ms)),
            outcome(ended),
            Cell::new(count(tries)),
            Cell::new(took_s.map_or_else(|| DASH.to_owned(), |took| duration_us(took * 1e6))),
            number(blast.blocked),
            us(blast.blocked_us_total),
            us(blast.blocked_us_max),
            number(blast.failed + blast.skipped),
        ]);
    };
    let own: u64 = migration.statements.iter().map(|of| of.tries.len() as u64).sum();
    row(migration.lock_timeout_ms, migration.outcome, own, migration.took_s, &migration.blast);
    for of in &swept {
        row(of.lock_timeout_ms, of.outcome, of.tries, of.took_s, &of.blast);
    }
    page.grid(&grid);
}

fn way_back(page: &mut Page, migration: &Migration, full: bool) {
    let Some(down) = of_kind(migration, "down").next() else { return };
    page.heading("way back", &plural(down.statements.len() as u64, "statement"));
    page.paragraph(INDENT, Style::Plain, &down.answer);
    match &down.schema_differs {
        None => {}
        Some(differs) if differs.is_empty() => page.fact("schema", "as it was before"),
        Some(differs) => {
            let shown = if full { differs.len() } else { DIFFERENCES_SHOWN };
            page.labelled(INDENT, "schema", Style::Caution, &some(differs, shown));
        }
    }
}

fn prepared(page: &mut Page, migration: &Migration, full: bool) {
    let Some(prepared) = &migration.also_prepared else { return };
    let all = plural(prepared.statements, "statement");
    page.heading("other version", &format!("{all} of {}, prepared against the new schema", prepared.folder));
    if prepared.broken.is_empty() {
        page.fact("prepared", "all of them");
    }
    let shown = if full { prepared.broken.len() } else { BROKEN_SHOWN };
    for of in prepared.broken.iter().take(shown) {
        page.labelled(INDENT, "breaks", Style::Bad, &format!("{}: {}", of.statement, of.error));
    }
    let more = prepared.broken.len().saturating_sub(shown);
    if more > 0 {
        page.fact("breaks", &format!("{more} more; --full shows all"));
    }
    if !prepared.broken_before.is_empty() {
        page.fact(
            "before",
            &format!("could not be prepared either: {}", some(&prepared.broken_before, BROKEN_SHOWN)),
        );
    }
}

fn some(names: &[String], shown: usize) -> String {
    let more = names.len().saturating_sub(shown);
    let first = names.iter().take(shown).cloned().collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{first}; and {more} more") } else { first }
}

/// What it takes in production.
fn larger(page: &mut Page, growth: &Growth, statements: &[DdlInfo]) {
    let scales: Vec<String> = growth.scales.iter().map(f64::to_string).collect();
    let repetitions = plural(u64::from(growth.repetitions), "time");
    page.heading(
        "in production",
        &format!(
            "from scales {}, {repetitions} each without traffic; 95{NBSP}% intervals",
            scales.join(", ")
        ),
    );
    let mut grid = Grid::new(vec![
        Column::number("#"),
        Column::text("statement", 16),
        Column::text("table", 8).spare(1),
        Column::number("rows"),
        Column::number("takes"),
        Column::fixed("interval"),
        Column::number("WAL").spare(2),
        Column::number("disk at\nonce"),
    ]);
    for of in &growth.statements {
        let Some(statement) = statements.iter().find(|info| info.number == of.statement) else { continue };
        grid.row(growth_row(of, statement));
    }
    page.grid(&grid);
    for of in growth.statements.iter().filter(|of| of.why_not.is_some()) {
        page.labelled(
            INDENT,
            &format!("{:>3}", of.statement),
            Style::Caution,
            &of.why_not.clone().unwrap_or_default(),
        );
    }
    if let Some(total) = growth.total_us.filter(|_| growth.statements.len() > 1) {
        page.fact("all", &format!("{}, {}", duration_us(total.value), interval(&total)));
    }
    let farthest = growth.statements.iter().filter_map(|of| of.beyond).fold(0.0, f64::max);
    if farthest > FAR {
        let times = count_of(farthest.round());
        page.paragraph(
            INDENT,
            Style::Caution,
            &format!("{times} times what was measured: tables that fit into memory there and not in production take longer"),
        );
    }
}

fn growth_row(of: &GrowthInfo, statement: &DdlInfo) -> Vec<Cell> {
    let dash = || Cell::new(DASH);
    let size = |of: &Option<Predicted>| of.as_ref().map_or_else(dash, |of| Cell::new(bytes_of(of.value)));
    vec![
        Cell::new(of.statement.to_string()),
        Cell::new(one_line(&statement.sql)),
        of.table.as_ref().map_or_else(dash, Cell::new),
        of.rows.map_or_else(dash, |rows| Cell::new(count(rows))),
        of.duration_us.as_ref().map_or_else(dash, |of| Cell::new(duration_us(of.value))),
        of.duration_us.as_ref().map_or_else(dash, |of| Cell::new(interval(of))),
        size(&of.wal_bytes),
        size(&of.disk_bytes),
    ]
}

fn interval(of: &Predicted) -> String {
    format!("{} to {}", duration_us(of.low), duration_us(of.high))
}

fn relations(page: &mut Page, relations: &[RelationChange], full: bool) {
    if relations.is_empty() {
        return;
    }
    let shown = if full { relations.len() } else { relations.len().min(RELATIONS_SHOWN) };
    let more = if shown < relations.len() {
        format!("; {shown} of {}, --full shows all", relations.len())
    } else {
        String::new()
    };
    page.heading(
        "tables and indexes",
        &format!("that came, went, changed their size or are used otherwise{more}"),
    );
    let mut grid = Grid::new(vec![
        Column::text("name", 16),
        Column::fixed(""),
        Column::number("size\nbefore"),
        Column::number("\nbehind"),
        Column::number("index scans/s\nbefore"),
        Column::number("\nbehind"),
    ]);
    for of in &relations[..shown] {
        let size = |size: Option<u64>| Cell::new(size.map_or_else(|| DASH.to_owned(), bytes));
        let scans = |scans: Option<f64>| Cell::new(scans.map_or_else(|| DASH.to_owned(), rate));
        let what = match (of.before_bytes, of.after_bytes, &of.table) {
            (None, Some(_), _) => Cell::new("new").style(Style::Good),
            (Some(_), None, _) => Cell::new("gone").style(Style::Caution),
            (_, _, None) => Cell::new("table"),
            (_, _, Some(_)) => Cell::new("index"),
        };
        let name = of
            .table
            .as_ref()
            .map_or_else(|| of.relation.clone(), |table| format!("{} on {table}", of.relation));
        grid.row(vec![
            Cell::new(name),
            what,
            size(of.before_bytes),
            size(of.after_bytes),
            scans(of.before_scans_per_s),
            scans(of.after_scans_per_s),
        ]);
    }
    page.grid(&grid);
}
