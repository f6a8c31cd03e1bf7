//! Where the history is, and how a measurement gets into it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::store::history::{History, StoreAddress};
use crate::store::{HISTORY, KeptError, record_of};
use crate::study::Outcome;

use super::CommandError;
use super::args::KeepArguments;
use super::plan::UsageError;

/// How a measurement is kept.
pub(super) struct Keep {
    address: StoreAddress,
    tags: BTreeSet<String>,
    note: String,
}

/// Where the history is: as the user says it, else a file beside the runs.
pub(super) fn address(given: Option<&str>, runs_dir: &Path) -> Result<StoreAddress, CommandError> {
    Ok(match given {
        Some(text) => text.parse().map_err(UsageError::Store)?,
        None => StoreAddress::File(runs_dir.join(HISTORY)),
    })
}

impl Keep {
    /// Makes sure, before minutes are spent, that the store can be used. A file that is not there yet is made with the first run.
    pub(super) async fn ready(arguments: &KeepArguments, runs_dir: &Path) -> Result<Self, CommandError> {
        let address = address(arguments.store.as_deref(), runs_dir)?;
        let is_new = matches!(&address, StoreAddress::File(path) if !path.exists());
        if !is_new {
            History::open(&address).await?.close().await;
        }
        let tags = arguments.tags.iter().map(|tag| tag.trim().to_owned()).collect();
        Ok(Self { address, tags, note: arguments.note.clone().unwrap_or_default() })
    }

    /// Puts the run into the store. Where that fails, it says how to do it later: the journal has it all.
    pub(super) async fn keep(&self, outcome: &Outcome) -> Result<(), String> {
        self.put(outcome).await.map_err(|error| {
            format!(
                "the run is not in the history: {error}; `dbdyno runs import {}` puts it there later",
                outcome.run_dir.display()
            )
        })
    }

    async fn put(&self, outcome: &Outcome) -> Result<(), CommandError> {
        let record = record_of(&outcome.report, &outcome.kept, self.tags.clone(), &self.note)?;
        let history = History::open(&self.address).await?;
        let put = history.put(&record).await;
        history.close().await;
        Ok(put?)
    }
}

impl From<KeptError> for CommandError {
    fn from(error: KeptError) -> Self {
        Self::Report(error.to_string())
    }
}
