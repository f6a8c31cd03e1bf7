//! The bottom of the page: whether the measurement can be trusted, what it cost, where it was made, and how to repeat it.

use std::collections::BTreeSet;

use super::endurance;
use super::page::{INDENT, Page, Style};
use super::pooler;
use super::value::{plural, times};
use crate::model::{
    Accounting, DataInfo, EventInfo, FloorInfo, GeneratorInfo, PoolerInfo, ProbeInfo, Report, SessionInfo,
    Stage, TableChangesInfo,
};
use crate::report::format::{NBSP, bytes, count, decimal, duration_us, per_call, percent, whole_us};
use crate::units::Protocol;

/// Events that a summary shows.
const EVENTS_SHOWN: usize = 5;

/// What happened on the way.
pub(super) fn events(page: &mut Page, events: &[EventInfo], full: bool) {
    if events.is_empty() {
        return;
    }
    let shown = if full { events.len() } else { events.len().min(EVENTS_SHOWN) };
    let note = if shown < events.len() {
        format!("the first {shown} of {}; --full shows all", events.len())
    } else {
        "since the run began".to_owned()
    };
    page.heading("events", &note);
    for event in events.iter().take(shown) {
        let times = if event.count > 1 { format!(" (× {})", count(event.count)) } else { String::new() };
        page.fact(&duration_us(event.t_s * 1e6), &format!("{}{times}", event.message));
    }
}

/// Books, self-tests, generator, probes, environment, and the command.
pub(super) fn section(page: &mut Page, report: &Report, full: bool) {
    page.heading("measurement", "whether it can be trusted, and how to repeat it");
    books(page, report, full);
    checks(page, report);
    endurance::warm_ups(page, &report.stages);
    if !report.stages.is_empty() {
        generator(page, &report.generator);
    }
    probes(page, &report.probes, full);
    for blind_spot in &report.target.blind_spots {
        page.labelled(INDENT, "not seen", Style::Caution, blind_spot);
    }
    if let Some(data) = &report.data {
        page.fact("data", &data_state(data, full));
        if data.source_statistics {
            page.fact(
                "planner",
                "plans follow the statistics of the source, which were attached to this copy",
            );
        }
    }
    if full || report.sessions != SessionInfo::default() {
        page.fact("sessions", &sessions(&report.sessions, report.pooler.as_ref()));
    }
    if full && let Some(of) = &report.pooler {
        pooler::settings(page, of);
    }
    environment(page, report, full);
    page.fact("seed", &format!("{}, workload {}", report.seed, report.workload.fingerprint));
    page.command("repeat", &report.command);
}

/// The books of all stages together where each of them balances, else of each.
fn books(page: &mut Page, report: &Report, full: bool) {
    let stages: Vec<&Stage> = report.stages.iter().filter(|stage| full || stage.measured).collect();
    let all_balance = stages.iter().all(|stage| stage.accounting.balanced);
    match stages.as_slice() {
        [] => {}
        [only] if all_balance => page.fact("books", &format!("balance: {}", equation(&only.accounting))),
        _ if all_balance => {
            let none = Accounting { balanced: true, ..Accounting::default() };
            let sum = stages.iter().fold(none, |sum, stage| added(&sum, &stage.accounting));
            let text = format!("balance in each of {} stages: {}", stages.len(), equation(&sum));
            page.fact("books", &text);
        }
        _ => {
            for stage in stages {
                let (style, state) = if stage.accounting.balanced {
                    (Style::Plain, "balance")
                } else {
                    (Style::Bad, "DO NOT BALANCE")
                };
                let text = format!("{}: {state}: {}", stage.name, equation(&stage.accounting));
                page.labelled(INDENT, "books", style, &text);
            }
        }
    }
}

fn added(a: &Accounting, b: &Accounting) -> Accounting {
    Accounting {
        carried_in: a.carried_in + b.carried_in,
        issued: a.issued + b.issued,
        ok: a.ok + b.ok,
        failed: a.failed + b.failed,
        unknown: a.unknown + b.unknown,
        skipped: a.skipped + b.skipped,
        abandoned: a.abandoned + b.abandoned,
        carried_out: a.carried_out + b.carried_out,
        retried: a.retried + b.retried,
        balanced: a.balanced && b.balanced,
    }
}

