//! Back-pressure on publishers: they are told to slow down long before anything is refused.
//!
//! Two marks of the bytes that are held. Above the high one whoever publishes is told once to slow
//! down (RabbitMQ's `connection.blocked`, at its memory high watermark); below the low one
//! everybody who was told is told that it may go on (`connection.unblocked`). Between the two
//! nothing changes, so a broker that is about full does not tell everybody the opposite with every
//! message. Being told binds nobody: only at `stored_bytes_max` publishes are refused.

use super::Broker;
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::Event;
use crate::id::ConnId;

impl Broker {
    /// A connection publishes. One that does so for the first time while the mark is passed has
    /// not been told with the others.
    pub(super) fn publishes(&mut self, conn: ConnId, out: &mut dyn Sink) {
        let is_high = self.is_high;
        let publisher = self.conn_mut(conn);
        if publisher.publishes {
            return;
        }
        publisher.publishes = true;
        publisher.slowed = is_high;
        self.publishers.insert(conn, ());
        if is_high {
            self.tell(conn, self.pressure(), out);
        }
    }

    /// Tells publishers if a mark was passed by what was just done.
    pub(super) fn weigh(&mut self, out: &mut dyn Sink) {
        let limits = &self.config.limits;
        let (low, high) = (limits.low_mark(), limits.high_mark());
        let held = self.stored_bytes;
        let is_high = if self.is_high { held > low } else { held > high };
        if is_high == self.is_high {
            return;
        }
        self.is_high = is_high;
        self.note(out, || Activity::Pressure { is_high, stored_bytes: held, low, high });
        for publisher in self.publishers.keys() {
            let conn = self.conns.get_mut(publisher).expect("a publisher's connection is open");
            if conn.slowed != is_high {
                conn.slowed = is_high;
                out.emit(crate::effect::Effect::Tell(
                    *publisher,
                    pressure_of(is_high, held, limits),
                ));
            }
        }
    }

    fn pressure(&self) -> Event<'static> {
        pressure_of(self.is_high, self.stored_bytes, &self.config.limits)
    }
}

fn pressure_of(is_high: bool, stored_bytes: u64, limits: &crate::Limits) -> Event<'static> {
    Event::Pressure {
        is_high,
        stored_bytes,
        low: limits.low_mark(),
        high: limits.high_mark(),
        max: limits.stored_bytes_max,
    }
}
