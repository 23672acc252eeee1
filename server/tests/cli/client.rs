//! The client itself, as tests and tools use it.

use std::io::{Read, Write};
use std::time::Duration;

use fanlight_core::{Activity, Batch, Code, Event, Op, QueuePolicy, Span, Target};
use fanlight_server::client::{Client, ClientError, EventFrame};

use crate::harness::Server;

/// The next event, or a failed test where none comes.
async fn next(client: &mut Client) -> EventFrame {
    let event = tokio::time::timeout(Duration::from_secs(10), client.next()).await;
    event.expect("an event within 10 s").expect("an event")
}

#[tokio::test]
async fn events_that_come_while_an_answer_is_awaited_are_kept_in_their_order() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.done(Op::Watch { on: true }).await.expect("done");
    for name in ["a", "b"] {
        let op = Op::DeclareQueue { name: name.into(), policy: QueuePolicy::default() };
        client.done(op).await.expect("done");
    }
    for name in ["a", "b"] {
        let frame = next(&mut client).await;
        let event = frame.event().expect("decodes");
        let Event::Activity { activity: Activity::TopologyChanged { what }, .. } = event else {
            panic!("{event:?}");
        };
        assert!(what.contains(name), "{what}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_the_connection_lives() {
    let server = Server::start();
    let mut client = server.connect().await;
    let refused = client.count(Op::PurgeQueue { name: "nowhere".into(), all: false }).await;
    assert_eq!(refused.expect_err("refused").code(), Some(Code::UnknownQueue));
    assert!(client.overview().await.expect("it lives").queues.is_empty());
}

#[tokio::test]
async fn many_requests_may_be_on_the_way_and_each_answer_names_its_own() {
    let server = Server::start();
    let mut client = server.connect().await;
    let policy = QueuePolicy::default();
    client.done(Op::DeclareQueue { name: "q".into(), policy }).await.expect("done");
    let records = Batch::new().push_body(b"x").finish().expect("one record");
    let mut sent = Vec::new();
    for _ in 0..100 {
        let to = Target::Queue { name: "q".into() };
        let op = Op::publish(to, true, records.clone());
        sent.push(client.send(op).await.expect("sent"));
    }
    for tag in sent {
        let frame = next(&mut client).await;
        let event = frame.event().expect("decodes");
        assert!(matches!(event, Event::Published { tag: t, .. } if t == tag), "{event:?}");
    }
    // An answer that was given up on is kept, and mistaken for no other.
    let waits = Op::Receive {
        queue: "none".into(),
        messages_max: 1,
        wait: Span::from_secs(1),
        visibility: None,
        auto_ack: false,
    };
    let given_up = client.send(waits).await.expect("sent");
    assert_eq!(client.overview().await.expect("the overview").queues[0].ready, 100);
    let frame = next(&mut client).await;
    let event = frame.event().expect("decodes");
    assert!(matches!(event, Event::Refused { tag, .. } if tag == given_up), "{event:?}");
}

#[tokio::test]
async fn a_server_that_ends_is_told_as_closed() {
    let server = Server::start();
    let mut client = server.connect().await;
    drop(server);
    let error = client.overview().await.expect_err("it is gone");
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_fanlight_server_is_told_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let mut request = [0; 4096];
        let _ = socket.read(&mut request);
        let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    });
    let address = address.parse().expect("an address");
    let Err(error) = Client::connect(&address, "test").await else { panic!("it connected") };
    let sentence = error.to_string();
    assert!(sentence.contains("is not a fanlight server") && sentence.contains("404"));
}
