//! The ledger: the clients' time split into its causes. What the client can measure is measured; what the server did
//! meanwhile is sampled; what neither explains is the remainder. Pure.
//!
//! A part that was sampled is L ÷ λ: with L sessions in it at a time, and λ calls a second, a call spends L ÷ λ in it (Little
//! 1961, "A Proof for the Queuing Formula L = λW", Operations Research 9, 383–387).

use std::time::Duration;

use crate::model::{Ledger, LedgerPart, Phase, Sampled, ServerActive};
use crate::record::histogram::Distribution;
use crate::record::observation::{ProcessSample, Who};
use crate::record::set::{StatementSet, TransactionSet};
use crate::units::StatementId;

use super::samples::{Estimate, IDLE_IN_TRANSACTION, Kind, Samples};

/// What all parts of a stage share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    /// Time that all transactions together held connections, ÷ the mean number of connections that were busy while it was looked;
    /// in microseconds. That is the length of the stage, but for the transactions across its edges, which count whole among the
    /// transactions and in part among the sightings.
    pub(super) window_us: f64,
    /// A round trip of an empty query at rest, in microseconds.
    pub(super) round_trip_us: Option<f64>,
    /// What the kernel says of the sessions' processes.
    pub(super) cores: Option<Cores>,
}

/// How sessions of the pool got to run. The kernel counts all of their time; the server shows a session as active only from
/// the moment at which it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cores {
    /// Of the time in which sessions were active and waited for nothing, the share in which they ran.
    pub(super) running_share: f64,
    /// Time for which a session was ready to run and not yet active, for each round trip, in microseconds.
    pub(super) wake_up_us: f64,
}

impl Cores {
    /// From the processes of the pool over the time `covered`; `active` sessions at a time were active and waited for nothing,
    /// and there were so many round trips in each second. Nothing where no process ran.
    pub(super) fn of(
        processes: &ProcessSample,
        covered: Duration,
        active: f64,
        round_trips_per_s: f64,
    ) -> Option<Self> {
        let mean = |ns: u64| ns as f64 / covered.as_nanos() as f64;
        let (running, runnable) = (mean(processes.pool_cpu_ns), mean(processes.pool_run_queue_ns));
        if covered.is_zero() || running <= 0.0 || round_trips_per_s <= 0.0 {
            return None;
        }
        Some(Self {
            running_share: if active > running { running / active } else { 1.0 },
            wake_up_us: (running + runnable - active).max(0.0) / round_trips_per_s * 1e6,
        })
    }
}

/// What sessions were seen doing in statements.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    /// All of it together.
    pub(super) total: Estimate,
    /// By the event that was waited for; nothing where they ran or could run.
    pub(super) by_event: Vec<(Option<String>, Estimate)>,
}

/// What was seen while the load of a stage went on, and what all of its ledgers share.
pub(super) struct Watched {
    /// Without the drain.
    pub(super) activity: Samples,
    pub(super) in_stage: Circumstances,
}

impl Watched {
    /// What the statements that `of` accepts were seen doing on the server, and this share of what BEGINs and COMMITs were.
    pub(super) fn active(&self, of: impl Fn(StatementId) -> bool, controls: f64) -> Active {
        let statements = Active::of(&self.activity, |who| matches!(who, Who::Statement(id) if of(*id)));
        if controls <= 0.0 {
            return statements;
        }
        statements.and(Active::of(&self.activity, |who| matches!(who, Who::Control(_))).share(controls))
    }
}

impl Active {
    /// What sessions of those whom `whose` accepts were seen executing.
    fn of(activity: &Samples, whose: impl Fn(&Who) -> bool) -> Self {
        let executes = |(who, wait): &Kind| whose(who) && wait.as_deref() != Some(IDLE_IN_TRANSACTION);
        Self {
            total: activity.estimate(executes),
            by_event: activity.estimates(|kind| executes(kind).then(|| kind.1.clone())),
        }
    }

    /// A part of it.
    fn share(self, share: f64) -> Self {
        let part = |(event, estimate): (Option<String>, Estimate)| (event, estimate.share(share));
        Self { total: self.total.share(share), by_event: self.by_event.into_iter().map(part).collect() }
    }

