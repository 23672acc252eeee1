//! Activities, and their parts, in words.

use core::fmt;

use super::*;

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
            LeaveReason::Removed => "it was removed",
        })
    }
}

impl fmt::Display for RebalanceCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RebalanceCause::Joined => "joined",
            RebalanceCause::Changed => "proposes something else",
            RebalanceCause::LeaderAgain => "leads it and joined again",
            RebalanceCause::Left => "is out",
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
            Activity::GroupRebalancing { group, member, cause, members } => write!(
                f,
                "group {group} rebalances, because {member} {cause}; it waits for {} to join",
                Plural(u64::from(*members), "member")
            ),
            Activity::LeaderChosen { group, generation, protocol, leader, members } => write!(
                f,
                "{} joined generation {generation} of group {group}: {leader} is to assign, by \
                 {protocol}",
                Plural(u64::from(*members), "member")
            ),
            Activity::LeaderAssigned { group, generation, leader } => {
                write!(f, "{leader} has assigned in group {group}, generation {generation}")
            }
            Activity::SubscriptionChanged { group, member, topics } => {
                write!(f, "{member} of {group} reads {topics} from now on")
            }
            Activity::OffsetExpired { group, topic, partition, from, kept } => write!(
                f,
                "group {group} forgot that it had committed {from} of {topic}/{partition}: it had \
                 no members for {kept}"
            ),
            Activity::DeadLetterLost { queue, offset, reason, loss } => {
                write!(f, "{queue}@{offset} died: {reason}; {loss}")
            }
        }
    }
}
