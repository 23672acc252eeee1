//! What has become true and has to stay so: what the journal keeps, and the only thing that
//! changes durable state.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{
    Append, Epoch, Generation, GroupId, Offset, Place, ProducerEpoch, ProducerId, QueueId,
    RedriveId, TopicId,
};
use crate::policy::{QueueSetting, TopicSetting, first};
use crate::record::{RawRecord, Records};
use crate::request::{Condition, Destination, ExchangeKind, HeaderMatch};
use crate::sameness::Remembered;
use crate::time::{Span, Time};
use crate::view::{Attempt, AttemptEnd, DeathReason};

mod parts;

pub use parts::{Away, ExchangeSetting, Numbered, Stored, StoredCommit, Via, Written};

/// One durable change. [`crate::Broker::restore`] makes it, live and at recovery alike.
///
/// The order of the variants is their number in the journal: new ones go to the end, and the fields
/// of those that are here never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<'a> {
    /// The broker began another life; leases of the ones before are stale.
    Started {
        /// Which.
        epoch: Epoch,
    },
    /// An exchange came to be.
    ExchangeDeclared {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it routes.
        kind: ExchangeKind,
    },
    /// An exchange went, with every binding from and to it.
    ExchangeDeleted {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// A queue came to be. Read, and no longer written: [`Fact::QueueMade`] is.
    QueueDeclared {
        /// Its number.
        id: QueueId,
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it treats its messages.
        #[serde(borrow)]
        policy: first::QueuePolicy<'a>,
    },
    /// A queue went, with its messages and every binding to it.
    QueueDeleted {
        /// Which.
        id: QueueId,
    },
    /// A topic came to be.
    TopicCreated {
        /// Its number.
        id: TopicId,
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How many partitions.
        partitions: u32,
    },
    /// A topic went, with its records, every binding to it and the offsets committed on it.
    TopicDeleted {
        /// Which.
        id: TopicId,
    },
    /// A binding came to be.
    Bound {
        /// The exchange.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// Routing key or pattern.
        #[serde(borrow)]
        pattern: Cow<'a, str>,
    },
    /// A binding went.
    Unbound {
        /// The exchange.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// Routing key or pattern.
        #[serde(borrow)]
        pattern: Cow<'a, str>,
    },
    /// What one publish brought came to lie in its logs: in all of them, or, if this fact is lost,
    /// in none.
    Published {
        /// When.
        at: Time,
        /// The batch, or the parts into which its keys split it.
        #[serde(borrow)]
        batches: Cow<'a, [Stored<'a>]>,
    },
    /// Messages were acknowledged, dropped or purged: they are gone from their queue.
    Settled {
        /// Which queue.
        queue: QueueId,
        /// Which messages.
        #[serde(borrow)]
        offsets: Cow<'a, [Offset]>,
    },
    /// An attempt at a message ended without an acknowledgement.
    AttemptEnded {
        /// Which queue.
        queue: QueueId,
        /// Which message.
        offset: Offset,
        /// When.
        at: Time,
        /// How.
        end: AttemptEnd,
        /// The client that had it.
        #[serde(borrow)]
        client: Cow<'a, str>,
        /// When it is ready again, if that is later than now.
        ready_at: Time,
    },
    /// A message died: it is gone from its queue and lies in another, in one step.
    DeadLettered {
        /// Its queue.
        queue: QueueId,
        /// Its offset.
        offset: Offset,
        /// When.
        at: Time,
        /// Why.
        reason: DeathReason,
        /// Where it lies now.
        to: QueueId,
        /// Its offset there.
        to_offset: Offset,
        /// The message, with this death added to its history.
        #[serde(borrow)]
        record: RawRecord<'a>,
    },
    /// A message was moved from one queue to another, in one step.
    Redriven {
        /// From this queue.
        queue: QueueId,
        /// From this offset.
        offset: Offset,
        /// When.
        at: Time,
        /// To this queue.
        to: QueueId,
        /// To this offset.
        to_offset: Offset,
        /// The message, perhaps mended.
        #[serde(borrow)]
        record: RawRecord<'a>,
    },
    /// A group came to be.
    GroupCreated {
        /// Its number.
        id: GroupId,
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// A group's assignment changed; the generation never goes back, not even over a restart.
    Rebalanced {
        /// Which group.
        group: GroupId,
        /// Its generation now.
        generation: Generation,
    },
    /// A group committed an offset. Older builds wrote it; now it is `OffsetsCommitted`.
    Committed {
        /// Which group.
        group: GroupId,
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u32,
        /// The next offset to read.
        offset: Offset,
        /// When.
        at: Time,
    },
    /// A group went, with its offsets.
    GroupDeleted {
        /// Which.
        id: GroupId,
    },
    /// Only in snapshots: a log goes on from here, because what was before is gone.
    LogStarts {
        /// Which log.
        place: Place,
        /// The next offset to append.
        next: Offset,
    },
    /// Only in snapshots: the numbers that are given next, so that none is given twice.
    NumbersFrom {
        /// To a queue.
        queue: QueueId,
        /// To a topic.
        topic: TopicId,
        /// To a group.
        group: GroupId,
    },
    /// Only in snapshots: what is known of a message beside its record.
    MessageState {
        /// Which queue.
        queue: QueueId,
        /// Which message.
        offset: Offset,
        /// Its failed attempts.
        attempts_failed: u32,
        /// When it is ready.
        ready_at: Time,
        /// The newest of its failed attempts.
        attempts: Cow<'a, [Attempt]>,
    },
    /// A queue came to be.
    QueueMade {
        /// Its number.
        id: QueueId,
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// When.
        at: Time,
        /// How it treats its messages: what differs from the default.
        #[serde(borrow)]
        settings: Cow<'a, [QueueSetting<'a>]>,
    },
    /// A queue treats its messages otherwise from now on.
    QueueAltered {
        /// Which.
        id: QueueId,
        /// When.
        at: Time,
        /// All that differs from the default now.
        #[serde(borrow)]
        settings: Cow<'a, [QueueSetting<'a>]>,
    },
    /// A producer came to be, or began another life: what it numbers begins at 0 again.
    ProducerInitialised {
        /// Its number.
        id: ProducerId,
        /// Its transactional name.
        #[serde(borrow)]
        name: Option<Cow<'a, str>>,
        /// Its epoch now.
        epoch: ProducerEpoch,
        /// Whether it named its epoch before, and may ask for the same again.
        renewed: bool,
        /// How long its transactions may stay open.
        timeout: Span,
        /// When; in a snapshot when it was last heard of.
        at: Time,
    },
    /// A numbered batch came to lie in its logs, as [`Fact::Published`] says, and its producer is
    /// at the next number: both or neither.
    Produced {
        /// When.
        at: Time,
        /// Whose.
        producer: ProducerId,
        /// In which of its lives.
        epoch: ProducerEpoch,
        /// The partition that has a count of its own. None: everything else.
        lane: Option<(TopicId, u32)>,
        /// The first record's number.
        sequence: u32,
        /// How many numbers it takes.
        count: u32,
        /// Whether its producer's transaction decides about it.
        transactional: bool,
        /// The batch, or the parts into which its keys split it.
        #[serde(borrow)]
        batches: Cow<'a, [Stored<'a>]>,
    },
    /// Producers of which nothing was heard for long went.
    ProducerExpired {
        /// Which.
        id: ProducerId,
    },
    /// Only in snapshots: how far a producer has numbered what it publishes.
    ProducerSequence {
        /// Whose.
        producer: ProducerId,
        /// As in [`Fact::Produced`].
        lane: Option<(TopicId, u32)>,
        /// The number that comes next.
        next: u32,
        /// Its newest batches, the oldest first.
        #[serde(borrow)]
        batches: Cow<'a, [Numbered<'a>]>,
    },
    /// Only in snapshots: the number that the next producer gets.
    ProducersFrom {
        /// Which.
        next: ProducerId,
    },
    /// Every message of these runs is gone from its queue that was not gone before.
    RunsSettled {
        /// Which queue.
        queue: QueueId,
        /// Where each run begins, and how many messages it has.
        runs: Cow<'a, [(Offset, u64)]>,
    },
    /// An exchange came to be that is set otherwise than `ExchangeDeclared` can say.
    ExchangeMade {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it routes.
        kind: ExchangeKind,
        /// In what it differs from the default.
        #[serde(borrow)]
        settings: Cow<'a, [ExchangeSetting<'a>]>,
    },
    /// A binding came to be that wants headers.
    BoundByHeaders {
        /// The exchange.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// Routing key or pattern.
        #[serde(borrow)]
        pattern: Cow<'a, str>,
        /// What it wants.
        #[serde(borrow)]
        headers: HeaderMatch<'a>,
    },
    /// A binding went that wanted headers.
    UnboundByHeaders {
        /// The exchange.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// Routing key or pattern.
        #[serde(borrow)]
        pattern: Cow<'a, str>,
        /// What it wanted.
        #[serde(borrow)]
        headers: HeaderMatch<'a>,
    },
    /// A group committed, or was reset: all of this, or, if this fact is lost, none.
    OffsetsCommitted {
        /// Which group.
        group: GroupId,
        /// When.
        at: Time,
        /// What.
        #[serde(borrow)]
        offsets: Cow<'a, [StoredCommit<'a>]>,
    },
    /// A group forgot what it had committed on these partitions.
    OffsetsDeleted {
        /// Which group.
        group: GroupId,
        /// Of which topic.
        topic: TopicId,
        /// Which partitions.
        partitions: Cow<'a, [u32]>,
    },
    /// A group's offsets wait for a producer's transaction; it begins if none is open.
    OffsetsPending {
        /// When.
        at: Time,
        /// Whose transaction.
        producer: ProducerId,
        /// In which of its lives.
        epoch: ProducerEpoch,
        /// Which group.
        group: GroupId,
        /// What it will have committed.
        #[serde(borrow)]
        offsets: Cow<'a, [StoredCommit<'a>]>,
    },
    /// A producer's transaction ended, in all of its logs, queues and groups at once.
    TransactionEnded {
        /// When.
        at: Time,
        /// Whose.
        producer: ProducerId,
        /// The epoch in which its producer goes on: a higher one fences who had it open.
        epoch: ProducerEpoch,
        /// Committed; else aborted.
        commit: bool,
    },
    /// Only in snapshots: a transaction is open.
    TransactionOpen {
        /// Whose.
        producer: ProducerId,
        /// Since when.
        began: Time,
        /// What it wrote.
        #[serde(borrow)]
        written: Cow<'a, [Written]>,
    },
    /// Only in snapshots: how a producer's last transaction ended.
    TransactionOutcome {
        /// Whose.
        producer: ProducerId,
        /// Committed; else aborted.
        committed: bool,
    },
    /// Only in snapshots: what aborted transactions wrote.
    Aborted {
        /// Which runs.
        #[serde(borrow)]
        written: Cow<'a, [Written]>,
    },
    /// A topic came to be.
    TopicMade {
        /// Its number.
        id: TopicId,
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// When.
        at: Time,
        /// How many partitions.
        partitions: u32,
        /// How it keeps its records: what differs from the default.
        settings: Cow<'a, [TopicSetting]>,
    },
    /// A topic keeps its records otherwise from now on.
    TopicAltered {
        /// Which.
        id: TopicId,
        /// When.
        at: Time,
        /// All that differs from the default now.
        settings: Cow<'a, [TopicSetting]>,
    },
    /// A topic has more partitions.
    PartitionsAdded {
        /// Which.
        topic: TopicId,
        /// When.
        at: Time,
        /// How many it has now.
        partitions: u32,
    },
    /// A log starts later: what was before is gone, by its policy or because it was asked for.
    LogTrimmed {
        /// Which log.
        place: Place,
        /// When.
        at: Time,
        /// The first offset that can be read.
        start: Offset,
    },
    /// Records are gone from a compacted partition.
    Compacted {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u32,
        /// When.
        at: Time,
        /// Each key is there once before this offset.
        clean: Offset,
        /// What is gone, rising.
        #[serde(borrow)]
        offsets: Cow<'a, [Offset]>,
    },
    /// Only in snapshots: a batch of a topic of which records are gone.
    SparseBatch {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u32,
        /// Its first offset.
        base: Offset,
        /// How many offsets it spans.
        count: u32,
        /// When it was appended.
        at: Time,
        /// The records that are left: how far each is from the base, and its index in the batch.
        kept: Cow<'a, [(u32, u32)]>,
        /// The batch.
        #[serde(borrow)]
        records: Records<'a>,
    },
    /// Only in snapshots: how far a partition is compacted.
    CompactionState {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u32,
        /// Each key is there once before this offset.
        clean: Offset,
        /// Where tombstones were found, and when.
        tombstones: Cow<'a, [(Offset, Time)]>,
    },
    /// A work group came to be.
    WorkGroupMade {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// The topic that it works on.
        topic: TopicId,
        /// When.
        at: Time,
        /// How it treats its messages: what differs from the default.
        #[serde(borrow)]
        settings: Cow<'a, [QueueSetting<'a>]>,
        /// Its parts, by partition: each one's number, and the offset it begins at.
        parts: Cow<'a, [(QueueId, Offset)]>,
    },
    /// A queue gave up the oldest of the settled messages that it had kept.
    KeptGone {
        /// Which queue.
        queue: QueueId,
        /// When.
        at: Time,
        /// The oldest offset that it still has.
        start: Offset,
    },
    /// A work group went. The records stay.
    WorkGroupDeleted {
        /// Which.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// A message died and is gone from its queue; it lies where its dead-letter exchange routed it,
    /// in one step.
    Died {
        /// Its queue.
        queue: QueueId,
        /// Its offset.
        offset: Offset,
        /// When.
        at: Time,
        /// Why.
        reason: DeathReason,
        /// Where it lies now.
        #[serde(borrow)]
        to: Cow<'a, [Append]>,
        /// The message, with this death added to its history.
        #[serde(borrow)]
        record: RawRecord<'a>,
    },
    /// By what the messages of a queue come from an offset on, until it is said otherwise.
    CameVia {
        /// Which queue.
        queue: QueueId,
        /// From this offset on.
        from: Offset,
        /// By what; None: straight to the queue.
        #[serde(borrow)]
        via: Option<Via<'a>>,
    },
    /// Only in snapshots: what a queue remembers, so as not to store it twice.
    Remembered {
        /// Which queue.
        queue: QueueId,
        /// Whether it remembers nothing else so far.
        anew: bool,
        /// The messages, the oldest first.
        messages: Cow<'a, [Remembered]>,
    },
    /// A job that redrives messages began.
    RedriveStarted {
        /// What it is called.
        id: RedriveId,
        /// Where the messages are.
        queue: QueueId,
        /// Only those before this offset.
        until: Offset,
        /// When.
        at: Time,
        /// Which of them.
        filter: Cow<'a, [Condition<'a>]>,
        /// Where to; None: each to the queue it last died in.
        to: Option<QueueId>,
        /// At most so many a second.
        rate: Option<u32>,
        /// Whether it only counts.
        dry_run: bool,
    },
    /// A job moved some, and is so far.
    RedriveStepped {
        /// Which.
        id: RedriveId,
        /// Where it goes on.
        next: Offset,
        /// How many it moved.
        moved: u64,
        /// How many could go nowhere.
        skipped: u64,
    },
    /// A job ended.
    RedriveEnded {
        /// Which.
        id: RedriveId,
    },
    /// Only in snapshots: the number that the next job gets.
    RedrivesFrom {
        /// Which.
        next: RedriveId,
    },
    /// Only in snapshots: a batch whose bytes lie elsewhere.
    BatchAway {
        /// Where.
        place: Place,
        /// Its first offset.
        base: Offset,
        /// How many offsets it spans.
        count: u32,
        /// When it was appended.
        at: Time,
        /// Where each record that is left lies, as in [`Fact::SparseBatch`]; empty if none went.
        #[serde(borrow)]
        kept: Cow<'a, [(u32, u32)]>,
        /// What is known of it.
        away: Away,
    },
    /// A dead letter of a work group went back to it, in one step: it is gone from the queue where it
    /// lay, and its record, which its topic still has, is worked on once more.
    BroughtBack {
        /// From this queue.
        queue: QueueId,
        /// From this offset.
        offset: Offset,
        /// When.
        at: Time,
        /// To this part of a work group.
        to: QueueId,
        /// To this offset of its partition.
        to_offset: Offset,
    },
    /// A group has no members from now on, until it rebalances.
    GroupVacated {
        /// Which.
        group: GroupId,
        /// Since when.
        at: Time,
    },
}
