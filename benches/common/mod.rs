//! What the benchmarks share: settings from the environment, lines for people, the middle of several figures.

use std::error::Error;
use std::io::{self, Write};

/// Whatever goes wrong ends a benchmark with its words.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A setting from the environment: a whole number above zero.
pub fn number(variable: &str, default: u32) -> Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("{variable}: `{text}` is not a number above zero").into()),
        Err(_) => Ok(default),
    }
}

/// One line of the result.
pub fn say(line: &str) {
    // Nobody listens: nothing to say it to.
    let _ = writeln!(io::stdout(), "{line}");
}
