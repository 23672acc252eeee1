//! What `fanlight serve` can be told.

use std::path::PathBuf;

/// Options of `fanlight serve`, from the command line or the environment.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on; port 0 picks a free port and prints it
    #[arg(
        long,
        env = "FANLIGHT_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:7420"
    )]
    pub(crate) listen: String,

    /// Directory for the journal, made if it is not there; without it everything is in memory
    /// and gone when the server stops
    #[arg(long, env = "FANLIGHT_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// What a confirm promises
    #[arg(long, env = "FANLIGHT_SYNC", value_enum, default_value_t = SyncPolicy::Always)]
    pub(crate) sync: SyncPolicy,

    /// Size at which a file of the journal is followed by another
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, hide = true)]
    pub(crate) segment_bytes: u64,

    /// Size of the journal since the last snapshot at which another is taken, if it is also more
    /// than twice the size of that snapshot
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, hide = true)]
    pub(crate) snapshot_bytes: u64,
}

/// When what was written goes to disk, and so what a confirm promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SyncPolicy {
    /// Confirmed is on disk: it survives a power cut
    Always,
    /// Confirmed is with the operating system, which is made to put it on disk every 100 ms:
    /// it survives a kill, and a power cut takes the last moments
    Interval,
    /// Confirmed is with the operating system, which puts it on disk when it likes
    Never,
}

impl SyncPolicy {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SyncPolicy::Always => "always",
            SyncPolicy::Interval => "interval",
            SyncPolicy::Never => "never",
        }
    }
}
