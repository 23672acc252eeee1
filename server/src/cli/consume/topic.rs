//! Consuming a topic: as a member of a group, or partition by partition without one.

use std::time::Duration;

use fanlight_core::{
    Budget, Code, CommitOffset, Event, Fetched, Generation, MemberId, Offset, Op, Overview,
    Position, Span, Start,
};
use fanlight_server::client::{Client, ClientError, answered};

use super::Options;
use super::record::{Found, From, Printer};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::parse::Place;
use crate::cli::{names, topics};

/// Records asked for at once.
const RECORDS_MAX: u32 = 500;
/// How long a poll waits for more. It stands for a heartbeat too.
const POLL_WAIT: Span = Span::from_secs(5);
/// How often partitions are read again that had nothing new: a read does not wait.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// Prints a run of records, at most `left` of them; gives how many.
fn print(fetched: &Fetched<'_>, left: u64, printer: &mut Printer<'_>) -> Result<u64, Failure> {
    let mut count = 0;
    let records = fetched.records.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
    for (record, index) in records.zip(0..) {
        printer.print(&Found {
            record,
            offset: fetched.offset(index),
            from: From::Topic {
                topic: &fetched.topic,
                partition: fetched.partition,
                appended_at: fetched.appended_at,
            },
        })?;
        count += 1;
    }
    Ok(count)
}

/// A member of a group while it reads.
struct Member {
    id: MemberId,
    generation: Generation,
    partitions: Option<usize>,
}

impl Member {
    /// Takes an event that answers nothing.
    fn told(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if let Event::Assigned { member, generation, partitions } = event
            && *member == self.id
        {
            self.generation = *generation;
            self.partitions = Some(partitions.len());
        } else if let Event::Expelled { member, .. } = event
            && *member == self.id
        {
            return Err(Failure::failed(
                "this member is out of the group: it was silent for its session timeout, its topic \
                 was deleted, or somebody removed it; what was printed and not committed will be \
                 delivered again",
            ));
        }
        Ok(())
    }
}

/// Reads as a member of a group, and commits what was printed.
pub(super) async fn poll(
    client: &mut Client,
    options: &Options,
    group: &str,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let start = match options.from {
        None | Some(Place::Earliest) => Start::Earliest,
        Some(Place::Latest) => Start::Latest,
        Some(Place::At(_) | Place::Since(_) | Place::Ago(_)) => {
            return Err(Failure::usage(format!(
                "with --group, --from is earliest or latest; `fanlight groups reset {group} \
                 --topic {} --to …` moves a group",
                options.target
            )));
        }
    };
    let topic = options.target.as_str();
    let topics = [topic.into()];
    let op = Op::Join {
        group: group.into(),
        topics: topics[..].into(),
        assignor: Default::default(),
        start,
        session_timeout: None,
        instance: None,
        rebalance_timeout: None,
    };
    let joined = match client.request(op).await {
        Ok(joined) => joined,
        Err(error) => return Err(names::explain(client, error, topic).await),
    };
    let Event::Joined { member: id, .. } = joined.event()? else {
        return Err(ClientError::unexpected("Joined", &joined.event()?).into());
    };
    let mut member = Member { id, generation: Generation(0), partitions: None };
    let result = poll_on(client, options, &mut member, printer).await;
    // Whatever ended it, the others get its partitions now rather than after its session.
    let left = client.done(Op::Leave { member: id }).await;
    match result {
        Ok(()) if left.as_ref().is_err_and(|e| e.code() == Some(Code::UnknownMember)) => Ok(()),
        Ok(()) => Ok(left?),
        Err(failure) => Err(failure),
    }
}

async fn poll_on(
    client: &mut Client,
    options: &Options,
    member: &mut Member,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut left = options.max.unwrap_or(u64::MAX);
    while left > 0 {
        let records_max = left.min(u64::from(RECORDS_MAX)) as u32;
        let wait = if options.follow { POLL_WAIT } else { Span::ZERO };
        let tag = client
            .send(Op::Poll { member: member.id, budget: Budget::waiting(records_max, wait) })
            .await?;
        // Assignments come between: they are heard in their order, before what was polled.
        let frame = loop {
            let frame = tokio::select! {
                frame = client.next() => frame?,
                _ = &mut interrupted => return Ok(()),
            };
            let event = frame.event()?;
            if let Event::Refused { refusal, .. } = event {
                return Err(Failure::failed(refusal.to_string()));
            }
            if answered(&event) == Some(tag) {
                break frame;
            }
            member.told(&event)?;
        };
        let Event::Polled { batches, .. } = frame.event()? else { continue };
        for fetched in batches.iter() {
            left -= print(fetched, left, printer)?;
        }
        printer.flush()?;
        commit(client, member, &batches).await?;
        if batches.is_empty() && !options.follow {
            if member.partitions == Some(0) {
                output::note(
                    "no partition is assigned to this member: other members of the group have \
                     them all",
                );
            }
            return Ok(());
        }
    }
    Ok(())
}

