//! From distributions to the numbers that a report prints.

use crate::model::Quantiles;
use crate::record::histogram::Distribution;
use crate::record::measure::Values;

/// Samples that must lie beyond a quantile before it is printed.
const BEYOND_MIN: f64 = 10.0;

/// The quantiles of what was answered.
pub(super) fn quantiles(answered: &Distribution) -> Quantiles {
    with_censored(answered, &Distribution::default())
}

/// The quantiles of measured values, in whole units.
pub(super) fn of_values(values: &Values) -> Quantiles {
    let histogram = values.histogram();
    let count = histogram.len();
    if count == 0 {
        return Quantiles::default();
    }
    let at = |quantile| {
        // A bucket's end may lie beyond the largest value in it.
        is_carried(count, quantile).then(|| histogram.value_at_quantile(quantile).min(values.max()))
    };
    Quantiles {
        count,
        mean: Some(values.sum() as f64 / count as f64),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p99_9: at(0.999),
        p99_99: at(0.9999),
        max: Some(values.max()),
        censored_from: None,
    }
}

/// Whether so many samples carry a quantile.
fn is_carried(count: u64, quantile: f64) -> bool {
    // The margin is for quantiles like 0.9 that no binary fraction equals.
    count as f64 * (1.0 - quantile) >= BEYOND_MIN - 1e-6
}

/// The quantiles of what was answered, and of what was given up and therefore counts at the slow end: how slow it would have
/// been is unknown, only that it would have been at least as slow as it was waited for.
///
/// The given-up work takes the highest ranks. That is right where it was waited for longer than the answers took, which is
/// why it was given up, and errs to the side of the user otherwise.
pub(super) fn with_censored(answered: &Distribution, given_up: &Distribution) -> Quantiles {
    let count = answered.count() + given_up.count();
    if count == 0 {
        return Quantiles::default();
    }
    let longest = answered.histogram().max().max(given_up.histogram().max());
    let at = |quantile: f64| {
        if !is_carried(count, quantile) {
            return None;
        }
        let rank = (quantile * count as f64).ceil().max(1.0);
        let answers = answered.count() as f64;
        Some(if rank <= answers { answered.histogram().value_at_quantile(rank / answers) } else { longest })
    };
    Quantiles {
        count,
        mean: (given_up.is_empty()).then(|| answered.sum_ns() as f64 / 1000.0 / answered.count() as f64),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p99_9: at(0.999),
        p99_99: at(0.9999),
        max: Some(longest),
        censored_from: (!given_up.is_empty()).then(|| answered.count() as f64 / count as f64),
    }
}

/// Points of a curve in each decade of what lies beyond: eight look smooth.
const POINTS_OF_A_DECADE: i32 = 8;
/// Decades beyond the 90th percentile: to the 99.99th.
const DECADES: i32 = 3;

/// The curve of a distribution for a percentile axis: quantiles with their times in microseconds, as far as the samples carry
/// them and everything ended well.
pub(super) fn curve(answered: &Distribution, given_up: &Distribution) -> Vec<(f64, u64)> {
    let count = answered.count() + given_up.count();
    let tenths = (0..10).map(|tenth| f64::from(tenth) / 10.0);
    let tail = (1..=DECADES * POINTS_OF_A_DECADE)
        .map(|step| 1.0 - 10_f64.powf(-1.0 - f64::from(step) / f64::from(POINTS_OF_A_DECADE)));
    // Six digits tell neighbouring points apart, and no file is larger for the noise behind them.
    let rounded = tenths.chain(tail).map(|quantile| (quantile * 1e6).round() / 1e6);
    rounded
        .take_while(|quantile| is_carried(count, *quantile))
        .map_while(|quantile| {
            let rank = (quantile * count as f64).ceil().max(1.0);
            let answers = answered.count() as f64;
            (rank <= answers).then(|| (quantile, answered.histogram().value_at_quantile(rank / answers)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn distribution(us: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        for us in us {
            distribution.record(Duration::from_micros(us));
        }
        distribution
    }

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        let hundred = quantiles(&distribution(1..=100));
        assert_eq!(
            (hundred.p50, hundred.p90, hundred.p95, hundred.max),
            (Some(50), Some(90), None, Some(100))
        );
        assert_eq!(hundred.mean, Some(50.5));
        assert_eq!(quantiles(&distribution(1..=19)).p50, None);
        assert_eq!(quantiles(&Distribution::default()), Quantiles::default());
    }

    #[test]
    fn a_curve_ends_where_the_samples_do() {
        let none = Distribution::default();
        assert_eq!(curve(&none, &none), []);
        let thousand = curve(&distribution(1..=1000), &none);
        let (last, _) = thousand.last().expect("a curve has points");
        assert!(
            (last - 0.99).abs() < 1e-9,
            "ten of a thousand lie beyond 99 %, and fewer beyond more: {last}"
        );
        assert_eq!(thousand[5], (0.5, 500));
        let all = curve(&distribution((0..200_000).map(|n| 1 + n % 5000)), &none);
        assert_eq!(all.len(), 34);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{all:?}");
    }

    #[test]
    fn a_curve_ends_where_work_was_given_up() {
        let given_up = distribution(std::iter::repeat_n(2000, 100));
        let curve = curve(&distribution(1..=900), &given_up);
        assert_eq!(curve.last().map(|(quantile, _)| *quantile), Some(0.9), "{curve:?}");
    }

    #[test]
    fn what_was_given_up_is_slower_than_every_answer() {
        let answered = distribution(1..=900);
        let given_up = distribution(std::iter::repeat_n(2000, 100));
        let all = with_censored(&answered, &given_up);
        assert_eq!(all.count, 1000);
        assert_eq!(all.p50, Some(500));
        assert_eq!(all.p90, Some(900));
        assert_eq!(all.p95, Some(2000), "a lower bound");
        assert_eq!(all.censored_from, Some(0.9));
        assert_eq!(all.mean, None, "a mean over unknown ends does not exist");
    }
}
