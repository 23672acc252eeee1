//! What moves: tapes that scroll, slots that close up, flags that slide, and messages in flight.
//! The broker steps in its own time; here the page interpolates between what is and what was.

use std::collections::BTreeMap;

use fanlight_web::picture::{
    ActorId, Hop, HopKind, MessageRef, Name, Picture, Place, Queue, Spot, StoryId, Topic,
};

use super::geometry::{Point, Rect, along, eased};
use super::scene::Scene;

/// Flights that are drawn singly; of what is beyond, one dot stands for several.
const FLIGHTS_MAX: usize = 1_500;
/// Above this speed nothing flies: there is no time to see it.
const FLY_BELOW_SPEED: f64 = 64.0;
/// Above this speed movement is even.
const EASE_BELOW_SPEED: f64 = 8.0;
const CELL_MIN: f64 = 5.0;
const PITCH_MIN: f64 = 4.0;
const PITCH_MAX: f64 = 22.0;
/// A mark without travel, where motion is not wanted.
const OUTLINE_MS: f64 = 700.0;

/// Everything that is between two places.
#[derive(Debug, Default)]
pub(crate) struct Motion {
    tapes: BTreeMap<(Name, u32), TapeView>,
    slots: BTreeMap<(Name, u64), f64>,
    flags: BTreeMap<(Name, Name, u32), Flags>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) outlines: Vec<Outline>,
    hop_seen: u64,
    last_ms: f64,
    /// How many messages one dot stands for, if not one.
    pub(crate) dot_stands_for: u32,
    is_reduced: bool,
}

/// What a tape shows: the offset at its right edge and how wide a record is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TapeView {
    head: f64,
    pub(crate) cell: f64,
}

impl TapeView {
    /// Where the boundary before `offset` is.
    pub(crate) fn x(&self, tape: Rect, offset: f64) -> f64 {
        tape.right() - (self.head - offset) * self.cell
    }

    /// Which offset is at `x`.
    pub(crate) fn offset(&self, tape: Rect, x: f64) -> f64 {
        self.head - (tape.right() - x) / self.cell
    }
}

/// Where a group's flags are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flags {
    pub(crate) committed: f64,
    pub(crate) position: f64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) kind: HopKind,
    pub(crate) story: Option<StoryId>,
    pub(crate) attempt: u32,
    pub(crate) count: u32,
    pub(crate) poison: bool,
    path: Vec<Point>,
    from: Spot,
    to: Spot,
    via: Option<Name>,
    started_ms: f64,
    lasts_ms: f64,
    is_eased: bool,
    pub(crate) at: Point,
    pub(crate) part: f64,
}

/// An end of a movement, marked where it does not travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) kind: HopKind,
    pub(crate) at: Point,
    until_ms: f64,
}

/// Moves `value` towards `target`; gives whether it is still on its way.
fn glide(value: &mut f64, target: f64, share: f64, near: f64) -> bool {
    let gap = target - *value;
    if gap.abs() <= near || gap.abs() > 1e6 {
        let moved = *value != target;
        *value = target;
        return moved;
    }
    *value += gap * share;
    true
}

impl Motion {
    /// Nothing moves yet.
    pub(crate) fn new(is_reduced: bool) -> Motion {
        Motion { is_reduced, dot_stands_for: 1, ..Motion::default() }
    }

    /// Forgets every movement: the next frame shows what is, at once.
    pub(crate) fn settle(&mut self) {
        let (hop_seen, is_reduced) = (self.hop_seen, self.is_reduced);
        *self = Motion { hop_seen, last_ms: self.last_ms, ..Motion::new(is_reduced) };
    }

    /// Another run: what moved before it is not shown.
    pub(crate) fn begin_again(&mut self, picture: &Picture) {
        self.settle();
        self.hop_seen = picture.hops.back().map_or(0, |hop| hop.seq);
    }

    /// Brings everything to the instant `now_ms` of the page's clock. Gives whether the lanes have
    /// to be drawn again, and whether anything flies.
    pub(crate) fn advance(
        &mut self,
        picture: &Picture,
        scene: &Scene,
        now_ms: f64,
        speed: f64,
    ) -> (bool, bool) {
        let gone_ms = (now_ms - self.last_ms).clamp(0.0, 100.0);
        self.last_ms = now_ms;
        let share = if self.is_reduced { 1.0 } else { 1.0 - (-gone_ms / 90.0).exp() };
        let lanes_move = self.glide_tapes(picture, scene, share) | self.glide_flags(picture, share);
        let slots_move = self.glide_slots(picture, share);
        self.take_hops(picture, scene, now_ms, speed);
        let flew = !self.flights.is_empty() || !self.outlines.is_empty();
        self.fly(picture, scene, now_ms);
        (lanes_move, slots_move || flew)
    }

