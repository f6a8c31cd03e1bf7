//! Candidates that the planner would use, found out by building each in a transaction that is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use super::candidates::{Candidate, ROWS_MIN, TableFacts, of_plan};
use super::explain::explained;
use crate::dataset::DatasetError;
use crate::dataset::index::{Explained, Suggestion};
use crate::dataset::postgres::server::failed;
use crate::db::postgres::Client;
use crate::sql::index::CreateIndex;
use crate::workload::Workload;

/// A candidate is measured where the planner thinks that a statement costs at most this share with it.
const COST_MAX: f64 = 0.9;
/// Of two that begin alike the longer one is measured where it leaves less than this share of what the shorter one leaves.
const LEFT_MAX: f64 = 0.8;
/// Candidates that are tried out.
const TRIED_MAX: usize = 24;

/// Sizes of the tables `$1`, and how many values their columns have.
const FACTS: &str = "
    SELECT CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted, greatest(c.reltuples, 0)::float8 AS rows,
           s.attname::text AS column_name,
           (CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(c.reltuples, 1) ELSE s.n_distinct END)::float8 AS values
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
    WHERE c.relkind = 'r' AND CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END = ANY ($1)";

/// Foreign keys of the tables `$1` that no index serves.
const BARE_KEYS: &str = "
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted, con.conname::text AS name,
           con.confrelid::regclass::text AS parent, con.confdeltype IN ('c', 'n', 'd') AS cascades,
           ARRAY(SELECT a.attname::text FROM unnest(con.conkey) WITH ORDINALITY AS k (number, place)
                 JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number ORDER BY k.place) AS columns
    FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE con.contype = 'f' AND c.relkind = 'r' AND c.reltuples >= $2::float8
      AND CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = con.conrelid AND i.indisvalid AND i.indpred IS NULL
          AND cardinality(con.conkey) <= i.indnkeyatts
          AND (SELECT array_agg(k ORDER BY k) FROM unnest((i.indkey::int2[])[0:cardinality(con.conkey) - 1]) k)
              = (SELECT array_agg(k ORDER BY k) FROM unnest(con.conkey) k))
    ORDER BY 1, 2";

