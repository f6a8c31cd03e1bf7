//! Values from keys: every draw is a pure function of (seed, purpose, position), by a counter-based generator.
//!
//! So any thread can make any row, two machines make the same data, and a query can name a value that exists without
//! asking the database. Values never change between versions unless [`GENERATOR_VERSION`] does.

mod column;
mod dataset;
mod exact;
mod fan_out;
mod json;
mod lexicon;
mod number;
mod permute;
mod pick;
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
pub use value::ValueGenerator;

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
    /// Any text.
    Text,
    /// Text that is a JSON document.
    Json,
}
