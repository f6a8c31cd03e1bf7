//! Known series: noise alone, steps of a known size and place, outliers, ties, drift.

use super::*;

impl Random {
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, of mean 0 and standard deviation 1: a sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Student's t with two degrees of freedom: a scatter without a variance.
    fn heavy(&mut self) -> f64 {
        let uniform = self.uniform().clamp(1e-9, 1.0 - 1e-9);
        (2.0 * uniform - 1.0) / (2.0 * uniform * (1.0 - uniform)).sqrt()
    }
}

fn found(values: &[f64]) -> Vec<ChangePoint> {
    change_points(values, &Levels::default()).expect("a series")
}

fn places(values: &[f64]) -> Vec<usize> {
    found(values).into_iter().map(|change| change.index).collect()
}

/// Values around levels, each for so many runs, in a scatter of a fraction.
fn series(levels: &[(f64, usize)], scatter: f64, random: &mut Random) -> Vec<f64> {
    let values = levels.iter().flat_map(|(level, runs)| std::iter::repeat_n(*level, *runs));
    values.map(|level| level * (scatter * random.normal()).exp()).collect()
}

#[test]
fn noise_alone_is_seldom_a_change() {
    // One in a hundred series, and three standard errors of such a count.
    let at_most = |series: f64| 0.01 * series + 3.0 * (0.01 * 0.99 * series).sqrt();
    let mut random = Random(7);
    let normal = (0..300).filter(|_| !found(&series(&[(5.0, 40)], 0.05, &mut random)).is_empty()).count();
    assert!(normal as f64 <= at_most(300.0), "{normal} of 300");
    let heavy = (0..200).filter(|_| {
        let values: Vec<f64> = (0..30).map(|_| (0.05 * random.heavy()).exp()).collect();
        !found(&values).is_empty()
    });
    let heavy = heavy.count();
    assert!(heavy as f64 <= at_most(200.0), "{heavy} of 200");
}

#[test]
fn a_step_is_found_where_it_is() {
    let mut random = Random(11);
    let (mut seen, mut exact) = (0, 0);
    for _ in 0..100 {
        // A tenth slower in a scatter of three per cent, from the thirteenth of twenty runs on.
        let values = series(&[(100.0, 12), (110.0, 8)], 0.03, &mut random);
        if let [change] = found(&values).as_slice() {
            seen += 1;
            exact += usize::from(change.index.abs_diff(12) <= 1);
            assert!(change.p <= 0.01 && change.before < change.after, "{change:?}");
        }
    }
    // Two medians of twelve and eight lie five standard errors apart.
    assert!(seen >= 80 && exact * 10 >= seen * 8, "{seen} seen, {exact} of them within one run");
    let clear = series(&[(100.0, 30), (150.0, 20)], 0.02, &mut random);
    let [change] = found(&clear).try_into().expect("one change");
    assert_eq!(change.index, 30);
    assert!((change.after / change.before - 1.5).abs() < 0.03, "{change:?}");
}

#[test]
fn steps_and_steps_back_are_all_found() {
    let mut random = Random(3);
    let up_and_up = series(&[(10.0, 20), (12.0, 15), (15.0, 20)], 0.02, &mut random);
    assert_eq!(places(&up_and_up), [20, 35]);
    let there_and_back = series(&[(10.0, 40), (13.0, 6), (10.0, 40)], 0.02, &mut random);
    assert_eq!(places(&there_and_back), [40, 46]);
    let changes = found(&there_and_back);
    assert!(changes[0].after > 12.0 && changes[1].after < 11.0, "{changes:?}");
}

#[test]
fn an_outlier_is_no_change_and_hides_none() {
    let mut random = Random(5);
    let mut values = series(&[(10.0, 40)], 0.02, &mut random);
    values[17] = 80.0;
    assert!(places(&values).is_empty());
    let mut values = series(&[(10.0, 20), (12.0, 20)], 0.02, &mut random);
    (values[7], values[30]) = (90.0, 2.0);
    assert_eq!(places(&values), [20]);
}

#[test]
fn ties_and_constant_series_are_no_noise() {
    assert!(places(&[4.0; 50]).is_empty());
    assert!(places(&[]).is_empty());
    // Most runs without any failure, some with one.
    let rare: Vec<f64> = (0..60).map(|run| f64::from(u8::from(run % 7 == 3))).collect();
    assert!(places(&rare).is_empty());
    let step: Vec<f64> = [vec![0.0; 20], vec![1.0; 20]].concat();
    assert_eq!(places(&step), [20]);
}

#[test]
fn few_values_tell_nothing() {
    let needed = values_needed(&Levels::default());
    assert_eq!(needed, 10, "two in 252 orders are less than one in a hundred");
    let step = |values: usize| -> Vec<f64> {
        (0..values).map(|index| if index < values / 2 { 1.0 } else { 9.0 }).collect()
    };
    assert!(places(&step(needed - 1)).is_empty());
    assert_eq!(places(&step(needed + 2)), [6]);
}

#[test]
fn a_drift_is_told_as_steps_up() {
    let mut random = Random(9);
    let values: Vec<f64> =
        (0..100).map(|run| (1.0 + f64::from(run) / 100.0) * (0.01 * random.normal()).exp()).collect();
    let changes = found(&values);
    assert!(!changes.is_empty());
    assert!(changes.iter().all(|change| change.after > change.before), "{changes:?}");
}

#[test]
fn the_same_series_is_always_told_alike() {
    let mut random = Random(13);
    let values = series(&[(10.0, 30), (10.4, 30)], 0.04, &mut random);
    assert_eq!(found(&values), found(&values));
}

#[test]
fn what_is_no_series_is_refused() {
    let levels = Levels::default();
    let refused = change_points(&[1.0, f64::NAN], &levels).expect_err("no number");
    assert!(matches!(refused, Refusal::Value { index: 1, .. }));
    assert!(matches!(
        change_points(&[1.0, f64::INFINITY], &levels),
        Err(Refusal::Value { index: 1, found }) if found.is_infinite()
    ));
    let level = |alpha| change_points(&[1.0; 20], &Levels { alpha, ..levels });
    assert!(matches!(level(0.0), Err(Refusal::Level { .. })));
    assert!(matches!(level(0.0001), Err(Refusal::Level { .. })));
    assert!(matches!(level(1.0), Err(Refusal::Level { .. })));
    assert!(matches!(change_points(&[1.0; 20], &Levels { least: 0, ..levels }), Err(Refusal::Least)));
}
