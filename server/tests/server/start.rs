//! Starting, stopping, and what is said when it cannot start.

use std::net::TcpListener;

use crate::client::{Client, batch, to_queue};
use crate::process::{Server, refused, run};
use crate::users::{PASSWORD, Users};

#[test]
fn it_says_where_it_listens_and_what_it_keeps() {
    let server = Server::start(&[]);
    assert_ne!(server.address.port(), 0, "port 0 means any, and it says which");
    assert!(server.ready.contains("in memory"), "{}", server.ready);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--sync", "interval"]);
    assert!(server.ready.contains("sync interval"), "{}", server.ready);
}

#[test]
fn it_can_be_told_everything_by_the_environment() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let server = Server::start_by_environment(&[
        ("FANLIGHT_LISTEN", "127.0.0.1:0"),
        ("FANLIGHT_DATA", data.to_str().expect("a plain name")),
        ("FANLIGHT_SYNC", "never"),
    ]);
    assert!(server.ready.contains("sync never"), "{}", server.ready);
    assert!(data.join("FORMAT").exists());
}

#[test]
fn a_port_in_use_is_told_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let ended = refused(&["--listen", &address]);
    ended.expect_sentence(&[&address, "another program", "--listen"]);
}

#[test]
fn an_address_that_is_none_is_told_in_one_sentence() {
    let ended = refused(&["--listen", "seven"]);
    ended.expect_sentence(&["seven", "127.0.0.1:7420"]);
}

#[test]
fn it_stops_when_told_to_and_is_as_it_was_when_started_again() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a temporary directory");
    for sync in ["always", "interval", "never"] {
        let server = Server::start_in(dir.path(), &["--sync", sync]);
        let mut client = runtime.block_on(Client::open(&server));
        runtime.block_on(async {
            client.declare_queue(sync, Default::default()).await;
            let published = client.publish(to_queue(sync), batch(["kept"])).await;
            published.expect("the server is there").expect("there is room");
        });
        let ended = server.terminate();
        assert!(ended.status.success(), "{ended:?}");
        let closed = runtime.block_on(client.closed());
        let (code, reason) = closed.expect("a close frame");
        assert_eq!((code, reason.as_str()), (1001, "the server is going down"));
        let server = Server::start_in(dir.path(), &[]);
        let mut client = runtime.block_on(Client::open(&server));
        let got = runtime.block_on(client.take(sync, 10)).expect("the server is there");
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].attempt, got[0].body.as_slice()), (1, &b"kept"[..]));
    }
}

#[tokio::test]
async fn stopping_ends_the_attempts_under_way_as_a_closed_connection_does() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (kill, attempt) in [(false, 2), (true, 2), (false, 3)] {
        let server = Server::start_in(dir.path(), &[]);
        let mut client = Client::open(&server).await;
        client.declare_queue("jobs", Default::default()).await;
        if (kill, attempt) == (false, 2) {
            let published = client.publish(to_queue("jobs"), batch(["one"])).await;
            published.expect("the server is there").expect("there is room");
        }
        let held = client.take("jobs", 1).await.expect("the server is there");
        assert_eq!(held.len(), 1);
        if kill {
            server.kill()
        } else {
            server.terminate()
        };
        // Whoever was killed cannot say that an attempt ended: it counts as not having begun.
        let server = Server::start_in(dir.path(), &[]);
        let mut client = Client::open(&server).await;
        let got = client.take("jobs", 1).await.expect("the server is there");
        assert_eq!(got[0].attempt, attempt);
        let stale = client.ack(&[held[0].lease]).await.expect("the server is there");
        assert_eq!(stale, 0, "a lease of another life of the broker is stale");
        server.kill();
    }
}

#[test]
fn beyond_loopback_it_listens_only_with_users_or_when_it_is_told_so_in_so_many_words() {
    let ended = refused(&["--listen", "0.0.0.0:0"]);
    ended.expect_sentence(&["fanlight users add NAME --admin", "--insecure-no-auth", "127.0.0.1"]);
    let server = Server::start_anywhere(&["--listen", "0.0.0.0:0", "--insecure-no-auth"]);
    assert_eq!(server.get("/healthz").0, 200);
    let log = server.terminate().stderr;
    assert!(log.contains("can read and change everything"), "{log}");
    let users = Users::new();
    let file = users.file();
    let server = Server::start_anywhere(&["--listen", "0.0.0.0:0", "--users", &file]);
    assert_eq!(server.get("/metrics").0, 401);
    let anywhere = format!("0.0.0.0:{}", server.address.port());
    let args = ["topics", "--server", &anywhere, "--user", "admin", "--password", PASSWORD];
    let (code, _, err) = run(&args, &[]);
    assert_eq!((code, err.contains("is not encrypted")), (Some(0), true), "{err}");
    let log = server.terminate().stderr;
    assert!(log.contains("--tls-cert"), "{log}");
}

#[test]
fn a_server_has_room_for_its_connections_also_where_a_shell_allows_few_files() {
    let server = Server::start_with_few_files(64);
    let (status, _, page) = server.get("/metrics");
    assert_eq!(status, 200);
    let page = String::from_utf8(page).expect("it is text");
    let files = page.lines().find_map(|line| line.strip_prefix("process_max_fds "));
    let files: u64 = files.expect("it is measured").parse().expect("a number");
    assert!(files >= 200, "{files}");
}
