//! How records are read and written by serde: in the binary format as the bytes they are, and as
//! objects with named fields where people and JavaScript read them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::Error as _;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Batch, Headers, Malformed, Options, RawRecord, Record, Records, encode};
use crate::limits::BATCH_RECORDS_MAX;
use crate::time::{Span, Time};

/// The shape of a record where people and JavaScript read it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plain {
    #[serde(default)]
    key: Option<PlainBytes>,
    #[serde(default)]
    headers: Vec<(String, PlainBytes)>,
    #[serde(default)]
    timestamp: Option<Time>,
    #[serde(default)]
    ttl: Option<Span>,
    #[serde(default)]
    delay: Option<Span>,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    id: Option<PlainBytes>,
    #[serde(default)]
    body: PlainBytes,
}

/// Bytes where people and JavaScript write them: bytes, text, or a sequence of numbers.
#[derive(Default)]
pub(crate) struct PlainBytes(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for PlainBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<PlainBytes, D::Error> {
        d.deserialize_byte_buf(PlainBytesVisitor)
    }
}

struct PlainBytesVisitor;

impl<'de> serde::de::Visitor<'de> for PlainBytesVisitor {
    type Value = PlainBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes or text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<PlainBytes, E> {
        Ok(PlainBytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<PlainBytes, E> {
        Ok(PlainBytes(bytes))
    }

    fn visit_str<E>(self, text: &str) -> Result<PlainBytes, E> {
        Ok(PlainBytes(text.as_bytes().to_vec()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<PlainBytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(PlainBytes(bytes))
    }
}

/// Reads an optional body for `Pick::One`; in the binary format it is bytes as they lie.
pub(crate) fn optional_bytes<'de: 'a, 'a, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
    if d.is_human_readable() {
        Ok(Option::<PlainBytes>::deserialize(d)?.map(|bytes| Cow::Owned(bytes.0)))
    } else {
        Ok(Option::<&[u8]>::deserialize(d)?.map(Cow::Borrowed))
    }
}

/// Bytes that are kept, and so are read with memory of their own.
pub(crate) fn own_bytes<'de, 'a, D: Deserializer<'de>>(d: D) -> Result<Cow<'a, [u8]>, D::Error> {
    PlainBytes::deserialize(d).map(|bytes| Cow::Owned(bytes.0))
}

/// The same, for a view.
pub(crate) fn own_vec<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    PlainBytes::deserialize(d).map(|bytes| bytes.0)
}

/// Optional bytes that are kept, and so are read with memory of their own.
pub(crate) fn optional_own_bytes<'de, 'a, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
    Ok(Option::<PlainBytes>::deserialize(d)?.map(|bytes| Cow::Owned(bytes.0)))
}

/// Writes bytes as bytes, and not as a sequence of numbers.
pub(crate) fn as_bytes<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_bytes(bytes)
}

struct AsBytes<'a>(&'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0)
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(Some(self.len()))?;
        for (name, value) in self.iter() {
            seq.serialize_element(&(name, AsBytes(value)))?;
        }
        seq.end()
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut record = s.serialize_struct("Record", 8)?;
        record.serialize_field("key", &self.key.map(AsBytes))?;
        record.serialize_field("headers", &self.headers)?;
        record.serialize_field("timestamp", &self.timestamp)?;
        record.serialize_field("ttl", &self.options.ttl)?;
        record.serialize_field("delay", &self.options.delay)?;
        record.serialize_field("priority", &self.options.priority)?;
        record.serialize_field("id", &self.options.id.map(AsBytes))?;
        record.serialize_field("body", &AsBytes(self.body))?;
        record.end()
    }
}

impl Serialize for RawRecord<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            self.record().serialize(s)
        } else {
            s.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawRecord<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<RawRecord<'a>, D::Error> {
        if d.is_human_readable() {
            let plain = Plain::deserialize(d)?;
            let mut bytes = Vec::new();
            plain.encode(&mut bytes).map_err(D::Error::custom)?;
            Ok(RawRecord(Cow::Owned(bytes)))
        } else {
            RawRecord::parse(<&[u8]>::deserialize(d)?).map_err(D::Error::custom)
        }
    }
}

impl Plain {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.0.as_slice()));
        let key = self.key.as_ref().map(|key| key.0.as_slice());
        let id = self.id.as_ref().map(|id| id.0.as_slice());
        let options = Options { ttl: self.ttl, delay: self.delay, priority: self.priority, id };
        encode(out, key, headers, self.timestamp, &options, &self.body.0)
    }
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return s.serialize_bytes(self.as_bytes());
        }
        let mut seq = s.serialize_seq(Some(self.count() as usize))?;
        for record in self.iter() {
            seq.serialize_element(&record)?;
        }
        seq.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Records<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Records<'a>, D::Error> {
        if !d.is_human_readable() {
            return Records::parse(<&[u8]>::deserialize(d)?).map_err(D::Error::custom);
        }
        let plain = Vec::<Plain>::deserialize(d)?;
        if plain.is_empty() || plain.len() > BATCH_RECORDS_MAX {
            return Err(D::Error::custom(Malformed::Count));
        }
        let mut batch = Batch::new();
        for record in &plain {
            let mut bytes = Vec::new();
            record.encode(&mut bytes).map_err(D::Error::custom)?;
            batch.push_raw(&bytes);
        }
        Ok(batch.finish().expect("there is at least one record"))
    }
}
