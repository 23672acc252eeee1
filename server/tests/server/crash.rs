//! A server that is killed under load, again and again, over one data directory: what it confirmed
//! is there when it comes back, once, in order, and no more than was sent.
//!
//! `FANLIGHT_CRASH_SEED` repeats a run's choices, `FANLIGHT_CRASH_ROUNDS` makes it longer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fanlight_core::{
    Budget, Event, Inspect, LeaseId, Offset, Op, Position, QueuePolicy, Span, Tag, Target, View,
};

use crate::client::{Client, Lost, batch, to_queue};
use crate::process::Server;

const ROUNDS: u32 = 12;
const PARTITIONS: u32 = 3;
/// Batches published without an answer yet.
const PIPELINE: usize = 8;

/// The generator that chooses what is random here (SplitMix64), so that a seed repeats it.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Where messages go in this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Log {
    /// A queue that nobody consumes from before the end.
    Kept,
    /// A queue that is consumed from all the time.
    Worked,
    /// A partition of a topic.
    Partition(u32),
}

impl Log {
    const ALL: [Log; 5] =
        [Log::Kept, Log::Worked, Log::Partition(0), Log::Partition(1), Log::Partition(2)];

    fn target(self) -> Target<'static> {
        match self {
            Log::Kept => to_queue("kept"),
            Log::Worked => to_queue("worked"),
            Log::Partition(partition) => {
                Target::Topic { name: "events".into(), partition: Some(partition) }
            }
        }
    }
}

/// What the clients know, whatever the server went through.
#[derive(Default)]
struct Knowledge {
    next_id: u64,
    /// Every message that was ever sent, and where to.
    sent: HashMap<u64, Log>,
    /// Where the confirmed ones lie.
    confirmed: BTreeMap<(Log, u64), u64>,
    /// Messages of the worked queue of which an acknowledgement was asked for.
    ack_sent: BTreeSet<u64>,
    /// Those of which it was confirmed.
    acked: BTreeSet<u64>,
    /// How many failed attempts were confirmed of each message.
    failed: HashMap<u64, u32>,
}

type Shared = Arc<Mutex<Knowledge>>;

fn know<T>(shared: &Shared, with: impl FnOnce(&mut Knowledge) -> T) -> T {
    with(&mut shared.lock().expect("no task panics while it knows"))
}

/// A message's body: its number, and filling that depends on it.
fn body(id: u64) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.resize(8 + (id % 200) as usize, id as u8);
    body
}

fn id_of(found: &[u8]) -> u64 {
    let id = u64::from_le_bytes(found[..8].try_into().expect("a body has a number"));
    assert_eq!(found, body(id), "message {id} is not what was sent");
    id
}

/// Publishes with confirms, several batches at a time, until the server is gone.
async fn produce(mut client: Client, mut dice: Dice, shared: Shared) -> Result<(), Lost> {
    let mut waiting: HashMap<Tag, (Log, Vec<u64>)> = HashMap::new();
    loop {
        while waiting.len() < PIPELINE {
            let log = Log::ALL[dice.roll(Log::ALL.len() as u64) as usize];
            let count = 1 + dice.roll(20);
            let ids: Vec<u64> = know(&shared, |k| {
                let ids: Vec<u64> = (k.next_id..k.next_id + count).collect();
                k.next_id += count;
                k.sent.extend(ids.iter().map(|id| (*id, log)));
                ids
            });
            let records = batch(ids.iter().map(|id| body(*id)));
            let tag = client.ask(Op::publish(log.target(), true, records)).await?;
            waiting.insert(tag, (log, ids));
        }
        let (tag, base) = client
            .expect(|event| match event {
                Event::Published { tag, appends, .. } => Some((tag, appends[0].base)),
                Event::Refused { refusal, .. } => panic!("refused: {refusal}"),
                _ => None,
            })
            .await?;
        let (log, ids) = waiting.remove(&tag).expect("an answer has the tag of a request");
        know(&shared, |k| {
            for (at, id) in (base.0..).zip(ids) {
                let before = k.confirmed.insert((log, at), id);
                assert_eq!(before, None, "{log:?}@{at} was confirmed twice");
            }
        });
    }
}

