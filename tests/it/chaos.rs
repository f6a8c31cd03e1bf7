//! The books under chaos: what was reported of every transaction agrees with what the table holds, whatever was killed.
//! `make soak` does the same for two minutes.

use crate::harness::{local_options, own_environment, program, runtime};

#[path = "../../benches/chaos/mod.rs"]
mod aftermath;

#[test]
fn what_was_reported_ok_is_in_the_table_and_what_is_there_was_reported() {
    let server = runtime()
        .block_on(dbdyno::local::start_postgres(&local_options()))
        .unwrap_or_else(|error| panic!("{error}"));
    let aftermath = aftermath::run(&program(), server.url(), 10, own_environment)
        .unwrap_or_else(|error| panic!("{error}"));
    let wrong = aftermath.contradictions();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", aftermath.summary());
    let missing = aftermath.missing();
    assert!(missing.is_empty(), "there was no {missing:?}: {}", aftermath.summary());
    // One termination in every 60 ms or so; on a busy machine a tenth of that is enough to mean something.
    assert!(aftermath.terminated >= 10, "{}", aftermath.summary());
}
