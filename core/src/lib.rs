#![no_std]
#![warn(missing_docs)]
//! # fanlight-core: a message broker without any I/O
//!
//! One deterministic state machine for queues and streams: RabbitMQ's exchanges, acknowledgements
//! and dead letters, Kafka's partitioned logs and consumer groups, SQS's visibility timeouts. It
//! owns no socket, no file, no clock and no randomness; the native server, a browser tab and a
//! Node process drive the same code and get the same effects, byte for byte.
//!
//! ## The contract
//!
//! A driver hands in [`Input`]s with their times and gets [`Effect`]s, in order:
//!
//! ```
//! use fanlight_core::{
//!     Batch, Broker, Config, ConnId, Effect, Event, Input, Op, PROTOCOL, Request, Session, Span,
//!     Tag, Target, Time,
//! };
//!
//! let mut broker = Broker::new(Config::default(), Time::ZERO);
//! let (mut journal, mut attempts) = (Vec::new(), Vec::new());
//! let mut drive = |now: Time, input: Input<'_>| {
//!     broker.apply(now, input, &mut |effect: Effect<'_>| match effect {
//!         Effect::Fact(fact) => fanlight_core::codec::encode_fact(&fact, &mut journal),
//!         Effect::Tell(_, Event::Delivered { deliveries, .. }) => {
//!             attempts.extend(deliveries.iter().map(|delivery| delivery.attempt));
//!         }
//!         Effect::Tell(..) | Effect::Close(..) => {}
//!     });
//!     broker.deadline()
//! };
//! let me = ConnId(1);
//! let ask = |op| Input::Request(me, Request { tag: Tag(1), op });
//!
//! drive(Time::ZERO, Input::Open(me, Session { protocol: PROTOCOL, client: "me".into() }));
//! drive(Time::ZERO, ask(Op::DeclareQueue { name: "jobs".into(), policy: Default::default() }));
//! drive(Time::ZERO, ask(Op::Consume { queue: "jobs".into(), prefetch: 1, visibility: None, auto_ack: false, exclusive: false }));
//! let records = Batch::new().push_body(b"hello").finish().expect("one record");
//! let to = Target::Queue { name: "jobs".into() };
//! let due = drive(Time::ZERO, ask(Op::publish(to, true, records)));
//!
//! // Nobody acknowledges it. When the lease ends, it is delivered again.
//! let (lease_ends, _why) = due.expect("a lease runs");
//! assert_eq!(lease_ends, Time::ZERO + Span::from_secs(30));
//! drive(lease_ends, Input::Tick);
//! assert_eq!(attempts, [1, 2]);
//! ```
//!
//! 1. **Time belongs to the caller.** [`Broker::deadline`] says when a [`Input::Tick`] is due; a
//!    tick too early or too late does no harm. A test advances thirty seconds in no time.
//! 2. **Position is the condition.** A [`Effect::Tell`] may leave the process once every
//!    [`Effect::Fact`] before it is as durable as the driver promises. The core knows no disks.
//! 3. **Facts are the truth.** Durable state changes only in [`Broker::restore`], live and at
//!    recovery alike: load the last [`Broker::snapshot`], restore the facts that came after it, go
//!    on. Connections, leases, members and positions are volatile: what was leased is ready again.
//! 4. **Nothing fails.** A client's mistake is an [`Event::Refused`] with a stable number and a
//!    sentence, and has changed nothing. A mistake of ours is a [`Violation`], and a panic.
//! 5. **The same inputs give the same effects**, on every machine and in wasm.
//!
//! ## The modules
//!
//! | what goes in and out | |
//! |---|---|
//! | `input` `request` `event` `refusal` `effect` `fact` | everything that crosses the boundary |
//! | `activity` `view` `measure` | what happens, as sentences; what is, as pictures and as numbers |
//! | `record` | records and batches, in the one encoding they keep everywhere |
//! | [`codec`] | frames around all of these, for sockets, wasm, journal and traces |
//!
//! | the model | |
//! |---|---|
//! | `log` | records with rising offsets, held as the batches they came in; gaps where some went |
//! | `cleaner` | which records of a compacted partition are the newest of their key |
//! | `work` | which messages of a log are ready, leased, delayed: one by one |
//! | `queue` `topic` `group` `exchange` | what is made of these |
//! | `classic` | a group whose members assign: who joined, who leads, what is waited for |
//! | `producer` `transaction` | who numbers what is published, and what is decided at once |
//! | `policy` | how a queue treats its messages, and a topic keeps its records |
//! | `assign` | which member of a group should read which partition |
//! | `broker` and its modules | the handlers: each decides, and announces facts; `evolve` makes them true |
//! | `timer` | the wheel that holds everything that is due later |
//! | [`limits`] | a bound for everything that could grow |

