//! Records of a topic: read without a group, and let go.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{Budget, Event, Fetched, Inspect, Isolation, Offset, Op, Position, Span, View};
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::failure::Failure;
use super::input::{self, PositionIn};
use super::line::Kind;
use super::message::Read;
use super::{answer, done};

/// Records that a read brings where it does not say.
const RECORDS: u32 = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Records<'a> {
    records: Vec<Read<'a>>,
    /// Where to read on.
    next: Offset,
    start: Offset,
    end: Offset,
    stable_end: Offset,
}

/// `GET /v1/topics/{topic}/partitions/{partition}/records`
pub(super) async fn read(mut call: Call) -> Result<Response, Failure> {
    let from = call.parameter("from", input::position)?.unwrap_or(Position::Earliest);
    let wait = call.span("wait")?.unwrap_or(Span::ZERO);
    let isolation = call.parameter("isolation", |text| match text {
        "uncommitted" => Ok(Isolation::Uncommitted),
        "committed" => Ok(Isolation::Committed),
        _ => Err("it should be uncommitted or committed".to_owned()),
    })?;
    let isolation = isolation.unwrap_or_default();
    let records_max = call.count("max")?.unwrap_or(RECORDS);
    call.no_more()?;
    let budget = Budget { isolation, ..Budget::waiting(records_max, wait) };
    let (topic, partition) = (call.name("topic"), call.number("partition")?);
    let op = Op::Read { topic: topic.as_str().into(), partition, from, budget };
    let asking = call.begin(Kind::Wait, wait > Span::ZERO)?;
    let reply = asking.send(op).await?;
    let Event::ReadDone { start, end, stable_end, batch, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    let seen_end = match isolation {
        Isolation::Uncommitted => end,
        Isolation::Committed => stable_end,
    };
    let next = match (&batch, from) {
        (Some(batch), _) => batch.next,
        (None, Position::At(offset)) => offset,
        (None, Position::Earliest | Position::Latest | Position::Since(_)) => seen_end,
    };
    let records = batch.as_ref().map(shown).unwrap_or_default();
    Ok(answer(StatusCode::OK, &Records { records, next, start, end, stable_end }))
}

fn shown<'a>(batch: &'a Fetched<'_>) -> Vec<Read<'a>> {
    let numbered = (0..).zip(batch.records.iter());
    numbered.map(|(at, record)| Read { offset: Some(batch.offset(at)), record }).collect()
}

/// `GET /v1/topics/{topic}/partitions/{partition}/records/{offset}/journey`
pub(super) async fn journey(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let what = Inspect::Record {
        topic: call.name("topic").into(),
        partition: call.number("partition")?,
        offset: Offset(call.number("offset")?),
    };
    let reply = call.inspect(what).await?;
    let Event::Inspected { view: View::Journey(journey), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &journey))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trim {
    before: PositionIn,
}

/// `POST /v1/topics/{topic}/partitions/{partition}/trim`
pub(super) async fn trim(mut call: Call) -> Result<Response, Failure> {
    let Trim { before: PositionIn(before) } = call.json().await?;
    let (topic, partition) = (call.name("topic"), call.number("partition")?);
    call.ask(Op::DeleteRecords { topic: topic.as_str().into(), partition, before }).await?;
    Ok(done(format!("what was before is gone from {topic}/{partition}")))
}
