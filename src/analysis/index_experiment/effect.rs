//! What an index does to each statement: two arms, their slices put into pairs.

use std::collections::BTreeMap;

use crate::analysis::comparison::{CounterRule, Course, counters};
use crate::analysis::paired::{self, Levels, Metric, Pair, Wanted};
use crate::analysis::plan_differences;
use crate::model::{
    BreakEven, ChangeVerdict, CounterDifference, IndexEffectInfo, MetricDifference, NetEffect,
    PlanDifference, Ratio, Stage, StatementEffect, StatementInfo, StatementRole,
};
use crate::record::index::{IndexEffect, IndexPass};
use crate::units::StatementId;

use super::{Measured, counted};

/// The effect that two arms tell.
pub(super) fn effect(measured: &Measured<'_>, of: &IndexEffect) -> IndexEffectInfo {
    let course = measured.course(IndexPass::Load, of.without, of.with);
    let parts = of.hidden.map(|hidden| {
        let upkeep = measured.course(IndexPass::Load, of.without, hidden);
        let usage = measured.course(IndexPass::Load, hidden, of.with);
        (measured.differences(&upkeep), measured.differences(&usage))
    });
    let mut statements = statements(measured, of, &course, parts.as_ref());
    statements.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    let writes = |of: &&StatementEffect| of.touches && is_write(&of.kind) && of.role != StatementRole::Won;
    let gain_us = sum(statements.iter().filter(|of| of.role == StatementRole::Won).filter_map(saved));
    let tax_us = sum(statements.iter().filter(writes).filter_map(paid));
    IndexEffectInfo {
        pairs: u32::try_from(course.sides.len()).unwrap_or(u32::MAX),
        net: net(measured, &course),
        gain_us,
        tax_us,
        break_even: break_even(&statements),
        rows_read: counted::rows_read(measured, of),
        counters: counted::writes(measured, of),
        statements,
    }
}

pub(super) fn is_write(kind: &str) -> bool {
    ["insert", "update", "delete", "merge"].contains(&kind)
}

fn statements(
    measured: &Measured<'_>,
    of: &IndexEffect,
    course: &Course<'_>,
    parts: Option<&(Vec<MetricDifference>, Vec<MetricDifference>)>,
) -> Vec<StatementEffect> {
    let differences = measured.differences(course);
    let counts = counters(course, CounterRule::EveryPair { alpha: measured.alpha() });
    let mut plans: BTreeMap<String, Vec<PlanDifference>> = BTreeMap::new();
    for difference in plan_differences::differences(course) {
        plans.entry(difference.statement.clone()).or_default().push(difference);
    }
    let tables = tables(measured, of);
    let Some(first) = course.sides.first() else { return Vec::new() };
    let workload = &measured.header.workload;
    let effect = |(id, info): (usize, &StatementInfo)| {
        let statement = format!("{}.{}", info.transaction, info.name);
        let difference = telling(&differences, &statement)?.clone();
        let touched = measured.plan.touches.get(id).and_then(Option::as_ref);
        // What nobody knows of may touch anything.
        let touches =
            touched.is_none_or(|touched| touched.iter().any(|table| tables.contains(&table.as_str())));
        let kind = workload
            .statements
            .get(StatementId::from_index(id).index())
            .map_or(&info.kind, |known| &known.kind);
        Some(StatementEffect {
            role: role(&difference, touches),
            kind: kind.clone(),
            touches,
            per_transaction: per_transaction(course, info),
            upkeep: parts.and_then(|(upkeep, _)| ratio(upkeep, &difference.metric)),
            usage: parts.and_then(|(_, usage)| ratio(usage, &difference.metric)),
            rows: count(&counts, &statement, "rows"),
            blocks: count(&counts, &statement, "blocks"),
            rows_examined: count(&counts, &statement, "rows_examined"),
            plans: plans.get(&statement).cloned().unwrap_or_default(),
            difference,
            statement,
        })
    };
    first.a.statements.iter().enumerate().filter_map(effect).collect()
}

