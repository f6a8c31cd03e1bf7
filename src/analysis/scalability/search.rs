//! Which sizes to measure when the user does not say: first twice as many each time until throughput stops to grow, then those
//! around the knee. Pure: it is asked after each measurement.

use super::KNEE_SHARE;

/// Sizes of one doubling that can be told apart.
const STEPS_PER_DOUBLING: i32 = 4;
/// Doublings without a gain after which it stops.
const FLAT_DOUBLINGS: usize = 2;
/// A gain below this is none, however sure it is.
const GAIN_MIN: f64 = 0.05;
/// Sizes below the knee ÷ this are not measured again, save for the smallest.
const FAR_BELOW: u32 = 8;

/// The sizes among which is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Ascending: four to a doubling, rounded, none twice.
    pub sizes: Vec<u32>,
}

impl Candidates {
    /// From 1 to `largest`, which is one of them.
    #[must_use]
    pub fn up_to(largest: u32) -> Self {
        let mut sizes = Vec::new();
        for step in 0.. {
            let size = (f64::from(step) / f64::from(STEPS_PER_DOUBLING)).exp2().round();
            if size >= f64::from(largest) {
                break;
            }
            // Below `largest`, which fits.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let size = size as u32;
            if sizes.last() != Some(&size) {
                sizes.push(size);
            }
        }
        sizes.push(largest);
        Self { sizes }
    }
}

/// A size that was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looked {
    /// The size.
    pub size: u32,
    /// Transactions per second.
    pub per_s: f64,
    /// Standard error of that by its seconds, as a share of it.
    pub error: f64,
}

impl Looked {
    /// Whether it is better than `other` by more than noise, and by enough to matter.
    fn gains_on(&self, other: &Self) -> bool {
        let noise = 2.0 * self.error.hypot(other.error);
        self.per_s > other.per_s * (1.0 + GAIN_MIN.max(noise))
    }
}

/// The size to look at next; nothing when the knee is bracketed as closely as the candidates allow. `looked` is in the order in
/// which it was looked.
#[must_use]
pub fn next_size(candidates: &Candidates, looked: &[Looked]) -> Option<u32> {
    let sizes = &candidates.sizes;
    let (first, largest) = (*sizes.first()?, *sizes.last()?);
    if looked.is_empty() {
        return Some(first);
    }
    if !has_stopped(looked) {
        let at = looked.iter().map(|of| of.size).max()?;
        if at < largest {
            let next = at.saturating_mul(2).min(largest);
            return sizes.iter().copied().filter(|size| *size > at).min_by_key(|size| size.abs_diff(next));
        }
    }
    around(sizes, looked)
}

/// Whether the last doublings brought nothing.
fn has_stopped(looked: &[Looked]) -> bool {
    if looked.len() <= FLAT_DOUBLINGS {
        return false;
    }
    // In the order of the sizes: what was looked at around the knee later does not begin the growth again.
    let mut sorted = looked.to_vec();
    sorted.sort_by_key(|of| of.size);
    let (below, last) = sorted.split_at(sorted.len() - FLAT_DOUBLINGS);
    let best = below.iter().max_by(|a, b| a.per_s.total_cmp(&b.per_s));
    best.is_some_and(|best| !last.iter().any(|of| of.gains_on(best)))
}

/// A candidate in the middle between the knee so far and its neighbours, the lower one first.
fn around(sizes: &[u32], looked: &[Looked]) -> Option<u32> {
    let best = looked.iter().map(|of| of.per_s).fold(0.0, f64::max);
    let mut sorted: Vec<&Looked> = looked.iter().collect();
    sorted.sort_by_key(|of| of.size);
    let knee = sorted.iter().position(|of| best > 0.0 && of.per_s >= KNEE_SHARE * best)?;
    let middle = |low: u32, high: u32| {
        let between: Vec<u32> = sizes.iter().copied().filter(|size| (low + 1..high).contains(size)).collect();
        between.get(between.len() / 2).copied()
    };
    let below = knee.checked_sub(1).and_then(|before| middle(sorted[before].size, sorted[knee].size));
    below.or_else(|| middle(sorted[knee].size, sorted.get(knee + 1)?.size))
}

/// The sizes that are then measured several times, ascending: all that were looked at, but for those far below the knee.
#[must_use]
pub fn sizes_to_measure(looked: &[Looked]) -> Vec<u32> {
    let best = looked.iter().map(|of| of.per_s).fold(0.0, f64::max);
    let knee = looked.iter().filter(|of| of.per_s >= KNEE_SHARE * best).map(|of| of.size).min().unwrap_or(1);
    let smallest = looked.iter().map(|of| of.size).min().unwrap_or(1);
    let mut sizes: Vec<u32> = looked
        .iter()
        .map(|of| of.size)
        .filter(|size| *size >= knee / FAR_BELOW || *size == smallest)
        .collect();
    sizes.sort_unstable();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(largest: u32, error: f64, curve: impl Fn(f64) -> f64) -> Vec<Looked> {
        let candidates = Candidates::up_to(largest);
        let mut looked = Vec::new();
        while let Some(size) = next_size(&candidates, &looked) {
            assert!(candidates.sizes.contains(&size) && !looked.iter().any(|of: &Looked| of.size == size));
            looked.push(Looked { size, per_s: curve(f64::from(size)), error });
        }
        looked
    }

    fn sizes(looked: &[Looked]) -> Vec<u32> {
        looked.iter().map(|of| of.size).collect()
    }

    #[test]
    fn candidates_are_four_to_a_doubling() {
        assert_eq!(Candidates::up_to(20).sizes, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 16, 19, 20]);
        assert_eq!(Candidates::up_to(1).sizes, [1]);
    }

    #[test]
    fn it_grows_until_nothing_is_gained_and_looks_around_the_knee() {
        // A wall at eleven connections.
        let looked = search(256, 0.005, |size| 100.0 * size.min(11.0));
        let growth = sizes(&looked);
        assert_eq!(growth[..7], [1, 2, 4, 8, 16, 32, 64]);
        assert!(growth.contains(&11) && growth.contains(&10), "the knee is bracketed: {growth:?}");
        assert!(growth.iter().all(|size| *size <= 64), "nothing is looked at far beyond: {growth:?}");
        assert!(growth.len() <= 13, "{growth:?}");
        assert_eq!(sizes_to_measure(&looked).first(), Some(&1));
    }

    #[test]
    fn it_ends_at_the_bound_and_with_a_pool_that_only_gets_slower() {
        let grows = search(24, 0.005, |size| size);
        assert_eq!(sizes(&grows)[..5], [1, 2, 4, 8, 16]);
        assert_eq!(grows.iter().map(|of| of.size).max(), Some(24));
        let falls = search(64, 0.005, |size| 100.0 / size);
        assert_eq!(sizes(&falls)[..3], [1, 2, 4]);
        assert!(falls.len() <= 5, "{falls:?}");
    }

    #[test]
    fn a_gain_within_the_noise_is_none() {
        let quiet = search(64, 0.001, |size| 100.0 * size.powf(0.12));
        let noisy = search(64, 0.2, |size| 100.0 * size.powf(0.12));
        assert!(
            quiet.iter().map(|of| of.size).max() > noisy.iter().map(|of| of.size).max(),
            "{quiet:?} {noisy:?}"
        );
    }
}
