//! How near the database of a captured workload comes to the one that it was captured from: statistics, plans, mix, rows, cache.

mod exercise;
mod score;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::dataset::capture::{ColumnDistance, DatabaseFacts, TableFacts, compare, without_values};
use crate::dataset::index::{Explained, explained};
use crate::dataset::{self, Reader, TableSize};
use crate::db::{Client, Target};
use crate::sql::lex::{TokenKind, significant};
use crate::workload::Workload;

use super::load::{attach, fill, source_statistics};
use super::{Happening, LoadShape, Observer, OpenTarget, PlannerStatistics, StudyError, TargetChoice};

/// What is compared.
#[derive(Clone)]
pub struct FidelityPlan {
    /// The workload.
    pub workload: Workload,
    /// Where its data are, or a throwaway server that is filled with them.
    pub target: TargetChoice,
    /// The database that it was captured from.
    pub against: Target,
    /// How a throwaway server is filled.
    pub shape: LoadShape,
    /// How long the mix is executed on a throwaway server, so that statements are counted.
    pub exercise: Duration,
}

/// How near one comes to the other.
#[derive(Clone, Debug, Serialize)]
pub struct Fidelity {
    /// One number from 0 to 1: the mean of the parts below, as far as they are known.
    pub score: f64,
    /// Mean of the scores of all columns; absent where no column has statistics on both sides, each its own.
    pub columns_score: Option<f64>,
    /// Share of the statements whose generic plan has the same shape; absent where none could be compared.
    pub same_plan_rate: Option<f64>,
    /// Half of the sum of the differences of the statements' shares of the calls; absent where nothing was counted. One less it is the
    /// part of the score.
    pub mix_distance: Option<f64>,
    /// The smaller of the rows per call by the larger, the mean over the statements, weighted by their calls there; absent where nothing
    /// was counted on one side.
    pub rows_score: Option<f64>,
    /// One less the difference of the shares of the blocks that were found in memory, weighted likewise; absent where nothing was counted
    /// on one side.
    pub cache_score: Option<f64>,
    /// Every column, the farthest first.
    pub columns: Vec<ColumnDistance>,
    /// Every table that is on both sides.
    pub tables: Vec<TableFidelity>,
    /// Every statement that could be compared.
    pub statements: Vec<StatementFidelity>,
    /// What is known to differ, whatever the figures say.
    pub known_to_differ: Vec<String>,
}

/// One table on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct TableFidelity {
    /// As SQL names it.
    pub table: String,
    /// Bytes of its pages there.
    pub source_bytes: f64,
    /// Bytes of its pages here.
    pub copy_bytes: f64,
    /// Bytes for each row there; absent where it has none.
    pub source_bytes_per_row: Option<f64>,
    /// Bytes for each row here.
    pub copy_bytes_per_row: Option<f64>,
    /// Share of its rows that are dead there, 0 to 1.
    pub source_dead_fraction: f64,
    /// Share of its rows that are dead here.
    pub copy_dead_fraction: f64,
}

/// One statement on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct StatementFidelity {
    /// `transaction.statement`
    pub statement: String,
    /// Whether both plans have the same shape; absent where one side makes none.
    pub same_plan: Option<bool>,
    /// The shape of the plan there.
    pub source_plan: String,
    /// The shape of the plan here.
    pub copy_plan: String,
    /// Its share of the calls there, of those statements that the workload has; absent where nothing was counted.
    pub source_share: Option<f64>,
    /// Its share of the calls in the workload.
    pub share: f64,
    /// What was counted of it there; absent where it was not called.
    pub source: Option<Counters>,
    /// What was counted of it here.
    pub copy: Option<Counters>,
}

/// What a server counted of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Counters {
    /// How often it was called.
    pub calls: f64,
    /// Rows that it gave or changed, on average.
    pub rows_per_call: f64,
    /// Blocks that it looked at, on average.
    pub blocks_per_call: f64,
    /// Share of them that were found in the server's buffers, 0 to 1; absent where it looked at none.
    pub hit_fraction: Option<f64>,
}

