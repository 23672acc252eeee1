//! `fanlight topics`.

use clap::Subcommand;
use indicatif::HumanBytes;
use serde_json::json;

use fanlight_core::{Offset, Op, Overview, Position, TopicPolicy, TopicView};
use fanlight_server::client::Client;

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::look;
use super::names::{self, Kind};
use super::output::{self, Output, Table, counted};
use super::parse::{self, Place};
use super::policy::{self, TopicArgs};

/// What to do with topics.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  fanlight topics create orders --partitions 4"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all topics (what `fanlight topics` alone does)
    #[command(after_help = "Example:\n  fanlight topics list --json")]
    List,
    /// Create a topic
    #[command(after_help = "Examples:\n  \
                            fanlight topics create orders --partitions 4\n  \
                            fanlight topics create prices --compact --retention 168h")]
    Create {
        /// Its name
        name: String,
        /// How many partitions
        #[arg(long, short, default_value_t = 1, value_name = "N")]
        partitions: u32,
        #[command(flatten)]
        policy: TopicArgs,
    },
    /// Show a topic's policy and partitions
    #[command(after_help = "Example:\n  fanlight topics describe orders")]
    Describe {
        /// Its name
        name: String,
    },
    /// Change how a topic keeps its records, or give it more partitions
    #[command(after_help = "Examples:\n  \
                            fanlight topics alter orders --retention 24h\n  \
                            fanlight topics alter orders --retention none --partitions 8")]
    Alter {
        /// Its name
        name: String,
        /// How many partitions it has then; keys may go to others than before
        #[arg(long, short, value_name = "N")]
        partitions: Option<u32>,
        #[command(flatten)]
        policy: TopicArgs,
    },
    /// Delete the oldest records of a topic
    #[command(after_help = "Examples:\n  \
                            fanlight topics trim orders --before 24h --yes\n  \
                            fanlight topics trim orders --partition 2 --before 1200")]
    Trim {
        /// Its name
        name: String,
        /// Which partition; all of them if it is left out
        #[arg(long, short, value_name = "P")]
        partition: Option<u32>,
        /// The first that stays: latest, an offset, a time (2026-07-01T10:00:00Z) or how long ago
        /// (24h)
        #[arg(long, value_parser = parse::place, allow_hyphen_values = true,
              value_name = "POSITION")]
        before: Place,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete a topic, its records and the offsets that groups committed on it
    #[command(after_help = "Example:\n  fanlight topics delete orders --yes")]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// Runs `fanlight topics`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("topics").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Create { name, partitions, policy: args } => {
            let mut policy = TopicPolicy::default();
            args.apply(&mut policy);
            client.done(Op::CreateTopic { name: name.as_str().into(), partitions, policy }).await?;
            let partitions = counted(u64::from(partitions), "partition");
            out.done(&format!("topic {name} has {partitions}"))?;
        }
        Action::Describe { name } => describe(&look::topic(&mut client, &name).await?, out)?,
        Action::Alter { name, partitions, policy } => {
            alter(&mut client, &name, partitions, &policy, out).await?;
        }
        Action::Trim { name, partition, before, confirm } => {
            trim(&mut client, &name, partition, before, &confirm, out).await?;
        }
        Action::Delete { name, confirm } => {
            let records = records(&look::topic(&mut client, &name).await?);
            if records > 0 {
                let records = counted(records, "record");
                confirm.ask(&format!("topic {name} will be gone with its {records}"))?;
            }
            match client.done(Op::DeleteTopic { name: name.as_str().into() }).await {
                Ok(()) => out.done(&format!("topic {name} is deleted"))?,
                Err(error) => return Err(names::explain(&mut client, error, &name).await),
            }
        }
    }
    client.close().await;
    Ok(())
}

/// How many offsets lie between the ends of its partitions.
fn records(topic: &TopicView) -> u64 {
    topic.partitions.iter().map(|p| p.end.0.saturating_sub(p.start.0)).sum()
}

