//! Everything that is measured goes through here: into the journal on disk, and into the analysis that makes the report.

use std::path::PathBuf;

use crate::analysis::Analysis;
use crate::model::Report;
use crate::record::entry::{Entry, Event};
use crate::store::{self, Journal};
use crate::units::Stamp;

use super::StudyError;

/// The journal and the analysis of one run.
pub(super) struct Recording {
    journal: Journal,
    analysis: Analysis,
    journal_failed: bool,
}

impl Recording {
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, analysis: Analysis::default(), journal_failed: false }
    }

    /// Writes an entry down. A full disk does not end a measurement: it is said once, and the report is made from memory. The
    /// journal ends there even if the disk has room again: books with a hole in them would not balance.
    pub(super) fn write(&mut self, entry: &Entry, at: Stamp) -> Result<(), StudyError> {
        self.analysis.push(entry)?;
        if !self.journal_failed
            && let Err(error) = self.journal.write(entry)
        {
            self.journal_failed = true;
            self.analysis.push(&Entry::Event(Event {
                at,
                kind: "journal_failed".to_owned(),
                message: format!("{error}; the report is complete, the journal on disk is not"),
                count: 1,
            }))?;
        }
        Ok(())
    }

    /// What was analysed so far.
    pub(super) fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// Writes down that something happened.
    pub(super) fn event(
        &mut self,
        at: Stamp,
        kind: &str,
        message: impl Into<String>,
    ) -> Result<(), StudyError> {
        let event = Event { at, kind: kind.to_owned(), message: message.into(), count: 1 };
        self.write(&Entry::Event(event), at)
    }

    /// Makes the report, and keeps it beside the journal; where that fails, `notes` says so.
    pub(super) fn finish(self, notes: &mut Vec<String>) -> Result<(Report, PathBuf), StudyError> {
        let dir = self.journal.dir().to_owned();
        let report = self.analysis.finish()?;
        // The report of a journal that could not be written tells of that already.
        if let Err(error) = store::write_report(&dir, &report)
            && !self.journal_failed
        {
            notes.push(error.to_string());
        }
        Ok((report, dir))
    }
}
