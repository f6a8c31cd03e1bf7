//! What a user's own measure is counted in, and which way its values should run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the values of a measure or a gauge are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueUnit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Bytes.
    Bytes,
    /// Things: rows, jobs, users.
    #[default]
    Count,
}

/// What values are kept and shown in, whatever unit they were declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseUnit {
    /// A time, in microseconds.
    Us,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

impl ValueUnit {
    /// What it is kept in.
    #[must_use]
    pub fn base(self) -> BaseUnit {
        match self {
            Self::Us | Self::Ms | Self::S => BaseUnit::Us,
            Self::Bytes => BaseUnit::Bytes,
            Self::Count => BaseUnit::Count,
        }
    }

    /// How many of the base make one of it.
    #[must_use]
    pub fn of_base(self) -> u32 {
        match self {
            Self::Us | Self::Bytes | Self::Count => 1,
            Self::Ms => 1_000,
            Self::S => 1_000_000,
        }
    }
}

/// Which way the values of a measure should run, from one answer to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Each at least as large as all before it.
    Ascending,
    /// Each at most as large as all before it.
    Descending,
}
