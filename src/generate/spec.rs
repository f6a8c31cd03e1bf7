//! Generators as a user writes them in `workload.toml`: plain serde types, one externally tagged entry a generator, so that
//! an error points at the value. `workload` walks the document, takes off the modifiers that every column knows
//! (`null_fraction`), and hands the rest over here.

mod lists;

use schemars::JsonSchema;
use serde::Deserialize;

pub use lists::{Fields, Weights};

/// A generator that needs no row: for columns and for parameters.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueSpec {
    /// Always the same value: `constant = "new"`.
    Constant(Scalar),
    /// Whole numbers, all alike, both ends included: `uniform = [1, 100]`.
    Uniform([i64; 2]),
    /// Exact decimals, all alike: `decimal = { min = 0.99, max = 99.99, scale = 2 }`.
    Decimal(DecimalSpec),
    /// The bell curve: `normal = { mean = 170, sd = 9, min = 100, max = 230 }`.
    Normal(NormalSpec),
    /// Many small values and a long tail, as of prices and sizes: `lognormal = { median = 2500, sigma = 0.8 }`.
    Lognormal(LognormalSpec),
    /// Waiting times and other decaying quantities: `exponential = { mean = 30 }`.
    Exponential(ExponentialSpec),
    /// Whole numbers from 1 to `n`, number k with a probability proportional to 1 ÷ k^`exponent`.
    Zipf(ZipfSpec),
    /// Categories with their relative weights: `weighted = { US = 48, DE = 20 }`. Where every name is a whole number, the
    /// values are numbers.
    Weighted(Weights),
    /// Truth values: `boolean = { true_fraction = 0.1 }`.
    Boolean(BooleanSpec),
    /// Random UUIDs (version 4): `uuid = {}`.
    Uuid(Empty),
    /// Points in time: `timestamp = { from = "2021-01-01", to = "2026-01-01" }`.
    Timestamp(TimeSpec),
    /// Days: `date = { from = "2021-01-01", to = "2026-01-01" }`.
    Date(TimeSpec),
    /// A text with other values in it: `template = "{first_name}.{id}@example.com"`. A name in braces is a column of the row
    /// or else a generator that needs no settings; `{{` is a brace.
    Template(String),
    /// So many words, fewest and most, a few of them much more frequent than the others: `words = [3, 8]`.
    Words([u32; 2]),
    /// So many sentences, fewest and most: `sentences = [1, 4]`.
    Sentences([u32; 2]),
    /// Words up to a length in characters: `text = { length = [10, 200] }`.
    Text(TextSpec),
    /// A person's first name.
    FirstName(Empty),
    /// A person's last name.
    LastName(Empty),
    /// A company's name.
    Company(Empty),
    /// A street with a house number.
    Street(Empty),
    /// A city.
    City(Empty),
    /// A country, by its name.
    Country(Empty),
    /// A telephone number in a range that is reserved for fiction.
    Phone(Empty),
    /// An e-mail address under a domain that is reserved for documentation. Not unique: for that, use a template with a key.
    Email(Empty),
    /// A JSON document, each field with a generator of its own: `json = { colour = { weighted = { red = 2, blue = 1 } } }`.
    Json(Fields),
    /// A JSON list, inside `json` only: `array = { of = { words = [1, 1] }, length = [0, 4] }`.
    Array(Box<ArraySpec>),
}

/// A generator that needs to know its row: for columns only.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RowSpec {
    /// `start`, `start + step`, …: `sequence = {}` counts from 1.
    Sequence(SequenceSpec),
    /// A value of another table's column: `reference = { table = "customers", fan_out = { zipf = 1.05 } }`.
    Reference(ReferenceSpec),
    /// A reference to the own table that makes it a forest, roots first; the value of a root is NULL:
    /// `tree = { depth = 3, roots = 8 }`.
    Tree(TreeSpec),
    /// A column of the row that another column refers to: `lookup = { through = "product_id", column = "price_cents" }`.
    Lookup(LookupSpec),
    /// A number from 1 within the children of one parent, for a reference whose `fan_out` is `each`:
    /// `ordinal = { through = "order_id" }`.
    Ordinal(OrdinalSpec),
    /// A time after another column's: `after = { through = "order_id", column = "placed_at", lag_s = { exponential = { mean =
    /// 3600 } } }`.
    After(AfterSpec),
}

/// A generator without settings: `{}`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// One plain value.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
}

/// `decimal = { min, max, scale }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecimalSpec {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Digits after the point, at most 9.
    pub scale: u8,
}

