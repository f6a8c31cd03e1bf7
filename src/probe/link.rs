//! What all probes share: when they look, how a lost connection is made again, and how an answer is awaited, timed and counted.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::db::Now;
use crate::probe::outlet::Outlet;
use crate::probe::{Probed, Stop};
use crate::record::entry::Edge;
use crate::record::observation::{Observation, ProbeCost};
use crate::units::{Span, Stamp};

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// The server ends a statement by its own timeout; when its word does not come either, the connection is dead.
const GRACE: Duration = Duration::from_secs(1);

/// What the probe of the sessions is told while it runs.
pub enum Command {
    /// A stage begins or ends: hand on what was counted up to now.
    Flush,
    /// The run is over.
    Stop(oneshot::Sender<()>),
}

/// A request for the counters of one edge, and where the answer goes.
pub type Request = (Edge, oneshot::Sender<Probed>);

/// Why a question got no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// For a person.
    pub message: String,
    /// Whether the connection is of no more use.
    pub lost: bool,
}

/// When to try to connect again.
#[derive(Debug)]
pub struct BackOff {
    next_delay: Duration,
    not_before: Option<Instant>,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next_delay: BACK_OFF_FIRST, not_before: None }
    }
}

impl BackOff {
    /// Whether an attempt is due.
    pub fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// An attempt failed: the next one comes later than the last.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.next_delay);
        self.next_delay = (self.next_delay * 2).min(BACK_OFF_MAX);
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Makes a lost connection again, when an attempt is due. `whose` names it: `of the counters`.
    pub async fn open_again<T, E: fmt::Display>(
        &mut self,
        whose: &str,
        limit: Duration,
        opening: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        if !self.allows(Instant::now()) {
            return Err(format!("the connection {whose} is lost and not due to be made again"));
        }
        let message = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(opened)) => {
                self.succeeded();
                return Ok(opened);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} s", limit.as_secs()),
        };
        self.failed(Instant::now());
        Err(message)
    }
}

/// When the look after the one that was `due` is due, and how many were due meanwhile and are gaps. It is jittered by this share of
/// the time between two looks to either side, so that it cannot march in step with the load.
pub fn next_look(due: Instant, every: Duration, jitter: f64) -> (Instant, u64) {
    let next = due + every.mul_f64(rand::random_range(1.0 - jitter..1.0 + jitter));
    let late = Instant::now().saturating_duration_since(next);
    let missed = late.as_nanos() / every.as_nanos().max(1);
    if missed == 0 { (next, 0) } else { (Instant::now(), u64::try_from(missed).unwrap_or(u64::MAX)) }
}

/// A probe that reads one thing on a schedule of its own.
pub trait OnSchedule: Send {
    /// Time between two readings, before jitter.
    fn every(&self) -> Duration;
    /// Readings that were due and came too late to be taken.
    fn missed(&mut self, readings: u64);
    /// Takes a reading.
    fn look(&mut self) -> impl Future<Output = ()> + Send;
}

/// Has a probe read until it is told to stop. What was read is on its way then.
pub async fn read_on_schedule(mut probe: impl OnSchedule, mut stop: mpsc::Receiver<Stop>) {
    let mut due = Instant::now();
    loop {
        tokio::select! {
            biased;
            done = stop.recv() => {
                if let Some(done) = done {
                    // Nobody waits any more when the receiver is gone.
                    let _ = done.send(());
                }
                return;
            }
            () = tokio::time::sleep_until(due) => {
                probe.look().await;
                let (next, missed) = next_look(due, probe.every(), 0.1);
                probe.missed(missed);
                due = next;
            }
        }
    }
}

/// An answer with the stamps around it.
pub struct Answer<T> {
    /// What came.
    pub value: T,
    /// The question was sent.
    pub asked_at: Stamp,
    /// The answer was complete.
    pub answered_at: Stamp,
}

/// Awaits one answer, at most `limit` and a grace for the server's own timeout; adds what it took to `cost`. `told` gives what an
/// error says, and whether the connection ended with it.
pub async fn await_answer<T, E>(
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
    question: impl Future<Output = Result<T, E>>,
    told: impl FnOnce(&E) -> Unanswered,
) -> Result<Answer<T>, Unanswered> {
    let asked_at = clock.now();
    let outcome = tokio::time::timeout(limit + GRACE, question).await;
    let answered_at = clock.now();
    let elapsed_ns = answered_at.0.saturating_sub(asked_at.0);
    cost.add(&ProbeCost { queries: 1, elapsed_ns, elapsed_max_ns: elapsed_ns, ..ProbeCost::default() });
    match outcome {
        Ok(Ok(value)) => Ok(Answer { value, asked_at, answered_at }),
        Ok(Err(error)) => Err(told(&error)),
        Err(_) => Err(Unanswered {
            message: format!("no answer within {} s", (limit + GRACE).as_secs()),
            lost: true,
        }),
    }
}

/// What was gathered since the last hand-over of one probe.
#[derive(Default)]
pub struct Gathered {
    /// What it cost.
    pub cost: ProbeCost,
    window: Option<Span>,
    failed: u64,
    last_error: Option<String>,
}

impl Gathered {
    /// A look covers this time.
    pub fn cover(&mut self, from: Stamp, to: Stamp) {
        let window = self.window.get_or_insert(Span { from, to });
        window.to = to;
    }

    /// A look failed.
    pub fn fail(&mut self, at: Stamp, message: String) {
        self.cover(at, at);
        self.failed += 1;
        self.last_error = Some(message);
    }

    /// Hands on what failed, then what `make` gives of what did not.
    pub fn hand_over(&mut self, outlet: &mut Outlet, make: Option<impl FnOnce() -> Observation>) -> bool {
        let Some(window) = self.window.take() else { return true };
        let Self { cost, failed, last_error, .. } = std::mem::take(self);
        if let Some(error) = last_error {
            let gaps = ProbeCost { gaps: failed, ..ProbeCost::default() };
            outlet.offer(window, gaps, || Err(error));
        }
        make.is_none_or(|make| outlet.offer(window, cost, || Ok(make())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_bound() {
        let mut back_off = BackOff::default();
        let mut now = Instant::now();
        assert!(back_off.allows(now));
        for pause_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            back_off.failed(now);
            now += Duration::from_millis(pause_ms - 1);
            assert!(!back_off.allows(now), "too early before {pause_ms} ms");
            now += Duration::from_millis(1);
            assert!(back_off.allows(now), "due after {pause_ms} ms");
        }
        back_off.succeeded();
        assert!(back_off.allows(now));
    }
}
