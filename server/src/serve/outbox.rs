//! The outbox: what one turn of the shard decided, sorted by where it goes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use fanlight_core::{
    Activity, Broker, CloseReason, Code, ConnId, Effect, Event, Fact, Op, PROTOCOL, Refusal,
    Request, Sink, Tag, Time, codec,
};

use super::control::faults::{Faults, Faulty, Verdict};
use super::guard::visible;
use super::journal::{Parcel, Turn};
use super::mailbox::{Closing, Mailbox};
use super::metrics::Metrics;
use super::spans::{Begun, Tracer};
use super::storage::{Entry, Kind};
use crate::access::Account;

/// A watcher that has more to read than this part of what may wait is not shown what happens
/// meanwhile, and is told so.
const WATCHED_PART: usize = 8;
/// Frames are handed on in pieces of about this size, so that no message becomes very large.
const PIECE_BYTES: usize = 512 << 10;

/// What a buffer of one turn is expected to hold: as much as in both of the two turns before. So it
/// does not grow step by step, with a copy each, and one large turn leaves nothing behind it.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    last: usize,
    before: usize,
}

impl Expected {
    fn saw(&mut self, bytes: usize) {
        (self.before, self.last) = (self.last, bytes);
    }

    fn bytes(self) -> usize {
        self.last.min(self.before)
    }
}

/// Hashes a connection's number. The server counts them itself, so nobody can choose some that
/// collide; and it is asked for each request and each event.
#[derive(Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // An odd constant spreads consecutive numbers over all bits (Fibonacci hashing).
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One connection, as the outbox knows it.
struct Client {
    mailbox: Arc<Mailbox>,
    /// Frames of this turn.
    frames: Vec<u8>,
    expected: Expected,
    /// Whether it is in the list of those that this turn concerns.
    concerned: bool,
    /// Whether the broker knows it.
    opened: bool,
    /// Activities it was not shown since the last it was.
    activities_dropped: u64,
    /// Who it is, where not everybody may see everything.
    account: Option<Arc<Account>>,
}

impl Client {
    fn take_frames(&mut self) -> Vec<u8> {
        self.expected.saw(self.frames.len());
        std::mem::take(&mut self.frames)
    }
}

/// Collects the effects of one turn.
pub(crate) struct Outbox {
    keeps: bool,
    facts: Vec<u8>,
    expected: Expected,
    clients: HashMap<ConnId, Client, BuildHasherDefault<ByNumber>>,
    /// Who has frames in this turn.
    concerned: Vec<ConnId>,
    parcels: Vec<Parcel>,
    parcels_bytes: usize,
    /// Who has more to read than may wait, and how much may.
    overflown: Vec<(ConnId, usize)>,
    /// Whether a queue came or went since that was asked for.
    queues_changed: bool,
    /// Makes spans, where somebody takes them.
    tracer: Option<Tracer>,
    /// Why the last request was refused, if it was.
    refused: Option<Code>,
    metrics: Arc<Metrics>,
    /// Only where faults are switched on.
    faulty: Option<Box<Faulty>>,
}

impl Outbox {
    /// An empty one. `keeps` says whether facts are worth writing down.
    pub(crate) fn new(keeps: bool, metrics: Arc<Metrics>) -> Outbox {
        Outbox {
            keeps,
            facts: Vec::new(),
            expected: Expected::default(),
            clients: HashMap::default(),
            concerned: Vec::new(),
            parcels: Vec::new(),
            parcels_bytes: 0,
            overflown: Vec::new(),
            queues_changed: false,
            tracer: None,
            refused: None,
            metrics,
            faulty: None,
        }
    }

    /// From now on spans are made.
    pub(crate) fn trace(&mut self, tracer: Option<Tracer>) {
        self.tracer = tracer;
    }

    /// Begins the spans of a request, if a trace is concerned.
    pub(crate) fn begin_spans(
        &mut self,
        conn: ConnId,
        op: &Op<'_>,
        broker: &Broker,
    ) -> Option<Begun> {
        let begun = self.tracer.as_mut()?.asked(conn, op, broker)?;
        self.refused = None;
        Some(begun)
    }

