//! The server's clock: nanoseconds since the Unix epoch that never go back. It is the wall's, or one
//! that stands still until somebody moves it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fanlight_core::{Span, Time};
use tokio::sync::watch;

use crate::settings::ClockKind;

/// When a virtual clock begins if nothing says otherwise: 2000-01-01T00:00:00Z. Always the same, so
/// that what is done to a server with such a clock can be done again with the same times.
pub(crate) const BEGINNING: Time = Time::from_millis(946_684_800_000);

/// What the broker is told as its time.
pub(crate) enum Clock {
    /// The machine's.
    Wall(Wall),
    /// Everybody's on this server.
    Virtual(Arc<Virtual>),
}

impl Clock {
    /// The wall's, which is never before `not_before`: the last time in the journal.
    pub(crate) fn wall(not_before: Time) -> Clock {
        Clock::Wall(Wall { last: not_before, read_at: Instant::now() })
    }

    /// Reads it.
    pub(crate) fn now(&mut self) -> Time {
        match self {
            Clock::Wall(wall) => wall.now(),
            Clock::Virtual(clock) => clock.now(),
        }
    }

    /// How long until it is so late; None if that needs somebody to move it.
    pub(crate) fn until(&mut self, due: Time) -> Option<Duration> {
        let left = Duration::from_nanos(due.since(self.now()).0);
        match self {
            Clock::Wall(_) => Some(left),
            Clock::Virtual(clock) => (clock.is_running() || left.is_zero()).then_some(left),
        }
    }
}

/// Which clock a server has.
pub(crate) enum Timing {
    /// The machine's.
    Wall,
    /// One for everything on it.
    Virtual(Arc<Virtual>),
}

impl Timing {
    /// The one that settings ask for.
    pub(crate) fn new(kind: ClockKind) -> Timing {
        match kind {
            ClockKind::Wall => Timing::Wall,
            ClockKind::Virtual => Timing::Virtual(Virtual::new()),
        }
    }

    /// A clock that is never before this: the last time in a journal.
    pub(crate) fn clock(&self, not_before: Time) -> Clock {
        match self {
            Timing::Wall => Clock::wall(not_before),
            Timing::Virtual(clock) => {
                clock.begin_after(not_before);
                Clock::Virtual(clock.clone())
            }
        }
    }

    /// What a broker's dice begin with: where time can be repeated, they are too.
    pub(crate) fn seed(&self) -> u64 {
        match self {
            Timing::Wall => Clock::wall(Time::ZERO).now().0,
            Timing::Virtual(_) => 0,
        }
    }
}

/// Follows the wall clock; when that is set back, time goes on a little slower until the wall
/// clock has caught up, so that leases still end and delays still pass.
pub(crate) struct Wall {
    last: Time,
    read_at: Instant,
}

impl Wall {
    /// Reads it.
    pub(crate) fn now(&mut self) -> Time {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Time(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX));
        let read_at = Instant::now();
        let passed = read_at.duration_since(self.read_at).as_nanos();
        self.read_at = read_at;
        self.advance(wall, Span(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    fn advance(&mut self, wall: Time, passed: Span) -> Time {
        let steady = self.last + Span(passed.0 - passed.0 / 1_000);
        self.last = steady.max(wall);
        self.last
    }
}

/// A clock that stands still, or runs on from where it stood, and that is moved. Everything on a
/// server that asks for the broker's time shares one.
pub(crate) struct Virtual {
    hand: Mutex<Hand>,
    /// Held by whoever moves it step by step, so that two who do it at once move it twice as far.
    moving: Mutex<()>,
    /// Told whenever it was moved or began to run.
    changed: watch::Sender<()>,
}

struct Hand {
    at: Time,
    /// Since when it runs.
    running: Option<Instant>,
}

impl Virtual {
    /// One that stands still at the [beginning](BEGINNING).
    pub(crate) fn new() -> Arc<Virtual> {
        let hand = Mutex::new(Hand { at: BEGINNING, running: None });
        Arc::new(Virtual { hand, moving: Mutex::default(), changed: watch::Sender::new(()) })
    }

    /// Begins no earlier than this: the last time in a journal.
    pub(crate) fn begin_after(&self, last: Time) {
        // A journal that has never been written says zero.
        if last > Time::ZERO {
            let mut hand = self.hand();
            hand.at = if hand.at == BEGINNING { last } else { hand.at.max(last) };
        }
    }

    /// Reads it.
    pub(crate) fn now(&self) -> Time {
        self.hand().now()
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.hand().running.is_some()
    }

    /// Moves it on; it does not go back.
    pub(crate) fn move_to(&self, to: Time) {
        let mut hand = self.hand();
        let now = hand.now();
        if to > now {
            hand.at = to;
            hand.running = hand.running.map(|_| Instant::now());
        }
        drop(hand);
        self.changed.send_replace(());
    }

    /// Stops it.
    pub(crate) fn freeze(&self) {
        let mut hand = self.hand();
        hand.at = hand.now();
        hand.running = None;
    }

    /// Lets it run on.
    pub(crate) fn resume(&self) {
        self.hand().running.get_or_insert_with(Instant::now);
        self.changed.send_replace(());
    }

    /// Waits for one's turn to move it step by step.
    pub(crate) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().expect("nobody panics while moving the clock")
    }

    /// Hears when it was moved or began to run.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().expect("nobody panics while holding the hand")
    }
}

