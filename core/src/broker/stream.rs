//! Reading partitions, by offset or as a member of a group, and waiting for what is not there yet.

use alloc::format;
use alloc::vec::Vec;

use super::{Awaits, Broker, Refused, Short, Wait, out_of_range, span_within, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Event, Fetched};
use crate::group::Partition;
use crate::id::{ConnId, GroupId, MemberId, Offset, Place, Tag};
use crate::journey::{Covered, Did};
use crate::limits::{BATCH_RECORDS_MAX, WAIT_MAX};
use crate::log::{Ask, Log, Run};
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{Budget, Isolation, Position};
use crate::time::Span;

/// Whether a read or poll is answered with less than its budget wants, because its time is up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// Only with what it wants.
    Enough,
    /// With what there is.
    WhatThereIs,
}

impl Broker {
    pub(super) fn read(
        &mut self,
        conn: ConnId,
        tag: Tag,
        (topic, partition): (&str, u32),
        from: Position,
        budget: Budget,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let partition = self.partition_named(topic, partition)?;
        self.valid_budget(&budget)?;
        let from = resolve(self.log_of(partition), from, budget.isolation)?;
        let served = if budget.wait == Span::ZERO { Served::WhatThereIs } else { Served::Enough };
        let Err(short) = self.serve_read((conn, tag), partition, from, budget, served, out) else {
            return Ok(());
        };
        let what = Awaits::Read { partition, from, budget, short };
        let number = self.wait(conn, tag, budget.wait, what)?;
        let topic = self.topics.get_mut(&partition.0).expect("the partition was found");
        topic.upkeep[partition.1 as usize].readers.insert(number, ());
        Ok(())
    }

    pub(super) fn valid_budget(&self, budget: &Budget) -> Result<(), Refused> {
        let bytes = u64::from(self.config.limits.batch_bytes_max);
        within("records_max", u64::from(budget.records_max), 1, BATCH_RECORDS_MAX as u64)?;
        if let Some(max) = budget.bytes_max {
            within("bytes_max", u64::from(max), 1, bytes)?;
        }
        let max = budget.bytes_max.map_or(bytes, u64::from);
        within("bytes_min", u64::from(budget.bytes_min), 0, max)?;
        span_within("wait", budget.wait, Span::ZERO, WAIT_MAX)
    }

    pub(super) fn log_of(&self, (topic, partition): Partition) -> &Log {
        &self.topics[&topic].partitions[partition as usize]
    }

    pub(super) fn bytes_max(&self, budget: &Budget) -> usize {
        budget.bytes_max.unwrap_or(self.config.limits.batch_bytes_max) as usize
    }

    /// Answers a read, or says how much is missing for that.
    fn serve_read(
        &self,
        (conn, tag): (ConnId, Tag),
        partition: Partition,
        from: Offset,
        budget: Budget,
        served: Served,
        out: &mut dyn Sink,
    ) -> Result<(), Short> {
        let log = self.log_of(partition);
        let Budget { records_max, isolation, .. } = budget;
        let (bytes_max, bytes_min) = (self.bytes_max(&budget), budget.bytes_min as usize);
        let run = log.read(Ask { from, records_max, bytes_max, bytes_min, isolation });
        // A run that ends before the log does is as much as the budget takes.
        let more = run.as_ref().is_some_and(|run| run.next < log.end_for(isolation));
        if served == Served::Enough && !more {
            let got =
                run.as_ref().map_or((0, 0), |r| (r.records.as_bytes().len(), r.records.count()));
            enough(&budget, got)?;
        }
        let (start, end, stable_end) = (log.start(), log.end(), log.stable_end());
        let batch = run.map(|run| fetched(self.topic_name(partition.0), partition.1, run));
        self.tell(conn, Event::ReadDone { tag, start, end, stable_end, batch }, out);
        Ok(())
    }

