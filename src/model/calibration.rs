//! What the generator of one machine can do by itself: the floor that every report is held against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvironmentInfo, Quantiles};

/// Version of the form of a calibration.
pub const CALIBRATION_VERSION: u32 = 1;

/// What `dbdyno calibrate` found out: the generator on a session that answers at once, without a database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// [`CALIBRATION_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the program that was measured, with its build where that is not a release.
    pub dbdyno_version: String,
    /// RFC 3339, UTC.
    pub measured_at: String,
    /// The machine.
    pub environment: EnvironmentInfo,
    /// Users who never wait, by their number.
    pub closed: Vec<ClosedPoint>,
    /// Planned arrivals, by their rate; on one thread.
    pub open: Vec<OpenPoint>,
}

/// A closed loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedPoint {
    /// Users, over all threads.
    pub clients: u32,
    /// Worker threads, each with an instance of its own.
    pub threads: u32,
    /// Transactions per second, over all threads.
    pub per_s: f64,
    /// CPU of the workers per transaction; absent where the machine does not tell.
    pub cpu_us_per_transaction: Option<f64>,
}

/// An open loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenPoint {
    /// Planned transactions per second.
    pub offered_per_s: f64,
    /// Those that were done in the window.
    pub achieved_per_s: f64,
    /// CPU of the worker per transaction; absent where the machine does not tell.
    pub cpu_us_per_transaction: Option<f64>,
    /// How late they started.
    pub lag_us: Quantiles,
}

impl Calibration {
    /// The most transactions per second on one thread.
    #[must_use]
    pub fn rate_max_per_s(&self) -> f64 {
        self.on_one_thread().map(|point| point.per_s).fold(0.0, f64::max)
    }

    /// The least CPU per transaction on one thread, in microseconds; absent where the machine does not tell.
    #[must_use]
    pub fn cpu_us_min(&self) -> Option<f64> {
        self.on_one_thread().filter_map(|point| point.cpu_us_per_transaction).reduce(f64::min)
    }

    fn on_one_thread(&self) -> impl Iterator<Item = &ClosedPoint> {
        self.closed.iter().filter(|point| point.threads == 1)
    }
}

/// The floor that a report is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FloorInfo {
    /// When the machine was calibrated: RFC 3339, UTC.
    pub measured_at: String,
    /// CPU per transaction of one statement on a session that answers at once.
    pub cpu_us_per_transaction: f64,
    /// The most transactions per second on one thread there.
    pub rate_max_per_s: f64,
    /// CPU per transaction of this run ÷ that of the floor.
    pub cpu_ratio: Option<f64>,
}
