//! A driver for the benches: a broker, its connections, and what they were told that is needed to
//! go on. Every request is made here, so that the benches say only what they measure.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, Batch, Broker, Budget, CommitOffset, Config, ConnId, Destination, Effect, Event,
    ExchangeKind, Generation, Input, LeaseId, MemberId, Offset, Op, PROTOCOL, Position,
    QueuePolicy, Records, Request, Session, Span, Start, Tag, Target, Time,
};

pub(crate) const CONN: ConnId = ConnId(1);

pub(crate) fn batch(count: u32, body_bytes: usize) -> Records<'static> {
    let mut batch = Batch::new();
    let body = vec![b'x'; body_bytes];
    for _ in 0..count {
        batch.push_body(&body);
    }
    batch.finish().expect("a batch has records")
}

pub(crate) struct Driver {
    pub(crate) broker: Broker,
    pub(crate) now: Time,
    pub(crate) leases: Vec<LeaseId>,
    pub(crate) members: Vec<MemberId>,
    pub(crate) generation: Generation,
    /// The offset after the last record that was polled or read.
    pub(crate) next: u64,
    pub(crate) events: u64,
}

impl Driver {
    pub(crate) fn new() -> Driver {
        let mut config = Config::default();
        config.limits.stored_bytes_max = 8 << 30;
        config.limits.members_max = 100_000;
        Driver::with(config)
    }

