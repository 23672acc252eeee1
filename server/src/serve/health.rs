//! Whether the server is well: what `/healthz` and `/readyz` say, also before there is anything else to
//! be asked for.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// How a server is, and how far it is on the way there.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: AtomicU8,
    /// How many hundredths of the journal are read.
    recovered: AtomicU8,
}

const RECOVERING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;
const FAILED: u8 = 3;

impl Health {
    /// So many hundredths of the journal are read.
    pub(crate) fn set_recovered(&self, percent: u64) {
        let percent = u8::try_from(percent).unwrap_or(100);
        self.recovered.store(percent, Ordering::Relaxed);
    }

    /// It takes work.
    pub(crate) fn set_ready(&self) {
        self.state.fetch_max(READY, Ordering::Relaxed);
    }

    /// It is about to stop.
    pub(crate) fn set_stopping(&self) {
        self.state.fetch_max(STOPPING, Ordering::Relaxed);
    }

    /// Its journal failed.
    pub(crate) fn set_failed(&self) {
        self.state.fetch_max(FAILED, Ordering::Relaxed);
    }

    /// Why it takes no work; None: it does.
    pub(crate) fn trouble(&self) -> Option<Cow<'static, str>> {
        match self.state.load(Ordering::Relaxed) {
            RECOVERING => {
                let percent = self.recovered.load(Ordering::Relaxed);
                Some(format!("recovering the journal: {percent} %\n").into())
            }
            READY => None,
            STOPPING => Some("the server is stopping\n".into()),
            _ => Some("the journal failed\n".into()),
        }
    }

    /// Whether it takes work, as an answer.
    pub(crate) fn ready(&self) -> Response {
        match self.trouble() {
            None => (StatusCode::OK, "ok\n").into_response(),
            Some(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], why).into_response()
            }
        }
    }

    /// Whether it should go on living, as an answer: a server that recovers or stops does, and is
    /// not to be killed for that.
    pub(crate) fn lives(&self) -> Response {
        match self.state.load(Ordering::Relaxed) {
            FAILED => self.ready(),
            _ => (StatusCode::OK, "ok\n").into_response(),
        }
    }
}

/// What is answered until the journal is read: how far that is, whatever was asked for.
pub(crate) fn early(health: Arc<Health>) -> Router {
    async fn lives(State(health): State<Arc<Health>>) -> Response {
        health.lives()
    }
    async fn not_yet(State(health): State<Arc<Health>>) -> Response {
        health.ready()
    }
    Router::new().route("/healthz", get(lives)).fallback(not_yet).with_state(health)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_never_better_than_it_was_and_not_ready_from_the_start() {
        let health = Health::default();
        health.set_recovered(40);
        assert_eq!(health.trouble().as_deref(), Some("recovering the journal: 40 %\n"));
        let lives = |status| assert_eq!(health.lives().status(), status);
        lives(StatusCode::OK);
        health.set_ready();
        assert_eq!(health.trouble(), None);
        health.set_stopping();
        health.set_ready();
        assert_eq!(health.trouble().as_deref(), Some("the server is stopping\n"));
        lives(StatusCode::OK);
        health.set_failed();
        health.set_stopping();
        assert_eq!(health.trouble().as_deref(), Some("the journal failed\n"));
        lives(StatusCode::SERVICE_UNAVAILABLE);
    }
}
