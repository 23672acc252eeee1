//! Golden traces: text files that are read as documentation and checked as tests.
//!
//! ```text
//! # A line that begins with # is for the reader.
//! at 10ms c1 publish queue=jobs "a" @key{header:value}"b"
//! ----
//! fact published jobs@0: "a" @key{header:value}"b"
//! c1 #3 published jobs@0
//! ```
//!
//! A block is one or more inputs, a line `----`, and every effect of them in order, up to an empty
//! line. A time stays until the next `at`; `at due` is the broker's deadline. A lease is written
//! `queue@offset#delivery`, with `~epoch` after it where that is not 1; `queue@offset` alone is
//! the newest that was handed out. `restart` crashes the broker and recovers it from its facts,
//! `restart from-snapshot` from a snapshot, `restart losing=3` from its facts but the newest three.
//! `c1 frame 0a00…` is a request as its bytes, where the language has no words for it.

mod command;
mod effects;
mod explained;
mod groups;
mod names;
mod play;
mod policy;
mod request;
mod text;
mod topics;
mod write;

pub use play::{frames, happened, play};
pub use write::written;
