//! Identities: sequence numbers that are never used twice, and so can be checked when they are stale.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A connection. The driver chooses it, and never gives the same number twice in one life of
    /// the broker.
    ConnId(u64),
    "c"
);
id!(
    /// What a client puts on a request and finds on its answer. Zero is for events that answer no
    /// request.
    Tag(u32),
    "#"
);
id!(
    /// A queue, for as long as it exists; a queue declared again under the same name is another.
    QueueId(u32),
    "q"
);
id!(
    /// A topic, for as long as it exists.
    TopicId(u32),
    "t"
);
id!(
    /// A consumer group, for as long as it exists.
    GroupId(u32),
    "g"
);
id!(
    /// A consumer of a queue (one `Consume`), in one life of the broker.
    ConsumerId(u64),
    "consumer-"
);
id!(
    /// A member of a consumer group (one `Join`), in one life of the broker.
    MemberId(u64),
    "member-"
);
id!(
    /// A producer whose batches are numbered (one `InitProducer`); those of a transactional name are
    /// one until its epochs run out.
    ProducerId(u64),
    "producer-"
);
id!(
    /// Which life of a producer this is: a batch of an older one is fenced.
    ProducerEpoch(u16),
    ""
);
id!(
    /// A place in a log: dense, from zero, only rising.
    Offset(u64),
    ""
);
id!(
    /// Which life of the broker this is: it rises by one at every start.
    Epoch(u32),
    ""
);
id!(
    /// How often a group's assignment has changed; a member of an older generation is fenced where
    /// it no longer owns what it speaks of.
    Generation(u32),
    ""
);

id!(
    /// A job that redrives messages; never given twice.
    RedriveId(u32),
    "redrive-"
);

impl Offset {
    /// The offset `n` places further on.
    pub const fn plus(self, n: u64) -> Offset {
        Offset(self.0.saturating_add(n))
    }
}

/// The right to settle one delivery of one message. It names its delivery, so it goes stale by
/// itself when the message is delivered again or the broker restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId {
    /// The queue that holds the message.
    pub queue: QueueId,
    /// The message's offset in that queue.
    pub offset: Offset,
    /// Which delivery of the message this is in this life of the broker, from 1.
    pub delivery: u32,
    /// The life of the broker in which it was delivered.
    pub epoch: Epoch,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.queue, self.offset, self.delivery, self.epoch)
    }
}

/// A log that holds messages: a queue's, or one partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// A queue.
    Queue(QueueId),
    /// A partition of a topic, counted from zero.
    Partition(TopicId, u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Queue(id) => id.fmt(f),
            Place::Partition(topic, partition) => write!(f, "{topic}/{partition}"),
        }
    }
}

/// Where a batch came to lie: the offset of its first record in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The log.
    pub place: Place,
    /// The offset of the batch's first record there.
    pub base: Offset,
}
