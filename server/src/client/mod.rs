//! A client over WebSocket: one connection, whose owner sends requests and takes events.
//!
//! [`Client::request`] asks and waits for the answer; [`Client::send`] and [`Client::next`] are its
//! halves, for those who keep several requests on the way. Who has many small requests at once
//! queues them ([`Client::queue`]), and they leave together. Everything happens in the caller's own
//! task: nothing is read behind its back, so what it does not take in time slows the server down
//! rather than filling memory. There is no reconnecting: leases and members end with their
//! connection, so whoever owns one has to know.

mod access;
mod address;
mod control;
mod error;
mod tls;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

use fanlight_core::codec::{self, Frame};
use fanlight_core::limits::PAGE_MAX;
use fanlight_core::{
    ConnId, Epoch, Event, Inspect, Op, Overview, PROTOCOL, Refusal, Request, Session, Tag, Time,
    View,
};

pub use access::{Access, Credentials};
pub use address::{BadAddress, PORT_DEFAULT, ServerAddress};
pub use error::ClientError;

/// How long a server may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a server may take to say goodbye.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// Requests that are queued leave when there are so many bytes of them: enough that a message and a
/// system call cost little a request, and far below what servers refuse.
const QUEUED_BYTES: usize = 128 << 10;
/// Memory of requests that is kept for the next ones.
const SPARE_BYTES_MAX: usize = 1 << 20;
/// The largest message taken from a server: a read of one whole batch, and more.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// TCP, or TLS over it.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

type BoxedStream = Box<dyn Duplex>;

/// A connection to a server.
pub struct Client {
    socket: WebSocketStream<BoxedStream>,
    address: ServerAddress,
    conn: ConnId,
    epoch: Epoch,
    opened_at: Time,
    last_tag: u32,
    /// Frames that are not yet handed to the socket: one message, when they are.
    queued: Vec<u8>,
    /// A text message that is not yet handed to it either.
    text: Option<Message>,
    /// Whether the socket may hold bytes that it has not yet written.
    unwritten: bool,
    arrived: VecDeque<EventFrame>,
    /// Texts that came: answers to control requests.
    answers: VecDeque<String>,
}

/// An event as it came: [`EventFrame::event`] decodes it where its bytes lie.
#[derive(Clone, Debug)]
pub struct EventFrame(Bytes);

impl EventFrame {
    /// The event.
    pub fn event(&self) -> Result<Event<'_>, ClientError> {
        match codec::decode(&mut &self.0[..], MESSAGE_BYTES_MAX) {
            Ok(Frame::Event(event)) => Ok(event),
            Ok(
                Frame::Session(_)
                | Frame::Request(_)
                | Frame::Fact(_)
                | Frame::Input(..)
                | Frame::Effect(_),
            ) => Err(ClientError::Unexpected {
                expected: "with events",
                came: "with another kind of frame".to_owned(),
            }),
            Err(error) => Err(ClientError::Garbled(error)),
        }
    }
}

/// The request that an event answers; None for those that answer none.
pub fn answered(event: &Event<'_>) -> Option<Tag> {
    match event {
        Event::Done { tag }
        | Event::Count { tag, .. }
        | Event::Refused { tag, .. }
        | Event::Published { tag, .. }
        | Event::RedriveStarted { tag, .. }
        | Event::Consuming { tag, .. }
        | Event::Received { tag, .. }
        | Event::Settled { tag, .. }
        | Event::Joined { tag, .. }
        | Event::JoinedClassic { tag, .. }
        | Event::Synced { tag, .. }
        | Event::MembersRemoved { tag, .. }
        | Event::Polled { tag, .. }
        | Event::ReadDone { tag, .. }
        | Event::FetchDone { tag, .. }
        | Event::Inspected { tag, .. }
        | Event::ProducerReady { tag, .. }
        | Event::OffsetsReset { tag, .. } => Some(*tag),
        Event::Opened { .. }
        | Event::Cancelled { .. }
        | Event::Delivered { .. }
        | Event::Assigned { .. }
        | Event::Expelled { .. }
        | Event::Returned { .. }
        | Event::RedriveEnded { .. }
        | Event::Pressure { .. }
        | Event::Activity { .. } => None,
    }
}

