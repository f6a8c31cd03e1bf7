//! The command line: arguments to a plan, a study, its result to standard output, and the exit code.

mod ab;
mod args;
mod doctor;
mod output;
mod pgbench;
mod plan;
mod preview;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::dataset::DatasetError;
use crate::live::Plain;
use crate::local::LocalError;
use crate::model::Verdict;
use crate::record::entry::EndReason;
use crate::store;
use crate::study::{self, Outcome, StudyError};

use args::{Arguments, Command};
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
            let mut live = Plain::new(arguments.output.quiet);
            let plan = plan::demo(&arguments, command_line)?;
            output::check(&arguments.output)?;
            let outcome = study::pool(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            conclude(&outcome?, &arguments.output)
        }
        Command::Run(arguments) => {
            let mut live = Plain::new(arguments.measure.output.quiet);
            let plan = plan::run(&arguments, command_line)?;
            output::check(&arguments.measure.output)?;
            let outcome = study::run(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            conclude(&outcome?, &arguments.measure.output)
        }
        Command::Pool(arguments) => {
            let mut live = Plain::new(arguments.measure.output.quiet);
            let plan = plan::pool(&arguments, command_line)?;
            output::check(&arguments.measure.output)?;
            let outcome = study::pool(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            conclude(&outcome?, &arguments.measure.output)
        }
        Command::Ab(arguments) => {
            let mut live = Plain::new(arguments.measure.output.quiet);
            let plan = ab::plan(&arguments, command_line)?;
            output::check(&arguments.measure.output)?;
            let outcome = study::ab(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            conclude(&outcome?, &arguments.measure.output)
        }
        Command::Load(arguments) => {
            let mut live = Plain::new(arguments.quiet);
            let plan = plan::load_dataset(&arguments)?;
            let loaded = study::load(&plan, &mut |what| live.tell(&what)).await;
            live.finish();
            loaded?;
            Ok(code::OK)
        }
        Command::Preview(arguments) => preview::preview(&arguments),
        Command::Report(arguments) => show_report(&arguments),
        Command::Calibrate(arguments) => calibrate(&arguments).await,
        Command::Doctor(arguments) => doctor::doctor(&arguments).await,
        Command::Schema(_) => {
            output::print(&output::pretty(&crate::workload::schema::json_schema()))?;
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

/// Prints the report, writes it where it is wanted, and says how it went by the exit code.
fn conclude(outcome: &Outcome, wanted: &args::Output) -> Result<u8, CommandError> {
    let shown = output::show(&outcome.report, wanted);
    for note in &outcome.notes {
        output::tell(&format!("note: {note}"));
    }
    if !wanted.quiet {
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

fn show_report(arguments: &args::ReportArguments) -> Result<u8, CommandError> {
    let dir = plan::runs_dir(arguments.runs_dir.as_ref())?;
    let run_dir = match &arguments.run {
        Some(path) if std::path::Path::new(path).join(store::JOURNAL).is_file() => path.into(),
        name => store::find(&dir, name.as_deref()).map_err(StudyError::from)?,
    };
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
    let report = kept.unwrap_or(recovered.report);
    match arguments.format {
        args::Format::Json => output::print(&crate::report::json(&report))?,
        args::Format::Terminal => output::show(&report, &arguments.output)?,
    }
    Ok(code::OK)
}
