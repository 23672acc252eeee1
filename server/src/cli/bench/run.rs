//! One run: what its tasks share, and how they begin and end together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;

use fanlight_server::client::Client;

use super::consume::{Source, consume};
use super::measure::{Side, Tally};
use super::options::{Extent, Plan, STAMP_BYTES, Workload};
use super::produce::{Share, produce};
use super::stage::Stage;
use crate::cli::Session;
use crate::cli::failure::Failure;
use crate::cli::output::counted;

/// How long nothing may arrive of what was published, before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run measured.
pub(super) struct Measured {
    pub(super) publish: Side,
    pub(super) consume: Side,
}

/// When a message was due, and which one it is: the beginning of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Nanoseconds from the run's beginning.
    pub(super) due: u64,
    pub(super) number: u64,
}

impl Stamp {
    pub(super) fn write(self, body: &mut [u8]) {
        body[..8].copy_from_slice(&self.due.to_le_bytes());
        body[8..STAMP_BYTES].copy_from_slice(&self.number.to_le_bytes());
    }

    pub(super) fn read(body: &[u8]) -> Option<Stamp> {
        let (due, rest) = body.split_first_chunk()?;
        let number = rest.first_chunk()?;
        Some(Stamp { due: u64::from_le_bytes(*due), number: u64::from_le_bytes(*number) })
    }
}

/// What the tasks of a run share.
pub(super) struct Run {
    begun: Instant,
    /// Messages that are due from then on count.
    pub(super) warm: u64,
    /// Messages that would be due from then on are not published.
    pub(super) end: Option<u64>,
    pub(super) copies: u64,
    pub(super) batch: usize,
    pub(super) size: usize,
    /// Room for messages that are published and not yet consumed, a permit for each copy.
    pub(super) backlog: Semaphore,
    delivered: AtomicU64,
    /// How many will be delivered in all, once that is known.
    expected: AtomicU64,
    arrived: Notify,
}

impl Run {
    fn new(plan: &Plan) -> Run {
        let warm = plan.warmup.as_nanos() as u64;
        let end = match plan.extent {
            Extent::Time(time) => Some(warm + time.as_nanos() as u64),
            Extent::Messages(_) => None,
        };
        let copies = plan.copies();
        let backlog = match plan.apart {
            true => Semaphore::MAX_PERMITS / 2,
            false => (plan.backlog * copies as usize).min(Semaphore::MAX_PERMITS / 2),
        };
        Run {
            begun: Instant::now(),
            warm,
            end,
            copies,
            batch: plan.batch,
            size: plan.size,
            backlog: Semaphore::new(backlog),
            delivered: AtomicU64::new(0),
            expected: AtomicU64::new(u64::MAX),
            arrived: Notify::new(),
        }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Takes room for so many copies of messages, if there is as much.
    pub(super) fn reserve(&self, room: u32) -> bool {
        self.backlog.try_acquire_many(room).map(SemaphorePermit::forget).is_ok()
    }

    /// Counts messages that a consumer got.
    pub(super) fn delivered(&self, count: u64) {
        self.backlog.add_permits(count as usize);
        let so_far = self.delivered.fetch_add(count, Ordering::AcqRel) + count;
        if so_far >= self.expected.load(Ordering::Acquire) {
            self.arrived.notify_one();
        }
    }

    /// Waits until so many messages are delivered; fails if they do not come any more.
    async fn all_delivered(&self, expected: u64) -> Result<(), Failure> {
        self.expected.store(expected, Ordering::Release);
        let mut before = self.delivered.load(Ordering::Acquire);
        while before < expected {
            let patience = tokio::time::timeout(PATIENCE, self.arrived.notified()).await;
            let so_far = self.delivered.load(Ordering::Acquire);
            if patience.is_err() && so_far == before {
                return Err(Failure::failed(format!(
                    "{so_far} of {} came, and no other within {} s",
                    counted(expected, "message"),
                    PATIENCE.as_secs()
                )));
            }
            before = so_far;
        }
        Ok(())
    }
}

/// Makes what the run needs, publishes, consumes, and counts.
pub(super) async fn measure(
    plan: &Plan,
    session: &Session,
    stage: &mut Stage,
    control: &mut Client,
) -> Result<Measured, Failure> {
    stage.make(control).await?;
    let stage = &*stage;
    let idle = idle(plan, session).await?;
    let producers = connect(session, "bench producer", plan.producers).await?;
    let consumers = connect(session, "bench consumer", plan.consumers).await?;
    let run = Arc::new(Run::new(plan));
    let (stop, stopped) = watch::channel(false);
    let publish = async {
        let published = join(publishing(plan, stage, producers, &run)?).await?;
        Ok::<Tally, Failure>(published)
    };
    let consume = |run: Arc<Run>| join(consuming(plan, stage, consumers, &run, &stopped));
    let finish = async |published: &Tally| {
        run.all_delivered(published.all * run.copies).await?;
        // Consumers that have failed meanwhile are heard by whoever joins them.
        let _ = stop.send(true);
        Ok::<(), Failure>(())
    };
    let (published, consumed, from) = if plan.apart {
        let published = publish.await?;
        let from = run.now();
        let ((), consumed) = tokio::try_join!(finish(&published), consume(run.clone()))?;
        (published, consumed, from)
    } else {
        let publish = async {
            let published = publish.await?;
            finish(&published).await?;
            Ok(published)
        };
        let (published, consumed) = tokio::try_join!(publish, consume(run.clone()))?;
        (published, consumed, run.warm)
    };
    drop(idle);
    check(&published, &consumed, run.copies)?;
    Ok(Measured {
        publish: Side { tally: published, from: run.warm },
        consume: Side { tally: consumed, from },
    })
}

/// Whether every message came, and none twice.
fn check(published: &Tally, consumed: &Tally, copies: u64) -> Result<(), Failure> {
    let expected = (published.all * copies, published.numbers.wrapping_mul(copies));
    let came = (consumed.all, consumed.numbers);
    if came == expected {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{} were published and {} came, with numbers that sum up to {} where it should be {}; a \
         lease that ended before its acknowledgement is delivered again",
        counted(expected.0, "message"),
        came.0,
        came.1,
        expected.1
    )))
}

