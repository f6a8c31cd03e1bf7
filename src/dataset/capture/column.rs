//! From what is known of one column to a generator that makes its like. Keys and references are decided in [`super::keys`].
//! Knows no server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::facts::{ColumnFacts, ColumnStatistics, TableFacts, TypeKind};
use super::redact::{Form, in_words, is_dense, made_up, moved, moved_floats, thinned};
use crate::sql::lex::{TokenKind, significant};

/// Bounds that are written for numbers and times: as many as `pg_stats` has by default.
const BOUNDS_MAX: usize = 101;
/// Bounds that are written for texts.
const TEXT_BOUNDS_MAX: usize = 41;
/// Common values that are written.
const COMMON_MAX: usize = 100;
/// Texts that are longer on average have no histogram, unless some of them are common.
const TEXT_LONG: f64 = 64.0;
/// A correlation nearer to zero is none.
const CORRELATION_MIN: f64 = 0.05;

/// How a column is described.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The generator as it stands in the document: `histogram = { … }`.
    pub generator: String,
    /// Share of NULLs.
    pub null_fraction: f64,
    /// No value comes twice.
    pub unique: bool,
    /// How far the rows stand in the order of the values.
    pub correlation: Option<f64>,
    /// What it has in common with columns of the table of which a row has a value in one at most.
    pub exclusive: Option<String>,
}

/// What becomes of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaves {
    /// Nothing of them: numbers of rows, shares and lengths.
    Nothing,
    /// Texts of the same lengths and in the same order, none of them the source's.
    MadeUp,
    /// Numbers and times between those that are there.
    Moved,
    /// Numbers that lie so densely that they tell nothing but their range.
    Range,
    /// The values themselves: they stand in the schema.
    InSchema,
    /// The values themselves: the user said so.
    Kept,
}

/// What one column is made of: descriptions, the best first, and what becomes of its values.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) descriptions: Vec<Description>,
    pub(super) leaves: Leaves,
    pub(super) written: Written,
}

/// The values of a column as the document has them, for columns that go together with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The type of its histogram; empty where it has none.
    pub(super) type_name: &'static str,
    /// The common ones, and the share of the rows that each of them has.
    pub(super) common: Vec<(String, f64)>,
    /// Bounds of groups with the same number of rows.
    pub(super) bounds: Vec<String>,
    /// For values of the source what is written in their place.
    pub(super) of: BTreeMap<String, String>,
}

impl Choice {
    fn of(descriptions: Vec<Description>, leaves: Leaves) -> Self {
        Self { descriptions, leaves, written: Written::default() }
    }
}

impl Description {
    pub(super) fn of(generator: impl Into<String>, null_fraction: f64) -> Self {
        Self { generator: generator.into(), null_fraction, unique: false, correlation: None, exclusive: None }
    }

    fn unique(mut self, unique: bool) -> Self {
        self.unique = unique;
        self
    }

    fn correlated(mut self, correlation: Option<f64>) -> Self {
        self.correlation = correlation;
        self
    }

    /// The column as it stands in the document, behind its name.
    pub(super) fn inline(&self) -> String {
        let mut text = format!("{{ {}", self.generator);
        let mut put = |what: String| {
            let written = write!(text, ", {what}");
            debug_assert!(written.is_ok(), "memory takes every text");
        };
        if self.null_fraction > 0.0 {
            put(format!("null_fraction = {}", number(self.null_fraction)));
        }
        if self.unique {
            put("unique = true".to_owned());
        }
        if let Some(correlation) = self.correlation {
            put(format!("correlation = {}", number(correlation)));
        }
        if let Some(name) = &self.exclusive {
            put(format!("exclusive = {}", quoted(name)));
        }
        text + " }"
    }
}

