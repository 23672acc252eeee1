//! The broker: one entrance, one exit. This file holds its state and sends each input where it
//! belongs; what is done with it stands in the modules below.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::activity::Activity;
use crate::effect::{Effect, Sink};
use crate::event::Event;
use crate::exchange::{Exchange, Leads};
use crate::fact::Fact;
use crate::group::{Group, Partition};
use crate::held::Held;
use crate::id::{
    ConnId, ConsumerId, Epoch, GroupId, MemberId, Offset, ProducerId, QueueId, RedriveId, Tag,
    TopicId,
};
use crate::input::Input;
use crate::journey::Journeys;
use crate::limits::{EXPIRIES_PER_APPLY_MAX, Limits, UPKEEP_PER_APPLY_MAX};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::producer::Producer;
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::request::{Budget, ExchangeKind, ExchangePolicy};
use crate::rng::Rng;
use crate::set::Set;
use crate::time::{Span, Time};
use crate::timer::{Due, TimerId, Timers};
use crate::topic::Topic;
use crate::view::{AttemptEnd, DeadlineReason, RedriveView};
use crate::work::Clock;
use workgroup::WorkGroup;

mod alter;
mod away;
mod bindings;
mod check;
mod classic;
mod commit;
mod connection;
mod consume;
mod deadletter;
mod declare;
mod dedup;
mod deliver;
mod describe;
mod dispatch;
mod evolve;
mod explain;
mod fetch;
mod inspect;
mod keep;
mod leased;
mod measure;
mod membership;
mod messages;
mod naming;
mod page;
mod pending;
mod pressure;
mod produce;
mod publish;
mod rebalance;
mod redrive;
mod redrive_job;
mod removal;
mod retention;
mod room;
mod route;
mod settle;
mod snapshot;
mod stream;
mod tend;
mod topics;
mod trace;
mod transact;
mod vacant;
mod via;
mod workgroup;

use naming::{counted, out_of_range, shown, span_within, valid_name, within};

pub use check::Violation;
use fetch::Aim;
use redrive_job::Redrive;
pub use snapshot::LoadError;

/// What a broker is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where every arbitrary choice comes from.
    pub seed: u64,
    /// The bounds.
    pub limits: Limits,
}

/// The exchanges that are always there, as in AMQP. The default exchange, which has the empty name
/// and takes no bindings, is not kept.
const BUILT_IN: [(&str, ExchangeKind); 5] = [
    ("amq.direct", ExchangeKind::Direct),
    ("amq.topic", ExchangeKind::Topic),
    ("amq.fanout", ExchangeKind::Fanout),
    ("amq.headers", ExchangeKind::Headers),
    ("amq.match", ExchangeKind::Headers),
];

/// A refusal that owns its sentence, and so can leave a handler.
pub(crate) type Refused = Refusal<'static>;

/// The broker. See the [crate's documentation](crate) for the contract between it and its driver.
///
/// Durable state changes in [`Broker::restore`] alone. Connections, consumers, leases, members,
/// positions and waiting requests are volatile: they are gone after a restart.
#[derive(Clone, Debug)]
pub struct Broker {
    config: Config,
    now: Time,
    rng: Rng,
    timers: Timers,

    epoch: Epoch,
    /// Whether this life has begun: its number is a fact.
    started: bool,
    exchanges: BTreeMap<String, Exchange>,
    queues: Map<QueueId, Queue>,
    queue_names: BTreeMap<String, QueueId>,
    work_groups: BTreeMap<String, WorkGroup>,
    topics: Map<TopicId, Topic>,
    topic_names: BTreeMap<String, TopicId>,
    groups: Map<GroupId, Group>,
    group_names: BTreeMap<String, GroupId>,
    /// By the name of a dead-letter queue: whose dead letters go there.
    dead_letters_of: BTreeMap<String, Set<QueueId>>,
    next_queue: QueueId,
    next_topic: TopicId,
    next_group: GroupId,
    producers: Map<ProducerId, Producer>,
    producer_names: BTreeMap<String, ProducerId>,
    next_producer: ProducerId,
    /// Producers whose transaction is open.
    transactions: Set<ProducerId>,
    bindings: usize,
    /// Which exchanges have bindings that lead there.
    bound_to: BTreeMap<Leads, BTreeSet<String>>,
    redrives: Map<RedriveId, Redrive>,
    next_redrive: RedriveId,
    /// Jobs that ended, as they were then; the newest last. Volatile.
    redrives_ended: VecDeque<RedriveView>,
    /// Exchanges that are to go with their last binding, and lost it.
    bereft: Vec<String>,
    stored_bytes: u64,
    /// Whether `stored_bytes` passed the high mark, and has not fallen under the low one since.
    is_high: bool,
    /// Whether nothing is handed out any more, because its driver stops. Volatile.
    is_ending: bool,

