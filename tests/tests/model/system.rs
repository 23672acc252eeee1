//! The broker, driven as the model is, with what it says in the model's terms.

use std::collections::BTreeMap;

use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Append, Assignor, Batch, Broker, Budget, CommitOffset, Config, ConnId, Delivery, Destination,
    Effect, Event, Input, Isolation, LeaseId, MemberId, MessageState, Offset, Op, PROTOCOL,
    Position, ProducerEpoch, ProducerId, QueuePolicy, Records, Request, Sequenced, Session, Span,
    Start, Tag, Target, Time, View,
};

use super::reference::{
    Act, Answer, DELIVERIES_MAX, PARTITIONS, Place, QUEUES, Reference, State, VISIBILITY_MS,
};

pub(crate) struct System {
    broker: Broker,
    now: Time,
    facts: Vec<u8>,
    last_conn: u64,
    worker: ConnId,
    reader: ConnId,
    member: MemberId,
    generation: fanlight_core::Generation,
    bodies: u64,
    positions: [u64; 2],
    producer: Producer,
    /// By queue and offset, as the worker knows them.
    leases: BTreeMap<(usize, u64), LeaseId>,
}

/// A producer with a transactional name, as it knows itself.
#[derive(Clone, Debug, Default)]
struct Producer {
    life: Option<(ProducerId, ProducerEpoch)>,
    before: Option<(ProducerId, ProducerEpoch)>,
    /// The next number for each partition, and for everything else.
    next: BTreeMap<Option<u32>, u32>,
    /// What it sent last.
    last: Option<Op<'static>>,
}

/// An answer, taken out of what it borrowed from.
#[derive(Clone, Debug, Default)]
struct Told {
    answer: Answer,
    leases: Vec<LeaseId>,
    positions: Vec<(u32, u64)>,
    life: Option<(ProducerId, ProducerEpoch)>,
}

impl System {
    pub(crate) fn new() -> System {
        let mut system = System {
            broker: Broker::new(Config::default(), Time::ZERO),
            now: Time::ZERO,
            facts: Vec::new(),
            last_conn: 0,
            worker: ConnId(0),
            reader: ConnId(0),
            member: MemberId(0),
            generation: fanlight_core::Generation(0),
            bodies: 0,
            positions: [0; 2],
            producer: Producer::default(),
            leases: BTreeMap::new(),
        };
        system.start();
        system.take_over();
        system
    }

    /// Connects everybody, and declares what there is to be.
    fn start(&mut self) {
        self.open();
        let policy = |jobs: bool| QueuePolicy {
            visibility: Span::from_millis(VISIBILITY_MS),
            deliveries_max: jobs.then_some(DELIVERIES_MAX),
            dead_letter: jobs.then_some("dead".into()),
            ..QueuePolicy::default()
        };
        let admin = ConnId(self.last_conn);
        let dead = QueuePolicy::default();
        self.ask(admin, Op::DeclareQueue { name: "dead".into(), policy: dead });
        for (index, name) in QUEUES.into_iter().enumerate() {
            self.ask(admin, Op::DeclareQueue { name: name.into(), policy: policy(index == 0) });
            let (exchange, to) = ("amq.fanout".into(), Destination::Queue(name.into()));
            self.ask(
                admin,
                Op::Bind { exchange, to, pattern: "".into(), headers: Default::default() },
            );
        }
        self.ask(
            admin,
            Op::CreateTopic {
                name: "log".into(),
                partitions: PARTITIONS,
                policy: Default::default(),
            },
        );
        self.worker = self.open();
        self.join();
    }

