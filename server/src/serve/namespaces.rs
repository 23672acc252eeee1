//! Namespaces: brokers beside each other in one server, of which none knows the names in another.
//!
//! Each has a shard and a journal of its own, so that neither a name nor a fault of the one is seen
//! in another, and a sync of one does not hold up the others. What is shared is what people come
//! in by: the address, users, certificates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::Uri;
use fanlight_core::Config;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::clock::Timing;
use super::control::faults::Faults;
use super::health::Health;
use super::journal::Ending;
use super::lives::Life;
use super::metrics::Metrics;
use super::recording::Tape;
use super::recovery::{self, Witness};
use super::shard::Message;
use super::spans::Ended;
use super::storage::{FileStorage, Storage, StorageError, VolatileStorage};
use super::{Error, data};
use crate::settings::{NAMESPACE_DEFAULT, Settings};

/// Where the others than the default one are in a data directory.
pub(crate) const DIRECTORY: &str = "namespaces";
/// How a request says which it is for.
const PARAMETER: &str = "namespace";

/// A broker that runs.
#[derive(Clone)]
pub(crate) struct Namespace {
    /// What it is called.
    pub(crate) name: Arc<str>,
    /// What it is told.
    pub(crate) shard: mpsc::Sender<Message>,
    /// What its shard and its journal count.
    pub(crate) metrics: Arc<Metrics>,
}

/// All that a server has.
#[derive(Clone)]
pub(crate) struct Namespaces(Arc<BTreeMap<Arc<str>, Namespace>>);

impl Namespaces {
    /// Recovers and starts every namespace that settings name.
    pub(crate) fn start(
        settings: &Settings,
        health: &Health,
        ended: Option<Ended>,
    ) -> Result<(Namespaces, Ends), Error> {
        let dirs = directories(settings);
        let timing = Arc::new(Timing::new(settings.clock));
        // All of them are recovered before any of them changes something.
        let mut restored = Vec::new();
        let count = dirs.len() as u64;
        for (index, (name, dir)) in (0..).zip(dirs) {
            let of = |error: String| match name == NAMESPACE_DEFAULT {
                true => Error(error),
                false => Error(format!("the namespace {name}: {error}")),
            };
            let opened = open(dir.as_deref(), settings);
            let mut storage = opened.map_err(|error| of(error.to_string()))?;
            let config = Config { seed: timing.seed(), limits: settings.limits.clone() };
            let memory = settings.memory_bytes.0;
            let clock = |last| timing.clock(last);
            let mut tape = settings.record.as_deref().map(|file| tape(file, &name)).transpose()?;
            let mut nobody = ();
            let witness: &mut dyn Witness = match &mut tape {
                Some(tape) => tape,
                None => &mut nobody,
            };
            let told = |percent: u64| health.set_recovered((index * 100 + percent) / count);
            let told = (&clock as _, &told as _);
            let broker = recovery::restore(storage.as_mut(), config, memory, told, witness)
                .map_err(|error| of(error.to_string()))?;
            let recorder = tape.map(Tape::start).transpose().map_err(Error)?;
            restored.push((name, dir, (storage, broker, recorder)));
        }
        let faults = settings.faults.then(Arc::<Faults>::default);
        let mut ends = Ends(JoinSet::new());
        let all = restored.into_iter().map(|(name, dir, (storage, restored, recorder))| {
            let name: Arc<str> = name.into();
            let metrics = Arc::new(Metrics::default());
            let life = Life {
                name: name.clone(),
                settings: settings.clone(),
                dir,
                timing: timing.clone(),
                metrics: metrics.clone(),
                faults: faults.clone(),
                ended: ended.clone(),
            };
            let (shard, end) = life.begin(storage, restored, recorder);
            let ended = name.clone();
            ends.0.spawn(async move { (ended, end.await) });
            (name.clone(), Namespace { name, shard, metrics })
        });
        let all = all.collect();
        Ok((Namespaces(Arc::new(all)), ends))
    }

