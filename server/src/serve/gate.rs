//! Who comes in: what proves who somebody is, looked at before anything else.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use tokio::sync::Semaphore;

use super::metrics::Entrance;
use crate::access::{self, Account, Accounts, Credential, Store};
use crate::settings::Settings;

/// The subprotocol of clients that say how they speak.
pub(crate) const PROTOCOL_NAME: &str = "fanlight";
/// Browsers set no headers of their own on a WebSocket, but subprotocols: one of these carries a
/// token.
const PROTOCOL_BEARER: &str = "fanlight.bearer.";
/// Verified passwords that are remembered.
const VERIFIED_MAX: usize = 4_096;
/// A longer password is refused unread.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Of those that wait for their password to be verified, so large a part may be from one address.
const WAITING_PART: u32 = 4;

/// Somebody who came in.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Who it is.
    pub(crate) account: Arc<Account>,
    /// What proved it.
    pub(crate) credential: Option<Credential>,
    /// Where it came from.
    pub(crate) peer: SocketAddr,
}

/// Why somebody did not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Nothing proves who it is.
    Missing,
    /// What should prove it does not.
    Wrong,
    /// Too many passwords are being verified.
    Busy,
}

impl Denied {
    /// What who is not let in is told.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Denied::Missing => {
                "this server wants to know who you are: give a token, or a user and a password"
            }
            Denied::Wrong => "this user, password or token is not valid",
            Denied::Busy => "too many passwords are being verified; try again, or use a token",
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let challenge =
            [("www-authenticate", "Bearer realm=\"fanlight\", Basic realm=\"fanlight\"")];
        let reason = format!("{}\n", self.reason());
        match self {
            Denied::Missing | Denied::Wrong => {
                (StatusCode::UNAUTHORIZED, challenge, reason).into_response()
            }
            Denied::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")], reason).into_response()
            }
        }
    }
}

/// What somebody shows. Never printed.
enum Shown {
    Nothing,
    Token(String),
    Password { user: String, password: String },
    Garbled,
}

/// Lets in who proves who they are.
pub(crate) struct Gate {
    /// None: there are no users, and everybody comes in.
    accounts: RwLock<Option<Arc<Accounts>>>,
    everybody: Arc<Account>,
    file: Option<PathBuf>,
    verified: Mutex<HashMap<[u8; 32], Instant>>,
    cache_for: Duration,
    salt: [u8; 32],
    verifying: Semaphore,
    waiting: Mutex<HashMap<IpAddr, u32>>,
    waiting_max: u32,
    /// Bounds the lines about those who do not come in.
    stranger: Account,
    metrics: Arc<Entrance>,
}

impl Gate {
    /// One that knows the users there are; a sentence if they cannot be read.
    pub(crate) fn new(settings: &Settings, metrics: Arc<Entrance>) -> Result<Gate, String> {
        let file = settings.users_file();
        let store = file.as_deref().map(Store::read).transpose()?.flatten();
        if let (None, Some(named)) = (&store, &settings.users) {
            return Err(format!(
                "there is no file of users at {0}; make it, and the first user, with `fanlight \
                 users add NAME --admin --users {0}`",
                named.display()
            ));
        }
        let accounts = store.map(|store| Accounts::new(store, None)).transpose()?;
        Ok(Gate {
            accounts: RwLock::new(accounts.map(Arc::new)),
            everybody: Arc::new(Account::everybody()),
            file,
            verified: Mutex::default(),
            cache_for: settings.auth_cache_for,
            salt: access::random_bytes(),
            verifying: Semaphore::new((settings.auth_verifications_max as usize).clamp(1, 1_024)),
            waiting: Mutex::default(),
            waiting_max: settings.auth_waiting_max,
            stranger: Account::everybody(),
            metrics,
        })
    }

    /// Whether people have to say who they are.
    pub(crate) fn is_guarded(&self) -> bool {
        self.accounts().is_some()
    }

    /// The file that is looked at for changes.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    fn accounts(&self) -> Option<Arc<Accounts>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file of users again. What is not right changes nothing, and neither does a file
    /// that is gone: doors do not open by themselves.
    pub(crate) fn reload(&self) -> Result<Option<Arc<Accounts>>, String> {
        let Some(file) = &self.file else { return Ok(None) };
        let before = self.accounts();
        let Some(store) = Store::read(file)? else {
            return match before {
                Some(_) => Err(format!("{} is gone", file.display())),
                None => Ok(None),
            };
        };
        let accounts = Arc::new(Accounts::new(store, before.as_deref())?);
        *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = Some(accounts.clone());
        Ok(Some(accounts))
    }

