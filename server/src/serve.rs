//! `fanlight serve`: the native server.
//!
//! ```text
//!   sockets ──► connection tasks ──► shard ──► journal ──► mailboxes ──► connection tasks
//!               (tokio)              (thread,  (thread,
//!                                    broker)   disk)
//! ```

mod api;
mod assets;
mod clock;
mod connection;
mod control;
mod crash_points;
pub(crate) mod data;
mod gate;
mod guard;
mod health;
mod http;
mod journal;
mod lives;
mod logging;
mod mailbox;
mod memory;
mod metrics;
mod namespaces;
mod origin;
mod outbox;
#[cfg(test)]
mod power;
pub(crate) mod recording;
mod recovery;
mod reload;
mod shard;
mod sockets;
mod spans;
mod storage;
mod tls;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::settings::Settings;
use connection::Reception;
use gate::Gate;
use health::Health;
use http::Site;
use metrics::Entrance;
use namespaces::Namespaces;
use origin::Doors;
use shard::Message;
use sockets::Sockets;
use storage::StorageError;
use tls::Tls;

/// How long connections may take to say goodbye.
const GOODBYES_MAX: Duration = Duration::from_secs(3);

/// Why the server did not start, or stopped: a sentence for whoever started it.
#[derive(Debug)]
pub(crate) struct Error(String);

impl Error {
    /// One that was logged, and need not be said again.
    fn told() -> Error {
        Error(String::new())
    }

    /// Whether it was said already.
    pub(crate) fn is_told(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Error {
        Error(error.to_string())
    }
}

/// Runs the server until it is told to stop (SIGINT, SIGTERM) or cannot go on.
pub(crate) fn run(settings: Settings) -> Result<(), Error> {
    logging::begin(&settings);
    crash_points::arm().map_err(Error)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error(format!("cannot start: {error}")))?;
    let result = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(Duration::from_millis(100));
    if let Err(error) = &result
        && logging::is_json()
    {
        tracing::error!("{error}");
        return Err(Error::told());
    }
    result
}

/// Files that a server has open beside its sockets, with room to spare.
const FILES_BESIDE: u64 = 1_024;

/// A shell allows a program some thousand open files unless it asks for more, and a socket is one.
/// As far as the hard limit goes, which is the system's word, it asks for what settings allow.
fn raise_file_limit(connections_max: u32) {
    let wanted = u64::from(connections_max) + FILES_BESIDE;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => tracing::warn!(
            "this system allows {allowed} open files, so fewer connections than connections.max, \
             {connections_max}: raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of systemd)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("the limit of open files stays as it is: {error}"),
    }
}

