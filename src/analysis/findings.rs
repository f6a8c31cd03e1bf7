//! What a person should know, each with its condition, evidence, effect and remedy. An id is stable: scripts may look for it.

use crate::model::{
    BreakReason, EnvironmentInfo, Finding, GeneratorInfo, Report, Severity, Stage, StageLoad, catalogue,
};
use crate::units::CpuList;

use super::lock_findings;
use super::locks::is_own;

/// A worker thread that works or wants to work for this share of the time has no time left: it is the limit of what it drives.
const WORKER_FULL: f64 = 0.9;
/// The host has no time left to give above this.
const HOST_FULL: f64 = 0.95;
/// Time that a hypervisor takes away before it is worth saying.
const STEAL_HIGH: f64 = 0.05;
/// A pool is short when it is saturated for this share of the time.
const SATURATED_HIGH: f64 = 0.5;
/// Share of the sampled sessions that make a wait for locks worth saying.
const LOCK_SHARE_HIGH: f64 = 0.2;
/// Unsuccessful share of transactions that is worth saying.
const ERRORS_HIGH: f64 = 0.01;
/// Share of the offered rate below which the system did not keep up.
const KEPT_UP: f64 = 0.98;
/// A start this late is worth a word.
const LATE_US: u64 = 1_000;
/// A wait for a foreign session below this is what every shared server has.
pub(super) const FOREIGN_WAIT_MIN_US: u64 = 100_000;
/// Executions that must have found nothing before it is said that a statement finds nothing.
const EMPTY_MIN: u64 = 20;

/// All findings of a report, the gravest first.
pub(super) fn find(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(generator_bound(report));
    findings.extend(measurement_inconsistent(report));
    findings.extend(target_lost(report));
    findings.extend(cut_off(report));
    findings.extend(stopped_early(report));
    findings.extend(connections_failed(report));
    findings.extend(not_steady(report));
    findings.extend(host_full(report));
    findings.extend(breaks(report));
    findings.extend(not_kept_up(report));
    findings.extend(errors(report));
    if report.study.is_none() {
        findings.extend(pool_too_small(report));
    }
    findings.extend(super::scalability::findings::find(report));
    findings.extend(super::migration::advice::find(report));
    findings.extend(super::pooler_findings::find(report));
    findings.extend(lock_findings::find(report));
    findings.extend(lock_hot_spot(report));
    findings.extend(foreign_blocker(report));
    if report.migration.is_some() {
        // What the migration's own session did is told of by its statements.
        const TOLD: [&str; 3] = ["queue-behind-ddl", "foreign-blocker", "idle-in-transaction-blocker"];
        let is_its_own = |finding: &Finding| {
            finding.title.contains("dbdyno migration") || finding.evidence.contains("dbdyno migration")
        };
        findings.retain(|finding| !TOLD.contains(&finding.id.as_str()) || !is_its_own(finding));
    }
    findings.extend(finds_nothing(report));
    findings.extend(super::slowdowns::find(report));
    findings.extend(super::server_findings::find(report));
    findings.extend(super::plans::findings(report));
    findings.extend(super::resource_findings::find(report));
    findings.extend(steal(report));
    findings.extend(blind(report));
    findings.extend(probe_gaps(report));
    // Of equals what a migration did stands first: that is what was asked.
    findings.sort_by_key(|finding| (finding.severity, !finding.id.starts_with("migration-")));
    findings
}

/// Why the generator was the limit, if it was.
pub(super) fn generator_limit(generator: &GeneratorInfo) -> Option<String> {
    let works = generator.busiest_worker_fraction?;
    let waits = generator.run_queue_fraction.unwrap_or(0.0);
    if works > WORKER_FULL {
        return Some(format!("a worker thread of the generator was busy {:.0} % of the time", works * 100.0));
    }
    (works + waits > WORKER_FULL).then(|| {
        format!(
            "a worker thread of the generator had no rest: it worked {:.0} % of the time and {} for {:.0} %",
            works * 100.0,
            if generator.gives_way { "gave way to others" } else { "was kept from a core" },
            waits * 100.0
        )
    })
}

/// One finding, of a kind that the catalogue has.
pub(super) fn finding(
    id: &str,
    severity: Severity,
    title: impl Into<String>,
    evidence: impl Into<String>,
    effect: &str,
    remedy: impl Into<String>,
) -> Finding {
    debug_assert!(catalogue::entry(id).is_some(), "finding `{id}` has no entry in src/model/catalogue");
    Finding {
        id: id.to_owned(),
        severity,
        title: title.into(),
        evidence: evidence.into(),
        effect: effect.to_owned(),
        remedy: remedy.into(),
    }
}

