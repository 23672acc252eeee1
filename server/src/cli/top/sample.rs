//! What two looks at the broker say together: rates.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use serde_json::{Value, json};

use fanlight_core::{GroupView, Overview, QueueView, Span, Time, TopicView, WorkGroupView};

use super::{Only, rounded};

/// How many looks back a row's past goes.
const PAST_MAX: usize = 60;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RowKind {
    Queue,
    WorkGroup,
    Topic,
    Group,
}

impl RowKind {
    pub(super) fn noun(self) -> &'static str {
        match self {
            RowKind::Queue => "queue",
            RowKind::WorkGroup => "work",
            RowKind::Topic => "topic",
            RowKind::Group => "group",
        }
    }

    pub(super) fn is_among(self, only: Only) -> bool {
        match only {
            Only::All => true,
            Only::Queues => matches!(self, RowKind::Queue | RowKind::WorkGroup),
            Only::Topics => self == RowKind::Topic,
            Only::Groups => self == RowKind::Group,
        }
    }
}

/// A queue, topic or group, as it is now and since the last look.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kind: RowKind,
    pub(super) name: String,
    /// Messages that wait; of a topic its records, of a group its lag.
    pub(super) depth: u64,
    /// By how much that rose since the last look.
    pub(super) growth: i128,
    /// Messages that came, a second.
    pub(super) came: f64,
    /// Messages that are done, a second; of a topic nothing ever is.
    pub(super) went: Option<f64>,
    /// Messages in hand: leased, or polled and not committed.
    pub(super) held: Option<u64>,
    /// How long the oldest has waited.
    pub(super) oldest: Option<Span>,
    /// Consumers or members.
    pub(super) readers: Option<u64>,
    /// What came a second, look by look, the newest last.
    pub(super) past: Vec<f64>,
}

impl Row {
    /// It for programs.
    pub(super) fn shown(&self) -> Value {
        json!({
            "kind": match self.kind {
                RowKind::WorkGroup => "workGroup",
                RowKind::Queue | RowKind::Topic | RowKind::Group => self.kind.noun(),
            },
            "name": self.name,
            "depth": self.depth,
            "inPerSecond": rounded(self.came),
            "outPerSecond": self.went.map(rounded),
            "held": self.held,
            "oldestSeconds": self.oldest.map(|span| span.as_millis() as f64 / 1_000.0),
            "readers": self.readers,
        })
    }
}

/// All rows together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Into queues and topics, a second.
    pub(super) came: f64,
    /// Out of queues, and committed by groups, a second.
    pub(super) went: f64,
    /// In queues.
    pub(super) waiting: u64,
    /// In hand, of queues.
    pub(super) held: u64,
    /// Of groups.
    pub(super) lag: u64,
}

/// What is to be seen after a look.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) now: Time,
    pub(super) stored_bytes: u64,
    pub(super) connections: usize,
    pub(super) totals: Totals,
    pub(super) rows: Vec<Row>,
}

/// What is counted of a row, and only rises.
#[derive(Clone, Debug, Default)]
struct Counted {
    came: u64,
    went: u64,
    depth: u64,
    past: VecDeque<f64>,
}

/// Remembers the last look.
#[derive(Default)]
pub(super) struct Sampler {
    last: Option<Instant>,
    counted: HashMap<(RowKind, String), Counted>,
}

/// A row before its rates are known.
struct Raw {
    kind: RowKind,
    name: String,
    came: u64,
    went: Option<u64>,
    depth: u64,
    held: Option<u64>,
    oldest_at: Option<Time>,
    readers: Option<usize>,
}

impl Raw {
    fn queue(queue: &QueueView) -> Raw {
        Raw {
            kind: RowKind::Queue,
            name: queue.name.clone(),
            came: queue.end.0,
            went: Some(queue.acked + queue.dead_lettered + queue.dropped),
            depth: queue.ready + queue.delayed + queue.blocked + queue.held,
            held: Some(queue.leased),
            oldest_at: queue.oldest_at,
            readers: Some(queue.consumers.len()),
        }
    }

    fn work_group(group: &WorkGroupView) -> Raw {
        let parts: Vec<Raw> = group.parts.iter().map(Raw::queue).collect();
        Raw {
            kind: RowKind::WorkGroup,
            name: group.name.clone(),
            came: parts.iter().map(|part| part.came).sum(),
            went: Some(parts.iter().filter_map(|part| part.went).sum()),
            depth: parts.iter().map(|part| part.depth).sum(),
            held: Some(parts.iter().filter_map(|part| part.held).sum()),
            oldest_at: parts.iter().filter_map(|part| part.oldest_at).min(),
            // Each is a consumer of all parts.
            readers: parts.iter().filter_map(|part| part.readers).max(),
        }
    }

    fn topic(topic: &TopicView) -> Raw {
        let parts = &topic.partitions;
        Raw {
            kind: RowKind::Topic,
            name: topic.name.clone(),
            came: parts.iter().map(|part| part.end.0).sum(),
            went: None,
            depth: parts.iter().map(|part| part.end.0.saturating_sub(part.start.0)).sum(),
            held: None,
            oldest_at: None,
            readers: None,
        }
    }

