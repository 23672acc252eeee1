//! What the documents say is what the code does.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fanlight_core::Limits;

/// Names and defaults, as the code has them.
fn in_code() -> BTreeMap<String, String> {
    let shown = format!("{:?}", Limits::default());
    let fields = shown.trim_start_matches("Limits { ").trim_end_matches(" }");
    let fields = fields.split(", ").filter_map(|field| field.split_once(": "));
    fields.map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_table_of_limits_has_every_limit_and_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next().expect("a row has a name").trim_end_matches('`');
        (name.to_string(), cells.next().expect("a row has a default").to_string())
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), in_code());
}

fn text_of(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The variants of an enum, as its source has them.
fn variants(path: &str, name: &str) -> BTreeSet<String> {
    let source = text_of(path);
    let begins = format!("pub enum {name}<'a> {{");
    let (_, body) = source.split_once(&begins).expect("the enum is in its file");
    let (body, _) = body.split_once("\n}").expect("an enum ends");
    let names = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase))?;
        Some(line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
    });
    names.collect()
}

/// The cells of a document's tables, row by row, without the rows that head them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let tables = text.lines().filter(|line| line.starts_with("| ")).map(|line| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    });
    let heads = ["AMQP", "Kafka", "SQS", "what"];
    tables.filter(|row: &Vec<String>| !heads.contains(&row[0].as_str())).collect()
}

#[test]
fn what_the_translation_names_is_there_and_what_is_not_served_has_its_reason() {
    let text = text_of("docs/translation.md");
    let known = [
        ("Op", variants("core/src/request/op.rs", "Op")),
        ("Event", variants("core/src/event.rs", "Event")),
        ("View", variants("core/src/view.rs", "View")),
        ("Inspect", variants("core/src/request/inspect.rs", "Inspect")),
    ];
    assert!(known.iter().all(|(_, names)| names.len() > 10), "{known:?}");
    for name in text.split('`').skip(1).step_by(2) {
        let Some((of, variant)) = name.split_once("::") else { continue };
        let Some((_, names)) = known.iter().find(|(kind, _)| *kind == of) else { continue };
        assert!(names.contains(variant), "there is no {name}");
    }
    let (served, reasons) = text.split_once("\n## Not served\n").expect("the reasons are last");
    let reasons: BTreeMap<_, _> =
        rows(reasons).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert!(reasons.values().all(|why| !why.is_empty()), "{reasons:?}");
    let served = rows(served);
    assert!(served.len() > 100, "only {} rows were found", served.len());
    for row in served {
        let (what, answer) = (&row[0], &row[1]);
        if answer == "not served" {
            assert!(reasons.contains_key(what), "{what} is not served, and nobody says why");
        } else {
            let named = known.iter().any(|(kind, _)| answer.contains(&format!("`{kind}::")));
            assert!(named || answer == "edge only", "nothing answers {what}: {answer}");
        }
    }
}
