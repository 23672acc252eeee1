//! What a result depends on: the machine, as far as the measuring program can see it.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// The machine on which the measuring program runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) processor: Option<String>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) system: String,
    pub(super) kernel: Option<String>,
    /// How many processes wanted a core, on average over the last minute.
    pub(super) load: Option<f64>,
}

impl Machine {
    pub(super) fn here() -> Machine {
        let read = |path| fs::read_to_string(path).ok();
        let kernel = read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
        let load = read("/proc/loadavg")
            .and_then(|text| text.split_whitespace().next().and_then(|load| load.parse().ok()));
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: read("/proc/cpuinfo").and_then(|text| field(&text, "model name")),
            memory_bytes: read("/proc/meminfo")
                .and_then(|text| field(&text, "MemTotal"))
                .and_then(|field| kibibytes(&field)),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel,
            load,
        }
    }
}

/// The value of the first line that begins with this name.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start().strip_prefix(':')?.trim().to_owned())
}

/// Bytes, of a number of KiB as `/proc` writes it.
pub(super) fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The kind of file system on which a directory is.
pub(super) fn file_system(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    kind_of(&dir, &mounts)
}

fn kind_of(dir: &Path, mounts: &str) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        dir.starts_with(point).then_some((point.len(), kind))
    });
    // Of two on one place, the later one is seen.
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "MemTotal:       24000 kB\nMemFree:  1 kB\nmodel name\t: A Processor\n";
        assert_eq!(field(text, "MemTotal").as_deref().and_then(kibibytes), Some(24_000 << 10));
        assert_eq!(field(text, "model name").as_deref(), Some("A Processor"));
        assert_eq!(field(text, "Mem"), None);
    }

    #[test]
    fn a_directory_is_on_the_file_system_that_is_mounted_nearest_above_it() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
        let kind = |dir| kind_of(Path::new(dir), mounts).expect("there is a root");
        assert_eq!(kind("/tmp/x/y"), "xfs");
        assert_eq!(kind("/tmp/xy"), "tmpfs");
        assert_eq!(kind("/home"), "ext4");
    }
}
