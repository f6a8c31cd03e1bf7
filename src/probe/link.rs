//! What all probes share: when they look, how a lost connection is made again, and how an answer is awaited, timed and counted.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::db::Now;
use crate::probe::episodes::LookTime;
use crate::probe::outlet::Outlet;
use crate::probe::{Probed, Stop};
use crate::record::entry::Edge;
use crate::record::observation::{Counters, Observation, ProbeCost, Reading};
use crate::units::{Span, Stamp};

const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// The server ends a statement by its own timeout; when its word does not come either, the connection is dead.
const GRACE: Duration = Duration::from_secs(1);

/// What the readings of the counters are called.
pub const COUNTERS: &str = "counters";

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

impl Unanswered {
    /// There is no connection to ask over.
    pub fn unconnected(message: String) -> Self {
        Self { message, lost: true }
    }
}

/// What a probe asks over, with all that it keeps for as long as that stands.
pub trait Connection: Send + Sync {
    /// Whether it is known to have ended. False where only the next question would tell.
    fn is_closed(&self) -> bool;
}

/// The connection of one probe: made again when it is lost, and not too often.
pub struct Line<C> {
    connection: Option<C>,
    limit: Duration,
    back_off: BackOff,
    /// What the last attempt failed of.
    failure: String,
}

impl<C: Connection> Line<C> {
    /// Begins with a connection, or without one. Another one takes at most `limit` to be made.
    pub fn new(connection: Option<C>, limit: Duration) -> Self {
        Self { connection, limit, back_off: BackOff::default(), failure: String::new() }
    }

    /// The connection; `opening` makes it again where it is lost. While no attempt is due, the error is that of the last one.
    pub async fn get<E: fmt::Display>(
        &mut self,
        opening: impl Future<Output = Result<C, E>>,
    ) -> Result<&mut C, String> {
        let usable = self.take().filter(|connection| !connection.is_closed());
        let connection = if let Some(usable) = usable { usable } else { self.open(opening).await? };
        Ok(self.connection.insert(connection))
    }

    async fn open<E: fmt::Display>(
        &mut self,
        opening: impl Future<Output = Result<C, E>>,
    ) -> Result<C, String> {
        if !self.back_off.allows(Instant::now()) {
            return Err(self.failure.clone());
        }
        self.failure = match tokio::time::timeout(self.limit, opening).await {
            Ok(Ok(connection)) => {
                self.back_off = BackOff::default();
                return Ok(connection);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} s", self.limit.as_secs()),
        };
        self.back_off.failed(Instant::now());
        Err(self.failure.clone())
    }

    /// The connection as it is.
    pub fn connection(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    /// Gives it away: the next one is made when it is asked for.
    pub fn take(&mut self) -> Option<C> {
        self.connection.take()
    }

    /// Gives it up where it was lost with a question. The words of what happened are left.
    pub fn heed(&mut self, unanswered: Unanswered) -> String {
        if unanswered.lost {
            self.connection = None;
        }
        unanswered.message
    }
}

/// When to try to connect again.
#[derive(Debug)]
struct BackOff {
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
    fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// An attempt failed: the next one comes later than the last.
    fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.next_delay);
        self.next_delay = (self.next_delay * 2).min(BACK_OFF_MAX);
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
    /// What its readings are called.
    fn name(&self) -> String;
    /// Time between two readings, before jitter.
    fn every(&self) -> Duration;
    /// What there is to see, with the window that it covers; or why there is nothing. What it took is added to `cost`.
    fn read(
        &mut self,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> impl Future<Output = Result<(Observation, Span), String>> + Send;
}

/// Has a probe read until it is told to stop. What was read is on its way then.
pub async fn read_on_schedule(
    mut probe: impl OnSchedule,
    clock: impl Now,
    out: mpsc::Sender<Probed>,
    mut stop: mpsc::Receiver<Stop>,
) {
    let mut outlet = Outlet::new(probe.name(), out);
    let mut due = Instant::now();
    // Readings that were due and came too late to be taken.
    let mut missed = 0;
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
                let asked_at = clock.now();
                let mut cost = ProbeCost { gaps: missed, ..ProbeCost::default() };
                let seen = probe.read(&clock, &mut cost).await;
                outlet.offer_look(asked_at, clock.now(), cost, seen);
                (due, missed) = next_look(due, probe.every(), 0.1);
            }
        }
    }
}

