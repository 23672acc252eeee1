//! When messages are due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A producer that is woken less often than this sends what fell due meanwhile together; waking it
/// more often would cost the machine more than it tells.
const WAKE_EVERY: Duration = Duration::from_micros(100);

/// When the messages of one producer are due, in nanoseconds from the run's beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// The first message's time.
    first: f64,
    /// From one message to the next.
    gap: f64,
}

impl Schedule {
    /// The schedule of producer number `index` of `producers`, which publish `rate` messages a
    /// second together, evenly.
    pub(super) fn new(rate: u64, index: usize, producers: usize) -> Schedule {
        let together = 1e9 / rate as f64;
        Schedule { first: together * index as f64, gap: together * producers as f64 }
    }

    /// When the message with this number is due.
    pub(super) fn due(&self, number: u64) -> u64 {
        (self.first + self.gap * number as f64) as u64
    }

    /// The number of the first message that is due at this time or later.
    pub(super) fn first_at(&self, time: u64) -> u64 {
        let near = ((time as f64 - self.first) / self.gap).max(0.0) as u64;
        let mut number = near.saturating_sub(1);
        while self.due(number) < time {
            number += 1;
        }
        number
    }

    /// How often a producer looks what is due.
    fn tick(&self, batch: usize) -> Duration {
        Duration::from_nanos((self.gap * batch as f64) as u64).clamp(WAKE_EVERY, MAX_TICK)
    }
}

/// So a run's end is noticed soon.
const MAX_TICK: Duration = Duration::from_millis(20);

/// Wakes a producer when something may be due. A thread of its own, because the runtime's timer
/// counts in milliseconds.
pub(super) struct Pacer {
    woken: Arc<Notify>,
    ended: Arc<AtomicBool>,
}

impl Pacer {
    pub(super) fn start(schedule: &Schedule, batch: usize) -> std::io::Result<Pacer> {
        let (woken, ended) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let pacer = Pacer { woken: woken.clone(), ended: ended.clone() };
        let tick = schedule.tick(batch);
        std::thread::Builder::new().name("pace".to_owned()).spawn(move || {
            let mut next = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                next = (next + tick).max(Instant::now());
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                woken.notify_one();
            }
        })?;
        Ok(pacer)
    }

    /// Waits until something may be due.
    pub(super) async fn tick(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_share_a_rate_evenly_and_take_turns() {
        let schedules: Vec<Schedule> = (0..4).map(|index| Schedule::new(1_000, index, 4)).collect();
        let mut due: Vec<u64> =
            schedules.iter().flat_map(|s| (0..250).map(|number| s.due(number))).collect();
        due.sort_unstable();
        let expected: Vec<u64> = (0..1_000).map(|index| index * 1_000_000).collect();
        assert_eq!(due, expected);
    }

    #[test]
    fn the_first_message_at_a_time_is_the_one_that_is_not_before_it() {
        for (rate, index) in [(1_000, 0), (7, 2), (3_333_333, 1)] {
            let schedule = Schedule::new(rate, index, 3);
            for time in [0, 1, 999_999, 1_000_000, 5_000_000_001] {
                let number = schedule.first_at(time);
                assert!(schedule.due(number) >= time);
                assert!(number == 0 || schedule.due(number - 1) < time);
            }
        }
    }

    #[test]
    fn a_producer_looks_as_often_as_a_batch_is_due_within_bounds() {
        let tick = |rate, batch| Schedule::new(rate, 0, 1).tick(batch);
        assert_eq!(tick(1_000, 5), Duration::from_millis(5));
        assert_eq!(tick(1_000_000, 1), WAKE_EVERY);
        assert_eq!(tick(1, 1), MAX_TICK);
    }
}
