//! How one of many rows is drawn: evenly, or with a few favourites.

use super::Stream;

/// How a row is drawn from a table.
#[derive(Clone, Debug, PartialEq)]
pub enum RowPick {
    /// Every row alike.
    Uniform,
    /// The k-th favourite with a probability proportional to 1 ÷ k^`exponent`. Favourites are scattered over the table by
    /// a keyed permutation: hot rows do not lie side by side.
    Zipf {
        /// Above 0; 1.0 is the classical law, larger is more skewed.
        exponent: f64,
    },
}

impl RowPick {
    /// The row drawn, in `0 .. rows`. Reads a bounded number of words from `stream`, allocates nothing.
    #[must_use]
    pub fn row(&self, rows: u64, stream: &mut Stream) -> u64 {
        let _ = (rows, stream);
        todo!("helper: generate")
    }
}
