//! Exchanges and their bindings.

use axum::http::StatusCode;
use axum::response::Response;
use fanlight_core::{
    Destination, Event, ExchangeKind, HeaderMatch, Inspect, MatchMode, Op, View, WantedHeader,
};
use serde::Deserialize;

use super::call::Call;
use super::failure::Failure;
use super::input::{self, Object};
use super::policy::ExchangeIn;
use super::{answer, done};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declare {
    kind: ExchangeKind,
    #[serde(default)]
    policy: Object<ExchangeIn>,
}

/// `PUT /v1/exchanges/{exchange}`
pub(super) async fn declare(mut call: Call) -> Result<Response, Failure> {
    let Declare { kind, policy } = call.json().await?;
    let name = call.name("exchange");
    let policy = policy.0.policy();
    call.ask(Op::DeclareExchange { name: name.as_str().into(), kind, policy }).await?;
    Ok(done(format!("exchange {name} is declared")))
}

/// `GET /v1/exchanges/{exchange}`
pub(super) async fn describe(call: Call) -> Result<Response, Failure> {
    call.no_more()?;
    let reply = call.inspect(Inspect::Exchange(call.name("exchange").into())).await?;
    let Event::Inspected { view: View::Exchange(exchange), .. } = reply.event()? else {
        return Err(Failure::unexpected());
    };
    Ok(answer(StatusCode::OK, &exchange))
}

/// `DELETE /v1/exchanges/{exchange}`
pub(super) async fn delete(mut call: Call) -> Result<Response, Failure> {
    let if_unused = call.flag("ifUnused")?;
    call.no_more()?;
    let name = call.name("exchange");
    call.ask(Op::DeleteExchange { name: name.as_str().into(), if_unused }).await?;
    Ok(done(format!("exchange {name} is deleted")))
}

/// A binding, as an exchange shows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    to: Destination<'static>,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    headers: Object<Wants>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Wants {
    mode: MatchMode,
    headers: Vec<Object<Wanted>>,
}

/// A header that is wanted; its value is text, or bytes as a view shows them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: String,
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "text, or an array of bytes")]
pub(super) enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub(super) fn bytes(self) -> Result<Vec<u8>, Failure> {
        match self {
            Value::Text(text) => {
                input::bytes(&text).map(|bytes| bytes.into_owned()).map_err(Failure::argument)
            }
            Value::Bytes(bytes) => Ok(bytes),
        }
    }
}

impl Wanted {
    pub(super) fn header(self) -> Result<WantedHeader<'static>, Failure> {
        let value = self.value.map(Value::bytes).transpose()?;
        Ok(WantedHeader { name: self.name.into(), value: value.map(Into::into) })
    }
}

impl Wants {
    fn wanted(self) -> Result<HeaderMatch<'static>, Failure> {
        let headers: Result<_, _> =
            self.headers.into_iter().map(|wanted| wanted.0.header()).collect();
        Ok(HeaderMatch { mode: self.mode, headers: headers? })
    }
}

/// `POST /v1/exchanges/{exchange}/bind`
pub(super) async fn bind(mut call: Call) -> Result<Response, Failure> {
    let Binding { to, pattern, headers } = call.json().await?;
    let (exchange, headers) = (call.name("exchange"), headers.0.wanted()?);
    let name = exchange.as_str().into();
    call.ask(Op::Bind { exchange: name, to, pattern: pattern.into(), headers }).await?;
    Ok(done(format!("exchange {exchange} is bound")))
}

/// `POST /v1/exchanges/{exchange}/unbind`
pub(super) async fn unbind(mut call: Call) -> Result<Response, Failure> {
    let Binding { to, pattern, headers } = call.json().await?;
    let (exchange, headers) = (call.name("exchange"), headers.0.wanted()?);
    let name = exchange.as_str().into();
    call.ask(Op::Unbind { exchange: name, to, pattern: pattern.into(), headers }).await?;
    Ok(done(format!("exchange {exchange} is no longer bound there")))
}
