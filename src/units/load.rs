//! What a stage puts on: how work arrives, how long users think, how much a session does. As data, in the words of the field
//! ("Open Versus Closed: A Cautionary Tale", Schroeder et al., NSDI 2006); what is drawn of it is drawn in `generate`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::{format_duration, parse_duration};

/// Most transactions of one session.
pub const SESSION_MAX: u32 = 1_000_000;

/// The load of a stage, over all instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Load {
    /// Open loop: transactions arrive, whatever the target answers.
    Open {
        /// Transactions per second.
        rate: Course,
        /// How they follow each other.
        arrivals: Arrivals,
        /// One that could not start for longer than this is skipped, in microseconds; absent: each is started, however late.
        #[serde(rename = "max_lag_us", with = "super::micros::option", default)]
        #[schemars(with = "Option<u64>")]
        max_lag: Option<Duration>,
    },
    /// Closed loop: users, each of whom waits for the answer before the next transaction.
    Closed {
        /// How many.
        clients: Course,
        /// Between the end of a transaction and the begin of the user's next one, without a connection; absent: none.
        think: Option<Pause>,
    },
    /// Partly open: sessions arrive, and each makes several transactions, one after the other.
    PartlyOpen {
        /// Sessions per second.
        sessions: Course,
        /// How they follow each other.
        arrivals: Arrivals,
        /// Of each session.
        transactions: Amount,
        /// Between the end of a transaction and the planned start of the session's next one; absent: none.
        think: Option<Pause>,
        /// As in an open loop.
        #[serde(rename = "max_lag_us", with = "super::micros::option", default)]
        #[schemars(with = "Option<u64>")]
        max_lag: Option<Duration>,
    },
}

impl Load {
    /// Open loop at a constant rate.
    #[must_use]
    pub fn rate(per_s: f64) -> Self {
        Self::Open { rate: Course::Constant(per_s), arrivals: Arrivals::Constant, max_lag: None }
    }

    /// Closed loop of users who do not think.
    #[must_use]
    pub fn clients(clients: u32) -> Self {
        Self::Closed { clients: Course::Constant(f64::from(clients)), think: None }
    }

    /// How its level runs over the stage: transactions or sessions per second, or clients.
    #[must_use]
    pub fn course(&self) -> &Course {
        match self {
            Self::Open { rate, .. } => rate,
            Self::Closed { clients, .. } => clients,
            Self::PartlyOpen { sessions, .. } => sessions,
        }
    }

    fn course_mut(&mut self) -> &mut Course {
        match self {
            Self::Open { rate, .. } => rate,
            Self::Closed { clients, .. } => clients,
            Self::PartlyOpen { sessions, .. } => sessions,
        }
    }

    /// Whether transactions or sessions arrive by themselves.
    #[must_use]
    pub fn arrives(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// How late an arrival may start.
    #[must_use]
    pub fn max_lag(&self) -> Option<Duration> {
        match self {
            Self::Open { max_lag, .. } | Self::PartlyOpen { max_lag, .. } => *max_lag,
            Self::Closed { .. } => None,
        }
    }

    /// The same load with another limit for late starts. A closed loop has none.
    #[must_use]
    pub fn with_max_lag(mut self, limit: Duration) -> Self {
        if let Self::Open { max_lag, .. } | Self::PartlyOpen { max_lag, .. } = &mut self {
            *max_lag = Some(limit);
        }
        self
    }

    /// What warms up for it: the level with which it begins, all the time.
    #[must_use]
    pub fn opening(&self) -> Self {
        let mut opening = self.clone();
        *opening.course_mut() = Course::Constant(match self {
            Self::Closed { clients, .. } => clients.opening().round().max(1.0),
            Self::Open { .. } | Self::PartlyOpen { .. } => self.course().opening(),
        });
        opening
    }
}

/// How arrivals follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly: the gaps are what the rate says.
    #[default]
    Constant,
    /// As independent users come: gaps are exponentially distributed.
    Poisson,
}

