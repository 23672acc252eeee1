//! `fanlight groups`.

use clap::Subcommand;
use serde_json::json;

use fanlight_core::{Event, GroupView, Offset, Op, Overview, Position, TopicView};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::failure::Failure;
use super::names::{self, Kind};
use super::output::{Output, Table};
use super::parse::{self, Place};
use super::topics;

/// What to do with consumer groups.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  fanlight groups describe billing"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all groups (what `fanlight groups` alone does)
    #[command(after_help = "Example:\n  fanlight groups list --json")]
    List,
    /// Show how far a group, or every group, is in each partition
    #[command(after_help = "Example:\n  fanlight groups describe billing")]
    Describe {
        /// Which group; all of them if it is left out
        name: Option<String>,
    },
    /// Move a group's committed offsets; the group must have no members
    #[command(after_help = "Examples:\n  \
                            fanlight groups reset billing --topic orders --to earliest\n  \
                            fanlight groups reset billing --topic orders --to 15m --dry-run")]
    Reset(Reset),
    /// Delete a group and its offsets; it must have no members
    #[command(after_help = "Example:\n  fanlight groups delete billing")]
    Delete {
        /// Which group
        name: String,
    },
}

#[derive(clap::Args)]
struct Reset {
    /// Which group
    name: String,
    /// Which topic
    #[arg(long, short)]
    topic: String,
    /// Which partition; all of them if it is left out
    #[arg(long, short, value_name = "P")]
    partition: Option<u32>,
    /// Where to: earliest, latest, an offset, a time (2026-07-01T10:00:00Z) or how long ago (15m)
    #[arg(long, value_parser = parse::place, allow_hyphen_values = true, value_name = "POSITION")]
    to: Place,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Runs `fanlight groups`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("groups").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Describe { name } => describe(&client.overview().await?, name.as_deref(), out)?,
        Action::Reset(options) => reset(&mut client, &options, out).await?,
        Action::Delete { name } => {
            match client.done(Op::DeleteGroup { group: name.as_str().into() }).await {
                Ok(()) => out.done(&format!("group {name} is deleted"))?,
                Err(error) => return Err(names::explain(&mut client, error, &name).await),
            }
        }
    }
    client.close().await;
    Ok(())
}

fn find<'o>(overview: &'o Overview, name: &str) -> Result<&'o GroupView, Failure> {
    let found = overview.groups.iter().find(|group| group.name == name);
    found.ok_or_else(|| Failure::failed(names::unknown(overview, name, &[Kind::Group])))
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.groups);
    }
    let mut table = Table::new(&["GROUP", "MEMBERS", "GENERATION", "PARTITIONS", "LAG"]);
    for group in &overview.groups {
        table.row([
            group.name.clone(),
            group.members.len().to_string(),
            group.generation.to_string(),
            group.partitions.len().to_string(),
            group.partitions.iter().map(|partition| partition.lag).sum::<u64>().to_string(),
        ]);
    }
    out.table(&table, "there are no groups; `fanlight consume TOPIC --group NAME` makes one")
}

fn describe(overview: &Overview, name: Option<&str>, out: &mut Output) -> Result<(), Failure> {
    let groups = match name {
        Some(name) => std::slice::from_ref(find(overview, name)?),
        None => &overview.groups[..],
    };
    if out.is_json() {
        return out.document(&groups);
    }
    let mut table = Table::new(&[
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "OWNER",
    ]);
    for group in groups {
        for partition in &group.partitions {
            let member = |id| group.members.iter().find(|member| member.id == id);
            let owner = partition.owner.map(|id| match member(id) {
                Some(member) => format!("{id} ({} {})", member.conn, member.client),
                None => id.to_string(),
            });
            table.row([
                group.name.clone(),
                partition.topic.clone(),
                partition.partition.to_string(),
                partition.committed.map(|offset| offset.to_string()).unwrap_or_default(),
                partition.end.to_string(),
                partition.lag.to_string(),
                owner.unwrap_or_default(),
            ]);
        }
    }
    let none = match name {
        Some(name) => format!("group {name} has committed nothing and owns no partition"),
        None => "no group has committed anything or owns a partition".to_owned(),
    };
    out.table(&table, &none)
}

/// One partition's reset.
struct Move {
    partition: u32,
    from: Option<Offset>,
    to: Offset,
}

async fn reset(client: &mut Client, options: &Reset, out: &mut Output) -> Result<(), Failure> {
    let overview = client.overview().await?;
    let topic = topics::find(&overview, &options.topic)?;
    // A group may be reset before it ever read, and so come to be: only the broker knows whether.
    let group = overview.groups.iter().find(|group| group.name == options.name);
    if group.is_none() && options.dry_run {
        find(&overview, &options.name)?;
    }
    let position = options.to.position(overview.now);
    if !options.dry_run {
        let op = Op::ResetOffsets {
            group: options.name.as_str().into(),
            topic: options.topic.as_str().into(),
            partition: options.partition,
            to: position,
        };
        if let Err(error) = client.done(op).await {
            return Err(names::explain(client, error, &options.name).await);
        }
    }
    let partitions: Vec<u32> = match options.partition {
        Some(partition) => vec![partition],
        None => (0..topic.partitions.len() as u32).collect(),
    };
    let mut moves = Vec::new();
    for partition in partitions {
        let committed = group.and_then(|group| {
            group
                .partitions
                .iter()
                .find(|p| p.topic == options.topic && p.partition == partition)
                .and_then(|p| p.committed)
        });
        let to = place(client, topic, partition, position).await?;
        moves.push(Move { partition, from: committed, to });
    }
    show(options, &moves, out)
}

/// The offset that a position is in a partition.
async fn place(
    client: &mut Client,
    topic: &TopicView,
    partition: u32,
    position: Position,
) -> Result<Offset, Failure> {
    let op =
        Op::Read { topic: topic.name.as_str().into(), partition, from: position, records_max: 1 };
    let answer = client.request(op).await?;
    let event = answer.event()?;
    let Event::ReadDone { end, batch, .. } = event else {
        return Err(ClientError::unexpected("ReadDone", &event).into());
    };
    Ok(batch.map_or(end, |batch| batch.base))
}

fn show(options: &Reset, moves: &[Move], out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        let moves: Vec<_> = moves
            .iter()
            .map(|m| json!({ "partition": m.partition, "from": m.from, "to": m.to }))
            .collect();
        return out.document(&json!({
            "group": options.name,
            "topic": options.topic,
            "dryRun": options.dry_run,
            "partitions": moves,
        }));
    }
    let mut table = Table::new(&["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET"]);
    for Move { partition, from, to } in moves {
        table.row([
            options.name.clone(),
            options.topic.clone(),
            partition.to_string(),
            from.map(|offset| offset.to_string()).unwrap_or_default(),
            to.to_string(),
        ]);
    }
    out.table(&table, "the topic has no partitions")?;
    if options.dry_run {
        out.line("nothing was changed: this was a dry run")?;
    }
    Ok(())
}
