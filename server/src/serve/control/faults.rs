//! Faults that a test asks for: a confirm that does not come, a connection that breaks at the wrong
//! moment, a queue that says it is full.
//!
//! What is asked for is one list for the whole server. Each broker's outbox asks it where something
//! is about to be told, and only on a server that was started with faults.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use fanlight_core::{
    Code, ConnId, ConsumerId, Event, Op, Refusal, Request, Span, Tag, Target, Time,
};
use serde::{Deserialize, Serialize};

use super::{Trouble, span};

/// Faults that are waited for at once.
const FAULTS_MAX: usize = 1_000;
/// The longest name of a client, queue, topic or exchange.
const NAME_BYTES_MAX: usize = 256;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A publish is done, and its confirm is not told.
    DropConfirm,
    /// The connection breaks after a delivery.
    Cut,
    /// What the connection is told comes later.
    Delay,
    /// A publish is refused as by a full queue.
    Refuse,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::DropConfirm => "drop_confirm",
            Kind::Cut => "cut",
            Kind::Delay => "delay",
            Kind::Refuse => "refuse",
        }
    }
}

/// A fault as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    fault: Kind,
    #[serde(default = "everybody")]
    client: String,
    #[serde(default)]
    on: Option<String>,
    #[serde(default = "once")]
    times: u32,
    #[serde(default, deserialize_with = "some_span")]
    by: Option<Span>,
}

fn everybody() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}

fn some_span<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Span>, D::Error> {
    span(value).map(Some)
}

/// A fault that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    id: u64,
    fault: Kind,
    /// To clients of these names; `*` stands for any text.
    client: String,
    /// With this queue, topic or exchange; None: with any.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<String>,
    /// How often it will still happen.
    times: u32,
    /// How much later.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    by: Option<Span>,
}

fn as_text<S: serde::Serializer>(by: &Option<Span>, to: S) -> Result<S::Ok, S::Error> {
    let by = std::time::Duration::from_nanos(by.unwrap_or_default().0);
    to.collect_str(&humantime::format_duration(by))
}

/// What can be asked about faults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultAsk {
    /// Which there are.
    List,
    /// One more.
    Add(Spec),
    /// One less, or none any more.
    Clear(Option<u64>),
    /// That the broker ends as in a crash, at once, and begins again from its journal.
    Restart,
}

/// The faults of a server.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    last: u64,
    all: Vec<Fault>,
}

impl Faults {
    /// One more.
    pub(crate) fn add(&self, spec: Spec) -> Result<Fault, Trouble> {
        let Spec { fault, client, on, times, by } = spec;
        let named = [Some(&client), on.as_ref()];
        if named.into_iter().flatten().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            let what = format!("a name should have 1 to {NAME_BYTES_MAX} bytes");
            return Err(Trouble::bad(what));
        }
        match (fault, by) {
            (Kind::Delay, None) => {
                return Err(Trouble::bad("by how much? \"by\" should be a time, as \"5s\""));
            }
            (Kind::DropConfirm | Kind::Cut | Kind::Refuse, Some(_)) => {
                return Err(Trouble::bad("\"by\" is for the fault delay alone"));
            }
            (Kind::Delay, Some(_)) if on.is_some() => {
                let what = "all that a connection is told is delayed: \"on\" is for other faults";
                return Err(Trouble::bad(what));
            }
            _ => {}
        }
        if times == 0 {
            return Err(Trouble::bad("how often? \"times\" should be at least 1"));
        }
        let mut list = self.list();
        if list.all.len() >= FAULTS_MAX {
            let message = format!("{FAULTS_MAX} faults are waited for already; clear some first");
            return Err(Trouble { code: "too_many", message });
        }
        list.last += 1;
        let fault = Fault { id: list.last, fault, client, on, times, by };
        list.all.push(fault.clone());
        Ok(fault)
    }

    /// Those that are waited for.
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.list().all.clone()
    }

    /// Takes one away, or all; gives those that are left.
    pub(crate) fn clear(&self, id: Option<u64>) -> Result<Vec<Fault>, Trouble> {
        let mut list = self.list();
        let before = list.all.len();
        list.all.retain(|fault| id.is_some_and(|id| fault.id != id));
        match id {
            Some(id) if list.all.len() == before => {
                let message = format!("no fault {id} is waited for; it may have happened");
                Err(Trouble { code: "not_found", message })
            }
            Some(_) | None => Ok(list.all.clone()),
        }
    }

    /// The first that is to happen here, once less from now on.
    fn take(&self, kind: Kind, client: &str, on: Option<&str>) -> Option<Fault> {
        let mut list = self.list();
        let at = list.all.iter().position(|fault| {
            fault.fault == kind
                && matches(&fault.client, client)
                && fault.on.as_ref().is_none_or(|name| on == Some(name))
        })?;
        list.all[at].times -= 1;
        let fault = list.all[at].clone();
        if fault.times == 0 {
            list.all.remove(at);
        }
        let (id, name) = (fault.id, kind.name());
        tracing::info!(client, on, left = fault.times, "fault {id} ({name}) happens");
        Some(fault)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().expect("nobody panics while holding the list of faults")
    }
}

