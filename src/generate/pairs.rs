//! Rows of a table that links two others, no pair of them twice: each child of a parent refers to another row.

use super::Key;
use super::fan_out::Place;
use super::permute::{permute, permute_keyed};
use super::zipf::{Zipf, ZipfSums};

/// Units of a systematic sample that are so popular that every parent has them end where this share of a place is left:
/// rounding must not choose one twice.
const CERTAIN: f64 = 1.0 - 1e-9;

/// The other side of the pairs.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    others: u64,
    /// Absent where all are alike.
    popularity: Option<ZipfSums>,
    key: Key,
}

impl Pairs {
    pub(super) fn new(others: u64, exponent: Option<f64>, key: Key) -> Self {
        let popularity = exponent.map(|exponent| ZipfSums::new(Zipf::new(others, exponent)));
        Self { others, popularity, key }
    }

    /// The row that the child at `place` refers to: another for every child of the same parent.
    pub(super) fn other(&self, place: Place) -> u64 {
        let of_parent = self.key.number(place.parent);
        // More children than others are refused before any row.
        let children = place.children.min(self.others);
        let number = (place.ordinal - 1) % children;
        let Some(popularity) = &self.popularity else {
            return permute_keyed(number, self.others, of_parent.bits());
        };
        let number = permute_keyed(number, children, of_parent.bits());
        permute(chosen(popularity, number, children, of_parent) - 1, self.others)
    }
}

/// Rank `number` of a systematic sample of `children` ranks, each as likely as its weight says (Madow, "On the Theory of
/// Systematic Sampling, II", 1949). Ranks that would be chosen more than once are chosen for certain, and the others share
/// the places that are left.
fn chosen(popularity: &ZipfSums, number: u64, children: u64, of_parent: Key) -> u64 {
    let total = popularity.sum(popularity.n());
    let places = |certain: u64| (children - certain) as f64;
    let left = |certain: u64| total - popularity.sum(certain);
    let is_enough = |certain: u64| {
        certain == children || places(certain) * popularity.weight(certain + 1) <= CERTAIN * left(certain)
    };
    let (mut low, mut high) = (0, children);
    while low < high {
        let middle = u64::midpoint(low, high);
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let certain = low;
    if number < certain {
        return number + 1;
    }
    let start = of_parent.at(0, 0).unit();
    let along = ((number - certain) as f64 + start) / places(certain) * left(certain);
    popularity.rank_at(popularity.sum(certain) + along).max(certain + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;
    use std::collections::BTreeSet;

    fn pairs(others: u64, exponent: Option<f64>, children: u64, parents: u64) -> Vec<u64> {
        let pairs = Pairs::new(others, exponent, Key::root(Seed(1)).name("tag_id"));
        let mut counts = vec![0; usize::try_from(others).expect("small")];
        for parent in 0..parents {
            let mut seen = BTreeSet::new();
            for ordinal in 1..=children {
                let other = pairs.other(Place { parent, ordinal, children });
                assert!(seen.insert(other), "parent {parent} has {other} twice");
                counts[usize::try_from(other).expect("small")] += 1;
            }
        }
        counts
    }

    #[test]
    fn no_pair_comes_twice() {
        for (others, children) in [(1, 1), (7, 7), (50, 20), (1000, 3), (5000, 200)] {
            for exponent in [None, Some(0.5), Some(1.0), Some(2.5)] {
                pairs(others, exponent, children, 200);
            }
        }
    }

    /// With three children of each of 10 000 parents and 1000 others by Zipf's law with exponent 0.8, nobody is certain: the
    /// k-th favourite is chosen by 3 ÷ k^0.8 ÷ Σ of the parents, within five standard deviations.
    #[test]
    fn popularity_follows_the_law_where_it_can() {
        let counts = pairs(1000, Some(0.8), 3, 10_000);
        let sum: f64 = (1..=1000).map(|k| f64::from(k).powf(-0.8)).sum();
        for rank in [1_u32, 2, 10, 100, 1000] {
            let expected = 30_000.0 * f64::from(rank).powf(-0.8) / sum;
            let got = counts[usize::try_from(permute(u64::from(rank) - 1, 1000)).expect("small")] as f64;
            assert!((got - expected).abs() < 5.0 * expected.sqrt(), "{rank}: {got} {expected}");
        }
    }

    #[test]
    fn one_that_everybody_has_is_had_once_by_everybody() {
        let counts = pairs(100, Some(1.5), 10, 1000);
        assert_eq!(counts[usize::try_from(permute(0, 100)).expect("small")], 1000);
        assert_eq!(counts.iter().sum::<u64>(), 10_000);
    }

    #[test]
    fn all_alike_are_chosen_alike() {
        let counts = pairs(20, None, 5, 4000);
        // 1000 each ± 5 standard deviations of a binomial count.
        assert!(counts.iter().all(|count| (860..=1140).contains(count)), "{counts:?}");
    }
}