/// Takes messages of the worked queue, acknowledges most and gives some back, until the server is
/// gone.
async fn consume(mut client: Client, mut dice: Dice, shared: Shared) -> Result<(), Lost> {
    loop {
        let got = client.take("worked", 100).await?;
        if got.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for message in got {
            let id = id_of(&message.body);
            know(&shared, |k| {
                assert_eq!(k.sent.get(&id), Some(&Log::Worked), "message {id} strayed");
                assert!(!k.acked.contains(&id), "message {id} came after its ack was confirmed");
                let failed = k.failed.get(&id).copied().unwrap_or(0);
                assert!(message.attempt > failed, "message {id}: attempts were forgotten");
            });
            let list = if dice.roll(5) == 0 { &mut failed } else { &mut done };
            list.push((id, message.lease));
        }
        // Some are not settled at all: the crash finds them leased.
        done.truncate(done.len() - done.len() / 4);
        let leases = |list: &[(u64, LeaseId)]| -> Vec<LeaseId> {
            list.iter().map(|(_, lease)| *lease).collect()
        };
        know(&shared, |k| k.ack_sent.extend(done.iter().map(|(id, _)| *id)));
        if !done.is_empty() {
            let count = client.ack(&leases(&done)).await?;
            assert_eq!(count as usize, done.len(), "leases of this connection are not stale");
            know(&shared, |k| k.acked.extend(done.iter().map(|(id, _)| *id)));
        }
        if !failed.is_empty() {
            let leases = leases(&failed).into();
            let tag = client.ask(Op::Nack { leases, delay: Span::ZERO }).await?;
            client.settled(tag).await?;
            know(&shared, |k| {
                for (id, _) in failed {
                    *k.failed.entry(id).or_default() += 1;
                }
            });
        }
    }
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

/// Everything that is ready in a queue: offset, attempt and body.
async fn drain(client: &mut Client, queue: &str) -> Vec<(u64, u32, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let got = client.take(queue, 256).await.expect("the server is there");
        if got.is_empty() {
            return all;
        }
        all.extend(got.into_iter().map(|m| (m.lease.offset.0, m.attempt, m.body)));
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

/// Compares what the server holds with what was confirmed.
async fn check(server: &Server, shared: &Shared) -> String {
    let mut client = Client::open(server).await;
    let mut partitions = Vec::new();
    for partition in 0..PARTITIONS {
        partitions.push(read_all(&mut client, "events", partition, Position::Earliest).await);
    }
    let ends = (queue_end(&mut client, "kept").await, queue_end(&mut client, "worked").await);
    let kept = drain(&mut client, "kept").await;
    let worked = drain(&mut client, "worked").await;
    know(shared, |k| {
        let mut found: BTreeMap<(Log, u64), u64> = BTreeMap::new();
        for (partition, bodies) in (0..).zip(&partitions) {
            let ids = (0..).zip(bodies).map(|(at, b)| ((Log::Partition(partition), at), id_of(b)));
            found.extend(ids);
        }
        assert_eq!(kept.len() as u64, ends.0, "offsets are dense, and nothing is gone");
        found.extend(kept.iter().map(|(at, _, b)| ((Log::Kept, *at), id_of(b))));
        found.extend(worked.iter().map(|(at, _, b)| ((Log::Worked, *at), id_of(b))));

        for (at, attempt, b) in &worked {
            let id = id_of(b);
            assert!(*at < ends.1);
            assert!(!k.acked.contains(&id), "message {id} is there after its ack was confirmed");
            let failed = k.failed.get(&id).copied().unwrap_or(0);
            assert!(*attempt > failed, "message {id}: attempts were forgotten");
        }
        let mut gone = 0;
        for (place, id) in &k.confirmed {
            match found.get(place) {
                Some(there) => assert_eq!(there, id, "another message lies at {place:?}"),
                None => {
                    assert_eq!(place.0, Log::Worked, "confirmed message {id} is lost: {place:?}");
                    assert!(k.ack_sent.contains(id), "message {id} is gone, and nobody acked it");
                    gone += 1;
                }
            }
        }
        let mut seen = BTreeSet::new();
        for ((log, at), id) in &found {
            assert_eq!(k.sent.get(id), Some(log), "{log:?}@{at}: message {id} was not sent there");
            assert!(seen.insert(*id), "message {id} is there twice");
        }
        assert!(!k.confirmed.is_empty() && !k.acked.is_empty() && !k.failed.is_empty());
        format!(
            "{} sent, {} confirmed, {} found, {} acked (confirmed {}), {gone} confirmed and gone",
            k.sent.len(),
            k.confirmed.len(),
            found.len(),
            k.ack_sent.len(),
            k.acked.len(),
        )
    })
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_survives_being_killed_under_load() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let seed = from_environment("FANLIGHT_CRASH_SEED").unwrap_or(clock.as_nanos() as u64);
    let rounds = from_environment("FANLIGHT_CRASH_ROUNDS").unwrap_or(u64::from(ROUNDS));
    println!("FANLIGHT_CRASH_SEED={seed} repeats the choices of this run");
    let mut dice = Dice(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let shared = Shared::default();
    for round in 0..rounds {
        // Small segments and snapshots, so that the kill finds those being made, too.
        let sync = ["always", "always", "interval", "never"][dice.roll(4) as usize];
        let segment = (16_384 << dice.roll(4)).to_string();
        let snapshot = (65_536 << dice.roll(4)).to_string();
        // And little memory, so that much of it lies on disk only.
        let memory = (1_024 << (4 * dice.roll(4))).to_string();
        let journal = ["--segment-bytes", &segment, "--snapshot-bytes", &snapshot];
        let args = [["--sync", sync, "--memory-bytes", &memory], journal].concat();
        let server = Server::start_in(dir.path(), &args);
        if round == 0 {
            let mut client = Client::open(&server).await;
            for queue in ["kept", "worked"] {
                client.declare_queue(queue, QueuePolicy::default()).await;
            }
            let op = Op::CreateTopic {
                name: "events".into(),
                partitions: PARTITIONS,
                policy: Default::default(),
            };
            client.done(op).await.expect("the server is there");
        }
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let client = Client::open(&server).await;
            tasks.spawn(produce(client, Dice(dice.roll(u64::MAX)), shared.clone()));
        }
        let client = Client::open(&server).await;
        tasks.spawn(consume(client, Dice(dice.roll(u64::MAX)), shared.clone()));
        tokio::time::sleep(Duration::from_millis(30 + dice.roll(400))).await;
        let ended = tokio::task::spawn_blocking(|| server.kill()).await.expect("it is killed");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        while let Some(result) = tasks.join_next().await {
            let lost = result.expect("what a client knew came true").expect_err("it was killed");
            drop(lost);
        }
    }
    let server = Server::start_in(dir.path(), &[]);
    let summary = check(&server, &shared).await;
    println!("killed {rounds} times: {summary}");
}
