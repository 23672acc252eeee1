//! Who should read which partition: pure functions from subscriptions to an assignment.
//!
//! Each gives every partition that has a subscriber to exactly one of them, and the same for the
//! same input. Members are taken in the order that Kafka's assignors use (`MemberInfo.compareTo`):
//! static members by their instance's name, then the others by age; so a static member that comes
//! back under another number keeps its place.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::group::Partition;
use crate::id::{MemberId, TopicId};
use crate::request::Assignor;
use crate::set::Set;
use crate::sort::sort_by_key;

/// Passes over the members that a sticky assignment makes for a better balance. One is enough
/// where all subscribe to the same; with differing subscriptions a gift can make room for another.
const BALANCE_PASSES_MAX: usize = 16;

/// A member, as far as an assignment is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber<'a> {
    pub(crate) id: MemberId,
    pub(crate) instance: Option<&'a str>,
    pub(crate) topics: &'a Set<TopicId>,
}

/// Shares out the partitions of `topics` (each with their number, by id). `before` is who had
/// which; what is no longer possible in it is not looked at. The result is sorted by partition.
pub(crate) fn share(
    assignor: Assignor,
    mut members: Vec<Subscriber<'_>>,
    topics: &[(TopicId, u32)],
    before: impl Iterator<Item = (Partition, MemberId)>,
) -> Vec<(Partition, MemberId)> {
    sort_by_key(&mut members, |member| (member.instance.is_none(), member.instance, member.id));
    let readers = readers(&members, topics);
    match assignor {
        Assignor::Range => range(&members, topics, &readers),
        Assignor::RoundRobin => round_robin(&members, topics, &readers),
        Assignor::Sticky | Assignor::CooperativeSticky => {
            Sticky::new(&members, topics, readers, before).share()
        }
    }
}

