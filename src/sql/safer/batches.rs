//! Rows of a whole table changed in ranges of blocks, each in a transaction of its own.

use std::ops::Range;

use super::text::{Text, bare};
use super::{Safer, alone};

/// Blocks that a batch reads: a few thousand rows of usual width.
const BLOCKS_OF_BATCH: u32 = 64;
/// Pause between two batches, in seconds.
const BETWEEN_BATCHES_S: &str = "0.01";

/// Only where a row that is met twice is changed to the same again.
pub(super) fn in_batches(of: &Text<'_>) -> Option<Vec<Safer>> {
    let is_update = of.word(0, "UPDATE");
    let begin = if is_update { 1 } else { 2 };
    if !is_update && !of.word(1, "FROM") || of.word(begin, "ONLY") {
        return None;
    }
    let (table, next) = of.qualified(begin)?;
    let filter = (next..of.tokens.len()).find(|at| of.word(*at, "WHERE") && of.depth(*at) == 0);
    let changes = next..filter.unwrap_or(of.tokens.len());
    let has = |word: &str| (0..of.tokens.len()).any(|at| of.word(at, word) && of.depth(at) == 0);
    if has("RETURNING") || has("FROM") && is_update || has("USING") || has("CURRENT") {
        return None;
    }
    if is_update && !(of.word(next, "SET") && is_repeatable(of, next + 1..changes.end)) {
        return None;
    }
    // A DELETE with an alias.
    if !is_update && !changes.is_empty() {
        return None;
    }
    let condition = filter.map(|at| of.text(at + 1..of.tokens.len()));
    Some(vec![alone(&batches(&table, of.text(0..changes.end), condition))])
}

/// Whether no column that is set is read for it.
fn is_repeatable(of: &Text<'_>, changes: Range<usize>) -> bool {
    of.parts(changes.clone()).iter().all(|part| {
        let Some(column) = of.name(part.start) else { return false };
        let alike = |other: &usize| of.name(*other).is_some_and(|name| bare(name) == bare(column));
        changes.clone().filter(alike).count() == 1
    })
}

/// A block that changes a table range by range. New versions of rows that land behind the end of before are left as they are.
pub(super) fn batches(table: &str, change: &str, condition: Option<&str>) -> String {
    let and = condition.map_or_else(String::new, |condition| format!(" AND ({condition})"));
    let literal = table.replace('\'', "''");
    format!(
        "DO $dbdyno$ DECLARE block bigint := 0; blocks bigint := pg_relation_size('{literal}') / \
         current_setting('block_size')::bigint; BEGIN WHILE block < blocks LOOP {change} WHERE ctid >= format('(%s,0)', block)::tid \
         AND ctid < format('(%s,0)', block + {BLOCKS_OF_BATCH})::tid{and}; COMMIT; block := block + {BLOCKS_OF_BATCH}; PERFORM \
         pg_sleep({BETWEEN_BATCHES_S}); END LOOP; END $dbdyno$"
    )
}
