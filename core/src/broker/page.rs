//! Lists in pages, by name: however many there are of something, an answer is bounded.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

use super::inspect::topic_view;
use super::{Broker, Refused, within};
use crate::id::{ConnId, QueueId};
use crate::limits::PAGE_MAX;
use crate::refusal::Code;
use crate::request::Listed;
use crate::view::{ConnectionView, Overview, Page, QueueView};

impl Broker {
    /// The next of what is listed, after a name.
    pub(super) fn page(&self, of: Listed, after: &str, max: u32) -> Result<Page, Refused> {
        within("max", u64::from(max), 1, PAGE_MAX as u64)?;
        let mut list = self.empty_overview();
        let next = self.list(of, after, max as usize, &mut list)?;
        Ok(Page { list, next })
    }

    /// An overview that lists nothing yet.
    pub(super) fn empty_overview(&self) -> Overview {
        Overview {
            now: self.now,
            epoch: self.epoch,
            stored_bytes: self.stored_bytes,
            due: self.deadline(),
            ..Overview::default()
        }
    }

    /// Lists one kind, after a name, until there are so many rows. Returns the name to go on after,
    /// if there are more.
    pub(super) fn list(
        &self,
        of: Listed,
        after: &str,
        rows_max: usize,
        list: &mut Overview,
    ) -> Result<Option<String>, Refused> {
        let next;
        match of {
            Listed::Exchanges => {
                let views = named(&self.exchanges, after, |name, exchange| {
                    let view = self.exchange_view(name, exchange);
                    (view.bindings.len(), view)
                });
                (list.exchanges, next) = gathered(rows_max, views);
            }
            Listed::Queues => {
                let views = named(&self.queue_names, after, |_, id| self.queue_row(*id));
                (list.queues, next) = gathered(rows_max, views);
            }
            Listed::Topics => {
                let views = named(&self.topic_names, after, |_, id| {
                    let view = topic_view(&self.topics[id]);
                    (view.partitions.len(), view)
                });
                (list.topics, next) = gathered(rows_max, views);
            }
            Listed::Groups => {
                let views = named(&self.group_names, after, |_, id| {
                    let view = self.group_view(&self.groups[id]);
                    (view.members.len() + view.partitions.len(), view)
                });
                (list.groups, next) = gathered(rows_max, views);
            }
            Listed::Connections => {
                let views = self.conns.from(first_after(after)?).map(|(id, conn)| {
                    let view = ConnectionView { id: *id, client: conn.client.clone() };
                    (id.0.to_string(), 0, view)
                });
                (list.connections, next) = gathered(rows_max, views);
            }
            Listed::WorkGroups => {
                let rest = (Bound::Excluded(after), Bound::Unbounded);
                let views = self.work_groups.range::<str, _>(rest).map(|group| {
                    let view = self.work_group_view(group);
                    let consumers = view.parts.iter().map(|part| part.consumers.len());
                    (group.0.clone(), consumers.sum::<usize>() + view.parts.len(), view)
                });
                (list.work_groups, next) = gathered(rows_max, views);
            }
        }
        Ok(next)
    }

    /// A queue with its consumers, and how many rows these are beside its own.
    fn queue_row(&self, id: QueueId) -> (usize, QueueView) {
        let view = self.queue_with_consumers(id);
        (view.consumers.len(), view)
    }

    /// The queues whose dead letters go to this one, by name.
    pub(super) fn dead_letter_sources(
        &self,
        queue: &str,
        after: &str,
        max: u32,
    ) -> Result<Page, Refused> {
        within("max", u64::from(max), 1, PAGE_MAX as u64)?;
        self.queue_named(queue)?;
        let sources = self.dead_letters_of.get(queue).into_iter().flat_map(|of| of.iter());
        let sources = sources.map(|id| (self.queue_name(id).to_string(), id));
        let sources: BTreeMap<String, QueueId> = sources.collect();
        let mut list = self.empty_overview();
        let views = named(&sources, after, |_, id| self.queue_row(*id));
        let next;
        (list.queues, next) = gathered(max as usize, views);
        Ok(Page { list, next })
    }
}

/// Views of what has a name, after one: each with its name and how many rows are in it.
fn named<'b, T, V>(
    all: &'b BTreeMap<String, T>,
    after: &str,
    mut view: impl FnMut(&'b str, &'b T) -> (usize, V),
) -> impl Iterator<Item = (String, usize, V)> {
    let rest = all.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    rest.map(move |(name, value)| {
        let (rows, view) = view(name, value);
        (name.clone(), rows, view)
    })
}

/// Takes views until they have so many rows; and the name to go on after, if there are more.
fn gathered<V>(
    rows_max: usize,
    views: impl Iterator<Item = (String, usize, V)>,
) -> (Vec<V>, Option<String>) {
    let (mut taken, mut rows, mut last) = (Vec::new(), 0, None);
    for (name, more, view) in views {
        if rows >= rows_max {
            return (taken, last);
        }
        rows += 1 + more;
        last = Some(name);
        taken.push(view);
    }
    (taken, None)
}

/// The first connection after the one that is named; of all, if none is.
fn first_after(after: &str) -> Result<ConnId, Refused> {
    if after.is_empty() {
        return Ok(ConnId(0));
    }
    match after.parse::<u64>() {
        Ok(number) => Ok(ConnId(number.saturating_add(1))),
        Err(_) => Err(Code::BadArgument.because(format!(
            "{after:?} is not where a list of connections goes on: that is a connection's number"
        ))),
    }
}