pub(super) fn measured(report: &Report) -> impl Iterator<Item = &Stage> {
    report.stages.iter().filter(|stage| stage.measured)
}

fn generator_bound(report: &Report) -> Option<Finding> {
    let reason = report.generator.reason.clone()?;
    Some(finding(
        "generator-bound",
        Severity::Invalid,
        "the generator was the limit, not the database",
        reason,
        "latencies include the generator's own delays, and throughput is what it could send",
        "give it more threads (--threads with --instances), fewer clients, or a machine of its own",
    ))
}

fn measurement_inconsistent(report: &Report) -> Option<Finding> {
    let broken: Vec<String> = report
        .stages
        .iter()
        .flat_map(|stage| stage.checks.iter().map(move |check| (stage, check)))
        .filter(|(_, check)| !check.holds)
        .map(|(stage, check)| {
            format!("{}: {} differ ({:.3} and {:.3})", stage.name, check.what, check.left, check.right)
        })
        .collect();
    (!broken.is_empty()).then(|| {
        finding(
            "measurement-inconsistent",
            Severity::Invalid,
            "two ways of measuring the same thing disagree",
            broken.join("; "),
            "the numbers of these stages cannot be trusted",
            "this is a defect of dbdyno: please report it with the journal of the run",
        )
    })
}

fn target_lost(report: &Report) -> Option<Finding> {
    let at = report.events.iter().find(|event| event.kind == "target_lost")?;
    Some(finding(
        "target-lost",
        Severity::Invalid,
        "the target went away during the run and did not come back",
        format!("{} (at {:.1} s)", at.message, at.t_s),
        "everything after that moment measures its absence",
        "look into the server's log; what was measured before stands in the timeline",
    ))
}

fn cut_off(report: &Report) -> Option<Finding> {
    (report.ended == "cut_off").then(|| {
        finding(
            "cut-off",
            Severity::Warning,
            "the run was cut off: its journal has no end",
            "the report holds every second that was written before dbdyno or its machine stopped",
            "the last second, the drain and the server's final counters are missing",
            "run it again for a whole measurement",
        )
    })
}

fn not_steady(report: &Report) -> Option<Finding> {
    let warm_ups = || report.stages.iter().filter_map(|stage| Some((stage, stage.warm_up.as_ref()?)));
    let unsteady: Vec<_> = warm_ups().filter(|(_, warm_up)| !warm_up.steady).collect();
    let (first, warm_up) = unsteady.first()?;
    let waits_for = |what: &str| unsteady.iter().any(|(_, w)| w.waits_for.iter().any(|wait| wait == what));
    let mut reasons = Vec::new();
    if waits_for("response") {
        reasons.push("response times still changed".to_owned());
    }
    if waits_for("answers") {
        reasons.push("there were too few answers to tell".to_owned());
    }
    if waits_for("connections") {
        reasons.push("connections were still being made".to_owned());
    }
    if waits_for("plans") {
        let names = warm_up.unsettled_statements.join(", ");
        reasons.push(format!(
            "not every connection had executed {names} often enough for the plan to be settled"
        ));
    }
    let place = if unsteady.len() == 1 {
        first.name.clone()
    } else {
        format!("{} and in {} of {} warm-ups in all", first.name, unsteady.len(), warm_ups().count())
    };
    let remedy = if waits_for("response") {
        "give it longer (--warmup-max), or look for what never rests: a backlog (offer less), tables that grow, a checkpoint \
         that never ends"
    } else {
        "give it longer (--warmup-max), or more load"
    };
    Some(finding(
        "no-steady-state",
        Severity::Warning,
        format!("no steady state within {:.0} s of warm-up", warm_up.limit_s),
        format!("{place}: {}", reasons.join("; ")),
        "what was measured behind it depends on when and how long it was measured",
        remedy,
    ))
}

fn breaks(report: &Report) -> Option<Finding> {
    let endurance = report.endurance.as_ref()?;
    let breaking = endurance.breaking_point.as_ref()?;
    let level = |load: &StageLoad| match (load.offered_per_s, load.clients) {
        (Some(offered), _) => format!("{offered:.0}/s"),
        (None, Some(clients)) => format!("{clients} clients"),
        (None, None) => "its load".to_owned(),
    };
    let effect = match breaking.reason {
        BreakReason::BacklogGrows => {
            "from there on response times have no steady value: they grow for as long as the load lasts"
        }
        BreakReason::LoadShed => "from there on part of the work is not done at all",
        BreakReason::BudgetBroken => "from there on users wait longer, or fail more often, than they should",
    };
    let remedy = match &endurance.held {
        Some(held) => format!(
            "{} (stage {}) was borne: plan below it, or look in stage {} for what was waited for",
            level(held),
            held.stage,
            breaking.load.stage
        ),
        None => format!("begin lower than {} to find what is borne", level(&breaking.load)),
    };
    Some(finding(
        "breaking-point",
        Severity::Warning,
        format!("the system breaks in stage {}, at {}", breaking.load.stage, level(&breaking.load)),
        breaking.evidence.clone(),
        effect,
        remedy,
    ))
}

