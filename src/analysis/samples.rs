//! Sampled sessions of one stage: how often each was seen doing what, and how sure that is. Pure.
//!
//! The looks are gathered in batches of a second or more. The scatter between batches gives the interval of a mean, whatever
//! the correlation between two looks of one batch (batch means: Schmeiser 1982, "Batch Size Effects in the Analysis of
//! Simulation Output", Operations Research 30, 556–568).

use std::collections::BTreeMap;

use crate::record::observation::{ActivitySummary, Who};
use crate::units::{Span, Stamp};

use super::student;

/// Batches that are told apart; with more, two neighbours become one.
const BATCHES_MAX: usize = 256;
/// Fewest batches whose scatter says something.
const BATCHES_MIN: usize = 5;
/// Fewest sightings for which a mean is about normally distributed.
const COUNT_MIN: u64 = 10;
/// Probability that an interval holds the true mean.
const CONFIDENCE: f64 = 0.95;
/// The state of a session that holds a transaction open and executes nothing.
pub(super) const IDLE_IN_TRANSACTION: &str = "idle in transaction";

/// Whose session, and what it waited for; nothing where it ran or could run.
pub(super) type Kind = (Who, Option<String>);

/// What was seen in the looks of one stage. What it keeps grows with the number of kinds, not with time.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    /// Looks of each batch.
    looks: Vec<u64>,
    /// From when to when each batch was looked.
    spans: Vec<Span>,
    /// Summaries that one batch holds.
    summaries_per_batch: u32,
    /// Summaries in the last batch.
    in_last: u32,
    /// Sessions of each kind, summed over the looks of each batch; shorter than `looks` where none was seen lately.
    counts: BTreeMap<Kind, Vec<u64>>,
    /// How many of the looks tell who waited for which lock.
    lock_looks: u64,
}

/// The mean number of sessions at a time, as sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Sessions seen, summed over the looks.
    pub(super) count: u64,
    /// Mean number of sessions.
    pub(super) mean: f64,
    /// Lower end of the interval at 95 %.
    pub(super) low: f64,
    /// Upper end of it.
    pub(super) high: f64,
}

impl Estimate {
    /// A part of it.
    pub(super) fn share(self, share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = (self.count as f64 * share).round() as u64;
        Self { count, mean: self.mean * share, low: self.low * share, high: self.high * share }
    }

    /// Both together; the interval is that of two that go up and down with each other, which is the wider one.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            mean: self.mean + other.mean,
            low: self.low + other.low,
            high: self.high + other.high,
        }
    }
}

impl Samples {
    /// Takes the looks of one summary, which covers `span`.
    pub(super) fn add(&mut self, summary: &ActivitySummary, span: Span) {
        self.begin_summary(span);
        let batch = self.looks.len() - 1;
        self.spans[batch].to = span.to;
        self.looks[batch] += u64::from(summary.samples);
        self.lock_looks += u64::from(summary.lock_looks.unwrap_or(summary.samples));
        for seen in &summary.seen {
            // A session between two statements of a transaction waits for its client and nothing else: it is told apart from
            // one that executes.
            // The view reads state and wait one after the other: `active` that waits for its client has just become idle.
            let idle = seen.state.starts_with(IDLE_IN_TRANSACTION)
                || (is_of_pool(&seen.who) && seen.wait.as_deref() == Some("Client:ClientRead"));
            let wait = if idle { Some(IDLE_IN_TRANSACTION.to_owned()) } else { seen.wait.clone() };
            let counts = self.counts.entry((seen.who.clone(), wait)).or_default();
            counts.resize(batch + 1, 0);
            counts[batch] += seen.count;
        }
    }

    fn begin_summary(&mut self, span: Span) {
        if self.looks.is_empty() {
            self.summaries_per_batch = 1;
        }
        if self.in_last < self.summaries_per_batch && !self.looks.is_empty() {
            self.in_last += 1;
            return;
        }
        if self.looks.len() == BATCHES_MAX {
            pair_up(&mut self.looks);
            self.spans =
                self.spans.chunks(2).map(|pair| Span { to: pair[pair.len() - 1].to, ..pair[0] }).collect();
            self.counts.values_mut().for_each(pair_up);
            self.summaries_per_batch *= 2;
        }
        self.looks.push(0);
        self.spans.push(span);
        self.in_last = 1;
    }

    /// Looks of all batches.
    pub(super) fn looks(&self) -> u64 {
        self.looks.iter().sum()
    }

    /// Time between two looks at the locks, where sessions are looked at every `interval_ms`.
    pub(super) fn lock_interval_ms(&self, interval_ms: u32) -> u32 {
        let all = u64::from(interval_ms) * self.looks();
        let interval = all.checked_div(self.lock_looks).unwrap_or(all);
        u32::try_from(interval).unwrap_or(u32::MAX).max(interval_ms)
    }

