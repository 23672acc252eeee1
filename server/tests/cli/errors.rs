//! What bad input gets: one sentence, and an exit code.

use std::process::Command;

use crate::harness::{Ran, Server};

#[test]
fn an_unknown_name_gets_the_nearest_one_and_how_to_make_it() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    let ran = server.run_with("{}\n", &["publish", "ordres"]);
    let sentence = ran.failed(1);
    assert!(
        sentence.starts_with(
            "there is no topic, queue or exchange called ordres; did you mean the topic orders?"
        ),
        "{sentence}"
    );
    assert!(sentence.contains("`fanlight topics create ordres --partitions 4`"), "{sentence}");

    for args in [
        &["consume", "orderz"][..],
        &["topics", "describe", "orderz"],
        &["topics", "delete", "orderz"],
        &["groups", "reset", "g", "--topic", "orderz", "--to", "earliest"],
        &["consume", "orderz", "--group", "g"],
    ] {
        let ran = server.run(args);
        let sentence = ran.failed(1);
        assert!(sentence.contains("did you mean the topic orders?"), "{args:?}: {sentence}");
    }
    assert!(server.out(&["groups"]).starts_with("there are no groups"));
}

#[test]
fn a_name_with_nothing_like_it_gets_what_there_is() {
    let server = Server::start();
    server.out(&["queues", "declare", "payment"]);
    server.out(&["queues", "declare", "mail"]);
    let ran = server.run(&["dlq", "show", "somewhere"]);
    assert!(ran.failed(1).contains("there are: queues mail, payment"), "{}", ran.err);
}

#[test]
fn a_name_of_two_things_has_to_be_told_apart() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    server.out(&["queues", "declare", "orders"]);
    let ran = server.run_with("{}\n", &["publish", "orders"]);
    assert_eq!(
        ran.failed(2),
        "orders is the name of a topic and of a queue; say which with --topic or --queue"
    );
    server.run_with("{}\n", &["publish", "orders", "--queue"]).succeeded();
    assert_eq!(server.out(&["consume", "orders", "--queue"]), "{}\n");
    assert_eq!(server.out(&["consume", "orders", "--topic"]), "");
}

#[test]
fn where_no_server_is_it_says_how_to_start_one() {
    // A port of a service that no machine has had for decades.
    let address = "127.0.0.1:1";
    let output = Command::new(env!("CARGO_BIN_EXE_fanlight"))
        .args(["topics", "--server", address])
        .output()
        .expect("it runs");
    assert_eq!(
        Ran::of(&["topics"], &output).failed(1),
        format!(
            "no server at ws://{address}/ws: nothing listens there; start one with `fanlight \
             serve`, or name another with --server or FANLIGHT_SERVER"
        )
    );
}

#[test]
fn what_makes_no_sense_is_a_usage_error_that_says_what_would() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    for (args, part) in [
        (&["queues", "declare", "q", "--visibility", "30"][..], "as 500ms, 30s, 5m or 2h"),
        (&["queues", "declare", "q", "--deliveries-max", "3"], "--dead-letter"),
        (&["consume", "jobs", "--ack", "--nack"], "cannot be used with"),
        (&["consume", "jobs", "--from", "latest"], "--from is for topics, and jobs is a queue"),
        (&["consume", "jobs", "--from", "noon"], "it should be earliest, latest, an offset"),
        (&["publish", "jobs", "--rate", "fast"], "messages a second, as 100 or 100/s"),
        (&["publish", "jobs", "--partition", "1"], "--partition is for topics"),
        (&["publish", "jobs", "--routing-key", "a"], "--routing-key is for exchanges"),
        (&["publish", "jobs", "--header", "a"], "name=value"),
        (&["dlq", "redrive", "jobs"], "--offset"),
        (&["topics", "--server", "amqp://somewhere"], "write it as ws://127.0.0.1:7420/ws"),
        (&["topic"], "'topics'"),
        (&[], "Usage"),
    ] {
        let ran = server.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("backtrace") && !ran.err.contains("panicked"), "{}", ran.err);
    }
}

#[test]
fn a_refusal_is_the_brokers_own_sentence() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "2"]);
    server.out(&["topics", "create", "orders", "--partitions", "2"]);
    let ran = server.run(&["topics", "create", "orders", "--partitions", "3"]);
    assert!(ran.failed(1).contains("Conflict"), "{}", ran.err);
    let ran = server.run(&["topics", "create", "orders2", "--partitions", "0"]);
    assert!(ran.failed(1).contains("BadArgument"), "{}", ran.err);
}