/// Whether a text is as a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

/// What becomes of something that is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is told.
    Tell,
    /// It is not.
    Drop,
    /// It is told then.
    Hold(Time),
}

/// What an outbox knows for faults' sake.
pub(crate) struct Faulty {
    faults: Arc<Faults>,
    now: Time,
    names: HashMap<ConnId, String>,
    /// What requests that are not answered yet are about.
    aims: HashMap<(ConnId, Tag), String>,
    /// What consumers consume.
    consumers: HashMap<(ConnId, ConsumerId), String>,
    /// Who is to be cut.
    cut: Vec<ConnId>,
    held: HashMap<ConnId, Held>,
}

/// What is told later, in its order.
#[derive(Default)]
struct Held {
    frames: VecDeque<(Time, Vec<u8>)>,
    bytes: usize,
}

impl Faulty {
    /// For one broker.
    pub(crate) fn new(faults: Arc<Faults>) -> Faulty {
        Faulty {
            faults,
            now: Time::ZERO,
            names: HashMap::new(),
            aims: HashMap::new(),
            consumers: HashMap::new(),
            cut: Vec::new(),
            held: HashMap::new(),
        }
    }

    /// The list.
    pub(crate) fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// It is so late.
    pub(crate) fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// A connection has said what it is called.
    pub(crate) fn opened(&mut self, conn: ConnId, name: &str) {
        self.names.insert(conn, name.to_owned());
    }

    /// A connection asks for something; the refusal, if that is its fault.
    pub(crate) fn asked(
        &mut self,
        conn: ConnId,
        request: &Request<'_>,
    ) -> Option<Refusal<'static>> {
        let Request { tag, op } = request;
        if let Op::Publish { to, confirm, .. } = op {
            let name = written(to);
            if self.faults.take(Kind::Refuse, self.name(conn), Some(name)).is_some() {
                return Some(Code::QueueFull.because(format!(
                    "queue {name:?} is full; nothing of this batch was stored anywhere: try again \
                     when some are settled (a fault that was asked for)"
                )));
            }
            if *confirm {
                self.aims.insert((conn, *tag), name.to_owned());
            }
        }
        if let Op::Consume { queue, .. } | Op::Receive { queue, .. } = op {
            self.aims.insert((conn, *tag), queue.to_string());
        }
        None
    }

    fn name(&self, conn: ConnId) -> &str {
        self.names.get(&conn).map(String::as_str).unwrap_or_default()
    }

    /// A connection is gone.
    pub(crate) fn gone(&mut self, conn: ConnId) {
        self.names.remove(&conn);
        self.held.remove(&conn);
        self.aims.retain(|(of, _), _| *of != conn);
        self.consumers.retain(|(of, _), _| *of != conn);
    }

    /// Something is to be told: what becomes of it.
    pub(crate) fn told(&mut self, conn: ConnId, event: &Event<'_>) -> Verdict {
        if let Event::Opened { .. } = event {
            return Verdict::Tell;
        }
        let on = self.about(conn, event);
        let take = |kind, on| self.faults.take(kind, self.name(conn), on);
        if let Event::Published { .. } = event
            && take(Kind::DropConfirm, on.as_deref()).is_some()
        {
            return Verdict::Drop;
        }
        let is_cut = delivers(event) && take(Kind::Cut, on.as_deref()).is_some();
        let late = take(Kind::Delay, None).and_then(|fault| fault.by);
        if is_cut {
            self.cut.push(conn);
        }
        let last = self.held.get(&conn).and_then(|held| held.frames.back()).map(|(due, _)| *due);
        match (late, last) {
            (Some(by), last) => Verdict::Hold(last.unwrap_or(self.now).max(self.now + by)),
            // What comes after something that is late is not told before it.
            (None, Some(last)) => Verdict::Hold(last),
            (None, None) => Verdict::Tell,
        }
    }

    /// The queue, topic or exchange that an event is about, as far as that is known.
    fn about(&mut self, conn: ConnId, event: &Event<'_>) -> Option<String> {
        if let Event::Published { tag, .. }
        | Event::Received { tag, .. }
        | Event::Refused { tag, .. } = event
        {
            return self.aims.remove(&(conn, *tag));
        }
        if let Event::Consuming { tag, consumer } = event {
            let on = self.aims.remove(&(conn, *tag))?;
            self.consumers.insert((conn, *consumer), on);
        }
        if let Event::Cancelled { consumer, .. } = event {
            self.consumers.remove(&(conn, *consumer));
        }
        let Event::Delivered { consumer, .. } = event else { return None };
        self.consumers.get(&(conn, *consumer)).cloned()
    }

    /// Keeps something back until then.
    pub(crate) fn hold(&mut self, conn: ConnId, due: Time, frame: Vec<u8>) {
        let held = self.held.entry(conn).or_default();
        held.bytes += frame.len();
        held.frames.push_back((due, frame));
    }

    /// Bytes that are kept back for a connection.
    pub(crate) fn held_bytes(&self, conn: ConnId) -> usize {
        self.held.get(&conn).map_or(0, |held| held.bytes)
    }

    /// When something is to be told next.
    pub(crate) fn due(&self) -> Option<Time> {
        self.held.values().filter_map(|held| held.frames.front()).map(|(due, _)| *due).min()
    }

    /// What is to be told by now: all of it, or what is of one connection.
    pub(crate) fn release(&mut self, now: Time, of: Option<ConnId>) -> Vec<(ConnId, Vec<u8>)> {
        let mut released = Vec::new();
        self.held.retain(|conn, held| {
            if of.is_some_and(|of| of != *conn) {
                return true;
            }
            while let Some((_, frame)) = held.frames.pop_front_if(|(due, _)| *due <= now) {
                held.bytes -= frame.len();
                released.push((*conn, frame));
            }
            !held.frames.is_empty()
        });
        released
    }

    /// Somebody who is to be cut.
    pub(crate) fn take_cut(&mut self) -> Option<ConnId> {
        self.cut.pop()
    }
}

