//! What a connection's end brings with it, and requests that wait.

use alloc::borrow::Cow;

use super::{Awaits, Broker, Conn, Wait};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::Event;
use crate::id::ConnId;
use crate::set::Set;
use crate::time::Span;
use crate::timer::TimerId;
use crate::view::AttemptEnd;

impl Broker {
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
    /// again, one failed attempt later.
    pub(super) fn closed(&mut self, conn: ConnId, out: &mut dyn Sink) {
        self.watchers.remove(conn);
        let Some(Conn { consumers, members, waits, queues, client, exclusive, .. }) =
            self.conns.get(&conn).cloned()
        else {
            return;
        };
        self.note(out, || Activity::Disconnected { conn, client: client.as_str().into() });
        for wait in waits {
            self.stop_waiting(wait);
        }
        let mut left = Set::default();
        for consumer in consumers {
            left.extend(self.forget_consumer(consumer, out));
        }
        for queue in queues {
            for offset in self.held_by(conn, queue) {
                self.end_attempt(queue, offset, AttemptEnd::Disconnected, Span::ZERO, out);
            }
        }
        for queue in exclusive {
            left.remove(queue);
            self.remove_queue(queue, "its connection is gone", out);
        }
        for queue in left {
            self.remove_queue(queue, "its last consumer is gone", out);
        }
        self.remove_members(members, LeaveReason::Disconnected, out);
        self.conns.remove(&conn);
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
        if let Awaits::Record { .. } | Awaits::Read { .. } = what {
            return self.wait_for_records_expired(&what, (conn, tag), out);
        }
        self.tell(conn, Event::Received { tag, deliveries: Cow::Borrowed(&[]) }, out);
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
                let group = self.groups.get_mut(&group).expect("a poll's group exists");
                let reader = group.members.get_mut(&member).expect("a poll's member is there");
                reader.waiting = None;
                for topic in reader.topics.iter() {
                    let topic =
                        self.topics.get_mut(&topic).expect("a member reads topics that exist");
                    let polls = topic.polled.get_mut(&group.id).expect("it is counted there");
                    *polls -= 1;
                    if *polls == 0 {
                        topic.polled.remove(&group.id);
                    }
                }
            }
            Awaits::Read { partition: (topic, partition), .. } => {
                let topic = self.topics.get_mut(&topic).expect("a topic that is read exists");
                topic.upkeep[partition as usize].readers.remove(&number);
            }
        }
        wait
    }
}
