//! `fanlight groups`.

mod members;
mod reset;

use clap::Subcommand;
use serde_json::json;

use fanlight_core::{Assignor, GroupState, GroupView, Op, Overview};
use fanlight_server::client::Client;

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::output::{self, Output, Table, counted};
use super::{look, names};

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
    #[command(after_help = "Examples:\n  \
                            fanlight groups describe billing\n  \
                            fanlight groups describe billing --members")]
    Describe {
        /// Which group; all of them if it is left out
        name: Option<String>,
        /// Show its members instead, and what each of them reads
        #[arg(long)]
        members: bool,
    },
    /// Move a group's committed offsets; the group must have no members
    #[command(after_help = "Examples:\n  \
                            fanlight groups reset billing --topic orders --to earliest\n  \
                            fanlight groups reset billing --topic orders --to 15m --dry-run\n  \
                            fanlight groups reset billing --topic orders --shift -100 --dry-run\n  \
                            fanlight groups reset billing --all-topics --to 2026-07-01T10:00:00Z")]
    Reset(reset::Options),
    /// Put members out of a group; what they read goes to the others
    #[command(after_help = "Examples:\n  \
                            fanlight groups remove-members billing member-12\n  \
                            fanlight groups remove-members billing --all")]
    RemoveMembers(members::Remove),
    /// Forget what a group has committed on a topic that none of its members reads
    #[command(after_help = "Example:\n  fanlight groups forget billing --topic orders --yes")]
    Forget {
        /// Which group
        name: String,
        /// Which topic
        #[arg(long, short)]
        topic: String,
        /// Which partition; all of them if it is left out
        #[arg(long, short, value_name = "P")]
        partition: Option<u32>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete a group and its offsets; it must have no members
    #[command(after_help = "Example:\n  fanlight groups delete billing")]
    Delete {
        /// Which group
        name: String,
    },
}

/// Runs `fanlight groups`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("groups").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Describe { name, members } => {
            let groups = match &name {
                Some(name) => vec![look::group(&mut client, name).await?],
                None => client.overview().await?.groups,
            };
            if members && !out.is_json() {
                members::show(&groups, out)?;
            } else {
                describe(&groups, name.as_deref(), client.opened_at(), out)?;
            }
        }
        Action::Reset(options) => reset::run(&mut client, &options, out).await?,
        Action::RemoveMembers(options) => members::remove(&mut client, &options, out).await?,
        Action::Forget { name, topic, partition, confirm } => {
            let which = match partition {
                Some(partition) => format!("partition {partition} of {topic}"),
                None => topic.clone(),
            };
            confirm.ask(&format!("group {name} will forget how far it is in {which}"))?;
            forget(&mut client, &name, &topic, partition, out).await?;
        }
        Action::Delete { name } => {
            match client.done(Op::DeleteGroup { group: name.as_str().into() }).await {
                Ok(()) => out.done(&format!("group {name} is deleted"))?,
                Err(error) => return Err(members::explain(&mut client, error, &name).await),
            }
        }
    }
    client.close().await;
    Ok(())
}

/// What a group is doing, in Kafka's words.
fn state(group: &GroupView) -> &'static str {
    match group.state {
        GroupState::Empty => "Empty",
        GroupState::Stable => "Stable",
        GroupState::Reconciling => "Reconciling",
        GroupState::PreparingRebalance => "PreparingRebalance",
        GroupState::CompletingRebalance => "CompletingRebalance",
    }
}

/// Who shares out a group's partitions, and how.
fn assignor(group: &GroupView) -> String {
    if let Some(classic) = &group.classic {
        return format!("{} by its members", classic.protocol.as_deref().unwrap_or("not yet"));
    }
    match group.assignor {
        Assignor::Range => "range",
        Assignor::RoundRobin => "roundrobin",
        Assignor::Sticky => "sticky",
        Assignor::CooperativeSticky => "cooperative-sticky",
    }
    .to_owned()
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.groups);
    }
    let mut table =
        Table::new(&["GROUP", "STATE", "MEMBERS", "GENERATION", "ASSIGNOR", "PARTITIONS", "LAG"]);
    for group in &overview.groups {
        table.row([
            group.name.clone(),
            state(group).to_owned(),
            group.members.len().to_string(),
            group.generation.to_string(),
            assignor(group),
            group.partitions.len().to_string(),
            group.partitions.iter().map(|partition| partition.lag).sum::<u64>().to_string(),
        ]);
    }
    out.table(&table, "there are no groups; `fanlight consume TOPIC --group NAME` makes one")
}

fn describe(
    groups: &[GroupView],
    name: Option<&str>,
    now: fanlight_core::Time,
    out: &mut Output,
) -> Result<(), Failure> {
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
        "BEHIND",
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
                partition.oldest_at.map(|at| output::age(now, at)).unwrap_or_default(),
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

async fn forget(
    client: &mut Client,
    name: &str,
    topic: &str,
    partition: Option<u32>,
    out: &mut Output,
) -> Result<(), Failure> {
    let op = Op::DeleteOffsets { group: name.into(), topic: topic.into(), partition };
    match client.count(op).await {
        Ok(count) if out.is_json() => {
            out.json_line(&json!({ "group": name, "topic": topic, "forgotten": count }))
        }
        Ok(count) => out.line(format!(
            "group {name} has forgotten {} of {topic}",
            counted(count, "committed offset")
        )),
        Err(error) => Err(names::explain_either(client, error, &[name, topic]).await),
    }
}
