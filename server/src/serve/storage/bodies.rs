//! Bodies: batches that are not held in memory lie in files of their own, beside the journal.
//!
//! ```text
//! file     "FANLBODY" ┃ u32 format ┃ u32 number ┃ body …
//! body     u32 length ┃ u32 checksum ┃ batch
//! ```
//!
//! All numbers are little-endian; the checksum is the CRC-32C of the batch. A batch is known by the
//! number of its file and the offset in it. Snapshots name batches so, and files that a snapshot
//! names stay until it is replaced; what came after it is in the journal, so nothing here needs to
//! be durable before the snapshot is.
//!
//! A file whose batches are all gone is removed. Of one that is less than half full, what is left
//! is moved (`mover.rs`), so that all files together are at most about twice what lies in them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use fanlight_core::Home;

use super::directory::sync_directory;
use super::{StorageError, disk};

mod mover;
#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"FANLBODY";
const FORMAT: u32 = 1;
const HEADER_BYTES: u64 = 16;
const BODY_HEADER_BYTES: u64 = 8;
const PREFIX: &str = "bodies-";
/// What is written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Batches that were read last stay at hand: consumers take a batch in several parts.
const RECENT_MAX: usize = 16;
const RECENT_BYTES_MAX: usize = 8 << 20;

/// Where a batch lies: in which file, and from which of its bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: u32,
    offset: u32,
}

impl Place {
    fn of(reference: u64) -> Place {
        Place { file: (reference >> 32) as u32, offset: reference as u32 }
    }

    fn reference(self) -> u64 {
        u64::from(self.file) << 32 | u64::from(self.offset)
    }
}

/// All files with bodies of a data directory.
pub(crate) struct Shelf {
    dir: PathBuf,
    file_bytes_max: u64,
    /// Taken before `files`, where both are.
    open: Mutex<Open>,
    files: Mutex<BTreeMap<u32, Kept>>,
    /// Bytes of the batches that logs have here; one counts for each log that has it.
    lying: AtomicU64,
    /// What was found so far, until it all is: several logs may have the same batch.
    found: Mutex<HashMap<u64, Weak<Body>>>,
    recent: Mutex<Recent>,
    /// Whether nothing is to be changed.
    is_looked_at: bool,
    begun: AtomicBool,
    /// Wakes the mover.
    wake: SyncSender<()>,
    failed: Mutex<Option<StorageError>>,
}

/// The file that is written to.
#[derive(Default)]
struct Open {
    /// The number that the next file gets.
    next: u32,
    file: Option<(u32, Arc<File>)>,
    /// Where the next body comes to lie.
    end: u64,
    buffer: Vec<u8>,
}

/// One file.
struct Kept {
    file: Arc<File>,
    bytes: u64,
    /// Bytes of bodies that somebody needs.
    live: u64,
    bodies: Vec<Weak<Body>>,
    /// Snapshots that name it, and others that need it to stay.
    pins: usize,
    is_open: bool,
    /// Whether something in it may not be on disk yet.
    is_dirty: bool,
    /// What is wrong with its beginning: that matters if a snapshot names it. Otherwise the machine
    /// may have gone down before it was on disk, and nobody needs it.
    fault: Option<StorageError>,
}

impl Kept {
    fn is_gone(&self) -> bool {
        !self.is_open && self.live == 0 && self.pins == 0
    }

    fn is_sparse(&self) -> bool {
        !self.is_open && self.live > 0 && self.live < (self.bytes - HEADER_BYTES) / 2
    }
}

#[derive(Default)]
struct Recent {
    bodies: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

/// A batch on a shelf; its bytes are free when it is dropped.
pub(crate) struct Body {
    shelf: Arc<Shelf>,
    place: AtomicU64,
    length: u32,
}

/// A batch that a log has on a shelf; several may have the same.
#[derive(Debug)]
pub(crate) struct Lying(Arc<Body>);

/// Files that stay until they are [released](Pins::release).
pub(crate) struct Pins {
    shelf: Arc<Shelf>,
    files: Vec<u32>,
}

/// How much disk a shelf takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes of all files.
    pub(crate) on_disk: u64,
    /// Of these, what only snapshots name any more.
    pub(crate) pinned: u64,
}

/// A lock that nobody panics under.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name(number: u32) -> String {
    format!("{PREFIX}{number:010}")
}

fn parse_name(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?;
    if digits.len() == 10 { digits.parse().ok() } else { None }
}

fn header(number: u32) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..].copy_from_slice(&number.to_le_bytes());
    header
}

