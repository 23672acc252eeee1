//! How a request over HTTP fails: a status, and a body of one shape for every failure.

use std::borrow::Cow;
use std::time::Instant;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanlight_core::{Code, Refusal};
use serde::Serialize;

use super::super::gate::Denied;
use crate::access::Account;

/// Seconds after which to try again, where nothing says it better.
const AGAIN: u64 = 1;

/// Why a request fails: what every answer that is not a success is made of.
///
/// As JSON: `{"error":{"code":"QueueFull","number":401,"message":"…"}}`. `code` and `number` are the
/// broker's own where it refused; what HTTP alone can get wrong has a code and no number.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: Cow<'static, str>,
    number: Option<u16>,
    message: String,
    /// In how many seconds the same may succeed.
    again: Option<u64>,
    challenge: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u16>,
    message: &'a str,
}

impl Failure {
    /// What HTTP alone can get wrong.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        let (code, message) = (code.into(), message.into());
        Failure { status, code, number: None, message, again: None, challenge: false }
    }

    /// A request that says something that cannot be meant: as the broker's own `BadArgument`.
    pub(crate) fn argument(message: impl Into<String>) -> Failure {
        Failure::from(Code::BadArgument.because(message.into()))
    }

    /// The broker answered something else than what was asked.
    pub(crate) fn unexpected() -> Failure {
        let what = "the broker's answer does not belong to the request; please report it";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Unexpected", what)
    }

    /// The connection ended over which a request was under way; the next one gets another.
    pub(crate) fn ended(why: Refusal<'_>) -> Failure {
        if why.code != Code::NotOpen {
            return why.into();
        }
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Failure::new(status, "ConnectionEnded", why.message).again_in(AGAIN)
    }

    /// Whether the broker refused for this reason.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.number == Some(code.number())
    }

    /// The same, of a part of what came.
    pub(crate) fn at(mut self, place: &str) -> Failure {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same may succeed in so many seconds.
    pub(crate) fn again_in(mut self, seconds: u64) -> Failure {
        self.again = Some(seconds.max(1));
        self
    }

    /// The same, with how long a user has to wait that published more than it may.
    pub(crate) fn of(self, account: &Account) -> Failure {
        if self.number != Some(Code::QuotaExceeded.number()) {
            return self;
        }
        let owes = account.owes(Instant::now()).ceil();
        self.again_in(owes as u64)
    }

    /// The failure as an answer.
    fn response(&self) -> Response {
        let told = Told { code: &self.code, number: self.number, message: &self.message };
        let mut body = serde_json::to_vec(&Body { error: told }).expect("text becomes JSON");
        body.push(b'\n');
        let kind = HeaderValue::from_static("application/json");
        let mut response = (self.status, [(CONTENT_TYPE, kind)], body).into_response();
        if let Some(seconds) = self.again {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.challenge {
            let challenge = "Bearer realm=\"fanlight\", Basic realm=\"fanlight\"";
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl From<Refusal<'_>> for Failure {
    fn from(refusal: Refusal<'_>) -> Failure {
        let Refusal { code, message } = refusal;
        Failure {
            status: status(code),
            code: format!("{code:?}").into(),
            number: Some(code.number()),
            message: message.into_owned(),
            again: code.is_transient().then_some(AGAIN),
            challenge: false,
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        let status = match denied {
            Denied::Missing | Denied::Wrong => StatusCode::UNAUTHORIZED,
            Denied::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut failure = Failure::new(status, "NotLetIn", denied.reason());
        failure.challenge = status == StatusCode::UNAUTHORIZED;
        failure.again = (denied == Denied::Busy).then_some(AGAIN);
        failure
    }
}

/// The status of each kind of refusal.
fn status(code: Code) -> StatusCode {
    match code {
        Code::BadFrame | Code::BadProtocol => StatusCode::BAD_REQUEST,
        Code::BadArgument
        | Code::BadName
        | Code::Unroutable
        | Code::KeyMissing
        | Code::OffsetOutOfRange => StatusCode::UNPROCESSABLE_ENTITY,
        // Somebody asked for a connection that is not there.
        Code::NotOpen
        | Code::UnknownExchange
        | Code::UnknownQueue
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownGroup
        | Code::UnknownBinding
        | Code::UnknownConsumer
        | Code::UnknownMember
        | Code::UnknownMessage
        | Code::UnknownProducer
        | Code::UnknownRedrive => StatusCode::NOT_FOUND,
        Code::Conflict
        | Code::InUse
        | Code::Exclusive
        | Code::StaleLease
        | Code::Fenced
        | Code::OutOfOrderSequence
        | Code::DuplicateSequence
        | Code::ProducerFenced
        | Code::InvalidTransaction
        | Code::IllegalGeneration
        | Code::FencedInstanceId
        | Code::RebalanceInProgress
        | Code::InconsistentGroupProtocol
        | Code::TooMany => StatusCode::CONFLICT,
        Code::Internal | Code::AccessRefused => StatusCode::FORBIDDEN,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::QueueFull | Code::BrokerFull | Code::DeduplicationFull | Code::QuotaExceeded => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_later_says_when_and_nothing_else_does() {
        for code in Code::ALL {
            let response = Failure::from(code.because("why")).into_response();
            let busy = matches!(response.status().as_u16(), 429 | 503);
            assert_eq!(busy, code.is_transient(), "{code:?}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), busy, "{code:?}");
            assert!(response.status().is_client_error() || response.status().as_u16() == 503);
        }
    }
}
