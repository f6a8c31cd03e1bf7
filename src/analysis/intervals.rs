//! The course of a stage, second by second, within a bound: a run of weeks takes no more memory than one of a day.

use crate::model::IntervalInfo;
use crate::record::entry::Interval;
use crate::record::histogram::Distribution;
use crate::record::set::Set;
use crate::units::{Span, Stamp};

/// Intervals of one stage that are kept one by one; beyond them two are joined to one. A little more than a day of seconds, and
/// about 12 MB.
const KEPT_MAX: usize = 100_000;

/// The intervals of one stage, the oldest first.
#[derive(Debug)]
pub(super) struct Intervals {
    kept: Vec<IntervalInfo>,
    kept_max: usize,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { kept: Vec::new(), kept_max: KEPT_MAX }
    }
}

impl Intervals {
    /// Adds the next one of a stage that began at `begun_at`.
    pub(super) fn add(&mut self, interval: &Interval, begun_at: Stamp) {
        self.push(info(interval, begun_at));
    }

    /// All that are kept.
    pub(super) fn all(&self) -> &[IntervalInfo] {
        &self.kept
    }

    /// Where the window of a stage that began at `begun_at` ends, as far as it was measured: behind the last interval that is not
    /// in the drain.
    pub(super) fn window(&self, begun_at: Stamp) -> Span {
        let last = self.kept.iter().rev().find(|interval| !interval.drain);
        let length_s = last.map_or(0.0, |interval| interval.t_s.max(0.0));
        Span { from: begun_at, to: begun_at + std::time::Duration::from_secs_f64(length_s) }
    }

    fn push(&mut self, interval: IntervalInfo) {
        self.kept.push(interval);
        if self.kept.len() > self.kept_max {
            join_pairs(&mut self.kept);
        }
    }
}

fn info(interval: &Interval, begun_at: Stamp) -> IntervalInfo {
    let length_s = interval.span.duration().as_secs_f64();
    let books = interval.set.books();
    let response = super::responses(&interval.set);
    let (pool_wait_mean_us, pool_wait_max_us) = pool_waits(&interval.set);
    let levels = &interval.set.pool.levels;
    // `observed` is summed over instances, so that this is the mean over all of them together.
    let mean = |integral: u64| integral as f64 / 1e9 / length_s.max(1e-9);
    IntervalInfo {
        t_s: (interval.span.to - begun_at).as_secs_f64(),
        length_s,
        per_s: if length_s > 0.0 { books.ok as f64 / length_s } else { 0.0 },
        mean_us: response.mean,
        p50_us: response.p50,
        p99_us: response.p99,
        max_us: response.max,
        errors: books.closed() - books.ok,
        busy: mean(levels.busy_ns),
        waiting: mean(levels.waiting_ns),
        pool_wait_mean_us,
        pool_wait_max_us,
        in_flight: interval.in_flight,
        drain: interval.drain,
    }
}

/// Mean and longest wait for a connection, in microseconds.
fn pool_waits(set: &Set) -> (Option<f64>, Option<u64>) {
    let waits = || set.transactions.iter().map(|of| &of.pool_wait).filter(|waits| !waits.is_empty());
    let count: u64 = waits().map(Distribution::count).sum();
    let sum_ns: u64 = waits().map(Distribution::sum_ns).sum();
    let mean_us = (count > 0).then(|| sum_ns as f64 / 1e3 / count as f64);
    (mean_us, waits().map(|waits| waits.histogram().max()).max())
}

/// Halves the number of intervals. The window and the drain are not mixed.
fn join_pairs(intervals: &mut Vec<IntervalInfo>) {
    let mut joined: Vec<IntervalInfo> = Vec::with_capacity(intervals.len() / 2 + 2);
    let mut open: Option<IntervalInfo> = None;
    for interval in intervals.drain(..) {
        match open.take() {
            Some(first) if first.drain == interval.drain => joined.push(join(&first, &interval)),
            Some(first) => {
                joined.push(first);
                open = Some(interval);
            }
            None => open = Some(interval),
        }
    }
    joined.extend(open);
    *intervals = joined;
}

