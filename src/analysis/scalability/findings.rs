//! What a person should know of a pool study beside its answer.

use crate::analysis::findings::{finding, measured};
use crate::model::{Finding, PoolPoint, PoolStudy, Quantiles, Report, Severity, Stage};

/// Share of the held time without a request from which it is worth saying.
const UNUSED_HIGH: f64 = 0.3;
/// A connection takes long to make when that takes so many times as long as it is then used, and at least so long.
const CREATE_TIMES: f64 = 5.0;
const CREATE_MIN_US: f64 = 5_000.0;
/// A hold is far above all others at so many times the time that 99 % of them take, and at least so long.
const HOLD_TIMES: u64 = 50;
const HOLD_MIN_US: u64 = 1_000_000;
/// Difference of the saturated shares of two instances that is worth saying.
const UNEVEN: f64 = 0.2;
/// Shares of the time: saturated enough that the pool holds users up; cores of the host that have no room.
const SATURATED_HIGH: f64 = 0.5;
const HOST_FULL: f64 = 0.95;

/// Those of the sizes, and those of the pool that hold for any report.
pub(in crate::analysis) fn find(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(study) = &report.study {
        findings.extend(too_small(report, study));
        findings.extend(too_large(study));
        findings.extend(held_by_application(study));
    }
    findings.extend(slow_creates(report));
    findings.extend(leak_suspected(report));
    findings.extend(uneven_instances(report));
    findings
}

fn point(study: &PoolStudy, size: u32) -> Option<&PoolPoint> {
    study.sizes.iter().find(|point| point.size == size)
}

fn mean_ms(times: &Quantiles) -> f64 {
    times.mean.unwrap_or(0.0) / 1e3
}

/// The pool in use, or the largest one measured, keeps requests waiting while the server has room.
fn too_small(report: &Report, study: &PoolStudy) -> Option<Finding> {
    let (size, title) = match (study.current, &study.recommended) {
        (Some(current), Some(recommended)) if current < recommended.alike_from => {
            (current, format!("the pool of {current} in use today is too small"))
        }
        (None, None) => {
            let largest = still_grows(study)?;
            (largest, format!("even {largest} connections, the largest pool measured, are too few"))
        }
        _ => return None,
    };
    let point = point(study, size)?;
    let has_room = point.host_cpu_fraction.is_none_or(|cpu| cpu < HOST_FULL) || !report.target.same_host;
    if point.saturated_fraction < SATURATED_HIGH || !has_room {
        return None;
    }
    let host = point.host_cpu_fraction.filter(|_| report.target.same_host);
    let host = host.map_or_else(String::new, |cpu| format!(", {:.0} % of the cores busy", cpu * 100.0));
    let remedy = match &study.recommended {
        Some(recommended) => format!("raise it to {}", recommended.size),
        None => format!(
            "measure larger ones: --sizes {size},{},{}",
            size.saturating_mul(2),
            size.saturating_mul(4)
        ),
    };
    Some(finding(
        "pool-too-small",
        Severity::Warning,
        title,
        format!(
            "all connections busy with someone waiting {:.0} % of the time, {:.1} waiting on average; pool wait {:.1} ms and service \
             {:.1} ms on average{host}",
            point.saturated_fraction * 100.0,
            point.waiting_mean,
            mean_ms(&point.pool_wait_us),
            mean_ms(&point.service_us)
        ),
        "requests wait for a connection although the server could serve them",
        remedy,
    ))
}

/// The largest size, where all of its repetitions do more than any of another size. Not at a rate, which all do.
fn still_grows(study: &PoolStudy) -> Option<u32> {
    let (largest, smaller) = study.sizes.split_last()?;
    let best = smaller.iter().map(|point| point.per_s_range.1).reduce(f64::max)?;
    (largest.queue.is_none() && largest.per_s_range.0 > best).then_some(largest.size)
}

/// The pool in use, or the largest one measured, does less than a smaller one.
fn too_large(study: &PoolStudy) -> Option<Finding> {
    let recommended = study.recommended.as_ref()?;
    let against = recommended.against.as_ref()?;
    if against.size <= recommended.alike_to.max(recommended.size) {
        return None;
    }
    let is_sure = |ratio: Option<crate::model::Estimate>, better: f64| {
        ratio.is_some_and(|ratio| match (ratio.low, ratio.high) {
            (Some(low), _) if better > 1.0 => low > 1.0,
            (_, Some(high)) if better < 1.0 => high < 1.0,
            _ => false,
        })
    };
    if !is_sure(against.per_s_ratio, 2.0) && !is_sure(against.response_ratio, 0.5) {
        return None;
    }
    let (small, large) = (point(study, recommended.size)?, point(study, against.size)?);
    let whose = if against.is_current { "in use today" } else { "of the largest pool measured" };
    let waits = large.top_wait.as_ref().map_or_else(String::new, |wait| {
        format!("; the sessions were mostly in {} ({:.0} %)", wait.event, wait.share * 100.0)
    });
    Some(finding(
        "pool-too-large",
        Severity::Warning,
        format!("the {} connections {whose} are too many", against.size),
        format!(
            "{:.0}/s and {:.1} ms of service on average with {}, {:.0}/s and {:.1} ms with {}{waits}",
            large.per_s,
            mean_ms(&large.service_us),
            large.size,
            small.per_s,
            mean_ms(&small.service_us),
            small.size
        ),
        "requests that would wait in the pool wait on the server, where they hold locks and make each other slower",
        format!("lower it to {}", recommended.size),
    ))
}

