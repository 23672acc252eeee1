//! One consumer: takes what comes, acknowledges it, and counts how long each message took.

use std::sync::Arc;

use tokio::sync::watch;

use fanlight_core::{Budget, Event, LeaseId, Op, Position, Record, Span};
use fanlight_server::client::{Client, EventFrame};

use super::measure::Tally;
use super::run::{Run, Stamp};
use crate::cli::failure::Failure;
use crate::cli::output::counted;

/// How long a read waits for something to read.
const READ_WAIT: Span = Span::from_millis(500);

/// What a consumer takes its messages from.
pub(super) enum Source {
    /// A partition, so many records at a time at most.
    Partition { topic: String, partition: u32, max: u32 },
    /// A queue, with so many in hand at most; acknowledged one by one, or as they came.
    Queue { name: String, prefetch: u32, one_by_one: bool },
}

/// Consumes until it is told that everything has come.
pub(super) async fn consume(
    client: Client,
    source: Source,
    run: Arc<Run>,
    stopped: watch::Receiver<bool>,
) -> Result<Tally, Failure> {
    let mut consumer = Consumer { client, run, stopped, tally: Tally::new() };
    match source {
        Source::Partition { topic, partition, max } => {
            consumer.read(&topic, partition, max).await?;
        }
        Source::Queue { name, prefetch, one_by_one } => {
            consumer.work(name, prefetch, one_by_one).await?;
        }
    }
    Ok(consumer.tally)
}

struct Consumer {
    client: Client,
    run: Arc<Run>,
    stopped: watch::Receiver<bool>,
    tally: Tally,
}

impl Consumer {
    /// What comes next; None when everything has come.
    async fn next(&mut self) -> Result<Option<EventFrame>, Failure> {
        if let Some(frame) = self.client.next_arrived() {
            return Ok(Some(frame));
        }
        tokio::select! {
            biased;
            frame = self.client.next() => Ok(Some(frame?)),
            _ = self.stopped.wait_for(|stopped| *stopped) => Ok(None),
        }
    }

    async fn read(&mut self, topic: &str, partition: u32, max: u32) -> Result<(), Failure> {
        let budget =
            Budget { records_max: max, bytes_min: 1, wait: READ_WAIT, ..Budget::default() };
        let read = |from| Op::Read { topic: topic.into(), partition, from, budget };
        self.client.send(read(Position::Earliest)).await?;
        let mut from = Position::Earliest;
        while let Some(frame) = self.next().await? {
            let event = frame.event()?;
            if let Event::ReadDone { batch, .. } = event {
                // The next is on its way while this one is looked at.
                from = batch.as_ref().map_or(from, |batch| Position::At(batch.next));
                self.client.send(read(from)).await?;
                self.tally.requests += 1;
                if let Some(batch) = batch {
                    self.count(batch.records.iter())?;
                }
            } else if let Event::Refused { refusal, .. } = event {
                return Err(Failure::failed(refusal.to_string()));
            }
        }
        Ok(())
    }

    async fn work(
        &mut self,
        queue: String,
        prefetch: u32,
        one_by_one: bool,
    ) -> Result<(), Failure> {
        let consume = Op::Consume {
            queue: queue.into(),
            prefetch,
            visibility: None,
            auto_ack: false,
            exclusive: false,
        };
        self.client.send(consume).await?;
        let mut unanswered = 0u64;
        let mut leases: Vec<LeaseId> = Vec::new();
        loop {
            let frame = match unanswered {
                0 => match self.next().await? {
                    Some(frame) => frame,
                    None => return Ok(()),
                },
                _ => self.client.next().await?,
            };
            let event = frame.event()?;
            if let Event::Delivered { deliveries, .. } = event {
                leases.clear();
                leases.extend(deliveries.iter().map(|delivery| delivery.lease));
                self.count(deliveries.iter().map(|delivery| delivery.record.record()))?;
                let together = if one_by_one { 1 } else { leases.len() };
                for leases in leases.chunks(together.max(1)) {
                    self.client.queue(Op::Ack { leases: leases.into() }).await?;
                    unanswered += 1;
                }
            } else if let Event::Settled { stale, .. } = event {
                unanswered -= 1;
                self.tally.requests += 1;
                self.tally.last = self.run.now();
                if !stale.is_empty() {
                    return Err(Failure::failed(format!(
                        "{} ended before they were acknowledged; a smaller --outstanding helps",
                        counted(stale.len() as u64, "lease")
                    )));
                }
            } else if let Event::Refused { refusal, .. } = event {
                return Err(Failure::failed(refusal.to_string()));
            }
        }
    }

    fn count<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) -> Result<(), Failure> {
        let now = self.run.now();
        let mut count = 0;
        for record in records {
            let stamp = Stamp::read(record.body)
                .ok_or_else(|| Failure::failed("a message came that the run did not publish"))?;
            count += 1;
            self.tally.numbers = self.tally.numbers.wrapping_add(stamp.number);
            if stamp.due >= self.run.warm {
                self.tally.measured += 1;
                self.tally.latencies.record(now.saturating_sub(stamp.due));
            }
        }
        self.tally.all += count;
        self.tally.last = now;
        self.run.delivered(count);
        Ok(())
    }
}
