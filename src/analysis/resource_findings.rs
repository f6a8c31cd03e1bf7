//! Findings about what the server's caches, its WAL, its clean-up and its lock manager do to a workload, and about connections
//! and tries that are spent for nothing.

use super::findings::{finding, measured};
use crate::model::{Finding, Quantiles, Report, Severity, Stage, StatementInfo, TableInfo};

/// What a session is in while a block comes from outside shared buffers; the last are of asynchronous reads (`PostgreSQL` 18).
const READS: [&str; 3] = ["IO:DataFileRead", "IO:AioIoCompletion", "IO:AioIoUringExecution"];
/// What a session is in while WAL is written or flushed, as versions up to 16 and from 17 on name it.
const WAL: [&str; 5] = ["IO:WALSync", "IO:WalSync", "IO:WALWrite", "IO:WalWrite", "LWLock:WALWrite"];
/// What a session is in while it waits for the shared table of locks.
const LOCK_MANAGER: [&str; 1] = ["LWLock:LockManager"];
/// Shares of the sampled sessions, and mean numbers of sessions, from which these are worth saying. One without the other is a
/// server with little to do, or a wait that many others hide.
const READ_SHARE: f64 = 0.2;
const READ_SESSIONS: f64 = 0.5;
const WAL_SHARE: f64 = 0.4;
const WAL_SESSIONS: f64 = 1.0;
const LOCK_MANAGER_SHARE: f64 = 0.05;
const LOCK_MANAGER_SESSIONS: f64 = 0.5;
/// With more hits than this no cache is too small.
const HIT_HIGH: f64 = 0.99;
/// Temporary files, in bytes for each second.
const SPILL_HIGH: f64 = 1_048_576.0;
/// Bytes of a block, as servers are built unless somebody asks for another.
const BLOCK_BYTES: f64 = 8192.0;
/// Rows of a table for which statistics matter.
const ROWS_MIN: u64 = 5_000;
/// Dead rows that a table of any size may have.
const DEAD_MIN: u64 = 10_000;
/// Updates from which their share of heap-only ones says something.
const UPDATES_MIN: u64 = 1_000;
/// Heap-only share of updates below which indexes pay for them.
const HOT_LOW: f64 = 0.5;
/// Connections made, and transactions for each of them.
const CREATES_MIN: u64 = 20;
const TRANSACTIONS_PER_CREATE: u64 = 20;
/// Further tries, and transactions that ended ok for each of them.
const RETRIES_MIN: u64 = 50;
const OK_PER_RETRY: u64 = 5;
/// Statements and tables that are named.
const NAMED_MAX: usize = 3;

