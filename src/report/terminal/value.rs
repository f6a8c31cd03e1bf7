//! Values of the model as text: a dash where the samples do not carry a quantile, "> X" where it is a lower bound.

use super::grid::Cell;
use crate::model::{Quantiles, WaitShare};
use crate::report::format::{DASH, NBSP, duration_us, percent, whole_us};

/// One statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    P50,
    P90,
    P95,
    P99,
    P999,
    P9999,
    Max,
}

impl Statistic {
    fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
            Self::Max => 1.0,
        }
    }

    fn of(self, times: &Quantiles) -> Option<u64> {
        match self {
            Self::P50 => times.p50,
            Self::P90 => times.p90,
            Self::P95 => times.p95,
            Self::P99 => times.p99,
            Self::P999 => times.p99_9,
            Self::P9999 => times.p99_99,
            Self::Max => times.max,
        }
    }
}

/// A statistic of `times`: `12.3 ms`, `> 30.0 s`, or a dash.
pub(super) fn time(times: &Quantiles, statistic: Statistic) -> String {
    let Some(us) = statistic.of(times) else {
        return DASH.to_owned();
    };
    let is_bound = times.censored_from.is_some_and(|from| statistic.quantile() >= from);
    if is_bound { format!(">{NBSP}{}", whole_us(us)) } else { whole_us(us) }
}

/// `p50 3.10 ms · p99 12.3 ms · max 48.2 ms`, or what is left of it when there is no sample.
pub(super) fn times(times: &Quantiles) -> String {
    if times.count == 0 {
        return "no sample".to_owned();
    }
    let bound = if times.censored_from.is_some() { format!(">{NBSP}") } else { String::new() };
    let mean = times.mean.map_or_else(|| DASH.to_owned(), |mean| format!("{bound}{}", duration_us(mean)));
    let [p50, p95, p99, max] =
        [Statistic::P50, Statistic::P95, Statistic::P99, Statistic::Max].map(|s| time(times, s));
    ["mean", "p50", "p95", "p99", "max"]
        .iter()
        .zip([mean, p50, p95, p99, max])
        .map(|(name, value)| format!("{name}{NBSP}{value}"))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// A cell with an event or a name, and its share, which stays when the name is cut.
pub(super) fn shared(name: &str, share: f64) -> Cell {
    Cell::with_tail(name, &percent(share))
}

/// The cell of the thing that was waited for most; a dash where nothing was.
pub(super) fn top_wait(wait: Option<&WaitShare>) -> Cell {
    wait.map_or_else(|| Cell::new(DASH), |wait| shared(&wait.event, wait.share))
}

/// `1 connection`, `8 connections`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{}{NBSP}{noun}{ending}", crate::report::format::count(count))
}

#[cfg(test)]
mod tests {
    use super::{Statistic, time};
    use crate::model::Quantiles;

    #[test]
    fn a_quantile_among_unfinished_work_is_a_lower_bound() {
        let times = Quantiles {
            count: 500,
            p50: Some(2_100),
            p95: Some(30_000_000),
            max: Some(30_000_000),
            censored_from: Some(0.93),
            ..Quantiles::default()
        };
        let text = |statistic| time(&times, statistic).replace('\u{a0}', " ");
        assert_eq!(text(Statistic::P50), "2.10 ms");
        assert_eq!(text(Statistic::P95), "> 30.0 s");
        assert_eq!(text(Statistic::P99), "–");
        assert_eq!(text(Statistic::Max), "> 30.0 s");
    }
}
