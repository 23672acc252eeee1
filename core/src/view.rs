//! Pictures of the state, for people: the command line's tables and the playground's panels.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::fact::Via;
use crate::id::{
    ConnId, ConsumerId, Epoch, Generation, GroupId, MemberId, Offset, Place, ProducerEpoch,
    ProducerId, QueueId, RedriveId, TopicId,
};
use crate::policy::{QueuePolicy, TopicPolicy};
use crate::record::RawRecord;
use crate::request::{
    Assignor, Condition, Destination, ExchangeKind, ExchangePolicy, HeaderMatch, Listed,
};
use crate::time::{Span, Time};

mod explain;

pub use explain::{
    ConnectionDetail, DueView, GroupMemberView, Happened, HoldsView, JourneyStep, JourneyView,
    QueueConsumerView, WaitView,
};

/// An answer to an `Inspect` or a `Peek`.
#[cfg_attr(
    target_arch = "wasm32",
    expect(clippy::large_enum_variant, reason = "it is handed on at once, never kept in numbers")
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum View<'a> {
    /// Everything but the messages.
    Overview(Overview),
    /// A queue.
    Queue(QueueView),
    /// A topic.
    Topic(TopicView),
    /// A group.
    Group(GroupView),
    /// Messages of a queue.
    #[serde(borrow)]
    Messages(Vec<MessageView<'a>>),
    /// An exchange.
    Exchange(ExchangeView),
    /// A page of groups.
    Groups(Vec<GroupSummary>),
    /// Producers that number their batches.
    Producers(Vec<ProducerView>),
    /// A connection.
    Connection(ConnectionDetail),
    /// What is due next.
    Due(Vec<DueView>),
    /// What happened to a message.
    Journey(JourneyView),
    /// A part of what there is.
    Page(Page),
    /// A work group.
    WorkGroup(WorkGroupView),
    /// Jobs that redrive messages.
    Redrives(Vec<RedriveView>),
}

/// Everything but the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The broker's time.
    pub now: Time,
    /// The broker's life.
    pub epoch: Epoch,
    /// Bytes of all records held.
    pub stored_bytes: u64,
    /// When something is due next, and what.
    pub due: Option<(Time, DeadlineReason)>,
    /// Exchanges by name; of the built-in ones those that are bound.
    pub exchanges: Vec<ExchangeView>,
    /// Queues by name.
    pub queues: Vec<QueueView>,
    /// Topics by name.
    pub topics: Vec<TopicView>,
    /// Groups by name.
    pub groups: Vec<GroupView>,
    /// Open connections.
    pub connections: Vec<ConnectionView>,
    /// Work groups by name.
    pub work_groups: Vec<WorkGroupView>,
    /// Of which kinds there are more than are shown, and after which name a list of them goes on.
    #[serde(default)]
    pub more: Vec<(Listed, String)>,
}

/// A part of what there is of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// An overview in which only this kind is listed.
    pub list: Overview,
    /// The name after which the list goes on; None: that was all.
    pub next: Option<String>,
}