fn host_full(report: &Report) -> Option<Finding> {
    // Cores that are kept apart are full of one of the two, and the numbers are its own.
    if !report.target.same_host || cores_are_apart(&report.environment) {
        return None;
    }
    let full = measured(report)
        .filter_map(|stage| Some((stage, stage.host.as_ref()?)))
        .filter(|(_, host)| host.cpu_fraction > HOST_FULL)
        .max_by(|a, b| a.1.cpu_fraction.total_cmp(&b.1.cpu_fraction))?;
    Some(finding(
        "host-full",
        Severity::Warning,
        "generator and server filled the cores that they share",
        format!(
            "{:.0} % of {} cores busy in stage {}",
            full.1.cpu_fraction * 100.0,
            full.1.cores,
            full.0.name
        ),
        "throughput and tail latencies are those of this arrangement, not of the server alone",
        "run dbdyno on another machine than the server, keep them to cores of their own (--client-cpus, --server-cpus), or \
         offer less load (--rate)",
    ))
}

/// Whether generator and server kept to processors that the other did not have.
pub(super) fn cores_are_apart(environment: &EnvironmentInfo) -> bool {
    let read = |text: &Option<String>| text.as_ref()?.parse::<CpuList>().ok();
    match (read(&environment.client_cpus), read(&environment.server_cpus)) {
        (Some(client), Some(server)) => client.without(&server).as_ref() == Some(&client),
        _ => false,
    }
}

fn not_kept_up(report: &Report) -> Option<Finding> {
    let breaking = report.endurance.as_ref().and_then(|endurance| endurance.breaking_point.as_ref());
    if breaking.is_some_and(|breaking| breaking.reason != BreakReason::BudgetBroken) {
        // That finding says the same, and of the first stage.
        return None;
    }
    if report.study.is_some() {
        // A study has sizes that are too small for their rate, and says which.
        return None;
    }
    let (stage, offered) = measured(report)
        .filter_map(|stage| Some((stage, stage.offered_per_s?)))
        .filter(|(stage, offered)| stage.duration_s >= 1.0 && stage.achieved_per_s < KEPT_UP * offered)
        .min_by(|a, b| (a.0.achieved_per_s / a.1).total_cmp(&(b.0.achieved_per_s / b.1)))?;
    // Late starts with connections to spare are the limit that the user set, not the system's.
    let late = stage.lag_us.p90.is_some_and(|lag| lag > LATE_US);
    let spare = stage.pool.busy_mean < 0.9 * f64::from(stage.pool.size * stage.pool.instances);
    let remedy = if late && spare {
        "transactions started late with connections to spare: raise --in-flight-max"
    } else {
        "dbdyno capacity finds the highest rate that is kept and what stops a higher one; below it response times have a steady \
         value"
    };
    Some(finding(
        "rate-not-reached",
        Severity::Warning,
        format!("the offered rate is not kept in stage {}", stage.name),
        format!(
            "{:.0}/s achieved of {offered:.0}/s offered; {} given up or left over at the end",
            stage.achieved_per_s,
            stage.accounting.skipped + stage.accounting.abandoned + stage.accounting.carried_out
        ),
        if stage.load.as_ref().is_some_and(|load| load.max_lag().is_some()) {
            "what is too late is skipped: who is served is served in time, and the others are not served"
        } else {
            "a backlog grows as long as the load lasts, and response times with it: they have no steady value"
        },
        remedy,
    ))
}

fn connections_failed(report: &Report) -> Option<Finding> {
    let failed: u64 = measured(report).map(|stage| stage.pool.create_errors).sum();
    if failed == 0 || report.ended == "target_lost" {
        return None;
    }
    let said = first_error(report);
    Some(finding(
        "connections-failed",
        Severity::Warning,
        format!("{failed} attempts to connect failed during the measurement"),
        format!("the pool had to replace connections and could not{said}"),
        "for part of the time there was no server to measure, or no room on it",
        "look into the server's log; with SQLSTATE 53300 make the pool smaller or raise max_connections",
    ))
}

