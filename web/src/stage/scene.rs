//! Where everything stands: made from a picture and a size, and made again when parts come or go.
//!
//! ```text
//! producers ─ exchanges ─┬─ topic: a tape for each partition, a rail for each group ─ groups
//!                        └─ queue: slots, the next to go at the right ─────── workers
//!                             └ dead-letter queue: below, since failure falls down
//! ```

use fanlight_web::picture::{Actor, ActorId, Name, Picture, Queue, Role};

use super::geometry::{Point, Rect};

/// Under this width producers and exchanges move to a strip on top, and clients are but their tags.
const COMPACT_BELOW: f64 = 560.0;
const SCALE_MIN: f64 = 0.8;
const SCALE_MIN_COMPACT: f64 = 0.74;
const SCALE_MAX: f64 = 1.4;

/// Everything on the stage and where it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    /// Of all that there is; it may be more than is in view.
    pub(crate) height: f64,
    pub(crate) is_compact: bool,
    pub(crate) actors: Vec<ActorSpot>,
    pub(crate) exchanges: Vec<ExchangeBox>,
    pub(crate) topics: Vec<TopicBlock>,
    pub(crate) queues: Vec<QueueBlock>,
    pub(crate) cards: Vec<Card>,
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct ActorSpot {
    pub(crate) id: ActorId,
    /// The middle of its mark.
    pub(crate) mark: Point,
    pub(crate) radius: f64,
    /// All that is its own: mark, name, what it holds.
    pub(crate) rect: Rect,
    /// Whether its name stands under its mark, as a producer's does.
    pub(crate) is_upright: bool,
}

/// An exchange.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeBox {
    pub(crate) name: Name,
    pub(crate) rect: Rect,
}

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicBlock {
    pub(crate) name: Name,
    pub(crate) title: Point,
    pub(crate) lanes: Vec<Lane>,
}

/// A partition.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) topic: Name,
    pub(crate) partition: u32,
    pub(crate) tape: Rect,
    /// The middles of the groups' rails.
    pub(crate) rails: Vec<(Name, f64)>,
    pub(crate) rail_height: f64,
}

/// A queue.
#[derive(Clone, Debug)]
pub(crate) struct QueueBlock {
    pub(crate) name: Name,
    pub(crate) title: Point,
    pub(crate) slots: Rect,
    /// The queue above it, whose dead fall into it.
    pub(crate) below: Option<Name>,
}

/// The clients of one group or queue.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) of: CardOf,
    pub(crate) rect: Rect,
}

/// Whose clients a card shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CardOf {
    Group(Name),
    Workers(Name),
}

struct Sizes {
    scale: f64,
    margin: f64,
    top: f64,
    left: f64,
    exchange: f64,
    tape_from: f64,
    tape_to: f64,
    card_from: f64,
    card_width: f64,
}

impl Sizes {
    fn of(width: f64, is_compact: bool, has_left: bool) -> Sizes {
        let room = ((width - 700.0) / 500.0).clamp(0.0, 1.0);
        let between = |tight: f64, wide: f64| tight + (wide - tight) * room;
        let margin = if is_compact { 10.0 } else { between(14.0, 26.0) };
        let card_width = if is_compact { 66.0 } else { between(150.0, 210.0) };
        let left = if has_left { between(62.0, 84.0) } else { 0.0 };
        let exchange = if has_left { between(82.0, 108.0) } else { 0.0 };
        let card_from = width - margin - card_width;
        let tape_from = if is_compact {
            margin + 26.0
        } else {
            margin + left + exchange + between(64.0, 116.0)
        };
        let wires = if is_compact { 40.0 } else { between(74.0, 132.0) };
        let top = if is_compact { 56.0 } else { 16.0 };
        let tape_to = (card_from - wires).max(tape_from + 60.0);
        Sizes { scale: 1.0, margin, top, left, exchange, tape_from, tape_to, card_from, card_width }
    }

    fn tape(&self) -> f64 {
        26.0 * self.scale
    }

    fn rail(&self) -> f64 {
        14.0 * self.scale
    }
}

