//! What the server answers over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State, WebSocketUpgrade};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::mpsc;

use super::api;
use super::assets::{self, Asset};
use super::connection::Reception;
use super::control;
use super::gate::{Gate, Guest, PROTOCOL_NAME};
use super::health::Health;
use super::metrics::{self, Entrance};
use super::namespaces::{Namespace, Namespaces};
use super::origin::Doors;
use super::sockets::{Peer, Place};
use crate::access::Account;

/// How long a scrape waits for the shard.
const SCRAPE_WAIT: Duration = Duration::from_secs(5);

/// What a WebSocket reads at once. All of it is touched by the first read and kept for as long as the
/// socket is open: with the library's 128 KiB ten thousand idle ones would take 1.3 GB.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Site {
    /// Takes connections.
    pub(crate) reception: Reception,
    /// Knows who may come in.
    pub(crate) gate: Arc<Gate>,
    /// Knows from which pages, and by which names.
    pub(crate) doors: Arc<Doors>,
    /// Know the state.
    pub(crate) namespaces: Namespaces,
    /// How many samples of queues, topics and groups a page of metrics has.
    pub(crate) samples_max: usize,
    /// Knows what is counted at the doors.
    pub(crate) entrance: Arc<Entrance>,
    /// Knows whether all is well.
    pub(crate) health: Arc<Health>,
    /// The largest WebSocket message that is taken.
    pub(crate) message_bytes_max: usize,
    /// Lives as long as any connection does.
    pub(crate) alive: mpsc::Sender<()>,
}

impl Site {
    /// Leads somebody into the namespace that its request names, or says why not.
    pub(crate) fn enter(
        &self,
        guest: Guest,
        uri: &Uri,
    ) -> Result<(Guest, Namespace), (StatusCode, String)> {
        let namespace =
            self.namespaces.of(uri).map_err(|unknown| (StatusCode::NOT_FOUND, unknown))?;
        let Guest { account, credential, peer } = guest;
        match account.within(&namespace.name) {
            Some(account) => Ok((Guest { account, credential, peer }, namespace.clone())),
            None => {
                let reason = format!(
                    "the user {0} has no permission in the namespace {1}; an admin can give one \
                     with `fanlight users permit {0} --namespace {1} --read PATTERN`",
                    account.name, namespace.name
                );
                audit(&account, peer, "enter", "permission");
                Err((StatusCode::FORBIDDEN, reason))
            }
        }
    }

    /// Every address that is answered.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/ws", get(websocket))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .merge(control::http::router())
            .merge(api::router(&self))
            .fallback(get(asset))
            .layer(middleware::from_fn_with_state(self.clone(), by_its_name))
            .with_state(self)
    }
}

/// Answers only who asks for the server by a name of its own.
async fn by_its_name(
    State(site): State<Site>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match site.doors.host(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => {
            site.gate.turned_away(&reason, peer);
            (StatusCode::MISDIRECTED_REQUEST, format!("{reason}\n")).into_response()
        }
    }
}

async fn websocket(
    State(site): State<Site>,
    Extension(place): Extension<Place>,
    Extension(Peer(peer)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if site.health.trouble().is_some() {
        return site.health.ready();
    }
    if let Err(reason) = site.doors.origin(&headers) {
        site.gate.turned_away(&reason, peer);
        return (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response();
    }
    let guest = match site.gate.admit(&headers, peer).await {
        Ok(guest) => guest,
        Err(denied) => return denied.into_response(),
    };
    let (guest, namespace) = match site.enter(guest, &uri) {
        Ok(entered) => entered,
        Err((status, reason)) => return (status, format!("{reason}\n")).into_response(),
    };
    let Some(connected) = guest.account.connect() else {
        return too_many(&guest);
    };
    upgrade
        .protocols([PROTOCOL_NAME])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(site.message_bytes_max)
        .max_frame_size(site.message_bytes_max)
        .on_upgrade(async move |socket| {
            site.reception.serve(socket, guest, &namespace).await;
            drop((site.alive, place, connected));
        })
}

/// The user has as many connections as it may.
fn too_many(guest: &Guest) -> Response {
    let user = &guest.account.name;
    audit(&guest.account, guest.peer, "connect", "quota");
    let what = format!("the user {user} has as many connections as it may\n");
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")], what).into_response()
}

fn audit(account: &Account, peer: SocketAddr, op: &str, missing: &str) {
    let user = &account.name;
    if let Some(unwritten) = account.audit(Instant::now()) {
        tracing::warn!(target: "audit", user, %peer, op, missing, unwritten, "audit: refused");
    }
}

async fn healthz(State(site): State<Site>) -> Response {
    site.health.lives()
}

async fn readyz(State(site): State<Site>) -> Response {
    site.health.ready()
}

async fn scrape(
    State(site): State<Site>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    match site.gate.admit(&headers, peer).await {
        Ok(guest) if guest.account.monitors() => {}
        Ok(guest) => {
            let user = &guest.account.name;
            let what =
                format!("the user {user} may not see metrics: that takes the tag monitoring\n");
            return (StatusCode::FORBIDDEN, what).into_response();
        }
        Err(denied) => return denied.into_response(),
    }
    let asked = metrics::page(&site.entrance, &site.namespaces, site.samples_max);
    match tokio::time::timeout(SCRAPE_WAIT, asked).await {
        Ok(Some(page)) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(CONTENT_TYPE, kind)], page).into_response()
        }
        Ok(None) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer\n").into_response()
        }
    }
}

async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let Some(Asset { content_type, etag, immutable, bytes }) = assets::find(uri.path()) else {
        let what = format!("there is nothing at {}\n", uri.path());
        return (StatusCode::NOT_FOUND, what).into_response();
    };
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let etag_value = HeaderValue::from_str(etag).expect("an etag is made of hex digits");
    let mut response = if headers.get(IF_NONE_MATCH) == Some(&etag_value) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        bytes.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(ETAG, etag_value);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
