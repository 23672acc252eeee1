//! Transactions: what is published and committed in one is seen when it ends, all of it or nothing.
//!
//! As in Kafka a transaction belongs to a producer with a transactional name and begins with what
//! it does first. Its end is one fact, over all of its logs, queues and groups. Records are in their
//! logs before: readers that ask for what is committed stop at the first record of an open
//! transaction (the last stable offset) and pass over what was aborted; a queue's message is held
//! until the end. What Kafka calls control records is no record here, and has no offset.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::check::hold;
use super::evolve::{Evolved, broken};
use super::pending::put_pending;
use super::{Broker, Refused, Violation, counted};
use crate::activity::{Activity, TransactionEnd};
use crate::effect::Sink;
use crate::fact::{Fact, Stored, Written};
use crate::id::{Append, Offset, Place, ProducerEpoch, ProducerId, QueueId};
use crate::limits::WRITTEN_PER_FACT_MAX;
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::producer::Producer;
use crate::refusal::Code;
use crate::set::Set;
use crate::time::Time;
use crate::timer::{Due, TimerId};
use crate::transaction::Transaction;
use crate::work::State;

/// Whose transaction, in which of its lives.
pub(super) type Life = (ProducerId, ProducerEpoch);

impl Broker {
    /// The producer, if it may have a transaction now.
    fn transactor(&self, (id, epoch): Life) -> Result<&Producer, Refused> {
        let producer = self.producer_known(id)?;
        producer.may_speak(epoch)?;
        if producer.name.is_none() {
            return Err(Code::InvalidTransaction.because(format!(
                "{id} has no transactional name, and so no transactions: initialise one with a name"
            )));
        }
        Ok(producer)
    }

    /// The same, if one is open or there may be one more.
    pub(super) fn may_begin(&self, life: Life) -> Result<&Producer, Refused> {
        let producer = self.transactor(life)?;
        if producer.transaction.is_none() {
            let max = self.config.limits.transactions_max as usize;
            if self.transactions.len() >= max {
                return Err(Code::TooMany.because(format!(
                    "{} open, as many as there may be: end one, or raise the limit",
                    if max == 1 {
                        "1 transaction is".into()
                    } else {
                        counted(max as u64, "transaction") + " are"
                    }
                )));
            }
        }
        Ok(producer)
    }

    /// Whether a batch may belong, or not belong, to its producer's transaction.
    pub(super) fn may_publish_in(&self, life: Life, transactional: bool) -> Result<(), Refused> {
        if transactional {
            return self.may_begin(life).map(drop);
        }
        if self.is_idle(life.0) {
            return Ok(());
        }
        Err(Code::InvalidTransaction.because(format!(
            "{} has an open transaction: what it publishes belongs to it and says so, or waits for \
             its end",
            life.0
        )))
    }