    fn open(&mut self) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.input(Input::Open(conn, Session { protocol: PROTOCOL, client: "model".into() }));
        conn
    }

    fn join(&mut self) {
        self.reader = self.open();
        let told = self.ask(
            self.reader,
            Op::Join {
                group: "readers".into(),
                topics: vec!["log".into()].into(),
                assignor: Assignor::Range,
                start: Start::Earliest,
                session_timeout: Some(Span::from_secs(1_800)),
                instance: None,
                rebalance_timeout: None,
            },
        );
        for (partition, position) in told.positions {
            self.positions[partition as usize] = position;
        }
    }

    fn input(&mut self, input: Input<'_>) -> Told {
        let mut told = Told::default();
        let System { broker, facts, member, generation, .. } = self;
        broker.apply(self.now, input, &mut |effect: Effect<'_>| match effect {
            Effect::Fact(fact) => codec::encode_fact(&fact, facts),
            Effect::Tell(_, event) => {
                if let Event::Assigned { member: id, generation: now, partitions } = &event {
                    (*member, *generation) = (*id, *now);
                    let positions = partitions.iter().map(|p| (p.partition, p.position.0));
                    told.positions = positions.collect();
                }
                hear(&event, &mut told);
            }
            Effect::Close(conn, reason) => panic!("{conn} was closed: {reason:?}"),
        });
        self.broker.check().expect("every invariant holds");
        told
    }

    fn ask(&mut self, conn: ConnId, op: Op<'static>) -> Told {
        self.input(Input::Request(conn, Request { tag: Tag(1), op }))
    }

    fn records(&mut self, count: u8) -> Records<'static> {
        let mut batch = Batch::new();
        for _ in 0..count {
            batch.push_body(format!("m{}", self.bodies).as_bytes());
            self.bodies += 1;
        }
        batch.finish().expect("there is a record")
    }

    fn publish(&mut self, to: Target<'static>, count: u8) -> Answer {
        let records = self.records(count);
        let answer = self.ask(ConnId(self.last_conn), Op::publish(to, true, records)).answer;
        assert!(matches!(answer, Answer::Stored { duplicate: false, .. }), "{answer:?}");
        Answer::Nothing
    }

    pub(crate) fn apply(&mut self, act: &Act) -> Answer {
        match *act {
            Act::Publish { queue, count } => {
                self.publish(Target::Queue { name: QUEUES[queue].into() }, count)
            }
            Act::FanOut { count } => {
                let (name, routing_key) = ("amq.fanout".into(), "".into());
                self.publish(Target::Exchange { name, routing_key }, count)
            }
            Act::Append { partition, count } => {
                let partition = Some(partition);
                self.publish(Target::Topic { name: "log".into(), partition }, count)
            }
            Act::Receive { queue, max } => self.receive(queue, max),
            Act::Ack { queue, nth } => self.settle(queue, nth, |leases| Op::Ack { leases }),
            Act::Nack { queue, nth, delay_ms } => {
                let delay = Span::from_millis(delay_ms);
                self.settle(queue, nth, |leases| Op::Nack { leases, delay })
            }
            Act::Reject { queue, nth } => self.settle(queue, nth, |leases| Op::Reject { leases }),
            Act::Release { queue, nth } => self.settle(queue, nth, |leases| Op::Release { leases }),
            Act::Purge { queue } => {
                self.ask(self.worker, Op::PurgeQueue { name: QUEUES[queue].into(), all: false })
                    .answer
            }
            Act::Poll { partition, max } => self.poll(partition, max),
            Act::Commit { partition } => self.commit(partition),
            Act::ReaderCrash => {
                self.input(Input::Closed(self.reader));
                self.join();
                Answer::Nothing
            }
            Act::WorkerCrash => {
                self.input(Input::Closed(self.worker));
                self.leases.clear();
                self.worker = self.open();
                Answer::Nothing
            }
            Act::Restart => self.restart(),
            Act::Pass { ms } => self.pass(ms),
            Act::Write { to, count } => {
                let op = self.numbered(to, count, 0);
                self.producer.last = Some(op.clone());
                *self.producer.next.entry(lane(to)).or_default() += u32::from(count);
                self.produce(op)
            }
            Act::WriteAgain => {
                let last = self.producer.last.clone().expect("the model allows it only then");
                self.produce(last)
            }
            Act::WriteBeyond { to } => {
                let bodies = self.bodies;
                let op = self.numbered(to, 1, 1);
                self.bodies = bodies;
                self.produce(op)
            }
            Act::CommitInTransaction { partition } => self.commit_in_transaction(partition),
            Act::End { commit } => self.end(self.producer.life, commit),
            Act::TakeOver => self.take_over(),
            Act::WriteAsZombie { to } => {
                let (bodies, life) = (self.bodies, self.producer.life);
                self.producer.life = self.producer.before;
                let op = self.numbered(to, 1, 0);
                (self.bodies, self.producer.life) = (bodies, life);
                self.produce(op)
            }
            Act::EndAsZombie { commit } => self.end(self.producer.before, commit),
        }
    }

    /// A transactional batch with the number that is next, or so many further.
    fn numbered(&mut self, to: Place, count: u8, beyond: u32) -> Op<'static> {
        let records = self.records(count);
        let (producer, epoch) = self.producer.life.expect("it is initialised");
        let next = self.producer.next.get(&lane(to)).copied().unwrap_or_default();
        let target = match to {
            Place::Queue(queue) => Target::Queue { name: QUEUES[queue].into() },
            Place::Partition(partition) => {
                Target::Topic { name: "log".into(), partition: Some(partition) }
            }
            Place::Fanout => Target::Exchange { name: "amq.fanout".into(), routing_key: "".into() },
        };
        let mut op = Op::publish(target, true, records);
        if let Op::Publish { by, transactional, .. } = &mut op {
            *by = Some(Sequenced { producer, epoch, sequence: next + beyond });
            *transactional = true;
        }
        op
    }

    fn produce(&mut self, op: Op<'static>) -> Answer {
        self.ask(ConnId(self.last_conn), op).answer
    }

    fn commit_in_transaction(&mut self, partition: u32) -> Answer {
        let (producer, epoch) = self.producer.life.expect("it is initialised");
        let offset = Offset(self.positions[partition as usize]);
        let commit = CommitOffset { topic: "log".into(), partition, offset, metadata: "".into() };
        let op = Op::CommitInTransaction {
            producer,
            epoch,
            group: "readers".into(),
            member: Some((self.member, self.generation)),
            offsets: vec![commit].into(),
        };
        self.produce(op)
    }

    fn end(&mut self, life: Option<(ProducerId, ProducerEpoch)>, commit: bool) -> Answer {
        let (producer, epoch) = life.expect("it was initialised");
        self.produce(Op::EndTransaction { producer, epoch, commit })
    }

    fn take_over(&mut self) -> Answer {
        let (name, timeout) = (Some("model".into()), Some(Span::from_secs(600)));
        let op = Op::InitProducer { name, timeout, current: None };
        let life = self.ask(ConnId(self.last_conn), op).life;
        let before = self.producer.life;
        let newer = life.map(|(_, epoch)| epoch) > before.map(|(_, epoch)| epoch);
        assert!(life.is_some() && newer, "{life:?} after {before:?}");
        self.producer = Producer { life, before, ..Producer::default() };
        Answer::Nothing
    }

    fn receive(&mut self, queue: usize, max: u8) -> Answer {
        let op = Op::Receive {
            queue: QUEUES[queue].into(),
            messages_max: u32::from(max),
            wait: Span::ZERO,
            visibility: None,
            auto_ack: false,
        };
        let told = self.ask(self.worker, op);
        let leases = told.leases.into_iter().map(|lease| ((queue, lease.offset.0), lease));
        self.leases.extend(leases);
        told.answer
    }

    fn settle(
        &mut self,
        queue: usize,
        nth: usize,
        op: impl FnOnce(std::borrow::Cow<'static, [LeaseId]>) -> Op<'static>,
    ) -> Answer {
        let held = self.leases.range((queue, 0)..=(queue, u64::MAX)).nth(nth);
        let Some((key, lease)) = held.map(|(key, lease)| (*key, *lease)) else {
            return Answer::Nothing;
        };
        self.leases.remove(&key);
        self.ask(self.worker, op(vec![lease].into())).answer
    }

    /// One partition alone: the reader moves the other to its end and back.
    fn poll(&mut self, partition: u32, max: u8) -> Answer {
        let other = 1 - partition;
        let seek = |member, to| Op::Seek { member, topic: "log".into(), partition: other, to };
        self.ask(self.reader, seek(self.member, Position::Latest));
        // A poll may give fewer than are there, but gives some.
        let mut records = Vec::new();
        while records.len() < usize::from(max) {
            let (member, records_max) = (self.member, u32::from(max) - records.len() as u32);
            let told = self.ask(
                self.reader,
                Op::Poll { member, budget: Budget::waiting(records_max, Span::ZERO) },
            );
            let Answer::Records(more) = told.answer else {
                panic!("a poll was answered {:?}", told.answer);
            };
            if more.is_empty() {
                break;
            }
            records.extend(more);
        }
        let back = Position::At(Offset(self.positions[other as usize]));
        self.ask(self.reader, seek(self.member, back));
        self.positions[partition as usize] += records.len() as u64;
        Answer::Records(records)
    }

    fn commit(&mut self, partition: u32) -> Answer {
        let offset = Offset(self.positions[partition as usize]);
        let offsets =
            vec![CommitOffset { topic: "log".into(), partition, offset, metadata: "".into() }]
                .into();
        let (member, generation) = (self.member, self.generation);
        self.ask(self.reader, Op::Commit { member, generation, offsets }).answer
    }

    fn restart(&mut self) -> Answer {
        let mut broker = Broker::new(Config::default(), self.now);
        let mut rest = &self.facts[..];
        while !rest.is_empty() {
            match codec::decode(&mut rest, usize::MAX - 1) {
                Ok(Frame::Fact(fact)) => broker.restore(fact),
                other => panic!("a fact reads as {other:?}"),
            }
        }
        self.broker = broker;
        self.leases.clear();
        self.start();
        Answer::Nothing
    }

    fn pass(&mut self, ms: u64) -> Answer {
        self.now = self.now + Span::from_millis(ms);
        self.input(Input::Tick);
        let now = self.now;
        for (index, name) in QUEUES.into_iter().enumerate() {
            let held = messages(&mut self.broker, now, name);
            let leased = |offset: u64| {
                let mut held = held.iter();
                held.any(|(at, state, ..)| *at == offset && matches!(state, State::Leased { .. }))
            };
            self.leases.retain(|(queue, offset), _| *queue != index || leased(*offset));
        }
        Answer::Nothing
    }

    /// Whether the broker holds what the model holds.
    pub(crate) fn check(&self, model: &Reference) {
        let mut broker = self.broker.clone();
        for (queue, name) in model.queues.iter().zip(QUEUES) {
            let wanted = queue.messages.iter().map(|(offset, message)| {
                (*offset, message.state, message.failed, message.body.clone())
            });
            let wanted: Vec<_> = wanted.collect();
            assert_eq!(messages(&mut broker, self.now, name), wanted, "queue {name}");
        }
        let dead = messages(&mut broker, self.now, "dead");
        let mut dead: Vec<_> = dead.into_iter().map(|(.., body)| body).collect();
        // Which of those that die in one instant is first is not the model's to say.
        let mut wanted = model.dead.clone();
        dead.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(dead, wanted, "dead letters");
        let overview = broker.overview();
        for (queue, name) in model.queues.iter().zip(QUEUES) {
            let view = overview.queues.iter().find(|view| view.name == name);
            assert_eq!(view.expect("it is there").end.0, queue.end, "the end of {name}");
        }
        for partition in 0..PARTITIONS {
            let index = partition as usize;
            let (read, stable_end) = committed(&mut broker, self.now, partition);
            assert_eq!(read, model.visible(index), "what is committed of {partition}");
            assert_eq!(stable_end, model.stable_end(index), "the stable end of {partition}");
        }
        for partition in &overview.groups[0].partitions {
            let index = partition.partition as usize;
            assert_eq!(partition.committed.map(|o| o.0), model.committed[index], "committed");
            assert_eq!(partition.position.map(|o| o.0), Some(model.position[index]), "position");
            let lag = model.log[index].len() as u64 - model.committed[index].unwrap_or_default();
            assert_eq!(partition.lag, lag, "lag");
        }
    }
}

