//! What a connection leaves behind when it ends, and requests that stop waiting.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use fanlight_core::{ConnId, Input, Span};

use crate::driver::{Driver, batch};

const STAYS: ConnId = ConnId(3);

/// A connection takes 100 messages and ends, while others hold very many of the same queue.
pub(crate) fn ends(c: &mut Criterion) {
    let mut group =
        c.benchmark_group("a connection receives 100 messages and ends, where others hold");
    group.sample_size(10);
    for others in [0, 100_000] {
        group.bench_function(BenchmarkId::from_parameter(others), |b| {
            let mut driver = Driver::new();
            driver.declare_queue("jobs");
            driver.open(STAYS);
            let many = batch(1_000, 100);
            for _ in 0..others / 50_000 {
                driver.consume_as(STAYS, "jobs", 50_000);
                for _ in 0..50 {
                    driver.publish_to_queue("jobs", &many);
                }
            }
            let few = batch(100, 100);
            driver.publish_to_queue("jobs", &few);
            let mut conn = 1_000;
            b.iter(|| {
                conn += 1;
                driver.open(ConnId(conn));
                driver.receive_as(ConnId(conn), "jobs", 100, Span::ZERO);
                driver.close(ConnId(conn));
            });
        });
    }
    group.finish();
}

/// Forty thousand receives wait on one queue, and their connections end.
pub(crate) fn stops_waiting(c: &mut Criterion) {
    let mut group = c.benchmark_group("so many receives wait on one queue, and are gone");
    group.sample_size(10);
    for waits in [4_000_u64, 40_000] {
        group.throughput(Throughput::Elements(waits));
        for (how, close) in [("they expire", false), ("their connections end", true)] {
            group.bench_function(BenchmarkId::new(how, waits), |b| {
                b.iter_batched_ref(
                    || waiting(waits),
                    |driver| end_waits(driver, waits, close),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

const PER_CONN: u64 = 1_000;

fn waiting(waits: u64) -> Driver {
    let mut config = fanlight_core::Config::default();
    config.limits.connections_max = 100_000;
    let mut driver = Driver::with(config);
    driver.declare_queue("jobs");
    for conn in 0..waits / PER_CONN {
        driver.open(ConnId(10 + conn));
        for _ in 0..PER_CONN {
            driver.receive_as(ConnId(10 + conn), "jobs", 1, Span::from_secs(20));
        }
    }
    driver
}

fn end_waits(driver: &mut Driver, waits: u64, close: bool) {
    if close {
        for conn in (0..waits / PER_CONN).rev() {
            driver.close(ConnId(10 + conn));
        }
    } else {
        driver.now = driver.now + Span::from_secs(30);
        driver.apply(Input::Tick);
        driver.settle();
    }
}
