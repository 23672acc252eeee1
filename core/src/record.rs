//! Records and batches of them, in the one encoding that requests, facts, the journal, deliveries
//! and reads share, so that a batch is encoded once by its producer and handed on as it is.
//!
//! ```text
//! batch     u32 count ┃ u32 end[count] ┃ record[count]        end: from the first record's first byte
//! record    u8 flags ┃ key? ┃ headers? ┃ timestamp? ┃ options? ┃ body     body: the rest
//!   key        (flag 1)  u16 length, bytes
//!   headers    (flag 2)  u8 count, then each: u8 length, name (UTF-8), u32 length, value
//!   timestamp  (flag 4)  u64 nanoseconds
//!   options    (flag 8)  u8 which, at least one, then those, in this order:
//!                        1 time to live: u64 ns   2 delay: u64 ns   4 priority: u8
//!                        8 id: u8 length, 1 to 128 bytes
//! ```
//!
//! All numbers are little-endian. Flags that are not named here are refused, so that a field can
//! be added without being misread.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::limits::{BATCH_RECORDS_MAX, HEADERS_MAX, NAME_BYTES_MAX};
use crate::time::{Span, Time};
use bytes::Bytes;

mod batch;
mod malformed;
mod options;
mod plain;

pub use batch::Batch;
pub use malformed::Malformed;
pub use options::Options;
pub(crate) use plain::{as_bytes, optional_bytes, optional_own_bytes, own_bytes, own_vec};

const KEY: u8 = 1;
const HEADERS: u8 = 2;
const TIMESTAMP: u8 = 4;
const OPTIONS: u8 = 8;
/// Headers that the broker itself may add to a record: its deaths.
const BROKER_HEADERS: usize = 1;
const FLAGS: u8 = KEY | HEADERS | TIMESTAMP | OPTIONS;

/// One record's parts, borrowed from where they lie.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Record<'a> {
    /// What picks the partition, and what compaction keeps the latest of.
    pub key: Option<&'a [u8]>,
    /// Names and values, in the producer's order.
    pub headers: Headers<'a>,
    /// When the producer says it happened.
    pub timestamp: Option<Time>,
    /// What is asked of the broker for this record.
    pub options: Options<'a>,
    /// The message itself: opaque.
    pub body: &'a [u8],
}

impl fmt::Debug for Record<'_> {
    /// Shows options only where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { key, headers, timestamp, options, body } = self;
        let mut record = f.debug_struct("Record");
        record.field("key", key).field("headers", headers).field("timestamp", timestamp);
        if !options.is_empty() {
            record.field("options", options);
        }
        record.field("body", body).finish()
    }
}

/// The headers of a record, already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u8,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = Reader(self.bytes);
        (0..self.count).map_while(move |_| rest.header().ok())
    }

    /// The first value under `name`.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// Reads the parts of an encoding from the front of what is left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("take gives N bytes"))
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<usize, Malformed> {
        Ok(usize::from(u16::from_le_bytes(self.array()?)))
    }

    fn u32(&mut self) -> Result<usize, Malformed> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn header(&mut self) -> Result<(&'a str, &'a [u8]), Malformed> {
        let name_len = usize::from(self.u8()?);
        let name = core::str::from_utf8(self.take(name_len)?).map_err(|_| Malformed::Header)?;
        if name.is_empty() {
            return Err(Malformed::Header);
        }
        let value_len = self.u32()?;
        Ok((name, self.take(value_len)?))
    }
}

/// One record as it is encoded: checked, not copied.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRecord<'a>(Cow<'a, [u8]>);

