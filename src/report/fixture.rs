//! Reports that could have been measured, for the tests of the renderers.

use std::collections::BTreeMap;

use crate::model::{
    Accounting, BudgetResult, Check, EnvironmentInfo, EventInfo, Finding, GeneratorInfo, HostInfo, IndexInfo,
    IntervalInfo, LockEpisodeInfo, LockInfo, PoolInfo, PoolPoint, PoolStudy, ProbeInfo, Quantiles, Report,
    SCHEMA_VERSION, ServerInfo, Severity, Stage, StatementInfo, StatementServerInfo, TableInfo, TargetInfo,
    TransactionInfo, Verdict, WaitShare, WorkloadInfo,
};
use crate::units::Seed;

/// Every fixture with its name.
pub(super) fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("healthy", healthy()),
        ("overloaded", overloaded()),
        ("study", study()),
        ("generator_bound", generator_bound()),
        ("cut_off", cut_off()),
        ("nothing", nothing()),
        ("hostile", hostile()),
    ]
}

/// A closed loop on a throwaway server, within its budgets.
pub(super) fn healthy() -> Report {
    let mut report = base(
        "20261123-131203-7f3a",
        "dbdyno run -w workloads/shop --clients 16 --pool-size 8 --duration 60s --seed 42",
    );
    report.verdict = Verdict::Pass;
    report.budgets = vec![
        budget("checkout.response.p99", "< 50ms", "19.6 ms", Verdict::Pass),
        budget("errors.rate", "< 0.1%", "0 %", Verdict::Pass),
    ];
    report.findings = vec![hot_row()];
    report.stages = vec![warm_up(), shop_stage("baseline")];
    report
}

/// An open loop that the pool cannot carry: queue, skipped arrivals, a session that holds a lock.
pub(super) fn overloaded() -> Report {
    let mut report = base(
        "20261123-140512-c21d",
        "dbdyno run -w workloads/shop -t postgres://bench@db.example.com:5432/shop --rate 900 --pool-size 4 --in-flight-max 2000",
    );
    report.target = TargetInfo {
        address: "db.example.com:5432/shop as bench".to_owned(),
        local: false,
        same_host: false,
        blind_spots: vec![
            "waits for I/O have no time: track_io_timing is off (ALTER SYSTEM SET track_io_timing = on)"
                .to_owned(),
        ],
        ..report.target
    };
    report.verdict = Verdict::Fail;
    report.budgets = vec![
        BudgetResult {
            stage: "peak".to_owned(),
            ..budget("checkout.response.p99", "< 50ms", "> 2.00 s", Verdict::Fail)
        },
        BudgetResult {
            reason: Some("412 samples do not carry a quantile of 99.9 %; 10 000 are needed".to_owned()),
            stage: "peak".to_owned(),
            ..budget("dashboard.response.p99_9", "< 2s", "–", Verdict::Inconclusive)
        },
        budget("errors.rate", "< 0.1%", "0 %", Verdict::Pass),
    ];
    report.findings = vec![
        finding(
            "pool-too-small",
            Severity::Warning,
            "The pool of 4 connections is too small for 900 transactions/s",
            "every connection was busy and someone waited 97 % of the time; pool wait p50 1.21 s, service p50 4.10 ms",
            "a transaction waits 295 times as long as it works; 6 122 of 54 000 arrivals were never started",
            "raise --pool-size to 8 (busy would be about 5.9 of 8), or run `dbdyno pool --sizes 4,6,8,12` to find the knee",
        ),
        finding(
            "idle-in-transaction-blocker",
            Severity::Warning,
            "A session outside of the workload held a lock while idle in transaction",
            "psql (foreign) was the root of 12 waits, 23.9 s together, the longest 2.00 s",
            "checkout stood still for two seconds",
            "find out who holds transactions open; set idle_in_transaction_session_timeout",
        ),
        hot_row(),
        finding(
            "probe-gaps",
            Severity::Info,
            "3 looks of the probes came too late",
            "3 of 598 looks at the sessions were missed",
            "locks held in these moments are not seen",
            "none needed",
        ),
        finding(
            "temp-files",
            Severity::Info,
            "The dashboard spills to disk",
            "212 MB of temporary files",
            "the aggregate reads its own spill back",
            "raise work_mem to 16MB for this statement",
        ),
    ];
    let mut peak = shop_stage("peak");
    overload(&mut peak);
    let mut baseline = shop_stage("baseline");
    baseline.offered_per_s = Some(300.0);
    baseline.clients = None;
    baseline.achieved_per_s = 299.7;
    let mut after = shop_stage("after the peak");
    after.offered_per_s = Some(300.0);
    after.clients = None;
    after.achieved_per_s = 300.2;
    report.stages = vec![warm_up(), baseline, peak, after];
    report.probes[0].gaps = 3;
    report.probes[0].last_error = Some("no answer within 100 ms".to_owned());
    report.events = vec![
        event(
            31.24,
            "connection_lost",
            "a connection of the pool was lost: terminating connection due to administrator command",
            2,
        ),
        event(
            44.0,
            "in_flight_limit",
            "2 000 transactions were in flight; later arrivals are skipped (raise --in-flight-max to queue them)",
            1,
        ),
    ];
    report
}

