//! From arguments to one immutable plan, in one fallible step.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::db::{Protocol, Target};
use crate::local::LocalOptions;
use crate::model::RelativeBudget;
use crate::model::metric::Goal;
use crate::store::history::AddressError;
use crate::study::{
    LoadPlan, LoadShape, MeasurePlan, PROFILE_DEFAULT, PROFILE_MIN, PlannerStatistics, PoolPlan, PoolShape,
    Profile, Reset, RunPlan, SampleLogPlan, Sizes, StageChoice, StudyError, TargetChoice, WarmUp, Wishes,
    default_jobs,
};
use crate::units::{Arrivals, Course, CourseError, Dialect, Load, Seed, format_duration};
use crate::workload::{self, BudgetSpec, Mix, MixError, Workload};

use super::args::{
    ArrivalsArgument, DemoArguments, GivenWarmUp, Level, LoadArguments, LoadOfRun, LocalArguments, LocalKind,
    MeasureArguments, ProfileName, ResetTo, RunArguments, SpokenProtocol, StatisticsOf, TargetArguments,
};
use super::{CommandError, baseline, pgbench, pooler};

/// Arguments that do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// What is known of PostgreSQL only.
    #[error(
        "{0} needs PostgreSQL so far, and the target is a MariaDB or MySQL; there every command works but capture and fidelity"
    )]
    PostgresOnly(&'static str),
    /// Not of the form `name=value`.
    #[error("--local-setting takes NAME=VALUE, such as shared_buffers=1GB; found `{0}`")]
    Setting(String),
    /// A folder for a new workload that holds something.
    #[error("--out {}: it is there and not empty (name another folder, or remove it)", .0.display())]
    Occupied(PathBuf),
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
    /// Statistics for a database that is not filled now.
    #[error(
        "--statistics source is for a server that dbdyno starts (--target local); to a database that is there, `dbdyno load \
         --statistics source` attaches them"
    )]
    StatisticsOfSource,
    /// A pooler in front of a server that does not exist yet.
    #[error(
        "--pooler URL goes with a server that is there: name it with --target, it is where everything but the measured sessions \
         connects (in front of a throwaway server, --pooler pgbouncer starts one)"
    )]
    PoolerOfLocal,
    /// A pooler in front of a server that dbdyno did not start.
    #[error(
        "--pooler pgbouncer starts a PgBouncer in front of a throwaway server (--target local); in front of another one name yours: \
         --pooler postgres://… with --pooler-admin postgres://…/pgbouncer"
    )]
    OwnPoolerOfExisting,
    /// A pooler that is neither an address nor one that dbdyno starts.
    #[error("--pooler takes a postgres:// URL, `pgbouncer` or `pgbouncer:session`; found `{0}`")]
    Pooler(String),
    /// What is said of a pooler that is not there.
    #[error("{0} goes with {1}")]
    WithoutPooler(&'static str, &'static str),
    /// A pooler of the user's does not know the copies.
    #[error(
        "--reset template measures on copies of the database, which the pooler at --pooler does not know: leave out one of the two, or \
         measure on a throwaway server (--target local) through --pooler pgbouncer, which knows them"
    )]
    PoolerWithCopies,
    /// A pipeline in a protocol without.
    #[error(
        "transaction `{0}` is a pipeline, which the simple protocol does not have: choose --protocol extended or prepared"
    )]
    SimplePipeline(String),
    /// A profile is made of one number.
    #[error("--profile needs its normal load as one number: --rate R, --clients N or --sessions S")]
    ProfileWithoutLoad,
    /// Its stages would be too short.
    #[error("a profile takes at least {}: say more with --duration", format_duration(PROFILE_MIN))]
    ProfileTooShort,
    /// A multiple of the normal load cannot be.
    #[error("a profile goes up to five times the normal load, and there {0}: say a lower one")]
    ProfileTooHigh(CourseError),
    /// A limit of what has none.
    #[error("--warmup-max goes with --warmup auto; a fixed warm-up lasts as long as --warmup says")]
    WarmUpMaxAlone,
    /// A warm-up that waits for what never comes.
    #[error(
        "--churn does not go with --warmup auto, which waits until no connection is made: say a length, such as --warmup 10s"
    )]
    ChurnWithoutRest,
    /// A length without a load.
    #[error(
        "--duration goes with --rate, --clients or --sessions; without them the workload's own stages are run"
    )]
    DurationAlone,
    /// A load without a length.
    #[error("say how long with --duration, such as --duration 20s")]
    NoDuration,
    /// A flag that says more of a load that is not there, or that it cannot be said of.
    #[error("{flag} goes with {with}: {why}")]
    NotOfThisLoad {
        /// The flag.
        flag: &'static str,
        /// The flags that it goes with.
        with: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Sessions of no length.
    #[error("--sessions needs the number of transactions that each makes, such as --transactions 8")]
    NoTransactions,
    /// A load that is not over when the stage is.
    #[error("{0}: give the stage more time with --duration")]
    Course(crate::units::CourseError),
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
    /// What a pool study is asked does not fit together.
    #[error(transparent)]
    Pool(#[from] super::pool::PoolUsage),
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
    /// Other shares of transactions than can be.
    #[error("--mix: {0}")]
    Mix(#[from] MixError),
    /// A variable without a value.
    #[error("-D takes NAME=VALUE, such as nbranches=10; found `{0}`")]
    Define(String),
    /// A flag of scripts without a script.
    #[error("{0} goes with --pgbench FILE or -b NAME")]
    WithoutScript(&'static str),
    /// A scale that pgbench's tables cannot have.
    #[error("--scale {0}: the scale of pgbench's scripts is a whole number of branches, 1 or more")]
    ScriptScale(f64),
    /// An arm of a comparison that is none.
    #[error("{flag} '{given}': {reason}")]
    Arm {
        /// `--a` or `--b`.
        flag: &'static str,
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two arms that are one.
    #[error(
        "both arms are `{0}`: name what B does otherwise, or ask how small a change can be seen with --self"
    )]
    SameArms(String),
    /// A difference that could have two causes.
    #[error(
        "`{a}` and `{b}` differ in two things, so that a difference would have two causes: change one thing"
    )]
    TwoDifferences {
        /// The one arm.
        a: String,
        /// The other.
        b: String,
    },
    /// A script whose effect stays.
    #[error(
        "a script changes the database for the slices of both arms: give the other arm a script that undoes it, or a fresh copy \
         to each slice with --reset template"
    )]
    ScriptWithoutOther,
    /// A limit on a change that names no metric, or no change.
    #[error("--limit '{given}': {reason}")]
    Limit {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What an index experiment is asked.
    #[error(transparent)]
    Index(#[from] super::index::IndexUsage),
    /// A migration check that cannot be done so.
    #[error("{0}")]
    Migration(String),
    /// A condition that is none.
    #[error("--fail-on '{given}': {reason}")]
    FailOn {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A budget of a comparison.
    #[error("ab judges differences, not values: say how much worse B may be, such as --limit 'p99 +10%'")]
    BudgetOfAb,
    /// What a search for a rate cannot take.
    #[error("{0} does not go with capacity: {1}")]
    NotOfCapacity(&'static str, &'static str),
    /// A part of a goal that names no metric, or no limit.
    #[error("--goal '{given}': {reason}")]
    Goal {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A search without time for its fewest steps.
    #[error(
        "--at-most leaves no time for two steps and a confirmation: give it at least {0}, or shorten --step"
    )]
    AtMostOfCapacity(String),
    /// A sample log of transactions that have other names in each arm.
    #[error("--samples does not go with an arm that has a workload of its own")]
    SamplesOfArms,
    /// A comparison that cannot be decided in its time.
    #[error(
        "--at-most leaves time for {fit} pairs of slices, and a verdict takes at least 8: give it {least}, or shorten --slice and --warmup"
    )]
    AtMostTooShort {
        /// How many pairs there is time for.
        fit: u32,
        /// How long it takes at least.
        least: String,
    },
    /// A store that cannot be.
    #[error("--store: {0}")]
    Store(AddressError),
    /// Not a time.
    #[error(
        "{flag} takes a day (2026-11-25), an instant (2026-11-25T10:00:00Z) or a time ago (7d, 12h); found `{given}`"
    )]
    Instant {
        /// The flag.
        flag: &'static str,
        /// What was given.
        given: String,
    },
    /// A filter of a list, before what is no list.
    #[error(
        "filters, --last, --trend and --format are for the list of runs; `export` takes filters behind its name"
    )]
    FilterBeforeCommand,
    /// A trend of what no run has, or of few.
    #[error("--trend: {0}")]
    Trend(String),
    /// A kind of difference that there is not.
    #[error("--across {given}: there are {known}")]
    Across {
        /// What was given.
        given: String,
        /// What there is.
        known: String,
    },
    /// Nobody has that tag.
    #[error(
        "no completed run has the tag `{0}` (`dbdyno runs` lists them, `dbdyno runs tag RUN --add {0}` gives it)"
    )]
    NoRunOfTag(String),
    /// A study in place of a run.
    #[error(
        "{id} is of kind `{kind}`, and only runs are compared: a study has its own answer (`dbdyno report {id}`)"
    )]
    NotARun {
        /// Which.
        id: String,
        /// Its kind.
        kind: String,
    },
    /// A run without a measured stage.
    #[error("run {0} ended before anything was measured")]
    NothingMeasured(String),
    /// Runs that differ in what they should share.
    #[error(
        "the runs differ in what they should share:\n  {differences}\nIf that is what you compare, say so: --across {across} (or --force for all)"
    )]
    Unlike {
        /// One a line.
        differences: String,
        /// Their kinds.
        across: String,
    },
    /// A folder for what is no file.
    #[error("--out goes with --format csv")]
    OutAlone,
    /// A flag of another form.
    #[error("{0} goes with --format csv")]
    OfCsv(&'static str),
    /// Several tables as CSV in one stream.
    #[error(
        "a report has several tables: name one with --table ({0}), or a folder with --out DIR for one file each"
    )]
    WhichCsv(String),
    /// A change of what a study has not.
    #[error("{0} goes with `dbdyno run`: a study has its own comparison")]
    BaselineOfRun(String),
    /// A baseline for nothing.
    #[error("--baseline goes with a budget that is a change, such as --budget 'p99 < +10%'")]
    BaselineAlone,
    /// Two results in one stream.
    #[error("standard output holds one result: of --json, --html, --markdown and --junit only one takes `-`")]
    OneOutput,
    /// A finding that there is not.
    #[error("no finding is called `{id}`{hint} (`dbdyno explain` lists them)")]
    NoFinding {
        /// What was given.
        id: String,
        /// `; did you mean …?`
        hint: String,
    },
}

