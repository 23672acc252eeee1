//! A bound for everything that could grow, and the relations between the bounds.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Bytes of a name: of an exchange, queue, topic or group, and of a routing key (AMQP's limit).
pub const NAME_BYTES_MAX: usize = 255;
/// Records in one published batch.
pub const BATCH_RECORDS_MAX: usize = 4_096;
/// Headers on one record.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a record's id (SQS's limit for a deduplication id).
pub const RECORD_ID_BYTES_MAX: usize = 128;
/// Things that expire in one `apply`; if more is due, `deadline()` is already past.
pub const EXPIRIES_PER_APPLY_MAX: usize = 1_024;
/// Messages that one queue drops or dead-letters in one `apply` because it holds too many.
pub const OVERFLOW_PER_APPLY_MAX: usize = 4_096;
/// Messages that are settled automatically in one `apply`; if more are ready, `deadline()` is
/// already past.
pub const AUTO_ACK_PER_APPLY_MAX: usize = 4_096;
/// Messages in one `Delivered` or `Received` event.
pub const DELIVERIES_PER_EVENT_MAX: usize = 256;
/// Leases in one `Ack`, `Nack`, `Reject` or `Extend`.
pub const LEASES_PER_REQUEST_MAX: usize = 4_096;
/// Messages that one fact settles; a purge of more takes several.
pub const SETTLED_PER_FACT_MAX: usize = 4_096;
/// Messages that one `Peek` shows.
pub const PEEK_MAX: usize = 1_024;
/// Messages that one `Redrive` moves.
pub const REDRIVE_MAX: usize = 1_024;
/// Messages that one `Redrive` looks at for some that can be moved.
pub const REDRIVE_SCAN_MAX: usize = 4 * REDRIVE_MAX;
/// Things that one look at what is due shows, and that it looks through for the first of them.
pub const DUE_VIEW_MAX: usize = 256;
/// Timers that one look at what is due goes through. Where more end within the same moment, some
/// of those may be shown that are not quite the first.
pub const DUE_SCAN_MAX: usize = 65_536;
/// Rows of each kind that one overview shows.
pub const OVERVIEW_ROWS_MAX: usize = PAGE_MAX;
/// Rows of one page of a list.
pub const PAGE_MAX: usize = 1_000;
/// Steps that a message's journey shows: the newest.
pub const JOURNEY_VIEW_MAX: usize = 1_024;
/// Queues through which a message's journey is followed.
pub const JOURNEY_HOPS_MAX: usize = 16;
/// Messages that a redriving job moves in one step.
pub const REDRIVE_STEP_MAX: u32 = 256;
/// Messages that a dry run of a redrive shows.
pub const REDRIVE_SHOWN_MAX: usize = 16;
/// Conditions of one redrive.
pub const REDRIVE_CONDITIONS_MAX: usize = 16;
/// Jobs that redrive messages, at a time.
pub const REDRIVES_MAX: u32 = 64;
/// Jobs that ended and are still shown, of each queue: the newest (as SQS's `ListMessageMoveTasks`).
pub const REDRIVES_ENDED_SHOWN_MAX: usize = 10;
/// The same, of all queues together.
pub const REDRIVES_ENDED_MAX: usize = 256;
/// Between two steps of a job, so that others have their turn.
pub const REDRIVE_PAUSE: Span = Span::from_millis(1);
/// How long a job waits where there is no room for what it moves.
pub const REDRIVE_WAIT: Span = Span::from_secs(1);
/// Partitions that one `Fetch` reads.
pub const FETCH_PARTITIONS_MAX: usize = 1_024;
/// Offsets in one `Commit`.
pub const COMMITS_PER_REQUEST_MAX: usize = 4_096;
/// Bytes that may be noted beside a committed offset (Kafka's `offset.metadata.max.bytes`).
pub const COMMIT_METADATA_BYTES_MAX: usize = 4_096;
/// Groups in one page of a listing.
pub const GROUPS_PER_PAGE_MAX: usize = 1_000;
/// Bytes of records in one fact: a batch that goes to topics with different numbers of partitions
/// is split for each.
pub const FACT_BYTES_MAX: u64 = 1 << 30;
/// Partitions that a topic can have whatever the limits say.
pub const PARTITIONS_MAX: u32 = 1 << 16;
/// Attempts remembered for one message, and deaths remembered in one message: the newest.
pub const HISTORY_MAX: usize = 16;
/// Exchanges that one publish may pass through.
pub const EXCHANGE_HOPS_MAX: usize = 64;
/// Bytes of the names and values that one binding of a headers exchange wants.
pub const BINDING_BYTES_MAX: usize = 4_096;
/// Parts of a batch that are looked at for one that takes the same way as the next record, where a
/// headers exchange sends each record its own way.
pub const PARTS_LOOKED_AT_MAX: usize = 16;
/// Words in a routing key or a binding pattern of a topic exchange.
pub const ROUTING_WORDS_MAX: usize = 32;
/// Topics that one member may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// The longest lease: twelve hours, as in SQS.
pub const VISIBILITY_MAX: Span = Span::from_secs(12 * 60 * 60);
/// The longest time to live of a message, and of a queue that nobody uses: 2^32 - 1 ms, as in
/// RabbitMQ.
pub const TTL_MAX: Span = Span::from_millis(u32::MAX as u64);
/// The longest delay before a message is ready for the first time: as long as the longest time to
/// live. SQS allows 15 minutes.
pub const DELAY_MAX: Span = TTL_MAX;
/// The longest that a message is remembered so that it is not stored twice. SQS has five minutes.
pub const DEDUPLICATION_WINDOW_MAX: Span = Span::from_secs(24 * 60 * 60);
/// The longest that a `Receive` or `Poll` waits. SQS allows 20 s; a minute serves Kafka's clients.
pub const WAIT_MAX: Span = Span::from_secs(60);
/// The longest session timeout of a group's member (Kafka's `group.max.session.timeout.ms`).
pub const SESSION_TIMEOUT_MAX: Span = Span::from_secs(30 * 60);
/// The shortest session timeout of a group's member. Kafka allows no less than 6 s by default,
/// to spare a remote broker; a broker in the page or in a test may detect a crash sooner.
pub const SESSION_TIMEOUT_MIN: Span = Span::from_millis(100);
/// A member's session timeout where it names none (Kafka's default since 3.0).
pub const SESSION_TIMEOUT_DEFAULT: Span = Span::from_secs(45);
/// Batches of a producer that are remembered for each of its counts, so that one of them is known
/// if it is sent again (as in Kafka, whose producers have at most five in flight).
pub const NUMBERED_MAX: usize = 5;
/// Partitions that one producer numbers its batches for.
pub const PRODUCER_LANES_MAX: usize = 4_096;
/// Logs in which one numbered batch lies: they are remembered with it.
pub const PRODUCER_APPENDS_MAX: usize = 4_096;
/// The last epoch of a producer that is given out; its name then gets another producer. (Kafka's
/// epochs have 16 bits with a sign, and it keeps the last for fencing.)
pub const PRODUCER_EPOCH_MAX: u16 = i16::MAX as u16 - 1;
/// The last number of a record of a producer; then comes 0 (Kafka's have 32 bits with a sign).
pub const SEQUENCE_MAX: u32 = i32::MAX as u32;
/// A producer without a name is forgotten when nothing was heard of it for so long (Kafka's
/// `producer.id.expiration.ms`).
pub const PRODUCER_IDLE_MAX: Span = Span::from_secs(24 * 60 * 60);
/// A producer with a name is forgotten when nothing was heard of it for so long (Kafka's
/// `transactional.id.expiration.ms`).
pub const PRODUCER_NAME_IDLE_MAX: Span = Span::from_secs(7 * 24 * 60 * 60);
/// How long a transaction may stay open where its producer does not say (Kafka's
/// `transaction.timeout.ms`).
pub const TRANSACTION_TIMEOUT_DEFAULT: Span = Span::from_secs(60);
/// The longest that a transaction may stay open (Kafka's `transaction.max.timeout.ms`).
pub const TRANSACTION_TIMEOUT_MAX: Span = Span::from_secs(15 * 60);
/// Producers that one `Inspect` shows.
pub const PRODUCERS_SHOWN_MAX: usize = 256;
/// Logs that one `Inspect` shows of what a transaction wrote.
pub const WRITES_SHOWN_MAX: usize = 4_096;
/// Runs of records that one fact of a snapshot names.
pub const WRITTEN_PER_FACT_MAX: usize = 4_096;
/// Offsets that one transaction commits.
pub const TRANSACTION_OFFSETS_MAX: usize = 16_384;
/// How long tombstones stay where a topic does not say (Kafka's `delete.retention.ms`).
pub const TOMBSTONE_RETENTION_DEFAULT: Span = Span::from_secs(24 * 60 * 60);
/// The longest retention of a topic's records: a hundred years. For ever is none at all.
pub const RETENTION_MAX: Span = Span::from_secs(100 * 365 * 24 * 60 * 60);
/// The longest time between two looks at a partition's retention; what is due meanwhile goes
/// together. Kafka looks every five minutes.
pub const RETENTION_PAUSE_MAX: Span = Span::from_secs(1);
/// Batches that retention takes away in one step.
pub const TRIMMED_PER_APPLY_MAX: usize = 4_096;
/// How long after a partition became dirty it is compacted (Kafka's `log.cleaner.backoff.ms`).
pub const COMPACTION_PAUSE: Span = Span::from_secs(15);
/// Records that one step of compaction looks at.
pub const COMPACTION_SCAN_MAX: usize = 4 * COMPACTED_PER_APPLY_MAX;
/// Records that one step of compaction takes away, and as many tombstones.
pub const COMPACTED_PER_APPLY_MAX: usize = 4_096;
/// Steps of retention and compaction in one `apply`.
pub const UPKEEP_PER_APPLY_MAX: usize = 16;
/// How long a member may take to give up partitions where it says nothing (the default of Kafka
/// Connect's `rebalance.timeout.ms`).
pub const REBALANCE_TIMEOUT_DEFAULT: Span = Span::from_secs(60);
/// The longest rebalance timeout: Kafka's is a count of milliseconds in 31 bits.
pub const REBALANCE_TIMEOUT_MAX: Span = Span::from_millis(i32::MAX as u64);
/// The shortest rebalance timeout.
pub const REBALANCE_TIMEOUT_MIN: Span = Span::from_millis(100);
/// Members of which it is known that another took their instance's name: the newest. Of older ones
/// it is said that they are unknown.
pub const FENCED_REMEMBERED_MAX: usize = 1_024;
/// Protocols that a member of a group whose members assign supports.
pub const PROTOCOLS_PER_MEMBER_MAX: usize = 16;
/// Bytes of what all members of such a group propose: the leader is told of it in one event.
pub const PROPOSALS_BYTES_MAX: usize = 4 << 20;
/// Bytes of what a leader assigns.
pub const ASSIGNMENTS_BYTES_MAX: usize = 4 << 20;
/// How long a group without members waits for more of them when the first one comes, where that
/// does not say (Kafka's `group.initial.rebalance.delay.ms`).
pub const INITIAL_DELAY_DEFAULT: Span = Span::from_secs(3);
/// Members that one `RemoveMembers` names.
pub const REMOVALS_PER_REQUEST_MAX: usize = 1_024;
/// Offsets that one group forgets in one step, because nobody is there who would commit anew.
pub const OFFSETS_EXPIRED_PER_APPLY_MAX: usize = 4_096;
/// How long a delivery is leased where neither consumer nor queue says (SQS's default).
pub const VISIBILITY_DEFAULT: Span = Span::from_secs(30);

