//! Zipf's law over any number of ranks in constant memory, by rejection-inversion (Hörmann and Derflinger,
//! "Rejection-Inversion to Generate Variates from Monotone Discrete Distributions", ACM TOMACS 6(3), 1996).

use super::Stream;
use super::exact::{exp, ln, pow};

/// Tries before a draw gives the first rank: more than nine of ten tries succeed, so 64 failures in a row never happen.
const TRIES_MAX: u32 = 64;

/// Ranks `1 ..= n`, rank k with a probability proportional to 1 ÷ k^exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Zipf {
    n: u64,
    exponent: f64,
    area_first: f64,
    area_last: f64,
    /// Within this distance below a rank, a point is accepted without computing areas.
    squeeze: f64,
}

impl Zipf {
    /// `n` at least 1, `exponent` above zero.
    pub(super) fn new(n: u64, exponent: f64) -> Self {
        assert!(n > 0 && exponent > 0.0, "Zipf's law wants ranks and an exponent above zero");
        let mut zipf = Self { n, exponent, area_first: 0.0, area_last: 0.0, squeeze: 0.0 };
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.area_last = zipf.area(n as f64 + 0.5);
        zipf.squeeze = 2.0 - zipf.area_inverse(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    /// The number of ranks.
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// One rank.
    pub(super) fn rank(&self, stream: &mut Stream) -> u64 {
        for _ in 0..TRIES_MAX {
            let area = self.area_last + stream.unit() * (self.area_first - self.area_last);
            let x = self.area_inverse(area);
            // `as` saturates, and the clamp brings what rounding put outside back to the last rank.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((x + 0.5) as u64).clamp(1, self.n);
            let k = rank as f64;
            if k - x <= self.squeeze || area >= self.area(k + 0.5) - self.height(k) {
                return rank;
            }
        }
        1
    }

    /// The hat's height at `x`.
    fn height(&self, x: f64) -> f64 {
        pow(x, -self.exponent)
    }

    /// The hat's area up to `x`: (x^(1 − s) − 1) ÷ (1 − s), and ln x where s is 1.
    fn area(&self, x: f64) -> f64 {
        let log = ln(x);
        exp_m1_by((1.0 - self.exponent) * log) * log
    }

    fn area_inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.exponent)).max(-1.0 + f64::EPSILON);
        exp(ln_1p_by(t) * area)
    }
}

/// One draw of a law that is met once: a rank from 1 to `n` (at least 1), rank k with a probability proportional to
/// 1 ÷ k^`exponent` (above zero).
pub fn zipf_rank(n: u64, exponent: f64, stream: &mut Stream) -> u64 {
    Zipf::new(n, exponent).rank(stream)
}

/// Ranks of which the exact sums are kept; beyond, the law is so flat that its integral gives them to nine digits.
const TABLE: u64 = 1024;

/// Zipf's law in the order of the ranks: shares of the first ranks, and the rank at a share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ZipfSums {
    law: Zipf,
    /// Sum of the weights of the first k ranks, at k.
    sums: Vec<f64>,
    area_behind_table: f64,
}

impl ZipfSums {
    pub(super) fn new(law: Zipf) -> Self {
        let ranks = law.n.min(TABLE);
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for rank in 1..=ranks {
            sum += law.height(rank as f64);
            sums.push(sum);
        }
        let area_behind_table = law.area(ranks as f64 + 0.5);
        Self { law, sums, area_behind_table }
    }

    /// The number of ranks.
    pub(super) fn n(&self) -> u64 {
        self.law.n
    }

    /// The weight of a rank.
    pub(super) fn weight(&self, rank: u64) -> f64 {
        self.sum(rank) - self.sum(rank - 1)
    }

    /// The sum of the weights of the first `ranks`.
    pub(super) fn sum(&self, ranks: u64) -> f64 {
        let in_table = usize::try_from(ranks).ok().and_then(|ranks| self.sums.get(ranks));
        in_table
            .copied()
            .unwrap_or_else(|| self.table_sum() + self.law.area(ranks as f64 + 0.5) - self.area_behind_table)
    }