    conns: Map<ConnId, Conn>,
    leaving: Map<ConnId, Leaving>,
    watchers: Set<ConnId>,
    /// Connections that have published.
    publishers: Map<ConnId, ()>,
    consumers: Map<ConsumerId, Consumer>,
    members: Map<MemberId, GroupId>,
    /// Members of which another took the instance's name; the newest.
    fenced: Set<MemberId>,
    waits: Map<u64, Wait>,
    /// Numbers consumers, members and waits of this life.
    last_number: u64,
    due: Vec<(TimerId, Due)>,
    /// Queues that may have something to hand out: a message became ready, or credit came back.
    woken: Vec<QueueId>,
    /// Messages that were settled automatically during this input.
    automatic: usize,
    journeys: Journeys,
    cause: trace::Cause,
}

#[derive(Clone, Debug, Default)]
struct Conn {
    client: String,
    consumers: Set<ConsumerId>,
    members: Set<MemberId>,
    waits: Set<u64>,
    /// Queues that are its alone.
    exclusive: Set<QueueId>,
    /// Unsettled deliveries that its consumers may have together; zero: no bound.
    prefetch: u32,
    /// Those that they have.
    outstanding: u32,
    /// Consumers that have credit of their own, and wait for the connection's.
    blocked: Set<ConsumerId>,
    /// What it holds.
    held: Map<QueueId, Held>,
    /// Messages that it holds, and those that its consumers may still be handed by their prefetch.
    claims: u64,
    publishes: bool,
    /// Whether it was told to slow down, and not yet that it may go on.
    slowed: bool,
}

#[derive(Clone, Debug)]
struct Consumer {
    conn: ConnId,
    /// The queue, or the parts of the work group, that it consumes.
    queues: Set<QueueId>,
    /// Those that do not list it among their consumers, because its credit was used up.
    unlisted: Set<QueueId>,
    prefetch: u32,
    outstanding: u32,
    visibility: Option<Span>,
    /// Whether what it gets is settled before it is told.
    auto_ack: bool,
    /// Whether nobody else may consume its queues.
    exclusive: bool,
}

/// A connection that is gone, and what it held that is not ready again yet.
#[derive(Clone, Debug)]
struct Leaving {
    client: String,
    held: Map<QueueId, Held>,
}

/// A request that is answered later.
#[derive(Clone, Debug)]
struct Wait {
    conn: ConnId,
    tag: Tag,
    timer: TimerId,
    what: Awaits,
}

/// What a receive asks for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    messages_max: u32,
    visibility: Option<Span>,
    auto_ack: bool,
}

#[derive(Clone, Debug)]
enum Awaits {
    Message {
        queues: Vec<QueueId>,
        asked: Asked,
    },
    Record {
        group: GroupId,
        member: MemberId,
        budget: Budget,
        short: Short,
    },
    Read {
        partition: Partition,
        from: Offset,
        budget: Budget,
        short: Short,
    },
    /// That the others join.
    Joined {
        group: GroupId,
        member: MemberId,
    },
    /// What the leader assigns.
    Synced {
        group: GroupId,
        member: MemberId,
    },
    Fetch {
        aims: Vec<Aim>,
        budget: Budget,
        short: Short,
    },
}

/// How much is missing until a read or poll that waits has enough.
#[derive(Clone, Copy, Debug)]
struct Short {
    bytes: u64,
    records: u32,
}