    fn glide_tapes(&mut self, picture: &Picture, scene: &Scene, share: f64) -> bool {
        let mut moves = false;
        for block in &scene.topics {
            let Some(topic) = picture.topic(&block.name) else { continue };
            let Some(size) = block.lanes.first().map(|lane| lane.tape) else { continue };
            let cell = wanted_cell(picture, topic, size);
            for (lane, tape) in block.lanes.iter().zip(&topic.tapes) {
                let head = wanted_head(tape.end.0, lane.tape.w, cell);
                let key = (topic.name.clone(), lane.partition);
                let view = self.tapes.entry(key).or_insert(TapeView { head, cell });
                moves |= glide(&mut view.cell, cell, share, 0.01);
                moves |= glide(&mut view.head, head, share, 0.01);
            }
        }
        moves
    }

    fn glide_flags(&mut self, picture: &Picture, share: f64) -> bool {
        let mut moves = false;
        for group in &picture.groups {
            for cursor in &group.cursors {
                let committed = cursor.committed.map_or(0.0, |offset| offset.0 as f64);
                let position = cursor.position.map_or(committed, |offset| offset.0 as f64);
                let key = (group.name.clone(), cursor.topic.clone(), cursor.partition);
                let flags = self.flags.entry(key).or_insert(Flags { committed, position });
                moves |= glide(&mut flags.committed, committed, share, 0.02);
                moves |= glide(&mut flags.position, position, share, 0.02);
            }
        }
        moves
    }

    fn glide_slots(&mut self, picture: &Picture, share: f64) -> bool {
        let mut moves = false;
        let mut slots = BTreeMap::new();
        for queue in &picture.queues {
            for (index, mark) in queue.marks.iter().enumerate() {
                let key = (queue.name.clone(), mark.offset.0);
                let target = index as f64;
                let mut place = self.slots.get(&key).copied().unwrap_or(target);
                moves |= glide(&mut place, target, share, 0.02);
                slots.insert(key, place);
            }
        }
        moves |= slots.len() != self.slots.len();
        self.slots = slots;
        moves
    }

    fn take_hops(&mut self, picture: &Picture, scene: &Scene, now_ms: f64, speed: f64) {
        let hops: Vec<&Hop> = picture.hops_since(self.hop_seen).collect();
        let Some(last) = hops.last() else { return };
        self.hop_seen = last.seq;
        if speed > FLY_BELOW_SPEED {
            return;
        }
        let room = FLIGHTS_MAX.saturating_sub(self.flights.len()).max(1);
        let each = hops.len().div_ceil(room).max(1);
        self.dot_stands_for = each as u32;
        for (i, hop) in hops.into_iter().enumerate() {
            let is_marked = hop.poison || hop.attempt > 1;
            if is_marked || i % each == 0 {
                self.start(picture, scene, hop, now_ms, speed);
            }
        }
    }

    fn start(&mut self, picture: &Picture, scene: &Scene, hop: &Hop, now_ms: f64, speed: f64) {
        let base = match hop.kind {
            HopKind::Publish => 600.0,
            HopKind::Read | HopKind::Deliver | HopKind::Return | HopKind::Expire => 460.0,
            HopKind::DeadLetter | HopKind::Redrive => 600.0,
            HopKind::Ack | HopKind::Commit | HopKind::Drop => 380.0,
        };
        let mut flight = Flight {
            kind: hop.kind,
            story: hop.story,
            attempt: hop.attempt,
            count: hop.count,
            poison: hop.poison,
            path: Vec::new(),
            from: hop.from.clone(),
            to: hop.to.clone(),
            via: hop.via.clone(),
            started_ms: now_ms,
            lasts_ms: base / speed.clamp(0.7, EASE_BELOW_SPEED),
            is_eased: speed <= EASE_BELOW_SPEED,
            at: Point::default(),
            part: 0.0,
        };
        self.find_path(picture, scene, &mut flight);
        if flight.path.len() < 2 {
            return;
        }
        if self.is_reduced {
            let ends = [flight.path.first(), flight.path.last()];
            let until_ms = now_ms + OUTLINE_MS;
            let outline = |at: &Point| Outline { kind: flight.kind, at: *at, until_ms };
            self.outlines.extend(ends.into_iter().flatten().map(outline));
        } else {
            self.flights.push(flight);
        }
    }