    /// The request is done, or refused.
    pub(crate) fn end_spans(&mut self, begun: Option<Begun>) {
        if let (Some(begun), Some(tracer)) = (begun, &mut self.tracer) {
            tracer.done(begun, self.refused.take().map(|code| format!("{code:?}")));
        }
    }

    /// Gives spans names that the broker knows.
    pub(crate) fn name_spans(&mut self, broker: &Broker) {
        if let Some(tracer) = &mut self.tracer {
            tracer.name(broker);
        }
    }

    fn span(&mut self, conn: ConnId, event: &Event<'_>) {
        let Some(tracer) = &mut self.tracer else { return };
        if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = event {
            tracer.delivered(conn, deliveries);
        } else if let Event::Polled { batches, .. } = event {
            tracer.polled(conn, batches);
        } else if let Event::Refused { refusal, .. } = event {
            self.refused = Some(refusal.code);
        }
    }

    /// A connection was accepted.
    pub(crate) fn add(
        &mut self,
        conn: ConnId,
        mailbox: Arc<Mailbox>,
        account: Option<Arc<Account>>,
    ) {
        let client = Client {
            mailbox,
            frames: Vec::new(),
            expected: Expected::default(),
            concerned: false,
            opened: false,
            activities_dropped: 0,
            account,
        };
        let before = self.clients.insert(conn, client);
        assert!(before.is_none(), "a connection's number is never given twice");
    }

