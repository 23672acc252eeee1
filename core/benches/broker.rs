//! What a message costs in the core alone: through a queue, and through a topic.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fanlight_core::{
    Assignor, Batch, Broker, Budget, CommitOffset, Config, ConnId, Effect, Event, Generation,
    Input, LeaseId, MemberId, Op, PROTOCOL, QueuePolicy, Records, Request, Session, Span, Start,
    Tag, Target, Time,
};

const CONN: ConnId = ConnId(1);

fn request(op: Op<'_>) -> Input<'_> {
    Input::Request(CONN, Request { tag: Tag(1), op })
}

fn batch(count: u32, body_bytes: usize) -> Records<'static> {
    let mut batch = Batch::new();
    let body = vec![b'x'; body_bytes];
    for _ in 0..count {
        batch.push_body(&body);
    }
    batch.finish().expect("a batch has records")
}

struct Bench {
    broker: Broker,
    now: Time,
    leases: Vec<LeaseId>,
    member: Option<MemberId>,
    generation: Generation,
    next: u64,
}

impl Bench {
    fn new() -> Bench {
        let mut config = Config::default();
        config.limits.stored_bytes_max = 8 << 30;
        let broker = Broker::new(config, Time::ZERO);
        let (member, generation) = (None, Generation(0));
        let mut bench =
            Bench { broker, now: Time::ZERO, leases: Vec::new(), member, generation, next: 0 };
        bench.apply(Input::Open(CONN, Session { protocol: PROTOCOL, client: "bench".into() }));
        bench
    }

    fn apply(&mut self, input: Input<'_>) {
        self.now = self.now + Span(1_000);
        let Bench { broker, now, leases, member, generation, next } = self;
        broker.apply(*now, input, &mut |effect: Effect<'_>| match effect {
            Effect::Tell(_, Event::Delivered { deliveries, .. }) => {
                leases.extend(deliveries.iter().map(|delivery| delivery.lease));
            }
            Effect::Tell(_, Event::Joined { member: id, .. }) => *member = Some(id),
            Effect::Tell(_, Event::Assigned { generation: g, .. }) => *generation = g,
            Effect::Tell(_, Event::Polled { batches, .. }) => {
                let batch = batches.last().expect("there are records");
                *next = batch.base.0 + u64::from(batch.records.count());
            }
            Effect::Tell(_, Event::Refused { refusal, .. }) => panic!("{refusal}"),
            Effect::Tell(..) | Effect::Fact(_) | Effect::Close(..) => {}
        });
    }

    fn publish(&mut self, to: Target<'_>, records: &Records<'static>) {
        let records = records.clone();
        self.apply(request(Op::publish(to, true, records)));
    }
}

fn through_a_queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish, lease and settle through a queue");
    for bytes in [100, 1024] {
        for count in [1, 16, 256] {
            let id = BenchmarkId::new(format!("{bytes} B"), count);
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(id, |b| {
                let mut bench = Bench::new();
                let (name, policy) = ("jobs".into(), QueuePolicy::default());
                bench.apply(request(Op::DeclareQueue { name, policy }));
                let (queue, visibility) = ("jobs".into(), None);
                bench.apply(request(Op::Consume {
                    queue,
                    prefetch: 1024,
                    visibility,
                    auto_ack: false,
                }));
                let records = batch(count, bytes);
                b.iter(|| {
                    bench.publish(Target::Queue { name: "jobs".into() }, &records);
                    let leases = std::mem::take(&mut bench.leases);
                    assert_eq!(leases.len(), count as usize);
                    bench.apply(request(Op::Ack { leases: leases.as_slice().into() }));
                    bench.leases = leases;
                    bench.leases.clear();
                });
            });
        }
    }
    group.finish();
}

fn through_a_topic(c: &mut Criterion) {
    let mut group = c.benchmark_group("append, poll and commit through a topic");
    for bytes in [100, 1024] {
        for count in [1, 16, 256] {
            let id = BenchmarkId::new(format!("{bytes} B"), count);
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(id, |b| {
                let records = batch(count, bytes);
                let name = || "orders".into();
                let mut bench = topic_bench();
                b.iter(|| {
                    if bench.broker.stored_bytes() > 1 << 30 {
                        bench = topic_bench();
                    }
                    bench.publish(Target::Topic { name: name(), partition: Some(0) }, &records);
                    let member = bench.member.expect("it joined");
                    let (records_max, wait) = (256, Span::ZERO);
                    bench.apply(request(Op::Poll {
                        member,
                        budget: Budget::waiting(records_max, wait),
                    }));
                    let offset = fanlight_core::Offset(bench.next);
                    let offsets =
                        [CommitOffset { topic: name(), partition: 0, offset, metadata: "".into() }];
                    let (generation, offsets) = (bench.generation, offsets[..].into());
                    bench.apply(request(Op::Commit { member, generation, offsets }));
                });
            });
        }
    }
    group.finish();
}

fn topic_bench() -> Bench {
    let mut bench = Bench::new();
    bench.apply(request(Op::CreateTopic {
        name: "orders".into(),
        partitions: 1,
        policy: Default::default(),
    }));
    bench.apply(request(Op::Join {
        group: "readers".into(),
        topics: vec!["orders".into()].into(),
        assignor: Assignor::Range,
        start: Start::Earliest,
        session_timeout: None,
    }));
    bench
}

criterion_group!(benches, through_a_queue, through_a_topic);
criterion_main!(benches);
