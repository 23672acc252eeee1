//! What a connection is told.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::activity::{Activity, LeaveReason};
use crate::fact::Via;
use crate::id::{
    Append, ConnId, ConsumerId, Epoch, Generation, LeaseId, MemberId, Offset, ProducerEpoch,
    ProducerId, QueueId, RedriveId, Tag,
};
use crate::record::{RawRecord, Records};
use crate::refusal::Refusal;
use crate::time::Time;
use crate::view::{MessageView, RedriveView, View};

mod groups;

pub use groups::{NotRemoved, Proposal};

/// Everything a connection can be told. `tag` is the request's that it answers.
///
/// The order of the variants is their number on the wire: new ones go to the end.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, never kept in numbers")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event<'a> {
    /// The connection is open.
    Opened {
        /// The connection's own number.
        conn: ConnId,
        /// The broker's life; leases of another are stale.
        epoch: Epoch,
        /// The broker's time.
        now: Time,
    },
    /// The request was done.
    Done {
        /// Of the request.
        tag: Tag,
    },
    /// The request was done, to so many messages.
    Count {
        /// Of the request.
        tag: Tag,
        /// How many.
        count: u64,
        /// How many more that are ready it did not look at, because one request looks at so many
        /// and no more: of a redrive by a filter, which a job does without that bound.
        #[serde(default)]
        left: u64,
    },
    /// The request was refused and changed nothing.
    Refused {
        /// Of the request; zero for bytes that were no request.
        tag: Tag,
        /// Why.
        #[serde(borrow)]
        refusal: Refusal<'a>,
    },
    /// The batch is stored, as durable as the driver promises, wherever it was routed to.
    Published {
        /// Of the request.
        tag: Tag,
        /// Where it lies. A topic's batch may be split over partitions.
        #[serde(borrow)]
        appends: Cow<'a, [Append]>,
        /// Whether it was stored before, by a batch of the same number: then it lies where that
        /// one came to lie, and nothing was stored now.
        #[serde(default)]
        duplicate: bool,
        /// The records that a queue was given before, and did not store again.
        #[serde(default)]
        duplicates: Cow<'a, [Duplicate]>,
    },
    /// The consumer is there.
    Consuming {
        /// Of the request.
        tag: Tag,
        /// What its deliveries will name.
        consumer: ConsumerId,
    },
    /// The consumer is gone because its queue is.
    Cancelled {
        /// Which one.
        consumer: ConsumerId,
    },
    /// Messages for a consumer.
    Delivered {
        /// Which one.
        consumer: ConsumerId,
        /// The messages, in the queue's order.
        #[serde(borrow)]
        deliveries: Cow<'a, [Delivery<'a>]>,
    },
    /// Messages that were asked for.
    Received {
        /// Of the request.
        tag: Tag,
        /// The messages; none if the wait ended without.
        #[serde(borrow)]
        deliveries: Cow<'a, [Delivery<'a>]>,
        /// How many more are ready (the `message-count` of AMQP's `basic.get-ok`).
        #[serde(default)]
        left: u64,
    },
    /// Leases were settled or extended, except the stale ones.
    Settled {
        /// Of the request.
        tag: Tag,
        /// How many were not stale.
        count: u32,
        /// Those that the connection does not hold: they ended before, were settled, or are
        /// another's.
        #[serde(borrow)]
        stale: Cow<'a, [LeaseId]>,
    },
    /// The member is in its group.
    Joined {
        /// Of the request.
        tag: Tag,
        /// What its requests name.
        member: MemberId,
    },
    /// What the member reads from now on.
    Assigned {
        /// Which member.
        member: MemberId,
        /// The group's new generation.
        generation: Generation,
        /// All of its partitions, not only what is new.
        #[serde(borrow)]
        partitions: Cow<'a, [Assignment<'a>]>,
    },
    /// The member is no longer in its group.
    Expelled {
        /// Which member.
        member: MemberId,
        /// Why.
        reason: LeaveReason,
    },
    /// Records for a member.
    Polled {
        /// Of the request.
        tag: Tag,
        /// Runs of records, each of one partition; none if the wait ended without.
        #[serde(borrow)]
        batches: Cow<'a, [Fetched<'a>]>,
    },
    /// Records of a partition.
    ReadDone {
        /// Of the request.
        tag: Tag,
        /// The log's first offset.
        start: Offset,
        /// The offset after the log's last.
        end: Offset,
        /// The last stable offset, at which committed reads end.
        stable_end: Offset,
        /// The records; None if there is none from there on.
        #[serde(borrow)]
        batch: Option<Fetched<'a>>,
    },
    /// A view that was asked for.
    Inspected {
        /// Of the request.
        tag: Tag,
        /// The view.
        #[serde(borrow)]
        view: View<'a>,
    },
    /// Something happened, for those who watch.
    Activity {
        /// When.
        at: Time,
        /// What.
        #[serde(borrow)]
        activity: Activity<'a>,
    },
    /// The producer is there.
    ProducerReady {
        /// Of the request.
        tag: Tag,
        /// Its number.
        producer: ProducerId,
        /// Its epoch.
        epoch: ProducerEpoch,
    },
    /// Records of a publish that no binding took come back (AMQP's `basic.return`). The publish's
    /// `Published` follows, if it is to be confirmed.
    Returned {
        /// Of the publish.
        tag: Tag,
        /// Why: a code and a sentence.
        #[serde(borrow)]
        refusal: Refusal<'a>,
        /// Those that were not routed.
        #[serde(borrow)]
        records: Records<'a>,
    },
    /// A group's offsets were reset, or would be.
    OffsetsReset {
        /// Of the request.
        tag: Tag,
        /// Each partition that was asked for.
        #[serde(borrow)]
        changes: Cow<'a, [OffsetChange<'a>]>,
    },
    /// The broker holds so much that publishers should slow down, or no longer does. Nothing that
    /// they publish is refused for it (as with RabbitMQ's `connection.blocked`, which says it too).
    Pressure {
        /// Whether to slow down; or to go on.
        is_high: bool,
        /// Bytes that are held.
        stored_bytes: u64,
        /// Under so many all is well again.
        low: u64,
        /// Above so many publishers are told to slow down.
        high: u64,
        /// At so many publishes are refused.
        max: u64,
    },
    /// The job began.
    RedriveStarted {
        /// Of the request.
        tag: Tag,
        /// What it is called.
        redrive: RedriveId,
    },
    /// A job ended that this connection started.
    RedriveEnded {
        /// Which, how, and how many it moved; or, in a dry run, would have moved.
        redrive: RedriveView,
        /// The first of those that a dry run found.
        #[serde(borrow)]
        messages: Vec<MessageView<'a>>,
    },
    /// The member is in its group, whose members assign, and the group is in this generation.
    JoinedClassic {
        /// Of the request.
        tag: Tag,
        /// What its requests name.
        member: MemberId,
        /// The generation.
        generation: Generation,
        /// What kind of group it is.
        #[serde(borrow)]
        protocol_type: Cow<'a, str>,
        /// The protocol that was chosen: one that all support, and most like best.
        #[serde(borrow)]
        protocol: Cow<'a, str>,
        /// Who assigns.
        leader: MemberId,
        /// For a leader that came back as a static member: the assignment stands, and it does not
        /// have to assign (KIP-814).
        skip_assignment: bool,
        /// Only for the leader: every member, with what it proposes.
        #[serde(borrow)]
        members: Cow<'a, [Proposal<'a>]>,
    },
    /// A member's assignment.
    Synced {
        /// Of the request.
        tag: Tag,
        /// What kind of group it is.
        #[serde(borrow)]
        protocol_type: Cow<'a, str>,
        /// The protocol.
        #[serde(borrow)]
        protocol: Cow<'a, str>,
        /// What the leader gave it.
        #[serde(
            serialize_with = "crate::record::as_bytes",
            deserialize_with = "crate::record::own_bytes"
        )]
        assignment: Cow<'a, [u8]>,
    },
    /// Members were removed, but for these.
    MembersRemoved {
        /// Of the request.
        tag: Tag,
        /// Those that were not.
        #[serde(borrow)]
        refused: Cow<'a, [NotRemoved<'a>]>,
    },
    /// Records of several partitions.
    FetchDone {
        /// Of the request.
        tag: Tag,
        /// What each of the partitions has, in the order in which they were asked for.
        #[serde(borrow)]
        reads: Cow<'a, [PartitionRead<'a>]>,
    },
}

