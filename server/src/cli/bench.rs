//! `fanlight bench`: messages a second through WebSocket connections.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use fanlight_core::limits::{BATCH_RECORDS_MAX, DELIVERIES_PER_EVENT_MAX};
use fanlight_core::{Batch, Budget, Event, LeaseId, Op, Position, QueuePolicy, Records, Target};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::failure::Failure;
use super::output::{self, Output, counted};
use super::publish::bar_style;

/// How much to measure, and of what.
#[derive(Clone, clap::Args)]
#[command(
    after_help = "Publishes to a topic or a queue of its own, which it deletes afterwards; then \
                  consumes all of it through another connection. What a confirm costs depends on \
                  the server's --sync.\n\n\
                  Example:\n  fanlight bench --messages 200000 --size 100 --batch 100 --mode queue"
)]
pub(crate) struct Options {
    /// How many messages
    #[arg(long, default_value_t = 100_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    messages: u64,
    /// Bytes of each message's body
    #[arg(long, default_value_t = 100, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..=(1 << 20)))]
    size: u64,
    /// Messages of a batch, published or consumed
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=BATCH_RECORDS_MAX as u64))]
    batch: u64,
    /// Batches published without an answer yet
    #[arg(long, default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=4096))]
    in_flight: u64,
    /// A topic of one partition, read without a group; or a queue, leased and acknowledged
    #[arg(long, value_enum, default_value = "stream")]
    mode: Mode,
    /// Publish and consume at the same time instead of one after the other
    #[arg(long)]
    together: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Stream,
    Queue,
}

/// What one side did.
struct Measured {
    messages: u64,
    took: Duration,
    /// How long each batch waited for its answer, sorted.
    waits: Vec<Duration>,
}

/// Runs `fanlight bench`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let name = format!("fanlight-bench-{}", std::process::id());
    let mut publisher = session.connect("bench publisher").await?;
    let mut consumer = session.connect("bench consumer").await?;
    make(&mut publisher, options.mode, &name).await?;
    let result = tokio::select! {
        result = measure(&mut publisher, &mut consumer, &options, &name) => result,
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::Interrupted("interrupted before anything was measured".to_owned()))
        }
    };
    // Whatever happened, nothing is left behind.
    let removed = remove(&mut consumer, options.mode, &name).await;
    let (published, consumed) = result?;
    removed?;
    print(&options, &published, &consumed, &mut session.out)?;
    publisher.close().await;
    consumer.close().await;
    Ok(())
}

async fn make(client: &mut Client, mode: Mode, name: &str) -> Result<(), ClientError> {
    let name = name.into();
    client
        .done(match mode {
            Mode::Stream => Op::CreateTopic { name, partitions: 1, policy: Default::default() },
            Mode::Queue => Op::DeclareQueue { name, policy: QueuePolicy::default() },
        })
        .await
}

async fn remove(client: &mut Client, mode: Mode, name: &str) -> Result<(), ClientError> {
    let name = name.into();
    client
        .done(match mode {
            Mode::Stream => Op::DeleteTopic { name },
            Mode::Queue => Op::DeleteQueue { name, if_empty: false, if_unused: false },
        })
        .await
}

async fn measure(
    publisher: &mut Client,
    consumer: &mut Client,
    options: &Options,
    name: &str,
) -> Result<(Measured, Measured), Failure> {
    let bar = indicatif::ProgressBar::new(options.messages * 2)
        .with_style(bar_style("{human_pos}/{human_len}"))
        .with_message("published and consumed");
    let publish = publish(publisher, options, name, &bar);
    let consume = async {
        match options.mode {
            Mode::Stream => read(consumer, options, name, &bar).await,
            Mode::Queue => work(consumer, options, name, &bar).await,
        }
    };
    let both = match options.together {
        true => tokio::try_join!(publish, consume)?,
        false => (publish.await?, consume.await?),
    };
    bar.finish_and_clear();
    Ok(both)
}

