//! Which web pages may speak to the server, and by which names.
//!
//! A browser lets any page connect to any address, and says from where it is. Without a look at
//! that every page that somebody visits could speak to the broker on the same machine; and a page
//! whose name is made to lead to 127.0.0.1 would even be of the same origin.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

use crate::settings::Settings;

/// Who may speak to the server.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Whether it listens on loopback alone.
    loopback: bool,
    origins: Vec<String>,
    hosts: Vec<String>,
}

impl Doors {
    /// Those of a server that listens there.
    pub(crate) fn new(settings: &Settings, address: IpAddr) -> Doors {
        let plain = |list: &[String]| {
            let plain = list.iter().map(|item| item.trim_end_matches('/').to_ascii_lowercase());
            plain.collect()
        };
        Doors {
            loopback: address.to_canonical().is_loopback(),
            origins: plain(&settings.allow_origin),
            hosts: plain(&settings.allow_host),
        }
    }

    /// Whether the server is asked for by a name of its own; a sentence if it is not.
    pub(crate) fn host(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(host) = text(headers, HOST) else { return Ok(()) };
        let (name, _) = split(&host);
        let named = |allowed: &String| allowed == "*" || allowed == name;
        if !self.loopback || is_loopback(name) || self.hosts.iter().any(named) {
            return Ok(());
        }
        Err(format!(
            "this server listens on loopback, and is not called {name:?}; behind a proxy, name it \
             with --allow-host"
        ))
    }

    /// Whether a page may connect; a sentence if not. What sends no origin is no page.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(origin) = text(headers, ORIGIN) else { return Ok(()) };
        let allowed = self.origins.iter().any(|allowed| *allowed == "*" || *allowed == origin);
        if allowed || self.is_own(&origin, headers) {
            return Ok(());
        }
        Err(format!(
            "pages from {origin:?} may not connect to this server; --allow-origin names those that \
             may"
        ))
    }

    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let default = match scheme {
            "http" => "80",
            "https" => "443",
            _ => return false,
        };
        let (name, port) = split(authority);
        if self.loopback && is_loopback(name) {
            return true;
        }
        let host = text(headers, HOST).unwrap_or_default();
        let (own, own_port) = split(&host);
        name == own && port.unwrap_or(default) == own_port.unwrap_or(default)
    }
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
}

/// A name and its port.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (authority, None),
    }
}

fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    name == "localhost" || name.ends_with(".localhost") || is_address()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(host: &str, origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, host), (ORIGIN, origin)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).expect("a value"));
            }
        }
        headers
    }

    fn doors(address: &str, origins: &[&str], hosts: &[&str]) -> Doors {
        let own = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        let settings =
            Settings { allow_origin: own(origins), allow_host: own(hosts), ..Settings::default() };
        Doors::new(&settings, address.parse().expect("an address"))
    }

    #[test]
    fn a_page_connects_to_where_it_came_from_and_pages_of_this_machine_to_this_machine() {
        let here = doors("127.0.0.1", &[], &[]);
        let there = doors("0.0.0.0", &["https://Good.example/"], &[]);
        for (doors, host, origin, allowed) in [
            (&here, "127.0.0.1:7420", "", true),
            (&here, "127.0.0.1:7420", "http://127.0.0.1:7420", true),
            (&here, "localhost:7420", "http://localhost:8080", true),
            (&here, "127.0.0.1:7420", "http://[::1]:80", true),
            (&here, "127.0.0.1:7420", "https://evil.example", false),
            (&here, "127.0.0.1:7420", "http://localhost.evil.example", false),
            (&here, "127.0.0.1:7420", "http://evil-localhost", false),
            (&here, "127.0.0.1:7420", "null", false),
            (&there, "broker.example", "https://broker.example", true),
            (&there, "Broker.example:443", "https://broker.example", true),
            (&there, "broker.example:7420", "https://broker.example", false),
            (&there, "broker.example:7420", "http://broker.example:7420", true),
            (&there, "broker.example", "https://good.example", true),
            (&there, "broker.example", "http://good.example", false),
            (&there, "broker.example", "http://localhost", false),
            (&there, "broker.example", "ftp://broker.example", false),
            (&doors("0.0.0.0", &["*"], &[]), "broker.example", "null", true),
        ] {
            let result = doors.origin(&headers(host, origin));
            assert_eq!(result.is_ok(), allowed, "{host} {origin}: {result:?}");
        }
    }

    #[test]
    fn where_it_listens_on_loopback_it_is_asked_for_by_names_of_loopback() {
        let here = doors("::1", &[], &["Proxy.example"]);
        for (host, allowed) in [
            ("", true),
            ("localhost", true),
            ("LOCALHOST:7420", true),
            ("a.localhost:7420", true),
            ("127.1.2.3:80", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("proxy.example:80", true),
            ("evil.example:7420", false),
            ("10.0.0.1", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(here.host(&headers(host, "")).is_ok(), allowed, "{host}");
        }
        assert!(doors("0.0.0.0", &[], &[]).host(&headers("any.example", "")).is_ok());
    }
}