    fn fly(&mut self, picture: &Picture, scene: &Scene, now_ms: f64) {
        self.outlines.retain(|outline| outline.until_ms > now_ms);
        let mut flights = std::mem::take(&mut self.flights);
        flights.retain(|flight| now_ms < flight.started_ms + flight.lasts_ms);
        for flight in &mut flights {
            self.find_path(picture, scene, flight);
            let part = ((now_ms - flight.started_ms) / flight.lasts_ms).clamp(0.0, 1.0);
            flight.part = part;
            let part = if flight.is_eased { eased(part) } else { part };
            flight.at = along(&flight.path, part);
        }
        self.flights = flights;
        if self.flights.is_empty() {
            self.dot_stands_for = 1;
        }
    }

    /// The way from one end to the other as the stage is now: tapes scroll under a flight.
    fn find_path(&self, picture: &Picture, scene: &Scene, flight: &mut Flight) {
        let from = self.spot(picture, scene, &flight.from);
        let to = self.spot(picture, scene, &flight.to).or_else(|| from.map(above));
        let (Some(from), Some(to)) = (from, to) else { return };
        let via = flight.via.as_ref().and_then(|name| scene.exchange(name));
        let mut path = vec![from];
        path.extend(via.map(|exchange| exchange.rect.middle()));
        let lane = [&flight.from, &flight.to].into_iter().find_map(|spot| lane_of(scene, spot));
        let member = [&flight.from, &flight.to].into_iter().find_map(actor_of);
        match flight.kind {
            HopKind::Publish => {
                if let Some(lane) = lane {
                    let y = lane.tape.y - 4.0;
                    path.extend([Point::at(lane.tape.x - 12.0, y), Point::at(to.x, y)]);
                } else {
                    let x = queue_of(scene, &flight.to).map_or(to.x, |slots| slots.x - 8.0);
                    path.push(Point::at(x, to.y));
                }
            }
            HopKind::Read => {
                if let (Some(lane), Some(member)) = (lane, member) {
                    let y = rail_of(picture, lane, member);
                    path.extend([Point::at(from.x, y), Point::at(lane.tape.right() + 8.0, y)]);
                }
            }
            HopKind::Commit => {
                if let (Some(lane), Some(member)) = (lane, member) {
                    let y = rail_of(picture, lane, member);
                    path.push(Point::at(lane.tape.right() + 8.0, y));
                    path.push(Point::at(to.x, y));
                    flight.path = path;
                    return;
                }
            }
            HopKind::Deliver => {
                let slots = queue_of(scene, &flight.from);
                path.extend(slots.map(|slots| Point::at(slots.right() + 10.0, from.y)));
            }
            HopKind::Ack | HopKind::Return | HopKind::Expire => {
                let slots = queue_of(scene, &flight.to);
                path.extend(slots.map(|slots| Point::at(slots.right() + 10.0, to.y)));
            }
            HopKind::DeadLetter => path.push(Point::at(to.x, (from.y + to.y) / 2.0)),
            HopKind::Redrive => {
                let slots = queue_of(scene, &flight.to);
                let x = slots.map_or(to.x, |slots| slots.x - 16.0);
                path.extend([Point::at(x, from.y), Point::at(x, to.y)]);
            }
            HopKind::Drop => {}
        }
        path.push(to);
        flight.path = path;
    }

    fn spot(&self, picture: &Picture, scene: &Scene, spot: &Spot) -> Option<Point> {
        match spot {
            Spot::Actor(id) => scene.actor(*id).map(|spot| spot.mark),
            Spot::Partition { topic, partition, offset } => {
                let lane = scene.lane(topic, *partition)?;
                let view = self.tape_view(topic, *partition)?;
                let x = view.x(lane.tape, offset.0 as f64 + 0.5);
                Some(Point::at(x.clamp(lane.tape.x, lane.tape.right()), lane.tape.middle().y))
            }
            Spot::Queue { queue, offset } => {
                let slots = scene.queue(queue)?.slots;
                let x = self.slot_x(picture.queue(queue)?, slots, offset.0);
                // What is not shown singly is behind those that are; what is gone was in front.
                let is_behind = self.slots.contains_key(&(queue.clone(), offset.0));
                let edge = if is_behind { slots.x + 24.0 } else { slots.right() - 12.0 };
                Some(Point::at(x.unwrap_or(edge), slots.middle().y))
            }
            Spot::Nowhere => None,
        }
    }

    pub(crate) fn tape_view(&self, topic: &Name, partition: u32) -> Option<TapeView> {
        self.tapes.get(&(topic.clone(), partition)).copied()
    }

    pub(crate) fn flags(&self, group: &Name, topic: &Name, partition: u32) -> Option<Flags> {
        self.flags.get(&(group.clone(), topic.clone(), partition)).copied()
    }

