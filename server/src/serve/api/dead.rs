//! Dead letters: where they lie, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::limits::PAGE_MAX;
use fanlight_core::{
    Code, Condition, DeathReason, Event, Inspect, Listed, MessageView, Offset, Op, Page, Pick,
    QueueView, RedriveId, RedriveView, View,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::answer;
use super::call::Call;
use super::exchanges::Wanted;
use super::failure::Failure;
use super::input::{self, Object, TimeIn};
use super::line::{Kind, Reply};
use super::lists;
use super::message::{self, Encoding};
use crate::cli::message::Message;

/// Rows of a page where it does not say.
const ROWS: u32 = 100;

/// A queue that others name as where their dead go.
#[derive(Serialize)]
struct DeadLetters {
    queue: QueueView,
    /// Those others: queues, and parts of work groups.
    sources: Vec<String>,
}

/// `GET /v1/dead-letters`
pub(super) async fn list(mut call: Call) -> Result<Response, Failure> {
    let after = call.text("after")?.unwrap_or_default();
    let max = call.count("max")?.unwrap_or(ROWS);
    call.no_more()?;
    if !(1..=PAGE_MAX as u32).contains(&max) {
        return Err(Failure::argument(format!("max should be 1 to {PAGE_MAX}")));
    }
    let mut sources: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for of in [Listed::Queues, Listed::WorkGroups] {
        let mut from = Some(String::new());
        while let Some(name) = from {
            let Page { list, next } = lists::page(&call, of, &name, PAGE_MAX as u32).await?;
            let parts = list.work_groups.iter().flat_map(|group| &group.parts);
            for queue in list.queues.iter().chain(parts) {
                if let Some(dead) = &queue.policy.dead_letter {
                    sources.entry(dead.to_string()).or_default().insert(queue.name.clone());
                }
            }
            from = next;
        }
    }
    let mut shown = Vec::new();
    let mut last = None;
    let range = (Bound::Excluded(after), Bound::Unbounded);
    for (name, sources) in sources.range::<String, _>(range) {
        if shown.len() == max as usize {
            return Ok(answer(StatusCode::OK, &json!({ "deadLetters": shown, "next": last })));
        }
        match queue(&call, name).await {
            Ok(queue) => {
                shown.push(DeadLetters { queue, sources: sources.iter().cloned().collect() });
                last = Some(name);
            }
            // Others lead there, and this user may not see it; or it is gone meanwhile.
            Err(failure) if failure.is(Code::AccessRefused) || failure.is(Code::UnknownQueue) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(answer(StatusCode::OK, &json!({ "deadLetters": shown, "next": null })))
}

async fn queue(call: &Call, name: &str) -> Result<QueueView, Failure> {
    let reply = call.inspect(Inspect::Queue(name.into())).await?;
    let Event::Inspected { view: View::Queue(queue), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(queue)
}

/// `GET /v1/queues/{queue}/dead-letter-sources`
pub(super) async fn sources(mut call: Call) -> Result<Response, Failure> {
    let after = call.text("after")?.unwrap_or_default();
    let max = call.count("max")?.unwrap_or(ROWS);
    call.no_more()?;
    if !(1..=PAGE_MAX as u32).contains(&max) {
        return Err(Failure::argument(format!("max should be 1 to {PAGE_MAX}")));
    }
    let what =
        Inspect::DeadLetterSources { queue: call.name("queue").into(), after: after.into(), max };
    let reply = call.inspect(what).await?;
    let Event::Inspected { view: View::Page(page), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    let body = json!({ "queues": page.list.queues, "next": page.next });
    Ok(answer(StatusCode::OK, &body))
}

/// What has to hold of a dead letter: all that is named.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Filter {
    reason: Option<DeathReason>,
    origin: Option<String>,
    headers: Vec<Object<Wanted>>,
    key: Option<String>,
    died_since: Option<TimeIn>,
    died_until: Option<TimeIn>,
    attempts_min: Option<u32>,
}

impl Filter {
    fn conditions(self) -> Result<Vec<Condition<'static>>, Failure> {
        let mut all = Vec::new();
        all.extend(self.reason.map(Condition::Reason));
        all.extend(self.origin.map(|queue| Condition::Origin(queue.into())));
        for wanted in self.headers {
            all.push(Condition::Header(wanted.0.header()?));
        }
        if let Some(key) = self.key {
            let key = input::bytes(&key).map_err(Failure::argument)?.into_owned();
            all.push(Condition::Key { key: key.into() });
        }
        all.extend(self.died_since.map(|at| Condition::DiedSince(at.0)));
        all.extend(self.died_until.map(|at| Condition::DiedUntil(at.0)));
        all.extend(self.attempts_min.map(Condition::AttemptsMin));
        Ok(all)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Redrive {
    #[serde(default)]
    offset: Option<Offset>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    body_encoding: Option<Encoding>,
    #[serde(default)]
    max: Option<u32>,
    #[serde(default)]
    filter: Option<Object<Filter>>,
    #[serde(default)]
    to: Option<String>,
}

impl Redrive {
    fn pick(self) -> Result<Pick<'static>, Failure> {
        let Redrive { offset, body, body_encoding, max, filter, to: _ } = self;
        match (offset, max) {
            (Some(offset), None) if filter.is_none() => {
                let mended = body.as_ref().map(|json| message::body(json.get(), body_encoding));
                let mended = mended.transpose().map_err(Failure::argument)?;
                let body = mended.map(|bytes| bytes.into_owned().into());
                Ok(Pick::One { offset, body })
            }
            (None, Some(messages_max)) if body.is_none() => match filter {
                None => Ok(Pick::Oldest { messages_max }),
                Some(filter) => Ok(Pick::Filtered { filter: filter.0.conditions()?, messages_max }),
            },
            (Some(_), _) | (None, _) => Err(Failure::argument(
                "name either offset, for one message, and body if it is to be mended; or max, for \
                 the oldest, and filter if not all of them are meant",
            )),
        }
    }
}

/// `POST /v1/queues/{queue}/redrive`
pub(super) async fn redrive(mut call: Call) -> Result<Response, Failure> {
    let mut given: Redrive = call.json().await?;
    let queue = call.name("queue");
    let to = given.to.take();
    let op =
        Op::Redrive { queue: queue.as_str().into(), to: to.map(Into::into), pick: given.pick()? };
    let reply = call.ask(op).await?;
    let Event::Count { count, left, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &json!({ "queue": queue, "moved": count, "left": left })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Start {
    #[serde(default)]
    filter: Object<Filter>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    rate: Option<u32>,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/queues/{queue}/redrives`
pub(super) async fn start(mut call: Call) -> Result<Response, Failure> {
    let Start { filter, to, rate, dry_run } = call.json().await?;
    let queue = call.name("queue");
    let op = Op::StartRedrive {
        queue: queue.as_str().into(),
        filter: filter.0.conditions()?,
        to: to.map(Into::into),
        rate,
        dry_run,
    };
    if dry_run {
        // It moves nothing, and its end says what it found.
        let reply = call.begin(Kind::Job(None), false)?.send(op).await?;
        let Event::RedriveEnded { redrive, messages } = reply.event()? else {
            return Err(Failure::unexpected());
        };
        return Ok(answer(StatusCode::OK, &found(&redrive, &messages)));
    }
    let reply = call.ask(op).await?;
    let Event::RedriveStarted { redrive, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::ACCEPTED, &json!({ "redrive": redrive })))
}

fn found(redrive: &RedriveView, messages: &[MessageView<'_>]) -> serde_json::Value {
    let shown: Vec<Message<'_, '_>> = messages.iter().map(Message).collect();
    json!({ "job": redrive, "messages": shown })
}

fn jobs_of(reply: &Reply) -> Result<Vec<RedriveView>, Failure> {
    let Event::Inspected { view: View::Redrives(jobs), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(jobs)
}

/// `GET /v1/redrives`
pub(super) async fn jobs(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::Redrives).await?;
    Ok(answer(StatusCode::OK, &json!({ "redrives": jobs_of(&reply)? })))
}

/// `GET /v1/redrives/{redrive}`
pub(super) async fn job(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let id = RedriveId(call.number("redrive")?);
    let reply = call.inspect(Inspect::Redrives).await?;
    match jobs_of(&reply)?.iter().find(|job| job.id == id) {
        Some(job) => Ok(answer(StatusCode::OK, job)),
        None => Err(Code::UnknownRedrive.because(format!("no job {id} is shown")).into()),
    }
}

/// `DELETE /v1/redrives/{redrive}`
pub(super) async fn stop(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let redrive = RedriveId(call.number("redrive")?);
    let reply = call.ask(Op::StopRedrive { redrive }).await?;
    let Event::Count { count, .. } = reply.event()? else { return Err(Failure::unexpected()) };
    Ok(answer(StatusCode::OK, &json!({ "redrive": redrive, "moved": count })))
}