impl<'a> RawRecord<'a> {
    /// Checks that `bytes` are one record.
    pub fn parse(bytes: &'a [u8]) -> Result<RawRecord<'a>, Malformed> {
        parse(bytes).map(|_| RawRecord(Cow::Borrowed(bytes)))
    }

    /// Encodes a record.
    pub fn encode<'h>(
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        timestamp: Option<Time>,
        options: &Options<'_>,
        body: &[u8],
    ) -> Result<RawRecord<'static>, Malformed> {
        let mut bytes = Vec::with_capacity(16 + body.len());
        encode(&mut bytes, key, headers, timestamp, options, body)?;
        Ok(RawRecord(Cow::Owned(bytes)))
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> RawRecord<'static> {
        RawRecord(Cow::Owned(self.0.into_owned()))
    }

    /// Its parts.
    pub fn record(&self) -> Record<'_> {
        parse(&self.0).expect("a RawRecord was checked when it was made")
    }

    /// The bytes it is encoded as.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record().fmt(f)
    }
}

fn parse(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let mut reader = Reader(bytes);
    let flags = reader.u8()?;
    if flags & !FLAGS != 0 {
        return Err(Malformed::Flags(flags));
    }
    let mut record = Record::default();
    if flags & KEY != 0 {
        let len = reader.u16()?;
        record.key = Some(reader.take(len)?);
    }
    if flags & HEADERS != 0 {
        let count = reader.u8()?;
        if usize::from(count) > HEADERS_MAX + BROKER_HEADERS {
            return Err(Malformed::Header);
        }
        let from = reader.0;
        for _ in 0..count {
            reader.header()?;
        }
        record.headers = Headers { count, bytes: &from[..from.len() - reader.0.len()] };
    }
    if flags & TIMESTAMP != 0 {
        record.timestamp = Some(Time(u64::from_le_bytes(reader.array()?)));
    }
    if flags & OPTIONS != 0 {
        record.options = Options::read(&mut reader)?;
    }
    record.body = reader.0;
    Ok(record)
}

fn encode<'h>(
    out: &mut Vec<u8>,
    key: Option<&[u8]>,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    timestamp: Option<Time>,
    options: &Options<'_>,
    body: &[u8],
) -> Result<(), Malformed> {
    let at = out.len();
    out.push(0);
    if let Some(key) = key {
        let len = u16::try_from(key.len()).map_err(|_| Malformed::Key)?;
        out[at] |= KEY;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(key);
    }
    let count_at = out.len();
    let mut count = 0u8;
    for (name, value) in headers {
        if count == 0 {
            out[at] |= HEADERS;
            out.push(0);
        }
        if !(1..=NAME_BYTES_MAX).contains(&name.len())
            || usize::from(count) == HEADERS_MAX + BROKER_HEADERS
        {
            return Err(Malformed::Header);
        }
        count += 1;
        out[count_at] = count;
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
    if let Some(Time(nanos)) = timestamp {
        out[at] |= TIMESTAMP;
        out.extend_from_slice(&nanos.to_le_bytes());
    }
    if !options.is_empty() {
        out[at] |= OPTIONS;
        options.write(out)?;
    }
    out.extend_from_slice(body);
    Ok(())
}

/// The header that keeps a message's deaths, as AMQP brokers have it; its value is a list of
/// [`crate::Death`]s in the codec's format. It is the broker's own.
pub(crate) const DEATHS: &str = "x-death";

/// What a broker has to know of a batch before it takes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    /// Headers of the record with the most.
    pub(crate) headers_max: usize,
    /// Whether a record says that it died.
    pub(crate) died: bool,
    /// The longest time to live or delay that a record asks for.
    pub(crate) wait_max: Span,
}

/// A batch of records in its encoding: borrowed, or shared without a copy.
#[derive(Clone)]
pub struct Records<'a> {
    chunk: Chunk<'a>,
    /// Every flag that one of its records has, so that most questions need no look at them.
    flags: u8,
}

#[derive(Clone)]
enum Chunk<'a> {
    Borrowed(&'a [u8]),
    Shared(Bytes),
}

