//! Durations as people write them: `30s`, `2ms`, `1m 30s`.

use std::time::Duration;

use jiff::SignedDuration;

/// Why a text is not a duration.
#[derive(Debug, thiserror::Error)]
pub enum DurationError {
    /// Not of the form.
    #[error("`{text}` is not a duration; write a number and a unit, such as `30s`, `2ms` or `1m 30s`")]
    Form {
        /// What was given.
        text: String,
    },
    /// Below zero.
    #[error("`{text}` is negative; a duration counts forward")]
    Negative {
        /// What was given.
        text: String,
    },
}

/// Reads `30s`, `2ms`, `150us`, `1m 30s`, `2h`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let signed: SignedDuration =
        text.trim().parse().map_err(|_| DurationError::Form { text: text.to_owned() })?;
    Duration::try_from(signed).map_err(|_| DurationError::Negative { text: text.to_owned() })
}

/// Writes a duration in the form that [`parse_duration`] reads: `1m 30s`, `2ms`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["30s", "2ms", "1m 30s", "150µs", "2h"] {
            let duration = parse_duration(text).expect("a duration in the documented form");
            assert_eq!(format_duration(duration), text);
        }
    }

    #[test]
    fn a_bare_number_and_a_negative_one_are_refused() {
        assert!(matches!(parse_duration("30"), Err(DurationError::Form { .. })));
        assert!(matches!(parse_duration("-3s"), Err(DurationError::Negative { .. })));
    }
}