impl Hand {
    fn now(&self) -> Time {
        let ran = self.running.map_or(0, |since| since.elapsed().as_nanos());
        self.at + Span(u64::try_from(ran).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Span = Span::from_secs(1);

    #[test]
    fn it_follows_the_wall_clock() {
        let mut clock = Wall { last: Time(5), read_at: Instant::now() };
        let start = Time::from_millis(1_000_000);
        assert_eq!(clock.advance(start, SECOND), start);
        assert_eq!(clock.advance(start + SECOND, SECOND), start + SECOND);
        let jump = start + Span::from_secs(100);
        assert_eq!(clock.advance(jump, SECOND), jump);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_stop_time() {
        let mut clock = Wall { last: Time::from_millis(10_000), read_at: Instant::now() };
        let mut before = Time::ZERO;
        for second in 0..60 {
            let now = clock.advance(Time::from_millis(1_000 * second), SECOND);
            assert!(now > before, "time stood still at {now}");
            before = now;
        }
        // 60 seconds at a thousandth less, after the 10 it began with.
        assert_eq!(before, Time(10_000_000_000 + 60 * 999_000_000));
    }

    #[test]
    fn a_virtual_clock_stands_still_until_it_is_moved() {
        let clock = Virtual::new();
        assert_eq!((clock.now(), clock.is_running()), (BEGINNING, false));
        clock.move_to(BEGINNING + SECOND);
        assert_eq!(clock.now(), BEGINNING + SECOND);
        clock.move_to(BEGINNING);
        assert_eq!(clock.now(), BEGINNING + SECOND, "it does not go back");
        let mut shared = Clock::Virtual(clock.clone());
        assert_eq!(shared.until(BEGINNING + SECOND + SECOND), None);
        assert_eq!(shared.until(BEGINNING), Some(Duration::ZERO));
    }

    #[test]
    fn a_virtual_clock_runs_on_from_where_it_stood_and_stops_again() {
        let clock = Virtual::new();
        clock.resume();
        while clock.now() == BEGINNING {}
        assert!(Clock::Virtual(clock.clone()).until(Time(u64::MAX)).is_some());
        clock.move_to(BEGINNING + SECOND);
        clock.freeze();
        let stopped = clock.now();
        assert!(stopped >= BEGINNING + SECOND);
        assert_eq!(clock.now(), stopped);
    }

    #[test]
    fn it_begins_where_the_latest_journal_ended() {
        let clock = Virtual::new();
        clock.begin_after(Time::ZERO);
        assert_eq!(clock.now(), BEGINNING);
        clock.begin_after(Time::from_millis(7));
        assert_eq!(clock.now(), Time::from_millis(7));
        clock.begin_after(Time::from_millis(9));
        clock.begin_after(Time::from_millis(8));
        assert_eq!(clock.now(), Time::from_millis(9));
    }
}
