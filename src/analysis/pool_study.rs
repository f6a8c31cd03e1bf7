//! A pool study: one point a size, the knee, and the answer in words.

use std::collections::BTreeMap;

use crate::model::{PoolPoint, PoolStudy};
use crate::record::entry::Header;
use crate::record::histogram::Distribution;

use super::quantiles::{quantiles, with_censored};
use super::samples::IDLE_IN_TRANSACTION;
use super::stage::StageAnalysis;

/// A size is at the knee when it reaches this share of the best throughput.
const KNEE_SHARE: f64 = 0.95;
/// Share of the offered rate that a size must reach to keep up.
const KEPT_UP: f64 = 0.98;
/// Unsuccessful share of the transactions above which a size does not keep up.
const ERRORS_LOW: f64 = 0.01;
/// Sizes whose p99 lies within this of the best are alike.
const P99_ALIKE: f64 = 1.1;
/// Share of the host's cores above which they were the limit, or may have been.
const HOST_FULL: f64 = 0.9;

/// The study's part of the report; absent when no size was measured.
pub(super) fn analyse(header: &Header, stages: &[StageAnalysis]) -> Option<PoolStudy> {
    let measured: Vec<_> = stages.iter().filter(|stage| stage.measured && stage.window_s() > 0.0).collect();
    let mut by_size: BTreeMap<u32, Vec<&StageAnalysis>> = BTreeMap::new();
    for stage in &measured {
        by_size.entry(stage.pool_size).or_default().push(stage);
    }
    let sizes: Vec<PoolPoint> =
        by_size.into_iter().map(|(size, repeats)| point(header, size, &repeats)).collect();
    if sizes.is_empty() {
        return None;
    }
    let offered: Vec<f64> = measured.iter().filter_map(|stage| stage.offered_per_s(header)).collect();
    let offered_per_s = (!offered.is_empty()).then(|| offered.iter().sum::<f64>() / offered.len() as f64);
    // At a fixed rate the throughput is that rate at every size that keeps up: there is no knee in it.
    let knee = if offered_per_s.is_some() || still_grows(&sizes) { None } else { knee(&sizes) };
    let recommendation =
        offered_per_s.map_or_else(|| saturated(header, &sizes), |rate| at_rate(rate, &sizes));
    Some(PoolStudy {
        order: measured.iter().map(|stage| stage.pool_size).collect(),
        sizes,
        knee,
        recommendation,
    })
}

fn point(header: &Header, size: u32, repeats: &[&StageAnalysis]) -> PoolPoint {
    let mut rates: Vec<f64> = repeats.iter().map(|stage| stage.achieved_per_s()).collect();
    rates.sort_by(f64::total_cmp);
    let merged = |field: fn(&crate::record::set::TransactionSet) -> &Distribution| {
        let mut all = Distribution::default();
        for stage in repeats {
            all.merge(&stage.total(field));
        }
        all
    };
    let models: Vec<_> = repeats.iter().map(|stage| stage.to_model(header)).collect();
    let mean = |value: &dyn Fn(&crate::model::Stage) -> f64| {
        models.iter().map(value).sum::<f64>() / models.len() as f64
    };
    let (ended, ok) = models.iter().fold((0, 0), |(ended, ok), stage| {
        let books = stage.accounting;
        (ended + books.ok + books.failed + books.unknown + books.skipped + books.abandoned, ok + books.ok)
    });
    let host: Vec<f64> = models.iter().filter_map(|stage| Some(stage.host.as_ref()?.cpu_fraction)).collect();
    PoolPoint {
        size,
        repeats: u32::try_from(repeats.len()).unwrap_or(u32::MAX),
        per_s: median(&rates),
        per_s_range: (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0)),
        response_us: with_censored(&merged(|set| &set.response), &merged(|set| &set.censored)),
        pool_wait_us: quantiles(&merged(|set| &set.pool_wait)),
        service_us: quantiles(&merged(|set| &set.service)),
        busy_mean: mean(&|stage| stage.pool.busy_mean),
        waiting_mean: mean(&|stage| stage.pool.waiting_mean),
        saturated_fraction: mean(&|stage| stage.pool.saturated_fraction),
        top_wait: top_wait(&models),
        top_blocker: top_blocker(&models),
        error_fraction: if ended > 0 { 1.0 - ok as f64 / ended as f64 } else { 0.0 },
        host_cpu_fraction: (!host.is_empty()).then(|| host.iter().sum::<f64>() / host.len() as f64),
    }
}

