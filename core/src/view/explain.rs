//! Answers to "why": what is due, what a connection has, and what happened to a message.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{AttemptEnd, ConsumerView, DeadlineReason, DeathReason};
use crate::id::{ConnId, ConsumerId, MemberId, Offset, ProducerId, Tag};
use crate::time::Time;

/// Something that will happen by itself, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DueView {
    /// When.
    pub at: Time,
    /// What kind of thing.
    pub reason: DeadlineReason,
    /// What exactly, in words: "jobs@7 is ready again, if c1 does not settle it before".
    pub what: String,
}

/// A connection, with what it has and holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionDetail {
    /// Its number.
    pub id: ConnId,
    /// What it said it is called.
    pub client: String,
    /// Whether it watches.
    pub watches: bool,
    /// Whether it has published.
    pub publishes: bool,
    /// Whether it was told to slow down, and not yet that it may go on.
    pub is_slowed: bool,
    /// Its consumers: the credit of each is what its prefetch leaves beside what is outstanding.
    pub consumers: Vec<QueueConsumerView>,
    /// Its members.
    pub members: Vec<GroupMemberView>,
    /// Its requests that wait.
    pub waits: Vec<WaitView>,
    /// What it holds, by queue.
    pub holds: Vec<HoldsView>,
}

/// A consumer and its queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueConsumerView {
    /// The queue, or the work group.
    pub queue: String,
    /// The consumer.
    pub consumer: ConsumerView,
}

/// A member and its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMemberView {
    /// The group.
    pub group: String,
    /// The member.
    pub member: MemberId,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitView {
    /// Of the request.
    pub tag: Tag,
    /// For what, in words.
    pub what: String,
}

/// Messages of a queue in a connection's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldsView {
    /// The queue.
    pub queue: String,
    /// How many.
    pub leases: u64,
}

/// What happened to a message lately, also in the queues that it came from and went to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JourneyView {
    /// Its steps, oldest first.
    pub steps: Vec<JourneyStep>,
    /// How many steps, of whatever message, the broker had to forget: if there are any, this
    /// message's first ones may be among them.
    pub forgotten: u64,
}

/// One thing that happened to a message. `Display` tells it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JourneyStep {
    /// When.
    pub at: Time,
    /// The log in which it lay: a queue's name, or a topic's name and partition: `orders/0`.
    pub place: String,
    /// Its offset there.
    pub offset: Offset,
    /// What happened.
    pub what: Happened,
}

/// What happened to a message, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Happened {
    /// It was published, and came to lie here.
    Published {
        /// By whom.
        conn: Option<ConnId>,
        /// Through this exchange; empty: the default exchange, or none.
        exchange: String,
        /// With this routing key.
        routing_key: String,
    },
    /// It was handed out.
    Leased {
        /// To whom.
        conn: ConnId,
        /// To which consumer; None: a `Receive`.
        consumer: Option<ConsumerId>,
        /// Which attempt.
        attempt: u32,
        /// Until when.
        until: Time,
    },
    /// Its lease was moved.
    Extended {
        /// Until when.
        until: Time,
    },
    /// It was given back unseen.
    Released {
        /// By whom.
        conn: ConnId,
    },
    /// An attempt failed.
    Returned {
        /// Whose; None: of a connection that is gone.
        conn: Option<ConnId>,
        /// How it ended.
        end: AttemptEnd,
        /// Which attempt.
        attempt: u32,
        /// When it is ready again; None: at once.
        ready_at: Option<Time>,
    },
    /// Its delay was over.
    Due,
    /// It was acknowledged, and is gone.
    Acked {
        /// By whom.
        conn: ConnId,
    },
    /// It was dropped.
    Dropped {
        /// Why, if it died.
        reason: Option<DeathReason>,
    },
    /// It was purged.
    Purged,
    /// It died.
    DeadLettered {
        /// Why.
        reason: DeathReason,
        /// Where it went.
        to: String,
        /// Its offset there.
        to_offset: Offset,
    },
    /// It was moved out of a dead-letter queue.
    Redriven {
        /// Where it went.
        to: String,
        /// Its offset there.
        to_offset: Offset,
    },
    /// A member of a group read it.
    Polled {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// A group committed beyond it.
    Committed {
        /// The group.
        group: String,
    },
    /// The transaction ended that it belonged to.
    TransactionEnded {
        /// Whose.
        producer: ProducerId,
        /// Committed; else aborted.
        commit: bool,
    },
    /// Its log let it go: by its policy, or because it was asked for.
    Trimmed,
    /// A newer record of its key took its place, or its tombstone's time was over.
    Compacted,
}

impl fmt::Display for JourneyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JourneyStep { place, offset, .. } = self;
        write!(f, "{place}@{offset} ")?;
        match &self.what {
            Happened::Published { conn, exchange, routing_key } => {
                f.write_str("published")?;
                if let Some(conn) = conn {
                    write!(f, " by {conn}")?;
                }
                if !exchange.is_empty() {
                    write!(f, " through exchange {exchange}, routing key {routing_key:?}")?;
                }
                Ok(())
            }
            Happened::Leased { conn, consumer, attempt, until } => {
                write!(f, "handed to {conn}")?;
                if let Some(consumer) = consumer {
                    write!(f, " ({consumer})")?;
                }
                write!(f, ", attempt {attempt}, leased until {until}")
            }
            Happened::Extended { until } => write!(f, "leased on until {until}"),
            Happened::Released { conn } => write!(f, "given back by {conn} unseen"),
            Happened::Returned { conn, end, attempt, ready_at } => {
                let how = match end {
                    AttemptEnd::Expired => "the lease ran out",
                    AttemptEnd::Nacked => "given back",
                    AttemptEnd::Rejected => "refused",
                    AttemptEnd::Disconnected => "the connection closed",
                };
                write!(f, "attempt {attempt} ")?;
                if let Some(conn) = conn {
                    write!(f, "of {conn} ")?;
                }
                write!(f, "failed: {how}; ready again ")?;
                match ready_at {
                    Some(at) => write!(f, "at {at}"),
                    None => f.write_str("at once"),
                }
            }
            Happened::Due => f.write_str("was due, and is ready"),
            Happened::Acked { conn } => write!(f, "acknowledged by {conn}, and gone"),
            Happened::Dropped { reason: None } => f.write_str("dropped, and gone"),
            Happened::Dropped { reason: Some(reason) } => {
                write!(f, "died ({reason:?}), and no queue keeps it")
            }
            Happened::Purged => f.write_str("purged, and gone"),
            Happened::DeadLettered { reason, to, to_offset } => {
                write!(f, "died ({reason:?}) and went to {to}@{to_offset}")
            }
            Happened::Redriven { to, to_offset } => write!(f, "driven on to {to}@{to_offset}"),
            Happened::Polled { group, member } => write!(f, "read by {member} of {group}"),
            Happened::Committed { group } => write!(f, "committed by {group}"),
            Happened::TransactionEnded { producer, commit: true } => {
                write!(f, "committed with the transaction of {producer}")
            }
            Happened::TransactionEnded { producer, commit: false } => {
                write!(f, "aborted with the transaction of {producer}")
            }
            Happened::Trimmed => f.write_str("let go by its log"),
            Happened::Compacted => f.write_str("compacted away"),
        }
    }
}
