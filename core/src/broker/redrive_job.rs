//! Redriving as a job, as SQS's message move tasks do it: in small steps on a timer, at a rate, over
//! restarts. A job moves what was there when it began, each message at most once: it goes over the
//! queue from the front to where that ended then, and passes over what is leased or delayed.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::evolve::{Evolved, broken};
use super::{Broker, Refused, within};
use crate::death::deaths;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{ConnId, Offset, QueueId, RedriveId, Tag};
use crate::limits::{
    REDRIVE_CONDITIONS_MAX, REDRIVE_PAUSE, REDRIVE_SCAN_MAX, REDRIVE_SHOWN_MAX, REDRIVE_STEP_MAX,
    REDRIVE_WAIT, REDRIVES_ENDED_MAX, REDRIVES_ENDED_SHOWN_MAX, REDRIVES_MAX,
};
use crate::planted::{Planted, planted};
use crate::record::Record;
use crate::refusal::Code;
use crate::request::Condition;
use crate::sort::sort_by_key;
use crate::time::{Span, Time};
use crate::timer::{Due, TimerId};
use crate::view::{Death, MessageView, RedriveState, RedriveView};

/// What a job is to do: durable.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) queue: QueueId,
    /// Messages from here on came later than the job.
    pub(super) until: Offset,
    pub(super) at: Time,
    pub(super) filter: Vec<Condition<'static>>,
    pub(super) to: Option<QueueId>,
    pub(super) rate: Option<u32>,
    pub(super) dry_run: bool,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    next: Offset,
    moved: u64,
    skipped: u64,
}

/// A job that is not done.
#[derive(Clone, Debug)]
pub(super) struct Redrive {
    pub(super) task: Task,
    /// As the facts have it; what was only looked at since is looked at again after a restart.
    kept: Progress,
    now: Progress,
    timer: TimerId,
    state: RedriveState,
    /// Who is told of its end, in this life of the broker.
    starter: Option<ConnId>,
    /// What a dry run shows.
    shown: Vec<Offset>,
}

/// What a client asks for.
pub(super) struct Asked<'a> {
    pub(super) queue: Cow<'a, str>,
    pub(super) filter: Vec<Condition<'a>>,
    pub(super) to: Option<Cow<'a, str>>,
    pub(super) rate: Option<u32>,
    pub(super) dry_run: bool,
}

