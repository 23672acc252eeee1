//! Leases and delays: a message costs the same however many others are outstanding.

use criterion::{BenchmarkId, Criterion, Throughput};
use fanlight_core::{ConnId, Span};

use crate::driver::{CONN, Driver, batch};

const HOLDER: ConnId = ConnId(2);

pub(crate) fn outstanding(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish, lease and settle with so many leases outstanding");
    for outstanding in [0, 1_000_000] {
        group.throughput(Throughput::Elements(16));
        group.bench_function(BenchmarkId::from_parameter(outstanding), |b| {
            let mut driver = Driver::new();
            driver.declare_queue("jobs");
            driver.open(HOLDER);
            let (many, few) = (batch(1_000, 100), batch(16, 100));
            for _ in 0..outstanding / 50_000 {
                driver.consume_as(HOLDER, "jobs", 50_000);
                for _ in 0..50 {
                    driver.publish_to_queue("jobs", &many);
                }
            }
            assert_eq!(driver.leases.len(), outstanding);
            driver.leases.clear();
            driver.consume_as(CONN, "jobs", 64);
            b.iter(|| {
                driver.publish_to_queue("jobs", &few);
                assert_eq!(driver.leases.len(), 16);
                driver.ack_all();
            });
        });
    }
    group.finish();
}

/// Messages that failed and wait to be tried again, while others come and go.
pub(crate) fn delayed(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish, lease and settle with so many messages delayed");
    for delayed in [0, 100_000] {
        group.throughput(Throughput::Elements(16));
        group.bench_function(BenchmarkId::from_parameter(delayed), |b| {
            let mut driver = Driver::new();
            driver.declare_queue("jobs");
            driver.consume_as(CONN, "jobs", 1_000);
            let (many, few) = (batch(1_000, 100), batch(16, 100));
            for _ in 0..delayed / 1_000 {
                driver.publish_to_queue("jobs", &many);
                let leases = std::mem::take(&mut driver.leases);
                driver.nack(&leases, Span::from_secs(36_000));
            }
            b.iter(|| {
                driver.publish_to_queue("jobs", &few);
                assert_eq!(driver.leases.len(), 16);
                driver.ack_all();
            });
        });
    }
    group.finish();
}
