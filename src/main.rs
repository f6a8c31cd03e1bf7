//! The program: its arguments, the call, the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    dbdyno::cli::main(std::env::args_os())
}
