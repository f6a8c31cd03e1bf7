//! The load that the system bears: the first stage that it does not, the highest load before that, and how long it takes to come
//! back after a peak.

use std::time::Duration;

use crate::model::budget::evaluate;
use crate::model::metric::{Limit, MetricPath};
use crate::model::{
    BreakReason, BreakingPoint, Endurance, IntervalInfo, Recovery, Stage, StageLoad, Verdict,
};
use crate::record::entry::BudgetHeader;
use crate::units::Course;

use super::changepoint::median;

/// Share of the offered rate that may be missing, or given up, before the system counts as one that does not bear it.
const MISSING_MAX: f64 = 0.02;
/// Fewest points of a stage that show a growth: its beginning and three intervals.
const POINTS_MIN: usize = 4;
/// Standard deviations of chance above which a backlog grows over the whole stage, and over its second half.
const CHANCE_WHOLE: f64 = 2.0;
const CHANCE_HALF: f64 = 1.0;
/// A load this much higher than the next is a peak, and two that differ by less are alike.
const PEAK: f64 = 1.1;
/// The response is as before a peak up to so many times that.
pub(super) const AS_BEFORE: f64 = 1.25;
/// Intervals in a row that must be as before a peak.
const CALM_INTERVALS: usize = 3;

/// What several stages say together; nothing of one alone.
pub(super) fn endurance(stages: &[Stage], budgets: &[BudgetHeader]) -> Option<Endurance> {
    let measured: Vec<&Stage> = stages.iter().filter(|stage| stage.measured).collect();
    if measured.len() < 2 {
        return None;
    }
    let breaks = |stage: &&Stage| breaking_point(stage, budgets);
    let first = measured.iter().position(|stage| breaks(stage).is_some());
    let breaking_point = first.and_then(|index| breaks(&measured[index]));
    // Where nothing can break, nothing is borne either: a closed loop without budgets has no limit.
    let can_tell = |stage: &Stage| stage.offered_per_s.is_some() || !budgets.is_empty();
    let before = &measured[..first.unwrap_or(measured.len())];
    let held = before
        .iter()
        .filter(|stage| can_tell(stage))
        .filter(|stage| first.is_none_or(|first| is_same_kind(stage, measured[first])))
        .max_by(|a, b| level(a).total_cmp(&level(b)))
        .map(|stage| load(stage));
    (breaking_point.is_some() || held.is_some()).then_some(Endurance { breaking_point, held })
}

fn load(stage: &Stage) -> StageLoad {
    StageLoad { stage: stage.name.clone(), offered_per_s: stage.offered_per_s, clients: stage.clients }
}

/// How high its load is: comparable among open loops, and among closed ones.
fn level(stage: &Stage) -> f64 {
    stage.offered_per_s.or(stage.clients.map(f64::from)).unwrap_or(0.0)
}

fn is_same_kind(a: &Stage, b: &Stage) -> bool {
    a.offered_per_s.is_some() == b.offered_per_s.is_some()
}

/// Why the system does not bear a stage, if it does not.
fn breaking_point(stage: &Stage, budgets: &[BudgetHeader]) -> Option<BreakingPoint> {
    let mut reasons: Vec<(BreakReason, String)> = Vec::new();
    reasons.extend(backlog(stage).map(|evidence| (BreakReason::BacklogGrows, evidence)));
    reasons.extend(shed(stage).map(|evidence| (BreakReason::LoadShed, evidence)));
    reasons.extend(broken(stage, budgets).map(|evidence| (BreakReason::BudgetBroken, evidence)));
    let reason = reasons.first()?.0;
    let from_level = (reason == BreakReason::BacklogGrows).then(|| grows_from(stage)).flatten();
    let evidence: Vec<String> = reasons.into_iter().map(|(_, evidence)| evidence).collect();
    Some(BreakingPoint { load: load(stage), from_level, reason, evidence: evidence.join("; ") })
}

