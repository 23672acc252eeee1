//! From where, how much and what of a log to read.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::Offset;
use crate::time::{Span, Time};

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Position {
    /// The oldest record there is.
    Earliest,
    /// After the newest.
    Latest,
    /// This offset; refused if it is not between the oldest and the one after the newest.
    At(Offset),
    /// The first record whose timestamp is this time or later (Kafka's ListOffsets by time); the
    /// time it was appended, where it has none.
    Since(Time),
}

/// Where a group begins that has committed nothing (Kafka's `auto.offset.reset`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Start {
    /// With the oldest record.
    #[default]
    Earliest,
    /// With what comes next.
    Latest,
}

/// One of the partitions that a `Fetch` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadFrom<'a> {
    /// Which topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Which partition, from 0.
    pub partition: u32,
    /// From where.
    pub from: Position,
    /// At most these bytes of its records, but one record in any case if it is the first (Kafka's
    /// `max.partition.fetch.bytes`). None: as the whole budget says.
    #[serde(default)]
    pub bytes_max: Option<u32>,
}

/// How much a `Read`, `Fetch` or `Poll` may bring, and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Budget {
    /// At most this many records, at least 1 (Kafka's `max.poll.records`).
    pub records_max: u32,
    /// At most these bytes of records, but one record in any case (Kafka's `fetch.max.bytes`).
    /// None: the broker's limit of a batch.
    pub bytes_max: Option<u32>,
    /// It waits until so many bytes are there, or as much as the budget takes (Kafka's
    /// `fetch.min.bytes`). One record is the least.
    pub bytes_min: u32,
    /// It waits so long at most, and then brings what there is (Kafka's `fetch.max.wait.ms`). Zero:
    /// it does not wait.
    pub wait: Span,
    /// Which records it sees.
    pub isolation: Isolation,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            records_max: 500,
            bytes_max: None,
            bytes_min: 0,
            wait: Span::ZERO,
            isolation: Isolation::Uncommitted,
        }
    }
}

impl Budget {
    /// So many records, of what there is.
    pub fn records(records_max: u32) -> Budget {
        Budget { records_max, ..Budget::default() }
    }

    /// So many records, and a wait for the first.
    pub fn waiting(records_max: u32, wait: Span) -> Budget {
        Budget { records_max, wait, ..Budget::default() }
    }
}

/// Which records a reader of a topic sees (Kafka's `isolation.level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Isolation {
    /// All of them, as they come.
    #[default]
    Uncommitted,
    /// Those before the last stable offset, without what aborted transactions wrote.
    Committed,
}
