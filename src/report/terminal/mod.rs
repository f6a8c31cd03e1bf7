//! The report for a terminal: what a person reads in ten seconds stands on top, details below. Each section is a file and
//! a function of a part of the model.

pub(in crate::report) mod blocks;
mod calibration;
mod capacity;
mod compared;
mod comparison;
mod contention;
mod endurance;
mod grid;
mod head;
mod history;
mod index;
mod ledger;
mod load;
mod locks;
mod measures;
mod method;
mod migration;
mod page;
mod phases;
mod plans;
mod pooler;
mod put_on;
mod rehearsal;
mod server;
mod server_time;
mod spark;
mod statements;
mod storm;
mod study;
mod value;

use crate::model::{PoolStudy, Report, Stage, Verdict};
use page::Page;

pub(in crate::report) use page::Style;

pub use calibration::render as calibration;
pub use compared::{difference, render as compared};
pub use history::{runs, trend};

/// Narrowest page; a smaller terminal wraps by itself.
const WIDTH_MIN: usize = 80;
/// Widest page: longer lines are hard to follow.
const WIDTH_MAX: usize = 120;

/// What a report comes to: a badge of one word, and a sentence.
pub(in crate::report) fn headline(report: &Report) -> (String, String) {
    let (_, badge, sentence) = head::verdict(report);
    (badge, sentence)
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The three gravest findings, one stage, the costliest statements, waits and locks.
    #[default]
    Summary,
    /// All findings, all stages, all statements, tables, indexes, settings.
    Full,
}

/// How the page looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal; used from 80 to 120.
    pub width: usize,
    /// Whether colours and weights may be used.
    pub colour: bool,
    /// How much is said.
    pub detail: Detail,
}

impl Default for Options {
    fn default() -> Self {
        Self { width: WIDTH_MIN, colour: false, detail: Detail::Summary }
    }
}

/// The report as text for a terminal, every line at most as wide as the page, with a line end after the last.
#[must_use]
pub fn render(report: &Report, options: &Options) -> String {
    let mut page = Page::new(options.width.clamp(WIDTH_MIN, WIDTH_MAX), options.colour);
    let full = options.detail == Detail::Full;
    head::title(&mut page, report);
    if let Some(study) = &report.study {
        study::section(&mut page, study, full);
        storm::by_size(&mut page, &report.stages);
    }
    if let Some(experiment) = &report.index {
        index::section(&mut page, experiment, full);
    }
    if let Some(compared) = &report.comparison
        && (report.index.is_none() || full || report.verdict == Verdict::Fail)
    {
        comparison::section(&mut page, compared, full);
    }
    if let Some(migration) = &report.migration {
        migration::section(&mut page, migration, full);
    }
    if let Some(capacity) = &report.capacity {
        capacity::section(&mut page, capacity);
    }
    head::findings(&mut page, &report.findings, full);
    head::budgets(&mut page, &report.budgets);
    if report.study.is_none() && report.comparison.is_none() && report.capacity.is_none() {
        // Slices by turns have a section of their own.
        let own = if report.migration.is_some() && !full { 3 } else { usize::MAX };
        let measured = report.stages.iter().filter(|stage| stage.measured || full).take(own);
        load::comparison(&mut page, &measured.cloned().collect::<Vec<_>>(), full);
    }
    if let Some(migration) = &report.migration {
        migration::differences(&mut page, migration, full);
    }
    let is_only = report.stages.iter().filter(|stage| stage.measured).count() < 2;
    for stage in shown_stages(report, full) {
        // Of an experiment its own section tells all that the slices say together.
        if report.index.is_some() && !full || report.comparison.is_some() && !stage.measured {
            continue;
        }
        if !is_only || !stage.measured {
            page.divider(&load::stage_title(report, stage));
        }
        if let Some(why) = why_shown(report, stage).filter(|_| !full && !is_only) {
            page.paragraph(page::INDENT, page::Style::Dim, &format!("{why}; --full shows all stages"));
        }
        if report.migration.is_some() && !full {
            migration_sections(&mut page, stage);
        } else if (report.study.is_some() || report.comparison.is_some()) && !full {
            work_sections(&mut page, stage, full);
        } else {
            stage_sections(&mut page, stage, full);
        }
    }
    if !is_only {
        page.divider("all stages");
    }
    if report.stages.is_empty() {
        page.heading("nothing was measured", "");
        page.paragraph(page::INDENT, page::Style::Plain, "The run ended before its first stage began.");
    }
    method::events(&mut page, &report.events, full);
    method::section(&mut page, report, full);
    page.finish()
}