fn held_by_application(study: &PoolStudy) -> Option<Finding> {
    let unused = |point: &PoolPoint| point.estimates.as_ref()?.held_unused_fraction.map(|share| share.mean);
    let at = study.recommended.as_ref().and_then(|recommended| point(study, recommended.size));
    let point = at.or(study.sizes.last())?;
    let share = unused(point).filter(|share| *share > UNUSED_HIGH)?;
    // Where nobody waits for them it does not matter.
    let is_scarce = study.sizes.iter().any(|point| point.saturated_fraction > SATURATED_HIGH);
    is_scarce.then(|| {
        finding(
            "held-by-application",
            Severity::Warning,
            "connections are held while nothing is asked of the server",
            format!(
                "with {} connections {:.0} % of the time for which they were held no request was under way, by the client's stamps; \
                 held {:.1} ms on average",
                point.size,
                share * 100.0,
                mean_ms(&point.hold_us)
            ),
            "the pool must be larger than what the server needs, and locks are held for as long",
            "do what needs no database before a connection is taken or after it is given back; calls of other services above all",
        )
    })
}

fn slow_creates(report: &Report) -> Option<Finding> {
    let mean = |times: &Quantiles| times.mean.unwrap_or(0.0);
    let is_slow = |stage: &&Stage| {
        let create = mean(&stage.pool.create_us);
        stage.pool.creates > 0 && create > CREATE_MIN_US && create > CREATE_TIMES * mean(&stage.service_us)
    };
    let stage = measured(report)
        .filter(is_slow)
        .max_by(|a, b| mean(&a.pool.create_us).total_cmp(&mean(&b.pool.create_us)))?;
    Some(finding(
        "slow-creates",
        Severity::Warning,
        "making a connection takes much longer than using it",
        format!(
            "{} made in stage {}: {:.1} ms each on average, {:.1} ms at most; a transaction takes {:.1} ms",
            stage.pool.creates,
            stage.name,
            mean_ms(&stage.pool.create_us),
            stage.pool.create_us.max.unwrap_or(0) as f64 / 1e3,
            mean_ms(&stage.service_us)
        ),
        "whoever meets a connection that must be made waits for it",
        "keep the pool at its full size, let connections live longer, and look for what breaks them",
    ))
}

fn leak_suspected(report: &Report) -> Option<Finding> {
    let hold = |stage: &Stage| -> Option<(String, u64, u64)> {
        let longest = stage.transactions.iter().max_by_key(|of| of.hold_us.max)?;
        let others = stage.transactions.iter().filter_map(|of| of.hold_us.p99).max()?;
        Some((longest.name.clone(), longest.hold_us.max?, others))
    };
    let far_above = |(_, longest, others): &(String, u64, u64)| {
        *longest >= HOLD_MIN_US && *longest > others.saturating_mul(HOLD_TIMES)
    };
    let (stage, (name, longest, others)) = measured(report)
        .filter_map(|stage| Some((stage, hold(stage).filter(far_above)?)))
        .max_by_key(|(_, (_, longest, _))| *longest)?;
    Some(finding(
        "leak-suspected",
        Severity::Warning,
        format!("a connection of {name} was held far longer than all others"),
        format!(
            "{:.1} s in stage {}, where 99 % of all are given back within {:.1} ms",
            longest as f64 / 1e6,
            stage.name,
            others as f64 / 1e3
        ),
        "a connection that is not given back is missing in the pool: a few of them stop the application",
        "look for the path on which it is kept: an error that is not handled, a stream that is not read to its end, a lock that is waited for",
    ))
}

fn uneven_instances(report: &Report) -> Option<Finding> {
    let spread = |stage: &Stage| -> Option<(f64, f64)> {
        let shares = || stage.pool.by_instance.iter().map(|of| of.saturated_fraction);
        Some((shares().reduce(f64::min)?, shares().reduce(f64::max)?))
    };
    let (stage, (low, high)) = measured(report)
        .filter_map(|stage| Some((stage, spread(stage)?)))
        .filter(|(_, (low, high))| high - low > UNEVEN)
        .max_by(|a, b| (a.1.1 - a.1.0).total_cmp(&(b.1.1 - b.1.0)))?;
    Some(finding(
        "uneven-instances",
        Severity::Warning,
        "some instances are short of connections while others have some to spare",
        format!(
            "in stage {} one of {} instances had all connections busy with someone waiting {:.0} % of the time, another {:.0} %",
            stage.name,
            stage.pool.by_instance.len(),
            high * 100.0,
            low * 100.0
        ),
        "a request waits where it landed, however many connections are free elsewhere",
        "spread requests by the number under way and not by turns, use fewer and larger instances, or put a pooler before the server",
    ))
}
