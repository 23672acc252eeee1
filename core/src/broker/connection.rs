//! What a connection's end brings with it, and requests that wait.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::{Awaits, Broker, Conn, Leaving, Refused, Wait};
use crate::activity::Activity;
use crate::effect::{CloseReason, Effect, Sink};
use crate::event::Event;
use crate::group::Partition;
use crate::held::Held;
use crate::id::{ConnId, Offset, QueueId, Tag};
use crate::limits::{EXPIRIES_PER_APPLY_MAX, NAME_BYTES_MAX};
use crate::queue::Queue;
use crate::refusal::Code;
use crate::request::{PROTOCOL, Session};
use crate::set::Set;
use crate::time::Span;
use crate::timer::TimerId;
use crate::view::AttemptEnd;
use crate::work::{Holder, State};

/// Queues that a connection is remembered with while it holds nothing of them: most often it soon
/// holds something of them again.
const QUEUES_KEPT: usize = 256;

impl Conn {
    /// It holds so many messages in a row from now on. Those that a consumer is handed were claimed
    /// by its prefetch.
    pub(super) fn takes(&mut self, queue: QueueId, (first, count): (Offset, u64), pushed: bool) {
        self.held.get_or_insert_with(queue, Held::default).add(first, count);
        self.claims += if pushed { 0 } else { count };
    }
}

impl Broker {
    /// A connection opens; it has to speak our protocol.
    pub(super) fn open(&mut self, conn: ConnId, session: &Session<'_>, out: &mut dyn Sink) {
        let refuse = |reason, refusal: Refused, out: &mut dyn Sink| {
            out.emit(Effect::Tell(conn, Event::Refused { tag: Tag(0), refusal }));
            out.emit(Effect::Close(conn, reason));
        };
        if self.conns.contains_key(&conn) {
            self.closed(conn, out);
            let refusal = Code::NotOpen.because("a connection opens once");
            return refuse(CloseReason::NotOpen, refusal, out);
        }
        if session.protocol != PROTOCOL {
            let refusal = Code::BadProtocol.because(format!(
                "protocol {} is not spoken here; protocol {PROTOCOL} is",
                session.protocol
            ));
            return refuse(CloseReason::BadProtocol, refusal, out);
        }
        let max = self.config.limits.connections_max;
        if self.conns.len() >= max as usize {
            let refusal = Code::TooMany.because(format!(
                "{} open, and there may be no more: close one, or raise the limit",
                if max == 1 { "1 connection is".into() } else { format!("{max} connections are") }
            ));
            return refuse(CloseReason::TooMany, refusal, out);
        }
        let mut client = String::new();
        for c in session.client.chars().filter(|c| !c.is_control()) {
            if client.len() + c.len_utf8() > NAME_BYTES_MAX {
                break;
            }
            client.push(c);
        }
        self.conns.insert(conn, Conn { client, ..Conn::default() });
        self.tell(conn, Event::Opened { conn, epoch: self.epoch, now: self.now }, out);
        self.note(out, || Activity::Connected {
            conn,
            client: self.conns[&conn].client.as_str().into(),
        });
    }

    pub(super) fn conn_mut(&mut self, conn: ConnId) -> &mut Conn {
        self.conns.get_mut(&conn).expect("a request comes from an open connection")
    }

    pub(super) fn watch(&mut self, conn: ConnId, on: bool) {
        if on {
            self.watchers.insert(conn);
        } else {
            self.watchers.remove(conn);
        }
    }

    /// A connection is gone: its consumers, members and waits with it, and what it held is ready
    /// again, one failed attempt later. If it held very much, that takes several inputs.
    pub(super) fn closed(&mut self, conn: ConnId, out: &mut dyn Sink) {
        self.watchers.remove(conn);
        self.publishers.remove(&conn);
        let Some(gone) = self.conns.remove(&conn) else { return };
        let Conn { consumers, members, waits, held, client, exclusive, .. } = gone;
        self.note(out, || Activity::Disconnected { conn, client: client.as_str().into() });
        for wait in waits {
            self.stop_waiting(wait);
        }
        let mut left = Set::default();
        for consumer in consumers {
            left.extend(self.forget_consumer(consumer, out));
        }
        self.leaving.insert(conn, Leaving { client, held });
        self.end_leases_left(EXPIRIES_PER_APPLY_MAX, out);
        for queue in exclusive {
            left.remove(queue);
            self.remove_queue(queue, "its connection is gone", out);
        }
        for queue in left {
            self.remove_queue(queue, "its last consumer is gone", out);
        }
        self.disconnect_members(members, out);
    }

    /// Ends leases of connections that are gone, at most so many; how many it were.
    pub(super) fn end_leases_left(&mut self, max: usize, out: &mut dyn Sink) -> usize {
        for ended in 0..max {
            let Some((conn, queue, offset)) = self.next_lease_left() else { return ended };
            debug_assert!(self.holder(queue, offset).is_some_and(|holder| holder.conn == conn));
            self.end_attempt(queue, offset, AttemptEnd::Disconnected, Span::ZERO, out);
        }
        max
    }