    /// Both together.
    fn and(mut self, other: Self) -> Self {
        self.total = self.total.and(other.total);
        for (event, estimate) in other.by_event {
            match self.by_event.iter_mut().find(|(known, _)| *known == event) {
                Some((_, known)) => *known = known.and(estimate),
                None => self.by_event.push((event, estimate)),
            }
        }
        self
    }
}

/// Times of the transactions of one kind, or of several kinds, summed; in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Times {
    calls: u64,
    lag: f64,
    pool_wait: f64,
    retries: f64,
    begin: f64,
    commit: f64,
    application: f64,
    /// In statements, from sent to done.
    statements: f64,
    executions: f64,
    /// Time with a connection of tries that count ÷ that of all tries.
    counted: f64,
    held: f64,
}

impl Times {
    /// Of one kind of transaction and its statements. The transactions that ended ok count. What statements took is known of all
    /// tries together: those that count are taken to have spent their time as the others did.
    pub(super) fn of<'a>(
        transaction: &TransactionSet,
        statements: impl Iterator<Item = &'a StatementSet>,
    ) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        let service = us(transaction.service.sum_ns());
        let held = us(transaction.hold.sum_ns());
        let counted = if held > 0.0 { (service / held).min(1.0) } else { 1.0 };
        let (mut executed, mut executions) = (0.0, 0.0);
        for set in statements {
            executed += us(set.execute.sum_ns() + set.errors_ns) * counted;
            executions += (set.execute.count() + set.errors) as f64 * counted;
        }
        // A pipeline and a COMMIT are recorded where they end well: they are of tries that count.
        executed += us(transaction.pipeline.sum_ns());
        executions += transaction.pipeline.count() as f64;
        let (begin, commit) = (us(transaction.begin.sum_ns()) * counted, us(transaction.commit.sum_ns()));
        // Of the lag only what belongs to transactions that ended ok.
        let pool_wait = us(transaction.pool_wait.sum_ns());
        let outside = (us(transaction.response.sum_ns()) - pool_wait - service).max(0.0);
        let lag = (mean_us(&transaction.lag) * transaction.response.count() as f64).min(outside);
        Self {
            calls: transaction.response.count(),
            lag,
            pool_wait,
            retries: outside - lag,
            begin,
            commit,
            application: (service - begin - commit - executed).max(0.0),
            statements: executed.min(service),
            executions,
            counted: service.min(held),
            held,
        }
    }

    /// Adds those of another kind.
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.lag += other.lag;
        self.pool_wait += other.pool_wait;
        self.retries += other.retries;
        self.begin += other.begin;
        self.commit += other.commit;
        self.application += other.application;
        self.statements += other.statements;
        self.executions += other.executions;
        self.counted += other.counted;
        self.held += other.held;
    }

    /// Their ledger, with what their sessions were seen doing in statements. Nothing without a call.
    pub(super) fn ledger(&self, active: &Active, in_stage: Circumstances) -> Option<Ledger> {
        if self.calls == 0 {
            return None;
        }
        let calls = self.calls as f64;
        let each = |sum: f64| sum / calls;
        let counted = if self.held > 0.0 { self.counted / self.held } else { 1.0 };
        let scale = in_stage.window_us * counted / calls;
        let mut ledger = Draft::default();
        ledger.measured(Phase::Lag, each(self.lag));
        ledger.measured(Phase::PoolWait, each(self.pool_wait));
        ledger.measured(Phase::Retries, each(self.retries));
        ledger.measured(Phase::Begin, each(self.begin));
        ledger.measured(Phase::Application, each(self.application));
        let executed = (each(self.statements), each(self.executions));
        let remainder = ledger.statements(executed, active, scale, in_stage);
        ledger.measured(Phase::Commit, each(self.commit));
        Some(ledger.finish(self.calls, remainder, None))
    }
}

