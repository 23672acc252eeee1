//! What there is to draw: exchanges, queues, tapes, groups and the clients around them.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use fanlight_core::{
    ConnId, ConsumerId, ExchangeKind, Generation, MemberId, Offset, QueueId, QueuePolicy, Time,
    TopicId,
};

/// A name that is shared, so that a picture can be copied about cheaply.
pub type Name = Rc<str>;

/// Messages of one queue that are shown singly: the oldest that are there.
pub const QUEUE_MARKS_MAX: usize = 1_000;
/// Records of one partition that are shown singly: the newest.
pub const TAPE_MARKS_MAX: usize = 96;

/// Someone connected: an actor of this page (small numbers, stable over crashes and restarts), or
/// a stranger on an attached server (one number for each connection).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ActorId(pub u64);

impl ActorId {
    const STRANGER: u64 = 1 << 32;

    /// The user: who publishes by hand, redrives, purges and resets.
    pub const YOU: ActorId = ActorId(0);

    /// The number of a connection that is none of this page's actors.
    pub fn stranger(conn: ConnId) -> ActorId {
        ActorId(Self::STRANGER | conn.0)
    }

    /// Whether it is an actor of this page, and so can be controlled.
    pub fn is_ours(self) -> bool {
        self.0 < Self::STRANGER
    }
}

/// A log that holds messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A queue.
    Queue(Name),
    /// One partition of a topic.
    Partition(Name, u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Queue(queue) => f.write_str(queue),
            Place::Partition(topic, partition) => write!(f, "{topic}/{partition}"),
        }
    }
}

/// One message in one place. The same message may lie in several places: see
/// [`crate::picture::Story`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageRef {
    /// Where.
    pub place: Place,
    /// At which offset.
    pub offset: Offset,
}

impl fmt::Display for MessageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.place, self.offset)
    }
}

/// One message through all of its places, as it was published once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoryId(pub u64);

/// An exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Its name.
    pub name: Name,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Where it routes.
    pub bindings: Vec<Binding>,
}

/// A binding of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Routing key or pattern.
    pub pattern: Name,
    /// Where it leads.
    pub to: BindingTo,
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq)]
pub enum BindingTo {
    /// A queue.
    Queue(Name),
    /// A topic.
    Topic(Name),
    /// Another exchange.
    Exchange(Name),
}

/// A queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its number in this broker.
    pub id: QueueId,
    /// Its name.
    pub name: Name,
    /// How it treats its messages; `dead_letter` names the queue to draw below it.
    pub policy: QueuePolicy<'static>,
    /// The queues whose dead come here; not empty: this is a dead-letter queue.
    pub dead_letters_of: Vec<Name>,
    /// Messages that wait for a consumer. Exact, however many are shown.
    pub ready: u64,
    /// Messages in the hands of consumers.
    pub leased: u64,
    /// Messages that wait for their delay to end.
    pub delayed: u64,
    /// The offset that the next message gets.
    pub end: Offset,
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages that died here.
    pub dead_lettered: u64,
    /// The oldest messages that are here, by offset; at most [`QUEUE_MARKS_MAX`].
    pub marks: VecDeque<QueueMark>,
    /// Its consumers. Clients that only `Receive` are not among them.
    pub consumers: Vec<Consumer>,
}

/// A consumer of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its number.
    pub id: ConsumerId,
    /// Whose.
    pub actor: ActorId,
    /// How many messages it may hold.
    pub prefetch: u32,
}

/// One message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMark {
    /// Where it lies.
    pub offset: Offset,
    /// Which message it is.
    pub story: StoryId,
    /// When it came here.
    pub since: Time,
    /// What it is doing.
    pub state: MarkState,
    /// Attempts begun here: 0 before the first delivery, 2 or more is a redelivery.
    pub attempt: u32,
    /// Whether our workers would refuse it: known once its content is.
    pub poison: bool,
}

/// What a message of a queue is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkState {
    /// It waits for a consumer.
    Ready,
    /// Someone holds it. When the lease ends it is ready again.
    Leased {
        /// Who.
        holder: ActorId,
        /// Since when.
        since: Time,
        /// Until when.
        until: Time,
    },
    /// It waits for its delay to end.
    Delayed {
        /// Until when.
        until: Time,
    },
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its number in this broker.
    pub id: TopicId,
    /// Its name.
    pub name: Name,
    /// Its partitions, from 0.
    pub tapes: Vec<Tape>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// The oldest offset.
    pub start: Offset,
    /// The offset after the newest.
    pub end: Offset,
    /// The newest records, oldest first, without gaps up to `end`; at most [`TAPE_MARKS_MAX`].
    pub marks: VecDeque<TapeMark>,
}

