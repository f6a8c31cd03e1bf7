//! How PostgreSQL's own programs are called.

use std::path::Path;
use std::process::Command;

use tokio_postgres::config::{Config, Host};

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
