//! An index experiment: for each index what it does to each statement, what writes pay for it, and what to do. Pure.

mod counted;
mod effect;
mod verdict;

#[cfg(test)]
mod tests;

use crate::model::{
    IndexEffectInfo, IndexExperiment, IndexForeignKeyInfo, IndexResult, IndexVerdict, MetricDifference,
    Report, Stage, Verdict,
};
use crate::record::entry::Header;
use crate::record::index::{IndexEffect, IndexHeader, IndexPass, IndexQuestion, IndexSlice, IndexSubject};

use super::comparison::{self, Course, Sides};
use super::stage::StageAnalysis;
use verdict::Evidence;

/// Share of its planned length that a slice must have lasted to count.
const WHOLE: f64 = 0.95;

/// A slice with what was measured in it.
#[derive(Clone, Copy)]
pub(super) struct Sliced<'a> {
    of: IndexSlice,
    analysis: &'a StageAnalysis,
    stage: &'a Stage,
}

/// All that an experiment measured.
pub(super) struct Measured<'a> {
    header: &'a Header,
    plan: &'a IndexHeader,
    slices: Vec<Sliced<'a>>,
}

impl<'a> Measured<'a> {
    fn new(
        header: &'a Header,
        plan: &'a IndexHeader,
        stages: &'a [StageAnalysis],
        models: &'a [Stage],
    ) -> Self {
        let sliced = |(analysis, stage): (&'a StageAnalysis, &'a Stage)| {
            let of = *plan.slices.iter().find(|slice| slice.stage as usize == analysis.id.index())?;
            let planned = header.stages.get(analysis.id.index())?;
            let length_s = std::time::Duration::from_nanos(planned.duration_ns).as_secs_f64();
            (stage.duration_s >= WHOLE * length_s).then_some(Sliced { of, analysis, stage })
        };
        Self { header, plan, slices: stages.iter().zip(models).filter_map(sliced).collect() }
    }

    /// The slices of one arm in one pass, in the order of their rounds.
    fn arm(&self, pass: IndexPass, arm: usize) -> Vec<Sliced<'a>> {
        let mut slices: Vec<Sliced<'a>> = self
            .slices
            .iter()
            .copied()
            .filter(|slice| slice.of.pass == pass && slice.of.arm == arm)
            .collect();
        slices.sort_by_key(|slice| slice.of.round);
        slices
    }

    /// The pairs of two arms: one of each round in which both were measured whole.
    fn course(&self, pass: IndexPass, a: usize, b: usize) -> Course<'a> {
        let of_b = self.arm(pass, b);
        let pair = |a: Sliced<'a>| {
            let b = of_b.iter().find(|b| b.of.round == a.of.round)?;
            Some(Sides { a: a.stage, b: b.stage, a_first: a.of.stage < b.of.stage })
        };
        Course { stage: None, sides: self.arm(pass, a).into_iter().filter_map(pair).collect() }
    }

    fn alpha(&self) -> f64 {
        self.header.comparison.as_ref().map_or(0.01, |comparison| comparison.alpha)
    }

    /// Every metric of two arms, judged together.
    fn differences(&self, course: &Course<'_>) -> Vec<MetricDifference> {
        // Only a journal that was edited by hand cannot be compared: the plan was checked before the run.
        comparison::differences(std::slice::from_ref(course), &[], self.alpha(), self.header.seed.0)
            .unwrap_or_default()
    }

    /// How long a round took, from its first slice to the first of the next, in seconds.
    fn round_s(&self) -> Option<f64> {
        let begun = |round: u32| {
            let of_round = self.slices.iter().filter(|s| s.of.pass == IndexPass::Load && s.of.round == round);
            of_round.map(|slice| slice.analysis.begun_at()).min()
        };
        let last = self.slices.iter().filter(|s| s.of.pass == IndexPass::Load).map(|s| s.of.round).max()?;
        let took = begun(last)? - begun(0)?;
        (last > 0).then(|| took.as_secs_f64() / f64::from(last))
    }
}

