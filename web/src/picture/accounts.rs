//! Keeps the ledger: what came, what was processed, again, or never.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{Offset, Time};

use super::ledger::{Ledger, LedgerRow};
use super::offsets::Offsets;
use super::parts::{ActorId, Group, MessageRef, Name, Place, Role};
use super::projector::Projector;
use super::story::LineKind;

/// The accounts of every group and queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) published: u64,
    groups: BTreeMap<Name, Account>,
    queues: BTreeMap<Name, Account>,
    /// Groups in the order in which they were first seen.
    order: Vec<(Name, char)>,
}

/// One reader's account.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) redelivered: u64,
    again: u64,
    first_violation: Option<u64>,
    /// What was processed, by partition; a queue has one.
    processed: BTreeMap<(Name, u32), Offsets>,
    /// From where each partition is watched.
    since: BTreeMap<(Name, u32), Offset>,
}

impl Accounts {
    /// Forgets everything but the groups' signs.
    pub(super) fn begin_anew(&mut self) {
        *self = Accounts { order: std::mem::take(&mut self.order), ..Accounts::default() };
    }

    pub(super) fn group(&mut self, name: &str) -> &mut Account {
        self.groups.entry(name.into()).or_default()
    }

    pub(super) fn queue(&mut self, name: &str) -> &mut Account {
        self.queues.entry(name.into()).or_default()
    }

    /// Gives a group its sign, if it has none: its own first letter if that is free, else the next
    /// free one.
    pub(super) fn name_group(&mut self, name: &str) {
        if self.order.iter().any(|(known, _)| &**known == name) {
            return;
        }
        let taken: BTreeSet<char> = self.order.iter().map(|(_, letter)| *letter).collect();
        let own = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase());
        let letter = own.chain('A'..='Z').find(|c| !taken.contains(c)).unwrap_or('?');
        self.order.push((name.into(), letter));
    }

    /// A group's shape and letter.
    pub(super) fn sign_of(&self, name: &str) -> (usize, char) {
        let at = self.order.iter().position(|(known, _)| &**known == name);
        at.map_or((0, '?'), |at| (at, self.order[at].1))
    }
}

impl Projector {
    /// One of our consumers has processed a message.
    pub(crate) fn worked(&mut self, at: Time, actor: ActorId, message: &MessageRef) {
        let Some(role) = self.picture.actor(actor).map(|actor| actor.role.clone()) else { return };
        let (account, reader) = match (&role, &message.place) {
            (Role::Member { group }, Place::Partition(..)) => {
                (self.accounts.group(group), group.clone())
            }
            (Role::Worker { queue }, Place::Queue(_)) => {
                (self.accounts.queue(queue), queue.clone())
            }
            (Role::Producer | Role::Unknown | Role::Member { .. } | Role::Worker { .. }, _) => {
                return;
            }
        };
        let part = match &message.place {
            Place::Queue(queue) => (queue.clone(), 0),
            Place::Partition(topic, partition) => (topic.clone(), *partition),
        };
        let is_first = account.processed.entry(part).or_default().insert(message.offset.0);
        account.again += u64::from(!is_first);
        let name = self.name_of(actor);
        let what = self.called(message);
        let sentence = if is_first {
            format!("{name} processed {what}")
        } else {
            format!(
                "{name} processed {what} for {reader} once more: a duplicate, it was done before"
            )
        };
        let line = self.say(at, LineKind::Work, sentence, self.about(message, Some(actor)));
        if !is_first {
            let account = match role {
                Role::Member { group } => self.accounts.group(&group),
                Role::Worker { queue } => self.accounts.queue(&queue),
                Role::Producer | Role::Unknown => return,
            };
            account.first_violation.get_or_insert(line);
        }
    }

    /// One of our workers cannot accept a message.
    pub(crate) fn failed(&mut self, at: Time, actor: ActorId, message: &MessageRef, why: &str) {
        let sentence =
            format!("{} cannot accept {}: {why}", self.name_of(actor), self.called(message));
        self.say(at, LineKind::Work, sentence, self.about(message, Some(actor)));
    }

    /// One of our workers settled a message too late.
    pub(crate) fn too_late(&mut self, at: Time, actor: ActorId, message: &MessageRef) {
        let sentence = format!(
            "{} settled {} too late: its lease had ended, and the message is another's to do",
            self.name_of(actor),
            self.called(message)
        );
        self.say(at, LineKind::Work, sentence, self.about(message, Some(actor)));
    }

