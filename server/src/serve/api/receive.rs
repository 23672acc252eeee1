//! Receiving, and settling what was received.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::limits::LEASES_PER_REQUEST_MAX;
use fanlight_core::{ConnId, Event, LeaseId, Op, Span};
use serde::{Deserialize, Serialize};

use super::answer;
use super::call::Call;
use super::failure::Failure;
use super::input::Lasting;
use super::line::Kind;
use super::message::Received;
use super::receipt::Receipt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Receive {
    #[serde(default = "one")]
    max: u32,
    #[serde(default)]
    wait: Option<Lasting>,
    #[serde(default)]
    visibility: Option<Lasting>,
    #[serde(default)]
    auto_ack: bool,
}

fn one() -> u32 {
    1
}

#[derive(Serialize)]
struct Messages<'d, 'a> {
    messages: Vec<Received<'d, 'a>>,
    left: u64,
}

/// `POST /v1/queues/{queue}/receive`
pub(super) async fn receive(mut call: Call) -> Result<Response, Failure> {
    let Receive { max, wait, visibility, auto_ack } = call.json().await?;
    let queue = call.name("queue");
    let wait = wait.map_or(Span::ZERO, |wait| wait.0);
    let op = Op::Receive {
        queue: queue.as_str().into(),
        messages_max: max,
        wait,
        visibility: visibility.map(|visibility| visibility.0),
        auto_ack,
    };
    let kind = if auto_ack { Kind::Wait } else { Kind::Receive };
    let asking = call.begin(kind, wait > Span::ZERO)?;
    let conn = asking.line.conn;
    let reply = asking.send(op).await?;
    let Event::Received { deliveries, left, .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    let receipt = |lease| Receipt { conn, lease, queue: queue.clone() };
    let received = deliveries.iter().map(|delivery| Received {
        delivery,
        receipt: (!auto_ack).then(|| receipt(delivery.lease)),
    });
    Ok(answer(StatusCode::OK, &Messages { messages: received.collect(), left }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipts {
    receipts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nacked {
    receipts: Vec<String>,
    #[serde(default)]
    delay: Option<Lasting>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extended {
    receipts: Vec<String>,
    visibility: Lasting,
}

#[derive(Default, Serialize)]
struct Settled {
    settled: u32,
    stale: Vec<String>,
}

/// `POST /v1/queues/{queue}/ack`
pub(super) async fn ack(mut call: Call) -> Result<Response, Failure> {
    let Receipts { receipts } = call.json().await?;
    settle(&call, receipts, Kind::Settle, |leases| Op::Ack { leases: leases.into() }).await
}

/// `POST /v1/queues/{queue}/nack`
pub(super) async fn nack(mut call: Call) -> Result<Response, Failure> {
    let Nacked { receipts, delay } = call.json().await?;
    let delay = delay.map_or(Span::ZERO, |delay| delay.0);
    settle(&call, receipts, Kind::Settle, |leases| Op::Nack { leases: leases.into(), delay }).await
}

/// `POST /v1/queues/{queue}/reject`
pub(super) async fn reject(mut call: Call) -> Result<Response, Failure> {
    let Receipts { receipts } = call.json().await?;
    settle(&call, receipts, Kind::Settle, |leases| Op::Reject { leases: leases.into() }).await
}

/// `POST /v1/queues/{queue}/release`
pub(super) async fn release(mut call: Call) -> Result<Response, Failure> {
    let Receipts { receipts } = call.json().await?;
    settle(&call, receipts, Kind::Settle, |leases| Op::Release { leases: leases.into() }).await
}

/// `POST /v1/queues/{queue}/extend`
pub(super) async fn extend(mut call: Call) -> Result<Response, Failure> {
    let Extended { receipts, visibility: Lasting(visibility) } = call.json().await?;
    let extend = |leases: Vec<LeaseId>| Op::Extend { leases: leases.into(), visibility };
    settle(&call, receipts, Kind::Extend(visibility), extend).await
}

/// Settles what each of the connections holds that these receipts name. Those that are not its any
/// more are told, and are no failure: whoever settles twice has done nothing wrong.
async fn settle(
    call: &Call,
    receipts: Vec<String>,
    kind: Kind,
    op: impl Fn(Vec<LeaseId>) -> Op<'static>,
) -> Result<Response, Failure> {
    let mut done = Settled::default();
    for (conn, given) in sorted(&call.name("queue"), receipts)? {
        let Some(asking) = call.begin_on(conn, kind) else {
            done.stale.extend(given.into_iter().map(|(_, text)| text));
            continue;
        };
        let leases = given.iter().map(|(lease, _)| *lease).collect();
        let reply = asking.send(op(leases)).await?;
        let Event::Settled { count, stale, .. } = reply.event()? else {
            return Err(Failure::unexpected());
        };
        done.settled += count;
        let stale: BTreeSet<LeaseId> = stale.iter().copied().collect();
        let given = given.into_iter().filter(|(lease, _)| stale.contains(lease));
        done.stale.extend(given.map(|(_, text)| text));
    }
    Ok(answer(StatusCode::OK, &done))
}

/// By the connection that gave them out: the leases, each with its receipt.
type Given = BTreeMap<ConnId, Vec<(LeaseId, String)>>;

fn sorted(queue: &str, receipts: Vec<String>) -> Result<Given, Failure> {
    if !(1..=LEASES_PER_REQUEST_MAX).contains(&receipts.len()) {
        return Err(Failure::argument(format!(
            "receipts should name at least one and at most {LEASES_PER_REQUEST_MAX}"
        )));
    }
    let mut all = Given::new();
    for text in receipts {
        let Some(receipt) = Receipt::read(&text) else {
            return Err(Failure::argument(format!(
                "{text:?} is no receipt; a receipt comes with each message that is received"
            )));
        };
        if receipt.queue != queue {
            return Err(Failure::argument(format!(
                "the receipt {text:?} is of the queue {:?}, not of {queue:?}",
                receipt.queue
            )));
        }
        all.entry(receipt.conn).or_default().push((receipt.lease, text));
    }
    Ok(all)
}
