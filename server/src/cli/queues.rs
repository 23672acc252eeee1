//! `fanlight queues`.

use clap::Subcommand;

use fanlight_core::limits::PEEK_MAX;
use fanlight_core::{
    Code, ConnectionView, Event, Offset, Op, Overview, QueuePolicy, QueueView, View,
};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::look;
use super::message::Message;
use super::names::{self, Kind};
use super::output::{self, Output, Table, counted};
use super::policy::{self, QueueArgs, QueueNature};

/// What to do with queues.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  fanlight queues declare orders.dead\n  \
                  fanlight queues declare orders --deliveries-max 5 --dead-letter orders.dead"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all queues (what `fanlight queues` alone does)
    #[command(after_help = "Example:\n  fanlight queues list --json")]
    List,
    /// Make a queue
    #[command(after_help = "Examples:\n  \
                            fanlight queues declare orders --visibility 30s --deliveries-max 5 \
                            --dead-letter orders.dead\n  \
                            fanlight queues declare mail --ttl 1h --retry-delay 5s --backoff-max \
                            10m --jitter 20")]
    Declare {
        /// Its name
        name: String,
        #[command(flatten)]
        policy: QueueArgs,
        #[command(flatten)]
        nature: QueueNature,
    },
    /// Change how a queue treats its messages
    #[command(after_help = "Example:\n  \
                            fanlight queues alter orders --visibility 1m --messages-max none")]
    Alter {
        /// Its name
        name: String,
        #[command(flatten)]
        policy: QueueArgs,
    },
    /// Show a queue, its policy and its consumers
    #[command(after_help = "Example:\n  fanlight queues describe orders")]
    Describe {
        /// Its name
        name: String,
    },
    /// Remove the messages that are ready; leased and delayed ones stay
    #[command(after_help = "Example:\n  fanlight queues purge orders --yes")]
    Purge {
        /// Its name
        name: String,
        /// Those as well that are leased or delayed, in whoever's hands they are
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete a queue with all that is in it
    #[command(after_help = "Examples:\n  fanlight queues delete orders --yes\n  \
                            fanlight queues delete orders --if-empty --if-unused")]
    Delete {
        /// Its name
        name: String,
        /// Only if it holds no message
        #[arg(long)]
        if_empty: bool,
        /// Only if it has no consumer
        #[arg(long)]
        if_unused: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show messages without taking them
    #[command(after_help = "Example:\n  fanlight queues peek orders --max 5")]
    Peek {
        /// Its name
        name: String,
        /// The first offset to show
        #[arg(long, default_value_t = 0, value_name = "OFFSET")]
        from: u64,
        /// Show at most this many
        #[arg(long, short, default_value_t = 20, value_name = "N")]
        max: u64,
    },
}

/// Runs `fanlight queues`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("queues").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Declare { name, policy, nature } => {
            declare(&mut client, &name, &policy, &nature).await?;
            out.done(&format!("queue {name} is declared"))?;
        }
        Action::Alter { name, policy } => alter(&mut client, &name, &policy, out).await?,
        Action::Describe { name } => {
            let queue = look::queue(&mut client, &name).await?;
            let connections = match queue.consumers.is_empty() {
                true => Vec::new(),
                false => client.overview().await?.connections,
            };
            describe(&queue, &connections, out)?;
        }
        Action::Purge { name, all, confirm } => {
            purge(&mut client, &name, all, &confirm, out).await?;
        }
        Action::Delete { name, if_empty, if_unused, confirm } => {
            let held = held(&look::queue(&mut client, &name).await?);
            if held > 0 && !if_empty {
                let held = counted(held, "message");
                confirm.ask(&format!("queue {name} will be gone with its {held}"))?;
            }
            let op = Op::DeleteQueue { name: name.as_str().into(), if_empty, if_unused };
            match client.done(op).await {
                Ok(()) => out.done(&format!("queue {name} is deleted"))?,
                Err(error) => return Err(names::explain(&mut client, error, &name).await),
            }
        }
        Action::Peek { name, from, max } => {
            show_messages(&mut client, &name, Offset(from), max, out).await?;
        }
    }
    client.close().await;
    Ok(())
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.queues);
    }
    let mut table = Table::new(&[
        "QUEUE",
        "READY",
        "LEASED",
        "DELAYED",
        "CONSUMERS",
        "BYTES",
        "OLDEST",
        "DEAD-LETTER-QUEUE",
    ]);
    for queue in &overview.queues {
        table.row([
            queue.name.clone(),
            queue.ready.to_string(),
            queue.leased.to_string(),
            queue.delayed.to_string(),
            queue.consumers.len().to_string(),
            queue.bytes.to_string(),
            queue.oldest_at.map(|at| output::age(overview.now, at)).unwrap_or_default(),
            queue.policy.dead_letter.as_deref().unwrap_or_default().to_owned(),
        ]);
    }
    out.table(&table, "there are no queues; `fanlight queues declare NAME` makes one")
}

async fn declare(
    client: &mut Client,
    name: &str,
    args: &QueueArgs,
    nature: &QueueNature,
) -> Result<(), Failure> {
    let mut policy = QueuePolicy::default();
    args.apply(&mut policy)?;
    nature.apply(&mut policy);
    match client.done(Op::DeclareQueue { name: name.into(), policy }).await {
        Ok(()) => Ok(()),
        Err(error) if error.code() == Some(Code::Conflict) => Err(Failure::failed(format!(
            "{error}; `fanlight queues alter {}` changes it",
            names::shell_word(name)
        ))),
        Err(error) => {
            let named: Vec<&str> = args.names().collect();
            Err(names::explain_either(client, error, &named).await)
        }
    }
}

