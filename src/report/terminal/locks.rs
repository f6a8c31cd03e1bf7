//! Lock stories: who made whom wait as chains and as a matrix, and deadlocks with both sides.

use super::grid::{Cell, Column, Grid};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{ChainLinkInfo, LockEpisodeInfo, LockInfo, LockMatrix, Stage};
use crate::report::format::{DASH, count, percent, whole_us};
use crate::report::text::{cut_name, sanitise};

/// Chains that are drawn: the costliest.
const CHAINS_SUMMARY: usize = 3;
const CHAINS_FULL: usize = 10;
/// Columns of the matrix; the rest is added up in one.
const CULPRITS_SHOWN: usize = 4;
/// Longest title of a column of the matrix.
const TITLE_MAX: usize = 16;
/// Kinds of deadlocks that a summary tells of.
const DEADLOCKS_SUMMARY: usize = 2;

/// What the looks can tell of waits shorter than the time between two of them.
pub(super) fn probability(locks: &LockInfo) -> String {
    let interval_us = u64::from(locks.sample_interval_ms) * 1000;
    // A tenth of the interval, at least a round millisecond.
    let wait_us = (interval_us / 10).max(1000).min(interval_us);
    let seen = percent(wait_us as f64 / interval_us.max(1) as f64);
    let sampled = locks.wait_us_sampled.map_or_else(String::new, |us| {
        format!("; sampled over all sessions of the pool, short waits included: {}", whole_us(us))
    });
    format!(
        "looked at locks every {}: a wait of {} is seen with a probability of {seen}{sampled}",
        whole_us(interval_us),
        whole_us(wait_us)
    )
}

/// The costliest chains as small trees. A summary draws those that the table above cannot tell: of more than one session.
pub(super) fn chains(page: &mut Page, stage: &Stage, full: bool) {
    let least = if full { 1 } else { 2 };
    let most = if full { CHAINS_FULL } else { CHAINS_SUMMARY };
    let mut drawn =
        stage.locks.episodes.iter().filter(|episode| episode.chain.len() >= least).take(most).peekable();
    if drawn.peek().is_none() {
        return;
    }
    page.heading("lock chains", "the costliest; each as it was in its longest wait");
    for episode in drawn {
        chain(page, episode);
    }
}

fn chain(page: &mut Page, episode: &LockEpisodeInfo) {
    let share = episode
        .client_share
        .map_or_else(String::new, |share| format!(", {} of the clients' time", percent(share)));
    let head = format!(
        "{} ×{}  waited {}{share}",
        episode.waiter,
        count(episode.count),
        whole_us(episode.wait_us_total)
    );
    page.paragraph(INDENT, Style::Plain, &head);
    let last = episode.chain.len().saturating_sub(1);
    for (index, link) in episode.chain.iter().enumerate() {
        page.paragraph(INDENT + 2, Style::Plain, &format!("← {}", link_line(link, index == last)));
    }
}

/// `migration (foreign): ALTER TABLE …, waiting for AccessExclusiveLock on stock (direct)`
fn link_line(link: &ChainLinkInfo, is_root: bool) -> String {
    let mut line = link.who.clone();
    if let Some(gid) = &link.gid {
        line.push_str(&format!(" '{gid}'"));
    }
    // What waits is active, and what a prepared transaction is stands in its name.
    if link.waits_for.is_none() && !link.who.starts_with(&link.state) {
        line.push_str(&format!(", {}", link.state));
    }
    if let Some(us) = link.transaction_age_us.filter(|_| link.waits_for.is_none()) {
        line.push_str(&format!(", its transaction {} old", whole_us(us)));
    }
    if let Some(statement) = &link.statement {
        line.push_str(&format!(": {statement}"));
    }
    if let Some(lock) = &link.waits_for {
        let relation = lock.relation.as_ref().map_or_else(String::new, |relation| format!(" on {relation}"));
        line.push_str(&format!(", waiting for {}{relation}", lock.mode));
    }
    line.push_str(match (link.direct, is_root) {
        (true, true) => " (direct, root)",
        (true, false) => " (direct)",
        (false, true) => " (root)",
        (false, false) => "",
    });
    line
}