/// The ledger of one statement, whose executions are each a sample. `counted_us` is the server's own account of one. Nothing
/// without an execution, or where it is sent in pipelines, of which only the whole has a time.
pub(super) fn of_statement(
    set: &StatementSet,
    active: &Active,
    counted_us: Option<f64>,
    in_stage: Circumstances,
) -> Option<Ledger> {
    let calls = set.execute.count() + set.errors;
    if calls == 0 || set.pipelined > 0 {
        return None;
    }
    let client_us = (set.execute.sum_ns() + set.errors_ns) as f64 / 1e3 / calls as f64;
    let scale = in_stage.window_us / calls as f64;
    let mut ledger = Draft::default();
    let remainder = ledger.statements((client_us, 1.0), active, scale, in_stage);
    Some(ledger.finish(calls, remainder, counted_us))
}

fn mean_us(distribution: &Distribution) -> f64 {
    match distribution.count() {
        0 => 0.0,
        count => distribution.sum_ns() as f64 / 1e3 / count as f64,
    }
}

/// A ledger in the making.
#[derive(Default)]
struct Draft {
    parts: Vec<LedgerPart>,
    /// All sampled time of the server together.
    active: Option<ServerActive>,
}

impl Draft {
    fn measured(&mut self, what: Phase, us: f64) {
        // Less than a nanosecond is what rounding left.
        if us >= 1e-3 {
            self.parts.push(LedgerPart { what, us, share: 0.0, sampled: None });
        }
    }

    /// Splits the time in statements: the server's part by the samples; a round trip at rest and a wake-up for each execution, as far
    /// as there is room for them. Gives what is left.
    fn statements(
        &mut self,
        (client_us, executions): (f64, f64),
        active: &Active,
        scale: f64,
        in_stage: Circumstances,
    ) -> f64 {
        let mut sampled: Vec<LedgerPart> = Vec::new();
        for (wait, estimate) in &active.by_event {
            let part = |what: Phase, share: f64| {
                let us = |sessions: f64| sessions * scale * share;
                let interval =
                    Sampled { count: estimate.count, low_us: us(estimate.low), high_us: us(estimate.high) };
                LedgerPart { what, us: us(estimate.mean), share: 0.0, sampled: Some(interval) }
            };
            match (wait, in_stage.cores.map(|cores| cores.running_share)) {
                (Some(event), _) => sampled.push(part(Phase::Wait(event.clone()), 1.0)),
                (None, Some(running)) => {
                    sampled.push(part(Phase::Running, running));
                    sampled.push(part(Phase::Runnable, 1.0 - running));
                }
                (None, None) => sampled.push(part(Phase::Cpu, 1.0)),
            }
        }
        sampled.retain(|part| part.us > 0.0);
        sampled.sort_by(|a, b| {
            let is_wait = |part: &LedgerPart| matches!(part.what, Phase::Wait(_));
            is_wait(a).cmp(&is_wait(b)).then(b.us.total_cmp(&a.us))
        });
        let on_server: f64 = sampled.iter().map(|part| part.us).sum();
        let room = (client_us - on_server).max(0.0);
        let network = in_stage.round_trip_us.map_or(0.0, |us| (us * executions).min(room));
        let wake_up = in_stage.cores.map_or(0.0, |cores| (cores.wake_up_us * executions).min(room - network));
        self.measured(Phase::Network, network);
        self.measured(Phase::WakeUp, wake_up);
        self.active = Some(ServerActive {
            sampled_us: on_server,
            low_us: scale * active.total.low,
            high_us: scale * active.total.high,
            counted_us: None,
        });
        self.parts.append(&mut sampled);
        client_us - on_server - network - wake_up
    }

