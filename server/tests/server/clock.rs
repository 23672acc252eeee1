//! A server whose time stands still until it is told to pass.

use fanlight_core::{Event, LeaveReason, Op, QueuePolicy, Span, Time};
use serde_json::{Value, json};

use crate::client::{Client, batch, to_queue};
use crate::process::{Server, run};
use crate::users::{PASSWORD, Users};

/// When a virtual clock begins.
const BEGINNING_MS: u64 = 946_684_800_000;

fn virtual_server(args: &[&str]) -> Server {
    Server::start(&[&["--clock", "virtual"], args].concat())
}

fn consume(queue: &str) -> Op<'_> {
    Op::Consume {
        queue: queue.into(),
        prefetch: 10,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    }
}

/// Attempts and deadlines that were told.
fn delivered(event: Event<'_>) -> Option<(u32, Time)> {
    let Event::Delivered { deliveries, .. } = event else { return None };
    assert_eq!(deliveries.len(), 1);
    Some((deliveries[0].attempt, deliveries[0].deadline))
}

async fn publish(client: &mut Client, queue: &str) {
    let published = client.publish(to_queue(queue), batch(["x"])).await;
    published.expect("the server is there").expect("there is room");
}

fn at(ms: u64) -> Time {
    Time::from_millis(BEGINNING_MS + ms)
}

#[tokio::test]
async fn a_visibility_timeout_passes_over_websocket_and_each_lease_ends_at_its_time() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { visibility: Span::from_secs(30), ..QueuePolicy::default() };
    client.declare_queue("jobs", policy).await;
    client.ask(consume("jobs")).await.expect("the server is there");
    publish(&mut client, "jobs").await;
    let first = client.expect(delivered).await.expect("it is delivered");
    assert_eq!(first, (1, at(30_000)));

    let answer = client.control(json!({"id": 7, "clock": {"advance": "29s 999ms"}})).await;
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["clock"]["now"], "2000-01-01T00:00:29.999000000Z");
    assert_eq!(client.arrived(delivered), [], "the lease has not ended");
    // What the advance caused comes before its answer, and nothing is skipped on the way.
    let answer = client.control(json!({"id": "b", "clock": {"advance": 60_001}})).await;
    assert_eq!(
        (&answer["id"], &answer["clock"]["now_ms"]),
        (&json!("b"), &json!(at(90_000).0 / 1_000_000))
    );
    assert_eq!(answer["clock"]["reached"], true);
    assert_eq!(client.arrived(delivered), [(2, at(60_000)), (3, at(90_000)), (4, at(120_000))]);
}

#[tokio::test]
async fn a_delay_passes_by_the_command_line() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { delay: Span::from_secs(3_600), ..QueuePolicy::default() };
    client.declare_queue("later", policy).await;
    publish(&mut client, "later").await;
    let url = server.url();
    let clock = |args: &[&str]| {
        let args = [&["clock"], args, &["--server", &url]].concat();
        let (code, out, err) = run(&args, &[]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        out
    };
    assert_eq!(clock(&[]), "2000-01-01T00:00:00Z  (a virtual clock that stands still)\n");
    assert_eq!(
        clock(&["advance", "59m 59s"]),
        "2000-01-01T00:59:59Z  (a virtual clock that stands still)\n"
    );
    assert_eq!(client.take("later", 1).await.expect("the server is there").len(), 0);
    let moved: Value = serde_json::from_str(&clock(&["advance", "1s", "--json"])).expect("JSON");
    assert_eq!(moved["advanced_ms"], 1_000);
    assert_eq!(client.take("later", 1).await.expect("the server is there").len(), 1);
}

#[tokio::test]
async fn a_time_to_live_passes_over_http() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("dead", QueuePolicy::default()).await;
    let policy = QueuePolicy {
        ttl: Some(Span::from_secs(86_400)),
        dead_letter: Some("dead".into()),
        ..QueuePolicy::default()
    };
    client.declare_queue("fresh", policy).await;
    publish(&mut client, "fresh").await;
    let (status, answer) = server.post("/v1/clock/advance", &[], r#"{"by":"23h 59m"}"#);
    assert_eq!((status, &answer["clock"]["reached"]), (200, &json!(true)));
    assert_eq!(client.take("dead", 1).await.expect("the server is there").len(), 0);
    let (_, answer) = server.post("/v1/clock/advance", &[], r#"{"by":60000}"#);
    assert_eq!(answer["clock"]["now"], "2000-01-02T00:00:00Z");
    assert_eq!(client.take("dead", 1).await.expect("the server is there").len(), 1);
    let (status, _, body) = server.get("/v1/clock");
    let shown: Value = serde_json::from_slice(&body).expect("JSON");
    let expected = json!({"clock": {
        "kind": "virtual", "running": false,
        "now": "2000-01-02T00:00:00Z", "now_ms": BEGINNING_MS + 86_400_000,
    }});
    assert_eq!((status, shown), (200, expected));
}

fn join(session_timeout: Span) -> Op<'static> {
    Op::Join {
        group: "billing".into(),
        topics: vec!["orders".into()].into(),
        assignor: Default::default(),
        start: Default::default(),
        session_timeout: Some(session_timeout),
        instance: None,
        rebalance_timeout: None,
    }
}

