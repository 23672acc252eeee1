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

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use fanlight_core::Code;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::gate::Guest;
use super::http::Site;
use super::namespaces::Namespace;
use super::sockets::Peer;
pub(crate) use failure::Failure;
use lines::Lines;

/// Bytes of all bodies that are being read or worked on; others wait.
const BODIES_BYTES: u32 = 64 << 20;

/// What every request over HTTP shares.
#[derive(Clone)]
pub(crate) struct Api {
    site: Site,
    lines: Lines,
    /// Bytes that bodies may still take. Apart from what WebSockets have: a body that comes slowly
    /// holds up other bodies only.
    bodies: Arc<Semaphore>,
}

/// Everything under `/v1`.
pub(crate) fn router(site: &Site) -> Router<Site> {
    let bodies = Arc::new(Semaphore::new(BODIES_BYTES as usize));
    let api = Api { site: site.clone(), lines: Lines::default(), bodies };
    let routes = routes::all().router.layer(middleware::from_fn_with_state(site.clone(), guarded));
    Router::new().merge(routes.with_state(api))
}

/// Lets a request on if it does not come from another's page, and whoever makes it proves who that
/// is: the request then carries its [`Guest`].
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
    request.extensions_mut().insert(guest);
    next.run(request).await
}

/// Leads somebody into the namespace that its request names.
pub(crate) fn enter(site: &Site, guest: Guest, uri: &Uri) -> Result<(Guest, Namespace), Failure> {
    site.enter(guest, uri).map_err(|(status, reason)| match status {
        StatusCode::FORBIDDEN => Code::AccessRefused.because(reason).into(),
        status => Failure::new(status, "UnknownNamespace", reason),
    })
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