/// Whether messages come with it.
fn delivers(event: &Event<'_>) -> bool {
    if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = event {
        return !deliveries.is_empty();
    }
    if let Event::Polled { batches, .. } = event { !batches.is_empty() } else { false }
}

/// What a publish goes to: through the default exchange the queue that the key names.
fn written<'a>(to: &'a Target<'_>) -> &'a str {
    match to {
        Target::Exchange { name, routing_key } if name.is_empty() => routing_key,
        Target::Exchange { name, .. } | Target::Queue { name } | Target::Topic { name, .. } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        serde_json::from_str(text).expect("a fault")
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "x"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a*b*c", "a-bb-c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "x"), ("a", "ab"), ("a*", "ba"), ("a*a", "a"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_fault_happens_as_often_as_it_was_asked_for_and_to_whom() {
        let faults = Faults::default();
        let text = r#"{"fault":"drop_confirm","client":"billing*","on":"jobs","times":2}"#;
        let added = faults.add(spec(text)).expect("there is room");
        assert_eq!((added.id, added.times), (1, 2));
        let take = |client: &str, on| faults.take(Kind::DropConfirm, client, on).is_some();
        assert!(!take("other", Some("jobs")));
        assert!(!take("billing", Some("mail")));
        assert!(!take("billing", None));
        assert!(faults.take(Kind::Cut, "billing", Some("jobs")).is_none());
        assert!(take("billing-1", Some("jobs")));
        assert_eq!(faults.all()[0].times, 1);
        assert!(take("billing-2", Some("jobs")));
        assert!(!take("billing-3", Some("jobs")));
        assert_eq!(faults.all(), []);
    }

    #[test]
    fn faults_are_cleared_one_by_one_or_all() {
        let faults = Faults::default();
        for _ in 0..3 {
            faults.add(spec(r#"{"fault":"cut"}"#)).expect("there is room");
        }
        let left = faults.clear(Some(2)).expect("it is there");
        assert_eq!(left.iter().map(|fault| fault.id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(faults.clear(Some(2)).expect_err("it is gone").code, "not_found");
        assert_eq!(faults.clear(None), Ok(Vec::new()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let faults = Faults::default();
        for text in [
            r#"{"fault":"delay"}"#,
            r#"{"fault":"cut","by":"1s"}"#,
            r#"{"fault":"delay","by":"1s","on":"jobs"}"#,
            r#"{"fault":"cut","times":0}"#,
            r#"{"fault":"cut","client":""}"#,
        ] {
            assert_eq!(faults.add(spec(text)).expect_err(text).code, "bad_request");
        }
        for _ in 0..FAULTS_MAX {
            faults.add(spec(r#"{"fault":"cut"}"#)).expect("there is room");
        }
        let full = faults.add(spec(r#"{"fault":"cut"}"#)).expect_err("there is no room");
        assert_eq!(full.code, "too_many");
    }

    #[test]
    fn what_follows_a_delayed_event_waits_for_it() {
        let faults = Arc::new(Faults::default());
        faults.add(spec(r#"{"fault":"delay","by":"5s"}"#)).expect("there is room");
        let mut faulty = Faulty::new(faults);
        let (one, two) = (ConnId(1), ConnId(2));
        let done = Event::Done { tag: Tag(1) };
        let due = Time::ZERO + Span::from_secs(5);
        assert_eq!(faulty.told(one, &done), Verdict::Hold(due));
        faulty.hold(one, due, vec![1]);
        faulty.at(Time::from_millis(1));
        assert_eq!(faulty.told(one, &done), Verdict::Hold(due));
        faulty.hold(one, due, vec![2]);
        assert_eq!(faulty.told(two, &done), Verdict::Tell);
        assert_eq!((faulty.due(), faulty.held_bytes(one)), (Some(due), 2));
        assert_eq!(faulty.release(Time::from_millis(4_999), None), []);
        assert_eq!(faulty.release(due, None), [(one, vec![1]), (one, vec![2])]);
        assert_eq!((faulty.due(), faulty.told(one, &done)), (None, Verdict::Tell));
    }
}
