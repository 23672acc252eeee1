//! A client of the broker as a state machine: it hears frames, wakes when it asked to, and says
//! what to send. It does no I/O and reads no clock, so a run of it can be had again.
//!
//! ```text
//! Idle ─start─▶ Connecting ─opened─▶ Running ─stop─▶ Stopping ─done─▶ Stopped
//!                   ▲  ▲ lost            │ ▲                             │
//!                   │  └─────────────────┤ │start                        │
//!                   │             silence▼ │                             │
//!                   │                  Silent ─crash─▶ Crashed           │
//!                   └─start──────────────────────────────┴───────────────┘
//! ```

use fanlight_core::codec::{Frame, decode};
use fanlight_core::{ConnId, Event, Op, Request, Span, Tag, Time};

use super::member::Member;
use super::rng::Rng;
use super::shop::Shop;
use super::worker::Worker;
use crate::link::{Told, Wire};
use crate::picture::{ActorId, ActorState, MessageRef, Name, Role, Tuning};

/// How long an actor waits before it connects again when the broker closed on it.
const RECONNECT: Span = Span::from_secs(2);
/// Bytes of one frame from a broker.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 20;

/// What an actor wants done, in order.
#[expect(clippy::large_enum_variant, reason = "it is done at once, never kept in numbers")]
#[derive(Clone, Debug)]
pub(crate) enum Out {
    /// Open a connection for it.
    Open,
    /// Send this on its connection.
    Send(Request<'static>),
    /// Close its connection.
    Close,
    /// Tell the picture what the broker cannot know.
    Note(Note),
}

/// What an actor knows and the broker does not.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// It publishes this now.
    Publishing {
        /// The key.
        key: String,
        /// The body.
        body: String,
    },
    /// It was handed this, in a record's encoding: so the picture knows what a stranger's message
    /// says.
    Saw(MessageRef, Vec<u8>),
    /// It has processed a message.
    Worked(MessageRef),
    /// It has looked at a message and cannot accept it.
    Failed(MessageRef, String),
    /// It settled a message whose lease had ended: someone else does it again.
    Stale(MessageRef),
    /// Something did not go as it should.
    Trouble(String),
}

/// What an actor has in hand while it decides.
pub(crate) struct Desk<'a> {
    /// The time.
    pub(crate) now: Time,
    /// Its settings.
    pub(crate) tuning: Tuning,
    rng: &'a mut Rng,
    last_tag: &'a mut u32,
    outs: &'a mut Vec<Out>,
}

impl Desk<'_> {
    /// Sends a request and says under which tag it will be answered.
    pub(crate) fn send(&mut self, op: Op<'static>) -> Tag {
        *self.last_tag += 1;
        let tag = Tag(*self.last_tag);
        self.outs.push(Out::Send(Request { tag, op }));
        tag
    }

    /// Tells the picture.
    pub(crate) fn note(&mut self, note: Note) {
        self.outs.push(Out::Note(note));
    }

    /// Ends the connection in good order.
    pub(crate) fn leave(&mut self) {
        self.outs.push(Out::Close);
    }

    /// When work that begins now will be done: real work never takes the same time twice.
    pub(crate) fn work_ends(&mut self) -> Time {
        self.now + Span(self.rng.about(Span::from_millis(self.tuning.work_ms).0, 30))
    }

    /// When the next order is placed.
    pub(crate) fn next_order(&mut self) -> Option<Time> {
        let rate = self.tuning.rate;
        (rate > 0.0).then(|| self.now + Span(self.rng.about((1e9 / rate) as u64, 40)))
    }
}