/// Fills a throwaway server if need be, and compares.
pub async fn fidelity(plan: &FidelityPlan, observer: &mut Observer<'_>) -> Result<Fidelity, StudyError> {
    let target = OpenTarget::open(&plan.target, observer).await?;
    let mut statistics = None;
    if target.is_local() {
        if plan.shape.statistics == PlannerStatistics::Source {
            statistics = Some(source_statistics(&target, &plan.workload).await?);
        }
        let shape = LoadShape { statistics: PlannerStatistics::Own, ..plan.shape };
        fill(&target, &plan.workload, shape, observer).await?;
    }
    let against = OpenTarget::open(&TargetChoice::Existing(plan.against.clone()), observer).await?;
    observer(Happening::Step("comparing statistics and plans"));
    let source = Side::read(&against.control).await?;
    let mut copy = Side::read(&target.control).await?;
    let state = dataset::data_state(&target.control, &plan.workload).await?;
    let has_others = state.is_some_and(|state| state.source_statistics);
    // Columns are compared by what they are, plans by what the planner is to know.
    if let Some(statistics) = statistics {
        attach(&target, &plan.workload, &statistics, observer).await?;
    }
    let plans = |client| explained(client, &plan.workload, &[]);
    // Plans are made, nothing is executed; the server is told so all the same.
    let read_only = "SET default_transaction_read_only = on";
    dataset::run_statement(&against.control, read_only).await?.map_err(StudyError::Examine)?;
    let (there, here) = (plans(&against.control).await?, plans(&target.control).await?);
    // What it changes comes behind everything that is compared as it was loaded.
    if target.is_local() && !plan.exercise.is_zero() && !plan.workload.is_script() {
        exercise::exercise(&target, &plan.workload, plan.shape, plan.exercise, observer).await?;
        copy.counted = counted(&mut Reader::new(&target.control, &[]).await?).await?;
    }
    let (mut columns, mut of_tables) = (vec![], vec![]);
    if !has_others {
        columns = compare(&source.facts, &copy.facts);
        columns.sort_by(|one, other| one.score.total_cmp(&other.score));
        of_tables = tables(&source, &copy);
    }
    let statements = statements(
        &plan.workload,
        (there.as_slice(), source.counted.as_ref()),
        (here.as_slice(), copy.counted.as_ref()),
    );
    against.close().await?;
    target.close().await?;
    let mut found = score::judged(columns, of_tables, statements);
    if has_others {
        found.known_to_differ.insert(
            0,
            "columns and tables: the planner here was given the statistics of the source, so that they cannot be compared (ANALYZE \
             takes them back)"
                .to_owned(),
        );
    }
    Ok(found)
}

/// What was counted of a statement, in all.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: f64,
    rows: f64,
    blocks_hit: f64,
    blocks_read: f64,
}

/// What was counted, by what the text of a statement says without values.
type ByText = BTreeMap<String, Counts>;

/// One of both databases.
struct Side {
    facts: DatabaseFacts,
    /// By the place of the table among the facts.
    sizes: BTreeMap<usize, TableSize>,
    /// Absent where nothing counts.
    counted: Option<ByText>,
}

impl Side {
    async fn read(client: &Client) -> Result<Self, StudyError> {
        let mut reader = Reader::new(client, &[]).await?;
        let counted = counted(&mut reader).await?;
        reader.begin().await?;
        let mut facts = reader.tables().await?;
        reader.statistics(&mut facts).await?;
        let sizes = reader.sizes(&facts).await?;
        reader.end().await?;
        Ok(Self { facts, sizes, counted })
    }
}

/// What `pg_stat_statements` has of each statement.
async fn counted(reader: &mut Reader<'_>) -> Result<Option<ByText>, StudyError> {
    let snapshot = reader.snapshot(true).await?;
    Ok(snapshot.map(|snapshot| {
        let mut all = ByText::new();
        for counted in snapshot.statements.values() {
            let text = without_values(counted.text.as_deref().unwrap_or_default());
            let of = all.entry(signature(&text)).or_default();
            of.calls += counted.calls;
            of.rows += counted.rows;
            of.blocks_hit += counted.blocks_hit;
            of.blocks_read += counted.blocks_read;
        }
        all
    }))
}