/// All of them.
pub(super) fn find(report: &Report) -> Vec<Finding> {
    [
        cache_too_small(report),
        wal_bound(report),
        temp_files(report),
        fast_path_exhausted(report),
        connection_churn(report),
        retry_storm(report),
        bloat(report),
        hot_loss(report),
        stale_statistics(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How much the sampled sessions of a stage were in one of several waits.
#[derive(Clone, Copy)]
struct Waited {
    share: f64,
    sessions: f64,
}

fn waited(stage: &Stage, events: &[&str]) -> Waited {
    let of = || stage.waits.iter().filter(move |wait| events.contains(&wait.event.as_str()));
    Waited { share: of().map(|wait| wait.share).sum(), sessions: of().map(|wait| wait.sessions_mean).sum() }
}

/// The measured stage whose sessions were most in these waits, where that is worth saying.
fn most_in<'a>(
    report: &'a Report,
    events: &[&str],
    share: f64,
    sessions: f64,
) -> Option<(&'a Stage, Waited)> {
    measured(report)
        .map(|stage| (stage, waited(stage, events)))
        .filter(|(_, waited)| waited.share >= share && waited.sessions >= sessions)
        .max_by(|a, b| a.1.share.total_cmp(&b.1.share))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

fn name(statement: &StatementInfo) -> String {
    format!("{}.{}", statement.transaction, statement.name)
}

/// The statements with the most of something, the first ones, each with that in words; nothing where none has any.
fn top(
    stage: &Stage,
    amount: impl Fn(&StatementInfo) -> f64,
    words: impl Fn(&StatementInfo) -> String,
) -> Option<String> {
    let mut all: Vec<&StatementInfo> = stage.statements.iter().filter(|of| amount(of) > 0.0).collect();
    all.sort_by(|a, b| amount(b).total_cmp(&amount(a)));
    let told: Vec<String> =
        all.into_iter().take(NAMED_MAX).map(|of| format!("{} {}", name(of), words(of))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// For each execution, of what the server counted.
fn per_call(statement: &StatementInfo, count: fn(&crate::model::StatementServerInfo) -> u64) -> f64 {
    let server = statement.server.as_ref().filter(|server| server.calls > 0);
    server.map_or(0.0, |server| count(server) as f64 / server.calls as f64)
}

fn total(statement: &StatementInfo, count: fn(&crate::model::StatementServerInfo) -> u64) -> f64 {
    statement.server.as_ref().map_or(0.0, |server| count(server) as f64)
}

fn cache_too_small(report: &Report) -> Option<Finding> {
    let (stage, waited) = most_in(report, &READS, READ_SHARE, READ_SESSIONS)?;
    let hit = stage.server.as_ref()?.cache_hit_fraction.filter(|hit| *hit < HIT_HIGH)?;
    let readers = top(
        stage,
        |of| total(of, |server| server.shared_blks_read),
        |of| format!("({:.1} blocks each)", per_call(of, |server| server.shared_blks_read)),
    );
    let readers = readers.map_or_else(String::new, |readers| format!("; most is read by {readers}"));
    let sizes = match (report.target.shared_buffers_bytes, report.target.database_bytes) {
        (Some(buffers), Some(data)) => {
            format!("; shared_buffers {}, database {}", megabytes(buffers as f64), megabytes(data as f64))
        }
        _ => String::new(),
    };
    Some(finding(
        "cache-too-small",
        Severity::Warning,
        "sessions wait for blocks that are not in shared buffers",
        format!(
            "in stage {} {} of the sampled sessions, {:.1} on average, waited for reads; {:.1} % of the blocks were found{sizes}{readers}",
            stage.name,
            percent(waited.share),
            waited.sessions,
            hit * 100.0,
        ),
        "each execution that misses waits for the disk or the kernel's cache, and the more the data grow the more do",
        format!(
            "first what reads most: an index or fewer rows; then more shared_buffers. At most {} of the sessions' time is won",
            percent(waited.share)
        ),
    ))
}

fn wal_bound(report: &Report) -> Option<Finding> {
    let (stage, waited) = most_in(report, &WAL, WAL_SHARE, WAL_SESSIONS)?;
    let server = stage.server.as_ref();
    let amount = server.map_or_else(String::new, |server| {
        let each = server.wal_bytes as f64 / server.commits.max(1) as f64;
        let images = server.wal_fpi.map_or_else(String::new, |images| format!(", {images} full-page images"));
        format!("; {each:.0} bytes of WAL for each commit{images}")
    });
    let flushes =
        server.and_then(|server| server.wal_io.as_ref()).filter(|io| io.syncs > 0 && io.sync_us > 0);
    let flushes = flushes.map_or_else(String::new, |io| {
        format!(", {} flushes of {:.2} ms each", io.syncs, io.sync_us as f64 / 1e3 / io.syncs as f64)
    });
    Some(finding(
        "wal-bound",
        Severity::Warning,
        "sessions wait for the WAL to be written",
        format!(
            "in stage {} {} of the sampled sessions, {:.1} on average, wrote or flushed WAL or waited for who did{amount}{flushes}",
            stage.name,
            percent(waited.share),
            waited.sessions,
        ),
        "a commit is as fast as the disk flushes: neither more connections nor more cores help",
        format!(
            "put several changes into one transaction, the WAL on a disk that flushes faster, or synchronous_commit=off where losing the \
             last moments is allowed: compare with --b 'set synchronous_commit=off' in dbdyno ab. At most {} of the sessions' time is \
             won",
            percent(waited.share)
        ),
    ))
}

fn temp_files(report: &Report) -> Option<Finding> {
    let per_s = |stage: &Stage| {
        let server = stage.server.as_ref();
        server.map_or(0.0, |server| server.temp_bytes.unwrap_or(0) as f64 / server.window_s.max(1.0))
    };
    let stage = measured(report)
        .filter(|stage| per_s(stage) >= SPILL_HIGH)
        .max_by(|a, b| per_s(a).total_cmp(&per_s(b)))?;
    let spilt = |of: &StatementInfo| per_call(of, |server| server.temp_blks_written) * BLOCK_BYTES;
    let writers = top(
        stage,
        |of| total(of, |server| server.temp_blks_written),
        |of| format!("({} each)", megabytes(spilt(of))),
    );
    let largest = stage.statements.iter().map(spilt).fold(0.0, f64::max);
    let in_use =
        report.target.settings.get("work_mem").map_or_else(String::new, |now| format!(" from {now}"));
    let remedy = if largest > 0.0 {
        format!(
            "raise work_mem{in_use} for these statements to about {:.0} MB (SET LOCAL, or ALTER ROLE … SET): in memory a sort needs two \
             to three times what it spills; each session can use that much for each sort, so mind their number. The spill goes",
            (largest * 3.0 / 1e6).ceil()
        )
    } else if stage.statements.iter().all(|of| of.server.is_none()) {
        format!(
            "find out who spills: pg_stat_statements counts it for each statement, and log_temp_files = 0 names each file in the server's \
             log; then raise work_mem{in_use} for these statements (SET LOCAL, or ALTER ROLE … SET). The spill goes"
        )
    } else {
        "look for who spills outside the workload's statements: log_temp_files = 0 names each; the spill goes with more work_mem"
            .to_owned()
    };
    let writers = writers.map_or_else(String::new, |writers| format!("; written by {writers}"));
    Some(finding(
        "temp-files",
        Severity::Warning,
        "sorts and hashes spill to disk",
        format!(
            "in stage {} {} of temporary files for each second{writers}",
            stage.name,
            megabytes(per_s(stage))
        ),
        "what does not fit into work_mem is written and read back, which takes several times the work in memory",
        remedy,
    ))
}

fn fast_path_exhausted(report: &Report) -> Option<Finding> {
    let (stage, waited) = most_in(report, &LOCK_MANAGER, LOCK_MANAGER_SHARE, LOCK_MANAGER_SESSIONS)?;
    let count = |of: &StatementInfo| {
        let own = of.waits.iter().filter(|wait| LOCK_MANAGER.contains(&wait.event.as_str()));
        own.map(|wait| wait.count as f64).sum::<f64>()
    };
    let who = top(stage, count, |of| format!("({:.0} samples)", count(of)));
    let who = who.map_or_else(String::new, |who| format!("; they executed {who}"));
    Some(finding(
        "fast-path-locks-exhausted",
        Severity::Warning,
        "sessions wait for the lock manager, not for a lock",
        format!(
            "in stage {} {} of the sampled sessions, {:.1} on average, waited in LWLock:LockManager{who}",
            stage.name,
            percent(waited.share),
            waited.sessions
        ),
        "a statement that locks more tables, partitions and indexes than the fast path has room for takes the rest in a shared table, \
         where sessions queue the more the more they are",
        format!(
            "let the planner prune partitions (plan_cache_mode=force_custom_plan with prepared statements), drop indexes that are not \
             used, use fewer connections; from PostgreSQL 18 raise max_locks_per_transaction. At most {} of the sessions' time is won",
            percent(waited.share)
        ),
    ))
}

fn connection_churn(report: &Report) -> Option<Finding> {
    let ended = |stage: &Stage| {
        let books = stage.accounting;
        books.ok + books.failed + books.unknown
    };
    let churns = |stage: &&Stage| {
        let creates = stage.pool.creates;
        // All at once and on purpose is a storm, which the report tells of by itself.
        stage.storm.is_none() && creates >= CREATES_MIN && creates * TRANSACTIONS_PER_CREATE > ended(stage)
    };
    let stage = measured(report).filter(churns).max_by_key(|stage| stage.pool.creates)?;
    let mean_us = |times: &Quantiles| times.mean.unwrap_or(0.0);
    let create_s = stage.pool.creates as f64 * mean_us(&stage.pool.create_us) / 1e6;
    let client_s = stage.response_us.count as f64 * mean_us(&stage.response_us) / 1e6;
    let share = if client_s > 0.0 { create_s / client_s } else { 0.0 };
    Some(finding(
        "connection-churn",
        Severity::Warning,
        "connections are made again and again",
        format!(
            "{} made for {} transactions of stage {}, {:.1} ms each on average, {create_s:.1} s in all; {} came to the end of their life, \
             {} were found broken",
            stage.pool.creates,
            ended(stage),
            stage.name,
            mean_us(&stage.pool.create_us) / 1e3,
            stage.pool.retired,
            stage.pool.discarded
        ),
        "each costs the server a process, authentication and empty caches, and each prepared statement is parsed and planned anew",
        format!(
            "keep connections for minutes (30 min is usual), make the pool's minimum its maximum, or put a pooler before the server; \
             making them took {} of the response times",
            percent(share)
        ),
    ))
}

fn retry_storm(report: &Report) -> Option<Finding> {
    let storms = |stage: &&Stage| {
        let books = stage.accounting;
        books.retried >= RETRIES_MIN && books.retried * OK_PER_RETRY > books.ok
    };
    let stage = measured(report).filter(storms).max_by_key(|stage| stage.accounting.retried)?;
    let (retried, ok) = (stage.accounting.retried, stage.accounting.ok);
    let mut codes: Vec<(&str, &str, u64)> = stage
        .transactions
        .iter()
        .flat_map(|of| of.errors.iter().map(move |(code, count)| (of.name.as_str(), code.as_str(), *count)))
        .collect();
    codes.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let told: Vec<String> =
        codes.iter().take(NAMED_MAX).map(|(name, code, count)| format!("{name} {code} × {count}")).collect();
    let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
    let wasted = retried as f64 / (retried + ok) as f64;
    Some(finding(
        "retry-storm",
        Severity::Warning,
        "transactions are tried again and again",
        format!("{retried} further tries for {ok} transactions that ended ok in stage {}{told}", stage.name),
        "the server does work that is thrown away, which causes more conflicts: load grows where there is least room for it",
        format!(
            "wait before each further try, longer each time and with jitter, and take hot rows in one order or by SELECT … FOR UPDATE; \
             up to {} of the tries are won back",
            percent(wasted)
        ),
    ))
}

/// The tables of the measured stages for which something holds, each as it stood in the last of them.
fn tables(report: &Report, holds: impl Fn(&TableInfo) -> bool) -> Vec<(&Stage, &TableInfo)> {
    let mut found: Vec<(&Stage, &TableInfo)> = Vec::new();
    for (stage, table) in
        measured(report).flat_map(|stage| stage.tables.iter().map(move |table| (stage, table)))
    {
        found.retain(|(_, other)| other.table != table.table);
        if holds(table) {
            found.push((stage, table));
        }
    }
    found
}

/// The first ones in words; nothing where there are none.
fn listed(found: &[(&Stage, &TableInfo)], words: impl Fn(&Stage, &TableInfo) -> String) -> Option<String> {
    let told: Vec<String> = found.iter().take(NAMED_MAX).map(|(stage, table)| words(stage, table)).collect();
    let more = match found.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!told.is_empty()).then(|| format!("{}{more}", told.join("; ")))
}

fn bloat(report: &Report) -> Option<Finding> {
    let mut found =
        tables(report, |table| table.dead_rows >= DEAD_MIN && table.dead_rows * 2 > table.live_rows);
    found.sort_by_key(|(_, table)| std::cmp::Reverse(table.dead_rows));
    let told = listed(&found, |stage, table| {
        format!(
            "{}: {} dead rows beside {} live ones at the end of stage {}, {} autovacuums in it",
            table.table, table.dead_rows, table.live_rows, stage.name, table.autovacuums
        )
    })?;
    let oldest = measured(report)
        .flat_map(|stage| &stage.server_intervals)
        .filter_map(|second| second.oldest_transaction_s)
        .fold(0.0, f64::max);
    let (cause, first) = if oldest >= 60.0 {
        let cause = format!("; a transaction of {oldest:.0} s kept what is younger from being cleaned up");
        (cause, "end transactions that stay open (idle_in_transaction_session_timeout)")
    } else {
        (
            String::new(),
            "have autovacuum do more: autovacuum_vacuum_cost_limit, a lower autovacuum_vacuum_scale_factor",
        )
    };
    Some(finding(
        "bloat",
        Severity::Warning,
        format!("dead rows gather in {} faster than they are cleaned up", found[0].1.table),
        format!("{told}{cause}"),
        "scans and searches go through rows that nobody can see, and the table grows for as long as the load lasts",
        format!(
            "{first}; plain VACUUM makes the room of dead rows reusable, pg_repack gives it back. Scans are then shorter by the share of \
             the dead rows"
        ),
    ))
}

fn hot_loss(report: &Report) -> Option<Finding> {
    let loses = |table: &TableInfo| {
        table.updated >= UPDATES_MIN && table.hot_fraction.is_some_and(|fraction| fraction < HOT_LOW)
    };
    let mut found = tables(report, loses);
    found.sort_by_key(|(_, table)| std::cmp::Reverse(table.updated));
    let told = listed(&found, |stage, table| {
        let indexes = stage.indexes.iter().filter(|index| index.table == table.table).count();
        format!(
            "{}: {} of {} updates were heap-only in stage {}, the others wrote into up to {indexes} indexes",
            table.table,
            percent(table.hot_fraction.unwrap_or(0.0)),
            table.updated,
            stage.name
        )
    })?;
    Some(finding(
        "hot-loss",
        Severity::Info,
        format!("most updates of {} write into its indexes", found[0].1.table),
        told,
        "such an update writes an entry into each index, more WAL, and leaves more to clean up",
        "where an index is on a column that is updated: measure without it (dbdyno index --drop); else leave room in the pages (ALTER \
         TABLE … SET (fillfactor = 85), then VACUUM FULL or a new load): index writes fall by the share that becomes heap-only. Right \
         behind a load pages are full, and the share rises by itself",
    ))
}

fn stale_statistics(report: &Report) -> Option<Finding> {
    let is_stale = |table: &TableInfo| {
        table.live_rows >= ROWS_MIN
            && table.autoanalyzes == 0
            && table.changed_since_analyze * 2 > table.live_rows
    };
    let mut found = tables(report, is_stale);
    found.sort_by_key(|(_, table)| std::cmp::Reverse(table.changed_since_analyze));
    let told = listed(&found, |stage, table| {
        format!(
            "{}: {} rows changed since its last ANALYZE, {} live ones at the end of stage {}",
            table.table, table.changed_since_analyze, table.live_rows, stage.name
        )
    })?;
    let is_other_table = found.iter().any(|(_, table)| table.changed_since_analyze >= table.live_rows);
    Some(finding(
        "stale-statistics",
        if is_other_table { Severity::Warning } else { Severity::Info },
        format!("the planner's statistics of {} are old", found[0].1.table),
        told,
        "the planner estimates by a table that is not there any more: plans may be poor, and change when ANALYZE comes",
        "ANALYZE these tables before a measurement, and lower their autovacuum_analyze_scale_factor; the plans of this report then \
         follow the data",
    ))
}
