//! Reading partitions: by offset, or as a member of a group.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::{Awaits, Broker, Refused, out_of_range, span_within, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Event, Fetched};
use crate::group::Partition;
use crate::id::{ConnId, GroupId, MemberId, Offset, Tag, TopicId};
use crate::limits::{BATCH_RECORDS_MAX, WAIT_MAX};
use crate::log::{Ask, Log, Run};
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{Isolation, Position};
use crate::time::Span;

impl Broker {
    pub(super) fn read(
        &mut self,
        conn: ConnId,
        tag: Tag,
        (topic, partition): (&str, u32),
        from: Position,
        records_max: u32,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (id, partition) = self.partition_named(topic, partition)?;
        within("records_max", u64::from(records_max), 1, BATCH_RECORDS_MAX as u64)?;
        let log = &self.topics[&id].partitions[partition as usize];
        let from = resolve(log, from)?;
        let (start, end) = (log.start(), log.end());
        let bytes_max = self.config.limits.batch_bytes_max as usize;
        let isolation = Isolation::Uncommitted;
        let batch = log.read(Ask { from, records_max, bytes_max, isolation });
        let batch = batch.map(|run| fetched(self.topic_name(id), partition, run));
        self.tell(conn, Event::ReadDone { tag, start, end, batch }, out);
        Ok(())
    }

    pub(super) fn poll(
        &mut self,
        conn: ConnId,
        tag: Tag,
        member: MemberId,
        records_max: u32,
        wait: Span,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let group = self.group_of(conn, member)?;
        within("records_max", u64::from(records_max), 1, BATCH_RECORDS_MAX as u64)?;
        span_within("wait", wait, Span::ZERO, WAIT_MAX)?;
        if self.groups[&group].members[&member].waiting.is_some() {
            return Err(Code::BadArgument
                .because(format!("a poll of {member} waits already; one at a time")));
        }
        if self.serve_poll(group, member, (conn, tag), records_max, out) {
            self.renew_session(group, member);
            return Ok(());
        }
        if wait == Span::ZERO {
            self.renew_session(group, member);
            self.tell(conn, Event::Polled { tag, batches: Cow::Borrowed(&[]) }, out);
            return Ok(());
        }
        let number = self.wait(conn, tag, wait, Awaits::Record { group, member, records_max })?;
        self.renew_session(group, member);
        let state = self.groups.get_mut(&group).expect("a member's group exists");
        let reader = state.members.get_mut(&member).expect("a known member is in its group");
        reader.waiting = Some(number);
        for topic in reader.topics.iter() {
            let topic = self.topics.get_mut(&topic).expect("a member reads topics that exist");
            topic.waiting.insert((group, member));
        }
        Ok(())
    }

    /// Answers a poll with what there is, moving positions; false if there is nothing.
    fn serve_poll(
        &mut self,
        id: GroupId,
        member: MemberId,
        (conn, tag): (ConnId, Tag),
        records_max: u32,
        out: &mut dyn Sink,
    ) -> bool {
        let group = &self.groups[&id];
        let mut room = records_max;
        let mut bytes = self.config.limits.batch_bytes_max as usize;
        let mut batches = Vec::new();
        let mut moved: Vec<(Partition, Offset, Offset)> = Vec::new();
        // Begin after the partition that was read last, so that none starves.
        let polled = group.members[&member].polled;
        let after = group.owned_by(member).filter(|(p, _)| Some(*p) > polled);
        let before = group.owned_by(member).filter(|(p, _)| Some(*p) <= polled);
        for (partition, owned) in after.chain(before) {
            let log = &self.topics[&partition.0].partitions[partition.1 as usize];
            let isolation = Isolation::Uncommitted;
            let (from, records_max, bytes_max) = (owned.position, room, bytes);
            let Some(run) = log.read(Ask { from, records_max, bytes_max, isolation }) else {
                continue;
            };
            if !batches.is_empty() && run.records.as_bytes().len() > bytes {
                break;
            }
            moved.push((partition, run.base, run.next));
            room -= run.records.count();
            bytes = bytes.saturating_sub(run.records.as_bytes().len());
            batches.push(fetched(self.topic_name(partition.0), partition.1, run));
            if room == 0 || bytes == 0 {
                break;
            }
        }
        if batches.is_empty() {
            return false;
        }
        self.tell(conn, Event::Polled { tag, batches: batches.into() }, out);
        self.move_positions(id, member, &moved, out);
        true
    }

    fn move_positions(
        &mut self,
        id: GroupId,
        member: MemberId,
        moved: &[(Partition, Offset, Offset)],
        out: &mut dyn Sink,
    ) {
        let group = self.group_mut(id);
        for (partition, _, to) in moved {
            let owned = group.owned.get_mut(partition).expect("a member reads what it owns");
            owned.position = to.plus(u64::from(planted(Planted::PollSkipsARecord)));
            let reached = group.reached.get_or_insert_with(*partition, Offset::default);
            *reached = (*reached).max(*to);
        }
        let last = moved.last().map(|(partition, ..)| *partition);
        group.members.get_mut(&member).expect("it is there").polled = last;
        for ((topic, partition), from, to) in moved {
            self.note(out, || Activity::Polled {
                group: self.groups[&id].name.as_str().into(),
                member,
                topic: self.topic_name(*topic).into(),
                partition: *partition,
                from: *from,
                to: *to,
            });
        }
    }

    /// Answers the polls that wait for a record of this partition.
    pub(super) fn wake_polls(&mut self, topic: TopicId, partition: u32, out: &mut dyn Sink) {
        let owner = |(group, member): &(GroupId, MemberId)| {
            let owned = self.groups[group].owned.get(&(topic, partition));
            owned.is_some_and(|owned| owned.member == *member)
        };
        let Some(state) = self.topics.get(&topic) else { return };
        let woken: Vec<_> = state.waiting.iter().filter(owner).collect();
        for (group, member) in woken {
            self.wake_poll(group, member, out);
        }
    }

    /// Answers a member's poll if one waits and there is something for it now.
    pub(super) fn wake_poll(&mut self, group: GroupId, member: MemberId, out: &mut dyn Sink) {
        let Some(number) = self.groups[&group].members[&member].waiting else { return };
        let wait = &self.waits[&number];
        let Awaits::Record { records_max, .. } = wait.what else {
            unreachable!("a member waits for records");
        };
        if self.serve_poll(group, member, (wait.conn, wait.tag), records_max, out) {
            self.stop_waiting(number);
            self.renew_session(group, member);
        }
    }
}

fn fetched<'a>(topic: &'a str, partition: u32, run: Run<'a>) -> Fetched<'a> {
    let Run { base, offsets, appended_at, records, next } = run;
    let (topic, offsets) = (topic.into(), offsets.into());
    Fetched { topic, partition, base, offsets, appended_at, records, next }
}

/// The offset that a position stands for.
pub(super) fn resolve(log: &Log, position: Position) -> Result<Offset, Refused> {
    match position {
        Position::Earliest => Ok(log.start()),
        Position::Latest => Ok(log.end()),
        Position::Since(at) => Ok(log.since(at)),
        Position::At(offset) if offset < log.start() || offset > log.end() => {
            Err(out_of_range(offset, log.start(), log.end()))
        }
        Position::At(offset) => Ok(offset),
    }
}
