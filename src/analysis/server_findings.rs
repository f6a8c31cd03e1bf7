//! Findings about tables and indexes: scans that read far more than anybody gets, and indexes that could be spared.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{finding, measured};
use super::lock_findings::is_postgres;
use crate::model::{Finding, IndexInfo, Report, RowWorkInfo, Severity, Stage, StatementInfo, TableInfo};
use crate::sql::lex::{TokenKind, significant};

/// Live rows below which reading a whole table is cheaper than an index.
const ROWS_MIN: u64 = 5_000;
/// Rows that sequential scans must have read for each row that the statements returned.
const READ_PER_RETURNED: u64 = 10;
/// Tables and indexes that are named; the others are counted.
const NAMED_MAX: usize = 5;
/// Blocks that a statement must touch, or rows that it must examine, against those that a scan of the table has to, to be the one that
/// scans: the estimates of both are rough.
const BLOCKS_ENOUGH: f64 = 0.5;
/// Bytes of a block, as servers are built unless somebody asks for another.
const BLOCK_BYTES: f64 = 8192.0;

/// All of them.
pub(super) fn find(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(sequential_scans(report));
    findings.extend(duplicate_indexes(report));
    findings.extend(overlapping_indexes(report));
    findings.extend(unused_indexes(report));
    findings
}

/// A table of which sequential scans read far more than the statements that name it return, and those statements.
struct Scanned<'a> {
    stage: &'a Stage,
    table: &'a TableInfo,
    returned: u64,
    likely: BTreeSet<String>,
}

fn sequential_scans(report: &Report) -> Option<Finding> {
    let mut scanned: BTreeMap<&str, Scanned<'_>> = BTreeMap::new();
    for stage in measured(report) {
        for table in &stage.tables {
            let Some(found) = scanned_table(stage, table) else { continue };
            let worst = scanned
                .get(&*table.table)
                .is_none_or(|other| other.table.seq_rows_read < table.seq_rows_read);
            if worst {
                scanned.insert(&table.table, found);
            }
        }
    }
    let mut scanned: Vec<Scanned<'_>> = scanned.into_values().collect();
    scanned.sort_by_key(|one| std::cmp::Reverse(one.table.seq_rows_read));
    let worst = scanned.first()?;
    let told: Vec<String> = scanned.iter().take(NAMED_MAX).map(told).collect();
    Some(finding(
        "sequential-scans",
        Severity::Warning,
        format!("sequential scans of {} read far more rows than anybody gets", worst.table.table),
        format!("{}{}", told.join("; "), more(scanned.len())),
        "each of these executions reads the table from its beginning, and takes longer with every row that is added",
        "look at the plan of these statements (EXPLAIN) and add an index for what they search by; a statement that sums up the \
         whole table has to read it, and is better answered from a summary",
    ))
}

fn scanned_table<'a>(stage: &'a Stage, table: &'a TableInfo) -> Option<Scanned<'a>> {
    let bare = table.table.rsplit('.').next().unwrap_or(&table.table);
    let naming: Vec<&StatementInfo> = stage
        .statements
        .iter()
        .filter(|statement| statement.count > 0 && names(&statement.sql, bare))
        .collect();
    // A table that is read behind a view or a function is named by none: then all rows that went out count.
    let returning: Vec<&StatementInfo> =
        if naming.is_empty() { stage.statements.iter().collect() } else { naming.clone() };
    let returned = returning.iter().map(|statement| statement.rows).sum();
    // Where the server counts no scans of a table, it says which executions no index led.
    let is_scanned = table.seq_scans > 0 || naming.iter().any(|of| is_without_index(of));
    let is_worth_it = is_scanned
        && table.live_rows >= ROWS_MIN
        && table.seq_rows_read >= ROWS_MIN
        && table.seq_rows_read / READ_PER_RETURNED >= returned;
    is_worth_it.then(|| Scanned {
        stage,
        table,
        returned,
        likely: naming
            .into_iter()
            .filter(|statement| touches_enough(statement, table))
            .map(|statement| format!("{}.{}", statement.transaction, statement.name))
            .collect(),
    })
}

