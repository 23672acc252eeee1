//! What the operating system says about this process, where it is Linux.

use std::fs;

/// What is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// Memory that is in use, in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub(super) fds: Option<u64>,
    /// How many there may be.
    pub(super) fds_max: Option<u64>,
}

impl Process {
    /// Asks.
    pub(super) fn read() -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let fds = fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count() as u64);
        Process { resident_bytes: resident(&status), fds, fds_max: open_files(&limits) }
    }
}

/// `VmRSS:      1234 kB`
fn resident(status: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// `Max open files            1024                 4096                 files`: the first counts.
fn open_files(limits: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_understood() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t   1234 kB\nThreads:\t1\n"), Some(1_263_616));
        assert_eq!(resident("Threads:\t1\n"), None);
        let limits = "Limit   Soft Limit   Hard Limit   Units\n\
                      Max open files            1024                 4096                 files\n";
        assert_eq!(open_files(limits), Some(1_024));
        assert_eq!(open_files("Max open files   unlimited  unlimited files"), None);
    }
}
