//! Everything that can be asked.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{
    Assignor, Budget, CommitOffset, Condition, Destination, ExchangeKind, ExchangePolicy,
    HeaderMatch, Inspect, MemberAssignment, MemberName, Pick, Position, Protocol, ReadFrom,
    Sequenced, Start, Target, Unroutable,
};
use crate::id::{
    ConsumerId, Generation, LeaseId, MemberId, Offset, ProducerEpoch, ProducerId, RedriveId,
};
use crate::policy::{QueuePolicy, TopicPolicy};
use crate::record::Records;
use crate::time::Span;

/// Everything that can be asked. Each is answered with the event its documentation names, or with
/// [`crate::Event::Refused`]. A refused request has changed nothing.
///
/// The order of the variants is their number on the wire: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Op<'a> {
    /// Makes an exchange; the same again is `Done`, another kind under the name is refused.
    DeclareExchange {
        /// Its name; names that begin with `amq.` are the broker's own.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it routes.
        kind: ExchangeKind,
        /// What else there is to it.
        #[serde(borrow, default)]
        policy: ExchangePolicy<'a>,
    },
    /// Removes an exchange and its bindings. `Done`.
    DeleteExchange {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// Refuse while it has bindings (AMQP's `if-unused`).
        #[serde(default)]
        if_unused: bool,
    },
    /// Makes a queue; the same again is `Done`, another policy under the name is refused.
    DeclareQueue {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it treats its messages.
        #[serde(borrow, default)]
        policy: QueuePolicy<'a>,
    },
    /// Removes a queue with all that is in it; its consumers are cancelled. `Done`.
    DeleteQueue {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// Only if it holds no message, whatever those do (AMQP's `if-empty`).
        #[serde(default)]
        if_empty: bool,
        /// Only if it has no consumer (AMQP's `if-unused`).
        #[serde(default)]
        if_unused: bool,
    },
    /// Removes the messages that are ready in a queue; what is leased, delayed or waits for its
    /// group stays (AMQP's `queue.purge`), unless `all` is asked for. `Count`.
    PurgeQueue {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// Those as well, in whoever's hands they are, but not what belongs to a transaction that
        /// is open (SQS's `PurgeQueue`).
        #[serde(default)]
        all: bool,
    },
    /// Makes a topic; the same again is `Done`, another number of partitions or another policy is
    /// refused.
    CreateTopic {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How many partitions, at least 1.
        partitions: u32,
        /// How it keeps its records.
        #[serde(default)]
        policy: TopicPolicy,
    },
    /// Removes a topic with its records and the offsets that groups committed on it. `Done`.
    DeleteTopic {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// Binds an exchange to where it routes; the same again is `Done`. `Done`.
    Bind {
        /// The exchange routed from.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// Direct: the routing key. Topic: a pattern of words, `*` one word, `#` any number.
        /// Fanout and headers: not looked at, but two bindings that differ in it are two.
        #[serde(borrow, default)]
        pattern: Cow<'a, str>,
        /// What a headers exchange wants of a record (AMQP's arguments of a binding). Other kinds
        /// do not look at it, but two bindings that differ in it are two.
        #[serde(borrow, default)]
        headers: HeaderMatch<'a>,
    },
    /// Removes a binding. `Done`.
    Unbind {
        /// The exchange routed from.
        #[serde(borrow)]
        exchange: Cow<'a, str>,
        /// Where to.
        #[serde(borrow)]
        to: Destination<'a>,
        /// As it was bound.
        #[serde(borrow, default)]
        pattern: Cow<'a, str>,
        /// As it was bound.
        #[serde(borrow, default)]
        headers: HeaderMatch<'a>,
    },
    /// Publishes a batch: to all of its destinations, or refused and to none. `Published` if
    /// `confirm`, else nothing unless it is refused; before it `Returned`, if `unroutable` says so
    /// and something was.
    Publish {
        /// Where to.
        #[serde(borrow)]
        to: Target<'a>,
        /// Whether to answer when the batch is as durable as the driver promises.
        confirm: bool,
        /// What becomes of records that no binding takes.
        #[serde(default)]
        unroutable: Unroutable,
        /// The records.
        #[serde(borrow)]
        records: Records<'a>,
        /// Who numbers its batches, so that one that is sent again is stored once. None: nobody.
        #[serde(default)]
        by: Option<Sequenced>,
        /// Whether it belongs to the producer's transaction, which it begins if none is open.
        #[serde(default)]
        transactional: bool,
    },
    /// Asks for messages of a queue to be pushed as they become ready. `Consuming`, then
    /// `Delivered` events.
    Consume {
        /// Which queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// How many may be unsettled at once, at least 1.
        prefetch: u32,
        /// How long each delivery is leased; None: as the queue's policy says.
        #[serde(default)]
        visibility: Option<Span>,
        /// Whether messages are settled before they are told, and so delivered at most once (AMQP's
        /// `no-ack`). Prefetch and visibility then bound nothing: there is nothing to settle.
        #[serde(default)]
        auto_ack: bool,
        /// Whether nobody else may consume the queue meanwhile: refused if somebody does (the
        /// `exclusive` of AMQP's `basic.consume`). A `Receive` may.
        #[serde(default)]
        exclusive: bool,
    },
    /// Ends a consumer; what it holds stays leased to the connection until settled, expired or
    /// closed. `Done`.
    Cancel {
        /// Which one.
        consumer: ConsumerId,
    },
    /// Takes up to `messages_max` messages that are ready, or waits for the first. `Received`, with no
    /// messages if the wait ended without.
    Receive {
        /// Which queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// At most this many, at least 1.
        messages_max: u32,
        /// How long to wait for the first.
        #[serde(default)]
        wait: Span,
        /// How long each is leased; None: as the queue's policy says.
        #[serde(default)]
        visibility: Option<Span>,
        /// Whether messages are settled before they are told, and so delivered at most once (AMQP's
        /// `no-ack`).
        #[serde(default)]
        auto_ack: bool,
    },
    /// Settles deliveries as done: the messages are gone. `Settled`.
    Ack {
        /// Which deliveries.
        #[serde(borrow)]
        leases: Cow<'a, [LeaseId]>,
    },
    /// Gives deliveries back as failed attempts: ready again after `delay`, or dead-lettered when
    /// the queue's maximum of deliveries is reached. `Settled`.
    Nack {
        /// Which deliveries.
        #[serde(borrow)]
        leases: Cow<'a, [LeaseId]>,
        /// How long until they are ready again.
        #[serde(default)]
        delay: Span,
    },
    /// Refuses messages for good: dead-lettered now, or dropped where the queue has no dead-letter
    /// queue (as `basic.reject` without requeue in AMQP). `Settled`.
    Reject {
        /// Which deliveries.
        #[serde(borrow)]
        leases: Cow<'a, [LeaseId]>,
    },
    /// Makes leases end at `visibility` from now; zero ends them now, as a failed attempt (as
    /// SQS's `ChangeMessageVisibility`). `Settled`.
    Extend {
        /// Which deliveries.
        #[serde(borrow)]
        leases: Cow<'a, [LeaseId]>,
        /// From now.
        visibility: Span,
    },
    /// Shows messages of a queue without leasing them. `Inspected` with [`crate::View::Messages`].
    Peek {
        /// Which queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// The first offset to show.
        from: Offset,
        /// At most this many, at least 1.
        messages_max: u32,
    },
    /// Moves messages out of a dead-letter queue (or any queue): to the queue they died in, or to
    /// another. `Count`.
    Redrive {
        /// Where they are.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Which of them.
        #[serde(borrow)]
        pick: Pick<'a>,
        /// Where to; None: each to the queue it last died in.
        #[serde(borrow, default)]
        to: Option<Cow<'a, str>>,
    },
    /// Reads a partition from an offset, without a group; or waits for records. `ReadDone`.
    Read {
        /// Which topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// Which partition, from 0.
        partition: u32,
        /// From where; `Latest` is where what is seen under the budget's isolation ends, as in
        /// Kafka's ListOffsets.
        from: Position,
        /// How much, and how long it may wait for that.
        #[serde(default)]
        budget: Budget,
    },
    /// Joins a consumer group, making it if there is none. `Joined`, and `Assigned` now and
    /// whenever the assignment changes.
    Join {
        /// The group's name.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The topics to read: at least one.
        #[serde(borrow)]
        topics: Cow<'a, [Cow<'a, str>]>,
        /// How partitions are shared out; the first member's choice holds while the group has
        /// members, another is refused.
        #[serde(default)]
        assignor: Assignor,
        /// Where to begin where the group has committed nothing.
        #[serde(default)]
        start: Start,
        /// Without a `Heartbeat`, `Poll` or `Commit` for this long the member is out. None: 45 s.
        #[serde(default)]
        session_timeout: Option<Span>,
        /// Makes the member static (Kafka's `group.instance.id`, KIP-345): its connection's end
        /// does not take it out of the group, its session's does. Who joins under the same name
        /// before takes its place and its partitions, without a rebalance; the one before is fenced.
        #[serde(borrow, default)]
        instance: Option<Cow<'a, str>>,
        /// How long the member may take to give up partitions that go to another before it is put
        /// out. None: 60 s (Kafka Connect's `rebalance.timeout.ms`; Kafka's consumer gives its
        /// `max.poll.interval.ms`, 5 min).
        #[serde(default)]
        rebalance_timeout: Option<Span>,
    },
    /// Says that a member lives. `Done`.
    Heartbeat {
        /// Which one.
        member: MemberId,
        /// The generation it knows of; refused if it cannot be.
        #[serde(default)]
        generation: Option<Generation>,
    },
    /// Leaves the group; its partitions go to the others. `Done`.
    Leave {
        /// Who.
        member: MemberId,
    },
    /// Reads on from the member's positions in the partitions assigned to it, and moves them; or
    /// waits for records. `Polled`, with no batches if the wait ended without.
    Poll {
        /// Who.
        member: MemberId,
        /// How much, of all its partitions together, and how long it may wait for that.
        #[serde(default)]
        budget: Budget,
    },
    /// Commits offsets: the next ones to read, as in Kafka. All or none. `Done`.
    Commit {
        /// Who.
        member: MemberId,
        /// The generation in which the member got the partitions, or a later one.
        generation: Generation,
        /// What to commit.
        #[serde(borrow)]
        offsets: Cow<'a, [CommitOffset<'a>]>,
    },
    /// Moves a member's own position. `Done`.
    Seek {
        /// Who.
        member: MemberId,
        /// Which topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// Which partition.
        partition: u32,
        /// Where to.
        to: Position,
    },
    /// Moves a group's committed offsets, or tells how it would move them; refused while the group
    /// has members (as `kafka-consumer-groups --reset-offsets` does). `OffsetsReset`.
    ResetOffsets {
        /// Which group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// Which topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// Which partition; None: all of them.
        #[serde(default)]
        partition: Option<u32>,
        /// Where to.
        to: Position,
        /// Whether to tell only what would change.
        #[serde(default)]
        dry_run: bool,
    },
    /// Removes a group and its offsets; refused while it has members. `Done`.
    DeleteGroup {
        /// Which one.
        #[serde(borrow)]
        group: Cow<'a, str>,
    },
    /// Whether to be told of everything that happens, as `Activity` events. `Done`.
    Watch {
        /// On or off.
        on: bool,
    },
    /// Asks for a view of the state. `Inspected`.
    Inspect {
        /// Of what.
        #[serde(borrow)]
        what: Inspect<'a>,
    },
    /// Gives deliveries back that nobody has looked at: ready again in their place, and no attempt
    /// is counted (AMQP 1.0's `released`). `Settled`.
    Release {
        /// Which deliveries.
        #[serde(borrow)]
        leases: Cow<'a, [LeaseId]>,
    },
    /// Gives a queue another policy (SQS's `SetQueueAttributes`): the whole of it, so what is not
    /// named is as the default says. Whether it is FIFO, has priorities, keeps what is settled, has
    /// a single active consumer or is exclusive does not change in a queue's life, and is refused.
    /// `Done`.
    AlterQueue {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it treats its messages from now on.
        #[serde(borrow)]
        policy: QueuePolicy<'a>,
    },
    /// Makes a producer whose batches are numbered, as Kafka's `InitProducerId`. Under a name that
    /// has one already its epoch rises: the older life is fenced, and its open transaction aborted.
    /// `ProducerReady`.
    InitProducer {
        /// Its transactional name (Kafka's `transactional.id`). None: it can number its batches,
        /// and have no transactions.
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
        /// How long a transaction may stay open before the broker aborts it. None: 60 s.
        #[serde(default)]
        timeout: Option<Span>,
        /// Who the caller is until now, if it only wants a new epoch (after an error): refused if
        /// another has taken the name since. None: it takes the name from whoever has it.
        #[serde(default)]
        current: Option<(ProducerId, ProducerEpoch)>,
    },
    /// Commits for a group that has no members: for a consumer that assigns partitions to itself
    /// (Kafka's `OffsetCommit` with generation -1). The group is made if there is none. All or
    /// none, and in any direction. `Done`.
    CommitGroup {
        /// Which group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// What to commit.
        #[serde(borrow)]
        offsets: Cow<'a, [CommitOffset<'a>]>,
    },
    /// Forgets what a group has committed on a topic; refused while a member reads it (Kafka's
    /// `OffsetDelete`). `Count`.
    DeleteOffsets {
        /// Which group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// Which topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// Which partition; None: all of them.
        #[serde(default)]
        partition: Option<u32>,
    },
    /// Commits a group's offsets in a producer's transaction, which it begins if none is open: the
    /// group has them when the transaction commits (Kafka's `TxnOffsetCommit`). `Done`.
    CommitInTransaction {
        /// Whose transaction.
        producer: ProducerId,
        /// In which of its lives.
        epoch: ProducerEpoch,
        /// Which group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// The member that read what was committed, perhaps of another connection, and its
        /// generation: both have to be valid, as in Kafka since KIP-447. None: only the producer's
        /// epoch is looked at, and a group that there is not is made.
        #[serde(default)]
        member: Option<(MemberId, Generation)>,
        /// What to commit.
        #[serde(borrow)]
        offsets: Cow<'a, [CommitOffset<'a>]>,
    },
    /// Ends a producer's transaction: all of it is seen, or nothing. The same again is `Done`, as
    /// long as no other has begun. `Done`.
    EndTransaction {
        /// Whose.
        producer: ProducerId,
        /// In which of its lives.
        epoch: ProducerEpoch,
        /// Commit; else abort.
        commit: bool,
    },
    /// Bounds how many deliveries to all consumers of this connection may be unsettled at once,
    /// beside each consumer's own prefetch (RabbitMQ's `basic.qos` with `global`). Receives and
    /// what is settled automatically do not count. `Done`.
    Prefetch {
        /// How many; 0: no bound.
        max: u32,
    },
    /// Changes how a topic keeps its records, from now on: all of the policy. `Done`.
    AlterTopic {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// How it keeps its records.
        #[serde(default)]
        policy: TopicPolicy,
    },
    /// Gives a topic more partitions; keys may then go to others than before, as in Kafka. Groups
    /// that read it share it out anew. `Done`.
    AddPartitions {
        /// Which one.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// How many it has then, more than now.
        partitions: u32,
    },
    /// Deletes the records of a partition before a position (Kafka's DeleteRecords). `Done`.
    DeleteRecords {
        /// Which topic.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// Which partition.
        partition: u32,
        /// The first that stays; `Latest`: none, but what open transactions wrote.
        before: Position,
    },
    /// Makes a work group: workers that take a topic's records one by one, as from a queue, beside
    /// whoever reads the topic as a stream (Kafka's share groups). What takes a queue's name to
    /// consume, receive, purge or inspect takes the group's name as well; its parts, one a partition,
    /// are `name/0`, `name/1` and so on. The same again is `Done`. `Done`.
    CreateWorkGroup {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// The topic to work on.
        #[serde(borrow)]
        topic: Cow<'a, str>,
        /// How it treats its messages; what is about storing them is refused.
        #[serde(borrow, default)]
        policy: QueuePolicy<'a>,
        /// Where it begins in each partition.
        from: Position,
    },
    /// Reads a queue that keeps what is settled ([`QueuePolicy::keep`]) from an offset, as if it
    /// were a partition. Nothing is leased or settled by it. `ReadDone`.
    Replay {
        /// Which queue.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// From where.
        from: Position,
        /// At most this many records, at least 1.
        records_max: u32,
        /// At most these bytes of records, after the first; None: as many as one read may have.
        #[serde(default)]
        bytes_max: Option<u32>,
    },
    /// Removes a work group; its consumers are cancelled, and the records stay. `Done`.
    DeleteWorkGroup {
        /// Which one.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// A member of a group that shares out by `CooperativeSticky` has given up what an assignment
    /// did not name any more: it reads no more of it, and has committed. It may go to its next
    /// owner now. `Done`.
    Revoked {
        /// Who.
        member: MemberId,
        /// The generation of the assignment.
        generation: Generation,
    },
    /// Starts a job that redrives what is ready in a queue and was there when it began, in small
    /// steps and over restarts (SQS's `StartMessageMoveTask`). One job for each queue.
    /// `RedriveStarted`; at its end `RedriveEnded`, if the connection is still there.
    StartRedrive {
        /// Where the messages are.
        #[serde(borrow)]
        queue: Cow<'a, str>,
        /// Which of them: those of which all of this holds.
        #[serde(default)]
        filter: Vec<Condition<'a>>,
        /// Where to; None: each to the queue it last died in.
        #[serde(borrow, default)]
        to: Option<Cow<'a, str>>,
        /// At most so many messages a second; None: as fast as steps go.
        #[serde(default)]
        rate: Option<u32>,
        /// Whether to count, and show the first of them, but move none.
        #[serde(default)]
        dry_run: bool,
    },
    /// Stops a job; what it moved stays moved. `Count`, of messages moved.
    StopRedrive {
        /// Which.
        redrive: RedriveId,
    },
    /// Joins a group whose members assign, making it if there is none; or joins it again (Kafka's
    /// `JoinGroup`). It waits until all have joined, or their time is up: then `JoinedClassic`. A
    /// member's own partitions it reads with `Read`. While the group has members it is either such
    /// a group, or one in which the broker assigns; the other way of joining is refused.
    ///
    /// A member gets its number with the answer: one whose connection closes before is out at once,
    /// so that there is no need to ask for a number first (Kafka's `MEMBER_ID_REQUIRED`, KIP-394).
    /// The number is good for this life of the broker ([`crate::Event::Opened`] says which). It is
    /// not bound to the connection: whoever names it speaks for the member.
    JoinClassic {
        /// The group's name.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// Who joins again. None: a new member, or a static one that comes back.
        #[serde(default)]
        member: Option<MemberId>,
        /// Makes the member static, as in `Join`. It comes back without a number, to what it had;
        /// if the protocol stays the same, without a rebalance.
        #[serde(borrow, default)]
        instance: Option<Cow<'a, str>>,
        /// What kind of group it is: "consumer", "connect". One that has members stays what it is.
        #[serde(borrow)]
        protocol_type: Cow<'a, str>,
        /// What the member supports, what it likes best first: at least one that all others do.
        #[serde(borrow)]
        protocols: Cow<'a, [Protocol<'a>]>,
        /// Without a word for this long the member is out. None: 45 s.
        #[serde(default)]
        session_timeout: Option<Span>,
        /// How long the others wait for it to join again, and then to sync, before it is out.
        /// None: 60 s.
        #[serde(default)]
        rebalance_timeout: Option<Span>,
        /// How long a group without members waits for others when this one comes; as long again
        /// if some do, up to the rebalance timeout. None: 3 s (Kafka's
        /// `group.initial.rebalance.delay.ms`).
        #[serde(default)]
        initial_delay: Option<Span>,
    },
    /// Asks for a member's assignment in a group whose members assign; the leader brings them
    /// (Kafka's `SyncGroup`). It waits for the leader's: then `Synced`.
    Sync {
        /// Who.
        member: MemberId,
        /// The generation that it joined.
        generation: Generation,
        /// What the caller takes the group's type to be; refused if it is another (KIP-559).
        #[serde(borrow, default)]
        protocol_type: Option<Cow<'a, str>>,
        /// The protocol that the caller was told.
        #[serde(borrow, default)]
        protocol: Option<Cow<'a, str>>,
        /// Of the leader: what each member gets; who is not named gets nothing. Of others it is not
        /// looked at.
        #[serde(borrow, default)]
        assignments: Cow<'a, [MemberAssignment<'a>]>,
    },
    /// Puts members out of a group, whoever they belong to (Kafka's `LeaveGroup` for several
    /// members, and its `removeMembersFromConsumerGroup`). Their connections are told `Expelled`.
    /// `MembersRemoved`.
    RemoveMembers {
        /// Which group.
        #[serde(borrow)]
        group: Cow<'a, str>,
        /// Whom.
        #[serde(borrow)]
        members: Cow<'a, [MemberName<'a>]>,
    },
    /// Reads other topics from now on: a member of a group in which the broker assigns. What it
    /// reads no longer goes to others; if anything changes, the group shares out anew. `Done`.
    Subscribe {
        /// Who.
        member: MemberId,
        /// All topics that it reads: at least one.
        #[serde(borrow)]
        topics: Cow<'a, [Cow<'a, str>]>,
    },
    /// Reads several partitions from offsets, without a group; or waits until they have enough
    /// together (Kafka's Fetch). Where one of them cannot be read it does not wait. `FetchDone`.
    Fetch {
        /// Which, and from where: the first ones are served first.
        #[serde(borrow)]
        reads: Cow<'a, [ReadFrom<'a>]>,
        /// How much, of all of them together, and how long it may wait for that.
        #[serde(default)]
        budget: Budget,
    },
}

impl<'a> Op<'a> {
    /// A publish with nothing but what every publish has.
    pub fn publish(to: Target<'a>, confirm: bool, records: Records<'a>) -> Op<'a> {
        Op::Publish {
            to,
            confirm,
            unroutable: Unroutable::Refuse,
            records,
            by: None,
            transactional: false,
        }
    }
}
