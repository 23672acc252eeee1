//! Batches on their way: a bounded number of them without an answer, refused ones tried again.
//!
//! ```text
//! push ─► sent ─┬─ Published ─► counted
//!               ├─ Refused, may succeed later ─► refused: when nothing is on the way any more,
//!               │                                one by one in order, cut in halves, then waiting
//!               └─ Refused for good ─► the end, once all on the way are answered
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use fanlight_core::{Code, Event, Op, Overview, Records, Refusal, Tag};
use fanlight_server::client::{Client, ClientError, answered};

use super::Goal;
use super::lines::{Chunk, Spot};
use super::progress::Progress;
use super::tally::Tally;
use crate::cli::failure::Failure;
use crate::cli::names;

/// The first wait before something that was full is tried again; it doubles up to the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LONGEST: Duration = Duration::from_secs(1);

/// A batch and where its lines stand.
pub(crate) struct Part {
    records: Records<'static>,
    spots: Vec<Spot>,
    body_bytes: u64,
    read_bytes: u64,
}

impl Part {
    /// A chunk's batch, if it has one.
    pub(crate) fn of(chunk: Chunk) -> Option<Part> {
        let Chunk { batch, spots, body_bytes, read_bytes, skipped: _ } = chunk;
        batch.finish().map(|records| Part { records, spots, body_bytes, read_bytes })
    }

    /// How many records it has: at least one.
    pub(crate) fn len(&self) -> usize {
        self.spots.len()
    }

    /// Its records.
    pub(crate) fn records(&self) -> &Records<'static> {
        &self.records
    }

    /// Bytes of its bodies.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Two halves of it, if it has two.
    fn halves(&self) -> Option<[Part; 2]> {
        let middle = self.len() / 2;
        let cut = |from: usize, to: usize, read_bytes: u64| {
            let records = self.records.part(from as u32, (to - from) as u32)?.to_shared();
            let body_bytes = records.iter().map(|record| record.body.len() as u64).sum();
            Some(Part { records, spots: self.spots[from..to].to_vec(), body_bytes, read_bytes })
        };
        Some([cut(0, middle, 0)?, cut(middle, self.len(), self.read_bytes)?])
    }
}

/// Batches on their way through one connection.
pub(crate) struct Pipeline<'c> {
    client: &'c mut Client,
    goal: &'c Goal,
    progress: Progress,
    tally: Tally,
    sent: VecDeque<(Tag, Part)>,
    refused: VecDeque<(Part, Refusal<'static>)>,
    /// How many batches may be on the way.
    pub(crate) window: usize,
    /// How long something full is tried again.
    pub(crate) patience: Duration,
}

