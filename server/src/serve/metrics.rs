//! What the server counts, and how Prometheus reads it.
//!
//! What comes in by the doors is counted once for the server ([`Entrance`]), what shards and
//! journals do for each namespace ([`Metrics`]). What there is (queues, groups, topics) is not
//! counted: a scrape asks the shard for it, a bounded piece at a time ([`State`]).

mod page;
mod process;
mod render;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fanlight_core::Code;

use super::namespaces::Namespaces;
use render::{Row, render};
use state::State;

/// Upper bounds of the histogram of syncs, in seconds.
const SYNC_SECONDS: [f64; 11] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// A number that only rises, or a gauge that its owner sets.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    /// Adds to it.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes from it.
    pub(crate) fn subtract(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Sets it.
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Reads it.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The page of a server, with at most about so many samples of what there is in its namespaces; None
/// if one of them is gone.
pub(crate) async fn page(
    entrance: &Entrance,
    namespaces: &Namespaces,
    samples_max: usize,
) -> Option<String> {
    let mut states = Vec::new();
    for namespace in namespaces.all() {
        let samples_max = samples_max / namespaces.all().count();
        states.push((namespace, State::ask(&namespace.shard, samples_max).await?));
    }
    let rows = states.iter().map(|(namespace, state)| Row {
        namespace: &namespace.name,
        metrics: &namespace.metrics,
        state,
    });
    Some(render(entrance, &rows.collect::<Vec<_>>()))
}

/// What is counted at the doors, for all namespaces together.
#[derive(Debug)]
pub(crate) struct Entrance {
    started_at: SystemTime,
    pub(crate) connections: Number,
    pub(crate) connections_accepted: Number,
    pub(crate) sockets_refused: Number,
    pub(crate) logins_failed: Number,
    pub(crate) sent_bytes: Number,
    pub(crate) spans_exported: Number,
    pub(crate) spans_dropped: Number,
}

impl Default for Entrance {
    fn default() -> Entrance {
        Entrance {
            started_at: SystemTime::now(),
            connections: Number::default(),
            connections_accepted: Number::default(),
            sockets_refused: Number::default(),
            logins_failed: Number::default(),
            sent_bytes: Number::default(),
            spans_exported: Number::default(),
            spans_dropped: Number::default(),
        }
    }
}

/// What a namespace's shard and journal count.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) frames_received: Number,
    pub(crate) frames_refused: Number,
    pub(crate) received_bytes: Number,
    pub(crate) messages_published: Number,
    pub(crate) messages_stored: Number,
    pub(crate) messages_delivered: Number,
    pub(crate) messages_settled: Number,
    pub(crate) messages_dead_lettered: Number,
    pub(crate) activities_dropped: Number,
    /// Bytes of batches that are held in memory.
    pub(crate) batches_memory_bytes: Number,
    pub(crate) journal_bytes: Number,
    pub(crate) journal_segments: Number,
    pub(crate) journal_written_bytes: Number,
    pub(crate) journal_entries: Number,
    pub(crate) bodies_bytes: Number,
    pub(crate) snapshots: Number,
    /// When the newest snapshot was taken, in milliseconds since 1970; zero: there is none.
    pub(crate) snapshot_at: Number,
    pub(crate) snapshot_bytes: Number,
    pub(crate) recovery_nanoseconds: Number,
    refusals: Refusals,
    syncs: Syncs,
}

#[derive(Debug)]
struct Refusals([Number; Code::ALL.len()]);

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals(std::array::from_fn(|_| Number::default()))
    }
}

#[derive(Debug, Default)]
struct Syncs {
    buckets: [Number; SYNC_SECONDS.len()],
    count: Number,
    nanoseconds: Number,
}

impl Metrics {
    /// Counts a refusal.
    pub(crate) fn refused(&self, code: Code) {
        if let Some(index) = Code::ALL.iter().position(|c| *c == code) {
            self.refusals.0[index].add(1);
        }
    }

    /// Counts a sync of the journal.
    pub(crate) fn synced(&self, took: Duration) {
        self.syncs.count.add(1);
        self.syncs.nanoseconds.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let seconds = took.as_secs_f64();
        for (bound, bucket) in SYNC_SECONDS.iter().zip(&self.syncs.buckets) {
            if seconds <= *bound {
                bucket.add(1);
            }
        }
    }

    /// How many syncs there were.
    #[cfg(test)]
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.count.read()
    }
}
