//! Doing a recorded run again, and looking whether the same follows.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, Config, ConnId, Effect, Home, Homes, Input, Time};
use sha2::{Digest as _, Sha256};

pub(crate) use super::read::Unreadable;
use super::read::{Raw, Reader};
use super::{BEGINNING, BODY, Beginning, EFFECT, END, FACT, INPUT, READY, SNAPSHOT};

/// Of a request or an effect, so much is shown.
const SHOWN_BYTES_MAX: usize = 600;

/// What was found where everything was as before.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Where the recording began.
    pub(crate) beginning: Option<Beginning>,
    pub(crate) inputs: u64,
    pub(crate) effects: u64,
    /// The times of the first and the last input.
    pub(crate) span: Option<(Time, Time)>,
    /// A short number that stands for all inputs and effects.
    pub(crate) digest: String,
    /// Bytes at the end that are no whole input with its effects; None if it was ended in good
    /// order.
    pub(crate) torn_bytes: Option<u64>,
}

/// Where a run is not as it was recorded.
#[derive(Debug)]
pub(crate) struct Difference {
    /// What was applied.
    pub(crate) step: Step,
    /// Which of its effects, from 1.
    pub(crate) effect: usize,
    /// What was recorded; None if there were no more.
    pub(crate) expected: Option<String>,
    /// What came; None if there was nothing more.
    pub(crate) got: Option<String>,
}

/// An input, as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Which, from 1.
    pub(crate) number: u64,
    /// When.
    pub(crate) at: Time,
    /// Of which connection, and what that calls itself.
    pub(crate) conn: Option<(ConnId, String)>,
    /// What.
    pub(crate) what: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.conn {
            None => f.write_str(&self.what),
            Some((conn, name)) => write!(f, "connection {} {name:?}: {}", conn.0, self.what),
        }
    }
}

/// How a replay ended.
pub(crate) enum Replayed {
    /// As it was recorded.
    Equal(Box<Summary>),
    /// Otherwise.
    Different(Box<Difference>),
}

/// What is done with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is done again.
    Again,
    /// Its inputs are only read.
    Read,
}

/// Goes through a recording. `each` is told every input before it is done.
pub(crate) fn replay<E: From<Unreadable>>(
    path: &Path,
    mode: Mode,
    each: &mut dyn FnMut(&Step) -> Result<(), E>,
) -> Result<Replayed, E> {
    let mut reader = Reader::open(path)?;
    let mut run = Run::default();
    let mut making = Making::new(reader.file());
    let mut turn: Option<Turn> = None;
    let mut is_ended = false;
    while let Some(raw) = reader.next()? {
        match raw.kind {
            EFFECT => match &mut turn {
                Some(turn) => turn.effects.push(raw),
                None => return Err(damaged(raw.at, "an effect stands before any input").into()),
            },
            INPUT | END | BEGINNING => {
                if let Some(turn) = turn.take() {
                    let step = run.begin(&turn)?;
                    each(&step)?;
                    if mode == Mode::Again
                        && let Some(difference) = run.apply(&turn, step)?
                    {
                        return Ok(Replayed::Different(Box::new(difference)));
                    }
                }
                is_ended = raw.kind == END;
                match raw.kind {
                    INPUT => turn = Some(Turn { input: raw, effects: Vec::new() }),
                    BEGINNING => making.begin(&raw)?,
                    _ => {}
                }
            }
            SNAPSHOT | BODY | FACT | READY if mode == Mode::Read => {}
            SNAPSHOT | BODY | FACT => making.take(&raw)?,
            READY => run.broker = Some(making.broker(raw.at)?),
            kind => return Err(damaged(raw.at, &format!("no frame is of kind {kind}")).into()),
        }
    }
    run.beginning = making.beginning;
    // What may lack some of its effects says nothing.
    let torn = reader.left() + turn.map_or(0, |turn| turn.bytes());
    let summary = run.summary((!is_ended || torn > 0).then_some(torn));
    Ok(Replayed::Equal(Box::new(summary)))
}

