//! Routing: from a target, through exchanges bound to each other, to queues and topics.

use alloc::format;
use alloc::vec::Vec;

use super::bindings::valid_key;
use super::{Broker, Refused, counted, shown};
use crate::exchange::Leads;
use crate::id::{QueueId, TopicId};
use crate::limits::{EXCHANGE_HOPS_MAX, PARTS_LOOKED_AT_MAX};
use crate::record::{Batch, Headers, RawRecord, Records};
use crate::refusal::Code;
use crate::request::{ExchangeKind, Target, Unroutable};
use crate::set::Set;

/// Where records go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) queues: Set<QueueId>,
    pub(super) topics: Set<TopicId>,
    pub(super) partition: Option<u32>,
}

impl Route {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.topics.is_empty()
    }

    /// Whether some of it leads to the same place.
    fn meets(&self, other: &Route) -> bool {
        self.queues.iter().any(|queue| other.queues.contains(queue))
            || self.topics.iter().any(|topic| other.topics.contains(topic))
    }
}

/// Records of a batch that go the same way, in the batch's order.
pub(super) struct Part<'r> {
    pub(super) route: Route,
    pub(super) records: Records<'r>,
}

/// Where a batch goes.
#[derive(Default)]
pub(super) struct Routed<'r> {
    /// The whole batch, or, through a headers exchange, what goes which way. What comes to one
    /// place by several parts is in the batch's order.
    pub(super) parts: Vec<Part<'r>>,
    /// What goes nowhere, and why.
    pub(super) unroutable: Option<(Records<'r>, Refused)>,
}

impl<'r> Routed<'r> {
    fn whole(route: Route, records: &Records<'r>) -> Routed<'r> {
        let part = Part { route, records: records.clone() };
        Routed { parts: alloc::vec![part], unroutable: None }
    }

    fn nowhere(records: &Records<'r>, why: Refused) -> Routed<'r> {
        Routed { parts: Vec::new(), unroutable: Some((records.clone(), why)) }
    }
}

/// An exchange's bindings ask for headers, and there were none given to look at.
struct ByHeaders;

impl Broker {
    /// Where a batch goes. Refused if some of it goes nowhere, unless its publisher said what is
    /// to become of that.
    pub(super) fn routed<'r>(
        &self,
        to: &Target<'_>,
        unroutable: Unroutable,
        records: &Records<'r>,
    ) -> Result<Routed<'r>, Refused> {
        let routed = self.route(to, records)?;
        match (&routed.unroutable, unroutable) {
            (Some((_, why)), Unroutable::Refuse) => Err(why.clone()),
            (Some(_), Unroutable::Return | Unroutable::Drop) | (None, _) => Ok(routed),
        }
    }