const _: () = assert!(RECORD_ID_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(DELIVERIES_PER_EVENT_MAX <= BATCH_RECORDS_MAX);
const _: () = assert!(OVERFLOW_PER_APPLY_MAX >= BATCH_RECORDS_MAX);
const _: () = assert!(LEASES_PER_REQUEST_MAX >= DELIVERIES_PER_EVENT_MAX);
const _: () = assert!(SETTLED_PER_FACT_MAX >= LEASES_PER_REQUEST_MAX);
const _: () = assert!(SESSION_TIMEOUT_MIN.0 < SESSION_TIMEOUT_DEFAULT.0);
const _: () = assert!(SESSION_TIMEOUT_DEFAULT.0 <= SESSION_TIMEOUT_MAX.0);
const _: () = assert!(TRANSACTION_TIMEOUT_DEFAULT.0 <= TRANSACTION_TIMEOUT_MAX.0);
const _: () = assert!(TRANSACTION_TIMEOUT_MAX.0 < PRODUCER_IDLE_MAX.0);
const _: () = assert!(BATCH_RECORDS_MAX < SEQUENCE_MAX as usize);
const _: () = assert!(TRANSACTION_OFFSETS_MAX >= COMMITS_PER_REQUEST_MAX);
const _: () = assert!(VISIBILITY_DEFAULT.0 <= VISIBILITY_MAX.0);

/// The bounds that whoever runs a broker may choose. Each is refused by its own name when reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Bytes of one record: key, headers and body.
    pub record_bytes_max: u32,
    /// Bytes of one published batch, and of one read.
    pub batch_bytes_max: u32,
    /// Bytes of all records that the broker holds; beyond it publishes are refused.
    pub stored_bytes_max: u64,
    /// Above so many bytes publishers are told to slow down. None: four fifths of the maximum.
    pub stored_bytes_high: Option<u64>,
    /// Under so many bytes they are told that they may go on. None: three fifths of the maximum,
    /// or three quarters of the high mark where that is less.
    pub stored_bytes_low: Option<u64>,
    /// Messages that one queue remembers so as not to store them twice.
    pub deduplicated_max: u32,
    /// Messages in one queue that are not settled, where the queue's policy names no other bound.
    pub queue_messages_max: u64,
    /// Exchanges, the built-in ones aside.
    pub exchanges_max: u32,
    /// Queues.
    pub queues_max: u32,
    /// Topics.
    pub topics_max: u32,
    /// Partitions of one topic.
    pub partitions_max: u32,
    /// Bindings of all exchanges together.
    pub bindings_max: u32,
    /// Consumer groups.
    pub groups_max: u32,
    /// Members of one group.
    pub members_max: u32,
    /// Open connections.
    pub connections_max: u32,
    /// Consumers, members and waiting requests of one connection.
    pub consumers_per_connection_max: u32,
    /// Unsettled deliveries that one consumer may ask for.
    pub prefetch_max: u32,
    /// Producers that number their batches.
    pub producers_max: u32,
    /// Transactions that are open.
    pub transactions_max: u32,
    /// Records that one transaction writes, counted in each log: its end is one step.
    pub transaction_records_max: u32,
    /// Messages that one connection may hold, or be handed by its consumers' prefetch.
    pub leases_per_connection_max: u32,
    /// Consumers of one queue.
    pub consumers_per_queue_max: u32,
    /// Requests that may wait for messages of one queue.
    pub waits_per_queue_max: u32,
    /// Steps of messages' journeys that are remembered, of all messages together; zero: none.
    pub journey_steps_max: u32,
    /// Minutes for which offsets are kept that a group without members has committed (Kafka's
    /// `offsets.retention.minutes`, a week by default). Zero: for ever.
    pub offsets_retention_minutes: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            record_bytes_max: 1 << 20,
            batch_bytes_max: 8 << 20,
            stored_bytes_max: 1 << 30,
            stored_bytes_high: None,
            stored_bytes_low: None,
            deduplicated_max: 200_000,
            queue_messages_max: 10_000_000,
            exchanges_max: 10_000,
            queues_max: 100_000,
            topics_max: 10_000,
            partitions_max: 1_024,
            bindings_max: 100_000,
            groups_max: 10_000,
            members_max: 1_024,
            connections_max: 65_536,
            consumers_per_connection_max: 1_024,
            prefetch_max: 65_535,
            producers_max: 100_000,
            transactions_max: 10_000,
            transaction_records_max: 1_000_000,
            leases_per_connection_max: 1_000_000,
            consumers_per_queue_max: 10_000,
            waits_per_queue_max: 65_536,
            journey_steps_max: 65_536,
            offsets_retention_minutes: 7 * 24 * 60,
        }
    }
}