    /// Whether a connection is there, and not being closed.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.clients.contains_key(&conn)
    }

    /// Every connection, in the order in which they came.
    pub(crate) fn connections(&self) -> Vec<ConnId> {
        let mut connections: Vec<ConnId> = self.clients.keys().copied().collect();
        connections.sort();
        connections
    }

    /// The broker is about to hear of a connection, which calls itself so.
    pub(crate) fn set_opened(&mut self, conn: ConnId, name: &str) {
        if let Some(faulty) = &mut self.faulty {
            faulty.opened(conn, name);
        }
        if let Some(client) = self.clients.get_mut(&conn) {
            client.opened = true;
            client.mailbox.set_opened();
        }
    }

    /// Forgets a connection that is gone; says whether the broker still knows it.
    pub(crate) fn remove(&mut self, conn: ConnId) -> bool {
        if let Some(faulty) = &mut self.faulty {
            faulty.gone(conn);
        }
        self.clients.remove(&conn).is_some_and(|client| client.opened)
    }

    /// Closes a connection after its events so far; says whether the broker still knows it.
    pub(crate) fn close(&mut self, conn: ConnId, closing: Closing) -> bool {
        self.release(Time(u64::MAX), Some(conn));
        let Some(client) = self.clients.remove(&conn) else { return false };
        self.pack(client.mailbox, client.frames, Some(closing));
        client.opened
    }

    /// Tells a connection that what it sent is refused.
    pub(crate) fn refuse(&mut self, conn: ConnId, refusal: Refusal<'_>) {
        self.tell(conn, &Event::Refused { tag: Tag(0), refusal });
    }

    /// Tells a connection that a request of it is refused.
    pub(crate) fn refuse_request(&mut self, conn: ConnId, tag: Tag, refusal: Refusal<'_>) {
        self.tell(conn, &Event::Refused { tag, refusal });
    }

    /// Whether a queue came or went since this was asked for the last time.
    pub(crate) fn take_queues_changed(&mut self) -> bool {
        std::mem::take(&mut self.queues_changed)
    }

    /// A connection that does not read what it is sent, and so has to be closed.
    pub(crate) fn take_overflown(&mut self) -> Option<(ConnId, Closing)> {
        let (conn, max) = self.overflown.pop()?;
        let reason = format!(
            "more than {} MiB wait to be read; read faster, or ask for less at once",
            max >> 20
        );
        Some((conn, Closing { code: 1008, reason }))
    }

    /// Bytes that the turn has so far.
    pub(crate) fn turn_bytes(&self) -> usize {
        self.facts.len() + self.parcels_bytes
    }

    /// The turn so far, if there is anything in it; a new one begins.
    pub(crate) fn end_turn(&mut self, now: Time, stored_bytes: u64) -> Option<Turn> {
        self.release(now, None);
        for conn in std::mem::take(&mut self.concerned) {
            if let Some(client) = self.clients.get_mut(&conn) {
                client.concerned = false;
                let (mailbox, frames) = (client.mailbox.clone(), client.take_frames());
                self.pack(mailbox, frames, None);
            }
        }
        let parcels = std::mem::take(&mut self.parcels);
        self.parcels_bytes = 0;
        let facts = (!self.facts.is_empty()).then(|| {
            self.expected.saw(self.facts.len());
            let payload = Bytes::from(std::mem::take(&mut self.facts));
            Entry { kind: Kind::Facts, time: now, payload }
        });
        let spans = self.tracer.as_mut().and_then(Tracer::take);
        let is_some = facts.is_some() || !parcels.is_empty() || spans.is_some();
        is_some.then_some(Turn { facts, parcels, stored_bytes, spans })
    }

    fn pack(&mut self, mailbox: Arc<Mailbox>, frames: Vec<u8>, closing: Option<Closing>) {
        if frames.is_empty() && closing.is_none() {
            return;
        }
        mailbox.announce(frames.len());
        self.parcels_bytes += frames.len();
        self.parcels.push(Parcel { mailbox, frames: Bytes::from(frames), text: None, closing });
    }

    /// Cuts everybody off, at once.
    pub(crate) fn cut_all(&mut self) {
        for client in self.clients.values() {
            client.mailbox.cut();
        }
        self.clients.clear();
    }

    /// Lets tests ask for faults.
    pub(crate) fn allow(&mut self, faults: Option<Arc<Faults>>) {
        self.faulty = faults.map(|faults| Box::new(Faulty::new(faults)));
    }

    /// The faults, where there are any.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.faulty.as_ref().map(|faulty| &**faulty.faults())
    }

    /// It is so late.
    pub(crate) fn at(&mut self, now: Time) {
        if let Some(faulty) = &mut self.faulty {
            faulty.at(now);
        }
    }

    /// A connection asks for something; the refusal, if it is a fault's.
    pub(crate) fn asked(
        &mut self,
        conn: ConnId,
        request: &Request<'_>,
    ) -> Option<Refusal<'static>> {
        self.faulty.as_mut()?.asked(conn, request)
    }

    /// A connection that a fault cuts.
    pub(crate) fn take_cut(&mut self) -> Option<ConnId> {
        self.faulty.as_mut()?.take_cut()
    }

    /// When something is to be told that a fault keeps back.
    pub(crate) fn due(&self) -> Option<Time> {
        self.faulty.as_ref()?.due()
    }

    /// Tells what was kept back until now: all of it, or what is of one connection.
    fn release(&mut self, now: Time, of: Option<ConnId>) {
        let Some(faulty) = &mut self.faulty else { return };
        for (conn, frame) in faulty.release(now, of) {
            let Some(client) = self.clients.get_mut(&conn) else { continue };
            client.frames.extend_from_slice(&frame);
            if !client.concerned {
                client.concerned = true;
                self.concerned.push(conn);
            }
        }
        if let Some(conn) = of {
            faulty.gone(conn);
        }
    }

    /// Answers a control request of a connection, after its events so far.
    pub(crate) fn answer(&mut self, conn: ConnId, text: String) {
        if let Some(client) = self.clients.get_mut(&conn) {
            let (mailbox, frames) = (client.mailbox.clone(), client.take_frames());
            self.pack(mailbox.clone(), frames, None);
            self.answer_into(mailbox, text);
        }
    }

    /// What a connection is told by.
    pub(crate) fn mailbox(&self, conn: ConnId) -> Option<Arc<Mailbox>> {
        self.clients.get(&conn).map(|client| client.mailbox.clone())
    }

    /// Answers a control request of somebody who has only this mailbox.
    pub(crate) fn answer_into(&mut self, mailbox: Arc<Mailbox>, text: String) {
        mailbox.announce(text.len());
        self.parcels_bytes += text.len();
        let frames = Bytes::new();
        self.parcels.push(Parcel { mailbox, frames, text: Some(text), closing: None });
    }

    fn keep(&mut self, fact: &Fact<'_>) {
        count_fact(&self.metrics, fact);
        if let Fact::QueueMade { .. } | Fact::QueueDeleted { .. } = fact {
            self.queues_changed = true;
        }
        if self.keeps {
            if self.facts.capacity() == 0 {
                self.facts.reserve_exact(self.expected.bytes());
            }
            codec::encode_fact(fact, &mut self.facts);
        }
    }

    fn tell(&mut self, conn: ConnId, event: &Event<'_>) {
        count_event(&self.metrics, event);
        self.span(conn, event);
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.frames.capacity() == 0 {
            client.frames.reserve_exact(client.expected.bytes());
        }
        let mut queued = client.mailbox.queued_bytes() + client.frames.len();
        let queued_max = client.mailbox.queued_bytes_max();
        let begun = client.frames.len();
        let mut verdict = Verdict::Tell;
        if let Some(faulty) = &mut self.faulty {
            verdict = faulty.told(conn, event);
            queued += faulty.held_bytes(conn);
        }
        if verdict == Verdict::Drop {
            return;
        }
        if let Event::Activity { at, .. } = event {
            if queued > queued_max / WATCHED_PART {
                client.activities_dropped += 1;
                self.metrics.activities_dropped.add(1);
                return;
            }
            let dropped = std::mem::take(&mut client.activities_dropped);
            if dropped > 0 {
                let what = format!(
                    "{dropped} activities before this are not shown, because this connection \
                     reads too slowly: look again"
                );
                let activity = Activity::TopologyChanged { what: what.into() };
                codec::encode_event(&Event::Activity { at: *at, activity }, &mut client.frames);
            }
        }
        match (event, client.account.as_deref()) {
            (Event::Inspected { tag, view }, Some(account)) => {
                let seen = visible(view, account);
                let view = seen.unwrap_or_else(|| view.clone());
                codec::encode_event(&Event::Inspected { tag: *tag, view }, &mut client.frames);
            }
            _ => codec::encode_event(event, &mut client.frames),
        }
        if let (Verdict::Hold(due), Some(faulty)) = (verdict, &mut self.faulty) {
            faulty.hold(conn, due, client.frames.split_off(begun));
        }
        if !client.concerned {
            client.concerned = true;
            self.concerned.push(conn);
        }
        if queued > queued_max {
            self.overflown.push((conn, queued_max));
        }
        if client.frames.len() > PIECE_BYTES {
            let (mailbox, frames) = (client.mailbox.clone(), client.take_frames());
            self.pack(mailbox, frames, None);
        }
    }
}