/// The tables that are on both sides.
fn tables(source: &Side, copy: &Side) -> Vec<TableFidelity> {
    let mut found = vec![];
    for (place, table) in source.facts.tables.iter().enumerate() {
        let is_same = |of: &TableFacts| of.schema == table.schema && of.relation == table.relation;
        let other = copy.facts.tables.iter().position(is_same).and_then(|at| copy.sizes.get(&at));
        if let Some((there, here)) = source.sizes.get(&place).zip(other) {
            found.push(score::table(&table.name, *there, *here));
        }
    }
    found
}

/// A statement by its words, whatever its values and the names of its parameters are.
fn signature(sql: &str) -> String {
    let word = |token: &crate::sql::lex::Token| match token.kind {
        TokenKind::Positional | TokenKind::Parameter | TokenKind::String | TokenKind::Number => {
            "?".to_owned()
        }
        _ => token.text(sql).to_lowercase(),
    };
    let all: Vec<String> = significant(sql).iter().map(word).collect();
    let mut words: Vec<&str> = vec![];
    let mut at = 0;
    while let Some(word) = all.get(at) {
        words.push(word);
        at += 1;
        // What a capture says about the types of constants.
        if word == "?" && all.get(at).is_some_and(|next| next == "::") {
            at += 2;
            while all.get(at).is_some_and(|next| next == ".") {
                at += 2;
            }
        }
    }
    // What it says to step over rows that are there already, and to spare those that others refer to.
    let words = words.join(" ").replace(" on conflict do nothing", "");
    without_sparing(&words).unwrap_or(words)
}

/// A DELETE with nothing but its own condition, where it spares rows that others refer to.
fn without_sparing(words: &str) -> Option<String> {
    let (head, conditions) = words.split_once(" ) and not exists ( select from ")?;
    let (table, own) = head.split_once(" where ( ")?;
    let returning = conditions.find(" returning ").map_or("", |at| &conditions[at..]);
    conditions.contains(" as referring where ").then(|| format!("{table} where {own}{returning}"))
}

/// A side's plans, by the number of the statement, and what was counted there.
type Seen<'a> = (&'a [Option<Explained>], Option<&'a ByText>);

fn statements(workload: &Workload, there: Seen<'_>, here: Seen<'_>) -> Vec<StatementFidelity> {
    let texts: Vec<String> =
        workload.statements.iter().map(|statement| signature(&without_values(&statement.sql))).collect();
    let of = |counted: Option<&ByText>, at: usize| counted?.get(&texts[at]).copied();
    // Several transactions may have a statement of one text: it is counted once, and shared by their weights.
    let shares = shares(workload);
    let with_text = |text: &str| -> f64 {
        texts.iter().zip(&shares).filter(|(known, _)| *known == text).map(|(_, share)| share).sum()
    };
    let part = |at: usize| if shares[at] > 0.0 { shares[at] / with_text(&texts[at]) } else { 0.0 };
    let calls = |at: usize| of(there.1, at).map_or(0.0, |counted| counted.calls) * part(at);
    let all: f64 = (0..texts.len()).map(calls).sum();
    let shape_of = |plans: &[Option<Explained>], at: usize| {
        plans.get(at)?.as_ref().map(|explained| shape(&explained.plan))
    };
    let mut found = vec![];
    for (at, statement) in workload.statements.iter().enumerate() {
        let (source, copy) = (shape_of(there.0, at), shape_of(here.0, at));
        found.push(StatementFidelity {
            statement: statement.tag.clone(),
            same_plan: source.as_ref().zip(copy.as_ref()).map(|(source, copy)| source == copy),
            source_plan: source.unwrap_or_default(),
            copy_plan: copy.unwrap_or_default(),
            source_share: there.1.map(|_| calls(at) / all.max(1.0)),
            share: shares[at],
            source: of(there.1, at).as_ref().and_then(score::per_call),
            copy: of(here.1, at).as_ref().and_then(score::per_call),
        });
    }
    found
}

