//! How one of many rows is drawn: evenly, with a few favourites, or the newest most.

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
    /// A share of the draws falls on a share of the rows, evenly on both sides. The hot rows are the favourites of
    /// [`RowPick::Zipf`], scattered over the table in the same way.
    Hot {
        /// Above 0 and below 1.
        share_of_draws: f64,
        /// Above 0 and below 1; at least one row is hot, and one is not where there are two.
        share_of_keys: f64,
    },
    /// The k-th newest with a probability proportional to 1 ÷ k^`exponent`, as YCSB's "latest" (Cooper et al.,
    /// "Benchmarking Cloud Serving Systems with YCSB", `SoCC` 2010). The last row is the newest; nothing is scattered, since
    /// new rows do lie side by side.
    Latest {
        /// Above 0; YCSB's is 0.99.
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
            Self::Hot { share_of_draws, share_of_keys } => {
                let hot = hot_rows(rows, *share_of_keys);
                let is_hot = hot == rows || stream.unit() < *share_of_draws;
                let rank = if is_hot { stream.below(hot) } else { hot + stream.below(rows - hot) };
                permute(rank, rows)
            }
            Self::Latest { exponent } => rows - 1 - newest(rows, *exponent, stream),
        }
    }
}

/// How many of `rows` are hot.
fn hot_rows(rows: u64, share_of_keys: f64) -> u64 {
    // Rows lie far below 2^53, where a float is exact, and the share is one of them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let hot = (rows as f64 * share_of_keys).round() as u64;
    hot.clamp(1, (rows - 1).max(1))
}

/// The place of a row behind the newest of `rows`, 0 for the newest itself, drawn as [`RowPick::Latest`] says.
///
/// # Panics
/// When there are no rows, or the exponent is not above zero.
#[must_use]
pub fn newest(rows: u64, exponent: f64, stream: &mut Stream) -> u64 {
    Zipf::new(rows, exponent).rank(stream) - 1
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
    fn a_hot_set_takes_its_share_of_the_draws_and_lies_scattered() {
        const DRAWS: u32 = 100_000;
        let pick = RowPick::Hot { share_of_draws: 0.9, share_of_keys: 0.1 };
        let mut stream = Key::root(Seed(5)).at(0, 0);
        let mut counts = vec![0_u32; 1000];
        for _ in 0..DRAWS {
            counts[usize::try_from(pick.row(1000, &mut stream)).expect("below a thousand")] += 1;
        }
        // A hot row is drawn 900 times and any other 11 times, so that 100 tells them apart.
        let hot: Vec<usize> = (0..1000).filter(|row| counts[*row] > 100).collect();
        assert_eq!(hot.len(), 100);
        let draws: u32 = hot.iter().map(|row| counts[*row]).sum();
        // 90 000 ± 5 standard deviations of a binomial count.
        assert!((89_500..=90_500).contains(&draws), "{draws}");
        assert!(hot.iter().all(|row| (750..=1050).contains(&counts[*row])), "hot rows are alike");
        assert!(counts.iter().all(|count| *count > 0), "the others are drawn as well");
        // A hundred in one place would be on one page; of a hundred scattered ones each tenth has 10 ± 4 deviations.
        for tenth in 0..10 {
            let within = hot.iter().filter(|row| *row / 100 == tenth).count();
            assert!((1..=22).contains(&within), "{within} in tenth {tenth}");
        }
    }

    #[test]
    fn a_hot_set_of_few_rows_leaves_somebody_on_both_sides() {
        assert_eq!([1, 2, 3, 1000].map(|rows| hot_rows(rows, 0.001)), [1, 1, 1, 1]);
        assert_eq!([1, 2, 3, 1000].map(|rows| hot_rows(rows, 0.999)), [1, 1, 2, 999]);
        let pick = RowPick::Hot { share_of_draws: 0.5, share_of_keys: 0.5 };
        let mut stream = Key::root(Seed(5)).at(0, 0);
        assert_eq!(pick.row(1, &mut stream), 0);
    }

    /// Counts of the newest rows against the law, within five standard deviations.
    #[test]
    fn the_newest_row_is_drawn_most_and_the_others_by_their_age() {
        const DRAWS: u32 = 100_000;
        let pick = RowPick::Latest { exponent: 0.99 };
        let mut stream = Key::root(Seed(9)).at(0, 0);
        let mut counts = vec![0_u32; 1000];
        for _ in 0..DRAWS {
            counts[usize::try_from(pick.row(1000, &mut stream)).expect("below a thousand")] += 1;
        }
        let total: f64 = (1..=1000).map(|age| f64::from(age).powf(-0.99)).sum();
        for age in [1_u32, 2, 3, 10, 100] {
            let share = f64::from(age).powf(-0.99) / total;
            let expected = share * f64::from(DRAWS);
            let deviation = (expected * (1.0 - share)).sqrt();
            let got = f64::from(counts[1000 - age as usize]);
            assert!((got - expected).abs() <= 5.0 * deviation + 1.0, "age {age}: {got} of {expected}");
        }
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
