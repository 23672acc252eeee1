use std::collections::BTreeMap;

use fanlight_core::AttemptEnd;

use super::*;
use crate::picture::{ActorState, HopKind, LineKind, Spot};

#[test]
fn an_order_published_once_reaches_every_group_and_the_queue_by_itself() {
    let mut world = World::in_page(1);
    world.advance(Span::from_secs(20));
    let picture = world.picture();
    assert!(picture.ledger.published >= 30, "two orders a second: {}", picture.ledger.published);
    for name in ["payment", "inventory", "analytics", "shipping"] {
        let row = row(&world, name);
        assert_eq!(row.came, picture.ledger.published, "{name}");
        assert!(row.processed + 10 >= row.came, "{name} keeps up: {row:?}");
        assert_eq!((row.again, row.lost), (0, 0), "{name}");
    }
    let story = picture.story_at(&in_shipping(Offset(0))).and_then(|id| picture.story(id));
    let story = story.expect("the first order is remembered");
    assert_eq!(&*story.called, "order 537240");
    assert_eq!(story.places.len(), 2, "one message, in the queue and in the topic");
    picture_is_true(&mut world);
}

#[test]
fn stopping_analytics_holds_up_nobody_and_it_catches_up() {
    let mut world = World::in_page(2);
    world.advance(Span::from_secs(5));
    world.act(Act::Stop { actor: ANALYTICS }).unwrap();
    world.advance(Span::from_secs(1));
    assert_eq!(actor(&world, ANALYTICS).state, ActorState::Stopped);
    let before = world.picture().ledger.published;
    world.advance(Span::from_secs(20));
    let missed = world.picture().ledger.published - before;
    assert!(missed > 25);
    assert!(lag(&world, "analytics") >= missed);
    assert!(lag(&world, "payment") < 12 && lag(&world, "inventory") < 14);
    assert!(row(&world, "shipping").outstanding < 8);
    world.act(Act::Start { actor: ANALYTICS }).unwrap();
    world.advance(Span::from_secs(15));
    assert!(lag(&world, "analytics") < 14, "it caught up: {}", lag(&world, "analytics"));
    for name in ["payment", "inventory", "analytics"] {
        assert_eq!((row(&world, name).again, row(&world, name).lost), (0, 0), "{name}");
    }
    picture_is_true(&mut world);
}

#[test]
fn a_crashed_consumer_is_delivered_exactly_the_span_between_its_flags_again() {
    let mut world = World::in_page(3);
    world.advance(Span::from_secs(3));
    let at_risk = |world: &World| -> BTreeMap<u32, std::ops::Range<u64>> {
        cursors(world, "payment").iter().map(|c| (c.partition, c.at_risk())).collect()
    };
    until(&mut world, |world| {
        let risk: u64 = at_risk(world).values().map(|span| span.end - span.start).sum();
        (risk >= 4).then_some(())
    });
    let spans = at_risk(&world);
    let in_hand = actor(&world, PAYMENT).held.len() as u64;
    let total: u64 = spans.values().map(|span| span.end - span.start).sum();
    world.act(Act::Crash { actor: PAYMENT }).unwrap();
    let crashed_at = world.picture().hops.back().map_or(0, |hop| hop.seq);
    world.advance(Span::from_secs(2));
    assert_eq!(actor(&world, PAYMENT).state, ActorState::Crashed);
    assert!(cursors(&world, "payment").iter().all(|c| c.owner.is_none()));
    world.act(Act::Start { actor: PAYMENT }).unwrap();
    world.advance(Span::from_secs(10));

    let mut again: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for hop in world.picture().hops_since(crashed_at) {
        if hop.kind == HopKind::Read
            && hop.to == Spot::Actor(PAYMENT)
            && let Spot::Partition { partition, offset, .. } = &hop.from
        {
            let read = offset.0..offset.0 + u64::from(hop.count);
            let before = spans[partition].end;
            again.entry(*partition).or_default().extend(read.filter(|at| *at < before));
        }
    }
    again.retain(|_, offsets| !offsets.is_empty());
    let expected: BTreeMap<u32, Vec<u64>> = spans
        .into_iter()
        .filter(|(_, span)| !span.is_empty())
        .map(|(partition, span)| (partition, span.collect()))
        .collect();
    assert_eq!(again, expected, "each record between the flags, once, and no other");
    let row = row(&world, "payment");
    assert_eq!(row.redelivered, total);
    assert_eq!(row.again, total - in_hand, "what it had processed, it processed twice");
    assert_eq!(row.lost, 0);
    picture_is_true(&mut world);
}