impl Broker {
    /// An empty broker, at the time `now`.
    pub fn new(config: Config, now: Time) -> Broker {
        let built_in = BUILT_IN
            .map(|(name, kind)| (name.into(), Exchange::new(kind, ExchangePolicy::default())));
        let journeys = Journeys::new(config.limits.journey_steps_max);
        Broker {
            rng: Rng::new(config.seed),
            config,
            now,
            timers: Timers::new(now),
            epoch: Epoch(0),
            started: false,
            exchanges: built_in.into(),
            queues: Map::default(),
            queue_names: BTreeMap::new(),
            work_groups: BTreeMap::new(),
            topics: Map::default(),
            topic_names: BTreeMap::new(),
            groups: Map::default(),
            group_names: BTreeMap::new(),
            dead_letters_of: BTreeMap::new(),
            next_queue: QueueId(1),
            next_topic: TopicId(1),
            next_group: GroupId(1),
            producers: Map::default(),
            producer_names: BTreeMap::new(),
            next_producer: ProducerId(1),
            transactions: Set::default(),
            bindings: 0,
            bound_to: BTreeMap::new(),
            redrives: Map::default(),
            next_redrive: RedriveId(1),
            redrives_ended: VecDeque::new(),
            bereft: Vec::new(),
            stored_bytes: 0,
            is_high: false,
            is_ending: false,
            conns: Map::default(),
            leaving: Map::default(),
            watchers: Set::default(),
            publishers: Map::default(),
            consumers: Map::default(),
            members: Map::default(),
            fenced: Set::default(),
            waits: Map::default(),
            last_number: 0,
            due: Vec::new(),
            woken: Vec::new(),
            automatic: 0,
            journeys,
            cause: trace::Cause::default(),
        }
    }

    /// Takes one input, and pushes what follows from it into `out`, in order.
    ///
    /// `now` should not go back; if it does, the latest time that was seen counts. What is due by
    /// `now` happens first, but at most [`EXPIRIES_PER_APPLY_MAX`] of it: if there is more,
    /// [`Broker::deadline`] is already past.
    ///
    /// This cannot fail: a client's mistake is an [`Event::Refused`].
    pub fn apply(&mut self, now: Time, input: Input<'_>, out: &mut impl Sink) {
        let out: &mut dyn Sink = out;
        self.now = self.now.max(now);
        self.automatic = 0;
        if !self.started {
            let stays = planted(Planted::EpochStays) && self.epoch > Epoch(0);
            self.record(Fact::Started { epoch: Epoch(self.epoch.0 + u32::from(!stays)) }, out);
            self.started = true;
            // What recovery made ready has nobody yet who would take it.
            for queue in core::mem::take(&mut self.woken) {
                self.queue_mut(queue).woken = false;
            }
            self.begin_tending();
            self.begin_vacant(out);
        }
        self.expire(out);
        match input {
            Input::Open(conn, session) => self.open(conn, &session, out),
            Input::Request(conn, request) => self.request(conn, request, out),
            Input::Closed(conn) => self.closed(conn, out),
            Input::Tick => {}
        }
        self.deliver_woken(out);
        self.after(out);
    }

    /// What follows from what went, whatever made it go.
    fn after(&mut self, out: &mut dyn Sink) {
        self.delete_bereft(out);
        self.weigh(out);
        self.cause = trace::Cause::default();
    }

    /// When something is due next, and what: a [`Input::Tick`] then makes it happen. The time may
    /// be earlier than what it announces if very much is due soon; a tick too early or too late
    /// does no harm.
    pub fn deadline(&self) -> Option<(Time, DeadlineReason)> {
        if !self.leaving.is_empty() {
            return Some((self.now, DeadlineReason::LeaseEnds));
        }
        self.timers.next()
    }

    /// Makes a fact true: at recovery each that was kept, in order, before the first input. Live,
    /// the broker calls it itself.
    ///
    /// # Panics
    /// If the fact contradicts the ones before it, which only a damaged journal can bring about.
    pub fn restore(&mut self, fact: Fact<'_>) {
        if let Err(violation) = self.evolve(fact) {
            panic!("{violation}");
        }
    }

    /// The same, for facts that may be damaged: what contradicts the ones before it is an error,
    /// and the broker is then not to be used any further.
    pub fn try_restore(&mut self, fact: Fact<'_>) -> Result<(), Violation> {
        self.evolve(fact)
    }

