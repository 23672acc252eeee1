//! A disk that forgets what was not synced, and tears what was being written.

use crate::dice::Dice;
use crate::digest::Digest;

/// A snapshot and the journal after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// How many facts the snapshot stands for, and the snapshot.
    snapshot: Option<(usize, Vec<u8>)>,
    synced: Vec<u8>,
    unsynced: Vec<u8>,
}

const HEADER_BYTES: usize = 12;

fn checksum(frame: &[u8]) -> [u8; 8] {
    let mut digest = Digest::default();
    digest.add(frame);
    digest.to_bytes()
}

impl Disk {
    /// Writes a record; it is there for certain only after [`Disk::sync`].
    pub(super) fn append(&mut self, frame: &[u8]) {
        self.unsynced.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        self.unsynced.extend_from_slice(&checksum(frame));
        self.unsynced.extend_from_slice(frame);
    }

    /// Makes everything that was written certain.
    pub(super) fn sync(&mut self) {
        self.synced.append(&mut self.unsynced);
    }

    /// Puts a snapshot in place of all that was written, which was synced before.
    pub(super) fn replace(&mut self, facts: usize, snapshot: Vec<u8>) {
        assert!(self.unsynced.is_empty(), "a snapshot is taken of what is synced");
        self.snapshot = Some((facts, snapshot));
        self.synced.clear();
    }

    /// Power fails: of what was not synced nothing is left, or all, or a torn part with perhaps a
    /// byte that is another.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let keep = match dice.below(4) {
            0 => 0,
            1 => self.unsynced.len(),
            _ => dice.below(self.unsynced.len() as u64 + 1) as usize,
        };
        self.unsynced.truncate(keep);
        if keep > 0 && dice.percent(30) {
            let at = dice.below(keep as u64) as usize;
            self.unsynced[at] ^= 1 << dice.below(8);
        }
        self.sync();
    }

    /// The snapshot, if there is one, with the number of facts that it stands for.
    pub(super) fn snapshot(&self) -> Option<(usize, &[u8])> {
        self.snapshot.as_ref().map(|(facts, bytes)| (*facts, bytes.as_slice()))
    }

    /// The whole records of the journal; what comes after the first that is not whole is cut off.
    pub(super) fn recover(&mut self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(frame) = self.record_at(at) {
            at += HEADER_BYTES + frame.len();
            records.push(frame.to_vec());
        }
        self.synced.truncate(at);
        records
    }

    fn record_at(&self, at: usize) -> Option<&[u8]> {
        let header = self.synced.get(at..at + HEADER_BYTES)?;
        let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let from = at + HEADER_BYTES;
        let frame = self.synced.get(from..from.checked_add(length)?)?;
        (checksum(frame) == header[4..]).then_some(frame)
    }
}
