//! Why a command failed: one sentence for people, one number for scripts.

use std::fmt;
use std::io;

use fanlight_server::client::ClientError;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked for something that makes no sense.
    Usage(String),
    /// It could not be done.
    Failed(String),
    /// It was interrupted (ctrl-C) before it was done.
    Interrupted(String),
    /// It could not be done, and that was said already.
    Told,
    /// Whoever read the output has gone, as `head` does: nothing is wrong.
    OutputClosed,
}

impl Failure {
    /// It was asked for something that makes no sense.
    pub(crate) fn usage(sentence: impl Into<String>) -> Failure {
        Failure::Usage(sentence.into())
    }

    /// It could not be done.
    pub(crate) fn failed(sentence: impl Into<String>) -> Failure {
        Failure::Failed(sentence.into())
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) | Failure::Told => 1,
            // What shells give for a process that SIGINT ended.
            Failure::Interrupted(_) => 130,
            Failure::OutputClosed => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(sentence)
            | Failure::Failed(sentence)
            | Failure::Interrupted(sentence) => f.write_str(sentence),
            Failure::Told => f.write_str("it failed, as is told above"),
            Failure::OutputClosed => f.write_str("nobody reads the output any more"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    /// For writes to standard output, the only ones that commands make.
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::OutputClosed;
        }
        Failure::Failed(format!("standard output cannot be written to: {error}"))
    }
}
