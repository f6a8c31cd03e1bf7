//! What the page of a day costs: a report of 86,400 seconds and 50 statements is made into a page, its size is looked at, and a
//! browser opens it. Fails when the file is larger than 5 MB, when making it takes longer than two seconds, or when it takes longer than
//! one until a person can use it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dbdyno::model::{
    HostIntervalInfo, IntervalInfo, ProcessIntervalInfo, Report, ServerIntervalInfo, WaitIntervalInfo,
};
use dbdyno::report;

#[path = "../tests/it/chromium.rs"]
#[expect(dead_code, reason = "the tests ask for more")]
mod chromium;
mod common;

use chromium::Browser;
use common::{Result, number, say};

const SECONDS: u32 = 86_400;
const STATEMENTS: usize = 50;
/// So many means of a stage are kept of what its sessions waited for.
const LOOKS: u32 = 256;
const BYTES_MAX: usize = 5_000_000;
const RENDERED_MAX: Duration = Duration::from_secs(2);
const USABLE_MAX_MS: f64 = 1_000.0;

fn main() -> ExitCode {
    match page() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the page could not be measured: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn page() -> Result<bool> {
    let report = day()?;
    let turns = number("PAGE_TURNS", 5)? as usize;
    let mut times = Vec::new();
    let mut html = String::new();
    for _ in 0..turns {
        let begun = Instant::now();
        html = report::html(&report);
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let rendered = times[turns / 2];
    say(&format!(
        "a page of {SECONDS} seconds and {STATEMENTS} statements: {:.2} MB, made in {:.0} ms, at most {:.0} ms",
        html.len() as f64 / 1e6,
        rendered.as_secs_f64() * 1e3,
        times[turns - 1].as_secs_f64() * 1e3
    ));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("day.html");
    std::fs::write(&file, &html)?;
    let mut browser = Browser::start();
    let mut ready = Vec::new();
    for _ in 0..turns {
        browser.open(&file, 1440, "light");
        let answer = browser.value("Number(document.documentElement.dataset.ready)");
        ready.push(answer.as_f64().ok_or("the page does not say when it is ready")?);
    }
    ready.sort_by(f64::total_cmp);
    let usable = ready[turns / 2];
    say(&format!("  a browser can be used with it after {usable:.0} ms, at most {:.0} ms", ready[turns - 1]));
    Ok(html.len() <= BYTES_MAX && rendered <= RENDERED_MAX && usable <= USABLE_MAX_MS)
}

/// A stored run, stretched to a day.
fn day() -> Result<Report> {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports/run.json");
    let mut report: Report = serde_json::from_str(&std::fs::read_to_string(stored)?)?;
    let stage =
        report.stages.iter_mut().rfind(|stage| stage.measured).ok_or("the stored run has no stage")?;
    stage.duration_s = f64::from(SECONDS);
    let ends = || (1..=SECONDS).map(f64::from);
    // Two waves and some grass, so that neighbours differ as they do in fact.
    let wave = |t: f64| 1.0 + 0.4 * (t / 6_000.0).sin() + 0.1 * (t * 12.9898).sin();
    stage.intervals = ends()
        .map(|t_s| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let us = |base: f64| Some((base * wave(t_s + 3.0)) as u64);
            IntervalInfo {
                t_s,
                length_s: 1.0,
                per_s: 900.0 * wave(t_s),
                mean_us: Some(4_000.0),
                p50_us: us(3_100.0),
                p99_us: us(21_000.0),
                max_us: us(90_000.0),
                busy: 5.0 * wave(t_s),
                waiting: wave(t_s),
                pool_wait_mean_us: Some(900.0 * wave(t_s)),
                pool_wait_max_us: us(40_000.0),
                ..IntervalInfo::default()
            }
        })
        .collect();
    stage.server_intervals = ends()
        .map(|t_s| ServerIntervalInfo {
            t_s,
            length_s: 1.0,
            wal_bytes_per_s: Some(700_000.0 * wave(t_s)),
            blocks_read_per_s: Some(40.0 * wave(t_s)),
            checkpoint_buffers_per_s: Some(12.0 * wave(t_s)),
            active: 4.0 * wave(t_s),
            lock_waiting: 0.4 * wave(t_s),
            ..ServerIntervalInfo::default()
        })
        .collect();
    stage.wait_intervals = (1..=LOOKS)
        .map(|look| {
            let length_s = f64::from(SECONDS) / f64::from(LOOKS);
            let t_s = f64::from(look) * length_s;
            let sessions =
                stage.waits.iter().map(|wait| (wait.event.clone(), wait.sessions_mean * wave(t_s)));
            WaitIntervalInfo { t_s, length_s, sessions: sessions.collect() }
        })
        .collect();
    stage.host_intervals = ends()
        .map(|t_s| HostIntervalInfo {
            t_s,
            length_s: 1.0,
            cpu_fraction: Some(0.4 * wave(t_s)),
            ..HostIntervalInfo::default()
        })
        .collect();
    stage.process_intervals = ends()
        .map(|t_s| ProcessIntervalInfo {
            t_s,
            length_s: 1.0,
            cores: 0.6 * wave(t_s),
            ..ProcessIntervalInfo::default()
        })
        .collect();
    let known = stage.statements.clone();
    stage.statements = known
        .iter()
        .cycle()
        .take(STATEMENTS)
        .enumerate()
        .map(|(number, statement)| {
            let mut statement = statement.clone();
            statement.name = format!("{}_{number}", statement.name);
            statement
        })
        .collect();
    Ok(report)
}
