//! A producer that numbers its batches, and sends again what was not answered: over broken
//! connections and crashes each batch is stored once.

use std::collections::{BTreeMap, VecDeque};

use fanlight_core::{Batch, Event, Op, ProducerEpoch, ProducerId, Records, Sequenced, Tag, Target};

use crate::dice::Dice;

/// As many batches as Kafka's producers have on their way.
const IN_FLIGHT_MAX: usize = 5;

/// It lives on when its connection breaks.
#[derive(Default)]
pub(super) struct Publisher {
    life: Option<(ProducerId, ProducerEpoch)>,
    is_asked_for: bool,
    /// The next number for each partition that it names, and for everything else.
    next: BTreeMap<Option<u32>, u32>,
    /// What was not answered, in order; without a tag what is to be sent, perhaps again.
    unanswered: VecDeque<(Option<Tag>, Op<'static>)>,
    /// What was sent last.
    last: Option<Op<'static>>,
}

impl Publisher {
    /// It is connected anew: whatever was on its way may be lost.
    pub(super) fn connected(&mut self) {
        self.is_asked_for = false;
        self.unanswered.iter_mut().for_each(|(tag, _)| *tag = None);
    }

    pub(super) fn hear(&mut self, event: &Event<'_>) {
        if let Event::ProducerReady { producer, epoch, .. } = event {
            self.life = Some((*producer, *epoch));
        } else if let Event::Published { tag, .. } = event {
            self.unanswered.retain(|(sent, _)| *sent != Some(*tag));
        } else if let Event::Refused { tag, .. } = event {
            // What it goes to is not there yet, or what comes before it was refused.
            let refused = self.unanswered.iter_mut().filter(|(sent, _)| *sent == Some(*tag));
            refused.for_each(|(sent, _)| *sent = None);
        }
    }

    /// What it asks next.
    pub(super) fn next(
        &mut self,
        tag: Tag,
        dice: &mut Dice,
        bodies: &mut u64,
        calm: bool,
    ) -> Option<Op<'static>> {
        let Some((producer, epoch)) = self.life else {
            if std::mem::replace(&mut self.is_asked_for, true) {
                return None;
            }
            return Some(Op::InitProducer { name: None, timeout: None, current: None });
        };
        if let Some((sent, op)) = self.unanswered.iter_mut().find(|(sent, _)| sent.is_none()) {
            *sent = Some(tag);
            self.last = Some(op.clone());
            return Some(op.clone());
        }
        if calm || self.unanswered.len() >= IN_FLIGHT_MAX {
            return None;
        }
        if dice.percent(10) && self.last.is_some() {
            return self.last.clone();
        }
        let partition = dice.percent(50).then(|| dice.below(3) as u32);
        let to = match (partition, dice.percent(50)) {
            (Some(_), _) => Target::Topic { name: "events".into(), partition },
            (None, true) => Target::Exchange { name: "all".into(), routing_key: "".into() },
            (None, false) => Target::Queue { name: "jobs".into() },
        };
        let records = records(dice, bodies);
        let next = self.next.entry(partition).or_default();
        let by = Some(Sequenced { producer, epoch, sequence: *next });
        *next += records.count();
        let op = numbered(Op::publish(to, true, records), by, false);
        self.unanswered.push_back((Some(tag), op.clone()));
        self.last = Some(op.clone());
        Some(op)
    }
}

/// The same publish with its number.
pub(super) fn numbered(
    op: Op<'static>,
    number: Option<Sequenced>,
    in_transaction: bool,
) -> Op<'static> {
    let mut op = op;
    if let Op::Publish { by, transactional, .. } = &mut op {
        *by = number;
        *transactional = in_transaction;
    }
    op
}

fn records(dice: &mut Dice, bodies: &mut u64) -> Records<'static> {
    let mut batch = Batch::new();
    for _ in 0..dice.between(1, 3) {
        *bodies += 1;
        batch.push_body(format!("m{bodies}").as_bytes());
    }
    batch.finish().expect("there is a record")
}
