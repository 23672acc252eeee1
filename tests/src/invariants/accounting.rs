//! Every message is accounted for: what is ready, leased and delayed in a queue is what came and
//! has not gone.

use fanlight_core::{Broker, Place};

use super::ledger::Ledger;
use super::{Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Accounting {
    ledger: Ledger,
}

impl Accounting {
    fn look(&self, broker: &Broker) -> Result<(), String> {
        let overview = broker.overview();
        for queue in &overview.queues {
            let place = Place::Queue(queue.id);
            let held = queue.ready + queue.leased + queue.delayed + queue.held;
            let (count, end) = (self.ledger.count(place), self.ledger.end(place));
            if held != count || queue.end.0 != end {
                return Err(format!(
                    "queue {} holds {held} and ends at {}; by its facts it is {count} and {end}",
                    queue.name, queue.end
                ));
            }
        }
        for topic in &overview.topics {
            for (partition, number) in topic.partitions.iter().zip(0..) {
                let end = self.ledger.end(Place::Partition(topic.id, number));
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
}

impl Invariant for Accounting {
    fn name(&self) -> &'static str {
        "ready, leased and delayed are what came and has not gone"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.ledger.learn(fact),
            Moment::Recovered { history, broker, .. } => {
                self.ledger = Ledger::of(history)?;
                self.look(broker)
            }
            Moment::Looked(broker) | Moment::Drained(broker) => self.look(broker),
            _ => Ok(()),
        }
    }
}
