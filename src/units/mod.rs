//! Newtypes that every other module speaks in: instants, ids, the seed. Imports nothing of the crate.

mod course;
mod cpus;
mod dialect;
mod duration;
mod id;
mod load;
mod micros;
mod protocol;
mod quantity;
mod stamp;

pub use course::{Course, CourseError, LEVEL_MAX, Pieces, STEPS_MAX};
pub use cpus::{CPU_MAX, CpuList, CpuListError};
pub use dialect::Dialect;
pub use duration::{DurationError, format_duration, parse_duration};
pub use id::{BackendId, ClientId, InstanceId, RunId, SlotId, StageId, StatementId, TransactionId, WorkerId};
pub use load::{Amount, Arrivals, DrawnError, Load, Pause, SESSION_MAX};
pub use protocol::Protocol;
pub use quantity::{BaseUnit, Direction, ValueUnit};
pub use stamp::{Span, Stamp};

/// The number from which every draw of a run follows; printed and stored, so that a run can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Default for Seed {
    /// Unless the user asks for another, every run of a workload does the same work: 42 by default, never the clock.
    fn default() -> Self {
        Self(42)
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