/// What is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeadlineReason {
    /// A lease ends.
    LeaseEnds,
    /// A delayed message becomes ready.
    DelayEnds,
    /// A member's session times out.
    SessionEnds,
    /// A request has waited long enough.
    WaitEnds,
    /// A producer may have been idle for too long.
    ProducerIdle,
    /// A message is too old to be delivered.
    MessageExpires,
    /// A transaction was open for long enough.
    TransactionEnds,
    /// A queue goes that nobody uses, or whose connection is gone.
    QueueExpires,
    /// A queue has more to drop, or to hand out, than one input does.
    QueueOverflows,
    /// The oldest records of a topic may go.
    RetentionEnds,
    /// A topic is compacted.
    CompactionDue,
    /// A queue has kept settled messages long enough.
    KeptLongEnough,
    /// A group's members have had time enough for a rebalance.
    RebalanceEnds,
    /// A job goes on redriving.
    RedriveGoesOn,
    /// Offsets of a group without members may have been kept for long enough.
    OffsetsExpire,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeView {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// What else there is to it.
    pub policy: ExchangePolicy<'static>,
    /// Its bindings, by pattern.
    pub bindings: Vec<BindingView>,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingView {
    /// Routing key or pattern.
    pub pattern: String,
    /// Where it leads.
    pub to: Destination<'static>,
    /// What it wants of a record's headers, in a headers exchange.
    pub headers: HeaderMatch<'static>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueView {
    /// Its number, as places name it.
    pub id: QueueId,
    /// Its name.
    pub name: String,
    /// How it treats its messages.
    pub policy: QueuePolicy<'static>,
    /// When it came to be.
    pub made_at: Time,
    /// When it got the policy that it has.
    #[serde(default)]
    pub altered_at: Time,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages in the hands of consumers.
    pub leased: u64,
    /// Messages that wait for their delay to end.
    pub delayed: u64,
    /// Messages that wait for an older one of their group.
    pub blocked: u64,
    /// Messages that wait for their transaction to end.
    pub held: u64,
    /// Bytes of its records.
    pub bytes: u64,
    /// The offset that the next message gets: how many ever came.
    pub end: Offset,
    /// Messages acknowledged since this broker started.
    pub acked: u64,
    /// Messages that died here since this broker started.
    pub dead_lettered: u64,
    /// Messages that died here since this broker started, and that no queue keeps.
    pub dropped: u64,
    /// When the oldest unsettled message came.
    pub oldest_at: Option<Time>,
    /// Its consumers.
    pub consumers: Vec<ConsumerView>,
}

/// A work group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkGroupView {
    /// Its name.
    pub name: String,
    /// The topic that it works on.
    pub topic: String,
    /// Its parts, by partition: each like a queue, whose records are the topic's.
    pub parts: Vec<QueueView>,
}

/// A consumer of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerView {
    /// Its number.
    pub id: ConsumerId,
    /// Its connection.
    pub conn: ConnId,
    /// How many it may hold.
    pub prefetch: u32,
    /// How many it holds.
    pub outstanding: u32,
    /// Whether what it gets is settled before it is told.
    pub auto_ack: bool,
    /// Whether nobody else may consume the queue.
    #[serde(default)]
    pub exclusive: bool,
    /// Whether it gets messages: one that waits for the single active one to go does not.
    pub active: bool,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicView {
    /// Its number, as places name it.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its partitions, from 0.
    pub partitions: Vec<PartitionView>,
    /// How it keeps its records.
    pub policy: TopicPolicy,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionView {
    /// The oldest offset.
    pub start: Offset,
    /// The offset after the newest.
    pub end: Offset,
    /// Bytes of its records.
    pub bytes: u64,
    /// The last stable offset: before it every transaction has ended.
    pub stable_end: Offset,
    /// Up to where it is compacted; None: the topic is not.
    pub clean: Option<Offset>,
}

/// A producer that numbers its batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerView {
    /// Its number.
    pub id: ProducerId,
    /// Its transactional name.
    pub name: Option<String>,
    /// In which of its lives it is.
    pub epoch: ProducerEpoch,
    /// How long its transactions may stay open.
    pub timeout: Span,
    /// When it was last heard of.
    pub seen: Time,
    /// When it is forgotten, if nothing more is heard of it.
    pub forgotten_at: Time,
    /// How far it has numbered what it publishes; only where one producer is asked for.
    pub sequences: Vec<SequenceView>,
    /// What it has open.
    pub transaction: Option<TransactionView>,
}

/// How far a producer has numbered what it publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SequenceView {
    /// To a partition of this topic that it names. None: to everything else.
    pub topic: Option<String>,
    /// Which partition.
    pub partition: Option<u32>,
    /// The number that comes next.
    pub next: u32,
}