/// The middle of sorted values; of two middles their mean.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn top_wait(stages: &[crate::model::Stage]) -> Option<crate::model::WaitShare> {
    let mut events: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    let mut all = 0;
    // What executing sessions did: one that is idle in a transaction waits for the application, not for the server.
    let executing = |wait: &&crate::model::WaitShare| wait.event != IDLE_IN_TRANSACTION;
    for wait in stages.iter().flat_map(|stage| &stage.waits).filter(executing) {
        let event = events.entry(&wait.event).or_default();
        event.0 += wait.count;
        event.1 += wait.sessions_mean / stages.len() as f64;
        all += wait.count;
    }
    let (event, (count, sessions_mean)) = events.into_iter().max_by_key(|(_, (count, _))| *count)?;
    let share = count as f64 / all as f64;
    Some(crate::model::WaitShare { event: event.to_owned(), count, share, sessions_mean })
}

fn top_blocker(stages: &[crate::model::Stage]) -> Option<(String, f64)> {
    let mut roots: BTreeMap<&str, u64> = BTreeMap::new();
    for episode in stages.iter().flat_map(|stage| &stage.locks.episodes) {
        *roots.entry(&episode.root).or_default() += episode.wait_us_total;
    }
    let all: u64 = roots.values().sum();
    let (root, us) = roots.into_iter().max_by_key(|(_, us)| *us)?;
    (us > 0).then(|| (root.to_owned(), us as f64 / all as f64))
}

/// The smallest size that reaches 95 % of the best median throughput.
fn knee(sizes: &[PoolPoint]) -> Option<u32> {
    let best = sizes.iter().map(|point| point.per_s).fold(0.0, f64::max);
    sizes.iter().find(|point| best > 0.0 && point.per_s >= KNEE_SHARE * best).map(|point| point.size)
}

/// Whether the largest size is better than every smaller one by more than the repetitions differ: then the knee lies beyond.
fn still_grows(sizes: &[PoolPoint]) -> bool {
    let Some((largest, smaller)) = sizes.split_last() else { return false };
    let best_below = smaller.iter().map(|point| point.per_s_range.1).fold(0.0, f64::max);
    !smaller.is_empty() && knee(sizes) == Some(largest.size) && largest.per_s_range.0 > best_below
}

fn saturated(header: &Header, sizes: &[PoolPoint]) -> String {
    let Some(at) = knee(sizes).and_then(|knee| sizes.iter().find(|point| point.size == knee)) else {
        return "No transaction ended well at any size, so there is nothing to recommend; see the errors."
            .to_owned();
    };
    let largest = sizes.iter().map(|point| point.size).max().unwrap_or(at.size);
    let mut words = if still_grows(sizes) {
        format!(
            "Throughput still grows at {largest} connections, the largest size measured ({:.0}/s): measure larger ones \
             before deciding.",
            at.per_s
        )
    } else {
        format!("A pool of {} reaches {:.0}/s, at least 95 % of the best size measured.", at.size, at.per_s)
    };
    if let Some(beyond) = sizes.iter().filter(|point| point.size > at.size).max_by_key(|point| point.size) {
        let wait = beyond.top_wait.as_ref().map_or_else(String::new, |wait| {
            format!(
                "; there the sessions were mostly in {} ({:.0} % of the samples)",
                wait.event,
                wait.share * 100.0
            )
        });
        words += &format!(
            " With {} connections it is {:.0}/s ({:+.0} %){wait}.",
            beyond.size,
            beyond.per_s,
            (beyond.per_s / at.per_s - 1.0) * 100.0,
        );
    }
    let full = at.host_cpu_fraction.is_some_and(|cpu| cpu > HOST_FULL);
    if full && header.target.same_host {
        words += " The host's cores were full and generator and server share them, so this size holds for this arrangement \
                  only: on a server of its own the knee lies higher.";
    }
    words
}

fn at_rate(offered_per_s: f64, sizes: &[PoolPoint]) -> String {
    let keeps_up = |point: &&PoolPoint| {
        point.per_s >= KEPT_UP * offered_per_s
            && point.error_fraction < ERRORS_LOW
            && point.response_us.censored_from.is_none()
    };
    let p99 = |point: &PoolPoint| point.response_us.p99.or(point.response_us.max).unwrap_or(u64::MAX);
    let Some(best) = sizes.iter().filter(keeps_up).map(p99).min() else {
        return format!(
            "No size keeps up with {offered_per_s:.0}/s: lower the rate, or look at what the sessions wait for."
        );
    };
    let enough = sizes.iter().filter(keeps_up).find(|point| p99(point) as f64 <= best as f64 * P99_ALIKE);
    enough.map_or_else(String::new, |at| {
        format!(
            "At {offered_per_s:.0}/s a pool of {} is enough: its p99 response of {:.1} ms is within 10 % of the best of all \
             sizes. A larger one only holds idle connections.",
            at.size,
            p99(at) as f64 / 1000.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_few() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[1.0, 3.0]) - 2.0).abs() < f64::EPSILON);
    }
}
