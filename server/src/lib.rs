//! What of the server others can build on: a client for it.
//!
//! The `fanlight` binary is made of the server, which nothing else needs, and of the command line,
//! which reaches any server through [`client`]; tests and tools reach it the same way.

#![warn(missing_docs)]

pub mod client;