/// `normal = { mean, sd, min?, max?, scale? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalSpec {
    /// Where the bell stands.
    pub mean: f64,
    /// Its standard deviation, above zero.
    pub sd: f64,
    /// Values below are drawn again.
    pub min: Option<f64>,
    /// Values above are drawn again.
    pub max: Option<f64>,
    /// Digits after the point, at most 9; none unless said.
    #[serde(default)]
    pub scale: u8,
}

/// `lognormal = { median, sigma, min?, max?, scale? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalSpec {
    /// Half of the values lie below; above zero.
    pub median: f64,
    /// Standard deviation of the logarithm, above zero: at 1.0 one value of six is more than 2.7 times the median.
    pub sigma: f64,
    /// Values below are drawn again.
    pub min: Option<f64>,
    /// Values above are drawn again.
    pub max: Option<f64>,
    /// Digits after the point, at most 9; none unless said.
    #[serde(default)]
    pub scale: u8,
}

/// `exponential = { mean, min?, max?, scale? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExponentialSpec {
    /// The mean before `min` and `max` cut, above zero.
    pub mean: f64,
    /// Values below are drawn again.
    pub min: Option<f64>,
    /// Values above are drawn again.
    pub max: Option<f64>,
    /// Digits after the point, at most 9; none unless said.
    #[serde(default)]
    pub scale: u8,
}

/// `zipf = { n, exponent }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZipfSpec {
    /// The largest number.
    pub n: u64,
    /// Above zero; 1.0 is the classical law, larger is more skewed.
    pub exponent: f64,
}

/// `boolean = { true_fraction }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BooleanSpec {
    /// Share of values that are true, from 0 to 1.
    pub true_fraction: f64,
}

/// `timestamp = { from, to, correlation?, growth? }`, and `date` likewise
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeSpec {
    /// The first instant: `2021-01-01` or `2021-01-01T08:00:00Z`. Without an offset it is UTC.
    pub from: String,
    /// The instant after the last.
    pub to: String,
    /// How far the order of the rows follows the order of time, from −1 to 1: as `pg_stats.correlation` measures it. Needs a
    /// row, so only a column can have it.
    #[serde(default)]
    pub correlation: f64,
    /// How many times more frequent the last instants are than the first: a business that grew threefold says 3.
    pub growth: Option<f64>,
}

/// `text = { length }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// Fewest and most characters.
    pub length: [u32; 2],
}

/// `array = { of, length }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArraySpec {
    /// What makes its elements.
    pub of: ValueSpec,
    /// Fewest and most elements.
    pub length: [u32; 2],
}

/// `sequence = { start?, step? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceSpec {
    /// Value of the first row.
    pub start: i64,
    /// Difference between neighbours.
    pub step: i64,
}

impl Default for SequenceSpec {
    fn default() -> Self {
        Self { start: 1, step: 1 }
    }
}

/// `reference = { table, column?, fan_out? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceSpec {
    /// The table that is referred to.
    pub table: String,
    /// Its column; unless said, the only one that is a `sequence`.
    pub column: Option<String>,
    /// How many rows refer to one row there.
    #[serde(default)]
    pub fan_out: FanOutSpec,
}

/// How the rows of a table are spread over the rows that they refer to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FanOutSpec {
    /// Every parent alike, in no order: `"uniform"`.
    #[default]
    Uniform,
    /// The k-th favourite with a probability proportional to 1 ÷ k^exponent, favourites scattered over the parents:
    /// `{ zipf = 1.05 }`.
    Zipf(f64),
    /// From so many to so many children each, written beside one another in the order of their parents, as an order and its
    /// lines are: `{ each = [1, 5] }`.
    Each([u32; 2]),
}

/// `tree = { depth, roots, column? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeSpec {
    /// Levels, the roots' included; at least 2.
    pub depth: u32,
    /// Rows without a parent, at least 1.
    pub roots: u64,
    /// The own table's column that is referred to; unless said, the only one that is a `sequence`.
    pub column: Option<String>,
}

/// `lookup = { through, column }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupSpec {
    /// The column of this table that refers to the other.
    pub through: String,
    /// The other table's column.
    pub column: String,
}

/// `ordinal = { through }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdinalSpec {
    /// The column of this table that refers to the parent; its `fan_out` is `each`.
    pub through: String,
}

/// `after = { through?, column, lag_s }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterSpec {
    /// The column of this table that refers to the other, where the earlier time stands there.
    pub through: Option<String>,
    /// The column with the earlier time: of the other table, or of this one without `through`.
    pub column: String,
    /// How many seconds later: a generator of numbers.
    pub lag_s: Box<ValueSpec>,
}

