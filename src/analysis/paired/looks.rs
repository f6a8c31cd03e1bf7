//! When a comparison that may stop early looks at its pairs, and what each look may spend of the error rate.
//!
//! How much may be spent up to a look follows a spending function (Lan and `DeMets` 1983, Biometrika 70),
//! here the power family of Kim and `DeMets` (1987, Biometrika 74): α × (pairs ÷ most pairs)³, which keeps
//! most of it for the end. What a look spends is used up whole, as if the looks had nothing in common
//! (Bonferroni): the shares sum to α, so that the error rate holds whatever the correlation of looks is. Lan
//! and `DeMets` compute that correlation for normal data and so waste less; flips of few pairs are not
//! normal.
//!
//! An interval at the confidence 1 − [`Look::alpha`] holds at all looks together with 1 − α. So every verdict
//! at every look may be acted on, "the same" as well as "worse".

use super::flips::flips_of;

/// The exponent of the spending function. At 1 every pair spends the same; the larger, the more is left for
/// the end.
const SPENDING_POWER: i32 = 3;

/// One look at the pairs measured so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// How many pairs there are then. All but the last look come at an even number, at which strict turns of
    /// the arms are balanced.
    pub pairs: usize,
    /// The familywise error rate of this look: [`super::Levels::familywise_alpha`] of its comparison.
    pub alpha: f64,
}

/// The looks of a comparison of at most `pairs_max` pairs at the familywise error rate `alpha`, first to
/// last. Each can reject (2 / 2ⁿ ≤ its share), each has at least a quarter more pairs than the one before,
/// the last is at `pairs_max`, and the shares sum to `alpha`. Empty where even `pairs_max` pairs are too few
/// for `alpha`: see [`super::pairs_needed`].
#[must_use]
pub fn looks(pairs_max: usize, alpha: f64) -> Vec<Look> {
    let mut counts = vec![pairs_max];
    let mut pairs = pairs_max;
    while pairs > 2 {
        pairs = pairs * 4 / 5 / 2 * 2;
        counts.push(pairs);
    }
    let mut looks = Vec::new();
    let mut spent = 0.0;
    for pairs in counts.into_iter().rev() {
        let share = pairs as f64 / pairs_max.max(1) as f64;
        let look = Look { pairs, alpha: alpha * share.powi(SPENDING_POWER) - spent };
        let can_reject = |alpha: f64, pairs: usize| alpha * flips_of(pairs) as f64 >= 1.0;
        // The last look is the one that must not be lost.
        let left = alpha - spent - look.alpha;
        if can_reject(look.alpha, pairs) && (pairs == pairs_max || can_reject(left, pairs_max)) {
            spent += look.alpha;
            looks.push(look);
        }
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::super::pairs_needed;
    use super::*;

    #[test]
    fn few_pairs_are_looked_at_once() {
        assert_eq!(looks(8, 0.01), [Look { pairs: 8, alpha: 0.01 }]);
        assert_eq!(looks(6, 0.05), [Look { pairs: 6, alpha: 0.05 }]);
        assert_eq!(looks(7, 0.01), []);
        assert_eq!(looks(0, 0.01), []);
        assert_eq!(looks(20, 0.0), []);
        assert_eq!(looks(20, f64::NAN), []);
    }

    #[test]
    fn many_are_looked_at_in_growing_steps() {
        let pairs = |pairs_max| looks(pairs_max, 0.01).into_iter().map(|look| look.pairs).collect::<Vec<_>>();
        assert_eq!(pairs(14), [10, 14]);
        assert_eq!(pairs(16), [12, 16]);
        assert_eq!(pairs(24), [14, 18, 24]);
        assert_eq!(pairs(40), [14, 18, 24, 32, 40]);
    }

    #[test]
    fn every_plan_spends_what_it_has_and_each_look_can_reject() {
        for pairs_max in 6..=64 {
            for alpha in [0.2, 0.05, 0.01, 0.001] {
                let looks = looks(pairs_max, alpha);
                assert_eq!(looks.is_empty(), pairs_max < pairs_needed(alpha), "{pairs_max}, {alpha}");
                let Some(last) = looks.last() else { continue };
                let sum: f64 = looks.iter().map(|look| look.alpha).sum();
                assert!((sum - alpha).abs() < 1e-12, "{pairs_max}, {alpha}: {sum}");
                assert_eq!(last.pairs, pairs_max);
                assert!(last.alpha >= 0.4 * alpha, "{pairs_max}, {alpha}: {looks:?}");
                for look in &looks {
                    assert!(look.pairs >= pairs_needed(look.alpha), "{pairs_max}, {alpha}: {look:?}");
                }
                for two in looks.windows(2) {
                    assert!(two[0].pairs % 2 == 0 && two[1].pairs * 4 >= two[0].pairs * 5, "{looks:?}");
                }
            }
        }
    }
}
