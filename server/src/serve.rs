//! `fanlight serve`: the native server.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `fanlight serve` can be told, on the command line or by the environment.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on; port 0 picks a free port and prints it
    #[arg(
        long,
        env = "FANLIGHT_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:7420"
    )]
    pub(crate) listen: SocketAddr,

    /// Directory for the journal, made if it is not there; without it everything is in memory
    /// and gone when the server stops
    #[arg(long, env = "FANLIGHT_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// When a confirmed message is on disk
    #[arg(long, env = "FANLIGHT_SYNC", value_enum, default_value_t = Sync::Always)]
    pub(crate) sync: Sync,
}

/// What a confirm promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sync {
    /// A confirm means that the message is on disk: it survives a power cut
    Always,
    /// A confirm means that the message was handed to the operating system, which is made to
    /// put it on disk every 100 ms: it survives a kill, a power cut may take the last 100 ms
    Interval,
    /// As `interval`, but the operating system decides when it goes to disk
    Never,
}

/// Why the server did not start, or stopped: a sentence for whoever started it.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Runs the server until it is told to stop (SIGINT, SIGTERM) or cannot go on.
pub(crate) fn run(options: Options) -> Result<(), Error> {
    let Options { listen, data: _, sync: _ } = options;
    Err(Error(format!("the server is not built yet; it would listen on {listen}")))
}
