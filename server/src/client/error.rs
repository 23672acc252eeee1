//! What can go wrong between a client and its server, each as a sentence.

use std::fmt;
use std::io;

use fanlight_core::codec::DecodeError;
use fanlight_core::{Code, Event, Refusal};

use super::ServerAddress;

/// Why something that was asked of a server did not happen.
#[derive(Debug)]
pub enum ClientError {
    /// No connection could be made.
    Unreachable {
        /// To where.
        address: ServerAddress,
        /// Why.
        source: io::Error,
    },
    /// Something answered that is not a fanlight server, or not at this path.
    NotFanlight {
        /// Where.
        address: ServerAddress,
        /// What it answered.
        why: String,
    },
    /// The server did not let this client in.
    Denied {
        /// Which.
        address: ServerAddress,
        /// What it said.
        why: String,
    },
    /// The server has no such namespace.
    NoNamespace {
        /// Where it was asked for.
        address: ServerAddress,
        /// What it said.
        why: String,
    },
    /// No trusted connection could be made.
    Untrusted {
        /// To where.
        address: ServerAddress,
        /// Why.
        why: String,
    },
    /// The connection ended.
    Closed {
        /// To where.
        address: ServerAddress,
        /// What is known of the reason.
        why: Option<String>,
    },
    /// The broker refused the request; nothing was changed.
    Refused(Refusal<'static>),
    /// The server did not do what a control request asked for.
    NotDone {
        /// What kind of reason that has, for programs.
        code: String,
        /// Why, as a sentence.
        message: String,
    },
    /// The server sent bytes that are no event of this protocol.
    Garbled(DecodeError),
    /// The server answered with an event that does not answer what was asked.
    Unexpected {
        /// What would have answered.
        expected: &'static str,
        /// What came.
        came: String,
    },
}

impl ClientError {
    /// The server should have answered `expected`, and answered `came`.
    pub fn unexpected(expected: &'static str, came: &Event<'_>) -> ClientError {
        ClientError::Unexpected { expected, came: format!("{came:?}") }
    }

    /// The kind of refusal, if it is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            ClientError::Refused(refusal) => Some(refusal.code),
            ClientError::Unreachable { .. }
            | ClientError::NotFanlight { .. }
            | ClientError::Denied { .. }
            | ClientError::NoNamespace { .. }
            | ClientError::Untrusted { .. }
            | ClientError::Closed { .. }
            | ClientError::NotDone { .. }
            | ClientError::Garbled(_)
            | ClientError::Unexpected { .. } => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { address, source } => {
                let kind = source.kind();
                let why = if kind == io::ErrorKind::ConnectionRefused {
                    "nothing listens there".to_owned()
                } else if kind == io::ErrorKind::TimedOut {
                    "it does not answer".to_owned()
                } else {
                    source.to_string()
                };
                write!(
                    f,
                    "no server at {address}: {why}; start one with `fanlight serve`, or name \
                     another with --server or FANLIGHT_SERVER"
                )
            }
            ClientError::NotFanlight { address, why } => write!(
                f,
                "what answers at {address} is not a fanlight server: {why}; name another address \
                 with --server or FANLIGHT_SERVER"
            ),
            ClientError::Denied { address, why } => write!(
                f,
                "the server at {address} does not let you in: {why} (--token or FANLIGHT_TOKEN; \
                 --user and --password, or FANLIGHT_USER and FANLIGHT_PASSWORD)"
            ),
            ClientError::NoNamespace { address, why } => write!(
                f,
                "{why}; the server was asked at {address} (--namespace or FANLIGHT_NAMESPACE)"
            ),
            ClientError::Untrusted { address, why } => write!(
                f,
                "the server at {address} cannot be trusted: {why}; name the certificate of whoever \
                 signed its own with --ca or FANLIGHT_CA"
            ),
            ClientError::Closed { address, why: None } => {
                write!(f, "the server at {address} closed the connection")
            }
            ClientError::Closed { address, why: Some(why) } => {
                write!(f, "the connection to {address} ended: {why}")
            }
            ClientError::Refused(refusal) => refusal.fmt(f),
            ClientError::NotDone { message, .. } => f.write_str(message),
            ClientError::Garbled(why) => write!(
                f,
                "the server sent what is no event: {why}; client and server may be of different \
                 versions"
            ),
            ClientError::Unexpected { expected, came } => {
                write!(f, "the server should have answered {expected}, and answered {came}")
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Unreachable { source, .. } => Some(source),
            ClientError::Garbled(why) => Some(why),
            ClientError::NotFanlight { .. }
            | ClientError::Denied { .. }
            | ClientError::NoNamespace { .. }
            | ClientError::Untrusted { .. }
            | ClientError::Closed { .. }
            | ClientError::NotDone { .. }
            | ClientError::Refused(_)
            | ClientError::Unexpected { .. } => None,
        }
    }
}
