//! Bodies come back as they were put, their space comes back when they go, and damage is told.

use std::fs;

use tempfile::TempDir;

use super::*;

const FILE_BYTES: u64 = 1_000;

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("the directory lists");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn open(dir: &TempDir) -> Arc<Shelf> {
    Shelf::open(dir.path(), &names(dir.path()), FILE_BYTES, false).expect("it opens")
}

/// A shelf on which nothing was before.
fn begun(dir: &TempDir) -> Arc<Shelf> {
    let shelf = open(dir);
    shelf.begin();
    shelf
}

/// A body that no other is like.
fn body(n: u32) -> Vec<u8> {
    vec![n as u8; 90 + n as usize]
}

fn put(shelf: &Arc<Shelf>, numbers: std::ops::Range<u32>) -> Vec<Arc<Body>> {
    let bodies = numbers.map(|n| shelf.put(&body(n)).expect("there is room")).collect();
    shelf.flush().expect("there is room");
    bodies
}

fn fresh() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn what_is_put_there_comes_back_also_after_a_restart() {
    let dir = fresh();
    let references: Vec<u64> = {
        let shelf = open(&dir);
        let bodies = put(&shelf, 0..40);
        for (n, found) in (0..).zip(&bodies) {
            assert_eq!(found.bytes(), body(n));
        }
        // A process that ends lets nothing go.
        let references = bodies.iter().map(|body| body.reference()).collect();
        bodies.into_iter().for_each(std::mem::forget);
        references
    };
    assert!(names(dir.path()).len() > 4, "files are followed by others");
    let shelf = open(&dir);
    for (n, reference) in (0..).zip(references) {
        let length = body(n).len() as u32;
        assert!(shelf.find(reference, length + FILE_BYTES as u32).is_none(), "it reaches too far");
        let found = shelf.find(reference, length).expect("it is there");
        assert_eq!(found.bytes(), body(n));
        std::mem::forget(found);
    }
    assert!(shelf.find(u64::MAX, 1).is_none() && shelf.find(0, 1).is_none());
}

#[test]
fn a_file_goes_with_its_last_body_unless_a_snapshot_names_it() {
    let dir = fresh();
    let shelf = begun(&dir);
    let mut bodies = put(&shelf, 0..40);
    let pins = shelf.pin().expect("there is room");
    let before = names(dir.path());
    bodies.drain(..20);
    shelf.reclaim().expect("it can be read");
    assert_eq!(names(dir.path()), before, "the snapshot may name all of them");
    assert!(shelf.held().pinned > 0);
    pins.release();
    shelf.reclaim().expect("it can be read");
    assert!(names(dir.path()).len() < before.len());
    assert_eq!(shelf.held().pinned, 0);
    for (n, found) in (20..).zip(&bodies) {
        assert_eq!(found.bytes(), body(n));
    }
    drop(bodies);
    shelf.reclaim().expect("it can be read");
    assert_eq!(names(dir.path()).len(), 1, "the open file stays");
}

#[test]
fn what_is_left_of_sparse_files_is_moved() {
    let dir = fresh();
    let shelf = begun(&dir);
    let bodies = put(&shelf, 0..60);
    let kept: Vec<_> = (0..).zip(bodies).filter(|(n, _)| n % 7 == 0).collect();
    shelf.reclaim().expect("it can be read");
    let live: u64 = kept.iter().map(|(n, _)| body(*n).len() as u64 + BODY_HEADER_BYTES).sum();
    let bound = 2 * live + 2 * FILE_BYTES;
    assert!(shelf.held().on_disk <= bound, "{} of at most {bound}", shelf.held().on_disk);
    for (n, found) in &kept {
        assert_eq!(found.bytes(), body(*n), "body {n}");
    }
}

#[test]
fn what_nobody_found_again_is_removed() {
    let dir = fresh();
    put(&open(&dir), 0..40).into_iter().for_each(std::mem::forget);
    let last = names(dir.path()).pop().expect("there are files");
    let last = parse_name(&last).expect("it is a file with bodies");
    let shelf = open(&dir);
    let before = names(dir.path());
    shelf.reclaim().expect("it can be read");
    assert_eq!(names(dir.path()), before, "who knows what will be found yet");
    shelf.begin();
    shelf.reclaim().expect("it can be read");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    let bodies = put(&shelf, 7..8);
    assert_eq!(bodies[0].bytes(), body(7));
    assert_eq!(names(dir.path()), [name(last + 1)], "a number is never given twice");
}

#[test]
fn a_batch_that_two_logs_have_is_one_body_also_after_a_restart() {
    let dir = fresh();
    let length = body(5).len() as u64;
    let reference = {
        let shelf = begun(&dir);
        let shared = put(&shelf, 5..6).pop().expect("one was put");
        let logs = [Lying::of(shared.clone()), Lying::of(shared.clone())];
        assert_eq!(shelf.lying(), 2 * length);
        drop(logs);
        assert_eq!(shelf.lying(), 0);
        let reference = shared.reference();
        std::mem::forget(shared);
        reference
    };
    let shelf = open(&dir);
    let found = [(); 2].map(|()| shelf.find(reference, length as u32).expect("it is there"));
    assert!(Arc::ptr_eq(&found[0], &found[1]));
    assert!(shelf.find(reference, 3).is_none(), "it has another length");
    let live = locked(&shelf.files).values().map(|kept| kept.live).sum::<u64>();
    assert_eq!(live, BODY_HEADER_BYTES + length, "its bytes count once");
}

#[test]
fn a_flipped_bit_is_told_by_file_and_offset() {
    let dir = fresh();
    let shelf = open(&dir);
    let bodies = put(&shelf, 0..1);
    let path = dir.path().join(&names(dir.path())[0]);
    let mut bytes = fs::read(&path).expect("it reads");
    *bytes.last_mut().expect("it holds a body") ^= 1;
    fs::write(&path, bytes).expect("it writes");
    let error = shelf.read_file(&bodies[0]).expect_err("it is damaged").to_string();
    assert!(error.contains("bodies-0000000001 is corrupt at byte 16"), "{error}");
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let dir = fresh();
    put(&open(&dir), 0..1).into_iter().for_each(std::mem::forget);
    let path = dir.path().join(&names(dir.path())[0]);
    let mut bytes = fs::read(&path).expect("it reads");
    bytes[8] = 9;
    fs::write(&path, bytes).expect("it writes");
    let shelf = open(&dir);
    assert!(shelf.take_failure().is_none(), "nobody needs it so far");
    let reference = Place { file: 1, offset: HEADER_BYTES as u32 }.reference();
    assert!(shelf.find(reference, body(0).len() as u32).is_none());
    let error = shelf.take_failure().expect("nobody can read it").to_string();
    assert!(error.contains("is written in format 9"), "{error}");
}

#[test]
fn what_a_snapshot_names_outlives_the_process() {
    let dir = fresh();
    let (reference, pins) = {
        let shelf = begun(&dir);
        let bodies = put(&shelf, 0..40);
        let pins = shelf.pin().expect("there is room");
        pins.sync().expect("it syncs");
        (bodies[0].reference(), pins)
    };
    let shelf = pins.shelf.clone();
    drop(pins);
    shelf.reclaim().expect("it can be read");
    let found = open(&dir).find(reference, body(0).len() as u32).expect("it is there");
    assert_eq!(found.bytes(), body(0));
}
