//! A journal in files of the local disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::crash_points::{self, Point};
use super::bodies::Shelf;
use super::directory::{Directory, sync_directory};
use super::segment::{self, Next, Opened, Reader, Rest};
use super::{
    Behind, Each, Entry, Position, Snapshot, SnapshotStore, Storage, StorageError, disk, snapshot,
};

/// What is larger is written from where it lies: a second write costs less than a copy.
pub(super) const COPIED_BYTES_MAX: usize = 64 << 10;

/// A journal in a directory.
pub(crate) struct FileStorage {
    directory: Directory,
    segment_bytes_max: u64,
    /// Every segment but the open one: first position, and bytes.
    closed: BTreeMap<Position, u64>,
    /// The segment that is appended to; None until the journal was read.
    open: Option<Segment>,
    shelf: Arc<Shelf>,
    /// Whether it is only looked at: nothing of it is changed.
    is_looked_at: bool,
    /// The newest snapshot.
    snapshot: Option<Position>,
    /// Up to where the journal was synced.
    durable: Position,
    /// A sync that nobody waits for.
    syncing: Option<Syncing>,
    /// Bytes of a torn tail that was only looked at.
    torn: Option<u64>,
    buffer: Vec<u8>,
}

struct Syncing {
    /// Where the journal ended when it began.
    end: Position,
    thread: JoinHandle<io::Result<Duration>>,
}

/// The segment that is appended to.
struct Segment {
    first: Position,
    path: PathBuf,
    file: File,
    /// What it holds, its header aside.
    records_bytes: u64,
}

impl Segment {
    fn end(&self) -> Position {
        Position(self.first.0 + self.records_bytes)
    }
}

impl FileStorage {
    /// Takes hold of a data directory, making it if there is none. A segment that has grown to
    /// `segment_bytes_max` is followed by another.
    pub(crate) fn open(path: &Path, segment_bytes_max: u64) -> Result<FileStorage, StorageError> {
        let directory = Directory::open(path)?;
        // A process before this one may have ended between naming a file and making that durable,
        // and what follows removes what such a file replaces.
        sync_directory(directory.path())?;
        let names = directory.names()?;
        snapshot::clean(directory.path(), snapshot::newest(&names))?;
        FileStorage::of(directory, &names, segment_bytes_max, false)
    }

    /// Looks at a data directory that nobody uses, and changes nothing of it. It can be read, and
    /// is not to be appended to.
    pub(crate) fn look(path: &Path) -> Result<FileStorage, StorageError> {
        let directory = Directory::look(path)?;
        let names = directory.names()?;
        FileStorage::of(directory, &names, u64::MAX, true)
    }

    fn of(
        directory: Directory,
        names: &[String],
        segment_bytes_max: u64,
        is_looked_at: bool,
    ) -> Result<FileStorage, StorageError> {
        let mut closed = BTreeMap::new();
        for first in names.iter().filter_map(|name| segment::parse_name(name)) {
            let path = directory.path().join(segment::name(first));
            let bytes = fs::metadata(&path).map_err(StorageError::io("look at", &path))?.len();
            closed.insert(first, bytes);
        }
        let shelf = Shelf::open(directory.path(), names, segment_bytes_max, is_looked_at)?;
        let snapshot = snapshot::newest(names);
        Ok(FileStorage {
            directory,
            shelf,
            is_looked_at,
            segment_bytes_max,
            closed,
            open: None,
            snapshot,
            durable: Position(0),
            syncing: None,
            torn: None,
            buffer: Vec::new(),
        })
    }

    /// How many files the journal has, and bytes behind its last record that were torn.
    pub(crate) fn segments(&self) -> (usize, Option<u64>) {
        (self.closed.len() + usize::from(self.open.is_some()), self.torn)
    }

    /// Reads one segment, and says where the one after it has to begin; None if the segment holds
    /// nothing and is no longer there.
    fn read_segment(
        &mut self,
        first: Position,
        is_last: bool,
        from: Position,
        each: Each<'_>,
    ) -> Result<Option<Position>, StorageError> {
        let path = self.directory.path().join(segment::name(first));
        let mut reader = match Reader::open(&path, first)? {
            Opened::Segment(reader) => reader,
            Opened::Stillborn if is_last && self.is_looked_at => return Ok(None),
            Opened::Stillborn if is_last => {
                disk::remove(&path).map_err(StorageError::io("remove", &path))?;
                sync_directory(self.directory.path())?;
                return Ok(None);
            }
            Opened::Stillborn => {
                let what = "it ends inside its header, and another segment follows".to_owned();
                return Err(StorageError::Corrupt { path, offset: 0, what });
            }
        };
        loop {
            let at = reader.position();
            match reader.next()? {
                Next::Entry(entry, after) if at >= from => each(after, entry)?,
                Next::Entry(..) => {}
                Next::End => return Ok(Some(reader.position())),
                Next::Bad { offset, what } if is_last => {
                    let behind = judge(&path, &mut reader, offset, &what)?;
                    if self.is_looked_at {
                        self.torn = Some(behind.bytes);
                    } else {
                        cut(&path, &behind, offset, &what)?;
                    }
                    return Ok(Some(reader.position()));
                }
                Next::Bad { offset, what } => {
                    return Err(StorageError::Corrupt { path, offset, what });
                }
            }
        }
    }

