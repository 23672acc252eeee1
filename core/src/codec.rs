//! Frames: how everything that crosses a boundary is written down. WebSocket messages, the wasm
//! boundary, traces and the journal's payloads hold the same frames.
//!
//! ```text
//! frame    u32 length of what follows ┃ u8 kind ┃ payload
//! kind     1 Session   2 Request   3 Event   4 Fact   5 Input (u64 now, then the input)   6 Effect
//! ```
//!
//! Numbers in the header are little-endian. A payload is the value in postcard's wire format
//! (<https://postcard.jamesmunns.com/wire-format>): variants by number, numbers as varints, text and
//! bytes with their length before them. Several frames may stand in one message.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::event::Event;
use crate::fact::Fact;
use crate::input::Input;
use crate::request::{Request, Session};
use crate::time::Time;

/// Bytes before a frame's payload.
pub const HEADER_BYTES: usize = 5;

/// Bytes that a frame may need beyond the batch it carries.
pub const FRAME_SLACK_BYTES: usize = 64 << 10;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A client's first word.
    Session(Session<'a>),
    /// A client's request.
    Request(Request<'a>),
    /// What a client is told.
    Event(Event<'a>),
    /// What a journal keeps.
    Fact(Fact<'a>),
    /// What came to a broker, and when: what a trace keeps.
    Input(Time, Input<'a>),
    /// What came out of it.
    Effect(Effect<'a>),
}

const SESSION: u8 = 1;
const REQUEST: u8 = 2;
const EVENT: u8 = 3;
const FACT: u8 = 4;
const INPUT: u8 = 5;
const EFFECT: u8 = 6;

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end before the frame does; with more bytes it may be one.
    Incomplete,
    /// The frame announces more bytes than are allowed.
    TooLarge {
        /// How many it announces.
        announced: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// No kind of frame has this number.
    UnknownKind(u8),
    /// The payload is not what its kind says.
    BadPayload(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Incomplete => f.write_str("the bytes end inside a frame"),
            DecodeError::TooLarge { announced, allowed } => {
                write!(f, "a frame announces {announced} bytes; at most {allowed} are allowed")
            }
            DecodeError::UnknownKind(kind) => {
                write!(f, "frame kind {kind}; 1 (session) to 6 (effect) are known")
            }
            DecodeError::BadPayload(kind) => {
                write!(f, "the payload is not a {kind} of protocol {}", crate::request::PROTOCOL)
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Takes the first frame off `bytes`, leaving what comes after it. On an error other than
/// [`DecodeError::Incomplete`] and [`DecodeError::TooLarge`] the bad frame has been skipped, so the
/// next call goes on after it.
pub fn decode<'a>(
    bytes: &mut &'a [u8],
    payload_bytes_max: usize,
) -> Result<Frame<'a>, DecodeError> {
    let (kind, payload) = split(bytes, payload_bytes_max)?;
    match kind {
        SESSION => whole(payload, "session").map(Frame::Session),
        REQUEST => whole(payload, "request").map(Frame::Request),
        EVENT => whole(payload, "event").map(Frame::Event),
        FACT => whole(payload, "fact").map(Frame::Fact),
        INPUT => {
            let (now, input) =
                payload.split_first_chunk::<8>().ok_or(DecodeError::BadPayload("input"))?;
            whole(input, "input").map(|input| Frame::Input(Time(u64::from_le_bytes(*now)), input))
        }
        EFFECT => whole(payload, "effect").map(Frame::Effect),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

/// The same where there can only be facts. What reads only these need not carry the decoders of
/// everything else.
pub fn decode_fact<'a>(
    bytes: &mut &'a [u8],
    payload_bytes_max: usize,
) -> Result<Fact<'a>, DecodeError> {
    match split(bytes, payload_bytes_max)? {
        (FACT, payload) => whole(payload, "fact"),
        (kind, _) => Err(DecodeError::UnknownKind(kind)),
    }
}

/// Takes the first frame off: its kind and its payload.
fn split<'a>(
    bytes: &mut &'a [u8],
    payload_bytes_max: usize,
) -> Result<(u8, &'a [u8]), DecodeError> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(DecodeError::Incomplete)?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
    if length > payload_bytes_max.saturating_add(1) {
        return Err(DecodeError::TooLarge { announced: length, allowed: payload_bytes_max + 1 });
    }
    if length == 0 {
        *bytes = &bytes[4..];
        return Err(DecodeError::BadPayload("frame: it is empty; it should be a frame"));
    }
    let (payload, rest) = rest.split_at_checked(length - 1).ok_or(DecodeError::Incomplete)?;
    *bytes = rest;
    Ok((header[4], payload))
}

fn whole<'a, T: Deserialize<'a>>(payload: &'a [u8], kind: &'static str) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(DecodeError::BadPayload(kind)),
    }
}

/// Appends a session frame.
pub fn encode_session(session: &Session<'_>, out: &mut Vec<u8>) {
    put(SESSION, session, out);
}

/// Appends a request frame.
pub fn encode_request(request: &Request<'_>, out: &mut Vec<u8>) {
    put(REQUEST, request, out);
}

/// Appends an event frame.
pub fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    put(EVENT, event, out);
}

/// Appends a fact frame.
pub fn encode_fact(fact: &Fact<'_>, out: &mut Vec<u8>) {
    put(FACT, fact, out);
}

/// Appends an input frame.
pub fn encode_input(now: Time, input: &Input<'_>, out: &mut Vec<u8>) {
    let at = begin(INPUT, out);
    out.extend_from_slice(&now.0.to_le_bytes());
    end(at, input, out);
}

/// Appends an effect frame.
pub fn encode_effect(effect: &Effect<'_>, out: &mut Vec<u8>) {
    put(EFFECT, effect, out);
}

/// Any value in the payload's format, without a frame around it.
pub fn encode_value(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    append(value, &mut out);
    out
}

/// A value that [`encode_value`] wrote; None if the bytes are not one.
pub fn decode_value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    whole(bytes, "value").ok()
}

fn put(kind: u8, value: &impl Serialize, out: &mut Vec<u8>) {
    let at = begin(kind, out);
    end(at, value, out);
}

fn begin(kind: u8, out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    at
}

fn end(at: usize, value: &impl Serialize, out: &mut Vec<u8>) {
    append(value, out);
    let length = u32::try_from(out.len() - at - 4).expect("a frame is smaller than 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn append(value: &impl Serialize, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Appender(out)).expect("appending to a Vec cannot fail");
}

/// Appends to a `Vec` that may hold something already.
struct Appender<'v>(&'v mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appender<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
