//! Random but sensible inputs from a seed: what a crowd of clients might ask, some of it wrong,
//! with leases, members and offsets from what they were told.

use std::collections::BTreeMap;

use fanlight_core::{
    CloseReason, Config, ConnId, Effect, Event, Input, LeaseId, Limits, Op, PROTOCOL, Request,
    Session, Span, Tag, Time,
};

use crate::client::Client;
use crate::dice::Dice;

mod groups;
mod producers;
mod queues;
mod streams;
mod topology;

const QUEUES: [&str; 4] = ["orders", "payments", "mails", "dead"];
const TOPICS: [&str; 3] = ["clicks", "ledger", "one"];
const EXCHANGES: [&str; 9] = [
    "direct",
    "topic",
    "fanout",
    "headers",
    "headers",
    "amq.direct",
    "amq.topic",
    "amq.fanout",
    "amq.headers",
];
const GROUPS: [&str; 2] = ["billing", "search"];
const WORK_GROUPS: [&str; 2] = ["packers", "mailers"];
const KEYS: [&str; 7] = ["", "a", "a.b", "a.b.c", "b", "b.a", "c"];
const PATTERNS: [&str; 7] = ["", "a", "a.*", "#", "#.b", "b.#", "*.b.*"];
/// Few different spans, so that things fall due together.
const SPANS_MS: [u64; 5] = [10, 50, 100, 200, 1_000];
const CLIENTS_MAX: usize = 5;
const LEASES_REMEMBERED_MAX: usize = 32;

/// Clients that ask at random.
#[derive(Clone, Debug)]
pub struct Workload {
    dice: Dice,
    now: Time,
    last_conn: u64,
    last_tag: u32,
    weights: Weights,
    clients: BTreeMap<ConnId, Client>,
    /// Leases that are or may be stale.
    stale: Vec<LeaseId>,
    /// What is made first, so that there is something to work with.
    script: Vec<Op<'static>>,
    bound: Vec<Op<'static>>,
}

/// What this workload is mostly about.
#[derive(Clone, Copy, Debug)]
struct Weights {
    topology: u32,
    publish: u32,
    queues: u32,
    streams: u32,
    views: u32,
}

impl Workload {
    /// The workload of a seed, which begins at time zero.
    pub fn new(seed: u64) -> Workload {
        let mut dice = Dice::new(seed);
        let weights = *dice.pick(&[
            Weights { topology: 8, publish: 20, queues: 30, streams: 25, views: 4 },
            Weights { topology: 5, publish: 25, queues: 60, streams: 2, views: 3 },
            Weights { topology: 5, publish: 20, queues: 2, streams: 60, views: 3 },
            Weights { topology: 30, publish: 20, queues: 20, streams: 20, views: 5 },
        ]);
        let mut workload = Workload {
            dice,
            now: Time::ZERO,
            last_conn: 0,
            last_tag: 0,
            weights,
            clients: BTreeMap::new(),
            stale: Vec::new(),
            script: Vec::new(),
            bound: Vec::new(),
        };
        workload.script = workload.beginning();
        workload
    }

    /// The configuration that its broker has: sometimes with limits that are soon reached.
    pub fn config(seed: u64) -> Config {
        let mut dice = Dice::new(!seed);
        let mut limits = Limits::default();
        if dice.percent(30) {
            limits = Limits {
                record_bytes_max: 64,
                batch_bytes_max: 256,
                stored_bytes_max: 2_000,
                deduplicated_max: 5,
                queue_messages_max: 20,
                exchanges_max: 5,
                queues_max: 3,
                topics_max: 2,
                partitions_max: 4,
                bindings_max: 6,
                groups_max: 1,
                members_max: 3,
                connections_max: 4,
                consumers_per_connection_max: 3,
                prefetch_max: 4,
                producers_max: 2,
                transactions_max: 1,
                transaction_records_max: 8,
                leases_per_connection_max: 6,
                waits_per_queue_max: 2,
                journey_steps_max: 20,
                offsets_retention_minutes: 1,
                ..limits
            };
        }
        Config { seed, limits }
    }

    /// The next input and its time, for a broker whose next deadline this is.
    pub fn next(&mut self, deadline: Option<Time>) -> (Time, Input<'static>) {
        self.advance(deadline);
        let input = self.input();
        (self.now, input)
    }

