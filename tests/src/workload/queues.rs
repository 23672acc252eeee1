//! What workers ask of queues.

use std::borrow::Cow;

use fanlight_core::{
    Condition, ConnId, ConsumerId, DeathReason, LeaseId, Offset, Op, Pick, RedriveId,
};

use super::{WORK_GROUPS, Workload};

impl Workload {
    pub(super) fn queue_op(&mut self, conn: ConnId) -> Op<'static> {
        if self.client(conn).leases.is_empty() && self.dice.percent(70) {
            return if self.dice.percent(40) { self.consume() } else { self.receive() };
        }
        match self.dice.weighted(&[5, 3, 12, 30, 14, 6, 6, 6, 4, 5, 2]) {
            0 => self.consume(),
            1 => Op::Cancel { consumer: self.consumer(conn) },
            2 => self.receive(),
            3 => Op::Ack { leases: self.leases(conn) },
            4 => {
                let delay = self.wait();
                Op::Nack { leases: self.leases(conn), delay }
            }
            5 => Op::Reject { leases: self.leases(conn) },
            6 => Op::Release { leases: self.leases(conn) },
            7 => {
                let visibility = self.wait();
                Op::Extend { leases: self.leases(conn), visibility }
            }
            8 if self.dice.percent(40) => Op::Replay {
                queue: self.queue().into(),
                from: self.position(),
                records_max: 10,
                bytes_max: None,
            },
            8 => Op::Peek {
                queue: self.queue().into(),
                from: Offset(self.dice.below(10)),
                messages_max: self.dice.below(20) as u32,
            },
            9 => self.redrive(),
            _ => Op::Prefetch { max: *self.dice.pick(&[0, 0, 1, 2, 5]) },
        }
    }

    fn consume(&mut self) -> Op<'static> {
        let queue = self.worked().into();
        let prefetch = *self.dice.pick(&[0, 1, 1, 1, 2, 2, 2, 4, 4, 4, 100]);
        let visibility = if self.dice.percent(50) { Some(self.span()) } else { None };
        let (auto_ack, exclusive) = (self.dice.percent(15), self.dice.percent(5));
        Op::Consume { queue, prefetch, visibility, auto_ack, exclusive }
    }

    fn consumer(&mut self, conn: ConnId) -> ConsumerId {
        let known = self.client(conn).consumers.clone();
        let Some(consumer) = self.dice.pick_any(&known).copied() else { return ConsumerId(1) };
        self.client(conn).consumers.retain(|other| *other != consumer);
        consumer
    }

    fn receive(&mut self) -> Op<'static> {
        let visibility = if self.dice.percent(50) { Some(self.span()) } else { None };
        Op::Receive {
            queue: self.worked().into(),
            messages_max: *self.dice.pick(&[0, 1, 1, 1, 1, 3, 3, 10, 10]),
            wait: self.wait(),
            visibility,
            auto_ack: self.dice.percent(15),
        }
    }

    /// Leases to settle: mostly some that the client holds, sometimes stale or another's.
    fn leases(&mut self, conn: ConnId) -> Cow<'static, [LeaseId]> {
        let mut leases = Vec::new();
        let held = self.client(conn).leases.len() as u64;
        if held > 0 && !self.dice.percent(5) {
            let take = self.dice.between(1, held.min(4)) as usize;
            let newest = self.dice.percent(30);
            let held = &mut self.client(conn).leases;
            let from = if newest { held.len() - take } else { 0 };
            leases.extend(held.drain(from..from + take));
            self.stale.extend(&leases);
        }
        if self.dice.percent(10) {
            leases.extend(self.dice.pick_any(&self.stale).copied());
        }
        if self.dice.percent(5) {
            let other = self.any_conn();
            leases.extend(self.client(other).leases.first().copied());
        }
        if self.dice.percent(10) {
            leases.reverse();
        }
        leases.into()
    }

    /// A queue or a work group.
    fn worked(&mut self) -> &'static str {
        if self.dice.percent(25) { self.dice.pick::<&str>(&WORK_GROUPS) } else { self.queue() }
    }

    fn redrive_job(&mut self, queue: &'static str) -> Op<'static> {
        if self.dice.percent(15) {
            return Op::StopRedrive { redrive: RedriveId(self.dice.below(6) as u32) };
        }
        let all = [
            Condition::Reason(DeathReason::Rejected),
            Condition::Origin("orders".into()),
            Condition::AttemptsMin(2),
            Condition::DiedSince(self.now),
        ];
        let filter = all.into_iter().filter(|_| self.dice.percent(15)).collect();
        let to = if self.dice.percent(30) { Some(self.queue().into()) } else { None };
        let rate = *self.dice.pick(&[None, None, Some(1), Some(50)]);
        let dry_run = self.dice.percent(20);
        Op::StartRedrive { queue: queue.into(), filter, to, rate, dry_run }
    }

    fn redrive(&mut self) -> Op<'static> {
        let queue = if self.dice.percent(80) { "dead" } else { self.queue() };
        if self.dice.percent(25) {
            return self.redrive_job(queue);
        }
        let pick = if self.dice.percent(50) {
            let body = self.dice.percent(50).then_some(Cow::Borrowed(&b"mended"[..]));
            Pick::One { offset: Offset(self.dice.below(6)), body }
        } else if self.dice.percent(30) {
            let filter = vec![Condition::AttemptsMin(1)];
            Pick::Filtered { filter, messages_max: self.dice.below(5) as u32 }
        } else {
            Pick::Oldest { messages_max: self.dice.below(5) as u32 }
        };
        let to = if self.dice.percent(30) { Some(self.queue().into()) } else { None };
        Op::Redrive { queue: queue.into(), pick, to }
    }
}
