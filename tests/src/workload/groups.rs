//! What members of groups ask that assign by themselves, and what is done to members.

use std::borrow::Cow;

use fanlight_core::{
    ConnId, Generation, MemberAssignment, MemberId, MemberName, Op, Protocol, Span,
};

use super::{TOPICS, Workload};
use crate::client::Seat;

/// Groups whose members assign, one of which others want to join, too.
const CREWS: [&str; 4] = ["crew", "crew", "crew", "billing"];

impl Workload {
    pub(super) fn classic_op(&mut self, conn: ConnId) -> Op<'static> {
        if self.client(conn).seats.is_empty() && self.dice.percent(80) {
            return self.join_classic(None);
        }
        let (member, seat) = self.seat(conn);
        match self.dice.weighted(&[12, 22, 34, 12, 4, 14, 4]) {
            0 => self.join_classic(None),
            1 => self.join_classic(Some(member)),
            2 => self.sync(member, &seat),
            3 => Op::Heartbeat {
                member,
                generation: self.dice.percent(70).then_some(self.about(seat.generation)),
            },
            4 => {
                self.client(conn).seats.remove(&member);
                Op::Leave { member }
            }
            5 => Op::Commit {
                member,
                generation: self.about(seat.generation),
                offsets: vec![self.commit_offset()].into(),
            },
            _ => self.removal(member),
        }
    }

    /// A generation, sometimes an old or a coming one.
    fn about(&mut self, generation: Generation) -> Generation {
        match self.dice.below(12) {
            0 => Generation(generation.0.saturating_sub(1)),
            1 => Generation(generation.0 + 1),
            _ => generation,
        }
    }

    fn seat(&mut self, conn: ConnId) -> (MemberId, Seat) {
        // Whoever names such a member speaks for it.
        let conn = if self.dice.percent(8) { self.any_conn() } else { conn };
        let seats: Vec<_> =
            self.clients[&conn].seats.iter().map(|(id, seat)| (*id, seat.clone())).collect();
        self.dice.pick_any(&seats).cloned().unwrap_or((MemberId(1), Seat::default()))
    }

    fn join_classic(&mut self, member: Option<MemberId>) -> Op<'static> {
        let names: &[&'static str] = match self.dice.below(12) {
            0..6 => &["range", "sticky"],
            6..9 => &["sticky", "range"],
            9 => &["range"],
            10 => &["sticky"],
            _ => &[],
        };
        let metadata = *self.dice.pick(&["", "clicks", "clicks", "ledger"]);
        let protocol = |name: &&'static str| Protocol {
            name: (*name).into(),
            metadata: metadata.as_bytes().into(),
        };
        let span = |ms: Option<u64>| ms.map(Span::from_millis);
        Op::JoinClassic {
            group: (*self.dice.pick(&CREWS)).into(),
            member,
            instance: self.dice.pick(&[None, None, None, Some("one"), Some("two")]).map(Cow::from),
            protocol_type: if self.dice.percent(4) { "connect" } else { "consumer" }.into(),
            protocols: names.iter().map(protocol).collect(),
            session_timeout: span(*self.dice.pick(&[Some(100), Some(1_000), None, None, Some(1)])),
            rebalance_timeout: span(*self.dice.pick(&[Some(100), Some(500), None, Some(1)])),
            initial_delay: span(*self.dice.pick(&[Some(0), Some(0), Some(50), None])),
        }
    }

    fn sync(&mut self, member: MemberId, seat: &Seat) -> Op<'static> {
        let mut assignments = Vec::new();
        for other in &seat.members {
            if self.dice.percent(90) {
                let assignment = format!("for {other}").into_bytes().into();
                assignments.push(MemberAssignment { member: *other, assignment });
            }
        }
        if self.dice.percent(3) {
            assignments.push(MemberAssignment { member: MemberId(1), assignment: b"".into() });
        }
        let protocol = *self.dice.pick(&[None, None, None, Some("range")]);
        Op::Sync {
            member,
            generation: self.about(seat.generation),
            protocol_type: None,
            protocol: protocol.map(Cow::from),
            assignments: assignments.into(),
        }
    }

    /// An administrator's work.
    pub(super) fn removal(&mut self, member: MemberId) -> Op<'static> {
        let named = MemberName { member: Some(member), instance: None };
        let instance = MemberName { member: None, instance: Some("one".into()) };
        let both = MemberName { member: Some(member), instance: Some("two".into()) };
        let all = [named, instance, both, MemberName::default()];
        let count = self.dice.between(1, 3) as usize;
        let members: Vec<_> = (0..count).map(|_| self.dice.pick(&all).clone()).collect();
        let group = (*self.dice.pick(&["crew", "billing", "search"])).into();
        Op::RemoveMembers { group, members: members.into() }
    }

    /// A member that reads other topics than before.
    pub(super) fn subscribe(&mut self, conn: ConnId) -> Op<'static> {
        let mut topics: Vec<Cow<'static, str>> = vec![self.topic().into()];
        topics.extend(TOPICS.into_iter().filter(|_| self.dice.percent(40)).map(Cow::from));
        Op::Subscribe { member: self.member(conn).0, topics: topics.into() }
    }
}
