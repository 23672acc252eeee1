//! The table of settings: everything that a server can be told, once. Flags, variables, keys of the
//! file, `fanlight config` and the page of documentation are all made from it.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use fanlight_core::Limits;
use serde_json::Value;

use super::otlp::{Headers, Ratio};
use super::value::{self, Bytes, LogFormat, LogLevel, NamespaceNames, Setting};
use super::{ClockKind, SyncPolicy};

/// The limits of the broker, with what each bounds: the one place that says it.
const LIMITS_PAGE: &str = include_str!("../../../docs/limits.md");
/// The section of the broker's limits.
pub(super) const LIMITS_SECTION: &str = "limits";

type Read = Box<dyn Fn(&mut Settings, &str) -> Result<(), String> + Send + Sync>;
type Show<T> = Box<dyn Fn(&Settings) -> T + Send + Sync>;

/// One setting.
pub(crate) struct Row {
    /// Its key in the file: a name, or a section and a name.
    pub(crate) key: String,
    /// Its flag, without the dashes.
    pub(crate) flag: String,
    /// Its environment variable.
    pub(crate) env: String,
    /// What stands for its value in a help text; empty: it is on or off.
    pub(crate) value_name: &'static str,
    /// What it does, for the page of documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "the page is made by a test"))]
    pub(crate) about: String,
    /// The help text: what it does, its default, its variable.
    pub(crate) help: String,
    /// Whether it is for those who look for it.
    pub(crate) rare: bool,
    /// Whether it is a path, which a file names relative to itself.
    pub(crate) is_path: bool,
    pub(super) read: Read,
    /// Its value as text.
    pub(crate) shown: Show<String>,
    /// Its value for programs.
    pub(crate) json: Show<Value>,
}

macro_rules! settings {
    ($($(#[doc = $about:literal])+
       $key:literal $value_name:literal $rare:literal => $field:ident: $kind:ty = $default:expr;)*) => {
        /// What a server is told.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            $($(#[doc = $about])+ pub(crate) $field: $kind,)*
            /// The broker's own limits.
            pub(crate) limits: Limits,
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($field: $default,)* limits: Limits::default() }
            }
        }

        fn fields() -> Vec<Row> {
            vec![$(row(
                $key.to_owned(),
                $value_name,
                [$($about),+].map(str::trim).join(" "),
                $rare,
                Box::new(|settings, text| {
                    settings.$field = Setting::read(text)?;
                    Ok(())
                }),
                Box::new(|settings| settings.$field.shown()),
                Box::new(|settings| settings.$field.json()),
            ),)*]
        }
    };
}

