//! What goes wrong because a test asked for it.

use fanlight_core::{Code, Event, Op, QueuePolicy, Tag};
use serde_json::{Value, json};

use crate::client::{Client, Lost, batch, to_queue};
use crate::process::{Server, run};
use crate::users::Users;

async fn named(server: &Server, name: &str) -> Client {
    Client::open_as(&server.url(), name).await
}

fn fault(server: &Server, args: &[&str]) -> Value {
    let url = server.url();
    let args = [&["fault"], args, &["--json", "--server", &url]].concat();
    let (code, out, err) = run(&args, &[]);
    assert_eq!(code, Some(0), "{args:?}: {err}");
    serde_json::from_str(&out).expect("JSON")
}

/// The next confirm's tag.
fn published(event: Event<'_>) -> Option<Tag> {
    if let Event::Published { tag, .. } = event { Some(tag) } else { None }
}

async fn publish_later(client: &mut Client, queue: &str) -> Tag {
    let asked = client.ask(Op::publish(to_queue(queue), true, batch(["x"]))).await;
    asked.expect("the server is there")
}

#[tokio::test]
async fn a_confirm_is_dropped_for_whom_and_what_was_named_and_the_message_is_there() {
    let server = Server::start(&["--faults"]);
    let mut shop = named(&server, "shop-1").await;
    for queue in ["jobs", "mail"] {
        shop.declare_queue(queue, QueuePolicy::default()).await;
    }
    let added = fault(&server, &["add", "drop-confirm", "--client", "shop*", "--on", "jobs"]);
    assert_eq!(added["fault"]["times"], 1, "{added}");
    let mut other = named(&server, "other").await;
    other.publish(to_queue("jobs"), batch(["x"])).await.expect("there").expect("confirmed");
    let mail = publish_later(&mut shop, "mail").await;
    let _dropped = publish_later(&mut shop, "jobs").await;
    let second = publish_later(&mut shop, "jobs").await;
    assert_eq!(shop.expect(published).await.expect("the server is there"), mail);
    assert_eq!(shop.expect(published).await.expect("the server is there"), second);
    assert_eq!(shop.take("jobs", 10).await.expect("the server is there").len(), 3);
    assert_eq!(fault(&server, &["list"]), json!({"faults": []}));
}

#[tokio::test]
async fn a_connection_is_cut_after_a_delivery_and_before_its_acknowledgement() {
    let server = Server::start(&["--faults"]);
    let mut other = named(&server, "other").await;
    other.declare_queue("jobs", QueuePolicy::default()).await;
    let add =
        json!({"fault": {"add": {"fault": "cut", "client": "worker", "on": "jobs", "times": 2}}});
    assert_eq!(other.control(add).await["fault"]["id"], 1);
    other.publish(to_queue("jobs"), batch(["x"])).await.expect("there").expect("confirmed");

    let mut worker = named(&server, "worker").await;
    let consume = Op::Consume {
        queue: "jobs".into(),
        prefetch: 1,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    worker.ask(consume).await.expect("the server is there");
    let (lease, attempt) = worker.delivered().await;
    assert_eq!(attempt, 1);
    // What it acknowledges now comes too late.
    let _ = worker.ask(Op::Ack { leases: vec![lease].into() }).await;
    let ended = worker.expect(|_| None::<()>).await.expect_err("it is cut");
    assert!(matches!(ended, Lost::Broken | Lost::Closed(None)), "no goodbye: {ended:?}");

    // The same where it asks for messages itself.
    let mut worker = named(&server, "worker").await;
    let got = worker.take("jobs", 1).await.expect("it comes before the cut");
    assert_eq!(got[0].attempt, 2);
    assert_eq!(worker.closed().await, None);
    let got = other.take("jobs", 1).await.expect("the server is there");
    assert_eq!(got[0].attempt, 3, "it went back at once");
}

#[tokio::test]
async fn what_a_connection_is_told_comes_later_and_in_order() {
    let server = Server::start(&["--faults", "--clock", "virtual"]);
    let mut slow = named(&server, "slow").await;
    let mut other = named(&server, "other").await;
    fault(&server, &["add", "delay", "--client", "slow", "--by", "5s"]);
    let declare =
        |name: &'static str| Op::DeclareQueue { name: name.into(), policy: QueuePolicy::default() };
    let first = slow.ask(declare("a")).await.expect("the server is there");
    let second = slow.ask(declare("b")).await.expect("the server is there");
    let done = |event: Event<'_>| match event {
        Event::Done { tag } => Some(tag),
        _ => None,
    };
    // Its answer comes behind what was asked before, of which nothing is told.
    slow.control(json!({"clock": "show"})).await;
    assert_eq!(slow.arrived(done), []);
    other.declare_queue("c", QueuePolicy::default()).await;
    slow.control(json!({"clock": {"advance": "4999ms"}})).await;
    assert_eq!(slow.arrived(done), []);
    slow.control(json!({"clock": {"advance": "1ms"}})).await;
    assert_eq!(slow.arrived(done), [first, second]);
    let third = slow.ask(declare("c")).await.expect("the server is there");
    assert_eq!(slow.expect(done).await.expect("the server is there"), third);
}

