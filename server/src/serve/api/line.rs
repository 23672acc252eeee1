//! A line: a connection to the broker without a socket, over which requests of one user go.
//!
//! A lease belongs to a connection, and an acknowledgement comes with a later request than the
//! message came with. So a line outlives the requests that go over it: as long as something is
//! held on it, and a little longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Code, ConnId, Event, Inspect, LeaseId, Listed, Op, PROTOCOL, RedriveId, Refusal, Request,
    Session, Span, Tag, Time, View,
};
use fanlight_server::client::answered;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::super::connection::Inside;
use super::super::gate::Guest;
use super::super::mailbox::{Closing, Outgoing};
use super::failure::Failure;

/// For so long a line stays that nobody uses and on which nothing is held.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often a line looks whether it has been idle for long enough.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// More than the frame of any event.
const EVENT_BYTES_MAX: usize = 256 << 20;

/// A connection of one user's.
pub(super) struct Line {
    /// Its number, which receipts name.
    pub(super) conn: ConnId,
    inside: Inside,
    state: Mutex<State>,
    /// Turns true when the broker knows the connection.
    open: watch::Sender<bool>,
    /// It is to be closed from here.
    closing: Notify,
    /// Places for requests whose answers may be large: more at once, decided in one turn, would be
    /// more than may wait on a connection.
    large: Semaphore,
}

struct State {
    last_tag: u32,
    asked: HashMap<Tag, Asked>,
    /// Leases that were handed out on it and not settled; some may have ended by themselves.
    leases: u64,
    /// When the last of them ends.
    held_until: Time,
    used_at: Instant,
    /// Whether the broker wants publishers to slow down.
    slowed: bool,
    /// Whoever waited on it is gone: it takes nothing more, and ends when what else is under way is
    /// answered.
    left: bool,
    /// What it was told before it was closed.
    told: Option<Refusal<'static>>,
    /// Why it takes nothing any more.
    ended: Option<Refusal<'static>>,
}

/// A request that is not answered yet.
struct Asked {
    kind: Kind,
    /// Whether it may take long, and by its connection's end alone ends sooner.
    waits: bool,
    /// None: whoever asked is gone.
    reply: Option<oneshot::Sender<Result<Reply, Refusal<'static>>>>,
    /// What came for it before its answer.
    before: Vec<Bytes>,
}

/// What has to be known of a request when its answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Plain,
    /// It waits, and brings nothing that is held.
    Wait,
    /// It brings leases.
    Receive,
    /// It gives leases back.
    Settle,
    /// It moves leases' ends.
    Extend(Span),
    /// It starts a job, whose end is what is waited for.
    Job(Option<RedriveId>),
    /// The line's own look at the broker's time: whether what is held on it has ended.
    Look,
    /// The same, to know from when a moved lease counts.
    Since(Span),
}

/// What a request was answered with.
pub(super) struct Reply {
    frames: Vec<Bytes>,
    /// Whether the broker wants publishers to slow down.
    pub(super) slowed: bool,
}

impl Reply {
    /// The answer.
    pub(super) fn event(&self) -> Result<Event<'_>, Failure> {
        let last = self.frames.last().ok_or_else(Failure::unexpected)?;
        decode(last).ok_or_else(Failure::unexpected)
    }

    /// What came for the request before its answer.
    pub(super) fn before(&self) -> impl Iterator<Item = Event<'_>> {
        let before = self.frames.len().saturating_sub(1);
        self.frames[..before].iter().filter_map(decode)
    }
}

fn decode(frame: &Bytes) -> Option<Event<'_>> {
    let frame = codec::decode(&mut &frame[..], EVENT_BYTES_MAX);
    if let Ok(Frame::Event(event)) = frame { Some(event) } else { None }
}

/// A request that has its place on a line. Dropped before its answer came, it is taken back.
pub(super) struct Asking {
    pub(super) line: Arc<Line>,
    tag: Tag,
    kind: Kind,
    answer: oneshot::Receiver<Result<Reply, Refusal<'static>>>,
    sent: bool,
}

