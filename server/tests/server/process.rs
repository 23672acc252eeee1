//! A server in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The line with which it said that it is ready.
    pub(crate) ready: String,
    _stdout: BufReader<std::process::ChildStdout>,
}

/// A server that may not be ready.
pub(crate) struct Starting {
    child: Child,
    address: SocketAddr,
}

impl Starting {
    /// What it answers to a GET already, if it listens.
    pub(crate) fn ask(&self, path: &str) -> std::io::Result<(u16, String, Vec<u8>)> {
        get(self.address, path, &[])
    }

    /// Waits until it is ready.
    pub(crate) fn ready(self) -> Server {
        Server::ready(self.child).unwrap_or_else(|ended| panic!("not ready: {ended:?}"))
    }
}

/// What is left of a server that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) status: ExitStatus,
    /// What it said on standard error.
    pub(crate) stderr: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanlight"));
    command.arg("serve").args(args);
    prepare(&mut command);
    // A test that ends a server is not about what is in hand, unless it says so.
    command.env("FANLIGHT_SHUTDOWN_GRACE", "0s");
    command
}

/// Nobody's environment says anything to a test's own program.
fn prepare(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("FANLIGHT_")) {
            command.env_remove(variable);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs the program with these arguments to its end; gives its status and both outputs.
pub(crate) fn run(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    run_with("", args, variables)
}

/// The same with something on standard input.
pub(crate) fn run_with(
    input: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanlight"));
    prepare(&mut command);
    command.stdin(Stdio::piped()).args(args).envs(variables.iter().copied());
    let mut child = command.spawn().expect("it runs");
    // A command that does not read is told nothing.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

impl Server {
    /// Starts one on a free port, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Server {
        Server::spawn(command(args).args(["--listen", "127.0.0.1:0"]))
    }

    /// Starts one that is told where to listen.
    pub(crate) fn start_anywhere(args: &[&str]) -> Server {
        Server::spawn(&mut command(args))
    }

    /// Starts one that keeps its data in `dir`.
    pub(crate) fn start_in(dir: &Path, args: &[&str]) -> Server {
        let dir = dir.to_str().expect("a temporary directory has a plain name");
        Server::start(&[&["--data", dir], args].concat())
    }

    /// Starts one that is told everything by its environment.
    pub(crate) fn start_by_environment(variables: &[(&str, &str)]) -> Server {
        Server::spawn(command(&[]).envs(variables.iter().copied()))
    }

    /// Starts one from a shell that allows few open files, and the system more.
    pub(crate) fn start_with_few_files(soft: u32) -> Server {
        let script = format!("ulimit -Sn {soft}; exec \"$0\" \"$@\"");
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_fanlight"));
        limited.args(["serve", "--listen", "127.0.0.1:0", "--connections-max", "200"]);
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Server::spawn(&mut limited)
    }

    /// Starts one that cannot write files larger than this, as on a disk that is full.
    pub(crate) fn start_with_file_size_limit(dir: &Path, bytes: u64) -> Server {
        let dir = dir.to_str().expect("a temporary directory has a plain name");
        Server::start_limited(&["--data", dir], bytes)
    }

    /// The same with other files.
    pub(crate) fn start_limited(args: &[&str], bytes: u64) -> Server {
        // POSIX counts in blocks of 512 bytes; without the trap the limit would be deadly.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_fanlight"));
        limited.args(["serve", "--listen", "127.0.0.1:0"]).args(args);
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Server::spawn(&mut limited)
    }

    /// Starts one that may end before it is ready, with these variables in its environment.
    pub(crate) fn try_start_in(
        dir: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Server, Ended> {
        let mut command = command(&["--listen", "127.0.0.1:0", "--data"]);
        Server::try_spawn(command.arg(dir).args(args).envs(variables.iter().copied()))
    }

    /// Starts one without waiting until it is ready.
    pub(crate) fn begin_in(dir: &Path, address: SocketAddr) -> Starting {
        let listen = address.to_string();
        let mut command = command(&["--listen", &listen, "--data"]);
        Starting { child: command.arg(dir).spawn().expect("the server starts"), address }
    }

    fn spawn(command: &mut Command) -> Server {
        Server::try_spawn(command).unwrap_or_else(|ended| panic!("not ready: {ended:?}"))
    }

    fn try_spawn(command: &mut Command) -> Result<Server, Ended> {
        Server::ready(command.spawn().expect("the server starts"))
    }

    /// Waits until it says that it is ready.
    fn ready(mut child: Child) -> Result<Server, Ended> {
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("it says something");
        let address = ready
            .split_once("://")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .and_then(|address| address.parse().ok());
        let Some(address) = address else { return Err(end(child)) };
        Ok(Server { child, address, ready, _stdout: stdout })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where WebSocket clients connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Ends it as a power switch would end the process.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().expect("it can be killed");
        self.ended()
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Ends it as `kill` without options does.
    pub(crate) fn terminate(self) -> Ended {
        self.tell_to_end();
        self.ended()
    }

    /// Tells it to end, as `kill` without options does.
    pub(crate) fn tell_to_end(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").arg(&pid).status().expect("there is a kill command");
        assert!(status.success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait(&mut self.child);
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("it is piped");
        pipe.read_to_string(&mut stderr).expect("it is text");
        Ended { status, stderr }
    }

    /// Tells it to read again what may have changed.
    pub(crate) fn hang_up(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(status.expect("there is a kill command").success());
    }

    /// What it answers to a GET: status, headers and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.get_with(path, &[])
    }

    /// The head of what it answers to a GET, where what follows may not end; in lower case.
    pub(crate) fn get_head(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut stream = ask(self.address, path, headers).expect("it listens");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("it answers") > 0 {
            head.push(byte[0]);
        }
        String::from_utf8_lossy(&head).to_lowercase()
    }

    /// What it answers to a POST: status and JSON.
    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, serde_json::Value) {
        self.send("POST", path, headers, body)
    }

    /// What it answers to a request with a body: status and JSON.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        write!(stream, "{head}\r\n{body}").expect("it takes requests");
        let (status, _, body) = answer(stream).expect("it answers");
        let text = String::from_utf8_lossy(&body);
        let json = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {text}"));
        (status, json)
    }

    /// The same with more headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
        get(self.address, path, headers).expect("it answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one that is expected not to start.
pub(crate) fn refused(args: &[&str]) -> Ended {
    end(command(args).spawn().expect("the program is there"))
}

/// The same with a data directory.
pub(crate) fn refused_in(dir: &Path) -> Ended {
    let dir = dir.to_str().expect("a temporary directory has a plain name");
    refused(&["--listen", "127.0.0.1:0", "--data", dir])
}

impl Ended {
    /// Asserts that it failed with one sentence that has all of these words.
    pub(crate) fn expect_sentence(&self, words: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        let said: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(said.len(), 1, "one line expected: {self:?}");
        for word in words {
            assert!(said[0].contains(word), "{word:?} expected in {:?}", said[0]);
        }
    }
}

fn end(mut child: Child) -> Ended {
    let status = wait(&mut child);
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("it is piped");
    pipe.read_to_string(&mut stderr).expect("it is text");
    Ended { status, stderr }
}

fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the server did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("GET {path} HTTP/1.1\r\n");
    let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has("host") {
        head += &format!("Host: {address}\r\n");
    }
    if !has("connection") {
        head += "Connection: close\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}\r\n")?;
    Ok(stream)
}

fn get(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<(u16, String, Vec<u8>)> {
    answer(ask(address, path, headers)?)
}

fn answer(mut stream: TcpStream) -> std::io::Result<(u16, String, Vec<u8>)> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("headers end");
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Ok((status, head, answer[split + 4..].to_vec()))
}
