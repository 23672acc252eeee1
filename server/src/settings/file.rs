//! The configuration file: TOML, and each mistake with its line.

use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::table::{Row, TABLE};
use crate::cli::nearest;

/// What a file says of one setting.
pub(super) struct Said {
    /// Which row of the table.
    pub(super) row: usize,
    /// In which line.
    pub(super) line: usize,
    /// Its value, as text.
    pub(super) text: String,
}

/// Reads a file; a sentence with file and line if anything in it is not as it should be.
pub(super) fn read(path: &Path) -> Result<Vec<Said>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the configuration {} cannot be read: {error}", path.display()))?;
    parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
}

/// A line, and what is wrong with it.
type Wrong = (usize, String);

fn parse(text: &str) -> Result<Vec<Said>, Wrong> {
    let line = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line(at), format!("this is not TOML: {}", error.message().trim()))
    })?;
    let mut said = Vec::new();
    for (key, value) in in_order(document.get_ref()) {
        let name: &str = key.get_ref();
        let at = line(key.span().start);
        let DeValue::Table(section) = value.get_ref() else {
            said.push(one(name, at, value.get_ref())?);
            continue;
        };
        if !sections().contains(&name) {
            return Err((at, unknown_section(name)));
        }
        for (key, value) in in_order(section) {
            let full = format!("{name}.{}", key.get_ref());
            said.push(one(&full, line(key.span().start), value.get_ref())?);
        }
    }
    Ok(said)
}

type Entry<'a, 'i> = (&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>);

/// The entries of a table as they were written, so that the first mistake is told first.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<Entry<'a, 'i>> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn one(key: &str, line: usize, value: &DeValue<'_>) -> Result<Said, Wrong> {
    let Some(row) = TABLE.iter().position(|row| row.key == key) else {
        return Err((line, unknown(key)));
    };
    let text = text(value).map_err(|what| (line, format!("{key} is {what}")))?;
    Ok(Said { row, line, text })
}

/// A value as flags and variables have it.
fn text(value: &DeValue<'_>) -> Result<String, String> {
    Ok(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| format!("{}, which is no number", number.as_str()))?
            .to_string(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Array(items) => {
            let items: Result<Vec<String>, String> =
                items.iter().map(|item| text(item.get_ref())).collect();
            items?.join(",")
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            return Err(format!("a {}, which no setting takes", value.type_str()));
        }
    })
}

fn section(row: &Row) -> Option<&str> {
    row.key.split_once('.').map(|(section, _)| section)
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = TABLE.iter().filter_map(section).collect();
    sections.dedup();
    sections
}

fn unknown_section(name: &str) -> String {
    match nearest(name, sections().into_iter().map(|section| ((), section))) {
        Some(((), near)) => format!("there is no section [{name}]; did you mean [{near}]?"),
        None => {
            format!("there is no section [{name}]; there are [{}]", sections().join("], ["))
        }
    }
}

/// What to say of a key that is none: the nearest by its name, or by its name in any section.
pub(super) fn unknown(key: &str) -> String {
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let name = key.rsplit('.').next().unwrap_or(key);
    let whole = nearest(key, TABLE.iter().map(|row| (&row.key, row.key.as_str())));
    let elsewhere = || nearest(name, TABLE.iter().map(|row| (&row.key, last(&row.key))));
    match whole.or_else(elsewhere) {
        Some((near, _)) => format!("there is no setting {key}; did you mean {near}?"),
        None => format!("there is no setting {key}; `fanlight config` lists all of them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Wrong {
        match parse(text) {
            Err(wrong) => wrong,
            Ok(_) => panic!("nothing is wrong with {text}"),
        }
    }

    #[test]
    fn a_file_is_read_with_the_lines_of_what_it_says() {
        let said = parse("listen = \"[::]:1\"\n\n[limits]\nqueues_max = 1_000\n").expect("right");
        let said: Vec<_> =
            said.iter().map(|s| (TABLE[s.row].key.as_str(), s.line, s.text.as_str())).collect();
        assert_eq!(said, [("listen", 1, "[::]:1"), ("limits.queues_max", 4, "1000")]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_was_meant() {
        let (line, what) = wrong("listen = \"a\"\n[limits]\nqueue_max = 1");
        assert_eq!(line, 3);
        assert!(what.ends_with("did you mean limits.queues_max?"), "{what}");
        let (line, what) = wrong("\n\nlisten_ = 1");
        assert_eq!((line, what.as_str()), (3, "there is no setting listen_; did you mean listen?"));
        assert!(wrong("queues_max = 1").1.contains("limits.queues_max"));
        assert!(wrong("[limit]\na = 1").1.contains("did you mean [limits]?"));
        assert!(wrong("nonsense = 1").1.contains("`fanlight config`"));
        assert_eq!(wrong("listen = \"a\"\nsync = = 1").0, 2);
        assert!(wrong("sync = 1.5").1.contains("a float, which no setting takes"));
    }
}
