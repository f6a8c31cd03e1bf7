//! What stops a rate higher than the one that still met the goal, by what the lowest rate that missed it showed beside the lowest
//! that was measured at all.

use crate::model::{BudgetResult, CapacityLimit, Stage, Verdict};

use super::capacity::{planned_rate, say, top_wait};

/// The host has no time left to give above this.
const HOST_FULL: f64 = 0.95;
/// Share of a full machine that generator and server must use themselves before it is their limit.
const OWN_SHARE: f64 = 0.5;
/// Share of the sampled sessions that waited for locks.
const LOCKS_HIGH: f64 = 0.4;
/// A pool is short when it is saturated for this share of the time.
const SATURATED_HIGH: f64 = 0.3;
/// The server serves slower, not only later, when it takes so many times as long as at the lowest rate.
const SLOWER: f64 = 1.5;
/// Share of the response that waits in a pooler.
const POOLER_WAIT_HIGH: f64 = 0.25;
/// Unsuccessful share of transactions that is the limit itself.
const ERRORS_HIGH: f64 = 0.01;

/// What must be known beside the stages.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// Whether generator and server share a machine.
    pub(super) same_host: bool,
    /// Whether they keep to cores of their own.
    pub(super) cores_are_apart: bool,
    /// Server connections of the pooler, where there is one.
    pub(super) pooler_size: Option<u64>,
    /// The first of the errors, in words.
    pub(super) first_error: Option<&'a str>,
    /// Cores that the generator used in the stage that missed, where the kernel tells.
    pub(super) generator_cores: Option<f64>,
}

/// Names what stops `at`, a stage that missed the goal. `low` is the one with the lowest rate.
pub(super) fn limit(
    at: &Stage,
    low: Option<&Stage>,
    goals: &[BudgetResult],
    around: &Circumstances<'_>,
) -> CapacityLimit {
    let mut limit = errors(at, goals, around)
        .or_else(|| pooler(at, around))
        .or_else(|| locks(at))
        .or_else(|| host(at, around))
        .or_else(|| server(at, low))
        .or_else(|| pool(at, low))
        .unwrap_or_else(|| unknown(at));
    if limit.kind != "host_cpu"
        && let Some(others) = others(at, around)
    {
        limit.evidence += &others;
    }
    limit
}

/// The share of a full machine that generator and server use themselves; nothing where it is not full, or not shared.
fn own_share(at: &Stage, around: &Circumstances<'_>) -> Option<f64> {
    let host = at.host.as_ref().filter(|host| around.same_host && host.cpu_fraction > HOST_FULL)?;
    // Where the kernel does not tell, the machine counts as theirs.
    let own = at.processes.as_ref().zip(around.generator_cores);
    Some(own.map_or(1.0, |(server, generator)| (server.cores + generator) / f64::from(host.cores.max(1))))
}

/// That other programs filled the machine.
fn others(at: &Stage, around: &Circumstances<'_>) -> Option<String> {
    own_share(at, around).filter(|share| *share < OWN_SHARE).map(|share| {
        format!(
            "; other programs filled this machine meanwhile: generator and server used {:.0} % of its cores, and a quiet machine may \
             bear more",
            share * 100.0
        )
    })
}

fn found(kind: &str, evidence: String, remedy: impl Into<String>) -> CapacityLimit {
    CapacityLimit { kind: kind.to_owned(), evidence, remedy: remedy.into() }
}

/// At the rate that was asked for: by chance as many may have arrived as at the rate that met the goal.
fn at_rate(at: &Stage) -> String {
    planned_rate(at)
        .or(at.offered_per_s)
        .map_or_else(|| format!("in stage {}", at.name), |rate| format!("at {}/s", say(rate)))
}

fn errors(at: &Stage, goals: &[BudgetResult], around: &Circumstances<'_>) -> Option<CapacityLimit> {
    let missed = goals.iter().any(|goal| goal.metric.contains("errors") && goal.verdict == Verdict::Fail);
    let books = &at.accounting;
    let failed = books.failed + books.unknown;
    let share = failed as f64 / (failed + books.ok).max(1) as f64;
    (missed && share > ERRORS_HIGH).then(|| {
        let said = around.first_error.map_or_else(String::new, |words| format!("; first error: {words}"));
        let evidence = format!("{} {:.1} % of the transactions failed{said}", at_rate(at), share * 100.0);
        found(
            "errors",
            evidence,
            "look up the SQLSTATE under errors of that stage: what fails comes before what is slow",
        )
    })
}

