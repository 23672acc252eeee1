//! The four flows, on the real broker, in virtual time.

mod attach;
mod flows;
mod replay;

use fanlight_core::{Offset, Span};

use super::*;
use crate::picture::{Actor, ActorId, Cursor, Line, MarkState, MessageRef, Place};

const PAYMENT: ActorId = ActorId(2);
const INVENTORY_2: ActorId = ActorId(4);
const ANALYTICS: ActorId = ActorId(5);
const SHIPPER_1: ActorId = ActorId(6);

fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

fn actor(world: &World, id: ActorId) -> &Actor {
    world.picture().actor(id).expect("it is on the stage")
}

fn lag(world: &World, group: &str) -> u64 {
    world.picture().group(group).expect("the group is there").lag()
}

fn cursors(world: &World, group: &str) -> Vec<Cursor> {
    world.picture().group(group).expect("the group is there").cursors.clone()
}

fn row<'a>(world: &'a World, name: &str) -> &'a crate::picture::LedgerRow {
    let rows = &world.picture().ledger.rows;
    rows.iter().find(|row| &*row.name == name).expect("it has a row")
}

/// Runs on in small steps until something is so; a minute is long enough for anything.
fn until<T>(world: &mut World, mut is_so: impl FnMut(&World) -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = is_so(world) {
            return found;
        }
        world.advance(ms(10));
    }
    panic!("it did not come to be within a minute");
}

fn sentences(lines: &[std::rc::Rc<Line>]) -> Vec<&str> {
    lines.iter().map(|line| &*line.sentence).collect()
}

fn journey(world: &World, message: &MessageRef) -> Vec<String> {
    let story = world.picture().story_at(message).expect("the message is known");
    let story = world.picture().story(story).expect("the story is kept");
    sentences(&story.journey).into_iter().map(str::to_owned).collect()
}

fn in_shipping(offset: Offset) -> MessageRef {
    MessageRef { place: Place::Queue(scenario::QUEUE.into()), offset }
}

fn check(world: &World) {
    world.page().flow().link.broker().check().expect("the broker's state holds together");
}

/// What the picture says of queues and groups is what the broker says of them.
fn picture_is_true(world: &mut World) {
    check(world);
    let before = world.picture().queues.clone();
    let groups = world.picture().groups.clone();
    // The next overview squares the picture with the broker; nothing may have to be corrected
    // but what happened meanwhile, so time stands still.
    let now = world.clock().now;
    let flow = match &mut world.mode {
        Mode::Page(page) => page.flow_mut(),
        Mode::Attached(_) => panic!("the broker of this test is in the page"),
    };
    flow.square_now(now);
    assert_eq!(world.picture().queues, before);
    assert_eq!(world.picture().groups, groups);
}

fn leased_by(world: &World, id: ActorId) -> Option<MessageRef> {
    let queue = world.picture().queue(scenario::QUEUE)?;
    let mark = queue
        .marks
        .iter()
        .find(|m| matches!(m.state, MarkState::Leased { holder, .. } if holder == id))?;
    Some(in_shipping(mark.offset))
}
