//! A record's way through a topic.

use criterion::{BenchmarkId, Criterion, Throughput};
use fanlight_core::Assignor;

use crate::driver::{Driver, batch};

fn topic() -> Driver {
    let mut driver = Driver::new();
    driver.create_topic("orders", 1);
    driver.join("readers", "orders", Assignor::Range);
    driver
}

pub(crate) fn through_a_topic(c: &mut Criterion) {
    let mut group = c.benchmark_group("append, poll and commit through a topic");
    for bytes in [100, 1024] {
        for count in [1, 16, 256] {
            let id = BenchmarkId::new(format!("{bytes} B"), count);
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(id, |b| {
                let records = batch(count, bytes);
                let mut driver = topic();
                b.iter(|| {
                    if driver.broker.stored_bytes() > 1 << 30 {
                        driver = topic();
                    }
                    driver.publish_to_partition("orders", &records);
                    let member = driver.members[0];
                    driver.poll(member, 256);
                    driver.commit(member, "orders");
                });
            });
        }
    }
    group.finish();
}

/// Reading a long log from its beginning: the batches lie there as they came.
pub(crate) fn read_back(c: &mut Criterion) {
    let mut group = c.benchmark_group("read a topic of 256,000 records from the beginning");
    for count in [1, 16, 256] {
        group.throughput(Throughput::Elements(256));
        group.bench_function(BenchmarkId::new("256 records, batches of", count), |b| {
            let mut driver = topic();
            let records = batch(count, 100);
            for _ in 0..256_000 / count {
                driver.publish_to_partition("orders", &records);
            }
            driver.next = 0;
            b.iter(|| {
                let from = if driver.next >= 250_000 { 0 } else { driver.next };
                driver.read("orders", from, 256);
            });
        });
    }
    group.finish();
}
