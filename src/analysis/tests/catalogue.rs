//! For each entry of the catalogue a report that shows it, and no other finding that it does not declare; and a healthy one.

use std::collections::BTreeMap;

use crate::analysis::findings;
use crate::model::{
    Accounting, AlsoPrepared, BlastRadius, BreakReason, BreakingPoint, BrokenStatement, ChainLinkInfo, Check,
    DdlAlgorithm, DdlInfo, DdlLock, DdlOutcome, DeadlockInfo, Endurance, EnvironmentInfo, Estimate,
    EventInfo, GeneratorInfo, GenericPlanInfo, HostInfo, IndexInfo, InstancePoolInfo, IntervalInfo,
    LeftBehind, LockEpisodeInfo, Migration, MigrationOutcome, PlanChangeInfo, PlanInfo, PoolEffect,
    PoolEstimates, PoolInfo, PoolPoint, PoolStudy, PoolerStage, PoolerWork, ProbeInfo, Quantiles,
    RecommendedPool, Rehearsal, Report, SCHEMA_VERSION, ServerEventInfo, ServerInfo, ServerIntervalInfo,
    SessionInfo, Severity, Stage, StageLoad, StatementInfo, StatementServerInfo, TableInfo, TargetInfo,
    TransactionInfo, VictimInfo, WaitShare, WantedLockInfo, WarmUpInfo, WorkloadInfo, catalogue,
};
use crate::units::Seed;

/// What is done to a healthy report, so that it has the finding.
struct Fixture {
    id: &'static str,
    /// What comes with it, because it does.
    also: &'static [&'static str],
    make: fn(&mut Report),
}

const fn alone(id: &'static str, make: fn(&mut Report)) -> Fixture {
    Fixture { id, also: &[], make }
}

#[test]
fn a_healthy_report_has_no_finding() {
    assert_eq!(found(&healthy()), Vec::<String>::new());
}

