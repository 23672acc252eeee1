//! What comes as JSON or text: read so that what is not right is said.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::UNIX_EPOCH;

use axum::http::StatusCode;
use data_encoding::BASE64;
use fanlight_core::{Offset, Position, Span, Time};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::failure::Failure;

/// What stands before bytes in base64, where text is usual.
const BYTES: &str = "base64:";

/// JSON of one kind: what is no JSON at all is a bad request, what is none of this kind cannot be
/// processed.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        use serde_json::error::Category::{Data, Eof, Io, Syntax};
        let what = format!("the body's JSON: {error}");
        match error.classify() {
            Data => Failure::argument(what),
            Syntax | Eof | Io => Failure::new(StatusCode::BAD_REQUEST, "BadJson", what),
        }
    })
}

/// Something that is an object in JSON. By itself serde would take an array as well, of the fields in
/// their order, which nobody means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        d.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// A length of time, as numbers with their units: `500ms`, `30s`, `1m30s`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    spans(text).ok_or_else(|| {
        "it should be a number with its unit, as \"500ms\", \"30s\", \"5m\" or \"2h\"".to_owned()
    })
}

fn spans(text: &str) -> Option<Span> {
    let (mut rest, mut total) = (text, 0u64);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let nanoseconds = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            "d" => 86_400 * 1_000_000_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(nanoseconds)?)?;
        if after.is_empty() {
            return Some(Span(total));
        }
        rest = after;
    }
}

/// An instant, as RFC 3339 writes it.
pub(super) fn instant(text: &str) -> Result<Time, String> {
    let right = "it should be a time as 2026-07-01T10:00:00Z";
    let time = humantime::parse_rfc3339(text).map_err(|_| right.to_owned())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| right.to_owned())?;
    u64::try_from(since.as_nanos()).map(Time).map_err(|_| right.to_owned())
}

/// A place in a partition.
pub(super) fn position(text: &str) -> Result<Position, String> {
    match text {
        "earliest" => return Ok(Position::Earliest),
        "latest" => return Ok(Position::Latest),
        _ => {}
    }
    if !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(offset) = text.parse()
    {
        return Ok(Position::At(Offset(offset)));
    }
    instant(text).map(Position::Since).map_err(|_| {
        "it should be earliest, latest, an offset as 1200, or a time as 2026-07-01T10:00:00Z"
            .to_owned()
    })
}

/// A key, an id or a header's value: text, or bytes in base64 with a mark before them, as they are
/// shown.
pub(super) fn bytes(text: &str) -> Result<Cow<'_, [u8]>, String> {
    let Some(coded) = text.strip_prefix(BYTES) else { return Ok(text.as_bytes().into()) };
    let decoded = BASE64.decode(coded.as_bytes());
    decoded.map(Cow::Owned).map_err(|_| format!("what follows {BYTES:?} should be base64"))
}

/// A length of time in JSON: text with its unit, or a whole number of nanoseconds as views show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanIn(pub(super) Span);

impl<'de> Deserialize<'de> for SpanIn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SpanIn, D::Error> {
        d.deserialize_any(SpanVisitor { nanoseconds: true }).map(SpanIn)
    }
}

/// A length of time in JSON, where a number alone would be taken for seconds: text with its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting(pub(super) Span);

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Lasting, D::Error> {
        d.deserialize_any(SpanVisitor { nanoseconds: false }).map(Lasting)
    }
}

struct SpanVisitor {
    nanoseconds: bool,
}

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number with its unit, as \"500ms\", \"30s\", \"5m\" or \"2h\"")?;
        if self.nanoseconds {
            f.write_str(", or a whole number of nanoseconds")?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        span(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Span, E> {
        match self.nanoseconds {
            true => Ok(Span(number)),
            false => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }
}

/// An instant in JSON: as RFC 3339 writes it, or nanoseconds since 1970 as views show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeIn(pub(super) Time);

impl<'de> Deserialize<'de> for TimeIn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<TimeIn, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time as \"2026-07-01T10:00:00Z\", or nanoseconds since 1970")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                instant(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
                Ok(Time(number))
            }
        }
        d.deserialize_any(TimeVisitor).map(TimeIn)
    }
}

/// A place in a partition in JSON: text as in the query, or an offset as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct PositionIn(pub(super) Position);

impl<'de> Deserialize<'de> for PositionIn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<PositionIn, D::Error> {
        struct PositionVisitor;
        impl Visitor<'_> for PositionVisitor {
            type Value = Position;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"earliest\", \"latest\", an offset, or a time in RFC 3339")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Position, E> {
                position(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Position, E> {
                Ok(Position::At(Offset(number)))
            }
        }
        d.deserialize_any(PositionVisitor).map(PositionIn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_times_and_bytes_are_read_as_they_are_written_and_nothing_else_is() {
        assert_eq!(position("earliest"), Ok(Position::Earliest));
        assert_eq!(position("12"), Ok(Position::At(Offset(12))));
        let noon = position("1970-01-01T00:00:01Z");
        assert_eq!(noon, Ok(Position::Since(Time::from_millis(1_000))));
        for wrong in ["", "-1", "+1", "soon", "1969-12-31T00:00:00Z"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
        assert_eq!(span("1m30s"), Ok(Span::from_secs(90)));
        for wrong in ["", "20", "s", "5 s", "-5s", "1.5s", "99999999999d", "5min"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert_eq!(bytes("plain").as_deref(), Ok(&b"plain"[..]));
        assert_eq!(bytes("base64:/wAB").as_deref(), Ok(&[0xff, 0, 1][..]));
        assert!(bytes("base64:?").is_err());
    }

    #[test]
    fn a_time_to_wait_says_its_unit_and_a_policy_may_come_as_it_is_shown() {
        assert_eq!(
            json::<SpanIn>(b"30000000000").map(|span| span.0).ok(),
            Some(Span::from_secs(30))
        );
        assert_eq!(json::<Lasting>(b"\"30s\"").map(|span| span.0).ok(), Some(Span::from_secs(30)));
        assert!(json::<Lasting>(b"30").is_err());
    }
}
