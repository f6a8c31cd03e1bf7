//! The books of a stage: every transaction that was issued ends in exactly one outcome.

use serde::{Deserialize, Serialize};

/// How one transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server confirmed it.
    Ok,
    /// The server refused it, it never reached the server, or it gave another number of rows than it promises.
    Failed,
    /// The answer to a commit was lost: it may have taken effect or not.
    Unknown,
    /// It was too late to start, and never did.
    Skipped,
    /// It was still running when the drain ended.
    Abandoned,
}

/// Counts of what was issued and how it ended. `issued` is counted where arrivals are planned and the outcomes where
/// clients finish, so that the sum is a check and not a tautology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Transactions begun or planned to begin.
    pub issued: u64,
    /// Ended [`Outcome::Ok`].
    pub ok: u64,
    /// Ended [`Outcome::Failed`].
    pub failed: u64,
    /// Ended [`Outcome::Unknown`].
    pub unknown: u64,
    /// Ended [`Outcome::Skipped`].
    pub skipped: u64,
    /// Ended [`Outcome::Abandoned`].
    pub abandoned: u64,
    /// Further tries of transactions that were begun again; not part of the sum.
    pub retried: u64,
}

impl Books {
    /// Counts one outcome.
    pub fn close(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Abandoned => self.abandoned += 1,
        }
    }

    /// All outcomes together.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.ok + self.failed + self.unknown + self.skipped + self.abandoned
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.issued += other.issued;
        self.ok += other.ok;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.skipped += other.skipped;
        self.abandoned += other.abandoned;
        self.retried += other.retried;
    }
}
