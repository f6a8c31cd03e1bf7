//! What the server counted: scans of an index, its twins, and what writes cost by a fixed number of transactions.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::indexes;
use crate::model::{WholeWrites, WriteCounter, WriteCounters};
use crate::record::index::{IndexEffect, IndexPass, IndexSubject};
use crate::record::observation::{Counters, IndexCounters, StatementCounters, TableCounters};

use super::effect::is_write;
use super::{Measured, Sliced};

/// How an index was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Absent where the server does not count them, as are the entries.
    pub(super) scans: Option<u64>,
    pub(super) entries_read: Option<u64>,
    /// Statements whose plans name it.
    pub(super) by: Vec<String>,
    /// Whether every statement that touches its table has a plan that tells.
    pub(super) is_known: bool,
}

/// Over the slices of an arm, whatever pass.
pub(super) fn usage(measured: &Measured<'_>, subject: &IndexSubject, arm: usize) -> Usage {
    let mut usage = Usage { is_known: true, ..Usage::default() };
    planned(measured, subject, arm, &mut usage);
    for slice in
        measured.slices.iter().filter(|slice| slice.of.arm == arm && slice.of.pass != IndexPass::Counters)
    {
        let Some((begin, end)) = edges(slice) else { continue };
        let grown = |of: fn(&IndexCounters) -> Option<u64>| {
            let find = |counters: &Counters| {
                counters.indexes.iter().find(|row| row.index == subject.name).and_then(of)
            };
            Some(find(end)?.saturating_sub(find(begin).unwrap_or(0)))
        };
        if let Some(scans) = grown(|row| row.scans) {
            *usage.scans.get_or_insert(0) += scans;
        }
        if let Some(entries) = grown(|row| row.entries_read) {
            *usage.entries_read.get_or_insert(0) += entries;
        }
    }
    usage
}

/// By the plans of the slices of an arm. A plan's text stands in the first slice that has it.
fn planned(measured: &Measured<'_>, subject: &IndexSubject, arm: usize, usage: &mut Usage) {
    let index = subject.name.rsplit('.').next().unwrap_or(&subject.name);
    let workload = &measured.header.workload;
    let slices: Vec<Sliced<'_>> = measured
        .slices
        .iter()
        .copied()
        .filter(|slice| slice.of.arm == arm && slice.of.pass == IndexPass::Load)
        .collect();
    for id in 0..workload.statements.len() {
        let touched = measured.plan.touches.get(id).and_then(Option::as_ref);
        if touched.is_some_and(|touched| !touched.contains(&subject.table)) {
            continue;
        }
        let Some(name) = workload.statement_name(crate::units::StatementId::from_index(id)) else { continue };
        let plans: Vec<_> = slices
            .iter()
            .filter_map(|slice| slice.stage.statements.get(id))
            .flat_map(|of| &of.plans)
            .collect();
        let names_it = |text: &str| names(text, index);
        let is_used =
            plans.iter().any(|plan| names_it(&plan.summary) || plan.text.as_deref().is_some_and(names_it));
        if is_used {
            usage.by.push(name);
        }
        usage.is_known &= !plans.is_empty();
    }
}

/// Whether a plan names an index, and not another one whose name only begins with it.
fn names(plan: &str, index: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    plan.match_indices(index).any(|(at, found)| {
        let before = plan[..at].chars().next_back().is_some_and(is_part);
        let behind = plan[at + found.len()..].chars().next().is_some_and(is_part);
        !before && !behind
    })
}

/// Other indexes that do what this one does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) duplicate_of: Option<String>,
    pub(super) covered_by: Option<String>,
    pub(super) covers: Vec<String>,
}

/// By the catalogue, which was asked before anything was measured, and by the indexes of a slice.
pub(super) fn others(measured: &Measured<'_>, subject: &IndexSubject, arm: Option<usize>) -> Others {
    let of_slices = arm.map(|arm| of_slices(measured, subject, arm)).unwrap_or_default();
    let covers = if subject.covers.is_empty() { of_slices.covers } else { subject.covers.clone() };
    Others {
        duplicate_of: subject.twin.clone().or(of_slices.duplicate_of),
        covered_by: subject.covered_by.clone().or(of_slices.covered_by),
        covers,
    }
}

