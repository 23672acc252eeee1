//! Publishing: to a queue, to a topic, through an exchange.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{Append, Duplicate, Event, Op, Place, Records, Target, Unroutable};
use serde_json::{Value, json};

use super::answer;
use super::call::{Call, unsupported};
use super::failure::Failure;
use super::line::{Kind, Reply};
use super::message::{self, Beside, Read};

/// The kinds of body that are read.
const KINDS: &str = "application/x-ndjson (a message a line), text/plain or \
                     application/octet-stream (the body of one message, as it is), or \
                     application/json (one message, or an array of them)";

/// `POST /v1/queues/{queue}/messages`
pub(super) async fn to_queue(call: Call) -> Result<Response, Failure> {
    let name = call.name("queue");
    publish(call, Target::Queue { name: name.as_str().into() }, Unroutable::Refuse).await
}

/// `POST /v1/topics/{topic}/messages`
pub(super) async fn to_topic(mut call: Call) -> Result<Response, Failure> {
    let name = call.name("topic");
    let partition = call.count("partition")?;
    publish(call, Target::Topic { name: name.as_str().into(), partition }, Unroutable::Refuse).await
}

/// `POST /v1/exchanges/{exchange}/messages`
pub(super) async fn through_exchange(mut call: Call) -> Result<Response, Failure> {
    let name = call.name("exchange");
    let routing_key = call.text("routingKey")?.unwrap_or_default();
    let unroutable = call.parameter("unroutable", |text| match text {
        "refuse" => Ok(Unroutable::Refuse),
        "return" => Ok(Unroutable::Return),
        "drop" => Ok(Unroutable::Drop),
        _ => Err("it should be refuse, return or drop".to_owned()),
    })?;
    let to =
        Target::Exchange { name: name.as_str().into(), routing_key: routing_key.as_str().into() };
    publish(call, to, unroutable.unwrap_or_default()).await
}

async fn publish(
    mut call: Call,
    to: Target<'_>,
    unroutable: Unroutable,
) -> Result<Response, Failure> {
    let kind = call.content_type();
    let plain = matches!(kind.as_deref(), Some("text/plain" | "application/octet-stream"));
    let beside = match plain {
        true => beside(&mut call)?,
        false => Beside::default(),
    };
    call.no_more()?;
    if !plain && !matches!(kind.as_deref(), Some("application/json" | "application/x-ndjson")) {
        return Err(unsupported(kind.as_deref(), KINDS));
    }
    let load = call.load(call.messages_bytes_max()).await?;
    let records = match kind.as_deref() {
        Some("application/json") => message::batch(&load.bytes)?,
        Some("application/x-ndjson") => message::lines(&load.bytes)?,
        Some(_) | None => message::plain(&load.bytes, &beside)?,
    };
    let count = records.count();
    let target = to.clone();
    let op = Op::Publish { to, confirm: true, unroutable, records, by: None, transactional: false };
    let asking = call.begin(Kind::Plain, false)?;
    let reply = asking.send(op).await;
    let reply = reply.map_err(|failure| failure.of(&call.guest.account))?;
    published(&reply, count, &target)
}

fn beside(call: &mut Call) -> Result<Beside, Failure> {
    Ok(Beside {
        key: call.text("key")?,
        id: call.text("id")?,
        ttl: call.span("ttl")?,
        delay: call.span("delay")?,
        priority: call.count("priority")?,
    })
}

fn published(reply: &Reply, count: u32, to: &Target<'_>) -> Result<Response, Failure> {
    let Event::Published { appends, duplicates, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    let places: Vec<Value> = appends.iter().map(|append| place(append, to)).collect();
    let mut told = json!({ "published": count, "places": places });
    if !duplicates.is_empty() {
        let duplicate = |duplicate: &Duplicate| {
            let Duplicate { queue, index, offset } = duplicate;
            json!({ "queueId": queue, "index": index, "offset": offset })
        };
        told["duplicates"] = duplicates.iter().map(duplicate).collect();
    }
    for event in reply.before() {
        if let Event::Returned { refusal, records, .. } = event {
            told["published"] = json!(count - records.count().min(count));
            told["returned"] = json!({ "reason": refusal.message, "messages": returned(&records) });
        }
    }
    if reply.slowed {
        told["slowDown"] = json!(true);
    }
    Ok(answer(StatusCode::ACCEPTED, &told))
}

/// Where a batch came to lie, with the name under which it was sent there.
fn place(append: &Append, to: &Target<'_>) -> Value {
    let mut told = match append.place {
        Place::Queue(queue) => json!({ "queueId": queue, "offset": append.base }),
        Place::Partition(topic, partition) => {
            json!({ "topicId": topic, "partition": partition, "offset": append.base })
        }
    };
    match to {
        Target::Queue { name } => told["queue"] = json!(name),
        Target::Topic { name, .. } => told["topic"] = json!(name),
        Target::Exchange { .. } => {}
    }
    told
}

fn returned(records: &Records<'_>) -> Value {
    let shown = records
        .iter()
        .map(|record| serde_json::to_value(Read { offset: None, record }).unwrap_or_default());
    shown.collect()
}
