//! The catalogue of findings: when each is made, what it means, which figures are its evidence, what usually causes it and what
//! to do. One table, by which `dbdyno explain` answers and of which each finding has its id; a finding without an entry is a
//! defect, and a test finds it.

mod locks;
mod measurement;
mod migration;
mod pool;
mod server;

use std::fmt;

use serde::Serialize;

/// What is to be known of one kind of finding, whatever the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FindingEntry {
    /// Stable name, as reports have it.
    pub id: &'static str,
    /// What it is about.
    pub family: Family,
    /// One line.
    pub title: &'static str,
    /// When it is made.
    pub condition: &'static str,
    /// What it means, and what it does to users or to the figures.
    pub meaning: &'static str,
    /// The figures of a report that prove it, by their paths in the JSON form or their places in the text.
    pub evidence: &'static str,
    /// What usually causes it.
    pub causes: &'static str,
    /// What to do, and what to expect of it.
    pub remedy: &'static str,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The measurement itself.
    Measurement,
    /// Load, pool and connections.
    Pool,
    /// Locks and who holds them.
    Locks,
    /// Tables, indexes, plans and what the server does beside.
    Server,
    /// What a migration did.
    Migration,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measurement => "the measurement itself",
            Self::Pool => "load, pool and connections",
            Self::Locks => "locks",
            Self::Server => "tables, indexes, plans and the server",
            Self::Migration => "migrations",
        })
    }
}

/// Every kind of finding, by what it is about.
pub fn all() -> impl Iterator<Item = &'static FindingEntry> {
    [measurement::ENTRIES, pool::ENTRIES, locks::ENTRIES, server::ENTRIES, migration::ENTRIES]
        .into_iter()
        .flatten()
}

/// The entry of that id.
#[must_use]
pub fn entry(id: &str) -> Option<&'static FindingEntry> {
    all().find(|entry| entry.id == id)
}

/// Ids that are like a word that is none: those that hold it, else those that are spelt nearly so.
#[must_use]
pub fn like(word: &str) -> Vec<&'static str> {
    let word = word.to_lowercase();
    let holding: Vec<&str> = all().map(|entry| entry.id).filter(|id| id.contains(&word)).collect();
    if !word.is_empty() && !holding.is_empty() {
        return holding;
    }
    let near = |id: &&str| strsim::damerau_levenshtein(&word, id) <= 1 + id.len() / 4;
    all().map(|entry| entry.id).filter(near).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_says_everything_once() {
        let mut ids = BTreeSet::new();
        for entry in all() {
            assert!(ids.insert(entry.id), "{} stands twice", entry.id);
            let is_id = entry.id.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            assert!(is_id, "{} is no id", entry.id);
            let FindingEntry { title, condition, meaning, evidence, causes, remedy, .. } = entry;
            for said in [title, condition, meaning, evidence, causes, remedy] {
                assert!(said.len() >= 12, "{}: `{said}` says nothing", entry.id);
                assert!(!said.ends_with('.') && !said.contains("  "), "{}: `{said}`", entry.id);
            }
        }
    }

    #[test]
    fn a_misspelt_id_has_likely_ones() {
        assert_eq!(like("deadlok"), ["deadlocks"]);
        assert_eq!(like("pooler"), ["pooler-too-small", "pooler-full"]);
        assert!(like("nonsense-of-no-kind").is_empty());
    }
}
