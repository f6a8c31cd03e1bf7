//! Sign flips of the differences within pairs, and which hypotheses about a mean they leave standing.
//!
//! If the arms are alike, the two slices of a pair could as well have changed places, so that each difference
//! could have had the other sign (Fisher 1935, The Design of Experiments, section 21; Pitman 1937, Supplement
//! to the Journal of the Royal Statistical Society 4). A flip is one choice of signs, and the same for all
//! metrics, which keeps their correlation. A flip and its opposite are as far from zero, so that one of the
//! two stands for both.
//!
//! A hypothesis about the mean of a metric is held against a flip as follows. The flip parts the pairs into
//! those whose sign it changes and the others. Its sum of signed differences is at least as far from zero as
//! the observed sum if and only if the hypothesis lies between the means of the two parts (Hartigan 1969,
//! Journal of the American Statistical Association 64). The mean of all differences lies between these means
//! too, so each flip leaves standing what lies no further from that mean than a certain reach on either side.
//! An interval is the reach of the flip of a certain rank: no search is needed.

/// Most pairs of which all flips are looked at.
pub(super) const EXACT_PAIRS_MAX: usize = 15;
/// Flips that are drawn where there are more pairs. The observed signs are one more (Phipson and Smyth 2010,
/// Statistical Applications in Genetics and Molecular Biology 9).
const DRAWN: usize = 20_000;
/// Logarithms closer to each other than this are equal: rounding is about a hundredth of it.
pub(super) const ROUNDING: f64 = 1e-12;
/// A reach beyond this, a factor of 10⁸⁶, has no end: exponentials must fit.
pub(super) const REACH_MAX: f64 = 200.0;

/// How many flips of so many pairs are looked at, with the observed signs and each standing for its opposite
/// too.
pub(super) fn flips_of(pairs: usize) -> usize {
    if pairs <= EXACT_PAIRS_MAX { 1 << pairs.saturating_sub(1) } else { DRAWN + 1 }
}

/// The flips of a number of pairs.
pub(super) struct Flips {
    /// Bit by bit the pairs whose sign changes. The observed signs, which change none, are not among them.
    masks: Vec<u64>,
}

impl Flips {
    /// All flips of so many pairs, or drawn ones where these are too many. At most 64 pairs.
    pub(super) fn of(pairs: usize, seed: u64) -> Self {
        // The last pair keeps its sign: that picks one of each flip and its opposite.
        let free = pairs.saturating_sub(1);
        if pairs <= EXACT_PAIRS_MAX {
            return Self { masks: (1..1 << free).collect() };
        }
        let mut random = Random(seed);
        Self { masks: (0..DRAWN).map(|_| random.next() & ((1 << free) - 1)).collect() }
    }

    /// How many there are with the observed signs.
    fn count(&self) -> usize {
        self.masks.len() + 1
    }

    /// How many of the flips, with the observed signs, may be at least as extreme as the observed signs so
    /// that a test with the error rate `alpha` still rejects.
    pub(super) fn rejecting(&self, alpha: f64) -> usize {
        let limit = alpha * self.count() as f64 + ROUNDING;
        (1..=self.count()).take_while(|flips| *flips as f64 <= limit).count()
    }
}

/// The sums of all choices of values: each eight of them have a table of all of theirs, so that a sum of many
/// is a handful of look-ups.
pub(super) struct Sums {
    tables: Vec<[f64; 1 << u8::BITS]>,
}

impl Sums {
    /// Of the value of each bit, from the lowest on.
    pub(super) fn of(values: &[f64]) -> Self {
        let table = |values: &[f64]| {
            let mut table = [0.0; 1 << u8::BITS];
            for bit in 0..u8::BITS as usize {
                let value = values.get(bit).copied().unwrap_or(0.0);
                let known = 1 << bit;
                for choice in 0..known {
                    table[known + choice] = table[choice] + value;
                }
            }
            table
        };
        Self { tables: values.chunks(u8::BITS as usize).map(table).collect() }
    }