/// The mean of a statement's times; its median where that tells and the mean, which moments without a processor blur, does not.
fn telling<'a>(differences: &'a [MetricDifference], statement: &str) -> Option<&'a MetricDifference> {
    let of = |figure: &str| {
        let metric = format!("{statement}.execute.{figure}");
        differences.iter().find(|of| of.metric == metric)
    };
    let tells = |of: &&MetricDifference| matches!(of.verdict, ChangeVerdict::Better | ChangeVerdict::Worse);
    let mean = of("mean")?;
    if tells(&mean) { Some(mean) } else { of("p50").filter(tells).or(Some(mean)) }
}

/// The tables of the indexes that make the difference.
fn tables<'a>(measured: &Measured<'a>, of: &IndexEffect) -> Vec<&'a str> {
    let subjects = &measured.plan.subjects;
    let is_in = |place: &usize| of.subject.is_none_or(|subject| subject == *place);
    (0..subjects.len()).filter(is_in).map(|place| subjects[place].table.as_str()).collect()
}

fn role(difference: &MetricDifference, touches: bool) -> StatementRole {
    match difference.verdict {
        ChangeVerdict::Better if touches => StatementRole::Won,
        ChangeVerdict::Worse if touches => StatementRole::Taxed,
        ChangeVerdict::Better | ChangeVerdict::Worse => StatementRole::Bystander,
        ChangeVerdict::Same | ChangeVerdict::Inconclusive => StatementRole::Unchanged,
    }
}

fn ratio(differences: &[MetricDifference], metric: &str) -> Option<Ratio> {
    let found = differences.iter().find(|of| of.metric == metric)?;
    Some(Ratio { ratio: found.ratio?, interval: found.interval })
}

fn count(counts: &[CounterDifference], statement: &str, counter: &str) -> Option<(f64, f64)> {
    let found = counts.iter().find(|of| of.statement == statement && of.counter == counter)?;
    Some((found.a_per_call, found.b_per_call))
}

/// Executions of a statement for each transaction that ended ok, over both arms.
fn per_transaction(course: &Course<'_>, of: &StatementInfo) -> f64 {
    let stages = || course.sides.iter().flat_map(|sides| [sides.a, sides.b]);
    let all: u64 = stages().map(|stage| stage.accounting.ok).sum();
    let executed: u64 = stages()
        .flat_map(|stage| &stage.statements)
        .filter(|other| other.name == of.name && other.transaction == of.transaction)
        .map(|other| other.count)
        .sum();
    if all == 0 { 0.0 } else { executed as f64 / all as f64 }
}

/// By which statements are put in order: those that changed before the others, then by the time that is won or paid.
fn weight(of: &StatementEffect) -> f64 {
    let changed = match of.role {
        StatementRole::Won | StatementRole::Taxed => 2e12,
        StatementRole::Bystander => 1e12,
        StatementRole::Unchanged if of.touches => 1e11,
        StatementRole::Unchanged => 0.0,
    };
    let moved = of.difference.a.zip(of.difference.b).map_or(0.0, |(a, b)| (b - a).abs());
    changed + (moved * of.per_transaction).min(1e10)
}

/// What a statement wins for each transaction of the mix, at least and at most.
fn saved(of: &StatementEffect) -> Option<(f64, f64)> {
    let (low, high) = of.difference.interval?;
    let without = of.difference.a? * of.per_transaction;
    Some((without * (1.0 - high), without * (1.0 - low)))
}

/// What a statement pays for each transaction of the mix, at least and at most: by the arm in which the index is kept up without
/// being used, where there is one.
fn paid(of: &StatementEffect) -> Option<(f64, f64)> {
    let (low, high) = match of.upkeep {
        Some(upkeep) => upkeep.interval?,
        None => of.difference.interval?,
    };
    let without = of.difference.a? * of.per_transaction;
    Some((without * (low - 1.0), without * (high - 1.0)))
}

