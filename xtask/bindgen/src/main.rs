//! `wasm-bindgen` and `wasm-bindgen-test-runner` in one program, chosen by the name it is run under.
//!
//! The programs and the `wasm-bindgen` crate have to be of exactly one version. Built from the
//! library, both are pinned by this workspace's Cargo.lock.

use std::path::Path;
use std::process::ExitCode;
use std::{env, ffi::OsString};

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_stem).unwrap_or_default();
    let done = if name == "wasm-bindgen-test-runner" {
        wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(args)
    } else {
        wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(args)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
