//! The journal's thread: what was decided becomes durable here, and only then leaves.
//!
//! Turns come in the order in which the shard decided them, each with its facts and the events that
//! it led to. Everything that has come is written at once and synced once, while the shard goes on
//! deciding: the next group is as large as the sync was long. So a turn's place in this queue is
//! its events' condition, and no event passes a fact that came before it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fanlight_core::Time;
use tokio::sync::Notify;

use super::crash_points::{self, Point};
use super::mailbox::{Closing, Mailbox};
use super::metrics::Metrics;
use super::spans::Spans;
use super::storage::{Entry, Kind, Pins, Position, Shelf, Snapshot, Storage, StorageError};
use crate::settings::SyncPolicy;

/// How long what was written may wait for a sync to begin under [`SyncPolicy::Interval`].
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// How much may be written before a sync begins under [`SyncPolicy::Never`]: it promises nothing,
/// but so there is never very much to wait for where one segment is followed by another.
const UNSYNCED_BYTES_MAX: u64 = 16 << 20;
/// How often it is looked whether a snapshot that is being stored is done.
const STORED_EVERY: Duration = Duration::from_millis(20);
/// Disk that a snapshot would give back is not worth one up to this part of what the journal grows
/// by between two of them.
const WASTE_PART: u64 = 4;
/// What is written and synced at once, unless one turn alone is more.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Work for the journal.
pub(crate) enum Job {
    /// What the shard decided in one turn.
    Turn(Turn),
    /// The whole state after the turns before.
    Snapshot {
        /// When it was taken.
        time: Time,
        /// What the broker wrote.
        state: Vec<u8>,
        /// What it names outside of it.
        pins: Option<Pins>,
    },
    /// The shard cannot go on.
    Fail(StorageError),
    /// Nothing comes any more.
    Stop {
        /// The broker's last time.
        time: Time,
    },
}

/// What the shard decided in one turn.
#[derive(Default)]
pub(crate) struct Turn {
    /// What became true.
    pub(crate) facts: Option<Entry>,
    /// What may be told when that is durable.
    pub(crate) parcels: Vec<Parcel>,
    /// Bytes of batches that the broker stores by then.
    pub(crate) stored_bytes: u64,
    /// What ends when that is durable.
    pub(crate) spans: Option<Spans>,
}

/// Something for one connection.
pub(crate) struct Parcel {
    /// Whose.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Event frames; none to only close it.
    pub(crate) frames: Bytes,
    /// A text after them.
    pub(crate) text: Option<String>,
    /// Whether and how it is closed then.
    pub(crate) closing: Option<Closing>,
}

/// Why a journal's work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was told to stop.
    Stopped,
    /// The shard was gone without a word: it panicked.
    Abandoned,
}

/// Asks the shard for a snapshot, also while it has nothing else to do.
pub(crate) type SnapshotDue = Arc<Notify>;

/// The journal's thread.
pub(crate) struct Journal {
    storage: Box<dyn Storage>,
    policy: SyncPolicy,
    end: Position,
    synced: Position,
    sync_at: Instant,
    stored_bytes: u64,
    shelf: Option<Arc<Shelf>>,
    snapshots: Snapshots,
    /// Of the turns that are not yet written.
    spans: Vec<Spans>,
    metrics: Arc<Metrics>,
    #[cfg(test)]
    pub(crate) planted: Option<Planted>,
}

/// When snapshots are taken.
struct Snapshots {
    due: SnapshotDue,
    bytes_min: u64,
    last: Position,
    last_bytes: u64,
    asked: bool,
    storing: Option<JoinHandle<Result<Stored, StorageError>>>,
    /// What the newest that is stored names outside of it.
    pins: Option<Pins>,
}

/// A snapshot that is on disk.
struct Stored {
    position: Position,
    pins: Option<Pins>,
}

/// A bug that a test plants.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// It tells before it has synced.
    Tells,
    /// It gives the journal back before the snapshot that replaces it is stored.
    Trims,
}