settings! {
    /// Address to listen on; port 0 picks a free port and prints it
    "listen" "ADDRESS:PORT" false => listen: String = "127.0.0.1:7420".to_owned();
    /// Directory for the journal, made if it is not there; without it everything is in memory
    /// and gone when the server stops
    "data" "DIR" false => data: Option<PathBuf> = None;
    /// Namespaces beside `default`: each is a broker of its own, with its own data in
    /// DIR/namespaces/NAME and its own limits; clients choose one by `?namespace=NAME`
    "namespaces" "LIST" false => namespaces: NamespaceNames = NamespaceNames::default();
    /// What a confirm promises: always (it is on disk: it survives a power cut), interval (it is
    /// with the operating system, which is made to put it on disk every 100 ms) or never (the
    /// system puts it on disk when it likes)
    "sync" "POLICY" false => sync: SyncPolicy = SyncPolicy::Always;
    /// Batches that are held in memory with a data directory, about; the others lie on disk only,
    /// and are read when they are needed
    "memory_bytes" "BYTES" false => memory_bytes: Bytes = Bytes(128 << 20);
    /// Size at which a file of the journal is followed by another
    "segment_bytes" "BYTES" true => segment_bytes: Bytes = Bytes(64 << 20);
    /// Size of the journal since the last snapshot at which another is taken, if it is also more
    /// than twice the size of that snapshot
    "snapshot_bytes" "BYTES" true => snapshot_bytes: Bytes = Bytes(256 << 20);

    /// How long a server that was told to stop lets messages in hand be settled, while it hands out and
    /// takes nothing; it stops at once when none is in hand
    "shutdown_grace" "TIME" false => shutdown_grace: Duration = Duration::from_secs(10);
    /// Directory into which `fanlight backup NAME` writes, on the server's machine; without it there
    /// are no backups
    "backup_dir" "DIR" true => backup_dir: Option<PathBuf> = None;

    /// The broker's time: wall (the machine's) or virtual (it stands still until `fanlight clock`
    /// moves it, so that a test need not wait)
    "clock" "KIND" false => clock: ClockKind = ClockKind::Wall;

    /// Let whoever is an admin ask for faults, with `fanlight fault`: for tests
    "faults" "" false => faults: bool = false;
    /// File to which everything is written that comes to the broker and follows from it, for
    /// `fanlight replay`; it may not be there yet. Other namespaces than the default one are written
    /// beside it, with a dot and their name after its own
    "record" "FILE" true => record: Option<PathBuf> = None;

    /// File of users, made by `fanlight users`; unset: users.toml in the data directory, if it is
    /// there. Without users nobody has to say who they are
    "users" "FILE" false => users: Option<PathBuf> = None;
    /// Listen on more than loopback although there are no users: whoever reaches the address can
    /// then read and change everything
    "insecure_no_auth" "" false => insecure_no_auth: bool = false;
    /// Web pages that may connect beside the server's own, by their origin, as
    /// `https://example.com`; `*`: all
    "allow_origin" "LIST" false => allow_origin: Vec<String> = Vec::new();
    /// Names that requests may ask for beside loopback's own, where the server listens on loopback:
    /// for a proxy that hands its own name on; `*`: all
    "allow_host" "LIST" false => allow_host: Vec<String> = Vec::new();

    /// Certificate chain, in PEM: the server then speaks TLS, and nothing else
    "tls.cert" "FILE" false => tls_cert: Option<PathBuf> = None;
    /// Private key of the certificate, in PEM
    "tls.key" "FILE" false => tls_key: Option<PathBuf> = None;

    /// Passwords that are verified at the same time; each takes a core and 19 MiB for a moment
    "auth.verifications_max" "COUNT" true => auth_verifications_max: u32 = 2;
    /// Passwords that may wait to be verified, at most a quarter of them from one address; others are
    /// told to come again
    "auth.waiting_max" "COUNT" true => auth_waiting_max: u32 = 64;
    /// How long a password that was verified is not verified again
    "auth.cache_for" "TIME" true => auth_cache_for: Duration = Duration::from_secs(600);

    /// Open sockets, of any kind; more are closed as they come
    "connections.max" "COUNT" true => connections_max: u32 = 16_384;
    /// How long the TLS handshake, and the head of an HTTP request, may take
    "connections.handshake_wait" "TIME" true => handshake_wait: Duration = Duration::from_secs(10);
    /// How long a WebSocket may stay open without a Session
    "connections.session_wait" "TIME" true => session_wait: Duration = Duration::from_secs(10);
    /// How often a client is asked whether it is there
    "connections.ping_every" "TIME" true => ping_every: Duration = Duration::from_secs(15);
    /// A client of which nothing was heard for so long, not even a pong, is gone
    "connections.silence_max" "TIME" true => silence_max: Duration = Duration::from_secs(45);
    /// The largest WebSocket message that is taken; unset: two batches of limits.batch_bytes_max
    "connections.message_bytes_max" "BYTES" true => message_bytes_max: Option<Bytes> = None;
    /// A connection that has more than this to read is closed; from a quarter of it on it is not
    /// listened to until it has read
    "connections.outgoing_bytes_max" "BYTES" true => outgoing_bytes_max: Bytes = Bytes(64 << 20);
    /// Memory that messages on their way from all sockets to the broker may take; sockets are read
    /// no further when it is used up
    "connections.incoming_bytes_max" "BYTES" true => incoming_bytes_max: Bytes = Bytes(256 << 20);

    /// How the log on standard error is written: text (for people) or json (an object a line)
    "log.format" "FORMAT" false => log_format: LogFormat = LogFormat::Text;
    /// What is logged: error, warn, info, debug, trace or off; also for a part alone, as in
    /// `info,audit=off`. With debug every connection has a line when it comes and when it goes
    "log.level" "LEVEL" false => log_level: LogLevel = LogLevel::info();

    /// Where spans of traced messages go: a collector that takes OTLP over HTTP, as
    /// `http://127.0.0.1:4318`; unset: what OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere
    "otlp.endpoint" "URL" false => otlp_endpoint: Option<String> = None;
    /// Headers that the collector wants, as `authorization=Bearer TOKEN`; unset: what
    /// OTEL_EXPORTER_OTLP_HEADERS says
    "otlp.headers" "LIST" true => otlp_headers: Headers = Headers::default();
    /// What part of the publishes that bring no trace begin one
    "otlp.ratio" "RATIO" true => otlp_ratio: Ratio = Ratio(0.0);

    /// Samples of queues, topics, groups and work groups that a page of /metrics has, about; those that
    /// have no place on it are counted there
    "metrics.samples_max" "COUNT" true => samples_max: u32 = 20_000;
}

