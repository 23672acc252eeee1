//! One life of the server's inner parts, driven step by step.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Batch, Broker, Budget, Code, Config, ConnId, Effect, Event, Input, LeaseId, Limits, Offset, Op,
    PROTOCOL, Position, QueuePolicy, Request, Session, Span, Tag, Target, Time,
};

use super::super::clock::Clock;
use super::super::journal::{Job, Journal, Planted, SnapshotDue};
use super::super::mailbox::{Mailbox, Outgoing};
use super::super::memory::Memory;
use super::super::outbox::Outbox;
use super::super::recovery::{self, Restored};
use super::super::storage::{FileStorage, Storage};
use super::Random;
use super::knowledge::{Asked, Found, Knowledge, Log, body};
use crate::settings::SyncPolicy;

/// The files of a directory.
pub(super) type Files = Vec<(String, Vec<u8>)>;

const CONN: ConnId = ConnId(1);
const MAILBOX_BYTES: usize = 256 << 20;

pub(super) struct Life {
    broker: Broker,
    memory: Memory,
    outbox: Outbox,
    journal: Journal,
    due: SnapshotDue,
    mailbox: Arc<Mailbox>,
    now: Time,
    last_tag: u32,
    /// Turns that the journal has not taken yet.
    jobs: Vec<Job>,
    /// What is in the client's hands: leases and messages.
    leased: Vec<(LeaseId, u64)>,
}

fn config() -> Config {
    Config { seed: 7, limits: Limits::default() }
}

fn open(
    dir: &Path,
    segment_bytes: u64,
    memory_bytes: u64,
) -> Result<(FileStorage, Restored), String> {
    let mut storage = FileStorage::open(dir, segment_bytes).map_err(|error| error.to_string())?;
    let restored =
        recovery::restore(&mut storage, config(), memory_bytes, (&Clock::wall, &|_| {}), &mut ())
            .map_err(|error| error.to_string())?;
    Ok((storage, restored))
}

impl Life {
    /// Recovers from what is in a directory, with small files and little memory.
    pub(super) fn begin(dir: &Path, random: &mut Random) -> Result<Life, String> {
        let (segment_bytes, memory_bytes) = (2_048 << random.below(4), 512 << random.below(8));
        let (storage, restored) = open(dir, segment_bytes, memory_bytes)?;
        let Restored { broker, memory, mut clock, journal, seen: _ } = restored;
        let due = SnapshotDue::default();
        let journal = Journal::new(
            Box::new(storage) as Box<dyn Storage>,
            SyncPolicy::Always,
            journal,
            4_096 << random.below(3),
            due.clone(),
            Arc::default(),
        );
        let mailbox = Arc::new(Mailbox::new(MAILBOX_BYTES));
        let mut outbox = Outbox::new(true, Arc::default());
        outbox.add(CONN, mailbox.clone(), None);
        outbox.set_opened(CONN, "power");
        let now = clock.now();
        let (last_tag, jobs, leased) = (0, Vec::new(), Vec::new());
        let mut life =
            Life { broker, memory, outbox, journal, due, mailbox, now, last_tag, jobs, leased };
        let session = Session { protocol: PROTOCOL, client: "power".into() };
        life.broker.apply(life.now, Input::Open(CONN, session), &mut life.outbox);
        Ok(life)
    }

    pub(super) fn plant(&mut self, planted: Planted) {
        self.journal.planted = Some(planted);
    }

    fn ask(&mut self, op: Op<'_>, asked: Option<Asked>, knowledge: &mut Knowledge) {
        // Tags are this test's own over all lives, so that an answer is never taken for another's.
        let tag = Tag(self.last_tag + 1);
        self.last_tag += 1;
        if let Some(asked) = asked {
            knowledge.asked.insert(tag, asked);
        }
        self.broker.apply(self.now, Input::Request(CONN, Request { tag, op }), &mut self.outbox);
    }