/// For each statement of the workload its share of all calls, by the weights of the transactions and how often each executes it.
fn shares(workload: &Workload) -> Vec<f64> {
    let mut calls = vec![0.0; workload.statements.len()];
    for transaction in &workload.transactions {
        for step in transaction.steps() {
            let times = f64::midpoint(f64::from(step.times.min), f64::from(step.times.max));
            calls[step.statement.index()] += transaction.weight * times;
        }
    }
    let all: f64 = calls.iter().sum();
    calls.iter().map(|calls| calls / all.max(f64::MIN_POSITIVE)).collect()
}

/// What a plan does, without costs: its nodes with their tables and indexes. That several processes share the work, or that a result is
/// kept for a while, is a matter of size.
fn shape(node: &Value) -> String {
    const OF_SIZE: [&str; 4] = ["Gather", "Gather Merge", "Memoize", "Materialize"];
    let text = |key: &str| node.get(key).and_then(Value::as_str);
    let children: Vec<String> =
        node.get("Plans").and_then(Value::as_array).into_iter().flatten().map(shape).collect();
    let kind = text("Node Type").unwrap_or("?");
    if let ([only], true) = (children.as_slice(), OF_SIZE.contains(&kind)) {
        return only.clone();
    }
    let what = [text("Join Type"), text("Relation Name"), text("Index Name")];
    let what: Vec<&str> = what.into_iter().flatten().collect();
    let what = if what.is_empty() { String::new() } else { format!(" {}", what.join(" ")) };
    let inside = if children.is_empty() { String::new() } else { format!(" ({})", children.join(", ")) };
    format!("{kind}{what}{inside}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::named::positional;

    #[test]
    fn a_shape_is_nodes_tables_and_indexes() {
        let plan = serde_json::json!({
            "Node Type": "Nested Loop", "Join Type": "Inner", "Total Cost": 9.5,
            "Plans": [
                { "Node Type": "Gather", "Plans": [{ "Node Type": "Seq Scan", "Relation Name": "a" }] },
                { "Node Type": "Memoize", "Plans": [
                    { "Node Type": "Index Scan", "Relation Name": "b", "Index Name": "b_pkey" }] },
            ],
        });
        assert_eq!(shape(&plan), "Nested Loop Inner (Seq Scan a, Index Scan b b_pkey)");
    }

    #[test]
    fn a_statement_is_known_by_its_words() {
        let there = without_values("SELECT id\nFROM t WHERE a = $1 AND b > now() - interval $2 LIMIT $3");
        let here =
            positional("SELECT id FROM t WHERE a = :a AND b > now() - '7 days'::interval LIMIT 10").sql;
        assert_eq!(signature(&there), signature(&without_values(&here)));
        // What a capture lets a DELETE spare is no word of it.
        let spares = "NOT EXISTS (SELECT FROM c AS referring WHERE referring.\"t_id\" = t.\"id\")";
        for (end, own) in [("", "a = $1 OR b = $2"), (" RETURNING id", "a = $1")] {
            let there = format!("DELETE FROM t WHERE {own}{end}");
            let here = format!("DELETE FROM t WHERE ({own}) AND {spares} AND {spares}{end}");
            assert_eq!(signature(&there), signature(&here));
        }
        assert_eq!(signature("SELECT 1 WHERE (a) AND b"), "select ? where ( a ) and b");
        // Types that it gives to parameters are none either.
        let typed = "SELECT $1::integer + $2::integer FROM t WHERE c = $3::app.\"Kind\" AND d::text = 'x'";
        assert_eq!(signature(typed), signature("SELECT $1 + $2 FROM t WHERE c = $3 AND d::text = $4"));
    }
}
