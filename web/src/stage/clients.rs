//! The lower canvas, continued: producers, exchanges, groups, workers, and the wires between.

use fanlight_core::ExchangeKind;
use fanlight_web::picture::{Actor, ActorState, BindingTo, Role};

use super::geometry::{Point, Rect};
use super::ink::Align;
use super::lanes::Drawing;
use super::scene::{ActorSpot, Card, CardOf};
use crate::focus::Focus;

impl Drawing<'_> {
    pub(crate) fn wires(&self) {
        self.ink.width(1.2);
        if !self.scene.is_compact {
            self.wires_in();
        }
        self.wires_out();
    }

    /// From producers through exchanges to where the bindings lead.
    fn wires_in(&self) {
        let (ink, palette, scene) = (self.ink, self.palette, self.scene);
        let producers = self.picture.actors.iter().filter(|actor| actor.role == Role::Producer);
        for spot in producers.filter_map(|actor| scene.actor(actor.id)) {
            for exchange in &scene.exchanges {
                let from = Point::at(spot.mark.x + spot.radius + 5.0, spot.mark.y);
                let to = Point::at(exchange.rect.x - 4.0, exchange.rect.middle().y);
                ink.wire(from, to, &palette.line_strong);
            }
        }
        for exchange in &self.picture.exchanges {
            let Some(block) = scene.exchange(&exchange.name) else { continue };
            let from = Point::at(block.rect.right() + 4.0, block.rect.middle().y);
            for binding in &exchange.bindings {
                match &binding.to {
                    BindingTo::Topic(name) => {
                        let topic = scene.topics.iter().find(|topic| topic.name == *name);
                        for lane in topic.into_iter().flat_map(|topic| &topic.lanes) {
                            let to = Point::at(lane.tape.x - 22.0, lane.tape.middle().y);
                            ink.wire(from, to, &palette.line_strong);
                        }
                    }
                    BindingTo::Queue(name) => {
                        if let Some(slots) = scene.queue(name).map(|block| block.slots) {
                            let to = Point::at(slots.x - 5.0, slots.middle().y);
                            ink.wire(from, to, &palette.line_strong);
                        }
                    }
                    BindingTo::Exchange(name) => {
                        if let Some(other) = scene.exchange(name) {
                            let to = Point::at(other.rect.x - 3.0, other.rect.middle().y);
                            ink.wire(from, to, &palette.line_strong);
                        }
                    }
                }
            }
        }
    }

    /// From each partition to the member that reads it, and from each queue to its workers.
    fn wires_out(&self) {
        let (ink, palette, scene) = (self.ink, self.palette, self.scene);
        ink.alpha(0.5);
        for group in &self.picture.groups {
            for cursor in &group.cursors {
                let lane = scene.lane(&cursor.topic, cursor.partition);
                let owner = cursor.owner.and_then(|owner| scene.actor(owner));
                if let (Some(lane), Some(owner)) = (lane, owner) {
                    let out = if scene.is_compact { 24.0 } else { 46.0 };
                    let from = Point::at(lane.tape.right() + out, lane.rail(&group.name));
                    ink.wire(
                        from,
                        Point::at(owner.rect.x + 2.0, owner.mark.y),
                        &palette.line_strong,
                    );
                }
            }
        }
        for actor in &self.picture.actors {
            let Role::Worker { queue } = &actor.role else { continue };
            let (block, spot) = (scene.queue(queue), scene.actor(actor.id));
            if let (Some(block), Some(spot), true) = (block, spot, actor.conn.is_some()) {
                let from = Point::at(block.slots.right() + 4.0, block.slots.middle().y);
                ink.wire(from, Point::at(spot.rect.x + 2.0, spot.mark.y), &palette.line_strong);
            }
        }
        ink.alpha(1.0);
    }

    pub(crate) fn exchanges(&self) {
        let (ink, palette) = (self.ink, self.palette);
        for exchange in &self.picture.exchanges {
            let Some(block) = self.scene.exchange(&exchange.name) else { continue };
            let is_in_focus =
                matches!(self.focus, Some(Focus::Exchange(name)) if *name == exchange.name);
            let rect = block.rect;
            ink.fill_round(rect, 6.0, &palette.panel);
            ink.width(if is_in_focus { 2.0 } else { 1.0 });
            let edge = if is_in_focus { &palette.selected_edge } else { &palette.line_strong };
            ink.stroke_round(rect, 6.0, edge);
            let kind = match exchange.kind {
                ExchangeKind::Direct => "direct exchange",
                ExchangeKind::Topic => "topic exchange",
                ExchangeKind::Fanout => "fanout exchange",
                ExchangeKind::Headers => "headers exchange",
            };
            ink.font(&self.bold(12.0));
            let name = ink.fitted(&exchange.name, rect.w - 10.0);
            let middle = rect.middle();
            ink.text(&name, Point::at(middle.x, middle.y - 7.0), Align::Middle, &palette.text);
            ink.font(&self.plain(10.0));
            let kind = if ink.text_width(kind) > rect.w - 6.0 { "exchange" } else { kind };
            ink.text(kind, Point::at(middle.x, middle.y + 8.0), Align::Middle, &palette.text_faint);
        }
    }

    pub(crate) fn cards(&self) {
        for card in &self.scene.cards {
            self.card(card);
        }
    }

    fn card(&self, card: &Card) {
        let (ink, palette, rect) = (self.ink, self.palette, card.rect);
        let group = match &card.of {
            CardOf::Group(name) => self.picture.group(name),
            CardOf::Workers(_) => None,
        };
        let is_in_focus = match (&card.of, self.focus) {
            (CardOf::Group(name), Some(Focus::Group(focus))) => name == focus,
            (CardOf::Group(_) | CardOf::Workers(_), _) => false,
        };
        ink.fill_round(rect, 7.0, &palette.panel);
        ink.width(if is_in_focus { 2.0 } else { 1.0 });
        let edge = if is_in_focus { &palette.selected_edge } else { &palette.line };
        ink.stroke_round(rect, 7.0, edge);
        let y = rect.y + 13.0;
        let inset = if self.scene.is_compact { 6.0 } else { 12.0 };
        if let Some(group) = group {
            let at = Point::at(rect.x + inset + 7.0, y);
            self.badge(at, 6.5, group, is_in_focus);
            let lag = group.lag();
            let (name, about) = if self.scene.is_compact {
                (format!("+{lag}"), String::new())
            } else {
                (group.name.to_string(), format!("lag {lag}"))
            };
            self.card_title(rect, rect.x + inset + 20.0, y, &name, &about);
            return;
        }
        match &card.of {
            CardOf::Group(name) => self.card_title(rect, rect.x + inset, y, name, ""),
            CardOf::Workers(queue) => self.card_title(rect, rect.x + inset, y, "workers", queue),
        }
    }

    fn card_title(&self, rect: Rect, x: f64, y: f64, name: &str, about: &str) {
        let (ink, palette) = (self.ink, self.palette);
        ink.font(&self.plain(11.0));
        let is_compact = self.scene.is_compact;
        let mut right = rect.right() - if is_compact { 4.0 } else { 10.0 };
        if !is_compact {
            ink.text(about, Point::at(right, y + 0.5), Align::Right, &palette.text_faint);
            right -= ink.text_width(about) + 8.0;
        }
        ink.font(&self.bold(12.0));
        let name = ink.fitted(name, right - x);
        ink.text(&name, Point::at(x, y + 0.5), Align::Left, &palette.text);
    }

    pub(crate) fn clients(&self) {
        for spot in &self.scene.actors {
            if let Some(actor) = self.picture.actor(spot.id) {
                self.client(spot, actor);
            }
        }
    }

    fn client(&self, spot: &ActorSpot, actor: &Actor) {
        let (ink, palette) = (self.ink, self.palette);
        let is_in_focus = self.focus == Some(&Focus::Actor(actor.id));
        if is_in_focus && !spot.is_upright {
            ink.alpha(0.2);
            ink.fill_round(spot.rect.grown(-1.5), 5.0, &palette.selected);
            ink.alpha(1.0);
        }
        self.client_mark(spot, actor, is_in_focus);
        let state = state_word(actor.state);
        if spot.is_upright {
            let at = Point::at(spot.mark.x, spot.mark.y + spot.radius + 11.0);
            ink.font(&self.bold(if self.scene.is_compact { 10.0 } else { 12.0 }));
            let name = ink.fitted(&actor.name, spot.rect.w + 10.0);
            ink.text(&name, at, Align::Middle, &palette.text);
            ink.font(&self.plain(11.0));
            let about = match (&actor.tuning, state) {
                (_, Some(state)) => state.to_owned(),
                (Some(tuning), None) if actor.role == Role::Producer => {
                    format!("{}/s", short(tuning.rate))
                }
                (Some(_) | None, None) => String::new(),
            };
            if !self.scene.is_compact {
                let at = Point::at(at.x, at.y + 15.0);
                ink.text(&about, at, Align::Middle, &palette.text_faint);
            }
            return;
        }
        if self.scene.is_compact {
            return;
        }
        let x = spot.mark.x + spot.radius + 6.0;
        let mut right = spot.rect.right() - 9.0 - self.held_room(actor);
        ink.font(&self.plain(12.0));
        if let Some(state) = state {
            let at = Point::at(right, spot.mark.y + 0.5);
            let colour = match actor.state {
                ActorState::Crashed => &palette.dead,
                ActorState::Silent => &palette.leased,
                ActorState::Idle
                | ActorState::Connecting
                | ActorState::Running
                | ActorState::Stopping
                | ActorState::Stopped => &palette.text_faint,
            };
            ink.text(state, at, Align::Right, colour);
            right -= ink.text_width(state) + 6.0;
        }
        let name = ink.fitted(&actor.name, right - x);
        ink.text(&name, Point::at(x, spot.mark.y + 0.5), Align::Left, &palette.text);
    }

    fn client_mark(&self, spot: &ActorSpot, actor: &Actor, is_in_focus: bool) {
        let (ink, palette, at, r) = (self.ink, self.palette, spot.mark, spot.radius);
        ink.disc(at, r, &palette.stage);
        ink.width(if is_in_focus { 2.5 } else { 1.5 });
        let focus = is_in_focus.then_some(palette.selected_edge.as_str());
        let mut tag_colour = &palette.text;
        match actor.state {
            ActorState::Running => ink.ring(at, r, focus.unwrap_or(&palette.text_soft)),
            ActorState::Silent => {
                ink.dash(&[1.5, 4.0]);
                ink.ring(at, r, focus.unwrap_or(&palette.leased));
            }
            ActorState::Crashed => {
                ink.ring(at, r, focus.unwrap_or(&palette.dead));
                let d = r * 0.5;
                ink.width(2.5);
                ink.lines(
                    &[
                        (Point::at(at.x - d, at.y - d), Point::at(at.x + d, at.y + d)),
                        (Point::at(at.x + d, at.y - d), Point::at(at.x - d, at.y + d)),
                    ],
                    &palette.dead,
                );
                return;
            }
            ActorState::Idle
            | ActorState::Connecting
            | ActorState::Stopping
            | ActorState::Stopped => {
                ink.dash(&[3.0, 3.0]);
                ink.ring(at, r, focus.unwrap_or(&palette.line_strong));
                tag_colour = &palette.text_faint;
            }
        }
        ink.dash(&[]);
        ink.font(&self.bold(if actor.tag.chars().count() > 1 { r * 0.95 } else { r * 1.15 }));
        ink.text(&actor.tag, Point::at(at.x, at.y + 0.5), Align::Middle, tag_colour);
    }
}

/// How a client is, where that is worth saying.
pub(crate) fn state_word(state: ActorState) -> Option<&'static str> {
    match state {
        ActorState::Running => None,
        ActorState::Idle => Some("off"),
        ActorState::Connecting => Some("connecting"),
        ActorState::Stopping => Some("stopping"),
        ActorState::Stopped => Some("stopped"),
        ActorState::Crashed => Some("crashed"),
        ActorState::Silent => Some("silent"),
    }
}

fn short(rate: f64) -> String {
    if rate.fract() == 0.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
