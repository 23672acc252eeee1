//! Building a batch, record by record.

use alloc::vec::Vec;

use super::{Chunk, Malformed, Options, Records, encode};
use crate::time::Time;

/// Builds a batch, record by record.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ends: Vec<u32>,
    records: Vec<u8>,
    flags: u8,
}

impl Batch {
    /// An empty one.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// How many records it has so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of its records so far.
    pub fn record_bytes(&self) -> usize {
        self.records.len()
    }

    /// Adds a record; if it is malformed, the batch stays as it was.
    pub fn push<'h>(
        &mut self,
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        timestamp: Option<Time>,
        body: &[u8],
    ) -> Result<(), Malformed> {
        self.push_with(key, headers, timestamp, &Options::default(), body)
    }

    /// Adds a record that asks something of the broker; if it is malformed, the batch stays as it
    /// was.
    pub fn push_with<'h>(
        &mut self,
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        timestamp: Option<Time>,
        options: &Options<'_>,
        body: &[u8],
    ) -> Result<(), Malformed> {
        let before = self.records.len();
        let added = encode(&mut self.records, key, headers, timestamp, options, body);
        match added {
            Ok(()) => {
                self.ends.push(self.records.len() as u32);
                self.flags |= self.records[before];
            }
            Err(_) => self.records.truncate(before),
        }
        added
    }

    /// Adds a record that has nothing but a body.
    pub fn push_body(&mut self, body: &[u8]) -> &mut Batch {
        self.push(None, [], None, body).expect("a body alone is never malformed");
        self
    }

    /// Adds a record that is encoded already and was checked.
    pub(crate) fn push_raw(&mut self, record: &[u8]) -> &mut Batch {
        self.flags |= record[0];
        self.records.extend_from_slice(record);
        self.ends.push(self.records.len() as u32);
        self
    }

    /// The batch, or None if nothing was added.
    pub fn finish(&self) -> Option<Records<'static>> {
        if self.ends.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(4 + 4 * self.ends.len() + self.records.len());
        bytes.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(&self.records);
        Some(Records { chunk: Chunk::Shared(bytes.into()), flags: self.flags })
    }
}
