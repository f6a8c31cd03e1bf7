//! Values of which no two are alike: each row has a place of its own among all rows, and each place has values of its own.

use super::Stream;
use super::ValueKind;
use super::count::Count;
use super::network::Network;
use super::placement::part;
use super::quantile::Quantile;
use super::spec::{Refusal, ValueSpec};
use super::text::{self, Name};
use super::value::{Categories, Made, Maker, ValueGenerator};
use crate::sql::values::Slot;

/// A generator that can make a different value for every row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Distinct {
    /// Numbers from `min` on, `count` of them: each place has a stretch to itself and draws within it.
    Counted {
        min: i64,
        count: u64,
        form: Form,
    },
    /// One value from each of as many equal parts of the distribution as there are places.
    Spread {
        quantile: Quantile,
        room: u64,
    },
    Categories(Categories),
    Addresses(Network),
    /// Text that ends in the number of the place.
    Numbered(Numbered),
}

/// What a counted number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Int,
    Decimal { scale: u8 },
    Day,
    Micros,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbered {
    Words(Count),
    Sentences(Count),
    /// As long as said: the number takes the place of the last characters.
    Text(Count),
    Bytes(Count),
    Company,
    Email,
    Url,
}

impl Distinct {
    /// The generator of a description, or why there is none.
    pub(super) fn new(spec: &ValueSpec) -> Result<Self, Refusal> {
        Ok(match spec {
            ValueSpec::Timestamp(_) | ValueSpec::Date(_) | ValueSpec::Interval(_) => of_order(spec)?,
            _ => match ValueGenerator::build(spec)?.0 {
                Maker::Uniform { min, max, scale } => Self::Counted {
                    min,
                    count: max.abs_diff(min).saturating_add(1),
                    form: if scale == 0 { Form::Int } else { Form::Decimal { scale } },
                },
                Maker::Quantity(_) => of_order(spec)?,
                Maker::Weighted { categories, .. } => Self::Categories(categories),
                Maker::IpAddress(network) => Self::Addresses(network),
                Maker::Words(count) => Self::Numbered(Numbered::Words(count)),
                Maker::Sentences(count) => Self::Numbered(Numbered::Sentences(count)),
                Maker::Text(length) => Self::Numbered(Numbered::Text(length)),
                Maker::Bytes(length) => Self::Numbered(Numbered::Bytes(length)),
                Maker::Name(Name::Company) => Self::Numbered(Numbered::Company),
                Maker::Name(Name::Email) => Self::Numbered(Numbered::Email),
                Maker::Name(Name::Url) => Self::Numbered(Numbered::Url),
                Maker::Name(_) => {
                    return Err(Refusal::new("names come more than once", "there are few of them")
                        .help("use a template with a key: `template = \"{first_name} {id}\"`"));
                }
                Maker::Zipf(_) => {
                    return Err(Refusal::new(
                        "frequent numbers come more than once",
                        "zipf repeats its first numbers",
                    ));
                }
                _ => return Err(Refusal::new("`unique` cannot be held", "this generator repeats itself")),
            },
        })
    }

    /// How many different values there are.
    pub(super) fn room(&self) -> u64 {
        match self {
            Self::Counted { count, .. } => *count,
            Self::Spread { room, .. } => *room,
            Self::Categories(categories) => categories.len(),
            Self::Addresses(network) => network.len(),
            Self::Numbered(Numbered::Text(length)) => {
                let digits = u32::try_from(length.least()).unwrap_or(u32::MAX);
                10_u64.checked_pow(digits).map_or(u64::MAX, |room| room - 1)
            }
            Self::Numbered(Numbered::Bytes(length)) => {
                1_u64.checked_shl(u32::try_from(8 * length.least()).unwrap_or(64)).unwrap_or(u64::MAX)
            }
            Self::Numbered(_) => u64::MAX,
        }
    }

