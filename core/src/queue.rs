//! A queue: a log with one crowd of workers. Its log is its own, and settled messages are gone from
//! it or kept; or it is a partition of a topic, which others read, too: then the queue is one part
//! of a work group.

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::id::{ConnId, ConsumerId, Offset, QueueId, TopicId};
use crate::log::Log;
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::policy::{QueueKind, QueuePolicy};
use crate::record::{Record, Records};
use crate::sameness::Memory;
use crate::set::Set;
use crate::time::{Span, Time};
use crate::timer::TimerId;
use crate::topic::Topic;
use crate::via::Ways;
use crate::work::{Arrival, Clock, Work};

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) policy: QueuePolicy<'static>,
    pub(crate) made_at: Time,
    /// When it got its policy.
    pub(crate) altered_at: Time,
    source: Source,
    pub(crate) work: Work,
    pub(crate) ways: Ways,
    /// Whether its policy is another than it was made with.
    pub(crate) altered: bool,
    /// All of its consumers. Volatile.
    pub(crate) all: Set<ConsumerId>,
    /// Consumers with credit left; who gets the next message is in front. Volatile.
    pub(crate) consumers: VecDeque<ConsumerId>,
    /// `Receive`s that wait, the oldest in front. Volatile.
    pub(crate) waiting: VecDeque<u64>,
    /// Runs while it keeps something that it need not keep forever. Volatile.
    pub(crate) keeping: TimerId,
    /// Whether it is among those that may have something to hand out. Volatile.
    pub(crate) woken: bool,
    /// When its timer fires next, which looks after its messages' age and its own. Volatile.
    pub(crate) tended: (Time, TimerId),
    /// When somebody last used it. Volatile.
    pub(crate) used_at: Time,
    /// Whose alone it is, if it is exclusive. Volatile.
    pub(crate) owner: Option<ConnId>,
    /// How many consumers it has. Volatile.
    pub(crate) attached: u32,
    /// Of those, the ones that get nothing as long as another is active; who came first is in
    /// front. Volatile.
    pub(crate) standby: VecDeque<ConsumerId>,
    /// Bytes of its unsettled records; counted only where they have a bound.
    pub(crate) bytes: u64,
    /// The messages that it was given of late, where none is to be stored twice.
    pub(crate) memory: Memory,
    /// Whether messages here can be too old to be delivered.
    pub(crate) may_expire: bool,
    /// Dropped without a dead letter, since this broker started.
    pub(crate) dropped: u64,
    /// Since this broker started.
    pub(crate) acked: u64,
    /// Since this broker started.
    pub(crate) dead_lettered: u64,
}

/// Where the messages lie.
#[derive(Clone, Debug)]
enum Source {
    Own(Log),
    Partition(TopicId, u32),
}

impl Queue {
    pub(crate) fn new(
        id: QueueId,
        name: String,
        made_at: Time,
        policy: QueuePolicy<'static>,
    ) -> Queue {
        let may_expire = policy.ttl.is_some();
        Queue {
            id,
            name,
            policy,
            made_at,
            altered_at: made_at,
            source: Source::Own(Log::default()),
            work: Work::default(),
            ways: Ways::default(),
            altered: false,
            all: Set::default(),
            consumers: VecDeque::new(),
            waiting: VecDeque::new(),
            keeping: TimerId::NONE,
            woken: false,
            tended: (Time::MAX, TimerId::NONE),
            used_at: made_at,
            owner: None,
            attached: 0,
            standby: VecDeque::new(),
            bytes: 0,
            memory: Memory::default(),
            may_expire,
            dropped: 0,
            acked: 0,
            dead_lettered: 0,
        }
    }

    /// A part of a work group: works on a partition from `start` on.
    pub(crate) fn of_partition(
        (id, name): (QueueId, String),
        (made_at, policy): (Time, QueuePolicy<'static>),
        (topic, partition): (TopicId, u32),
        start: Offset,
    ) -> Queue {
        Queue {
            source: Source::Partition(topic, partition),
            work: Work::starting_at(start),
            ..Queue::new(id, name, made_at, policy)
        }
    }

    /// Takes in records that came to lie in its log.
    pub(crate) fn arrive(&mut self, at: Time, records: &Records<'_>, clock: &mut Clock<'_>) {
        if !self.looks_at(records.flags()) {
            return self.arrive_unseen(records.count(), records.record_bytes());
        }
        let policy = &self.policy;
        if policy.bytes_max.is_some() {
            self.bytes += records.record_bytes();
        }
        for record in records.iter() {
            self.may_expire |= record.options.ttl.is_some();
            let arrival = self.arrival(at, &record);
            self.work.arrive(arrival, clock);
        }
    }

    /// How a message comes that is not like most.
    pub(crate) fn arrival<'a>(&self, at: Time, record: &Record<'a>) -> Arrival<'a> {
        let (policy, options) = (&self.policy, record.options);
        let delay = options.delay.unwrap_or(policy.delay);
        Arrival {
            priority: match options.priority {
                Some(priority) if !planted(Planted::PriorityIsIgnored) => {
                    priority.min(policy.priorities)
                }
                Some(_) | None => 0,
            },
            ready_at: match delay > Span::ZERO && !planted(Planted::FirstDelayIsIgnored) {
                true => at + delay,
                false => Time::ZERO,
            },
            expires: options.ttl.map_or(Time::MAX, |ttl| at + ttl),
            group: record.key.filter(|_| policy.kind == QueueKind::Fifo),
            held: false,
        }
    }

    /// Whether records with these flags are looked at one by one as they come.
    pub(crate) fn looks_at(&self, flags: u8) -> bool {
        let policy = &self.policy;
        let is_fifo = policy.kind == QueueKind::Fifo;
        is_fifo || policy.delay > Span::ZERO || Records::flags_have_options(flags)
    }

    /// Takes in records that are all alike, and need not be [looked at](Queue::looks_at).
    pub(crate) fn arrive_unseen(&mut self, count: u32, record_bytes: u64) {
        if self.policy.bytes_max.is_some() {
            self.bytes += record_bytes;
        }
        self.work.append(u64::from(count));
    }

    /// Whether nobody wants anything of it.
    pub(crate) fn is_unused(&self) -> bool {
        self.attached == 0 && self.waiting.is_empty()
    }

    /// Where its messages lie.
    pub(crate) fn log<'b>(&'b self, topics: &'b Map<TopicId, Topic>) -> &'b Log {
        match &self.source {
            Source::Own(log) => log,
            Source::Partition(topic, partition) => topics[topic]
                .partition(*partition)
                .expect("a work group's partition is there as long as the work group"),
        }
    }

    /// Its own log; None if it works on a topic.
    pub(crate) fn own_log(&self) -> Option<&Log> {
        match &self.source {
            Source::Own(log) => Some(log),
            Source::Partition(..) => None,
        }
    }

    pub(crate) fn own_log_mut(&mut self) -> Option<&mut Log> {
        match &mut self.source {
            Source::Own(log) => Some(log),
            Source::Partition(..) => None,
        }
    }

    /// The partition that it works on; None if its log is its own.
    pub(crate) fn partition(&self) -> Option<(TopicId, u32)> {
        match self.source {
            Source::Own(_) => None,
            Source::Partition(topic, partition) => Some((topic, partition)),
        }
    }

    /// The log from which settled messages go away; None if they are kept, or are not its own.
    pub(crate) fn emptying_log_mut(&mut self) -> Option<&mut Log> {
        if self.policy.keep.is_some() { None } else { self.own_log_mut() }
    }

    /// Bytes that it holds itself.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.own_log().map_or(0, Log::bytes)
    }
}
