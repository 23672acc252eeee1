//! A consumer group's assignment.

use criterion::{BenchmarkId, Criterion};
use fanlight_core::Assignor;

use crate::driver::Driver;

/// One member more, and one less, of a thousand: two rebalances.
pub(crate) fn rebalance(c: &mut Criterion) {
    let mut group = c.benchmark_group("a member joins and leaves a group of so many");
    group.sample_size(10);
    for members in [10, 1_000] {
        for (name, assignor) in [("range", Assignor::Range), ("dealt", Assignor::RoundRobin)] {
            group.bench_function(BenchmarkId::new(name, members), |b| {
                let mut driver = Driver::new();
                driver.create_topic("orders", 1_000);
                for _ in 0..members {
                    driver.join("readers", "orders", assignor);
                }
                b.iter(|| {
                    driver.join("readers", "orders", assignor);
                    let member = driver.members.pop().expect("it joined");
                    driver.leave(member);
                });
            });
        }
    }
    group.finish();
}