    /// The same without the batches that lie for the most part behind `end`: in a drain fewer and fewer sessions are busy, which
    /// says nothing of the load.
    pub(super) fn until(&self, end: Stamp) -> Self {
        let is_in = |span: &Span| span.from + span.duration() / 2 <= end;
        let kept = self.spans.iter().take_while(|span| is_in(span)).count();
        let mut samples = self.clone();
        samples.looks.truncate(kept);
        samples.spans.truncate(kept);
        samples.counts.values_mut().for_each(|counts| counts.truncate(kept));
        samples
    }

    /// Each kind with how often it was seen.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.counts.iter().map(|(kind, counts)| (kind, counts.iter().sum()))
    }

    /// How many sessions of the kinds that `of` accepts there were at a time.
    pub(super) fn estimate(&self, of: impl Fn(&Kind) -> bool) -> Estimate {
        let mut sums = vec![0; self.looks.len()];
        for (_, counts) in self.counts.iter().filter(|(kind, _)| of(kind)) {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        estimate(&self.looks, &sums)
    }

    /// The same for each group that `group` gives; kinds without one are left out.
    pub(super) fn estimates<G: Ord>(&self, group: impl Fn(&Kind) -> Option<G>) -> Vec<(G, Estimate)> {
        let mut sums: BTreeMap<G, Vec<u64>> = BTreeMap::new();
        for (kind, counts) in &self.counts {
            let Some(group) = group(kind) else { continue };
            let sum = sums.entry(group).or_insert_with(|| vec![0; self.looks.len()]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums.into_iter().map(|(group, counts)| (group, estimate(&self.looks, &counts))).collect()
    }

    /// The course of the groups that `group` gives, batch by batch: when it was looked, and the mean number of sessions of each group
    /// that was seen then.
    pub(super) fn course(
        &self,
        group: impl Fn(&Kind) -> Option<String>,
    ) -> impl Iterator<Item = (Span, BTreeMap<String, f64>)> {
        let mut seen: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); self.looks.len()];
        for (kind, counts) in &self.counts {
            let Some(group) = group(kind) else { continue };
            for (batch, count) in seen.iter_mut().zip(counts).filter(|(_, count)| **count > 0) {
                *batch.entry(group.clone()).or_default() += count;
            }
        }
        let looked = self.spans.iter().zip(&self.looks).zip(seen).filter(|((_, looks), _)| **looks > 0);
        looked.map(|((span, looks), seen)| {
            let means = seen.into_iter().map(|(group, count)| (group, count as f64 / *looks as f64));
            (*span, means.collect())
        })
    }
}

/// Whether a session belongs to the measured pool.
pub(super) fn is_of_pool(who: &Who) -> bool {
    matches!(who, Who::Statement(_) | Who::Control(_))
}

/// Two neighbours become one.
fn pair_up(batches: &mut Vec<u64>) {
    *batches = batches.chunks(2).map(|pair| pair.iter().sum()).collect();
}

fn estimate(looks: &[u64], counts: &[u64]) -> Estimate {
    let (all_looks, count): (u64, u64) = (looks.iter().sum(), counts.iter().sum());
    if all_looks == 0 {
        return Estimate::default();
    }
    let (all_looks, all) = (all_looks as f64, count as f64);
    let mean = all / all_looks;
    if looks.len() < BATCHES_MIN || count < COUNT_MIN {
        let (low, high) = poisson_interval(count);
        return Estimate { count, mean, low: low / all_looks, high: high / all_looks };
    }
    let batches = looks.len() as f64;
    // The mean is a ratio of two sums, since batches differ in their looks: its error is that of the residuals.
    let squares: f64 =
        looks.iter().zip(counts).map(|(looks, count)| (*count as f64 - mean * *looks as f64).powi(2)).sum();
    let deviation = (squares * batches / (batches - 1.0)).sqrt() / all_looks;
    let half = student::quantile(f64::midpoint(1.0, CONFIDENCE), batches - 1.0) * deviation;
    Estimate { count, mean, low: (mean - half).max(0.0), high: mean + half }
}