fn pooler(at: &Stage, around: &Circumstances<'_>) -> Option<CapacityLimit> {
    let pooler = at.pooler.as_ref()?;
    let wait_us = pooler.work.as_ref()?.wait_us_mean;
    let response_us = at.response_us.mean?;
    (pooler.clients_waiting_mean > 1.0 && wait_us > POOLER_WAIT_HIGH * response_us).then(|| {
        let size = around.pooler_size.map_or_else(|| "its".to_owned(), |size| format!("all {size}"));
        let evidence = format!(
            "{} {:.1} clients waited in the pooler on average, {:.1} ms each, with {size} server connections in use",
            at_rate(at),
            pooler.clients_waiting_mean,
            wait_us / 1000.0
        );
        found("pooler", evidence, "give the pooler more server connections, if the server has room")
    })
}

fn locks(at: &Stage) -> Option<CapacityLimit> {
    let share: f64 =
        at.waits.iter().filter(|wait| wait.event.starts_with("Lock:")).map(|wait| wait.share).sum();
    (share > LOCKS_HIGH).then(|| {
        let worst = at.locks.episodes.first();
        let who = worst.map_or_else(String::new, |episode| {
            let relation = episode.relation.as_ref().map_or_else(String::new, |name| format!(" on {name}"));
            format!(", most of it for {}{relation}", episode.root)
        });
        let evidence =
            format!("{} {:.0} % of the active sessions waited for locks{who}", at_rate(at), share * 100.0);
        found(
            "locks",
            evidence,
            "hold the lock for shorter, take it later, or spread the row: more connections only queue for it",
        )
    })
}

fn host(at: &Stage, around: &Circumstances<'_>) -> Option<CapacityLimit> {
    let host = at.host.as_ref().filter(|_| around.same_host && !around.cores_are_apart)?;
    let is_own = own_share(at, around).is_some_and(|share| share >= OWN_SHARE);
    is_own.then(|| {
        let server = at.processes.as_ref().map_or_else(String::new, |of| format!(", the server on {:.1} of them", of.cores));
        let evidence = format!(
            "{} {:.0} % of the machine's {} cores were busy{server}; generator and server share them",
            at_rate(at),
            host.cpu_fraction * 100.0,
            host.cores
        );
        found(
            "host_cpu",
            evidence,
            "faster statements, or more cores; on a server of its own the rate is higher (--client-cpus and --server-cpus keep the two apart)",
        )
    })
}

fn server(at: &Stage, low: Option<&Stage>) -> Option<CapacityLimit> {
    let (now_us, before_us) = (at.service_us.mean?, low?.service_us.mean?);
    (now_us > SLOWER * before_us).then(|| {
        let top = top_wait(at);
        let wait = top.map_or_else(String::new, |wait| {
            format!("; of the active sessions {:.0} % were in {}", wait.share * 100.0, wait.event)
        });
        let evidence = format!(
            "{} the server took {:.1} ms for a transaction, {:.1} ms at the lowest rate{wait}",
            at_rate(at),
            now_us / 1000.0,
            before_us / 1000.0
        );
        found(
            "server",
            evidence,
            "what the sessions wait for is what to widen; a larger pool would add to it",
        )
    })
}

fn pool(at: &Stage, low: Option<&Stage>) -> Option<CapacityLimit> {
    let pool = &at.pool;
    (pool.saturated_fraction > SATURATED_HIGH && at.achieved_per_s > 0.0).then(|| {
        let connections = f64::from(pool.size * pool.instances.max(1));
        // Little's law: connections that are busy on average, by how many end a second.
        let hold_us = pool.busy_mean / at.achieved_per_s * 1e6;
        let room = low.and_then(|low| low.service_us.mean).map_or_else(String::new, |us| {
            format!(", about as at the lowest rate ({:.1} ms)", us / 1000.0)
        });
        let evidence = format!(
            "{} all connections were busy with someone waiting {:.0} % of the time; a transaction holds one for {:.1} ms{room}, so that \
             {connections:.0} carry {} a second at most",
            at_rate(at),
            pool.saturated_fraction * 100.0,
            hold_us / 1000.0,
            say(connections * 1e6 / hold_us)
        );
        found("pool", evidence, "a larger pool, as long as the server has room: dbdyno pool finds the size")
    })
}

