use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::rng::Rng;

type Shared = Vec<(Partition, MemberId)>;
type Members = Vec<(u64, Set<TopicId>)>;

const ALL: [Assignor; 3] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky];

fn set(topics: &[u32]) -> Set<TopicId> {
    topics.iter().map(|topic| TopicId(*topic)).collect()
}

fn assign(
    assignor: Assignor,
    members: &Members,
    topics: &[(TopicId, u32)],
    before: &Shared,
) -> Shared {
    let members = members
        .iter()
        .map(|(id, topics)| Subscriber { id: MemberId(*id), instance: None, topics })
        .collect();
    share(assignor, members, topics, before.iter().copied())
}

fn sticky(members: &Members, topics: &[(TopicId, u32)], before: &Shared) -> Shared {
    assign(Assignor::Sticky, members, topics, before)
}

fn counts(members: &Members, shared: &Shared) -> Vec<usize> {
    let count = |id: u64| shared.iter().filter(|(_, member)| member.0 == id).count();
    members.iter().map(|(id, _)| count(*id)).collect()
}

/// How many partitions of `after` somebody else, who is still there, had in `before`.
fn moves(members: &Members, before: &Shared, after: &Shared) -> usize {
    let before: BTreeMap<_, _> = before.iter().copied().collect();
    let there = |had: &MemberId| members.iter().any(|(id, _)| *id == had.0);
    let moved = |p: &Partition, member: &MemberId| {
        before.get(p).is_some_and(|had| had != member && there(had))
    };
    after.iter().filter(|(p, member)| moved(p, member)).count()
}

/// The fewest moves that any balanced assignment needs where all subscribe to everything: with so
/// many each, and one more for some, who has more gives the rest away.
fn fewest_moves(members: &Members, before: &Shared, partitions: usize) -> usize {
    let (least, extra) = (partitions / members.len(), partitions % members.len());
    let had = counts(members, before);
    let kept: usize = had.iter().map(|had| (*had).min(least)).sum();
    let more = had.iter().filter(|had| **had > least).count().min(extra);
    had.iter().sum::<usize>() - kept - more
}

/// The same by trying every assignment.
fn fewest_moves_by_trying(members: &Members, before: &Shared, all: &[Partition]) -> usize {
    let m = members.len();
    let tries = (0..m.pow(all.len() as u32)).map(|mut code| -> Shared {
        let deal = |p: &Partition| {
            let member = members[code % m].0;
            code /= m;
            (*p, MemberId(member))
        };
        all.iter().map(deal).collect()
    });
    let balanced = |shared: &Shared| spread(&counts(members, shared)) <= 1;
    tries.filter(balanced).map(|shared| moves(members, before, &shared)).min().expect("one is")
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
}

fn random_topics(rng: &mut Rng, most: u32) -> Vec<(TopicId, u32)> {
    (1..=rng.below(3) + 1).map(|id| (TopicId(id), rng.below(most) + 1)).collect()
}

#[test]
fn every_partition_with_a_reader_goes_to_exactly_one_reader() {
    let mut rng = Rng::new(3);
    for _ in 0..500 {
        let topics = random_topics(&mut rng, 9);
        let members: Members = (1..=u64::from(rng.below(6)) + 1)
            .map(|id| (id, (1..=4).filter(|_| rng.below(2) == 0).map(TopicId).collect()))
            .collect();
        let mut before = Shared::new();
        for assignor in ALL {
            let shared = assign(assignor, &members, &topics, &before);
            let wanted: Vec<Partition> = topics
                .iter()
                .filter(|(topic, _)| members.iter().any(|(_, topics)| topics.contains(*topic)))
                .flat_map(|(topic, partitions)| (0..*partitions).map(move |p| (*topic, p)))
                .collect();
            assert!(shared.iter().map(|(partition, _)| *partition).eq(wanted), "{assignor:?}");
            for ((topic, _), member) in &shared {
                let reader = members.iter().find(|(id, _)| *id == member.0);
                assert!(reader.is_some_and(|(_, topics)| topics.contains(*topic)));
            }
            before = shared;
        }
    }
}

#[test]
fn sticky_is_balanced_with_the_fewest_moves_however_members_come_and_go() {
    let mut rng = Rng::new(7);
    for _ in 0..200 {
        let topics = random_topics(&mut rng, 40);
        let all = topics.iter().map(|(_, partitions)| *partitions as usize).sum();
        let ids = set(&topics.iter().map(|(id, _)| id.0).collect::<Vec<_>>());
        let (mut members, mut before, mut last) = (Members::new(), Shared::new(), 0);
        for _ in 0..12 {
            for _ in 0..rng.below(3) + u32::from(members.is_empty()) {
                last += 1;
                members.push((last, ids.clone()));
            }
            if members.len() > 1 && rng.below(2) == 0 {
                members.remove(rng.below(members.len() as u32) as usize);
            }
            let after = sticky(&members, &topics, &before);
            assert!(spread(&counts(&members, &after)) <= 1, "{:?}", counts(&members, &after));
            let bound = fewest_moves(&members, &before, all);
            assert_eq!(moves(&members, &before, &after), bound, "{before:?} {after:?}");
            before = after;
        }
    }
}

