//! Segments: the files that a journal consists of.
//!
//! ```text
//! segment  "FANLJRNL" ┃ u32 format ┃ u32 checksum ┃ u64 first ┃ record …
//! record   u32 length ┃ u32 checksum ┃ u64 position ┃ u64 durable ┃ u64 time ┃ u32 kind ┃ payload
//! ```
//!
//! All numbers are little-endian, checksums are CRC-32C. `first` is the position of the first
//! record, and the file is named after it. A record's checksum covers the length and everything
//! after the checksum. `length` is the payload's.
//!
//! Each record says where it stands (`position`), so that records can be found behind damaged
//! bytes, and how far the journal was durable when it was written (`durable`). By that a torn tail
//! is told from corruption: what an intact later record knows to be durable cannot have been torn.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fanlight_core::Time;

use super::super::crash_points::{self, Point};
use super::directory::{FILE_FORMAT, sync_directory};
use super::{Entry, Kind, Position, StorageError, disk};

const MAGIC: &[u8; 8] = b"FANLJRNL";
/// Bytes before a segment's first record.
pub(super) const HEADER_BYTES: u64 = 24;
/// Bytes of a record before its payload.
pub(super) const RECORD_HEADER_BYTES: usize = 36;
const FACTS: u32 = 1;
const CLOSED: u32 = 2;
const PREFIX: &str = "journal-";
const READ_BUFFER_BYTES: usize = 1 << 20;

/// The name of the segment whose first record is at `first`.
pub(super) fn name(first: Position) -> String {
    format!("{PREFIX}{first:020}")
}

/// The position that a segment's name gives, if it is one.
pub(super) fn parse_name(name: &str) -> Option<Position> {
    let digits = name.strip_prefix(PREFIX)?;
    if digits.len() != 20 { None } else { digits.parse().ok().map(Position) }
}

/// Makes an empty segment, durably, for appending.
pub(super) fn create(dir: &Path, first: Position) -> Result<(PathBuf, File), StorageError> {
    let path = dir.join(name(first));
    let how = OpenOptions::new().create_new(true).append(true).clone();
    let file = disk::create(&path, &how).map_err(StorageError::io("make", &path))?;
    crash_points::pass(Point::SegmentEmpty);
    disk::write(&file, &path, &header(first))
        .and_then(|()| disk::sync(&file, &path))
        .map_err(StorageError::io("write to", &path))?;
    crash_points::pass(Point::SegmentBegun);
    sync_directory(dir)?;
    Ok((path, file))
}

