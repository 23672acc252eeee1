//! What a server is told, and by whom: flags before environment before file before defaults.

mod args;
mod file;
mod otlp;
mod table;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

use fanlight_core::codec::{FRAME_SLACK_BYTES, HEADER_BYTES};

use crate::access::USERS_FILE;

pub(crate) use args::{Given, Place};
pub(crate) use table::{Settings, TABLE};
pub(crate) use value::{
    LogFormat, NAMESPACE_DEFAULT, NAMESPACE_RULE, Setting, bytes, is_namespace, shown_bytes,
};

/// The variable that names the file.
const CONFIG_ENV: &str = "FANLIGHT_CONFIG";

/// When what was written goes to disk, and so what a confirm promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncPolicy {
    /// Confirmed is on disk: it survives a power cut.
    Always,
    /// Confirmed is with the operating system, which is made to put it on disk every 100 ms: it
    /// survives a kill, and a power cut takes the last moments.
    Interval,
    /// Confirmed is with the operating system, which puts it on disk when it likes.
    Never,
}

impl SyncPolicy {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SyncPolicy::Always => "always",
            SyncPolicy::Interval => "interval",
            SyncPolicy::Never => "never",
        }
    }
}

/// Whose time is the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockKind {
    /// The machine's.
    Wall,
    /// Nobody's: it stands still until a test moves it.
    Virtual,
}

impl ClockKind {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClockKind::Wall => "wall",
            ClockKind::Virtual => "virtual",
        }
    }
}

/// Who set a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Nobody.
    Default,
    /// Nobody, and there is a data directory.
    Data,
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// In which line.
        line: usize,
    },
    /// This environment variable.
    Env(&'static str),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Default => f.write_str("default"),
            From::Data => f.write_str("default with data"),
            From::File { path, line } => write!(f, "{}:{line}", path.display()),
            From::Env(name) => f.write_str(name),
            From::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Settings, and where each is from: in the order of the table.
pub(crate) struct Loaded {
    /// What is in force.
    pub(crate) settings: Settings,
    /// Where each row of the table is from.
    pub(crate) from: Vec<From>,
}

/// Reads everything that says something about settings; a sentence if something of it is wrong.
pub(crate) fn load(given: &Given) -> Result<Loaded, String> {
    load_from(given, &|name| std::env::var_os(name).map(|value| value.into_string()))
}

type Variable = Option<Result<String, std::ffi::OsString>>;

fn load_from(given: &Given, variable: &dyn Fn(&str) -> Variable) -> Result<Loaded, String> {
    // An empty variable says nothing: `FANLIGHT_DATA= fanlight serve` takes one back.
    let variable = |name: &str| match variable(name) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(format!("{name} is not UTF-8")),
    };
    let mut loaded =
        Loaded { settings: Settings::default(), from: vec![From::Default; TABLE.len()] };
    let config = match &given.config {
        Some(path) => Some(path.clone()),
        None => variable(CONFIG_ENV)?.map(PathBuf::from),
    };
    if let Some(path) = config {
        for file::Said { row, line, text } in file::read(&path)? {
            let text = match TABLE[row].is_path {
                true => beside(&path, &text),
                false => text,
            };
            loaded.set(row, &text, From::File { path: path.clone(), line })?;
        }
    }
    for (index, row) in TABLE.iter().enumerate() {
        if let Some(text) = variable(&row.env)? {
            loaded.set(index, &text, From::Env(&row.env))?;
        }
    }
    for (index, text) in &given.flags {
        loaded.set(*index, text, From::Flag(&TABLE[*index].flag))?;
    }
    loaded.know_of_the_disk();
    contradiction(&loaded.settings).map_or(Ok(loaded), Err)
}

/// The default of `limits.stored_bytes_max` where batches need not be in memory.
const STORED_BYTES_MAX_WITH_DATA: u64 = 64 << 30;

impl Loaded {
    /// More may be stored where it need not be in memory.
    fn know_of_the_disk(&mut self) {
        let index = TABLE.iter().position(|row| row.key == "limits.stored_bytes_max");
        let index = index.expect("every limit has a row");
        if self.settings.data.is_some() && self.from[index] == From::Default {
            self.settings.limits.stored_bytes_max = STORED_BYTES_MAX_WITH_DATA;
            self.from[index] = From::Data;
        }
    }

    fn set(&mut self, index: usize, text: &str, from: From) -> Result<(), String> {
        let row = &TABLE[index];
        (row.read)(&mut self.settings, text).map_err(|right| match &from {
            From::File { path, line } => {
                format!("{}:{line}: {} is {text:?}: {right}", path.display(), row.key)
            }
            From::Default | From::Data | From::Env(_) | From::Flag(_) => {
                format!("{from} is {text:?}: {right}")
            }
        })?;
        self.from[index] = from;
        Ok(())
    }
}

/// A path that a file names, from where the file is.
fn beside(file: &Path, named: &str) -> String {
    let dir = file.parent().unwrap_or(Path::new(""));
    dir.join(named).display().to_string()
}

impl Settings {
    /// The largest frame that a client may send.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.limits.batch_bytes_max as usize + FRAME_SLACK_BYTES + HEADER_BYTES
    }

    /// Where users are, if there are any.
    pub(crate) fn users_file(&self) -> Option<PathBuf> {
        let in_data = || self.data.as_ref().map(|dir| dir.join(USERS_FILE));
        self.users.clone().or_else(in_data)
    }

    /// The largest WebSocket message that is taken.
    pub(crate) fn message_bytes_max(&self) -> usize {
        let named = self.message_bytes_max.map(|bytes| bytes.0 as usize);
        named.unwrap_or(2 * self.frame_bytes_max())
    }
}

/// What in these settings cannot be together, in a sentence.
fn contradiction(settings: &Settings) -> Option<String> {
    if let Some(what) = settings.limits.contradiction() {
        return Some(format!("the limits contradict each other: {what}"));
    }
    if settings.tls_cert.is_some() != settings.tls_key.is_some() {
        return Some("tls.cert and tls.key belong together: TLS takes both".to_owned());
    }
    let (message, frame) = (settings.message_bytes_max(), settings.frame_bytes_max());
    if message < frame {
        return Some(format!(
            "connections.message_bytes_max is {message}, and a batch of limits.batch_bytes_max, {}, \
             would not fit into a message: it should be at least {frame}",
            settings.limits.batch_bytes_max
        ));
    }
    if settings.limits.record_bytes_max > settings.limits.batch_bytes_max {
        return Some(format!(
            "limits.record_bytes_max is {}, and limits.batch_bytes_max, {}, should be at least that",
            settings.limits.record_bytes_max, settings.limits.batch_bytes_max
        ));
    }
    if settings.incoming_bytes_max.0 < message as u64 || settings.incoming_bytes_max.0 >> 32 != 0 {
        return Some(format!(
            "connections.incoming_bytes_max is {}: it should hold a message of {message} bytes, and \
             be less than 4GiB",
            settings.incoming_bytes_max.0
        ));
    }
    if settings.outgoing_bytes_max.0 < 1 << 20 {
        return Some("connections.outgoing_bytes_max should be at least 1MiB".to_owned());
    }
    if settings.ping_every.is_zero() || settings.silence_max < 2 * settings.ping_every {
        return Some(format!(
            "connections.silence_max is {}: it should be at least twice connections.ping_every, \
             {}, and that more than nothing, so that a pong has the time to come",
            humantime::format_duration(settings.silence_max),
            humantime::format_duration(settings.ping_every)
        ));
    }
    None
}

#[cfg(test)]
mod tests;
