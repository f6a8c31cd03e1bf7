//! What the report tells of one stage.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::analysis::ledger::{self, Circumstances, Cores, Times, Watched};
use crate::analysis::measures;
use crate::analysis::pooler;
use crate::analysis::quantiles::{curve, quantiles, with_censored};
use crate::analysis::samples::{IDLE_IN_TRANSACTION, Samples, is_of_pool};
use crate::analysis::{deadlocks, indexes, locks, rfc3339, server, storm};
use crate::model;
use crate::record::accounting::Books;
use crate::record::entry::{Header, LoadHeader, StageHeader, WarmUpEnded, WarmUpWait, WorkloadHeader};
use crate::record::gauge::PoolLevels;
use crate::record::histogram::Distribution;
use crate::record::kept::{Kept, KeptDistribution};
use crate::record::observation::{HostSample, Who};
use crate::units::{Span, Stamp, StatementId};

use super::{StageAnalysis, names, per_second};

/// What a session that waits for nothing is in: it runs, or could run.
const RUNNING: &str = "CPU";
/// Gap between two ways of measuring the same thing that rounding and clipping explain.
const LITTLE_TOLERANCE: f64 = 0.02;

impl StageAnalysis {
    /// This stage's part of the report.
    pub(in crate::analysis) fn to_model(&self, header: &Header) -> model::Stage {
        let plan = header.stages.get(self.id.index());
        let clients = plan.and_then(|stage| match stage.load {
            LoadHeader::Clients(clients) => Some(clients),
            LoadHeader::Rate(_) | LoadHeader::Sessions(_) => None,
        });
        let counters = self.counters();
        let watched = self.watched(header);
        let mut stage = model::Stage {
            name: plan.map_or_else(|| format!("stage {}", self.id.0), |stage| stage.name.clone()),
            measured: self.measured,
            started_at: rfc3339(header, self.begun_at),
            duration_s: self.window_s(),
            drain_s: (self.last_at - self.window().to).as_secs_f64(),
            load: plan.map(StageHeader::whole_load),
            offered_per_s: self.offered_per_s(header),
            clients,
            achieved_per_s: self.achieved_per_s(),
            accounting: self.accounting(),
            response_us: with_censored(&self.total(|t| &t.response), &self.total(|t| &t.censored)),
            service_us: quantiles(&self.total(|t| &t.service)),
            lag_us: quantiles(&self.total(|t| &t.lag)),
            transactions: self.transactions(header, watched.as_ref()),
            statements: self.statements(header, watched.as_ref()),
            plan_changes: self
                .plans
                .changes(self.begun_at, |id| header.workload_of(self.id).statement_name(id)),
            measures: measures::measures(
                header.workload_of(self.id),
                &self.set.measures,
                &self.measured_in_window,
                self.window_s(),
            ),
            gauges: self.gauges.to_model(header.workload_of(self.id), self.begun_at),
            pool: self.pool(plan.map_or(1, |stage| stage.instances)),
            storm: self
                .set
                .pool
                .storm
                .as_ref()
                .map(|part| storm::storm(part, self.begun_at, self.intervals.all())),
            pooler: self.pooler.to_model(self.window()),
            locks: self.locks(header),
            deadlocks: self.deadlocks(header),
            deadlocks_dropped: self.deadlocks_dropped,
            waits: self.waits(is_of_pool),
            server: counters.map(|(begin, end, window)| server::server(begin, end, window)),
            tables: counters.map(|(begin, end, _)| server::tables(begin, end)).unwrap_or_default(),
            indexes: counters.map(|(begin, end, _)| indexes::indexes(begin, end)).unwrap_or_default(),
            host: self.host.as_ref().and_then(|host| host_info(host, self.traffic_covers)),
            ledger: watched.as_ref().and_then(|watched| self.ledger(header.workload_of(self.id), watched)),
            processes: self.process_info(),
            warm_up: self
                .warm_up
                .as_ref()
                .map(|ended| warm_up_info(ended, self.begun_at, header.workload_of(self.id))),
            recovery: None,
            intervals: self.intervals.all().to_vec(),
            server_intervals: self.server_course.intervals(),
            wait_intervals: self.wait_intervals(),
            host_intervals: self.host_course.host(),
            process_intervals: self.host_course.processes(),
            server_events: self.server_course.events(counters.map(|(begin, end, _)| (begin, end))),
            server_events_dropped: self.server_course.dropped(),
            checks: self.checks(),
        };
        pooler::account(&mut stage);
        stage
    }