/// A number with the digits that matter; always one that TOML takes for a fraction.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// A histogram as it stands in the document: common values and their shares, bounds, and how many different values there are.
pub(super) fn histogram(
    type_name: &str,
    common: &[(String, f64)],
    bounds: &[String],
    distinct: Option<f64>,
) -> String {
    // Rounding must not put the sum above the whole.
    let share = |of: f64| number((of * 0.999_999 * 1e8).floor() / 1e8);
    let mut parts = vec![];
    if !common.is_empty() {
        let values: Vec<&str> = common.iter().map(|(value, _)| value.as_str()).collect();
        let shares: Vec<String> = common.iter().map(|(_, of)| share(*of)).collect();
        parts.push(format!("common_values = [{}]", values.join(", ")));
        parts.push(format!("common_frequencies = [{}]", shares.join(", ")));
    }
    if !bounds.is_empty() {
        parts.push(format!("bounds = [{}]", bounds.join(", ")));
    }
    parts.extend(distinct.map(|distinct| format!("distinct = {}", number(distinct))));
    parts.push(format!("type = \"{type_name}\""));
    format!("histogram = {{ {} }}", parts.join(", "))
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// What a column is made of, as far as its own statistics say it. `unique` is asked for by a key.
pub(super) fn choose(table: &TableFacts, column: &ColumnFacts, unique: bool, keep: bool) -> Choice {
    let unknown = ColumnStatistics::default();
    let statistics = column.statistics.as_ref();
    let known = statistics.unwrap_or(&unknown);
    let name = format!("{}.{}", table.name, column.name);
    let nulls = if column.not_null { 0.0 } else { known.null_fraction.clamp(0.0, 1.0) };
    let maker = Maker { table, column, known, name, nulls, unique, keep };
    let mut choice = match &column.kind {
        TypeKind::Bool => maker.truth(),
        TypeKind::Int(_)
        | TypeKind::Decimal
        | TypeKind::Date
        | TypeKind::Timestamp
        | TypeKind::Time
        | TypeKind::Interval
        | TypeKind::Money => maker.counted(),
        TypeKind::Float => maker.float(),
        TypeKind::Enum(labels) => maker.labels(labels),
        TypeKind::Text => maker.text(),
        TypeKind::Uuid => maker.plain("uuid = {}", Leaves::Nothing),
        TypeKind::Bytes => maker.plain(&maker.of_length("bytes", hex_bytes), Leaves::Nothing),
        TypeKind::Json | TypeKind::Hstore => maker.plain(&maker.json(), Leaves::Nothing),
        TypeKind::Tsvector => maker.plain(&maker.search_words(), Leaves::Nothing),
        TypeKind::Mac(bytes) => {
            maker.plain(&format!("bytes = {{ length = [{bytes}, {bytes}] }}"), Leaves::Nothing)
        }
        TypeKind::Xml => maker.plain(&maker.sized("text"), Leaves::Nothing),
        TypeKind::Network => maker.plain("ip_address = {}", Leaves::Nothing),
        TypeKind::Array(of) => maker.array(of),
        TypeKind::Other => Choice::of(vec![], Leaves::Nothing),
    };
    if statistics.is_some() && nulls >= 0.999_999 {
        // All of them are NULL: nothing is known, and nothing is wanted.
        choice.descriptions.retain(|description| !description.unique);
        choice.leaves = Leaves::Nothing;
    }
    choice
}

/// All values that are known.
fn values_of(known: &ColumnStatistics) -> impl Iterator<Item = &String> {
    known.common.iter().chain(&known.bounds)
}

struct Maker<'a> {
    table: &'a TableFacts,
    column: &'a ColumnFacts,
    known: &'a ColumnStatistics,
    name: String,
    nulls: f64,
    unique: bool,
    keep: bool,
}

