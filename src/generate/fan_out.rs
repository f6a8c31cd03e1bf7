//! From so many to so many children of each parent, beside one another and in the parents' order: the shape of an order and
//! its lines, written together. A pure function of the row, without a list of all counts.

use super::Key;

/// Parents whose children are counted out together. All blocks hold their exact share of the children, so that a row finds
/// its block by arithmetic and its parent by the counts of one block.
const BLOCK: u64 = BLOCK_LEN as u64;
const BLOCK_LEN: usize = 16;

/// How the children are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Each {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) parents: u64,
    pub(super) children: u64,
}

/// Where one child belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Row of the parent.
    pub(super) parent: u64,
    /// Number among the parent's children, from 1.
    pub(super) ordinal: u64,
    /// How many children the parent has.
    pub(super) children: u64,
}

impl Each {
    /// The place of child `row`.
    pub(super) fn place(&self, row: u64, key: Key) -> Place {
        let block = self.block_of(row);
        let first_parent = block * BLOCK;
        let in_block = BLOCK.min(self.parents - first_parent);
        let mut left = row - self.first_child(block);
        let counts = self.counts(block, in_block, key);
        for (parent, count) in (first_parent..).zip(counts) {
            if left < count {
                return Place { parent, ordinal: left + 1, children: count };
            }
            left -= count;
        }
        unreachable!("the counts of a block sum up to its children")
    }

    /// The most children that a parent has: a scale can ask for more than was said.
    pub(super) fn most(&self) -> u64 {
        if self.children <= self.parents.saturating_mul(self.max) {
            self.max
        } else {
            self.max + self.children.div_ceil(self.parents) + 1
        }
    }

    /// The block that holds `row`: the last whose first child is not behind it.
    fn block_of(&self, row: u64) -> u64 {
        let share =
            u128::from(row) * u128::from(self.parents) / (u128::from(self.children) * u128::from(BLOCK));
        // At most the number of blocks.
        let mut block = u64::try_from(share).unwrap_or(u64::MAX);
        while self.first_child(block + 1) <= row {
            block += 1;
        }
        while self.first_child(block) > row {
            block -= 1;
        }
        block
    }

    /// The first child of a block; that of the block behind the last is the number of children.
    fn first_child(&self, block: u64) -> u64 {
        let parents = (block * BLOCK).min(self.parents);
        let first = u128::from(parents) * u128::from(self.children) / u128::from(self.parents);
        // A part of `children`.
        u64::try_from(first).unwrap_or(self.children)
    }

    /// Children of each parent of a block: even draws, then as many ones added or taken as the block's share asks for. At a
    /// scale that leaves a block too few or too many, the bounds give way rather than the sum.
    fn counts(&self, block: u64, in_block: u64, key: Key) -> [u64; BLOCK_LEN] {
        let mut stream = key.at(block, 0);
        let mut counts = [0; BLOCK_LEN];
        let used = usize::try_from(in_block).unwrap_or(counts.len());
        let counts_used = &mut counts[..used];
        for count in &mut *counts_used {
            *count = self.min + stream.below(self.max - self.min + 1);
        }
        let wanted = self.first_child(block + 1) - self.first_child(block);
        let mut have: u64 = counts_used.iter().sum();
        let mut at = usize::try_from(stream.below(in_block)).unwrap_or(0);
        let (mut min, mut max) = (self.min, self.max);
        if wanted < min * in_block {
            min = 0;
        }
        if wanted > max * in_block {
            max = u64::MAX;
        }
        have = whole_rounds(counts_used, have, wanted, min, max);
        while have != wanted {
            if have < wanted && counts_used[at] < max {
                counts_used[at] += 1;
                have += 1;
            } else if have > wanted && counts_used[at] > min {
                counts_used[at] -= 1;
                have -= 1;
            }
            at = (at + 1) % used;
        }
        counts
    }
}