    /// Takes note of what came out of the broker.
    pub fn hear(&mut self, effect: &Effect<'_>) {
        match effect {
            Effect::Fact(_) => {}
            Effect::Tell(conn, Event::Opened { .. }) => {
                self.clients.insert(*conn, Client::default());
            }
            Effect::Tell(conn, event) => {
                if let Some(client) = self.clients.get_mut(conn) {
                    client.hear(event);
                }
            }
            Effect::Close(
                conn,
                CloseReason::BadProtocol | CloseReason::TooMany | CloseReason::NotOpen,
            ) => self.forget(*conn),
        }
    }

    fn forget(&mut self, conn: ConnId) {
        let Some(client) = self.clients.remove(&conn) else { return };
        self.stale.extend(client.leases);
        let surplus = self.stale.len().saturating_sub(LEASES_REMEMBERED_MAX);
        self.stale.drain(..surplus);
    }

    fn advance(&mut self, deadline: Option<Time>) {
        let until_due = deadline.map_or(Span::ZERO, |due| due.since(self.now));
        let span = match self.dice.weighted(&[720, 190, 35, 12, 15, 25, 3]) {
            0 => Span::ZERO,
            1 => Span::from_millis(self.dice.between(1, 20)),
            2 => until_due,
            3 => until_due.0.checked_sub(1).map_or(Span::ZERO, Span),
            4 => Span(until_due.0 + Span::from_millis(*self.dice.pick(&SPANS_MS)).0),
            5 => Span::from_millis(self.dice.between(100, 3_000)),
            _ => Span::from_secs(self.dice.between(3, 120)),
        };
        self.now = self.now + span;
    }

    fn input(&mut self) -> Input<'static> {
        if self.clients.is_empty() || self.dice.percent(3) && self.clients.len() < CLIENTS_MAX {
            return self.open();
        }
        match self.dice.weighted(&[940, 30, 25, 3, 2]) {
            0 => self.request(),
            1 => Input::Tick,
            2 => {
                let conn = self.any_conn();
                self.forget(conn);
                Input::Closed(conn)
            }
            3 => Input::Open(self.any_conn(), self.session(PROTOCOL)),
            _ => {
                self.last_conn += 1;
                let op = Op::Watch { on: true };
                Input::Request(ConnId(self.last_conn), Request { tag: Tag(1), op })
            }
        }
    }

    fn open(&mut self) -> Input<'static> {
        self.last_conn += 1;
        let protocol = if self.dice.percent(2) { PROTOCOL + 1 } else { PROTOCOL };
        Input::Open(ConnId(self.last_conn), self.session(protocol))
    }

    fn session(&mut self, protocol: u16) -> Session<'static> {
        Session { protocol, client: (*self.dice.pick(&["ann", "bob", "cy"])).into() }
    }

    fn any_conn(&mut self) -> ConnId {
        let nth = self.dice.below(self.clients.len() as u64) as usize;
        *self.clients.keys().nth(nth).expect("nth is below their number")
    }

    fn request(&mut self) -> Input<'static> {
        let conn = self.any_conn();
        let op = self.script.pop().unwrap_or_else(|| self.op(conn));
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        if let (Op::Poll { member, .. }, Some(client)) = (&op, self.clients.get_mut(&conn)) {
            client.polls(tag, *member);
        }
        if let Some(client) = self.clients.get_mut(&conn) {
            client.publishes(tag, &op);
        }
        Input::Request(conn, Request { tag, op })
    }

    fn op(&mut self, conn: ConnId) -> Op<'static> {
        let Weights { topology, publish, queues, streams, views } = self.weights;
        match self.dice.weighted(&[topology, publish, queues, streams, views]) {
            0 => self.topology(),
            1 => self.produce(conn),
            2 => self.queue_op(conn),
            3 => self.stream_op(conn),
            _ => self.view(),
        }
    }

    fn client(&mut self, conn: ConnId) -> &mut Client {
        self.clients.get_mut(&conn).expect("a request comes from a client that is there")
    }

    fn span(&mut self) -> Span {
        Span::from_millis(*self.dice.pick(&SPANS_MS))
    }

    fn wait(&mut self) -> Span {
        match self.dice.below(20) {
            0 => Span::from_secs(3_600),
            1..10 => Span::ZERO,
            _ => self.span(),
        }
    }
}
