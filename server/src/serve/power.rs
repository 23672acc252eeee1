//! Broker, outbox, journal and storage, all as they are, on a disk that loses power, fills up, fails
//! its sync and rots: what was confirmed is there afterwards, and what is served is right.
//!
//! `FANLIGHT_POWER_SEED` repeats a run, `FANLIGHT_POWER_SEEDS` makes more of them.

mod knowledge;
mod life;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::knowledge::Knowledge;
use self::life::{Files, Life};
use super::journal::Planted;
use super::storage::simulated::{self, Shared};

const SEEDS: u64 = 96;
/// Seeds within which a planted bug has to be found.
const PLANTED_SEEDS: u64 = 60;
const LIVES_MAX: u64 = 5;
const STEPS: u64 = 150;

/// The generator that chooses what is random here (SplitMix64), so that a seed repeats it.
struct Random(u64);

impl Random {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// A bug of the storage or the journal that has to be found.
#[derive(Clone, Copy, Debug)]
enum Bug {
    /// Files whose names begin so are not synced; ".": the directory.
    Skips(&'static str),
    /// The journal does something too early.
    Early(Planted),
}

/// What the runs of a test came to.
#[derive(Debug, Default)]
struct Came {
    lives: u64,
    power_cuts: u64,
    full: u64,
    syncs_failed: u64,
    kills: u64,
    rotten_refused: u64,
    rotten_served: u64,
    confirmed: u64,
}

/// What is on disk when a life has ended, and what of that disk goes on.
enum After {
    /// The process is gone, and the system still has everything.
    Killed(Shared),
    /// The machine was without power.
    Off(Files),
}

fn run(seed: u64, bug: Option<Bug>, came: &mut Came) -> Result<(), String> {
    let mut random = Random(seed);
    let mut knowledge = Knowledge::default();
    let mut after = After::Off(Vec::new());
    for _ in 0..1 + random.below(LIVES_MAX) {
        came.lives += 1;
        let disk = live(after, bug, &mut random, &mut knowledge, came)?;
        after = {
            let mut disk = disk.lock().expect("no holder panics");
            let was_off = disk.is_off();
            // Nothing of this life does anything from now on.
            disk.off_at = Some(0);
            match !was_off && !disk.failed && random.below(3) == 0 {
                true => After::Killed(simulated::go_on(&disk)),
                false => After::Off(disk.survivors(&mut |sides| random.below(sides))),
            }
        };
        let files = match &after {
            After::Killed(disk) => {
                came.kills += 1;
                disk.lock().expect("no holder panics").contents()
            }
            After::Off(files) => {
                came.power_cuts += 1;
                files.clone()
            }
        };
        let found = life::look(&files)?;
        knowledge.check(&found)?;
    }
    came.confirmed += knowledge.confirmed() as u64;
    let After::Off(files) = after else { return Ok(()) };
    rot(files, &knowledge, &mut random, came)
}

/// One life: how it ends is chosen, or it ends by itself after some time.
fn live(
    after: After,
    bug: Option<Bug>,
    random: &mut Random,
    knowledge: &mut Knowledge,
    came: &mut Came,
) -> Result<Shared, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = match after {
        After::Killed(disk) => disk,
        After::Off(files) => simulated::new(&files),
    };
    simulated::begin(dir.path(), &disk);
    // What this client asks for is numbered anew.
    knowledge.asked.clear();
    {
        let mut disk = disk.lock().expect("no holder panics");
        let at = disk.operations + random.below(600);
        match random.below(6) {
            0 => disk.full_at = Some(at),
            1 => disk.sync_fails_at = Some(at),
            2..=4 => disk.off_at = Some(at),
            _ => {}
        }
        disk.skips_sync = match bug {
            Some(Bug::Skips(name)) => Some(name),
            Some(Bug::Early(_)) | None => None,
        };
    }
    let mut ended = Ok(());
    match Life::begin(dir.path(), random) {
        Ok(mut life) => {
            if let Some(Bug::Early(planted)) = bug {
                life.plant(planted);
            }
            for _ in 0..STEPS {
                ended = life.step(random, knowledge);
                life.hear(knowledge)?;
                if ended.is_err() {
                    break;
                }
            }
        }
        Err(error) => ended = Err(error),
    }
    let (failed, off) = {
        let disk = disk.lock().expect("no holder panics");
        (disk.failed, disk.is_off())
    };
    simulated::end(dir.path());
    match ended {
        Err(error) if !failed && !off => {
            return Err(format!("nothing was wrong, and yet: {error}"));
        }
        Err(error) if failed && error.contains("space") => came.full += 1,
        Err(_) if failed => came.syncs_failed += 1,
        Err(_) | Ok(()) => {}
    }
    Ok(disk)
}

/// Flips one bit of what was synced: it is refused, or what is served is right.
fn rot(
    mut files: Files,
    knowledge: &Knowledge,
    random: &mut Random,
    came: &mut Came,
) -> Result<(), String> {
    files.retain(|(_, bytes)| !bytes.is_empty());
    if files.is_empty() {
        return Ok(());
    }
    let (name, bytes) = {
        let index = random.below(files.len() as u64) as usize;
        &mut files[index]
    };
    let at = random.below(bytes.len() as u64) as usize;
    bytes[at] ^= 1 << random.below(8);
    let what = format!("byte {at} of {name} has rotted, and ");
    // A batch that cannot be read stops the server: it must not give anything else.
    match catch_unwind(AssertUnwindSafe(|| life::look(&files))) {
        Err(_) | Ok(Err(_)) => came.rotten_refused += 1,
        Ok(Ok(found)) => {
            came.rotten_served += 1;
            knowledge.check_served(&found).map_err(|error| what + &error)?;
        }
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

#[test]
fn what_was_confirmed_survives_whatever_a_disk_does() {
    let first = number("FANLIGHT_POWER_SEED");
    let seeds = match first {
        Some(_) => 1,
        None => number("FANLIGHT_POWER_SEEDS").unwrap_or(SEEDS),
    };
    let first = first.unwrap_or_else(|| RandomState::new().hash_one("power") >> 1);
    let mut came = Came::default();
    for seed in first..first + seeds {
        run(seed, None, &mut came)
            .unwrap_or_else(|error| panic!("FANLIGHT_POWER_SEED={seed}: {error}"));
    }
    println!("{seeds} seeds from {first}: {came:?}");
    if seeds >= SEEDS {
        let each = [came.power_cuts, came.full, came.syncs_failed];
        assert!(each.iter().all(|n| *n > 2), "what a disk does is not random: {came:?}");
        assert!(came.rotten_refused > 2, "{came:?}");
    }
}

#[test]
fn what_a_storage_could_forget_is_found() {
    let bugs = [
        Bug::Skips("journal-"),
        Bug::Skips("snapshot"),
        Bug::Skips("bodies-"),
        Bug::Skips("."),
        Bug::Early(Planted::Tells),
        Bug::Early(Planted::Trims),
    ];
    for bug in bugs {
        let found = (0..PLANTED_SEEDS).find_map(|seed| {
            let mut came = Came::default();
            let result = catch_unwind(AssertUnwindSafe(|| run(seed, Some(bug), &mut came)));
            result.map_or(Some(()), |result| result.err().map(drop)).map(|()| seed)
        });
        println!("{bug:?} is found by seed {found:?}");
        assert!(found.is_some(), "{bug:?} is not found");
    }
}
