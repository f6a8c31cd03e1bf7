//! Whether a short and noisy series has come to rest, and since when. Pure arithmetic on numbers: what they mean is decided by
//! who asks. Made for logarithms of a time or a rate, one a second, five to a few hundred of them, so that a difference of 0.05
//! is 5 %.
//!
//! The series is cut into stretches of one level each by optimal partitioning (Jackson et al. 2005, IEEE Signal Processing
//! Letters 12; PELT of Killick et al. 2012, JASA 107, without its pruning, which a short series does not need). Single outliers,
//! such as the second of a checkpoint, are taken out before by a running median (Pearson 2002, IEEE Transactions on Control
//! Systems Technology 10: the Hampel filter), and longer disturbances after which the old level is back do not count. That the
//! steady part must be at least as long as all that came before it is the rule of MSER (White 1997, Simulation 69): what fell
//! for ten seconds must then rest for ten.

/// Levels closer to each other than this are one level, and a tail that drifts by less has come to rest: a twentieth.
const ALIKE: f64 = 0.05;
/// A change of this size between the halves of the tail must have been seen, were it there: a tenth. Noisy series need longer
/// tails for it.
const SEEN: f64 = 0.1;
/// Noise is taken for at least so much: a series without any would be cut at every rounding.
const NOISE_MIN: f64 = 0.01;
/// Fewest points that a tail needs: in fewer, a slow decay looks like rest (see the tests).
pub(super) const TAIL_MIN: usize = 10;
/// Points after which a tail is long enough however noisy it is.
const TAIL_MAX: usize = 30;
/// Most of a tail that may lie on another level, between two stretches of its own.
const DISTURBED_MAX: f64 = 0.25;
/// Points that are looked at; a longer series is joined to so many means of neighbours.
const POINTS_MAX: usize = 240;
/// A point further from the median of its neighbourhood than so many standard deviations of the noise is an outlier.
const OUTLIER: f64 = 3.0;
/// A slope further from none than so many of its standard errors is one.
const SLOPE_SURE: f64 = 2.0;
/// The middle of the absolute deviations of a normal distribution, in its standard deviations.
const MEDIAN_DEVIATION: f64 = 0.6745;

/// What a series says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rest {
    /// It rests since the point of this index.
    Since(usize),
    /// Nothing speaks against rest, and there are too few points, for their noise, to speak for it.
    Unclear,
    /// It changed at the point of this index, or drifts since then, and has not rested for as long as it moved.
    Changing(usize),
}

/// Whether the series rests at its end, and since when.
pub(super) fn rest(series: &[f64]) -> Rest {
    let joined = series.len().div_ceil(POINTS_MAX).max(1);
    if joined > 1 {
        let means: Vec<f64> = series.chunks(joined).map(mean).collect();
        return match rest(&means) {
            Rest::Since(index) => Rest::Since(index * joined),
            Rest::Changing(index) => Rest::Changing(index * joined),
            Rest::Unclear => Rest::Unclear,
        };
    }
    let points = series.len();
    if points < TAIL_MIN {
        return Rest::Unclear;
    }
    let noise = noise(series);
    let clean = without_outliers(series, noise);
    let tail = Tail::of(&clean, &partition(&clean, noise));
    if tail.began > points / 2 {
        return Rest::Changing(tail.began);
    }
    // Where a slow decay reaches into a tail, its second half may rest all the same.
    let candidates = [tail.began, points / 2];
    let Some(since) = candidates.into_iter().find(|since| !drifts(&tail.since(*since), noise)) else {
        return Rest::Changing(tail.began);
    };
    if points - since < tail_needed(points, noise) { Rest::Unclear } else { Rest::Since(since) }
}

