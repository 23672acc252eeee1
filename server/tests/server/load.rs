//! Many connections, and hostile ones: what they take is bounded, and others go on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fanlight_core::{Event, Op, QueuePolicy};

use crate::client::{Client, batch, to_queue};
use crate::exposition;
use crate::process::{PATIENCE, Server};

/// A number of the server's page of metrics that has no labels.
fn metric(server: &Server, name: &str) -> f64 {
    let (_, _, body) = server.get("/metrics");
    let page = exposition::read(&String::from_utf8_lossy(&body)).expect("a page");
    page[name].samples[0].value
}

/// How long it takes to publish a message with a confirm, to get it and to acknowledge it: the
/// median and the worst of so many.
async fn round_trips(client: &mut Client, count: usize) -> (Duration, Duration) {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let published = client.publish(to_queue("jobs"), batch(["x"])).await;
        published.expect("the server is there").expect("there is room");
        let got = client.take("jobs", 1).await.expect("the server is there");
        client.ack(&[got[0].lease]).await.expect("the server is there");
        took.push(begun.elapsed());
    }
    took.sort();
    (took[count / 2], took[count - 1])
}

/// Takes 20,000 file descriptors with the client's side, some of the machine's memory, and a minute:
/// `ulimit -n 20500`, then `cargo test -p fanlight-server --test server -- --ignored --nocapture
/// ten_thousand`.
#[tokio::test]
#[ignore = "it needs ten thousand sockets on either side"]
async fn ten_thousand_idle_connections_take_little_and_slow_nobody() {
    const SOCKETS: usize = 10_000;
    // They answer no pings, since nobody reads for them.
    let patient = ["--connections-silence-max", "2h", "--connections-ping-every", "1h"];
    let server = Server::start(&patient);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let alone = round_trips(&mut client, 500).await;
    let before = metric(&server, "process_resident_memory_bytes");
    let begun = Instant::now();
    let mut idle = Vec::with_capacity(SOCKETS);
    while idle.len() < SOCKETS {
        idle.push(Client::open(&server).await);
    }
    let opened = begun.elapsed();
    let after = metric(&server, "process_resident_memory_bytes");
    assert_eq!(metric(&server, "fanlight_connections"), (SOCKETS + 1) as f64);
    let beside = round_trips(&mut client, 500).await;
    let each = (after - before) / SOCKETS as f64;
    println!(
        "{SOCKETS} sockets opened in {opened:?}; {each:.0} bytes each ({before} to {after}); a round \
         trip alone {alone:?}, beside them {beside:?} (median, worst)"
    );
    assert!(each < 65_536.0, "{each} bytes a socket");
}

/// A WebSocket that has said nothing, as far as TCP knows.
fn upgraded(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    )
    .expect("it reads");
    stream
}

/// Everything that comes until the server closes the connection.
fn to_the_end(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let end = stream.read_to_end(&mut all);
    let is_reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(end.as_ref().is_ok() || end.as_ref().is_err_and(is_reset), "{end:?}");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn half_open_connections_are_told_and_closed_and_others_go_on() {
    let server = Server::start(&[
        "--connections-handshake-wait",
        "300ms",
        "--connections-session-wait",
        "300ms",
        "--connections-ping-every",
        "100ms",
    ]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let half_heads: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(b"GET /ws HTTP/1.1\r\nHost: ").expect("it reads");
            stream
        })
        .collect();
    let silent: Vec<TcpStream> = (0..50).map(|_| upgraded(&server)).collect();
    round_trips(&mut client, 20).await;
    for stream in half_heads {
        to_the_end(stream);
    }
    for stream in silent {
        let said = to_the_end(stream);
        assert!(said.contains("no session came within 300ms"), "{said}");
    }
    round_trips(&mut client, 20).await;
    assert_eq!(metric(&server, "fanlight_connections"), 1.0, "nothing is left of them");
}

#[tokio::test]
async fn a_publisher_faster_than_the_disk_waits_and_takes_no_more_memory_than_it_may() {
    const BATCHES: usize = 1_024;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(
        dir.path(),
        &["--memory-bytes", "8MiB", "--connections-incoming-bytes-max", "24MiB"],
    );
    let mut other = Client::open(&server).await;
    for name in ["jobs", "flood"] {
        other.declare_queue(name, QueuePolicy::default()).await;
    }
    let mut publisher = Client::open(&server).await;
    let flood = async {
        let body = vec![7; 256 << 10];
        let mut last = None;
        for _ in 0..BATCHES {
            let op = Op::publish(to_queue("flood"), true, batch([&body]));
            last = Some(publisher.ask(op).await.expect("it is slowed down, not closed"));
        }
        let confirmed = publisher.expect(|event| match event {
            Event::Published { tag, .. } if Some(tag) == last => Some(()),
            _ => None,
        });
        confirmed.await.expect("it is slowed down, not closed");
    };
    let mut most = 0.0_f64;
    let beside = async {
        for _ in 0..10 {
            round_trips(&mut other, 5).await;
            most = most.max(metric(&server, "process_resident_memory_bytes"));
        }
    };
    tokio::join!(flood, beside);
    most = most.max(metric(&server, "process_resident_memory_bytes"));
    let published = (BATCHES * (256 << 10)) as f64;
    assert!(most < published * 0.75, "{most} bytes for {published} published");
}

#[tokio::test]
async fn a_consumer_that_never_acknowledges_gets_what_it_asked_for_and_no_more() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let mut hoarder = Client::open(&server).await;
    let op = Op::Consume {
        queue: "jobs".into(),
        prefetch: 100,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    hoarder.ask(op).await.expect("the server is there");
    for _ in 0..10 {
        let published = client.publish(to_queue("jobs"), batch(["x"; 100])).await;
        published.expect("the server is there").expect("there is room");
    }
    let mut held = 0;
    while held < 100 {
        let delivered = hoarder.expect(|event| match event {
            Event::Delivered { deliveries, .. } => Some(deliveries.len()),
            _ => None,
        });
        held += delivered.await.expect("the server is there");
    }
    assert_eq!(held, 100);
    let got = client.take("jobs", 100).await.expect("the server is there");
    assert!(!got.is_empty(), "others get the rest");
    assert!(hoarder.is_silent(Duration::from_millis(50)).await);
}
