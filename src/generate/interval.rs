//! Times between events, and how many: the gaps of a Poisson process, pauses, lengths of sessions. From the same exact
//! functions as values, so that a seed gives the same instants on every machine.

use std::time::Duration;

use super::Stream;
use super::exact::{exp, ln};
use super::number::standard_normal;
use crate::units::{Amount, Pause, SESSION_MAX};

/// Tries of a rejection method before its last candidate is taken. Fewer than one in twenty is rejected.
const TRIES_MAX: u32 = 64;
/// Longest pause, in seconds: longer than any run.
const PAUSE_MAX_S: f64 = 1e9;

/// One gap of a Poisson process of rate 1: exponentially distributed with mean 1.
#[must_use]
pub fn unit_exponential(stream: &mut Stream) -> f64 {
    -ln(stream.unit())
}

/// The sum of `shape` such gaps, `shape` at least 1, without drawing each (Marsaglia and Tsang, "A Simple Method for
/// Generating Gamma Variables", 2000).
#[must_use]
pub fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    let mut candidate = d;
    for _ in 0..TRIES_MAX {
        let x = standard_normal(stream);
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        let v = root * root * root;
        candidate = d * v;
        if ln(stream.unit()) < x * x / 2.0 + d - d * v + d * ln(v) {
            break;
        }
    }
    candidate
}

/// Draws a pause.
#[must_use]
pub fn pause(pause: &Pause, stream: &mut Stream) -> Duration {
    let seconds = match *pause {
        Pause::Constant { time } => return time,
        Pause::Uniform { min, max } => {
            let (min, max) = (min.as_secs_f64(), max.as_secs_f64());
            min + (max - min) * stream.unit()
        }
        Pause::Exponential { mean } => mean.as_secs_f64() * unit_exponential(stream),
        Pause::Lognormal { median, sigma } => median.as_secs_f64() * exp(sigma * standard_normal(stream)),
    };
    Duration::from_secs_f64(seconds.clamp(0.0, PAUSE_MAX_S))
}

/// Draws an amount, at least 1.
#[must_use]
pub fn amount(amount: &Amount, stream: &mut Stream) -> u32 {
    match *amount {
        Amount::Constant { number } => number,
        Amount::Uniform { min, max } => {
            u32::try_from(stream.between(i64::from(min), i64::from(max))).unwrap_or(max)
        }
        Amount::Geometric { mean } if mean <= 1.0 => 1,
        Amount::Geometric { mean } => {
            // By inversion: with p = 1 ÷ mean, more than k happen with a probability of (1 − p)^k.
            let more = ln(stream.unit()) / ln(1.0 - 1.0 / mean);
            // Bounded on both sides before the cast.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let more = more.clamp(0.0, f64::from(SESSION_MAX - 1)) as u32;
            1 + more
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    const DRAWS: u32 = 100_000;

    fn draws(one: impl Fn(&mut Stream) -> f64) -> Vec<f64> {
        let key = Key::root(Seed(11)).name("interval");
        let mut draws: Vec<f64> = (0..DRAWS).map(|n| one(&mut key.at(u64::from(n), 0))).collect();
        draws.sort_by(f64::total_cmp);
        draws
    }

    fn mean(draws: &[f64]) -> f64 {
        draws.iter().sum::<f64>() / f64::from(DRAWS)
    }

    fn variance(draws: &[f64]) -> f64 {
        let mean = mean(draws);
        draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / f64::from(DRAWS)
    }

    fn share_below(draws: &[f64], bound: f64) -> f64 {
        draws.partition_point(|draw| *draw < bound) as f64 / f64::from(DRAWS)
    }

    /// A share of 10⁵ draws has a standard deviation of at most 0.0016, a mean one of its own ÷ 316; the bounds are four of
    /// them and more.
    #[test]
    fn sums_of_gaps_are_those_of_gaps() {
        for shape in [1_u32, 5, 64] {
            let sums = draws(|stream| gamma(f64::from(shape), stream));
            let added = draws(|stream| (0..shape).map(|_| unit_exponential(stream)).sum());
            let k = f64::from(shape);
            for sum in [&sums, &added] {
                assert!((mean(sum) / k - 1.0).abs() < 0.013 / k.sqrt(), "{shape}: mean {}", mean(sum));
                assert!((variance(sum) / k - 1.0).abs() < 0.04, "{shape}: variance {}", variance(sum));
            }
            for share in 1..10 {
                let bound = added[(DRAWS / 10 * share) as usize];
                let below = share_below(&sums, bound);
                assert!((below - f64::from(share) / 10.0).abs() < 0.01, "{shape} {share}: {below}");
            }
        }
    }

    #[test]
    fn pauses_have_their_means_and_medians() {
        let ms = Duration::from_millis;
        let drawn = |of: Pause| draws(move |stream| pause(&of, stream).as_secs_f64() * 1e3);
        let uniform = drawn(Pause::Uniform { min: ms(100), max: ms(300) });
        assert!((mean(&uniform) - 200.0).abs() < 1.0 && uniform[0] >= 100.0 && uniform[99_999] <= 300.0);
        let exponential = drawn(Pause::Exponential { mean: ms(200) });
        assert!((mean(&exponential) - 200.0).abs() < 3.0, "{}", mean(&exponential));
        assert!((share_below(&exponential, 200.0) - 0.632).abs() < 0.01);
        let lognormal = drawn(Pause::Lognormal { median: ms(200), sigma: 0.8 });
        assert!((share_below(&lognormal, 200.0) - 0.5).abs() < 0.01);
        assert!((share_below(&lognormal, 200.0 * 0.8_f64.exp()) - 0.841).abs() < 0.01);
        let never = Pause::Lognormal { median: Duration::MAX, sigma: 10.0 };
        assert!(draws(|stream| pause(&never, stream).as_secs_f64())[99_999] <= PAUSE_MAX_S);
    }

    #[test]
    fn amounts_have_their_means_and_begin_with_one() {
        let drawn = |of: Amount| draws(move |stream| f64::from(amount(&of, stream)));
        let uniform = drawn(Amount::Uniform { min: 1, max: 9 });
        assert!((mean(&uniform) - 5.0).abs() < 0.04 && uniform[0] < 1.5 && uniform[99_999] > 8.5);
        let geometric = drawn(Amount::Geometric { mean: 5.0 });
        // Standard deviation √20 ÷ √10⁵ = 0.014.
        assert!((mean(&geometric) - 5.0).abs() < 0.06, "{}", mean(&geometric));
        assert!((share_below(&geometric, 1.5) - 0.2).abs() < 0.01);
        for (always, number) in [(Amount::Geometric { mean: 1.0 }, 1), (Amount::Constant { number: 7 }, 7)] {
            let mut stream = Key::root(Seed(11)).at(0, 0);
            assert!((0..100).all(|_| amount(&always, &mut stream) == number));
        }
    }
}