#[test]
fn a_consumer_that_commits_first_loses_what_it_had_in_hand() {
    let mut world = World::in_page(4);
    let tuning = actor(&world, PAYMENT).tuning.expect("it is ours");
    let tuning = crate::picture::Tuning { commit_first: true, work_ms: 900, ..tuning };
    world.act(Act::Tune { actor: PAYMENT, tuning }).unwrap();
    world.advance(Span::from_secs(8));
    until(&mut world, |world| (actor(world, PAYMENT).held.len() >= 2).then_some(()));
    let in_hand = actor(&world, PAYMENT).held.len() as u64;
    assert_eq!(row(&world, "payment").lost, 0, "it still has them in hand");
    world.act(Act::Crash { actor: PAYMENT }).unwrap();
    assert_eq!(row(&world, "payment").lost, in_hand);
    world.act(Act::Start { actor: PAYMENT }).unwrap();
    world.advance(Span::from_secs(5));
    assert_eq!((row(&world, "payment").lost, row(&world, "payment").again), (in_hand, 0));
}

#[test]
fn partitions_of_a_crashed_member_go_to_the_other() {
    let mut world = World::in_page(5);
    world.advance(Span::from_secs(4));
    world.act(Act::Crash { actor: INVENTORY_2 }).unwrap();
    world.advance(Span::from_secs(1));
    let owners: Vec<_> = cursors(&world, "inventory").iter().map(|c| c.owner).collect();
    assert_eq!(owners, [Some(ActorId(3)); 3]);
    picture_is_true(&mut world);
}

#[test]
fn a_member_that_falls_silent_is_put_out_and_joins_again_when_it_wakes() {
    let mut world = World::in_page(6);
    world.advance(Span::from_secs(4));
    world.act(Act::Silence { actor: PAYMENT }).unwrap();
    world.advance(Span::from_secs(8));
    assert!(cursors(&world, "payment").iter().all(|c| c.owner.is_none()));
    let line = world.picture().log.iter().find(|line| line.sentence.contains("is out of group"));
    let line = line.expect("it is told");
    assert_eq!(
        &*line.sentence,
        "payment is out of group payment: it was silent for its session timeout"
    );
    world.act(Act::Start { actor: PAYMENT }).unwrap();
    world.advance(Span::from_secs(12));
    assert!(cursors(&world, "payment").iter().all(|c| c.owner == Some(PAYMENT)));
    assert!(lag(&world, "payment") < 14, "{}", lag(&world, "payment"));
    assert_eq!(row(&world, "payment").lost, 0);
    picture_is_true(&mut world);
}

#[test]
fn a_worker_that_goes_silent_loses_its_lease_and_another_gets_attempt_2() {
    let mut world = World::in_page(8);
    world.advance(Span::from_secs(3));
    let message = until(&mut world, |world| leased_by(world, SHIPPER_1));
    world.act(Act::Silence { actor: SHIPPER_1 }).unwrap();
    let holder = |world: &World| {
        let queue = world.picture().queue(scenario::QUEUE).expect("it is there");
        queue.marks.iter().find(|m| m.offset == message.offset).map(|m| (m.state, m.attempt))
    };
    world.advance(ms(2_900));
    assert!(matches!(holder(&world), Some((MarkState::Leased { holder: SHIPPER_1, .. }, 1))));
    let other = until(&mut world, |world| match holder(world) {
        Some((MarkState::Leased { holder, .. }, 2)) => Some(holder),
        Some((MarkState::Leased { .. } | MarkState::Ready | MarkState::Delayed { .. }, _))
        | None => None,
    });
    assert_ne!(other, SHIPPER_1);
    let name = actor(&world, other).name.clone();
    let told = journey(&world, &message);
    let called = world.picture().story(world.picture().story_at(&message).unwrap()).unwrap();
    let called = called.called.to_string();
    assert!(
        told.contains(&format!(
            "{called} delivered again, to {name}: attempt 2 of 3, because shipper 1 held it until \
             its lease ran out"
        )),
        "{told:#?}"
    );
    until(&mut world, |world| holder(world).is_none().then_some(()));
    assert_eq!(row(&world, "shipping").again, 0);

    // It wakes, and does not know: what it finishes then was done by another.
    world.act(Act::Start { actor: SHIPPER_1 }).unwrap();
    world.advance(Span::from_secs(2));
    let told = journey(&world, &message);
    assert!(
        told.iter().any(|line| line.starts_with("shipper 1 settled order")
            && line.ends_with("its lease had ended, and the message is another's to do")),
        "{told:#?}"
    );
    let row = row(&world, "shipping");
    assert_eq!(row.again, 1, "it was done twice");
    assert!(row.redelivered >= 1);
    assert!(row.first_violation.is_some());
    picture_is_true(&mut world);
}

