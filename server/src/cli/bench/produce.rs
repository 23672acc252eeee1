//! One producer: publishes what is due, and counts how long each message waits for its confirm.

use std::collections::VecDeque;
use std::sync::Arc;

use fanlight_core::{Batch, Event, Op, Records, Tag, Target};
use fanlight_server::client::{Client, EventFrame};

use super::measure::Tally;
use super::options::{Extent, Plan};
use super::pace::{Pacer, Schedule};
use super::run::{Run, Stamp};
use super::stage::Stage;
use crate::cli::failure::Failure;

/// One producer's part of a run.
pub(super) struct Share {
    index: u64,
    producers: u64,
    in_flight: usize,
    targets: Vec<Target<'static>>,
    pace: Pace,
}

/// What decides when the next batch is published.
enum Pace {
    /// Its messages' times.
    Open { schedule: Schedule, total: u64, pacer: Pacer },
    /// The answers to those before; so many messages that count are left, or the time decides.
    Closed { left: Option<u64> },
}

impl Share {
    /// The share of producer number `index`.
    pub(super) fn new(
        plan: &Plan,
        stage: &Stage,
        index: usize,
        run: &Run,
    ) -> Result<Share, Failure> {
        let (index, producers) = (index as u64, plan.producers as u64);
        let left = match plan.extent {
            Extent::Messages(all) => Some(all / producers + u64::from(index < all % producers)),
            Extent::Time(_) => None,
        };
        let pace = match plan.rate {
            None => Pace::Closed { left },
            Some(rate) => {
                let schedule = Schedule::new(rate, index as usize, plan.producers);
                let total = match (left, run.end) {
                    (Some(left), _) => schedule.first_at(run.warm) + left,
                    (None, end) => schedule.first_at(end.unwrap_or_default()),
                };
                let pacer = Pacer::start(&schedule, plan.batch)
                    .map_err(|error| Failure::failed(format!("no thread can be had: {error}")))?;
                Pace::Open { schedule, total, pacer }
            }
        };
        // Producers begin with different partitions.
        let targets = (0..plan.consumers as u64).map(|n| owned(stage.target(n + index)));
        Ok(Share { index, producers, in_flight: plan.in_flight, targets: targets.collect(), pace })
    }
}