impl Asking {
    /// Asks, and waits for the answer; a refusal is a failure.
    pub(super) async fn send(mut self, op: Op<'_>) -> Result<Reply, Failure> {
        let large = matches!(op, Op::Inspect { .. } | Op::Peek { .. } | Op::StartRedrive { .. })
            || matches!(op, Op::Read { budget, .. } if budget.wait == Span::ZERO)
            || matches!(op, Op::Receive { wait: Span::ZERO, .. });
        let mut frames = Vec::new();
        codec::encode_request(&Request { tag: self.tag, op }, &mut frames);
        let max = self.line.inside.frame_bytes_max();
        if frames.len() > max {
            let bytes = frames.len();
            let what = format!("the request makes a frame of {bytes} bytes, and {max} may come");
            return Err(Code::TooLarge.because(what).into());
        }
        self.line.is_open().await;
        let line = self.line.clone();
        // Nobody closes the semaphore.
        let _place = if large { line.large.acquire().await.ok() } else { None };
        let permit = self.line.inside.permit(frames.len()).await;
        let Some(turn) = self.line.inside.turn().await else { return Err(stopping().into()) };
        if let Kind::Extend(span) = self.kind {
            // In the same turn of the shard, so that the broker's time is the same.
            self.line.state().ask_time(Kind::Since(span), &mut frames);
        }
        self.sent = true;
        turn.send(frames.into(), permit);
        match (&mut self.answer).await {
            Ok(Ok(reply)) => {
                if let Event::Refused { refusal, .. } = reply.event()? {
                    return Err(refusal.into());
                }
                Ok(reply)
            }
            Ok(Err(why)) => Err(Failure::ended(why)),
            Err(_) => Err(stopping().into()),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.line.state();
        let Some(asked) = state.asked.get_mut(&self.tag) else { return };
        if !self.sent {
            state.asked.remove(&self.tag);
            return;
        }
        asked.reply = None;
        // A wait cannot be taken back by itself: it ends with its connection, if nothing else is
        // on that. Else what it brings is given back when it comes.
        if asked.waits && state.leases == 0 {
            state.left = true;
            if state.end_if_left() {
                self.line.closing.notify_one();
            }
        }
    }
}

fn stopping() -> Refusal<'static> {
    Code::ShuttingDown.because("the server is going down")
}

impl State {
    fn next_tag(&mut self) -> Tag {
        loop {
            // Tag zero is for events that answer no request.
            self.last_tag = self.last_tag.checked_add(1).unwrap_or(1);
            if !self.asked.contains_key(&Tag(self.last_tag)) {
                return Tag(self.last_tag);
            }
        }
    }

    /// Nothing goes over it any more.
    fn end(&mut self, why: Refusal<'static>) {
        let why = self.ended.get_or_insert(why).clone();
        for (_, asked) in self.asked.drain() {
            if let Some(reply) = asked.reply {
                // Whoever asked may be gone.
                let _ = reply.send(Err(why.clone()));
            }
        }
    }

    /// Ends it if whoever waited on it is gone and nobody else is there; says whether it did.
    fn end_if_left(&mut self) -> bool {
        if self.leases > 0 {
            self.left = false;
        }
        let is_over = self.left && self.asked.values().all(|asked| asked.reply.is_none());
        if is_over {
            self.end(Code::NotOpen.because("whoever waited here is gone"));
        }
        is_over
    }

    /// Asks for a view that says what time it is.
    fn ask_time(&mut self, kind: Kind, frames: &mut Vec<u8>) {
        let tag = self.next_tag();
        self.asked.insert(tag, Asked { kind, waits: false, reply: None, before: Vec::new() });
        let what = Inspect::List { of: Listed::Topics, after: "".into(), max: 1 };
        codec::encode_request(&Request { tag, op: Op::Inspect { what } }, frames);
    }