    /// Lets somebody in, or says why not.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Result<Guest, Denied> {
        let Some(accounts) = self.accounts() else {
            return Ok(Guest { account: self.everybody.clone(), credential: None, peer });
        };
        let (user, result) = match shown(headers) {
            Shown::Nothing => (String::new(), Err(Denied::Missing)),
            Shown::Garbled => (String::new(), Err(Denied::Wrong)),
            Shown::Token(token) => {
                (String::new(), accounts.with_token(&token).ok_or(Denied::Wrong))
            }
            Shown::Password { user, password } => {
                let result = self.verify(&accounts, &user, password, peer.ip()).await;
                (user, result)
            }
        };
        match result {
            Ok((account, credential)) => Ok(Guest { account, credential: Some(credential), peer }),
            Err(denied) => {
                self.denied(denied, &user, peer);
                Err(denied)
            }
        }
    }

    fn denied(&self, denied: Denied, user: &str, peer: SocketAddr) {
        self.metrics.logins_failed.add(1);
        let reason = match denied {
            Denied::Missing => "nothing was shown that proves who it is",
            Denied::Wrong => "the user, password or token is not valid",
            Denied::Busy => "too many passwords are being verified",
        };
        if let Some(unwritten) = self.stranger.audit(Instant::now()) {
            tracing::warn!(target: "audit", ?user, %peer, reason, unwritten, "audit: not let in");
        }
    }

    /// Somebody did not even get to say who it is.
    pub(crate) fn turned_away(&self, reason: &str, peer: SocketAddr) {
        if let Some(unwritten) = self.stranger.audit(Instant::now()) {
            tracing::warn!(target: "audit", %peer, ?reason, unwritten, "audit: not let in");
        }
    }

    async fn verify(
        &self,
        accounts: &Accounts,
        user: &str,
        password: String,
        from: IpAddr,
    ) -> Result<(Arc<Account>, Credential), Denied> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Denied::Wrong);
        }
        let account = accounts.named(user).cloned();
        let hash = account.as_ref().and_then(|account| account.password_hash().map(str::to_owned));
        let known = |hash: &str| {
            let parts = [&self.salt[..], user.as_bytes(), password.as_bytes(), hash.as_bytes()];
            access::digest(&parts)
        };
        let key = hash.as_deref().map(known);
        let now = Instant::now();
        let good = key.is_some_and(|key| self.is_verified(&key, now))
            || self.verify_slowly(password, hash.clone(), from).await?;
        match (good, account, hash, key) {
            (true, Some(account), Some(hash), Some(key)) => {
                self.remember(key, now);
                Ok((account, Credential::Password(hash)))
            }
            _ => Err(Denied::Wrong),
        }
    }

    /// Verifies by argon2, which takes tens of milliseconds and 19 MiB: a few at a time, and away
    /// from whoever serves others.
    async fn verify_slowly(
        &self,
        password: String,
        hash: Option<String>,
        from: IpAddr,
    ) -> Result<bool, Denied> {
        let _place = self.wait_from(from)?;
        let _turn = self.verifying.acquire().await.expect("nobody closes the semaphore");
        let verify = move || access::verify_password(&password, hash.as_deref());
        tokio::task::spawn_blocking(verify).await.map_err(|_| Denied::Busy)
    }

    fn wait_from(&self, from: IpAddr) -> Result<Waiting<'_>, Denied> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u32 = waiting.values().sum();
        let here = waiting.entry(from).or_default();
        if total >= self.waiting_max || *here >= (self.waiting_max / WAITING_PART).max(1) {
            return Err(Denied::Busy);
        }
        *here += 1;
        Ok(Waiting { gate: self, from })
    }

    fn is_verified(&self, key: &[u8; 32], now: Instant) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(key).is_some_and(|at| now.duration_since(*at) < self.cache_for)
    }

    fn remember(&self, key: [u8; 32], now: Instant) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.retain(|_, at| now.duration_since(*at) < self.cache_for);
        }
        if verified.len() < VERIFIED_MAX {
            verified.entry(key).or_insert(now);
        }
    }
}

/// One of those that wait for their password to be verified.
struct Waiting<'g> {
    gate: &'g Gate,
    from: IpAddr,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.gate.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = waiting.get_mut(&self.from) {
            *here -= 1;
            if *here == 0 {
                waiting.remove(&self.from);
            }
        }
    }
}

fn shown(headers: &HeaderMap) -> Shown {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return value.to_str().ok().and_then(authorization).unwrap_or(Shown::Garbled);
    }
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let offered = value.to_str().unwrap_or_default().split(',').map(str::trim);
        if let Some(token) = offered.filter_map(|p| p.strip_prefix(PROTOCOL_BEARER)).next() {
            return Shown::Token(token.to_owned());
        }
    }
    Shown::Nothing
}

fn authorization(value: &str) -> Option<Shown> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Shown::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(rest.trim().as_bytes()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Shown::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(name: &'static str, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        match shown(&headers) {
            Shown::Nothing => "nothing".to_owned(),
            Shown::Garbled => "garbled".to_owned(),
            Shown::Token(token) => format!("token {token}"),
            Shown::Password { user, password } => format!("{user} with {password}"),
        }
    }

    #[test]
    fn what_proves_who_somebody_is_is_found_where_each_client_can_put_it() {
        assert_eq!(of("authorization", "Bearer abc"), "token abc");
        assert_eq!(of("authorization", "basic YWxpY2U6YTpi"), "alice with a:b");
        assert_eq!(of("authorization", "Basic ?"), "garbled");
        assert_eq!(of("authorization", "Digest x"), "garbled");
        let offered = "fanlight, fanlight.bearer.abc";
        assert_eq!(of("sec-websocket-protocol", offered), "token abc");
        assert_eq!(of("sec-websocket-protocol", "fanlight"), "nothing");
        assert_eq!(of("cookie", "token=abc"), "nothing");
    }
}