/// What a study says of one of its sizes: its table has told the rest.
fn work_sections(page: &mut Page, stage: &Stage, full: bool) {
    load::transactions(page, stage);
    ledger::overview(page, stage);
    measures::measures(page, stage);
    measures::gauges(page, stage);
    statements::times(page, stage, full);
    plans::changes(page, stage, full);
    contention::waits(page, stage, full);
    contention::locks(page, stage, full);
    lock_stories(page, stage, full);
}

/// What the sections of a migration have not told of the stage in which it was applied.
fn migration_sections(page: &mut Page, stage: &Stage) {
    load::throughput(page, stage);
    load::transactions(page, stage);
    contention::pool(page, stage);
    contention::locks(page, stage, false);
    locks::chains(page, stage, false);
    locks::deadlocks(page, stage, false);
}

fn stage_sections(page: &mut Page, stage: &Stage, full: bool) {
    load::throughput(page, stage);
    load::transactions(page, stage);
    ledger::overview(page, stage);
    load::timeline(page, stage, full);
    measures::measures(page, stage);
    measures::gauges(page, stage);
    statements::times(page, stage, full);
    plans::changes(page, stage, full);
    if full {
        statements::costs(page, stage);
        plans::section(page, stage);
        phases::section(page, stage);
        ledger::details(page, stage);
    }
    contention::pool(page, stage);
    pooler::section(page, stage);
    contention::waits(page, stage, full);
    contention::locks(page, stage, full);
    lock_stories(page, stage, full);
    server::counters(page, stage);
    if full {
        server::io(page, stage);
        server::tables(page, stage);
        server::indexes(page, stage);
    }
}

fn lock_stories(page: &mut Page, stage: &Stage, full: bool) {
    locks::chains(page, stage, full);
    locks::matrix(page, stage, full);
    locks::deadlocks(page, stage, full);
}

/// All stages, or the one that matters.
fn shown_stages(report: &Report, full: bool) -> Vec<&Stage> {
    if full {
        return report.stages.iter().collect();
    }
    chosen_stage(report).map(|(stage, _)| stage).into_iter().collect()
}

/// Why this one stands for all, where its name does not say it.
fn why_shown(report: &Report, stage: &Stage) -> Option<&'static str> {
    let (_, why) = chosen_stage(report).filter(|(chosen, _)| chosen.name == stage.name)?;
    Some(match why {
        Chosen::BreaksBudget => "shown because a budget is broken in it",
        Chosen::KeepsGoal => "shown because it is the highest rate that kept the goal",
        Chosen::IsTheSize => "shown because it is the size that the study arrived at",
        Chosen::IsLast if report.comparison.is_some() => {
            "one slice as an example, the last one; what the arms did as a whole stands above"
        }
        Chosen::IsLast => "shown because it was measured last",
        Chosen::HoldsMigration => return None,
    })
}

/// Why a stage matters more than the others.
#[derive(Clone, Copy)]
enum Chosen {
    BreaksBudget,
    HoldsMigration,
    KeepsGoal,
    IsTheSize,
    IsLast,
}

/// The stage that matters: where a budget is broken, else the size that a study recommends, else the last one that was measured.
fn chosen_stage(report: &Report) -> Option<(&Stage, Chosen)> {
    let of_migration = || report.stages.iter().find(|stage| stage.name == "migration");
    let under_way = report.migration.as_ref().and_then(|_| of_migration());
    let broken = report.budgets.iter().find(|budget| budget.verdict == Verdict::Fail);
    let by_budget = broken.and_then(|budget| report.stages.iter().find(|stage| stage.name == budget.stage));
    let recommended = |study: &PoolStudy| study.recommended.as_ref().map(|recommended| recommended.size);
    let size = report.study.as_ref().and_then(|study| recommended(study).or(study.knee));
    let offered = |stage: &Stage| stage.offered_per_s.unwrap_or(0.0);
    let of_size =
        |size: u32| report.stages.iter().filter(move |stage| stage.measured && stage.pool.size == size);
    let at_knee = size.and_then(|size| of_size(size).max_by(|a, b| offered(a).total_cmp(&offered(b))));
    let last_measured = report.stages.iter().rfind(|stage| stage.measured);
    let at_capacity = report.capacity.as_ref().and_then(|capacity| {
        let met = capacity
            .steps
            .iter()
            .rfind(|step| step.rate_per_s == capacity.met_per_s && step.rate_per_s.is_some());
        met.and_then(|step| report.stages.iter().find(|stage| stage.name == step.stage))
    });
    let last = last_measured.or(report.stages.last());
    by_budget
        .map(|stage| (stage, Chosen::BreaksBudget))
        .or(under_way.map(|stage| (stage, Chosen::HoldsMigration)))
        .or(at_capacity.map(|stage| (stage, Chosen::KeepsGoal)))
        .or(at_knee.map(|stage| (stage, Chosen::IsTheSize)))
        .or(last.map(|stage| (stage, Chosen::IsLast)))
}

#[cfg(test)]
mod tests;
