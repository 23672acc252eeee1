//! How queues treat their messages: what a client may choose, how a fact keeps it, and what follows
//! from it by calculation alone.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;
use crate::time::Span;

pub(crate) mod first;
mod topic;

pub use topic::{Timestamps, TopicPolicy, TopicSetting};

/// How a queue treats its messages. What is not named is as [`QueuePolicy::default`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueuePolicy<'a> {
    /// How long a delivery is leased before the message is ready again. 30 s, as in SQS.
    pub visibility: Span,
    /// After this many attempts a message is dead-lettered (SQS's `maxReceiveCount`, RabbitMQ's
    /// `x-delivery-limit`). None: never. Needs a dead letter, since a message that failed would be
    /// lost otherwise.
    pub deliveries_max: Option<u32>,
    /// The queue that dead messages go to; it has to exist, and cannot be deleted while it is
    /// named here (SQS's redrive policy).
    pub dead_letter: Option<Cow<'a, str>>,
    /// Messages it holds that are not settled (RabbitMQ's `x-max-length`); what happens to more,
    /// `overflow` says. None: the broker's limit.
    pub messages_max: Option<u64>,
    /// How long a failed attempt keeps a message from being ready again; `backoff` may lengthen it.
    pub retry_delay: Span,
    /// Whether messages of one group are worked in their order.
    pub kind: QueueKind,
    /// Whether a message that comes twice is stored once. None: every message is another.
    pub deduplication: Option<Deduplication>,
    /// The highest priority that counts; messages of a higher one have this one (RabbitMQ's
    /// `x-max-priority`). Zero: every message is as urgent as any other.
    pub priorities: u8,
    /// How long a message may wait (RabbitMQ's `x-message-ttl`, SQS's `MessageRetentionPeriod`). Then
    /// it is dead-lettered, or dropped where there is no dead letter. A leased message does not
    /// expire, but on its return. Where a message brings its own, the smaller counts. None: forever.
    pub ttl: Option<Span>,
    /// How long a message waits before it is ready for the first time (SQS's `DelaySeconds`), where
    /// it does not bring its own.
    pub delay: Span,
    /// After this long without a consumer, a receive or a redeclaration the queue is deleted with
    /// what is in it (RabbitMQ's `x-expires`). It begins anew when the broker does. None: never.
    pub expires: Option<Span>,
    /// Bytes of the messages that are not settled, keys and headers included (RabbitMQ's
    /// `x-max-length-bytes`); what happens to more, `overflow` says. None: no bound of its own.
    pub bytes_max: Option<u64>,
    /// What happens to what is beyond `messages_max` or `bytes_max`.
    pub overflow: Overflow,
    /// How `retry_delay` grows from attempt to attempt.
    pub backoff: Backoff,
    /// By how many percent at most a retry comes earlier than `retry_delay` and `backoff` say, at
    /// random, so that what failed together is not tried together. 0 to 100.
    pub jitter: u8,
    /// Whether all messages go to one consumer, until it is gone (RabbitMQ's
    /// `x-single-active-consumer`).
    pub single_active: bool,
    /// Whether the queue is its connection's alone, and goes with it (AMQP's `exclusive`).
    pub exclusive: bool,
    /// Whether the queue goes with its last consumer (AMQP's `auto-delete`). One that never had a
    /// consumer stays.
    pub auto_delete: bool,
    /// Whether settled messages are kept, and can be read again as a log. None: they are gone.
    pub keep: Option<Keep>,
    /// The exchange that dead messages go through instead of straight to a queue (RabbitMQ's
    /// `x-dead-letter-exchange`).
    pub dead_letter_exchange: Option<Cow<'a, str>>,
    /// The routing key that dead messages then get; None: their own (RabbitMQ's
    /// `x-dead-letter-routing-key`).
    pub dead_letter_key: Option<Cow<'a, str>>,
}

/// Whether messages of one group are worked in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QueueKind {
    /// Messages are handed out in their order, but one that failed comes later than others.
    #[default]
    Standard,
    /// A record's key is its message group: while a message of a group is leased or waits to be
    /// tried again, no later one of the group is handed out (SQS's FIFO queues). Groups do not
    /// wait for one another.
    Fifo,
}

/// How a message that came before is recognised. It is confirmed and not stored again, even if
/// the first is settled meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deduplication {
    /// How long a message is remembered: five minutes in SQS.
    pub window: Span,
    /// By what.
    pub by: Sameness,
}

/// By what a message is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sameness {
    /// By the record's id (SQS's `MessageDeduplicationId`). A record without one is like no other.
    #[default]
    Id,
    /// By the record's id, and where it has none by the SHA-256 of its body, as SQS's
    /// `ContentBasedDeduplication` does. Key and headers do not count.
    Content,
}