#[test]
fn a_worker_whose_connection_drops_gives_its_message_back_at_once() {
    let mut world = World::in_page(9);
    world.advance(Span::from_secs(3));
    let message = until(&mut world, |world| leased_by(world, SHIPPER_1));
    world.act(Act::Crash { actor: SHIPPER_1 }).unwrap();
    let told = journey(&world, &message);
    assert!(
        told.last().unwrap().ends_with(
            "is back in shipping, ready again in 1 s: shipper 1's connection closed while it held \
             it; that was attempt 1 of 3"
        ),
        "{told:#?}"
    );
    world.advance(Span::from_secs(6));
    let told = journey(&world, &message);
    assert!(told.iter().any(|line| line.contains("attempt 2 of 3")), "{told:#?}");
    assert!(told.last().unwrap().ends_with("attempt 2: it is gone from shipping"), "{told:#?}");
    picture_is_true(&mut world);
}

/// Poisons the shop's next order and waits until it is dead; where it lies in both queues.
fn poisoned(world: &mut World) -> (MessageRef, Offset) {
    world.advance(Span::from_secs(1));
    world.act(Act::PoisonNext).unwrap();
    let message = until(world, |world| {
        let queue = world.picture().queue(scenario::QUEUE)?;
        queue.marks.iter().find(|mark| mark.poison).map(|mark| in_shipping(mark.offset))
    });
    let story = world.picture().story_at(&message).expect("it is known");
    let dead = until(world, |world| {
        let dead = world.picture().queue(scenario::DEAD)?;
        dead.marks.iter().find(|mark| mark.story == story).map(|mark| mark.offset)
    });
    (message, dead)
}

