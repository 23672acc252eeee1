//! What there is in a namespace, asked of its shard a piece at a time.

use fanlight_core::{Broker, Counts, Listed, Measures, Time};
use tokio::sync::{mpsc, oneshot};

use crate::serve::shard::Message;

/// Rows that the shard gives at once: what others wait for a scrape is the time that these take.
const PIECE_ROWS: usize = 256;

/// What of each kind a row takes of the page, in samples; see `render`.
const KINDS: [(Listed, usize); 4] =
    [(Listed::WorkGroups, 11), (Listed::Groups, 2), (Listed::Topics, 3), (Listed::Queues, 14)];

/// What a namespace holds at the moment of a scrape, as far as there is a place for it on the page.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The broker's time.
    pub(super) now: Time,
    /// Bytes of all records held.
    pub(super) stored_bytes: u64,
    /// How many there are of each kind.
    pub(super) counts: Counts,
    /// Of those that have a place.
    pub(super) measures: Measures,
}

impl State {
    /// Asks a shard; None if it is gone. At most about so many samples: one kind does not take the
    /// place of another that comes after it, and what it leaves is theirs.
    pub(crate) async fn ask(shard: &mpsc::Sender<Message>, samples_max: usize) -> Option<State> {
        let mut state = State::default();
        let mut left = samples_max;
        // What is not a row, also where there is no place for any.
        state.piece(shard, Listed::Queues, String::new(), 0).await?;
        for (index, (kind, cost)) in KINDS.into_iter().enumerate() {
            let rows_max = left / (KINDS.len() - index) / cost;
            let mut rows = 0;
            let mut after = Some(String::new());
            while let Some(name) = after.take()
                && rows < rows_max
            {
                let piece = PIECE_ROWS.min(rows_max - rows);
                after = state.piece(shard, kind, name, piece).await?;
                rows = state.rows(kind);
            }
            left = left.saturating_sub(rows * cost);
        }
        Some(state)
    }

    /// Asks for a piece; the name to go on after, if there is more.
    async fn piece(
        &mut self,
        shard: &mpsc::Sender<Message>,
        kind: Listed,
        after: String,
        rows_max: usize,
    ) -> Option<Option<String>> {
        let (reply, answer) = oneshot::channel();
        let look = move |broker: &Broker, now: Time| {
            let mut measures = Measures::default();
            let next = broker.measure(kind, &after, rows_max, &mut measures);
            // Whoever asked may have stopped waiting.
            let _ = reply.send((now, broker.stored_bytes(), broker.counts(), measures, next));
        };
        shard.send(Message::Look(Box::new(look))).await.ok()?;
        let (now, stored_bytes, counts, measures, next) = answer.await.ok()?;
        (self.now, self.stored_bytes, self.counts) = (now, stored_bytes, counts);
        self.measures.queues.extend(measures.queues);
        self.measures.parts.extend(measures.parts);
        self.measures.partitions.extend(measures.partitions);
        self.measures.groups.extend(measures.groups);
        Some(next)
    }

    /// How many rows of a kind there are.
    fn rows(&self, kind: Listed) -> usize {
        let Measures { queues, parts, partitions, groups } = &self.measures;
        match kind {
            Listed::Queues => queues.len(),
            Listed::WorkGroups => parts.len(),
            Listed::Topics => partitions.len(),
            Listed::Groups => groups.iter().map(|group| 1 + group.lags.len()).sum(),
            Listed::Exchanges | Listed::Connections => 0,
        }
    }

    /// How many of each kind have no place on the page.
    pub(super) fn left_out(&self) -> [(&'static str, u64); 4] {
        let Measures { queues, parts, partitions, groups } = &self.measures;
        let topics = partitions.chunk_by(|a, b| a.topic == b.topic).count();
        let work_groups = parts.chunk_by(|a, b| a.group == b.group).count();
        let without = |all: u64, shown: usize| all.saturating_sub(shown as u64);
        [
            ("queues", without(self.counts.queues, queues.len())),
            ("topics", without(self.counts.topics, topics)),
            ("groups", without(self.counts.groups, groups.len())),
            ("work_groups", without(self.counts.work_groups, work_groups)),
        ]
    }
}
