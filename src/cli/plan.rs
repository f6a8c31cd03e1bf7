//! From arguments to one immutable plan, in one fallible step.

use std::path::{Path, PathBuf};

use crate::db::{Protocol, Target};
use crate::local::LocalOptions;
use crate::model::metric::Goal;
use crate::study::{
    LoadPlan, LoadShape, MeasurePlan, PoolPlan, PoolShape, Reset, RunPlan, SampleLogPlan, StageChoice,
    StudyError, TargetChoice, default_jobs,
};
use crate::units::Seed;
use crate::workload::{self, BudgetSpec, Load, Workload};

use super::args::{
    DemoArguments, LoadArguments, LoadOfRun, LocalArguments, MeasureArguments, PoolArguments, ResetTo,
    RunArguments, SpokenProtocol, TargetArguments,
};
use super::{CommandError, pgbench};

/// Arguments that do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Not of the form `name=value`.
    #[error("--local-setting takes NAME=VALUE, such as shared_buffers=1GB; found `{0}`")]
    Setting(String),
    /// A budget that names no metric, or no limit.
    #[error("--budget '{given}': {reason}")]
    Budget {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Processors of a server that dbdyno does not start.
    #[error(
        "--server-cpus is for a server that dbdyno starts (--target local); keep another one to its CPUs with taskset"
    )]
    ServerCpus,
    /// A pipeline in a protocol without.
    #[error(
        "transaction `{0}` is a pipeline, which the simple protocol does not have: choose --protocol extended or prepared"
    )]
    SimplePipeline(String),
    /// A length without a load.
    #[error("--duration goes with --rate or --clients; without them the workload's own stages are run")]
    DurationAlone,
    /// A load without a length.
    #[error("say how long with --duration, such as --duration 20s")]
    NoDuration,
    /// The demonstration's workload is not where it is looked for.
    #[error("cannot find the shop workload in {}: name its folder with --workload", looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or "))]
    NoDemoWorkload {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A sample log on standard output, where the report goes.
    #[error("--samples takes the path of a file, such as samples.csv: standard output is for the report")]
    SamplesToOutput,
    /// A value that no transaction has, or that is named twice.
    #[error("--sample-values: {0}")]
    SampleValues(String),
    /// A pool study of no size or of one twice.
    #[error("--sizes takes different numbers from 1 to 10000, such as 2,4,8; found `{0}`")]
    Sizes(String),
    /// A preview of a table that the workload does not describe.
    #[error("the workload describes no columns of a table `{name}`{hint}")]
    NoTable {
        /// What was given.
        name: String,
        /// `; did you mean …?`, and which there are.
        hint: String,
    },
    /// A preview of a workload without a dataset.
    #[error(
        "workload `{0}` describes no columns, so there are no rows to show (something else fills its tables)"
    )]
    NoRows(String),
    /// Several tables as CSV in one stream.
    #[error(
        "{0} tables do not fit into one CSV: name one with --table, or a folder with --out DIR for one file each"
    )]
    ManyTables(usize),
    /// A script or a built-in one whose share is no number.
    #[error("{flag} {given}: the weight behind the last @ must be a whole number from 0 to 2147483647")]
    Weight {
        /// `--pgbench` or `-b`.
        flag: &'static str,
        /// What was given.
        given: String,
    },
    /// A built-in script that pgbench does not have.
    #[error("-b {0}: pgbench has the built-in scripts tpcb-like, simple-update and select-only")]
    BuiltIn(String),
    /// A variable without a value.
    #[error("-D takes NAME=VALUE, such as nbranches=10; found `{0}`")]
    Define(String),
    /// A flag of scripts without a script.
    #[error("{0} goes with --pgbench FILE or -b NAME")]
    WithoutScript(&'static str),
    /// A scale that pgbench's tables cannot have.
    #[error("--scale {0}: the scale of pgbench's scripts is a whole number of branches, 1 or more")]
    ScriptScale(f64),
    /// A folder for what is no file.
    #[error("--out goes with --format csv")]
    OutAlone,
}

/// Clients of a pool study, for each connection of its largest pool: enough that the largest is never short of work.
const CLIENTS_PER_CONNECTION: u32 = 2;

pub(super) fn run(arguments: &RunArguments, command: Vec<String>) -> Result<RunPlan, CommandError> {
    let stages = match (load(&arguments.load), arguments.duration) {
        (None, None) => StageChoice::Workload,
        (None, Some(_)) => return Err(UsageError::DurationAlone.into()),
        (Some(_), None) => return Err(UsageError::NoDuration.into()),
        (Some(load), Some(duration)) => StageChoice::One { load, duration },
    };
    let measure = measure(&arguments.measure, command)?;
    Ok(RunPlan { measure, pool_size: arguments.pool_size, stages })
}

