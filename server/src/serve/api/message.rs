//! Messages as JSON: how they come, and how they are shown.

use std::borrow::Cow;
use std::fmt;

use data_encoding::BASE64;
use fanlight_core::limits::BATCH_RECORDS_MAX;
use fanlight_core::{Batch, Delivery, Offset, Options, Record, Records, Span, Via};
use serde::de::{MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::failure::Failure;
use super::input::{self, Lasting, Object, TimeIn};
use super::receipt::Receipt;
use crate::cli::body as shown;
use crate::cli::message::Deaths;
use crate::cli::output;

/// A message that is to be published.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MessageIn {
    body: Box<RawValue>,
    #[serde(default)]
    body_encoding: Option<Encoding>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    headers: HeadersIn,
    #[serde(default)]
    timestamp: Option<TimeIn>,
    #[serde(default)]
    ttl: Option<Lasting>,
    #[serde(default)]
    delay: Option<Lasting>,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    id: Option<String>,
}

/// What the body in JSON stands for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// The JSON itself.
    Json,
    /// The text of a JSON string.
    Text,
    /// The bytes that a JSON string has in base64.
    Base64,
}

/// Names and values in their order; a name may come more than once.
#[derive(Default)]
struct HeadersIn(Vec<(String, String)>);

impl<'de> Deserialize<'de> for HeadersIn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<HeadersIn, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = HeadersIn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeadersIn, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(HeadersIn(headers))
            }
        }
        d.deserialize_map(Names)
    }
}

/// What the query says of a message whose body is the request's.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) key: Option<String>,
    pub(super) id: Option<String>,
    pub(super) ttl: Option<Span>,
    pub(super) delay: Option<Span>,
    pub(super) priority: Option<u8>,
}

/// One message or an array of them, as one batch.
pub(super) fn batch(json: &[u8]) -> Result<Records<'static>, Failure> {
    let is_list = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let messages: Vec<Object<MessageIn>> = match is_list {
        true => input::json(json)?,
        false => vec![input::json(json)?],
    };
    finish(messages)
}

/// A message a line, as one batch.
pub(super) fn lines(text: &[u8]) -> Result<Records<'static>, Failure> {
    let mut messages = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let message = input::json(line).map_err(|failure| failure.at(&format!("line {}", at + 1)));
        messages.push(message?);
    }
    finish(messages)
}

/// One message whose body are these bytes.
pub(super) fn plain(bytes: &[u8], beside: &Beside) -> Result<Records<'static>, Failure> {
    let options = Options { ttl: beside.ttl, delay: beside.delay, ..Options::default() };
    let options = Options { priority: beside.priority, ..options };
    let mut batch = Batch::new();
    let key = beside.key.as_deref();
    push(&mut batch, (key, beside.id.as_deref()), &HeadersIn::default(), None, options, bytes)
        .map_err(Failure::argument)?;
    batch.finish().ok_or_else(Failure::unexpected)
}

fn finish(messages: Vec<Object<MessageIn>>) -> Result<Records<'static>, Failure> {
    if messages.len() > BATCH_RECORDS_MAX {
        return Err(Failure::argument(format!(
            "{} messages came, and {BATCH_RECORDS_MAX} may come at once; send them in parts",
            messages.len()
        )));
    }
    let mut batch = Batch::new();
    for (at, Object(message)) in messages.iter().enumerate() {
        let body = body(message.body.get(), message.body_encoding);
        let added = body.and_then(|body| message.add(&mut batch, &body));
        added.map_err(|why| Failure::argument(format!("message {}: {why}", at + 1)))?;
    }
    batch.finish().ok_or_else(|| Failure::argument("no message came: send at least one"))
}

/// The bytes that a body in JSON stands for; where nothing says, a string is its text, and all else
/// is JSON.
pub(super) fn body(json: &str, encoding: Option<Encoding>) -> Result<Cow<'_, [u8]>, String> {
    let text = || serde_json::from_str::<String>(json).ok();
    match (encoding, text()) {
        (Some(Encoding::Json), _) | (None, None) => Ok(json.as_bytes().into()),
        (Some(Encoding::Text) | None, Some(text)) => Ok(text.into_bytes().into()),
        (Some(Encoding::Base64), Some(coded)) => {
            let bytes = BASE64.decode(coded.as_bytes());
            bytes.map(Cow::Owned).map_err(|_| "the body should be base64".to_owned())
        }
        (Some(Encoding::Text | Encoding::Base64), None) => {
            Err("with this bodyEncoding the body should be a string".to_owned())
        }
    }
}

impl MessageIn {
    fn add(&self, batch: &mut Batch, body: &[u8]) -> Result<(), String> {
        let span = |lasting: Option<Lasting>| lasting.map(|lasting| lasting.0);
        let options = Options {
            ttl: span(self.ttl),
            delay: span(self.delay),
            priority: self.priority,
            id: None,
        };
        let names = (self.key.as_deref(), self.id.as_deref());
        push(batch, names, &self.headers, self.timestamp, options, body)
    }
}

fn push(
    batch: &mut Batch,
    (key, id): (Option<&str>, Option<&str>),
    headers: &HeadersIn,
    timestamp: Option<TimeIn>,
    options: Options<'_>,
    body: &[u8],
) -> Result<(), String> {
    let key = key.map(input::bytes).transpose()?;
    let id = id.map(input::bytes).transpose()?;
    let values: Result<Vec<_>, _> =
        headers.0.iter().map(|(_, value)| input::bytes(value)).collect();
    let values = values?;
    let names = headers.0.iter().map(|(name, _)| name.as_str());
    let headers = names.zip(values.iter().map(|value| &value[..]));
    let options = Options { id: id.as_deref(), ..options };
    let timestamp = timestamp.map(|timestamp| timestamp.0);
    batch
        .push_with(key.as_deref(), headers, timestamp, &options, body)
        .map_err(|malformed| malformed.to_string())
}

/// A message that was received, with the receipt that settles it.
pub(super) struct Received<'d, 'a> {
    pub(super) delivery: &'d Delivery<'a>,
    /// None: it is settled already.
    pub(super) receipt: Option<Receipt>,
}

impl Serialize for Received<'_, '_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let delivery = self.delivery;
        let record = delivery.record.record();
        let mut map = s.serialize_map(None)?;
        if let Some(receipt) = &self.receipt {
            map.serialize_entry("receipt", &receipt.text())?;
            map.serialize_entry("leasedUntil", &output::instant(delivery.deadline))?;
        }
        map.serialize_entry("offset", &delivery.lease.offset)?;
        map.serialize_entry("attempt", &delivery.attempt)?;
        map.serialize_entry("at", &output::instant(delivery.appended_at))?;
        if let Some(Via { exchange, routing_key }) = &delivery.via {
            map.serialize_entry("exchange", exchange)?;
            map.serialize_entry("routingKey", routing_key)?;
        }
        let deaths = shown::deaths(&record);
        if !deaths.is_empty() {
            map.serialize_entry("deaths", &Deaths(&deaths))?;
        }
        shown::record_entries(&record, &mut map)?;
        map.end()
    }
}

/// A record of a log.
pub(super) struct Read<'a> {
    /// Where it lies, if it lies anywhere.
    pub(super) offset: Option<Offset>,
    pub(super) record: Record<'a>,
}

impl Serialize for Read<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        if let Some(offset) = self.offset {
            map.serialize_entry("offset", &offset)?;
        }
        shown::record_entries(&self.record, &mut map)?;
        map.end()
    }
}
