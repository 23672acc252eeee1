//! A client that knows the protocol and nothing else.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Batch, Death, Event, LeaseId, Offset, Op, PROTOCOL, QueuePolicy, Records, Refusal, Request,
    Session, Span, Tag, Target, View,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::process::{PATIENCE, Server};

/// Larger than any event here.
const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The server closed the connection, for this reason.
    Closed(Option<(u16, String)>),
    /// The connection broke.
    Broken,
}

/// A connection. Events are kept as the frames they came in.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    frames: VecDeque<Bytes>,
    texts: VecDeque<String>,
    last_tag: u32,
}

/// A message as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) lease: LeaseId,
    pub(crate) attempt: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) deaths: Vec<Death>,
}

impl Client {
    /// Connects and says hello.
    pub(crate) async fn open(server: &Server) -> Client {
        Client::open_at(&server.url()).await
    }

    /// The same at an address.
    pub(crate) async fn open_at(url: &str) -> Client {
        Client::try_open_at(url).await.expect("a session opens")
    }

    /// The same under another name than all the tests' clients have.
    pub(crate) async fn open_as(url: &str, name: &str) -> Client {
        Client::try_open_as(url, name).await.expect("a session opens")
    }

    /// The same where the server may be gone before.
    pub(crate) async fn try_open_at(url: &str) -> Result<Client, Lost> {
        Client::try_open_as(url, "test").await
    }

    async fn try_open_as(url: &str, name: &str) -> Result<Client, Lost> {
        let mut client = Client::connect_to(url).await?;
        let session = Session { protocol: PROTOCOL, client: name.into() };
        let mut frame = Vec::new();
        codec::encode_session(&session, &mut frame);
        client.send_bytes(frame).await?;
        client.expect(|event| matches!(event, Event::Opened { .. }).then_some(())).await?;
        Ok(client)
    }

    /// Connects and says nothing.
    pub(crate) async fn connect(server: &Server) -> Client {
        Client::connect_to(&server.url()).await.expect("the server takes connections")
    }

    async fn connect_to(url: &str) -> Result<Client, Lost> {
        let (socket, _) = tokio_tungstenite::connect_async(url).await.map_err(lost)?;
        Ok(Client { socket, frames: VecDeque::new(), texts: VecDeque::new(), last_tag: 0 })
    }

