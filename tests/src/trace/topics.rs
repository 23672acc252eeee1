//! How topics keep their records, as the words of a line; and how much a reader asks for.

use fanlight_core::{
    Budget, Fact, Isolation, Op, PartitionRead, Place, Span, Timestamps, TopicPolicy, TopicView,
};

use super::effects::shown_fetched;
use super::names::Names;
use super::request::{Parsed, Words, partition, position};
use super::text::{shown_records, shown_span};

/// `retention=1s retention-bytes=100 compact tombstones=1s broker-timestamps`.
fn policy(words: &mut Words<'_>) -> Parsed<TopicPolicy> {
    let plain = TopicPolicy::default();
    Ok(TopicPolicy {
        retention: words.span("retention")?,
        retention_bytes: words.number("retention-bytes")?,
        compact: words.flag("compact"),
        tombstone_retention: words.span("tombstones")?.unwrap_or(plain.tombstone_retention),
        timestamps: match words.flag("broker-timestamps") {
            true => Timestamps::Broker,
            false => Timestamps::Producer,
        },
    })
}

/// The reverse: what differs from the default.
fn shown_policy(policy: &TopicPolicy) -> String {
    let plain = TopicPolicy::default();
    let mut shown = String::new();
    let mut put = |name: &str, value: Option<String>| {
        shown += &value.map(|value| format!(" {name}={value}")).unwrap_or_default();
    };
    put("retention", policy.retention.map(shown_span));
    put("retention-bytes", policy.retention_bytes.map(|bytes| bytes.to_string()));
    let tombstones = policy.tombstone_retention;
    put("tombstones", (tombstones != plain.tombstone_retention).then(|| shown_span(tombstones)));
    if policy.compact {
        shown += " compact";
    }
    if policy.timestamps == Timestamps::Broker {
        shown += " broker-timestamps";
    }
    shown
}

/// `max=3 bytes-max=100 bytes-min=10 wait=1s committed`.
pub(super) fn budget(words: &mut Words<'_>) -> Parsed<Budget> {
    Ok(Budget {
        records_max: words.number("max")?.unwrap_or(100),
        bytes_max: words.number("bytes-max")?,
        bytes_min: words.number("bytes-min")?.unwrap_or_default(),
        wait: words.span("wait")?.unwrap_or(Span::ZERO),
        isolation: match words.flag("committed") {
            true => Isolation::Committed,
            false => Isolation::Uncommitted,
        },
    })
}

/// A request about topics, if it is one.
pub(super) fn topics<'t>(verb: &str, words: &mut Words<'t>) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "topic" => Op::CreateTopic {
            name: words.name("the topic")?,
            partitions: words.number("partitions")?.unwrap_or(1),
            policy: policy(words)?,
        },
        "alter-topic" => Op::AlterTopic { name: words.name("the topic")?, policy: policy(words)? },
        "add-partitions" => Op::AddPartitions {
            topic: words.name("the topic")?,
            partitions: words.number("partitions")?.ok_or("partitions=")?,
        },
        "delete-records" => {
            let (topic, partition) = partition(words.next("topic/partition")?)?;
            let before = position(words.next("a position")?)?;
            Op::DeleteRecords { topic: topic.into(), partition, before }
        }
        "delete-topic" => Op::DeleteTopic { name: words.name("the topic")? },
        _ => return Ok(None),
    }))
}

/// A fact about topics.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other facts are shown by who calls this")]
pub(super) fn shown_topic_fact(fact: &Fact<'_>, names: &Names) -> String {
    match fact {
        Fact::TopicCreated { id, name, partitions } => {
            format!("topic-created {name} {id} partitions={partitions}")
        }
        Fact::TopicMade { id, name, partitions, settings, at: _ } => {
            let policy = shown_policy(&TopicPolicy::of(settings));
            format!("topic-created {name} {id} partitions={partitions}{policy}")
        }
        Fact::TopicAltered { id, settings, at: _ } => {
            let policy = shown_policy(&TopicPolicy::of(settings));
            format!("topic-altered {}{policy}", names.topic(*id))
        }
        Fact::PartitionsAdded { topic, partitions, at: _ } => {
            format!("partitions-added {} partitions={partitions}", names.topic(*topic))
        }
        Fact::LogTrimmed { place, start, at: _ } => {
            format!("trimmed {} start={start}", names.place(*place))
        }
        Fact::Compacted { topic, partition, clean, offsets, at: _ } => {
            let place = names.place(Place::Partition(*topic, *partition));
            let gone: Vec<_> = offsets.iter().map(|offset| format!(" @{offset}")).collect();
            format!("compacted {place} clean={clean} gone:{}", gone.concat())
        }
        Fact::SparseBatch { topic, partition, base, kept, records, .. } => {
            let place = names.place(Place::Partition(*topic, *partition));
            format!("only in snapshots: {place}@{base} {kept:?} {}", shown_records(records))
        }
        other => format!("only in snapshots: {other:?}"),
    }
}

/// The lines of a topic's view.
pub(super) fn shown_topic(topic: &TopicView) -> Vec<String> {
    let TopicView { id, name, partitions, policy } = topic;
    let partitions = partitions.iter().zip(0..).map(|(partition, number)| {
        let stable = match partition.stable_end == partition.end {
            true => String::new(),
            false => format!(" stable to {}", partition.stable_end),
        };
        let clean = partition.clean.map(|clean| format!(" clean to {clean}")).unwrap_or_default();
        let (start, end, bytes) = (partition.start, partition.end, partition.bytes);
        format!("  {name}/{number} {start} to {end} {bytes}B{stable}{clean}")
    });
    let first = format!("topic {name} {id}{}", shown_policy(policy));
    [first].into_iter().chain(partitions).collect()
}

/// What a fetch found, partition by partition.
pub(super) fn shown_reads(reads: &[PartitionRead<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for PartitionRead { start, end, stable_end, batch, refusal } in reads {
        if let Some(refusal) = refusal {
            lines.push(format!("refused {}: {}", refusal.code.number(), refusal.message));
            continue;
        }
        let stable = match stable_end == end {
            true => String::new(),
            false => format!(", stable to {stable_end}"),
        };
        lines.push(format!("of {start} to {end}{stable}"));
        lines.extend(batch.iter().map(|batch| format!("  {}", shown_fetched(batch))));
    }
    lines
}
