//! What a data directory survives, and what it refuses.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fanlight_core::Time;
use tempfile::TempDir;

use super::{Entry, FileStorage, Kind, Position, Snapshot, Storage, StorageError};

const SEGMENT_BYTES: u64 = 400;

fn entry(n: u64) -> Entry {
    let payload = Bytes::from(format!("entry number {n:010}"));
    Entry { kind: Kind::Facts, time: Time(1_000 + n), payload }
}

fn open(dir: &Path) -> Result<FileStorage, StorageError> {
    FileStorage::open(dir, SEGMENT_BYTES)
}

/// Opens a directory and reads everything in it.
fn read(dir: &Path) -> Result<(FileStorage, Vec<Entry>, Position), StorageError> {
    let mut storage = open(dir)?;
    let from = storage.load_snapshot()?.map_or(Position(0), |snapshot| snapshot.position);
    let mut entries = Vec::new();
    let end = storage.read(from, &mut |_, entry| {
        entries.push(entry);
        Ok(())
    })?;
    Ok((storage, entries, end))
}

/// A directory with entries 0 to `count`, each synced if `sync`; and where it ends.
fn filled(count: u64, sync: bool) -> (TempDir, Position) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut storage, _, mut end) = read(dir.path()).expect("an empty directory opens");
    for n in 0..count {
        end = storage.append(end, &[entry(n)]).expect("it appends");
        if sync {
            storage.sync().expect("it syncs");
        }
    }
    (dir, end)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the directory lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().len() == 28))
        .filter(|path| path.to_string_lossy().contains("journal-"))
        .collect();
    paths.sort();
    paths
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("the file reads");
    bytes[offset] ^= 0x40;
    fs::write(path, bytes).expect("the file writes");
}

fn expect_corrupt(dir: &Path, path: &Path, offset: u64) -> String {
    let error = read(dir).err().expect("a corrupt journal is refused");
    let sentence = error.to_string();
    match error {
        StorageError::Corrupt { path: found, offset: at, .. } => {
            let name = path.file_name();
            assert_eq!((found.file_name(), at), (name, offset), "{sentence}");
        }
        other @ (StorageError::Io { .. }
        | StorageError::Locked { .. }
        | StorageError::NotOurs { .. }
        | StorageError::Newer { .. }
        | StorageError::Planted(_)) => panic!("corruption expected, not: {other}"),
    }
    sentence
}

#[test]
fn entries_are_read_again_whether_they_were_copied_to_be_written_or_not() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || FileStorage::open(dir.path(), 1 << 20).expect("it opens");
    let sizes =
        [0, 1, super::files::COPIED_BYTES_MAX - 1, super::files::COPIED_BYTES_MAX, 5, 900_000];
    let entries = sizes.map(|size| {
        let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
        Entry { kind: Kind::Facts, time: Time(size as u64), payload: payload.into() }
    });
    let mut storage = open();
    let mut end = storage.read(Position(0), &mut |_, _| Ok(())).expect("it reads");
    // As one group; and again, so that a segment begins within one.
    for _ in 0..2 {
        end = storage.append(end, &entries).expect("it appends");
    }
    drop(storage);
    let mut found = Vec::new();
    let found_end = open().read(Position(0), &mut |_, entry| {
        found.push(entry);
        Ok(())
    });
    assert_eq!(found_end.expect("it reads"), end);
    assert_eq!(found, [&entries[..], &entries[..]].concat());
    assert_eq!(segments(dir.path()).len(), 2);
}

#[test]
fn what_was_appended_is_read_again_over_many_segments() {
    let (dir, end) = filled(50, true);
    assert!(segments(dir.path()).len() > 5);
    let (storage, entries, found_end) = read(dir.path()).expect("it reads");
    assert_eq!(entries, (0..50).map(entry).collect::<Vec<_>>());
    assert_eq!(found_end, end);
    let on_disk: u64 =
        segments(dir.path()).iter().map(|p| fs::metadata(p).expect("it is there").len()).sum();
    assert_eq!(storage.bytes(), on_disk);
}

#[test]
fn appending_goes_on_where_reading_ended() {
    let (dir, _) = filled(10, true);
    let (mut storage, _, end) = read(dir.path()).expect("it reads");
    storage.append(end, &(10..30).map(entry).collect::<Vec<_>>()).expect("it appends");
    drop(storage);
    let (_, entries, _) = read(dir.path()).expect("it reads");
    assert_eq!(entries, (0..30).map(entry).collect::<Vec<_>>());
}

#[test]
fn a_journal_cut_anywhere_in_its_last_record_keeps_every_record_before() {
    let (dir, _) = filled(5, false);
    let path = segments(dir.path()).pop().expect("there is a segment");
    let whole = fs::read(&path).expect("it reads");
    let record = 36 + entry(0).payload.len();
    for missing in 1..=record {
        fs::write(&path, &whole[..whole.len() - missing]).expect("it writes");
        let (mut storage, entries, end) = read(dir.path()).expect("a torn tail is cut");
        assert_eq!(entries, (0..4).map(entry).collect::<Vec<_>>(), "{missing} bytes missing");
        storage.append(end, &[entry(4)]).expect("it appends");
        drop(storage);
        let (_, entries, _) = read(dir.path()).expect("it reads");
        assert_eq!(entries, (0..5).map(entry).collect::<Vec<_>>());
    }
}

