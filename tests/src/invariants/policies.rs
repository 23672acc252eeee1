//! How queues, work groups and topics treat what they hold, by the facts alone.

use std::collections::BTreeMap;

use fanlight_core::{Fact, QueueId, QueuePolicy, Span, Time, TopicId, TopicPolicy};

use super::ledger::Message;

/// The policies of everything there is.
#[derive(Clone, Default)]
pub(super) struct Policies {
    queues: BTreeMap<QueueId, QueuePolicy<'static>>,
    topics: BTreeMap<TopicId, TopicPolicy>,
    names: BTreeMap<String, TopicId>,
}

impl Policies {
    pub(super) fn learn(&mut self, fact: &Fact<'_>) {
        if let Fact::QueueMade { id, settings, .. } | Fact::QueueAltered { id, settings, .. } = fact
        {
            self.queues.insert(*id, QueuePolicy::of(settings).into_owned());
        } else if let Fact::WorkGroupMade { settings, parts, .. } = fact {
            let policy = QueuePolicy::of(settings).into_owned();
            self.queues.extend(parts.iter().map(|(id, _)| (*id, policy.clone())));
        } else if let Fact::TopicMade { id, name, settings, .. } = fact {
            self.topics.insert(*id, TopicPolicy::of(settings));
            self.names.insert(name.clone().into_owned(), *id);
        } else if let Fact::TopicCreated { id, name, .. } = fact {
            self.topics.insert(*id, TopicPolicy::default());
            self.names.insert(name.clone().into_owned(), *id);
        } else if let Fact::TopicAltered { id, settings, .. } = fact {
            self.topics.insert(*id, TopicPolicy::of(settings));
        }
    }

    /// Of a queue, or of a part of a work group.
    pub(super) fn queue(&self, id: QueueId) -> &QueuePolicy<'static> {
        &self.queues[&id]
    }

    /// Whether what dies in this queue goes anywhere.
    pub(super) fn keeps_the_dead(&self, id: QueueId) -> bool {
        let QueuePolicy { dead_letter, dead_letter_exchange, .. } = self.queue(id);
        dead_letter.is_some() || dead_letter_exchange.is_some()
    }

    pub(super) fn topic(&self, id: TopicId) -> &TopicPolicy {
        &self.topics[&id]
    }

    /// The topic of this name.
    pub(super) fn topic_named(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// When a message is ready in this queue for the first time.
    pub(super) fn ready_at(&self, queue: QueueId, message: &Message) -> Time {
        message.at + message.delay.unwrap_or(self.queue(queue).delay)
    }

    /// After when a message is too old for this queue.
    pub(super) fn expires_at(&self, queue: QueueId, message: &Message) -> Time {
        let ttl = [message.ttl, self.queue(queue).ttl].into_iter().flatten().min();
        ttl.map_or(Time::MAX, |ttl: Span| message.at + ttl)
    }
}