    /// Takes an event; gives leases that came for somebody who is gone.
    fn event(&mut self, event: &Event<'_>, frame: Bytes) -> Vec<LeaseId> {
        if let Event::Pressure { is_high, .. } = event {
            self.slowed = *is_high;
        }
        if let Event::Refused { tag: Tag(0), refusal } = event {
            let message = refusal.message.clone().into_owned().into();
            self.told = Some(Refusal { code: refusal.code, message });
        }
        if let Event::Returned { tag, .. } = event
            && let Some(asked) = self.asked.get_mut(tag)
        {
            asked.before.push(frame);
            return Vec::new();
        }
        if let Event::RedriveStarted { tag, redrive } = event
            && let Some(asked) = self.asked.get_mut(tag)
            && asked.kind == Kind::Job(None)
        {
            asked.kind = Kind::Job(Some(*redrive));
            asked.before.push(frame);
            return Vec::new();
        }
        let tag = if let Event::RedriveEnded { redrive, .. } = event {
            self.job(redrive.id)
        } else {
            answered(event)
        };
        tag.map(|tag| self.answer(tag, event, frame)).unwrap_or_default()
    }

    /// Who waits for a job's end.
    fn job(&self, redrive: RedriveId) -> Option<Tag> {
        let of = |asked: &Asked| asked.kind == Kind::Job(Some(redrive));
        self.asked.iter().find_map(|(tag, asked)| of(asked).then_some(*tag))
    }

    fn answer(&mut self, tag: Tag, event: &Event<'_>, frame: Bytes) -> Vec<LeaseId> {
        let Some(Asked { kind, reply, before, .. }) = self.asked.remove(&tag) else {
            return Vec::new();
        };
        self.used_at = Instant::now();
        if let (Kind::Settle, Event::Settled { count, .. }) = (kind, event) {
            self.leases = self.leases.saturating_sub(u64::from(*count));
        }
        if let (Kind::Since(span), Some(now)) = (kind, time(event)) {
            self.held_until = self.held_until.max(now + span);
        }
        if let (Kind::Look, Some(now)) = (kind, time(event))
            && self.held_until <= now
        {
            self.leases = 0;
        }
        let mut frames = before;
        frames.push(frame);
        let reply = reply.and_then(|to| {
            to.send(Ok(Reply { frames, slowed: self.slowed })).err().map_or(Some(()), |_| None)
        });
        let (Kind::Receive, Event::Received { deliveries, .. }) = (kind, event) else {
            return Vec::new();
        };
        if reply.is_none() {
            return deliveries.iter().map(|delivery| delivery.lease).collect();
        }
        self.leases += deliveries.len() as u64;
        let last = deliveries.iter().map(|delivery| delivery.deadline).max();
        self.held_until = self.held_until.max(last.unwrap_or_default());
        Vec::new()
    }
}

/// The broker's time, where an answer says it.
fn time(event: &Event<'_>) -> Option<Time> {
    if let Event::Inspected { view: View::Page(page), .. } = event {
        return Some(page.list.now);
    }
    None
}

