//! The cast for what queues can do: messages that wait and grow old, message groups, priorities,
//! deduplication, bounds, and jobs that redrive what died of it.

use fanlight_core::{
    Backoff, Batch, Condition, DeathReason, Deduplication, Destination, Keep, Op, Options,
    Overflow, Pick, QueueKind, QueuePolicy, RedriveId, Sameness, Span, Target,
};

use super::actor::{Goods, Role};
use super::cast::{Cast, bind, fanout, queue};
use crate::dice::Dice;

/// Ids that come again and again.
const IDS: u64 = 10;

pub(super) fn cast(dice: &mut Dice) -> Cast {
    let roles = vec![
        Role::Admin,
        Role::Redriver,
        Role::Producer(Goods::Parcels),
        Role::Producer(Goods::Parcels),
        Role::Worker("brief"),
        Role::Worker("brief"),
        Role::Worker("lanes"),
        Role::Worker("lanes"),
        Role::Worker("lanes"),
        Role::Worker("urgent"),
        Role::Worker("urgent"),
    ];
    let declared = vec![
        bind("all", Destination::Queue("urgent".into())),
        bind("all", Destination::Queue("lanes".into())),
        bind("all", Destination::Queue("brief".into())),
        fanout("all"),
        queue("urgent", urgent(dice)),
        queue("lanes", lanes(dice)),
        queue("brief", brief(dice)),
        bind("graves", Destination::Queue("dead".into())),
        fanout("graves"),
        queue("dead", QueuePolicy::default()),
    ];
    Cast { roles, declared, rests: true }
}

fn base(dice: &mut Dice) -> QueuePolicy<'static> {
    let by_exchange = dice.percent(30);
    let keeps = dice.percent(20);
    QueuePolicy {
        visibility: Span::from_millis(100),
        deliveries_max: Some(dice.between(1, 4) as u32),
        dead_letter: (!by_exchange).then(|| "dead".into()),
        dead_letter_exchange: by_exchange.then(|| "graves".into()),
        retry_delay: Span::from_millis(*dice.pick(&[0, 5, 40])),
        keep: keeps.then(|| Keep { time: Some(Span::from_millis(300)), bytes: None }),
        ..QueuePolicy::default()
    }
}

/// What waits too long is gone.
fn brief(dice: &mut Dice) -> QueuePolicy<'static> {
    let mut policy = base(dice);
    if dice.percent(30) {
        (policy.deliveries_max, policy.dead_letter, policy.dead_letter_exchange) =
            (None, None, None);
    }
    policy.ttl = dice.percent(80).then(|| Span::from_millis(*dice.pick(&[30, 100, 300])));
    policy.delay = Span::from_millis(*dice.pick(&[0, 10, 60]));
    if dice.percent(30) {
        policy.messages_max = Some(dice.between(3, 12));
        policy.overflow = *dice.pick(&[Overflow::Refuse, Overflow::DropOldest]);
    }
    policy
}

/// Message groups, each in its order.
fn lanes(dice: &mut Dice) -> QueuePolicy<'static> {
    let by = *dice.pick(&[Sameness::Id, Sameness::Content]);
    let window = Span::from_millis(*dice.pick(&[200, 1_000, 5_000]));
    let recognises = dice.percent(70);
    QueuePolicy {
        kind: QueueKind::Fifo,
        deduplication: recognises.then_some(Deduplication { window, by }),
        delay: Span::from_millis(*dice.pick(&[0, 0, 20])),
        ttl: dice.percent(20).then(|| Span::from_millis(200)),
        ..base(dice)
    }
}

/// What is urgent goes first; what is too much dies, or is refused.
fn urgent(dice: &mut Dice) -> QueuePolicy<'static> {
    let mut policy =
        QueuePolicy { priorities: 3, single_active: dice.percent(40), jitter: 20, ..base(dice) };
    if policy.retry_delay == Span::ZERO {
        policy.jitter = 0;
    } else if dice.percent(50) {
        policy.backoff = Backoff::Exponential { max: Span::from_millis(100) };
    }
    if dice.percent(50) {
        policy.messages_max = Some(dice.between(3, 12));
        policy.overflow =
            *dice.pick(&[Overflow::Refuse, Overflow::DropOldest, Overflow::DeadLetter]);
    }
    policy
}

/// Publishes messages with options of all kinds.
pub(super) fn publish(dice: &mut Dice, bodies: &mut u64) -> Op<'static> {
    let mut batch = Batch::new();
    for _ in 0..dice.between(1, 4) {
        *bodies += 1;
        let key = [b'a' + dice.below(4) as u8];
        let key = dice.percent(80).then_some(&key[..]);
        let id = format!("i{}", dice.below(IDS));
        let ttl = dice.percent(20).then(|| Span::from_millis(*dice.pick(&[0, 20, 100, 1_000])));
        let delay = dice.percent(20).then(|| Span::from_millis(*dice.pick(&[0, 15, 80, 400])));
        let options = Options {
            ttl,
            delay,
            priority: dice.percent(40).then(|| dice.below(5) as u8),
            id: dice.percent(60).then_some(id.as_bytes()),
        };
        let body = format!("m{bodies}");
        batch.push_with(key, [], None, &options, body.as_bytes()).expect("it is well formed");
    }
    let to = match dice.below(5) {
        0 => Target::Queue { name: "brief".into() },
        1 | 2 => Target::Queue { name: "lanes".into() },
        3 => Target::Queue { name: "urgent".into() },
        _ => Target::Exchange { name: "all".into(), routing_key: "".into() },
    };
    let records = batch.finish().expect("there is a record");
    Op::publish(to, dice.percent(90), records)
}

/// Drives back what died: by a job, or at once.
pub(super) fn redrive(dice: &mut Dice, job: Option<RedriveId>) -> Op<'static> {
    let to = dice.percent(40).then(|| (*dice.pick(&["lanes", "urgent"])).into());
    if let Some(redrive) = job.filter(|_| dice.percent(20)) {
        return Op::StopRedrive { redrive };
    }
    if dice.percent(25) {
        let pick = Pick::Oldest { messages_max: dice.between(1, 4) as u32 };
        return Op::Redrive { queue: "dead".into(), pick, to };
    }
    let reasons = [DeathReason::Expired, DeathReason::DeliveriesExhausted, DeathReason::Rejected];
    let filter = dice.percent(30).then(|| Condition::Reason(*dice.pick(&reasons)));
    Op::StartRedrive {
        queue: "dead".into(),
        filter: filter.into_iter().collect(),
        to,
        rate: dice.percent(60).then(|| *dice.pick(&[5, 20, 200])),
        dry_run: dice.percent(15),
    }
}
