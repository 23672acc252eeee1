//! Journeys: what happened to each message lately, kept as long as there is room.
//!
//! One ring of steps for the whole broker. A step covers a run of messages, so a batch that is
//! published, leased and acknowledged together costs three steps and not three for each of its
//! messages. Nothing is looked up when a step is noted; whoever asks for a message's journey has
//! the ring searched through. The ring is volatile: after a restart journeys begin anew, and what
//! has to outlive one (attempts, deaths) is kept with the message.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{ConnId, ConsumerId, GroupId, MemberId, Offset, Place, ProducerId};
use crate::limits::{JOURNEY_HOPS_MAX, JOURNEY_VIEW_MAX};
use crate::time::Time;
use crate::view::{AttemptEnd, DeathReason};

/// Messages of one log at equal distances: a batch, or each n-th of a batch that several consumers
/// share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) base: u64,
    pub(crate) stride: u32,
    pub(crate) count: u32,
}

impl Covered {
    pub(crate) fn one(offset: Offset) -> Covered {
        Covered { base: offset.0, stride: 1, count: 1 }
    }

    /// So many in a row.
    pub(crate) fn of(base: Offset, count: u64) -> Covered {
        Covered { base: base.0, stride: 1, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    fn covers(&self, offset: Offset) -> bool {
        let Some(distance) = offset.0.checked_sub(self.base) else { return false };
        let stride = u64::from(self.stride);
        distance.is_multiple_of(stride) && distance / stride < u64::from(self.count)
    }
}

/// What happened to the messages of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Published { by: Option<ConnId>, via: Option<Arc<Via>> },
    Leased { conn: ConnId, consumer: Option<ConsumerId>, attempt: u32, until: Time },
    Extended { until: Time },
    Released { conn: ConnId },
    Returned { conn: Option<ConnId>, end: AttemptEnd, attempt: u32, ready_at: Option<Time> },
    Due,
    Acked { conn: ConnId },
    Dropped { reason: Option<DeathReason> },
    Purged,
    DeadLettered { reason: DeathReason, to: Place, to_offset: Offset },
    Redriven { to: Place, to_offset: Offset },
    Polled { group: GroupId, member: MemberId },
    Committed { group: GroupId },
    TransactionEnded { producer: ProducerId, commit: bool },
    Trimmed,
    Compacted,
}

impl Did {
    /// Where the message went on, if it left its log by this.
    fn moved_to(&self) -> Option<(Place, Offset)> {
        match self {
            Did::DeadLettered { to, to_offset, .. } | Did::Redriven { to, to_offset, .. } => {
                Some((*to, *to_offset))
            }
            Did::Published { .. }
            | Did::Leased { .. }
            | Did::Extended { .. }
            | Did::Released { .. }
            | Did::Returned { .. }
            | Did::Due
            | Did::Acked { .. }
            | Did::Dropped { .. }
            | Did::TransactionEnded { .. }
            | Did::Trimmed
            | Did::Compacted
            | Did::Purged
            | Did::Polled { .. }
            | Did::Committed { .. } => None,
        }
    }
}

/// The exchange and the routing key that a batch came by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Time,
    pub(crate) place: Place,
    pub(crate) run: Covered,
    pub(crate) did: Did,
}

/// The ring.
#[derive(Clone, Debug)]
pub(crate) struct Journeys {
    steps: VecDeque<Step>,
    max: usize,
    forgotten: u64,
}

impl Journeys {
    pub(crate) fn new(max: u32) -> Journeys {
        Journeys { steps: VecDeque::new(), max: max as usize, forgotten: 0 }
    }

    /// Whether steps are kept at all.
    pub(crate) fn on(&self) -> bool {
        self.max > 0
    }

