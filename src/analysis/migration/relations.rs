//! Tables and indexes before and behind a migration: which came or went, which changed their size, and which the traffic uses
//! otherwise. From the server's counters of both stages.

use crate::model::{IndexInfo, RelationChange, Stage};

/// Sizes that differ by less, of either side, are alike.
const SIZES_ALIKE: f64 = 0.05;
/// And so are those that differ by less than this, whatever their share.
const BYTES_ALIKE: u64 = 256 * 1024;
/// An index is used otherwise from this ratio of scans on, or of entries that were read where nobody counts scans, if there were so many
/// on one side.
const USED_OTHERWISE: f64 = 2.0;
const SCANS_MIN: u64 = 20;
/// More changes than this are no news but another application.
const CHANGES_MAX: usize = 200;

/// What is different, tables before their indexes, by name.
pub(super) fn changes(before: &Stage, after: &Stage) -> Vec<RelationChange> {
    let mut changes = tables(before, after);
    changes.extend(indexes(before, after));
    changes.sort_by(|a, b| {
        let key = |of: &RelationChange| {
            (of.table.clone().unwrap_or_else(|| of.relation.clone()), of.table.is_some())
        };
        key(a).cmp(&key(b)).then_with(|| a.relation.cmp(&b.relation))
    });
    changes.truncate(CHANGES_MAX);
    changes
}

/// A table that nobody touched in a stage is not told of there: one that is missing on a side has not gone.
fn tables(before: &Stage, after: &Stage) -> Vec<RelationChange> {
    let both = before.tables.iter().filter_map(|a| {
        let b = after.tables.iter().find(|b| b.table == a.table)?;
        differs(a.size_bytes, b.size_bytes).then(|| RelationChange {
            relation: a.table.clone(),
            table: None,
            before_bytes: Some(a.size_bytes),
            after_bytes: Some(b.size_bytes),
            before_scans_per_s: per_s(a.idx_scans, before),
            after_scans_per_s: per_s(b.idx_scans, after),
        })
    });
    both.collect()
}

fn indexes(before: &Stage, after: &Stage) -> Vec<RelationChange> {
    let knows = |stage: &Stage, table: &str| stage.tables.iter().any(|of| of.table == table);
    let is_known = |index: &&IndexInfo| knows(before, &index.table) && knows(after, &index.table);
    let find = |stage: &Stage, index: &IndexInfo| {
        stage.indexes.iter().find(|of| of.index == index.index && of.table == index.table).cloned()
    };
    let old = before.indexes.iter().filter(is_known).map(|a| (Some(a.clone()), find(after, a)));
    let new = after.indexes.iter().filter(is_known).filter(|b| find(before, b).is_none());
    let pairs = old.chain(new.map(|b| (None, Some(b.clone()))));
    let change = |(a, b): (Option<IndexInfo>, Option<IndexInfo>)| {
        let is_news = match (&a, &b) {
            (Some(a), Some(b)) => {
                differs(a.size_bytes, b.size_bytes) || is_used_otherwise(a, before, b, after)
            }
            _ => true,
        };
        let any = a.as_ref().or(b.as_ref())?;
        is_news.then(|| RelationChange {
            relation: any.index.clone(),
            table: Some(any.table.clone()),
            before_bytes: a.as_ref().map(|of| of.size_bytes),
            after_bytes: b.as_ref().map(|of| of.size_bytes),
            before_scans_per_s: a.as_ref().and_then(|of| per_s(of.uses()?, before)),
            after_scans_per_s: b.as_ref().and_then(|of| per_s(of.uses()?, after)),
        })
    };
    pairs.filter_map(change).collect()
}

fn per_s(count: u64, stage: &Stage) -> Option<f64> {
    (stage.duration_s > 0.0).then(|| count as f64 / stage.duration_s)
}

fn differs(a: u64, b: u64) -> bool {
    let apart = a.abs_diff(b);
    apart >= BYTES_ALIKE && apart as f64 > SIZES_ALIKE * a.max(b) as f64
}

fn is_used_otherwise(a: &IndexInfo, before: &Stage, b: &IndexInfo, after: &Stage) -> bool {
    let Some((a, b)) = a.uses().zip(b.uses()).filter(|(a, b)| *a.max(b) >= SCANS_MIN) else { return false };
    let (Some(a), Some(b)) = (per_s(a, before), per_s(b, after)) else { return false };
    a.max(b) >= USED_OTHERWISE * a.min(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_little_is_alike() {
        assert!(!differs(8_192, 65_536), "few bytes");
        assert!(!differs(100_000_000, 104_000_000), "a small share");
        assert!(differs(100_000_000, 120_000_000) && differs(20_000_000, 10_000_000));
    }
}
