//! How a level runs over the time of a stage: a rate of arrivals, or a number of clients. Pure arithmetic: the level at a
//! time, the area below it, and when an area is reached.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{format_duration, parse_duration};

/// Highest level: transactions per second, or clients.
pub const LEVEL_MAX: f64 = 10_000_000.0;
/// Most steps of one stage.
pub const STEPS_MAX: usize = 1_000;

/// A level over the time of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Course {
    /// The same from the beginning to the end.
    Constant(f64),
    /// In a straight line.
    Ramp {
        /// Level at the beginning and at the end.
        ramp: [f64; 2],
    },
    /// One level after the other.
    Steps {
        /// Each holds for an equal part of the stage.
        steps: Vec<f64>,
    },
    /// A base, and for a while another level.
    Spike {
        /// Before and after the spike.
        base: f64,
        /// During the spike.
        spike: f64,
        /// From the beginning of the stage to that of the spike, in microseconds.
        #[serde(rename = "at_us", with = "super::micros")]
        #[schemars(with = "u64")]
        at: Duration,
        /// Length of the spike, in microseconds.
        #[serde(rename = "for_us", with = "super::micros")]
        #[schemars(with = "u64")]
        lasts: Duration,
    },
}

/// Why a course cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CourseError {
    /// Not of one of the forms.
    #[error("`{0}` is none of `200`, `100..800`, `100,200,400` and `100 spike 800 at 10s for 5s`")]
    Form(String),
    /// A level that cannot be.
    #[error("a level of {0} cannot be: it lies between 0 and {LEVEL_MAX}")]
    Level(f64),
    /// Nothing is put on at any time.
    #[error("it is 0 all the time")]
    Nothing,
    /// No step, or too many.
    #[error("it has {0} steps: from 1 to {STEPS_MAX} can be")]
    Steps(usize),
    /// A spike of no length.
    #[error("the spike lasts no time")]
    NoSpike,
    /// A spike that is not over when the stage is.
    #[error("the spike ends {} after the beginning, the stage already after {}", format_duration(*ends), format_duration(*stage))]
    Beyond {
        /// When the spike ends.
        ends: Duration,
        /// When the stage ends.
        stage: Duration,
    },
}

impl Course {
    /// Every level that is named.
    fn levels(&self) -> Vec<f64> {
        match self {
            Self::Constant(level) => vec![*level],
            Self::Ramp { ramp } => ramp.to_vec(),
            Self::Steps { steps } => steps.clone(),
            Self::Spike { base, spike, .. } => vec![*base, *spike],
        }
    }

    /// The highest level.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.levels().into_iter().fold(0.0, f64::max)
    }

    /// The level with which it begins; where that is nothing, the mean of those that it names.
    #[must_use]
    pub fn opening(&self) -> f64 {
        let levels = self.levels();
        let first = levels.first().copied().unwrap_or(0.0);
        if first > 0.0 { first } else { levels.iter().sum::<f64>() / levels.len().max(1) as f64 }
    }

    /// Whether every level is a whole number, as one of clients is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.levels().iter().all(|level| level.fract() == 0.0)
    }

    /// Whether it can be put on at all, whatever the length of the stage.
    pub fn check(&self) -> Result<(), CourseError> {
        let levels = self.levels();
        if levels.is_empty() || levels.len() > STEPS_MAX {
            return Err(CourseError::Steps(levels.len()));
        }
        if let Some(level) = levels.iter().find(|level| !(0.0..=LEVEL_MAX).contains(*level)) {
            return Err(CourseError::Level(*level));
        }
        if self.max() <= 0.0 {
            return Err(CourseError::Nothing);
        }
        match self {
            Self::Spike { lasts, .. } if lasts.is_zero() => Err(CourseError::NoSpike),
            _ => Ok(()),
        }
    }

    /// Whether it fits into a stage of this length.
    pub fn check_length(&self, stage: Duration) -> Result<(), CourseError> {
        match self {
            Self::Spike { at, lasts, .. } if at.saturating_add(*lasts) > stage => {
                Err(CourseError::Beyond { ends: at.saturating_add(*lasts), stage })
            }
            _ => Ok(()),
        }
    }

    /// The course over a stage of this length.
    #[must_use]
    pub fn over(&self, stage: Duration) -> Pieces {
        let end = stage.as_secs_f64();
        let mut pieces = Vec::new();
        let mut add = |from_s: f64, to_s: f64, from: f64, to: f64| {
            let length = to_s - from_s;
            if length > 0.0 {
                let before = pieces.last().map_or(0.0, Piece::area_behind);
                pieces.push(Piece { from_s, to_s, level: from, slope: (to - from) / length, before });
            }
        };
        match self {
            Self::Constant(level) => add(0.0, end, *level, *level),
            Self::Ramp { ramp: [from, to] } => add(0.0, end, *from, *to),
            Self::Steps { steps } => {
                let at = |step: usize| end * step as f64 / steps.len() as f64;
                for (step, &level) in steps.iter().enumerate() {
                    add(at(step), at(step + 1), level, level);
                }
            }
            Self::Spike { base, spike, at, lasts } => {
                let at = at.as_secs_f64().min(end);
                let until = (at + lasts.as_secs_f64()).min(end);
                add(0.0, at, *base, *base);
                add(at, until, *spike, *spike);
                add(until, end, *base, *base);
            }
        }
        Pieces(pieces.into())
    }
}

