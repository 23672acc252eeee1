//! The model: queues, a topic, a fanout and a producer's transactions as sorted maps, without
//! timers, batches or slots.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::Code;
use proptest::prelude::*;

pub(crate) const QUEUES: [&str; 2] = ["jobs", "mails"];
pub(crate) const PARTITIONS: u32 = 2;
/// How long a lease lasts, and after how many attempts a message of `jobs` is dead.
pub(crate) const VISIBILITY_MS: u64 = 100;
pub(crate) const DELIVERIES_MAX: u32 = 2;

/// What may happen. Messages are named by their place among those that are held.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Publish {
        queue: usize,
        count: u8,
    },
    FanOut {
        count: u8,
    },
    Append {
        partition: u32,
        count: u8,
    },
    Receive {
        queue: usize,
        max: u8,
    },
    Ack {
        queue: usize,
        nth: usize,
    },
    Nack {
        queue: usize,
        nth: usize,
        delay_ms: u64,
    },
    Reject {
        queue: usize,
        nth: usize,
    },
    Release {
        queue: usize,
        nth: usize,
    },
    Purge {
        queue: usize,
    },
    Poll {
        partition: u32,
        max: u8,
    },
    Commit {
        partition: u32,
    },
    /// The reader's connection breaks, and another joins.
    ReaderCrash,
    /// The worker's connection breaks.
    WorkerCrash,
    /// Power fails, and everything recovers.
    Restart,
    Pass {
        ms: u64,
    },
    /// The producer writes in its transaction, which it begins if none is open.
    Write {
        to: Place,
        count: u8,
    },
    /// The producer sends its newest batch again.
    WriteAgain,
    /// The producer leaves a number out.
    WriteBeyond {
        to: Place,
    },
    /// How far the reader is comes into the transaction.
    CommitInTransaction {
        partition: u32,
    },
    End {
        commit: bool,
    },
    /// Another takes the producer's name: what it has open is aborted.
    TakeOver,
    /// Who had the name before writes on.
    WriteAsZombie {
        to: Place,
    },
    /// Who had the name before ends what it had begun.
    EndAsZombie {
        commit: bool,
    },
}

/// Where a transaction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queue(usize),
    Partition(u32),
    Fanout,
}

fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => (0..QUEUES.len()).prop_map(Place::Queue),
        3 => (0..PARTITIONS).prop_map(Place::Partition),
        1 => Just(Place::Fanout),
    ]
}

pub(crate) fn acts() -> BoxedStrategy<Act> {
    let queue = 0..QUEUES.len();
    let partition = 0..PARTITIONS;
    let partition_again = partition.clone();
    prop_oneof![
        4 => (queue.clone(), 1..4u8).prop_map(|(queue, count)| Act::Publish { queue, count }),
        2 => (1..3u8).prop_map(|count| Act::FanOut { count }),
        3 => (partition.clone(), 1..4u8)
            .prop_map(|(partition, count)| Act::Append { partition, count }),
        6 => (queue.clone(), 1..5u8).prop_map(|(queue, max)| Act::Receive { queue, max }),
        4 => (queue.clone(), 0..4usize).prop_map(|(queue, nth)| Act::Ack { queue, nth }),
        3 => (queue.clone(), 0..4usize, prop_oneof![Just(0u64), Just(70)])
            .prop_map(|(queue, nth, delay_ms)| Act::Nack { queue, nth, delay_ms }),
        1 => (queue.clone(), 0..4usize).prop_map(|(queue, nth)| Act::Reject { queue, nth }),
        1 => (queue.clone(), 0..4usize).prop_map(|(queue, nth)| Act::Release { queue, nth }),
        1 => queue.prop_map(|queue| Act::Purge { queue }),
        4 => (partition.clone(), 1..4u8)
            .prop_map(|(partition, max)| Act::Poll { partition, max }),
        3 => partition.prop_map(|partition| Act::Commit { partition }),
        1 => Just(Act::ReaderCrash),
        1 => Just(Act::WorkerCrash),
        1 => Just(Act::Restart),
        3 => (1..150u64).prop_map(|ms| Act::Pass { ms }),
        5 => (places(), 1..4u8).prop_map(|(to, count)| Act::Write { to, count }),
        1 => Just(Act::WriteAgain),
        1 => places().prop_map(|to| Act::WriteBeyond { to }),
        2 => partition_again.prop_map(|partition| Act::CommitInTransaction { partition }),
        3 => any::<bool>().prop_map(|commit| Act::End { commit }),
        1 => Just(Act::TakeOver),
        1 => places().prop_map(|to| Act::WriteAsZombie { to }),
        1 => any::<bool>().prop_map(|commit| Act::EndAsZombie { commit }),
    ]
    .boxed()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Leased {
        until: u64,
    },
    Delayed {
        until: u64,
    },
    /// Its transaction is open.
    Held,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) body: String,
    pub(crate) state: State,
    pub(crate) failed: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) messages: BTreeMap<u64, Message>,
    pub(crate) end: u64,
}

