//! What lies under a pointer.

use fanlight_core::Offset;
use fanlight_web::picture::{MessageRef, Picture, Place};

use super::geometry::Point;
use super::motion::Motion;
use super::scene::{CardOf, Lane, QueueBlock, Scene};
use crate::focus::Focus;

/// How far from a message in flight a click may be.
const REACH: f64 = 13.0;

/// The thing at a point, the smallest first.
pub(crate) fn hit(picture: &Picture, scene: &Scene, motion: &Motion, at: Point) -> Option<Focus> {
    in_flight(motion, at)
        .or_else(|| client(scene, at))
        .or_else(|| lane(picture, scene, motion, at))
        .or_else(|| queue(picture, scene, motion, at))
        .or_else(|| large(scene, at))
}

fn in_flight(motion: &Motion, at: Point) -> Option<Focus> {
    let near = motion.flights.iter().filter(|flight| flight.at.distance(at) <= REACH);
    let nearest = near.min_by(|a, b| a.at.distance(at).total_cmp(&b.at.distance(at)))?;
    nearest.story.map(|story| Focus::Message(story, None))
}

fn client(scene: &Scene, at: Point) -> Option<Focus> {
    let spot = scene.actors.iter().find(|spot| spot.rect.contains(at))?;
    Some(Focus::Actor(spot.id))
}

fn lane(picture: &Picture, scene: &Scene, motion: &Motion, at: Point) -> Option<Focus> {
    let lanes = scene.topics.iter().flat_map(|block| &block.lanes);
    for lane in lanes {
        if lane.tape.grown(2.0).contains(at) {
            return record(picture, motion, lane, at)
                .or_else(|| Some(Focus::Partition(lane.topic.clone(), lane.partition)));
        }
        let is_beside = at.x >= lane.tape.x - 20.0 && at.x <= lane.tape.right() + 46.0;
        for (group, y) in &lane.rails {
            if is_beside && (at.y - y).abs() <= lane.rail_height / 2.0 {
                return Some(Focus::Group(group.clone()));
            }
        }
        if is_beside && at.y >= lane.tape.y - 12.0 && at.y <= lane.bottom() {
            return Some(Focus::Partition(lane.topic.clone(), lane.partition));
        }
    }
    None
}

fn record(picture: &Picture, motion: &Motion, lane: &Lane, at: Point) -> Option<Focus> {
    let view = motion.tape_view(&lane.topic, lane.partition)?;
    let offset = view.offset(lane.tape, at.x);
    if offset < 0.0 {
        return None;
    }
    let place = Place::Partition(lane.topic.clone(), lane.partition);
    let message = MessageRef { place, offset: Offset(offset as u64) };
    let tape = picture.topic(&lane.topic)?.tapes.get(lane.partition as usize)?;
    let mark = tape.marks.iter().find(|mark| mark.offset == message.offset)?;
    Some(Focus::Message(mark.story, Some(message)))
}

fn queue(picture: &Picture, scene: &Scene, motion: &Motion, at: Point) -> Option<Focus> {
    let block = scene.queues.iter().find(|block| block.slots.grown(4.0).contains(at))?;
    mark(picture, motion, block, at).or_else(|| Some(Focus::Queue(block.name.clone())))
}

fn mark(picture: &Picture, motion: &Motion, block: &QueueBlock, at: Point) -> Option<Focus> {
    let queue = picture.queue(&block.name)?;
    let distance =
        |offset: Offset| motion.slot_x(queue, block.slots, offset.0).map(|x| (x - at.x).abs());
    let near = queue.marks.iter().filter_map(|mark| Some((distance(mark.offset)?, mark)));
    let (far, mark) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let message = MessageRef { place: Place::Queue(queue.name.clone()), offset: mark.offset };
    (far <= REACH).then_some(Focus::Message(mark.story, Some(message)))
}

fn large(scene: &Scene, at: Point) -> Option<Focus> {
    if let Some(exchange) = scene.exchanges.iter().find(|block| block.rect.contains(at)) {
        return Some(Focus::Exchange(exchange.name.clone()));
    }
    if let Some(card) = scene.cards.iter().find(|card| card.rect.contains(at)) {
        return Some(match &card.of {
            CardOf::Group(name) => Focus::Group(name.clone()),
            CardOf::Workers(queue) => Focus::Queue(queue.clone()),
        });
    }
    let title = scene.queues.iter().find(|block| {
        let y = block.title.y;
        at.x >= block.title.x && at.x <= block.slots.right() && (at.y - y).abs() <= 11.0
    });
    title.map(|block| Focus::Queue(block.name.clone()))
}