impl Scene {
    /// Lays a picture out in a box.
    pub(crate) fn of(picture: &Picture, width: f64, height: f64) -> Scene {
        let is_compact = width < COMPACT_BELOW;
        let mut sizes = Sizes::of(width, is_compact, true);
        let natural = Scene::build(picture, width, is_compact, &sizes);
        let fit = (height - 2.0 * sizes.top) / (natural.height - 2.0 * sizes.top).max(1.0);
        let least = if is_compact { SCALE_MIN_COMPACT } else { SCALE_MIN };
        sizes.scale = fit.clamp(least, SCALE_MAX);
        let mut scene = Scene::build(picture, width, is_compact, &sizes);
        let spare = (height - scene.height) / 2.0;
        if spare > 0.0 && !is_compact {
            sizes.top += spare;
            scene = Scene::build(picture, width, is_compact, &sizes);
        }
        scene.height = scene.height.max(height);
        scene.place_left(picture, &sizes);
        scene
    }

    fn build(picture: &Picture, width: f64, is_compact: bool, sizes: &Sizes) -> Scene {
        let mut scene = Scene { width, is_compact, ..Scene::default() };
        let bottom = scene.place_logs(picture, sizes);
        let cards_bottom = scene.place_cards(picture, sizes);
        scene.height = bottom.max(cards_bottom) + sizes.top.min(24.0);
        scene
    }

    /// Topics and queues, from the top down; gives the lowest edge.
    fn place_logs(&mut self, picture: &Picture, sizes: &Sizes) -> f64 {
        let (s, mut y) = (sizes.scale, sizes.top);
        let tape_width = sizes.tape_to - sizes.tape_from;
        for topic in &picture.topics {
            let readers: Vec<Name> = picture
                .groups
                .iter()
                .filter(|group| group.cursors.iter().any(|c| c.topic == topic.name))
                .map(|group| group.name.clone())
                .collect();
            let title = Point::at(sizes.tape_from, y + 9.0);
            y += 32.0;
            let mut lanes = Vec::new();
            for partition in 0..topic.tapes.len() as u32 {
                let tape = Rect::new(sizes.tape_from, y, tape_width, sizes.tape());
                let first = tape.bottom() + 3.0 + sizes.rail() / 2.0;
                let rails: Vec<(Name, f64)> = readers
                    .iter()
                    .enumerate()
                    .map(|(i, name)| (name.clone(), first + i as f64 * sizes.rail()))
                    .collect();
                y = tape.bottom() + 3.0 + rails.len() as f64 * sizes.rail() + 14.0 * s;
                let rail_height = sizes.rail();
                lanes.push(Lane { topic: topic.name.clone(), partition, tape, rails, rail_height });
            }
            y += 14.0 * s;
            self.topics.push(TopicBlock { name: topic.name.clone(), title, lanes });
        }
        for (queue, below) in in_falling_order(picture) {
            let indent = if below.is_some() { 10.0 * s } else { 6.0 * s };
            y += indent;
            let title = Point::at(sizes.tape_from, y + 9.0);
            let slots = Rect::new(sizes.tape_from, y + 24.0, tape_width, 30.0 * s);
            y = slots.bottom() + 20.0 * s;
            self.queues.push(QueueBlock { name: queue.name.clone(), title, slots, below });
        }
        y
    }

    /// Groups beside their topics and workers beside their queues; gives the lowest edge.
    fn place_cards(&mut self, picture: &Picture, sizes: &Sizes) -> f64 {
        let wanted = self.wanted_cards(picture);
        let rows: f64 = 25.0 * sizes.scale;
        let head = 24.0;
        let mut y = sizes.top;
        for (of, middle, clients) in wanted {
            let height = head + rows * clients.len().max(1) as f64 + 5.0;
            let top = (middle - height / 2.0).max(y);
            let rect = Rect::new(sizes.card_from, top, sizes.card_width, height);
            for (i, id) in clients.into_iter().enumerate() {
                let row = Rect::new(rect.x, rect.y + head + i as f64 * rows, rect.w, rows);
                let inset = if self.is_compact { 16.0 } else { 18.0 };
                let mark = Point::at(row.x + inset, row.y + rows / 2.0);
                let radius = 9.5;
                self.actors.push(ActorSpot { id, mark, radius, rect: row, is_upright: false });
            }
            y = rect.bottom() + 9.0 * sizes.scale;
            self.cards.push(Card { of, rect });
        }
        y
    }