/// What a `Fetch` found in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionRead<'a> {
    /// The log's first offset.
    pub start: Offset,
    /// The offset after the log's last.
    pub end: Offset,
    /// The last stable offset, at which committed reads end.
    pub stable_end: Offset,
    /// The records; None if there is none from there on, or others used the budget up.
    #[serde(borrow)]
    pub batch: Option<Fetched<'a>>,
    /// Why it cannot be read; the rest is empty then.
    #[serde(borrow)]
    pub refusal: Option<Refusal<'a>>,
}

/// What a reset does to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetChange<'a> {
    /// Which topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Which partition.
    pub partition: u32,
    /// What was committed before; None: nothing.
    pub from: Option<Offset>,
    /// What is committed now, or would be.
    pub to: Offset,
}

/// A record that a queue was given before: see [`crate::QueuePolicy::deduplication`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Duplicate {
    /// Which queue.
    pub queue: QueueId,
    /// Which of the batch's records, from 0; of those that came to this queue, where an exchange
    /// sent them different ways.
    pub index: u32,
    /// Where the first one lies, or lay.
    pub offset: Offset,
}

/// One message in the hands of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery<'a> {
    /// The right to settle it.
    pub lease: LeaseId,
    /// Which attempt this is, from 1. Attempts survive restarts.
    pub attempt: u32,
    /// When the lease ends.
    pub deadline: Time,
    /// When the message came to lie where it is delivered from (SQS's `SentTimestamp`).
    pub appended_at: Time,
    /// By which exchange and routing key it came there (AMQP's `basic.deliver` says both). None:
    /// straight, or by the default exchange, where the queue's name is the key.
    #[serde(borrow, default)]
    pub via: Option<Via<'a>>,
    /// The message.
    #[serde(borrow)]
    pub record: RawRecord<'a>,
}

