//! What a schema change leaves unfinished: invalid indexes, constraints that hold for new rows only, columns without statistics.

use std::collections::BTreeSet;

/// Something that is not finished.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfinished {
    /// An index that queries may not use.
    InvalidIndex(String),
    /// A constraint that holds for new rows only: `orders.positive`.
    NotValidated(String),
    /// A column, or an expression of an index, without statistics: `orders.note`.
    WithoutStatistics(String),
}

/// All that is unfinished at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    unfinished: BTreeSet<Unfinished>,
}

impl Left {
    pub(in crate::probe) fn of(unfinished: BTreeSet<Unfinished>) -> Self {
        Self { unfinished }
    }

    /// What is in `self` and was not in `before`, in the order of the names.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Unfinished> {
        self.unfinished.difference(&before.unfinished).cloned().collect()
    }
}
