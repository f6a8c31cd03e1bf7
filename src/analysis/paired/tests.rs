//! Against `SciPy`, by properties, and on made series: how often nothing is called a difference, and how
//! often a difference is found.

use serde_json::Value;

use super::flips::Random;
use super::*;

/// Made comparisons of each kind.
const SERIES: u64 = 400;
/// Metrics of a made comparison.
const METRICS: usize = 8;

mod scipy {
    use super::*;

    /// What `scipy.py` made.
    fn fixture() -> Value {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/statistics/scipy.json"));
        serde_json::from_str(text).expect("it is JSON")
    }

    fn numbers(value: &Value) -> Vec<f64> {
        let array = value.as_array().expect("an array");
        array.iter().map(|number| number.as_f64().expect("a number")).collect()
    }

    fn pairs(a: &Value, b: &Value) -> Vec<Option<Pair>> {
        let both = numbers(a).into_iter().zip(numbers(b)).enumerate();
        both.map(|(index, (a, b))| Some(Pair { a, b, a_first: index % 2 == 0 })).collect()
    }

    fn assert_ends(found: Option<Interval>, expected: &Value, tolerance: f64) {
        let found = found.expect("pairs enough");
        let expected = numbers(expected);
        let same =
            (found.low - expected[0]).abs() < tolerance && (found.high - expected[1]).abs() < tolerance;
        assert!(same, "{found:?}, {expected:?}");
    }

    #[test]
    fn student_s_t_is_the_same() {
        let fixture = fixture();
        for (name, function, tolerance) in
            [("cdf", student::cdf as fn(f64, f64) -> f64, 1e-12), ("ppf", student::quantile, 1e-9)]
        {
            for row in fixture["student"][name].as_array().expect("rows") {
                let row = numbers(row);
                let found = function(row[0], row[1]);
                assert!(
                    (found - row[2]).abs() <= tolerance * row[2].abs().max(1.0),
                    "{name} {row:?}: {found}"
                );
            }
        }
    }

    #[test]
    fn sign_flips_of_one_metric_are_the_same() {
        for sample in fixture()["samples"].as_array().expect("samples") {
            let pairs = pairs(&sample["a"], &sample["b"]);
            let judged = one(&pairs, Levels::default());
            let estimate = estimate(&judged);
            let p = sample["p"].as_f64().expect("a number");
            assert!((estimate.p - p).abs() < 1e-12, "{}, {p}", estimate.p);
            assert_ends(estimate.interval, &sample["interval"], 1e-9);
            // An interval by Student's t, which supposes normal noise, is about as wide.
            let (Some(t), Some(flips)) = (sample.get("t_interval"), estimate.interval) else { continue };
            let t = numbers(t);
            let widths = (flips.high - flips.low) / (t[1] - t[0]);
            assert!((0.6..1.5).contains(&widths), "{widths}");
        }
    }

    /// By the definition of maxT: Student's t of every flip, the largest of all metrics.
    #[test]
    fn metrics_together_are_the_same() {
        for family in fixture()["families"].as_array().expect("families") {
            let arms =
                family["a"].as_array().expect("metrics").iter().zip(family["b"].as_array().expect("metrics"));
            let family_pairs: Vec<Vec<Option<Pair>>> = arms.map(|(a, b)| pairs(a, b)).collect();
            let judged = judge(&family_pairs, Levels::default());
            let expected = numbers(&family["p_adjusted"]);
            for (index, (judged, p)) in judged.iter().zip(expected).enumerate() {
                let estimate = estimate(judged);
                assert!((estimate.p_adjusted - p).abs() < 1e-12, "{}, {p}", estimate.p_adjusted);
                assert_ends(estimate.simultaneous, &family["simultaneous"][index], 1e-7);
            }
        }
    }
}

mod properties {
    use super::*;

    fn swapped(pair: Pair) -> Pair {
        Pair { a: pair.b, b: pair.a, a_first: !pair.a_first }
    }

