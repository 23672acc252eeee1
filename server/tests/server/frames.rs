//! Frames that are not what they should be, and limits.

use std::time::Duration;

use fanlight_core::codec::{self, FRAME_SLACK_BYTES};
use fanlight_core::{
    Code, ConnId, Event, Inspect, Limits, Offset, Op, PROTOCOL, QueuePolicy, Session, Tag, View,
};

use crate::client::{Client, batch, to_queue};
use crate::process::Server;

async fn expect_alive(client: &mut Client) {
    let view = client
        .inspect(Op::Inspect { what: Inspect::Overview }, |view| matches!(view, View::Overview(_)));
    assert!(view.await.expect("the connection lives"));
}

#[tokio::test]
async fn messages_are_published_and_consumed_in_order() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let bodies: Vec<String> = (0..100).map(|n| format!("job {n}")).collect();
    for chunk in bodies.chunks(7) {
        let published = client.publish(to_queue("jobs"), batch(chunk)).await;
        published.expect("the server is there").expect("there is room");
    }
    let mut got = Vec::new();
    while got.len() < 100 {
        let more = client.take("jobs", 30).await.expect("the server is there");
        assert!(!more.is_empty(), "a message is missing");
        let leases: Vec<_> = more.iter().map(|m| m.lease).collect();
        let acked = client.ack(&leases).await.expect("the server is there");
        assert_eq!(acked as usize, leases.len());
        got.extend(more.into_iter().map(|m| String::from_utf8(m.body).expect("it was text")));
    }
    assert_eq!(got, bodies);
    assert!(client.take("jobs", 10).await.expect("the server is there").is_empty());
}

#[tokio::test]
async fn many_frames_may_come_in_one_message() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let mut message = Vec::new();
    let mut tags = Vec::new();
    for n in 0..50 {
        let records = batch([format!("job {n}")]);
        let op = Op::publish(to_queue("jobs"), true, records);
        let (tag, frame) = client.request(op);
        tags.push(tag);
        message.extend(frame);
    }
    client.send_bytes(message).await.expect("the server is there");
    for (n, tag) in tags.into_iter().enumerate() {
        let base = client.expect(|event| match event {
            Event::Published { tag: t, appends, .. } => {
                assert_eq!(t, tag, "confirms come in the order of the requests");
                Some(appends[0].base)
            }
            _ => None,
        });
        assert_eq!(base.await.expect("the server is there"), Offset(n as u64));
    }
}

#[tokio::test]
async fn a_frame_that_does_not_decode_is_refused_and_the_connection_lives_on() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let unknown_kind = vec![2, 0, 0, 0, 99, 1];
    let bad_request = vec![3, 0, 0, 0, 2, 250, 250];
    let empty = vec![0, 0, 0, 0];
    for bad in [unknown_kind, bad_request, empty] {
        client.send_bytes(bad.clone()).await.expect("the server is there");
        let refusal = client.refusal().await;
        assert_eq!(refusal.code, Code::BadFrame, "{bad:?}");
        assert!(!refusal.message.is_empty());
        expect_alive(&mut client).await;
    }
    let (_, status, _) = server.get("/healthz");
    assert_eq!(server.get("/healthz").0, 200, "{status:?}");
}

#[tokio::test]
async fn frames_around_a_bad_one_are_answered() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let heartbeat = |client: &mut Client| client.request(Op::Watch { on: false });
    let (before, mut message) = heartbeat(&mut client);
    message.extend([2, 0, 0, 0, 99, 1]);
    let (after, frame) = heartbeat(&mut client);
    message.extend(frame);
    client.send_bytes(message).await.expect("the server is there");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let tag = client.expect(|event| match event {
            Event::Done { tag } | Event::Refused { tag, .. } => Some(tag),
            _ => None,
        });
        seen.push(tag.await.expect("the connection lives"));
    }
    assert_eq!(seen, [before, Tag(0), after]);
}

#[tokio::test]
async fn half_a_frame_is_refused() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let (_, frame) = client.request(Op::Watch { on: true });
    client.send_bytes(frame[..frame.len() - 1].to_vec()).await.expect("the server is there");
    let refusal = client.refusal().await;
    assert_eq!(refusal.code, Code::BadFrame);
    assert!(refusal.message.contains("whole frames"), "{refusal}");
    expect_alive(&mut client).await;
}

#[tokio::test]
async fn text_that_is_no_control_request_is_refused() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let answer = client.control(serde_json::json!({"publish": 1})).await;
    assert_eq!(answer["error"]["code"], "bad_request");
    assert!(answer["error"]["message"].as_str().expect("text").contains("binary"), "{answer}");
    expect_alive(&mut client).await;
}

