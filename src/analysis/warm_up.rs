//! When a warm-up may end: the response times rest, no connection was made lately, and every connection has executed every
//! statement so often that the server has chosen the kind of its plan. Pure: intervals in, an answer out. Caches and compiled
//! queries show in the response times; nothing else of them is asked.

use std::time::Duration;

use crate::record::entry::{Interval, WarmUpEnded, WarmUpWait};
use crate::units::{StageId, Stamp, StatementId};

use super::changepoint::{Rest, rest};

/// Transactions of one kind that an interval must hold on average, so that their mean says something. Rarer ones are looked at only
/// where all are rare, and then together.
const FREQUENT: f64 = 5.0;
/// Intervals without a new connection before the pool counts as grown.
const CALM_INTERVALS: usize = 3;

/// What a warm-up waits for, and who takes part.
#[derive(Clone, Copy, Debug)]
pub struct WarmUpPlan {
    /// Which stage it is.
    pub stage: StageId,
    /// When it began.
    pub began_at: Stamp,
    /// It ends after this, steady or not.
    pub limit: Duration,
    /// Connections of all instances.
    pub connections: u32,
    /// Executions of a statement after which a connection keeps to its plan; zero where there is no such choice.
    pub plan_settles_after: u32,
}

/// A warm-up under way.
#[derive(Debug)]
pub struct WarmUp {
    plan: WarmUpPlan,
    intervals: Vec<Seen>,
    /// By statement: successful executions so far.
    executed: Vec<u64>,
    /// By statement: connections that have not executed it often enough.
    unsettled: Vec<u32>,
}

/// What one interval says.
#[derive(Debug)]
struct Seen {
    began_at: Stamp,
    ended_at: Stamp,
    /// By transaction: how many ended ok, and the sum of their responses in nanoseconds.
    responses: Vec<(u64, u64)>,
    /// Whether a connection was made, or could not be made.
    connects: bool,
}

impl Seen {
    fn count(&self) -> u64 {
        self.responses.iter().map(|(count, _)| count).sum()
    }

    fn mean_ns(&self) -> f64 {
        self.responses.iter().map(|(_, sum_ns)| sum_ns).sum::<u64>() as f64 / self.count() as f64
    }
}

impl WarmUp {
    /// One that begins.
    #[must_use]
    pub fn new(plan: WarmUpPlan) -> Self {
        Self { plan, intervals: Vec::new(), executed: Vec::new(), unsettled: Vec::new() }
    }

    /// Takes its next interval. `unsettled` says by statement how many connections have not executed it often enough; it is empty
    /// where nobody counts.
    pub fn add(&mut self, interval: &Interval, unsettled: &[u32]) {
        let set = &interval.set;
        let responses = |transaction: &crate::record::set::TransactionSet| {
            (transaction.response.count(), transaction.response.sum_ns())
        };
        self.intervals.push(Seen {
            began_at: interval.span.from,
            ended_at: interval.span.to,
            responses: set.transactions.iter().map(responses).collect(),
            connects: !set.pool.create.is_empty() || set.pool.create_errors > 0,
        });
        self.executed.resize(set.statements.len(), 0);
        for (sum, statement) in self.executed.iter_mut().zip(&set.statements) {
            *sum += statement.execute.count();
        }
        unsettled.clone_into(&mut self.unsettled);
    }

