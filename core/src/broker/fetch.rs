//! Reading several partitions at once, and waiting at all of them for enough together.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::stream::{Served, enough, fetched, resolve};
use super::{Awaits, Broker, Refused, Short, within};
use crate::effect::Sink;
use crate::event::{Event, PartitionRead};
use crate::group::Partition;
use crate::id::{ConnId, Offset, Tag};
use crate::limits::FETCH_PARTITIONS_MAX;
use crate::log::Ask;
use crate::request::{Budget, Isolation, ReadFrom};
use crate::time::Span;

/// One of the partitions that a fetch reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) partition: Partition,
    from: Offset,
    bytes_max: usize,
}

impl Broker {
    pub(super) fn fetch(
        &mut self,
        conn: ConnId,
        tag: Tag,
        reads: &[ReadFrom<'_>],
        budget: Budget,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        within("the number of partitions", reads.len() as u64, 1, FETCH_PARTITIONS_MAX as u64)?;
        self.valid_budget(&budget)?;
        let aims = reads.iter().map(|read| self.aim(read, budget.isolation));
        let aims: Vec<Result<Aim, Refused>> = aims.collect();
        let waits = budget.wait > Span::ZERO && aims.iter().all(Result::is_ok);
        let served = if waits { Served::Enough } else { Served::WhatThereIs };
        let Err(short) = self.serve_fetch((conn, tag), &aims, budget, served, out) else {
            return Ok(());
        };
        let what = Awaits::Fetch { aims: aims.iter().flatten().copied().collect(), budget, short };
        let number = self.wait(conn, tag, budget.wait, what)?;
        for Aim { partition: (topic, partition), .. } in aims.into_iter().flatten() {
            let topic = self.topics.get_mut(&topic).expect("the partition was found");
            topic.upkeep[partition as usize].readers.insert(number, ());
        }
        Ok(())
    }

    fn aim(&self, read: &ReadFrom<'_>, isolation: Isolation) -> Result<Aim, Refused> {
        let partition = self.partition_named(&read.topic, read.partition)?;
        let limit = self.config.limits.batch_bytes_max;
        if let Some(max) = read.bytes_max {
            within("bytes_max", u64::from(max), 1, u64::from(limit))?;
        }
        let from = resolve(self.log_of(partition), read.from, isolation)?;
        Ok(Aim { partition, from, bytes_max: read.bytes_max.unwrap_or(limit) as usize })
    }

    /// Answers a fetch, or says how much is missing for that.
    pub(super) fn serve_fetch(
        &self,
        (conn, tag): (ConnId, Tag),
        aims: &[Result<Aim, Refused>],
        budget: Budget,
        served: Served,
        out: &mut dyn Sink,
    ) -> Result<(), Short> {
        let isolation = budget.isolation;
        let (mut room, mut bytes) = (budget.records_max, self.bytes_max(&budget));
        let (mut got, mut full) = ((0, 0), false);
        let mut reads = Vec::with_capacity(aims.len());
        for aim in aims {
            let Aim { partition, from, bytes_max } = match aim {
                Ok(aim) => *aim,
                Err(refusal) => {
                    let refusal = Some(refusal.clone());
                    reads.push(PartitionRead { refusal, ..PartitionRead::default() });
                    continue;
                }
            };
            let log = self.log_of(partition);
            let ask = Ask {
                from,
                records_max: room,
                bytes_max: bytes.min(bytes_max),
                bytes_min: (budget.bytes_min as usize).saturating_sub(got.0),
                isolation,
            };
            let run = if room > 0 && bytes > 0 { log.read(ask) } else { None };
            full |= room == 0 || bytes == 0;
            let size = run.as_ref().map_or(0, |run| run.records.as_bytes().len());
            let run = run.filter(|_| got.1 == 0 || size <= ask.bytes_max);
            full |= run.is_none() && size > 0;
            let topic = self.topic_name(partition.0);
            if let Some(run) = &run {
                full |= run.next < log.end_for(isolation);
                got = (got.0 + size, got.1 + run.records.count());
                room -= run.records.count();
                bytes = bytes.saturating_sub(size + topic.len());
            }
            reads.push(PartitionRead {
                start: log.start(),
                end: log.end(),
                stable_end: log.stable_end(),
                batch: run.map(|run| fetched(topic, partition.1, run)),
                refusal: None,
            });
        }
        if served == Served::Enough && !full {
            enough(&budget, got)?;
        }
        self.tell(conn, Event::FetchDone { tag, reads: Cow::Owned(reads) }, out);
        Ok(())
    }
}