    /// The next lease of a connection that is gone; those that have none left are forgotten.
    fn next_lease_left(&mut self) -> Option<(ConnId, QueueId, Offset)> {
        loop {
            let conn = self.leaving.first_key()?;
            let left = self.leaving.get_mut(&conn)?;
            let Some(queue) = left.held.first_key() else {
                self.leaving.remove(&conn);
                continue;
            };
            match left.held[&queue].first() {
                Some(offset) => return Some((conn, queue, offset)),
                None => drop(left.held.remove(&queue)),
            }
        }
    }

    /// A connection no longer holds these messages.
    pub(super) fn gives(
        &mut self,
        holder: Holder,
        queue: QueueId,
        runs: impl Iterator<Item = (Offset, u64)> + Clone,
    ) {
        // The credit of a consumer that is still there is claimed anew.
        let has_credit = holder.consumer.is_some_and(|id| self.consumers.contains_key(&id));
        let held = match self.conns.get_mut(&holder.conn) {
            Some(conn) => {
                let count: u64 = runs.clone().map(|(_, count)| count).sum();
                conn.claims -= if has_credit { 0 } else { count };
                &mut conn.held
            }
            None => match self.leaving.get_mut(&holder.conn) {
                Some(left) => &mut left.held,
                None => return,
            },
        };
        let Some(of_queue) = held.get_mut(&queue) else { return };
        runs.for_each(|(first, count)| of_queue.remove(first, count));
        if of_queue.is_empty() && held.len() > QUEUES_KEPT {
            held.remove(&queue);
        }
    }

    /// How many messages more a connection may hold.
    pub(super) fn leases_allowed(&self, conn: ConnId) -> u64 {
        let max = u64::from(self.config.limits.leases_per_connection_max);
        max.saturating_sub(self.conns[&conn].claims)
    }

    /// Whether a connection may hold so many messages more.
    pub(super) fn may_be_handed(&self, conn: ConnId, more: u64) -> Result<(), Refused> {
        if more <= self.leases_allowed(conn) {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "this connection holds {} messages, or may be handed them by its consumers' prefetch, \
             and may hold {}: settle some, or ask for fewer",
            self.conns[&conn].claims, self.config.limits.leases_per_connection_max
        )))
    }

    /// A queue is going: nobody holds anything of it any more.
    pub(super) fn forget_leases_of(&mut self, queue: &Queue) {
        for (offset, slot) in queue.work.touched() {
            if let State::Leased(holder) = slot.state {
                self.gives(holder, queue.id, core::iter::once((offset, 1)));
            }
        }
    }

    /// Takes back a request that waits.
    pub(super) fn stop_waiting(&mut self, number: u64) -> Wait {
        let wait = self.unpark(number);
        self.timers.stop(wait.timer);
        wait
    }

    pub(super) fn wait_expired(&mut self, number: u64, timer: TimerId, out: &mut dyn Sink) {
        if self.waits.get(&number).is_none_or(|wait| wait.timer != timer) {
            return;
        }
        let Wait { conn, tag, what, .. } = self.unpark(number);
        if let Awaits::Record { .. } | Awaits::Read { .. } | Awaits::Fetch { .. } = what {
            return self.wait_for_records_expired(&what, (conn, tag), out);
        }
        self.tell(conn, Event::Received { tag, deliveries: Cow::Borrowed(&[]), left: 0 }, out);
    }

    fn reads_no_more(&mut self, wait: u64, (topic, partition): Partition) {
        let topic = self.topics.get_mut(&topic).expect("a topic that is read exists");
        topic.upkeep[partition as usize].readers.remove(&wait);
    }

    fn unpark(&mut self, number: u64) -> Wait {
        let wait = self.waits.remove(&number).expect("a wait ends once");
        if let Some(conn) = self.conns.get_mut(&wait.conn) {
            conn.waits.remove(number);
        }
        match wait.what {
            Awaits::Message { ref queues, .. } => {
                let now = self.now;
                for id in queues {
                    let queue = self.queue_mut(*id);
                    queue.used_at = now;
                    // The numbers rise, and whoever waits is put at the end.
                    let at = queue.waiting.binary_search(&number).expect("who waits is listed");
                    queue.waiting.remove(at);
                    self.wake(*id);
                }
            }
            Awaits::Record { group, member, .. } => {
                let state = self.groups.get_mut(&group).expect("a poll's group exists");
                let reader = state.members.get_mut(&member).expect("a poll's member is there");
                reader.waiting = None;
                self.polls_end(group, member);
            }
            Awaits::Joined { group, member } | Awaits::Synced { group, member } => {
                self.joiner_waits_no_more(group, member, number);
            }
            Awaits::Read { partition, .. } => self.reads_no_more(number, partition),
            Awaits::Fetch { ref aims, .. } => {
                aims.iter().for_each(|aim| self.reads_no_more(number, aim.partition));
            }
        }
        wait
    }
}
