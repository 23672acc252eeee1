//! Sockets: taking them, bounding them, and speaking HTTP over them.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::metrics::Entrance;
use super::tls::Tls;
use crate::settings::Settings;

/// How long to wait where the system gives no more sockets.
const PAUSE: Duration = Duration::from_millis(200);
/// The head of a request is refused beyond this.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Sockets that are told at the same time that there is no place; others are closed without a word.
const REFUSED_MAX: usize = 64;
/// How long one of them may take.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// What who comes too late is told, where nobody has to decipher it.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Type: text/plain\r\nContent-Length: 40\r\n\r\nthere are as many sockets as may be open";

/// What who speaks HTTP is told where TLS is spoken: a method's name is no handshake.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 47\r\n\r\n\
    this server speaks TLS: use https:// or wss://\n";

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What takes sockets.
pub(crate) struct Sockets {
    early: Router,
    router: Arc<OnceLock<Router>>,
    tls: Option<Arc<Tls>>,
    open: Arc<Semaphore>,
    /// Those that are just being told that there is no place.
    refused: Arc<Semaphore>,
    handshake_wait: Duration,
    metrics: Arc<Entrance>,
}

impl Sockets {
    /// Sockets whose requests `early` answers until there is another router.
    pub(crate) fn new(
        early: Router,
        tls: Option<Arc<Tls>>,
        settings: &Settings,
        metrics: Arc<Entrance>,
    ) -> Sockets {
        let max = (settings.connections_max as usize).min(Semaphore::MAX_PERMITS);
        let open = Arc::new(Semaphore::new(max));
        let refused = Arc::new(Semaphore::new(REFUSED_MAX));
        Sockets {
            early,
            router: Arc::default(),
            tls,
            open,
            refused,
            handshake_wait: settings.handshake_wait,
            metrics,
        }
    }

    /// Where the router goes that answers from then on.
    pub(crate) fn router(&self) -> Arc<OnceLock<Router>> {
        self.router.clone()
    }

    /// Takes sockets until it is told to stop.
    pub(crate) async fn take(self, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let sockets = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stopped => return,
            };
            match accepted {
                Ok((stream, peer)) => sockets.begin(stream, peer),
                Err(error) => {
                    // A client that went away while it was accepted is no reason to wait; a lack of
                    // file descriptors is, and ends with somebody's connection.
                    if !is_the_clients(&error) {
                        tracing::warn!("no socket can be taken: {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(place) = self.open.clone().try_acquire_owned() else {
            self.metrics.sockets_refused.add(1);
            if let Ok(place) = self.refused.clone().try_acquire_owned() {
                tokio::spawn(refuse(stream, FULL, place));
            }
            return;
        };
        // A server without it would hold back small events; with an error it is only slower.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => tokio::spawn(self.clone().speak(stream, Peer(peer), place)),
            Some(tls) => tokio::spawn(self.clone().secure(tls.clone(), stream, Peer(peer), place)),
        };
    }

    /// Speaks TLS with those who do.
    async fn secure(
        self: Arc<Self>,
        tls: Arc<Tls>,
        stream: TcpStream,
        peer: Peer,
        place: OwnedSemaphorePermit,
    ) {
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
                return Ok(Err(stream));
            }
            tls.acceptor().accept(stream).await.map(Ok)
        };
        match tokio::time::timeout(self.handshake_wait, handshake).await {
            Ok(Ok(Ok(stream))) => self.speak(stream, peer, place).await,
            Ok(Ok(Err(plain))) => refuse(plain, PLAIN, place).await,
            Ok(Err(error)) => tracing::debug!("{}: no TLS: {error}", peer.0),
            Err(_) => tracing::debug!("{}: the TLS handshake took too long", peer.0),
        }
    }

    /// Speaks HTTP until the socket is closed, or has become a WebSocket.
    async fn speak(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        place: OwnedSemaphorePermit,
    ) {
        let place = Arc::new(place);
        let handshake_wait = self.handshake_wait;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            // A WebSocket outlives the conversation that began it, and keeps its place.
            request.extensions_mut().insert(place.clone());
            // A conversation may begin early and go on when all is there.
            let router = self.router.get().unwrap_or(&self.early).clone();
            TowerToHyperService::new(router).call(request)
        });
        let speaking = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(handshake_wait)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = speaking.await {
            tracing::debug!("{}: {error}", peer.0);
        }
    }
}

/// Says why it ends, and hears the client out: what it sent and nobody has read would
/// take the answer with it.
async fn refuse(mut stream: TcpStream, why: &[u8], place: OwnedSemaphorePermit) {
    let farewell = async {
        stream.write_all(why).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(HEAD_BYTES_MAX as u64), &mut tokio::io::sink()).await
    };
    // Whether it was understood or not, the socket is closed.
    let _ = tokio::time::timeout(FAREWELL_MAX, farewell).await;
    drop(place);
}

/// A socket's place among those that may be open; kept by whoever keeps the socket.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_without_http_has_the_length_that_it_says() {
        for text in [FULL, PLAIN] {
            let text = std::str::from_utf8(text).expect("it is ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{text}");
        }
    }
}