/// Whether executions of it were led by no index, as far as the server says so.
fn is_without_index(statement: &StatementInfo) -> bool {
    statement.no_index.is_some_and(|count| count > 0)
        || work(statement).is_some_and(|(_, work)| work.no_index_used > 0)
}

/// What the server counts of the rows of a statement, with its executions.
fn work(statement: &StatementInfo) -> Option<(u64, &RowWorkInfo)> {
    let server = statement.server.as_ref().filter(|server| server.calls > 0)?;
    Some((server.calls, server.row_work.as_ref()?))
}

/// Whether a statement touched as many blocks for each call as a scan of the table must, or examined as many rows: one that did not,
/// did not scan it. Only of statements that have a row of the server to themselves.
fn touches_enough(statement: &StatementInfo, table: &TableInfo) -> bool {
    if let Some((calls, work)) = work(statement) {
        let examined = work.rows_examined as f64 / calls as f64;
        return work.no_index_used > 0 && examined >= BLOCKS_ENOUGH * table.live_rows as f64;
    }
    if statement.no_index.is_some() {
        return is_without_index(statement);
    }
    let Some(server) =
        statement.server.as_ref().filter(|server| server.shared_by.is_empty() && server.calls > 0)
    else {
        return false;
    };
    let Some(heap_bytes) = table.heap_bytes else { return false };
    let share_read = table.seq_rows_read as f64 / table.seq_scans as f64 / table.live_rows.max(1) as f64;
    let blocks_of_scan = heap_bytes as f64 / BLOCK_BYTES * share_read.min(1.0);
    let blocks = (server.shared_blks_hit + server.shared_blks_read) as f64 / server.calls as f64;
    blocks >= BLOCKS_ENOUGH * blocks_of_scan
}

fn told(scanned: &Scanned<'_>) -> String {
    let Scanned { stage, table, returned, likely } = scanned;
    let who = if likely.is_empty() {
        String::new()
    } else {
        let names: Vec<&str> = likely.iter().map(String::as_str).collect();
        let by = if table.seq_scans > 0 { "; by the blocks that they touch, " } else { "; no index led " };
        format!("{by}{}", names.join(", "))
    };
    if table.seq_scans == 0 {
        return format!(
            "{}: {} rows were read without an index in stage {}, of a table of about {}, and its statements returned {returned}{who}",
            table.table, table.seq_rows_read, stage.name, table.live_rows
        );
    }
    format!(
        "{}: {} scans read {} rows of {} in stage {}, its statements returned {returned}{who}",
        table.table, table.seq_scans, table.seq_rows_read, table.live_rows, stage.name
    )
}

/// Whether a statement names a table, comments and texts aside.
fn names(sql: &str, table: &str) -> bool {
    significant(sql).iter().any(|token| match token.kind {
        TokenKind::Word => token.text(sql).eq_ignore_ascii_case(table),
        TokenKind::QuotedIdentifier => token.text(sql).trim_matches('"').replace("\"\"", "\"") == table,
        _ => false,
    })
}

fn more(all: usize) -> String {
    if all > NAMED_MAX { format!("; and {} more", all - NAMED_MAX) } else { String::new() }
}

/// One index over the whole run: every stage that has counters. One that belongs to an index of a partitioned table is left out:
/// only the whole can be dropped, and what one partition can do without, another may need.
struct OverRun<'a> {
    /// As it stood at the end of the last stage.
    last: &'a IndexInfo,
    /// Scans, or entries that were read where nobody counts scans; absent where neither is known of a stage.
    uses: Option<u64>,
    writes_max: u64,
}

fn over_run(stages: &[Stage]) -> Vec<OverRun<'_>> {
    let mut all: BTreeMap<(&str, &str), OverRun<'_>> = BTreeMap::new();
    let is_told = |index: &&IndexInfo| {
        let names = [Some(&index.index), index.duplicate_of.as_ref(), index.covered_by.as_ref()];
        !index.attached && !names.into_iter().flatten().any(|name| is_of_experiment(name))
    };
    for index in stages.iter().flat_map(|stage| &stage.indexes).filter(is_told) {
        let one = all.entry((&index.table, &index.index)).or_insert(OverRun {
            last: index,
            uses: Some(0),
            writes_max: 0,
        });
        one.last = index;
        one.uses = one.uses.zip(index.uses()).map(|(sum, more)| sum + more);
        one.writes_max += index.writes_max;
    }
    let mut all: Vec<OverRun<'_>> = all.into_values().collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.last.size_bytes));
    all
}

