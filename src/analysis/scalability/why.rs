//! Why more connections do not help: where the sessions are that a larger pool adds. Pure.

use std::collections::BTreeMap;

use crate::analysis::locks::is_own;
use crate::analysis::samples::IDLE_IN_TRANSACTION;
use crate::model::{KneeReason, LockEpisodeInfo, Stage, WaitClass};

use super::point::Size;

/// Connections that a larger pool adds and that stay idle: beyond this share of them the load has no work for them.
const IDLE_SHARE: f64 = 0.75;
/// Fewest further sessions that are worth a reason.
const GROWTH_MIN: f64 = 0.25;

/// Difference of the shares that server and client see a session wait for the client, from which that is for want of a core.
const STARVED_GAP: f64 = 0.2;
/// How that is called.
pub(super) const STARVED: &str = "CPU of the client";
/// What running sessions are shown as.
const CPU: &str = "CPU";
/// Where sessions of the pool are that have no server connection: the server never sees them.
const POOLER: &str = "queue of the pooler";

/// The classes of waits, as the report orders them.
const CLASSES: [&str; 7] = ["cpu", "lock", "io", "lwlock", "application", "pooler", "other"];

fn class_of(event: &str) -> &'static str {
    match event {
        CPU => "cpu",
        IDLE_IN_TRANSACTION => "application",
        POOLER => "pooler",
        _ if event.starts_with("Lock:") => "lock",
        _ if event.starts_with("IO:") => "io",
        _ if event.starts_with("LWLock:") || event.starts_with("BufferPin:") => "lwlock",
        _ => "other",
    }
}

/// Mean sessions at a time by event, over several stages: those that were seen on the server, and those that wait in a pooler.
fn by_event(stages: &[&Stage]) -> BTreeMap<String, f64> {
    let mut events: BTreeMap<String, f64> = BTreeMap::new();
    for wait in stages.iter().flat_map(|stage| &stage.waits) {
        *events.entry(wait.event.clone()).or_default() += wait.sessions_mean / stages.len() as f64;
    }
    for pooler in stages.iter().filter_map(|stage| stage.pooler.as_ref()) {
        *events.entry(POOLER.to_owned()).or_default() += pooler.clients_waiting_mean / stages.len() as f64;
    }
    events
}

/// What sessions were seen in, by class; classes in which none was are left out.
pub(super) fn classes(stages: &[&Stage]) -> Vec<WaitClass> {
    let mut means: BTreeMap<&str, f64> = BTreeMap::new();
    for (event, mean) in by_event(stages) {
        *means.entry(class_of(&event)).or_default() += mean;
    }
    let all: f64 = means.values().sum();
    let class = |class: &&'static str| {
        let sessions_mean = *means.get(class)?;
        (sessions_mean > 0.0).then(|| WaitClass {
            class: (*class).to_owned(),
            share: sessions_mean / all,
            sessions_mean,
        })
    };
    CLASSES.iter().filter_map(class).collect()
}

/// Where the sessions are that `to` has beyond `from`. Nothing where nobody looked, or where it has hardly more.
pub(super) fn reason(from: &Size<'_>, to: &Size<'_>) -> Option<KneeReason> {
    let stages =
        |size: &Size<'_>| -> Vec<Stage> { size.repeats.iter().map(|(_, stage)| (*stage).clone()).collect() };
    if to.size() <= from.size() {
        return None;
    }
    let (before, after) = (stages(from), stages(to));
    let unused = to.point.estimates.as_ref().and_then(|of| of.held_unused_fraction).map(|of| of.mean);
    let instances = after.first().map_or(1, |stage| stage.pool.instances.max(1));
    between(
        (from.size(), &before.iter().collect::<Vec<_>>()),
        (to.size(), &after.iter().collect::<Vec<_>>()),
        instances,
    )
    .map(|reason| {
        if is_starved(&reason, to.point.busy_mean, unused) {
            KneeReason { class: "cpu".to_owned(), event: STARVED.to_owned(), ..reason }
        } else {
            reason
        }
    })
}

/// Whether sessions wait for the client far more than the client, by its own stamps, has nothing to ask: then the answers are there,
/// and the client has no core to read them.
fn is_starved(reason: &KneeReason, busy: f64, unused: Option<f64>) -> bool {
    let by_server = reason.sessions_to / busy.max(1.0);
    reason.class == "application" && unused.is_some_and(|unused| by_server > unused + STARVED_GAP)
}

