//! HTTP with JSON, for those who have only curl.
//!
//! A request over HTTP is a request of the protocol: it goes to the shard over a connection without
//! a socket (`line.rs`), so that permissions, quotas, durability and metrics are the same code as for
//! a WebSocket. What is not to be found here is therefore any decision about messages.
//!
//! ```text
//!   request ─► guarded ─► Call ─► one Op over one of the user's lines ─► answer, or Failure
//! ```

mod call;
mod dead;
mod description;
mod exchanges;
mod failure;
mod groups;
mod input;
mod line;
mod lines;
mod lists;
mod message;
mod policy;
mod publish;
mod queues;
mod receipt;
mod receive;
mod records;
mod routes;
mod topics;
mod work_groups;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use fanlight_core::Code;
use serde::Serialize;

use super::http::Site;
use super::sockets::Peer;
pub(crate) use failure::Failure;
use lines::Lines;

/// What every request over HTTP shares.
#[derive(Clone)]
pub(crate) struct Api {
    site: Site,
    lines: Lines,
}

/// Everything under `/v1`.
pub(crate) fn router(site: &Site) -> Router<Site> {
    let api = Api { site: site.clone(), lines: Lines::default() };
    let routes = routes::all().router.layer(middleware::from_fn_with_state(site.clone(), guarded));
    Router::new().merge(routes.with_state(api))
}

/// Lets a request on if it does not come from another's page, and whoever makes it proves who that
/// is, and has something to do in the namespace that it names: the request then carries its
/// [`Guest`](super::gate::Guest) and its [`Namespace`](super::namespaces::Namespace).
pub(crate) async fn guarded(
    State(site): State<Site>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    // A page of another's can send what needs no asking: a form, or plain text.
    if let Err(reason) = site.doors.origin(request.headers()) {
        site.gate.turned_away(&reason, peer);
        return Failure::new(StatusCode::FORBIDDEN, "OriginRefused", reason).into_response();
    }
    let guest = match site.gate.admit(request.headers(), peer).await {
        Ok(guest) => guest,
        Err(denied) => return Failure::from(denied).into_response(),
    };
    match site.enter(guest, request.uri()) {
        Ok((guest, namespace)) => {
            request.extensions_mut().insert(guest);
            request.extensions_mut().insert(namespace);
            next.run(request).await
        }
        Err((StatusCode::FORBIDDEN, reason)) => {
            Failure::from(Code::AccessRefused.because(reason)).into_response()
        }
        Err((status, reason)) => Failure::new(status, "UnknownNamespace", reason).into_response(),
    }
}

/// An answer in JSON.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, headers, bytes).into_response()
        }
        Err(_) => Failure::unexpected().into_response(),
    }
}

/// What was done, in a sentence, as the command line's `--json` says it.
fn done(sentence: String) -> Response {
    answer(StatusCode::OK, &serde_json::json!({ "done": sentence }))
}
