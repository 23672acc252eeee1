//! The one source of arbitrary choices: SplitMix64, so that a seed is the whole run.

/// A seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of one actor: the run's seed and the actor's number make it.
    pub(crate) fn new(seed: u64, stream: u64) -> Rng {
        let mut rng = Rng(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `value` give or take up to `percent` of it. Integers only: the same on every machine.
    pub(crate) fn about(&mut self, value: u64, percent: u64) -> u64 {
        let spread = value / 100 * percent.min(100);
        if spread == 0 {
            return value;
        }
        value - spread + self.next() % (2 * spread + 1)
    }
}
