//! A snapshot: the fewest facts that lead to the same durable state.
//!
//! ```text
//! snapshot   "FLSN" ┃ u16 version ┃ fact frame …
//! ```

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::bindings::{bound, exchange_made};
use super::workgroup::WorkGroup;
use super::{Broker, Config};
use crate::codec;
use crate::exchange::Leads;
use crate::fact::{Fact, Stored, StoredCommit};
use crate::group::Group;
use crate::home::Homes;
use crate::id::{Append, Offset, Place, TopicId};
use crate::limits::{COMMITS_PER_REQUEST_MAX, SETTLED_PER_FACT_MAX};
use crate::log::Log;
use crate::planted::{Planted, planted};
use crate::queue::Queue;
use crate::request::Destination;
use crate::sort::sort_by_key;
use crate::time::Time;
use crate::topic::Upkeep;
use crate::work::State;

const MAGIC: &[u8; 4] = b"FLSN";
const VERSION: u16 = 1;

/// Why bytes are not a snapshot that this build can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// They do not begin as a snapshot does.
    NotASnapshot,
    /// They were written in a newer format.
    Newer {
        /// Theirs.
        version: u16,
    },
    /// They are damaged.
    Damaged {
        /// The byte at which reading failed.
        at: usize,
        /// How.
        why: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotASnapshot => {
                f.write_str("these bytes are no snapshot: a snapshot begins with \"FLSN\"")
            }
            LoadError::Newer { version } => write!(
                f,
                "the snapshot has format {version}; this build reads up to {VERSION}: use a newer one"
            ),
            LoadError::Damaged { at, why } => {
                write!(f, "the snapshot is damaged at byte {at}: {why}")
            }
        }
    }
}

impl core::error::Error for LoadError {}