/// What one kind of client does while it is connected.
pub(crate) trait Part {
    /// The connection stands.
    fn opened(&mut self, desk: &mut Desk<'_>);
    /// The broker said something.
    fn hear(&mut self, desk: &mut Desk<'_>, event: &Event<'_>);
    /// Its deadline has come.
    fn wake(&mut self, desk: &mut Desk<'_>);
    /// When to wake it.
    fn deadline(&self) -> Option<Time>;
    /// Its settings changed.
    fn tuned(&mut self, desk: &mut Desk<'_>);
    /// It is to finish what it works on, and [`Desk::leave`].
    fn stop(&mut self, desk: &mut Desk<'_>);
    /// The connection is gone, and with it all that it held.
    fn closed(&mut self);
    /// What it is, for the picture.
    fn role(&self) -> Role;
    /// What it holds, and since and until when it works on the first of it.
    fn in_hand(&self) -> InHand;
}

/// What an actor has in hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct InHand {
    /// All of it; the first is in work.
    pub(crate) held: Vec<MessageRef>,
    /// Which attempt at the first this is.
    pub(crate) attempt: u32,
    /// Since and until when it works on the first.
    pub(crate) work: Option<(Time, Time)>,
}

/// The kinds of client.
#[derive(Clone)]
pub(crate) enum Job {
    Shop(Shop),
    Member(Member),
    Worker(Worker),
}

impl Job {
    fn part(&mut self) -> &mut dyn Part {
        match self {
            Job::Shop(shop) => shop,
            Job::Member(member) => member,
            Job::Worker(worker) => worker,
        }
    }

    fn part_ref(&self) -> &dyn Part {
        match self {
            Job::Shop(shop) => shop,
            Job::Member(member) => member,
            Job::Worker(worker) => worker,
        }
    }
}

/// A client of this page.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) id: ActorId,
    pub(crate) name: Name,
    pub(crate) tag: Name,
    pub(crate) job: Job,
    pub(crate) state: ActorState,
    pub(crate) wire: Option<Wire>,
    pub(crate) conn: Option<ConnId>,
    pub(crate) tuning: Tuning,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    rng: Rng,
    last_tag: u32,
    reconnect_at: Option<Time>,
    /// What came while it was silent: it lies in the socket's buffer.
    unread: Vec<Told>,
}

impl Actor {
    /// An actor that is not started.
    pub(crate) fn new(
        seed: u64,
        id: ActorId,
        name: &str,
        tag: &str,
        job: Job,
        tuning: Tuning,
    ) -> Actor {
        Actor {
            id,
            name: name.into(),
            tag: tag.into(),
            job,
            state: ActorState::Idle,
            wire: None,
            conn: None,
            tuning,
            done: 0,
            failed: 0,
            rng: Rng::new(seed, id.0),
            last_tag: 0,
            reconnect_at: None,
            unread: Vec::new(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.job.part_ref().role()
    }

    pub(crate) fn in_hand(&self) -> InHand {
        self.job.part_ref().in_hand()
    }

    fn with(
        &mut self,
        now: Time,
        outs: &mut Vec<Out>,
        f: impl FnOnce(&mut dyn Part, &mut Desk<'_>),
    ) {
        let mut desk = Desk {
            now,
            tuning: self.tuning,
            rng: &mut self.rng,
            last_tag: &mut self.last_tag,
            outs,
        };
        f(self.job.part(), &mut desk);
    }

    /// Starts it, or wakes it.
    pub(crate) fn start(&mut self, now: Time, outs: &mut Vec<Out>) -> Result<(), String> {
        match self.state {
            ActorState::Idle | ActorState::Stopped | ActorState::Crashed => {
                self.connect(outs);
                Ok(())
            }
            ActorState::Silent => {
                self.state = ActorState::Running;
                // A process that was suspended goes on exactly where it was, and only then reads
                // what came meanwhile: this is how a zombie does its work a second time.
                if self.job.part_ref().deadline().is_some_and(|at| at <= now) {
                    self.with(now, outs, |part, desk| part.wake(desk));
                }
                for told in std::mem::take(&mut self.unread) {
                    self.hear(now, told, outs);
                }
                Ok(())
            }
            ActorState::Connecting | ActorState::Running => {
                Err(format!("{} runs already", self.name))
            }
            ActorState::Stopping => {
                Err(format!("{} is finishing what it has in hand; start it after that", self.name))
            }
        }
    }

    fn connect(&mut self, outs: &mut Vec<Out>) {
        self.state = ActorState::Connecting;
        self.reconnect_at = None;
        outs.push(Out::Open);
    }

    /// Stops it in good order.
    pub(crate) fn stop(&mut self, now: Time, outs: &mut Vec<Out>) -> Result<(), String> {
        match self.state {
            ActorState::Running => {
                self.state = ActorState::Stopping;
                self.with(now, outs, |part, desk| part.stop(desk));
                Ok(())
            }
            ActorState::Connecting => {
                self.state = ActorState::Stopping;
                outs.push(Out::Close);
                Ok(())
            }
            ActorState::Silent => Err(format!(
                "{} is silent and hears nothing; start it to wake it, or crash it",
                self.name
            )),
            ActorState::Idle | ActorState::Stopping | ActorState::Stopped | ActorState::Crashed => {
                Err(format!("{} does not run", self.name))
            }
        }
    }

    /// Kills it.
    pub(crate) fn crash(&mut self, outs: &mut Vec<Out>) -> Result<(), String> {
        if !self.is_alive() {
            return Err(format!("{} does not run", self.name));
        }
        self.state = ActorState::Crashed;
        outs.push(Out::Close);
        Ok(())
    }

    /// Makes it fall silent.
    pub(crate) fn silence(&mut self) -> Result<(), String> {
        if self.state != ActorState::Running {
            return Err(format!("{} does not run", self.name));
        }
        self.state = ActorState::Silent;
        Ok(())
    }

    /// Changes its settings.
    pub(crate) fn tune(&mut self, now: Time, tuning: Tuning, outs: &mut Vec<Out>) {
        self.tuning = tuning;
        if self.state == ActorState::Running {
            self.with(now, outs, |part, desk| part.tuned(desk));
        }
    }

    /// Places an order now, if it is a shop that runs.
    pub(crate) fn place_order(&mut self, now: Time, outs: &mut Vec<Out>) {
        let mut desk = Desk {
            now,
            tuning: self.tuning,
            rng: &mut self.rng,
            last_tag: &mut self.last_tag,
            outs,
        };
        match &mut self.job {
            Job::Shop(shop) => shop.place(&mut desk),
            Job::Member(_) | Job::Worker(_) => {}
        }
    }

    /// Whether it has, or is getting, a connection.
    pub(crate) fn is_alive(&self) -> bool {
        match self.state {
            ActorState::Connecting
            | ActorState::Running
            | ActorState::Stopping
            | ActorState::Silent => true,
            ActorState::Idle | ActorState::Stopped | ActorState::Crashed => false,
        }
    }

    /// Its connection was closed from this side.
    pub(crate) fn hung_up(&mut self) {
        self.lose();
        if self.state == ActorState::Stopping {
            self.state = ActorState::Stopped;
        }
    }

    fn lose(&mut self) {
        self.wire = None;
        self.conn = None;
        self.unread.clear();
        self.job.part().closed();
    }

    /// Hears what its connection brought.
    pub(crate) fn hear(&mut self, now: Time, told: Told, outs: &mut Vec<Out>) {
        if self.state == ActorState::Silent {
            self.unread.push(told);
            return;
        }
        match told {
            Told::Frames(bytes) => {
                for_each_event(&bytes, |event| self.hear_event(now, event, outs));
            }
            Told::Closed(why) => {
                self.lose();
                if self.state == ActorState::Stopping {
                    self.state = ActorState::Stopped;
                } else {
                    self.state = ActorState::Connecting;
                    self.reconnect_at = Some(now + RECONNECT);
                    outs.push(Out::Note(Note::Trouble(format!("{why}; it tries again"))));
                }
            }
        }
    }

    fn hear_event(&mut self, now: Time, event: &Event<'_>, outs: &mut Vec<Out>) {
        if let Event::Opened { conn, .. } = event {
            self.conn = Some(*conn);
            self.state = ActorState::Running;
            self.with(now, outs, |part, desk| part.opened(desk));
        } else {
            self.with(now, outs, |part, desk| part.hear(desk, event));
        }
    }

    /// When to wake it.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.state {
            ActorState::Running | ActorState::Stopping => self.job.part_ref().deadline(),
            ActorState::Connecting => self.reconnect_at,
            ActorState::Idle | ActorState::Stopped | ActorState::Crashed | ActorState::Silent => {
                None
            }
        }
    }

    /// Its deadline has come.
    pub(crate) fn wake(&mut self, now: Time, outs: &mut Vec<Out>) {
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.connect(outs);
        } else {
            self.with(now, outs, |part, desk| part.wake(desk));
        }
    }
}

/// Calls `f` with every event in `bytes`. What does not decode comes from a broker that speaks
/// another protocol, and is left out: the connection's answers will be missed, not misread.
pub(crate) fn for_each_event(mut bytes: &[u8], mut f: impl FnMut(&Event<'_>)) {
    while !bytes.is_empty() {
        match decode(&mut bytes, FRAME_BYTES_MAX) {
            Ok(Frame::Event(event)) => f(&event),
            Ok(
                Frame::Session(_)
                | Frame::Request(_)
                | Frame::Fact(_)
                | Frame::Input(..)
                | Frame::Effect(_),
            ) => {}
            Err(fanlight_core::codec::DecodeError::Incomplete)
            | Err(fanlight_core::codec::DecodeError::TooLarge { .. }) => return,
            Err(
                fanlight_core::codec::DecodeError::UnknownKind(_)
                | fanlight_core::codec::DecodeError::BadPayload(_),
            ) => {}
        }
    }
}
