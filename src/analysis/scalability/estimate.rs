//! Values of repetitions, and how sure their means are. Pure.
//!
//! The unit is the repetition: what happens inside one is correlated and never narrows an interval. Throughput is compared on
//! the logarithm, where noise is a share of the value and alike at all sizes, so that all sizes together tell how large it is.
//! Each repetition goes through all sizes in an order that is drawn: how fast the machine was during the whole of it is taken off
//! (randomized complete blocks; Montgomery, "Design and Analysis of Experiments", section 4.1). Where a size lacks a repetition, it
//! is not (one-way analysis of variance, section 3.3).

use crate::analysis::student;
use crate::model::Estimate;

/// Probability that an interval holds the true mean.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The mean of repetitions with Student's interval; without one below two of them. What cannot be negative has no interval
/// below zero.
pub(super) fn mean(values: &[f64]) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return Some(Estimate { mean, low: None, high: None });
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = quantile(count - 1.0) * (squares / (count - 1.0) / count).sqrt();
    Some(Estimate { mean, low: Some((mean - half).max(0.0)), high: Some(mean + half) })
}

/// Positive values of several groups, whose noise is the same share of the value in all of them.
pub(super) struct Pooled {
    /// Number of values and mean logarithm of each group.
    groups: Vec<(f64, f64)>,
    /// Standard deviation of a logarithm; nothing where no group has two values.
    deviation: Option<f64>,
    freedom: f64,
}

impl Pooled {
    /// Nothing where a group is empty or a value is not positive.
    pub(super) fn of(groups: &[Vec<f64>]) -> Option<Self> {
        let is_positive = |group: &Vec<f64>| !group.is_empty() && group.iter().all(|value| *value > 0.0);
        if groups.is_empty() || !groups.iter().all(is_positive) {
            return None;
        }
        let repeats = groups[0].len();
        let are_blocks = groups.len() > 1 && groups.iter().all(|group| group.len() == repeats);
        let slow_or_fast = if are_blocks { blocks(groups) } else { Vec::new() };
        let (mut squares, mut freedom) = (0.0, 0.0);
        let mut of = |group: &Vec<f64>| {
            let count = group.len() as f64;
            let mean = group.iter().map(|value| value.ln()).sum::<f64>() / count;
            let of_block = slow_or_fast.iter().copied().chain(std::iter::repeat(0.0));
            squares += group
                .iter()
                .zip(of_block)
                .map(|(value, block)| (value.ln() - mean - block).powi(2))
                .sum::<f64>();
            freedom += count - 1.0;
            (count, mean)
        };
        let groups: Vec<(f64, f64)> = groups.iter().map(&mut of).collect();
        freedom -= slow_or_fast.len().saturating_sub(1) as f64;
        let deviation = (freedom > 0.0).then(|| (squares / freedom).sqrt());
        Some(Self { groups, deviation, freedom })
    }

    /// Geometric mean of a group, with its interval.
    pub(super) fn mean(&self, group: usize) -> Estimate {
        let (count, mean) = self.groups[group];
        self.around(mean, (1.0 / count).sqrt())
    }

    /// Mean of one group ÷ mean of another, with its interval.
    pub(super) fn ratio(&self, group: usize, to: usize) -> Estimate {
        let ((count, mean), (count_to, mean_to)) = (self.groups[group], self.groups[to]);
        self.around(mean - mean_to, (1.0 / count + 1.0 / count_to).sqrt())
    }

    /// Whether the repetitions do not tell two groups apart. Where there is one of each, nothing is told.
    pub(super) fn are_alike(&self, group: usize, other: usize) -> bool {
        let ratio = self.ratio(group, other);
        group == other
            || ratio.low.is_some_and(|low| low <= 1.0) && ratio.high.is_some_and(|high| high >= 1.0)
    }

    fn around(&self, mean_ln: f64, errors: f64) -> Estimate {
        let half = self.deviation.map(|deviation| quantile(self.freedom) * deviation * errors);
        Estimate {
            mean: mean_ln.exp(),
            low: half.map(|half| (mean_ln - half).exp()),
            high: half.map(|half| (mean_ln + half).exp()),
        }
    }
}

/// Whether two groups of repetitions cannot be told apart, on the logarithm where all are positive, by Welch's test (Welch 1947,
/// Biometrika 34, 28–35): their scatter may differ, as that of waits does. Nothing where one has fewer than two values.
pub(super) fn are_alike(left: &[f64], right: &[f64]) -> Option<bool> {
    let is_positive = left.iter().chain(right).all(|value| *value > 0.0);
    let of = |values: &[f64]| {
        let values: Vec<f64> =
            values.iter().map(|value| if is_positive { value.ln() } else { *value }).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, squares / (count - 1.0) / count, count - 1.0)
    };
    if left.len() < 2 || right.len() < 2 {
        return None;
    }
    let ((mean_left, error_left, free_left), (mean_right, error_right, free_right)) = (of(left), of(right));
    let error = error_left + error_right;
    let gap = (mean_left - mean_right).abs();
    if error <= 0.0 {
        return Some(gap <= 0.0);
    }
    let freedom = error.powi(2) / (error_left.powi(2) / free_left + error_right.powi(2) / free_right);
    Some(gap <= quantile(freedom) * error.sqrt())
}