    pub(super) fn poll(
        &mut self,
        conn: ConnId,
        tag: Tag,
        member: MemberId,
        budget: Budget,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let group = self.group_of(conn, member)?;
        self.valid_budget(&budget)?;
        if self.groups[&group].members[&member].waiting.is_some() {
            return Err(Code::BadArgument
                .because(format!("a poll of {member} waits already; one at a time")));
        }
        let served = if budget.wait == Span::ZERO { Served::WhatThereIs } else { Served::Enough };
        let Err(short) = self.serve_poll(group, member, (conn, tag), budget, served, out) else {
            self.renew_session(group, member);
            return Ok(());
        };
        let what = Awaits::Record { group, member, budget, short };
        let number = self.wait(conn, tag, budget.wait, what)?;
        self.renew_session(group, member);
        let state = self.groups.get_mut(&group).expect("a member's group exists");
        let reader = state.members.get_mut(&member).expect("a known member is in its group");
        reader.waiting = Some(number);
        self.polls_begin(group, member);
        Ok(())
    }

    /// Answers a poll, moving positions, or says how much is missing for that.
    fn serve_poll(
        &mut self,
        id: GroupId,
        member: MemberId,
        (conn, tag): (ConnId, Tag),
        budget: Budget,
        served: Served,
        out: &mut dyn Sink,
    ) -> Result<(), Short> {
        let isolation = budget.isolation;
        if isolation == Isolation::Committed {
            self.resume_committed(id, member);
        }
        let group = &self.groups[&id];
        let mut room = budget.records_max;
        let mut bytes = self.bytes_max(&budget);
        let mut got = (0, 0);
        let mut full = false;
        let mut batches = Vec::new();
        let mut moved: Vec<(Partition, Offset, Offset)> = Vec::new();
        // Begin after the partition that was read last, so that none starves.
        let polled = group.members[&member].polled;
        let after = group.owned_by(member).filter(|(p, _)| Some(*p) > polled);
        let before = group.owned_by(member).filter(|(p, _)| Some(*p) <= polled);
        for (partition, owned) in after.chain(before) {
            if isolation == Isolation::Committed && !group.has_begun(partition, owned) {
                continue;
            }
            let log = self.log_of(partition);
            let ask = Ask {
                from: owned.position,
                records_max: room,
                bytes_max: bytes,
                bytes_min: (budget.bytes_min as usize).saturating_sub(got.0),
                isolation,
            };
            let Some(run) = log.read(ask) else { continue };
            let (size, count) = (run.records.as_bytes().len(), run.records.count());
            if !batches.is_empty() && size > bytes {
                full = true;
                break;
            }
            full |= run.next < log.end_for(isolation);
            moved.push((partition, run.base, run.next));
            got = (got.0 + size, got.1 + count);
            room -= count;
            bytes = bytes.saturating_sub(size);
            batches.push(fetched(self.topic_name(partition.0), partition.1, run));
            if room == 0 || bytes == 0 {
                full = true;
                break;
            }
        }
        if served == Served::Enough && !full {
            enough(&budget, got)?;
        }
        self.tell(conn, Event::Polled { tag, batches: batches.into() }, out);
        if !moved.is_empty() {
            self.move_positions(id, member, &moved, out);
        }
        Ok(())
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
            let (place, run) =
                (Place::Partition(*topic, *partition), Covered::of(*from, to.0 - from.0));
            self.journeys.note(self.now, place, run, Did::Polled { group: id, member });
        }
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

    /// A batch came to lie in this partition: answers whoever has enough with it.
    pub(super) fn wake_readers(
        &mut self,
        partition: Partition,
        (bytes, records): (usize, u32),
        out: &mut dyn Sink,
    ) {
        let mut woken: Vec<u64> = Vec::new();
        for number in self.waiting_at(partition) {
            let wait = self.waits.get_mut(&number).expect("whoever waits is known");
            let short = match &mut wait.what {
                Awaits::Record { short, .. }
                | Awaits::Read { short, .. }
                | Awaits::Fetch { short, .. } => short,
                Awaits::Message { .. } | Awaits::Joined { .. } | Awaits::Synced { .. } => {
                    unreachable!("a partition is waited on for records")
                }
            };
            short.bytes = short.bytes.saturating_sub(bytes as u64);
            short.records = short.records.saturating_sub(records);
            if short.bytes == 0 || short.records == 0 {
                woken.push(number);
            }
        }
        for number in woken {
            self.serve_wait(number, Served::Enough, out);
        }
    }

    /// More of this partition can be seen, without a batch that came: a transaction ended.
    pub(super) fn wake_all_readers(&mut self, partition: Partition, out: &mut dyn Sink) {
        for number in self.waiting_at(partition) {
            self.serve_wait(number, Served::Enough, out);
        }
    }

