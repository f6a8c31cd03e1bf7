//! Everything that is measured goes through here: into the journal on disk, and into the analysis that makes the report.

use crate::analysis::Analysis;
use crate::model::Report;
use crate::record::entry::{Entry, Event};
use crate::store::Journal;
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

    /// Makes the report, and keeps it beside the journal.
    pub(super) fn finish(self) -> Result<(Report, std::path::PathBuf), StudyError> {
        let dir = self.journal.dir().to_owned();
        let report = self.analysis.finish()?;
        let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from);
        let kept = json.map_err(|source| crate::store::StoreError::Io {
            doing: "write",
            path: dir.join(crate::store::REPORT),
            source,
        });
        // A journal that could not be written is told of already; the report cannot be kept on the same full disk.
        match kept.and_then(|json| crate::store::write_report(&dir, &json)) {
            Err(error) if !self.journal_failed => Err(error.into()),
            _ => Ok((report, dir)),
        }
    }
}
