//! The pooler over one stage: levels are means over the looks inside its window, totals differences between the first of them and
//! the last.

use crate::model::{PoolerAccount, PoolerInfo, PoolerStage, PoolerWork, Stage};
use crate::record::pooler::{PoolerHeader, PoolerSample, PoolerTotals};
use crate::units::{Span, Stamp};

/// Looks that a stage keeps one by one; beyond them each two neighbours become one.
const LOOKS_MAX: usize = 4_096;
/// Transactions of the pooler that others than dbdyno may have made before the account is withheld: what lies between the edges of
/// the two counts is less.
const OTHERS_MAX: f64 = 0.05;

/// The looks of one stage.
#[derive(Debug, Default)]
pub(super) struct PoolerCourse {
    looks: Vec<Look>,
}

/// One look, or several neighbours together.
#[derive(Clone, Debug)]
struct Look {
    at: Stamp,
    count: u64,
    /// Sums over the looks: clients active and waiting, servers active, idle and used.
    sums: [u64; 5],
    clients_waiting_max: u64,
    waited_us_max: u64,
    servers_max: u64,
    opened: u64,
    /// As the last of the looks saw them.
    totals: PoolerTotals,
    cpu_ns: Option<u64>,
}

impl Look {
    fn of(sample: &PoolerSample, at: Stamp) -> Self {
        let PoolerSample { servers_active, servers_idle, servers_used, servers_other, .. } = *sample;
        Self {
            at,
            count: 1,
            sums: [sample.clients_active, sample.clients_waiting, servers_active, servers_idle, servers_used],
            clients_waiting_max: sample.clients_waiting,
            waited_us_max: sample.longest_wait_us,
            servers_max: servers_active + servers_idle + servers_used + servers_other,
            opened: sample.servers_opened,
            totals: sample.totals,
            cpu_ns: sample.cpu_ns,
        }
    }

    /// Takes in the next one.
    fn join(&mut self, next: &Self) {
        self.at = next.at;
        self.count += next.count;
        for (sum, more) in self.sums.iter_mut().zip(next.sums) {
            *sum += more;
        }
        self.clients_waiting_max = self.clients_waiting_max.max(next.clients_waiting_max);
        self.waited_us_max = self.waited_us_max.max(next.waited_us_max);
        self.servers_max = self.servers_max.max(next.servers_max);
        self.opened += next.opened;
        (self.totals, self.cpu_ns) = (next.totals, next.cpu_ns);
    }
}

impl PoolerCourse {
    pub(super) fn add(&mut self, sample: &PoolerSample, window: Span) {
        self.looks.push(Look::of(sample, window.to));
        // The first one stays as it is: the totals count from it.
        if self.looks.len() > LOOKS_MAX {
            let rest = self.looks.split_off(1);
            self.looks.extend(rest.chunks(2).map(|pair| {
                let mut joined = pair[0].clone();
                pair[1..].iter().for_each(|next| joined.join(next));
                joined
            }));
        }
    }

    /// What they say of the window; nothing without a look in it.
    pub(super) fn to_model(&self, window: Span) -> Option<PoolerStage> {
        let inside = self.looks.iter().filter(|look| window.from <= look.at && look.at <= window.to);
        let looks: Vec<&Look> = inside.collect();
        let (first, last) = (looks.first()?, looks.last()?);
        let mut all = (*first).clone();
        looks[1..].iter().for_each(|look| all.join(look));
        let mean = |index: usize| all.sums[index] as f64 / all.count as f64;
        let covers_s = (last.at - first.at).as_secs_f64();
        let cpu_ns = |from: u64, to: u64| to.checked_sub(from).map(|ns| ns as f64 / 1e9 / covers_s);
        Some(PoolerStage {
            looks: all.count,
            clients_active_mean: mean(0),
            clients_waiting_mean: mean(1),
            clients_waiting_max: all.clients_waiting_max,
            seen_waiting_us_max: all.waited_us_max,
            servers_active_mean: mean(2),
            servers_idle_mean: mean(3),
            servers_used_mean: mean(4),
            servers_max: all.servers_max,
            servers_opened: all.opened,
            cpu_fraction: first
                .cpu_ns
                .zip(last.cpu_ns)
                .filter(|_| covers_s > 0.0)
                .and_then(|(a, b)| cpu_ns(a, b)),
            work: (covers_s > 0.0).then(|| work(&first.totals, &last.totals, covers_s)).flatten(),
        })
    }
}

