//! What makes a migration check fail, as a user writes it: `blocked > 200ms`, `rewrite`, `p99 +20%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::units::{format_duration, parse_duration};

use super::{ChangeError, ChangeLimit};

/// One condition. A migration check fails where it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `blocked > 200ms`: an execution of the workload waited for longer because of the migration.
    Blocked(Duration),
    /// `blocked-total > 5s`: all of them together did.
    BlockedTotal(Duration),
    /// `failures`, `failures > 10`: more transactions failed while the migration was applied.
    Failures(u64),
    /// `rewrite`: a table was written anew.
    Rewrite,
    /// `invalid-index`: an index was left that queries may not use.
    InvalidIndex,
    /// `breaks`: a statement of `--also-prepare` cannot be prepared any more.
    Breaks,
    /// `way-back`: what takes the migration back does not come to its end.
    WayBack,
    /// `slower > 20%`: a statement of the workload takes longer than before, by more than this share of its mean.
    Slower(f64),
    /// `p99 +20%`: a metric is worse than before by more than that.
    Change(ChangeLimit),
}

/// A text is no condition.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConditionError {
    /// None of the forms that there are.
    #[error(
        "there are 'blocked > TIME', 'blocked-total > TIME', 'failures [> N]', 'rewrite', 'invalid-index', 'breaks', 'way-back', \
         'slower > N%' and a change of a metric such as 'p99 +20%' or 'throughput -5%'"
    )]
    Form,
    /// The limit is none.
    #[error("`{what}` needs a limit such as `{example}`")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// A condition that is right.
        example: &'static str,
    },
    /// A metric, and no change of it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Condition {
    /// What is judged where the user says nothing: what users would notice, and what nobody wants to keep.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        vec![Self::Blocked(Duration::from_secs(1)), Self::Failures(0), Self::InvalidIndex, Self::Slower(0.2)]
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let text = text.trim();
        let (what, limit) =
            text.split_once('>').map_or((text, None), |(what, limit)| (what, Some(limit.trim())));
        let time = |what, example| {
            let given = limit.and_then(|limit| parse_duration(limit).ok());
            given.ok_or(ConditionError::Limit { what, example })
        };
        match (what.trim(), limit) {
            ("blocked", _) => Ok(Self::Blocked(time("blocked", "blocked > 200ms")?)),
            ("blocked-total", _) => Ok(Self::BlockedTotal(time("blocked-total", "blocked-total > 5s")?)),
            ("failures", None) => Ok(Self::Failures(0)),
            ("failures", Some(limit)) => limit
                .parse()
                .map(Self::Failures)
                .map_err(|_| ConditionError::Limit { what: "failures", example: "failures > 10" }),
            ("rewrite", None) => Ok(Self::Rewrite),
            ("invalid-index", None) => Ok(Self::InvalidIndex),
            ("breaks", None) => Ok(Self::Breaks),
            ("way-back", None) => Ok(Self::WayBack),
            ("slower", _) => limit
                .and_then(|limit| limit.strip_suffix('%')?.trim().parse::<f64>().ok())
                .filter(|percent| *percent > 0.0 && percent.is_finite())
                .map(|percent| Self::Slower(percent / 100.0))
                .ok_or(ConditionError::Limit { what: "slower", example: "slower > 20%" }),
            (_, None) if text.contains(['+', '-', '−']) => Ok(Self::Change(text.parse()?)),
            _ => Err(ConditionError::Form),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(limit) => write!(f, "blocked > {}", format_duration(*limit)),
            Self::BlockedTotal(limit) => write!(f, "blocked-total > {}", format_duration(*limit)),
            Self::Failures(0) => f.write_str("failures"),
            Self::Failures(limit) => write!(f, "failures > {limit}"),
            Self::Rewrite => f.write_str("rewrite"),
            Self::InvalidIndex => f.write_str("invalid-index"),
            Self::Breaks => f.write_str("breaks"),
            Self::WayBack => f.write_str("way-back"),
            // Enough digits that no limit is printed as another; a percentage has binary noise beyond them.
            Self::Slower(by) => write!(f, "slower > {}%", (by * 1e14).round() / 1e12),
            Self::Change(limit) => write!(f, "{limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written() {
        for (text, written) in [
            ("blocked > 200ms", "blocked > 200ms"),
            ("blocked-total>5s", "blocked-total > 5s"),
            ("failures", "failures"),
            ("failures > 10", "failures > 10"),
            (" rewrite ", "rewrite"),
            ("invalid-index", "invalid-index"),
            ("breaks", "breaks"),
            ("way-back", "way-back"),
            ("slower > 7.5 %", "slower > 7.5%"),
            ("p99 +20%", "response.p99 +20%"),
            ("throughput -5%", "throughput -5%"),
        ] {
            let condition: Condition = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(condition.to_string(), written);
            assert_eq!(written.parse::<Condition>().as_ref(), Ok(&condition));
        }
        for usual in Condition::usual() {
            assert_eq!(usual.to_string().parse::<Condition>(), Ok(usual));
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_forms() {
        let said = |text: &str| text.parse::<Condition>().expect_err(text).to_string();
        assert!(said("blocked").contains("blocked > 200ms"));
        assert!(said("blocked > long").contains("blocked > 200ms"));
        assert!(said("slower > 20").contains("slower > 20%"));
        assert!(said("nonsense").contains("there are 'blocked > TIME'"));
        assert!(said("p99 -20%").ends_with("write `response.p99 +20%`"));
        assert!(said("rewrite > 3").contains("there are"));
    }
}
