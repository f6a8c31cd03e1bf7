//! A migration check, from its journal: what each statement did, whom it kept waiting, and what is different afterwards.

pub(super) mod advice;
mod before_after;
mod charges;
mod conditions;
mod course;
mod form;
mod outcome;

use std::collections::BTreeMap;

use crate::model::{self, BlastRadius, DdlInfo, DisturbanceInfo, MigrationOutcome, Stage, VictimInfo};
use crate::record::entry::{Header, Interval};
use crate::record::migration::{DdlTry, MigrationEnded, MigrationEntry, MigrationPlanRecord};
use crate::units::{BackendId, Span, StageId, Stamp};

use super::stage::StageAnalysis;
use before_after::Sections;
use charges::Charge;
use course::Seconds;

pub(super) use conditions::verdict;

/// A migration check in the making.
pub(super) struct Book {
    plan: MigrationPlanRecord,
    begun: Option<(Stamp, BackendId)>,
    tries: Vec<DdlTry>,
    disturbed: Vec<(String, BackendId, Span)>,
    ended: Option<MigrationEnded>,
    seconds: Seconds,
    sections: Sections,
}

impl Book {
    /// Takes an entry; the first one is the plan.
    pub(super) fn take(book: &mut Option<Box<Self>>, entry: &MigrationEntry) {
        if let MigrationEntry::Plan(plan) = entry {
            *book = Some(Box::new(Self::new((**plan).clone())));
        }
        let Some(book) = book else { return };
        match entry {
            MigrationEntry::Plan(_) => {}
            MigrationEntry::Begun { at, backend } => book.begun = Some((*at, *backend)),
            MigrationEntry::Disturbed { what, backend, span } => {
                book.disturbed.push((what.clone(), *backend, *span));
            }
            MigrationEntry::Tried(one) => book.tries.push((**one).clone()),
            MigrationEntry::Ended(ended) => book.ended = Some((**ended).clone()),
        }
    }

    fn new(plan: MigrationPlanRecord) -> Self {
        let sections = Sections::new(plan.before, plan.after);
        Self {
            plan,
            begun: None,
            tries: Vec::new(),
            disturbed: Vec::new(),
            ended: None,
            seconds: Seconds::default(),
            sections,
        }
    }

    /// Takes what the traffic did in an interval.
    pub(super) fn interval(&mut self, interval: &Interval, header: &Header) {
        if [self.plan.before, self.plan.during].contains(&interval.stage) {
            self.seconds.add(interval);
        }
        self.sections.add(interval, header);
    }

    /// Its part of the report. `stages` and `models` are the same stages.
    pub(super) fn to_model(
        &self,
        header: &Header,
        stages: &[StageAnalysis],
        models: &[Stage],
    ) -> model::Migration {
        let of = |id: StageId| stages.iter().zip(models).find(|(stage, _)| stage.id == id);
        let (before, during, after) = (of(self.plan.before), of(self.plan.during), of(self.plan.after));
        let during_stage = during.map(|(stage, _)| stage);
        let charges = match (during_stage, self.begun) {
            (Some(stage), Some((_, backend))) => charges::charge(stage, header, &self.tries, backend),
            _ => Vec::new(),
        };
        let statements = outcome::statements(self, during_stage, header, &charges);
        let migrations = outcome::migrations(&self.plan, &statements);
        let blast = self.blast(&charges);
        let before_after = match (before, after) {
            (Some((_, before)), Some((_, after))) => {
                let limits = conditions::limits(&self.plan.conditions);
                Some(before_after::compare(before, after, &self.sections.models(header), &limits))
            }
            _ => None,
        };
        let outcome = match &self.ended {
            None => MigrationOutcome::Unknown,
            Some(ended) if ended.stopped.is_some() => MigrationOutcome::Stopped,
            Some(ended) if ended.failed.is_some() => MigrationOutcome::Failed,
            Some(_) => MigrationOutcome::Applied,
        };
        let ended_at = self.ended.as_ref().map(|ended| ended.at);
        let mut migration = model::Migration {
            tool: self.plan.tool.clone(),
            folder: self.plan.folder.clone(),
            on_copy: self.plan.on_copy,
            outcome,
            answer: String::new(),
            conditions: Vec::new(),
            began_s: self.begun.map(|(at, _)| at.as_secs_f64()),
            took_s: self.begun.zip(ended_at).map(|((from, _), to)| (to - from).as_secs_f64()),
            recovered_s: ended_at.and_then(|at| course::recovered_s(at, before, during, after)),
            lock_timeout_ms: self.plan.lock_timeout_ms,
            retries: self.plan.retries,
            backoff_ms: self.plan.backoff_ms,
            migrations,
            victims: self.victims(header, &charges),
            statements,
            blast,
            disturbances: self.disturbed.iter().map(disturbance).collect(),
            timeline: course::timeline(&self.tries, [before, during, after].into_iter().flatten()),
            left: outcome::left(self.ended.as_ref()),
            before_after,
        };
        migration.conditions = conditions::judge(&self.plan.conditions, &migration);
        migration.answer = outcome::answer(&migration);
        migration
    }