    /// The distributions by which the stage can be compared with that of another run; empty ones are left out.
    pub(in crate::analysis) fn kept(&self, header: &Header) -> Vec<KeptDistribution> {
        let workload = header.workload_of(self.id);
        let stage_name =
            header.stages.get(self.id.index()).map_or_else(String::new, |stage| stage.name.clone());
        let keep = |owner: &str, what: Kept, distribution: &Distribution| KeptDistribution {
            stage: self.id,
            stage_name: stage_name.clone(),
            owner: owner.to_owned(),
            what,
            distribution: distribution.clone(),
        };
        let mut kept = Vec::new();
        for (set, transaction) in self.set.transactions.iter().zip(&workload.transactions) {
            kept.extend([
                keep(&transaction.name, Kept::Response, &set.response),
                keep(&transaction.name, Kept::Censored, &set.censored),
                keep(&transaction.name, Kept::Service, &set.service),
                keep(&transaction.name, Kept::PoolWait, &set.pool_wait),
                keep(&transaction.name, Kept::Lag, &set.lag),
            ]);
        }
        for (index, set) in self.set.statements.iter().enumerate() {
            if let Some(owner) = workload.statement_name(StatementId::from_index(index)) {
                kept.push(keep(&owner, Kept::Execute, &set.execute));
            }
        }
        kept.retain(|kept| !kept.distribution.is_empty());
        kept
    }

    /// Waits for locks, joined to the client's own stamps.
    pub(in crate::analysis) fn locks(&self, header: &Header) -> model::LockInfo {
        let names = names(header.workload_of(self.id));
        let window = Span { from: self.begun_at, to: self.last_at };
        let interval_ms = self.activity.lock_interval_ms(header.probe_interval_ms);
        let mut locks = locks::analyse(&self.episodes, &self.spans, &names, window, interval_ms);
        locks.episodes_dropped = self.episodes_dropped;
        locks.wait_us_sampled = self.lock_wait_us_sampled(window);
        locks::charge(&mut locks, self.client_us_total());
        locks
    }

    /// How long clients waited for transactions in all, whether these were answered or given up.
    fn client_us_total(&self) -> u64 {
        (self.sum_ns(|set| &set.response) + self.sum_ns(|set| &set.censored)) / 1000
    }

    /// Sessions of the pool that waited for a lock in a mean look, times the length of the stage. A look meets a wait with a
    /// probability that grows with its length, which is what makes the mean right for short and for long ones.
    fn lock_wait_us_sampled(&self, window: Span) -> Option<u64> {
        let is_lock_wait =
            |wait: &Option<String>| wait.as_ref().is_some_and(|wait| wait.starts_with("Lock:"));
        let seen: u64 = self
            .activity
            .kinds()
            .filter(|((who, wait), _)| is_of_pool(who) && is_lock_wait(wait))
            .map(|(_, count)| count)
            .sum();
        let us = u64::try_from(window.duration().as_micros()).unwrap_or(u64::MAX);
        let looks = self.activity.looks();
        (looks > 0).then(|| seen.saturating_mul(us) / looks)
    }

