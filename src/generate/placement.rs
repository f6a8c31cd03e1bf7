//! Where a row stands when the values of a column are dealt out exactly: which rows are NULL, and which place each of the
//! others takes in the order of the values. One to one, in constant memory, with a stated rank correlation.

use super::Key;
use super::permute::permute_keyed;

/// Rows whose NULLs are drawn together. Every block holds its exact share of them.
const BLOCK: u64 = 64;

/// Draws of a block, told from those of rows.
const BLOCKS: u32 = 2;

/// Exactly so many NULLs among the rows, scattered, and the number of each other row among those that have a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    rows: u64,
    nulls: u64,
    key: Key,
    /// Where its rows begin in an order that several columns have in common, whose key this then is.
    turn: Option<u64>,
}

impl Quota {
    pub(super) fn new(rows: u64, null_fraction: f64, key: Key) -> Self {
        Self { rows, nulls: share_of(rows, null_fraction), key, turn: None }
    }

    /// The rows from one share to another, in the order that `key` makes: columns that share it never meet in a row.
    pub(super) fn of_turn(rows: u64, from: f64, to: f64, key: Key) -> Self {
        let (first, end) = (share_of(rows, from), share_of(rows, to));
        Self { rows, nulls: rows - (end - first), key, turn: Some(first) }
    }

    /// Rows that have a value.
    pub(super) fn len(&self) -> u64 {
        self.rows - self.nulls
    }

    /// The number of `row` among the rows that have a value, if it has one.
    pub(super) fn rank(&self, row: u64) -> Option<u64> {
        if self.nulls == 0 {
            return Some(row);
        }
        if let Some(first) = self.turn {
            let place = permute_keyed(row, self.rows, self.key.bits()).checked_sub(first)?;
            return (place < self.len()).then_some(place);
        }
        let block = row / BLOCK;
        let first = block * BLOCK;
        let in_block = BLOCK.min(self.rows - first);
        let before = self.nulls_before(first);
        let nulls = self.nulls_before(first + in_block) - before;
        let mask = self.mask(block, in_block, nulls);
        let bit = row - first;
        if mask >> bit & 1 == 1 {
            return None;
        }
        let nulls_below = u64::from((mask & ((1 << bit) - 1)).count_ones());
        Some(first - before + bit - nulls_below)
    }

    fn nulls_before(&self, row: u64) -> u64 {
        part(row, self.nulls, self.rows)
    }

    /// The NULLs of a block, a bit each (Floyd's algorithm: Bentley and Floyd, "A Sample of Brilliance", 1987).
    fn mask(&self, block: u64, in_block: u64, nulls: u64) -> u64 {
        let all = if in_block == BLOCK { u64::MAX } else { (1 << in_block) - 1 };
        let drawn = nulls.min(in_block - nulls);
        let mut stream = self.key.at(block, BLOCKS);
        let mut mask = 0_u64;
        for last in in_block - drawn..in_block {
            let bit = stream.below(last + 1);
            mask |= 1 << if mask >> bit & 1 == 1 { last } else { bit };
        }
        if drawn == nulls { mask } else { all & !mask }
    }
}

/// A permutation of `0 .. len` in which a share of the places stays where it is and the others change places at random: their
/// rank correlation is that share. Backwards where the share is negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    len: u64,
    strays: u64,
    is_reversed: bool,
    key: u64,
}

impl Order {
    /// `share` from −1 to 1.
    pub(super) fn new(len: u64, share: f64, key: Key) -> Self {
        Self { len, strays: share_of(len, 1.0 - share.abs()), is_reversed: share < 0.0, key: key.bits() }
    }

    pub(super) fn place(&self, rank: u64) -> u64 {
        debug_assert!(rank < self.len, "a rank lies among the ranks");
        let place = if self.strays == self.len {
            permute_keyed(rank, self.len, self.key)
        } else {
            match self.stray_number(rank) {
                Some(number) => self.stray(permute_keyed(number, self.strays, self.key)),
                None => rank,
            }
        };
        if self.is_reversed { self.len - 1 - place } else { place }
    }