/// Warm-up, unless the user says another.
const WARM_UP: GivenWarmUp = GivenWarmUp::Fixed(Duration::from_secs(2));
/// Longest warm-up until the system is steady, unless the user says another.
const WARM_UP_MAX: Duration = Duration::from_secs(60);
/// Clients of a pool study, for each connection of its largest pool: enough that the largest is never short of work.
pub(super) const CLIENTS_PER_CONNECTION: u32 = 2;

pub(super) fn run(arguments: &RunArguments, command: Vec<String>) -> Result<RunPlan, CommandError> {
    let stages = match (load(&arguments.load)?, arguments.duration) {
        (normal, whole) if arguments.profile.is_some() => profile(arguments.profile, normal, whole)?,
        (None, None) => StageChoice::Workload,
        (None, Some(_)) => return Err(UsageError::DurationAlone.into()),
        (Some(_), None) => return Err(UsageError::NoDuration.into()),
        (Some(load), Some(duration)) => {
            load.course().check_length(duration).map_err(UsageError::Course)?;
            StageChoice::One { load, duration }
        }
    };
    let mut measure = measure_of_run(&arguments.measure, command)?;
    if let Some(max_lag) = arguments.load.max_lag {
        if matches!(stages, StageChoice::Workload)
            && !measure.workload.stages.iter().any(|s| s.load.arrives())
        {
            let why = "no stage of the workload has one";
            let with = "--rate or --sessions";
            return Err(UsageError::NotOfThisLoad { flag: "--max-lag", with, why }.into());
        }
        for stage in &mut measure.workload.stages {
            stage.load = stage.load.clone().with_max_lag(max_lag);
        }
    }
    Ok(RunPlan { measure, pool_size: arguments.pool_size, stages })
}

