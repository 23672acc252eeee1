//! Recordings of a run: what came to a broker, and what followed from it, so that the run can be
//! done again.
//!
//! A file is a magic number, a version, and frames as everywhere (`u32 length ┃ u8 kind ┃ payload`):
//! where it began, with what the broker was made of; the state that it had then, by the snapshot,
//! the bodies it names and the facts after it that recovery read; and from there each input, with
//! its time, followed by its effects. So the broker of a replay is made exactly as the one that was
//! recorded, and nothing has to be believed about what recovery leaves out of account.

mod read;
pub(crate) mod replay;
mod write;

use fanlight_core::Limits;
use serde::{Deserialize, Serialize};

pub(crate) use write::{Recorder, Tape};

const MAGIC: &[u8; 8] = b"FANLTRAC";
const FORMAT: u32 = 1;

// The kinds of the core's frames that are here.
const FACT: u8 = 4;
const INPUT: u8 = 5;
const EFFECT: u8 = 6;
// Those that are only here.
/// A broker begins: a [`Beginning`] as JSON.
const BEGINNING: u8 = 16;
/// A piece of its snapshot.
const SNAPSHOT: u8 = 17;
/// A batch that the snapshot names: u64 reference, bytes.
const BODY: u8 = 18;
/// It has its state; inputs follow.
const READY: u8 = 19;
/// The recording was ended in good order: u64 inputs, u64 effects.
const END: u8 = 20;

/// With what a broker was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// By which program.
    pub(crate) version: String,
    /// The version of the protocol, and so of what frames hold.
    pub(crate) protocol: u16,
    /// Which namespace of the server it was.
    pub(crate) namespace: String,
    /// The time with which it was made, in nanoseconds since the Unix epoch.
    pub(crate) at_ns: u64,
    /// What its dice began with.
    pub(crate) seed: u64,
    /// Its bounds.
    pub(crate) limits: Limits,
}