#[tokio::test]
async fn a_delay_passes_by_itself_where_time_does() {
    let server = Server::start(&["--faults"]);
    let mut slow = named(&server, "slow").await;
    fault(&server, &["add", "delay", "--client", "slow", "--by", "50ms"]);
    slow.declare_queue("a", QueuePolicy::default()).await;
}

#[tokio::test]
async fn publishes_are_refused_as_by_a_full_queue_and_nothing_is_stored() {
    let server = Server::start(&["--faults"]);
    let mut client = named(&server, "shop").await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let text = r#"{"fault":"refuse","client":"sh*p","on":"jobs","times":2}"#;
    let (status, added) = server.post("/v1/faults", &[], text);
    let view = json!({"id": 1, "fault": "refuse", "client": "sh*p", "on": "jobs", "times": 2});
    assert_eq!((status, &added["fault"]), (200, &view));
    for _ in 0..2 {
        let published = client.publish(to_queue("jobs"), batch(["x"])).await;
        let refusal = published.expect("the server is there").expect_err("it is full");
        assert_eq!(refusal.code, Code::QueueFull);
        assert!(refusal.message.starts_with("queue \"jobs\" is full; nothing"), "{refusal}");
    }
    let published = client.publish(to_queue("jobs"), batch(["x"])).await;
    published.expect("the server is there").expect("it happened often enough");
    assert_eq!(client.take("jobs", 10).await.expect("the server is there").len(), 1);
}

