//! Values on the command line, each read by a function that says what would have been right.

use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use fanlight_core::{Offset, Position, Span, Time};

/// A length of time: `500ms`, `30s`, `5m`, `2h`.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    humantime::parse_duration(text)
        .ok()
        .and_then(|duration| u64::try_from(duration.as_nanos()).ok())
        .map(Span)
        .ok_or_else(|| "it should be a number with its unit, as 500ms, 30s, 5m or 2h".to_owned())
}

/// The same, at least a millisecond, for clocks of our own.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    span(text).map(|span| Duration::from_nanos(span.0))
}

/// A bound, or none: `none` takes away what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most<T>(pub(crate) Option<T>);

/// A number or a name, or `none`.
pub(crate) fn most<T: FromStr>(text: &str) -> Result<Most<T>, String> {
    let value = || text.parse().map_err(|_| "it should be a number, or none".to_owned());
    either(text, |_| value())
}

/// A length of time, or `none`.
pub(crate) fn most_span(text: &str) -> Result<Most<Span>, String> {
    either(text, span)
}

/// A number of bytes, or `none`.
pub(crate) fn most_bytes(text: &str) -> Result<Most<u64>, String> {
    either(text, crate::settings::bytes)
}

fn either<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Most<T>, String> {
    match text {
        "none" => Ok(Most(None)),
        _ => read(text).map(|value| Most(Some(value))).map_err(|why| match why.contains("none") {
            true => why,
            false => format!("{why}; or none"),
        }),
    }
}

/// A place in a partition, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The oldest record.
    Earliest,
    /// After the newest.
    Latest,
    /// An offset.
    At(u64),
    /// The first record from then on.
    Since(Time),
    /// The same, that long before now.
    Ago(Span),
}

impl Place {
    /// What the broker is asked for, at its time `now`.
    pub(crate) fn position(self, now: Time) -> Position {
        match self {
            Place::Earliest => Position::Earliest,
            Place::Latest => Position::Latest,
            Place::At(offset) => Position::At(Offset(offset)),
            Place::Since(at) => Position::Since(at),
            Place::Ago(span) => Position::Since(now - span),
        }
    }
}

/// `earliest`, `latest`, an offset, a time (RFC 3339) or how long ago (`5m`, `-5m`).
pub(crate) fn place(text: &str) -> Result<Place, String> {
    match text {
        "earliest" | "beginning" => return Ok(Place::Earliest),
        "latest" | "end" => return Ok(Place::Latest),
        _ => {}
    }
    if let Ok(offset) = text.parse() {
        return Ok(Place::At(offset));
    }
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(Place::Since(Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))));
    }
    let ago = text.strip_prefix('-').unwrap_or(text);
    if let Ok(ago) = span(ago) {
        return Ok(Place::Ago(ago));
    }
    Err("it should be earliest, latest, an offset as 1200, a time as 2026-07-01T10:00:00Z, or how \
         long ago as 15m"
        .to_owned())
}

/// Messages a second: `100`, `100/s`, `600/m`.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (number, seconds) = match text.split_once('/') {
        None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
        Some((number, "m" | "min")) => (number, 60.0),
        Some(_) => ("", 1.0),
    };
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number / seconds),
        Ok(_) | Err(_) => Err("it should be messages a second, as 100 or 100/s".to_owned()),
    }
}

/// A header: `name=value`.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && name.len() <= 255 => {
            Ok((name.to_owned(), value.to_owned()))
        }
        Some(_) | None => Err("it should be name=value, with a name of 1 to 255 bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(span("500ms"), Ok(Span::from_millis(500)));
        assert_eq!(span("30s"), Ok(Span::from_secs(30)));
        assert_eq!(span("5m"), Ok(Span::from_secs(300)));
        assert_eq!(span("2h"), Ok(Span::from_secs(7_200)));
        for text in ["", "30", "s", "-1s", "1 fortnight", "9999999999999999h"] {
            assert!(span(text).expect_err(text).contains("500ms, 30s, 5m or 2h"), "{text}");
        }
    }

    #[test]
    fn places_are_words_offsets_times_and_ages() {
        assert_eq!(place("earliest"), Ok(Place::Earliest));
        assert_eq!(place("latest"), Ok(Place::Latest));
        assert_eq!(place("1200"), Ok(Place::At(1_200)));
        let instant = Time::from_millis(1_291_193_100_000);
        assert_eq!(place("2010-12-01T08:45:00Z"), Ok(Place::Since(instant)));
        assert_eq!(place("15m"), Ok(Place::Ago(Span::from_secs(900))));
        assert_eq!(place("-15m"), Ok(Place::Ago(Span::from_secs(900))));
        assert!(place("yesterday").expect_err("no place").contains("2026-07-01T10:00:00Z"));
    }

    #[test]
    fn an_age_is_counted_from_the_brokers_time() {
        let now = Time(Span::from_secs(100).0);
        let at = Place::Ago(Span::from_secs(40)).position(now);
        assert_eq!(at, Position::Since(Time(Span::from_secs(60).0)));
    }

    #[test]
    fn rates_are_messages_a_second() {
        assert_eq!(rate("100"), Ok(100.0));
        assert_eq!(rate("100/s"), Ok(100.0));
        assert_eq!(rate("30/m"), Ok(0.5));
        for text in ["0", "-1", "fast", "1/h", "inf"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_are_names_with_values() {
        assert_eq!(header("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(header("a="), Ok(("a".to_owned(), String::new())));
        assert!(header("a").is_err() && header("=b").is_err());
    }
}