/// `12 034 issued = 12 030 ok + 4 failed`: what is zero is left out, except for the two ends.
fn equation(books: &Accounting) -> String {
    let side = |terms: &[(u64, &str)], always: &str| {
        let shown = terms.iter().filter(|(number, what)| *number > 0 || *what == always);
        shown.map(|(number, what)| format!("{}{NBSP}{what}", count(*number))).collect::<Vec<_>>().join(" + ")
    };
    let begun = side(&[(books.carried_in, "carried in"), (books.issued, "issued")], "issued");
    let ended = side(
        &[
            (books.ok, "ok"),
            (books.failed, "failed"),
            (books.unknown, "unknown"),
            (books.skipped, "skipped"),
            (books.abandoned, "abandoned"),
            (books.carried_out, "carried out"),
        ],
        "ok",
    );
    let sign = if books.balanced { "=" } else { "≠" };
    let retried =
        if books.retried > 0 { format!("; {} further tries", count(books.retried)) } else { String::new() };
    format!("{begun} {sign} {ended}{retried}")
}

fn checks(page: &mut Page, report: &Report) {
    let checks: Vec<_> = report.stages.iter().flat_map(|stage| &stage.checks).collect();
    if checks.is_empty() {
        return;
    }
    let holding = checks.iter().filter(|check| check.holds).count();
    let all = checks.len();
    if holding == all {
        let names: BTreeSet<String> = checks.iter().map(|check| check.name.replace('_', " ")).collect();
        let names: Vec<String> = names.into_iter().collect();
        page.fact("self-tests", &format!("all {all} hold ({})", names.join(", ")));
        return;
    }
    page.fact("self-tests", &format!("{holding} of {all} hold"));
    for check in checks.iter().filter(|check| !check.holds) {
        let text = format!("{}: {} against {}", check.what, decimal(check.left, 2), decimal(check.right, 2));
        page.labelled(INDENT, "", Style::Bad, &text);
    }
}

fn generator(page: &mut Page, generator: &GeneratorInfo) {
    let known = |value: Option<f64>, what: &str| value.map(|value| format!("{what}{NBSP}{}", percent(value)));
    let mut workers = plural(u64::from(generator.workers), "worker");
    if generator.gives_way {
        workers += if generator.workers == 1 { " that gives way" } else { " that give way" };
    }
    let mut parts = vec![workers];
    parts.extend(known(generator.cpu_fraction, "CPU"));
    parts.extend(known(generator.busiest_worker_fraction, "busiest"));
    parts.extend(known(generator.run_queue_fraction, "without a core"));
    parts.extend(known(generator.steal_fraction, "stolen"));
    parts.extend(
        generator.cpu_us_per_transaction.map(|us| format!("{} of CPU a transaction", duration_us(us))),
    );
    parts.extend(generator.floor.as_ref().and_then(against_floor));
    parts.extend(generator.resident_bytes_max.map(|size| format!("{} of memory", bytes(size))));
    let style = if generator.valid { Style::Plain } else { Style::Bad };
    page.labelled(INDENT, "generator", style, &parts.join(" · "));
    if generator.wake_lateness_us.count > 0 {
        page.fact("timer", &format!("woke late by {}", times(&generator.wake_lateness_us)));
    }
}

/// `7.6 × the floor of 4.10 µs`.
fn against_floor(floor: &FloorInfo) -> Option<String> {
    let times = floor.cpu_ratio?;
    Some(format!("{}{NBSP}× the floor of {}", per_call(times), duration_us(floor.cpu_us_per_transaction)))
}

fn probes(page: &mut Page, probes: &[ProbeInfo], full: bool) {
    if probes.is_empty() {
        page.fact("probes", "none: the server was not watched");
        return;
    }
    let queries: u64 = probes.iter().map(|probe| probe.queries).sum();
    let gaps: u64 = probes.iter().map(|probe| probe.gaps).sum();
    let busy: f64 = probes.iter().map(|probe| probe.busy_fraction).sum();
    let text = format!(
        "{} queries took {} of the time of one connection; {}",
        count(queries),
        percent(busy),
        if gaps == 0 { "no look was missed".to_owned() } else { format!("{} missed", plural(gaps, "look")) }
    );
    page.fact("probes", &text);
    for probe in probes.iter().filter(|probe| full || probe.gaps > 0) {
        let error = probe.last_error.as_ref().map_or_else(String::new, |error| format!("; {error}"));
        let missed = if probe.gaps > 0 { format!(", {} missed", count(probe.gaps)) } else { String::new() };
        let text = format!(
            "{}: {} × {}, at most {}{missed}{error}",
            probe.name,
            count(probe.queries),
            duration_us(probe.mean_us),
            whole_us(probe.max_us)
        );
        page.labelled(INDENT, "", Style::Dim, &text);
    }
}

