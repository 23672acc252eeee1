//! How a message is printed.

use serde::ser::{Serialize, SerializeMap, Serializer};

use fanlight_core::{Offset, Record, Time, Via};

use super::Format;
use crate::cli::body::{self, Shown};
use crate::cli::failure::Failure;
use crate::cli::message::Deaths;
use crate::cli::output::{self, Output};

/// A record and where it was.
pub(crate) struct Found<'a> {
    pub(crate) record: Record<'a>,
    pub(crate) offset: Offset,
    pub(crate) from: From<'a>,
}

/// Where a record was.
pub(crate) enum From<'a> {
    /// In a topic.
    Topic { topic: &'a str, partition: u32, appended_at: Time },
    /// In a queue, to which it came by an exchange, if at all.
    Queue { queue: &'a str, attempt: u32, appended_at: Time, via: Option<&'a Via<'a>> },
}

impl Serialize for Found<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        match self.from {
            From::Topic { topic, partition, appended_at } => {
                map.serialize_entry("topic", topic)?;
                map.serialize_entry("partition", &partition)?;
                map.serialize_entry("offset", &self.offset)?;
                map.serialize_entry("at", &output::instant(appended_at))?;
            }
            From::Queue { queue, attempt, appended_at, via } => {
                map.serialize_entry("queue", queue)?;
                map.serialize_entry("offset", &self.offset)?;
                map.serialize_entry("attempt", &attempt)?;
                map.serialize_entry("at", &output::instant(appended_at))?;
                if let Some(Via { exchange, routing_key }) = via {
                    map.serialize_entry("exchange", exchange)?;
                    map.serialize_entry("routingKey", routing_key)?;
                }
                let deaths = body::deaths(&self.record);
                if !deaths.is_empty() {
                    map.serialize_entry("deaths", &Deaths(&deaths))?;
                }
            }
        }
        body::record_entries(&self.record, &mut map)?;
        map.end()
    }
}

/// Prints messages in one format.
pub(super) struct Printer<'o> {
    out: &'o mut Output,
    format: Format,
    header_due: bool,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut Output, format: Format) -> Printer<'o> {
        Printer { out, format, header_due: true }
    }

    /// Prints one message.
    pub(super) fn print(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.out.json_line(found),
            Format::Body => self.out.line(Shown::of(found.record.body).plain()),
            Format::Table => self.row(found),
        }
    }

    /// Hands on what was printed: only then may it be committed or acknowledged.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush()
    }

    /// A row whose columns are as wide as most need, since later rows are not known yet.
    fn row(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let (first, place, by, at) = match found.from {
            From::Topic { partition, appended_at, .. } => {
                ("PARTITION", partition.to_string(), None, appended_at)
            }
            From::Queue { attempt, appended_at, via, .. } => {
                let by = via.map_or("-".to_owned(), |via| {
                    output::clipped(&format!("{} {}", via.exchange, via.routing_key), 24)
                });
                ("ATTEMPT", attempt.to_string(), Some(by), appended_at)
            }
        };
        let by_wide = |by: &str| format!("{by:<24}  ");
        if std::mem::take(&mut self.header_due) {
            let by = by.as_ref().map(|_| by_wide("BY")).unwrap_or_default();
            let (offset, at, key) = ("OFFSET", "AT", "KEY");
            self.out.line(format!("{first:>9}  {offset:>10}  {at:<24}  {by}{key:<16}  BODY"))?;
        }
        let by = by.map(|by| by_wide(&by)).unwrap_or_default();
        let at = output::instant(at);
        let key = found.record.key.map_or("-".into(), body::text);
        let key = output::clipped(&key, 16);
        let body = output::clipped(&Shown::of(found.record.body).plain(), 120);
        self.out
            .line(format!("{place:>9}  {:>10}  {at:<24}  {by}{key:<16}  {body}", found.offset.0))
    }
}