/// The study of `dbdyno demo`.
pub(super) fn study() -> Report {
    let mut report = base(
        "20261123-131559-0b9e",
        "dbdyno pool -w workloads/shop --sizes 1,2,4,8,16 --clients 32 --duration 10s --seed 42",
    );
    report.kind = "pool".to_owned();
    report.verdict = Verdict::None;
    report.findings = vec![
        hot_row(),
        finding(
            "host-cpu-full",
            Severity::Info,
            "The host's CPU was full from size 4 up, and generator and server share it",
            "98 % of 2 cores busy at sizes 4, 8 and 16",
            "on a server of its own the knee may lie higher",
            "repeat with the database on another machine (-t postgres://…)",
        ),
    ];
    let point =
        |size: u32, per_s: f64, p50: u64, p99: u64, wait_p99: u64, busy: f64, saturated: f64| PoolPoint {
            size,
            repeats: 2,
            per_s,
            per_s_range: ((per_s * 9.8).round() / 10.0, (per_s * 10.2).round() / 10.0),
            response_us: quantiles(8_000, p50, p99),
            pool_wait_us: quantiles(8_000, wait_p99 / 3, wait_p99),
            service_us: quantiles(8_000, p50 / 4, p99 / 3),
            busy_mean: busy,
            waiting_mean: 32.0 - busy,
            saturated_fraction: saturated,
            top_wait: Some(wait("CPU", 0.78, 0.8)),
            top_blocker: None,
            error_fraction: 0.0,
            host_cpu_fraction: Some(0.62),
        };
    let mut sizes = vec![
        point(1, 412.3, 77_400, 131_000, 128_000, 1.0, 1.0),
        point(2, 801.2, 39_600, 84_100, 79_300, 2.0, 0.998),
        point(4, 1_322.4, 23_900, 51_200, 44_900, 4.0, 0.974),
        point(8, 1_503.8, 20_800, 49_700, 31_200, 7.9, 0.91),
        point(16, 1_511.1, 20_400, 68_300, 12_400, 15.6, 0.77),
    ];
    for (index, (event, share, blocker)) in
        [("Lock:transactionid", 0.31, 0.88), ("Lock:transactionid", 0.44, 0.91), ("Lock:tuple", 0.57, 0.94)]
            .into_iter()
            .enumerate()
    {
        sizes[index + 2].top_wait = Some(wait(event, share, 3.0));
        sizes[index + 2].top_blocker = Some(("checkout.take_stock".to_owned(), blocker));
    }
    report.study = Some(PoolStudy {
        sizes,
        order: vec![4, 1, 16, 2, 8, 8, 2, 16, 1, 4],
        knee: Some(8),
        recommendation: "Use 8 connections. A pool of 4 gives 87 % of the best throughput; 16 gives 0.5 % more and makes \
                         the slowest 1 % of responses 37 % slower, because sessions then queue for the same stock rows."
            .to_owned(),
    });
    report.stages = [4, 1, 16, 2, 8, 8]
        .iter()
        .map(|&size| {
            let mut stage = shop_stage(&format!("size {size}"));
            stage.pool.size = size;
            stage.clients = Some(32);
            stage.duration_s = 10.0;
            stage.intervals.truncate(10);
            stage
        })
        .collect();
    report
}

