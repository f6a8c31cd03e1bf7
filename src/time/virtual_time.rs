//! Time that passes only when nothing else happens: the next deadline comes as soon as every task waits.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::clock::Now;
use super::timer::Timer;
use crate::units::Stamp;

/// A clock that stands still between deadlines.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    now_ns: Arc<AtomicU64>,
}

impl Now for VirtualClock {
    fn now(&self) -> Stamp {
        Stamp(self.now_ns.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Idle {
    reached: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

/// Runs `body` on a runtime of its own in virtual time, and returns what it gives.
///
/// Everything that `body` waits for must be another local task or a deadline of the timer: a socket would be overtaken.
///
/// # Panics
/// When the operating system gives no runtime, and when every task waits and no deadline is left (a deadlock).
pub fn block_on_virtual<F, R>(body: impl FnOnce(Timer<VirtualClock>) -> F) -> R
where
    F: Future<Output = R>,
{
    let clock = VirtualClock::default();
    let timer = Timer::unalarmed(clock.clone());
    let idle = Arc::new(Idle::default());
    let on_park = Arc::clone(&idle);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || {
            on_park.reached.store(true, Ordering::Relaxed);
            if let Some(waker) = on_park.driver.lock().expect("no holder of the lock panics").take() {
                waker.wake();
            }
        })
        .build()
        .expect("a runtime for a simulation");
    let driver = drive(timer.clone(), clock, idle);
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        tokio::select! {
            biased;
            result = body(timer) => result,
            () = driver => panic!("every simulated task waits and no deadline is left"),
        }
    })
}

/// Moves the clock to the next deadline each time the runtime has nothing left to do. Ends when there is no deadline.
async fn drive(timer: Timer<VirtualClock>, clock: VirtualClock, idle: Arc<Idle>) {
    loop {
        poll_fn(|context| {
            if idle.reached.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *idle.driver.lock().expect("no holder of the lock panics") = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let Some(next) = timer.earliest() else { return };
        clock.now_ns.fetch_max(next.0, Ordering::Relaxed);
        timer.fire_due(next);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_hour_passes_in_no_time_and_sleepers_wake_in_order() {
        let woken = block_on_virtual(|timer| async move {
            let woken = Rc::new(RefCell::new(Vec::new()));
            let mut tasks = Vec::new();
            for minutes in [60u64, 1, 30, 1] {
                let (timer, woken) = (timer.clone(), Rc::clone(&woken));
                tasks.push(tokio::task::spawn_local(async move {
                    let late = timer.sleep(Duration::from_secs(60 * minutes)).await;
                    assert_eq!(late, Duration::ZERO);
                    woken.borrow_mut().push((minutes, timer.now()));
                }));
            }
            for task in tasks {
                task.await.expect("no task panics");
            }
            woken.take()
        });
        let at = |minutes: u64| Stamp(minutes * 60 * 1_000_000_000);
        assert_eq!(woken, [(1, at(1)), (1, at(1)), (30, at(30)), (60, at(60))]);
    }
}
