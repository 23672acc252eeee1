//! The page: what is counted and what there is, as Prometheus reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fanlight_core::{Code, Span, Time, WorkMeasure};

use super::page::{Family, Kind, Label, Page};
use super::process::Process;
use super::state::State;
use super::{Entrance, Metrics, Number, SYNC_SECONDS};

/// A namespace on the page.
pub(crate) struct Row<'a> {
    /// What it is called.
    pub(crate) namespace: &'a str,
    /// What it counts.
    pub(crate) metrics: &'a Metrics,
    /// What it holds.
    pub(crate) state: &'a State,
}

/// Writes the page.
pub(crate) fn render(entrance: &Entrance, rows: &[Row<'_>]) -> String {
    let mut page = Page::default();
    process(&mut page, entrance, Process::read());
    doors(&mut page, entrance);
    counted(&mut page, rows);
    refusals(&mut page, rows);
    syncs(&mut page, rows);
    moments(&mut page, rows);
    queues(&mut page, rows);
    work(&mut page, rows);
    topics(&mut page, rows);
    groups(&mut page, rows);
    left_out(&mut page, rows);
    page.into_text()
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

fn seconds(span: Span) -> f64 {
    Duration::from_nanos(span.0).as_secs_f64()
}

/// How old something is that came then; nothing that is not there is old.
fn age(now: Time, at: Option<Time>) -> f64 {
    at.map_or(0.0, |at| seconds(now.since(at)))
}

/// By the names that Prometheus' own client libraries use.
fn process(page: &mut Page, entrance: &Entrance, process: Process) {
    let started = entrance.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut one = |name, help, value: Option<f64>| {
        let mut samples = page.common(gauge(name, help));
        if let Some(value) = value {
            samples.add(&[], value);
        }
    };
    one(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        Some(started.as_secs_f64()),
    );
    let number = |n: Option<u64>| n.map(|n| n as f64);
    one(
        "process_resident_memory_bytes",
        "Memory of the process that is resident.",
        number(process.resident_bytes),
    );
    one("process_open_fds", "Open file descriptors.", number(process.fds));
    one(
        "process_max_fds",
        "File descriptors that may be open, by the limit in force.",
        number(process.fds_max),
    );
    let build = gauge("build_info", "1; which version runs is in the label.");
    page.family(build).add(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}

fn doors(page: &mut Page, entrance: &Entrance) {
    let Entrance {
        started_at: _,
        connections,
        connections_accepted,
        sockets_refused,
        logins_failed,
        sent_bytes,
        spans_exported,
        spans_dropped,
    } = entrance;
    for (family, number) in [
        (gauge("connections", "Open WebSocket connections."), connections),
        (
            counter("connections_accepted_total", "WebSocket connections accepted."),
            connections_accepted,
        ),
        (
            counter("sockets_refused_total", "Sockets closed because as many as may be were open."),
            sockets_refused,
        ),
        (
            counter(
                "logins_failed_total",
                "Requests whose user, password or token was missing or not valid.",
            ),
            logins_failed,
        ),
        (counter("sent_bytes_total", "Bytes of frames sent to clients."), sent_bytes),
        (counter("spans_exported_total", "Spans that the collector took."), spans_exported),
        (
            counter(
                "spans_dropped_total",
                "Spans that had no place, or that the collector did not take.",
            ),
            spans_dropped,
        ),
    ] {
        page.family(family).add(&[], number.read());
    }
}

type Of = fn(&Metrics) -> &Number;

const COUNTED: [(Family, Of); 18] = [
    (counter("frames_received_total", "Frames received from clients."), |m| &m.frames_received),
    (
        counter("frames_refused_total", "Frames that did not decode or that clients may not send."),
        |m| &m.frames_refused,
    ),
    (counter("received_bytes_total", "Bytes of frames received."), |m| &m.received_bytes),
    (counter("messages_published_total", "Messages published, each counted once."), |m| {
        &m.messages_published
    }),
    (
        counter(
            "messages_stored_total",
            "Messages published, counted in each log that they came to.",
        ),
        |m| &m.messages_stored,
    ),
    (
        counter(
            "messages_delivered_total",
            "Messages delivered, polled or read, every attempt counted.",
        ),
        |m| &m.messages_delivered,
    ),
    (
        counter("messages_settled_total", "Messages of queues acknowledged, dropped or purged."),
        |m| &m.messages_settled,
    ),
    (counter("messages_dead_lettered_total", "Messages moved to a dead-letter queue."), |m| {
        &m.messages_dead_lettered
    }),
    (
        counter(
            "activities_dropped_total",
            "Activities not shown to watchers that read too slowly.",
        ),
        |m| &m.activities_dropped,
    ),
    (gauge("batches_memory_bytes", "Bytes of batches that are held in memory, about."), |m| {
        &m.batches_memory_bytes
    }),
    (gauge("journal_bytes", "Bytes that the journal takes."), |m| &m.journal_bytes),
    (gauge("journal_segments", "Files of the journal."), |m| &m.journal_segments),
    (counter("journal_written_bytes_total", "Bytes of facts written."), |m| {
        &m.journal_written_bytes
    }),
    (counter("journal_entries_total", "Entries written to the journal."), |m| &m.journal_entries),
    (counter("journal_syncs_total", "Syncs of the journal."), |m| &m.syncs.count),
    (gauge("bodies_bytes", "Bytes of the files of batches that are not held in memory."), |m| {
        &m.bodies_bytes
    }),
    (counter("snapshots_total", "Snapshots stored."), |m| &m.snapshots),
    (gauge("snapshot_bytes", "Bytes of the newest snapshot."), |m| &m.snapshot_bytes),
];

fn counted(page: &mut Page, rows: &[Row<'_>]) {
    for (family, of) in COUNTED {
        let mut samples = page.family(family);
        for Row { namespace, metrics, .. } in rows {
            samples.add(&[("namespace", namespace)], of(metrics).read());
        }
    }
}

fn refusals(page: &mut Page, rows: &[Row<'_>]) {
    let mut samples =
        page.family(counter("refusals_total", "Requests refused, by the code of the refusal."));
    for Row { namespace, metrics, .. } in rows {
        for (code, number) in Code::ALL.iter().zip(&metrics.refusals.0) {
            let (value, name) = (code.number().to_string(), format!("{code:?}"));
            let labels = [("namespace", *namespace), ("code", &value), ("name", &name)];
            samples.add(&labels, number.read());
        }
    }
}

fn syncs(page: &mut Page, rows: &[Row<'_>]) {
    let mut samples = page.family(Family {
        name: "journal_sync_seconds",
        kind: Kind::Histogram,
        help: "How long a sync of the journal took.",
    });
    for Row { namespace, metrics, .. } in rows {
        let namespace = ("namespace", *namespace);
        // Read once, so that no bucket holds more than all together.
        let count = metrics.syncs.count.read();
        for (bound, bucket) in SYNC_SECONDS.iter().zip(&metrics.syncs.buckets) {
            let le = bound.to_string();
            samples.part("_bucket", &[namespace, ("le", &le)], bucket.read().min(count));
        }
        samples.part("_bucket", &[namespace, ("le", "+Inf")], count);
        let sum = Duration::from_nanos(metrics.syncs.nanoseconds.read()).as_secs_f64();
        samples.part("_sum", &[namespace], sum);
        samples.part("_count", &[namespace], count);
    }
}

/// What is told in seconds, and what the broker holds in all.
fn moments(page: &mut Page, rows: &[Row<'_>]) {
    let mut samples = page.family(gauge(
        "snapshot_age_seconds",
        "How long ago the newest snapshot was taken; not there before the first.",
    ));
    let now = SystemTime::now();
    for Row { namespace, metrics, .. } in rows {
        let at = metrics.snapshot_at.read();
        if at > 0 {
            let taken = UNIX_EPOCH + Duration::from_millis(at);
            let age = now.duration_since(taken).unwrap_or_default().as_secs_f64();
            samples.add(&[("namespace", namespace)], age);
        }
    }
    let help = "How long it took at the start to read the snapshot and the journal.";
    let mut samples = page.family(gauge("recovery_seconds", help));
    for Row { namespace, metrics, .. } in rows {
        let took = Duration::from_nanos(metrics.recovery_nanoseconds.read()).as_secs_f64();
        samples.add(&[("namespace", namespace)], took);
    }
    let help = "Bytes of all records that the broker holds, in memory and on disk.";
    let mut samples = page.family(gauge("stored_bytes", help));
    for Row { namespace, state, .. } in rows {
        samples.add(&[("namespace", namespace)], state.stored_bytes);
    }
}

fn states(work: &WorkMeasure) -> [(&'static str, u64); 5] {
    [
        ("ready", work.ready),
        ("leased", work.leased),
        ("delayed", work.delayed),
        ("blocked", work.blocked),
        ("held", work.held),
    ]
}

fn queues(page: &mut Page, rows: &[Row<'_>]) {
    let help = "Unsettled messages of a queue, by what they wait for.";
    let mut samples = page.family(gauge("queue_messages", help));
    for Row { namespace, state, .. } in rows {
        for queue in &state.measures.queues {
            for (what, count) in states(&queue.work) {
                let labels = [("namespace", *namespace), ("queue", &queue.name), ("state", what)];
                samples.add(&labels, count);
            }
        }
    }
    let help = "Unsettled messages of a queue to which another sends its dead letters; other queues \
                have no such sample.";
    let mut samples = page.family(gauge("queue_dead_letters", help));
    for Row { namespace, state, .. } in rows {
        for queue in state.measures.queues.iter().filter(|queue| queue.takes_dead_letters) {
            let count: u64 = states(&queue.work).into_iter().map(|(_, count)| count).sum();
            samples.add(&[("namespace", namespace), ("queue", &queue.name)], count);
        }
    }
    type OfQueue = fn(&fanlight_core::QueueMeasure) -> u64;
    let totals: [(Family, OfQueue); 2] = [
        (gauge("queue_bytes", "Bytes of a queue's records."), |queue| queue.bytes),
        (
            counter("queue_published_total", "Messages that came to a queue since it was made."),
            |queue| queue.stored,
        ),
    ];
    for (family, of) in totals {
        let mut samples = page.family(family);
        for Row { namespace, state, .. } in rows {
            for queue in &state.measures.queues {
                samples.add(&[("namespace", namespace), ("queue", &queue.name)], of(queue));
            }
        }
    }
}

type OfWork = fn(&WorkMeasure, Time) -> f64;

/// What queues and the parts of work groups have both: the name after `queue_` and `work_group_`.
const WORK: [(&str, &str, Kind, &str, OfWork); 6] = [
    (
        "queue_delivered_total",
        "work_group_delivered_total",
        Kind::Counter,
        "Messages handed out since the server started, every attempt counted.",
        |work, _| work.delivered as f64,
    ),
    (
        "queue_acknowledged_total",
        "work_group_acknowledged_total",
        Kind::Counter,
        "Messages acknowledged since the server started.",
        |work, _| work.acked as f64,
    ),
    (
        "queue_dead_lettered_total",
        "work_group_dead_lettered_total",
        Kind::Counter,
        "Messages that died here since the server started.",
        |work, _| work.dead_lettered as f64,
    ),
    (
        "queue_dropped_total",
        "work_group_dropped_total",
        Kind::Counter,
        "Messages that died here since the server started, and that no queue keeps.",
        |work, _| work.dropped as f64,
    ),
    (
        "queue_oldest_seconds",
        "work_group_oldest_seconds",
        Kind::Gauge,
        "How long ago the oldest unsettled message came; 0: there is none.",
        |work, now| age(now, work.oldest_at),
    ),
    ("queue_consumers", "work_group_consumers", Kind::Gauge, "Consumers.", |work, _| {
        work.consumers as f64
    }),
];

fn work(page: &mut Page, rows: &[Row<'_>]) {
    for (name, _, kind, help, of) in WORK {
        let mut samples = page.family(Family { name, kind, help });
        for Row { namespace, state, .. } in rows {
            for queue in &state.measures.queues {
                let labels = [("namespace", *namespace), ("queue", &queue.name)];
                samples.add(&labels, of(&queue.work, state.now));
            }
        }
    }
    let help = "Unsettled messages of a work group in a partition, by what they wait for.";
    let mut samples = page.family(gauge("work_group_messages", help));
    each_part(rows, |labels, work, _| {
        for (what, count) in states(work) {
            let [namespace, group, topic, partition] = *labels;
            samples.add(&[namespace, group, topic, partition, ("state", what)], count);
        }
    });
    for (_, name, kind, help, of) in WORK {
        let mut samples = page.family(Family { name, kind, help });
        each_part(rows, |labels, work, now| samples.add(labels, of(work, now)));
    }
}

fn each_part(rows: &[Row<'_>], mut each: impl FnMut(&[Label<'_>; 4], &WorkMeasure, Time)) {
    for Row { namespace, state, .. } in rows {
        for part in &state.measures.parts {
            let partition = part.partition.to_string();
            let labels = [
                ("namespace", *namespace),
                ("group", part.group.as_str()),
                ("topic", part.topic.as_str()),
                ("partition", partition.as_str()),
            ];
            each(&labels, &part.work, state.now);
        }
    }
}

fn topics(page: &mut Page, rows: &[Row<'_>]) {
    type OfPartition = fn(&fanlight_core::PartitionMeasure) -> u64;
    let of: [(Family, OfPartition); 3] = [
        (gauge("partition_start_offset", "The offset of a partition's oldest record."), |p| {
            p.start
        }),
        (
            gauge(
                "partition_end_offset",
                "The offset after a partition's newest record: how many ever came.",
            ),
            |p| p.end,
        ),
        (gauge("partition_bytes", "Bytes of a partition's records."), |p| p.bytes),
    ];
    for (family, of) in of {
        let mut samples = page.family(family);
        for Row { namespace, state, .. } in rows {
            for at in &state.measures.partitions {
                let partition = at.partition.to_string();
                let labels = [
                    ("namespace", *namespace),
                    ("topic", &at.topic),
                    ("partition", partition.as_str()),
                ];
                samples.add(&labels, of(at));
            }
        }
    }
}

fn groups(page: &mut Page, rows: &[Row<'_>]) {
    type OfGroup = fn(&fanlight_core::GroupMeasure) -> u64;
    let of: [(Family, OfGroup); 2] = [
        (gauge("group_members", "Members of a consumer group."), |group| group.members),
        (
            gauge("group_generation", "How often the assignment of a consumer group changed."),
            |group| group.generation,
        ),
    ];
    for (family, of) in of {
        let mut samples = page.family(family);
        for Row { namespace, state, .. } in rows {
            for group in &state.measures.groups {
                samples.add(&[("namespace", namespace), ("group", &group.name)], of(group));
            }
        }
    }
    type OfLag = fn(&fanlight_core::LagMeasure, Time) -> f64;
    let of: [(Family, OfLag); 2] = [
        (
            gauge("group_lag_messages", "Records of a partition that a group has not committed."),
            |lag, _| lag.messages as f64,
        ),
        (
            gauge(
                "group_lag_seconds",
                "How long ago the oldest record came that a group has not committed; 0: there is \
                 none.",
            ),
            |lag, now| age(now, lag.oldest_at),
        ),
    ];
    for (family, of) in of {
        let mut samples = page.family(family);
        for Row { namespace, state, .. } in rows {
            for group in &state.measures.groups {
                for lag in &group.lags {
                    let partition = lag.partition.to_string();
                    let labels = [
                        ("namespace", *namespace),
                        ("group", &group.name),
                        ("topic", &lag.topic),
                        ("partition", &partition),
                    ];
                    samples.add(&labels, of(lag, state.now));
                }
            }
        }
    }
}

fn left_out(page: &mut Page, rows: &[Row<'_>]) {
    let help = "Queues, topics, groups and work groups that have no samples of their own here, \
                because that were more than metrics.samples_max.";
    let mut samples = page.family(gauge("metrics_left_out", help));
    for Row { namespace, state, .. } in rows {
        for (kind, count) in state.left_out() {
            samples.add(&[("namespace", namespace), ("kind", kind)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(metrics: &Metrics) -> String {
        let state = State::default();
        let row = Row { namespace: "n", metrics, state: &state };
        render(&Entrance::default(), &[row])
    }

    #[test]
    fn a_sync_falls_into_every_bucket_that_holds_it() {
        let metrics = Metrics::default();
        metrics.synced(Duration::from_millis(3));
        metrics.synced(Duration::from_secs(2));
        let page = page(&metrics);
        for line in [
            "fanlight_journal_sync_seconds_bucket{namespace=\"n\",le=\"0.0025\"} 0",
            "fanlight_journal_sync_seconds_bucket{namespace=\"n\",le=\"0.005\"} 1",
            "fanlight_journal_sync_seconds_bucket{namespace=\"n\",le=\"1\"} 1",
            "fanlight_journal_sync_seconds_bucket{namespace=\"n\",le=\"+Inf\"} 2",
            "fanlight_journal_sync_seconds_sum{namespace=\"n\"} 2.003",
            "fanlight_journal_syncs_total{namespace=\"n\"} 2",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn refusals_are_counted_by_code() {
        let metrics = Metrics::default();
        metrics.refused(Code::QueueFull);
        metrics.refused(Code::QueueFull);
        let page = page(&metrics);
        let line = "fanlight_refusals_total{namespace=\"n\",code=\"401\",name=\"QueueFull\"} 2";
        assert!(page.lines().any(|l| l == line), "{page}");
    }
}
