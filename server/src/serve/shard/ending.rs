//! How a shard ends: what is in hand may still be settled for a while, and nothing else is begun.

use std::time::{Duration, Instant};

use fanlight_core::{Code, ConnId, Op, Refusal};

use super::{JournalGone, Shard};
use crate::serve::journal::Job;
use crate::serve::mailbox::Closing;
use crate::serve::recording::Recorder;

impl Shard {
    /// Hands out nothing more, and waits so long for what is in hand to be settled.
    pub(super) fn begin_to_end(&mut self, grace: Duration) {
        self.ends_at = Some(Instant::now() + grace);
        let leased = self.broker.leased();
        if leased > 0 && !grace.is_zero() {
            // A recording has inputs only, and would hand out in its replay what is not now.
            self.recorder.take().into_iter().for_each(Recorder::end);
            self.broker.hand_out_nothing();
            let grace = humantime::format_duration(grace);
            tracing::info!(leased, "messages are in hand: up to {grace} for them to be settled");
        }
    }

    /// Whether everything is settled that was in hand, or there was time enough for it.
    pub(super) fn has_ended(&self) -> bool {
        self.ends_at.is_some_and(|at| self.broker.leased() == 0 || Instant::now() >= at)
    }

    /// How long a shard that ends still waits.
    pub(super) fn until_end(&self) -> Option<Duration> {
        Some(self.ends_at?.saturating_duration_since(Instant::now()))
    }

    /// Whether a shard that ends still does this; if not, why.
    pub(super) fn still_does(&self, op: &Op<'_>) -> Result<(), Refusal<'static>> {
        match self.ends_at.is_some() && !ends_something(op) {
            true => Err(Code::ShuttingDown.because(
                "the server is going down: what is in hand can be settled, and nothing is begun",
            )),
            false => Ok(()),
        }
    }

    /// Everything that was sent is applied: says goodbye, as if every connection had closed, so
    /// that attempts under way are remembered.
    pub(super) fn stop(&mut self) -> Result<(), JournalGone> {
        let refusal = Code::ShuttingDown.because("the server is going down");
        for conn in self.outbox.connections() {
            self.say_goodbye(conn, refusal.clone());
        }
        self.end_turn()?;
        self.recorder.take().into_iter().for_each(Recorder::end);
        self.journal.send(Job::Stop { time: self.now }).map_err(|_| JournalGone)
    }

    fn say_goodbye(&mut self, conn: ConnId, refusal: Refusal<'static>) {
        self.refuse(conn, refusal);
        let reason = "the server is going down".to_owned();
        self.close(conn, Closing { code: 1001, reason });
    }
}

/// Whether a request ends something that was begun, or only looks.
fn ends_something(op: &Op<'_>) -> bool {
    match op {
        Op::Ack { .. }
        | Op::Nack { .. }
        | Op::Reject { .. }
        | Op::Extend { .. }
        | Op::Release { .. }
        | Op::Cancel { .. }
        | Op::Commit { .. }
        | Op::CommitGroup { .. }
        | Op::CommitInTransaction { .. }
        | Op::EndTransaction { .. }
        | Op::Heartbeat { .. }
        | Op::Leave { .. }
        | Op::Revoked { .. }
        | Op::StopRedrive { .. }
        | Op::Inspect { .. }
        | Op::Peek { .. }
        | Op::Watch { .. } => true,
        Op::DeclareExchange { .. }
        | Op::DeleteExchange { .. }
        | Op::DeclareQueue { .. }
        | Op::DeleteQueue { .. }
        | Op::PurgeQueue { .. }
        | Op::CreateTopic { .. }
        | Op::DeleteTopic { .. }
        | Op::Bind { .. }
        | Op::Unbind { .. }
        | Op::Publish { .. }
        | Op::Consume { .. }
        | Op::Receive { .. }
        | Op::Redrive { .. }
        | Op::Read { .. }
        | Op::Join { .. }
        | Op::Poll { .. }
        | Op::Seek { .. }
        | Op::ResetOffsets { .. }
        | Op::DeleteGroup { .. }
        | Op::AlterQueue { .. }
        | Op::InitProducer { .. }
        | Op::DeleteOffsets { .. }
        | Op::Prefetch { .. }
        | Op::AlterTopic { .. }
        | Op::AddPartitions { .. }
        | Op::DeleteRecords { .. }
        | Op::CreateWorkGroup { .. }
        | Op::Replay { .. }
        | Op::DeleteWorkGroup { .. }
        | Op::StartRedrive { .. }
        | Op::JoinClassic { .. }
        | Op::Sync { .. }
        | Op::RemoveMembers { .. }
        | Op::Subscribe { .. }
        | Op::Fetch { .. } => false,
    }
}
