//! How many: characters of a text, bytes, words, elements of a list.

use super::spec::{LengthSpec, Refusal};
use super::value::{Made, ValueGenerator, upwards};
use super::{Stream, ValueKind};
use crate::sql::values::Slot;

/// Most characters, bytes, words or elements: one value fills no more than a part of a chunk of rows.
const COUNT_MAX: u32 = 1_000_000;

/// A number of pieces.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Count {
    Range { min: u32, max: u32 },
    Drawn(Box<ValueGenerator>),
}

impl Count {
    pub(super) fn new(spec: &LengthSpec) -> Result<Self, Refusal> {
        match spec {
            LengthSpec::Range([min, max]) => {
                upwards(min, max)?;
                if *max > COUNT_MAX {
                    return Err(too_many(&max.to_string()));
                }
                Ok(Self::Range { min: *min, max: *max })
            }
            LengthSpec::Drawn(spec) => {
                let generator = ValueGenerator::build(spec)?;
                if generator.kind() != ValueKind::Int {
                    return Err(Refusal::new(
                        "a length is no whole number",
                        "a generator of whole numbers is wanted",
                    ));
                }
                match generator.int_range() {
                    Some((_, max)) if max > i64::from(COUNT_MAX) => Err(too_many(&max.to_string())),
                    Some((_, max)) if max < 0 => {
                        Err(Refusal::new("all lengths lie below zero", "nothing would ever be made"))
                    }
                    _ => Ok(Self::Drawn(Box::new(generator))),
                }
            }
        }
    }

    /// One number; what a distribution puts outside is 0 or the most there can be.
    pub(super) fn draw(&self, stream: &mut Stream) -> u32 {
        match self {
            // Lies between two numbers of that size.
            Self::Range { min, max } => {
                u32::try_from(stream.between(i64::from(*min), i64::from(*max))).unwrap_or(*max)
            }
            // Whole numbers are no text: nothing is appended.
            Self::Drawn(generator) => match generator.emit(stream, &mut Vec::new()) {
                Made::Scalar(Slot::Int(count)) => {
                    u32::try_from(count.clamp(0, i64::from(COUNT_MAX))).unwrap_or(COUNT_MAX)
                }
                _ => 0,
            },
        }
    }

    /// The smallest number that it gives for certain.
    pub(super) fn least(&self) -> u64 {
        match self {
            Self::Range { min, .. } => u64::from(*min),
            Self::Drawn(generator) => {
                generator.int_range().map_or(0, |(min, _)| u64::try_from(min).unwrap_or(0))
            }
        }
    }
}

fn too_many(count: &str) -> Refusal {
    Refusal::new(format!("{count} is too many"), format!("at most {COUNT_MAX}"))
}
