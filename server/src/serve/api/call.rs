//! One request over HTTP, taken apart: who asks, the names in the path, the query, the body.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use fanlight_core::{ConnId, Inspect, Op, Span};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use super::super::connection::Reception;
use super::super::gate::Guest;
use super::super::namespaces::Namespace;
use super::failure::Failure;
use super::input::{self, Object};
use super::line::{Asking, Kind, Reply};
use super::{Api, BODIES_BYTES, enter};

/// Bytes of a body that is no message.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to come.
const BODY_WAIT: Duration = Duration::from_secs(60);

/// One request.
pub(super) struct Call {
    api: Api,
    pub(super) guest: Guest,
    namespace: Namespace,
    names: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    /// Behind a lock only because it cannot be looked at by two at a time.
    body: Mutex<Body>,
}

/// Bytes that came, and their share of the memory that bodies may take: it is kept as long as what was
/// made of them.
pub(super) struct Load {
    pub(super) bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl FromRequest<Api> for Call {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Call, Failure> {
        let (mut parts, body) = request.into_parts();
        let names = RawPathParams::from_request_parts(&mut parts, api).await.map_err(|_| {
            Failure::new(StatusCode::BAD_REQUEST, "BadPath", "a name in the path is not UTF-8")
        })?;
        let names = names.iter().map(|(of, name)| (of.to_owned(), name.to_owned())).collect();
        let guest = parts.extensions.remove::<Guest>().ok_or_else(Failure::unexpected)?;
        let (guest, namespace) = enter(&api.site, guest, &parts.uri)?;
        let query = read_query(parts.uri.query().unwrap_or_default())?;
        let mut call = Call {
            api: api.clone(),
            guest,
            namespace,
            names,
            query,
            headers: parts.headers,
            body: Mutex::new(body),
        };
        // The door has looked at it.
        let _ = call.text("namespace")?;
        Ok(call)
    }
}

fn read_query(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().map(|text| text.into_owned()).map_err(|_| {
            Failure::new(StatusCode::BAD_REQUEST, "BadQuery", "the query is not UTF-8")
        })
    };
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

impl Call {
    /// The name that the path has in this place.
    pub(super) fn name(&self, of: &str) -> String {
        let found = self.names.iter().find(|(name, _)| name == of);
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    }

    /// The number that the path has in this place.
    pub(super) fn number<T: FromStr>(&self, of: &str) -> Result<T, Failure> {
        let text = self.name(of);
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain).ok_or_else(|| {
            Failure::argument(format!("{text:?} in the path should be a number, the {of}"))
        })
    }

    /// A parameter of the query, taken out of it.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.query.iter().position(|(n, _)| n == name) else { return Ok(None) };
        let (_, value) = self.query.remove(at);
        if self.query.iter().any(|(n, _)| n == name) {
            return Err(Failure::argument(format!("the query says {name} more than once")));
        }
        Ok(Some(value))
    }

    /// The same, read by `read`, which says what would have been right.
    pub(super) fn parameter<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let read = read(&text);
        read.map(Some)
            .map_err(|right| Failure::argument(format!("{name}={text:?} in the query: {right}")))
    }

    /// A whole number in the query.
    pub(super) fn count<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        self.parameter(name, |text| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| plain);
            number.ok_or_else(|| "it should be a whole number".to_owned())
        })
    }

    /// Yes or no in the query; no if it is not there.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        let read = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("it should be true or false".to_owned()),
        };
        Ok(self.parameter(name, read)?.unwrap_or(false))
    }

    /// A length of time in the query.
    pub(super) fn span(&mut self, name: &str) -> Result<Option<Span>, Failure> {
        self.parameter(name, input::span)
    }

    /// Refuses what is left of the query: nobody here knows what it means.
    pub(super) fn no_more(&self) -> Result<(), Failure> {
        let Some((name, _)) = self.query.first() else { return Ok(()) };
        Err(Failure::argument(format!("no parameter {name:?} of the query is known here")))
    }

    /// What kind of body it says it has, without parameters.
    pub(super) fn content_type(&self) -> Option<String> {
        let value = String::from_utf8_lossy(self.headers.get(CONTENT_TYPE)?.as_bytes());
        let kind = value.split(';').next().unwrap_or_default();
        Some(kind.trim().to_ascii_lowercase())
    }

    fn body_length(&self) -> Option<usize> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The body, of at most so many bytes.
    pub(super) async fn load(&mut self, max: usize) -> Result<Load, Failure> {
        let too_large = || {
            let what = format!("the body has more than {max} bytes, and may not");
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", what)
        };
        let length = self.body_length();
        if length.is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let share = u32::try_from(length.unwrap_or(max)).unwrap_or(u32::MAX).clamp(1, BODIES_BYTES);
        let permit = self.api.bodies.clone().acquire_many_owned(share).await;
        let permit = permit.map_err(|_| Failure::unexpected())?;
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        let read = tokio::time::timeout(BODY_WAIT, axum::body::to_bytes(body, max)).await;
        let late = |_| {
            let what = format!("the body did not come within {} s", BODY_WAIT.as_secs());
            Failure::new(StatusCode::REQUEST_TIMEOUT, "Late", what)
        };
        let bytes = read.map_err(late)?.map_err(|error| {
            let source = std::error::Error::source(&error);
            match source.is_some_and(|source| source.to_string().contains("length limit")) {
                true => too_large(),
                false => Failure::new(
                    StatusCode::BAD_REQUEST,
                    "BadBody",
                    format!("the body cannot be read: {error}"),
                ),
            }
        })?;
        Ok(Load { bytes, _permit: permit })
    }

    /// The body as JSON; an empty one is as `{}`. Nothing may be left of the query.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        self.no_more()?;
        let kind = self.content_type();
        let load = self.load(BODY_BYTES_MAX).await?;
        if load.bytes.is_empty() {
            return input::json::<Object<T>>(b"{}").map(|object| object.0);
        }
        if kind.as_deref() != Some("application/json") {
            return Err(unsupported(kind.as_deref(), "application/json"));
        }
        input::json::<Object<T>>(&load.bytes).map(|object| object.0)
    }

    fn reception(&self) -> &Reception {
        &self.api.site.reception
    }

    /// Bytes of the largest body of messages.
    pub(super) fn messages_bytes_max(&self) -> usize {
        2 * self.api.site.message_bytes_max
    }

    /// A place on one of the user's lines.
    pub(super) fn begin(&self, kind: Kind, waits: bool) -> Result<Asking, Failure> {
        self.api.lines.begin(self.reception(), &self.namespace, &self.guest, kind, waits)
    }

    /// A place on the line that has given out a receipt.
    pub(super) fn begin_on(&self, conn: ConnId, kind: Kind) -> Option<Asking> {
        self.api.lines.begin_on(&self.namespace, &self.guest, conn, kind)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, op: Op<'_>) -> Result<Reply, Failure> {
        let asking = self.begin(Kind::Plain, false)?;
        asking.send(op).await.map_err(|failure| failure.of(&self.guest.account))
    }

    /// Asks for a view.
    pub(super) async fn inspect(&self, what: Inspect<'_>) -> Result<Reply, Failure> {
        self.ask(Op::Inspect { what }).await
    }
}

/// What a body is not, and what it should be.
pub(super) fn unsupported(kind: Option<&str>, right: &str) -> Failure {
    let came = kind.map_or("the body's type is not said".to_owned(), |kind| {
        format!("a body of type {kind:?} is not read here")
    });
    let what = format!("{came}; say content-type: {right}, as curl does with --json");
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", what)
}
