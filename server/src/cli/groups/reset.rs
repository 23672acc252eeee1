//! `fanlight groups reset`: where a group goes on, shown first or moved at once.

use serde_json::json;

use fanlight_core::{Event, GroupView, Offset, Op, Position};
use fanlight_server::client::{Client, ClientError};

use super::members;
use crate::cli::failure::Failure;
use crate::cli::look;
use crate::cli::output::{Output, Table};
use crate::cli::parse::{self, Place};

/// Which offsets to move, and where to.
#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("which").args(["topic", "all_topics"]).required(true),
    group = clap::ArgGroup::new("where").args(["to", "shift"]).required(true)
)]
pub(super) struct Options {
    /// Which group
    name: String,
    /// Which topic; can be given several times
    #[arg(long, short)]
    topic: Vec<String>,
    /// Every topic on which the group has committed something
    #[arg(long)]
    all_topics: bool,
    /// Which partition; all of them if it is left out
    #[arg(long, short, value_name = "P", conflicts_with = "all_topics")]
    partition: Option<u32>,
    /// Where to: earliest, latest, an offset, a time (2026-07-01T10:00:00Z) or how long ago (15m)
    #[arg(long, value_parser = parse::place, allow_hyphen_values = true, value_name = "POSITION")]
    to: Option<Place>,
    /// By how many records from what is committed: 100 forward, -100 back; no further than the
    /// partition reaches. Partitions in which nothing is committed stay as they are
    #[arg(long, alias = "shift-by", allow_hyphen_values = true, value_name = "N")]
    shift: Option<i64>,
    /// Only show what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// A partition's offset before and after.
struct Change {
    topic: String,
    partition: u32,
    from: Option<Offset>,
    to: Offset,
}

/// Moves offsets, or shows how they would be moved.
pub(super) async fn run(
    client: &mut Client,
    options: &Options,
    out: &mut Output,
) -> Result<(), Failure> {
    for topic in &options.topic {
        look::topic(client, topic).await?;
    }
    let group = look::group(client, &options.name).await?;
    let mut topics = options.topic.clone();
    if options.all_topics {
        topics = group.partitions.iter().map(|p| p.topic.clone()).collect();
        topics.dedup();
    }
    let mut changes = Vec::new();
    match (options.to, options.shift) {
        (_, Some(by)) => {
            let plan = shifted(client, options, &group, &topics, by).await?;
            // All of them are asked about before the first one moves.
            for dry_run in [true, options.dry_run] {
                changes.clear();
                for (topic, partition, to) in &plan {
                    let to = Position::At(*to);
                    let moved = ask(client, options, topic, Some(*partition), to, dry_run).await?;
                    changes.extend(moved);
                }
            }
        }
        (Some(place), None) => {
            let to = place.position(client.opened_at());
            let rehearsals =
                if topics.len() > 1 { &[true, options.dry_run][..] } else { &[options.dry_run] };
            for dry_run in rehearsals {
                changes.clear();
                for topic in &topics {
                    let moved =
                        ask(client, options, topic, options.partition, to, *dry_run).await?;
                    changes.extend(moved);
                }
            }
        }
        (None, None) => return Err(Failure::usage("say where to, with --to or --shift")),
    }
    show(options, &changes, out)
}

/// Where each partition goes by a shift: as far as it reaches.
async fn shifted(
    client: &mut Client,
    options: &Options,
    group: &GroupView,
    topics: &[String],
    by: i64,
) -> Result<Vec<(String, u32, Offset)>, Failure> {
    let mut plan = Vec::new();
    for name in topics {
        let topic = look::topic(client, name).await?;
        let parts = group.partitions.iter().filter(|p| p.topic == *name);
        let wanted = |p: u32| options.partition.is_none_or(|only| only == p);
        for part in parts.filter(|part| wanted(part.partition)) {
            let Some(log) = topic.partitions.get(part.partition as usize) else { continue };
            let Some(committed) = part.committed else { continue };
            let to = committed.0.saturating_add_signed(by).clamp(log.start.0, log.end.0);
            plan.push((name.clone(), part.partition, Offset(to)));
        }
    }
    if plan.is_empty() {
        return Err(Failure::failed(format!(
            "group {} has committed nothing there, so there is nothing to shift from; --to says a \
             place instead",
            options.name
        )));
    }
    Ok(plan)
}

async fn ask(
    client: &mut Client,
    options: &Options,
    topic: &str,
    partition: Option<u32>,
    to: Position,
    dry_run: bool,
) -> Result<Vec<Change>, Failure> {
    let op = Op::ResetOffsets {
        group: options.name.as_str().into(),
        topic: topic.into(),
        partition,
        to,
        dry_run,
    };
    let answer = match client.request(op).await {
        Ok(answer) => answer,
        Err(error) => return Err(members::explain(client, error, &options.name).await),
    };
    let event = answer.event()?;
    let Event::OffsetsReset { changes, .. } = &event else {
        return Err(ClientError::unexpected("OffsetsReset", &event).into());
    };
    let change = |m: &fanlight_core::OffsetChange<'_>| Change {
        topic: topic.to_owned(),
        partition: m.partition,
        from: m.from,
        to: m.to,
    };
    Ok(changes.iter().map(change).collect())
}

fn show(options: &Options, changes: &[Change], out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        let moves: Vec<_> = changes
            .iter()
            .map(|m| {
                json!({ "topic": m.topic, "partition": m.partition, "from": m.from, "to": m.to })
            })
            .collect();
        return out.document(&json!({
            "group": options.name,
            "dryRun": options.dry_run,
            "partitions": moves,
        }));
    }
    let mut table =
        Table::new(&["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET", "CHANGE"]);
    for Change { topic, partition, from, to } in changes {
        let change = from.map(|from| match i128::from(to.0) - i128::from(from.0) {
            0 => "0".to_owned(),
            change => format!("{change:+}"),
        });
        table.row([
            options.name.clone(),
            topic.clone(),
            partition.to_string(),
            from.map(|offset| offset.to_string()).unwrap_or_default(),
            to.to_string(),
            change.unwrap_or_default(),
        ]);
    }
    out.table(&table, "there are no partitions to move in")?;
    if options.dry_run {
        out.line("nothing was changed: this was a dry run")?;
    }
    Ok(())
}
