//! Batches that lie with the driver: how they go there, and how a snapshot finds them again.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::evolve::Evolved;
use super::{Broker, Violation};
use crate::fact;
use crate::home::{Home, Homes};
use crate::id::{Offset, Place};
use crate::log::{Away, Log};
use crate::queue::Queue;
use crate::record::Records;
use crate::sort::sort_by_key;
use crate::time::Time;

impl Broker {
    /// Lets batches go to homes until the broker holds only `bytes` of them: from the longest logs
    /// first, and of each the oldest. Returns how many bytes it still holds.
    ///
    /// Nobody is told: a broker decides the same wherever its batches lie. A batch that lies in
    /// several logs is handed over and counts once for each of them; its bytes are the same memory
    /// then, by which a driver can tell that it need keep them only once.
    pub fn put_away(
        &mut self,
        bytes: u64,
        home: &mut dyn FnMut(&Records<'_>) -> Arc<dyn Home>,
    ) -> u64 {
        let mut logs: Vec<_> = self.logs_mut().filter(|log| log.bytes_here() > 0).collect();
        let mut held: u64 = logs.iter().map(|log| log.bytes_here()).sum();
        sort_by_key(&mut logs, |log| core::cmp::Reverse(log.bytes_here()));
        for log in logs {
            if held <= bytes {
                break;
            }
            let before = log.bytes_here();
            log.put_away(held - bytes, &mut *home);
            held -= before - log.bytes_here();
        }
        held
    }

    fn logs_mut(&mut self) -> impl Iterator<Item = &mut Log> {
        let topics = self.topics.values_mut().flat_map(|topic| topic.partitions.iter_mut());
        topics.chain(self.queues.values_mut().filter_map(Queue::own_log_mut))
    }

    /// Only in snapshots: a batch that lies elsewhere. It is looked at only if it has to be.
    pub(super) fn batch_away(
        &mut self,
        place: Place,
        (base, count, at): (Offset, u32, Time),
        kept: &[(u32, u32)],
        away: &fact::Away,
        homes: &impl Homes,
    ) -> Evolved {
        let what = |why: &str| Violation(format!("a batch at offset {base} of {place}: {why}"));
        let fact::Away { reference, bytes, records: count_of, flags, newest } = *away;
        if count_of == 0 || u64::from(bytes) < 4 + 4 * u64::from(count_of) {
            return Err(what("it has no records, or more than fit into it"));
        }
        if matches!(place, Place::Queue(_)) && !kept.is_empty() {
            return Err(what("nothing is ever cut out of a queue's batches"));
        }
        let home = homes.find(reference, bytes);
        let home = home.ok_or_else(|| what(&format!("{reference} is the home of no batch")))?;
        let away = Away { home, bytes, count: count_of, flags, newest };
        if kept.is_empty() && self.log(place)?.end() != base {
            return Err(what("it does not follow what is there"));
        }
        self.saw(at);
        let log = self.log(place)?;
        log.append_away((base, count, at), kept.to_vec(), away.clone()).map_err(what)?;
        self.stored_bytes += u64::from(bytes);
        match place {
            Place::Queue(id) => {
                let queue = &self.queues[&id];
                if queue.looks_at(flags) {
                    self.arrived(id, at, &away.fetch());
                } else {
                    let record_bytes = Records::record_bytes_of(u64::from(bytes), count_of);
                    self.queue_mut(id).arrive_unseen(count, record_bytes);
                    self.wake(id);
                }
                self.tend_kept(id);
            }
            Place::Partition(topic, partition) => {
                self.feed_workers(topic, partition);
                self.keep_up(topic, partition);
            }
        }
        Ok(())
    }
}
