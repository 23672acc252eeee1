//! `fanlight messages`: looking at single messages, and at what happened to them.

use std::fmt;

use clap::{ArgGroup, Subcommand};
use serde_json::json;

use fanlight_core::{
    Budget, Event, Fetched, Happened, Inspect, JourneyStep, JourneyView, Offset, Op, Overview,
    Position, Record, Time, View,
};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::body::{self, Shown};
use super::consume::record::{Found, From};
use super::failure::Failure;
use super::names::{self, Kind};
use super::output::{self, Output, Table, note};
use super::parse::{self, Place};
use super::{look, queues, topics};

/// Records asked for at once.
const RECORDS_MAX: u64 = 500;

/// What to do with messages.
#[derive(clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
                  fanlight messages peek orders --last --max 5\n  \
                  fanlight messages journey jobs@3"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show messages of a queue or records of a topic; nothing is taken, and no group moves
    #[command(after_help = "Examples:\n  \
                            fanlight messages peek jobs\n  \
                            fanlight messages peek orders --partition 2 --from 1200 --max 5\n  \
                            fanlight messages peek orders --last --json")]
    Peek(Peek),
    /// Show one message with everything that is known of it
    #[command(after_help = "Examples:\n  \
                            fanlight messages show jobs@3       the message of queue jobs at offset 3\n  \
                            fanlight messages show orders/2@14  the record of topic orders, \
                            partition 2, at offset 14")]
    Show {
        /// Which: NAME@OFFSET of a queue, NAME/PARTITION@OFFSET of a topic or a work group
        message: Named,
    },
    /// Tell what happened to a message lately, also in the queues it came from and went to
    #[command(after_help = "Examples:\n  \
                            fanlight messages journey jobs@3\n  \
                            fanlight messages journey orders/2@14\n\n\
                            The broker remembers a bounded number of steps, and none from before \
                            its start.")]
    Journey {
        /// Which: NAME@OFFSET of a queue, NAME/PARTITION@OFFSET of a topic or a work group
        message: Named,
    },
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("kind").args(["topic", "queue"]))]
struct Peek {
    /// A topic, a queue or a part of a work group (NAME/PARTITION)
    name: String,
    /// NAME is a topic
    #[arg(long)]
    topic: bool,
    /// NAME is a queue
    #[arg(long)]
    queue: bool,
    /// Only this partition of a topic
    #[arg(long, short, value_name = "P")]
    partition: Option<u32>,
    /// The first to show: an offset; of a topic also a time, or how long ago (15m)
    #[arg(long, value_parser = parse::place, allow_hyphen_values = true, value_name = "POSITION")]
    from: Option<Place>,
    /// The newest of each partition of a topic
    #[arg(long, conflicts_with = "from")]
    last: bool,
    /// Show at most this many
    #[arg(long, short, default_value_t = 20, value_name = "N")]
    max: u64,
}

/// A message as it is named: where it lies, and its offset there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    place: String,
    offset: Offset,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        let parts = text.rsplit_once('@').filter(|(place, _)| !place.is_empty());
        parts
            .and_then(|(place, offset)| Some((place, offset.parse().ok()?)))
            .map(|(place, offset)| Named { place: place.to_owned(), offset: Offset(offset) })
            .ok_or_else(|| {
                "it should be QUEUE@OFFSET, as jobs@3, or TOPIC/PARTITION@OFFSET, as orders/2@14"
                    .to_owned()
            })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.place, self.offset)
    }
}

