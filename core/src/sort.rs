//! Sorting with little code: the library's sorts bring ten kilobytes of wasm for each type.

use alloc::vec::Vec;

/// Sorts values; those of which neither goes before the other stay in their order.
pub(crate) fn sort_by<T>(values: &mut [T], mut before: impl FnMut(&T, &T) -> bool) {
    if values.windows(2).all(|two| !before(&two[1], &two[0])) {
        return;
    }
    let order = order(values.len(), &mut |a, b| before(&values[a], &values[b]));
    for (at, from) in order.iter().enumerate() {
        // What was there before may have made room for another, and gone on itself.
        let mut from = *from;
        while from < at {
            from = order[from];
        }
        values.swap(at, from);
    }
}

/// Sorts values by a key.
pub(crate) fn sort_by_key<T, K: Ord>(values: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(values, |a, b| key(a) < key(b));
}

/// Which of so many values comes first, which second, and so on: runs of twice the length are
/// merged each time, whatever the values are.
fn order(count: usize, before: &mut dyn FnMut(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut merged = Vec::with_capacity(count);
    let mut run = 1;
    while run < count {
        merged.clear();
        for two in order.chunks(2 * run) {
            let (mut left, mut right) = two.split_at(run.min(two.len()));
            while let ([one, ones @ ..], [other, others @ ..]) = (left, right) {
                if before(*other, *one) {
                    merged.push(*other);
                    right = others;
                } else {
                    merged.push(*one);
                    left = ones;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        core::mem::swap(&mut order, &mut merged);
        run *= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn sorts_as_the_library_does_and_keeps_the_order_of_equals() {
        let mut rng = Rng::new(1);
        for count in 0..200 {
            let range = 1 + rng.below(2 * count + 1);
            let mut ours: Vec<_> = (0..count).map(|at| (rng.below(range), at)).collect();
            let mut theirs = ours.clone();
            sort_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            assert_eq!(ours, theirs);
        }
    }
}
