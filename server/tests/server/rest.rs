//! A server that nobody uses: it costs little, and nothing in it ticks.

use std::fs;
use std::time::{Duration, Instant};

use crate::process::Server;

/// Longer than anything that should tick: a server wakes for what happens and for deadlines.
const TICK_MAX: Duration = Duration::from_millis(700);
/// How long the machine may take until a server that has just started has done so.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Of memory that is the server's own; the program's file is shared, and large where it is not
/// optimised.
const RESIDENT_KIB_MAX: u64 = 20 << 10;

/// The sum of a field of `/proc/PID/…/status` over some of those files.
fn sum(paths: impl Iterator<Item = std::path::PathBuf>, name: &str) -> u64 {
    paths
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().nth(1));
            number.and_then(|number| number.parse::<u64>().ok()).expect("a number")
        })
        .sum()
}

fn switches(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).expect("it runs");
    let paths = tasks.map(|task| task.expect("a thread").path().join("status"));
    sum(paths, "voluntary_ctxt_switches")
}

#[test]
fn it_holds_little_memory_and_sleeps() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for server in [Server::start(&[]), Server::start_in(dir.path(), &["--sync", "interval"])] {
        let status = std::path::PathBuf::from(format!("/proc/{}/status", server.id()));
        let resident = sum(std::iter::once(status), "RssAnon");
        assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB");
        // Whatever ticks more often than this wakes it in each of these spans.
        let begun = Instant::now();
        loop {
            let before = switches(&server);
            std::thread::sleep(TICK_MAX);
            if switches(&server) == before {
                break;
            }
            assert!(begun.elapsed() < SETTLES_WITHIN, "something ticks");
        }
    }
}
