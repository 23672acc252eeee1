//! What comes and goes, what is published to it, and looking at it.

use std::borrow::Cow;

use fanlight_core::{
    Backoff, Batch, ConnId, Deduplication, Destination, ExchangeKind, ExchangePolicy, HeaderMatch,
    Inspect, Keep, Listed, MatchMode, Offset, Op, Options, Overflow, ProducerId, QueueKind,
    QueuePolicy, Records, Sameness, Span, Target, Time, Unroutable, WantedHeader,
};

use super::{EXCHANGES, GROUPS, KEYS, PATTERNS, QUEUES, TOPICS, WORK_GROUPS, Workload};

const BAD_NAMES: [&str; 4] = ["", "amq.mine", "line\nbreak", "nowhere"];
const HEADERS: [(&str, &[u8]); 3] = [("type", b"order"), ("retry", b"1"), ("x-trace", b"1")];

impl Workload {
    /// Mostly one of these names; sometimes one that is bad or that nobody has.
    fn name(&mut self, names: &[&'static str]) -> &'static str {
        let names = if self.dice.percent(2) { &BAD_NAMES[..] } else { names };
        self.dice.pick::<&str>(names)
    }

    pub(super) fn queue(&mut self) -> &'static str {
        self.name(&QUEUES)
    }

    pub(super) fn topic(&mut self) -> &'static str {
        self.name(&TOPICS)
    }

