//! Values from keys: every draw is a pure function of (seed, purpose, position), by a counter-based generator.
//!
//! So any thread can make any row, two machines make the same data, and a query can name a value that exists without
//! asking the database. Values never change between versions unless [`GENERATOR_VERSION`] does.

mod build;
mod children;
mod column;
mod correlation;
mod count;
mod dataset;
mod distinct;
mod exact;
mod expression;
mod fan_out;
mod histogram;
pub mod interval;
mod json;
mod lexicon;
mod network;
mod normal;
mod number;
mod pairs;
mod permute;
mod pick;
mod placement;
mod quantile;
mod resolve;
pub mod spec;
mod stream;
mod template;
mod text;
mod time;
mod value;
mod weights;
mod zipf;

pub use column::ColumnGenerator;
pub use dataset::{Dataset, DatasetTable};
pub use json::plain as write_plain;
pub use pick::{RowPick, newest};
pub use stream::{Key, Stream};
pub use time::time_of_day;
pub use value::ValueGenerator;
pub use zipf::zipf_rank;

/// Version of the values: stated in every result, changed when any value of any generator changes.
pub const GENERATOR_VERSION: u32 = 1;

/// What kind of values a generator makes, besides NULL: which types of a server can hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Truth values.
    Bool,
    /// Whole numbers.
    Int,
    /// Floating-point numbers.
    Float,
    /// Exact decimals.
    Decimal,
    /// Instants.
    Timestamp,
    /// Days.
    Date,
    /// UUIDs.
    Uuid,
    /// Lengths of time, as text in the form of ISO 8601.
    Interval,
    /// Addresses on a network, as text.
    IpAddress,
    /// Any text.
    Text,
    /// Text that is a JSON document.
    Json,
    /// Raw bytes.
    Bytes,
    /// Lists, as text in PostgreSQL's form of an array.
    List,
}

impl ValueKind {
    /// What it is in a message.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Bool => "truth values",
            Self::Int => "whole numbers",
            Self::Float | Self::Decimal => "numbers with digits after the point",
            Self::Timestamp => "points in time",
            Self::Date => "days",
            Self::Uuid => "UUIDs",
            Self::Interval => "lengths of time",
            Self::IpAddress => "addresses on a network",
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Bytes => "bytes",
            Self::List => "lists",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Decimal | Self::Float)
    }

    /// Whether the values are made as text.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Interval | Self::IpAddress)
    }
}
