//! What to look at.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{ConnId, Offset, ProducerId};

/// What there are lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Listed {
    /// Exchanges, the built-in ones among them.
    Exchanges,
    /// Queues.
    Queues,
    /// Topics.
    Topics,
    /// Groups.
    Groups,
    /// Open connections, by number.
    Connections,
    /// Work groups.
    WorkGroups,
}

impl Listed {
    /// Every kind.
    pub const ALL: [Listed; 6] = [
        Listed::Exchanges,
        Listed::Queues,
        Listed::Topics,
        Listed::Groups,
        Listed::Connections,
        Listed::WorkGroups,
    ];
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Inspect<'a> {
    /// Everything but the messages: of each kind about the first
    /// [`crate::limits::OVERVIEW_ROWS_MAX`] rows. The answer says of which kinds there are more;
    /// `List` goes on with those.
    Overview,
    /// One queue.
    #[serde(borrow)]
    Queue(Cow<'a, str>),
    /// One topic.
    #[serde(borrow)]
    Topic(Cow<'a, str>),
    /// One group.
    #[serde(borrow)]
    Group(Cow<'a, str>),
    /// One exchange.
    #[serde(borrow)]
    Exchange(Cow<'a, str>),
    /// The groups by name, without their partitions: a page of at most 1,000.
    #[serde(rename_all = "camelCase")]
    Groups {
        /// Those whose name is greater than this; empty: from the first.
        #[serde(borrow, default)]
        after: Cow<'a, str>,
        /// At most this many, at least 1.
        groups_max: u32,
    },
    /// Producers that number their batches, from this number on, and their open transactions: at
    /// most [`crate::limits::PRODUCERS_SHOWN_MAX`].
    Producers(ProducerId),
    /// One producer, with all of its numbers and what its transaction wrote.
    Producer(ProducerId),
    /// One open connection: its consumers, members, waits, and what it holds.
    Connection(ConnId),
    /// What will happen by itself next, in order, and why.
    Due {
        /// At most so many.
        max: u32,
    },
    /// What happened to a message of a queue, also in the queues it came from and went to.
    Message {
        /// The queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The message; it may be gone.
        offset: Offset,
    },
    /// What happened to a record of a topic.
    Record {
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The record.
        offset: Offset,
    },
    /// A part of what there is of one kind, by name.
    List {
        /// Of what.
        of: Listed,
        /// After this name, which the list before ended with; empty: from the first.
        #[serde(borrow, default)]
        after: Cow<'a, str>,
        /// About so many rows: each member, partition and binding is one, too.
        max: u32,
    },
    /// One work group.
    #[serde(borrow)]
    WorkGroup(Cow<'a, str>),
    /// The jobs that redrive messages, with their progress; and of those that ended in this life of
    /// the broker the newest ten of each queue.
    Redrives,
    /// The producers whose transaction is open, from this number on: as many as by `Producers`
    /// (Kafka's `ListTransactions`).
    Transactions(ProducerId),
    /// The producer with this transactional name, as by `Producer` (Kafka's
    /// `DescribeTransactions`).
    #[serde(borrow)]
    ProducerNamed(Cow<'a, str>),
    /// The producers that number what they publish to a partition, or have a transaction open that
    /// wrote there: from this number on, as many as by `Producers`, each with what it has to do with
    /// this partition alone (Kafka's `DescribeProducers`).
    #[serde(rename_all = "camelCase")]
    ProducersOf {
        /// The topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// The partition.
        partition: u32,
        /// The first producer.
        from: ProducerId,
    },
    /// The queues, and parts of work groups, whose policy names this one as their dead letter queue
    /// (SQS's `ListDeadLetterSourceQueues`): a [`crate::View::Page`] of queues.
    #[serde(rename_all = "camelCase")]
    DeadLetterSources {
        /// Which queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Those after this name; empty: from the first.
        #[serde(borrow, default)]
        after: Cow<'a, str>,
        /// At most so many.
        max: u32,
    },
}
