//! The shard: the one thread that owns the broker.
//!
//! It takes what has come from all connections, reads the clock once, applies each request, and
//! hands what was decided to the journal as one turn.

mod backup;
mod control;
mod ending;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanlight_core::codec::{self, DecodeError, FRAME_SLACK_BYTES, Frame};
use fanlight_core::{Broker, Code, ConnId, Input, Limits, Op, Records, Refusal, Time};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::clock::Clock;
use super::control::Asked;
use super::control::faults::Faults;
use super::gate::Guest;
use super::guard::Guard;
use super::journal::{Job, SnapshotDue};
use super::mailbox::{Closing, Mailbox};
use super::memory::Memory;
use super::metrics::Metrics;
use super::outbox::Outbox;
use super::recording::Recorder;
use super::spans::Tracer;
use super::storage::StorageError;
use crate::access::Accounts;

/// Messages taken at once; they wait in the channel otherwise, and so hold up who sends them.
const TURN_MESSAGES_MAX: usize = 256;
/// A turn ends early when it has this much to write, so that the journal can begin.
const TURN_BYTES: usize = 1 << 20;
/// A batch smaller than this is copied out of the message that brought it. The message's memory is
/// a slice of a buffer of the socket's, and a small batch would keep all of that alive.
const SHARED_BYTES_MIN: usize = 32 << 10;

/// What somebody does who looks at the broker, at its time.
pub(crate) type Look = Box<dyn FnOnce(&Broker, Time) + Send>;

/// What comes to the shard.
pub(crate) enum Message {
    /// A connection was accepted; it has said nothing yet.
    Arrived {
        /// Its number.
        conn: ConnId,
        /// Where its events go.
        mailbox: Arc<Mailbox>,
        /// Who it is.
        guest: Guest,
    },
    /// Users are others than before.
    Users(Arc<Accounts>),
    /// A connection sent frames.
    Frames {
        /// Which one.
        conn: ConnId,
        /// One WebSocket message.
        bytes: Bytes,
        /// Its share of the memory that messages on their way may take.
        permit: OwnedSemaphorePermit,
    },
    /// A connection did something that cannot be answered otherwise.
    Refuse {
        /// Which one.
        conn: ConnId,
        /// What is wrong with it.
        refusal: Refusal<'static>,
        /// Whether and how it is closed for that.
        closing: Option<Closing>,
    },
    /// A connection is no more.
    Gone {
        /// Which one.
        conn: ConnId,
    },
    /// Somebody who controls the server asks for something.
    Control(Asked),
    /// Someone wants to look at the state; what that does should be little.
    Look(Look),
    /// The server stops, so long after this at the latest.
    Stop(Duration),
}

/// The largest payload of a frame.
pub(crate) fn payload_bytes_max(limits: &Limits) -> usize {
    limits.batch_bytes_max as usize + FRAME_SLACK_BYTES
}

/// Lets a batch that came in `frame` share its memory, where that keeps little else alive.
pub(crate) fn share(records: &mut Records<'_>, frame: &Bytes) {
    let bytes = records.as_bytes().len();
    if bytes >= SHARED_BYTES_MIN && bytes >= frame.len() / 4 {
        records.share_with(frame);
    }
}

/// The shard's thread.
pub(crate) struct Shard {
    broker: Broker,
    memory: Memory,
    clock: Clock,
    now: Time,
    payload_bytes_max: usize,
    outbox: Outbox,
    guard: Guard,
    journal: SyncSender<Job>,
    snapshot_due: SnapshotDue,
    /// When it ends at the latest, once it is to end.
    ends_at: Option<Instant>,
    metrics: Arc<Metrics>,
    recorder: Option<Recorder>,
    pub(super) backups: backup::Backups,
    /// Somebody wants it to end as in a crash.
    restart: Option<Asked>,
}

/// What ended the shard's wait.
enum Woken {
    Received(usize),
    Deadline,
    SnapshotDue,
    ClockChanged,
}

/// Waits until a virtual clock is changed.
async fn changed(clock: Option<&mut watch::Receiver<()>>) {
    match clock.map(watch::Receiver::changed) {
        // The shard has the clock, too: it does not go away.
        Some(changed) => drop(changed.await),
        None => std::future::pending().await,
    }
}