/// Whether dbdyno made it for an experiment, whose own answer tells what it is good for.
fn is_of_experiment(index: &str) -> bool {
    index.rsplit('.').next().is_some_and(|name| name.starts_with("dbdyno_"))
}

fn duplicate_indexes(report: &Report) -> Option<Finding> {
    let all = over_run(&report.stages);
    let spare: Vec<&OverRun<'_>> = all.iter().filter(|one| one.last.duplicate_of.is_some()).collect();
    let told = listed(&spare, |one| {
        let other = one.last.duplicate_of.as_deref().unwrap_or_default();
        format!("{} of {} is made as {other} is, {}", one.last.name_in_table(), one.last.table, cost(one))
    })?;
    Some(finding(
        "duplicate-indexes",
        Severity::Info,
        plural(spare.len(), "index has a twin", "indexes have a twin"),
        told,
        "each write is made twice, and both take room in the buffers",
        format!(
            "{}; where a foreign key refers to one of them, point it to the other one first",
            drops(&spare, report)
        ),
    ))
}

fn overlapping_indexes(report: &Report) -> Option<Finding> {
    let all = over_run(&report.stages);
    let spare: Vec<&OverRun<'_>> = all.iter().filter(|one| one.last.covered_by.is_some()).collect();
    let told = listed(&spare, |one| {
        let other = one.last.covered_by.as_deref().unwrap_or_default();
        let (name, table) = (one.last.name_in_table(), &one.last.table);
        format!("{name} of {table} is how {other} begins, {}{}", cost(one), used(one))
    })?;
    Some(finding(
        "overlapping-indexes",
        Severity::Info,
        plural(
            spare.len(),
            "index is the beginning of a longer one",
            "indexes are the beginning of a longer one",
        ),
        told,
        "the longer one answers the same searches, with somewhat more blocks for each; both are written",
        format!("measure without it, and where reads stay fast enough: {}", drops(&spare, report)),
    ))
}

fn unused_indexes(report: &Report) -> Option<Finding> {
    let all = over_run(&report.stages);
    let spare: Vec<&OverRun<'_>> = all
        .iter()
        .filter(|one| one.uses == Some(0) && !one.last.needed && !one.last.constraint)
        .filter(|one| one.last.duplicate_of.is_none() && one.last.covered_by.is_none())
        .collect();
    let told =
        listed(&spare, |one| format!("{} of {}, {}", one.last.name_in_table(), one.last.table, cost(one)))?;
    Some(finding(
        "unused-indexes",
        Severity::Info,
        plural(spare.len(), "index was not used in this run", "indexes were not used in this run"),
        told,
        "they are written and take room, and no statement of this workload searched by them",
        if is_postgres(report) {
            "before any is dropped: other workloads, reports at the end of the month and replicas may use it (each replica counts its \
             own pg_stat_user_indexes), and the planner may use the statistics of an index on an expression without scanning it \
             (CREATE STATISTICS keeps them)"
        } else {
            "before any is dropped: other workloads, reports at the end of the month and replicas may use it; ALTER TABLE … ALTER INDEX \
             … IGNORED (MySQL: INVISIBLE) takes it from the planner, and can be taken back at once"
        },
    ))
}

/// The first ones in words; nothing where there are none.
fn listed(all: &[&OverRun<'_>], words: impl Fn(&OverRun<'_>) -> String) -> Option<String> {
    let told: Vec<String> = all.iter().take(NAMED_MAX).map(|one| words(one)).collect();
    (!told.is_empty()).then(|| format!("{}{}", told.join("; "), more(all.len())))
}

