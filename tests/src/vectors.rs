//! Golden vectors: frames as bytes, and what each says. They hold the wire format, and the
//! journal's, to what it was.
//!
//! ```text
//! request Publish
//! 0a0000000214…
//! Request(Request { tag: Tag(1), op: Publish { … } })
//! ```

use fanlight_core::codec::{self, Frame};

/// A frame and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// What it is an example of.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is read from it.
    pub says: String,
}

/// Reads a file of vectors; lines that begin with # are for the reader.
pub fn parse(text: &str) -> Result<Vec<Vector>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let lines: Vec<_> = lines.collect();
    let vector = |lines: &[&str]| match lines {
        [name, hex, says] => {
            Ok(Vector { name: (*name).into(), bytes: bytes(hex)?, says: (*says).into() })
        }
        other => Err(format!("a vector has three lines, not {other:?}")),
    };
    lines.chunks(3).map(vector).collect()
}

/// The lines of a vector.
pub fn shown(vector: &Vector) -> String {
    format!("{}\n{}\n{}\n\n", vector.name, hex(&vector.bytes), vector.says)
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let byte = |at: usize| {
        let digits = hex.get(at..at + 2).ok_or("half a byte")?;
        u8::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} is no byte"))
    };
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// A frame's bytes again.
pub fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match frame {
        Frame::Session(session) => codec::encode_session(session, &mut out),
        Frame::Request(request) => codec::encode_request(request, &mut out),
        Frame::Event(event) => codec::encode_event(event, &mut out),
        Frame::Fact(fact) => codec::encode_fact(fact, &mut out),
        Frame::Input(now, input) => codec::encode_input(*now, input, &mut out),
        Frame::Effect(effect) => codec::encode_effect(effect, &mut out),
    }
    out
}

/// The kinds and variants that a frame's words name: every word that begins with a capital.
pub fn words(says: &str) -> impl Iterator<Item = &str> {
    let words = says.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}