fn peek(world: &mut World, from: Offset) -> ShownMessage {
    let queue = scenario::DEAD.to_owned();
    let ticket = world.ask(Question::Peek { queue, from, messages_max: 1 });
    match world.answer(ticket) {
        Some(Answer::Messages(mut messages)) if messages.len() == 1 => messages.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_poison_message_dies_after_three_attempts_with_its_history_is_mended_and_redriven() {
    let mut world = World::in_page(10);
    let (message, dead) = poisoned(&mut world);
    let shown = peek(&mut world, dead);
    let death = &shown.deaths[0];
    assert_eq!((&*death.queue, death.offset), (scenario::QUEUE, message.offset));
    let ends: Vec<_> = death.attempts.iter().map(|a| (a.number, a.end)).collect();
    assert_eq!(ends, [(1, AttemptEnd::Nacked), (2, AttemptEnd::Nacked), (3, AttemptEnd::Nacked)]);
    let why = shown.poison.as_deref().unwrap();
    assert_eq!(why, "unit_price is 0; goods that leave the house have a price above 0");
    assert!(row(&world, "shipping").dead >= 1);

    let mended = shown.content.body.replace("\"unit_price\":0.0", "\"unit_price\":2.5");
    assert_ne!(mended, shown.content.body);
    let (queue, body) = (scenario::DEAD.to_owned(), Some(mended));
    world.act(Act::Redrive { queue, offset: dead, body }).unwrap();
    assert_eq!(world.take_notices()[0].sentence, "1 message mended and redriven");
    world.advance(Span::from_secs(6));
    let told = journey(&world, &message);
    assert!(
        told.iter().any(|line| line.contains("redriven from shipping.dead to shipping, mended"))
    );
    assert!(told.last().unwrap().ends_with("it is gone from shipping"), "{told:#?}");
    let story = world.picture().story(world.picture().story_at(&message).unwrap()).unwrap();
    assert_eq!(story.poison, None, "its mended body was looked at");
    picture_is_true(&mut world);
}

#[test]
fn a_poison_message_redriven_as_it_was_dies_again_and_says_so() {
    let mut world = World::in_page(11);
    let (message, dead) = poisoned(&mut world);
    let queue = scenario::DEAD.to_owned();
    world.act(Act::RedriveAll { queue, messages_max: 10 }).unwrap();
    assert_eq!(world.picture().queue(scenario::DEAD).unwrap().ready, 0);
    let story = world.picture().story_at(&message).unwrap();
    let again = until(&mut world, |world| {
        let dead_letters = world.picture().queue(scenario::DEAD)?;
        dead_letters.marks.iter().find(|mark| mark.story == story).map(|mark| mark.offset)
    });
    assert!(again > dead, "a dead letter of its own");
    let shown = peek(&mut world, again);
    let deaths: Vec<_> = shown.deaths.iter().map(|death| death.attempts.len()).collect();
    assert_eq!(deaths, [3, 3]);
    let journey = &world.picture().story(story).unwrap().journey;
    assert_eq!(journey.iter().filter(|line| line.kind == LineKind::Death).count(), 2);
    picture_is_true(&mut world);
}

#[test]
fn real_orders_without_a_price_die_by_themselves() {
    let mut world = World::in_page(12);
    world.advance(Span::from_secs(30));
    assert!(row(&world, "shipping").dead >= 1);
    picture_is_true(&mut world);
}

#[test]
fn a_burst_is_held_in_the_queue_and_a_new_worker_helps() {
    let mut world = World::in_page(13);
    world.advance(Span::from_secs(2));
    world.act(Act::Burst { orders: 200 }).unwrap();
    let queue = world.picture().queue(scenario::QUEUE).unwrap();
    assert!(queue.ready >= 190, "{}", queue.ready);
    assert_eq!(queue.marks.len() as u64, queue.ready + queue.leased + queue.delayed);
    world.act(Act::AddWorker).unwrap();
    world.act(Act::AddMember { group: "payment".to_owned() }).unwrap();
    world.advance(Span::from_secs(5));
    assert_eq!(actor(&world, ActorId(9)).state, ActorState::Running);
    assert_eq!(world.picture().group("payment").unwrap().members.len(), 2);
    assert!(world.act(Act::Burst { orders: 0 }).unwrap_err().contains("1 to 500"));
    picture_is_true(&mut world);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let mut world = World::in_page(14);
    world.advance(Span::from_secs(1));
    let acts = world.script().unwrap().acts;
    assert_eq!(world.act(Act::Start { actor: PAYMENT }), Err("payment runs already".to_owned()));
    assert!(world.act(Act::Crash { actor: ActorId(99) }).is_err());
    assert_eq!(world.script().unwrap().acts, acts);
    let topic = scenario::TOPIC.to_owned();
    let to = fanlight_core::Position::Earliest;
    let reset = Act::ResetOffsets { group: "payment".to_owned(), topic, partition: None, to };
    world.act(reset.clone()).unwrap();
    let notice = world.take_notices().remove(0);
    assert!(notice.is_problem && notice.sentence.contains("InUse"), "{notice:?}");
    world.act(Act::Stop { actor: PAYMENT }).unwrap();
    world.advance(Span::from_secs(2));
    world.act(reset).unwrap();
    assert!(!world.take_notices().remove(0).is_problem);
    assert_eq!(lag(&world, "payment"), world.picture().ledger.published);
    picture_is_true(&mut world);
}

#[test]
fn a_message_published_by_hand_is_yours_and_flows_as_any_other() {
    let mut world = World::in_page(15);
    world.advance(Span::from_secs(1));
    let body = "not an order".to_owned();
    let key = Some("k".to_owned());
    world.act(Act::Publish { routing_key: "order.placed.moon".to_owned(), key, body }).unwrap();
    assert_eq!(actor(&world, ActorId::YOU).state, ActorState::Running);
    world.advance(Span::from_secs(12));
    let dead = world.picture().queue(scenario::DEAD).unwrap();
    let story = world.picture().story(dead.marks[0].story).unwrap();
    assert_eq!(story.content.as_ref().unwrap().body, "not an order");
    assert!(story.poison.as_ref().unwrap().starts_with("the body is no order"));
    let unroutable =
        Act::Publish { routing_key: "nobody".to_owned(), key: None, body: String::new() };
    world.act(unroutable).unwrap();
    assert!(world.take_notices().iter().any(|n| n.is_problem && n.sentence.contains("Unroutable")));
    picture_is_true(&mut world);
}

#[test]
fn the_picture_says_at_every_moment_what_the_broker_says() {
    let mut world = World::in_page(16);
    let acts = [
        (40, Act::Silence { actor: SHIPPER_1 }),
        (60, Act::Crash { actor: PAYMENT }),
        (70, Act::PoisonNext),
        (90, Act::Crash { actor: ActorId(7) }),
        (120, Act::Silence { actor: INVENTORY_2 }),
        (150, Act::Start { actor: PAYMENT }),
        (160, Act::Burst { orders: 15 }),
        (200, Act::Start { actor: ActorId(7) }),
        (300, Act::Start { actor: SHIPPER_1 }),
        (330, Act::RedriveAll { queue: scenario::DEAD.to_owned(), messages_max: 9 }),
        (380, Act::Start { actor: INVENTORY_2 }),
        (420, Act::Stop { actor: SHIPPER_1 }),
        (430, Act::Purge { queue: scenario::QUEUE.to_owned() }),
    ];
    for moment in 0..500 {
        world.advance(ms(37));
        for (_, act) in acts.iter().filter(|(at, _)| *at == moment) {
            world.act(act.clone()).unwrap();
        }
        picture_is_true(&mut world);
    }
    assert!(world.picture().ledger.rows.iter().all(|row| row.lost == 0));
}