async fn alter(
    client: &mut Client,
    name: &str,
    args: &QueueArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    let old = look::queue(client, name).await?.policy;
    let mut policy = old.clone();
    args.apply(&mut policy)?;
    let changed = policy::difference(&policy::queue_lines(&old), &policy::queue_lines(&policy));
    if changed.is_empty() {
        return out.done(&format!("queue {name} is as it was"));
    }
    match client.done(Op::AlterQueue { name: name.into(), policy }).await {
        Ok(()) => out.done(&format!("queue {name}: {}", changed.join(", "))),
        Err(error) => {
            let named: Vec<&str> = args.names().chain([name]).collect();
            Err(names::explain_either(client, error, &named).await)
        }
    }
}

fn describe(
    queue: &QueueView,
    connections: &[ConnectionView],
    out: &mut Output,
) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(queue);
    }
    let oldest = queue.oldest_at.map(output::instant);
    let mut lines = vec![
        ("queue", queue.name.clone()),
        ("ready", queue.ready.to_string()),
        ("leased", queue.leased.to_string()),
        ("delayed", queue.delayed.to_string()),
    ];
    if queue.blocked > 0 {
        lines.push(("behind its group", queue.blocked.to_string()));
    }
    if queue.held > 0 {
        lines.push(("in transactions", queue.held.to_string()));
    }
    lines.extend([
        ("bytes", queue.bytes.to_string()),
        ("came in all", queue.end.to_string()),
        ("acknowledged", format!("{} since the server started", queue.acked)),
        ("dead-lettered", format!("{} since the server started", queue.dead_lettered)),
        ("oldest", oldest.unwrap_or_else(|| "-".to_owned())),
    ]);
    lines.extend(policy::queue_lines(&queue.policy));
    for (what, value) in lines {
        out.line(format!("{what:<18} {value}"))?;
    }
    out.line("")?;
    let mut table = Table::new(&["CONSUMER", "CONNECTION", "CLIENT", "PREFETCH", "UNSETTLED"]);
    for consumer in &queue.consumers {
        let client = connections.iter().find(|conn| conn.id == consumer.conn);
        table.row([
            consumer.id.to_string(),
            consumer.conn.to_string(),
            client.map(|conn| conn.client.clone()).unwrap_or_default(),
            consumer.prefetch.to_string(),
            consumer.outstanding.to_string(),
        ]);
    }
    out.table(&table, "it has no consumers")
}

/// The messages that a queue holds, whatever they do.
pub(crate) fn held(queue: &QueueView) -> u64 {
    queue.ready + queue.leased + queue.delayed + queue.blocked + queue.held
}

/// Removes what is ready in a queue, or everything, once that is meant.
pub(crate) async fn purge(
    client: &mut Client,
    name: &str,
    all: bool,
    confirm: &Confirm,
    out: &mut Output,
) -> Result<(), Failure> {
    let queue = look::queue(client, name).await?;
    let count = if all { held(&queue) } else { queue.ready };
    if count > 0 {
        confirm.ask(&format!("{} in {name} will be gone for good", counted(count, "message")))?;
    }
    match client.count(Op::PurgeQueue { name: name.into(), all }).await {
        Ok(count) if out.is_json() => {
            out.json_line(&serde_json::json!({ "queue": name, "purged": count }))
        }
        Ok(count) => out.line(format!("{} purged from {name}", counted(count, "message"))),
        Err(error) => Err(names::explain(client, error, name).await),
    }
}

/// The queue under a name.
pub(crate) fn find<'o>(overview: &'o Overview, name: &str) -> Result<&'o QueueView, Failure> {
    let found = overview.queues.iter().find(|queue| queue.name == name);
    found.ok_or_else(|| Failure::failed(names::unknown(overview, name, &[Kind::Queue])))
}

/// How many messages are ready in a queue, or in all parts of a work group.
pub(crate) fn ready(overview: &Overview, name: &str) -> Result<u64, Failure> {
    match overview.work_groups.iter().find(|group| group.name == name) {
        Some(group) => Ok(group.parts.iter().map(|part| part.ready).sum()),
        None => Ok(find(overview, name)?.ready),
    }
}

/// Looks at messages of a queue from an offset on, a page at a time, until `max` were seen.
pub(crate) async fn peek(
    client: &mut Client,
    queue: &str,
    from: Offset,
    max: u64,
    mut see: impl FnMut(Message<'_, '_>) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let (mut from, mut seen) = (from, 0);
    while seen < max {
        let page = (max - seen).min(PEEK_MAX as u64) as u32;
        let op = Op::Peek { queue: queue.into(), from, messages_max: page };
        let answer = match client.request(op).await {
            Ok(answer) => answer,
            Err(error) => return Err(names::explain(client, error, queue).await),
        };
        let event = answer.event()?;
        let Event::Inspected { view: View::Messages(messages), .. } = event else {
            return Err(ClientError::unexpected("with messages", &event).into());
        };
        let Some(last) = messages.last() else { break };
        from = last.offset.plus(1);
        seen += messages.len() as u64;
        for message in &messages {
            see(Message(message))?;
        }
    }
    Ok(seen)
}

/// A table of messages, or a line of JSON for each.
pub(crate) async fn show_messages(
    client: &mut Client,
    queue: &str,
    from: Offset,
    max: u64,
    out: &mut Output,
) -> Result<(), Failure> {
    let now = client.opened_at();
    let mut table = Table::new(&["OFFSET", "STATE", "FAILED", "AGE", "KEY", "BODY"]);
    let json = out.is_json();
    peek(client, queue, from, max, |message| match json {
        true => out.json_line(&message),
        false => {
            table.row(message.cells(now));
            Ok(())
        }
    })
    .await?;
    if json { Ok(()) } else { out.table(&table, &format!("{queue} has no messages to show")) }
}