#[test]
fn no_assignment_needs_fewer_moves_than_the_bound() {
    let mut rng = Rng::new(11);
    for _ in 0..100 {
        let topics = vec![(TopicId(1), rng.below(6) + 1)];
        let all: Vec<Partition> = (0..topics[0].1).map(|p| (TopicId(1), p)).collect();
        let members: Members =
            (1..=u64::from(rng.below(3)) + 1).map(|id| (id, set(&[1]))).collect();
        let before: Shared =
            all.iter().map(|p| (*p, MemberId(u64::from(rng.below(4)) + 1))).collect();
        let bound = fewest_moves(&members, &before, all.len());
        assert_eq!(fewest_moves_by_trying(&members, &before, &all), bound);
        let after = sticky(&members, &topics, &before);
        assert_eq!(moves(&members, &before, &after), bound);
    }
}

#[test]
fn sticky_leaves_nobody_with_two_more_than_another_could_take() {
    let mut rng = Rng::new(13);
    for _ in 0..300 {
        let topics = random_topics(&mut rng, 12);
        let mut before = Shared::new();
        for _ in 0..4 {
            let members: Members = (1..=u64::from(rng.below(6)) + 1)
                .map(|id| (id, (1..=3).filter(|_| rng.below(3) > 0).map(TopicId).collect()))
                .collect();
            let after = sticky(&members, &topics, &before);
            let have = counts(&members, &after);
            for ((topic, _), owner) in &after {
                let count = |id| have[members.iter().position(|(m, _)| *m == id).expect("it is")];
                let mut readers = members.iter().filter(|(_, topics)| topics.contains(*topic));
                assert!(readers.all(|(id, _)| count(*id) + 2 > count(owner.0)), "{after:?}");
            }
            before = after;
        }
    }
}

#[test]
fn nothing_moves_where_nothing_changed() {
    let topics = [(TopicId(1), 7), (TopicId(2), 3)];
    let members: Members =
        vec![(1, set(&[1, 2])), (2, set(&[1])), (3, set(&[2])), (4, set(&[1, 2]))];
    let once = sticky(&members, &topics, &Shared::new());
    assert_eq!(sticky(&members, &topics, &once), once);
}

#[test]
fn the_order_in_which_members_are_given_does_not_count() {
    let topics = [(TopicId(1), 5), (TopicId(2), 4)];
    let members: Members = vec![(1, set(&[1, 2])), (2, set(&[1])), (3, set(&[2]))];
    let turned: Members = members.iter().rev().cloned().collect();
    for assignor in ALL {
        let before = Shared::new();
        let one = assign(assignor, &members, &topics, &before);
        assert_eq!(one, assign(assignor, &turned, &topics, &before), "{assignor:?}");
    }
}

#[test]
fn a_static_member_keeps_its_place_under_another_number() {
    let (topics, both) = ([(TopicId(1), 3)], set(&[1]));
    let of = |a: u64, b: u64| {
        let member = |id, instance| Subscriber { id: MemberId(id), instance, topics: &both };
        let members = vec![member(a, Some("a")), member(b, Some("b")), member(5, None)];
        share(Assignor::Range, members, &topics, core::iter::empty())
    };
    let to = |shared: Shared| shared.into_iter().map(|(_, member)| member.0).collect::<Vec<_>>();
    assert_eq!(to(of(1, 2)), [1, 2, 5]);
    assert_eq!(to(of(9, 2)), [9, 2, 5]);
}

/// Kafka's `RangeAssignorTest.testTwoConsumersTwoTopicsSixPartitions` and
/// `RoundRobinAssignorTest.testMultipleConsumersMixedTopicSubscriptions`.
#[test]
fn range_and_round_robin_share_out_as_kafkas_own_tests_say() {
    let topics = [(TopicId(1), 3), (TopicId(2), 3)];
    let members: Members = vec![(1, set(&[1, 2])), (2, set(&[1, 2]))];
    let to = |shared: Shared| shared.into_iter().map(|(_, member)| member.0).collect::<Vec<_>>();
    let range = assign(Assignor::Range, &members, &topics, &Shared::new());
    assert_eq!(to(range), [1, 1, 2, 1, 1, 2]);
    let topics = [(TopicId(1), 3), (TopicId(2), 2)];
    let members: Members = vec![(1, set(&[1])), (2, set(&[1, 2])), (3, set(&[1]))];
    let dealt = assign(Assignor::RoundRobin, &members, &topics, &Shared::new());
    assert_eq!(to(dealt), [1, 2, 3, 2, 2]);
}
