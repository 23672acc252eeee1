//! What happens inside, as it happens, for those who watch: each a sentence with its reason.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{ConnId, ConsumerId, Generation, MemberId, Offset, ProducerEpoch, ProducerId};
use crate::refusal::Refusal;
use crate::time::{Span, Time};
use crate::view::{AttemptEnd, DeathReason};

mod sentence;

/// One thing that happened. `Display` tells it in a sentence.
///
/// The order of the variants is their number on the wire: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Activity<'a> {
    /// A connection opened.
    Connected {
        /// Which one.
        conn: ConnId,
        /// What it is called.
        #[serde(borrow)]
        client: Cow<'a, str>,
    },
    /// A connection closed.
    Disconnected {
        /// Which one.
        conn: ConnId,
        /// What it was called.
        #[serde(borrow)]
        client: Cow<'a, str>,
    },
    /// An exchange, queue, topic, binding or group came, went or changed: look again.
    TopologyChanged {
        /// What, in words: "queue orders was declared".
        #[serde(borrow)]
        what: Cow<'a, str>,
    },
    /// A batch came to lie in a queue.
    Enqueued {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The first message's offset.
        base: Offset,
        /// How many.
        count: u32,
        /// The publisher.
        conn: ConnId,
        /// The exchange it came through; empty: the default exchange, or none.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Its routing key.
        #[serde(borrow)]
        routing_key: Cow<'a, str>,
    },
    /// A batch came to lie in a partition.
    Appended {
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The first record's offset.
        base: Offset,
        /// How many.
        count: u32,
        /// The publisher.
        conn: ConnId,
        /// The exchange it came through; empty: none.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Its routing key.
        #[serde(borrow)]
        routing_key: Cow<'a, str>,
    },
    /// A message was handed to a consumer.
    Leased {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Which attempt.
        attempt: u32,
        /// Whose.
        conn: ConnId,
        /// Which consumer; None: a `Receive`.
        consumer: Option<ConsumerId>,
        /// Until when.
        until: Time,
    },
    /// A lease was extended.
    Extended {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Until when now.
        until: Time,
    },
    /// An attempt failed; the message is ready again, now or later.
    Returned {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Which attempt.
        attempt: u32,
        /// Of how many; None: no maximum.
        deliveries_max: Option<u32>,
        /// Who had it.
        conn: ConnId,
        /// How it ended.
        end: AttemptEnd,
        /// When it is ready; None: now.
        ready_at: Option<Time>,
    },
    /// A delayed message became ready.
    Due {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
    },
    /// A message was acknowledged and is gone.
    Acked {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Which attempt did it.
        attempt: u32,
        /// Whose.
        conn: ConnId,
    },
    /// A message died and lies in the dead-letter queue.
    DeadLettered {
        /// The queue it died in.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Its offset there.
        offset: Offset,
        /// How many attempts it had.
        attempts: u32,
        /// Why.
        reason: DeathReason,
        /// The dead-letter queue.
        #[serde(borrow)]
        to: Cow<'a, str>,
        /// Its offset there.
        to_offset: Offset,
    },
    /// A message died where no queue keeps the dead, and is gone.
    Dropped {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Why.
        reason: DeathReason,
    },
    /// A message was moved out of a dead-letter queue.
    Redriven {
        /// From this queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// From this offset.
        offset: Offset,
        /// To this queue.
        #[serde(borrow)]
        to: Cow<'a, str>,
        /// To this offset.
        to_offset: Offset,
        /// Whether its body was changed.
        mended: bool,
    },
    /// A member came into a group.
    MemberJoined {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member.
        member: MemberId,
        /// Its connection.
        conn: ConnId,
    },
    /// A member left a group or was put out.
    MemberLeft {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member.
        member: MemberId,
        /// Its connection.
        conn: ConnId,
        /// Why.
        reason: LeaveReason,
    },
    /// A partition went to a member.
    PartitionAssigned {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The group's generation.
        generation: Generation,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The member.
        member: MemberId,
        /// From where it reads.
        position: Offset,
        /// How many of those records had been read before, by a member that did not commit them.
        again: u64,
    },
    /// A member read records: its position moved.
    Polled {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member.
        member: MemberId,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The first record's offset.
        from: Offset,
        /// The offset after the last.
        to: Offset,
    },
    /// A group committed.
    Committed {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// What was committed before.
        from: Option<Offset>,
        /// The next offset to read now.
        to: Offset,
        /// Who did; None: nobody's member, or a reset.
        member: Option<MemberId>,
    },
    /// A member moved its own position.
    Sought {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member.
        member: MemberId,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The next offset to poll.
        to: Offset,
    },
    /// A delivery was given back unseen; no attempt was counted.
    Released {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message.
        offset: Offset,
        /// Who had it.
        conn: ConnId,
    },
    /// A request was refused.
    Refused {
        /// Whose.
        conn: ConnId,
        /// Why.
        #[serde(borrow)]
        refusal: Refusal<'a>,
    },
    /// A producer that numbers its batches is there, or began another life.
    ProducerReady {
        /// Which.
        producer: ProducerId,
        /// In which life it is.
        epoch: ProducerEpoch,
        /// Its transactional name; empty if it has none.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// Who asked for it.
        conn: ConnId,
    },
    /// A batch was sent again, and not stored again.
    Deduplicated {
        /// Whose.
        producer: ProducerId,
        /// Its number.
        sequence: u32,
        /// How many records it has.
        count: u32,
        /// Who sent it.
        conn: ConnId,
    },
    /// A producer was forgotten: nothing was heard of it for long.
    ProducerExpired {
        /// Which.
        producer: ProducerId,
        /// Its transactional name; empty if it has none.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// Consecutive messages were removed by a purge.
    Purged {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The first of them.
        base: Offset,
        /// How many.
        count: u64,
    },
    /// Records that no binding took were returned to their publisher, or dropped.
    Unrouted {
        /// The publisher.
        conn: ConnId,
        /// How many.
        count: u32,
        /// The exchange.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// The routing key.
        #[serde(borrow)]
        routing_key: Cow<'a, str>,
        /// Whether they were returned.
        returned: bool,
    },
    /// What a group had committed on a partition was forgotten.
    OffsetDeleted {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// What was committed.
        from: Offset,
    },
    /// A producer's transaction began.
    TransactionBegan {
        /// Whose.
        producer: ProducerId,
        /// In which of its lives.
        epoch: ProducerEpoch,
        /// Its transactional name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// When it is aborted, unless it ends before.
        until: Time,
    },
    /// A producer's transaction ended.
    TransactionEnded {
        /// Whose.
        producer: ProducerId,
        /// Its transactional name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How.
        end: TransactionEnd,
        /// How many records it wrote, counted in each log.
        records: u64,
    },
    /// A consumer takes over where only one is active.
    ConsumerActive {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Which one.
        consumer: ConsumerId,
    },
    /// A partition starts later: what was before is gone.
    Trimmed {
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// Where it started before.
        from: Offset,
        /// The first offset that can be read now.
        to: Offset,
        /// Why.
        reason: TrimReason,
    },
    /// A partition was compacted, up to some offset.
    Compacted {
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// Each key is there once before this offset.
        clean: Offset,
        /// How many records went.
        removed: u64,
    },
    /// The bytes that are held passed a mark: publishers were told to slow down, or to go on.
    Pressure {
        /// Whether to slow down; or to go on.
        is_high: bool,
        /// Bytes that are held.
        stored_bytes: u64,
        /// Under so many all is well again.
        low: u64,
        /// Above so many publishers are told to slow down.
        high: u64,
    },
    /// A message died and is gone, or a copy of it: it could not be dead-lettered.
    DeadLetterLost {
        /// The queue it died in.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Its offset there.
        offset: Offset,
        /// Why it died.
        reason: DeathReason,
        /// Why it could not be dead-lettered.
        loss: Loss,
    },
    /// A member was told to give up a partition, for another member.
    PartitionRevoked {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The group's generation.
        generation: Generation,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// Who gives it up.
        member: MemberId,
        /// Who gets it then.
        to: MemberId,
    },
    /// A static member came back under another number, to what it had.
    MemberReturned {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The name under which it comes back.
        #[serde(borrow)]
        instance: Cow<'a, str>,
        /// Its number now.
        member: MemberId,
        /// Its number before.
        before: MemberId,
        /// Its connection.
        conn: ConnId,
    },
    /// A message came to a queue that had come before, and was not stored again.
    CameBefore {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Where the first one lies, or lay.
        offset: Offset,
        /// The publisher.
        conn: ConnId,
    },
    /// A group whose members assign needs another generation: all are to join again.
    GroupRebalancing {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// Because of whom.
        member: MemberId,
        /// What it did.
        cause: RebalanceCause,
        /// How many members there are.
        members: u32,
    },
    /// The members of a group have joined a generation, and one of them is to assign.
    LeaderChosen {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The generation.
        generation: Generation,
        /// How it assigns.
        #[serde(borrow)]
        protocol: Cow<'a, str>,
        /// Who.
        leader: MemberId,
        /// How many members there are.
        members: u32,
    },
    /// A leader has assigned.
    LeaderAssigned {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The generation.
        generation: Generation,
        /// Who.
        leader: MemberId,
    },
    /// A member reads other topics.
    SubscriptionChanged {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member.
        member: MemberId,
        /// The topics, in words: "orders, mails".
        #[serde(borrow)]
        topics: Cow<'a, str>,
    },
    /// What a group had committed on a partition was forgotten, because it had no members for long.
    OffsetExpired {
        /// The group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// What was committed.
        from: Offset,
        /// How long it was kept.
        kept: Span,
    },
}

