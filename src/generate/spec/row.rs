//! The settings of generators that need to know their row.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fields, ValueSpec, Weights};

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
    /// Another `reference` of this table: all rows that share its value refer to different rows here, so that no pair of
    /// the two comes twice. Its `fan_out` is one that counts: `each`, `normal` or `histogram`.
    pub distinct_per: Option<String>,
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
    /// Numbers of children that follow a bell curve around the mean that the `rows` of the two tables give:
    /// `{ normal = { sd = 2.5 } }`.
    Normal(NormalFanOut),
    /// So many parents (in proportion) with so many children, exactly: `{ histogram = { 0 = 500, 1 = 300, 12 = 20 } }`.
    Histogram(Weights),
}

/// `{ sd, mean? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalFanOut {
    /// Standard deviation of the number of children, above zero; the curve is cut at zero.
    pub sd: f64,
    /// Mean number of children. It follows from the `rows` of the two tables; where it is said, it must be that.
    pub mean: Option<f64>,
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

/// `conditional = { on, when?, else?, draw? }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionalSpec {
    /// The column of this row that decides; for one of the parent's, look it up first.
    pub on: String,
    /// A generator for each of its values; none where `else` alone says what all of them have.
    #[serde(default)]
    pub when: Fields,
    /// The generator for all other values; NULL unless said.
    #[serde(rename = "else")]
    pub otherwise: Option<Box<ValueSpec>>,
    /// How often a value is drawn.
    #[serde(default)]
    pub draw: DrawSpec,
}

/// How often a conditional column draws its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrawSpec {
    /// For each row anew.
    #[default]
    Each,
    /// Once for each value of the column that decides, which so determines this one, as a postcode its town. Whether it is NULL
    /// is drawn once as well.
    Once,
}

/// `ordinal = { through }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdinalSpec {
    /// The column of this table that refers to the parent; its `fan_out` is one that counts.
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
