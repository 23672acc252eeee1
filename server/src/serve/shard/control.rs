//! What the shard does for those who control it.

use std::time::{Duration, Instant};

use fanlight_core::{Input, Span, Time};

use super::{JournalGone, Shard};
use crate::serve::clock::{Clock, Virtual};
use crate::serve::control::faults::FaultAsk;
use crate::serve::control::{Ask, Asked, Asker, ClockAsk, ClockView, Done, Moved, Trouble, answer};
use crate::serve::recording::Recorder;

/// What one advance may do on its way, and for how long, while others wait.
const STEPS_MAX: u32 = 100_000;
const ADVANCE_MAX: Duration = Duration::from_secs(5);

impl Shard {
    /// Does what is asked, and answers.
    pub(super) fn control(&mut self, asked: Asked) -> Result<(), JournalGone> {
        if let (Ok(Ask::Fault(FaultAsk::Restart)), Some(_), None) =
            (&asked.what, self.outbox.faults(), self.ends_at)
        {
            self.restart = Some(asked);
            return Ok(());
        }
        let Asked { asker, id, what } = asked;
        let result = match what {
            Ok(Ask::Backup(name)) => {
                self.back_up(&asker, id, &name);
                return Ok(());
            }
            Ok(Ask::Clock(ask)) => self.clock_asked(ask)?.map(Done::Clock),
            Ok(Ask::Fault(ask)) => self.fault_asked(ask),
            Err(trouble) => Err(trouble),
        };
        let text = answer(id.as_ref(), result.as_ref());
        match asker {
            Asker::Connection(conn) => self.outbox.answer(conn, text),
            Asker::Mailbox(mailbox) => self.outbox.answer_into(mailbox, text),
        }
        Ok(())
    }

    /// Ends as in a crash: whoever is connected is cut off, and what was not handed to the journal
    /// is lost.
    pub(super) fn crash(&mut self) {
        self.outbox.cut_all();
        self.recorder.take().into_iter().for_each(Recorder::end);
    }

    /// Tells who asked for it that the broker has begun again.
    pub(crate) fn restarted(&mut self, asked: Asked) {
        let kind = match &self.clock {
            Clock::Wall(_) => "wall",
            Clock::Virtual(_) => "virtual",
        };
        let running = match &self.clock {
            Clock::Wall(_) => true,
            Clock::Virtual(clock) => clock.is_running(),
        };
        let done = Done::Restarted(ClockView::new(kind, running, self.now));
        let text = answer(asked.id.as_ref(), Ok(&done));
        match asked.asker {
            // It was cut off with the others.
            Asker::Connection(_) => {}
            Asker::Mailbox(mailbox) => self.outbox.answer_into(mailbox, text),
        }
    }

    fn fault_asked(&self, ask: FaultAsk) -> Result<Done, Trouble> {
        let faults = self.outbox.faults().ok_or_else(Trouble::no_faults)?;
        match ask {
            FaultAsk::List => Ok(Done::Faults(faults.all())),
            FaultAsk::Add(spec) => faults.add(spec).map(Done::Fault),
            FaultAsk::Clear(id) => faults.clear(id).map(Done::Faults),
            FaultAsk::Restart => Err(Trouble::unavailable("the server is going down")),
        }
    }

    fn clock_asked(&mut self, ask: ClockAsk) -> Result<Result<ClockView, Trouble>, JournalGone> {
        let Clock::Virtual(clock) = &self.clock else {
            return Ok(match ask {
                ClockAsk::Show => Ok(ClockView::new("wall", true, self.now)),
                ClockAsk::Advance(_) | ClockAsk::Freeze | ClockAsk::Resume => {
                    Err(Trouble::not_virtual())
                }
            });
        };
        let clock = clock.clone();
        let mut moved = None;
        match ask {
            ClockAsk::Show => {}
            ClockAsk::Advance(by) => {
                if by.0 > u64::MAX - clock.now().0 {
                    return Ok(Err(Trouble::bad("the clock ends in the year 2554")));
                }
                moved = Some(self.advance(&clock, by)?);
            }
            ClockAsk::Freeze => clock.freeze(),
            ClockAsk::Resume => clock.resume(),
        }
        let mut view = ClockView::new("virtual", clock.is_running(), clock.now());
        view.moved = moved;
        Ok(Ok(view))
    }

    /// Moves the clock, stopping wherever something is due.
    fn advance(&mut self, clock: &Virtual, by: Span) -> Result<Moved, JournalGone> {
        let _turn = clock.moving();
        // Another shard may have moved it while this one waited for its turn.
        self.catch_up()?;
        let begun = clock.now();
        let reached = self.step_to(begun + by)?;
        clock.move_to(self.now);
        Ok(Moved::new(self.now.since(begun), reached))
    }

    /// Lets everything happen that was due while a virtual clock was moved, each at its time, before
    /// anything else does. What is left over when that is very much happens late, as it would on a
    /// server that is busy.
    pub(super) fn catch_up(&mut self) -> Result<(), JournalGone> {
        if let Clock::Virtual(clock) = &self.clock {
            let target = clock.now();
            if !self.step_to(target)? {
                self.now = target;
            }
        }
        Ok(())
    }

    /// Goes from deadline to deadline until then. False: there was more on the way than one step
    /// of somebody's may do.
    fn step_to(&mut self, target: Time) -> Result<bool, JournalGone> {
        let begun = Instant::now();
        for _ in 0..STEPS_MAX {
            let due = self.due().filter(|due| *due <= target);
            let Some(due) = due else {
                if self.now < target {
                    self.now = target;
                    self.apply(Input::Tick);
                    self.end_turn()?;
                }
                return Ok(true);
            };
            self.now = self.now.max(due);
            self.apply(Input::Tick);
            self.end_turn()?;
            if begun.elapsed() > ADVANCE_MAX {
                return Ok(false);
            }
        }
        Ok(false)
    }
}
