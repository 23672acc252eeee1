//! What happened: movements to animate, the event log, and each message's journey.

use std::rc::Rc;

use fanlight_core::{Offset, Time};

use super::parts::{ActorId, MessageRef, Name, Place, StoryId};

/// One message, from its publish on, through all of its places.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its number.
    pub id: StoryId,
    /// What to call it: an order's number where there is one, else its first place.
    pub title: Name,
    /// What to call it in a sentence: "order 536370", or its first place.
    pub called: Name,
    /// Its content, once known: attached to a server it is fetched.
    pub content: Option<Rc<Content>>,
    /// Why our workers refuse it, if they do.
    pub poison: Option<Name>,
    /// Whether its body was changed when it was redriven; the content is then the new one.
    pub is_mended: bool,
    /// Everywhere it was, in order: topic partitions, queues, dead-letter queues.
    pub places: Vec<MessageRef>,
    /// Everything that happened to it, in order: the lines of the log that concern it.
    pub journey: Vec<Rc<Line>>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its key.
    pub key: Option<String>,
    /// Its headers; values that are not text are shown as bytes.
    pub headers: Vec<(String, String)>,
    /// Its body, where it is text.
    pub body: String,
    /// Bytes of its body.
    pub body_bytes: usize,
}

/// A line of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Rises by one from line to line: the key of its row.
    pub seq: u64,
    /// When, on the broker's clock.
    pub at: Time,
    /// What sort of thing happened.
    pub kind: LineKind,
    /// What happened and why.
    pub sentence: Name,
    /// The message it concerns.
    pub message: Option<MessageRef>,
    /// Which message that is.
    pub story: Option<StoryId>,
    /// The client it concerns.
    pub actor: Option<ActorId>,
    /// The group it concerns.
    pub group: Option<Name>,
    /// The place it concerns, where it is no single message.
    pub place: Option<Place>,
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Something was published.
    Publish,
    /// A message was handed out, or records were read.
    Deliver,
    /// An acknowledgement or a commit.
    Settle,
    /// An attempt failed, or records come again: a redelivery is due.
    Return,
    /// A message died, or was dropped.
    Death,
    /// Dead messages were moved back.
    Redrive,
    /// A client came, went, crashed, fell silent.
    Client,
    /// A group's members or assignment changed.
    Group,
    /// Exchanges, queues, topics or bindings changed.
    Topology,
    /// What a consumer found when it worked on a message.
    Work,
    /// A request was refused.
    Refusal,
    /// What the user did.
    User,
}

/// A movement, to be animated.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Rises by one from hop to hop.
    pub seq: u64,
    /// When, on the broker's clock.
    pub at: Time,
    /// What moved it.
    pub kind: HopKind,
    /// From where.
    pub from: Spot,
    /// Through which exchange, for a publish.
    pub via: Option<Name>,
    /// To where.
    pub to: Spot,
    /// Which message; the first, if there are several.
    pub story: Option<StoryId>,
    /// How many messages.
    pub count: u32,
    /// Which attempt: 2 or more is a redelivery. 1 for records of a topic read the first time.
    pub attempt: u32,
    /// Whether our workers would refuse it.
    pub poison: bool,
}

/// Why something moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HopKind {
    /// From a producer, through an exchange, into a log.
    Publish,
    /// From a queue to a worker.
    Deliver,
    /// From a partition to a member; the record stays where it is.
    Read,
    /// From a worker back: done, and gone.
    Ack,
    /// From a member to its partition: the solid flag moves.
    Commit,
    /// From a worker back to its queue: given back, or its connection closed.
    Return,
    /// The lease ran out: back to the queue without the worker's doing.
    Expire,
    /// From a queue down to its dead-letter queue.
    DeadLetter,
    /// From a dead-letter queue back up.
    Redrive,
    /// Rejected or purged: gone.
    Drop,
}

/// An end of a movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A client.
    Actor(ActorId),
    /// A message's place in a queue.
    Queue {
        /// Which queue.
        queue: Name,
        /// Where in it.
        offset: Offset,
    },
    /// A record's place in a partition.
    Partition {
        /// Which topic.
        topic: Name,
        /// Which partition.
        partition: u32,
        /// Where in it.
        offset: Offset,
    },
    /// Nowhere: gone.
    Nowhere,
}