    /// Each card with the height that its middle would like to be at, and its clients.
    fn wanted_cards(&self, picture: &Picture) -> Vec<(CardOf, f64, Vec<ActorId>)> {
        let ids = |wanted: &dyn Fn(&Actor) -> bool| -> Vec<ActorId> {
            picture.actors.iter().filter(|actor| wanted(actor)).map(|actor| actor.id).collect()
        };
        let mut cards = Vec::new();
        let mut shared: Vec<usize> = vec![0; self.topics.len()];
        let homes: Vec<Option<usize>> = picture
            .groups
            .iter()
            .map(|group| {
                let home = self
                    .topics
                    .iter()
                    .position(|topic| group.cursors.iter().any(|c| c.topic == topic.name));
                home.inspect(|home| shared[*home] += 1)
            })
            .collect();
        let mut taken = vec![0; self.topics.len()];
        for (group, home) in picture.groups.iter().zip(homes) {
            let clients =
                ids(&|a| matches!(&a.role, Role::Member { group: g } if *g == group.name));
            let middle = home.map_or(0.0, |home| {
                let (top, bottom) = self.topics[home].span();
                taken[home] += 1;
                let part = (f64::from(taken[home]) - 0.5) / shared[home] as f64;
                top + (bottom - top) * part
            });
            cards.push((CardOf::Group(group.name.clone()), middle, clients));
        }
        let group = |role: &Role| match role {
            Role::Member { group } if picture.group(group).is_none() => Some(group.clone()),
            Role::Member { .. } | Role::Worker { .. } | Role::Producer | Role::Unknown => None,
        };
        for name in to_come(picture, group) {
            let clients = ids(&|a| matches!(&a.role, Role::Member { group } if *group == name));
            cards.push((CardOf::Group(name), 0.0, clients));
        }
        cards.sort_by(|a, b| a.1.total_cmp(&b.1));
        for block in &self.queues {
            let clients =
                ids(&|a| matches!(&a.role, Role::Worker { queue } if *queue == block.name));
            if !clients.is_empty() {
                let middle = block.slots.middle().y + 10.0;
                cards.push((CardOf::Workers(block.name.clone()), middle, clients));
            }
        }
        let queue = |role: &Role| match role {
            Role::Worker { queue } if picture.queue(queue).is_none() => Some(queue.clone()),
            Role::Member { .. } | Role::Worker { .. } | Role::Producer | Role::Unknown => None,
        };
        for name in to_come(picture, queue) {
            let clients = ids(&|a| matches!(&a.role, Role::Worker { queue } if *queue == name));
            cards.push((CardOf::Workers(name), self.height, clients));
        }
        cards
    }

    /// Producers and exchanges: left of the logs, or in a strip above them.
    fn place_left(&mut self, picture: &Picture, sizes: &Sizes) {
        let publishers: Vec<ActorId> = picture
            .actors
            .iter()
            .filter(|actor| match &actor.role {
                Role::Producer | Role::Unknown => true,
                Role::Member { .. } | Role::Worker { .. } => false,
            })
            .map(|actor| actor.id)
            .collect();
        if self.is_compact {
            self.place_strip(picture, &publishers, sizes);
            return;
        }
        let middle = self.logs_middle();
        let step = 74.0_f64.min((self.height - 40.0) / publishers.len().max(1) as f64);
        let x = sizes.margin + sizes.left / 2.0;
        for (i, id) in publishers.iter().enumerate() {
            let y = middle + (i as f64 - (publishers.len() as f64 - 1.0) / 2.0) * step;
            let rect = Rect::new(sizes.margin, y - 20.0, sizes.left, 56.0_f64.min(step));
            let mark = Point::at(x, y);
            self.actors.push(ActorSpot { id: *id, mark, radius: 14.0, rect, is_upright: true });
        }
        let count = picture.exchanges.len();
        let gap = 58.0_f64.min((self.height - 40.0) / count.max(1) as f64);
        let room = sizes.tape_from - (sizes.margin + sizes.left) - sizes.exchange;
        let x = sizes.margin + sizes.left + room * 0.32;
        for (i, exchange) in picture.exchanges.iter().enumerate() {
            let y = middle + (i as f64 - (count as f64 - 1.0) / 2.0) * gap;
            let rect = Rect::new(x, y - 20.0, sizes.exchange, 40.0);
            self.exchanges.push(ExchangeBox { name: exchange.name.clone(), rect });
        }
    }

