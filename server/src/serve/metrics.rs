//! What the server counts, and how Prometheus reads it.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanlight_core::{Code, Overview};

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

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Number,
    pub(crate) connections_accepted: Number,
    pub(crate) sockets_refused: Number,
    pub(crate) logins_failed: Number,
    pub(crate) frames_received: Number,
    pub(crate) frames_refused: Number,
    pub(crate) received_bytes: Number,
    pub(crate) sent_bytes: Number,
    pub(crate) messages_published: Number,
    pub(crate) messages_stored: Number,
    pub(crate) messages_delivered: Number,
    pub(crate) messages_settled: Number,
    pub(crate) messages_dead_lettered: Number,
    pub(crate) activities_dropped: Number,
    pub(crate) journal_bytes: Number,
    pub(crate) journal_written_bytes: Number,
    pub(crate) journal_entries: Number,
    pub(crate) snapshots: Number,
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

    /// Prometheus' text format, version 0.0.4.
    pub(crate) fn render(&self, overview: &Overview) -> String {
        let mut page = Page(String::with_capacity(8 << 10));
        self.traffic(&mut page);
        self.journal(&mut page);
        state(overview, &mut page);
        page.0
    }

    fn traffic(&self, page: &mut Page) {
        page.one("connections", "gauge", "Open connections.", self.connections.read());
        for (name, help, number) in [
            ("connections_accepted_total", "Connections accepted.", &self.connections_accepted),
            (
                "sockets_refused_total",
                "Sockets closed because as many as may be were open.",
                &self.sockets_refused,
            ),
            (
                "logins_failed_total",
                "Requests whose user, password or token was missing or not valid.",
                &self.logins_failed,
            ),
            ("frames_received_total", "Frames received from clients.", &self.frames_received),
            (
                "frames_refused_total",
                "Frames that did not decode or that clients may not send.",
                &self.frames_refused,
            ),
            ("received_bytes_total", "Bytes of frames received.", &self.received_bytes),
            ("sent_bytes_total", "Bytes of frames sent.", &self.sent_bytes),
            (
                "messages_published_total",
                "Messages published, each counted once.",
                &self.messages_published,
            ),
            (
                "messages_stored_total",
                "Messages published, counted in each log that they came to.",
                &self.messages_stored,
            ),
            (
                "messages_delivered_total",
                "Messages delivered, polled or read, every attempt counted.",
                &self.messages_delivered,
            ),
            (
                "messages_settled_total",
                "Messages of queues acknowledged, dropped or purged.",
                &self.messages_settled,
            ),
            (
                "messages_dead_lettered_total",
                "Messages moved to a dead-letter queue.",
                &self.messages_dead_lettered,
            ),
            (
                "activities_dropped_total",
                "Activities not shown to watchers that read too slowly.",
                &self.activities_dropped,
            ),
        ] {
            page.one(name, "counter", help, number.read());
        }
        page.head("refusals_total", "counter", "Requests refused, by the code of the refusal.");
        for (code, number) in Code::ALL.iter().zip(&self.refusals.0) {
            let labels = [("code", format!("{}", code.number())), ("name", format!("{code:?}"))];
            page.sample("refusals_total", &labels, number.read());
        }
    }

    fn journal(&self, page: &mut Page) {
        page.one(
            "journal_bytes",
            "gauge",
            "Bytes that the journal takes.",
            self.journal_bytes.read(),
        );
        for (name, help, number) in [
            ("journal_written_bytes_total", "Bytes of facts written.", &self.journal_written_bytes),
            ("journal_entries_total", "Entries written to the journal.", &self.journal_entries),
            ("snapshots_total", "Snapshots stored.", &self.snapshots),
        ] {
            page.one(name, "counter", help, number.read());
        }
        page.one(
            "journal_syncs_total",
            "counter",
            "Syncs of the journal.",
            self.syncs.count.read(),
        );
        let name = "journal_sync_seconds";
        page.head(name, "histogram", "How long a sync of the journal took.");
        for (bound, bucket) in SYNC_SECONDS.iter().zip(&self.syncs.buckets) {
            let labels = [("le", bound.to_string())];
            page.sample("journal_sync_seconds_bucket", &labels, bucket.read());
        }
        let count = self.syncs.count.read();
        page.sample("journal_sync_seconds_bucket", &[("le", "+Inf".to_owned())], count);
        let seconds = Duration::from_nanos(self.syncs.nanoseconds.read()).as_secs_f64();
        page.sample("journal_sync_seconds_sum", &[], seconds);
        page.sample("journal_sync_seconds_count", &[], count);
    }
}

