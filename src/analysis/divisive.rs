//! Where the history of a metric changed: one value for each run, in the order of time. Pure arithmetic on
//! numbers; it does not know what they mean.
//!
//! # Method
//!
//! The series is cut in two where both sides differ most, if they differ by more than chance, and then each
//! side, until no stretch can be cut. That is E-divisive (Matteson and James 2014, Journal of the American
//! Statistical Association 109), by which `MongoDB` (Daly et al. 2020, ICPE) and Hunter (Fleming et al. 2023,
//! ICPE) watch their histories. Its measure is kept: the energy distance of two samples (Székely and Rizzo
//! 2013, Journal of Statistical Planning and Inference 143), which supposes no distribution. Four things are
//! done otherwise:
//!
//! - **Intervals of all lengths are looked at.** A step and the step back hide each other where only the
//!   whole stretch is cut in two: of 5 runs at four standard deviations between 60 and 60 others, E-divisive
//!   found neither step in 97 of 100 series, this both in nearly all. Hunter slides a window of one length
//!   over the series for that; seeded intervals (Kovács et al. 2023, Biometrika 110) need no length to be
//!   chosen. Short intervals are many, so that a difference must be larger in them (Dümbgen and Spokoiny
//!   2001, Annals of Statistics 29).
//! - **One test is for all of that together.** The values of the stretch are shuffled, and the clearest
//!   difference in any place of any interval is compared, so that the p value holds for any noise. Hunter
//!   takes Student's t at the place that differs most, which is too sure of itself, since that place is the
//!   best of many, and supposes normal noise.
//! - **Outliers weigh little.** Values far from the median of their stretch are drawn in: one slow run is no
//!   change and hides none.
//! - **It always says the same.** A seed decides how values are shuffled, and unclear cases are shuffled
//!   longer. That chance decided them is why Hunter gave shuffling up.
//!
//! `changepoint`, beside this file, has another question: has one short series come to rest at its end? It
//! takes the simplest account of the series, by a penalty that suits logarithms of rates, and has no error
//! rate. Here a person is told after which run something changed, and that must seldom be wrong, whatever the
//! noise.
//!
//! # What it finds
//!
//! By [`Levels::default`], in 300 made series of each kind, with normal noise of the standard deviation σ;
//! the first is a change by 10 % in a scatter of 3 %:
//!
//! | runs | step | all found within two runs | and nothing else, at the exact run |
//! |---|---|---|---|
//! | 12, then 8 | 3.2 σ | 99 % | 81 % |
//! | 12, then 8 | 2 σ | 64 % | 41 % |
//! | 17, then 3 | 4 σ | 94 % | 88 % |
//! | 60, then 3 | 4 σ | 99 % | 92 % |
//! | 5, then 5 | 5 σ | 91 % | 90 % |
//! | 100, then 20 | 1.2 σ | 58 % | 24 % |
//! | 12, then 4, then 12 as before | 4 σ | 76 % | 66 % |
//! | 60, then 5, then 60 as before | 4 σ | 99.7 % | 90 % |
//! | 60, then 12, then 60 as before | 2 σ | 76 % | 34 % |
//!
//! Without a change, 0.7 to 1.3 % of 4,000 series each were said to have one, of 20, 50 and 200 values, with
//! normal, skewed and two-peaked noise, noise without a variance, and one outlier in twenty; fewer where most
//! values are equal, or where they are few.
//!
//! Most time is spent in three loops. They count by hand, since a build without optimisation, as tests are, calls a function or more
//! for each turn of an iterator.
//!
//! To shuffle a stretch of n values once takes n log n operations and linear memory. In all, 1,000 values
//! took 0.001 s without a change, 0.2 s with one and 0.6 s with nine; 10,000 values 0.1, 1.7 and 6 s.
//!
//! # Limits
//!
//! - While nothing changes, values must not depend on each other. Where a run resembles the one before it,
//!   chance makes changes: at a correlation of 0.3, 11 % of series of 50 values have a false one and 19 % of
//!   200; at 0.5, 32 % of 50.
//! - A slow drift is told as one or several steps; where they lie means little.
//! - A change of the scatter alone may be a change as well; its medians are about the same.
//! - After a change, [`Levels::least`] runs are needed to see it, and [`values_needed`] in all.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::changepoint::median;

