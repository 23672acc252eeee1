//! `fanlight dlq redrive`: which messages, and how they are moved.

use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

use fanlight_core::limits::PEEK_MAX;
use fanlight_core::{
    Condition, DeathReason, Event, Offset, Op, Pick, Position, Time, WantedHeader,
};
use fanlight_server::client::{Client, ClientError};

use super::jobs;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, counted, note};
use crate::cli::parse::{self, Place};
use crate::cli::{look, names, publish};

/// Messages moved by one request: few enough for the bar to move.
const REDRIVE_STEP: u32 = 100;
const _: () = assert!(REDRIVE_STEP as usize <= PEEK_MAX);

/// What to move, and where to.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("which").args(["offset", "max", "all"]).multiple(false))]
pub(super) struct Redrive {
    /// The dead-letter queue
    pub(super) queue: String,
    /// The message at this offset
    #[arg(long, value_name = "OFFSET")]
    offset: Option<u64>,
    /// The oldest, at most this many
    #[arg(long, short, value_name = "N")]
    max: Option<u64>,
    /// All that are there now
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Where to; each to the queue it last died in if it is left out
    #[arg(long, value_name = "QUEUE")]
    pub(super) to: Option<String>,
    /// At most so many messages a second, as 100 or 100/s
    #[arg(long, value_parser = rate, value_name = "RATE", conflicts_with_all = ["offset", "max"])]
    pub(super) rate: Option<u32>,
    /// Only count what would be moved, and show the first
    #[arg(long, short = 'n', conflicts_with_all = ["offset", "max", "detach"])]
    pub(super) dry_run: bool,
    /// Start the job, and do not wait for its end
    #[arg(long, short, conflicts_with_all = ["offset", "max"])]
    pub(super) detach: bool,
    /// Mend the message: a body to put in place of its own
    #[arg(long, requires = "offset", conflicts_with = "body_file", value_name = "TEXT")]
    body: Option<String>,
    /// Mend the message: a file whose bytes are put in place of its body
    #[arg(long, requires = "offset", value_name = "FILE")]
    body_file: Option<PathBuf>,
}

/// Which of the dead: those of which all of this holds.
#[derive(clap::Args)]
#[command(next_help_heading = "Filters")]
struct Filter {
    /// Those that died for this reason
    #[arg(long, value_enum, conflicts_with = "offset")]
    reason: Option<Reason>,
    /// Those that died in this queue
    #[arg(long, value_name = "QUEUE", conflicts_with = "offset")]
    origin: Option<String>,
    /// Those with this header, as name=value or name; can be given several times
    #[arg(long, value_name = "NAME[=VALUE]", conflicts_with = "offset")]
    header: Vec<String>,
    /// Those with this key
    #[arg(long, value_name = "KEY", conflicts_with = "offset")]
    key: Option<String>,
    /// Those that died then or later: a time (2026-07-01T10:00:00Z) or how long ago (15m)
    #[arg(long, value_parser = time, allow_hyphen_values = true, value_name = "TIME",
          conflicts_with = "offset")]
    since: Option<Place>,
    /// Those that died then or before
    #[arg(long, value_parser = time, allow_hyphen_values = true, value_name = "TIME",
          conflicts_with = "offset")]
    until: Option<Place>,
    /// Those that had so many attempts when they died, or more
    #[arg(long, value_name = "N", conflicts_with = "offset")]
    attempts_min: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reason {
    /// Its attempts reached the maximum
    DeliveriesExhausted,
    /// A consumer refused it for good
    Rejected,
    /// It was not delivered in time
    Expired,
    /// Its queue held more than it may
    MaxLength,
}

fn rate(text: &str) -> Result<u32, String> {
    let rate = parse::rate(text)?;
    match rate >= 1.0 && rate <= f64::from(u32::MAX) {
        true => Ok(rate as u32),
        false => Err("it should be one message a second or more, as 100 or 100/s".to_owned()),
    }
}

fn time(text: &str) -> Result<Place, String> {
    match parse::place(text) {
        Ok(place @ (Place::Since(_) | Place::Ago(_))) => Ok(place),
        Ok(Place::Earliest | Place::Latest | Place::At(_)) | Err(_) => {
            Err("it should be a time as 2026-07-01T10:00:00Z, or how long ago as 15m".to_owned())
        }
    }
}