#[test]
fn a_byte_flipped_in_a_middle_segment_is_refused_by_file_and_offset() {
    let (dir, _) = filled(50, true);
    let path = segments(dir.path())[2].clone();
    let record = 36 + entry(0).payload.len();
    flip(&path, 24 + record + 40);
    let sentence = expect_corrupt(dir.path(), &path, 24 + record as u64);
    assert!(sentence.contains("is corrupt at byte"), "{sentence}");
}

#[test]
fn any_byte_flipped_in_what_was_durable_is_refused() {
    let (dir, _) = filled(5, true);
    let path = segments(dir.path()).pop().expect("there is a segment");
    let record = 36 + entry(0).payload.len();
    // All but the last record: the one after says that it was durable.
    for offset in 24..24 + 4 * record {
        flip(&path, offset);
        expect_corrupt(dir.path(), &path, (24 + (offset - 24) / record * record) as u64);
        flip(&path, offset);
    }
    assert_eq!(read(dir.path()).expect("mended").1.len(), 5);
}

#[test]
fn a_hole_in_what_was_not_yet_durable_is_cut_and_kept_aside() {
    let (dir, _) = filled(5, false);
    let path = segments(dir.path()).pop().expect("there is a segment");
    let record = 36 + entry(0).payload.len();
    flip(&path, 24 + 2 * record + 3);
    let (_, entries, _) = read(dir.path()).expect("unpromised records may be torn");
    assert_eq!(entries, vec![entry(0), entry(1)]);
    let aside = path.with_extension(format!("cut-at-{}", 24 + 2 * record));
    assert!(aside.exists(), "what was cut off is kept");
    read(dir.path()).expect("it opens again beside what was kept");
}

#[test]
fn a_missing_segment_is_refused() {
    let (dir, _) = filled(50, true);
    let paths = segments(dir.path());
    let kept = fs::read(&paths[3]).expect("it reads");
    fs::remove_file(&paths[3]).expect("it goes");
    expect_corrupt(dir.path(), &paths[4], 0);
    fs::write(&paths[3], kept).expect("it comes back");
    fs::remove_file(&paths[0]).expect("it goes");
    expect_corrupt(dir.path(), &paths[1], 0);
}

#[test]
fn a_segment_that_was_only_begun_is_begun_again() {
    let (dir, end) = filled(5, true);
    fs::write(dir.path().join(super::segment::name(end)), b"FANL").expect("it writes");
    let (mut storage, entries, found_end) = read(dir.path()).expect("it reads");
    assert_eq!((entries.len(), found_end), (5, end));
    storage.append(end, &[entry(5)]).expect("it appends");
    drop(storage);
    assert_eq!(read(dir.path()).expect("it reads").1.len(), 6);
}

#[test]
fn a_directory_is_used_by_one_at_a_time() {
    let (dir, _) = filled(1, true);
    let held = open(dir.path()).expect("the first gets it");
    let sentence = open(dir.path()).err().expect("the second does not").to_string();
    assert!(sentence.contains("in use by another fanlight"), "{sentence}");
    assert!(sentence.contains(&format!("(process {})", std::process::id())), "{sentence}");
    assert!(sentence.contains("--data"), "{sentence}");
    let letting_go = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(held);
    });
    open(dir.path()).expect("it waits for one that is about to be gone");
    letting_go.join().expect("it does not panic");
}

#[test]
fn a_directory_of_something_else_is_refused_untouched() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("thesis.tex"), "years of work").expect("it writes");
    let sentence = open(dir.path()).err().expect("it is refused").to_string();
    assert!(sentence.contains("thesis.tex"), "{sentence}");
    assert_eq!(fs::read_dir(dir.path()).expect("it lists").count(), 1);
}

#[test]
fn a_newer_format_is_refused() {
    let (dir, _) = filled(1, true);
    fs::write(dir.path().join("FORMAT"), "fanlight data 3\n").expect("it writes");
    let sentence = open(dir.path()).err().expect("it is refused").to_string();
    assert!(sentence.contains("format 3"), "{sentence}");
    assert!(sentence.contains("newer fanlight"), "{sentence}");
}

