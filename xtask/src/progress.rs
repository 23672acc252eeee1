//! What is said while work goes on: a line when a step starts, and one with its seconds at the end.

use std::io::{self, Write};
use std::time::Instant;

use crate::Result;

/// Says one line, on standard error, so that standard output belongs to the program that is run.
pub(crate) fn say(line: &str) {
    print_err(&format!("xtask: {line}"));
}

/// Prints one line of a program's standard error.
pub(crate) fn print_err(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints one line of a program that we run, or of what was asked for.
pub(crate) fn print(line: &str) {
    // Nobody may be reading any more, as with `| head`; that is no reason to stop working.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Does one long step. `what` says what it is and, where that helps, about how long it takes.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("{what} …"));
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => say(&format!("{what}: done in {seconds:.1} s")),
        Err(_) => say(&format!("{what}: failed after {seconds:.1} s")),
    }
    result
}