impl Client {
    /// Connects where everybody may, and says that this client is called `name`.
    pub async fn connect(address: &ServerAddress, name: &str) -> Result<Client, ClientError> {
        Client::connect_as(address, name, &Access::default()).await
    }

    /// Connects, proves who it is, and says that this client is called `name`.
    pub async fn connect_as(
        address: &ServerAddress,
        name: &str,
        access: &Access,
    ) -> Result<Client, ClientError> {
        let unreachable = |source| ClientError::Unreachable { address: address.clone(), source };
        let late = |_| unreachable(io::ErrorKind::TimedOut.into());
        let tcp = tokio::time::timeout(CONNECT_WAIT, TcpStream::connect(address.socket()))
            .await
            .map_err(late)?
            .map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let stream: BoxedStream = if address.is_tls() {
            let secured = tls::connect(address, access.ca.as_deref(), tcp);
            tokio::time::timeout(CONNECT_WAIT, secured).await.map_err(late)??
        } else {
            Box::new(tcp)
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let not_ours = |error: tungstenite::Error| refused_by(address, error);
        let mut request = address.to_string().into_client_request().map_err(not_ours)?;
        if let Some(value) = access.authorization() {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let shake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (socket, _) =
            tokio::time::timeout(CONNECT_WAIT, shake).await.map_err(late)?.map_err(not_ours)?;
        let mut client = Client {
            socket,
            address: address.clone(),
            conn: ConnId::default(),
            epoch: Epoch::default(),
            opened_at: Time::ZERO,
            last_tag: 0,
            queued: Vec::new(),
            text: None,
            unwritten: false,
            arrived: VecDeque::new(),
            answers: VecDeque::new(),
        };
        client.open(name).await?;
        Ok(client)
    }

    async fn open(&mut self, name: &str) -> Result<(), ClientError> {
        let session = Session { protocol: PROTOCOL, client: name.into() };
        codec::encode_session(&session, &mut self.queued);
        self.flush().await?;
        let late = ClientError::NotFanlight {
            address: self.address.clone(),
            why: "it speaks WebSocket, but does not open a session".to_owned(),
        };
        let Ok(first) = tokio::time::timeout(CONNECT_WAIT, self.next()).await else {
            return Err(late);
        };
        let first = first?;
        if let Event::Opened { conn, epoch, now } = first.event()? {
            (self.conn, self.epoch, self.opened_at) = (conn, epoch, now);
            return Ok(());
        }
        if let Event::Refused { refusal, .. } = first.event()? {
            return Err(ClientError::Refused(owned(refusal)));
        }
        Err(ClientError::unexpected("by opening the session", &first.event()?))
    }

    /// Where the server is.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The number that the server gave this connection.
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// The broker's life in which the connection opened.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The broker's time when the connection opened.
    pub fn opened_at(&self) -> Time {
        self.opened_at
    }

    /// The tag that the next request will carry.
    pub fn next_tag(&self) -> Tag {
        // Tag zero is for events that answer no request.
        Tag(self.last_tag.checked_add(1).unwrap_or(1))
    }

    /// Sends a request without waiting for its answer, which [`Client::next`] will give. Events that
    /// arrive while the server takes its time to read are kept for `next`.
    pub async fn send(&mut self, op: Op<'_>) -> Result<Tag, ClientError> {
        let tag = self.queue(op).await?;
        self.flush().await?;
        Ok(tag)
    }

    /// Has a request sent together with those before and after it: with the next [`Client::flush`],
    /// when [`Client::next`] has to wait, or when they are many. Their order stays. If the future is
    /// dropped, the request may never leave.
    pub async fn queue(&mut self, op: Op<'_>) -> Result<Tag, ClientError> {
        let tag = self.next_tag();
        self.last_tag = tag.0;
        let at = self.queued.len();
        codec::encode_request(&Request { tag, op }, &mut self.queued);
        if self.queued.len() > QUEUED_BYTES && at > 0 {
            // A large request has a message of its own, since a message has a largest size.
            let frame = self.queued.split_off(at);
            self.flush().await?;
            self.queued = frame;
        }
        if self.queued.len() > QUEUED_BYTES {
            self.flush().await?;
        }
        Ok(tag)
    }

    /// Sends what is queued. Events that arrive while the server takes its time to read are kept for
    /// [`Client::next`].
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// The next event, in the order in which they came. What is queued is sent before it is waited
    /// for. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<EventFrame, ClientError> {
        loop {
            if let Some(frame) = self.arrived.pop_front() {
                return Ok(frame);
            }
            poll_fn(|cx| {
                if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                    return Poll::Ready(Err(error));
                }
                if !self.arrived.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                self.poll_read(cx)
            })
            .await?;
        }
    }

