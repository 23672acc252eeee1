//! What the server says on standard error: lines for people, or an object a line for programs.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, Settings};

/// How this process logs, once it does.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Begins to log as settings say.
pub(crate) fn begin(settings: &Settings) {
    let format = settings.log_format;
    let filter: Targets = settings.log_level.targets();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    // Someone else may have set up logging before.
    if tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().is_ok()
        && FORMAT.set(format).is_ok()
        && format == LogFormat::Json
    {
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or("a fault without words");
            tracing::error!(at, "the server has a fault: {what}");
        }));
    }
}

/// Whether a line can be written over as on a terminal.
pub(crate) fn is_terminal() -> bool {
    FORMAT.get() != Some(&LogFormat::Json) && io::stderr().is_terminal()
}

/// Whether whatever is said has to be an object a line.
pub(crate) fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Says something on the way to being ready, also where nothing is logged, as by `fanlight check`.
pub(crate) fn say(line: &str) {
    match FORMAT.get() {
        Some(_) => tracing::info!("{line}"),
        None => eprintln!("{line}"),
    }
}
