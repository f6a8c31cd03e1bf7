//! The report of a run that was cut off, from what its journal holds.

use std::path::{Path, PathBuf};

use crate::analysis::Analysis;
use crate::model::Report;
use crate::record::entry::Entry;
use crate::record::kept::KeptDistribution;
use crate::store;

use super::StudyError;

/// A report made from a journal.
#[derive(Debug)]
pub struct Recovered {
    /// The report.
    pub report: Report,
    /// The distributions by which it can be compared with other runs.
    pub kept: Vec<KeptDistribution>,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// Whether the journal has an end; without one the run was cut off.
    pub whole: bool,
}

/// Reads the journal of a run and makes its report anew.
pub fn recover(run_dir: &Path) -> Result<Recovered, StudyError> {
    let mut analysis = Analysis::default();
    let mut whole = false;
    for entry in store::read(&run_dir.join(store::JOURNAL))? {
        let entry = entry?;
        whole |= matches!(entry, Entry::End(_));
        analysis.push(&entry)?;
    }
    let kept = analysis.kept();
    Ok(Recovered { report: analysis.finish()?, kept, run_dir: run_dir.to_owned(), whole })
}
