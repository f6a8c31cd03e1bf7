//! How near two databases come, in one number. Pure.
//!
//! The score is the mean of its parts, as far as they are known; each lies between 0 and 1:
//!
//! - columns: the mean over all columns of one less the mean distance of their statistics;
//! - plans: the share of the statements whose generic plan has the same shape;
//! - mix: one less half of the sum of all differences of the statements' shares of the calls;
//! - rows: the smaller of the rows per call by the larger, the mean over all statements, each as often as it is called there;
//! - cache: one less the difference of the shares of the blocks that were found in memory, weighted likewise.

use crate::dataset::TableSize;
use crate::dataset::capture::ColumnDistance;

use super::{Counters, Fidelity, StatementFidelity, TableFidelity};

/// A table that takes so much more or less for a row is named.
const SIZE_APART: f64 = 1.25;
/// So is one with so large a share of dead rows.
const DEAD: f64 = 0.05;
/// Fewer bytes say nothing.
const SIZE_MIN: f64 = 1024.0 * 1024.0;
/// Tables that are named.
const NAMED: usize = 5;

/// Puts everything together.
pub(super) fn judged(
    columns: Vec<ColumnDistance>,
    tables: Vec<TableFidelity>,
    statements: Vec<StatementFidelity>,
) -> Fidelity {
    let columns_score = mean(columns.iter().map(|column| column.score));
    let same = statements.iter().filter_map(|of| of.same_plan).map(|same| if same { 1.0 } else { 0.0 });
    let same_plan_rate = mean(same);
    let seen: f64 = statements.iter().filter_map(|of| of.source_share).sum();
    let differences = statements.iter().filter_map(|of| Some((of.source_share? - of.share).abs()));
    let mix_distance = (seen > 0.0).then(|| differences.sum::<f64>() / 2.0);
    let rows_score = weighted(&statements, |of| {
        let (there, here) = (of.source.as_ref()?.rows_per_call, of.copy.as_ref()?.rows_per_call);
        Some(nearness(there, here))
    });
    let cache_score = weighted(&statements, |of| {
        let (there, here) = (of.source.as_ref()?.hit_fraction?, of.copy.as_ref()?.hit_fraction?);
        Some(1.0 - (there - here).abs())
    });
    let parts = [columns_score, same_plan_rate, mix_distance.map(|of| 1.0 - of), rows_score, cache_score];
    Fidelity {
        score: mean(parts.into_iter().flatten()).unwrap_or(0.0),
        columns_score,
        same_plan_rate,
        mix_distance,
        rows_score,
        cache_score,
        known_to_differ: known_to_differ(&columns, &tables, &statements),
        columns,
        tables,
        statements,
    }
}

/// Of nothing there is none.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// The mean over the statements that have one, each as often as it is called there.
fn weighted(statements: &[StatementFidelity], of: impl Fn(&StatementFidelity) -> Option<f64>) -> Option<f64> {
    let known = || statements.iter().filter_map(|statement| Some((statement.source_share?, of(statement)?)));
    let all: f64 = known().map(|(share, _)| share).sum();
    (all > 0.0).then(|| known().map(|(share, value)| share * value).sum::<f64>() / all)
}

/// The smaller by the larger; nothing is as near to nothing as can be.
fn nearness(one: f64, other: f64) -> f64 {
    let (low, high) = (one.min(other), one.max(other));
    if high <= 0.0 { 1.0 } else { low / high }
}

/// What a statement gives and reads, if it was called.
pub(super) fn per_call(counted: &super::Counts) -> Option<Counters> {
    let blocks = counted.blocks_hit + counted.blocks_read;
    (counted.calls > 0.0).then(|| Counters {
        calls: counted.calls,
        rows_per_call: counted.rows / counted.calls,
        blocks_per_call: blocks / counted.calls,
        hit_fraction: (blocks > 0.0).then(|| counted.blocks_hit / blocks),
    })
}

/// How large two tables of one name are for their rows.
pub(super) fn table(name: &str, source: TableSize, copy: TableSize) -> TableFidelity {
    TableFidelity {
        table: name.to_owned(),
        source_bytes: source.bytes,
        copy_bytes: copy.bytes,
        source_bytes_per_row: source.bytes_per_row(),
        copy_bytes_per_row: copy.bytes_per_row(),
        source_dead_fraction: source.dead_fraction(),
        copy_dead_fraction: copy.dead_fraction(),
    }
}

/// What differs whatever the score says; with figures where there are some.
fn known_to_differ(
    columns: &[ColumnDistance],
    tables: &[TableFidelity],
    statements: &[StatementFidelity],
) -> Vec<String> {
    let mut lines = vec![];
    let of_columns = [
        "columns are independent of one another, but for keys, references and those that extended statistics are made of: \
         conditions on two of them at once find other numbers of rows",
        "what is inside documents and lists is made up",
    ];
    if !columns.is_empty() {
        lines.extend(of_columns.map(str::to_owned));
    }
    lines.push(access(statements));
    lines.extend(bloat(tables));
    if statements.iter().all(|of| of.source.is_none()) {
        lines.push(
            "the mix, rows per call and cache hits: no statement of the workload was counted there since pg_stat_statements was reset"
                .to_owned(),
        );
    } else if statements.iter().all(|of| of.copy.is_none()) {
        lines.push(
            "rows per call and cache hits: no statement was counted here; let pg_stat_statements count while the workload is run on \
             it (dbdyno run), and ask again"
                .to_owned(),
        );
    }
    lines
}