/// Most values of a series.
pub const VALUES_MAX: usize = 50_000;
/// Values further from zero than this are no measurements.
const VALUE_MAX: f64 = 1e100;
/// Scaled values that differ by no more than this are equal: rounding is less than a thousandth of it.
const ROUNDING: f64 = 1e-9;
/// So many fifths of the values that are not the median lie no further from it than what is usual.
const USUAL_FIFTHS: usize = 4;
/// Values are drawn in to so many usual distances from the median: 3.2 standard deviations of normal noise.
const FENCE: f64 = 2.5;
/// Borders between the steps to which values are rounded, so that distances are sums of counts. A step is at
/// most 0.8 standard deviations of normal noise; twice as many borders find one change in fifty more, in
/// twice the time.
const BORDERS: usize = 8;
/// Squares that are added up side by side, as processors like it.
const LANES: usize = 4;
/// The share of the energy distance that its first component has, of evenly spread values: 6 ÷ π². It makes
/// the root of the distance about as large as the difference of two means in standard errors.
const FIRST_COMPONENT: f64 = 0.6079;
/// Within the length of an interval, so many intervals of that length begin.
const STARTS: usize = 4;
/// About so many places of a long interval are looked at; the exact one is found once it is to be cut.
const PLACES: usize = 64;
/// Differences no further from each other than this are equal: they are computed in 24 bits.
const EQUAL: f64 = 1e-5;
/// Shuffling ends early where the p value lies so many standard errors from the level.
const SURE: f64 = 3.0;
/// Unclear cases are shuffled up to so many times longer, if they are short.
const LONGER: usize = 10;
/// From so many values on a stretch is not short.
const LONG: usize = 1_000;

/// A place where the level of the series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The index of the first value after the change.
    pub index: usize,
    /// The median of the values before, from the change point before it on.
    pub before: f64,
    /// The median of the values after, up to the next change point.
    pub after: f64,
    /// The p value of the cut: how often the stretch that was cut here has a difference as clear in any place
    /// after its values were shuffled. So it is adjusted for all places of that stretch, and not for other
    /// stretches.
    pub p: f64,
}

/// What counts as a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Such a share of series without a change is said to have one. With changes, each stretch between two of
    /// them has this error rate, so that about such a share of what is found is false.
    pub alpha: f64,
    /// Fewest values between two changes, before the first and after the last. Fewer are outliers.
    pub least: usize,
    /// How often a stretch is shuffled. Unclear cases of short stretches are shuffled up to ten times longer.
    pub permutations: usize,
    /// Seed of the shuffling.
    pub seed: u64,
}

impl Default for Levels {
    fn default() -> Self {
        Self { alpha: 0.01, least: 3, permutations: 999, seed: 1 }
    }
}

/// Why a series is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A value is not a number, infinite, or beyond ±10^100. Runs that have none are to be left out before.
    #[error("value {index} of the series is {found}")]
    Value {
        /// Its index.
        index: usize,
        /// What it is.
        found: f64,
    },
    /// There are more than [`VALUES_MAX`].
    #[error("a series of {found} values is longer than the {VALUES_MAX} that can be looked at")]
    TooMany {
        /// So many.
        found: usize,
    },
    /// The level is no probability, or too small for the permutations.
    #[error("{found} is no level between 1 in {shuffled} and 1")]
    Level {
        /// What it is.
        found: f64,
        /// The permutations, and the order that was observed.
        shuffled: usize,
    },
    /// The fewest values between two changes are none.
    #[error("there must be at least one value between two changes")]
    Least,
}

