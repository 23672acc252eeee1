//! What has to work wherever the bindings run.

use fanlight_wasm::Core;
use js_sys::{Array, Reflect};
use wasm_bindgen::JsValue;

const SECOND: u64 = 1_000_000_000;

fn js(source: &str) -> JsValue {
    js_sys::eval(&format!("({source})")).expect("the test's own source is right")
}

/// The value at the end of a path of fields.
fn at(value: &JsValue, path: &str) -> JsValue {
    path.split('.').fold(value.clone(), |value, field| {
        let index = field.parse::<u32>();
        match index {
            Ok(index) => Reflect::get_u32(&value, index).expect("an array"),
            Err(_) => Reflect::get(&value, &field.into()).expect("an object"),
        }
    })
}

fn ask(core: &mut Core, now: u64, op: &str) -> Array {
    core.request(now, 1, 1, js(op)).expect("the request is one")
}

/// A message whose lease runs out is delivered again, as attempt 2.
pub(crate) fn redelivery() {
    let mut core = Core::new(js("{ seed: 1 }")).expect("a configuration");
    core.open(0, 1, "tester").expect("a connection opens");
    ask(&mut core, 0, "{ declareQueue: { name: 'jobs' } }");
    let publish = "{ publish: { to: { queue: { name: 'jobs' } }, confirm: true,
        records: [{ body: new TextEncoder().encode('hello') }] } }";
    ask(&mut core, 0, publish);
    let receive = "{ receive: { queue: 'jobs', messagesMax: 1 } }";
    let attempt = "0.event.received.deliveries.0.attempt";
    assert_eq!(at(&ask(&mut core, SECOND, receive), attempt), JsValue::from(1));
    let due = core.deadline().expect("a deadline");
    assert_eq!(at(&due, "at"), JsValue::from(31 * SECOND));

    core.tick(31 * SECOND - 1).expect("a tick");
    let none = ask(&mut core, 31 * SECOND - 1, receive);
    assert_eq!(at(&none, "0.event.received.deliveries.length"), JsValue::from(0));
    core.tick(31 * SECOND).expect("a tick");
    assert_eq!(at(&ask(&mut core, 31 * SECOND, receive), attempt), JsValue::from(2));
    assert!(core.check().is_ok());
}
