//! What is asked, and who answers it.

use super::bindings::Bound;
use super::classic::{Brings, Syncing};
use super::consume::Consumption;
use super::membership::Joining;
use super::publish::How;
use super::{Asked, Broker, Refused, redrive_job};
use crate::activity::Activity;
use crate::effect::{CloseReason, Effect, Sink};
use crate::event::Event;
use crate::id::{ConnId, Tag};
use crate::request::{Op, Request};

impl Broker {
    pub(super) fn request(&mut self, conn: ConnId, request: Request<'_>, out: &mut dyn Sink) {
        if !self.conns.contains_key(&conn) {
            out.emit(Effect::Close(conn, CloseReason::NotOpen));
            return;
        }
        let tag = request.tag;
        self.because_of(conn, &request.op);
        if let Err(refusal) = self.dispatch(conn, tag, request.op, out) {
            self.note(out, || Activity::Refused { conn, refusal: refusal.clone() });
            self.tell(conn, Event::Refused { tag, refusal }, out);
        }
    }

    fn dispatch(
        &mut self,
        conn: ConnId,
        tag: Tag,
        op: Op<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        match op {
            Op::DeclareExchange { name, kind, policy } => {
                self.declare_exchange(&name, kind, &policy, out)?;
            }
            Op::DeleteExchange { name, if_unused } => {
                self.delete_exchange(&name, if_unused, out)?
            }
            Op::DeclareQueue { name, policy } => self.declare_queue(conn, &name, policy, out)?,
            Op::DeleteQueue { name, if_empty, if_unused } => {
                self.delete_queue(conn, &name, (if_empty, if_unused), out)?;
            }
            Op::PurgeQueue { name, all } => return self.purge_queue(conn, tag, &name, all, out),
            Op::CreateTopic { name, partitions, policy } => {
                self.create_topic(&name, partitions, &policy, out)?;
            }
            Op::AlterTopic { name, policy } => self.alter_topic(&name, &policy, out)?,
            Op::AddPartitions { topic, partitions } => {
                self.add_partitions(&topic, partitions, out)?;
            }
            Op::DeleteRecords { topic, partition, before } => {
                self.delete_records(&topic, partition, before, out)?;
            }
            Op::DeleteTopic { name } => self.delete_topic(&name, out)?,
            Op::Bind { exchange, to, pattern, headers } => {
                self.bind(conn, Bound { exchange, to, pattern, headers }, out)?;
            }
            Op::Unbind { exchange, to, pattern, headers } => {
                self.unbind(conn, Bound { exchange, to, pattern, headers }, out)?;
            }
            Op::Publish { to, confirm, unroutable, records, by, transactional } => {
                self.publishes(conn, out);
                let how = How { confirm, by, transactional, unroutable };
                return self.publish(conn, tag, &to, how, &records, out);
            }
            Op::Consume { queue, prefetch, visibility, auto_ack, exclusive } => {
                let how = Consumption { prefetch, visibility, auto_ack, exclusive };
                return self.consume(conn, tag, &queue, how, out);
            }
            Op::Cancel { consumer } => self.cancel(conn, consumer, out)?,
            Op::Receive { queue, messages_max, wait, visibility, auto_ack } => {
                let asked = Asked { messages_max, visibility, auto_ack };
                return self.receive(conn, tag, &queue, (asked, wait), out);
            }
            Op::Ack { leases } => return self.ack(conn, tag, &leases, out),
            Op::Nack { leases, delay } => return self.nack(conn, tag, &leases, delay, out),
            Op::Reject { leases } => return self.reject(conn, tag, &leases, out),
            Op::Release { leases } => return self.release(conn, tag, &leases, out),
            Op::Extend { leases, visibility } => {
                return self.extend(conn, tag, &leases, visibility, out);
            }
            Op::Peek { queue, from, messages_max } => {
                return self.peek(conn, tag, &queue, from, messages_max, out);
            }
            Op::Redrive { queue, pick, to } => {
                return self.redrive(conn, tag, &queue, &pick, to.as_deref(), out);
            }
            Op::Read { topic, partition, from, budget } => {
                return self.read(conn, tag, (&topic, partition), from, budget, out);
            }
            Op::Fetch { reads, budget } => return self.fetch(conn, tag, &reads, budget, out),
            Op::Join {
                group,
                topics,
                assignor,
                start,
                session_timeout,
                instance,
                rebalance_timeout,
            } => {
                let timeouts = (session_timeout, rebalance_timeout);
                let asked = Joining { assignor, start, timeouts, instance: instance.as_deref() };
                return self.join((conn, tag), &group, &topics, asked, out);
            }
            Op::Heartbeat { member, generation } => self.heartbeat(conn, member, generation)?,
            Op::Leave { member } => self.leave(conn, member, out)?,
            Op::Poll { member, budget } => return self.poll(conn, tag, member, budget, out),
            Op::Commit { member, generation, offsets } => {
                self.commit(conn, member, generation, &offsets, out)?;
            }
            Op::Seek { member, topic, partition, to } => {
                self.seek(conn, member, (&topic, partition), to, out)?;
            }
            Op::ResetOffsets { group, topic, partition, to, dry_run } => {
                let (at, how) = ((topic.as_ref(), partition), (to, dry_run));
                return self.reset_offsets((conn, tag), &group, at, how, out);
            }
            Op::DeleteGroup { group } => self.delete_group(&group, out)?,
            Op::CreateWorkGroup { name, topic, policy, from } => {
                self.create_work_group(&name, &topic, policy, from, out)?;
            }
            Op::Replay { queue, from, records_max, bytes_max } => {
                let most = (records_max, bytes_max);
                return self.replay((conn, tag), &queue, from, most, out);
            }
            Op::DeleteWorkGroup { name } => self.delete_work_group(&name, out)?,
            Op::Watch { on } => self.watch(conn, on),
            Op::StartRedrive { queue, filter, to, rate, dry_run } => {
                let asked = redrive_job::Asked { queue, filter, to, rate, dry_run };
                return self.start_redrive(conn, tag, asked, out);
            }
            Op::StopRedrive { redrive } => return self.stop_redrive(conn, tag, redrive, out),
            Op::Inspect { what } => return self.inspect(conn, tag, &what, out),
            Op::AlterQueue { name, policy } => self.alter_queue(conn, &name, &policy, out)?,
            Op::Prefetch { max } => self.prefetch(conn, max),
            Op::InitProducer { name, timeout, current } => {
                let asked = (timeout, current);
                return self.init_producer(conn, tag, name.as_deref(), asked, out);
            }
            Op::JoinClassic {
                group,
                member,
                instance,
                protocol_type,
                protocols,
                session_timeout,
                rebalance_timeout,
                initial_delay,
            } => {
                let brings = Brings {
                    member,
                    instance: instance.as_deref(),
                    protocol_type: &protocol_type,
                    protocols: &protocols,
                    timeouts: (session_timeout, rebalance_timeout),
                    initial_delay,
                };
                return self.join_classic((conn, tag), &group, brings, out);
            }
            Op::Sync { member, generation, protocol_type, protocol, assignments } => {
                let takes_for = (protocol_type.as_deref(), protocol.as_deref());
                let asked = Syncing { member, generation, takes_for, assignments: &assignments };
                return self.sync((conn, tag), asked, out);
            }
            Op::RemoveMembers { group, members } => {
                return self.remove_named((conn, tag), &group, &members, out);
            }
            Op::Subscribe { member, topics } => self.subscribe(conn, member, &topics, out)?,
            Op::Revoked { member, generation } => self.revoked(conn, member, generation, out)?,
            Op::CommitGroup { group, offsets } => self.commit_group(&group, &offsets, out)?,
            Op::DeleteOffsets { group, topic, partition } => {
                return self.delete_offsets((conn, tag), &group, (&topic, partition), out);
            }
            Op::CommitInTransaction { producer, epoch, group, member, offsets } => {
                let life = (producer, epoch);
                self.commit_in_transaction(life, &group, member, &offsets, out)?;
            }
            Op::EndTransaction { producer, epoch, commit } => {
                self.end_transaction((producer, epoch), commit, out)?;
            }
        }
        self.tell(conn, Event::Done { tag }, out);
        Ok(())
    }
}
