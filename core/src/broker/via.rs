//! By which exchange and routing key messages came to their queues.

use alloc::format;

use super::Broker;
use super::check::{Checked, hold};
use super::evolve::{Evolved, broken};
use crate::effect::Sink;
use crate::fact::{Fact, Via};
use crate::id::{Append, Offset, Place, QueueId};
use crate::queue::Queue;
use crate::request::Target;

/// An exchange and a routing key.
pub(super) type Way<'a> = (&'a str, &'a str);

/// By what a publish comes; None: straight to its queue or topic. The default exchange is straight,
/// since the routing key is the queue's name.
pub(super) fn way<'a>(to: &'a Target<'_>) -> Option<Way<'a>> {
    match to {
        Target::Exchange { name, routing_key } if !name.is_empty() => Some((name, routing_key)),
        Target::Exchange { .. } | Target::Queue { .. } | Target::Topic { .. } => None,
    }
}

impl Broker {
    /// Messages are about to come to these places by this. It is a fact where it changes.
    pub(super) fn come_via<'p>(
        &mut self,
        places: impl IntoIterator<Item = &'p Append>,
        way: Option<Way<'_>>,
        out: &mut dyn Sink,
    ) {
        for Append { place, .. } in places {
            match place {
                Place::Queue(id) => self.comes_via(*id, way, out),
                Place::Partition(topic, partition) => {
                    for part in self.parts_on(*topic, *partition) {
                        self.comes_via(part, way, out);
                    }
                }
            }
        }
    }

    fn comes_via(&mut self, id: QueueId, way: Option<Way<'_>>, out: &mut dyn Sink) {
        let queue = &self.queues[&id];
        let newest = queue.ways.newest().map(|via| (&*via.exchange, &*via.routing_key));
        if newest == way {
            return;
        }
        let from = queue.work.end();
        let via = way.map(|(exchange, routing_key)| Via {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
        });
        self.record(Fact::CameVia { queue: id, from, via }, out);
    }

    pub(super) fn came_via(&mut self, id: QueueId, from: Offset, via: Option<Via<'_>>) -> Evolved {
        let start =
            self.oldest(self.queues.get(&id).ok_or_else(|| broken(&format!("queue {id}")))?);
        let queue = self.queue(id)?;
        queue.ways.change(from, via.map(Via::into_owned), start);
        Ok(())
    }

    pub(super) fn put_ways(&self, put: &mut impl FnMut(Fact<'_>)) {
        for queue in self.queues.values() {
            for (from, via) in queue.ways.runs(self.oldest(queue)) {
                put(Fact::CameVia { queue: queue.id, from, via: via.cloned() });
            }
        }
    }

    /// The oldest message of which it matters how it came: one that is not settled, or the next to
    /// come. A topic's records can be brought back to its workers as long as they are there.
    fn oldest(&self, queue: &Queue) -> Offset {
        match queue.partition() {
            Some(_) => queue.log(&self.topics).start(),
            None => queue.work.offsets(Offset(0)).next().unwrap_or(queue.work.end()),
        }
    }

    pub(super) fn check_ways(&self) -> Checked {
        for queue in self.queues.values() {
            let fault = queue.ways.fault();
            hold(fault.is_none(), || format!("queue {}: {fault:?}", queue.name))?;
        }
        Ok(())
    }
}
