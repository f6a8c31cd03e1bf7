//! What benchmarks of two things by turns share: how their figures are summed up, and the exit code.

use std::fmt;
use std::process::ExitCode;

use crate::common::{Result, say};

/// The exit code of a comparison: whether everything is as it should be.
pub fn conclude(compared: Result<bool>) -> ExitCode {
    match compared {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the comparison failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A median and where that of all such values lies.
pub struct Interval {
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
    /// How sure that is: at least 95 %, where there are at least six values.
    pub confidence: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lower, median, upper, confidence } = self;
        write!(f, "{median:.3} ({:.0} %: {lower:.3} to {upper:.3})", confidence * 100.0)
    }
}

/// The interval of the median between two order statistics, the narrowest symmetric one of at least 95 %. It supposes
/// nothing of how the values are distributed: that of `n` values at most `k` lie on one side of the median has the
/// probability of at most `k` heads in `n` throws of a coin (the interval that belongs to the sign test).
pub fn interval_of_median(values: impl Iterator<Item = f64>) -> Interval {
    const CONFIDENCE: f64 = 0.95;
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let count = values.len();
    // Probability of each number of heads, from none on.
    let mut heads = 0.5_f64.powf(count as f64);
    let (mut outside, mut cut) = (heads, 0);
    for at in 1..count / 2 {
        heads *= (count - at + 1) as f64 / at as f64;
        if 1.0 - 2.0 * (outside + heads) < CONFIDENCE {
            break;
        }
        outside += heads;
        cut = at;
    }
    let (lower, upper) = (values[cut], values[count - 1 - cut]);
    Interval { lower, median: median(values.into_iter()), upper, confidence: 1.0 - 2.0 * outside }
}
