//! Statements: how long each took, what the server says of it, what it waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::{Statistic, plural, time, top_wait};
use crate::model::{RowWorkInfo, Stage, StatementInfo, StatementServerInfo};
use crate::report::format::{DASH, NBSP, bytes, count, duration_us, per_call, percent, rate};

/// Statements that a summary shows.
const SHOWN: usize = 10;

/// Times of the statements, those first that took most of the clients' time.
pub(super) fn times(page: &mut Page, stage: &Stage, full: bool) {
    if stage.statements.is_empty() {
        return;
    }
    let mut statements = by_time(stage);
    let shown = if full { statements.len() } else { statements.len().min(SHOWN) };
    let note = if shown == statements.len() {
        "the costliest first; time from sent to done".to_owned()
    } else {
        format!("the {shown} costliest of {}; time from sent to done", statements.len())
    };
    page.heading("statements", &note);
    statements.truncate(shown);
    let names = names(&stage.statements);
    let account = Account::of(stage);
    let mut columns = vec![
        Column::text("name", 14),
        Column::number("per s"),
        Column::number("p50"),
        Column::number("p99"),
        Column::number("rows/\ncall").spare(2),
    ];
    columns.extend(account.columns());
    let are_unindexed = stage.statements.iter().any(|statement| statement.no_index > Some(0));
    if are_unindexed {
        columns.push(Column::number("no\nindex").spare(5));
    }
    columns.push(Column::text("top wait", 15));
    let mut grid = Grid::new(columns);
    for statement in &statements {
        let mut cells = vec![
            Cell::new(&names[&key(statement)]),
            Cell::new(per_second(statement.count, stage)),
            Cell::new(time(&statement.execute_us, Statistic::P50)),
            Cell::new(time(&statement.execute_us, Statistic::P99)),
            Cell::new(if statement.count == 0 {
                DASH.to_owned()
            } else {
                per_call(mean(statement.rows, statement.count))
            }),
        ];
        cells.extend(account.cells(statement));
        if are_unindexed {
            cells.push(Cell::new(unindexed(statement)));
        }
        cells.push(top_wait(statement.waits.first()));
        grid.row(cells);
    }
    page.grid(&grid);
    if are_unindexed {
        let key = "no index: share of the executions in which none led to the rows of a table, by the server's word";
        page.paragraph(INDENT, Style::Dim, key);
    }
    shared_rows(page, &statements);
    for statement in statements.iter().filter(|statement| statement.errors > 0) {
        let failed = format!("{} failed {}", names[&key(statement)], plural(statement.errors, "time"));
        page.labelled(INDENT, "errors", Style::Bad, &failed);
    }
}

/// What the server counts of statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    Blocks,
    Rows,
    /// None of these statements: there is nothing to show.
    Nothing,
}

impl Account {
    fn of(stage: &Stage) -> Self {
        let mut statements = stage.statements.iter();
        if statements.clone().any(|statement| work(statement).is_some()) {
            Self::Rows
        } else if statements.all(|statement| statement.no_index.is_some() && statement.server.is_none()) {
            Self::Nothing
        } else {
            Self::Blocks
        }
    }

    fn columns(self) -> Vec<Column> {
        let server = Column::number("server\nmean");
        match self {
            Self::Blocks => {
                let hit = Column::number("blocks per call\nhit").spare(4);
                vec![server, hit, Column::number("\nread").spare(3)]
            }
            Self::Rows => vec![server, Column::number("rows ex-\namined").spare(3)],
            Self::Nothing => Vec::new(),
        }
    }

    fn cells(self, statement: &StatementInfo) -> Vec<Cell> {
        let known = |text: Option<String>| Cell::new(text.unwrap_or_else(|| DASH.to_owned()));
        let server = Cell::new(server_mean(statement));
        match self {
            Self::Blocks => {
                let blocks = |of: fn(&StatementServerInfo) -> u64| {
                    let of_server = |server: &StatementServerInfo| per_call(mean(of(server), server.calls));
                    known(statement.server.as_ref().map(of_server))
                };
                vec![
                    server,
                    blocks(|server| server.shared_blks_hit),
                    blocks(|server| server.shared_blks_read),
                ]
            }
            Self::Rows => {
                let each = |(calls, work): (u64, &RowWorkInfo)| per_call(mean(work.rows_examined, calls));
                vec![server, known(work(statement).map(each))]
            }
            Self::Nothing => Vec::new(),
        }
    }
}

/// The share of the executions in which no index led to the rows of a table.
fn unindexed(statement: &StatementInfo) -> String {
    match statement.no_index {
        Some(count) if count > 0 => percent(mean(count, statement.count)),
        _ => DASH.to_owned(),
    }
}

/// What the server counts of the rows of a statement, with its executions.
fn work(statement: &StatementInfo) -> Option<(u64, &RowWorkInfo)> {
    let server = statement.server.as_ref()?;
    Some((server.calls, server.row_work.as_ref()?))
}

