//! What happens inside, as it happens, for those who watch: each a sentence with its reason.

use alloc::borrow::Cow;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ConnId, ConsumerId, Generation, MemberId, Offset, ProducerEpoch, ProducerId};
use crate::refusal::Refusal;
use crate::time::Time;
use crate::view::{AttemptEnd, DeathReason};

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

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Cycle => "dropped: it had gone round by itself",
            Loss::NoExchange => "dropped: its dead-letter exchange is not there",
            Loss::Unroutable => "dropped: no binding took it",
            Loss::NoRoom => "dead-lettered once only: the broker has no room for more",
        })
    }
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

struct Plural(u64, &'static str);

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

impl fmt::Display for TransactionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransactionEnd::Committed => "is committed",
            TransactionEnd::Aborted => "is aborted",
            TransactionEnd::TimedOut => "was open for too long and is aborted",
            TransactionEnd::Fenced => "is aborted, because another took the name",
        })
    }
}

struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

struct Via<'a>(&'a str, &'a str);

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            ("", _) => Ok(()),
            (exchange, "") => write!(f, " through exchange {exchange}"),
            (exchange, key) => write!(f, " through exchange {exchange} with key {key}"),
        }
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttemptEnd::Expired => "its lease ran out",
            AttemptEnd::Nacked => "its consumer gave it back",
            AttemptEnd::Rejected => "its consumer rejected it",
            AttemptEnd::Disconnected => "its consumer's connection closed",
        })
    }
}

impl fmt::Display for DeathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeathReason::DeliveriesExhausted => "it reached its maximum of deliveries",
            DeathReason::Rejected => "a consumer rejected it",
            DeathReason::Expired => "it expired",
            DeathReason::MaxLength => "its queue held more than it may",
        })
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeaveReason::Left => "it left",
            LeaveReason::Disconnected => "its connection closed",
            LeaveReason::SessionTimeout => "it was silent for its session timeout",
            LeaveReason::TopicDeleted => "its topic was deleted",
            LeaveReason::RebalanceTimeout => "it took longer than its rebalance timeout",
            LeaveReason::InstanceFenced => "another joined under its instance's name",
        })
    }
}

