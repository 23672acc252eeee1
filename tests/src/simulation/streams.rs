//! The cast for what topics can do: retention, compaction with tombstones, deleted records, groups
//! that give up first what moves, and work groups beside them.

use fanlight_core::{
    Batch, Destination, Offset, Op, Position, QueueKind, QueuePolicy, Span, Target, Timestamps,
    TopicPolicy,
};

use super::actor::{Goods, Role};
use super::cast::{Cast, bind, fanout, queue};
use crate::dice::Dice;

pub(super) fn cast(dice: &mut Dice) -> Cast {
    let roles = vec![
        Role::Admin,
        Role::Deleter,
        Role::Redriver,
        Role::Producer(Goods::Records),
        Role::Producer(Goods::Records),
        Role::Teller("teller-1"),
        Role::Teller("teller-2"),
        Role::Reader(&["events", "state"]),
        Role::Reader(&["events", "state"]),
        Role::Reader(&["events"]),
        Role::Worker("packers"),
        Role::Worker("packers"),
        Role::Worker("mailers"),
        Role::Worker("again"),
    ];
    let work_group = |name: &'static str, topic: &'static str, from, policy| Op::CreateWorkGroup {
        name: name.into(),
        topic: topic.into(),
        policy,
        from,
    };
    let topic = |name: &'static str, partitions, policy| Op::CreateTopic {
        name: name.into(),
        partitions,
        policy,
    };
    let from = *dice.pick(&[Position::Earliest, Position::Latest]);
    let again = QueuePolicy { visibility: Span::from_millis(100), ..QueuePolicy::default() };
    let declared = vec![
        bind("feed", Destination::Topic("state".into())),
        bind("feed", Destination::Topic("events".into())),
        bind("feed", Destination::Queue("again".into())),
        fanout("feed"),
        work_group("mailers", "state", Position::Earliest, worked(dice)),
        work_group("packers", "events", from, worked(dice)),
        topic("state", 2, compacted(dice)),
        topic("events", 3, retained(dice)),
        queue("again", again),
        queue("dead", QueuePolicy::default()),
    ];
    Cast { roles, declared, rests: true }
}

fn worked(dice: &mut Dice) -> QueuePolicy<'static> {
    let is_fifo = dice.percent(40);
    QueuePolicy {
        visibility: Span::from_millis(100),
        deliveries_max: Some(dice.between(2, 4) as u32),
        dead_letter: Some("dead".into()),
        retry_delay: Span::from_millis(*dice.pick(&[0, 5, 40])),
        kind: if is_fifo { QueueKind::Fifo } else { QueueKind::Standard },
        ttl: dice.percent(20).then(|| Span::from_millis(300)),
        delay: Span::from_millis(*dice.pick(&[0, 0, 30])),
        ..QueuePolicy::default()
    }
}

/// The oldest go, by time or by bytes.
fn retained(dice: &mut Dice) -> TopicPolicy {
    let by_time = dice.percent(60);
    let by_bytes = dice.percent(40);
    TopicPolicy {
        retention: by_time.then(|| Span::from_millis(*dice.pick(&[150, 1_000, 8_000]))),
        retention_bytes: by_bytes.then(|| *dice.pick(&[60, 300, 1_000])),
        timestamps: *dice.pick(&[Timestamps::Producer, Timestamps::Broker]),
        ..TopicPolicy::default()
    }
}

/// The newest of each key stays.
fn compacted(dice: &mut Dice) -> TopicPolicy {
    TopicPolicy {
        compact: true,
        tombstone_retention: Span::from_millis(*dice.pick(&[0, 500, 5_000])),
        retention: dice.percent(20).then(|| Span::from_millis(9_000)),
        ..TopicPolicy::default()
    }
}

/// Publishes records with few keys, tombstones among them.
pub(super) fn publish(dice: &mut Dice, bodies: &mut u64) -> Op<'static> {
    let to = match dice.below(6) {
        0 | 1 => Target::Topic { name: "events".into(), partition: None },
        2 => Target::Topic { name: "events".into(), partition: Some(dice.below(3) as u32) },
        3 => Target::Exchange { name: "feed".into(), routing_key: "".into() },
        _ => Target::Topic { name: "state".into(), partition: None },
    };
    let is_plain = matches!(&to, Target::Topic { name, .. } if name == "events");
    let mut batch = Batch::new();
    for _ in 0..dice.between(1, 4) {
        *bodies += 1;
        let key = [b'a' + dice.below(6) as u8];
        let key = (!is_plain || dice.percent(70)).then_some(&key[..]);
        let body = if !is_plain && dice.percent(20) { String::new() } else { format!("m{bodies}") };
        batch.push(key, [], None, body.as_bytes()).expect("it is well formed");
    }
    let records = batch.finish().expect("there is a record");
    Op::publish(to, dice.percent(90), records)
}

/// Deletes the oldest records of a partition.
pub(super) fn delete(dice: &mut Dice) -> Op<'static> {
    let (topic, partitions) = *dice.pick(&[("events", 3), ("state", 2)]);
    let before = Position::At(Offset(dice.below(60)));
    Op::DeleteRecords {
        topic: topic.into(),
        partition: dice.below(partitions) as u32,
        before: *dice.pick(&[before, before, Position::Latest]),
    }
}