impl fmt::Display for Course {
    /// In the form that [`Course::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(level) => level.fmt(f),
            Self::Ramp { ramp: [from, to] } => write!(f, "{from}..{to}"),
            Self::Steps { steps } => {
                for (index, step) in steps.iter().enumerate() {
                    write!(f, "{}{step}", if index > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Self::Spike { base, spike, at, lasts } => {
                write!(f, "{base} spike {spike} at {} for {}", format_duration(*at), format_duration(*lasts))
            }
        }
    }
}

impl FromStr for Course {
    type Err = CourseError;

    fn from_str(text: &str) -> Result<Self, CourseError> {
        let wrong = || CourseError::Form(text.to_owned());
        let number = |part: &str| -> Result<f64, CourseError> {
            let part = part.trim();
            part.strip_suffix("/s").unwrap_or(part).trim().parse().map_err(|_| wrong())
        };
        let course = if let Some((base, rest)) = text.split_once("spike") {
            let (spike, rest) = rest.split_once(" at ").ok_or_else(wrong)?;
            let (at, lasts) = rest.split_once(" for ").ok_or_else(wrong)?;
            let duration = |part: &str| parse_duration(part).map_err(|_| wrong());
            let (at, lasts) = (duration(at)?, duration(lasts)?);
            Self::Spike { base: number(base)?, spike: number(spike)?, at, lasts }
        } else if let Some((from, to)) = text.split_once("..") {
            Self::Ramp { ramp: [number(from)?, number(to)?] }
        } else if text.contains(',') {
            Self::Steps { steps: text.split(',').map(number).collect::<Result<_, _>>()? }
        } else {
            Self::Constant(number(text)?)
        };
        course.check()?;
        Ok(course)
    }
}

/// A course over a stage of known length: straight pieces without a gap.
#[derive(Clone, Debug)]
pub struct Pieces(Box<[Piece]>);

#[derive(Clone, Copy, Debug)]
struct Piece {
    from_s: f64,
    to_s: f64,
    /// At its beginning.
    level: f64,
    /// Per second.
    slope: f64,
    /// Area of all pieces before it.
    before: f64,
}

impl Piece {
    /// The area of this piece up to `s` seconds after its beginning.
    fn area(&self, s: f64) -> f64 {
        (self.level + self.slope * s / 2.0) * s
    }

    fn area_behind(&self) -> f64 {
        self.before + self.area(self.to_s - self.from_s)
    }

