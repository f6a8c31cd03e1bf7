//! What a person is told of building and dropping an index on a server at work. Pure.

use std::time::Duration;

/// What building or dropping it keeps others from.
pub(super) fn blocks(table: &str, build: Duration) -> String {
    format!(
        "CREATE INDEX holds a SHARE lock on {table} for {}: reads go on, writes wait; CONCURRENTLY holds SHARE UPDATE EXCLUSIVE: both \
         go on, it scans the table twice and waits for older transactions",
        spoken(build)
    )
}

/// A time as precise as a build is worth.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// What to mind in production.
pub(super) fn caveats(is_added: bool) -> Vec<String> {
    let both = "CONCURRENTLY cannot stand in a transaction, and waits until all transactions that are older have ended".to_owned();
    if is_added {
        return vec![
            both,
            "with a lock_timeout it gives up where it waits too long, and leaves an index that is not valid: drop that with DROP \
             INDEX CONCURRENTLY, and begin again"
                .to_owned(),
        ];
    }
    vec![
        both,
        "without CONCURRENTLY, DROP INDEX holds an ACCESS EXCLUSIVE lock, and all behind it in the queue wait: set a lock_timeout".to_owned(),
    ]
}
