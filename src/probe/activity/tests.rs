//! The loop over eyes that see what is written down for each look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::record::observation::{ActivitySummary, Session, Who};

/// Every instant is a millisecond later than the one before.
#[derive(Clone, Default)]
struct Ticks(Arc<AtomicU64>);

impl Now for Ticks {
    fn now(&self) -> Stamp {
        Stamp(1_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Wire;

impl Connection for Wire {
    fn is_closed(&self) -> bool {
        false
    }
}

/// Eyes that see what is written down for each look.
#[derive(Default)]
struct Scripted {
    /// Numbers of the sessions, and whether they wait for a lock.
    sessions: VecDeque<Result<Vec<(i64, bool)>, Unanswered>>,
    locks: VecDeque<Result<SeenLocks, Unanswered>>,
    opened: u32,
}

impl Eyes for Scripted {
    type Connection = Wire;
    type Session = (i64, bool);

    async fn open(&mut self) -> Result<Wire, ProbeError> {
        self.opened += 1;
        tokio::task::yield_now().await;
        Ok(Wire)
    }

    async fn begin(&mut self, _: &mut Wire, _: &impl Now, cost: &mut ProbeCost) -> Result<(), Unanswered> {
        cost.queries += 1;
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn sessions(
        &mut self,
        _: &mut Wire,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Answer<Vec<(i64, bool)>>, Unanswered> {
        cost.queries += 1;
        let asked_at = clock.now();
        tokio::task::yield_now().await;
        let value = self.sessions.pop_front().expect("no more looks than are written down")?;
        Ok(Answer { value, asked_at, answered_at: clock.now() })
    }

    fn kind(&self, (number, waits): &(i64, bool)) -> Option<Kind> {
        Some((Who::Foreign(number.to_string()), "active".to_owned(), waits.then(|| "Lock:row".to_owned())))
    }

    fn waits_for_a_lock((_, waits): &(i64, bool)) -> bool {
        *waits
    }

    async fn locks(
        &mut self,
        _: &mut Wire,
        _: Vec<(i64, bool)>,
        _: LookTime,
        _: &impl Now,
        locks: &mut Gathered,
    ) -> Result<SeenLocks, Unanswered> {
        locks.cost.queries += 1;
        tokio::task::yield_now().await;
        self.locks.pop_front().expect("no more questions for locks than are written down")
    }

    fn round_trip(&self) -> Option<Duration> {
        Some(Duration::from_micros(70))
    }
}

fn session(number: i64) -> Session {
    Session { backend: BackendId(number), who: Who::Foreign(number.to_string()), state: "active".to_owned() }
}

fn waits(ms: u64, waiters: &[i64]) -> SeenLocks {
    let wait = |number: &i64| SeenWait {
        waiter: session(*number),
        lock_type: "row".to_owned(),
        mode: "X".to_owned(),
        relation: None,
        wait_mark: None,
        began_at: None,
        direct_blockers: vec![session(1)],
        roots: Vec::new(),
    };
    let at = Stamp(1_000_000 * ms);
    let time = LookTime { asked_at: at, answered_at: at };
    SeenLocks::Waits(time, waiters.iter().map(wait).collect())
}

fn refused(lost: bool) -> Unanswered {
    Unanswered { message: "the server's words".to_owned(), lost }
}

/// Looks as often as sessions are written down.
async fn looked(eyes: Scripted, room: usize) -> (Activity<Scripted, Ticks>, mpsc::Receiver<Probed>) {
    let (out, readings) = mpsc::channel(room);
    let looks = eyes.sessions.len();
    let mut activity =
        Activity::open(eyes, Duration::from_millis(10), Ticks::default(), out).await.expect("it begins");
    for _ in 0..looks {
        activity.look().await;
    }
    (activity, readings)
}

/// What was handed on: the name of each reading, its gaps, and what was seen.
fn handed_on(readings: &mut mpsc::Receiver<Probed>) -> Vec<(String, u64, Result<Observation, String>)> {
    std::iter::from_fn(|| readings.try_recv().ok())
        .map(|Probed { reading, .. }| (reading.probe, reading.cost.gaps, reading.seen))
        .collect()
}

fn summary(seen: &Result<Observation, String>) -> &ActivitySummary {
    let Ok(Observation::Activity(summary)) = seen else { panic!("a summary: {seen:?}") };
    summary
}

fn episodes(seen: &Result<Observation, String>) -> Vec<(i64, u32)> {
    let Ok(Observation::Locks(episodes)) = seen else { panic!("lock waits: {seen:?}") };
    episodes.iter().map(|episode| (episode.waiter.backend.0, episode.samples)).collect()
}

#[tokio::test]
async fn locks_are_asked_for_when_a_session_waits_and_a_wait_ends_with_the_look_that_sees_none() {
    let eyes = Scripted {
        sessions: [vec![(1, false)], vec![(1, false), (2, true)], vec![(2, true)], vec![]].map(Ok).into(),
        locks: [waits(20, &[2]), waits(30, &[2])].map(Ok).into(),
        ..Scripted::default()
    };
    let (mut activity, mut readings) = looked(eyes, 8).await;
    activity.finish().await;
    let handed_on = handed_on(&mut readings);
    let [(sessions, 0, seen), (locks, 0, ended)] = handed_on.as_slice() else { panic!("{handed_on:?}") };
    assert_eq!((sessions.as_str(), locks.as_str()), ("activity", "locks"));
    let summary = summary(seen);
    assert_eq!((summary.samples, summary.lock_looks, summary.round_trip_ns), (4, Some(4), Some(70_000)));
    let counts: Vec<_> = summary.seen.iter().map(|seen| (seen.wait.as_deref(), seen.count)).collect();
    assert_eq!(counts, [(None, 2), (Some("Lock:row"), 2)]);
    assert_eq!(episodes(ended), [(2, 2)]);
}

#[tokio::test]
async fn a_wait_that_goes_on_is_told_to_who_looks_on_and_stands_in_no_journal() {
    let eyes = Scripted {
        sessions: [vec![(2, true)]].map(Ok).into(),
        locks: [waits(20, &[2])].map(Ok).into(),
        ..Scripted::default()
    };
    let (mut activity, mut readings) = looked(eyes, 8).await;
    activity.hand_over();
    let handed_on = handed_on(&mut readings);
    let [(_, 0, seen)] = handed_on.as_slice() else { panic!("{handed_on:?}") };
    let waiters: Vec<i64> = summary(seen).going_on.iter().map(|of| of.waiter.backend.0).collect();
    assert_eq!(waiters, [2]);
    let kept = serde_json::to_string(summary(seen)).expect("a summary is written");
    assert!(!kept.contains("going_on"), "{kept}");
}

#[tokio::test]
async fn a_look_that_loses_the_connection_is_a_gap_and_the_next_one_has_another() {
    let eyes =
        Scripted { sessions: [Err(refused(true)), Ok(vec![(1, false)])].into(), ..Scripted::default() };
    let (mut activity, mut readings) = looked(eyes, 8).await;
    assert_eq!(activity.eyes.opened, 2);
    activity.hand_over();
    let handed_on = handed_on(&mut readings);
    let [(_, 1, Err(why)), (_, 0, seen)] = handed_on.as_slice() else { panic!("{handed_on:?}") };
    assert_eq!(why, "the server's words");
    assert_eq!(summary(seen).samples, 1);
}

#[tokio::test]
async fn a_refusal_keeps_the_connection_and_where_only_the_locks_are_refused_the_sessions_count() {
    let eyes = Scripted {
        sessions: [Err(refused(false)), Ok(vec![(2, true)])].into(),
        locks: [Err(refused(false))].into(),
        ..Scripted::default()
    };
    let (mut activity, mut readings) = looked(eyes, 8).await;
    assert_eq!(activity.eyes.opened, 1);
    activity.hand_over();
    let handed_on = handed_on(&mut readings);
    let [(sessions, 1, Err(_)), (_, 0, seen), (locks, 1, Err(_)), (_, 0, ended)] = handed_on.as_slice()
    else {
        panic!("{handed_on:?}")
    };
    assert_eq!((sessions.as_str(), locks.as_str()), ("activity", "locks"));
    assert_eq!((summary(seen).samples, summary(seen).lock_looks), (1, Some(0)));
    assert!(episodes(ended).is_empty());
}

#[tokio::test]
async fn a_look_that_comes_too_early_for_the_locks_ends_the_waits_of_those_who_wait_no_more() {
    let eyes = Scripted {
        sessions: [vec![(2, true), (3, true)], vec![(3, true)]].map(Ok).into(),
        locks: [waits(20, &[2, 3]), SeenLocks::StillWaiting(vec![BackendId(3)])].map(Ok).into(),
        ..Scripted::default()
    };
    let (mut activity, mut readings) = looked(eyes, 8).await;
    activity.hand_over();
    let first = handed_on(&mut readings);
    let [(_, 0, seen), (_, 0, ended)] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!((summary(seen).samples, summary(seen).lock_looks), (2, Some(1)), "one did not ask");
    assert_eq!(episodes(ended), [(2, 1)]);
    activity.finish().await;
    let last = handed_on(&mut readings);
    let [(_, 0, ended)] = last.as_slice() else { panic!("{last:?}") };
    assert_eq!(episodes(ended), [(3, 1)]);
}

#[tokio::test]
async fn waits_that_found_no_room_are_offered_again() {
    let eyes = Scripted {
        sessions: [vec![(2, true)], vec![]].map(Ok).into(),
        locks: [Ok(waits(20, &[2]))].into(),
        ..Scripted::default()
    };
    let (mut activity, mut readings) = looked(eyes, 1).await;
    activity.hand_over();
    assert_eq!(handed_on(&mut readings).len(), 1, "the summary took the room");
    activity.hand_over();
    let handed_on = handed_on(&mut readings);
    let [(locks, 1, ended)] = handed_on.as_slice() else { panic!("{handed_on:?}") };
    assert_eq!((locks.as_str(), episodes(ended)), ("locks", vec![(2, 1)]));
}