/// The stages of a profile. All that they put on is known to be possible.
fn profile(
    name: Option<ProfileName>,
    normal: Option<Load>,
    whole: Option<Duration>,
) -> Result<StageChoice, UsageError> {
    let profile = match name {
        Some(ProfileName::Progressive) | None => Profile::Progressive,
        Some(ProfileName::Stress) => Profile::Stress,
        Some(ProfileName::Spike) => Profile::Spike,
        Some(ProfileName::Soak) => Profile::Soak,
    };
    let normal = normal
        .filter(|load| matches!(load.course(), Course::Constant(_)))
        .ok_or(UsageError::ProfileWithoutLoad)?;
    let whole = whole.unwrap_or(PROFILE_DEFAULT);
    if whole < PROFILE_MIN {
        return Err(UsageError::ProfileTooShort);
    }
    for stage in profile.stages(&normal, whole) {
        stage.load.course().check().map_err(UsageError::ProfileTooHigh)?;
    }
    Ok(StageChoice::Profile { profile, normal, whole })
}

pub(super) fn demo(arguments: &DemoArguments, command: Vec<String>) -> Result<PoolPlan, CommandError> {
    let folder = match &arguments.workload {
        Some(folder) => folder.clone(),
        None => demo_workload()?,
    };
    let sizes = Sizes::Listed(vec![1, 2, 4, 8, 16]);
    let loads = vec![Load::clients(32)];
    let workload = read(&folder, arguments.target.dialect)?;
    let measure = MeasurePlan {
        target: TargetChoice::Local(local(&arguments.local, arguments.target)?),
        protocol: workload.protocol.unwrap_or_default(),
        statement_timeout: workload.statement_timeout,
        is_protocol_chosen: false,
        rtt: std::time::Duration::ZERO,
        pooler: None,
        lifetime: None,
        storm: None,
        client_cpus: None,
        workload,
        seed: Seed::default(),
        scale: Some(arguments.scale),
        statistics: PlannerStatistics::Own,
        instances: 1,
        threads: 1,
        in_flight_max: 1000,
        acquire_timeout: std::time::Duration::from_secs(30),
        drain: std::time::Duration::from_secs(10),
        warm_up: WarmUp::Fixed(std::time::Duration::from_secs(1)),
        reset: Reset::None,
        probe_interval: Some(std::time::Duration::from_millis(100)),
        samples: None,
        budgets: Vec::new(),
        baselines: Vec::new(),
        runs_dir: runs_dir(arguments.result.runs_dir.as_ref())?,
        command,
        wishes: Wishes::default(),
    };
    let duration = std::time::Duration::from_secs(3);
    let shape = PoolShape { sizes, repeats: 3, duration, loads, goals: Vec::new(), current: None };
    Ok(PoolPlan { measure, shape })
}

