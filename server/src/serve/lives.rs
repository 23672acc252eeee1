//! One life after another of a broker: with a shard and a journal each, over the same data and the
//! same inbox.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fanlight_core::Config;
use tokio::sync::{mpsc, oneshot};

use super::clock::Timing;
use super::control::Asked;
use super::control::faults::Faults;
use super::journal::{Ending, Job, Journal, SnapshotDue};
use super::metrics::Metrics;
use super::namespaces;
use super::recording::Recorder;
use super::recovery::{self, Restored};
use super::shard::{Message, Shard};
use super::spans::{Ended, Tracer};
use super::storage::{Shelf, Storage, StorageError};
use crate::settings::Settings;

/// Messages that wait for a shard.
const INBOX_MESSAGES_MAX: usize = 1_024;
/// Turns that wait for a journal; the shard waits when there are more.
const TURNS_MAX: usize = 64;
/// How long the files of a life that ended may be in use.
const QUIET_WAIT: Duration = Duration::from_secs(30);

type Outcome = Result<Ending, StorageError>;

/// What every life of a broker is made of.
pub(crate) struct Life {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) timing: Arc<Timing>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) faults: Option<Arc<Faults>>,
    /// Where spans go.
    pub(crate) ended: Option<Ended>,
}

impl Life {
    /// Starts the two threads; the second result comes when they have ended.
    pub(crate) fn begin(
        self,
        storage: Box<dyn Storage>,
        restored: Restored,
        recorder: Option<Recorder>,
    ) -> (mpsc::Sender<Message>, oneshot::Receiver<Outcome>) {
        let (inbox, messages) = mpsc::channel(INBOX_MESSAGES_MAX);
        let (done, outcome) = oneshot::channel();
        spawn("shard", move || self.live(storage, restored, recorder, messages, done));
        (inbox, outcome)
    }

    /// Lives, and lives again where a fault ended it.
    fn live(
        self,
        storage: Box<dyn Storage>,
        restored: Restored,
        mut recorder: Option<Recorder>,
        mut inbox: mpsc::Receiver<Message>,
        done: oneshot::Sender<Outcome>,
    ) {
        let done = Arc::new(Mutex::new(Some(done)));
        let mut next = Some((storage, restored));
        let mut asked: Option<Asked> = None;
        let mut left = Vec::new();
        while let Some((storage, restored)) = next.take() {
            let shelf = storage.shelf().map(|shelf| Arc::downgrade(&shelf));
            let (mut shard, journal, jobs) = self.make(storage, restored);
            shard.record(recorder.take());
            let again = Arc::new(AtomicBool::new(false));
            let journal = write(journal, jobs, again.clone(), done.clone());
            asked.take().into_iter().for_each(|asked| shard.restarted(asked));
            // If the journal is gone, its own thread tells why.
            let Ok(Some(who)) = shard.run(&mut inbox, &mut left) else { return };
            tracing::info!("a fault ends the broker as a crash would; it begins again");
            again.store(true, Ordering::Release);
            drop(shard);
            if !matches!(journal.join(), Ok(true)) {
                return;
            }
            match quiet(shelf.as_ref()).and_then(|()| self.recover()) {
                Ok(recovered) => (next, asked) = (Some(recovered), Some(who)),
                Err(why) => {
                    tracing::error!("the broker cannot begin again: {why}");
                    tell(&done, Ok(Ending::Abandoned));
                }
            }
        }
    }

    fn recover(&self) -> Result<(Box<dyn Storage>, Restored), String> {
        let opened = namespaces::open(self.dir.as_deref(), &self.settings);
        let mut storage = opened.map_err(|error| error.to_string())?;
        let config = Config { seed: self.timing.seed(), limits: self.settings.limits.clone() };
        let memory = self.settings.memory_bytes.0;
        let clock = |last| self.timing.clock(last);
        let restored =
            recovery::restore(storage.as_mut(), config, memory, (&clock, &|_| {}), &mut ());
        Ok((storage, restored.map_err(|error| error.to_string())?))
    }

    fn make(
        &self,
        storage: Box<dyn Storage>,
        restored: Restored,
    ) -> (Shard, Journal, Receiver<Job>) {
        let Restored { broker, memory, clock, journal: recovered, seen: _ } = restored;
        let (settings, metrics) = (&self.settings, &self.metrics);
        let keeps = storage.keeps();
        let due = SnapshotDue::default();
        let (turns, jobs) = sync_channel(TURNS_MAX);
        let mut shard = Shard::new(
            (broker, memory),
            clock,
            &settings.limits,
            keeps,
            turns,
            due.clone(),
            metrics.clone(),
        );
        shard.allow(self.faults.clone());
        shard.trace(self.ended.clone().map(|ended| {
            let seed = getrandom::u64().unwrap_or_else(|_| self.timing.seed());
            Tracer::new(&self.name, ended, settings.otlp_ratio.0, seed)
        }));
        shard.backups.dir = settings.backup_dir.clone();
        let journal = Journal::new(
            storage,
            settings.sync,
            recovered,
            settings.snapshot_bytes.0,
            due,
            metrics.clone(),
        );
        (shard, journal, jobs)
    }
}

/// Waits until nobody changes files of the life before any more.
fn quiet(shelf: Option<&Weak<Shelf>>) -> Result<(), String> {
    let begun = Instant::now();
    while shelf.is_some_and(|shelf| shelf.strong_count() > 0) {
        if begun.elapsed() > QUIET_WAIT {
            return Err("batches on disk are still in use: by a backup, say".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Starts a journal's thread, which tells how it ended unless there is another life after it; it
/// gives whether there is.
fn write(
    journal: Journal,
    jobs: Receiver<Job>,
    again: Arc<AtomicBool>,
    done: Arc<Mutex<Option<oneshot::Sender<Outcome>>>>,
) -> JoinHandle<bool> {
    spawn("journal", move || {
        let outcome = journal.run(&jobs);
        if matches!(outcome, Ok(Ending::Abandoned)) && again.load(Ordering::Acquire) {
            return true;
        }
        tell(&done, outcome);
        false
    })
}

fn tell(done: &Mutex<Option<oneshot::Sender<Outcome>>>, outcome: Outcome) {
    let done = done.lock().expect("nobody panics while telling").take();
    // Nobody listens any more when the server was stopped at once.
    let _ = done.map(|done| done.send(outcome));
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("a server that has just started can start its threads")
}
