//! Deaths, as a message carries them: in a header of its own, which it keeps wherever it goes.
//!
//! The header's value is a list of deaths in the codec's format: after a zero byte and a byte that
//! says which format; or, as the first format had it, at once. (A list is never empty, so its first
//! byte, its length, is not zero.)

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::codec;
use crate::id::Offset;
use crate::limits::HISTORY_MAX;
use crate::record::{DEATHS, Record};
use crate::time::Time;
use crate::view::{Attempt, Death, DeathReason};

/// The format that is written.
const FORMAT: u8 = 2;

/// A death in the first format.
#[derive(Deserialize)]
struct FirstDeath {
    queue: String,
    offset: Offset,
    reason: DeathReason,
    at: Time,
    appended_at: Time,
    attempts: Vec<Attempt>,
}

impl From<FirstDeath> for Death {
    fn from(first: FirstDeath) -> Death {
        let FirstDeath { queue, offset, reason, at, appended_at, attempts } = first;
        Death {
            exchange: String::new(),
            routing_key: queue.clone(),
            queue,
            offset,
            reason,
            at,
            appended_at,
            attempts,
            count: 1,
            first_at: at,
            ttl: None,
            redriven: false,
        }
    }
}

/// A message's deaths so far, the newest last; none if it has not died. A header that is not the
/// broker's own says nothing.
pub fn deaths(record: &Record<'_>) -> Vec<Death> {
    let deaths = match record.headers.find(DEATHS) {
        Some([0, FORMAT, value @ ..]) => codec::decode_value(value),
        Some([0, ..]) | None => None,
        Some(value) => codec::decode_value(value)
            .map(|first: Vec<FirstDeath>| first.into_iter().map(Death::from).collect()),
    };
    let mut deaths: Vec<Death> = deaths.unwrap_or_default();
    keep_newest(&mut deaths);
    deaths
}

/// The header's value.
pub(crate) fn encode(deaths: &Vec<Death>) -> Vec<u8> {
    let mut value = alloc::vec![0, FORMAT];
    value.extend(codec::encode_value(deaths));
    value
}

/// Adds a death. If the message died in the same queue for the same reason since a client last
/// redrove it, that is one more of those: as in RabbitMQ the exchange, the key and the first time
/// stay what they were.
pub(crate) fn add(deaths: &mut Vec<Death>, mut death: Death) {
    let same = |other: &Death| other.queue == death.queue && other.reason == death.reason;
    let since = deaths.iter().rposition(|death| death.redriven).map_or(0, |at| at + 1);
    if let Some(before) = deaths[since..].iter().position(same) {
        let before = deaths.remove(since + before);
        death.count += before.count;
        death.first_at = before.first_at;
        death.ttl = before.ttl.or(death.ttl);
        death.exchange = before.exchange;
        death.routing_key = before.routing_key;
    }
    deaths.push(death);
    keep_newest(deaths);
}

/// Whether a message with these deaths has come to the queue before and comes to it again by itself:
/// no consumer rejected it meanwhile, and no client redrove it. RabbitMQ's rule.
pub(crate) fn is_cycle(deaths: &[Death], queue: &str) -> bool {
    for death in deaths.iter().rev() {
        if death.reason == DeathReason::Rejected || death.redriven {
            return false;
        }
        if death.queue == queue {
            return true;
        }
    }
    false
}

pub(crate) fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(HISTORY_MAX);
    list.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Options, RawRecord};

    fn death(queue: &str, reason: DeathReason, at: u64) -> Death {
        Death {
            queue: queue.into(),
            offset: Offset(at),
            reason,
            at: Time(at),
            appended_at: Time::ZERO,
            attempts: Vec::new(),
            count: 1,
            first_at: Time(at),
            exchange: "x".into(),
            routing_key: alloc::format!("key{at}"),
            ttl: None,
            redriven: false,
        }
    }

    fn found(value: &[u8]) -> Vec<Death> {
        let headers = [(DEATHS, value)];
        let record = RawRecord::encode(None, headers, None, &Options::default(), b"body");
        deaths(&record.expect("a small record").record())
    }

    #[test]
    fn both_formats_are_read_and_what_is_neither_says_nothing() {
        let now = alloc::vec![death("jobs", DeathReason::Expired, 7)];
        assert_eq!(found(&encode(&now)), now);
        // One death in queue "q" at offset 1, rejected at 5, come at 4, without attempts.
        let first = [1, 1, b'q', 1, 1, 5, 4, 0];
        let read = found(&first);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].queue.as_str(), read[0].count, read[0].first_at), ("q", 1, Time(5)));
        assert_eq!(read[0].reason, DeathReason::Rejected);
        for noise in [&b""[..], b"\0", b"\0\x09whatever", b"forged"] {
            assert_eq!(found(noise), [], "{noise:?}");
        }
    }

    #[test]
    fn the_same_death_again_counts_and_comes_last() {
        let mut deaths = Vec::new();
        add(&mut deaths, death("a", DeathReason::Expired, 1));
        add(&mut deaths, death("b", DeathReason::Expired, 2));
        add(&mut deaths, death("a", DeathReason::Rejected, 3));
        add(&mut deaths, death("a", DeathReason::Expired, 4));
        let shown: Vec<_> = deaths.iter().map(|d| (&*d.queue, d.count, d.first_at, d.at)).collect();
        let expected =
            [("b", 1, Time(2), Time(2)), ("a", 1, Time(3), Time(3)), ("a", 2, Time(1), Time(4))];
        assert_eq!(shown, expected);
        assert_eq!(deaths[2].routing_key, "key1", "as it was published when it first died so");
    }

    #[test]
    fn only_what_goes_round_by_itself_is_a_cycle() {
        let expired = |queue: &str| death(queue, DeathReason::Expired, 1);
        let round = [expired("a"), expired("b")];
        assert!(is_cycle(&round, "a") && is_cycle(&round, "b") && !is_cycle(&round, "c"));
        let rejected = [expired("a"), death("b", DeathReason::Rejected, 2), expired("c")];
        assert!(!is_cycle(&rejected, "a") && !is_cycle(&rejected, "b") && is_cycle(&rejected, "c"));
        let mut again = alloc::vec![expired("b"), Death { redriven: true, ..expired("a") }];
        add(&mut again, expired("a"));
        assert_eq!(again.len(), 3, "what a client redrove dies anew");
        assert!(!is_cycle(&again, "b") && is_cycle(&again, "a"));
        let redriven = [expired("a"), Death { redriven: true, ..expired("b") }];
        assert!(!is_cycle(&redriven, "a") && !is_cycle(&redriven, "b"));
    }
}
