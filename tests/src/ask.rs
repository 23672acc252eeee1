//! Requests with nothing but what every one of their kind has.

use std::borrow::Cow;

use fanlight_core::{Assignor, Budget, MemberId, Op, Span, Start};

/// Joins a group from the earliest records on.
pub fn join(group: &'static str, topics: &[&'static str]) -> Op<'static> {
    Op::Join {
        group: group.into(),
        topics: topics.iter().copied().map(Cow::from).collect(),
        assignor: Assignor::Range,
        start: Start::Earliest,
        session_timeout: None,
        instance: None,
        rebalance_timeout: None,
    }
}

/// Receives without waiting.
pub fn receive(queue: &'static str, messages_max: u32) -> Op<'static> {
    Op::Receive {
        queue: queue.into(),
        messages_max,
        wait: Span::ZERO,
        visibility: None,
        auto_ack: false,
    }
}

/// Polls without waiting.
pub fn poll(member: MemberId, records_max: u32) -> Op<'static> {
    Op::Poll { member, budget: Budget::waiting(records_max, Span::ZERO) }
}
