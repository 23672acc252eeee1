//! A group whose members assign: they bring proposals that the broker does not read, one of them
//! leads and decides, as in Kafka's classic protocol. Volatile, as all membership is.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::id::{ConnId, MemberId};
use crate::map::Map;
use crate::time::Span;
use crate::timer::TimerId;
use crate::view::{ClassicView, GroupState};

/// What such a group is doing. Kafka's names: `PreparingRebalance`, `CompletingRebalance`,
/// `Stable`. Without members there is no [`Classic`] (`Empty`), and a deleted group is gone
/// (`Dead`).
///
/// ```text
///          the first joins                all have joined, or time is up
///  (none) ────────────────▶ Joining ────────────────────────────────▶ Syncing
///     ▲                     ▲  │ ▲                                     │   │
///     │     somebody joins, │  │ │  somebody joins, changes, leaves,   │   │ the leader
///     │     changes, leaves,│  │ └─ is put out, or syncs too late ─────┘   │ syncs
///     │     is put out, or  │  │                                           ▼
///     │     syncs too late  └──┼──────────────────────────────────────── Stable
///     └────────────────────────┘
///       the last one is out (from every state)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Members are waited for to join (again).
    Joining,
    /// All were told the generation; the leader is waited for to say who reads what.
    Syncing,
    /// Everybody can have an assignment.
    Stable,
}

#[derive(Clone, Debug)]
pub(crate) struct Classic {
    pub(crate) phase: Phase,
    /// What kind of group it is, in its members' words: "consumer", "connect".
    pub(crate) protocol_type: String,
    /// What the members agreed on in this generation.
    pub(crate) protocol: String,
    pub(crate) leader: MemberId,
    pub(crate) members: Map<MemberId, Joiner>,
    /// Runs while members are waited for: to join, or, of those that joined, to sync.
    pub(crate) timer: TimerId,
    /// The group was empty, and waits a while for others to come.
    pub(crate) initial: Option<Initial>,
}

/// How long a group that was empty waits for more members (Kafka's
/// `group.initial.rebalance.delay.ms`): on for as long again as members come, but in all no longer
/// than a rebalance may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Initial {
    delay: Span,
    left: Span,
    /// Somebody came while it waited.
    pub(crate) came: bool,
}

/// A protocol's name, and what the member proposes in it.
pub(crate) type Proposed = (String, Vec<u8>);

#[derive(Clone, Debug)]
pub(crate) struct Joiner {
    /// None: that closed; whoever names the member speaks for it.
    pub(crate) conn: Option<ConnId>,
    pub(crate) joined_by: ConnId,
    pub(crate) client: String,
    pub(crate) instance: Option<String>,
    /// What it supports, what it likes best first.
    pub(crate) protocols: Vec<Proposed>,
    pub(crate) session: Span,
    pub(crate) rebalance: Span,
    pub(crate) timer: TimerId,
    /// Its `JoinClassic` that waits: it has joined the coming generation.
    pub(crate) joining: Option<u64>,
    /// Its `Sync` that waits.
    pub(crate) syncing: Option<u64>,
    /// It was told the generation, and has not synced.
    pub(crate) owes_sync: bool,
    /// It was told its number.
    pub(crate) known: bool,
    pub(crate) assignment: Vec<u8>,
}

impl Initial {
    /// None, if there is nothing to wait for.
    pub(crate) fn new(delay: Span, rebalance: Span) -> Option<Initial> {
        (delay > Span::ZERO).then_some(Initial { delay, left: rebalance, came: true })
    }

    /// How long to wait on; None: nobody came since, or all the time is used up.
    pub(crate) fn wait(&mut self) -> Option<Span> {
        if !self.came || self.left == Span::ZERO {
            return None;
        }
        let wait = self.delay.min(self.left);
        (self.left, self.came) = (Span(self.left.0 - wait.0), false);
        Some(wait)
    }
}