/// The interval at 95 % of the expected number of events of which `count` were seen: Byar's approximation of the exact Poisson
/// interval (Breslow and Day 1987, "Statistical Methods in Cancer Research", volume II, page 69).
fn poisson_interval(count: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_985;
    let bound = |n: f64, side: f64| n * (1.0 - 1.0 / (9.0 * n) + side * Z / (3.0 * n.sqrt())).powi(3);
    let low = if count == 0 { 0.0 } else { bound(count as f64, -1.0) };
    (low, bound((count + 1) as f64, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::observation::ActivityCount;
    use crate::units::StatementId;

    fn summary(samples: u32, counts: &[(u32, &str, Option<&str>, u64)]) -> ActivitySummary {
        let seen = counts
            .iter()
            .map(|(statement, state, wait, count)| ActivityCount {
                who: Who::Statement(StatementId(*statement)),
                state: (*state).to_owned(),
                wait: wait.map(str::to_owned),
                count: *count,
            })
            .collect();
        ActivitySummary { samples, seen, ..ActivitySummary::default() }
    }

    fn second(number: u64) -> Span {
        Span { from: Stamp(number * 1_000_000_000), to: Stamp((number + 1) * 1_000_000_000) }
    }

    #[test]
    fn a_session_that_waits_for_its_client_does_not_execute() {
        let mut samples = Samples::default();
        let seen = [
            (1, "active", None, 5),
            (1, "active", Some("Client:ClientRead"), 2),
            (1, "idle in transaction", Some("Client:ClientRead"), 4),
        ];
        samples.add(&summary(10, &seen), second(0));
        let idle = samples.estimate(|(_, wait)| wait.as_deref() == Some(IDLE_IN_TRANSACTION));
        assert_eq!((idle.count, samples.looks()), (6, 10));
        assert_eq!(samples.estimate(|(_, wait)| wait.is_none()).count, 5);
    }

    #[test]
    fn the_interval_follows_the_scatter_between_batches() {
        // Fifteen of sixteen sessions wait in every look: nothing scatters, whatever their number.
        let mut steady = Samples::default();
        // Ten of ten looks see thirty sessions, and then none does: as many sightings, and little is known of the mean.
        let mut moody = Samples::default();
        for at in 0..20 {
            let waiting = |count| summary(10, &[(1, "active", Some("Lock:transactionid"), count)]);
            steady.add(&waiting(150), second(at));
            moody.add(&waiting(300 * (at % 2)), second(at));
        }
        let steady = steady.estimate(|_| true);
        assert_eq!((steady.low, steady.mean, steady.high), (15.0, 15.0, 15.0));
        let moody = moody.estimate(|_| true);
        assert!((moody.mean - 15.0).abs() < 1e-9);
        // Twenty values of 0 and 30: standard error 3.44, times 2.093.
        assert!((moody.high - moody.low - 2.0 * 2.093 * 3.441).abs() < 0.02, "{moody:?}");
    }

    #[test]
    fn a_second_of_which_nothing_was_seen_counts_as_looked_at() {
        let mut samples = Samples::default();
        samples.add(&summary(10, &[(1, "active", None, 10)]), second(0));
        samples.add(&summary(10, &[]), second(1));
        samples.add(&summary(10, &[(2, "active", None, 30)]), second(2));
        assert!((samples.estimate(|_| true).mean - 40.0 / 30.0).abs() < 1e-9);
        let by_wait = samples.estimates(|(who, _)| Some(who.clone()));
        assert_eq!(by_wait.iter().map(|(_, estimate)| estimate.count).collect::<Vec<_>>(), [10, 30]);
    }

    #[test]
    fn the_course_tells_in_which_second_what_was_waited_for() {
        let mut samples = Samples::default();
        samples
            .add(&summary(10, &[(1, "active", None, 10), (2, "active", Some("Lock:tuple"), 5)]), second(0));
        // The probe missed this one.
        samples.add(&summary(0, &[]), second(1));
        samples.add(&summary(5, &[(1, "active", Some("Lock:tuple"), 10), (2, "active", None, 5)]), second(2));
        let course: Vec<_> = samples
            .course(|(_, wait)| Some(wait.clone().unwrap_or_else(|| "CPU".to_owned())))
            .map(|(span, sessions)| (span.from, sessions.into_iter().collect::<Vec<_>>()))
            .collect();
        let at = |cpu: f64, tuple: f64| vec![("CPU".to_owned(), cpu), ("Lock:tuple".to_owned(), tuple)];
        assert_eq!(course, [(second(0).from, at(1.0, 0.5)), (second(2).from, at(1.0, 2.0))]);
    }

    #[test]
    fn what_the_drain_does_is_left_out() {
        let mut samples = Samples::default();
        samples.add(&summary(10, &[(1, "active", None, 20)]), second(0));
        samples.add(&summary(10, &[(1, "active", None, 20)]), second(1));
        samples.add(&summary(10, &[(1, "active", None, 3)]), second(2));
        assert_eq!(samples.until(second(1).to).estimate(|_| true).count, 40);
        assert_eq!(samples.until(second(2).to).estimate(|_| true).count, 43);
    }

    #[test]
    fn few_sightings_have_the_interval_of_a_poisson_count() {
        // Exact: 0 to 3.689; 1.623 to 11.668 for five (Garwood 1936).
        let (low, high) = poisson_interval(0);
        assert!(low == 0.0 && (high - 3.689).abs() < 0.06, "{low} {high}");
        let (low, high) = poisson_interval(5);
        assert!((low - 1.623).abs() < 0.03 && (high - 11.668).abs() < 0.03, "{low} {high}");
    }

    #[test]
    fn a_long_stage_keeps_no_more_batches() {
        let mut samples = Samples::default();
        for at in 0..1000 {
            samples.add(&summary(10, &[(1, "active", None, 20)]), second(at));
        }
        assert_eq!(samples.spans.first().map(|span| span.from), Some(second(0).from));
        assert_eq!(samples.spans.last().map(|span| span.to), Some(second(999).to));
        assert!(samples.looks.len() <= BATCHES_MAX && samples.looks.len() > BATCHES_MAX / 2);
        assert_eq!(samples.looks(), 10_000);
        let estimate = samples.estimate(|_| true);
        assert_eq!(estimate.count, 20_000);
        assert!(estimate.high - estimate.low < 0.2, "{estimate:?}");
    }
}