/// Fewest values with which a change can be found at all: 10 at a level of 1 %. However large the step,
/// shuffling n values gives the halves back by chance in one of n! ÷ (n/2)!² cases, and as often the other
/// way round.
#[must_use]
pub fn values_needed(levels: &Levels) -> usize {
    let mut orders = 1.0;
    let mut values = 0_usize;
    while values < VALUES_MAX && 2.0 > levels.alpha * orders {
        values += 1;
        orders *= values as f64 / values.div_ceil(2) as f64;
    }
    values.max(levels.least.saturating_mul(2))
}

/// The changes in the order of time.
pub fn change_points(values: &[f64], levels: &Levels) -> Result<Vec<ChangePoint>, Refusal> {
    check(values, levels)?;
    let scaled = scaled(values);
    let mut cuts = cuts(&scaled, levels);
    settle(&mut cuts, &scaled, levels.least);
    Ok(described(&cuts, values))
}

/// Whether the question makes sense.
fn check(values: &[f64], levels: &Levels) -> Result<(), Refusal> {
    let shuffled = levels.permutations.saturating_add(1);
    if !(levels.alpha < 1.0 && levels.alpha * shuffled as f64 >= 1.0) {
        return Err(Refusal::Level { found: levels.alpha, shuffled });
    }
    if levels.least == 0 {
        return Err(Refusal::Least);
    }
    if values.len() > VALUES_MAX {
        return Err(Refusal::TooMany { found: values.len() });
    }
    match values.iter().enumerate().find(|(_, value)| value.is_nan() || value.abs() > VALUE_MAX) {
        Some((index, found)) => Err(Refusal::Value { index, found: *found }),
        None => Ok(()),
    }
}

/// Logarithms, since the noise of a time or a rate grows with it. Where a value has none, fractions of the one
/// furthest from zero.
fn scaled(values: &[f64]) -> Vec<f64> {
    if values.iter().all(|value| *value > 0.0) {
        return values.iter().map(|value| value.ln()).collect();
    }
    let largest = values.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    values.iter().map(|value| value / largest).collect()
}

/// Where the series was cut.
struct Cut {
    index: usize,
    p: f64,
}

/// Cuts the series, and what it was cut into, until nothing is left to cut. The indexes are sorted.
fn cuts(values: &[f64], levels: &Levels) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut open: Vec<Range<usize>> = std::iter::once(0..values.len()).collect();
    while let Some(stretch) = open.pop() {
        let Some(Cut { index, p }) = cut(&values[stretch.clone()], levels) else { continue };
        let index = stretch.start + index;
        cuts.push(Cut { index, p });
        open.extend([stretch.start..index, index..stretch.end]);
    }
    cuts.sort_by_key(|cut| cut.index);
    cuts
}

/// Cuts a stretch where it differs most clearly, if that is more than chance.
fn cut(values: &[f64], levels: &Levels) -> Option<Cut> {
    if values.len() < values_needed(levels) {
        return None;
    }
    let mut steps = steps(values)?;
    let intervals = intervals(values.len(), levels.least);
    let mut tallies = Tallies::default();
    tallies.count(&steps);
    let found = tallies.clearest(&intervals, levels.least);
    let (index, _) = tallies.place(&found.interval.exact(), levels.least);
    let mut random = Random(levels.seed);
    let p = p_value(values.len(), levels, || {
        random.shuffle(&mut steps);
        tallies.count(&steps);
        tallies.clearest(&intervals, levels.least).clearness >= found.clearness - EQUAL
    })?;
    Some(Cut { index, p })
}

/// The share of shuffled stretches that are at least as clear as the observed one, which counts as one of them
/// (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9). Nothing where it is
/// above the level, which is most often clear after a few.
fn p_value(values: usize, levels: &Levels, mut as_clear: impl FnMut() -> bool) -> Option<f64> {
    let most = levels.permutations.saturating_mul((LONG / values).clamp(1, LONGER));
    let mut count = 0_usize;
    let mut shuffled = 0_usize;
    while shuffled < most {
        shuffled += 1;
        count += usize::from(as_clear());
        let expected = levels.alpha * shuffled as f64;
        let unsure = SURE * expected.sqrt();
        if count as f64 > expected + unsure + SURE {
            return None;
        }
        if shuffled.is_multiple_of(levels.permutations) && (count as f64) < expected - unsure {
            break;
        }
    }
    let p = (count + 1) as f64 / (shuffled + 1) as f64;
    (p <= levels.alpha).then_some(p)
}

