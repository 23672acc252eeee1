//! The upper canvas: messages where they lie and where they fly, work and leases as they run down.

use fanlight_core::{Offset, Time};
use fanlight_web::picture::{
    Actor, HopKind, MarkState, MessageRef, Place, Queue, QueueMark, Role, StoryId, Tape, TapeMark,
};

use super::geometry::{Point, Rect};
use super::ink::Align;
use super::lanes::Drawing;
use super::motion::{Flight, slot_pitch};
use super::scene::{ActorSpot, Lane, QueueBlock};

/// Leased messages that are shown beside the worker that holds them.
const HELD_SHOWN: usize = 4;

/// How one message is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token {
    look: Look,
    at: Point,
    radius: f64,
    attempt: u32,
    is_selected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    Ready,
    Delayed,
    Settled,
    Leased,
    Redelivered,
    Poison,
    Dead,
    Gone,
}

impl Drawing<'_> {
    /// Every message, and how far work and leases are at `now`.
    pub(crate) fn tokens(&self, now: Time) {
        let mut tokens = Vec::new();
        for block in &self.scene.topics {
            let Some(topic) = self.picture.topic(&block.name) else { continue };
            for (lane, tape) in block.lanes.iter().zip(&topic.tapes) {
                self.tape_tokens(lane, tape, &mut tokens);
            }
        }
        for block in &self.scene.queues {
            if let Some(queue) = self.picture.queue(&block.name) {
                self.queue_tokens(block, queue, &mut tokens);
            }
        }
        self.draw(&tokens);
        for spot in &self.scene.actors {
            if let Some(actor) = self.picture.actor(spot.id) {
                self.work(spot, actor, now);
            }
        }
        self.outlines();
        self.flights();
    }

    fn is_selected(&self, story: StoryId) -> bool {
        self.focus.and_then(|focus| focus.story()) == Some(story)
    }

    fn tape_tokens(&self, lane: &Lane, tape: &Tape, tokens: &mut Vec<Token>) {
        let Some(view) = self.motion.tape_view(&lane.topic, lane.partition) else { return };
        let all_past = self
            .picture
            .groups
            .iter()
            .flat_map(|group| &group.cursors)
            .filter(|c| c.topic == lane.topic && c.partition == lane.partition)
            .map(|cursor| cursor.committed.unwrap_or(Offset(0)))
            .min()
            .unwrap_or(Offset(0));
        let radius = (view.cell * 0.34).clamp(1.6, 7.0);
        let y = lane.tape.middle().y;
        for mark in &tape.marks {
            let x = view.x(lane.tape, mark.offset.0 as f64 + 0.5);
            if x < lane.tape.x + radius
                || x > lane.tape.right() + 1.0
                || self.is_arriving(lane, mark)
            {
                continue;
            }
            let look = match (mark.poison, mark.offset < all_past) {
                (true, _) => Look::Poison,
                (false, true) => Look::Settled,
                (false, false) => Look::Ready,
            };
            let is_selected = self.is_selected(mark.story);
            tokens.push(Token { look, at: Point::at(x, y), radius, attempt: 1, is_selected });
        }
    }

    fn is_arriving(&self, lane: &Lane, mark: &TapeMark) -> bool {
        let place = Place::Partition(lane.topic.clone(), lane.partition);
        self.motion.is_arriving(&MessageRef { place, offset: mark.offset })
    }

    fn queue_tokens(&self, block: &QueueBlock, queue: &Queue, tokens: &mut Vec<Token>) {
        let radius = (slot_pitch(queue, block.slots) * 0.36).clamp(1.8, 7.0);
        let is_dead_letter = !queue.dead_letters_of.is_empty();
        for mark in &queue.marks {
            let place = Place::Queue(queue.name.clone());
            if self.motion.is_arriving(&MessageRef { place, offset: mark.offset }) {
                continue;
            }
            let Some(x) = self.motion.slot_x(queue, block.slots, mark.offset.0) else { continue };
            tokens.push(Token {
                look: look_of(mark, is_dead_letter),
                at: Point::at(x, block.slots.middle().y),
                radius,
                attempt: mark.attempt,
                is_selected: self.is_selected(mark.story),
            });
        }
    }

    /// Draws tokens, all of one look as one path.
    fn draw(&self, tokens: &[Token]) {
        let (ink, palette) = (self.ink, self.palette);
        let places = |look: Look, radius: f64| -> Vec<Point> {
            let same = tokens.iter().filter(|t| t.look == look && t.radius == radius);
            same.map(|t| t.at).collect()
        };
        let mut radii: Vec<f64> = tokens.iter().map(|t| t.radius).collect();
        radii.sort_by(f64::total_cmp);
        radii.dedup();
        for r in radii {
            ink.alpha(0.75);
            ink.discs(&places(Look::Settled, r), r * 0.7, &palette.settled);
            ink.alpha(1.0);
            ink.discs(&places(Look::Ready, r), r, &palette.ready);
            ink.width((r * 0.38).clamp(1.0, 2.2));
            ink.rings(&places(Look::Leased, r), r - 0.8, &palette.leased);
            ink.rings(&places(Look::Delayed, r), r - 0.8, &palette.ready);
        }
        for token in tokens {
            self.single(token);
        }
    }

    /// What a token has that others have not.
    fn single(&self, token: &Token) {
        let (ink, palette, at, r) = (self.ink, self.palette, token.at, token.radius);
        match token.look {
            Look::Ready | Look::Settled | Look::Leased | Look::Gone => {}
            Look::Delayed => {
                ink.width(1.2);
                ink.lines(
                    &[
                        (at, Point::at(at.x, at.y - r * 0.6)),
                        (at, Point::at(at.x + r * 0.45, at.y)),
                    ],
                    &palette.ready,
                );
            }
            Look::Redelivered => self.redelivered(at, r, token.attempt),
            Look::Poison => self.poison(at, r),
            Look::Dead => {
                let side = (r * 1.7).max(3.0);
                let square = Rect::new(at.x - side / 2.0, at.y - side / 2.0, side, side);
                ink.fill_rect(square, &palette.dead);
            }
        }
        if token.is_selected {
            self.halo(at, r + 3.5);
        }
    }

    fn halo(&self, at: Point, radius: f64) {
        self.ink.width(3.5);
        self.ink.ring(at, radius, &self.palette.selected);
        self.ink.width(1.5);
        self.ink.ring(at, radius + 1.0, &self.palette.selected_edge);
    }

    /// A ring around the dot, and which attempt it is.
    fn redelivered(&self, at: Point, r: f64, attempt: u32) {
        let (ink, palette) = (self.ink, self.palette);
        ink.width(1.5);
        ink.ring(at, r + 0.6, &palette.redelivered);
        if r >= 5.0 && attempt > 1 {
            ink.font(&self.bold((r * 1.5).min(11.0)));
            ink.text(
                &attempt.to_string(),
                Point::at(at.x, at.y + 0.5),
                Align::Middle,
                &palette.text,
            );
        } else {
            ink.disc(at, r * 0.5, &palette.redelivered);
        }
    }

    fn poison(&self, at: Point, r: f64) {
        let (ink, palette) = (self.ink, self.palette);
        let stroke = |d: f64| {
            let half = (r * r - d * d * 2.0).max(0.0).sqrt() * std::f64::consts::FRAC_1_SQRT_2;
            (
                Point::at(at.x + d - half, at.y + d + half),
                Point::at(at.x + d + half, at.y + d - half),
            )
        };
        ink.width(1.4);
        ink.ring(at, r, &palette.dead);
        ink.lines(&[stroke(0.0), stroke(r * 0.42), stroke(-r * 0.42)], &palette.dead);
    }

    /// What a client holds, how far its work is, and when its lease ends.
    fn work(&self, spot: &ActorSpot, actor: &Actor, now: Time) {
        let (ink, palette) = (self.ink, self.palette);
        if let Some(work) = &actor.work {
            ink.width(2.5);
            let part = part_gone(work.since, work.until, now);
            ink.arc(spot.mark, spot.radius, part, &palette.leased);
        }
        let Role::Worker { queue } = &actor.role else {
            self.in_hand(spot, actor);
            return;
        };
        let Some(queue) = self.picture.queue(queue) else { return };
        let held = queue.marks.iter().filter(|mark| is_held_by(mark, actor));
        let step = if self.scene.is_compact { 14.0 } else { 21.0 };
        let right = spot.rect.right() - 15.0;
        for (i, mark) in held.take(HELD_SHOWN).enumerate() {
            let at = Point::at(right - i as f64 * step, spot.mark.y);
            let MarkState::Leased { since, until, .. } = mark.state else { continue };
            let r = if self.scene.is_compact { 3.5 } else { 5.0 };
            let look = look_of(mark, false);
            let look = if look == Look::Ready { Look::Leased } else { look };
            let is_selected = self.is_selected(mark.story);
            self.draw(&[Token { look, at, radius: r, attempt: mark.attempt, is_selected }]);
            ink.width(1.8);
            ink.arc(at, r + 3.4, 1.0 - part_gone(since, until, now), &palette.leased);
        }
    }

    /// The room that what a client holds takes at the right end of its row.
    pub(crate) fn held_room(&self, actor: &Actor) -> f64 {
        match &actor.role {
            Role::Worker { .. } => 21.0 * actor.held.len().min(HELD_SHOWN) as f64,
            Role::Member { .. } if self.uncommitted(actor) > 0 => 30.0,
            Role::Member { .. } | Role::Producer | Role::Unknown => 0.0,
        }
    }

    fn uncommitted(&self, actor: &Actor) -> u64 {
        let Role::Member { group } = &actor.role else { return 0 };
        let cursors = self.picture.group(group).map_or(&[][..], |group| &group.cursors);
        let own = cursors.iter().filter(|cursor| cursor.owner == Some(actor.id));
        own.map(|cursor| cursor.at_risk().count() as u64).sum()
    }

    /// How many records a member has read and not committed.
    fn in_hand(&self, spot: &ActorSpot, actor: &Actor) {
        let uncommitted = if self.scene.is_compact { 0 } else { self.uncommitted(actor) };
        if uncommitted > 0 {
            let (ink, palette) = (self.ink, self.palette);
            let right = spot.rect.right() - 9.0;
            ink.font(&self.bold(11.0));
            let text = uncommitted.to_string();
            let at = Point::at(right, spot.mark.y + 0.5);
            ink.text(&text, at, Align::Right, &palette.leased);
            ink.width(1.8);
            let at = Point::at(right - ink.text_width(&text) - 9.0, spot.mark.y);
            ink.ring(at, 3.6, &palette.leased);
        }
    }

    fn outlines(&self) {
        self.ink.width(2.0);
        for outline in &self.motion.outlines {
            self.ink.ring(outline.at, 11.0, self.hue(outline.kind));
        }
    }

    fn flights(&self) {
        for flight in &self.motion.flights {
            self.flight(flight);
        }
        if self.motion.dot_stands_for > 1 {
            let text = format!("1 dot = about {} messages", self.motion.dot_stands_for);
            self.ink.font(&self.plain(12.0));
            let at = Point::at(14.0, self.scene.height - 14.0);
            self.ink.text(&text, at, Align::Left, &self.palette.text_soft);
        }
    }

    fn hue(&self, kind: HopKind) -> &str {
        let palette = self.palette;
        match kind {
            HopKind::Publish | HopKind::Redrive => &palette.ready,
            HopKind::Deliver | HopKind::Read => &palette.leased,
            HopKind::Ack | HopKind::Commit => &palette.settled,
            HopKind::Return | HopKind::Expire => &palette.redelivered,
            HopKind::DeadLetter => &palette.dead,
            HopKind::Drop => &palette.text_faint,
        }
    }

    fn flight(&self, flight: &Flight) {
        let (ink, at) = (self.ink, flight.at);
        let look = match flight.kind {
            HopKind::DeadLetter => Look::Dead,
            _ if flight.poison => Look::Poison,
            HopKind::Publish | HopKind::Redrive => Look::Ready,
            HopKind::Deliver | HopKind::Read if flight.attempt > 1 => Look::Redelivered,
            HopKind::Deliver | HopKind::Read => Look::Leased,
            HopKind::Return | HopKind::Expire => Look::Redelivered,
            HopKind::Ack | HopKind::Commit => Look::Settled,
            HopKind::Drop => Look::Gone,
        };
        ink.alpha(if flight.part > 0.85 { ((1.0 - flight.part) / 0.15).max(0.15) } else { 1.0 });
        let is_small = matches!(flight.kind, HopKind::Commit | HopKind::Ack);
        let radius = if is_small { 4.2 } else { 5.4 };
        let is_selected = flight.story.is_some_and(|story| self.is_selected(story));
        let attempt = if look == Look::Redelivered { flight.attempt.max(1) } else { 1 };
        if look == Look::Leased || look == Look::Redelivered {
            ink.disc(at, radius - 1.0, &self.palette.stage);
        }
        self.draw(&[Token { look, at, radius, attempt, is_selected }]);
        if flight.count > 1 {
            ink.font(&self.bold(10.0));
            let at = Point::at(at.x + 8.0, at.y - 8.0);
            ink.text(&format!("×{}", flight.count), at, Align::Left, &self.palette.text_soft);
        }
        ink.alpha(1.0);
    }
}

fn is_held_by(mark: &QueueMark, actor: &Actor) -> bool {
    matches!(mark.state, MarkState::Leased { holder, .. } if holder == actor.id)
}

fn look_of(mark: &QueueMark, is_dead_letter: bool) -> Look {
    match mark.state {
        _ if is_dead_letter => Look::Dead,
        _ if mark.poison => Look::Poison,
        MarkState::Ready if mark.attempt > 0 => Look::Redelivered,
        MarkState::Leased { .. } if mark.attempt > 1 => Look::Redelivered,
        MarkState::Ready => Look::Ready,
        MarkState::Leased { .. } => Look::Leased,
        MarkState::Delayed { .. } => Look::Delayed,
    }
}

fn part_gone(since: Time, until: Time, now: Time) -> f64 {
    let whole = until.since(since).0.max(1) as f64;
    (now.since(since).0 as f64 / whole).clamp(0.0, 1.0)
}
