//! Parameters, measures and gauges against the types that the server gives them: what can never fit is a mistake at its place
//! in `workload.toml`, found before the first transaction.

use std::collections::BTreeSet;
use std::ops::Range;

use tokio_postgres::types::Type;

use super::server::{code, failed, quoted, words};
use crate::dataset::DatasetError;
use crate::dataset::refusals::{report_column, report_gauge, unless_mistaken};
use crate::db::postgres::{Client, Travels, travels};
use crate::diagnostic::Mistakes;
use crate::generate::{Dataset, Key, Stream};
use crate::sql::values::{Arena, QueryValue, QueryValues, Slot};
use crate::units::Seed;
use crate::workload::{Draw, Measure, ParameterSource, Statement, Transaction, Workload};

/// Values of a parameter that are tried on its type. None of them fits where none ever would; and where they are a few of
/// many, the run tells of the others.
const SAMPLES: u64 = 16;

/// Compares what every parameter gives with what its statements take, and what measures and gauges read with what is there.
/// All mistakes come back at once.
pub async fn check_parameters(
    client: &Client,
    workload: &Workload,
    dataset: &Dataset,
    query_values: &QueryValues,
) -> Result<(), DatasetError> {
    let mut mistakes = Mistakes::default();
    let source = mistakes.add_source(&workload.document.path, workload.document.text.as_str());
    let mut check = Check { client, workload, dataset, query_values, source, mistakes };
    let mut measured = BTreeSet::new();
    for statement in &workload.statements {
        let doing = || format!("prepare `{}`", statement.name);
        let prepared = client.prepare(&statement.sql).await.map_err(failed(doing()))?;
        check.parameters(statement, prepared.params()).await?;
        if measured.insert(statement.name.as_str()) {
            let columns: Vec<(&str, &Type)> =
                prepared.columns().iter().map(|column| (column.name(), column.type_())).collect();
            for measure in workload.measures.iter().filter(|measure| measure.statement == statement.name) {
                check.measure(measure, &columns);
            }
        }
    }
    check.gauges().await?;
    let mut mistakes = check.mistakes;
    mistakes.sort();
    unless_mistaken(mistakes)
}

struct Check<'a> {
    client: &'a Client,
    workload: &'a Workload,
    dataset: &'a Dataset,
    query_values: &'a QueryValues,
    source: usize,
    mistakes: Mistakes,
}

