//! Spans: what a trace of a message shows of its way through the broker.
//!
//! A message brings its trace in the headers `traceparent` and `tracestate` (W3C Trace Context), which
//! stay as they are. Publishing and delivering it are spans below the one that is named there; settling
//! it is one below its delivery. A span ends when what it tells of is as durable as was asked for, so
//! the journal ends it ([`Spans`]), and hands it to whoever exports it without waiting.

mod context;
mod export;
mod tracer;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::metrics::Entrance;
use crate::settings::{Setting, Settings};
use context::Context;
use export::{Exporter, begin};
pub(crate) use tracer::{Begun, Tracer};

/// Where spans go, by the settings and, where those say nothing, by OpenTelemetry's own variables;
/// None: nowhere, and then none are made.
fn exporter(settings: &Settings) -> Result<Option<Exporter>, String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    let address = match &settings.otlp_endpoint {
        Some(base) => Some(below(base)),
        None => variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| below(&base))),
    };
    let Some(address) = address else { return Ok(None) };
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let mut headers = settings.otlp_headers.clone();
    if headers.0.is_empty()
        && let Some(text) = variable("OTEL_EXPORTER_OTLP_HEADERS")
    {
        headers = Setting::read(&text)?;
    }
    let service = variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "fanlight".to_owned());
    Exporter::new(&address, &headers.0, &service).map(Some)
}

/// Begins to export spans, if they go anywhere: where to put them, and what ends when the last of them
/// is handed over.
pub(crate) fn start(
    settings: &Settings,
    entrance: &Arc<Entrance>,
) -> Result<(Option<Ended>, impl Future<Output = ()> + use<>), String> {
    let begun = exporter(settings)?.map(|exporter| begin(exporter, entrance.clone()));
    let (ended, task) = begun.unzip();
    let exported = async {
        if let Some(task) = task {
            // A fault in it is told where it happens.
            let _ = task.await;
        }
    };
    Ok((ended, exported))
}

/// What a span tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody asked for something.
    Server,
    /// Messages went to somebody.
    Producer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

/// A span.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Its trace and itself.
    pub(crate) context: Context,
    /// The span above it; None: it is the first of its trace.
    pub(crate) parent: Option<[u8; 8]>,
    /// What is done.
    pub(crate) operation: &'static str,
    /// To what, or from what.
    pub(crate) destination: String,
    pub(crate) kind: Kind,
    pub(crate) began: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// The name of the refusal, if it was refused.
    pub(crate) refused: Option<String>,
}

/// Takes spans that have ended, as many as there is a place for.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    to: mpsc::Sender<(Span, SystemTime)>,
    entrance: Arc<Entrance>,
}

impl Ended {
    fn take(&self, span: Span, at: SystemTime) {
        if self.to.try_send((span, at)).is_err() {
            self.entrance.spans_dropped.add(1);
        }
    }
}

/// The spans of a turn, until it is durable.
#[derive(Debug)]
pub(crate) struct Spans {
    spans: Vec<Span>,
    ended: Ended,
}

impl Spans {
    /// All of it is done.
    pub(crate) fn end(self) {
        let now = SystemTime::now();
        for span in self.spans {
            self.ended.take(span, now);
        }
    }
}