fn damaged(at: u64, what: &str) -> Unreadable {
    Unreadable::Damaged { at, what: what.to_owned() }
}

/// An input with its effects, as they were recorded.
struct Turn {
    input: Raw,
    effects: Vec<Raw>,
}

impl Turn {
    fn bytes(&self) -> u64 {
        self.effects.iter().chain([&self.input]).map(|raw| raw.bytes.len() as u64).sum()
    }
}

/// A run that is done again.
#[derive(Default)]
struct Run {
    beginning: Option<Beginning>,
    broker: Option<Broker>,
    names: HashMap<ConnId, String>,
    inputs: u64,
    effects: u64,
    span: Option<(Time, Time)>,
    digest: Sha256,
}

impl Run {
    /// Looks at what is next.
    fn begin(&mut self, turn: &Turn) -> Result<Step, Unreadable> {
        let (now, input) = input_of(turn)?;
        self.inputs += 1;
        self.effects += turn.effects.len() as u64;
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        for raw in turn.effects.iter().chain([&turn.input]) {
            self.digest.update(&raw.bytes);
        }
        let (conn, what) = match &input {
            Input::Open(conn, session) => {
                self.names.insert(*conn, session.client.to_string());
                (Some(*conn), format!("{session:?}"))
            }
            Input::Request(conn, request) => {
                (Some(*conn), format!("{:?} (tag {})", request.op, request.tag.0))
            }
            Input::Closed(conn) => (Some(*conn), "Closed".to_owned()),
            Input::Tick => (None, "Tick".to_owned()),
        };
        let named = |conn| (conn, self.names.get(&conn).cloned().unwrap_or_default());
        let conn = conn.map(named);
        if let Input::Closed(conn) = input {
            self.names.remove(&conn);
        }
        Ok(Step { number: self.inputs, at: now, conn, what: shortened(&what, 0) })
    }

    /// Does it, and compares what follows.
    fn apply(&mut self, turn: &Turn, step: Step) -> Result<Option<Difference>, Unreadable> {
        let (now, input) = input_of(turn)?;
        let Some(broker) = &mut self.broker else {
            return Err(damaged(turn.input.at, "an input stands before the broker is ready"));
        };
        let mut came = 0;
        let mut frame = Vec::new();
        let mut first = None;
        broker.apply(now, input, &mut |effect: Effect<'_>| {
            frame.clear();
            codec::encode_effect(&effect, &mut frame);
            let expected = turn.effects.get(came);
            came += 1;
            if first.is_none() && expected.is_none_or(|raw| raw.bytes != frame) {
                first = Some((came, expected.map(shown), Some(format!("{effect:?}"))));
            }
        });
        let missing = turn.effects.get(came).map(|raw| (came + 1, Some(shown(raw)), None));
        Ok(first.or(missing).map(|(effect, expected, got)| {
            let common = match (&expected, &got) {
                (Some(a), Some(b)) => a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count(),
                _ => 0,
            };
            let short = |text: Option<String>| text.map(|text| shortened(&text, common));
            Difference { step, effect, expected: short(expected), got: short(got) }
        }))
    }

    fn summary(self, torn_bytes: Option<u64>) -> Summary {
        let digest = self.digest.finalize();
        let digest = digest[..8].iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text takes text");
            text
        });
        let Run { beginning, inputs, effects, span, .. } = self;
        Summary { beginning, inputs, effects, span, digest, torn_bytes }
    }
}

fn input_of(turn: &Turn) -> Result<(Time, Input<'_>), Unreadable> {
    match codec::decode(&mut &turn.input.bytes[..], usize::MAX - 1) {
        Ok(Frame::Input(now, input)) => Ok((now, input)),
        Ok(
            Frame::Session(_)
            | Frame::Request(_)
            | Frame::Event(_)
            | Frame::Fact(_)
            | Frame::Effect(_),
        ) => Err(damaged(turn.input.at, "a frame is not what it says")),
        Err(error) => Err(damaged(turn.input.at, &error.to_string())),
    }
}