/// `as loaded at …; since then the run inserted 12 rows and updated 40 (orders, stock)`.
fn data_state(data: &DataInfo, full: bool) -> String {
    let loaded = match &data.loaded_at {
        Some(at) => format!("loaded at {at}"),
        None => "not loaded by dbdyno".to_owned(),
    };
    let before = match data.changed_before.as_deref() {
        None => "rows changed since are not known".to_owned(),
        Some([]) => "unchanged when the run began".to_owned(),
        Some(changed) => format!("when the run began {}", changes(changed, full)),
    };
    if data.reset == "template" {
        return format!("each measurement had a fresh copy of what was {loaded}, {before}");
    }
    let after = match data.changed_after.as_deref() {
        None if data.changed_before.is_none() => return format!("{loaded}; {before}"),
        None => "rows changed until its end are not known".to_owned(),
        Some([]) => "and at its end".to_owned(),
        Some(changed) => format!("at its end {}", changes(changed, full)),
    };
    format!("{loaded}; {before}, {after}")
}

/// `1 204 rows inserted, 300 updated, 2 deleted (orders, stock)`; for each table where everything is shown.
fn changes(changed: &[TableChangesInfo], full: bool) -> String {
    let counts = |inserted: u64, updated: u64, deleted: u64| {
        let all = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted")];
        let some = all.into_iter().filter(|(number, _)| *number > 0);
        some.map(|(number, what)| format!("{}{NBSP}{what}", count(number))).collect::<Vec<_>>().join(", ")
    };
    if full {
        let each =
            changed.iter().map(|of| format!("{} {}", of.table, counts(of.inserted, of.updated, of.deleted)));
        return format!("rows {}", each.collect::<Vec<_>>().join("; "));
    }
    let sum = |field: fn(&TableChangesInfo) -> u64| changed.iter().map(field).sum();
    let tables: Vec<&str> = changed.iter().map(|of| of.table.as_str()).collect();
    let counts = counts(sum(|of| of.inserted), sum(|of| of.updated), sum(|of| of.deleted));
    format!("rows {counts} ({})", tables.join(", "))
}

/// How the measured sessions talked to the server.
fn sessions(sessions: &SessionInfo, through: Option<&PoolerInfo>) -> String {
    let protocol = match sessions.protocol {
        Protocol::Simple => "simple protocol: values written into the text of each statement",
        Protocol::Extended => "extended protocol: statements parsed anew each time",
        Protocol::Prepared => "statements prepared once for a connection",
    };
    let mut parts = vec![protocol.to_owned()];
    if sessions.rtt_us > 0 {
        parts.push(format!("{} added to each round trip", whole_us(sessions.rtt_us)));
    }
    let named = || sessions.pooler.as_ref().map(|address| format!("the pooler at {address}"));
    let through = through.map(pooler::what).or_else(named);
    parts.extend(through.map(|pooler| format!("through {pooler}")));
    let seconds = |seconds: f64| duration_us(seconds * 1e6);
    parts.extend(
        sessions.lifetime_s.map(|s| format!("connections live {}, 10{NBSP}% more or less", seconds(s))),
    );
    parts.extend(
        sessions.storm_s.map(|s| format!("all closed at once {} into each measured stage", seconds(s))),
    );
    parts.extend(
        sessions.statement_timeout_ms.map(|ms| format!("statements end after {}", whole_us(ms * 1000))),
    );
    parts.join(" · ")
}

fn environment(page: &mut Page, report: &Report, full: bool) {
    let machine = &report.environment;
    let text = format!(
        "{}, kernel {} · {} × {} · {} of memory",
        machine.os,
        machine.kernel,
        machine.cores,
        machine.cpu,
        bytes(machine.memory_bytes)
    );
    page.fact("machine", &text);
    let kept = |who: &str, cpus: &Option<String>| cpus.as_ref().map(|cpus| format!("{who} on {cpus}"));
    let kept: Vec<String> = [kept("dbdyno", &machine.client_cpus), kept("the server", &machine.server_cpus)]
        .into_iter()
        .flatten()
        .collect();
    if !kept.is_empty() {
        page.fact("CPUs", &kept.join(" · "));
    }
    if full {
        let settings: Vec<String> =
            report.target.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        page.fact("settings", &settings.join(" · "));
        page.fact("dbdyno", &format!("{}, at {}", report.dbdyno_version, report.target.address));
    }
}