/// Moves each cut to where the values between its neighbours differ most: when it was made, its neighbours
/// were not all known (Bai 1997, Econometric Theory 13).
fn settle(cuts: &mut [Cut], values: &[f64], least: usize) {
    for index in 0..cuts.len() {
        let start = index.checked_sub(1).map_or(0, |before| cuts[before].index);
        let end = cuts.get(index + 1).map_or(values.len(), |after| after.index);
        let Some(steps) = steps(&values[start..end]) else { continue };
        let mut tallies = Tallies::default();
        tallies.count(&steps);
        let whole = Interval { start: 0, end: steps.len(), step: 1, penalty: 0.0 };
        let (place, _) = tallies.place(&whole, least);
        cuts[index].index = start + place;
    }
}

/// With the medians of what lies between them.
fn described(cuts: &[Cut], values: &[f64]) -> Vec<ChangePoint> {
    let bounds: Vec<usize> = cuts.iter().map(|cut| cut.index).chain([values.len()]).collect();
    let mut start = 0;
    let mut described = Vec::new();
    for (cut, end) in cuts.iter().zip(&bounds[1..]) {
        let level = |range: Range<usize>| median(&mut values[range].to_vec());
        let (before, after) = (level(start..cut.index), level(cut.index..*end));
        described.push(ChangePoint { index: cut.index, before, after, p: cut.p });
        start = cut.index;
    }
    described
}

/// The values rounded to steps of equal height, 0 to [`BORDERS`], after those far from the median were drawn
/// in. Nothing where all are equal. The order of the values has no part in it, or the test would not be exact.
fn steps(values: &[f64]) -> Option<Vec<u8>> {
    let middle = median(&mut values.to_vec());
    let mut distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    // What equals the median tells nothing of how far the others lie from it.
    distances.retain(|distance| *distance > ROUNDING);
    let last = distances.len().checked_sub(1)?;
    let (_, usual, _) = distances.select_nth_unstable_by(last * USUAL_FIFTHS / 5, f64::total_cmp);
    let (low, high) = (middle - FENCE * *usual, middle + FENCE * *usual);
    let drawn_in = |value: &f64| value.clamp(low, high);
    let (least, most) = values
        .iter()
        .map(drawn_in)
        .fold((high, low), |(least, most), value| (least.min(value), most.max(value)));
    let height = (most - least) / BORDERS as f64;
    // At most the number of borders.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let step = |value: &f64| ((drawn_in(value) - least) / height).round() as u8;
    Some(values.iter().map(step).collect())
}

/// A part of a stretch that is looked at for itself.
#[derive(Clone, Copy)]
struct Interval {
    start: usize,
    end: usize,
    /// Places so far from each other are looked at.
    step: usize,
    /// How much clearer than in the whole stretch a difference must be.
    penalty: f64,
}

impl Interval {
    /// With every place.
    fn exact(&self) -> Self {
        Self { step: 1, ..*self }
    }
}

/// The whole stretch, and all over it intervals of half the length, of a quarter, and so on.
fn intervals(values: usize, least: usize) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut length = values;
    while length >= 2 * least {
        let share = values as f64 / length as f64;
        let penalty = (2.0 * (1.0 + share.ln())).sqrt();
        let step = (length / PLACES).max(1);
        let starts = (0..values - length).step_by((length / STARTS).max(1)).chain([values - length]);
        intervals.extend(starts.map(|start| Interval { start, end: start + length, step, penalty }));
        length /= 2;
    }
    intervals
}