    /// The sum of the values whose bits are set. Bits beyond the values have none.
    pub(super) fn of_bits(&self, bits: u64) -> f64 {
        let mut sum = 0.0;
        for (table, byte) in self.tables.iter().zip(bits.to_le_bytes()) {
            sum += table[usize::from(byte)];
        }
        sum
    }
}

/// The differences of one metric.
pub(super) struct Differences {
    /// How far the difference of each pair, the logarithm of b ÷ a, lies from the mean; zero where it has none.
    deviations: Sums,
    /// The bits of the pairs that have one.
    bits: u64,
    /// The mean difference.
    pub(super) mean: f64,
    /// The sum of the squared deviations; zero where only rounding is left.
    squares: f64,
}

impl Differences {
    /// Of the differences and the index of the pair of each, at least one of them.
    pub(super) fn new(differences: &[(usize, f64)]) -> Self {
        let count = differences.len() as f64;
        let mean = differences.iter().map(|(_, value)| value).sum::<f64>() / count;
        let pairs = differences.iter().map(|(pair, _)| pair + 1).max().unwrap_or(0);
        let (mut deviations, mut bits) = (vec![0.0; pairs], 0);
        for (pair, value) in differences {
            deviations[*pair] = value - mean;
            bits |= 1 << pair;
        }
        let squares: f64 = deviations.iter().map(|deviation| deviation.powi(2)).sum();
        Self {
            deviations: Sums::of(&deviations),
            bits,
            mean,
            squares: if squares > count * ROUNDING * ROUNDING { squares } else { 0.0 },
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> f64 {
        f64::from(self.bits.count_ones())
    }

    /// The standard error of the mean; there are at least two differences.
    pub(super) fn standard_error(&self) -> f64 {
        (self.squares / (self.count() * (self.count() - 1.0))).sqrt()
    }

    /// The sum of the deviations that a flip turns round. That of the others is its opposite, since all of
    /// them sum to zero.
    fn flipped(&self, mask: u64) -> f64 {
        self.deviations.of_bits(mask)
    }

    /// The statistic of a flip where the true mean is the one that was found: the sum of the flipped
    /// deviations over the root of their squares. It has the variance one, is at most the root of the count,
    /// and a metric without scatter has zero.
    ///
    /// Student's t is an increasing function of it (Efron 1969, Journal of the American Statistical
    /// Association 64), so that the largest over the metrics is found in the same place. Unlike t it needs no
    /// division by the scatter after the flip, and a metric with few pairs does not outdo the others by its
    /// heavy tails.
    fn statistic(&self, mask: u64) -> f64 {
        if self.squares > 0.0 { 2.0 * self.flipped(mask).abs() / self.squares.sqrt() } else { 0.0 }
    }

    /// The reach of a flip below and above the mean: no end where the flip changes all signs or none.
    fn reach(&self, mask: u64) -> (f64, f64) {
        let changed = f64::from((mask & self.bits).count_ones());
        let kept = self.count() - changed;
        if changed < 1.0 || kept < 1.0 {
            return (f64::INFINITY, f64::INFINITY);
        }
        let sum = self.flipped(mask);
        let (one, other) = (sum / changed, -sum / kept);
        (ROUNDING - one.min(other), ROUNDING + one.max(other))
    }

    /// How far from the mean a hypothesis must lie so that its own statistic, n u ÷ √(squares + n u²) at the
    /// distance u, is as large as this of another metric.
    fn distance_at(&self, statistic: f64) -> f64 {
        let count = self.count();
        let left = count - statistic * statistic;
        if left <= count * ROUNDING {
            return f64::INFINITY;
        }
        statistic * (self.squares / (count * left)).sqrt()
    }
}

/// For each flip the largest statistic of a family of metrics, each about its own mean: so it is whatever the
/// true means are, those apart that the question is about (Romano and Wolf 2005, Journal of the American
/// Statistical Association 100).
pub(super) struct Maxima {
    /// The largest, whose it is, and the largest of the others.
    by_flip: Vec<(f64, usize, f64)>,
}

impl Maxima {
    /// Of the metrics of the family, each with its number.
    pub(super) fn of(family: &[(usize, &Differences)], flips: &Flips) -> Self {
        let largest = |mask: &u64| {
            let mut largest = (0.0, usize::MAX, 0.0);
            for (metric, differences) in family {
                let statistic = differences.statistic(*mask);
                if statistic > largest.0 {
                    largest = (statistic, *metric, largest.0);
                } else if statistic > largest.2 {
                    largest.2 = statistic;
                }
            }
            largest
        };
        Self { by_flip: flips.masks.iter().map(largest).collect() }
    }

    /// The largest for each flip of all metrics but this one.
    fn without(&self, metric: usize) -> impl Iterator<Item = f64> {
        self.by_flip.iter().map(move |(first, whose, second)| if *whose == metric { *second } else { *first })
    }
}

/// How far from the mean of a metric each flip leaves hypotheses standing.
pub(super) struct Reaches {
    mean: f64,
    below: Vec<f64>,
    above: Vec<f64>,
}

impl Reaches {
    /// For the metric alone.
    pub(super) fn of(differences: &Differences, flips: &Flips) -> Self {
        let (below, above) = flips.masks.iter().map(|mask| differences.reach(*mask)).unzip();
        Self { mean: differences.mean, below, above }
    }

    /// For the metric, of this number, among others: a flip also leaves standing what looks no more extreme
    /// than the most extreme of the others does by it (maxT of Westfall and Young 1993, Resampling-Based
    /// Multiple Testing).
    pub(super) fn among(mut self, metric: usize, differences: &Differences, maxima: &Maxima) -> Self {
        let both = self.below.iter_mut().zip(&mut self.above);
        for ((below, above), statistic) in both.zip(maxima.without(metric)) {
            let distance = differences.distance_at(statistic) + ROUNDING;
            *below = below.max(distance);
            *above = above.max(distance);
        }
        self
    }

    /// The two-sided p value of the hypothesis that the arms are alike.
    pub(super) fn p(&self) -> f64 {
        let toward_zero = if self.mean > 0.0 { &self.below } else { &self.above };
        let standing = toward_zero.iter().filter(|reach| **reach >= self.mean.abs()).count();
        (standing + 1) as f64 / (toward_zero.len() + 1) as f64
    }

    /// How far the interval reaches below and above the mean where `rejecting` flips, the observed signs
    /// among them, reject. Nothing where it has no end.
    pub(super) fn bounds(&self, rejecting: usize) -> Option<(f64, f64)> {
        // That many without the observed signs is one too many to reject: what it leaves standing is in the
        // interval.
        let index = rejecting.checked_sub(1)?;
        let bound = |reaches: &[f64]| {
            let mut reaches = reaches.to_vec();
            if index >= reaches.len() {
                return None;
            }
            let (_, bound, _) = reaches.select_nth_unstable_by(index, |one, other| other.total_cmp(one));
            (*bound <= REACH_MAX).then_some(*bound)
        };
        Some((bound(&self.below)?, bound(&self.above)?))
    }
}

/// A small generator: `SplitMix64` of Steele, Lea and Flood (2014, OOPSLA).
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_that_of_the_values_whose_bits_are_set() {
        let values: Vec<f64> = (0..19).map(|bit| f64::from(1 << bit)).collect();
        let sums = Sums::of(&values);
        // Bits beyond the values have none.
        for (bits, sum) in [(0, 0), (1, 1), (0b101, 0b101), (0x2_a5c3, 0x2_a5c3), (!0, 0x7_ffff)] {
            assert!((sums.of_bits(bits) - f64::from(sum)).abs() < 1e-9, "{bits:b}");
        }
        assert!(Sums::of(&[]).of_bits(5).abs() < 1e-9);
    }
}
