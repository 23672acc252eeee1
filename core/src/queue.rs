//! A queue: a log with one crowd of workers, whose settled messages are gone.

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::id::{ConsumerId, Offset, QueueId};
use crate::log::Log;
use crate::policy::QueuePolicy;
use crate::time::Time;
use crate::timer::TimerId;
use crate::work::Work;

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) policy: QueuePolicy<'static>,
    pub(crate) made_at: Time,
    pub(crate) log: Log,
    pub(crate) work: Work,
    /// Whether its policy is another than it was made with.
    pub(crate) altered: bool,
    /// Consumers with credit left; who gets the next message is in front. Volatile.
    pub(crate) consumers: VecDeque<ConsumerId>,
    /// `Receive`s that wait, the oldest in front. Volatile.
    pub(crate) waiting: VecDeque<u64>,
    /// Since this broker started.
    pub(crate) acked: u64,
    /// Since this broker started.
    pub(crate) dead_lettered: u64,
}

impl Queue {
    pub(crate) fn new(
        id: QueueId,
        name: String,
        made_at: Time,
        policy: QueuePolicy<'static>,
    ) -> Queue {
        Queue {
            id,
            name,
            policy,
            made_at,
            log: Log::default(),
            work: Work::default(),
            altered: false,
            consumers: VecDeque::new(),
            waiting: VecDeque::new(),
            acked: 0,
            dead_lettered: 0,
        }
    }

    /// Messages that are not settled.
    pub(crate) fn unsettled(&self) -> u64 {
        self.work.unsettled(self.log.end())
    }

    pub(crate) fn next_ready(&self) -> Option<Offset> {
        self.work.next_ready(self.log.end())
    }

    /// Settles a message: its record is gone. Returns the timer that it had.
    pub(crate) fn settle(&mut self, offset: Offset) -> TimerId {
        self.log.release(offset);
        self.work.settle(offset)
    }

    /// Lets the queue go on from `next`: what is between its end and there is settled.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        let end = self.log.end();
        self.log.skip_to(next);
        if self.work.fresh() == end {
            self.work.skip_to(next);
        } else {
            for gone in end.0..next.0 {
                self.work.settle(Offset(gone));
            }
        }
    }
}
