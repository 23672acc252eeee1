//! The bindings, driven as JavaScript drives them, under Node.

#![cfg(target_arch = "wasm32")]

mod scenario;

use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Batch, Code, ConnId, Effect, Event, Input, Op, PROTOCOL, Request, Session, Tag, Target, Time,
};
use fanlight_wasm::Core;
use js_sys::{Array, JsString, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

/// A value out of what JavaScript says it is.
fn js(source: &str) -> JsValue {
    js_sys::eval(&format!("({source})")).expect("the test's own source is right")
}

/// What JavaScript sees in it, as text that can be compared.
fn shown(value: &JsValue) -> String {
    let show = js_sys::Function::new_with_args(
        "value",
        "return JSON.stringify(value, (key, v) => typeof v === 'bigint' ? `${v}n` \
         : v instanceof Uint8Array ? `bytes ${[...v]}` : v)",
    );
    let shown = show.call1(&JsValue::NULL, value).expect("what crosses can be shown");
    shown.dyn_into::<JsString>().map_or_else(|_| "undefined".into(), |text| text.into())
}

fn message(error: wasm_bindgen::JsError) -> String {
    let error: js_sys::Error = JsValue::from(error).unchecked_into();
    error.message().into()
}

fn core() -> Core {
    let mut core = Core::new(JsValue::UNDEFINED).expect("no configuration is a configuration");
    core.open(0, 1, "tester").expect("a connection opens");
    core
}

fn ask(core: &mut Core, now: u64, tag: u32, op: &str) -> String {
    shown(&core.request(now, 1, tag, js(op)).expect("the request is one"))
}

#[wasm_bindgen_test]
fn a_message_is_published_leased_expired_and_leased_again() {
    scenario::redelivery();
}

#[wasm_bindgen_test]
fn answers_are_objects_with_big_integers_and_bytes() {
    let mut core = core();
    assert_eq!(
        ask(&mut core, 5, 1, "{ declareQueue: { name: 'jobs' } }"),
        r#"[{"conn":"1n","event":{"done":{"tag":1}}}]"#
    );
    let publish = "{ publish: { to: { queue: { name: 'jobs' } }, confirm: true, records: [{
        key: new Uint8Array([7]), headers: [['h', new Uint8Array([8])]], timestamp: 9,
        body: new Uint8Array([1, 2]) }] } }";
    assert_eq!(
        ask(&mut core, 5, 2, publish),
        concat!(
            r#"[{"conn":"1n","event":{"published":{"tag":2,"appends":[{"place":{"queue":1},"#,
            r#""base":"0n"}],"duplicate":false,"duplicates":[]}}}]"#
        )
    );
    assert_eq!(
        ask(&mut core, 5, 3, "{ receive: { queue: 'jobs', messagesMax: 1 } }"),
        concat!(
            r#"[{"conn":"1n","event":{"received":{"tag":3,"deliveries":[{"#,
            r#""lease":{"queue":1,"offset":"0n","delivery":1,"epoch":1},"attempt":1,"#,
            r#""deadline":"30000000005n","appendedAt":"5n","record":{"key":"bytes 7","#,
            r#""headers":[["h","bytes 8"]],"timestamp":"9n","body":"bytes 1,2"}}],"left":"0n"}}}]"#
        )
    );
    assert_eq!(
        shown(&core.deadline().expect("a deadline")),
        r#"{"at":"30000000005n","reason":"leaseEnds"}"#
    );
}