fn between(from: (u32, &[&Stage]), to: (u32, &[&Stage]), instances: u32) -> Option<KneeReason> {
    let busy = |stages: &[&Stage]| {
        stages.iter().map(|stage| stage.pool.busy_mean).sum::<f64>() / stages.len().max(1) as f64
    };
    let busy_growth = busy(to.1) - busy(from.1);
    let added = f64::from((to.0 - from.0) * instances);
    let mut reason = KneeReason {
        class: "clients".to_owned(),
        event: String::new(),
        from_size: from.0,
        to_size: to.0,
        sessions_from: 0.0,
        sessions_to: 0.0,
        busy_growth,
        waiter: None,
        relation: None,
        of_a_row: false,
        blocker: None,
        blocker_state: None,
    };
    if added > 0.0 && busy_growth < (1.0 - IDLE_SHARE) * added {
        return Some(reason);
    }
    let (before, after) = (by_event(from.1), by_event(to.1));
    // Locks of all kinds are one queue: a row is waited for through its tuple and through a transaction.
    let key = |event: &str| if event.starts_with("Lock:") { "Lock".to_owned() } else { event.to_owned() };
    let grouped = |events: &BTreeMap<String, f64>| {
        let mut groups: BTreeMap<String, f64> = BTreeMap::new();
        for (event, mean) in events {
            *groups.entry(key(event)).or_default() += mean;
        }
        groups
    };
    let (groups_before, groups_after) = (grouped(&before), grouped(&after));
    let growth = |event: &str, mean: f64| mean - groups_before.get(event).copied().unwrap_or(0.0);
    let (group, sessions_to) = groups_after
        .iter()
        .max_by(|a, b| growth(a.0, *a.1).total_cmp(&growth(b.0, *b.1)))
        .filter(|(event, mean)| growth(event, **mean) > GROWTH_MIN)?;
    reason.sessions_from = groups_before.get(group).copied().unwrap_or(0.0);
    reason.sessions_to = *sessions_to;
    let largest = after.iter().filter(|(event, _)| key(event) == *group).max_by(|a, b| a.1.total_cmp(b.1));
    reason.event = largest.map_or_else(|| group.clone(), |(event, _)| event.clone());
    class_of(&reason.event).clone_into(&mut reason.class);
    if reason.class == "lock" {
        tell_lock(&mut reason, to.1);
    }
    Some(reason)
}