impl Queue {
    fn push(&mut self, body: String, state: State) -> u64 {
        self.messages.insert(self.end, Message { body, state, failed: 0 });
        self.end += 1;
        self.end - 1
    }

    fn leased(&self) -> impl Iterator<Item = u64> + '_ {
        let leased = |message: &Message| matches!(message.state, State::Leased { .. });
        self.messages.iter().filter(move |(_, m)| leased(m)).map(|(offset, _)| *offset)
    }
}

/// What an act is answered with, in the terms of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    Nothing,
    /// Offset, attempt and body of each.
    Messages(Vec<(u64, u32, String)>),
    /// Offset and body of each.
    Records(Vec<(u64, String)>),
    Count(u64),
    /// It was stored, or had been: where, as a queue's or a partition's number and an offset.
    Stored {
        duplicate: bool,
        places: Vec<(bool, usize, u64)>,
    },
    /// It was refused.
    Refused(Code),
}

/// A record of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) body: String,
    pub(crate) written: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Committed,
    Open,
    Aborted,
}

/// A transaction that is open.
#[derive(Clone, Debug, Default)]
struct Transaction {
    messages: Vec<(usize, u64)>,
    records: Vec<(usize, u64)>,
    /// By partition: when it was asked for, and the offset.
    commits: BTreeMap<usize, (u64, u64)>,
}

/// The numbers that a producer counts: for each partition that it names, and for everything else.
#[derive(Clone, Debug, Default)]
struct Producer {
    /// Where its newest batch came to lie.
    last: Option<Answer>,
    lives: u32,
    open: Option<Transaction>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) now: u64,
    bodies: u64,
    producer: Producer,
    /// When each committed offset was asked for.
    committed_at: [u64; 2],
    pub(crate) queues: [Queue; 2],
    pub(crate) dead: Vec<String>,
    pub(crate) log: [Vec<Record>; 2],
    pub(crate) committed: [Option<u64>; 2],
    pub(crate) position: [u64; 2],
    pub(crate) answer: Answer,
}

