//! What comes out.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::fact::Fact;
use crate::id::ConnId;

/// One consequence of an input. Position is the condition: an event may leave the process once
/// every fact that came before it is as durable as the driver promises.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, never kept in numbers")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect<'a> {
    /// To be kept.
    #[serde(borrow)]
    Fact(Fact<'a>),
    /// To be told.
    Tell(ConnId, #[serde(borrow)] Event<'a>),
    /// To be closed by the driver; the broker has forgotten the connection already.
    Close(ConnId, CloseReason),
}

/// Why the broker closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloseReason {
    /// It opened with a version of the protocol that is not spoken here.
    BadProtocol,
    /// There are as many connections as there may be.
    TooMany,
    /// It was opened twice, or spoke before it opened.
    NotOpen,
}

/// Where effects go, in their order. Any `FnMut(Effect<'_>)` is one.
pub trait Sink {
    /// Takes one effect; what it borrows is gone afterwards.
    fn emit(&mut self, effect: Effect<'_>);
}

impl<F: FnMut(Effect<'_>)> Sink for F {
    fn emit(&mut self, effect: Effect<'_>) {
        self(effect);
    }
}
