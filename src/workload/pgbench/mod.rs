//! pgbench's scripts, unchanged: their commands, their variables, their expressions, and the workload that a choice of them
//! makes. Knows no server; what a script does is carried out by the engine.
//!
//! The language is that of pgbench of PostgreSQL 15 to 18. Where it leaves something to the run that is wrong in any case (an
//! unknown function, a variable that nothing sets), it is a mistake here, with its place.

mod builtin;
mod compile;
mod conditions;
mod expression;
mod functions;
mod load;
mod parse;
mod scan;
mod sql;
#[cfg(test)]
mod tests;
mod value;
mod variables;

use std::time::Duration;

use super::Isolation;
use crate::units::{SlotId, StatementId};

pub use builtin::BuiltIn;
pub use expression::{Expression, Function, Scope};
pub use load::{Choice, Chosen, ScriptSource, load};
pub use value::{Fault, Value};
pub use variables::{ClientFacts, Initial, Variable, Variables};

/// One script, ready to be carried out: commands with jumps instead of conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// In order. A jump leads to an index, which may be the one behind the last.
    pub operations: Vec<Operation>,
}

/// One command of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `\set`
    Set {
        /// The variable that takes the value.
        variable: SlotId,
        /// What it is.
        expression: Expression,
    },
    /// `\if` and `\elif`: goes on at `to` where the condition does not hold.
    JumpUnless {
        /// Evaluated each time.
        condition: Expression,
        /// Index of an operation.
        to: usize,
    },
    /// The end of a branch.
    Jump {
        /// Index of an operation.
        to: usize,
    },
    /// `BEGIN`
    Begin {
        /// What it asks for.
        isolation: Option<Isolation>,
    },
    /// `COMMIT` or `END`
    Commit,
    /// Any other SQL.
    Execute {
        /// What is sent.
        statement: StatementId,
        /// What it may have done when its answer is lost.
        effect: Effect,
        /// Whether its results become variables: `\gset`, `\aset`. Not inside a pipeline.
        takes: bool,
    },
    /// `\sleep`
    Sleep(Sleep),
    /// `\startpipeline`
    StartPipeline,
    /// `\syncpipeline`
    SyncPipeline,
    /// `\endpipeline`
    EndPipeline,
}

/// What the SQL of a script may do to the database for good, and to the transaction that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It reads.
    Nothing,
    /// It changes something, for good where no transaction is open. Of what is no plain query nobody can tell.
    Changes,
    /// It commits what is open, or may do so in the middle.
    Commits,
    /// It rolls back what is open: what follows is on its own.
    RollsBack,
}

/// How long `\sleep` sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// So long.
    For(Duration),
    /// As many units as a variable says.
    Variable {
        /// The variable.
        variable: SlotId,
        /// One of them.
        unit: Duration,
    },
}

impl Effect {
    /// Whether something may be committed when the answer is lost.
    #[must_use]
    pub fn may_commit(self, in_transaction: bool) -> bool {
        match self {
            Self::Nothing | Self::RollsBack => false,
            Self::Changes => !in_transaction,
            Self::Commits => true,
        }
    }
}

impl Sleep {
    /// How long it is now. Below zero it is nothing, as in pgbench.
    pub fn length(self, variables: &Variables) -> Result<Duration, Fault> {
        match self {
            Self::For(length) => Ok(length),
            Self::Variable { variable, unit } => {
                let units = u32::try_from(variables.leading_integer(variable)?.max(0)).unwrap_or(u32::MAX);
                Ok(unit.saturating_mul(units))
            }
        }
    }
}
