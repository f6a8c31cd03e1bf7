//! Whether two arms differ that were measured in alternating slices (A B, B A, A B, …), and by how much. Pure
//! arithmetic on one value per slice and metric: it does not know what the values are, only that they are
//! positive and that ratios of them matter.
//!
//! The independent unit is the pair of slices; what a pair says is d = ln(b ÷ a). It is all that is assumed
//! that d could as well have had the other sign, were the arms alike: no distribution, no equal variances.
//! Where a coin decides for each pair which arm comes first, that is so by design, whatever the noise. Strict
//! turns A B, B A are safe against a drift, but slices that resemble the ones before them make neighbouring
//! differences alike: of equal arms up to 1.8 % were then called different at a level of 1 %. Several metrics
//! are judged together:
//!
//! - The error rate is familywise. Where the arms are alike, any false verdict among all metrics is as rare
//!   as the level says, by the largest statistic over the metrics under the same sign flips (maxT of Westfall
//!   and Young 1993, Resampling-Based Multiple Testing; the flips of Fisher 1935 and Pitman 1937; Good 2005,
//!   Permutation, Parametric and Bootstrap Tests of Hypotheses). Correlated metrics, as the quantiles of one
//!   statement are, cost little that way.
//! - Test and interval are one thing seen twice: the adjusted p value is at most the level if and only if the
//!   simultaneous interval excludes a ratio of 1. For that, every metric but the one in question is flipped
//!   about its own mean, in the p value as in the interval. A mean that was found is not the true one, so
//!   that the error rate is nearly, not exactly, the level: at 1 % it was 0.7 to 1.2 % with 8 to 12 pairs of
//!   normal noise and 2 to 30 metrics. The step-down of Romano and Wolf (2005, Journal of the American
//!   Statistical Association 100) would find a little more and has no intervals.
//! - A metric with too few pairs for the level can have no verdict, so that it does not count into the family
//!   (Tarone 1990, Biometrics 46).
//!
//! With n pairs no p value is below 2 / 2ⁿ. At the fewest pairs with which a level can be reached at all,
//! only the most extreme of the flips rejects, so that a single metric whose differences are two values in
//! equal number (an order effect or a drift that is larger than the noise) leaves nothing to find for the
//! others. Two or more pairs beyond [`pairs_needed`] mend that.

mod flips;
mod looks;
mod order;

#[cfg(test)]
mod tests;

pub use looks::{Look, looks};
pub use order::SlotOrder;

use super::student;
use flips::{Differences, Flips, Maxima, REACH_MAX, Reaches, flips_of};

/// Most pairs that can be compared.
pub const PAIRS_MAX: usize = 64;
/// Values outside of this range are no measurements, and their ratios would not fit a float.
const VALUE_RANGE: std::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// One metric in one pair of slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The value in the slice of arm A, in any unit; positive.
    pub a: f64,
    /// The value in the slice of arm B, in the same unit; positive.
    pub b: f64,
    /// Whether the slice of arm A came first.
    pub a_first: bool,
}

/// Which direction of a metric is the good one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Less is better: a response time.
    Low,
    /// More is better: a throughput.
    High,
}

/// A metric of both arms.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    /// One for each pair of slices in the order of time; nothing where the metric has no value in one of the
    /// two.
    pub pairs: &'a [Option<Pair>],
    /// Its good direction.
    pub wanted: Wanted,
    /// The largest change for the worse that is accepted, as a fraction: 0.1 accepts 10 % more of what is
    /// wanted low, and 10 % less of what is wanted high. Positive, and below 1 where the metric is wanted
    /// high.
    pub limit: Option<f64>,
}

/// With which certainty to judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// The error rate of all verdicts together; one less it is the confidence of the simultaneous intervals.
    pub familywise_alpha: f64,
    /// One less it is the confidence of the interval of a metric for itself.
    pub interval_alpha: f64,
    /// The probability with which the smallest visible change would have been declared.
    pub power: f64,
    /// Seed of the flips that are drawn where all flips of the pairs would be too many.
    pub seed: u64,
}

impl Default for Levels {
    fn default() -> Self {
        Self { familywise_alpha: 0.01, interval_alpha: 0.05, power: 0.8, seed: 1 }
    }
}

