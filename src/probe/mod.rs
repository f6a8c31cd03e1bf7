//! Looks at the server and at the host while a run goes on, from connections of its own, never from the measured pool.

pub mod host;
pub mod postgres;

use std::time::Duration;

use crate::record::entry::Edge;
use crate::record::observation::Reading;
use crate::units::StatementId;

/// What the probes must know of the workload to join what they see to it.
#[derive(Clone, Debug, Default)]
pub struct ProbePlan {
    /// The statements: id, tag, and the text that is sent (tag included).
    pub statements: Vec<(StatementId, String, String)>,
    /// Time between two looks at the sessions.
    pub interval: Duration,
}

/// What a probe hands to the one who writes the journal.
#[derive(Clone, Debug)]
pub struct Probed {
    /// At which edge of the stage it was read, for counters.
    pub edge: Option<Edge>,
    /// What was seen.
    pub reading: Reading,
}
