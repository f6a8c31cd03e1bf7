//! How fast the history is with many runs: `HISTORY_RUNS` (10,000) are put into a SQLite file, each with a hundred figures, a report and
//! histograms; then `dbdyno runs` lists them as a user would. Fails when the list takes longer than a person waits without noticing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dbdyno::store::history::{History, RunRecord, RunSummary, StoreAddress, StoredDistribution};

mod common;

use common::{Result, number, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
/// A tenth of a second feels immediate (Miller 1968, Response time in man-computer conversational transactions). With room for a
/// shared machine.
const LIST_MAX: Duration = Duration::from_millis(200);
const TURNS: usize = 21;

fn main() -> ExitCode {
    match history() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the history could not be measured: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn history() -> Result<bool> {
    let runs = number("HISTORY_RUNS", 10_000)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("history.sqlite");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(async {
        let history = History::open(&StoreAddress::File(path.clone())).await?;
        for number in 0..runs {
            history.put(&record(number)).await?;
        }
        history.close().await;
        Ok::<(), dbdyno::store::history::HistoryError>(())
    })?;
    let each = begun.elapsed() / runs.max(1);
    let size = std::fs::metadata(&path)?.len() >> 20;
    say(&format!("{runs} runs put in, {:.2} ms each, {size} MB", each.as_secs_f64() * 1e3));
    let list = ["--format", "table"];
    let cases: [(&str, &[&str]); 4] = [
        ("runs", &list),
        ("runs --tag main", &["--tag", "main"]),
        ("runs --last 10000", &["--last", "10000"]),
        ("runs --trend response.p99 --last 500", &["--trend", "response.p99", "--last", "500"]),
    ];
    let mut fast = true;
    for (what, arguments) in cases {
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let begun = Instant::now();
            let ended = Command::new(PROGRAM)
                .args(["runs", "--store"])
                .arg(&path)
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if !ended.success() {
                return Err(format!("{what} ended with {ended}").into());
            }
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let (median, worst) = (times[TURNS / 2], times[TURNS - 1]);
        say(&format!("  {what:<38} {:6.1} ms, at most {:6.1} ms", ms(median), ms(worst)));
        if what == "runs" || what == "runs --tag main" {
            fast &= median <= LIST_MAX;
        }
    }
    Ok(fast)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A run as they are: a report of thirty kilobytes, a hundred figures, forty histograms.
fn record(number: u32) -> RunRecord {
    let p99 = 10_000.0 + f64::from(number * 7919 % 1000);
    let metrics: BTreeMap<String, f64> = (0..100)
        .map(|index| (format!("transaction_{index}.response.p99"), p99))
        .chain([("response.p99".to_owned(), p99)])
        .collect();
    let tags = if number.is_multiple_of(2) { BTreeSet::from(["main".to_owned()]) } else { BTreeSet::new() };
    let distribution = |index: u32| StoredDistribution {
        stage: 1,
        owner: format!("transaction_{index}"),
        what: "response".to_owned(),
        count: 1000,
        sum_ns: 1_000_000_000,
        histogram: vec![u8::try_from(number % 251).unwrap_or(0); 400],
    };
    RunRecord {
        summary: RunSummary {
            id: format!("20260101-{number:06}-abcd"),
            kind: "run".to_owned(),
            started_at_us: 1_767_225_600_000_000 + i64::from(number) * 60_000_000,
            ended: "completed".to_owned(),
            workload: "shop".to_owned(),
            scale: Some(1.0),
            engine: "postgresql".to_owned(),
            server_version: "15.18".to_owned(),
            per_s: Some(2_000.0),
            p50_us: Some(3_000),
            p99_us: Some(10_000),
            tags,
            ..RunSummary::default()
        },
        report: format!("{{\"filler\":\"{}\"}}", "x".repeat(30_000)),
        metrics,
        distributions: (0..40).map(distribution).collect(),
    }
}