#[tokio::test]
async fn a_client_may_not_send_what_only_a_server_sends() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let mut frame = Vec::new();
    codec::encode_event(&Event::Done { tag: Tag(1) }, &mut frame);
    let fact = fanlight_core::Fact::ExchangeDeleted { name: "x".into() };
    codec::encode_fact(&fact, &mut frame);
    client.send_bytes(frame).await.expect("the server is there");
    for _ in 0..2 {
        assert_eq!(client.refusal().await.code, Code::BadFrame);
    }
    expect_alive(&mut client).await;
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_and_ends_the_connection() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let allowed = Limits::default().batch_bytes_max as usize + FRAME_SLACK_BYTES;
    let length = u32::try_from(allowed + 2).expect("it fits");
    let mut frame = length.to_le_bytes().to_vec();
    frame.push(2);
    client.send_bytes(frame).await.expect("the server is there");
    let refusal = client.refusal().await;
    assert_eq!(refusal.code, Code::TooLarge);
    assert!(refusal.message.contains(&(allowed + 1).to_string()), "{refusal}");
    let (code, reason) = client.closed().await.expect("a close frame");
    assert_eq!(code, 1009, "{reason}");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_ends_the_connection() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let allowed = 2 * (Limits::default().batch_bytes_max as usize + FRAME_SLACK_BYTES + 5);
    // The server may close while this is still on its way.
    let _ = client.send_bytes(vec![0; allowed + 1]).await;
    if let Some((code, reason)) = client.closed().await {
        assert_eq!(code, 1009, "{reason}");
    }
    expect_alive(&mut Client::open(&server).await).await;
}

#[tokio::test]
async fn a_record_over_the_limit_is_refused_and_the_connection_lives_on() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let large = vec![b'x'; Limits::default().record_bytes_max as usize + 1];
    let refusal = client.publish(to_queue("jobs"), batch([large])).await;
    let refusal = refusal.expect("the connection lives").expect_err("it is too large");
    assert_eq!(refusal.code, Code::TooLarge);
    expect_alive(&mut client).await;
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server).await;
    let mut frame = Vec::new();
    let session = Session { protocol: PROTOCOL + 1, client: "from the future".into() };
    codec::encode_session(&session, &mut frame);
    client.send_bytes(frame).await.expect("the server is there");
    let (code, reason) = client.closed().await.expect("a close frame");
    assert_eq!(code, 1002);
    assert!(reason.contains(&format!("version {PROTOCOL}")), "{reason}");
}

#[tokio::test]
async fn whoever_does_not_say_hello_first_is_shown_out() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server).await;
    client.ask(Op::Watch { on: true }).await.expect("the server is there");
    let (code, reason) = client.closed().await.expect("a close frame");
    assert_eq!(code, 1002);
    assert!(reason.contains("session"), "{reason}");
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { messages_max: Some(3), ..QueuePolicy::default() };
    client.declare_queue("small", policy).await;
    let published = client.publish(to_queue("small"), batch(["1", "2", "3"])).await;
    published.expect("the server is there").expect("there is room");
    let refusal = client.publish(to_queue("small"), batch(["4"])).await;
    let refusal = refusal.expect("the server is there").expect_err("it is full");
    assert_eq!(refusal.code, Code::QueueFull);
    assert!(refusal.message.contains("small"), "{refusal}");
    let got = client.take("small", 1).await.expect("the server is there");
    client.ack(&[got[0].lease]).await.expect("the server is there");
    let published = client.publish(to_queue("small"), batch(["4"])).await;
    published.expect("the server is there").expect("there is room again");
}

#[tokio::test]
async fn a_connection_that_ends_gives_back_what_it_held() {
    let server = Server::start(&[]);
    let mut first = Client::open(&server).await;
    first.declare_queue("jobs", QueuePolicy::default()).await;
    let published = first.publish(to_queue("jobs"), batch(["one"])).await;
    published.expect("the server is there").expect("there is room");
    let got = first.take("jobs", 1).await.expect("the server is there");
    assert_eq!(got[0].attempt, 1);
    let mut second = Client::open(&server).await;
    let wait = fanlight_core::Span::from_secs(20);
    let op = Op::Receive {
        queue: "jobs".into(),
        messages_max: 1,
        wait,
        visibility: None,
        auto_ack: false,
    };
    let tag = second.ask(op).await.expect("the server is there");
    assert!(second.is_silent(Duration::from_millis(50)).await, "the first holds it");
    drop(first);
    let attempt = second.expect(|event| match event {
        Event::Received { tag: t, deliveries, .. } if t == tag => Some(deliveries[0].attempt),
        _ => None,
    });
    assert_eq!(attempt.await.expect("the server is there"), 2);
}

#[tokio::test]
async fn every_connection_has_a_number_of_its_own() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let _other = Client::open(&server).await;
    let op = Op::Inspect { what: Inspect::Overview };
    let numbers = client.inspect(op, |view| match view {
        View::Overview(overview) => overview.connections.iter().map(|c| c.id).collect(),
        _ => Vec::new(),
    });
    assert_eq!(numbers.await.expect("the server is there"), [ConnId(1), ConnId(2)]);
}

#[tokio::test]
async fn a_consumer_that_does_not_read_is_closed_and_its_messages_go_to_others() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let mut lazy = Client::open(&server).await;
    let op = Op::Consume {
        queue: "jobs".into(),
        prefetch: 500,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    lazy.ask(op).await.expect("the server is there");
    let large = vec![b'x'; 1 << 20];
    for _ in 0..90 {
        let published = client.publish(to_queue("jobs"), batch([&large[..1_000_000]])).await;
        published.expect("the server is there").expect("there is room");
    }
    let (code, reason) = lazy.closed().await.expect("a close frame");
    assert_eq!(code, 1008);
    assert!(reason.contains("wait to be read"), "{reason}");
    let got = client.take("jobs", 1).await.expect("the server is there");
    assert_eq!(got[0].attempt, 2);
}
