//! The command line: arguments to a plan, a study, its result to standard output, and the exit code.

mod ab;
mod args;
mod baseline;
mod capacity;
mod capture;
mod compare;
mod doctor;
mod explain;
mod export;
mod fidelity;
mod index;
mod keep;
mod migration;
mod output;
mod pgbench;
mod plan;
mod pool;
mod pooler;
mod preview;
mod runs;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::dataset::DatasetError;
use crate::live::{Live, Plain, Watching};
use crate::local::LocalError;
use crate::model::Verdict;
use crate::record::entry::EndReason;
use crate::store;
use crate::store::StoreError;
use crate::store::history::{History, HistoryError};
use crate::study::{self, MeasurePlan, Outcome, StudyError};

use args::{Arguments, Command, ResultArguments, SchemaOf};
use keep::Keep;
pub use plan::UsageError;

/// Exit codes, a stable interface.
mod code {
    pub const OK: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const BUDGET: u8 = 3;
    pub const INVALID: u8 = 4;
    pub const INTERRUPTED: u8 = 130;
}

/// What a command ends with when it gives no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The arguments do not fit.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The study gave nothing.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A result cannot be written.
    #[error("cannot write {to}: {source}")]
    Output {
        /// Where to.
        to: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Input {
        /// Which.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Nobody can be served there.
    #[error("cannot serve metrics at {address}: {source} (choose another port with --metrics)")]
    Metrics {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A stored report cannot be shown.
    #[error("{0}")]
    Report(String),
}

/// Runs the program with its arguments and gives its exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given: Vec<OsString> = arguments.into_iter().collect();
    // Not a command for people: this process is to own a throwaway server, without an event loop and without messages.
    if given.get(1).is_some_and(|first| first == crate::local::SUPERVISE) {
        let arguments: Vec<String> =
            given[2..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let code = if crate::local::supervise(&arguments).is_ok() { code::OK } else { code::FAILED };
        return ExitCode::from(code);
    }
    let matches = match Arguments::command().try_get_matches_from(&given) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are results; everything else is a mistake of usage.
            let code = if error.use_stderr() { code::USAGE } else { code::OK };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(code::USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::tell(&format!("cannot start an event loop: {error}"));
            return ExitCode::from(code::FAILED);
        }
    };
    let command_line = output::command_line(&given);
    let code = match runtime.block_on(execute(arguments.command, command_line)) {
        Ok(code) => code,
        Err(error) => {
            output::tell(&output::explain(&error, std::io::stderr().is_terminal()));
            match error {
                CommandError::Usage(_)
                | CommandError::Study(
                    StudyError::Workload(_)
                    | StudyError::Target(_)
                    | StudyError::Refused(_)
                    | StudyError::Local(LocalError::Setting { .. } | LocalError::Affinity(_))
                    | StudyError::Dataset(DatasetError::Mistakes(_) | DatasetError::QueryValues { .. }),
                ) => code::USAGE,
                CommandError::Study(StudyError::Interrupted | StudyError::LoadInterrupted { .. }) => {
                    code::INTERRUPTED
                }
                _ => code::FAILED,
            }
        }
    };
    ExitCode::from(code)
}

async fn execute(command: Command, command_line: Vec<String>) -> Result<u8, CommandError> {
    match command {
        Command::Demo(arguments) => {
            let plan = plan::demo(&arguments, command_line)?;
            measured(&arguments.result, &plan.measure, async |live| {
                Box::pin(study::pool(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Run(arguments) => {
            let mut plan = plan::run(&arguments, command_line)?;
            let measure = &mut plan.measure;
            measure.baselines =
                baseline::read(&arguments.measure, &measure.workload, &measure.runs_dir).await?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::run(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Pool(arguments) => {
            let plan = pool::plan(&arguments, command_line)?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::pool(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Ab(arguments) => {
            let plan = ab::plan(&arguments, command_line)?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::ab(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Index(arguments) => {
            let plan = index::plan(&arguments, command_line)?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::index(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Migration(arguments) => {
            let plan = migration::plan(&arguments, command_line)?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::migration(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Capacity(arguments) => {
            let plan = capacity::plan(&arguments, command_line)?;
            measured(&arguments.measure.result, &plan.measure, async |live| {
                Box::pin(study::capacity(&plan, &mut |what| live.tell(&what))).await
            })
            .await
        }
        Command::Capture(arguments) => capture::capture(&arguments).await,
        Command::Fidelity(arguments) => fidelity::fidelity(&arguments).await,
        Command::Load(arguments) => {
            let mut live = Plain::new(arguments.quiet);
            let plan = plan::load_dataset(&arguments)?;
            let loaded = study::load(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            loaded?;
            Ok(code::OK)
        }
        Command::Preview(arguments) => preview::preview(&arguments),
        Command::Report(arguments) => show_report(&arguments).await,
        Command::Compare(arguments) => compare::main(&arguments).await,
        Command::Runs(arguments) => runs::runs(&arguments).await,
        Command::Calibrate(arguments) => calibrate(&arguments).await,
        Command::Doctor(arguments) => doctor::doctor(&arguments).await,
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Schema(arguments) => {
            let schema = match arguments.of {
                SchemaOf::Workload => crate::workload::schema::json_schema(),
                SchemaOf::Report => crate::report::schema_of_reports(),
                SchemaOf::Compare => crate::report::schema_of_comparisons(),
            };
            output::print(&output::pretty(&schema))?;
            Ok(code::OK)
        }
        Command::Completions(arguments) => {
            let mut text = Vec::new();
            clap_complete::generate(arguments.shell, &mut Arguments::command(), "dbdyno", &mut text);
            output::print(&String::from_utf8_lossy(&text))?;
            Ok(code::OK)
        }
        Command::Man(_) => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Arguments::command())
                .render(&mut text)
                .map_err(|source| CommandError::Output { to: "the manual page".to_owned(), source })?;
            output::print(&String::from_utf8_lossy(&text))?;
            Ok(code::OK)
        }
    }
}

/// Has a study measure, once the place for its result is known to be there, and shows and keeps what it gives.
async fn measured(
    wanted: &ResultArguments,
    plan: &MeasurePlan,
    study: impl AsyncFnOnce(&mut Live) -> Result<Outcome, StudyError>,
) -> Result<u8, CommandError> {
    export::check(&wanted.export, &wanted.output)?;
    let keep = Keep::ready(&wanted.keep, &plan.runs_dir).await?;
    let watching = Watching {
        quiet: wanted.output.quiet,
        screen: wanted.live.live,
        metrics: wanted.live.metrics,
        wishes: plan.wishes.clone(),
    };
    let mut live = Live::open(&watching).await.map_err(|source| CommandError::Metrics {
        address: wanted.live.metrics.map_or_else(String::new, |address| address.to_string()),
        source,
    })?;
    let outcome = study(&mut live).await;
    live.finish();
    conclude(&outcome?, wanted, &keep).await
}

/// Measures the generator itself, and shows it in the way that was asked for.
async fn calibrate(arguments: &args::CalibrateArguments) -> Result<u8, CommandError> {
    let mut live = Plain::new(arguments.quiet);
    let runs_dir = plan::runs_dir(arguments.runs_dir.as_ref())?;
    let plan = study::CalibratePlan { each: arguments.duration, runs_dir };
    output::check_file(arguments.json.as_deref())?;
    let calibrated = study::calibrate(&plan, &mut |what| live.tell(&what)).await;
    live.finish();
    let study::Calibrated { calibration, path } = calibrated?;
    let shown = output::show_calibration(&calibration, arguments.json.as_deref());
    if !arguments.quiet {
        output::tell(&format!("kept in {}", path.display()));
    }
    shown?;
    Ok(code::OK)
}

/// Prints the report, writes it where it is wanted, keeps the run in the history, and says how it went by the exit code.
async fn conclude(outcome: &Outcome, wanted: &ResultArguments, keep: &Keep) -> Result<u8, CommandError> {
    let shown = export::show(&outcome.report, &wanted.output, &wanted.export);
    for note in outcome.notes.iter().cloned().chain(keep.keep(outcome).await.err()) {
        output::tell(&format!("note: {note}"));
    }
    if !wanted.output.quiet {
        output::tell(&format!(
            "kept in {} ({}, {})",
            outcome.run_dir.display(),
            store::JOURNAL,
            store::REPORT
        ));
    }
    shown?;
    Ok(match (outcome.ended, outcome.report.verdict) {
        (EndReason::Interrupted, _) => code::INTERRUPTED,
        (EndReason::TargetLost | EndReason::Failed, _) => code::FAILED,
        (EndReason::Completed, Verdict::Fail) => code::BUDGET,
        (EndReason::Completed, Verdict::Inconclusive) => code::INVALID,
        (EndReason::Completed, Verdict::Pass | Verdict::None) => code::OK,
    })
}

async fn show_report(arguments: &args::ReportArguments) -> Result<u8, CommandError> {
    export::check_form(arguments)?;
    output::check(&arguments.output)?;
    let dir = plan::runs_dir(arguments.runs_dir.as_ref())?;
    let run_dir = match &arguments.run {
        Some(path) if std::path::Path::new(path).join(store::JOURNAL).is_file() => path.into(),
        name => match (store::find(&dir, name.as_deref()), name) {
            (Ok(run_dir), _) => run_dir,
            (Err(missing @ StoreError::NoRun { .. }), Some(name)) => {
                return show_stored(name, missing, &dir, arguments).await;
            }
            (Err(error), _) => return Err(StudyError::from(error).into()),
        },
    };
    if arguments.format == args::Format::Hlog {
        export::hlog(&run_dir)?;
        return Ok(code::OK);
    }
    let recovered = study::recover(&run_dir)?;
    // A journal without an end belongs to a run that was cut off, unless its disk was full: then the report was kept.
    let kept = if recovered.whole || arguments.recover {
        None
    } else {
        store::read_report(&run_dir).map_err(StudyError::from)?
    };
    if !recovered.whole && kept.is_none() && !arguments.recover {
        return Err(CommandError::Report(format!(
            "run {} was cut off before its end; `dbdyno report --recover {}` shows what was measured until then",
            recovered.report.id, recovered.report.id
        )));
    }
    show_as(&kept.unwrap_or(recovered.report), arguments)
}

/// The report of a run that has no folder here, but a place in the history.
async fn show_stored(
    name: &str,
    missing: StoreError,
    dir: &std::path::Path,
    arguments: &args::ReportArguments,
) -> Result<u8, CommandError> {
    let history = History::open(&keep::address(arguments.store.as_deref(), dir)?).await?;
    let found = match history.find(name).await {
        Ok(run) => history.report(&run.id).await.map(|report| (run.id, report)),
        Err(HistoryError::NoRun { .. }) => return Err(StudyError::from(missing).into()),
        Err(error) => Err(error),
    };
    history.close().await;
    let (id, report) = found?;
    if arguments.format == args::Format::Hlog {
        return Err(CommandError::Report(format!(
            "run {id} stands in the history, and its journal is not in {}: its distributions by second are kept there alone",
            dir.display()
        )));
    }
    show_as(&store::report_of(&id, &report)?, arguments)
}

fn show_as(report: &crate::model::Report, arguments: &args::ReportArguments) -> Result<u8, CommandError> {
    match arguments.format {
        args::Format::Json => output::print(&crate::report::json(report))?,
        args::Format::Html => output::print(&crate::report::html(report))?,
        args::Format::Terminal => output::show(report, &arguments.output)?,
        args::Format::Markdown => output::print(&crate::report::markdown(report))?,
        args::Format::Junit => output::print(&crate::report::junit(report))?,
        args::Format::Csv => export::csv(report, arguments)?,
        args::Format::Hlog => {
            return Err(CommandError::Report("an interval log is made from a journal".to_owned()));
        }
    }
    Ok(code::OK)
}