/// A time that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// Always the same.
    Constant {
        /// In microseconds.
        #[serde(rename = "us", with = "super::micros")]
        #[schemars(with = "u64")]
        time: Duration,
    },
    /// Every time between two alike.
    Uniform {
        /// Shortest, in microseconds.
        #[serde(rename = "min_us", with = "super::micros")]
        #[schemars(with = "u64")]
        min: Duration,
        /// Longest, in microseconds.
        #[serde(rename = "max_us", with = "super::micros")]
        #[schemars(with = "u64")]
        max: Duration,
    },
    /// Without memory: mostly short, seldom long.
    Exponential {
        /// In microseconds.
        #[serde(rename = "mean_us", with = "super::micros")]
        #[schemars(with = "u64")]
        mean: Duration,
    },
    /// Its logarithm is normally distributed: what people take to read and to type.
    Lognormal {
        /// Half of the times are shorter, in microseconds.
        #[serde(rename = "median_us", with = "super::micros")]
        #[schemars(with = "u64")]
        median: Duration,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

/// Why a pause or an amount cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawnError {
    /// Not of one of the forms of a pause.
    #[error(
        "`{0}` is none of `200ms`, `uniform 100ms..300ms`, `exponential 200ms` (its mean) and `lognormal 200ms 0.8` (median and sigma)"
    )]
    Pause(String),
    /// Not of one of the forms of an amount.
    #[error("`{0}` is none of `8`, `1..10` and `geometric 5` (its mean)")]
    Amount(String),
    /// It is never longer than nothing.
    #[error("the time is empty")]
    Empty,
    /// The first of two is the larger one.
    #[error("the smaller one stands first")]
    Order,
    /// A sigma that is no spread.
    #[error("sigma lies above 0 and at most at 10")]
    Sigma,
    /// Less than one transaction, or too many.
    #[error("a session makes from 1 to {SESSION_MAX} transactions")]
    Session,
}

impl Pause {
    /// Whether it can be drawn.
    pub fn check(&self) -> Result<(), DrawnError> {
        match *self {
            Self::Uniform { min, max } if min > max => Err(DrawnError::Order),
            Self::Lognormal { sigma, .. } if !(sigma > 0.0 && sigma <= 10.0) => Err(DrawnError::Sigma),
            Self::Constant { time: longest }
            | Self::Uniform { max: longest, .. }
            | Self::Exponential { mean: longest }
            | Self::Lognormal { median: longest, .. }
                if longest.is_zero() =>
            {
                Err(DrawnError::Empty)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Pause {
    /// In the form that [`Pause::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: &Duration| format_duration(*time);
        match self {
            Self::Constant { time } => f.write_str(&text(time)),
            Self::Uniform { min, max } => write!(f, "uniform {}..{}", text(min), text(max)),
            Self::Exponential { mean } => write!(f, "exponential {}", text(mean)),
            Self::Lognormal { median, sigma } => write!(f, "lognormal {} {sigma}", text(median)),
        }
    }
}

impl FromStr for Pause {
    type Err = DrawnError;

    fn from_str(text: &str) -> Result<Self, DrawnError> {
        let wrong = || DrawnError::Pause(text.to_owned());
        let time = |part: &str| parse_duration(part).map_err(|_| wrong());
        let (name, rest) = text.trim().split_once(' ').unwrap_or(("", text));
        let pause = match name {
            "uniform" => {
                let (min, max) = rest.split_once("..").ok_or_else(wrong)?;
                Self::Uniform { min: time(min)?, max: time(max)? }
            }
            "exponential" => Self::Exponential { mean: time(rest)? },
            "lognormal" => {
                let (median, sigma) = rest.rsplit_once(' ').ok_or_else(wrong)?;
                Self::Lognormal { median: time(median)?, sigma: sigma.parse().map_err(|_| wrong())? }
            }
            _ => Self::Constant { time: time(text)? },
        };
        pause.check()?;
        Ok(pause)
    }
}

/// A number that is drawn, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// Always the same.
    Constant {
        /// That number.
        number: u32,
    },
    /// Every number between two alike, both included.
    Uniform {
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// After each there is another one with the same probability: 1, 2, 3, …
    Geometric {
        /// At least 1.
        mean: f64,
    },
}

impl Amount {
    /// Whether it can be drawn.
    pub fn check(&self) -> Result<(), DrawnError> {
        let (least, most) = match *self {
            Self::Constant { number } => (f64::from(number), f64::from(number)),
            Self::Uniform { min, max } => (f64::from(min), f64::from(max)),
            Self::Geometric { mean } => (mean, mean),
        };
        if least > most {
            return Err(DrawnError::Order);
        }
        let possible = 1.0..=f64::from(SESSION_MAX);
        if possible.contains(&least) && possible.contains(&most) { Ok(()) } else { Err(DrawnError::Session) }
    }
}

impl fmt::Display for Amount {
    /// In the form that [`Amount::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { number } => number.fmt(f),
            Self::Uniform { min, max } => write!(f, "{min}..{max}"),
            Self::Geometric { mean } => write!(f, "geometric {mean}"),
        }
    }
}

impl FromStr for Amount {
    type Err = DrawnError;