    /// Where the mark of a queue's message is drawn; None if it is not shown.
    pub(crate) fn slot_x(&self, queue: &Queue, slots: Rect, offset: u64) -> Option<f64> {
        let place = self.slots.get(&(queue.name.clone(), offset))?;
        if *place > slots_shown(queue, slots) as f64 - 0.5 {
            return None;
        }
        let pitch = slot_pitch(queue, slots);
        Some(slots.right() - pitch * (place + 0.5) - 4.0)
    }

    /// Whether a message is still on its way into this place.
    pub(crate) fn is_arriving(&self, message: &MessageRef) -> bool {
        self.flights.iter().any(|flight| match (&flight.to, &message.place) {
            (Spot::Queue { queue, offset }, Place::Queue(name)) => {
                queue == name && *offset == message.offset
            }
            (Spot::Partition { topic, partition, offset }, Place::Partition(name, n)) => {
                flight.kind == HopKind::Publish
                    && topic == name
                    && partition == n
                    && message
                        .offset
                        .0
                        .checked_sub(offset.0)
                        .is_some_and(|d| d < u64::from(flight.count))
            }
            (Spot::Actor(_) | Spot::Nowhere, _)
            | (Spot::Queue { .. }, Place::Partition(..))
            | (Spot::Partition { .. }, Place::Queue(_)) => false,
        })
    }
}

/// How far apart a queue's messages are.
pub(crate) fn slot_pitch(queue: &Queue, slots: Rect) -> f64 {
    let shown = queue.marks.len().max(1) as f64;
    ((slots.w - 16.0) / shown).clamp(PITCH_MIN, PITCH_MAX)
}

/// How many of a queue's messages are shown singly: all of them, or as many as leave room for the
/// number of the others.
pub(crate) fn slots_shown(queue: &Queue, slots: Rect) -> usize {
    let fit = |room: f64| (room / PITCH_MIN).max(0.0) as usize;
    let all = queue.ready + queue.leased + queue.delayed;
    let is_all = all == queue.marks.len() as u64 && queue.marks.len() <= fit(slots.w - 16.0);
    if is_all { queue.marks.len() } else { queue.marks.len().min(fit(slots.w - 64.0)) }
}

/// Wide enough to see, narrow enough that the group that is furthest behind is in view.
fn wanted_cell(picture: &Picture, topic: &Topic, tape: Rect) -> f64 {
    let widest = (tape.h * 0.72).max(CELL_MIN);
    let mut wanted: f64 = tape.w / widest;
    for group in &picture.groups {
        for cursor in group.cursors.iter().filter(|cursor| cursor.topic == topic.name) {
            let Some(tape) = topic.tapes.get(cursor.partition as usize) else { continue };
            let behind = cursor.committed.map_or(tape.start.0, |offset| offset.0);
            wanted = wanted.max(tape.end.0.saturating_sub(behind) as f64 + 4.0);
        }
    }
    (tape.w / wanted).clamp(CELL_MIN, widest)
}

/// The offset at a tape's right edge: a little room for what comes. A young tape fills from the left.
fn wanted_head(end: u64, width: f64, cell: f64) -> f64 {
    (end as f64 + 1.0).max(width / cell - 0.6)
}

fn above(point: Point) -> Point {
    Point::at(point.x, point.y - 22.0)
}

fn lane_of<'s>(scene: &'s Scene, spot: &Spot) -> Option<&'s super::scene::Lane> {
    match spot {
        Spot::Partition { topic, partition, .. } => scene.lane(topic, *partition),
        Spot::Actor(_) | Spot::Queue { .. } | Spot::Nowhere => None,
    }
}

fn queue_of(scene: &Scene, spot: &Spot) -> Option<Rect> {
    match spot {
        Spot::Queue { queue, .. } => scene.queue(queue).map(|block| block.slots),
        Spot::Actor(_) | Spot::Partition { .. } | Spot::Nowhere => None,
    }
}

fn actor_of(spot: &Spot) -> Option<ActorId> {
    match spot {
        Spot::Actor(id) => Some(*id),
        Spot::Queue { .. } | Spot::Partition { .. } | Spot::Nowhere => None,
    }
}

fn rail_of(picture: &Picture, lane: &super::scene::Lane, member: ActorId) -> f64 {
    use fanlight_web::picture::Role;
    match picture.actor(member).map(|actor| &actor.role) {
        Some(Role::Member { group }) => lane.rail(group),
        Some(Role::Producer | Role::Worker { .. } | Role::Unknown) | None => lane.tape.middle().y,
    }
}