fn unknown(at: &Stage) -> CapacityLimit {
    let top = top_wait(at);
    let wait = top.map_or_else(
        || "nobody looked at the server".to_owned(),
        |wait| format!("the active sessions were mostly in {} ({:.0} %)", wait.event, wait.share * 100.0),
    );
    let evidence = format!(
        "{} neither the pool, locks, nor the machine was full: {wait}; the goal may lie close to what a single transaction takes",
        at_rate(at)
    );
    found("unknown", evidence, "look at the slowest statements of that stage (--full)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostInfo, PoolInfo, Quantiles, ServerProcessInfo, WaitShare};

    const AROUND: Circumstances<'_> = Circumstances {
        same_host: true,
        cores_are_apart: false,
        pooler_size: None,
        first_error: None,
        generator_cores: None,
    };

    fn stage(service_ms: f64, busy: f64, saturated: f64, cpu: f64) -> Stage {
        let us = |ms: f64| Quantiles { count: 100, mean: Some(ms * 1e3), ..Quantiles::default() };
        let pool = PoolInfo {
            size: 4,
            instances: 1,
            busy_mean: busy,
            saturated_fraction: saturated,
            ..PoolInfo::default()
        };
        let host = HostInfo {
            cpu_fraction: cpu,
            iowait_fraction: 0.0,
            steal_fraction: 0.0,
            cores: 2,
            traffic: None,
            memory_available_bytes_min: None,
        };
        Stage {
            name: "200/s".to_owned(),
            offered_per_s: Some(200.0),
            achieved_per_s: busy / service_ms * 1e3,
            service_us: us(service_ms),
            response_us: us(service_ms * 2.0),
            pool,
            host: Some(host),
            ..Stage::default()
        }
    }

    fn wait(event: &str, share: f64) -> WaitShare {
        WaitShare { event: event.to_owned(), count: 10, share, sessions_mean: 2.0 }
    }

    #[test]
    fn a_full_pool_before_an_idle_server_is_the_pool() {
        let low = stage(20.0, 0.4, 0.0, 0.2);
        let found = limit(&stage(20.5, 3.95, 0.9, 0.3), Some(&low), &[], &AROUND);
        assert_eq!(found.kind, "pool");
        // Four connections, 20.5 ms each.
        assert!(found.evidence.contains("195 a second"), "{}", found.evidence);
    }

    #[test]
    fn a_server_that_slows_down_is_the_server_although_the_pool_is_full() {
        let low = stage(20.0, 0.4, 0.0, 0.2);
        let mut at = stage(45.0, 4.0, 0.9, 0.5);
        at.waits = vec![wait("IO:DataFileRead", 0.8)];
        let found = limit(&at, Some(&low), &[], &AROUND);
        assert_eq!(found.kind, "server");
        assert!(found.evidence.contains("IO:DataFileRead"), "{}", found.evidence);
    }

    #[test]
    fn locks_and_a_full_host_come_before_what_they_cause() {
        let low = stage(20.0, 0.4, 0.0, 0.2);
        let mut at = stage(45.0, 4.0, 0.9, 0.99);
        assert_eq!(limit(&at, Some(&low), &[], &AROUND).kind, "host_cpu");
        let apart = Circumstances { cores_are_apart: true, ..AROUND };
        assert_eq!(limit(&at, Some(&low), &[], &apart).kind, "server");
        at.waits = vec![wait("Lock:transactionid", 0.7)];
        assert_eq!(limit(&at, Some(&low), &[], &AROUND).kind, "locks");
    }

    #[test]
    fn a_machine_that_others_fill_is_a_remark_and_not_the_limit() {
        let low = stage(20.0, 0.4, 0.0, 0.2);
        let mut at = stage(20.5, 3.95, 0.9, 1.0);
        at.processes =
            Some(ServerProcessInfo { cores: 0.1, pool_cores: 0.1, probe_cores: 0.0, pool_runnable: 0.0 });
        let around = Circumstances { generator_cores: Some(0.1), ..AROUND };
        let found = limit(&at, Some(&low), &[], &around);
        assert_eq!(found.kind, "pool");
        assert!(found.evidence.contains("other programs"), "{}", found.evidence);
        let around = Circumstances { generator_cores: Some(1.5), ..AROUND };
        assert_eq!(limit(&at, Some(&low), &[], &around).kind, "host_cpu");
    }

    #[test]
    fn where_nothing_is_full_that_is_said() {
        assert_eq!(limit(&stage(20.0, 1.0, 0.0, 0.2), None, &[], &AROUND).kind, "unknown");
    }
}
