//! Whether every request is answered once: with the event its documentation names, or a refusal.

use std::collections::BTreeMap;

use fanlight_core::{ConnId, Effect, Event, Input, Op, PROTOCOL, Span, Tag};

/// What a request is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// An answer, at once.
    Now(&'static str),
    /// An answer, once there is one or its wait ends.
    Later(&'static str),
    /// Nothing, unless it is refused.
    Nothing,
}

/// The requests that are not answered yet.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    open: BTreeMap<ConnId, BTreeMap<Tag, Owed>>,
}

impl Answers {
    /// Takes note of an input, before its effects.
    pub fn ask(&mut self, input: &Input<'_>) {
        match input {
            Input::Open(conn, session) if session.protocol == PROTOCOL => {
                self.open.entry(*conn).or_default();
            }
            // What was due is told before a connection is closed, so it may still be answered.
            Input::Open(..) | Input::Tick | Input::Closed(_) => {}
            Input::Request(conn, request) => {
                if let Some(owed) = self.open.get_mut(conn) {
                    owed.insert(request.tag, owes(&request.op));
                }
            }
        }
    }

    /// Takes note of an effect; what is wrong with it, if anything is.
    pub fn hear(&mut self, effect: &Effect<'_>) -> Result<(), String> {
        let (conn, event) = match effect {
            Effect::Fact(_) => return Ok(()),
            Effect::Close(conn, _) => {
                self.open.remove(conn);
                return Ok(());
            }
            Effect::Tell(conn, event) => (conn, event),
        };
        let Some((tag, kind)) = answer(event) else { return Ok(()) };
        let owed = self.open.get_mut(conn).and_then(|owed| owed.remove(&tag));
        match owed {
            Some(Owed::Now(owed) | Owed::Later(owed)) if kind == owed || kind == "Refused" => {
                Ok(())
            }
            Some(Owed::Nothing) if kind == "Refused" => Ok(()),
            Some(Owed::Now(_) | Owed::Later(_) | Owed::Nothing) => {
                Err(format!("{conn} request {tag} was answered {kind}, but was owed {owed:?}"))
            }
            None if tag == Tag(0) => Ok(()),
            None => Err(format!("{conn} was answered {kind} to {tag}, which is not open")),
        }
    }

    /// After all effects of an input: whether somebody is still owed an answer.
    pub fn settled(&mut self, input: &Input<'_>) -> Result<(), String> {
        if let Input::Closed(conn) = input {
            self.open.remove(conn);
        }
        for (conn, owed) in &mut self.open {
            for (tag, owed) in &*owed {
                if let Owed::Now(owed) = owed {
                    return Err(format!("{conn} request {tag} was not answered; owed {owed}"));
                }
            }
            owed.retain(|_, owed| !matches!(owed, Owed::Nothing));
        }
        Ok(())
    }

    /// How many wait for an answer.
    pub fn waiting(&self) -> usize {
        self.open.values().map(BTreeMap::len).sum()
    }
}

fn owes(op: &Op<'_>) -> Owed {
    Owed::Now(match op {
        Op::Publish { confirm: false, .. } => return Owed::Nothing,
        Op::Publish { .. } => "Published",
        Op::Receive { wait, .. } if *wait > Span::ZERO => return Owed::Later("Received"),
        Op::Receive { .. } => "Received",
        Op::Poll { budget, .. } if budget.wait > Span::ZERO => return Owed::Later("Polled"),
        Op::Read { budget, .. } if budget.wait > Span::ZERO => return Owed::Later("ReadDone"),
        Op::Fetch { budget, .. } if budget.wait > Span::ZERO => return Owed::Later("FetchDone"),
        Op::Fetch { .. } => "FetchDone",
        Op::Poll { .. } => "Polled",
        Op::ResetOffsets { .. } => "OffsetsReset",
        Op::StartRedrive { .. } => "RedriveStarted",
        Op::DeleteOffsets { .. }
        | Op::PurgeQueue { .. }
        | Op::Redrive { .. }
        | Op::StopRedrive { .. } => "Count",
        Op::Consume { .. } => "Consuming",
        Op::Ack { .. }
        | Op::Nack { .. }
        | Op::Reject { .. }
        | Op::Extend { .. }
        | Op::Release { .. } => "Settled",
        Op::Peek { .. } | Op::Inspect { .. } => "Inspected",
        Op::Read { .. } | Op::Replay { .. } => "ReadDone",
        Op::Join { .. } => "Joined",
        Op::JoinClassic { .. } => return Owed::Later("JoinedClassic"),
        Op::Sync { .. } => return Owed::Later("Synced"),
        Op::RemoveMembers { .. } => "MembersRemoved",
        Op::InitProducer { .. } => "ProducerReady",
        Op::DeclareExchange { .. }
        | Op::DeleteExchange { .. }
        | Op::DeclareQueue { .. }
        | Op::DeleteQueue { .. }
        | Op::CreateTopic { .. }
        | Op::DeleteTopic { .. }
        | Op::AlterTopic { .. }
        | Op::AddPartitions { .. }
        | Op::DeleteRecords { .. }
        | Op::Bind { .. }
        | Op::Unbind { .. }
        | Op::Cancel { .. }
        | Op::Heartbeat { .. }
        | Op::Leave { .. }
        | Op::Commit { .. }
        | Op::Seek { .. }
        | Op::CommitGroup { .. }
        | Op::Revoked { .. }
        | Op::Subscribe { .. }
        | Op::DeleteGroup { .. }
        | Op::Watch { .. }
        | Op::AlterQueue { .. }
        | Op::CommitInTransaction { .. }
        | Op::EndTransaction { .. }
        | Op::Prefetch { .. }
        | Op::CreateWorkGroup { .. }
        | Op::DeleteWorkGroup { .. } => "Done",
    })
}

/// Which request an event answers, if it answers one, and how.
pub fn answer(event: &Event<'_>) -> Option<(Tag, &'static str)> {
    Some(match event {
        Event::Done { tag } => (*tag, "Done"),
        Event::Count { tag, .. } => (*tag, "Count"),
        Event::Refused { tag, .. } => (*tag, "Refused"),
        Event::Published { tag, .. } => (*tag, "Published"),
        Event::RedriveStarted { tag, .. } => (*tag, "RedriveStarted"),
        Event::Consuming { tag, .. } => (*tag, "Consuming"),
        Event::Received { tag, .. } => (*tag, "Received"),
        Event::Settled { tag, .. } => (*tag, "Settled"),
        Event::Joined { tag, .. } => (*tag, "Joined"),
        Event::JoinedClassic { tag, .. } => (*tag, "JoinedClassic"),
        Event::Synced { tag, .. } => (*tag, "Synced"),
        Event::MembersRemoved { tag, .. } => (*tag, "MembersRemoved"),
        Event::Polled { tag, .. } => (*tag, "Polled"),
        Event::ReadDone { tag, .. } => (*tag, "ReadDone"),
        Event::FetchDone { tag, .. } => (*tag, "FetchDone"),
        Event::ProducerReady { tag, .. } => (*tag, "ProducerReady"),
        Event::Inspected { tag, .. } => (*tag, "Inspected"),
        Event::OffsetsReset { tag, .. } => (*tag, "OffsetsReset"),
        Event::Opened { .. }
        | Event::Cancelled { .. }
        | Event::Delivered { .. }
        | Event::Assigned { .. }
        | Event::Expelled { .. }
        | Event::Returned { .. }
        | Event::RedriveEnded { .. }
        | Event::Activity { .. }
        | Event::Pressure { .. } => return None,
    })
}
