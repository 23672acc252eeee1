use alloc::borrow::Cow;

use super::*;
use crate::record::Batch;
use crate::request::{MatchMode, WantedHeader};
use crate::rng::Rng;

fn matches_slowly(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => matches_slowly(rest, key),
        (Some((&"#", rest)), Some((_, tail))) => {
            matches_slowly(rest, key) || matches_slowly(pattern, tail)
        }
        (Some((&"*", rest)), Some((_, tail))) => matches_slowly(rest, tail),
        (Some((word, rest)), Some((head, tail))) => word == head && matches_slowly(rest, tail),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// RabbitMQ's rule, from its documentation of the headers exchange.
fn wants_slowly(wants: &HeaderMatch<'_>, headers: &[(&str, &[u8])]) -> bool {
    let with_x = matches!(wants.mode, MatchMode::AllWithX | MatchMode::AnyWithX);
    let mut counting = wants.headers.iter().filter(|w| with_x || !w.name.starts_with("x-"));
    let has = |w: &WantedHeader<'_>| {
        let value = w.value.as_deref();
        headers.iter().any(|(n, v)| *n == w.name && value.is_none_or(|value| value == *v))
    };
    match wants.mode {
        MatchMode::All | MatchMode::AllWithX => counting.all(has),
        MatchMode::Any | MatchMode::AnyWithX => counting.any(has),
    }
}

fn exchange(kind: ExchangeKind) -> Exchange {
    Exchange::new(kind, ExchangePolicy::default())
}

fn routed(exchange: &Exchange, key: &str, headers: &[(&str, &[u8])]) -> BTreeSet<Leads> {
    let mut batch = Batch::new();
    batch.push(None, headers.iter().copied(), None, b"").expect("a small record");
    let records = batch.finish().expect("one record");
    let mut found = BTreeSet::new();
    let record = records.record(0).expect("one record");
    exchange.route(key, record.headers, |to| found.extend([to.clone()]));
    found
}

/// Binds and unbinds at random, and finds what a search through every binding finds.
#[test]
fn a_topic_exchange_matches_words_stars_and_hashes_whatever_came_and_went() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut topic = exchange(ExchangeKind::Topic);
        let mut bound: Vec<(u32, Vec<&str>)> = Vec::new();
        for id in 0..30 {
            let mut pick = |of: &[&'static str], max: u32| -> Vec<&'static str> {
                (0..rng.below(max)).map(|_| of[rng.below(of.len() as u32) as usize]).collect()
            };
            let (pattern, key) = (pick(&["a", "b", "*", "#"], 6), pick(&["a", "b", "c"], 6));
            let to = Leads::Queue(QueueId(id % 12));
            let binding = Binding::new(to, &pattern.join("."), &HeaderMatch::default());
            if topic.bind(binding) {
                bound.push((id % 12, pattern));
            }
            if rng.below(3) == 0 {
                let (id, pattern) = bound.swap_remove(rng.below(bound.len() as u32) as usize);
                let to = Leads::Queue(QueueId(id));
                let binding = Binding::new(to, &pattern.join("."), &HeaderMatch::default());
                assert!(topic.unbind(&binding) && !topic.is_bound(&binding));
            }
            let matching = bound.iter().filter(|(_, pattern)| matches_slowly(pattern, &key));
            let expected: BTreeSet<_> =
                matching.map(|(id, _)| Leads::Queue(QueueId(*id))).collect();
            let found = routed(&topic, &key.join("."), &[]);
            assert_eq!(found, expected, "seed {seed}, key {key:?}, patterns {bound:?}");
        }
        let all: BTreeSet<_> = bound.iter().map(|(id, _)| Leads::Queue(QueueId(*id))).collect();
        assert_eq!(all.iter().map(|to| topic.unbind_all(to)).sum::<usize>(), bound.len());
        let Table::Topic(patterns) = &topic.table else { unreachable!("it is a topic exchange") };
        assert_eq!(patterns.nodes_in_use(), 1, "nothing is left behind, seed {seed}");
    }
}

#[test]
fn a_headers_exchange_matches_all_or_any_whatever_came_and_went() {
    const NAMES: [&str; 4] = ["a", "b", "x-c", "x-d"];
    const VALUES: [&[u8]; 2] = [b"1", b"2"];
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut headers = exchange(ExchangeKind::Headers);
        let mut bound: Vec<Binding> = Vec::new();
        for id in 0..30 {
            let mut wanted = Vec::new();
            for name in NAMES {
                let value = match rng.below(6) {
                    0 => None,
                    n @ 1..=2 => Some(Cow::Borrowed(VALUES[n as usize - 1])),
                    _ => continue,
                };
                wanted.push(WantedHeader { name: name.into(), value });
            }
            let mode = [MatchMode::All, MatchMode::Any, MatchMode::AllWithX, MatchMode::AnyWithX];
            let mode = mode[rng.below(4) as usize];
            let wants = HeaderMatch { mode, headers: wanted };
            let pattern = ["", "k"][rng.below(2) as usize];
            let binding = Binding::new(Leads::Queue(QueueId(id % 12)), pattern, &wants);
            if headers.bind(binding.clone()) {
                bound.push(binding);
            }
            if rng.below(3) == 0 {
                let gone = bound.swap_remove(rng.below(bound.len() as u32) as usize);
                assert!(headers.unbind(&gone) && !headers.unbind(&gone));
            }
            let has: Vec<_> = NAMES.into_iter().filter(|_| rng.below(2) == 0).collect();
            let has: Vec<(&str, &[u8])> =
                has.into_iter().map(|name| (name, VALUES[rng.below(2) as usize])).collect();
            let all = HeaderMatch::default();
            let matching = bound
                .iter()
                .filter(|binding| wants_slowly(binding.headers.as_deref().unwrap_or(&all), &has));
            let expected: BTreeSet<_> = matching.map(|binding| binding.to.clone()).collect();
            assert_eq!(routed(&headers, "", &has), expected, "seed {seed}, {has:?}, {bound:?}");
        }
        bound.iter().for_each(|binding| assert!(headers.unbind(binding)));
        let Table::Headers(wants) = &headers.table else { unreachable!("it is one") };
        assert!(wants.is_empty(), "nothing is left behind, seed {seed}");
    }
}
