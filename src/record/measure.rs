//! What a workload measures of returned values: their distribution, and whether they came in order.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::histogram::{DIGITS, read_histogram, write_histogram};
use crate::sql::values::Slot;
use crate::units::{Direction, ValueUnit};

/// Largest value that is told apart: 2⁴⁰, which is twelve days in microseconds and a terabyte in bytes. Larger ones count as
/// this in the distribution, and in full in the sum and as the largest.
pub const VALUE_MAX: u64 = 1 << 40;

/// A distribution of whole numbers from 0 at three significant digits, with the exact sum and the exact largest beside it.
///
/// 127 kB each, whatever the number of samples; recording allocates nothing.
#[derive(Clone, Debug)]
pub struct Values {
    histogram: hdrhistogram::Histogram<u32>,
    sum: u64,
    max: u64,
}

impl Default for Values {
    fn default() -> Self {
        let histogram = hdrhistogram::Histogram::new_with_bounds(1, VALUE_MAX, DIGITS)
            .expect("constant bounds that the library accepts");
        Self { histogram, sum: 0, max: 0 }
    }
}

impl Values {
    /// Records one value.
    pub fn record(&mut self, value: u64) {
        self.histogram.saturating_record(value.min(VALUE_MAX));
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Forgets all samples, keeps the memory. Costs nothing when there are none.
    pub fn clear(&mut self) {
        if !self.histogram.is_empty() {
            self.histogram.reset();
        }
        self.sum = 0;
        self.max = 0;
    }

    /// Adds the samples of `other`.
    ///
    /// # Panics
    /// Never: all have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        if other.histogram.is_empty() {
            return;
        }
        self.histogram.add(&other.histogram).expect("both histograms have the same bounds");
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// Sum of all samples.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest sample, exact; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The buckets. For `analysis`.
    #[must_use]
    pub fn histogram(&self) -> &hdrhistogram::Histogram<u32> {
        &self.histogram
    }
}

/// In the journal as a [`Distribution`](crate::record::histogram::Distribution) is: sum, largest, histogram.
#[derive(Serialize, Deserialize)]
struct Stored(u64, u64, String);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded = write_histogram(&self.histogram).map_err(serde::ser::Error::custom)?;
        Stored(self.sum, self.max, encoded).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored(sum, max, encoded) = Stored::deserialize(deserializer)?;
        let mut values = Self { sum, max, ..Self::default() };
        read_histogram(&encoded, &mut values.histogram).map_err(serde::de::Error::custom)?;
        Ok(values)
    }
}

/// What was measured of one column of one statement in one interval, in transactions that ended ok.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MeasureSet {
    /// Values.
    pub count: u64,
    /// Rows in which there was none: NULL, what is no number, or beyond what one transaction may keep.
    pub missing: u64,
    /// Values below zero, which count as zero in the distribution.
    pub negative: u64,
    /// Their distribution, in the base of their unit: microseconds, bytes, a count. Empty where only their order is looked at.
    pub values: Values,
    /// Values out of order among those of their client: an earlier one should have come behind it.
    pub out_of_order_in_client: u64,
    /// Values out of order among those of all clients of their worker.
    pub out_of_order_in_worker: u64,
}

impl MeasureSet {
    /// Records one value. `in_client` and `in_worker` remember what came before it.
    pub fn record(
        &mut self,
        value: Slot,
        unit: Option<ValueUnit>,
        order: Option<Direction>,
        in_client: &mut Extreme,
        in_worker: &mut Extreme,
    ) {
        let number = unit.map(|unit| in_base(value, unit));
        let place = order.map(|direction| place(value, direction));
        if number == Some(None) || place == Some(None) {
            self.missing += 1;
            return;
        }
        self.count += 1;
        if let Some(number) = number.flatten() {
            self.negative += u64::from(number < 0);
            self.values.record(u64::try_from(number.max(0)).unwrap_or(u64::MAX));
        }
        if let Some(place) = place.flatten() {
            self.out_of_order_in_client += u64::from(in_client.overtook(place));
            self.out_of_order_in_worker += u64::from(in_worker.overtook(place));
        }
    }

    /// Adds what another worker or interval measured.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.missing += other.missing;
        self.negative += other.negative;
        self.values.merge(&other.values);
        self.out_of_order_in_client += other.out_of_order_in_client;
        self.out_of_order_in_worker += other.out_of_order_in_worker;
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.count = 0;
        self.missing = 0;
        self.negative = 0;
        self.out_of_order_in_client = 0;
        self.out_of_order_in_worker = 0;
    }
}

/// The furthest value so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extreme(Option<i128>);

impl Extreme {
    /// Whether a value further on came before this one.
    fn overtook(&mut self, place: i128) -> bool {
        let late = self.0.is_some_and(|furthest| place < furthest);
        self.0 = Some(self.0.map_or(place, |furthest| furthest.max(place)));
        late
    }
}

