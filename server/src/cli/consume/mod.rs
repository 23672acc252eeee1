//! `fanlight consume`: messages out.

mod queue;
pub(super) mod record;
mod topic;

use clap::{ArgGroup, ValueEnum};

use fanlight_core::{Op, Overview, QueuePolicy, Span};
use fanlight_server::client::Client;

use self::record::Printer;
use super::Session;
use super::failure::Failure;
use super::names::{self, Kind};
use super::parse::{self, Place};

/// What to consume, and how.
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("settle").args(["nack", "reject", "no_ack", "peek", "ack"]),
    group = ArgGroup::new("kind").args(["topic", "queue"]),
    after_help = "Ends when it has printed everything there is, unless --follow is given. A topic \
                  is read with a group, which remembers where it was, or without one; a queue's \
                  messages are acknowledged after they are printed, and then gone.\n\n\
                  Examples:\n  \
                  fanlight consume orders --group billing\n  \
                  fanlight consume orders --from latest --follow --format json\n  \
                  fanlight consume orders --work-group packers\n  \
                  fanlight consume payments --max 1 --nack"
)]
pub(crate) struct Options {
    /// A topic or a queue; which of them is looked up
    target: String,
    /// TARGET is a topic
    #[arg(long)]
    topic: bool,
    /// TARGET is a queue
    #[arg(long)]
    queue: bool,
    /// Read a topic as a member of this consumer group, and commit what is printed
    #[arg(long, short, value_name = "NAME")]
    group: Option<String>,
    /// Take a topic's records one by one, as from a queue, in this work group, which is made if
    /// there is none
    #[arg(long, value_name = "NAME", conflicts_with_all = ["group", "kind", "partition", "peek"])]
    work_group: Option<String>,
    /// Where to begin in a topic: earliest, latest, an offset, a time or how long ago (15m); with
    /// a group, earliest or latest, for partitions in which it has committed nothing; with a work
    /// group, where it begins if it is made
    #[arg(long, value_parser = parse::place, allow_hyphen_values = true, value_name = "POSITION")]
    from: Option<Place>,
    /// Read only this partition of a topic
    #[arg(long, short, value_name = "P", conflicts_with = "group")]
    partition: Option<u32>,
    /// End after this many messages
    #[arg(long, short, value_name = "N")]
    max: Option<u64>,
    /// Wait for more at the end; ctrl-C ends it
    #[arg(long, short)]
    follow: bool,
    /// Acknowledge a queue's messages after they are printed (the default)
    #[arg(long)]
    ack: bool,
    /// Give a queue's messages back as failed attempts
    #[arg(long)]
    nack: bool,
    /// Refuse a queue's messages for good: they go to its dead-letter queue
    #[arg(long)]
    reject: bool,
    /// Settle nothing: a queue's messages are held until the end, then returned as failed attempts
    #[arg(long)]
    no_ack: bool,
    /// Show a queue's messages without taking them
    #[arg(long, conflicts_with = "follow")]
    peek: bool,
    /// How long until a message given back is ready again
    #[arg(long, value_parser = parse::span, requires = "nack", value_name = "DURATION")]
    delay: Option<Span>,
    /// How many of a queue's messages are held at once
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=65_535))]
    prefetch: u32,
    /// How messages are printed
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The body alone, a line each (the default): what `fanlight publish` reads
    Body,
    /// A JSON object each, with offset, key, headers and body
    Json,
    /// Columns for people
    Table,
}

/// What becomes of a queue's messages after they were printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settle {
    Ack,
    Nack,
    Reject,
    Hold,
}

/// Makes the work group if there is none; says what it is consumed as.
async fn join(
    client: &mut Client,
    overview: &Overview,
    options: &Options,
    group: &str,
) -> Result<(), Failure> {
    let topic = options.target.as_str();
    names::resolve(overview, topic, &[Kind::Topic])?;
    match overview.work_groups.iter().find(|found| found.name == group) {
        Some(found) if found.topic == topic => Ok(()),
        Some(found) => Err(Failure::usage(format!(
            "work group {group} works on topic {}, not on {topic}",
            found.topic
        ))),
        None => {
            let from = options.from.unwrap_or(Place::Earliest).position(overview.now);
            let policy = QueuePolicy::default();
            let (name, topic) = (group.into(), topic.into());
            Ok(client.done(Op::CreateWorkGroup { name, topic, policy, from }).await?)
        }
    }
}

/// Runs `fanlight consume`.
pub(crate) async fn run(mut options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("consume").await?;
    let mut overview = client.overview().await?;
    if let Some(group) = options.work_group.take() {
        join(&mut client, &overview, &options, &group).await?;
        (options.target, options.queue, options.from) = (group, true, None);
        overview = client.overview().await?;
    }
    let name = options.target.as_str();
    let kinds: &[Kind] = match (options.topic || options.group.is_some(), options.queue) {
        (true, _) => &[Kind::Topic],
        (_, true) => &[Kind::Queue, Kind::WorkGroup],
        (false, false) => &[Kind::Topic, Kind::Queue, Kind::WorkGroup],
    };
    let kind = names::resolve(&overview, name, kinds)?;
    options.check(kind)?;
    let format = match options.format {
        Some(format) => format,
        None if session.out.is_json() => Format::Json,
        None => Format::Body,
    };
    let mut printer = Printer::new(&mut session.out, format);
    match (kind, &options.group) {
        (Kind::Queue | Kind::WorkGroup, _) if options.peek => {
            queue::peek(&mut client, &options, &mut printer).await?;
        }
        (Kind::Queue | Kind::WorkGroup, _) => {
            queue::consume(&mut client, &options, &mut printer).await?
        }
        (_, Some(group)) => topic::poll(&mut client, &options, group, &mut printer).await?,
        (_, None) => topic::read(&mut client, &options, &overview, &mut printer).await?,
    }
    client.close().await;
    Ok(())
}

impl Options {
    /// Refuses what makes no sense for a topic, or for a queue.
    fn check(&self, kind: Kind) -> Result<(), Failure> {
        let of_queues = [
            (self.ack, "--ack"),
            (self.nack, "--nack"),
            (self.reject, "--reject"),
            (self.no_ack, "--no-ack"),
            (self.peek, "--peek"),
        ];
        let of_topics = [
            (self.from.is_some() && !self.peek, "--from"),
            (self.partition.is_some(), "--partition"),
        ];
        let (flags, other) = match kind {
            Kind::Queue | Kind::WorkGroup => (&of_topics[..], "topics"),
            Kind::Topic | Kind::Exchange | Kind::Group => (&of_queues[..], "queues"),
        };
        match flags.iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(Failure::usage(format!(
                "{flag} is for {other}, and {} is a {}",
                self.target,
                kind.noun()
            ))),
            None => Ok(()),
        }
    }

    fn settle(&self) -> Settle {
        match (self.nack, self.reject, self.no_ack) {
            (true, ..) => Settle::Nack,
            (_, true, _) => Settle::Reject,
            (.., true) => Settle::Hold,
            (false, false, false) => Settle::Ack,
        }
    }
}
