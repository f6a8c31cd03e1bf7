//! What outlives a run: a folder with its journal (written each second) and its report (written at the end), and the history of
//! all runs in a database.

pub mod history;
mod journal;
mod runs;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Calibration, Report};
use crate::units::RunId;

pub use journal::{Journal, read};
pub use runs::{KeptError, distributions_of, record_of, report_of};

/// Name of the journal in a run's folder.
pub const JOURNAL: &str = "journal.jsonl";
/// Name of the report in a run's folder.
pub const REPORT: &str = "report.json";
/// Name of the history's file, beside the folders of the runs.
pub const HISTORY: &str = "history.sqlite";
/// Name of the folder of calibrations, beside those of the runs.
const CALIBRATIONS: &str = "calibration";

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No folder for data, and none was named.
    #[error("cannot tell where to keep runs: no home folder is set (name one with --runs-dir)")]
    NoHome,
    /// A file or folder cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `write`, `read`, …
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of a journal is not an entry. A last line that was cut off is not an error.
    #[error("{}, line {line}: not an entry of a journal: {source}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// No run has that name.
    #[error("no run `{name}` in {} (run `dbdyno report` without a name for the last one)", dir.display())]
    NoRun {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// Several runs begin so.
    #[error("`{name}` may be {}: give more of the name", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it may be.
        candidates: Vec<String>,
    },
}

impl StoreError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// The folder of all runs, unless the user names another: `dbdyno/runs` in the user's data folder.
pub fn default_dir() -> Result<PathBuf, StoreError> {
    use etcetera::BaseStrategy as _;
    let strategy = etcetera::choose_base_strategy().map_err(|_| StoreError::NoHome)?;
    Ok(strategy.data_dir().join("dbdyno").join("runs"))
}

/// The folder of one run: by its name, by the beginning of it, or the last of all when no name is given.
pub fn find(dir: &Path, name: Option<&str>) -> Result<PathBuf, StoreError> {
    let runs = list(dir)?;
    let not_found =
        || StoreError::NoRun { name: name.unwrap_or("(the last)").to_owned(), dir: dir.to_owned() };
    let Some(name) = name else { return runs.last().map(|run| dir.join(run)).ok_or_else(not_found) };
    if let Some(run) = runs.iter().find(|run| *run == name) {
        return Ok(dir.join(run));
    }
    let candidates: Vec<String> = runs.into_iter().filter(|run| run.starts_with(name)).collect();
    match candidates.as_slice() {
        [] => Err(not_found()),
        [run] => Ok(dir.join(run)),
        _ => Err(StoreError::Ambiguous { name: name.to_owned(), candidates }),
    }
}

/// Names of all runs, the oldest first.
pub fn list(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", dir)(error)),
    };
    let mut runs: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join(JOURNAL).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    runs.sort_unstable();
    Ok(runs)
}

/// Writes the report of a run beside its journal.
pub fn write_report(run_dir: &Path, report: &Report) -> Result<(), StoreError> {
    write_json(&run_dir.join(REPORT), report)
}

/// The report that was written beside a journal; nothing where the run did not come so far.
pub fn read_report(run_dir: &Path) -> Result<Option<Report>, StoreError> {
    read_json(&run_dir.join(REPORT))
}

/// Keeps a calibration under its key beside the runs, in place of an earlier one.
pub fn write_calibration(
    runs_dir: &Path,
    key: &str,
    calibration: &Calibration,
) -> Result<PathBuf, StoreError> {
    let path = calibration_path(runs_dir, key);
    let dir = runs_dir.join(CALIBRATIONS);
    std::fs::create_dir_all(&dir).map_err(StoreError::io("make the folder", &dir))?;
    write_json(&path, calibration)?;
    Ok(path)
}

/// The calibration that is kept under a key, if there is one.
pub fn read_calibration(runs_dir: &Path, key: &str) -> Result<Option<Calibration>, StoreError> {
    read_json(&calibration_path(runs_dir, key))
}

fn calibration_path(runs_dir: &Path, key: &str) -> PathBuf {
    runs_dir.join(CALIBRATIONS).join(format!("{key}.json"))
}

/// Writes a file whole or not at all: half a report on a full disk would be taken for one.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let part = path.with_extension("json.part");
    let json = serde_json::to_vec_pretty(value).map_err(std::io::Error::from);
    let written =
        json.and_then(|json| std::fs::write(&part, json)).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        // What could not be written for want of room takes none.
        let _ = std::fs::remove_file(&part);
        StoreError::io("write", path)(error)
    })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let value = serde_json::from_slice(&bytes).map_err(std::io::Error::from);
    value.map(Some).map_err(StoreError::io("read", path))
}

/// A new name: the time in UTC, and four digits that tell runs of one second apart.
#[must_use]
pub fn new_run_id(unix_us: i64, noise: u16) -> RunId {
    let time = jiff::Timestamp::from_microsecond(unix_us).unwrap_or_default();
    RunId(format!("{}-{noise:04x}", time.strftime("%Y%m%d-%H%M%S")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_the_beginning_of_their_names_and_sort_by_time() {
        let dir = tempfile::tempdir().expect("a folder");
        for (unix_us, noise) in [(1_000_000, 2), (90_000_000_000, 0xabcd), (2_000_000, 1)] {
            let run = dir.path().join(new_run_id(unix_us, noise).0);
            std::fs::create_dir(&run).expect("a folder");
            std::fs::write(run.join(JOURNAL), "").expect("a file");
        }
        let names = list(dir.path()).expect("readable");
        assert_eq!(names, ["19700101-000001-0002", "19700101-000002-0001", "19700102-010000-abcd"]);
        assert_eq!(find(dir.path(), None).expect("the last"), dir.path().join(&names[2]));
        assert_eq!(find(dir.path(), Some("19700102")).expect("one"), dir.path().join(&names[2]));
        assert!(matches!(find(dir.path(), Some("19700101")), Err(StoreError::Ambiguous { .. })));
        assert!(matches!(find(dir.path(), Some("x")), Err(StoreError::NoRun { .. })));
    }
}