/// The statement that waits most, for what, and who is charged with it.
fn tell_lock(reason: &mut KneeReason, stages: &[&Stage]) {
    let episodes = || stages.iter().flat_map(|stage| &stage.locks.episodes).filter(|of| is_own(&of.waiter));
    let sum = |key: &dyn Fn(&LockEpisodeInfo) -> Option<(String, String)>| {
        let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
        for episode in episodes() {
            if let Some(key) = key(episode) {
                *sums.entry(key).or_default() += episode.wait_us_total;
            }
        }
        sums.into_iter().max_by_key(|(_, us)| *us).map(|(key, _)| key)
    };
    let waits = sum(&|of| Some((of.waiter.clone(), of.relation.clone().unwrap_or_default())));
    let Some((waiter, relation)) = waits else { return };
    let of_waiter =
        |of: &LockEpisodeInfo| of.waiter == waiter && of.relation.clone().unwrap_or_default() == relation;
    let is_of_a_row =
        |of: &LockEpisodeInfo| matches!(of.lock_type.as_str(), "tuple" | "transactionid" | "row");
    reason.of_a_row = episodes().filter(|of| of_waiter(of)).any(is_of_a_row);
    let root = sum(&|of| of_waiter(of).then(|| (of.root.clone(), of.root_state.clone())));
    if let Some((blocker, state)) = root {
        (reason.blocker, reason.blocker_state) = (Some(blocker), Some(state));
    }
    reason.waiter = Some(waiter);
    reason.relation = Some(relation).filter(|relation| !relation.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LockInfo, PoolInfo, PoolerStage, WaitShare};

    fn stage(busy: f64, waits: &[(&str, f64)]) -> Stage {
        let wait = |(event, mean): &(&str, f64)| WaitShare {
            event: (*event).to_owned(),
            count: 1,
            share: 0.0,
            sessions_mean: *mean,
        };
        Stage {
            pool: PoolInfo { busy_mean: busy, instances: 1, ..PoolInfo::default() },
            waits: waits.iter().map(wait).collect(),
            ..Stage::default()
        }
    }

    fn episode(waiter: &str, root: &str, relation: Option<&str>, us: u64) -> LockEpisodeInfo {
        LockEpisodeInfo {
            waiter: waiter.to_owned(),
            direct_blockers: vec![],
            root: root.to_owned(),
            root_state: "idle in transaction".to_owned(),
            mode: "ShareLock".to_owned(),
            lock_type: "transactionid".to_owned(),
            relation: relation.map(str::to_owned),
            count: 1,
            wait_us_total: us,
            wait_us_max: us,
            ended_by_client: 0,
            client_share: None,
            chain: vec![],
        }
    }

    #[test]
    fn the_sessions_that_are_added_wait_for_a_row() {
        let before = stage(8.0, &[("CPU", 1.6), ("Lock:tuple", 2.0), ("Lock:transactionid", 1.0)]);
        let mut after = stage(32.0, &[("CPU", 1.9), ("Lock:tuple", 25.0), ("Lock:transactionid", 1.2)]);
        after.locks = LockInfo {
            episodes: vec![
                episode("checkout.lock_stock", "checkout.insert_payment", Some("public.stock"), 700),
                episode("checkout.lock_stock", "checkout.confirm_order", Some("public.stock"), 200),
                episode("advance_order.advance_order", "checkout.confirm_order", Some("public.orders"), 300),
            ],
            ..LockInfo::default()
        };
        let reason = between((8, &[&before]), (32, &[&after]), 1).expect("a reason");
        assert_eq!((reason.class.as_str(), reason.event.as_str()), ("lock", "Lock:tuple"));
        assert_eq!(reason.waiter.as_deref(), Some("checkout.lock_stock"));
        assert_eq!(reason.relation.as_deref(), Some("public.stock"));
        assert_eq!(reason.blocker.as_deref(), Some("checkout.insert_payment"));
        assert!(reason.of_a_row);
        assert!((reason.sessions_from - 3.0).abs() < 1e-9 && (reason.sessions_to - 26.2).abs() < 1e-9);
    }

    #[test]
    fn connections_that_stay_idle_are_no_ones_fault_but_the_loads() {
        let (before, after) = (stage(8.0, &[("CPU", 4.0)]), stage(10.0, &[("CPU", 5.0)]));
        assert_eq!(between((8, &[&before]), (32, &[&after]), 1).expect("a reason").class, "clients");
        // Two instances add twice as many.
        let after = stage(20.0, &[("CPU", 17.0)]);
        assert_eq!(between((8, &[&before]), (20, &[&after]), 1).expect("a reason").class, "cpu");
        assert_eq!(between((8, &[&before]), (60, &[&after]), 2).expect("a reason").class, "clients");
    }

    #[test]
    fn sessions_that_a_pooler_keeps_waiting_are_seen_by_no_server() {
        let through = |busy: f64, waiting: f64| {
            let pooler = PoolerStage { clients_waiting_mean: waiting, ..PoolerStage::default() };
            Stage { pooler: Some(pooler), ..stage(busy, &[("CPU", 1.5), ("Lock:tuple", 2.0)]) }
        };
        let (before, after) = (through(4.0, 0.5), through(16.0, 12.0));
        let reason = between((4, &[&before]), (16, &[&after]), 1).expect("a reason");
        assert_eq!((reason.class.as_str(), reason.event.as_str()), ("pooler", POOLER));
        assert!((reason.sessions_from - 0.5).abs() < 1e-9 && (reason.sessions_to - 12.0).abs() < 1e-9);
        let named: Vec<String> = classes(&[&after]).into_iter().map(|of| of.class).collect();
        assert_eq!(named, ["cpu", "lock", "pooler"]);
    }

    #[test]
    fn without_a_look_there_is_no_reason() {
        assert!(between((8, &[&stage(8.0, &[])]), (16, &[&stage(16.0, &[])]), 1).is_none());
        assert!(classes(&[&stage(8.0, &[])]).is_empty());
        let mixed = stage(8.0, &[("CPU", 1.0), ("IO:DataFileRead", 2.0), ("idle in transaction", 1.0)]);
        let named: Vec<(String, f64)> =
            classes(&[&mixed]).into_iter().map(|of| (of.class, of.share)).collect();
        assert_eq!(
            named,
            [("cpu".to_owned(), 0.25), ("io".to_owned(), 0.5), ("application".to_owned(), 0.25)]
        );
    }
}