/// What a broker holds right now.
fn state(overview: &Overview, page: &mut Page) {
    page.one("stored_bytes", "gauge", "Bytes of all records held.", overview.stored_bytes);
    page.head("queue_messages", "gauge", "Unsettled messages of a queue, by what they wait for.");
    for queue in &overview.queues {
        for (state, count) in
            [("ready", queue.ready), ("leased", queue.leased), ("delayed", queue.delayed)]
        {
            let labels = [("queue", queue.name.clone()), ("state", state.to_owned())];
            page.sample("queue_messages", &labels, count);
        }
    }
    page.head("queue_bytes", "gauge", "Bytes of a queue's records.");
    for queue in &overview.queues {
        page.sample("queue_bytes", &[("queue", queue.name.clone())], queue.bytes);
    }
    page.head("queue_consumers", "gauge", "Consumers of a queue.");
    for queue in &overview.queues {
        let count = queue.consumers.len();
        page.sample("queue_consumers", &[("queue", queue.name.clone())], count);
    }
    page.head("partition_end_offset", "gauge", "The offset after a partition's newest record.");
    for topic in &overview.topics {
        for (index, partition) in topic.partitions.iter().enumerate() {
            let labels = [("topic", topic.name.clone()), ("partition", index.to_string())];
            page.sample("partition_end_offset", &labels, partition.end);
        }
    }
    page.head("group_lag_messages", "gauge", "Records that a group has not committed.");
    for group in &overview.groups {
        for at in &group.partitions {
            let labels = [
                ("group", group.name.clone()),
                ("topic", at.topic.clone()),
                ("partition", at.partition.to_string()),
            ];
            page.sample("group_lag_messages", &labels, at.lag);
        }
    }
    page.head("group_members", "gauge", "Members of a consumer group.");
    for group in &overview.groups {
        page.sample("group_members", &[("group", group.name.clone())], group.members.len());
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP fanlight_{name} {help}\n# TYPE fanlight_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, String)], value: impl fmt::Display) {
        let _ = write!(self.0, "fanlight_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_falls_into_every_bucket_that_holds_it() {
        let metrics = Metrics::default();
        metrics.synced(Duration::from_millis(3));
        metrics.synced(Duration::from_secs(2));
        let page = metrics.render(&Overview::default());
        for line in [
            "fanlight_journal_sync_seconds_bucket{le=\"0.0025\"} 0",
            "fanlight_journal_sync_seconds_bucket{le=\"0.005\"} 1",
            "fanlight_journal_sync_seconds_bucket{le=\"1\"} 1",
            "fanlight_journal_sync_seconds_bucket{le=\"+Inf\"} 2",
            "fanlight_journal_sync_seconds_sum 2.003",
            "fanlight_journal_syncs_total 2",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn refusals_are_counted_by_code() {
        let metrics = Metrics::default();
        metrics.refused(Code::QueueFull);
        metrics.refused(Code::QueueFull);
        let page = metrics.render(&Overview::default());
        let line = "fanlight_refusals_total{code=\"401\",name=\"QueueFull\"} 2";
        assert!(page.lines().any(|l| l == line), "{page}");
    }

    #[test]
    fn names_are_escaped_in_labels() {
        let mut page = Page(String::new());
        page.sample("x", &[("queue", "a\"b\\c\nd".to_owned())], 1);
        assert_eq!(page.0, "fanlight_x{queue=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
