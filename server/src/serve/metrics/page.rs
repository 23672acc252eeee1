//! A page in Prometheus' text format, version 0.0.4.

use std::fmt::{self, Write};

/// What every name of ours begins with.
const PREFIX: &str = "fanlight_";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises, until what counts it begins anew.
    Counter,
    /// It is what it is at the moment.
    Gauge,
    /// How often something took how long.
    Histogram,
}

/// A metric: its name, what it is, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// A label and its value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The page as far as it is written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins a metric of ours; its samples follow.
    pub(super) fn family(&mut self, family: Family) -> Samples<'_> {
        self.begin(PREFIX, family)
    }

    /// Begins a metric whose name others have agreed on.
    pub(super) fn common(&mut self, family: Family) -> Samples<'_> {
        self.begin("", family)
    }

    fn begin(&mut self, prefix: &'static str, family: Family) -> Samples<'_> {
        let Family { name, kind, help } = family;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}");
        Samples { text: &mut self.0, prefix, name }
    }
}

/// The samples of one metric.
pub(super) struct Samples<'p> {
    text: &'p mut String,
    prefix: &'static str,
    name: &'static str,
}

impl Samples<'_> {
    /// Writes one.
    pub(super) fn add(&mut self, labels: &[Label<'_>], value: impl fmt::Display) {
        self.part("", labels, value);
    }

    /// Writes one of those that a histogram has several of.
    pub(super) fn part(&mut self, suffix: &str, labels: &[Label<'_>], value: impl fmt::Display) {
        let Samples { text, prefix, name } = self;
        text.push_str(prefix);
        text.push_str(name);
        text.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
            text.push('"');
        }
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_labels() {
        let mut page = Page::default();
        let family = Family { name: "x", kind: Kind::Gauge, help: "An x." };
        page.family(family).add(&[("queue", "a\"b\\c\nd")], 1);
        let text = page.into_text();
        assert!(text.ends_with("\nfanlight_x{queue=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    }
}