fn row(
    key: String,
    value_name: &'static str,
    about: String,
    rare: bool,
    read: Read,
    shown: Show<String>,
    json: Show<Value>,
) -> Row {
    let flag = key.replace(['.', '_'], "-");
    let env = format!("FANLIGHT_{}", key.replace('.', "_").to_uppercase());
    let is_path = matches!(value_name, "DIR" | "FILE");
    let default = match shown(&Settings::default()) {
        default if default.is_empty() || value_name.is_empty() => String::new(),
        default => format!(" [default: {default}]"),
    };
    let help = format!("{about}{default} [env: {env}]");
    Row { key, flag, env, value_name, about, help, rare, is_path, read, shown, json }
}

/// The rows of the broker's limits, by the fields that they have.
fn limits() -> Vec<Row> {
    let Ok(Value::Object(fields)) = serde_json::to_value(Limits::default()) else {
        unreachable!("limits are a structure");
    };
    let mut rows: Vec<Row> = fields.keys().map(|field| limit(field.clone())).collect();
    // In the order of the page, which is by what belongs together.
    rows.sort_by_key(|row| LIMITS_PAGE.find(&format!("| `{}` |", limit_name(row))));
    rows
}

fn limit_name(row: &Row) -> &str {
    row.key.split_once('.').map_or(row.key.as_str(), |(_, name)| name)
}

fn limit(field: String) -> Row {
    let name = snake(&field);
    let is_bytes = name.contains("bytes");
    let about = LIMITS_PAGE
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")))
        .and_then(|line| line.split('|').nth(3))
        .map(|cell| format!("Limit: {}", cell.trim()))
        .unwrap_or_else(|| format!("The broker's limit {name}"));
    let shown_field = field.clone();
    let json_field = field.clone();
    row(
        format!("{LIMITS_SECTION}.{name}"),
        if is_bytes { "BYTES" } else { "COUNT" },
        about,
        true,
        Box::new(move |settings, text| {
            let number = match is_bytes {
                true => value::bytes(text)?,
                false => text
                    .replace('_', "")
                    .parse()
                    .map_err(|_| "it should be a whole number".to_owned())?,
            };
            settings.limits = with(&settings.limits, &field, number)?;
            Ok(())
        }),
        Box::new(move |settings| {
            let number = limit_value(settings, &shown_field).as_u64();
            number
                .map(|n| if is_bytes { value::shown_bytes(n) } else { n.to_string() })
                .unwrap_or_default()
        }),
        Box::new(move |settings| limit_value(settings, &json_field)),
    )
}

fn limit_value(settings: &Settings, field: &str) -> Value {
    let limits = serde_json::to_value(&settings.limits).expect("limits are plain numbers");
    limits[field].clone()
}

fn with(limits: &Limits, field: &str, number: u64) -> Result<Limits, String> {
    let mut value = serde_json::to_value(limits).expect("limits are plain numbers");
    value[field] = number.into();
    serde_json::from_value(value).map_err(|_| format!("it should be at most {}", u32::MAX))
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Every setting.
pub(crate) static TABLE: LazyLock<Vec<Row>> =
    LazyLock::new(|| fields().into_iter().chain(limits()).collect());