/// Work that the server did for each execution, where it counts rows and no blocks.
fn row_costs(page: &mut Page, stage: &Stage) {
    let mut grid = Grid::new(vec![
        Column::text("name", 14),
        Column::number("calls"),
        Column::number("rows\nexamined"),
        Column::number("\nsorted").spare(2),
        Column::number("temporary tables\nall").spare(3),
        Column::number("\non disk").spare(3),
        Column::number("waited\nfor locks"),
        Column::number("without\nindex"),
        Column::number("joins by\nfull scan").spare(1),
    ]);
    let names = names(&stage.statements);
    for statement in by_time(stage) {
        let Some((calls, work)) = work(statement) else { continue };
        let each = |number: u64| Cell::new(per_call(mean(number, calls)));
        let share =
            |number: u64| Cell::new(if number == 0 { DASH.to_owned() } else { percent(mean(number, calls)) });
        grid.row(vec![
            Cell::new(&names[&key(statement)]),
            Cell::new(count(calls)),
            each(work.rows_examined),
            each(work.sort_rows),
            each(work.tmp_tables),
            each(work.tmp_disk_tables),
            Cell::new(duration_us(work.lock_us_mean)),
            share(work.no_index_used),
            share(work.full_joins),
        ]);
    }
    page.heading(
        "work on the server",
        "for each execution, by performance_schema; shares of the executions without an index",
    );
    page.grid(&grid);
}

/// Work that the server did for each execution.
pub(super) fn costs(page: &mut Page, stage: &Stage) {
    if stage.statements.iter().any(|statement| work(statement).is_some()) {
        return row_costs(page, stage);
    }
    let servers = || stage.statements.iter().filter_map(|statement| statement.server.as_ref());
    // Without `track_io_timing` there is no time to show, and without compiled expressions nothing to say of them.
    let is_timed = servers().any(|server| server.block_read_us_mean > 0.0);
    let is_compiled = servers().any(|server| server.jit_us_mean.is_some_and(|jit_us| jit_us > 0.0));
    let mut columns = vec![
        Column::text("name", 14),
        Column::number("calls"),
        Column::number("blocks\nhit"),
        Column::number("\nread"),
        Column::number("\ndirtied"),
        Column::number("temp\nwritten").spare(3),
        Column::number("WAL\nbytes"),
        Column::number("\nrecords").spare(2),
        Column::number("full\npages").spare(1),
    ];
    if is_timed {
        columns.push(Column::number("read\ntime"));
    }
    if is_compiled {
        columns.push(Column::number("JIT"));
    }
    let mut grid = Grid::new(columns);
    let names = names(&stage.statements);
    for statement in by_time(stage) {
        let Some(server) = &statement.server else { continue };
        let each = |number: u64| Cell::new(per_call(mean(number, server.calls)));
        let mut cells = vec![
            Cell::new(&names[&key(statement)]),
            Cell::new(count(server.calls)),
            each(server.shared_blks_hit),
            each(server.shared_blks_read),
            each(server.shared_blks_dirtied),
            each(server.temp_blks_written),
            Cell::new(bytes(server.wal_bytes.checked_div(server.calls).unwrap_or(0))),
            each(server.wal_records),
            each(server.wal_fpi),
        ];
        if is_timed {
            cells.push(Cell::new(duration_us(server.block_read_us_mean)));
        }
        if is_compiled {
            cells.push(Cell::new(server.jit_us_mean.map_or_else(|| DASH.to_owned(), duration_us)));
        }
        grid.row(cells);
    }
    if !grid.is_empty() {
        page.heading("work on the server", "for each execution, by pg_stat_statements");
        page.grid(&grid);
    }
}

/// A row of the server that stands for several statements is no account of one of them.
fn shared_rows(page: &mut Page, shown: &[&StatementInfo]) {
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for statement in shown {
        let shared_by =
            statement.server.as_ref().map(|server| server.shared_by.as_slice()).unwrap_or_default();
        if !shared_by.is_empty() {
            let own = format!("{}.{}", statement.transaction, statement.name);
            let all: BTreeSet<String> = shared_by.iter().cloned().chain([own]).collect();
            groups.insert(all.into_iter().collect());
        }
    }
    for group in groups {
        let text = format!("* one row of the server for {}, whose texts are alike", group.join(" and "));
        page.paragraph(INDENT, Style::Dim, &text);
    }
}

pub(super) type Key<'a> = (&'a str, &'a str);

pub(super) fn key(statement: &StatementInfo) -> Key<'_> {
    (&statement.transaction, &statement.name)
}

/// The statement's name alone, or with its transaction where two transactions have one of that name.
pub(super) fn names(statements: &[StatementInfo]) -> BTreeMap<Key<'_>, String> {
    let mut uses: BTreeMap<&str, u32> = BTreeMap::new();
    for statement in statements {
        *uses.entry(&statement.name).or_default() += 1;
    }
    let name = |statement: &StatementInfo| {
        if uses[statement.name.as_str()] > 1 {
            format!("{}.{}", statement.transaction, statement.name)
        } else {
            statement.name.clone()
        }
    };
    statements.iter().map(|statement| (key(statement), name(statement))).collect()
}

fn by_time(stage: &Stage) -> Vec<&StatementInfo> {
    let mut statements: Vec<&StatementInfo> = stage.statements.iter().collect();
    let cost = |statement: &StatementInfo| statement.execute_us.mean.unwrap_or(0.0) * statement.count as f64;
    statements.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    statements
}

/// The server's mean, marked where its row stands for other statements as well.
fn server_mean(statement: &StatementInfo) -> String {
    statement.server.as_ref().map_or_else(
        || DASH.to_owned(),
        |server| {
            let mark = if server.shared_by.is_empty() { String::new() } else { format!("{NBSP}*") };
            format!("{}{mark}", duration_us(server.exec_us_mean))
        },
    )
}

fn per_second(number: u64, stage: &Stage) -> String {
    if stage.duration_s > 0.0 { rate(number as f64 / stage.duration_s) } else { DASH.to_owned() }
}

fn mean(sum: u64, number: u64) -> f64 {
    if number == 0 { 0.0 } else { sum as f64 / number as f64 }
}