#[tokio::test]
async fn a_session_times_out_and_another_member_gets_what_it_had() {
    let server = virtual_server(&[]);
    let mut silent = Client::open(&server).await;
    let create =
        Op::CreateTopic { name: "orders".into(), partitions: 2, policy: Default::default() };
    silent.done(create).await.expect("the server is there");
    silent.ask(join(Span::from_secs(10))).await.expect("the server is there");
    let mut other = Client::open(&server).await;
    other.ask(join(Span::from_secs(60))).await.expect("the server is there");
    let partitions = |event: Event<'_>| match event {
        Event::Assigned { partitions, .. } => Some(partitions.len()),
        _ => None,
    };
    assert_eq!(other.expect(partitions).await.expect("it is in the group"), 1);
    other.control(json!({"clock": {"advance": "10s"}})).await;
    assert_eq!(other.arrived(partitions), [2]);
    let reason = silent.expect(|event| match event {
        Event::Expelled { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason.await.expect("it is told"), LeaveReason::SessionTimeout);
}

#[tokio::test]
async fn time_runs_on_from_where_it_stood_and_stands_again() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { visibility: Span::from_millis(100), ..QueuePolicy::default() };
    client.declare_queue("jobs", policy).await;
    client.ask(consume("jobs")).await.expect("the server is there");
    publish(&mut client, "jobs").await;
    client.expect(delivered).await.expect("it is delivered");
    let answer = client.control(json!({"clock": "resume"})).await;
    assert_eq!(answer["clock"]["running"], true);
    let (attempt, _) = client.expect(delivered).await.expect("its lease ends by itself");
    assert_eq!(attempt, 2);
    let frozen = client.control(json!({"clock": "freeze"})).await;
    assert_eq!(frozen["clock"]["running"], false);
    assert!(frozen["clock"]["now_ms"].as_u64() >= Some(BEGINNING_MS + 100), "{frozen}");
    assert_eq!(client.control(json!({"clock": "show"})).await, frozen);
}

#[tokio::test]
async fn every_namespace_has_the_same_time() {
    let server = virtual_server(&["--namespaces", "other"]);
    let mut here = Client::open(&server).await;
    let mut there = Client::open_at(&format!("{}?namespace=other", server.url())).await;
    let policy = QueuePolicy { delay: Span::from_secs(5), ..QueuePolicy::default() };
    there.declare_queue("later", policy).await;
    there.ask(consume("later")).await.expect("the server is there");
    publish(&mut there, "later").await;
    here.control(json!({"clock": {"advance": "5s"}})).await;
    let told = there.expect(delivered).await.expect("nobody there has asked for anything");
    assert_eq!(told, (1, at(35_000)));
    let (_, answer) = server.post("/v1/clock/advance?namespace=other", &[], r#"{"by":"1s"}"#);
    assert_eq!(answer["clock"]["now_ms"], BEGINNING_MS + 6_000);
    let shown = here.control(json!({"clock": "show"})).await;
    assert_eq!(shown["clock"]["now_ms"], BEGINNING_MS + 6_000);
}

#[tokio::test]
async fn a_server_with_data_goes_on_where_its_journal_ended() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--clock", "virtual"]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { delay: Span::from_secs(60), ..QueuePolicy::default() };
    client.declare_queue("later", policy).await;
    client.control(json!({"clock": {"advance": "10s"}})).await;
    publish(&mut client, "later").await;
    server.kill();

    let server = Server::start_in(dir.path(), &["--clock", "virtual"]);
    let mut client = Client::open(&server).await;
    let shown = client.control(json!({"clock": "show"})).await;
    assert_eq!(shown["clock"]["now_ms"], BEGINNING_MS + 10_000);
    client.control(json!({"clock": {"advance": "59s"}})).await;
    assert_eq!(client.take("later", 1).await.expect("the server is there").len(), 0);
    client.control(json!({"clock": {"advance": "1s"}})).await;
    assert_eq!(client.take("later", 1).await.expect("the server is there").len(), 1);
}

