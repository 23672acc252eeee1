//! `fanlight`: the server and its command line.

mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Fanlight: the message broker you can see through.
#[derive(Parser)]
#[command(name = "fanlight", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(options) => serve::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
