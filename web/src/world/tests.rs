//! The four flows, on the real broker, in virtual time.

use fanlight_core::{Offset, Span, Time};

use super::*;
use crate::picture::{ActorId, ActorState, LineKind, MarkState, Place};

const SHOP: ActorId = ActorId(1);
const PAYMENT: ActorId = ActorId(2);
const ANALYTICS: ActorId = ActorId(5);

#[test]
fn look() {
    let mut world = World::in_page(7);
    world.advance(Span::from_secs(20));
    for line in &world.picture().log {
        println!("{:>8} {:?} {}", line.at.to_string(), line.kind, line.sentence);
    }
    let p = world.picture();
    println!("{:#?} {:?}", p.ledger, p.groups);
    for q in &p.queues {
        println!(
            "{} r{} l{} d{} end {} marks {:?}",
            q.name, q.ready, q.leased, q.delayed, q.end, q.marks
        );
    }
}
