//! The picture: what the page draws, as owned data, projected from what one watching connection is
//! told. Nothing in it is invented: every mark is a message that lies in a broker.

mod accounts;
mod groups;
mod ledger;
mod offsets;
mod overview;
mod parts;
mod projector;
mod queues;
mod stories;
mod story;

use std::collections::VecDeque;

use fanlight_core::Time;

pub use ledger::{Ledger, LedgerRow, Tally};
pub(crate) use overview::content;
pub use parts::{
    Actor, ActorId, ActorState, Binding, BindingTo, Consumer, Cursor, Exchange, Group, MarkState,
    Member, MessageRef, Name, Place, QUEUE_MARKS_MAX, Queue, QueueMark, Role, StoryId,
    TAPE_MARKS_MAX, Tape, TapeMark, Topic, Tuning, Work,
};
pub(crate) use projector::{Projector, Want};
pub use stories::STORIES_MAX;
pub use story::{Content, Hop, HopKind, Line, LineKind, Spot, Story};

/// Lines of the event log that are kept: the newest.
pub const LOG_MAX: usize = 4_000;
/// Movements that are kept: the newest.
pub const HOPS_MAX: usize = 2_000;
/// Seconds of tallies that are kept: the newest.
pub const TALLIES_MAX: usize = 3_600;

/// What the page draws.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The broker's time.
    pub now: Time,
    /// Bumps whenever anything that is drawn changed: an idle stage draws nothing.
    pub revision: u64,
    /// Bumps when parts came or went: the layout has to be made again.
    pub layout_revision: u64,
    /// Exchanges by name.
    pub exchanges: Vec<Exchange>,
    /// Queues by name, dead-letter queues among them.
    pub queues: Vec<Queue>,
    /// Topics by name.
    pub topics: Vec<Topic>,
    /// Groups in the order in which they were first seen.
    pub groups: Vec<Group>,
    /// Clients: ours in the order of the scenario, then strangers.
    pub actors: Vec<Actor>,
    /// What moved, newest last.
    pub hops: VecDeque<Hop>,
    /// What happened, newest last.
    pub log: VecDeque<std::rc::Rc<Line>>,
    /// What the run comes to.
    pub ledger: Ledger,
    /// Second by second, newest last; seconds in which nothing happened are left out.
    pub tallies: VecDeque<Tally>,
    stories: stories::Stories,
}

impl Picture {
    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| &*queue.name == name)
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| &*topic.name == name)
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| &*group.name == name)
    }

    /// The client of this number.
    pub fn actor(&self, id: ActorId) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.id == id)
    }

    /// A message with its journey; None once it is forgotten, the oldest first.
    pub fn story(&self, id: StoryId) -> Option<&Story> {
        self.stories.story(id)
    }

    /// Which message lies in a place; None if it was forgotten, or never seen.
    pub fn story_at(&self, message: &MessageRef) -> Option<StoryId> {
        self.stories.at(message)
    }

    /// The movements after the one numbered `seq`: what to animate since the last frame.
    pub fn hops_since(&self, seq: u64) -> impl Iterator<Item = &Hop> {
        let from = self.hops.partition_point(|hop| hop.seq <= seq);
        self.hops.range(from..)
    }

    /// The lines after the one numbered `seq`.
    pub fn lines_since(&self, seq: u64) -> impl Iterator<Item = &std::rc::Rc<Line>> {
        let from = self.log.partition_point(|line| line.seq <= seq);
        self.log.range(from..)
    }
}
