//! Generators in the order of their values: what lies at a share of the way from the smallest to the largest. So rows can
//! follow the order of the values as far as is asked for.

use super::number::{Continuous, OrderedQuantity, Quantity, numbers};
use super::spec::{Refusal, ValueSpec};
use super::time::TimeRange;
use super::value::{Categories, Made, Maker, UuidTime, ValueGenerator, interval, uuid_time, uuid7};
use super::zipf::ZipfSums;
use super::{Stream, ValueKind};
use crate::sql::values::Slot;

/// A generator of values that have an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Quantile {
    Uniform {
        min: i64,
        max: i64,
        scale: u8,
    },
    Quantity(OrderedQuantity),
    Zipf(ZipfSums),
    /// In the order of the values, each with the share of those up to it.
    Categories {
        ends: Vec<f64>,
        categories: Categories,
    },
    Boolean {
        true_fraction: f64,
    },
    Timestamp(TimeRange),
    Date(TimeRange),
    Uuid7(TimeRange),
    Interval(Box<Quantile>),
}

impl Quantile {
    /// The generator of a description that was checked, if its values have an order.
    pub(super) fn new(spec: &ValueSpec) -> Result<Option<Self>, Refusal> {
        Ok(Some(match spec {
            ValueSpec::Uniform([min, max]) => Self::Uniform { min: *min, max: *max, scale: 0 },
            ValueSpec::Decimal(spec) => {
                let (min, max) = numbers(spec.min, spec.max, spec.scale)?;
                Self::Uniform { min, max, scale: spec.scale }
            }
            ValueSpec::Normal(spec) => {
                quantity(Continuous::normal(spec.mean, spec.sd)?, spec.min, spec.max, spec.scale)?
            }
            ValueSpec::Lognormal(spec) => {
                quantity(Continuous::lognormal(spec.median, spec.sigma)?, spec.min, spec.max, spec.scale)?
            }
            ValueSpec::Exponential(spec) => {
                quantity(Continuous::exponential(spec.mean)?, spec.min, spec.max, spec.scale)?
            }
            ValueSpec::Zipf(_) => match ValueGenerator::build(spec)?.0 {
                Maker::Zipf(zipf) => Self::Zipf(ZipfSums::new(zipf)),
                _ => return Ok(None),
            },
            ValueSpec::Weighted(weights) => match ValueGenerator::build(spec)?.0 {
                Maker::Weighted { categories, .. } => {
                    let weights: Vec<f64> = weights.0.iter().map(|(_, weight)| *weight).collect();
                    in_order(&weights, &categories)
                }
                _ => return Ok(None),
            },
            ValueSpec::Boolean(spec) => Self::Boolean { true_fraction: spec.true_fraction },
            ValueSpec::Timestamp(spec) => Self::Timestamp(TimeRange::new(spec)?),
            ValueSpec::Date(spec) => Self::Date(TimeRange::new(spec)?),
            ValueSpec::Uuid(spec) => match uuid_time(spec)? {
                UuidTime::Range(range) => Self::Uuid7(range),
                _ => return Ok(None),
            },
            ValueSpec::Interval(spec) => match Self::new(&spec.length_s)? {
                Some(seconds) => Self::Interval(Box::new(seconds)),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self {
            Self::Uniform { scale: 0, .. }
            | Self::Zipf(_)
            | Self::Categories { categories: Categories::Numbers(_), .. } => ValueKind::Int,
            Self::Uniform { .. } => ValueKind::Decimal,
            Self::Quantity(quantity) => quantity.kind(),
            Self::Categories { .. } => ValueKind::Text,
            Self::Boolean { .. } => ValueKind::Bool,
            Self::Timestamp(_) => ValueKind::Timestamp,
            Self::Date(_) => ValueKind::Date,
            Self::Uuid7(_) => ValueKind::Uuid,
            Self::Interval(_) => ValueKind::Interval,
        }
    }

    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::Uniform { min, max, scale: 0 } => Some((*min, *max)),
            Self::Quantity(quantity) => quantity.int_range(),
            Self::Zipf(zipf) => Some((1, i64::try_from(zipf.n()).ok()?)),
            Self::Categories { categories: Categories::Numbers(numbers), .. } => {
                Some((*numbers.first()?, *numbers.last()?))
            }
            _ => None,
        }
    }

    /// The value below which a share `quantile`, from 0 to 1, of the values lies. What a value has besides its order is
    /// drawn from `stream`.
    pub(super) fn emit(&self, quantile: f64, stream: &mut Stream, out: &mut Vec<u8>) -> Made {
        Made::Scalar(match self {
            Self::Uniform { min, max, scale } => {
                let width = max.abs_diff(*min);
                // `as` saturates, and what rounding puts beyond the last number is the last.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let offset = (quantile * (width as f64 + 1.0)) as u64;
                let value = min.wrapping_add_unsigned(offset.min(width));
                if *scale == 0 { Slot::Int(value) } else { Slot::Decimal { unscaled: value, scale: *scale } }
            }
            Self::Quantity(quantity) => quantity.at(quantile),
            Self::Zipf(zipf) => Slot::Int(zipf.at(quantile).cast_signed()),
            Self::Categories { ends, categories } => {
                let index = ends.partition_point(|end| *end <= quantile).min(ends.len() - 1);
                return categories.emit(index, out);
            }
            Self::Boolean { true_fraction } => Slot::Bool(quantile >= 1.0 - true_fraction),
            Self::Timestamp(range) => Slot::Timestamp(range.micros_at(quantile)),
            Self::Date(range) => Slot::Date(range.day_at(quantile)),
            Self::Uuid7(range) => return uuid7(range.micros_at(quantile), stream),
            Self::Interval(seconds) => {
                interval(seconds.emit(quantile, stream, &mut Vec::new()), out);
                return Made::Text;
            }
        })
    }
}

fn quantity(shape: Continuous, min: Option<f64>, max: Option<f64>, scale: u8) -> Result<Quantile, Refusal> {
    Ok(Quantile::Quantity(OrderedQuantity::new(Quantity::new(shape, min, max, scale)?)))
}

fn in_order(weights: &[f64], categories: &Categories) -> Quantile {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let sorted = match categories {
        Categories::Numbers(numbers) => {
            order.sort_by_key(|&index| numbers[index]);
            Categories::Numbers(order.iter().map(|&index| numbers[index]).collect())
        }
        Categories::Texts(texts) => {
            order.sort_by_key(|&index| &texts[index]);
            Categories::Texts(order.iter().map(|&index| texts[index].clone()).collect())
        }
    };
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let ends = order.iter().map(|&index| {
        sum += weights[index] / total;
        sum
    });
    Quantile::Categories { ends: ends.collect(), categories: sorted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::generate::json::plain;
    use crate::units::Seed;

    fn values(text: &str) -> Vec<String> {
        let table: toml::Value = toml::Value::Table(toml::from_str(text).expect("TOML"));
        let quantile =
            Quantile::new(&table.try_into().expect("a generator")).expect("valid").expect("an order");
        let mut stream = Key::root(Seed(1)).at(0, 0);
        let at = |share: f64| {
            let mut out = vec![];
            if let Made::Scalar(slot) = quantile.emit(share, &mut stream, &mut out) {
                plain(&mut out, slot);
            }
            String::from_utf8(out).expect("UTF-8")
        };
        [0.000_001, 0.3, 0.5, 0.999_999].map(at).into()
    }

    #[test]
    fn values_stand_in_their_order() {
        for (text, expected) in [
            ("uniform = [-5, 4]", ["-5", "-2", "0", "4"]),
            ("decimal = { min = 0, max = 1, scale = 2 }", ["0.00", "0.30", "0.50", "1.00"]),
            ("normal = { mean = 10, sd = 2, min = 6, scale = 1 }", ["6.0", "9.0", "10.1", "19.5"]),
            ("exponential = { mean = 10, max = 50, scale = 1 }", ["0.0", "3.5", "6.9", "50.0"]),
            ("zipf = { n = 100, exponent = 1 }", ["1", "3", "8", "100"]),
            ("weighted = { b = 1, c = 1, a = 2 }", ["a", "a", "b", "c"]),
            ("weighted = { 10 = 1, 9 = 3 }", ["9", "9", "9", "10"]),
            ("boolean = { true_fraction = 0.5 }", ["false", "false", "true", "true"]),
            (
                "date = { from = '2024-01-01', to = '2024-01-11' }",
                ["2024-01-01", "2024-01-04", "2024-01-06", "2024-01-10"],
            ),
            ("interval = { length_s = { uniform = [0, 9] } }", ["PT0S", "PT3S", "PT5S", "PT9S"]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
        let uuids = values("uuid = { version = 7, from = '2024-01-01', to = '2025-01-01' }");
        assert!(uuids.is_sorted() && uuids.iter().all(|uuid| uuid.as_bytes()[14] == b'7'), "{uuids:?}");
    }
}