    fn assert_near(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9 * one.abs().max(1.0), "{one}, {other}");
    }

    /// Two comparisons that say the same of ratios, the second as `turn` makes them.
    fn assert_alike(one: &Judged, other: &Judged, turn: fn(Interval) -> Interval) {
        let (one, other) = (estimate(one), estimate(other));
        assert_near(one.p, other.p);
        assert_near(one.p_adjusted, other.p_adjusted);
        assert_near(one.visible.expect("pairs enough"), other.visible.expect("pairs enough"));
        let ratio = turn(Interval { low: one.ratio, high: one.ratio });
        assert_near(ratio.low, other.ratio);
        for (one, other) in [(one.interval, other.interval), (one.simultaneous, other.simultaneous)] {
            let (one, other) = (turn(one.expect("pairs enough")), other.expect("pairs enough"));
            assert_near(one.low, other.low);
            assert_near(one.high, other.high);
        }
        assert_near(one.drift, other.drift);
    }

    #[test]
    fn swapped_arms_invert_ratio_and_interval() {
        let mut noise = Noise::new(Kind::White, 5);
        let family = noise.comparison(10, &[0.2, 0.0, -0.05]);
        let turned: Vec<Vec<Option<Pair>>> =
            family.iter().map(|metric| metric.iter().map(|pair| pair.map(swapped)).collect()).collect();
        let (judged, other) = (judge(&family, Levels::default()), judge(&turned, Levels::default()));
        for (judged, other) in judged.iter().zip(&other) {
            assert_alike(judged, other, |interval| Interval {
                low: 1.0 / interval.high,
                high: 1.0 / interval.low,
            });
            let (order, turned) =
                (estimate(judged).order.expect("both"), estimate(other).order.expect("both"));
            assert_near(order.second_to_first, turned.second_to_first);
            assert_near(order.p, turned.p);
        }
        assert_eq!((judged[0].verdict, other[0].verdict), (Verdict::Worse, Verdict::Better));
    }

    #[test]
    fn the_unit_does_not_matter() {
        let mut noise = Noise::new(Kind::White, 6);
        let family = noise.comparison(9, &[0.1, 0.0]);
        let scaled = |pair: Pair| Pair { a: pair.a * 1e6, b: pair.b * 1e6, ..pair };
        let in_other: Vec<Vec<Option<Pair>>> =
            family.iter().map(|metric| metric.iter().map(|pair| pair.map(scaled)).collect()).collect();
        let (judged, other) = (judge(&family, Levels::default()), judge(&in_other, Levels::default()));
        for (judged, other) in judged.iter().zip(&other) {
            assert_alike(judged, other, |interval| interval);
        }
    }

    #[test]
    fn all_that_is_equal_has_no_scatter_and_no_nan() {
        let same = |ratio: f64, pairs| vec![Some(Pair { a: 100.0, b: 100.0 * ratio, a_first: true }); pairs];
        let judged = one(&same(1.2, 8), Levels::default());
        let found = estimate(&judged);
        assert_near(found.ratio, 1.2);
        assert_near(found.simultaneous.expect("eight pairs").low, 1.2);
        assert_near(found.visible.expect("eight pairs"), 1.0);
        assert_eq!((found.p_adjusted, found.order, judged.verdict), (1.0 / 128.0, None, Verdict::Worse));
        let judged = one(&same(1.0, 8), Levels::default());
        assert_eq!((estimate(&judged).p, judged.verdict), (1.0, Verdict::Inconclusive));
        // Beside others it neither hides them nor is hidden.
        let mut noise = Noise::new(Kind::White, 3);
        let mut family = noise.comparison(8, &[0.4, 0.0]);
        let without = judge(&family, Levels::default());
        family.push(same(1.2, 8));
        family.push(same(1.0, 8));
        let with = judge(&family, Levels::default());
        assert_eq!(without[..], with[..2]);
        let verdicts: Vec<Verdict> = with.iter().map(|judged| judged.verdict).collect();
        let expected = [Verdict::Worse, Verdict::Inconclusive, Verdict::Worse, Verdict::Inconclusive];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn too_few_pairs_say_how_many_it_takes() {
        assert_eq!([0.5, 0.05, 0.01, 0.001].map(pairs_needed), [2, 6, 8, 11]);
        let pair = |b: f64| Some(Pair { a: 1.0, b, a_first: true });
        for pairs in [vec![], vec![pair(2.0)]] {
            let judged = one(&pairs, Levels::default());
            assert_eq!(
                (judged.estimate, judged.pairs_needed, judged.verdict),
                (None, Some(8), Verdict::Inconclusive)
            );
        }
        let judged =
            one(&[pair(2.0), pair(2.2), pair(2.1), pair(1.9), pair(2.4), pair(2.5)], Levels::default());
        let found = estimate(&judged);
        assert_eq!((judged.pairs_needed, found.simultaneous, found.visible), (Some(8), None, None));
        assert_near(found.interval.expect("six are enough for 5 %").low, 1.9);
        assert_near(found.p, 1.0 / 32.0);
        assert_eq!(compare(&[], &Levels::default()), Ok(vec![]));
    }

    #[test]
    fn what_has_no_logarithm_is_left_out_with_a_reason() {
        let mut noise = Noise::new(Kind::White, 8);
        let mut family = noise.comparison(12, &[0.4, 0.0]);
        let clean: Vec<Option<Pair>> = family[0][..8].to_vec();
        let broken = &mut family[0][8..];
        broken[0] = None;
        broken[1] = broken[1].map(|pair| Pair { a: 0.0, ..pair });
        broken[2] = broken[2].map(|pair| Pair { b: -3.0, ..pair });
        broken[3] = broken[3].map(|pair| Pair { b: f64::NAN, ..pair });
        let judged = judge(&family, Levels::default());
        let reasons = [Unusable::Missing, Unusable::NotPositive, Unusable::NotPositive, Unusable::OutOfRange];
        assert_eq!(judged[0].unusable, (8..).zip(reasons).collect::<Vec<_>>());
        assert_eq!((judged[0].pairs, judged[1].pairs), (8, 12));
        // It is judged by the pairs that it has, as if there had been no others.
        let alone = one(&clean, Levels::default());
        let (found, expected) = (estimate(&judged[0]), estimate(&alone));
        assert_near(found.p, expected.p);
        assert_near(found.interval.expect("eight").low, expected.interval.expect("eight").low);
        let infinite = [
            Some(Pair { a: 1.0, b: f64::INFINITY, a_first: true }),
            Some(Pair { a: 1e-300, b: 1.0, a_first: true }),
        ];
        let judged = one(&infinite, Levels::default());
        assert_eq!(judged.unusable, [(0, Unusable::OutOfRange), (1, Unusable::OutOfRange)]);
    }

    /// The most that floats could be asked for: whatever comes out is a number.
    #[test]
    fn extreme_values_give_finite_numbers() {
        let wild = |pair: usize| {
            let up = pair.is_multiple_of(3);
            Some(Pair {
                a: if up { 1e-100 } else { 1e100 },
                b: if up { 1e100 } else { 1e-100 },
                a_first: pair.is_multiple_of(2),
            })
        };
        for pairs in 0..20 {
            let family =
                [(0..pairs).map(wild).collect(), vec![Some(Pair { a: 1.0, b: 1.0, a_first: true }); pairs]];
            for judged in judge(&family, Levels::default()) {
                let Some(found) = judged.estimate else { continue };
                let intervals = [found.interval, found.simultaneous].into_iter().flatten();
                let mut all =
                    vec![found.ratio, found.p, found.p_adjusted, found.drift, found.visible.unwrap_or(1.0)];
                all.extend(intervals.flat_map(|interval| [interval.low, interval.high]));
                all.extend(found.order.iter().flat_map(|order| [order.second_to_first, order.p]));
                assert!(all.iter().all(|value| value.is_finite()), "{found:?}");
            }
        }
    }

    /// Differences of two values in equal number are as extreme under one flip as can be: at the fewest pairs
    /// nothing else can be found, and two more are enough.
    #[test]
    fn a_metric_of_two_values_hides_the_others_only_at_the_fewest_pairs() {
        for (pairs, found) in [(8, None), (10, Some(Verdict::Worse))] {
            let mut noise = Noise::new(Kind::White, 4);
            let mut family = noise.comparison(pairs, &[0.4]);
            let two = |pair: usize| {
                let b = if pair.is_multiple_of(2) { 1.1 } else { 1.0 / 1.1 };
                Some(Pair { a: 1.0, b, a_first: pair.is_multiple_of(2) })
            };
            family.push((0..pairs).map(two).collect());
            let judged = judge(&family, Levels::default());
            assert_eq!(judged[0].pairs_needed, if found.is_none() { Some(9) } else { None });
            assert_eq!(judged[0].verdict, found.unwrap_or(Verdict::Inconclusive));
        }
    }

    #[test]
    fn a_metric_with_too_few_pairs_is_no_part_of_the_family() {
        let mut noise = Noise::new(Kind::White, 9);
        let mut family = noise.comparison(10, &[0.1, 0.0]);
        let before = judge(&family[..1], Levels::default());
        for pair in &mut family[1][..3] {
            *pair = None;
        }
        let judged = judge(&family, Levels::default());
        assert_eq!(judged[0], before[0]);
        assert_eq!((judged[1].pairs, judged[1].pairs_needed), (7, Some(8)));
        assert!(estimate(&judged[1]).p_adjusted >= estimate(&judged[1]).p);
    }

    #[test]
    fn nonsense_is_refused() {
        let pair = Some(Pair { a: 1.0, b: 1.0, a_first: true });
        let metric = |pairs, wanted, limit| Metric { pairs, wanted, limit };
        let refused =
            |metrics: &[Metric<'_>], levels: Levels| compare(metrics, &levels).expect_err("nonsense");
        let (two, three, many) = (vec![pair; 2], vec![pair; 3], vec![pair; 65]);
        let uneven = [metric(&two[..], Wanted::Low, None), metric(&three[..], Wanted::Low, None)];
        assert_eq!(refused(&uneven, Levels::default()), Refusal::PairsDiffer { expected: 2, found: 3 });
        let too_many = refused(&[metric(&many[..], Wanted::Low, None)], Levels::default());
        assert_eq!(too_many.to_string(), "65 pairs of slices are more than the 64 that can be compared");
        for alpha in [0.0, 1.0, -0.1, 1e-6, f64::NAN] {
            let levels = Levels { familywise_alpha: alpha, ..Levels::default() };
            assert!(matches!(refused(&uneven[..1], levels), Refusal::Level { .. }), "{alpha}");
        }
        for (wanted, limit) in
            [(Wanted::Low, 0.0), (Wanted::Low, f64::NAN), (Wanted::High, 1.0), (Wanted::High, -0.1)]
        {
            let metrics = [metric(&two[..], Wanted::Low, None), metric(&two[..], wanted, Some(limit))];
            assert!(
                matches!(refused(&metrics, Levels::default()), Refusal::Limit { metric: 1, .. }),
                "{limit}"
            );
        }
    }

    /// The table at [`Verdict`], row by row, at a limit of 0.1.
    #[test]
    fn verdicts_are_those_of_the_table() {
        use Verdict::{Better, Inconclusive, Same, Worse};
        for (interval, without, with, kept) in [
            (Some((0.11, 0.3)), Worse, Worse, Some(false)),
            (Some((0.02, 0.3)), Worse, Inconclusive, None),
            (Some((0.02, 0.1)), Worse, Same, Some(true)),
            (Some((-0.05, 0.05)), Inconclusive, Same, Some(true)),
            (Some((-0.05, 0.15)), Inconclusive, Inconclusive, None),
            (Some((-0.2, 0.15)), Inconclusive, Inconclusive, None),
            (Some((-0.2, 0.05)), Inconclusive, Inconclusive, Some(true)),
            (Some((-0.08, -0.02)), Better, Same, Some(true)),
            (Some((-0.15, -0.02)), Better, Better, Some(true)),
            (Some((-0.5, -0.2)), Better, Better, Some(true)),
            (None, Inconclusive, Inconclusive, None),
        ] {
            assert_eq!(verdict(interval, None), without, "{interval:?}");
            assert_eq!(verdict(interval, Some(0.1)), with, "{interval:?}");
            assert_eq!(limit_kept(interval, Some(0.1)), kept, "{interval:?}");
            assert_eq!(limit_kept(interval, None), None);
        }
    }

    #[test]
    fn more_of_what_is_wanted_high_is_better() {
        let mut noise = Noise::new(Kind::White, 11);
        let family = noise.comparison(12, &[-0.4, 0.0]);
        let throughput = Metric { pairs: &family[0], wanted: Wanted::High, limit: Some(0.1) };
        let latency = Metric { wanted: Wanted::Low, ..throughput };
        let judged = compare(&[throughput, latency], &Levels::default()).expect("sense");
        assert_eq!((judged[0].verdict, judged[0].limit_kept), (Verdict::Worse, Some(false)));
        assert_eq!((judged[1].verdict, judged[1].limit_kept), (Verdict::Better, Some(true)));
        // A tenth less is accepted, 1 ÷ 0.9 times as much still the same.
        let same = |ratio: f64| {
            let pairs = vec![Some(Pair { a: 1.0, b: ratio, a_first: true }); 8];
            let metric = Metric { pairs: &pairs, wanted: Wanted::High, limit: Some(0.1) };
            compare(&[metric], &Levels::default()).expect("sense")[0].verdict
        };
        assert_eq!(
            [0.89, 0.91, 1.1, 1.12].map(same),
            [Verdict::Worse, Verdict::Same, Verdict::Same, Verdict::Better]
        );
    }

    /// Many pairs are judged by drawn flips: the same seed says the same, another nearly so.
    #[test]
    fn drawn_flips_are_reproducible_and_nearly_exact() {
        let mut noise = Noise::new(Kind::White, 12);
        let family = noise.comparison(30, &[0.05, 0.0]);
        let seeded = |seed| judge(&family, Levels { seed, ..Levels::default() });
        assert_eq!(seeded(3), seeded(3));
        let ends = |judged: &[Judged]| estimate(&judged[0]).simultaneous.expect("pairs enough");
        let (one, other) = (ends(&seeded(3)), ends(&seeded(4)));
        let width = one.high - one.low;
        assert!((one.low - other.low).abs() < 0.05 * width && one != other, "{one:?}, {other:?}");
        assert_eq!(seeded(3)[0].verdict, Verdict::Worse);
        // The last bit of the widest mask.
        let widest = noise.comparison(64, &[0.05, 0.0]);
        assert_eq!(judge(&widest, Levels::default())[0].verdict, Verdict::Worse);
    }
}

mod recorded {
    use super::*;

    /// Comparisons that are made of the recorded slices.
    const COMPARISONS: usize = 250;
    const PAIRS: usize = 8;

    fn metrics() -> Vec<Vec<f64>> {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/statistics/slices.json"));
        let recorded: Value = serde_json::from_str(text).expect("JSON");
        let metrics = recorded["metrics"].as_object().expect("metrics by their names");
        metrics
            .values()
            .map(|values| values.as_array().expect("a list").iter().map(number).collect())
            .collect()
    }

    fn number(value: &Value) -> f64 {
        value.as_f64().expect("a number")
    }

    /// Slices of a real server under the same load, one after the other: whichever of two neighbours is called A, they do not
    /// differ. At most one comparison in a hundred may say so, and two standard errors of such a count.
    #[test]
    fn equal_slices_are_seldom_called_different() {
        let metrics = metrics();
        let slices = metrics[0].len();
        assert!(slices >= 2 * PAIRS && metrics.len() > 20, "{slices} slices of {} metrics", metrics.len());
        let mut random = Random(1);
        let mut alarms = 0;
        for comparison in 0..COMPARISONS {
            let start = comparison * 7 % (slices - 2 * PAIRS + 1);
            let coins: Vec<bool> = (0..PAIRS).map(|_| random.next() & 1 == 1).collect();
            let family: Vec<Vec<Option<Pair>>> = metrics
                .iter()
                .map(|values| {
                    let twos = values[start..start + 2 * PAIRS].chunks(2).zip(&coins);
                    let pair = |(two, a_first): (&[f64], &bool)| {
                        let (a, b) = if *a_first { (two[0], two[1]) } else { (two[1], two[0]) };
                        Some(Pair { a, b, a_first: *a_first })
                    };
                    twos.map(pair).collect()
                })
                .collect();
            let judged = judge(&family, Levels::default());
            alarms += usize::from(judged.iter().any(|judged| judged.verdict != Verdict::Inconclusive));
        }
        let expected = 0.01 * COMPARISONS as f64;
        let at_most = expected + 2.0 * (0.99 * expected).sqrt();
        assert!(alarms as f64 <= at_most, "{alarms} of {COMPARISONS}, at most {at_most}");
    }
}

mod simulated {
    use super::*;

    const KINDS: [Kind; 5] = [Kind::White, Kind::Drift, Kind::Autocorrelated, Kind::Regimes, Kind::Heavy];
    /// An error rate of 1 % and two standard errors of a share of so many series.
    const ALARMS_MAX: f64 = 0.01 + 2.0 * 0.005;

    /// The share of made comparisons for which `is` holds.
    fn share(mut noise: impl FnMut(u64) -> Noise, is: impl Fn(&mut Noise) -> bool) -> f64 {
        (0..SERIES).filter(|seed| is(&mut noise(*seed))).count() as f64 / SERIES as f64
    }

    /// Whether a comparison of equal arms calls any metric different.
    fn alarms(noise: &mut Noise, pairs: usize) -> bool {
        let judged = judge(&noise.comparison(pairs, &[0.0; METRICS]), Levels::default());
        judged.iter().any(|judged| judged.verdict != Verdict::Inconclusive)
    }

    /// 6,000 series of each kind gave 0.8, 0.6, 1.1, 0.2 and 0.7 %.
    #[test]
    fn equal_arms_are_seldom_called_different() {
        for kind in KINDS {
            let alarms = share(|seed| Noise::new(kind, seed), |noise| alarms(noise, 8));
            assert!(alarms <= ALARMS_MAX, "{kind:?}: {alarms}");
        }
    }

    /// With more pairs the strict turns of A B, B A are not quite safe: 6,000 autocorrelated series gave 1.4
    /// % at ten pairs, and 1.8 % where a slice keeps 0.4 of the one before. Where a coin decides which arm is
    /// first, these gave 1.0 %, and the other kinds 0.4 to 1.2 %, of which the standard error is 0.13 %.
    #[test]
    fn nor_are_they_where_a_coin_decides_the_order() {
        for kind in KINDS {
            let tossed = |seed| Noise { tossed: true, ..Noise::new(kind, seed) };
            let alarms = share(tossed, |noise| alarms(noise, 10));
            assert!(alarms <= ALARMS_MAX, "{kind:?}: {alarms}");
        }
    }

    /// A comparison that stops at the first look that finds something has the error rate of all looks
    /// together.
    #[test]
    fn looking_early_does_not_raise_the_error_rate() {
        let looks = looks(14, 0.01);
        let found_at = |noise: &mut Noise, effects: &[f64]| {
            let family = noise.comparison(14, effects);
            looks.iter().find_map(|look| {
                let so_far: Vec<Vec<Option<Pair>>> =
                    family.iter().map(|metric| metric[..look.pairs].to_vec()).collect();
                let judged = judge(&so_far, Levels { familywise_alpha: look.alpha, ..Levels::default() });
                judged.iter().any(|judged| judged.verdict != Verdict::Inconclusive).then_some(look.pairs)
            })
        };
        // 0.6 % of 3,000.
        let white = |seed| Noise::new(Kind::White, seed);
        let alarms = share(white, |noise| found_at(noise, &[0.0; 3]).is_some());
        assert!(alarms <= ALARMS_MAX, "{alarms}");
        // Half as much again is found at the first look.
        let early = share(white, |noise| found_at(noise, &[0.4, 0.0, 0.0]) == Some(10));
        assert!(early >= 0.9, "{early}");
    }

    #[test]
    fn the_interval_of_one_metric_covers_the_truth() {
        let covers = |noise: &mut Noise| {
            let judged = judge(&noise.comparison(8, &[0.1]), Levels::default());
            let interval = estimate(&judged[0]).interval.expect("pairs enough");
            (interval.low..=interval.high).contains(&0.1_f64.exp())
        };
        // Six of 128 flips reject: 95.3 %.
        let covered = share(|seed| Noise::new(Kind::White, seed), covers);
        assert!(covered >= 0.93, "{covered}");
    }

    /// One metric of eight, with the error rate of all: of 1,000 series, 75 % at eight pairs and 99 % at ten.
    #[test]
    fn a_fifth_slower_is_found_in_noise_of_a_twentieth() {
        for (pairs, least) in [(8, 0.65), (10, 0.97)] {
            let mut effects = [0.0; METRICS];
            effects[3] = 1.2_f64.ln();
            let found = share(
                |seed| Noise::new(Kind::White, seed),
                |noise| {
                    let judged = judge(&noise.comparison(pairs, &effects), Levels::default());
                    judged[3].verdict == Verdict::Worse
                },
            );
            assert!(found >= least, "{pairs}: {found}");
        }
    }

    /// A change of the size that is called the smallest visible one, on average over series, is found in four
    /// of five others: in 78 to 82 % of 1,000.
    #[test]
    fn the_smallest_visible_change_is_visible() {
        for pairs in [8, 10] {
            let effects = |effect| [effect, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            let of = |seed: u64, effect: f64| {
                let family = Noise::new(Kind::White, seed).comparison(pairs, &effects(effect));
                judge(&family, Levels::default()).remove(0)
            };
            let visible = |seed| estimate(&of(seed, 0.0)).visible.expect("pairs enough").ln();
            let visible = (0..SERIES).map(visible).sum::<f64>() / SERIES as f64;
            let found =
                (SERIES..2 * SERIES).filter(|seed| of(*seed, visible).verdict == Verdict::Worse).count();
            let found = found as f64 / SERIES as f64;
            assert!((0.73..=0.87).contains(&found), "{pairs}: {visible}, {found}");
        }
    }
}

/// What a made series of slices is like beside its level, as logarithms.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Normal and independent.
    White,
    /// The same about a line that rises by 2 % from slice to slice.
    Drift,
    /// Normal, and each slice keeps 0.7 of the one before.
    Autocorrelated,
    /// Two levels, 2,700 and 5,300, by turns of one to six slices.
    Regimes,
    /// Student's t of two degrees of freedom, whose variance is infinite.
    Heavy,
}

/// Makes comparisons of one kind.
struct Noise {
    kind: Kind,
    random: Random,
    /// Whether a coin decides for each pair which arm comes first, in place of strict turns.
    tossed: bool,
}

impl Noise {
    fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, random: Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)), tossed: false }
    }

    /// Metrics by the logarithm of the true ratio of each. Half of the variance of each is common to all.
    fn comparison(&mut self, pairs: usize, effects: &[f64]) -> Vec<Vec<Option<Pair>>> {
        let a_first: Vec<bool> =
            (0..pairs).map(|index| if self.tossed { self.uniform() < 0.5 } else { index % 2 == 0 }).collect();
        let common = self.course(2 * pairs);
        let metric = |effect: &f64| {
            let own = self.course(2 * pairs);
            let value = |slice: usize| 1000.0 * ((common[slice] + own[slice]) / 2.0_f64.sqrt()).exp();
            let pair = |index: usize| {
                let (first, second) = (value(2 * index), value(2 * index + 1));
                let a_first = a_first[index];
                let (a, b) = if a_first { (first, second) } else { (second, first) };
                Some(Pair { a, b: b * effect.exp(), a_first })
            };
            (0..pairs).map(pair).collect()
        };
        effects.iter().map(metric).collect()
    }

    /// So many slices with noise of about 5 %.
    fn course(&mut self, slices: usize) -> Vec<f64> {
        const SCATTER: f64 = 0.05;
        const KEPT: f64 = 0.7;
        let mut last = self.normal();
        let mut level = self.uniform() < 0.5;
        let mut turn = 0.0;
        let mut at = |slice: usize| match self.kind {
            Kind::White => SCATTER * self.normal(),
            Kind::Drift => SCATTER * self.normal() + 0.02 * slice as f64,
            Kind::Autocorrelated => {
                last = KEPT * last + (1.0 - KEPT * KEPT).sqrt() * self.normal();
                SCATTER * last
            }
            Kind::Regimes => {
                if turn < 1.0 {
                    level = !level;
                    turn = 1.0 + 6.0 * self.uniform();
                }
                turn -= 1.0;
                SCATTER * self.normal() + if level { (5300.0_f64 / 2700.0).ln() } else { 0.0 }
            }
            // The square of a normal pair is twice an exponential draw, which is what t has below the root.
            Kind::Heavy => SCATTER * self.normal() / (-self.uniform().ln()).sqrt(),
        };
        (0..slices).map(&mut at).collect()
    }

    /// Between 0 and 1, neither included.
    fn uniform(&mut self) -> f64 {
        ((self.random.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Standard normal (Box and Muller 1958, Annals of Mathematical Statistics 29).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Judges metrics of which less is better, without a limit.
fn judge(family: &[Vec<Option<Pair>>], levels: Levels) -> Vec<Judged> {
    let metrics: Vec<Metric<'_>> =
        family.iter().map(|pairs| Metric { pairs, wanted: Wanted::Low, limit: None }).collect();
    compare(&metrics, &levels).expect("the question makes sense")
}

fn one(pairs: &[Option<Pair>], levels: Levels) -> Judged {
    judge(&[pairs.to_vec()], levels).remove(0)
}

fn estimate(judged: &Judged) -> &Estimate {
    judged.estimate.as_ref().expect("pairs enough")
}
