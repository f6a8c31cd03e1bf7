//! A column as `pg_stats` describes it: common values with their frequencies, bounds of equally full groups for the others,
//! and a number of distinct values. Dealt out exactly over the rows, so that what `ANALYZE` would find again is what was
//! described.
//!
//! All values stand on one line in their order. A place on that line, `0 .. len`, is a value: the common ones take as many
//! places as their frequency says, each where it belongs among the bounds; the places between them are shared out evenly
//! to the groups, and within a group to as many different values as it has room for.

mod points;

use super::placement::{part, share_of};
use super::spec::{HistogramSpec, Refusal};
use super::value::Made;
use super::{Stream, ValueKind};
use points::Points;

/// How far frequencies may miss their sum when there are no bounds that say what the rest is: `pg_stats` rounds, and a
/// sample misses rare values.
const REST_MAX: f64 = 0.02;

/// Places for draws that have no row: many enough that the steps between them do not show.
const PLACES_WITHOUT_ROWS: u64 = 1 << 40;

/// What was described, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    points: Points,
    /// Share of the values that are not NULL that each common value has, in the order of the values.
    frequencies: Vec<f64>,
    distinct: Option<f64>,
}

/// The same, dealt out over a number of places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dealt {
    points: Points,
    places: u64,
    common: Vec<Common>,
    /// Places that no common value takes.
    others: u64,
    /// Different values of each group between two bounds.
    distinct: Vec<u64>,
}

/// The places of a common value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Common {
    first: u64,
    /// Places of common values before it, and with it.
    before: u64,
    until: u64,
}

impl Histogram {
    pub(super) fn new(spec: &HistogramSpec, null_fraction: f64) -> Result<Self, Refusal> {
        let (values, frequencies) = (&spec.common_values, &spec.common_frequencies);
        if values.len() != frequencies.len() {
            return Err(Refusal::new(
                format!("{} common values have {} frequencies", values.len(), frequencies.len()),
                "each value has its own frequency",
            ));
        }
        if let Some(wrong) = frequencies.iter().find(|frequency| !(**frequency > 0.0 && **frequency <= 1.0)) {
            return Err(Refusal::new(format!("a frequency is {wrong}"), "a share lies between 0 and 1"));
        }
        let (points, order) = Points::new(spec)?;
        let sum: f64 = frequencies.iter().sum();
        let room = 1.0 - null_fraction;
        // `pg_stats` has four bytes for each number.
        if sum > room + 1e-5 * (1.0 + values.len() as f64) {
            let nulls = if null_fraction > 0.0 { " with the NULLs" } else { "" };
            return Err(Refusal::new(
                format!("the frequencies add up to {:.6}{nulls}", sum + null_fraction),
                "all shares of a whole add up to at most 1",
            ));
        }
        if points.groups() == 0 && (values.is_empty() || room - sum > REST_MAX) {
            return Err(Refusal::new(
                format!("{:.1} % of the rows have no value", 100.0 * (room - sum)),
                "the common values are not all, and no `bounds` say what the others are",
            ));
        }
        let whole = if points.groups() == 0 || sum > room { sum } else { room.max(f64::MIN_POSITIVE) };
        let frequencies = order.iter().map(|&index| frequencies[index] / whole).collect();
        let histogram = Self { points, frequencies, distinct: spec.distinct };
        histogram.check_distinct()?;
        Ok(histogram)
    }

    fn check_distinct(&self) -> Result<(), Refusal> {
        let Some(distinct) = self.distinct else { return Ok(()) };
        if !(-1.0..=9e15).contains(&distinct) || distinct == 0.0 {
            return Err(Refusal::new(
                format!("`distinct` is {distinct}"),
                "a number of values from 1, or from -1 to 0 as a share of the rows",
            ));
        }
        let common = self.frequencies.len();
        let least = common + usize::from(self.points.groups() > 0 && self.others_share() > 1e-5);
        if distinct > 0.0 && distinct < least as f64 {
            return Err(Refusal::new(
                format!("`distinct` is {distinct}, and at least {least} values are described"),
                "fewer than there are",
            ));
        }
        Ok(())
    }

    fn others_share(&self) -> f64 {
        1.0 - self.frequencies.iter().sum::<f64>()
    }

    /// Without common values all values can be different.
    pub(super) fn has_common(&self) -> bool {
        !self.frequencies.is_empty()
    }

