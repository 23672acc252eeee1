//! HTTP with JSON: what is made, listed, changed and removed.

use serde_json::{Value, json};

use crate::process::Server;

const NONE: Value = Value::Null;

#[test]
fn lists_come_in_pages_that_go_on_where_the_one_before_ended() {
    let server = Server::start(&[]);
    for name in ["a", "b", "c", "d/e"] {
        server.does("PUT", &format!("/v1/queues/{}", name.replace('/', "%2F")), &NONE);
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.does("GET", &format!("/v1/queues?max=3&after={after}"), &NONE);
        let queues = page["queues"].as_array().expect("a list");
        names.extend(queues.iter().map(|queue| queue["name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = next.to_owned();
    }
    assert_eq!(names, ["a", "b", "c", "d/e"]);
    server.does("DELETE", "/v1/queues/d%2Fe?ifEmpty=true", &NONE);
    assert_eq!(server.api("GET", "/v1/queues/d%2Fe", &NONE).code(), "UnknownQueue");
}

#[test]
fn a_policy_that_is_shown_can_be_given_back() {
    let server = Server::start(&[]);
    let policy = json!({ "visibility": "1m30s", "ttl": "2h", "priorities": 3 });
    server.does("PUT", "/v1/queues/jobs", &policy);
    let shown = server.queue("jobs")["policy"].clone();
    assert_eq!(shown["visibility"], json!(90_000_000_000_u64));
    server.does("PUT", "/v1/queues/jobs", &shown);
    let other = json!({ "visibility": "5s", "priorities": 3 });
    server.does("PUT", "/v1/queues/jobs/policy", &other);
    let now = server.queue("jobs")["policy"].clone();
    assert_eq!((&now["visibility"], &now["ttl"]), (&json!(5_000_000_000_u64), &NONE));
}

#[test]
fn a_topic_is_read_committed_on_and_trimmed() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/topics/events", &NONE);
    let records: Vec<Value> = (0..5).map(|n| json!({ "body": n })).collect();
    server.does("POST", "/v1/topics/events/messages", &records.into());
    let path = "/v1/topics/events/partitions/0/records";
    let read = server.does("GET", &format!("{path}?from=3"), &NONE);
    assert_eq!((&read["records"][0]["body"], &read["next"]), (&json!(3), &json!(5)));

    let offsets = json!({ "offsets": [{ "topic": "events", "partition": 0, "offset": 4 }] });
    server.does("POST", "/v1/groups/billing/commit", &offsets);
    let reset = json!({ "topic": "events", "to": "earliest", "dryRun": true });
    let would = server.does("POST", "/v1/groups/billing/reset", &reset);
    assert_eq!((&would["changes"][0]["from"], &would["changes"][0]["to"]), (&json!(4), &json!(0)));
    let group = server.does("GET", "/v1/groups/billing", &NONE);
    assert_eq!(group["partitions"][0]["lag"], 1, "a dry run changes nothing");

    let trim = json!({ "before": 2 });
    server.does("POST", "/v1/topics/events/partitions/0/trim", &trim);
    let read = server.does("GET", path, &NONE);
    assert_eq!((&read["start"], &read["records"][0]["offset"]), (&json!(2), &json!(2)));

    let work = json!({ "topic": "events" });
    server.does("PUT", "/v1/work-groups/workers", &work);
    let got = server.api("POST", "/v1/queues/workers/receive", &json!({ "max": 2 }));
    let receipts = json!({ "receipts": [got.receipt(0), got.receipt(1)] });
    assert_eq!(server.does("POST", "/v1/queues/workers/ack", &receipts)["settled"], 2);
}

#[test]
fn what_no_binding_takes_comes_back_if_that_is_asked_for() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &NONE);
    server.does("PUT", "/v1/exchanges/news", &json!({ "kind": "headers" }));
    let wanted = json!({ "mode": "all", "headers": [{ "name": "to", "value": "jobs" }] });
    let binding = json!({ "to": { "queue": "jobs" }, "headers": wanted });
    server.does("POST", "/v1/exchanges/news/bind", &binding);
    let both = json!([{ "body": 1, "headers": { "to": "jobs" } }, { "body": 2 }]);
    let path = "/v1/exchanges/news/messages";
    assert_eq!(server.api("POST", path, &both).code(), "Unroutable");
    let told = server.does("POST", &format!("{path}?unroutable=return"), &both);
    assert_eq!(
        (&told["published"], &told["returned"]["messages"][0]["body"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(server.queue("jobs")["ready"], 1);
    server.does("POST", "/v1/exchanges/news/unbind", &binding);
    let exchange = server.does("GET", "/v1/exchanges/news", &NONE);
    assert_eq!(exchange["bindings"], json!([]));
}

#[test]
fn a_job_moves_dead_letters_and_says_how_far_it_is() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/dead", &NONE);
    server.does("PUT", "/v1/queues/jobs", &json!({ "deadLetter": "dead" }));
    let messages: Vec<Value> = (0..3).map(|n| json!({ "body": n })).collect();
    server.does("POST", "/v1/queues/jobs/messages", &messages.into());
    let got = server.api("POST", "/v1/queues/jobs/receive", &json!({ "max": 3 }));
    let receipts: Vec<Value> = (0..3).map(|at| got.receipt(at)).collect();
    server.does("POST", "/v1/queues/jobs/reject", &json!({ "receipts": receipts }));
    let filter = json!({ "filter": { "reason": "rejected" } });
    let started = server.api("POST", "/v1/queues/dead/redrives", &filter);
    assert_eq!(started.status, 202, "{started:?}");
    let path = format!("/v1/redrives/{}", started.body["redrive"]);
    let job = loop {
        let job = server.does("GET", &path, &NONE);
        if job["state"] != "running" {
            break job;
        }
    };
    assert_eq!((&job["state"], &job["moved"]), (&json!("done"), &json!(3)));
    assert_eq!(server.queue("jobs")["ready"], 3);
}
