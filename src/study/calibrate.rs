//! What this machine's generator can do: the engine itself on a session that answers at once. Kept beside the runs, so that
//! every later report can say how far from that floor it was.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::analysis;
use crate::db::sim::SimEngine;
use crate::engine::{self, Plan, Replacement, StagePlan};
use crate::model::{CALIBRATION_VERSION, Calibration, ClosedPoint, EnvironmentInfo, OpenPoint};
use crate::probe::host::{self, GeneratorWatch};
use crate::record::entry::{Environment, FloorHeader};
use crate::record::set::{Set, Shape};
use crate::store;
use crate::time::{Epoch, Now};
use crate::units::{Seed, StageId};
use crate::workload::{self, Load, Workload};

use super::{Happening, Observer, StudyError};

/// One statement by key, as most transactions have.
const WORKLOAD: &str = "name = \"calibration\"\n[[transaction]]\nname = \"read\"\nstatements = [\"row\"]\n\
                        [transaction.parameter]\nid = { uniform = [1, 1_000_000] }\n";
const QUERIES: &str = "-- name: row :one\nSELECT value FROM row WHERE id = :id;\n";
/// Closed loops on one thread.
const CLIENTS: [u32; 4] = [1, 8, 64, 1024];
/// Users of each thread where all cores are used.
const CLIENTS_PER_THREAD: u32 = 8;
/// Open loops, as shares of the highest rate.
const SHARES: [f64; 3] = [0.1, 0.4, 0.8];
/// Time for memory and branches to become warm, and for the worker to live on while its last figures are read.
const EDGE: Duration = Duration::from_millis(300);
/// Between the order to begin and the first arrival.
const BEGIN_AFTER: Duration = Duration::from_millis(20);
/// More than are ever taken at once: a session that answers at once is given back before the next user asks.
const POOL_SIZE: u32 = 16;

/// What a calibration needs to know.
#[derive(Clone, Debug)]
pub struct CalibratePlan {
    /// How long each of its eight loads is measured.
    pub each: Duration,
    /// Where it is kept, beside the runs.
    pub runs_dir: PathBuf,
}

/// A calibration and where it is kept.
#[derive(Debug)]
pub struct Calibrated {
    /// What was found out.
    pub calibration: Calibration,
    /// Its file.
    pub path: PathBuf,
}

/// Measures the generator, and keeps what was found out in place of what an earlier calibration of the same machine did.
pub async fn calibrate(plan: &CalibratePlan, observer: &mut Observer<'_>) -> Result<Calibrated, StudyError> {
    let bench = Bench { each: plan.each, workload: Arc::new(workload()?), epoch: Epoch::begin() };
    let environment = host::environment();
    observer(Happening::Step("closed loop on one thread: 1, 8, 64, 1024 clients"));
    let mut closed = bench.closed(&CLIENTS, 1).await?;
    if environment.cores > 1 {
        let threads = environment.cores;
        observer(Happening::Step(&format!("closed loop on {threads} threads")));
        closed.extend(bench.closed(&[threads * CLIENTS_PER_THREAD], threads).await?);
    }
    let most = closed.iter().filter(|point| point.threads == 1).map(|point| point.per_s).fold(0.0, f64::max);
    observer(Happening::Step("open loop on one thread at a tenth, four tenths and eight tenths of that"));
    let open = bench.open(&SHARES.map(|share| (most * share).max(1.0).round())).await?;
    let measured_at = jiff::Timestamp::from_microsecond(bench.epoch.unix_us()).unwrap_or_default();
    let calibration = Calibration {
        schema_version: CALIBRATION_VERSION,
        dbdyno_version: version(),
        measured_at: format!("{measured_at:.0}"),
        environment: info(&environment),
        closed,
        open,
    };
    let path = store::write_calibration(&plan.runs_dir, &key(&environment), &calibration)?;
    Ok(Calibrated { calibration, path })
}

/// The floor of this machine, cores and program, if they were calibrated. One that cannot be read is said.
pub(super) fn floor(
    runs_dir: &std::path::Path,
    environment: &Environment,
    observer: &mut Observer<'_>,
) -> Option<FloorHeader> {
    match store::read_calibration(runs_dir, &key(environment)) {
        Ok(kept) => {
            let kept = kept?;
            Some(FloorHeader {
                cpu_us_per_transaction: kept.cpu_us_min()?,
                rate_max_per_s: kept.rate_max_per_s(),
                measured_at: kept.measured_at,
            })
        }
        Err(error) => {
            observer(Happening::Note(&format!("{error}; `dbdyno calibrate` makes it anew")));
            None
        }
    }
}

