//! How near the database of a captured workload comes to the one that it was captured from: statistics, plans, mix.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::dataset::capture::{ColumnDistance, DatabaseFacts, compare, without_values};
use crate::dataset::index::{Explained, explained};
use crate::dataset::{self, Reader};
use crate::db::{Client, Target};
use crate::sql::lex::{TokenKind, significant};
use crate::workload::Workload;

use super::load::fill;
use super::{Happening, LoadShape, Observer, OpenTarget, StudyError, TargetChoice};

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
}

/// How near one comes to the other.
#[derive(Clone, Debug, Serialize)]
pub struct Fidelity {
    /// One number from 0 to 1: the mean of those of columns, plans and mix, as far as they are known.
    pub score: f64,
    /// Mean of the scores of all columns.
    pub columns_score: f64,
    /// Share of the statements whose generic plan has the same shape; absent where none could be compared.
    pub same_plan_rate: Option<f64>,
    /// Half of the sum of the differences of the statements' shares of the calls; absent where nothing was counted.
    pub mix_distance: Option<f64>,
    /// Every column, the farthest first.
    pub columns: Vec<ColumnDistance>,
    /// Every statement that could be compared.
    pub statements: Vec<StatementFidelity>,
    /// What is known to differ, whatever the figures say.
    pub known_to_differ: Vec<String>,
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
}

/// Fills a throwaway server if need be, and compares.
pub async fn fidelity(plan: &FidelityPlan, observer: &mut Observer<'_>) -> Result<Fidelity, StudyError> {
    let target = OpenTarget::open(&plan.target, observer).await?;
    if target.is_local() {
        fill(&target, &plan.workload, plan.shape, observer).await?;
    }
    let against = OpenTarget::open(&TargetChoice::Existing(plan.against.clone()), observer).await?;
    observer(Happening::Step("comparing statistics and plans"));
    let (source, counted) = read(&against.control, true).await?;
    let (copy, _) = read(&target.control, false).await?;
    let plans = |client| explained(client, &plan.workload, &[]);
    // Plans are made, nothing is executed; the server is told so all the same.
    let read_only = "SET default_transaction_read_only = on";
    dataset::run_statement(&against.control, read_only).await?.map_err(StudyError::Examine)?;
    let (there, here) = (plans(&against.control).await?, plans(&target.control).await?);
    let mut columns = compare(&source, &copy);
    columns.sort_by(|one, other| one.score.total_cmp(&other.score));
    let shares = counted.map(|counted| shares(&plan.workload, &counted));
    let statements = statements(&plan.workload, &there, &here, shares.as_ref());
    against.close().await?;
    target.close().await?;
    Ok(judged(columns, statements))
}

/// Statistics, and where it is wanted the calls of each statement by what its text says without values.
async fn read(
    client: &Client,
    with_calls: bool,
) -> Result<(DatabaseFacts, Option<BTreeMap<String, f64>>), StudyError> {
    let mut reader = Reader::new(client, &[]).await?;
    let snapshot = if with_calls { reader.snapshot(true).await? } else { None };
    reader.begin().await?;
    let mut facts = reader.tables().await?;
    reader.statistics(&mut facts).await?;
    reader.end().await?;
    let calls = snapshot.map(|snapshot| {
        let mut calls: BTreeMap<String, f64> = BTreeMap::new();
        for counted in snapshot.statements.values() {
            let text = without_values(counted.text.as_deref().unwrap_or_default());
            *calls.entry(signature(&text)).or_default() += counted.calls;
        }
        calls
    });
    Ok((facts, calls))
}

/// A statement by its words, whatever its values and the names of its parameters are.
fn signature(sql: &str) -> String {
    let word = |token: &crate::sql::lex::Token| match token.kind {
        TokenKind::Positional | TokenKind::Parameter | TokenKind::String | TokenKind::Number => {
            "?".to_owned()
        }
        _ => token.text(sql).to_lowercase(),
    };
    let words = significant(sql).iter().map(word).collect::<Vec<_>>().join(" ");
    // What a capture says about constants, and to step over rows that are there already.
    words.replace("? :: text", "?").replace(" on conflict do nothing", "")
}

/// For each statement of the workload its share of the calls there.
fn shares(workload: &Workload, calls: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let mut known: BTreeMap<String, f64> = BTreeMap::new();
    let texts: BTreeSet<(String, String)> = workload
        .statements
        .iter()
        .map(|statement| (statement.name.clone(), signature(&without_values(&statement.sql))))
        .collect();
    for (name, text) in texts {
        known.insert(name, calls.get(&text).copied().unwrap_or(0.0));
    }
    let all: f64 = known.values().sum();
    for of in known.values_mut() {
        *of /= all.max(1.0);
    }
    known
}

fn statements(
    workload: &Workload,
    there: &[Option<Explained>],
    here: &[Option<Explained>],
    shares: Option<&BTreeMap<String, f64>>,
) -> Vec<StatementFidelity> {
    let weight = |at: usize| workload.transactions[workload.statements[at].transaction.index()].weight;
    let all: f64 = (0..workload.statements.len()).map(weight).sum();
    let mut found = vec![];
    for (at, statement) in workload.statements.iter().enumerate() {
        let shape_of = |plans: &[Option<Explained>]| {
            plans.get(at).and_then(Option::as_ref).map(|explained| shape(&explained.plan))
        };
        let (source, copy) = (shape_of(there), shape_of(here));
        found.push(StatementFidelity {
            statement: statement.tag.clone(),
            same_plan: source.as_ref().zip(copy.as_ref()).map(|(source, copy)| source == copy),
            source_plan: source.unwrap_or_default(),
            copy_plan: copy.unwrap_or_default(),
            source_share: shares.and_then(|shares| shares.get(&statement.name).copied()),
            share: weight(at) / all.max(f64::MIN_POSITIVE),
        });
    }
    found
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

fn judged(columns: Vec<ColumnDistance>, statements: Vec<StatementFidelity>) -> Fidelity {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let columns_score = mean(&columns.iter().map(|column| column.score).collect::<Vec<_>>());
    let compared: Vec<f64> =
        statements.iter().filter_map(|of| of.same_plan).map(|same| if same { 1.0 } else { 0.0 }).collect();
    let same_plan_rate = (!compared.is_empty()).then(|| mean(&compared));
    let differences: Vec<f64> =
        statements.iter().filter_map(|of| Some((of.source_share? - of.share).abs())).collect();
    let seen: f64 = statements.iter().filter_map(|of| of.source_share).sum();
    let mix_distance = (seen > 0.0).then(|| differences.iter().sum::<f64>() / 2.0);
    let parts: Vec<f64> = [Some(columns_score).filter(|_| !columns.is_empty()), same_plan_rate]
        .into_iter()
        .chain([mix_distance.map(|of| 1.0 - of)])
        .flatten()
        .collect();
    Fidelity {
        score: mean(&parts),
        columns_score,
        same_plan_rate,
        mix_distance,
        columns,
        statements,
        known_to_differ: [
            "columns are independent of one another, but for keys and references",
            "which rows are asked for most is guessed from which have most children",
            "tables are packed: bloat and dead rows are not captured (aged = { … } puts them in)",
            "what is inside documents and lists is made up",
        ]
        .map(str::to_owned)
        .into(),
    }
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
    }
}
