//! The small parts of the traces' language: spans, records, and words with quotes.

use std::fmt::Write;

use fanlight_core::{Batch, Options, Record, Records, Span, Time};

/// `10ms`, `2s`, `5ns`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no span: 10ms, 2s, 5ns"))?;
    match unit {
        "ns" => Ok(Span(number)),
        "ms" => Ok(Span::from_millis(number)),
        "s" => Ok(Span::from_secs(number)),
        _ => Err(format!("{text:?} has no unit that is known: ns, ms, s")),
    }
}

/// The reverse of [`span`], in the largest unit that says it exactly.
pub(super) fn shown_span(span: Span) -> String {
    match span.0 {
        0 => "0ms".into(),
        ns if ns % 1_000_000_000 == 0 => format!("{}s", ns / 1_000_000_000),
        ns if ns % 1_000_000 == 0 => format!("{}ms", ns / 1_000_000),
        ns => format!("{ns}ns"),
    }
}

/// Words, separated by spaces that are not within quotes.
pub(super) fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut from, mut quoted) = (None, false);
    for (at, c) in line.char_indices() {
        quoted ^= c == '"';
        if c == ' ' && !quoted {
            words.extend(from.take().map(|from| &line[from..at]));
        } else if from.is_none() {
            from = Some(at);
        }
    }
    words.extend(from.map(|from| &line[from..]));
    words
}

/// Adds a record: `@key{name:value,name:value}[at=1s,ttl=1s,delay=1s,priority=3,id=x]"body"`, each part
/// but the body optional, or `20*"x"` for a body of 20 bytes.
pub(super) fn add_record(batch: &mut Batch, text: &str) -> Result<(), String> {
    let bad =
        || format!("{text:?} is no record: \"body\", @key\"body\", @key{{name:value}}\"body\"");
    let (before, body) = text.split_once('"').ok_or_else(bad)?;
    let body = body.strip_suffix('"').ok_or_else(bad)?;
    if let Some(times) = before.strip_suffix('*') {
        let times = times.parse().map_err(|_| bad())?;
        batch.push_body(body.repeat(times).as_bytes());
        return Ok(());
    }
    let (before, options) = match before.split_once('[') {
        Some((before, options)) => (before, options.strip_suffix(']').ok_or_else(bad)?),
        None => (before, ""),
    };
    let (timestamp, options) = read_options(options)?;
    let (key, headers) = match before.split_once('{') {
        Some((key, headers)) => (key, headers.strip_suffix('}').ok_or_else(bad)?),
        None => (before, ""),
    };
    let key = if key.is_empty() { None } else { Some(key.strip_prefix('@').ok_or_else(bad)?) };
    let headers: Option<Vec<_>> =
        headers.split_terminator(',').map(|header| header.split_once(':')).collect();
    let headers = headers.ok_or_else(bad)?;
    let headers = headers.into_iter().map(|(name, value)| (name, value.as_bytes()));
    batch
        .push_with(key.map(str::as_bytes), headers, timestamp, &options, body.as_bytes())
        .map_err(|malformed| malformed.to_string())
}

fn read_options(text: &str) -> Result<(Option<Time>, Options<'_>), String> {
    let (mut timestamp, mut options) = (None, Options::default());
    for part in text.split_terminator(',') {
        match part.split_once('=') {
            Some(("at", at)) => timestamp = Some(Time::ZERO + span(at)?),
            Some(("ttl", ttl)) => options.ttl = Some(span(ttl)?),
            Some(("delay", delay)) => options.delay = Some(span(delay)?),
            Some(("priority", number)) => {
                options.priority = Some(number.parse().map_err(|_| format!("{part:?}"))?);
            }
            Some(("id", id)) => options.id = Some(id.as_bytes()),
            Some(_) | None => return Err(format!("{part:?}: at=, ttl=, delay=, priority=, id=")),
        }
    }
    Ok((timestamp, options))
}

fn shown_options(timestamp: Option<Time>, options: &Options<'_>) -> String {
    let parts: Vec<String> = [
        timestamp.map(|at| format!("at={}", shown_span(at.since(Time::ZERO)))),
        options.ttl.map(|ttl| format!("ttl={}", shown_span(ttl))),
        options.delay.map(|delay| format!("delay={}", shown_span(delay))),
        options.priority.map(|priority| format!("priority={priority}")),
        options.id.map(|id| format!("id={}", String::from_utf8_lossy(id))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) }
}

/// The reverse of [`add_record`]. What the broker itself wrote into a header is not shown.
pub(super) fn shown_record(record: &Record<'_>) -> String {
    let mut shown = String::new();
    if let Some(key) = record.key {
        write!(shown, "@{}", String::from_utf8_lossy(key)).expect("a String takes it");
    }
    let header = |(name, value): (&str, &[u8])| match name {
        "x-death" => name.to_string(),
        _ => format!("{name}:{}", String::from_utf8_lossy(value)),
    };
    let headers: Vec<_> = record.headers.iter().map(header).collect();
    if !headers.is_empty() {
        write!(shown, "{{{}}}", headers.join(",")).expect("a String takes it");
    }
    shown += &shown_options(record.timestamp, &record.options);
    let body = record.body;
    match body.first() {
        Some(first) if body.len() > 20 && body.iter().all(|byte| byte == first) => {
            write!(shown, "{}*\"{}\"", body.len(), char::from(*first))
        }
        Some(_) | None => write!(shown, "\"{}\"", String::from_utf8_lossy(body)),
    }
    .expect("a String takes it");
    shown
}

/// All records of a batch.
pub(super) fn shown_records(records: &Records<'_>) -> String {
    records.iter().map(|record| shown_record(&record)).collect::<Vec<_>>().join(" ")
}
