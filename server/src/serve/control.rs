//! What tests ask of a server beside its broker: to move its clock, and to let something go wrong.
//!
//! A request comes as JSON: over HTTP, or as a text message over the WebSocket, where frames are
//! binary. It goes through the shard, and its answer through the journal's queue, as any event: so
//! whatever it caused has been decided, and is as durable as a confirm is, before it is answered.

pub(crate) mod faults;
pub(crate) mod http;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fanlight_core::{ConnId, Span, Time};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use self::faults::{Fault, FaultAsk};
use super::mailbox::Mailbox;
use crate::access::Account;

/// The longest request that is read.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 10;

/// A request, and who waits for its answer.
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    /// What the asker knows it by.
    pub(crate) id: Option<Value>,
    /// What is asked, or why it is refused.
    pub(crate) what: Result<Ask, Trouble>,
}

/// Where an answer goes.
pub(crate) enum Asker {
    /// To a connection, among its events.
    Connection(ConnId),
    /// Into a mailbox of its own.
    Mailbox(Arc<Mailbox>),
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Something about the clock.
    Clock(ClockAsk),
    /// Something about faults.
    Fault(FaultAsk),
    /// A backup of this name.
    Backup(String),
}

/// What can be asked of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClockAsk {
    /// What time it is.
    Show,
    /// That it is later by so much.
    Advance(#[serde(deserialize_with = "span")] Span),
    /// That it stands still.
    Freeze,
    /// That it runs.
    Resume,
}

/// Why something that was asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    /// For programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Trouble {
    /// It cannot be read.
    pub(crate) fn bad(message: impl Into<String>) -> Trouble {
        Trouble { code: "bad_request", message: message.into() }
    }

    /// It takes an admin.
    pub(crate) fn forbidden(user: &str) -> Trouble {
        let message = format!(
            "the user {user} may not do that: it takes the tag admin (`fanlight users permit \
             {user} --tag admin`)"
        );
        Trouble { code: "forbidden", message }
    }

    /// There are no faults on this server.
    pub(crate) fn no_faults() -> Trouble {
        let message = "faults are not switched on; start the server with --faults";
        Trouble { code: "no_faults", message: message.to_owned() }
    }

    /// The server does nothing any more.
    pub(crate) fn unavailable(message: &str) -> Trouble {
        Trouble { code: "unavailable", message: message.to_owned() }
    }

    /// The clock is the wall's.
    pub(crate) fn not_virtual() -> Trouble {
        let message = "this server's clock is the machine's, which nobody moves; start it with \
                       --clock virtual";
        Trouble { code: "not_virtual", message: message.to_owned() }
    }
}

/// The clock as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClockView {
    /// `wall` or `virtual`.
    kind: &'static str,
    /// Whether it runs by itself.
    running: bool,
    /// The broker's time, as RFC 3339.
    now: String,
    /// The same, in milliseconds since the Unix epoch.
    now_ms: u64,
    /// How far it was moved.
    #[serde(flatten)]
    pub(crate) moved: Option<Moved>,
}

/// How far an advance came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// By how much the clock was moved, as it would be asked for.
    advanced: String,
    /// The same, in whole milliseconds.
    advanced_ms: u64,
    /// Whether that is all that was asked for. If not, so much was due on the way that others would
    /// have waited for too long: ask for the rest.
    reached: bool,
}

impl Moved {
    /// It was moved by so much.
    pub(crate) fn new(by: Span, reached: bool) -> Moved {
        let advanced = humantime::format_duration(Duration::from_nanos(by.0)).to_string();
        Moved { advanced, advanced_ms: by.as_millis(), reached }
    }
}

impl ClockView {
    /// A clock of this kind at this time.
    pub(crate) fn new(kind: &'static str, running: bool, now: Time) -> ClockView {
        ClockView { kind, running, now: instant(now), now_ms: now.as_millis(), moved: None }
    }
}

/// A time of the broker, as RFC 3339 with all its digits.
fn instant(at: Time) -> String {
    humantime::format_rfc3339(UNIX_EPOCH + Duration::from_nanos(at.0)).to_string()
}

/// An answer's JSON.
#[derive(Serialize)]
pub(crate) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(flatten)]
    what: Answered<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answered<'a> {
    Error(&'a Trouble),
    #[serde(untagged)]
    Done(&'a Done),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    /// The clock, after it.
    Clock(ClockView),
    /// A fault that was added.
    Fault(Fault),
    /// The faults that are waited for.
    Faults(Vec<Fault>),
    /// The broker has begun again, at this time.
    Restarted(ClockView),
    /// A backup that was written.
    Backup(BackupView),
}

/// A backup that is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BackupView {
    /// Where, on the server's machine.
    directory: String,
    /// How large it is.
    bytes: u64,
    /// Of which time of the broker, as RFC 3339.
    at: String,
}

impl BackupView {
    /// One in this directory.
    pub(crate) fn new(directory: &Path, at: Time, bytes: u64) -> BackupView {
        let at = instant(at);
        BackupView { directory: directory.display().to_string(), bytes, at }
    }
}

/// An answer as text.
pub(crate) fn answer(id: Option<&Value>, result: Result<&Done, &Trouble>) -> String {
    let what = result.map_or_else(Answered::Error, Answered::Done);
    serde_json::to_string(&Answer { id, what }).expect("an answer is plain text and numbers")
}

