//! The real server, started as a process and spoken to over its sockets.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test picks the one event that it waits for")]

mod api;
mod api_admin;
mod api_docs;
mod api_limits;
mod backup;
mod client;
mod clock;
mod config;
mod crash;
mod data;
mod examine;
mod exposition;
mod faults;
mod frames;
mod http;
mod load;
mod logging;
mod metrics;
mod namespaces;
mod permissions;
mod process;
mod recording;
mod rest;
mod shutdown;
mod spans;
mod start;
mod tls;
mod users;