impl Shelf {
    /// The shelf in a data directory of which `names` are the files. What no snapshot
    /// [finds](Shelf::find) is removed when it [begins](Shelf::begin), unless it is only looked at.
    pub(crate) fn open(
        dir: &Path,
        names: &[String],
        file_bytes_max: u64,
        is_looked_at: bool,
    ) -> Result<Arc<Shelf>, StorageError> {
        let mut files = BTreeMap::new();
        for number in names.iter().filter_map(|name| parse_name(name)) {
            let path = dir.join(name(number));
            let mut file = File::open(&path).map_err(StorageError::io("open", &path))?;
            let bytes = file.metadata().map_err(StorageError::io("look at", &path))?.len();
            let mut found = [0; HEADER_BYTES as usize];
            // One that is shorter was being made when the machine went down, and holds nothing.
            let fault = if bytes >= HEADER_BYTES {
                file.read_exact(&mut found).map_err(StorageError::io("read", &path))?;
                check_header(&path, &found, number).err()
            } else {
                None
            };
            let kept = Kept { fault, ..Kept::of(Arc::new(file), bytes.max(HEADER_BYTES)) };
            files.insert(number, kept);
        }
        let next = files.keys().next_back().map_or(1, |last| last + 1);
        let (wake, woken) = sync_channel(1);
        let shelf = Arc::new(Shelf {
            dir: dir.to_owned(),
            // An offset is a u32.
            file_bytes_max: file_bytes_max.min(u64::from(u32::MAX) / 2),
            open: Mutex::new(Open { next, ..Open::default() }),
            files: Mutex::new(files),
            lying: AtomicU64::new(0),
            found: Mutex::default(),
            recent: Mutex::default(),
            is_looked_at,
            begun: AtomicBool::new(false),
            wake,
            failed: Mutex::default(),
        });
        mover::start(&shelf, woken);
        Ok(shelf)
    }

    /// The body that a snapshot names, if its file reaches so far.
    pub(crate) fn find(self: &Arc<Shelf>, reference: u64, bytes: u32) -> Option<Arc<Body>> {
        let place = Place::of(reference);
        let mut found = locked(&self.found);
        if let Some(body) = found.get(&reference).and_then(Weak::upgrade) {
            return (body.length == bytes).then_some(body);
        }
        let mut files = locked(&self.files);
        let kept = files.get_mut(&place.file)?;
        if let Some(fault) = kept.fault.take() {
            locked(&self.failed).get_or_insert(fault);
            return None;
        }
        let end = u64::from(place.offset) + BODY_HEADER_BYTES + u64::from(bytes);
        if u64::from(place.offset) < HEADER_BYTES || end > kept.bytes {
            return None;
        }
        let body = kept.add(self, place, bytes);
        found.insert(reference, Arc::downgrade(&body));
        Some(body)
    }

    /// Everything that the snapshot names was found, and is pinned: from now on what nobody needs
    /// is removed. Before it nothing is, since nobody knows what is needed.
    pub(crate) fn begin(&self) {
        *locked(&self.found) = HashMap::new();
        self.begun.store(!self.is_looked_at, Ordering::Release);
        self.wake();
    }

    /// Puts a batch on the shelf. It can be read when the shelf is [flushed](Shelf::flush).
    pub(crate) fn put(self: &Arc<Shelf>, batch: &[u8]) -> Result<Arc<Body>, StorageError> {
        let mut open = locked(&self.open);
        let place = self.write(&mut open, batch)?;
        let mut files = locked(&self.files);
        let kept = files.get_mut(&place.file).expect("the open file is among them");
        Ok(kept.add(self, place, batch.len() as u32))
    }

