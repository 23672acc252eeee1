//! One line of a trace: when, who, and what.

use fanlight_core::{ConnId, Limits, PROTOCOL, Session, Span};

use super::text::{span, words};

/// What a line asks for.
pub(super) enum Command<'t> {
    /// How the broker is made; only before everything else.
    Config(u64, Box<Limits>),
    Open(ConnId, Session<'t>),
    Closed(ConnId),
    Tick,
    /// Crash, and recovery from the facts, or from a snapshot.
    Restart {
        from_snapshot: bool,
        /// So many of the newest facts are not found.
        lost: usize,
    },
    /// Of a connection: the verb, and its words.
    Request(ConnId, &'t str, Vec<&'t str>),
}

/// When a line's input comes.
#[derive(Clone, Copy)]
pub(super) enum When {
    Same,
    At(Span),
    Due,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<(When, Command<'_>), String> {
    let mut words = words(line).into_iter().peekable();
    let mut when = When::Same;
    if words.next_if_eq(&"at").is_some() {
        when = match words.next() {
            Some("due") => When::Due,
            Some(time) => When::At(span(time)?),
            None => return Err("at what time? at 10ms, at due".into()),
        };
    }
    let command = match words.next() {
        Some("tick") => Command::Tick,
        Some("restart") => {
            let how = words.next().unwrap_or_default();
            let lost = how.strip_prefix("losing=").map_or(Ok(0), str::parse);
            let lost = lost.map_err(|_| "how many facts are lost is a number")?;
            Command::Restart { from_snapshot: how == "from-snapshot", lost }
        }
        Some("config") => config(words)?,
        Some(conn) => {
            let number = conn.strip_prefix('c').and_then(|number| number.parse().ok());
            let conn = ConnId(number.ok_or_else(|| format!("{conn:?} is no connection: c1"))?);
            match words.next().ok_or("a connection, and nothing it does")? {
                "open" => {
                    let client = words.next().ok_or("open as whom?")?.into();
                    let protocol = words.next().map_or(Ok(PROTOCOL), str::parse);
                    let protocol = protocol.map_err(|_| "the protocol is a number")?;
                    Command::Open(conn, Session { protocol, client })
                }
                "closed" => Command::Closed(conn),
                verb => Command::Request(conn, verb, words.collect()),
            }
        }
        None => return Err("a time, and nothing that happens".into()),
    };
    Ok((when, command))
}

fn config<'t>(words: impl Iterator<Item = &'t str>) -> Result<Command<'t>, String> {
    let (mut seed, mut limits) = (0, Limits::default());
    for word in words {
        let (name, value) = word.split_once('=').ok_or("config name=value")?;
        let value: u32 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
        match name {
            "offsets_retention_minutes" => limits.offsets_retention_minutes = value,
            "seed" => seed = u64::from(value),
            "record_bytes_max" => limits.record_bytes_max = value,
            "batch_bytes_max" => limits.batch_bytes_max = value,
            "stored_bytes_max" => limits.stored_bytes_max = u64::from(value),
            "deduplicated_max" => limits.deduplicated_max = value,
            "queue_messages_max" => limits.queue_messages_max = u64::from(value),
            "exchanges_max" => limits.exchanges_max = value,
            "queues_max" => limits.queues_max = value,
            "topics_max" => limits.topics_max = value,
            "partitions_max" => limits.partitions_max = value,
            "bindings_max" => limits.bindings_max = value,
            "groups_max" => limits.groups_max = value,
            "members_max" => limits.members_max = value,
            "connections_max" => limits.connections_max = value,
            "consumers_per_connection_max" => limits.consumers_per_connection_max = value,
            "prefetch_max" => limits.prefetch_max = value,
            "producers_max" => limits.producers_max = value,
            "transactions_max" => limits.transactions_max = value,
            "transaction_records_max" => limits.transaction_records_max = value,
            "stored_bytes_high" => limits.stored_bytes_high = Some(u64::from(value)),
            "stored_bytes_low" => limits.stored_bytes_low = Some(u64::from(value)),
            "leases_per_connection_max" => limits.leases_per_connection_max = value,
            "consumers_per_queue_max" => limits.consumers_per_queue_max = value,
            "waits_per_queue_max" => limits.waits_per_queue_max = value,
            "journey_steps_max" => limits.journey_steps_max = value,
            _ => return Err(format!("there is no limit {name:?}")),
        }
    }
    Ok(Command::Config(seed, Box::new(limits)))
}
