//! Every message is accounted for: what is ready, leased, delayed, blocked and held in a queue, or in
//! a part of a work group, is what came and has not gone.

use fanlight_core::{Broker, Place};

use super::{Books, Invariant, Moment};

#[derive(Clone)]
pub(super) struct Accounting;

fn look(broker: &Broker, books: &Books) -> Result<(), String> {
    let overview = broker.overview();
    let ledger = &books.ledger;
    let parts = overview.work_groups.iter().flat_map(|group| &group.parts);
    for queue in overview.queues.iter().chain(parts) {
        let held = queue.ready + queue.leased + queue.delayed + queue.blocked + queue.held;
        let (count, end) = (ledger.count(queue.id), ledger.queue_end(queue.id));
        if held != count || queue.end.0 != end {
            return Err(format!(
                "queue {} holds {held} and ends at {}; by its facts it is {count} and {end}",
                queue.name, queue.end
            ));
        }
    }
    for topic in &overview.topics {
        for (partition, number) in topic.partitions.iter().zip(0..) {
            let end = ledger.end(Place::Partition(topic.id, number));
            if partition.end.0 != end {
                return Err(format!(
                    "{}/{number} ends at {}, not {end}",
                    topic.name, partition.end
                ));
            }
        }
    }
    Ok(())
}

impl Invariant for Accounting {
    fn name(&self) -> &'static str {
        "ready, leased and delayed are what came and has not gone"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Looked(broker) | Moment::Drained(broker) | Moment::Recovered { broker, .. } => {
                look(broker, books)
            }
            _ => Ok(()),
        }
    }
}