extern crate alloc;

mod activity;
mod assign;
mod broker;
mod classic;
mod cleaner;
pub mod codec;
mod death;
mod effect;
mod event;
mod exchange;
mod fact;
mod group;
mod held;
mod home;
mod id;
mod input;
mod journey;
pub mod limits;
mod log;
mod map;
mod measure;
mod murmur2;
#[doc(hidden)]
pub mod planted;
mod policy;
mod producer;
mod queue;
mod record;
mod refusal;
mod request;
mod rng;
mod sameness;
mod set;
mod sort;
mod time;
mod timer;
mod topic;
mod transaction;
mod via;
mod view;
mod work;

pub use activity::{Activity, LeaveReason, Loss, RebalanceCause, TransactionEnd, TrimReason};
pub use broker::{Broker, Config, LoadError, Violation};
pub use death::deaths;
pub use effect::{CloseReason, Effect, Sink};
pub use event::{
    Assignment, Delivery, Duplicate, Event, Fetched, NotRemoved, OffsetChange, PartitionRead,
    Proposal,
};
pub use fact::{Away, ExchangeSetting, Fact, Numbered, Stored, StoredCommit, Via, Written};
pub use home::{Home, Homes};
pub use id::{
    Append, ConnId, ConsumerId, Epoch, Generation, GroupId, LeaseId, MemberId, Offset, Place,
    ProducerEpoch, ProducerId, QueueId, RedriveId, Tag, TopicId,
};
pub use input::Input;
pub use limits::Limits;
pub use measure::{
    Counts, GroupMeasure, LagMeasure, Measures, PartMeasure, PartitionMeasure, QueueMeasure,
    WorkMeasure,
};
pub use murmur2::partition_of;
pub use policy::first::QueuePolicy as FirstQueuePolicy;
pub use policy::{
    Backoff, Deduplication, Keep, Overflow, QueueKind, QueuePolicy, QueueSetting, Sameness,
    Timestamps, TopicPolicy, TopicSetting,
};
pub use record::{Batch, Headers, Malformed, Options, RawRecord, Record, Records};
pub use refusal::{Code, Refusal};
pub use request::{
    Assignor, Budget, CommitOffset, Condition, Destination, ExchangeKind, ExchangePolicy,
    HeaderMatch, Inspect, Isolation, Listed, MatchMode, MemberAssignment, MemberName, Op, PROTOCOL,
    Pick, Position, Protocol, ReadFrom, Request, Sequenced, Session, Start, Target, Unroutable,
    WantedHeader,
};
pub use sameness::{Remembered, Sign};
pub use time::{Span, Time};
pub use view::{
    Attempt, AttemptEnd, BindingView, ClassicView, ConnectionDetail, ConnectionView, ConsumerView,
    DeadlineReason, Death, DeathReason, DueView, ExchangeView, GroupMemberView, GroupPartitionView,
    GroupState, GroupSummary, GroupView, Happened, HoldsView, JourneyStep, JourneyView, MemberView,
    MessageState, MessageView, Overview, Page, PartitionView, ProducerView, QueueConsumerView,
    QueueView, RedriveState, RedriveView, SequenceView, TopicView, TransactionView, View, WaitView,
    WorkGroupView, WriteView,
};