#[test]
fn a_snapshot_replaces_the_one_before_and_what_it_covers() {
    let (dir, _) = filled(0, true);
    let (mut storage, _, mut end) = read(dir.path()).expect("it opens");
    for n in 0..60 {
        end = storage.append(end, &[entry(n)]).expect("it appends");
        if n == 20 || n == 40 {
            storage.sync().expect("it syncs");
            let state = format!("state after {n}").into_bytes();
            let snapshot = Snapshot { position: end, time: Time(n), state };
            storage.snapshots().store(&snapshot).expect("it stores");
            storage.trim(end).expect("it trims");
        }
    }
    let before = segments(dir.path()).len();
    drop(storage);
    let mut storage = open(dir.path()).expect("it opens");
    let snapshot = storage.load_snapshot().expect("it loads").expect("there is one");
    assert_eq!(snapshot.state, b"state after 40");
    let (_, entries, _) = {
        drop(storage);
        read(dir.path()).expect("it reads")
    };
    assert_eq!(entries, (41..60).map(entry).collect::<Vec<_>>());
    assert!(before < 10, "{before} segments are still there");
    assert_eq!(segments(dir.path()).len(), before);
}

#[test]
fn a_corrupt_snapshot_is_refused_by_name() {
    let (dir, _) = filled(0, true);
    let (mut storage, _, end) = read(dir.path()).expect("it opens");
    let end = storage.append(end, &[entry(0)]).expect("it appends");
    storage.sync().expect("it syncs");
    let snapshot = Snapshot { position: end, time: Time(7), state: vec![9; 100] };
    storage.snapshots().store(&snapshot).expect("it stores");
    drop(storage);
    let path = dir.path().join(format!("snapshot-{:020}", end.0));
    for offset in 0..140 {
        flip(&path, offset);
        let error = read(dir.path()).err().expect("it is refused");
        assert!(error.to_string().contains("snapshot-"), "{error}");
        flip(&path, offset);
    }
    fs::write(dir.path().join("snapshot.new"), "half").expect("it writes");
    read(dir.path()).expect("mended, and the half one is no matter");
    assert!(!dir.path().join("snapshot.new").exists());
}

#[test]
fn a_sync_that_nobody_waits_for_ends_and_is_known_to_later_entries() {
    let (dir, _) = filled(0, true);
    let (mut storage, _, end) = read(dir.path()).expect("it opens");
    let synced = storage.append(end, &[entry(0), entry(1)]).expect("it appends");
    while storage.sync_behind().expect("it syncs").durable < synced {
        std::thread::yield_now();
    }
    storage.append(synced, &[entry(2)]).expect("it appends");
    drop(storage);
    // The third entry knows that the first was durable, so this is no torn tail.
    let path = segments(dir.path()).pop().expect("there is a segment");
    flip(&path, 24 + 5);
    expect_corrupt(dir.path(), &path, 24);
}

/// After a power cut, any sector that was written since the last sync may hold what was written,
/// what was there before, or something else.
#[test]
fn after_a_power_cut_everything_that_was_synced_is_read_and_then_some_or_nothing() {
    const SECTOR: usize = 16;
    let mut seed = RandomState::new().hash_one("power");
    println!("seed {seed}");
    let mut dice = move |sides: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % sides
    };
    let (mut torn, mut whole) = (0, 0);
    for _ in 0..100 {
        let (dir, _) = filled(0, true);
        let (mut storage, _, mut end) = read(dir.path()).expect("it opens");
        let (mut written, mut synced, mut synced_bytes) = (0, 0, 0);
        for _ in 0..1 + dice(12) {
            let count = 1 + dice(4);
            let entries: Vec<Entry> = (written..written + count).map(entry).collect();
            end = storage.append(end, &entries).expect("it appends");
            written += count;
            if dice(3) == 0 {
                storage.sync().expect("it syncs");
                synced = written;
                let last = segments(dir.path()).pop().expect("there is a segment");
                synced_bytes = fs::metadata(last).expect("it is there").len() as usize;
            }
        }
        drop(storage);
        // What one segment is followed by another for is synced, too: only the last is at risk.
        let last = segments(dir.path()).pop().expect("there is a segment");
        let mut bytes = fs::read(&last).expect("it reads");
        let first = super::segment::parse_name(&last.file_name().expect("one").to_string_lossy());
        let before_last = first.expect("it is named").0 / (36 + entry(0).payload.len() as u64);
        if synced <= before_last {
            synced_bytes = 24;
        }
        for sector in bytes[synced_bytes..].chunks_mut(SECTOR) {
            match dice(6) {
                0 => sector.fill(0),
                1 => sector.fill(0xA5),
                _ => {}
            }
        }
        let unsynced = bytes.len() - synced_bytes;
        bytes.truncate(synced_bytes + dice(unsynced as u64 + 1) as usize);
        fs::write(&last, bytes).expect("it writes");

        let (mut storage, entries, end) = read(dir.path()).expect("a power cut is no corruption");
        let found = entries.len() as u64;
        assert!(found >= synced, "{found} entries of {synced} that were synced");
        assert_eq!(entries, (0..found).map(entry).collect::<Vec<_>>());
        storage.append(end, &[entry(found)]).expect("it goes on");
        drop(storage);
        assert_eq!(read(dir.path()).expect("it reads").1.len() as u64, found + 1);
        *(if found < written { &mut torn } else { &mut whole }) += 1;
    }
    assert!(torn > 10 && whole > 5, "{torn} torn and {whole} whole: the cut is not random");
}
