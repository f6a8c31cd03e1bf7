//! Several goals together: a size keeps them where it keeps each. Pure.

use crate::model::metric::Goal;
use crate::model::{GoalAt, PoolGoal, Verdict};
use crate::record::entry::BudgetHeader;

use super::Pass;
use super::point::Size;

/// Nothing only for a journal that was edited by hand: the plan was checked before the run.
pub(super) fn parsed(goal: &BudgetHeader) -> Option<Goal> {
    format!("{} {}", goal.metric, goal.limit).parse().ok()
}

/// What all verdicts together say: one that is broken breaks all, one that is unclear leaves all unclear.
pub(super) fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Fail => 3,
        Verdict::Inconclusive => 2,
        Verdict::Pass => 1,
        Verdict::None => 0,
    };
    verdicts.into_iter().max_by_key(rank).unwrap_or(Verdict::None)
}

/// What was measured of the first, with the verdict on all.
pub(super) fn together(each: &[GoalAt]) -> Option<GoalAt> {
    let verdict = worst(each.iter().map(|goal| goal.verdict));
    each.first().map(|first| GoalAt { verdict, ..first.clone() })
}

/// A goal as the report has it.
pub(super) fn told(goal: &Goal, verdict: Verdict) -> PoolGoal {
    PoolGoal { metric: goal.metric.to_string(), limit: goal.limit.show(), verdict }
}

/// Each goal, with whether some size keeps it, whatever it does to the others.
pub(super) fn by_themselves(goals: &[Goal], pass: &Pass<'_>) -> Vec<PoolGoal> {
    let of = |(place, goal): (usize, &Goal)| {
        let verdicts = || pass.sizes.iter().filter_map(|size| Some(size.point.goals.get(place)?.verdict));
        let is = |wanted: Verdict| verdicts().any(|verdict| verdict == wanted);
        let best = [Verdict::Pass, Verdict::Inconclusive].into_iter().find(|verdict| is(*verdict));
        let verdict = best.unwrap_or(Verdict::Fail);
        told(goal, verdict)
    };
    goals.iter().enumerate().map(of).collect()
}

/// `response.p99 < 50ms and errors.rate < 0.1%`
pub(super) fn words(goals: &[Goal]) -> String {
    let goals: Vec<String> = goals.iter().map(Goal::to_string).collect();
    match goals.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// What was measured of them at a size: `43.8 ms`; of several `response.p99 43.8 ms, errors.rate 0 %`.
pub(super) fn measured(goals: &[Goal], size: &Size<'_>) -> String {
    if size.point.goals.is_empty() {
        return size.point.goal.as_ref().map_or_else(String::new, |goal| goal.measured.clone());
    }
    let each = goals.iter().zip(&size.point.goals);
    let each: Vec<String> = each.map(|(goal, at)| format!("{} {}", goal.metric, at.measured)).collect();
    each.join(", ")
}

/// The size that misses least: by the goal that it misses most, as a share of the limit.
pub(super) fn nearest<'a, 'b>(goals: &[Goal], pass: &'b Pass<'a>) -> Option<&'b Size<'a>> {
    let misses = |size: &Size<'_>| -> Option<f64> {
        // A single goal stands in a place of its own.
        let single = size.point.goal.iter().filter(|_| size.point.goals.is_empty());
        let at = single.chain(&size.point.goals);
        let each = goals.iter().zip(at).map(|(goal, at)| Some(excess(goal, at.value?)));
        each.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
    };
    let known = pass.sizes.iter().filter_map(|size| Some((size, misses(size)?)));
    known.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(size, _)| size)
}

/// By how much a value lies on the bad side of its limit, as a share of that; of a limit of nothing, as it is.
fn excess(goal: &Goal, value: f64) -> f64 {
    let limit = goal.limit.value;
    let beyond = if goal.limit.bound.is_upper() { value - limit } else { limit - value };
    if limit > 0.0 { beyond / limit } else { beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(verdict: Verdict) -> GoalAt {
        GoalAt { value: Some(1.0), measured: format!("{verdict:?}"), verdict }
    }

    #[test]
    fn one_that_is_broken_breaks_all_and_one_that_is_unclear_leaves_all_unclear() {
        use Verdict::{Fail, Inconclusive, None as Nothing, Pass};
        assert_eq!(worst([Pass, Fail, Inconclusive]), Fail);
        assert_eq!(worst([Pass, Inconclusive]), Inconclusive);
        assert_eq!(worst([Nothing, Pass]), Pass);
        assert_eq!(worst([]), Nothing);
        let all = together(&[at(Pass), at(Fail)]).expect("two goals");
        assert_eq!((all.measured.as_str(), all.verdict), ("Pass", Fail), "the first one's figure");
        assert_eq!(together(&[]), None);
    }

    #[test]
    fn a_goal_is_missed_by_a_share_of_its_limit_on_either_side() {
        let goal = |text: &str| text.parse::<Goal>().expect("a goal");
        assert!((excess(&goal("p99 < 50ms"), 75_000.0) - 0.5).abs() < 1e-9, "in microseconds");
        assert!((excess(&goal("throughput > 400"), 300.0) - 0.25).abs() < 1e-9);
        assert!((excess(&goal("errors < 0%"), 0.01) - 0.01).abs() < 1e-9);
        assert!(excess(&goal("p99 < 50ms"), 40_000.0) < 0.0, "kept");
        let two = [goal("p99 < 50ms"), goal("errors < 0.1%")];
        assert_eq!(words(&two), "response.p99 < 50ms and errors.rate < 0.1%");
    }
}