async fn alter(
    client: &mut Client,
    name: &str,
    partitions: Option<u32>,
    args: &TopicArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    let topic = look::topic(client, name).await?;
    let mut policy = topic.policy.clone();
    args.apply(&mut policy);
    let mut changed =
        policy::difference(&policy::topic_lines(&topic.policy), &policy::topic_lines(&policy));
    if policy != topic.policy {
        client.done(Op::AlterTopic { name: name.into(), policy }).await?;
    }
    let had = topic.partitions.len() as u32;
    if let Some(partitions) = partitions.filter(|&partitions| partitions != had) {
        client.done(Op::AddPartitions { topic: name.into(), partitions }).await?;
        changed.push(format!("partitions {had} → {partitions}"));
    }
    match changed.is_empty() {
        true => out.done(&format!("topic {name} is as it was")),
        false => out.done(&format!("topic {name}: {}", changed.join(", "))),
    }
}

async fn trim(
    client: &mut Client,
    name: &str,
    partition: Option<u32>,
    before: Place,
    confirm: &Confirm,
    out: &mut Output,
) -> Result<(), Failure> {
    let topic = look::topic(client, name).await?;
    let of = match partition {
        Some(partition) => format!("partition {partition} of {name}"),
        None => name.to_owned(),
    };
    let until = match before {
        Place::Earliest => "the oldest record".to_owned(),
        Place::Latest => "the end".to_owned(),
        Place::At(offset) => format!("offset {offset}"),
        Place::Since(at) => output::instant(at),
        Place::Ago(span) => output::instant(client.opened_at() - span),
    };
    confirm.ask(&format!("the records of {of} before {until} will be gone"))?;
    let all = 0..topic.partitions.len() as u32;
    let which: Vec<u32> = partition.map_or_else(|| all.collect(), |partition| vec![partition]);
    for partition in which {
        // One offset for several partitions: each is trimmed as far as it reaches.
        let log = topic.partitions.get(partition as usize);
        let to = match (before, log) {
            (Place::At(offset), Some(log)) => {
                Position::At(Offset(offset.clamp(log.start.0, log.end.0)))
            }
            (place, _) => place.position(client.opened_at()),
        };
        client.done(Op::DeleteRecords { topic: name.into(), partition, before: to }).await?;
    }
    let now = look::topic(client, name).await?;
    let bytes = |topic: &TopicView| topic.partitions.iter().map(|p| p.bytes).sum::<u64>();
    let gone = records(&topic).saturating_sub(records(&now));
    let freed = bytes(&topic).saturating_sub(bytes(&now));
    if out.is_json() {
        return out.json_line(&json!({ "topic": name, "deleted": gone, "bytes": freed }));
    }
    out.line(format!("{} of {of} deleted, {}", counted(gone, "record"), HumanBytes(freed)))
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.topics);
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "RECORDS", "BYTES"]);
    for topic in &overview.topics {
        let bytes: u64 = topic.partitions.iter().map(|p| p.bytes).sum();
        table.row([
            topic.name.clone(),
            topic.partitions.len().to_string(),
            records(topic).to_string(),
            bytes.to_string(),
        ]);
    }
    out.table(&table, "there are no topics; `fanlight topics create NAME --partitions 4` makes one")
}

fn describe(topic: &TopicView, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(topic);
    }
    for (what, value) in policy::topic_lines(&topic.policy) {
        out.line(format!("{what:<18} {value}"))?;
    }
    out.line("")?;
    let mut table =
        Table::new(&["TOPIC", "PARTITION", "START-OFFSET", "END-OFFSET", "RECORDS", "BYTES"]);
    for (number, partition) in topic.partitions.iter().enumerate() {
        table.row([
            topic.name.clone(),
            number.to_string(),
            partition.start.to_string(),
            partition.end.to_string(),
            partition.end.0.saturating_sub(partition.start.0).to_string(),
            partition.bytes.to_string(),
        ]);
    }
    out.table(&table, "the topic has no partitions")
}

/// The topic under a name.
pub(crate) fn find<'o>(overview: &'o Overview, name: &str) -> Result<&'o TopicView, Failure> {
    let found = overview.topics.iter().find(|topic| topic.name == name);
    found.ok_or_else(|| Failure::failed(names::unknown(overview, name, &[Kind::Topic])))
}
