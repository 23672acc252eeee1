//! What producers that number their batches, and have transactions, ask.

use fanlight_core::{
    CommitOffset, ConnId, Op, ProducerEpoch, ProducerId, Sequenced, Span, Target, Unroutable,
};

use super::{GROUPS, Workload};
use crate::client::Numbering;

const NAMES: [&str; 2] = ["ledger-writer", "mailer"];

impl Workload {
    /// A publish; one of three is numbered, perhaps in a transaction.
    pub(super) fn produce(&mut self, conn: ConnId) -> Op<'static> {
        let op = self.publish();
        if !self.dice.percent(35) {
            return op;
        }
        let producers = &self.clients[&conn].producers;
        let producers: Vec<_> = producers.iter().map(|(id, n)| (*id, n.clone())).collect();
        match self.dice.pick_any(&producers).cloned() {
            Some(_) if self.dice.percent(8) => self.init_producer(conn),
            Some((_, Numbering { last: Some(last), .. })) if self.dice.percent(15) => last,
            Some((id, n)) if n.is_named && self.dice.percent(30) => self.transact(conn, id, &n),
            Some((id, numbering)) => self.numbered(op, id, &numbering),
            None => self.init_producer(conn),
        }
    }

    fn init_producer(&mut self, conn: ConnId) -> Op<'static> {
        let conn = if self.dice.percent(10) { self.any_conn() } else { conn };
        let known = self.clients[&conn].producers.iter().next();
        let current = known.map(|(id, numbering)| (*id, numbering.epoch));
        Op::InitProducer {
            name: self.dice.percent(70).then(|| (*self.dice.pick(&NAMES)).into()),
            timeout: *self.dice.pick(&[None, None, Some(Span::from_millis(200)), Some(Span::ZERO)]),
            current: current.filter(|_| self.dice.percent(20)),
        }
    }

    /// Ends the transaction, or commits offsets in it.
    fn transact(&mut self, conn: ConnId, producer: ProducerId, n: &Numbering) -> Op<'static> {
        let epoch = n.epoch;
        if self.dice.percent(60) {
            return Op::EndTransaction { producer, epoch, commit: self.dice.percent(60) };
        }
        let (member, reader) = self.member(conn);
        let offsets = reader.positions.iter().map(|((topic, partition), offset)| CommitOffset {
            topic: topic.clone().into(),
            partition: *partition,
            offset: *offset,
            metadata: "".into(),
        });
        Op::CommitInTransaction {
            producer,
            epoch,
            group: (*self.dice.pick(&GROUPS)).into(),
            offsets: offsets.collect(),
            member: self.dice.percent(70).then_some((member, reader.generation)),
        }
    }

    /// The same with its number: mostly the right one.
    fn numbered(&mut self, op: Op<'static>, id: ProducerId, n: &Numbering) -> Op<'static> {
        let Op::Publish { to, .. } = &op else { return op };
        let lane = match to {
            Target::Topic { name, partition: Some(partition) } => {
                Some((name.clone().into_owned(), *partition))
            }
            Target::Topic { partition: None, .. }
            | Target::Queue { .. }
            | Target::Exchange { .. } => None,
        };
        let next = n.next.get(&lane).copied().unwrap_or_default();
        let (sequence, epoch) = match self.dice.below(30) {
            0 => (next + 1, n.epoch),
            1 => (next / 2, n.epoch),
            2 => (next, ProducerEpoch(n.epoch.0.saturating_sub(1))),
            _ => (next, n.epoch),
        };
        let in_transaction = match n.is_named {
            true => n.is_open && self.dice.percent(95) || self.dice.percent(60),
            false => self.dice.percent(3),
        };
        let mut op = op;
        if let Op::Publish { by, transactional, unroutable, .. } = &mut op {
            *by = Some(Sequenced { producer: id, epoch, sequence });
            *transactional = in_transaction;
            *unroutable = *self.dice.pick(&[Unroutable::Refuse, Unroutable::Drop]);
        }
        op
    }
}