#[wasm_bindgen_test]
fn activity_comes_with_its_sentence() {
    let mut core = core();
    ask(&mut core, 0, 1, "{ watch: { on: true } }");
    let told = core.open(0, 2, "worker").expect("a connection opens");
    let shown: Vec<String> = told.iter().map(|one| shown(&one)).collect();
    assert!(shown[1].ends_with(r#""text":"c2 connected: worker"}"#), "{shown:?}");
}

#[wasm_bindgen_test]
fn what_the_broker_closes_is_told() {
    let mut core = core();
    let told = core.open(0, 1, "the same number again").expect("it is told, not thrown");
    let last = told.get(told.length() - 1);
    assert_eq!(shown(&last), r#"{"conn":"1n","close":"notOpen"}"#);
}

#[wasm_bindgen_test]
fn bad_requests_are_errors_with_a_sentence_and_change_nothing() {
    let mut core = core();
    let before = core.snapshot();
    for (op, says) in [
        ("undefined", "the request is not one: "),
        ("5", "the request is not one: "),
        ("'nothing'", "unknown variant `nothing`"),
        ("{ nothing: {} }", "unknown variant `nothing`"),
        ("{ createTopic: { name: 'x' } }", "missing field `partitions`"),
        ("{ createTopic: { name: 'x', partitions: -1 } }", "-1"),
        ("{ createTopic: { name: 'x', partitions: 2n ** 64n } }", "the request is not one: "),
        ("{ createTopic: { name: {}, partitions: 1 } }", "expected a string"),
        ("{ createTopic: { name: 'x', partitions: 1 }, deleteTopic: { name: 'x' } }", "one"),
        ("{ publish: { to: { queue: { name: 'q' } }, confirm: true, records: [] } }", "1 to 4096"),
        (
            "{ publish: { to: { queue: { name: 'q' } }, confirm: true, records: 7 } }",
            "the request is not one: ",
        ),
        ("Symbol.iterator", "the request is not one: "),
    ] {
        let error = core.request(0, 1, 1, js(op)).err().map(message);
        let error = error.unwrap_or_else(|| panic!("{op} was taken"));
        assert!(error.contains(says), "{op}: {error}");
    }
    assert_eq!(core.snapshot(), before);
    assert!(core.check().is_ok());
}

#[wasm_bindgen_test]
fn a_time_that_cannot_be_meant_is_an_error() {
    let mut core = core();
    let error = core.tick(u64::MAX).err().map(message).expect("minus one is no time");
    assert!(error.starts_with("the time is not one"), "{error}");
    assert_eq!(core.now(), 0);
    core.tick(7).expect("a time");
    core.tick(3).expect("an earlier time counts as the last");
    assert_eq!(core.now(), 7);
}

#[wasm_bindgen_test]
fn a_configuration_is_read_and_a_bad_one_is_an_error() {
    let config = js("{ seed: 7n, now: 5, limits: { queuesMax: 0 } }");
    let mut core = Core::new(config).expect("a configuration");
    assert_eq!(core.now(), 5);
    core.open(5, 1, "tester").expect("a connection opens");
    let told = ask(&mut core, 5, 1, "{ declareQueue: { name: 'jobs' } }");
    assert!(told.contains(&format!("\"code\":{}", Code::TooMany.number())), "{told}");
    for bad in ["{ seed: -1 }", "{ limits: { queuesMax: 'many' } }", "{ now: -1n }", "'seed'"] {
        assert!(Core::new(js(bad)).is_err(), "{bad} was taken");
    }
}

#[wasm_bindgen_test]
fn a_snapshot_is_loaded_and_other_bytes_are_an_error() {
    let mut core = core();
    ask(&mut core, 9, 1, "{ declareQueue: { name: 'jobs' } }");
    let snapshot = core.snapshot();
    let loaded = Core::load(JsValue::UNDEFINED, &snapshot).expect("a snapshot");
    assert_eq!(loaded.snapshot(), snapshot);
    let overview = loaded.overview().expect("an overview");
    let queues: Array =
        Reflect::get(&overview, &"queues".into()).expect("a field").unchecked_into();
    assert_eq!(queues.length(), 1);
    for end in 0..snapshot.len() {
        // Some ends fall between two facts, and are a snapshot of less; none is a panic.
        if let Ok(part) = Core::load(JsValue::UNDEFINED, &snapshot[..end]) {
            assert!(part.check().is_ok());
        }
    }
    let error = Core::load(JsValue::UNDEFINED, b"PK\x03\x04").err().map(message);
    assert!(error.expect("an archive is no snapshot").contains("no snapshot"));
}

fn input(now: u64, input: Input<'_>, out: &mut Vec<u8>) {
    codec::encode_input(Time(now), &input, out);
}

fn session() -> Session<'static> {
    Session { protocol: PROTOCOL, client: "framed".into() }
}

fn effects(mut bytes: &[u8]) -> Vec<String> {
    let mut effects = Vec::new();
    while !bytes.is_empty() {
        let Ok(Frame::Effect(effect)) = codec::decode(&mut bytes, usize::MAX - 1) else {
            panic!("apply gives effect frames only");
        };
        effects.push(match effect {
            Effect::Fact(_) => "fact".into(),
            Effect::Tell(conn, event) => format!("tell {conn} {}", kind(&event)),
            Effect::Close(conn, reason) => format!("close {conn} {reason:?}"),
        });
    }
    effects
}

fn kind(event: &Event<'_>) -> String {
    let shown = format!("{event:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_lowercase()
}

#[wasm_bindgen_test]
fn frames_give_the_effects_as_frames_each_at_its_own_time() {
    let mut core = Core::new(JsValue::UNDEFINED).expect("a broker");
    let records = Batch::new().push_body(b"hello").finish().expect("one record");
    let declare =
        Op::DeclareQueue { name: "jobs".into(), policy: fanlight_core::QueuePolicy::default() };
    let to = Target::Queue { name: "jobs".into() };
    let publish = Op::publish(to, true, records);
    let mut frames = Vec::new();
    input(1, Input::Open(ConnId(4), session()), &mut frames);
    input(2, Input::Request(ConnId(4), Request { tag: Tag(1), op: declare }), &mut frames);
    input(3, Input::Request(ConnId(4), Request { tag: Tag(2), op: publish }), &mut frames);
    let out = core.apply(0, &frames).expect("they are input frames");
    assert_eq!(
        effects(&out),
        ["fact", "tell c4 opened", "fact", "tell c4 done", "fact", "tell c4 published"]
    );
    assert_eq!(core.now(), 3);
    assert_eq!(core.apply(0, &[]).ok(), Some(Vec::new()));
}

#[wasm_bindgen_test]
fn one_frame_that_is_none_keeps_all_of_them_out() {
    let mut core = Core::new(JsValue::UNDEFINED).expect("a broker");
    let mut open = Vec::new();
    input(1, Input::Open(ConnId(4), session()), &mut open);
    let mut fact = open.clone();
    fact[4] = 4;
    let mut late = open.clone();
    late[5..13].copy_from_slice(&u64::MAX.to_le_bytes());
    for (bad, says) in [
        (&open[..open.len() - 1], "frame 1 is not one that a broker takes: the bytes end inside"),
        (&[1, 0, 0][..], "the bytes end inside a frame"),
        (&[0, 0, 0, 0, 5][..], "frame 1"),
        (&[255, 255, 255, 255, 5, 0][..], "announces 4294967295 bytes"),
        (&fact[..], "not a input, which is kind 5"),
        (&[9, 0, 0, 0, 5, 1, 1, 1, 1, 1, 1, 1, 1][..], "the payload is not a input"),
        (&late[..], "the time is not one"),
    ] {
        let frames = [&open[..], bad].concat();
        let error = core.apply(0, &frames).err().map(message).expect("a bad frame");
        assert!(error.contains(says), "{error}");
        assert_eq!(core.now(), 0, "the frame before it was not taken either");
    }
    core.apply(0, &open).expect("it goes on");
}

#[wasm_bindgen_test]
fn random_bytes_are_never_a_panic() {
    let mut core = core();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut frame = Vec::new();
    for _ in 0..20_000 {
        frame.clear();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let length = (seed % 40) as usize + 9;
        frame.extend_from_slice(&(length as u32 + 1).to_le_bytes());
        frame.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes = seed;
        while frame.len() < length + 5 {
            bytes = bytes.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frame.push((bytes >> 58) as u8);
        }
        // Both ends are fine; only a panic would end the test.
        let _ = core.apply(0, &frame);
    }
    assert!(core.check().is_ok());
}

#[wasm_bindgen_test]
fn the_package_names_every_refusal_by_its_number() {
    let table = include_str!("../npm/src/codes.ts");
    for code in Code::ALL {
        let line = format!("    {code:?}: {},\n", code.number());
        assert!(table.contains(&line), "codes.ts lacks {line}");
    }
    let broker_codes = table.lines().filter_map(|line| {
        let (_, number) = line.strip_prefix("    ")?.strip_suffix(',')?.split_once(": ")?;
        number.parse::<u16>().ok().filter(|number| *number < 900)
    });
    assert_eq!(broker_codes.count(), Code::ALL.len(), "codes.ts names one that is not here");
}

#[wasm_bindgen_test]
fn told_objects_are_plain() {
    let told = core().tick(0).expect("a tick");
    assert!(told.is_instance_of::<Object>());
    assert_eq!(told.length(), 0);
}