impl Filter {
    fn conditions(&self, now: Time) -> Vec<Condition<'static>> {
        let mut all = Vec::new();
        all.extend(self.reason.map(|reason| {
            Condition::Reason(match reason {
                Reason::DeliveriesExhausted => DeathReason::DeliveriesExhausted,
                Reason::Rejected => DeathReason::Rejected,
                Reason::Expired => DeathReason::Expired,
                Reason::MaxLength => DeathReason::MaxLength,
            })
        }));
        all.extend(self.origin.clone().map(|queue| Condition::Origin(queue.into())));
        all.extend(self.header.iter().map(|header| {
            let (name, value) = match header.split_once('=') {
                Some((name, value)) => (name, Some(value.as_bytes().to_vec().into())),
                None => (header.as_str(), None),
            };
            Condition::Header(WantedHeader { name: name.to_owned().into(), value })
        }));
        all.extend(self.key.clone().map(|key| Condition::Key { key: key.into_bytes().into() }));
        let at = |place: Place| match place.position(now) {
            Position::Since(at) => at,
            Position::Earliest | Position::Latest | Position::At(_) => now,
        };
        all.extend(self.since.map(|place| Condition::DiedSince(at(place))));
        all.extend(self.until.map(|place| Condition::DiedUntil(at(place))));
        all.extend(self.attempts_min.map(Condition::AttemptsMin));
        all
    }
}

/// Moves messages: one, some of the oldest, or by a job.
pub(super) async fn run(
    client: &mut Client,
    options: &Redrive,
    out: &mut Output,
) -> Result<(), Failure> {
    let filter = options.filter.conditions(client.opened_at());
    let moved = match (options.offset, options.max) {
        (Some(offset), _) => one(client, options, offset).await?,
        (_, Some(max)) => oldest(client, options, filter, max).await?,
        (None, None) if options.all || !filter.is_empty() => {
            return jobs::redrive(client, options, filter, out).await;
        }
        (None, None) => {
            return Err(Failure::usage(
                "say which: --all, --max N, --offset OFFSET, or those of a filter, as --reason \
                 expired",
            ));
        }
    };
    told(options, moved, out)
}

/// Says what was moved.
fn told(options: &Redrive, moved: u64, out: &mut Output) -> Result<(), Failure> {
    let queue = options.queue.as_str();
    if out.is_json() {
        let to = &options.to;
        return out.json_line(&json!({ "queue": queue, "redriven": moved, "to": to }));
    }
    let messages = counted(moved, "message");
    out.line(format!("{messages} redriven from {queue} to {}", options.goal()))
}

impl Redrive {
    /// Where to, in words.
    pub(super) fn goal(&self) -> &str {
        self.to.as_deref().unwrap_or("where each had died")
    }
}

async fn one(client: &mut Client, options: &Redrive, offset: u64) -> Result<u64, Failure> {
    let body = match (&options.body, &options.body_file) {
        (Some(text), _) => Some(text.clone().into_bytes()),
        (None, Some(path)) => Some(std::fs::read(path).map_err(|error| {
            Failure::failed(format!("{} cannot be read: {error}", path.display()))
        })?),
        (None, None) => None,
    };
    let pick = Pick::One { offset: Offset(offset), body: body.map(Into::into) };
    Ok(step(client, options, pick).await?.0)
}

async fn oldest(
    client: &mut Client,
    options: &Redrive,
    filter: Vec<Condition<'static>>,
    max: u64,
) -> Result<u64, Failure> {
    // A message that dies again comes back while this runs: only what is there now is moved.
    let total = max.min(look::queue(client, &options.queue).await?.ready);
    let bar = ProgressBar::new(total).with_style(publish::bar_style("{pos}/{len} messages"));
    let mut moved = 0;
    while moved < total {
        let messages_max = (total - moved).min(u64::from(REDRIVE_STEP)) as u32;
        let pick = match filter.is_empty() {
            true => Pick::Oldest { messages_max },
            false => Pick::Filtered { filter: filter.clone(), messages_max },
        };
        let (count, left) = match step(client, options, pick).await {
            Ok(count) => count,
            Err(failure) if moved > 0 => {
                bar.abandon();
                return Err(Failure::failed(format!(
                    "{failure}; {} redriven before",
                    counted(moved, "message")
                )));
            }
            Err(failure) => return Err(failure),
        };
        moved += count;
        bar.set_position(moved);
        if count == 0 {
            if left > 0 {
                note(format_args!(
                    "{} were not looked at; without --max all are",
                    counted(left, "message")
                ));
            }
            break;
        }
    }
    bar.finish_and_clear();
    Ok(moved)
}

/// Moves some; gives how many, and how many were not looked at.
async fn step(
    client: &mut Client,
    options: &Redrive,
    pick: Pick<'_>,
) -> Result<(u64, u64), Failure> {
    let op = Op::Redrive {
        queue: options.queue.as_str().into(),
        pick,
        to: options.to.as_deref().map(Into::into),
    };
    let answer = match client.request(op).await {
        Ok(answer) => answer,
        Err(error) => return Err(explain(client, error, options).await),
    };
    if let Event::Count { count, left, .. } = answer.event()? {
        return Ok((count, left));
    }
    Err(look::unexpected(&answer, "Count"))
}

/// What to say of a refusal: the queue may be unknown, or where to.
pub(super) async fn explain(client: &mut Client, error: ClientError, options: &Redrive) -> Failure {
    let to = options.to.as_deref().unwrap_or(&options.queue);
    names::explain_either(client, error, &[&options.queue, to]).await
}
