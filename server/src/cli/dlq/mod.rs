//! `fanlight dlq`: dead messages, why they died, and what becomes of them.

mod jobs;
mod redrive;

use clap::Subcommand;
use serde_json::json;

use fanlight_core::{Offset, Overview, RedriveId};
use fanlight_server::client::Client;

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::output::{self, Output, Table, note};
use super::queues;

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
                            fanlight dlq redrive orders.dead --all --rate 100/s\n  \
                            fanlight dlq redrive orders.dead --reason expired --since 2h --dry-run\
                            \n  \
                            fanlight dlq redrive orders.dead --header tenant=blue --to orders.retry\
                            \n  \
                            fanlight dlq redrive orders.dead --offset 3 \
                            --body '{\"quantity\":1}'\n\n\
                            --all and a filter start a job in the broker, which goes on over its \
                            restarts; ctrl-C stops it, --detach lets it go on alone.")]
    Redrive(Box<redrive::Redrive>),
    /// List the jobs that redrive messages, and those that ended lately
    #[command(after_help = "Example:\n  fanlight dlq jobs --json")]
    Jobs,
    /// Stop a job; what it moved stays moved
    #[command(after_help = "Example:\n  fanlight dlq stop redrive-3")]
    Stop {
        /// Which job, as `fanlight dlq jobs` lists it: redrive-3, or 3
        #[arg(value_parser = jobs::id)]
        job: RedriveId,
    },
    /// Remove the dead messages for good
    #[command(after_help = "Example:\n  fanlight dlq purge orders.dead --yes")]
    Purge {
        /// The dead-letter queue
        queue: String,
        #[command(flatten)]
        confirm: Confirm,
    },
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
        Action::Redrive(options) => redrive::run(&mut client, &options, out).await?,
        Action::Jobs => jobs::list(&mut client, out).await?,
        Action::Stop { job } => jobs::stop(&mut client, job, out).await?,
        Action::Purge { queue, confirm } => {
            queues::purge(&mut client, &queue, false, &confirm, out).await?;
        }
    }
    client.close().await;
    Ok(())
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    let mut table =
        Table::new(&["DEAD-LETTER-QUEUE", "READY", "LEASED", "DELAYED", "OLDEST", "FROM"]);
    let mut rows = Vec::new();
    let parts = overview.work_groups.iter().map(|group| {
        // The parts of a work group have one policy.
        group
            .parts
            .first()
            .and_then(|part| part.policy.dead_letter.as_deref())
            .map(|to| (group, to))
    });
    let parts: Vec<(&str, &str)> =
        parts.flatten().map(|(group, to)| (group.name.as_str(), to)).collect();
    let of_queues = overview
        .queues
        .iter()
        .filter_map(|other| Some((other.name.as_str(), other.policy.dead_letter.as_deref()?)));
    let sources: Vec<(&str, &str)> = of_queues.chain(parts).collect();
    for queue in &overview.queues {
        let here = sources.iter().filter(|(_, to)| *to == queue.name);
        let from: Vec<&str> = here.map(|(from, _)| *from).collect();
        if from.is_empty() {
            continue;
        }
        table.row([
            queue.name.clone(),
            queue.ready.to_string(),
            queue.leased.to_string(),
            queue.delayed.to_string(),
            queue.oldest_at.map(|at| output::age(overview.now, at)).unwrap_or_default(),
            from.join(", "),
        ]);
        rows.push(json!({
            "queue": queue.name,
            "ready": queue.ready,
            "leased": queue.leased,
            "delayed": queue.delayed,
            "oldestAt": queue.oldest_at.map(output::instant),
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