    /// Makes what was put here readable.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.flush_open(&mut locked(&self.open))
    }

    /// Keeps every file that holds something from being removed.
    pub(crate) fn pin(self: &Arc<Shelf>) -> Result<Pins, StorageError> {
        self.flush()?;
        let mut files = locked(&self.files);
        let held = files.iter_mut().filter(|(_, kept)| kept.live > 0);
        let pinned = held.map(|(number, kept)| {
            kept.pins += 1;
            *number
        });
        Ok(Pins { shelf: self.clone(), files: pinned.collect() })
    }

    /// Bytes of the batches that logs have here; one counts for each log that has it.
    pub(crate) fn lying(&self) -> u64 {
        self.lying.load(Ordering::Relaxed)
    }

    /// How much disk this takes.
    pub(crate) fn held(&self) -> Held {
        let files = locked(&self.files);
        files.values().fold(Held::default(), |held, kept| Held {
            on_disk: held.on_disk + kept.bytes,
            pinned: held.pinned + if kept.live == 0 && kept.pins > 0 { kept.bytes } else { 0 },
        })
    }

    /// Reads every batch that somebody needs; the first damage that is found, or how many there are
    /// and how many bytes they have.
    pub(crate) fn verify(&self) -> Result<(u64, u64), StorageError> {
        let needed: Vec<Arc<Body>> = locked(&self.files)
            .values()
            .flat_map(|kept| kept.bodies.iter().filter_map(Weak::upgrade))
            .collect();
        let mut bytes = 0;
        for body in &needed {
            bytes += self.read_file(body)?.len() as u64;
        }
        Ok((needed.len() as u64, bytes))
    }

    /// What went wrong behind everybody's back, once.
    pub(crate) fn take_failure(&self) -> Option<StorageError> {
        locked(&self.failed).take()
    }

    fn fail(&self, error: StorageError) {
        tracing::error!("{error}");
        locked(&self.failed).get_or_insert(error);
    }

    fn wake(&self) {
        // It is being woken already, if there is no room.
        let _ = self.wake.try_send(());
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(name(number))
    }

    fn write(&self, open: &mut Open, batch: &[u8]) -> Result<Place, StorageError> {
        let bytes = BODY_HEADER_BYTES + batch.len() as u64;
        if open.file.is_some() && open.end > HEADER_BYTES && open.end + bytes > self.file_bytes_max
        {
            self.flush_open(open)?;
            let (number, _) = open.file.take().expect("it is open");
            let mut files = locked(&self.files);
            let kept = files.get_mut(&number).expect("the open file is among them");
            kept.is_open = false;
            if kept.is_gone() || kept.is_sparse() {
                self.wake();
            }
        }
        let number = match &open.file {
            Some((number, _)) => *number,
            None => self.begin_file(open)?,
        };
        let place = Place { file: number, offset: open.end as u32 };
        open.buffer.extend_from_slice(&(batch.len() as u32).to_le_bytes());
        open.buffer.extend_from_slice(&crc32c::crc32c(batch).to_le_bytes());
        open.buffer.extend_from_slice(batch);
        open.end += bytes;
        if open.buffer.len() >= BUFFER_BYTES {
            self.flush_open(open)?;
        }
        Ok(place)
    }

    fn begin_file(&self, open: &mut Open) -> Result<u32, StorageError> {
        let number = open.next;
        let path = self.path(number);
        let how = OpenOptions::new().create_new(true).read(true).append(true).clone();
        let file = disk::create(&path, &how).map_err(StorageError::io("make", &path))?;
        let file = Arc::new(file);
        open.next += 1;
        open.buffer.extend_from_slice(&header(number));
        open.end = HEADER_BYTES;
        open.file = Some((number, file.clone()));
        let kept = Kept { is_open: true, is_dirty: true, ..Kept::of(file, HEADER_BYTES) };
        locked(&self.files).insert(number, kept);
        Ok(number)
    }

    fn flush_open(&self, open: &mut Open) -> Result<(), StorageError> {
        let Some((number, file)) = &open.file else { return Ok(()) };
        if open.buffer.is_empty() {
            return Ok(());
        }
        let path = self.path(*number);
        disk::write(file, &path, &open.buffer).map_err(StorageError::io("write to", &path))?;
        open.buffer.clear();
        let mut files = locked(&self.files);
        let kept = files.get_mut(number).expect("the open file is among them");
        kept.bytes = open.end;
        kept.is_dirty = true;
        Ok(())
    }

    /// Reads a body from where it lies now.
    fn read(&self, body: &Body) -> Result<Bytes, StorageError> {
        let reference = body.place.load(Ordering::Acquire);
        let recent = &mut *locked(&self.recent);
        if let Some((_, bytes)) = recent.bodies.iter().find(|(of, _)| *of == reference) {
            return Ok(bytes.clone());
        }
        let bytes = self.read_file(body)?;
        recent.bytes += bytes.len();
        recent.bodies.push_back((reference, bytes.clone()));
        while recent.bodies.len() > RECENT_MAX || recent.bytes > RECENT_BYTES_MAX {
            let Some((_, old)) = recent.bodies.pop_front() else { break };
            recent.bytes -= old.len();
        }
        Ok(bytes)
    }

    fn read_file(&self, body: &Body) -> Result<Bytes, StorageError> {
        let (place, file) = {
            let files = locked(&self.files);
            // Under the lock, so that the file is there still.
            let place = Place::of(body.place.load(Ordering::Acquire));
            let kept = files.get(&place.file).expect("a file stays as long as its bodies");
            (place, kept.file.clone())
        };
        let path = self.path(place.file);
        let offset = u64::from(place.offset);
        let mut read = vec![0; BODY_HEADER_BYTES as usize + body.length as usize];
        file.read_exact_at(&mut read, offset).map_err(StorageError::io("read", &path))?;
        let word = |at: usize| u32::from_le_bytes(read[at..at + 4].try_into().expect("four bytes"));
        let (length, checksum) = (word(0), word(4));
        let bytes = Bytes::from(read).slice(BODY_HEADER_BYTES as usize..);
        if length != body.length || checksum != crc32c::crc32c(&bytes) {
            let what = "a batch's checksum does not match its bytes".to_owned();
            return Err(StorageError::Corrupt { path, offset, what });
        }
        Ok(bytes)
    }

    fn gone(&self, body: &Body) {
        let place = Place::of(body.place.load(Ordering::Acquire));
        let mut files = locked(&self.files);
        let kept = files.get_mut(&place.file).expect("a file stays as long as its bodies");
        let was_sparse = kept.is_sparse();
        kept.live -= BODY_HEADER_BYTES + u64::from(body.length);
        if kept.is_gone() || kept.is_sparse() && !was_sparse {
            self.wake();
        }
    }
}

