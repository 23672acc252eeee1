//! One WebSocket connection: a task that reads and a task that writes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message as WsMessage, WebSocket};
use bytes::Bytes;
use fanlight_core::{Code, ConnId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::control;
use super::gate::Guest;
use super::mailbox::{Closing, Mailbox, Outgoing};
use super::metrics::Entrance;
use super::namespaces::Namespace;
use super::shard::Message;
use crate::access::Account;
use crate::settings::Settings;

/// Seconds for which a connection is not listened to at once, so that it is heard to live.
const PAUSE_MAX: f64 = 1.0;
/// How long a closing handshake may take.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What a connection needs of the server.
#[derive(Clone)]
pub(crate) struct Reception {
    numbers: Arc<AtomicU64>,
    inflight: Arc<Semaphore>,
    inflight_bytes_max: u32,
    frame_bytes_max: usize,
    pace: Pace,
    outgoing_bytes_max: usize,
    metrics: Arc<Entrance>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Pace {
    ping_every: Duration,
    silence_max: Duration,
    session_wait: Duration,
}

/// Why a connection is no longer read from.
enum Ended {
    /// The client closed it, or it broke.
    Gone,
    /// The client is not heard any more.
    Silent,
    /// The client has not begun with a session.
    Idle,
    /// The writer has said goodbye.
    Closed,
    /// The server does not take requests any more.
    Stopping,
}

impl Reception {
    /// One with places for as many connections as settings say.
    pub(crate) fn new(settings: &Settings, metrics: Arc<Entrance>) -> Reception {
        let inflight_bytes_max = u32::try_from(settings.incoming_bytes_max.0)
            .expect("settings say that it is less than 4 GiB");
        Reception {
            numbers: Arc::new(AtomicU64::new(1)),
            inflight: Arc::new(Semaphore::new(inflight_bytes_max as usize)),
            inflight_bytes_max,
            frame_bytes_max: settings.frame_bytes_max(),
            pace: Pace {
                ping_every: settings.ping_every,
                silence_max: settings.silence_max,
                session_wait: settings.session_wait,
            },
            outgoing_bytes_max: usize::try_from(settings.outgoing_bytes_max.0)
                .unwrap_or(usize::MAX),
            metrics,
        }
    }

    /// Serves a connection to its end.
    pub(crate) async fn serve(self, socket: WebSocket, guest: Guest, namespace: &Namespace) {
        let begun = Instant::now();
        self.metrics.connections.add(1);
        self.metrics.connections_accepted.add(1);
        let conn = ConnId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let mailbox = Arc::new(Mailbox::new(self.outgoing_bytes_max));
        let account = guest.account.clone();
        let (user, shard) = (&account.name, &namespace.shard);
        let namespace = &*namespace.name;
        tracing::debug!(conn = conn.0, namespace, user, peer = %guest.peer, "connected");
        let arrived = Message::Arrived { conn, mailbox: mailbox.clone(), guest };
        if shard.send(arrived).await.is_ok() {
            let ended = self.talk(conn, mailbox, socket, &account, shard).await;
            let seconds = begun.elapsed().as_secs_f64();
            tracing::debug!(conn = conn.0, namespace, user, seconds, because = ended, "gone");
        }
        self.metrics.connections.subtract(1);
    }

    async fn talk(
        &self,
        conn: ConnId,
        mailbox: Arc<Mailbox>,
        socket: WebSocket,
        account: &Account,
        shard: &mpsc::Sender<Message>,
    ) -> &'static str {
        let (sink, mut stream) = socket.split();
        let mut writer =
            tokio::spawn(write(sink, mailbox.clone(), self.pace.ping_every, self.metrics.clone()));
        let ended = self.listen(conn, &mailbox, (&mut stream, &mut writer), account, shard).await;
        // Whoever is not sent this has been told to go by the shard itself, or by its end.
        let _ = shard.send(Message::Gone { conn }).await;
        let because = match ended {
            Ended::Gone => "the client went",
            Ended::Silent => "the client was silent",
            Ended::Idle => "no session came",
            Ended::Closed => "the server closed it",
            Ended::Stopping => "the server stops",
        };
        match ended {
            Ended::Gone => {}
            Ended::Silent => {
                let waited = humantime::format_duration(self.pace.silence_max);
                let reason = format!("nothing was heard for {waited}, not even a pong");
                mailbox.close(Closing { code: 1001, reason });
                let _ = tokio::time::timeout(GOODBYE_MAX, &mut writer).await;
            }
            Ended::Idle => {
                let waited = humantime::format_duration(self.pace.session_wait);
                let reason =
                    format!("no session came within {waited}; a connection begins with one");
                mailbox.close(Closing { code: 1008, reason });
                let _ = tokio::time::timeout(GOODBYE_MAX, &mut writer).await;
            }
            Ended::Stopping => {
                // What was decided for it is on its way; the writer ends when the shard says so.
                let _ = tokio::time::timeout(GOODBYE_MAX, &mut writer).await;
            }
            Ended::Closed => {}
        }
        if mailbox.is_cut() {
            writer.abort();
            return because;
        }
        // The client's half of the closing handshake.
        let farewell = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(GOODBYE_MAX, farewell).await;
        writer.abort();
        because
    }

    /// Reads until there is a reason not to.
    async fn listen(
        &self,
        conn: ConnId,
        mailbox: &Mailbox,
        (stream, writer): (&mut SplitStream<WebSocket>, &mut JoinHandle<()>),
        account: &Account,
        shard: &mpsc::Sender<Message>,
    ) -> Ended {
        let session_until = tokio::time::Instant::now() + self.pace.session_wait;
        loop {
            let silence_until = tokio::time::Instant::now() + self.pace.silence_max;
            let until = match mailbox.is_opened() {
                true => silence_until,
                false => session_until.min(silence_until),
            };
            let next = async {
                mailbox.drained().await;
                // Who publishes more than it may is slowed down by not being listened to; told it
                // was by the refusal.
                let owes = account.owes(Instant::now()).min(PAUSE_MAX);
                if owes > 0.0 {
                    tokio::time::sleep(Duration::from_secs_f64(owes)).await;
                }
                stream.next().await
            };
            let heard = tokio::select! {
                heard = tokio::time::timeout_at(until, next) => heard,
                _ = &mut *writer => return Ended::Closed,
            };
            let message = match heard {
                // The shard may have opened it meanwhile.
                Err(_) if until < silence_until && mailbox.is_opened() => continue,
                Err(_) if until < silence_until => return Ended::Idle,
                Err(_) => return Ended::Silent,
                Ok(None) => return Ended::Gone,
                Ok(Some(Ok(WsMessage::Binary(bytes)))) => self.frames(conn, bytes).await,
                Ok(Some(Ok(WsMessage::Text(text)))) => {
                    Some(Message::Control(control::read(conn, &text, account)))
                }
                Ok(Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_)))) => None,
                Ok(Some(Ok(WsMessage::Close(_)))) => return Ended::Gone,
                Ok(Some(Err(error))) => {
                    let Some(message) = refuse(conn, &error) else { return Ended::Gone };
                    if shard.send(message).await.is_err() {
                        return Ended::Stopping;
                    }
                    let _ = tokio::time::timeout(GOODBYE_MAX, &mut *writer).await;
                    return Ended::Closed;
                }
            };
            if let Some(message) = message
                && shard.send(message).await.is_err()
            {
                return Ended::Stopping;
            }
        }
    }

    async fn frames(&self, conn: ConnId, bytes: Bytes) -> Option<Message> {
        if bytes.is_empty() {
            return None;
        }
        let permit = self.permit(bytes.len()).await;
        Some(Message::Frames { conn, bytes, permit })
    }

    /// A share of the memory that messages on their way may take, once there is that much.
    pub(crate) async fn permit(&self, bytes: usize) -> OwnedSemaphorePermit {
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.inflight_bytes_max);
        let permit = self.inflight.clone().acquire_many_owned(share).await;
        permit.expect("nobody closes the semaphore")
    }

    /// A connection without a socket; the shard does not know of it yet.
    pub(crate) fn inside(&self, shard: mpsc::Sender<Message>) -> Inside {
        Inside {
            conn: ConnId(self.numbers.fetch_add(1, Ordering::Relaxed)),
            mailbox: Arc::new(Mailbox::new(self.outgoing_bytes_max)),
            reception: self.clone(),
            shard,
        }
    }
}