impl Delivery<'_> {
    /// Whether it was delivered before, as far as this life of the broker knows (AMQP's
    /// `redelivered`): also where no attempt was counted, because it was released.
    pub fn is_redelivered(&self) -> bool {
        self.attempt > 1 || self.lease.delivery > 1
    }
}

/// A partition and where its member begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment<'a> {
    /// Which topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Which partition.
    pub partition: u32,
    /// The next offset that a poll will read.
    pub position: Offset,
}

/// Records of one partition, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched<'a> {
    /// Which topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Which partition.
    pub partition: u32,
    /// The offset of the first record.
    pub base: Offset,
    /// The offset of each record; empty where they are dense from `base` on. There are gaps where
    /// records were compacted away, or are not shown because their transaction was aborted.
    #[serde(borrow)]
    pub offsets: Cow<'a, [Offset]>,
    /// When the first was appended.
    pub appended_at: Time,
    /// The records.
    #[serde(borrow)]
    pub records: Records<'a>,
    /// Where to read on: after the last record and what is missing behind it.
    pub next: Offset,
}

impl Fetched<'_> {
    /// The offset of the record at this index of the batch.
    pub fn offset(&self, index: u32) -> Offset {
        self.offsets.get(index as usize).copied().unwrap_or(self.base.plus(u64::from(index)))
    }
}