    fn route<'r>(&self, to: &Target<'_>, records: &Records<'r>) -> Result<Routed<'r>, Refused> {
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
                    let why = Code::Unroutable.because(format!(
                        "there is no queue {} for the default exchange to route to",
                        shown(routing_key)
                    ));
                    return Ok(Routed::nowhere(records, why));
                };
                route.queues.insert(*queue);
            }
            Target::Exchange { name, routing_key } => {
                valid_key(self.exchange_named(name)?, routing_key)?;
                if self.exchanges[name.as_ref()].policy.internal {
                    return Err(Code::Internal.because(format!(
                        "exchange {name:?} is internal: publish to an exchange that is bound to it"
                    )));
                }
                if let Err(ByHeaders) = self.walk(name, routing_key, None, &mut route)? {
                    return self.route_each(name, routing_key, records);
                }
                if route.is_empty() {
                    let why = Code::Unroutable.because(format!(
                        "no binding of exchange {name:?} takes the routing key {routing_key:?}; \
                         bind a queue or topic to it"
                    ));
                    return Ok(Routed::nowhere(records, why));
                }
            }
        }
        Ok(Routed::whole(route, records))
    }

    /// Where a dead letter goes; None if there is no such exchange. It passes as many exchanges as
    /// a publish may, and no more.
    pub(super) fn route_dead(
        &self,
        exchange: &str,
        routing_key: &str,
        record: &RawRecord<'_>,
    ) -> Option<Route> {
        let mut route = Route::default();
        if exchange.is_empty() {
            route.queues.extend(self.queue_names.get(routing_key).copied());
        } else if self.exchanges.contains_key(exchange) {
            let headers = Some(record.record().headers);
            // What was reached before there were too many exchanges counts.
            let _too_many = self.walk(exchange, routing_key, headers, &mut route);
        } else {
            return None;
        }
        Some(route)
    }

    /// Follows bindings through exchanges, each exchange once, so that a loop ends. An exchange
    /// none of whose bindings takes the message hands it to its alternate exchange, as in RabbitMQ.
    fn walk(
        &self,
        name: &str,
        routing_key: &str,
        headers: Option<Headers<'_>>,
        route: &mut Route,
    ) -> Result<Result<(), ByHeaders>, Refused> {
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
            let Some(exchange) = self.exchanges.get(name) else {
                if let Some(queue) = self.queue_names.get(routing_key).filter(|_| name.is_empty()) {
                    route.queues.insert(*queue);
                }
                continue;
            };
            if exchange.kind == ExchangeKind::Headers && headers.is_none() {
                return Ok(Err(ByHeaders));
            }
            let mut taken = false;
            exchange.route(routing_key, headers.unwrap_or_default(), |leads| {
                taken = true;
                match leads {
                    Leads::Queue(id) => route.queues.extend([*id]),
                    Leads::Topic(id) => route.topics.extend([*id]),
                    Leads::Exchange(name) => {
                        if seen.insert(name) {
                            next.push(name);
                        }
                    }
                }
            });
            let alternate = exchange.policy.alternate.as_deref().filter(|_| !taken);
            next.extend(alternate.filter(|name| seen.insert(name)));
        }
        Ok(Ok(()))
    }

    /// Routes record by record, because bindings ask for headers.
    fn route_each<'r>(
        &self,
        name: &str,
        routing_key: &str,
        records: &Records<'r>,
    ) -> Result<Routed<'r>, Refused> {
        let mut parts: Vec<(Route, Batch)> = Vec::new();
        let mut nowhere = Batch::new();
        // Records of a batch often have the same headers; what they lead to is found once.
        let mut last: Option<(Headers<'_>, Route)> = None;
        for index in 0..records.count() {
            let headers = records.record(index).expect("index is below count").headers;
            let route = match &last {
                Some((same, route)) if *same == headers => route,
                Some(_) | None => {
                    let mut route = Route::default();
                    let walked = self.walk(name, routing_key, Some(headers), &mut route)?;
                    assert!(walked.is_ok(), "headers were given");
                    &last.insert((headers, route)).1
                }
            };
            let batch = if route.is_empty() { &mut nowhere } else { part_for(&mut parts, route) };
            batch.push_raw(records.raw(index).expect("index is below count").as_bytes());
        }
        if nowhere.is_empty() && parts.len() == 1 {
            let (route, _) = parts.remove(0);
            return Ok(Routed::whole(route, records));
        }
        let count = nowhere.len() as u64;
        let unroutable = nowhere.finish().map(|records| {
            let why = Code::Unroutable.because(format!(
                "no binding of exchange {name:?} takes the headers of {}, or the routing key \
                 {routing_key:?}; bind a queue or topic to it",
                counted(count, "record")
            ));
            (records, why)
        });
        let finish = |(route, batch): (Route, Batch)| Part {
            route,
            records: batch.finish().expect("a part is made with its first record"),
        };
        Ok(Routed { parts: parts.into_iter().map(finish).collect(), unroutable })
    }
}

/// The part that a record with this route comes into: one of the last with the same route, if no
/// part after it leads to one of its places, since there it would come out of order.
fn part_for<'p>(parts: &'p mut Vec<(Route, Batch)>, route: &Route) -> &'p mut Batch {
    let mut found = None;
    for (at, (other, _)) in parts.iter().enumerate().rev().take(PARTS_LOOKED_AT_MAX) {
        if other == route {
            found = Some(at);
            break;
        }
        if other.meets(route) {
            break;
        }
    }
    let at = found.unwrap_or_else(|| {
        parts.push((route.clone(), Batch::new()));
        parts.len() - 1
    });
    &mut parts[at].1
}
