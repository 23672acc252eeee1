//! Who comes in, and who does not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fanlight_core::{Op, QueuePolicy};
use fanlight_server::client::{Access, Client, ClientError, Credentials, ServerAddress};

use crate::process::{PATIENCE, Server, refused, run, run_with};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A directory with a file of users, and commands that change it.
pub(crate) struct Users {
    dir: tempfile::TempDir,
}

impl Users {
    /// One in which there is an admin.
    pub(crate) fn new() -> Users {
        let users = Users { dir: tempfile::tempdir().expect("a temporary directory") };
        users.add("admin", &["--admin"]);
        users
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("users.toml")
    }

    pub(crate) fn file(&self) -> String {
        self.path().to_str().expect("a plain name").to_owned()
    }

    /// Makes a user with the password of all tests.
    pub(crate) fn add(&self, name: &str, args: &[&str]) {
        self.tell(&[&["add", name], args].concat());
    }

    /// Runs `fanlight users`; gives what it printed.
    pub(crate) fn tell(&self, args: &[&str]) -> String {
        let (code, out, err) = self.try_to(args);
        assert_eq!(code, Some(0), "{args:?}: {err}");
        out
    }

    pub(crate) fn try_to(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let file = self.file();
        let args = [&["users"], args, &["--users", &file]].concat();
        run_with(&format!("{PASSWORD}\n"), &args, &[])
    }

    pub(crate) fn token(&self, user: &str, name: &str) -> String {
        self.tell(&["token", user, "--name", name]).trim().to_owned()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Server {
        Server::start(&[&["--users", &self.file()], args].concat())
    }
}

pub(crate) fn password(user: &str) -> Access {
    let (user, password) = (user.to_owned(), PASSWORD.to_owned());
    Access { credentials: Credentials::Password { user, password }, ca: None }
}

pub(crate) fn token(token: &str) -> Access {
    Access { credentials: Credentials::Token(token.to_owned()), ca: None }
}

/// Connects, as the command line does.
pub(crate) async fn connect(server: &Server, access: &Access) -> Result<Client, ClientError> {
    let address: ServerAddress = server.url().parse().expect("an address");
    Client::connect_as(&address, "test", access).await
}

fn sentence(result: Result<Client, ClientError>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn a_password_or_a_token_lets_in_and_anything_else_does_not() {
    let users = Users::new();
    let secret = users.token("admin", "ci");
    let server = users.start(&[]);
    for access in [password("admin"), token(&secret), password("admin")] {
        let mut client = connect(&server, &access).await.expect("it is let in");
        let op = Op::DeclareQueue { name: "q".into(), policy: QueuePolicy::default() };
        client.done(op).await.expect("an admin may");
    }
    let wrong = |user: &str, password: &str| {
        let (user, password) = (user.to_owned(), password.to_owned());
        Access { credentials: Credentials::Password { user, password }, ca: None }
    };
    for (access, part) in [
        (Access::default(), "wants to know who you are"),
        (wrong("admin", "hunter2hunter2"), "is not valid"),
        (wrong("nobody", PASSWORD), "is not valid"),
        (token("fanlight_nonsense"), "is not valid"),
    ] {
        let sentence = sentence(connect(&server, &access).await);
        assert!(sentence.contains(part) && sentence.contains("FANLIGHT_TOKEN"), "{sentence}");
    }
    // What browsers can do: no header, but a subprotocol.
    let upgrade = |protocols: &str| {
        let headers = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Protocol", protocols),
        ];
        server.get_head("/ws", &headers)
    };
    let head = upgrade(&format!("fanlight, fanlight.bearer.{secret}"));
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-protocol: fanlight\r\n"), "{head}");
    assert!(!head.contains("bearer"), "{head}");
    assert!(upgrade("fanlight, fanlight.bearer.wrong").starts_with("http/1.1 401 "));

    let log = server.terminate().stderr;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("audit: not let in")).collect();
    assert_eq!(lines.len(), 5, "{log}");
    assert!(
        lines.iter().any(|l| l.contains("user=\"nobody\"") && l.contains("127.0.0.1")),
        "{log}"
    );
    for word in [PASSWORD, "hunter2", &secret, &secret[9..], "fanlight_nonsense", "$argon2"] {
        assert!(!log.contains(word), "{word} is in the log: {log}");
    }
}

