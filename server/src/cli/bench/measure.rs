//! What one task of a run counted, and what all of them did together.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Latencies, in nanoseconds, each right to three digits.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Latencies {
        let longest = LONGEST.as_nanos() as u64;
        Latencies(Histogram::new_with_bounds(1_000, longest, 3).expect("the bounds are in order"))
    }

    pub(super) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    pub(super) fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The latency that this share of all did not exceed.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }
}

/// What one task counted.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Messages that count: those that were due after the warm-up.
    pub(super) measured: u64,
    /// All messages, those of the warm-up too.
    pub(super) all: u64,
    /// The sum of all messages' numbers: another than what was published, if one was lost and
    /// another came twice.
    pub(super) numbers: u64,
    /// Requests that were answered.
    pub(super) requests: u64,
    /// When the last message was done, in nanoseconds from the run's beginning.
    pub(super) last: u64,
    pub(super) latencies: Latencies,
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally { measured: 0, all: 0, numbers: 0, requests: 0, last: 0, latencies: Latencies::new() }
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.measured += other.measured;
        self.all += other.all;
        self.numbers = self.numbers.wrapping_add(other.numbers);
        self.requests += other.requests;
        self.last = self.last.max(other.last);
        self.latencies.add(&other.latencies);
    }
}

/// What one side of a run did.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) tally: Tally,
    /// From when its messages count, in nanoseconds from the run's beginning.
    pub(super) from: u64,
}

impl Side {
    /// How long it took for what counts.
    pub(super) fn took(&self) -> Duration {
        Duration::from_nanos(self.tally.last.saturating_sub(self.from))
    }

    /// Messages a second.
    pub(super) fn rate(&self) -> f64 {
        self.tally.measured as f64 / self.took().as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_to_what_one_would_have_counted() {
        let (mut together, mut parts) = (Tally::new(), [Tally::new(), Tally::new()]);
        for number in 0..1_000u64 {
            let part = &mut parts[(number % 3 == 0) as usize];
            for tally in [&mut together, part] {
                tally.measured += 1;
                tally.all += 1;
                tally.numbers += number;
                tally.last = tally.last.max(number);
                tally.latencies.record(number * 1_000);
            }
        }
        let mut sum = Tally::new();
        parts.iter().for_each(|part| sum.add(part));
        assert_eq!((sum.measured, sum.numbers, sum.last), (1_000, 499_500, 999));
        for share in [0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(sum.latencies.quantile(share), together.latencies.quantile(share));
        }
        let median = sum.latencies.quantile(0.5).as_nanos() as f64;
        assert!((median / 500_000.0 - 1.0).abs() < 0.005, "{median}");
    }

    #[test]
    fn a_side_counts_from_the_end_of_its_warm_up() {
        let tally = Tally { measured: 100, last: 3_000_000_000, ..Tally::new() };
        let side = Side { tally, from: 1_000_000_000 };
        assert_eq!((side.took(), side.rate()), (Duration::from_secs(2), 50.0));
        let nothing = Side { tally: Tally::new(), from: 5 };
        assert_eq!(nothing.rate(), 0.0);
    }

    #[test]
    fn a_latency_beyond_what_is_told_apart_counts_as_the_longest() {
        let mut latencies = Latencies::new();
        latencies.record(u64::MAX);
        latencies.record(0);
        assert_eq!(latencies.count(), 2);
        assert!(latencies.max() >= LONGEST);
    }
}