/// The value in the base of its unit, rounded to the nearest.
fn in_base(value: Slot, unit: ValueUnit) -> Option<i128> {
    let of_base = i128::from(unit.of_base());
    match value {
        Slot::Int(value) => Some(i128::from(value) * of_base),
        // `as` saturates far beyond what is told apart.
        #[expect(clippy::cast_possible_truncation)]
        Slot::Float(value) if value.is_finite() => Some((value * f64::from(unit.of_base())).round() as i128),
        Slot::Decimal { unscaled, scale } => {
            let divisor = 10_i128.pow(u32::from(scale.min(18)));
            Some((i128::from(unscaled) * of_base + divisor / 2).div_euclid(divisor))
        }
        _ => None,
    }
}

/// Where the value stands among others of its column, to the millionth; larger is later.
fn place(value: Slot, direction: Direction) -> Option<i128> {
    const MILLION: i128 = 1_000_000;
    let ascending = match value {
        Slot::Int(value) => i128::from(value) * MILLION,
        // `as` saturates; numbers that far apart are told apart all the same.
        #[expect(clippy::cast_possible_truncation)]
        Slot::Float(value) if value.is_finite() => (value * 1e6) as i128,
        Slot::Decimal { unscaled, scale } => {
            i128::from(unscaled) * MILLION / 10_i128.pow(u32::from(scale.min(18)))
        }
        Slot::Timestamp(microseconds) => i128::from(microseconds),
        Slot::Date(days) => i128::from(days),
        _ => return None,
    };
    Some(if direction == Direction::Ascending { ascending } else { -ascending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(values: &[Slot], unit: Option<ValueUnit>, order: Option<Direction>) -> MeasureSet {
        let mut set = MeasureSet::default();
        let (mut client, mut worker) = (Extreme::default(), Extreme::default());
        for value in values {
            set.record(*value, unit, order, &mut client, &mut worker);
        }
        set
    }

    #[test]
    fn values_are_kept_in_the_base_of_their_unit() {
        let decimal = Slot::Decimal { unscaled: 25, scale: 1 };
        let set = recorded(&[Slot::Int(3), decimal, Slot::Float(0.5)], Some(ValueUnit::Ms), None);
        assert_eq!((set.count, set.missing, set.values.sum()), (3, 0, 6_000));
        let tenths = [16, 15, -15].map(|unscaled| Slot::Decimal { unscaled, scale: 1 });
        assert_eq!(recorded(&tenths, Some(ValueUnit::Count), None).values.sum(), 2 + 2);
        // Three digits of 2500 are a step of two.
        assert!(set.values.histogram().value_at_quantile(0.5).abs_diff(2_500) <= 2);
        let set = recorded(&[Slot::Int(-3), Slot::Null, Slot::Bool(true)], Some(ValueUnit::Bytes), None);
        assert_eq!((set.count, set.missing, set.negative, set.values.sum()), (1, 2, 1, 0));
        // Nothing is lost of what is larger than can be told apart.
        let set = recorded(&[Slot::Int(i64::MAX)], Some(ValueUnit::Us), None);
        assert_eq!((set.count, set.values.histogram().len()), (1, 1));
        assert_eq!(set.values.max(), i64::MAX.cast_unsigned());
    }

    #[test]
    fn a_value_that_another_overtook_is_out_of_order() {
        let values = [1, 2, 5, 3, 4, 5, 6].map(Slot::Int);
        let set = recorded(&values, None, Some(Direction::Ascending));
        assert_eq!((set.count, set.out_of_order_in_client), (7, 2), "3 and 4 came behind 5");
        let set = recorded(&values, None, Some(Direction::Descending));
        assert_eq!(set.out_of_order_in_client, 6, "all but the first should have come before it");
        let times = [Slot::Timestamp(5), Slot::Timestamp(4), Slot::Null];
        let set = recorded(&times, None, Some(Direction::Ascending));
        assert_eq!((set.count, set.missing, set.out_of_order_in_client), (2, 1, 1));
        assert!(set.values.histogram().is_empty());
    }

    #[test]
    fn each_client_has_an_order_of_its_own_beside_that_of_the_worker() {
        let mut set = MeasureSet::default();
        let (mut one, mut other, mut worker) = (Extreme::default(), Extreme::default(), Extreme::default());
        for (client, value) in [(&mut one, 1), (&mut other, 3)] {
            set.record(Slot::Int(value), None, Some(Direction::Ascending), client, &mut worker);
        }
        set.record(Slot::Int(2), None, Some(Direction::Ascending), &mut one, &mut worker);
        assert_eq!((set.out_of_order_in_client, set.out_of_order_in_worker), (0, 1));
    }

    #[test]
    fn a_measure_survives_the_journal() {
        let before =
            recorded(&[1, 17, 123_456].map(Slot::Int), Some(ValueUnit::Us), Some(Direction::Ascending));
        let text = serde_json::to_string(&before).expect("serialisable");
        let after: MeasureSet = serde_json::from_str(&text).expect("what was written is read");
        assert_eq!(before.values.histogram(), after.values.histogram());
        assert_eq!((before.count, before.values.sum()), (after.count, after.values.sum()));
        assert_eq!(after.values.max(), 123_456);
    }
}
