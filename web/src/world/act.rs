//! What the user can do to a world and ask of it.

use fanlight_core::{Attempt, Death, Fetched, MessageState, MessageView, Offset, Position, Time};
use serde::{Deserialize, Serialize};

use super::orders;
use crate::picture::{ActorId, Content, Tuning, content};

/// Something the user does. It changes the run, so it is remembered with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Act {
    /// Starts an actor, or starts it again after a crash or stop; wakes it if it is silent: it then
    /// goes on where it was, as a process that was suspended does.
    Start {
        /// Which one.
        actor: ActorId,
    },
    /// Stops it in good order: it finishes what it has in hand, commits, and leaves.
    Stop {
        /// Which one.
        actor: ActorId,
    },
    /// Kills it: its connection drops, and what it had in hand is not settled.
    Crash {
        /// Which one.
        actor: ActorId,
    },
    /// Makes it fall silent with its connection open: its leases run out, its session times out.
    Silence {
        /// Which one.
        actor: ActorId,
    },
    /// Changes its settings.
    Tune {
        /// Which one.
        actor: ActorId,
        /// To what.
        tuning: Tuning,
    },
    /// Makes the producer's next order one that no worker can accept: its price is zero.
    PoisonNext,
    /// Makes the producer publish so many orders at once.
    Burst {
        /// How many.
        orders: u32,
    },
    /// Adds a worker to the queue `shipping`.
    AddWorker,
    /// Adds a member to a group.
    AddMember {
        /// Which group.
        group: String,
    },
    /// Publishes a message by hand, through exchange `events`.
    Publish {
        /// The routing key.
        routing_key: String,
        /// The key, which picks the partition.
        key: Option<String>,
        /// The body.
        body: String,
    },
    /// Sends one dead message back to the queue it died in.
    Redrive {
        /// The dead-letter queue.
        queue: String,
        /// Which message.
        offset: Offset,
        /// A body in place of its own: mended. None: as it is.
        body: Option<String>,
    },
    /// Sends the oldest dead messages back.
    RedriveAll {
        /// The dead-letter queue.
        queue: String,
        /// At most so many.
        messages_max: u32,
    },
    /// Throws away what is ready in a queue.
    Purge {
        /// Which queue.
        queue: String,
    },
    /// Moves a group's committed offsets; refused while the group has members.
    ResetOffsets {
        /// Which group.
        group: String,
        /// On which topic.
        topic: String,
        /// Which partition; None: all.
        partition: Option<u32>,
        /// Where to.
        to: Position,
    },
}

/// A run: all that is needed to have it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The format: [`Script::VERSION`].
    pub version: u16,
    /// Where every arbitrary choice comes from.
    pub seed: u64,
    /// What the user did, and when.
    pub acts: Vec<(Time, Act)>,
    /// Where the run stood.
    pub until: Time,
}

impl Script {
    /// The format that this build writes. Later builds keep reading it.
    pub const VERSION: u16 = 1;
}

/// How time stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Whether the clock is ours to hold: not so when attached.
    pub is_ours: bool,
    /// Whether time runs.
    pub is_running: bool,
    /// How fast.
    pub speed: f64,
    /// The broker's time. In the page it counts from zero; a server's from 1970.
    pub now: Time,
    /// How far the run was taken, where it was gone back from; else now.
    pub reached: Time,
    /// The run's seed.
    pub seed: u64,
}

/// How the way to the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The broker is in this page.
    InPage,
    /// On the way to a server.
    Connecting {
        /// Which.
        url: String,
    },
    /// At a server.
    Attached {
        /// Which.
        url: String,
    },
    /// The server cannot be reached, or is gone; it is tried again by itself.
    Failed {
        /// Which.
        url: String,
        /// What is wrong.
        sentence: String,
    },
}

/// A short thing to say to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether something did not go as the user wanted.
    pub is_problem: bool,
    /// What to say.
    pub sentence: String,
}

/// Something to ask the broker that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Messages of a queue, with their attempts and deaths.
    Peek {
        /// Which queue.
        queue: String,
        /// From which offset.
        from: Offset,
        /// At most so many.
        messages_max: u32,
    },
    /// Records of a partition.
    Read {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: u32,
        /// From which offset.
        from: Offset,
        /// At most so many.
        records_max: u32,
    },
}

/// Names a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the broker answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Messages of a queue or records of a partition.
    Messages(Vec<ShownMessage>),
    /// It was refused, and why.
    Refused(String),
}

/// A message, with what happened to it as the broker remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownMessage {
    /// Where it lies.
    pub offset: Offset,
    /// When it came there.
    pub at: Time,
    /// What it is doing; None for records of a topic.
    pub state: Option<MessageState>,
    /// Its failed attempts here, oldest first.
    pub attempts: Vec<Attempt>,
    /// How many attempts failed here.
    pub attempts_failed: u32,
    /// Its deaths in other queues, oldest first.
    pub deaths: Vec<Death>,
    /// What it says.
    pub content: Content,
    /// Why our workers would refuse it, if they would.
    pub poison: Option<String>,
}

impl ShownMessage {
    pub(super) fn of_message(view: &MessageView<'_>) -> ShownMessage {
        let record = view.record.record();
        ShownMessage {
            offset: view.offset,
            at: view.at,
            state: Some(view.state),
            attempts: view.attempts.clone(),
            attempts_failed: view.attempts_failed,
            deaths: view.deaths.clone(),
            content: content(&record),
            poison: orders::check(record.body).err(),
        }
    }

    pub(super) fn of_records(batch: &Fetched<'_>) -> Vec<ShownMessage> {
        let records = batch.records.iter().zip(0..);
        records
            .map(|(record, n)| ShownMessage {
                offset: batch.offset(n),
                at: batch.appended_at,
                state: None,
                attempts: Vec::new(),
                attempts_failed: 0,
                deaths: Vec::new(),
                content: content(&record),
                poison: orders::check(record.body).err(),
            })
            .collect()
    }
}
