//! `workload.toml` as it is written: plain serde types for each kind of table, and what the walk over them collects.
//! Knows no other file; whether names lead anywhere is checked later.

mod stage;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::settings::SettingsDoc;
use crate::generate::spec::{ColumnSpec, Modifiers, ValueSpec};
use crate::units::{Dialect, Direction, Protocol, ValueUnit, parse_duration};

pub(super) use stage::{AmountDoc, CourseDoc, CourseTable, DrawnAmount, DrawnPause, PauseDoc, StageDoc};

/// A value and the bytes where it stands. Only in plain structs: `flatten` and internally tagged enums lose the span.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    /// What is written.
    pub value: T,
    /// Where.
    pub span: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// The keys at the top of the document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadDoc {
    /// Name of the workload, as reports show it.
    #[schemars(required, with = "String")]
    pub name: Option<Located<String>>,
    /// What it stands for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// How transactions talk to the server, `prepared` unless said; `--protocol` overrides it.
    pub protocol: Option<Protocol>,
    /// The server ends a statement that takes longer: `500ms`; `--statement-timeout` overrides it.
    pub statement_timeout: Option<TextDuration>,
    /// How to ask a database that dbdyno did not fill for its scale.
    pub scale: Option<ScaleDoc>,
    /// The engines that it runs on. Without it: PostgreSQL, and MariaDB and MySQL where the folder has a `schema.mysql.sql` or
    /// a `queries.mysql.sql`.
    #[schemars(with = "Option<Vec<Dialect>>")]
    pub engines: Option<Located<Vec<Dialect>>>,
}

/// `scale = { query = "…" }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScaleDoc {
    /// A query that gives one row with one number, the scale.
    pub query: Located<String>,
}

/// `[table.NAME]`, without its columns.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableDoc {
    /// Rows at scale 1, at least 1.
    #[schemars(required, with = "u64", range(min = 1))]
    pub rows: Option<Located<u64>>,
    /// Whether `rows` grows with the scale; a table of countries does not.
    #[serde(default = "yes")]
    pub scales: bool,
    /// What months of use left behind: dead rows, holes and rows that moved. Autovacuum stays off the table, so that they last.
    pub aged: Option<AgedDoc>,
}

/// `aged = { updated = 0.2, deleted = 0.05 }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgedDoc {
    /// Share of the rows that were updated since the last vacuum, in random order. They hold the same values as before.
    #[schemars(with = "Option<f64>", range(min = 0, max = 1))]
    pub updated: Option<Located<f64>>,
    /// Share of the rows that were deleted since the last vacuum and inserted again, so that every key still exists.
    #[schemars(with = "Option<f64>", range(min = 0, max = 1))]
    pub deleted: Option<Located<f64>>,
}

fn yes() -> bool {
    true
}

/// `[[transaction]]`, without its steps and parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionDoc {
    /// Name of the transaction: letters, digits, `_` and `-`.
    #[schemars(required, with = "String", regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub name: Option<Located<String>>,
    /// Share of the mix, relative to the other weights; 1 unless said.
    #[schemars(range(min = 0))]
    pub weight: Option<Located<f64>>,
    /// Names of statements in `queries.sql`, executed in this order. Excludes `[[transaction.step]]`.
    pub statements: Option<Located<Vec<Located<String>>>>,
    /// The isolation level that BEGIN asks for; the server's default unless said.
    pub isolation: Option<IsolationDoc>,
    /// Whether BEGIN says that nothing is changed.
    #[schemars(with = "Option<bool>")]
    pub read_only: Option<Located<bool>>,
    /// Whether BEGIN waits until the transaction can neither fail nor make others fail. For transactions that are
    /// serializable and read only.
    #[schemars(with = "Option<bool>")]
    pub deferrable: Option<Located<bool>>,
    /// Settings that hold in the transaction, set with BEGIN in one round trip: `{ work_mem = "64MB" }`.
    pub set: Option<SettingsDoc>,
    /// Whether BEGIN, all statements and COMMIT are sent at once and answered together: one round trip, and one sample.
    #[schemars(with = "Option<bool>")]
    pub pipeline: Option<Located<bool>>,
    /// When a failed try is begun again, with the same draws.
    pub retry: Option<RetryDoc>,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(super) enum IsolationDoc {
    #[serde(rename = "read committed")]
    ReadCommitted,
    #[serde(rename = "repeatable read")]
    RepeatableRead,
    #[serde(rename = "serializable")]
    Serializable,
}

/// `retry = { on = ["40001"], max_tries = 5, backoff = "1ms", backoff_max = "100ms" }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryDoc {
    /// SQLSTATEs after which to retry: `40001` is a serialization failure, `40P01` a deadlock; or classes of them: `40` is
    /// both.
    pub on: Vec<Located<String>>,
    /// Tries in all, the first included.
    #[schemars(range(min = 1))]
    pub max_tries: Located<u32>,
    /// Pause before the second try, doubled with each further one; half of it is drawn at random. 1 ms unless said.
    pub backoff: Option<TextDuration>,
    /// Longest pause; 100 ms unless said.
    pub backoff_max: Option<TextDuration>,
}