    /// Whether values ascend with their places, so that rows can follow their order.
    pub(super) fn has_order(&self) -> bool {
        matches!(self, Self::Counted { .. } | Self::Spread { .. } | Self::Addresses(_))
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self {
            Self::Counted { form, .. } => match form {
                Form::Int => ValueKind::Int,
                Form::Decimal { .. } => ValueKind::Decimal,
                Form::Day => ValueKind::Date,
                Form::Micros => ValueKind::Timestamp,
            },
            Self::Spread { quantile, .. } => quantile.kind(),
            Self::Categories(Categories::Numbers(_)) => ValueKind::Int,
            Self::Addresses(_) => ValueKind::IpAddress,
            Self::Numbered(Numbered::Bytes(_)) => ValueKind::Bytes,
            Self::Categories(_) | Self::Numbered(_) => ValueKind::Text,
        }
    }

    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::Counted { min, count, form: Form::Int } => {
                Some((*min, min.wrapping_add_unsigned(count - 1)))
            }
            Self::Categories(Categories::Numbers(numbers)) => {
                Some((*numbers.iter().min()?, *numbers.iter().max()?))
            }
            _ => None,
        }
    }

    /// The value of `place`, `0 .. places`; `phase` is a number from 0 to 1 that is the same for all of them.
    pub(super) fn emit(
        &self,
        place: u64,
        places: u64,
        phase: f64,
        stream: &mut Stream,
        out: &mut Vec<u8>,
    ) -> Made {
        match self {
            Self::Counted { min, count, form } => {
                let value = min.wrapping_add_unsigned(stretch(place, places, *count, stream));
                Made::Scalar(match form {
                    Form::Int => Slot::Int(value),
                    Form::Decimal { scale } => Slot::Decimal { unscaled: value, scale: *scale },
                    Form::Day => Slot::Date(i32::try_from(value).unwrap_or(0)),
                    Form::Micros => Slot::Timestamp(value),
                })
            }
            Self::Spread { quantile, .. } => {
                quantile.emit((place as f64 + phase) / places as f64, stream, out)
            }
            Self::Categories(categories) => {
                let index = stretch(place, places, categories.len(), stream);
                categories.emit(usize::try_from(index).unwrap_or(0), out)
            }
            Self::Addresses(network) => {
                network.nth(stretch(place, places, network.len(), stream), out);
                Made::Text
            }
            Self::Numbered(numbered) => numbered.emit(place, places, stream, out),
        }
    }
}

impl Numbered {
    fn emit(&self, place: u64, places: u64, stream: &mut Stream, out: &mut Vec<u8>) -> Made {
        let number = place + 1;
        match self {
            Self::Words(count) => {
                text::words(count.draw(stream), stream, out);
                text::number_behind(out, number);
            }
            Self::Sentences(count) => {
                text::sentences(count.draw(stream), stream, out);
                text::number_behind(out, number);
            }
            Self::Text(length) => text::of_length_with(length.draw(stream), number, stream, out),
            Self::Bytes(length) => {
                let start = out.len();
                text::bytes(length.draw(stream), stream, out);
                let width = (u64::BITS - (places - 1).leading_zeros()).div_ceil(8) as usize;
                let from = (out.len() - start).min(width);
                let at = out.len() - from;
                out[at..].copy_from_slice(&place.to_be_bytes()[8 - from..]);
                return Made::Bytes;
            }
            Self::Company => {
                Name::Company.emit(stream, out);
                text::number_behind(out, number);
            }
            Self::Email => text::email(number, stream, out),
            Self::Url => text::url(number, stream, out),
        }
        Made::Text
    }
}

impl Categories {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.len() as u64,
            Self::Texts(texts) => texts.len() as u64,
        }
    }

    pub(super) fn emit(&self, index: usize, out: &mut Vec<u8>) -> Made {
        match self {
            Self::Numbers(numbers) => Made::Scalar(Slot::Int(numbers[index])),
            Self::Texts(texts) => {
                out.extend_from_slice(texts[index].as_bytes());
                Made::Text
            }
        }
    }
}

/// A number of `0 .. count` that no other place has.
pub(super) fn stretch(place: u64, places: u64, count: u64, stream: &mut Stream) -> u64 {
    let (first, behind) = (part(place, count, places), part(place + 1, count, places));
    // Where there are fewer numbers than places, which is refused, they repeat.
    first + if behind > first + 1 { stream.below(behind - first) } else { 0 }
}

fn of_order(spec: &ValueSpec) -> Result<Distinct, Refusal> {
    let quantile = Quantile::new(spec)?
        .ok_or_else(|| Refusal::new("`unique` cannot be held", "this generator repeats itself"))?;
    // `as` saturates; a float of a room is as good as the room.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let floor = |room: f64| room as u64;
    let room = match &quantile {
        Quantile::Timestamp(range) if range.density_max() <= 1.0 => {
            let count = range.micros_count();
            return Ok(Distinct::Counted { min: range.first_us(), count, form: Form::Micros });
        }
        Quantile::Date(range) if range.density_max() <= 1.0 => {
            let (min, count) = range.days();
            return Ok(Distinct::Counted { min, count, form: Form::Day });
        }
        Quantile::Timestamp(range) => floor(range.micros_count() as f64 / range.density_max()),
        Quantile::Date(range) => floor(range.days().1 as f64 / range.density_max()),
        Quantile::Quantity(quantity) => floor(quantity.distinct_max()),
        Quantile::Interval(seconds) => match &**seconds {
            Quantile::Uniform { min, max, .. } => max.abs_diff(*min).saturating_add(1),
            Quantile::Quantity(quantity) => floor(quantity.distinct_max()),
            _ => return Err(Refusal::new("`unique` cannot be held", "its seconds repeat themselves")),
        },
        _ => return Err(Refusal::new("`unique` cannot be held", "this generator repeats itself")),
    };
    Ok(Distinct::Spread { quantile, room })
}