impl Sink for Outbox {
    fn emit(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Fact(fact) => self.keep(&fact),
            Effect::Tell(conn, event) => self.tell(conn, &event),
            Effect::Close(conn, reason) => {
                // The broker has forgotten it already, so nobody need tell it.
                let _ = self.close(conn, because(reason));
            }
        }
    }
}

fn because(reason: CloseReason) -> Closing {
    let (code, reason) = match reason {
        CloseReason::BadProtocol => {
            (1002, format!("this server speaks version {PROTOCOL} of the protocol"))
        }
        CloseReason::TooMany => (1013, "there are as many connections as there may be".to_owned()),
        CloseReason::NotOpen => {
            (1002, "a connection begins with one session, and requests follow it".to_owned())
        }
    };
    Closing { code, reason }
}

fn count_fact(metrics: &Metrics, fact: &Fact<'_>) {
    match fact {
        Fact::Published { batches, .. } | Fact::Produced { batches, .. } => {
            for batch in batches.iter() {
                let count = u64::from(batch.records.count());
                metrics.messages_published.add(count);
                metrics.messages_stored.add(count * batch.appends.len() as u64);
            }
        }
        Fact::Settled { offsets, .. } => metrics.messages_settled.add(offsets.len() as u64),
        Fact::RunsSettled { runs, .. } => {
            metrics.messages_settled.add(runs.iter().map(|(_, count)| count).sum());
        }
        Fact::DeadLettered { .. } | Fact::Died { .. } => metrics.messages_dead_lettered.add(1),
        Fact::Started { .. }
        | Fact::ExchangeDeclared { .. }
        | Fact::ExchangeDeleted { .. }
        | Fact::ExchangeMade { .. }
        | Fact::BoundByHeaders { .. }
        | Fact::WorkGroupMade { .. }
        | Fact::WorkGroupDeleted { .. }
        | Fact::KeptGone { .. }
        | Fact::UnboundByHeaders { .. }
        | Fact::CameVia { .. }
        | Fact::RedriveStarted { .. }
        | Fact::RedriveStepped { .. }
        | Fact::RedriveEnded { .. }
        | Fact::RedrivesFrom { .. }
        | Fact::BatchAway { .. }
        | Fact::GroupVacated { .. }
        | Fact::QueueDeclared { .. }
        | Fact::QueueDeleted { .. }
        | Fact::TopicCreated { .. }
        | Fact::TopicDeleted { .. }
        | Fact::Bound { .. }
        | Fact::Unbound { .. }
        | Fact::AttemptEnded { .. }
        | Fact::Redriven { .. }
        | Fact::BroughtBack { .. }
        | Fact::GroupCreated { .. }
        | Fact::Rebalanced { .. }
        | Fact::Committed { .. }
        | Fact::GroupDeleted { .. }
        | Fact::LogStarts { .. }
        | Fact::NumbersFrom { .. }
        | Fact::MessageState { .. }
        | Fact::QueueMade { .. }
        | Fact::QueueAltered { .. }
        | Fact::Remembered { .. }
        | Fact::ProducerInitialised { .. }
        | Fact::ProducerExpired { .. }
        | Fact::ProducerSequence { .. }
        | Fact::ProducersFrom { .. }
        | Fact::OffsetsCommitted { .. }
        | Fact::OffsetsDeleted { .. }
        | Fact::OffsetsPending { .. }
        | Fact::TransactionEnded { .. }
        | Fact::TransactionOpen { .. }
        | Fact::TransactionOutcome { .. }
        | Fact::TopicMade { .. }
        | Fact::TopicAltered { .. }
        | Fact::PartitionsAdded { .. }
        | Fact::LogTrimmed { .. }
        | Fact::Compacted { .. }
        | Fact::SparseBatch { .. }
        | Fact::CompactionState { .. }
        | Fact::Aborted { .. } => {}
    }
}