impl Reference {
    pub(crate) fn apply(&mut self, act: &Act) {
        self.answer = Answer::Nothing;
        match *act {
            Act::Publish { queue, count } => {
                for body in self.bodies(count) {
                    self.queues[queue].push(body, State::Ready);
                }
            }
            Act::FanOut { count } => {
                for body in self.bodies(count) {
                    for queue in &mut self.queues {
                        queue.push(body.clone(), State::Ready);
                    }
                }
            }
            Act::Append { partition, count } => {
                let bodies = self.bodies(count);
                let written = Written::Committed;
                let records = bodies.into_iter().map(|body| Record { body, written });
                self.log[partition as usize].extend(records);
            }
            Act::Receive { queue, max } => self.receive(queue, max),
            Act::Ack { queue, nth } => {
                if let Some(offset) = self.nth_leased(queue, nth) {
                    self.queues[queue].messages.remove(&offset);
                    self.answer = Answer::Count(1);
                }
            }
            Act::Nack { queue, nth, delay_ms } => {
                if let Some(offset) = self.nth_leased(queue, nth) {
                    self.failed(queue, offset, delay_ms);
                    self.answer = Answer::Count(1);
                }
            }
            Act::Reject { queue, nth } => {
                if let Some(offset) = self.nth_leased(queue, nth) {
                    self.die(queue, offset, queue == 0);
                    self.answer = Answer::Count(1);
                }
            }
            Act::Release { queue, nth } => {
                if let Some(offset) = self.nth_leased(queue, nth) {
                    self.message(queue, offset).state = State::Ready;
                    self.answer = Answer::Count(1);
                }
            }
            Act::Purge { queue } => {
                let messages = &mut self.queues[queue].messages;
                let before = messages.len();
                messages.retain(|_, message| message.state != State::Ready);
                self.answer = Answer::Count((before - messages.len()) as u64);
            }
            Act::Poll { partition, max } => self.poll(partition as usize, max),
            Act::Commit { partition } => {
                let partition = partition as usize;
                self.committed[partition] = Some(self.position[partition]);
                self.committed_at[partition] = self.now;
            }
            Act::ReaderCrash => self.reader_is_another(),
            Act::WorkerCrash => {
                for queue in 0..QUEUES.len() {
                    let leased: Vec<_> = self.queues[queue].leased().collect();
                    leased.into_iter().for_each(|offset| self.failed(queue, offset, 0));
                }
            }
            Act::Restart => {
                // What was leased is ready again, and no attempt is counted.
                let messages = self.queues.iter_mut().flat_map(|queue| queue.messages.values_mut());
                for message in messages {
                    if matches!(message.state, State::Leased { .. }) {
                        message.state = State::Ready;
                    }
                }
                self.reader_is_another();
            }
            Act::Pass { ms } => self.pass(ms),
            Act::Write { to, count } => self.write(to, count),
            Act::WriteAgain => {
                let mut last = self.producer.last.clone().expect("there is one to send again");
                if let Answer::Stored { duplicate, .. } = &mut last {
                    *duplicate = true;
                }
                self.answer = last;
            }
            Act::WriteBeyond { .. } => self.answer = Answer::Refused(Code::OutOfOrderSequence),
            Act::CommitInTransaction { partition } => {
                let (partition, now) = (partition as usize, self.now);
                let position = self.position[partition];
                let open = self.producer.open.get_or_insert_default();
                open.commits.insert(partition, (now, position));
            }
            Act::End { commit } => self.end(commit),
            Act::TakeOver => {
                self.end(false);
                self.producer.last = None;
                self.producer.lives += 1;
            }
            Act::WriteAsZombie { .. } | Act::EndAsZombie { .. } => {
                self.answer = Answer::Refused(Code::ProducerFenced);
            }
        }
    }

    /// Whether an act makes sense now.
    pub(crate) fn allows(&self, act: &Act) -> bool {
        match act {
            // What a transaction committed may be beyond a reader that began before it did.
            Act::Commit { partition } | Act::CommitInTransaction { partition } => {
                let partition = *partition as usize;
                self.committed[partition].is_none_or(|at| at <= self.position[partition])
            }
            Act::WriteAgain => self.producer.last.is_some(),
            Act::End { .. } => self.producer.open.is_some(),
            Act::WriteAsZombie { .. } | Act::EndAsZombie { .. } => self.producer.lives > 0,
            Act::Publish { .. }
            | Act::FanOut { .. }
            | Act::Append { .. }
            | Act::Receive { .. }
            | Act::Ack { .. }
            | Act::Nack { .. }
            | Act::Reject { .. }
            | Act::Release { .. }
            | Act::Purge { .. }
            | Act::Poll { .. }
            | Act::ReaderCrash
            | Act::WorkerCrash
            | Act::Restart
            | Act::Pass { .. }
            | Act::Write { .. }
            | Act::WriteBeyond { .. }
            | Act::TakeOver => true,
        }
    }

    fn write(&mut self, to: Place, count: u8) {
        let bodies = self.bodies(count);
        let mut places = Vec::new();
        let queues: &[usize] = match &to {
            Place::Queue(queue) => std::slice::from_ref(queue),
            Place::Partition(_) => &[],
            Place::Fanout => &[0, 1],
        };
        let open = self.producer.open.get_or_insert_default();
        for queue in queues {
            places.push((true, *queue, self.queues[*queue].end));
            for body in &bodies {
                let offset = self.queues[*queue].push(body.clone(), State::Held);
                open.messages.push((*queue, offset));
            }
        }
        if let Place::Partition(partition) = to {
            let partition = partition as usize;
            let log = &mut self.log[partition];
            places.push((false, partition, log.len() as u64));
            for body in bodies {
                open.records.push((partition, log.len() as u64));
                log.push(Record { body, written: Written::Open });
            }
        }
        self.answer = Answer::Stored { duplicate: false, places };
        self.producer.last = Some(self.answer.clone());
    }