fn check_header(path: &Path, found: &[u8], number: u32) -> Result<(), StorageError> {
    if found == header(number) {
        return Ok(());
    }
    let version = u32::from_le_bytes(found[8..12].try_into().expect("four bytes"));
    if &found[..8] == MAGIC && version > FORMAT {
        let path = path.to_owned();
        return Err(StorageError::Newer { path, found: version, known: FORMAT });
    }
    let what = "it does not begin as a file with bodies does".to_owned();
    Err(StorageError::Corrupt { path: path.to_owned(), offset: 0, what })
}

impl Kept {
    fn of(file: Arc<File>, bytes: u64) -> Kept {
        Kept {
            file,
            bytes,
            live: 0,
            bodies: Vec::new(),
            pins: 0,
            is_open: false,
            is_dirty: false,
            fault: None,
        }
    }

    fn add(&mut self, shelf: &Arc<Shelf>, place: Place, length: u32) -> Arc<Body> {
        let place = AtomicU64::new(place.reference());
        let body = Arc::new(Body { shelf: shelf.clone(), place, length });
        self.live += BODY_HEADER_BYTES + u64::from(length);
        self.bodies.push(Arc::downgrade(&body));
        body
    }
}

impl Home for Body {
    fn bytes(&self) -> Bytes {
        self.shelf.read(self).unwrap_or_else(|error| {
            // To give anything else would be worse than to stop.
            tracing::error!("{error}");
            panic!("a batch cannot be read: {error}");
        })
    }

    fn reference(&self) -> u64 {
        self.place.load(Ordering::Acquire)
    }
}

impl Body {
    /// Whether it is a batch of so many bytes.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        self.length as usize == bytes
    }
}

impl Lying {
    /// One more log has it.
    pub(crate) fn of(body: Arc<Body>) -> Lying {
        body.shelf.lying.fetch_add(u64::from(body.length), Ordering::Relaxed);
        Lying(body)
    }
}

impl Home for Lying {
    fn bytes(&self) -> Bytes {
        self.0.bytes()
    }

    fn reference(&self) -> u64 {
        self.0.reference()
    }
}

impl Drop for Lying {
    fn drop(&mut self) {
        self.0.shelf.lying.fetch_sub(u64::from(self.0.length), Ordering::Relaxed);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = Place::of(self.reference());
        f.debug_struct("Body").field("place", &place).field("length", &self.length).finish()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.shelf.gone(self);
    }
}

impl Pins {
    /// Makes everything in these files durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        let mut dirty = Vec::new();
        {
            let mut files = locked(&self.shelf.files);
            for number in &self.files {
                let kept = files.get_mut(number).expect("a pinned file stays");
                if std::mem::take(&mut kept.is_dirty) {
                    dirty.push((*number, kept.file.clone()));
                }
            }
        }
        for (number, file) in &dirty {
            let path = self.shelf.path(*number);
            if let Err(source) = disk::sync(file, &path) {
                // What it dropped is not tried again by a later one, which would succeed: whoever
                // puts something here has to stop.
                let told = io::Error::new(source.kind(), source.to_string());
                self.shelf.fail(StorageError::io("sync", &path)(source));
                return Err(StorageError::io("sync", &path)(told));
            }
        }
        if dirty.is_empty() { Ok(()) } else { sync_directory(&self.shelf.dir) }
    }

    /// Lets the files go, since nothing on disk names them any more. Pins that are dropped instead
    /// hold for as long as the process lives: what a snapshot names outlives the process.
    pub(crate) fn release(self) {
        let mut files = locked(&self.shelf.files);
        for number in &self.files {
            let kept = files.get_mut(number).expect("a pinned file stays");
            kept.pins -= 1;
            if kept.is_gone() {
                self.shelf.wake();
            }
        }
    }

    /// Where they lie.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let mut numbers = self.files.clone();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|number| self.shelf.path(number)).collect()
    }

    /// These, and others of the same shelf.
    pub(crate) fn and(mut self, mut others: Pins) -> Pins {
        self.files.append(&mut others.files);
        self
    }
}

/// Removes a file; that it is gone need not be durable, since nothing names it any more.
fn remove(path: &Path) -> Result<(), StorageError> {
    disk::remove(path).map_err(StorageError::io("remove", path))
}