/// A run in which the generator was the limit.
pub(super) fn generator_bound() -> Report {
    let mut report = base("20261123-150102-99aa", "dbdyno run -w workloads/tpcb --rate 40000 --threads 1");
    "tpcb".clone_into(&mut report.workload.name);
    report.verdict = Verdict::None;
    report.generator = GeneratorInfo {
        valid: false,
        reason: Some(
            "The only worker used 99 % of its core and started arrivals 412 ms late at p99, while the pool had free connections \
             91 % of the time. Give it more cores (--threads 4), or lower --rate."
                .to_owned(),
        ),
        workers: 1,
        cpu_fraction: Some(0.991),
        busiest_worker_fraction: Some(0.991),
        ..report.generator
    };
    report.findings = vec![finding(
        "generator-bound",
        Severity::Invalid,
        "The generator was the limit",
        "its only worker used 99 % of its core; lag p99 412 ms",
        "response times contain the generator's own lateness; throughput is what the generator could do, not the database",
        "raise --threads to 4, or lower --rate below 21 000",
    )];
    let mut stage = shop_stage("main");
    stage.offered_per_s = Some(40_000.0);
    stage.clients = None;
    stage.achieved_per_s = 21_404.2;
    stage.checks[1].holds = false;
    stage.checks[1].right = 6.31;
    stage.locks = LockInfo::default();
    report.stages = vec![stage];
    report
}

/// A run that was killed in its first seconds.
pub(super) fn cut_off() -> Report {
    let mut report = base("20261123-151500-e001", "dbdyno run -w workloads/shop --clients 4");
    "cut_off".clone_into(&mut report.ended);
    report.verdict = Verdict::Inconclusive;
    report.budgets = vec![BudgetResult {
        reason: Some("7 samples do not carry a quantile of 99 %; 1 000 are needed".to_owned()),
        ..budget("response.p99", "< 50ms", "–", Verdict::Inconclusive)
    }];
    let mut stage = shop_stage("main");
    stage.duration_s = 0.41;
    stage.achieved_per_s = 17.1;
    stage.accounting =
        Accounting { issued: 11, ok: 7, abandoned: 4, balanced: true, ..Accounting::default() };
    let few = Quantiles { count: 7, mean: Some(3_412.0), max: Some(8_120), ..Quantiles::default() };
    stage.response_us = few.clone();
    stage.transactions.truncate(2);
    for transaction in &mut stage.transactions {
        transaction.count = 3;
        transaction.per_s = 7.3;
        transaction.response_us = few.clone();
        transaction.pool_wait_us = Quantiles::default();
    }
    stage.statements.clear();
    stage.pool.wait_us = Quantiles::default();
    stage.waits.clear();
    stage.locks = LockInfo::default();
    stage.server = None;
    stage.host = None;
    stage.tables.clear();
    stage.indexes.clear();
    stage.intervals.truncate(1);
    report.stages = vec![stage];
    report.probes.clear();
    report
}

/// A run that ended before its first stage.
pub(super) fn nothing() -> Report {
    let mut report = base("20261123-151600-e002", "dbdyno run -w workloads/shop --clients 4");
    "interrupted".clone_into(&mut report.ended);
    report.probes.clear();
    report
}

/// Names that try to write on the terminal on their own account, or are wide, or long.
pub(super) fn hostile() -> Report {
    let mut report = healthy();
    "shop \u{1b}]0;owned\u{7}🚀".clone_into(&mut report.workload.name);
    report.stages.remove(0);
    let stage = &mut report.stages[0];
    "\u{1b}[2J\u{1b}[31mbrowse".clone_into(&mut stage.transactions[0].name);
    "商品の在庫を一つ減らす長い名前の取引".clone_into(&mut stage.transactions[1].name);
    "👩‍👩‍👧‍👦 family\r\nbreaks\tlines".clone_into(&mut stage.transactions[2].name);
    "\u{202e}reversed_and_of_a_quite_unreasonable_length_for_the_name_of_a_statement"
        .clone_into(&mut stage.statements[0].name);
    stage.locks.episodes[0].root = "psql \u{9b}31m (foreign)".to_owned();
    stage.locks.episodes[0].waiter =
        "checkout.take_stock_of_every_single_product_in_the_warehouse".to_owned();
    report.events = vec![event(1.0, "notice", "server said: \u{1b}[5mblink\u{1b}[0m\nand a second line", 1)];
    report
}