fn header(first: Position) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FILE_FORMAT.to_le_bytes());
    header[16..].copy_from_slice(&first.0.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
    header[12..16].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Bytes that an entry takes in a segment.
pub(super) fn record_bytes(entry: &Entry) -> u64 {
    (RECORD_HEADER_BYTES + entry.payload.len()) as u64
}

/// Appends an entry's record to `out`.
pub(super) fn encode(entry: &Entry, position: Position, durable: Position, out: &mut Vec<u8>) {
    encode_header(entry, position, durable, out);
    out.extend_from_slice(&entry.payload);
}

/// Appends what stands before an entry's payload to `out`.
pub(super) fn encode_header(
    entry: &Entry,
    position: Position,
    durable: Position,
    out: &mut Vec<u8>,
) {
    let at = out.len();
    let length = u32::try_from(entry.payload.len()).expect("a turn's facts are below 4 GiB");
    let kind = match entry.kind {
        Kind::Facts => FACTS,
        Kind::Closed => CLOSED,
    };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&position.0.to_le_bytes());
    out.extend_from_slice(&durable.0.to_le_bytes());
    out.extend_from_slice(&entry.time.0.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    let checksum = crc32c::crc32c_append(checksum(&out[at..]), &entry.payload);
    out[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// The checksum of a record, or of its beginning: of all but the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

/// A record's header, taken apart.
#[derive(Clone, Copy)]
struct RecordHeader {
    length: u32,
    checksum: u32,
    position: Position,
    durable: Position,
    time: Time,
    kind: u32,
}

impl RecordHeader {
    fn parse(bytes: &[u8; RECORD_HEADER_BYTES]) -> RecordHeader {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        RecordHeader {
            length: u32_at(0),
            checksum: u32_at(4),
            position: Position(u64_at(8)),
            durable: Position(u64_at(16)),
            time: Time(u64_at(24)),
            kind: u32_at(32),
        }
    }
}

/// What comes next in a segment.
pub(super) enum Next {
    /// An entry, and the position after it.
    Entry(Entry, Position),
    /// Nothing: the file ends where a record does.
    End,
    /// Bytes that are no record.
    Bad {
        /// From which byte of the file on.
        offset: u64,
        /// Why not.
        what: String,
    },
}

/// Whether a segment's header is right.
pub(super) enum Opened {
    /// It is.
    Segment(Reader),
    /// The file has no room for a record: it was being made when the machine stopped.
    Stillborn,
}

/// Reads a segment from its beginning.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    bytes: u64,
    offset: u64,
    first: Position,
}

impl Reader {
    /// Opens the segment whose first record is at `first`.
    pub(super) fn open(path: &Path, first: Position) -> Result<Opened, StorageError> {
        let fail = |source| StorageError::Io { doing: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(fail)?;
        let bytes = file.metadata().map_err(fail)?.len();
        let mut found = [0; HEADER_BYTES as usize];
        let whole = bytes >= HEADER_BYTES;
        if whole {
            file.read_exact(&mut found).map_err(fail)?;
        }
        if found != header(first) {
            if bytes <= HEADER_BYTES {
                return Ok(Opened::Stillborn);
            }
            let version = u32::from_le_bytes(found[8..12].try_into().expect("four bytes"));
            if &found[..8] == MAGIC && version > FILE_FORMAT {
                let path = path.to_owned();
                return Err(StorageError::Newer { path, found: version, known: FILE_FORMAT });
            }
            return Err(StorageError::Corrupt {
                path: path.to_owned(),
                offset: 0,
                what: format!("it does not begin as the segment from position {first} does"),
            });
        }
        let file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        let path = path.to_owned();
        Ok(Opened::Segment(Reader { path, file, bytes, offset: HEADER_BYTES, first }))
    }

    /// The position of what comes next.
    pub(super) fn position(&self) -> Position {
        Position(self.first.0 + self.offset - HEADER_BYTES)
    }

    /// Takes the next entry.
    pub(super) fn next(&mut self) -> Result<Next, StorageError> {
        let left = self.bytes - self.offset;
        if left == 0 {
            return Ok(Next::End);
        }
        if left < RECORD_HEADER_BYTES as u64 {
            return Ok(self.bad("the file ends inside a record's header"));
        }
        let mut head = [0; RECORD_HEADER_BYTES];
        self.file.read_exact(&mut head).map_err(StorageError::io("read", &self.path))?;
        let header = RecordHeader::parse(&head);
        if header.position != self.position() {
            return Ok(self.bad("there is no record where one should be"));
        }
        if u64::from(header.length) > left - RECORD_HEADER_BYTES as u64 {
            return Ok(self.bad("the file ends inside a record"));
        }
        let mut record = vec![0; RECORD_HEADER_BYTES + header.length as usize];
        record[..RECORD_HEADER_BYTES].copy_from_slice(&head);
        self.file
            .read_exact(&mut record[RECORD_HEADER_BYTES..])
            .map_err(StorageError::io("read", &self.path))?;
        if checksum(&record) != header.checksum {
            return Ok(self.bad("a record's checksum does not match its bytes"));
        }
        let kind = match header.kind {
            FACTS => Kind::Facts,
            CLOSED => Kind::Closed,
            _ => {
                // The checksum is right, so whoever wrote it meant it.
                let path = self.path.clone();
                return Err(StorageError::Newer {
                    path,
                    found: FILE_FORMAT + 1,
                    known: FILE_FORMAT,
                });
            }
        };
        self.offset += record.len() as u64;
        let payload = Bytes::from(record).slice(RECORD_HEADER_BYTES..);
        Ok(Next::Entry(Entry { kind, time: header.time, payload }, self.position()))
    }

    fn bad(&self, what: &str) -> Next {
        Next::Bad { offset: self.offset, what: what.to_owned() }
    }

    /// What lies in the rest of the file, after [`Next::Bad`].
    pub(super) fn look_behind(&mut self) -> Result<Rest, StorageError> {
        let mut rest = Vec::new();
        self.file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| self.file.read_to_end(&mut rest))
            .map_err(StorageError::io("read", &self.path))?;
        let mut behind = Rest { bytes: rest.len() as u64, records: 0, durable: Position(0) };
        let mut at = 1;
        while let Some(head) = rest.get(at..).and_then(<[u8]>::first_chunk) {
            let header = RecordHeader::parse(head);
            let end = at + RECORD_HEADER_BYTES + header.length as usize;
            let placed = header.position.0 == self.position().0 + at as u64;
            let whole = placed && end <= rest.len();
            if whole && checksum(&rest[at..end]) == header.checksum {
                behind.records += 1;
                behind.durable = behind.durable.max(header.durable);
                at = end;
            } else {
                at += 1;
            }
        }
        Ok(behind)
    }
}

/// What lies behind bytes that are no record.
pub(super) struct Rest {
    /// How many bytes there are, those included.
    pub(super) bytes: u64,
    /// How many records among them are whole.
    pub(super) records: u64,
    /// Up to where those know the journal to have been durable.
    pub(super) durable: Position,
}
