//! What a person should know of a pool study beside its answer.

use crate::analysis::findings::{finding, measured};
use crate::model::{Finding, PoolPoint, PoolStudy, Quantiles, Report, Severity, Stage};

/// Share of the held time without a request from which it is worth saying, and the least of it for each transaction: the generator's
/// own steps between two requests are far below.
const UNUSED_HIGH: f64 = 0.3;
const UNUSED_MIN_US: f64 = 500.0;
/// A connection takes long to make when that takes so many times as long as it is then used, and at least so long.
const CREATE_TIMES: f64 = 5.0;
const CREATE_MIN_US: f64 = 5_000.0;
/// And when it is so large a share of the time that users wait in all: one in ten thousand that is slow is nobody's concern.
const CREATE_SHARE: f64 = 0.01;
/// A hold is far above all others at so many times the time that 99 % of them take, and at least so long.
const HOLD_TIMES: u64 = 50;
const HOLD_MIN_US: u64 = 1_000_000;
/// Difference of the saturated shares of two instances that is worth saying: on average over repetitions of which each shows half of
/// it the same way round, and by a single measurement, in which a burst may fall on one of them.
const UNEVEN: f64 = 0.2;
const UNEVEN_ONCE: f64 = 0.5;
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
    let unused_us = share * point.hold_us.mean.unwrap_or(0.0);
    if unused_us < UNUSED_MIN_US {
        return None;
    }
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
        create > CREATE_MIN_US
            && create > CREATE_TIMES * mean(&stage.service_us)
            && create_share(stage) > CREATE_SHARE
    };
    let stage = measured(report)
        .filter(is_slow)
        .max_by(|a, b| mean(&a.pool.create_us).total_cmp(&mean(&b.pool.create_us)))?;
    Some(finding(
        "slow-creates",
        Severity::Warning,
        "making a connection takes much longer than using it",
        format!(
            "{} made in stage {}: {:.1} ms each on average, {:.1} ms at most; a transaction takes {:.1} ms, and {:.0} % of all response \
             time goes into making connections",
            stage.pool.creates,
            stage.name,
            mean_ms(&stage.pool.create_us),
            stage.pool.create_us.max.unwrap_or(0) as f64 / 1e3,
            mean_ms(&stage.service_us),
            create_share(stage) * 100.0
        ),
        "whoever meets a connection that must be made waits for it",
        "keep the pool at its full size, let connections live longer, and look for what breaks them",
    ))
}

/// Time in which connections were made ÷ all response time; all of it where that is not known, since something never ended.
fn create_share(stage: &Stage) -> f64 {
    let made_us = stage.pool.creates as f64 * stage.pool.create_us.mean.unwrap_or(0.0);
    let all_us = stage.response_us.mean.map(|mean| mean * stage.response_us.count as f64);
    all_us.filter(|all_us| *all_us > 0.0).map_or(1.0, |all_us| (made_us / all_us).min(1.0))
}

fn leak_suspected(report: &Report) -> Option<Finding> {
    let (stage, longest) = measured(report)
        .filter_map(|stage| Some((stage, longest_hold(stage)?)))
        .max_by_key(|(_, longest)| longest.held_us)?;
    Some(finding(
        "leak-suspected",
        Severity::Warning,
        format!("a connection of {} was held far longer than all others", longest.transaction),
        format!(
            "{:.1} s in stage {}, where 99 % of all are given back within {:.1} ms; the longest request of {} took {:.1} ms",
            longest.held_us as f64 / 1e6,
            stage.name,
            longest.others_us as f64 / 1e3,
            longest.transaction,
            longest.request_us as f64 / 1e3
        ),
        "a connection that is not given back is missing in the pool: a few of them stop the application",
        "look for the path on which it is kept: an error that is not handled, a stream that is not read to its end, a call of another \
         service",
    ))
}

/// A connection that was held far longer than all others.
struct LongHold {
    transaction: String,
    held_us: u64,
    /// Within which 99 % of all are given back.
    others_us: u64,
    /// The longest request of the transaction.
    request_us: u64,
}

/// Nothing where the server was at work for most of it: what took long then has statements, waits and locks to tell of it.
fn longest_hold(stage: &Stage) -> Option<LongHold> {
    let longest = stage.transactions.iter().max_by_key(|of| of.hold_us.max)?;
    let held_us = longest.hold_us.max?;
    let others_us = stage.transactions.iter().filter_map(|of| of.hold_us.p99).max()?;
    let statements = stage.statements.iter().filter(|of| of.transaction == longest.name);
    let requests = statements.filter_map(|of| of.execute_us.max);
    let request_us =
        requests.chain(longest.commit_us.max).chain(longest.pipeline_us.max).max().unwrap_or_default();
    let is_far_above = held_us >= HOLD_MIN_US && held_us > others_us.saturating_mul(HOLD_TIMES);
    (is_far_above && request_us < held_us / 2).then(|| LongHold {
        transaction: longest.name.clone(),
        held_us,
        others_us,
        request_us,
    })
}

fn uneven_instances(report: &Report) -> Option<Finding> {
    let (stages, (low, high)) = repetitions(report)
        .into_iter()
        .filter_map(|stages| spread(&stages).map(|spread| (stages, spread)))
        .max_by(|(_, a), (_, b)| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
    let stage = stages.first()?;
    let times =
        if stages.len() > 1 { format!(", on average of {} like it", stages.len()) } else { String::new() };
    Some(finding(
        "uneven-instances",
        Severity::Warning,
        "some instances are short of connections while others have some to spare",
        format!(
            "in stage {}{times} one of {} instances had all connections busy with someone waiting {:.0} % of the time, another {:.0} %",
            stage.name,
            stage.pool.by_instance.len(),
            high * 100.0,
            low * 100.0
        ),
        "a request waits where it landed, however many connections are free elsewhere",
        "spread requests by the number under way and not by turns, use fewer and larger instances, or put a pooler before the server",
    ))
}

/// Stages with the same pools under the same load, which repeat each other.
fn repetitions(report: &Report) -> Vec<Vec<&Stage>> {
    let pools = |stage: &Stage| (stage.pool.size, stage.pool.instances, stage.clients);
    let mut groups: Vec<Vec<&Stage>> = Vec::new();
    for stage in measured(report) {
        let is_alike = |other: &Stage| pools(other) == pools(stage) && other.load == stage.load;
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| is_alike(first))) {
            Some(group) => group.push(stage),
            None => groups.push(vec![stage]),
        }
    }
    groups
}

/// Mean saturated share of the instance that has most to spare and of the one that is shortest, where they differ by more than chance.
fn spread(stages: &[&Stage]) -> Option<(f64, f64)> {
    let instances = stages.first()?.pool.by_instance.len();
    if stages.iter().any(|stage| stage.pool.by_instance.len() != instances) {
        return None;
    }
    let at = |stage: &Stage, instance: usize| stage.pool.by_instance[instance].saturated_fraction;
    let mean =
        |instance: usize| stages.iter().map(|stage| at(stage, instance)).sum::<f64>() / stages.len() as f64;
    let (mut low, mut high) = (0, 0);
    for instance in 0..instances {
        low = if mean(instance) < mean(low) { instance } else { low };
        high = if mean(instance) > mean(high) { instance } else { high };
    }
    if low == high {
        return None;
    }
    let least = if stages.len() > 1 { UNEVEN } else { UNEVEN_ONCE };
    let in_each = stages.iter().all(|stage| at(stage, high) - at(stage, low) > UNEVEN / 2.0);
    (in_each && mean(high) - mean(low) > least).then(|| (mean(low), mean(high)))
}