/// A recorded effect in words.
fn shown(raw: &Raw) -> String {
    match codec::decode(&mut &raw.bytes[..], usize::MAX - 1) {
        Ok(Frame::Effect(effect)) => format!("{effect:?}"),
        _ => format!("{} bytes that are no effect", raw.bytes.len()),
    }
}

/// Of a long text a part that holds what is at this byte.
fn shortened(text: &str, at: usize) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let from = text.floor_char_boundary(at.saturating_sub(SHOWN_BYTES_MAX / 4));
    let to = text.floor_char_boundary((from + SHOWN_BYTES_MAX).min(text.len()));
    let before = if from > 0 { "…" } else { "" };
    let after = if to < text.len() { "…" } else { "" };
    format!("{before}{}{after}", &text[from..to])
}

/// A broker that is made as the one was that was recorded.
struct Making {
    file: Arc<File>,
    beginning: Option<Beginning>,
    snapshot: Vec<u8>,
    bodies: HashMap<u64, Arc<Body>>,
    broker: Option<Broker>,
}

/// A batch that lies in the recording.
#[derive(Debug)]
struct Body {
    file: Arc<File>,
    at: u64,
    bytes: usize,
    reference: u64,
}

impl Home for Body {
    fn bytes(&self) -> Bytes {
        let mut bytes = vec![0; self.bytes];
        let read = self.file.read_exact_at(&mut bytes, self.at);
        read.expect("what was read from the recording before can be read again");
        bytes.into()
    }

    fn reference(&self) -> u64 {
        self.reference
    }
}

impl Homes for Making {
    fn find(&self, reference: u64, bytes: u32) -> Option<Arc<dyn Home>> {
        let body = self.bodies.get(&reference).filter(|body| body.bytes == bytes as usize)?;
        Some(body.clone())
    }
}

impl Making {
    fn new(file: Arc<File>) -> Making {
        Making { file, beginning: None, snapshot: Vec::new(), bodies: HashMap::new(), broker: None }
    }

    fn begin(&mut self, raw: &Raw) -> Result<(), Unreadable> {
        let beginning = serde_json::from_slice(raw.payload());
        self.beginning = Some(beginning.map_err(|error| damaged(raw.at, &error.to_string()))?);
        self.snapshot.clear();
        self.bodies.clear();
        self.broker = None;
        Ok(())
    }

    fn take(&mut self, raw: &Raw) -> Result<(), Unreadable> {
        match (raw.kind, raw.payload()) {
            (SNAPSHOT, piece) => self.snapshot.extend_from_slice(piece),
            (BODY, payload) => {
                let (reference, body) = payload
                    .split_first_chunk()
                    .ok_or_else(|| damaged(raw.at, "a batch has no place"))?;
                let reference = u64::from_le_bytes(*reference);
                let at = raw.at + (raw.bytes.len() - body.len()) as u64;
                let file = self.file.clone();
                let body = Body { file, at, bytes: body.len(), reference };
                self.bodies.insert(reference, Arc::new(body));
            }
            _ => {
                let mut broker = self.broker(raw.at)?;
                let fact = codec::decode_fact(&mut &raw.bytes[..], usize::MAX - 1)
                    .map_err(|error| damaged(raw.at, &error.to_string()))?;
                let restored = broker.try_restore(fact);
                restored.map_err(|violation| damaged(raw.at, &violation.to_string()))?;
                self.broker = Some(broker);
            }
        }
        Ok(())
    }

    /// The broker as it is by now.
    fn broker(&mut self, at: u64) -> Result<Broker, Unreadable> {
        if let Some(broker) = self.broker.take() {
            return Ok(broker);
        }
        let Some(Beginning { seed, limits, at_ns, .. }) = self.beginning.clone() else {
            return Err(damaged(at, "it does not say how it began"));
        };
        let (config, now) = (Config { seed, limits }, Time(at_ns));
        if self.snapshot.is_empty() {
            return Ok(Broker::new(config, now));
        }
        let snapshot = std::mem::take(&mut self.snapshot);
        Broker::load_with(config, now, &snapshot, self)
            .map_err(|error| damaged(at, &error.to_string()))
    }
}