/// How unevenly rows are asked for shows in what is found in memory.
fn access(statements: &[StatementFidelity]) -> String {
    let hits = |of: fn(&StatementFidelity) -> Option<&Counters>| {
        let blocks = || {
            statements.iter().filter_map(|statement| {
                let counted = of(statement)?;
                Some((counted.calls * counted.blocks_per_call, counted.hit_fraction?))
            })
        };
        let all: f64 = blocks().map(|(blocks, _)| blocks).sum();
        (all > 0.0).then(|| 100.0 * blocks().map(|(blocks, hits)| blocks * hits).sum::<f64>() / all)
    };
    let guess = "which rows are asked for most is guessed from which have most children";
    match (hits(|of| of.source.as_ref()), hits(|of| of.copy.as_ref())) {
        (Some(there), Some(here)) => format!(
            "{guess}: {there:.1} % of the blocks were found in memory there, {here:.1} % here, which depends on the size of both as well"
        ),
        _ => guess.to_owned(),
    }
}

/// Tables that are larger than their rows, there or here.
fn bloat(tables: &[TableFidelity]) -> Vec<String> {
    let apart = |of: &TableFidelity| {
        let (there, here) = (of.source_bytes_per_row?, of.copy_bytes_per_row?);
        let ratio = there.max(here) / there.min(here).max(1.0);
        let is_large = of.source_bytes >= SIZE_MIN && of.copy_bytes >= SIZE_MIN;
        (is_large && (ratio >= SIZE_APART || of.source_dead_fraction >= DEAD)).then_some((ratio, there, here))
    };
    let mut found: Vec<_> = tables.iter().filter_map(|of| Some((of, apart(of)?))).collect();
    found.sort_by(|(_, one), (_, other)| other.0.total_cmp(&one.0));
    let line = |(of, (_, there, here)): &(&TableFidelity, (f64, f64, f64))| {
        format!(
            "{}: {there:.0} bytes a row and {:.0} % dead rows there, {here:.0} bytes and {:.0} % here (aged = {{ … }} leaves dead rows \
             behind)",
            of.table,
            100.0 * of.source_dead_fraction,
            100.0 * of.copy_dead_fraction
        )
    };
    let mut lines: Vec<String> = found.iter().take(NAMED).map(line).collect();
    if found.len() > NAMED {
        lines.push(format!("and {} more tables, in the same way", found.len() - NAMED));
    }
    if lines.is_empty() {
        lines
            .push("tables are packed as a load leaves them: holes and dead rows are not captured".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(rows_per_call: f64, hit_fraction: f64) -> Counters {
        Counters { calls: 10.0, rows_per_call, blocks_per_call: 4.0, hit_fraction: Some(hit_fraction) }
    }

    fn statement(share: f64, source: Counters, copy: Option<Counters>) -> StatementFidelity {
        StatementFidelity {
            statement: "t.s".into(),
            same_plan: Some(true),
            source_plan: String::new(),
            copy_plan: String::new(),
            source_share: Some(share),
            share,
            source: Some(source),
            copy,
        }
    }

    #[test]
    fn parts_that_are_not_known_do_not_count() {
        let alone = judged(vec![], vec![], vec![statement(1.0, counters(3.0, 0.9), None)]);
        assert_eq!((alone.score, alone.rows_score, alone.cache_score), (1.0, None, None));
        assert!(alone.known_to_differ.iter().any(|line| line.contains("no statement was counted here")));
        // Three quarters of the calls give the same rows, the others half as many; what is found in memory differs by a tenth.
        let found = judged(
            vec![],
            vec![],
            vec![
                statement(0.75, counters(3.0, 0.9), Some(counters(3.0, 0.8))),
                statement(0.25, counters(4.0, 0.9), Some(counters(2.0, 0.8))),
            ],
        );
        let near = |value: Option<f64>, wanted: f64| value.is_some_and(|value| (value - wanted).abs() < 1e-9);
        assert!(near(found.rows_score, 0.875) && near(found.cache_score, 0.9), "{found:?}");
        // Plans and mix agree.
        assert!(near(Some(found.score), (1.0 + 1.0 + 0.875 + 0.9) / 4.0), "{found:?}");
    }

    #[test]
    fn a_table_that_grew_by_what_died_in_it_is_named() {
        let size = |bytes: f64, rows: f64, dead: f64| TableSize { bytes, rows, live: rows, dead };
        let packed = size(10e6, 1e5, 0.0);
        let near = table("near", packed, packed);
        let grown = table("grown", size(40e6, 1e5, 25_000.0), packed);
        let lines = bloat(&[near.clone(), grown]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].starts_with("grown: 400 bytes a row and 20 % dead rows there, 100 bytes and 0 % here"),
            "{lines:?}"
        );
        assert!(bloat(&[near])[0].starts_with("tables are packed"));
    }
}