    fn deadlocks(&self, header: &Header) -> Vec<model::DeadlockInfo> {
        let workload = header.workload_of(self.id);
        let transactions: Vec<String> =
            workload.transactions.iter().map(|transaction| transaction.name.clone()).collect();
        let evidence = deadlocks::Evidence {
            episodes: &self.episodes,
            written: &self.deadlocks_written,
            spans: &self.spans,
            statements: &names(workload),
            transactions: &transactions,
        };
        deadlocks::analyse(&self.deadlocks, &evidence, self.begun_at)
    }

    /// What was waited for by those whom `whose` accepts, the most frequent first.
    pub(in crate::analysis) fn waits(&self, whose: impl Fn(&Who) -> bool) -> Vec<model::WaitShare> {
        self.wait_shares(|who, _| whose(who))
    }

    /// What the sessions of the pool were in over time.
    fn wait_intervals(&self) -> Vec<model::WaitIntervalInfo> {
        let of_pool = self.activity.course(|(who, wait)| {
            is_of_pool(who).then(|| wait.clone().unwrap_or_else(|| RUNNING.to_owned()))
        });
        of_pool
            .map(|(span, sessions)| model::WaitIntervalInfo {
                t_s: (span.to - self.begun_at).as_secs_f64(),
                length_s: span.duration().as_secs_f64(),
                sessions,
            })
            .collect()
    }

