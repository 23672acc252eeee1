//! A broker on a server: one WebSocket a connection.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use fanlight_core::codec::{encode_request, encode_session};
use fanlight_core::{PROTOCOL, Request, Session, Time};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use super::{Link, Told, Wire};

type Inbox = Rc<RefCell<Waiting>>;

/// What has come and was not taken yet.
#[derive(Default)]
struct Waiting {
    told: VecDeque<(Wire, Told)>,
    is_too_much: bool,
}

/// Messages from the server that wait to be taken in. A server that tells more than the page can
/// take is left, and looked at anew a little later: what is shown then is true again, and the
/// page's memory is not eaten up.
const INBOX_MAX: usize = 200_000;
const TOO_MUCH: &str = "the server does more than this page can follow; it looks again";

/// A way to a server.
pub struct SocketLink {
    url: String,
    token: Option<String>,
    opened: u64,
    sockets: BTreeMap<Wire, Socket>,
    inbox: Inbox,
}

impl SocketLink {
    /// The way to `url`; nothing is opened yet. A token says who it is.
    pub fn new(url: &str, token: Option<&str>) -> SocketLink {
        SocketLink {
            url: url.to_owned(),
            token: token.map(str::to_owned),
            opened: 0,
            sockets: BTreeMap::new(),
            inbox: Inbox::default(),
        }
    }
}

impl Link for SocketLink {
    fn open(&mut self, _now: Time, client: &str) -> Wire {
        self.opened += 1;
        let wire = Wire(self.opened);
        match Socket::open((&self.url, self.token.as_deref()), client, wire, &self.inbox) {
            Ok(socket) => {
                self.sockets.insert(wire, socket);
            }
            Err(why) => self.inbox.borrow_mut().told.push_back((wire, Told::Closed(why))),
        }
        wire
    }

    fn send(&mut self, _now: Time, wire: Wire, request: &Request<'_>) {
        if let Some(socket) = self.sockets.get(&wire) {
            let mut frame = Vec::new();
            encode_request(request, &mut frame);
            socket.send(&frame);
        }
    }

    fn close(&mut self, _now: Time, wire: Wire) {
        self.sockets.remove(&wire);
        self.inbox.borrow_mut().told.retain(|(of, _)| *of != wire);
    }

    fn take(&mut self) -> Option<(Wire, Told)> {
        let mut inbox = self.inbox.borrow_mut();
        if std::mem::take(&mut inbox.is_too_much) {
            let closed = |wire: &Wire| (*wire, Told::Closed(TOO_MUCH.to_owned()));
            inbox.told = self.sockets.keys().map(closed).collect();
        }
        let (wire, told) = inbox.told.pop_front()?;
        if matches!(told, Told::Closed(_)) {
            self.sockets.remove(&wire);
        }
        Some((wire, told))
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _now: Time) {}
}

/// What a page can say beside the address: subprotocols, one of which carries a token.
fn protocols(token: Option<&str>) -> impl Iterator<Item = String> {
    let bearer = token.map(|token| format!("fanlight.bearer.{token}"));
    std::iter::once("fanlight".to_owned()).chain(bearer)
}

fn is_token(token: &str) -> bool {
    token.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// One WebSocket, with its callbacks, which are unhooked when it is dropped.
struct Socket {
    socket: WebSocket,
    /// What was to be sent before the connection stood.
    waiting: Rc<RefCell<Vec<u8>>>,
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Socket {
    fn open(
        (url, token): (&str, Option<&str>),
        client: &str,
        wire: Wire,
        inbox: &Inbox,
    ) -> Result<Socket, String> {
        let protocols: js_sys::Array = protocols(token).map(JsValue::from).collect();
        let socket = WebSocket::new_with_str_sequence(url, &protocols).map_err(|_| {
            if token.is_some_and(|token| !is_token(token)) {
                return "a token of fanlight has letters, digits, _ and -, and no spaces"
                    .to_owned();
            }
            format!(
                "{url} is no address that this page may connect to; it would be like \
                 ws://127.0.0.1:7420/ws (a page from https needs wss)"
            )
        })?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let mut hello = Vec::new();
        encode_session(&Session { protocol: PROTOCOL, client: client.into() }, &mut hello);
        let waiting = Rc::new(RefCell::new(hello));
        let on_open = {
            let (socket, waiting) = (socket.clone(), waiting.clone());
            Closure::<dyn FnMut(Event)>::new(move |_| {
                let bytes = std::mem::take(&mut *waiting.borrow_mut());
                // A socket that failed meanwhile says so in its close event.
                let _ = socket.send_with_u8_array(&bytes);
            })
        };
        let on_message = {
            let inbox = inbox.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                if let Ok(buffer) = event.data().dyn_into::<js_sys::ArrayBuffer>() {
                    let frames = js_sys::Uint8Array::new(&buffer).to_vec();
                    let mut inbox = inbox.borrow_mut();
                    if inbox.told.len() < INBOX_MAX {
                        inbox.told.push_back((wire, Told::Frames(frames)));
                    } else {
                        inbox.is_too_much = true;
                    }
                }
            })
        };
        let on_close = {
            let (inbox, url, has_token) = (inbox.clone(), url.to_owned(), token.is_some());
            Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
                let why = match (event.code(), event.reason()) {
                    // A browser does not tell the page why no connection came about.
                    (1006, _) if has_token => format!(
                        "no broker answers at {url}, or it does not take this token, or the \
                         connection broke"
                    ),
                    (1006, _) => format!(
                        "no broker answers at {url}, or it wants a token, or the connection broke: \
                         is `fanlight serve` running there?"
                    ),
                    (code, reason) if reason.is_empty() => {
                        format!("{url} closed the connection (code {code})")
                    }
                    (_, reason) => format!("{url} closed the connection: {reason}"),
                };
                inbox.borrow_mut().told.push_back((wire, Told::Closed(why)));
            })
        };
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Socket {
            socket,
            waiting,
            _on_open: on_open,
            _on_message: on_message,
            _on_close: on_close,
        })
    }

    fn send(&self, frame: &[u8]) {
        if self.socket.ready_state() == WebSocket::CONNECTING {
            self.waiting.borrow_mut().extend_from_slice(frame);
        } else {
            // A socket that is closing says so in its close event.
            let _ = self.socket.send_with_u8_array(frame);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}
