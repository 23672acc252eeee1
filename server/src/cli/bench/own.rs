//! A server of a run's own: so its settings are known, and what it used can be read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use fanlight_server::client::ServerAddress;

use super::machine::{field, file_system, kibibytes};
use super::options::OwnSync;
use crate::cli::failure::Failure;

/// How many ticks of a process' time make a second: what Linux tells programs on every machine.
const TICKS: f64 = 100.0;

/// A server that ends, with its data, when this is dropped.
pub(super) struct OwnServer {
    child: Child,
    address: ServerAddress,
    sync: OwnSync,
    data: Option<PathBuf>,
}

/// What such a server was, and what it used from its start to its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerFacts {
    pub(super) sync: &'static str,
    pub(super) file_system: Option<String>,
    pub(super) user_seconds: Option<f64>,
    pub(super) system_seconds: Option<f64>,
    pub(super) peak_resident_bytes: Option<u64>,
}

impl OwnServer {
    /// Starts one, whose data is in a directory of its own in `dir`.
    pub(super) fn start(sync: OwnSync, dir: Option<&Path>) -> Result<OwnServer, Failure> {
        let failed = |what: &str, error: std::io::Error| {
            Failure::failed(format!("a server of its own cannot be started: {what}: {error}"))
        };
        let program = std::env::current_exe().map_err(|error| failed("which program", error))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        let data = match sync {
            OwnSync::Memory => None,
            OwnSync::Journal(policy) => {
                let data = directory(dir);
                fs::create_dir_all(&data).map_err(|error| failed("its directory", error))?;
                command.arg("--data").arg(&data).args(["--sync", policy.name()]);
                Some(data)
            }
        };
        // What the environment says is meant for another server.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FANLIGHT_") {
                command.env_remove(name);
            }
        }
        // A group of its own: ctrl-C is for the run, which then removes what it made.
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn();
        let mut child = child.map_err(|error| failed("its process", error))?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let address = line.split_once("clients: ").and_then(|(_, rest)| {
            rest.split([';', ' ']).next().and_then(|address| address.parse().ok())
        });
        let Some(address) = address.filter(|_| read.is_ok()) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::failed("a server of its own did not say where it listens"));
        };
        Ok(OwnServer { child, address, sync, data })
    }

    pub(super) fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Ends it, and says what it used.
    pub(super) fn stop(self) -> ServerFacts {
        let of_process = |file| fs::read_to_string(format!("/proc/{}/{file}", self.child.id()));
        let times = of_process("stat").ok().as_deref().and_then(times);
        let peak = of_process("status").ok().and_then(|text| field(&text, "VmHWM"));
        ServerFacts {
            sync: self.sync.name(),
            file_system: self.data.as_deref().and_then(file_system),
            user_seconds: times.map(|(user, _)| user),
            system_seconds: times.map(|(_, system)| system),
            peak_resident_bytes: peak.as_deref().and_then(kibibytes),
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // It may have ended already; nothing of it is kept in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(data) = &self.data {
            let _ = fs::remove_dir_all(data);
        }
    }
}

/// Where data of a run lies: in this directory or that of temporary files.
pub(super) fn directory(dir: Option<&Path>) -> PathBuf {
    let dir = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    dir.join(format!("fanlight-bench-{}", std::process::id()))
}

/// Seconds that a process used for itself and in the system, as `/proc/PID/stat` says it.
fn times(stat: &str) -> Option<(f64, f64)> {
    // The program's name stands in parentheses, and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut seconds = || fields.next()?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
    Some((seconds()?, seconds()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_that_looks_like_more() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 5 0 1 2 3";
        assert_eq!(times(stat), Some((2.5, 0.75)));
        assert_eq!(times("12 (a) S 1"), None);
    }
}
