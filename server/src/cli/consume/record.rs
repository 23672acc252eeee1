//! How a message is printed.

use serde::ser::{Serialize, SerializeMap, Serializer};

use fanlight_core::{Offset, Record, Time};

use super::Format;
use crate::cli::body::{self, Shown};
use crate::cli::failure::Failure;
use crate::cli::message::Deaths;
use crate::cli::output::{self, Output};

/// A record and where it was.
pub(super) struct Found<'a> {
    pub(super) record: Record<'a>,
    pub(super) offset: Offset,
    pub(super) from: From<'a>,
}

/// Where a record was.
pub(super) enum From<'a> {
    /// In a topic.
    Topic { topic: &'a str, partition: u32, appended_at: Time },
    /// In a queue.
    Queue { queue: &'a str, attempt: u32 },
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
            From::Queue { queue, attempt } => {
                map.serialize_entry("queue", queue)?;
                map.serialize_entry("offset", &self.offset)?;
                map.serialize_entry("attempt", &attempt)?;
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
        let (place, at) = match found.from {
            From::Topic { partition, appended_at, .. } => {
                (partition.to_string(), output::instant(appended_at))
            }
            From::Queue { attempt, .. } => (attempt.to_string(), String::new()),
        };
        let first = match found.from {
            From::Topic { .. } => "PARTITION",
            From::Queue { .. } => "ATTEMPT",
        };
        let time = !at.is_empty();
        if std::mem::take(&mut self.header_due) {
            let at = if time { format!("{:<24}  ", "AT") } else { String::new() };
            self.out.line(format!("{first:>9}  {:>10}  {at}{:<16}  BODY", "OFFSET", "KEY"))?;
        }
        let at = if time { format!("{at:<24}  ") } else { String::new() };
        let key = found.record.key.map_or("-".into(), body::text);
        let key = output::clipped(&key, 16);
        let body = output::clipped(&Shown::of(found.record.body).plain(), 120);
        self.out.line(format!("{place:>9}  {:>10}  {at}{key:<16}  {body}", found.offset.0))
    }
}