fn stopped_early(report: &Report) -> Option<Finding> {
    let failed = report.events.iter().find(|event| event.kind == "failed")?;
    Some(finding(
        "stopped-early",
        Severity::Warning,
        "the rest could not be measured",
        format!("{} (at {:.1} s)", failed.message, failed.t_s),
        "the report holds what was measured before",
        "remove the cause and run it again",
    ))
}

fn errors(report: &Report) -> Option<Finding> {
    let mut codes: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    let (mut ended, mut bad) = (0, 0);
    for stage in measured(report) {
        let books = stage.accounting;
        let not_ok = books.failed + books.unknown + books.skipped + books.abandoned;
        bad += not_ok;
        ended += not_ok + books.ok;
        for (code, count) in stage.transactions.iter().flat_map(|transaction| &transaction.errors) {
            *codes.entry(code).or_default() += count;
        }
        // No error of the server, and yet nothing that a user would call served.
        for (what, count) in [("skipped", books.skipped), ("abandoned", books.abandoned)] {
            if count > 0 {
                *codes.entry(what).or_default() += count;
            }
        }
    }
    if ended == 0 || (bad as f64) < ERRORS_HIGH * ended as f64 {
        return None;
    }
    let mut codes: Vec<_> = codes.into_iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let list: Vec<_> = codes.iter().take(4).map(|(code, count)| format!("{code} × {count}")).collect();
    let said = first_error(report);
    Some(finding(
        "errors",
        Severity::Warning,
        format!("{:.1} % of the transactions did not end well", bad as f64 / ended as f64 * 100.0),
        format!("{}{said}", list.join(", ")),
        "users see errors, and failed work makes throughput and latencies of the rest look better than they are",
        "look the SQLSTATE up in the server's manual; the events of this report hold the server's words",
    ))
}

/// The words of the first error, to be appended to what was counted.
fn first_error(report: &Report) -> String {
    let said = report.events.iter().find(|event| event.kind == "first_error");
    said.map_or_else(String::new, |event| format!("; first error: {}", event.message))
}

fn pool_too_small(report: &Report) -> Option<Finding> {
    let mean = |quantiles: &crate::model::Quantiles| quantiles.mean.unwrap_or(0.0);
    let stage = measured(report)
        .filter(|stage| stage.pool.saturated_fraction > SATURATED_HIGH)
        .filter(|stage| mean(&stage.pool.wait_us) > mean(&stage.service_us))
        .max_by(|a, b| a.pool.saturated_fraction.total_cmp(&b.pool.saturated_fraction))?;
    // With the cores full or the sessions queueing on locks, more connections only queue elsewhere. The cores of another
    // machine are not seen; there the study that the remedy names tells.
    let host_full =
        report.target.same_host && stage.host.as_ref().is_none_or(|host| host.cpu_fraction > HOST_FULL);
    if host_full || lock_share(stage) > 0.5 {
        return None;
    }
    let room =
        if report.target.same_host { "although the server has room" } else { "longer than they are served" };
    let size = stage.pool.size;
    Some(finding(
        "pool-too-small",
        Severity::Warning,
        format!("a pool of {size} keeps requests waiting {room}"),
        format!(
            "in stage {} all connections were busy with someone waiting {:.0} % of the time, {:.1} waiting on average; pool wait \
             {:.1} ms, service {:.1} ms on average",
            stage.name,
            stage.pool.saturated_fraction * 100.0,
            stage.pool.waiting_mean,
            mean(&stage.pool.wait_us) / 1000.0,
            mean(&stage.service_us) / 1000.0,
        ),
        "response time is mostly waiting for a connection",
        format!(
            "measure larger pools: dbdyno pool -w … -t … --sizes {size},{},{}; up to the knee throughput grows with them, and at \
             most the {:.1} ms of pool wait are won",
            size.saturating_mul(2),
            size.saturating_mul(4),
            mean(&stage.pool.wait_us) / 1000.0,
        ),
    ))
}

/// Share of the sampled sessions of the pool that waited for a lock.
fn lock_share(stage: &Stage) -> f64 {
    stage.waits.iter().filter(|wait| wait.event.starts_with("Lock:")).map(|wait| wait.share).sum()
}

