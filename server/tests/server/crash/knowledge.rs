//! What the clients know, whatever the server went through, and whether the server knows it too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use fanlight_core::{
    Budget, DeathReason, Event, Inspect, Offset, Op, Position, QueuePolicy, Target, View,
};

use crate::client::{Client, Got, to_queue};
use crate::process::Server;

const PARTITIONS: u32 = 3;
/// After so many failed deliveries a message of the risky queue is dead.
pub(super) const DELIVERIES_MAX: u32 = 3;

/// Where messages go in this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Log {
    /// A queue that nobody consumes from before the end.
    Kept,
    /// A queue that is consumed from all the time.
    Worked,
    /// One whose messages mostly fail, until they are dead.
    Risky,
    /// A queue that is filled and purged.
    Burst,
    /// A partition of a topic.
    Partition(u32),
}

impl Log {
    const QUEUES: [Log; 4] = [Log::Kept, Log::Worked, Log::Risky, Log::Burst];

    /// Where producers send to.
    pub(super) const PRODUCED: [Log; 6] = [
        Log::Kept,
        Log::Worked,
        Log::Risky,
        Log::Partition(0),
        Log::Partition(1),
        Log::Partition(2),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Log::Kept => "kept",
            Log::Worked => "worked",
            Log::Risky => "risky",
            Log::Burst => "burst",
            Log::Partition(_) => "events",
        }
    }

    pub(super) fn target(self) -> Target<'static> {
        match self {
            Log::Kept | Log::Worked | Log::Risky | Log::Burst => to_queue(self.name()),
            Log::Partition(partition) => {
                Target::Topic { name: self.name().into(), partition: Some(partition) }
            }
        }
    }

    /// Whether something may be gone from it that was confirmed.
    fn is_worked_on(self) -> bool {
        matches!(self, Log::Worked | Log::Risky | Log::Burst)
    }
}

/// Makes the queues and the topic.
pub(super) async fn prepare(server: &Server) {
    let mut client = Client::open(server).await;
    client.declare_queue("dead", QueuePolicy::default()).await;
    for log in Log::QUEUES {
        let mut policy = QueuePolicy::default();
        if log == Log::Risky {
            policy.deliveries_max = Some(DELIVERIES_MAX);
            policy.dead_letter = Some("dead".into());
        }
        client.declare_queue(log.name(), policy).await;
    }
    let name = "events".into();
    let op = Op::CreateTopic { name, partitions: PARTITIONS, policy: Default::default() };
    client.done(op).await.expect("the server is there");
}

/// What the clients know.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) next_id: u64,
    /// Every message that was ever sent, and where to.
    pub(super) sent: HashMap<u64, Log>,
    /// Where the confirmed ones lie.
    confirmed: BTreeMap<(Log, u64), u64>,
    /// Messages of which an acknowledgement, or their purge, was asked for.
    pub(super) ack_sent: BTreeSet<u64>,
    /// Those of which it was confirmed.
    pub(super) acked: BTreeSet<u64>,
    /// How many failed attempts were confirmed of each message.
    pub(super) failed: HashMap<u64, u32>,
    /// Messages that were said to have failed for the last time.
    pub(super) death_sent: BTreeSet<u64>,
    /// Those of which that was confirmed.
    pub(super) died: BTreeSet<u64>,
}

pub(super) type Shared = Arc<Mutex<Knowledge>>;

pub(super) fn know<T>(shared: &Shared, with: impl FnOnce(&mut Knowledge) -> T) -> T {
    with(&mut shared.lock().expect("no task panics while it knows"))
}

/// A message's body: its number, and filling that depends on it.
pub(super) fn body(id: u64) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.resize(8 + (id % 200) as usize, id as u8);
    body
}

pub(super) fn id_of(found: &[u8]) -> u64 {
    let id = u64::from_le_bytes(found[..8].try_into().expect("a body has a number"));
    assert_eq!(found, body(id), "message {id} is not what was sent");
    id
}

impl Knowledge {
    /// A batch was confirmed to lie here.
    pub(super) fn confirm(&mut self, log: Log, base: u64, ids: Vec<u64>) {
        for (at, id) in (base..).zip(ids) {
            let before = self.confirmed.insert((log, at), id);
            assert_eq!(before, None, "{log:?}@{at} was confirmed twice");
        }
    }

    /// A message was delivered from here.
    pub(super) fn delivered(&self, log: Log, id: u64, attempt: u32) {
        assert_eq!(self.sent.get(&id), Some(&log), "message {id} strayed");
        assert!(!self.acked.contains(&id), "message {id} came after its ack was confirmed");
        assert!(!self.died.contains(&id), "message {id} came after its death was confirmed");
        let failed = self.failed.get(&id).copied().unwrap_or(0);
        assert!(attempt > failed, "message {id}: attempts were forgotten");
    }

    /// Compares what is dead with what has died; gives who is.
    fn check_dead(&self, dead: &[Got]) -> BTreeSet<u64> {
        let mut seen = BTreeSet::new();
        for message in dead {
            let id = id_of(&message.body);
            assert!(seen.insert(id), "message {id} died twice");
            assert!(self.death_sent.contains(&id), "message {id} died, and nobody let it");
            assert!(!self.acked.contains(&id), "message {id} died after its ack was confirmed");
            let [death] = &message.deaths[..] else { panic!("{id}: {:?}", message.deaths) };
            assert_eq!((death.queue.as_str(), death.count), ("risky", 1));
            assert_eq!(death.reason, DeathReason::DeliveriesExhausted);
            assert_eq!(death.attempts.len(), DELIVERIES_MAX as usize, "message {id}");
            if let Some(confirmed) = self.confirmed.get(&(Log::Risky, death.offset.0)) {
                assert_eq!(*confirmed, id, "another message lay at {}", death.offset);
            }
        }
        let missing: Vec<_> = self.died.difference(&seen).collect();
        assert!(missing.is_empty(), "dead messages are lost: {missing:?}");
        seen
    }

