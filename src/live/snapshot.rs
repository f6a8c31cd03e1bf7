//! What is known of a measurement while it goes on: the last minutes second by second, totals, what sessions waited for, who held
//! whom up. The screen draws it and the metrics are made of it; it knows neither.

use std::collections::{BTreeMap, VecDeque};

use crate::record::accounting::Books;
use crate::record::entry::{Header, Interval};
use crate::record::histogram::Distribution;
use crate::record::observation::{ActivitySummary, LockEpisode, Observation, Session, Who};
use crate::report::sanitise;
use crate::study::{Happening, Second};
use crate::units::StageId;

/// Seconds that are kept, for the curves.
pub(super) const SECONDS_MAX: usize = 300;
/// Waits for locks that are kept; the oldest go first.
const CHAINS_MAX: usize = 50;
/// How long a wait that ended counts as one of now, in seconds.
const CHAIN_FRESH_S: f64 = 10.0;
/// Remarks that are kept; all of them stand in the report as well.
const NOTES_MAX: usize = 100;
/// Upper edges of the buckets of response times, in microseconds.
pub(super) const BUCKETS_US: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// What is measured; absent until it begins.
    pub(super) run: Option<Names>,
    /// The stage that goes on.
    pub(super) stage: Option<StageNow>,
    /// The last seconds, the oldest first.
    pub(super) seconds: VecDeque<Point>,
    /// Totals of the whole run by transaction, in the order of the workload.
    pub(super) transactions: Vec<TransactionTotals>,
    /// Executions and errors of the whole run by statement, in the order of the workload.
    pub(super) statements: Vec<(u64, u64)>,
    /// Acquires that ran into their timeout, connections made, attempts that failed.
    pub(super) pool: PoolTotals,
    /// What the sessions of the pool were in, as the last looks saw it: event and mean number of sessions, the most frequent first.
    pub(super) waits: Vec<(String, f64)>,
    /// Waits for locks that went on at the last look, the longest first.
    pub(super) waiting: Vec<Chain>,
    /// Waits for locks that ended lately, the longest first.
    pub(super) chains: VecDeque<Chain>,
    /// What the study says it does.
    pub(super) step: String,
    /// What the user should know, the oldest first.
    pub(super) notes: VecDeque<String>,
    /// Seconds since the run began, as far as it was told.
    pub(super) now_s: f64,
    /// Raised with everything that is told.
    pub(super) version: u64,
}

/// What a run is called, and its parts.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) workload: String,
    /// `postgresql 15.18`
    pub(super) server: String,
    pub(super) transactions: Vec<String>,
    /// Transaction and name.
    pub(super) statements: Vec<(String, String)>,
    /// Connections of all instances, by stage.
    connections: Vec<u32>,
}

/// The stage that goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct StageNow {
    pub(super) name: String,
    pub(super) number: usize,
    /// Zero where that is decided on the way.
    pub(super) of: usize,
    pub(super) duration_s: f64,
    pub(super) elapsed_s: f64,
    pub(super) measured: bool,
    pub(super) until_steady: bool,
    pub(super) drain: bool,
    /// Connections of all instances; zero where it is not known.
    pub(super) connections: u32,
}

/// One second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) per_s: f64,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) max_us: Option<u64>,
    pub(super) busy: f64,
    pub(super) waiting: f64,
    pub(super) errors: u64,
}

/// One kind of transaction over the run.
#[derive(Clone, Debug, Default)]
pub(super) struct TransactionTotals {
    pub(super) books: Books,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) response: Buckets,
    pub(super) pool_wait: Buckets,
    /// Ended ok per second, in the last interval.
    pub(super) per_s: f64,
    /// Their mean response in microseconds.
    pub(super) mean_us: Option<f64>,
}

/// Times in buckets: in each those above the edge before and up to its own, in the last those above all edges.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    pub(super) counts: [u64; BUCKETS_US.len() + 1],
    pub(super) sum_s: f64,
}

/// The pool over the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolTotals {
    pub(super) timeouts: u64,
    pub(super) creates: u64,
    pub(super) create_errors: u64,
}

/// One wait for a lock.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) waiter: String,
    /// From the waiter's next to the root.
    pub(super) blockers: Vec<String>,
    pub(super) root_state: String,
    pub(super) relation: Option<String>,
    pub(super) waited_s: f64,
    /// When it ended, or was seen last.
    ended_s: f64,
}