/// Counts and rates are those of the two together; of quantiles the slower one stands, since that of both is not to be had.
fn join(first: &IntervalInfo, second: &IntervalInfo) -> IntervalInfo {
    let length_s = first.length_s + second.length_s;
    let mean = |a: f64, b: f64| {
        if length_s > 0.0 { (a * first.length_s + b * second.length_s) / length_s } else { 0.0 }
    };
    let (ok_first, ok_second) = (first.per_s * first.length_s, second.per_s * second.length_s);
    let mean_of = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) if ok_first + ok_second > 0.0 => {
            Some((a * ok_first + b * ok_second) / (ok_first + ok_second))
        }
        (a, b) => a.or(b),
    };
    IntervalInfo {
        t_s: second.t_s,
        length_s,
        per_s: mean(first.per_s, second.per_s),
        mean_us: mean_of(first.mean_us, second.mean_us),
        p50_us: first.p50_us.max(second.p50_us),
        p99_us: first.p99_us.max(second.p99_us),
        max_us: first.max_us.max(second.max_us),
        errors: first.errors + second.errors,
        busy: mean(first.busy, second.busy),
        waiting: mean(first.waiting, second.waiting),
        // Nearly as many got a connection as ended ok.
        pool_wait_mean_us: mean_of(first.pool_wait_mean_us, second.pool_wait_mean_us),
        pool_wait_max_us: first.pool_wait_max_us.max(second.pool_wait_max_us),
        in_flight: second.in_flight,
        drain: first.drain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u32, drain: bool) -> IntervalInfo {
        IntervalInfo {
            t_s: f64::from(number + 1),
            length_s: 1.0,
            per_s: f64::from(number % 7),
            mean_us: (!number.is_multiple_of(7)).then(|| f64::from(number % 11)),
            p50_us: (!number.is_multiple_of(7)).then(|| u64::from(number % 11)),
            p99_us: None,
            max_us: Some(u64::from(number)),
            errors: u64::from(number % 3),
            busy: 2.0,
            waiting: 0.5,
            pool_wait_mean_us: Some(50.0),
            pool_wait_max_us: Some(u64::from(number % 5)),
            in_flight: u64::from(number),
            drain,
        }
    }

    #[test]
    fn a_day_of_seconds_is_kept_one_by_one() {
        assert_eq!(Intervals::default().kept_max, 100_000);
    }

    /// What is counted stays the same however often pairs are joined, and the time has no gap.
    #[test]
    fn a_long_stage_keeps_its_sums_within_the_bound() {
        let mut intervals = Intervals { kept_max: 100, ..Intervals::default() };
        let (mut ok, mut errors, mut time) = (0.0, 0, 0.0);
        for number in 0..12_345 {
            let one = second(number, number >= 12_000);
            ok += one.per_s;
            errors += one.errors;
            time += one.per_s * one.mean_us.unwrap_or(0.0);
            intervals.push(one);
            assert!(intervals.all().len() <= 100, "{}", intervals.all().len());
        }
        let kept = intervals.all();
        assert!(kept.len() > 40, "{}", kept.len());
        let sum = |value: &dyn Fn(&IntervalInfo) -> f64| kept.iter().map(value).sum::<f64>();
        assert!((sum(&|one| one.length_s) - 12_345.0).abs() < 1e-6);
        assert!((sum(&|one| one.per_s * one.length_s) - ok).abs() < 1e-6);
        assert_eq!(kept.iter().map(|one| one.errors).sum::<u64>(), errors);
        let total = sum(&|one| one.per_s * one.length_s * one.mean_us.unwrap_or(0.0));
        assert!((total - time).abs() < 1e-6 * time, "{total} {time}");
        assert_eq!(kept.iter().filter_map(|one| one.max_us).max(), Some(12_344));
        assert_eq!(kept.iter().filter_map(|one| one.pool_wait_max_us).max(), Some(4));
        assert!(kept.iter().all(|one| one.pool_wait_mean_us.is_some_and(|mean| (mean - 50.0).abs() < 1e-9)));
        let mut ended = 0.0;
        for one in kept {
            assert!((one.t_s - one.length_s - ended).abs() < 1e-6, "a gap before {}", one.t_s);
            ended = one.t_s;
        }
        assert_eq!(kept.last().map(|one| one.in_flight), Some(12_344));
        // The window ends where its last second did, whatever was joined.
        let window = intervals.window(Stamp(5));
        assert_eq!(window.duration(), std::time::Duration::from_secs(12_000));
    }
}