/// By how much each repetition was faster than all of them together, on the logarithm.
fn blocks(groups: &[Vec<f64>]) -> Vec<f64> {
    let mean = |values: &mut dyn Iterator<Item = f64>| values.map(f64::ln).sum::<f64>() / groups.len() as f64;
    let repeats = groups[0].len();
    let means: Vec<f64> = (0..repeats).map(|at| mean(&mut groups.iter().map(|group| group[at]))).collect();
    let all = means.iter().sum::<f64>() / repeats as f64;
    means.into_iter().map(|mean| mean - all).collect()
}

/// Student's factor for an interval of both sides.
pub(super) fn quantile(freedom: f64) -> f64 {
    student::quantile(f64::midpoint(1.0, CONFIDENCE), freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 4, 5 and 6 the deviation is 1, and Student's factor at two degrees of freedom is 4.3027 (any table).
    #[test]
    fn the_interval_of_three_values_is_students() {
        let estimate = mean(&[4.0, 5.0, 6.0]).expect("three values");
        let half = 4.302_652_7 / 3.0_f64.sqrt();
        assert!((estimate.mean - 5.0).abs() < 1e-12);
        assert!((estimate.low.expect("three") - (5.0 - half)).abs() < 1e-6);
        assert!((estimate.high.expect("three") - (5.0 + half)).abs() < 1e-6);
        assert_eq!(mean(&[7.0]).map(|one| (one.low, one.high)), Some((None, None)));
        assert_eq!(mean(&[0.0, 1.0, 0.0]).and_then(|of| of.low), Some(0.0), "no share is below nothing");
    }

    /// Two groups of two, one with a tenth more first and the other with a tenth more second: no block is faster, and on one degree
    /// of freedom the deviation is twice ln 1.1.
    #[test]
    fn all_groups_together_tell_how_large_the_noise_is() {
        let groups = [vec![100.0 / 1.1, 100.0 * 1.1], vec![200.0 * 1.1, 200.0 / 1.1]];
        let pooled = Pooled::of(&groups).expect("positive");
        let ratio = pooled.ratio(1, 0);
        assert!((ratio.mean - 2.0).abs() < 1e-12);
        let half = 12.706_204_7 * 2.0 * 1.1_f64.ln();
        assert!((ratio.low.expect("two").ln() - (2.0_f64.ln() - half)).abs() < 1e-6, "{ratio:?}");
        assert!(pooled.are_alike(0, 1), "a factor of two lies within it: {ratio:?}");
        let three = [vec![99.0, 100.0, 101.0], vec![202.0, 198.0, 200.0]];
        assert!(!Pooled::of(&three).expect("positive").are_alike(0, 1));
    }

    /// A machine that is twice as slow in the second repetition is as slow for all sizes.
    #[test]
    fn how_fast_the_machine_was_in_a_repetition_is_no_noise() {
        let slow = [vec![100.0, 50.0, 90.0], vec![110.0, 55.0, 99.0], vec![111.0, 55.0, 100.0]];
        let pooled = Pooled::of(&slow).expect("positive");
        assert!(!pooled.are_alike(0, 1) && pooled.are_alike(1, 2), "{:?}", pooled.ratio(1, 0));
        // With a repetition missing nothing is taken off, and the scatter is what it is.
        let torn = [vec![100.0, 50.0, 90.0], vec![110.0, 55.0, 99.0], vec![111.0, 55.0]];
        assert!(Pooled::of(&torn).expect("positive").are_alike(0, 1));
    }

    #[test]
    fn groups_whose_scatter_differs_are_compared_as_well() {
        let three = [vec![99.0, 100.0, 101.0], vec![198.0, 200.0, 202.0]];
        assert_eq!(are_alike(&three[0], &three[1]), Some(false));
        assert_eq!(are_alike(&[1.0, 9.0, 3.0], &[2.0, 4.0, 5.0]), Some(true));
        assert_eq!(are_alike(&[0.0, 0.0], &[0.0, 0.0]), Some(true));
        assert_eq!(are_alike(&[1.0], &[2.0, 2.0]), None);
        let one = Pooled::of(&[vec![1.0], vec![2.0]]).expect("positive");
        assert!(!one.are_alike(0, 1) && one.ratio(1, 0).low.is_none());
        assert!(Pooled::of(&[vec![0.0]]).is_none());
    }
}