    fn blast(&self, charges: &[Charge]) -> BlastRadius {
        let lost = self.begun.map(|(at, _)| self.seconds.lost(self.plan.before, self.plan.during, at));
        let lost = lost.unwrap_or_default();
        BlastRadius {
            blocked: charges.len() as u64,
            blocked_us_total: charges.iter().map(|charge| charge.us).sum(),
            blocked_us_max: charges.iter().map(|charge| charge.us).max().unwrap_or(0),
            lost_us: lost.us,
            lost_noise_us: lost.noise_us,
            failed: lost.failed,
            skipped: lost.skipped,
        }
    }

    /// By transaction and statement.
    fn victims(&self, header: &Header, charges: &[Charge]) -> Vec<VictimInfo> {
        let mut victims: BTreeMap<(usize, String), VictimInfo> = BTreeMap::new();
        let empty = |statement: usize, transaction: &str| VictimInfo {
            transaction: transaction.to_owned(),
            statement: statement + 1,
            blocked: 0,
            blocked_us_total: 0,
            blocked_us_max: 0,
            failures: BTreeMap::new(),
            skipped: 0,
        };
        for charge in charges {
            let key = (charge.statement, charge.victim.clone());
            let victim = victims.entry(key).or_insert_with(|| empty(charge.statement, &charge.victim));
            victim.blocked += 1;
            victim.blocked_us_total += charge.us;
            victim.blocked_us_max = victim.blocked_us_max.max(charge.us);
        }
        let transactions: Vec<&str> =
            header.workload_of(self.plan.during).transactions.iter().map(|of| of.name.as_str()).collect();
        for (statement, transaction, failures, skipped) in
            self.seconds.failures(self.plan.during, &self.tries)
        {
            let Some(name) = transactions.get(transaction) else { continue };
            let key = (statement, (*name).to_owned());
            let victim = victims.entry(key).or_insert_with(|| empty(statement, name));
            for (code, count) in failures {
                *victim.failures.entry(code).or_default() += count;
            }
            victim.skipped += skipped;
        }
        let mut victims: Vec<VictimInfo> = victims.into_values().collect();
        victims.sort_by_key(|victim| {
            std::cmp::Reverse((victim.blocked_us_total, victim.failures.values().sum::<u64>()))
        });
        victims
    }
}

fn disturbance((what, _, span): &(String, BackendId, Span)) -> DisturbanceInfo {
    DisturbanceInfo {
        what: what.clone(),
        t_s: span.from.as_secs_f64(),
        lasted_s: span.duration().as_secs_f64(),
    }
}

/// `3 (ALTER TABLE orders ADD …)`
pub(super) fn named(statement: &DdlInfo) -> String {
    const SHOWN: usize = 60;
    let text: String = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = text.chars().take(SHOWN).collect();
    let rest = if cut.len() < text.len() { "…" } else { "" };
    format!("{} ({cut}{rest})", statement.number)
}
