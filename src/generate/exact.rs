//! Logarithm, exponential and power from IEEE basic operations only, so that a value is the same on every machine: the
//! functions of a C library differ in their last bits between platforms and versions, a dataset must not.
//! Knows nothing of distributions.

/// ln 2 in two parts: the first has trailing zero bits, so that its product with a small whole number is exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const ONE_BY_LN_2: f64 = std::f64::consts::LOG2_E;

/// The natural logarithm of a normal positive number, within 2 units of the last place or 10⁻¹⁶ absolutely.
pub(super) fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0, "the logarithm is asked of positive normal numbers only");
    let bits = x.to_bits();
    let mut exponent = (bits >> 52).cast_signed() - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m − 1) ÷ (m + 1)); the ratio stays below 0.172, where eleven terms reach 2^-54.
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let mut tail = 0.0;
    for odd in (1..=11).rev() {
        tail = (tail + 1.0 / f64::from(2 * odd + 1)) * square;
    }
    // An exponent of a double has eleven bits.
    let exponent = exponent as f64;
    exponent * LN_2_HIGH + (2.0 * ratio + (2.0 * ratio * tail + exponent * LN_2_LOW))
}

/// e to the power `x`, within 2 units of the last place; zero below the normal range, infinite above it.
pub(super) fn exp(x: f64) -> f64 {
    if x < -708.0 {
        return 0.0;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    // Both bounds were checked above: the quotient lies within ±1024.
    #[expect(clippy::cast_possible_truncation)]
    let twos = (x * ONE_BY_LN_2 + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let rest = (x - f64::from(twos) * LN_2_HIGH) - f64::from(twos) * LN_2_LOW;
    // Taylor's series; the rest stays below 0.35, where fourteen terms reach 2^-57.
    let mut sum = 1.0;
    for term in (1..=14).rev() {
        sum = 1.0 + sum * rest / f64::from(term);
    }
    sum * f64::from_bits((i64::from(twos) + 1023).cast_unsigned() << 52)
}

/// `base` to the power `exponent`, `base` positive and normal.
pub(super) fn pow(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_agree_with_the_standard_library_to_the_last_digits() {
        let mut x: f64 = 1e-300;
        while x < 1e300 {
            for near in [x, x * 1.414, x * 1.415, x * 1.999] {
                let expected: f64 = near.ln();
                let bound = 4.5e-16 * expected.abs() + 1e-16;
                assert!((ln(near) - expected).abs() <= bound, "ln({near}) = {} not {expected}", ln(near));
            }
            x *= 1.37;
        }
        assert!(ln(1.0).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn exponentials_agree_with_the_standard_library_to_the_last_digits() {
        let mut x: f64 = -700.0;
        while x < 700.0 {
            let expected: f64 = x.exp();
            // Two units of the last place.
            assert!((exp(x) / expected - 1.0).abs() <= 4.5e-16, "exp({x}) = {} not {expected}", exp(x));
            x += 0.371;
        }
        assert!((exp(0.0) - 1.0).abs() < f64::MIN_POSITIVE);
        assert!(exp(-1000.0) < f64::MIN_POSITIVE && exp(1000.0).is_infinite());
    }

    #[test]
    fn powers_keep_a_relative_error_that_no_sampler_can_see() {
        for (base, exponent) in [(10.0_f64, 3.0), (1.5, -1.05), (1e9, 1.1), (2.0, 0.5), (1e9, -2.0)] {
            assert!((pow(base, exponent) / base.powf(exponent) - 1.0).abs() < 1e-13);
        }
    }

    /// A change of the last bit anywhere changes datasets: it must be noticed here first.
    #[test]
    fn bits_are_known() {
        assert_eq!(ln(10.0).to_bits(), 0x4002_6BB1_BBB5_5516);
        assert_eq!(exp(1.0).to_bits(), 0x4005_BF0A_8B14_576A);
    }
}
