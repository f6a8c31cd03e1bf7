//! Whether generated rows keep the check constraints of the source and of its domains: the server evaluates them over a few rows
//! that stand in the query itself. Nothing is written. PostgreSQL 14 to 18.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio_postgres::SimpleQueryMessage;

use super::{Reader, marked};
use crate::dataset::DatasetError;
use crate::dataset::capture::{CheckFacts, DatabaseFacts, Described, LeftOut, Remark, TableFacts, TypeKind};
use crate::dataset::postgres::server::{code, failed, quoted};
use crate::generate::{Dataset, write_plain};
use crate::sql::values::{Arena, Slot};
use crate::workload::Workload;

/// Rows of each table that are tried.
const ROWS: u64 = 500;
/// Said beside what is left out.
const WHY: &str = "generated rows do not keep it";

/// What is tried, and what was found.
struct Trial<'a> {
    workload: &'a Workload,
    dataset: &'a Dataset,
    left_out: LeftOut,
    remarks: Vec<Remark>,
}

impl Reader<'_> {
    /// The constraints that generated rows break, for the schema to leave out, and what to write by hand.
    pub async fn broken_checks(
        &mut self,
        workload: &Workload,
        dataset: &Dataset,
        facts: &DatabaseFacts,
        described: &Described,
    ) -> Result<(LeftOut, Vec<Remark>), DatasetError> {
        let places: BTreeMap<&str, usize> =
            workload.tables.iter().enumerate().map(|(at, table)| (table.name.as_str(), at)).collect();
        let mut trial = Trial { workload, dataset, left_out: LeftOut::default(), remarks: vec![] };
        self.begin().await?;
        for own in described.tables.iter().map(|table| &facts.tables[table.facts]) {
            let Some(at) = places.get(own.name.as_str()) else { continue };
            self.checks(own, *at, &mut trial).await?;
            for column in own.columns.iter().filter(|column| column.domain.is_some()) {
                self.domain(own, &column.name, *at, &mut trial).await?;
            }
        }
        self.end().await?;
        Ok((trial.left_out, trial.remarks))
    }

    /// All constraints of a table in one query; where that fails, each by itself. What cannot be evaluated over rows of a query is
    /// left to the load.
    async fn checks(
        &mut self,
        own: &TableFacts,
        at: usize,
        trial: &mut Trial<'_>,
    ) -> Result<(), DatasetError> {
        if own.checks.is_empty() {
            return Ok(());
        }
        let all: Vec<&CheckFacts> = own.checks.iter().collect();
        let mut broken: Vec<&CheckFacts> = vec![];
        if let Ok(counts) = self.ask_alone(&count_of_broken(own, &all, at, trial)).await? {
            broken.extend(all.iter().zip(counts).filter(|(_, count)| *count > 0).map(|(check, _)| *check));
        } else {
            for check in all {
                let counts = self.ask_alone(&count_of_broken(own, &[check], at, trial)).await?;
                broken.extend(counts.is_ok_and(|counts| counts.first() > Some(&0)).then_some(check));
            }
        }
        for check in broken {
            trial.left_out.constraints.push((own.name.clone(), check.name.clone(), WHY.to_owned()));
            trial.remarks.push(Remark::new(
                format!("{}.{}", own.name, check.name),
                format!("{WHY}: CHECK {}", check.expression),
                "describe its columns so that they do, and put it back into schema.sql",
            ));
        }
        Ok(())
    }

    /// Casts values to a domain; the server names the constraint that they break.
    async fn domain(
        &mut self,
        own: &TableFacts,
        column: &str,
        at: usize,
        trial: &mut Trial<'_>,
    ) -> Result<(), DatasetError> {
        let Some(domain) = own.column(column).and_then(|column| column.domain.clone()) else {
            return Ok(());
        };
        let sql = rows_of(own, &[column.to_owned()], trial.workload, trial.dataset, at);
        let sql = format!("SELECT count({}::{domain}) FROM {sql}", quoted(column));
        let Err((Some(constraint), what)) = self.ask_alone(&sql).await? else { return Ok(()) };
        if trial.left_out.why(&domain, &constraint).is_none() {
            trial.left_out.constraints.push((domain.clone(), constraint.clone(), WHY.to_owned()));
            trial.remarks.push(Remark::new(
                format!("{}.{column}", own.name),
                format!("{constraint} of the domain {domain} is left out: {what}"),
                "describe the columns of this domain so that they keep it, and put it back into schema.sql",
            ));
        }
        Ok(())
    }

    /// The numbers of the only row of a query, asked so that its failure spoils nothing; else the constraint that was broken, if it
    /// was one, and the server's words.
    async fn ask_alone(
        &mut self,
        sql: &str,
    ) -> Result<Result<Vec<i64>, (Option<String>, String)>, DatasetError> {
        const DOING: &str = "try the checks";
        let begun = Instant::now();
        let asked = format!("SAVEPOINT dbdyno_check; {}; RELEASE SAVEPOINT dbdyno_check", marked(sql));
        let answer = self.client.simple_query(&asked).await;
        self.queries += 1;
        self.spent += begun.elapsed();
        let error = match answer {
            Ok(messages) => return Ok(Ok(messages.iter().flat_map(numbers).collect())),
            Err(error) => error,
        };
        let Some(said) = error.as_db_error() else { return Err(failed(DOING)(error)) };
        // check_violation
        let constraint = said.constraint().filter(|_| code(&error) == Some("23514")).map(str::to_owned);
        let words = said.message().to_owned();
        let undo = "ROLLBACK TO SAVEPOINT dbdyno_check; RELEASE SAVEPOINT dbdyno_check";
        self.client.batch_execute(undo).await.map_err(failed(DOING))?;
        Ok(Err((constraint, words)))
    }
}

