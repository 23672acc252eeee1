//! What the core alone costs: a file for each noun. `cargo bench -p fanlight-core -- <words>` runs
//! those whose names have the words in them.

use criterion::{criterion_group, criterion_main};

mod connection;
mod driver;
mod exchange;
mod group;
mod idle;
mod lease;
mod queue;
mod topic;

criterion_group!(
    benches,
    queue::through_a_queue,
    topic::through_a_topic,
    topic::read_back,
    exchange::fan_out,
    exchange::route_past_bindings,
    lease::outstanding,
    lease::delayed,
    group::rebalance,
    idle::idle_queues,
    connection::ends,
    connection::stops_waiting,
);
criterion_main!(benches);
