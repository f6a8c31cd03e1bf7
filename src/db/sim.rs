//! A server that is simulated: it answers at once, or by script in the time of its timer. For the engine's arithmetic, and to
//! learn what the generator itself costs. It knows no protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::db::{
    Answered, ConnectError, Control, Engine, ExecError, Now, Queued, QueuedOutcome, Reply, Session,
    StatementPlan,
};
use crate::sql::values::{Frame, Slot};
use crate::time::Timer;
use crate::units::{BackendId, SlotId, Stamp, StatementId};

/// What is asked of a simulated server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimRequest {
    /// A new connection.
    Connect,
    /// A statement.
    Execute(StatementId),
    /// BEGIN, COMMIT, ROLLBACK.
    Control(Control),
}

/// How a simulated server answers one request.
#[derive(Debug)]
pub struct SimAnswer {
    /// When, counted from the request.
    pub after: Duration,
    /// With what.
    pub with: Result<u64, ExecError>,
    /// What stands in every column that is wanted of its row.
    pub value: Slot,
}

impl SimAnswer {
    /// Success with one row after `after`.
    #[must_use]
    pub fn ok(after: Duration) -> Self {
        Self { after, with: Ok(1), value: Slot::Null }
    }
}

/// Decides on every request: what it is, when it came, and how many came before it.
pub type Script = dyn Fn(SimRequest, Stamp, u64) -> SimAnswer + Send + Sync;

type Alarm = (Stamp, oneshot::Sender<()>);

/// Makes connections to a simulated server.
#[derive(Clone)]
pub struct SimEngine<N> {
    clock: N,
    script: Option<Arc<Script>>,
    alarms: Option<mpsc::UnboundedSender<Alarm>>,
    requests: Arc<AtomicU64>,
    backends: Arc<AtomicI64>,
}

impl<N: Now> SimEngine<N> {
    /// A server that answers everything at once with one row.
    #[must_use]
    pub fn at_once(clock: N) -> Self {
        Self { clock, script: None, alarms: None, requests: Arc::default(), backends: Arc::default() }
    }

    /// A server that answers by `script`. Must be called inside a `LocalSet`, on which its time passes.
    #[must_use]
    pub fn scripted(
        timer: &Timer<N>,
        script: impl Fn(SimRequest, Stamp, u64) -> SimAnswer + Send + Sync + 'static,
    ) -> Self {
        let (alarms, mut due) = mpsc::unbounded_channel::<Alarm>();
        let waker = timer.clone();
        tokio::task::spawn_local(async move {
            while let Some((at, answer)) = due.recv().await {
                let timer = waker.clone();
                tokio::task::spawn_local(async move {
                    timer.sleep_until(at).await;
                    // Nobody listens any more when the request was dropped.
                    let _ = answer.send(());
                });
            }
        });
        Self {
            clock: timer.clock().clone(),
            script: Some(Arc::new(script)),
            alarms: Some(alarms),
            requests: Arc::default(),
            backends: Arc::default(),
        }
    }

    async fn ask(&self, request: SimRequest) -> Result<(u64, Slot), ExecError> {
        let (Some(script), Some(alarms)) = (&self.script, &self.alarms) else { return Ok((1, Slot::Null)) };
        let now = self.clock.now();
        let answer = script(request, now, self.requests.fetch_add(1, Ordering::Relaxed));
        if !answer.after.is_zero() {
            let (ring, rung) = oneshot::channel();
            let lost = || ExecError::Lost(std::io::Error::other("the simulation has ended"));
            alarms.send((now + answer.after, ring)).map_err(|_| lost())?;
            rung.await.map_err(|_| lost())?;
        }
        answer.with.map(|rows| (rows, answer.value))
    }
}

impl<N: Now> Engine for SimEngine<N> {
    type Session = SimSession<N>;

    async fn connect(&self, statements: Arc<[StatementPlan]>) -> Result<SimSession<N>, ConnectError> {
        self.ask(SimRequest::Connect).await.map_err(|error| ConnectError::Protocol {
            address: "the simulated server".to_owned(),
            message: error.to_string(),
        })?;
        let backend = BackendId(self.backends.fetch_add(1, Ordering::Relaxed) + 1);
        let outputs = |plan: &StatementPlan| plan.outputs.iter().map(|(_, slot)| *slot).collect();
        let outputs = statements.iter().map(outputs).collect();
        Ok(SimSession {
            engine: self.clone(),
            outputs,
            pipeline: Vec::new(),
            is_synced: false,
            backend,
            usable: true,
            in_transaction: false,
        })
    }

    /// As PostgreSQL does it.
    fn plan_settles_after(&self) -> u8 {
        6
    }

    /// A request that nobody listens to is answered to nobody.
    async fn cancel_abandoned(&self) {}
}