    fn from_str(text: &str) -> Result<Self, DrawnError> {
        let wrong = || DrawnError::Amount(text.to_owned());
        let number = |part: &str| part.trim().parse().map_err(|_| wrong());
        let amount = if let Some(mean) = text.trim().strip_prefix("geometric ") {
            Self::Geometric { mean: mean.trim().parse().map_err(|_| wrong())? }
        } else if let Some((min, max)) = text.split_once("..") {
            Self::Uniform { min: number(min)?, max: number(max)? }
        } else {
            Self::Constant { number: number(text)? }
        };
        amount.check()?;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_and_amounts_are_read_as_they_are_written() {
        for text in ["200ms", "1m 30s", "uniform 100ms..300ms", "exponential 1s", "lognormal 1m 2s 0.8"] {
            assert_eq!(text.parse::<Pause>().expect("a pause").to_string(), text);
        }
        for text in ["8", "1..10", "geometric 5.5"] {
            assert_eq!(text.parse::<Amount>().expect("an amount").to_string(), text);
        }
        for wrong in ["200", "uniform 1s", "exponential", "lognormal 1s", "normal 1s", ""] {
            assert_eq!(wrong.parse::<Pause>(), Err(DrawnError::Pause(wrong.to_owned())));
        }
        assert_eq!("0s".parse::<Pause>(), Err(DrawnError::Empty));
        assert_eq!("uniform 2s..1s".parse::<Pause>(), Err(DrawnError::Order));
        assert_eq!("lognormal 2s 0".parse::<Pause>(), Err(DrawnError::Sigma));
        for wrong in ["", "many", "1..", "geometric"] {
            assert_eq!(wrong.parse::<Amount>(), Err(DrawnError::Amount(wrong.to_owned())));
        }
        for wrong in ["0", "0..3", "1000001", "1..1000001", "geometric 0.5", "geometric NaN"] {
            assert_eq!(wrong.parse::<Amount>(), Err(DrawnError::Session), "{wrong}");
        }
        assert!("1000000".parse::<Amount>().is_ok());
    }

    #[test]
    fn a_load_is_kept_as_json_with_its_units_in_its_names() {
        let partly_open = Load::PartlyOpen {
            sessions: Course::Ramp { ramp: [1.0, 2.5] },
            arrivals: Arrivals::Poisson,
            transactions: Amount::Uniform { min: 1, max: 9 },
            think: Some(Pause::Exponential { mean: Duration::from_millis(200) }),
            max_lag: Some(Duration::from_secs(5)),
        };
        let json = serde_json::to_string(&partly_open).expect("JSON");
        assert_eq!(
            json,
            r#"{"kind":"partly_open","sessions":{"ramp":[1.0,2.5]},"arrivals":"poisson","transactions":{"uniform":{"min":1,"max":9}},"think":{"exponential":{"mean_us":200000}},"max_lag_us":5000000}"#
        );
        for load in [partly_open, Load::rate(200.0), Load::clients(16)] {
            let json = serde_json::to_string(&load).expect("JSON");
            assert_eq!(serde_json::from_str::<Load>(&json).expect("as written"), load);
        }
    }

    #[test]
    fn a_warm_up_begins_as_its_stage_does() {
        let closed = |course| Load::Closed { clients: course, think: None };
        let ramp = closed(Course::Ramp { ramp: [0.0, 9.0] });
        assert_eq!(ramp.opening(), closed(Course::Constant(5.0)), "not with nothing");
        let steps = Course::Steps { steps: vec![100.0, 900.0] };
        let open = Load::Open { rate: steps, arrivals: Arrivals::Poisson, max_lag: None };
        assert_eq!(open.opening().course(), &Course::Constant(100.0));
    }
}
