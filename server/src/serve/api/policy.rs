//! Policies as JSON: as the views show them, but what nobody knows is refused, and lengths of time
//! may be written with their unit.

use fanlight_core::{
    Backoff, Deduplication, ExchangePolicy, Keep, Overflow, QueueKind, QueuePolicy, Sameness, Span,
    Timestamps, TopicPolicy,
};
use serde::Deserialize;

use super::failure::Failure;
use super::input::{Object, SpanIn};

/// A queue's policy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct QueueIn {
    visibility: SpanIn,
    deliveries_max: Option<u32>,
    dead_letter: Option<String>,
    messages_max: Option<u64>,
    retry_delay: SpanIn,
    kind: QueueKind,
    deduplication: Option<Object<DeduplicationIn>>,
    priorities: u8,
    ttl: Option<SpanIn>,
    delay: SpanIn,
    expires: Option<SpanIn>,
    bytes_max: Option<u64>,
    overflow: Overflow,
    backoff: BackoffIn,
    jitter: u8,
    single_active: bool,
    exclusive: bool,
    auto_delete: bool,
    keep: Option<Object<KeepIn>>,
    dead_letter_exchange: Option<String>,
    dead_letter_key: Option<String>,
}

impl Default for QueueIn {
    fn default() -> QueueIn {
        let plain = QueuePolicy::default();
        QueueIn {
            visibility: SpanIn(plain.visibility),
            deliveries_max: None,
            dead_letter: None,
            messages_max: None,
            retry_delay: SpanIn(plain.retry_delay),
            kind: plain.kind,
            deduplication: None,
            priorities: plain.priorities,
            ttl: None,
            delay: SpanIn(plain.delay),
            expires: None,
            bytes_max: None,
            overflow: plain.overflow,
            backoff: BackoffIn::Fixed,
            jitter: plain.jitter,
            single_active: plain.single_active,
            exclusive: plain.exclusive,
            auto_delete: plain.auto_delete,
            keep: None,
            dead_letter_exchange: None,
            dead_letter_key: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DeduplicationIn {
    window: SpanIn,
    #[serde(default)]
    by: Sameness,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum BackoffIn {
    Fixed,
    Exponential(Object<LongestIn>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongestIn {
    max: SpanIn,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct KeepIn {
    time: Option<SpanIn>,
    bytes: Option<u64>,
}

fn span(given: Option<SpanIn>) -> Option<Span> {
    given.map(|span| span.0)
}

impl QueueIn {
    /// The policy. A queue that is its connection's alone cannot be asked for: over HTTP nobody
    /// has a connection to keep.
    pub(super) fn policy(self) -> Result<QueuePolicy<'static>, Failure> {
        if self.exclusive {
            return Err(Failure::argument(
                "an exclusive queue goes with its connection, and over HTTP there is none that \
                 stays; leave exclusive out, or connect by WebSocket",
            ));
        }
        Ok(QueuePolicy {
            visibility: self.visibility.0,
            deliveries_max: self.deliveries_max,
            dead_letter: self.dead_letter.map(Into::into),
            messages_max: self.messages_max,
            retry_delay: self.retry_delay.0,
            kind: self.kind,
            deduplication: self.deduplication.map(|Object(DeduplicationIn { window, by })| {
                Deduplication { window: window.0, by }
            }),
            priorities: self.priorities,
            ttl: span(self.ttl),
            delay: self.delay.0,
            expires: span(self.expires),
            bytes_max: self.bytes_max,
            overflow: self.overflow,
            backoff: match self.backoff {
                BackoffIn::Fixed => Backoff::Fixed,
                BackoffIn::Exponential(Object(LongestIn { max })) => {
                    Backoff::Exponential { max: max.0 }
                }
            },
            jitter: self.jitter,
            single_active: self.single_active,
            exclusive: false,
            auto_delete: self.auto_delete,
            keep: self.keep.map(|Object(KeepIn { time, bytes })| Keep { time: span(time), bytes }),
            dead_letter_exchange: self.dead_letter_exchange.map(Into::into),
            dead_letter_key: self.dead_letter_key.map(Into::into),
        })
    }
}

/// A topic's policy.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct TopicIn {
    retention: Option<SpanIn>,
    retention_bytes: Option<u64>,
    compact: bool,
    tombstone_retention: Option<SpanIn>,
    timestamps: Timestamps,
}

impl TopicIn {
    pub(super) fn policy(self) -> TopicPolicy {
        let plain = TopicPolicy::default();
        TopicPolicy {
            retention: span(self.retention),
            retention_bytes: self.retention_bytes,
            compact: self.compact,
            tombstone_retention: span(self.tombstone_retention)
                .unwrap_or(plain.tombstone_retention),
            timestamps: self.timestamps,
        }
    }
}

/// An exchange's policy.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ExchangeIn {
    alternate: Option<String>,
    auto_delete: bool,
    internal: bool,
}

impl ExchangeIn {
    pub(super) fn policy(self) -> ExchangePolicy<'static> {
        ExchangePolicy {
            alternate: self.alternate.map(Into::into),
            auto_delete: self.auto_delete,
            internal: self.internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input;
    use super::*;

    #[test]
    fn a_policy_as_it_is_shown_is_taken_as_it_is() {
        let policy = QueuePolicy {
            visibility: Span::from_millis(1_500),
            deliveries_max: Some(3),
            dead_letter: Some("dead".into()),
            deduplication: Some(Deduplication {
                window: Span::from_secs(300),
                by: Sameness::Content,
            }),
            backoff: Backoff::Exponential { max: Span::from_secs(60) },
            keep: Some(Keep { time: None, bytes: Some(5) }),
            overflow: Overflow::DropOldest,
            jitter: 20,
            ..QueuePolicy::default()
        };
        let shown = serde_json::to_vec(&policy).expect("a policy becomes JSON");
        let read: QueueIn = input::json(&shown).expect("it is what is shown");
        assert_eq!(read.policy().ok(), Some(policy));

        let policy = TopicPolicy { retention: Some(Span(1)), compact: true, ..Default::default() };
        let shown = serde_json::to_vec(&policy).expect("a policy becomes JSON");
        assert_eq!(input::json::<TopicIn>(&shown).map(TopicIn::policy).ok(), Some(policy));
    }

    #[test]
    fn units_are_understood_and_what_nobody_knows_is_refused() {
        let read: QueueIn = input::json(br#"{"visibility":"2m"}"#).expect("it is one");
        assert_eq!(read.policy().map(|policy| policy.visibility).ok(), Some(Span::from_secs(120)));
        let unknown = input::json::<QueueIn>(br#"{"visibilty":"2m"}"#).err().expect("a mistake");
        assert!(format!("{unknown:?}").contains("visibility"), "{unknown:?}");
        assert!(
            input::json::<QueueIn>(br#"{"exclusive":true}"#).is_ok_and(|q| q.policy().is_err())
        );
    }
}