    /// The place of the stray of that number: they are spread evenly.
    fn stray(&self, number: u64) -> u64 {
        let at = (2 * u128::from(number) + 1) * u128::from(self.len) / (2 * u128::from(self.strays));
        // Below `len`.
        u64::try_from(at).unwrap_or(self.len - 1)
    }

    /// The number of the stray at that place, if one stands there.
    fn stray_number(&self, place: u64) -> Option<u64> {
        if self.strays == 0 {
            return None;
        }
        let (len, twice) = (u128::from(self.len), 2 * u128::from(self.strays) * u128::from(place));
        let number = u64::try_from(twice.saturating_sub(len).div_ceil(2 * len)).ok()?;
        (number < self.strays && self.stray(number) == place).then_some(number)
    }
}

/// `whole` × `of` ÷ `by`, without overflow, for a result that fits.
pub(super) fn part(whole: u64, of: u64, by: u64) -> u64 {
    // The callers' `of` is at most `by`, or the result counts rows.
    u64::try_from(u128::from(whole) * u128::from(of) / u128::from(by)).unwrap_or(u64::MAX)
}

/// The nearest number of rows to a share of them.
pub(super) fn share_of(rows: u64, share: f64) -> u64 {
    // Row counts lie far below 2^53; `as` saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (rows as f64 * share + 0.5).floor() as u64;
    count.min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    fn key() -> Key {
        Key::root(Seed(1)).name("column")
    }

    #[test]
    fn nulls_are_as_many_as_said_and_the_others_are_numbered() {
        for (rows, share) in
            [(1000, 0.0), (1000, 0.3), (1000, 1.0), (77, 0.5), (64, 0.9), (3, 0.34), (1, 0.0)]
        {
            let quota = Quota::new(rows, share, key());
            let ranks: Vec<u64> = (0..rows).filter_map(|row| quota.rank(row)).collect();
            assert!(ranks.iter().copied().eq(0..quota.len()), "{rows} {share}: {ranks:?}");
            assert!((quota.len() as f64 - rows as f64 * (1.0 - share)).abs() <= 0.5);
        }
    }

    #[test]
    fn nulls_follow_no_pattern() {
        let quota = Quota::new(64_000, 0.25, key());
        let mut by_place = [0_u32; 8];
        for row in (0..64_000_u64).filter(|&row| quota.rank(row).is_none()) {
            by_place[usize::try_from(row % 8).expect("below 8")] += 1;
        }
        // 2000 each ± 5 standard deviations of a binomial count.
        assert!(by_place.iter().all(|count| (1800..=2200).contains(count)), "{by_place:?}");
    }

    #[test]
    fn every_place_is_taken_once_and_the_order_is_as_strict_as_said() {
        for (len, share) in
            [(10_000_u64, 0.9), (10_000, -0.5), (10_000, 0.0), (10_000, 1.0), (9999, 0.37), (2, 0.5)]
        {
            let order = Order::new(len, share, key());
            let mut taken = vec![false; usize::try_from(len).expect("small")];
            let middle = (len as f64 - 1.0) / 2.0;
            let (mut both, mut own) = (0.0, 0.0);
            for rank in 0..len {
                let place = order.place(rank);
                assert!(!std::mem::replace(&mut taken[usize::try_from(place).expect("small")], true));
                both += (rank as f64 - middle) * (place as f64 - middle);
                own += (rank as f64 - middle).powi(2);
            }
            // A correlation of 10 000 ranks at random has a standard deviation of 0.01.
            assert!(len < 100 || (both / own - share).abs() < 0.04, "{len} {share}: {}", both / own);
        }
    }

    #[test]
    fn a_thousand_million_rows_need_no_memory() {
        let quota = Quota::new(1_000_000_000, 0.1, key());
        assert_eq!(quota.len(), 900_000_000);
        let rank = (0..).find_map(|back| quota.rank(999_999_999 - back)).expect("not all are NULL");
        assert_eq!(rank, 899_999_999);
        assert!(Order::new(900_000_000, 0.5, key()).place(rank) < 900_000_000);
    }
}
