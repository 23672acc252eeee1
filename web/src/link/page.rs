//! The broker in the page: the same code as the server's, driven on a clock that is ours.

use std::collections::{BTreeSet, VecDeque};

use fanlight_core::codec::encode_event;
use fanlight_core::{
    Broker, Config, ConnId, Effect, Input, Limits, PROTOCOL, Request, Session, Time,
};

use super::{Link, Told, Wire};

/// What the broker in the page may hold: it shares its memory with the page.
const STORED_BYTES_MAX: u64 = 256 << 20;

/// A broker of its own, in memory.
#[derive(Clone)]
pub struct PageLink {
    broker: Broker,
    opened: u64,
    open: BTreeSet<Wire>,
    inbox: VecDeque<(Wire, Told)>,
}

impl PageLink {
    /// An empty broker at time zero.
    pub fn new(seed: u64) -> PageLink {
        let limits = Limits { stored_bytes_max: STORED_BYTES_MAX, ..Limits::default() };
        PageLink {
            broker: Broker::new(Config { seed, limits }, Time::ZERO),
            opened: 0,
            open: BTreeSet::new(),
            inbox: VecDeque::new(),
        }
    }

    /// The broker, for tests: its invariants and its snapshot.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Nothing here has to outlive the page, so facts are durable as soon as they are made, and
    /// what is told may be handed on at once.
    fn apply(&mut self, now: Time, input: Input<'_>) {
        let (open, inbox) = (&mut self.open, &mut self.inbox);
        self.broker.apply(now, input, &mut |effect: Effect<'_>| match effect {
            Effect::Fact(_) => {}
            Effect::Tell(ConnId(conn), event) => {
                let mut frame = Vec::new();
                encode_event(&event, &mut frame);
                inbox.push_back((Wire(conn), Told::Frames(frame)));
            }
            Effect::Close(ConnId(conn), reason) => {
                open.remove(&Wire(conn));
                let why = format!("the broker closed the connection: {reason:?}");
                inbox.push_back((Wire(conn), Told::Closed(why)));
            }
        });
    }
}

impl Link for PageLink {
    fn open(&mut self, now: Time, client: &str) -> Wire {
        self.opened += 1;
        let wire = Wire(self.opened);
        self.open.insert(wire);
        let session = Session { protocol: PROTOCOL, client: client.into() };
        self.apply(now, Input::Open(ConnId(wire.0), session));
        wire
    }

    fn send(&mut self, now: Time, wire: Wire, request: &Request<'_>) {
        if self.open.contains(&wire) {
            self.apply(now, Input::Request(ConnId(wire.0), request.clone()));
        }
    }

    fn close(&mut self, now: Time, wire: Wire) {
        if self.open.remove(&wire) {
            self.inbox.retain(|(of, _)| *of != wire);
            self.apply(now, Input::Closed(ConnId(wire.0)));
        }
    }

    fn take(&mut self) -> Option<(Wire, Told)> {
        self.inbox.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        self.broker.deadline().map(|(at, _)| at)
    }

    fn tick(&mut self, now: Time) {
        self.apply(now, Input::Tick);
    }
}
