//! What comparisons with PostgreSQL's own programs share: how these are called, and how their figures are summed up.

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use tokio_postgres::config::{Config, Host};

use crate::common::{Result, say};

/// The exit code of a comparison: whether everything is as it should be.
pub fn conclude(compared: Result<bool>) -> ExitCode {
    match compared {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the comparison failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A program that is told by its environment where to connect: arguments are for all to see.
pub fn tool(program: &Path, config: &Config, database: &str) -> Command {
    let mut command = Command::new(program);
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    if let [Host::Tcp(host), ..] = config.get_hosts() {
        command.env("PGHOST", host);
    }
    if let [port, ..] = config.get_ports() {
        command.env("PGPORT", port.to_string());
    }
    command
        .env("PGUSER", config.get_user().unwrap_or_default())
        .env("PGDATABASE", database)
        .env("PGPASSWORD", password)
        .env("PGSSLMODE", "disable")
        .env("LC_ALL", "C");
    command
}

/// What a program said, if it ended well.
pub fn succeed(name: &str, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout.clone())?);
    }
    Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