    /// Seconds after its beginning at which its area is `area`. The root of `slope / 2 · s² + level · s = area` in the form
    /// that loses no digits when the slope is small.
    fn reached(&self, area: f64) -> f64 {
        let length = self.to_s - self.from_s;
        if area <= 0.0 {
            return 0.0;
        }
        let root = (self.level * self.level + 2.0 * self.slope * area).max(0.0).sqrt();
        let below = self.level + root;
        if below > 0.0 { (2.0 * area / below).min(length) } else { length }
    }
}

impl Pieces {
    /// The level at a time after the beginning.
    #[must_use]
    pub fn level(&self, at: Duration) -> f64 {
        let s = at.as_secs_f64();
        let behind = self.0.partition_point(|piece| piece.to_s <= s).min(self.0.len().saturating_sub(1));
        self.0.get(behind).map_or(0.0, |piece| piece.level + piece.slope * (s.min(piece.to_s) - piece.from_s))
    }

    /// The area below the course from its beginning: how many arrivals it plans in the mean.
    #[must_use]
    pub fn area(&self, until: Duration) -> f64 {
        let s = until.as_secs_f64();
        let behind = self.0.partition_point(|piece| piece.from_s < s);
        behind.checked_sub(1).map_or(0.0, |index| {
            let piece = &self.0[index];
            piece.before + piece.area(s.min(piece.to_s) - piece.from_s)
        })
    }

    /// When the area exceeds `area`; the end where it never does. To the nanosecond.
    #[must_use]
    pub fn reached(&self, area: f64) -> Duration {
        // Where nothing arrives for a while, an area that is there before and after belongs behind.
        let behind = self.0.partition_point(|piece| piece.before <= area);
        let Some(piece) = behind.checked_sub(1).map(|index| self.0[index]) else { return Duration::ZERO };
        let s = piece.from_s + piece.reached(area - piece.before);
        // A stage is shorter than 2^53 ns, which are 104 days; beyond them the rounding is below a microsecond for years.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let ns = (s * 1e9).round() as u64;
        Duration::from_nanos(ns)
    }

