//! Results to standard output, everything else to standard error.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::dataset::DatasetError;
use crate::db::redact::redact;
use crate::engine::EngineError;
use crate::model::{Calibration, Report};
use crate::report;
use crate::study::StudyError;

use super::CommandError;
use super::args::Output;
use super::plan::UsageError;

/// Reports are as wide as the terminal within these bounds; where there is none, as wide as the smallest.
const WIDTH_MIN: usize = 80;
const WIDTH_MAX: usize = 120;

/// Makes sure, before minutes are spent on it, that the report can be written where it is wanted. What is there stays.
pub(super) fn check(wanted: &Output) -> Result<(), CommandError> {
    if is_standard_output(wanted.html.as_deref()) && is_standard_output(wanted.json.as_deref()) {
        return Err(UsageError::OneOutput.into());
    }
    check_file(wanted.html.as_deref())?;
    check_file(wanted.json.as_deref())
}

/// The same of one file.
pub(super) fn check_file(json: Option<&Path>) -> Result<(), CommandError> {
    match json {
        Some(path) if path != Path::new("-") => {
            let opened = std::fs::File::options().append(true).create(true).open(path);
            opened.map(drop).map_err(unwritable(path))
        }
        _ => Ok(()),
    }
}

/// Whether a result is wanted on standard output, alone.
pub(super) fn is_standard_output(path: Option<&Path>) -> bool {
    path == Some(Path::new("-"))
}

/// Writes a result where it is wanted, if it is.
pub(super) fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), CommandError> {
    match path {
        None => Ok(()),
        Some(path) if is_standard_output(Some(path)) => print(&text()),
        Some(path) => std::fs::write(path, text()).map_err(unwritable(path)),
    }
}

/// Writes a report in the forms that were asked for.
pub(super) fn write_forms(report: &Report, wanted: &Output) -> Result<(), CommandError> {
    let html = write(wanted.html.as_deref(), || report::html(report));
    let json = write(wanted.json.as_deref(), || report::json(report) + "\n");
    html.and(json)
}

/// Shows a report in the way that was asked for. A file that cannot be written does not keep it from the screen.
pub(super) fn show(report: &Report, wanted: &Output) -> Result<(), CommandError> {
    let written = write_forms(report, wanted);
    if is_standard_output(wanted.html.as_deref()) || is_standard_output(wanted.json.as_deref()) {
        return written;
    }
    print(&report::terminal(report, &options(wanted.full)))?;
    written
}

/// How pages look on standard output.
pub(super) fn options(full: bool) -> report::Options {
    let detail = if full { report::Detail::Full } else { report::Detail::Summary };
    report::Options { width: width_of_page(), colour: colour(), detail }
}

/// Shows a calibration in the way that was asked for.
pub(super) fn show_calibration(calibration: &Calibration, json: Option<&Path>) -> Result<(), CommandError> {
    let mut written = Ok(());
    if let Some(path) = json {
        let text = pretty(calibration);
        if path == Path::new("-") {
            return print(&text);
        }
        written = std::fs::write(path, text + "\n").map_err(unwritable(path));
    }
    print(&report::calibration(calibration, &options(false)))?;
    written
}

pub(super) fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let to = path.display().to_string();
    move |source| CommandError::Output { to, source }
}

/// Writes a result to standard output, with one newline at its end. A reader that went away (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::Output { to: "standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// A value as JSON for people.
pub(super) fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
}

/// Says on standard error what a person should know.
pub(super) fn tell(words: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{words}");
}

/// The whole chain of an error, once, with the hint that helps.
pub(super) fn explain(error: &CommandError, colour: bool) -> String {
    if let CommandError::Study(
        StudyError::Workload(mistakes) | StudyError::Dataset(DatasetError::Mistakes(mistakes)),
    ) = error
    {
        return mistakes.render(colour && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
    }
    let mut words = format!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        // A message that holds its cause already does not say it twice.
        if !words.contains(&cause_words) {
            words += &format!(": {cause_words}");
        }
        source = cause.source();
    }
    if let Some(hint) = hint(error) {
        words += &format!("\n hint: {hint}");
    }
    words
}

fn hint(error: &CommandError) -> Option<String> {
    match error {
        CommandError::Study(StudyError::Connect(error) | StudyError::Engine(EngineError::Connect(error))) => {
            error.hint()
        }
        _ => None,
    }
}

/// The command as it was given, passwords removed, quoted so that a shell reads it again.
pub(super) fn command_line(given: &[OsString]) -> Vec<String> {
    let words = given.iter().skip(1).map(|word| quoted(&redact(&word.to_string_lossy())));
    std::iter::once("dbdyno".to_owned()).chain(words).collect()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether standard output takes colour: it is a terminal, and `NO_COLOR` is not set.
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of a page on standard output.
pub(super) fn width_of_page() -> usize {
    width_of_terminal().unwrap_or(WIDTH_MIN).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// Columns of the terminal on standard output, if it is one or the environment says so.
pub(super) fn width_of_terminal() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal =
        || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    columns.or_else(terminal).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_and_holds_no_password() {
        let given =
            ["x", "run", "-t", "postgres://u:secret@h/d", "--budget", "p99 < 50ms"].map(OsString::from);
        let line = command_line(&given).join(" ");
        assert!(!line.contains("secret"), "{line}");
        assert!(line.ends_with("--budget 'p99 < 50ms'"), "{line}");
    }
}
