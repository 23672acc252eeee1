//! Control requests over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{self, Body};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use fanlight_core::Span;

use super::faults::FaultAsk;
use super::{Ask, Asked, Asker, ClockAsk, REQUEST_BYTES_MAX, Trouble, answer, permit, span};
use crate::serve::http::Site;
use crate::serve::mailbox::{Mailbox, Outgoing};
use crate::serve::shard::Message;
use crate::serve::sockets::Peer;

/// How long an answer may take: an advance takes its time, and waits for others before it.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// More than any answer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The addresses of control requests.
pub(crate) fn router() -> Router<Site> {
    Router::new()
        .route("/v1/clock", get(show))
        .route("/v1/clock/advance", post(advance))
        .route("/v1/clock/freeze", post(freeze))
        .route("/v1/clock/resume", post(resume))
        .route("/v1/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/v1/faults/restart", post(restart))
        .route("/v1/faults/{id}", delete(clear_fault))
}

async fn show(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Clock(ClockAsk::Show))).await
}

async fn freeze(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Clock(ClockAsk::Freeze))).await
}

async fn resume(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Clock(ClockAsk::Resume))).await
}

/// What is asked of `/v1/clock/advance`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(deserialize_with = "span")]
    by: Span,
}

async fn advance(State(site): State<Site>, from: From, request: Request<Body>) -> Response {
    let what = read(request, "it should be as {\"by\":\"30s\"}").await;
    let what = what.map(|Advance { by }| Ask::Clock(ClockAsk::Advance(by)));
    ask(site, from, what).await
}

/// Where a request came from, what it says of itself, and which address it names.
async fn faults(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Fault(FaultAsk::List))).await
}

async fn add_fault(State(site): State<Site>, from: From, request: Request<Body>) -> Response {
    let example = "it should be as {\"fault\":\"cut\",\"client\":\"billing*\",\"on\":\"jobs\"}";
    let what = read(request, example).await.map(|spec| Ask::Fault(FaultAsk::Add(spec)));
    ask(site, from, what).await
}

async fn restart(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Fault(FaultAsk::Restart))).await
}

async fn clear_faults(State(site): State<Site>, from: From) -> Response {
    ask(site, from, Ok(Ask::Fault(FaultAsk::Clear(None)))).await
}

async fn clear_fault(State(site): State<Site>, Path(id): Path<String>, from: From) -> Response {
    let id = id.parse().map_err(|_| Trouble::bad("a fault is known by a number"));
    ask(site, from, id.map(|id| Ask::Fault(FaultAsk::Clear(Some(id))))).await
}

type From = (Extension<Peer>, HeaderMap, Uri);

/// Reads a body of JSON, whatever it calls itself.
async fn read<T: DeserializeOwned>(request: Request<Body>, example: &str) -> Result<T, Trouble> {
    let body = body::to_bytes(request.into_body(), REQUEST_BYTES_MAX).await.map_err(|_| {
        Trouble::bad(format!(
            "the body could not be read, or has more than {REQUEST_BYTES_MAX} bytes"
        ))
    })?;
    serde_json::from_slice(&body).map_err(|error| Trouble::bad(format!("{error}; {example}")))
}

/// Hands a request on, and waits for its answer.
async fn ask(
    site: Site,
    (Extension(Peer(peer)), headers, uri): From,
    what: Result<Ask, Trouble>,
) -> Response {
    // A page that somebody visits could otherwise move the clock of a server on the same machine.
    if let Err(reason) = site.doors.origin(&headers) {
        site.gate.turned_away(&reason, peer);
        return refused(&Trouble { code: "forbidden", message: reason });
    }
    let guest = match site.gate.admit(&headers, peer).await {
        Ok(guest) => guest,
        Err(denied) => return denied.into_response(),
    };
    let namespace = match site.namespaces.of(&uri) {
        Ok(namespace) => namespace,
        Err(unknown) => return refused(&Trouble { code: "not_found", message: unknown }),
    };
    let what = match what.and_then(|ask| permit(ask, &guest.account)) {
        Ok(ask) => Ok(ask),
        Err(trouble) => return refused(&trouble),
    };
    let mailbox = Arc::new(Mailbox::new(ANSWER_BYTES_MAX));
    let asked = Asked { asker: Asker::Mailbox(mailbox.clone()), id: None, what };
    let answered = async {
        namespace.shard.send(Message::Control(asked)).await.ok()?;
        match mailbox.next().await {
            Outgoing::Text(text) => Some(text),
            Outgoing::Frames(_) | Outgoing::Close(_) => None,
        }
    };
    match tokio::time::timeout(ANSWER_WAIT, answered).await {
        Ok(Some(text)) => respond(text),
        Ok(None) | Err(_) => refused(&Trouble {
            code: "unavailable",
            message: "the broker does not answer".to_owned(),
        }),
    }
}

fn refused(trouble: &Trouble) -> Response {
    respond(answer(None, Err(trouble)))
}

/// An answer with the status that its error has.
fn respond(text: String) -> Response {
    let status = match code(&text).as_deref() {
        None => StatusCode::OK,
        Some("bad_request") => StatusCode::BAD_REQUEST,
        Some("forbidden") => StatusCode::FORBIDDEN,
        Some("not_found") => StatusCode::NOT_FOUND,
        Some("unavailable") => StatusCode::SERVICE_UNAVAILABLE,
        Some(_) => StatusCode::CONFLICT,
    };
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], text + "\n").into_response()
}

fn code(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Answered {
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: String,
    }
    serde_json::from_str::<Answered>(text).ok()?.error.map(|error| error.code)
}