/// By the indexes of the last slice of an arm in which it is there.
fn of_slices(measured: &Measured<'_>, subject: &IndexSubject, arm: usize) -> Others {
    let with: Vec<Sliced<'_>> = measured.slices.iter().copied().filter(|slice| slice.of.arm == arm).collect();
    let Some((begin, end)) = with.iter().rev().find_map(edges) else { return Others::default() };
    // Others that are put to the test are not there yet, or go as well.
    let is_tested =
        |name: &str| name != subject.name && measured.plan.subjects.iter().any(|other| other.name == name);
    let infos = indexes::indexes(begin, end);
    let mut others = Others::default();
    for info in infos.iter().filter(|info| !is_tested(&info.index)) {
        let is_own = info.index == subject.name;
        let known = |name: &Option<String>| name.clone().filter(|name| !is_tested(name));
        match (known(&info.duplicate_of), known(&info.covered_by)) {
            (Some(twin), _) if is_own => others.duplicate_of = Some(twin),
            // Which of two alike is the one to spare is a matter of names; here it is the one that is put to the test.
            (Some(twin), _) if twin == subject.name => others.duplicate_of = Some(info.index.clone()),
            (_, Some(longer)) if is_own => others.covered_by = Some(longer),
            (_, Some(longer)) if longer == subject.name => others.covers.push(info.index.clone()),
            _ => {}
        }
    }
    others
}

fn edges<'a>(slice: &Sliced<'a>) -> Option<(&'a Counters, &'a Counters)> {
    let (begin, end, _) = slice.analysis.counters()?;
    Some((begin, end))
}

/// Sums over the repetitions of one arm.
#[derive(Clone, Debug, Default)]
struct Totals {
    statements: BTreeMap<usize, StatementCounters>,
    updated: u64,
    hot_updated: u64,
    growth: i64,
    repeats: u32,
    /// What the whole server wrote, where it tells that of no statement.
    whole: Option<Whole>,
    /// WAL records of all statements for each execution, one for each repetition.
    records: Vec<f64>,
    /// Heap-only share, one for each repetition with updates.
    hot: Vec<f64>,
}

/// Sums of the whole server.
#[derive(Clone, Debug, Default)]
struct Whole {
    transactions: u64,
    log_bytes: u64,
    page_changes: Option<u64>,
    /// Bytes of the log for each transaction, one for each repetition.
    each: Vec<f64>,
}

impl Whole {
    fn add(&mut self, transactions: u64, begin: &Counters, end: &Counters) {
        let log_bytes = end.server.wal_bytes.saturating_sub(begin.server.wal_bytes);
        let changes = end.server.page_changes.zip(begin.server.page_changes);
        if let Some((after, before)) = changes {
            *self.page_changes.get_or_insert(0) += after.saturating_sub(before);
        }
        self.transactions += transactions;
        self.log_bytes += log_bytes;
        self.each.push(log_bytes as f64 / transactions as f64);
    }

    /// Without and with it.
    fn between(&self, with: &Self) -> WholeWrites {
        let each = |of: &Self, sum: u64| sum as f64 / of.transactions as f64;
        let page_changes = self.page_changes.zip(with.page_changes);
        WholeWrites {
            transactions: self.transactions + with.transactions,
            log_bytes: (each(self, self.log_bytes), each(with, with.log_bytes)),
            page_changes: page_changes.map(|(without, more)| (each(self, without), each(with, more))),
        }
    }
}

