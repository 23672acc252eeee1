//! With faults off, everything drains: queues are worked off, and groups catch up.

use fanlight_core::Broker;

use super::{Invariant, Moment};

#[derive(Clone)]
pub(super) struct Draining;

/// What is left to do, if anything is: dead letters may stay.
pub(crate) fn left(broker: &Broker) -> Option<String> {
    let overview = broker.overview();
    let queues = overview.queues.iter().filter(|queue| queue.name != "dead");
    for queue in queues {
        if queue.ready + queue.leased + queue.delayed > 0 {
            let (ready, leased, delayed) = (queue.ready, queue.leased, queue.delayed);
            let name = &queue.name;
            return Some(format!("{name}: {ready} ready, {leased} leased, {delayed} delayed"));
        }
    }
    let groups = overview.groups.iter().flat_map(|group| &group.partitions);
    let behind = groups.into_iter().find(|partition| partition.lag > 0);
    behind.map(|partition| format!("partition {} lags by {}", partition.partition, partition.lag))
}

impl Invariant for Draining {
    fn name(&self) -> &'static str {
        "with faults off everything drains"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Drained(broker) => left(broker).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
}