    pub(super) fn kind(&self) -> ValueKind {
        self.points.kind()
    }

    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        self.points.int_range()
    }

    /// For draws that have no row: a number of distinct values cannot be a share of the rows there.
    pub(super) fn without_rows(&self) -> Result<Dealt, Refusal> {
        if self.distinct.is_some_and(|distinct| distinct < 0.0) {
            return Err(Refusal::new("`distinct` is a share of the rows", "there are no rows here")
                .help("give a number of values"));
        }
        Ok(self.deal(PLACES_WITHOUT_ROWS, PLACES_WITHOUT_ROWS))
    }

    /// How many different values the rows between the bounds can have, and how many are asked of them (as many as there are
    /// rows, unless a number is said), if the first is less than a `share` of the second.
    pub(super) fn lacking(&self, rows: u64, places: u64, share: f64) -> Option<(u64, u64)> {
        let others = share_of(places, self.others_share());
        let wanted = self.other_values(rows, others).unwrap_or(others);
        let room = self.limits(others).iter().fold(0_u64, |sum, limit| sum.saturating_add(*limit));
        (self.points.groups() > 0 && (room as f64) < share * wanted as f64).then_some((room, wanted))
    }

    /// Whether a number of distinct values is said.
    pub(super) fn says_distinct(&self) -> bool {
        self.distinct.is_some()
    }

    /// Deals the values out over `places` of a table with `rows`: as many as there are rows that are not NULL.
    pub(super) fn deal(&self, rows: u64, places: u64) -> Dealt {
        let mut sum = 0.0;
        let mut taken = 0;
        let mut common = Vec::with_capacity(self.frequencies.len());
        for frequency in &self.frequencies {
            sum += frequency;
            let until = share_of(places, sum.min(1.0)).max(taken);
            common.push(Common { first: 0, before: taken, until });
            taken = until;
        }
        // Without bounds the last common value takes what rounding left.
        if self.points.groups() == 0
            && let Some(last) = common.last_mut()
        {
            last.until = places;
            taken = places;
        }
        let others = places - taken;
        let distinct = self.distinct_of_groups(rows, others);
        let mut dealt = Dealt { points: self.points.clone(), places, common, others, distinct };
        for index in 0..dealt.common.len() {
            let first = dealt.common[index].before + dealt.others_below(index);
            dealt.common[index].first = first;
        }
        dealt
    }

    /// How many different values there are besides the common ones, where that is said.
    fn other_values(&self, rows: u64, others: u64) -> Option<u64> {
        let distinct = self.distinct?;
        let all = if distinct < 0.0 { -distinct * rows as f64 } else { distinct };
        // Checked to lie below 2^53.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let all = (all + 0.5) as u64;
        Some(all.saturating_sub(self.frequencies.len() as u64).clamp(1, others.max(1)))
    }

    /// The most different values that each group can have: as many as it has room and rows for.
    fn limits(&self, others: u64) -> Vec<u64> {
        let groups = self.points.groups();
        let first = |group: usize| part(group as u64, others, groups as u64);
        (0..groups).map(|group| self.points.room(group).min(first(group + 1) - first(group))).collect()
    }

    /// Shares the different values out to the groups: evenly, as far as each has room and rows for them.
    fn distinct_of_groups(&self, rows: u64, others: u64) -> Vec<u64> {
        let wanted = self.other_values(rows, others).unwrap_or(others);
        let limits = self.limits(others);
        let filled =
            |level: u64| limits.iter().fold(0_u64, |sum, limit| sum.saturating_add(*limit.min(&level)));
        let (mut low, mut high) = (0, wanted);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if filled(middle) <= wanted {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let mut left = wanted.saturating_sub(filled(low));
        let fill = |limit: &u64| {
            let more = u64::from(left > 0 && *limit > low);
            left -= more;
            (*limit.min(&low) + more).max(1)
        };
        limits.iter().map(fill).collect()
    }
}

impl Dealt {
    pub(super) fn kind(&self) -> ValueKind {
        self.points.kind()
    }

    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        self.points.int_range()
    }

    /// A value at random.
    pub(super) fn draw(&self, stream: &mut Stream, out: &mut Vec<u8>) -> Made {
        self.emit(stream.below(self.places), out)
    }

    /// The value at a place, `0 .. places`.
    pub(super) fn emit(&self, place: u64, out: &mut Vec<u8>) -> Made {
        let behind = self.common.partition_point(|common| common.first <= place);
        let mut before = 0;
        if let Some(index) = behind.checked_sub(1) {
            let common = self.common[index];
            if place - common.first < common.until - common.before {
                return self.points.common(index, out);
            }
            before = common.until;
        }
        self.other(place - before, out)
    }

    /// The value at a place among those that no common value takes.
    fn other(&self, place: u64, out: &mut Vec<u8>) -> Made {
        let (group, number) = self.cell(place);
        self.points.between(group, number, self.distinct[group], out)
    }

    /// The group of such a place, and the number of its value within the group.
    fn cell(&self, place: u64) -> (usize, u64) {
        let groups = self.distinct.len() as u64;
        let first = |group: u64| part(group, self.others, groups);
        let mut group = part(place, groups, self.others).min(groups - 1);
        while first(group + 1) <= place {
            group += 1;
        }
        let (start, end) = (first(group), first(group + 1));
        let group = usize::try_from(group).unwrap_or(0);
        (group, part(place - start, self.distinct[group], end - start))
    }

    /// How many places that no common value takes stand before a common one.
    fn others_below(&self, index: usize) -> u64 {
        let (mut low, mut high) = (0, self.others);
        while low < high {
            let middle = u64::midpoint(low, high);
            let (group, number) = self.cell(middle);
            if self.points.is_below_common(index, group, number, self.distinct[group]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests;