/// What must be the same for a calibration to hold: the machine, the cores that may be used, and the program.
fn key(environment: &Environment) -> String {
    let parts = [
        environment.cpu.clone(),
        environment.memory_bytes.to_string(),
        environment.cores.to_string(),
        version(),
    ];
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn version() -> String {
    let build = if cfg!(debug_assertions) { " (not a release)" } else { "" };
    format!("{}{build}", env!("CARGO_PKG_VERSION"))
}

fn info(of: &Environment) -> EnvironmentInfo {
    EnvironmentInfo {
        os: of.os.clone(),
        kernel: of.kernel.clone(),
        cpu: of.cpu.clone(),
        cores: of.cores,
        memory_bytes: of.memory_bytes,
        client_cpus: of.client_cpus.clone(),
        server_cpus: of.server_cpus.clone(),
    }
}

/// Written down and read as a user's is: what is measured is what is measured otherwise.
fn workload() -> Result<Workload, StudyError> {
    let written = || {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("workload.toml"), WORKLOAD)?;
        std::fs::write(folder.path().join("queries.sql"), QUERIES)?;
        Ok::<_, std::io::Error>(folder)
    };
    let folder = written().map_err(|error| {
        StudyError::Refused(format!(
            "cannot write the workload of the calibration: {error} (TMPDIR names another folder)"
        ))
    })?;
    Ok(workload::load(folder.path())?)
}

struct Bench {
    each: Duration,
    workload: Arc<Workload>,
    epoch: Epoch,
}

/// One stage as it was measured.
struct Measured {
    set: Set,
    length_s: f64,
    cpu_ns: Option<u64>,
}

impl Measured {
    fn per_s(&self) -> f64 {
        self.set.books().ok as f64 / self.length_s
    }

    fn cpu_us_per_transaction(&self) -> Option<f64> {
        let ended = self.set.books().ok;
        self.cpu_ns.filter(|_| ended > 0).map(|cpu_ns| cpu_ns as f64 / 1e3 / ended as f64)
    }
}

impl Bench {
    async fn closed(&self, clients: &[u32], threads: u32) -> Result<Vec<ClosedPoint>, StudyError> {
        let loads: Vec<Load> = clients.iter().copied().map(Load::clients).collect();
        let measured = self.measure(&loads, threads).await?;
        let point = |(&clients, measured): (&u32, Measured)| ClosedPoint {
            clients,
            threads,
            per_s: measured.per_s(),
            cpu_us_per_transaction: measured.cpu_us_per_transaction(),
        };
        Ok(clients.iter().zip(measured).map(point).collect())
    }

    async fn open(&self, rates: &[f64]) -> Result<Vec<OpenPoint>, StudyError> {
        let loads: Vec<Load> = rates.iter().copied().map(Load::rate).collect();
        let measured = self.measure(&loads, 1).await?;
        let point = |(&offered_per_s, measured): (&f64, Measured)| OpenPoint {
            offered_per_s,
            achieved_per_s: measured.per_s(),
            cpu_us_per_transaction: measured.cpu_us_per_transaction(),
            lag_us: analysis::quantiles(&measured.set.transactions[0].lag),
        };
        Ok(rates.iter().zip(measured).map(point).collect())
    }

    /// Measures the loads one after the other, between two short ones that do not count.
    async fn measure(&self, loads: &[Load], threads: u32) -> Result<Vec<Measured>, StudyError> {
        let clock = self.epoch.clock();
        let plan = self.plan(loads, threads);
        let mut run = engine::start(&plan, &SimEngine::at_once(clock), clock)?;
        run.warm().await?;
        let begins_at = clock.now() + BEGIN_AFTER;
        let mut watch = GeneratorWatch::begin();
        run.begin(begins_at);
        let shape = Shape { transactions: 1, statements: 1, ..Shape::default() };
        let mut stages: Vec<Measured> = plan
            .stages
            .iter()
            .map(|_| Measured { set: Set::new(shape), length_s: 0.0, cpu_ns: Some(0) })
            .collect();
        while let Some(collected) = run.next().await? {
            let interval = collected.interval();
            let cpu_ns = watch.lap().map(|sample| sample.worker_cpu_ns);
            let stage = &mut stages[interval.stage.index()];
            stage.set.merge(&interval.set);
            stage.length_s += interval.span.duration().as_secs_f64();
            stage.cpu_ns = stage.cpu_ns.zip(cpu_ns).map(|(sum, more)| sum + more);
            run.recycle(collected);
        }
        stages.pop();
        stages.remove(0);
        Ok(stages)
    }

    fn plan(&self, loads: &[Load], threads: u32) -> Plan {
        let edge = |load: Option<&Load>| (load.cloned().unwrap_or_else(|| Load::clients(1)), EDGE);
        let mut stages = vec![edge(loads.first())];
        stages.extend(loads.iter().map(|load| (load.clone(), self.each)));
        stages.push(edge(loads.last()));
        let seed = Seed::default();
        Plan {
            dataset: Arc::new(self.workload.dataset(seed, 1.0)),
            query_values: Arc::new(vec![vec![Arc::from([])]]),
            workload: Arc::clone(&self.workload),
            seed,
            stages: stages
                .into_iter()
                .enumerate()
                .map(|(index, (load, duration))| StagePlan {
                    id: StageId::from_index(index),
                    duration,
                    load,
                    until_steady: false,
                })
                .collect(),
            pool_size: POOL_SIZE,
            instances: threads,
            workers: threads,
            in_flight_max: 1000,
            acquire_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(1),
            sampling: None,
            rtt: Duration::ZERO,
            replacement: Replacement::default(),
        }
    }
}
