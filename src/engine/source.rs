//! Hands the work of one instance to its clients.
//!
//! In a closed loop a client takes its next iteration when it has thought. In an open loop the clients stand in line: one of
//! them, the leader, waits for the next planned instant, takes that arrival, names the next leader and goes. An arrival that
//! is overdue is taken at once, so nothing planned is ever left out, and the planned instant stays what it was. In a partly
//! open loop the further transactions of sessions are planned instants as well, from the moment when the one before ended;
//! a session that thinks occupies no client.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::generate::{Key, interval};
use crate::record::histogram::Distribution;
use crate::time::{Now, Timer};
use crate::units::{ClientId, InstanceId, Load, Pause, Seed, StageId, Stamp};
use crate::workload::pgbench::ClientFacts;

use super::arrivals::{Planned, Schedule, Share, Window};
use super::draws::{Draws, PURPOSE_SESSION, PURPOSE_THINK, Position};

/// Sessions of one instance that think at once. Whoever arrives while there are so many is turned away as too late.
const THINKING_MAX: usize = 1 << 20;

/// One transaction to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Where its draws lie.
    pub(super) position: Position,
    /// When it was planned to start; in a closed loop nothing is planned.
    pub(super) scheduled_at: Option<Stamp>,
    /// Whose it is.
    pub(super) origin: Origin,
    /// When it was handed out.
    pub(super) taken_at: Stamp,
    /// Whether it is to be skipped: nobody could start it in time.
    pub(super) too_late: bool,
}

impl Work {
    /// Planned for `at`, and taken there as far as is known.
    fn planned(position: Position, at: Stamp, origin: Origin) -> Self {
        Self { position, scheduled_at: Some(at), origin, taken_at: at, too_late: false }
    }
}

/// What a piece of work belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) stage: StageId,
    pub(super) instance: InstanceId,
    /// The user, or the session; none in an open loop.
    pub(super) client: Option<ClientId>,
}

/// The work of one instance.
pub(super) struct Source<N> {
    timer: Timer<N>,
    share: Share,
    windows: Rc<[Window]>,
    seed: Seed,
    keys: Vec<Key>,
    state: RefCell<State>,
    /// Counts apart from what is handed out.
    planned: RefCell<Planned>,
    /// Clients that take arrivals; in a stage of more clients than that the rest stands by.
    in_flight_max: Cell<u32>,
    stop: Cell<bool>,
}

struct State {
    /// Which window hands out.
    stage: usize,
    /// Its arrivals.
    schedule: Schedule,
    /// Own arrivals of this stage that were handed out.
    taken: u64,
    /// All that was handed out, over all stages.
    handed_out: u64,
    /// Of it, what follows from what ended before and no schedule knows: iterations of closed loops, and further
    /// transactions of sessions.
    followed: u64,
    /// Sessions between two transactions, the next one first.
    thinking: BinaryHeap<Reverse<FollowUp>>,
    leader: Option<ClientId>,
    /// Who waits to lead; the last comes first.
    line: Vec<ClientId>,
    seats: Vec<Seat>,
    wake_lateness: Distribution,
}

/// Where a client can be woken.
#[derive(Clone, Debug, Default)]
struct Seat {
    waker: Option<Waker>,
    in_line: bool,
}

/// The next transaction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FollowUp {
    due: Stamp,
    session: Session,
}

/// A session with transactions ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Session {
    /// The window in which it arrived.
    window: usize,
    /// Its number among the arrivals of that window.
    number: u64,
    /// Transactions that it made.
    made: u32,
    /// Transactions that it makes.
    of: u32,
}

impl State {
    fn new(schedule: Schedule) -> Self {
        Self {
            stage: 0,
            schedule,
            taken: 0,
            handed_out: 0,
            followed: 0,
            thinking: BinaryHeap::new(),
            leader: None,
            line: Vec::new(),
            seats: Vec::new(),
            wake_lateness: Distribution::default(),
        }
    }

    /// Remembers where a client can be woken.
    fn sit(&mut self, client: ClientId, waker: &Waker) -> &mut Seat {
        if self.seats.len() <= client.index() {
            self.seats.resize(client.index() + 1, Seat::default());
        }
        let seat = &mut self.seats[client.index()];
        match &mut seat.waker {
            Some(old) => old.clone_from(waker),
            None => seat.waker = Some(waker.clone()),
        }
        seat
    }