    /// Sends one binary message.
    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), Lost> {
        self.send(Message::Binary(bytes.into())).await
    }

    /// Sends any message.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Lost> {
        self.socket.send(message).await.map_err(lost)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) async fn ask(&mut self, op: Op<'_>) -> Result<Tag, Lost> {
        let (tag, frame) = self.request(op);
        self.send_bytes(frame).await?;
        Ok(tag)
    }

    /// A request's frame, and the tag its answer will have.
    pub(crate) fn request(&mut self, op: Op<'_>) -> (Tag, Vec<u8>) {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        let mut frame = Vec::new();
        codec::encode_request(&Request { tag, op }, &mut frame);
        (tag, frame)
    }

    /// Waits for the next event for which `pick` gives something; others are passed over.
    pub(crate) async fn expect<T>(
        &mut self,
        mut pick: impl FnMut(Event<'_>) -> Option<T>,
    ) -> Result<T, Lost> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                let event = codec::decode(&mut &frame[..], PAYLOAD_BYTES_MAX);
                let Ok(Frame::Event(event)) = event else { panic!("no event: {event:?}") };
                if let Some(picked) = pick(event) {
                    return Ok(picked);
                }
            }
            self.receive().await?;
        }
    }

    /// Waits for one WebSocket message.
    async fn receive(&mut self) -> Result<(), Lost> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        match next.expect("the server answers in time") {
            Some(Ok(Message::Binary(bytes))) => {
                let mut rest: &[u8] = &bytes;
                while !rest.is_empty() {
                    let before = rest;
                    codec::decode(&mut rest, PAYLOAD_BYTES_MAX).expect("the server sends frames");
                    let frame = &before[..before.len() - rest.len()];
                    self.frames.push_back(bytes.slice_ref(frame));
                }
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => {
                Err(Lost::Closed(frame.map(|f| (f.code.into(), f.reason.to_string()))))
            }
            Some(Ok(Message::Text(text))) => {
                self.texts.push_back(text.as_str().to_owned());
                Ok(())
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(lost(error)),
            None => Err(Lost::Broken),
        }
    }

    /// Asks for something as text, and waits for the answer; events that come before it wait.
    pub(crate) async fn control(&mut self, ask: Value) -> Value {
        let sent = self.send(Message::Text(ask.to_string().into())).await;
        sent.expect("the server is there");
        while self.texts.is_empty() {
            self.receive().await.expect("the server answers");
        }
        let text = self.texts.pop_front().expect("it was just seen");
        serde_json::from_str(&text).expect("the answer is JSON")
    }

    /// The events that have come already, as `pick` sees them.
    pub(crate) fn arrived<T>(&mut self, pick: impl Fn(Event<'_>) -> Option<T>) -> Vec<T> {
        let event = |frame: Bytes| match codec::decode(&mut &frame[..], PAYLOAD_BYTES_MAX) {
            Ok(Frame::Event(event)) => pick(event),
            other => panic!("no event: {other:?}"),
        };
        std::mem::take(&mut self.frames).into_iter().filter_map(event).collect()
    }

    /// Whether the server is silent for a moment.
    pub(crate) async fn is_silent(&mut self, moment: Duration) -> bool {
        self.frames.is_empty() && tokio::time::timeout(moment, self.socket.next()).await.is_err()
    }

    /// Asks, and expects `Done`.
    pub(crate) async fn done(&mut self, op: Op<'_>) -> Result<(), Lost> {
        let tag = self.ask(op).await?;
        self.expect(|event| match event {
            Event::Done { tag: t } if t == tag => Some(()),
            Event::Refused { tag: t, refusal } if t == tag => panic!("refused: {refusal}"),
            _ => None,
        })
        .await
    }

    /// Publishes with a confirm; gives the base offset in each log.
    pub(crate) async fn publish(
        &mut self,
        to: Target<'_>,
        records: Records<'_>,
    ) -> Result<Result<Vec<Offset>, Refusal<'static>>, Lost> {
        let tag = self.ask(Op::publish(to, true, records)).await?;
        self.expect(|event| match event {
            Event::Published { tag: t, appends, .. } if t == tag => {
                Some(Ok(appends.iter().map(|append| append.base).collect()))
            }
            Event::Refused { tag: t, refusal } if t == tag => {
                let message = Cow::Owned(refusal.message.into_owned());
                Some(Err(Refusal { code: refusal.code, message }))
            }
            _ => None,
        })
        .await
    }

    /// Takes messages of a queue, if there are any.
    pub(crate) async fn take(&mut self, queue: &str, max: u32) -> Result<Vec<Got>, Lost> {
        let op = Op::Receive {
            queue: queue.into(),
            messages_max: max,
            wait: Span::ZERO,
            visibility: None,
            auto_ack: false,
        };
        let tag = self.ask(op).await?;
        self.expect(|event| match event {
            Event::Received { tag: t, deliveries, .. } if t == tag => {
                let got = |d: &fanlight_core::Delivery<'_>| Got {
                    lease: d.lease,
                    attempt: d.attempt,
                    body: d.record.record().body.to_vec(),
                    deaths: fanlight_core::deaths(&d.record.record()),
                };
                Some(deliveries.iter().map(got).collect())
            }
            Event::Refused { tag: t, refusal } if t == tag => panic!("refused: {refusal}"),
            _ => None,
        })
        .await
    }

    /// Removes what is in a queue, also what is in somebody's hands; gives how much that was.
    pub(crate) async fn purge(&mut self, queue: &str) -> Result<u64, Lost> {
        let tag = self.ask(Op::PurgeQueue { name: queue.into(), all: true }).await?;
        self.expect(|event| match event {
            Event::Count { tag: t, count, .. } if t == tag => Some(count),
            Event::Refused { tag: t, refusal } if t == tag => panic!("refused: {refusal}"),
            _ => None,
        })
        .await
    }

    /// Waits for a delivery of a consumer; gives the first message's lease and attempt.
    pub(crate) async fn delivered(&mut self) -> (LeaseId, u32) {
        let delivered = self.expect(|event| match event {
            Event::Delivered { deliveries, .. } => {
                Some((deliveries[0].lease, deliveries[0].attempt))
            }
            _ => None,
        });
        delivered.await.expect("the server is there")
    }

    /// Acknowledges; gives how many were not stale.
    pub(crate) async fn ack(&mut self, leases: &[LeaseId]) -> Result<u32, Lost> {
        let tag = self.ask(Op::Ack { leases: leases.into() }).await?;
        self.settled(tag).await
    }

    /// Waits for a `Settled`.
    pub(crate) async fn settled(&mut self, tag: Tag) -> Result<u32, Lost> {
        self.expect(|event| match event {
            Event::Settled { tag: t, count, .. } if t == tag => Some(count),
            Event::Refused { tag: t, refusal } if t == tag => panic!("refused: {refusal}"),
            _ => None,
        })
        .await
    }

    /// Waits for a refusal that answers no request.
    pub(crate) async fn refusal(&mut self) -> Refusal<'static> {
        let refusal = self.expect(|event| match event {
            Event::Refused { tag: Tag(0), refusal } => Some(Refusal {
                code: refusal.code,
                message: Cow::Owned(refusal.message.into_owned()),
            }),
            _ => None,
        });
        refusal.await.expect("the connection lives")
    }

    /// Waits for the connection's end; gives the close frame.
    pub(crate) async fn closed(&mut self) -> Option<(u16, String)> {
        match self.expect(|_| None::<()>).await {
            Err(Lost::Closed(frame)) => frame,
            Err(Lost::Broken) | Ok(()) => None,
        }
    }

    /// Makes a queue.
    pub(crate) async fn declare_queue(&mut self, name: &str, policy: QueuePolicy<'_>) {
        let op = Op::DeclareQueue { name: name.into(), policy };
        self.done(op).await.expect("the server is there");
    }

    /// Looks at something.
    pub(crate) async fn inspect<T>(
        &mut self,
        op: Op<'_>,
        look: impl Fn(View<'_>) -> T,
    ) -> Result<T, Lost> {
        let tag = self.ask(op).await?;
        self.expect(|event| match event {
            Event::Inspected { tag: t, view } if t == tag => Some(look(view)),
            Event::Refused { tag: t, refusal } if t == tag => panic!("refused: {refusal}"),
            _ => None,
        })
        .await
    }
}

/// A batch of bodies.
pub(crate) fn batch<B: AsRef<[u8]>>(bodies: impl IntoIterator<Item = B>) -> Records<'static> {
    let mut batch = Batch::new();
    for body in bodies {
        batch.push_body(body.as_ref());
    }
    batch.finish().expect("a batch has a record")
}

/// A target.
pub(crate) fn to_queue(name: &str) -> Target<'_> {
    Target::Queue { name: name.into() }
}

fn lost(error: WsError) -> Lost {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => Lost::Closed(None),
        _ => Lost::Broken,
    }
}