    fn finish(mut self, calls: u64, remainder_us: f64, counted_us: Option<f64>) -> Ledger {
        let client_us = self.parts.iter().map(|part| part.us).sum::<f64>() + remainder_us;
        if client_us > 0.0 {
            for part in &mut self.parts {
                part.share = part.us / client_us;
            }
        }
        let server = self.active.map(|active| ServerActive { counted_us, ..active });
        Ledger { calls, client_us, parts: self.parts, remainder_us, server }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(count: u64, mean: f64) -> Estimate {
        Estimate { count, mean, low: mean * 0.9, high: mean * 1.1 }
    }

    fn active(by_event: &[(Option<&str>, u64, f64)]) -> Active {
        let sum = |pick: fn(&(Option<&str>, u64, f64)) -> f64| by_event.iter().map(pick).sum::<f64>();
        Active {
            total: seen(by_event.iter().map(|(_, count, _)| count).sum(), sum(|(_, _, mean)| *mean)),
            by_event: by_event
                .iter()
                .map(|(event, count, mean)| (event.map(str::to_owned), seen(*count, *mean)))
                .collect(),
        }
    }

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    /// Ten seconds in which sixteen clients want one row: each holds it for 20 ms, so that 500 transactions take 320 ms each,
    /// 300 of them in the queue.
    fn hot_row() -> (TransactionSet, StatementSet) {
        let (mut transaction, mut statement) = (TransactionSet::default(), StatementSet::default());
        for _ in 0..500 {
            transaction.response.record(us(320_000));
            transaction.service.record(us(320_000));
            transaction.hold.record(us(320_000));
            transaction.pool_wait.record(us(0));
            transaction.begin.record(us(100));
            transaction.commit.record(us(300));
            statement.execute.record(us(299_500));
        }
        (transaction, statement)
    }

    fn part<'a>(ledger: &'a Ledger, what: &Phase) -> &'a LedgerPart {
        ledger
            .parts
            .iter()
            .find(|part| part.what == *what)
            .unwrap_or_else(|| panic!("no {what:?}: {ledger:?}"))
    }

    #[test]
    fn parts_and_remainder_add_up_to_the_clients_time() {
        let (transaction, statement) = hot_row();
        let times = Times::of(&transaction, [&statement].into_iter());
        let in_stage = Circumstances {
            window_us: 1e7,
            round_trip_us: Some(80.0),
            cores: Some(Cores { running_share: 0.75, wake_up_us: 500.0 }),
        };
        // 14.9 sessions wait at a time, 0.02 run: 298 ms and 400 µs of each transaction.
        let seen = active(&[(Some("Lock:transactionid"), 1490, 14.9), (None, 2, 0.02)]);
        let ledger = times.ledger(&seen, in_stage).expect("there were calls");
        assert_eq!(ledger.calls, 500);
        assert!((ledger.client_us - 320_000.0).abs() < 1e-6);
        let sum: f64 = ledger.parts.iter().map(|part| part.us).sum();
        assert!((sum + ledger.remainder_us - ledger.client_us).abs() < 1e-6);
        let lock = part(&ledger, &Phase::Wait("Lock:transactionid".to_owned()));
        assert!((lock.us - 298_000.0).abs() < 1e-6 && (lock.share - 0.93125).abs() < 1e-9, "{lock:?}");
        assert_eq!(lock.sampled.map(|sampled| sampled.count), Some(1490));
        assert!((part(&ledger, &Phase::Application).us - 20_100.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::Running).us - 300.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::Runnable).us - 100.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::Network).us - 80.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::WakeUp).us - 500.0).abs() < 1e-6);
        // 299.5 ms in the statement, less 298.4 on the server, less a round trip and a wake-up.
        assert!((ledger.remainder_us - 520.0).abs() < 1e-6);
        assert!(ledger.parts.iter().all(|part| part.what != Phase::Lag), "a closed loop has none");
    }

    #[test]
    fn samples_that_say_more_than_there_was_leave_a_remainder_below_zero() {
        let mut set = StatementSet::default();
        (0..1000).for_each(|_| set.execute.record(us(100)));
        let in_stage = Circumstances { window_us: 1e6, round_trip_us: Some(50.0), cores: None };
        let ledger = of_statement(&set, &active(&[(None, 12, 0.12)]), Some(97.0), in_stage)
            .expect("there were executions");
        assert!((part(&ledger, &Phase::Cpu).us - 120.0).abs() < 1e-9);
        assert!((ledger.remainder_us + 20.0).abs() < 1e-9);
        assert!((ledger.client_us - 100.0).abs() < 1e-9);
        let server = ledger.server.expect("it was sampled");
        assert_eq!(server.counted_us, Some(97.0));
        assert!((server.sampled_us - 120.0).abs() < 1e-9 && (server.low_us - 108.0).abs() < 1e-9);
    }

    #[test]
    fn tries_that_failed_do_not_swell_those_that_count() {
        let (mut transaction, mut statement) = hot_row();
        // Each transaction was begun twice, and the first try failed after as long as the second took.
        for _ in 0..500 {
            transaction.hold.record(us(320_000));
            transaction.begin.record(us(100));
            statement.execute.record(us(299_500));
        }
        transaction.response = crate::record::histogram::Distribution::default();
        (0..500).for_each(|_| transaction.response.record(us(640_000)));
        let in_stage = Circumstances { window_us: 2e7, ..Circumstances::default() };
        let times = Times::of(&transaction, [&statement].into_iter());
        let ledger = times
            .ledger(&active(&[(Some("Lock:transactionid"), 2980, 14.9)]), in_stage)
            .expect("there were calls");
        assert!((part(&ledger, &Phase::Retries).us - 320_000.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::Wait("Lock:transactionid".to_owned())).us - 298_000.0).abs() < 1e-6);
        // Only the second try came to its COMMIT, and each to its BEGIN.
        assert!((part(&ledger, &Phase::Commit).us - 300.0).abs() < 1e-6);
        assert!((part(&ledger, &Phase::Begin).us - 100.0).abs() < 1e-6);
    }

    #[test]
    fn what_was_seen_in_a_commit_of_a_pipeline_joins_what_was_seen_in_its_statements() {
        let both = active(&[(None, 10, 0.1), (Some("IO:WalSync"), 2, 0.02)])
            .and(active(&[(Some("IO:WalSync"), 8, 0.08), (Some("LWLock:WALWrite"), 1, 0.01)]));
        let means: Vec<_> =
            both.by_event.iter().map(|(event, seen)| (event.as_deref(), seen.count)).collect();
        assert_eq!(means, [(None, 10), (Some("IO:WalSync"), 10), (Some("LWLock:WALWrite"), 1)]);
        assert!((both.total.mean - 0.21).abs() < 1e-9 && both.total.count == 21);
        assert_eq!(seen(10, 1.0).share(0.25).count, 3);
    }

    #[test]
    fn two_kinds_together_weigh_as_often_as_they_were_called() {
        let (transaction, statement) = hot_row();
        let one = Times::of(&transaction, [&statement].into_iter());
        let mut quick = TransactionSet::default();
        for _ in 0..1500 {
            quick.response.record(us(1000));
            quick.service.record(us(1000));
            quick.hold.record(us(1000));
        }
        let mut both = one;
        both.add(&Times::of(&quick, std::iter::empty()));
        let ledger = both.ledger(&Active::default(), Circumstances::default()).expect("there were calls");
        assert_eq!(ledger.calls, 2000);
        assert!((ledger.client_us - 80_750.0).abs() < 1e-6);
    }

    #[test]
    fn what_the_kernel_counts_beyond_active_sessions_is_waking_up() {
        let processes = ProcessSample { pool_cpu_ns: 13, pool_run_queue_ns: 43, ..ProcessSample::default() };
        let of = |active: f64| Cores::of(&processes, Duration::from_nanos(10), active, 2_000.0);
        // 1.3 sessions run and 4.3 would: 1.6 of these are active, the other 4.0 are on their way to 2,000 statements a second.
        let cores = of(1.6).expect("they ran");
        assert!((cores.running_share - 1.3 / 1.6).abs() < 1e-9, "{cores:?}");
        assert!((cores.wake_up_us - 2_000.0).abs() < 1e-6, "{cores:?}");
        // Samples that see less than there was split nothing, and more than there was leave no wake-up.
        assert_eq!(of(1.0).map(|cores| cores.running_share), Some(1.0));
        assert_eq!(of(6.0).map(|cores| cores.wake_up_us), Some(0.0));
        assert_eq!(Cores::of(&ProcessSample::default(), Duration::from_secs(1), 1.0, 1.0), None);
    }

    #[test]
    fn without_a_call_there_is_no_ledger() {
        let none = Times::of(&TransactionSet::default(), std::iter::empty());
        assert_eq!(none.ledger(&Active::default(), Circumstances::default()), None);
        assert_eq!(
            of_statement(&StatementSet::default(), &Active::default(), None, Circumstances::default()),
            None
        );
    }
}
