//! What single values of arguments must be.

use crate::units::{Course, CourseError, DrawnError, parse_duration};
use std::str::FromStr;
use std::time::Duration;

/// A warm-up as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum GivenWarmUp {
    Fixed(Duration),
    Auto,
}

pub(super) fn warm_up(text: &str) -> Result<GivenWarmUp, String> {
    if text == "auto" {
        return Ok(GivenWarmUp::Auto);
    }
    parse_duration(text)
        .map(GivenWarmUp::Fixed)
        .map_err(|error| format!("{error}, or `auto` to warm up until the system is steady"))
}

pub(super) fn warm_up_max(text: &str) -> Result<Duration, String> {
    // Rest shows after ten seconds at the earliest, and an interval more is needed to end a stage everywhere at once.
    const MIN: Duration = Duration::from_secs(15);
    // What is looked at is kept, second by second.
    const MAX: Duration = Duration::from_secs(4 * 3600);
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    if (MIN..=MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err("it must be at least 15s, since less does not show that a system is steady, and at most 4h"
            .to_owned())
    }
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

pub(super) fn cadence(text: &str) -> Result<Duration, String> {
    let interval = positive_duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_secs(1)).contains(&interval) {
        Ok(interval)
    } else {
        Err("it lies between 10ms (100 looks a second) and 1s".to_owned())
    }
}

pub(super) fn whole_milliseconds(text: &str) -> Result<Duration, String> {
    let duration = positive_duration(text)?;
    if duration < Duration::from_millis(1) {
        Err("it counts whole milliseconds, at least one".to_owned())
    } else {
        Ok(duration)
    }
}

pub(super) fn round_trip(text: &str) -> Result<Duration, String> {
    const MAX: Duration = Duration::from_secs(10);
    let duration = positive_duration(text)?;
    if duration > MAX { Err("no network is that far: at most 10s".to_owned()) } else { Ok(duration) }
}

pub(super) fn positive(text: &str, max: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= max {
        Ok(number)
    } else {
        Err(format!("it must lie above 0 and at most at {max}"))
    }
}

pub(super) fn course(text: &str) -> Result<Course, String> {
    text.parse().map_err(|error: CourseError| error.to_string())
}

pub(super) fn clients(text: &str) -> Result<Course, String> {
    let course = course(text)?;
    if course.is_whole() { Ok(course) } else { Err("part of a client cannot be".to_owned()) }
}

pub(super) fn drawn<T: FromStr<Err = DrawnError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: DrawnError| error.to_string())
}

pub(super) fn fraction(text: &str) -> Result<f64, String> {
    positive(text, 1.0)
}

pub(super) fn scale(text: &str) -> Result<f64, String> {
    // Below it every table has its one row.
    const MIN: f64 = 1e-9;
    let scale = positive(text, 1_000_000.0)?;
    if scale < MIN { Err(format!("it must be at least {MIN}")) } else { Ok(scale) }
}
