//! Snapshots: a broker's whole durable state in one file, so that recovery need not read, and the
//! disk need not keep, everything that ever happened.
//!
//! ```text
//! snapshot  "FANLSNAP" ┃ u32 format ┃ u32 checksum ┃ u64 position ┃ u64 time ┃ u64 length ┃ state
//! ```
//!
//! All numbers are little-endian; the checksum is the CRC-32C of the format and of everything after
//! the checksum. A snapshot is written beside its predecessor, synced, and renamed into place; only
//! then does the predecessor go.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use fanlight_core::Time;

use super::super::crash_points::{self, Point};
use super::directory::{FILE_FORMAT, sync_directory};
use super::{Position, Snapshot, SnapshotStore, StorageError, disk};

const MAGIC: &[u8; 8] = b"FANLSNAP";
const HEADER_BYTES: usize = 40;
const PREFIX: &str = "snapshot-";
/// What a snapshot is called until it is whole.
const NEW: &str = "snapshot.new";

/// The position that a snapshot's name gives, if it is one.
pub(super) fn parse_name(name: &str) -> Option<Position> {
    let digits = name.strip_prefix(PREFIX)?;
    if digits.len() != 20 { None } else { digits.parse().ok().map(Position) }
}

/// The newest of the snapshots among these files.
pub(super) fn newest(names: &[String]) -> Option<Position> {
    names.iter().filter_map(|name| parse_name(name)).max()
}

fn name(position: Position) -> String {
    format!("{PREFIX}{position:020}")
}

/// Reads the snapshot of this position.
pub(super) fn load(dir: &Path, position: Position) -> Result<Snapshot, StorageError> {
    let path = dir.join(name(position));
    let mut bytes = fs::read(&path).map_err(StorageError::io("read", &path))?;
    let corrupt = |offset: usize, what: &str| StorageError::Corrupt {
        path: path.clone(),
        offset: offset as u64,
        what: what.to_owned(),
    };
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(corrupt(bytes.len(), "it ends inside its header"));
    };
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four"));
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight"));
    if &header[..8] != MAGIC {
        return Err(corrupt(0, "it does not begin as a snapshot does"));
    }
    let version = u32_at(8);
    if version > FILE_FORMAT {
        return Err(StorageError::Newer { path, found: version, known: FILE_FORMAT });
    }
    let time = Time(u64_at(24));
    if u64_at(16) != position.0 {
        return Err(corrupt(16, "it is of another position than its name says"));
    }
    if u64_at(32) != (bytes.len() - HEADER_BYTES) as u64 {
        return Err(corrupt(bytes.len(), "it ends before the state that it announces"));
    }
    if checksum(&bytes[..HEADER_BYTES], &bytes[HEADER_BYTES..]) != u32_at(12) {
        return Err(corrupt(HEADER_BYTES, "its checksum does not match its bytes"));
    }
    bytes.drain(..HEADER_BYTES);
    Ok(Snapshot { position, time, state: bytes })
}

fn checksum(header: &[u8], state: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&header[8..12]), &header[16..]);
    crc32c::crc32c_append(head, state)
}

/// Removes what is no longer needed beside the snapshot that recovery chose.
pub(super) fn clean(dir: &Path, keep: Option<Position>) -> Result<(), StorageError> {
    let list = fs::read_dir(dir).map_err(StorageError::io("list", dir))?;
    for entry in list {
        let entry = entry.map_err(StorageError::io("list", dir))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let stale = parse_name(&file).is_some_and(|position| Some(position) != keep);
        if stale || file == NEW {
            let path = entry.path();
            disk::remove(&path).map_err(StorageError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Stores snapshots in the data directory.
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    /// In this directory.
    pub(super) fn new(dir: &Path) -> Files {
        Files { dir: dir.to_owned() }
    }
}

impl SnapshotStore for Files {
    fn store(&mut self, snapshot: &Snapshot) -> Result<(), StorageError> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FILE_FORMAT.to_le_bytes());
        header[16..24].copy_from_slice(&snapshot.position.0.to_le_bytes());
        header[24..32].copy_from_slice(&snapshot.time.0.to_le_bytes());
        header[32..].copy_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
        let checksum = checksum(&header, &snapshot.state);
        header[12..16].copy_from_slice(&checksum.to_le_bytes());

        let new = self.dir.join(NEW);
        let how = OpenOptions::new().write(true).create(true).truncate(true).clone();
        let file = disk::create(&new, &how).map_err(StorageError::io("make", &new))?;
        let (half, rest) = snapshot.state.split_at(snapshot.state.len() / 2);
        disk::write(&file, &new, &header)
            .and_then(|()| disk::write(&file, &new, half))
            .inspect(|()| crash_points::pass(Point::SnapshotHalf))
            .and_then(|()| disk::write(&file, &new, rest))
            .and_then(|()| disk::sync(&file, &new))
            .map_err(StorageError::io("write to", &new))?;
        crash_points::pass(Point::SnapshotWhole);
        let path = self.dir.join(name(snapshot.position));
        disk::rename(&new, &path).map_err(StorageError::io("rename", &new))?;
        crash_points::pass(Point::SnapshotNamed);
        sync_directory(&self.dir)?;
        clean(&self.dir, Some(snapshot.position))
    }
}
