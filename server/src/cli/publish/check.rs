//! What a line has to be to become a record, and what picks its key.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cli::names;

/// What a line has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Anything: it is published as it is.
    Raw,
    /// One JSON value.
    Json,
    /// A JSON object, whose top-level field of this name is the record's key.
    Keyed(String),
}

/// A line that is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The record's key.
    pub(crate) key: Option<Vec<u8>>,
    /// Whether there is nothing in it to publish.
    pub(crate) blank: bool,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In which column, from 1, in bytes, if it is in one place.
    pub(crate) column: Option<usize>,
    /// What is wrong.
    pub(crate) why: String,
    /// What would be right.
    pub(crate) right: String,
}

impl Rules {
    /// Checks a line without its line break.
    pub(crate) fn check(&self, line: &[u8]) -> Result<Checked, Fault> {
        let blank = line.iter().all(u8::is_ascii_whitespace);
        match self {
            Rules::Raw => Ok(Checked { key: None, blank: line.is_empty() }),
            Rules::Json | Rules::Keyed(_) if blank => Ok(Checked { key: None, blank }),
            Rules::Json => {
                parse::<IgnoredAny>(line)?;
                Ok(Checked { key: None, blank })
            }
            Rules::Keyed(field) => Ok(Checked { key: key(line, field)?, blank }),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Fault> {
    let right = "each line has to be one JSON value (--raw publishes lines as they are)";
    let text = std::str::from_utf8(line).map_err(|error| Fault {
        column: Some(error.valid_up_to() + 1),
        why: "this is not UTF-8, as JSON is".to_owned(),
        right: right.to_owned(),
    })?;
    serde_json::from_str(text).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        Fault {
            // A line that ends too early has its fault after its last byte.
            column: Some(error.column().max(1)),
            why: format!("this is not JSON: {why}"),
            right: right.to_owned(),
        }
    })
}

/// The key in a line; None if the field is null.
fn key(line: &[u8], field: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Line::Object(entries) = parse(line)? else {
        return Err(Fault {
            column: None,
            why: "this is JSON, but not an object".to_owned(),
            right: format!("with --key {field} a line has to be an object with that field"),
        });
    };
    // As parsers of JSON do: of fields of the same name the last one counts.
    let Some((_, value)) = entries.iter().rev().find(|(name, _)| name == field) else {
        let fields = entries.iter().map(|(name, _)| ((), name.as_str()));
        let why = match names::nearest(field, fields) {
            Some(((), near)) => format!("the object has no field {field}; did you mean {near}?"),
            None => {
                let shown: Vec<&str> = entries.iter().map(|(n, _)| n.as_str()).take(8).collect();
                let more = if entries.len() > shown.len() { ", …" } else { "" };
                format!("the object has no field {field}; it has: {}{more}", shown.join(", "))
            }
        };
        let right = format!("with --key {field} every line has to have that field");
        return Err(Fault { column: None, why, right });
    };
    match value.get().as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => Ok(Some(parse::<String>(value.get().as_bytes())?.into_bytes())),
        [b'{' | b'[', ..] => Err(Fault {
            column: None,
            why: format!("the field {field} is not a single value"),
            right: "a key has to be a string, a number, true, false or null".to_owned(),
        }),
        scalar => Ok(Some(scalar.to_vec())),
    }
}

/// A line's value: its fields, if it is an object.
enum Line<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Line<'a>, D::Error> {
        let raw = <&'a RawValue>::deserialize(d)?;
        if !raw.get().starts_with('{') {
            return Ok(Line::Other);
        }
        // It was read as a whole, so reading it again cannot fail.
        let Fields(fields) = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Line::Object(fields))
    }
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Fields<'a>, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(line: &str) -> Result<Option<Vec<u8>>, Fault> {
        Rules::Keyed("country".to_owned()).check(line.as_bytes()).map(|checked| checked.key)
    }

    fn key_of(line: &str) -> String {
        String::from_utf8(keyed(line).expect("right").expect("a key")).expect("text")
    }

    #[test]
    fn the_key_is_the_fields_text_or_number() {
        assert_eq!(key_of(r#"{"a":{"country":"x"},"country":"United Kingdom"}"#), "United Kingdom");
        assert_eq!(key_of(r#"{"country":"S\u00e3o \"T\""}"#), "São \"T\"");
        assert_eq!(key_of(r#"{"country": 12.50 }"#), "12.50");
        assert_eq!(key_of(r#"{"country":true}"#), "true");
        assert_eq!(key_of(r#"{"country":1,"country":2}"#), "2");
        assert_eq!(keyed(r#"{"country":null}"#), Ok(None));
    }

    #[test]
    fn a_line_that_is_no_json_names_its_column() {
        let fault = keyed(r#"{"country":"France",}"#).expect_err("a comma too many");
        assert_eq!(fault.column, Some(21));
        assert!(fault.why.starts_with("this is not JSON: key must be a string"), "{fault:?}");
        let fault = Rules::Json.check(b"[1] 2").expect_err("two values");
        assert_eq!(fault.column, Some(5));
        let fault = Rules::Json.check(b"\"a\xff\"").expect_err("not UTF-8");
        assert_eq!(fault.column, Some(3));
        let fault = Rules::Json.check(b"{\"a\":").expect_err("cut off");
        assert_eq!(fault.column, Some(5));
    }

    #[test]
    fn a_line_without_the_key_says_what_it_has() {
        let fault = keyed(r#"{"contry":"France","id":1}"#).expect_err("mistyped");
        assert_eq!(fault.why, "the object has no field country; did you mean contry?");
        let fault = keyed(r#"{"id":1,"at":2}"#).expect_err("lacking");
        assert_eq!(fault.why, "the object has no field country; it has: id, at");
        assert!(keyed("[1]").expect_err("an array").why.contains("not an object"));
        let fault = keyed(r#"{"country":{"code":"F"}}"#).expect_err("nested");
        assert!(fault.why.contains("not a single value"));
    }

    #[test]
    fn blank_lines_are_passed_over_and_raw_lines_are_taken_as_they_are() {
        assert!(Rules::Json.check(b"  \t").expect("blank").blank);
        assert!(!Rules::Raw.check(b"  ").expect("raw").blank);
        assert!(!Rules::Raw.check(b"\xff\xfe").expect("raw").blank);
    }
}
