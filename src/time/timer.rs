//! One timer for one worker: all its sleepers share a heap of deadlines and one `timerfd`.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::clock::Now;
use super::heap::{DeadlineHeap, Ticket};
use crate::units::Stamp;

/// Why no timer could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a timer: {0}")]
pub struct TimerError(#[from] std::io::Error);

/// The timer of one worker. Cheap to clone; not `Send`, since it belongs to one thread.
#[derive(Clone)]
pub struct Timer<N> {
    clock: N,
    shared: Rc<Shared>,
}

struct Shared {
    heap: RefCell<DeadlineHeap>,
    alarm: RefCell<Alarm>,
}

/// What wakes the thread at the earliest deadline.
enum Alarm {
    /// The kernel, by a file descriptor.
    #[cfg(target_os = "linux")]
    TimerFd(Rc<tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>>),
    /// The driver task sleeps coarsely and then spins; it is woken when an earlier deadline is set.
    #[cfg(not(target_os = "linux"))]
    Coarse(Option<Waker>),
    /// Nobody: virtual time jumps to the earliest deadline when all tasks wait.
    Virtual,
}

impl<N: Now> Timer<N> {
    /// A timer on the kernel's clock. [`Timer::drive`] must run beside its sleepers.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    #[cfg(target_os = "linux")]
    pub fn real(clock: N) -> Result<Self, TimerError> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe for types whose AsRawFd may lie; an OwnedFd does not"
        )]
        let fd = tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)?;
        Ok(Self::with_alarm(clock, Alarm::TimerFd(Rc::new(fd))))
    }

    /// A timer without a `timerfd`.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(target_os = "linux"))]
    pub fn real(clock: N) -> Result<Self, TimerError> {
        Ok(Self::with_alarm(clock, Alarm::Coarse(None)))
    }

    pub(super) fn unalarmed(clock: N) -> Self {
        Self::with_alarm(clock, Alarm::Virtual)
    }

    fn with_alarm(clock: N, alarm: Alarm) -> Self {
        let shared = Shared { heap: RefCell::default(), alarm: RefCell::new(alarm) };
        Self { clock, shared: Rc::new(shared) }
    }

    /// The clock it goes by.
    #[must_use]
    pub fn clock(&self) -> &N {
        &self.clock
    }

    /// This instant.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Waits until `at` and resolves to how late it woke. Ready at once, and without a system call, when `at` has passed.
    #[must_use]
    pub fn sleep_until(&self, at: Stamp) -> Sleep<N> {
        Sleep { timer: self.clone(), at, ticket: None }
    }

    /// Waits for `span` from now.
    #[must_use]
    pub fn sleep(&self, span: Duration) -> Sleep<N> {
        self.sleep_until(self.now() + span)
    }

    /// Wakes sleepers in time. Runs until it is dropped.
    #[cfg(target_os = "linux")]
    pub async fn drive(self) {
        let fd = match &*self.shared.alarm.borrow() {
            Alarm::TimerFd(fd) => Rc::clone(fd),
            Alarm::Virtual => return,
        };
        loop {
            // The descriptor is edge-triggered and setting it again clears its count, so it is never read.
            let Ok(mut guard) = fd.readable().await else { return };
            guard.clear_ready();
            self.fire_due(self.now());
            self.set_alarm();
        }
    }

    /// Wakes sleepers in time. Runs until it is dropped.
    #[cfg(not(target_os = "linux"))]
    pub async fn drive(self) {
        /// How late tokio's timers may be; the rest is spent spinning.
        const COARSE: Duration = Duration::from_millis(3);
        loop {
            let next = self.shared.heap.borrow().earliest();
            let changed = std::future::poll_fn(|context| {
                *self.shared.alarm.borrow_mut() = Alarm::Coarse(Some(context.waker().clone()));
                if self.shared.heap.borrow().earliest() == next { Poll::Pending } else { Poll::Ready(()) }
            });
            match next {
                None => changed.await,
                Some(at) if at > self.now() + COARSE => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep((at - self.now()).saturating_sub(COARSE)) => {}
                    }
                }
                Some(at) if at > self.now() => tokio::task::yield_now().await,
                Some(_) => self.fire_due(self.now()),
            }
        }
    }

    /// Wakes everybody whose deadline is not after `now`.
    pub(super) fn fire_due(&self, now: Stamp) {
        loop {
            // The borrow ends before waking, since a waker may run anything.
            let waker = self.shared.heap.borrow_mut().pop_due(now);
            match waker {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<Stamp> {
        self.shared.heap.borrow().earliest()
    }

    fn insert(&self, at: Stamp, waker: &Waker) -> Ticket {
        let before = self.earliest();
        let ticket = self.shared.heap.borrow_mut().insert(at, waker.clone());
        if before.is_none_or(|before| at < before) {
            self.set_alarm();
        }
        ticket
    }

    #[cfg(target_os = "linux")]
    fn set_alarm(&self) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let Alarm::TimerFd(fd) = &*self.shared.alarm.borrow() else { return };
        let Some(at) = self.earliest() else { return };
        // Zero would switch the alarm off, so that what is due already rings in a nanosecond.
        let span = (at - self.now()).max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            fd.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: zero, it_value: value },
        )
        .expect("a timerfd accepts every span below 2^63 seconds");
    }

    #[cfg(not(target_os = "linux"))]
    fn set_alarm(&self) {
        if let Alarm::Coarse(waker) = &mut *self.shared.alarm.borrow_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// A wait for an instant. Dropping it withdraws the deadline.
pub struct Sleep<N> {
    timer: Timer<N>,
    at: Stamp,
    ticket: Option<Ticket>,
}

// No field is ever pinned.
impl<N> Unpin for Sleep<N> {}

impl<N: Now> Future for Sleep<N> {
    /// How late it woke.
    type Output = Duration;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Duration> {
        let now = self.timer.now();
        if now >= self.at {
            return Poll::Ready(now - self.at);
        }
        match self.ticket {
            Some(ticket) => self.timer.shared.heap.borrow_mut().set_waker(ticket, context.waker()),
            None => self.ticket = Some(self.timer.insert(self.at, context.waker())),
        }
        Poll::Pending
    }
}

impl<N> Drop for Sleep<N> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.timer.shared.heap.borrow_mut().release(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Epoch;

    #[test]
    fn a_real_sleeper_wakes_neither_early_nor_milliseconds_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let timer = Timer::real(Epoch::begin().clock()).expect("a timer");
            tokio::task::spawn_local(timer.clone().drive());
            let mut lateness = Vec::new();
            for _ in 0..100 {
                let at = timer.now() + Duration::from_millis(2);
                lateness.push(timer.sleep_until(at).await);
                assert!(timer.now() >= at, "no sleeper wakes early");
            }
            lateness.sort_unstable();
            // tokio's own wheel rounds up to the next millisecond: its median would lie above 1 ms even on an idle machine.
            // The best tenth is what a busy machine cannot take away.
            assert!(lateness[10] < Duration::from_millis(1), "{lateness:?}");
        });
    }

    #[test]
    fn a_withdrawn_deadline_leaves_nothing_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let timer = Timer::real(Epoch::begin().clock()).expect("a timer");
            for _ in 0..1000 {
                let mut sleep = timer.sleep(Duration::from_secs(60));
                let first = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut sleep).poll(context)));
                assert!(first.await.is_pending());
            }
            assert_eq!(timer.earliest(), None);
        });
    }
}
