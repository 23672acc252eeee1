//! How topics keep their records.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits::TOMBSTONE_RETENTION_DEFAULT;
use crate::time::Span;

/// How a topic keeps its records. Of `retention` and `retention_bytes` either is enough to let
/// records go, the oldest first and a whole batch at a time; with `compact` as well both apply, as
/// with Kafka's `cleanup.policy=compact,delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicPolicy {
    /// How old the newest record of a batch may become, by its timestamp (Kafka's `retention.ms`).
    /// None: however old.
    pub retention: Option<Span>,
    /// The oldest batches of a partition go while as many bytes as this would be left without them
    /// (Kafka's `retention.bytes`). None: however many.
    pub retention_bytes: Option<u64>,
    /// Whether only the newest record of each key is kept (Kafka's `cleanup.policy=compact`). A
    /// record has to have a key then. One whose body is empty is a tombstone: it says that the key
    /// is gone, and goes itself after `tombstone_retention`.
    pub compact: bool,
    /// How long a tombstone stays after compaction found it, so that readers see it (Kafka's
    /// `delete.retention.ms`). 24 h.
    pub tombstone_retention: Span,
    /// Whose timestamps the records have.
    pub timestamps: Timestamps,
}

/// Whose timestamps the records of a topic have (Kafka's `message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Timestamps {
    /// The producer's; a record that comes without one has none (Kafka's `CreateTime`).
    #[default]
    Producer,
    /// The broker writes the time of the append into every record (Kafka's `LogAppendTime`).
    Broker,
}

/// One setting of a topic's policy, as facts keep it: what differs from the default.
///
/// The order of the variants is their number in the journal: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicSetting {
    /// How old records may become.
    Retention(Span),
    /// How many bytes a partition keeps.
    RetentionBytes(u64),
    /// Only the newest record of each key is kept.
    Compact,
    /// How long tombstones stay.
    TombstoneRetention(Span),
    /// Whose timestamps the records have.
    Timestamps(Timestamps),
}

impl Default for TopicPolicy {
    fn default() -> TopicPolicy {
        TopicPolicy {
            retention: None,
            retention_bytes: None,
            compact: false,
            tombstone_retention: TOMBSTONE_RETENTION_DEFAULT,
            timestamps: Timestamps::Producer,
        }
    }
}

impl TopicPolicy {
    /// What differs from the default, as facts keep it.
    pub fn settings(&self) -> Vec<TopicSetting> {
        let plain = TopicPolicy::default();
        let mut settings = Vec::new();
        settings.extend(self.retention.map(TopicSetting::Retention));
        settings.extend(self.retention_bytes.map(TopicSetting::RetentionBytes));
        settings.extend(self.compact.then_some(TopicSetting::Compact));
        if self.tombstone_retention != plain.tombstone_retention {
            settings.push(TopicSetting::TombstoneRetention(self.tombstone_retention));
        }
        if self.timestamps != plain.timestamps {
            settings.push(TopicSetting::Timestamps(self.timestamps));
        }
        settings
    }

    /// The policy that these settings make; the reverse of [`TopicPolicy::settings`].
    pub fn of(settings: &[TopicSetting]) -> TopicPolicy {
        let mut policy = TopicPolicy::default();
        for setting in settings {
            match setting {
                TopicSetting::Retention(span) => policy.retention = Some(*span),
                TopicSetting::RetentionBytes(bytes) => policy.retention_bytes = Some(*bytes),
                TopicSetting::Compact => policy.compact = true,
                TopicSetting::TombstoneRetention(span) => policy.tombstone_retention = *span,
                TopicSetting::Timestamps(whose) => policy.timestamps = *whose,
            }
        }
        policy
    }
}
