//! What a client may ask.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{Offset, ProducerEpoch, ProducerId, Tag};

mod binding;
mod classic;
mod inspect;
mod op;
mod reading;
mod redrive;
mod target;

pub use binding::{
    Destination, ExchangeKind, ExchangePolicy, HeaderMatch, MatchMode, WantedHeader,
};
pub use classic::{MemberAssignment, MemberName, Protocol};
pub use inspect::{Inspect, Listed};
pub use op::Op;
pub use reading::{Budget, Isolation, Position, ReadFrom, Start};
pub use redrive::{Condition, Pick};
pub use target::{Target, Unroutable};

/// The version of the protocol that this build speaks.
pub const PROTOCOL: u16 = 2;

/// What a connection says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session<'a> {
    /// The protocol's version: [`PROTOCOL`].
    pub protocol: u16,
    /// A name for people to read, in views and in the event log.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
}

/// One request, and the tag that its answer will carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Chosen by the client.
    pub tag: Tag,
    /// What is asked.
    #[serde(borrow)]
    pub op: Op<'a>,
}

/// A batch's number among those of its producer: what tells one that is sent again.
///
/// Numbers count records from 0, as Kafka's do: the next batch has this batch's number and as many
/// more as it has records, and after 2³¹ - 1 comes 0. They are counted for each partition that is
/// published to by its number, and once for everything else (queues, exchanges, topics whose keys
/// pick the partition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sequenced {
    /// Who.
    pub producer: ProducerId,
    /// In which of its lives.
    pub epoch: ProducerEpoch,
    /// The number of the first record.
    pub sequence: u32,
}

/// How partitions are shared out among a group's members, by the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Assignor {
    /// Of each topic a run of partitions to each member (Kafka's `RangeAssignor`).
    #[default]
    Range,
    /// Partition by partition to the members in turn (Kafka's `RoundRobinAssignor`).
    RoundRobin,
    /// As even as can be, and as few partitions moved as can be when members come and go (Kafka's
    /// `StickyAssignor`). What moves, moves at once.
    Sticky,
    /// The same shares, but what moves is given up first: its owner is told an assignment without
    /// it, commits and says `Revoked`, and only then is it given on; what stays is read on
    /// meanwhile (Kafka's `CooperativeStickyAssignor`, KIP-429, with the broker in charge as in
    /// KIP-848).
    CooperativeSticky,
}

/// One offset to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitOffset<'a> {
    /// Which topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Which partition.
    pub partition: u32,
    /// The next offset to read.
    pub offset: Offset,
    /// Anything worth keeping beside it, at most 4,096 bytes (Kafka's
    /// `offset.metadata.max.bytes`).
    #[serde(borrow, default)]
    pub metadata: Cow<'a, str>,
}
