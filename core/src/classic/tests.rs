//! The parts of a classic group that need no broker.

use super::*;

fn joiner(protocols: &[&str]) -> Joiner {
    Joiner {
        conn: None,
        joined_by: ConnId(1),
        client: String::new(),
        instance: None,
        protocols: protocols
            .iter()
            .map(|name| (name.to_string(), name.as_bytes().to_vec()))
            .collect(),
        session: Span::ZERO,
        rebalance: Span::ZERO,
        timer: TimerId::NONE,
        joining: None,
        syncing: None,
        owes_sync: false,
        known: true,
        assignment: Vec::new(),
    }
}

fn group(protocols: &[&[&str]]) -> Classic {
    let mut members = Map::default();
    for (protocols, id) in protocols.iter().zip(1..) {
        members.insert(MemberId(id), joiner(protocols));
    }
    Classic {
        phase: Phase::Stable,
        protocol_type: "consumer".into(),
        protocol: String::new(),
        leader: MemberId(1),
        members,
        timer: TimerId::NONE,
        initial: None,
    }
}

#[test]
fn what_all_support_and_most_like_best_is_chosen() {
    assert_eq!(group(&[&["range", "sticky"]]).choose(), "range");
    assert_eq!(group(&[&["range", "sticky"], &["sticky"]]).choose(), "sticky");
    let three: &[&[&str]] = &[&["a", "b", "c"], &["b", "a"], &["b", "a"]];
    assert_eq!(group(three).choose(), "b");
    // "c" is not supported by all, so the vote of who likes it best goes to its next.
    assert_eq!(group(&[&["a", "b"], &["c", "b", "a"], &["b", "a"]]).choose(), "b");
    // One vote each: as the leader likes it.
    assert_eq!(group(&[&["a", "b"], &["b", "a"]]).choose(), "a");
}

#[test]
fn a_newcomer_has_to_support_what_all_others_do() {
    let group = group(&[&["a", "b"], &["b", "c"]]);
    let of = |name: &str| [(name.to_string(), Vec::new())];
    assert!(group.agrees(&of("b"), None) && !group.agrees(&of("a"), None));
    assert!(group.agrees(&of("a"), Some(MemberId(2))), "who changes may change what all support");
}

#[test]
fn what_is_proposed_is_what_was_brought_with_the_chosen_protocol() {
    let mut group = group(&[&["a", "bb"]]);
    assert_eq!(group.proposal(&group.members[&MemberId(1)]), b"");
    group.protocol = group.choose();
    assert_eq!(group.proposal(&group.members[&MemberId(1)]), b"a");
    assert_eq!(group.proposed_bytes(None), 6);
    assert_eq!(group.proposed_bytes(Some(MemberId(1))), 0);
}

#[test]
fn a_group_waits_on_as_long_as_members_come_up_to_the_rebalance_timeout() {
    let secs = Span::from_secs;
    assert_eq!(Initial::new(Span::ZERO, secs(60)), None);
    let mut initial = Initial::new(secs(3), secs(8)).expect("there is a delay");
    assert_eq!(initial.wait(), Some(secs(3)), "for the first");
    initial.came = true;
    assert_eq!(initial.wait(), Some(secs(3)), "another came");
    initial.came = true;
    assert_eq!(initial.wait(), Some(secs(2)), "as much as is left");
    initial.came = true;
    assert_eq!(initial.wait(), None, "no time is left");
    let mut alone = Initial::new(secs(3), secs(8)).expect("there is a delay");
    assert_eq!((alone.wait(), alone.wait()), (Some(secs(3)), None), "nobody came");
    let mut short = Initial::new(secs(3), secs(1)).expect("there is a delay");
    assert_eq!(short.wait(), Some(secs(1)), "no longer than a rebalance may take");
}

#[test]
fn faults_of_each_phase_are_seen() {
    let mut group = group(&[&["a"], &["a"]]);
    assert_eq!(group.fault(), None);
    let first = |group: &mut Classic, change: fn(&mut Joiner)| {
        change(group.members.get_mut(&MemberId(1)).expect("it is there"));
    };
    first(&mut group, |member| member.owes_sync = true);
    assert_eq!(group.fault(), Some("a sync is owed for ever"));
    assert_eq!(group.late_to_sync(), [MemberId(1)]);
    first(&mut group, |member| (member.owes_sync, member.joining) = (false, Some(1)));
    assert_eq!(group.fault(), Some("a join waits for no generation"));
    group.phase = Phase::Joining;
    assert_eq!(group.fault(), Some("members are waited for for ever"));
    assert_eq!(group.late_to_join(), [MemberId(2)]);
    assert!(!group.all_joined());
    group.members.remove(&MemberId(2));
    assert!(group.all_joined());
    group.members.remove(&MemberId(1));
    assert_eq!(group.fault(), Some("its leader is no member"));
}
