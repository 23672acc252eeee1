//! What each request needs of whoever makes it: RabbitMQ's configure, write and read, by name.

use std::borrow::Cow;

use fanlight_core::{
    Broker, CommitOffset, Destination, Inspect, MemberId, Op, ProducerId, QueuePolicy, Target,
};

/// What has to be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To declare, change and delete it.
    Configure,
    /// To publish to it, or to lead messages to it.
    Write,
    /// To take messages from it.
    Read,
    /// Any of the three: to know that it is there, and its numbers.
    See,
    /// The tag admin or monitoring, whatever the name.
    Monitor,
}

impl Need {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Need::Configure => "configure",
            Need::Write => "write",
            Need::Read => "read",
            Need::See => "see",
            Need::Monitor => "monitoring",
        }
    }
}

/// Tells everything that a request needs, by the name of what it needs it for. Stops and gives the
/// first for which `may` says no.
///
/// What a connection owns (its consumers, members, leases) needs nothing more than its making did.
pub(crate) fn needs(
    op: &Op<'_>,
    broker: &Broker,
    mut may: impl FnMut(Need, &str) -> bool,
) -> Result<(), (Need, String)> {
    let mut list = Needs { may: &mut may, refused: None };
    list.of(op, broker);
    list.refused.map_or(Ok(()), Err)
}

struct Needs<'m> {
    may: &'m mut dyn FnMut(Need, &str) -> bool,
    refused: Option<(Need, String)>,
}

