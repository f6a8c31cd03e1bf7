//! When a worker gets a processor that others want as well.

use crate::units::Load;
use crate::workload::pgbench::Operation;
use crate::workload::{Transaction, Work};

use super::Plan;

/// Whether nothing of this load must happen at an instant of its own: clients who wait for each answer and go on at once.
pub(super) fn may_give_way(plan: &Plan) -> bool {
    let waits_for_answers_only = |load: &Load| matches!(load, Load::Closed { think: None, .. });
    plan.rtt.is_zero()
        && plan.stages.iter().all(|stage| waits_for_answers_only(&stage.load))
        && !plan.workload.transactions.iter().any(sleeps)
}

fn sleeps(transaction: &Transaction) -> bool {
    match &transaction.work {
        Work::Steps(steps) => steps.iter().any(|step| !step.hold.is_zero()),
        Work::Script(script) => {
            script.operations.iter().any(|operation| matches!(operation, Operation::Sleep(_)))
        }
    }
}

/// Has the calling thread wait until whoever holds the processor sleeps or has had its share (`SCHED_BATCH`), where it would take it
/// away whenever an answer arrives. Where server and generator share processors each switch less is time for both: the server's threads
/// end what they do, and a worker finds several answers at once. Where a processor is free nothing changes. On an error it is as before.
#[cfg(all(target_os = "linux", not(target_env = "musl")))]
pub(super) fn give_way() -> std::io::Result<()> {
    use preempt_rt::sched::{Pid, PreemptRtError, Scheduler, SchedulerParams, get_scheduler, set_scheduler};
    let by_errno = |error| match error {
        PreemptRtError::Errno(errno) => std::io::Error::from_raw_os_error(errno),
        other => std::io::Error::other(other.to_string()),
    };
    let thread = Pid::current_thread();
    // Whoever had the program started in another way (`chrt`) wants it so.
    if get_scheduler(thread).map_err(by_errno)? != Scheduler::SCHED_NORMAL {
        return Ok(());
    }
    set_scheduler(thread, Scheduler::SCHED_BATCH, SchedulerParams { priority: 0 }).map_err(by_errno)
}

/// Only Linux can, musl does not let it, and no promise depends on it.
#[cfg(not(all(target_os = "linux", not(target_env = "musl"))))]
pub(super) fn give_way() -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux", not(target_env = "musl")))]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_calling_thread_that_gives_way() {
        /// As `sched(7)` numbers them.
        const NORMAL: u32 = 0;
        const BATCH: u32 = 3;
        let policy_of = |thread: i32| {
            let process = procfs::process::Process::myself().expect("it runs");
            let stat = process.task_from_tid(thread).and_then(|task| task.stat()).expect("it runs");
            stat.policy.expect("Linux tells it")
        };
        let this = || rustix::thread::gettid().as_raw_nonzero().get();
        let (caller, usual) = (this(), policy_of(this()));
        // Whoever runs the tests may have asked for another one.
        let expected = if usual == NORMAL { BATCH } else { usual };
        let other = std::thread::spawn(move || {
            for _ in 0..2 {
                give_way().expect("nobody forbids it");
                assert_eq!(policy_of(this()), expected);
            }
        });
        other.join().expect("it does not panic");
        assert_eq!(policy_of(caller), usual);
    }
}