/// What happens to what is beyond a queue's bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overflow {
    /// The publish is refused (RabbitMQ's `reject-publish`).
    #[default]
    Refuse,
    /// The oldest messages that are not leased are dropped (RabbitMQ's `drop-head`). Leased ones
    /// do not count, since they cannot be dropped.
    DropOldest,
    /// The oldest messages that are not leased are dead-lettered (RabbitMQ's `drop-head` where there
    /// is a dead-letter exchange). Leased ones do not count.
    DeadLetter,
}

/// How the delay of a retry grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backoff {
    /// It does not.
    #[default]
    Fixed,
    /// It doubles with each failed attempt.
    Exponential {
        /// The longest.
        max: Span,
    },
}

/// How long settled messages are kept. What is not settled is kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Keep {
    /// For so long after they came. None: however old they are.
    pub time: Option<Span>,
    /// While the queue's records have no more than these bytes. None: however many.
    pub bytes: Option<u64>,
}

impl Default for QueuePolicy<'_> {
    fn default() -> Self {
        QueuePolicy {
            visibility: crate::limits::VISIBILITY_DEFAULT,
            deliveries_max: None,
            dead_letter: None,
            messages_max: None,
            retry_delay: Span::ZERO,
            kind: QueueKind::Standard,
            deduplication: None,
            priorities: 0,
            ttl: None,
            delay: Span::ZERO,
            expires: None,
            bytes_max: None,
            overflow: Overflow::Refuse,
            backoff: Backoff::Fixed,
            jitter: 0,
            single_active: false,
            exclusive: false,
            auto_delete: false,
            keep: None,
            dead_letter_exchange: None,
            dead_letter_key: None,
        }
    }
}

