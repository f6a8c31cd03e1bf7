//! Where the clients' time went: each transaction in one line, and every part of every ledger for who wants all of it.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::statements::{key, names};
use super::value::plural;
use crate::model::{Ledger, LedgerPart, Phase, Sampled, Stage, StatementInfo};
use crate::report::format::{DASH, NBSP, count, duration_us, percent};

/// A share below this is not shown as one.
const SHARE_MIN: f64 = 0.005;

/// A measured part below this share is what stamps and rounding leave.
const PART_MIN: f64 = 0.000_5;

/// One column of the overview.
struct Group {
    title: &'static str,
    share: fn(&Ledger) -> f64,
}

/// What the columns stand for, in the order in which it happens.
const GROUPS: [Group; 12] = [
    Group { title: "lag", share: |ledger| ledger.share(|phase| *phase == Phase::Lag) },
    Group { title: "pool\nwait", share: |ledger| ledger.share(|phase| *phase == Phase::PoolWait) },
    Group { title: "tried\nagain", share: |ledger| ledger.share(|phase| *phase == Phase::Retries) },
    Group { title: "held\nidle", share: |ledger| ledger.share(|phase| *phase == Phase::Application) },
    Group { title: "net-\nwork", share: |ledger| ledger.share(|phase| *phase == Phase::Network) },
    Group {
        title: "on\nCPU",
        share: |ledger| ledger.share(|phase| matches!(phase, Phase::Running | Phase::Cpu)),
    },
    Group {
        title: "no\ncore",
        share: |ledger| ledger.share(|phase| matches!(phase, Phase::Runnable | Phase::WakeUp)),
    },
    Group { title: "lock", share: |ledger| ledger.share(|phase| class(phase) == Some("Lock")) },
    Group { title: "I/O", share: |ledger| ledger.share(|phase| class(phase) == Some("IO")) },
    Group {
        title: "else",
        share: |ledger| {
            ledger.share(|phase| class(phase).is_some_and(|class| !matches!(class, "Lock" | "IO")))
        },
    },
    Group {
        title: "com-\nmit",
        share: |ledger| ledger.share(|phase| matches!(phase, Phase::Begin | Phase::Commit)),
    },
    Group { title: "rest", share: |ledger| ledger.remainder_share().unwrap_or(0.0) },
];

/// `Lock` of `Lock:transactionid`.
fn class(phase: &Phase) -> Option<&str> {
    match phase {
        Phase::Wait(event) => Some(event.split_once(':').map_or(event.as_str(), |(class, _)| class)),
        _ => None,
    }
}

/// What each column of the overview stands for, and its share of the client's time.
pub(super) fn shares(ledger: &Ledger) -> Vec<(String, f64)> {
    let name = |title: &str| title.replace("-\n", "").replace('\n', " ");
    GROUPS.iter().map(|group| (name(group.title), (group.share)(ledger))).collect()
}

/// Each transaction in one line, those first that took most of the clients' time.
pub(super) fn overview(page: &mut Page, stage: &Stage) {
    let Some(all) = &stage.ledger else { return };
    let mut rows: Vec<(&str, &Ledger)> = stage
        .transactions
        .iter()
        .filter_map(|transaction| Some((transaction.name.as_str(), transaction.ledger.as_ref()?)))
        .collect();
    rows.sort_by(|(_, a), (_, b)| total(b).total_cmp(&total(a)));
    if rows.len() > 1 {
        rows.push(("all", all));
    }
    page.heading("where the time went", "of the mean response, in per cent");
    // What nobody spent time on has no column.
    let shown: Vec<&Group> = GROUPS
        .iter()
        .filter(|group| rows.iter().any(|(_, ledger)| (group.share)(ledger).abs() >= SHARE_MIN))
        .collect();
    let mut columns = vec![Column::text("transaction", 10), Column::number("mean")];
    columns.extend(shown.iter().map(|group| Column::number(group.title)));
    let mut grid = Grid::new(columns);
    for (name, ledger) in rows {
        let mut cells = vec![Cell::new(name), Cell::new(duration_us(ledger.client_us))];
        cells.extend(shown.iter().map(|group| Cell::new(whole_percent((group.share)(ledger)))));
        grid.row(cells);
    }
    page.grid(&grid);
}