/// In what a message lies.
enum Lies<'n> {
    /// In a queue, or in a part of a work group.
    Queue(&'n str),
    /// In a partition.
    Partition(&'n str, u32),
}

impl Named {
    /// What its place is the name of.
    fn resolve(&self, overview: &Overview) -> Result<Lies<'_>, Failure> {
        let name = self.place.as_str();
        if overview.queues.iter().any(|queue| queue.name == name) {
            return Ok(Lies::Queue(name));
        }
        let part = name.rsplit_once('/').and_then(|(of, n)| Some((of, n.parse::<u32>().ok()?)));
        if let Some((of, number)) = part {
            if overview.topics.iter().any(|topic| topic.name == of) {
                return Ok(Lies::Partition(of, number));
            }
            if overview.work_groups.iter().any(|group| group.name == of) {
                return Ok(Lies::Queue(name));
            }
            return Err(Failure::failed(names::unknown(overview, of, &[Kind::Topic])));
        }
        match overview.topics.iter().find(|topic| topic.name == name) {
            Some(topic) if topic.partitions.len() == 1 => Ok(Lies::Partition(name, 0)),
            Some(topic) => Err(Failure::usage(format!(
                "topic {name} has {} partitions: say which, as {name}/0@{}",
                topic.partitions.len(),
                self.offset
            ))),
            None => {
                Err(Failure::failed(names::unknown(overview, name, &[Kind::Queue, Kind::Topic])))
            }
        }
    }
}

/// Runs `fanlight messages`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("messages").await?;
    let out = &mut session.out;
    let overview = client.overview().await?;
    match options.action {
        Action::Peek(peek) => peek.run(&mut client, &overview, out).await?,
        Action::Show { message } => match message.resolve(&overview)? {
            Lies::Queue(queue) => show_message(&mut client, queue, &message, out).await?,
            Lies::Partition(topic, partition) => {
                show_record(&mut client, (topic, partition), &message, out).await?;
            }
        },
        Action::Journey { message } => {
            let lies = message.resolve(&overview)?;
            journey(&mut client, &lies, &message, out).await?;
        }
    }
    client.close().await;
    Ok(())
}

impl Peek {
    async fn run(
        &self,
        client: &mut Client,
        overview: &Overview,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let is_part = || {
            let of = self.name.rsplit_once('/').map(|(of, _)| of);
            overview.work_groups.iter().any(|group| Some(group.name.as_str()) == of)
        };
        if let Some(group) = overview.work_groups.iter().find(|group| group.name == self.name)
            && !self.topic
        {
            return Err(Failure::usage(format!(
                "{} is a work group on topic {}: name a part, as {}/0, or peek into the topic",
                self.name, group.topic, self.name
            )));
        }
        let kind = match (self.topic, self.queue) {
            (true, _) => names::resolve(overview, &self.name, &[Kind::Topic])?,
            (_, true) => names::resolve(overview, &self.name, &[Kind::Queue])?,
            (false, false) if is_part() => Kind::Queue,
            (false, false) => names::resolve(overview, &self.name, &[Kind::Topic, Kind::Queue])?,
        };
        if kind == Kind::Topic {
            return self.records(client, overview, out).await;
        }
        let from = match self.from {
            None | Some(Place::Earliest) => Offset(0),
            Some(Place::At(offset)) => Offset(offset),
            Some(Place::Latest | Place::Since(_) | Place::Ago(_)) => {
                return Err(Failure::usage("of a queue, --from is an offset, as --from 1200"));
            }
        };
        if let Some((flag, _)) = [("--partition", self.partition.is_some()), ("--last", self.last)]
            .into_iter()
            .find(|(_, given)| *given)
        {
            return Err(Failure::usage(format!(
                "{flag} is for topics, and {} is a queue",
                self.name
            )));
        }
        queues::show_messages(client, &self.name, from, self.max, out).await
    }

