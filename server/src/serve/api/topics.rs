//! Topics: made, shown, changed, removed.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{Event, Inspect, Op, View};
use serde::Deserialize;

use super::call::Call;
use super::failure::Failure;
use super::input::Object;
use super::policy::TopicIn;
use super::{answer, done};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    #[serde(default = "one")]
    partitions: u32,
    #[serde(default)]
    policy: Object<TopicIn>,
}

fn one() -> u32 {
    1
}

/// `PUT /v1/topics/{topic}`
pub(super) async fn create(mut call: Call) -> Result<Response, Failure> {
    let Create { partitions, policy } = call.json().await?;
    let name = call.name("topic");
    let policy = policy.0.policy();
    call.ask(Op::CreateTopic { name: name.as_str().into(), partitions, policy }).await?;
    Ok(done(format!("topic {name} is there")))
}

/// `GET /v1/topics/{topic}`
pub(super) async fn describe(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::Topic(call.name("topic").into())).await?;
    let Event::Inspected { view: View::Topic(topic), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &topic))
}

/// `DELETE /v1/topics/{topic}`
pub(super) async fn delete(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let name = call.name("topic");
    call.ask(Op::DeleteTopic { name: name.as_str().into() }).await?;
    Ok(done(format!("topic {name} is deleted")))
}

/// `PUT /v1/topics/{topic}/policy`
pub(super) async fn alter(mut call: Call) -> Result<Response, Failure> {
    let policy = call.json::<TopicIn>().await?.policy();
    let name = call.name("topic");
    call.ask(Op::AlterTopic { name: name.as_str().into(), policy }).await?;
    Ok(done(format!("topic {name} has another policy")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    partitions: u32,
}

/// `PUT /v1/topics/{topic}/partitions`
pub(super) async fn add_partitions(mut call: Call) -> Result<Response, Failure> {
    let Partitions { partitions } = call.json().await?;
    let name = call.name("topic");
    call.ask(Op::AddPartitions { topic: name.as_str().into(), partitions }).await?;
    Ok(done(format!("topic {name} has {partitions} partitions")))
}
