//! What clients do while the server is killed, each for as long as it is there.

use std::collections::HashMap;

use fanlight_core::{Event, LeaseId, Op, Span, Tag};

use super::Dice;
use super::knowledge::{DELIVERIES_MAX, Log, Shared, body, id_of, know};
use crate::client::{Client, Got, Lost, batch};

/// How many clients there are.
pub(super) const TASKS: u32 = 5;
/// Batches published without an answer yet.
const PIPELINE: usize = 8;

/// Connects, and does what this client does until the server is gone.
pub(super) async fn begin(task: u32, url: String, dice: Dice, shared: Shared) -> Result<(), Lost> {
    let client = Client::try_open_at(&url).await?;
    match task {
        0 | 1 => produce(client, dice, shared).await,
        2 => consume(client, Log::Worked, dice, shared).await,
        3 => consume(client, Log::Risky, dice, shared).await,
        _ => burst(client, dice, shared).await,
    }
}

/// New messages for a log.
fn make(shared: &Shared, log: Log, count: u64) -> Vec<u64> {
    know(shared, |k| {
        let ids: Vec<u64> = (k.next_id..k.next_id + count).collect();
        k.next_id += count;
        k.sent.extend(ids.iter().map(|id| (*id, log)));
        ids
    })
}

/// Publishes with confirms, several batches at a time.
async fn produce(mut client: Client, mut dice: Dice, shared: Shared) -> Result<(), Lost> {
    let mut waiting: HashMap<Tag, (Log, Vec<u64>)> = HashMap::new();
    loop {
        while waiting.len() < PIPELINE {
            let log = Log::PRODUCED[dice.roll(Log::PRODUCED.len() as u64) as usize];
            let ids = make(&shared, log, 1 + dice.roll(20));
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
        know(&shared, |k| k.confirm(log, base.0, ids));
    }
}

/// Takes messages of a queue, acknowledges some, gives some back, and leaves some as they are: the
/// crash finds them leased.
async fn consume(mut client: Client, log: Log, mut dice: Dice, shared: Shared) -> Result<(), Lost> {
    loop {
        let got = client.take(log.name(), 100).await?;
        if got.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for message in got {
            let id = id_of(&message.body);
            know(&shared, |k| k.delivered(log, id, message.attempt));
            // Most of what is risky fails, and the rest goes well for the most part.
            let fails = if log == Log::Risky { dice.roll(5) > 0 } else { dice.roll(5) == 0 };
            (if fails { &mut failed } else { &mut done }).push((id, message));
        }
        done.truncate(done.len() - done.len() / 4);
        if !done.is_empty() {
            know(&shared, |k| k.ack_sent.extend(done.iter().map(|(id, _)| *id)));
            let count = client.ack(&leases(&done)).await?;
            assert_eq!(count as usize, done.len(), "leases of this connection are not stale");
            know(&shared, |k| k.acked.extend(done.iter().map(|(id, _)| *id)));
        }
        if !failed.is_empty() {
            fail(&mut client, log, &failed, &shared).await?;
        }
    }
}

fn leases(list: &[(u64, Got)]) -> Vec<LeaseId> {
    list.iter().map(|(_, message)| message.lease).collect()
}

/// Gives messages back as failed; those that fail for the last time are dead then.
async fn fail(
    client: &mut Client,
    log: Log,
    failed: &[(u64, Got)],
    shared: &Shared,
) -> Result<(), Lost> {
    let last = failed
        .iter()
        .filter(|(_, message)| log == Log::Risky && message.attempt == DELIVERIES_MAX)
        .map(|(id, _)| *id);
    know(shared, |k| k.death_sent.extend(last.clone()));
    let tag = client.ask(Op::Nack { leases: leases(failed).into(), delay: Span::ZERO }).await?;
    client.settled(tag).await?;
    know(shared, |k| {
        for (id, _) in failed {
            *k.failed.entry(*id).or_default() += 1;
        }
        k.died.extend(last);
    });
    Ok(())
}

/// Fills a queue and purges it, so that whole files of what was put away are in vain.
async fn burst(mut client: Client, mut dice: Dice, shared: Shared) -> Result<(), Lost> {
    // What lives before this one left there goes with the first purge.
    let mut all: Vec<u64> = know(&shared, |k| {
        let left = k.sent.iter().filter(|(id, log)| **log == Log::Burst && !k.acked.contains(id));
        left.map(|(id, _)| *id).collect()
    });
    loop {
        for _ in 0..1 + dice.roll(30) {
            let ids = make(&shared, Log::Burst, 1 + dice.roll(30));
            let records = batch(ids.iter().map(|id| body(*id)));
            let published = client.publish(Log::Burst.target(), records).await?;
            let base = published.expect("there is room")[0];
            all.extend(ids.iter().copied());
            know(&shared, |k| k.confirm(Log::Burst, base.0, ids));
        }
        know(&shared, |k| k.ack_sent.extend(all.iter().copied()));
        client.purge(Log::Burst.name()).await?;
        know(&shared, |k| k.acked.extend(all.drain(..)));
    }
}