impl Limits {
    /// What contradicts itself in these limits, in a sentence; for whoever takes them from people.
    /// A broker that is made with such limits makes do: a mark above another is taken as equal.
    pub fn contradiction(&self) -> Option<String> {
        let (low, high, max) = (self.low_mark(), self.high_mark(), self.stored_bytes_max);
        if self.stored_bytes_high.is_some_and(|named| named > max) {
            return Some(format!(
                "stored_bytes_high is {}, above stored_bytes_max, {max}: publishers would be \
                 refused before they are told to slow down",
                self.stored_bytes_high.unwrap_or_default()
            ));
        }
        if self.stored_bytes_low.is_some_and(|named| named >= high) {
            return Some(format!(
                "stored_bytes_low is {low}, and has to be under the high mark, {high}"
            ));
        }
        None
    }

    /// How long offsets are kept that a group without members has committed; None: for ever.
    pub fn offsets_retention(&self) -> Option<Span> {
        let minutes = u64::from(self.offsets_retention_minutes);
        (minutes > 0).then(|| Span::from_secs(60 * minutes))
    }

    /// Above so many bytes publishers are told to slow down.
    pub fn high_mark(&self) -> u64 {
        let max = self.stored_bytes_max;
        self.stored_bytes_high.unwrap_or(max / 5 * 4).min(max)
    }