    /// How many steps had to make room for later ones.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) fn note(&mut self, at: Time, place: Place, run: Covered, did: Did) {
        if self.max == 0 {
            return;
        }
        if self.steps.len() == self.max {
            self.steps.pop_front();
            self.forgotten += 1;
        }
        self.steps.push_back(Step { at, place, run, did });
    }

    /// Notes what was done to messages in ascending order, so many in a row from each of these
    /// offsets on: a step for each run of equal distances to which the same was done.
    pub(crate) fn note_each(
        &mut self,
        at: Time,
        place: Place,
        runs: impl IntoIterator<Item = (Offset, u32, Did)>,
    ) {
        if self.max == 0 {
            return;
        }
        let mut runs = runs.into_iter();
        let Some((first, count, mut did)) = runs.next() else { return };
        let mut run = Covered { count, ..Covered::one(first) };
        for (offset, mut count, next) in runs {
            let last = run.base + u64::from(run.stride) * u64::from(run.count - 1);
            let distance = u32::try_from(offset.0.saturating_sub(last)).unwrap_or(0);
            let goes_on = distance > 0 && (run.count == 1 || distance == run.stride);
            let mut base = offset.0;
            if goes_on && next == did {
                (run.stride, run.count) = (distance, run.count + 1);
                (base, count) = (base + 1, count - 1);
                if distance == 1 {
                    run.count += count;
                    count = 0;
                }
            }
            if count > 0 {
                self.note(at, place, run, core::mem::replace(&mut did, next));
                run = Covered { base, stride: 1, count };
            }
        }
        self.note(at, place, run, did);
    }

    /// Notes what was done to all of these, which are in ascending order.
    pub(crate) fn note_all(&mut self, at: Time, place: Place, offsets: &[Offset], did: &Did) {
        let mut rest = offsets;
        while let [first, others @ ..] = rest {
            let next = others.first().and_then(|next| next.0.checked_sub(first.0));
            let stride = next.and_then(|next| u32::try_from(next).ok()).filter(|next| *next > 0);
            let mut run = Covered { base: first.0, stride: stride.unwrap_or(1), count: 1 };
            if stride.is_some() {
                let goes_on = |n: &usize| rest[*n].0 == first.0 + *n as u64 * u64::from(run.stride);
                run.count = (1..rest.len()).take_while(goes_on).count() as u32 + 1;
            }
            self.note(at, place, run, did.clone());
            rest = &rest[run.count as usize..];
        }
    }

    /// The steps of a message, oldest first, each with where it then lay: those before it came
    /// here, and those after it left. The newest of them if there are very many.
    ///
    /// `also` are other places at which the same message lies: work groups share a topic's log.
    pub(crate) fn of(
        &self,
        place: Place,
        offset: Offset,
        also: impl IntoIterator<Item = Place>,
    ) -> Vec<(Offset, &Step)> {
        let mut lay = alloc::vec![self.origin(place, offset)];
        lay.extend(also.into_iter().take(JOURNEY_HOPS_MAX).map(|place| (place, offset)));
        let mut found = VecDeque::new();
        for step in &self.steps {
            let covered = lay.iter().find(|(p, o)| step.place == *p && step.run.covers(*o));
            let Some((_, offset)) = covered.copied() else { continue };
            if found.len() == JOURNEY_VIEW_MAX {
                found.pop_front();
            }
            found.push_back((offset, step));
            // It may go on in several queues, if the exchange for dead letters says so.
            if let Some(to) = step.did.moved_to()
                && lay.len() < 2 * JOURNEY_HOPS_MAX
                && !lay.contains(&to)
            {
                lay.push(to);
            }
        }
        found.into()
    }

    /// Where a message lay first, as far back as the ring remembers.
    fn origin(&self, mut place: Place, mut offset: Offset) -> (Place, Offset) {
        let mut hops = 0;
        for step in self.steps.iter().rev() {
            if hops < JOURNEY_HOPS_MAX && step.did.moved_to() == Some((place, offset)) {
                (place, offset) = (step.place, Offset(step.run.base));
                hops += 1;
            }
        }
        (place, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;

    const JOBS: Place = Place::Queue(QueueId(1));
    const DEAD: Place = Place::Queue(QueueId(2));

    fn steps(journeys: &Journeys, place: Place, offset: u64) -> Vec<Did> {
        journeys
            .of(place, Offset(offset), [])
            .into_iter()
            .map(|(_, step)| step.did.clone())
            .collect()
    }

    #[test]
    fn equal_distances_are_one_step_and_cover_no_other_message() {
        let mut journeys = Journeys::new(100);
        let each = |offset: u64| (Offset(offset), 1, Did::Acked { conn: ConnId(offset % 2) });
        journeys.note_each(Time::ZERO, JOBS, [3, 5, 7, 9].map(each));
        assert_eq!(journeys.steps.len(), 1);
        let covered: Vec<u64> =
            (0..20).filter(|offset| !steps(&journeys, JOBS, *offset).is_empty()).collect();
        assert_eq!(covered, [3, 5, 7, 9]);
        journeys.note_each(Time::ZERO, JOBS, [20, 21, 23, 24].map(each));
        assert_eq!(journeys.steps.len(), 4, "21 and 23 were acknowledged by the same");
        let runs_of = |journeys: &Journeys| -> Vec<_> {
            let step = |s: &Step| (s.run.base, s.run.stride, s.run.count);
            journeys.steps.iter().map(step).collect()
        };
        let mut journeys = Journeys::new(100);
        let alike = [(3, 1), (5, 4), (9, 2), (11, 1), (20, 3)];
        let runs = alike.map(|(base, count)| (Offset(base), count, Did::Due));
        journeys.note_each(Time::ZERO, JOBS, runs);
        assert_eq!(runs_of(&journeys), [(3, 2, 2), (6, 1, 6), (20, 1, 3)]);
        let mut journeys = Journeys::new(100);
        journeys.note_all(Time::ZERO, JOBS, &[3, 5, 7, 8, 9, 40].map(Offset), &Did::Due);
        assert_eq!(runs_of(&journeys), [(3, 2, 3), (8, 1, 2), (40, 1, 1)]);
    }

    #[test]
    fn a_message_is_followed_through_its_deaths_from_either_end() {
        let mut journeys = Journeys::new(100);
        let died = |to_offset| Did::DeadLettered {
            reason: DeathReason::Rejected,
            to: DEAD,
            to_offset: Offset(to_offset),
        };
        let back = Did::Redriven { to: JOBS, to_offset: Offset(9) };
        let published = Did::Published { by: Some(ConnId(1)), via: None };
        journeys.note(Time(1), JOBS, Covered::of(Offset(0), 8), published.clone());
        journeys.note(Time(2), JOBS, Covered::one(Offset(4)), died(0));
        journeys.note(Time(3), JOBS, Covered::one(Offset(5)), died(1));
        journeys.note(Time(4), DEAD, Covered::one(Offset(0)), back.clone());
        journeys.note(Time(5), JOBS, Covered::one(Offset(9)), Did::Dropped { reason: None });
        let whole = [published.clone(), died(0), back, Did::Dropped { reason: None }];
        assert_eq!(steps(&journeys, JOBS, 4), whole);
        assert_eq!(steps(&journeys, DEAD, 0), whole);
        assert_eq!(steps(&journeys, JOBS, 9), whole);
        assert_eq!(steps(&journeys, JOBS, 5), [published, died(1)]);
    }

    #[test]
    fn the_oldest_steps_make_room_and_none_are_kept_where_none_may_be() {
        let mut journeys = Journeys::new(2);
        for at in 0..5 {
            journeys.note(Time(at), JOBS, Covered::one(Offset(0)), Did::Due);
        }
        let times: Vec<_> = journeys.of(JOBS, Offset(0), []).iter().map(|(_, s)| s.at.0).collect();
        assert_eq!((times, journeys.forgotten()), (alloc::vec![3, 4], 3));
        let mut off = Journeys::new(0);
        off.note(Time(0), JOBS, Covered::one(Offset(0)), Did::Due);
        assert!(!off.on() && off.of(JOBS, Offset(0), []).is_empty());
    }
}