impl Line {
    /// A line that is not open yet: [`Line::serve`] opens it.
    pub(super) fn new(inside: Inside) -> Line {
        let state = State {
            last_tag: 0,
            asked: HashMap::new(),
            leases: 0,
            held_until: Time::ZERO,
            used_at: Instant::now(),
            slowed: false,
            left: false,
            told: None,
            ended: None,
        };
        Line {
            conn: inside.conn,
            large: Semaphore::new(inside.answers_max()),
            inside,
            state: Mutex::new(state),
            open: watch::Sender::new(false),
            closing: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding a line")
    }

    async fn is_open(&self) {
        // The sender lives as long as the line does.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// How many requests are under way on it; None if it takes no more.
    pub(super) fn load(&self) -> Option<usize> {
        let state = self.state();
        state.ended.is_none().then_some(state.asked.len())
    }

    /// Gives a request its place, unless the line takes no more. Unless it is `shared`, what `waits`
    /// has to be alone: nothing is held and nothing else is under way; and nothing else comes to
    /// where something waits.
    pub(super) fn begin(self: &Arc<Line>, kind: Kind, waits: bool, shared: bool) -> Option<Asking> {
        let mut state = self.state();
        let is_free = match waits {
            true => state.asked.is_empty() && state.leases == 0,
            false => !state.asked.values().any(|asked| asked.waits),
        };
        if state.ended.is_some() || state.left || !(is_free || shared) {
            return None;
        }
        let tag = state.next_tag();
        let (reply, answer) = oneshot::channel();
        let asked = Asked { kind, waits, reply: Some(reply), before: Vec::new() };
        state.asked.insert(tag, asked);
        state.used_at = Instant::now();
        drop(state);
        Some(Asking { line: self.clone(), tag, kind, answer, sent: false })
    }

    /// Opens it, hands on what comes over it, and closes it when it is not needed any more.
    pub(super) async fn serve(&self, guest: Guest) {
        let client = match guest.account.name.as_str() {
            "" => "HTTP".to_owned(),
            user => format!("HTTP, {user}"),
        };
        if !self.inside.arrive(guest).await {
            self.state().end(stopping());
        }
        let mut hello = Vec::new();
        let session = Session { protocol: PROTOCOL, client: client.into() };
        codec::encode_session(&session, &mut hello);
        self.tell(hello).await;
        self.open.send_replace(true);
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            if self.state().ended.is_some() {
                break;
            }
            tokio::select! {
                outgoing = self.inside.mailbox.next() => match outgoing {
                    Outgoing::Frames(frames) => self.events(frames).await,
                    // A line asks nothing by text.
                    Outgoing::Text(_) => {}
                    Outgoing::Close(closing) => self.closed(&closing),
                },
                () = self.closing.notified() => {}
                _ = look.tick() => self.look().await,
            }
        }
        self.inside.leave().await;
    }

    /// Sends frames of the line's own.
    async fn tell(&self, frames: Vec<u8>) {
        let permit = self.inside.permit(frames.len()).await;
        match self.inside.turn().await {
            Some(turn) => turn.send(frames.into(), permit),
            None => self.state().end(stopping()),
        }
    }

    async fn events(&self, message: Bytes) {
        let mut back = Vec::new();
        let mut rest: &[u8] = &message;
        while !rest.is_empty() {
            let before = rest;
            let Ok(Frame::Event(event)) = codec::decode(&mut rest, EVENT_BYTES_MAX) else {
                tracing::error!("the broker told {} something that is no event", self.conn);
                break;
            };
            let frame = message.slice_ref(&before[..before.len() - rest.len()]);
            let mut state = self.state();
            back.extend(state.event(&event, frame));
            // The loop that called this looks whether it ended.
            state.end_if_left();
        }
        self.inside.mailbox.wrote(message.len());
        if !back.is_empty() {
            let mut frames = Vec::new();
            let tag = self.state().next_tag();
            let op = Op::Release { leases: back.into() };
            codec::encode_request(&Request { tag, op }, &mut frames);
            self.tell(frames).await;
        }
    }

    fn closed(&self, closing: &Closing) {
        let mut state = self.state();
        let why = state.told.take();
        state.end(why.unwrap_or_else(|| Code::NotOpen.because(closing.reason.clone())));
    }

    /// Closes it if it has been idle for long enough and holds nothing; where it may hold
    /// something, asks whether that has ended meanwhile.
    async fn look(&self) {
        let mut frames = Vec::new();
        {
            let mut state = self.state();
            if !state.asked.is_empty() || state.used_at.elapsed() < IDLE_MAX {
                return;
            }
            if state.leases == 0 {
                return state.end(Code::NotOpen.because("nobody used it for a while"));
            }
            state.ask_time(Kind::Look, &mut frames);
        }
        self.tell(frames).await;
    }
}
