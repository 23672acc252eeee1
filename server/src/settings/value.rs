//! What a setting may be, how it is read from text, and how it is shown.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{ClockKind, SyncPolicy};

/// A kind of value. Flags, environment and file all come here as text.
pub(crate) trait Setting: Sized {
    /// Reads it; what would be right, if it is not.
    fn read(text: &str) -> Result<Self, String>;
    /// As it could have been written. Empty: it is not set.
    fn shown(&self) -> String;
    /// For programs.
    fn json(&self) -> Value {
        Value::String(self.shown())
    }
}

impl Setting for String {
    fn read(text: &str) -> Result<String, String> {
        match text.trim() {
            "" => Err("it should not be empty".to_owned()),
            text => Ok(text.to_owned()),
        }
    }

    fn shown(&self) -> String {
        self.clone()
    }
}

/// A path; none by default.
impl Setting for Option<PathBuf> {
    fn read(text: &str) -> Result<Option<PathBuf>, String> {
        String::read(text).map(|text| Some(PathBuf::from(text)))
    }

    fn shown(&self) -> String {
        self.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        json!(self.as_ref().map(|path| path.display().to_string()))
    }
}

/// On or off.
impl Setting for bool {
    fn read(text: &str) -> Result<bool, String> {
        match text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("it should be true or false".to_owned()),
        }
    }

    fn shown(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// A count.
impl Setting for u32 {
    fn read(text: &str) -> Result<u32, String> {
        text.replace('_', "")
            .parse()
            .map_err(|_| format!("it should be a whole number from 0 to {}", u32::MAX))
    }

    fn shown(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Bytes: `1048576`, `64 KiB`, `8MiB`, `1G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Setting for Bytes {
    fn read(text: &str) -> Result<Bytes, String> {
        bytes(text).map(Bytes)
    }

    fn shown(&self) -> String {
        shown_bytes(self.0)
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}

/// Bytes that have no bound of their own unless one is named.
impl Setting for Option<Bytes> {
    fn read(text: &str) -> Result<Option<Bytes>, String> {
        bytes(text).map(|bytes| Some(Bytes(bytes)))
    }

    fn shown(&self) -> String {
        self.map(|bytes| bytes.shown()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        json!(self.map(|bytes| bytes.0))
    }
}

/// Reads a number of bytes. Units are powers of 1024, with or without the `i`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().replace('_', "");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| "it should be bytes, as 1048576, 64KiB, 8MiB or 1GiB".to_owned())
}

/// A number of bytes in the largest unit in which it is whole.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// A length of time: `500ms`, `30s`, `5m`.
impl Setting for Duration {
    fn read(text: &str) -> Result<Duration, String> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= Duration::from_secs(366 * 24 * 60 * 60) => Ok(duration),
            Ok(_) => Err("it should be at most a year".to_owned()),
            Err(_) => Err("it should be a number with its unit, as 500ms, 30s or 5m".to_owned()),
        }
    }

    fn shown(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line.
    Json,
}

impl Setting for LogFormat {
    fn read(text: &str) -> Result<LogFormat, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("it should be text or json".to_owned()),
        }
    }

    fn shown(&self) -> String {
        match self {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    }
}

/// What of the log is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogLevel(String, Targets);

impl LogLevel {
    /// What there is to know, and no more.
    pub(crate) fn info() -> LogLevel {
        LogLevel::read("info").expect("it is a level")
    }

    /// As the log takes it.
    pub(crate) fn targets(&self) -> Targets {
        self.1.clone()
    }
}

impl Setting for LogLevel {
    fn read(text: &str) -> Result<LogLevel, String> {
        let wrong = || {
            "it should be error, warn, info, debug, trace or off, also for a part alone, as in \
             info,audit=off"
                .to_owned()
        };
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let is_level = |level: &str| level.parse::<LevelFilter>().is_ok();
        let all = text.split(',').all(|one| match one.split_once('=') {
            Some((part, level)) => !part.is_empty() && is_level(level),
            None => is_level(one) && !one.is_empty(),
        });
        let targets = text.parse().ok().filter(|_| all).ok_or_else(wrong)?;
        Ok(LogLevel(text, targets))
    }

    fn shown(&self) -> String {
        self.0.clone()
    }
}

/// A list; with commas between, where it is one text.
impl Setting for Vec<String> {
    fn read(text: &str) -> Result<Vec<String>, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }

    fn shown(&self) -> String {
        self.join(",")
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// The namespace that everybody is in who names none.
pub(crate) const NAMESPACE_DEFAULT: &str = "default";
/// What a namespace's name may have.
pub(crate) const NAMESPACE_RULE: &str = "a namespace's name has 1 to 64 lower-case letters, digits \
                                         or any of . _ -, and begins with a letter or digit";
const NAMESPACE_LENGTH_MAX: usize = 64;

/// Whether this can be a namespace's name. It becomes a directory's, also where those do not tell
/// `Orders` from `orders`.
pub(crate) fn is_namespace(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= NAMESPACE_LENGTH_MAX
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || "._-".contains(c))
}

/// Namespaces beside the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespaceNames(pub(crate) Vec<String>);

impl Setting for NamespaceNames {
    fn read(text: &str) -> Result<NamespaceNames, String> {
        let mut names = Vec::<String>::read(text)?;
        names.sort();
        names.dedup();
        names.retain(|name| name != NAMESPACE_DEFAULT);
        match names.iter().find(|name| !is_namespace(name)) {
            Some(name) => Err(format!("{name:?} is none: {NAMESPACE_RULE}")),
            None => Ok(NamespaceNames(names)),
        }
    }

    fn shown(&self) -> String {
        self.0.shown()
    }

    fn json(&self) -> Value {
        self.0.json()
    }
}

impl Setting for SyncPolicy {
    fn read(text: &str) -> Result<SyncPolicy, String> {
        [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never]
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or_else(|| "it should be always, interval or never".to_owned())
    }

    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

impl Setting for ClockKind {
    fn read(text: &str) -> Result<ClockKind, String> {
        [ClockKind::Wall, ClockKind::Virtual]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| "it should be wall or virtual".to_owned())
    }

    fn shown(&self) -> String {
        self.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_and_are_shown_in_the_largest_whole_one() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1 << 10),
            ("64 KiB", 64 << 10),
            ("1_000", 1_000),
            ("8m", 8 << 20),
            ("2GB", 2 << 30),
        ] {
            assert_eq!(Bytes::read(text), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes::read(&shown_bytes(bytes)), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!(shown_bytes(64 << 20), "64MiB");
        assert_eq!(shown_bytes((64 << 20) + 1), "67108865");
        for text in ["", "many", "1.5MiB", "-1", "1XiB", "99999999999TiB"] {
            assert!(Bytes::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same_value() {
        let span = Duration::from_millis(90_500);
        assert_eq!(Duration::read(&span.shown()), Ok(span));
        let list = vec!["https://a".to_owned(), "https://b".to_owned()];
        assert_eq!(Vec::<String>::read(&list.shown()), Ok(list));
        let names = NamespaceNames(vec!["billing".to_owned(), "orders.eu-1".to_owned()]);
        assert_eq!(NamespaceNames::read("orders.eu-1, billing,default"), Ok(names));
        for text in ["Orders", "a/b", ".hidden", "..", "a b"] {
            assert!(NamespaceNames::read(text).is_err(), "{text}");
        }
        assert_eq!(SyncPolicy::read("interval"), Ok(SyncPolicy::Interval));
        assert!(SyncPolicy::read("sometimes").is_err());
    }
}
