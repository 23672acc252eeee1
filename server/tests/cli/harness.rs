//! A server of a test's own, and commands run against it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use fanlight_server::client::{Client, ServerAddress};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fanlight");

/// 500 order lines of the Online Retail data set; `data/README.md` credits it.
pub(crate) const ORDERS: &str = include_str!("../data/online-retail.jsonl");

/// A server in memory, on a port of its own, which ends with the test.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub(crate) fn start() -> Server {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_remove("FANLIGHT_DATA")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("the server says where it listens");
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split([' ', '\n']).next())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Server { child, address }
    }

    /// A command that will ask this server.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .env("FANLIGHT_SERVER", &self.address)
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What a command did.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(args, &self.command(args).output().expect("the program runs"))
    }

    /// The same with lines on standard input.
    pub(crate) fn run_with(&self, input: &str, args: &[&str]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = input.as_bytes().to_vec();
        let writer = std::thread::spawn(move || {
            // A command that fails does not read to the end.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("the writer does not panic");
        Ran::of(args, &output)
    }

    /// What a command that has to succeed printed.
    pub(crate) fn out(&self, args: &[&str]) -> String {
        self.run(args).succeeded()
    }

    /// The same as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let out = self.out(&args);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.address(), "test").await.expect("the server takes connections")
    }

    pub(crate) fn address(&self) -> ServerAddress {
        self.address.parse().expect("the server's address")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; what matters is that it does not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    args: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(args: &[&str], output: &std::process::Output) -> Ran {
        Ran {
            args: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{} failed: {}", self.args, self.err);
        self.out
    }

    /// Its sentence, if it failed with `code`: one line, and no backtrace.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}: {}{}", self.args, self.out, self.err);
        let last = self.err.lines().last().unwrap_or_default();
        last.strip_prefix("error: ").unwrap_or_else(|| panic!("no sentence: {}", self.err))
    }
}

/// Interrupts a command as ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
}

/// Waits for something that another process does, for at most half a minute.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed().as_secs() < 30, "{what}: not within 30 s");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
