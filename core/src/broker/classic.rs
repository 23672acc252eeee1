//! Joining where the members assign: Kafka's classic group protocol, as its `GroupCoordinator`
//! (since 4.0 `GroupMetadataManager`) has it.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::membership::valid_timeouts;
use super::{Awaits, Broker, Refused, span_within, valid_name, within};
use crate::activity::{Activity, LeaveReason, RebalanceCause};
use crate::classic::{Classic, Initial, Joiner, Phase, Proposed, bytes_of};
use crate::effect::Sink;
use crate::event::{Event, Proposal};
use crate::fact::Fact;
use crate::group::Group;
use crate::id::{ConnId, Generation, GroupId, MemberId, Tag};
use crate::limits::{
    INITIAL_DELAY_DEFAULT, PROPOSALS_BYTES_MAX, PROTOCOLS_PER_MEMBER_MAX, REBALANCE_TIMEOUT_MAX,
};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::Protocol;
use crate::time::Span;
use crate::timer::{Due, TimerId};

mod members;
mod sync;

use members::join_again;
pub(super) use sync::Syncing;

/// What a member brings when it joins.
pub(super) struct Brings<'a> {
    pub(super) member: Option<MemberId>,
    pub(super) instance: Option<&'a str>,
    pub(super) protocol_type: &'a str,
    pub(super) protocols: &'a [Protocol<'a>],
    /// Of its session, and of a rebalance.
    pub(super) timeouts: (Option<Span>, Option<Span>),
    pub(super) initial_delay: Option<Span>,
}

impl Broker {
    pub(super) fn join_classic(
        &mut self,
        (conn, tag): (ConnId, Tag),
        name: &str,
        brings: Brings<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let Brings { member, instance, protocol_type, .. } = brings;
        let (session, rebalance) = valid_timeouts(brings.timeouts)?;
        let delay = brings.initial_delay.unwrap_or(INITIAL_DELAY_DEFAULT);
        span_within("initial_delay", delay, Span::ZERO, REBALANCE_TIMEOUT_MAX)?;
        valid_name("protocol type", protocol_type)?;
        let protocols = valid_protocols(brings.protocols)?;
        instance.map_or(Ok(()), |instance| valid_name("instance", instance))?;
        let group = self.group_names.get(name).map(|id| &self.groups[id]);
        group.map_or(Ok(()), leaves_it_to_members)?;
        let before = self.classic_place(name, member, instance)?;
        self.may_join_classic(name, protocol_type, &protocols, before)?;
        let attached = before.is_some_and(|before| self.conns[&conn].members.contains(before));
        self.room_for_more_on(conn, 1 + usize::from(!attached))?;
        let id = match self.group_names.get(name) {
            Some(id) => *id,
            None => self.create_group(name, out)?,
        };
        if let Some(member) = member {
            self.joins_again(id, (conn, tag), (member, protocols, (session, rebalance)), out);
            return Ok(());
        }
        let joiner = Joiner {
            conn: Some(conn),
            joined_by: conn,
            client: self.conns[&conn].client.clone(),
            instance: instance.map(ToOwned::to_owned),
            protocols,
            session,
            rebalance,
            timer: TimerId::NONE,
            joining: None,
            syncing: None,
            owes_sync: false,
            known: false,
            assignment: Vec::new(),
        };
        let member = MemberId(self.number());
        if let Some(before) = before {
            self.instance_again(id, (conn, tag), before, (member, joiner), out);
            return Ok(());
        }
        self.occupied(id);
        let group = self.group_mut(id);
        group.classic.get_or_insert_with(|| {
            Box::new(Classic {
                phase: Phase::Stable,
                protocol_type: protocol_type.to_owned(),
                protocol: String::new(),
                leader: member,
                members: Map::default(),
                timer: TimerId::NONE,
                initial: Initial::new(delay, rebalance),
            })
        });
        self.seat(id, member, joiner);
        self.note(out, || Activity::MemberJoined { group: name.into(), member, conn });
        self.waits_to_join(id, member, (conn, tag));
        self.prepare(id, (member, RebalanceCause::Joined), out);
        Ok(())
    }

