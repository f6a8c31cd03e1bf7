//! Generators of values that need no row. Reads words from a stream and writes text into bytes; knows no table.

use super::Stream;
use super::count::Count;
use super::histogram::{Dealt, Histogram};
use super::network::Network;
use super::number::{Continuous, Quantity, numbers};
use super::spec::{Fields, Refusal, Scalar, TimeSpec, UuidSpec, ValueSpec};
use super::template::Template;
use super::text::{self, Name};
use super::time::TimeRange;
use super::weights::Alias;
use super::zipf::Zipf;
use super::{ValueKind, json};
use crate::sql::values::{Arena, Slot};

/// A generator that needs no row: what a transaction's parameter can be.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueGenerator(pub(super) Maker);

/// What a generator gave: a value that fits a slot, or text or bytes that it appended to those it was handed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Made {
    Scalar(Slot),
    Text,
    Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Maker {
    Scalar(Slot, ValueKind),
    ConstantText(String, ValueKind),
    Uniform { min: i64, max: i64, scale: u8 },
    Quantity(Quantity),
    Zipf(Zipf),
    Weighted { alias: Alias, categories: Categories },
    Boolean { true_fraction: f64 },
    Uuid,
    Uuid7(TimeRange),
    Histogram(Box<Dealt>),
    Timestamp(TimeRange),
    Date(TimeRange),
    Interval(Box<ValueGenerator>),
    Template(Template),
    Words(Count),
    Sentences(Count),
    Text(Count),
    Bytes(Count),
    Name(Name),
    IpAddress(Network),
    Json(Vec<(String, ValueGenerator)>),
    Array { of: Box<ValueGenerator>, length: Count },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Categories {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl ValueGenerator {
    /// Checks a description and makes the generator.
    pub fn build(spec: &ValueSpec) -> Result<Self, Refusal> {
        let maker = match spec {
            ValueSpec::Constant(scalar) => constant(scalar),
            ValueSpec::Uniform([min, max]) => {
                upwards(min, max)?;
                Maker::Uniform { min: *min, max: *max, scale: 0 }
            }
            ValueSpec::Decimal(spec) => {
                let (min, max) = numbers(spec.min, spec.max, spec.scale)?;
                Maker::Uniform { min, max, scale: spec.scale }
            }
            ValueSpec::Normal(spec) => {
                let shape = Continuous::normal(spec.mean, spec.sd)?;
                Maker::Quantity(Quantity::new(shape, spec.min, spec.max, spec.scale)?)
            }
            ValueSpec::Lognormal(spec) => {
                let shape = Continuous::lognormal(spec.median, spec.sigma)?;
                Maker::Quantity(Quantity::new(shape, spec.min, spec.max, spec.scale)?)
            }
            ValueSpec::Exponential(spec) => {
                let shape = Continuous::exponential(spec.mean)?;
                Maker::Quantity(Quantity::new(shape, spec.min, spec.max, spec.scale)?)
            }
            ValueSpec::Zipf(spec) => {
                exponent(spec.exponent)?;
                if spec.n == 0 || i64::try_from(spec.n).is_err() {
                    return Err(Refusal::new("`n` is not between 1 and 2^63 − 1", "no numbers to draw from"));
                }
                Maker::Zipf(Zipf::new(spec.n, spec.exponent))
            }
            ValueSpec::Weighted(weights) => {
                let alias = Alias::new(weights)?;
                Maker::Weighted { alias, categories: categories(weights.0.iter().map(|(name, _)| name)) }
            }
            ValueSpec::Boolean(spec) => {
                fraction("true_fraction", spec.true_fraction)?;
                Maker::Boolean { true_fraction: spec.true_fraction }
            }
            ValueSpec::Uuid(spec) => match uuid_time(spec)? {
                UuidTime::None => Maker::Uuid,
                UuidTime::Range(range) => Maker::Uuid7(range),
                UuidTime::Column => {
                    return Err(Refusal::new("`at` needs a row", "only the column of a table can have it"));
                }
            },
            ValueSpec::Histogram(spec) => {
                Maker::Histogram(Box::new(Histogram::new(spec, 0.0)?.without_rows()?))
            }
            ValueSpec::Interval(spec) => {
                let seconds = Self::build(&spec.length_s)?;
                if !matches!(seconds.kind(), ValueKind::Int | ValueKind::Decimal) {
                    return Err(Refusal::new(
                        "`length_s` is not a number of seconds",
                        "a generator of numbers is wanted",
                    ));
                }
                Maker::Interval(Box::new(seconds))
            }
            ValueSpec::Timestamp(spec) => Maker::Timestamp(TimeRange::without_row(spec)?),
            ValueSpec::Date(spec) => Maker::Date(TimeRange::without_row(spec)?),
            ValueSpec::Template(text) => Maker::Template(Template::parse(text, &[])?),
            ValueSpec::Words(count) => Maker::Words(Count::new(count)?),
            ValueSpec::Sentences(count) => Maker::Sentences(Count::new(count)?),
            ValueSpec::Text(spec) => Maker::Text(Count::new(&spec.length)?),
            ValueSpec::Bytes(spec) => Maker::Bytes(Count::new(&spec.length)?),
            ValueSpec::FirstName(_) => Maker::Name(Name::First),
            ValueSpec::LastName(_) => Maker::Name(Name::Last),
            ValueSpec::Person(_) => Maker::Name(Name::Person),
            ValueSpec::Company(_) => Maker::Name(Name::Company),
            ValueSpec::Street(_) => Maker::Name(Name::Street),
            ValueSpec::City(_) => Maker::Name(Name::City),
            ValueSpec::Country(_) => Maker::Name(Name::Country),
            ValueSpec::Phone(_) => Maker::Name(Name::Phone),
            ValueSpec::Email(_) => Maker::Name(Name::Email),
            ValueSpec::Url(_) => Maker::Name(Name::Url),
            ValueSpec::IpAddress(spec) => Maker::IpAddress(Network::new(spec)?),
            ValueSpec::Json(fields) => Maker::Json(build_fields(fields)?),
            ValueSpec::Array(spec) => {
                let of = Box::new(Self::build(&spec.of)?);
                if of.kind() == ValueKind::Bytes {
                    return Err(Refusal::new("a list of bytes", "bytes stand in columns of their own"));
                }
                Maker::Array { of, length: Count::new(&spec.length)? }
            }
        };
        Ok(Self(maker))
    }

    /// The generator that needs no settings and goes by `name`: what a template can name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let maker = match name {
            "uuid" => Maker::Uuid,
            "ip_address" => Maker::IpAddress(Network::PRIVATE),
            _ => Maker::Name(Name::by_name(name)?),
        };
        Some(Self(maker))
    }

    /// One value. Allocates nothing once `arena` has grown.
    pub fn value(&self, stream: &mut Stream, arena: &mut Arena) -> Slot {
        into_slot(arena, |out| self.emit(stream, out))
    }

    /// What kind of values its lists hold, where it makes lists.
    #[must_use]
    pub fn element_kind(&self) -> Option<ValueKind> {
        match &self.0 {
            Maker::Array { of, .. } => Some(of.kind()),
            _ => None,
        }
    }

    /// What kind of values it makes.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        match &self.0 {
            Maker::Scalar(_, kind) | Maker::ConstantText(_, kind) => *kind,
            Maker::Uniform { scale, .. } => numeric(*scale),
            Maker::Quantity(quantity) => numeric(quantity.scale()),
            Maker::Zipf(_) | Maker::Weighted { categories: Categories::Numbers(_), .. } => ValueKind::Int,
            Maker::Boolean { .. } => ValueKind::Bool,
            Maker::Uuid | Maker::Uuid7(_) => ValueKind::Uuid,
            Maker::Histogram(dealt) => dealt.kind(),
            Maker::Timestamp(_) => ValueKind::Timestamp,
            Maker::Date(_) => ValueKind::Date,
            Maker::Interval(_) => ValueKind::Interval,
            Maker::IpAddress(_) => ValueKind::IpAddress,
            Maker::Json(_) => ValueKind::Json,
            Maker::Bytes(_) => ValueKind::Bytes,
            Maker::Array { .. } => ValueKind::List,
            Maker::Weighted { .. }
            | Maker::Template(_)
            | Maker::Words { .. }
            | Maker::Sentences { .. }
            | Maker::Text { .. }
            | Maker::Name(_) => ValueKind::Text,
        }
    }

    /// Smallest and largest whole number it can make, where it makes whole numbers within known bounds.
    #[must_use]
    pub fn int_range(&self) -> Option<(i64, i64)> {
        match &self.0 {
            Maker::Scalar(Slot::Int(value), _) => Some((*value, *value)),
            Maker::Uniform { min, max, scale: 0 } => Some((*min, *max)),
            Maker::Weighted { categories: Categories::Numbers(numbers), .. } => {
                Some((*numbers.iter().min()?, *numbers.iter().max()?))
            }
            Maker::Zipf(zipf) => Some((1, i64::try_from(zipf.n()).ok()?)),
            Maker::Quantity(quantity) => quantity.int_range(),
            Maker::Histogram(dealt) => dealt.int_range(),
            _ => None,
        }
    }

    /// One value; text is appended to `out`.
    pub(super) fn emit(&self, stream: &mut Stream, out: &mut Vec<u8>) -> Made {
        match &self.0 {
            Maker::Scalar(slot, _) => return Made::Scalar(*slot),
            Maker::Uniform { min, max, scale: 0 } => {
                return Made::Scalar(Slot::Int(stream.between(*min, *max)));
            }
            Maker::Uniform { min, max, scale } => {
                return Made::Scalar(Slot::Decimal { unscaled: stream.between(*min, *max), scale: *scale });
            }
            Maker::Quantity(quantity) => return Made::Scalar(quantity.draw(stream)),
            Maker::Zipf(zipf) => return Made::Scalar(Slot::Int(zipf.rank(stream).cast_signed())),
            Maker::Weighted { alias, categories } => match categories {
                Categories::Numbers(numbers) => return Made::Scalar(Slot::Int(numbers[alias.draw(stream)])),
                Categories::Texts(texts) => out.extend_from_slice(texts[alias.draw(stream)].as_bytes()),
            },
            Maker::Boolean { true_fraction } => {
                return Made::Scalar(Slot::Bool(stream.unit() < *true_fraction));
            }
            Maker::Uuid => return Made::Scalar(Slot::Uuid(uuid(stream))),
            Maker::Uuid7(range) => return uuid7(range.micros_at(stream.unit()), stream),
            Maker::Histogram(dealt) => return dealt.draw(stream, out),
            Maker::Interval(seconds) => interval(seconds.emit(stream, &mut Vec::new()), out),
            Maker::Bytes(length) => {
                text::bytes(length.draw(stream), stream, out);
                return Made::Bytes;
            }
            Maker::IpAddress(network) => network.emit(stream, out),
            Maker::Timestamp(range) => return Made::Scalar(Slot::Timestamp(range.micros_at(stream.unit()))),
            Maker::Date(range) => return Made::Scalar(Slot::Date(range.day_at(stream.unit()))),
            Maker::ConstantText(text, _) => out.extend_from_slice(text.as_bytes()),
            Maker::Template(template) => template.emit(stream, out, &mut |_, _| Made::Scalar(Slot::Null)),
            Maker::Words(count) => text::words(count.draw(stream), stream, out),
            Maker::Sentences(count) => text::sentences(count.draw(stream), stream, out),
            Maker::Text(length) => text::of_length(length.draw(stream), stream, out),
            Maker::Name(name) => name.emit(stream, out),
            Maker::Json(_) => self.emit_json(stream, out),
            Maker::Array { of, length } => {
                out.push(b'{');
                for index in 0..length.draw(stream) {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::element(out, |out| of.emit(stream, out));
                }
                out.push(b'}');
            }
        }
        Made::Text
    }

    /// One value as JSON.
    fn emit_json(&self, stream: &mut Stream, out: &mut Vec<u8>) {
        match &self.0 {
            Maker::Json(fields) => {
                out.push(b'{');
                for (index, (name, generator)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::string(out, |out| out.extend_from_slice(name.as_bytes()));
                    out.push(b':');
                    generator.emit_json(stream, out);
                }
                out.push(b'}');
            }
            Maker::Array { of, length } => {
                out.push(b'[');
                for index in 0..length.draw(stream) {
                    if index > 0 {
                        out.push(b',');
                    }
                    of.emit_json(stream, out);
                }
                out.push(b']');
            }
            _ => json::value(out, |out| self.emit(stream, out)),
        }
    }
}

