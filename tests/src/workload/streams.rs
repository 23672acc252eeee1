//! What readers ask of topics.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, CommitOffset, ConnId, Generation, MemberId, Offset, Op, Position, Span, Start, Time,
};

use super::{GROUPS, TOPICS, Workload};
use crate::client::Reader;

impl Workload {
    pub(super) fn stream_op(&mut self, conn: ConnId) -> Op<'static> {
        if self.client(conn).members.is_empty() && self.dice.percent(80) {
            return self.join();
        }
        match self.dice.weighted(&[8, 6, 6, 4, 38, 25, 8, 4, 3, 2]) {
            0 => self.read(),
            1 => self.join(),
            2 => Op::Heartbeat { member: self.member(conn).0 },
            3 => Op::Leave { member: self.leaver(conn) },
            4 => Op::Poll {
                member: self.member(conn).0,
                records_max: *self.dice.pick(&[0, 1, 1, 2, 2, 5, 5, 100]),
                wait: self.wait(),
            },
            5 => self.commit(conn),
            6 => Op::Seek {
                member: self.member(conn).0,
                topic: self.topic().into(),
                partition: self.partition(),
                to: self.position(),
            },
            7 => Op::ResetOffsets {
                group: (*self.dice.pick(&GROUPS)).into(),
                topic: self.topic().into(),
                partition: if self.dice.percent(50) { Some(0) } else { None },
                to: self.position(),
                dry_run: self.dice.percent(30),
            },
            8 => Op::CommitGroup {
                group: (*self.dice.pick(&GROUPS)).into(),
                offsets: vec![self.commit_offset()].into(),
            },
            _ => Op::DeleteOffsets {
                group: (*self.dice.pick(&GROUPS)).into(),
                topic: self.topic().into(),
                partition: if self.dice.percent(50) { Some(0) } else { None },
            },
        }
    }

    fn commit_offset(&mut self) -> CommitOffset<'static> {
        let (topic, partition) = (self.topic().into(), self.partition());
        let metadata = *self.dice.pick(&["", "", "noted"]);
        let offset = Offset(self.dice.below(6));
        CommitOffset { topic, partition, offset, metadata: metadata.into() }
    }

    fn read(&mut self) -> Op<'static> {
        Op::Read {
            topic: self.topic().into(),
            partition: self.partition(),
            from: self.position(),
            records_max: *self.dice.pick(&[0, 1, 3, 100]),
        }
    }

    fn partition(&mut self) -> u32 {
        *self.dice.pick(&[0, 0, 0, 1, 2, 3])
    }

    fn position(&mut self) -> Position {
        match self.dice.below(4) {
            0 => Position::Earliest,
            1 => Position::Latest,
            2 => Position::At(Offset(self.dice.below(12))),
            _ => Position::Since(Time(self.dice.below(self.now.0 + 2))),
        }
    }

    fn join(&mut self) -> Op<'static> {
        let mut topics: Vec<Cow<'static, str>> = vec![self.topic().into()];
        topics.extend(TOPICS.into_iter().filter(|_| self.dice.percent(30)).map(Cow::from));
        let session = *self.dice.pick(&[
            Some(100),
            Some(200),
            Some(1_000),
            Some(1_000),
            None,
            None,
            None,
            Some(1),
        ]);
        Op::Join {
            group: (*self.dice.pick(&GROUPS)).into(),
            topics: topics.into(),
            assignor: *self.dice.pick(&[Assignor::Range, Assignor::RoundRobin, Assignor::Sticky]),
            start: *self.dice.pick(&[Start::Earliest, Start::Earliest, Start::Latest]),
            session_timeout: session.map(Span::from_millis),
        }
    }

    /// A member of this client; sometimes another's.
    pub(super) fn member(&mut self, conn: ConnId) -> (MemberId, Reader) {
        let conn = if self.dice.percent(3) { self.any_conn() } else { conn };
        let members = &self.clients[&conn].members;
        let members: Vec<_> = members.iter().map(|(id, reader)| (*id, reader.clone())).collect();
        let none = (MemberId(1), Reader::default());
        self.dice.pick_any(&members).cloned().unwrap_or(none)
    }

    fn leaver(&mut self, conn: ConnId) -> MemberId {
        let (member, _) = self.member(conn);
        self.client(conn).members.remove(&member);
        member
    }

    fn commit(&mut self, conn: ConnId) -> Op<'static> {
        let (member, reader) = self.member(conn);
        let mut offsets = Vec::new();
        for ((topic, partition), position) in reader.positions {
            let offset = match self.dice.below(12) {
                0 => Offset(position.0 / 2),
                1 => position.plus(1),
                2 => continue,
                _ => position,
            };
            let metadata = *self.dice.pick(&["", "", "", "noted"]);
            let (topic, metadata) = (topic.into(), metadata.into());
            offsets.push(CommitOffset { topic, partition, offset, metadata });
        }
        if self.dice.percent(3) {
            let offset = Offset(self.dice.below(10));
            let twice = offsets.first().cloned();
            offsets.extend(twice.map(|first| CommitOffset { offset, ..first }));
        }
        let behind = u32::from(self.dice.percent(8));
        let generation = Generation(reader.generation.0.saturating_sub(behind));
        Op::Commit { member, generation, offsets: offsets.into() }
    }
}