impl Broker {
    /// Appends the durable state to `out`. Loaded, it gives a broker whose durable state is equal;
    /// what was leased is ready again there.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let mut put = |fact: Fact<'_>| codec::encode_fact(&fact, out);
        put(Fact::Started { epoch: self.epoch });
        for (name, exchange) in &self.exchanges {
            if !name.starts_with("amq.") {
                put(exchange_made(name, exchange.kind, &exchange.policy));
            }
        }
        for topic in self.topics.values() {
            let partitions = topic.partitions.len() as u32;
            put(Fact::TopicMade {
                id: topic.id,
                name: topic.name.as_str().into(),
                at: Time::ZERO,
                partitions,
                settings: topic.policy.settings().into(),
            });
            for ((log, upkeep), partition) in topic.partitions.iter().zip(&topic.upkeep).zip(0..) {
                put_log(Place::Partition(topic.id, partition), log, &mut put);
                put_upkeep((topic.id, partition), log, upkeep, &mut put);
            }
        }
        for queue in self.queues.values() {
            if let Some(log) = queue.own_log() {
                put_queue(queue, log, &mut put);
            }
        }
        for (name, exchange) in &self.exchanges {
            for binding in exchange.bindings() {
                let headers = binding.headers.as_deref();
                let to = self.destination(&binding.to);
                put(bound(name, to, &binding.pattern, headers.cloned().unwrap_or_default()));
            }
        }
        for group in self.groups.values() {
            put(Fact::GroupCreated { id: group.id, name: group.name.as_str().into() });
            put(Fact::Rebalanced { group: group.id, generation: group.generation });
            if let Some(at) = group.vacated_at {
                put(Fact::GroupVacated { group: group.id, at });
            }
            put_commits(group, &mut put);
        }
        self.put_producers(&mut put);
        // After what is open and aborted: workers pass over that.
        for (name, group) in &self.work_groups {
            self.put_work_group(name, group, &mut put);
        }
        self.put_ways(&mut put);
        self.put_redrives(&mut put);
        put(Fact::NumbersFrom {
            queue: self.next_queue,
            topic: self.next_topic,
            group: self.next_group,
        });
    }

    /// A broker with the durable state that a snapshot holds. Facts that were kept after it was
    /// taken are then [restored](Broker::restore) in their order.
    pub fn load(config: Config, now: Time, snapshot: &[u8]) -> Result<Broker, LoadError> {
        Broker::load_with(config, now, snapshot, &())
    }

    /// The same for a snapshot of a broker whose batches lay [elsewhere](Broker::put_away), too.
    pub fn load_with(
        config: Config,
        now: Time,
        snapshot: &[u8],
        homes: &impl Homes,
    ) -> Result<Broker, LoadError> {
        let rest = snapshot.strip_prefix(MAGIC).ok_or(LoadError::NotASnapshot)?;
        let (version, mut rest) = rest.split_first_chunk::<2>().ok_or(LoadError::NotASnapshot)?;
        let version = u16::from_le_bytes(*version);
        if version > VERSION {
            return Err(LoadError::Newer { version });
        }
        let mut broker = Broker::new(config, now);
        while !rest.is_empty() {
            let at = snapshot.len() - rest.len();
            let damaged = |why: String| LoadError::Damaged { at, why };
            let fact = codec::decode_fact(&mut rest, usize::MAX - 1);
            let fact = fact.map_err(|error| damaged(error.to_string()))?;
            let done = if let Fact::BatchAway { place, base, count, at, kept, away } = fact {
                broker.batch_away(place, (base, count, at), &kept, &away, homes)
            } else {
                broker.evolve(fact)
            };
            done.map_err(|violation| damaged(violation.to_string()))?;
        }
        Ok(broker)
    }

    fn put_work_group(&self, name: &str, group: &WorkGroup, put: &mut impl FnMut(Fact<'_>)) {
        let parts = || group.parts.iter().map(|id| &self.queues[id]);
        let start = |part: &Queue| part.work.offsets(Offset(0)).next().unwrap_or(part.work.end());
        let starts: Vec<_> = parts().map(|part| (part.id, start(part))).collect();
        put(Fact::WorkGroupMade {
            name: name.into(),
            topic: group.topic,
            at: group.made_at,
            settings: group.policy.settings().into(),
            parts: starts.into(),
        });
        for part in parts() {
            put_work(part, part.log(&self.topics), start(part), put);
        }
    }

    pub(super) fn destination(&self, leads: &Leads) -> Destination<'static> {
        match leads {
            Leads::Queue(id) => Destination::Queue(self.queue_name(*id).to_string().into()),
            Leads::Topic(id) => Destination::Topic(self.topic_name(*id).to_string().into()),
            Leads::Exchange(name) => Destination::Exchange(name.clone().into()),
        }
    }
}

