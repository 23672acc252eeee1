//! `fanlight queues`.

use clap::Subcommand;

use fanlight_core::limits::PEEK_MAX;
use fanlight_core::{Event, Offset, Op, Overview, QueuePolicy, QueueView, Span, View};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::failure::Failure;
use super::message::Message;
use super::names::{self, Kind};
use super::output::{self, Output, Table, counted};
use super::parse;

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
    #[command(after_help = "Example:\n  \
                            fanlight queues declare orders --visibility 30s --deliveries-max 5 \
                            --dead-letter orders.dead")]
    Declare {
        /// Its name
        name: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Show a queue, its policy and its consumers
    #[command(after_help = "Example:\n  fanlight queues describe orders")]
    Describe {
        /// Its name
        name: String,
    },
    /// Remove the messages that are ready; leased and delayed ones stay
    #[command(after_help = "Example:\n  fanlight queues purge orders")]
    Purge {
        /// Its name
        name: String,
    },
    /// Delete a queue with all that is in it
    #[command(after_help = "Example:\n  fanlight queues delete orders")]
    Delete {
        /// Its name
        name: String,
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

/// How a queue treats its messages.
#[derive(clap::Args)]
struct Policy {
    /// How long a delivery is leased before its message is ready again
    #[arg(long, value_parser = parse::span, value_name = "DURATION", default_value = "30s")]
    visibility: Span,
    /// After this many attempts a message goes to the dead-letter queue
    #[arg(long, value_name = "N", requires = "dead_letter")]
    deliveries_max: Option<u32>,
    /// The queue that dead messages go to; it has to exist
    #[arg(long, value_name = "QUEUE")]
    dead_letter: Option<String>,
    /// How many messages it holds; a publish beyond that is refused
    #[arg(long, value_name = "N")]
    messages_max: Option<u64>,
    /// How long a failed attempt keeps its message from being ready again
    #[arg(long, value_parser = parse::span, value_name = "DURATION", default_value = "0s")]
    retry_delay: Span,
}

/// Runs `fanlight queues`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("queues").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Declare { name, policy } => {
            declare(&mut client, &name, &policy).await?;
            out.done(&format!("queue {name} is declared"))?;
        }
        Action::Describe { name } => describe(&client.overview().await?, &name, out)?,
        Action::Purge { name } => purge(&mut client, &name, out).await?,
        Action::Delete { name } => {
            match client
                .done(Op::DeleteQueue {
                    name: name.as_str().into(),
                    if_empty: false,
                    if_unused: false,
                })
                .await
            {
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

async fn declare(client: &mut Client, name: &str, policy: &Policy) -> Result<(), Failure> {
    let op = Op::DeclareQueue {
        name: name.into(),
        policy: QueuePolicy {
            visibility: policy.visibility,
            deliveries_max: policy.deliveries_max,
            dead_letter: policy.dead_letter.as_deref().map(Into::into),
            messages_max: policy.messages_max,
            retry_delay: policy.retry_delay,
            ..QueuePolicy::default()
        },
    };
    match client.done(op).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let named = policy.dead_letter.as_deref().unwrap_or(name);
            Err(names::explain(client, error, named).await)
        }
    }
}

fn describe(overview: &Overview, name: &str, out: &mut Output) -> Result<(), Failure> {
    let queue = find(overview, name)?;
    if out.is_json() {
        return out.document(queue);
    }
    let policy = &queue.policy;
    let or_none = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let lines = [
        ("queue", queue.name.clone()),
        ("ready", queue.ready.to_string()),
        ("leased", queue.leased.to_string()),
        ("delayed", queue.delayed.to_string()),
        ("bytes", queue.bytes.to_string()),
        ("came in all", queue.end.to_string()),
        ("acknowledged", format!("{} since the server started", queue.acked)),
        ("dead-lettered", format!("{} since the server started", queue.dead_lettered)),
        ("oldest", or_none(queue.oldest_at.map(output::instant), "-")),
        ("visibility", output::span(policy.visibility)),
        ("deliveries max", or_none(policy.deliveries_max.map(|n| n.to_string()), "no limit")),
        (
            "dead-letter queue",
            or_none(policy.dead_letter.as_ref().map(ToString::to_string), "none"),
        ),
        ("messages max", or_none(policy.messages_max.map(|n| n.to_string()), "the server's limit")),
        ("retry delay", output::span(policy.retry_delay)),
    ];
    for (what, value) in lines {
        out.line(format!("{what:<18} {value}"))?;
    }
    out.line("")?;
    let mut table = Table::new(&["CONSUMER", "CONNECTION", "CLIENT", "PREFETCH", "UNSETTLED"]);
    for consumer in &queue.consumers {
        let client = overview.connections.iter().find(|conn| conn.id == consumer.conn);
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

/// Removes what is ready in a queue.
pub(crate) async fn purge(
    client: &mut Client,
    name: &str,
    out: &mut Output,
) -> Result<(), Failure> {
    match client.count(Op::PurgeQueue { name: name.into(), all: false }).await {
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