    /// What one transaction writes has a bound: its end is one step.
    pub(super) fn may_hold(&self, id: ProducerId, batches: &[Stored<'_>]) -> Result<(), Refused> {
        let more = |batch: &Stored<'_>| batch.records.count() as u64 * batch.appends.len() as u64;
        let more: u64 = batches.iter().map(more).sum();
        let transaction = self.producers.get(&id).and_then(|p| p.transaction.as_ref());
        let have = transaction.map_or(0, |transaction| transaction.records());
        let max = u64::from(self.config.limits.transaction_records_max);
        if have + more <= max {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "the transaction of {id} wrote {}, and may write {max}; this would be {more} more: end \
             it, and go on in another",
            counted(have, "record")
        )))
    }

    /// Whether a producer has no transaction open.
    pub(super) fn is_idle(&self, id: ProducerId) -> bool {
        self.producers.get(&id).is_none_or(|producer| producer.transaction.is_none())
    }

    /// Says that a transaction began.
    pub(super) fn note_begin(&self, id: ProducerId, out: &mut dyn Sink) {
        let producer = &self.producers[&id];
        self.note(out, || Activity::TransactionBegan {
            producer: id,
            epoch: producer.epoch,
            name: producer.name.as_deref().unwrap_or("").into(),
            until: self.now + producer.timeout,
        });
    }

    /// Ends a transaction. The same again is no mistake: the answer may have been lost.
    pub(super) fn end_transaction(
        &mut self,
        life: Life,
        commit: bool,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (id, epoch) = life;
        let producer = self.transactor(life)?;
        if producer.transaction.is_some() {
            let end = if commit { TransactionEnd::Committed } else { TransactionEnd::Aborted };
            self.finish(id, epoch, end, out);
            return Ok(());
        }
        match producer.ended {
            Some(committed) if committed == commit => Ok(()),
            Some(true) => Err(Code::InvalidTransaction
                .because(format!("the last transaction of {id} is committed already"))),
            Some(false) => Err(Code::InvalidTransaction
                .because(format!("the last transaction of {id} is aborted already"))),
            None => Err(Code::InvalidTransaction.because(format!(
                "{id} has no open transaction: it begins with what is published or committed in it"
            ))),
        }
    }

    /// The time of a producer's transaction may be up.
    pub(super) fn transaction_due(&mut self, id: ProducerId, timer: TimerId, out: &mut dyn Sink) {
        let Some(producer) = self.producers.get(&id) else { return };
        if producer.transaction.as_ref().is_some_and(|open| open.timer == timer) {
            let epoch = ProducerEpoch(producer.epoch.0 + 1);
            self.finish(id, epoch, TransactionEnd::TimedOut, out);
        }
    }

    /// The transaction that is open ends, and its producer goes on in this epoch.
    pub(super) fn finish(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        end: TransactionEnd,
        out: &mut dyn Sink,
    ) {
        let producer = &self.producers[&id];
        let open = producer.transaction.as_ref().expect("it is open");
        let records = open.records();
        let places: Vec<_> = open.writes().map(|(place, _)| place).collect();
        let commit = end == TransactionEnd::Committed;
        let commits = if commit { self.commits_due(open) } else { Map::default() };
        let waited: Vec<_> = open.commits.iter().map(|(at, _)| *at).collect();
        let at = self.now;
        self.record(Fact::TransactionEnded { at, producer: id, epoch, commit }, out);
        self.note(out, || Activity::TransactionEnded {
            producer: id,
            name: self.producers[&id].name.clone().unwrap_or_default().into(),
            end,
            records,
        });
        for (group, offsets) in commits {
            let before: Vec<_> = offsets.iter().map(|(_, before)| *before).collect();
            let offsets: Vec<_> = offsets.into_iter().map(|((commit, _), _)| commit).collect();
            self.commits_moved(group, &offsets, &before, None, out);
        }
        for (group, partition) in waited {
            let owner = self.groups[&group].owned.get(&partition).map(|owned| owned.member);
            if let Some(owner) = owner {
                self.wake_poll(group, owner, out);
            }
        }
        for place in places {
            if let Place::Partition(topic, partition) = place {
                self.wake_all_readers((topic, partition), out);
            }
        }
    }

    // --- facts ----------------------------------------------------------------------------------

    /// The transaction that a producer has open; it begins if there is none.
    pub(super) fn open_transaction(
        &mut self,
        id: ProducerId,
        at: Time,
    ) -> Result<&mut Transaction, Violation> {
        let producer = self.producers.get_mut(&id).ok_or_else(|| broken(&format!("{id}")))?;
        self.transactions.insert(id);
        let until = at + producer.timeout;
        let timers = &mut self.timers;
        Ok(producer.transaction.get_or_insert_with(|| {
            let timer = timers.start(until, Due::Transaction(id));
            alloc::boxed::Box::new(Transaction::new(at, timer))
        }))
    }

    /// A batch that comes now belongs to its producer's transaction: it is not stable.
    pub(super) fn unsettle(&mut self, id: ProducerId, batches: &[Stored<'_>]) -> Evolved {
        for Append { place, base } in batches.iter().flat_map(|batch| batch.appends.iter()) {
            if self.is_shared(*place) {
                self.log(*place)?.open_at(id.0, *base);
            }
        }
        Ok(())
    }

    /// A batch that was stored just now belongs to its producer's transaction.
    pub(super) fn wrote(&mut self, id: ProducerId, at: Time, batches: &[Stored<'_>]) -> Evolved {
        self.open_transaction(id, at)?;
        for Stored { appends, records } in batches {
            for Append { place, base } in appends.iter() {
                self.wrote_run(id, *place, *base, u64::from(records.count()))?;
            }
        }
        Ok(())
    }

    fn wrote_run(&mut self, id: ProducerId, place: Place, base: Offset, count: u64) -> Evolved {
        let producer = self.producer(id)?;
        let open = producer.transaction.as_mut().ok_or_else(|| broken("a transaction"))?;
        let is_first = open.wrote(place, base, count);
        let log = self.log(place)?;
        if base.plus(count) > log.end() {
            return Err(broken(&format!("{count} records from {base} of {place}")));
        }
        if is_first && self.is_shared(place) {
            self.log(place)?.open_at(id.0, base);
        }
        for queue in self.workers_of(place).iter() {
            for offset in (base.0..base.0 + count).map(Offset) {
                let (queue, mut clock) = self.queue_and_clock(queue);
                if queue.work.is_unsettled(offset) && !planted(Planted::HeldIsReady) {
                    queue.work.hold(offset, &mut clock);
                }
            }
        }
        Ok(())
    }

    /// What open transactions wrote there: the first offset of each run, and how many follow.
    pub(super) fn open_writes(&self, place: Place) -> impl Iterator<Item = (Offset, u64)> + '_ {
        let open = self.producers.values().filter_map(|producer| producer.transaction.as_ref());
        let writes = open.flat_map(|open| open.writes());
        writes.filter(move |(at, _)| *at == place).flat_map(|(_, runs)| runs.iter().copied())
    }

    /// The queues whose messages lie there.
    fn workers_of(&self, place: Place) -> Set<QueueId> {
        match place {
            Place::Queue(id) => Set::of(id),
            Place::Partition(topic, partition) => self.parts_on(topic, partition),
        }
    }

    /// Whether a log can be read by others than the workers of its queue.
    fn is_shared(&self, place: Place) -> bool {
        match place {
            Place::Partition(..) => true,
            Place::Queue(id) => self.queues.get(&id).is_some_and(|q| q.policy.keep.is_some()),
        }
    }

    pub(super) fn transaction_ended(
        &mut self,
        (id, epoch): Life,
        at: Time,
        commit: bool,
    ) -> Evolved {
        self.saw(at);
        let producer = self.producers.get_mut(&id).ok_or_else(|| broken(&format!("{id}")))?;
        let open = producer.transaction.take().ok_or_else(|| broken("a transaction"))?;
        producer.begin_epoch(epoch);
        producer.seen = at;
        producer.ended = Some(commit);
        self.transactions.remove(id);
        self.timers.stop(open.timer);
        for (place, runs) in open.writes() {
            if self.is_shared(place) {
                let log = self.log(place)?;
                log.close(id.0);
                if !commit && !planted(Planted::AbortIsNotHidden) {
                    runs.iter().for_each(|(base, count)| log.hide(*base, *count));
                }
            }
            if let Place::Partition(topic, partition) = place {
                self.keep_up(topic, partition);
            }
            self.decide(place, runs, commit)?;
        }
        if commit {
            for (group, offsets) in self.commits_due(&open) {
                for ((commit, asked_at), _) in offsets {
                    self.offsets_committed(group, asked_at, &[commit])?;
                }
            }
        }
        Ok(())
    }

    /// Messages that were held are let go: they are ready, or gone.
    fn decide(&mut self, place: Place, runs: &[(Offset, u64)], commit: bool) -> Evolved {
        for id in self.workers_of(place).iter() {
            for offset in runs.iter().flat_map(|(base, n)| base.0..base.0 + n).map(Offset) {
                let (queue, mut clock) = self.queue_and_clock(id);
                if queue.work.state(offset) != State::Held {
                    continue;
                }
                if commit {
                    queue.work.commit(offset, &mut clock);
                } else {
                    self.forget(id, offset);
                    self.gone(id, offset)?;
                }
            }
            self.wake(id);
        }
        Ok(())
    }

    /// Only in snapshots: what an open transaction wrote.
    pub(super) fn transaction_open(
        &mut self,
        id: ProducerId,
        began: Time,
        written: &[Written],
    ) -> Evolved {
        self.open_transaction(id, began)?;
        let run = |Written { place, base, count }: &Written| (*place, *base, *count);
        written.iter().map(run).try_for_each(|(place, base, n)| self.wrote_run(id, place, base, n))
    }

    pub(super) fn put_transaction(&self, producer: &Producer, put: &mut impl FnMut(Fact<'_>)) {
        let id = producer.id;
        if let Some(committed) = producer.ended {
            put(Fact::TransactionOutcome { producer: id, committed });
        }
        let Some(open) = &producer.transaction else { return };
        let written = open.writes().flat_map(|(place, runs)| {
            runs.iter().map(move |(base, count)| Written { place, base: *base, count: *count })
        });
        let written: Vec<_> = written.collect();
        put(Fact::TransactionOpen { producer: id, began: open.began, written: written.into() });
        put_pending(producer, open, put);
    }

    /// Only in snapshots: what aborted transactions wrote.
    pub(super) fn aborted(&mut self, written: &[Written]) -> Evolved {
        for Written { place, base, count } in written {
            let log = self.log(*place)?;
            if base.0.checked_add(*count).is_none_or(|end| end > log.end().0) {
                return Err(broken(&format!("{count} records at {base} of {place}")));
            }
            log.hide(*base, *count);
        }
        Ok(())
    }

    /// What aborted transactions wrote into logs that are read again, in facts of a bounded size.
    pub(super) fn put_aborted(&self, put: &mut impl FnMut(Fact<'_>)) {
        let of_topics = self.topics.values().flat_map(|topic| {
            let logs = topic.partitions.iter().zip(0..);
            logs.map(|(log, partition)| (Place::Partition(topic.id, partition), log))
        });
        let of_queues = self.queues.values();
        let of_queues = of_queues.filter_map(|q| Some((Place::Queue(q.id), q.own_log()?)));
        for (place, log) in of_topics.chain(of_queues) {
            let hidden = log.hidden().map(|(base, count)| Written { place, base, count });
            let hidden: Vec<_> = hidden.collect();
            for written in hidden.chunks(WRITTEN_PER_FACT_MAX) {
                put(Fact::Aborted { written: Cow::Borrowed(written) });
            }
        }
    }

    /// Logs are gone, and with them what open transactions wrote there.
    pub(super) fn forget_writes(&mut self, gone: impl Fn(Place) -> bool) {
        for producer in self.producers.values_mut() {
            if let Some(open) = &mut producer.transaction {
                open.forget(&gone);
            }
        }
    }

    /// What has to hold of the open transactions.
    pub(super) fn check_transactions(&self) -> Result<(), Violation> {
        let open = |producer: &Producer| producer.transaction.is_some();
        let open: Set<_> = self.producers.values().filter(|p| open(p)).map(|p| p.id).collect();
        hold(open == self.transactions, || {
            format!("{:?} are listed as open transactions, {open:?} are", self.transactions)
        })?;
        let (mut held, mut first) = (BTreeMap::new(), BTreeMap::new());
        for producer in self.producers.values() {
            let Some(open) = &producer.transaction else { continue };
            hold(producer.name.is_some(), || {
                format!("{} has a transaction, and no name", producer.id)
            })?;
            for (place, runs) in open.writes() {
                let count: u64 = runs.iter().map(|(_, count)| count).sum();
                *held.entry(place).or_insert(0) += count;
                let lowest: &mut Offset = first.entry(place).or_insert(runs[0].0);
                *lowest = runs[0].0.min(*lowest);
            }
            for ((group, (topic, partition)), _) in open.commits.iter() {
                let known =
                    self.topics.get(topic).is_some_and(|t| t.partition(*partition).is_some());
                hold(known && self.groups.contains_key(group), || {
                    format!("{} will commit what is gone: {topic}/{partition}", producer.id)
                })?;
            }
        }
        for queue in self.queues.values().filter(|queue| queue.partition().is_none()) {
            let open = held.get(&Place::Queue(queue.id)).copied().unwrap_or_default();
            hold(queue.work.held() <= open, || {
                format!(
                    "queue {}: {} are held, {open} by transactions",
                    queue.name,
                    queue.work.held()
                )
            })?;
        }
        for topic in self.topics.values() {
            for (log, partition) in topic.partitions.iter().zip(0..) {
                let stable = first.get(&Place::Partition(topic.id, partition)).copied();
                hold(stable.unwrap_or(log.end()) == log.stable_end(), || {
                    format!("{}/{partition} is not stable up to where it should be", topic.name)
                })?;
            }
        }
        Ok(())
    }
}
