//! What the user looks at: one thing at a time, the same on the stage, in the inspector and in the
//! log.

use fanlight_web::picture::{ActorId, MessageRef, Name, Picture, StoryId};

/// The thing in focus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Focus {
    /// A message, through all of its places; and the place that was clicked, if one was.
    Message(StoryId, Option<MessageRef>),
    /// A client.
    Actor(ActorId),
    /// A partition of a topic.
    Partition(Name, u32),
    /// A queue.
    Queue(Name),
    /// A consumer group.
    Group(Name),
    /// An exchange.
    Exchange(Name),
}

impl Focus {
    /// The message, if it is one.
    pub(crate) fn story(&self) -> Option<StoryId> {
        match self {
            Focus::Message(story, _) => Some(*story),
            Focus::Actor(_)
            | Focus::Partition(..)
            | Focus::Queue(_)
            | Focus::Group(_)
            | Focus::Exchange(_) => None,
        }
    }

    /// Whether it is still there to be looked at.
    pub(crate) fn is_in(&self, picture: &Picture) -> bool {
        match self {
            Focus::Message(story, _) => picture.story(*story).is_some(),
            Focus::Actor(id) => picture.actor(*id).is_some(),
            Focus::Partition(topic, n) => {
                picture.topic(topic).is_some_and(|topic| (*n as usize) < topic.tapes.len())
            }
            Focus::Queue(name) => picture.queue(name).is_some(),
            Focus::Group(name) => picture.group(name).is_some(),
            Focus::Exchange(name) => picture.exchanges.iter().any(|e| e.name == *name),
        }
    }
}
