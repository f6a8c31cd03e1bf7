//! Generators as a user writes them in `workload.toml`: plain serde types, one externally tagged entry a generator, so that
//! an error points at the value. `workload` walks the document, takes off the modifiers that every column knows
//! ([`Modifiers`]), and hands the rest over here.

mod lists;
mod row;
mod value;

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

pub use lists::{Fields, LengthSpec, Weights};
pub use row::{
    AfterSpec, ConditionalSpec, DrawSpec, FanOutSpec, LookupSpec, NormalFanOut, OrdinalSpec, ReferenceSpec,
    SequenceSpec, TreeSpec,
};
pub use value::{
    ArraySpec, BooleanSpec, BytesSpec, DecimalSpec, Empty, ExponentialSpec, HistogramSpec, HistogramType,
    IntervalSpec, IpSpec, LognormalSpec, NormalSpec, Scalar, TextSpec, TimeSpec, UuidSpec, ZipfSpec,
};

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
    /// Random UUIDs (version 4), `uuid = {}`, or such as grow with time: `uuid = { version = 7, from = "2021-01-01", to =
    /// "2026-01-01" }`, `uuid = { version = 7, at = "created_at" }`.
    Uuid(UuidSpec),
    /// What `pg_stats` says of a column: `histogram = { common_values = ["new", "paid"], common_frequencies = [0.5, 0.3],
    /// bounds = ["a", "m", "z"], distinct = 40 }`.
    Histogram(HistogramSpec),
    /// Points in time: `timestamp = { from = "2021-01-01", to = "2026-01-01" }`.
    Timestamp(TimeSpec),
    /// Days: `date = { from = "2021-01-01", to = "2026-01-01" }`.
    Date(TimeSpec),
    /// Lengths of time: `interval = { length_s = { exponential = { mean = 3600 } } }`.
    Interval(IntervalSpec),
    /// A text with other values in it: `template = "{first_name}.{id}@example.com"`. A name in braces is a column of the row
    /// or else a generator that needs no settings; `{{` is a brace.
    Template(String),
    /// So many words, fewest and most, a few of them much more frequent than the others: `words = [3, 8]`.
    Words(LengthSpec),
    /// So many sentences, fewest and most: `sentences = [1, 4]`.
    Sentences(LengthSpec),
    /// Words up to a length in characters, from a range or by any generator of whole numbers: `text = { length = [10, 200]
    /// }`, `text = { length = { lognormal = { median = 80, sigma = 0.9, max = 2000 } } }`.
    Text(TextSpec),
    /// Random bytes, by their length as `text`: `bytes = { length = [16, 16] }`.
    Bytes(BytesSpec),
    /// A person's first name.
    FirstName(Empty),
    /// A person's last name.
    LastName(Empty),
    /// A person's full name.
    Person(Empty),
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
    /// The address of a page under a domain that is reserved for documentation.
    Url(Empty),
    /// An address on a network, out of a range that is private or reserved for documentation: `ip_address = {}`,
    /// `ip_address = { version = 6 }`, `ip_address = { network = "192.168.0.0/16" }`.
    IpAddress(IpSpec),
    /// A JSON document, each field with a generator of its own: `json = { colour = { weighted = { red = 2, blue = 1 } } }`.
    Json(Fields),
    /// A list: an array of the server as a column, a JSON list inside `json`: `array = { of = { words = [1, 1] }, length =
    /// [0, 4] }`.
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
    /// A number from 1 within the children of one parent, for a reference whose `fan_out`
    /// counts (`each`, `normal`, `histogram`):
    /// `ordinal = { through = "order_id" }`.
    Ordinal(OrdinalSpec),
    /// A time after another column's: `after = { through = "order_id", column = "placed_at", lag_s = { exponential = { mean =
    /// 3600 } } }`.
    After(AfterSpec),
    /// A value computed from other columns of the row and, by `through.column`, of the rows it refers to: `expression =
    /// "quantity * product_id.price_cents"`.
    Expression(String),
    /// A generator for each value of another column: `conditional = { on = "country", when = { US = { uniform = [10000,
    /// 99999] }, DE = { uniform = [1067, 99998] } }, else = { constant = 0 } }`. With `draw = "once"` each value of the other
    /// column has one value here: `town = { conditional = { on = "postcode", else = { city = {} }, draw = "once" } }`.
    Conditional(ConditionalSpec),
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
        "histogram",
        "timestamp",
        "date",
        "interval",
        "template",
        "words",
        "sentences",
        "text",
        "bytes",
        "first_name",
        "last_name",
        "person",
        "company",
        "street",
        "city",
        "country",
        "phone",
        "email",
        "url",
        "ip_address",
        "json",
        "array",
    ];
}

impl RowSpec {
    /// The names of all its generators, for suggestions.
    pub const NAMES: &[&str] =
        &["sequence", "reference", "tree", "lookup", "ordinal", "after", "expression", "conditional"];
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
    /// Its columns, in the order of the document.
    pub columns: Vec<ScopeColumn>,
}

/// One column of such a table.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// Its name.
    pub name: String,
    /// What it is made of; `None` where its own mistake was reported already.
    pub spec: Option<ColumnSpec>,
    /// What else is said of its values.
    pub modifiers: Modifiers,
}

/// What any column may say besides what makes its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    /// Share of the rows in which it is NULL, from 0 to 1.
    pub null_fraction: f64,
    /// Whether no value comes twice.
    pub unique: bool,
    /// How far the order of the rows follows the order of the values, from −1 to 1, as `pg_stats.correlation` measures it.
    pub correlation: Option<f64>,
    /// The name that it has in common with other columns of the table: at most one of them is not NULL in each row, and exactly one
    /// where their shares of values make up a whole.
    pub exclusive: Option<String>,
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
    /// The text of the description that is to blame, and which of its bytes, where that is known.
    pub at: Option<(String, Range<usize>)>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), label: label.into(), help: None, at: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at some bytes of one of the description's texts.
    pub(super) fn within(mut self, text: &str, bytes: Range<usize>) -> Self {
        self.at = Some((text.to_owned(), bytes));
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
        Self { message: format!("no {what} `{name}`"), label: label.to_owned(), help, at: None }
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
            ValueSpec::Text(_) => "text",
            ValueSpec::Histogram(_) => "histogram",
            ValueSpec::Uuid(_) => "uuid",
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
            "text = { length = [1, 2] }",
            "text = { length = { normal = { mean = 3, sd = 1 } } }",
            "histogram = { common_values = [1, \"b\"], common_frequencies = [1, 0.5], distinct = -0.5, type = \"text\" }",
            "uuid = { version = 7, at = \"created_at\" }",
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
        assert!(toml::from_str::<Column>("c = { uuid = { versio = 7 } }").is_err());
        assert!(toml::from_str::<Column>("c = { text = { length = 7 } }").is_err());
    }
}
