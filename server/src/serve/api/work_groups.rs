//! Work groups: workers on a topic's records, one by one.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{Event, Inspect, Op, Position, View};
use serde::Deserialize;

use super::call::Call;
use super::failure::Failure;
use super::input::{Object, PositionIn};
use super::policy::QueueIn;
use super::{answer, done};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    topic: String,
    #[serde(default)]
    policy: Object<QueueIn>,
    #[serde(default)]
    from: Option<PositionIn>,
}

/// `PUT /v1/work-groups/{group}`
pub(super) async fn create(mut call: Call) -> Result<Response, Failure> {
    let Create { topic, policy, from } = call.json().await?;
    let (name, policy) = (call.name("group"), policy.0.policy()?);
    let from = from.map_or(Position::Earliest, |from| from.0);
    let topic = topic.as_str().into();
    call.ask(Op::CreateWorkGroup { name: name.as_str().into(), topic, policy, from }).await?;
    Ok(done(format!("work group {name} is there")))
}

/// `GET /v1/work-groups/{group}`
pub(super) async fn describe(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::WorkGroup(call.name("group").into())).await?;
    let Event::Inspected { view: View::WorkGroup(group), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &group))
}

/// `DELETE /v1/work-groups/{group}`
pub(super) async fn delete(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let name = call.name("group");
    call.ask(Op::DeleteWorkGroup { name: name.as_str().into() }).await?;
    Ok(done(format!("work group {name} is deleted")))
}
