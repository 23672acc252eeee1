//! Consumer groups: shown, their offsets moved and committed, removed.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{CommitOffset, Event, Inspect, Offset, Op, View};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::failure::Failure;
use super::input::{Object, PositionIn};
use super::{answer, done};

/// `GET /v1/groups/{group}`
pub(super) async fn describe(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::Group(call.name("group").into())).await?;
    let Event::Inspected { view: View::Group(group), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &group))
}

/// `DELETE /v1/groups/{group}`
pub(super) async fn delete(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let name = call.name("group");
    call.ask(Op::DeleteGroup { group: name.as_str().into() }).await?;
    Ok(done(format!("group {name} is deleted")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reset {
    topic: String,
    #[serde(default)]
    partition: Option<u32>,
    to: PositionIn,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/groups/{group}/reset`
pub(super) async fn reset(mut call: Call) -> Result<Response, Failure> {
    let Reset { topic, partition, to: PositionIn(to), dry_run } = call.json().await?;
    let group = call.name("group");
    let (group, topic) = (group.as_str().into(), topic.as_str().into());
    let reply = call.ask(Op::ResetOffsets { group, topic, partition, to, dry_run }).await?;
    let Event::OffsetsReset { changes, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &json!({ "changes": changes, "dryRun": dry_run })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    offsets: Vec<Object<OffsetIn>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetIn {
    topic: String,
    partition: u32,
    offset: Offset,
    #[serde(default)]
    metadata: String,
}

/// `POST /v1/groups/{group}/commit`
pub(super) async fn commit(mut call: Call) -> Result<Response, Failure> {
    let Commit { offsets } = call.json().await?;
    let group = call.name("group");
    let offsets: Vec<CommitOffset<'static>> = offsets
        .into_iter()
        .map(|Object(OffsetIn { topic, partition, offset, metadata })| CommitOffset {
            topic: topic.into(),
            partition,
            offset,
            metadata: metadata.into(),
        })
        .collect();
    let op = Op::CommitGroup { group: group.as_str().into(), offsets: offsets.into() };
    call.ask(op).await?;
    Ok(done(format!("group {group} has committed")))
}

/// `DELETE /v1/groups/{group}/topics/{topic}`
pub(super) async fn forget(mut call: Call) -> Result<Response, Failure> {
    let partition = call.count("partition")?;
    call.no_more()?;
    let (group, topic) = (call.name("group"), call.name("topic"));
    let op =
        Op::DeleteOffsets { group: group.as_str().into(), topic: topic.as_str().into(), partition };
    let reply = call.ask(op).await?;
    let Event::Count { count, .. } = reply.event()? else { return Err(Failure::unexpected()) };
    Ok(answer(StatusCode::OK, &json!({ "group": group, "topic": topic, "forgotten": count })))
}
