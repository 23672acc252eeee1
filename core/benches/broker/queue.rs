//! A message's way through a queue.

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::driver::{CONN, Driver, batch};

pub(crate) fn through_a_queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish, lease and settle through a queue");
    for bytes in [100, 1024] {
        for count in [1, 16, 256] {
            let id = BenchmarkId::new(format!("{bytes} B"), count);
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(id, |b| {
                let mut driver = Driver::new();
                driver.declare_queue("jobs");
                driver.consume_as(CONN, "jobs", 1024);
                let records = batch(count, bytes);
                b.iter(|| {
                    driver.publish_to_queue("jobs", &records);
                    assert_eq!(driver.leases.len(), count as usize);
                    driver.ack_all();
                });
            });
        }
    }
    group.finish();
}
