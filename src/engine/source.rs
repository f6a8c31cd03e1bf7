//! Hands the work of one instance to its clients.
//!
//! In a closed loop a client takes its next iteration at once. In an open loop the clients stand in line: one of them, the
//! leader, waits for the next planned instant, takes that arrival, names the next leader and goes. An arrival that is
//! overdue is taken at once, so nothing planned is ever left out, and the planned instant stays what it was.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::generate::Key;
use crate::record::histogram::Distribution;
use crate::time::{Now, Timer};
use crate::units::{ClientId, InstanceId, Seed, StageId, Stamp};
use crate::workload::Load;
use crate::workload::pgbench::ClientFacts;

use super::arrivals::{Share, Window, constant, planned_before};
use super::draws::{Draws, Position};

/// A sleeper looks up this often whether the run was stopped. At most one client of an instance in an open loop, and those of
/// a closed loop that is over early, sleep at a time.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// One transaction to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Where its draws lie.
    pub(super) position: Position,
    /// When it was planned to start; in a closed loop nothing is planned.
    pub(super) scheduled_at: Option<Stamp>,
    /// Whose it is.
    pub(super) origin: Origin,
}

/// What a piece of work belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) stage: StageId,
    pub(super) instance: InstanceId,
    /// The user; none in an open loop.
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
    stop: Cell<bool>,
}

#[derive(Default)]
struct State {
    /// Which window hands out.
    stage: usize,
    /// Open loop: own arrivals of this stage that were handed out.
    taken: u64,
    /// Own arrivals and iterations that were handed out, over all stages.
    handed_out: u64,
    /// Of them, those of closed loops.
    iterations: u64,
    leader: Option<ClientId>,
    parked: Vec<(ClientId, Waker)>,
    wake_lateness: Distribution,
}

impl State {
    /// Puts a client to those who wait to be woken; it is there once however often it looks.
    fn park(&mut self, client: ClientId, waker: &Waker) {
        match self.parked.iter_mut().find(|(waiting, _)| *waiting == client) {
            Some((_, old)) => old.clone_from(waker),
            None => self.parked.push((client, waker.clone())),
        }
    }
}

/// A client's own place in the work: its iteration in the stage it was last in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    stage: usize,
    iteration: u64,
}

impl<N: Now> Source<N> {
    pub(super) fn new(timer: Timer<N>, share: Share, windows: Rc<[Window]>, seed: Seed) -> Self {
        let keys = windows.iter().map(|window| Draws::stage_key(seed, window.index)).collect();
        Self { timer, share, windows, seed, keys, state: RefCell::default(), stop: Cell::new(false) }
    }

    /// What the scripts of a client begin with.
    pub(super) fn facts(&self, client: ClientId) -> ClientFacts {
        ClientFacts {
            client: self.share.number(u64::from(client.0)),
            default_seed: Draws::default_seed(self.seed),
            random_seed: self.seed.0,
        }
    }

    /// How many clients the instance needs over all stages.
    pub(super) fn clients(&self, in_flight_max: u32) -> u32 {
        let of_stage = |window: &Window| match window.load {
            Load::Clients(total) => u32::try_from(self.share.part(u64::from(total))).unwrap_or(u32::MAX),
            Load::Rate(_) => in_flight_max,
        };
        self.windows.iter().map(of_stage).max().unwrap_or(0)
    }

    /// The next work of `client`; nothing when all stages are over or the run was stopped.
    pub(super) async fn next(&self, client: ClientId, progress: &mut Progress) -> Option<Work> {
        loop {
            let stage = self.state.borrow().stage;
            let window = self.windows.get(stage)?;
            if self.stop.get() {
                return None;
            }
            let work = match window.load {
                Load::Clients(total) => self.next_iteration(client, total, window, progress).await,
                Load::Rate(rate) => self.next_arrival(client, rate, window).await,
            };
            if work.is_some() {
                return work;
            }
        }
    }

    /// Ends the hand-out: whoever waits goes home.
    pub(super) fn stop(&self) {
        self.stop.set(true);
        self.wake_all();
    }