fn owned(target: Target<'_>) -> Target<'static> {
    match target {
        Target::Exchange { name, routing_key } => Target::Exchange {
            name: name.into_owned().into(),
            routing_key: routing_key.into_owned().into(),
        },
        Target::Queue { name } => Target::Queue { name: name.into_owned().into() },
        Target::Topic { name, partition } => {
            Target::Topic { name: name.into_owned().into(), partition }
        }
    }
}

/// What a producer does next.
enum Next {
    Publish {
        count: usize,
        at: u64,
    },
    /// Nothing is due.
    Idle,
    /// As much is on the way as may be.
    Answer,
    Done,
}

/// A batch that is on the way.
struct Sent {
    tag: Tag,
    /// The number of its first message.
    first: u64,
    count: usize,
    /// When it was sent.
    at: u64,
}

struct Producer {
    client: Client,
    share: Share,
    run: Arc<Run>,
    sent: VecDeque<Sent>,
    on_the_way: usize,
    /// The number of the next message.
    number: u64,
    batch: Template,
    tally: Tally,
}

/// A batch whose bodies are written over: what is measured is not the making of messages.
struct Template {
    bytes: Vec<u8>,
    size: usize,
    count: usize,
}

impl Template {
    fn new(size: usize, count: usize) -> Template {
        let mut batch = Batch::new();
        for _ in 0..count {
            batch.push_body(&vec![b'x'; size]);
        }
        let records = batch.finish().expect("a batch has at least one message");
        Template { bytes: records.as_bytes().to_vec(), size, count }
    }

    /// One message's body: the end of its record. All are of one length, behind where they end.
    fn body(&mut self, index: usize) -> &mut [u8] {
        let begin = 4 + 4 * self.count;
        let each = (self.bytes.len() - begin) / self.count;
        let end = begin + each * (index + 1);
        &mut self.bytes[end - self.size..end]
    }
}

/// Publishes until the run's end, and waits for the last answer.
pub(super) async fn produce(client: Client, share: Share, run: Arc<Run>) -> Result<Tally, Failure> {
    let batch = Template::new(run.size, run.batch);
    let (sent, tally) = (VecDeque::new(), Tally::new());
    let mut producer =
        Producer { client, share, run, sent, on_the_way: 0, number: 0, batch, tally };
    producer.work().await?;
    Ok(producer.tally)
}

impl Producer {
    async fn work(&mut self) -> Result<(), Failure> {
        loop {
            while let Some(frame) = self.client.next_arrived() {
                self.answer(&frame)?;
            }
            match self.next() {
                Next::Publish { count, at } => {
                    let room = (count as u64 * self.run.copies) as u32;
                    if self.run.reserve(room) {
                        self.publish(count, at).await?;
                    } else {
                        self.wait_for_room(room).await?;
                    }
                }
                Next::Done if self.sent.is_empty() => return Ok(()),
                Next::Done | Next::Answer => {
                    let frame = self.client.next().await?;
                    self.answer(&frame)?;
                }
                Next::Idle => {
                    let Pace::Open { pacer, .. } = &self.share.pace else {
                        unreachable!("without a schedule something is always due")
                    };
                    let frame = tokio::select! {
                        frame = self.client.next() => frame?,
                        () = pacer.tick() => continue,
                    };
                    self.answer(&frame)?;
                }
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.run.now();
        let batch = self.run.batch;
        let count = match &self.share.pace {
            Pace::Open { schedule, total, .. } => {
                let count = batch.min((total - self.number) as usize);
                if count > 0 && schedule.due(self.number + count as u64 - 1) > now {
                    return Next::Idle;
                }
                count
            }
            Pace::Closed { left } => match left {
                Some(left) if now >= self.run.warm => batch.min(*left as usize),
                _ if self.run.end.is_some_and(|end| now >= end) => 0,
                _ => batch,
            },
        };
        match count {
            0 => Next::Done,
            count if self.on_the_way + count > self.share.in_flight => Next::Answer,
            count => Next::Publish { count, at: now },
        }
    }

    async fn publish(&mut self, count: usize, at: u64) -> Result<(), Failure> {
        if let Pace::Closed { left: Some(left) } = &mut self.share.pace
            && at >= self.run.warm
        {
            *left -= count as u64;
        }
        let sent = Sent { tag: self.client.next_tag(), first: self.number, count, at };
        self.stamp(&sent);
        let records = Records::parse(&self.batch.bytes).expect("only bodies were changed");
        let turn = (self.number / self.run.batch as u64) as usize % self.share.targets.len();
        let to = self.share.targets[turn].clone();
        self.client.queue(Op::publish(to, true, records)).await?;
        self.number += count as u64;
        self.on_the_way += count;
        self.sent.push_back(sent);
        Ok(())
    }

    /// Says in each message of the batch which one it is, and when it was due.
    fn stamp(&mut self, sent: &Sent) {
        if self.batch.count != sent.count {
            self.batch = Template::new(self.run.size, sent.count);
        }
        for index in 0..sent.count {
            let number = sent.first + index as u64;
            let unique = number * self.share.producers + self.share.index;
            let due = self.due(sent, number);
            Stamp { due, number: unique }.write(self.batch.body(index));
            self.tally.numbers = self.tally.numbers.wrapping_add(unique);
        }
    }

    fn due(&self, sent: &Sent, number: u64) -> u64 {
        match &self.share.pace {
            Pace::Open { schedule, .. } => schedule.due(number),
            Pace::Closed { .. } => sent.at,
        }
    }

    /// Waits until consumers have caught up, or for an answer.
    async fn wait_for_room(&mut self, room: u32) -> Result<(), Failure> {
        let frame = tokio::select! {
            frame = self.client.next() => frame?,
            permit = self.run.backlog.acquire_many(room) => {
                drop(permit.expect("nobody closes the semaphore"));
                return Ok(());
            }
        };
        self.answer(&frame)
    }

    fn answer(&mut self, frame: &EventFrame) -> Result<(), Failure> {
        let event = frame.event()?;
        if let Event::Refused { refusal, .. } = event {
            return Err(Failure::failed(refusal.to_string()));
        }
        let Event::Published { tag, .. } = event else { return Ok(()) };
        // One connection's requests are answered in their order.
        let sent = self.sent.pop_front().filter(|sent| sent.tag == tag);
        let sent = sent.ok_or_else(|| Failure::failed("confirms come out of order"))?;
        let now = self.run.now();
        for number in sent.first..sent.first + sent.count as u64 {
            let due = self.due(&sent, number);
            if due >= self.run.warm {
                self.tally.measured += 1;
                self.tally.latencies.record(now.saturating_sub(due));
            }
        }
        self.tally.all += sent.count as u64;
        self.tally.requests += 1;
        self.tally.last = now;
        self.on_the_way -= sent.count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_a_template_are_written_over_one_by_one() {
        let mut template = Template::new(20, 3);
        for index in 0..3 {
            Stamp { due: 7, number: index as u64 }.write(template.body(index));
        }
        let records = Records::parse(&template.bytes).expect("a batch");
        let stamps: Vec<_> = records.iter().map(|record| Stamp::read(record.body)).collect();
        let expected = [0, 1, 2].map(|number| Some(Stamp { due: 7, number }));
        assert_eq!(stamps, expected);
        assert!(records.iter().all(|record| record.body.ends_with(b"xxxx")));
    }
}
