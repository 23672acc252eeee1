//! How a server ends that is told to.

use fanlight_core::{Code, Event, Op, QueuePolicy};

use crate::client::{Client, batch, to_queue};
use crate::process::Server;

const GRACE: [&str; 2] = ["--shutdown-grace", "1h"];

/// A server on which a consumer holds two messages of five, and another waits for some.
async fn at_work(server: &Server) -> (Client, Client) {
    let mut worker = Client::open(server).await;
    worker.declare_queue("jobs", QueuePolicy::default()).await;
    let published = worker.publish(to_queue("jobs"), batch(["a", "b", "c", "d", "e"])).await;
    published.expect("the server is there").expect("there is room");
    let consume = Op::Consume {
        queue: "jobs".into(),
        prefetch: 2,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    worker.ask(consume).await.expect("the server is there");
    (worker, Client::open(server).await)
}

/// Waits until the server does not take new work any more.
async fn stopping(server: &Server, client: &mut Client) {
    server.tell_to_end();
    loop {
        let published = client.publish(to_queue("jobs"), batch(["late"])).await;
        if let Err(refusal) = published.expect("the connection stays while something is in hand") {
            assert_eq!(refusal.code, Code::ShuttingDown, "{refusal}");
            assert!(refusal.message.contains("can be settled"), "{refusal}");
            return;
        }
    }
}

#[tokio::test]
async fn what_is_in_hand_can_be_settled_and_nothing_new_is_handed_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &GRACE);
    let (mut worker, mut other) = at_work(&server).await;
    let mut held = Vec::new();
    while held.len() < 2 {
        let delivered = worker.expect(|event| match event {
            Event::Delivered { deliveries, .. } => Some(
                deliveries.iter().map(|d| (d.lease, d.record.record().body.to_vec())).collect(),
            ),
            _ => None,
        });
        let mut delivered: Vec<_> = delivered.await.expect("the server is there");
        held.append(&mut delivered);
    }
    stopping(&server, &mut other).await;
    assert_eq!((server.get("/readyz").0, server.get("/healthz").0), (503, 200));
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let head = server.get_head("/ws", &upgrade);
    assert!(head.starts_with("http/1.1 503"), "nobody new comes in: {head}");

    let acked = worker.ack(&[held[0].0]).await.expect("the server waits for it");
    assert_eq!(acked, 1);
    let leases = [held[1].0];
    let tag = worker.ask(Op::Release { leases: (&leases).into() }).await;
    tag.expect("the server waits for it");
    let mut handed_out = 0;
    let end = worker.expect(|event| {
        handed_out += usize::from(matches!(event, Event::Delivered { .. }));
        None::<()>
    });
    end.await.expect_err("the server ends, as nothing is in hand any more");
    assert_eq!(handed_out, 0, "credit that came back brings nothing new");
    let ended = server.ended();
    assert!(ended.status.success(), "{ended:?}");

    let server = Server::start_in(dir.path(), &[]);
    let mut client = Client::open(&server).await;
    let mut left: Vec<_> = client
        .take("jobs", 100)
        .await
        .expect("the server is there")
        .into_iter()
        .map(|got| got.body)
        .collect();
    left.retain(|body| body != b"late");
    left.sort();
    assert_eq!(left, [b"b", b"c", b"d", b"e"], "what was acknowledged does not come back");
}

#[tokio::test]
async fn a_server_with_nothing_in_hand_ends_at_once() {
    let server = Server::start(&GRACE);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    let (code, reason) = client.closed().await.expect("a close frame");
    assert_eq!((code, reason.as_str()), (1001, "the server is going down"));
}

#[tokio::test]
async fn what_nobody_settles_is_not_waited_for_longer_than_the_grace() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--shutdown-grace", "300ms"]);
    let (mut worker, _other) = at_work(&server).await;
    let ready = worker.expect(|event| matches!(event, Event::Delivered { .. }).then_some(()));
    ready.await.expect("the server is there");
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("up to 300ms for them to be settled"), "{ended:?}");
    let server = Server::start_in(dir.path(), &[]);
    let mut client = Client::open(&server).await;
    let got = client.take("jobs", 100).await.expect("the server is there");
    let attempts: Vec<u32> = got.iter().map(|got| got.attempt).collect();
    assert_eq!(attempts, [2, 2, 1, 1, 1]);
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let server = Server::start(&GRACE);
    let (_worker, mut other) = at_work(&server).await;
    stopping(&server, &mut other).await;
    let ended = server.terminate();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("stopped at once"), "{ended:?}");
}
