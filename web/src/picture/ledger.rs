//! What the run comes to: what was lost, repeated, or is stuck, against what was meant.

use fanlight_core::Time;

use super::parts::Name;

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Messages published, each counted once however many places it went to.
    pub published: u64,
    /// One row a group and one a queue.
    pub rows: Vec<LedgerRow>,
}

/// One reader's accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerRow {
    /// Of which group or queue.
    pub name: Name,
    /// Whether it is a group; else a queue.
    pub is_group: bool,
    /// Messages that came to it.
    pub came: u64,
    /// Messages processed at least once: a group's as its members tell it, a queue's as acked.
    pub processed: u64,
    /// Times that a message was processed when it had been before.
    pub again: u64,
    /// Deliveries beyond the first.
    pub redelivered: u64,
    /// Messages that came and are not processed yet: lag, or ready, leased and delayed.
    pub outstanding: u64,
    /// Messages in its dead-letter queue that died here.
    pub dead: u64,
    /// Messages committed that nobody processed or will process.
    pub lost: u64,
    /// The line of the log in which the first duplicate or loss is told.
    pub first_violation: Option<u64>,
}

/// One second of the broker's time: what the minimap and the rates are drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The second's beginning.
    pub at: Time,
    /// Messages published.
    pub published: u32,
    /// Messages handed out or read.
    pub delivered: u32,
    /// Messages acknowledged, or committed.
    pub settled: u32,
    /// Redeliveries: attempts beyond the first, and records read again.
    pub redelivered: u32,
    /// Deaths.
    pub died: u32,
    /// Crashes and silences that the user caused.
    pub faults: u32,
}
