//! Generators of values that need no row. Reads words from a stream and writes text into bytes; knows no table.

use super::Stream;
use super::number::{Continuous, Quantity, numbers};
use super::spec::{Fields, Refusal, Scalar, ValueSpec};
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

/// What a generator gave: a value that fits a slot, or text that it appended to the bytes it was handed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Made {
    Scalar(Slot),
    Text,
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
    Timestamp(TimeRange),
    Date(TimeRange),
    Template(Template),
    Words { min: u32, max: u32 },
    Sentences { min: u32, max: u32 },
    Text { min: u32, max: u32 },
    Name(Name),
    Json(Vec<(String, ValueGenerator)>),
    Array { of: Box<ValueGenerator>, min: u32, max: u32 },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Categories {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl ValueGenerator {
    /// Checks a description and makes the generator.
    pub fn build(spec: &ValueSpec) -> Result<Self, Refusal> {
        match spec {
            ValueSpec::Array(_) => {
                Err(Refusal::new("a list can only stand inside `json`", "not a value by itself")
                    .help("write `json = { tags = { array = { of = …, length = [0, 4] } } }`"))
            }
            _ => Self::build_nested(spec),
        }
    }

    fn build_nested(spec: &ValueSpec) -> Result<Self, Refusal> {
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
            ValueSpec::Uuid(_) => Maker::Uuid,
            ValueSpec::Timestamp(spec) => Maker::Timestamp(TimeRange::without_row(spec)?),
            ValueSpec::Date(spec) => Maker::Date(TimeRange::without_row(spec)?),
            ValueSpec::Template(text) => Maker::Template(Template::parse(text, &[])?),
            ValueSpec::Words(bounds) => counted(*bounds, |min, max| Maker::Words { min, max })?,
            ValueSpec::Sentences(bounds) => counted(*bounds, |min, max| Maker::Sentences { min, max })?,
            ValueSpec::Text(spec) => counted(spec.length, |min, max| Maker::Text { min, max })?,
            ValueSpec::FirstName(_) => Maker::Name(Name::First),
            ValueSpec::LastName(_) => Maker::Name(Name::Last),
            ValueSpec::Company(_) => Maker::Name(Name::Company),
            ValueSpec::Street(_) => Maker::Name(Name::Street),
            ValueSpec::City(_) => Maker::Name(Name::City),
            ValueSpec::Country(_) => Maker::Name(Name::Country),
            ValueSpec::Phone(_) => Maker::Name(Name::Phone),
            ValueSpec::Email(_) => Maker::Name(Name::Email),
            ValueSpec::Json(fields) => Maker::Json(build_fields(fields)?),
            ValueSpec::Array(spec) => {
                let of = Box::new(Self::build_nested(&spec.of)?);
                counted(spec.length, |min, max| Maker::Array { of, min, max })?
            }
        };
        Ok(Self(maker))
    }

    /// The generator that needs no settings and goes by `name`: what a template can name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let maker = if name == "uuid" { Maker::Uuid } else { Maker::Name(Name::by_name(name)?) };
        Some(Self(maker))
    }

    /// One value. Allocates nothing once `arena` has grown.
    pub fn value(&self, stream: &mut Stream, arena: &mut Arena) -> Slot {
        into_slot(arena, |out| self.emit(stream, out))
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
            Maker::Uuid => ValueKind::Uuid,
            Maker::Timestamp(_) => ValueKind::Timestamp,
            Maker::Date(_) => ValueKind::Date,
            Maker::Json(_) | Maker::Array { .. } => ValueKind::Json,
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
            Maker::Timestamp(range) => return Made::Scalar(Slot::Timestamp(range.micros_at(stream.unit()))),
            Maker::Date(range) => return Made::Scalar(Slot::Date(range.day_at(stream.unit()))),
            Maker::ConstantText(text, _) => out.extend_from_slice(text.as_bytes()),
            Maker::Template(template) => template.emit(stream, out, &mut |_, _| Made::Scalar(Slot::Null)),
            Maker::Words { min, max } => text::words(draw_count(*min, *max, stream), stream, out),
            Maker::Sentences { min, max } => text::sentences(draw_count(*min, *max, stream), stream, out),
            Maker::Text { min, max } => text::of_length(draw_count(*min, *max, stream), stream, out),
            Maker::Name(name) => name.emit(stream, out),
            Maker::Json(_) | Maker::Array { .. } => self.emit_json(stream, out),
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
            Maker::Array { of, min, max } => {
                out.push(b'[');
                for index in 0..draw_count(*min, *max, stream) {
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
    let text = arena.text_with(|out| made = emit(out));
    match made {
        Made::Scalar(slot) => slot,
        Made::Text => text,
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
        .map(|(name, spec)| match ValueGenerator::build_nested(spec) {
            Ok(generator) => Ok((name.clone(), generator)),
            Err(refusal) => {
                Err(Refusal { message: format!("field `{name}`: {}", refusal.message), ..refusal })
            }
        })
        .collect()
}

fn counted(bounds: [u32; 2], make: impl FnOnce(u32, u32) -> Maker) -> Result<Maker, Refusal> {
    let [min, max] = bounds;
    upwards(&min, &max)?;
    if max > 1_000_000 {
        return Err(Refusal::new(format!("{max} is too many"), "at most 1000000"));
    }
    Ok(make(min, max))
}

fn draw_count(min: u32, max: u32, stream: &mut Stream) -> u32 {
    // Lies between two numbers of that size.
    u32::try_from(stream.between(i64::from(min), i64::from(max))).unwrap_or(max)
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

/// 122 random bits, with the version and the variant that RFC 9562 gives to random UUIDs.
fn uuid(stream: &mut Stream) -> u128 {
    let bits = u128::from(stream.next_u64()) << 64 | u128::from(stream.next_u64());
    let cleared = bits & !(0xF << 76) & !(0b11 << 62);
    cleared | 0x4 << 76 | 0b10 << 62
}
