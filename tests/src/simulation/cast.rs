//! Who takes part in a simulation, and what they need: a part of all there is for each seed, so that
//! what concerns each other meets often.

use fanlight_core::{Batch, Destination, ExchangeKind, Op, QueuePolicy, Span, Target};

use super::actor::{Goods, Role};
use super::{queues, streams};
use crate::dice::Dice;

/// The part of a seed.
pub(super) struct Cast {
    pub(super) roles: Vec<Role>,
    /// What everybody needs, the last first.
    pub(super) declared: Vec<Op<'static>>,
    /// Whether now and then nobody does anything for long, so that what is due much later comes.
    pub(super) rests: bool,
}

impl Cast {
    pub(super) fn of(seed: u64) -> Cast {
        let mut dice = Dice::new(!seed);
        match seed % 4 {
            2 => queues::cast(&mut dice),
            3 => streams::cast(&mut dice),
            _ => everyday(),
        }
    }
}

/// Plain queues and a topic, numbered batches and transactions.
fn everyday() -> Cast {
    let roles = vec![
        Role::Admin,
        Role::Producer(Goods::Everyday),
        Role::Producer(Goods::Everyday),
        Role::Worker("jobs"),
        Role::Worker("jobs"),
        Role::Worker("copy"),
        Role::Reader(&["events"]),
        Role::Reader(&["events"]),
        Role::Reader(&["events"]),
        Role::Numbered,
        Role::Copier("copier-1"),
        Role::Copier("copier-2"),
        Role::Worker("copies"),
    ];
    let jobs = QueuePolicy {
        visibility: Span::from_millis(100),
        deliveries_max: Some(3),
        dead_letter: Some("dead".into()),
        retry_delay: Span::from_millis(5),
        ..QueuePolicy::default()
    };
    let copy = QueuePolicy { visibility: Span::from_millis(100), ..QueuePolicy::default() };
    let declared = vec![
        bind("all", Destination::Topic("events".into())),
        bind("all", Destination::Queue("copy".into())),
        bind("all", Destination::Queue("jobs".into())),
        fanout("all"),
        Op::CreateTopic { name: "events".into(), partitions: 3, policy: Default::default() },
        queue("copies", copy.clone()),
        queue("copy", copy),
        queue("jobs", jobs),
        queue("dead", QueuePolicy::default()),
    ];
    Cast { roles, declared, rests: false }
}

/// Publishes to what the everyday cast has.
pub(super) fn publish(dice: &mut Dice, bodies: &mut u64) -> Op<'static> {
    let mut batch = Batch::new();
    for _ in 0..dice.between(1, 4) {
        *bodies += 1;
        let key = [b'a' + dice.below(8) as u8];
        let key = dice.percent(70).then_some(&key[..]);
        batch.push(key, [], None, format!("m{bodies}").as_bytes()).expect("it is well formed");
    }
    let to = match dice.below(3) {
        0 => Target::Queue { name: "jobs".into() },
        1 => Target::Exchange { name: "all".into(), routing_key: "".into() },
        _ => Target::Topic { name: "events".into(), partition: None },
    };
    let records = batch.finish().expect("there is a record");
    Op::publish(to, dice.percent(90), records)
}

pub(super) fn queue(name: &'static str, policy: QueuePolicy<'static>) -> Op<'static> {
    Op::DeclareQueue { name: name.into(), policy }
}

pub(super) fn fanout(name: &'static str) -> Op<'static> {
    let policy = Default::default();
    Op::DeclareExchange { name: name.into(), kind: ExchangeKind::Fanout, policy }
}

pub(super) fn bind(exchange: &'static str, to: Destination<'static>) -> Op<'static> {
    Op::Bind { exchange: exchange.into(), to, pattern: "".into(), headers: Default::default() }
}