/// Rows of its table that each transaction reads without the index and with it, in the slices that are measured for their times.
pub(super) fn rows_read(measured: &Measured<'_>, of: &IndexEffect) -> Option<(f64, f64)> {
    let subjects = measured.plan.subjects.iter().enumerate();
    let tables: BTreeSet<&str> = subjects
        .filter(|(place, _)| of.subject.is_none_or(|subject| subject == *place))
        .map(|(_, subject)| subject.table.as_str())
        .collect();
    let each = |arm| {
        let (mut rows, mut transactions) = (0, 0);
        for slice in measured.arm(IndexPass::Load, arm) {
            let Some((begin, end)) = edges(&slice) else { continue };
            let read = |counters: &Counters| -> u64 {
                let own = counters.tables.iter().filter(|row| tables.contains(row.table.as_str()));
                own.map(|row| row.seq_rows_read + row.idx_rows_fetched).sum()
            };
            rows += read(end).saturating_sub(read(begin));
            transactions += slice.stage.accounting.ok;
        }
        (transactions > 0).then(|| rows as f64 / transactions as f64)
    };
    // Where nothing was read in either, nothing was counted, or there was nothing to count.
    each(of.without).zip(each(of.with)).filter(|(without, with)| without + with > 0.0)
}

/// What writes cost without the index and with it.
pub(super) fn writes(measured: &Measured<'_>, of: &IndexEffect) -> Option<WriteCounters> {
    let subjects: Vec<&IndexSubject> = measured
        .plan
        .subjects
        .iter()
        .enumerate()
        .filter(|(place, _)| of.subject.is_none_or(|subject| subject == *place))
        .map(|(_, subject)| subject)
        .collect();
    let totals = |arm| {
        let mut totals = Totals::default();
        for slice in measured.arm(IndexPass::Counters, arm) {
            totals.add(&slice, measured, &subjects);
        }
        (totals.repeats > 0).then_some(totals)
    };
    let (without, with) = (totals(of.without)?, totals(of.with)?);
    if let Some((a, b)) = without.whole.as_ref().zip(with.whole.as_ref()) {
        return Some(WriteCounters {
            repeats: without.repeats.min(with.repeats),
            whole: Some(a.between(b)),
            spread: [&a.each, &b.each].into_iter().filter_map(|each| spread(each)).max_by(f64::total_cmp),
            ..WriteCounters::default()
        });
    }
    let hot_fraction = without.hot_fraction().zip(with.hot_fraction());
    let spread = [&without.records, &with.records, &without.hot, &with.hot]
        .into_iter()
        .filter_map(|values| spread(values))
        .max_by(f64::total_cmp);
    let statements = without
        .statements
        .iter()
        .filter_map(|(id, a)| counter(measured, *id, a, with.statements.get(id)?))
        .collect();
    Some(WriteCounters {
        repeats: without.repeats.min(with.repeats),
        hot_fraction,
        growth_bytes: with.growth / i64::from(with.repeats.max(1)),
        statements,
        whole: None,
        spread,
    })
}