    /// Each of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Namespace> {
        self.0.values()
    }

    /// The one that everybody is in who names none.
    pub(crate) fn default(&self) -> &Namespace {
        &self.0[NAMESPACE_DEFAULT]
    }

    /// The one that a request is for, by its parameter `namespace`; a sentence if there is none.
    pub(crate) fn of(&self, uri: &Uri) -> Result<&Namespace, String> {
        let Some(name) = named(uri) else { return Ok(self.default()) };
        self.0.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(|name| &**name).collect();
            format!(
                "there is no namespace {name:?}; this server has {}, and others when it is started \
                 with --namespaces",
                names.join(", ")
            )
        })
    }

    /// Tells all of them the same.
    pub(crate) async fn tell(&self, message: impl Fn() -> Message) {
        for namespace in self.all() {
            // Where the shard is gone, its end tells why.
            let _ = namespace.shard.send(message()).await;
        }
    }
}

/// The namespace that a request names. Names need no escapes, so none is undone.
fn named(uri: &Uri) -> Option<&str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == PARAMETER).map(|(_, name)| name).next_back()
}

/// How namespaces ended: there is something to be told when one does.
pub(crate) struct Ends(JoinSet<(Arc<str>, Outcome)>);

type Outcome = Result<Result<Ending, StorageError>, oneshot::error::RecvError>;

impl Ends {
    /// Waits until one ends, which it does by itself only where it failed; says why.
    pub(crate) async fn failed(&mut self) -> Error {
        match self.0.join_next().await {
            Some(Ok((_, outcome))) => because(outcome),
            Some(Err(_)) | None => because(Ok(Ok(Ending::Abandoned))),
        }
    }

    /// Waits until all have stopped as they were told to.
    pub(crate) async fn stopped(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.0.join_next().await {
            match ended {
                Ok((_, Ok(Ok(Ending::Stopped)))) => {}
                Ok((_, outcome)) => return Err(because(outcome)),
                Err(_) => return Err(because(Ok(Ok(Ending::Abandoned)))),
            }
        }
        Ok(())
    }
}

fn because(outcome: Outcome) -> Error {
    Error(match outcome {
        Ok(Err(error)) => format!(
            "the journal failed: {error}; the server stops, because it can promise nothing any \
             more. Everything confirmed until now is kept: start it again when the disk is well"
        ),
        Ok(Ok(Ending::Stopped | Ending::Abandoned)) | Err(_) => {
            "the broker stopped by a fault of its own, which is told above; \
             everything confirmed until now is kept: please report it, and start it again"
                .to_owned()
        }
    })
}

/// Every namespace, and where its data is. One that is on disk and not named is not served, which
/// is told.
fn directories(settings: &Settings) -> Vec<(String, Option<PathBuf>)> {
    let mut all = vec![(NAMESPACE_DEFAULT.to_owned(), settings.data.clone())];
    let beside = settings.data.as_deref().map(|dir| dir.join(DIRECTORY));
    for name in &settings.namespaces.0 {
        all.push((name.clone(), beside.as_deref().map(|dir| dir.join(name))));
    }
    let there = settings.data.as_deref().map(data::namespaces).unwrap_or_default();
    for (name, _) in there.iter().filter(|(name, _)| !settings.namespaces.0.contains(name)) {
        tracing::warn!("the namespace {name} has data and is not served: --namespaces names it");
    }
    all
}

/// Opens a storage.
pub(crate) fn open(
    dir: Option<&Path>,
    settings: &Settings,
) -> Result<Box<dyn Storage>, StorageError> {
    Ok(match dir {
        Some(dir) => Box::new(FileStorage::open(dir, settings.segment_bytes.0)?),
        None => Box::new(VolatileStorage),
    })
}

/// Begins the recording of a namespace: in the file that is named, or beside it.
fn tape(file: &Path, namespace: &str) -> Result<Tape, Error> {
    let mut path = file.as_os_str().to_owned();
    if namespace != NAMESPACE_DEFAULT {
        path.push(".");
        path.push(namespace);
    }
    Tape::new(Path::new(&path), namespace).map_err(Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_namespace_among_its_parameters() {
        for (uri, name) in [
            ("/ws", None),
            ("/ws?other=1", None),
            ("/ws?namespace=orders", Some("orders")),
            ("/v1/queues?max=1&namespace=a.b-c", Some("a.b-c")),
        ] {
            assert_eq!(named(&uri.parse().expect("a URI")), name, "{uri}");
        }
    }
}