    /// Puts a client into the line; it is there once however often it looks.
    fn stand_in_line(&mut self, client: ClientId, waker: &Waker) {
        let seat = self.sit(client, waker);
        if !std::mem::replace(&mut seat.in_line, true) {
            self.line.push(client);
        }
    }

    fn wake(&self, client: ClientId) {
        if let Some(waker) = self.seats.get(client.index()).and_then(|seat| seat.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// The first of the line leads, if there is one.
    fn pass_on(&mut self) {
        self.leader = self.line.pop();
        if let Some(next) = self.leader {
            self.seats[next.index()].in_line = false;
            self.wake(next);
        }
    }

    fn next_due(&self) -> Option<Stamp> {
        self.thinking.peek().map(|Reverse(next)| next.due)
    }
}

/// A client's own place in the work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Closed loop: the stage it was last in.
    stage: usize,
    /// Closed loop: its iteration in that stage.
    iteration: u64,
    /// Closed loop: whether it ever did anything.
    has_worked: bool,
    /// Closed loop: until when it thinks.
    ready_at: Option<Stamp>,
    /// Partly open loop: whose transaction it does.
    session: Option<Session>,
}

impl<N: Now> Source<N> {
    pub(super) fn new(timer: Timer<N>, share: Share, windows: Rc<[Window]>, seed: Seed) -> Self {
        let keys: Vec<Key> = windows.iter().map(|window| Draws::stage_key(seed, window.index)).collect();
        let planned = RefCell::new(Planned::new(&windows, &keys));
        let state = RefCell::new(State::new(Schedule::of(&windows, &keys, 0)));
        let in_flight_max = Cell::new(u32::MAX);
        Self { timer, share, windows, seed, keys, state, planned, in_flight_max, stop: Cell::new(false) }
    }

    /// What the scripts of a client begin with.
    pub(super) fn facts(&self, client: ClientId) -> ClientFacts {
        ClientFacts {
            client: self.share.number(u64::from(client.0)),
            default_seed: Draws::default_seed(self.seed),
            random_seed: self.seed.0,
        }
    }

    /// How many clients the instance needs over all stages, of whom `in_flight_max` take arrivals.
    pub(super) fn clients(&self, in_flight_max: u32) -> u32 {
        self.in_flight_max.set(in_flight_max);
        let of_stage = |window: &Window| match window.load {
            Load::Closed { .. } => u32::try_from(self.share.part(window.clients_max())).unwrap_or(u32::MAX),
            Load::Open { .. } | Load::PartlyOpen { .. } => in_flight_max,
        };
        self.windows.iter().map(of_stage).max().unwrap_or(0)
    }

    /// The next work of `client`, whose last one has ended; nothing when all stages are over or the run was stopped.
    pub(super) async fn next(&self, client: ClientId, progress: &mut Progress) -> Option<Work> {
        if let Some(session) = progress.session.take() {
            self.think(session);
        }
        loop {
            let stage = self.state.borrow().stage;
            let window = self.windows.get(stage)?;
            if self.stop.get() {
                return None;
            }
            let work = match &window.load {
                Load::Closed { think, .. } => {
                    self.next_iteration(client, think.as_ref(), window, progress).await
                }
                Load::Open { .. } | Load::PartlyOpen { .. } if client.0 >= self.in_flight_max.get() => {
                    self.stand_by(client, window.index).await;
                    None
                }
                Load::Open { .. } | Load::PartlyOpen { .. } => {
                    self.next_arrival(client, window, progress).await
                }
            };
            if work.is_some() {
                return work;
            }
        }
    }

    /// A window has another end than it had: whoever sleeps for something behind it looks again. What was handed out behind
    /// it before anybody knew counts as planned.
    pub(super) fn look_up(&self, index: usize) {
        if let Some(window) = self.windows.get(index)
            && self.timer.now() > window.span().to
        {
            let mut schedule = Schedule::of(&self.windows, &self.keys, index);
            let planned = self.share.part(schedule.before(window, window.span().to));
            let mut state = self.state.borrow_mut();
            if state.stage == window.index {
                state.followed += state.taken.saturating_sub(planned);
            }
        }
        self.wake_all();
    }

