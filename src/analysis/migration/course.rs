//! The course of the traffic around a migration: what clients lost second by second, failures beside the statements that ran,
//! the timeline, and the time until all was as before.

use std::collections::BTreeMap;

use crate::analysis::changepoint::median;
use crate::analysis::endurance::{AS_BEFORE, calm_after_s};
use crate::analysis::stage::StageAnalysis;
use crate::model::{IntervalInfo, Stage, TimelinePoint};
use crate::record::entry::Interval;
use crate::record::migration::{DdlStatement, DdlTry};
use crate::sql::ddl::changes_columns;
use crate::units::{Span, StageId, Stamp};

/// Seconds that are kept; a check that takes longer is told of by its stages.
const SECONDS_MAX: usize = 20_000;

/// What one transaction did in one interval.
#[derive(Clone, Debug, Default)]
struct Part {
    ok: u64,
    /// Response times of those that ended ok, and how long the others were waited for.
    sum_ns: u64,
    failed: u64,
    skipped: u64,
    errors: BTreeMap<String, u64>,
}

#[derive(Clone)]
struct Second {
    stage: StageId,
    span: Span,
    parts: Vec<Part>,
}

/// The seconds of the stages before and during.
#[derive(Clone, Default)]
pub(super) struct Seconds {
    kept: Vec<Second>,
}

/// What clients lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    pub(super) us: i64,
    pub(super) noise_us: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Seconds {
    pub(super) fn add(&mut self, interval: &Interval) {
        if self.kept.len() >= SECONDS_MAX {
            return;
        }
        let parts = interval.set.transactions.iter().map(|set| Part {
            ok: set.books.ok,
            sum_ns: set.response.sum_ns() + set.censored.sum_ns(),
            failed: set.books.failed + set.books.unknown,
            skipped: set.books.skipped,
            errors: set.errors.clone(),
        });
        self.kept.push(Second { stage: interval.stage, span: interval.span, parts: parts.collect() });
    }

    /// Those of one stage.
    pub(super) fn only(&self, stage: StageId) -> Self {
        Self { kept: self.of(stage).cloned().collect() }
    }

    fn of(&self, stage: StageId) -> impl Iterator<Item = &Second> {
        self.kept.iter().filter(move |second| second.stage == stage)
    }

    /// Response time beyond what as many transactions took before, from `since` on.
    pub(super) fn lost(&self, before: StageId, during: StageId, since: Stamp) -> Lost {
        let kinds = self.kept.iter().map(|second| second.parts.len()).max().unwrap_or(0);
        let usual: Vec<f64> = (0..kinds)
            .map(|kind| {
                let parts = self.of(before).filter_map(|second| second.parts.get(kind));
                let (ok, sum) = parts.fold((0, 0), |(ok, sum), part| (ok + part.ok, sum + part.sum_ns));
                if ok > 0 { sum as f64 / ok as f64 } else { 0.0 }
            })
            .collect();
        let excess = |second: &Second| -> f64 {
            let parts = second.parts.iter().zip(&usual);
            parts.map(|(part, usual)| part.sum_ns as f64 - part.ok as f64 * usual).sum()
        };
        let calm: Vec<f64> = self.of(before).map(excess).collect();
        let deviation =
            (calm.iter().map(|one| one * one).sum::<f64>() / (calm.len().max(2) - 1) as f64).sqrt();
        let seconds: Vec<&Second> = self.of(during).filter(|second| second.span.to > since).collect();
        let lost_ns: f64 = seconds.iter().map(|second| excess(second)).sum();
        let parts = || seconds.iter().flat_map(|second| &second.parts);
        // Years of waiting fit.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (us, noise_us) = (
            (lost_ns / 1000.0).round() as i64,
            (2.0 * deviation * (seconds.len() as f64).sqrt() / 1000.0).round() as u64,
        );
        Lost {
            us,
            noise_us,
            failed: parts().map(|part| part.failed).sum(),
            skipped: parts().map(|part| part.skipped).sum(),
        }
    }

    /// Failures and skipped arrivals by statement of the migration and transaction of the workload. A second belongs to the statement
    /// that ran, waited or held locks for the longest part of it; behind the last one to that, since what it held up ends late. A prepared
    /// statement whose result changed belongs to the last statement up to then that changed columns, by `plan`.
    pub(super) fn failures(
        &self,
        during: StageId,
        tries: &[DdlTry],
        plan: &[DdlStatement],
    ) -> Vec<(usize, usize, BTreeMap<String, u64>, u64)> {
        const CACHED_PLAN: &str = "0A000";
        let other_columns =
            |one: &&DdlTry| plan.get(one.statement).is_some_and(|of| changes_columns(&of.sql));
        let mut found = Vec::new();
        for second in self.of(during) {
            let met = |one: &&DdlTry| {
                Span { from: one.span.from, to: one.released_at }.clip(second.span).duration()
            };
            let longest = tries.iter().max_by_key(met).filter(|one| !met(one).is_zero());
            let last = tries.iter().rfind(|one| one.span.from < second.span.to);
            let Some(one) = longest.or(last) else { continue };
            let begun = tries.iter().filter(|one| one.span.from < second.span.to);
            let changed = begun.filter(other_columns).max_by_key(|one| one.span.from).unwrap_or(one);
            for (transaction, part) in second.parts.iter().enumerate() {
                let (cached, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    part.errors.clone().into_iter().partition(|(code, _)| code == CACHED_PLAN);
                if !cached.is_empty() {
                    found.push((changed.statement, transaction, cached, 0));
                }
                if !others.is_empty() || part.skipped > 0 {
                    found.push((one.statement, transaction, others, part.skipped));
                }
            }
        }
        found
    }
}