    fn exchange(&mut self) -> &'static str {
        self.name(&EXCHANGES)
    }

    /// What a workload makes first, the last first; a little of it may be left out.
    pub(super) fn beginning(&mut self) -> Vec<Op<'static>> {
        let mut ops: Vec<Op<'static>> = Vec::new();
        for _ in 0..6 {
            ops.push(self.bind());
        }
        for name in ["headers", "fanout", "topic", "direct"] {
            ops.push(self.declare_exchange(name));
        }
        for name in TOPICS {
            ops.push(self.create_topic(name));
        }
        for name in QUEUES {
            ops.push(self.declare_queue(name));
        }
        ops.extend(WORK_GROUPS.map(|_| self.create_work_group()));
        ops.retain(|_| self.dice.percent(90));
        ops
    }

    pub(super) fn topology(&mut self) -> Op<'static> {
        match self.dice.weighted(&[25, 15, 15, 25, 3, 3, 2, 5, 2, 2, 6, 8, 2]) {
            0 => {
                let name = self.queue();
                self.declare_queue(name)
            }
            1 => {
                let name = self.topic();
                self.create_topic(name)
            }
            2 => {
                let name = self.exchange();
                self.declare_exchange(name)
            }
            3 => self.bind(),
            4 => Op::DeleteQueue {
                name: self.queue().into(),
                if_empty: self.dice.percent(30),
                if_unused: self.dice.percent(30),
            },
            5 => Op::DeleteTopic { name: self.topic().into() },
            6 => {
                let if_unused = self.dice.percent(30);
                Op::DeleteExchange { name: self.exchange().into(), if_unused }
            }
            7 => self.unbind(),
            8 => Op::PurgeQueue { name: self.queue().into(), all: self.dice.percent(40) },
            9 => Op::DeleteGroup { group: (*self.dice.pick(&GROUPS)).into() },
            11 => self.create_work_group(),
            12 => Op::DeleteWorkGroup { name: (*self.dice.pick(&WORK_GROUPS)).into() },
            _ => {
                let name = self.queue();
                Op::AlterQueue { name: name.into(), policy: self.policy(name) }
            }
        }
    }

    fn bind(&mut self) -> Op<'static> {
        let bind = Op::Bind {
            exchange: self.exchange().into(),
            to: self.destination(),
            pattern: (*self.dice.pick(&PATTERNS)).into(),
            headers: self.wanted(),
        };
        self.bound.push(bind.clone());
        bind
    }

    fn unbind(&mut self) -> Op<'static> {
        match self.dice.pick_any(&self.bound).cloned() {
            Some(Op::Bind { exchange, to, pattern, headers }) => {
                Op::Unbind { exchange, to, pattern, headers }
            }
            _ => Op::Unbind {
                exchange: self.exchange().into(),
                to: self.destination(),
                pattern: "a".into(),
                headers: HeaderMatch::default(),
            },
        }
    }

    /// What a binding wants of a record's headers, mostly nothing.
    fn wanted(&mut self) -> HeaderMatch<'static> {
        if self.dice.percent(60) {
            return HeaderMatch::default();
        }
        let modes = [MatchMode::All, MatchMode::Any, MatchMode::AllWithX, MatchMode::AnyWithX];
        let mode = *self.dice.pick(&modes);
        let headers = HEADERS.into_iter().rev().filter(|_| self.dice.percent(50));
        let headers: Vec<_> = headers
            .map(|(name, value)| WantedHeader { name: name.into(), value: Some(value.into()) })
            .collect();
        HeaderMatch { mode, headers }
    }

    fn create_topic(&mut self, name: &'static str) -> Op<'static> {
        let partitions = if name == "one" { 1 } else { *self.dice.pick(&[3, 3, 3, 3, 3, 3, 5]) };
        Op::CreateTopic { name: name.into(), partitions, policy: self.topic_policy() }
    }

    fn create_work_group(&mut self) -> Op<'static> {
        let name = *self.dice.pick(&WORK_GROUPS);
        let topic = self.topic().into();
        let mut policy = self.policy("work");
        (policy.messages_max, policy.bytes_max, policy.keep) = (None, None, None);
        Op::CreateWorkGroup { name: name.into(), topic, policy, from: self.position() }
    }

    fn declare_queue(&mut self, name: &'static str) -> Op<'static> {
        Op::DeclareQueue { name: name.into(), policy: self.policy(name) }
    }

    fn policy(&mut self, name: &'static str) -> QueuePolicy<'static> {
        let mut policy = QueuePolicy::default();
        if name == "dead" {
            return policy;
        }
        policy.visibility = *self.dice.pick(&[Span::from_millis(100), Span::from_secs(1)]);
        if self.dice.percent(30) {
            let exchange = *self.dice.pick(&["", "fanout", "headers", "topic", "nowhere"]);
            policy.dead_letter_exchange = Some(exchange.into());
            let key = *self.dice.pick(&[None, None, Some("dead"), Some("orders"), Some("a")]);
            policy.dead_letter_key = key.map(Cow::from);
            policy.deliveries_max = *self.dice.pick(&[None, Some(1), Some(2)]);
        } else if self.dice.percent(70) {
            policy.dead_letter = Some("dead".into());
            policy.deliveries_max = *self.dice.pick(&[None, Some(1), Some(2), Some(3)]);
        }
        policy.retry_delay = *self.dice.pick(&[Span::ZERO, Span::from_millis(50)]);
        policy.messages_max = *self.dice.pick(&[None, None, Some(5)]);
        if self.dice.percent(15) {
            let time = *self.dice.pick(&[None, Some(Span::from_millis(300))]);
            policy.keep = Some(Keep { time, bytes: *self.dice.pick(&[None, Some(200)]) });
        }
        if self.dice.percent(50) {
            self.unusual(&mut policy);
        }
        policy
    }

    /// Settings that few queues have, now and then some that contradict each other.
    fn unusual(&mut self, policy: &mut QueuePolicy<'static>) {
        let max = Span::from_millis(200);
        policy.backoff = *self.dice.pick(&[Backoff::Fixed, Backoff::Exponential { max }]);
        policy.jitter = *self.dice.pick(&[0, 0, 50]);
        policy.bytes_max = *self.dice.pick(&[None, None, Some(100)]);
        policy.overflow =
            *self.dice.pick(&[Overflow::Refuse, Overflow::DropOldest, Overflow::DeadLetter]);
        let mut span = |percent| self.dice.percent(percent).then(|| self.span());
        (policy.ttl, policy.expires) = (span(30), span(8));
        policy.delay = span(20).unwrap_or_default();
        match self.dice.below(4) {
            0 => policy.kind = QueueKind::Fifo,
            1 => policy.priorities = 3,
            _ => {}
        }
        if self.dice.percent(40) {
            let by = *self.dice.pick(&[Sameness::Id, Sameness::Content]);
            policy.deduplication = Some(Deduplication { window: self.span(), by });
        }
        policy.single_active = self.dice.percent(20);
        policy.exclusive = self.dice.percent(5);
        policy.auto_delete = self.dice.percent(5);
    }

    fn declare_exchange(&mut self, name: &'static str) -> Op<'static> {
        let kind = match name {
            "topic" => ExchangeKind::Topic,
            "fanout" => ExchangeKind::Fanout,
            "headers" => ExchangeKind::Headers,
            _ => ExchangeKind::Direct,
        };
        let alternate =
            self.dice.percent(20).then(|| *self.dice.pick(&["", "fanout", "headers", "amq.topic"]));
        let policy = ExchangePolicy {
            alternate: alternate.map(Cow::from),
            auto_delete: self.dice.percent(15),
            internal: self.dice.percent(5),
        };
        Op::DeclareExchange { name: name.into(), kind, policy }
    }

    fn destination(&mut self) -> Destination<'static> {
        match self.dice.weighted(&[5, 3, 2]) {
            0 => Destination::Queue(self.queue().into()),
            1 => Destination::Topic(self.topic().into()),
            _ => Destination::Exchange(self.exchange().into()),
        }
    }

    pub(super) fn publish(&mut self) -> Op<'static> {
        let to = match self.dice.weighted(&[6, 6, 5, 1]) {
            0 => Target::Queue { name: self.queue().into() },
            1 => {
                let partition =
                    if self.dice.percent(20) { Some(self.dice.below(4) as u32) } else { None };
                Target::Topic { name: self.topic().into(), partition }
            }
            2 => Target::Exchange {
                name: self.exchange().into(),
                routing_key: (*self.dice.pick(&KEYS)).into(),
            },
            _ => Target::Exchange { name: "".into(), routing_key: self.queue().into() },
        };
        let mut op = Op::publish(to, self.dice.percent(80), self.records());
        if let Op::Publish { unroutable, .. } = &mut op {
            let refuse = Unroutable::Refuse;
            *unroutable = *self.dice.pick(&[refuse, refuse, Unroutable::Return, Unroutable::Drop]);
        }
        op
    }

    fn records(&mut self) -> Records<'static> {
        let mut batch = Batch::new();
        let count = *self.dice.pick(&[1, 1, 1, 2, 3, 8]);
        for _ in 0..count {
            let key = [b'k', self.dice.below(9) as u8];
            let key = self.dice.percent(60).then_some(&key[..]);
            let headers = HEADERS.into_iter().filter(|_| self.dice.percent(15));
            let mut headers: Vec<_> = headers.collect();
            headers.extend(self.dice.percent(1).then_some(("x-death", &b"forged"[..])));
            let timestamp = self.dice.percent(10).then_some(Time(self.now.0 / 2));
            let body = vec![b'x'; *self.dice.pick(&[0, 1, 5, 20, 100])];
            let mut id = [0];
            let options = self.options(&mut id);
            let added = batch.push_with(key, headers, timestamp, &options, &body);
            added.expect("a small record is well formed");
        }
        batch.finish().expect("there is at least one record")
    }

    fn options<'i>(&mut self, id: &'i mut [u8; 1]) -> Options<'i> {
        if self.dice.percent(70) {
            return Options::default();
        }
        let mut span = |percent| self.dice.percent(percent).then(|| self.wait());
        let (ttl, delay) = (span(30), span(30));
        *id = [b'0' + self.dice.below(6) as u8];
        Options {
            ttl,
            delay,
            priority: self.dice.percent(50).then(|| self.dice.below(6) as u8),
            id: self.dice.percent(50).then_some(&id[..]),
        }
    }

    fn explained(&mut self) -> Inspect<'static> {
        let offset = Offset(self.dice.below(30));
        match self.dice.below(9) {
            0 => Inspect::Due { max: 10 },
            1 => Inspect::Connection(ConnId(self.dice.below(8))),
            2 => Inspect::Message { queue: self.queue().into(), offset },
            3 => Inspect::Record { topic: self.topic().into(), partition: 0, offset },
            4 => Inspect::Transactions(ProducerId(self.dice.below(3))),
            5 => Inspect::ProducerNamed("billing".into()),
            6 => {
                let from = ProducerId(self.dice.below(3));
                Inspect::ProducersOf { topic: self.topic().into(), partition: 0, from }
            }
            7 => Inspect::DeadLetterSources { queue: "dead".into(), after: "".into(), max: 2 },
            _ => {
                let after = *self.dice.pick(&["", "a", "q", "2"]);
                Inspect::List { of: *self.dice.pick(&Listed::ALL), after: after.into(), max: 2 }
            }
        }
    }

    pub(super) fn view(&mut self) -> Op<'static> {
        match self.dice.below(7) {
            0 => Op::Watch { on: true },
            1 => Op::Watch { on: false },
            2 if self.dice.percent(50) => Op::Inspect { what: Inspect::Overview },
            2 => Op::Inspect { what: Inspect::Producers(Default::default()) },
            3 => Op::Inspect { what: Inspect::Queue(self.queue().into()) },
            4 => Op::Inspect { what: Inspect::Topic(self.topic().into()) },
            5 => Op::Inspect { what: self.explained() },
            _ => Op::Inspect { what: Inspect::Group((*self.dice.pick(&GROUPS)).into()) },
        }
    }
}
