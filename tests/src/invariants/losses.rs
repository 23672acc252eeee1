//! What goes had to go: a message leaves its queue when the one who holds it settles it, when it is
//! too old, when its queue holds too many, or when it is driven elsewhere; and for no other reason.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{
    DeathReason, Delivery, Event, Fact, LeaseId, Offset, Op, Overflow, QueueId, Time,
};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Losses {
    now: Time,
    /// The newest lease of each message, in this life of the broker.
    leases: BTreeMap<(QueueId, Offset), LeaseId>,
    /// What the input at hand acknowledges, and what it rejects.
    acked: BTreeSet<LeaseId>,
    rejected: BTreeSet<LeaseId>,
    /// Whether the input at hand redrives.
    redrives: bool,
    /// Where redriving jobs are at work.
    jobs: BTreeSet<QueueId>,
}

impl Losses {
    fn held(&self, by: &BTreeSet<LeaseId>, queue: QueueId, offset: Offset) -> bool {
        self.leases.get(&(queue, offset)).is_some_and(|lease| by.contains(lease))
    }

    fn is_too_old(&self, books: &Books, queue: QueueId, offset: Offset) -> bool {
        let message = books.ledger.message(queue, offset);
        message.is_some_and(|message| books.policies.expires_at(queue, message) <= self.now)
    }

    fn is_too_many(books: &Books, queue: QueueId) -> bool {
        let policy = books.policies.queue(queue);
        let max = policy.messages_max.unwrap_or(u64::MAX);
        policy.overflow != Overflow::Refuse && books.ledger.count(queue) > max
    }

    fn may_be_settled(&self, books: &Books, queue: QueueId, offset: Offset) -> bool {
        let policy = books.policies.queue(queue);
        if policy.dead_letter_exchange.is_some() {
            // It may have died, and no binding may have taken it.
            return true;
        }
        let dies = books.policies.keeps_the_dead(queue);
        self.held(&self.acked, queue, offset)
            || (!dies && self.held(&self.rejected, queue, offset))
            || (!dies && self.is_too_old(books, queue, offset))
            || (policy.overflow == Overflow::DropOldest && Losses::is_too_many(books, queue))
    }

    fn may_die(&self, books: &Books, queue: QueueId, offset: Offset, reason: DeathReason) -> bool {
        match reason {
            // How many these are is watched by "attempts never pass the maximum".
            DeathReason::DeliveriesExhausted => true,
            DeathReason::Rejected => self.held(&self.rejected, queue, offset),
            DeathReason::Expired => self.is_too_old(books, queue, offset),
            DeathReason::MaxLength => Losses::is_too_many(books, queue),
        }
    }

    fn allowed(&self, books: &Books, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::Settled { queue, offsets } = fact {
            if let Some(offset) = offsets.iter().find(|o| !self.may_be_settled(books, *queue, **o))
            {
                return Err(format!("{queue}@{offset} is settled, and nobody asked for it"));
            }
        } else if let Fact::DeadLettered { queue, offset, reason, .. }
        | Fact::Died { queue, offset, reason, .. } = fact
        {
            if !self.may_die(books, *queue, *offset, *reason) {
                return Err(format!("{queue}@{offset} dies, {reason:?}, and need not"));
            }
        } else if let Fact::Redriven { queue, offset, .. } | Fact::BroughtBack { queue, offset, .. } =
            fact
            && !self.redrives
            && !self.jobs.contains(queue)
        {
            return Err(format!("{queue}@{offset} is redriven, and nobody asked for it"));
        }
        Ok(())
    }

    fn learn(&mut self, fact: &Fact<'_>) {
        if let Fact::RedriveStarted { queue, .. } = fact {
            self.jobs.insert(*queue);
        }
    }

    fn told(&mut self, deliveries: &[Delivery<'_>]) {
        let leases = deliveries.iter().map(|delivery| delivery.lease);
        self.leases.extend(leases.map(|lease| ((lease.queue, lease.offset), lease)));
    }
}

impl Invariant for Losses {
    fn name(&self) -> &'static str {
        "what goes had to go"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::At(now) => {
                self.now = *now;
                self.acked.clear();
                self.rejected.clear();
                self.redrives = false;
            }
            Moment::Asked(_, request) => match &request.op {
                Op::Ack { leases } => self.acked.extend(leases.iter()),
                Op::Reject { leases } => self.rejected.extend(leases.iter()),
                Op::Redrive { .. } => self.redrives = true,
                _ => {}
            },
            Moment::Fact(fact) => {
                self.allowed(books, fact)?;
                self.learn(fact);
            }
            Moment::Decided(
                _,
                Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
            ) => self.told(deliveries),
            Moment::Recovered { history, .. } => {
                *self = Losses { now: self.now, ..Losses::default() };
                super::facts(history).for_each(|fact| self.learn(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