fn hear(event: &Event<'_>, told: &mut Told) {
    if let Event::Received { deliveries, .. } = event {
        let one = |Delivery { lease, attempt, record, .. }: &Delivery<'_>| {
            (lease.offset.0, *attempt, text(record.record().body))
        };
        told.answer = Answer::Messages(deliveries.iter().map(one).collect());
        told.leases = deliveries.iter().map(|delivery| delivery.lease).collect();
    } else if let Event::Polled { batches, .. } = event {
        let records = batches.iter().flat_map(|fetched| {
            let offsets = fetched.base.0..;
            offsets.zip(fetched.records.iter()).map(|(at, record)| (at, text(record.body)))
        });
        told.answer = Answer::Records(records.collect());
    } else if let Event::Settled { count, .. } = event {
        told.answer = Answer::Count(u64::from(*count));
    } else if let Event::Count { count, .. } = event {
        told.answer = Answer::Count(*count);
    } else if let Event::Refused { refusal, .. } = event {
        told.answer = Answer::Refused(refusal.code);
    } else if let Event::ProducerReady { producer, epoch, .. } = event {
        told.life = Some((*producer, *epoch));
    } else if let Event::Published { appends, duplicate, .. } = event {
        let place = |append: &Append| match append.place {
            // The queues were declared after the one for dead letters.
            fanlight_core::Place::Queue(id) => (true, id.0 as usize - 2, append.base.0),
            fanlight_core::Place::Partition(_, at) => (false, at as usize, append.base.0),
        };
        let mut places: Vec<_> = appends.iter().map(place).collect();
        places.sort_unstable();
        told.answer = Answer::Stored { duplicate: *duplicate, places };
    }
}