impl fmt::Display for Activity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activity::Connected { conn, client } => write!(f, "{conn} connected: {client}"),
            Activity::Disconnected { conn, client } => write!(f, "{conn} disconnected: {client}"),
            Activity::TopologyChanged { what } => f.write_str(what),
            Activity::Enqueued { queue, base, count, conn, exchange, routing_key } => write!(
                f,
                "queue {queue} got {} from offset {base}, published by {conn}{}",
                Plural(u64::from(*count), "message"),
                Via(exchange, routing_key)
            ),
            Activity::Appended { topic, partition, base, count, conn, exchange, routing_key } => {
                write!(
                    f,
                    "topic {topic}/{partition} got {} from offset {base}, published by {conn}{}",
                    Plural(u64::from(*count), "record"),
                    Via(exchange, routing_key)
                )
            }
            Activity::Leased { queue, offset, attempt, conn, until, .. } => write!(
                f,
                "{queue}@{offset} delivered to {conn}, attempt {attempt}, leased until {until}"
            ),
            Activity::Extended { queue, offset, until } => {
                write!(f, "{queue}@{offset}: lease extended until {until}")
            }
            Activity::Returned { queue, offset, attempt, deliveries_max, conn, end, ready_at } => {
                write!(f, "{queue}@{offset} returned from {conn}: {end}, attempt {attempt}")?;
                if let Some(max) = deliveries_max {
                    write!(f, " of {max}")?;
                }
                match ready_at {
                    Some(at) => write!(f, "; ready again at {at}"),
                    None => f.write_str("; ready again"),
                }
            }
            Activity::Due { queue, offset } => {
                write!(f, "{queue}@{offset} is ready: its delay ended")
            }
            Activity::Acked { queue, offset, attempt, conn } => {
                write!(f, "{queue}@{offset} acknowledged by {conn}, attempt {attempt}")
            }
            Activity::DeadLettered { queue, offset, attempts, reason, to, to_offset } => write!(
                f,
                "{queue}@{offset} died after {}: {reason}; it lies in {to}@{to_offset}",
                Plural(u64::from(*attempts), "attempt")
            ),
            Activity::Dropped { queue, offset, reason: DeathReason::MaxLength } => {
                write!(f, "{queue}@{offset} was dropped: {queue} held more than it may")
            }
            Activity::Dropped { queue, offset, reason } => write!(
                f,
                "{queue}@{offset} was dropped: {reason}, and {queue} has no dead-letter queue"
            ),
            Activity::CameBefore { queue, offset, conn } => {
                write!(f, "{conn} published {queue}@{offset} again; it was not stored again")
            }
            Activity::ConsumerActive { queue, consumer } => {
                write!(f, "{consumer} is the active consumer of {queue} now")
            }
            Activity::Purged { queue, base, count: 1 } => write!(f, "{queue}@{base} was purged"),
            Activity::Purged { queue, base, count } => {
                write!(f, "{queue}@{base}-{} were purged", base.0 + count - 1)
            }
            Activity::Redriven { queue, offset, to, to_offset, mended } => {
                let mended = if *mended { ", mended" } else { "" };
                write!(f, "{queue}@{offset} redriven to {to}@{to_offset}{mended}")
            }
            Activity::MemberJoined { group, member, conn } => {
                write!(f, "{member} ({conn}) joined group {group}")
            }
            Activity::MemberLeft { group, member, conn, reason } => {
                write!(f, "{member} ({conn}) is out of group {group}: {reason}")
            }
            Activity::PartitionAssigned {
                group,
                generation,
                topic,
                partition,
                member,
                position,
                again,
            } => {
                write!(
                    f,
                    "{topic}/{partition} assigned to {member} of {group} from offset {position}, \
                     generation {generation}"
                )?;
                if *again > 0 {
                    write!(
                        f,
                        "; {} read but not committed before will be delivered again",
                        Plural(*again, "record")
                    )?;
                }
                Ok(())
            }
            Activity::Polled { group, member, topic, partition, from, to } => write!(
                f,
                "{member} of {group} read {} of {topic}/{partition} from offset {from}",
                Plural(to.0.saturating_sub(from.0), "record")
            ),
            Activity::Committed { group, topic, partition, from, to, member } => {
                match member {
                    Some(member) => write!(f, "{member} of {group} committed")?,
                    None => write!(f, "group {group} was set:")?,
                }
                match from {
                    Some(from) => write!(f, " {topic}/{partition} from {from} to {to}"),
                    None => write!(f, " {topic}/{partition} to {to}, for the first time"),
                }
            }
            Activity::Sought { group, member, topic, partition, to } => {
                write!(f, "{member} of {group} moved its position in {topic}/{partition} to {to}")
            }
            Activity::Released { queue, offset, conn } => {
                write!(f, "{queue}@{offset} given back by {conn} unseen; ready again")
            }
            Activity::Pressure { is_high: true, stored_bytes, low, high } => write!(
                f,
                "{stored_bytes} bytes are held, above the mark of {high}: publishers are told to \
                 slow down until it is {low}"
            ),
            Activity::Pressure { is_high: false, stored_bytes, low, high: _ } => write!(
                f,
                "{stored_bytes} bytes are held, no longer above {low}: publishers may go on"
            ),
            Activity::Refused { conn, refusal } => write!(f, "{conn} was refused: {refusal}"),
            Activity::ProducerReady { producer, epoch, name, conn } => {
                write!(f, "{producer}{} is ready for {conn}, epoch {epoch}", Named(name))
            }
            Activity::Deduplicated { producer, sequence, count, conn } => write!(
                f,
                "{} of {producer} from sequence {sequence} came from {conn} again, and {} not \
                 stored twice",
                Plural(u64::from(*count), "record"),
                if *count == 1 { "was" } else { "were" }
            ),
            Activity::ProducerExpired { producer, name } => {
                write!(f, "{producer}{} was forgotten: nothing was heard of it", Named(name))
            }
            Activity::Unrouted { conn, count, exchange, routing_key, returned } => {
                let exchange = if exchange.is_empty() { "the default exchange" } else { exchange };
                let became = if *returned { "returned" } else { "dropped, as it asked" };
                write!(
                    f,
                    "{} of {conn} {became}: no binding of {exchange} takes the key {routing_key:?}",
                    Plural(u64::from(*count), "message")
                )
            }
            Activity::PartitionRevoked { group, generation, topic, partition, member, to } => {
                write!(
                    f,
                    "{member} of {group} is to give up {topic}/{partition} for {to}, generation \
                     {generation}"
                )
            }
            Activity::MemberReturned { group, instance, member, before, conn } => write!(
                f,
                "{instance} is back in group {group} as {member} ({conn}), in the place of {before}"
            ),
            Activity::OffsetDeleted { group, topic, partition, from } => {
                write!(
                    f,
                    "group {group} forgot that it had committed {from} of {topic}/{partition}"
                )
            }
            Activity::TransactionBegan { producer, epoch, name, until } => write!(
                f,
                "a transaction of {producer}{} begins, epoch {epoch}; it has to end until {until}",
                Named(name)
            ),
            Activity::TransactionEnded { producer, name, end, records } => write!(
                f,
                "the transaction of {producer}{} {end}, with {}",
                Named(name),
                Plural(*records, "record")
            ),
            Activity::Trimmed { topic, partition, from, to, reason } => {
                let why = match reason {
                    TrimReason::Retention => "outlived the topic's policy",
                    TrimReason::Deleted => "were deleted",
                };
                write!(f, "records of {topic}/{partition} {why}: it starts at {to}, not at {from}")
            }
            Activity::Compacted { topic, partition, clean, removed } => write!(
                f,
                "{topic}/{partition} was compacted up to {clean}: {} gone",
                Plural(*removed, "record")
            ),
            Activity::DeadLetterLost { queue, offset, reason, loss } => {
                write!(f, "{queue}@{offset} died: {reason}; {loss}")
            }
        }
    }
}
