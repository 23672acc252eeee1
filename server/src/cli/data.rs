//! `fanlight check` and `fanlight dump`: data directories, without a server.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Session;
use super::failure::Failure;
use super::output::{Output, Table, counted, instant};
use crate::serve::data::{self, Dumped, Found};

/// Options of `fanlight check`.
#[derive(clap::Args)]
#[command(
    after_help = "Changes nothing, and needs nobody to use the directory: stop its server, or \
                        check a copy.\nExits with 1 if something is damaged.\n\nExample:\n  \
                        fanlight check ./fanlight-data"
)]
pub(crate) struct Check {
    /// The data directory
    dir: PathBuf,
}

/// Options of `fanlight dump`.
#[derive(clap::Args)]
#[command(
    after_help = "Changes nothing, and needs nobody to use the directory.\nWith --json a line \
                        is an object with position, time and fact.\n\nExample:\n  fanlight dump \
                        ./fanlight-data --from 1048576 | grep Settled"
)]
pub(crate) struct Dump {
    /// The data directory
    dir: PathBuf,

    /// Begin at this position of the journal; without it where the newest snapshot ends
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
}

/// Looks whether a data directory is as it should be, and those of the namespaces in it.
pub(crate) fn check(options: &Check, session: &mut Session) -> Result<(), Failure> {
    let found = data::check(&options.dir).map_err(|error| Failure::failed(error.to_string()))?;
    let mut namespaces = Vec::new();
    for (name, dir) in data::namespaces(&options.dir) {
        let found = data::check(&dir).map_err(|error| {
            Failure::failed(format!("the namespace {name} is not sound: {error}"))
        })?;
        namespaces.push((name, found));
    }
    let out = &mut session.out;
    if out.is_json() {
        let mut document = check_json(&found);
        if !namespaces.is_empty() {
            document["namespaces"] =
                namespaces.iter().map(|(name, found)| (name.clone(), check_json(found))).collect();
        }
        return out.document(&document);
    }
    check_table(&found, out)?;
    for (name, found) in &namespaces {
        out.line(format_args!("\nnamespace {name}"))?;
        check_table(found, out)?;
    }
    out.line("sound: every checksum and every invariant holds")
}

fn check_json(found: &Found) -> Value {
    let snapshot = found.snapshot.as_ref();
    json!({
        "sound": true,
        "snapshot": snapshot.map(|(position, bytes)| json!({ "position": position, "bytes": bytes })),
        "journal": {
            "segments": found.segments,
            "from": found.from,
            "to": found.to,
            "entries": found.entries,
            "facts": found.facts,
            "tornBytes": found.torn_bytes,
            "lastTime": found.last_time,
            "closed": found.closed,
        },
        "bodies": { "batches": found.bodies.0, "bytes": found.bodies.1 },
        "storedBytes": found.stored_bytes,
    })
}

fn check_table(found: &Found, out: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(&["WHAT", "FOUND"]);
    let bytes = |bytes: u64| indicatif::HumanBytes(bytes).to_string();
    let snapshot = match found.snapshot {
        Some((position, size)) => format!("of position {position}, {}", bytes(size)),
        None => "none".to_owned(),
    };
    table.row(["snapshot".into(), snapshot]);
    let journal = format!(
        "positions {} to {} in {}: {}, {}",
        found.from,
        found.to,
        counted(found.segments as u64, "segment"),
        format_args!("{} entries", indicatif::HumanCount(found.entries)),
        counted(found.facts, "fact"),
    );
    table.row(["journal".into(), journal]);
    let end = match (found.torn_bytes, found.closed) {
        (Some(torn), _) => format!(
            "torn: {torn} bytes that were never confirmed as being on disk; the next start cuts them"
        ),
        (None, true) => "stopped in good order".to_owned(),
        (None, false) => "killed; nothing is torn".to_owned(),
    };
    table.row(["its end".into(), format!("{end}, {}", instant(found.last_time))]);
    let (batches, size) = found.bodies;
    let batches = indicatif::HumanCount(batches);
    table.row(["bodies on disk".into(), format!("{batches} batches, {}", bytes(size))]);
    table.row(["the broker stores".into(), bytes(found.stored_bytes)]);
    out.table(&table, "")
}

/// Prints what a journal holds.
pub(crate) fn dump(options: &Dump, session: &mut Session) -> Result<(), Failure> {
    let out = &mut session.out;
    let mut failed = None;
    let dumped = data::dump(&options.dir, options.from, &mut |Dumped { position, time, fact }| {
        let result = match out.is_json() {
            true => out.json_line(&json!({ "position": position, "time": time, "fact": fact })),
            false => out.line(format_args!("{position} {} {fact:?}", instant(time))),
        };
        failed = result.err();
        failed.is_none()
    });
    dumped.map_err(|error| Failure::failed(error.to_string()))?;
    failed.map_or(Ok(()), Err)
}