fn cost(one: &OverRun<'_>) -> String {
    // No index takes nothing: its size could not be read.
    let size = match one.last.size_bytes {
        0 => String::new(),
        bytes => format!("{:.1} MB, ", bytes as f64 / 1e6),
    };
    format!("{size}up to {} entries written in this run", one.writes_max)
}

/// `, 12 scans`
fn used(one: &OverRun<'_>) -> String {
    match (one.uses, one.last.scans) {
        (None, _) => String::new(),
        (Some(uses), Some(_)) => format!(", {uses} scans"),
        (Some(uses), None) => format!(", {uses} entries read"),
    }
}

/// What rids of the first ones.
fn drops(all: &[&OverRun<'_>], report: &Report) -> String {
    let commands: Vec<String> =
        all.iter().take(NAMED_MAX).map(|one| drop_of(one.last, is_postgres(report))).collect();
    commands.join("; ")
}

/// A command where there is one that works: what a constraint needs goes with the constraint, and without the quoted name it is
/// unknown what to write.
fn drop_of(index: &IndexInfo, is_postgres: bool) -> String {
    match &index.quoted {
        _ if index.constraint => format!("drop the constraint that needs {}", index.index),
        Some(quoted) if is_postgres => format!("DROP INDEX CONCURRENTLY {quoted}"),
        Some(quoted) => format!("DROP INDEX {quoted}"),
        None => format!("drop {}", index.index),
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StatementServerInfo;

    #[test]
    fn a_table_is_named_by_a_word_and_not_by_a_comment_or_a_text() {
        let sql = "/*dbdyno:read.stock*/ SELECT 'orders' FROM public.Order_Lines JOIN \"Items\" USING (id)";
        for (table, named) in
            [("order_lines", true), ("Items", true), ("items", false), ("orders", false), ("stock", false)]
        {
            assert_eq!(names(sql, table), named, "{table}");
        }
    }

    fn statement(name: &str, sql: &str, rows: u64, blocks: u64) -> StatementInfo {
        StatementInfo {
            name: name.to_owned(),
            transaction: "read".to_owned(),
            kind: "select".to_owned(),
            sql: sql.to_owned(),
            count: 100,
            rows,
            server: Some(StatementServerInfo {
                calls: 100,
                shared_blks_hit: blocks * 100,
                ..StatementServerInfo::default()
            }),
            ..StatementInfo::default()
        }
    }

    fn stage(statements: Vec<StatementInfo>) -> Stage {
        Stage { name: "normal".to_owned(), measured: true, statements, ..Stage::default() }
    }

    fn orders() -> TableInfo {
        TableInfo {
            table: "orders".to_owned(),
            seq_scans: 100,
            seq_rows_read: 1_000_000,
            live_rows: 10_000,
            heap_bytes: Some(100 * 8192),
            ..TableInfo::default()
        }
    }

    #[test]
    fn scans_are_held_against_the_rows_of_the_statements_that_name_the_table() {
        let stage = stage(vec![
            statement("by_status", "SELECT * FROM orders WHERE status = $1", 300, 101),
            statement("by_id", "SELECT * FROM orders WHERE id = $1", 100, 4),
            statement("others", "SELECT * FROM lines", 9_000_000, 400),
        ]);
        let orders = orders();
        let found = scanned_table(&stage, &orders).expect("2500 rows are read for each that is returned");
        assert_eq!(found.returned, 400);
        assert_eq!(
            found.likely.iter().collect::<Vec<_>>(),
            ["read.by_status"],
            "by_id touches too few blocks"
        );
        let small = TableInfo { live_rows: 400, ..orders.clone() };
        assert!(scanned_table(&stage, &small).is_none(), "a small table is best scanned");
    }

    #[test]
    fn where_scans_are_not_counted_the_rows_of_each_statement_tell() {
        let examines = |name: &str, rows_examined, no_index_used| {
            let mut of = statement(name, "SELECT * FROM orders WHERE note = ?", 100, 0);
            let work = RowWorkInfo { rows_examined, no_index_used, ..RowWorkInfo::default() };
            of.server.as_mut().expect("its account").row_work = Some(work);
            of
        };
        let uncounted = TableInfo { seq_scans: 0, ..orders() };
        let reads = stage(vec![examines("by_note", 1_000_000, 100), examines("by_id", 100, 0)]);
        let found = scanned_table(&reads, &uncounted).expect("no index led there");
        assert_eq!(found.likely.iter().collect::<Vec<_>>(), ["read.by_note"]);
        let words = told(&found);
        assert!(words.contains("1000000 rows were read without an index"), "{words}");
        assert!(words.ends_with("; no index led read.by_note"), "{words}");
        let led = stage(vec![examines("by_id", 1_000_000, 0)]);
        assert!(scanned_table(&led, &uncounted).is_none(), "an index led each of them");
        let says = |name: &str, no_index| StatementInfo {
            server: None,
            no_index: Some(no_index),
            ..examines(name, 0, 0)
        };
        let answered = stage(vec![says("by_note", 100), says("by_id", 0)]);
        let found = scanned_table(&answered, &uncounted).expect("the answers say so");
        assert_eq!(found.likely.iter().collect::<Vec<_>>(), ["read.by_note"]);
    }

    #[test]
    fn an_index_of_which_a_stage_does_not_tell_whether_it_was_used_is_not_said_to_be_unused() {
        let index = |entries_read| IndexInfo { entries_read, ..spared("a") };
        let over = |known: &[Option<u64>]| {
            let stages: Vec<Stage> =
                known.iter().map(|read| Stage { indexes: vec![index(*read)], ..stage(Vec::new()) }).collect();
            over_run(&stages).first().map(|one| (one.uses, used(one)))
        };
        assert_eq!(over(&[Some(3), Some(4)]), Some((Some(7), ", 7 entries read".to_owned())));
        assert_eq!(over(&[Some(0), None]), Some((None, String::new())));
    }

    #[test]
    fn whoever_gets_what_is_read_needs_no_index() {
        let stage = stage(vec![statement("export", "SELECT * FROM orders", 1_000_000, 101)]);
        assert!(scanned_table(&stage, &orders()).is_none());
    }

    fn spared(index: &str) -> IndexInfo {
        IndexInfo {
            index: format!("Sales.{index}"),
            table: "Sales.orders".to_owned(),
            quoted: Some(format!("\"Sales\".{index}")),
            ..IndexInfo::default()
        }
    }

    #[test]
    fn commands_have_names_that_can_be_executed() {
        let of = |index: IndexInfo| drop_of(&index, true);
        assert_eq!(of(spared("a")), "DROP INDEX CONCURRENTLY \"Sales\".a");
        let of_mariadb = IndexInfo { quoted: Some("`a` ON `orders`".to_owned()), ..spared("a") };
        assert_eq!(drop_of(&of_mariadb, false), "DROP INDEX `a` ON `orders`");
        assert_eq!(
            of(IndexInfo { constraint: true, ..spared("a") }),
            "drop the constraint that needs Sales.a"
        );
        assert_eq!(of(IndexInfo { quoted: None, ..spared("a") }), "drop Sales.a", "an older journal");
    }

    #[test]
    fn a_part_of_an_index_of_a_partitioned_table_is_not_to_be_dropped() {
        let part = IndexInfo { attached: true, scans: Some(1), ..spared("part") };
        let stages = [Stage { indexes: vec![part, spared("whole")], ..stage(Vec::new()) }];
        let told: Vec<_> = over_run(&stages).into_iter().map(|one| one.last.index.as_str()).collect();
        assert_eq!(told, ["Sales.whole"]);
        let beside = IndexInfo { covered_by: Some("orders.dbdyno_orders_1".to_owned()), ..spared("beside") };
        let own = IndexInfo { index: "orders.dbdyno_orders_1".to_owned(), ..spared("own") };
        let stages = [Stage { indexes: vec![beside, own], ..stage(Vec::new()) }];
        assert!(over_run(&stages).is_empty(), "of those of an experiment its answer tells");
    }

    #[test]
    fn behind_a_view_all_rows_that_went_out_count() {
        let stage = stage(vec![statement("through_a_view", "SELECT * FROM open_orders", 200_000, 101)]);
        let orders = orders();
        assert!(scanned_table(&stage, &orders).is_none(), "five rows are read for each");
    }
}
