//! How one of many rows is drawn: evenly, or with a few favourites.

use super::Stream;
use super::permute::permute;
use super::zipf::Zipf;

/// How a row is drawn from a table.
#[derive(Clone, Debug, PartialEq)]
pub enum RowPick {
    /// Every row alike.
    Uniform,
    /// The k-th favourite with a probability proportional to 1 ÷ k^`exponent`. Favourites are scattered over the table by
    /// a keyed permutation: hot rows do not lie side by side. The permutation depends on the number of rows only, so that
    /// the favourites of every transaction, and those of a `reference` with a zipf fan-out, are the same rows: the busiest
    /// customer also has the longest history.
    Zipf {
        /// Above 0; 1.0 is the classical law, larger is more skewed.
        exponent: f64,
    },
}

impl RowPick {
    /// The row drawn, in `0 .. rows`. Reads a bounded number of words from `stream`, allocates nothing.
    ///
    /// # Panics
    /// When there are no rows, or the exponent is not above zero.
    #[must_use]
    pub fn row(&self, rows: u64, stream: &mut Stream) -> u64 {
        match self {
            Self::Uniform => stream.below(rows),
            Self::Zipf { exponent } => favourite(&Zipf::new(rows, *exponent), rows, stream),
        }
    }
}

/// The row of a rank that `zipf` drew.
pub(super) fn favourite(zipf: &Zipf, rows: u64, stream: &mut Stream) -> u64 {
    permute(zipf.rank(stream) - 1, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    #[test]
    fn an_even_pick_reaches_every_row() {
        let mut stream = Key::root(Seed(3)).at(0, 0);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[usize::try_from(RowPick::Uniform.row(10, &mut stream)).expect("below ten")] += 1;
        }
        // 1000 ± 5 standard deviations of a binomial count.
        assert!(counts.iter().all(|count| (850..=1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_favourite_is_one_row_somewhere_inside_and_always_the_same() {
        let pick = RowPick::Zipf { exponent: 1.2 };
        let busiest = |seed| {
            let mut stream = Key::root(Seed(seed)).at(0, 0);
            let mut counts = std::collections::BTreeMap::new();
            for _ in 0..5000 {
                *counts.entry(pick.row(100_000, &mut stream)).or_insert(0_u32) += 1;
            }
            counts.into_iter().max_by_key(|&(_, count)| count).expect("5000 draws")
        };
        let (row, count) = busiest(1);
        assert_eq!(row, busiest(2).0);
        assert_eq!(row, permute(0, 100_000));
        // 1 ÷ Σ k^-1.2 over 100 000 ranks is 0.199.
        assert!((900..=1100).contains(&count), "{count}");
    }
}
