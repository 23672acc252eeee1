//! `fanlight`: the server and its command line.

mod access;
mod cli;
mod serve;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
