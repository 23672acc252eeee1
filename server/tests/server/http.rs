//! Health and the page.

use crate::process::Server;

#[test]
fn health_is_ok() {
    let server = Server::start(&[]);
    let (status, _, body) = server.get("/healthz");
    assert_eq!((status, body.as_slice()), (200, &b"ok\n"[..]));
}

#[test]
fn there_is_a_page_of_the_right_kind() {
    let server = Server::start(&[]);
    let (status, head, body) = server.get("/");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("cache-control: no-cache"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("Fanlight"));
    let (status, ..) = server.get("/no/such/thing");
    assert_eq!(status, 404);
}

fn upgrade(server: &Server, headers: &[(&str, &str)]) -> String {
    let begin = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let head = server.get_head("/ws", &[&begin[..], headers].concat());
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn pages_from_elsewhere_do_not_connect_unless_they_are_named() {
    let server = Server::start(&["--allow-origin", "https://good.example"]);
    let own = format!("http://{}", server.address);
    for (origin, status) in [
        (own.as_str(), "101"),
        ("http://localhost:8080", "101"),
        ("https://good.example", "101"),
        ("https://evil.example", "403"),
        ("null", "403"),
    ] {
        assert_eq!(upgrade(&server, &[("Origin", origin)]), status, "{origin}");
    }
    let log = server.terminate().stderr;
    assert!(log.contains("audit: not let in") && log.contains("evil.example"), "{log}");
}

#[test]
fn a_name_that_was_made_to_lead_here_leads_nowhere() {
    let server = Server::start(&["--allow-host", "proxy.example"]);
    for (host, status) in
        [("localhost:1", 200), ("proxy.example", 200), ("rebound.example:7420", 421)]
    {
        assert_eq!(server.get_with("/healthz", &[("Host", host)]).0, status, "{host}");
    }
    let origin = ("Origin", "http://rebound.example:7420");
    assert_eq!(upgrade(&server, &[("Host", "rebound.example:7420"), origin]), "421");
}