impl Classic {
    pub(crate) fn state(&self) -> GroupState {
        match self.phase {
            Phase::Joining => GroupState::PreparingRebalance,
            Phase::Syncing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    pub(crate) fn view(&self) -> ClassicView {
        ClassicView {
            protocol_type: self.protocol_type.clone(),
            protocol: Some(self.protocol.clone()).filter(|protocol| !protocol.is_empty()),
            leader: self.leader,
        }
    }

    /// The longest that any of its members may take for a rebalance.
    pub(crate) fn rebalance_timeout(&self) -> Span {
        self.members.values().map(|member| member.rebalance).max().unwrap_or_default()
    }

    /// Whether all have joined the coming generation, and nobody is waited for beyond that.
    pub(crate) fn all_joined(&self) -> bool {
        self.initial.is_none() && self.members.values().all(|member| member.joining.is_some())
    }

    /// Who is out when the time to join is up: static members may be away for their session.
    pub(crate) fn late_to_join(&self) -> Vec<MemberId> {
        self.those(|member| member.joining.is_none() && member.instance.is_none())
    }

    /// Who is out when the time to sync is up.
    pub(crate) fn late_to_sync(&self) -> Vec<MemberId> {
        self.those(|member| member.owes_sync)
    }

    pub(crate) fn those(&self, are: impl Fn(&Joiner) -> bool) -> Vec<MemberId> {
        let those = self.members.iter().filter(|(_, member)| are(member));
        those.map(|(id, _)| *id).collect()
    }

    /// Whether a protocol of `protocols` is supported by every other member than `but`.
    pub(crate) fn agrees(&self, protocols: &[Proposed], but: Option<MemberId>) -> bool {
        let others = || self.members.iter().filter(|(id, _)| Some(**id) != but);
        protocols.iter().any(|(name, _)| others().all(|(_, member)| member.supports(name)))
    }

    /// Bytes of what every other member than `but` proposes.
    pub(crate) fn proposed_bytes(&self, but: Option<MemberId>) -> usize {
        let others = self.members.iter().filter(|(id, _)| Some(**id) != but);
        others.map(|(_, member)| bytes_of(&member.protocols)).sum()
    }

    /// What all support, and of that what most like best; of equals what the leader likes best.
    pub(crate) fn choose(&self) -> String {
        let common: Vec<&String> = self.members[&self.leader]
            .protocols
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.members.values().all(|member| member.supports(name)))
            .collect();
        let mut votes = alloc::vec![0_u32; common.len()];
        for member in self.members.values() {
            let place = |(own, _): &Proposed| common.iter().position(|name| *name == own);
            if let Some(best) = member.protocols.iter().find_map(place) {
                votes[best] += 1;
            }
        }
        let best = (0..common.len()).max_by_key(|place| (votes[*place], Reverse(*place)));
        common[best.expect("members agree on a protocol, or could not have joined")].to_string()
    }

    /// What a member proposes in the chosen protocol.
    pub(crate) fn proposal<'m>(&self, member: &'m Joiner) -> &'m [u8] {
        let chosen = member.protocols.iter().find(|(name, _)| *name == self.protocol);
        chosen.map(|(_, metadata)| &metadata[..]).unwrap_or_default()
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let any = |are: fn(&Joiner) -> bool| self.members.values().any(are);
        let waits = self.timer != TimerId::NONE;
        if !self.members.contains_key(&self.leader) {
            return Some("its leader is no member");
        }
        if !self.agrees(&self.members[&self.leader].protocols, None) {
            return Some("its members agree on no protocol");
        }
        let (joining, syncing) = (any(|m| m.joining.is_some()), any(|m| m.syncing.is_some()));
        if any(|member| member.joining.is_some() && member.syncing.is_some()) {
            return Some("a member joins and syncs at once");
        }
        match self.phase {
            Phase::Joining if syncing => Some("somebody syncs while members are to join"),
            Phase::Joining if any(|m| m.owes_sync) => Some("a sync is owed of no generation"),
            Phase::Joining if !waits => Some("members are waited for for ever"),
            Phase::Joining if self.all_joined() => Some("all have joined, and nothing comes of it"),
            Phase::Syncing | Phase::Stable if joining => Some("a join waits for no generation"),
            Phase::Syncing | Phase::Stable if self.initial.is_some() => {
                Some("it waits for more members, and does not")
            }
            Phase::Syncing if !waits => Some("the leader is waited for for ever"),
            Phase::Stable if syncing => Some("a sync waits that could be answered"),
            Phase::Stable if waits != any(|m| m.owes_sync) => Some("a sync is owed for ever"),
            Phase::Joining | Phase::Syncing | Phase::Stable => None,
        }
    }
}

/// Bytes of what a member proposes, in all its protocols.
pub(crate) fn bytes_of(protocols: &[Proposed]) -> usize {
    protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum()
}

impl Joiner {
    fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }
}

#[cfg(test)]
mod tests;