fn batch_of(options: &Options, count: u64) -> Records<'static> {
    let body = vec![b'x'; options.size as usize];
    let mut batch = Batch::new();
    for _ in 0..count {
        batch.push_body(&body);
    }
    batch.finish().expect("a batch has at least one record")
}

async fn publish(
    client: &mut Client,
    options: &Options,
    name: &str,
    bar: &indicatif::ProgressBar,
) -> Result<Measured, Failure> {
    let full = batch_of(options, options.batch.min(options.messages));
    let mut sent = std::collections::VecDeque::new();
    let (mut left, mut waits) = (options.messages, Vec::new());
    let started = Instant::now();
    while left > 0 || !sent.is_empty() {
        if left > 0 && sent.len() < options.in_flight as usize {
            let count = left.min(options.batch);
            let records = if count == u64::from(full.count()) {
                full.clone()
            } else {
                batch_of(options, count)
            };
            let to = match options.mode {
                Mode::Stream => Target::Topic { name: name.into(), partition: Some(0) },
                Mode::Queue => Target::Queue { name: name.into() },
            };
            let at = Instant::now();
            let tag = client.send(Op::publish(to, true, records)).await?;
            sent.push_back((tag, at));
            left -= count;
            bar.inc(count);
            continue;
        }
        let frame = client.next().await?;
        let event = frame.event()?;
        if let Event::Published { tag, .. } = event {
            // One connection's requests are answered in their order.
            if let Some((sent, at)) = sent.pop_front()
                && sent == tag
            {
                waits.push(at.elapsed());
            }
        } else if let Event::Refused { refusal, .. } = event {
            return Err(Failure::failed(refusal.to_string()));
        }
    }
    let took = started.elapsed();
    waits.sort_unstable();
    Ok(Measured { messages: options.messages, took, waits })
}

async fn read(
    client: &mut Client,
    options: &Options,
    name: &str,
    bar: &indicatif::ProgressBar,
) -> Result<Measured, Failure> {
    let (mut from, mut messages, mut waits) = (Position::Earliest, 0, Vec::new());
    let started = Instant::now();
    while messages < options.messages {
        let records_max = options.batch as u32;
        let at = Instant::now();
        let op = Op::Read {
            topic: name.into(),
            partition: 0,
            from,
            budget: Budget::records(records_max),
        };
        let frame = client.request(op).await?;
        if let Event::ReadDone { batch: Some(batch), .. } = frame.event()? {
            let count = u64::from(batch.records.count());
            messages += count;
            from = Position::At(batch.next);
            bar.inc(count);
            waits.push(at.elapsed());
        } else if options.together {
            tokio::task::yield_now().await;
        } else {
            return Err(Failure::failed(format!(
                "the topic ends after {} of {}",
                counted(messages, "message"),
                options.messages
            )));
        }
    }
    let took = started.elapsed();
    waits.sort_unstable();
    Ok(Measured { messages, took, waits })
}

async fn work(
    client: &mut Client,
    options: &Options,
    name: &str,
    bar: &indicatif::ProgressBar,
) -> Result<Measured, Failure> {
    let (mut messages, mut unanswered, mut waits) = (0, 0u64, Vec::new());
    let started = Instant::now();
    let prefetch = (options.batch * 4).min(65_535) as u32;
    client
        .request(Op::Consume {
            queue: name.into(),
            prefetch,
            visibility: None,
            auto_ack: false,
            exclusive: false,
        })
        .await?;
    let mut leases: Vec<LeaseId> = Vec::new();
    let per_ack = (options.batch as usize).min(DELIVERIES_PER_EVENT_MAX);
    let mut acked_at = std::collections::VecDeque::new();
    while messages < options.messages || unanswered > 0 {
        let frame = client.next().await?;
        let event = frame.event()?;
        if let Event::Delivered { deliveries, .. } = event {
            messages += deliveries.len() as u64;
            bar.inc(deliveries.len() as u64);
            leases.extend(deliveries.iter().map(|delivery| delivery.lease));
        } else if let Event::Settled { stale, .. } = event {
            unanswered -= 1;
            waits.extend(acked_at.pop_front().map(|at: Instant| at.elapsed()));
            if !stale.is_empty() {
                return Err(Failure::failed(format!(
                    "{} ended before they were acknowledged; a smaller --batch helps",
                    counted(stale.len() as u64, "lease")
                )));
            }
        } else if let Event::Refused { refusal, .. } = event {
            return Err(Failure::failed(refusal.to_string()));
        }
        if leases.len() >= per_ack || (messages >= options.messages && !leases.is_empty()) {
            client.send(Op::Ack { leases: (&leases[..]).into() }).await?;
            acked_at.push_back(Instant::now());
            unanswered += 1;
            leases.clear();
        }
    }
    let took = started.elapsed();
    waits.sort_unstable();
    Ok(Measured { messages, took, waits })
}

