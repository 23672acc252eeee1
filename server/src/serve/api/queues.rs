//! Queues: made, shown, changed, emptied, removed; and what is in them.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::limits::PEEK_MAX;
use fanlight_core::{Event, Inspect, MessageView, Offset, Op, View};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::failure::Failure;
use super::line::Reply;
use super::policy::QueueIn;
use super::{answer, done};
use crate::cli::message::Message;

/// Messages that a look at a queue shows where it does not say.
const SHOWN: u32 = 20;

/// `PUT /v1/queues/{queue}`
pub(super) async fn declare(mut call: Call) -> Result<Response, Failure> {
    let policy = call.json::<QueueIn>().await?.policy()?;
    let name = call.name("queue");
    call.ask(Op::DeclareQueue { name: name.as_str().into(), policy }).await?;
    Ok(done(format!("queue {name} is declared")))
}

/// `PUT /v1/queues/{queue}/policy`
pub(super) async fn alter(mut call: Call) -> Result<Response, Failure> {
    let policy = call.json::<QueueIn>().await?.policy()?;
    let name = call.name("queue");
    call.ask(Op::AlterQueue { name: name.as_str().into(), policy }).await?;
    Ok(done(format!("queue {name} has another policy")))
}

/// `GET /v1/queues/{queue}`
pub(super) async fn describe(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let name = call.name("queue");
    let reply = call.inspect(Inspect::Queue(name.into())).await?;
    let Event::Inspected { view: View::Queue(queue), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &queue))
}

/// `DELETE /v1/queues/{queue}`
pub(super) async fn delete(mut call: Call) -> Result<Response, Failure> {
    let (if_empty, if_unused) = (call.flag("ifEmpty")?, call.flag("ifUnused")?);
    call.no_more()?;
    let name = call.name("queue");
    call.ask(Op::DeleteQueue { name: name.as_str().into(), if_empty, if_unused }).await?;
    Ok(done(format!("queue {name} is deleted")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    #[serde(default)]
    all: bool,
}

/// `POST /v1/queues/{queue}/purge`
pub(super) async fn purge(mut call: Call) -> Result<Response, Failure> {
    let Purge { all } = call.json().await?;
    let name = call.name("queue");
    let reply = call.ask(Op::PurgeQueue { name: name.as_str().into(), all }).await?;
    let Event::Count { count, .. } = reply.event()? else { return Err(Failure::unexpected()) };
    Ok(answer(StatusCode::OK, &json!({ "queue": name, "purged": count })))
}

async fn look(call: &Call, from: Offset, max: u32) -> Result<Reply, Failure> {
    let name = call.name("queue");
    call.ask(Op::Peek { queue: name.as_str().into(), from, messages_max: max }).await
}

fn messages(reply: &Reply) -> Result<Vec<MessageView<'_>>, Failure> {
    let Event::Inspected { view: View::Messages(messages), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(messages)
}

/// `GET /v1/queues/{queue}/messages`
pub(super) async fn peek(mut call: Call) -> Result<Response, Failure> {
    let from = Offset(call.count("from")?.unwrap_or(0));
    let max = call.count("max")?.unwrap_or(SHOWN);
    call.no_more()?;
    if !(1..=PEEK_MAX as u32).contains(&max) {
        return Err(Failure::argument(format!("max should be 1 to {PEEK_MAX}")));
    }
    let reply = look(&call, from, max).await?;
    let seen = messages(&reply)?;
    let next = seen.last().map(|message| message.offset.plus(1));
    let shown: Vec<Message<'_, '_>> = seen.iter().map(Message).collect();
    Ok(answer(StatusCode::OK, &Shown { messages: shown, next }))
}

#[derive(serde::Serialize)]
struct Shown<'v, 'a> {
    messages: Vec<Message<'v, 'a>>,
    next: Option<Offset>,
}

/// `GET /v1/queues/{queue}/messages/{offset}`
pub(super) async fn message(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let offset = Offset(call.number("offset")?);
    let reply = look(&call, offset, 1).await?;
    match messages(&reply)?.first() {
        Some(message) if message.offset == offset => Ok(answer(StatusCode::OK, &Message(message))),
        Some(_) | None => {
            let what = format!("queue {} holds no message at {offset}", call.name("queue"));
            Err(fanlight_core::Code::UnknownMessage.because(what).into())
        }
    }
}

/// `GET /v1/queues/{queue}/messages/{offset}/journey`
pub(super) async fn journey(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let (name, offset) = (call.name("queue"), Offset(call.number("offset")?));
    let reply = call.inspect(Inspect::Message { queue: name.into(), offset }).await?;
    let Event::Inspected { view: View::Journey(journey), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &journey))
}
