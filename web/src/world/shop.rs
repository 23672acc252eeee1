//! The producer: places real orders, one by one, and wants each confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use fanlight_core::{Batch, Event, Op, Span, Tag, Target, Time};

use super::actor::{Desk, InHand, Note, Part};
use super::orders::Order;
use super::scenario::EXCHANGE;
use crate::picture::Role;

/// How long it holds back when the broker says that it is full.
const HOLD_BACK: Span = Span::from_secs(1);

/// The shop.
#[derive(Clone)]
pub(crate) struct Shop {
    orders: Rc<[Order]>,
    next: usize,
    next_at: Option<Time>,
    poison_next: bool,
    unconfirmed: BTreeMap<Tag, Order>,
    again: VecDeque<Order>,
    confirmed: u64,
}

impl Shop {
    pub(crate) fn new(orders: Rc<[Order]>) -> Shop {
        Shop {
            orders,
            next: 0,
            next_at: None,
            poison_next: false,
            unconfirmed: BTreeMap::new(),
            again: VecDeque::new(),
            confirmed: 0,
        }
    }

    /// Its next order will be one that no worker accepts.
    pub(crate) fn poison_next(&mut self) {
        self.poison_next = true;
    }

    /// How many of its publishes were confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Places one order now.
    pub(crate) fn place(&mut self, desk: &mut Desk<'_>) {
        let order = match self.again.pop_front() {
            Some(order) => order,
            None => self.draw(),
        };
        let body = order.to_body();
        let mut batch = Batch::new();
        batch
            .push(
                Some(order.order_id.as_bytes()),
                [("content-type", b"application/json".as_slice())],
                Some(desk.now),
                body.as_bytes(),
            )
            .expect("an order's number is a short key");
        desk.note(Note::Publishing { key: order.order_id.clone(), body });
        let tag = desk.send(Op::publish(
            Target::Exchange { name: EXCHANGE.into(), routing_key: order.routing_key().into() },
            true,
            batch.finish().expect("one record was added"),
        ));
        self.unconfirmed.insert(tag, order);
    }

    fn draw(&mut self) -> Order {
        let mut order = self.orders[self.next % self.orders.len()].clone();
        self.next += 1;
        if std::mem::take(&mut self.poison_next) {
            order.unit_price = 0.0;
        }
        order
    }
}

impl Part for Shop {
    fn opened(&mut self, desk: &mut Desk<'_>) {
        self.next_at = desk.next_order();
    }

    fn hear(&mut self, desk: &mut Desk<'_>, event: &Event<'_>) {
        if let Event::Published { tag, .. } = event {
            self.confirmed += u64::from(self.unconfirmed.remove(tag).is_some());
        } else if let Event::Refused { tag, refusal } = event
            && let Some(order) = self.unconfirmed.remove(tag)
        {
            if refusal.code.is_transient() {
                self.again.push_back(order);
                self.next_at = Some(desk.now + HOLD_BACK);
                desk.note(Note::Trouble(format!("{refusal}; it holds back for a second")));
            } else {
                desk.note(Note::Trouble(refusal.to_string()));
            }
        }
    }

    fn wake(&mut self, desk: &mut Desk<'_>) {
        if self.next_at.is_some_and(|at| at <= desk.now) {
            self.place(desk);
            self.next_at = desk.next_order();
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.next_at
    }

    fn tuned(&mut self, desk: &mut Desk<'_>) {
        self.next_at = desk.next_order();
    }

    fn stop(&mut self, desk: &mut Desk<'_>) {
        self.next_at = None;
        desk.leave();
    }

    /// What was not confirmed may or may not have arrived: it is placed again, at least once.
    fn closed(&mut self) {
        self.next_at = None;
        self.again.extend(std::mem::take(&mut self.unconfirmed).into_values());
    }

    fn role(&self) -> Role {
        Role::Producer
    }

    fn in_hand(&self) -> InHand {
        InHand::default()
    }
}