fn base(id: &str, command: &str) -> Report {
    Report {
        schema_version: SCHEMA_VERSION,
        kind: "run".to_owned(),
        id: id.to_owned(),
        started_at: "2026-11-23T13:12:03Z".to_owned(),
        dbdyno_version: "0.1.0".to_owned(),
        seed: Seed(42),
        command: command.to_owned(),
        ended: "completed".to_owned(),
        workload: WorkloadInfo {
            name: "shop".to_owned(),
            scale: Some(1.0),
            fingerprint: "9f86d081884c7d65".to_owned(),
            generator_version: 1,
        },
        target: TargetInfo {
            engine: "postgresql".to_owned(),
            version: "15.18".to_owned(),
            address: "127.0.0.1:35433/shop as dbdyno".to_owned(),
            local: true,
            same_host: true,
            settings: [
                ("shared_buffers", "128MB"),
                ("synchronous_commit", "on"),
                ("track_io_timing", "on"),
                ("max_wal_size", "1GB"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            settings_fingerprint: "5feceb66ffc86f38".to_owned(),
            database_bytes: Some(402_653_184),
            shared_buffers_bytes: Some(128 << 20),
            cache_regime: Some("in memory".to_owned()),
            blind_spots: Vec::new(),
        },
        environment: EnvironmentInfo {
            os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            kernel: "6.1.0-18-amd64".to_owned(),
            cpu: "AMD EPYC 7B13".to_owned(),
            cores: 2,
            memory_bytes: 4 << 30,
        },
        verdict: Verdict::None,
        budgets: Vec::new(),
        findings: Vec::new(),
        generator: GeneratorInfo {
            valid: true,
            reason: None,
            workers: 1,
            cpu_fraction: Some(0.23),
            busiest_worker_fraction: Some(0.23),
            run_queue_fraction: Some(0.041),
            steal_fraction: Some(0.0),
            cpu_us_per_transaction: Some(31.4),
            wake_lateness_us: Quantiles {
                p50: Some(62),
                p95: Some(118),
                p99: Some(140),
                max: Some(1_904),
                mean: Some(66.2),
                ..quantiles(58_213, 62, 140)
            },
            resident_bytes_max: Some(48 << 20),
        },
        stages: Vec::new(),
        study: None,
        probes: vec![
            ProbeInfo {
                name: "sessions".to_owned(),
                queries: 598,
                mean_us: 812.0,
                max_us: 9_120,
                rows: 5_102,
                gaps: 0,
                busy_fraction: 0.0081,
                last_error: None,
            },
            ProbeInfo {
                name: "blockers".to_owned(),
                queries: 41,
                mean_us: 640.0,
                max_us: 2_004,
                rows: 55,
                gaps: 0,
                busy_fraction: 0.0004,
                last_error: None,
            },
            ProbeInfo {
                name: "statements".to_owned(),
                queries: 2,
                mean_us: 3_320.0,
                max_us: 3_410,
                rows: 48,
                gaps: 0,
                busy_fraction: 0.0001,
                last_error: None,
            },
        ],
        events: Vec::new(),
    }
}

fn warm_up() -> Stage {
    let mut stage = shop_stage("warm-up");
    stage.measured = false;
    stage.duration_s = 5.0;
    stage
}

fn shop_stage(name: &str) -> Stage {
    Stage {
        name: name.to_owned(),
        measured: true,
        started_at: "2026-11-23T13:12:08Z".to_owned(),
        duration_s: 60.0,
        drain_s: 0.2,
        offered_per_s: None,
        clients: Some(16),
        achieved_per_s: 970.1,
        accounting: Accounting {
            issued: 58_213,
            ok: 58_209,
            failed: 4,
            retried: 4,
            balanced: true,
            ..Accounting::default()
        },
        response_us: Quantiles { p50: Some(8_210), ..quantiles(58_213, 8_210, 61_400) },
        transactions: vec![
            transaction("browse", 34_902, 1_120, 4_050, 38_200, 310),
            transaction("search", 8_731, 3_480, 12_900, 61_000, 298),
            transaction("order_history", 5_821, 1_910, 7_020, 29_400, 305),
            transaction("checkout", 5_793, 6_240, 19_600, 2_031_000, 322),
            transaction("restock", 1_744, 1_420, 5_110, 24_700, 301),
            transaction("review", 1_163, 1_210, 4_870, 18_300, 290),
            transaction("dashboard", 59, 88_400, 0, 161_000, 0),
        ],
        statements: statements(),
        pool: PoolInfo {
            size: 8,
            instances: 1,
            busy_mean: 6.12,
            busy_max: 8,
            waiting_mean: 1.04,
            waiting_max: 8,
            saturated_fraction: 0.223,
            wait_us: quantiles(58_213, 3, 8_120),
            ..PoolInfo::default()
        },
        locks: LockInfo {
            sample_interval_ms: 100,
            wait_us_total: 31_204_000,
            episodes: vec![
                episode(
                    "checkout.take_stock",
                    "psql (foreign)",
                    "idle in transaction",
                    "transactionid",
                    12,
                    23_904_000,
                    2_001_000,
                ),
                episode(
                    "checkout.take_stock",
                    "checkout.take_stock",
                    "active",
                    "tuple",
                    61,
                    6_120_000,
                    212_000,
                ),
                LockEpisodeInfo {
                    direct_blockers: vec!["checkout.take_stock".to_owned()],
                    ..episode(
                        "restock.add_stock",
                        "psql (foreign)",
                        "idle in transaction",
                        "transactionid",
                        2,
                        1_180_000,
                        804_000,
                    )
                },
            ],
        },
        waits: vec![
            wait("CPU", 0.512, 3.13),
            wait("Lock:transactionid", 0.208, 1.27),
            wait("IO:WALSync", 0.151, 0.92),
            wait("Client:ClientRead", 0.068, 0.41),
            wait("LWLock:WALWrite", 0.041, 0.25),
            wait("IO:DataFileRead", 0.013, 0.08),
            wait("Lock:tuple", 0.005, 0.03),
            wait("IO:WALWrite", 0.002, 0.01),
        ],
        server: Some(ServerInfo {
            window_s: 60.4,
            cache_hit_fraction: Some(0.9931),
            commits: 58_260,
            rollbacks: 4,
            deadlocks: 4,
            temp_bytes: 0,
            wal_bytes: 41_202_311,
            wal_fpi: 3_104,
            checkpoints: 0,
            rows_changed: 34_211,
            size_growth_bytes: 6_291_456,
        }),
        tables: vec![
            table("orders", 0, 17_431, 5_793, 1_744),
            table("order_lines", 0, 29_003, 14_521, 0),
            table("stock", 0, 31_204, 0, 16_265),
            table("products", 59, 61_204, 0, 0),
        ],
        indexes: vec![
            index("orders_pkey", "orders", 17_004, true),
            index("orders_customer_id_idx", "orders", 427, false),
            index("orders_status_idx", "orders", 0, false),
        ],
        host: Some(HostInfo { cpu_fraction: 0.87, iowait_fraction: 0.031, steal_fraction: 0.0, cores: 2 }),
        intervals: intervals(60),
        checks: vec![
            check("books", "transactions begun, and those that ended", 58_213.0, 58_213.0),
            check("little_busy", "mean busy connections, and rate × mean hold", 6.12, 6.14),
            check("little_waiting", "mean waiting requests, and rate × mean pool wait", 1.04, 1.03),
        ],
    }
}

fn overload(stage: &mut Stage) {
    let censored = |count: u64, p50: u64| Quantiles {
        count,
        mean: Some(1_320_000.0),
        p50: Some(p50),
        p90: Some(2_000_000),
        p95: Some(2_000_000),
        p99: Some(2_000_000),
        p99_9: Some(2_000_000),
        p99_99: None,
        max: Some(2_000_000),
        censored_from: Some(0.886),
    };
    stage.offered_per_s = Some(900.0);
    stage.clients = None;
    stage.achieved_per_s = 788.4;
    stage.accounting = Accounting {
        carried_in: 3,
        issued: 54_000,
        ok: 47_304,
        failed: 412,
        unknown: 1,
        skipped: 6_122,
        abandoned: 164,
        retried: 91,
        balanced: true,
        ..Accounting::default()
    };
    stage.response_us = censored(54_003, 1_240_000);
    for transaction in &mut stage.transactions {
        transaction.response_us = censored(transaction.count, 1_240_000);
        transaction.pool_wait_us = quantiles(transaction.count, 1_210_000, 1_998_000);
    }
    stage.transactions[3].errors =
        BTreeMap::from([("40P01".to_owned(), 21), ("pool_timeout".to_owned(), 389), ("08006".to_owned(), 2)]);
    stage.pool = PoolInfo {
        size: 4,
        instances: 1,
        busy_mean: 3.98,
        busy_max: 4,
        waiting_mean: 1_088.2,
        waiting_max: 1_996,
        saturated_fraction: 0.971,
        wait_us: quantiles(47_881, 1_210_000, 1_998_000),
        timeouts: 389,
        creates: 2,
        create_us: quantiles(2, 0, 0),
        create_errors: 0,
        discarded: 2,
    };
    for interval in &mut stage.intervals {
        interval.errors = if interval.t_s > 44.0 { 120 } else { 0 };
    }
}

fn quantiles(count: u64, p50: u64, p99: u64) -> Quantiles {
    let carried = |q: f64, value: u64| (count as f64 * (1.0 - q) >= 10.0 && value > 0).then_some(value);
    Quantiles {
        count,
        mean: (count > 0).then_some((p50 * 13) as f64 / 10.0),
        p50: carried(0.5, p50),
        p90: carried(0.9, p50 * 2),
        p95: carried(0.95, (p50 * 2 + p99) / 2),
        p99: carried(0.99, p99),
        p99_9: carried(0.999, p99 * 2),
        p99_99: carried(0.9999, p99 * 3),
        max: (count > 0).then_some(p99 * 4),
        censored_from: None,
    }
}

fn transaction(name: &str, count: u64, p50: u64, p99: u64, max: u64, wait_p99: u64) -> TransactionInfo {
    let response = Quantiles { max: Some(max), ..quantiles(count, p50, p99) };
    TransactionInfo {
        name: name.to_owned(),
        count,
        per_s: (count as f64 / 0.6).round() / 100.0,
        service_us: response.clone(),
        hold_us: response.clone(),
        response_us: response,
        pool_wait_us: quantiles(count, 3, wait_p99),
        lag_us: Quantiles::default(),
        commit_us: quantiles(count, 820, 2_100),
        errors: if name == "checkout" { BTreeMap::from([("40P01".to_owned(), 4)]) } else { BTreeMap::new() },
    }
}

fn statements() -> Vec<StatementInfo> {
    let mut list = vec![
        statement("product_by_id", "browse", 34_902, (310, 1_050), 1.0, 212.0, ("CPU", 0.94)),
        statement("reviews_of_product", "browse", 34_902, (640, 2_880), 9.7, 511.0, ("CPU", 0.91)),
        statement("search_products", "search", 8_731, (3_310, 12_400), 18.2, 3_104.0, ("CPU", 0.99)),
        statement(
            "orders_of_customer",
            "order_history",
            5_821,
            (1_790, 6_810),
            11.4,
            1_604.0,
            ("IO:DataFileRead", 0.38),
        ),
        statement("product_by_id", "checkout", 5_793, (330, 1_110), 1.0, 214.0, ("CPU", 0.92)),
        statement("insert_order", "checkout", 5_793, (410, 1_380), 1.0, 260.0, ("CPU", 0.81)),
        statement("insert_order_line", "checkout", 14_521, (380, 1_290), 1.0, 241.0, ("CPU", 0.83)),
        statement("take_stock", "checkout", 14_521, (720, 14_100), 1.0, 604.0, ("Lock:transactionid", 0.71)),
        statement("insert_payment", "checkout", 5_793, (350, 1_200), 1.0, 231.0, ("CPU", 0.86)),
        statement("add_stock", "restock", 1_744, (690, 4_480), 1.0, 560.0, ("Lock:transactionid", 0.44)),
        statement("insert_review", "review", 1_163, (480, 1_700), 1.0, 301.0, ("LWLock:WALWrite", 0.33)),
        statement("sales_by_category", "dashboard", 59, (88_100, 0), 24.0, 86_400.0, ("CPU", 1.0)),
    ];
    for place in [0, 4] {
        if let Some(server) = &mut list[place].server {
            server.shared_by =
                vec![if place == 0 { "checkout.product_by_id" } else { "browse.product_by_id" }.to_owned()];
        }
    }
    list
}

fn statement(
    name: &str,
    transaction: &str,
    count: u64,
    (p50, p99): (u64, u64),
    rows_each: f64,
    server_us: f64,
    (event, share): (&str, f64),
) -> StatementInfo {
    let is_write = name.starts_with("insert") || name.ends_with("stock");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rows = (count as f64 * rows_each) as u64;
    StatementInfo {
        name: name.to_owned(),
        transaction: transaction.to_owned(),
        kind: if is_write { "insert" } else { "select" }.to_owned(),
        sql: format!("/*dbdyno:{transaction}.{name}*/ SELECT 1"),
        count,
        errors: 0,
        rows,
        empty: 0,
        execute_us: quantiles(count, p50, p99),
        first_row_us: quantiles(count, p50, p99),
        server: Some(StatementServerInfo {
            calls: count,
            exec_us_mean: server_us,
            plan_us_mean: 0.0,
            rows,
            shared_blks_hit: count * 7,
            shared_blks_read: count / 20,
            shared_blks_dirtied: if is_write { count } else { 0 },
            temp_blks_written: 0,
            wal_records: if is_write { count * 3 } else { 0 },
            wal_fpi: if is_write { count / 30 } else { 0 },
            wal_bytes: if is_write { count * 412 } else { 0 },
            shared_by: Vec::new(),
        }),
        waits: vec![wait(event, share, 0.5)],
    }
}

fn wait(event: &str, share: f64, sessions_mean: f64) -> WaitShare {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (share * 3_672.0) as u64;
    WaitShare { event: event.to_owned(), count, share, sessions_mean }
}

fn episode(
    waiter: &str,
    root: &str,
    state: &str,
    lock_type: &str,
    count: u64,
    total: u64,
    max: u64,
) -> LockEpisodeInfo {
    LockEpisodeInfo {
        waiter: waiter.to_owned(),
        direct_blockers: vec![root.to_owned()],
        root: root.to_owned(),
        root_state: state.to_owned(),
        mode: if lock_type == "tuple" { "ExclusiveLock" } else { "ShareLock" }.to_owned(),
        lock_type: lock_type.to_owned(),
        relation: Some("stock".to_owned()),
        count,
        wait_us_total: total,
        wait_us_max: max,
        ended_by_client: count,
    }
}

fn table(name: &str, seq_scans: u64, idx_scans: u64, inserted: u64, updated: u64) -> TableInfo {
    TableInfo {
        table: name.to_owned(),
        seq_scans,
        seq_rows_read: seq_scans * 50_000,
        idx_scans,
        inserted,
        updated,
        hot_fraction: (updated > 0).then_some(0.914),
        deleted: 0,
        dead_rows: updated / 3,
        live_rows: 1_000_000,
        cache_hit_fraction: Some(0.987),
        size_bytes: 61_202_432,
    }
}

fn index(name: &str, table: &str, scans: u64, constraint: bool) -> IndexInfo {
    IndexInfo { index: name.to_owned(), table: table.to_owned(), scans, size_bytes: 22_487_040, constraint }
}

fn intervals(seconds: u32) -> Vec<IntervalInfo> {
    (1..=seconds)
        .map(|second| {
            let stalled = (30..32).contains(&second);
            let wave = f64::from(second % 7) * 18.0;
            IntervalInfo {
                t_s: f64::from(second),
                length_s: 1.0,
                per_s: if stalled { 212.0 } else { 920.0 + wave },
                p50_us: Some(8_100),
                p99_us: Some(if stalled { 2_004_000 } else { 61_000 + u64::from(second % 5) * 9_000 }),
                errors: 0,
                busy: 6.1,
                waiting: 1.0,
                drain: false,
            }
        })
        .collect()
}

fn check(name: &str, what: &str, left: f64, right: f64) -> Check {
    Check { name: name.to_owned(), holds: true, left, right, what: what.to_owned() }
}

fn budget(metric: &str, limit: &str, measured: &str, verdict: Verdict) -> BudgetResult {
    BudgetResult {
        metric: metric.to_owned(),
        limit: limit.to_owned(),
        stage: "baseline".to_owned(),
        measured: measured.to_owned(),
        verdict,
        reason: None,
    }
}

fn finding(id: &str, severity: Severity, title: &str, evidence: &str, effect: &str, remedy: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        severity,
        title: title.to_owned(),
        evidence: evidence.to_owned(),
        effect: effect.to_owned(),
        remedy: remedy.to_owned(),
    }
}

fn hot_row() -> Finding {
    finding(
        "hot-row",
        Severity::Warning,
        "Checkouts wait for each other on the same rows of stock",
        "checkout.take_stock waited 6.12 s in 61 waits for checkout.take_stock, mode ExclusiveLock on stock",
        "21 % of the active sessions did nothing but wait; a larger pool adds waiters, not throughput",
        "take stock as the last statement before COMMIT, so that the row is held for one round trip instead of four",
    )
}

fn event(t_s: f64, kind: &str, message: &str, count: u64) -> EventInfo {
    EventInfo { t_s, kind: kind.to_owned(), message: message.to_owned(), count }
}