/// `[[transaction.step]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepDoc {
    /// Name of a statement in `queries.sql`.
    #[schemars(required, with = "String")]
    pub statement: Option<Located<String>>,
    /// How often it is executed; once unless said.
    pub times: Option<Located<TimesDoc>>,
    /// How long the application keeps the connection before the step: `2ms`.
    pub hold: Option<TextDuration>,
}

/// `3` or `{ uniform = [1, 4] }`
#[derive(Clone, Copy, Debug)]
pub(super) struct TimesDoc {
    pub min: u32,
    pub max: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UniformTimes {
    /// Fewest and most, both included, drawn once for each transaction.
    uniform: [u32; 2],
}

impl<'de> Deserialize<'de> for TimesDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimesVisitor;

        impl<'de> Visitor<'de> for TimesVisitor {
            type Value = TimesDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or `{ uniform = [1, 4] }`")
            }

            fn visit_i64<E: Error>(self, times: i64) -> Result<TimesDoc, E> {
                let times = u32::try_from(times)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(times), &self))?;
                Ok(TimesDoc { min: times, max: times })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimesDoc, A::Error> {
                let UniformTimes { uniform: [min, max] } =
                    UniformTimes::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TimesDoc { min, max })
            }
        }

        deserializer.deserialize_any(TimesVisitor)
    }
}

impl JsonSchema for TimesDoc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Times".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let uniform = generator.subschema_for::<UniformTimes>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, uniform] })
    }
}

/// A duration as text: `30s`, `2ms`, `1m 30s`.
#[derive(Clone, Debug)]
pub(super) struct TextDuration {
    pub value: Duration,
    pub span: Range<usize>,
}

impl<'de> Deserialize<'de> for TextDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Located { value, span } = Located::<Plain>::deserialize(deserializer)?;
        Ok(Self { value: value.0, span })
    }
}

/// Fails inside the value, so that the error points at it.
struct Plain(Duration);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;

        impl Visitor<'_> for DurationVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `\"30s\"` or `\"2ms\"`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Plain, E> {
                parse_duration(text).map(Plain).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(DurationVisitor)
    }
}

impl JsonSchema for TextDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["30s", "2ms", "1m 30s"] })
    }
}

/// `{ key = { table = "products", zipf = 1.1 } }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyDoc {
    /// A table of this document.
    pub table: Located<String>,
    /// Its column; unless said, its only `sequence`, else `id`.
    #[schemars(with = "Option<String>")]
    pub column: Option<Located<String>>,
    /// The k-th favourite row is drawn with a probability proportional to 1 ÷ k^zipf; every row alike unless said. The
    /// favourites are scattered over the table.
    #[schemars(with = "Option<f64>", range(min = 0))]
    pub zipf: Option<Located<f64>>,
    /// A share of the draws falls on a share of the rows: `{ share_of_draws = 0.9, share_of_keys = 0.1 }`. Excludes `zipf`.
    #[schemars(with = "Option<HotDoc>")]
    pub hot: Option<Located<HotDoc>>,
    /// The k-th newest row is drawn with a probability proportional to 1 ÷ k^latest; the last row of the table is the newest.
    /// Excludes `zipf` and `hot`.
    #[schemars(with = "Option<f64>", range(min = 0))]
    pub latest: Option<Located<f64>>,
}

/// `hot = { share_of_draws = 0.9, share_of_keys = 0.1 }`
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HotDoc {
    /// Share of the draws that fall on the hot rows, above 0 and below 1.
    #[schemars(range(min = 0, max = 1))]
    pub share_of_draws: f64,
    /// Share of the rows that are hot, above 0 and below 1. They are scattered over the table.
    #[schemars(range(min = 0, max = 1))]
    pub share_of_keys: f64,
}

/// `{ same_row = { as = "order_id" } }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SameRowDoc {
    /// A parameter of this transaction that draws a row: a `key`, a `query` of several columns (it takes the first), or `inserted`.
    #[serde(rename = "as")]
    pub of: Located<String>,
    /// The column of that row; the parameter's own name unless said.
    #[schemars(with = "Option<String>")]
    pub column: Option<Located<String>>,
}

/// `{ inserted = { by = "insert_order", otherwise = { key = { table = "orders" } } } }`, without `otherwise`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InsertedDoc {
    /// A `:one` or `:optional` statement that inserts rows and returns of them what is wanted.
    pub by: Located<String>,
    /// The column that it returns; the parameter's own name unless said.
    #[schemars(with = "Option<String>")]
    pub column: Option<Located<String>>,
}

/// `[measure.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasureDoc {
    /// Name of a `:one` or `:optional` statement in `queries.sql`, whatever transaction executes it.
    #[schemars(required, with = "String")]
    pub statement: Option<Located<String>>,
    /// A column that it returns: a number, or for `order` a time as well.
    #[schemars(required, with = "String")]
    pub column: Option<Located<String>>,
    /// What the values are counted in. With it their distribution is told.
    pub unit: Option<ValueUnit>,
    /// Which way the values should run. With it those that come out of order are counted.
    pub order: Option<Direction>,
}