    fn check(&self, found: &BTreeMap<(Log, u64), u64>, dead: &BTreeSet<u64>) {
        let mut seen = BTreeSet::new();
        for ((log, at), id) in found {
            assert_eq!(self.sent.get(id), Some(log), "{log:?}@{at}: {id} was not sent there");
            assert!(seen.insert(*id), "message {id} is there twice");
            assert!(!dead.contains(id), "message {id} is there, and dead");
            assert!(!self.acked.contains(id), "message {id} is there after its ack was confirmed");
        }
        for (place, id) in &self.confirmed {
            match found.get(place) {
                Some(there) => assert_eq!(there, id, "another message lies at {place:?}"),
                None => {
                    assert!(place.0.is_worked_on(), "confirmed message {id} is lost: {place:?}");
                    let gone = self.ack_sent.contains(id) || dead.contains(id);
                    assert!(gone, "message {id} is gone, and nobody acked it: {place:?}");
                }
            }
        }
    }

    fn summary(&self, found: usize, dead: usize) -> String {
        assert!(!self.confirmed.is_empty() && !self.acked.is_empty() && !self.failed.is_empty());
        assert!(!self.died.is_empty());
        format!(
            "{} sent, {} confirmed, {found} found, {} acked (confirmed {}), {dead} dead (confirmed {})",
            self.sent.len(),
            self.confirmed.len(),
            self.ack_sent.len(),
            self.acked.len(),
            self.died.len(),
        )
    }
}

/// Compares what the server holds with what was confirmed.
pub(super) async fn check(server: &Server, shared: &Shared) -> String {
    let mut client = Client::open(server).await;
    let mut found: BTreeMap<(Log, u64), u64> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let bodies = read_all(&mut client, "events", partition, Position::Earliest).await;
        let ids = (0..).zip(&bodies).map(|(at, b)| ((Log::Partition(partition), at), id_of(b)));
        found.extend(ids);
    }
    for log in Log::QUEUES {
        let end = queue_end(&mut client, log.name()).await;
        let got = drain(&mut client, log.name()).await;
        assert!(log != Log::Kept || got.len() as u64 == end, "offsets are dense");
        for message in got {
            let (at, id) = (message.lease.offset.0, id_of(&message.body));
            assert!(at < end);
            know(shared, |k| k.delivered(log, id, message.attempt));
            found.insert((log, at), id);
        }
    }
    let dead_end = queue_end(&mut client, "dead").await;
    let dead = drain(&mut client, "dead").await;
    assert_eq!(dead.len() as u64, dead_end, "as many are dead as ever died");
    know(shared, |k| {
        let dead = k.check_dead(&dead);
        k.check(&found, &dead);
        k.summary(found.len(), dead.len())
    })
}

/// Everything in a partition, in order; offsets are dense from the first.
pub(crate) async fn read_all(
    client: &mut Client,
    topic: &str,
    partition: u32,
    from: Position,
) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let mut from = from;
    loop {
        let topic = topic.into();
        let op = Op::Read { topic, partition, from, budget: Budget::records(1_000) };
        let tag = client.ask(op).await.expect("the server is there");
        let (base, more) = client
            .expect(|event| match event {
                Event::ReadDone { tag: t, batch: Some(batch), .. } if t == tag => {
                    let bodies = batch.records.iter().map(|r| r.body.to_vec()).collect();
                    Some((batch.base, bodies))
                }
                Event::ReadDone { tag: t, batch: None, end, .. } if t == tag => {
                    Some((end, Vec::<Vec<u8>>::new()))
                }
                Event::Refused { refusal, .. } => panic!("refused: {refusal}"),
                _ => None,
            })
            .await
            .expect("the server is there");
        assert_eq!(base.0, bodies.len() as u64, "offsets are dense from zero");
        if more.is_empty() {
            return bodies;
        }
        bodies.extend(more);
        from = Position::At(Offset(bodies.len() as u64));
    }
}

/// Everything that is ready in a queue.
async fn drain(client: &mut Client, queue: &str) -> Vec<Got> {
    let mut all = Vec::new();
    loop {
        let got = client.take(queue, 256).await.expect("the server is there");
        if got.is_empty() {
            return all;
        }
        all.extend(got);
    }
}

async fn queue_end(client: &mut Client, queue: &'static str) -> u64 {
    let op = Op::Inspect { what: Inspect::Queue(queue.into()) };
    let end = client.inspect(op, |view| match view {
        View::Queue(queue) => queue.end.0,
        View::Overview(_)
        | View::Topic(_)
        | View::Group(_)
        | View::Connection(_)
        | View::Due(_)
        | View::Journey(_)
        | View::Page(_)
        | View::Messages(_)
        | View::Exchange(_)
        | View::Groups(_)
        | View::Producers(_)
        | View::WorkGroup(_)
        | View::Redrives(_) => panic!("another view was asked for"),
    });
    end.await.expect("the server is there")
}