async fn serve(settings: Settings) -> Result<(), Error> {
    let listener = listen(&settings.listen).await?;
    let address = listener.local_addr().map_err(|error| Error(format!("no address: {error}")))?;
    let entrance = Arc::new(Entrance::default());
    let gate = Arc::new(Gate::new(&settings, entrance.clone()).map_err(Error)?);
    guarded(&settings, &gate, address)?;
    let (ended, exporting) = spans::start(&settings, &entrance).map_err(Error)?;
    let tls = Tls::new(&settings).map_err(Error)?.map(Arc::new);
    let health = Arc::new(Health::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let early = health::early(health.clone());
    let sockets = Sockets::new(early, tls.clone(), &settings, entrance.clone());
    let full = sockets.router();
    let server = tokio::spawn(sockets.take(listener, stopped));
    // On this thread, which serves nobody: others answer meanwhile how far it is.
    let (namespaces, mut ends) = Namespaces::start(&settings, &health, ended)?;
    let (alive, mut goodbyes) = mpsc::channel(1);
    let site = Site {
        reception: Reception::new(&settings, entrance.clone()),
        gate: gate.clone(),
        doors: Arc::new(Doors::new(&settings, address.ip())),
        namespaces: namespaces.clone(),
        samples_max: settings.samples_max as usize,
        entrance: entrance.clone(),
        health: health.clone(),
        message_bytes_max: settings.message_bytes_max(),
        alive,
    };
    // Before anybody knows that the server is there to be stopped.
    let mut signals = Signals::listen()?;
    let mut reloading = reload::begin(gate.clone(), tls, namespaces.clone())?;
    full.set(site.router()).expect("it is set here alone");
    // The router has what lives as long as a connection does; the end would be waited for.
    drop(full);
    health.set_ready();
    raise_file_limit(settings.connections_max);
    announce(&settings, &gate, address);

    let signal = tokio::select! {
        signal = signals.next() => signal,
        _ = &mut reloading => "hung up",
        failed = ends.failed() => {
            health.set_failed();
            return Err(failed);
        }
    };
    tracing::info!("{signal}: stopping; once more stops at once");
    health.set_stopping();
    namespaces.tell(|| Message::Stop(settings.shutdown_grace)).await;
    tokio::select! {
        stopped = ends.stopped() => stopped?,
        signal = signals.next() => {
            return Err(Error(format!(
                "{signal}: stopped at once; unconfirmed messages may be lost"
            )));
        }
    }
    let _ = stop.send(());
    drop(namespaces);
    reloading.abort();
    server.abort();
    let _ = tokio::time::timeout(GOODBYES_MAX, goodbyes.recv()).await;
    // The last spans; a collector that does not take them holds nobody up for long.
    let _ = tokio::time::timeout(GOODBYES_MAX, exporting).await;
    Ok(())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library adds kinds as it likes")]
async fn listen(address: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there already; stop that one, or \
                 choose another address with --listen (port 0 picks a free one)"
                .to_owned(),
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; 127.0.0.1 and 0.0.0.0 always work".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "that is not allowed; ports from 1024 on usually are".to_owned()
            }
            io::ErrorKind::InvalidInput => {
                "it should be an address and a port, as in 127.0.0.1:7420".to_owned()
            }
            _ => error.to_string(),
        };
        Error(format!("cannot listen on {address}: {why}"))
    })
}

/// Says that it is ready: one line, which scripts wait for.
fn announce(settings: &Settings, gate: &Gate, address: SocketAddr) {
    let kept = match &settings.data {
        Some(dir) => format!("data in {}, sync {}", dir.display(), settings.sync.name()),
        None => "everything in memory: --data DIR keeps it".to_owned(),
    };
    let mut stdout = io::stdout();
    // Whoever started it may not read what it says.
    let s = if settings.tls_cert.is_some() { "s" } else { "" };
    let _ = writeln!(
        stdout,
        "listening on http{s}://{address} (clients: ws{s}://{address}/ws; {kept})"
    );
    let _ = stdout.flush();
    if address.ip().is_loopback() {
        return;
    }
    if !gate.is_guarded() {
        tracing::warn!("whoever reaches {address} can read and change everything in this broker");
    } else if settings.tls_cert.is_none() {
        tracing::warn!(
            "passwords, tokens and messages come to {address} as they are, readable to whoever is \
             on the way: --tls-cert and --tls-key, or a proxy that speaks TLS, are for that"
        );
    }
}

/// Whether it may listen there: beyond loopback there have to be users, or somebody has to have
/// said in so many words that there need be none.
fn guarded(settings: &Settings, gate: &Gate, address: SocketAddr) -> Result<(), Error> {
    if address.ip().is_loopback() || gate.is_guarded() || settings.insecure_no_auth {
        return Ok(());
    }
    let file = match &settings.data {
        Some(dir) => format!("--data {}", dir.display()),
        None => "--users FILE".to_owned(),
    };
    Err(Error(format!(
        "{address} can be reached from other machines, and there are no users: whoever reaches it \
         could read and change everything. Make the first user with `fanlight users add NAME \
         --admin {file}`, listen on 127.0.0.1, or say --insecure-no-auth"
    )))
}

/// What tells the server to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits to be told, and says by what.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "told to end",
        }
    }
}
