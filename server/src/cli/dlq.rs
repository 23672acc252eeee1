//! `fanlight dlq`: dead messages, why they died, and what becomes of them.

use std::path::PathBuf;

use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::json;

use fanlight_core::limits::PEEK_MAX;
use fanlight_core::{Offset, Op, Overview, Pick};
use fanlight_server::client::Client;

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::names;
use super::output::{Output, Table, counted, note};
use super::queues;

/// Messages moved by one request: few enough for the bar to move.
const REDRIVE_STEP: u32 = 100;
const _: () = assert!(REDRIVE_STEP as usize <= PEEK_MAX);

/// What to do with dead messages.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  fanlight dlq show orders.dead\n  \
                  fanlight dlq redrive orders.dead --all"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List the queues that dead messages go to (what `fanlight dlq` alone does)
    #[command(after_help = "Example:\n  fanlight dlq list --json")]
    List,
    /// Show dead messages: where they died, why, and every attempt
    #[command(after_help = "Example:\n  fanlight dlq show orders.dead --offset 3")]
    Show {
        /// The dead-letter queue
        queue: String,
        /// Only the message at this offset
        #[arg(long, value_name = "OFFSET", conflicts_with = "max")]
        offset: Option<u64>,
        /// At most this many
        #[arg(long, short, default_value_t = 20, value_name = "N")]
        max: u64,
    },
    /// Move dead messages back to the queue each died in, or to another
    #[command(after_help = "Examples:\n  \
                            fanlight dlq redrive orders.dead --all\n  \
                            fanlight dlq redrive orders.dead --offset 3 \
                            --body '{\"quantity\":1}'")]
    Redrive(Redrive),
    /// Remove the dead messages for good
    #[command(after_help = "Example:\n  fanlight dlq purge orders.dead --yes")]
    Purge {
        /// The dead-letter queue
        queue: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(clap::Args)]
struct Redrive {
    /// The dead-letter queue
    queue: String,
    #[command(flatten)]
    which: Which,
    /// Mend the message: a body to put in place of its own
    #[arg(long, requires = "offset", conflicts_with = "body_file", value_name = "TEXT")]
    body: Option<String>,
    /// Mend the message: a file whose bytes are put in place of its body
    #[arg(long, requires = "offset", value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Where to; each to the queue it last died in if it is left out
    #[arg(long, value_name = "QUEUE")]
    to: Option<String>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The message at this offset
    #[arg(long, value_name = "OFFSET")]
    offset: Option<u64>,
    /// The oldest, at most this many
    #[arg(long, short, value_name = "N")]
    max: Option<u64>,
    /// All that are there now
    #[arg(long)]
    all: bool,
}

/// Runs `fanlight dlq`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("dlq").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Show { queue, offset, max } => {
            show(&mut client, &queue, offset, max, out).await?;
        }
        Action::Redrive(options) => redrive(&mut client, &options, out).await?,
        Action::Purge { queue, confirm } => {
            queues::purge(&mut client, &queue, false, &confirm, out).await?;
        }
    }
    client.close().await;
    Ok(())
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(&["DEAD-LETTER-QUEUE", "READY", "LEASED", "DELAYED", "FROM"]);
    let mut rows = Vec::new();
    for queue in &overview.queues {
        let dies_here = |name: Option<&str>| name == Some(queue.name.as_str());
        let from: Vec<&str> = overview
            .queues
            .iter()
            .filter(|other| dies_here(other.policy.dead_letter.as_deref()))
            .map(|other| other.name.as_str())
            .collect();
        if from.is_empty() {
            continue;
        }
        table.row([
            queue.name.clone(),
            queue.ready.to_string(),
            queue.leased.to_string(),
            queue.delayed.to_string(),
            from.join(", "),
        ]);
        rows.push(json!({
            "queue": queue.name,
            "ready": queue.ready,
            "leased": queue.leased,
            "delayed": queue.delayed,
            "from": from,
        }));
    }
    if out.is_json() {
        return out.document(&rows);
    }
    out.table(
        &table,
        "no queue is a dead-letter queue; `fanlight queues declare NAME --dead-letter OTHER` \
         makes OTHER one",
    )
}

