//! What a producer may ask of the broker for one record.

use alloc::vec::Vec;

use super::{Malformed, Reader};
use crate::limits::RECORD_ID_BYTES_MAX;
use crate::time::Span;

const TTL: u8 = 1;
const DELAY: u8 = 2;
const PRIORITY: u8 = 4;
const ID: u8 = 8;
const KNOWN: u8 = TTL | DELAY | PRIORITY | ID;

/// What a producer may ask of the broker for one record. A queue does as they say; in a topic they
/// are kept, and count where it is worked message by message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options<'a> {
    /// How long it may wait in a queue (AMQP's `expiration`). Where the queue has a time to live,
    /// too, the smaller counts.
    pub ttl: Option<Span>,
    /// How long it waits before it is ready for the first time, in place of the queue's own delay
    /// (SQS's `DelaySeconds` of a message).
    pub delay: Option<Span>,
    /// How urgent it is: a higher one goes first, in queues that have priorities (AMQP's
    /// `priority`). None: 0, the lowest.
    pub priority: Option<u8>,
    /// What makes it the same message as another, where a queue deduplicates by it (SQS's
    /// `MessageDeduplicationId`, AMQP's `message-id`): 1 to 128 bytes.
    pub id: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Options::default()
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Options<'a>, Malformed> {
        let has = reader.u8()?;
        if has == 0 || has & !KNOWN != 0 {
            return Err(Malformed::Options(has));
        }
        let mut options = Options::default();
        if has & TTL != 0 {
            options.ttl = Some(Span(u64::from_le_bytes(reader.array()?)));
        }
        if has & DELAY != 0 {
            options.delay = Some(Span(u64::from_le_bytes(reader.array()?)));
        }
        if has & PRIORITY != 0 {
            options.priority = Some(reader.u8()?);
        }
        if has & ID != 0 {
            let len = usize::from(reader.u8()?);
            options.id = Some(valid_id(reader.take(len)?)?);
        }
        Ok(options)
    }

    /// Writes them; only called if something is asked.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let at = out.len();
        out.push(0);
        if let Some(Span(nanos)) = self.ttl {
            out[at] |= TTL;
            out.extend_from_slice(&nanos.to_le_bytes());
        }
        if let Some(Span(nanos)) = self.delay {
            out[at] |= DELAY;
            out.extend_from_slice(&nanos.to_le_bytes());
        }
        if let Some(priority) = self.priority {
            out[at] |= PRIORITY;
            out.push(priority);
        }
        if let Some(id) = self.id {
            out[at] |= ID;
            out.push(valid_id(id)?.len() as u8);
            out.extend_from_slice(id);
        }
        Ok(())
    }
}

fn valid_id(id: &[u8]) -> Result<&[u8], Malformed> {
    if (1..=RECORD_ID_BYTES_MAX).contains(&id.len()) { Ok(id) } else { Err(Malformed::Id) }
}