/// Whether what was planned and has not ended grows through the stage, and still at its end.
///
/// The bounds: a growth by less than a fiftieth of the rate is no longer told from a system that keeps up. And chance moves a
/// backlog as well: with Poisson arrivals and exponential services a system that is just full is a random walk whose variance is
/// two for each arrival, so that it has come √(2 · rate · time) far. A system that keeps up stays below that, even arrivals
/// move less. The growth must be twice that over the whole stage, and once over its second half: what only fills up at first,
/// since answers take long, then stays level.
pub(super) fn backlog(stage: &Stage) -> Option<String> {
    let offered = stage.offered_per_s?;
    let points = in_flight(stage);
    let half = &points[points.len() / 2..];
    let (whole_slope, half_slope) = (slope(&points)?, slope(half)?);
    let exceeds = |slope: f64, points: &[(f64, f64)], chance: f64| {
        let length_s = points[points.len() - 1].0 - points[0].0;
        slope > MISSING_MAX * offered && slope * length_s > chance * (2.0 * offered * length_s).sqrt()
    };
    let grows = points.len() >= POINTS_MIN
        && stage.achieved_per_s < offered
        && exceeds(whole_slope, &points, CHANCE_WHOLE)
        && exceeds(half_slope, half, CHANCE_HALF);
    let last = points.last().map_or(0.0, |(_, in_flight)| *in_flight);
    grows.then(|| {
        format!(
            "its backlog grew by {whole_slope:.0} transactions each second, to {last:.0} at its end; {:.0}/s of {offered:.0}/s \
             were achieved",
            stage.achieved_per_s
        )
    })
}

/// Where the load changes through the stage: its level when the backlog was last no larger than in the first quarter.
fn grows_from(stage: &Stage) -> Option<f64> {
    let course = stage.load.as_ref()?.course();
    if matches!(course, Course::Constant(_)) {
        return None;
    }
    let points = in_flight(stage);
    let first = &points[..points.len().div_ceil(4)];
    let usual = first.iter().map(|(_, in_flight)| *in_flight).fold(0.0, f64::max);
    let (at_s, _) = points.iter().rfind(|(_, in_flight)| *in_flight <= usual)?;
    Some(course.over(Duration::from_secs_f64(stage.duration_s)).level(Duration::from_secs_f64(*at_s)))
}

/// Planned and not ended, over the seconds of the window.
fn in_flight(stage: &Stage) -> Vec<(f64, f64)> {
    let intervals = stage.intervals.iter().filter(|interval| !interval.drain);
    std::iter::once((0.0, stage.accounting.carried_in as f64))
        .chain(intervals.map(|interval| (interval.t_s, interval.in_flight as f64)))
        .collect()
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let (at, value) = points.iter().fold((0.0, 0.0), |sums, point| (sums.0 + point.0, sums.1 + point.1));
    let (centre, level) = (at / count, value / count);
    let products: f64 = points.iter().map(|(at, value)| (at - centre) * (value - level)).sum();
    let squares: f64 = points.iter().map(|(at, _)| (at - centre).powi(2)).sum();
    (squares > 0.0).then(|| products / squares)
}

/// Whether work was given up that the system had no room for.
pub(super) fn shed(stage: &Stage) -> Option<String> {
    let books = &stage.accounting;
    let timeouts = stage.pool.timeouts;
    let given_up = books.skipped + timeouts;
    (given_up > 0 && given_up as f64 > MISSING_MAX * books.issued as f64).then(|| {
        format!(
            "{given_up} of {} transactions were given up: {} too late to start, {timeouts} without a connection in time",
            books.issued, books.skipped
        )
    })
}

/// The budgets that the stage breaks.
fn broken(stage: &Stage, budgets: &[BudgetHeader]) -> Option<String> {
    let broken: Vec<String> = budgets
        .iter()
        .filter_map(|budget| {
            let metric: MetricPath = budget.metric.parse().ok()?;
            let limit = Limit::parse(&budget.limit, &metric).ok()?;
            let result = evaluate(&metric, &limit, std::slice::from_ref(stage));
            (result.verdict == Verdict::Fail)
                .then(|| format!("{} is {}, not {}", result.metric, result.measured, result.limit))
        })
        .collect();
    (!broken.is_empty()).then(|| broken.join(", "))
}

/// Tells each stage with a spike, and each that follows a peak, how long it took until the response was as before.
pub(super) fn recover(stages: &mut [Stage]) {
    for index in 0..stages.len() {
        let recovery = after_spike(&stages[index]).or_else(|| recovery(&stages[..index], &stages[index]));
        stages[index].recovery = recovery;
    }
}

/// Of a spike in the middle of a stage.
fn after_spike(stage: &Stage) -> Option<Recovery> {
    let Course::Spike { base, spike, at, lasts } = stage.load.as_ref()?.course() else { return None };
    let (at_s, until_s) = (at.as_secs_f64(), (*at + *lasts).as_secs_f64());
    let mut before: Vec<f64> = window(stage)
        .filter(|interval| interval.t_s <= at_s)
        .filter_map(|interval| interval.mean_us)
        .collect();
    if !stage.measured || *spike <= PEAK * base || before.len() < CALM_INTERVALS {
        return None;
    }
    // What the stage before left behind may be worked off in the first half.
    let half = before.len() / 2;
    let before_us = median(&mut before[half..]);
    let behind: Vec<&IntervalInfo> =
        window(stage).filter(|interval| interval.t_s - interval.length_s >= until_s - 1e-3).collect();
    let took_s = calm_after_s(&behind, AS_BEFORE * before_us).map(|at_s| (at_s - until_s).max(0.0));
    Some(Recovery { after: "the spike".to_owned(), took_s, before_us })
}

