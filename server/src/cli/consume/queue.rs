//! Consuming a queue: leased, printed, settled.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fanlight_core::limits::{DELIVERIES_PER_EVENT_MAX, LEASES_PER_REQUEST_MAX};
use fanlight_core::{ConsumerId, Delivery, Event, LeaseId, Offset, Op, Span};
use fanlight_server::client::{Client, ClientError};

use super::record::{Found, From, Printer};
use super::{Options, Settle};
use crate::cli::failure::Failure;
use crate::cli::output::{self, counted};
use crate::cli::{names, queues};

/// How long giving back what was not printed may take, at the end.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

/// Shows messages without taking them.
pub(super) async fn peek(
    client: &mut Client,
    options: &Options,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let from = match options.from {
        None | Some(super::Place::Earliest) => 0,
        Some(super::Place::At(offset)) => offset,
        Some(_) => {
            return Err(Failure::usage("--from with --peek is an offset, as --from 1200"));
        }
    };
    let queue = options.target.as_str();
    let max = options.max.unwrap_or(u64::MAX);
    queues::peek(client, queue, Offset(from), max, |message| {
        printer.print(&Found {
            record: message.0.record.record(),
            offset: message.0.offset,
            from: From::Queue {
                queue,
                attempt: message.0.attempts_failed,
                appended_at: message.0.at,
                via: message.0.via.as_ref(),
            },
        })
    })
    .await?;
    printer.flush()
}

/// Takes messages, prints them and settles them.
pub(super) async fn consume(
    client: &mut Client,
    options: &Options,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut work = Work {
        queue: &options.target,
        settle: options.settle(),
        delay: options.delay.unwrap_or(Span::ZERO),
        consumer: None,
        unseen: Vec::new(),
        held: Vec::new(),
        stale: 0,
        printer,
    };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let result = match options.follow {
        true => follow(client, options, &mut work, interrupted.as_mut()).await,
        false => drain(client, options, &mut work, interrupted.as_mut()).await,
    };
    let released = tokio::time::timeout(RELEASE_WAIT, work.release_unseen(client)).await;
    result?;
    released.unwrap_or(Ok(()))?;
    if work.stale > 0 {
        output::note(format_args!(
            "{} printed after their lease had ended, and will be delivered again; a smaller \
             --prefetch helps",
            counted(work.stale, "message")
        ));
    }
    Ok(())
}

struct Work<'w, 'o> {
    queue: &'w str,
    settle: Settle,
    delay: Span,
    /// Where messages are pushed to.
    consumer: Option<ConsumerId>,
    /// Taken, and not printed for sure.
    unseen: Vec<LeaseId>,
    /// Printed, and not settled yet.
    held: Vec<LeaseId>,
    stale: u64,
    printer: &'w mut Printer<'o>,
}

/// Takes what is there, and no more.
async fn drain(
    client: &mut Client,
    options: &Options,
    work: &mut Work<'_, '_>,
    mut interrupted: Pin<&mut impl Future>,
) -> Result<(), Failure> {
    // A message that is given back comes again: each is taken once, so no more are than were
    // ready at the start.
    let overview = client.overview().await?;
    let gives_back = work.settle != Settle::Ack;
    let there = queues::ready(&overview, work.queue)?;
    let bound = if gives_back { there } else { u64::MAX };
    let mut left = options.max.unwrap_or(u64::MAX).min(bound);
    while left > 0 {
        let most = left.min(u64::from(options.prefetch)).min(DELIVERIES_PER_EVENT_MAX as u64);
        let op = Op::Receive {
            queue: work.queue.into(),
            messages_max: most as u32,
            wait: Span::ZERO,
            visibility: None,
            auto_ack: false,
        };
        let frame = tokio::select! {
            frame = client.request(op) => frame,
            _ = &mut interrupted => break,
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Err(names::explain(client, error, work.queue).await),
        };
        let event = frame.event()?;
        let Event::Received { deliveries, .. } = &event else {
            return Err(ClientError::unexpected("Received", &event).into());
        };
        if deliveries.is_empty() {
            break;
        }
        left -= deliveries.len() as u64;
        work.print(deliveries)?;
        if !gives_back {
            work.settle_held(client).await?;
        }
    }
    work.settle_held(client).await
}

