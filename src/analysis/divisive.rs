//! Where the history of a metric changed: one value for each run, in the order of time. Pure arithmetic on
//! numbers; it does not know what they mean.
//!
//! # Method
//!
//! The series is cut in two where both sides differ most, if that is more than chance, and each side again,
//! until no stretch can be cut: E-divisive (Matteson and James 2014, Journal of the American Statistical
//! Association 109), by which `MongoDB` (Daly et al. 2020, ICPE) and Hunter (Fleming et al. 2023, ICPE) watch
//! their histories. Its measure is kept, the energy distance of two samples (Székely and Rizzo 2004,
//! `InterStat` 5), which supposes no distribution. Four things are done otherwise:
//!
//! - **Many intervals are looked at, not one.** A step and the step back soon after it hide each other where
//!   only the whole stretch is cut in two: of 5 runs at four standard deviations between 60 and 60 others,
//!   E-divisive finds none. Hunter slides a window over the series for that. Here it is seeded intervals of
//!   all lengths (Kovács et al. 2023, Biometrika 110), which find what any method could, up to a constant.
//!   Short intervals are many and must differ by more (Dümbgen and Spokoiny 2001, Annals of Statistics 29).
//! - **The test is exact for all of that together.** The values of the stretch are shuffled, and the largest
//!   difference in any interval is compared. Hunter takes Student's t at the place that was found to differ
//!   most, whose p value is too small for being the best of many, and supposes normal noise.
//! - **Outliers weigh little.** Values far from the median of their stretch are drawn in, so that one run of
//!   a bad day is neither a change nor hides one.
//! - **Shuffling is repeatable.** A seed decides it, and unclear cases are shuffled longer; Hunter gave the
//!   permutation test up because it said another thing each time.
//!
//! `changepoint` in this folder serves another question: whether the seconds at the end of one short series
//! have come to rest. It may be wrong either way, cuts by a penalty that was set for logarithms of rates with
//! a known kind of noise, and gives no error rate. Here a person is told "run 12 made it slower", which must
//! seldom be wrong whatever the noise.
//!
//! # Limits
//!
//! - Values must be independent of each other while nothing changes. Runs that resemble the one before them
//!   (a warm machine, growing data) look like changes.
//! - A slow drift is reported as steps.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::changepoint::median;

/// Most values of a series.
pub const VALUES_MAX: usize = 50_000;
/// Values further from zero than this are no measurements.
const VALUE_MAX: f64 = 1e100;
/// A series whose values differ by no more than this fraction is constant but for rounding.
const ROUNDING: f64 = 1e-9;
/// The share of the deviations from the median that tells how far values usually lie from it.
const USUAL: f64 = 0.8;
/// Values are drawn in to so many usual distances from the median: 3.2 standard deviations of normal noise.
const FENCE: f64 = 2.5;
/// Borders between the steps to which values are rounded, so that distances are counts. A step is at most
/// 0.4 standard deviations of normal noise.
const BORDERS: usize = 8;
/// Sums that are added up side by side.
const LANES: usize = 4;
/// The share of the energy distance that its first component has, of evenly spread values: 6 ÷ π². It makes
/// the root of the distance about as large as the difference of two means in standard errors.
const FIRST_COMPONENT: f64 = 0.6079;
/// Intervals of one length begin so many times in their length.
const STARTS: usize = 4;
/// So many places of an interval are looked at, for speed; the exact place is found afterwards.
const PLACES: usize = 64;
/// Differences closer to each other than this are equal.
const EQUAL: f64 = 1e-5;
/// Shuffling ends early where the p value lies so many standard errors from the level.
const SURE: f64 = 3.0;
/// Unclear cases are shuffled up to so many times longer, if they are short.
const LONGER: usize = 10;
/// Values of a stretch that is not short.
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
    /// How often a shuffled stretch has a difference at least as clear in any place: the p value of the cut.
    /// Adjusted for all places in the stretch that was cut here, not for other stretches.
    pub p: f64,
}

/// What counts as a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// The error rate of each stretch: of series without a change, such a share is said to have one. Where
    /// there are changes, about such a share of what is reported is false.
    pub alpha: f64,
    /// Fewest values between two changes, and before the first and after the last. One run is an outlier.
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
    /// A value is not a number, infinite, or beyond 10^±100: the caller leaves such runs out.
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

