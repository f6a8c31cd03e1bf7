//! The process that owns the server and removes it when dbdyno is gone.

/// Name of the hidden subcommand.
pub const SUPERVISE: &str = "supervise-local-server";

/// Body of the hidden subcommand.
pub fn supervise(arguments: &[String]) -> std::io::Result<()> {
    let _ = arguments;
    todo!("helper: local")
}
