//! Against definitions that are computed step by step, by properties, and on made series: how often nothing is
//! called a change, and how often changes are found where they are.

use super::*;

/// Made series without a change, of each kind.
const QUIET: u64 = 150;
/// Made series with changes, of each kind.
const CHANGED: u64 = 50;

fn found(values: &[f64]) -> Vec<ChangePoint> {
    change_points(values, &Levels::default()).expect("a series")
}

fn places(values: &[f64]) -> Vec<usize> {
    found(values).into_iter().map(|change| change.index).collect()
}

mod definitions {
    use super::*;

    /// The energy distance of two samples times n m ÷ (n + m), as Matteson and James write it, from all pairs.
    fn energy(before: &[u8], after: &[u8]) -> f64 {
        let mean_distance = |one: &[u8], other: &[u8]| {
            let pairs = one.iter().flat_map(|one| other.iter().map(|other| one.abs_diff(*other)));
            pairs.map(f64::from).sum::<f64>() / (one.len() * other.len()) as f64
        };
        let (n, m) = (before.len() as f64, after.len() as f64);
        let between = 2.0 * mean_distance(before, after);
        n * m / (n + m) * (between - mean_distance(before, before) - mean_distance(after, after))
    }

    fn noise(values: usize, seed: u64) -> Vec<u8> {
        let noise = series(&[(values, 0.0)], Noise::Normal, seed);
        steps(&scaled(&noise)).expect("they differ")
    }

    #[test]
    fn distances_are_energy_distances() {
        for seed in 0..20 {
            let steps = noise(23, seed);
            let mut tallies = Tallies::default();
            tallies.count(&steps);
            for (start, end) in [(0, 23), (0, 6), (4, 15), (17, 23)] {
                let interval = Interval { start, end, step: 1, penalty: 0.0 };
                let distances: Vec<f64> = (start + 2..=end - 2)
                    .map(|place| energy(&steps[start..place], &steps[place..end]))
                    .collect();
                let (place, distance) = tallies.place(&interval, 2);
                let largest = distances.iter().fold(0.0, |largest: f64, distance| largest.max(*distance));
                assert!(
                    (2.0 * f64::from(distance) - largest).abs() < EQUAL * largest,
                    "{distance}, {largest}"
                );
                assert!((distances[place - start - 2] - largest).abs() < EQUAL * largest, "{distances:?}");
            }
        }
    }

    /// Shuffling does not change the mean of the distance, so that no place is better off than another.
    #[test]
    fn scatter_is_the_distance_to_expect() {
        let mut steps = noise(40, 1);
        let (mut tallies, mut random) = (Tallies::default(), Random(2));
        for place in [3, 20, 36] {
            let mut sum = 0.0;
            for _ in 0..4_000 {
                random.shuffle(&mut steps);
                sum += energy(&steps[..place], &steps[place..]) / 2.0;
            }
            tallies.count(&steps);
            // With n values it is the n − 1st part larger.
            let expected = tallies.scatter() * 40.0 / 39.0;
            assert!((sum / 4_000.0 / expected - 1.0).abs() < 0.05, "{place}: {sum}");
        }
    }

    /// All 924 orders of six values and six others: a p value is the share that is as clear as the observed.
    #[test]
    fn shuffling_comes_close_to_all_orders() {
        let levels = Levels { alpha: 0.2, ..Levels::default() };
        let intervals = intervals(12, levels.least);
        let mut tallies = Tallies::default();
        let mut clearness = |mask: u32| {
            let steps: Vec<u8> = (0..12).map(|bit| if mask >> bit & 1 == 1 { 8 } else { 0 }).collect();
            tallies.count(&steps);
            tallies.clearest(&intervals, levels.least).clearness
        };
        let orders: Vec<f64> =
            (0..1 << 12).filter(|mask: &u32| mask.count_ones() == 6).map(&mut clearness).collect();
        assert_eq!(orders.len(), 924);
        for mask in [0b1111_1100_0000, 0b1111_1010_0000, 0b1110_1101_0000] {
            let observed = clearness(mask);
            let exact = orders.iter().filter(|order| **order >= observed - EQUAL).count() as f64 / 924.0;
            let values: Vec<f64> = (0..12).map(|bit| f64::from(1 + (mask >> bit & 1))).collect();
            let p = cut(&values, &levels).expect("below the level").p;
            // Three standard errors of a share of 999.
            assert!((p - exact).abs() < 3.0 * (exact / 999.0).sqrt() + 0.001, "{mask:b}: {p}, {exact}");
        }
    }