    /// Whether there is nothing to wait for any more.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.ended(self.plan.began_at).waits_for.is_empty()
    }

    /// What is written down of it when it ends at `at`.
    #[must_use]
    pub fn ended(&self, at: Stamp) -> WarmUpEnded {
        let mut waits_for = Vec::new();
        let steady_since = match self.rest() {
            Resting::Since(since) => Some(since),
            Resting::Unclear => {
                waits_for.push(WarmUpWait::Answers);
                None
            }
            Resting::No => {
                waits_for.push(WarmUpWait::Response);
                None
            }
        };
        if self.intervals.iter().rev().take(CALM_INTERVALS).any(|interval| interval.connects) {
            waits_for.push(WarmUpWait::Connections);
        }
        let unsettled = self.unsettled_statements();
        let (rare, frequent): (Vec<_>, Vec<_>) = unsettled.into_iter().partition(|id| self.is_rare(*id));
        if !frequent.is_empty() {
            waits_for.push(WarmUpWait::Plans);
        }
        WarmUpEnded {
            stage: self.plan.stage,
            at,
            limit_ns: u64::try_from(self.plan.limit.as_nanos()).unwrap_or(u64::MAX),
            steady_since,
            waits_for,
            unsettled_statements: [rare, frequent].concat(),
        }
    }

    fn unsettled_statements(&self) -> Vec<StatementId> {
        let left = self.unsettled.iter().enumerate().filter(|(_, connections)| **connections > 0);
        left.map(|(index, _)| StatementId::from_index(index)).collect()
    }

    /// Whether a statement comes so seldom that its plans would not be settled within the limit: then it is not waited for.
    fn is_rare(&self, statement: StatementId) -> bool {
        let (Some(first), Some(last)) = (self.intervals.first(), self.intervals.last()) else { return false };
        let elapsed_s = (last.ended_at - first.began_at).as_secs_f64();
        let until_limit =
            self.executed[statement.index()] as f64 * self.plan.limit.as_secs_f64() / elapsed_s.max(1e-9);
        until_limit < f64::from(self.plan.plan_settles_after) * f64::from(self.plan.connections)
    }

    /// Whether the responses rest. Two averages of them must: of the time, in which slow transactions weigh much, and of its
    /// logarithm, in which frequent ones do.
    fn rest(&self) -> Resting {
        let answered: Vec<&Seen> = self.intervals.iter().filter(|interval| interval.count() > 0).collect();
        let mut since = 0;
        for series in series(&answered) {
            match rest(&series) {
                Rest::Since(index) => since = since.max(index),
                Rest::Changing(_) => return Resting::No,
                Rest::Unclear => return Resting::Unclear,
            }
        }
        answered.get(since).map_or(Resting::Unclear, |interval| Resting::Since(interval.began_at))
    }
}

enum Resting {
    Since(Stamp),
    No,
    Unclear,
}

/// The courses of the response time that must rest, as logarithms. Each transaction has the same weight in all intervals, so that
/// chance in the mix moves none of them.
fn series(intervals: &[&Seen]) -> Vec<Vec<f64>> {
    let frequent = frequent(intervals);
    if frequent.is_empty() {
        return vec![intervals.iter().map(|interval| log_us(interval.mean_ns())).collect()];
    }
    let all: u64 = frequent.iter().map(|(_, count)| count).sum();
    let mut times = vec![0.0; intervals.len()];
    let mut logarithms = vec![0.0; intervals.len()];
    for (transaction, count) in frequent {
        let weight = count as f64 / all as f64;
        for (index, mean_ns) in means_ns(intervals, transaction).into_iter().enumerate() {
            times[index] += weight * mean_ns;
            logarithms[index] += weight * log_us(mean_ns);
        }
    }
    vec![times.into_iter().map(log_us).collect(), logarithms]
}

/// The transactions of which every interval holds some on average, each with its count.
fn frequent(intervals: &[&Seen]) -> Vec<(usize, u64)> {
    let transactions = intervals.first().map_or(0, |interval| interval.responses.len());
    let count = |transaction: usize| -> u64 {
        intervals.iter().map(|interval| interval.responses[transaction].0).sum()
    };
    (0..transactions)
        .map(|transaction| (transaction, count(transaction)))
        .filter(|(_, count)| *count as f64 >= FREQUENT * intervals.len() as f64)
        .collect()
}

/// The mean response of a transaction in each interval. Where it did not end in one, the last mean before it stands, and before
/// the first the first.
fn means_ns(intervals: &[&Seen], transaction: usize) -> Vec<f64> {
    let mean = |interval: &&Seen| match interval.responses[transaction] {
        (0, _) => None,
        (count, sum_ns) => Some(sum_ns as f64 / count as f64),
    };
    let mut last = intervals.iter().find_map(mean).unwrap_or(0.0);
    intervals
        .iter()
        .map(|interval| {
            last = mean(interval).unwrap_or(last);
            last
        })
        .collect()
}

