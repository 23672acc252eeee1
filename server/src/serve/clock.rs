//! The server's clock: nanoseconds since the Unix epoch that never go back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fanlight_core::{Span, Time};

/// Follows the wall clock; when that is set back, time goes on a little slower until the wall
/// clock has caught up, so that leases still end and delays still pass.
pub(crate) struct Clock {
    last: Time,
    read_at: Instant,
}

impl Clock {
    /// A clock that is never before `not_before`: the last time in the journal.
    pub(crate) fn new(not_before: Time) -> Clock {
        Clock { last: not_before, read_at: Instant::now() }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Span = Span::from_secs(1);

    #[test]
    fn it_follows_the_wall_clock() {
        let mut clock = Clock::new(Time(5));
        let start = Time::from_millis(1_000_000);
        assert_eq!(clock.advance(start, SECOND), start);
        assert_eq!(clock.advance(start + SECOND, SECOND), start + SECOND);
        let jump = start + Span::from_secs(100);
        assert_eq!(clock.advance(jump, SECOND), jump);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_stop_time() {
        let mut clock = Clock::new(Time::from_millis(10_000));
        let mut before = Time::ZERO;
        for second in 0..60 {
            let now = clock.advance(Time::from_millis(1_000 * second), SECOND);
            assert!(now > before, "time stood still at {now}");
            before = now;
        }
        // 60 seconds at a thousandth less, after the 10 it began with.
        assert_eq!(before, Time(10_000_000_000 + 60 * 999_000_000));
    }
}
