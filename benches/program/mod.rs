//! What comparisons with other programs share: what a program said.

use std::process::Output;

use crate::common::Result;

/// What a program said, if it ended well.
pub fn succeed(name: &str, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout.clone())?);
    }
    Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
