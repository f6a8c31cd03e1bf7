//! Budgets against other runs: `p99 < +10% of main`. How far a metric may lie from what runs of a baseline have.

use std::fmt;
use std::str::FromStr;

use super::{ChangeError, ChangeLimit};

/// One such budget.
#[derive(Clone, Debug, PartialEq)]
pub struct RelativeBudget {
    /// How much worse it may be.
    pub limit: ChangeLimit,
    /// Than what: a run or a tag, where the budget names it itself.
    pub of: Option<String>,
}

/// Why a text is no such budget.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RelativeError {
    /// The change does not go with the bound.
    #[error(
        "`{found}` is no limit on a change: write `< +10%` of what should be low, `> -5%` of what should be high"
    )]
    Bound {
        /// What was given.
        found: String,
    },
    /// Nothing behind `of`.
    #[error("`of` wants the run or the tag that is compared with")]
    NoBaseline,
    /// No metric, or no change of it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl RelativeBudget {
    /// Whether a text is meant as one: its limit is a change.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let limit = text.split_once(['<', '>']).map(|(_, limit)| limit.trim_start_matches('=').trim_start());
        limit.is_some_and(|limit| limit.starts_with(['+', '-', '−']) && limit.contains('%'))
    }

    /// `< +10%`, `> -5%`
    #[must_use]
    pub fn change(limit: &ChangeLimit) -> String {
        let change = limit.change();
        let bound = if change.starts_with('-') { '>' } else { '<' };
        format!("{bound} {change}")
    }
}

impl FromStr for RelativeBudget {
    type Err = RelativeError;

    /// Reads `checkout.response.p99 < +10% of main`.
    fn from_str(text: &str) -> Result<Self, RelativeError> {
        let bound = || RelativeError::Bound { found: text.trim().to_owned() };
        let at = text.find(['<', '>']).ok_or_else(bound)?;
        let (metric, limit) = text.split_at(at);
        let is_upper = limit.starts_with('<');
        let limit = limit[1..].trim_start_matches('=').trim();
        let (change, of) = match limit.split_once('%') {
            Some((change, rest)) => (format!("{change}%"), rest.trim()),
            None => return Err(bound()),
        };
        let of = match of.strip_prefix("of") {
            None if of.is_empty() => None,
            None => return Err(bound()),
            Some(name) if name.trim().is_empty() => return Err(RelativeError::NoBaseline),
            Some(name) => Some(name.trim().to_owned()),
        };
        if change.starts_with('+') != is_upper {
            return Err(bound());
        }
        Ok(Self { limit: format!("{} {change}", metric.trim()).parse()?, of })
    }
}

impl fmt::Display for RelativeBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.limit.metric, Self::change(&self.limit))?;
        self.of.as_ref().map_or(Ok(()), |of| write!(f, " of {of}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_budgets_are_read_and_written() {
        for (text, written) in [
            ("p99 < +10% of main", "response.p99 < +10% of main"),
            ("checkout.response.p99<+7.5%", "checkout.response.p99 < +7.5%"),
            ("throughput > -5% of 20261126-0712", "throughput > -5% of 20261126-0712"),
            (
                "checkout.take_stock.execute.mean <= +20 % of tag:main",
                "checkout.take_stock.execute.mean < +20% of tag:main",
            ),
        ] {
            assert!(RelativeBudget::is_meant(text), "{text}");
            let budget: RelativeBudget = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(budget.to_string(), written);
            assert_eq!(written.parse().as_ref(), Ok(&budget));
        }
    }

    #[test]
    fn an_absolute_budget_is_none_and_a_change_for_the_better_is_no_limit() {
        for text in ["p99 < 50ms", "errors < 0.1%", "throughput > 200", "p99"] {
            assert!(!RelativeBudget::is_meant(text), "{text}");
        }
        let said = |text: &str| text.parse::<RelativeBudget>().expect_err(text).to_string();
        assert!(said("p99 > +10%").contains("`< +10%`"));
        assert!(said("p99 < -10% of main").contains("`< +10%`"));
        assert!(said("p99 < +10% of").contains("the run or the tag"));
        assert!(said("p99 < +10% main").contains("`< +10%`"));
        assert!(said("errors.rate < +10% of main").contains("has no ratio"));
        assert!(said("throughput < +10%").contains("write `throughput -10%`"));
    }
}