/// A stage with its part of the report.
pub(super) type Placed<'a> = (&'a StageAnalysis, &'a Stage);

/// All seconds of the windows, with the statements that reach into them.
pub(super) fn timeline<'a>(tries: &[DdlTry], stages: impl Iterator<Item = Placed<'a>>) -> Vec<TimelinePoint> {
    let mut points = Vec::new();
    let mut zero = None;
    for (stage, model) in stages {
        let begun = stage.begun_at();
        let zero = *zero.get_or_insert(begun);
        for interval in model.intervals.iter().filter(|interval| !interval.drain) {
            let seconds = std::time::Duration::from_secs_f64;
            let span = Span {
                from: begun + seconds((interval.t_s - interval.length_s).max(0.0)),
                to: begun + seconds(interval.t_s.max(0.0)),
            };
            let meets = |one: &&DdlTry| one.span.from < span.to && one.released_at > span.from;
            let mut statements: Vec<usize> =
                tries.iter().filter(meets).map(|one| one.statement + 1).collect();
            statements.sort_unstable();
            statements.dedup();
            points.push(TimelinePoint {
                t_s: (span.to - zero).as_secs_f64(),
                length_s: interval.length_s,
                stage: model.name.clone(),
                per_s: interval.per_s,
                p50_us: interval.p50_us,
                p99_us: interval.p99_us,
                max_us: interval.max_us,
                errors: interval.errors,
                statements,
            });
        }
    }
    points
}