impl Check<'_> {
    async fn parameters(&mut self, statement: &Statement, types: &[Type]) -> Result<(), DatasetError> {
        let workload = self.workload;
        let transaction = &workload.transactions[statement.transaction.index()];
        for (slot, wanted) in statement.inputs.iter().zip(types) {
            // What an earlier statement returns was never in our hands.
            let Some(position) = transaction.draws.iter().position(|draw| draw.slot == *slot) else {
                continue;
            };
            let draw = &transaction.draws[position];
            let name = &transaction.slots[slot.index()];
            if let Some(why) = self.range(draw, wanted) {
                self.blame(&draw.span, name, statement, wanted, &why);
            } else if let Some(why) = self.misfit(transaction, position, statement, wanted).await? {
                self.blame(&draw.span, name, statement, wanted, &why);
            }
        }
        Ok(())
    }

    fn blame(&mut self, span: &Range<usize>, name: &str, statement: &Statement, wanted: &Type, why: &str) {
        let type_name = shown(wanted);
        self.mistakes.at(
            self.source,
            span.clone(),
            format!("parameter `{name}` does not fit `{}`, which takes a {type_name}", statement.name),
            why,
            Some(format!("draw a {type_name}, or convert `:{name}` in `queries.sql`")),
        );
    }

    /// Numbers that are known to reach beyond the type.
    fn range(&self, draw: &Draw, wanted: &Type) -> Option<String> {
        let (least, most) = match *wanted {
            Type::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Type::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => return None,
        };
        let (min, max) = self.int_range(&draw.source)?;
        (min < least || max > most).then(|| format!("makes {min} to {max}"))
    }

    fn int_range(&self, source: &ParameterSource) -> Option<(i64, i64)> {
        match source {
            ParameterSource::Existing { table, column, .. } => self.dataset.int_range(*table, *column),
            ParameterSource::RowNumber { table, .. } => {
                Some((1, i64::try_from(self.dataset.rows(*table)).ok()?))
            }
            ParameterSource::Value(generator) => generator.int_range(),
            ParameterSource::Inserted { otherwise, .. } => self.int_range(otherwise),
            ParameterSource::Query { .. } => None,
        }
    }

    /// Why no value fits, if none does.
    async fn misfit(
        &self,
        transaction: &Transaction,
        position: usize,
        statement: &Statement,
        wanted: &Type,
    ) -> Result<Option<String>, DatasetError> {
        let mut first = None;
        for sample in 0..SAMPLES {
            let mut arena = Arena::default();
            let mut stream = Key::root(Seed::default()).name(&transaction.name).at(sample, 0);
            let queried = &self.query_values[statement.transaction.index()][position];
            let slot = self.draw(&transaction.draws[position].source, queried, &mut stream, &mut arena);
            let why = match travels(wanted.oid(), slot, &arena) {
                Travels::AsItIs => None,
                Travels::AsText(text) => self.refused(wanted, &text).await?,
                Travels::Never(what) => Some(format!("makes {what}")),
            };
            let Some(why) = why else { return Ok(None) };
            first.get_or_insert(why);
        }
        Ok(first)
    }

    /// A value as the run would draw it; of what the run inserts there is none yet.
    fn draw(
        &self,
        source: &ParameterSource,
        queried: &[QueryValue],
        stream: &mut Stream,
        arena: &mut Arena,
    ) -> Slot {
        match source {
            ParameterSource::Existing { table, column, pick } => {
                let row = pick.row(self.dataset.rows(*table), stream);
                self.dataset.value(*table, *column, row, arena)
            }
            ParameterSource::RowNumber { .. } => Slot::Int(1),
            ParameterSource::Value(generator) => generator.value(stream, arena),
            ParameterSource::Inserted { otherwise, .. } => self.draw(otherwise, queried, stream, arena),
            ParameterSource::Query { .. } => {
                let at = usize::try_from(stream.below(queried.len().max(1) as u64)).unwrap_or(0);
                queried.get(at).map_or(Slot::Null, |value| value.slot(arena))
            }
        }
    }

    /// Why the server's own input function refuses a text, if it does.
    async fn refused(&self, wanted: &Type, text: &str) -> Result<Option<String>, DatasetError> {
        if [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME].contains(wanted) {
            return Ok(None);
        }
        let sql = format!("SELECT $1::text::{}.{}", quoted(wanted.schema()), quoted(wanted.name()));
        let Err(error) = self.client.query_one(&sql, &[&text]).await else { return Ok(None) };
        match code(&error) {
            // Data exceptions and violated domains speak of the value; anything else speaks of us.
            Some(code) if code.starts_with("22") || code.starts_with("23") => {
                Ok(Some(error.as_db_error().map_or_else(String::new, |said| said.message().to_owned())))
            }
            _ if self.client.is_closed() => Err(failed("check the parameters")(error)),
            _ => Ok(None),
        }
    }

    fn measure(&mut self, measure: &Measure, columns: &[(&str, &Type)]) {
        let Some((_, found)) = columns.iter().find(|(name, _)| *name == measure.column) else {
            let returned: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            return report_column(measure, &returned, self.source, &mut self.mistakes);
        };
        let numbers = [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC];
        let times = [Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::DATE];
        let is_measurable = numbers.contains(found) || (measure.unit.is_none() && times.contains(found));
        if !is_measurable {
            let what = if measure.unit.is_none() { "a number or a time" } else { "a number" };
            let help =
                "of an interval, `(extract(epoch FROM …) * 1000000)::bigint` is its microseconds".to_owned();
            self.mistakes.at(
                self.source,
                measure.span.clone(),
                format!("measure `{}` reads a {}", measure.name, shown(found)),
                format!("expected {what}"),
                Some(help),
            );
        }
    }

    /// A gauge's query is prepared as its probe will ask it.
    async fn gauges(&mut self) -> Result<(), DatasetError> {
        for gauge in &self.workload.gauges {
            let sql = format!("SELECT (\n{}\n)::double precision", gauge.query.trim().trim_end_matches(';'));
            let Err(error) = self.client.prepare(&sql).await else { continue };
            if error.as_db_error().is_none() {
                return Err(failed(format!("prepare gauge `{}`", gauge.name))(error));
            }
            report_gauge(gauge, &words(&error), self.source, &mut self.mistakes);
        }
        Ok(())
    }
}

/// The name of a type in SQL.
fn shown(of: &Type) -> String {
    let name = match *of {
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::BOOL => "boolean",
        ref other => other.name(),
    };
    name.to_owned()
}