/// Fewest values with which a change can be found at all. With n values no p value is below that of two equal
/// halves, which one in n! ÷ (n/2)!² orders has, and as many the other way round: 10 for 1 %.
#[must_use]
pub fn values_needed(levels: &Levels) -> usize {
    let mut orders = 1.0;
    let mut values = 0_usize;
    while values < 2 * levels.least || 2.0 > levels.alpha * orders {
        values += 1;
        orders *= values as f64 / values.div_ceil(2) as f64;
    }
    values
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

/// Logarithms, since the noise of a time or a rate grows with it; the values themselves where one has none.
fn scaled(values: &[f64]) -> Vec<f64> {
    let positive = values.iter().all(|value| *value > 0.0);
    values.iter().map(|value| if positive { value.ln() } else { *value }).collect()
}

/// Where the series was cut.
struct Cut {
    index: usize,
    p: f64,
}

/// Cuts the series, and what it was cut into, until nothing is left to cut.
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

/// Cuts a stretch where both sides of an interval differ most, if any differ by more than chance.
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

/// The share of shuffled stretches that are at least as clear as the one that was observed, which is counted
/// among them (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9). Nothing
/// where it is above the level.
fn p_value(values: usize, levels: &Levels, mut as_clear: impl FnMut() -> bool) -> Option<f64> {
    let most = levels.permutations * (LONG / values).clamp(1, LONGER);
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

/// Moves each cut to where the values between its neighbours differ most. When it was made, others were not
/// yet known (Bai 1997, Econometric Theory 13).
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
/// in. Nothing where all are equal. It depends on the values alone, not on their order: else the test would
/// not be exact.
fn steps(values: &[f64]) -> Option<Vec<u8>> {
    let middle = median(&mut values.to_vec());
    let mut distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // Of the values that are not the median, so that ties do not make it zero.
    distances.retain(|distance| *distance > ROUNDING * largest.min(1.0));
    let last = distances.len().checked_sub(1)?;
    let (_, usual, _) = distances.select_nth_unstable_by(whole(USUAL * last as f64), f64::total_cmp);
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

/// A number of values that was computed: whole, not negative, and at most the length of a series.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(values: f64) -> usize {
    values as usize
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

/// The whole stretch, and shorter and shorter intervals all over it.
fn intervals(values: usize, least: usize) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut length = values;
    let mut exact = values as f64;
    while length >= 2 * least {
        let share = values as f64 / length as f64;
        let penalty = (2.0 * (1.0 + share.ln())).sqrt();
        let step = (length / PLACES).max(1);
        let starts = (0..values - length).step_by((length / STARTS).max(1)).chain([values - length]);
        intervals.extend(starts.map(|start| Interval { start, end: start + length, step, penalty }));
        while whole(exact) >= length {
            exact *= std::f64::consts::FRAC_1_SQRT_2;
        }
        length = whole(exact);
    }
    intervals
}

/// How many values lie below each border.
type Tally = [f32; BORDERS];

/// The clearest difference within a stretch.
struct Clearest<'a> {
    clearness: f64,
    interval: &'a Interval,
}

/// Tallies of the beginnings of a stretch.
#[derive(Default)]
struct Tallies(Vec<Tally>);

impl Tallies {
    fn count(&mut self, steps: &[u8]) {
        self.0.clear();
        let mut tally = [0.0; BORDERS];
        self.0.push(tally);
        for step in steps {
            let row = &BELOW[usize::from(*step)];
            for (count, below) in tally.iter_mut().zip(row) {
                *count += below;
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

    /// What the distance of both sides of a place is on average, whatever the place.
    fn scatter(&self) -> f64 {
        let last = self.0[self.0.len() - 1];
        let values = (self.0.len() - 1) as f64;
        last.iter().map(|count| f64::from(*count) / values).map(|share| share * (1.0 - share)).sum()
    }

    /// The place in an interval where both sides differ most, and their distance.
    fn place(&self, interval: &Interval, least: usize) -> (usize, f32) {
        let (first, last) = (&self.0[interval.start], &self.0[interval.end]);
        let length = (interval.end - interval.start) as f32;
        let mut share = [0.0; BORDERS];
        for (share, (first, last)) in share.iter_mut().zip(first.iter().zip(last)) {
            *share = (last - first) / length;
        }
        let mut best = (interval.start + least, f32::NEG_INFINITY);
        for place in (interval.start + least..=interval.end - least).step_by(interval.step) {
            let before = (place - interval.start) as f32;
            let tally = &self.0[place];
            let mut squares = [0.0_f32; LANES];
            for border in (0..BORDERS).step_by(LANES) {
                for lane in 0..LANES {
                    let more = tally[border + lane] - first[border + lane] - before * share[border + lane];
                    squares[lane] += more * more;
                }
            }
            let distance = ((squares[0] + squares[1]) + (squares[2] + squares[3])) * length
                / (before * (length - before));
            if distance > best.1 {
                best = (place, distance);
            }
        }
        best
    }
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
