//! Who waited for what: the pool, events on the server, locks.

use super::grid::{Cell, Column, Grid, bar};
use super::locks::probability;
use super::page::{INDENT, Page, Style};
use super::storm;
use super::value::{plural, times};
use crate::model::{LockEpisodeInfo, Stage};
use crate::report::format::{DASH, count, decimal, percent, rate, whole_us};

/// Events and episodes that a summary shows.
const SHOWN: usize = 6;

/// The pool over the stage.
pub(super) fn pool(page: &mut Page, stage: &Stage) {
    let pool = &stage.pool;
    let size = u64::from(pool.size);
    let note = match pool.instances {
        0 | 1 => plural(size, "connection"),
        many => format!("{} with {} each", plural(u64::from(many), "instance"), plural(size, "connection")),
    };
    page.heading("pool", &note);
    let each = if pool.instances > 1 { " in one instance" } else { "" };
    page.fact("busy", &format!("mean {}, at most {}{each}", rate(pool.busy_mean), pool.busy_max));
    page.fact(
        "waiting",
        &format!("mean {}, at most {}{each}", rate(pool.waiting_mean), count(u64::from(pool.waiting_max))),
    );
    let saturated = format!(
        "{} of the time: every connection busy and someone waiting",
        percent(pool.saturated_fraction)
    );
    page.fact("saturated", &saturated);
    page.fact("wait", &times(&pool.wait_us));
    if pool.retired > 0 {
        let made = format!(
            "{} closed at the end of their life; {} made anew, {}",
            plural(pool.retired, "connection"),
            count(pool.creates),
            times(&pool.create_us)
        );
        page.fact("renewed", &made);
    }
    storm::line(page, stage);
    if let Some(trouble) = trouble(stage) {
        page.labelled(INDENT, "trouble", Style::Bad, &trouble);
    }
}

fn trouble(stage: &Stage) -> Option<String> {
    let pool = &stage.pool;
    // What was wished is no trouble, and is told beside.
    let wished = pool.retired > 0 || stage.storm.is_some();
    let longest =
        pool.create_us.max.map_or_else(String::new, |us| format!(" (the slowest in {})", whole_us(us)));
    let parts = [
        (pool.timeouts, "timed out waiting for a connection".to_owned()),
        (pool.create_errors, "attempts to connect failed".to_owned()),
        (if stage.storm.is_some() { 0 } else { pool.discarded }, "connections were found broken".to_owned()),
        (if wished { 0 } else { pool.creates }, format!("connections were made anew{longest}")),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// What sessions of the pool waited for, sampled.
pub(super) fn waits(page: &mut Page, stage: &Stage, full: bool) {
    if stage.waits.is_empty() {
        return;
    }
    let shown = if full { stage.waits.len() } else { stage.waits.len().min(SHOWN) };
    page.heading("waits on the server", "share of the active sessions of the pool, sampled");
    let mut grid = Grid::new(vec![
        Column::text("event", 20),
        Column::number("share"),
        Column::fixed("").spare(1),
        Column::number("sessions\nmean"),
        Column::number("seen\ntimes"),
    ]);
    for wait in stage.waits.iter().take(shown) {
        grid.row(vec![
            Cell::new(&wait.event),
            Cell::new(percent(wait.share)),
            Cell::new(format!("{:<24}", bar(wait.share, 24))),
            Cell::new(decimal(wait.sessions_mean, 2)),
            Cell::new(count(wait.count)),
        ]);
    }
    page.grid(&grid);
    if shown < stage.waits.len() {
        let rest: f64 = stage.waits.iter().skip(shown).map(|wait| wait.share).sum();
        let others = plural((stage.waits.len() - shown) as u64, "other event");
        page.paragraph(INDENT, Style::Dim, &format!("and {others} with {} together", percent(rest)));
    }
}

/// Lock episodes, the costliest first.
pub(super) fn locks(page: &mut Page, stage: &Stage, full: bool) {
    let locks = &stage.locks;
    if locks.episodes.is_empty() {
        return;
    }
    let shown = if full { locks.episodes.len() } else { locks.episodes.len().min(SHOWN) };
    let note = format!(
        "{} of waiting, charged to the root; share of the clients' time",
        whole_us(locks.wait_us_total)
    );
    page.heading("locks", &note);
    page.paragraph(INDENT, Style::Dim, &probability(locks));
    let mut grid = Grid::new(vec![
        Column::text("waiter\nlock", 20),
        Column::text("root blocker\nwhat it was doing", 20),
        Column::number("waits"),
        Column::number("total"),
        Column::number("max"),
        Column::number("share").spare(1),
    ]);
    for episode in locks.episodes.iter().take(shown) {
        let mut root = Cell::new(&episode.root).and(&episode.root_state);
        if full && let Some(between) = between(episode) {
            root = root.and_between("via ", between, "");
        }
        grid.row(vec![
            Cell::new(&episode.waiter).and(lock(episode)),
            root,
            Cell::new(count(episode.count)),
            Cell::new(whole_us(episode.wait_us_total)),
            Cell::new(whole_us(episode.wait_us_max)),
            Cell::new(episode.client_share.map_or_else(|| DASH.to_owned(), percent)),
        ]);
    }
    page.grid(&grid);
    if shown < locks.episodes.len() {
        let others = plural((locks.episodes.len() - shown) as u64, "kind");
        page.paragraph(INDENT, Style::Dim, &format!("and {others} more; --full shows all"));
    }
}

/// `ShareLock on stock (transactionid)`.
fn lock(episode: &LockEpisodeInfo) -> String {
    let relation = episode.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
    format!("{}{relation} ({})", episode.mode, episode.lock_type)
}

/// Who stood between the waiter and the root.
fn between(episode: &LockEpisodeInfo) -> Option<String> {
    let others: Vec<&str> =
        episode.direct_blockers.iter().map(String::as_str).filter(|name| *name != episode.root).collect();
    (!others.is_empty()).then(|| others.join(", "))
}
