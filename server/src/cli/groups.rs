//! `fanlight groups`.

use clap::Subcommand;
use serde_json::json;

use fanlight_core::{Event, GroupView, OffsetChange, Op, Overview};
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
                Some(member) => match member.conn {
                    Some(conn) => format!("{id} ({conn} {})", member.client),
                    None => format!("{id} (away: {})", member.client),
                },
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

async fn reset(client: &mut Client, options: &Reset, out: &mut Output) -> Result<(), Failure> {
    let overview = client.overview().await?;
    topics::find(&overview, &options.topic)?;
    let op = Op::ResetOffsets {
        group: options.name.as_str().into(),
        topic: options.topic.as_str().into(),
        partition: options.partition,
        to: options.to.position(overview.now),
        dry_run: options.dry_run,
    };
    let answer = match client.request(op).await {
        Ok(answer) => answer,
        Err(error) => return Err(names::explain(client, error, &options.name).await),
    };
    let event = answer.event()?;
    let Event::OffsetsReset { changes, .. } = &event else {
        return Err(ClientError::unexpected("OffsetsReset", &event).into());
    };
    show(options, changes, out)
}

fn show(options: &Reset, changes: &[OffsetChange<'_>], out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        let moves: Vec<_> = changes
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
    for OffsetChange { partition, from, to, .. } in changes {
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
