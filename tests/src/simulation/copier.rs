//! A client that reads what is committed, and publishes a copy of it and commits how far it read in
//! one transaction: over crashes and zombies each record is copied once.

use std::collections::VecDeque;

use fanlight_core::{
    Assignor, Batch, Budget, CommitOffset, Event, Fetched, Generation, Isolation, MemberId, Op,
    ProducerEpoch, ProducerId, Records, Sequenced, Span, Start, Tag, Target,
};

use super::publisher::numbered;
use crate::dice::Dice;

/// The group in which copiers read.
pub const GROUP: &str = "copying";

/// It begins anew with each connection.
pub(super) struct Copier {
    /// Its transactional name.
    name: &'static str,
    life: Option<(ProducerId, ProducerEpoch)>,
    member: Option<(MemberId, Generation)>,
    sequence: u32,
    /// The rest of the transaction.
    plan: VecDeque<Op<'static>>,
    /// What it waits for.
    waits: Option<Tag>,
}

impl Copier {
    pub(super) fn new(name: &'static str) -> Copier {
        Copier { name, life: None, member: None, sequence: 0, plan: VecDeque::new(), waits: None }
    }

    pub(super) fn connected(&mut self) {
        *self = Copier::new(self.name);
    }

    pub(super) fn hear(&mut self, event: &Event<'_>, dice: &mut Dice, copies: &mut u64) {
        if crate::answers::answer(event).map(|(tag, _)| tag) == self.waits {
            self.waits = None;
        }
        if let Event::ProducerReady { producer, epoch, .. } = event {
            self.life = Some((*producer, *epoch));
            self.sequence = 0;
        } else if let Event::Joined { member, .. } = event {
            self.member = Some((*member, Generation(0)));
        } else if let Event::Assigned { member, generation, .. } = event {
            self.member = Some((*member, *generation));
        } else if let Event::Expelled { .. } = event {
            self.member = None;
        } else if let Event::Polled { batches, .. } = event {
            self.read(batches, dice, copies);
        } else if let Event::Refused { .. } = event {
            self.give_up();
        }
    }

    /// Whatever was refused, it begins anew where the group has committed.
    fn give_up(&mut self) {
        self.plan.clear();
        if let Some((member, _)) = self.member.take() {
            self.plan.push_back(Op::Leave { member });
        }
        self.life = None;
    }

    /// Plans a transaction for what was read.
    fn read(&mut self, batches: &[Fetched<'_>], dice: &mut Dice, copies: &mut u64) {
        let (Some((producer, epoch)), Some(member)) = (self.life, self.member) else { return };
        if batches.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        for record in batches.iter().flat_map(|fetched| fetched.records.iter()) {
            // What copiers write into the topic themselves is not copied.
            if record.body.starts_with(b"m") {
                *copies += 1;
                let body = String::from_utf8_lossy(record.body);
                batch.push_body(format!("c{copies}:{body}").as_bytes());
            }
        }
        if let Some(records) = batch.finish() {
            let to = Target::Queue { name: "copies".into() };
            self.publish((producer, epoch), to, records);
        }
        if dice.percent(30) {
            *copies += 1;
            let records = Batch::new().push_body(format!("x{copies}").as_bytes()).finish();
            let to = Target::Topic { name: "events".into(), partition: None };
            self.publish((producer, epoch), to, records.expect("there is a record"));
        }
        let offsets = batches.iter().map(|fetched| CommitOffset {
            topic: fetched.topic.clone().into_owned().into(),
            partition: fetched.partition,
            offset: fetched.next,
            metadata: "".into(),
        });
        let commit = Op::CommitInTransaction {
            producer,
            epoch,
            group: GROUP.into(),
            member: Some(member),
            offsets: offsets.collect(),
        };
        let commits = dice.percent(85);
        self.plan.extend([commit, Op::EndTransaction { producer, epoch, commit: commits }]);
        if !commits {
            self.plan.push_back(Op::Leave { member: member.0 });
        }
    }

    fn publish(
        &mut self,
        (producer, epoch): (ProducerId, ProducerEpoch),
        to: Target<'static>,
        records: Records<'static>,
    ) {
        let by = Some(Sequenced { producer, epoch, sequence: self.sequence });
        self.sequence += records.count();
        self.plan.push_back(numbered(Op::publish(to, true, records), by, true));
    }

    /// What it asks next.
    pub(super) fn next(&mut self, tag: Tag, dice: &mut Dice, calm: bool) -> Option<Op<'static>> {
        if self.waits.is_some() {
            return None;
        }
        if !calm && !self.plan.is_empty() && dice.percent(50) {
            // It dawdles, and may be a zombie when it goes on.
            return None;
        }
        let op = match self.plan.pop_front() {
            Some(Op::Leave { member }) => {
                self.member = None;
                Op::Leave { member }
            }
            Some(op) => op,
            None if self.life.is_none() => Op::InitProducer {
                name: Some(self.name.into()),
                timeout: Some(Span::from_millis(300)),
                current: None,
            },
            None => match self.member {
                None => Op::Join {
                    group: GROUP.into(),
                    topics: vec!["events".into()].into(),
                    assignor: Assignor::Range,
                    start: Start::Earliest,
                    session_timeout: Some(Span::from_millis(200)),
                    instance: None,
                    rebalance_timeout: None,
                },
                Some((member, _)) => {
                    let isolation = Isolation::Committed;
                    let (records_max, wait) = (dice.between(1, 8) as u32, Span::from_millis(20));
                    let budget = Budget { isolation, ..Budget::waiting(records_max, wait) };
                    Op::Poll { member, budget }
                }
            },
        };
        self.waits = Some(tag);
        Some(op)
    }
}