pub(super) fn pool(arguments: &PoolArguments, command: Vec<String>) -> Result<PoolPlan, CommandError> {
    let mut sizes = arguments.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let in_range = sizes.iter().all(|size| (1..=10_000).contains(size));
    if sizes.is_empty() || sizes.len() != arguments.sizes.len() || !in_range {
        let given: Vec<_> = arguments.sizes.iter().map(u32::to_string).collect();
        return Err(UsageError::Sizes(given.join(",")).into());
    }
    let largest = sizes.last().copied().unwrap_or(1);
    let load = load(&arguments.load)
        .unwrap_or(Load::Clients(largest * CLIENTS_PER_CONNECTION * arguments.measure.instances));
    let shape = PoolShape { sizes, repeats: arguments.repeats, duration: arguments.duration, load };
    Ok(PoolPlan { measure: measure(&arguments.measure, command)?, shape })
}

pub(super) fn demo(arguments: &DemoArguments, command: Vec<String>) -> Result<PoolPlan, CommandError> {
    let folder = match &arguments.workload {
        Some(folder) => folder.clone(),
        None => demo_workload()?,
    };
    let sizes = vec![1, 2, 4, 8, 16];
    let load = Load::Clients(32);
    let workload = read(&folder)?;
    let measure = MeasurePlan {
        target: TargetChoice::Local(local(&arguments.local)?),
        protocol: workload.protocol.unwrap_or_default(),
        statement_timeout: workload.statement_timeout,
        rtt: std::time::Duration::ZERO,
        client_cpus: None,
        workload,
        seed: Seed::default(),
        scale: Some(arguments.scale),
        instances: 1,
        threads: 1,
        in_flight_max: 1000,
        acquire_timeout: std::time::Duration::from_secs(30),
        drain: std::time::Duration::from_secs(10),
        warm_up: std::time::Duration::from_secs(1),
        reset: Reset::None,
        probe_interval: Some(std::time::Duration::from_millis(100)),
        samples: None,
        budgets: Vec::new(),
        runs_dir: runs_dir(arguments.runs_dir.as_ref())?,
        command,
    };
    let shape = PoolShape { sizes, repeats: 2, duration: std::time::Duration::from_secs(4), load };
    Ok(PoolPlan { measure, shape })
}

pub(super) fn load_dataset(arguments: &LoadArguments) -> Result<LoadPlan, CommandError> {
    Ok(LoadPlan {
        target: target(&arguments.target)?,
        workload: read(&arguments.workload)?,
        shape: LoadShape {
            scale: arguments.scale,
            seed: arguments.seed,
            jobs: arguments.jobs.unwrap_or_else(default_jobs),
            replace: arguments.replace,
        },
    })
}

/// Where runs are kept.
pub(super) fn runs_dir(given: Option<&PathBuf>) -> Result<PathBuf, CommandError> {
    match given {
        Some(dir) => Ok(dir.clone()),
        None => Ok(crate::store::default_dir().map_err(StudyError::from)?),
    }
}

pub(super) fn target(arguments: &TargetArguments) -> Result<TargetChoice, CommandError> {
    if matches!(arguments.target.as_str(), "local" | "local:postgres" | "local:postgresql") {
        return Ok(TargetChoice::Local(local(&arguments.local)?));
    }
    if arguments.local.server_cpus.is_some() {
        return Err(UsageError::ServerCpus.into());
    }
    let target = Target::parse(&arguments.target).map_err(StudyError::from)?;
    Ok(TargetChoice::Existing(target))
}

