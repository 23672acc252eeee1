//! A job that redrives moves what was there when it began, each message once, and counts what it
//! moves; and with faults off it ends.

use std::collections::BTreeMap;

use fanlight_core::{Event, Fact, Offset, QueueId, RedriveId};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Redrives {
    jobs: BTreeMap<RedriveId, Job>,
    /// What was redriven from each queue since the input began, or since a job took its step. What
    /// is due is done before what is asked, so what a request moves is counted for no job.
    moved: BTreeMap<QueueId, Vec<Offset>>,
    /// How many each job moved that ended.
    ended: BTreeMap<RedriveId, u64>,
}

#[derive(Clone)]
struct Job {
    queue: QueueId,
    until: Offset,
    dry_run: bool,
    moved: u64,
    next: Offset,
}

impl Redrives {
    fn fact(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::RedriveStarted { id, queue, until, dry_run, .. } = fact {
            let (moved, next) = (0, Offset(0));
            let (queue, until, dry_run) = (*queue, *until, *dry_run);
            self.jobs.insert(*id, Job { queue, until, dry_run, moved, next });
        } else if let Fact::Redriven { queue, offset, .. }
        | Fact::BroughtBack { queue, offset, .. } = fact
        {
            self.moved.entry(*queue).or_default().push(*offset);
        } else if let Fact::RedriveStepped { id, next, moved, .. } = fact {
            let job = self.jobs.get_mut(id).ok_or_else(|| format!("{id} steps, and is not"))?;
            let took = self.moved.remove(&job.queue).unwrap_or_default();
            let beyond = took.iter().find(|at| **at >= job.until || **at < job.next);
            if let Some(offset) = beyond {
                return Err(format!("{id} moves {offset}, which is not among what it is to move"));
            }
            if job.dry_run && !took.is_empty() {
                return Err(format!("{id} moves {took:?}, and was only to count"));
            }
            if *moved != job.moved + took.len() as u64 || *next < job.next {
                return Err(format!("{id} moved {took:?} after {}, and says {moved}", job.moved));
            }
            (job.moved, job.next) = (*moved, *next);
        } else if let Fact::RedriveEnded { id } = fact {
            let job = self.jobs.remove(id).ok_or_else(|| format!("{id} ends, and is not"))?;
            self.ended.insert(*id, job.moved);
        }
        Ok(())
    }
}

impl Invariant for Redrives {
    fn name(&self) -> &'static str {
        "a redriving job counts what it moves"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::At(_) => self.moved.clear(),
            Moment::Fact(fact) => return self.fact(fact),
            Moment::Decided(_, Event::RedriveEnded { redrive, .. }) => {
                let moved = self.ended.get(&redrive.id).copied();
                if !redrive.dry_run && moved != Some(redrive.moved) {
                    return Err(format!("{redrive:?} moved {moved:?}"));
                }
            }
            Moment::Recovered { history, .. } => {
                *self = Redrives::default();
                // A crash may come between what a job moves and the count of it.
                for fact in super::facts(history) {
                    if let Fact::RedriveStepped { id, next, moved, .. } = &fact {
                        let job = self.jobs.get_mut(id).ok_or("a step of no job")?;
                        (job.moved, job.next) = (*moved, *next);
                    } else {
                        self.fact(&fact)?;
                    }
                }
                self.moved.clear();
            }
            Moment::Drained(_) => {
                let stuck = self.jobs.keys().next();
                return stuck.map_or(Ok(()), |id| Err(format!("{id} never ended")));
            }
            _ => {}
        }
        Ok(())
    }
}
