//! What exchanges and bindings are asked to be.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::record::Headers;

/// How an exchange routes, as in AMQP 0-9-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExchangeKind {
    /// To the bindings whose key is the routing key.
    Direct,
    /// To the bindings whose pattern matches the routing key's words.
    Topic,
    /// To every binding.
    Fanout,
    /// To the bindings that want the record's headers. Each record of a batch goes its own way.
    Headers,
}

/// What there is to an exchange beside how it routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExchangePolicy<'a> {
    /// The exchange that gets what no binding of this one takes (RabbitMQ's `alternate-exchange`);
    /// the empty name is the default exchange. As in RabbitMQ it need not exist: as long as it does
    /// not, there is none.
    pub alternate: Option<Cow<'a, str>>,
    /// Whether it goes when its last binding goes (AMQP's `auto-delete`). One that never had a
    /// binding stays.
    pub auto_delete: bool,
    /// Whether only exchanges route to it: a client's publish is refused (AMQP's `internal`).
    pub internal: bool,
}

impl ExchangePolicy<'_> {
    /// The same with a name of its own.
    pub fn into_owned(self) -> ExchangePolicy<'static> {
        ExchangePolicy {
            alternate: self.alternate.map(|name| Cow::Owned(name.into_owned())),
            auto_delete: self.auto_delete,
            internal: self.internal,
        }
    }
}

/// What a binding of a headers exchange wants of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderMatch<'a> {
    /// How many of the headers (RabbitMQ's `x-match`).
    pub mode: MatchMode,
    /// Which headers: each name once. All of none is wanted by every record, any of none by no
    /// record.
    pub headers: Vec<WantedHeader<'a>>,
}

impl HeaderMatch<'_> {
    /// Whether it wants nothing: all of no headers.
    pub fn is_default(&self) -> bool {
        self.mode == MatchMode::All && self.headers.is_empty()
    }

    /// The same with names and values of its own.
    pub fn into_owned(self) -> HeaderMatch<'static> {
        let own = |wanted: &WantedHeader<'_>| WantedHeader {
            name: Cow::Owned(wanted.name.clone().into_owned()),
            value: wanted.value.clone().map(|value| Cow::Owned(value.into_owned())),
        };
        HeaderMatch { mode: self.mode, headers: self.headers.iter().map(own).collect() }
    }
}

/// How many of the headers a binding wants: RabbitMQ's `x-match`. Only the two `WithX` look at
/// headers whose names begin with `x-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchMode {
    /// All of them.
    #[default]
    All,
    /// At least one.
    Any,
    /// All of them, those that begin with `x-` too.
    AllWithX,
    /// At least one, or one that begins with `x-`.
    AnyWithX,
}

/// A header that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedHeader<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value, byte by byte; None: any, as long as the header is there.
    #[serde(default, deserialize_with = "crate::record::optional_own_bytes")]
    pub value: Option<Cow<'a, [u8]>>,
}

impl WantedHeader<'_> {
    /// The same with a name and value of its own.
    pub fn into_owned(self) -> WantedHeader<'static> {
        WantedHeader {
            name: Cow::Owned(self.name.into_owned()),
            value: self.value.map(|value| Cow::Owned(value.into_owned())),
        }
    }

    /// Whether it is among these.
    pub fn is_in(&self, headers: Headers<'_>) -> bool {
        let value = self.value.as_deref();
        headers.iter().any(|(name, v)| name == self.name && value.is_none_or(|value| value == v))
    }
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination<'a> {
    /// A queue.
    Queue(Cow<'a, str>),
    /// A topic; each record's key picks its partition.
    Topic(Cow<'a, str>),
    /// Another exchange.
    Exchange(Cow<'a, str>),
}
