//! Runs one command of the command line and gives its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mecha::cli::run(std::env::args_os().skip(1).collect()).into()
}
