//! # fanlight-wasm: the broker behind JavaScript
//!
//! One class, [`Core`], holds one [`fanlight_core::Broker`] and adds nothing to it but the crossing
//! of the boundary. There are two ways across:
//!
//! - **Frames** ([`Core::apply`]): bytes in, bytes out, in the format of [`fanlight_core::codec`].
//!   What is recorded, replayed and compared goes this way.
//! - **Objects** ([`Core::open`], [`Core::request`], [`Core::closed`], [`Core::tick`]): requests and
//!   events as JavaScript objects, in the shape of their serde representation: variants as objects
//!   with one key, names in camelCase, bytes as `Uint8Array`, 64-bit numbers as `BigInt`.
//!
//! Rules that both keep:
//! - No callback runs in here. What happened is returned, and JavaScript hands it on; so whatever a
//!   listener does, it finds a broker that is whole.
//! - Nothing that is handed in makes it panic: bad input is an `Error` with a sentence, and has
//!   changed nothing. A panic is a fault of ours. It is thrown as an `Error` named
//!   `FanlightPanic`, and the object that threw it is to be dropped.
//! - Time comes with every call, in nanoseconds. One that is earlier than the last is taken to be
//!   the last.

mod broker;
mod crossing;
mod panic;

pub use broker::Core;
