//! The policies of queues and topics, as flags and as lines.

use clap::ValueEnum;

use fanlight_core::{
    Backoff, Deduplication, Keep, Overflow, QueueKind, QueuePolicy, Sameness, Span, Timestamps,
    TopicPolicy,
};

use super::failure::Failure;
use super::output;
use super::parse::{self, Most};
use crate::settings::shown_bytes;

/// How a queue treats its messages; what is not named stays as it is.
#[derive(clap::Args)]
pub(crate) struct QueueArgs {
    /// How long a delivery is leased before its message is ready again; 30s if nobody says
    #[arg(long, value_parser = parse::span, value_name = "DURATION")]
    visibility: Option<Span>,
    /// After this many attempts a message goes to the dead-letter queue; none: never
    #[arg(long, value_parser = parse::most::<u32>, value_name = "N")]
    deliveries_max: Option<Most<u32>>,
    /// The queue that dead messages go to, which has to exist; none: they are dropped
    #[arg(long, value_parser = parse::most::<String>, value_name = "QUEUE")]
    dead_letter: Option<Most<String>>,
    /// The exchange that dead messages go through instead
    #[arg(long, value_parser = parse::most::<String>, value_name = "EXCHANGE")]
    dead_letter_exchange: Option<Most<String>>,
    /// The routing key that they then get; none: their own
    #[arg(long, value_parser = parse::most::<String>, value_name = "KEY")]
    dead_letter_key: Option<Most<String>>,
    /// How many messages it holds; none: as many as the server takes
    #[arg(long, value_parser = parse::most::<u64>, value_name = "N")]
    messages_max: Option<Most<u64>>,
    /// How many bytes of messages it holds, as 64MiB; none: as many as the server takes
    #[arg(long, value_parser = parse::most_bytes, value_name = "BYTES")]
    bytes_max: Option<Most<u64>>,
    /// What happens to what is beyond that
    #[arg(long, value_enum)]
    overflow: Option<OverflowArg>,
    /// How long a failed attempt keeps its message from being ready again
    #[arg(long, value_parser = parse::span, value_name = "DURATION")]
    retry_delay: Option<Span>,
    /// Double the retry delay with each failed attempt, up to this; none: it stays the same
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    backoff_max: Option<Most<Span>>,
    /// By how many percent at most a retry comes earlier, at random
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    jitter: Option<u8>,
    /// How long a message may wait before it expires; none: forever
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    ttl: Option<Most<Span>>,
    /// How long a message waits before it is ready for the first time
    #[arg(long, value_parser = parse::span, value_name = "DURATION")]
    delay: Option<Span>,
    /// Delete the queue when nobody has used it for this long; none: never
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    expires: Option<Most<Span>>,
    /// Store a message that comes twice within this time once; none: every message is another
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    deduplicate: Option<Most<Span>>,
    /// By what a message that comes twice is recognised
    #[arg(long, value_enum, requires = "deduplicate")]
    deduplicate_by: Option<SamenessArg>,
}

/// What a queue is for all of its life.
#[derive(clap::Args)]
pub(crate) struct QueueNature {
    /// Work messages of one key in their order
    #[arg(long)]
    fifo: bool,
    /// The highest priority that counts; 0: every message is as urgent as any other
    #[arg(long, value_name = "HIGHEST")]
    priorities: Option<u8>,
    /// All messages go to one consumer, until it is gone
    #[arg(long)]
    single_active: bool,
    /// The queue goes with its last consumer
    #[arg(long)]
    auto_delete: bool,
    /// Keep what is settled for this long, to be read again; none: as long as --keep-bytes allows
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    keep: Option<Most<Span>>,
    /// Keep what is settled within these bytes
    #[arg(long, value_parser = parse::most_bytes, value_name = "BYTES")]
    keep_bytes: Option<Most<u64>>,
}

#[derive(Clone, Copy, ValueEnum)]
enum OverflowArg {
    /// The publish is refused
    Refuse,
    /// The oldest are dropped
    DropOldest,
    /// The oldest are dead-lettered
    DeadLetter,
}

#[derive(Clone, Copy, ValueEnum)]
enum SamenessArg {
    /// By its id
    Id,
    /// By its id, and where it has none by its body
    Content,
}

