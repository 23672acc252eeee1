//! What there is: lists in pages, the overview, connections.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::limits::PAGE_MAX;
use fanlight_core::{ConnId, Event, Inspect, Listed, Overview, Page, View};
use serde_json::json;

use super::answer;
use super::call::Call;
use super::failure::Failure;

/// Rows of a page where it does not say.
const ROWS: u32 = 100;

/// `GET /v1/overview`
pub(super) async fn overview(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::Overview).await?;
    let Event::Inspected { view: View::Overview(overview), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &overview))
}

/// One page of a list.
pub(super) async fn page(call: &Call, of: Listed, after: &str, max: u32) -> Result<Page, Failure> {
    let reply = call.inspect(Inspect::List { of, after: after.into(), max }).await?;
    let Event::Inspected { view: View::Page(page), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(page)
}

async fn list(mut call: Call, of: Listed) -> Result<Response, Failure> {
    let after = call.text("after")?.unwrap_or_default();
    let max = call.count("max")?.unwrap_or(ROWS);
    call.no_more()?;
    if !(1..=PAGE_MAX as u32).contains(&max) {
        return Err(Failure::argument(format!("max should be 1 to {PAGE_MAX}")));
    }
    let Page { list, next } = page(&call, of, &after, max).await?;
    let Overview { exchanges, queues, topics, groups, connections, work_groups, .. } = list;
    let body = match of {
        Listed::Exchanges => json!({ "exchanges": exchanges, "next": next }),
        Listed::Queues => json!({ "queues": queues, "next": next }),
        Listed::Topics => json!({ "topics": topics, "next": next }),
        Listed::Groups => json!({ "groups": groups, "next": next }),
        Listed::Connections => json!({ "connections": connections, "next": next }),
        Listed::WorkGroups => json!({ "workGroups": work_groups, "next": next }),
    };
    Ok(answer(StatusCode::OK, &body))
}

/// `GET /v1/exchanges`
pub(super) async fn exchanges(call: Call) -> Result<Response, Failure> {
    list(call, Listed::Exchanges).await
}

/// `GET /v1/queues`
pub(super) async fn queues(call: Call) -> Result<Response, Failure> {
    list(call, Listed::Queues).await
}

/// `GET /v1/topics`
pub(super) async fn topics(call: Call) -> Result<Response, Failure> {
    list(call, Listed::Topics).await
}

/// `GET /v1/groups`
pub(super) async fn groups(call: Call) -> Result<Response, Failure> {
    list(call, Listed::Groups).await
}

/// `GET /v1/work-groups`
pub(super) async fn work_groups(call: Call) -> Result<Response, Failure> {
    list(call, Listed::WorkGroups).await
}

/// `GET /v1/connections`
pub(super) async fn connections(call: Call) -> Result<Response, Failure> {
    list(call, Listed::Connections).await
}

/// `GET /v1/connections/{connection}`
pub(super) async fn connection(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let number = ConnId(call.number("connection")?);
    let reply = call.inspect(Inspect::Connection(number)).await?;
    let Event::Inspected { view: View::Connection(connection), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &connection))
}