/// One connection to a simulated server.
pub struct SimSession<N> {
    engine: SimEngine<N>,
    /// The slots that each statement fills.
    outputs: Vec<Vec<SlotId>>,
    /// What was queued, and what became of it.
    pipeline: Vec<Answered>,
    is_synced: bool,
    backend: BackendId,
    usable: bool,
    in_transaction: bool,
}

impl<N: Now> SimSession<N> {
    async fn request(&mut self, request: SimRequest, reply: &mut Reply) -> Result<Slot, ExecError> {
        // Set back only when the answer is there: a request that is dropped midway leaves the session unusable.
        let was_usable = std::mem::replace(&mut self.usable, false);
        *reply = Reply { sent_at: self.engine.clock.now(), ..Reply::default() };
        let answer = self.engine.ask(request).await;
        reply.done_at = self.engine.clock.now();
        match answer {
            Ok((rows, value)) => {
                self.usable = was_usable;
                reply.rows = rows;
                reply.first_row_at = (rows > 0).then_some(reply.done_at);
                Ok(value)
            }
            Err(error) => {
                self.usable = was_usable && error.session_survives();
                Err(error)
            }
        }
    }
}

impl<N> SimSession<N> {
    fn fill(&self, statement: StatementId, value: Slot, frame: &mut Frame) {
        for slot in self.outputs.get(statement.index()).into_iter().flatten() {
            frame.slots[slot.index()] = value;
        }
    }

    fn controlled(&mut self, what: Control) {
        match what {
            Control::Begin(_) => self.in_transaction = true,
            Control::Commit | Control::Rollback => self.in_transaction = false,
            Control::FlushStatistics => {}
        }
    }

    fn put(&mut self, request: Queued) {
        if std::mem::take(&mut self.is_synced) {
            self.pipeline.clear();
        }
        let outcome = QueuedOutcome::Skipped;
        self.pipeline.push(Answered { request, outcome, rows: 0, done_at: Stamp::ZERO });
    }
}

impl<N: Now> Session for SimSession<N> {
    async fn execute(
        &mut self,
        statement: StatementId,
        frame: &mut Frame,
        reply: &mut Reply,
    ) -> Result<(), ExecError> {
        let value = self.request(SimRequest::Execute(statement), reply).await?;
        self.fill(statement, value, frame);
        Ok(())
    }

    fn queue(&mut self, statement: StatementId, _frame: &Frame) -> Result<(), ExecError> {
        self.put(Queued::Statement(statement));
        Ok(())
    }

    fn queue_control(&mut self, what: Control) -> Result<(), ExecError> {
        self.put(Queued::Control(what));
        Ok(())
    }

    fn queue_sync(&mut self) {
        self.put(Queued::Sync);
    }

    /// One request after the other, each in its own time.
    async fn sync(&mut self, frame: &mut Frame, reply: &mut Reply) -> Result<(), ExecError> {
        self.queue_sync();
        let mut whole = Reply { sent_at: self.engine.clock.now(), ..Reply::default() };
        let mut first = None;
        let mut skips = false;
        for at in 0..self.pipeline.len() {
            let request = match self.pipeline[at].request {
                Queued::Statement(id) => SimRequest::Execute(id),
                Queued::Control(what) => SimRequest::Control(what),
                Queued::Setting | Queued::Sync => {
                    skips = false;
                    self.pipeline[at].outcome = QueuedOutcome::Done;
                    continue;
                }
            };
            if skips {
                continue;
            }
            let answer = self.request(request, reply).await;
            self.pipeline[at].done_at = reply.done_at;
            self.pipeline[at].outcome = QueuedOutcome::Done;
            match (answer, self.pipeline[at].request) {
                (Ok(value), Queued::Statement(id)) => {
                    self.pipeline[at].rows = reply.rows;
                    whole.rows += reply.rows;
                    whole.first_row_at = whole.first_row_at.or(reply.first_row_at);
                    self.fill(id, value, frame);
                }
                (Ok(_), Queued::Control(what)) => self.controlled(what),
                (Ok(_), _) => {}
                (Err(error), _) => {
                    self.pipeline[at].outcome = QueuedOutcome::Failed;
                    skips = true;
                    let survives = error.session_survives();
                    first.get_or_insert(error);
                    if !survives {
                        break;
                    }
                }
            }
        }
        self.is_synced = true;
        *reply = Reply { done_at: self.engine.clock.now(), ..whole };
        first.map_or(Ok(()), Err)
    }

    fn answered(&self) -> &[Answered] {
        &self.pipeline
    }

    async fn control(&mut self, what: Control, reply: &mut Reply) -> Result<(), ExecError> {
        self.request(SimRequest::Control(what), reply).await?;
        self.controlled(what);
        Ok(())
    }

    fn backend(&self) -> BackendId {
        self.backend
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn usable(&self) -> bool {
        self.usable && !self.in_transaction
    }
}