impl QueueArgs {
    /// The policy with what was named.
    pub(crate) fn apply(&self, policy: &mut QueuePolicy<'static>) -> Result<(), Failure> {
        fn put<T, U>(given: &Option<T>, at: &mut U, how: impl Fn(T) -> U)
        where
            T: Clone,
        {
            if let Some(value) = given {
                *at = how(value.clone());
            }
        }
        let name = |given: Most<String>| given.0.map(Into::into);
        put(&self.visibility, &mut policy.visibility, |span| span);
        put(&self.deliveries_max, &mut policy.deliveries_max, |most| most.0);
        put(&self.dead_letter, &mut policy.dead_letter, name);
        put(&self.dead_letter_exchange, &mut policy.dead_letter_exchange, name);
        put(&self.dead_letter_key, &mut policy.dead_letter_key, name);
        put(&self.messages_max, &mut policy.messages_max, |most| most.0);
        put(&self.bytes_max, &mut policy.bytes_max, |most| most.0);
        put(&self.overflow, &mut policy.overflow, |overflow| match overflow {
            OverflowArg::Refuse => Overflow::Refuse,
            OverflowArg::DropOldest => Overflow::DropOldest,
            OverflowArg::DeadLetter => Overflow::DeadLetter,
        });
        put(&self.retry_delay, &mut policy.retry_delay, |span| span);
        put(&self.backoff_max, &mut policy.backoff, |most| match most.0 {
            Some(max) => Backoff::Exponential { max },
            None => Backoff::Fixed,
        });
        put(&self.jitter, &mut policy.jitter, |percent| percent);
        put(&self.ttl, &mut policy.ttl, |most| most.0);
        put(&self.delay, &mut policy.delay, |span| span);
        put(&self.expires, &mut policy.expires, |most| most.0);
        let by = match self.deduplicate_by {
            None | Some(SamenessArg::Id) => Sameness::Id,
            Some(SamenessArg::Content) => Sameness::Content,
        };
        put(&self.deduplicate, &mut policy.deduplication, |most| {
            most.0.map(|window| Deduplication { window, by })
        });
        let has_dead_letter = policy.dead_letter.is_some() || policy.dead_letter_exchange.is_some();
        if policy.deliveries_max.is_some() && !has_dead_letter {
            return Err(Failure::usage(
                "--deliveries-max needs --dead-letter (or --dead-letter-exchange): a message that \
                 has failed so often would be lost otherwise",
            ));
        }
        Ok(())
    }

    /// The names of other things that it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = [&self.dead_letter, &self.dead_letter_exchange];
        names.into_iter().filter_map(|given| given.as_ref()?.0.as_deref())
    }
}

impl QueueNature {
    /// The policy with what was named.
    pub(crate) fn apply(&self, policy: &mut QueuePolicy<'static>) {
        if self.fifo {
            policy.kind = QueueKind::Fifo;
        }
        policy.priorities = self.priorities.unwrap_or_default();
        policy.single_active = self.single_active;
        policy.auto_delete = self.auto_delete;
        if self.keep.is_some() || self.keep_bytes.is_some() {
            policy.keep = Some(Keep {
                time: self.keep.and_then(|most| most.0),
                bytes: self.keep_bytes.and_then(|most| most.0),
            });
        }
    }
}

/// A policy's lines: what, and as it is. What every queue has comes always, the rest if it is so.
pub(crate) fn queue_lines(policy: &QueuePolicy<'_>) -> Vec<(&'static str, String)> {
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let max = |value: Option<String>| or(value, "the server's limit");
    let mut lines = vec![
        ("visibility", output::span(policy.visibility)),
        ("deliveries max", or(policy.deliveries_max.map(|n| n.to_string()), "no limit")),
        ("dead-letter queue", or(policy.dead_letter.as_ref().map(ToString::to_string), "none")),
        ("messages max", max(policy.messages_max.map(|n| n.to_string()))),
        ("bytes max", max(policy.bytes_max.map(shown_bytes))),
        ("retry delay", output::span(policy.retry_delay)),
    ];
    let mut put = |what, value: Option<String>| lines.extend(value.map(|value| (what, value)));
    let longer = |span: Span| (span != Span::ZERO).then(|| output::span(span));
    put("dead-letter exchange", policy.dead_letter_exchange.as_ref().map(ToString::to_string));
    put("dead-letter key", policy.dead_letter_key.as_ref().map(ToString::to_string));
    put(
        "overflow",
        match policy.overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest => Some("the oldest are dropped".to_owned()),
            Overflow::DeadLetter => Some("the oldest are dead-lettered".to_owned()),
        },
    );
    put(
        "backoff",
        match policy.backoff {
            Backoff::Fixed => None,
            Backoff::Exponential { max } => Some(format!("doubles, up to {}", output::span(max))),
        },
    );
    put("jitter", (policy.jitter > 0).then(|| format!("{} %", policy.jitter)));
    put("ttl", policy.ttl.map(output::span));
    put("delay", longer(policy.delay));
    put("expires", policy.expires.map(|span| format!("after {} unused", output::span(span))));
    put(
        "deduplication",
        policy.deduplication.map(|how| {
            let by = if how.by == Sameness::Id { "id" } else { "id or body" };
            format!("by {by}, for {}", output::span(how.window))
        }),
    );
    put("order", (policy.kind == QueueKind::Fifo).then(|| "FIFO by key".to_owned()));
    put("priorities", (policy.priorities > 0).then(|| format!("0 to {}", policy.priorities)));
    put("consumers", policy.single_active.then(|| "one active at a time".to_owned()));
    put("exclusive", policy.exclusive.then(|| "to its connection".to_owned()));
    put("auto-delete", policy.auto_delete.then(|| "with its last consumer".to_owned()));
    put("keeps settled", policy.keep.map(|keep| kept(keep.time, keep.bytes)));
    lines
}