impl Needs<'_> {
    fn need(&mut self, need: Need, name: &str) {
        if self.refused.is_none() && !(self.may)(need, name) {
            self.refused = Some((need, name.to_owned()));
        }
    }

    fn needs(&mut self, all: &[(Need, &str)]) {
        all.iter().for_each(|(need, name)| self.need(*need, name));
    }

    fn of(&mut self, op: &Op<'_>, broker: &Broker) {
        use Need::{Configure, Monitor, Read, Write};
        match op {
            Op::DeclareExchange { name, policy, .. } => {
                self.need(Configure, name);
                if let Some(alternate) = &policy.alternate {
                    self.needs(&[(Read, name), (Write, alternate)]);
                }
            }
            Op::DeleteExchange { name, .. }
            | Op::DeleteQueue { name, .. }
            | Op::DeleteGroup { group: name }
            | Op::DeleteWorkGroup { name }
            | Op::CreateTopic { name, .. }
            | Op::DeleteTopic { name }
            | Op::AlterTopic { name, .. }
            | Op::AddPartitions { topic: name, .. }
            | Op::DeleteRecords { topic: name, .. } => self.need(Configure, name),
            Op::DeclareQueue { name, policy } | Op::AlterQueue { name, policy } => {
                self.need(Configure, name);
                self.dead_letters(name, policy);
            }
            Op::PurgeQueue { name, all } => {
                self.need(Read, name);
                if *all {
                    // It takes what others have in hand.
                    self.need(Configure, name);
                }
            }
            Op::Bind { exchange, to, .. } | Op::Unbind { exchange, to, .. } => {
                let (Destination::Queue(to) | Destination::Topic(to) | Destination::Exchange(to)) =
                    to;
                self.needs(&[(Read, exchange), (Write, to)]);
            }
            Op::Publish { to, by, .. } => {
                self.need(Write, written(to));
                if let Some(by) = by {
                    self.producer(by.producer, broker);
                }
            }
            Op::Consume { queue: name, .. }
            | Op::Receive { queue: name, .. }
            | Op::Peek { queue: name, .. }
            | Op::Replay { queue: name, .. }
            | Op::Read { topic: name, .. } => self.need(Read, name),
            Op::Redrive { queue, to, .. } | Op::StartRedrive { queue, to, .. } => {
                self.need(Read, queue);
                self.redriven(queue, to.as_ref());
            }
            Op::StopRedrive { redrive } => {
                if let Some(queue) = broker.redrive_queue(*redrive) {
                    self.needs(&[(Read, queue), (Configure, queue)]);
                }
            }
            Op::Fetch { reads, .. } => reads.iter().for_each(|read| self.need(Read, &read.topic)),
            Op::Join { group, topics, .. } => {
                self.need(Read, group);
                topics.iter().for_each(|topic| self.need(Read, topic));
            }
            Op::JoinClassic { group, .. } => self.need(Read, group),
            Op::Sync { member, .. } | Op::Heartbeat { member, .. } | Op::Leave { member } => {
                self.classic(*member, broker);
            }
            Op::Commit { member, offsets, .. } => {
                if self.classic(*member, broker) {
                    offsets.iter().for_each(|offset| self.need(Read, &offset.topic));
                }
            }
            Op::RemoveMembers { group, .. } => self.need(Configure, group),
            Op::Subscribe { topics, .. } => {
                topics.iter().for_each(|topic| self.need(Read, topic));
            }
            Op::ResetOffsets { group, topic, .. } => self.needs(&[(Read, group), (Read, topic)]),
            Op::DeleteOffsets { group, topic, .. } => {
                self.needs(&[(Configure, group), (Read, topic)]);
            }
            Op::CommitGroup { group, offsets } => self.commits(group, offsets),
            Op::CommitInTransaction { producer, group, offsets, .. } => {
                self.commits(group, offsets);
                self.producer(*producer, broker);
            }
            Op::EndTransaction { producer, .. } => self.producer(*producer, broker),
            Op::InitProducer { name, current, .. } => {
                if let Some(name) = name {
                    self.need(Write, name);
                }
                if let Some((producer, _)) = current {
                    self.producer(*producer, broker);
                }
            }
            Op::CreateWorkGroup { name, topic, policy, .. } => {
                self.needs(&[(Configure, name), (Read, topic)]);
                self.dead_letters(name, policy);
            }
            Op::Watch { on: true } => self.need(Monitor, "everything that happens"),
            Op::Inspect { what } => self.inspect(what),
            Op::Watch { on: false }
            | Op::Cancel { .. }
            | Op::Ack { .. }
            | Op::Nack { .. }
            | Op::Reject { .. }
            | Op::Extend { .. }
            | Op::Release { .. }
            | Op::Poll { .. }
            | Op::Seek { .. }
            | Op::Prefetch { .. }
            | Op::Revoked { .. } => {}
        }
    }

    /// Where the messages of a queue go when they die: as in RabbitMQ, that reads the one and
    /// writes the other.
    fn dead_letters(&mut self, name: &str, policy: &QueuePolicy<'_>) {
        let key = policy.dead_letter_key.as_deref().unwrap_or_default();
        let exchange = policy.dead_letter_exchange.as_deref();
        let exchange = exchange.map(|exchange| if exchange.is_empty() { key } else { exchange });
        for to in [policy.dead_letter.as_deref(), exchange].into_iter().flatten() {
            self.needs(&[(Need::Read, name), (Need::Write, to)]);
        }
    }

    /// To another queue: whoever may write there. Back to where each died: whoever has charge of
    /// the queue they are in.
    fn redriven(&mut self, queue: &str, to: Option<&Cow<'_, str>>) {
        match to {
            Some(to) => self.need(Need::Write, to),
            None => self.need(Need::Configure, queue),
        }
    }

    fn commits(&mut self, group: &str, offsets: &[CommitOffset<'_>]) {
        self.need(Need::Read, group);
        for offset in offsets {
            self.need(Need::Read, &offset.topic);
        }
    }

    /// Whether a member is in a group whose members assign. It is not bound to its connection, and
    /// its number is no secret: whoever speaks for it has to be permitted its group.
    fn classic(&mut self, member: MemberId, broker: &Broker) -> bool {
        let group = broker.classic_group(member);
        if let Some(name) = group {
            self.need(Need::Read, name);
        }
        group.is_some()
    }

    /// A producer's number is no secret: whoever speaks for one with a name has to be permitted it.
    fn producer(&mut self, producer: ProducerId, broker: &Broker) {
        if let Some(name) = broker.producer_name(producer) {
            self.need(Need::Write, name);
        }
    }

    fn inspect(&mut self, what: &Inspect<'_>) {
        match what {
            Inspect::Queue(name)
            | Inspect::Topic(name)
            | Inspect::Group(name)
            | Inspect::Exchange(name)
            | Inspect::WorkGroup(name) => self.need(Need::See, name),
            Inspect::Message { queue, .. } => self.need(Need::Read, queue),
            Inspect::Record { topic, .. } => self.need(Need::Read, topic),
            // What nobody may see is taken out of these.
            Inspect::Overview | Inspect::List { .. } | Inspect::Groups { .. } => {}
            Inspect::Producers(_)
            | Inspect::Producer(_)
            | Inspect::Transactions(_)
            | Inspect::ProducerNamed(_)
            | Inspect::ProducersOf { .. } => self.need(Need::Monitor, "producers"),
            Inspect::DeadLetterSources { queue, .. } => self.need(Need::See, queue),
            Inspect::Connection(_) => self.need(Need::Monitor, "connections"),
            Inspect::Due { .. } => self.need(Need::Monitor, "what is due"),
            Inspect::Redrives => self.need(Need::Monitor, "redriving jobs"),
        }
    }
}

/// What a publish writes to: through the default exchange the queue that the key names.
fn written<'a>(to: &'a Target<'_>) -> &'a str {
    match to {
        Target::Exchange { name, routing_key } if name.is_empty() => routing_key,
        Target::Exchange { name, .. } | Target::Queue { name } | Target::Topic { name, .. } => name,
    }
}