fn numbers(message: &SimpleQueryMessage) -> Vec<i64> {
    let SimpleQueryMessage::Row(row) = message else { return vec![] };
    (0..row.len()).filter_map(|at| row.get(at)?.parse().ok()).collect()
}

/// A query that counts for each of some constraints of a table how many generated rows break it.
fn count_of_broken(own: &TableFacts, checks: &[&CheckFacts], at: usize, trial: &Trial<'_>) -> String {
    let columns: BTreeSet<&String> = checks.iter().flat_map(|check| &check.columns).collect();
    let columns: Vec<String> = columns.into_iter().cloned().collect();
    let counts: Vec<String> =
        checks.iter().map(|check| format!("count(*) FILTER (WHERE NOT ({}))", check.expression)).collect();
    let rows = rows_of(own, &columns, trial.workload, trial.dataset, at);
    format!("SELECT {} FROM {rows}", counts.join(", "))
}

/// Some generated rows as SQL has them in a query: `(VALUES (…), (…)) AS t (a, b)`.
fn rows_of(
    own: &TableFacts,
    columns: &[String],
    workload: &Workload,
    dataset: &Dataset,
    at: usize,
) -> String {
    let rows = dataset.rows(at);
    let step = (rows / ROWS).max(1);
    let positions: Vec<(Option<usize>, &str)> = columns
        .iter()
        .map(|name| {
            let base = own.column(name).map_or("text", |column| match (&column.domain, &column.kind) {
                (Some(_), kind) => base_name(kind),
                (None, _) => column.type_name.as_str(),
            });
            (workload.tables[at].column(name), base)
        })
        .collect();
    let mut lines = vec![];
    for row in (0..rows)
        .step_by(usize::try_from(step).unwrap_or(usize::MAX))
        .take(usize::try_from(ROWS).unwrap_or(64))
    {
        let value = |(position, type_name): &(Option<usize>, &str)| {
            let mut arena = Arena::default();
            let slot = position.map_or(Slot::Null, |column| dataset.value(at, column, row, &mut arena));
            format!("{}::{type_name}", literal(slot, &arena))
        };
        let values: Vec<String> = positions.iter().map(value).collect();
        lines.push(format!("({})", values.join(", ")));
    }
    let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    format!("(VALUES {}) AS t ({})", lines.join(", "), names.join(", "))
}

/// A type that holds what a domain over it holds.
fn base_name(kind: &TypeKind) -> &'static str {
    match kind {
        TypeKind::Bool => "boolean",
        TypeKind::Int(_) => "bigint",
        TypeKind::Float => "double precision",
        TypeKind::Decimal => "numeric",
        TypeKind::Date => "date",
        TypeKind::Timestamp => "timestamptz",
        TypeKind::Interval => "interval",
        TypeKind::Time => "time",
        TypeKind::Money => "money",
        TypeKind::Uuid => "uuid",
        TypeKind::Bytes => "bytea",
        TypeKind::Json => "jsonb",
        TypeKind::Network => "inet",
        _ => "text",
    }
}

fn literal(slot: Slot, arena: &Arena) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match slot {
        Slot::Null => "NULL".to_owned(),
        Slot::Text(range) => quote(arena.str(range)),
        Slot::Bytes(range) => {
            let mut hex = String::from("'\\x");
            arena.get(range).iter().for_each(|byte| hex.push_str(&format!("{byte:02x}")));
            hex + "'"
        }
        slot => {
            let mut text = vec![];
            write_plain(&mut text, slot);
            quote(&String::from_utf8_lossy(&text))
        }
    }
}
