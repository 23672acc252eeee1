//! What is idle costs nothing: an apply takes the same time with ten thousand queues that nobody
//! asks for anything.

use criterion::{BenchmarkId, Criterion, Throughput};
use fanlight_core::{ConnId, Input};

use crate::driver::{CONN, Driver, batch};

fn with_idle(queues: u64, connections: u64) -> Driver {
    let mut driver = Driver::new();
    for queue in 0..queues {
        driver.declare_queue(&format!("idle-{queue}"));
    }
    for conn in 0..connections {
        driver.open(ConnId(10 + conn));
        if queues > 0 {
            driver.consume_as(ConnId(10 + conn), &format!("idle-{}", conn % queues), 16);
        }
    }
    driver.declare_queue("jobs");
    driver
}

pub(crate) fn idle_queues(c: &mut Criterion) {
    let mut group = c.benchmark_group("with idle queues and connections");
    for (queues, connections) in [(0, 0), (10_000, 10_000)] {
        let idle = format!("{queues} and {connections}");
        group.throughput(Throughput::Elements(16));
        group.bench_function(BenchmarkId::new("publish, lease and settle", &idle), |b| {
            let mut driver = with_idle(queues, connections);
            driver.consume_as(CONN, "jobs", 64);
            let records = batch(16, 100);
            b.iter(|| {
                driver.publish_to_queue("jobs", &records);
                assert_eq!(driver.leases.len(), 16);
                driver.ack_all();
            });
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("tick", &idle), |b| {
            let mut driver = with_idle(queues, connections);
            b.iter(|| driver.apply(Input::Tick));
        });
        group.bench_function(BenchmarkId::new("declare and delete a queue", &idle), |b| {
            let mut driver = with_idle(queues, connections);
            b.iter(|| {
                driver.declare_queue("fleeting");
                driver.delete_queue("fleeting");
            });
        });
        group.bench_function(BenchmarkId::new("open and close a connection", &idle), |b| {
            let mut driver = with_idle(queues, connections);
            let mut next = 1_000_000;
            b.iter(|| {
                next += 1;
                driver.open(ConnId(next));
                driver.consume_as(ConnId(next), "jobs", 16);
                driver.close(ConnId(next));
            });
        });
    }
    group.finish();
}
