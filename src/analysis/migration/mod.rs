//! A migration check, from its journal: what each statement did, whom it kept waiting, and what is different afterwards.

pub(super) mod advice;
mod algorithm;
mod before_after;
mod charges;
mod conditions;
mod course;
mod growth;
mod on_mariadb;
mod outcome;
mod rehearsal;
mod relations;

use std::collections::BTreeMap;

use crate::model::{
    self, BlastRadius, Comparison, DdlInfo, DisturbanceInfo, MigrationOutcome, Stage, VictimInfo,
};
use crate::record::entry::{Header, Interval};
use crate::record::migration::{
    DdlTry, MigrationEnded, MigrationEntry, MigrationPlanRecord, RehearsalKind, ScaledRun,
};
use crate::units::{BackendId, Span, StageId, Stamp};

use super::stage::StageAnalysis;
use before_after::Sections;
use charges::Charge;
use course::Seconds;

pub(super) use conditions::verdict;

/// Pairs of slices with which before and behind are compared by turns.
const PAIRS_MIN: u32 = 2;

/// A migration check in the making: the migration, and its rehearsals in other ways.
#[derive(Default)]
pub(super) struct Books {
    /// The migration itself is the first.
    books: Vec<Book>,
    scaled: Vec<ScaledRun>,
}

/// How a migration went, for what is measured behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Whether all of it is applied.
    pub landed: bool,
    /// Indexes of the statements that did what another form of them does not.
    pub hazards: Vec<usize>,
    /// Whether the traffic queued behind a statement that waited for its own lock.
    pub queued: bool,
}

impl Books {
    /// Takes an entry; the first one is the plan of the migration itself.
    pub(super) fn take(&mut self, entry: &MigrationEntry) {
        match entry {
            MigrationEntry::Plan(plan) => {
                let mut book = Book::new((**plan).clone());
                if let Some(first) = self.books.first() {
                    // What is usual was measured once.
                    book.seconds = first.seconds.only(plan.before);
                }
                self.books.push(book);
            }
            MigrationEntry::Scaled(run) => self.scaled.push((**run).clone()),
            entry => {
                if let Some(book) = self.books.last_mut() {
                    book.take(entry);
                }
            }
        }
    }

    /// Takes what the traffic did in an interval.
    pub(super) fn interval(&mut self, interval: &Interval, header: &Header) {
        for book in &mut self.books {
            book.interval(interval, header);
        }
    }

    /// Their part of the report. `stages` and `models` are the same stages; `by_turns` compares slices before with slices behind.
    pub(super) fn to_model(
        &self,
        header: &Header,
        stages: &[StageAnalysis],
        models: &[Stage],
        by_turns: Option<Comparison>,
    ) -> Option<model::Migration> {
        let (first, others) = self.books.split_first()?;
        let by_turns = by_turns.filter(|compared| compared.pairs >= PAIRS_MIN);
        let mut migration = first.to_model(header, stages, models, by_turns);
        migration.growth = growth::growth(&first.plan, &self.scaled);
        // One that was planned and did not begin has nothing to say.
        let begun = others.iter().filter(|book| book.begun.is_some() || book.ended.is_some());
        migration.rehearsals = begun
            .map(|book| rehearsal::rehearsal(book, book.to_model(header, stages, models, None)))
            .collect();
        migration.conditions = conditions::judge(&first.plan.conditions, &migration);
        migration.without_safe_form =
            first.plan.try_safe.then(|| self.without_safe_form(&migration, is_postgres(header)));
        Some(migration)
    }

    /// Numbers of the statements that did harm and that no other one stands for.
    fn without_safe_form(&self, migration: &model::Migration, is_postgres: bool) -> Vec<usize> {
        let safe = self.books.iter().find(|book| book.plan.kind == RehearsalKind::Safe);
        let replaced: Vec<usize> =
            safe.iter().flat_map(|book| &book.plan.instead_of).flatten().map(|index| index + 1).collect();
        let harmful = migration.statements.iter().filter(|of| advice::is_hazard(of, is_postgres));
        harmful.map(|of| of.number).filter(|number| !replaced.contains(number)).collect()
    }

