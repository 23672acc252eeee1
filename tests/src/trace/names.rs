//! What numbers are called: from the facts that gave the names.

use std::collections::BTreeMap;

use fanlight_core::{
    Append, Delivery, Effect, Epoch, Event, Fact, GroupId, LeaseId, Offset, Place, QueueId, TopicId,
};

/// The names of queues, topics and groups, also of those that are gone.
#[derive(Default)]
pub(super) struct Names {
    queues: BTreeMap<QueueId, String>,
    topics: BTreeMap<TopicId, String>,
    groups: BTreeMap<GroupId, String>,
    /// Every lease that was handed out, the newest last.
    leases: Vec<LeaseId>,
}

impl Names {
    /// Takes note of an effect, before it is shown.
    pub(super) fn hear(&mut self, effect: &Effect<'_>) {
        if let Effect::Fact(fact) = effect {
            if let Fact::QueueDeclared { id, name, .. } | Fact::QueueMade { id, name, .. } = fact {
                self.queues.insert(*id, name.clone().into_owned());
            } else if let Fact::WorkGroupMade { name, parts, .. } = fact {
                let named =
                    |(id, part): (&(QueueId, Offset), u32)| (id.0, format!("{name}/{part}"));
                self.queues.extend(parts.iter().zip(0..).map(named));
            } else if let Fact::TopicCreated { id, name, .. } | Fact::TopicMade { id, name, .. } =
                fact
            {
                self.topics.insert(*id, name.clone().into_owned());
            } else if let Fact::GroupCreated { id, name } = fact {
                self.groups.insert(*id, name.clone().into_owned());
            }
        }
        if let Effect::Tell(
            _,
            Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
        ) = effect
        {
            self.leases.extend(deliveries.iter().map(|delivery: &Delivery<'_>| delivery.lease));
        }
    }

    pub(super) fn queue(&self, id: QueueId) -> String {
        self.queues.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(super) fn topic(&self, id: TopicId) -> String {
        self.topics.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(super) fn group(&self, id: GroupId) -> String {
        self.groups.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(super) fn place(&self, place: Place) -> String {
        match place {
            Place::Queue(id) => self.queue(id),
            Place::Partition(id, partition) => format!("{}/{partition}", self.topic(id)),
        }
    }

    pub(super) fn appends(&self, appends: &[Append]) -> String {
        let one = |append: &Append| format!("{}@{}", self.place(append.place), append.base);
        appends.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn shown_lease(&self, lease: &LeaseId) -> String {
        let shown = format!("{}@{}#{}", self.queue(lease.queue), lease.offset, lease.delivery);
        if lease.epoch == Epoch(1) { shown } else { format!("{shown}~{}", lease.epoch) }
    }

    /// The newest lease that was handed out and is written so: see the module's documentation.
    pub(super) fn lease(&self, text: &str) -> Result<LeaseId, String> {
        let bad = || format!("{text:?} was never handed out");
        let (queue, rest) = text.split_once('@').ok_or_else(bad)?;
        let (offset, delivery) = match rest.split_once('#') {
            Some((offset, delivery)) => (offset, Some(delivery)),
            None => (rest, None),
        };
        let offset = Offset(offset.parse().map_err(|_| bad())?);
        let fits = |lease: &&LeaseId| {
            self.queue(lease.queue) == queue
                && lease.offset == offset
                && delivery.is_none_or(|_| self.shown_lease(lease) == text)
        };
        self.leases.iter().rev().find(fits).copied().ok_or_else(bad)
    }
}