    fn place_strip(&mut self, picture: &Picture, publishers: &[ActorId], sizes: &Sizes) {
        let each = 46.0_f64.min(self.width * 0.4 / publishers.len().max(1) as f64);
        for (i, id) in publishers.iter().enumerate() {
            let mark = Point::at(sizes.margin + 16.0 + i as f64 * each, 22.0);
            let rect = Rect::new(mark.x - 16.0, 6.0, each, 44.0);
            self.actors.push(ActorSpot { id: *id, mark, radius: 12.0, rect, is_upright: true });
        }
        let from = sizes.margin + 40.0 + publishers.len() as f64 * each;
        for (i, exchange) in picture.exchanges.iter().enumerate() {
            let rect = Rect::new(from + i as f64 * 88.0, 6.0, 80.0, 34.0);
            self.exchanges.push(ExchangeBox { name: exchange.name.clone(), rect });
        }
    }

    fn logs_middle(&self) -> f64 {
        let topics = self.topics.iter().map(TopicBlock::span);
        let queues = self.queues.iter().map(|q| (q.title.y, q.slots.bottom()));
        let all = topics.chain(queues);
        let (top, bottom) = all.fold((f64::MAX, 0.0_f64), |(a, b), (c, d)| (a.min(c), b.max(d)));
        if top > bottom { self.height / 2.0 } else { top + (bottom - top) * 0.46 }
    }

    pub(crate) fn actor(&self, id: ActorId) -> Option<&ActorSpot> {
        self.actors.iter().find(|spot| spot.id == id)
    }

    pub(crate) fn lane(&self, topic: &str, partition: u32) -> Option<&Lane> {
        let block = self.topics.iter().find(|block| &*block.name == topic)?;
        block.lanes.get(partition as usize)
    }

    pub(crate) fn queue(&self, name: &str) -> Option<&QueueBlock> {
        self.queues.iter().find(|block| &*block.name == name)
    }

    pub(crate) fn exchange(&self, name: &str) -> Option<&ExchangeBox> {
        self.exchanges.iter().find(|block| &*block.name == name)
    }
}

impl TopicBlock {
    /// From its highest to its lowest edge.
    pub(crate) fn span(&self) -> (f64, f64) {
        let bottom = self.lanes.last().map_or(self.title.y, Lane::bottom);
        (self.title.y - 8.0, bottom)
    }
}

impl Lane {
    pub(crate) fn bottom(&self) -> f64 {
        self.tape.bottom() + 3.0 + self.rails.len() as f64 * self.rail_height
    }

    /// The middle of a group's rail; the tape's where the group has none.
    pub(crate) fn rail(&self, group: &str) -> f64 {
        let rail = self.rails.iter().find(|(name, _)| &**name == group);
        rail.map_or(self.tape.middle().y, |(_, y)| *y)
    }
}

/// What is not there yet, as `missing` names it, and whose clients are: they were not started.
fn to_come(picture: &Picture, missing: impl Fn(&Role) -> Option<Name>) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for name in picture.actors.iter().filter_map(|actor| missing(&actor.role)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Every queue, each followed by the queue that its dead fall into.
fn in_falling_order(picture: &Picture) -> Vec<(&Queue, Option<Name>)> {
    let mut order: Vec<(&Queue, Option<Name>)> = Vec::new();
    let sources = picture.queues.iter().filter(|queue| queue.dead_letters_of.is_empty());
    for queue in sources {
        order.push((queue, None));
        let target = queue.policy.dead_letter.as_deref().and_then(|name| picture.queue(name));
        if let Some(target) = target.filter(|t| order.iter().all(|(q, _)| q.name != t.name)) {
            order.push((target, Some(queue.name.clone())));
        }
    }
    for queue in &picture.queues {
        if order.iter().all(|(known, _)| known.name != queue.name) {
            order.push((queue, queue.dead_letters_of.first().cloned()));
        }
    }
    order
}
