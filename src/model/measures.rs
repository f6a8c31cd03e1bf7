//! What a workload measures of its own: returned values, their order, and gauges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantiles;
use super::metric::Unit;
use crate::units::{BaseUnit, Direction, ValueUnit};

/// What the workload measures of the rows that one statement returns, in transactions that ended ok.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureInfo {
    /// Its name.
    pub name: String,
    /// The statement.
    pub statement: String,
    /// The column that it returns.
    pub column: String,
    /// Values.
    pub count: u64,
    /// Values inside the window, per second.
    pub per_s: f64,
    /// Rows in which there was no number: NULL, or what is none.
    pub missing: u64,
    /// Values below zero; they count as zero in the distribution.
    pub negative: u64,
    /// Their distribution, where they are times.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value_us: Option<Quantiles>,
    /// Their distribution, where they are sizes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value_bytes: Option<Quantiles>,
    /// Their distribution, where they are counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value_count: Option<Quantiles>,
    /// Whether they came in order, where the workload asks for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<OrderInfo>,
}

impl MeasureInfo {
    /// The distribution with what it is counted in; `None` where only the order is measured.
    #[must_use]
    pub fn values(&self) -> Option<(Unit, &Quantiles)> {
        let time = self.value_us.as_ref().map(|values| (Unit::Time, values));
        let bytes = self.value_bytes.as_ref().map(|values| (Unit::Bytes, values));
        let count = self.value_count.as_ref().map(|values| (Unit::Count, values));
        time.or(bytes).or(count)
    }
}

/// Whether values came in order. A value is out of order when an earlier one should have come behind it. Several clients
/// take one after the other and are answered in another order: what is out of order among them need not be so for any of
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderInfo {
    /// Which way they should run: `ascending` or `descending`.
    pub direction: Direction,
    /// Values out of order among those of one client, summed over the clients.
    pub in_client: u64,
    /// `in_client` ÷ values; absent when there are none.
    pub in_client_fraction: Option<f64>,
    /// Values out of order among those of all clients of one worker, in the order of their commits, summed over the workers.
    pub in_worker: u64,
    /// `in_worker` ÷ values; absent when there are none.
    pub in_worker_fraction: Option<f64>,
}

/// What the workload reads beside the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GaugeInfo {
    /// Its name.
    pub name: String,
    /// What it counts, as declared: for one that was never read.
    pub unit: ValueUnit,
    /// Readings.
    pub readings: u64,
    /// Readings that were due and failed or came too late.
    pub gaps: u64,
    /// Its levels, where it is a time. Absent without a reading.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level_us: Option<Levels>,
    /// Its levels, where it is a size. Absent without a reading.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level_bytes: Option<Levels>,
    /// Its levels, where it is a count. Absent without a reading.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level_count: Option<Levels>,
}

impl GaugeInfo {
    /// The levels with what they are counted in.
    #[must_use]
    pub fn levels(&self) -> (Unit, Option<&Levels>) {
        match self.unit.base() {
            BaseUnit::Us => (Unit::Time, self.level_us.as_ref()),
            BaseUnit::Bytes => (Unit::Bytes, self.level_bytes.as_ref()),
            BaseUnit::Count => (Unit::Count, self.level_count.as_ref()),
        }
    }
}

/// What a gauge stood at over one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Levels {
    /// The first reading.
    pub first: f64,
    /// The smallest.
    pub min: f64,
    /// The mean of the readings.
    pub mean: f64,
    /// The largest.
    pub max: f64,
    /// The last reading.
    pub last: f64,
    /// Each reading with its time.
    pub readings: Vec<LevelAt>,
}

/// One reading of a gauge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LevelAt {
    /// Seconds since the stage began.
    pub t_s: f64,
    /// What it stood at.
    pub level: f64,
}