/// Where levels begin: the cuts that make the sum of squares within them and a penalty for each of them least. The first is 0.
fn partition(series: &[f64], noise: f64) -> Vec<usize> {
    let sums = Sums::new(series);
    let penalty = penalty(series.len());
    // What the best partition of each beginning of the series costs, and where its last level begins.
    let mut costs = vec![-penalty];
    let mut last_begins = vec![0];
    for end in 1..=series.len() {
        let cost_of = |begin: usize| costs[begin] + sums.squares(begin, end) / noise.powi(2) + penalty;
        let (begin, cost) = (0..end)
            .map(|begin| (begin, cost_of(begin)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .expect("an end has a beginning before it");
        costs.push(cost);
        last_begins.push(begin);
    }
    let mut begins = Vec::new();
    let mut end = series.len();
    while end > 0 {
        end = last_begins[end];
        begins.push(end);
    }
    begins.reverse();
    begins
}

/// What one more level must save, in variances of the noise: twice the penalty of Schwarz's criterion, which is 2 ln n for a
/// level and its place (Yao 1988, Statistics & Probability Letters 6). Twice, because seconds of a database are not independent
/// of each other: at a correlation of 0.5 between neighbours the simple one finds changes in noise alone.
fn penalty(points: usize) -> f64 {
    4.0 * (points as f64).ln()
}

/// How long a tail must be so that a step of [`SEEN`] in its middle would have been found: two halves of t/2 points save
/// t/4 × step² ÷ noise² by being two levels.
fn tail_needed(points: usize, noise: f64) -> usize {
    let needed = 4.0 * penalty(points) * noise.powi(2) / SEEN.powi(2);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is clamped between two bounds"
    )]
    let needed = needed.ceil().clamp(TAIL_MIN as f64, TAIL_MAX as f64) as usize;
    needed
}

/// The end of a series that lies on one level.
struct Tail<'a> {
    series: &'a [f64],
    /// The last level and all before it that are like it begin here, with what lies between them where that is little.
    began: usize,
    /// Which points lie on other levels.
    disturbed: Vec<bool>,
}

impl<'a> Tail<'a> {
    fn of(series: &'a [f64], begins: &[usize]) -> Self {
        let last = begins.len() - 1;
        let rests_at = mean(&series[begins[last]..]);
        let mut tail = Self { series, began: begins[last], disturbed: vec![false; series.len()] };
        let mut disturbed = 0;
        for level in (0..last).rev() {
            let points = begins[level]..begins[level + 1];
            if (mean(&series[points.clone()]) - rests_at).abs() > ALIKE {
                disturbed += points.len();
                tail.disturbed[points].fill(true);
            } else if disturbed as f64 <= DISTURBED_MAX * (series.len() - points.start) as f64 {
                tail.began = points.start;
            }
        }
        tail
    }

    /// The undisturbed points from `begin` on, each with its place.
    fn since(&self, begin: usize) -> Vec<(f64, f64)> {
        (begin..self.series.len())
            .filter(|index| !self.disturbed[*index])
            .map(|index| (index as f64, self.series[index]))
            .collect()
    }
}

/// Whether a straight line through the points (least squares) leads further away than [`ALIKE`], beyond what noise explains.
fn drifts(points: &[(f64, f64)], noise: f64) -> bool {
    let count = points.len() as f64;
    let (centre, level) = points.iter().fold((0.0, 0.0), |sums, (at, value)| (sums.0 + at, sums.1 + value));
    let (centre, level) = (centre / count, level / count);
    let (mut products, mut squares) = (0.0, 0.0);
    for (at, value) in points {
        products += (at - centre) * (value - level);
        squares += (at - centre).powi(2);
    }
    if squares <= 0.0 {
        return false;
    }
    let slope: f64 = products / squares;
    let length = points[points.len() - 1].0 - points[0].0 + 1.0;
    (slope * length).abs() > ALIKE && slope.abs() > SLOPE_SURE * noise / squares.sqrt()
}

/// The standard deviation of the noise, from how far each point lies off the middle of its two neighbours, which neither a level
/// nor a straight slope has a part in (Gasser, Sroka and Jennen-Steinmetz 1986, Biometrika 73). The variance of these is 3/2 of
/// the noise's; by their median, so that steps and outliers have no part in it either.
fn noise(series: &[f64]) -> f64 {
    let off = |three: &[f64]| (f64::midpoint(three[0], three[2]) - three[1]).abs();
    let mut offs: Vec<f64> = series.windows(3).map(off).collect();
    (median(&mut offs) / MEDIAN_DEVIATION / 1.5_f64.sqrt()).max(NOISE_MIN)
}

