//! Student's t distribution: its cumulative probability and, by bisection of it, its quantiles. Accurate to
//! ten digits or more in the middle of the distribution, which is where it is asked.

/// Relative size below which a further step of a continued fraction changes nothing.
const STEP_MIN: f64 = 1e-15;
/// Steps after which a continued fraction is taken as it is. It needs about the square root of the larger
/// parameter.
const STEPS_MAX: u32 = 1000;
/// From here on Stirling's series of the gamma function is exact to the last digits with the terms that stand
/// below.
const STIRLING_MIN: f64 = 10.0;
/// Quantiles beyond this are not told apart.
const QUANTILE_MAX: f64 = 1e12;

/// The probability of at most `t`, with so many degrees of freedom. (Abramowitz and Stegun 1964, 26.7.1 and
/// 26.5.27.)
pub(super) fn cdf(t: f64, freedom: f64) -> f64 {
    let tail = 0.5 * beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The value that is exceeded with a probability of 1 − `probability`, which lies strictly between 0 and 1.
pub(super) fn quantile(probability: f64, freedom: f64) -> f64 {
    if probability < 0.5 {
        return -quantile(1.0 - probability, freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while cdf(high, freedom) < probability && high < QUANTILE_MAX {
        low = high;
        high *= 2.0;
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if cdf(middle, freedom) < probability { low = middle } else { high = middle }
    }
}

/// The probability that Fisher's F exceeds `f`, with so many degrees of freedom above and below. (Abramowitz and Stegun
/// 1964, 26.6.2.)
pub(super) fn f_beyond(f: f64, above: f64, below: f64) -> f64 {
    beta(below / (below + above * f.max(0.0)), below / 2.0, above / 2.0)
}

/// The regularised incomplete beta function I of `x`: the continued fraction 8.17.22 of the NIST Digital
/// Library of Mathematical Functions, from the side on which it converges fast.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    ln_front.exp() / a * beta_fraction(x, a, b)
}

/// 1 / (1 + d₁ / (1 + d₂ / (1 + …))), by the method of Lentz (1976, Applied Optics 15).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let mut lower = 1.0 / (1.0 - (a + b) * x / (a + 1.0));
    let mut upper = 1.0;
    let mut fraction = lower;
    for step in 1..=STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for part in [even, odd] {
            lower = 1.0 / not_zero(1.0 + part * lower);
            upper = not_zero(1.0 + part / upper);
            fraction *= lower * upper;
        }
        if (fraction - before).abs() <= STEP_MIN * fraction.abs() {
            break;
        }
    }
    fraction
}

/// Lentz's remedy for a denominator that vanishes.
fn not_zero(value: f64) -> f64 {
    if value == 0.0 { f64::MIN_POSITIVE } else { value }
}

/// The logarithm of the gamma function of a positive number: Stirling's series (NIST DLMF 5.11.1), after
/// steps up to where it is exact.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 1.0);
    while x < STIRLING_MIN {
        below *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = inverse / 1188.0 - 1.0 / 1680.0;
    let series = (((series * inverse + 1.0 / 1260.0) * inverse - 1.0 / 360.0) * inverse + 1.0 / 12.0) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gamma_function_of_whole_numbers_is_a_factorial() {
        let mut factorial = 1.0_f64;
        for number in 1..=30 {
            let ln = ln_gamma(f64::from(number));
            assert!((ln - factorial.ln()).abs() < 1e-13 * factorial.ln().max(1.0), "{number}: {ln}");
            factorial *= f64::from(number);
        }
        assert!((ln_gamma(0.5) - 0.5 * std::f64::consts::PI.ln()).abs() < 1e-14);
    }

    /// One degree of freedom is Cauchy's distribution, two have a closed form.
    #[test]
    fn few_degrees_of_freedom_have_closed_forms() {
        for t in [-30.0, -2.0, -0.3, 0.0, 0.001, 0.7, 1.0, 5.0, 400.0_f64] {
            let one = 0.5 + t.atan() / std::f64::consts::PI;
            let two = 0.5 + t / (2.0 * (2.0 + t * t).sqrt());
            assert!((cdf(t, 1.0) - one).abs() < 1e-13, "{t}");
            assert!((cdf(t, 2.0) - two).abs() < 1e-13, "{t}");
        }
    }

    /// The square of Student's t is F with one degree above; with two above there is a closed form.
    #[test]
    fn fishers_f_has_known_cases() {
        for f in [0.1, 1.0, 4.3, 19.0_f64] {
            let from_t = 2.0 * (1.0 - cdf(f.sqrt(), 7.0));
            assert!((f_beyond(f, 1.0, 7.0) - from_t).abs() < 1e-13, "{f}");
            let closed = (1.0 + 2.0 * f / 5.0).powf(-2.5);
            assert!((f_beyond(f, 2.0, 5.0) - closed).abs() < 1e-13, "{f}");
        }
    }

    #[test]
    fn a_quantile_undoes_the_probability() {
        for freedom in [1.0, 2.0, 5.0, 7.0, 13.0, 49.0, 1000.0] {
            for probability in [0.005, 0.2, 0.5, 0.8, 0.975, 0.995] {
                let back = cdf(quantile(probability, freedom), freedom);
                assert!((back - probability).abs() < 1e-12, "{freedom}, {probability}: {back}");
            }
        }
    }
}