/// `93`, or a dash for less than half a per cent.
fn whole_percent(share: f64) -> String {
    if share.abs() < SHARE_MIN { DASH.to_owned() } else { format!("{:.0}", share * 100.0) }
}

/// Every part of every ledger.
pub(super) fn details(page: &mut Page, stage: &Stage) {
    if stage.ledger.is_none() {
        return;
    }
    page.heading("ledgers", "what a call spent its time on; intervals at 95 %, sessions seen in it");
    let mut grid = Grid::new(vec![
        Column::text("of", 10),
        Column::text("part", 18),
        Column::number("each"),
        Column::number("share"),
        Column::fixed("interval").spare(1),
        Column::number("seen"),
    ]);
    for transaction in &stage.transactions {
        if let Some(ledger) = &transaction.ledger {
            lines(&mut grid, &transaction.name, ledger);
        }
    }
    let names = names(&stage.statements);
    for statement in &stage.statements {
        if let Some(ledger) = &statement.ledger {
            lines(&mut grid, &names[&key(statement)], ledger);
        }
    }
    page.grid(&grid);
    for statement in &stage.statements {
        if let Some(text) = agreement(statement) {
            page.labelled(INDENT, "checked", Style::Dim, &format!("{}: {text}", names[&key(statement)]));
        }
    }
}

fn lines(grid: &mut Grid, name: &str, ledger: &Ledger) {
    grid.row(vec![
        Cell::new(name).style(Style::Bold),
        Cell::new(plural(ledger.calls, "call")),
        Cell::new(duration_us(ledger.client_us)),
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
    ]);
    for part in ledger.parts.iter().filter(|part| part.share >= PART_MIN || part.sampled.is_some()) {
        grid.row(vec![
            Cell::new(""),
            Cell::new(words(&part.what)),
            Cell::new(duration_us(part.us)),
            Cell::new(percent(part.share)),
            Cell::new(interval(part)),
            Cell::new(part.sampled.map_or_else(String::new, |sampled| count(sampled.count))),
        ]);
    }
    grid.row(vec![
        Cell::new(""),
        Cell::new("unexplained"),
        Cell::new(signed(ledger.remainder_us)),
        Cell::new(ledger.remainder_share().map_or_else(|| DASH.to_owned(), signed_percent)),
        Cell::new(""),
        Cell::new(""),
    ]);
}

fn signed(us: f64) -> String {
    if us < 0.0 { format!("−{}", duration_us(-us)) } else { duration_us(us) }
}

fn signed_percent(share: f64) -> String {
    if share < 0.0 { format!("−{}", percent(-share)) } else { percent(share) }
}

fn interval(part: &LedgerPart) -> String {
    part.sampled.map_or_else(String::new, |Sampled { low_us, high_us, .. }| {
        format!("{}{NBSP}to{NBSP}{}", duration_us(low_us), duration_us(high_us))
    })
}

/// A part, for a person.
fn words(phase: &Phase) -> &str {
    match phase {
        Phase::Lag => "late to start",
        Phase::PoolWait => "waiting for a connection",
        Phase::Retries => "tried again, connecting",
        Phase::Begin => "BEGIN",
        Phase::Application => "held without a statement",
        Phase::Network => "network at rest",
        Phase::WakeUp => "server: waking up",
        Phase::Runnable => "server: no core",
        Phase::Running | Phase::Cpu => "server: running",
        Phase::Wait(event) => event,
        Phase::Commit => "COMMIT",
    }
}

/// The server's time by the samples beside its own account.
fn agreement(statement: &StatementInfo) -> Option<String> {
    let server = statement.ledger.as_ref()?.server?;
    let counted = server.counted_us.filter(|us| *us > 0.0)?;
    let counts_rows = statement.server.as_ref().is_some_and(|server| server.row_work.is_some());
    let by = if counts_rows { "performance_schema" } else { "pg_stat_statements" };
    Some(format!(
        "active on the server for {} by the samples ({} to {}), {} by {by}",
        duration_us(server.sampled_us),
        duration_us(server.low_us),
        duration_us(server.high_us),
        duration_us(counted)
    ))
}

fn total(ledger: &Ledger) -> f64 {
    ledger.client_us * ledger.calls as f64
}