    /// The first time from `from` on at which the level is at least `level`.
    #[must_use]
    pub fn first_at_least(&self, level: f64, from: Duration) -> Option<Duration> {
        let from_s = from.as_secs_f64();
        self.0.iter().filter(|piece| piece.to_s > from_s).find_map(|piece| {
            let begin = from_s.max(piece.from_s);
            let now = piece.level + piece.slope * (begin - piece.from_s);
            // A nanosecond more, so that the level is there when it is looked at, whatever was rounded.
            let at = |s: f64| Duration::from_secs_f64(s) + Duration::from_nanos(1);
            if now >= level {
                return Some(if begin > from_s { at(begin) } else { from });
            }
            let s = begin + (level - now) / piece.slope;
            (piece.slope > 0.0 && s < piece.to_s).then(|| at(s))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    const STAGE: Duration = Duration::from_secs(100);

    fn courses() -> impl Strategy<Value = Course> {
        let level = || prop_oneof![0.0..200_000.0, 0.0..5.0, 0.0..f64::MIN_POSITIVE];
        prop_oneof![
            level().prop_map(Course::Constant),
            (level(), level()).prop_map(|(from, to)| Course::Ramp { ramp: [from, to] }),
            proptest::collection::vec(level(), 2..9).prop_map(|steps| Course::Steps { steps }),
            (level(), level(), 0..100_000_u64, 1..100_000_u64).prop_map(|(base, spike, at, lasts)| {
                let at = Duration::from_millis(at);
                let lasts = Duration::from_millis(lasts).min(STAGE.saturating_sub(at));
                Course::Spike { base, spike, at, lasts }
            }),
        ]
    }

    proptest! {
        /// Against the plainest sum there is: the level, taken in the middle of ten thousand slices.
        #[test]
        fn the_area_is_the_sum_of_the_levels(course in courses(), until_ms in 0..100_000_u32) {
            let pieces = course.over(STAGE);
            let until = Duration::from_millis(u64::from(until_ms));
            let slice = until / 10_000;
            let sum: f64 =
                (0..10_000).map(|n| pieces.level(slice * n + slice / 2) * slice.as_secs_f64()).sum();
            // A jump inside of a slice is missed by at most that slice; there are at most eight.
            let missed = 8.0 * course.max() * slice.as_secs_f64() + 1e-6;
            prop_assert!((pieces.area(until) - sum).abs() <= missed, "{} {sum}", pieces.area(until));
        }

        #[test]
        fn an_area_is_reached_where_it_is(course in courses(), share in 0.0..1.0) {
            let pieces = course.over(STAGE);
            let area = pieces.area(STAGE) * share;
            let at = pieces.reached(area);
            prop_assert!(at <= STAGE);
            // Half a nanosecond of rounding, at the highest rate, and what sums of floats lose.
            let slack = course.max() * 2e-9 + area * 1e-9 + 1e-9;
            prop_assert!((pieces.area(at) - area).abs() <= slack, "{} {area}", pieces.area(at));
        }

        #[test]
        fn what_is_written_is_read_back(course in courses()) {
            // Which levels can be is asked of the reading.
            let Ok(()) = course.check() else { return Ok(()) };
            prop_assert_eq!(course.to_string().parse::<Course>(), Ok(course.clone()));
            let json = serde_json::to_string(&course).expect("a course is JSON");
            prop_assert_eq!(serde_json::from_str::<Course>(&json).expect("as it was written"), course);
        }

        #[test]
        fn a_level_is_found_where_it_is_first_there(course in courses(), share in 0.0..1.2, from_ms in 0..100_000_u32) {
            let pieces = course.over(STAGE);
            let (level, from) = (course.max() * share, Duration::from_millis(u64::from(from_ms)));
            let found = pieces.first_at_least(level, from);
            let slack = level * 1e-9 + 1e-6;
            let until = found.unwrap_or(STAGE);
            for n in 0..100 {
                let before = from + until.saturating_sub(from) * n / 100;
                prop_assert!(before >= until || pieces.level(before) < level + slack);
            }
            if let Some(at) = found {
                prop_assert!(at >= from && pieces.level(at) >= level - slack, "{}", pieces.level(at));
            }
        }
    }

    #[test]
    fn forms_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Course>();
        assert_eq!(read("200/s"), Ok(Course::Constant(200.0)));
        assert_eq!(read("100..800"), Ok(Course::Ramp { ramp: [100.0, 800.0] }));
        assert_eq!(read("0 .. 2.5"), Ok(Course::Ramp { ramp: [0.0, 2.5] }));
        assert_eq!(read("100, 200,400"), Ok(Course::Steps { steps: vec![100.0, 200.0, 400.0] }));
        let (at, lasts) = (Duration::from_secs(10), Duration::from_millis(500));
        let spike = Course::Spike { base: 100.0, spike: 800.0, at, lasts };
        assert_eq!(read("100 spike 800 at 10s for 500ms"), Ok(spike));
        for wrong in ["", "fast", "1..", "1,,2", "100 spike 800", "100 spike 800 at 10 for 5"] {
            assert_eq!(read(wrong), Err(CourseError::Form(wrong.to_owned())));
        }
        assert_eq!(read("-1"), Err(CourseError::Level(-1.0)));
        assert!(matches!(read("NaN"), Err(CourseError::Level(_))));
        assert_eq!(read("1e9"), Err(CourseError::Level(1e9)));
        assert_eq!(read("0..0"), Err(CourseError::Nothing));
        assert_eq!(read("1 spike 2 at 1s for 0s"), Err(CourseError::NoSpike));
        let spike = read("1 spike 2 at 9s for 2s").expect("a spike");
        assert!(spike.check_length(Duration::from_secs(11)).is_ok());
        assert!(matches!(spike.check_length(Duration::from_secs(10)), Err(CourseError::Beyond { .. })));
    }

    #[test]
    fn where_nothing_arrives_the_next_arrival_is_behind_it() {
        let pieces = Course::Steps { steps: vec![10.0, 0.0, 10.0] }.over(Duration::from_secs(30));
        assert_eq!(pieces.reached(99.0), Duration::from_millis(9_900));
        assert_eq!(pieces.reached(100.0), Duration::from_secs(20));
        assert!((pieces.area(Duration::from_secs(15)) - 100.0).abs() < 1e-9);
    }
}