impl Buckets {
    fn add(&mut self, times: &Distribution) {
        if times.is_empty() {
            return;
        }
        self.sum_s += times.sum_ns() as f64 / 1e9;
        let histogram = times.histogram();
        for value in histogram.iter_recorded() {
            // A value stands for a small range, whose lower end is the one that was likely recorded: edges are round numbers.
            let us = histogram.lowest_equivalent(value.value_iterated_to());
            let at = BUCKETS_US.partition_point(|edge| *edge < us);
            self.counts[at] += value.count_since_last_iteration();
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Snapshot {
    /// Takes what a study tells.
    pub(super) fn tell(&mut self, happening: &Happening<'_>) {
        self.version += 1;
        match happening {
            Happening::Begun(header) => self.begin(header),
            Happening::StageBegun { name, number, of, duration, measured, until_steady } => {
                self.stage = Some(StageNow {
                    name: sanitise(name),
                    number: *number,
                    of: *of,
                    duration_s: duration.as_secs_f64(),
                    measured: *measured,
                    until_steady: *until_steady,
                    ..StageNow::default()
                });
                self.step.clear();
            }
            Happening::Second(second) => self.second(second),
            Happening::Interval(interval) => self.interval(interval),
            Happening::Seen(seen) => self.seen(seen),
            Happening::Step(words) => self.step = sanitise(words),
            Happening::Note(words) => self.note(words),
            Happening::Load(_) | Happening::Loaded(_) => {}
        }
    }

    fn begin(&mut self, header: &Header) {
        let transactions: Vec<String> =
            header.workload.transactions.iter().map(|of| sanitise(&of.name)).collect();
        let statement = |of: &crate::record::entry::StatementHeader| {
            let transaction = transactions.get(of.transaction.index()).cloned().unwrap_or_default();
            (transaction, sanitise(&of.name))
        };
        self.transactions = vec![TransactionTotals::default(); transactions.len()];
        self.statements = vec![(0, 0); header.workload.statements.len()];
        self.run = Some(Names {
            id: header.id.0.clone(),
            kind: header.kind.as_str(),
            workload: sanitise(&header.workload.name),
            server: sanitise(&format!("{} {}", header.target.engine, header.target.version)),
            statements: header.workload.statements.iter().map(statement).collect(),
            transactions,
            connections: header.stages.iter().map(|stage| stage.pool_size * stage.instances).collect(),
        });
    }

    fn second(&mut self, second: &Second<'_>) {
        if let Some(stage) = &mut self.stage {
            (stage.elapsed_s, stage.drain) = (second.elapsed_s, second.drain);
        }
        if self.seconds.len() == SECONDS_MAX {
            self.seconds.pop_front();
        }
        self.seconds.push_back(Point {
            per_s: second.per_s,
            p50_us: second.p50_us,
            p99_us: second.p99_us,
            max_us: second.max_us,
            busy: second.busy,
            waiting: second.waiting,
            errors: second.errors,
        });
    }

    fn interval(&mut self, interval: &Interval) {
        self.now_s = interval.span.to.as_secs_f64();
        let now_s = self.now_s;
        self.chains.retain(|chain| now_s - chain.ended_s <= CHAIN_FRESH_S);
        if let Some(stage) = &mut self.stage {
            stage.connections = connections(self.run.as_ref(), interval.stage);
        }
        for (totals, set) in self.transactions.iter_mut().zip(&interval.set.transactions) {
            totals.books.add(&set.books);
            for (code, count) in &set.errors {
                *totals.errors.entry(sanitise(code)).or_default() += count;
            }
            totals.per_s = set.books.ok as f64 / interval.span.duration().as_secs_f64().max(1e-9);
            let answered = set.response.count();
            totals.mean_us = (answered > 0).then(|| set.response.sum_ns() as f64 / 1e3 / answered as f64);
            totals.response.add(&set.response);
            totals.pool_wait.add(&set.pool_wait);
        }
        for ((executed, errors), set) in self.statements.iter_mut().zip(&interval.set.statements) {
            *executed += set.execute.count() + set.pipelined;
            *errors += set.errors;
        }
        let pool = &interval.set.pool;
        self.pool.timeouts += pool.timeouts;
        self.pool.creates += pool.create.count();
        self.pool.create_errors += pool.create_errors;
    }

    fn seen(&mut self, seen: &Observation) {
        match seen {
            Observation::Activity(summary) => self.activity(summary),
            Observation::Locks(episodes) => episodes.iter().for_each(|episode| self.lock(episode)),
            _ => {}
        }
    }

    fn activity(&mut self, summary: &ActivitySummary) {
        let mut sessions: BTreeMap<String, u64> = BTreeMap::new();
        for seen in &summary.seen {
            if !matches!(seen.who, Who::Statement(_) | Who::Control(_)) {
                continue;
            }
            // A session in a transaction without a statement waits for its client.
            let idle = seen.state.starts_with("idle in transaction");
            let what = if idle { "idle in transaction" } else { seen.wait.as_deref().unwrap_or("CPU") };
            *sessions.entry(sanitise(what)).or_default() += seen.count;
        }
        let looks = f64::from(summary.samples.max(1));
        self.waits = sessions.into_iter().map(|(event, count)| (event, count as f64 / looks)).collect();
        self.waits.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.waiting = summary.going_on.iter().map(|episode| self.chain(episode)).collect();
    }

    fn lock(&mut self, episode: &LockEpisode) {
        let chain = self.chain(episode);
        self.chains.push_back(chain);
        self.chains.make_contiguous().sort_by(|a, b| b.waited_s.total_cmp(&a.waited_s));
        self.chains.truncate(CHAINS_MAX);
    }

    fn chain(&self, episode: &LockEpisode) -> Chain {
        let root = episode.root.as_ref();
        let mut blockers: Vec<String> = episode.chain.iter().map(|link| self.who(&link.session)).collect();
        if blockers.is_empty() {
            blockers.extend(root.map(|root| self.who(root)));
        }
        Chain {
            waiter: self.who(&episode.waiter),
            blockers,
            root_state: root.map_or_else(String::new, |root| sanitise(&root.state)),
            relation: episode.relation.as_deref().map(sanitise),
            waited_s: (episode.gone_at - episode.began_at).as_secs_f64(),
            ended_s: episode.gone_at.as_secs_f64(),
        }
    }

    /// `checkout.take_stock`, `COMMIT`, `psql (foreign)`, `autovacuum worker (server)`
    fn who(&self, session: &Session) -> String {
        match &session.who {
            Who::Statement(id) => {
                let of = self.run.as_ref().and_then(|run| run.statements.get(id.index()));
                of.map_or_else(
                    || "a statement".to_owned(),
                    |(transaction, name)| format!("{transaction}.{name}"),
                )
            }
            Who::Control(command) => sanitise(command),
            Who::Foreign(name) => format!("{} (foreign)", sanitise(name)),
            Who::Server(name) => format!("{} (server)", sanitise(name)),
        }
    }

    fn note(&mut self, words: &str) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(sanitise(words));
    }

    /// Not ended ok, over the whole run.
    pub(super) fn not_ok(&self) -> u64 {
        self.transactions.iter().map(|of| of.books.closed() - of.books.ok).sum()
    }

    /// Failed tries by code, the most frequent first.
    pub(super) fn errors(&self) -> Vec<(String, u64)> {
        let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
        for (code, count) in self.transactions.iter().flat_map(|of| &of.errors) {
            *codes.entry(code).or_default() += count;
        }
        let mut codes: Vec<_> = codes.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        codes
    }
}

fn connections(run: Option<&Names>, stage: StageId) -> u32 {
    run.and_then(|run| run.connections.get(stage.index())).copied().unwrap_or(0)
}

#[cfg(test)]
pub(super) mod fixture {
    //! A minute that could have been measured.

    use super::{Chain, Names, Point, Snapshot, StageNow, TransactionTotals};
    use crate::record::accounting::Books;

    /// The shop at its normal load, with a queue for a row and a few failures.
    pub(in crate::live) fn shop() -> Snapshot {
        let mut snapshot = Snapshot {
            run: Some(Names {
                id: "20261126-081500-7f3a".to_owned(),
                kind: "run",
                workload: "shop".to_owned(),
                server: "postgresql 15.18".to_owned(),
                transactions: vec!["browse".to_owned(), "checkout".to_owned()],
                statements: vec![
                    ("browse".to_owned(), "product_by_id".to_owned()),
                    ("checkout".to_owned(), "take_stock".to_owned()),
                ],
                connections: vec![8],
            }),
            stage: Some(StageNow {
                name: "normal".to_owned(),
                number: 2,
                of: 5,
                duration_s: 60.0,
                elapsed_s: 42.0,
                measured: true,
                until_steady: false,
                drain: false,
                connections: 8,
            }),
            waits: vec![
                ("CPU".to_owned(), 3.13),
                ("Lock:transactionid".to_owned(), 1.27),
                ("IO:WALSync".to_owned(), 0.92),
                ("Client:ClientRead".to_owned(), 0.41),
            ],
            now_s: 44.0,
            version: 1,
            ..Snapshot::default()
        };
        snapshot.seconds = (0..42_u32)
            .map(|second| {
                let wave = f64::from(second % 7) * 18.0;
                Point {
                    per_s: if second == 30 { 212.0 } else { 920.0 + wave },
                    p50_us: Some(8_100 + u64::from(second % 5) * 300),
                    p99_us: Some(if second == 30 {
                        2_004_000
                    } else {
                        61_000 + u64::from(second % 5) * 9_000
                    }),
                    max_us: Some(2_105_000),
                    busy: 6.1,
                    waiting: 1.4,
                    errors: u64::from(second == 30) * 3,
                }
            })
            .collect();
        let totals = |ok: u64, failed: u64| TransactionTotals {
            per_s: ok as f64 / 42.0,
            mean_us: Some(9_300.0),
            books: Books { issued: ok + failed, ok, failed, retried: 4, ..Books::default() },
            errors: if failed > 0 {
                [("40P01".to_owned(), failed)].into()
            } else {
                std::collections::BTreeMap::new()
            },
            ..TransactionTotals::default()
        };
        snapshot.transactions = vec![totals(34_902, 0), totals(5_793, 3)];
        snapshot.statements = vec![(34_902, 0), (14_521, 3)];
        snapshot.waiting.push(Chain {
            waiter: "checkout.take_stock".to_owned(),
            blockers: vec!["psql (foreign)".to_owned()],
            root_state: "idle in transaction".to_owned(),
            relation: Some("stock".to_owned()),
            waited_s: 0.604,
            ended_s: 44.0,
        });
        snapshot.chains.push_back(Chain {
            waiter: "checkout.take_stock".to_owned(),
            blockers: vec!["checkout.take_stock".to_owned(), "psql (foreign)".to_owned()],
            root_state: "idle in transaction".to_owned(),
            relation: Some("stock".to_owned()),
            waited_s: 2.001,
            ended_s: 43.0,
        });
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::observation::ActivityCount;

    #[test]
    fn times_fall_into_the_bucket_whose_edge_they_do_not_pass() {
        let mut times = Distribution::default();
        for us in [1, 250, 251, 9_000, 10_000, 60_000_000] {
            times.record(Duration::from_micros(us));
        }
        let mut buckets = Buckets::default();
        buckets.add(&times);
        buckets.add(&times);
        let edge = |us: u64| BUCKETS_US.iter().position(|edge| *edge == us).expect("an edge");
        assert_eq!(buckets.counts[edge(250)], 4, "up to its edge, that included");
        assert_eq!(buckets.counts[edge(500)], 2);
        assert_eq!(buckets.counts[edge(10_000)], 4);
        assert_eq!((buckets.counts[BUCKETS_US.len()], buckets.count()), (2, 12));
        assert!((buckets.sum_s - 2.0 * 60.019_502).abs() < 1e-6, "{}", buckets.sum_s);
    }

    #[test]
    fn waits_are_mean_numbers_of_sessions_of_the_pool() {
        let count = |who: Who, state: &str, wait: Option<&str>, count| ActivityCount {
            who,
            state: state.to_owned(),
            wait: wait.map(str::to_owned),
            count,
        };
        let commit = || Who::Control("COMMIT".to_owned());
        let mut snapshot = Snapshot::default();
        snapshot.tell(&Happening::Seen(&Observation::Activity(ActivitySummary {
            samples: 10,
            seen: vec![
                count(commit(), "active", Some("IO:WALSync"), 25),
                count(commit(), "active", None, 5),
                count(commit(), "idle in transaction", Some("Client:ClientRead"), 10),
                count(Who::Foreign("psql".to_owned()), "active", Some("IO:WALSync"), 90),
            ],
            ..ActivitySummary::default()
        })));
        let waits: Vec<(&str, f64)> =
            snapshot.waits.iter().map(|(event, mean)| (event.as_str(), *mean)).collect();
        assert_eq!(waits, [("IO:WALSync", 2.5), ("idle in transaction", 1.0), ("CPU", 0.5)]);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut snapshot = Snapshot::default();
        for number in 0..2 * SECONDS_MAX {
            snapshot.tell(&Happening::Note(&format!("note {number}")));
            snapshot.tell(&Happening::Second(Second {
                stage: "run",
                elapsed_s: number as f64,
                duration_s: 1e4,
                drain: false,
                per_s: number as f64,
                p50_us: None,
                p99_us: None,
                max_us: None,
                busy: 0.0,
                waiting: 0.0,
                errors: 0,
            }));
        }
        assert_eq!((snapshot.seconds.len(), snapshot.notes.len()), (SECONDS_MAX, NOTES_MAX));
        assert_eq!(snapshot.notes.back().map(String::as_str), Some("note 599"));
    }
}
