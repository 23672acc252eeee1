//! The lower canvas: topics as tapes with the groups' rails and flags, queues, dead-letter queues.
//! Drawn again only when something on it changed.

use fanlight_web::picture::{Cursor, Group, Picture, Queue, Tape};

use super::geometry::{Point, Rect};
use super::ink::{Align, Ink};
use super::motion::{Motion, TapeView, slots_shown};
use super::palette::Palette;
use super::scene::{Lane, QueueBlock, Scene, TopicBlock};
use crate::focus::Focus;

/// Everything that drawing needs.
#[derive(Clone, Copy)]
pub(crate) struct Drawing<'a> {
    pub(crate) ink: &'a Ink,
    pub(crate) palette: &'a Palette,
    pub(crate) picture: &'a Picture,
    pub(crate) scene: &'a Scene,
    pub(crate) motion: &'a Motion,
    pub(crate) focus: Option<&'a Focus>,
}

impl Drawing<'_> {
    pub(crate) fn plain(&self, size: f64) -> String {
        format!("{size}px {}", self.palette.font)
    }

    pub(crate) fn bold(&self, size: f64) -> String {
        format!("600 {size}px {}", self.palette.font)
    }

    /// Topics, queues and what leads to them.
    pub(crate) fn lanes(&self) {
        self.wires();
        self.scene.topics.iter().for_each(|block| self.topic(block));
        self.scene.queues.iter().for_each(|block| self.queue(block));
        self.exchanges();
        self.cards();
        self.clients();
    }

    fn topic(&self, block: &TopicBlock) {
        let Some(topic) = self.picture.topic(&block.name) else { return };
        let count: u64 = topic.tapes.iter().map(|tape| tape.end.0 - tape.start.0).sum();
        let records = if count == 1 { "record" } else { "records" };
        self.title(block.title, &block.name, &format!("topic · {count} {records}"));
        for (lane, tape) in block.lanes.iter().zip(&topic.tapes) {
            self.tape(lane, tape);
            for (name, y) in &lane.rails {
                if let Some(group) = self.picture.group(name) {
                    self.rail(lane, tape, group, *y);
                }
            }
        }
    }

    fn title(&self, at: Point, name: &str, about: &str) {
        self.ink.font(&self.bold(13.0));
        let width = self.ink.text_width(name);
        self.ink.text(name, at, Align::Left, &self.palette.text);
        self.ink.font(&self.plain(12.0));
        let at = Point::at(at.x + width + 9.0, at.y + 0.5);
        let about = self.ink.fitted(about, (self.scene.width - at.x - 8.0).max(0.0));
        self.ink.text(&about, at, Align::Left, &self.palette.text_faint);
    }

    fn tape(&self, lane: &Lane, tape: &Tape) {
        let (ink, palette) = (self.ink, self.palette);
        let is_in_focus = matches!(self.focus, Some(Focus::Partition(topic, n))
            if *topic == lane.topic && *n == lane.partition);
        ink.font(&format!("11px {}", palette.mono));
        let number = format!("{}", lane.partition);
        let at = Point::at(lane.tape.x - 10.0, lane.tape.middle().y);
        ink.text(&number, at, Align::Middle, &palette.text_soft);
        ink.fill_round(lane.tape, 4.0, &palette.panel);
        let Some(view) = self.motion.tape_view(&lane.topic, lane.partition) else { return };
        self.ticks(lane, tape, view);
        ink.width(if is_in_focus { 2.0 } else { 1.0 });
        let edge = if is_in_focus { &palette.selected_edge } else { &palette.line_strong };
        ink.stroke_round(lane.tape, 4.0, edge);
    }

    fn ticks(&self, lane: &Lane, tape: &Tape, view: TapeView) {
        let (ink, palette, rect) = (self.ink, self.palette, lane.tape);
        let first = view.offset(rect, rect.x).ceil().max(tape.start.0 as f64) as u64;
        let every = if view.cell >= 12.0 { 5 } else { 10 };
        let mut fine = Vec::new();
        ink.font(&format!("10px {}", palette.mono));
        for offset in first..=tape.end.0 {
            let x = view.x(rect, offset as f64);
            if x < rect.x + 1.0 || x > rect.right() - 1.0 {
                continue;
            }
            if view.cell >= 8.0 {
                fine.push((Point::at(x, rect.y + 1.0), Point::at(x, rect.bottom() - 1.0)));
            }
            if offset % every == 0 && x < rect.right() - 14.0 && x > rect.x + 6.0 {
                let at = Point::at(x + view.cell / 2.0, rect.y - 7.0);
                ink.text(&offset.to_string(), at, Align::Middle, &palette.text_faint);
            }
        }
        ink.width(1.0);
        ink.lines(&fine, &palette.line);
    }

    fn rail(&self, lane: &Lane, tape: &Tape, group: &Group, y: f64) {
        let (ink, palette, rect) = (self.ink, self.palette, lane.tape);
        let is_in_focus = matches!(self.focus, Some(Focus::Group(name)) if *name == group.name);
        self.badge(Point::at(rect.x - 10.0, y), 5.5, group, is_in_focus);
        let Some(view) = self.motion.tape_view(&lane.topic, lane.partition) else { return };
        let Some(flags) = self.motion.flags(&group.name, &lane.topic, lane.partition) else {
            return;
        };
        let cursor =
            group.cursors.iter().find(|c| c.topic == lane.topic && c.partition == lane.partition);
        let Some(cursor) = cursor else { return };
        let clamp = |x: f64| x.clamp(rect.x, rect.right());
        let start = clamp(view.x(rect, tape.start.0 as f64));
        let committed = clamp(view.x(rect, flags.committed));
        let position = clamp(view.x(rect, flags.position));
        let end = clamp(view.x(rect, tape.end.0 as f64));
        let again = clamp(view.x(rect, cursor.read_to.0 as f64));
        let level = |x: f64| Point::at(x, y);
        ink.width(2.0);
        ink.alpha(0.55);
        if committed > start {
            ink.line(level(start), level(committed), &palette.settled);
        }
        if end > position {
            ink.line(level(position), level(end), &palette.ready);
        }
        ink.alpha(1.0);
        let half = lane.rail_height / 2.0 - 2.0;
        if position > committed + 0.5 {
            let span = Rect::new(committed, y - half, position - committed, 2.0 * half);
            self.span(span, &palette.leased);
        }
        let next = cursor.position.or(cursor.committed);
        let comes_again = next.is_some_and(|next| cursor.read_to > next);
        if comes_again && again > position + 0.5 {
            let span = Rect::new(position, y - half, again - position, 2.0 * half);
            self.span(span, &palette.redelivered);
        }
        self.flags(lane, cursor, y, (committed, position));
        self.lag(lane, cursor, y);
    }

    /// What a crash would deliver again, tinted and edged.
    fn span(&self, span: Rect, colour: &str) {
        self.ink.alpha(0.3);
        self.ink.fill_rect(span, colour);
        self.ink.alpha(0.8);
        self.ink.width(1.0);
        self.ink.stroke_rect(span, colour);
        self.ink.alpha(1.0);
    }

    fn flags(&self, lane: &Lane, cursor: &Cursor, y: f64, (committed, position): (f64, f64)) {
        let palette = self.palette;
        if cursor.position.is_some() {
            self.flag(position, y, lane.rail_height, &palette.leased, false);
        }
        if cursor.committed.is_some() {
            self.flag(committed, y, lane.rail_height, &palette.settled, true);
        }
    }

    /// A pole with a pennant: solid, or hollow.
    fn flag(&self, x: f64, y: f64, height: f64, colour: &str, is_solid: bool) {
        let ink = self.ink;
        let half = height / 2.0 - 0.5;
        let pennant = [
            Point::at(x, y - half),
            Point::at(x + 8.0, y - half + height * 0.24),
            Point::at(x, y - half + height * 0.5),
        ];
        ink.width(1.5);
        ink.line(Point::at(x, y - half), Point::at(x, y + half), colour);
        if is_solid {
            ink.shape(&pennant, colour, true);
        } else {
            ink.shape(&pennant, &self.palette.stage, true);
        }
        ink.shape(&pennant, colour, false);
    }

    fn lag(&self, lane: &Lane, cursor: &Cursor, y: f64) {
        let (ink, palette) = (self.ink, self.palette);
        let is_behind = cursor.lag > 0;
        ink.font(&self.plain(11.0));
        let text = if self.scene.is_compact {
            cursor.lag.to_string()
        } else {
            format!("lag {}", cursor.lag)
        };
        let colour = if is_behind { &palette.text_soft } else { &palette.text_faint };
        ink.text(&text, Point::at(lane.tape.right() + 6.0, y + 0.5), Align::Left, colour);
    }

    fn queue(&self, block: &QueueBlock) {
        let Some(queue) = self.picture.queue(&block.name) else { return };
        let (ink, palette, slots) = (self.ink, self.palette, block.slots);
        if let Some(above) = block.below.as_ref().and_then(|name| self.scene.queue(name)) {
            self.fall(above, block);
        }
        self.title(block.title, &block.name, &self.queue_about(queue));
        let is_in_focus = matches!(self.focus, Some(Focus::Queue(name)) if *name == block.name);
        let radius = if block.below.is_some() { 4.0 } else { slots.h / 2.0 };
        ink.fill_round(slots, radius, &palette.panel);
        ink.width(if is_in_focus { 2.0 } else { 1.0 });
        let edge = if is_in_focus { &palette.selected_edge } else { &palette.line_strong };
        ink.stroke_round(slots, radius, edge);
        let shown = slots_shown(queue, slots) as u64;
        let hidden = (queue.ready + queue.leased + queue.delayed).saturating_sub(shown);
        if hidden > 0 {
            ink.font(&self.plain(11.0));
            let at = Point::at(slots.x + 12.0, slots.middle().y + 0.5);
            ink.text(&format!("+{hidden}"), at, Align::Left, &palette.text_soft);
        }
    }

    fn queue_about(&self, queue: &Queue) -> String {
        if queue.dead_letters_of.is_empty() {
            let mut about = format!("queue · {} ready · {} leased", queue.ready, queue.leased);
            if queue.delayed > 0 {
                about += &format!(" · {} delayed", queue.delayed);
            }
            about
        } else {
            match queue.ready + queue.leased + queue.delayed {
                0 => "dead letters · none".to_owned(),
                dead => format!("dead letters · {dead}"),
            }
        }
    }

    /// The way down into a dead-letter queue.
    fn fall(&self, above: &QueueBlock, block: &QueueBlock) {
        let (ink, palette) = (self.ink, self.palette);
        let x = block.slots.right() - 15.0;
        let (top, bottom) = (above.slots.bottom() + 2.0, block.slots.y - 3.0);
        ink.width(1.5);
        ink.dash(&[3.0, 4.0]);
        ink.line(Point::at(x, top), Point::at(x, bottom - 4.0), &palette.dead);
        ink.dash(&[]);
        let head = [
            Point::at(x - 4.0, bottom - 6.0),
            Point::at(x + 4.0, bottom - 6.0),
            Point::at(x, bottom),
        ];
        ink.shape(&head, &palette.dead, true);
        let max = self.picture.queue(&above.name).and_then(|queue| queue.policy.deliveries_max);
        if let Some(max) = max {
            ink.font(&self.plain(11.0));
            let text = if self.scene.is_compact {
                format!("after {max}")
            } else {
                format!("after {max} attempts")
            };
            let at = Point::at(x - 9.0, (top + bottom) / 2.0);
            ink.text(&text, at, Align::Right, &palette.text_faint);
        }
    }

    /// A group's letter in its shape.
    pub(crate) fn badge(&self, at: Point, radius: f64, group: &Group, is_in_focus: bool) {
        let (ink, palette, r) = (self.ink, self.palette, radius);
        let colour = if is_in_focus { &palette.selected_edge } else { &palette.text_soft };
        let corner = |x: f64, y: f64| Point::at(at.x + x * r, at.y + y * r);
        ink.width(if is_in_focus { 2.0 } else { 1.2 });
        match group.shape % 4 {
            0 => ink.ring(at, r, colour),
            1 => {
                ink.stroke_rect(Rect::new(at.x - r, at.y - r, 2.0 * r, 2.0 * r).grown(-0.4), colour)
            }
            2 => {
                let shape =
                    [corner(0.0, -1.35), corner(1.35, 0.0), corner(0.0, 1.35), corner(-1.35, 0.0)];
                ink.shape(&shape, colour, false);
            }
            _ => {
                let shape =
                    [corner(-1.3, -1.0), corner(0.8, -1.0), corner(1.3, 1.0), corner(-0.8, 1.0)];
                ink.shape(&shape, colour, false);
            }
        }
        ink.font(&format!("600 {:.1}px {}", r * 1.5, palette.font));
        let letter = group.letter.to_string();
        ink.text(&letter, Point::at(at.x, at.y + 0.5), Align::Middle, &palette.text);
    }
}