#[test]
fn http_asks_who_it_is_where_something_is_told_about_the_broker() {
    let users = Users::new();
    users.add("bob", &["--read", ".*"]);
    let server = users.start(&[]);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(server.get("/").0, 200);
    let (status, head, _) = server.get("/metrics");
    assert_eq!(status, 401);
    assert!(head.contains("www-authenticate: bearer"), "{head}");
    let bearer = |user: &str| format!("Bearer {}", users.token(user, "metrics"));
    let (admin, bob) = (bearer("admin"), bearer("bob"));
    eventually_get(&server, &admin, 200);
    eventually_get(&server, &bob, 403);
    users.tell(&["permit", "bob", "--tag", "monitoring"]);
    eventually_get(&server, &bob, 200);
}

fn eventually_get(server: &Server, authorization: &str, status: u16) {
    let begun = Instant::now();
    while server.get_with("/metrics", &[("Authorization", authorization)]).0 != status {
        assert!(begun.elapsed() < PATIENCE, "the server reads what changed, and answers {status}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn users_that_change_are_read_again_and_who_is_not_welcome_any_more_has_to_go() {
    let users = Users::new();
    users.add("bob", &["--configure", ".*"]);
    let first = users.token("bob", "first");
    let second = users.token("bob", "second");
    let server = users.start(&[]);
    let mut by_first = connect(&server, &token(&first)).await.expect("it is let in");
    let mut by_second = connect(&server, &token(&second)).await.expect("it is let in");
    let mut admin = connect(&server, &password("admin")).await.expect("it is let in");

    users.tell(&["token", "bob", "--revoke", "first"]);
    server.hang_up();
    let error = loop {
        if let Err(error) = by_first.overview().await {
            break error.to_string();
        }
    };
    assert!(error.contains("the user was changed or removed"), "{error}");
    by_second.overview().await.expect("the other token is still good");
    assert!(connect(&server, &token(&first)).await.is_err());

    // Without a signal, too; and what is not right changes nothing.
    let good = std::fs::read(users.path()).expect("it is there");
    std::fs::write(users.path(), "[users.bob]\nwrite = 1\n").expect("it writes");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    by_second.overview().await.expect("the users are as they were");
    std::fs::write(users.path(), good).expect("it writes");
    users.tell(&["remove", "bob"]);
    let begun = Instant::now();
    while by_second.overview().await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "bob is gone, and so is the connection");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    admin.overview().await.expect("the admin stays");
    let log = server.terminate().stderr;
    assert!(log.contains("the users stay as they were"), "{log}");
}

#[test]
fn the_first_user_is_an_admin_and_secrets_are_shown_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a plain name");
    let add = |args: &[&str], input: &str| {
        run_with(input, &[&["users", "add"], args, &["--data", data]].concat(), &[])
    };
    let (code, _, err) = add(&["bob"], "long enough\n");
    assert_eq!((code, err.contains("add --admin")), (Some(1), true), "{err}");
    let (code, _, err) = add(&["admin", "--admin"], "short\n");
    assert_eq!((code, err.contains("at least 8 characters")), (Some(2), true), "{err}");
    let (code, out, err) = add(&["admin", "--admin"], "long enough\n");
    assert_eq!((code, out.contains("added the admin admin")), (Some(0), true), "{err}");
    let file = Path::new(data).join("users.toml");
    let kept = std::fs::read_to_string(&file).expect("it is there");
    assert!(kept.contains("$argon2id$") && !kept.contains("long enough"), "{kept}");

    let (code, out, err) = run(&["users", "token", "admin", "--data", data], &[]);
    assert_eq!((code, err.contains("shown once")), (Some(0), true), "{err}");
    let token = out.trim();
    assert!(token.starts_with("fanlight_"), "{out}");
    let kept = std::fs::read_to_string(&file).expect("it is there");
    assert!(!kept.contains(&token[9..]), "{kept}");
    let (_, list, _) = run(&["users", "list", "--data", data], &[]);
    assert!(list.contains("admin") && list.contains(".*") && !list.contains("argon2"), "{list}");
    let (_, list, _) = run(&["users", "list", "--json", "--data", data], &[]);
    assert!(list.contains("\"tokens\"") && !list.contains("argon2"), "{list}");
    let (code, _, err) = run(&["users", "remove", "admni", "--data", data], &[]);
    assert_eq!((code, err.contains("did you mean admin?")), (Some(1), true), "{err}");
    // The server takes the file in its data directory by itself.
    let server = Server::start(&["--data", data]);
    assert_eq!(server.get("/metrics").0, 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(server.get_with("/metrics", &[("Authorization", &bearer)]).0, 200);
}

#[test]
fn the_command_line_says_who_it_is_by_flags_or_environment() {
    let users = Users::new();
    let token = users.token("admin", "cli");
    let server = users.start(&[]);
    let url = server.url();
    let (code, _, err) = run(&["topics", "--server", &url], &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("does not let you in") && err.contains("--user and --password"), "{err}");
    for variables in [
        &[("FANLIGHT_TOKEN", token.as_str())][..],
        &[("FANLIGHT_USER", "admin"), ("FANLIGHT_PASSWORD", PASSWORD)],
    ] {
        let variables = [variables, &[("FANLIGHT_SERVER", url.as_str())]].concat();
        let (code, out, err) = run(&["topics", "create", "orders"], &variables);
        assert_eq!((code, out.is_empty()), (Some(0), false), "{err}");
    }
    let (code, _, err) = run(&["topics", "--server", &url, "--token", &token], &[]);
    assert_eq!(code, Some(0), "{err}");
    let (_, help, _) = run(&["topics", "--help"], &[("FANLIGHT_TOKEN", &token)]);
    assert!(!help.contains(&token), "a help text shows no secret");
}

#[test]
fn a_file_of_users_that_is_not_there_or_not_right_stops_the_server() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("u.toml");
    let file = path.to_str().expect("a plain name");
    let ended = refused(&["--listen", "127.0.0.1:0", "--users", file]);
    ended.expect_sentence(&[file, "fanlight users add NAME --admin"]);
    std::fs::write(&path, "[users.bob]\nread = \"(\"\n").expect("it writes");
    let ended = refused(&["--listen", "127.0.0.1:0", "--users", file]);
    ended.expect_sentence(&[file, "bob", "not a regular expression"]);
}