    /// Under so many bytes they are told that they may go on.
    pub fn low_mark(&self) -> u64 {
        let high = self.high_mark();
        let usual = (self.stored_bytes_max / 5 * 3).min(high / 4 * 3);
        self.stored_bytes_low.unwrap_or(usual).min(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_the_maximum_unless_they_are_named_and_contradictions_are_told() {
        let of = |max, high, low| Limits {
            stored_bytes_max: max,
            stored_bytes_high: high,
            stored_bytes_low: low,
            ..Limits::default()
        };
        let marks = |limits: &Limits| (limits.low_mark(), limits.high_mark());
        assert_eq!(Limits::default().contradiction(), None);
        assert_eq!(marks(&of(1_000, None, None)), (600, 800));
        assert_eq!(marks(&of(1_000, Some(400), None)), (300, 400));
        assert_eq!(marks(&of(1_000, Some(400), Some(10))), (10, 400));
        assert_eq!(of(1_000, Some(1_000), Some(999)).contradiction(), None);
        assert!(of(1_000, Some(1_001), None).contradiction().is_some());
        assert!(of(1_000, Some(400), Some(400)).contradiction().is_some());
        assert!(of(1_000, None, Some(900)).contradiction().is_some());
        for limits in [of(1_000, Some(2_000), Some(3_000)), of(0, None, None)] {
            let (low, high) = marks(&limits);
            assert!(low <= high && high <= limits.stored_bytes_max);
        }
    }
}
