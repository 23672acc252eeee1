//! Every message's story, the newest of them, and where each lies.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::parts::{MessageRef, Name, Place, StoryId};
use super::story::{Content, Line, Story};
use crate::world::scenario::QUEUE as WORK;

/// Messages whose story is remembered: the newest.
pub const STORIES_MAX: usize = 8_000;
/// Lines of one journey: the oldest are kept, for they say where it came from.
const JOURNEY_MAX: usize = 200;

/// The stories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stories {
    all: BTreeMap<StoryId, Story>,
    /// Looked into, never walked: its order is arbitrary.
    at: HashMap<MessageRef, StoryId>,
    made: u64,
}

impl Stories {
    /// Forgets all of them. Their numbers are not given again: lines of the log name them.
    pub(crate) fn clear(&mut self) {
        *self = Stories { made: self.made, ..Stories::default() };
    }

    pub(crate) fn story(&self, id: StoryId) -> Option<&Story> {
        self.all.get(&id)
    }

    pub(crate) fn at(&self, message: &MessageRef) -> Option<StoryId> {
        self.at.get(message).copied()
    }

    /// The story of what lies at a place: a new one if there is none.
    pub(crate) fn of(&mut self, message: &MessageRef) -> StoryId {
        match self.at(message) {
            Some(id) => id,
            None => self.begin(message),
        }
    }

    fn begin(&mut self, message: &MessageRef) -> StoryId {
        self.made += 1;
        let id = StoryId(self.made);
        let story = Story {
            id,
            title: title_by_place(message),
            called: title_by_place(message),
            content: None,
            poison: None,
            is_mended: false,
            places: vec![message.clone()],
            journey: Vec::new(),
        };
        self.all.insert(id, story);
        self.at.insert(message.clone(), id);
        if self.all.len() > STORIES_MAX
            && let Some((gone, story)) = self.all.pop_first()
        {
            for place in &story.places {
                if self.at.get(place) == Some(&gone) {
                    self.at.remove(place);
                }
            }
        }
        id
    }

    /// The same message lies here too, or now.
    pub(crate) fn also_at(&mut self, id: StoryId, message: &MessageRef) {
        if self.at(message).is_some() {
            return;
        }
        if let Some(story) = self.all.get_mut(&id) {
            story.places.push(message.clone());
            self.at.insert(message.clone(), id);
        }
    }

    /// What the message says is known, as it lies at a place. True if it was not known, or was
    /// something else. Of a mended message only the newest copy counts.
    pub(crate) fn learn(&mut self, id: StoryId, at: &MessageRef, content: &Rc<Content>) -> bool {
        let Some(story) = self.all.get_mut(&id) else { return false };
        if story.is_mended && story.places.last() != Some(at) {
            return false;
        }
        if story.content.as_ref() == Some(content) {
            return false;
        }
        let body = content.body.as_bytes();
        let order = crate::world::orders::title(body);
        let place = title_by_place(&story.places[0]);
        (story.title, story.called) = match (&order, &content.key) {
            (Some(order), _) => (order.as_str().into(), format!("order {order}").into()),
            (None, Some(key)) if !key.is_empty() => (key.as_str().into(), place),
            (None, Some(_) | None) => (place.clone(), place),
        };
        // A stranger's message that is no order is no concern of our workers.
        let concerns_us = order.is_some()
            || story.places.iter().any(|m| matches!(&m.place, Place::Queue(q) if &**q == WORK));
        story.poison = match crate::world::orders::check(body) {
            Err(why) if concerns_us => Some(why.into()),
            Err(_) | Ok(_) => None,
        };
        story.content = Some(content.clone());
        true
    }

    /// Its content is no longer what was known: it was mended.
    pub(crate) fn mended(&mut self, id: StoryId) {
        if let Some(story) = self.all.get_mut(&id) {
            story.is_mended = true;
            story.content = None;
            story.poison = None;
        }
    }

    /// Whether what it says is known.
    pub(crate) fn is_known(&self, id: StoryId) -> bool {
        self.all.get(&id).is_some_and(|story| story.content.is_some())
    }

    /// Whether it is known that workers refuse it.
    pub(crate) fn is_poison(&self, id: StoryId) -> bool {
        self.all.get(&id).is_some_and(|story| story.poison.is_some())
    }

    /// Adds a line to its journey.
    pub(crate) fn tell(&mut self, id: StoryId, line: &Rc<Line>) {
        if let Some(story) = self.all.get_mut(&id)
            && story.journey.len() < JOURNEY_MAX
        {
            story.journey.push(line.clone());
        }
    }
}

fn title_by_place(message: &MessageRef) -> Name {
    message.to_string().into()
}
