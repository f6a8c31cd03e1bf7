//! Quantiles of the standard normal distribution, from IEEE basic operations only.

use super::exact::ln;

/// The value below which a share `quantile` of a standard normal variable lies, with a relative error of about 10⁻¹⁶
/// (algorithm AS 241, PPND16: Wichura, "The Percentage Points of the Normal Distribution", Applied Statistics 37, 1988).
pub(super) fn normal_quantile(quantile: f64) -> f64 {
    let from_middle = quantile - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * polynomial(&NEAR_OVER, r) / polynomial(&NEAR_UNDER, r);
    }
    let tail = if from_middle < 0.0 { quantile } else { 1.0 - quantile };
    let r = (-ln(tail.max(f64::MIN_POSITIVE))).sqrt();
    let value = if r <= 5.0 {
        polynomial(&MIDDLE_OVER, r - 1.6) / polynomial(&MIDDLE_UNDER, r - 1.6)
    } else {
        polynomial(&FAR_OVER, r - 5.0) / polynomial(&FAR_UNDER, r - 5.0)
    };
    if from_middle < 0.0 { -value } else { value }
}

/// The share from which `is_below` no longer holds, for what holds up to some share and not beyond.
pub(super) fn share_below(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const NEAR_OVER: [f64; 8] = [
    3.387_132_872_796_366_5,
    1.331_416_678_917_843_8e2,
    1.971_590_950_306_551_3e3,
    1.373_169_376_550_946e4,
    4.592_195_393_154_987e4,
    6.726_577_092_700_87e4,
    3.343_057_558_358_813e4,
    2.509_080_928_730_122_7e3,
];
const NEAR_UNDER: [f64; 8] = [
    1.0,
    4.231_333_070_160_091e1,
    6.871_870_074_920_579e2,
    5.394_196_021_424_751e3,
    2.121_379_430_158_659_7e4,
    3.930_789_580_009_271e4,
    2.872_908_573_572_194_3e4,
    5.226_495_278_852_854e3,
];
const MIDDLE_OVER: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    2.417_807_251_774_506e-1,
    2.272_384_498_926_918_4e-2,
    7.745_450_142_783_414e-4,
];
const MIDDLE_UNDER: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    6.897_673_349_851e-1,
    1.481_039_764_274_800_8e-1,
    1.519_866_656_361_645_7e-2,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const FAR_OVER: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    2.965_605_718_285_048_7e-1,
    2.653_218_952_657_612_4e-2,
    1.242_660_947_388_078_4e-3,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_UNDER: [f64; 8] = [
    1.0,
    5.998_322_065_558_88e-1,
    1.369_298_809_227_358e-1,
    1.487_536_129_085_061_5e-2,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of any table of the normal distribution, to more digits than tables have.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (quantile, expected) in [
            (0.5, 0.0),
            (0.841_344_746_068_542_9, 1.0),
            (0.975, 1.959_963_984_540_054),
            (0.99, 2.326_347_874_040_841),
            (0.001, -3.090_232_306_167_813_5),
            (1e-9, -5.997_807_015_007_686),
            (1e-20, -9.262_340_089_798_408),
        ] {
            let got = normal_quantile(quantile);
            assert!((got - expected).abs() < 1e-13 * (1.0 + f64::abs(expected)), "{quantile}: {got}");
        }
    }

    #[test]
    fn shares_are_the_inverse() {
        for value in [-6.0, -1.0, 0.0, 0.3, 2.5] {
            let share = share_below(|quantile| normal_quantile(quantile) < value);
            assert!((normal_quantile(share) - value).abs() < 1e-9, "{value}");
        }
    }

    /// A change of the last bit anywhere changes datasets.
    #[test]
    fn bits_are_known() {
        assert_eq!(normal_quantile(0.3).to_bits(), 0xBFE0_C7E3_9582_C5FA);
        assert_eq!(normal_quantile(0.01).to_bits(), 0xC002_9C5C_4630_FF0E);
    }
}