    /// The next event that has arrived already, if one has.
    pub fn next_arrived(&mut self) -> Option<EventFrame> {
        self.arrived.pop_front()
    }

    /// Asks, and waits for the answer; a refusal is an error. Events that come in between are kept
    /// for [`Client::next`]. If the future is dropped, the answer is kept for `next` too.
    pub async fn request(&mut self, op: Op<'_>) -> Result<EventFrame, ClientError> {
        // What arrived before the request was sent cannot answer it, and is not decoded for it.
        let mut at = self.arrived.len();
        let tag = self.send(op).await?;
        loop {
            while at < self.arrived.len() {
                let event = self.arrived[at].event()?;
                if answered(&event) == Some(tag) {
                    if let Event::Refused { refusal, .. } = event {
                        let refused = ClientError::Refused(owned(refusal));
                        self.arrived.remove(at);
                        return Err(refused);
                    }
                    return Ok(self.arrived.remove(at).expect("at is below the length"));
                }
                at += 1;
            }
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
    }

    /// Asks for something whose answer is `Done`.
    pub async fn done(&mut self, op: Op<'_>) -> Result<(), ClientError> {
        let answer = self.request(op).await?;
        if let Event::Done { .. } = answer.event()? {
            return Ok(());
        }
        Err(ClientError::unexpected("Done", &answer.event()?))
    }

    /// Asks for something whose answer is `Count`.
    pub async fn count(&mut self, op: Op<'_>) -> Result<u64, ClientError> {
        let answer = self.request(op).await?;
        if let Event::Count { count, .. } = answer.event()? {
            return Ok(count);
        }
        Err(ClientError::unexpected("Count", &answer.event()?))
    }

    /// Everything but the messages.
    pub async fn overview(&mut self) -> Result<Overview, ClientError> {
        let answer = self.request(Op::Inspect { what: Inspect::Overview }).await?;
        let Event::Inspected { view: View::Overview(mut all), .. } = answer.event()? else {
            return Err(ClientError::unexpected("an overview", &answer.event()?));
        };
        for (of, after) in std::mem::take(&mut all.more) {
            let mut after = Some(after);
            while let Some(name) = after {
                let what = Inspect::List { of, after: name.into(), max: PAGE_MAX as u32 };
                let answer = self.request(Op::Inspect { what }).await?;
                let Event::Inspected { view: View::Page(page), .. } = answer.event()? else {
                    return Err(ClientError::unexpected("a page", &answer.event()?));
                };
                all.exchanges.extend(page.list.exchanges);
                all.queues.extend(page.list.queues);
                all.topics.extend(page.list.topics);
                all.groups.extend(page.list.groups);
                all.connections.extend(page.list.connections);
                all.work_groups.extend(page.list.work_groups);
                after = page.next;
            }
        }
        Ok(all)
    }

    /// Says goodbye, and waits a moment for the server's.
    pub async fn close(mut self) {
        let goodbye = async {
            if self.socket.close(None).await.is_ok() {
                while self.next().await.is_ok() {}
            }
        };
        // Whether the server answers or not, there is nothing left to do.
        let _ = tokio::time::timeout(CLOSE_WAIT, goodbye).await;
    }

    /// Writes what is queued as one message, and reads meanwhile: a server that waits for us to read
    /// before it reads on itself would otherwise wait for ever.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        loop {
            let mut socket = Pin::new(&mut self.socket);
            let is_waiting = !self.queued.is_empty() || self.text.is_some();
            let written = match (is_waiting, self.unwritten) {
                (true, _) => socket.as_mut().poll_ready(cx),
                (false, true) => socket.as_mut().poll_flush(cx),
                (false, false) => return Poll::Ready(Ok(())),
            };
            match written {
                Poll::Ready(Ok(())) if !is_waiting => self.unwritten = false,
                Poll::Ready(Ok(())) => {
                    // A text comes after the frames that were queued before it.
                    let frames = Bytes::from(std::mem::take(&mut self.queued));
                    let message = match frames.is_empty() {
                        false => Message::Binary(frames.clone()),
                        true => self.text.take().expect("something is waiting"),
                    };
                    self.unwritten = true;
                    if let Err(error) = socket.start_send(message) {
                        return Poll::Ready(Err(self.ended(&error.to_string())));
                    }
                    // The socket has copied it into its own buffer, so the memory is free again.
                    if let Ok(mut frames) = frames.try_into_mut()
                        && frames.capacity() <= SPARE_BYTES_MAX
                    {
                        frames.clear();
                        self.queued = frames.into();
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.ended(&error.to_string()))),
                Poll::Pending => match self.poll_read(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Reads one message and keeps its events.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        loop {
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Err(self.closed(None))),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(self.ended(&error.to_string())));
                }
                Poll::Ready(Some(Ok(message))) => message,
            };
            match message {
                Message::Binary(bytes) => return Poll::Ready(self.keep(bytes)),
                Message::Close(reason) => {
                    let why = reason.map(|r| r.reason.to_string()).filter(|r| !r.is_empty());
                    return Poll::Ready(Err(self.closed(why)));
                }
                Message::Text(text) => {
                    self.answers.push_back(text.as_str().to_owned());
                    return Poll::Ready(Ok(()));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Cuts a message into its frames.
    fn keep(&mut self, mut message: Bytes) -> Result<(), ClientError> {
        while !message.is_empty() {
            let length = message.first_chunk::<4>().map(|length| u32::from_le_bytes(*length));
            let whole = length.map(|length| 4 + length as usize);
            match whole.filter(|whole| *whole <= message.len()) {
                Some(whole) => self.arrived.push_back(EventFrame(message.split_to(whole))),
                None => return Err(ClientError::Garbled(codec::DecodeError::Incomplete)),
            }
        }
        Ok(())
    }

    fn closed(&self, why: Option<String>) -> ClientError {
        ClientError::Closed { address: self.address.clone(), why }
    }

    fn ended(&self, why: &str) -> ClientError {
        self.closed(Some(why.to_owned()))
    }
}

/// What it means that no WebSocket came of it.
fn refused_by(address: &ServerAddress, error: tungstenite::Error) -> ClientError {
    let address = address.clone();
    let tungstenite::Error::Http(response) = &error else {
        return ClientError::NotFanlight { address, why: error.to_string() };
    };
    let told = [401, 403, 429, 503].contains(&response.status().as_u16());
    let text = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    match text.trim() {
        said if told && !said.is_empty() && !said.starts_with('<') => {
            let why = said.to_owned();
            // Another user or token would not change that it has no time.
            match response.status().as_u16() {
                503 => ClientError::Closed { address, why: Some(why) },
                _ => ClientError::Denied { address, why },
            }
        }
        said if said.starts_with("there is no namespace") => {
            ClientError::NoNamespace { address, why: said.to_owned() }
        }
        said if said.starts_with("this server speaks TLS") => {
            ClientError::NotFanlight { address, why: said.to_owned() }
        }
        _ => ClientError::NotFanlight { address, why: error.to_string() },
    }
}

fn owned(refusal: Refusal<'_>) -> Refusal<'static> {
    Refusal { code: refusal.code, message: refusal.message.into_owned().into() }
}