async fn connect(session: &Session, name: &str, count: usize) -> Result<Vec<Client>, Failure> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(session.connect(name).await?);
    }
    Ok(clients)
}

/// Connections that only answer pings.
async fn idle(plan: &Plan, session: &Session) -> Result<JoinSet<()>, Failure> {
    let mut idle = JoinSet::new();
    for mut client in connect(session, "bench idle", plan.idle).await? {
        idle.spawn(async move { while client.next().await.is_ok() {} });
    }
    Ok(idle)
}

fn publishing(
    plan: &Plan,
    stage: &Stage,
    clients: Vec<Client>,
    run: &Arc<Run>,
) -> Result<JoinSet<Result<Tally, Failure>>, Failure> {
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let share = Share::new(plan, stage, index, run)?;
        tasks.spawn(produce(client, share, run.clone()));
    }
    Ok(tasks)
}

fn consuming(
    plan: &Plan,
    stage: &Stage,
    clients: Vec<Client>,
    run: &Arc<Run>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<Result<Tally, Failure>> {
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let max = plan.outstanding;
        let source = match plan.workload {
            Workload::Stream => {
                let topic = stage.topic().to_owned();
                Source::Partition { topic, partition: index as u32, max }
            }
            Workload::Queue | Workload::QueueBatch | Workload::Fanout | Workload::Floor => {
                let one_by_one = plan.workload == Workload::Queue;
                Source::Queue { name: stage.queue(index), prefetch: max, one_by_one }
            }
        };
        tasks.spawn(consume(client, source, run.clone(), stopped.clone()));
    }
    tasks
}

/// What all tasks counted; the first that fails ends the others.
async fn join(mut tasks: JoinSet<Result<Tally, Failure>>) -> Result<Tally, Failure> {
    let mut sum = Tally::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(tally) => sum.add(&tally?),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { due: 1 << 40, number: 7 };
        let mut body = [b'x'; 20];
        stamp.write(&mut body);
        assert_eq!(Stamp::read(&body), Some(stamp));
        assert_eq!(Stamp::read(&body[..15]), None);
        assert_eq!(&body[16..], b"xxxx");
    }

    #[test]
    fn a_message_that_is_missing_or_came_twice_is_noticed() {
        let tally = |all, numbers| Tally { all, numbers, ..Tally::new() };
        assert!(check(&tally(3, 6), &tally(6, 12), 2).is_ok());
        for came in [tally(5, 12), tally(6, 11), tally(7, 12)] {
            let failure = check(&tally(3, 6), &came, 2).expect_err("it is noticed").to_string();
            assert!(failure.starts_with("6 messages were published"), "{failure}");
        }
    }
}