#[tokio::test]
async fn an_advance_with_too_much_on_its_way_says_how_far_it_came_and_goes_on_when_asked() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    let policy = QueuePolicy { visibility: Span::from_millis(1), ..QueuePolicy::default() };
    client.declare_queue("busy", policy).await;
    client.ask(consume("busy")).await.expect("the server is there");
    publish(&mut client, "busy").await;
    let answer = client.control(json!({"clock": {"advance": "1h"}})).await;
    let clock = &answer["clock"];
    let came = clock["advanced_ms"].as_u64().expect("a number");
    assert_eq!(clock["reached"], false, "{clock}");
    assert!((1..3_600_000).contains(&came), "{clock}");
    assert_eq!(clock["now_ms"].as_u64(), Some(BEGINNING_MS + came));
    assert_eq!(client.control(json!({"clock": "show"})).await["clock"]["now_ms"], clock["now_ms"]);
    client
        .done(Op::DeleteQueue { name: "busy".into(), if_empty: false, if_unused: false })
        .await
        .expect("gone");
    let answer = client.control(json!({"clock": {"advance": 3_600_000 - came}})).await;
    assert_eq!(answer["clock"]["reached"], true);
}

#[tokio::test]
async fn nobody_moves_the_clock_of_the_machine() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    let shown = client.control(json!({"clock": "show"})).await;
    assert_eq!(
        (&shown["clock"]["kind"], &shown["clock"]["running"]),
        (&json!("wall"), &json!(true))
    );
    for ask in [json!("freeze"), json!("resume"), json!({"advance": "1s"})] {
        let answer = client.control(json!({ "id": 1, "clock": ask })).await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!("not_virtual")));
    }
    let (status, answer) = server.post("/v1/clock/advance", &[], r#"{"by":"1s"}"#);
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("not_virtual")));
    let (code, _, err) = run(&["clock", "advance", "1s", "--server", &server.url()], &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("start it with --clock virtual"), "{err}");
}

#[tokio::test]
async fn what_is_no_control_request_is_told_so_and_the_connection_lives() {
    let server = virtual_server(&[]);
    let mut client = Client::open(&server).await;
    for ask in [json!([]), json!({"id": 1}), json!({"clock": {"advance": "soon"}})] {
        let answer = client.control(ask).await;
        assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
    }
    let answer = client.control(json!({"clock": {"advance": "580y"}})).await;
    assert_eq!(answer["error"]["message"], "the clock ends in the year 2554");
    client.declare_queue("alive", QueuePolicy::default()).await;
    for body in ["", "{}", r#"{"by":"1s","to":1}"#, r#"{"by":[]}"#] {
        let (status, answer) = server.post("/v1/clock/advance", &[], body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{body}");
    }
    let origin = [("Origin", "https://evil.example")];
    let (status, _) = server.post("/v1/clock/advance", &origin, r#"{"by":"1s"}"#);
    assert_eq!(status, 403, "a page of somebody else's");
    let (status, _) = server.post("/v1/clock/freeze?namespace=nowhere", &[], "");
    assert_eq!(status, 404);
    assert_eq!(client.control(json!({"clock": "show"})).await["clock"]["now_ms"], BEGINNING_MS);
}

#[tokio::test]
async fn only_an_admin_moves_the_clock() {
    let users = Users::new();
    users.add("bob", &["--read", ".*", "--write", ".*", "--tag", "monitoring"]);
    let bearer = |user: &str| format!("Bearer {}", users.token(user, "ci"));
    let (bob, admin) = (bearer("bob"), bearer("admin"));
    let server = users.start(&["--clock", "virtual"]);
    let url = server.url();
    let clock = |user: &str, args: &[&str]| {
        let args = [&["clock"], args, &["--server", &url, "--user", user]].concat();
        run(&args, &[("FANLIGHT_PASSWORD", PASSWORD)])
    };
    assert_eq!(clock("bob", &[]).0, Some(0), "anybody may look");
    let (code, _, err) = clock("bob", &["advance", "1s"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("the user bob may not do that: it takes the tag admin"), "{err}");
    let (code, out, _) = clock("admin", &["advance", "1s"]);
    assert_eq!((code, &out[..20]), (Some(0), "2000-01-01T00:00:01Z"));
    let advance = |headers: &[(&str, &str)]| {
        server.send("POST", "/v1/clock/advance", headers, r#"{"by":"1s"}"#)
    };
    let (status, answer) = advance(&[("Authorization", &bob)]);
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
    assert_eq!(advance(&[("Authorization", &admin)]).0, 200);
}
