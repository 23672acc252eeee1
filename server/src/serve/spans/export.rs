//! Hands spans to a collector: OTLP over HTTP, as JSON.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use axum::http::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{Ended, Kind, Span, Value};
use crate::serve::metrics::Entrance;

/// Spans that wait to be exported; more are dropped and counted.
const WAITING_MAX: usize = 8_192;
/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const GATHER_FOR: Duration = Duration::from_secs(1);
/// How long a collector may take.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How often a batch is tried, and how long it waits before it is tried again.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    service: String,
}

impl Exporter {
    /// One that posts to this address.
    pub(crate) fn new(
        address: &str,
        headers: &[(String, String)],
        service: &str,
    ) -> Result<Exporter, String> {
        let wrong = || {
            format!("{address:?} is no address of a collector, as http://127.0.0.1:4318/v1/traces")
        };
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !known || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        let header = |(name, value): &(String, String)| {
            let pair = name.parse::<HeaderName>().ok().zip(value.parse::<HeaderValue>().ok());
            pair.ok_or_else(|| format!("{name:?} with its value is no header"))
        };
        let headers = headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Exporter { uri, headers, service: service.to_owned() })
    }

    async fn post(&self, spans: &[(Span, SystemTime)]) -> Result<StatusCode, io::Error> {
        let secure = self.uri.scheme_str() == Some("https");
        let host = self.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((bare.as_str(), port)).await?;
        let mut request =
            Request::post(self.uri.path_and_query().map_or("/", |path| path.as_str()))
                .header(HOST, self.uri.authority().map_or(host, |authority| authority.as_str()))
                .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = Body::from(encode(&self.service, spans));
        let request = request.body(body).expect("every part of it was looked at");
        if secure { speak(tls(bare, tcp).await?, request).await } else { speak(tcp, request).await }
    }
}

async fn tls(
    host: String,
    tcp: TcpStream,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    // What cannot be read of them is not trusted; that is all.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
) -> io::Result<StatusCode> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(io::Error::other);
    connection.abort();
    Ok(answer?.status())
}

/// Begins to export. The task ends when nobody makes spans any more and the last are handed over.
pub(crate) fn begin(exporter: Exporter, entrance: Arc<Entrance>) -> (Ended, JoinHandle<()>) {
    let (to, from) = mpsc::channel(WAITING_MAX);
    let task = tokio::spawn(export(exporter, from, entrance.clone()));
    (Ended { to, entrance }, task)
}

async fn export(
    exporter: Exporter,
    mut from: mpsc::Receiver<(Span, SystemTime)>,
    entrance: Arc<Entrance>,
) {
    let mut is_well = true;
    loop {
        let mut spans = Vec::new();
        if from.recv_many(&mut spans, BATCH_MAX).await == 0 {
            return;
        }
        let until = tokio::time::Instant::now() + GATHER_FOR;
        while spans.len() < BATCH_MAX {
            let more = BATCH_MAX - spans.len();
            match tokio::time::timeout_at(until, from.recv_many(&mut spans, more)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let count = spans.len() as u64;
        match attempt(&exporter, &spans).await {
            Ok(()) => {
                entrance.spans_exported.add(count);
                if !is_well {
                    tracing::info!("the collector at {} takes spans again", exporter.uri);
                }
                is_well = true;
            }
            Err(why) => {
                entrance.spans_dropped.add(count);
                if is_well {
                    tracing::warn!("the collector at {} takes no spans: {why}", exporter.uri);
                }
                is_well = false;
            }
        }
    }
}

/// Tries as often as is of use.
async fn attempt(exporter: &Exporter, spans: &[(Span, SystemTime)]) -> Result<(), String> {
    let mut why = String::new();
    for number in 0..TRIES {
        if number > 0 {
            tokio::time::sleep(TRY_AGAIN_AFTER * number).await;
        }
        match tokio::time::timeout(ANSWER_WAIT, exporter.post(spans)).await {
            Ok(Ok(status)) if status.is_success() => return Ok(()),
            Ok(Ok(status)) => {
                why = format!("it answers {status}");
                // These are the ones that the protocol says to try again.
                if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
                    return Err(why);
                }
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("it does not answer within {} s", ANSWER_WAIT.as_secs()),
        }
    }
    Err(why)
}

/// An `ExportTraceServiceRequest`, in the JSON that OTLP says.
fn encode(service: &str, spans: &[(Span, SystemTime)]) -> String {
    let text = |value: &str| json!({ "stringValue": value });
    let attribute = |key: &str, value: serde_json::Value| json!({ "key": key, "value": value });
    let span = |(span, ended): &(Span, SystemTime)| {
        let attributes = span.attributes.iter().map(|(key, value)| match value {
            Value::Text(value) => attribute(key, text(value)),
            // 64 bits are text in protobuf's JSON.
            Value::Number(value) => attribute(key, json!({ "intValue": value.to_string() })),
        });
        let mut attributes: Vec<_> = attributes.collect();
        let mut status = json!({});
        if let Some(name) = &span.refused {
            attributes.push(attribute("error.type", text(name)));
            status = json!({ "code": 2, "message": name });
        }
        json!({
            "traceId": hex(&span.context.trace),
            "spanId": hex(&span.context.span),
            "parentSpanId": span.parent.map(|parent| hex(&parent)).unwrap_or_default(),
            "traceState": span.context.state,
            "name": format!("{} {}", span.operation, span.destination),
            "kind": match span.kind { Kind::Server => 2, Kind::Producer => 4 },
            "startTimeUnixNano": nanoseconds(span.began),
            "endTimeUnixNano": nanoseconds(*ended),
            "attributes": attributes,
            "status": status,
        })
    };
    let spans: Vec<_> = spans.iter().map(span).collect();
    let version = env!("CARGO_PKG_VERSION");
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", text(service)),
            attribute("service.version", text(version)),
        ] },
        "scopeSpans": [{ "scope": { "name": "fanlight", "version": version }, "spans": spans }],
    }] })
    .to_string()
}

fn nanoseconds(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