    /// The segments of which everything is before `before`.
    fn firsts_before(&self, before: Position) -> Vec<Position> {
        let firsts: Vec<Position> =
            self.closed.keys().copied().chain(self.open.iter().map(|open| open.first)).collect();
        let pairs = firsts.windows(2).filter(|pair| pair[1] <= before);
        pairs.map(|pair| pair[0]).collect()
    }

    /// Removes segments of which everything is before `before`.
    fn remove_before(&mut self, before: Position) -> Result<(), StorageError> {
        let mut removed = false;
        for first in self.firsts_before(before) {
            let path = self.directory.path().join(segment::name(first));
            disk::remove(&path).map_err(StorageError::io("remove", &path))?;
            self.closed.remove(&first);
            removed = true;
            crash_points::pass(Point::AmidTrim);
        }
        if removed { sync_directory(self.directory.path()) } else { Ok(()) }
    }

    /// Refuses a journal that does not reach back to where reading has to begin.
    fn check_begin(&self, from: Position) -> Result<(), StorageError> {
        match self.closed.keys().next() {
            Some(&first) if first > from => Err(StorageError::Corrupt {
                path: self.directory.path().join(segment::name(first)),
                offset: 0,
                what: format!("it is the first segment, and the one from {from} on is missing"),
            }),
            None if from > Position(0) => Err(StorageError::Corrupt {
                path: self.directory.path().to_owned(),
                offset: 0,
                what: format!("there is a snapshot of {from}, and no segment of the journal"),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn begin_segment(&mut self, first: Position) -> Result<(), StorageError> {
        let (path, file) = segment::create(self.directory.path(), first)?;
        self.open = Some(Segment { first, path, file, records_bytes: 0 });
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), StorageError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let open = self.open.as_mut().expect("a journal is read before it is appended to");
        disk::write(&open.file, &open.path, bytes)
            .map_err(StorageError::io("write to", &open.path))?;
        open.records_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes note of a sync that nobody waited for, once it has ended.
    fn end_syncing(&mut self, wait: bool) -> Result<Option<Duration>, StorageError> {
        let ended = self.syncing.take_if(|s| wait || s.thread.is_finished());
        let Some(Syncing { end, thread }) = ended else { return Ok(None) };
        match thread.join() {
            Ok(Ok(took)) => {
                self.durable = self.durable.max(end);
                Ok(Some(took))
            }
            Ok(Err(source)) => {
                let path = self.directory.path().to_owned();
                Err(StorageError::Io { doing: "sync a segment in", path, source })
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Goes on in another segment. The one before is synced, whatever the policy, so that only
    /// the last segment can ever have a torn tail.
    fn roll(&mut self) -> Result<(), StorageError> {
        self.write_buffer()?;
        self.sync()?;
        crash_points::pass(Point::SegmentFull);
        let done = self.open.take().expect("a journal is read before it is appended to");
        self.closed.insert(done.first, segment::HEADER_BYTES + done.records_bytes);
        self.begin_segment(done.end())
    }
}

/// Looks at what follows a segment's last record. Damage that cannot come from a crash is refused:
/// something behind it was written when the damaged bytes were durable already.
fn judge(path: &Path, reader: &mut Reader, offset: u64, what: &str) -> Result<Rest, StorageError> {
    let behind = reader.look_behind()?;
    if behind.durable > reader.position() {
        let what = format!("{what}, and it was durable before what follows it was written");
        return Err(StorageError::Corrupt { path: path.to_owned(), offset, what });
    }
    Ok(behind)
}

/// Cuts the last segment where its records end.
fn cut(path: &Path, behind: &Rest, offset: u64, what: &str) -> Result<(), StorageError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(StorageError::io("open", path))?;
    if behind.records > 0 {
        // Records that are whole were written out of order by a machine that went down. They were
        // never promised to be on disk, but they are all that is left of something.
        let aside = path.with_extension(format!("cut-at-{offset}"));
        fs::copy(path, &aside).map_err(StorageError::io("copy", path))?;
        tracing::warn!(
            "{} whole entries lie behind the damage, which the sync policy had not yet put on \
             disk; they cannot be used, and {} keeps them",
            behind.records,
            aside.display()
        );
    }
    disk::cut(&file, path, offset)
        .and_then(|()| disk::sync(&file, path))
        .map_err(StorageError::io("cut", path))?;
    tracing::warn!(
        "{}: cut a torn tail of {} bytes at byte {offset} ({what}); nothing in it was confirmed \
         as being on disk",
        path.display(),
        behind.bytes
    );
    Ok(())
}

impl Storage for FileStorage {
    fn keeps(&self) -> bool {
        true
    }

    fn load_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        self.snapshot.map(|position| snapshot::load(self.directory.path(), position)).transpose()
    }

    fn read(&mut self, from: Position, each: Each<'_>) -> Result<Position, StorageError> {
        self.check_begin(from)?;
        if self.is_looked_at {
            // They may be there in part, where the machine went down while they were removed.
            for first in self.firsts_before(from) {
                self.closed.remove(&first);
            }
        } else {
            self.remove_before(from)?;
        }
        let firsts: Vec<Position> = self.closed.keys().copied().collect();
        let mut end = firsts.first().copied().unwrap_or_default();
        let mut last = None;
        for (index, &first) in firsts.iter().enumerate() {
            let path = self.directory.path().join(segment::name(first));
            if first != end {
                let what = format!("the segment before it ends at {end}, and not at {first}");
                return Err(StorageError::Corrupt { path, offset: 0, what });
            }
            let is_last = index + 1 == firsts.len();
            match self.read_segment(first, is_last, from, each)? {
                Some(after) => {
                    end = after;
                    last = Some((first, path));
                }
                None => {
                    self.closed.remove(&first);
                }
            }
        }
        if end < from {
            return Err(StorageError::Corrupt {
                path: self.directory.path().to_owned(),
                offset: 0,
                what: format!("the journal ends at {end}, before its snapshot of {from}"),
            });
        }
        if self.is_looked_at {
            return Ok(end);
        }
        match last {
            Some((first, path)) => {
                let file = OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .map_err(StorageError::io("open", &path))?;
                self.closed.remove(&first);
                self.open = Some(Segment { first, path, file, records_bytes: end.0 - first.0 });
            }
            None => self.begin_segment(end)?,
        }
        self.sync()?;
        Ok(end)
    }

    fn append(&mut self, at: Position, entries: &[Entry]) -> Result<Position, StorageError> {
        let open = self.open.as_ref().expect("a journal is read before it is appended to");
        let mut end = open.end();
        assert_eq!(at, end, "whoever appends knows where the journal ends");
        self.end_syncing(false)?;
        for entry in entries {
            let bytes = segment::record_bytes(entry);
            let first = self.open.as_ref().expect("it stays open").first;
            let taken = end.0 - first.0;
            if taken > 0 && taken + bytes > self.segment_bytes_max {
                self.roll()?;
            }
            if entry.payload.len() < COPIED_BYTES_MAX {
                segment::encode(entry, end, self.durable, &mut self.buffer);
            } else {
                segment::encode_header(entry, end, self.durable, &mut self.buffer);
                self.write_buffer()?;
                self.write(&entry.payload)?;
            }
            end = Position(end.0 + bytes);
        }
        self.write_buffer()?;
        Ok(end)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.end_syncing(true)?;
        let open = self.open.as_ref().expect("a journal is read before it is synced");
        disk::sync(&open.file, &open.path).map_err(StorageError::io("sync", &open.path))?;
        self.durable = open.end();
        Ok(())
    }

    fn sync_behind(&mut self) -> Result<Behind, StorageError> {
        let took = self.end_syncing(false)?;
        let open = self.open.as_ref().expect("a journal is read before it is synced");
        let end = open.end();
        if self.syncing.is_none() && self.durable < end {
            let file = open.file.try_clone().map_err(StorageError::io("sync", &open.path))?;
            let path = open.path.clone();
            let thread = std::thread::Builder::new()
                .name("sync".to_owned())
                .spawn(move || {
                    let begun = Instant::now();
                    disk::sync(&file, &path).map(|()| begun.elapsed())
                })
                .map_err(StorageError::io("start a thread to sync", &open.path))?;
            self.syncing = Some(Syncing { end, thread });
        }
        Ok(Behind { durable: self.durable, took })
    }

    fn snapshots(&self) -> Box<dyn SnapshotStore> {
        Box::new(snapshot::Files::new(self.directory.path()))
    }

    fn trim(&mut self, before: Position) -> Result<(), StorageError> {
        self.remove_before(before)
    }

    fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |o| segment::HEADER_BYTES + o.records_bytes);
        self.bytes_closed() + open
    }

    fn bytes_closed(&self) -> u64 {
        self.closed.values().sum()
    }

    fn segments(&self) -> u64 {
        self.closed.len() as u64 + u64::from(self.open.is_some())
    }

    fn shelf(&self) -> Option<Arc<Shelf>> {
        Some(self.shelf.clone())
    }
}