impl<'a> QueuePolicy<'a> {
    /// The same with names of its own.
    pub fn into_owned(self) -> QueuePolicy<'static> {
        let owned =
            |name: Option<Cow<'_, str>>| name.map(|name| Cow::Owned::<'static>(name.into_owned()));
        QueuePolicy {
            dead_letter: owned(self.dead_letter),
            dead_letter_exchange: owned(self.dead_letter_exchange),
            dead_letter_key: owned(self.dead_letter_key),
            visibility: self.visibility,
            deliveries_max: self.deliveries_max,
            messages_max: self.messages_max,
            retry_delay: self.retry_delay,
            kind: self.kind,
            deduplication: self.deduplication,
            priorities: self.priorities,
            ttl: self.ttl,
            delay: self.delay,
            expires: self.expires,
            bytes_max: self.bytes_max,
            overflow: self.overflow,
            backoff: self.backoff,
            jitter: self.jitter,
            single_active: self.single_active,
            exclusive: self.exclusive,
            auto_delete: self.auto_delete,
            keep: self.keep,
        }
    }

    /// What differs from the default, as facts keep it.
    pub fn settings(&self) -> Vec<QueueSetting<'_>> {
        let mut settings = Vec::new();
        let mut put = |differs: bool, setting| settings.extend(differs.then_some(setting));
        let plain = QueuePolicy::default();
        put(self.visibility != plain.visibility, QueueSetting::Visibility(self.visibility));
        put(self.retry_delay != Span::ZERO, QueueSetting::RetryDelay(self.retry_delay));
        put(self.kind != plain.kind, QueueSetting::Kind(self.kind));
        put(self.priorities != 0, QueueSetting::Priorities(self.priorities));
        put(self.delay != Span::ZERO, QueueSetting::Delay(self.delay));
        put(self.overflow != plain.overflow, QueueSetting::Overflow(self.overflow));
        put(self.backoff != plain.backoff, QueueSetting::Backoff(self.backoff));
        put(self.jitter != 0, QueueSetting::Jitter(self.jitter));
        put(self.single_active, QueueSetting::SingleActive);
        put(self.exclusive, QueueSetting::Exclusive);
        put(self.auto_delete, QueueSetting::AutoDelete);
        settings.extend(self.deliveries_max.map(QueueSetting::DeliveriesMax));
        settings.extend(self.messages_max.map(QueueSetting::MessagesMax));
        settings.extend(self.bytes_max.map(QueueSetting::BytesMax));
        settings.extend(self.deduplication.map(QueueSetting::Deduplication));
        settings.extend(self.ttl.map(QueueSetting::Ttl));
        settings.extend(self.expires.map(QueueSetting::Expires));
        settings.extend(self.keep.map(QueueSetting::Keep));
        let name = |name: &'_ Option<Cow<'a, str>>| name.clone();
        settings.extend(name(&self.dead_letter).map(QueueSetting::DeadLetter));
        settings.extend(name(&self.dead_letter_exchange).map(QueueSetting::DeadLetterExchange));
        settings.extend(name(&self.dead_letter_key).map(QueueSetting::DeadLetterKey));
        settings
    }

    /// The policy that these settings make; the reverse of [`QueuePolicy::settings`].
    pub fn of(settings: &[QueueSetting<'a>]) -> QueuePolicy<'a> {
        let mut policy = QueuePolicy::default();
        for setting in settings {
            match setting.clone() {
                QueueSetting::Visibility(span) => policy.visibility = span,
                QueueSetting::DeliveriesMax(max) => policy.deliveries_max = Some(max),
                QueueSetting::DeadLetter(name) => policy.dead_letter = Some(name),
                QueueSetting::MessagesMax(max) => policy.messages_max = Some(max),
                QueueSetting::RetryDelay(span) => policy.retry_delay = span,
                QueueSetting::Kind(kind) => policy.kind = kind,
                QueueSetting::Deduplication(how) => policy.deduplication = Some(how),
                QueueSetting::Priorities(highest) => policy.priorities = highest,
                QueueSetting::Ttl(span) => policy.ttl = Some(span),
                QueueSetting::Delay(span) => policy.delay = span,
                QueueSetting::Expires(span) => policy.expires = Some(span),
                QueueSetting::BytesMax(max) => policy.bytes_max = Some(max),
                QueueSetting::Overflow(how) => policy.overflow = how,
                QueueSetting::Backoff(how) => policy.backoff = how,
                QueueSetting::Jitter(percent) => policy.jitter = percent,
                QueueSetting::SingleActive => policy.single_active = true,
                QueueSetting::Exclusive => policy.exclusive = true,
                QueueSetting::AutoDelete => policy.auto_delete = true,
                QueueSetting::Keep(keep) => policy.keep = Some(keep),
                QueueSetting::DeadLetterExchange(name) => policy.dead_letter_exchange = Some(name),
                QueueSetting::DeadLetterKey(key) => policy.dead_letter_key = Some(key),
            }
        }
        policy
    }

    /// Only what cannot change while the queue exists.
    pub(crate) fn for_life(&self) -> QueuePolicy<'static> {
        QueuePolicy {
            kind: self.kind,
            priorities: self.priorities,
            exclusive: self.exclusive,
            keep: self.keep,
            single_active: self.single_active,
            ..QueuePolicy::default()
        }
    }

    /// How long a message waits after its attempt of this number failed, if its consumer asks for
    /// no more.
    pub(crate) fn retry_after(&self, attempt: u32, rng: &mut Rng) -> Span {
        let Span(delay) = match self.backoff {
            Backoff::Fixed => self.retry_delay,
            Backoff::Exponential { max } => {
                let doubled = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
                Span(self.retry_delay.0.saturating_mul(doubled)).min(max)
            }
        };
        if self.jitter == 0 || delay == 0 {
            return Span(delay);
        }
        let earliest = u128::from(delay) * u128::from(self.jitter) / 100;
        let earlier = earliest * u128::from(rng.below(u32::MAX)) / u128::from(u32::MAX);
        Span(delay - earlier as u64)
    }

    /// Whether messages that die here go anywhere.
    pub(crate) fn has_dead_letter(&self) -> bool {
        self.dead_letter.is_some() || self.dead_letter_exchange.is_some()
    }

    /// Whether the queue may be deleted without anybody asking for it.
    pub(crate) fn goes_by_itself(&self) -> bool {
        self.exclusive || self.auto_delete || self.expires.is_some()
    }

    /// Which two of its settings contradict each other, as a sentence.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        let dies = self.has_dead_letter();
        let exponential = matches!(self.backoff, Backoff::Exponential { .. });
        let cases = [
            (
                self.deliveries_max.is_some() && !dies,
                "deliveries_max needs a dead_letter queue: a message that failed so often would be \
                 lost without one",
            ),
            (
                self.overflow == Overflow::DeadLetter && !dies,
                "overflow to dead letters needs a dead_letter queue; overflow can also drop the \
                 oldest, or refuse",
            ),
            (
                self.dead_letter.is_some() && self.dead_letter_exchange.is_some(),
                "dead_letter and dead_letter_exchange name two ways for dead messages; choose one",
            ),
            (
                self.dead_letter_key.is_some() && self.dead_letter_exchange.is_none(),
                "dead_letter_key needs a dead_letter_exchange that it is a key for",
            ),
            (
                self.kind == QueueKind::Fifo && self.priorities > 0,
                "a FIFO queue keeps the order of each message group, and has no priorities",
            ),
            (
                exponential && self.retry_delay == Span::ZERO,
                "an exponential backoff doubles retry_delay, which is zero; set both",
            ),
            (
                self.jitter > 0 && self.retry_delay == Span::ZERO,
                "jitter shortens retry_delay, which is zero; set both",
            ),
        ];
        cases.into_iter().find_map(|(is_so, why)| is_so.then_some(why))
    }
}