/// Why metrics cannot be compared at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// The metrics do not have the same number of pairs.
    PairsDiffer {
        /// Pairs of the first metric.
        expected: usize,
        /// Pairs of another.
        found: usize,
    },
    /// There are more than [`PAIRS_MAX`].
    TooManyPairs {
        /// So many.
        found: usize,
    },
    /// A level is no probability, or too small for the flips that are looked at.
    Level {
        /// What it is.
        found: f64,
    },
    /// The accepted change of a metric is not positive, or takes all of what is wanted high.
    Limit {
        /// The index of the metric.
        metric: usize,
        /// What it is.
        found: f64,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PairsDiffer { expected, found } => {
                write!(formatter, "one metric has {expected} pairs of slices and another {found}")
            }
            Self::TooManyPairs { found } => {
                write!(
                    formatter,
                    "{found} pairs of slices are more than the {PAIRS_MAX} that can be compared"
                )
            }
            Self::Level { found } => write!(formatter, "{found} is no level between 0.00005 and 1"),
            Self::Limit { metric, found } => {
                write!(formatter, "metric {metric} cannot change by a fraction of {found} for the worse")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Why a pair of a metric was left out. A metric that is often zero must not be judged by the pairs in which
/// it is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// It has no value in one of the slices.
    Missing,
    /// A value is zero or negative: it has no logarithm.
    NotPositive,
    /// A value is not a number, infinite, or beyond 10^±100.
    OutOfRange,
}

/// A range of ratios b ÷ a, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What is to be said of a metric. `worse` stands for the ratio b ÷ a as the interval has it, turned round
/// where the metric is wanted high, so that above 1 is worse. The limit is the accepted ratio: 1 + fraction
/// where the metric is wanted low, 1 ÷ (1 − fraction) where it is wanted high; on the good side it is its
/// reciprocal.
///
/// | simultaneous interval of `worse` | without a limit | with a limit | limit kept |
/// |---|---|---|---|
/// | wholly above the limit | Worse | Worse | no |
/// | above 1, across the limit | Worse | Inconclusive: worse, but not surely too much | unknown |
/// | above 1, wholly inside | Worse | Same: the change is accepted | yes |
/// | across 1, wholly inside | Inconclusive | Same | yes |
/// | across 1 and the limit | Inconclusive | Inconclusive | unknown |
/// | across 1 and the limit on the good side only | Inconclusive | Inconclusive: not too bad, perhaps better | yes |
/// | below 1, wholly inside | Better | Same: the change is too small to matter | yes |
/// | below 1, not wholly inside | Better | Better | yes |
/// | without end | Inconclusive | Inconclusive | unknown |
///
/// A gate asks for the last column, [`Judged::limit_kept`]: a change that may be an improvement must not fail
/// it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// B is better than A.
    Better,
    /// B is worse than A, and by more than is accepted.
    Worse,
    /// B differs from A by no more than is accepted, in either direction.
    Same,
    /// Nothing of that is sure.
    Inconclusive,
}

/// What the pairs say about one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// How many pairs were used.
    pub pairs: usize,
    /// The index of each pair that was not, and why.
    pub unusable: Vec<(usize, Unusable)>,
    /// Where the simultaneous interval has no end: how many pairs it takes for one, at least.
    pub pairs_needed: Option<usize>,
    /// The difference; nothing where fewer than two pairs could be used.
    pub estimate: Option<Estimate>,
    /// By the simultaneous interval.
    pub verdict: Verdict,
    /// Whether the change for the worse is within the limit, where that is sure; nothing where it is not, or
    /// where there is none.
    pub limit_kept: Option<bool>,
}

/// How much the arms differ in one metric. All ratios are b ÷ a.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The geometric mean of the ratios of the pairs.
    pub ratio: f64,
    /// For this metric alone, at [`Levels::interval_alpha`]: what the exact sign-flip test does not reject.
    /// Nothing where there are too few pairs for an end.
    pub interval: Option<Interval>,
    /// For all metrics at once, at [`Levels::familywise_alpha`]. Nothing where it has no end: see
    /// [`Judged::pairs_needed`].
    pub simultaneous: Option<Interval>,
    /// Two-sided p value of "no difference" for this metric alone.
    pub p: f64,
    /// The same, adjusted for all metrics.
    pub p_adjusted: f64,
    /// The smallest visible change, as a ratio above 1: were this the true one, or its reciprocal, then with
    /// the probability [`Levels::power`] the verdict without a limit would have been another than
    /// inconclusive. Nothing where no change would.
    pub visible: Option<f64>,
    /// What the place of a slice within its pair did; nothing where all pairs have the same order.
    pub order: Option<SlotOrder>,
    /// How many times larger the values of both arms are in the last third of the measurement than in the
    /// first.
    pub drift: f64,
}