/// The logarithm of a time; below a microsecond nothing is told apart.
fn log_us(ns: f64) -> f64 {
    (ns / 1000.0).max(1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::set::{Set, Shape};
    use crate::units::Span;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan() -> WarmUpPlan {
        WarmUpPlan {
            stage: StageId(0),
            began_at: Stamp::ZERO,
            limit: Duration::from_secs(60),
            connections: 4,
            plan_settles_after: 6,
        }
    }

    /// The second `number`, with so many responses of so many microseconds of each transaction, each of one statement.
    fn second(number: u64, of: &[(u64, u64)]) -> Interval {
        let shape = Shape { transactions: of.len(), statements: of.len(), measures: 0, samples: None };
        let mut set = Box::new(Set::new(shape));
        for (index, (count, us)) in of.iter().enumerate() {
            for _ in 0..*count {
                set.transactions[index].response.record(Duration::from_micros(*us));
                set.statements[index].execute.record(Duration::from_micros(*us));
            }
        }
        let from = Stamp::ZERO + SECOND * u32::try_from(number).expect("few");
        let span = Span { from, to: from + SECOND };
        Interval { stage: StageId(0), span, drain: false, set, planned: 0, in_flight: 0 }
    }

    #[test]
    fn a_step_is_waited_for_and_then_as_long_again() {
        let mut warm_up = WarmUp::new(plan());
        for number in 0..18 {
            assert!(!warm_up.is_steady(), "{number}");
            warm_up.add(&second(number, &[(100, if number < 8 { 3_000 } else { 2_000 })]), &[]);
        }
        assert!(warm_up.is_steady());
        let ended = warm_up.ended(Stamp(19_000_000_000));
        assert_eq!(ended.steady_since, Some(Stamp(8_000_000_000)));
        assert_eq!((ended.at, ended.limit_ns), (Stamp(19_000_000_000), 60_000_000_000));
        assert!(ended.waits_for.is_empty());
    }

    /// Slow transactions come by chance, one second more of them than the other: the mean of all jumps, each kind rests.
    #[test]
    fn chance_in_the_mix_is_no_change() {
        let mut warm_up = WarmUp::new(plan());
        for number in 0..10 {
            warm_up.add(&second(number, &[(200, 1_000), (if number < 5 { 5 } else { 25 }, 40_000)]), &[]);
        }
        assert!(warm_up.is_steady());
        // A slow one that becomes slower still is a change, even though nineteen of twenty do not feel it.
        let mut warm_up = WarmUp::new(plan());
        for number in 0..20 {
            warm_up
                .add(&second(number, &[(200, 1_000), (10, if number < 15 { 40_000 } else { 60_000 })]), &[]);
        }
        assert_eq!(warm_up.ended(Stamp::ZERO).waits_for, [WarmUpWait::Response]);
    }

    #[test]
    fn plans_are_waited_for_unless_their_statement_is_too_rare_to_settle() {
        let mut warm_up = WarmUp::new(plan());
        for number in 0..12 {
            // The second statement is executed twice: within a minute ten times, and four connections need twenty-four.
            let rare = u64::from(number == 2 || number == 7);
            warm_up.add(&second(number, &[(100, 1_000), (rare, 1_000)]), &[1, 4]);
        }
        let ended = warm_up.ended(Stamp::ZERO);
        assert_eq!(ended.waits_for, [WarmUpWait::Plans]);
        assert_eq!(ended.unsettled_statements, [StatementId(1), StatementId(0)]);
        warm_up.add(&second(12, &[(100, 1_000), (0, 0)]), &[0, 4]);
        let ended = warm_up.ended(Stamp::ZERO);
        assert!(ended.waits_for.is_empty(), "{ended:?}");
        assert_eq!(ended.unsettled_statements, [StatementId(1)], "it is told all the same");
    }

    #[test]
    fn a_connection_that_was_just_made_is_waited_for() {
        let mut warm_up = WarmUp::new(plan());
        for number in 0..14 {
            let mut interval = second(number, &[(100, 1_000)]);
            if number == 11 {
                interval.set.pool.create.record(Duration::from_millis(5));
            }
            warm_up.add(&interval, &[0]);
            let waits_for = warm_up.ended(Stamp::ZERO).waits_for;
            match number {
                0..9 => assert_eq!(waits_for, [WarmUpWait::Answers], "{number}"),
                11..14 => assert_eq!(waits_for, [WarmUpWait::Connections], "{number}"),
                _ => assert!(waits_for.is_empty(), "{number}"),
            }
        }
        warm_up.add(&second(14, &[(100, 1_000)]), &[0]);
        assert!(warm_up.is_steady());
    }

    /// Two answers in a second say little, so that a longer stretch of them is looked at, all kinds together.
    #[test]
    fn rare_answers_are_looked_at_together() {
        let mut warm_up = WarmUp::new(plan());
        for number in 0..60 {
            assert!(!warm_up.is_steady() || number >= 30, "{number}");
            let slow = 20_000 + 6_000 * (number * 7 % 5);
            let blank = number % 4 == 3;
            let of = if blank { [(0, 0), (0, 0)] } else { [(1, 20_000), (1, slow)] };
            warm_up.add(&second(number, &of), &[]);
        }
        assert!(warm_up.is_steady());
    }
}