#[tokio::test]
async fn wrong_passwords_wait_in_a_bounded_line_and_good_ones_are_remembered() {
    let users = Users::new();
    let server = users.start(&["--auth-verifications-max", "1", "--auth-waiting-max", "4"]);
    connect(&server, &password("admin")).await.expect("it is let in");
    let guess = |n: u32| {
        let credentials = Credentials::Password {
            user: "admin".to_owned(),
            password: format!("wrong password {n}"),
        };
        Access { credentials, ca: None }
    };
    let guesses: Vec<Access> = (0..12).map(guess).collect();
    let attempts = guesses.iter().map(|access| connect(&server, access));
    let flood = futures_util::future::join_all(attempts);
    // While they come, whoever was let in before is let in at once.
    let known = password("admin");
    let (results, again) = tokio::join!(flood, connect(&server, &known));
    again.expect("it is remembered");
    let sentences: Vec<String> = results.into_iter().map(sentence).collect();
    let busy = sentences.iter().filter(|s| s.contains("too many passwords")).count();
    let wrong = sentences.iter().filter(|s| s.contains("is not valid")).count();
    assert_eq!(busy + wrong, 12, "{sentences:?}");
    assert!(busy > 0 && wrong > 0, "{sentences:?}");
}

#[tokio::test]
async fn users_that_come_to_a_server_without_any_are_asked_for_from_the_next_signal_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a plain name");
    let server = Server::start(&["--data", data]);
    let mut before = connect(&server, &Access::default()).await.expect("everybody is let in");
    let add = ["users", "add", "admin", "--admin", "--data", data];
    let (code, _, err) = run_with(&format!("{PASSWORD}\n"), &add, &[]);
    assert_eq!(code, Some(0), "{err}");
    before.overview().await.expect("nobody has told the server");
    server.hang_up();
    let begun = Instant::now();
    while before.overview().await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "who did not say who it is has to go");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(connect(&server, &Access::default()).await.is_err());
    connect(&server, &password("admin")).await.expect("the admin is let in");
    // Doors do not open by themselves.
    std::fs::remove_file(Path::new(data).join("users.toml")).expect("it can be removed");
    server.hang_up();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(connect(&server, &Access::default()).await.is_err());
    assert!(server.terminate().stderr.contains("is gone; the users stay as they were"));
}