#[test]
fn faults_are_listed_and_cleared() {
    let server = Server::start(&["--faults"]);
    for args in [&["add", "cut", "--times", "3"][..], &["add", "refuse"], &["add", "cut"]] {
        fault(&server, args);
    }
    let (status, _, body) = server.get("/v1/faults");
    let listed: Value = serde_json::from_slice(&body).expect("JSON");
    let times = |listed: &Value| -> Vec<Value> {
        let all = listed["faults"].as_array().expect("a list");
        all.iter().map(|fault| fault["times"].clone()).collect()
    };
    assert_eq!((status, times(&listed)), (200, vec![json!(3), json!(1), json!(1)]));
    assert_eq!(times(&fault(&server, &["clear", "2"])), [json!(3), json!(1)]);
    assert_eq!(server.send("DELETE", "/v1/faults/2", &[], "").0, 404);
    assert_eq!(server.send("DELETE", "/v1/faults/two", &[], "").0, 400);
    let (status, left) = server.send("DELETE", "/v1/faults/1", &[], "");
    assert_eq!((status, times(&left)), (200, vec![json!(1)]));
    assert_eq!(server.send("DELETE", "/v1/faults", &[], "").1, json!({"faults": []}));
    for body in ["{}", r#"{"fault":"flood"}"#, r#"{"fault":"delay"}"#, r#"{"fault":"cut","x":1}"#] {
        let (status, answer) = server.post("/v1/faults", &[], body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{body}");
    }
}

#[tokio::test]
async fn there_are_none_where_they_were_not_switched_on_and_only_for_admins() {
    let server = Server::start(&[]);
    let (status, answer) = server.post("/v1/faults", &[], r#"{"fault":"cut"}"#);
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("no_faults")));
    let (code, _, err) = run(&["fault", "add", "cut", "--server", &server.url()], &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("start the server with --faults"), "{err}");

    let users = Users::new();
    users.add("bob", &["--read", ".*", "--write", ".*"]);
    let bob = format!("Bearer {}", users.token("bob", "ci"));
    let server = users.start(&["--faults"]);
    let (status, _) = server.post("/v1/faults", &[("Authorization", &bob)], r#"{"fault":"cut"}"#);
    assert_eq!(status, 403);
}

#[tokio::test]
async fn the_broker_begins_again_from_its_journal_and_everybody_is_cut_off() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Most batches lie on disk only, and snapshots are taken.
    let little = ["--memory-bytes", "16KiB", "--snapshot-bytes", "32KiB"];
    let with = [&["--faults", "--clock", "virtual"], &little[..]].concat();
    let server = Server::start_in(dir.path(), &with);
    let mut client = named(&server, "shop").await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    client.control(json!({"clock": {"advance": "10s"}})).await;
    let mut confirmed = 0;
    for round in 0..5 {
        for _ in 0..20 {
            let published = client.publish(to_queue("jobs"), batch([[b'x'; 2_048]])).await;
            published.expect("the server is there").expect("there is room");
            confirmed += 1;
        }
        let held = client.take("jobs", 3).await.expect("the server is there");
        assert_eq!(held.len(), 3);
        if round % 2 == 0 {
            let (status, answer) = server.post("/v1/faults/restart", &[], "");
            assert_eq!(
                (status, &answer["restarted"]["kind"]),
                (200, &json!("virtual")),
                "{answer}"
            );
        } else {
            let done = fault(&server, &["restart"]);
            assert!(done["done"].as_str().expect("text").contains("begun again"), "{done}");
        }
        let ended = client.expect(|_| None::<()>).await.expect_err("it is cut off");
        assert!(matches!(ended, Lost::Broken | Lost::Closed(None)), "no goodbye: {ended:?}");
        client = named(&server, "shop").await;
        let shown = client.control(json!({"clock": "show"})).await;
        assert_eq!(shown["clock"]["now"], "2000-01-01T00:00:10Z", "time does not go back");
    }
    let got = client.take("jobs", 200).await.expect("the server is there");
    assert_eq!(got.len(), confirmed, "what was confirmed is there, and what was held is ready");
    assert_eq!(server.terminate().status.code(), Some(0));
}

#[tokio::test]
async fn without_data_everything_is_gone_when_the_broker_begins_again() {
    let server = Server::start(&["--faults"]);
    let mut client = named(&server, "shop").await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    fault(&server, &["add", "cut", "--client", "nobody"]);
    fault(&server, &["restart"]);
    let mut client = named(&server, "shop").await;
    let published = client.publish(to_queue("jobs"), batch(["x"])).await;
    let refusal = published.expect("the server is there").expect_err("there is no such queue");
    assert_eq!(refusal.code, Code::UnknownQueue);
    let left = fault(&server, &["list"]);
    assert_eq!(left["faults"][0]["client"], "nobody", "faults are the server's: {left}");
}

#[tokio::test]
async fn a_broker_does_not_begin_again_where_faults_are_off() {
    let server = Server::start(&[]);
    let mut client = named(&server, "shop").await;
    let (status, answer) = server.post("/v1/faults/restart", &[], "");
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("no_faults")));
    client.declare_queue("alive", QueuePolicy::default()).await;
}
