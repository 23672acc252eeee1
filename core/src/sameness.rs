//! What a queue remembers of the messages it was given, so that none is stored twice.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::Offset;
use crate::planted::{Planted, planted};
use crate::policy::Sameness;
use crate::record::Record;
use crate::time::{Span, Time};

/// By what a message is recognised: its id, or the SHA-256 of its body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sign {
    /// The record's id.
    Id(Box<[u8]>),
    /// The SHA-256 of its body.
    Body([u8; 32]),
}

impl Sign {
    /// None: the record is like no other.
    pub(crate) fn of(record: &Record<'_>, by: Sameness) -> Option<Sign> {
        match (record.options.id, by) {
            (Some(id), _) => Some(Sign::Id(id.into())),
            (None, Sameness::Id) => None,
            (None, Sameness::Content) => Some(Sign::Body(Sha256::digest(record.body).into())),
        }
    }
}

/// A message that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// When it came.
    pub at: Time,
    /// Where it lies or lay.
    pub offset: Offset,
    /// By what it is recognised.
    pub sign: Sign,
}

/// How many that are too old are forgotten for each that comes: so they go at last, and no input
/// has to do with very many.
const FORGOTTEN_FOR_EACH: usize = 4;

/// The messages that a queue remembers. Nothing here runs on a timer: what is too old is not
/// found, and goes when others come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    found: BTreeMap<Arc<Sign>, (Time, Offset)>,
    /// The oldest in front.
    order: VecDeque<(Time, Offset, Arc<Sign>)>,
}

impl Memory {
    /// The message of this sign that came within the window.
    pub(crate) fn find(&self, sign: &Sign, window: Span, now: Time) -> Option<Offset> {
        let (at, offset) = self.found.get(sign)?;
        let window = if planted(Planted::WindowIsHalf) { Span(window.0 / 2) } else { window };
        (*at + window > now).then_some(*offset)
    }

    /// Whether there is room for so many more, given that as many as are too old are forgotten.
    pub(crate) fn has_room(&self, count: usize, window: Span, now: Time, max: u32) -> bool {
        let old = self.order.iter().take(count * FORGOTTEN_FOR_EACH);
        let old = old.take_while(|(at, ..)| *at + window <= now).count();
        self.order.len() - old + count <= max as usize
    }

    /// Remembers a message; some that are too old by then are forgotten.
    pub(crate) fn remember(&mut self, Remembered { at, offset, sign }: Remembered, window: Span) {
        for _ in 0..FORGOTTEN_FOR_EACH {
            match self.order.front() {
                Some((came, ..)) if *came + window <= at => self.forget_oldest(),
                Some(_) | None => break,
            }
        }
        self.put_back(Remembered { at, offset, sign });
    }

    /// Remembers a message, and forgets none.
    pub(crate) fn put_back(&mut self, Remembered { at, offset, sign }: Remembered) {
        if planted(Planted::MemoryIsNotPutBack) {
            return;
        }
        let sign = Arc::new(sign);
        let before = self.found.insert(sign.clone(), (at, offset));
        if let Some((_, before)) = before {
            self.out_of_order(&sign, before);
        }
        self.order.push_back((at, offset, sign));
    }

    fn forget_oldest(&mut self) {
        let Some((_, _, sign)) = self.order.pop_front() else { return };
        self.found.remove(&sign);
    }

    /// Takes a message out of the order: most often it is at the front, since it is too old.
    fn out_of_order(&mut self, sign: &Sign, offset: Offset) {
        let is_it = |(_, other, of): &(Time, Offset, Arc<Sign>)| *other == offset && **of == *sign;
        if let Some(at) = self.order.iter().position(is_it) {
            self.order.remove(at);
        }
    }

    /// Forgets a message, unless its sign is another's by now: it was taken back.
    pub(crate) fn forget(&mut self, sign: &Sign, offset: Offset) {
        if self.found.get(sign).is_some_and(|(_, other)| *other == offset) {
            self.found.remove(sign);
            self.out_of_order(sign, offset);
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Memory::default();
    }

    /// How many are remembered, some that are too old among them.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Each, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Remembered> {
        self.order.iter().map(|(at, offset, sign)| Remembered {
            at: *at,
            offset: *offset,
            sign: sign.as_ref().clone(),
        })
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.iter().count() != self.found.len() {
            return Some("what it remembers is not what it would forget in time");
        }
        let ordered = self.order.iter().zip(self.order.iter().skip(1)).all(|(a, b)| a.0 <= b.0);
        (!ordered).then_some("it would forget a newer message before an older one")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn message(at: u64, offset: u64, id: &[u8]) -> Remembered {
        Remembered { at: Time(at), offset: Offset(offset), sign: Sign::Id(id.into()) }
    }

    #[test]
    fn a_message_is_found_within_its_window_and_not_beyond() {
        let (mut memory, window) = (Memory::default(), Span(10));
        memory.remember(message(5, 0, b"a"), window);
        let sign = Sign::Id((*b"a").into());
        assert_eq!(memory.find(&sign, window, Time(14)), Some(Offset(0)));
        assert_eq!(memory.find(&sign, window, Time(15)), None);
        memory.remember(message(15, 7, b"a"), window);
        assert_eq!(memory.find(&sign, window, Time(15)), Some(Offset(7)));
        assert_eq!(memory.len(), 1, "the older one was forgotten");
        assert_eq!(memory.fault(), None);
    }

    #[test]
    fn what_is_too_old_makes_room() {
        let (mut memory, window) = (Memory::default(), Span(10));
        for (at, id) in (0..8u8).enumerate() {
            memory.remember(message(at as u64, at as u64, &[id]), window);
        }
        assert!(!memory.has_room(1, window, Time(9), 8));
        assert!(memory.has_room(1, window, Time(10), 8));
        assert!(!memory.has_room(2, window, Time(10), 8));
        let left: Vec<_> = memory.iter().map(|message| message.offset.0).collect();
        assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_message_taken_back_is_forgotten_but_not_one_that_took_its_sign() {
        let (mut memory, window) = (Memory::default(), Span(10));
        let sign = Sign::Id((*b"a").into());
        memory.remember(message(0, 0, b"a"), window);
        memory.forget(&sign, Offset(0));
        assert_eq!(memory.find(&sign, window, Time(1)), None);
        memory.remember(message(1, 4, b"a"), window);
        memory.forget(&sign, Offset(0));
        assert_eq!(memory.find(&sign, window, Time(1)), Some(Offset(4)));
        assert_eq!(memory.iter().count(), 1);
        assert_eq!(memory.fault(), None);
    }

    #[test]
    fn a_body_is_recognised_by_its_sha_256_where_there_is_no_id() {
        let plain = Record { body: b"abc", ..Record::default() };
        assert_eq!(Sign::of(&plain, Sameness::Id), None);
        let Some(Sign::Body(digest)) = Sign::of(&plain, Sameness::Content) else {
            panic!("a body has a digest")
        };
        // FIPS 180-4, the example of a message of one block.
        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