    /// Something about an actor that only this page knows.
    pub(crate) fn say_of(&mut self, at: Time, actor: ActorId, kind: LineKind, sentence: String) {
        let about = super::projector::About { actor: Some(actor), ..Default::default() };
        self.say(at, kind, sentence, about);
    }

    /// The user broke something on purpose.
    pub(crate) fn count_fault(&mut self, at: Time) {
        self.tally(at, |tally| tally.faults += 1);
    }

    /// Writes the ledger anew.
    pub(crate) fn balance(&mut self) {
        let mut rows = Vec::new();
        for group in &self.picture.groups {
            rows.push(self.group_row(group));
        }
        for queue in &self.picture.queues {
            if !queue.dead_letters_of.is_empty() {
                continue;
            }
            let account = self.accounts.queues.get(&queue.name);
            rows.push(LedgerRow {
                name: queue.name.clone(),
                is_group: false,
                came: queue.end.0,
                processed: queue.acked,
                again: account.map_or(0, |account| account.again),
                redelivered: account.map_or(0, |account| account.redelivered),
                outstanding: queue.ready + queue.leased + queue.delayed,
                dead: queue.dead_lettered,
                lost: 0,
                first_violation: account.and_then(|account| account.first_violation),
            });
        }
        let ledger = Ledger { published: self.accounts.published, rows };
        if self.picture.ledger != ledger {
            self.picture.ledger = ledger;
            self.picture.revision += 1;
        }
    }

    fn group_row(&self, group: &Group) -> LedgerRow {
        let account = self.accounts.groups.get(&group.name);
        let processed = account.map_or(0, |a| a.processed.values().map(Offsets::len).sum());
        let came = group.cursors.iter().map(|cursor| self.came_to(cursor)).sum();
        let is_ours = processed > 0 && group.members.iter().all(|member| member.actor.is_ours());
        LedgerRow {
            name: group.name.clone(),
            is_group: true,
            came,
            processed: if is_ours { processed } else { came - group.lag().min(came) },
            again: account.map_or(0, |account| account.again),
            redelivered: account.map_or(0, |account| account.redelivered),
            outstanding: group.lag(),
            dead: 0,
            lost: if is_ours { account.map_or(0, |account| self.lost(group, account)) } else { 0 },
            first_violation: account.and_then(|account| account.first_violation),
        }
    }

    fn came_to(&self, cursor: &super::parts::Cursor) -> u64 {
        let topic = self.picture.topic(&cursor.topic);
        let tape = topic.and_then(|topic| topic.tapes.get(cursor.partition as usize));
        tape.map_or(0, |tape| tape.end.0.saturating_sub(tape.start.0))
    }

    /// Records that are committed, and that nobody processed or still has in hand: gone for good,
    /// as when a member commits before it works, and dies.
    fn lost(&self, group: &Group, account: &Account) -> u64 {
        let mut lost = 0;
        for cursor in &group.cursors {
            let part = (cursor.topic.clone(), cursor.partition);
            let from = account.since.get(&part).map_or(0, |since| since.0);
            let to = cursor.committed.map_or(0, |committed| committed.0);
            let processed = account.processed.get(&part).map_or(0, |p| p.len_within(from, to));
            let place = Place::Partition(cursor.topic.clone(), cursor.partition);
            let in_hand = self
                .picture
                .actors
                .iter()
                .filter(
                    |actor| matches!(&actor.role, Role::Member { group: g } if *g == group.name),
                )
                .flat_map(|actor| &actor.held)
                .filter(|m| m.place == place && (from..to).contains(&m.offset.0))
                .filter(|m| account.processed.get(&part).is_none_or(|p| !p.contains(m.offset.0)))
                .count() as u64;
            lost += to.saturating_sub(from).saturating_sub(processed).saturating_sub(in_hand);
        }
        lost
    }

    /// What was committed before this page looked is not this page's to judge. Called when an
    /// overview comes, so that it does not depend on how often the page draws.
    pub(super) fn note_beginnings(&mut self) {
        for group in &self.picture.groups {
            let account = self.accounts.groups.entry(group.name.clone()).or_default();
            for cursor in &group.cursors {
                account
                    .since
                    .entry((cursor.topic.clone(), cursor.partition))
                    .or_insert(cursor.committed.unwrap_or_default());
            }
        }
    }
}