/// A connection without a socket: whoever has it sends frames and takes events by itself.
pub(crate) struct Inside {
    /// Its number.
    pub(crate) conn: ConnId,
    /// Where its events come.
    pub(crate) mailbox: Arc<Mailbox>,
    reception: Reception,
    shard: mpsc::Sender<Message>,
}

impl Inside {
    /// Lets the shard know; false if it is gone.
    pub(crate) async fn arrive(&self, guest: Guest) -> bool {
        let arrived = Message::Arrived { conn: self.conn, mailbox: self.mailbox.clone(), guest };
        self.shard.send(arrived).await.is_ok()
    }

    /// A share of the memory that messages on their way may take.
    pub(crate) async fn permit(&self, bytes: usize) -> OwnedSemaphorePermit {
        self.reception.permit(bytes).await
    }

    /// How many of the largest answers may wait to be taken before the shard ends the connection.
    pub(crate) fn answers_max(&self) -> usize {
        (self.reception.outgoing_bytes_max / self.reception.frame_bytes_max).max(1)
    }

    /// The largest frame that the shard takes; a larger one would end the connection.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.reception.frame_bytes_max
    }

    /// Waits until the shard takes something; None if it is gone.
    pub(crate) async fn turn(&self) -> Option<InsideTurn<'_>> {
        let place = self.shard.reserve().await.ok()?;
        Some(InsideTurn { conn: self.conn, place })
    }

    /// The connection is no more.
    pub(crate) async fn leave(&self) {
        // A shard that is gone knows.
        let _ = self.shard.send(Message::Gone { conn: self.conn }).await;
    }
}

