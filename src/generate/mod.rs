//! Values from keys: every draw is a pure function of (seed, purpose, position), by a counter-based generator.
//!
//! So any thread can make any row, two machines make the same data, and a query can name a value that exists without
//! asking the database. Values never change between versions unless [`GENERATOR_VERSION`] does.

mod column;
mod pick;
pub mod spec;
mod stream;

pub use column::{ColumnGenerator, Dataset, DatasetTable, ValueGenerator};
pub use pick::RowPick;
pub use stream::{Key, Stream};

/// Version of the values: stated in every result, changed when any value of any generator changes.
pub const GENERATOR_VERSION: u32 = 1;