impl Totals {
    fn add(&mut self, slice: &Sliced<'_>, measured: &Measured<'_>, subjects: &[&IndexSubject]) {
        // Only what was done to its end can be counted.
        let books = slice.stage.accounting;
        if books.ok != books.issued {
            return;
        }
        let Some((begin, end)) = edges(slice) else { return };
        // Changes of pages are counted where no statement is told what it wrote.
        if end.server.page_changes.is_some() {
            if books.ok > 0 {
                self.repeats += 1;
                self.whole.get_or_insert_default().add(books.ok, begin, end);
            }
            return;
        }
        self.repeats += 1;
        let (mut calls, mut records) = (0, 0);
        for after in &end.statements {
            let Some(id) = after.statements.first().map(|id| id.index()) else { continue };
            if !writes_to(measured, id, subjects) {
                continue;
            }
            let zero = StatementCounters::default();
            let before = begin.statements.iter().find(|row| row.query_id == after.query_id).unwrap_or(&zero);
            let all = self.statements.entry(id).or_default();
            let add = |sum: &mut u64, of: fn(&StatementCounters) -> u64| {
                let difference = of(after).saturating_sub(of(before));
                *sum += difference;
                difference
            };
            calls += add(&mut all.calls, |row| row.calls);
            records += add(&mut all.wal_records, |row| row.wal_records);
            add(&mut all.wal_full_page_images, |row| row.wal_full_page_images);
            add(&mut all.wal_bytes, |row| row.wal_bytes);
            add(&mut all.shared_blocks_dirtied, |row| row.shared_blocks_dirtied);
        }
        if calls > 0 {
            self.records.push(records as f64 / calls as f64);
        }
        let (mut updated, mut hot) = (0, 0);
        let mut tables: Vec<&str> = subjects.iter().map(|subject| subject.table.as_str()).collect();
        tables.dedup();
        for table in tables {
            let of = |counters: &Counters, value: fn(&TableCounters) -> u64| {
                counters.tables.iter().find(|row| row.table == table).map_or(0, value)
            };
            updated += of(end, |row| row.updated).saturating_sub(of(begin, |row| row.updated));
            hot += of(end, |row| row.hot_updated).saturating_sub(of(begin, |row| row.hot_updated));
        }
        self.updated += updated;
        self.hot_updated += hot;
        if updated > 0 {
            self.hot.push(hot as f64 / updated as f64);
        }
        for subject in subjects {
            let size = |counters: &Counters| {
                let row = counters.indexes.iter().find(|row| row.index == subject.name)?;
                i64::try_from(row.size_bytes).ok()
            };
            if let (Some(before), Some(after)) = (size(begin), size(end)) {
                self.growth += after - before;
            }
        }
    }

    fn hot_fraction(&self) -> Option<f64> {
        (self.updated > 0).then(|| self.hot_updated as f64 / self.updated as f64)
    }
}

fn writes_to(measured: &Measured<'_>, id: usize, subjects: &[&IndexSubject]) -> bool {
    let is_write = measured.header.workload.statements.get(id).is_some_and(|of| is_write(&of.kind));
    let touched = measured.plan.touches.get(id).and_then(Option::as_ref);
    is_write && touched.is_none_or(|touched| subjects.iter().any(|subject| touched.contains(&subject.table)))
}

/// How far values of the same lie apart, as a fraction of the largest; nothing for fewer than two.
fn spread(values: &[f64]) -> Option<f64> {
    let (min, max) = values.iter().fold((f64::INFINITY, 0.0_f64), |(min, max), v| (min.min(*v), max.max(*v)));
    (values.len() > 1).then(|| if max > 0.0 { 1.0 - min / max } else { 0.0 })
}

fn counter(
    measured: &Measured<'_>,
    id: usize,
    a: &StatementCounters,
    b: &StatementCounters,
) -> Option<WriteCounter> {
    if a.calls == 0 || b.calls == 0 {
        return None;
    }
    let each =
        |of: fn(&StatementCounters) -> u64| (of(a) as f64 / a.calls as f64, of(b) as f64 / b.calls as f64);
    let id = crate::units::StatementId::from_index(id);
    Some(WriteCounter {
        statement: measured.header.workload.statement_name(id)?,
        calls: a.calls + b.calls,
        wal_records: each(|row| row.wal_records),
        wal_full_page_images: each(|row| row.wal_full_page_images),
        wal_bytes: each(|row| row.wal_bytes),
        blocks_dirtied: each(|row| row.shared_blocks_dirtied),
    })
}

#[cfg(test)]
mod tests {
    use super::{names, spread};

    #[test]
    fn an_index_is_named_by_its_whole_name() {
        assert!(names("Index Scan using dbdyno_t_1 on t", "dbdyno_t_1"));
        assert!(names("Index Scan using \"Odd name\" on t", "Odd name"));
        assert!(!names("Index Scan using dbdyno_t_12 on t", "dbdyno_t_1"));
    }

    #[test]
    fn values_of_the_same_lie_apart_by_a_share_of_the_largest() {
        assert_eq!(spread(&[2.0]), None);
        assert_eq!(spread(&[0.0, 0.0]), Some(0.0));
        assert!((spread(&[1.96, 2.0]).expect("two") - 0.02).abs() < 1e-12);
    }
}
