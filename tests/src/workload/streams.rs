//! What readers ask of topics.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, Budget, CommitOffset, ConnId, Generation, Isolation, MemberId, Offset, Op, Position,
    ReadFrom, Span, Start, Time, Timestamps, TopicPolicy,
};

use super::{GROUPS, TOPICS, Workload};
use crate::client::Reader;

impl Workload {
    pub(super) fn stream_op(&mut self, conn: ConnId) -> Op<'static> {
        if self.dice.percent(25) {
            return self.classic_op(conn);
        }
        if self.client(conn).members.is_empty() && self.dice.percent(80) {
            return self.join();
        }
        match self.dice.weighted(&[8, 6, 6, 4, 38, 25, 8, 4, 3, 14, 6, 2, 3, 1]) {
            0 if self.dice.percent(40) => self.fetch(),
            0 => self.read(),
            1 => self.join(),
            2 => self.heartbeat(conn),
            3 => Op::Leave { member: self.leaver(conn) },
            4 => Op::Poll { member: self.member(conn).0, budget: self.budget() },
            5 => self.commit(conn),
            6 => Op::Seek {
                member: self.member(conn).0,
                topic: self.topic().into(),
                partition: self.partition(),
                to: self.position(),
            },
            10 => self.shape(),
            7 => Op::ResetOffsets {
                group: (*self.dice.pick(&GROUPS)).into(),
                topic: self.topic().into(),
                partition: if self.dice.percent(50) { Some(0) } else { None },
                to: self.position(),
                dry_run: self.dice.percent(30),
            },
            9 => self.revoked(conn),
            12 => self.subscribe(conn),
            13 => {
                let (member, _) = self.member(conn);
                self.removal(member)
            }
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

    fn heartbeat(&mut self, conn: ConnId) -> Op<'static> {
        let (member, reader) = self.member(conn);
        let ahead = u32::from(self.dice.percent(5));
        let generation = Generation(reader.generation.0 + ahead);
        Op::Heartbeat { member, generation: self.dice.percent(50).then_some(generation) }
    }

    fn revoked(&mut self, conn: ConnId) -> Op<'static> {
        let (member, reader) = self.member(conn);
        let generation = reader.given_up.unwrap_or(reader.generation);
        self.client(conn).gave_up(member);
        Op::Revoked { member, generation }
    }

    pub(super) fn commit_offset(&mut self) -> CommitOffset<'static> {
        let (topic, partition) = (self.topic().into(), self.partition());
        let metadata = *self.dice.pick(&["", "", "noted"]);
        let offset = Offset(self.dice.below(6));
        CommitOffset { topic, partition, offset, metadata: metadata.into() }
    }

    /// Changes a topic that is there.
    fn shape(&mut self) -> Op<'static> {
        match self.dice.weighted(&[40, 10, 30]) {
            0 => Op::AlterTopic { name: self.topic().into(), policy: self.topic_policy() },
            1 => Op::AddPartitions {
                topic: self.topic().into(),
                partitions: *self.dice.pick(&[2, 3, 4, 4, 5, 6]),
            },
            _ => Op::DeleteRecords {
                topic: self.topic().into(),
                partition: self.partition(),
                before: self.position(),
            },
        }
    }

    pub(super) fn topic_policy(&mut self) -> TopicPolicy {
        let plain = TopicPolicy::default();
        if self.dice.percent(40) {
            return plain;
        }
        let span = |ms: u64| Some(Span::from_millis(ms));
        TopicPolicy {
            retention: *self.dice.pick(&[None, None, span(100), span(1_000), span(5_000), span(0)]),
            retention_bytes: *self.dice.pick(&[None, None, Some(0), Some(60), Some(400)]),
            compact: self.dice.percent(50),
            tombstone_retention: *self.dice.pick(&[plain.tombstone_retention, Span::from_secs(1)]),
            timestamps: *self.dice.pick(&[
                Timestamps::Producer,
                Timestamps::Producer,
                Timestamps::Broker,
            ]),
        }
    }

    fn read(&mut self) -> Op<'static> {
        Op::Read {
            topic: self.topic().into(),
            partition: self.partition(),
            from: self.position(),
            budget: self.budget(),
        }
    }

    fn fetch(&mut self) -> Op<'static> {
        let count = self.dice.below(4);
        let reads = (0..count).map(|_| ReadFrom {
            topic: self.topic().into(),
            partition: self.partition(),
            from: self.position(),
            bytes_max: *self.dice.pick(&[None, None, Some(0), Some(30)]),
        });
        Op::Fetch { reads: reads.collect(), budget: self.budget() }
    }

    fn budget(&mut self) -> Budget {
        Budget {
            records_max: *self.dice.pick(&[0, 1, 1, 2, 2, 5, 5, 100]),
            bytes_max: *self.dice.pick(&[None, None, None, Some(0), Some(1), Some(60)]),
            bytes_min: *self.dice.pick(&[0, 0, 0, 1, 40, 200]),
            wait: self.wait(),
            isolation: *self.dice.pick(&[Isolation::Uncommitted, Isolation::Committed]),
        }
    }

    fn partition(&mut self) -> u32 {
        *self.dice.pick(&[0, 0, 0, 1, 2, 3])
    }

    pub(super) fn position(&mut self) -> Position {
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
        let rebalance = *self.dice.pick(&[Some(100), Some(500), None, None, Some(1)]);
        Op::Join {
            group: (*self.dice.pick(&GROUPS)).into(),
            topics: topics.into(),
            assignor: *self.dice.pick(&[
                Assignor::Range,
                Assignor::RoundRobin,
                Assignor::Sticky,
                Assignor::CooperativeSticky,
                Assignor::CooperativeSticky,
            ]),
            start: *self.dice.pick(&[Start::Earliest, Start::Earliest, Start::Latest]),
            session_timeout: session.map(Span::from_millis),
            instance: self.dice.pick(&[None, None, None, Some("one"), Some("two")]).map(Cow::from),
            rebalance_timeout: rebalance.map(Span::from_millis),
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
