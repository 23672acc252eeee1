//! Writes the digests of native runs, for the wasm build to compare its own with:
//! `cargo run --release -p fanlight-tests --example parity -- FILE`

use std::process::ExitCode;

use fanlight_tests::parity;

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("name the file to write: cargo run -p fanlight-tests --example parity -- FILE");
        return ExitCode::FAILURE;
    };
    match std::fs::write(&file, parity::lines()) {
        Ok(()) => {
            println!("{file}: digests of {} runs", parity::SEEDS);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{file} cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}