/// Turns what `emit` gives into a slot of `arena`.
pub(super) fn into_slot(arena: &mut Arena, emit: impl FnOnce(&mut Vec<u8>) -> Made) -> Slot {
    let mut made = Made::Text;
    let range = arena.write_with(|out| made = emit(out));
    match made {
        Made::Scalar(slot) => slot,
        Made::Text => Slot::Text(range),
        Made::Bytes => Slot::Bytes(range),
    }
}

/// Numbers without digits behind the point are whole.
fn numeric(scale: u8) -> ValueKind {
    if scale == 0 { ValueKind::Int } else { ValueKind::Decimal }
}

fn constant(scalar: &Scalar) -> Maker {
    match scalar {
        Scalar::Bool(value) => Maker::Scalar(Slot::Bool(*value), ValueKind::Bool),
        Scalar::Int(value) => Maker::Scalar(Slot::Int(*value), ValueKind::Int),
        Scalar::Float(value) => Maker::Scalar(Slot::Float(*value), ValueKind::Float),
        Scalar::Text(text) => {
            let document = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            Maker::ConstantText(text.clone(), if document { ValueKind::Json } else { ValueKind::Text })
        }
    }
}

/// Numbers where every name is the plain form of one: `007` stays text.
fn categories<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Categories {
    let number = |name: &String| name.parse::<i64>().ok().filter(|number| number.to_string() == *name);
    match names.clone().map(number).collect() {
        Some(numbers) => Categories::Numbers(numbers),
        None => Categories::Texts(names.cloned().collect()),
    }
}