/// What recovery leaves to the journal.
pub(crate) struct Recovered {
    /// Where the journal ends.
    pub(crate) end: Position,
    /// Where the snapshot is.
    pub(crate) snapshot: Position,
    /// When it was taken, if there is one.
    pub(crate) snapshot_at: Option<Time>,
    /// How large it is.
    pub(crate) snapshot_bytes: u64,
    /// What it names outside of it.
    pub(crate) pins: Option<Pins>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Journal {
    /// A journal that goes on where recovery ended.
    pub(crate) fn new(
        storage: Box<dyn Storage>,
        policy: SyncPolicy,
        recovered: Recovered,
        snapshot_bytes_min: u64,
        due: SnapshotDue,
        metrics: Arc<Metrics>,
    ) -> Journal {
        let Recovered { snapshot_at, snapshot_bytes, took, .. } = recovered;
        metrics.snapshot_at.set(snapshot_at.map_or(0, |at| at.0 / 1_000_000));
        metrics.snapshot_bytes.set(snapshot_bytes);
        metrics.recovery_nanoseconds.set(took.as_nanos() as u64);
        measure(storage.as_ref(), &metrics);
        Journal {
            stored_bytes: 0,
            shelf: storage.shelf(),
            storage,
            policy,
            end: recovered.end,
            synced: recovered.end,
            sync_at: Instant::now(),
            snapshots: Snapshots {
                due,
                bytes_min: snapshot_bytes_min,
                last: recovered.snapshot,
                last_bytes: recovered.snapshot_bytes,
                asked: false,
                storing: None,
                pins: recovered.pins,
            },
            spans: Vec::new(),
            metrics,
            #[cfg(test)]
            planted: None,
        }
    }

    /// Works until it is stopped. After an error nothing more is told to anyone: what the storage
    /// holds is unknown, and so is what could be promised.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) -> Result<Ending, StorageError> {
        loop {
            let Some(job) = self.wait(jobs)? else {
                // What the shard had handed over is as it should be.
                self.sync()?;
                self.finish_storing(true)?;
                return Ok(Ending::Abandoned);
            };
            let mut group = vec![job];
            let mut bytes = 0;
            while bytes < GROUP_BYTES_MAX
                && let Ok(job) = jobs.try_recv()
            {
                if let Job::Turn(Turn { facts: Some(entry), .. }) = &job {
                    bytes += entry.payload.len();
                }
                group.push(job);
            }
            if self.work(group)? {
                return Ok(Ending::Stopped);
            }
        }
    }