/// The experiment's part of the report; nothing where none was planned.
pub(super) fn analyse(
    header: &Header,
    stages: &[StageAnalysis],
    models: &[Stage],
) -> Option<IndexExperiment> {
    let plan = header.index.as_deref()?;
    let measured = Measured::new(header, plan, stages, models);
    let effect_of = |place: Option<usize>| -> Option<(&IndexEffect, IndexEffectInfo)> {
        let of = plan.effects.iter().find(|effect| effect.subject == place)?;
        Some((of, effect::effect(&measured, of)))
    };
    let together = (plan.subjects.len() > 1).then(|| effect_of(None)).flatten();
    let indexes: Vec<IndexResult> = plan
        .subjects
        .iter()
        .enumerate()
        .map(|(place, subject)| {
            let own = effect_of(Some(place));
            let (arms, effect) =
                own.as_ref().or(together.as_ref()).map(|(arms, effect)| (**arms, effect)).unzip();
            let result = result(&measured, subject, arms, effect);
            IndexResult { effect: own.map(|(_, effect)| effect), ..result }
        })
        .collect();
    let capacity = plan.effects.last().and_then(|whole| {
        let course = measured.course(IndexPass::Capacity, whole.without, whole.with);
        measured.differences(&course).into_iter().find(|metric| metric.metric == "throughput")
    });
    Some(IndexExperiment {
        question: match plan.question {
            IndexQuestion::Add => "add",
            IndexQuestion::Drop => "drop",
            IndexQuestion::DropUnused => "drop_unused",
            IndexQuestion::Suggest => "suggest",
        }
        .to_owned(),
        answer: verdict::answer(&indexes),
        confidence: 1.0 - measured.alpha(),
        indexes,
        together: together.map(|(_, effect)| effect),
        capacity,
        arms: plan.arms.iter().map(|arm| arm.name.clone()).collect(),
        operations: plan.operations,
        held: plan.held.clone(),
        not_hidden: plan.not_hidden.clone(),
        not_counted: plan.not_counted.clone(),
        clones: plan.clones,
        cache: plan.cache.clone(),
    })
}

/// What is to be said of one index.
fn result(
    measured: &Measured<'_>,
    subject: &IndexSubject,
    arms: Option<IndexEffect>,
    effect: Option<&IndexEffectInfo>,
) -> IndexResult {
    let used = arms.map(|arms| counted::usage(measured, subject, arms.with)).unwrap_or_default();
    let others = counted::others(measured, subject, arms.map(|arms| arms.with));
    let is_added = matches!(measured.plan.question, IndexQuestion::Add | IndexQuestion::Suggest);
    let evidence = Evidence {
        is_added,
        subject,
        effect,
        usage: &used,
        is_checked: is_checked(measured, subject),
        others: &others,
        round_s: measured.round_s(),
    };
    let decided = verdict::decide(&evidence);
    let is_to_be_done = matches!(decided.verdict, IndexVerdict::Add | IndexVerdict::Drop);
    IndexResult {
        label: subject.label.clone(),
        name: subject.name.clone(),
        definition: subject.definition.clone(),
        table: subject.table.clone(),
        table_rows: subject.rows,
        table_bytes: subject.table_bytes,
        fillfactor: subject.fillfactor,
        verdict: decided.verdict,
        reasons: decided.reasons,
        production: if is_to_be_done { subject.production.clone() } else { Vec::new() },
        caveats: if is_to_be_done { subject.caveats.clone() } else { Vec::new() },
        size_bytes: subject.size_bytes,
        size_by: subject.size_by.clone(),
        build_us: subject.build_us,
        blocks: subject.blocks.clone(),
        used_by: used.by.clone(),
        scans: used.scans,
        entries_read: used.entries_read,
        scans_before: subject.scans_before,
        duplicate_of: others.duplicate_of,
        covered_by: others.covered_by,
        covers: others.covers,
        foreign_keys: subject
            .foreign_keys
            .iter()
            .map(|key| IndexForeignKeyInfo {
                name: key.name.clone(),
                parent: key.parent.clone(),
                on_delete: key.on_delete.clone(),
                other_index: key.other_index.clone(),
            })
            .collect(),
        required: subject.required.clone(),
        why: subject.why.clone(),
        effect: None,
    }
}

/// Whether a statement of the mix deletes or updates rows to which a foreign key of the table refers.
fn is_checked(measured: &Measured<'_>, subject: &IndexSubject) -> bool {
    let changes = |kind: &str| ["delete", "update", "merge"].contains(&kind);
    measured.header.workload.statements.iter().enumerate().any(|(id, statement)| {
        let touched = measured.plan.touches.get(id).and_then(Option::as_ref);
        let is_parent = |table: &String| subject.foreign_keys.iter().any(|key| key.parent == *table);
        changes(&statement.kind) && touched.is_none_or(|touched| touched.iter().any(is_parent))
    })
}

/// A measurement that is not valid decides nothing, and one that was not decided has no verdict.
pub(super) fn conclude(report: &mut Report, is_valid: bool) {
    let Some(experiment) = &mut report.index else { return };
    if !is_valid {
        for index in &mut experiment.indexes {
            index.verdict = IndexVerdict::Inconclusive;
            index.production.clear();
            index.caveats.clear();
            index.reasons.insert(0, "the measurement is not valid: see the findings".to_owned());
        }
        experiment.answer = verdict::answer(&experiment.indexes);
    }
    let is_open = experiment.indexes.iter().any(|index| index.verdict == IndexVerdict::Inconclusive);
    if report.verdict == Verdict::None && is_open {
        report.verdict = Verdict::Inconclusive;
    }
}