/// A queue that was altered is made anew as plain as it can have been and altered at the end, so
/// that its messages keep what they got from the policy of their time.
fn put_queue(queue: &Queue, log: &Log, put: &mut impl FnMut(Fact<'_>)) {
    let for_life = queue.policy.for_life();
    let made = if queue.altered { &for_life } else { &queue.policy };
    put(Fact::QueueMade {
        id: queue.id,
        name: queue.name.as_str().into(),
        at: queue.made_at,
        settings: made.settings().into(),
    });
    put_log(Place::Queue(queue.id), log, put);
    put_work(queue, log, Offset(0), put);
    if queue.altered {
        let settings = queue.policy.settings().into();
        put(Fact::QueueAltered { id: queue.id, at: queue.altered_at, settings });
    }
    if queue.policy.deduplication.is_some() {
        let messages: Vec<_> = queue.memory.iter().collect();
        let mut put = |anew, messages: &[_]| {
            let messages = Cow::Borrowed(messages);
            put(Fact::Remembered { queue: queue.id, anew, messages });
        };
        // Its records tell of some, also of those that were taken back.
        put(true, &[]);
        messages.chunks(SETTLED_PER_FACT_MAX).for_each(|messages| put(false, messages));
    }
}

/// What was committed together is told together, as long as it fits in a fact.
fn put_commits(group: &Group, put: &mut impl FnMut(Fact<'_>)) {
    let mut commits: Vec<_> = group.committed.iter().collect();
    sort_by_key(&mut commits, |(_, commit)| commit.at);
    let same = commits.chunk_by(|(_, one), (_, other)| one.at == other.at);
    for commits in same.flat_map(|commits| commits.chunks(COMMITS_PER_REQUEST_MAX)) {
        let offsets = commits.iter().map(|((topic, partition), commit)| StoredCommit {
            topic: *topic,
            partition: *partition,
            offset: commit.offset,
            metadata: commit.metadata.as_str().into(),
        });
        let (at, offsets) = (commits[0].1.at, offsets.collect());
        put(Fact::OffsetsCommitted { group: group.id, at, offsets });
    }
}

fn put_log(place: Place, log: &Log, put: &mut impl FnMut(Fact<'_>)) {
    let mut end = Offset(0);
    for segment in log.segments() {
        let base = Offset(segment.base);
        if base > end {
            put(Fact::LogStarts { place, next: base });
        }
        end = base.plus(u64::from(segment.count));
        if let Some(away) = segment.away() {
            put(Fact::BatchAway {
                place,
                base,
                count: segment.count,
                at: segment.at,
                kept: segment.kept().unwrap_or_default().into(),
                away: away.describe(),
            });
            continue;
        }
        let records = segment.records().expect("segments gives those that are held").into_owned();
        if let (Place::Partition(topic, partition), Some(kept)) = (place, segment.kept()) {
            let (count, at, kept) = (segment.count, segment.at, Cow::Borrowed(kept));
            put(Fact::SparseBatch { topic, partition, base, count, at, kept, records });
            continue;
        }
        let appends = [Append { place, base }];
        let batch = Stored { appends: Cow::Borrowed(&appends), records };
        put(Fact::Published { at: segment.at, batches: Cow::Borrowed(&[batch]) });
    }
    if log.end() > end {
        put(Fact::LogStarts { place, next: log.end() });
    }
}

/// Where a partition starts, and how far it is compacted.
fn put_upkeep(
    (topic, partition): (TopicId, u32),
    log: &Log,
    upkeep: &Upkeep,
    put: &mut impl FnMut(Fact<'_>),
) {
    if log.start() > Offset(0) {
        let place = Place::Partition(topic, partition);
        put(Fact::LogTrimmed { place, at: Time::ZERO, start: log.start() });
    }
    if let Some(cleaner) = &upkeep.cleaner {
        let (clean, tombstones) = (cleaner.clean(), cleaner.tombstones().collect());
        put(Fact::CompactionState { topic, partition, clean, tombstones });
    }
}

/// What the records do not tell: which of them are settled, and what the others went through.
fn put_work(queue: &Queue, log: &Log, start: Offset, put: &mut impl FnMut(Fact<'_>)) {
    let mut settled = Vec::new();
    for segment in log.segments() {
        let end = segment.base + u64::from(segment.count);
        let mut from = segment.base.max(start.0);
        let end = end.min(queue.work.end().0);
        for unsettled in queue.work.offsets(Offset(from)).take_while(|o| o.0 < end) {
            settled.extend((unsettled.0 > from).then(|| (Offset(from), unsettled.0 - from)));
            from = unsettled.0 + 1;
        }
        settled.extend((end > from).then(|| (Offset(from), end - from)));
    }
    for runs in settled.chunks(SETTLED_PER_FACT_MAX) {
        put(Fact::RunsSettled { queue: queue.id, runs: Cow::Borrowed(runs) });
    }
    for (offset, slot) in queue.work.touched() {
        let delayed = slot.state == State::Delayed;
        if slot.failed == 0 && !delayed {
            continue;
        }
        put(Fact::MessageState {
            queue: queue.id,
            offset,
            attempts_failed: slot.failed,
            ready_at: if delayed && !planted(Planted::SnapshotForgetsDelays) {
                slot.until
            } else {
                Time::ZERO
            },
            attempts: Cow::Borrowed(queue.work.history(offset)),
        });
    }
}
