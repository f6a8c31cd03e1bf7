//! From the physical correlation that PostgreSQL would measure to the share of rows that must stand in order.
//!
//! `ANALYZE` ranks the values, equal ones in their physical order, and correlates ranks with places. So equal values count as
//! in order whatever the rows do: a column of one value has a correlation of 1, and the fewer values there are, the more
//! order is measured that nobody made. Here that is computed and taken off.

use super::spec::Refusal;

/// Points at which the values are compared with their neighbours: groups of equal values below a 4096th of the rows change
/// no correlation that anybody could measure.
const POINTS: u32 = 4096;

/// A tie-born correlation below this is passed over.
const NEGLIGIBLE: f64 = 0.01;

/// A stretch of the ranks, from 0 to 1: many different values, or one.
struct Stretch {
    from: f64,
    to: f64,
    is_one_value: bool,
}

/// The share of rows, from −1 to 1, that must stand in order (backwards below zero) so that `correlation` is measured.
/// `value_at` appends the value below which that share of the values lies.
pub(super) fn ordered_share(
    correlation: f64,
    mut value_at: impl FnMut(f64, &mut Vec<u8>),
) -> Result<f64, Refusal> {
    if !(-1.0..=1.0).contains(&correlation) {
        return Err(Refusal::new(format!("`correlation` is {correlation}"), "lies between -1 and 1"));
    }
    let stretches = stretches(&mut value_at);
    let none = measured(0.0, &stretches);
    if none < NEGLIGIBLE {
        return Ok(correlation);
    }
    let (mut low, mut high) = (-1.0, 1.0);
    let least = measured(low, &stretches);
    if correlation < least - 0.005 {
        return Err(Refusal::new(
            format!("`correlation` is {correlation}, and at least {least:.2} is measured"),
            "equal values count as in order, and this column has few values",
        )
        .help(format!("leave it out for rows in no order ({none:.2} is measured then)")));
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if measured(middle, &stretches) < correlation {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(high)
}

fn stretches(value_at: &mut dyn FnMut(f64, &mut Vec<u8>)) -> Vec<Stretch> {
    let (mut last, mut next) = (vec![], vec![]);
    let mut stretches: Vec<Stretch> = vec![];
    let mut start = 0;
    let mut close = |start: u32, end: u32| {
        let (from, to) = (f64::from(start) / f64::from(POINTS), f64::from(end) / f64::from(POINTS));
        match stretches.last_mut() {
            Some(open) if end - start == 1 && !open.is_one_value => open.to = to,
            _ => stretches.push(Stretch { from, to, is_one_value: end - start > 1 }),
        }
    };
    for point in 0..POINTS {
        next.clear();
        value_at((f64::from(point) + 0.5) / f64::from(POINTS), &mut next);
        if point > 0 && next != last {
            close(start, point);
            start = point;
        }
        std::mem::swap(&mut last, &mut next);
    }
    close(start, POINTS);
    stretches
}

/// What is measured when a share of the rows stands where the order of the values puts it and the others anywhere: with place
/// X and rank Y both even between 0 and 1, 12 E\[XY\] − 3.
fn measured(share: f64, stretches: &[Stretch]) -> f64 {
    let strict = share.abs();
    let loose = 1.0 - strict;
    let of = |stretch: &Stretch| {
        let (from, to) = (stretch.from, stretch.to);
        if !stretch.is_one_value {
            let (squares, cubes) = ((to * to - from * from) / 2.0, (to * to * to - from * from * from) / 3.0);
            let in_order = if share < 0.0 { squares - cubes } else { cubes };
            return strict * in_order + loose / 2.0 * squares;
        }
        // The ranks of equal values follow their places: Y = from + width × F(X), F the distribution of their places, and
        // E[X F(X)] = (1 − ∫F²) ÷ 2.
        let width = to - from;
        let (first, last) = if share < 0.0 { (1.0 - to, 1.0 - from) } else { (from, to) };
        let mean_place = strict * f64::midpoint(first, last) + loose / 2.0;
        let cross = width * width / 3.0 + first * width / 2.0 + (1.0 - last * last) / 2.0;
        let square =
            strict * strict * (width / 3.0 + 1.0 - last) + 2.0 * strict * loose * cross + loose * loose / 3.0;
        width * (from * mean_place + width * (1.0 - square) / 2.0)
    };
    12.0 * stretches.iter().map(of).sum::<f64>() - 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(values: u32) -> impl FnMut(f64, &mut Vec<u8>) {
        move |quantile, out| {
            // Below `values`.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            out.push((quantile * f64::from(values)) as u8);
        }
    }

    #[test]
    fn many_values_need_just_that_share() {
        let share = ordered_share(0.7, |quantile, out| out.extend_from_slice(&quantile.to_be_bytes()));
        assert_eq!(share, Ok(0.7));
    }

    /// With n equally frequent values a column in no order has a correlation of 1 ÷ n.
    #[test]
    fn few_values_are_in_order_by_themselves() {
        for values in [1, 2, 4, 10] {
            let stretches = stretches(&mut categories(values));
            let expected = 1.0 / f64::from(values);
            assert!((measured(0.0, &stretches) - expected).abs() < 0.01, "{values}");
            assert!((measured(1.0, &stretches) - 1.0).abs() < 1e-9);
        }
        let share = ordered_share(0.5, categories(2)).expect("is that already");
        assert!(share.abs() < 0.01, "{share}");
        assert!(ordered_share(0.5, categories(10)).is_ok_and(|share| share < 0.5));
    }

    #[test]
    fn what_no_order_can_reach_is_refused() {
        let refusal = ordered_share(-0.9, categories(2)).expect_err("too few values");
        assert!(refusal.message.contains("at least -0.5"), "{}", refusal.message);
        assert!(ordered_share(1.5, categories(2)).is_err());
    }
}