    async fn records(
        &self,
        client: &mut Client,
        overview: &Overview,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let topic = topics::find(overview, &self.name)?;
        let now = overview.now;
        let mut table = Table::new(&["PARTITION", "OFFSET", "AGE", "KEY", "BODY"]);
        let mut left = self.max;
        for (partition, log) in topic.partitions.iter().enumerate() {
            let partition = partition as u32;
            if left == 0 || self.partition.is_some_and(|only| only != partition) {
                continue;
            }
            let mut from = match self.from {
                None if self.last => {
                    Position::At(Offset(log.end.0.saturating_sub(self.max).max(log.start.0)))
                }
                None => Position::Earliest,
                Some(Place::At(offset)) => {
                    Position::At(Offset(offset.clamp(log.start.0, log.end.0)))
                }
                Some(place) => place.position(now),
            };
            // Of the newest, as many of each partition as of the others.
            let mut here = if self.last { self.max } else { left };
            while here > 0 {
                let next = read(client, (&topic.name, partition), from, here, |found, at| {
                    here -= 1;
                    left = left.saturating_sub(u64::from(!self.last));
                    if out.is_json() {
                        return out.json_line(found);
                    }
                    table.row([
                        partition.to_string(),
                        found.offset.to_string(),
                        output::age(now, at),
                        found
                            .record
                            .key
                            .map(|k| output::clipped(&body::text(k), 24))
                            .unwrap_or_default(),
                        output::clipped(&Shown::of(found.record.body).plain(), 80),
                    ]);
                    Ok(())
                });
                match next.await? {
                    Some(next) => from = Position::At(next),
                    None => break,
                }
            }
        }
        if let (0, Some(partition)) = (
            topic.partitions.len().saturating_sub(self.partition.unwrap_or_default() as usize),
            self.partition,
        ) {
            return Err(Failure::failed(format!(
                "topic {} has no partition {partition}; it has 0 to {}",
                topic.name,
                topic.partitions.len().saturating_sub(1)
            )));
        }
        match out.is_json() {
            true => Ok(()),
            false => out.table(&table, &format!("{} has no records to show", self.name)),
        }
    }
}

/// Reads some records of a partition; gives where to read on, if there was anything.
async fn read(
    client: &mut Client,
    (topic, partition): (&str, u32),
    from: Position,
    max: u64,
    mut see: impl FnMut(&Found<'_>, Time) -> Result<(), Failure>,
) -> Result<Option<Offset>, Failure> {
    let budget = Budget::records(max.min(RECORDS_MAX) as u32);
    let answer =
        match client.request(Op::Read { topic: topic.into(), partition, from, budget }).await {
            Ok(answer) => answer,
            Err(error) => return Err(names::explain(client, error, topic).await),
        };
    let event = answer.event()?;
    let Event::ReadDone { batch, .. } = &event else {
        return Err(ClientError::unexpected("ReadDone", &event).into());
    };
    let Some(batch) = batch else { return Ok(None) };
    let room = usize::try_from(max).unwrap_or(usize::MAX);
    for (index, record) in (0..).zip(batch.records.iter().take(room)) {
        let at = record.timestamp.unwrap_or(batch.appended_at);
        see(&found(batch, index, record), at)?;
    }
    Ok(Some(batch.next))
}

fn found<'a>(batch: &'a Fetched<'a>, index: u32, record: Record<'a>) -> Found<'a> {
    Found {
        record,
        offset: batch.offset(index),
        from: From::Topic {
            topic: &batch.topic,
            partition: batch.partition,
            appended_at: batch.appended_at,
        },
    }
}

async fn show_message(
    client: &mut Client,
    queue: &str,
    message: &Named,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut seen = false;
    queues::peek(client, queue, message.offset, 1, |found| {
        if found.0.offset != message.offset {
            return Ok(());
        }
        seen = true;
        if out.is_json() { out.document(&found) } else { found.story(queue, out) }
    })
    .await?;
    if seen { Ok(()) } else { Err(gone(message)) }
}

