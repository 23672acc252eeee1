//! Routing: from a target, through exchanges bound to each other, to queues and topics.

use alloc::format;
use alloc::vec::Vec;

use super::declare::valid_key;
use super::{Broker, Refused, shown};
use crate::exchange::Leads;
use crate::id::{QueueId, TopicId};
use crate::limits::EXCHANGE_HOPS_MAX;
use crate::refusal::Code;
use crate::request::Target;
use crate::set::Set;

/// Where a batch goes.
#[derive(Default)]
pub(super) struct Route {
    pub(super) queues: Set<QueueId>,
    pub(super) topics: Set<TopicId>,
    pub(super) partition: Option<u32>,
}

impl Broker {
    pub(super) fn route(&self, to: &Target<'_>) -> Result<Route, Refused> {
        let mut route = Route::default();
        match to {
            Target::Queue { name } => {
                route.queues.insert(self.queue_named(name)?);
            }
            Target::Topic { name, partition } => {
                route.topics.insert(self.topic_named(name)?);
                if let Some(partition) = partition {
                    self.partition_named(name, *partition)?;
                }
                route.partition = *partition;
            }
            Target::Exchange { name, routing_key } if name.is_empty() => {
                let Some(queue) = self.queue_names.get(routing_key.as_ref()) else {
                    return Err(Code::Unroutable.because(format!(
                        "there is no queue {} for the default exchange to route to",
                        shown(routing_key)
                    )));
                };
                route.queues.insert(*queue);
            }
            Target::Exchange { name, routing_key } => {
                valid_key(self.exchange_named(name)?, routing_key)?;
                self.walk(name, routing_key, &mut route)?;
                if route.queues.is_empty() && route.topics.is_empty() {
                    return Err(Code::Unroutable.because(format!(
                        "no binding of exchange {name:?} takes the routing key {routing_key:?}; \
                         bind a queue or topic to it"
                    )));
                }
            }
        }
        Ok(route)
    }

    /// Follows bindings through exchanges, each exchange once.
    fn walk(&self, name: &str, routing_key: &str, route: &mut Route) -> Result<(), Refused> {
        let mut seen: Set<&str> = Set::default();
        let mut next: Vec<&str> = Vec::new();
        let (first, _) = self.exchanges.get_key_value(name).expect("the exchange was found");
        seen.insert(first);
        next.push(first);
        while let Some(name) = next.pop() {
            if seen.len() > EXCHANGE_HOPS_MAX {
                return Err(Code::TooMany.because(format!(
                    "the message would pass more than {EXCHANGE_HOPS_MAX} exchanges"
                )));
            }
            self.exchanges[name].route(routing_key, |leads| match leads {
                Leads::Queue(id) => route.queues.extend([*id]),
                Leads::Topic(id) => route.topics.extend([*id]),
                Leads::Exchange(name) => {
                    if seen.insert(name) {
                        next.push(name);
                    }
                }
            });
        }
        Ok(())
    }
}
