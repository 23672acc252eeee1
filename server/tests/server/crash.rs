//! A server that is killed under load, again and again, over one data directory: what it confirmed
//! is there when it comes back, once, in order, and no more than was sent. It is killed at random
//! moments, and dies by itself at each point of its write path that has a name
//! (`src/serve/crash_points.rs`).
//!
//! `FANLIGHT_CRASH_SEED` repeats a run's choices, `FANLIGHT_CRASH_ROUNDS` makes it longer,
//! `FANLIGHT_CRASH_POINT` has it die at one point only.

mod knowledge;
mod load;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use self::knowledge::Shared;
use crate::client::Lost;
use crate::process::{Ended, PATIENCE, Server};

pub(crate) use self::knowledge::read_all;

/// As many as there are points, and two for each three of them at random moments.
const ROUNDS: u64 = 30;
const SIGNAL_OF_ABORT: i32 = 6;
const SIGNAL_OF_KILL: i32 = 9;

/// Every point, and at which of the first so many passes there the server dies at the latest.
const POINTS: [(&str, u64); 18] = [
    ("before-write", 300),
    ("after-write", 300),
    ("after-sync", 300),
    ("amid-telling", 600),
    ("segment-full", 12),
    ("segment-empty", 12),
    ("segment-begun", 12),
    ("snapshot-taken", 3),
    ("snapshot-bodies", 3),
    ("snapshot-half", 3),
    ("snapshot-whole", 3),
    ("snapshot-named", 3),
    ("snapshot-stored", 3),
    ("amid-trim", 6),
    ("put-away", 12),
    ("body-copied", 12),
    ("body-moved", 12),
    ("bodies-removed", 6),
];

/// The generator that chooses what is random here (SplitMix64), so that a seed repeats it.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

/// How one life of the server ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// It is killed after so long.
    After(Duration),
    /// It dies when it passes this point for the so manieth time.
    At(&'static str, u64),
}

impl Death {
    fn of_round(round: u64, dice: &mut Dice) -> Death {
        let wanted = std::env::var("FANLIGHT_CRASH_POINT").ok();
        if wanted.is_none() && round % 5 > 2 {
            return Death::After(Duration::from_millis(30 + dice.roll(400)));
        }
        let mut points = POINTS.iter().filter(|(p, _)| wanted.as_deref().is_none_or(|w| w == *p));
        let count = points.clone().count() as u64;
        let nth = (round / 5 * 3 + round % 5) % count.max(1);
        let (point, last) = points.nth(nth as usize).expect("FANLIGHT_CRASH_POINT names a point");
        Death::At(point, 1 + dice.roll(*last))
    }

    /// What a server is started with to die so: small files, so that every point is passed often,
    /// and little memory, so that much of what it has lies on disk only.
    fn args(self, dice: &mut Dice) -> Vec<String> {
        let (sync, files, snapshot, memory) = match self {
            Death::After(_) => (dice.roll(4), dice.roll(4), dice.roll(4), dice.roll(4)),
            Death::At(..) => (dice.roll(3), dice.roll(2), 0, dice.roll(2)),
        };
        let sync = ["always", "always", "interval", "never"][sync as usize];
        let flags = [
            ("--sync", sync.to_owned()),
            ("--segment-bytes", (16_384_u64 << files).to_string()),
            ("--snapshot-bytes", (65_536_u64 << snapshot).to_string()),
            ("--memory-bytes", (1_024_u64 << (4 * memory)).to_string()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// Lets the server live as long as it should, and sees that it ended as it should.
    async fn wait(self, mut server: Server) {
        match self {
            Death::After(life) => tokio::time::sleep(life).await,
            Death::At(..) => {
                let begun = Instant::now();
                while server.is_running() && begun.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
        let ended = tokio::task::spawn_blocking(|| server.kill()).await.expect("it is ended");
        self.expect(&ended);
    }

    fn expect(self, ended: &Ended) {
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        let signal = match self {
            Death::After(_) => SIGNAL_OF_KILL,
            Death::At(..) => SIGNAL_OF_ABORT,
        };
        assert_eq!(ended.status.signal(), Some(signal), "{self:?}: {ended:?}");
    }
}

/// One life of the server under load.
async fn live(dir: &Path, death: Death, dice: &mut Dice, shared: &Shared) {
    let args = death.args(dice);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let armed = match death {
        Death::After(_) => String::new(),
        Death::At(point, pass) => format!("{point}:{pass}"),
    };
    let variables = [("FANLIGHT_CRASH_AT", armed.as_str())];
    let variables = if armed.is_empty() { &[][..] } else { &variables };
    let server = match Server::try_start_in(dir, &args, variables) {
        Ok(server) => server,
        // Starting passes some points, too.
        Err(ended) => return death.expect(&ended),
    };
    let mut tasks: JoinSet<Result<(), Lost>> = JoinSet::new();
    let url = server.url();
    for task in 0..load::TASKS {
        let (url, dice, shared) = (url.clone(), Dice(dice.roll(u64::MAX)), shared.clone());
        tasks.spawn(load::begin(task, url, dice, shared));
    }
    death.wait(server).await;
    while let Some(result) = tasks.join_next().await {
        let lost = result.expect("what a client knew came true").expect_err("it was killed");
        drop(lost);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_survives_being_killed_under_load() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let seed = from_environment("FANLIGHT_CRASH_SEED").unwrap_or(clock.as_nanos() as u64);
    let rounds = from_environment("FANLIGHT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    println!("FANLIGHT_CRASH_SEED={seed} repeats the choices of this run");
    let mut dice = Dice(seed);
    // As much on one directory as one run has, so that there is not ever more to load.
    for first in (0..rounds).step_by(ROUNDS as usize) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let shared = Shared::default();
        let server = Server::start_in(dir.path(), &[]);
        knowledge::prepare(&server).await;
        server.kill();
        let last = rounds.min(first + ROUNDS);
        for round in first..last {
            let death = Death::of_round(round, &mut dice);
            println!("round {round}: {death:?}");
            live(dir.path(), death, &mut dice, &shared).await;
        }
        let server = Server::start_in(dir.path(), &[]);
        let summary = knowledge::check(&server, &shared).await;
        println!("killed {} times: {summary}", last - first);
    }
}
