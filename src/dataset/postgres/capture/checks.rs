//! Whether generated rows keep the check constraints of the source and of its domains: the server evaluates them over a few rows
//! that stand in the query itself. Nothing is written. PostgreSQL 14 to 18.

use super::{OWN, Reader};
use crate::dataset::DatasetError;
use crate::dataset::capture::{DatabaseFacts, Described, LeftOut, Remark, TableFacts, TypeKind};
use crate::dataset::postgres::server::{code, quoted};
use crate::generate::{Dataset, write_plain};
use crate::sql::values::{Arena, Slot};
use crate::workload::Workload;

/// Rows of each table that are tried.
const ROWS: u64 = 64;
/// Said beside what is left out.
const WHY: &str = "generated rows do not keep it";

impl Reader<'_> {
    /// The constraints that generated rows break, for the schema to leave out, and what to write by hand.
    pub async fn broken_checks(
        &mut self,
        workload: &Workload,
        dataset: &Dataset,
        facts: &DatabaseFacts,
        described: &Described,
    ) -> Result<(LeftOut, Vec<Remark>), DatasetError> {
        let (mut left_out, mut remarks) = (LeftOut::default(), vec![]);
        for table in described.tables.iter().map(|table| table.facts) {
            let own = &facts.tables[table];
            let Some(at) = workload.tables.iter().position(|table| table.name == own.name) else { continue };
            for check in &own.checks {
                let sql = rows_of(own, &check.columns, workload, dataset, at);
                let sql = format!("SELECT count(*) FROM {sql} WHERE NOT ({})", check.expression);
                // What cannot be evaluated over rows of a query is left to the load.
                let broken = matches!(self.ask_alone(&sql).await, Ok(count) if count > 0);
                if broken {
                    let name = (own.name.clone(), check.name.clone(), WHY.to_owned());
                    left_out.constraints.push(name);
                    remarks.push(Remark::new(
                        format!("{}.{}", own.name, check.name),
                        format!("{WHY}: CHECK {}", check.expression),
                        "describe its columns so that they do, and put it back into schema.sql",
                    ));
                }
            }
            for column in own.columns.iter().filter(|column| column.domain.is_some()) {
                self.domain(own, &column.name, workload, dataset, at, &mut left_out, &mut remarks).await;
            }
        }
        Ok((left_out, remarks))
    }

    /// Casts values to a domain; the server names the constraint that they break. Each is taken away and the others are tried again.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is known of the column, and where to put what is found"
    )]
    async fn domain(
        &mut self,
        own: &TableFacts,
        column: &str,
        workload: &Workload,
        dataset: &Dataset,
        at: usize,
        left_out: &mut LeftOut,
        remarks: &mut Vec<Remark>,
    ) {
        let Some(domain) = own.column(column).and_then(|column| column.domain.clone()) else { return };
        let sql = rows_of(own, &[column.to_owned()], workload, dataset, at);
        let sql = format!("SELECT count({}::{domain}) FROM {sql}", quoted(column));
        let Err((Some(constraint), what)) = self.ask_alone(&sql).await else { return };
        if left_out.why(&domain, &constraint).is_none() {
            left_out.constraints.push((domain.clone(), constraint.clone(), WHY.to_owned()));
            remarks.push(Remark::new(
                format!("{}.{column}", own.name),
                format!("{constraint} of the domain {domain} is left out: {what}"),
                "describe the columns of this domain so that they keep it, and put it back into schema.sql",
            ));
        }
    }

    /// A number, asked in a transaction of its own; else the constraint that was broken, if it was one, and the server's words.
    async fn ask_alone(&mut self, sql: &str) -> Result<i64, (Option<String>, String)> {
        let lost = |error: DatasetError| (None, error.to_string());
        self.begin().await.map_err(lost)?;
        let begun = std::time::Instant::now();
        let answer = self.client.query_one(&format!("{OWN} {sql}"), &[]).await;
        self.queries += 1;
        self.spent += begun.elapsed();
        self.end().await.map_err(lost)?;
        answer.map(|row| row.get(0)).map_err(|error| {
            let said = error.as_db_error();
            let constraint = said.and_then(|said| said.constraint()).map(str::to_owned);
            // check_violation
            let constraint = constraint.filter(|_| code(&error) == Some("23514"));
            (constraint, said.map_or_else(|| error.to_string(), |said| said.message().to_owned()))
        })
    }
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
