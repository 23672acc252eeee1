//! Writing a recording.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use fanlight_core::codec;
use fanlight_core::{Config, Effect, Fact, Homes, Input, PROTOCOL, Sink, Time};

use super::{BEGINNING, BODY, Beginning, END, FORMAT, MAGIC, READY, SNAPSHOT};
use crate::serve::memory::Memory;
use crate::serve::outbox::Outbox;
use crate::serve::recovery::Witness;
use crate::serve::storage::{Entry, Kind};

/// A snapshot is written in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// What is handed to the writer at once, about: more waits in the broker's thread.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait to be written; the broker waits when there are more.
const CHUNKS_MAX: usize = 16;

/// A recording that is being begun: it hears of everything of which a broker is made.
pub(crate) struct Tape {
    namespace: String,
    path: PathBuf,
    file: io::BufWriter<File>,
    /// What went wrong.
    failed: io::Result<()>,
}

impl Tape {
    /// Makes the file, which may not be there yet; a sentence if that cannot be.
    pub(crate) fn new(path: &Path, namespace: &str) -> Result<Tape, String> {
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let file = made.map_err(|error| match error.kind() == io::ErrorKind::AlreadyExists {
            true => format!(
                "there is something at {} already, and a recording overwrites nothing: choose \
                 another file with --record",
                path.display()
            ),
            false => format!("cannot record to {}: {error}", path.display()),
        })?;
        let mut tape = Tape {
            namespace: namespace.to_owned(),
            path: path.to_owned(),
            file: io::BufWriter::new(file),
            failed: Ok(()),
        };
        tape.put(|file| {
            file.write_all(MAGIC)?;
            file.write_all(&FORMAT.to_le_bytes())
        });
        Ok(tape)
    }

    fn put(&mut self, write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>) {
        if self.failed.is_ok() {
            self.failed = write(&mut self.file);
        }
    }

    fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        self.put(|file| {
            file.write_all(&header(kind, parts.iter().map(|part| part.len()).sum()))?;
            parts.iter().try_for_each(|part| file.write_all(part))
        });
    }

    /// The broker is ready: from here on its inputs and effects are written. A sentence if anything
    /// went wrong until now.
    pub(crate) fn start(mut self) -> Result<Recorder, String> {
        self.frame(READY, &[]);
        let Tape { path, file, failed, .. } = self;
        let file = failed.and_then(|()| file.into_inner().map_err(io::IntoInnerError::into_error));
        let file = file.map_err(|error| format!("cannot record to {}: {error}", path.display()))?;
        let (chunks, written) = sync_channel(CHUNKS_MAX);
        let writer = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write(file, &path, &written))
            .map_err(|error| format!("cannot record: {error}"))?;
        Ok(Recorder { buffer: Vec::new(), chunks, writer, inputs: 0, effects: 0 })
    }
}

impl Witness for Tape {
    fn begins(&mut self, config: &Config, now: Time) {
        let beginning = Beginning {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            namespace: self.namespace.clone(),
            at_ns: now.0,
            seed: config.seed,
            limits: config.limits.clone(),
        };
        let json = serde_json::to_vec(&beginning).expect("it is numbers and text");
        self.frame(BEGINNING, &[&json]);
    }

    fn snapshot(&mut self, state: &[u8], memory: &Memory) {
        for piece in state.chunks(PIECE_BYTES) {
            self.frame(SNAPSHOT, &[piece]);
        }
        for (reference, bytes) in named(state) {
            // What is not there will not be found by recovery either, which says so.
            let Some(home) = memory.find(reference, bytes) else { continue };
            self.frame(BODY, &[&reference.to_le_bytes(), &home.bytes()]);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Facts => self.put(|file| file.write_all(&entry.payload)),
            Kind::Closed => {}
        }
    }
}

/// The bodies that a snapshot names.
fn named(state: &[u8]) -> Vec<(u64, u32)> {
    let mut rest = state.get(SNAPSHOT_HEAD_BYTES..).unwrap_or_default();
    let mut named = Vec::new();
    while let Ok(fact) = codec::decode_fact(&mut rest, usize::MAX - 1) {
        if let Fact::BatchAway { away, .. } = fact {
            named.push((away.reference, away.bytes));
        }
    }
    named
}

/// "FLSN" and a version of two bytes.
const SNAPSHOT_HEAD_BYTES: usize = 6;

fn header(kind: u8, payload_bytes: usize) -> [u8; codec::HEADER_BYTES] {
    let length = u32::try_from(payload_bytes + 1).expect("pieces are small");
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, kind]
}

/// What writes down the inputs and effects of a broker that runs.
pub(crate) struct Recorder {
    buffer: Vec<u8>,
    chunks: SyncSender<Vec<u8>>,
    writer: JoinHandle<()>,
    inputs: u64,
    effects: u64,
}

/// The writer has stopped, and has said why.
pub(crate) struct Stopped;

impl Recorder {
    /// An input is about to be applied.
    pub(crate) fn input(&mut self, now: Time, input: &Input<'_>) {
        self.inputs += 1;
        codec::encode_input(now, input, &mut self.buffer);
    }

    /// What passes effects on, and writes them down.
    pub(crate) fn beside<'a>(&'a mut self, outbox: &'a mut Outbox) -> Beside<'a> {
        Beside { recorder: self, outbox }
    }

    /// Hands on what was written down, where that is much.
    pub(crate) fn pass_much(&mut self) -> Result<(), Stopped> {
        if self.buffer.len() >= CHUNK_BYTES { self.pass() } else { Ok(()) }
    }

    /// Hands on what was written down.
    pub(crate) fn pass(&mut self) -> Result<(), Stopped> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.chunks.send(std::mem::take(&mut self.buffer)).map_err(|_| Stopped)
    }

    /// Ends the recording in good order, and waits until it is written.
    pub(crate) fn end(mut self) {
        self.buffer.extend_from_slice(&header(END, 16));
        self.buffer.extend_from_slice(&self.inputs.to_le_bytes());
        self.buffer.extend_from_slice(&self.effects.to_le_bytes());
        // The writer has said why, if it has stopped.
        let _ = self.pass();
        let Recorder { chunks, writer, .. } = self;
        drop(chunks);
        let _ = writer.join();
    }
}

/// Passes effects on, and writes them down.
pub(crate) struct Beside<'a> {
    recorder: &'a mut Recorder,
    outbox: &'a mut Outbox,
}

impl Sink for Beside<'_> {
    fn emit(&mut self, effect: Effect<'_>) {
        self.recorder.effects += 1;
        codec::encode_effect(&effect, &mut self.recorder.buffer);
        self.outbox.emit(effect);
    }
}

fn write(mut file: File, path: &Path, chunks: &Receiver<Vec<u8>>) {
    for chunk in chunks {
        if let Err(error) = file.write_all(&chunk) {
            tracing::error!(
                "the recording to {} has stopped: {error}; the server goes on without it",
                path.display()
            );
            return;
        }
    }
}
