//! The class.

use std::borrow::Cow;

use fanlight_core::{Broker, ConnId, Effect, Input, PROTOCOL, Request, Session, Tag, codec};
use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::crossing::{self, Ear};
use crate::panic;

/// A broker.
#[wasm_bindgen]
pub struct Core {
    broker: Broker,
}

#[wasm_bindgen]
impl Core {
    /// An empty broker. `config` has `seed`, `now` (nanoseconds) and `limits`, all optional.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "CoreConfig | undefined")] config: JsValue,
    ) -> Result<Core, JsError> {
        panic::tell_javascript();
        let (config, now) = crossing::config(config)?;
        Ok(Core { broker: Broker::new(config, now) })
    }

    /// A broker that holds what `snapshot` gave. Bytes that are no snapshot are an error.
    pub fn load(
        #[wasm_bindgen(unchecked_param_type = "CoreConfig | undefined")] config: JsValue,
        snapshot: &[u8],
    ) -> Result<Core, JsError> {
        panic::tell_javascript();
        let (config, now) = crossing::config(config)?;
        let broker = Broker::load(config, now, snapshot)?;
        Ok(Core { broker })
    }

    /// Takes input frames, and returns the effects as frames. Each input counts at its own time, or
    /// at `now` if that is later. A frame that is none is an error, and then none was taken.
    pub fn apply(&mut self, now: u64, frames: &[u8]) -> Result<Vec<u8>, JsError> {
        let now = crossing::time(now)?;
        let mut out = Vec::new();
        for (at, input) in crossing::inputs(frames, self.broker.limits())? {
            self.broker.apply(now.max(at), input, &mut |effect: Effect<'_>| {
                codec::encode_effect(&effect, &mut out);
            });
        }
        Ok(out)
    }

    /// Opens a connection. The caller chooses its number and never gives one twice; `client` is a
    /// name for people to read.
    #[wasm_bindgen(unchecked_return_type = "Told[]")]
    pub fn open(&mut self, now: u64, conn: u64, client: &str) -> Result<Array, JsError> {
        let session = Session { protocol: PROTOCOL, client: Cow::Borrowed(client) };
        self.take(now, Input::Open(ConnId(conn), session))
    }

    /// Takes a request of a connection: `{ receive: { queue: "jobs", messagesMax: 1 } }`. Its
    /// answer carries `tag`; so does a refusal, which is an event and not an error. `op` is a plain
    /// object: a getter would run, and perhaps throw, in the middle of this.
    #[wasm_bindgen(unchecked_return_type = "Told[]")]
    pub fn request(
        &mut self,
        now: u64,
        conn: u64,
        tag: u32,
        #[wasm_bindgen(unchecked_param_type = "object | string")] op: JsValue,
    ) -> Result<Array, JsError> {
        let op = crossing::op(op)?;
        self.take(now, Input::Request(ConnId(conn), Request { tag: Tag(tag), op }))
    }

    /// Takes it that a connection is gone: what it held is ready again.
    #[wasm_bindgen(unchecked_return_type = "Told[]")]
    pub fn closed(&mut self, now: u64, conn: u64) -> Result<Array, JsError> {
        self.take(now, Input::Closed(ConnId(conn)))
    }

    /// Takes it that nothing but time has passed. Due at `deadline()`.
    #[wasm_bindgen(unchecked_return_type = "Told[]")]
    pub fn tick(&mut self, now: u64) -> Result<Array, JsError> {
        self.take(now, Input::Tick)
    }

    /// When a tick is due, and why; undefined if nothing is. It may be early: ask again after.
    #[wasm_bindgen(unchecked_return_type = "Deadline | undefined")]
    pub fn deadline(&self) -> Result<JsValue, JsError> {
        crossing::deadline(self.broker.deadline())
    }

    /// The time that the broker was last told, in nanoseconds.
    #[wasm_bindgen(getter)]
    pub fn now(&self) -> u64 {
        self.broker.now().0
    }

    /// A view of everything but the messages, for which nobody has to be connected.
    #[wasm_bindgen(unchecked_return_type = "object")]
    pub fn overview(&self) -> Result<JsValue, JsError> {
        crossing::object(&self.broker.overview())
    }

    /// All that is durable, as bytes that [`Core::load`] takes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.broker.snapshot(&mut out);
        out
    }

    /// Checks every invariant; one that does not hold is an error.
    pub fn check(&self) -> Result<(), JsError> {
        Ok(self.broker.check()?)
    }
}

impl Core {
    fn take(&mut self, now: u64, input: Input<'_>) -> Result<Array, JsError> {
        let mut ear = Ear::new();
        self.broker.apply(crossing::time(now)?, input, &mut |effect: Effect<'_>| ear.hear(effect));
        ear.told()
    }
}
