//! The pooler between the measured sessions and the server: what it is, who waited in it, and where the time of a transaction went.

use super::grid::{Cell, Column, Grid, bar};
use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{PoolerAccount, PoolerInfo, PoolerStage, PoolerWork, Stage};
use crate::report::format::{bytes, count, duration_us, percent, rate, whole_us};

/// Columns of a bar.
const BAR: usize = 14;

/// The pooler over the stage.
pub(super) fn section(page: &mut Page, stage: &Stage) {
    let Some(pooler) = &stage.pooler else { return };
    page.heading("pooler", "by its own account, read from its console");
    let longest = if pooler.seen_waiting_us_max > 0 {
        format!(", the longest for {}", whole_us(pooler.seen_waiting_us_max))
    } else {
        String::new()
    };
    let waiting = format!(
        "mean {} waiting for a server connection, at most {}{longest}; mean {} not waiting",
        rate(pooler.clients_waiting_mean),
        count(pooler.clients_waiting_max),
        rate(pooler.clients_active_mean)
    );
    page.fact("clients", &waiting);
    page.fact("servers", &servers(pooler));
    if let Some(work) = &pooler.work {
        page.fact("work", &throughput(work));
        page.fact("each", &each(work));
        if let Some(account) = &work.account {
            parts(page, account);
        }
    }
    if let Some(cpu) = pooler.cpu_fraction {
        page.fact("CPU", &format!("{} of the one core that it can use", percent(cpu)));
    }
}

fn servers(pooler: &PoolerStage) -> String {
    let mut parts = vec![
        format!("mean {} busy", rate(pooler.servers_active_mean)),
        format!("{} idle", rate(pooler.servers_idle_mean)),
    ];
    if pooler.servers_used_mean > 0.0 {
        parts.push(format!("{} to be checked", rate(pooler.servers_used_mean)));
    }
    let opened = if pooler.servers_opened > 0 {
        format!("; {} made anew", count(pooler.servers_opened))
    } else {
        String::new()
    };
    format!("{}; at most {} in all{opened}", parts.join(", "), count(pooler.servers_max))
}

fn throughput(work: &PoolerWork) -> String {
    format!(
        "{} transactions/s, {} queries/s; {}/s in, {}/s out",
        rate(work.transactions_per_s),
        rate(work.queries_per_s),
        whole_bytes(work.received_bytes_per_s),
        whole_bytes(work.sent_bytes_per_s)
    )
}

fn each(work: &PoolerWork) -> String {
    format!(
        "transaction waited {} for a server connection, had one for {}, {} of it in queries",
        duration_us(work.wait_us_mean),
        duration_us(work.transaction_us_mean),
        duration_us(work.query_us_mean)
    )
}

/// Where the mean response went.
fn parts(page: &mut Page, account: &PoolerAccount) {
    page.blank();
    let mut grid = Grid::new(vec![
        Column::text("mean response, in parts", 20),
        Column::number("time"),
        Column::number("share"),
        Column::fixed("").spare(1),
    ]);
    let shares = [
        ("late to start", account.lag_us),
        ("waiting for a connection of the pool", account.pool_wait_us),
        ("waiting in the pooler for a server", account.pooler_wait_us),
        ("in queries on the server", account.query_us),
        ("rest: network, pooler, client", account.rest_us),
    ];
    for (index, (what, us)) in shares.into_iter().enumerate() {
        // In a closed loop nothing is late.
        if index == 0 && us <= 0.0 {
            continue;
        }
        let share = if account.response_us > 0.0 { us / account.response_us } else { 0.0 };
        let time = if us < 0.0 { format!("−{}", duration_us(-us)) } else { duration_us(us) };
        grid.row(vec![
            Cell::new(what),
            Cell::new(time),
            Cell::new(percent(share.max(0.0))),
            Cell::new(bar(share, BAR)),
        ]);
    }
    grid.row(vec![
        Cell::new("response").style(Style::Bold),
        Cell::new(duration_us(account.response_us)).style(Style::Bold),
        Cell::new(""),
        Cell::new(""),
    ]);
    page.grid(&grid);
}

/// `PgBouncer 1.18.0 started for this, transaction mode, at most 20 server connections`.
pub(super) fn what(pooler: &PoolerInfo) -> String {
    let mut parts = vec![match (pooler.name.is_empty(), pooler.is_own) {
        (true, _) => format!("a pooler at {}", pooler.address),
        (false, true) => format!("a throwaway {}", pooler.name),
        (false, false) => format!("{} at {}", pooler.name, pooler.address),
    }];
    parts.extend(pooler.mode.as_ref().map(|mode| format!("{mode} mode")));
    parts.extend(pooler.pool_size.map(|size| format!("at most {}", plural(size, "server connection"))));
    parts.extend(
        pooler.prepared_statements_max.map(|most| format!("max_prepared_statements {}", count(most))),
    );
    parts.join(", ")
}

/// Its settings, where everything is shown.
pub(super) fn settings(page: &mut Page, pooler: &PoolerInfo) {
    if !pooler.settings.is_empty() {
        let settings: Vec<String> =
            pooler.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        page.labelled(INDENT, "pooler", Style::Plain, &settings.join(" · "));
    }
}

fn whole_bytes(per_s: f64) -> String {
    // Rates of a network, far below what a u64 holds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = per_s.max(0.0).round() as u64;
    bytes(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_is_named_by_what_is_known_of_it() {
        let unknown = PoolerInfo { address: "127.0.0.1:6432".to_owned(), ..PoolerInfo::default() };
        assert_eq!(what(&unknown), "a pooler at 127.0.0.1:6432");
        let own = PoolerInfo {
            name: "PgBouncer 1.18.0".to_owned(),
            is_own: true,
            mode: Some("transaction".to_owned()),
            pool_size: Some(4),
            ..PoolerInfo::default()
        };
        let words = what(&own).replace('\u{a0}', " ");
        assert_eq!(words, "a throwaway PgBouncer 1.18.0, transaction mode, at most 4 server connections");
    }

    #[test]
    fn the_parts_of_a_response_are_shown_with_their_shares() {
        let account = PoolerAccount {
            response_us: 100_000.0,
            lag_us: 0.0,
            pool_wait_us: 20_000.0,
            pooler_wait_us: 60_000.0,
            query_us: 19_000.0,
            rest_us: 1_000.0,
        };
        let pooler = PoolerStage {
            looks: 8,
            clients_waiting_mean: 12.0,
            servers_active_mean: 4.0,
            seen_waiting_us_max: 70_000,
            work: Some(PoolerWork { covers_s: 2.0, account: Some(account), ..PoolerWork::default() }),
            ..PoolerStage::default()
        };
        let stage = Stage { pooler: Some(pooler), ..Stage::default() };
        let mut page = Page::new(80, false);
        section(&mut page, &stage);
        let text = page.finish();
        assert!(text.contains("waiting in the pooler for a server") && text.contains("60 %"), "{text}");
    }
}
