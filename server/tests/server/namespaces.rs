//! Namespaces: brokers beside each other, and who may enter which.

use fanlight_core::{Code, Op, QueuePolicy};
use fanlight_server::client::{Access, Client, ClientError, ServerAddress};

use crate::process::{Server, refused, run};
use crate::users::{Users, password};

async fn enter(server: &Server, namespace: &str, access: &Access) -> Result<Client, ClientError> {
    let address: ServerAddress = server.url().parse().expect("an address");
    Client::connect_as(&address.within(namespace), "test", access).await
}

fn declare(name: &str) -> Op<'_> {
    Op::DeclareQueue { name: name.into(), policy: QueuePolicy::default() }
}

/// What the command line lists.
fn queues(server: &Server, namespace: &str) -> String {
    let url = server.url();
    let args = ["queues", "list", "--json", "--server", &url, "--namespace", namespace];
    let (status, out, err) = run(&args, &[]);
    assert_eq!(status, Some(0), "{err}");
    out
}

#[tokio::test]
async fn what_is_in_one_namespace_is_not_in_another_and_each_is_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let args = ["--namespaces", "test,orders.eu"];
    let server = Server::start_in(dir.path(), &args);
    let nobody = Access::default();
    for (namespace, queue) in [("default", "a"), ("test", "b"), ("orders.eu", "c")] {
        let mut client = enter(&server, namespace, &nobody).await.expect("it is there");
        client.done(declare(queue)).await.expect("it can be made");
        client.close().await;
    }
    let lists = |server: &Server| {
        for (namespace, there, elsewhere) in [
            ("default", "\"a\"", "\"b\""),
            ("test", "\"b\"", "\"a\""),
            ("orders.eu", "\"c\"", "\"a\""),
        ] {
            let list = queues(server, namespace);
            assert!(list.contains(there) && !list.contains(elsewhere), "{namespace}: {list}");
        }
    };
    lists(&server);
    server.kill();
    let server = Server::start_in(dir.path(), &args);
    lists(&server);
    let ended = server.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");

    let path = dir.path().to_str().expect("a plain name");
    let (status, out, err) = run(&["check", path], &[]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("namespace test") && out.contains("namespace orders.eu"), "{out}");

    let server = Server::start_in(dir.path(), &["--namespaces", "test"]);
    let ended = server.terminate();
    assert!(ended.stderr.contains("orders.eu has data and is not served"), "{ended:?}");
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_told_apart_and_no_bad_name_is_taken() {
    let server = Server::start(&["--namespaces", "test"]);
    let nobody = Access::default();
    let error = enter(&server, "prod", &nobody).await.map(drop).expect_err("it is not there");
    let sentence = error.to_string();
    assert!(sentence.contains("there is no namespace \"prod\""), "{sentence}");
    assert!(sentence.contains("default, test"), "{sentence}");
    let ended = refused(&["--listen", "127.0.0.1:0", "--namespaces", "../x"]);
    assert!(ended.stderr.contains("lower-case letters"), "{ended:?}");
}

#[tokio::test]
async fn a_user_may_in_each_namespace_what_it_was_permitted_there() {
    let users = Users::new();
    users.add("bob", &["--configure", "^mine"]);
    users.tell(&["permit", "bob", "--namespace", "test", "--configure", "."]);
    let server = users.start(&["--namespaces", "test,prod"]);
    let bob = password("bob");

    let mut client = enter(&server, "default", &bob).await.expect("it may enter");
    client.done(declare("mine")).await.expect("it may");
    match client.done(declare("other")).await {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.code, Code::AccessRefused),
        other => panic!("{other:?}"),
    }
    let mut client = enter(&server, "test", &bob).await.expect("it may enter");
    client.done(declare("other")).await.expect("it may here");

    let error = enter(&server, "prod", &bob).await.map(drop).expect_err("it may nothing there");
    assert!(error.to_string().contains("no permission in the namespace prod"), "{error}");
    let admin = password("admin");
    let mut client = enter(&server, "prod", &admin).await.expect("an admin may everywhere");
    client.done(declare("other")).await.expect("it may");
}