/// How many values lie below each border.
type Tally = [f32; BORDERS];

/// The clearest difference within a stretch.
struct Clearest<'a> {
    /// About the difference of two means in standard errors, less the penalty of the interval.
    clearness: f64,
    interval: &'a Interval,
}

/// The tally of each beginning of a stretch, from the empty one to all of it.
#[derive(Default)]
struct Tallies(Vec<Tally>);

impl Tallies {
    fn count(&mut self, steps: &[u8]) {
        self.0.clear();
        let mut tally = [0.0; BORDERS];
        self.0.push(tally);
        for step in steps {
            let row = &BELOW[usize::from(*step)];
            let mut border = 0;
            while border < BORDERS {
                tally[border] += row[border];
                border += 1;
            }
            self.0.push(tally);
        }
    }

    /// The interval in which both sides of a place differ most.
    fn clearest<'a>(&self, intervals: &'a [Interval], least: usize) -> Clearest<'a> {
        let scatter = self.scatter();
        let mut clearest = Clearest { clearness: f64::NEG_INFINITY, interval: &intervals[0] };
        for interval in intervals {
            let (_, distance) = self.place(interval, least);
            let clearness = (f64::from(distance) / (FIRST_COMPONENT * scatter)).sqrt() - interval.penalty;
            if clearness > clearest.clearness {
                clearest = Clearest { clearness, interval };
            }
        }
        clearest
    }

    /// Nearly what the distance of both sides is on average when the values are shuffled, whatever the place.
    fn scatter(&self) -> f64 {
        let last = self.0[self.0.len() - 1];
        let values = (self.0.len() - 1) as f64;
        last.iter().map(|count| f64::from(*count) / values).map(|share| share * (1.0 - share)).sum()
    }

    /// The place in an interval where both sides differ most, and their distance: n m ÷ (n + m) times the sum of
    /// the squared differences of their shares below each border. Twice that is the measure of E-divisive, in
    /// steps.
    fn place(&self, interval: &Interval, least: usize) -> (usize, f32) {
        let (first, last) = (&self.0[interval.start], &self.0[interval.end]);
        let length = (interval.end - interval.start) as f32;
        let mut share = [0.0; BORDERS];
        for (share, (first, last)) in share.iter_mut().zip(first.iter().zip(last)) {
            *share = (last - first) / length;
        }
        let mut best = (interval.start + least, f32::NEG_INFINITY);
        let tallies = self.0.as_slice();
        let mut place = interval.start + least;
        while place <= interval.end - least {
            let before = (place - interval.start) as f32;
            let distance =
                squares(&tallies[place], first, &share, before) * length / (before * (length - before));
            if distance > best.1 {
                best = (place, distance);
            }
            place += interval.step;
        }
        best
    }
}

/// The sum over the borders of the squares of what a tally has more than its share.
#[inline]
fn squares(tally: &Tally, first: &Tally, share: &Tally, before: f32) -> f32 {
    let mut squares = [0.0; LANES];
    let mut border = 0;
    while border < BORDERS {
        let more = tally[border] - first[border] - before * share[border];
        squares[border % LANES] += more * more;
        border += 1;
    }
    (squares[0] + squares[2]) + (squares[1] + squares[3])
}

/// Which borders each step lies below.
const BELOW: [Tally; BORDERS + 1] = {
    let mut below = [[0.0; BORDERS]; BORDERS + 1];
    let mut step = 0;
    while step <= BORDERS {
        let mut border = step;
        while border < BORDERS {
            below[step][border] = 1.0;
            border += 1;
        }
        step += 1;
    }
    below
};

/// A small generator: `SplitMix64` of Steele, Lea and Flood (2014, OOPSLA).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Puts the items in any order.
    fn shuffle(&mut self, items: &mut [u8]) {
        for last in (1..items.len()).rev() {
            let other = ((self.next() >> 32) * (last as u64 + 1)) >> 32;
            items.swap(last, other as usize);
        }
    }
}
