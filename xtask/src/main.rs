//! The project's own commands, run as `cargo xtask <command>`.
//!
//! A fresh machine needs Rust and a C compiler, and for tests Node; where there is Python, too, the
//! HTTP API is held against its description. All else (a Rust that builds for the web, wasm-bindgen,
//! trunk, Chromium, packages of npm and Python) is fetched into a private cache on first use, and
//! found there afterwards. Nothing is installed system-wide. Only `std` is used, so that the first
//! command on a fresh machine starts within seconds.

mod api;
mod bindgen;
mod cache;
mod chromium;
mod debian;
mod files;
mod npm;
mod package;
mod page;
mod play;
mod process;
mod progress;
mod project;
mod python;
mod sim;
mod summary;
mod supply;
mod test;
mod toolbox;
mod trunk;
mod wasm_toolchain;

use std::process::ExitCode;

use crate::toolbox::Toolbox;

/// A failure is one sentence for the person at the keyboard.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask <command>

Commands for everyone:
  play [ARGS…]      build the playground and the server, and start `fanlight serve ARGS…`, such
                    as `--listen 127.0.0.1:7420` or `--data DIR`; ctrl-C stops it
  test [STEP…]      install what the tests need, and run them all, or only the steps named
       --list       name the steps and what each does
       --fail-fast  stop at the first step that fails

Commands for those who change Fanlight:
  setup             install everything the other commands need, and no more
  sim [ARGS…]       run the simulation on ever new seeds: --seconds 600, --from SEED, --threads N;
                    a failure is made short and written as a trace into target/sim (--into DIR),
                    which --trace FILE plays again
  page              build the playground into dist/
  package           build the npm package in wasm/npm
  trunk [ARGS…]     run trunk with the project's tools; `trunk serve` rebuilds on change
  run CMD [ARGS…]   run any command with the project's tools first in PATH

Settings, as environment variables:
  FANLIGHT_CACHE    where tools are kept (default: $XDG_CACHE_HOME/fanlight or ~/.cache/fanlight);
                    delete it to start afresh
  FANLIGHT_WASM_RUST=debian
                    do not look at the Rust that is here nor ask rustup: unpack Debian's
  CHROMIUM, CHROMEDRIVER
                    the browser for tests and its driver, if not those in PATH
  CI                if set, a test step that is missing is a failure
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let asks_for_help = args.first().is_some_and(|arg| arg == "--help" || arg == "-h");
    if matches!(command.as_str(), "" | "help" | "--help" | "-h")
        || (asks_for_help
            && matches!(command.as_str(), "play" | "test" | "sim" | "setup" | "page" | "package"))
    {
        progress::print(HELP.trim_end());
        return ExitCode::SUCCESS;
    }
    match dispatch(&command, &args) {
        Ok(code) => code,
        Err(sentence) => {
            progress::say(&sentence);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, args: &[String]) -> Result<ExitCode> {
    let takes_none = matches!(command, "setup" | "page" | "package");
    if let (true, Some(extra)) = (takes_none, args.first()) {
        return Err(format!("`{command}` takes no argument such as {extra}; see cargo xtask help"));
    }
    let done = |()| ExitCode::SUCCESS;
    match command {
        "setup" => setup().map(done),
        "page" => page::build(&mut Toolbox::open()?).map(done),
        "package" => package::build(&mut Toolbox::open()?).map(done),
        "play" => play::run(&mut Toolbox::open()?, args),
        "test" => test::run(args),
        "sim" => sim::run(&Toolbox::open()?, args),
        "trunk" => trunk::run(&mut Toolbox::open()?, args),
        "run" => run(args),
        other => Err(format!("there is no command `{other}`; see cargo xtask help")),
    }
}

fn setup() -> Result<()> {
    let mut tools = Toolbox::open()?;
    tools.for_page()?;
    tools.for_browser()?;
    npm::install_all(&tools)?;
    progress::say("everything is installed");
    Ok(())
}

fn run(args: &[String]) -> Result<ExitCode> {
    let (program, args) = args.split_first().ok_or("run what? See cargo xtask help")?;
    let mut tools = Toolbox::open()?;
    tools.for_page()?;
    process::replace(tools.wasm(program).args(args))
}
