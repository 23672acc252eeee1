//! Crash points: places of the write path at which a test can have the whole process die, as
//! abruptly as SIGKILL would end it.
//!
//! `FANLIGHT_CRASH_AT=after-write:17` arms one: the server aborts when it passes there for the
//! seventeenth time. Nothing is flushed, no destructor runs, no other thread gets to finish. It is
//! for the tests of this server and no setting of it, so that nobody sets it by mistake. Where none
//! is armed, passing costs one relaxed load.

use std::sync::atomic::{AtomicU64, Ordering};

/// What arms a point.
const VARIABLE: &str = "FANLIGHT_CRASH_AT";

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// A place at which the process can be made to die.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Point {
            $($(#[doc = $doc])+ $point,)+
        }

        const POINTS: &[(&str, Point)] = &[$(($name, Point::$point),)+];
    };
}

points! {
    /// A group of turns is decided, and nothing of it written.
    BeforeWrite = "before-write",
    /// A group is written, and not synced.
    AfterWrite = "after-write",
    /// A group is synced, and nobody was told.
    AfterSync = "after-sync",
    /// Some of those whom a group concerns were told, and others not.
    AmidTelling = "amid-telling",
    /// A segment is full and synced, and there is no next one.
    SegmentFull = "segment-full",
    /// The next segment is there, and has no header.
    SegmentEmpty = "segment-empty",
    /// It has its header, and its name may not be durable.
    SegmentBegun = "segment-begun",
    /// The shard has given a snapshot away, and nothing of it is written.
    SnapshotTaken = "snapshot-taken",
    /// What a snapshot names is synced, and nothing of it is written.
    SnapshotBodies = "snapshot-bodies",
    /// Half of a snapshot is written.
    SnapshotHalf = "snapshot-half",
    /// All of a snapshot is written and synced, and it has not got its name.
    SnapshotWhole = "snapshot-whole",
    /// It has its name, and its predecessor is still there.
    SnapshotNamed = "snapshot-named",
    /// It has replaced its predecessor, and the journal before it is still there.
    SnapshotStored = "snapshot-stored",
    /// Some of the segments before a snapshot are removed, and not all.
    AmidTrim = "amid-trim",
    /// Batches were put away, and no snapshot names them there.
    PutAway = "put-away",
    /// A batch was copied out of a file that is emptied, and lies twice.
    BodyCopied = "body-copied",
    /// A batch was moved, and the file that it was in is still there.
    BodyMoved = "body-moved",
    /// A file with bodies was removed, and others are about to be.
    BodiesRemoved = "bodies-removed",
}

/// No point is armed.
const UNARMED: u64 = 0;
/// The armed point in the low byte, and the passes that are left above it.
static ARMED: AtomicU64 = AtomicU64::new(UNARMED);

/// Dies here, if this is the point and the pass.
#[inline]
pub(crate) fn pass(point: Point) {
    let armed = ARMED.load(Ordering::Relaxed);
    if armed != UNARMED && armed & 0xFF == point as u64 {
        count_down(point);
    }
}

#[cold]
fn count_down(point: Point) {
    let before = ARMED.fetch_sub(1 << 8, Ordering::Relaxed);
    if before >> 8 == 1 {
        eprintln!("{VARIABLE}: dies at {point:?}");
        std::process::abort();
    }
}

/// Arms what the environment says; the refusal if it makes no sense.
pub(crate) fn arm() -> Result<(), String> {
    match std::env::var(VARIABLE) {
        Err(std::env::VarError::NotPresent) => Ok(()),
        Err(error @ std::env::VarError::NotUnicode(_)) => Err(format!("{VARIABLE}: {error}")),
        Ok(value) => {
            let (point, passes) = read(&value).map_err(|what| format!("{VARIABLE}: {what}"))?;
            tracing::warn!("{VARIABLE} is set: this server dies at {point:?}, for a test");
            ARMED.store(passes << 8 | point as u64, Ordering::Relaxed);
            Ok(())
        }
    }
}

fn read(value: &str) -> Result<(Point, u64), String> {
    let (name, passes) = value.split_once(':').unwrap_or((value, "1"));
    let Some((_, point)) = POINTS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no point {name:?}; there are {}", names.join(", ")));
    };
    match passes.parse() {
        Ok(passes @ 1..=0xFF_FFFF) => Ok((*point, passes)),
        Ok(_) | Err(_) => Err(format!("{passes:?} should be a number from 1 to 16777215")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_with_its_pass_and_nonsense_is_refused() {
        assert_eq!(read("after-write:17"), Ok((Point::AfterWrite, 17)));
        assert_eq!(read("amid-trim"), Ok((Point::AmidTrim, 1)));
        let refused = read("after-lunch:1").expect_err("there is none");
        assert!(refused.contains("\"after-lunch\"") && refused.contains("before-write"));
        for passes in ["0", "-1", "many", "", "16777216"] {
            let refused = read(&format!("after-sync:{passes}")).expect_err("it is no number");
            assert!(refused.contains("from 1 to 16777215"), "{refused}");
        }
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        for (n, (name, point)) in POINTS.iter().enumerate() {
            assert_eq!(read(name), Ok((*point, 1)), "{name} is the name of another");
            assert_eq!(*point as usize, n);
        }
    }
}
