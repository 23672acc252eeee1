//! From a journal to a broker.

use std::io::Write;
use std::time::{Duration, Instant};

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, Config, Fact, Time};

use super::clock::Clock;
use super::journal::Recovered;
use super::logging;
use super::memory::Memory;
use super::storage::{Entry, Kind, Position, Shelf, Storage, StorageError};

/// Recovery that is over sooner says nothing.
const QUIET: Duration = Duration::from_secs(1);
/// A snapshot that takes a second or so to load is told of before, since nothing is said on the way.
const LARGE_BYTES: u64 = 64 << 20;
/// How often it says how far it is: on a terminal, and in a log.
const PROGRESS_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A broker as it was when the journal ended, and a clock that goes on from there.
pub(crate) struct Restored {
    pub(crate) broker: Broker,
    pub(crate) memory: Memory,
    pub(crate) clock: Clock,
    pub(crate) journal: Recovered,
    pub(crate) seen: Seen,
}

/// What was read of the journal on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) entries: u64,
    pub(crate) facts: u64,
    /// When the last entry was decided; without one, when the snapshot was taken.
    pub(crate) last_time: Time,
    /// Whether the server stopped in good order.
    pub(crate) closed: bool,
}

/// Who hears of everything of which a broker is made.
pub(crate) trait Witness {
    /// It is made with this, at this time.
    fn begins(&mut self, config: &Config, now: Time);
    /// It has this state, with batches that memory knows.
    fn snapshot(&mut self, state: &[u8], memory: &Memory);
    /// Then this is made true.
    fn entry(&mut self, entry: &Entry);
}

/// Nobody.
impl Witness for () {
    fn begins(&mut self, _config: &Config, _now: Time) {}
    fn snapshot(&mut self, _state: &[u8], _memory: &Memory) {}
    fn entry(&mut self, _entry: &Entry) {}
}

/// Why there is no broker.
#[derive(Debug)]
pub(crate) enum RecoveryError {
    /// The storage cannot be read.
    Storage(StorageError),
    /// What it holds is intact, but this build cannot make sense of it.
    Foreign {
        /// Where in the journal.
        position: Position,
        /// What is wrong.
        what: String,
    },
}

impl From<StorageError> for RecoveryError {
    fn from(error: StorageError) -> RecoveryError {
        RecoveryError::Storage(error)
    }
}

impl std::fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecoveryError::Storage(error) => error.fmt(f),
            RecoveryError::Foreign { position, what } => write!(
                f,
                "the journal holds something at position {position} that this fanlight cannot \
                 read ({what}); start the fanlight that wrote it, or choose another directory \
                 with --data"
            ),
        }
    }
}

/// Reads the snapshot and everything after it. `clock` gives one that goes on from the last time.
pub(crate) fn restore(
    storage: &mut dyn Storage,
    config: Config,
    memory_bytes_max: u64,
    (clock, told): (&dyn Fn(Time) -> Clock, &dyn Fn(u64)),
    witness: &mut dyn Witness,
) -> Result<Restored, RecoveryError> {
    let begun = Instant::now();
    let snapshot = storage.load_snapshot()?;
    let (from, mut time) =
        snapshot.as_ref().map_or((Position(0), Time::ZERO), |s| (s.position, s.time));
    let snapshot_at = snapshot.as_ref().map(|s| s.time);
    let snapshot_bytes = snapshot.as_ref().map_or(0, |s| s.state.len() as u64);
    let shelf = storage.shelf();
    let mut memory = Memory::new(shelf.clone(), memory_bytes_max);
    let now = clock(time).now();
    witness.begins(&config, now);
    if let Some(snapshot) = &snapshot {
        witness.snapshot(&snapshot.state, &memory);
    }
    let mut broker = match snapshot {
        None => Broker::new(config, now),
        Some(snapshot) => {
            if snapshot_bytes > LARGE_BYTES {
                tracing::info!("loading a snapshot of {} MiB", snapshot_bytes >> 20);
            }
            let loaded = Broker::load_with(config, now, &snapshot.state, &memory);
            // What is wrong with a file says more than that a batch is not there.
            if let Some(error) = shelf.as_ref().and_then(|shelf| shelf.take_failure()) {
                return Err(error.into());
            }
            let foreign = |what| RecoveryError::Foreign { position: from, what };
            loaded.map_err(|error| foreign(error.to_string()))?
        }
    };
    let pins = shelf.as_ref().map(Shelf::pin).transpose()?;
    shelf.inspect(|shelf| shelf.begin());
    memory.balance(&mut broker)?;
    let mut progress = Progress::new(storage.bytes(), told);
    let mut foreign = None;
    let mut seen = Seen { last_time: time, ..Seen::default() };
    let end = storage.read(from, &mut |after, entry| {
        seen.entries += 1;
        seen.last_time = seen.last_time.max(entry.time);
        seen.closed = entry.kind == Kind::Closed;
        witness.entry(&entry);
        if foreign.is_none() {
            match replay(&mut broker, &entry) {
                Ok(facts) => seen.facts += facts,
                Err(what) => foreign = Some((after, what)),
            }
        }
        progress.at(after.0 - from.0);
        memory.balance(&mut broker)
    })?;
    progress.done();
    if let Some((position, what)) = foreign {
        return Err(RecoveryError::Foreign { position, what });
    }
    time = time.max(seen.last_time);
    let took = begun.elapsed();
    let journal = Recovered { end, snapshot: from, snapshot_at, snapshot_bytes, pins, took };
    Ok(Restored { broker, memory, clock: clock(time), journal, seen })
}