    fn wait_shares(&self, counts_in: impl Fn(&Who, Option<&str>) -> bool) -> Vec<model::WaitShare> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for ((who, wait), count) in self.activity.kinds() {
            if counts_in(who, wait.as_deref()) {
                *counts.entry(wait.as_deref().unwrap_or(RUNNING)).or_default() += count;
            }
        }
        let all: u64 = counts.values().sum();
        let looks = self.activity.looks().max(1) as f64;
        let mut shares: Vec<_> = counts
            .into_iter()
            .map(|(event, count)| model::WaitShare {
                event: event.to_owned(),
                count,
                share: count as f64 / all as f64,
                sessions_mean: count as f64 / looks,
            })
            .collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.count));
        shares
    }

    /// What one statement waited for while it was executed.
    fn waits_of(&self, id: StatementId) -> Vec<model::WaitShare> {
        self.wait_shares(|who, wait| *who == Who::Statement(id) && wait != Some(IDLE_IN_TRANSACTION))
    }

    /// Of all BEGINs and COMMITs that were sent, the share of those in pipelines of transactions that `of` accepts: their time is a
    /// part of the pipeline's, where others have a time of their own.
    fn pipelined_share(&self, of: impl Fn(usize) -> bool) -> f64 {
        let sets = self.set.transactions.iter().enumerate();
        let all: u64 = sets.clone().map(|(_, set)| set.pipeline.count() + set.commit.count()).sum();
        let pipelined: u64 = sets.filter(|(index, _)| of(*index)).map(|(_, set)| set.pipeline.count()).sum();
        if all == 0 { 0.0 } else { pipelined as f64 / all as f64 }
    }

    /// What all ledgers of the stage share; nothing where nobody looked, or when its distributions were let go.
    fn watched(&self, header: &Header) -> Option<Watched> {
        let held_us = self.sum_ns(|set| &set.hold) as f64 / 1e3;
        let busy = self.window_levels.busy_ns as f64 / 1e9 / self.window_s();
        let was_watched = self.activity.looks() > 0 && self.books_of_warm_up.is_none();
        (was_watched && busy > 0.0).then(|| {
            let activity = self.activity.until(self.window().to);
            let in_stage = Circumstances {
                window_us: held_us / busy,
                // What was added to each round trip is a part of the network that was wished for.
                round_trip_us: self.round_trip_ns.map(|ns| (ns + header.sessions.rtt_ns) as f64 / 1e3),
                cores: self.cores(&activity),
            };
            Watched { activity, in_stage }
        })
    }

    /// How the sessions got to run, where the kernel tells.
    fn cores(&self, activity: &Samples) -> Option<Cores> {
        let (processes, covered) = self.processes.as_ref()?;
        let active = activity.estimate(|(who, wait)| is_of_pool(who) && wait.is_none());
        let control = self.set.transactions.iter().map(|set| set.begin.count() + set.commit.count());
        let pipelines = self.set.transactions.iter().map(|set| set.pipeline.count());
        let executions = self.set.statements.iter().map(|set| set.execute.count() + set.errors);
        let round_trips: u64 = control.chain(pipelines).chain(executions).sum();
        let whole_s = (self.last_at - self.begun_at).as_secs_f64();
        Cores::of(processes, *covered, active.mean, per_second(round_trips, whole_s))
    }

    /// The times of one transaction, for its ledger.
    fn times(&self, transaction: usize, workload: &WorkloadHeader) -> Times {
        let own = self.set.statements.iter().zip(&workload.statements);
        let own = own.filter(|(_, statement)| statement.transaction.index() == transaction);
        Times::of(&self.set.transactions[transaction], own.map(|(set, _)| set))
    }

    fn ledger(&self, workload: &WorkloadHeader, watched: &Watched) -> Option<model::Ledger> {
        let mut all = Times::default();
        for transaction in 0..self.set.transactions.len() {
            all.add(&self.times(transaction, workload));
        }
        all.ledger(&watched.active(|_| true, self.pipelined_share(|_| true)), watched.in_stage)
    }

    fn ledger_of_transaction(
        &self,
        index: usize,
        workload: &WorkloadHeader,
        watched: &Watched,
    ) -> Option<model::Ledger> {
        let is_own = |id: StatementId| {
            workload.statements.get(id.index()).is_some_and(|of| of.transaction.index() == index)
        };
        let controls = self.pipelined_share(|transaction| transaction == index);
        self.times(index, workload).ledger(&watched.active(is_own, controls), watched.in_stage)
    }

    fn ledger_of_statement(
        &self,
        id: StatementId,
        watched: &Watched,
        server: Option<&model::StatementServerInfo>,
    ) -> Option<model::Ledger> {
        // A row that stands for several statements is no account of one of them.
        let counted = server.filter(|server| server.calls > 0 && server.shared_by.is_empty());
        let counted_us = counted.map(|server| server.exec_us_mean + server.plan_us_mean);
        let active = watched.active(|of| of == id, 0.0);
        ledger::of_statement(&self.set.statements[id.index()], &active, counted_us, watched.in_stage)
    }

    fn process_info(&self) -> Option<model::ServerProcessInfo> {
        let (sample, covered) = self.processes.as_ref()?;
        let ns = covered.as_nanos() as f64;
        let cores = |cpu_ns: u64| cpu_ns as f64 / ns;
        (ns > 0.0).then(|| model::ServerProcessInfo {
            cores: cores(sample.server_cpu_ns),
            pool_cores: cores(sample.pool_cpu_ns),
            probe_cores: cores(sample.probe_cpu_ns),
            pool_runnable: cores(sample.pool_run_queue_ns),
        })
    }

    fn accounting(&self) -> model::Accounting {
        let Books { ok, failed, unknown, skipped, abandoned, retried, .. } = self.books();
        // A run that was cut off leaves open what was under way at its last interval.
        let carried_out = if self.ended_at.is_some() { self.carried_out } else { self.open };
        model::Accounting {
            carried_in: self.carried_in,
            issued: self.planned,
            ok,
            failed,
            unknown,
            skipped,
            abandoned,
            carried_out,
            retried,
            balanced: self.carried_in + self.planned
                == ok + failed + unknown + skipped + abandoned + carried_out,
        }
    }

    fn transactions(&self, header: &Header, watched: Option<&Watched>) -> Vec<model::TransactionInfo> {
        let workload = header.workload_of(self.id);
        let sets = self.set.transactions.iter().zip(&self.ok_in_window);
        sets.zip(&workload.transactions)
            .enumerate()
            .map(|(index, ((set, ok_in_window), transaction))| model::TransactionInfo {
                name: transaction.name.clone(),
                count: set.books.closed(),
                ok: set.books.ok,
                per_s: per_second(*ok_in_window, self.window_s()),
                response_us: with_censored(&set.response, &set.censored),
                response_curve: curve(&set.response, &set.censored),
                service_us: quantiles(&set.service),
                pool_wait_us: quantiles(&set.pool_wait),
                lag_us: quantiles(&set.lag),
                hold_us: quantiles(&set.hold),
                commit_us: quantiles(&set.commit),
                pipeline_us: quantiles(&set.pipeline),
                errors: set.errors.clone(),
                ledger: watched.and_then(|watched| self.ledger_of_transaction(index, workload, watched)),
            })
            .collect()
    }

    fn statements(&self, header: &Header, watched: Option<&Watched>) -> Vec<model::StatementInfo> {
        let counters = self.counters();
        let workload = header.workload_of(self.id);
        let sets = self.set.statements.iter().zip(&workload.statements).enumerate();
        sets.map(|(index, (set, statement))| {
            let id = StatementId::from_index(index);
            let server = counters.and_then(|(begin, end, _)| server::statement(id, begin, end, workload));
            model::StatementInfo {
                name: statement.name.clone(),
                transaction: workload.transactions[statement.transaction.index()].name.clone(),
                kind: statement.kind.clone(),
                sql: statement.sql.clone(),
                count: set.execute.count() + set.pipelined,
                pipelined: set.pipelined,
                errors: set.errors,
                rows: set.rows,
                empty: set.empty,
                no_index: (header.target.engine != "postgresql").then_some(set.no_index),
                execute_us: quantiles(&set.execute),
                first_row_us: quantiles(&set.first_row),
                waits: self.waits_of(id),
                ledger: watched.and_then(|watched| self.ledger_of_statement(id, watched, server.as_ref())),
                server,
                plans: self.plans.infos(id, self.begun_at),
                generic_plan: self.plans.generic(id),
                no_plan: self.plans.why_none(id),
            }
        })
        .collect()
    }

    fn pool(&self, instances: u32) -> model::PoolInfo {
        let pool = &self.set.pool;
        let levels = &self.window_levels;
        let instance_s = levels.observed_ns as f64;
        let mean = |integral: u64| {
            if instance_s > 0.0 { integral as f64 / instance_s * f64::from(instances) } else { 0.0 }
        };
        model::PoolInfo {
            size: self.pool_size,
            instances,
            busy_mean: mean(levels.busy_ns),
            busy_max: levels.busy_max,
            waiting_mean: mean(levels.waiting_ns),
            waiting_max: levels.waiting_max,
            saturated_fraction: mean(levels.saturated_ns) / f64::from(instances.max(1)),
            wait_us: quantiles(&pool.wait),
            timeouts: pool.timeouts,
            creates: pool.create.count(),
            create_us: quantiles(&pool.create),
            create_errors: pool.create_errors,
            discarded: pool.discarded,
            by_instance: self.window_by_instance.iter().map(instance_info).collect(),
            retired: pool.retired,
        }
    }

    fn checks(&self) -> Vec<model::Check> {
        let accounting = self.accounting();
        let mut checks = vec![model::Check {
            name: "books".to_owned(),
            holds: accounting.balanced,
            left: (accounting.carried_in + accounting.issued) as f64,
            right: (self.books().closed() + accounting.carried_out) as f64,
            what: "transactions issued and transactions accounted for".to_owned(),
        }];
        // What is abandoned holds a connection without ever giving it back: there is no second side to compare with.
        if self.measured && self.ended_at.is_some() && accounting.abandoned == 0 {
            checks.extend(self.little_checks());
        }
        checks
    }

    /// Little's law, as an integral: the time that connections were busy, from the gauge, is the sum of the holds, from the
    /// samples; the same for waiting. The gauge and the samples share no code.
    fn little_checks(&self) -> Vec<model::Check> {
        let levels = &self.set.pool.levels;
        let holds = self.total(|set| &set.hold);
        let across_edges = self.carried_in + self.carried_out;
        let pool = &self.set.pool;
        let check = |name: &str, gauge_ns: u64, samples: &Distribution, each_ns: u64, what: &str| {
            let (left, right) = (gauge_ns as f64 / 1e9, samples.sum_ns() as f64 / 1e9);
            // Transactions across an edge are clipped by the gauge and counted whole by the samples.
            let clipped = across_edges as f64 * samples.histogram().max() as f64 / 1e6;
            let slack = samples.count() as f64 * each_ns as f64 / 1e9;
            let tolerance = LITTLE_TOLERANCE * left.max(right) + clipped + slack;
            model::Check {
                name: name.to_owned(),
                holds: (left - right).abs() <= tolerance,
                left,
                right,
                what: what.to_owned(),
            }
        };
        let mut checks = vec![
            check(
                "little_busy",
                levels.busy_ns,
                &holds,
                1_000,
                "connection-seconds busy by the gauge, and the sum of all holds",
            ),
            check(
                "little_waiting",
                levels.waiting_ns,
                &self.set.pool.wait,
                1_000,
                "request-seconds waiting by the gauge, and the sum of all pool waits",
            ),
        ];
        // A request for which a connection is made waits by the gauge and not by the samples, which leave the making out.
        if !pool.create.is_empty() || pool.create_errors > 0 {
            checks.truncate(1);
        }
        checks
    }
}

