//! What crosses the boundary, and in which shape.

use std::fmt::Display;

use fanlight_core::codec::{self, DecodeError};
use fanlight_core::{
    CloseReason, Config, ConnId, DeadlineReason, Effect, Event, Input, Limits, Op, Time,
};
use js_sys::Array;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// The shapes of the objects, for TypeScript. The package refines `op` and `event`.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface CoreConfig {
    seed?: number | bigint;
    now?: number | bigint;
    limits?: Record<string, number | bigint>;
}
export interface Deadline {
    at: bigint;
    reason: "leaseEnds" | "delayEnds" | "sessionEnds" | "waitEnds" | "producerIdle"
        | "transactionEnds";
}
export interface Told {
    conn: bigint;
    event?: Record<string, any>;
    text?: string;
    close?: "badProtocol" | "tooMany" | "notOpen";
}
"#;

/// What a broker is made with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CoreConfig {
    seed: u64,
    now: Time,
    limits: Limits,
}

/// A configuration, and the time to begin at. Nothing at all stands for every default.
pub(crate) fn config(value: JsValue) -> Result<(Config, Time), JsError> {
    let CoreConfig { seed, now, limits } = if value.is_undefined() || value.is_null() {
        CoreConfig::default()
    } else {
        serde_wasm_bindgen::from_value(value)
            .map_err(|error| wrong("the configuration is not one", &error))?
    };
    if let Some(why) = limits.contradiction() {
        return Err(JsError::new(&why));
    }
    Ok((Config { seed, limits }, time(now.0)?))
}

/// When a tick is due.
#[derive(Serialize)]
struct Deadline {
    at: Time,
    reason: DeadlineReason,
}

/// One thing that a connection is told, or that is done to it.
#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Event {
        conn: ConnId,
        event: Event<'a>,
    },
    /// The sentence comes along, since only this side can write it.
    Activity {
        conn: ConnId,
        event: Event<'a>,
        text: String,
    },
    Close {
        conn: ConnId,
        close: CloseReason,
    },
}

/// An instant that can be meant. Those beyond come of negative numbers, which wasm takes for
/// large ones, and would put every later deadline out of reach.
pub(crate) fn time(now: u64) -> Result<Time, JsError> {
    if i64::try_from(now).is_err() {
        return Err(JsError::new(
            "the time is not one: it has to be 0n to 2n ** 63n - 1n, in nanoseconds",
        ));
    }
    Ok(Time(now))
}

/// A request, as an object with one key: `{ receive: { queue: "jobs", messagesMax: 1 } }`.
pub(crate) fn op(value: JsValue) -> Result<Op<'static>, JsError> {
    Op::deserialize(serde_wasm_bindgen::Deserializer::from(value))
        .map_err(|error| wrong("the request is not one", &error))
}

/// The kind of an input frame, and the bytes of the time that it begins with.
const INPUT: u8 = 5;
const TIME_BYTES: usize = 8;

/// Every input frame in `bytes`, or what is wrong with the first that is none.
///
/// [`codec::decode`] reads every kind of frame. Here it would put the decoders of events and facts
/// into what every page downloads: 14 KB of 81, gzipped.
pub(crate) fn inputs<'a>(
    mut bytes: &'a [u8],
    limits: &Limits,
) -> Result<Vec<(Time, Input<'a>)>, JsError> {
    let mut inputs = Vec::new();
    while !bytes.is_empty() {
        let (now, input) = input(&mut bytes, limits).map_err(|why| {
            wrong(&format!("frame {} is not one that a broker takes", inputs.len()), &why)
        })?;
        time(now.0)?;
        inputs.push((now, input));
    }
    Ok(inputs)
}

fn input<'a>(bytes: &mut &'a [u8], limits: &Limits) -> Result<(Time, Input<'a>), DecodeError> {
    let allowed = (limits.batch_bytes_max as usize).saturating_add(codec::FRAME_SLACK_BYTES);
    let (header, rest) =
        bytes.split_first_chunk::<{ codec::HEADER_BYTES }>().ok_or(DecodeError::Incomplete)?;
    let [a, b, c, d, kind] = *header;
    let announced = u32::from_le_bytes([a, b, c, d]) as usize;
    if announced > allowed {
        return Err(DecodeError::TooLarge { announced, allowed });
    }
    let payload_bytes = announced.checked_sub(1).ok_or(DecodeError::BadPayload("frame"))?;
    let (payload, rest) = rest.split_at_checked(payload_bytes).ok_or(DecodeError::Incomplete)?;
    *bytes = rest;
    if kind != INPUT {
        return Err(DecodeError::BadPayload("input, which is kind 5"));
    }
    let (now, input) =
        payload.split_first_chunk::<TIME_BYTES>().ok_or(DecodeError::BadPayload("input"))?;
    let input = codec::decode_value(input).ok_or(DecodeError::BadPayload("input"))?;
    Ok((Time(u64::from_le_bytes(*now)), input))
}

/// The deadline as an object, or undefined.
pub(crate) fn deadline(due: Option<(Time, DeadlineReason)>) -> Result<JsValue, JsError> {
    match due {
        Some((at, reason)) => object(&Deadline { at, reason }),
        None => Ok(JsValue::UNDEFINED),
    }
}

/// Gathers what connections are told. Facts are not for them.
pub(crate) struct Ear {
    told: Array,
    failed: Option<JsError>,
}

impl Ear {
    pub(crate) fn new() -> Ear {
        Ear { told: Array::new(), failed: None }
    }

    pub(crate) fn hear(&mut self, effect: Effect<'_>) {
        let told = match effect {
            Effect::Fact(_) => return,
            Effect::Tell(conn, event) => match &event {
                Event::Activity { activity, .. } => {
                    let text = activity.to_string();
                    Told::Activity { conn, event, text }
                }
                Event::Opened { .. }
                | Event::Done { .. }
                | Event::Count { .. }
                | Event::Refused { .. }
                | Event::Published { .. }
                | Event::Consuming { .. }
                | Event::Cancelled { .. }
                | Event::Delivered { .. }
                | Event::Received { .. }
                | Event::Settled { .. }
                | Event::Joined { .. }
                | Event::JoinedClassic { .. }
                | Event::Synced { .. }
                | Event::MembersRemoved { .. }
                | Event::Assigned { .. }
                | Event::Expelled { .. }
                | Event::Pressure { .. }
                | Event::Polled { .. }
                | Event::ReadDone { .. }
                | Event::FetchDone { .. }
                | Event::Inspected { .. }
                | Event::ProducerReady { .. }
                | Event::Returned { .. }
                | Event::RedriveStarted { .. }
                | Event::RedriveEnded { .. } => Told::Event { conn, event },
                Event::OffsetsReset { .. } => Told::Event { conn, event },
            },
            Effect::Close(conn, reason) => Told::Close { conn, close: reason },
        };
        match object(&told) {
            Ok(told) => {
                self.told.push(&told);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    pub(crate) fn told(self) -> Result<Array, JsError> {
        self.failed.map_or(Ok(self.told), Err)
    }
}

pub(crate) fn object(value: &impl Serialize) -> Result<JsValue, JsError> {
    let serializer = serde_wasm_bindgen::Serializer::new()
        .serialize_large_number_types_as_bigints(true)
        .serialize_maps_as_objects(true);
    value.serialize(&serializer).map_err(|error| wrong("an event cannot be an object", &error))
}

fn wrong(what: &str, why: &impl Display) -> JsError {
    let why = why.to_string();
    JsError::new(&format!("{what}: {}", why.strip_prefix("Error: ").unwrap_or(&why)))
}
