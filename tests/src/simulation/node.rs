//! The driver of a broker: it keeps facts on the simulated disk, and lets an event leave when
//! every fact before it is synced. The faults that can be planted in it are bugs that a driver
//! might have.

use std::collections::VecDeque;

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, Config, ConnId, Effect, Input, Time};

use super::disk::Disk;
use crate::dice::Dice;

/// A bug in the driver, planted to see that it is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// None: the driver as it should be.
    Nothing,
    /// Events leave at once.
    TellBeforeDurable,
    /// Recovery passes over one fact of the journal that was synced.
    DropSyncedFact,
    /// Recovery replays one fact twice.
    ReplayTwice,
    /// An event is told twice.
    TellTwice,
    /// An event is never told.
    LoseEvent,
    /// Recovery forgets the snapshot and reads only the journal after it.
    ForgetSnapshot,
    /// A sync returns before it is done, so the newest record is not there.
    SyncTooLittle,
}

/// What one input brought about.
pub(super) enum Outcome {
    /// A fact, as its frame.
    Fact(Vec<u8>),
    /// An event was decided; it leaves when so many facts are durable.
    Decided(ConnId, Vec<u8>),
    /// The broker closed a connection.
    Closed(ConnId),
}

/// An event on its way out.
struct Leaving {
    conn: ConnId,
    frame: Vec<u8>,
    /// How many facts came before it in all of history.
    needs: usize,
}

/// A process that runs a broker.
pub(super) struct Node {
    config: Config,
    planted: Planted,
    broker: Broker,
    disk: Disk,
    outbox: VecDeque<Leaving>,
    /// Facts of all of history, and how many of them are synced.
    facts: usize,
    durable: usize,
}

/// An event that left.
pub(super) struct Told {
    /// To whom.
    pub(super) conn: ConnId,
    /// The event's frame.
    pub(super) frame: Vec<u8>,
    /// How many facts came before it.
    pub(super) needs: usize,
    /// How many facts are durable.
    pub(super) durable: usize,
}

impl Node {
    /// A first start on an empty disk.
    pub(super) fn new(config: Config, planted: Planted) -> Node {
        Node {
            broker: Broker::new(config.clone(), Time::ZERO),
            config,
            planted,
            disk: Disk::default(),
            outbox: VecDeque::new(),
            facts: 0,
            durable: 0,
        }
    }

    /// The broker.
    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How many facts are durable.
    pub(super) fn durable(&self) -> usize {
        self.durable
    }

    /// Applies an input; what came of it, in order.
    pub(super) fn apply(&mut self, now: Time, input: Input<'_>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        self.broker.apply(now, input, &mut |effect: Effect<'_>| {
            let mut frame = Vec::new();
            outcomes.push(match effect {
                Effect::Fact(fact) => {
                    codec::encode_fact(&fact, &mut frame);
                    Outcome::Fact(frame)
                }
                Effect::Tell(conn, event) => {
                    codec::encode_event(&event, &mut frame);
                    Outcome::Decided(conn, frame)
                }
                Effect::Close(conn, _) => Outcome::Closed(conn),
            });
        });
        for outcome in &outcomes {
            match outcome {
                Outcome::Fact(frame) => {
                    self.disk.append(frame);
                    self.facts += 1;
                }
                Outcome::Decided(conn, frame) => self.outbox.push_back(Leaving {
                    conn: *conn,
                    frame: frame.clone(),
                    needs: self.facts,
                }),
                Outcome::Closed(_) => {}
            }
        }
        outcomes
    }

    /// Syncs the journal.
    pub(super) fn sync(&mut self) {
        if self.planted != Planted::SyncTooLittle {
            self.disk.sync();
        }
        self.durable = self.facts;
    }

    /// Syncs, and puts a snapshot in place of the journal.
    pub(super) fn checkpoint(&mut self) {
        self.disk.sync();
        self.durable = self.facts;
        let mut snapshot = Vec::new();
        self.broker.snapshot(&mut snapshot);
        self.disk.replace(self.facts, snapshot);
    }

    /// The events that may leave now.
    pub(super) fn tell(&mut self, dice: &mut Dice) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(first) = self.outbox.front() {
            if first.needs > self.durable && self.planted != Planted::TellBeforeDurable {
                break;
            }
            let Leaving { conn, frame, needs } = self.outbox.pop_front().expect("there is a first");
            let now_and_then = dice.percent(5);
            let times = if now_and_then && self.planted == Planted::LoseEvent {
                0
            } else {
                1 + usize::from(now_and_then && self.planted == Planted::TellTwice)
            };
            for _ in 0..times {
                told.push(Told { conn, frame: frame.clone(), needs, durable: self.durable });
            }
        }
        told
    }

    /// A connection is gone: nothing more can be told to it.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.outbox.retain(|leaving| leaving.conn != conn);
    }

    /// Power fails and comes back. The facts that were found on the disk, from the first that no
    /// snapshot stands for, and how many those before it are; or why it did not start.
    pub(super) fn crash(
        &mut self,
        now: Time,
        dice: &mut Dice,
    ) -> Result<(usize, Vec<Vec<u8>>), String> {
        self.outbox.clear();
        self.disk.crash(dice);
        let mut records = self.disk.recover();
        if !records.is_empty() {
            let at = dice.below(records.len() as u64) as usize;
            if self.planted == Planted::DropSyncedFact {
                records.remove(at);
            } else if self.planted == Planted::ReplayTwice {
                records.insert(at, records[at].clone());
            }
        }
        let mut before = 0;
        self.broker = match self.disk.snapshot() {
            Some((facts, snapshot)) if self.planted != Planted::ForgetSnapshot => {
                before = facts;
                Broker::load(self.config.clone(), now, snapshot).map_err(|e| e.to_string())?
            }
            Some(_) | None => Broker::new(self.config.clone(), now),
        };
        for record in &records {
            match codec::decode(&mut &record[..], usize::MAX - 1) {
                Ok(Frame::Fact(fact)) => {
                    let restored = self.broker.try_restore(fact);
                    restored.map_err(|violation| format!("recovery: {violation}"))?;
                }
                other => return Err(format!("a record of the journal reads as {other:?}")),
            }
        }
        self.facts = before + records.len();
        self.durable = self.facts;
        Ok((before, records))
    }
}