fn build_fields(fields: &Fields) -> Result<Vec<(String, ValueGenerator)>, Refusal> {
    fields
        .0
        .iter()
        .map(|(name, spec)| match ValueGenerator::build(spec) {
            Ok(generator) if generator.kind() == ValueKind::Bytes => {
                Err(Refusal::new(format!("field `{name}` is bytes"), "JSON has no bytes"))
            }
            Ok(generator) => Ok((name.clone(), generator)),
            Err(refusal) => {
                Err(Refusal { message: format!("field `{name}`: {}", refusal.message), ..refusal })
            }
        })
        .collect()
}

pub(super) fn upwards<T: PartialOrd + std::fmt::Display>(min: &T, max: &T) -> Result<(), Refusal> {
    if min <= max {
        return Ok(());
    }
    Err(Refusal::new(format!("the range from {min} to {max} is empty"), "the first number is the larger one")
        .help(format!("write [{max}, {min}]")))
}

pub(super) fn fraction(name: &str, value: f64) -> Result<(), Refusal> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(format!("`{name}` is {value}"), "a share lies between 0 and 1"))
}

pub(super) fn exponent(value: f64) -> Result<(), Refusal> {
    if value > 0.0 && value <= 20.0 {
        return Ok(());
    }
    Err(Refusal::new(format!("the zipf exponent is {value}"), "above 0 and at most 20"))
}

