//! With faults off, everything drains: queues are worked off, and groups catch up.

use fanlight_core::{Broker, GroupPartitionView};

use super::{Books, Invariant, Moment};
use crate::simulation::COPYING;

#[derive(Clone)]
pub(super) struct Draining;

/// What is left to do, if anything is: dead letters may stay.
pub(crate) fn left(broker: &Broker) -> Option<String> {
    let overview = broker.overview();
    let parts = overview.work_groups.iter().flat_map(|group| &group.parts);
    let queues = overview.queues.iter().chain(parts).filter(|queue| queue.name != "dead");
    for queue in queues {
        if queue.ready + queue.leased + queue.delayed + queue.blocked > 0 {
            let (ready, leased, delayed) = (queue.ready, queue.leased, queue.delayed);
            let name = &queue.name;
            return Some(format!("{name}: {ready} ready, {leased} leased, {delayed} delayed"));
        }
    }
    let groups = overview.groups.iter().flat_map(|group| {
        group.partitions.iter().map(|partition| (group.name.as_str(), partition))
    });
    // Who reads only what is committed passes over what was aborted last, and has nothing to commit.
    let past = |name, at: &GroupPartitionView| name == COPYING && at.position == Some(at.end);
    let mut behind = groups.filter(|(name, at)| at.lag > 0 && !past(*name, at));
    let behind = behind.next().map(|(_, partition)| partition);
    behind.map(|at| format!("{}/{} lags by {}: {at:?}", at.topic, at.partition, at.lag))
}

impl Invariant for Draining {
    fn name(&self) -> &'static str {
        "with faults off everything drains"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Drained(broker) => left(broker).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
}
