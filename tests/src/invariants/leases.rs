//! One holder of a message at a time, and each lease is told once.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{ConnId, Event, Fact, LeaseId, Offset, Op, QueueId, Tag};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Leases {
    held: BTreeMap<(QueueId, Offset), (ConnId, LeaseId)>,
    told: BTreeSet<LeaseId>,
    releases: BTreeMap<(ConnId, Tag), Vec<LeaseId>>,
}

impl Leases {
    fn fact(&mut self, fact: &Fact<'_>) {
        if let Fact::Settled { queue, offsets } = fact {
            self.held.retain(|(q, offset), _| q != queue || !offsets.contains(offset));
        } else if let Fact::RunsSettled { queue, runs } = fact {
            let settled = |offset: &Offset| {
                runs.iter().any(|(start, count)| (start.0..start.0 + count).contains(&offset.0))
            };
            self.held.retain(|(q, offset), _| q != queue || !settled(offset));
        } else if let Fact::AttemptEnded { queue, offset, .. }
        | Fact::DeadLettered { queue, offset, .. }
        | Fact::Died { queue, offset, .. } = fact
        {
            self.held.remove(&(*queue, *offset));
        }
    }

    fn decided(&mut self, conn: ConnId, event: &Event<'_>) -> Result<(), String> {
        if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = event {
            for delivery in deliveries.iter() {
                let lease = delivery.lease;
                let before = self.held.insert((lease.queue, lease.offset), (conn, lease));
                if let Some((holder, before)) = before {
                    return Err(format!("{lease} goes to {conn}; {holder} holds it as {before}"));
                }
            }
        }
        if let Event::Settled { tag, stale, .. } = event {
            let released = self.releases.remove(&(conn, *tag)).unwrap_or_default();
            for lease in released.iter().filter(|lease| !stale.contains(lease)) {
                self.held.remove(&(lease.queue, lease.offset));
            }
        }
        Ok(())
    }
}

impl Invariant for Leases {
    fn name(&self) -> &'static str {
        "one holder of a message at a time"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                if let Op::Release { leases } = &request.op {
                    self.releases.insert((*conn, request.tag), leases.to_vec());
                }
            }
            Moment::Fact(fact) => self.fact(fact),
            Moment::Decided(conn, event) => self.decided(*conn, event)?,
            Moment::Told {
                conn,
                event: Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
                ..
            } => {
                for delivery in deliveries.iter() {
                    if !self.told.insert(delivery.lease) {
                        return Err(format!("{conn} was told {} a second time", delivery.lease));
                    }
                }
            }
            Moment::Recovered { .. } => {
                self.held.clear();
                self.told.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
