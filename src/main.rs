//! The program: hands the arguments on and turns the outcome into an exit code.

use std::process::ExitCode;

use dbdyno::local;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1) {
        Some(first) if first == local::SUPERVISE => match local::supervise(&arguments[2..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => ExitCode::FAILURE,
    }
}
