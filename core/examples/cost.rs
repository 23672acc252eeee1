//! What a message costs in instructions and in memory, to be measured from outside.
//!
//! ```sh
//! cargo build --release -p fanlight-core --example cost
//! target/release/examples/cost message 16    # bytes of memory, on Linux: in batches of 16
//! target/release/examples/cost idle-queue
//! valgrind --tool=callgrind target/release/examples/cost queue 1000   # and again with 2000
//! valgrind --tool=callgrind target/release/examples/cost queue 1000 256
//! ```
//!
//! The difference of the two counts of instructions, divided by the thousand rounds between them,
//! is what a round costs: publish a batch of 16 records (or as many as the third word says) of 100
//! bytes, and take it to its end.

#[path = "../benches/broker/driver.rs"]
#[expect(dead_code, reason = "the benches ask for more")]
mod driver;

use fanlight_core::{Assignor, Batch, Config, ConnId, ExchangeKind, Span};

use driver::{CONN, Driver, batch};

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let count = args.next().and_then(|count| count.parse().ok()).unwrap_or(1_000);
    let size = args.next().and_then(|size| size.parse().ok()).unwrap_or(16);
    match what.as_str() {
        "queue" => queue(Driver::new(), count, size, 0),
        "queue-among-idle" => queue(Driver::new(), count, size, 10_000),
        "queue-without-journeys" => queue(without_journeys(), count, size, 0),
        "topic" => topic(count, size),
        "fanout" => fan_out(count, size),
        "message" => message(count),
        "idle-queue" => idle_queue(),
        _ => eprintln!(
            "one of: queue, queue-among-idle, queue-without-journeys, topic, fanout, message, idle-queue"
        ),
    }
}

fn without_journeys() -> Driver {
    let mut config = Config::default();
    config.limits.journey_steps_max = 0;
    Driver::with(config)
}

fn queue(mut driver: Driver, rounds: u64, size: u32, idle: u64) {
    for conn in 0..idle {
        let queue = format!("idle-{conn}");
        driver.declare_queue(&queue);
        driver.open(ConnId(10 + conn));
        driver.consume_as(ConnId(10 + conn), &queue, 16);
    }
    driver.declare_queue("jobs");
    driver.consume_as(CONN, "jobs", 1_024);
    let records = batch(size, 100);
    for _ in 0..rounds {
        driver.publish_to_queue("jobs", &records);
        driver.ack_all();
    }
}

fn topic(rounds: u64, size: u32) {
    let mut driver = Driver::new();
    driver.create_topic("orders", 1);
    driver.join("readers", "orders", Assignor::Range);
    let records = batch(size, 100);
    for _ in 0..rounds {
        driver.publish_to_partition("orders", &records);
        let member = driver.members[0];
        driver.poll(member, size);
        driver.commit(member, "orders");
    }
}

fn fan_out(rounds: u64, size: u32) {
    let mut driver = Driver::new();
    driver.declare_exchange("all", ExchangeKind::Fanout);
    for queue in 0..100 {
        let queue = format!("q{queue}");
        driver.declare_queue(&queue);
        driver.bind("all", &queue, "");
        driver.consume_as(CONN, &queue, 1_024);
    }
    let records = batch(size, 100);
    for _ in 0..rounds {
        driver.publish_to_exchange("all", "", &records);
        driver.ack_all();
    }
}

const MESSAGES: u64 = 1_000_000;
const QUEUES: u64 = 100_000;

fn message(count: u64) {
    let mut driver = Driver::new();
    driver.declare_queue("jobs");
    let body = vec![b'x'; 100];
    let per = grown(MESSAGES, || {
        for _ in 0..MESSAGES / count {
            // Made anew each time: what is published lies in memory of its own.
            let mut records = Batch::new();
            for _ in 0..count {
                records.push_body(&body);
            }
            driver.publish_to_queue("jobs", &records.finish().expect("it has records"));
        }
    });
    println!("a queued message of 100 B, in batches of {count}: {per} B");
    let mut leased = 0;
    let per = grown(MESSAGES, || {
        while leased < MESSAGES {
            driver.receive_as(CONN, "jobs", 256, Span::ZERO);
            leased += driver.leases.len() as u64;
            driver.leases.clear();
        }
    });
    println!("    and while it is leased: {per} B more");
}

fn idle_queue() {
    let mut driver = Driver::new();
    let per = grown(QUEUES, || {
        for queue in 0..QUEUES {
            driver.declare_queue(&format!("queue-{queue}"));
        }
    });
    println!("an idle queue: {per} B");
}

/// By how much the process has grown for each of so many.
fn grown(of: u64, make: impl FnOnce()) -> u64 {
    let before = resident();
    make();
    resident().saturating_sub(before) / of
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.expect("Linux says how much memory a process has") * 1024
}
