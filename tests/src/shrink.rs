//! From a long sequence of inputs that fails to a short one that fails in the same way.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use fanlight_core::Config;

use crate::run::{Step, verify};

thread_local! {
    /// Some while panics of this thread are caught: the last one's words and place.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does something, and turns its panic, if it panics, into an error, printing nothing.
pub fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let kept = CAUGHT.with_borrow_mut(|caught| {
                caught
                    .as_mut()
                    .map(|caught| *caught = panic.to_string().replace('\n', " "))
                    .is_some()
            });
            if !kept {
                before(panic);
            }
        }));
    });
    CAUGHT.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let panic = CAUGHT.take().unwrap_or_default();
    result.unwrap_or(Err(panic))
}

/// How a sequence fails, if it does.
pub fn failure(config: &Config, steps: &[Step]) -> Option<String> {
    caught(|| verify(config, steps, true)).err()
}

/// The words of a failure without its numbers, so that a shorter sequence counts as the same.
pub fn kind(why: &str) -> String {
    let first = why.lines().next().unwrap_or_default();
    let first = first.strip_prefix("step ").unwrap_or(first);
    first.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Leaves out steps, as long as what is left fails in the same way.
pub fn shrink(config: &Config, steps: Vec<Step>) -> Vec<Step> {
    let Some(why) = failure(config, &steps) else { return steps };
    let wanted = kind(&why);
    shorter(steps, |steps| failure(config, steps).is_some_and(|why| kind(&why) == wanted))
}

/// Leaves things out, in ever smaller runs, as long as the rest still fails.
pub fn shorter<T: Clone>(mut all: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut size = (all.len() / 2).max(1);
    loop {
        let mut at = 0;
        let before = all.len();
        while at < all.len() {
            let mut fewer = all.clone();
            fewer.drain(at..(at + size).min(all.len()));
            if fails(&fewer) { all = fewer } else { at += size }
        }
        if size == 1 && all.len() == before {
            return all;
        }
        size = (size / 2).max(1);
    }
}

/// Steps as people read them.
pub fn listing(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("  at {}: {:?}\n", step.at, step.input)).collect()
}