/// Waits so long, or forever.
async fn until(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// The journal's thread is gone: nothing can be promised any more.
pub(crate) struct JournalGone;

impl Shard {
    /// A shard that owns `broker`. `keeps` says whether facts are worth writing down.
    pub(crate) fn new(
        (broker, memory): (Broker, Memory),
        mut clock: Clock,
        limits: &Limits,
        keeps: bool,
        journal: SyncSender<Job>,
        snapshot_due: SnapshotDue,
        metrics: Arc<Metrics>,
    ) -> Shard {
        Shard {
            broker,
            memory,
            now: clock.now(),
            clock,
            payload_bytes_max: payload_bytes_max(limits),
            outbox: Outbox::new(keeps, metrics.clone()),
            guard: Guard::default(),
            journal,
            snapshot_due,
            ends_at: None,
            metrics,
            recorder: None,
            backups: backup::Backups::default(),
            restart: None,
        }
    }

    /// Lets tests ask for faults.
    pub(crate) fn allow(&mut self, faults: Option<Arc<Faults>>) {
        self.outbox.allow(faults);
    }

    /// Lets somebody write down what comes and what follows.
    pub(crate) fn record(&mut self, recorder: Option<Recorder>) {
        self.recorder = recorder;
    }

    /// From now on spans are made.
    pub(crate) fn trace(&mut self, tracer: Option<Tracer>) {
        self.outbox.trace(tracer);
    }

    /// Works until it is told to stop, or the journal is gone; or until it is to begin again, and
    /// then says who wants that. `messages` are taken before what is in the inbox, and hold what was
    /// not taken any more.
    pub(crate) fn run(
        &mut self,
        inbox: &mut mpsc::Receiver<Message>,
        messages: &mut Vec<Message>,
    ) -> Result<Option<Asked>, JournalGone> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without I/O needs nothing from the operating system");
        messages.reserve(TURN_MESSAGES_MAX);
        let mut clock = match &self.clock {
            Clock::Virtual(clock) => Some(clock.changes()),
            Clock::Wall(_) => None,
        };
        loop {
            let wait = self.until_deadline();
            let snapshot_due = self.snapshot_due.clone();
            let left = messages.len();
            let woken = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = std::future::ready(()), if left > 0 => Woken::Received(left),
                    () = snapshot_due.notified() => Woken::SnapshotDue,
                    received = inbox.recv_many(messages, TURN_MESSAGES_MAX) => {
                        Woken::Received(received)
                    }
                    () = changed(clock.as_mut()) => Woken::ClockChanged,
                    () = until(wait) => Woken::Deadline,
                }
            });
            match &mut self.clock {
                Clock::Wall(wall) => self.now = wall.now(),
                Clock::Virtual(_) => self.catch_up()?,
            }
            match woken {
                Woken::Deadline => self.apply(Input::Tick),
                Woken::ClockChanged => {}
                Woken::SnapshotDue => self.snapshot()?,
                Woken::Received(0) => return self.stop().map(|()| None),
                Woken::Received(_) => {}
            }
            let mut taken = messages.drain(..);
            while let Some(message) = taken.next() {
                self.take(message)?;
                if let Some(asked) = self.restart.take() {
                    let left = taken.collect();
                    *messages = left;
                    self.crash();
                    return Ok(Some(asked));
                }
                if self.outbox.turn_bytes() >= TURN_BYTES {
                    self.end_turn()?;
                }
            }
            drop(taken);
            self.end_turn()?;
            if self.has_ended() {
                // What was sent before this is still answered; nothing comes after it.
                inbox.close();
            }
        }
    }

    /// How long until the broker wants a tick, or has to end.
    fn until_deadline(&mut self) -> Option<Duration> {
        let due = self.due().and_then(|due| self.clock.until(due));
        [due, self.until_end()].into_iter().flatten().min()
    }

    /// When there is something to do.
    fn due(&self) -> Option<Time> {
        let deadline = self.broker.deadline().map(|(due, _)| due);
        deadline.into_iter().chain(self.outbox.due()).min()
    }

    fn take(&mut self, message: Message) -> Result<(), JournalGone> {
        match message {
            Message::Arrived { conn, mailbox, guest } => {
                let account = (!guest.account.is_everybody()).then(|| guest.account.clone());
                self.outbox.add(conn, mailbox, account);
                self.guard.add(conn, guest);
            }
            Message::Users(accounts) => self.users(&accounts),
            Message::Frames { conn, bytes, permit } => {
                self.frames(conn, &bytes);
                drop(permit);
            }
            Message::Refuse { conn, refusal, closing } => {
                self.metrics.frames_refused.add(1);
                self.refuse(conn, refusal);
                if let Some(closing) = closing {
                    self.close(conn, closing);
                }
            }
            Message::Gone { conn } => {
                self.guard.remove(conn);
                if self.outbox.remove(conn) {
                    self.apply(Input::Closed(conn));
                }
            }
            Message::Control(asked) => self.control(asked)?,
            Message::Look(look) => look(&self.broker, self.now),
            Message::Stop(grace) => self.begin_to_end(grace),
        }
        Ok(())
    }

    /// Closes the connections of those who are not who they were, or may not what they might.
    fn users(&mut self, accounts: &Accounts) {
        for conn in self.guard.outdated(accounts, &self.outbox.connections()) {
            let reason = "the user was changed or removed; connect again".to_owned();
            self.refuse(conn, Code::AccessRefused.because(reason.clone()));
            self.close(conn, Closing { code: 1008, reason });
            self.guard.remove(conn);
        }
    }

    fn apply(&mut self, input: Input<'_>) {
        self.outbox.at(self.now);
        match &mut self.recorder {
            None => self.broker.apply(self.now, input, &mut self.outbox),
            Some(recorder) => {
                recorder.input(self.now, &input);
                self.broker.apply(self.now, input, &mut recorder.beside(&mut self.outbox));
                if recorder.pass_much().is_err() {
                    self.recorder = None;
                }
            }
        }
        self.outbox.name_spans(&self.broker);
        if self.outbox.take_queues_changed() {
            self.guard.queues_changed();
        }
        while let Some((conn, closing)) = self.outbox.take_overflown() {
            self.close(conn, closing);
        }
        while let Some(conn) = self.outbox.take_cut() {
            self.close(conn, Closing::cut());
        }
    }

    /// Applies every frame of one message.
    fn frames(&mut self, conn: ConnId, bytes: &Bytes) {
        self.metrics.received_bytes.add(bytes.len() as u64);
        let mut rest: &[u8] = bytes;
        while !rest.is_empty() && self.outbox.has(conn) {
            self.metrics.frames_received.add(1);
            match codec::decode(&mut rest, self.payload_bytes_max) {
                Ok(Frame::Request(mut request)) => {
                    let permitted = self
                        .still_does(&request.op)
                        .and_then(|()| self.guard.permit(conn, &request.op, &self.broker));
                    if let Err(refusal) = permitted {
                        self.outbox.refuse_request(conn, request.tag, refusal);
                        continue;
                    }
                    if let Some(refusal) = self.outbox.asked(conn, &request) {
                        self.outbox.refuse_request(conn, request.tag, refusal);
                        continue;
                    }
                    if let Op::Publish { records, .. } = &mut request.op {
                        share(records, bytes);
                    }
                    let begun = self.outbox.begin_spans(conn, &request.op, &self.broker);
                    self.apply(Input::Request(conn, request));
                    self.outbox.end_spans(begun);
                }
                Ok(Frame::Session(session)) => {
                    self.outbox.set_opened(conn, &session.client);
                    self.apply(Input::Open(conn, session));
                }
                Ok(Frame::Event(_) | Frame::Fact(_) | Frame::Input(..) | Frame::Effect(_)) => {
                    let what = "a client sends sessions (kind 1) and requests (kind 2); this \
                                frame is of another kind and was skipped";
                    self.refuse_frame(conn, Code::BadFrame, what.to_owned());
                }
                Err(error @ DecodeError::TooLarge { .. }) => {
                    let reason = error.to_string();
                    self.refuse_frame(conn, Code::TooLarge, reason.clone());
                    self.close(conn, Closing { code: 1009, reason });
                    return;
                }
                Err(error @ DecodeError::Incomplete) => {
                    let what = format!(
                        "{error}; a message holds whole frames, and nothing after \
                                        the last whole one was used"
                    );
                    self.refuse_frame(conn, Code::BadFrame, what);
                    return;
                }
                Err(error @ (DecodeError::UnknownKind(_) | DecodeError::BadPayload(_))) => {
                    self.refuse_frame(conn, Code::BadFrame, format!("{error}; it was skipped"));
                }
            }
        }
    }

    fn refuse_frame(&mut self, conn: ConnId, code: Code, what: String) {
        self.metrics.frames_refused.add(1);
        self.refuse(conn, code.because(what));
    }

    fn refuse(&mut self, conn: ConnId, refusal: Refusal<'_>) {
        self.outbox.refuse(conn, refusal);
        while let Some((conn, closing)) = self.outbox.take_overflown() {
            self.close(conn, closing);
        }
    }

    /// Closes a connection from here: its events so far leave first.
    fn close(&mut self, conn: ConnId, closing: Closing) {
        if self.outbox.close(conn, closing) {
            self.apply(Input::Closed(conn));
        }
    }

    fn end_turn(&mut self) -> Result<(), JournalGone> {
        if let Some(recorder) = &mut self.recorder
            && recorder.pass().is_err()
        {
            self.recorder = None;
        }
        if let Some(turn) = self.outbox.end_turn(self.now, self.broker.stored_bytes()) {
            self.journal.send(Job::Turn(turn)).map_err(|_| JournalGone)?;
        }
        let balanced = self.memory.balance(&mut self.broker);
        self.metrics.batches_memory_bytes.set(self.memory.held(&self.broker));
        balanced.or_else(|error| self.fail(error))
    }

    /// Stops, and lets the journal say why.
    fn fail(&mut self, error: StorageError) -> Result<(), JournalGone> {
        // If the journal is gone, it has something to say itself.
        let _ = self.journal.send(Job::Fail(error));
        Err(JournalGone)
    }

    fn snapshot(&mut self) -> Result<(), JournalGone> {
        match self.memory.snapshot(&self.broker) {
            Ok((state, pins)) => {
                let job = Job::Snapshot { time: self.now, state, pins };
                self.journal.send(job).map_err(|_| JournalGone)
            }
            Err(error) => self.fail(error),
        }
    }
}
