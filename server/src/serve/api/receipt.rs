//! Receipts: what a client shows to settle what it received.

use data_encoding::BASE64URL_NOPAD;
use fanlight_core::{ConnId, Epoch, LeaseId, Offset, QueueId};

/// Bytes before the queue's name.
const FIXED: usize = 8 + 4 + 8 + 4 + 4;

/// A lease, the connection that holds it, and the name under which the queue was received from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) conn: ConnId,
    pub(super) lease: LeaseId,
    pub(super) queue: String,
}

impl Receipt {
    /// As it is handed out: opaque to who gets it.
    pub(super) fn text(&self) -> String {
        let LeaseId { queue, offset, delivery, epoch } = self.lease;
        let mut bytes = Vec::with_capacity(FIXED + self.queue.len());
        bytes.extend_from_slice(&self.conn.0.to_le_bytes());
        bytes.extend_from_slice(&queue.0.to_le_bytes());
        bytes.extend_from_slice(&offset.0.to_le_bytes());
        bytes.extend_from_slice(&delivery.to_le_bytes());
        bytes.extend_from_slice(&epoch.0.to_le_bytes());
        bytes.extend_from_slice(self.queue.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// What was handed out; None if this never was.
    pub(super) fn read(text: &str) -> Option<Receipt> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (fixed, name) = bytes.split_first_chunk::<FIXED>()?;
        let number = |from: usize| {
            let four = fixed[from..from + 4].try_into().expect("four bytes are four bytes");
            u32::from_le_bytes(four)
        };
        let long = |from: usize| u64::from(number(from)) | u64::from(number(from + 4)) << 32;
        Some(Receipt {
            conn: ConnId(long(0)),
            lease: LeaseId {
                queue: QueueId(number(8)),
                offset: Offset(long(12)),
                delivery: number(20),
                epoch: Epoch(number(24)),
            },
            queue: String::from_utf8(name.to_vec()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written_and_nothing_else_is_one() {
        let receipt = Receipt {
            conn: ConnId(u64::MAX - 5),
            lease: LeaseId {
                queue: QueueId(7),
                offset: Offset(1 << 40),
                delivery: 3,
                epoch: Epoch(9),
            },
            queue: "orders/ä".to_owned(),
        };
        assert_eq!(Receipt::read(&receipt.text()), Some(receipt));
        for text in ["", "AAAA", "no receipt", "ÄÖ"] {
            assert_eq!(Receipt::read(text), None, "{text}");
        }
    }
}