/// From the end of the migration until three seconds in a row were about as fast as before.
pub(super) fn recovered_s(
    ended_at: Stamp,
    before: Option<Placed<'_>>,
    during: Option<Placed<'_>>,
    after: Option<Placed<'_>>,
) -> Option<f64> {
    let means = before?.1.intervals.iter().filter(|interval| !interval.drain).filter_map(|of| of.mean_us);
    let mut means: Vec<f64> = means.collect();
    if means.len() < 3 {
        return None;
    }
    let usual = median(&mut means);
    let ended_s = ended_at.as_secs_f64();
    let behind: Vec<IntervalInfo> = [during, after]
        .into_iter()
        .flatten()
        .flat_map(|(stage, model)| {
            let begun_s = stage.begun_at().as_secs_f64();
            let shifted =
                move |of: &IntervalInfo| IntervalInfo { t_s: begun_s + of.t_s - ended_s, ..of.clone() };
            model.intervals.iter().filter(|of| !of.drain).map(shifted)
        })
        .filter(|interval| interval.t_s > 0.0)
        .collect();
    calm_after_s(&behind.iter().collect::<Vec<_>>(), AS_BEFORE * usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: StageId = StageId(0);
    const DURING: StageId = StageId(1);

    /// A second in which so many took so long each, in milliseconds.
    fn second(stage: StageId, number: u64, ok: u64, each_ms: u64) -> Second {
        let at = |s: u64| Stamp(s * 1_000_000_000);
        let part = Part { ok, sum_ns: ok * each_ms * 1_000_000, ..Part::default() };
        Second { stage, span: Span { from: at(number), to: at(number + 1) }, parts: vec![part] }
    }

    #[test]
    fn clients_lose_what_they_waited_for_longer_than_as_many_did_before() {
        let mut seconds = Seconds::default();
        seconds.kept.extend((0..10).map(|number| second(BEFORE, number, 100, 10)));
        // Before the migration began, then a stall of two seconds whose eight victims answer at its end.
        seconds.kept.push(second(DURING, 10, 100, 30));
        seconds.kept.push(second(DURING, 11, 0, 0));
        seconds.kept.push(second(DURING, 12, 8, 2_010));
        let lost = seconds.lost(BEFORE, DURING, Stamp(11_000_000_000));
        assert_eq!((lost.us, lost.noise_us), (16_000_000, 0));
        // A second before that wavers by as much each way makes noise of it.
        let mut wavering = Seconds::default();
        wavering
            .kept
            .extend((0..10).map(|number| second(BEFORE, number, 100, if number % 2 == 0 { 9 } else { 11 })));
        wavering.kept.push(second(DURING, 10, 100, 10));
        let lost = wavering.lost(BEFORE, DURING, Stamp::ZERO);
        // Each second is 100 ms off; 2 · 100 ms · √(10 ÷ 9).
        assert_eq!((lost.us, lost.noise_us), (0, 210_819));
    }

    #[test]
    fn failures_belong_to_the_statement_at_work_and_then_to_the_last() {
        let mut seconds = Seconds::default();
        for number in [5, 6, 9] {
            let mut failed = second(DURING, number, 1, 1);
            failed.parts[0].errors = BTreeMap::from([("0A000".to_owned(), 1), ("55P03".to_owned(), number)]);
            seconds.kept.push(failed);
        }
        let at = |ms: u64| Stamp(ms * 1_000_000);
        let one = |statement, from, released| DdlTry {
            statement,
            number: 1,
            backend: crate::units::BackendId(1),
            span: Span { from: at(from), to: at(released) },
            released_at: at(released),
            committed: true,
            error: None,
            waits: Vec::new(),
            held: Vec::new(),
            rewritten: Vec::new(),
            rebuilt: Vec::new(),
            scanned: None,
            invalid_indexes: Vec::new(),
            wal_bytes: None,
            temp_bytes: None,
            server_wal_bytes: None,
            affected_rows: None,
            foreseen: None,
            implicit_commit: false,
        };
        let plan = ["ALTER TABLE t DROP a", "VACUUM FULL t"]
            .map(|sql| DdlStatement { sql: sql.to_owned(), ..DdlStatement::default() });
        let found = seconds.failures(DURING, &[one(0, 5_000, 5_700), one(1, 5_700, 6_100)], &plan);
        let told = |code: &str| -> Vec<(usize, u64)> {
            found.iter().filter_map(|(of, _, errors, _)| Some((*of, *errors.get(code)?))).collect()
        };
        assert_eq!(told("55P03"), [(0, 5), (1, 6), (1, 9)]);
        // No VACUUM changes what a prepared statement gives.
        assert_eq!(told("0A000"), [(0, 1), (0, 1), (0, 1)]);
    }
}
