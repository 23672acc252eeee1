//! `fanlight work-groups`: workers that share a topic's records one by one.

use clap::Subcommand;

use fanlight_core::{Code, Event, Inspect, Op, Overview, QueuePolicy, View, WorkGroupView};
use fanlight_server::client::Client;

use super::Session;
use super::confirm::Confirm;
use super::failure::Failure;
use super::names::{self, Kind};
use super::output::{self, Output, Table};
use super::parse::{self, Place};
use super::policy::{self, QueueArgs};

/// What to do with work groups.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Workers of a work group take a topic's records one by one, as from a queue, each \
                  leased and settled by itself (Kafka's share groups).\n\n\
                  Example:\n  \
                  fanlight work-groups create packers --topic orders --visibility 30s\n  \
                  fanlight consume packers"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all work groups (what `fanlight work-groups` alone does)
    #[command(after_help = "Example:\n  fanlight work-groups list --json")]
    List,
    /// Make a work group on a topic
    #[command(after_help = "Example:\n  \
                            fanlight work-groups create packers --topic orders --from latest \
                            --deliveries-max 5 --dead-letter orders.dead")]
    Create {
        /// Its name, which is consumed as a queue's is
        name: String,
        /// The topic to work on
        #[arg(long, short)]
        topic: String,
        /// Where to begin in each partition: earliest, latest, an offset, a time or how long ago
        #[arg(long, value_parser = parse::place, allow_hyphen_values = true,
              default_value = "earliest", value_name = "POSITION")]
        from: Place,
        #[command(flatten)]
        policy: Box<QueueArgs>,
    },
    /// Show a work group's policy, its parts (one a partition) and its consumers
    #[command(after_help = "Example:\n  fanlight work-groups describe packers")]
    Describe {
        /// Its name
        name: String,
    },
    /// Delete a work group; the topic's records stay
    #[command(after_help = "Example:\n  fanlight work-groups delete packers --yes")]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// Runs `fanlight work-groups`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("work-groups").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Create { name, topic, from, policy: args } => {
            let mut policy = QueuePolicy::default();
            args.apply(&mut policy)?;
            let op = Op::CreateWorkGroup {
                name: name.as_str().into(),
                topic: topic.as_str().into(),
                policy,
                from: from.position(client.opened_at()),
            };
            if let Err(error) = client.done(op).await {
                let named: Vec<&str> = args.names().chain([topic.as_str()]).collect();
                return Err(names::explain_either(&mut client, error, &named).await);
            }
            out.done(&format!("work group {name} works on topic {topic}"))?;
        }
        Action::Describe { name } => describe(&look(&mut client, &name).await?, out)?,
        Action::Delete { name, confirm } => {
            let group = look(&mut client, &name).await?;
            confirm.ask(&format!(
                "work group {name} will forget what of topic {} is done",
                group.topic
            ))?;
            client.done(Op::DeleteWorkGroup { name: name.as_str().into() }).await?;
            out.done(&format!("work group {name} is deleted"))?;
        }
    }
    client.close().await;
    Ok(())
}

async fn look(client: &mut Client, name: &str) -> Result<WorkGroupView, Failure> {
    let what = Inspect::WorkGroup(name.into());
    let answer = match client.request(Op::Inspect { what }).await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some(Code::UnknownQueue) => {
            let overview = client.overview().await?;
            return Err(Failure::failed(names::unknown(&overview, name, &[Kind::WorkGroup])));
        }
        Err(error) => return Err(error.into()),
    };
    if let Event::Inspected { view: View::WorkGroup(group), .. } = answer.event()? {
        return Ok(group);
    }
    Err(super::look::unexpected(&answer, "with a work group"))
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.work_groups);
    }
    let mut table = Table::new(&[
        "WORK-GROUP",
        "TOPIC",
        "PARTS",
        "READY",
        "LEASED",
        "DELAYED",
        "CONSUMERS",
        "OLDEST",
    ]);
    for group in &overview.work_groups {
        let sum = |of: fn(&fanlight_core::QueueView) -> u64| {
            group.parts.iter().map(of).sum::<u64>().to_string()
        };
        let oldest = group.parts.iter().filter_map(|part| part.oldest_at).min();
        table.row([
            group.name.clone(),
            group.topic.clone(),
            group.parts.len().to_string(),
            sum(|part| part.ready),
            sum(|part| part.leased),
            sum(|part| part.delayed),
            consumers(group).to_string(),
            oldest.map(|at| output::age(overview.now, at)).unwrap_or_default(),
        ]);
    }
    out.table(
        &table,
        "there are no work groups; `fanlight work-groups create NAME --topic TOPIC` makes one",
    )
}

/// How many consumers it has: each is a consumer of all of its parts.
fn consumers(group: &WorkGroupView) -> usize {
    let mut ids: Vec<_> =
        group.parts.iter().flat_map(|part| part.consumers.iter().map(|c| c.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

fn describe(group: &WorkGroupView, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(group);
    }
    out.line(format!("{:<18} {}", "work group", group.name))?;
    out.line(format!("{:<18} {}", "topic", group.topic))?;
    out.line(format!("{:<18} {}", "consumers", consumers(group)))?;
    if let Some(part) = group.parts.first() {
        for (what, value) in policy::queue_lines(&part.policy) {
            out.line(format!("{what:<18} {value}"))?;
        }
    }
    out.line("")?;
    let mut table = Table::new(&["PART", "READY", "LEASED", "DELAYED", "END-OFFSET", "ACKED"]);
    for part in &group.parts {
        table.row([
            part.name.clone(),
            part.ready.to_string(),
            part.leased.to_string(),
            part.delayed.to_string(),
            part.end.to_string(),
            part.acked.to_string(),
        ]);
    }
    out.table(&table, "it has no parts")
}