impl<'a> Records<'a> {
    /// Checks that `bytes` are a batch, and every record in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Records<'a>, Malformed> {
        let flags = check(bytes)?;
        Ok(Records { chunk: Chunk::Borrowed(bytes), flags })
    }

    /// The same for bytes that are shared; keeping the batch then copies nothing.
    pub fn parse_shared(bytes: Bytes) -> Result<Records<'static>, Malformed> {
        let flags = check(&bytes)?;
        Ok(Records { chunk: Chunk::Shared(bytes), flags })
    }

    /// If this batch was borrowed from within `frame`, share `frame`'s memory instead, so that
    /// keeping the batch copies nothing.
    pub fn share_with(&mut self, frame: &Bytes) {
        if let Chunk::Borrowed(bytes) = self.chunk {
            let (from, start) = (bytes.as_ptr() as usize, frame.as_ptr() as usize);
            if from >= start && from + bytes.len() <= start + frame.len() {
                self.chunk = Chunk::Shared(frame.slice_ref(bytes));
            }
        }
    }

    /// The batch with memory of its own or shared, for keeping.
    pub fn to_shared(&self) -> Records<'static> {
        let chunk = Chunk::Shared(match &self.chunk {
            Chunk::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Chunk::Shared(bytes) => bytes.clone(),
        });
        Records { chunk, flags: self.flags }
    }

    /// A batch that was checked before it was put away, with the flags that it had then.
    pub(crate) fn fetched(bytes: Bytes, flags: u8) -> Records<'static> {
        Records { chunk: Chunk::Shared(bytes), flags }
    }

    /// Every flag that one of its records has.
    pub(crate) fn flags(&self) -> u8 {
        self.flags
    }

    /// The bytes it is encoded as.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.chunk {
            Chunk::Borrowed(bytes) => bytes,
            Chunk::Shared(bytes) => bytes,
        }
    }

    /// How many records it has: at least one.
    pub fn count(&self) -> u32 {
        word(self.as_bytes(), 0)
    }

    /// The record at `index`, if there are that many.
    pub fn raw(&self, index: u32) -> Option<RawRecord<'_>> {
        self.slice(index).map(|bytes| RawRecord(Cow::Borrowed(bytes)))
    }

    /// So many records from `index` on, or as many as there are.
    pub(crate) fn raws(&self, index: u32, count: u32) -> impl Iterator<Item = RawRecord<'_>> {
        let bytes = self.as_bytes();
        let all = self.count();
        let (ends, records) = bytes[4..].split_at(4 * all as usize);
        let (from, to) = (index.min(all), index.saturating_add(count).min(all));
        let mut start = if from == 0 { 0 } else { word(ends, from as usize - 1) as usize };
        ends[4 * from as usize..4 * to as usize].chunks_exact(4).map(move |end| {
            let end = word(end, 0) as usize;
            let bytes = &records[start..end];
            start = end;
            RawRecord(Cow::Borrowed(bytes))
        })
    }

    /// The parts of the record at `index`, if there are that many.
    pub fn record(&self, index: u32) -> Option<Record<'_>> {
        self.slice(index).map(|bytes| parse(bytes).expect("a batch was checked when it was made"))
    }

    /// The parts of every record.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.count()).map_while(|i| self.record(i))
    }

    /// Whether a record of it has a timestamp of its own.
    pub(crate) fn have_timestamps(&self) -> bool {
        Records::flags_have_timestamps(self.flags)
    }

    /// Whether a record of a batch with these flags has a timestamp of its own.
    pub(crate) fn flags_have_timestamps(flags: u8) -> bool {
        flags & TIMESTAMP != 0
    }

    /// Whether a record of it has a key.
    pub(crate) fn have_keys(&self) -> bool {
        self.flags & KEY != 0
    }

    /// Whether a record of a batch with these flags has options.
    pub(crate) fn flags_have_options(flags: u8) -> bool {
        flags & OPTIONS != 0
    }

    /// Bytes of all records, without what the batch itself takes.
    pub(crate) fn record_bytes(&self) -> u64 {
        Records::record_bytes_of(self.as_bytes().len() as u64, self.count())
    }

    /// The same of any batch of so many bytes and records.
    pub(crate) fn record_bytes_of(bytes: u64, count: u32) -> u64 {
        bytes - 4 - 4 * u64::from(count)
    }

    /// Bytes of the largest record.
    pub fn record_bytes_max(&self) -> usize {
        (0..self.count()).filter_map(|i| self.slice(i)).map(<[u8]>::len).max().unwrap_or(0)
    }

    /// What a broker has to know of a batch before it takes it. Records that have neither headers
    /// nor options are not looked at.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        if self.flags & (HEADERS | OPTIONS) == 0 {
            return survey;
        }
        for Record { headers, options, .. } in self.iter() {
            survey.headers_max = survey.headers_max.max(headers.len());
            survey.died |= headers.find(DEATHS).is_some();
            let longest = options.ttl.max(options.delay).unwrap_or_default();
            survey.wait_max = survey.wait_max.max(longest);
        }
        survey
    }

    /// The `take` records from `skip` on: this batch itself if that is all of it, a copy otherwise.
    /// None if that is no record.
    pub fn part(&self, skip: u32, take: u32) -> Option<Records<'_>> {
        let count = self.count();
        let end = skip.saturating_add(take).min(count);
        if skip >= end {
            return None;
        }
        if skip == 0 && end == count {
            return Some(self.clone());
        }
        let mut batch = Batch::new();
        for index in skip..end {
            batch.push_raw(self.slice(index).expect("index is below count"));
        }
        batch.finish()
    }

    /// The same records, each with this timestamp in place of its own.
    pub(crate) fn stamped(&self, at: Time) -> Records<'static> {
        let mut batch = Batch::new();
        let mut record = Vec::new();
        for index in 0..self.count() {
            let from = self.slice(index).expect("index is below count");
            let place = timestamp_place(from);
            let had = if from[0] & TIMESTAMP == 0 { 0 } else { size_of::<u64>() };
            record.clear();
            record.extend_from_slice(&from[..place]);
            record.extend_from_slice(&at.0.to_le_bytes());
            record.extend_from_slice(&from[place + had..]);
            record[0] |= TIMESTAMP;
            batch.push_raw(&record);
        }
        batch.finish().expect("a batch has a record")
    }

    fn slice(&self, index: u32) -> Option<&[u8]> {
        let bytes = self.as_bytes();
        let count = word(bytes, 0);
        if index >= count {
            return None;
        }
        let body = 4 + 4 * count as usize;
        let from = if index == 0 { 0 } else { word(bytes, index as usize) as usize };
        let to = word(bytes, index as usize + 1) as usize;
        Some(&bytes[body + from..body + to])
    }
}

