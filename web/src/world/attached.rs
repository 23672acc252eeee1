//! A server that the page is attached to: its clock is its own, and it may go away and come back.

use fanlight_core::{Span, Time};

use super::act::LinkState;
use super::flow::Flow;
use super::orders;
use crate::link::Link;

/// How long until a server that is gone is tried again.
const RETRY_MS: f64 = 2_000.0;
/// Messages taken in at once: what a frame's time allows.
const MESSAGES_MAX: usize = 4_000;
/// Wakes in one frame: beyond it the page falls behind rather than stand still.
const WAKES_PER_FRAME_MAX: usize = 10_000;

/// The view of a server.
pub(crate) struct Attached {
    flow: Flow<Box<dyn Link>>,
    url: String,
    state: LinkState,
    /// Where the page's clock and the broker's stood when the watcher came in.
    clocks: Option<(f64, Time)>,
    wall_ms: f64,
    retry_at_ms: f64,
    now: Time,
}

impl Attached {
    /// On the way to the server behind `link`.
    pub(crate) fn new(link: Box<dyn Link>, url: &str, seed: u64, wall_ms: f64) -> Attached {
        let mut flow = Flow::new(link, seed, orders::sample().into());
        flow.messages_max = MESSAGES_MAX;
        flow.connect(Time::ZERO);
        Attached {
            flow,
            url: url.to_owned(),
            state: LinkState::Connecting { url: url.to_owned() },
            clocks: None,
            wall_ms,
            retry_at_ms: 0.0,
            now: Time::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn state(&self) -> &LinkState {
        &self.state
    }

    pub(crate) fn flow(&self) -> &Flow<Box<dyn Link>> {
        &self.flow
    }

    pub(crate) fn flow_mut(&mut self) -> &mut Flow<Box<dyn Link>> {
        &mut self.flow
    }

    /// Hands on what has come, and does what is due.
    pub(crate) fn frame(&mut self, wall_ms: f64) {
        self.wall_ms = wall_ms;
        self.tell_time();
        self.flow.pump(self.now);
        if let Some(broker) = self.flow.opened_at.take() {
            self.clocks = Some((wall_ms, broker));
            self.state = LinkState::Attached { url: self.url.clone() };
            self.tell_time();
        }
        if let Some(sentence) = self.flow.lost.take() {
            self.state = LinkState::Failed { url: self.url.clone(), sentence };
            self.retry_at_ms = wall_ms + RETRY_MS;
        }
        if matches!(self.state, LinkState::Failed { .. }) && wall_ms >= self.retry_at_ms {
            self.retry_at_ms = wall_ms + RETRY_MS;
            self.flow.connect(self.now);
        }
        if self.flow.was_empty == Some(true) && self.flow.has_started() {
            // It came back without what our actors work with.
            self.flow.was_empty = Some(false);
            self.flow.declare(self.now);
        }
        for _ in 0..WAKES_PER_FRAME_MAX {
            if self.flow.deadline().is_none_or(|at| at > self.now) {
                break;
            }
            self.flow.wake(self.now);
        }
        self.flow.settle(self.now);
    }

    fn tell_time(&mut self) {
        if let Some((wall_ms, broker)) = self.clocks {
            let since = Span(((self.wall_ms - wall_ms).max(0.0) * 1e6) as u64);
            self.now = self.now.max(broker + since);
        }
    }
}