    /// Ends the hand-out: whoever waits goes home.
    pub(super) fn stop(&self) {
        self.stop.set(true);
        self.wake_all();
    }

    /// Arrivals and iterations that were planned before `until`, over all stages: by arithmetic in an open loop. To be asked
    /// in ascending order.
    pub(super) fn planned(&self, until: Stamp) -> u64 {
        let arrivals = self.planned.borrow_mut().until(&self.windows, &self.keys, self.share, until);
        let state = self.state.borrow();
        let until = self.sessions_until(state.stage, until);
        let due = state.thinking.iter().filter(|Reverse(next)| next.due < until).count();
        arrivals + state.followed + due as u64
    }

    /// Until when the next transactions of sessions count: what would come in a stage of clients never comes.
    fn sessions_until(&self, stage: usize, until: Stamp) -> Stamp {
        match (self.windows.get(stage), self.windows.get(stage + 1)) {
            (Some(window), Some(next)) if !next.load.arrives() => until.min(window.span().to),
            _ => until,
        }
    }

    /// Whose part of the load it is.
    pub(super) fn share(&self) -> Share {
        self.share
    }

    /// How many were handed out.
    pub(super) fn handed_out(&self) -> u64 {
        self.state.borrow().handed_out
    }

    /// Hands out at once everything that was planned before `until` and not handed out. Call it once, after
    /// [`Source::stop`].
    pub(super) fn take_left_out(&self, until: Stamp, mut take: impl FnMut(Work)) {
        let state = &mut *self.state.borrow_mut();
        let mut left = 0;
        for (index, window) in self.windows.iter().enumerate().skip(state.stage) {
            let first = if index == state.stage { state.taken } else { 0 };
            let planned = Schedule::new(window, self.keys[index]).before(window, until.min(window.span().to));
            let mut schedule = Schedule::new(window, self.keys[index]);
            for own in first..self.share.part(planned) {
                let number = self.share.number(own);
                // What was counted as planned has an instant, but for the rounding of the last.
                let at = schedule.instant(window, number).unwrap_or(until);
                take(self.of_arrival(window, number, at));
                left += 1;
            }
        }
        let until = self.sessions_until(state.stage, until);
        for Reverse(FollowUp { due, session }) in state.thinking.drain() {
            if due < until {
                take(self.of_session(&self.windows[session.window], session, due));
                left += 1;
                state.followed += 1;
            }
        }
        state.handed_out += left;
    }

    /// How late the timer woke for planned instants since the last call.
    pub(super) fn take_wake_lateness(&self, into: &mut Distribution) {
        let mut state = self.state.borrow_mut();
        into.merge(&state.wake_lateness);
        state.wake_lateness.clear();
    }

    async fn next_iteration(
        &self,
        client: ClientId,
        think: Option<&Pause>,
        window: &Window,
        progress: &mut Progress,
    ) -> Option<Work> {
        let now = self.timer.now();
        let end = window.span().to;
        if now >= end {
            self.advance(window.index);
            return None;
        }
        match window.takes_part(self.share.number(u64::from(client.0)), now) {
            Some(at) if at <= now => {}
            Some(at) => {
                self.sleep_inside(client, at.min(end), window).await;
                return None;
            }
            // More clients than this stage has. The first one always keeps the time.
            None if client.0 == 0 => {
                self.sleep_inside(client, end, window).await;
                return None;
            }
            None => {
                self.stand_by(client, window.index).await;
                return None;
            }
        }
        if progress.stage != window.index {
            *progress = Progress { stage: window.index, iteration: 0, ..*progress };
        }
        let key =
            self.keys[window.index].number(u64::from(self.share.instance.0)).number(u64::from(client.0));
        let position = Position { key, number: progress.iteration };
        if let Some(think) = think {
            let ready_at =
                *progress.ready_at.get_or_insert_with(|| now + thought(think, position, progress.has_worked));
            if ready_at > now {
                self.sleep_inside(client, ready_at.min(end), window).await;
                return None;
            }
        }
        progress.ready_at = None;
        progress.has_worked = true;
        progress.iteration += 1;
        let mut state = self.state.borrow_mut();
        state.followed += 1;
        state.handed_out += 1;
        let origin = self.origin(window, Some(u64::from(client.0)));
        Some(Work { position, scheduled_at: None, origin, taken_at: now, too_late: false })
    }

