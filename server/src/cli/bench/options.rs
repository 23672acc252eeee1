//! What a run is asked for, and whether that makes sense.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use fanlight_core::limits::BATCH_RECORDS_MAX;

use super::floor::Floor;
use crate::cli::failure::Failure;
use crate::settings::SyncPolicy;

/// Bytes of each body that say when the message was due, and which one it is.
pub(super) const STAMP_BYTES: usize = 16;

/// How much to measure, and of what.
#[derive(Clone, clap::Args)]
#[command(
    after_help = "Publishes to topics or queues of its own, which it removes afterwards, and consumes \
                  what it published. With --rate, messages are due at a schedule, and latency counts \
                  from when a message was due. Without, each producer publishes as fast as it is \
                  answered, and latency counts from the sending. With --sync, it starts a server of \
                  its own on a directory of its own, and removes both.\n\n\
                  Examples:\n  \
                  fanlight bench --workload queue --rate 20000 --duration 30s\n  \
                  fanlight bench --workload stream --size 1024 --batch 256 --sync never --floor"
)]
pub(crate) struct Options {
    /// What messages go through
    #[arg(long, value_enum, default_value = "stream")]
    workload: Workload,
    /// Messages a second, of all producers together; without it, as many as are answered
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// How long to measure, after the warm-up
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Measure so many messages instead of so long
    #[arg(long, value_name = "N", conflicts_with = "duration",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    messages: Option<u64>,
    /// How long to run before anything counts
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Bytes of each message's body, of which 16 say which message it is
    #[arg(long, default_value_t = 1024, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(STAMP_BYTES as u64..=(1 << 20)))]
    size: u64,
    /// Messages that are published together
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=BATCH_RECORDS_MAX as u64))]
    batch: u64,
    /// Connections that publish
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    producers: u64,
    /// Connections that consume; of a stream, each has a partition of its own; in a fan-out, a queue
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=1_000))]
    consumers: u64,
    /// Connections beside those that do nothing
    #[arg(long, default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u64).range(0..=100_000))]
    idle: u64,
    /// Messages of each producer that have been published and not answered
    #[arg(long, default_value_t = 256, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    in_flight: u64,
    /// Messages that each consumer has in hand; of a stream, the most that one read brings
    #[arg(long, default_value_t = 256, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=65_535))]
    outstanding: u64,
    /// Messages that were published and not yet consumed; producers wait when there are so many. A
    /// stream keeps little more than those
    #[arg(long, default_value_t = 50_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    backlog: u64,
    /// Consume when everything is published, each measured alone; needs --messages
    #[arg(long, requires = "messages")]
    apart: bool,
    /// Threads of the measuring program; without it, one a core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: Option<u64>,
    /// Start a server of its own, whose journal is synced like this: always, interval or never; or
    /// `memory`, to keep nothing
    #[arg(long, value_name = "POLICY", value_parser = OwnSync::parse)]
    sync: Option<OwnSync>,
    /// Where that server's data lies meanwhile, in a directory of its own
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also measure what the machine does without a broker: a loopback echo, and appends with
    /// syncs, of the same bytes; results are then also ratios to those
    #[arg(long)]
    floor: bool,
}

/// What messages go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// A topic with a partition for each consumer, read without a group
    Stream,
    /// A queue; every message is acknowledged by a request of its own
    Queue,
    /// A queue; messages are acknowledged as many at once as were delivered at once
    QueueBatch,
    /// An exchange that copies every message into a queue for each consumer; as queue-batch
    Fanout,
    /// Nothing: only what --floor measures
    Floor,
}

impl Workload {
    pub(super) fn name(self) -> &'static str {
        match self {
            Workload::Stream => "stream",
            Workload::Queue => "queue",
            Workload::QueueBatch => "queue-batch",
            Workload::Fanout => "fanout",
            Workload::Floor => "floor",
        }
    }
}

/// What a server of the run's own keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnSync {
    /// Nothing.
    Memory,
    /// A journal.
    Journal(SyncPolicy),
}

impl OwnSync {
    fn parse(text: &str) -> Result<OwnSync, String> {
        if text == "memory" {
            return Ok(OwnSync::Memory);
        }
        [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never]
            .into_iter()
            .find(|policy| policy.name() == text)
            .map(OwnSync::Journal)
            .ok_or_else(|| "it is always, interval, never or memory".to_owned())
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            OwnSync::Memory => "memory",
            OwnSync::Journal(policy) => policy.name(),
        }
    }
}

/// When a run has measured enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Time(Duration),
    Messages(u64),
}

/// What a run does.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    pub(super) has_workload: bool,
    pub(super) rate: Option<u64>,
    pub(super) extent: Extent,
    pub(super) warmup: Duration,
    pub(super) size: usize,
    pub(super) batch: usize,
    pub(super) producers: usize,
    pub(super) consumers: usize,
    pub(super) idle: usize,
    pub(super) in_flight: usize,
    pub(super) outstanding: u32,
    pub(super) backlog: usize,
    pub(super) apart: bool,
    pub(super) threads: usize,
    pub(super) sync: Option<OwnSync>,
    pub(super) dir: Option<PathBuf>,
    pub(super) floor: Option<Floor>,
}

impl Plan {
    /// In how many places each message comes to lie.
    pub(super) fn copies(&self) -> u64 {
        if self.workload == Workload::Fanout { self.consumers as u64 } else { 1 }
    }
}

impl Options {
    /// What to do, if it can be done.
    pub(super) fn plan(self) -> Result<Plan, Failure> {
        let extent = self.messages.map_or(Extent::Time(self.duration), Extent::Messages);
        if extent == Extent::Time(Duration::ZERO) {
            return Err(Failure::usage("--duration is zero, so nothing would be measured"));
        }
        if self.in_flight < self.batch || self.backlog < self.batch {
            return Err(Failure::usage(format!(
                "--batch {} is more than may be on the way: raise --in-flight {} or --backlog {}",
                self.batch, self.in_flight, self.backlog
            )));
        }
        if self.data.is_some() && !matches!(self.sync, Some(OwnSync::Journal(_))) {
            return Err(Failure::usage(
                "--data is where a server of its own keeps its journal: say with --sync how",
            ));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let has_workload = self.workload != Workload::Floor;
        let floor = (self.floor || !has_workload).then(|| Floor::of(self.data.clone()));
        Ok(Plan {
            workload: self.workload,
            has_workload,
            rate: self.rate,
            extent,
            // What is published before anything is consumed has no moment to warm up in.
            warmup: if self.apart { Duration::ZERO } else { self.warmup },
            size: self.size as usize,
            batch: self.batch as usize,
            producers: self.producers as usize,
            consumers: self.consumers as usize,
            idle: self.idle as usize,
            in_flight: self.in_flight as usize,
            outstanding: self.outstanding as u32,
            backlog: self.backlog as usize,
            apart: self.apart,
            threads: self.threads.map_or(cores, |threads| threads as usize),
            sync: self.sync,
            dir: self.data,
            floor,
        })
    }
}