    #[test]
    fn intervals_cover_the_stretch_and_hold_two_sides() {
        for values in [6, 7, 20, 333, 10_000] {
            let intervals = intervals(values, 3);
            assert_eq!((intervals[0].start, intervals[0].end), (0, values));
            for interval in &intervals {
                assert!(interval.end <= values && interval.end - interval.start >= 6);
                assert!(interval.penalty >= 2.0_f64.sqrt());
            }
            let mut shortest: Vec<&Interval> =
                intervals.iter().filter(|interval| interval.end - interval.start < 12).collect();
            shortest.sort_by_key(|interval| interval.start);
            assert!(shortest.windows(2).all(|two| two[1].start - two[0].start <= 2));
            assert!(intervals.len() <= 2 * values, "{}", intervals.len());
        }
    }

    #[test]
    fn shuffling_gives_each_place_to_each_value() {
        let mut random = Random(1);
        let mut counts = [[0_u32; 5]; 5];
        for _ in 0..10_000 {
            let mut items = [0, 1, 2, 3, 4];
            random.shuffle(&mut items);
            for (place, item) in items.iter().enumerate() {
                counts[place][usize::from(*item)] += 1;
            }
        }
        // 2,000 are expected, with a standard deviation of 40.
        assert!(counts.iter().flatten().all(|count| count.abs_diff(2_000) < 160), "{counts:?}");
    }
}

mod properties {
    use super::*;

    #[test]
    fn clear_steps_are_found_where_they_are() {
        let noise = Noise::Normal;
        // Levels are in standard deviations of 3 %.
        assert_eq!(places(&series(&[(30, 0.0), (20, 10.0)], noise, 1)), [30]);
        assert_eq!(places(&series(&[(20, 0.0), (15, 6.0), (20, 13.0)], noise, 2)), [20, 35]);
        assert_eq!(places(&series(&[(40, 0.0), (6, -9.0), (40, 0.0)], noise, 3)), [40, 46]);
        assert_eq!(places(&series(&[(50, 0.0), (5, 8.0), (5, 16.0)], noise, 4)), [50, 55]);
        assert_eq!(places(&series(&[(60, 0.0), (3, 8.0)], noise, 5)), [60]);
    }

    #[test]
    fn a_change_is_told_with_the_medians_of_its_sides() {
        let values = [series(&[(20, 0.0)], Noise::Normal, 1), vec![140.0; 7], vec![60.0; 15]].concat();
        let [up, down] = found(&values).try_into().expect("two changes");
        assert_eq!((up.index, up.after, down.index, down.before, down.after), (20, 140.0, 27, 140.0, 60.0));
        assert!((up.before - 100.0).abs() < 3.0, "{up:?}");
        assert!(up.p <= 0.01 && down.p <= 0.01, "{up:?}, {down:?}");
    }

    /// In long stretches only some places are looked at.
    #[test]
    fn the_place_is_exact_in_a_long_series() {
        let values = series(&[(1_001, 0.0), (613, 5.0), (386, 0.0)], Noise::Normal, 6);
        let levels = Levels { permutations: 99, ..Levels::default() };
        let changes = change_points(&values, &levels).expect("a series");
        let places: Vec<usize> = changes.iter().map(|change| change.index).collect();
        assert_eq!(places, [1_001, 1_614]);
    }

    #[test]
    fn outliers_are_no_change_and_hide_none() {
        let mut values = series(&[(40, 0.0)], Noise::Normal, 7);
        (values[17], values[39]) = (800.0, 3.0);
        assert!(places(&values).is_empty());
        // Two in a row, or at the end, are not enough either.
        (values[18], values[38]) = (700.0, 3.0);
        assert!(places(&values).is_empty());
        let mut values = series(&[(20, 0.0), (20, 8.0)], Noise::Normal, 8);
        for (index, outlier) in [(3, 1e6), (7, 900.0), (30, 2.0), (33, 1e9)] {
            values[index] = outlier;
        }
        assert_eq!(places(&values), [20]);
    }