impl Maker<'_> {
    fn plain(&self, generator: &str, leaves: Leaves) -> Choice {
        let description = Description::of(generator, self.nulls);
        // UUIDs are unique by themselves; what else stands here is unique by a number in it.
        let unique = self.unique && !generator.starts_with("uuid");
        Choice::of(vec![description.unique(unique)], leaves)
    }

    fn correlation(&self) -> Option<f64> {
        let correlation = self.known.correlation.filter(|of| of.abs() >= CORRELATION_MIN);
        // A correlation within a rounding of one is one.
        correlation.map(|of| if of.abs() > 0.9999 { of.signum() } else { (of * 1e4).round() / 1e4 })
    }

    fn truth(&self) -> Choice {
        let share = |value: &str| {
            let at = self.known.common.iter().position(|common| common == value)?;
            self.known.frequencies.get(at).copied()
        };
        let (yes, no) = (share("t").unwrap_or(0.0), share("f").unwrap_or(0.0));
        let fraction = if yes + no > 0.0 { yes / (yes + no) } else { 0.5 };
        let generator = format!("boolean = {{ true_fraction = {} }}", number(fraction));
        let written = Written {
            type_name: "boolean",
            common: vec![("true".to_owned(), yes), ("false".to_owned(), no)],
            bounds: vec![],
            of: [("t", "true"), ("f", "false")].map(|(of, to)| (of.to_owned(), to.to_owned())).into(),
        };
        Choice { written, ..self.plain(&generator, Leaves::Nothing) }
    }

    /// Common values with their shares, and bounds, as numbers; what has no number is left out.
    fn points(&self, form: Form) -> (Vec<(i128, f64)>, Vec<i128>) {
        let pairs = self.known.common.iter().zip(&self.known.frequencies);
        let common = pairs.filter_map(|(text, share)| Some((form.read(text)?, *share)));
        let common: Vec<(i128, f64)> = common.filter(|(_, share)| *share > 0.0).take(COMMON_MAX).collect();
        let mut bounds: Vec<i128> = self.known.bounds.iter().filter_map(|text| form.read(text)).collect();
        bounds.sort_unstable();
        (common, thinned(&bounds, BOUNDS_MAX))
    }

    fn counted(&self) -> Choice {
        let Some(form) = Form::of(&self.column.kind, values_of(self.known)) else {
            return Choice::of(vec![], Leaves::Nothing);
        };
        let (mut common, mut bounds) = self.points(form);
        let mut all: Vec<i128> =
            common.iter().map(|(value, _)| *value).chain(bounds.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let distinct = self.known.distinct_among(self.table.rows);
        let before = all.clone();
        let listed = self.partitions();
        let leaves = if self.keep {
            Leaves::Kept
        } else if !listed.is_empty() && values_of(self.known).all(|value| listed.contains(value)) {
            Leaves::InSchema
        } else if is_dense(form, &all, distinct) {
            Leaves::Range
        } else {
            let there = moved(&all, &self.name);
            let to = |value: i128| all.binary_search(&value).map_or(value, |at| there[at]);
            for value in common.iter_mut().map(|(value, _)| value).chain(&mut bounds) {
                *value = to(*value);
            }
            all = there;
            Leaves::Moved
        };
        let mut descriptions = vec![];
        if self.unique && form == Form::Int {
            descriptions.extend(self.sequence(&bounds));
        }
        if self.unique {
            // Whoever is unique has no common value: what stands there was seen twice by mistake.
            common.clear();
        }
        let text = |value: &i128| form.write(*value);
        let common: Vec<(String, f64)> = common.iter().map(|(value, share)| (text(value), *share)).collect();
        let type_name = form.type_name();
        let bounds: Vec<String> = bounds.iter().map(text).collect();
        descriptions.extend(self.histograms(type_name, &common, &bounds));
        descriptions.push(Description::of(self.range(form, &all), self.nulls).unique(self.unique));
        let to = |source: &String| {
            let at = before.binary_search(&form.read(source)?).ok()?;
            Some((source.clone(), text(all.get(at)?)))
        };
        let of = self.known.common.iter().chain(&self.known.bounds).filter_map(to).collect();
        Choice {
            descriptions,
            leaves: if all.is_empty() { Leaves::Nothing } else { leaves },
            written: Written { type_name, common, bounds, of },
        }
    }

    /// Numbers one after the other, where the rows stand in their order or nothing else is known.
    fn sequence(&self, bounds: &[i128]) -> Option<Description> {
        let in_order = self.known.correlation.is_none_or(|of| of > 0.9);
        if !(in_order || self.column.is_numbered) || self.nulls > 0.0 {
            return None;
        }
        let (first, last) = (bounds.first().copied().unwrap_or(1), bounds.last().copied().unwrap_or(0));
        let rows = self.table.rows.max(1.0);
        // Whole steps of a range of 64 bits.
        #[expect(clippy::cast_possible_truncation)]
        let step = (((last - first) as f64 / rows) as i128).max(1);
        // The least bound is the first of a sample: where a table begins near 1 it begins with 1.
        let start = if (first as f64) < rows / 100.0 + 2.0 && first > 0 { 1 } else { first };
        let generator = match (start, step) {
            (1, 1) => "sequence = {}".to_owned(),
            (start, 1) => format!("sequence = {{ start = {start} }}"),
            (start, step) => format!("sequence = {{ start = {start}, step = {step} }}"),
        };
        Some(Description::of(generator, 0.0))
    }

    /// A histogram, and the same with less said where not all of it can be.
    fn histograms(&self, type_name: &str, common: &[(String, f64)], bounds: &[String]) -> Vec<Description> {
        let bounds = if bounds.len() < 2 { &[] } else { bounds };
        if common.is_empty() && bounds.is_empty() {
            return vec![];
        }
        let sum: f64 = common.iter().map(|(_, share)| share).sum();
        let room = 1.0 - self.nulls;
        // Without bounds the common values are all that there is; with them they leave room for others.
        let factor = if bounds.is_empty() || sum > room { room / sum.max(f64::MIN_POSITIVE) } else { 1.0 };
        let common: Vec<(String, f64)> =
            common.iter().map(|(value, share)| (value.clone(), share * factor)).collect();
        let with = |distinct: Option<f64>| histogram(type_name, &common, bounds, distinct);
        let distinct = self.distinct(common.len(), !bounds.is_empty());
        let correlation = self.correlation();
        let made = |distinct, correlation| {
            Description::of(with(distinct), self.nulls).unique(self.unique).correlated(correlation)
        };
        let mut all = vec![made(distinct, correlation), made(None, correlation)];
        if let Some(correlation) = correlation {
            // As near as these values can come.
            all.extend([0.9, 0.8, 0.6].map(|share| made(distinct, Some(correlation * share))));
        }
        all.extend([made(distinct, None), made(None, None)]);
        all.dedup();
        all
    }

    /// `n_distinct` in the form that a histogram takes, if it says more than the common values do.
    fn distinct(&self, common: usize, has_bounds: bool) -> Option<f64> {
        let distinct = self.known.distinct;
        if self.unique || !has_bounds || distinct == 0.0 {
            return None;
        }
        if distinct < 0.0 {
            return Some(distinct.max(-1.0));
        }
        Some(distinct.max(common as f64 + 1.0))
    }

    /// All numbers of a range alike: what is left where a histogram cannot be, or nothing is known.
    fn range(&self, form: Form, all: &[i128]) -> String {
        let (first, last) = match (all.first(), all.last()) {
            (Some(first), Some(last)) if last > first => (*first, *last),
            _ => match form {
                Form::Int if self.unique => return "sequence = {}".to_owned(),
                Form::Int | Form::Decimal(_) | Form::Money => (1, 1000),
                Form::Time | Form::Interval => (1_000_000, 86_399_000_000),
                Form::Date => (19_723, 20_454),
                Form::Timestamp => (1_704_067_200_000_000, 1_767_225_600_000_000),
            },
        };
        match form {
            Form::Int => format!("uniform = [{first}, {last}]"),
            Form::Decimal(digits) => {
                let scale = u32::try_from(digits).unwrap_or(0).max(self.column.scale.unwrap_or(0)).min(9);
                let value = |of: i128| number(of as f64 / 10_f64.powi(i32::try_from(digits).unwrap_or(0)));
                format!("decimal = {{ min = {}, max = {}, scale = {scale} }}", value(first), value(last))
            }
            Form::Money => self.range(Form::Decimal(2), all),
            Form::Time | Form::Interval => {
                let bounds = [form.write(first), form.write(last)];
                histogram(form.type_name(), &[], &bounds, None)
            }
            Form::Date => {
                format!("date = {{ from = {}, to = {} }}", form.write(first), form.write(last + 1))
            }
            Form::Timestamp => {
                format!("timestamp = {{ from = {}, to = {} }}", form.write(first), form.write(last + 1))
            }
        }
    }

    fn float(&self) -> Choice {
        let read = |text: &String| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let mut bounds: Vec<f64> = self.known.bounds.iter().filter_map(read).collect();
        bounds.sort_by(f64::total_cmp);
        let mut bounds = thinned(&bounds, BOUNDS_MAX);
        let pairs = self.known.common.iter().zip(&self.known.frequencies);
        let mut common: Vec<(f64, f64)> =
            pairs.filter_map(|(text, share)| Some((read(text)?, *share))).take(COMMON_MAX).collect();
        let mut all: Vec<f64> =
            common.iter().map(|(value, _)| *value).chain(bounds.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        if !self.keep {
            let there = moved_floats(&all, &self.name);
            let to =
                |value: f64| all.binary_search_by(|of| of.total_cmp(&value)).map_or(value, |at| there[at]);
            for value in common.iter_mut().map(|(value, _)| value).chain(&mut bounds) {
                *value = to(*value);
            }
        }
        if self.unique {
            common.clear();
        }
        let text = |value: &f64| format!("\"{value}\"");
        let common: Vec<(String, f64)> = common.iter().map(|(value, share)| (text(value), *share)).collect();
        let bounds: Vec<String> = bounds.iter().map(text).collect();
        let mut descriptions = self.histograms("float", &common, &bounds);
        let plain = "decimal = { min = 0.0, max = 1000.0, scale = 3 }";
        descriptions.push(Description::of(plain, self.nulls).unique(self.unique));
        Choice::of(descriptions, if self.keep { Leaves::Kept } else { Leaves::Moved })
    }

    fn labels(&self, labels: &[String]) -> Choice {
        let pairs = self.known.common.iter().zip(&self.known.frequencies);
        let common: Vec<(String, f64)> =
            pairs.map(|(label, share)| (quoted(label), *share)).filter(|(_, share)| *share > 0.0).collect();
        let common = if common.is_empty() {
            labels.iter().map(|label| (quoted(label), 1.0 / labels.len() as f64)).collect()
        } else {
            common
        };
        let descriptions = self.histograms("text", &common, &[]);
        let of = labels.iter().map(|label| (label.clone(), quoted(label))).collect();
        let written = Written { type_name: "text", common, bounds: vec![], of };
        Choice { descriptions, leaves: Leaves::InSchema, written }
    }

    /// The values that the schema lists for the column: a check constraint for it alone, or the bounds of partitions.
    fn listed(&self) -> Vec<String> {
        let about =
            |check: &&super::facts::CheckFacts| check.columns.as_slice() == [self.column.name.clone()];
        let checked = self.table.checks.iter().filter(about).flat_map(|check| literals(&check.expression));
        checked.chain(self.partitions()).collect()
    }

    /// The values by which the rows go to partitions.
    fn partitions(&self) -> Vec<String> {
        let own = self.table.listed.iter().filter(|(name, _)| *name == self.column.name);
        own.flat_map(|(_, values)| values.clone()).collect()
    }

    fn text(&self) -> Choice {
        let listed = self.listed();
        let all_listed = !listed.is_empty()
            && !self.known.common.is_empty()
            && self.known.common.iter().chain(&self.known.bounds).all(|value| listed.contains(value));
        if self.keep || all_listed {
            let pairs = self.known.common.iter().zip(&self.known.frequencies);
            let common: Vec<(String, f64)> =
                pairs.map(|(value, share)| (quoted(value), *share)).take(COMMON_MAX).collect();
            let bounds: Vec<String> =
                thinned(&self.known.bounds, TEXT_BOUNDS_MAX).iter().map(|value| quoted(value)).collect();
            let leaves = if self.keep { Leaves::Kept } else { Leaves::InSchema };
            let mut descriptions = self.histograms("text", if self.unique { &[] } else { &common }, &bounds);
            descriptions
                .push(Description::of(self.of_length("text", characters), self.nulls).unique(self.unique));
            let all = self.known.common.iter().chain(&self.known.bounds);
            let of = all.map(|value| (value.clone(), quoted(value))).collect();
            let written = Written { type_name: "text", common, bounds, of };
            return Choice { descriptions, leaves, written };
        }
        if !listed.is_empty() && self.known.common.is_empty() {
            let share = 1.0 / listed.len() as f64;
            let common: Vec<(String, f64)> = listed.iter().map(|value| (quoted(value), share)).collect();
            return Choice::of(self.histograms("text", &common, &[]), Leaves::InSchema);
        }
        self.made_up()
    }

    fn made_up(&self) -> Choice {
        let is_long = self.known.width > TEXT_LONG && self.known.common.is_empty();
        let mut descriptions = vec![];
        let mut made = Written::default();
        if !is_long {
            let pairs = self.known.common.iter().zip(&self.known.frequencies);
            let common: Vec<(&String, f64)> = if self.unique {
                vec![]
            } else {
                pairs.map(|(value, share)| (value, *share)).take(COMMON_MAX).collect()
            };
            // The server's own order where it is known; common values go where they would stand.
            let bounds = thinned(&self.known.bounds, TEXT_BOUNDS_MAX);
            let mut all: Vec<&String> = bounds.iter().collect();
            all.dedup();
            for (value, _) in &common {
                if !all.contains(value) {
                    let at = all.partition_point(|of| in_words(of, value).is_lt());
                    all.insert(at, value);
                }
            }
            let lengths: Vec<usize> = all.iter().map(|text| characters(text)).collect();
            let instead = made_up(&lengths, &self.name);
            let to = |value: &String| {
                let at = all.iter().position(|of| *of == value).unwrap_or(0);
                quoted(&instead[at])
            };
            let common: Vec<(String, f64)> =
                common.iter().map(|(value, share)| (to(value), *share)).collect();
            let written: Vec<String> = bounds.iter().map(to).collect();
            let too_long = |limit: u32| instead.iter().any(|text| text.len() > limit as usize);
            // Values between two bounds may need a few characters more to be told apart.
            let grows = |limit: u32| {
                let shortest = lengths.iter().min().copied().unwrap_or(0);
                !written.is_empty()
                    && shortest < 6
                    && lengths.iter().max().copied().unwrap_or(0) + 4 > limit as usize
            };
            if self.column.length_max.is_none_or(|limit| !too_long(limit) && !grows(limit)) {
                descriptions = self.histograms("text", &common, &written);
            } else if !too_long(self.column.length_max.unwrap_or(u32::MAX))
                && !self.unique
                && !common.is_empty()
            {
                descriptions = self.histograms("text", &common, &[]);
            }
            if !descriptions.is_empty() {
                let of = all.iter().map(|value| ((*value).clone(), to(value))).collect();
                made = Written { type_name: "text", common, bounds: written, of };
            }
        }
        descriptions
            .push(Description::of(self.of_length("text", characters), self.nulls).unique(self.unique));
        let leaves = if descriptions.len() > 1 { Leaves::MadeUp } else { Leaves::Nothing };
        Choice { descriptions, leaves, written: made }
    }

    /// Texts or bytes by their lengths alone.
    fn of_length(&self, what: &str, length: impl Fn(&str) -> usize) -> String {
        let known = if self.known.bounds.is_empty() { &self.known.common } else { &self.known.bounds };
        let mut lengths: Vec<usize> = known.iter().map(|text| length(text)).collect();
        lengths.sort_unstable();
        let limit = self.column.length_max.map_or(1_000_000, |limit| limit as usize);
        let (Some(first), Some(last)) = (lengths.first().copied(), lengths.last().copied()) else {
            return self.sized(what);
        };
        if first.min(limit) == last.min(limit) {
            return format!("{what} = {{ length = [{0}, {0}] }}", first.min(limit));
        }
        let bounds: Vec<String> =
            thinned(&lengths, 21).iter().map(|length| (*length).min(limit).to_string()).collect();
        format!("{what} = {{ length = {{ histogram = {{ bounds = [{}] }} }} }}", bounds.join(", "))
    }

    /// Something with a length, of which only the mean is known. The width counts the header of a value: one byte up to 126, else four.
    fn sized(&self, what: &str) -> String {
        let width = self.known.width;
        let mean = if width <= 0.0 {
            12.0
        } else if width < 127.0 {
            width - 1.0
        } else {
            width - 4.0
        };
        let limit = self.column.length_max.map_or(100_000.0, f64::from);
        let (least, most) = ((mean / 2.0).max(1.0), (mean * 1.5).max(1.0));
        format!("{what} = {{ length = [{:.0}, {:.0}] }}", least.min(limit).floor(), most.min(limit).ceil())
    }

    /// A document as wide as those that are there: what is in it, no statistics tell.
    fn json(&self) -> String {
        let width = (self.known.width - 16.0).clamp(4.0, 50_000.0);
        format!(
            "json = {{ captured = {{ text = {{ length = [{:.0}, {:.0}] }} }} }}",
            width * 0.8,
            width * 1.2
        )
    }

    /// As many words as its width says: each takes its letters, four bytes that point at it, and two for its only place.
    fn search_words(&self) -> String {
        const WORD_BYTES: f64 = 14.0;
        let words = (self.known.width / WORD_BYTES).clamp(1.0, 5000.0);
        format!("words = [{:.0}, {:.0}]", (words * 0.5).max(1.0), words * 1.5)
    }

    fn array(&self, of: &TypeKind) -> Choice {
        let (least, most) = self.known.lengths.unwrap_or((0.0, 3.0));
        let numbers: Vec<i64> = self.known.elements.iter().filter_map(|text| text.parse().ok()).collect();
        let (element, leaves) = match of {
            TypeKind::Int(_) => match (numbers.iter().min(), numbers.iter().max()) {
                (Some(first), Some(last)) => (format!("uniform = [{first}, {last}]"), Leaves::Range),
                _ => ("uniform = [1, 1000]".to_owned(), Leaves::Nothing),
            },
            TypeKind::Text => ("words = [1, 1]".to_owned(), Leaves::Nothing),
            TypeKind::Enum(labels) => {
                let weights: Vec<String> =
                    labels.iter().map(|label| format!("{} = 1", quoted(label))).collect();
                (format!("weighted = {{ {} }}", weights.join(", ")), Leaves::InSchema)
            }
            TypeKind::Bool => ("boolean = { true_fraction = 0.5 }".to_owned(), Leaves::Nothing),
            TypeKind::Uuid => ("uuid = {}".to_owned(), Leaves::Nothing),
            TypeKind::Decimal | TypeKind::Float => {
                ("decimal = { min = 0.0, max = 1000.0, scale = 2 }".to_owned(), Leaves::Nothing)
            }
            TypeKind::Timestamp => {
                ("timestamp = { from = \"2024-01-01\", to = \"2026-01-01\" }".to_owned(), Leaves::Nothing)
            }
            TypeKind::Date => {
                ("date = { from = \"2024-01-01\", to = \"2026-01-01\" }".to_owned(), Leaves::Nothing)
            }
            TypeKind::Network => ("ip_address = {}".to_owned(), Leaves::Nothing),
            TypeKind::Interval => {
                ("interval = { length_s = { exponential = { mean = 3600.0 } } }".to_owned(), Leaves::Nothing)
            }
            _ => return Choice::of(vec![], Leaves::Nothing),
        };
        let generator = format!(
            "array = {{ of = {{ {element} }}, length = [{:.0}, {:.0}] }}",
            least.max(0.0),
            most.clamp(least, 1000.0)
        );
        self.plain(&generator, leaves)
    }
}

/// Characters of a text; the blanks at the end of a `char(n)` are none.
fn characters(text: &str) -> usize {
    text.trim_end().chars().count()
}

/// Bytes of a value that is written as `\\x00ff`.
fn hex_bytes(text: &str) -> usize {
    text.strip_prefix("\\x").map_or(text.len(), |digits| digits.len() / 2)
}

/// The texts in an expression that compares one column with texts and does nothing else.
fn literals(expression: &str) -> Vec<String> {
    let tokens = significant(expression);
    let is_list = tokens.iter().any(|token| token.is_punctuation(expression, "="))
        && !tokens
            .iter()
            .any(|token| ["NOT", "LIKE", "AND"].iter().any(|word| token.is_word(expression, word)))
        && !tokens
            .iter()
            .any(|token| ["<", ">", "~", "!"].iter().any(|sign| token.is_punctuation(expression, sign)));
    if !is_list {
        return vec![];
    }
    let text = |token: &crate::sql::lex::Token| {
        let inside = token.text(expression).strip_prefix('\'')?.strip_suffix('\'')?;
        (token.kind == TokenKind::String).then(|| inside.replace("''", "'"))
    };
    tokens.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: TypeKind, statistics: ColumnStatistics) -> ColumnFacts {
        ColumnFacts {
            name: "c".into(),
            type_name: String::new(),
            kind,
            length_max: None,
            scale: None,
            not_null: false,
            has_default: false,
            is_generated: false,
            is_numbered: false,
            domain: None,
            statistics: Some(statistics),
        }
    }

    fn table() -> TableFacts {
        TableFacts { name: "t".into(), rows: 10_000.0, ..TableFacts::default() }
    }

    fn best(kind: TypeKind, statistics: ColumnStatistics, unique: bool) -> (String, Leaves) {
        let choice = choose(&table(), &column(kind, statistics), unique, false);
        (choice.descriptions[0].inline(), choice.leaves)
    }

    #[test]
    fn texts_leave_nothing_but_lengths_and_shares() {
        let known = ColumnStatistics {
            null_fraction: 0.1,
            width: 6.0,
            distinct: 2.0,
            common: vec!["Zurich".into(), "Bern".into()],
            frequencies: vec![0.6, 0.3],
            correlation: Some(0.01),
            ..ColumnStatistics::default()
        };
        let (text, leaves) = best(TypeKind::Text, known, false);
        assert_eq!(leaves, Leaves::MadeUp);
        assert!(!text.contains("Zurich") && !text.contains("Bern"), "{text}");
        assert!(
            text.contains("null_fraction = 0.1") && text.contains("common_frequencies = [0.59"),
            "{text}"
        );
    }

    #[test]
    fn a_serial_number_is_a_sequence_and_a_rating_stays() {
        let serial = ColumnStatistics {
            distinct: -1.0,
            bounds: (0..=100).map(|at: i32| (1 + at * 100).to_string()).collect(),
            correlation: Some(1.0),
            ..ColumnStatistics::default()
        };
        assert_eq!(best(TypeKind::Int(8), serial, true).0, "{ sequence = {} }");
        let rating = ColumnStatistics {
            distinct: 3.0,
            common: vec!["5".into(), "1".into(), "4".into()],
            frequencies: vec![0.5, 0.3, 0.2],
            ..ColumnStatistics::default()
        };
        let (text, leaves) = best(TypeKind::Int(2), rating, false);
        assert!(text.contains("common_values = [5, 1, 4]"), "{text}");
        assert_eq!(leaves, Leaves::Range);
    }

    #[test]
    fn values_that_a_check_lists_are_the_schema_s() {
        assert_eq!(literals("(status = ANY (ARRAY['new'::text, 'it''s'::text]))"), ["new", "it's"]);
        assert!(literals("(email ~ '@'::text)").is_empty());
        assert!(literals("(x <> 'secret'::text)").is_empty());
    }

    #[test]
    fn odd_texts_are_quoted_as_toml_reads_them() {
        let text = "a\"b\\c\nd\u{1}";
        let read: toml::Table = toml::from_str(&format!("x = {}", quoted(text))).expect("it is TOML");
        assert_eq!(read["x"].as_str(), Some(text));
    }
}
