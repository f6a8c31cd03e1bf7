//! What the time of a slice does to its values, whichever arm it has: its place within the pair, and its
//! place in the whole measurement. Both are there to explain a difference or its scatter; neither enters a
//! verdict.

use super::flips::{EXACT_PAIRS_MAX, ROUNDING, Random};

/// Orders that are drawn where all would be too many.
const DRAWN: usize = 20_000;

/// What it does to a value that its slice comes second in its pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotOrder {
    /// How many times larger a value is in the second slice of a pair, either arm: a geometric mean.
    pub second_to_first: f64,
    /// Two-sided p value of "the order changes nothing", by exchanging which pairs had A first; for this
    /// metric alone.
    pub p: f64,
}

/// The effect of the order, from the differences (logarithms of b ÷ a) and whether A came first. Half of what
/// separates the means of both kinds of pairs, since the order acts on them in opposite directions (Hills and
/// Armitage 1979, British Journal of Clinical Pharmacology 8). Nothing where all pairs have the same order.
pub(super) fn slot_order(differences: &[(f64, bool)], seed: u64) -> Option<SlotOrder> {
    let values: Vec<f64> = differences.iter().map(|(value, _)| *value).collect();
    let observed: Vec<bool> = differences.iter().map(|(_, a_first)| *a_first).collect();
    let a_first = observed.iter().filter(|a_first| **a_first).count();
    if a_first == 0 || a_first == observed.len() {
        return None;
    }
    let effect = effect(&values, &observed);
    let as_large = |labels: &[bool]| self::effect(&values, labels).abs() >= effect.abs() - ROUNDING;
    let p = if values.len() <= EXACT_PAIRS_MAX {
        exact(&observed, as_large)
    } else {
        drawn(&observed, seed, as_large)
    };
    Some(SlotOrder { second_to_first: effect.exp(), p })
}

/// Half the difference between the means of the pairs with A first, and of those with B first.
fn effect(values: &[f64], a_first: &[bool]) -> f64 {
    let (mut sums, mut counts) = ([0.0, 0.0], [0.0, 0.0]);
    for (value, a_first) in values.iter().zip(a_first) {
        sums[usize::from(*a_first)] += value;
        counts[usize::from(*a_first)] += 1.0;
    }
    (sums[1] / counts[1] - sums[0] / counts[0]) / 2.0
}

/// The share of all orders with as many A first as observed that the test holds for.
fn exact(observed: &[bool], as_large: impl Fn(&[bool]) -> bool) -> f64 {
    let a_first = observed.iter().filter(|a_first| **a_first).count();
    let orders = (0_u32..1 << observed.len()).filter(|mask| mask.count_ones() as usize == a_first);
    let (mut all, mut large) = (0_u32, 0_u32);
    let mut labels = vec![false; observed.len()];
    for mask in orders {
        for (bit, label) in labels.iter_mut().enumerate() {
            *label = mask >> bit & 1 == 1;
        }
        all += 1;
        large += u32::from(as_large(&labels));
    }
    f64::from(large) / f64::from(all)
}

/// The same from drawn orders, with the observed one among them.
fn drawn(observed: &[bool], seed: u64, as_large: impl Fn(&[bool]) -> bool) -> f64 {
    let mut random = Random(seed);
    let mut keyed: Vec<(u64, bool)> = observed.iter().map(|a_first| (0, *a_first)).collect();
    let large = (0..DRAWN).filter(|_| {
        for (key, _) in &mut keyed {
            *key = random.next();
        }
        keyed.sort_unstable();
        let labels: Vec<bool> = keyed.iter().map(|(_, a_first)| *a_first).collect();
        as_large(&labels)
    });
    (large.count() + 1) as f64 / (DRAWN + 1) as f64
}

/// How many times larger the values are in the last third of the pairs than in the first, as a logarithm;
/// from the mean logarithm of both arms of each pair, in the order of time, at least two. Whole pairs, so
/// that a difference of the arms has no part in it.
pub(super) fn drift(levels: &[f64]) -> f64 {
    let third = (levels.len() + 1) / 3;
    let mean = |levels: &[f64]| levels.iter().sum::<f64>() / levels.len() as f64;
    mean(&levels[levels.len() - third..]) - mean(&levels[..third])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_effect_is_found_beside_a_difference_of_the_arms() {
        // B is larger by 0.3, what comes second by 0.1: 0.4 with A first, 0.2 with B first.
        let differences: Vec<(f64, bool)> =
            (0..8).map(|pair| if pair % 2 == 0 { (0.4, true) } else { (0.2, false) }).collect();
        let order = slot_order(&differences, 1).expect("both orders");
        assert!((order.second_to_first.ln() - 0.1).abs() < 1e-12, "{order:?}");
        // Of the 70 ways to choose 4 of 8, this one and its opposite are as extreme.
        assert!((order.p - 2.0 / 70.0).abs() < 1e-12, "{order:?}");
        assert_eq!(slot_order(&[(0.1, true), (0.2, true)], 1), None);
        assert_eq!(slot_order(&[], 1), None);
    }

    #[test]
    fn no_scatter_is_no_order_effect() {
        let order = slot_order(&[(0.4, true), (0.4, false), (0.4, true)], 1).expect("both orders");
        assert_eq!(order, SlotOrder { second_to_first: 1.0, p: 1.0 });
    }

    /// Twenty pairs are drawn for, and sixteen differ in steps, so that both must say about the same.
    #[test]
    fn drawn_orders_say_what_all_orders_do() {
        let values = [0.3, 0.1, 0.25, 0.22, 0.2, -0.05, 0.12, 0.16, 0.31, 0.0, 0.05, 0.07];
        let labels: Vec<bool> = (0..values.len()).map(|pair| pair % 2 == 0).collect();
        let observed = effect(&values, &labels).abs();
        let as_large = |labels: &[bool]| effect(&values, labels).abs() >= observed - ROUNDING;
        let (exact, drawn) = (exact(&labels, as_large), drawn(&labels, 7, as_large));
        // The standard error of a share of 20,000 is at most 0.0035.
        assert!((exact - drawn).abs() < 0.01, "{exact}, {drawn}");
        let differences: Vec<(f64, bool)> =
            values.iter().chain(&values).copied().zip(labels.iter().chain(&labels).copied()).collect();
        let order = slot_order(&differences, 7).expect("both orders");
        assert!(order.p < exact, "twice the pairs say it more clearly: {order:?}, {exact}");
    }

    #[test]
    fn drift_leads_from_the_first_third_to_the_last() {
        let rising: Vec<f64> = (0..9).map(|pair| f64::from(pair) * 0.1).collect();
        assert!((drift(&rising) - 0.6).abs() < 1e-12);
        assert!((drift(&[1.0, 5.0]) - 4.0).abs() < 1e-12, "two pairs: the first and the last");
        assert!((drift(&[1.0, 2.0, 9.0, 3.0, 4.0]) - 2.0).abs() < 1e-12, "five pairs: two at each end");
    }
}