/// A probe that reads the counters whenever it is asked to.
pub trait OnRequest: Send {
    /// The counters as they stand, or why there are none. What it took is added to `cost`.
    fn read(
        &mut self,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> impl Future<Output = Result<Counters, String>> + Send;
}

/// Has a probe answer requests until nobody can make one.
pub async fn read_on_request(
    mut probe: impl OnRequest,
    clock: impl Now,
    mut requests: mpsc::Receiver<Request>,
) {
    while let Some((edge, answer)) = requests.recv().await {
        let asked_at = clock.now();
        let mut cost = ProbeCost::default();
        let counters = probe.read(&clock, &mut cost).await;
        cost.gaps += u64::from(counters.is_err());
        let seen = counters.map(|counters| Observation::Counters(Box::new(counters)));
        let window = Span { from: asked_at, to: clock.now() };
        let reading = Reading { probe: COUNTERS.to_owned(), window, cost, seen };
        // Who asked may have given up.
        let _ = answer.send(Probed { edge: Some(edge), reading });
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

impl<T> Answer<T> {
    /// The same answer, read.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { value, asked_at, answered_at } = self;
        Answer { value: read(value), asked_at, answered_at }
    }

    /// What lies between the two.
    pub fn window(&self) -> Span {
        Span { from: self.asked_at, to: self.answered_at }
    }

    /// When it looked.
    pub fn look_time(&self) -> LookTime {
        LookTime { asked_at: self.asked_at, answered_at: self.answered_at }
    }
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

    struct Wire {
        number: u32,
        is_closed: bool,
    }

    impl Connection for Wire {
        fn is_closed(&self) -> bool {
            self.is_closed
        }
    }

    fn wire(number: u32) -> impl Future<Output = Result<Wire, &'static str>> {
        std::future::ready(Ok(Wire { number, is_closed: false }))
    }

    #[tokio::test]
    async fn a_connection_is_made_again_when_it_has_ended_or_was_lost_with_a_question() {
        let mut line = Line::new(None, Duration::from_secs(1));
        assert_eq!(line.get(wire(1)).await.map(|wire| wire.number), Ok(1), "the first attempt is due");
        assert_eq!(line.get(wire(2)).await.map(|wire| wire.number), Ok(1), "it stands");
        line.connection().expect("it stands").is_closed = true;
        assert_eq!(line.get(wire(3)).await.map(|wire| wire.number), Ok(3));
        let refused = Unanswered { message: "no right".to_owned(), lost: false };
        assert_eq!(line.heed(refused), "no right");
        assert_eq!(line.get(wire(4)).await.map(|wire| wire.number), Ok(3), "a refusal leaves it as it was");
        line.heed(Unanswered::unconnected("it was killed".to_owned()));
        assert_eq!(line.get(wire(5)).await.map(|wire| wire.number), Ok(5));
    }

    #[tokio::test]
    async fn between_two_attempts_it_is_told_what_the_last_one_failed_of() {
        let mut line: Line<Wire> = Line::new(None, Duration::from_secs(1));
        let refused = line.get(async { Err("the server is gone") }).await.err();
        assert_eq!(refused.as_deref(), Some("the server is gone"));
        let early = line.get(wire(1)).await.err();
        assert_eq!(early.as_deref(), Some("the server is gone"), "no attempt is due");
        tokio::time::sleep(2 * BACK_OFF_FIRST).await;
        assert!(line.get(wire(1)).await.is_ok());
    }

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
    }
}
