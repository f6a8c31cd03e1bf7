//! What a person should know of locks: queues behind a DDL, blockers that idle or were prepared and forgotten, deadlocks.

use std::collections::BTreeMap;

use super::deadlocks::is_unseen;
use super::findings::{FOREIGN_WAIT_MIN_US, finding, measured};
use super::locks::is_own;
use super::samples::IDLE_IN_TRANSACTION;
use crate::model::{
    ChainLinkInfo, DeadlockInfo, Finding, LockEpisodeInfo, Report, Severity, Stage, WantedLockInfo,
};

/// Share of the clients' time that a blocker must have cost before it is worth saying.
const SHARE_MIN: f64 = 0.01;
/// Modes of locks on relations that a waiting DDL, or LOCK TABLE, bars all writers with.
const DDL_MODES: [&str; 4] = ["AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock"];
/// The same of MariaDB's and MySQL's metadata locks.
const METADATA_DDL_MODES: [&str; 3] = ["EXCLUSIVE", "SHARED_NO_READ_WRITE", "SHARED_NO_WRITE"];
/// The state of a root that no session stands behind.
const PREPARED: &str = "prepared transaction";
/// Victims that are named.
const NAMED_MAX: usize = 3;

/// The findings on locks, the gravest first.
pub(super) fn find(report: &Report) -> Vec<Finding> {
    [deadlocks(report), queue_behind_ddl(report), prepared_blocker(report), idle_blocker(report)]
        .into_iter()
        .flatten()
        .collect()
}

/// Whether one of these findings tells of an episode, so that a more general one need not.
pub(super) fn tells_of(episode: &LockEpisodeInfo) -> bool {
    is_own(&episode.waiter) && (queued_ddl(episode).is_some() || is_prepared(episode) || is_idle(episode))
}

/// Waits with one cause, in one stage.
struct Story<'a> {
    stage: &'a Stage,
    /// The longest of them stands for all.
    longest: &'a LockEpisodeInfo,
    count: u64,
    wait_us_total: u64,
    victims: Vec<&'a str>,
}

impl Story<'_> {
    /// Of the response times of the stage.
    fn share(&self) -> f64 {
        match self.stage.locks.client_us_total {
            0 => 0.0,
            client_us => self.wait_us_total as f64 / client_us as f64,
        }
    }

    /// Whether it cost enough of the clients' time to be worth saying.
    fn is_costly(&self) -> bool {
        self.share() >= SHARE_MIN
    }

    /// Whether one wait was longer than those that every shared server has.
    fn is_long(&self) -> bool {
        self.longest.wait_us_max >= FOREIGN_WAIT_MIN_US
    }

    /// `checkout.take_stock, browse.product and 2 more`
    fn victims(&self) -> String {
        let named = self.victims.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        match self.victims.len().saturating_sub(NAMED_MAX) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }

    /// `12 waits of checkout.take_stock, 3.4 s in all, 2001 ms at most`
    fn waits(&self) -> String {
        format!(
            "{} waits of {}, {:.1} s in all, {:.0} ms at most",
            self.count,
            self.victims(),
            self.wait_us_total as f64 / 1e6,
            self.longest.wait_us_max as f64 / 1e3
        )
    }

    fn effect(&self) -> String {
        format!(
            "{:.1} % of the clients' time went into waiting for it: without it so much is won at most",
            self.share() * 100.0
        )
    }
}

/// The waits of the workload that `cause` names a cause of, by stage and cause; the costliest story of those that are worth it.
fn costliest<'a>(
    stages: impl Iterator<Item = &'a Stage>,
    cause: impl Fn(&'a LockEpisodeInfo) -> Option<&'a str>,
    is_worth_it: impl Fn(&Story<'a>) -> bool,
) -> Option<Story<'a>> {
    let mut stories: Vec<Story<'a>> = Vec::new();
    for stage in stages {
        let mut by_cause: BTreeMap<&str, Story<'a>> = BTreeMap::new();
        for episode in stage.locks.episodes.iter().filter(|episode| is_own(&episode.waiter)) {
            let Some(cause) = cause(episode) else { continue };
            let story = by_cause.entry(cause).or_insert_with(|| Story {
                stage,
                longest: episode,
                count: 0,
                wait_us_total: 0,
                victims: Vec::new(),
            });
            story.count += episode.count;
            story.wait_us_total += episode.wait_us_total;
            if episode.wait_us_max > story.longest.wait_us_max {
                story.longest = episode;
            }
            if !story.victims.contains(&episode.waiter.as_str()) {
                story.victims.push(&episode.waiter);
            }
        }
        stories.extend(by_cause.into_values().filter(&is_worth_it));
    }
    stories.into_iter().max_by_key(|story| story.wait_us_total)
}

