//! Consumers and waiting receives: who wants messages of a queue.

use alloc::borrow::Cow;
use alloc::format;

use super::{Awaits, Broker, Consumer, Refused, Wait, span_within, within};
use crate::effect::Sink;
use crate::event::Event;
use crate::id::{ConnId, ConsumerId, Tag};
use crate::limits::{DELIVERIES_PER_EVENT_MAX, VISIBILITY_MAX, WAIT_MAX};
use crate::refusal::Code;
use crate::set::Set;
use crate::time::Span;
use crate::timer::Due;

impl Broker {
    pub(super) fn consume(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        prefetch: u32,
        visibility: Option<Span>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let queue = self.queue_named(queue)?;
        within("prefetch", u64::from(prefetch), 1, u64::from(self.config.limits.prefetch_max))?;
        valid_visibility(visibility)?;
        self.room_on(conn)?;
        let consumer = ConsumerId(self.number());
        let queues = Set::of(queue);
        let unlisted = Set::default();
        let made = Consumer { conn, queues, unlisted, prefetch, outstanding: 0, visibility };
        self.consumers.insert(consumer, made);
        self.queue_mut(queue).consumers.push_back(consumer);
        self.conn_mut(conn).consumers.insert(consumer);
        self.tell(conn, Event::Consuming { tag, consumer }, out);
        self.wake(queue);
        Ok(())
    }

    pub(super) fn cancel(&mut self, conn: ConnId, consumer: ConsumerId) -> Result<(), Refused> {
        if !self.conn_mut(conn).consumers.remove(consumer) {
            return Err(Code::UnknownConsumer.because(format!(
                "this connection has no {consumer}; it may be cancelled already"
            )));
        }
        self.forget_consumer(consumer);
        Ok(())
    }

    /// Takes a consumer out of its queue. What it holds stays leased to its connection.
    pub(super) fn forget_consumer(&mut self, consumer: ConsumerId) {
        let Consumer { queues, .. } = self.consumers.remove(&consumer).expect("a known consumer");
        for queue in queues {
            self.queue_mut(queue).consumers.retain(|other| *other != consumer);
        }
    }

    pub(super) fn receive(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        (messages_max, wait, visibility): (u32, Span, Option<Span>),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let queue = self.queue_named(queue)?;
        within("messages_max", u64::from(messages_max), 1, DELIVERIES_PER_EVENT_MAX as u64)?;
        span_within("wait", wait, Span::ZERO, WAIT_MAX)?;
        valid_visibility(visibility)?;
        let queues = alloc::vec![queue];
        if queues.iter().all(|queue| self.queues[queue].work.next_ready().is_none()) {
            if wait == Span::ZERO {
                self.tell(conn, Event::Received { tag, deliveries: Cow::Borrowed(&[]) }, out);
                return Ok(());
            }
            let what = Awaits::Message { queues: queues.clone(), messages_max, visibility };
            let number = self.wait(conn, tag, wait, what)?;
            for queue in queues {
                self.queue_mut(queue).waiting.push_back(number);
            }
            return Ok(());
        }
        self.deliver_received(conn, tag, &queues, (messages_max, visibility), out);
        Ok(())
    }

    /// Puts a request aside until there is something to answer it with, or its time is up.
    pub(super) fn wait(
        &mut self,
        conn: ConnId,
        tag: Tag,
        wait: Span,
        what: Awaits,
    ) -> Result<u64, Refused> {
        self.room_on(conn)?;
        let number = self.number();
        let timer = self.timers.start(self.now + wait, Due::Wait(number));
        self.waits.insert(number, Wait { conn, tag, timer, what });
        self.conn_mut(conn).waits.insert(number);
        Ok(number)
    }

    pub(super) fn room_on(&self, conn: ConnId) -> Result<(), Refused> {
        let max = self.config.limits.consumers_per_connection_max;
        let conn = &self.conns[&conn];
        let have = conn.consumers.len() + conn.members.len() + conn.waits.len();
        if have < max as usize {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "this connection has {have} consumers, members and waiting requests, and may have {max}"
        )))
    }
}

fn valid_visibility(visibility: Option<Span>) -> Result<(), Refused> {
    match visibility {
        Some(span) => span_within("visibility", span, Span::from_millis(1), VISIBILITY_MAX),
        None => Ok(()),
    }
}
