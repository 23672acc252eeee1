//! One way to a broker, be it in this page or behind a WebSocket: frames go in, frames come out.
//! Whoever speaks through it cannot tell which it is, so whatever works in the page works attached.

mod page;
#[cfg(target_arch = "wasm32")]
mod socket;

use fanlight_core::{Request, Time};

pub use page::PageLink;
#[cfg(target_arch = "wasm32")]
pub use socket::SocketLink;

/// One connection, as this side counts them. Never used twice on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wire(pub u64);

/// What comes from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// One or more whole event frames.
    Frames(Vec<u8>),
    /// The other side closed it, or it never came to be; and what is known of why.
    Closed(String),
}

/// A way to a broker.
pub trait Link {
    /// Opens a connection and introduces it. What is sent before it stands waits for it.
    fn open(&mut self, now: Time, client: &str) -> Wire;

    /// Sends a request; on a connection that is gone it is dropped.
    fn send(&mut self, now: Time, wire: Wire, request: &Request<'_>);

    /// Closes a connection from this side; nothing more comes from it.
    fn close(&mut self, now: Time, wire: Wire);

    /// What came next, over all connections, in the order in which it came.
    fn take(&mut self) -> Option<(Wire, Told)>;

    /// When [`Link::tick`] is due, if this side has to keep the broker's time.
    fn deadline(&self) -> Option<Time>;

    /// Tells the broker the time, if this side has to.
    fn tick(&mut self, now: Time);
}

impl Link for Box<dyn Link> {
    fn open(&mut self, now: Time, client: &str) -> Wire {
        (**self).open(now, client)
    }

    fn send(&mut self, now: Time, wire: Wire, request: &Request<'_>) {
        (**self).send(now, wire, request);
    }

    fn close(&mut self, now: Time, wire: Wire) {
        (**self).close(now, wire);
    }

    fn take(&mut self) -> Option<(Wire, Told)> {
        (**self).take()
    }

    fn deadline(&self) -> Option<Time> {
        (**self).deadline()
    }

    fn tick(&mut self, now: Time) {
        (**self).tick(now);
    }
}

/// The address of a broker from what a person types: `localhost:7420`, `http://host` and
/// `wss://host/ws` all name one.
pub fn address(typed: &str) -> Result<String, String> {
    let typed = typed.trim();
    let (scheme, rest) = match typed.split_once("://") {
        Some(("ws" | "http", rest)) => ("ws", rest),
        Some(("wss" | "https", rest)) => ("wss", rest),
        Some((scheme, _)) => {
            return Err(format!(
                "an address of a broker begins with ws:// or wss://, not with {scheme}://"
            ));
        }
        None => ("ws", typed),
    };
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, path),
        None => (rest, ""),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("the address names no host; it would be like ws://127.0.0.1:7420".to_owned());
    }
    let path = if path.is_empty() { "ws" } else { path };
    Ok(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_type_it() {
        for (typed, address_of_it) in [
            ("ws://127.0.0.1:7420/ws", "ws://127.0.0.1:7420/ws"),
            ("localhost:7420", "ws://localhost:7420/ws"),
            (" http://localhost:7420/ ", "ws://localhost:7420/ws"),
            ("https://broker.example/live", "wss://broker.example/live"),
        ] {
            assert_eq!(address(typed).as_deref(), Ok(address_of_it));
        }
        assert!(address("").unwrap_err().contains("like ws://127.0.0.1:7420"));
        assert!(address("amqp://host").unwrap_err().contains("not with amqp://"));
    }
}