pub(super) fn load_dataset(arguments: &LoadArguments) -> Result<LoadPlan, CommandError> {
    let target = target(&arguments.target)?;
    Ok(LoadPlan {
        workload: read(&arguments.workload, target.dialect())?,
        target,
        shape: LoadShape {
            scale: arguments.scale,
            seed: arguments.seed,
            jobs: arguments.jobs.unwrap_or_else(default_jobs),
            replace: arguments.replace,
            statistics: statistics(arguments.statistics),
        },
    })
}

/// What the planner is to know of tables that are filled.
pub(super) fn statistics(given: StatisticsOf) -> PlannerStatistics {
    match given {
        StatisticsOf::Own => PlannerStatistics::Own,
        StatisticsOf::Source => PlannerStatistics::Source,
    }
}

/// Where runs are kept.
pub(super) fn runs_dir(given: Option<&PathBuf>) -> Result<PathBuf, CommandError> {
    match given {
        Some(dir) => Ok(dir.clone()),
        None => Ok(crate::store::default_dir().map_err(StudyError::from)?),
    }
}

pub(super) fn target(arguments: &TargetArguments) -> Result<TargetChoice, CommandError> {
    if let Some(kind) = arguments.local() {
        return Ok(TargetChoice::Local(local(&arguments.local, kind)?));
    }
    if arguments.local.server_cpus.is_some() {
        return Err(UsageError::ServerCpus.into());
    }
    let target = Target::parse(&arguments.target).map_err(StudyError::from)?;
    Ok(TargetChoice::Existing(target))
}