fn sum(parts: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    parts.fold(None, |all, (low, high)| {
        let (of_low, of_high) = all.unwrap_or((0.0, 0.0));
        Some((of_low + low, of_high + high))
    })
}

/// With r the share of the reads that win among these and the writes, it pays where r × won ≥ (1 − r) × paid.
fn break_even(statements: &[StatementEffect]) -> Option<BreakEven> {
    let of = |is_it: &dyn Fn(&&StatementEffect) -> bool, us: fn(&StatementEffect) -> Option<f64>| {
        let calls: f64 = statements.iter().filter(is_it).map(|of| of.per_transaction).sum();
        let us: f64 =
            statements.iter().filter(is_it).filter_map(|of| Some(us(of)? * of.per_transaction)).sum();
        (calls > 0.0).then(|| (calls, us / calls))
    };
    let won = |of: &&StatementEffect| of.role == StatementRole::Won;
    let writes = |of: &&StatementEffect| of.touches && is_write(&of.kind) && of.role != StatementRole::Won;
    let (reads, won_us) = of(&won, |of| Some(of.difference.a? - of.difference.b?))?;
    let (written, paid_us) = of(&writes, |of| {
        let ratio = of.upkeep.map_or(of.difference.ratio, |upkeep| Some(upkeep.ratio))?;
        Some(of.difference.a? * (ratio - 1.0))
    })?;
    let (_, paid_max) = of(&writes, |of| {
        let high = of.upkeep.map_or(of.difference.interval, |upkeep| upkeep.interval)?.1;
        Some(of.difference.a? * (high - 1.0))
    })?;
    let share = |paid: f64| {
        let paid = paid.max(0.0);
        paid / (won_us + paid)
    };
    (won_us > 0.0).then(|| BreakEven {
        read_share: share(paid_us),
        read_share_max: share(paid_max),
        read_share_of_mix: reads / (reads + written),
        won_us,
        paid_us: paid_us.max(0.0),
    })
}

/// Time in statements for each transaction, one value a slice, judged by itself.
fn net(measured: &Measured<'_>, course: &Course<'_>) -> Option<NetEffect> {
    let pairs: Vec<Option<Pair>> = course
        .sides
        .iter()
        .map(|sides| {
            Some(Pair { a: statement_us(sides.a)?, b: statement_us(sides.b)?, a_first: sides.a_first })
        })
        .collect();
    let metric = Metric { pairs: &pairs, wanted: Wanted::Low, limit: None };
    let levels =
        Levels { familywise_alpha: measured.alpha(), seed: measured.header.seed.0, ..Levels::default() };
    let judged = paired::compare(&[metric], &levels).ok()?.pop()?;
    let mean = |value: fn(&Pair) -> f64| {
        let used: Vec<f64> = pairs.iter().flatten().map(|pair| value(pair).ln()).collect();
        (!used.is_empty()).then(|| (used.iter().sum::<f64>() / used.len() as f64).exp())
    };
    let estimate = judged.estimate?;
    Some(NetEffect {
        without_us: mean(|pair| pair.a)?,
        with_us: mean(|pair| pair.b)?,
        ratio: estimate.ratio,
        interval: estimate.interval.map(|interval| (interval.low, interval.high)),
        visible: estimate.visible,
        verdict: match judged.verdict {
            paired::Verdict::Better => ChangeVerdict::Better,
            paired::Verdict::Worse => ChangeVerdict::Worse,
            paired::Verdict::Same => ChangeVerdict::Same,
            paired::Verdict::Inconclusive => ChangeVerdict::Inconclusive,
        },
    })
}

/// Time in statements for each transaction that ended ok, in microseconds.
fn statement_us(stage: &Stage) -> Option<f64> {
    let us: f64 =
        stage.statements.iter().filter_map(|of| Some(of.execute_us.mean? * of.execute_us.count as f64)).sum();
    (stage.accounting.ok > 0).then(|| us / stage.accounting.ok as f64)
}
