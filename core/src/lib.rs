#![no_std]
#![warn(missing_docs)]
//! # fanlight-core: the broker, without any I/O
//!
//! One deterministic state machine for queues and streams. It owns no socket, no file, no clock and
//! no source of randomness: whoever drives it hands in inputs with their times, and gets effects.

extern crate alloc;

mod activity;
mod broker;
pub mod codec;
mod effect;
mod event;
mod exchange;
mod fact;
mod group;
mod id;
mod input;
pub mod limits;
mod log;
mod murmur2;
mod queue;
mod record;
mod refusal;
mod request;
mod rng;
mod time;
mod timer;
mod topic;
mod view;
mod work;

pub use activity::{Activity, LeaveReason};
pub use broker::{Broker, Config, LoadError, Violation};
pub use effect::{CloseReason, Effect, Sink};
pub use event::{Assignment, Delivery, Event, Fetched};
pub use fact::Fact;
pub use id::{
    Append, ConnId, ConsumerId, Epoch, Generation, GroupId, LeaseId, MemberId, Offset, Place,
    QueueId, Tag, TopicId,
};
pub use input::Input;
pub use limits::Limits;
pub use murmur2::partition_of;
pub use record::{Batch, Headers, Malformed, RawRecord, Record, Records};
pub use refusal::{Code, Refusal};
pub use request::{
    Assignor, CommitOffset, Destination, ExchangeKind, Inspect, Op, PROTOCOL, Pick, Position,
    QueuePolicy, Request, Session, Start, Target,
};
pub use time::{Span, Time};
pub use view::{
    Attempt, AttemptEnd, BindingView, ConnectionView, ConsumerView, DeadlineReason, Death,
    DeathReason, ExchangeView, GroupPartitionView, GroupView, MemberView, MessageState,
    MessageView, Overview, PartitionView, QueueView, TopicView, View,
};