impl<'c> Pipeline<'c> {
    /// A pipeline to `goal`.
    pub(crate) fn new(
        client: &'c mut Client,
        goal: &'c Goal,
        overview: &Overview,
        progress: Progress,
    ) -> Pipeline<'c> {
        Pipeline {
            client,
            goal,
            progress,
            tally: Tally::new(overview),
            sent: VecDeque::new(),
            refused: VecDeque::new(),
            window: 1,
            patience: Duration::ZERO,
        }
    }

    /// Waits for something else, and takes answers meanwhile.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                value = &mut other => return Ok(value),
                answered = self.answer() => answered?,
            }
            self.settle_refused().await?;
        }
    }

    /// Counts what of the input gave no record.
    pub(crate) fn note_input(&mut self, chunk: &Chunk) {
        self.tally.skipped += chunk.skipped;
        if chunk.batch.is_empty() {
            self.progress.advance(0, chunk.read_bytes);
        }
    }

    /// Sends a batch, once there is room for it.
    pub(crate) async fn push(&mut self, part: Part) -> Result<(), Failure> {
        while self.sent.len() >= self.window {
            self.answer().await?;
            self.settle_refused().await?;
        }
        self.send(part).await
    }

    /// Waits until everything is answered.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure> {
        while !self.sent.is_empty() {
            self.answer().await?;
        }
        self.settle_refused().await
    }

    /// How many messages were sent without an answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.sent.iter().map(|(_, part)| part.len() as u64).sum()
    }

    /// Where the first message stands that was read and is not confirmed.
    pub(crate) fn first_unpublished(&self) -> Option<Spot> {
        let refused = self.refused.front().map(|(part, _)| part);
        refused.or(self.sent.front().map(|(_, part)| part)).map(|part| part.spots[0].clone())
    }

    /// What was published.
    pub(crate) fn finish(self) -> Tally {
        self.progress.finish();
        self.tally
    }

    async fn send(&mut self, part: Part) -> Result<(), Failure> {
        let records = part.records.clone();
        // It is on the way from here on, even if this future is dropped.
        self.sent.push_back((self.client.next_tag(), part));
        let op = Op::publish(self.goal.target(), true, records);
        self.client.send(op).await?;
        Ok(())
    }

    /// Takes one event; waits for ever if nothing is on the way.
    async fn answer(&mut self) -> Result<(), Failure> {
        let frame = self.client.next().await?;
        let event = frame.event()?;
        let Some(tag) = answered(&event) else { return Ok(()) };
        let Some(at) = self.sent.iter().position(|(sent, _)| *sent == tag) else {
            return Err(ClientError::unexpected("what was sent", &event).into());
        };
        let (_, part) = self.sent.remove(at).expect("it was found there");
        if let Event::Published { appends, .. } = event {
            self.tally.confirm(&part, &appends);
            self.progress.advance(part.len() as u64, part.read_bytes);
        } else if let Event::Refused { refusal, .. } = event {
            let message = refusal.message.into_owned().into();
            self.refused.push_back((part, Refusal { code: refusal.code, message }));
        }
        Ok(())
    }

    /// If batches were refused: lets all others be answered, then tries those again in order.
    async fn settle_refused(&mut self) -> Result<(), Failure> {
        if self.refused.is_empty() {
            return Ok(());
        }
        while !self.sent.is_empty() {
            self.answer().await?;
        }
        let in_order = self.refused.make_contiguous();
        in_order.sort_by_key(|(part, _)| part.spots[0].nth);
        let (mut since, mut backoff) = (Instant::now(), BACKOFF_FIRST);
        while let Some((part, refusal)) = self.refused.front() {
            let may_be_cut = refusal.code.is_transient() || refusal.code == Code::TooLarge;
            if may_be_cut && let Some([first, second]) = part.halves() {
                let refusal = refusal.clone();
                self.refused.pop_front();
                self.refused.push_front((second, refusal.clone()));
                self.refused.push_front((first, refusal));
            } else if !refusal.code.is_transient() {
                return Err(self.refuse(&refusal.clone()).await);
            } else if since.elapsed() >= self.patience {
                return Err(Failure::Failed(format!(
                    "{}: {refusal}; given up after {}, --retry-for waits longer",
                    part.spots[0],
                    humantime::format_duration(self.patience)
                )));
            } else {
                self.progress.waiting(&refusal.message);
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_LONGEST);
            }
            if self.retry_front().await? {
                (since, backoff) = (Instant::now(), BACKOFF_FIRST);
                self.progress.going_on();
            }
        }
        Ok(())
    }

    /// Sends the first refused batch again; whether it was taken.
    async fn retry_front(&mut self) -> Result<bool, Failure> {
        let Some((part, _)) = self.refused.pop_front() else { return Ok(false) };
        self.tally.retries += 1;
        let rest = std::mem::take(&mut self.refused);
        let sent = self.send(part).await;
        let answered = match sent {
            Ok(()) => self.answer().await,
            Err(failure) => Err(failure),
        };
        let taken = self.refused.is_empty() && self.sent.is_empty();
        self.refused.extend(rest);
        answered.map(|()| taken)
    }

    /// The sentence for a refusal that no waiting will change.
    async fn refuse(&mut self, refusal: &Refusal<'static>) -> Failure {
        let (part, _) = self.refused.front().expect("a refused batch is being told of");
        let spot = part.spots[0].clone();
        let error = ClientError::Refused(refusal.clone());
        let why = names::explain(self.client, error, &self.goal.name).await;
        Failure::Failed(format!("{spot}: {why}"))
    }
}