/// Whether all of these hold of a message.
pub(super) fn holds(filter: &[Condition<'_>], record: &Record<'_>) -> bool {
    let deaths = if filter.is_empty() { Vec::new() } else { deaths(record) };
    filter.iter().all(|condition| condition_holds(condition, record, deaths.last()))
}

fn condition_holds(condition: &Condition<'_>, record: &Record<'_>, last: Option<&Death>) -> bool {
    let died = |is: &dyn Fn(&Death) -> bool| last.is_some_and(is);
    match condition {
        Condition::Reason(reason) => died(&|death| death.reason == *reason),
        Condition::Origin(queue) => died(&|death| death.queue == *queue),
        Condition::Header(wanted) => wanted.is_in(record.headers),
        Condition::Key { key } => record.key == Some(key.as_ref()),
        Condition::DiedSince(at) => died(&|death| death.at >= *at),
        Condition::DiedUntil(at) => died(&|death| death.at <= *at),
        Condition::AttemptsMin(min) => {
            died(&|death| death.attempts.last().map_or(0, |attempt| attempt.number) >= *min)
        }
    }
}

pub(super) fn valid_filter(filter: &[Condition<'_>]) -> Result<(), Refused> {
    within("the number of conditions", filter.len() as u64, 0, REDRIVE_CONDITIONS_MAX as u64)
}

impl Broker {
    pub(super) fn start_redrive(
        &mut self,
        conn: ConnId,
        tag: Tag,
        asked: Asked<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let queue = self.queue_named(&asked.queue)?;
        let to = asked.to.as_deref().map(|to| self.queue_named(to)).transpose()?;
        if to == Some(queue) {
            return Err(Code::BadArgument.because(format!(
                "queue {:?} is where the messages lie; name another",
                asked.queue
            )));
        }
        valid_filter(&asked.filter)?;
        if let Some(rate) = asked.rate {
            within("rate", u64::from(rate), 1, 1_000_000)?;
        }
        if let Some((id, _)) = self.redrives.iter().find(|(_, job)| job.task.queue == queue) {
            return Err(Code::InUse.because(format!(
                "{id} redrives queue {:?} already; stop it, or wait for its end",
                asked.queue
            )));
        }
        self.room_for("redrives", self.redrives.len(), REDRIVES_MAX)?;
        let (id, until) = (self.next_redrive, self.queues[&queue].work.end());
        let filter = Cow::Owned(asked.filter);
        let (at, rate, dry_run) = (self.now, asked.rate, asked.dry_run);
        let fact = Fact::RedriveStarted { id, queue, until, at, filter, to, rate, dry_run };
        self.record(fact, out);
        self.redrives.get_mut(&id).expect("it was started").starter = Some(conn);
        self.tell(conn, Event::RedriveStarted { tag, redrive: id }, out);
        self.changed(out, || format!("{id} of queue {} began", asked.queue));
        Ok(())
    }

    pub(super) fn stop_redrive(
        &mut self,
        conn: ConnId,
        tag: Tag,
        id: RedriveId,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let Some(job) = self.redrives.get(&id) else {
            return Err(
                Code::UnknownRedrive.because(format!("there is no {id}; it ended, or never was"))
            );
        };
        let count = job.now.moved;
        self.end_redrive(id, RedriveState::Stopped, out);
        self.tell(conn, Event::Count { tag, count, left: 0 }, out);
        Ok(())
    }

    /// A job's timer fired: moves some, and sleeps.
    pub(super) fn redrive_due(&mut self, id: RedriveId, timer: TimerId, out: &mut dyn Sink) {
        let Some(job) = self.redrives.get_mut(&id).filter(|job| job.timer == timer) else { return };
        job.timer = TimerId::NONE;
        let task = job.task.clone();
        let gone = |id: &QueueId| !self.queues.contains_key(id);
        if gone(&task.queue) || task.to.as_ref().is_some_and(gone) {
            return self.end_redrive(id, RedriveState::QueueGone, out);
        }
        let before = self.redrives[&id].now;
        let (now, state, shown) = self.redrive_step(&task, before, out);
        let job = self.redrives.get_mut(&id).expect("a job that takes a step is there");
        (job.now, job.state) = (now, state);
        let room = REDRIVE_SHOWN_MAX.saturating_sub(job.shown.len());
        job.shown.extend(shown.into_iter().take(room));
        if now.moved > before.moved && !task.dry_run {
            let Progress { next, moved, skipped } = now;
            self.record(Fact::RedriveStepped { id, next, moved, skipped }, out);
        }
        let pause = match (state, task.rate) {
            (RedriveState::Done, _) => return self.end_redrive(id, state, out),
            (RedriveState::NoRoom, _) => REDRIVE_WAIT,
            (_, Some(rate)) => {
                let took = (now.moved - before.moved) * Span::from_secs(1).0 / u64::from(rate);
                REDRIVE_PAUSE.max(Span(took))
            }
            (_, None) => REDRIVE_PAUSE,
        };
        let timer = self.timers.start(self.now + pause, Due::Redrive(id));
        self.redrives.get_mut(&id).expect("it is not done").timer = timer;
    }

    fn redrive_step(
        &mut self,
        task: &Task,
        mut at: Progress,
        out: &mut dyn Sink,
    ) -> (Progress, RedriveState, Vec<Offset>) {
        let most =
            task.rate.map_or(REDRIVE_STEP_MAX, |rate| (rate / 10).clamp(1, REDRIVE_STEP_MAX));
        let stop = at.moved + u64::from(most);
        let mut shown = Vec::new();
        for _ in 0..REDRIVE_SCAN_MAX {
            let queue = &self.queues[&task.queue];
            let Some(offset) = queue.work.ready_from(at.next).filter(|o| *o < task.until) else {
                at.next = task.until;
                return (at, RedriveState::Done, shown);
            };
            let record = queue.log(&self.topics).raw(offset).expect("a ready message is held");
            if holds(&task.filter, &record.record()) {
                if task.dry_run {
                    shown.push(offset);
                    at.moved += 1;
                } else {
                    match self.redrive_one(task.queue, offset, task.to, None, out) {
                        Ok(()) => at.moved += 1 + u64::from(planted(Planted::RedriveCountsTwice)),
                        Err(refusal) if refusal.code.is_transient() => {
                            return (at, RedriveState::NoRoom, shown);
                        }
                        Err(_) => at.skipped += 1,
                    }
                }
            }
            at.next = offset.plus(1);
            if at.moved >= stop {
                break;
            }
        }
        (at, RedriveState::Running, shown)
    }

    fn end_redrive(&mut self, id: RedriveId, state: RedriveState, out: &mut dyn Sink) {
        self.redrives.get_mut(&id).expect("a job ends once").state = state;
        let job = self.redrives[&id].clone();
        let redrive = self.redrive_view(id, &job);
        let redrive = RedriveView { ended_at: Some(self.now), ..redrive };
        self.record(Fact::RedriveEnded { id }, out);
        self.remember_ended(&redrive);
        if let Some(conn) = job.starter.filter(|conn| self.conns.contains_key(conn)) {
            let queue = self.queues.get(&job.task.queue);
            let shown =
                job.shown.iter().filter(|o| queue.is_some_and(|q| q.work.is_unsettled(**o)));
            let messages: Vec<MessageView<'_>> =
                shown.map(|offset| self.message(job.task.queue, *offset)).collect();
            self.tell(conn, Event::RedriveEnded { redrive: redrive.clone(), messages }, out);
        }
        self.changed(out, || format!("{id} ended: {state:?}, moved {}", redrive.moved));
    }

    pub(super) fn redrive_views(&self) -> Vec<RedriveView> {
        let ended = self.redrives_ended.iter().cloned();
        let running = self.redrives.iter().map(|(id, job)| self.redrive_view(*id, job));
        let mut all: Vec<_> = ended.chain(running).collect();
        sort_by_key(&mut all, |job| job.id);
        all
    }

    /// Keeps what is shown of a job that ended.
    fn remember_ended(&mut self, redrive: &RedriveView) {
        let ended = &mut self.redrives_ended;
        let of_queue = ended.iter().filter(|other| other.queue == redrive.queue).count();
        if of_queue == REDRIVES_ENDED_SHOWN_MAX {
            let oldest = ended.iter().position(|other| other.queue == redrive.queue);
            oldest.map(|at| ended.remove(at));
        }
        if ended.len() == REDRIVES_ENDED_MAX {
            ended.pop_front();
        }
        ended.push_back(redrive.clone());
    }

    fn redrive_view(&self, id: RedriveId, job: &Redrive) -> RedriveView {
        let Task { queue, until, at, to, rate, dry_run, .. } = job.task;
        let name = |id: &QueueId| {
            self.queues.get(id).map(|queue| queue.name.clone()).unwrap_or("(deleted)".to_owned())
        };
        let unsettled = self.queues.get(&queue).map_or(0, |queue| queue.work.unsettled());
        RedriveView {
            id,
            queue: name(&queue),
            to: to.as_ref().map(name),
            filter: job.task.filter.clone(),
            rate,
            dry_run,
            started_at: at,
            ended_at: None,
            state: job.state,
            moved: job.now.moved,
            skipped: job.now.skipped,
            remaining: until.0.saturating_sub(job.now.next.0).min(unsettled),
        }
    }

    pub(super) fn redrive_started(&mut self, id: RedriveId, task: Task) -> Evolved {
        if id < self.next_redrive {
            return Err(broken(&format!("{id} anew")));
        }
        self.saw(task.at);
        self.next_redrive = RedriveId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
        let timer = self.timers.start(self.now, Due::Redrive(id));
        let (kept, now) = (Progress::default(), Progress::default());
        let state = RedriveState::Running;
        let (starter, shown) = (None, Vec::new());
        self.redrives.insert(id, Redrive { task, kept, now, timer, state, starter, shown });
        Ok(())
    }

    pub(super) fn redrive_stepped(
        &mut self,
        id: RedriveId,
        (next, moved, skipped): (Offset, u64, u64),
    ) -> Evolved {
        let job = self.redrives.get_mut(&id).ok_or_else(|| broken("redrive"))?;
        job.kept = Progress { next, moved, skipped };
        job.now = job.kept;
        Ok(())
    }

    pub(super) fn redrive_ended(&mut self, id: RedriveId) -> Evolved {
        let job = self.redrives.remove(&id).ok_or_else(|| broken("redrive"))?;
        self.timers.stop(job.timer);
        Ok(())
    }

    pub(super) fn put_redrives(&self, put: &mut impl FnMut(Fact<'_>)) {
        for (id, Redrive { task, kept, .. }) in self.redrives.iter() {
            put(Fact::RedriveStarted {
                id: *id,
                queue: task.queue,
                until: task.until,
                at: task.at,
                filter: Cow::Owned(task.filter.clone()),
                to: task.to,
                rate: task.rate,
                dry_run: task.dry_run,
            });
            let Progress { next, moved, skipped } = *kept;
            if moved > 0 {
                put(Fact::RedriveStepped { id: *id, next, moved, skipped });
            }
        }
        put(Fact::RedrivesFrom { next: self.next_redrive });
    }

    /// Timers of jobs: each has one.
    pub(super) fn redrive_timers(&self) -> usize {
        self.redrives.len()
    }
}