async fn show_record(
    client: &mut Client,
    place: (&str, u32),
    message: &Named,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut seen = false;
    read(client, place, Position::At(message.offset), 1, |found, _| {
        if found.offset != message.offset {
            return Ok(());
        }
        seen = true;
        if out.is_json() {
            return out.document(found);
        }
        let record = &found.record;
        let From::Topic { appended_at, .. } = found.from else { return Ok(()) };
        let came = output::instant(appended_at);
        out.line(format!("{}/{}@{}  appended {came}", place.0, place.1, found.offset))?;
        if let Some(at) = record.timestamp {
            out.line(format!("  time    {}", output::instant(at)))?;
        }
        super::message::contents(record, out)
    })
    .await?;
    if seen { Ok(()) } else { Err(gone(message)) }
}

fn gone(message: &Named) -> Failure {
    Failure::failed(format!(
        "{} holds no message at offset {}; `fanlight messages journey {message}` tells what became \
         of it, if the broker still knows",
        message.place, message.offset
    ))
}

async fn journey(
    client: &mut Client,
    lies: &Lies<'_>,
    message: &Named,
    out: &mut Output,
) -> Result<(), Failure> {
    let (what, name) = match *lies {
        Lies::Queue(queue) => {
            (Inspect::Message { queue: queue.into(), offset: message.offset }, queue)
        }
        Lies::Partition(topic, partition) => {
            (Inspect::Record { topic: topic.into(), partition, offset: message.offset }, topic)
        }
    };
    let answer = look::view(client, what, name).await?;
    let View::Journey(journey) = look::shown(&answer)? else {
        return Err(look::unexpected(&answer, "with a journey"));
    };
    tell(&journey, message, out)
}

/// A step in a sentence, whose times are written as everywhere here.
fn sentence(step: &JourneyStep) -> String {
    let until = match &step.what {
        Happened::Leased { until, .. } | Happened::Extended { until } => Some(*until),
        Happened::Returned { ready_at, .. } => *ready_at,
        Happened::Published { .. }
        | Happened::Released { .. }
        | Happened::Due
        | Happened::Acked { .. }
        | Happened::Dropped { .. }
        | Happened::Purged
        | Happened::DeadLettered { .. }
        | Happened::Redriven { .. }
        | Happened::Polled { .. }
        | Happened::Committed { .. }
        | Happened::TransactionEnded { .. }
        | Happened::Trimmed
        | Happened::Compacted => None,
    };
    let sentence = step.to_string();
    match until {
        Some(until) => sentence.replace(&until.to_string(), &output::instant(until)),
        None => sentence,
    }
}

fn tell(journey: &JourneyView, message: &Named, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        let steps: Vec<_> = journey
            .steps
            .iter()
            .map(|step| {
                json!({
                    "at": output::instant(step.at),
                    "place": step.place,
                    "offset": step.offset,
                    "sentence": sentence(step),
                    "what": step.what,
                })
            })
            .collect();
        return out.document(&json!({
            "message": message.to_string(),
            "steps": steps,
            "forgotten": journey.forgotten,
        }));
    }
    let mut table = Table::new(&["AT", "MESSAGE", "WHAT"]);
    for step in &journey.steps {
        let place = format!("{}@{}", step.place, step.offset);
        let sentence = sentence(step);
        let what = sentence.strip_prefix(&place).unwrap_or(&sentence).trim_start().to_owned();
        table.row([output::instant(step.at), place, what]);
    }
    out.table(&table, &format!("nothing is known of {message}: it never was, or it is forgotten"))?;
    if journey.forgotten > 0 {
        note(format_args!(
            "the broker has forgotten {} of all messages: this one's first may be among them",
            output::counted(journey.forgotten, "step")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_place_and_offset() {
        let named: Named = "orders/2@14".parse().expect("a name");
        assert_eq!((named.place.as_str(), named.offset), ("orders/2", Offset(14)));
        let named: Named = "a@b@3".parse().expect("a name");
        assert_eq!(named.place, "a@b");
        for text in ["jobs", "jobs@", "@3", "jobs@x", ""] {
            let why = text.parse::<Named>().expect_err(text);
            assert!(why.contains("as jobs@3"), "{text}: {why}");
        }
    }
}