/// Where a UUID has its time from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum UuidTime {
    /// Version 4 has none.
    None,
    Range(TimeRange),
    /// Another column of the row.
    Column,
}

/// Where a UUID has its time from, and so its version.
pub(super) fn uuid_time(spec: &UuidSpec) -> Result<UuidTime, Refusal> {
    let is_timed = spec.from.is_some() || spec.to.is_some() || spec.growth.is_some() || spec.at.is_some();
    match (spec.version, &spec.from, &spec.to, &spec.at) {
        (None | Some(4), ..) if !is_timed => Ok(UuidTime::None),
        (None | Some(4), ..) => Err(Refusal::new("a random UUID has no time", "version 4 is all random")
            .help("write `version = 7` for such as grow with time")),
        (Some(7), None, None, Some(_)) if spec.growth.is_none() => Ok(UuidTime::Column),
        (Some(7), Some(from), Some(to), None) => {
            let (from, to) = (from.clone(), to.clone());
            let range = TimeRange::new(&TimeSpec { from, to, correlation: 0.0, growth: spec.growth })?;
            Ok(UuidTime::Range(range))
        }
        (Some(7), ..) => Err(Refusal::new(
            "a UUID of version 7 has one source of its time",
            "either `from` and `to`, or `at`",
        )
        .help("write `uuid = { version = 7, from = \"2021-01-01\", to = \"2026-01-01\" }` or `uuid = { version = 7, at = \"created_at\" }`")),
        (Some(version), ..) => {
            Err(Refusal::new(format!("`version` is {version}"), "the versions are 4 and 7"))
        }
    }
}

/// Appends a number of seconds in the form of ISO 8601, `PT90.5S`.
pub(super) fn interval(seconds: Made, out: &mut Vec<u8>) {
    out.extend_from_slice(b"PT");
    if let Made::Scalar(slot) = seconds {
        json::plain(out, slot);
    }
    out.push(b'S');
}

/// 122 random bits, with the version and the variant that RFC 9562 gives to random UUIDs.
pub(super) fn uuid(stream: &mut Stream) -> u128 {
    let bits = u128::from(stream.next_u64()) << 64 | u128::from(stream.next_u64());
    let cleared = bits & !(0xF << 76) & !(0b11 << 62);
    cleared | 0x4 << 76 | 0b10 << 62
}

/// A UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, 12 bits of the microseconds within them (method 3
/// of section 6.2), and 62 random bits.
pub(super) fn uuid7(micros: i64, stream: &mut Stream) -> Made {
    // Times before 1970 have no such UUID; they become its first.
    let micros = u128::from(u64::try_from(micros).unwrap_or(0));
    let (millis, rest) = (micros / 1000, micros % 1000);
    let random = u128::from(stream.next_u64() >> 2);
    let bits = millis << 80 | 0x7 << 76 | (rest * 4096 / 1000) << 64 | 0b10 << 62 | random;
    Made::Scalar(Slot::Uuid(bits))
}