    async fn next_arrival(&self, client: ClientId, window: &Window, progress: &mut Progress) -> Option<Work> {
        self.lead(client, window.index).await?;
        let mut late = None;
        loop {
            if self.stop.get() {
                return None;
            }
            let due = self.next_instant(window);
            let now = self.timer.now();
            match due.filter(|due| *due < window.span().to) {
                Some(due) if due <= now => return Some(self.hand_out(client, window, now, late, progress)),
                Some(due) => late = self.sleep_for_work(client, due, window).await,
                None if now >= window.span().to => {
                    self.advance(window.index);
                    return None;
                }
                None => late = self.sleep_for_work(client, window.span().to, window).await,
            }
        }
    }

    /// When the next transaction of this instance is planned: an arrival of this stage, or the next one of a session.
    fn next_instant(&self, window: &Window) -> Option<Stamp> {
        let mut state = self.state.borrow_mut();
        let number = self.share.number(state.taken);
        let arrival = state.schedule.instant(window, number);
        [arrival, state.next_due()].into_iter().flatten().min()
    }

    /// Takes what [`Source::next_instant`] gave the instant of.
    fn hand_out(
        &self,
        client: ClientId,
        window: &Window,
        now: Stamp,
        woke_late: Option<Duration>,
        progress: &mut Progress,
    ) -> Work {
        let mut state = self.state.borrow_mut();
        let number = self.share.number(state.taken);
        let arrival = state.schedule.instant(window, number).unwrap_or(Stamp::NEVER);
        let has_room = state.thinking.len() < THINKING_MAX;
        let (mut work, session) = if let Some(due) = state.next_due().filter(|due| *due < arrival) {
            let Reverse(FollowUp { session, .. }) = state.thinking.pop().expect("it was looked at just now");
            state.followed += 1;
            (self.of_session(window, session, due), Some(session))
        } else {
            state.taken += 1;
            let session = self.session(window, number).filter(|_| has_room);
            (self.of_arrival(window, number, arrival), session)
        };
        let turned_away = !has_room && session.is_none();
        work.taken_at = now;
        let waited = work.scheduled_at.map_or(Duration::ZERO, |at| now - at);
        work.too_late = turned_away || window.load.max_lag().is_some_and(|limit| waited > limit);
        progress.session = session.map(|session| Session { made: session.made + 1, ..session });
        if let Some(late) = woke_late {
            state.wake_lateness.record(late);
        }
        state.handed_out += 1;
        // Who only skips something leads on.
        if work.too_late {
            state.leader = Some(client);
        } else {
            state.pass_on();
        }
        work
    }

    /// The session that begins with arrival `number`, if arrivals are sessions.
    fn session(&self, window: &Window, number: u64) -> Option<Session> {
        let Load::PartlyOpen { transactions, .. } = &window.load else { return None };
        let key = self.keys[window.index].number(number);
        let of = interval::amount(transactions, &mut key.at(0, PURPOSE_SESSION));
        Some(Session { window: window.index, number, made: 0, of })
    }

    fn of_arrival(&self, window: &Window, number: u64, at: Stamp) -> Work {
        if let Load::PartlyOpen { .. } = window.load {
            let first = Session { window: window.index, number, made: 0, of: 1 };
            return self.of_session(window, first, at);
        }
        let position = Position { key: self.keys[window.index], number };
        Work::planned(position, at, self.origin(window, None))
    }

    /// The next transaction of a session.
    fn of_session(&self, window: &Window, session: Session, at: Stamp) -> Work {
        let origin = self.origin(window, Some(session.number));
        Work::planned(self.position(session), at, origin)
    }

    fn position(&self, session: Session) -> Position {
        Position { key: self.keys[session.window].number(session.number), number: u64::from(session.made) }
    }

