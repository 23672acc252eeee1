//! What the documents say is what the code does.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
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
