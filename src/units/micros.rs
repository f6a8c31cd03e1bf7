//! Durations as whole microseconds in files, as every time of a report.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(us(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_micros)
}

/// A duration that may be absent.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, us};

    #[expect(clippy::ref_option, reason = "serde hands it over so")]
    pub(in crate::units) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&us(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::units) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_micros))
    }
}
