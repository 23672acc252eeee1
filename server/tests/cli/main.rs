//! The `fanlight` program from outside: its commands against its own server.

mod admin;
mod bench;
mod client;
mod consume;
mod errors;
mod harness;
mod manage;
mod publish;
mod redrive;
mod screen;