async fn show(
    client: &mut Client,
    queue: &str,
    offset: Option<u64>,
    max: u64,
    out: &mut Output,
) -> Result<(), Failure> {
    let json = out.is_json();
    // One more than is shown tells whether there are more.
    let (from, looked_at) = match offset {
        Some(offset) => (Offset(offset), 1),
        None => (Offset(0), max.saturating_add(1)),
    };
    let (mut shown, mut more) = (0, false);
    queues::peek(client, queue, from, looked_at, |message| {
        if shown == max {
            more = true;
            return Ok(());
        }
        if offset.is_some_and(|offset| message.0.offset != Offset(offset)) {
            return Ok(());
        }
        shown += 1;
        if json { out.json_line(&message) } else { message.story(queue, out) }
    })
    .await?;
    if more {
        note(format_args!("{queue} holds more than these {max}: --max shows more"));
    }
    match offset {
        Some(offset) if shown == 0 => Err(Failure::failed(format!(
            "{queue} holds no message at offset {offset}; `fanlight dlq show {queue}` shows those \
             it holds"
        ))),
        None if shown == 0 && !json => out.line(format!("{queue} has no messages to show")),
        Some(_) | None => Ok(()),
    }
}

async fn redrive(client: &mut Client, options: &Redrive, out: &mut Output) -> Result<(), Failure> {
    let queue = options.queue.as_str();
    let moved = match options.which.offset {
        Some(offset) => {
            let body = match (&options.body, &options.body_file) {
                (Some(text), _) => Some(text.clone().into_bytes()),
                (None, Some(path)) => Some(std::fs::read(path).map_err(|error| {
                    Failure::failed(format!("{} cannot be read: {error}", path.display()))
                })?),
                (None, None) => None,
            };
            let pick = Pick::One { offset: Offset(offset), body: body.map(Into::into) };
            step(client, options, pick).await?
        }
        None => redrive_oldest(client, options).await?,
    };
    if out.is_json() {
        return out.json_line(&json!({ "queue": queue, "redriven": moved, "to": options.to }));
    }
    let to = options.to.as_deref().unwrap_or("where each had died");
    out.line(format!("{} redriven from {queue} to {to}", counted(moved, "message")))
}

async fn redrive_oldest(client: &mut Client, options: &Redrive) -> Result<u64, Failure> {
    // A message that dies again comes back while this runs: only what is there now is moved.
    let overview = client.overview().await?;
    let ready = queues::find(&overview, &options.queue)?.ready;
    let total = options.which.max.unwrap_or(u64::MAX).min(ready);
    let bar = ProgressBar::new(total).with_style(super::publish::bar_style("{pos}/{len} messages"));
    let mut moved = 0;
    while moved < total {
        let messages_max = (total - moved).min(u64::from(REDRIVE_STEP)) as u32;
        let count = match step(client, options, Pick::Oldest { messages_max }).await {
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
        if count == 0 {
            break;
        }
        moved += count;
        bar.set_position(moved);
    }
    bar.finish_and_clear();
    Ok(moved)
}

async fn step(client: &mut Client, options: &Redrive, pick: Pick<'_>) -> Result<u64, Failure> {
    let op = Op::Redrive {
        queue: options.queue.as_str().into(),
        pick,
        to: options.to.as_deref().map(Into::into),
    };
    match client.count(op).await {
        Ok(count) => Ok(count),
        Err(error) => {
            let overview = client.overview().await?;
            let source_is_known = queues::find(&overview, &options.queue).is_ok();
            let named = options.to.as_deref().filter(|_| source_is_known);
            Err(names::explain(client, error, named.unwrap_or(&options.queue)).await)
        }
    }
}