/// Refuses what is known of PostgreSQL only, before a server is started or asked.
pub(super) fn needs_postgres(target: &TargetChoice, what: &'static str) -> Result<(), UsageError> {
    match target.dialect() {
        Dialect::Postgresql => Ok(()),
        Dialect::Mysql => Err(UsageError::PostgresOnly(what)),
    }
}

/// The same of what a measurement can be told.
fn refuse_on_mysql(arguments: &MeasureArguments, target: &TargetChoice) -> Result<(), UsageError> {
    let given = [
        (arguments.workload.is_none(), "a script of pgbench (--pgbench, -b)"),
        (arguments.pooler.pooler.is_some(), "--pooler"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, what)) => needs_postgres(target, what),
        None => Ok(()),
    }
}

pub(super) fn measure(
    arguments: &MeasureArguments,
    command: Vec<String>,
) -> Result<MeasurePlan, CommandError> {
    baseline::refuse(arguments)?;
    let mut measure = measure_of_run(arguments, command)?;
    // Those of the workload are made for its own stages. A study has others, and a question of its own: what is to hold in each of its
    // stages all the same says --budget.
    measure.budgets.drain(..measure.workload.budgets.len());
    Ok(measure)
}

/// The same of a run: with the budgets of the workload, and those that hold it against other runs.
fn measure_of_run(arguments: &MeasureArguments, command: Vec<String>) -> Result<MeasurePlan, CommandError> {
    let target = target(&arguments.target)?;
    refuse_on_mysql(arguments, &target)?;
    if arguments.statistics == StatisticsOf::Source && matches!(target, TargetChoice::Existing(_)) {
        return Err(UsageError::StatisticsOfSource.into());
    }
    let workload = match &arguments.workload {
        Some(folder) => {
            pgbench::refuse_alone(&arguments.pgbench)?;
            mixed(read(folder, target.dialect())?, arguments.mix.as_ref())?
        }
        None => pgbench::read(arguments, matches!(target, TargetChoice::Local(_)))?,
    };
    let mut budgets = workload.budgets.clone();
    // Those that are changes are read with what they are changes of.
    for given in arguments.budgets.iter().filter(|given| !RelativeBudget::is_meant(given)) {
        budgets.push(budget(given, &workload)?);
    }
    if arguments.renewal.churn.is_some() && arguments.warmup == Some(GivenWarmUp::Auto) {
        return Err(UsageError::ChurnWithoutRest.into());
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
        is_protocol_chosen: arguments.protocol.is_some(),
        pooler: pooler::choice(arguments)?,
        lifetime: arguments.renewal.churn,
        storm: arguments.renewal.storm,
        client_cpus: arguments.client_cpus.clone(),
        samples: samples(arguments, &workload)?,
        workload,
        seed: arguments.seed,
        scale: arguments.scale,
        statistics: statistics(arguments.statistics),
        instances: arguments.instances,
        threads: arguments.threads.unwrap_or(cores).clamp(1, arguments.instances),
        in_flight_max: arguments.in_flight_max,
        acquire_timeout: arguments.acquire_timeout,
        drain: arguments.drain,
        warm_up: warm_up(arguments.warmup.unwrap_or(WARM_UP), arguments.warmup_max)?,
        reset: match arguments.reset {
            ResetTo::None => Reset::None,
            ResetTo::Template => Reset::Template,
        },
        probe_interval: (!arguments.no_probes).then_some(arguments.probe_interval),
        budgets,
        baselines: Vec::new(),
        runs_dir: runs_dir(arguments.result.runs_dir.as_ref())?,
        command,
        wishes: Wishes::default(),
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

fn warm_up(given: GivenWarmUp, max: Option<Duration>) -> Result<WarmUp, UsageError> {
    match (given, max) {
        (GivenWarmUp::Auto, limit) => Ok(WarmUp::UntilSteady { limit: limit.unwrap_or(WARM_UP_MAX) }),
        (GivenWarmUp::Fixed(_), Some(_)) => Err(UsageError::WarmUpMaxAlone),
        (GivenWarmUp::Fixed(length), None) => Ok(WarmUp::Fixed(length)),
    }
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
    limit_on(given, workload).map_err(|reason| UsageError::Budget { given: given.to_owned(), reason })
}

/// A metric of the workload with its limit, or what is wrong with it.
pub(super) fn limit_on(given: &str, workload: &Workload) -> Result<BudgetSpec, String> {
    let Goal { metric, limit } =
        given.parse::<Goal>().map_err(|error: crate::model::metric::MetricError| error.to_string())?;
    let known = workload.measurable();
    known.has(&metric).and_then(|()| known.fits(&metric, &limit)).map_err(|foreign| {
        let hint = foreign.help.map_or_else(String::new, |help| format!(" ({help})"));
        format!("{}{hint}", foreign.message)
    })?;
    Ok(BudgetSpec { metric, limit })
}

/// Each part of each goal.
pub(super) fn goals(given: &[String], workload: &Workload) -> Result<Vec<BudgetSpec>, UsageError> {
    let parts = given.iter().flat_map(|goal| goal.split(',')).map(str::trim);
    let goal = |part: &str| {
        limit_on(part, workload).map_err(|reason| UsageError::Goal { given: part.to_owned(), reason })
    };
    parts.map(goal).collect()
}

/// The load that the flags say, if they say one.
pub(super) fn load(arguments: &LoadOfRun) -> Result<Option<Load>, UsageError> {
    let LoadOfRun { level, arrivals, transactions, think, max_lag } = arguments;
    let Level { rate, clients, sessions } = level;
    let of_stages = "in the workload's own stages it is said with the key of that name";
    let only = |given: bool, flag, with, has_it: bool, why| {
        let has_load = rate.is_some() || clients.is_some() || sessions.is_some();
        let why = if has_load { why } else { of_stages };
        if given && !has_it { Err(UsageError::NotOfThisLoad { flag, with, why }) } else { Ok(()) }
    };
    let arrives = rate.is_some() || sessions.is_some();
    let thinks = clients.is_some() || sessions.is_some();
    let why = "a client begins when its last transaction has ended";
    only(arrivals.is_some(), "--arrivals", "--rate or --sessions", arrives, why)?;
    let why = "at a rate nobody waits for an answer before the next transaction";
    only(think.is_some(), "--think", "--clients or --sessions", thinks, why)?;
    let why = "it says how many each session makes";
    only(transactions.is_some(), "--transactions", "--sessions", sessions.is_some(), why)?;
    // Without a load it is said of the workload's stages.
    let why = "with --clients nothing is planned, so that nothing is late";
    only(max_lag.is_some(), "--max-lag", "--rate or --sessions", clients.is_none(), why)?;
    let arrivals = match arrivals {
        Some(ArrivalsArgument::Poisson) => Arrivals::Poisson,
        Some(ArrivalsArgument::Constant) | None => Arrivals::Constant,
    };
    let (think, max_lag) = (*think, *max_lag);
    Ok(match (rate, clients, sessions) {
        (Some(rate), ..) => Some(Load::Open { rate: rate.clone(), arrivals, max_lag }),
        (None, Some(clients), _) => Some(Load::Closed { clients: clients.clone(), think }),
        (None, None, Some(sessions)) => Some(Load::PartlyOpen {
            sessions: sessions.clone(),
            arrivals,
            transactions: transactions.ok_or(UsageError::NoTransactions)?,
            think,
            max_lag,
        }),
        (None, None, None) => None,
    })
}

fn local(arguments: &LocalArguments, kind: LocalKind) -> Result<LocalOptions, UsageError> {
    let mut settings = Vec::new();
    for given in &arguments.settings {
        let (name, value) = given.split_once('=').ok_or_else(|| UsageError::Setting(given.clone()))?;
        settings.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(LocalOptions {
        dialect: kind.dialect,
        brand: kind.brand,
        bindir: arguments.bindir.clone(),
        settings,
        cpus: arguments.server_cpus.clone(),
        supervisor: None,
    })
}

/// The workload as the engine runs it.
pub(super) fn read(folder: &Path, dialect: Dialect) -> Result<Workload, CommandError> {
    Ok(workload::load_for(folder, dialect).map_err(StudyError::from)?)
}

/// The workload with the shares that the user asks for.
pub(super) fn mixed(workload: Workload, mix: Option<&Mix>) -> Result<Workload, UsageError> {
    match mix {
        Some(mix) => Ok(workload.with_mix(mix)?),
        None => Ok(workload),
    }
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
