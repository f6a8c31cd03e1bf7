//! Whether pool studies of a known queue are right, on a real server: exponentially distributed naps of 20 ms, 150 of them a second as
//! independent users come, and a goal of 5 ms on the mean wait for a connection, which five connections keep by Erlang's formula.
//!
//! `QUEUE_STUDIES` (10) is the number of studies, each of other arrivals and naps. Each must recommend five or a neighbour, three
//! quarters of them five itself; and on average over them the measured wait of each size must be within a factor of one and a half of
//! what its report says that theory expects there. One study takes a minute and a half. A program of cargo's for the reason that
//! `pgbench.rs` gives.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use dbdyno::model::{PoolPoint, PoolStudy, Report};

mod common;

use common::{Result, number, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dbdyno");
const WORKLOAD: &str = "name = \"naps\"\n[[transaction]]\nname = \"only\"\nstatements = [\"nap\"]\n\
    [transaction.parameter]\nnap_s = { exponential = { mean = 0.02, scale = 6 } }\n";
const QUERIES: &str = "-- name: nap :many\nSELECT pg_sleep(:nap_s);\n";
const SIZES: [u32; 4] = [4, 5, 6, 7];
/// M/M/c of three busy connections: 10.2 ms with four, 2.4 ms with five.
const EXPECTED: u32 = 5;
/// How far the mean of the measured waits may lie from the expected one, as a factor. Ten times 20 s know a mean wait within 10 to 13 %
/// (see the known queues of `src/study/pool/tests.rs`): three times that.
const WAIT_APART: f64 = 1.5;
/// Waits below this are mostly what the server and the loop take beside the nap.
const WAIT_MIN_US: f64 = 1_000.0;

fn main() -> ExitCode {
    match queue() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the queue could not be studied: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn queue() -> Result<bool> {
    let studies = number("QUEUE_STUDIES", 10)?;
    let folder = tempfile::tempdir()?;
    let workload = folder.path().join("naps");
    std::fs::create_dir(&workload)?;
    std::fs::write(workload.join("workload.toml"), WORKLOAD)?;
    std::fs::write(workload.join("queries.sql"), QUERIES)?;
    say(&format!("{studies} studies of a queue of which theory says that {EXPECTED} connections are enough"));
    let (mut exact, mut near) = (0, 0);
    // Measured and expected waits of each size, one after another.
    let mut waits = vec![(0.0, 0.0); SIZES.len()];
    for seed in 1..=studies {
        let study = study(&workload, folder.path(), seed)?;
        let size = study.recommended.as_ref().map_or(0, |recommended| recommended.size);
        exact += u32::from(size == EXPECTED);
        near += u32::from(size.abs_diff(EXPECTED) <= 1);
        let mut of_sizes = Vec::new();
        for (point, sum) in study.sizes.iter().zip(&mut waits) {
            let (measured, expected) = wait_us(point)?;
            *sum = (sum.0 + measured, sum.1 + expected);
            of_sizes.push(format!("{} of {:.1} ({:.1})", point.size, measured / 1e3, expected / 1e3));
        }
        say(&format!("  {seed:2}: {size}; waits in ms, and the expected ones: {}", of_sizes.join(", ")));
    }
    let least = studies * 3 / 4;
    say(&format!("  {exact} of {studies} say {EXPECTED}, at least {least}; {near} that or a neighbour"));
    let mut holds = exact >= least && near == studies;
    for (size, (measured, expected)) in SIZES.iter().zip(&waits) {
        if expected / f64::from(studies) < WAIT_MIN_US {
            continue;
        }
        let ratio = measured / expected;
        say(&format!("  with {size} the measured wait is {ratio:.2} of the expected one, on average"));
        holds &= (1.0 / WAIT_APART..=WAIT_APART).contains(&ratio);
    }
    Ok(holds)
}

/// The measured mean wait of a size, and the one that theory expects with the time for which its connections were held.
fn wait_us(point: &PoolPoint) -> Result<(f64, f64)> {
    let measured = point.pool_wait_us.mean;
    let expected = point.queue.and_then(|queue| queue.wait_us_of_own_service);
    Ok(measured.zip(expected).ok_or_else(|| format!("no wait of {} connections", point.size))?)
}

fn study(workload: &Path, folder: &Path, seed: u32) -> Result<PoolStudy> {
    let sizes = SIZES.map(|size| size.to_string()).join(",");
    let output = Command::new(PROGRAM)
        .args(["pool", "--quiet", "--json", "-", "-t", "local", "--sizes", &sizes, "--rate", "150"])
        .args(["--arrivals", "poisson", "--goal", "pool_wait.mean < 5ms", "--no-knee", "--repeats", "1"])
        .args(["--duration", "20s", "--warmup", "2s", "--no-probes", "--seed", &seed.to_string(), "-w"])
        .arg(workload)
        .arg("--runs-dir")
        .arg(folder.join("runs"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("pool ended with {}", output.status).into());
    }
    let report: Report = serde_json::from_slice(&output.stdout)?;
    report.study.ok_or_else(|| "the report studies no pool".into())
}