/// Why the members of a group are to join again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RebalanceCause {
    /// A member came.
    Joined,
    /// A member proposes something else.
    Changed,
    /// The leader wants to assign anew.
    LeaderAgain,
    /// A member is out.
    Left,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TransactionEnd {
    /// Its producer committed it.
    Committed,
    /// Its producer aborted it.
    Aborted,
    /// It was open for too long, and aborted.
    TimedOut,
    /// Another took its producer's name, and it was aborted.
    Fenced,
}

/// Why a dead message went nowhere, as in RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Loss {
    /// It went round by itself: it would come to a queue again in which it had died, and no
    /// consumer rejected it meanwhile.
    Cycle,
    /// There is no such dead-letter exchange.
    NoExchange,
    /// No binding took it.
    Unroutable,
    /// It became several, and the broker has no room for more than the first.
    NoRoom,
}

/// Why a member is no longer in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection closed.
    Disconnected,
    /// It was silent for its session timeout.
    SessionTimeout,
    /// Its topic was deleted.
    TopicDeleted,
    /// It took longer than its rebalance timeout.
    RebalanceTimeout,
    /// Another joined under its instance's name.
    InstanceFenced,
    /// An administrator removed it.
    Removed,
}

/// Why a partition starts later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrimReason {
    /// The topic's policy keeps no more, or nothing that old.
    Retention,
    /// Somebody deleted the records.
    Deleted,
}