/// `[gauge.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GaugeDoc {
    /// A query that gives one row with one number, read on a connection of its own beside the run.
    #[schemars(required, with = "String")]
    pub query: Option<Located<String>>,
    /// Time between two readings, at least 100 ms; a second unless said.
    pub every: Option<TextDuration>,
    /// What the number counts; `count` unless said.
    #[serde(default)]
    pub unit: ValueUnit,
}

/// When a parameter is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DrawDoc {
    /// Once for the transaction.
    #[default]
    Once,
    /// Anew for each execution of a step.
    Each,
}

/// The whole document.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub name: String,
    pub description: String,
    pub protocol: Option<Protocol>,
    pub statement_timeout: Option<Duration>,
    pub scale_query: Option<Located<String>>,
    /// Absent when the document does not say it, or says it wrongly.
    pub engines: Option<Located<Vec<Dialect>>>,
    pub tables: Vec<TableNode>,
    pub transactions: Vec<TransactionNode>,
    pub measures: Vec<MeasureNode>,
    pub gauges: Vec<GaugeNode>,
    pub stages: Vec<StageNode>,
    pub budgets: Vec<BudgetNode>,
    /// The tables of the document in a canonical form: what decides a load besides the SQL files.
    pub tables_canonical: String,
}

/// A stage with its load.
#[derive(Clone, Debug)]
pub(super) struct StageNode {
    /// Absent when it is missing, which was reported.
    pub name: Option<Located<String>>,
    /// Absent when it is missing, which was reported.
    pub duration: Option<Duration>,
    /// Absent when its mistake was reported.
    pub load: Option<crate::units::Load>,
}

/// A table with its columns.
#[derive(Clone, Debug)]
pub(super) struct TableNode {
    pub name: String,
    /// Of its name in the header.
    pub span: Range<usize>,
    pub rows: u64,
    pub scales: bool,
    pub aged: Option<super::Aged>,
    pub columns: Vec<ColumnNode>,
}

/// A column with its modifiers apart.
#[derive(Clone, Debug)]
pub(super) struct ColumnNode {
    pub name: String,
    /// Of its description.
    pub span: Range<usize>,
    /// Absent when its mistake was reported.
    pub spec: Option<ColumnSpec>,
    pub modifiers: Modifiers,
}

/// A transaction with its steps and parameters.
#[derive(Clone, Debug)]
pub(super) struct TransactionNode {
    /// Absent when it is missing, which was reported.
    pub name: Option<Located<String>>,
    pub weight: Option<Located<f64>>,
    pub steps: Vec<StepNode>,
    /// Whether a step is missing since its mistake was reported.
    pub incomplete: bool,
    pub isolation: Option<IsolationDoc>,
    pub read_only: Option<Located<bool>>,
    pub deferrable: Option<Located<bool>>,
    pub set: Option<SettingsDoc>,
    pub pipeline: Option<Located<bool>>,
    pub retry: Option<RetryDoc>,
    pub parameters: Vec<ParameterNode>,
}

/// A step of either form.
#[derive(Clone, Debug)]
pub(super) struct StepNode {
    pub statement: Located<String>,
    pub times: Option<Located<TimesDoc>>,
    pub hold: Duration,
}

/// A parameter with its modifiers apart.
#[derive(Clone, Debug)]
pub(super) struct ParameterNode {
    pub name: Located<String>,
    /// Of its description.
    pub span: Range<usize>,
    /// Absent when its mistake was reported.
    pub source: Option<SourceNode>,
    /// When it says so itself.
    pub draw: Option<Located<DrawDoc>>,
}

/// Where a parameter's value comes from.
#[derive(Clone, Debug)]
pub(super) enum SourceNode {
    Key(KeyDoc),
    Query(Located<String>),
    Value(ValueSpec),
    SameRow(SameRowDoc),
    Inserted {
        rows: InsertedDoc,
        /// Where the value comes from while the run has inserted nothing. Absent when its mistake was reported.
        otherwise: Option<Box<SourceNode>>,
    },
}

/// `[measure.NAME]`
#[derive(Clone, Debug)]
pub(super) struct MeasureNode {
    pub name: Located<String>,
    pub statement: Located<String>,
    pub column: Located<String>,
    pub unit: Option<ValueUnit>,
    pub order: Option<Direction>,
}

/// `[gauge.NAME]`
#[derive(Clone, Debug)]
pub(super) struct GaugeNode {
    pub name: Located<String>,
    pub query: Located<String>,
    pub every: Duration,
    pub unit: ValueUnit,
}

/// A line of `[budget]`.
#[derive(Clone, Debug)]
pub(super) struct BudgetNode {
    pub metric: Located<String>,
    pub limit: Located<String>,
}