    #[test]
    fn what_is_equal_is_no_change() {
        assert!(places(&[]).is_empty());
        assert!(places(&[4.0; 50]).is_empty());
        assert!(places(&[0.0; 50]).is_empty());
        // Equal but for rounding.
        let rounded: Vec<f64> = (0..40).map(|run| if run < 20 { 0.3 } else { 0.1 + 0.2 }).collect();
        assert!(places(&rounded).is_empty());
        let rounded: Vec<f64> = rounded.iter().map(|value| value - 1e3).collect();
        assert!(places(&rounded).is_empty());
    }

    #[test]
    fn counts_with_many_zeros_are_bearable() {
        let failures = |every: usize, runs: usize| -> Vec<f64> {
            (1..=runs).map(|run| f64::from(u8::from(run.is_multiple_of(every)))).collect()
        };
        assert!(places(&failures(7, 60)).is_empty());
        let often = [failures(20, 60), vec![3.0, 0.0, 2.0, 5.0, 4.0, 3.0, 0.0, 2.0, 3.0, 5.0]].concat();
        let [change] = found(&often).try_into().expect("one change");
        assert!(change.index.abs_diff(60) <= 1 && change.before == 0.0 && change.after > 1.0, "{change:?}");
        assert_eq!(places(&[vec![0.0; 20], vec![1.0; 20]].concat()), [20]);
    }

    #[test]
    fn few_values_tell_nothing() {
        let level = |alpha| values_needed(&Levels { alpha, ..Levels::default() });
        assert_eq!([0.2, 0.05, 0.01, 0.001].map(level), [6, 8, 10, 14]);
        assert_eq!(values_needed(&Levels { least: 30, ..Levels::default() }), 60);
        // Nonsense has an end too.
        assert!([0.0, -1.0, f64::NAN].map(level).iter().all(|values| *values <= VALUES_MAX));
        let endless = Levels { least: usize::MAX, permutations: usize::MAX, ..Levels::default() };
        assert_eq!(change_points(&[1.0, 2.0, 3.0], &endless), Ok(vec![]));
        let halves = |values: usize| [vec![1.0; values / 2], vec![9.0; values - values / 2]].concat();
        for values in 0..10 {
            assert!(places(&halves(values)).is_empty());
        }
        let [change] = found(&halves(10)).try_into().expect("ten are enough");
        assert_eq!(change.index, 5);
        assert!((change.p - 2.0 / 252.0).abs() < 0.002, "{change:?}");
    }

    #[test]
    fn neither_the_unit_nor_the_direction_matters() {
        for seed in 0..2 {
            let values = series(&[(25, 0.0), (9, 5.0), (30, 1.0)], Noise::Heavy, seed);
            let changes = found(&values);
            let scaled: Vec<f64> = values.iter().map(|value| value * 1e6).collect();
            let of = |changes: &[ChangePoint]| -> Vec<(usize, f64)> {
                changes.iter().map(|change| (change.index, change.p)).collect()
            };
            assert_eq!(of(&found(&scaled)), of(&changes));
            let inverted: Vec<f64> = values.iter().map(|value| 1.0 / value).collect();
            assert_eq!(places(&inverted), places(&values));
        }
    }

    #[test]
    fn the_same_series_is_always_told_alike() {
        let values = series(&[(30, 0.0), (30, 1.2)], Noise::Normal, 13);
        assert_eq!(found(&values), found(&values));
        // What is clear does not depend on the seed.
        let values = series(&[(12, 0.0), (8, 4.0)], Noise::Normal, 14);
        for seed in 0..20 {
            let changes = change_points(&values, &Levels { seed, ..Levels::default() }).expect("a series");
            assert_eq!(changes.len(), 1, "{seed}");
            assert_eq!(changes[0].index, 12, "{seed}");
        }
    }

    #[test]
    fn extreme_values_give_finite_numbers() {
        for (one, other) in [(1e-100, 1e100), (-1e100, 1e100), (0.0, 5e-324), (f64::MIN_POSITIVE, 1.0)] {
            let values: Vec<f64> = (0..30).map(|run| if run < 14 { one } else { other }).collect();
            for change in found(&values) {
                assert_eq!((change.index, change.before, change.after), (14, one, other));
            }
        }
    }