/// At most `most` indexes that the planner would use for a statement of the workload, or that a cascade needs; what saves most of the
/// mix comes first. `known` is what statements are planned as now.
pub async fn suggested(
    client: &Client,
    workload: &Workload,
    known: &[Option<Explained>],
    most: usize,
) -> Result<Vec<Suggestion>, DatasetError> {
    let names: BTreeSet<String> = known.iter().flatten().flat_map(|of| of.tables.iter().cloned()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let tables = facts(client, &names).await?;
    let mut candidates: Vec<(Candidate, bool)> = Vec::new();
    for candidate in known.iter().flatten().flat_map(|of| of_plan(of, &tables)) {
        if !candidates.iter().any(|(other, _)| {
            other.keys == candidate.keys
                && other.carried == candidate.carried
                && other.table == candidate.table
        }) {
            candidates.push((candidate, false));
        }
    }
    for (candidate, cascades) in bare_keys(client, &names).await? {
        if !candidates.iter().any(|(other, _)| {
            candidate.is_in(other) || candidate.keys == other.keys && candidate.table == other.table
        }) {
            candidates.push((candidate, cascades));
        }
    }
    candidates.truncate(TRIED_MAX);
    let mut found: Vec<(Candidate, Saved)> = Vec::new();
    for (candidate, cascades) in candidates {
        let Some(saved) = try_out(client, workload, known, &candidate).await? else { continue };
        if saved.sum() > 0.0 || cascades {
            found.push((candidate, saved));
        }
    }
    let is_best = |(candidate, saved): &&(Candidate, Saved)| {
        found.iter().all(|(other, of_other)| {
            let beaten_by_longer = candidate.is_in(other) && saved.is_much_less_than(of_other);
            let no_better_than_shorter = other.is_in(candidate) && !of_other.is_much_less_than(saved);
            !beaten_by_longer && !no_better_than_shorter
        })
    };
    let mut kept: Vec<&(Candidate, Saved)> = found.iter().filter(is_best).collect();
    kept.sort_by(|(_, one), (_, other)| other.sum().total_cmp(&one.sum()));
    kept.truncate(most);
    let suggestion = |(candidate, saved): &(Candidate, Saved)| {
        let index = CreateIndex::parse(&candidate.statement()).ok()?;
        let words = if saved.words.is_empty() { String::new() } else { format!("; {}", saved.words) };
        Some(Suggestion { index, why: format!("{}{words}", candidate.why) })
    };
    Ok(kept.into_iter().filter_map(suggestion).collect())
}

async fn facts(client: &Client, names: &[String]) -> Result<BTreeMap<String, TableFacts>, DatasetError> {
    let rows = client.query(FACTS, &[&names]).await.map_err(failed("ask for the sizes of the tables"))?;
    let mut tables: BTreeMap<String, TableFacts> = BTreeMap::new();
    for row in rows {
        let table = tables.entry(row.get("name")).or_default();
        table.quoted = row.get("quoted");
        table.rows = row.get("rows");
        if let (Some(column), Some(values)) = (row.get("column_name"), row.get("values")) {
            table.distinct.insert(column, values);
        }
    }
    Ok(tables)
}

async fn bare_keys(client: &Client, names: &[String]) -> Result<Vec<(Candidate, bool)>, DatasetError> {
    let rows = client.query(BARE_KEYS, &[&names, &ROWS_MIN]).await;
    let rows = rows.map_err(failed("look for foreign keys without an index"))?;
    let candidate = |row: &tokio_postgres::Row| {
        let columns: Vec<String> = row.get("columns");
        let (name, parent): (String, String) = (row.get("name"), row.get("parent"));
        let candidate = Candidate {
            table: row.get("quoted"),
            keys: columns.into_iter().map(|column| (column, false)).collect(),
            carried: Vec::new(),
            why: format!("no index serves the foreign key {name} to {parent}"),
        };
        (candidate, row.get("cascades"))
    };
    Ok(rows.iter().map(candidate).collect())
}

/// What the planner thinks that a candidate saves.
struct Saved {
    /// Cost of each statement before and behind it, by its share of the mix; the same where it is not used.
    costs: Vec<(f64, f64)>,
    words: String,
}

impl Saved {
    fn sum(&self) -> f64 {
        self.costs.iter().map(|(before, after)| before - after).sum()
    }

    /// Whether the other one leaves clearly less of what either of them saves something of. Beside a scan of a whole table any index
    /// saves nearly all; what is left tells them apart.
    fn is_much_less_than(&self, other: &Self) -> bool {
        let both = || self.costs.iter().zip(&other.costs);
        let served = both().filter(|(one, two)| one.1 < one.0 || two.1 < two.0);
        let (own, others) =
            served.fold((0.0, 0.0), |(own, others), (one, two)| (own + one.1, others + two.1));
        others < LEFT_MAX * own
    }
}

/// Builds a candidate, asks for the plans, and takes it back. Nothing where it cannot be built.
async fn try_out(
    client: &Client,
    workload: &Workload,
    known: &[Option<Explained>],
    candidate: &Candidate,
) -> Result<Option<Saved>, DatasetError> {
    let doing = || format!("try out {}", candidate.statement());
    client.batch_execute("BEGIN").await.map_err(failed(doing()))?;
    let built = client.batch_execute(&candidate.statement()).await.is_ok();
    let plans = if built { explained(client, workload).await } else { Ok(Vec::new()) };
    client.batch_execute("ROLLBACK").await.map_err(failed(doing()))?;
    if !built {
        return Ok(None);
    }
    let plans = plans?;
    let all: f64 = workload.transactions.iter().map(|transaction| transaction.weight).sum();
    let mut saved = Saved { costs: Vec::new(), words: String::new() };
    let mut best = 0.0;
    for ((statement, before), after) in workload.statements.iter().zip(known).zip(&plans) {
        let (Some((before, cost)), Some((after, cost_after))) =
            (priced(before.as_ref()), priced(after.as_ref()))
        else {
            saved.costs.push((0.0, 0.0));
            continue;
        };
        let weight = workload.transactions[statement.transaction.index()].weight / all;
        // Another index would be there before as well.
        let is_new = after.difference(before).next().is_some();
        let is_used = is_new && cost_after <= cost * COST_MAX;
        let less = if is_used { (cost - cost_after) * weight } else { 0.0 };
        saved.costs.push((cost * weight, cost * weight - less));
        if less > best {
            best = less;
            saved.words = format!(
                "the planner would use it for {}, at a cost of {cost_after:.0} in place of {cost:.0}",
                statement.tag
            );
        }
    }
    Ok(Some(saved))
}

/// The indexes of a plan, and what it costs.
fn priced(of: Option<&Explained>) -> Option<(&BTreeSet<String>, f64)> {
    of.and_then(|of| of.indexes.as_ref().zip(of.cost))
}
