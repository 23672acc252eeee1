//! Every test of the project, cheapest first.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::Result;
use crate::api;
use crate::chromium;
use crate::files;
use crate::npm;
use crate::package;
use crate::page;
use crate::play;
use crate::process;
use crate::progress::{print, say};
use crate::summary::{self, Tally};
use crate::supply;
use crate::toolbox::Toolbox;

/// Crates that are built for the web. What the playground does without a page is tested natively.
const WEB: [&str; 2] = ["fanlight-wasm", "fanlight-web"];
/// Not built natively here: the bindings, which need a JavaScript engine, and the programs of
/// wasm-bindgen, which are built as a tool, and tested by use.
const NOT_NATIVE: [&str; 2] = ["fanlight-wasm", "fanlight-bindgen"];
const BROWSER_TESTS: &str = "tests/browser";
const TARGET: &str = "wasm32-unknown-unknown";

struct Step {
    name: &'static str,
    about: &'static str,
    /// A file without which there is nothing to test.
    needs: &'static str,
    /// Whether a runner counts tests in it; if not, the step is one check.
    counts: bool,
    run: fn(&mut Toolbox, &mut Tally) -> Result<()>,
}

const STEPS: [Step; 12] = [
    Step {
        name: "format",
        about: "the code is formatted",
        needs: "Cargo.toml",
        counts: false,
        run: |tools, _| check(tools.native("cargo").args(["fmt", "--all", "--check"])),
    },
    Step {
        name: "lint",
        about: "clippy finds nothing in the native crates",
        needs: "Cargo.toml",
        counts: false,
        run: |tools, _| {
            let mut cargo = tools.native("cargo");
            cargo.args(["clippy", "--locked", "--workspace", "--all-targets"]);
            check(except(&mut cargo, &NOT_NATIVE).args(DENY))
        },
    },
    Step {
        name: "lint-wasm",
        about: "clippy finds nothing in what is built for the web",
        needs: "Cargo.toml",
        counts: false,
        run: |tools, _| {
            tools.for_wasm()?;
            let clippy = ["clippy", "--locked", "--target", TARGET];
            let mut core = tools.wasm("cargo");
            check(core.args(clippy).args(["-p", "fanlight-core"]).args(DENY))?;
            let mut web = tools.wasm("cargo");
            check(only(web.args(clippy).arg("--all-targets"), &WEB).args(DENY))?;
            let mut parity = tools.wasm("cargo");
            parity.args(clippy).args(["-p", "fanlight-tests", "--test", "parity"]).args(DENY);
            // Any file does for what is not run.
            check(parity.env("FANLIGHT_PARITY", tools.project.path("Cargo.lock")))
        },
    },
    Step {
        name: "supply",
        about: "the licences and sources of all crates are as deny.toml has them",
        needs: "deny.toml",
        counts: false,
        run: |tools, _| supply::check(tools),
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        needs: "Cargo.toml",
        counts: false,
        run: |tools, _| {
            tools.for_wasm()?;
            let mut native = tools.native("cargo");
            native.args(["doc", "--locked", "--no-deps", "--workspace"]);
            native.env("RUSTDOCFLAGS", "-D warnings");
            check(except(&mut native, &NOT_NATIVE))?;
            let mut web = tools.wasm("cargo");
            web.args(["doc", "--locked", "--no-deps", "--target", TARGET]);
            check(only(web.env("RUSTDOCFLAGS", "-D warnings"), &WEB))
        },
    },
    Step {
        name: "native",
        about: "the tests of core, server, playground and tools, and the documentation's examples",
        needs: "Cargo.toml",
        counts: true,
        run: |tools, tally| {
            let mut cargo = tools.native("cargo");
            cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
            count(except(&mut cargo, &NOT_NATIVE), tally)
        },
    },
    Step {
        name: "api",
        about: "the HTTP API is as its OpenAPI file describes it, says schemathesis",
        needs: "tests/api/requirements.txt",
        counts: true,
        run: api::check,
    },
    Step {
        name: "planted",
        about: "bugs planted in the core are each caught by the check that is there for them",
        needs: "tests/tests/planted.rs",
        counts: true,
        run: |tools, tally| {
            let mut cargo = tools.native("cargo");
            cargo.args(["test", "--locked", "-p", "fanlight-tests", "--features", "planted"]);
            count(cargo.args(["--test", "planted"]), tally)
        },
    },
    Step {
        name: "wasm",
        about: "the tests of the bindings and the playground, in Node and in Chromium",
        needs: "wasm/tests",
        counts: true,
        run: |tools, tally| {
            tools.for_wasm()?;
            tools.for_browser()?;
            let mut cargo = runner(tools)?;
            count(only(cargo.arg("--no-fail-fast"), &WEB), tally)
        },
    },
    Step {
        name: "parity",
        about: "the same inputs give the same effects natively and in wasm",
        needs: "tests/examples/parity.rs",
        counts: true,
        run: parity,
    },
    Step {
        name: "browser",
        about: "the built playground, with the real server, in Chromium",
        needs: BROWSER_TESTS,
        counts: true,
        run: |tools, tally| {
            page::build(tools)?;
            tools.for_browser()?;
            npm::install(tools, BROWSER_TESTS)?;
            let place = tools.project.path(BROWSER_TESTS);
            let server = play::build_server(tools)?;
            let mut node = tools.native("node");
            // The files by name: what `--test` makes of a directory depends on Node's version.
            node.args(["--test", "--test-timeout=180000"]).args(test_files(&place));
            count(node.env("FANLIGHT", server), tally)
        },
    },
    Step {
        name: "package",
        about: "the npm package, built, packed, installed and used",
        needs: "wasm/npm/package.json",
        counts: true,
        run: |tools, tally| {
            package::build(tools)?;
            tools.for_browser()?;
            let place = tools.project.path("wasm/npm");
            count(tools.wasm("npm").current_dir(place).arg("test"), tally)
        },
    },
];