    #[test]
    fn what_is_no_series_is_refused() {
        let levels = Levels::default();
        let refused = |values: &[f64], levels| change_points(values, &levels).expect_err("nonsense");
        for found in [f64::NAN, f64::INFINITY, -1e101] {
            let refusal = refused(&[1.0, found], levels);
            assert!(matches!(refusal, Refusal::Value { index: 1, .. }), "{found}: {refusal:?}");
        }
        for alpha in [0.0, 0.0001, 1.0, -0.1, f64::NAN] {
            let refusal = refused(&[1.0; 20], Levels { alpha, ..levels });
            assert!(matches!(refusal, Refusal::Level { shuffled: 1_000, .. }), "{alpha}: {refusal:?}");
        }
        assert_eq!(refused(&[1.0; 20], Levels { least: 0, ..levels }), Refusal::Least);
        let many = refused(&vec![1.0; VALUES_MAX + 1], levels);
        assert_eq!(
            many.to_string(),
            "a series of 50001 values is longer than the 50000 that can be looked at"
        );
        let level = refused(&[], Levels { alpha: 0.0001, ..levels });
        assert_eq!(level.to_string(), "0.0001 is no level between 1 in 1000 and 1");
    }
}

mod simulated {
    use super::*;

    const KINDS: [Noise; 6] =
        [Noise::Normal, Noise::Heavy, Noise::Skewed, Noise::TwoPeaks, Noise::Outliers, Noise::Tied];

    /// The share of made series for which `is` holds.
    fn share(series_made: u64, is: impl Fn(u64) -> bool) -> f64 {
        (0..series_made).filter(|seed| is(*seed)).count() as f64 / series_made as f64
    }

    /// Whether all changes are found, each within so many runs, and no other.
    fn all_found(parts: &[(usize, f64)], noise: Noise, seed: u64, within: usize) -> bool {
        let mut begin = 0;
        let begins: Vec<usize> = parts.iter().map(|(runs, _)| (begin, begin += runs).0).collect();
        let places = places(&series(parts, noise, seed));
        let near = |(place, begin): (&usize, &usize)| place.abs_diff(*begin) <= within;
        places.len() == parts.len() - 1 && places.iter().zip(&begins[1..]).all(near)
    }

    /// The rate is 1 % by design, 0.7 to 1.3 % of 4,000 series each. The bound is three standard errors of a
    /// share of 150 series above it: 0.01 + 3 √(0.01 · 0.99 ÷ 150). The seeds are fixed.
    #[test]
    fn series_without_a_change_seldom_have_one() {
        for (noise, runs) in KINDS.into_iter().zip([20, 40, 30, 20, 40, 30]) {
            let alarms = share(QUIET, |seed| !places(&series(&[(runs, 0.0)], noise, seed)).is_empty());
            assert!(alarms <= 0.035, "{noise:?}, {runs} runs: {alarms}");
        }
    }

    /// Were the level ignored or the shuffling broken, alarms could also be too few.
    #[test]
    fn the_level_is_used_up() {
        let levels = Levels { alpha: 0.2, permutations: 99, ..Levels::default() };
        let alarms = share(QUIET, |seed| {
            let values = series(&[(20, 0.0)], Noise::Normal, seed);
            !change_points(&values, &levels).expect("a series").is_empty()
        });
        // Three standard errors are 0.1.
        assert!((0.1..0.3).contains(&alarms), "{alarms}");
    }

    /// A tenth more in a scatter of 3 %, from the thirteenth of twenty runs on. Of 300 series 99 % were found
    /// within two runs with normal noise; the bounds leave four standard errors of a share of 50.
    #[test]
    fn a_tenth_more_is_found_after_eight_runs() {
        let step = 1.1_f64.ln() / SCATTER;
        for (noise, least) in [
            (Noise::Normal, 0.91),
            (Noise::Heavy, 0.78),
            (Noise::Skewed, 0.87),
            (Noise::TwoPeaks, 0.87),
            (Noise::Outliers, 0.42),
        ] {
            let found = share(CHANGED, |seed| all_found(&[(12, 0.0), (8, step)], noise, seed, 2));
            assert!(found >= least, "{noise:?}: {found}");
        }
    }

    /// Both steps of a few slow runs, which cutting the whole stretch in two never finds. Of 300 series 97 %;
    /// the bound leaves four standard errors of a share of 12.
    #[test]
    fn a_step_back_hides_no_step() {
        let parts = [(60, 0.0), (5, 4.0), (60, 0.0)];
        let found = share(CHANGED / 4, |seed| all_found(&parts, Noise::Normal, seed, 2));
        assert!(found >= 0.77, "{found}");
    }