    /// A transaction of a session has ended: plans its next one, if it has one ahead. In a stage of clients nobody goes on.
    fn think(&self, session: Session) {
        let mut state = self.state.borrow_mut();
        let goes_on = self.windows.get(state.stage).is_some_and(|window| window.load.arrives());
        if session.made >= session.of || self.stop.get() || !goes_on {
            return;
        }
        let Load::PartlyOpen { think, .. } = &self.windows[session.window].load else { return };
        let pause =
            think.as_ref().map_or(Duration::ZERO, |think| thought(think, self.position(session), true));
        let due = self.timer.now() + pause;
        let is_first = state.next_due().is_none_or(|next| due < next);
        state.thinking.push(Reverse(FollowUp { due, session }));
        // The leader may sleep for something later.
        if is_first && let Some(leader) = state.leader {
            state.wake(leader);
        }
    }

    fn origin(&self, window: &Window, user: Option<u64>) -> Origin {
        let client = user.map(|number| ClientId(u32::try_from(number).unwrap_or(u32::MAX)));
        Origin { stage: window.id, instance: self.share.instance, client }
    }

    /// Waits until the stage is over or the run is stopped.
    async fn stand_by(&self, client: ClientId, stage: usize) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if self.stop.get() || state.stage != stage {
                return Poll::Ready(());
            }
            state.sit(client, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Stands in line until `client` leads. Nothing when the stage went by meanwhile or the run was stopped.
    async fn lead(&self, client: ClientId, stage: usize) -> Option<()> {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if self.stop.get() || state.stage != stage {
                return Poll::Ready(None);
            }
            if state.leader.is_none() {
                state.leader = Some(client);
            }
            if state.leader == Some(client) {
                return Poll::Ready(Some(()));
            }
            state.stand_in_line(client, context.waker());
            Poll::Pending
        })
        .await
    }

    /// Goes on to the stage after `stage`, if nobody did before.
    fn advance(&self, stage: usize) {
        {
            let mut state = self.state.borrow_mut();
            if state.stage != stage {
                return;
            }
            state.stage += 1;
            state.taken = 0;
            state.schedule = Schedule::of(&self.windows, &self.keys, state.stage);
            state.leader = None;
            state.line.clear();
            for seat in &mut state.seats {
                seat.in_line = false;
            }
            // What was due before is handed out; in a stage of clients no session goes on.
            if !self.windows.get(state.stage).is_some_and(|window| window.load.arrives()) {
                state.thinking.clear();
            }
        }
        self.wake_all();
    }

    fn wake_all(&self) {
        let state = self.state.borrow();
        for waker in state.seats.iter().filter_map(|seat| seat.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// Sleeps until `at`, or until the window ends before it.
    async fn sleep_inside(&self, client: ClientId, at: Stamp, window: &Window) -> Option<Duration> {
        self.sleep_until(client, at, |_| window.span().to < at).await
    }

    /// Sleeps until `at`, or until something is planned or the window ends before it.
    async fn sleep_for_work(&self, client: ClientId, at: Stamp, window: &Window) -> Option<Duration> {
        let is_disturbed =
            |state: &State| window.span().to < at || state.next_due().is_some_and(|due| due < at);
        self.sleep_until(client, at, is_disturbed).await
    }

    /// Sleeps until `at`, until `is_disturbed` is so when the client is woken, or until the run is stopped. Says how late it
    /// woke, if it slept to the end.
    async fn sleep_until(
        &self,
        client: ClientId,
        at: Stamp,
        is_disturbed: impl Fn(&State) -> bool,
    ) -> Option<Duration> {
        if self.timer.now() >= at {
            return None;
        }
        let mut sleep = self.timer.sleep_until(at);
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if self.stop.get() || is_disturbed(&state) {
                return Poll::Ready(None);
            }
            state.sit(client, context.waker());
            Pin::new(&mut sleep).poll(context).map(Some)
        })
        .await
    }
}

/// The think time before the transaction at `position`. Users who begin together would go on in step: the first time is a
/// part of one.
fn thought(think: &Pause, position: Position, has_worked: bool) -> Duration {
    let mut stream = position.stream(PURPOSE_THINK);
    let whole = interval::pause(think, &mut stream);
    if has_worked { whole } else { whole.mul_f64(stream.unit()) }
}