/// One record of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeMark {
    /// Where it lies.
    pub offset: Offset,
    /// Which message it is.
    pub story: StoryId,
    /// Whether our workers would refuse it.
    pub poison: bool,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// A letter of its own, to tell it apart without colour.
    pub letter: char,
    /// A shape of its own: 0, 1, 2, … in the order in which groups were first seen.
    pub shape: usize,
    /// How often its assignment changed.
    pub generation: Generation,
    /// Its members.
    pub members: Vec<Member>,
    /// How far it is, by topic and partition.
    pub cursors: Vec<Cursor>,
}

impl Group {
    /// Records not yet committed, over all partitions.
    pub fn lag(&self) -> u64 {
        self.cursors.iter().map(|c| c.lag).sum()
    }
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// Who.
    pub actor: ActorId,
}

/// How far a group is in one partition: its two flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which topic.
    pub topic: Name,
    /// Which partition.
    pub partition: u32,
    /// The solid flag: the next offset to read after a crash. None: nothing was committed.
    pub committed: Option<Offset>,
    /// The hollow flag: the next offset its owner will poll. None: nobody owns it.
    pub position: Option<Offset>,
    /// The furthest that any member has read: records from `position` to here come again.
    pub read_to: Offset,
    /// Records between committed and the end.
    pub lag: u64,
    /// Who reads it.
    pub owner: Option<ActorId>,
}

impl Cursor {
    /// Exactly what a crash of the owner would deliver again: from the solid flag to the hollow
    /// one. Empty where nothing is at risk.
    pub fn at_risk(&self) -> std::ops::Range<u64> {
        let from = self.committed.map_or(0, |offset| offset.0);
        from..self.position.map_or(from, |position| position.0.max(from))
    }
}

/// A client: one of this page's actors, or a stranger.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// Who it is.
    pub id: ActorId,
    /// What it is called.
    pub name: Name,
    /// One or two characters to write into its mark.
    pub tag: Name,
    /// What it does.
    pub role: Role,
    /// Its connection, while it has one.
    pub conn: Option<ConnId>,
    /// How it is.
    pub state: ActorState,
    /// What it works on at this moment.
    pub work: Option<Work>,
    /// Everything it holds, the one it works on included.
    pub held: Vec<MessageRef>,
    /// How many messages it has published or processed.
    pub done: u64,
    /// How many attempts it failed.
    pub failed: u64,
    /// Its settings, for our own actors.
    pub tuning: Option<Tuning>,
}

/// What a client does. A stranger's role is inferred from what it did last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It publishes.
    Producer,
    /// It reads topics as a member of a group.
    Member {
        /// Which group.
        group: Name,
    },
    /// It works on the messages of a queue.
    Worker {
        /// Which queue.
        queue: Name,
    },
    /// It is connected and has done nothing yet.
    Unknown,
}

/// How a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorState {
    /// Not started: an actor of ours on an attached server, until the user starts it.
    Idle,
    /// On its way to the broker.
    Connecting,
    /// Alive.
    Running,
    /// Told to stop; it finishes what it has in hand first.
    Stopping,
    /// Stopped in good order.
    Stopped,
    /// Its connection dropped without a word.
    Crashed,
    /// Connected, and silent: it neither works nor says so.
    Silent,
}

/// A message in work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The message; its story is [`crate::picture::Picture::story_at`] it.
    pub message: MessageRef,
    /// Which attempt; 1 for records of a topic.
    pub attempt: u32,
    /// Since when.
    pub since: Time,
    /// When the work will be done.
    pub until: Time,
}

/// The settings of one of our actors; changed with [`crate::world::Act::Tune`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tuning {
    /// A producer's orders a second.
    pub rate: f64,
    /// How long a consumer works on one message.
    pub work_ms: u64,
    /// A member commits after so many records.
    pub commit_every: u32,
    /// A member commits before it works, not after: at most once instead of at least once.
    pub commit_first: bool,
    /// How many messages a worker holds at once.
    pub prefetch: u32,
}