/// The fewest pairs with which a two-sided sign-flip test can reject at this level at all: 2 / 2ⁿ ≤ `alpha`.
/// 6 for 5 %, 8 for 1 %. `alpha` is positive.
#[must_use]
pub fn pairs_needed(alpha: f64) -> usize {
    (1..PAIRS_MAX).find(|pairs| alpha * flips_of(*pairs) as f64 >= 1.0).unwrap_or(PAIRS_MAX)
}

/// Judges all metrics of a comparison together, each in its place.
pub fn compare(metrics: &[Metric<'_>], levels: &Levels) -> Result<Vec<Judged>, Refusal> {
    let pairs = metrics.first().map_or(0, |metric| metric.pairs.len());
    check(metrics, pairs, levels)?;
    let samples: Vec<Sample> = metrics.iter().map(|metric| Sample::of(metric.pairs)).collect();
    let flips = Flips::of(pairs, levels.seed);
    let maxima = Maxima::of(&family(&samples, pairs_needed(levels.familywise_alpha)), &flips);
    let judge = |(index, (metric, sample)): (usize, (&Metric<'_>, Sample))| {
        let found = sample.found(index, &flips, &maxima, levels);
        sample.judged(metric, found, levels)
    };
    Ok(metrics.iter().zip(samples).enumerate().map(judge).collect())
}

/// Whether the question makes sense.
fn check(metrics: &[Metric<'_>], pairs: usize, levels: &Levels) -> Result<(), Refusal> {
    if let Some(other) = metrics.iter().find(|metric| metric.pairs.len() != pairs) {
        return Err(Refusal::PairsDiffer { expected: pairs, found: other.pairs.len() });
    }
    if pairs > PAIRS_MAX {
        return Err(Refusal::TooManyPairs { found: pairs });
    }
    let alpha_min = 1.0 / flips_of(PAIRS_MAX) as f64;
    let usable = |level: f64, min: f64| level >= min && level < 1.0;
    let levels = [
        (levels.familywise_alpha, alpha_min),
        (levels.interval_alpha, alpha_min),
        (levels.power, f64::MIN_POSITIVE),
    ];
    if let Some((found, _)) = levels.into_iter().find(|(level, min)| !usable(*level, *min)) {
        return Err(Refusal::Level { found });
    }
    for (index, metric) in metrics.iter().enumerate() {
        let Some(found) = metric.limit else { continue };
        let bounded = found < if metric.wanted == Wanted::High { 1.0 } else { f64::INFINITY };
        if !(found > 0.0 && bounded) {
            return Err(Refusal::Limit { metric: index, found });
        }
    }
    Ok(())
}

/// The metrics that count into the family: those with pairs enough for a verdict, or all where none has.
fn family(samples: &[Sample], needed: usize) -> Vec<(usize, &Differences)> {
    let enough = |least: usize| -> Vec<(usize, &Differences)> {
        let counted = samples.iter().enumerate().filter(|(_, sample)| sample.used.len() >= least);
        counted.filter_map(|(index, sample)| Some((index, sample.differences.as_ref()?))).collect()
    };
    let family = enough(needed);
    if family.is_empty() { enough(0) } else { family }
}

/// The usable pairs of a metric.
struct Sample {
    used: Vec<Pair>,
    unusable: Vec<(usize, Unusable)>,
    /// Nothing where fewer than two are usable.
    differences: Option<Differences>,
}

/// What was found about the mean difference, as logarithms.
struct Found {
    estimate: Estimate,
    /// How far the simultaneous interval lies from none, below and above.
    simultaneous: Option<(f64, f64)>,
}

impl Sample {
    fn of(pairs: &[Option<Pair>]) -> Self {
        let mut sample = Self { used: Vec::new(), unusable: Vec::new(), differences: None };
        let mut differences = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            match usable(*pair) {
                Ok(pair) => {
                    sample.used.push(pair);
                    differences.push((index, difference(&pair)));
                }
                Err(why) => sample.unusable.push((index, why)),
            }
        }
        sample.differences = (differences.len() >= 2).then(|| Differences::new(&differences));
        sample
    }

    fn found(&self, index: usize, flips: &Flips, maxima: &Maxima, levels: &Levels) -> Option<Found> {
        let differences = self.differences.as_ref()?;
        let alone = Reaches::of(differences, flips);
        let (p, interval) = (alone.p(), alone.bounds(flips.rejecting(levels.interval_alpha)));
        let among = alone.among(index, differences, maxima);
        let reaches = among.bounds(flips.rejecting(levels.familywise_alpha));
        let mean = differences.mean;
        let around = |(below, above): (f64, f64)| (mean - below, mean + above);
        let ratios = |(low, high): (f64, f64)| Interval { low: low.exp(), high: high.exp() };
        let ordered: Vec<(f64, bool)> =
            self.used.iter().map(|pair| (difference(pair), pair.a_first)).collect();
        let course: Vec<f64> = self.used.iter().map(|pair| f64::midpoint(pair.a.ln(), pair.b.ln())).collect();
        let estimate = Estimate {
            ratio: mean.exp(),
            interval: interval.map(around).map(ratios),
            simultaneous: reaches.map(around).map(ratios),
            p,
            p_adjusted: among.p(),
            visible: reaches.and_then(|reaches| visible(differences, reaches, levels.power)),
            order: order::slot_order(&ordered, levels.seed),
            drift: order::drift(&course).exp(),
        };
        Some(Found { estimate, simultaneous: reaches.map(around) })
    }

    fn judged(self, metric: &Metric<'_>, found: Option<Found>, levels: &Levels) -> Judged {
        let pairs = self.used.len();
        let simultaneous = found.as_ref().and_then(|found| found.simultaneous);
        let worse = simultaneous.map(|(low, high)| match metric.wanted {
            Wanted::Low => (low, high),
            Wanted::High => (-high, -low),
        });
        let limit = metric.limit.map(|fraction| match metric.wanted {
            Wanted::Low => fraction.ln_1p(),
            Wanted::High => -(-fraction).ln_1p(),
        });
        Judged {
            pairs,
            unusable: self.unusable,
            // Where there are enough by count, another metric stands in the way, and more pairs are the
            // remedy as well.
            pairs_needed: match simultaneous {
                Some(_) => None,
                None => Some(pairs_needed(levels.familywise_alpha).max(pairs + 1)),
            },
            estimate: found.map(|found| found.estimate),
            verdict: verdict(worse, limit),
            limit_kept: limit_kept(worse, limit),
        }
    }
}

fn usable(pair: Option<Pair>) -> Result<Pair, Unusable> {
    let pair = pair.ok_or(Unusable::Missing)?;
    if pair.a <= 0.0 || pair.b <= 0.0 {
        return Err(Unusable::NotPositive);
    }
    let measured = VALUE_RANGE.contains(&pair.a) && VALUE_RANGE.contains(&pair.b);
    if measured { Ok(pair) } else { Err(Unusable::OutOfRange) }
}

/// ln(b ÷ a) of a usable pair.
fn difference(pair: &Pair) -> f64 {
    pair.b.ln() - pair.a.ln()
}

/// The smallest visible change, as a ratio: the minimum detectable effect of Bloom (1995, Evaluation Review
/// 19), which is the critical distance from none and as many standard errors as the t quantile of the power
/// says.
///
/// The critical distance is the one that the flips needed here, the half width of the simultaneous interval,
/// in place of a t quantile corrected by the number of metrics. It is an estimate itself and would be another
/// in the next measurement, by its share 1 ÷ √(2 (n − 1)); that is added to the standard error as in the
/// normal approximation of the noncentral t distribution (Johnson and Welch 1940, Biometrika 31).
fn visible(differences: &Differences, (below, above): (f64, f64), power: f64) -> Option<f64> {
    let freedom = differences.count() - 1.0;
    let critical = f64::midpoint(below, above);
    let spread = (differences.standard_error().powi(2) + critical.powi(2) / (2.0 * freedom)).sqrt();
    let visible = critical + student::quantile(power, freedom) * spread;
    (visible <= REACH_MAX).then(|| visible.exp())
}

/// The table at [`Verdict`], of an interval of logarithms in which above zero is worse.
fn verdict(worse: Option<(f64, f64)>, limit: Option<f64>) -> Verdict {
    let Some((low, high)) = worse else { return Verdict::Inconclusive };
    match limit {
        None if low > 0.0 => Verdict::Worse,
        Some(limit) if low > limit => Verdict::Worse,
        Some(limit) if -limit <= low && high <= limit => Verdict::Same,
        _ if high < 0.0 => Verdict::Better,
        _ => Verdict::Inconclusive,
    }
}

/// Whether the limit holds, where that is sure.
fn limit_kept(worse: Option<(f64, f64)>, limit: Option<f64>) -> Option<bool> {
    let ((low, high), limit) = (worse?, limit?);
    if high <= limit { Some(true) } else { (low > limit).then_some(false) }
}
