//! pgbench's functions whose results must agree with it bit for bit: the hashes and the permutation. And its draws, which
//! follow the laws that it documents, from streams of our own.

use super::value::Fault;
use crate::generate::{Stream, zipf_rank};

/// Below it the tails of a truncated normal distribution would be none.
const GAUSSIAN_MIN: f64 = 2.0;
/// Where pgbench's rejection method works.
const ZIPFIAN_MIN: f64 = 1.001;
/// Beyond it the first value is the only one.
const ZIPFIAN_MAX: f64 = 1000.0;
/// Tries for a normal number inside the range: more than nine of ten succeed, so that 64 failures in a row never happen.
const TRIES_MAX: u32 = 64;

/// FNV-1a over the eight bytes of the value, the lowest first (Fowler, Noll, Vo; the offset basis mixed with the seed).
pub(super) fn hash_fnv1a(value: i64, seed: i64) -> i64 {
    let basis = 0xcbf2_9ce4_8422_2325 ^ seed.cast_unsigned();
    let hash = value
        .to_le_bytes()
        .iter()
        .fold(basis, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// `MurmurHash64A` of the eight bytes of the value (Appleby).
pub(super) fn hash_murmur2(value: i64, seed: i64) -> i64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mut word = value.cast_unsigned().wrapping_mul(MULTIPLIER);
    word ^= word >> SHIFT;
    word = word.wrapping_mul(MULTIPLIER);
    let mut hash = (seed.cast_unsigned() ^ MULTIPLIER.wrapping_mul(8) ^ word).wrapping_mul(MULTIPLIER);
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> SHIFT;
    hash.cast_signed()
}

/// The place of `value` among `0 .. size` in the order that `seed` gives: pgbench's permutation since PostgreSQL 15. Six
/// rounds; each multiplies, flips and rotates the lower and then the upper part of the range, as large as the largest power
/// of two in it, and shifts the whole.
pub(super) fn permute(value: i64, size: i64, seed: i64) -> Result<i64, Fault> {
    if size <= 0 {
        return Err(Fault::new("permute size parameter must be greater than zero"));
    }
    if size == 1 {
        return Ok(0);
    }
    let mut words = Xoroshiro::new(seed.cast_unsigned());
    let size = size.cast_unsigned();
    let bits = size.ilog2();
    let mask = (1_u64 << bits) - 1;
    let scatter = |place: u64, words: &mut Xoroshiro| {
        let multiplier = (words.next() & mask) | 1;
        let flipped = words.next() & mask;
        if place > mask {
            return place;
        }
        let mixed = (place.wrapping_mul(multiplier) ^ flipped) & mask;
        ((mixed << 1) & mask) | (mixed >> (bits - 1))
    };
    let mut place = value.cast_unsigned() % size;
    for _ in 0..6 {
        place = scatter(place, &mut words);
        place = size - 1 - scatter(size - 1 - place, &mut words);
        place = (place + words.up_to(size - 1)) % size;
    }
    Ok(place.cast_signed())
}

/// xoroshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021), seeded by `SplitMix64`: the
/// generator of PostgreSQL since version 15.
struct Xoroshiro([u64; 2]);

impl Xoroshiro {
    fn new(mut seed: u64) -> Self {
        let mut split_mix = || {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        let first = split_mix();
        Self([first, split_mix()])
    }

    fn next(&mut self) -> u64 {
        let [first, second] = self.0;
        let flipped = second ^ first;
        self.0 = [first.rotate_left(24) ^ flipped ^ (flipped << 16), flipped.rotate_left(37)];
        first.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
    }

    /// Uniform in `0 ..= max`, `max` above zero, by rejection among its bits.
    fn up_to(&mut self, max: u64) -> u64 {
        let shift = max.leading_zeros();
        loop {
            let word = self.next() >> shift;
            if word <= max {
                return word;
            }
        }
    }
}

/// A range to draw from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    min: i64,
    max: i64,
    /// How many integers there are; at least 1.
    width: i64,
}

impl Bounds {
    /// Both ends included. What is empty or has more integers than an integer can count is refused.
    pub(super) fn new(min: i64, max: i64) -> Result<Self, Fault> {
        if min > max {
            return Err(Fault::new("empty range given to random"));
        }
        let width = max.checked_sub(min).and_then(|width| width.checked_add(1));
        let width = width.ok_or_else(|| Fault::new("random range is too large"))?;
        Ok(Self { min, max, width })
    }

    /// Every integer alike.
    pub(super) fn uniform(self, stream: &mut Stream) -> i64 {
        stream.between(self.min, self.max)
    }

    /// Value i of n with the probability exp(−p(i − 1)/n) − exp(−p·i/n), divided by 1 − exp(−p).
    pub(super) fn exponential(self, parameter: f64, stream: &mut Stream) -> Result<i64, Fault> {
        if parameter.is_nan() || parameter <= 0.0 {
            let words = format!("exponential parameter must be greater than zero (not {parameter})");
            return Err(Fault(words));
        }
        let cut = (-parameter).exp();
        Ok(self.at(-(cut + (1.0 - cut) * stream.unit()).ln() / parameter))
    }

    /// A normal distribution around the middle, cut off `parameter` standard deviations from it at both ends of the range.
    pub(super) fn gaussian(self, parameter: f64, stream: &mut Stream) -> Result<i64, Fault> {
        if parameter.is_nan() || parameter < GAUSSIAN_MIN {
            let words = format!("gaussian parameter must be at least {GAUSSIAN_MIN} (not {parameter})");
            return Err(Fault(words));
        }
        let mut inside = 0.0;
        for _ in 0..TRIES_MAX {
            // Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
            let radius = (-2.0 * stream.unit().ln()).sqrt();
            let drawn = radius * (std::f64::consts::TAU * stream.unit()).sin();
            if (-parameter..parameter).contains(&drawn) {
                inside = drawn;
                break;
            }
        }
        Ok(self.at((inside + parameter) / (parameter * 2.0)))
    }

    /// The k-th value of the range with a probability proportional to 1 ÷ k^parameter.
    pub(super) fn zipfian(self, parameter: f64, stream: &mut Stream) -> Result<i64, Fault> {
        if !(ZIPFIAN_MIN..=ZIPFIAN_MAX).contains(&parameter) {
            let words = format!(
                "zipfian parameter must be in range [{ZIPFIAN_MIN:.3}, {ZIPFIAN_MAX:.0}] (not {parameter})"
            );
            return Err(Fault(words));
        }
        let rank = zipf_rank(self.width.cast_unsigned(), parameter, stream);
        Ok(self.min.wrapping_add_unsigned(rank - 1))
    }

    /// The integer at a share of the range.
    fn at(self, share: f64) -> i64 {
        // `as` saturates, and rounding at the upper end may reach beyond it.
        #[expect(clippy::cast_possible_truncation)]
        let offset = (self.width as f64 * share) as i64;
        self.min.saturating_add(offset.clamp(0, self.width - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    const DRAWS: u32 = 100_000;

    /// Counts of `DRAWS` draws from 1 to `shares.len()` against the shares, within five standard deviations of a binomial:
    /// of all bins together one in a hundred thousand runs would miss, and the seed is fixed.
    fn assert_law(what: &str, shares: &[f64], mut draw: impl FnMut(Bounds, &mut Stream) -> i64) {
        let last = i64::try_from(shares.len()).expect("few");
        let bounds = Bounds::new(1, last).expect("a range");
        let mut stream = Key::root(Seed(4)).name(what).at(0, 0);
        let mut counts = vec![0_u32; shares.len()];
        for _ in 0..DRAWS {
            let drawn = draw(bounds, &mut stream);
            assert!((1..=last).contains(&drawn), "{what}: {drawn}");
            counts[usize::try_from(drawn - 1).expect("in range")] += 1;
        }
        let total: f64 = shares.iter().sum();
        for (index, share) in shares.iter().map(|share| share / total).enumerate() {
            let expected = share * f64::from(DRAWS);
            let deviation = (expected * (1.0 - share)).sqrt();
            let count = f64::from(counts[index]);
            assert!((count - expected).abs() <= 5.0 * deviation + 1.0, "{what} {index}: {count} {expected}");
        }
    }

    #[test]
    fn uniform_draws_are_alike() {
        assert_law("uniform", &[1.0; 10], Bounds::uniform);
    }

    /// The density that pgbench documents for `random_exponential`.
    #[test]
    fn exponential_draws_follow_the_documented_density() {
        for parameter in [0.1, 1.0, 5.0] {
            let shares: Vec<f64> = (1..=10_i32)
                .map(|i| {
                    let edge = |at: i32| (-parameter * f64::from(at) / 10.0).exp();
                    edge(i - 1) - edge(i)
                })
                .collect();
            assert_law("exponential", &shares, |bounds, stream| {
                bounds.exponential(parameter, stream).expect("a parameter")
            });
        }
    }

    /// The density that pgbench documents for `random_gaussian`, with Φ summed from the density of the normal distribution.
    #[test]
    fn gaussian_draws_follow_the_documented_density() {
        for parameter in [2.0, 2.5, 4.0] {
            let shares: Vec<f64> = (0..10_i32)
                .map(|i| {
                    (0..1000_i32)
                        .map(|part| {
                            let at = (f64::from(i) + (f64::from(part) + 0.5) / 1000.0) / 10.0;
                            let z = parameter * (2.0 * at - 1.0);
                            (-z * z / 2.0).exp()
                        })
                        .sum()
                })
                .collect();
            assert_law("gaussian", &shares, |bounds, stream| {
                bounds.gaussian(parameter, stream).expect("a parameter")
            });
        }
    }

    #[test]
    fn zipfian_draws_follow_the_documented_density() {
        for parameter in [1.001, 1.5, 2.5] {
            let shares: Vec<f64> = (1..=20_i32).map(|k| f64::from(k).powf(-parameter)).collect();
            assert_law("zipfian", &shares, |bounds, stream| {
                bounds.zipfian(parameter, stream).expect("a parameter")
            });
        }
        let mut stream = Key::root(Seed(1)).at(0, 0);
        let steepest = Bounds::new(5, 1_000_000).expect("a range").zipfian(ZIPFIAN_MAX, &mut stream);
        assert_eq!(steepest, Ok(5));
    }

    #[test]
    fn parameters_have_the_documented_bounds() {
        let mut stream = Key::root(Seed(1)).at(0, 0);
        let bounds = Bounds::new(1, 10).expect("a range");
        assert!(bounds.gaussian(1.999, &mut stream).is_err());
        assert!(bounds.exponential(0.0, &mut stream).is_err());
        assert!(bounds.zipfian(1.0, &mut stream).is_err());
        assert!(bounds.zipfian(1000.5, &mut stream).is_err());
        assert!(bounds.gaussian(f64::NAN, &mut stream).is_err());
        assert!(Bounds::new(2, 1).is_err());
        assert!(Bounds::new(i64::MIN, i64::MAX).is_err());
        assert!(Bounds::new(0, i64::MAX).is_err());
        assert_eq!(Bounds::new(7, 7).expect("one").uniform(&mut stream), 7);
        let whole = Bounds::new(1, i64::MAX).expect("a range");
        assert!(whole.exponential(1e-12, &mut stream).is_ok_and(|drawn| drawn >= 1));
    }

    #[test]
    fn a_permutation_gives_every_place_once() {
        for size in [1, 2, 3, 7, 8, 1000] {
            for seed in [0, 5432, -1] {
                let mut places: Vec<i64> =
                    (0..size).map(|value| permute(value, size, seed).expect("a size")).collect();
                places.sort_unstable();
                assert_eq!(places, (0..size).collect::<Vec<_>>(), "size {size} seed {seed}");
            }
        }
        assert!(permute(1, 0, 1).is_err());
    }
}
