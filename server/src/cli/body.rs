//! How a record's bytes are shown: as JSON where they are JSON, else as text, else in base64.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use fanlight_core::{Death, Record};

/// The header in which the broker keeps a message's deaths, in the codec's format.
const DEATHS: &str = "x-death";

/// What bytes turned out to be.
#[derive(Debug)]
pub(crate) enum Shown<'a> {
    /// JSON, in one line, as it was written otherwise.
    Json(Cow<'a, RawValue>),
    /// Text.
    Text(&'a str),
    /// Neither.
    Binary(&'a [u8]),
}

impl<'a> Shown<'a> {
    /// Looks at bytes.
    pub(crate) fn of(bytes: &'a [u8]) -> Shown<'a> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Shown::Binary(bytes);
        };
        match serde_json::from_str::<&RawValue>(text) {
            Ok(json) if json.get().contains(['\n', '\r']) => {
                match RawValue::from_string(in_one_line(json.get())) {
                    Ok(json) => Shown::Json(Cow::Owned(json)),
                    Err(_) => Shown::Text(text),
                }
            }
            Ok(json) => Shown::Json(Cow::Borrowed(json)),
            Err(_) => Shown::Text(text),
        }
    }

    /// What it is called beside JSON that it stands in.
    fn encoding(&self) -> &'static str {
        match self {
            Shown::Json(_) => "json",
            Shown::Text(_) => "text",
            Shown::Binary(_) => "base64",
        }
    }

    /// For a person's eye; binary is marked.
    pub(crate) fn plain(&self) -> Cow<'_, str> {
        match self {
            Shown::Json(json) => Cow::Borrowed(json.get()),
            Shown::Text(text) => Cow::Borrowed(text),
            Shown::Binary(bytes) => Cow::Owned(format!("base64:{}", BASE64.encode(bytes))),
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Json(json) => json.serialize(s),
            Shown::Text(text) => s.serialize_str(text),
            Shown::Binary(bytes) => s.serialize_str(&BASE64.encode(bytes)),
        }
    }
}

/// JSON without the white space between its tokens.
fn in_one_line(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            let keep = in_string || !c.is_ascii_whitespace();
            match c {
                '"' if !escaped => in_string = !in_string,
                _ => {}
            }
            escaped = in_string && c == '\\' && !escaped;
            keep
        })
        .collect()
}

/// A key or a header's value: text, or base64 with a mark.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(format!("base64:{}", BASE64.encode(bytes))),
    }
}

/// Adds a record's parts to the JSON object of whatever holds it.
pub(crate) fn record_entries<M: SerializeMap>(
    record: &Record<'_>,
    map: &mut M,
) -> Result<(), M::Error> {
    map.serialize_entry("key", &record.key.map(text))?;
    if headers(record).next().is_some() {
        map.serialize_entry("headers", &HeaderMap(record))?;
    }
    if let Some(at) = record.timestamp {
        map.serialize_entry("timestamp", &super::output::instant(at))?;
    }
    let options = &record.options;
    if let Some(id) = options.id {
        map.serialize_entry("id", &text(id))?;
    }
    if let Some(priority) = options.priority {
        map.serialize_entry("priority", &priority)?;
    }
    if let Some(ttl) = options.ttl {
        map.serialize_entry("ttl", &super::output::span(ttl))?;
    }
    if let Some(delay) = options.delay {
        map.serialize_entry("delay", &super::output::span(delay))?;
    }
    let body = Shown::of(record.body);
    map.serialize_entry("bodyEncoding", body.encoding())?;
    map.serialize_entry("body", &body)
}

/// A record's headers but the broker's own.
pub(crate) fn headers<'a>(record: &Record<'a>) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    let headers = record.headers.iter().filter(|(name, _)| *name != DEATHS);
    headers.map(|(name, value)| (name, text(value)))
}

/// What the broker remembers in a message of its deaths.
pub(crate) fn deaths(record: &Record<'_>) -> Vec<Death> {
    fanlight_core::deaths(record)
}

struct HeaderMap<'r, 'a>(&'r Record<'a>);

impl Serialize for HeaderMap<'_, '_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(headers(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_shown_as_it_was_written_in_one_line() {
        assert_eq!(Shown::of(br#"{"b":1.10,"a":9007199254740993}"#).plain(), {
            r#"{"b":1.10,"a":9007199254740993}"#
        });
        let lines = Shown::of(b"{\n  \"a b\": \"c \\\" d\",\n  \"e\": [1, 2]\n}");
        assert_eq!(lines.plain(), r#"{"a b":"c \" d","e":[1,2]}"#);
        assert_eq!(lines.encoding(), "json");
    }

    #[test]
    fn what_is_not_json_is_shown_as_text_and_what_is_not_text_in_base64_with_a_mark() {
        assert_eq!(Shown::of(b"hello").plain(), "hello");
        assert_eq!(Shown::of(b"hello").encoding(), "text");
        assert_eq!(Shown::of(&[0xff, 0, 1]).plain(), "base64:/wAB");
        assert_eq!(text(&[0xff, 0, 1]), "base64:/wAB");
    }
}