impl PartialEq for Records<'_> {
    fn eq(&self, other: &Records<'_>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Records<'_> {}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Where the timestamp of a checked record is, or would be.
fn timestamp_place(record: &[u8]) -> usize {
    let mut reader = Reader(&record[1..]);
    let parts = (|| {
        if record[0] & KEY != 0 {
            let len = reader.u16()?;
            reader.take(len)?;
        }
        if record[0] & HEADERS != 0 {
            for _ in 0..reader.u8()? {
                reader.header()?;
            }
        }
        Ok::<(), Malformed>(())
    })();
    parts.expect("a batch was checked when it was made");
    record.len() - reader.0.len()
}

fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(bytes[4 * index..4 * index + 4].try_into().expect("four bytes"))
}

/// Checks a batch; gives the flags that its records have.
fn check(bytes: &[u8]) -> Result<u8, Malformed> {
    let mut reader = Reader(bytes);
    let count = reader.u32()?;
    if count == 0 || count > BATCH_RECORDS_MAX {
        return Err(Malformed::Count);
    }
    let mut ends = Reader(reader.take(4 * count)?);
    let (mut from, mut flags) = (0, 0);
    for _ in 0..count {
        let end = ends.u32()?;
        let record = reader.take(end.checked_sub(from).ok_or(Malformed::Ends)?)?;
        parse(record)?;
        flags |= record[0];
        from = end;
    }
    if reader.0.is_empty() { Ok(flags) } else { Err(Malformed::Ends) }
}
