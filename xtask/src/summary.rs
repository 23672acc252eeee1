//! How many tests passed and failed, read from the closing lines of test runners.

use std::ops::AddAssign;

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What one line of output adds to the count; most lines add nothing.
pub(crate) fn count(line: &str) -> Tally {
    let line = line.trim();
    match line.strip_prefix("test result: ") {
        Some(rest) => count_rust(rest),
        None => {
            let mut tally = count_node(line);
            tally += count_schemathesis(line);
            tally
        }
    }
}

/// The rest of `test result: ok. 12 passed; 0 failed; …`, from Rust's runner and wasm-bindgen's.
fn count_rust(rest: &str) -> Tally {
    let mut tally = Tally::default();
    for part in rest.split([';', '.']) {
        match part.trim().split_once(' ') {
            Some((number, "passed")) => tally.passed += number.parse().unwrap_or(0),
            Some((number, "failed")) => tally.failed += number.parse().unwrap_or(0),
            Some(_) | None => {}
        }
    }
    tally
}

/// A line such as `# pass 12`, or `ℹ pass 12`, from Node's runner in either of its forms.
fn count_node(line: &str) -> Tally {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["#" | "ℹ", what, number] = words.as_slice() else { return Tally::default() };
    let number = number.parse().unwrap_or(0);
    match *what {
        "pass" => Tally { passed: number, failed: 0 },
        // A test that was cancelled, by a time limit for example, did not pass.
        "fail" | "cancelled" => Tally { passed: 0, failed: number },
        _ => Tally::default(),
    }
}

/// `818 generated, 818 passed`, or `4241 generated, 3 found 3 unique failures, 1 errored`.
fn count_schemathesis(line: &str) -> Tally {
    let part = |part: &str| {
        let (number, what) = part.split_once(' ')?;
        Some((number.parse::<u64>().ok()?, what.split(' ').next().unwrap_or_default().to_owned()))
    };
    let parts: Option<Vec<(u64, String)>> = line.split(", ").map(part).collect();
    let parts = parts.unwrap_or_default();
    let Some(((generated, word), rest)) = parts.split_first() else { return Tally::default() };
    if word != "generated" {
        return Tally::default();
    }
    let bad = rest.iter().filter(|(_, what)| matches!(what.as_str(), "found" | "errored"));
    let failed = bad.map(|(number, _)| number).sum();
    Tally { passed: generated.saturating_sub(failed), failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn the_summary_of_a_rust_runner_is_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; \
                  finished in 0.01s";
        assert_eq!(count(ok), tally(12, 0));
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 filtered out; finished";
        assert_eq!(count(bad), tally(1, 2));
    }

    #[test]
    fn the_summary_of_nodes_runner_is_counted_in_both_forms() {
        let sum = |lines: &[&str]| {
            let mut sum = Tally::default();
            lines.iter().for_each(|line| sum += count(line));
            sum
        };
        assert_eq!(
            sum(&["# tests 4", "# suites 0", "# pass 2", "# fail 1", "# cancelled 1", "# todo 0"]),
            tally(2, 2)
        );
        assert_eq!(sum(&["ℹ tests 3", "ℹ pass 3", "ℹ fail 0", "ℹ duration_ms 12.5"]), tally(3, 0));
    }

    #[test]
    fn the_summary_of_schemathesis_is_counted() {
        assert_eq!(count("  818 generated, 818 passed"), tally(818, 0));
        let bad = "4189 generated, 9 found 9 unique failures, 1 errored";
        assert_eq!(count(bad), tally(4_179, 10));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "# Subtest: a", "running 3 tests", "test a ... ok", "# pass many x"] {
            assert_eq!(count(line), tally(0, 0), "{line}");
        }
    }
}
