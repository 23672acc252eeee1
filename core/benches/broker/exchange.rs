//! Routing: one batch to many queues, and one key past many bindings.

use criterion::{BenchmarkId, Criterion, Throughput};
use fanlight_core::ExchangeKind;

use crate::driver::{CONN, Driver, batch};

pub(crate) fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish to a fanout of 100 queues, lease and settle");
    for count in [1, 16] {
        group.throughput(Throughput::Elements(100 * u64::from(count)));
        group.bench_function(BenchmarkId::new("100 B", count), |b| {
            let mut driver = Driver::new();
            driver.declare_exchange("all", ExchangeKind::Fanout);
            for queue in 0..100 {
                let queue = format!("q{queue}");
                driver.declare_queue(&queue);
                driver.bind("all", &queue, "");
                driver.consume_as(CONN, &queue, 1024);
            }
            let records = batch(count, 100);
            b.iter(|| {
                driver.publish_to_exchange("all", "", &records);
                assert_eq!(driver.leases.len(), 100 * count as usize);
                driver.ack_all();
            });
        });
    }
    group.finish();
}

/// What does not match costs nothing: with a thousand times the bindings the time is the same.
pub(crate) fn route_past_bindings(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish through a topic exchange with so many bindings");
    for bindings in [10, 10_000] {
        group.bench_function(BenchmarkId::from_parameter(bindings), |b| {
            let mut driver = Driver::new();
            driver.declare_exchange("events", ExchangeKind::Topic);
            driver.declare_queue("wanted");
            driver.declare_queue("others");
            driver.consume_as(CONN, "wanted", 16);
            driver.bind("events", "wanted", "eu.*.order.#");
            for other in 0..bindings {
                driver.bind("events", "others", &format!("us.{other}.order.#"));
            }
            let records = batch(1, 100);
            b.iter(|| {
                driver.publish_to_exchange("events", "eu.berlin.order.paid", &records);
                assert_eq!(driver.leases.len(), 1);
                driver.ack_all();
            });
        });
    }
    group.finish();
}
