//! Reports in the forms that other programs read: Markdown for pull requests, JUnit for test runners, CSV, interval logs.

use std::io::Write as _;
use std::path::Path;

use crate::model::Report;
use crate::report::{self, Hlog, Table};
use crate::store;
use crate::study::StudyError;

use super::args::{CsvTable, ExportArguments, Format, Output, ReportArguments};
use super::plan::UsageError;
use super::{CommandError, output};

/// Where GitHub Actions wants what a step has to say, as Markdown.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Makes sure, before minutes are spent on it, that every file can be written, and that standard output holds one thing.
pub(super) fn check(export: &ExportArguments, wanted: &Output) -> Result<(), CommandError> {
    let all = [&wanted.html, &wanted.json, &export.markdown, &export.junit];
    if all.into_iter().filter(|path| output::is_standard_output(path.as_deref())).count() > 1 {
        return Err(UsageError::OneOutput.into());
    }
    all.into_iter().try_for_each(|path| output::check_file(path.as_deref()))
}

/// Shows a report and writes it in every form that was asked for. A file that cannot be written does not keep it from the screen.
pub(super) fn show(report: &Report, wanted: &Output, export: &ExportArguments) -> Result<(), CommandError> {
    let markdown = output::write(export.markdown.as_deref(), || report::markdown(report));
    let junit = output::write(export.junit.as_deref(), || report::junit(report));
    summarise(report);
    let mut own = [&export.markdown, &export.junit].into_iter();
    let shown = if own.any(|path| output::is_standard_output(path.as_deref())) {
        output::write_forms(report, wanted)
    } else {
        output::show(report, wanted)
    };
    shown.and(markdown).and(junit)
}

/// Appends the report to the summary of the step, where a step of GitHub Actions runs this. That it fails is worth a word and no more.
fn summarise(report: &Report) {
    let Some(path) = std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty()) else { return };
    let appended = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all((report::markdown(report) + "\n").as_bytes()));
    if let Err(error) = appended {
        output::tell(&format!("note: cannot append to {STEP_SUMMARY} ({}): {error}", path.to_string_lossy()));
    }
}

/// Refuses flags of one form that were given with another.
pub(super) fn check_form(arguments: &ReportArguments) -> Result<(), UsageError> {
    let csv = arguments.format == Format::Csv;
    match (csv, &arguments.table, &arguments.out) {
        (false, Some(_), _) => Err(UsageError::OfCsv("--table")),
        (false, None, Some(_)) => Err(UsageError::OutAlone),
        (true, None, None) => Err(UsageError::WhichCsv(names())),
        _ => Ok(()),
    }
}

fn names() -> String {
    Table::ALL.map(Table::as_str).join(", ")
}

fn table(given: CsvTable) -> Table {
    match given {
        CsvTable::Intervals => Table::Intervals,
        CsvTable::Transactions => Table::Transactions,
        CsvTable::Statements => Table::Statements,
        CsvTable::Locks => Table::Locks,
        CsvTable::Waits => Table::Waits,
    }
}

/// Prints one table, or writes each into a file of a folder.
pub(super) fn csv(report: &Report, arguments: &ReportArguments) -> Result<(), CommandError> {
    if let Some(one) = arguments.table {
        // As it is: lines of this format end in their own way.
        return print_raw(&report::csv(report, table(one)));
    }
    let Some(folder) = &arguments.out else { return Err(UsageError::WhichCsv(names()).into()) };
    std::fs::create_dir_all(folder).map_err(output::unwritable(folder))?;
    for table in Table::ALL {
        let path = folder.join(table.as_str()).with_extension("csv");
        std::fs::write(&path, report::csv(report, table)).map_err(output::unwritable(&path))?;
    }
    Ok(())
}

/// Prints the interval log of a run whose journal is here, entry by entry: it may be larger than the memory.
pub(super) fn hlog(run_dir: &Path) -> Result<(), CommandError> {
    let mut log = Hlog::default();
    for entry in store::read(&run_dir.join(store::JOURNAL)).map_err(StudyError::from)? {
        let entry = entry.map_err(StudyError::from)?;
        let lines = log.push(&entry).map_err(|error| CommandError::Report(error.to_string()))?;
        print_raw(&lines)?;
    }
    Ok(())
}

/// Writes a text to standard output as it is. A reader that went away (`| head`) is no error.
fn print_raw(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::Output { to: "standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
