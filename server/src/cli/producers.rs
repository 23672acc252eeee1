//! `fanlight producers` and `fanlight transactions`: who numbers what it publishes, and what is open.

use clap::Subcommand;

use fanlight_core::{Code, Inspect, Op, ProducerId, ProducerView, Time, View};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::failure::Failure;
use super::output::{self, Output, Table};

/// What to do with producers.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Producers are those that number their batches (Kafka's idempotent and \
                  transactional ones).\n\n\
                  Example:\n  fanlight producers describe billing-tx"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all producers (what `fanlight producers` alone does)
    #[command(after_help = "Example:\n  fanlight producers list --json")]
    List,
    /// Show a producer: its numbers, and what its open transaction wrote
    #[command(after_help = "Examples:\n  \
                            fanlight producers describe billing-tx\n  \
                            fanlight producers describe producer-7")]
    Describe {
        /// Its transactional name, or its number: producer-7
        name: String,
    },
}

/// Which transactions.
#[derive(clap::Args)]
#[command(
    after_help = "Messages of an open transaction are held, and readers that ask for what is \
                  committed stop before them.\n\n\
                  Example:\n  fanlight transactions --json"
)]
pub(crate) struct Open {}

/// Runs `fanlight producers`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("producers").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => {
            let all = pages(&mut client, Inspect::Producers).await?;
            list(&all, client.opened_at(), out)?;
        }
        Action::Describe { name } => {
            let producer = find(&mut client, &name).await?;
            describe(&producer, client.opened_at(), out)?;
        }
    }
    client.close().await;
    Ok(())
}

/// Runs `fanlight transactions`.
pub(crate) async fn open(Open {}: Open, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("transactions").await?;
    let out = &mut session.out;
    let all = pages(&mut client, Inspect::Transactions).await?;
    if out.is_json() {
        out.document(&all)?;
    } else {
        let now = client.opened_at();
        let mut table = Table::new(&[
            "PRODUCER",
            "NAME",
            "EPOCH",
            "OPEN",
            "ABORTED-IN",
            "RECORDS",
            "LOGS",
            "OFFSETS",
        ]);
        for producer in &all {
            let Some(open) = &producer.transaction else { continue };
            table.row([
                producer.id.to_string(),
                producer.name.clone().unwrap_or_default(),
                producer.epoch.to_string(),
                output::age(now, open.began),
                output::age(open.until, now),
                open.records.to_string(),
                open.logs.to_string(),
                open.offsets.to_string(),
            ]);
        }
        out.table(&table, "no transaction is open")?;
    }
    client.close().await;
    Ok(())
}

async fn ask(client: &mut Client, what: Inspect<'_>) -> Result<Vec<ProducerView>, ClientError> {
    let answer = client.request(Op::Inspect { what }).await?;
    let event = answer.event()?;
    if let fanlight_core::Event::Inspected { view: View::Producers(producers), .. } = event {
        return Ok(producers);
    }
    Err(ClientError::unexpected("with producers", &event))
}

/// All of them, page by page.
async fn pages(
    client: &mut Client,
    of: impl Fn(ProducerId) -> Inspect<'static>,
) -> Result<Vec<ProducerView>, Failure> {
    let mut all: Vec<ProducerView> = Vec::new();
    let mut from = ProducerId(0);
    loop {
        let page = ask(client, of(from)).await?;
        let Some(last) = page.last() else { return Ok(all) };
        from = ProducerId(last.id.0.saturating_add(1));
        all.extend(page);
    }
}

/// The producer under a transactional name, or with a number.
async fn find(client: &mut Client, name: &str) -> Result<ProducerView, Failure> {
    let named = ask(client, Inspect::ProducerNamed(name.into())).await;
    let found = match named {
        Err(error) if error.code() == Some(Code::UnknownProducer) => {
            match name.strip_prefix("producer-").unwrap_or(name).parse() {
                Ok(id) => ask(client, Inspect::Producer(ProducerId(id))).await,
                Err(_) => Err(error),
            }
        }
        other => other,
    };
    match found {
        Ok(mut found) if !found.is_empty() => Ok(found.remove(0)),
        Ok(_) => Err(unknown(name)),
        Err(error) if error.code() == Some(Code::UnknownProducer) => Err(unknown(name)),
        Err(error) => Err(error.into()),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::failed(format!(
        "there is no producer called {name}; `fanlight producers` lists those that there are"
    ))
}

fn list(producers: &[ProducerView], now: Time, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&producers);
    }
    let mut table = Table::new(&["PRODUCER", "NAME", "EPOCH", "SEEN", "TRANSACTION"]);
    for producer in producers {
        let open = producer.transaction.as_ref();
        table.row([
            producer.id.to_string(),
            producer.name.clone().unwrap_or_default(),
            producer.epoch.to_string(),
            format!("{} ago", output::age(now, producer.seen)),
            open.map(|open| format!("open for {}", output::age(now, open.began)))
                .unwrap_or_default(),
        ]);
    }
    out.table(&table, "no producer numbers its batches")
}

fn describe(producer: &ProducerView, now: Time, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(producer);
    }
    let name = producer.name.clone().unwrap_or_else(|| "none".to_owned());
    let mut lines = vec![
        ("producer", producer.id.to_string()),
        ("name", name),
        ("epoch", producer.epoch.to_string()),
        ("timeout", output::span(producer.timeout)),
        ("seen", output::instant(producer.seen)),
        ("forgotten", output::instant(producer.forgotten_at)),
    ];
    if let Some(open) = &producer.transaction {
        let age = output::age(now, open.began);
        lines.push(("transaction", format!("open for {age}")));
        lines.push(("aborted at", output::instant(open.until)));
        lines.push(("offsets", format!("{} to commit", open.offsets)));
    }
    for (what, value) in lines {
        out.line(format!("{what:<18} {value}"))?;
    }
    let mut table = Table::new(&["TO", "PARTITION", "NEXT-NUMBER"]);
    for sequence in &producer.sequences {
        table.row([
            sequence.topic.clone().unwrap_or_else(|| "everything else".to_owned()),
            sequence.partition.map(|partition| partition.to_string()).unwrap_or_default(),
            sequence.next.to_string(),
        ]);
    }
    out.line("")?;
    out.table(&table, "it has numbered nothing yet")?;
    if let Some(open) = &producer.transaction {
        let mut table = Table::new(&["WROTE-TO", "PARTITION", "FIRST-OFFSET", "RECORDS"]);
        for write in &open.writes {
            let partition = match write.place {
                fanlight_core::Place::Queue(_) => String::new(),
                fanlight_core::Place::Partition(_, partition) => partition.to_string(),
            };
            table.row([
                write.name.clone(),
                partition,
                write.first.to_string(),
                write.records.to_string(),
            ]);
        }
        out.line("")?;
        out.table(&table, "its transaction wrote nothing yet")?;
    }
    Ok(())
}