/// Adds or takes ones in whole rounds over all that can give or take one, as going round one by one would, but in a few
/// steps however large the numbers are. Gives the new sum; less than a round is left.
fn whole_rounds(counts: &mut [u64], mut have: u64, wanted: u64, min: u64, max: u64) -> u64 {
    loop {
        let grows = have < wanted;
        let room = |count: u64| if grows { max - count } else { count - min };
        let open = counts.iter().filter(|count| room(**count) > 0).count() as u64;
        let least = counts.iter().map(|count| room(*count)).filter(|room| *room > 0).min();
        let rounds = have.abs_diff(wanted).checked_div(open).unwrap_or(0).min(least.unwrap_or(0));
        if rounds == 0 {
            return have;
        }
        for count in counts.iter_mut().filter(|count| room(**count) > 0) {
            *count = if grows { *count + rounds } else { *count - rounds };
        }
        have = if grows { have + rounds * open } else { have - rounds * open };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    /// The same numbers as one by one, which takes as many steps as there are children.
    #[test]
    fn whole_rounds_are_those_of_going_round_one_by_one() {
        for (counts, wanted, min, max) in
            [([3, 9, 5], 60, 0, 20), ([3, 9, 5], 2, 0, 20), ([7, 7, 1], 16, 1, 7), ([4, 4, 4], 12, 1, 9)]
        {
            let one_by_one = |mut counts: [u64; 3], from: usize| {
                let mut at = from;
                while counts.iter().sum::<u64>() != wanted {
                    if counts.iter().sum::<u64>() < wanted && counts[at] < max {
                        counts[at] += 1;
                    } else if counts.iter().sum::<u64>() > wanted && counts[at] > min {
                        counts[at] -= 1;
                    }
                    at = (at + 1) % 3;
                }
                counts
            };
            for from in 0..3 {
                let mut rounds = counts;
                whole_rounds(&mut rounds, counts.iter().sum(), wanted, min, max);
                assert_eq!(one_by_one(rounds, from), one_by_one(counts, from), "{counts:?} to {wanted}");
            }
        }
    }

    #[test]
    fn a_parent_of_a_hundred_thousand_children_is_found_at_any_scale() {
        let each = Each { min: 100_000, max: 100_000, parents: 1, children: 20_000 };
        let key = Key::root(Seed(1)).name("accounts");
        for row in 0..20_000 {
            assert_eq!(each.place(row, key), Place { parent: 0, ordinal: row + 1, children: 20_000 });
        }
    }

    #[test]
    fn every_parent_has_its_children_side_by_side_and_within_the_bounds() {
        let key = Key::root(Seed(1)).name("lines");
        for (parents, children, min, max) in [
            (1000, 3000, 1, 5),
            (1000, 1000, 1, 1),
            (17, 40, 1, 4),
            (500, 250, 0, 1),
            (1, 3, 1, 5),
            (100, 200, 2, 2),
        ] {
            let each = Each { min, max, parents, children };
            let mut counts = vec![0_u64; usize::try_from(parents).expect("small")];
            let mut last = Place { parent: 0, ordinal: 0, children: 0 };
            for row in 0..children {
                let place = each.place(row, key);
                let follows = place.parent == last.parent && place.ordinal == last.ordinal + 1;
                assert!(follows || (place.parent > last.parent && place.ordinal == 1), "{last:?} {place:?}");
                counts[usize::try_from(place.parent).expect("small")] += 1;
                last = place;
            }
            assert!(
                counts.iter().all(|count| (min..=max).contains(count)),
                "{parents} {children}: {counts:?}"
            );
        }
    }

    /// With the mean in the middle of the bounds every count is about equally frequent; that the sum of a block is fixed
    /// costs the outermost counts an eighth.
    #[test]
    fn counts_spread_over_the_bounds() {
        let each = Each { min: 1, max: 5, parents: 20_000, children: 60_000 };
        let key = Key::root(Seed(1)).name("lines");
        let mut sizes = vec![0_usize; 20_000];
        for row in 0..each.children {
            sizes[usize::try_from(each.place(row, key).parent).expect("small")] += 1;
        }
        for size in 1..=5 {
            let count = sizes.iter().filter(|&&of| of == size).count();
            assert!((3400..=4600).contains(&count), "{size} children: {count}");
        }
    }

    #[test]
    fn a_scale_that_breaks_the_bounds_keeps_the_sum() {
        let each = Each { min: 1, max: 2, parents: 10, children: 33 };
        let key = Key::root(Seed(1)).name("lines");
        let last = each.place(32, key);
        assert!(last.parent < 10 && last.ordinal > 2);
    }

    #[test]
    fn a_thousand_million_rows_need_no_memory() {
        let each = Each { min: 1, max: 5, parents: 1_000_000_000, children: 3_000_000_000 };
        let place = each.place(2_999_999_999, Key::root(Seed(1)));
        assert_eq!(place.parent, 999_999_999);
    }
}