/// Victims against culprits. A summary shows it where it says more than a list: with two of either.
pub(super) fn matrix(page: &mut Page, stage: &Stage, full: bool) {
    let Some(matrix) = &stage.locks.matrix else { return };
    if !full && matrix.victims.len() < 2 && matrix.culprits.len() < 2 {
        return;
    }
    page.heading("who waited because of whom", "lock waiting, charged to the root");
    page.grid(&matrix_grid(matrix));
}

fn matrix_grid(matrix: &LockMatrix) -> Grid {
    let shown =
        if matrix.culprits.len() > CULPRITS_SHOWN { CULPRITS_SHOWN - 1 } else { matrix.culprits.len() };
    let has_rest = shown < matrix.culprits.len();
    let mut columns = vec![Column::text("victim ↓  culprit →", 20)];
    columns.extend(
        matrix.culprits[..shown].iter().map(|name| Column::number(&cut_name(&sanitise(name), TITLE_MAX))),
    );
    if has_rest {
        columns.push(Column::number("others"));
    }
    columns.push(Column::number("total"));
    let mut grid = Grid::new(columns);
    let mut row = |name: &str, wait_us: &[u64], total: u64| {
        let mut cells = vec![Cell::new(name)];
        cells.extend(wait_us.iter().take(shown).map(|us| waited(*us)));
        if has_rest {
            cells.push(waited(wait_us.iter().skip(shown).sum()));
        }
        cells.push(waited(total));
        grid.row(cells);
    };
    for victim in &matrix.victims {
        row(&victim.victim, &victim.wait_us, victim.wait_us_total);
    }
    row("total", &matrix.wait_us_by_culprit, matrix.wait_us_total);
    grid
}

fn waited(us: u64) -> Cell {
    Cell::new(if us == 0 { DASH.to_owned() } else { whole_us(us) })
}

/// Deadlocks, the most frequent first.
pub(super) fn deadlocks(page: &mut Page, stage: &Stage, full: bool) {
    let kinds = &stage.deadlocks;
    if kinds.is_empty() {
        return;
    }
    let total: u64 = kinds.iter().map(|kind| kind.count).sum::<u64>() + stage.deadlocks_dropped;
    page.heading("deadlocks", &format!("{} of which the workload was the victim", count(total)));
    let shown = if full { kinds.len() } else { kinds.len().min(DEADLOCKS_SUMMARY) };
    for kind in &kinds[..shown] {
        let head = format!(
            "{} ×{} gave way to {}; the first at {:.1} s",
            kind.victim,
            count(kind.count),
            kind.others.join(", "),
            kind.t_s
        );
        page.paragraph(INDENT, Style::Plain, &head);
        for lock in &kind.locks {
            page.paragraph(INDENT + 2, Style::Dim, lock);
        }
    }
    if shown < kinds.len() {
        let more = plural((kinds.len() - shown) as u64, "kind");
        page.paragraph(INDENT, Style::Dim, &format!("and {more} more; --full shows all"));
    }
    if stage.deadlocks_dropped > 0 {
        let dropped = plural(stage.deadlocks_dropped, "deadlock");
        page.paragraph(INDENT, Style::Dim, &format!("{dropped} more were counted only"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_the_wait_by_the_interval() {
        let line = |sample_interval_ms, wait_us_sampled| {
            probability(&LockInfo { sample_interval_ms, wait_us_sampled, ..LockInfo::default() })
                .replace('\u{a0}', " ")
        };
        let hundred = "looked at locks every 100 ms: a wait of 10.0 ms is seen with a probability of 10 %";
        assert_eq!(line(100, None), hundred);
        assert_eq!(
            line(100, Some(1_500_000)),
            format!("{hundred}; sampled over all sessions of the pool, short waits included: 1.50 s")
        );
        assert!(line(5, None).ends_with("a wait of 1.00 ms is seen with a probability of 20 %"));
        assert!(line(1, None).ends_with("a wait of 1.00 ms is seen with a probability of 100 %"));
    }

    #[test]
    fn a_prepared_transaction_stands_in_a_chain_by_its_name() {
        let link = ChainLinkInfo {
            who: "prepared transaction (foreign)".to_owned(),
            state: "prepared transaction".to_owned(),
            direct: true,
            waits_for: None,
            statement: None,
            transaction_age_us: None,
            gid: Some("nightly".to_owned()),
        };
        assert_eq!(link_line(&link, true), "prepared transaction (foreign) 'nightly' (direct, root)");
    }
}