    /// Does something, and lets the journal and the memory do their work.
    pub(super) fn step(
        &mut self,
        random: &mut Random,
        knowledge: &mut Knowledge,
    ) -> Result<(), String> {
        self.now = self.now + Span::from_millis(1);
        if knowledge.made < Log::ALL.len() && self.last_tag == 0 {
            self.make(knowledge);
        } else {
            for _ in 0..1 + random.below(3) {
                self.act(random, knowledge);
            }
        }
        let turn = self.outbox.end_turn(self.now, self.broker.stored_bytes());
        self.jobs.extend(turn.map(Job::Turn));
        if random.below(3) > 0 {
            let group = std::mem::take(&mut self.jobs);
            self.journal.work(group).map_err(|error| error.to_string())?;
        }
        self.memory.balance(&mut self.broker).map_err(|error| error.to_string())?;
        if self.is_snapshot_due() {
            let (state, pins) =
                self.memory.snapshot(&self.broker).map_err(|error| error.to_string())?;
            let mut group = std::mem::take(&mut self.jobs);
            group.push(Job::Snapshot { time: self.now, state, pins });
            self.journal.work(group).map_err(|error| error.to_string())?;
        }
        if random.below(4) == 0 {
            self.journal.finish_storing(true).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn is_snapshot_due(&self) -> bool {
        let notified = std::pin::pin!(self.due.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn make(&mut self, knowledge: &mut Knowledge) {
        for log in Log::ALL {
            let name = log.name().into();
            let op = match log {
                Log::Events => Op::CreateTopic { name, partitions: 1, policy: Default::default() },
                Log::Kept | Log::Worked | Log::Burst => {
                    Op::DeclareQueue { name, policy: QueuePolicy::default() }
                }
            };
            self.ask(op, Some(Asked::Made), knowledge);
        }
    }

    fn act(&mut self, random: &mut Random, knowledge: &mut Knowledge) {
        match random.below(10) {
            0..=5 => {
                let log = Log::ALL[random.below(4) as usize];
                let ids = knowledge.send(log, 1 + random.below(5));
                let mut batch = Batch::new();
                for id in &ids {
                    batch.push_body(&body(*id));
                }
                let records = batch.finish().expect("a batch has a record");
                let to = match log {
                    Log::Events => Target::Topic { name: log.name().into(), partition: Some(0) },
                    Log::Kept | Log::Worked | Log::Burst => {
                        Target::Queue { name: log.name().into() }
                    }
                };
                let asked = Asked::Publish(log, ids);
                self.ask(Op::publish(to, true, records), Some(asked), knowledge);
            }
            6 => {
                let op = receive(Log::Worked, 1 + random.below(8) as u32);
                self.ask(op, None, knowledge);
            }
            7 | 8 if !self.leased.is_empty() => {
                let some = 1 + random.below(self.leased.len() as u64) as usize;
                let (leases, ids): (Vec<_>, Vec<_>) = self.leased.drain(..some).unzip();
                if random.below(3) == 0 {
                    let op = Op::Nack { leases: leases.into(), delay: Span::ZERO };
                    self.ask(op, Some(Asked::Fail(ids)), knowledge);
                } else {
                    knowledge.settle(&ids);
                    let op = Op::Ack { leases: leases.into() };
                    self.ask(op, Some(Asked::Settle(ids)), knowledge);
                }
            }
            9 if random.below(4) == 0 => {
                let ids = knowledge.all_of(Log::Burst);
                knowledge.settle(&ids);
                let op = Op::PurgeQueue { name: Log::Burst.name().into(), all: true };
                self.ask(op, Some(Asked::Settle(ids)), knowledge);
            }
            _ => {}
        }
    }

    /// Learns from what was told.
    pub(super) fn hear(&mut self, knowledge: &mut Knowledge) -> Result<(), String> {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let next = std::pin::pin!(self.mailbox.next());
            let Poll::Ready(Outgoing::Frames(frames)) = next.poll(&mut context) else {
                return Ok(());
            };
            let mut rest: &[u8] = &frames;
            while !rest.is_empty() {
                let frame = codec::decode(&mut rest, usize::MAX - 1);
                let Ok(Frame::Event(event)) = frame else { return Err(format!("{frame:?}")) };
                learn(&event, knowledge, &mut self.leased)?;
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a test picks the events that it knows")]
fn learn(
    event: &Event<'_>,
    knowledge: &mut Knowledge,
    leased: &mut Vec<(LeaseId, u64)>,
) -> Result<(), String> {
    match event {
        Event::Published { tag, appends, .. } => knowledge.published(*tag, appends[0].base.0)?,
        Event::Done { tag } | Event::Settled { tag, .. } | Event::Count { tag, .. } => {
            knowledge.done(*tag);
        }
        Event::Received { deliveries, .. } => {
            for delivery in deliveries.iter() {
                let found = Found {
                    log: Log::Worked,
                    offset: delivery.lease.offset.0,
                    body: delivery.record.record().body.to_vec(),
                    attempt: delivery.attempt,
                };
                leased.push((delivery.lease, knowledge.seen(&found)?));
            }
        }
        Event::Refused { refusal, .. } => return Err(format!("refused: {refusal}")),
        _ => {}
    }
    Ok(())
}

fn receive(log: Log, messages_max: u32) -> Op<'static> {
    Op::Receive {
        queue: log.name().into(),
        messages_max,
        wait: Span::ZERO,
        visibility: None,
        auto_ack: false,
    }
}

/// Looks at a directory that holds these files, and gives everything that would be served.
pub(super) fn look(files: &Files) -> Result<Vec<Found>, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("it can be written to");
    }
    if files.iter().all(|(name, _)| name != "FORMAT") {
        // The power went before there was anything; who begins there begins anew.
        let data = |name: &String| name.starts_with("journal-") || name.starts_with("snapshot-");
        return match files.iter().find(|(name, _)| data(name)) {
            Some((name, _)) => Err(format!("there is {name}, and no FORMAT")),
            None => Ok(Vec::new()),
        };
    }
    let mut storage = FileStorage::look(dir.path()).map_err(|error| error.to_string())?;
    let restored =
        recovery::restore(&mut storage, config(), u64::MAX, (&Clock::wall, &|_| {}), &mut ())
            .map_err(|error| error.to_string())?;
    let mut broker = restored.broker;
    broker.check().map_err(|violation| violation.to_string())?;
    let shelf = storage.shelf().expect("files have a shelf");
    shelf.verify().map_err(|error| error.to_string())?;
    let session = Session { protocol: PROTOCOL, client: "look".into() };
    let now = broker.now();
    broker.apply(now, Input::Open(CONN, session), &mut |_: Effect<'_>| {});
    let mut found = Vec::new();
    for log in Log::ALL {
        loop {
            let before = found.len();
            let from = Position::At(Offset(before_of(&found, log)));
            let op = match log {
                Log::Events => Op::Read {
                    topic: log.name().into(),
                    partition: 0,
                    from,
                    budget: Budget::records(1_000),
                },
                Log::Kept | Log::Worked | Log::Burst => receive(log, 256),
            };
            let request = Request { tag: Tag(1), op };
            broker.apply(now, Input::Request(CONN, request), &mut |effect: Effect<'_>| {
                if let Effect::Tell(_, event) = effect {
                    take(log, &event, &mut found);
                }
            });
            if found.len() == before {
                break;
            }
        }
    }
    Ok(found)
}

fn before_of(found: &[Found], log: Log) -> u64 {
    found.iter().filter(|found| found.log == log).count() as u64
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a test picks the events that it knows")]
fn take(log: Log, event: &Event<'_>, found: &mut Vec<Found>) {
    match event {
        Event::Received { deliveries, .. } => found.extend(deliveries.iter().map(|d| Found {
            log,
            offset: d.lease.offset.0,
            body: d.record.record().body.to_vec(),
            attempt: d.attempt,
        })),
        // The power may have gone before there was anything.
        Event::Refused { refusal, .. } => {
            let known = [Code::UnknownQueue, Code::UnknownTopic];
            assert!(known.contains(&refusal.code), "refused: {refusal}");
        }
        Event::ReadDone { batch: Some(batch), .. } => {
            let records = batch.records.iter();
            found.extend((batch.base.0..).zip(records).map(|(offset, record)| Found {
                log,
                offset,
                body: record.body.to_vec(),
                attempt: 1,
            }));
        }
        _ => {}
    }
}