/// Before the peak is the last stage with as much load as the one after it.
fn recovery(earlier: &[Stage], after: &Stage) -> Option<Recovery> {
    let (peak, earlier) = earlier.split_last()?;
    let is_peak = |stage: &Stage| is_same_kind(stage, after) && level(stage) > PEAK * level(after);
    let alike = |stage: &&Stage| {
        is_same_kind(stage, after)
            && level(stage) <= PEAK * level(after)
            && level(after) <= PEAK * level(stage)
    };
    let all_measured = peak.measured && after.measured;
    let before = earlier.iter().rev().filter(|stage| stage.measured).find(alike)?;
    if !all_measured || !is_peak(peak) {
        return None;
    }
    let mut means: Vec<f64> = window(before).filter_map(|interval| interval.mean_us).collect();
    if means.len() < CALM_INTERVALS {
        return None;
    }
    let before_us = median(&mut means);
    let intervals: Vec<&IntervalInfo> = window(after).collect();
    Some(Recovery {
        after: peak.name.clone(),
        took_s: calm_after_s(&intervals, AS_BEFORE * before_us),
        before_us,
    })
}

fn window(stage: &Stage) -> impl Iterator<Item = &IntervalInfo> {
    stage.intervals.iter().filter(|interval| !interval.drain)
}