    /// Arrivals and iterations that were planned before `until`, over all stages: by arithmetic in an open loop.
    pub(super) fn planned(&self, until: Stamp) -> u64 {
        let planned: u64 = self.windows.iter().map(|window| planned_before(window, self.share, until)).sum();
        planned + self.state.borrow().iterations
    }

    /// How many were handed out.
    pub(super) fn handed_out(&self) -> u64 {
        self.state.borrow().handed_out
    }

    /// Hands out at once all arrivals that were planned before `until` and not handed out. Call it once, after
    /// [`Source::stop`].
    pub(super) fn take_left_out(&self, until: Stamp, mut take: impl FnMut(Work)) {
        let mut state = self.state.borrow_mut();
        let mut left = 0;
        for (index, window) in self.windows.iter().enumerate().skip(state.stage) {
            let Load::Rate(rate) = window.load else { continue };
            let first = if index == state.stage { state.taken } else { 0 };
            for own in first..planned_before(window, self.share, until) {
                take(self.arrival(index, window, rate, own));
                left += 1;
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
        total: u32,
        window: &Window,
        progress: &mut Progress,
    ) -> Option<Work> {
        let own = self.share.part(u64::from(total));
        if u64::from(client.0) >= own.max(1) {
            // More clients than this stage has: they stand by. The first one always keeps the time.
            self.stand_by(client, window.index).await;
            return None;
        }
        if own == 0 || self.timer.now() >= window.span.to {
            self.sleep_until(window.span.to).await;
            self.advance(window.index);
            return None;
        }
        if progress.stage != window.index {
            *progress = Progress { stage: window.index, iteration: 0 };
        }
        let key =
            self.keys[window.index].number(u64::from(self.share.instance.0)).number(u64::from(client.0));
        let position = Position { key, number: progress.iteration };
        progress.iteration += 1;
        let mut state = self.state.borrow_mut();
        state.iterations += 1;
        state.handed_out += 1;
        let origin = Origin { client: Some(client), ..self.origin(window) };
        Some(Work { position, scheduled_at: None, origin })
    }

    async fn next_arrival(&self, client: ClientId, rate: f64, window: &Window) -> Option<Work> {
        self.lead(client, window.index).await?;
        let own = self.state.borrow().taken;
        let work = self.arrival(window.index, window, rate, own);
        let at = work.scheduled_at.unwrap_or(Stamp::NEVER);
        if at >= window.span.to {
            self.sleep_until(window.span.to).await;
            self.advance(window.index);
            return None;
        }
        let late = self.sleep_until(at).await;
        if self.stop.get() {
            return None;
        }
        let mut state = self.state.borrow_mut();
        if let Some(late) = late {
            state.wake_lateness.record(late);
        }
        state.taken += 1;
        state.handed_out += 1;
        state.leader = state.parked.pop().map(|(next, waker)| {
            waker.wake();
            next
        });
        Some(work)
    }

    fn arrival(&self, index: usize, window: &Window, rate: f64, own: u64) -> Work {
        let number = self.share.number(own);
        Work {
            position: Position { key: self.keys[index], number },
            scheduled_at: Some(constant(window.span.from, rate, number)),
            origin: self.origin(window),
        }
    }

    fn origin(&self, window: &Window) -> Origin {
        Origin { stage: window.id, instance: self.share.instance, client: None }
    }

    /// Waits until the stage is over or the run is stopped.
    async fn stand_by(&self, client: ClientId, stage: usize) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if self.stop.get() || state.stage != stage {
                return Poll::Ready(());
            }
            state.park(client, context.waker());
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
            state.park(client, context.waker());
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
            state.leader = None;
        }
        self.wake_all();
    }

    fn wake_all(&self) {
        let parked = std::mem::take(&mut self.state.borrow_mut().parked);
        for (_, waker) in parked {
            waker.wake();
        }
    }

    /// Sleeps until `at` or until the run is stopped; says how late it woke, if it slept at all.
    async fn sleep_until(&self, at: Stamp) -> Option<Duration> {
        let mut late = None;
        while !self.stop.get() && self.timer.now() < at {
            let next = at.min(self.timer.now() + STOP_CHECK);
            late = Some(self.timer.sleep_until(next).await);
        }
        late
    }
}