    fn end(&mut self, commit: bool) {
        let Some(open) = self.producer.open.take() else { return };
        for (queue, offset) in open.messages {
            if commit {
                self.message(queue, offset).state = State::Ready;
            } else {
                self.queues[queue].messages.remove(&offset);
            }
        }
        let written = if commit { Written::Committed } else { Written::Aborted };
        for (partition, offset) in open.records {
            self.log[partition][offset as usize].written = written;
        }
        for (partition, (at, offset)) in open.commits.into_iter().filter(|_| commit) {
            // What was committed later stays.
            let before = self.committed[partition].map(|b| (self.committed_at[partition], b));
            if before.is_none_or(|before| before <= (at, offset)) {
                self.committed[partition] = Some(offset);
                self.committed_at[partition] = at;
            }
        }
    }

    /// Up to where every transaction of a partition has ended.
    pub(crate) fn stable_end(&self, partition: usize) -> u64 {
        let log = &self.log[partition];
        let open = log.iter().position(|record| record.written == Written::Open);
        open.unwrap_or(log.len()) as u64
    }

    /// What who reads only what is committed sees.
    pub(crate) fn visible(&self, partition: usize) -> Vec<(u64, String)> {
        let stable =
            self.log[partition].iter().zip(0u64..).take(self.stable_end(partition) as usize);
        let visible = stable.filter(|(record, _)| record.written == Written::Committed);
        visible.map(|(record, at)| (at, record.body.clone())).collect()
    }

    fn bodies(&mut self, count: u8) -> Vec<String> {
        let from = self.bodies;
        self.bodies += u64::from(count);
        (from..self.bodies).map(|number| format!("m{number}")).collect()
    }

    fn message(&mut self, queue: usize, offset: u64) -> &mut Message {
        self.queues[queue].messages.get_mut(&offset).expect("it is held")
    }

    /// Which message an act means, if any is held.
    pub(crate) fn nth_leased(&self, queue: usize, nth: usize) -> Option<u64> {
        self.queues[queue].leased().nth(nth)
    }

    fn receive(&mut self, queue: usize, max: u8) {
        let until = self.now + VISIBILITY_MS;
        let ready = self.queues[queue].messages.iter_mut();
        let ready = ready.filter(|(_, message)| message.state == State::Ready);
        let received = ready.take(usize::from(max)).map(|(offset, message)| {
            message.state = State::Leased { until };
            (*offset, message.failed + 1, message.body.clone())
        });
        self.answer = Answer::Messages(received.collect());
    }

    /// An attempt ended without an acknowledgement.
    fn failed(&mut self, queue: usize, offset: u64, delay_ms: u64) {
        let until = self.now + delay_ms;
        let message = self.message(queue, offset);
        message.failed += 1;
        if queue == 0 && message.failed >= DELIVERIES_MAX {
            return self.die(queue, offset, true);
        }
        message.state = if delay_ms > 0 { State::Delayed { until } } else { State::Ready };
    }

    fn die(&mut self, queue: usize, offset: u64, has_dead_letter_queue: bool) {
        let message = self.queues[queue].messages.remove(&offset).expect("it is held");
        if has_dead_letter_queue {
            self.dead.push(message.body);
        }
    }

    fn poll(&mut self, partition: usize, max: u8) {
        let from = self.position[partition];
        let records = self.log[partition].iter().zip(0u64..).skip(from as usize);
        let records: Vec<_> =
            records.take(usize::from(max)).map(|(record, at)| (at, record.body.clone())).collect();
        self.position[partition] += records.len() as u64;
        self.answer = Answer::Records(records);
    }

    fn reader_is_another(&mut self) {
        self.position = self.committed.map(Option::unwrap_or_default);
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let mut due = BTreeSet::new();
        for (queue, held) in self.queues.iter().enumerate() {
            for (offset, message) in &held.messages {
                match message.state {
                    State::Leased { until } | State::Delayed { until } if until <= self.now => {
                        due.insert((until, queue, *offset));
                    }
                    State::Leased { .. } | State::Delayed { .. } | State::Ready | State::Held => {}
                }
            }
        }
        for (_, queue, offset) in due {
            match self.message(queue, offset).state {
                State::Leased { .. } => self.failed(queue, offset, 0),
                State::Delayed { .. } | State::Ready | State::Held => {
                    self.message(queue, offset).state = State::Ready;
                }
            }
        }
    }
}