fn lock_hot_spot(report: &Report) -> Option<Finding> {
    let (stage, worst) = measured(report)
        .filter(|stage| lock_share(stage) > LOCK_SHARE_HIGH)
        .filter_map(|stage| Some((stage, stage.locks.episodes.iter().find(|episode| is_own(&episode.root))?)))
        .max_by(|a, b| lock_share(a.0).total_cmp(&lock_share(b.0)))?;
    let relation = worst.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
    Some(finding(
        "lock-hot-spot",
        Severity::Warning,
        format!("{} holds up {}{relation}", worst.root, worst.waiter),
        format!(
            "{:.0} % of the sampled sessions of stage {} waited for locks; this pair {} times, {:.1} s in all, {:.0} ms at most; \
             the blocker was {}",
            lock_share(stage) * 100.0,
            stage.name,
            worst.count,
            worst.wait_us_total as f64 / 1e6,
            worst.wait_us_max as f64 / 1e3,
            worst.root_state
        ),
        "these transactions run one after the other: more connections make the queue longer, not faster",
        format!(
            "take the lock later in the transaction, hold it shorter (no application time before COMMIT), or spread the row; at \
             most the {:.0} % of the sessions' time that is spent in locks is won",
            lock_share(stage) * 100.0
        ),
    ))
}

fn foreign_blocker(report: &Report) -> Option<Finding> {
    let (stage, episode) = measured(report)
        .flat_map(|stage| stage.locks.episodes.iter().map(move |episode| (stage, episode)))
        .filter(|(_, episode)| is_own(&episode.waiter) && !lock_findings::tells_of(episode))
        .filter(|(_, episode)| episode.root.ends_with("(foreign)") && !episode.root.starts_with("(ended)"))
        .filter(|(_, episode)| episode.wait_us_max >= FOREIGN_WAIT_MIN_US)
        .max_by_key(|(_, episode)| episode.wait_us_total)?;
    Some(finding(
        "foreign-blocker",
        Severity::Warning,
        format!("a session outside the workload blocked {}", episode.waiter),
        format!(
            "{}, {}, held up {} waits for {:.1} s in all in stage {}",
            episode.root,
            episode.root_state,
            episode.count,
            episode.wait_us_total as f64 / 1e6,
            stage.name
        ),
        "part of the measured latency is not the workload's own",
        if lock_findings::is_postgres(report) {
            "end that session, or give it idle_in_transaction_session_timeout and lock_timeout: such a wait then ends with the \
             timeout at the latest"
        } else {
            "end that session, or give it idle_transaction_timeout (wait_timeout on MySQL) and lock_wait_timeout: such a wait \
             then ends with the timeout at the latest"
        },
    ))
}

fn finds_nothing(report: &Report) -> Option<Finding> {
    let mut executed: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for statement in measured(report)
        .flat_map(|stage| &stage.statements)
        .filter(|statement| statement.count >= EMPTY_MIN && statement.empty == statement.count)
        .filter(|statement| statement.kind != "other")
    {
        let name = format!("{}.{}", statement.transaction, statement.name);
        *executed.entry(name).or_default() += statement.count;
    }
    let said: Vec<String> =
        executed.iter().map(|(name, count)| format!("{name}: no row in {count} executions")).collect();
    (!said.is_empty()).then(|| {
        finding(
            "finds-nothing",
            Severity::Warning,
            "statements that never found or changed a row",
            said.join(", "),
            "a statement that finds nothing is cheaper than the one it stands for: its latency means little",
            "check its parameters against the data: dbdyno load writes what the workload describes",
        )
    })
}

fn steal(report: &Report) -> Option<Finding> {
    let share = report.generator.steal_fraction.filter(|share| *share > STEAL_HIGH)?;
    Some(finding(
        "steal-time",
        Severity::Warning,
        "a hypervisor took time away from this machine",
        format!("{:.0} % of its time", share * 100.0),
        "latencies hold pauses that neither the database nor the generator caused",
        "repeat on a machine of its own, and compare only runs that alternate",
    ))
}

fn blind(report: &Report) -> Option<Finding> {
    let spots = &report.target.blind_spots;
    (!spots.is_empty()).then(|| {
        finding(
            "blind-spots",
            Severity::Info,
            "part of the server's evidence could not be seen",
            spots.join("; "),
            "the report has gaps where this evidence would stand",
            "dbdyno doctor -t … names the command for each",
        )
    })
}

fn probe_gaps(report: &Report) -> Option<Finding> {
    let gaps: Vec<_> = report
        .probes
        .iter()
        .filter(|probe| probe.gaps > 0 && probe.gaps * 20 > probe.queries)
        .map(|probe| {
            let why = probe.last_error.as_ref().map_or_else(String::new, |error| format!(" (last: {error})"));
            format!("{}: {} of {}{why}", probe.name, probe.gaps, probe.queries + probe.gaps)
        })
        .collect();
    (!gaps.is_empty()).then(|| {
        finding(
            "probe-gaps",
            Severity::Info,
            "probes missed more than one look in twenty",
            gaps.join("; "),
            "waits and locks are sampled more thinly than stated",
            "look less often (--probe-interval), or give the machine more room",
        )
    })
}
