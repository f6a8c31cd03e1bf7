//! What an `ErrorResponse` means for whoever executes: refused, a deadlock broken, or the connection ended. Knows no
//! socket.

use super::wire::ServerError;
use crate::db::ExecError;
use crate::db::error::{DeadlockWait, SqlState};
use crate::units::BackendId;

/// Sides of a deadlock that are read: longer circles do not happen by accident.
const WAITS_MAX: usize = 16;

/// Why an execution, or a BEGIN or COMMIT, did not succeed.
pub(super) fn executing(error: ServerError) -> ExecError {
    let ServerError { fatal, code, message, deadlock_detail } = error;
    if fatal {
        ExecError::Ended { code, message }
    } else if code == SqlState::DEADLOCK {
        let waits = deadlock_detail.as_deref().map_or_else(Vec::new, waits);
        ExecError::Deadlock { code, message, waits }
    } else {
        ExecError::Server { code, message }
    }
}

/// The DETAIL of a deadlock has a line for each side, the one that is told first:
/// `Process 123 waits for ShareLock on transaction 7; blocked by process 456.` (`DeadLockReport` in `deadlock.c`)
///
/// In whatever language the server speaks, the first number of a line is the waiter, the last one its blocker, and the mode
/// is not translated; what the lock is on is read of the English words only.
fn waits(detail: &str) -> Vec<DeadlockWait> {
    detail.lines().filter_map(wait).take(WAITS_MAX).collect()
}

fn wait(line: &str) -> Option<DeadlockWait> {
    let mut numbers =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<i64>().ok());
    let waiter = numbers.next()?;
    let blocker = numbers.next_back()?;
    let mode = line.split_whitespace().find(|word| word.len() > 4 && word.ends_with("Lock"));
    Some(DeadlockWait {
        waiter: BackendId(waiter),
        mode: mode.unwrap_or_default().to_owned(),
        object: object(line),
        blocker: BackendId(blocker),
    })
}

/// What kind of thing the lock is on, without the numbers that are different each time: `tuple (0,1) of relation 16384 of
/// database 5` is a `tuple`.
fn object(line: &str) -> String {
    let words = line.split_once("Lock on ").and_then(|(_, rest)| Some(rest.split_once("; blocked by")?.0));
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic());
    words.unwrap_or_default().split_whitespace().take_while(is_name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(detail: &str) -> Vec<(i64, String, String, i64)> {
        let wait = |wait: DeadlockWait| (wait.waiter.0, wait.mode, wait.object, wait.blocker.0);
        waits(detail).into_iter().map(wait).collect()
    }

    #[test]
    fn each_line_is_one_side() {
        let detail = "Process 123 waits for ShareLock on transaction 7; blocked by process 456.\n\
                      Process 456 waits for ExclusiveLock on tuple (0,1) of relation 16384 of database 5; blocked by process 123.";
        let side = |waiter, mode: &str, object: &str, blocker| (waiter, mode.into(), object.into(), blocker);
        assert_eq!(
            told(detail),
            [side(123, "ShareLock", "transaction", 456), side(456, "ExclusiveLock", "tuple", 123)]
        );
        let advisory = "Process 1 waits for ExclusiveLock on advisory lock [5,0,42,1]; blocked by process 2.";
        assert_eq!(told(advisory), [side(1, "ExclusiveLock", "advisory lock", 2)]);
    }

    #[test]
    fn another_language_still_tells_who_waits_for_whom() {
        let german = "Prozess 123 wartet auf ShareLock-Sperre auf Transaktion 7; blockiert von Prozess 456.";
        assert_eq!(told(german), [(123, String::new(), String::new(), 456)]);
        assert!(told("").is_empty());
        assert!(told("nothing to count here").is_empty());
    }

    #[test]
    fn only_a_deadlock_that_leaves_the_connection_is_one() {
        let error = |fatal, code| ServerError {
            fatal,
            code,
            message: "deadlock detected".into(),
            deadlock_detail: Some(
                "Process 1 waits for ShareLock on transaction 7; blocked by process 2.".into(),
            ),
        };
        let broken = executing(error(false, SqlState::DEADLOCK));
        assert_eq!((broken.code(), broken.session_survives()), ("40P01", true));
        assert!(matches!(&broken, ExecError::Deadlock { waits, .. } if waits.len() == 1));
        assert_eq!(broken.to_string(), "deadlock detected (SQLSTATE 40P01)");
        assert!(matches!(executing(error(true, SqlState::DEADLOCK)), ExecError::Ended { .. }));
        let refused = executing(error(false, SqlState::UNIQUE_VIOLATION));
        assert!(matches!(refused, ExecError::Server { .. }));
    }
}