/// Commits what was printed.
async fn commit(
    client: &mut Client,
    member: &Member,
    batches: &[Fetched<'_>],
) -> Result<(), Failure> {
    let offsets: Vec<CommitOffset<'_>> = batches
        .iter()
        .map(|fetched| CommitOffset {
            topic: fetched.topic.as_ref().into(),
            partition: fetched.partition,
            offset: fetched.next,
            metadata: "".into(),
        })
        .collect();
    if offsets.is_empty() {
        return Ok(());
    }
    let op = Op::Commit {
        member: member.id,
        generation: member.generation,
        offsets: (&offsets[..]).into(),
    };
    match client.done(op).await {
        Ok(()) => Ok(()),
        Err(error) if error.code() == Some(Code::Fenced) => {
            output::note(
                "a partition went to another member before what was printed of it was committed: \
                 it will be delivered there again",
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Where reading is in one partition.
struct Reading {
    partition: u32,
    next: Position,
}

/// Reads partitions without a group.
pub(super) async fn read(
    client: &mut Client,
    options: &Options,
    overview: &Overview,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let topic = topics::find(overview, &options.target)?;
    let from = options.from.unwrap_or(Place::Earliest);
    let mut readings: Vec<Reading> = Vec::new();
    for (number, partition) in topic.partitions.iter().enumerate() {
        let number = number as u32;
        if options.partition.is_some_and(|only| only != number) {
            continue;
        }
        let next = match from {
            // One offset for several partitions: each begins as near to it as it can.
            Place::At(offset) if options.partition.is_none() && topic.partitions.len() > 1 => {
                Position::At(Offset(offset.clamp(partition.start.0, partition.end.0)))
            }
            // Where the end is now, so that what comes while other partitions are read is seen.
            Place::Latest => Position::At(partition.end),
            Place::Earliest | Place::At(_) | Place::Since(_) | Place::Ago(_) => {
                from.position(overview.now)
            }
        };
        readings.push(Reading { partition: number, next });
    }
    if let (true, Some(partition)) = (readings.is_empty(), options.partition) {
        return Err(Failure::failed(format!(
            "topic {} has no partition {partition}; it has 0 to {}",
            topic.name,
            topic.partitions.len().saturating_sub(1)
        )));
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    tokio::select! {
        result = read_on(client, options, &mut readings, printer) => result,
        _ = &mut interrupted => printer.flush(),
    }
}

async fn read_on(
    client: &mut Client,
    options: &Options,
    readings: &mut [Reading],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut left = options.max.unwrap_or(u64::MAX);
    loop {
        let mut read = 0;
        for reading in readings.iter_mut() {
            loop {
                let got = read_once(client, options, reading, left, printer).await?;
                (read, left) = (read + got, left - got);
                if left == 0 || got == 0 || options.follow {
                    break;
                }
            }
        }
        printer.flush()?;
        match (left, read) {
            (0, _) => return Ok(()),
            (_, 0) if !options.follow => return Ok(()),
            (_, 0) => tokio::time::sleep(READ_AGAIN).await,
            (_, _) => {}
        }
    }
}

async fn read_once(
    client: &mut Client,
    options: &Options,
    reading: &mut Reading,
    left: u64,
    printer: &mut Printer<'_>,
) -> Result<u64, Failure> {
    if left == 0 {
        return Ok(0);
    }
    let op = Op::Read {
        topic: options.target.as_str().into(),
        partition: reading.partition,
        from: reading.next,
        budget: Budget::records(left.min(u64::from(RECORDS_MAX)) as u32),
    };
    let frame = match client.request(op).await {
        Ok(frame) => frame,
        Err(error) => return Err(names::explain(client, error, &options.target).await),
    };
    let event = frame.event()?;
    let Event::ReadDone { batch, .. } = event else {
        return Err(ClientError::unexpected("ReadDone", &event).into());
    };
    // A time stays as it is: the first record from then on may be yet to come.
    let Some(batch) = batch else { return Ok(0) };
    let printed = print(&batch, left, printer)?;
    let all = printed == u64::from(batch.records.count());
    reading.next = Position::At(if all { batch.next } else { batch.offset(printed as u32) });
    Ok(printed)
}
