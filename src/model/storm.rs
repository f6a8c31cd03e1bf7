//! All connections closed at once in a stage, and how they came back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A storm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StormInfo {
    /// Seconds after the beginning of the stage.
    pub t_s: f64,
    /// Connections that were closed.
    pub connections: u64,
    /// Of them, in the middle of a transaction.
    pub in_use: u64,
    /// Of the closed ones, as many as were made anew.
    pub returned: u64,
    /// Seconds until the last of those was there.
    pub returned_after_s: Option<f64>,
    /// Connections made per second until then.
    pub creates_per_s: Option<f64>,
    /// The longest that somebody waited for a connection, making it included, in microseconds.
    pub acquire_us_max: u64,
    /// Attempts to connect that failed until all were back.
    pub create_errors: u64,
    /// Transactions that did not end well in the seconds from the storm until the last connection was back.
    pub not_ok: u64,
}