    /// Three runs are enough after many, at four standard deviations. Of 300 series 97 %; the bound is as above.
    #[test]
    fn three_runs_after_many_are_enough() {
        let found = share(CHANGED / 4, |seed| all_found(&[(60, 0.0), (3, 4.0)], Noise::Normal, seed, 2));
        assert!(found >= 0.77, "{found}");
    }

    /// A cut that was made when its neighbours were not known lies closer to its place once they are.
    #[test]
    fn cuts_settle_where_they_belong() {
        let parts = [(15, 0.0), (10, 3.0), (20, 0.0), (8, 4.0), (15, 7.0), (12, 3.0)];
        let levels = Levels { alpha: 0.05, permutations: 99, ..Levels::default() };
        let exact =
            |cuts: &[Cut]| cuts.iter().filter(|cut| [15, 25, 45, 53, 68].contains(&cut.index)).count();
        let (mut before, mut after) = (0, 0);
        for seed in 0..CHANGED {
            let values = scaled(&series(&parts, Noise::Normal, seed));
            let mut cuts = cuts(&values, &levels);
            before += exact(&cuts);
            settle(&mut cuts, &values, levels.least);
            after += exact(&cuts);
        }
        assert!(after > before && after as u64 > 3 * CHANGED, "{before}, then {after} of {}", 5 * CHANGED);
    }

    /// By 2 % a run of a scatter of 3 %, over a hundred runs: no place is right, and each is told upward.
    #[test]
    fn a_drift_is_told_as_steps_up() {
        for seed in 0..5 {
            let drift: Vec<f64> = series(&[(100, 0.0)], Noise::Normal, seed)
                .iter()
                .zip(0_u32..)
                .map(|(value, run)| value * (0.02 * f64::from(run)).exp())
                .collect();
            let changes = found(&drift);
            assert!((2..=20).contains(&changes.len()), "{changes:?}");
            assert!(changes.iter().all(|change| change.after > change.before), "{changes:?}");
        }
    }

    /// A limit, not a virtue: it stands in the documentation. 11 % of 4,000 series.
    #[test]
    fn runs_that_resemble_the_one_before_make_false_changes() {
        let alarms =
            share(QUIET / 3, |seed| !places(&series(&[(50, 0.0)], Noise::Alike(0.3), seed)).is_empty());
        // Three standard errors of a share of 50, and one of them at least.
        assert!((0.01..0.25).contains(&alarms), "{alarms}");
    }
}

/// How runs scatter about their level.
#[derive(Clone, Copy, Debug)]
enum Noise {
    Normal,
    /// Student's t with two degrees of freedom: no variance.
    Heavy,
    /// Exponential: many a little below their mean, few far above.
    Skewed,
    /// Six of ten runs in one state of the machine, four in another.
    TwoPeaks,
    /// Normal, and one in twenty at twelve standard deviations.
    Outliers,
    /// Normal, rounded to whole standard deviations.
    Tied,
    /// Normal, and so much of each is kept by the next.
    Alike(f64),
}

/// What noise of one standard deviation does to a value, as a logarithm.
const SCATTER: f64 = 0.03;

/// Runs about 100: so many at each level, which is in standard deviations of the noise.
fn series(parts: &[(usize, f64)], noise: Noise, seed: u64) -> Vec<f64> {
    let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut last = random.normal();
    let levels = parts.iter().flat_map(|(runs, level)| std::iter::repeat_n(level, *runs));
    levels.map(|level| 100.0 * (SCATTER * (level + random.noise(noise, &mut last))).exp()).collect()
}

impl Random {
    /// Above 0 and below 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn noise(&mut self, noise: Noise, last: &mut f64) -> f64 {
        match noise {
            Noise::Normal => self.normal(),
            // Scaled so that its middle half is as wide as that of normal noise.
            Noise::Heavy => 0.83 * self.normal() / (-self.uniform().ln()).sqrt(),
            Noise::Skewed => -self.uniform().ln(),
            Noise::TwoPeaks => (if self.uniform() < 0.6 { -1.0 } else { 1.2 }) + 0.1 * self.normal(),
            Noise::Outliers => self.normal() + if self.uniform() < 0.05 { 12.0 } else { 0.0 },
            Noise::Tied => self.normal().round(),
            Noise::Alike(kept) => {
                *last = kept * *last + (1.0 - kept * kept).sqrt() * self.normal();
                *last
            }
        }
    }
}
