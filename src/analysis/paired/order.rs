//! What the time of a slice does to its values, whichever arm it has: its place within the pair, and its
//! place in the whole measurement. Both are there to explain a difference or its scatter; neither enters a
//! verdict.

use super::flips::{EXACT_PAIRS_MAX, ROUNDING, Random, Sums};

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
    let pairs = differences.len();
    let values: Vec<f64> = differences.iter().map(|(value, _)| *value).collect();
    let observed = bits(differences.iter().map(|(_, a_first)| *a_first));
    let a_first = observed.count_ones();
    if a_first == 0 || a_first as usize == pairs {
        return None;
    }
    let effects = Effects::of(&values, a_first);
    let effect = effects.of_order(observed);
    let as_large = |order: u64| effects.of_order(order).abs() >= effect.abs() - ROUNDING;
    let p = if pairs <= EXACT_PAIRS_MAX {
        exact(observed, pairs, as_large)
    } else {
        drawn(observed, pairs, seed, as_large)
    };
    Some(SlotOrder { second_to_first: effect.exp(), p })
}

/// An order as bits: those of the pairs with A first, the first pair lowest. There are at most 64 pairs.
fn bits(a_first: impl Iterator<Item = bool>) -> u64 {
    a_first.enumerate().fold(0, |bits, (pair, a_first)| bits | u64::from(a_first) << pair)
}

/// Half the difference between the means of the pairs with A first, and of those with B first, for any order with as many of both.
struct Effects {
    sums: Sums,
    a_first: f64,
    b_first: f64,
}

impl Effects {
    fn of(values: &[f64], a_first: u32) -> Self {
        let a_first = f64::from(a_first);
        Self { sums: Sums::of(values), a_first, b_first: values.len() as f64 - a_first }
    }

    fn of_order(&self, order: u64) -> f64 {
        (self.sums.of_bits(order) / self.a_first - self.sums.of_bits(!order) / self.b_first) / 2.0
    }
}

/// The share of all orders with as many A first as observed that the test holds for.
fn exact(observed: u64, pairs: usize, as_large: impl Fn(u64) -> bool) -> f64 {
    let (mut all, mut large) = (0_u32, 0_u32);
    for order in 0..1 << pairs {
        if u64::count_ones(order) == observed.count_ones() {
            all += 1;
            large += u32::from(as_large(order));
        }
    }
    f64::from(large) / f64::from(all)
}

/// The same from drawn orders, with the observed one among them.
fn drawn(observed: u64, pairs: usize, seed: u64, as_large: impl Fn(u64) -> bool) -> f64 {
    let mut random = Random(seed);
    let mut keyed: Vec<(u64, bool)> = (0..pairs).map(|pair| (0, observed >> pair & 1 == 1)).collect();
    let large = (0..DRAWN).filter(|_| {
        for (key, _) in &mut keyed {
            *key = random.next();
        }
        keyed.sort_unstable();
        as_large(bits(keyed.iter().map(|(_, a_first)| *a_first)))
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
        let order = bits(labels.iter().copied());
        let effects = Effects::of(&values, order.count_ones());
        let observed = effects.of_order(order).abs();
        let as_large = |order: u64| effects.of_order(order).abs() >= observed - ROUNDING;
        let (exact, drawn) = (exact(order, values.len(), as_large), drawn(order, values.len(), 7, as_large));
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
