//! A producer whose transactions write into topics and queues, and commit, abort, or are left open
//! until their time is up.

use std::collections::VecDeque;

use fanlight_core::{Event, Op, ProducerEpoch, ProducerId, Sequenced, Span, Tag, Target};

use super::publisher::numbered;
use super::streams;
use crate::dice::Dice;

/// It begins anew with each connection.
pub(super) struct Teller {
    /// Its transactional name.
    name: &'static str,
    life: Option<(ProducerId, ProducerEpoch)>,
    sequence: u32,
    /// The rest of the transaction.
    plan: VecDeque<Op<'static>>,
    /// What it waits for.
    waits: Option<Tag>,
}

impl Teller {
    pub(super) fn new(name: &'static str) -> Teller {
        Teller { name, life: None, sequence: 0, plan: VecDeque::new(), waits: None }
    }

    pub(super) fn connected(&mut self) {
        *self = Teller::new(self.name);
    }

    pub(super) fn hear(&mut self, event: &Event<'_>) {
        if crate::answers::answer(event).map(|(tag, _)| tag) == self.waits {
            self.waits = None;
        }
        if let Event::ProducerReady { producer, epoch, .. } = event {
            self.life = Some((*producer, *epoch));
            self.sequence = 0;
        } else if let Event::Refused { .. } = event {
            *self = Teller::new(self.name);
        }
    }

    fn transaction(
        &mut self,
        (producer, epoch): (ProducerId, ProducerEpoch),
        dice: &mut Dice,
        bodies: &mut u64,
    ) {
        for _ in 0..dice.between(1, 3) {
            let mut op = streams::publish(dice, bodies);
            let Op::Publish { to, records, confirm, .. } = &mut op else { continue };
            *confirm = true;
            if let Target::Topic { partition, .. } = to {
                // A partition that is named has a count of its own.
                *partition = None;
            }
            let by = Some(Sequenced { producer, epoch, sequence: self.sequence });
            self.sequence += records.count();
            self.plan.push_back(numbered(op, by, true));
        }
        let commit = dice.percent(65);
        self.plan.push_back(Op::EndTransaction { producer, epoch, commit });
    }

    /// What it asks next.
    pub(super) fn next(
        &mut self,
        tag: Tag,
        dice: &mut Dice,
        bodies: &mut u64,
        calm: bool,
    ) -> Option<Op<'static>> {
        if self.waits.is_some() || (!calm && !self.plan.is_empty() && dice.percent(50)) {
            return None;
        }
        if let Some(life) = self.life.filter(|_| self.plan.is_empty() && !calm) {
            self.transaction(life, dice, bodies);
        }
        let op = match self.plan.pop_front() {
            Some(op) => op,
            None if calm => return None,
            None => Op::InitProducer {
                name: Some(self.name.into()),
                timeout: Some(Span::from_millis(300)),
                current: None,
            },
        };
        self.waits = Some(tag);
        Some(op)
    }
}