fn kept(time: Option<Span>, bytes: Option<u64>) -> String {
    match (time.map(output::span), bytes.map(shown_bytes)) {
        (None, None) => "all".to_owned(),
        (Some(time), None) => format!("for {time}"),
        (None, Some(bytes)) => format!("up to {bytes}"),
        (Some(time), Some(bytes)) => format!("for {time}, up to {bytes}"),
    }
}

/// How a topic keeps its records; what is not named stays as it is.
#[derive(clap::Args)]
pub(crate) struct TopicArgs {
    /// How old records may become, as 168h; none: however old
    #[arg(long, value_parser = parse::most_span, value_name = "DURATION")]
    retention: Option<Most<Span>>,
    /// How many bytes each partition keeps, as 1GiB; none: however many
    #[arg(long, value_parser = parse::most_bytes, value_name = "BYTES")]
    retention_bytes: Option<Most<u64>>,
    /// Whether only the newest record of each key is kept
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    compact: Option<bool>,
    /// How long the mark of a deleted key stays; 24h if nobody says
    #[arg(long, value_parser = parse::span, value_name = "DURATION")]
    tombstone_retention: Option<Span>,
    /// Whose timestamps records have
    #[arg(long, value_enum)]
    timestamps: Option<TimestampsArg>,
}

#[derive(Clone, Copy, ValueEnum)]
enum TimestampsArg {
    /// The producer's; a record that comes without one has none
    Producer,
    /// The broker's, when the record is appended
    Broker,
}

impl TopicArgs {
    /// The policy with what was named.
    pub(crate) fn apply(&self, policy: &mut TopicPolicy) {
        if let Some(most) = self.retention {
            policy.retention = most.0;
        }
        if let Some(most) = self.retention_bytes {
            policy.retention_bytes = most.0;
        }
        policy.compact = self.compact.unwrap_or(policy.compact);
        policy.tombstone_retention = self.tombstone_retention.unwrap_or(policy.tombstone_retention);
        policy.timestamps = match self.timestamps {
            None => policy.timestamps,
            Some(TimestampsArg::Producer) => Timestamps::Producer,
            Some(TimestampsArg::Broker) => Timestamps::Broker,
        };
    }
}

/// A policy's lines: what, and as it is.
pub(crate) fn topic_lines(policy: &TopicPolicy) -> Vec<(&'static str, String)> {
    let timestamps = match policy.timestamps {
        Timestamps::Producer => "the producer's",
        Timestamps::Broker => "the broker's",
    };
    let mut lines = vec![
        ("retention", policy.retention.map_or("forever".to_owned(), output::span)),
        ("retention bytes", policy.retention_bytes.map_or("no limit".to_owned(), shown_bytes)),
        ("compacted", if policy.compact { "yes" } else { "no" }.to_owned()),
        ("timestamps", timestamps.to_owned()),
    ];
    if policy.compact {
        lines.insert(3, ("tombstone retention", output::span(policy.tombstone_retention)));
    }
    lines
}

/// What is different between the lines of two policies, in words.
pub(crate) fn difference(
    old: &[(&'static str, String)],
    new: &[(&'static str, String)],
) -> Vec<String> {
    let of = |lines: &[(&'static str, String)], what: &str| {
        let line = lines.iter().find(|(name, _)| *name == what);
        line.map_or("as by default".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&str> = old.iter().map(|(what, _)| *what).collect();
    names.extend(new.iter().map(|(what, _)| *what).filter(|what| old.iter().all(|o| o.0 != *what)));
    let changed = names.into_iter().filter(|what| of(old, what) != of(new, what));
    changed.map(|what| format!("{what} {} → {}", of(old, what), of(new, what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_as_what_it_was_and_what_it_is() {
        let old = QueuePolicy::default();
        let new = QueuePolicy {
            visibility: Span::from_secs(5),
            ttl: Some(Span::from_secs(60)),
            ..QueuePolicy::default()
        };
        assert_eq!(
            difference(&queue_lines(&old), &queue_lines(&new)),
            ["visibility 30s → 5s", "ttl as by default → 1m"]
        );
        assert_eq!(difference(&queue_lines(&new), &queue_lines(&new)), [""; 0]);
    }
}