    fn group(group: &GroupView) -> Raw {
        let parts = &group.partitions;
        let polled = parts.iter().map(|part| {
            let committed = part.end.0.saturating_sub(part.lag);
            part.position.map_or(0, |position| position.0.saturating_sub(committed))
        });
        Raw {
            kind: RowKind::Group,
            name: group.name.clone(),
            came: parts.iter().map(|part| part.end.0).sum(),
            went: Some(parts.iter().map(|part| part.end.0.saturating_sub(part.lag)).sum()),
            depth: parts.iter().map(|part| part.lag).sum(),
            held: Some(polled.sum()),
            oldest_at: parts.iter().filter_map(|part| part.oldest_at).min(),
            readers: Some(group.members.len()),
        }
    }
}

impl Sampler {
    /// Takes a look; rates are since the one before, and zero at the first. They go by this
    /// machine's time: the broker's may stand still.
    pub(super) fn take(&mut self, overview: Overview, at: Instant) -> Picture {
        let now = overview.now;
        let seconds = self.last.map_or(0.0, |last| at.duration_since(last).as_secs_f64());
        self.last = Some(at);
        let raws = overview.queues.iter().map(Raw::queue);
        let raws = raws.chain(overview.work_groups.iter().map(Raw::work_group));
        let raws = raws.chain(overview.topics.iter().map(Raw::topic));
        let raws = raws.chain(overview.groups.iter().map(Raw::group));
        let mut before = std::mem::take(&mut self.counted);
        let rows: Vec<Row> = raws.map(|raw| self.row(raw, &mut before, now, seconds)).collect();
        let mut totals = Totals::default();
        for row in &rows {
            if matches!(row.kind, RowKind::Queue | RowKind::Topic) {
                totals.came += row.came;
            }
            totals.went += row.went.unwrap_or_default();
            match row.kind {
                RowKind::Queue | RowKind::WorkGroup => {
                    totals.waiting += row.depth;
                    totals.held += row.held.unwrap_or_default();
                }
                RowKind::Group => totals.lag += row.depth,
                RowKind::Topic => {}
            }
        }
        Picture {
            now,
            stored_bytes: overview.stored_bytes,
            connections: overview.connections.len(),
            totals,
            rows,
        }
    }

    fn row(
        &mut self,
        raw: Raw,
        before: &mut HashMap<(RowKind, String), Counted>,
        now: Time,
        seconds: f64,
    ) -> Row {
        let key = (raw.kind, raw.name.clone());
        let known = before.remove(&key);
        // What came to be since the last look began at zero, which is not a rate.
        let last = known.clone().unwrap_or(Counted {
            came: raw.came,
            went: raw.went.unwrap_or_default(),
            depth: raw.depth,
            past: VecDeque::new(),
        });
        let per_second = |now: u64, last: u64| match seconds > 0.0 {
            // Less than before: it was deleted, and is another now.
            true => now.saturating_sub(last) as f64 / seconds,
            false => 0.0,
        };
        let came = per_second(raw.came, last.came);
        let went = raw.went.map(|went| per_second(went, last.went));
        let mut past = last.past;
        if known.is_some() {
            past.push_back(came);
            if past.len() > PAST_MAX {
                past.pop_front();
            }
        }
        let row = Row {
            kind: raw.kind,
            name: raw.name,
            depth: raw.depth,
            growth: i128::from(raw.depth) - i128::from(last.depth),
            came,
            went,
            held: raw.held,
            oldest: raw.oldest_at.map(|at| now.since(at)),
            readers: raw.readers.map(|readers| readers as u64),
            past: past.iter().copied().collect(),
        };
        let counted =
            Counted { came: raw.came, went: raw.went.unwrap_or_default(), depth: raw.depth, past };
        self.counted.insert(key, counted);
        row
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanlight_core::{Offset, QueueId, QueuePolicy};

    use super::*;

    fn queue(end: u64, acked: u64) -> QueueView {
        QueueView {
            id: QueueId(1),
            name: "jobs".to_owned(),
            policy: QueuePolicy::default(),
            made_at: Time::ZERO,
            altered_at: Time::ZERO,
            ready: end - acked,
            leased: 0,
            delayed: 0,
            blocked: 0,
            held: 0,
            bytes: 0,
            end: Offset(end),
            acked,
            dead_lettered: 0,
            dropped: 0,
            oldest_at: None,
            consumers: Vec::new(),
        }
    }

    fn look(queue: QueueView) -> Overview {
        Overview { queues: vec![queue], ..Overview::default() }
    }

    #[test]
    fn rates_are_what_two_looks_differ_in_by_the_time_between() {
        let (mut sampler, start) = (Sampler::default(), Instant::now());
        let first = sampler.take(look(queue(100, 0)), start);
        assert_eq!((first.rows[0].came, first.rows[0].went), (0.0, Some(0.0)));
        let second = sampler.take(look(queue(150, 20)), start + Duration::from_millis(500));
        let row = &second.rows[0];
        assert_eq!((row.came, row.went, row.depth, row.growth), (100.0, Some(40.0), 130, 30));
        assert_eq!(row.past, [100.0]);
        assert_eq!((second.totals.came, second.totals.waiting), (100.0, 130));
    }

    #[test]
    fn a_queue_that_was_deleted_and_made_again_has_no_rate_below_zero() {
        let (mut sampler, start) = (Sampler::default(), Instant::now());
        sampler.take(look(queue(100, 50)), start);
        let later = start + Duration::from_secs(1);
        let row = sampler.take(look(queue(10, 0)), later).rows.remove(0);
        assert_eq!((row.came, row.went), (0.0, Some(0.0)));
    }
}