const DENY: [&str; 3] = ["--", "-D", "warnings"];

fn except<'a>(cargo: &'a mut Command, crates: &[&str]) -> &'a mut Command {
    cargo.args(crates.iter().flat_map(|name| ["--exclude", name]))
}

fn only<'a>(cargo: &'a mut Command, crates: &[&str]) -> &'a mut Command {
    cargo.args(crates.iter().flat_map(|name| ["-p", name]))
}

fn check(command: &mut Command) -> Result<()> {
    process::run(command)
}

/// Runs a test runner, and adds what it counted.
fn count(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let before = *tally;
    let status = process::stream(command, |line| {
        print(line);
        *tally += summary::count(line);
    })?;
    if status.success() {
        return Ok(());
    }
    if tally.failed > before.failed {
        return Err(format!("{} tests failed", tally.failed - before.failed));
    }
    Err(format!("it failed without naming a test: {status}"))
}

/// `cargo test` for wasm; browser files find Chromium through a file of its flags.
fn runner(tools: &Toolbox) -> Result<Command> {
    npm::require_node()?;
    let mut cargo = tools.wasm("cargo");
    cargo.args(["test", "--locked", "--target", TARGET]);
    // The default limits, of 20 and 5 seconds, are short for a machine that does other work too.
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "300").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    if let Some(browser) = tools.var("CHROMIUM") {
        let flags = chromium::FLAGS.map(|flag| format!("{flag:?}")).join(", ");
        let browser = browser.to_string_lossy();
        let json = format!(
            "{{\"goog:chromeOptions\": {{\"binary\": {browser:?}, \"args\": [{flags}]}}}}\n"
        );
        let file = tools.project.target().join("webdriver.json");
        files::write(&file, &json)?;
        cargo.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", file);
    }
    Ok(cargo)
}

/// The files of tests for Node in a directory.
fn test_files(dir: &Path) -> Vec<PathBuf> {
    let mut list = files::list(dir);
    list.retain(|file| files::name(file).ends_with(".test.mjs"));
    list
}

fn parity(tools: &mut Toolbox, tally: &mut Tally) -> Result<()> {
    tools.for_wasm()?;
    let digests = tools.project.target().join("parity.txt");
    let mut native = tools.native("cargo");
    native.args(["run", "--locked", "--release", "-p", "fanlight-tests", "--example", "parity"]);
    check(native.arg("--").arg(&digests))?;
    let mut cargo = runner(tools)?;
    cargo.args(["--release", "-p", "fanlight-tests", "--test", "parity"]);
    count(cargo.env("FANLIGHT_PARITY", &digests), tally)
}

/// How a step ended.
struct Ending {
    name: &'static str,
    tally: Tally,
    seconds: f64,
    complaint: Option<String>,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if args.iter().any(|arg| arg == "--list") {
        STEPS.iter().for_each(|step| print(&format!("{:10} {}", step.name, step.about)));
        return Ok(ExitCode::SUCCESS);
    }
    let (options, names): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| arg.starts_with('-'));
    let fail_fast = options.iter().any(|option| *option == "--fail-fast");
    if let Some(option) = options.iter().find(|option| **option != "--fail-fast") {
        return Err(format!("`test` knows no option {option}; see cargo xtask help"));
    }
    if let Some(name) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("there is no step `{name}`; see cargo xtask test --list"));
    }
    let mut tools = Toolbox::open()?;
    let mut endings = Vec::new();
    for step in &STEPS {
        if names.is_empty() || names.iter().any(|name| *name == step.name) {
            let ending = take(step, &mut tools);
            let failed = ending.tally.failed > 0;
            endings.push(ending);
            if failed && fail_fast {
                break;
            }
        }
    }
    Ok(report(&endings))
}

fn take(step: &Step, tools: &mut Toolbox) -> Ending {
    say(&format!("== {}: {}", step.name, step.about));
    let start = Instant::now();
    let mut tally = Tally::default();
    let complaint = if tools.project.path(step.needs).exists() {
        let result = (step.run)(tools, &mut tally);
        if !step.counts && result.is_ok() {
            tally.passed = 1;
        }
        if result.is_err() && tally.failed == 0 {
            tally.failed = 1;
        }
        match result {
            Ok(()) if tally == Tally::default() => Some(missing("no test ran", &mut tally)),
            result => result.err(),
        }
    } else {
        Some(missing(&format!("there is no {}", step.needs), &mut tally))
    };
    if let Some(sentence) = &complaint {
        say(&format!("{}: {sentence}", step.name));
    }
    Ending { name: step.name, tally, seconds: start.elapsed().as_secs_f64(), complaint }
}

/// What is missing fails where nobody is looking.
fn missing(what: &str, tally: &mut Tally) -> String {
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") {
        tally.failed = 1;
    }
    format!("missing: {what}")
}

/// The closing lines: a table of the steps, then the sum of their tests.
fn report(endings: &[Ending]) -> ExitCode {
    let mut sum = Tally::default();
    print(&format!("\n{:10} {:>8} {:>8} {:>9}", "step", "passed", "failed", "seconds"));
    for Ending { name, tally, seconds, complaint } in endings {
        let note = complaint.as_deref().unwrap_or_default();
        let line =
            format!("{name:10} {:>8} {:>8} {seconds:>9.1}  {note}", tally.passed, tally.failed);
        print(line.trim_end());
        sum += *tally;
    }
    print(&format!("\n{} passed, {} failed", sum.passed, sum.failed));
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