/// An open transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionView {
    /// Since when.
    pub began: Time,
    /// When it is aborted, unless it ends before.
    pub until: Time,
    /// How many records it wrote, counted in each log.
    pub records: u64,
    /// Into how many logs.
    pub logs: u32,
    /// How many offsets it commits.
    pub offsets: u32,
    /// What it wrote, log by log; only where one producer is asked for.
    pub writes: Vec<WriteView>,
}

/// What a transaction wrote into one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteView {
    /// Where.
    pub place: Place,
    /// The queue's or the topic's name.
    pub name: String,
    /// The first offset.
    pub first: Offset,
    /// How many records.
    pub records: u64,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: GroupState,
    /// How often its assignment changed.
    pub generation: Generation,
    /// How partitions are shared out, where the broker does that.
    pub assignor: Assignor,
    /// How its members do it, where they do.
    pub classic: Option<ClassicView>,
    /// Since when it has no members; None: it has some, or never had any.
    pub vacated_at: Option<Time>,
    /// Its members.
    pub members: Vec<MemberView>,
    /// Every partition of the topics that it has committed on or reads.
    pub partitions: Vec<GroupPartitionView>,
}

/// A group whose members assign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicView {
    /// What kind of group it is, in its members' words.
    pub protocol_type: String,
    /// The protocol of this generation; None: the first is not there yet.
    pub protocol: Option<String>,
    /// Who assigns.
    pub leader: MemberId,
}

/// What a group is doing, in Kafka's words. One that is not there is `Dead` to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupState {
    /// It has no members; what it committed stays.
    Empty,
    /// Its members have what they should have.
    Stable,
    /// Some of them have yet to give up what others wait for.
    Reconciling,
    /// Its members assign, and are waited for to join.
    PreparingRebalance,
    /// They have joined, and the leader is waited for to assign.
    CompletingRebalance,
}

/// A group in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSummary {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: GroupState,
    /// How often its assignment changed.
    pub generation: Generation,
    /// How many members it has.
    pub members: u32,
    /// What kind of group it is, where its members assign.
    pub protocol_type: Option<String>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Its number.
    pub id: MemberId,
    /// Its connection; None: that closed, and the member may come back.
    pub conn: Option<ConnId>,
    /// What it said it is called when its connection opened.
    pub client: String,
    /// The name under which it comes back, if it is a static member.
    pub instance: Option<String>,
    /// Where members assign: what it proposes in the group's protocol.
    #[serde(
        serialize_with = "crate::record::as_bytes",
        deserialize_with = "crate::record::own_vec"
    )]
    pub metadata: Vec<u8>,
    /// Where members assign: what it was given.
    #[serde(
        serialize_with = "crate::record::as_bytes",
        deserialize_with = "crate::record::own_vec"
    )]
    pub assignment: Vec<u8>,
}

/// How far a group is in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPartitionView {
    /// Which topic.
    pub topic: String,
    /// Which partition.
    pub partition: u32,
    /// The next offset to read after a crash; None: nothing was committed.
    pub committed: Option<Offset>,
    /// The next offset that its owner will poll; None: nobody owns it.
    pub position: Option<Offset>,
    /// The offset after the partition's newest.
    pub end: Offset,
    /// Records between the committed offset (or the log's start) and the end.
    pub lag: u64,
    /// When the oldest of these came; None: there is none.
    pub oldest_at: Option<Time>,
    /// When the offset was committed.
    pub committed_at: Option<Time>,
    /// What was noted beside it.
    pub metadata: String,
    /// Whether an offset waits for a transaction to end, and then is committed (Kafka's
    /// `UNSTABLE_OFFSET_COMMIT`).
    #[serde(default)]
    pub is_pending: bool,
    /// Who reads it.
    pub owner: Option<MemberId>,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Its number.
    pub id: ConnId,
    /// What it said it is called.
    pub client: String,
}

