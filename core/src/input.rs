//! What goes in.

use serde::{Deserialize, Serialize};

use crate::id::ConnId;
use crate::request::{Request, Session};

/// Everything that can come to a broker.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, never kept in numbers")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<'a> {
    /// A connection opened. The driver chooses its number and never gives one twice.
    Open(ConnId, #[serde(borrow)] Session<'a>),
    /// A connection asks for something.
    Request(ConnId, #[serde(borrow)] Request<'a>),
    /// A connection is gone: what it held is ready again.
    Closed(ConnId),
    /// Nothing but time has passed.
    Tick,
}