/// One setting of a queue, as facts keep it: what differs from the default.
///
/// The order of the variants is their number in the journal: new ones go to the end, and what those
/// that are here hold never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueSetting<'a> {
    /// [`QueuePolicy::visibility`].
    Visibility(Span),
    /// [`QueuePolicy::deliveries_max`].
    DeliveriesMax(u32),
    /// [`QueuePolicy::dead_letter`].
    #[serde(borrow)]
    DeadLetter(Cow<'a, str>),
    /// [`QueuePolicy::messages_max`].
    MessagesMax(u64),
    /// [`QueuePolicy::retry_delay`].
    RetryDelay(Span),
    /// [`QueuePolicy::kind`].
    Kind(QueueKind),
    /// [`QueuePolicy::deduplication`].
    Deduplication(Deduplication),
    /// [`QueuePolicy::priorities`].
    Priorities(u8),
    /// [`QueuePolicy::ttl`].
    Ttl(Span),
    /// [`QueuePolicy::delay`].
    Delay(Span),
    /// [`QueuePolicy::expires`].
    Expires(Span),
    /// [`QueuePolicy::bytes_max`].
    BytesMax(u64),
    /// [`QueuePolicy::overflow`].
    Overflow(Overflow),
    /// [`QueuePolicy::backoff`].
    Backoff(Backoff),
    /// [`QueuePolicy::jitter`].
    Jitter(u8),
    /// [`QueuePolicy::single_active`].
    SingleActive,
    /// [`QueuePolicy::exclusive`].
    Exclusive,
    /// [`QueuePolicy::auto_delete`].
    AutoDelete,
    /// [`QueuePolicy::keep`].
    Keep(Keep),
    /// [`QueuePolicy::dead_letter_exchange`].
    #[serde(borrow)]
    DeadLetterExchange(Cow<'a, str>),
    /// [`QueuePolicy::dead_letter_key`].
    #[serde(borrow)]
    DeadLetterKey(Cow<'a, str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(backoff: Backoff, jitter: u8) -> QueuePolicy<'static> {
        QueuePolicy { retry_delay: Span(100), backoff, jitter, ..QueuePolicy::default() }
    }

    #[test]
    fn settings_are_a_policy_and_back() {
        let policy = QueuePolicy {
            visibility: Span(1),
            deliveries_max: Some(2),
            dead_letter: Some("dead".into()),
            messages_max: Some(3),
            retry_delay: Span(4),
            kind: QueueKind::Fifo,
            deduplication: Some(Deduplication { window: Span(5), by: Sameness::Content }),
            priorities: 6,
            ttl: Some(Span(7)),
            delay: Span(8),
            expires: Some(Span(9)),
            bytes_max: Some(10),
            overflow: Overflow::DropOldest,
            backoff: Backoff::Exponential { max: Span(11) },
            jitter: 12,
            single_active: true,
            exclusive: true,
            auto_delete: true,
            keep: Some(Keep { time: Some(Span(13)), bytes: Some(14) }),
            dead_letter_exchange: Some("x".into()),
            dead_letter_key: Some("k".into()),
        };
        assert_eq!(QueuePolicy::of(&policy.settings()), policy);
        assert_eq!(policy.settings().len(), 21);
        assert_eq!(QueuePolicy::default().settings(), []);
    }

    #[test]
    fn a_backoff_doubles_up_to_its_longest() {
        let mut rng = Rng::new(0);
        let policy = policy(Backoff::Exponential { max: Span(500) }, 0);
        let delays: Vec<_> = (1..=5).map(|n| policy.retry_after(n, &mut rng).0).collect();
        assert_eq!(delays, [100, 200, 400, 500, 500]);
        assert_eq!(policy.retry_after(u32::MAX, &mut rng), Span(500));
    }

    #[test]
    fn jitter_makes_a_retry_earlier_by_its_percentage_at_most() {
        let mut rng = Rng::new(7);
        let policy = policy(Backoff::Fixed, 20);
        let delays: Vec<_> = (0..200).map(|_| policy.retry_after(1, &mut rng).0).collect();
        assert!(delays.iter().all(|delay| (80..=100).contains(delay)), "{delays:?}");
        assert!(delays.iter().any(|delay| *delay < 85) && delays.iter().any(|delay| *delay > 95));
    }
}
