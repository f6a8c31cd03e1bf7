//! Distributions that outlive their run: what two groups of runs are compared by.

use crate::record::histogram::Distribution;
use crate::units::StageId;

/// One distribution of one stage.
#[derive(Clone, Debug)]
pub struct KeptDistribution {
    /// The stage.
    pub stage: StageId,
    /// Its name.
    pub stage_name: String,
    /// Whose: a transaction, or a statement as `TRANSACTION.STATEMENT`.
    pub owner: String,
    /// Which.
    pub what: Kept,
    /// Its samples.
    pub distribution: Distribution,
}

/// Which distribution is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Planned start to the answer of the commit.
    Response,
    /// How long those were waited for that never ended.
    Censored,
    /// With a connection in hand.
    Service,
    /// Waiting for a connection.
    PoolWait,
    /// Late to start.
    Lag,
    /// Sent to done, of a statement.
    Execute,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Response, Self::Censored, Self::Service, Self::PoolWait, Self::Lag, Self::Execute];

    /// As the history names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Censored => "censored",
            Self::Service => "service",
            Self::PoolWait => "pool_wait",
            Self::Lag => "lag",
            Self::Execute => "execute",
        }
    }

    /// The one that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kept| kept.as_str() == name)
    }
}
