//! Runs one command of the command line and gives its exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread allocates another one frees here, which makes threads wait for each other in glibc's and in musl's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mecha::cli::run(std::env::args_os().skip(1).collect()).into()
}