#[test]
fn each_fixture_has_its_finding_and_no_other_than_it_declares() {
    for fixture in fixtures() {
        let mut report = healthy();
        (fixture.make)(&mut report);
        let mut expected: Vec<&str> = fixture.also.to_vec();
        expected.push(fixture.id);
        expected.sort_unstable();
        let mut found = found(&report);
        found.sort_unstable();
        assert_eq!(found, expected, "the fixture of {}", fixture.id);
        for finding in findings::find(&report) {
            let has_figure = finding.evidence.chars().any(|c| c.is_ascii_digit());
            assert!(
                has_figure || WITHOUT_FIGURE.contains(&fixture.id),
                "{}: {}",
                fixture.id,
                finding.evidence
            );
            assert!(!finding.effect.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
        }
    }
}

/// What is seen or not, so that there is nothing to count.
const WITHOUT_FIGURE: [&str; 9] = [
    "generator-bound",
    "cut-off",
    "no-steady-state",
    "blind-spots",
    "connections-failed",
    "plan-changed",
    "plan-depends-on-values",
    "migration-invalid-index",
    "migration-not-validated",
];

#[test]
fn every_entry_of_the_catalogue_has_a_fixture() {
    let fixtures = fixtures();
    for entry in catalogue::all() {
        assert_eq!(fixtures.iter().filter(|of| of.id == entry.id).count(), 1, "fixtures of {}", entry.id);
    }
    assert_eq!(fixtures.len(), catalogue::all().count());
}

fn found(report: &Report) -> Vec<String> {
    findings::find(report).into_iter().map(|finding| finding.id).collect()
}

fn fixtures() -> Vec<Fixture> {
    [of_the_measurement(), of_the_pool(), of_locks(), of_the_server(), of_migrations()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_the_measurement() -> Vec<Fixture> {
    vec![
        alone("generator-bound", |report| {
            report.generator.valid = false;
            report.generator.reason =
                Some("a worker thread of the generator was busy all the time".to_owned());
        }),
        alone("measurement-inconsistent", |report| {
            let check = Check {
                name: "books".to_owned(),
                holds: false,
                left: 3.0,
                right: 4.0,
                what: "books".to_owned(),
            };
            stage(report).checks.push(check);
        }),
        alone("target-lost", |report| event(report, "target_lost")),
        alone("cut-off", |report| "cut_off".clone_into(&mut report.ended)),
        alone("stopped-early", |report| event(report, "failed")),
        alone("no-steady-state", |report| {
            let warm_up = WarmUpInfo {
                steady: false,
                steady_since_s: None,
                limit_s: 60.0,
                waits_for: vec!["response".to_owned()],
                unsettled_statements: Vec::new(),
            };
            let stage = Stage { name: "warm-up".to_owned(), warm_up: Some(warm_up), ..Stage::default() };
            report.stages.insert(0, stage);
        }),
        alone("host-full", |report| host(report).cpu_fraction = 0.99),
        alone("steal-time", |report| report.generator.steal_fraction = Some(0.11)),
        alone("finds-nothing", |report| {
            let statement = &mut stage(report).statements[0];
            (statement.rows, statement.empty) = (0, statement.count);
        }),
        alone("blind-spots", |report| report.target.blind_spots.push("no pg_stat_statements".to_owned())),
        alone("probe-gaps", |report| {
            report.probes.push(ProbeInfo {
                name: "activity".to_owned(),
                queries: 80,
                mean_us: 900.0,
                max_us: 9_000,
                rows: 400,
                gaps: 20,
                busy_fraction: 0.01,
                last_error: None,
            });
        }),
    ]
}

fn of_the_pool() -> Vec<Fixture> {
    let mut fixtures = of_load();
    fixtures.extend([
        alone("connections-failed", |report| stage(report).pool.create_errors = 3),
        alone("pool-too-small", |report| {
            let pool = &mut stage(report).pool;
            (pool.saturated_fraction, pool.waiting_mean) = (0.93, 6.0);
            pool.wait_us = times(12_000);
        }),
        alone("pool-too-large", |report| report.study = Some(study_of_too_many())),
        alone("held-by-application", |report| {
            let held = |size| PoolPoint {
                size,
                saturated_fraction: 0.9,
                hold_us: times(5_000),
                estimates: Some(PoolEstimates {
                    held_unused_fraction: Some(Estimate { mean: 0.6, low: None, high: None }),
                    ..PoolEstimates::default()
                }),
                ..PoolPoint::default()
            };
            report.study = Some(PoolStudy { sizes: vec![held(4)], ..PoolStudy::default() });
        }),
        alone("slow-creates", |report| {
            let pool = &mut stage(report).pool;
            (pool.creates, pool.create_us) = (5, times(50_000));
        }),
        alone("connection-churn", |report| {
            let pool = &mut stage(report).pool;
            (pool.creates, pool.create_us, pool.retired) = (2_000, times(2_500), 2_000);
        }),
        alone("leak-suspected", |report| stage(report).transactions[0].hold_us.max = Some(5_000_000)),
        alone("uneven-instances", |report| {
            let of =
                |saturated_fraction| InstancePoolInfo { saturated_fraction, ..InstancePoolInfo::default() };
            stage(report).pool.by_instance = vec![of(0.65), of(0.02)];
        }),
        alone("pooler-too-small", |report| pooler(report, 12.0, 3_000.0, 0.2)),
        alone("pooler-full", |report| pooler(report, 0.0, 0.0, 0.97)),
        alone("retry-storm", |report| {
            stage(report).accounting.retried = 9_000;
            stage(report).transactions[0].errors = BTreeMap::from([("40001".to_owned(), 9_000)]);
        }),
    ]);
    fixtures
}

fn of_load() -> Vec<Fixture> {
    vec![
        alone("breaking-point", |report| {
            let load = StageLoad { stage: "normal".to_owned(), offered_per_s: Some(900.0), clients: None };
            let breaking = BreakingPoint {
                load,
                from_level: None,
                reason: BreakReason::LoadShed,
                evidence: "612 of 9000 arrivals were skipped".to_owned(),
            };
            report.endurance = Some(Endurance { breaking_point: Some(breaking), held: None });
        }),
        alone("rate-not-reached", |report| {
            let stage = stage(report);
            (stage.offered_per_s, stage.clients) = (Some(1_500.0), None);
        }),
        alone("errors", |report| {
            stage(report).accounting.failed = 1_200;
            stage(report).transactions[0].errors = BTreeMap::from([("57014".to_owned(), 1_200)]);
        }),
    ]
}

fn of_locks() -> Vec<Fixture> {
    vec![
        alone("deadlocks", |report| {
            stage(report).deadlocks.push(DeadlockInfo {
                t_s: 3.0,
                victim: "checkout.take_stock".to_owned(),
                others: vec!["restock.add_stock".to_owned()],
                locks: vec!["checkout.take_stock waited for restock.add_stock".to_owned()],
                count: 4,
            });
        }),
        alone("queue-behind-ddl", |report| {
            let wanted = WantedLockInfo {
                mode: "AccessExclusiveLock".to_owned(),
                lock_type: "relation".to_owned(),
                relation: Some("stock".to_owned()),
            };
            let ddl = ChainLinkInfo { waits_for: Some(wanted), ..link("psql (foreign)", "active") };
            let chain = vec![ddl, link("report (foreign)", "idle in transaction")];
            episode(report, "report (foreign)", "idle in transaction", chain);
        }),
        alone("prepared-transaction-blocker", |report| {
            episode(report, "prepared transaction (foreign)", "prepared transaction", Vec::new());
        }),
        alone("idle-in-transaction-blocker", |report| {
            episode(
                report,
                "psql (foreign)",
                "idle in transaction",
                vec![link("psql (foreign)", "idle in transaction")],
            );
        }),
        alone("lock-hot-spot", |report| {
            episode(report, "checkout.take_stock", "active", Vec::new());
            wait(report, "Lock:transactionid", 0.4, 3.0);
        }),
        alone("foreign-blocker", |report| episode(report, "batch (foreign)", "active", Vec::new())),
        alone("fast-path-locks-exhausted", |report| {
            wait(report, "LWLock:LockManager", 0.22, 1.7);
            stage(report).statements[0].waits = vec![share("LWLock:LockManager", 0.3, 1.7)];
        }),
    ]
}

fn of_the_server() -> Vec<Fixture> {
    let mut fixtures = of_tables_and_indexes();
    fixtures.extend(of_plans());
    fixtures.extend([
        alone("cache-too-small", |report| {
            wait(report, "IO:DataFileRead", 0.51, 4.0);
            server(report).cache_hit_fraction = Some(0.81);
            counted(report).shared_blks_read = 90_000;
        }),
        alone("temp-files", |report| {
            server(report).temp_bytes = Some(400_000_000);
            counted(report).temp_blks_written = 48_000;
        }),
        alone("wal-bound", |report| {
            wait(report, "IO:WALSync", 0.44, 3.5);
            wait(report, "LWLock:WALWrite", 0.2, 1.6);
        }),
        alone("checkpoint-slows", |report| slow_seconds(report, "checkpoint")),
        alone("autovacuum-slows", |report| slow_seconds(report, "autovacuum")),
    ]);
    fixtures
}

fn of_tables_and_indexes() -> Vec<Fixture> {
    vec![
        alone("sequential-scans", |report| {
            let table = table(report);
            (table.seq_scans, table.seq_rows_read) = (1_000, 100_000_000);
        }),
        alone("duplicate-indexes", |report| {
            index(report).duplicate_of = Some("orders_pkey".to_owned());
        }),
        alone("overlapping-indexes", |report| {
            index(report).covered_by = Some("orders_customer_status".to_owned());
        }),
        alone("unused-indexes", |report| index(report).scans = Some(0)),
        alone("bloat", |report| {
            table(report).dead_rows = 80_000;
            let second =
                ServerIntervalInfo { oldest_transaction_s: Some(900.0), ..ServerIntervalInfo::default() };
            stage(report).server_intervals = vec![second];
        }),
        alone("hot-loss", |report| table(report).hot_fraction = Some(0.12)),
        alone("stale-statistics", |report| table(report).changed_since_analyze = 250_000),
    ]
}

fn of_plans() -> Vec<Fixture> {
    vec![
        alone("plan-changed", |report| {
            stage(report).plan_changes.push(PlanChangeInfo {
                t_s: 4.0,
                statement: "checkout.take_stock".to_owned(),
                classes: vec!["common".to_owned()],
                from: "Index Scan".to_owned(),
                to: "Seq Scan".to_owned(),
                ..PlanChangeInfo::default()
            });
        }),
        alone("plan-depends-on-values", |report| {
            stage(report).statements[0].plans =
                vec![plan_of("common", "Seq Scan"), plan_of("rare", "Index Scan")];
        }),
        alone("generic-plan-differs", |report| {
            let statement = &mut stage(report).statements[0];
            statement.plans = vec![plan_of("common", "Index Scan"), plan_of("generic", "Seq Scan")];
            let generic =
                GenericPlanInfo { differs: true, is_chosen: true, cost: 9.0, ..GenericPlanInfo::default() };
            statement.generic_plan = Some(generic);
        }),
    ]
}

fn plan_of(class: &str, shape: &str) -> PlanInfo {
    PlanInfo {
        classes: vec![class.to_owned()],
        shape: shape.to_owned(),
        summary: shape.to_owned(),
        ..PlanInfo::default()
    }
}

fn of_migrations() -> Vec<Fixture> {
    let mut fixtures = of_left_behind();
    fixtures.extend([
        alone("migration-failed", |report| {
            let failed = DdlInfo {
                outcome: DdlOutcome::Failed,
                error: Some("23505: duplicate key".to_owned()),
                ..ddl("ALTER TABLE t RENAME a TO b")
            };
            migration(report, vec![failed]).outcome = MigrationOutcome::Failed;
        }),
        alone("migration-lock-queue", |report| {
            let waited = DdlInfo { lock_wait_us: 2_000_000, ..blocking("ALTER TABLE t RENAME a TO b") };
            migration(report, vec![waited]);
        }),
        alone("migration-lock-carried", |report| {
            let carried = DdlInfo {
                in_transaction: true,
                carried_us: 900_000,
                ..blocking("ALTER TABLE t RENAME a TO b")
            };
            migration(report, vec![carried, DdlInfo { number: 2, ..ddl("SELECT 1") }]);
        }),
        alone("migration-rewrite", |report| {
            let rewritten = vec!["t".to_owned()];
            migration(report, vec![DdlInfo { rewritten, ..blocking("ALTER TABLE t ALTER a TYPE bigint") }]);
        }),
        alone("migration-copy", |report| {
            "mariadb".clone_into(&mut report.target.engine);
            let copied = Some(algorithm("COPY", "SHARED"));
            let sql = "ALTER TABLE t MODIFY a bigint";
            migration(report, vec![DdlInfo { algorithm: copied, affected_rows: Some(9), ..ddl(sql) }]);
        }),
        alone("migration-implicit-commit", |report| {
            "mariadb".clone_into(&mut report.target.engine);
            let first = DdlInfo {
                in_transaction: true,
                implicit_commit: true,
                algorithm: Some(algorithm("INSTANT", "NONE")),
                ..ddl("ALTER TABLE t ADD a int")
            };
            migration(report, vec![first, DdlInfo { number: 2, ..ddl("SELECT 1") }]);
        }),
        alone("migration-index-blocks-writes", |report| {
            migration(report, vec![blocking("CREATE INDEX i ON t (a)")]);
        }),
        alone("migration-validation-blocks", |report| {
            let scanned = Some(vec!["t".to_owned()]);
            let sql = "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)";
            migration(report, vec![DdlInfo { scanned, rows_scanned: 10_000, ..blocking(sql) }]);
        }),
        alone("migration-drop-blocks", |report| {
            migration(report, vec![blocking("DROP INDEX i")]);
        }),
        alone("migration-refresh-blocks", |report| {
            migration(report, vec![blocking("REFRESH MATERIALIZED VIEW v")]);
        }),
        alone("migration-detach-blocks", |report| {
            migration(report, vec![blocking("ALTER TABLE m DETACH PARTITION p")]);
        }),
        alone("migration-backfill-blocks", |report| {
            migration(report, vec![blocking("UPDATE t SET a = 1")]);
        }),
    ]);
    fixtures
}

fn of_left_behind() -> Vec<Fixture> {
    vec![
        alone("migration-invalid-index", |report| {
            migration(report, Vec::new()).left.invalid_indexes.push("i".to_owned());
        }),
        alone("migration-not-validated", |report| {
            migration(report, Vec::new()).left.not_validated.push("f".to_owned());
        }),
        alone("migration-breaks-statements", |report| {
            let broken = BrokenStatement {
                statement: "orders_by_state".to_owned(),
                error: "column \"state\" does not exist (SQLSTATE 42703)".to_owned(),
            };
            migration(report, Vec::new()).also_prepared = Some(AlsoPrepared {
                folder: "shop-1.3".to_owned(),
                statements: 21,
                broken: vec![broken],
                broken_before: Vec::new(),
            });
        }),
        alone("migration-no-way-back", |report| {
            let down = way_back(MigrationOutcome::Failed);
            migration(report, Vec::new()).rehearsals.push(down);
        }),
        alone("migration-way-back-differs", |report| {
            let mut down = way_back(MigrationOutcome::Applied);
            down.schema_differs = Some(vec!["+ column orders.note2 text".to_owned()]);
            migration(report, Vec::new()).rehearsals.push(down);
        }),
        alone("migration-no-statistics", |report| {
            migration(report, Vec::new()).left.without_statistics.push("t.b".to_owned());
        }),
        alone("migration-cached-plan", |report| {
            migration(report, Vec::new()).victims.push(VictimInfo {
                transaction: "checkout".to_owned(),
                statement: 1,
                blocked: 0,
                blocked_us_total: 0,
                blocked_us_max: 0,
                failures: BTreeMap::from([("0A000".to_owned(), 8)]),
                skipped: 0,
            });
        }),
    ]
}

fn stage(report: &mut Report) -> &mut Stage {
    report.stages.last_mut().expect("one stage was measured")
}

fn host(report: &mut Report) -> &mut HostInfo {
    stage(report).host.as_mut().expect("the host was looked at")
}

fn server(report: &mut Report) -> &mut ServerInfo {
    stage(report).server.as_mut().expect("the server was looked at")
}

fn counted(report: &mut Report) -> &mut StatementServerInfo {
    stage(report).statements[0].server.as_mut().expect("the server counted it")
}

fn table(report: &mut Report) -> &mut TableInfo {
    &mut stage(report).tables[0]
}

fn index(report: &mut Report) -> &mut IndexInfo {
    &mut stage(report).indexes[0]
}

fn event(report: &mut Report, kind: &str) {
    let message = "no connection could be made".to_owned();
    report.events.push(EventInfo { t_s: 5.0, kind: kind.to_owned(), message, count: 1 });
}

fn share(event: &str, share: f64, sessions_mean: f64) -> WaitShare {
    WaitShare { event: event.to_owned(), count: 100, share, sessions_mean }
}

fn wait(report: &mut Report, event: &str, of_all: f64, sessions_mean: f64) {
    stage(report).waits.push(share(event, of_all, sessions_mean));
}

fn link(who: &str, state: &str) -> ChainLinkInfo {
    ChainLinkInfo {
        who: who.to_owned(),
        state: state.to_owned(),
        direct: true,
        waits_for: None,
        statement: None,
        transaction_age_us: Some(4_000_000),
        gid: None,
    }
}

/// Twelve waits of half a second each.
fn episode(report: &mut Report, root: &str, root_state: &str, chain: Vec<ChainLinkInfo>) {
    stage(report).locks.episodes.push(LockEpisodeInfo {
        waiter: "checkout.take_stock".to_owned(),
        direct_blockers: vec![root.to_owned()],
        root: root.to_owned(),
        root_state: root_state.to_owned(),
        mode: "ShareLock".to_owned(),
        lock_type: "transactionid".to_owned(),
        relation: Some("stock".to_owned()),
        count: 12,
        wait_us_total: 6_000_000,
        wait_us_max: 500_000,
        ended_by_client: 12,
        client_share: None,
        chain,
    });
}

fn pooler(report: &mut Report, waiting: f64, wait_us: f64, cpu: f64) {
    let work = PoolerWork { wait_us_mean: wait_us, query_us_mean: 900.0, ..PoolerWork::default() };
    stage(report).pooler = Some(PoolerStage {
        clients_waiting_mean: waiting,
        cpu_fraction: Some(cpu),
        work: Some(work),
        ..PoolerStage::default()
    });
}

/// Ten seconds, of which the last five are slow and have an event of that kind.
fn slow_seconds(report: &mut Report, kind: &str) {
    let stage = stage(report);
    for second in stage.intervals.iter_mut().skip(5) {
        second.p99_us = Some(90_000);
    }
    stage.server_events.push(ServerEventInfo {
        t_s: 5.0,
        ended_s: Some(10.0),
        kind: kind.to_owned(),
        subject: None,
        words: format!("{kind} of 5 s"),
    });
}

/// 16 connections in use, of which 4 would do.
fn study_of_too_many() -> PoolStudy {
    let point = |size, per_s| PoolPoint { size, per_s, per_s_range: (per_s, per_s), ..PoolPoint::default() };
    let against = PoolEffect {
        size: 16,
        is_current: true,
        per_s_ratio: Some(Estimate { mean: 1.3, low: Some(1.2), high: Some(1.4) }),
        response_ratio: None,
    };
    PoolStudy {
        sizes: vec![point(4, 1_300.0), point(16, 1_000.0)],
        current: Some(16),
        recommended: Some(RecommendedPool {
            size: 4,
            connections: 4,
            alike_from: 4,
            alike_to: 4,
            told_apart: true,
            against: Some(against),
        }),
        ..PoolStudy::default()
    }
}

fn algorithm(algorithm: &str, lock: &str) -> DdlAlgorithm {
    DdlAlgorithm {
        algorithm: Some(algorithm.to_owned()),
        lock: Some(lock.to_owned()),
        evidence: "an empty copy of the table took it".to_owned(),
    }
}

fn ddl(sql: &str) -> DdlInfo {
    DdlInfo {
        number: 1,
        version: "1".to_owned(),
        file: "1_change.sql".to_owned(),
        line: 1,
        sql: sql.to_owned(),
        in_transaction: false,
        outcome: DdlOutcome::Committed,
        error: None,
        tries: Vec::new(),
        duration_us: 900_000,
        lock_wait_us: 0,
        lock_waits: Vec::new(),
        locks: Vec::new(),
        carried_us: 0,
        root: None,
        rewritten: Vec::new(),
        rebuilt: Vec::new(),
        scanned: None,
        rows_scanned: 0,
        invalid_indexes: Vec::new(),
        wal_bytes: None,
        temp_bytes: None,
        server_wal_bytes: None,
        affected_rows: None,
        algorithm: None,
        implicit_commit: false,
        blocked: 0,
        blocked_us_total: 0,
        blocked_us_max: 0,
    }
}

/// One that held a lock for which the workload waited.
fn blocking(sql: &str) -> DdlInfo {
    let lock = DdlLock {
        mode: "AccessExclusiveLock".to_owned(),
        relation: Some("t".to_owned()),
        lock_type: "relation".to_owned(),
        us: 900_000,
        stops: crate::model::LockStops::ReadsAndWrites,
    };
    DdlInfo {
        locks: vec![lock],
        blocked: 9,
        blocked_us_total: 4_000_000,
        blocked_us_max: 800_000,
        ..ddl(sql)
    }
}

fn way_back(outcome: MigrationOutcome) -> Rehearsal {
    Rehearsal {
        kind: "down".to_owned(),
        outcome,
        answer: "Statement 2 of the way back failed.".to_owned(),
        took_s: Some(0.2),
        lock_timeout_ms: None,
        retries: 0,
        backoff_ms: 0,
        tries: 2,
        statements: Vec::new(),
        blast: BlastRadius::default(),
        left: LeftBehind::default(),
        schema_differs: None,
    }
}

fn migration(report: &mut Report, statements: Vec<DdlInfo>) -> &mut Migration {
    "migration".clone_into(&mut report.kind);
    report.migration.insert(Migration {
        tool: "plain".to_owned(),
        folder: "migrations".to_owned(),
        on_copy: false,
        outcome: MigrationOutcome::Applied,
        answer: String::new(),
        conditions: Vec::new(),
        began_s: Some(1.0),
        took_s: Some(1.0),
        recovered_s: None,
        lock_timeout_ms: None,
        retries: 0,
        backoff_ms: 0,
        migrations: Vec::new(),
        statements,
        blast: BlastRadius::default(),
        victims: Vec::new(),
        disturbances: Vec::new(),
        timeline: Vec::new(),
        left: LeftBehind::default(),
        before_after: None,
        command: None,
        without_safe_form: None,
        rehearsals: Vec::new(),
        relations: Vec::new(),
        also_prepared: None,
        growth: None,
    })
}

fn times(us: u64) -> Quantiles {
    Quantiles {
        count: 10_000,
        mean: Some(us as f64),
        p50: Some(us),
        p90: Some(us * 2),
        p95: Some(us * 2),
        p99: Some(us * 3),
        p99_9: Some(us * 4),
        max: Some(us * 5),
        ..Quantiles::default()
    }
}

/// Ten seconds of a closed loop on a server that has room.
fn healthy() -> Report {
    Report {
        schema_version: SCHEMA_VERSION,
        kind: "run".to_owned(),
        id: "20261126-080000-0001".to_owned(),
        started_at: "2026-11-26T08:00:00Z".to_owned(),
        dbdyno_version: "0.1.0".to_owned(),
        seed: Seed(42),
        command: "dbdyno run".to_owned(),
        ended: "completed".to_owned(),
        workload: WorkloadInfo {
            name: "shop".to_owned(),
            scale: Some(1.0),
            fingerprint: "0".to_owned(),
            generator_version: 1,
        },
        target: TargetInfo {
            engine: "postgresql".to_owned(),
            version: "15.18".to_owned(),
            address: "127.0.0.1".to_owned(),
            local: true,
            same_host: true,
            settings: BTreeMap::from([("work_mem".to_owned(), "4MB".to_owned())]),
            settings_fingerprint: "0".to_owned(),
            database_bytes: Some(400_000_000),
            shared_buffers_bytes: Some(128 << 20),
            cache_regime: Some("in memory".to_owned()),
            blind_spots: Vec::new(),
        },
        data: None,
        sessions: SessionInfo::default(),
        pooler: None,
        environment: EnvironmentInfo {
            os: String::new(),
            kernel: String::new(),
            cpu: String::new(),
            cores: 4,
            memory_bytes: 8 << 30,
            client_cpus: None,
            server_cpus: None,
        },
        verdict: crate::model::Verdict::None,
        budgets: Vec::new(),
        findings: Vec::new(),
        generator: calm_generator(),
        stages: vec![calm_stage()],
        endurance: None,
        study: None,
        comparison: None,
        index: None,
        migration: None,
        capacity: None,
        probes: Vec::new(),
        events: Vec::new(),
    }
}

fn calm_generator() -> GeneratorInfo {
    GeneratorInfo {
        valid: true,
        reason: None,
        workers: 1,
        gives_way: false,
        cpu_fraction: Some(0.2),
        busiest_worker_fraction: Some(0.2),
        run_queue_fraction: Some(0.01),
        steal_fraction: Some(0.0),
        cpu_us_per_transaction: Some(30.0),
        floor: None,
        wake_lateness_us: times(60),
        resident_bytes_max: None,
    }
}

fn calm_stage() -> Stage {
    let second = |number: u32| IntervalInfo {
        t_s: f64::from(number),
        length_s: 1.0,
        per_s: 1_000.0,
        mean_us: Some(2_000.0),
        p50_us: Some(2_000),
        p99_us: Some(6_000),
        max_us: Some(10_000),
        busy: 2.0,
        ..IntervalInfo::default()
    };
    Stage {
        name: "normal".to_owned(),
        measured: true,
        duration_s: 10.0,
        clients: Some(8),
        achieved_per_s: 1_000.0,
        accounting: Accounting { issued: 10_000, ok: 10_000, balanced: true, ..Accounting::default() },
        response_us: times(2_000),
        service_us: times(2_000),
        transactions: vec![checkout()],
        statements: vec![take_stock()],
        pool: PoolInfo {
            size: 8,
            instances: 1,
            busy_mean: 2.0,
            busy_max: 6,
            wait_us: times(2),
            ..PoolInfo::default()
        },
        locks: crate::model::LockInfo { client_us_total: 20_000_000, ..crate::model::LockInfo::default() },
        waits: vec![share("CPU", 0.9, 1.8), share("IO:WALSync", 0.1, 0.2)],
        server: Some(ServerInfo {
            window_s: 10.0,
            cache_hit_fraction: Some(0.998),
            commits: 10_000,
            wal_bytes: 4_000_000,
            ..ServerInfo::default()
        }),
        tables: vec![TableInfo {
            table: "orders".to_owned(),
            idx_scans: 10_000,
            updated: 10_000,
            hot_fraction: Some(0.95),
            dead_rows: 900,
            live_rows: 100_000,
            changed_since_analyze: 10_000,
            heap_bytes: Some(10_000_000),
            ..TableInfo::default()
        }],
        indexes: vec![IndexInfo {
            index: "orders_customer".to_owned(),
            table: "orders".to_owned(),
            scans: Some(400),
            size_bytes: 2_000_000,
            quoted: Some("orders_customer".to_owned()),
            ..IndexInfo::default()
        }],
        host: Some(HostInfo {
            cpu_fraction: 0.5,
            iowait_fraction: 0.01,
            steal_fraction: 0.0,
            cores: 4,
            traffic: None,
            memory_available_bytes_min: None,
        }),
        intervals: (1..=10).map(second).collect(),
        ..Stage::default()
    }
}

fn checkout() -> TransactionInfo {
    TransactionInfo {
        name: "checkout".to_owned(),
        count: 10_000,
        ok: 10_000,
        per_s: 1_000.0,
        response_us: times(2_000),
        response_curve: Vec::new(),
        service_us: times(2_000),
        pool_wait_us: times(2),
        lag_us: Quantiles::default(),
        hold_us: times(2_000),
        commit_us: times(400),
        pipeline_us: Quantiles::default(),
        errors: BTreeMap::new(),
        ledger: None,
    }
}

fn take_stock() -> StatementInfo {
    StatementInfo {
        name: "take_stock".to_owned(),
        transaction: "checkout".to_owned(),
        kind: "update".to_owned(),
        sql: "UPDATE orders SET amount = amount - 1 WHERE id = $1".to_owned(),
        count: 10_000,
        rows: 10_000,
        execute_us: times(900),
        server: Some(StatementServerInfo {
            calls: 10_000,
            exec_us_mean: 500.0,
            shared_blks_hit: 40_000,
            ..StatementServerInfo::default()
        }),
        ..StatementInfo::default()
    }
}

#[test]
fn statistics_that_are_half_old_are_a_remark_and_those_of_another_table_a_warning() {
    let severity = |changed: u64| {
        let mut report = healthy();
        table(&mut report).changed_since_analyze = changed;
        findings::find(&report).first().map(|finding| finding.severity)
    };
    assert_eq!(severity(49_000), None);
    assert_eq!(severity(60_000), Some(Severity::Info));
    assert_eq!(severity(100_000), Some(Severity::Warning));
}

#[test]
fn waits_of_a_server_with_little_to_do_are_no_finding() {
    // Most of what little the sessions do is waiting for the disk, and hardly a session is ever seen.
    let mut report = healthy();
    for (event, of_all) in [("IO:WALSync", 0.6), ("IO:DataFileRead", 0.3), ("LWLock:LockManager", 0.1)] {
        wait(&mut report, event, of_all, 0.2);
    }
    server(&mut report).cache_hit_fraction = Some(0.8);
    assert_eq!(found(&report), Vec::<String>::new());
}
