//! The counter-based generator (Philox 4x32-10, Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).

use crate::units::Seed;

/// Where draws come from: a seed and a path of names and numbers below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// The draws at one position: as many 64-bit words as are asked for.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u64; 2],
    used: u8,
}

impl Key {
    /// The root of all draws of a run or a load.
    #[must_use]
    pub fn root(seed: Seed) -> Self {
        Self(seed.0)
    }

    /// The key of a name below this one: a table, a column, a purpose.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.scatter(fold(name.as_bytes()), 0x6e61_6d65)
    }

    /// The key of a number below this one: a stage, an instance, a client.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.scatter(number, 0x6e75_6d62)
    }

    /// The draws at `position` (a row, an iteration, an arrival) for `purpose` (a small number that tells draws of one
    /// position apart).
    #[must_use]
    pub fn at(self, position: u64, purpose: u32) -> Stream {
        Stream {
            key: split(self.0),
            counter: [split(position)[0], split(position)[1], purpose, 0],
            words: [0; 2],
            used: 2,
        }
    }

    /// The key itself, for permutations.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn scatter(self, below: u64, kind: u32) -> Self {
        let [low, high] = split(below);
        let block = philox([low, high, kind, u32::MAX], split(self.0));
        Self(join(block[0], block[1]))
    }
}

impl Stream {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        if self.used == 2 {
            let block = philox(self.counter, self.key);
            self.words = [join(block[0], block[1]), join(block[2], block[3])];
            self.counter[3] = self.counter[3].wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[usize::from(self.used)];
        self.used += 1;
        word
    }

    /// Uniform in `0 .. bound`, `bound` above zero, by Lemire's multiplication (bias below bound ÷ 2⁶⁴).
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a range to draw from is not empty");
        let product = u128::from(self.next_u64()) * u128::from(bound);
        // The high half of a 128-bit product fits 64 bits.
        (product >> 64) as u64
    }

    /// Uniform in `min ..= max`.
    ///
    /// # Panics
    /// When `min` lies above `max`.
    pub fn between(&mut self, min: i64, max: i64) -> i64 {
        assert!(min <= max, "a range runs upwards");
        let width = max.wrapping_sub(min).cast_unsigned();
        let offset = if width == u64::MAX { self.next_u64() } else { self.below(width + 1) };
        min.wrapping_add(offset.cast_signed())
    }

    /// Uniform in the open interval (0, 1), 53 bits, exact on every machine.
    pub fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
    }
}

/// Folds bytes into the 64 bits that Philox then scatters, by FNV-1a.
pub(super) fn fold(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn split(word: u64) -> [u32; 2] {
    // Both halves of a 64-bit word, low first.
    #[expect(clippy::cast_possible_truncation)]
    [word as u32, (word >> 32) as u32]
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let [low0, high0] = split(u64::from(counter[0]) * 0xD251_1F53);
        let [low1, high1] = split(u64::from(counter[2]) * 0xCD9E_8D57);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123 (`kat_vectors`, philox4x32 with 10 rounds).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn draws_depend_on_the_position_and_not_on_what_was_drawn_before() {
        let key = Key::root(Seed(7)).name("orders").name("status");
        let mut all = key.at(3, 0);
        let first = all.next_u64();
        let _ = (all.next_u64(), all.next_u64());
        assert_eq!(key.at(3, 0).next_u64(), first);
        assert_ne!(key.at(4, 0).next_u64(), first);
        assert_ne!(key.at(3, 1).next_u64(), first);
        assert_ne!(Key::root(Seed(8)).name("orders").name("status").at(3, 0).next_u64(), first);
    }
}
