//! `fanlight topics`.

use clap::Subcommand;

use fanlight_core::{Op, Overview, TopicView};

use super::Session;
use super::failure::Failure;
use super::names::{self, Kind};
use super::output::{Output, Table, counted};

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
    #[command(after_help = "Example:\n  fanlight topics create orders --partitions 4")]
    Create {
        /// Its name
        name: String,
        /// How many partitions
        #[arg(long, short, default_value_t = 1, value_name = "N")]
        partitions: u32,
    },
    /// Show a topic's partitions
    #[command(after_help = "Example:\n  fanlight topics describe orders")]
    Describe {
        /// Its name
        name: String,
    },
    /// Delete a topic, its records and the offsets that groups committed on it
    #[command(after_help = "Example:\n  fanlight topics delete orders")]
    Delete {
        /// Its name
        name: String,
    },
}

/// Runs `fanlight topics`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("topics").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Create { name, partitions } => {
            client
                .done(Op::CreateTopic {
                    name: name.as_str().into(),
                    partitions,
                    policy: Default::default(),
                })
                .await?;
            let partitions = counted(u64::from(partitions), "partition");
            out.done(&format!("topic {name} has {partitions}"))?;
        }
        Action::Describe { name } => describe(&client.overview().await?, &name, out)?,
        Action::Delete { name } => {
            match client.done(Op::DeleteTopic { name: name.as_str().into() }).await {
                Ok(()) => out.done(&format!("topic {name} is deleted"))?,
                Err(error) => return Err(names::explain(&mut client, error, &name).await),
            }
        }
    }
    client.close().await;
    Ok(())
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.topics);
    }
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "RECORDS", "BYTES"]);
    for topic in &overview.topics {
        let records: u64 = topic.partitions.iter().map(|p| p.end.0 - p.start.0).sum();
        let bytes: u64 = topic.partitions.iter().map(|p| p.bytes).sum();
        table.row([
            topic.name.clone(),
            topic.partitions.len().to_string(),
            records.to_string(),
            bytes.to_string(),
        ]);
    }
    out.table(&table, "there are no topics; `fanlight topics create NAME --partitions 4` makes one")
}

fn describe(overview: &Overview, name: &str, out: &mut Output) -> Result<(), Failure> {
    let topic = find(overview, name)?;
    if out.is_json() {
        return out.document(topic);
    }
    let mut table =
        Table::new(&["TOPIC", "PARTITION", "START-OFFSET", "END-OFFSET", "RECORDS", "BYTES"]);
    for (number, partition) in topic.partitions.iter().enumerate() {
        table.row([
            topic.name.clone(),
            number.to_string(),
            partition.start.to_string(),
            partition.end.to_string(),
            (partition.end.0 - partition.start.0).to_string(),
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
