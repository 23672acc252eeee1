//! Numbers and instants as people read them.

use fanlight_core::Time;
use fanlight_web::picture::{LineKind, MarkState};

/// A run of the page counts from zero; a server from 1970: of that the time of day is shown.
const EPOCH_LIKELY: u64 = 1_000_000_000 * 1_000_000_000;

/// An instant, to the hundredth of a second.
pub(crate) fn clock(at: Time) -> String {
    let ms = at.as_millis();
    let (s, hundredths) = (ms / 1_000, ms % 1_000 / 10);
    if at.0 >= EPOCH_LIKELY {
        let day = s % 86_400;
        return format!("{:02}:{:02}:{:02}.{hundredths:02}", day / 3_600, day / 60 % 60, day % 60);
    }
    if s >= 60 {
        format!("{}:{:02}.{hundredths:02}", s / 60, s % 60)
    } else {
        format!("{s}.{hundredths:02} s")
    }
}

/// So many of a thing.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The class that gives a line of the log its mark.
pub(crate) fn line_class(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Publish => "is-ready",
        LineKind::Deliver => "is-leased",
        LineKind::Settle => "is-settled",
        LineKind::Return => "is-redelivered",
        LineKind::Death | LineKind::Refusal => "is-dead",
        LineKind::Redrive => "is-ready",
        LineKind::User => "is-selected",
        LineKind::Client | LineKind::Group | LineKind::Topology | LineKind::Work => "is-plain",
    }
}

/// The class and the word of a message's state in a queue.
pub(crate) fn mark_words(
    state: MarkState,
    attempt: u32,
    poison: bool,
) -> (&'static str, &'static str) {
    match state {
        MarkState::Ready if poison => ("is-poison", "ready, poison"),
        MarkState::Leased { .. } if poison => ("is-poison", "leased, poison"),
        MarkState::Ready if attempt > 0 => ("is-redelivered", "ready again"),
        MarkState::Leased { .. } if attempt > 1 => ("is-redelivered", "leased again"),
        MarkState::Ready => ("is-ready", "ready"),
        MarkState::Leased { .. } => ("is-leased", "leased"),
        MarkState::Delayed { .. } => ("is-ready", "waiting for its delay"),
    }
}

/// JSON with a line for each field, in its own order; what is not JSON as it is.
pub(crate) fn readable(body: &str) -> String {
    respaced(body, true)
}

/// JSON without spaces between its parts; what is not JSON as it is.
pub(crate) fn compact(body: &str) -> String {
    respaced(body, false)
}

/// JSON with its spaces set anew. The text of its parts is not touched: neither order nor numbers
/// change.
fn respaced(body: &str, is_wide: bool) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return body.to_owned();
    }
    let mut out = String::with_capacity(body.len() * 2);
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    let line = |out: &mut String, depth: usize| {
        if is_wide {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    for c in body.chars() {
        if in_string {
            out.push(c);
            in_string = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                depth += 1;
                out.push(c);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(if is_wide { ": " } else { ":" }),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}
