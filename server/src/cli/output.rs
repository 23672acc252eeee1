//! What is printed: tables for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use fanlight_core::{Span, Time};

use super::failure::Failure;

/// Standard output, and how it is to be written to.
pub(crate) struct Output {
    json: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    /// Prints JSON if `json`, else text for people.
    pub(crate) fn new(json: bool) -> Output {
        Output { json, stdout: BufWriter::new(io::stdout()) }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.stdout, "{line}")?)
    }

    /// A document, over several lines.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.stdout, value).map_err(io::Error::from)?;
        Ok(writeln!(self.stdout)?)
    }

    /// A value in one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from)?;
        Ok(writeln!(self.stdout)?)
    }

    /// A table; `none` is said instead if it has no rows.
    pub(crate) fn table(&mut self, table: &Table, none: &str) -> Result<(), Failure> {
        if table.rows.is_empty() {
            return self.line(none);
        }
        let is_bold = self.stdout.get_ref().is_terminal() && colours_are_wanted();
        for (index, line) in table.lines().into_iter().enumerate() {
            match index == 0 && is_bold {
                true => self.line(format_args!("\x1b[1m{line}\x1b[0m"))?,
                false => self.line(line)?,
            }
        }
        Ok(())
    }

    /// What was done: a sentence for people, `{"done": …}` for programs.
    pub(crate) fn done(&mut self, sentence: &str) -> Result<(), Failure> {
        if self.json {
            return self.json_line(&serde_json::json!({ "done": sentence }));
        }
        self.line(sentence)
    }

    /// Hands on everything printed so far; only then has it been seen.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }
}

/// Says something beside the output: on standard error, so that it does not get into a pipe.
pub(crate) fn note(sentence: impl std::fmt::Display) {
    // Where nobody can hear it, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// Whether a person sees standard error.
pub(crate) fn notes_are_seen() -> bool {
    io::stderr().is_terminal()
}

/// Whether text may be coloured: `NO_COLOR` says no, and so does a terminal that can do nothing.
pub(crate) fn colours_are_wanted() -> bool {
    let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    said("NO_COLOR").is_none() && said("TERM").is_none_or(|term| term != "dumb")
}

/// What stands before an error's sentence, as in the errors of usage.
pub(crate) fn error() -> &'static str {
    match io::stderr().is_terminal() && colours_are_wanted() {
        true => "\x1b[1;31merror:\x1b[0m",
        false => "error:",
    }
}

/// Rows under headers, aligned when they are printed.
pub(crate) struct Table {
    headers: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headers: &'static [&'static str]) -> Table {
        Table { headers, rows: Vec::new() }
    }

    /// Adds a row: a cell for each header. An empty cell shows as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.headers.len(), "a row has a cell for each header");
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The table's lines: numbers to the right, all else to the left.
    fn lines(&self) -> Vec<String> {
        // An age is a number with its unit.
        let is_number = |cell: &str| {
            let digits = cell.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or(cell);
            cell == "-" || digits.parse::<i64>().is_ok()
        };
        let columns = self.headers.len();
        let mut widths: Vec<usize> = self.headers.iter().map(|h| h.chars().count()).collect();
        let mut numbers = vec![true; columns];
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                widths[column] = widths[column].max(cell.chars().count());
                numbers[column] &= is_number(cell);
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (column, cell) in cells.enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let width = widths[column];
                line += &match numbers[column] {
                    true => format!("{gap}{cell:>width$}"),
                    false => format!("{gap}{cell:<width$}"),
                };
            }
            line.truncate(line.trim_end().len());
            line
        };
        let mut lines = vec![line(&mut self.headers.iter().copied())];
        lines.extend(self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
        lines
    }
}

/// An instant as RFC 3339 writes it, in UTC.
pub(crate) fn instant(at: Time) -> String {
    let since = Duration::from_nanos(at.0);
    let time = UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::now());
    humantime::format_rfc3339_millis(time).to_string()
}

/// A length of time as it is written on the command line.
pub(crate) fn span(span: Span) -> String {
    humantime::format_duration(Duration::from_nanos(span.0)).to_string().replace(' ', "")
}

/// How long ago something was, in its largest unit.
pub(crate) fn age(now: Time, at: Time) -> String {
    let seconds = now.since(at).as_millis() / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A count with its noun: "1 message", "5,000 messages".
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", indicatif::HumanCount(count))
}

/// Text cut to `width` characters, on one line.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_numbers_right_and_text_left() {
        let mut table = Table::new(&["TOPIC", "PARTITION", "LAG"]);
        table.row(["orders".into(), "0".into(), "4650".into()]);
        table.row(["a".into(), "10".into(), String::new()]);
        assert_eq!(
            table.lines(),
            ["TOPIC   PARTITION   LAG", "orders          0  4650", "a              10     -"]
        );
    }

    #[test]
    fn times_and_ages_are_written_as_people_read_them() {
        assert_eq!(instant(Time::from_millis(1_291_193_100_250)), "2010-12-01T08:45:00.250Z");
        assert_eq!(span(Span::from_millis(90_500)), "1m30s500ms");
        assert_eq!(age(Time::from_millis(7_200_000), Time::ZERO), "2h");
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(5_000, "message"), "5,000 messages");
        assert_eq!(clipped("a\nbcdef", 5), "a bc…");
    }
}