/// A text message of a connection.
pub(crate) fn read(conn: ConnId, text: &str, account: &Account) -> Asked {
    let asker = Asker::Connection(conn);
    if text.len() > REQUEST_BYTES_MAX {
        let what = format!("a control request has at most {REQUEST_BYTES_MAX} bytes");
        return Asked { asker, id: None, what: Err(Trouble::bad(what)) };
    }
    let example = "it should be as {\"id\":1,\"clock\":{\"advance\":\"30s\"}}, with \
                   clock \"show\", \"freeze\", \"resume\" or {\"advance\": TIME}, or fault \"list\", \
                   {\"add\": FAULT} {\"clear\": ID or null} or \"restart\"; the frames of the protocol come in binary messages";
    let bad = |error: serde_json::Error| Trouble::bad(format!("{error}; {example}"));
    let mut value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return Asked { asker, id: None, what: Err(bad(error)) },
    };
    let id = value.as_object_mut().and_then(|object| object.remove("id"));
    let what = serde_json::from_value::<Text>(value).map_err(bad);
    let what = what.map(|text| match text {
        Text::Clock(ask) => Ask::Clock(ask),
        Text::Fault(ask) => Ask::Fault(ask),
        Text::Backup(name) => Ask::Backup(name),
    });
    let what = what.and_then(|ask| permit(ask, account));
    Asked { asker, id, what }
}

/// Whether somebody may ask for it: everybody may look, and an admin may do.
pub(crate) fn permit(ask: Ask, account: &Account) -> Result<Ask, Trouble> {
    match ask {
        Ask::Clock(ClockAsk::Show) | Ask::Fault(FaultAsk::List) => Ok(ask),
        Ask::Clock(_) | Ask::Fault(_) | Ask::Backup(_) if account.is_admin() => Ok(ask),
        Ask::Clock(_) | Ask::Fault(_) | Ask::Backup(_) => Err(Trouble::forbidden(&account.name)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Text {
    Clock(ClockAsk),
    Fault(FaultAsk),
    Backup(String),
}

/// `"30s"`, or a number of milliseconds.
pub(crate) fn span<'de, D: Deserializer<'de>>(value: D) -> Result<Span, D::Error> {
    const SHOULD: &str = "a time should be text as \"500ms\", \"30s\" or \"2h\", or a whole number \
                          of milliseconds";
    match Value::deserialize(value)? {
        Value::Number(ms) => ms.as_u64().and_then(|ms| ms.checked_mul(1_000_000)).map(Span),
        Value::String(text) => humantime::parse_duration(&text)
            .ok()
            .and_then(|span| u64::try_from(span.as_nanos()).ok())
            .map(Span),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .ok_or_else(|| D::Error::custom(SHOULD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Ask, Trouble> {
        read(ConnId(1), text, &Account::everybody()).what
    }

    #[test]
    fn a_time_is_text_with_a_unit_or_milliseconds() {
        for (text, span) in [
            (r#"{"clock":{"advance":"30s"}}"#, Span::from_secs(30)),
            (r#"{"clock":{"advance":"1m 500ms"}}"#, Span::from_millis(60_500)),
            (r#"{"clock":{"advance":250}}"#, Span::from_millis(250)),
            (r#"{"clock":{"advance":"0s"}}"#, Span::ZERO),
        ] {
            assert_eq!(asked(text), Ok(Ask::Clock(ClockAsk::Advance(span))), "{text}");
        }
        for text in [
            r#"{"clock":{"advance":-1}}"#,
            r#"{"clock":{"advance":1.5}}"#,
            r#"{"clock":{"advance":"soon"}}"#,
            r#"{"clock":{"advance":"9999999999999y"}}"#,
            r#"{"clock":{"advance":99999999999999999999}}"#,
            r#"{"clock":{"advance":null}}"#,
        ] {
            let trouble = asked(text).expect_err(text);
            assert_eq!(trouble.code, "bad_request", "{text}");
            assert!(trouble.message.contains("\"30s\""), "{trouble:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_what_could_be_and_keeps_its_id() {
        for text in ["", "x", "[]", "1", "{}", r#"{"clock":"stop"}"#, r#"{"clock":"show","a":1}"#] {
            let trouble = asked(text).expect_err(text);
            assert!(trouble.message.contains("{\"id\":1,\"clock\""), "{text}: {trouble:?}");
        }
        let asked = read(ConnId(1), r#"{"id":"a","clock":"stop"}"#, &Account::everybody());
        let trouble = asked.what.expect_err("there is no stop");
        let text = answer(asked.id.as_ref(), Err(&trouble));
        assert!(
            text.starts_with(r#"{"id":"a","error":{"code":"bad_request","message":"#),
            "{text}"
        );
        let long = format!("{}{}", r#"{"clock":"show"}"#, " ".repeat(REQUEST_BYTES_MAX));
        assert!(self::asked(&long).is_err());
    }

    #[test]
    fn an_answer_says_the_time_in_words_and_in_milliseconds() {
        let view = ClockView::new("virtual", false, Time::from_millis(946_684_800_500));
        let text = answer(None, Ok(&Done::Clock(view.clone())));
        assert_eq!(
            text,
            r#"{"clock":{"kind":"virtual","running":false,"now":"2000-01-01T00:00:00.500000000Z","now_ms":946684800500}}"#
        );
        let moved = Some(Moved::new(Span(90_000_500_000), true));
        let text = answer(Some(&1.into()), Ok(&Done::Clock(ClockView { moved, ..view })));
        assert!(text.starts_with(r#"{"id":1,"clock":{"#), "{text}");
        assert!(
            text.ends_with(r#""advanced":"1m 30s 500us","advanced_ms":90000,"reached":true}}"#),
            "{text}"
        );
    }
}