    /// The broker's time: the latest it was told, or found in a fact.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Bytes of all records that it holds.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Announces a fact, then makes it true.
    fn record(&mut self, fact: Fact<'_>, out: &mut dyn Sink) {
        out.emit(Effect::Fact(fact.clone()));
        self.trace(&fact);
        self.restore(fact);
    }

    fn tell(&self, conn: ConnId, event: Event<'_>, out: &mut dyn Sink) {
        out.emit(Effect::Tell(conn, event));
    }

    /// Tells those who watch. What is told is only made if somebody does.
    fn note<'a>(&'a self, out: &mut dyn Sink, activity: impl FnOnce() -> Activity<'a>) {
        if self.watchers.is_empty() {
            return;
        }
        let activity = activity();
        for watcher in self.watchers.iter() {
            let event = Event::Activity { at: self.now, activity: activity.clone() };
            out.emit(Effect::Tell(watcher, event));
        }
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Does what is due.
    fn expire(&mut self, out: &mut dyn Sink) {
        let ended = self.end_leases_left(EXPIRIES_PER_APPLY_MAX, out);
        let mut due = core::mem::take(&mut self.due);
        self.timers.take_due(self.now, EXPIRIES_PER_APPLY_MAX - ended, &mut due);
        let mut upkeep = 0;
        for (timer, due) in due.drain(..) {
            match due {
                Due::Retention(topic, partition) if upkeep < UPKEEP_PER_APPLY_MAX => {
                    upkeep += 1;
                    self.retention_ends(topic, partition, timer, out);
                }
                Due::Compaction(topic, partition) if upkeep < UPKEEP_PER_APPLY_MAX => {
                    upkeep += 1;
                    self.compaction_due(topic, partition, timer, out);
                }
                Due::Retention(topic, partition) | Due::Compaction(topic, partition) => {
                    self.tend_later(topic, partition, timer);
                }
                Due::Lease(queue, offset) if self.is_due(queue, offset, timer) => {
                    self.end_attempt(queue, offset, AttemptEnd::Expired, Span::ZERO, out);
                }
                Due::Delay(queue, offset) if self.is_due(queue, offset, timer) => {
                    self.delay_ended(queue, offset, out);
                }
                Due::Expiry(queue, offset) if self.is_due(queue, offset, timer) => {
                    self.expired(queue, offset, out);
                }
                Due::Lease(..) | Due::Delay(..) | Due::Expiry(..) => {}
                Due::Redrive(id) => self.redrive_due(id, timer, out),
                Due::Rebalance(id) => self.rebalance_due(id, timer, out),
                Due::Offsets(id) => self.offsets_due(id, timer, out),
                Due::Kept(queue) => self.kept_long_enough(queue, timer, out),
                Due::Session(member) => self.session_expired(member, timer, out),
                Due::Revocation(member) => self.revocation_expired(member, timer, out),
                Due::Producer(id) => self.producer_idle(id, timer, out),
                Due::Transaction(id) => self.transaction_due(id, timer, out),
                Due::Tend(queue, _) => self.tend(queue, timer, out),
                Due::Wait(wait) => {
                    // What became ready before its time was up is for it, however late this is.
                    self.deliver_woken(out);
                    self.wait_expired(wait, timer, out);
                }
            }
        }
        self.due = due;
        self.deliver_woken(out);
    }

    /// Whether a timer that fired is still the message's.
    fn is_due(&mut self, queue: QueueId, offset: Offset, timer: TimerId) -> bool {
        let queue = self.queues.get_mut(&queue);
        queue.is_some_and(|queue| queue.work.timer_fired(offset, timer))
    }

    /// A queue, and the clock that its messages' timers go by.
    fn queue_and_clock(&mut self, id: QueueId) -> (&mut Queue, Clock<'_>) {
        let clock = Clock { now: self.now, timers: &mut self.timers, queue: id };
        (self.queues.get_mut(&id).expect("who works on a queue has found it"), clock)
    }

    fn queue_mut(&mut self, id: QueueId) -> &mut Queue {
        self.queues.get_mut(&id).expect("what is due names a queue that exists")
    }
}