fn count_event(metrics: &Metrics, event: &Event<'_>) {
    match event {
        Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } => {
            metrics.messages_delivered.add(deliveries.len() as u64);
        }
        Event::Polled { batches, .. } => {
            let count = batches.iter().map(|batch| u64::from(batch.records.count())).sum();
            metrics.messages_delivered.add(count);
        }
        Event::ReadDone { batch, .. } => {
            let count = batch.as_ref().map_or(0, |batch| batch.records.count());
            metrics.messages_delivered.add(u64::from(count));
        }
        Event::FetchDone { reads, .. } => {
            let batches = reads.iter().filter_map(|read| read.batch.as_ref());
            let count = batches.map(|batch| u64::from(batch.records.count())).sum();
            metrics.messages_delivered.add(count);
        }
        Event::Refused { refusal, .. } => metrics.refused(refusal.code),
        Event::Opened { .. }
        | Event::Done { .. }
        | Event::Count { .. }
        | Event::Published { .. }
        | Event::Consuming { .. }
        | Event::Cancelled { .. }
        | Event::Settled { .. }
        | Event::Joined { .. }
        | Event::JoinedClassic { .. }
        | Event::Synced { .. }
        | Event::MembersRemoved { .. }
        | Event::Assigned { .. }
        | Event::Expelled { .. }
        | Event::Pressure { .. }
        | Event::Inspected { .. }
        | Event::ProducerReady { .. }
        | Event::Returned { .. }
        | Event::RedriveStarted { .. }
        | Event::RedriveEnded { .. }
        | Event::OffsetsReset { .. }
        | Event::Activity { .. } => {}
    }
}

#[cfg(test)]
mod tests;
