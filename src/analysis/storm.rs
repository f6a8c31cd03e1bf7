//! From the parts of a storm that workers told of to what happened.

use crate::model::{IntervalInfo, StormInfo};
use crate::record::storm::StormPart;
use crate::units::Stamp;

/// What became of the connections of a stage that were closed at once.
pub(super) fn storm(part: &StormPart, begun_at: Stamp, intervals: &[IntervalInfo]) -> StormInfo {
    let t_s = (part.at - begun_at).as_secs_f64();
    let after_s = part.last_returned_at.map(|at| (at - part.at).as_secs_f64());
    // What fails is counted by the second.
    let until_s = t_s + after_s.unwrap_or(0.0);
    let touched = |interval: &&IntervalInfo| {
        interval.t_s > t_s && interval.t_s - interval.length_s <= until_s && !interval.drain
    };
    StormInfo {
        t_s,
        connections: part.connections,
        in_use: part.in_use,
        returned: part.returned,
        returned_after_s: after_s,
        creates_per_s: after_s.filter(|after| *after > 0.0).map(|after| part.returned as f64 / after),
        acquire_us_max: part.acquire_ns_max / 1000,
        create_errors: part.create_errors,
        not_ok: intervals.iter().filter(touched).map(|interval| interval.errors).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_that_of_the_seconds_until_all_were_back() {
        let second = |t_s, errors| IntervalInfo { t_s, length_s: 1.0, errors, ..IntervalInfo::default() };
        let intervals: Vec<IntervalInfo> =
            [(1.0, 1), (2.0, 2), (3.0, 30), (4.0, 40), (5.0, 500)].map(|(t, e)| second(t, e)).into();
        let part = StormPart {
            at: Stamp(12_500_000_000),
            connections: 8,
            in_use: 5,
            returned: 8,
            last_returned_at: Some(Stamp(13_500_000_000)),
            acquire_ns_max: 900_000_000,
            create_errors: 2,
        };
        let info = storm(&part, Stamp(10_000_000_000), &intervals);
        assert_eq!((info.not_ok, info.acquire_us_max), (70, 900_000));
        assert_eq!((info.t_s, info.returned_after_s, info.creates_per_s), (2.5, Some(1.0), Some(8.0)));
    }
}
