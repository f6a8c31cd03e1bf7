//! The books under chaos: what was reported of every transaction agrees with what the table holds, whatever was killed.
//! `make soak` does the same for two minutes.

use dbdyno::local::LocalOptions;

use crate::engines::{TestedEngine, on_both_engines};
use crate::harness::{local_options, own_environment, program};

#[path = "../../benches/chaos/mod.rs"]
mod aftermath;

on_both_engines!(what_was_reported_ok_is_in_the_table_and_what_is_there_was_reported);

fn what_was_reported_ok_is_in_the_table_and_what_is_there_was_reported(on: &TestedEngine) {
    let options = LocalOptions { dialect: on.dialect, ..local_options() };
    let aftermath =
        aftermath::run(&program(), &options, 6, own_environment).unwrap_or_else(|error| panic!("{error}"));
    let wrong = aftermath.contradictions();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", aftermath.summary());
    let missing = aftermath.missing();
    assert!(missing.is_empty(), "there was no {missing:?}: {}", aftermath.summary());
    // One termination in every 60 ms or so; on a busy machine a sixth of that is enough to mean something.
    assert!(aftermath.terminated >= 10, "{}", aftermath.summary());
}
