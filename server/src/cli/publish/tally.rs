//! What was published: how much, how fast, and where it came to lie.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use indicatif::HumanBytes;
use serde_json::json;

use fanlight_core::{Append, Overview, Place, TopicId};

use super::Goal;
use super::lines::Spot;
use super::pipeline::Part;
use crate::cli::failure::Failure;
use crate::cli::names::Kind;
use crate::cli::output::{Output, Table, counted};

/// What was published.
pub(crate) struct Tally {
    started: Instant,
    messages: u64,
    bytes: u64,
    places: BTreeMap<Place, u64>,
    topics: BTreeMap<TopicId, (String, u32)>,
    queues: BTreeMap<fanlight_core::QueueId, String>,
    /// Lines passed over because they were not right.
    pub(crate) skipped: u64,
    /// Batches sent again because something was full.
    pub(crate) retries: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(overview: &Overview) -> Tally {
        let topics = overview.topics.iter();
        let queues = overview.queues.iter();
        Tally {
            started: Instant::now(),
            messages: 0,
            bytes: 0,
            places: BTreeMap::new(),
            topics: topics.map(|t| (t.id, (t.name.clone(), t.partitions.len() as u32))).collect(),
            queues: queues.map(|queue| (queue.id, queue.name.clone())).collect(),
            skipped: 0,
            retries: 0,
        }
    }

    /// A batch is where `appends` says.
    pub(crate) fn confirm(&mut self, part: &Part, appends: &[Append]) {
        let count = part.len() as u64;
        self.messages += count;
        self.bytes += part.body_bytes();
        let mut split = BTreeSet::new();
        for append in appends {
            let topic = match append.place {
                Place::Queue(_) => None,
                Place::Partition(topic, _) => Some(topic),
            };
            let of_topic = |append: &&Append| match append.place {
                Place::Queue(_) => false,
                Place::Partition(other, _) => Some(other) == topic,
            };
            match topic {
                Some(topic) if appends.iter().filter(of_topic).count() > 1 => {
                    split.insert(topic);
                }
                Some(_) | None => *self.places.entry(append.place).or_default() += count,
            }
        }
        for topic in split {
            let partitions = self.topics.get(&topic).map_or(1, |(_, partitions)| *partitions);
            for record in part.records().iter() {
                let key = record.key.unwrap_or_default();
                let partition = fanlight_core::partition_of(key, partitions);
                *self.places.entry(Place::Partition(topic, partition)).or_default() += 1;
            }
        }
    }

    /// A failure, with what was published before it and what is not known.
    pub(crate) fn blame(
        &self,
        failure: Failure,
        unanswered: u64,
        unpublished: Option<Spot>,
    ) -> Failure {
        let mut rest = match (self.messages, &unpublished) {
            (0, _) => "Nothing was published".to_owned(),
            (1, None) => "The 1 message before it is published and confirmed".to_owned(),
            (n, None) => {
                format!("The {} before it are published and confirmed", counted(n, "message"))
            }
            // With several batches on the way, some may have come in behind the one that did not.
            (1, Some(_)) => "1 message is published and confirmed".to_owned(),
            (n, Some(_)) => format!("{} are published and confirmed", counted(n, "message")),
        };
        if unanswered > 0 {
            let sent = counted(unanswered, "message");
            rest += &format!("; {sent} more were sent without an answer, and may be published too");
        }
        match failure {
            Failure::Failed(sentence) => Failure::Failed(format!("{sentence}. {rest}")),
            Failure::Interrupted(sentence) => {
                let next = unpublished.map(|spot| format!("; the next is {spot}"));
                let messages = counted(self.messages, "message");
                Failure::Interrupted(format!(
                    "{sentence}: {messages} published and confirmed{}",
                    next.unwrap_or_default()
                ))
            }
            failure @ (Failure::Usage(_) | Failure::OutputClosed | Failure::Told) => failure,
        }
    }

    /// The summary.
    pub(crate) fn print(&self, goal: &Goal, out: &mut Output) -> Result<(), Failure> {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-6);
        let (rate, mb) = (self.messages as f64 / seconds, self.bytes as f64 / seconds / 1e6);
        if out.is_json() {
            return out.json_line(&json!({
                "messages": self.messages,
                "bytes": self.bytes,
                "seconds": seconds,
                "messagesPerSecond": rate,
                "skipped": self.skipped,
                "retries": self.retries,
                "to": self.places.iter().map(|(place, count)| match place {
                    Place::Queue(_) => json!({ "queue": self.name(*place), "messages": count }),
                    Place::Partition(_, partition) => json!({
                        "topic": self.name(*place), "partition": partition, "messages": count,
                    }),
                }).collect::<Vec<_>>(),
            }));
        }
        if self.messages == 0 {
            return out.line(match self.skipped {
                0 => "nothing was published".to_owned(),
                skipped => {
                    format!("nothing was published: {} skipped", counted(skipped, "invalid line"))
                }
            });
        }
        out.line(format!(
            "{} ({}) published to {goal} in {seconds:.2} s: {} messages/s, {mb:.1} MB/s",
            counted(self.messages, "message"),
            HumanBytes(self.bytes),
            indicatif::HumanCount(rate as u64),
        ))?;
        if self.skipped > 0 {
            out.line(format!("{} skipped", counted(self.skipped, "invalid line")))?;
        }
        if self.retries > 0 {
            let again = counted(self.retries, "batch").replace("batchs", "batches");
            out.line(format!("{again} sent again after a refusal"))?;
        }
        match goal.kind {
            Kind::Queue | Kind::Group | Kind::WorkGroup => Ok(()),
            Kind::Topic | Kind::Exchange if self.places.is_empty() => Ok(()),
            Kind::Topic => {
                let mut table = Table::new(&["PARTITION", "MESSAGES"]);
                for (place, count) in &self.places {
                    if let Place::Partition(_, partition) = place {
                        table.row([partition.to_string(), count.to_string()]);
                    }
                }
                out.table(&table, "")
            }
            Kind::Exchange => {
                let mut table = Table::new(&["TO", "PARTITION", "MESSAGES"]);
                for (place, count) in &self.places {
                    let partition = match place {
                        Place::Queue(_) => String::new(),
                        Place::Partition(_, partition) => partition.to_string(),
                    };
                    table.row([self.name(*place), partition, count.to_string()]);
                }
                out.table(&table, "")
            }
        }
    }

    fn name(&self, place: Place) -> String {
        let name = match place {
            Place::Queue(queue) => self.queues.get(&queue),
            Place::Partition(topic, _) => self.topics.get(&topic).map(|(name, _)| name),
        };
        // What was made after publishing began has only its number.
        name.cloned().unwrap_or_else(|| place.to_string())
    }
}