/// The partition that has a count of its own.
fn lane(to: Place) -> Option<u32> {
    match to {
        Place::Partition(partition) => Some(partition),
        Place::Queue(_) | Place::Fanout => None,
    }
}

/// What who reads only what is committed sees of a partition, and where that ends.
fn committed(broker: &mut Broker, now: Time, partition: u32) -> (Vec<(u64, String)>, u64) {
    let (mut seen, mut stable, mut from) = (Vec::new(), 0, Some(Offset(0)));
    let conn = broker.overview().connections.last().expect("somebody is connected").id;
    while let Some(at) = from.take() {
        let budget = Budget { isolation: Isolation::Committed, ..Budget::default() };
        let from_at = Position::At(at);
        let op = Op::Read { topic: "log".into(), partition, from: from_at, budget };
        let request = Request { tag: Tag(1), op };
        broker.apply(now, Input::Request(conn, request), &mut |effect: Effect<'_>| {
            let Effect::Tell(_, Event::ReadDone { batch, stable_end, .. }) = effect else { return };
            stable = stable_end.0;
            let Some(fetched) = batch else { return };
            let records = fetched.records.iter().zip(0..);
            seen.extend(records.map(|(r, n)| (fetched.offset(n).0, text(r.body))));
            from = Some(fetched.next);
        });
    }
    (seen, stable)
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// What a queue holds: offset, state, failed attempts and body.
fn messages(broker: &mut Broker, now: Time, queue: &str) -> Vec<(u64, State, u32, String)> {
    let op = Op::Peek { queue: queue.into(), from: Offset(0), messages_max: 1_024 };
    let mut messages = Vec::new();
    let request = Request { tag: Tag(1), op };
    let conn = broker.overview().connections.last().expect("somebody is connected").id;
    broker.apply(now, Input::Request(conn, request), &mut |effect: Effect<'_>| {
        let Effect::Tell(_, Event::Inspected { view: View::Messages(held), .. }) = effect else {
            return;
        };
        messages = held
            .iter()
            .map(|message| {
                let state = match message.state {
                    MessageState::Ready => State::Ready,
                    MessageState::Held => State::Held,
                    MessageState::Blocked => unreachable!("the model has no message groups"),
                    MessageState::Leased { until, .. } => {
                        State::Leased { until: until.as_millis() }
                    }
                    MessageState::Delayed { until } => State::Delayed { until: until.as_millis() },
                };
                let body = text(message.record.record().body);
                (message.offset.0, state, message.attempts_failed, body)
            })
            .collect();
    });
    messages
}