    /// How the migration itself went; nothing before it has ended.
    pub(super) fn so_far(
        &self,
        header: &Header,
        stages: &[StageAnalysis],
        models: &[Stage],
    ) -> Option<SoFar> {
        let first = self.books.first().filter(|book| book.ended.is_some())?;
        let migration = first.to_model(header, stages, models, None);
        let is_postgres = is_postgres(header);
        let all = migration.statements.iter().enumerate();
        Some(SoFar {
            landed: migration.outcome == MigrationOutcome::Applied,
            hazards: all
                .filter(|(_, statement)| advice::is_hazard(statement, is_postgres))
                .map(|(index, _)| index)
                .collect(),
            queued: migration.statements.iter().any(advice::is_queue),
        })
    }
}

fn is_postgres(header: &Header) -> bool {
    header.target.engine == "postgresql"
}

/// One way to apply a migration, in the making.
struct Book {
    plan: MigrationPlanRecord,
    begun: Option<(Stamp, BackendId)>,
    tries: Vec<DdlTry>,
    disturbed: Vec<(String, BackendId, Span)>,
    ended: Option<MigrationEnded>,
    seconds: Seconds,
    sections: Sections,
}

impl Book {
    fn take(&mut self, entry: &MigrationEntry) {
        match entry {
            MigrationEntry::Plan(_) | MigrationEntry::Scaled(_) => {}
            MigrationEntry::Begun { at, backend } => self.begun = Some((*at, *backend)),
            MigrationEntry::Disturbed { what, backend, span } => {
                self.disturbed.push((what.clone(), *backend, *span));
            }
            MigrationEntry::Found(statement) => self.plan.statements.push(statement.clone()),
            MigrationEntry::Tried(one) => self.tries.push((**one).clone()),
            MigrationEntry::Ended(ended) => self.ended = Some((**ended).clone()),
        }
    }

    /// The sessions that applied it.
    fn backends(&self) -> Vec<BackendId> {
        let first = self.begun.map(|(_, backend)| backend);
        let mut all: Vec<BackendId> =
            first.into_iter().chain(self.tries.iter().map(|one| one.backend)).collect();
        all.sort_unstable();
        all.dedup();
        all
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

    fn interval(&mut self, interval: &Interval, header: &Header) {
        if [self.plan.before, self.plan.during].contains(&interval.stage) {
            self.seconds.add(interval);
        }
        if self.is_migration() {
            self.sections.add(interval, header);
        }
    }

    fn is_migration(&self) -> bool {
        self.plan.kind == RehearsalKind::Migration
    }

    fn to_model(
        &self,
        header: &Header,
        stages: &[StageAnalysis],
        models: &[Stage],
        by_turns: Option<Comparison>,
    ) -> model::Migration {
        let of = |id: StageId| stages.iter().zip(models).find(|(stage, _)| stage.id == id);
        let (before, during, after) = (of(self.plan.before), of(self.plan.during), of(self.plan.after));
        let during_stage = during.map(|(stage, _)| stage);
        let charges = during_stage
            .map_or_else(Vec::new, |stage| charges::charge(stage, header, &self.tries, &self.backends()));
        let statements = outcome::statements(self, during_stage, header, &charges);
        let migrations = outcome::migrations(&self.plan, &statements);
        let blast = self.blast(&charges);
        let behind = after.filter(|_| self.is_migration());
        let before_after = match (by_turns, before, behind) {
            (Some(by_turns), ..) => Some(before_after::by_turns(by_turns)),
            (None, Some((_, before)), Some((_, after))) => {
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
            recovered_s: ended_at.and_then(|at| course::recovered_s(at, before, during, behind)),
            lock_timeout_ms: self.plan.lock_timeout_ms,
            retries: self.plan.retries,
            backoff_ms: self.plan.backoff_ms,
            migrations,
            victims: self.victims(header, &charges),
            statements,
            blast,
            disturbances: self.disturbed.iter().map(disturbance).collect(),
            timeline: course::timeline(&self.tries, [before, during, behind].into_iter().flatten()),
            left: outcome::left(self.ended.as_ref()),
            before_after,
            command: self.plan.command.clone(),
            rehearsals: Vec::new(),
            without_safe_form: None,
            relations: before
                .zip(behind)
                .map_or_else(Vec::new, |((_, before), (_, after))| relations::changes(before, after)),
            also_prepared: self
                .ended
                .as_ref()
                .and_then(|ended| ended.also_prepared.as_ref())
                .map(rehearsal::also_prepared),
            growth: None,
        };
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
            self.seconds.failures(self.plan.during, &self.tries, &self.plan.statements)
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
