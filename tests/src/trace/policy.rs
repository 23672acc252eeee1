//! A queue's policy as the words of a line.

use std::borrow::Cow;

use fanlight_core::{
    Backoff, Deduplication, Keep, Overflow, QueueKind, QueuePolicy, Sameness, Span,
};

use super::request::{Parsed, Words};
use super::text::{shown_span, span};

/// The policy that the words name: `visibility=1s fifo dead-letter=dead`.
pub(super) fn policy<'t>(words: &mut Words<'t>) -> Parsed<QueuePolicy<'t>> {
    let plain = QueuePolicy::default();
    Ok(QueuePolicy {
        visibility: words.span("visibility")?.unwrap_or(plain.visibility),
        deliveries_max: words.number("deliveries-max")?,
        dead_letter: words.take("dead-letter").map(Cow::from),
        messages_max: words.number("messages-max")?,
        retry_delay: words.span("retry-delay")?.unwrap_or_default(),
        kind: if words.flag("fifo") { QueueKind::Fifo } else { QueueKind::Standard },
        deduplication: deduplication(words)?,
        priorities: words.number("priorities")?.unwrap_or_default(),
        ttl: words.span("ttl")?,
        delay: words.span("delay")?.unwrap_or_default(),
        expires: words.span("expires")?,
        bytes_max: words.number("bytes-max")?,
        overflow: match words.take("overflow") {
            None | Some("refuse") => Overflow::Refuse,
            Some("drop-oldest") => Overflow::DropOldest,
            Some("dead-letter") => Overflow::DeadLetter,
            Some(other) => {
                return Err(format!("overflow={other}: refuse, drop-oldest, dead-letter"));
            }
        },
        backoff: match words.span("backoff-max")? {
            Some(max) => Backoff::Exponential { max },
            None => Backoff::Fixed,
        },
        jitter: words.number("jitter")?.unwrap_or_default(),
        single_active: words.flag("single-active"),
        exclusive: words.flag("exclusive"),
        auto_delete: words.flag("auto-delete"),
        keep: keep(words)?,
        dead_letter_exchange: words.take("dead-letter-exchange").map(Cow::from),
        dead_letter_key: words.take("dead-letter-key").map(Cow::from),
    })
}

/// `dedup=id:5s`, `dedup=content:5s`.
fn deduplication(words: &mut Words<'_>) -> Parsed<Option<Deduplication>> {
    let Some(text) = words.take("dedup") else { return Ok(None) };
    let (by, window) = text.split_once(':').ok_or("dedup=id:5s or dedup=content:5s")?;
    let by = match by {
        "id" => Sameness::Id,
        "content" => Sameness::Content,
        other => return Err(format!("dedup by {other}: id, content")),
    };
    Ok(Some(Deduplication { window: span(window)?, by }))
}

/// `keep=forever`, `keep=10s`, `keep=100B`, `keep=10s/100B`.
fn keep(words: &mut Words<'_>) -> Parsed<Option<Keep>> {
    let Some(text) = words.take("keep") else { return Ok(None) };
    let mut keep = Keep::default();
    for part in text.split('/').filter(|part| *part != "forever") {
        match part.strip_suffix('B') {
            Some(bytes) => keep.bytes = Some(bytes.parse().map_err(|_| "keep= so many bytes")?),
            None => keep.time = Some(span(part)?),
        }
    }
    Ok(Some(keep))
}

/// The reverse of [`policy`]: what differs from the default, and the visibility timeout.
pub(super) fn shown_policy(policy: &QueuePolicy<'_>) -> String {
    let mut shown = format!(" visibility={}", shown_span(policy.visibility));
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            shown += &format!(" {name}={value}");
        }
    };
    let longer = |span: Span| (span > Span::ZERO).then(|| shown_span(span));
    put("deliveries-max", policy.deliveries_max.map(|max| max.to_string()));
    put("dead-letter", policy.dead_letter.as_ref().map(ToString::to_string));
    put("dead-letter-exchange", policy.dead_letter_exchange.as_ref().map(ToString::to_string));
    put("dead-letter-key", policy.dead_letter_key.as_ref().map(ToString::to_string));
    put("messages-max", policy.messages_max.map(|max| max.to_string()));
    put("bytes-max", policy.bytes_max.map(|max| max.to_string()));
    put(
        "overflow",
        match policy.overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest => Some("drop-oldest".into()),
            Overflow::DeadLetter => Some("dead-letter".into()),
        },
    );
    put("retry-delay", longer(policy.retry_delay));
    put(
        "backoff-max",
        match policy.backoff {
            Backoff::Fixed => None,
            Backoff::Exponential { max } => Some(shown_span(max)),
        },
    );
    put("jitter", (policy.jitter > 0).then(|| policy.jitter.to_string()));
    put("priorities", (policy.priorities > 0).then(|| policy.priorities.to_string()));
    put("ttl", policy.ttl.map(shown_span));
    put("delay", longer(policy.delay));
    put("expires", policy.expires.map(shown_span));
    put(
        "dedup",
        policy.deduplication.map(|how| {
            let by = if how.by == Sameness::Id { "id" } else { "content" };
            format!("{by}:{}", shown_span(how.window))
        }),
    );
    put(
        "keep",
        policy.keep.map(|keep| {
            let time = keep.time.map(shown_span);
            let parts: Vec<_> =
                time.into_iter().chain(keep.bytes.map(|b| format!("{b}B"))).collect();
            if parts.is_empty() { "forever".into() } else { parts.join("/") }
        }),
    );
    for (set, word) in [
        (policy.kind == QueueKind::Fifo, " fifo"),
        (policy.single_active, " single-active"),
        (policy.exclusive, " exclusive"),
        (policy.auto_delete, " auto-delete"),
    ] {
        shown += if set { word } else { "" };
    }
    shown
}