/// Makes an entry's facts true again; gives how many there were.
fn replay(broker: &mut Broker, entry: &Entry) -> Result<u64, String> {
    match entry.kind {
        Kind::Closed => return Ok(0),
        Kind::Facts => {}
    }
    let mut facts = 0;
    let mut rest: &[u8] = &entry.payload;
    while !rest.is_empty() {
        match codec::decode(&mut rest, entry.payload.len()) {
            Ok(Frame::Fact(mut fact)) => {
                if let Fact::Published { batches, .. } | Fact::Produced { batches, .. } = &mut fact
                {
                    for batch in batches.to_mut() {
                        super::shard::share(&mut batch.records, &entry.payload);
                    }
                }
                broker.try_restore(fact).map_err(|violation| violation.to_string())?;
                facts += 1;
            }
            Ok(
                Frame::Session(_)
                | Frame::Request(_)
                | Frame::Event(_)
                | Frame::Input(..)
                | Frame::Effect(_),
            ) => return Err("a frame that is no fact".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(facts)
}

/// Says on standard error how far recovery is, once that takes long.
struct Progress<'t> {
    /// Told how many hundredths are read.
    told: &'t dyn Fn(u64),
    total: u64,
    begun: Instant,
    said: Option<Instant>,
    terminal: bool,
}

impl Progress<'_> {
    fn new(total: u64, told: &dyn Fn(u64)) -> Progress<'_> {
        let terminal = logging::is_terminal();
        Progress { told, total, begun: Instant::now(), said: None, terminal }
    }

    fn at(&mut self, bytes: u64) {
        (self.told)(self.percent(bytes));
        let every = if self.terminal { PROGRESS_EVERY.0 } else { PROGRESS_EVERY.1 };
        let due = match self.said {
            Some(said) => said.elapsed() >= every,
            None => self.begun.elapsed() >= QUIET,
        };
        if due {
            self.said = Some(Instant::now());
            self.say(bytes);
        }
    }

    fn percent(&self, bytes: u64) -> u64 {
        (bytes * 100).checked_div(self.total).unwrap_or(100).min(100)
    }

    fn say(&self, bytes: u64) {
        let percent = self.percent(bytes);
        let (done, total) = (bytes >> 20, self.total >> 20);
        let line = format!("recovering the journal: {percent} % ({done} of {total} MiB)");
        if self.terminal {
            let mut stderr = std::io::stderr();
            // Nobody may be reading; recovery goes on regardless.
            let _ = write!(stderr, "\r{line}");
            let _ = stderr.flush();
        } else {
            logging::say(&line);
        }
    }

    fn done(&self) {
        if self.said.is_some() {
            let seconds = self.begun.elapsed().as_secs_f64();
            let line = format!("recovered the journal in {seconds:.1} s");
            if self.terminal {
                eprintln!("\r{line}{:30}", "");
            } else {
                logging::say(&line);
            }
        }
    }
}