impl ValueSpec {
    /// The names of all its generators, for suggestions.
    pub const NAMES: &[&str] = &[
        "constant",
        "uniform",
        "decimal",
        "normal",
        "lognormal",
        "exponential",
        "zipf",
        "weighted",
        "boolean",
        "uuid",
        "timestamp",
        "date",
        "template",
        "words",
        "sentences",
        "text",
        "first_name",
        "last_name",
        "company",
        "street",
        "city",
        "country",
        "phone",
        "email",
        "json",
        "array",
    ];
}

impl RowSpec {
    /// The names of all its generators, for suggestions.
    pub const NAMES: &[&str] = &["sequence", "reference", "tree", "lookup", "ordinal", "after"];
}

/// What a column is made of, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnSpec {
    /// Needs no row.
    Value(ValueSpec),
    /// Needs its row.
    Row(RowSpec),
}

/// The tables of the document, as far as a generator must know them to be checked: names, sizes, columns.
#[derive(Clone, Debug)]
pub struct ScopeTable {
    /// Its name.
    pub name: String,
    /// Rows at scale 1.
    pub rows: u64,
    /// Its columns and what they are made of, in the order of the document; `None` where a column's own mistake was
    /// reported already.
    pub columns: Vec<(String, Option<ColumnSpec>)>,
}

/// Why a description cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong: `` no table `custmers` ``.
    pub message: String,
    /// Said at the place itself.
    pub label: String,
    /// What to do: `` did you mean `customers`? ``
    pub help: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), label: label.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A name that is not there, with the likely one that is.
    pub(super) fn unknown<'a>(
        what: &str,
        name: &str,
        label: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let help =
            crate::diagnostic::likely(name, candidates).map(|likely| format!("did you mean `{likely}`?"));
        Self { message: format!("no {what} `{name}`"), label: label.to_owned(), help }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that the schema knows and the list lacks would never be suggested, and `workload` would not find it.
    #[test]
    fn the_lists_of_names_are_those_that_are_read() {
        fn names(schema: &schemars::Schema) -> Vec<String> {
            let alternatives = schema.get("oneOf").and_then(|one_of| one_of.as_array()).expect("an enum");
            let name = |of: &serde_json::Value| of["required"][0].as_str().expect("a tag").to_owned();
            alternatives.iter().map(name).collect()
        }
        assert_eq!(names(&schemars::schema_for!(ValueSpec)), ValueSpec::NAMES);
        assert_eq!(names(&schemars::schema_for!(RowSpec)), RowSpec::NAMES);
    }

    #[test]
    fn every_form_of_the_documentation_is_read() {
        #[derive(Deserialize)]
        struct Column {
            c: ValueSpec,
        }
        let name = |spec: &ValueSpec| match spec {
            ValueSpec::Uniform(_) => "uniform",
            ValueSpec::Normal(_) => "normal",
            ValueSpec::Decimal(_) => "decimal",
            ValueSpec::Weighted(_) => "weighted",
            ValueSpec::Template(_) => "template",
            ValueSpec::Timestamp(_) => "timestamp",
            ValueSpec::FirstName(_) => "first_name",
            ValueSpec::Constant(_) => "constant",
            ValueSpec::Json(_) => "json",
            _ => "another",
        };
        for text in [
            "uniform = [1, 100]",
            "normal = { mean = 3, sd = 1.5 }",
            "decimal = { min = 0.99, max = 99, scale = 2 }",
            "weighted = { US = 48, DE = 20.5 }",
            "template = \"{first_name}.{id}@example.com\"",
            "timestamp = { from = \"2021-01-01\", to = \"2026-01-01\", correlation = 0.98 }",
            "first_name = {}",
            "constant = \"new\"",
            "constant = 3",
            "json = { colour = { weighted = { red = 1 } }, tags = { array = { of = { words = [1, 1] }, length = [0, 3] } } }",
        ] {
            let read: Result<Column, _> = toml::from_str(&format!("c = {{ {text} }}"));
            assert!(
                read.as_ref().is_ok_and(|read| text.starts_with(name(&read.c))),
                "{text}: {:?}",
                read.err()
            );
        }
        let fan_out: ReferenceSpec =
            toml::from_str("table = \"t\"\nfan_out = { zipf = 1.05 }").expect("as documented");
        assert_eq!(fan_out.fan_out, FanOutSpec::Zipf(1.05));
        let fan_out: ReferenceSpec =
            toml::from_str("table = \"t\"\nfan_out = \"uniform\"").expect("as documented");
        assert_eq!(fan_out.fan_out, FanOutSpec::Uniform);
        assert!(toml::from_str::<Column>("c = { uuid = { version = 7 } }").is_err());
    }
}
