//! Where arbitrary choices come from: a generator that the configuration seeds.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, fast, and good enough to spread load.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "there is a number below n");
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u32
    }
}