/// What was done between two looks. Totals that became smaller are those of a pooler that began anew.
fn work(from: &PoolerTotals, to: &PoolerTotals, covers_s: f64) -> Option<PoolerWork> {
    let transactions = to.transactions.checked_sub(from.transactions)?;
    // PgBouncer's clocks of a query and of a transaction run from the client's request on, before it looks for a server
    // (`query_start` in src/client.c, of every version): the wait is in both.
    let wait_us = to.wait_us.checked_sub(from.wait_us)?;
    let with_server = |from: u64, to: u64| Some(to.checked_sub(from)?.saturating_sub(wait_us));
    let each = |us: u64| if transactions == 0 { 0.0 } else { us as f64 / transactions as f64 };
    Some(PoolerWork {
        covers_s,
        transactions_per_s: transactions as f64 / covers_s,
        queries_per_s: to.queries.checked_sub(from.queries)? as f64 / covers_s,
        received_bytes_per_s: to.received_bytes.checked_sub(from.received_bytes)? as f64 / covers_s,
        sent_bytes_per_s: to.sent_bytes.checked_sub(from.sent_bytes)? as f64 / covers_s,
        wait_us_mean: each(wait_us),
        transaction_us_mean: each(with_server(from.transaction_us, to.transaction_us)?),
        query_us_mean: each(with_server(from.query_us, to.query_us)?),
        account: None,
    })
}

/// Puts the pooler's account of the time beside our own. Where it saw as many transactions as ended here, they were ours.
pub(super) fn account(stage: &mut Stage) {
    let achieved_per_s = stage.achieved_per_s;
    let means = (stage.response_us.mean, stage.service_us.mean, stage.lag_us.mean);
    let (Some(response_us), Some(service_us), lag_us) = means else { return };
    let Some(work) = stage.pooler.as_mut().and_then(|pooler| pooler.work.as_mut()) else { return };
    if achieved_per_s <= 0.0 || (work.transactions_per_s / achieved_per_s - 1.0).abs() > OTHERS_MAX {
        return;
    }
    let lag_us = lag_us.unwrap_or(0.0);
    let (pooler_wait_us, query_us) = (work.wait_us_mean, work.query_us_mean);
    let pool_wait_us = (response_us - service_us - lag_us).max(0.0);
    let rest_us = response_us - lag_us - pool_wait_us - pooler_wait_us - query_us;
    work.account =
        Some(PoolerAccount { response_us, lag_us, pool_wait_us, pooler_wait_us, query_us, rest_us });
}

pub(super) fn info(header: &PoolerHeader) -> PoolerInfo {
    PoolerInfo {
        name: header.name.clone(),
        address: header.address.clone(),
        is_own: header.is_own,
        mode: header.mode.clone(),
        pool_size: header.pool_size,
        prepared_statements_max: header.prepared_statements_max,
        settings: header.settings.iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(waiting: u64, transactions: u64, wait_us: u64) -> PoolerSample {
        let totals = PoolerTotals { transactions, wait_us, ..PoolerTotals::default() };
        PoolerSample { clients_waiting: waiting, servers_active: 4, totals, ..PoolerSample::default() }
    }

    fn course(samples: &[(u64, PoolerSample)]) -> PoolerCourse {
        let mut course = PoolerCourse::default();
        for (ms, sample) in samples {
            let at = Stamp(ms * 1_000_000);
            course.add(sample, Span { from: at, to: at });
        }
        course
    }

    fn window(from_ms: u64, to_ms: u64) -> Span {
        Span { from: Stamp(from_ms * 1_000_000), to: Stamp(to_ms * 1_000_000) }
    }

    #[test]
    fn only_looks_inside_the_window_count() {
        let looks = [
            (500, sample(99, 0, 0)),
            (1_000, sample(2, 100, 5_000)),
            (2_000, sample(4, 300, 9_000)),
            (3_500, sample(88, 900, 0)),
        ];
        let stage = course(&looks).to_model(window(1_000, 3_000)).expect("two looks");
        assert_eq!((stage.looks, stage.clients_waiting_max), (2, 4));
        assert!((stage.clients_waiting_mean - 3.0).abs() < 1e-9);
        let work = stage.work.expect("a difference");
        assert!((work.transactions_per_s - 200.0).abs() < 1e-9 && (work.wait_us_mean - 20.0).abs() < 1e-9);
    }

    #[test]
    fn a_pooler_that_began_anew_has_levels_and_no_work() {
        let looks = [(1_000, sample(2, 100, 5_000)), (2_000, sample(4, 3, 10))];
        let stage = course(&looks).to_model(window(0, 3_000)).expect("two looks");
        assert!(stage.work.is_none() && stage.looks == 2);
        assert!(course(&[]).to_model(window(0, 3_000)).is_none());
    }

    #[test]
    fn a_long_course_is_joined_and_says_the_same() {
        let looks: Vec<_> = (0..20_000_u64).map(|n| (n * 250, sample(n % 10, n * 7, n * 70))).collect();
        let course = course(&looks);
        assert!(course.looks.len() <= LOOKS_MAX);
        let stage = course.to_model(window(0, 20_000 * 250)).expect("looks");
        assert_eq!((stage.looks, stage.clients_waiting_max), (20_000, 9));
        assert!((stage.clients_waiting_mean - 4.5).abs() < 1e-9);
        let work = stage.work.expect("a difference");
        assert!((work.transactions_per_s - 28.0).abs() < 1e-6 && (work.wait_us_mean - 10.0).abs() < 1e-9);
    }
}
