//! Running other programs.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::files;
use crate::progress::{print_err, say};

/// How long a program may be silent before we say that it is still at work.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long to wait for output once the program has ended: a child it left may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// The first program of this name in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The command as it would be typed, for messages.
fn typed(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn not_started(command: &Command, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return format!("`{}` is not installed here", command.get_program().to_string_lossy());
    }
    format!("`{}` did not start: {error}", typed(command))
}

/// Runs a command, passing its output on to standard error, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = stream(command, print_err)?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", typed(command))) }
}

/// Runs a command, and gives each line of its output to `see`. Both of its streams are one pipe, so
/// that their lines keep their order.
pub(crate) fn stream(command: &mut Command, mut see: impl FnMut(&str)) -> Result<ExitStatus> {
    let no_pipe = |error: io::Error| format!("no pipe for `{}`: {error}", typed(command));
    let (reader, writer) = io::pipe().map_err(no_pipe)?;
    let second = writer.try_clone().map_err(no_pipe)?;
    command.stdin(Stdio::null()).stdout(writer).stderr(second);
    let spawned = command.spawn();
    // The command would keep the pipe open, and we would wait for its end for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned.map_err(|error| not_started(command, &error))?;
    let lines = lines_of(reader);
    let start = Instant::now();
    let mut last_sign = start;
    let mut ended: Option<Instant> = None;
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                see(&line);
                last_sign = Instant::now();
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && has_ended(&mut child)? {
                    ended = Some(Instant::now());
                }
                if ended.is_some_and(|at| at.elapsed() >= DRAIN) {
                    break;
                }
                if last_sign.elapsed() >= HEARTBEAT {
                    let program = files::name(Path::new(command.get_program()));
                    say(&format!("… {program} is at work ({} s)", start.elapsed().as_secs()));
                    last_sign = Instant::now();
                }
            }
        }
    }
    child.wait().map_err(|error| error.to_string())
}

/// The lines of a pipe, read by a thread of its own.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if sender.send(line.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    });
    lines
}

fn has_ended(child: &mut Child) -> Result<bool> {
    child.try_wait().map(|status| status.is_some()).map_err(|error| error.to_string())
}

/// What a command says on standard output, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null());
    let output = command.output().map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("`{}` failed: {reason}", typed(command)))
}

/// Whether a command succeeds; what it says is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Whether a command succeeds within a time; it is stopped when that is over.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let start = Instant::now();
    while start.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(POLL),
            Err(_) => break,
        }
    }
    // It may have ended meanwhile; either way it is not to be left behind.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Becomes the command, so that signals and the exit code are its own.
#[cfg(unix)]
pub(crate) fn replace(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(not_started(command, &error))
}

/// Runs the command to its end and passes on its exit code.
#[cfg(not(unix))]
pub(crate) fn replace(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_of_both_streams_keep_their_order() -> Result<()> {
        let mut seen = Vec::new();
        let script = "echo 1; echo 2 >&2; echo 3; printf 4 >&2; exit 5";
        let status = stream(&mut shell(script), |line| seen.push(line.to_owned()))?;
        assert_eq!(seen, ["1", "2", "3", "4"]);
        assert_eq!(status.code(), Some(5));
        Ok(())
    }

    #[test]
    fn a_child_left_behind_does_not_hold_us_up() -> Result<()> {
        let start = Instant::now();
        let status = stream(&mut shell("sleep 20 & echo started"), |_line| {})?;
        assert!(status.success());
        assert!(start.elapsed() < Duration::from_secs(10));
        Ok(())
    }

    #[test]
    fn a_command_that_takes_too_long_is_stopped() {
        let mut command = Command::new("sleep");
        let start = Instant::now();
        assert!(!succeeds_within(command.arg("20"), Duration::from_millis(100)));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(succeeds_within(&mut shell("exit 0"), Duration::from_secs(10)));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program")).err();
        assert_eq!(error.as_deref(), Some("`no-such-program` is not installed here"));
    }
}