fn print(
    options: &Options,
    published: &Measured,
    consumed: &Measured,
    out: &mut Output,
) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let machine = format!("{cores} cores, {} {}", std::env::consts::OS, std::env::consts::ARCH);
    if out.is_json() {
        let side = |side: &Measured| {
            json!({
                "messages": side.messages,
                "seconds": side.took.as_secs_f64(),
                "messagesPerSecond": side.rate(),
                "megabytesPerSecond": side.rate() * options.size as f64 / 1e6,
                "waitMsMedian": side.wait(0.5).as_secs_f64() * 1e3,
                "waitMs99": side.wait(0.99).as_secs_f64() * 1e3,
            })
        };
        return out.document(&json!({
            "machine": machine,
            "mode": format!("{:?}", options.mode).to_lowercase(),
            "messages": options.messages,
            "bodyBytes": options.size,
            "batch": options.batch,
            "inFlight": options.in_flight,
            "together": options.together,
            "publish": side(published),
            "consume": side(consumed),
        }));
    }
    out.line(format!("machine  {machine}, shared by client and server if both run here"))?;
    let mode = match options.mode {
        Mode::Stream => "a topic of one partition",
        Mode::Queue => "a queue, leased and acknowledged",
    };
    out.line(format!(
        "load     {} of {} through {mode}, batches of {}, {} in flight",
        counted(options.messages, "message"),
        HumanBytes(options.size),
        options.batch,
        options.in_flight
    ))?;
    let mut table = output::Table::new(&[
        "SIDE",
        "MESSAGES/S",
        "MB/S",
        "SECONDS",
        "WAIT-P50-MS",
        "WAIT-P99-MS",
    ]);
    for (name, side) in [("publish", published), ("consume", consumed)] {
        table.row([
            name.to_owned(),
            HumanCount(side.rate() as u64).to_string(),
            format!("{:.1}", side.rate() * options.size as f64 / 1e6),
            format!("{:.2}", side.took.as_secs_f64()),
            format!("{:.2}", side.wait(0.5).as_secs_f64() * 1e3),
            format!("{:.2}", side.wait(0.99).as_secs_f64() * 1e3),
        ]);
    }
    out.table(&table, "")
}

impl Measured {
    fn rate(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// The wait that this share of the batches did not exceed.
    fn wait(&self, share: f64) -> Duration {
        let at = (self.waits.len() as f64 * share) as usize;
        self.waits.get(at.min(self.waits.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_one_that_a_share_of_batches_did_not_exceed() {
        let waits = (1..=100).map(Duration::from_millis).collect();
        let measured = Measured { messages: 100, took: Duration::from_secs(2), waits };
        assert_eq!(measured.wait(0.5), Duration::from_millis(51));
        assert_eq!(measured.wait(0.99), Duration::from_millis(100));
        assert_eq!(measured.rate(), 50.0);
        let none = Measured { messages: 0, took: Duration::ZERO, waits: Vec::new() };
        assert_eq!(none.wait(0.99), Duration::ZERO);
    }
}
