//! One distribution of durations, and its form in the journal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest duration that is told apart: one hour. Longer ones count as one hour in the distribution and in full in the sum.
pub const DURATION_MAX: Duration = Duration::from_secs(3600);
/// Significant decimal digits of a recorded value.
pub const DIGITS: u8 = 3;

/// A distribution of durations in microseconds at three significant digits, with the exact sum beside it.
///
/// 94 kB each, whatever the number of samples; recording allocates nothing.
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: hdrhistogram::Histogram<u32>,
    sum_ns: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        let max_us = u64::try_from(DURATION_MAX.as_micros()).expect("an hour in microseconds fits 64 bits");
        let histogram = hdrhistogram::Histogram::new_with_bounds(1, max_us, DIGITS)
            .expect("constant bounds that the library accepts");
        Self { histogram, sum_ns: 0 }
    }
}

impl Distribution {
    /// Records one duration, rounded to the nearest microsecond.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(ns.saturating_add(500) / 1000);
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Forgets all samples, keeps the memory. Costs nothing when there are none.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.histogram.reset();
        }
        self.sum_ns = 0;
    }

    /// Gives back the memory that its samples do not need. Others can be merged into it, and it grows with them; it is not
    /// for recording any more.
    ///
    /// # Panics
    /// Never: the bounds are constant, or those of what is held already.
    pub fn shrink(&mut self) {
        let mut small = hdrhistogram::Histogram::new_with_bounds(1, self.histogram.max().max(2), DIGITS)
            .expect("bounds below those that the library accepts");
        small.auto(true);
        small.add(&self.histogram).expect("the highest sample fits");
        self.histogram = small;
    }

    /// Adds the samples of `other`.
    ///
    /// # Panics
    /// Never: all distributions have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.histogram.add(&other.histogram).expect("both histograms have the same bounds");
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// The samples without their exact sum, as `HdrHistogram` V2, deflated.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.histogram, &mut bytes)
            .map_err(|error| format!("{error:?}"))?;
        Ok(bytes)
    }

    /// What [`Distribution::to_bytes`] wrote, and the exact sum beside it.
    pub fn from_bytes(sum_ns: u64, mut bytes: &[u8]) -> Result<Self, String> {
        let mut distribution = Self { sum_ns, ..Self::default() };
        let read: hdrhistogram::Histogram<u32> =
            HdrDeserializer::new().deserialize(&mut bytes).map_err(|error| format!("{error:?}"))?;
        distribution.histogram.add(read).map_err(|error| format!("{error:?}"))?;
        Ok(distribution)
    }

    /// Number of samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// Sum of all samples in nanoseconds, exact.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The buckets, in microseconds. For `analysis`.
    #[must_use]
    pub fn histogram(&self) -> &hdrhistogram::Histogram<u32> {
        &self.histogram
    }
}

/// In the journal: `[sum_ns, "base64 of HdrHistogram V2, deflated"]`; `[0, ""]` when empty, which most are in most seconds.
#[derive(Serialize, Deserialize)]
struct Stored(u64, String);

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded = write_histogram(&self.histogram).map_err(serde::ser::Error::custom)?;
        Stored(self.sum_ns, encoded).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored(sum_ns, encoded) = Stored::deserialize(deserializer)?;
        let mut distribution = Self { sum_ns, ..Self::default() };
        read_histogram(&encoded, &mut distribution.histogram).map_err(serde::de::Error::custom)?;
        Ok(distribution)
    }
}

/// The journal's text for a histogram; empty for an empty one.
pub(super) fn write_histogram(histogram: &hdrhistogram::Histogram<u32>) -> Result<String, String> {
    if histogram.is_empty() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(|error| format!("{error:?}"))?;
    Ok(STANDARD.encode(bytes))
}

/// Adds what the journal's text holds to a histogram of the same bounds.
pub(super) fn read_histogram(text: &str, into: &mut hdrhistogram::Histogram<u32>) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    let read: hdrhistogram::Histogram<u32> =
        HdrDeserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("{error:?}"))?;
    into.add(read).map_err(|error| format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_survives_the_journal() {
        let mut before = Distribution::default();
        for us in [0, 1, 17, 1_000, 123_456, 3_600_000_000, 7_200_000_000] {
            before.record(Duration::from_micros(us));
        }
        let text = serde_json::to_string(&before).expect("a distribution is serialisable");
        let after: Distribution = serde_json::from_str(&text).expect("what was written is read");
        assert_eq!(before.histogram(), after.histogram());
        assert_eq!(before.sum_ns(), after.sum_ns());
    }

    #[test]
    fn a_shrunk_one_holds_the_same_and_takes_more() {
        let mut whole = Distribution::default();
        for us in [3, 40, 40, 700, 52_000] {
            whole.record(Duration::from_micros(us));
        }
        let mut small = whole.clone();
        small.shrink();
        assert_eq!(small.histogram(), whole.histogram());
        assert!(small.histogram().distinct_values() < whole.histogram().distinct_values() / 2);
        let mut later = Distribution::default();
        later.record(Duration::from_secs(90));
        small.merge(&later);
        whole.merge(&later);
        assert_eq!((small.histogram(), small.sum_ns()), (whole.histogram(), whole.sum_ns()));
    }

    #[test]
    fn an_empty_one_costs_a_few_bytes() {
        assert_eq!(serde_json::to_string(&Distribution::default()).expect("serialisable"), r#"[0,""]"#);
    }
}
