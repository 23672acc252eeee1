//! The order flow: which exchange, topic and queues there are, and who works on them.

use std::borrow::Cow;
use std::rc::Rc;

use fanlight_core::{Destination, ExchangeKind, Op, QueuePolicy, Span};

use super::actor::{Actor, Job};
use super::member::Member;
use super::orders::Order;
use super::shop::Shop;
use super::worker::Worker;
use crate::picture::{ActorId, Tuning};

/// Where orders are published. Not named as the topic is, so that a command line that is told only a
/// name knows which is meant.
pub const EXCHANGE: &str = "events";
/// The topic that keeps every order, in partitions by order number.
pub const TOPIC: &str = "orders";
/// The queue in which each order waits to be shipped.
pub const QUEUE: &str = "shipping";
/// Where orders that cannot be shipped come to lie.
pub const DEAD: &str = "shipping.dead";
/// What both are bound by.
pub const PATTERN: &str = "order.#";
/// Partitions of the topic.
pub const PARTITIONS: u32 = 3;
/// How long a worker may hold an order. Short, so that it can be watched running out.
pub const VISIBILITY: Span = Span::from_secs(4);
/// How often shipping an order is tried.
pub const DELIVERIES_MAX: u32 = 3;
/// How long a failed order waits before it is tried again.
pub const RETRY_DELAY: Span = Span::from_secs(1);
/// Actors there may be, so that a page does not drown in them.
pub const ACTORS_MAX: usize = 32;

/// The requests that make the topology. Each is answered `Done` where it is there already.
pub(crate) fn topology() -> Vec<Op<'static>> {
    let policy = QueuePolicy {
        visibility: VISIBILITY,
        deliveries_max: Some(DELIVERIES_MAX),
        dead_letter: Some(DEAD.into()),
        retry_delay: RETRY_DELAY,
        ..QueuePolicy::default()
    };
    let bind = |to| Op::Bind {
        exchange: EXCHANGE.into(),
        to,
        pattern: PATTERN.into(),
        headers: Default::default(),
    };
    vec![
        Op::DeclareExchange {
            name: EXCHANGE.into(),
            kind: ExchangeKind::Topic,
            policy: Default::default(),
        },
        Op::CreateTopic { name: TOPIC.into(), partitions: PARTITIONS, policy: Default::default() },
        Op::DeclareQueue { name: DEAD.into(), policy: QueuePolicy::default() },
        Op::DeclareQueue { name: QUEUE.into(), policy },
        bind(Destination::Topic(Cow::Borrowed(TOPIC))),
        bind(Destination::Queue(Cow::Borrowed(QUEUE))),
    ]
}

/// A producer's settings.
const SHOP: Tuning =
    Tuning { rate: 2.0, work_ms: 0, commit_every: 0, commit_first: false, prefetch: 0 };

fn reader(work_ms: u64, commit_every: u32) -> Tuning {
    Tuning { rate: 0.0, work_ms, commit_every, commit_first: false, prefetch: 4 }
}

/// A worker's settings: two in three of its time it is busy, so that leases can be seen.
const SHIPPER: Tuning =
    Tuning { rate: 0.0, work_ms: 1_000, commit_every: 0, commit_first: false, prefetch: 1 };

/// Everyone in the order flow, not yet started.
pub(crate) fn cast(seed: u64, orders: Rc<[Order]>) -> Vec<Actor> {
    let member = |id, group, name: &str, tag: &str, work_ms, every| {
        let job = Job::Member(Member::new(group, TOPIC));
        Actor::new(seed, ActorId(id), name, tag, job, reader(work_ms, every))
    };
    let worker = |id, n: u32| {
        let job = Job::Worker(Worker::new(QUEUE));
        let (name, tag) = (format!("shipper {n}"), format!("S{n}"));
        Actor::new(seed, ActorId(id), &name, &tag, job, SHIPPER)
    };
    vec![
        Actor::new(seed, ActorId(1), "shop", "@", Job::Shop(Shop::new(orders)), SHOP),
        member(2, "payment", "payment", "P", 300, 6),
        member(3, "inventory", "inventory 1", "I1", 450, 5),
        member(4, "inventory", "inventory 2", "I2", 450, 5),
        member(5, "analytics", "analytics", "A", 120, 8),
        worker(6, 1),
        worker(7, 2),
        worker(8, 3),
    ]
}

/// One more worker for shipping; `nth` counts from 1.
pub(crate) fn another_worker(seed: u64, id: ActorId, nth: usize) -> Actor {
    let job = Job::Worker(Worker::new(QUEUE));
    Actor::new(seed, id, &format!("shipper {nth}"), &format!("S{nth}"), job, SHIPPER)
}

/// One more member for a group; `nth` counts from 1.
pub(crate) fn another_member(seed: u64, id: ActorId, group: &str, nth: usize) -> Actor {
    let job = Job::Member(Member::new(group, TOPIC));
    let letter: String = group.chars().take(1).flat_map(char::to_uppercase).collect();
    Actor::new(seed, id, &format!("{group} {nth}"), &format!("{letter}{nth}"), job, reader(300, 6))
}
