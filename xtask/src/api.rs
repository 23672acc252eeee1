//! The HTTP API held against its own description by schemathesis.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use crate::Result;
use crate::process;
use crate::progress::{print, say};
use crate::python;
use crate::summary::{self, Tally};
use crate::toolbox::Toolbox;

const REQUIREMENTS: &str = "tests/api/requirements.txt";
const CONFIG: &str = "tests/api/schemathesis.toml";
/// The same with names that are there.
const KNOWN_CONFIG: &str = "tests/api/known.toml";
/// What makes them.
const KNOWN: [&[&str]; 3] = [
    &["queues", "declare", "jobs"],
    &["topics", "create", "events", "--partitions", "2"],
    &["exchanges", "declare", "news", "--kind", "topic"],
];

/// The test's step. Where Python or its packages cannot be had it says so, and tests nothing.
pub(crate) fn check(tools: &mut Toolbox, tally: &mut Tally) -> Result<()> {
    let python = match python::ensure(tools, REQUIREMENTS) {
        Ok(python) => python,
        Err(sentence) => {
            say(&sentence);
            return Ok(());
        }
    };
    let mut cargo = tools.native("cargo");
    process::run(cargo.args(["build", "--locked", "-p", "fanlight-server"]))?;
    let server = Server::start(tools)?;
    for made in KNOWN {
        let mut cli = tools.native(program(tools));
        process::run(cli.args(["--server", &server.url]).args(made))?;
    }
    hold(tools, &python, &server, CONFIG, tally)?;
    hold(tools, &python, &server, KNOWN_CONFIG, tally)
}

/// Runs schemathesis once.
fn hold(
    tools: &Toolbox,
    python: &Path,
    server: &Server,
    config: &str,
    tally: &mut Tally,
) -> Result<()> {
    let mut schemathesis = tools.native(python);
    schemathesis.args(["-m", "schemathesis.cli", "--config-file"]);
    schemathesis.arg(tools.project.path(config));
    schemathesis.args(["run", "--no-color", &format!("{}/v1/openapi.json", server.url)]);
    // It writes what it found beside where it is started.
    schemathesis.current_dir(tools.project.target());
    let before = *tally;
    let status = process::stream(&mut schemathesis, |line| {
        print(line);
        *tally += summary::count(line);
    })?;
    match status.success() {
        true => Ok(()),
        false if tally.failed > before.failed => {
            Err("the API is not as it is described".to_owned())
        }
        false => Err(format!("schemathesis failed: {status}")),
    }
}

fn program(tools: &Toolbox) -> PathBuf {
    tools.project.target().join("debug/fanlight")
}

/// A server in memory; it ends with this.
struct Server {
    child: Child,
    url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(tools: &Toolbox) -> Result<Server> {
        let mut command = tools.native(program(tools));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("no server: {error}"))?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
        let mut ready = String::new();
        // Where nothing can be read, it says nothing of where it listens.
        let _ = stdout.read_line(&mut ready);
        let url = ready.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_default().to_owned();
        let server = Server { child, url, _stdout: stdout };
        match server.url.is_empty() {
            true => Err("the server did not start".to_owned()),
            false => Ok(server),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