/// The subscribers of each topic, as places in `members`.
fn readers(members: &[Subscriber<'_>], topics: &[(TopicId, u32)]) -> Vec<Vec<usize>> {
    let mut readers = alloc::vec![Vec::new(); topics.len()];
    for (place, member) in members.iter().enumerate() {
        for topic in member.topics.iter() {
            if let Ok(topic) = topics.binary_search_by_key(&topic, |(id, _)| *id) {
                readers[topic].push(place);
            }
        }
    }
    readers
}

/// Of each topic a run of partitions to each subscriber; the first ones get one more.
fn range(
    members: &[Subscriber<'_>],
    topics: &[(TopicId, u32)],
    readers: &[Vec<usize>],
) -> Vec<(Partition, MemberId)> {
    let mut to = Vec::new();
    for ((topic, partitions), readers) in topics.iter().zip(readers) {
        let count = readers.len() as u32;
        let mut next = 0;
        for (reader, nth) in readers.iter().zip(0..) {
            let share = partitions / count + u32::from(nth < partitions % count);
            to.extend((next..next + share).map(|p| ((*topic, p), members[*reader].id)));
            next += share;
        }
    }
    to
}

/// All partitions of all topics in order, each to the next member that subscribes to its topic.
fn round_robin(
    members: &[Subscriber<'_>],
    topics: &[(TopicId, u32)],
    readers: &[Vec<usize>],
) -> Vec<(Partition, MemberId)> {
    let mut to = Vec::new();
    let mut turn = 0;
    for ((topic, partitions), readers) in topics.iter().zip(readers) {
        if readers.is_empty() {
            continue;
        }
        for partition in 0..*partitions {
            let next = readers.partition_point(|reader| *reader < turn);
            let reader = *readers.get(next).unwrap_or(&readers[0]);
            to.push(((*topic, partition), members[reader].id));
            turn = (reader + 1) % members.len();
        }
    }
    to
}

/// What a member has of each topic that it subscribes to, while it is shared out.
struct Load {
    id: MemberId,
    count: u32,
    /// Places in `topics`, each with the partitions it has of it.
    topics: Vec<(usize, Vec<u32>)>,
}

/// A sticky assignment: everybody keeps what they had as far as the balance allows, what is free
/// goes to whoever has least, and who has too much gives to whoever has two fewer at least.
struct Sticky<'a> {
    topics: &'a [(TopicId, u32)],
    loads: Vec<Load>,
    readers: Vec<Vec<usize>>,
    /// Of each topic its readers by what they have. An entry may be too low, and is then mended
    /// when it comes to the top; none is too high.
    lightest: Vec<BinaryHeap<Reverse<(u32, usize)>>>,
    /// Partitions that nobody has.
    free: Vec<(usize, u32)>,
}

impl<'a> Sticky<'a> {
    fn new(
        members: &[Subscriber<'_>],
        topics: &'a [(TopicId, u32)],
        readers: Vec<Vec<usize>>,
        before: impl Iterator<Item = (Partition, MemberId)>,
    ) -> Sticky<'a> {
        let mut loads: Vec<_> =
            members.iter().map(|m| Load { id: m.id, count: 0, topics: Vec::new() }).collect();
        for (topic, readers) in readers.iter().enumerate() {
            readers.iter().for_each(|reader| loads[*reader].topics.push((topic, Vec::new())));
        }
        let mut by_id: Vec<_> = members.iter().map(|member| member.id).zip(0..).collect();
        sort_by_key(&mut by_id, |by_id| *by_id);
        let mut kept: Vec<Vec<bool>> =
            topics.iter().map(|(_, partitions)| alloc::vec![false; *partitions as usize]).collect();
        for ((topic, partition), member) in before {
            let Ok(topic) = topics.binary_search_by_key(&topic, |(id, _)| *id) else { continue };
            let Ok(at) = by_id.binary_search_by_key(&member, |(id, _)| *id) else { continue };
            let load: &mut Load = &mut loads[by_id[at].1];
            let Ok(slot) = load.topics.binary_search_by_key(&topic, |(t, _)| *t) else { continue };
            let Some(seen) = kept[topic].get_mut(partition as usize) else { continue };
            if !core::mem::replace(seen, true) {
                load.topics[slot].1.push(partition);
                load.count += 1;
            }
        }
        let mut free: Vec<_> = (0..topics.len())
            .filter(|topic| !readers[*topic].is_empty())
            .flat_map(|topic| (0..topics[topic].1).map(move |partition| (topic, partition)))
            .filter(|(topic, partition)| !kept[*topic][*partition as usize])
            .collect();
        // What few can read is given first, while those few have room.
        sort_by_key(&mut free, |(topic, _)| readers[*topic].len());
        let lightest = readers
            .iter()
            .map(|readers| readers.iter().map(|r| Reverse((loads[*r].count, *r))).collect())
            .collect();
        Sticky { topics, loads, readers, lightest, free }
    }

    fn share(mut self) -> Vec<(Partition, MemberId)> {
        for (topic, partition) in core::mem::take(&mut self.free) {
            let reader = self.lightest(topic);
            self.give(reader, topic, partition);
        }
        for _ in 0..BALANCE_PASSES_MAX {
            if !self.balance() {
                break;
            }
        }
        let Sticky { topics, loads, .. } = self;
        let mut to: Vec<_> = loads
            .iter()
            .flat_map(|load| {
                load.topics.iter().flat_map(|(topic, partitions)| {
                    partitions.iter().map(|partition| ((topics[*topic].0, *partition), load.id))
                })
            })
            .collect();
        sort_by_key(&mut to, |to| *to);
        to
    }

    /// The reader of a topic that has least.
    fn lightest(&mut self, topic: usize) -> usize {
        loop {
            let mut top = self.lightest[topic].peek_mut().expect("the topic has readers");
            let Reverse((count, reader)) = *top;
            if self.loads[reader].count == count {
                return reader;
            }
            *top = Reverse((self.loads[reader].count, reader));
        }
    }

    fn give(&mut self, reader: usize, topic: usize, partition: u32) {
        let load = &mut self.loads[reader];
        load.count += 1;
        let slot = load.topics.binary_search_by_key(&topic, |(t, _)| *t);
        load.topics[slot.expect("a reader of the topic")].1.push(partition);
    }

    /// One pass over all members, the one that has most first. Whether anything moved.
    fn balance(&mut self) -> bool {
        let mut moved = false;
        let loads = self.loads.iter().zip(0..);
        let mut givers: BinaryHeap<(u32, Reverse<usize>)> =
            loads.map(|(load, giver)| (load.count, Reverse(giver))).collect();
        while let Some((count, Reverse(giver))) = givers.pop() {
            if self.loads[giver].count != count {
                givers.push((self.loads[giver].count, Reverse(giver)));
                continue;
            }
            let Some((slot, taker)) = self.gift(giver) else { continue };
            let load = &mut self.loads[giver];
            load.count -= 1;
            let (topic, partitions) = &mut load.topics[slot];
            let topic = *topic;
            let partition = partitions.pop().expect("a gift is something that the giver has");
            let count = load.count;
            givers.push((count, Reverse(giver)));
            // Entries must not be too high: the giver has less now wherever it reads.
            for (topic, _) in &load.topics {
                if self.readers[*topic].len() > 1 {
                    self.lightest[*topic].push(Reverse((count, giver)));
                }
            }
            self.give(taker, topic, partition);
            moved = true;
        }
        moved
    }

    /// What a member should give, and to whom: of the topics of which somebody has two partitions
    /// fewer in all, the one of which it has most.
    fn gift(&mut self, giver: usize) -> Option<(usize, usize)> {
        let count = self.loads[giver].count;
        let mut best: Option<(usize, usize, usize)> = None;
        for slot in 0..self.loads[giver].topics.len() {
            let (topic, has) = {
                let (topic, partitions) = &self.loads[giver].topics[slot];
                (*topic, partitions.len())
            };
            if has == 0 || best.is_some_and(|(most, ..)| most >= has) {
                continue;
            }
            let taker = self.lightest(topic);
            if self.loads[taker].count + 1 < count {
                best = Some((has, slot, taker));
            }
        }
        best.map(|(_, slot, taker)| (slot, taker))
    }
}

#[cfg(test)]
mod tests;