/// The shard takes something of a connection without a socket.
pub(crate) struct InsideTurn<'i> {
    conn: ConnId,
    place: mpsc::Permit<'i, Message>,
}

impl InsideTurn<'_> {
    /// Sends frames.
    pub(crate) fn send(self, bytes: Bytes, permit: OwnedSemaphorePermit) {
        self.place.send(Message::Frames { conn: self.conn, bytes, permit });
    }
}

/// What a client is told whose message cannot be read; None if the connection broke.
fn refuse(conn: ConnId, error: &axum::Error) -> Option<Message> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return None;
        }
        source = inner.source();
    }
    let what = error.to_string();
    // The library's own error type is not public through axum; only its text is.
    let (refusal, code) = if what.starts_with("Space limit exceeded") {
        (Code::TooLarge, 1009)
    } else {
        (Code::BadFrame, 1002)
    };
    let reason = format!("this WebSocket message cannot be taken: {what}");
    let closing = Some(Closing { code, reason: reason.clone() });
    Some(Message::Refuse { conn, refusal: refusal.because(reason), closing })
}

/// Sends what may leave, and pings, until the connection is closed or breaks.
async fn write(
    mut sink: SplitSink<WebSocket, WsMessage>,
    mailbox: Arc<Mailbox>,
    ping_every: Duration,
    metrics: Arc<Entrance>,
) {
    let mut ping = tokio::time::interval_at((Instant::now() + ping_every).into(), ping_every);
    loop {
        let outgoing = tokio::select! {
            outgoing = pin!(mailbox.next()) => outgoing,
            _ = ping.tick() => {
                if sink.send(WsMessage::Ping(Bytes::new())).await.is_err() {
                    return;
                }
                continue;
            }
        };
        match outgoing {
            Outgoing::Frames(frames) => {
                let bytes = frames.len();
                let sent = sink.send(WsMessage::Binary(frames)).await;
                mailbox.wrote(bytes);
                if sent.is_err() {
                    return;
                }
                metrics.sent_bytes.add(bytes as u64);
            }
            Outgoing::Text(text) => {
                let bytes = text.len();
                let sent = sink.send(WsMessage::Text(text.into())).await;
                mailbox.wrote(bytes);
                if sent.is_err() {
                    return;
                }
                metrics.sent_bytes.add(bytes as u64);
            }
            Outgoing::Close(closing) if closing.is_cut() => return,
            Outgoing::Close(Closing { code, reason }) => {
                let reason = shortened(&reason).into();
                // The client may be gone already.
                let _ = sink.send(WsMessage::Close(Some(CloseFrame { code, reason }))).await;
                return;
            }
        }
    }
}

/// A close frame has room for 123 bytes of text.
fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_shortened_to_what_a_close_frame_holds_between_two_characters() {
        assert_eq!(shortened("short"), "short");
        let long = "é".repeat(100);
        assert_eq!(shortened(&long).len(), 122);
    }
}