    /// Waits for a job, and syncs what has waited long enough. None: there are no more.
    fn wait(&mut self, jobs: &Receiver<Job>) -> Result<Option<Job>, StorageError> {
        loop {
            let sync_due = self.policy == SyncPolicy::Interval && self.synced < self.end;
            let mut patience =
                sync_due.then(|| self.sync_at.saturating_duration_since(Instant::now()));
            if self.snapshots.storing.is_some() {
                patience = Some(patience.map_or(STORED_EVERY, |sync| sync.min(STORED_EVERY)));
            }
            let Some(patience) = patience else { return Ok(jobs.recv().ok()) };
            match jobs.recv_timeout(patience) {
                Ok(job) => return Ok(Some(job)),
                Err(RecvTimeoutError::Timeout) => {
                    self.finish_storing(false)?;
                    if sync_due && Instant::now() >= self.sync_at {
                        self.sync_behind()?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Does a group of jobs; says whether one of them was to stop.
    pub(super) fn work(&mut self, group: Vec<Job>) -> Result<bool, StorageError> {
        let mut entries = Vec::new();
        let mut parcels = Vec::new();
        for job in group {
            match job {
                Job::Turn(turn) => {
                    entries.extend(turn.facts);
                    parcels.extend(turn.parcels);
                    self.spans.extend(turn.spans);
                    self.stored_bytes = turn.stored_bytes;
                }
                Job::Snapshot { time, state, pins } => {
                    self.commit(&mut entries, &mut parcels)?;
                    self.store(time, state, pins)?;
                }
                Job::Fail(error) => {
                    self.commit(&mut entries, &mut parcels)?;
                    self.sync()?;
                    return Err(error);
                }
                Job::Stop { time } => {
                    if self.storage.keeps() {
                        entries.push(Entry { kind: Kind::Closed, time, payload: Bytes::new() });
                    }
                    self.commit(&mut entries, &mut parcels)?;
                    self.sync()?;
                    self.finish_storing(true)?;
                    return Ok(true);
                }
            }
        }
        self.commit(&mut entries, &mut parcels)?;
        self.finish_storing(false)?;
        self.ask_for_snapshot();
        Ok(false)
    }

    /// Writes entries, makes them as durable as the policy says, and lets the parcels go.
    fn commit(
        &mut self,
        entries: &mut Vec<Entry>,
        parcels: &mut Vec<Parcel>,
    ) -> Result<(), StorageError> {
        if !entries.is_empty() {
            crash_points::pass(Point::BeforeWrite);
            let before = self.end;
            if self.synced == before {
                self.sync_at = Instant::now() + SYNC_INTERVAL;
            }
            self.end = self.storage.append(before, entries)?;
            self.metrics.journal_written_bytes.add(self.end.0 - before.0);
            self.metrics.journal_entries.add(entries.len() as u64);
            measure(self.storage.as_ref(), &self.metrics);
            entries.clear();
            crash_points::pass(Point::AfterWrite);
            #[cfg(test)]
            if self.planted == Some(Planted::Tells) {
                tell(parcels);
            }
            match self.policy {
                SyncPolicy::Always => self.sync()?,
                SyncPolicy::Interval if Instant::now() >= self.sync_at => self.sync_behind()?,
                SyncPolicy::Never if self.end.0 - self.synced.0 > UNSYNCED_BYTES_MAX => {
                    self.sync_behind()?;
                }
                SyncPolicy::Interval | SyncPolicy::Never => {}
            }
            crash_points::pass(Point::AfterSync);
        }
        self.spans.drain(..).for_each(Spans::end);
        tell(parcels);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        if self.storage.keeps() && self.synced < self.end {
            let begun = Instant::now();
            self.storage.sync()?;
            self.metrics.synced(begun.elapsed());
            self.synced = self.end;
        }
        Ok(())
    }

    /// Lets a sync go on beside the journal.
    fn sync_behind(&mut self) -> Result<(), StorageError> {
        let behind = self.storage.sync_behind()?;
        if let Some(took) = behind.took {
            self.metrics.synced(took);
        }
        self.synced = behind.durable.min(self.end);
        self.sync_at = Instant::now() + SYNC_INTERVAL;
        Ok(())
    }

    /// Raises the flag when the journal has become long beside what it would be replaced by: so
    /// all snapshots together write at most about as much as the journal does. Also when more of
    /// the disk would be given back than is of use.
    fn ask_for_snapshot(&mut self) {
        let snapshots = &mut self.snapshots;
        let since = self.end.0 - snapshots.last.0;
        let long = since > snapshots.bytes_min.max(2 * snapshots.last_bytes);
        let held = self.shelf.as_ref().map(|shelf| shelf.held()).unwrap_or_default();
        self.metrics.bodies_bytes.set(held.on_disk);
        let waste = snapshots.bytes_min / WASTE_PART;
        let back = self.storage.bytes_closed() + held.pinned;
        let total = self.storage.bytes() + snapshots.last_bytes + held.on_disk;
        // The second: files with bodies, which may be half empty, and a journal that has them too.
        let wasteful = back > self.stored_bytes + waste
            || (total > 2 * self.stored_bytes + waste && back > snapshots.last_bytes + waste);
        if !snapshots.asked && (long || wasteful) {
            snapshots.asked = true;
            snapshots.due.notify_one();
        }
    }

    /// Stores a snapshot on a thread of its own, since it may be large.
    fn store(
        &mut self,
        time: Time,
        state: Vec<u8>,
        pins: Option<Pins>,
    ) -> Result<(), StorageError> {
        // The journal must reach as far as the snapshot does, whatever the policy.
        crash_points::pass(Point::SnapshotTaken);
        self.sync()?;
        self.finish_storing(true)?;
        let position = self.end;
        self.snapshots.last = position;
        self.snapshots.last_bytes = state.len() as u64;
        #[cfg(test)]
        if self.planted == Some(Planted::Trims) {
            self.storage.trim(position)?;
        }
        let mut store = self.storage.snapshots();
        let storing = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            // What it names has to be on disk when it is.
            pins.as_ref().map_or(Ok(()), Pins::sync)?;
            crash_points::pass(Point::SnapshotBodies);
            store.store(&Snapshot { position, time, state })?;
            Ok(Stored { position, pins })
        });
        match storing {
            Ok(storing) => self.snapshots.storing = Some(storing),
            Err(error) => {
                tracing::warn!("cannot start a thread for a snapshot: {error}");
                self.snapshots.asked = false;
            }
        }
        Ok(())
    }

    /// Gives back the journal that a stored snapshot replaces.
    pub(super) fn finish_storing(&mut self, wait: bool) -> Result<(), StorageError> {
        let snapshots = &mut self.snapshots;
        let Some(storing) = snapshots.storing.take_if(|s| wait || s.is_finished()) else {
            return Ok(());
        };
        snapshots.asked = false;
        match storing.join() {
            Ok(Ok(Stored { position, pins })) => {
                self.metrics.snapshots.add(1);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                self.metrics.snapshot_at.set(now.as_millis() as u64);
                self.metrics.snapshot_bytes.set(snapshots.last_bytes);
                let before = std::mem::replace(&mut snapshots.pins, pins);
                if let Some(before) = before {
                    before.release();
                }
                crash_points::pass(Point::SnapshotStored);
                self.storage.trim(position)?;
                measure(self.storage.as_ref(), &self.metrics);
            }
            Ok(Err(error)) => {
                // The journal holds everything still: nothing is lost but disk space.
                tracing::warn!("no snapshot was stored, the next will be tried later: {error}");
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Ok(())
    }
}

fn measure(storage: &dyn Storage, metrics: &Metrics) {
    metrics.journal_bytes.set(storage.bytes());
    metrics.journal_segments.set(storage.segments());
}

/// Lets parcels go.
fn tell(parcels: &mut Vec<Parcel>) {
    for Parcel { mailbox, frames, text, closing } in parcels.drain(..) {
        if !frames.is_empty() {
            mailbox.deliver(frames);
        }
        if let Some(text) = text {
            mailbox.deliver_text(text);
        }
        if let Some(closing) = closing {
            mailbox.close(closing);
        }
        crash_points::pass(Point::AmidTelling);
    }
}

#[cfg(test)]
mod tests;