fn instance_info(levels: &PoolLevels) -> model::InstancePoolInfo {
    let mean = |integral: u64| integral as f64 / levels.observed_ns.max(1) as f64;
    model::InstancePoolInfo {
        busy_mean: mean(levels.busy_ns),
        waiting_mean: mean(levels.waiting_ns),
        saturated_fraction: mean(levels.saturated_ns),
    }
}

fn warm_up_info(ended: &WarmUpEnded, begun_at: Stamp, workload: &WorkloadHeader) -> model::WarmUpInfo {
    let waits_for = |wait: &WarmUpWait| match wait {
        WarmUpWait::Response => "response".to_owned(),
        WarmUpWait::Answers => "answers".to_owned(),
        WarmUpWait::Connections => "connections".to_owned(),
        WarmUpWait::Plans => "plans".to_owned(),
    };
    model::WarmUpInfo {
        steady: ended.waits_for.is_empty(),
        steady_since_s: ended.steady_since.map(|since| (since - begun_at).as_secs_f64()),
        limit_s: Duration::from_nanos(ended.limit_ns).as_secs_f64(),
        waits_for: ended.waits_for.iter().map(waits_for).collect(),
        unsettled_statements: ended
            .unsettled_statements
            .iter()
            .filter_map(|id| workload.statement_name(*id))
            .collect(),
    }
}

fn host_info(sample: &HostSample, traffic_covers: Duration) -> Option<model::HostInfo> {
    let each_second = |bytes: u64| bytes as f64 / traffic_covers.as_secs_f64();
    let traffic = sample.traffic.filter(|_| !traffic_covers.is_zero());
    let all = sample.busy_s + sample.idle_s + sample.iowait_s + sample.steal_s;
    (all > 0.0).then(|| model::HostInfo {
        cpu_fraction: sample.busy_s / all,
        iowait_fraction: sample.iowait_s / all,
        steal_fraction: sample.steal_s / all,
        cores: sample.cores,
        traffic: traffic.map(|traffic| model::HostTrafficInfo {
            disk_read_bytes_per_s: each_second(traffic.disk_read_bytes),
            disk_written_bytes_per_s: each_second(traffic.disk_written_bytes),
            received_bytes_per_s: each_second(traffic.received_bytes),
            sent_bytes_per_s: each_second(traffic.sent_bytes),
        }),
        memory_available_bytes_min: sample.memory_available_bytes,
    })
}
