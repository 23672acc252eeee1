//! Where a server is, in the forms that people type.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The port that `fanlight serve` listens on unless it is told another.
pub const PORT_DEFAULT: u16 = 7420;
const HOST_DEFAULT: &str = "127.0.0.1";
const PATH_DEFAULT: &str = "/ws";

/// A server's address: `ws://host:port/path`, `http://host:port`, `host:port`, `host` or `:port`.
/// What is left out is `127.0.0.1`, 7420 and `/ws`; behind a scheme the port left out is 80. With
/// `wss` or `https` TLS is spoken, and the port left out is 443. A namespace other than the default
/// one is named as `/ws?namespace=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl ServerAddress {
    /// What a TCP connection is made to.
    pub fn socket(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }

    /// Whether nobody between here and there can read along: TLS is spoken, or it is this machine.
    pub fn is_private(&self) -> bool {
        let (host, _) = self.socket();
        let is_loopback = || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        self.tls || host == "localhost" || host.ends_with(".localhost") || is_loopback()
    }

    /// The same server, in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> ServerAddress {
        let path = self.path.split('?').next().unwrap_or_default();
        // What can be in no namespace's name is escaped, so that it is one name there, too.
        let mut named = format!("{path}?namespace=");
        for byte in namespace.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                    named.push(char::from(byte));
                }
                byte => named.push_str(&format!("%{byte:02X}")),
            }
        }
        self.path = named;
        self
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Why text is not a server's address: a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress(String);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadAddress {}

impl FromStr for ServerAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<ServerAddress, BadAddress> {
        let bad = |why: &str| {
            BadAddress(format!("{why}; write it as ws://{HOST_DEFAULT}:{PORT_DEFAULT}/ws"))
        };
        let text = text.trim();
        let (tls, rest, port_default) = match text.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest, 80),
            Some(("wss" | "https", rest)) => (true, rest, 443),
            Some((scheme, _)) => return Err(bad(&format!("{scheme}:// is not spoken here"))),
            None => (false, text, PORT_DEFAULT),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| {
                    bad(&format!("{port:?} is not a port, which is a number from 1 to 65535"))
                })?;
                (host, port)
            }
            Some(_) | None => (authority, port_default),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !bracketed {
            return Err(bad("an IPv6 address stands in brackets, as in [::1]:7420"));
        }
        if host.contains('@') {
            return Err(bad("a user and a password are given by --user and --password, not here"));
        }
        if host.contains(|c: char| c.is_whitespace() || "?#".contains(c)) || text.is_empty() {
            return Err(bad(&format!("{text:?} is not a server's address")));
        }
        Ok(ServerAddress {
            tls,
            host: if host.is_empty() { HOST_DEFAULT } else { host }.to_owned(),
            port,
            path: if path.is_empty() || path == "/" { PATH_DEFAULT } else { path }.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> String {
        text.parse::<ServerAddress>().expect("an address").to_string()
    }

    #[test]
    fn every_form_that_people_type_is_read() {
        for text in [
            "ws://127.0.0.1:7420/ws",
            "ws://127.0.0.1:7420",
            "http://127.0.0.1:7420/",
            "127.0.0.1:7420",
            "127.0.0.1",
            ":7420",
        ] {
            assert_eq!(reads(text), "ws://127.0.0.1:7420/ws", "{text}");
        }
        assert_eq!(reads("http://broker.example/fan/ws"), "ws://broker.example:80/fan/ws");
        assert_eq!(reads("https://broker.example"), "wss://broker.example:443/ws");
        assert_eq!(reads("wss://broker.example:7420"), "wss://broker.example:7420/ws");
        assert_eq!(reads("[::1]:9000"), "ws://[::1]:9000/ws");
        let orders = "127.0.0.1".parse::<ServerAddress>().expect("an address").within("orders");
        assert_eq!(orders.to_string(), "ws://127.0.0.1:7420/ws?namespace=orders");
        assert_eq!(reads(&orders.to_string()), orders.to_string());
        assert_eq!(orders.within("a&b").to_string(), "ws://127.0.0.1:7420/ws?namespace=a%26b");
        let six: ServerAddress = "[::1]".parse().expect("an address");
        assert_eq!(six.socket(), ("::1", 7420));
    }

    #[test]
    fn what_others_could_read_along_is_told_from_what_they_could_not() {
        let private = |text: &str| text.parse::<ServerAddress>().expect("an address").is_private();
        for text in ["127.0.0.1", "localhost:1", "[::1]:1", "wss://broker.example"] {
            assert!(private(text), "{text}");
        }
        for text in ["broker.example", "http://10.0.0.1", "0.0.0.0:7420"] {
            assert!(!private(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_would_be_one() {
        for text in ["", "host:port", "host:99999", "a:b@h", "amqp://h", "::1:7420", "a b"] {
            let error = text.parse::<ServerAddress>().expect_err(text).to_string();
            assert!(error.ends_with("write it as ws://127.0.0.1:7420/ws"), "{text}: {error}");
        }
    }
}