    pub(crate) fn with(config: Config) -> Driver {
        let mut driver = Driver {
            broker: Broker::new(config, Time::ZERO),
            now: Time::ZERO,
            leases: Vec::new(),
            members: Vec::new(),
            generation: Generation(0),
            next: 0,
            events: 0,
        };
        driver.open(CONN);
        driver
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most of what is told is not needed here")]
    pub(crate) fn apply(&mut self, input: Input<'_>) {
        self.now = self.now + Span(1_000);
        let Driver { broker, now, leases, members, generation, next, events } = self;
        broker.apply(*now, input, &mut |effect: Effect<'_>| match effect {
            Effect::Tell(_, event) => {
                *events += 1;
                match event {
                    Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } => {
                        leases.extend(deliveries.iter().map(|delivery| delivery.lease));
                    }
                    Event::Joined { member: id, .. } => members.push(id),
                    Event::Assigned { generation: g, .. } => *generation = g,
                    Event::Polled { batches, .. } => {
                        if let Some(batch) = batches.last() {
                            *next = batch.base.0 + u64::from(batch.records.count());
                        }
                    }
                    Event::ReadDone { batch: Some(batch), .. } => {
                        *next = batch.base.0 + u64::from(batch.records.count());
                    }
                    Event::Refused { refusal, .. } => panic!("{refusal}"),
                    _ => {}
                }
            }
            Effect::Fact(_) | Effect::Close(..) => {}
        });
    }

    pub(crate) fn ask_as(&mut self, conn: ConnId, op: Op<'_>) {
        self.apply(Input::Request(conn, Request { tag: Tag(1), op }));
    }

    pub(crate) fn ask(&mut self, op: Op<'_>) {
        self.ask_as(CONN, op);
    }

    pub(crate) fn open(&mut self, conn: ConnId) {
        self.apply(Input::Open(conn, Session { protocol: PROTOCOL, client: "bench".into() }));
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.apply(Input::Closed(conn));
    }

    /// Ticks until nothing is due by now any more: an end may be spread over several applies.
    pub(crate) fn settle(&mut self) {
        while self.broker.deadline().is_some_and(|(at, _)| at <= self.now) {
            self.apply(Input::Tick);
        }
    }

    pub(crate) fn declare_queue(&mut self, name: &str) {
        self.ask(Op::DeclareQueue { name: name.into(), policy: QueuePolicy::default() });
    }

    pub(crate) fn delete_queue(&mut self, name: &str) {
        self.ask(Op::DeleteQueue { name: name.into(), if_empty: false, if_unused: false });
    }

    pub(crate) fn declare_exchange(&mut self, name: &str, kind: ExchangeKind) {
        self.ask(Op::DeclareExchange { name: name.into(), kind, policy: Default::default() });
    }

    pub(crate) fn bind(&mut self, exchange: &str, queue: &str, pattern: &str) {
        let to = Destination::Queue(queue.into());
        let (exchange, pattern) = (exchange.into(), pattern.into());
        self.ask(Op::Bind { exchange, to, pattern, headers: Default::default() });
    }

    pub(crate) fn create_topic(&mut self, name: &str, partitions: u32) {
        self.ask(Op::CreateTopic { name: name.into(), partitions, policy: Default::default() });
    }

    pub(crate) fn publish(&mut self, to: Target<'_>, records: &Records<'static>) {
        self.ask(Op::publish(to, true, records.clone()));
    }

    pub(crate) fn publish_to_queue(&mut self, queue: &str, records: &Records<'static>) {
        self.publish(Target::Queue { name: queue.into() }, records);
    }

    pub(crate) fn publish_to_partition(&mut self, topic: &str, records: &Records<'static>) {
        self.publish(Target::Topic { name: topic.into(), partition: Some(0) }, records);
    }

    pub(crate) fn publish_to_exchange(
        &mut self,
        name: &str,
        key: &str,
        records: &Records<'static>,
    ) {
        let to = Target::Exchange { name: name.into(), routing_key: key.into() };
        self.publish(to, records);
    }

    pub(crate) fn consume_as(&mut self, conn: ConnId, queue: &str, prefetch: u32) {
        let (queue, visibility) = (queue.into(), Some(Span::from_secs(3_600)));
        self.ask_as(
            conn,
            Op::Consume { queue, prefetch, visibility, auto_ack: false, exclusive: false },
        );
    }

    pub(crate) fn receive_as(&mut self, conn: ConnId, queue: &str, messages_max: u32, wait: Span) {
        let (queue, visibility) = (queue.into(), None);
        self.ask_as(conn, Op::Receive { queue, messages_max, wait, visibility, auto_ack: false });
    }

    pub(crate) fn ack_as(&mut self, conn: ConnId, leases: &[LeaseId]) {
        self.ask_as(conn, Op::Ack { leases: leases.into() });
    }

    /// Acknowledges what was delivered since the last time.
    pub(crate) fn ack_all(&mut self) {
        let mut leases = std::mem::take(&mut self.leases);
        self.ack_as(CONN, &leases);
        leases.clear();
        self.leases = leases;
    }

    pub(crate) fn nack(&mut self, leases: &[LeaseId], delay: Span) {
        self.ask(Op::Nack { leases: leases.into(), delay });
    }

    pub(crate) fn join(&mut self, group: &str, topic: &str, assignor: Assignor) {
        self.ask(Op::Join {
            group: group.into(),
            topics: vec![Cow::from(topic)].into(),
            assignor,
            start: Start::Earliest,
            session_timeout: None,
            instance: None,
            rebalance_timeout: None,
        });
    }

    pub(crate) fn leave(&mut self, member: MemberId) {
        self.ask(Op::Leave { member });
    }

    pub(crate) fn poll(&mut self, member: MemberId, records_max: u32) {
        let budget = Budget::waiting(records_max, Span::ZERO);
        self.ask(Op::Poll { member, budget });
    }

    pub(crate) fn read(&mut self, topic: &str, from: u64, records_max: u32) {
        let from = Position::At(Offset(from));
        let (topic, budget) = (topic.into(), Budget::waiting(records_max, Span::ZERO));
        self.ask(Op::Read { topic, partition: 0, from, budget });
    }

    pub(crate) fn commit(&mut self, member: MemberId, topic: &str) {
        let offset = Offset(self.next);
        let offsets =
            [CommitOffset { topic: topic.into(), partition: 0, offset, metadata: "".into() }];
        let generation = self.generation;
        self.ask(Op::Commit { member, generation, offsets: offsets[..].into() });
    }
}
