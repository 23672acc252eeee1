//! By which exchange and routing key the messages of a queue came.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use crate::fact::Via;
use crate::id::Offset;

/// By what messages came, in runs: a queue whose messages all came the same way has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    runs: VecDeque<(Offset, Option<Arc<Via<'static>>>)>,
}

impl Ways {
    /// By what this message came; None: straight to the queue.
    pub(crate) fn of(&self, offset: Offset) -> Option<&Via<'static>> {
        let after = self.runs.partition_point(|(from, _)| *from <= offset);
        self.runs.get(after.checked_sub(1)?)?.1.as_deref()
    }

    /// By what this message came, and the next offset from which on they may have come otherwise.
    pub(crate) fn in_a_row(&self, offset: Offset) -> (Option<&Via<'static>>, Offset) {
        let after = self.runs.partition_point(|(from, _)| *from <= offset);
        let via = after.checked_sub(1).and_then(|at| self.runs[at].1.as_deref());
        (via, self.runs.get(after).map_or(Offset(u64::MAX), |(from, _)| *from))
    }

    /// By what the newest messages came.
    pub(crate) fn newest(&self) -> Option<&Via<'static>> {
        self.runs.back()?.1.as_deref()
    }

    /// From `from` on, where the queue ends now, messages come by this. What came before `start`
    /// is no longer of interest.
    pub(crate) fn change(&mut self, from: Offset, via: Option<Via<'static>>, start: Offset) {
        while self.runs.back().is_some_and(|(other, _)| *other >= from) {
            self.runs.pop_back();
        }
        while self.runs.get(1).is_some_and(|(other, _)| *other <= start) {
            self.runs.pop_front();
        }
        if self.newest() != via.as_ref() {
            self.runs.push_back((from, via.map(Arc::new)));
        }
    }

    /// The runs that matter to messages from `start` on, which is where the first of them begins:
    /// how long it has gone on is remembered in some lives of a broker and not in others.
    pub(crate) fn runs(
        &self,
        start: Offset,
    ) -> impl Iterator<Item = (Offset, Option<&Via<'static>>)> {
        let first = self.runs.partition_point(|(from, _)| *from <= start).saturating_sub(1);
        let runs = self.runs.range(first..);
        let runs = runs.map(move |(from, via)| ((*from).max(start), via.as_deref()));
        runs.skip_while(|(_, via)| via.is_none())
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let pairs = || self.runs.iter().zip(self.runs.iter().skip(1));
        if pairs().any(|(one, other)| one.0 >= other.0 || one.1 == other.1) {
            return Some("two runs of ways begin at one place, or are one");
        }
        None
    }
}