    /// The first rank up to which the weights sum up to more than `sum`.
    pub(super) fn rank_at(&self, sum: f64) -> u64 {
        if sum < self.table_sum() {
            return self.sums.partition_point(|of| *of <= sum).max(1) as u64;
        }
        let x = self.law.area_inverse(self.area_behind_table + (sum - self.table_sum()));
        // `as` saturates; the clamp brings what rounding put outside back.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (x + 0.5) as u64;
        rank.clamp(self.sums.len() as u64, self.law.n.max(self.sums.len() as u64)).min(self.law.n)
    }

    /// The rank below which a share `quantile` of the draws lies.
    pub(super) fn at(&self, quantile: f64) -> u64 {
        self.rank_at(quantile * self.sum(self.law.n))
    }

    fn table_sum(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }
}

/// ln(1 + x) ÷ x, also where x is tiny.
fn ln_1p_by(x: f64) -> f64 {
    if x.abs() > 1e-8 { ln(1.0 + x) / x } else { 1.0 - x * (0.5 - x * (1.0 / 3.0)) }
}

/// (exp(x) − 1) ÷ x, also where x is tiny.
fn exp_m1_by(x: f64) -> f64 {
    if x.abs() > 1e-8 { (exp(x) - 1.0) / x } else { 1.0 + x * 0.5 * (1.0 + x * (1.0 / 3.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    /// Counts of the first ranks against the law itself, within five standard deviations.
    #[test]
    fn ranks_follow_the_law() {
        for exponent in [0.5, 0.99, 1.0, 1.05, 1.5, 3.0] {
            let (n, draws) = (1000_u64, 200_000_u32);
            let zipf = Zipf::new(n, exponent);
            let mut stream = Key::root(Seed(1)).at(0, 0);
            let mut counts = [0_u32; 1001];
            for _ in 0..draws {
                counts[usize::try_from(zipf.rank(&mut stream)).expect("at most 1000")] += 1;
            }
            let total: f64 = (1..=n).map(|k| (k as f64).powf(-exponent)).sum();
            for rank in [1_u32, 2, 3, 10, 100, 1000] {
                let share = f64::from(rank).powf(-exponent) / total;
                let expected = share * f64::from(draws);
                let deviation = (expected * (1.0 - share)).sqrt();
                let got = f64::from(counts[rank as usize]);
                assert!(
                    (got - expected).abs() <= 5.0 * deviation + 1.0,
                    "s {exponent} rank {rank}: {got} {expected}"
                );
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_law_and_ranks_their_inverse() {
        for exponent in [0.5, 1.0, 1.5] {
            let sums = ZipfSums::new(Zipf::new(100_000, exponent));
            let mut sum = 0.0;
            for rank in 1..=100_000_u64 {
                sum += (rank as f64).powf(-exponent);
                if rank % 997 == 0 || rank < 10 {
                    assert!((sums.sum(rank) / sum - 1.0).abs() < 1e-7, "s {exponent} rank {rank}");
                    assert_eq!(sums.rank_at(sums.sum(rank) - sums.weight(rank) / 2.0), rank);
                }
            }
            assert_eq!((sums.at(0.0), sums.at(1.0)), (1, 100_000));
        }
    }

    #[test]
    fn a_thousand_million_ranks_and_one_rank_work() {
        let mut stream = Key::root(Seed(2)).at(0, 0);
        let large = Zipf::new(1_000_000_000, 0.8);
        let largest = (0..1000).map(|_| large.rank(&mut stream)).max().expect("a thousand draws");
        assert!((500_000_000..=1_000_000_000).contains(&largest), "{largest}");
        assert_eq!(Zipf::new(1, 1.1).rank(&mut stream), 1);
    }

    #[test]
    fn draws_are_known() {
        let mut stream = Key::root(Seed(42)).at(0, 0);
        let zipf = Zipf::new(1_000_000, 1.05);
        let ranks: Vec<u64> = (0..6).map(|_| zipf.rank(&mut stream)).collect();
        assert_eq!(ranks, [324, 2147, 60, 6, 27_130, 225_088]);
    }
}