/// Takes what comes, until it is told to stop.
async fn follow(
    client: &mut Client,
    options: &Options,
    work: &mut Work<'_, '_>,
    mut interrupted: Pin<&mut impl Future>,
) -> Result<(), Failure> {
    let mut left = options.max.unwrap_or(u64::MAX);
    let prefetch = left.min(u64::from(options.prefetch)) as u32;
    let op = Op::Consume {
        queue: work.queue.into(),
        prefetch,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    match client.request(op).await {
        Ok(answer) => {
            if let Event::Consuming { consumer, .. } = answer.event()? {
                work.consumer = Some(consumer);
            }
        }
        Err(error) => return Err(names::explain(client, error, work.queue).await),
    }
    while left > 0 {
        let frame = tokio::select! {
            frame = client.next() => frame?,
            _ = &mut interrupted => break,
        };
        let event = frame.event()?;
        if let Event::Delivered { deliveries, .. } = event {
            let taken = deliveries.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= taken as u64;
            work.unseen.extend(deliveries[taken..].iter().map(|delivery| delivery.lease));
            work.print(&deliveries[..taken])?;
            if work.settle != Settle::Hold {
                work.settle_held(client).await?;
            }
        } else if let Event::Cancelled { .. } = event {
            return Err(Failure::failed(format!("queue {} was deleted", work.queue)));
        }
    }
    Ok(())
}

impl Work<'_, '_> {
    /// Prints deliveries and keeps their leases.
    fn print(&mut self, deliveries: &[Delivery<'_>]) -> Result<(), Failure> {
        let before = self.unseen.len();
        self.unseen.extend(deliveries.iter().map(|delivery| delivery.lease));
        for delivery in deliveries {
            self.printer.print(&Found {
                record: delivery.record.record(),
                offset: delivery.lease.offset,
                from: From::Queue {
                    queue: self.queue,
                    attempt: delivery.attempt,
                    appended_at: delivery.appended_at,
                    via: delivery.via.as_ref(),
                },
            })?;
        }
        self.printer.flush()?;
        self.held.extend(self.unseen.drain(before..));
        Ok(())
    }

    /// Gives back what was taken and not printed, so that no attempt is counted for it.
    async fn release_unseen(&mut self, client: &mut Client) -> Result<(), Failure> {
        // Everything that was on the way has arrived once this is answered.
        match self.consumer {
            Some(consumer) => client.done(Op::Cancel { consumer }).await?,
            None => drop(client.overview().await?),
        }
        while let Some(frame) = client.next_arrived() {
            if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } =
                frame.event()?
            {
                self.unseen.extend(deliveries.iter().map(|delivery| delivery.lease));
            }
        }
        for leases in self.unseen.chunks(LEASES_PER_REQUEST_MAX) {
            client.request(Op::Release { leases: leases.into() }).await?;
        }
        Ok(())
    }

    /// Settles what was printed; what is held is returned when the connection closes.
    async fn settle_held(&mut self, client: &mut Client) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.held);
        for leases in held.chunks(LEASES_PER_REQUEST_MAX) {
            let op = match self.settle {
                Settle::Ack => Op::Ack { leases: leases.into() },
                Settle::Nack => Op::Nack { leases: leases.into(), delay: self.delay },
                Settle::Reject => Op::Reject { leases: leases.into() },
                Settle::Hold => return Ok(()),
            };
            let answer = client.request(op).await?;
            if let Event::Settled { stale, .. } = answer.event()? {
                self.stale += stale.len() as u64;
            }
        }
        Ok(())
    }
}
