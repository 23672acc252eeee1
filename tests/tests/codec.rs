//! Decoders: what was encoded comes back, and what was not, or was damaged, is refused and harms
//! nothing.
#![cfg(not(target_arch = "wasm32"))]

use fanlight_core::codec::{self, DecodeError, Frame};
use fanlight_core::{Broker, Config, LoadError, RawRecord, Records, Time};
use fanlight_tests::dice::Dice;
use fanlight_tests::run::{Step, record, snapshot};
use fanlight_tests::vectors::encode;

const MAX: usize = 1 << 20;

/// Frames of inputs and effects, from the workloads of some seeds.
fn frames(seeds: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for seed in seeds {
        let mut steps: Vec<Step> = Vec::new();
        record(seed, 120, &mut steps).expect("it runs");
        let mut broker = Broker::new(Config::default(), Time::ZERO);
        for Step { at, input } in steps {
            let mut frame = Vec::new();
            codec::encode_input(at, &input, &mut frame);
            frames.push(frame);
            broker.apply(at, input, &mut |effect: fanlight_core::Effect<'_>| {
                let mut frame = Vec::new();
                codec::encode_effect(&effect, &mut frame);
                frames.push(frame);
            });
        }
    }
    frames
}

#[test]
fn what_was_encoded_comes_back() {
    for bytes in frames(0..20) {
        let mut rest = &bytes[..];
        let frame = codec::decode(&mut rest, MAX).expect("what was encoded decodes");
        assert!(rest.is_empty());
        let again = encode(&frame);
        assert_eq!(again, bytes);
        assert_eq!(codec::decode(&mut &again[..], MAX), Ok(frame));
    }
}

#[test]
fn a_frame_that_is_cut_short_is_incomplete_and_nothing_else() {
    for bytes in frames(0..2).iter().filter(|bytes| bytes.len() < 200) {
        for length in 0..bytes.len() {
            let mut rest = &bytes[..length];
            assert_eq!(codec::decode(&mut rest, MAX), Err(DecodeError::Incomplete));
            assert_eq!(rest.len(), length, "nothing is taken off");
        }
    }
}

#[test]
fn damaged_frames_are_refused_or_read_as_others_and_never_panic() {
    let mut dice = Dice::new(1);
    let frames = frames(0..10);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..60_000 {
        let mut bytes = dice.pick(&frames).clone();
        for _ in 0..dice.between(1, 4) {
            let at = dice.below(bytes.len() as u64) as usize;
            match dice.below(4) {
                0 => bytes[at] = dice.roll() as u8,
                1 => bytes[at] ^= 1 << dice.below(8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, dice.roll() as u8),
            }
        }
        let mut rest = &bytes[..];
        match codec::decode(&mut rest, MAX) {
            Ok(frame) => {
                read += 1;
                let again = encode(&frame);
                assert_eq!(codec::decode(&mut &again[..], MAX), Ok(frame));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(refused > 1_000 && read > 1_000, "{refused} refused, {read} read");
}

#[test]
fn bytes_that_were_never_a_frame_are_refused_and_never_panic() {
    let mut dice = Dice::new(2);
    for _ in 0..60_000 {
        let payload = dice.below(60) as usize;
        let mut bytes = vec![payload as u8 + 1, 0, 0, 0, dice.below(8) as u8];
        bytes.extend((0..payload).map(|_| dice.roll() as u8));
        drop(codec::decode(&mut &bytes[..], MAX));
        drop(Records::parse(&bytes[5..]));
        drop(RawRecord::parse(&bytes[5..]));
        drop(codec::decode(&mut &bytes[4..], MAX));
    }
}

#[test]
fn a_bad_frame_is_passed_over_and_the_next_one_read() {
    let mut bytes = vec![3, 0, 0, 0, 99, 1, 2];
    bytes.extend([2, 0, 0, 0, 2, 0xff]);
    bytes.extend([0, 0, 0, 0]);
    let good = bytes.len();
    let session = fanlight_core::Session { protocol: 1, client: "ann".into() };
    codec::encode_session(&session, &mut bytes);
    let mut rest = &bytes[..];
    assert_eq!(codec::decode(&mut rest, MAX), Err(DecodeError::UnknownKind(99)));
    assert_eq!(codec::decode(&mut rest, MAX), Err(DecodeError::BadPayload("request")));
    assert!(matches!(codec::decode(&mut rest, MAX), Err(DecodeError::BadPayload(_))));
    assert_eq!(rest.len(), bytes.len() - good);
    assert_eq!(codec::decode(&mut rest, MAX), Ok(Frame::Session(session)));
    assert!(rest.is_empty());
}

#[test]
fn a_frame_larger_than_allowed_is_refused_before_it_is_there() {
    let bytes = [0xff, 0xff, 0xff, 0x7f, 2];
    let announced = 0x7fff_ffff;
    let error = codec::decode(&mut &bytes[..], 100).expect_err("it is too large");
    assert_eq!(error, DecodeError::TooLarge { announced, allowed: 101 });
    assert_eq!(error.to_string(), "a frame announces 2147483647 bytes; at most 101 are allowed");
}

#[test]
fn a_snapshot_that_is_none_is_newer_or_is_damaged_says_so() {
    let load = |bytes: &[u8]| Broker::load(Config::default(), Time::ZERO, bytes).map(drop);
    assert_eq!(load(b"what?"), Err(LoadError::NotASnapshot));
    assert_eq!(load(b"FLSN"), Err(LoadError::NotASnapshot));
    assert_eq!(load(b"FLSN\xff\x00"), Err(LoadError::Newer { version: 255 }));
    let mut steps = Vec::new();
    record(3, 120, &mut steps).expect("it runs");
    let mut broker = Broker::new(Config::default(), Time::ZERO);
    for Step { at, input } in steps {
        broker.apply(at, input, &mut |_: fanlight_core::Effect<'_>| {});
    }
    let whole = snapshot(&broker);
    assert_eq!(load(&whole), Ok(()));
    let mut damaged = 0;
    for length in 6..whole.len() {
        // Where it is cut between two facts, the facts before the cut are whole.
        if let Err(error) = load(&whole[..length]) {
            assert!(matches!(error, LoadError::Damaged { .. }), "{error}");
            damaged += 1;
        }
    }
    assert!(damaged > whole.len() / 2);
}

#[test]
fn a_fact_that_contradicts_is_refused_and_never_panics() {
    let mut dice = Dice::new(4);
    let mut facts = Vec::new();
    for bytes in frames(0..12) {
        if let Ok(Frame::Effect(fanlight_core::Effect::Fact(fact))) =
            codec::decode(&mut &bytes[..], MAX)
        {
            let mut frame = Vec::new();
            codec::encode_fact(&fact, &mut frame);
            facts.push(frame);
        }
    }
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..400 {
        let mut broker = Broker::new(Config::default(), Time::ZERO);
        for _ in 0..60 {
            let mut bytes = dice.pick(&facts).clone();
            if dice.percent(30) {
                let at = dice.between(5, bytes.len() as u64 - 1) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
            let Ok(Frame::Fact(fact)) = codec::decode(&mut &bytes[..], MAX) else { continue };
            if let fanlight_core::Fact::TopicCreated { partitions: 2_000.., .. }
            | fanlight_core::Fact::TopicMade { partitions: 2_000.., .. }
            | fanlight_core::Fact::PartitionsAdded { partitions: 2_000.., .. } = fact
            {
                continue;
            }
            match broker.try_restore(fact) {
                Ok(()) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 1_000 && taken > 1_000, "{refused} refused, {taken} taken");
}
