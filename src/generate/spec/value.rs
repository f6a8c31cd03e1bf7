//! The settings of generators that need no row.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{LengthSpec, ValueSpec};

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
    /// row, so only a column can have it; the same as `correlation` beside the generator.
    #[serde(default)]
    pub correlation: f64,
    /// How many times more frequent the last instants are than the first: a business that grew threefold says 3.
    pub growth: Option<f64>,
}

/// `uuid = { version?, from?, to?, growth?, at? }`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UuidSpec {
    /// 4 (random) or 7 (a time, then random); 4 unless said.
    pub version: Option<u8>,
    /// Version 7: the first instant, as of `timestamp`. In a column the times grow with the rows unless `correlation` says
    /// otherwise.
    pub from: Option<String>,
    /// Version 7: the instant after the last.
    pub to: Option<String>,
    /// Version 7: how many times more frequent the last instants are than the first.
    pub growth: Option<f64>,
    /// Version 7: the column of this row whose time is taken, in the place of `from` and `to`.
    pub at: Option<String>,
}

/// `text = { length }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// Number of characters.
    pub length: LengthSpec,
}

/// `bytes = { length }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BytesSpec {
    /// Number of bytes.
    pub length: LengthSpec,
}

/// `interval = { length_s }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntervalSpec {
    /// How many seconds: a generator of numbers.
    pub length_s: Box<ValueSpec>,
}

/// `ip_address = { version?, network? }`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IpSpec {
    /// 4 or 6; 4 unless said.
    pub version: Option<u8>,
    /// Where the addresses lie, such as `192.168.0.0/16`; unless said `10.0.0.0/8`, which is private, or `2001:db8::/32`,
    /// which is reserved for documentation.
    pub network: Option<String>,
}

/// `array = { of, length }`
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArraySpec {
    /// What makes its elements.
    pub of: ValueSpec,
    /// Number of elements.
    pub length: LengthSpec,
}

/// `histogram = { common_values, common_frequencies, bounds, distinct, type? }`: a row of `pg_stats`, as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HistogramSpec {
    /// The most common values (`most_common_vals`).
    pub common_values: Vec<Scalar>,
    /// The share of all rows, NULLs included, that each of them has (`most_common_freqs`).
    pub common_frequencies: Vec<f64>,
    /// Values that divide the others into groups of the same number of rows, in ascending order (`histogram_bounds`).
    pub bounds: Vec<Scalar>,
    /// Number of distinct values (`n_distinct`): as it is, or below zero as a share of the rows, so that −1 is unique.
    /// As many as there can be unless said.
    pub distinct: Option<f64>,
    /// What the values are. Unless said, texts are texts, whole numbers are whole numbers, and numbers with digits after the
    /// point are decimals. Values of all types can be written as texts, so that no digit is lost.
    #[serde(rename = "type")]
    pub of_type: Option<HistogramType>,
}

/// What the values of a histogram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramType {
    /// Whole numbers.
    Integer,
    /// Exact decimals, with as many digits after the point as the value that has most.
    Decimal,
    /// Floating-point numbers.
    Float,
    /// Truth values.
    Boolean,
    /// Texts, enums included; ordered byte by byte.
    Text,
    /// Days: `2021-01-31`.
    Date,
    /// Points in time: `2021-01-31 08:00:00+00`; UTC where no offset is said.
    Timestamp,
    /// Times of a day: `08:00:00`. They are made as texts.
    Time,
    /// Lengths of time, in the form of ISO 8601: `PT90.5S`.
    Interval,
    /// UUIDs.
    Uuid,
}