/// The session of a chain that itself waits for a lock on a relation that bars others, and what it waits for.
fn queued_ddl(episode: &LockEpisodeInfo) -> Option<(&ChainLinkInfo, &WantedLockInfo)> {
    episode.chain.iter().find_map(|link| {
        let wanted = link.waits_for.as_ref()?;
        let modes: &[&str] = match wanted.lock_type.as_str() {
            "relation" => &DDL_MODES,
            "metadata" => &METADATA_DDL_MODES,
            _ => &[],
        };
        modes.contains(&wanted.mode.as_str()).then_some((link, wanted))
    })
}

fn is_idle(episode: &LockEpisodeInfo) -> bool {
    episode.root_state.starts_with(IDLE_IN_TRANSACTION)
}

fn is_prepared(episode: &LockEpisodeInfo) -> bool {
    episode.root_state == PREPARED
}

fn queue_behind_ddl(report: &Report) -> Option<Finding> {
    let story = costliest(
        measured(report),
        |episode| queued_ddl(episode).map(|(ddl, _)| ddl.who.as_str()),
        |story| story.is_costly() || story.is_long(),
    )?;
    let (ddl, wanted) = queued_ddl(story.longest)?;
    let relation = wanted.relation.as_deref().unwrap_or("a relation");
    let statement = ddl.statement.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    let root = &story.longest.root;
    Some(finding(
        "queue-behind-ddl",
        Severity::Warning,
        format!("{} waited for {relation} and the workload queued behind it", ddl.who),
        format!(
            "{}{statement} waited for {} on {relation} because of {root}, {}{}; behind it in stage {}: {}",
            ddl.who,
            wanted.mode,
            story.longest.root_state,
            age(story.longest),
            story.stage.name,
            story.waits()
        ),
        &format!(
            "who waits for such a lock bars all who come later, although it does not have it; {}",
            story.effect()
        ),
        format!(
            "let the DDL give up soon and try again ({}), and end the transaction of {root} before it begins",
            if is_postgres(report) { "SET lock_timeout = '2s'" } else { "SET lock_wait_timeout = 2" }
        ),
    ))
}

/// `, in a transaction of 12.3 s`
fn age(episode: &LockEpisodeInfo) -> String {
    let age_us = episode.chain.last().and_then(|root| root.transaction_age_us);
    age_us.map_or_else(String::new, |us| format!(", in a transaction of {:.1} s", us as f64 / 1e6))
}

fn prepared_blocker(report: &Report) -> Option<Finding> {
    let story = costliest(
        measured(report),
        |episode| is_prepared(episode).then(|| gid(episode).unwrap_or(&episode.root)),
        |story| story.is_costly() || story.is_long(),
    )?;
    let (name, remedy) = match gid(story.longest) {
        Some(gid) => {
            let quoted = format!("'{}'", gid.replace('\'', "''"));
            (
                format!("the prepared transaction {quoted}"),
                format!("end it: COMMIT PREPARED {quoted} or ROLLBACK PREPARED {quoted}"),
            )
        }
        None if !is_postgres(report) => (
            "a prepared transaction".to_owned(),
            "find it (XA RECOVER) and end it: XA COMMIT or XA ROLLBACK".to_owned(),
        ),
        None => (
            "a prepared transaction".to_owned(),
            "find it (SELECT gid, prepared, owner FROM pg_prepared_xacts) and end it: COMMIT PREPARED or ROLLBACK PREPARED"
                .to_owned(),
        ),
    };
    Some(finding(
        "prepared-transaction-blocker",
        Severity::Warning,
        format!("{name} blocked {}", story.victims()),
        format!("it held up, in stage {}: {}", story.stage.name, story.waits()),
        &format!("it keeps its locks without a session, also across a restart; {}", story.effect()),
        remedy,
    ))
}

fn gid(episode: &LockEpisodeInfo) -> Option<&str> {
    episode.chain.last()?.gid.as_deref()
}

/// Whether the server's settings are PostgreSQL's.
pub(super) fn is_postgres(report: &Report) -> bool {
    report.target.engine == "postgresql"
}

/// How to keep the sessions of others from holding locks while they do nothing.
fn end_idle(report: &Report) -> &'static str {
    if is_postgres(report) {
        "end that session, and give its application idle_in_transaction_session_timeout"
    } else {
        "end that session, and give its application a limit (idle_transaction_timeout on MariaDB, wait_timeout on MySQL)"
    }
}

fn idle_blocker(report: &Report) -> Option<Finding> {
    let is_foreign = |story: &Story<'_>| !is_own(&story.longest.root);
    let story = costliest(
        measured(report),
        |episode| (is_idle(episode) && queued_ddl(episode).is_none()).then_some(episode.root.as_str()),
        |story| story.is_costly() || (is_foreign(story) && story.is_long()),
    )?;
    let root = &story.longest.root;
    let last = story.longest.chain.last().and_then(|link| link.statement.as_ref());
    let doing = last.map_or_else(String::new, |text| format!(", after {text}"));
    let (who, remedy) = if is_foreign(&story) {
        (format!("{root} idled{}{doing}", age(story.longest)), end_idle(report))
    } else {
        (
            format!("{root} idled{}", hold(story.stage, root)),
            "do the application's own work before the first lock is taken, or commit before it",
        )
    };
    Some(finding(
        "idle-in-transaction-blocker",
        Severity::Warning,
        format!("{root} blocked {} while it did nothing", story.victims()),
        format!("{who}; it held up, in stage {}: {}", story.stage.name, story.waits()),
        &format!("a lock is kept until its transaction ends, whether it works or not; {}", story.effect()),
        remedy,
    ))
}

