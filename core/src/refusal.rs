//! Why a request was refused: a stable number, a name, and a sentence.

use alloc::borrow::Cow;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A refusal. A refused request has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal<'a> {
    /// What kind.
    pub code: Code,
    /// What was wrong, and what would be right.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (refusal {}, {:?})", self.message, self.code.number(), self.code)
    }
}

impl core::error::Error for Refusal<'_> {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The kinds of refusal. Numbers are never used again for another kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $($(#[$doc])* $name = $number,)*
        }

        impl Code {
            /// Every kind, by number.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Code> {
                match number {
                    $($number => Some(Code::$name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The bytes are not a frame of this protocol.
    BadFrame = 100,
    /// The protocol's version is not spoken here.
    BadProtocol = 101,
    /// A value is out of its range, or two values contradict each other.
    BadArgument = 102,
    /// The connection is not open.
    NotOpen = 103,
    /// A name is empty, too long, or has control characters, or is reserved.
    BadName = 200,
    /// There is no such exchange.
    UnknownExchange = 201,
    /// There is no such queue.
    UnknownQueue = 202,
    /// There is no such topic.
    UnknownTopic = 203,
    /// The topic has no such partition.
    UnknownPartition = 204,
    /// There is no such group.
    UnknownGroup = 205,
    /// There is no such binding.
    UnknownBinding = 206,
    /// The connection has no such consumer.
    UnknownConsumer = 207,
    /// The connection has no such member.
    UnknownMember = 208,
    /// The queue holds no such message, or it is not ready.
    UnknownMessage = 209,
    /// The name is taken by something that was declared otherwise.
    Conflict = 210,
    /// It is still used by something else.
    InUse = 211,
    /// No binding took the message, and it would have been lost.
    Unroutable = 212,
    /// There is no such producer, or nothing was heard of it for so long that it was forgotten.
    UnknownProducer = 220,
    /// The exchange is internal: only other exchanges route to it.
    Internal = 230,
    /// There is no such job that redrives messages, or it ended.
    UnknownRedrive = 231,
    /// The queue is another connection's alone (AMQP's `resource-locked`).
    Exclusive = 240,
    /// The queue remembers as many messages as it may, so as not to store them twice.
    DeduplicationFull = 241,
    /// The record needs a key: its topic is compacted.
    KeyMissing = 260,
    /// The lease ended, was settled, or belongs to another connection. Reserved for requests that
    /// name one lease; those that name many tell the stale ones in `Settled`.
    StaleLease = 300,
    /// The offset is not in the log.
    OffsetOutOfRange = 301,
    /// The member no longer owns the partition, or speaks for an old generation.
    Fenced = 302,
    /// The batch's number is not the next one: a batch before it is missing.
    OutOfOrderSequence = 320,
    /// The batch's number was used before, by a batch that is no longer remembered or was another.
    DuplicateSequence = 321,
    /// A newer life of the producer took its place, or the broker aborted its transaction.
    ProducerFenced = 322,
    /// The transaction is not in a state in which this can be done.
    InvalidTransaction = 323,
    /// The generation is not the group's.
    IllegalGeneration = 310,
    /// Another has joined under the member's instance name.
    FencedInstanceId = 311,
    /// The group rebalances: join again.
    RebalanceInProgress = 312,
    /// The group shares out in another way: the broker does it or its members do, they are of
    /// another type, or support none of the same protocols.
    InconsistentGroupProtocol = 313,
    /// A record or batch is larger than the limit.
    TooLarge = 400,
    /// The queue holds as many messages as it may.
    QueueFull = 401,
    /// The broker holds as many bytes as it may.
    BrokerFull = 402,
    /// There are as many of these as there may be.
    TooMany = 403,
    /// The user takes more than its quota gives; try again a little later.
    QuotaExceeded = 480,
    /// The server is going down; try again with the next one.
    ShuttingDown = 500,
    /// Who asks is not permitted to (AMQP's `access-refused`).
    AccessRefused = 600,
}

impl Code {
    /// The stable number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Whether the same request may succeed later without anyone changing it.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Code::DeduplicationFull
                | Code::QueueFull
                | Code::BrokerFull
                | Code::QuotaExceeded
                | Code::ShuttingDown
        )
    }

    /// A refusal of this kind.
    pub fn because<'a>(self, message: impl Into<Cow<'a, str>>) -> Refusal<'a> {
        Refusal { code: self, message: message.into() }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u16(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Code, D::Error> {
        let number = u16::deserialize(d)?;
        Code::from_number(number).ok_or_else(|| {
            serde::de::Error::custom(alloc::format!("{number} is no refusal that is known here"))
        })
    }
}