    /// Whom a join takes the place of: the member that it names, or the one before it under its
    /// instance's name.
    fn classic_place(
        &self,
        name: &str,
        member: Option<MemberId>,
        instance: Option<&str>,
    ) -> Result<Option<MemberId>, Refused> {
        let group = self.group_names.get(name).map(|id| &self.groups[id]);
        let named = instance.and_then(|instance| group?.instances.get(instance).copied());
        let Some(member) = member else { return Ok(named) };
        self.is_not_fenced(member)?;
        let known = group.and_then(|group| group.classic.as_ref()?.members.get(&member));
        let fits = known.is_some_and(|known| {
            instance.is_none_or(|_| named == Some(member)) && {
                instance.is_none() || known.instance.as_deref() == instance
            }
        });
        if fits {
            return Ok(Some(member));
        }
        Err(Code::UnknownMember
            .because(format!("group {name:?} has no such {member}; join without a number")))
    }

    fn may_join_classic(
        &self,
        name: &str,
        protocol_type: &str,
        protocols: &[Proposed],
        before: Option<MemberId>,
    ) -> Result<(), Refused> {
        let group = self.group_names.get(name).map(|id| &self.groups[id]);
        let classic = group.and_then(|group| group.classic.as_deref());
        let bytes = bytes_of(protocols) + classic.map_or(0, |c| c.proposed_bytes(before));
        if bytes > PROPOSALS_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "the members of group {name:?} would propose {bytes} bytes; together they may \
                 propose {PROPOSALS_BYTES_MAX}"
            )));
        }
        let Some(classic) = classic else { return Ok(()) };
        if classic.protocol_type != protocol_type {
            return Err(Code::InconsistentGroupProtocol.because(format!(
                "group {name:?} is of type {:?} as long as it has members, not {protocol_type:?}",
                classic.protocol_type
            )));
        }
        if !classic.agrees(protocols, before) {
            return Err(Code::InconsistentGroupProtocol.because(format!(
                "no protocol of these is supported by all members of group {name:?}"
            )));
        }
        if before.is_some() {
            return Ok(());
        }
        self.room_for("members", classic.members.len(), self.config.limits.members_max)
    }

    /// Gives a member its place, and begins its session.
    fn seat(&mut self, id: GroupId, member: MemberId, mut joiner: Joiner) {
        joiner.timer = self.timers.start(self.now + joiner.session, Due::Session(member));
        self.members.insert(member, id);
        if let Some(conn) = joiner.conn {
            self.conn_mut(conn).members.insert(member);
        }
        let group = self.group_mut(id);
        if let Some(instance) = &joiner.instance {
            group.instances.insert(instance.clone(), member);
        }
        self.classic_mut(id).members.insert(member, joiner);
    }

    /// A member joins that is there already.
    fn joins_again(
        &mut self,
        id: GroupId,
        (conn, tag): (ConnId, Tag),
        (member, protocols, timeouts): (MemberId, Vec<Proposed>, (Span, Span)),
        out: &mut dyn Sink,
    ) {
        self.speaks_through(id, conn, member);
        let joiner = self.joiner_mut(id, member);
        (joiner.session, joiner.rebalance) = timeouts;
        let same = joiner.protocols == protocols;
        joiner.protocols = protocols;
        self.renew_joiner(id, member);
        let classic = self.classic(id);
        let leads = classic.leader == member;
        let told = match classic.phase {
            Phase::Joining => false,
            // Its answer was lost: it is told again.
            Phase::Syncing => same,
            // The leader joins again because it wants to assign anew.
            Phase::Stable => same && !leads,
        };
        if told {
            return self.tell_joined(id, member, (conn, tag), false, out);
        }
        self.refuse_waits(id, member, join_again, out);
        self.waits_to_join(id, member, (conn, tag));
        let cause = match same {
            true => RebalanceCause::LeaderAgain,
            false => RebalanceCause::Changed,
        };
        self.prepare(id, (member, cause), out);
    }

    /// A static member comes back without its number, and takes the place of the one before. As in
    /// Kafka (KIP-345) that is no rebalance where the protocol stays what it is, so that a restart
    /// moves nothing; what else it proposes now counts with the next generation.
    fn instance_again(
        &mut self,
        id: GroupId,
        (conn, tag): (ConnId, Tag),
        before: MemberId,
        (member, mut joiner): (MemberId, Joiner),
        out: &mut dyn Sink,
    ) {
        let reason = LeaveReason::InstanceFenced;
        let former = self.classic(id).members[&before].conn;
        self.tell_member(former, Event::Expelled { member: before, reason }, out);
        self.fence(before);
        let fenced = || Code::FencedInstanceId.because("another joined under this instance's name");
        self.refuse_waits(id, before, fenced, out);
        let old = self.forget_joiner(id, before);
        let instance = joiner.instance.clone().unwrap_or_default();
        joiner.assignment = old.assignment;
        let classic = self.classic_mut(id);
        let led = classic.leader == before;
        if led {
            classic.leader = member;
        }
        self.seat(id, member, joiner);
        self.note(out, || Activity::MemberReturned {
            group: self.groups[&id].name.as_str().into(),
            instance: instance.as_str().into(),
            member,
            before,
            conn,
        });
        let classic = self.classic(id);
        if classic.phase == Phase::Stable && classic.choose() == classic.protocol {
            self.all_synced(id);
            return self.tell_joined(id, member, (conn, tag), led, out);
        }
        self.waits_to_join(id, member, (conn, tag));
        self.prepare(id, (member, RebalanceCause::Joined), out);
    }

    /// The request waits for the generation; it is known that there is room for it.
    fn waits_to_join(&mut self, id: GroupId, member: MemberId, (conn, tag): (ConnId, Tag)) {
        let number = self.park(conn, tag, Awaits::Joined { group: id, member });
        if let Some(initial) = &mut self.classic_mut(id).initial {
            initial.came = true;
        }
        self.joiner_mut(id, member).joining = Some(number);
    }

    /// The group needs another generation: all are waited for to join.
    fn prepare(
        &mut self,
        id: GroupId,
        (member, cause): (MemberId, RebalanceCause),
        out: &mut dyn Sink,
    ) {
        if self.classic(id).phase != Phase::Joining {
            for syncs in self.classic(id).those(|member| member.syncing.is_some()) {
                self.refuse_waits(id, syncs, join_again, out);
            }
            let classic = self.classic_mut(id);
            for member in classic.members.values_mut() {
                (member.owes_sync, member.assignment) = (false, Vec::new());
            }
            classic.phase = Phase::Joining;
            let initial = classic.initial.as_mut().and_then(Initial::wait);
            let wait = initial.unwrap_or(classic.rebalance_timeout());
            self.wait_for_members(id, wait);
            self.note(out, || Activity::GroupRebalancing {
                group: self.groups[&id].name.as_str().into(),
                member,
                cause,
                members: self.classic(id).members.len() as u32,
            });
        }
        if self.classic(id).all_joined() {
            self.complete_join(id, out);
        }
    }

    fn wait_for_members(&mut self, id: GroupId, wait: Span) {
        let timer = self.timers.start(self.now + wait, Due::Rebalance(id));
        let before = core::mem::replace(&mut self.classic_mut(id).timer, timer);
        self.timers.stop(before);
    }

    /// Members had time enough, to join or to sync.
    pub(super) fn rebalance_due(&mut self, id: GroupId, timer: TimerId, out: &mut dyn Sink) {
        let classic = self.groups.get_mut(&id).and_then(|group| group.classic.as_deref_mut());
        let Some(classic) = classic.filter(|classic| classic.timer == timer) else { return };
        classic.timer = TimerId::NONE;
        if classic.phase == Phase::Joining {
            return match classic.initial.as_mut().and_then(Initial::wait) {
                Some(wait) => self.wait_for_members(id, wait),
                None => self.complete_join(id, out),
            };
        }
        let late = classic.late_to_sync();
        self.expel_joiners(id, late, LeaveReason::RebalanceTimeout, out);
    }

    /// The join phase is over: who has not joined is out, unless it is a static member, and the
    /// others are told the generation.
    fn complete_join(&mut self, id: GroupId, out: &mut dyn Sink) {
        self.classic_mut(id).initial = None;
        for member in self.classic(id).late_to_join() {
            self.expel_joiner(id, member, LeaveReason::RebalanceTimeout, out);
        }
        let joined = self.classic(id).those(|member| member.joining.is_some());
        let Some(first) = joined.first().copied() else {
            if self.classic(id).members.is_empty() {
                return self.emptied(id, out);
            }
            // All that is left are static members that are away: their sessions decide.
            let classic = self.classic_mut(id);
            classic.leader = classic.members.first_key().expect("there are members");
            let wait = classic.rebalance_timeout();
            return self.wait_for_members(id, wait);
        };
        let generation = Generation(self.groups[&id].generation.0 + 1);
        self.record(Fact::Rebalanced { group: id, generation }, out);
        let classic = self.classic_mut(id);
        if !joined.contains(&classic.leader) {
            classic.leader = first;
        }
        classic.protocol = classic.choose();
        classic.phase = Phase::Syncing;
        let wait = classic.rebalance_timeout();
        self.wait_for_members(id, wait);
        self.note(out, || Activity::LeaderChosen {
            group: self.groups[&id].name.as_str().into(),
            generation,
            protocol: self.classic(id).protocol.as_str().into(),
            leader: self.classic(id).leader,
            members: self.classic(id).members.len() as u32,
        });
        for member in joined {
            let number = self.classic(id).members[&member].joining.expect("it has joined");
            let wait = self.stop_waiting(number);
            self.joiner_mut(id, member).owes_sync = true;
            self.renew_joiner(id, member);
            self.tell_joined(id, member, (wait.conn, wait.tag), false, out);
        }
    }

    fn tell_joined(
        &mut self,
        id: GroupId,
        member: MemberId,
        (conn, tag): (ConnId, Tag),
        skip_assignment: bool,
        out: &mut dyn Sink,
    ) {
        self.joiner_mut(id, member).known = true;
        let classic = self.classic(id);
        let leads = classic.leader == member;
        let proposal = |(id, joiner): (&MemberId, &Joiner)| Proposal {
            member: *id,
            instance: joiner.instance.clone().map(Cow::Owned),
            metadata: Cow::Owned(classic.proposal(joiner).to_vec()),
        };
        let missed = |id: &MemberId| *id != member && planted(Planted::LeaderMissesAMember);
        let members = classic.members.iter().filter(|(id, _)| leads && !missed(id));
        let event = Event::JoinedClassic {
            tag,
            member,
            generation: self.groups[&id].generation,
            protocol_type: classic.protocol_type.as_str().into(),
            protocol: classic.protocol.as_str().into(),
            leader: classic.leader,
            skip_assignment,
            members: members.map(proposal).collect(),
        };
        self.tell(conn, event, out);
    }
}

/// Whether members may join this group to assign by themselves.
fn leaves_it_to_members(group: &Group) -> Result<(), Refused> {
    if group.members.is_empty() {
        return Ok(());
    }
    Err(Code::InconsistentGroupProtocol.because(format!(
        "the broker assigns in group {:?} as long as it has members; join it with topics, or wait \
         until they have left",
        group.name
    )))
}

fn valid_protocols(protocols: &[Protocol<'_>]) -> Result<Vec<Proposed>, Refused> {
    let max = PROTOCOLS_PER_MEMBER_MAX as u64;
    within("the number of protocols", protocols.len() as u64, 1, max)?;
    let mut valid: Vec<Proposed> = Vec::with_capacity(protocols.len());
    for Protocol { name, metadata } in protocols {
        valid_name("protocol", name)?;
        if valid.iter().any(|(other, _)| other == name) {
            return Err(Code::BadArgument.because(format!("protocol {name:?} stands there twice")));
        }
        valid.push((name.to_string(), metadata.to_vec()));
    }
    Ok(valid)
}