/// ` in its transaction, which keeps a connection for 21.3 ms in the median`
fn hold(stage: &Stage, root: &str) -> String {
    let is_of =
        |name: &str| root.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let hold_us = stage.transactions.iter().find(|transaction| is_of(&transaction.name));
    hold_us.and_then(|transaction| transaction.hold_us.p50).map_or_else(
        || " in its transaction".to_owned(),
        |us| {
            format!(
                " in its transaction, which keeps a connection for {:.1} ms in the median",
                us as f64 / 1e3
            )
        },
    )
}

fn deadlocks(report: &Report) -> Option<Finding> {
    let all = |stage: &Stage| {
        stage.deadlocks.iter().map(|deadlock| deadlock.count).sum::<u64>() + stage.deadlocks_dropped
    };
    let stage =
        measured(report).filter(|stage| !stage.deadlocks.is_empty()).max_by_key(|stage| all(stage))?;
    let worst = stage.deadlocks.first()?;
    let total = all(stage);
    let pair = pair(worst);
    let unseen: u64 = stage.deadlocks.iter().filter(|one| is_unseen(one)).map(|one| one.count).sum();
    let unseen = match unseen {
        0 => String::new(),
        unseen if is_postgres(report) => format!("; of {unseen} no look saw the other side"),
        unseen => {
            format!("; of {unseen} the other side is not known, since InnoDB keeps the latest one only")
        }
    };
    Some(finding(
        "deadlocks",
        Severity::Warning,
        format!("{pair} deadlock each other"),
        format!(
            "{total} deadlock{} in stage {}; {} times {} gave way{}{unseen}",
            if total == 1 { "" } else { "s" },
            stage.name,
            worst.count,
            worst.victim,
            if worst.locks.is_empty() { String::new() } else { format!(": {}", worst.locks.join("; ")) }
        ),
        if is_postgres(report) {
            "the victim has waited for deadlock_timeout, is rolled back, and must be tried again; the others waited as long"
        } else {
            "the victim is rolled back as soon as the server finds the circle, and must be tried again"
        },
        format!(
            "let {pair} touch the same rows in the same order, for example by key (SELECT … FOR UPDATE ORDER BY …, or sorted \
             input), and keep a retry on {}",
            if is_postgres(report) { "40P01" } else { "40001" }
        ),
    ))
}

/// `checkout and restock`, by transactions; `two of checkout` when one meets its like.
fn pair(deadlock: &DeadlockInfo) -> String {
    let transaction = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let victim = transaction(&deadlock.victim);
    let mut others: Vec<String> = deadlock.others.iter().map(|other| transaction(other)).collect();
    others.sort();
    others.dedup();
    others.retain(|other| *other != victim);
    if others.is_empty() {
        format!("two of {victim}")
    } else {
        format!("{victim} and {}", others.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One wait for a cause, of so many microseconds.
    fn wait(cause: &str, us: u64) -> LockEpisodeInfo {
        LockEpisodeInfo {
            waiter: "read.by_id".to_owned(),
            direct_blockers: vec![cause.to_owned()],
            root: cause.to_owned(),
            root_state: PREPARED.to_owned(),
            mode: "RowExclusiveLock".to_owned(),
            lock_type: "relation".to_owned(),
            relation: None,
            count: 1,
            wait_us_total: us,
            wait_us_max: us,
            ended_by_client: 0,
            client_share: None,
            chain: Vec::new(),
        }
    }

    /// The cause that is told of a stage in which clients spent 20 s.
    fn told(episodes: Vec<LockEpisodeInfo>) -> Option<String> {
        let mut stage = Stage { measured: true, ..Stage::default() };
        stage.locks.client_us_total = 20_000_000;
        stage.locks.episodes = episodes;
        let worth = |story: &Story<'_>| story.is_costly() || story.is_long();
        costliest([&stage].into_iter(), |episode| Some(episode.root.as_str()), worth)
            .map(|story| story.longest.root.clone())
    }

    #[test]
    fn a_cause_is_told_that_cost_a_hundredth_of_the_time_or_held_one_up_for_long() {
        assert_eq!(told(vec![wait("a", 99_999)]), None);
        assert_eq!(told(vec![wait("a", 100_000)]).as_deref(), Some("a"), "one wait was long");
        assert_eq!(told(vec![wait("a", 90_000), wait("b", 90_000)]), None, "each cause for itself");
        assert_eq!(told(vec![wait("a", 90_000); 3]).as_deref(), Some("a"), "1.35 % of the time");
        let many_short = vec![wait("a", 60_000), wait("a", 60_000), wait("b", 110_000)];
        assert_eq!(told(many_short).as_deref(), Some("b"), "a cost more, and too little to be told");
    }
}
