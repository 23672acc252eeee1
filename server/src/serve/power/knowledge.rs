//! What was promised, and what is found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fanlight_core::Tag;

/// Where messages go in these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Log {
    /// A queue that nobody consumes from.
    Kept,
    /// A queue that is consumed from.
    Worked,
    /// A queue that is filled and purged.
    Burst,
    /// A topic.
    Events,
}

impl Log {
    pub(super) const ALL: [Log; 4] = [Log::Kept, Log::Worked, Log::Burst, Log::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Log::Kept => "kept",
            Log::Worked => "worked",
            Log::Burst => "burst",
            Log::Events => "events",
        }
    }
}

/// What was asked for and not answered yet.
pub(super) enum Asked {
    /// To make something.
    Made,
    /// To store these.
    Publish(Log, Vec<u64>),
    /// To let these go.
    Settle(Vec<u64>),
    /// To give these back as failed.
    Fail(Vec<u64>),
}

/// What the one client knows.
#[derive(Default)]
pub(super) struct Knowledge {
    next_id: u64,
    pub(super) asked: HashMap<Tag, Asked>,
    /// Whether the queues and the topic were confirmed to be there.
    pub(super) made: usize,
    sent: HashMap<u64, Log>,
    confirmed: BTreeMap<(Log, u64), u64>,
    settle_sent: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    failed: HashMap<u64, u32>,
}

/// A message that is found: where, which, and in which attempt.
pub(super) struct Found {
    pub(super) log: Log,
    pub(super) offset: u64,
    pub(super) body: Vec<u8>,
    pub(super) attempt: u32,
}

pub(super) fn body(id: u64) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.resize(8 + (id % 300) as usize, id as u8);
    body
}

pub(super) fn id_of(found: &[u8]) -> Result<u64, String> {
    let head = found.first_chunk().ok_or("a message without a number")?;
    let id = u64::from_le_bytes(*head);
    if found == body(id) { Ok(id) } else { Err(format!("message {id} is not what was sent")) }
}

impl Knowledge {
    /// Numbers for new messages.
    pub(super) fn send(&mut self, log: Log, count: u64) -> Vec<u64> {
        let ids: Vec<u64> = (self.next_id..self.next_id + count).collect();
        self.next_id += count;
        self.sent.extend(ids.iter().map(|id| (*id, log)));
        ids
    }

    /// Everything that was sent to a log and may be there still.
    pub(super) fn all_of(&self, log: Log) -> Vec<u64> {
        let there = |(id, of): &(&u64, &Log)| **of == log && !self.settled.contains(*id);
        self.sent.iter().filter(there).map(|(id, _)| *id).collect()
    }

    pub(super) fn settle(&mut self, ids: &[u64]) {
        self.settle_sent.extend(ids);
    }

    pub(super) fn confirmed(&self) -> usize {
        self.confirmed.len()
    }

    /// A publish was confirmed.
    pub(super) fn published(&mut self, tag: Tag, base: u64) -> Result<(), String> {
        let Some(Asked::Publish(log, ids)) = self.asked.remove(&tag) else {
            return Err("a confirm of something else".to_owned());
        };
        for (offset, id) in (base..).zip(ids) {
            if self.confirmed.insert((log, offset), id).is_some() {
                return Err(format!("{log:?}@{offset} was confirmed twice"));
            }
        }
        Ok(())
    }

    /// Anything else was confirmed.
    pub(super) fn done(&mut self, tag: Tag) {
        match self.asked.remove(&tag) {
            Some(Asked::Settle(ids)) => self.settled.extend(ids),
            Some(Asked::Fail(ids)) => {
                ids.into_iter().for_each(|id| *self.failed.entry(id).or_default() += 1);
            }
            Some(Asked::Made) => self.made += 1,
            Some(Asked::Publish(..)) | None => {}
        }
    }

    /// A message is delivered, or found: it is one that was sent there, and as often as it should.
    pub(super) fn seen(&self, found: &Found) -> Result<u64, String> {
        let id = id_of(&found.body)?;
        let (log, offset) = (found.log, found.offset);
        if self.sent.get(&id) != Some(&log) {
            return Err(format!("{log:?}@{offset}: message {id} was not sent there"));
        }
        if self.confirmed.get(&(log, offset)).is_some_and(|confirmed| *confirmed != id) {
            return Err(format!("{log:?}@{offset}: message {id} is in another's place"));
        }
        Ok(id)
    }

    /// Compares everything that is found with everything that was confirmed.
    pub(super) fn check(&self, found: &[Found]) -> Result<(), String> {
        self.check_served(found)?;
        let mut there = BTreeSet::new();
        for message in found {
            let id = self.seen(message)?;
            there.insert((message.log, message.offset));
            if self.settled.contains(&id) {
                return Err(format!("message {id} is there after it was settled"));
            }
            let failed = self.failed.get(&id).copied().unwrap_or(0);
            if message.log != Log::Events && message.attempt <= failed {
                return Err(format!("message {id}: attempts were forgotten"));
            }
        }
        for ((log, offset), id) in &self.confirmed {
            let may_be_gone = self.settle_sent.contains(id);
            if !there.contains(&(*log, *offset)) && !may_be_gone {
                return Err(format!("confirmed message {id} is lost: {log:?}@{offset}"));
            }
        }
        Ok(())
    }

    /// Whether what is served is right, be it complete or not.
    pub(super) fn check_served(&self, found: &[Found]) -> Result<(), String> {
        let mut there = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for message in found {
            let id = self.seen(message)?;
            if !ids.insert(id) || !there.insert((message.log, message.offset)) {
                return Err(format!("message {id} is there twice"));
            }
        }
        for log in [Log::Kept, Log::Events] {
            let offsets = there.iter().filter(|(of, _)| *of == log).map(|(_, offset)| *offset);
            if !offsets.eq(0..there.iter().filter(|(of, _)| *of == log).count() as u64) {
                return Err(format!("{log:?} has gaps"));
            }
        }
        Ok(())
    }
}