/// When the first of so many intervals in a row begins whose mean response is at most `limit_us`.
pub(super) fn calm_after_s(intervals: &[&IntervalInfo], limit_us: f64) -> Option<f64> {
    let is_calm = |interval: &&IntervalInfo| interval.mean_us.is_some_and(|mean| mean <= limit_us);
    intervals
        .windows(CALM_INTERVALS)
        .find(|few| few.iter().all(is_calm))
        .map(|few| (few[0].t_s - few[0].length_s).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Accounting, Quantiles};
    use crate::units::{Arrivals, Load};

    /// A stage of ten seconds at so many a second, with so many in flight at the end of each second and so long a mean response.
    fn stage(
        name: &str,
        offered: f64,
        in_flight: impl Fn(u32) -> u64,
        mean_us: impl Fn(u32) -> f64,
    ) -> Stage {
        let interval = |second: u32| IntervalInfo {
            t_s: f64::from(second),
            length_s: 1.0,
            per_s: offered,
            mean_us: Some(mean_us(second)),
            p50_us: None,
            p99_us: None,
            max_us: None,
            errors: 0,
            busy: 1.0,
            waiting: 0.0,
            in_flight: in_flight(second),
            ..IntervalInfo::default()
        };
        let at_end = in_flight(10) as f64;
        Stage {
            name: name.to_owned(),
            measured: true,
            started_at: String::new(),
            duration_s: 10.0,
            drain_s: 0.0,
            load: Some(crate::units::Load::rate(offered)),
            offered_per_s: Some(offered),
            clients: None,
            achieved_per_s: offered - (at_end / 10.0).max(0.001),
            accounting: Accounting { issued: 1_000, ok: 1_000, ..Accounting::default() },
            response_us: Quantiles { count: 1_000, p50: Some(1_000), ..Quantiles::default() },
            service_us: Quantiles::default(),
            lag_us: Quantiles::default(),
            intervals: (1..=10).map(interval).collect(),
            ..Stage::default()
        }
    }

    fn calm(name: &str, offered: f64) -> Stage {
        stage(name, offered, |second| u64::from(second % 3), |_| 1_000.0)
    }

    fn budget(limit: &str) -> [BudgetHeader; 1] {
        [BudgetHeader { metric: "response.p50".to_owned(), limit: limit.to_owned() }]
    }

    #[test]
    fn the_first_stage_whose_backlog_grows_is_named_with_the_highest_load_before_it() {
        let growing = stage("peak", 900.0, |second| u64::from(second) * 100, |_| 1_000.0);
        let worse = stage("stress", 1200.0, |second| u64::from(second) * 400, |_| 1_000.0);
        let stages =
            [calm("a", 300.0), calm("b", 600.0), calm("c", 300.0), growing, worse, calm("after", 700.0)];
        let Endurance { breaking_point, held } = endurance(&stages, &[]).expect("several stages");
        let breaking = breaking_point.expect("two stages are not borne");
        assert_eq!((breaking.load.stage.as_str(), breaking.load.offered_per_s), ("peak", Some(900.0)));
        assert_eq!(breaking.reason, BreakReason::BacklogGrows);
        assert_eq!(
            breaking.evidence,
            "its backlog grew by 100 transactions each second, to 1000 at its end; 800/s of 900/s were achieved"
        );
        let held = held.expect("three were borne");
        assert_eq!((held.stage.as_str(), held.offered_per_s), ("b", Some(600.0)));
    }

    #[test]
    fn what_fills_up_at_first_and_what_is_worked_off_is_no_growth() {
        // Answers that take four seconds: the number in flight grows for as long, and stays.
        let slow = stage("slow", 100.0, |second| u64::from(second.min(4)) * 100, |_| 4e6);
        assert_eq!(backlog(&slow), None);
        // A stall of four seconds in the middle, and its backlog.
        let stalled =
            stage("stalled", 100.0, |s| [0, 1, 0, 100, 200, 300, 400, 300, 200, 100, 0][s as usize], |_| 1e3);
        assert_eq!(backlog(&stalled), None);
        let falling = stage("falling", 100.0, |second| 500 - u64::from(second) * 50, |_| 1e3);
        assert_eq!(backlog(&falling), None);
        // One in a hundred more than it can: no measurement of ten seconds tells that from one that keeps up.
        assert_eq!(backlog(&stage("full", 100.0, u64::from, |_| 1e3)), None);
        assert!(backlog(&stage("over", 100.0, |second| u64::from(second) * 20, |_| 1e3)).is_some());
        // A ramp passes its limit half-way.
        let ramp = |second: u32| u64::from(second.saturating_sub(4).pow(2)) * 12;
        assert!(backlog(&stage("ramp", 100.0, ramp, |_| 1e3)).is_some());
    }

    /// A system that is just full, with Poisson arrivals and exponential services, is the hardest one to tell from one that
    /// breaks: its backlog is a random walk that does not go below nothing. The bounds are passed by one in sixteen at most
    /// (measured: 3 %), and below full load by far fewer.
    #[test]
    fn chance_is_seldom_taken_for_growth() {
        use rand::rngs::SmallRng;
        use rand::{RngExt as _, SeedableRng as _};
        let share_growing = |load: f64| {
            let grows = |seed: &u64| {
                let mut random = SmallRng::seed_from_u64(*seed);
                let (rate, mut now, mut queue) = (100.0, 0.0, 0_u64);
                let mut in_flight = Vec::new();
                // Next arrival or next end of a service, whichever comes first; 100 services a second while there is work.
                while now < 10.0 {
                    let total = rate * load + rate;
                    now -= random.random::<f64>().ln() / total;
                    while in_flight.len() < 11 && now >= in_flight.len() as f64 {
                        in_flight.push(queue);
                    }
                    if random.random::<f64>() < load / (1.0 + load) {
                        queue += 1;
                    } else {
                        queue = queue.saturating_sub(1);
                    }
                }
                let at = |second: u32| in_flight.get(second as usize).copied().unwrap_or(queue);
                backlog(&stage("full", rate * load, at, |_| 1e3)).is_some()
            };
            (0..500_u64).filter(grows).count() as f64 / 500.0
        };
        let (full, below, above) = (share_growing(1.0), share_growing(0.9), share_growing(1.5));
        assert!(full < 0.06, "just full: {full}");
        assert!(below < 0.01, "at 90 %: {below}");
        // Half as much again as it can do is seen.
        assert!(above > 0.95, "at 150 %: {above}");
    }

    #[test]
    fn work_that_is_given_up_breaks_a_stage() {
        let mut shedding = calm("shedding", 900.0);
        shedding.accounting.skipped = 15;
        assert_eq!(
            endurance(&[calm("a", 300.0), shedding.clone()], &[]).expect("several").breaking_point,
            None
        );
        shedding.pool.timeouts = 10;
        let endurance = endurance(&[calm("a", 300.0), shedding], &[]).expect("several stages");
        let breaking = endurance.breaking_point.expect("one in forty is given up");
        assert_eq!(breaking.reason, BreakReason::LoadShed);
        assert!(breaking.evidence.starts_with("25 of 1000"), "{}", breaking.evidence);
    }

    #[test]
    fn a_broken_budget_breaks_a_stage_of_either_loop() {
        let closed = |name: &str, clients, p50| {
            let mut stage = calm(name, 1.0);
            (stage.offered_per_s, stage.clients) = (None, Some(clients));
            stage.load = Some(Load::clients(clients));
            stage.response_us.p50 = Some(p50);
            stage
        };
        let stages = [closed("few", 4, 1_000), closed("some", 8, 2_000), closed("many", 16, 9_000)];
        let Endurance { breaking_point, held } = endurance(&stages, &budget("< 5ms")).expect("several");
        let breaking = breaking_point.expect("9 ms is not below 5 ms");
        assert_eq!((breaking.reason, breaking.load.clients), (BreakReason::BudgetBroken, Some(16)));
        assert_eq!(breaking.evidence, "response.p50 is 9 ms, not < 5ms");
        assert_eq!(held.and_then(|held| held.clients), Some(8));
        // All are borne where the limit is higher, and nothing is said where there is none.
        let Endurance { breaking_point, held } = endurance(&stages, &budget("< 50ms")).expect("several");
        assert_eq!((breaking_point, held.and_then(|held| held.clients)), (None, Some(16)));
        assert_eq!(endurance(&stages, &[]), None);
        assert_eq!(
            endurance(&stages[2..], &budget("< 5ms")),
            None,
            "one stage alone is judged by its verdict"
        );
    }

    #[test]
    fn a_recovery_lasts_until_the_response_is_as_before_the_peak() {
        let before = calm("normal", 300.0);
        let spike = stage("spike", 1200.0, |_| 0, |_| 80_000.0);
        let slow_until = |seconds: u32| {
            stage("after", 300.0, |_| 0, move |second| if second <= seconds { 40_000.0 } else { 1_200.0 })
        };
        let took = |after: Stage| {
            let mut stages = [before.clone(), spike.clone(), after];
            recover(&mut stages);
            assert!(stages[..2].iter().all(|stage| stage.recovery.is_none()));
            stages[2].recovery.clone()
        };
        let recovery = took(slow_until(4)).expect("a peak went before");
        assert_eq!((recovery.after.as_str(), recovery.took_s), ("spike", Some(4.0)));
        assert!((recovery.before_us - 1_000.0).abs() < 1e-9);
        assert_eq!(took(slow_until(0)).expect("a peak").took_s, Some(0.0));
        assert_eq!(took(slow_until(9)).expect("a peak").took_s, None, "one second is no recovery");
        assert_eq!(took(calm("after", 900.0)), None, "another load has another response");
    }

    fn with_course(mut stage: Stage, rate: Course) -> Stage {
        stage.load = Some(Load::Open { rate, arrivals: Arrivals::Constant, max_lag: None });
        stage
    }

    #[test]
    fn a_ramp_says_from_which_rate_on_it_was_too_much() {
        let ramp = |second: u32| u64::from(second.saturating_sub(4).pow(2)) * 12;
        let ramp = with_course(stage("ramp", 100.0, ramp, |_| 1e3), Course::Ramp { ramp: [50.0, 150.0] });
        let breaking = breaking_point(&ramp, &[]).expect("its backlog grows");
        // After four of ten seconds it was at 90/s.
        assert!((breaking.from_level.expect("it rises") - 90.0).abs() < 1e-6, "{breaking:?}");
        let constant = stage("peak", 900.0, |second| u64::from(second) * 100, |_| 1_000.0);
        assert_eq!(breaking_point(&constant, &[]).expect("its backlog grows").from_level, None);
    }

    #[test]
    fn a_spike_in_a_stage_is_recovered_from_in_it() {
        let seconds = Duration::from_secs;
        let spike = |mean_us: fn(u32) -> f64| {
            let course = Course::Spike { base: 100.0, spike: 900.0, at: seconds(4), lasts: seconds(1) };
            let mut stages = [with_course(stage("spike", 260.0, |_| 0, mean_us), course)];
            recover(&mut stages);
            stages[0].recovery.clone().expect("there is a spike")
        };
        let recovery = spike(|second| if (5..=7).contains(&second) { 9e4 } else { 1e3 });
        assert_eq!((recovery.after.as_str(), recovery.took_s), ("the spike", Some(2.0)));
        assert!((recovery.before_us - 1e3).abs() < 1e-9);
        assert_eq!(spike(|second| if second >= 5 { 9e4 } else { 1e3 }).took_s, None);
        // What the stage before left behind is not what was usual.
        assert_eq!(spike(|second| if second <= 2 { 9e4 } else { 1e3 }).took_s, Some(0.0));
    }
}
