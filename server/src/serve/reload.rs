//! What is read again while the server runs: users and certificates, when they change or when it
//! is told to.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::Error;
use super::gate::Gate;
use super::namespaces::Namespaces;
use super::shard::Message;
use super::tls::Tls;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one content of a file from another without reading it.
type Stamp = Option<(SystemTime, u64, u64)>;

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    tls.files().into_iter().map(stamp).collect()
}

/// What is read again.
struct Reload {
    gate: Arc<Gate>,
    namespaces: Namespaces,
    users: Stamp,
    tls: Option<Arc<Tls>>,
    certificates: Vec<Stamp>,
    hangup: Signal,
}

/// Begins to listen for SIGHUP, and to look at files where there are any. Ends with a SIGHUP where
/// there is nothing to read: that is a terminal that was closed.
pub(crate) fn begin(
    gate: Arc<Gate>,
    tls: Option<Arc<Tls>>,
    namespaces: Namespaces,
) -> Result<JoinHandle<()>, Error> {
    let hangup = signal(SignalKind::hangup())
        .map_err(|error| Error(format!("cannot listen for signals: {error}")))?;
    let users = gate.file().and_then(|file| stamp(file));
    let certificates = tls.as_deref().map(stamps).unwrap_or_default();
    let mut reload = Reload { gate, namespaces, users, tls, certificates, hangup };
    Ok(tokio::spawn(async move {
        loop {
            let told = reload.next().await;
            let users = reload.users(told).await;
            if !(users | reload.certificates(told)) {
                return;
            }
        }
    }))
}

impl Reload {
    /// Waits for the next moment to look; says whether it was told to. A server without either only
    /// listens, and is not woken up.
    async fn next(&mut self) -> bool {
        if !self.gate.is_guarded() && self.tls.is_none() {
            self.hangup.recv().await;
            return true;
        }
        tokio::select! {
            _ = self.hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        }
    }

    /// Looks at the certificate, if there is one.
    fn certificates(&mut self, told: bool) -> bool {
        let Some(tls) = &self.tls else { return false };
        let now = stamps(tls);
        if !told && now == self.certificates {
            return true;
        }
        self.certificates = now;
        match tls.reload() {
            Ok(()) => tracing::info!("read the certificate again: new connections see it"),
            Err(error) => tracing::error!("{error}; the certificate stays as it was"),
        }
        true
    }

    /// Looks at the users, if there are any.
    async fn users(&mut self, told: bool) -> bool {
        let Some(file) = self.gate.file() else { return false };
        let now = stamp(file);
        if !told && now == self.users {
            return self.gate.is_guarded();
        }
        self.users = now;
        match self.gate.reload() {
            Ok(None) => return false,
            Ok(Some(accounts)) => {
                tracing::info!("read {}: {} users", file.display(), accounts.len());
                self.namespaces.tell(|| Message::Users(accounts.clone())).await;
            }
            Err(error) => tracing::error!("{error}; the users stay as they were"),
        }
        true
    }
}