    /// The reads of this partition that wait, and the polls of those who own it.
    fn waiting_at(&self, partition: Partition) -> Vec<u64> {
        let Some(topic) = self.topics.get(&partition.0) else { return Vec::new() };
        let readers = topic.upkeep[partition.1 as usize].readers.keys().copied();
        let polls = topic.polled.keys().filter_map(|group| {
            let group = &self.groups[group];
            group.members.get(&group.owned.get(&partition)?.member)?.waiting
        });
        polls.chain(readers).collect()
    }

    /// Answers a member's poll if one waits and there is enough for it now.
    pub(super) fn wake_poll(&mut self, group: GroupId, member: MemberId, out: &mut dyn Sink) {
        if let Some(number) = self.groups[&group].members[&member].waiting {
            self.serve_wait(number, Served::Enough, out);
        }
    }

    /// Answers a request that waits for records, if there is enough for it.
    fn serve_wait(&mut self, number: u64, served: Served, out: &mut dyn Sink) {
        let Some(Wait { conn, tag, what, .. }) = self.waits.get(&number).cloned() else { return };
        let short = self.serve(&what, (conn, tag), served, out);
        match short {
            Ok(()) => {
                self.stop_waiting(number);
                if let Awaits::Record { group, member, .. } = what {
                    self.renew_session(group, member);
                }
            }
            Err(missing) => {
                let wait = self.waits.get_mut(&number).expect("it still waits");
                if let Awaits::Record { short, .. }
                | Awaits::Read { short, .. }
                | Awaits::Fetch { short, .. } = &mut wait.what
                {
                    *short = missing;
                }
            }
        }
    }

    fn serve(
        &mut self,
        what: &Awaits,
        to: (ConnId, Tag),
        served: Served,
        out: &mut dyn Sink,
    ) -> Result<(), Short> {
        match *what {
            Awaits::Record { group, member, budget, .. } => {
                self.serve_poll(group, member, to, budget, served, out)
            }
            Awaits::Read { partition, from, budget, .. } => {
                self.serve_read(to, partition, from, budget, served, out)
            }
            Awaits::Fetch { ref aims, budget, .. } => {
                let aims: Vec<_> = aims.iter().copied().map(Ok).collect();
                self.serve_fetch(to, &aims, budget, served, out)
            }
            Awaits::Message { .. } | Awaits::Joined { .. } | Awaits::Synced { .. } => {
                unreachable!("who waits for something else is served elsewhere")
            }
        }
    }

    /// The time of a request that waited for records is up: it is answered with what there is.
    pub(super) fn wait_for_records_expired(
        &mut self,
        what: &Awaits,
        to: (ConnId, Tag),
        out: &mut dyn Sink,
    ) {
        let served = self.serve(what, to, Served::WhatThereIs, out);
        assert!(served.is_ok(), "what there is is enough when the time is up");
        if let Awaits::Record { group, member, .. } = *what {
            self.renew_session(group, member);
        }
    }
}

/// How much is missing of what a budget wants, if anything is.
pub(super) fn enough(budget: &Budget, (bytes, records): (usize, u32)) -> Result<(), Short> {
    let bytes_min = u64::from(budget.bytes_min.max(1));
    if bytes as u64 >= bytes_min || records >= budget.records_max {
        return Ok(());
    }
    Err(Short { bytes: bytes_min - bytes as u64, records: budget.records_max - records })
}

pub(super) fn fetched<'a>(topic: &'a str, partition: u32, run: Run<'a>) -> Fetched<'a> {
    let Run { base, offsets, appended_at, records, next } = run;
    let (topic, offsets) = (topic.into(), offsets.into());
    Fetched { topic, partition, base, offsets, appended_at, records, next }
}

/// The offset that a position stands for.
pub(super) fn resolve(
    log: &Log,
    position: Position,
    isolation: Isolation,
) -> Result<Offset, Refused> {
    match position {
        Position::Earliest => Ok(log.start()),
        Position::Latest => Ok(log.end_for(isolation)),
        Position::Since(at) => Ok(log.since(at)),
        Position::At(offset) if offset < log.start() || offset > log.end() => {
            Err(out_of_range(offset, log.start(), log.end()))
        }
        Position::At(offset) => Ok(offset),
    }
}