/// A message of a queue, with what happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    /// Where it lies.
    pub offset: Offset,
    /// When it came.
    pub at: Time,
    /// By which exchange and routing key; None: straight.
    #[serde(borrow, default)]
    pub via: Option<Via<'a>>,
    /// What it is doing.
    pub state: MessageState,
    /// Its failed attempts here, oldest first: the newest sixteen of them.
    pub attempts: Vec<Attempt>,
    /// How many attempts failed here.
    pub attempts_failed: u32,
    /// Its deaths in other queues, oldest first.
    pub deaths: Vec<Death>,
    /// The message.
    #[serde(borrow)]
    pub record: RawRecord<'a>,
}

/// What a message of a queue is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum MessageState {
    /// It waits for a consumer.
    Ready,
    /// It is in the hands of a connection until then.
    Leased {
        /// Whose.
        conn: ConnId,
        /// Until when.
        until: Time,
    },
    /// It waits until then.
    Delayed {
        /// Until when.
        until: Time,
    },
    /// It waits for an older message of its group.
    Blocked,
    /// It waits for its transaction to end.
    Held,
}

/// An attempt that ended without an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which one, from 1.
    pub number: u32,
    /// When it ended.
    pub at: Time,
    /// How.
    pub end: AttemptEnd,
    /// The client that held the message.
    pub client: String,
}

/// How an attempt ended that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptEnd {
    /// The lease ran out.
    Expired,
    /// The consumer gave it back.
    Nacked,
    /// The consumer refused it for good.
    Rejected,
    /// The connection closed.
    Disconnected,
}

/// Why a message died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeathReason {
    /// Its attempts reached the maximum.
    DeliveriesExhausted,
    /// A consumer refused it for good.
    Rejected,
    /// It was not delivered in time.
    Expired,
    /// The queue held more than it may.
    MaxLength,
}

/// A message's death in a queue: what AMQP brokers write into `x-death`. If it died there for the
/// same reason more than once, and no client redrove it meanwhile, this is all of them; `offset`, `at`, `appended_at` and `attempts`
/// are of the newest. RabbitMQ lists the newest death first, here it is the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Death {
    /// The queue it died in.
    pub queue: String,
    /// Its offset there.
    pub offset: Offset,
    /// Why.
    pub reason: DeathReason,
    /// When.
    pub at: Time,
    /// When it had come to that queue.
    pub appended_at: Time,
    /// Its attempts there, oldest first: the newest sixteen.
    pub attempts: Vec<Attempt>,
    /// How often it died in this queue for this reason.
    pub count: u64,
    /// When it did so first.
    pub first_at: Time,
    /// The exchange by which it had come then; empty: the default exchange, or straight.
    pub exchange: String,
    /// Its routing key then; the queue's name if it came straight.
    pub routing_key: String,
    /// The time to live that it had brought, which was taken from it so that it does not die of it
    /// again (RabbitMQ's `original-expiration`).
    pub ttl: Option<Span>,
    /// Whether a client redrove it after this death.
    pub redriven: bool,
}

/// A job that redrives messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveView {
    /// What it is called.
    pub id: RedriveId,
    /// Where the messages are.
    pub queue: String,
    /// Where to; None: each to the queue it last died in.
    pub to: Option<String>,
    /// Which of them.
    pub filter: Vec<Condition<'static>>,
    /// At most so many a second.
    pub rate: Option<u32>,
    /// Whether it only counts.
    pub dry_run: bool,
    /// When it began.
    pub started_at: Time,
    /// When it ended; None: it goes on.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// What it is doing.
    pub state: RedriveState,
    /// How many it moved; in a dry run, how many it would have moved.
    pub moved: u64,
    /// How many could go nowhere: they never died, or where they died is gone.
    pub skipped: u64,
    /// About how many it has still to look at.
    pub remaining: u64,
}

/// What a job is doing, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RedriveState {
    /// It goes on.
    Running,
    /// It waits until there is room where the messages are to go.
    NoRoom,
    /// It has been over all of them.
    Done,
    /// A client stopped it.
    Stopped,
    /// The queue, or where the messages were to go, was deleted.
    QueueGone,
}