fn measure(arguments: &MeasureArguments, command: Vec<String>) -> Result<MeasurePlan, CommandError> {
    let target = target(&arguments.target)?;
    let workload = match &arguments.workload {
        Some(folder) => {
            pgbench::refuse_alone(&arguments.pgbench)?;
            read(folder)?
        }
        None => pgbench::read(arguments, matches!(target, TargetChoice::Local(_)))?,
    };
    let mut budgets = workload.budgets.clone();
    for given in &arguments.budgets {
        budgets.push(budget(given, &workload)?);
    }
    let cores = match &arguments.client_cpus {
        Some(cpus) => cpus.count(),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let cores = u32::try_from(cores).unwrap_or(1);
    Ok(MeasurePlan {
        target,
        protocol: protocol(arguments, &workload)?,
        statement_timeout: arguments.statement_timeout.or(workload.statement_timeout),
        rtt: arguments.rtt.unwrap_or_default(),
        client_cpus: arguments.client_cpus.clone(),
        samples: samples(arguments, &workload)?,
        workload,
        seed: arguments.seed,
        scale: arguments.scale,
        instances: arguments.instances,
        threads: arguments.threads.unwrap_or(cores).clamp(1, arguments.instances),
        in_flight_max: arguments.in_flight_max,
        acquire_timeout: arguments.acquire_timeout,
        drain: arguments.drain,
        warm_up: arguments.warmup,
        reset: match arguments.reset {
            ResetTo::None => Reset::None,
            ResetTo::Template => Reset::Template,
        },
        probe_interval: (!arguments.no_probes).then_some(arguments.probe_interval),
        budgets,
        runs_dir: runs_dir(arguments.runs_dir.as_ref())?,
        command,
    })
}

/// The flag, else the workload's key.
fn protocol(arguments: &MeasureArguments, workload: &Workload) -> Result<Protocol, UsageError> {
    let protocol = spoken(arguments.protocol).or(workload.protocol).unwrap_or_default();
    // The workload itself was checked; here the flag says otherwise.
    match workload.transactions.iter().find(|kind| kind.pipeline) {
        Some(kind) if protocol == Protocol::Simple => Err(UsageError::SimplePipeline(kind.name.clone())),
        _ => Ok(protocol),
    }
}

pub(super) fn spoken(given: Option<SpokenProtocol>) -> Option<Protocol> {
    given.map(|given| match given {
        SpokenProtocol::Simple => Protocol::Simple,
        SpokenProtocol::Extended => Protocol::Extended,
        SpokenProtocol::Prepared => Protocol::Prepared,
    })
}

/// The log of single transactions. The file is tried before minutes are spent; what is there stays until then.
fn samples(arguments: &MeasureArguments, workload: &Workload) -> Result<Option<SampleLogPlan>, CommandError> {
    let Some(path) = &arguments.samples else { return Ok(None) };
    if path == Path::new("-") {
        return Err(UsageError::SamplesToOutput.into());
    }
    let values = &arguments.sample_values;
    for (index, name) in values.iter().enumerate() {
        let wrong = if values[..index].contains(name) {
            format!("`{name}` is named twice")
        } else if !workload.transactions.iter().any(|of| of.slots.contains(name)) {
            no_value(name, workload)
        } else {
            continue;
        };
        return Err(UsageError::SampleValues(wrong).into());
    }
    let opened = std::fs::File::options().append(true).create(true).open(path);
    opened.map(drop).map_err(super::output::unwritable(path))?;
    let fraction = arguments.sample_fraction;
    Ok(Some(SampleLogPlan { path: path.clone(), fraction, values: values.clone() }))
}

fn no_value(name: &str, workload: &Workload) -> String {
    let mut known: Vec<&str> =
        workload.transactions.iter().flat_map(|of| &of.slots).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        return format!("no transaction has a value `{name}`: this workload has no parameters");
    }
    format!("no transaction has a value `{name}`; there are {}", known.join(", "))
}

fn budget(given: &str, workload: &Workload) -> Result<BudgetSpec, UsageError> {
    let wrong = |reason: String| UsageError::Budget { given: given.to_owned(), reason };
    let Goal { metric, limit } =
        given.parse::<Goal>().map_err(|error: crate::model::metric::MetricError| wrong(error.to_string()))?;
    let known = workload.measurable();
    known.has(&metric).and_then(|()| known.fits(&metric, &limit)).map_err(|foreign| {
        let hint = foreign.help.map_or_else(String::new, |help| format!(" ({help})"));
        wrong(format!("{}{hint}", foreign.message))
    })?;
    Ok(BudgetSpec { metric, limit })
}

fn load(arguments: &LoadOfRun) -> Option<Load> {
    arguments.rate.map(Load::Rate).or(arguments.clients.map(Load::Clients))
}

fn local(arguments: &LocalArguments) -> Result<LocalOptions, UsageError> {
    let mut settings = Vec::new();
    for given in &arguments.settings {
        let (name, value) = given.split_once('=').ok_or_else(|| UsageError::Setting(given.clone()))?;
        settings.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(LocalOptions {
        bindir: arguments.bindir.clone(),
        settings,
        cpus: arguments.server_cpus.clone(),
        supervisor: None,
    })
}

pub(super) fn read(folder: &Path) -> Result<Workload, CommandError> {
    Ok(workload::load(folder).map_err(StudyError::from)?)
}

/// The workload that the demonstration runs: that of the current folder, else that of the sources it was built from.
fn demo_workload() -> Result<PathBuf, UsageError> {
    let looked: Vec<PathBuf> = std::iter::once(PathBuf::from("workloads/shop"))
        .chain(
            std::env::current_exe()
                .ok()
                .into_iter()
                .flat_map(|program| {
                    program.ancestors().skip(1).map(|dir| dir.join("workloads/shop")).collect::<Vec<_>>()
                })
                .take(4),
        )
        .collect();
    looked
        .iter()
        .find(|folder| folder.join("workload.toml").is_file())
        .cloned()
        .ok_or(UsageError::NoDemoWorkload { looked })
}
