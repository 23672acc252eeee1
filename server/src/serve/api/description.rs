//! The description of every address, for people and for programs.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::call::Call;
use super::failure::Failure;

/// OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /v1/openapi.json`
pub(super) async fn json(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    Ok(([(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::routes;
    use super::*;

    /// The addresses of control requests, which have a router of their own.
    const CONTROL: [(&str, &str); 9] = [
        ("GET", "/v1/clock"),
        ("POST", "/v1/clock/advance"),
        ("POST", "/v1/clock/freeze"),
        ("POST", "/v1/clock/resume"),
        ("GET", "/v1/faults"),
        ("POST", "/v1/faults"),
        ("DELETE", "/v1/faults"),
        ("DELETE", "/v1/faults/{id}"),
        ("POST", "/v1/faults/restart"),
    ];

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).expect("it is JSON")
    }

    #[test]
    fn every_address_is_described_and_nothing_else_is() {
        let own = routes::all().list;
        let own = own.iter().map(|(method, path)| (method.as_str(), *path));
        let routed: BTreeSet<String> = own
            .chain(CONTROL)
            .map(|(method, path)| format!("{} {path}", method.to_lowercase()))
            .collect();
        let description = description();
        let paths = description["paths"].as_object().expect("paths are an object");
        let described = paths.iter().flat_map(|(path, operations)| {
            let operations = operations.as_object().expect("operations are an object");
            operations.keys().map(move |method| format!("{method} {path}"))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), routed);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let description = description();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let path = reference.trim_start_matches('#');
            assert!(description.pointer(path).is_some(), "{reference}");
        }
    }
}
