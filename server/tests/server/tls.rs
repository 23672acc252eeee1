//! TLS: with whom it is spoken, and when the certificate is another.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fanlight_server::client::{Access, Client, ClientError, Credentials, ServerAddress};

use crate::process::{PATIENCE, Server, refused, run};

/// A certificate of 127.0.0.1, signed by itself, and its key.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let files = Files { dir: tempfile::tempdir().expect("a temporary directory") };
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes another certificate and key in the place of these; gives a copy of the certificate.
    fn renew(&self) -> PathBuf {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate can be made");
        fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).expect("it writes");
        fs::write(self.path("cert.pem"), made.cert.pem()).expect("it writes");
        let number = fs::read_dir(self.dir.path()).expect("it lists").count();
        let copy = self.path(&format!("trusted-{number}.pem"));
        fs::write(&copy, made.cert.pem()).expect("it writes");
        copy
    }

    fn args(&self) -> [String; 4] {
        let text = |name| self.path(name).to_str().expect("a plain name").to_owned();
        ["--tls-cert".to_owned(), text("cert.pem"), "--tls-key".to_owned(), text("key.pem")]
    }

    fn start(&self) -> Server {
        Server::start(&self.args().each_ref().map(String::as_str))
    }
}

async fn connect(server: &Server, ca: Option<&Path>) -> Result<Client, ClientError> {
    let address: ServerAddress =
        format!("wss://{}/ws", server.address).parse().expect("an address");
    let access = Access { credentials: Credentials::None, ca: ca.map(Path::to_owned) };
    Client::connect_as(&address, "test", &access).await
}

#[tokio::test]
async fn who_trusts_the_certificate_speaks_tls_and_nobody_speaks_anything_else() {
    let files = Files::new();
    let server = files.start();
    assert!(server.ready.contains("wss://"), "{}", server.ready);
    let cert = files.path("cert.pem");
    let mut client = connect(&server, Some(&cert)).await.expect("it is trusted");
    assert!(client.overview().await.expect("it answers").queues.is_empty());

    let Err(error) = connect(&server, None).await else { panic!("anybody's is trusted") };
    let sentence = error.to_string();
    assert!(sentence.contains("cannot be trusted") && sentence.contains("--ca"), "{sentence}");

    let url = format!("https://{}", server.address);
    let ca = cert.to_str().expect("a plain name");
    let (code, _, err) = run(&["topics", "create", "orders", "--server", &url, "--ca", ca], &[]);
    assert_eq!(code, Some(0), "{err}");

    let (status, _, body) = server.get("/healthz");
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).contains("speaks TLS"));
    let (_, _, err) = run(&["topics", "--server", &server.address.to_string()], &[]);
    assert!(err.contains("use https:// or wss://"), "{err}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_who_comes_next_and_a_wrong_one_to_nobody() {
    let files = Files::new();
    let first = files.path("trusted.pem");
    fs::copy(files.path("cert.pem"), &first).expect("it copies");
    let server = files.start();
    let mut before = connect(&server, Some(&first)).await.expect("it is trusted");

    // A key of another certificate: nothing changes.
    let key = fs::read(files.path("key.pem")).expect("it is there");
    let other = Files::new();
    fs::copy(other.path("key.pem"), files.path("key.pem")).expect("it copies");
    server.hang_up();
    tokio::time::sleep(Duration::from_millis(300)).await;
    connect(&server, Some(&first)).await.expect("the certificate is as it was");
    fs::write(files.path("key.pem"), key).expect("it writes");

    let second = files.renew();
    server.hang_up();
    let begun = Instant::now();
    while connect(&server, Some(&second)).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the new certificate is shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(connect(&server, Some(&first)).await.is_err(), "and the old one is not");
    // Without a signal, too.
    let third = files.renew();
    let begun = Instant::now();
    while connect(&server, Some(&third)).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "a file that changed is read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    before.overview().await.expect("who was there stays");
    let log = server.terminate().stderr;
    assert!(log.contains("is not that of the certificate"), "{log}");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn files_that_do_not_belong_together_stop_the_server_with_what_is_wrong() {
    let files = Files::new();
    let other = Files::new();
    let with = |cert: &Path, key: &Path| {
        let [cert, key] = [cert, key].map(|path| path.to_str().expect("a plain name"));
        refused(&["--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key])
    };
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    with(&cert, &other.path("key.pem")).expect_sentence(&["is not that of the certificate"]);
    with(&key, &key).expect_sentence(&["there is no certificate (PEM) in", "key.pem"]);
    with(&cert, &cert).expect_sentence(&["there is no private key (PEM) in", "cert.pem"]);
    with(&files.path("none.pem"), &key).expect_sentence(&["none.pem", "No such file"]);
    let cert = cert.to_str().expect("a plain name");
    let ended = refused(&["--listen", "127.0.0.1:0", "--tls-cert", cert]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("tls.cert and tls.key belong together"), "{ended:?}");
}