/// The series with its outliers at the median of their neighbourhood: two points to each side, fewer at the ends, so that a step
/// stays where it is.
fn without_outliers(series: &[f64], noise: f64) -> Vec<f64> {
    let cleaned = |(index, value): (usize, &f64)| {
        let reach = index.min(series.len() - 1 - index).min(2);
        let middle = median(&mut series[index - reach..=index + reach].to_vec());
        if (value - middle).abs() > OUTLIER * noise { middle } else { *value }
    };
    series.iter().enumerate().map(cleaned).collect()
}

/// Sums of a series up to each of its points.
struct Sums {
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(series: &[f64]) -> Self {
        // Around the mean, so that the difference of two large sums keeps its digits.
        let level = mean(series);
        let (mut values, mut squares) = (vec![0.0], vec![0.0]);
        for (index, value) in series.iter().enumerate() {
            values.push(values[index] + (value - level));
            squares.push(squares[index] + (value - level).powi(2));
        }
        Self { values, squares }
    }

    /// The sum of squares of the points from `begin` to before `end`, around their mean.
    fn squares(&self, begin: usize, end: usize) -> f64 {
        let sum = self.values[end] - self.values[begin];
        (self.squares[end] - self.squares[begin] - sum * sum / (end - begin) as f64).max(0.0)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The middle value, or the mean of the two in the middle; zero of nothing.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn the_median_of_few() {
        assert!((median(&mut [9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [3.0, 1.0]) - 2.0).abs() < f64::EPSILON);
    }

    /// Seconds after which nobody waits any longer.
    const LIMIT: usize = 60;
    /// Made series of each kind.
    const SEEDS: u64 = 200;

    /// Noise of the standard deviation `noise`, of which each point keeps `kept` of the one before.
    fn noisy(seed: u64, noise: f64, kept: f64) -> impl FnMut() -> f64 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut last = 0.0;
        move || {
            // Twelve uniform draws: as good as normal within three standard deviations.
            let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            last = kept * last + (1.0 - kept * kept).sqrt() * noise * normal;
            last
        }
    }

    /// How long it takes, second by second, until the series is found to rest; nothing where it is not within the limit.
    fn found_after(mut next: impl FnMut(usize) -> f64) -> Option<usize> {
        let mut series = Vec::new();
        (0..LIMIT).find_map(|second| {
            series.push(next(second));
            matches!(rest(&series), Rest::Since(_)).then_some(second + 1)
        })
    }

    /// The share of the seeds for which `is` holds.
    fn share(mut is: impl FnMut(u64) -> bool) -> f64 {
        (0..SEEDS).filter(|seed| is(*seed)).count() as f64 / SEEDS as f64
    }

    #[test]
    fn a_level_rests_from_its_first_point() {
        assert_eq!(rest(&[3.0; 9]), Rest::Unclear, "too few to speak of rest");
        assert_eq!(rest(&[3.0; 10]), Rest::Since(0));
        assert_eq!(rest(&[]), Rest::Unclear);
    }

    #[test]
    fn a_step_is_found_where_it_is_and_needs_a_rest_as_long_as_what_came_before() {
        let mut noise = noisy(1, 0.02, 0.0);
        let series: Vec<f64> = (0..40).map(|second| noise() + if second < 13 { 0.4 } else { 0.0 }).collect();
        assert_eq!(rest(&series[..20]), Rest::Changing(13));
        assert_eq!(rest(&series[..25]), Rest::Changing(13));
        assert_eq!(rest(&series[..26]), Rest::Since(13));
        assert_eq!(rest(&series), Rest::Since(13));
    }

    #[test]
    fn a_change_that_nobody_would_notice_is_none() {
        let series: Vec<f64> = (0..30).map(|second| if second < 20 { 0.03 } else { 0.0 }).collect();
        assert_eq!(rest(&series), Rest::Since(0));
    }

    #[test]
    fn two_points_that_alternate_rest_about_their_middle() {
        let series: Vec<f64> = (0..20).map(|second| if second % 2 == 0 { 0.3 } else { -0.3 }).collect();
        assert_eq!(rest(&series[..10]), Rest::Unclear, "it takes longer to be sure of what moves so much");
        let series: Vec<f64> = series.iter().cycle().take(40).copied().collect();
        assert_eq!(rest(&series), Rest::Since(0));
        // Ten seconds of one and ten of the other are no rest.
        let slow: Vec<f64> = (0..60).map(|second| if second / 10 % 2 == 0 { 0.3 } else { -0.3 }).collect();
        assert_eq!(rest(&slow), Rest::Changing(50));
    }

    #[test]
    fn outliers_and_short_disturbances_do_not_end_a_rest() {
        let mut noise = noisy(2, 0.02, 0.0);
        let mut series: Vec<f64> = (0..40).map(|_| noise()).collect();
        for second in [5, 17, 18] {
            series[second] += 1.5;
        }
        for disturbed in &mut series[26..31] {
            *disturbed += 0.6;
        }
        assert_eq!(rest(&series), Rest::Since(0));
        // The level is another one afterwards: then it was no disturbance.
        for changed in &mut series[31..] {
            *changed += 0.6;
        }
        assert_eq!(rest(&series), Rest::Changing(26));
    }

    /// False alarms: nothing changes, and rest is not found in time. Each bound is four standard deviations of such a count above
    /// the rate that 2,000 seeds gave, which stands beside it.
    #[test]
    fn noise_alone_is_found_at_rest_in_time() {
        for (noise, kept, bound) in [
            (0.01, 0.0, 0.01), // 0.0 %
            (0.05, 0.0, 0.01), // 0.0 %
            (0.1, 0.0, 0.01),  // 0.0 %
            (0.05, 0.5, 0.01), // 0.0 %
            (0.1, 0.5, 0.04),  // 1.0 %
        ] {
            let never = share(|seed| {
                let mut noise = noisy(seed, noise, kept);
                found_after(|_| noise()).is_none()
            });
            assert!(never <= bound, "noise {noise}, kept {kept}: {never}");
        }
        let never = share(|seed| {
            let mut noise = noisy(seed, 0.1, 0.0);
            found_after(|second| noise() + if second % 20 >= 16 { 0.5 } else { 0.0 }).is_none()
        });
        assert!(never <= 0.04, "with four slow seconds of each twenty: {never}"); // 0.8 %
    }

    /// Misses: rest is found while there is a tenth to go, or before what moved has rested as long as it moved. The bounds are
    /// made as above.
    #[test]
    fn what_still_moves_is_not_taken_for_rest() {
        for (noise, seconds, bound) in [
            (0.03, 3.0, 0.01),  // 0.0 %
            (0.03, 10.0, 0.02), // 0.1 %
            (0.03, 20.0, 0.03), // 0.6 %
            (0.1, 10.0, 0.04),  // 1.1 %
        ] {
            // Twice the time at first, as a cache that fills gives it.
            let level = |second: usize| (1.0 + (-(second as f64) / seconds).exp()).ln();
            let missed = share(|seed| {
                let mut noise = noisy(seed, noise, 0.0);
                found_after(|second| noise() + level(second)).is_some_and(|found| level(found) > 0.1)
            });
            assert!(missed <= bound, "noise {noise}, decay in {seconds} s: {missed}");
        }
        for (noise, at) in [(0.03, 4), (0.1, 8)] {
            let missed = share(|seed| {
                let mut noise = noisy(seed, noise, 0.0);
                let stepped = |second: usize| if second < at { 0.3 } else { 0.0 };
                found_after(|second| noise() + stepped(second)).is_some_and(|found| found < 2 * at)
            });
            assert!(missed <= 0.01, "noise {noise}, a step after {at} s: {missed}"); // 0.0 %, 0.05 %
        }
        for (noise, bound) in [(0.03, 0.01), (0.1, 0.1)] {
            let missed = share(|seed| {
                let mut noise = noisy(seed, noise, 0.0);
                found_after(|second| noise() + 0.02 * second as f64).is_some()
            });
            assert!(missed <= bound, "noise {noise}, 2 % more each second: {missed}"); // 0.0 %, 3.9 %
        }
    }

    #[test]
    fn a_long_series_is_joined_and_says_the_same() {
        let mut noise = noisy(3, 0.02, 0.0);
        let series: Vec<f64> =
            (0..1000).map(|second| noise() + if second < 300 { 0.4 } else { 0.0 }).collect();
        let Rest::Since(since) = rest(&series) else { panic!("{:?}", rest(&series)) };
        // Five points are one.
        assert!(since.abs_diff(300) <= 5, "{since}");
    }
}
