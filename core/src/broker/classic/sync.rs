//! What the leader assigns, and who asks for it.

use alloc::borrow::Cow;
use alloc::format;

use super::join_again;
use crate::activity::Activity;
use crate::broker::{Awaits, Broker, Refused};
use crate::classic::{Classic, Phase};
use crate::effect::Sink;
use crate::event::Event;
use crate::id::{ConnId, Generation, GroupId, MemberId, Tag};
use crate::limits::ASSIGNMENTS_BYTES_MAX;
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::MemberAssignment;
use crate::set::Set;
use crate::timer::TimerId;

/// What a member says when it asks for its assignment.
pub(in crate::broker) struct Syncing<'a> {
    pub(in crate::broker) member: MemberId,
    pub(in crate::broker) generation: Generation,
    /// The type, and the protocol.
    pub(in crate::broker) takes_for: (Option<&'a str>, Option<&'a str>),
    pub(in crate::broker) assignments: &'a [MemberAssignment<'a>],
}

impl Broker {
    pub(in crate::broker) fn sync(
        &mut self,
        (conn, tag): (ConnId, Tag),
        asked: Syncing<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let Syncing { member, generation, takes_for, assignments } = asked;
        let id = self.classic_group_of(member)?;
        self.is_generation(id, generation)?;
        let classic = self.classic(id);
        is_as_taken(classic, takes_for)?;
        let (phase, leads) = (classic.phase, classic.leader == member);
        if phase == Phase::Joining {
            return Err(join_again());
        }
        let assigns = leads && phase == Phase::Syncing;
        if assigns {
            valid_assignments(classic, assignments)?;
        }
        let waits = phase == Phase::Syncing && !leads && !planted(Planted::SyncedBeforeTheLeader);
        let attached = self.conns[&conn].members.contains(member);
        self.room_for_more_on(conn, usize::from(waits) + usize::from(!attached))?;
        self.speaks_through(id, conn, member);
        self.renew_joiner(id, member);
        // Whoever asked before no longer listens.
        self.refuse_waits(
            id,
            member,
            || Code::Conflict.because("another sync took its place"),
            out,
        );
        self.joiner_mut(id, member).owes_sync = false;
        if waits {
            let number = self.park(conn, tag, Awaits::Synced { group: id, member });
            self.joiner_mut(id, member).syncing = Some(number);
            return Ok(());
        }
        if assigns {
            self.assign(id, assignments);
            self.note(out, || Activity::LeaderAssigned {
                group: self.groups[&id].name.as_str().into(),
                generation,
                leader: member,
            });
        }
        self.tell_synced(id, member, (conn, tag), out);
        if assigns {
            self.serve_syncs(id, out);
        }
        self.all_synced(id);
        Ok(())
    }

    fn assign(&mut self, id: GroupId, assignments: &[MemberAssignment<'_>]) {
        let classic = self.classic_mut(id);
        classic.phase = Phase::Stable;
        for MemberAssignment { member, assignment } in assignments {
            let joiner = classic.members.get_mut(member).expect("it was looked for");
            joiner.assignment = assignment.to_vec();
        }
    }

    /// Answers the syncs that waited for the leader's.
    fn serve_syncs(&mut self, id: GroupId, out: &mut dyn Sink) {
        for member in self.classic(id).those(|member| member.syncing.is_some()) {
            let number = self.classic(id).members[&member].syncing.expect("it waits");
            let wait = self.stop_waiting(number);
            self.renew_joiner(id, member);
            self.tell_synced(id, member, (wait.conn, wait.tag), out);
        }
    }

    /// Nobody is waited for any longer once all have synced.
    pub(super) fn all_synced(&mut self, id: GroupId) {
        let classic = self.classic_mut(id);
        if classic.phase == Phase::Stable && classic.late_to_sync().is_empty() {
            let timer = core::mem::replace(&mut classic.timer, TimerId::NONE);
            self.timers.stop(timer);
        }
    }

    fn tell_synced(
        &self,
        id: GroupId,
        member: MemberId,
        (conn, tag): (ConnId, Tag),
        out: &mut dyn Sink,
    ) {
        let classic = self.classic(id);
        let event = Event::Synced {
            tag,
            protocol_type: classic.protocol_type.as_str().into(),
            protocol: classic.protocol.as_str().into(),
            assignment: Cow::Borrowed(&classic.members[&member].assignment),
        };
        self.tell(conn, event, out);
    }

    /// Says that a member lives; refused while its group rebalances, though its session goes on,
    /// so that it knows to join again.
    pub(in crate::broker) fn heartbeat_classic(
        &mut self,
        id: GroupId,
        conn: ConnId,
        member: MemberId,
        generation: Option<Generation>,
    ) -> Result<(), Refused> {
        generation.map_or(Ok(()), |generation| self.is_generation(id, generation))?;
        let attached = self.conns[&conn].members.contains(member);
        self.room_for_more_on(conn, usize::from(!attached))?;
        self.speaks_through(id, conn, member);
        self.renew_joiner(id, member);
        if self.classic(id).phase == Phase::Joining { Err(join_again()) } else { Ok(()) }
    }

    /// A commit of a member whose group's members assign: the broker does not know who reads what,
    /// so it looks at the generation alone, and as in Kafka a commit may go back. While members
    /// join again they may still commit.
    pub(in crate::broker) fn may_commit_classic(
        &self,
        id: GroupId,
        generation: Generation,
        in_transaction: bool,
    ) -> Result<(), Refused> {
        if !planted(Planted::OldGenerationCommits) {
            self.is_generation(id, generation)?;
        }
        match self.classic(id).phase {
            Phase::Syncing if !in_transaction => Err(join_again()),
            Phase::Syncing | Phase::Joining | Phase::Stable => Ok(()),
        }
    }

    fn is_generation(&self, id: GroupId, generation: Generation) -> Result<(), Refused> {
        let group = &self.groups[&id];
        if generation == group.generation {
            return Ok(());
        }
        Err(Code::IllegalGeneration.because(format!(
            "group {:?} is in generation {}, not {generation}; join again",
            group.name, group.generation
        )))
    }
}

/// Whether a group is what a member takes it for.
fn is_as_taken(
    classic: &Classic,
    (protocol_type, protocol): (Option<&str>, Option<&str>),
) -> Result<(), Refused> {
    let is = |taken: Option<&str>, is: &str| taken.is_none_or(|taken| taken == is);
    if is(protocol_type, &classic.protocol_type) && is(protocol, &classic.protocol) {
        return Ok(());
    }
    Err(Code::InconsistentGroupProtocol.because(format!(
        "the group is of type {:?} and assigns by {:?}; join again",
        classic.protocol_type, classic.protocol
    )))
}

fn valid_assignments(
    classic: &Classic,
    assignments: &[MemberAssignment<'_>],
) -> Result<(), Refused> {
    let mut named = Set::default();
    for MemberAssignment { member, .. } in assignments {
        if !classic.members.contains_key(member) || !named.insert(*member) {
            return Err(Code::BadArgument.because(format!(
                "{member} is given something, and is not in the group, or is named twice"
            )));
        }
    }
    let bytes: usize = assignments.iter().map(|given| given.assignment.len()).sum();
    if bytes <= ASSIGNMENTS_BYTES_MAX {
        return Ok(());
    }
    Err(Code::TooLarge.because(format!(
        "the assignments have {bytes} bytes; together they may have {ASSIGNMENTS_BYTES_MAX}"
    )))
}
