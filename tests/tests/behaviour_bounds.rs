//! Work is bounded, and what is left over is done next: what a trace of lines would be too long
//! to show.
#![cfg(not(target_arch = "wasm32"))]

use fanlight_core::limits::{
    ASSIGNMENTS_BYTES_MAX, BATCH_RECORDS_MAX, DELIVERIES_PER_EVENT_MAX, EXCHANGE_HOPS_MAX,
    EXPIRIES_PER_APPLY_MAX, HEADERS_MAX, HISTORY_MAX, NAME_BYTES_MAX, OVERVIEW_ROWS_MAX,
    PROPOSALS_BYTES_MAX, ROUTING_WORDS_MAX,
};
use fanlight_core::{
    Batch, Broker, Code, Config, ConnId, Destination, Effect, Event, ExchangeKind, Fact,
    Generation, Input, Inspect, LeaseId, Limits, Listed, MemberAssignment, MemberId, Offset, Op,
    PROTOCOL, Pick, Protocol, QueuePolicy, Request, Session, Span, Tag, Target, Time, View,
};

const ME: ConnId = ConnId(1);

/// A broker with one client, and what came out of its last input.
struct Bench {
    broker: Broker,
    now: Time,
    /// Messages in each event that handed some out.
    handed_out: Vec<usize>,
    leases: Vec<LeaseId>,
    refused: Option<(Code, String)>,
    counted: Option<u64>,
    attempts_ended: usize,
    history: Vec<u32>,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        let mut bench = Bench {
            broker: Broker::new(Config { seed: 0, limits }, Time::ZERO),
            now: Time::ZERO,
            handed_out: Vec::new(),
            leases: Vec::new(),
            refused: None,
            counted: None,
            attempts_ended: 0,
            history: Vec::new(),
        };
        bench.input(Input::Open(ME, Session { protocol: PROTOCOL, client: "bench".into() }));
        bench
    }

    fn input(&mut self, input: Input<'_>) {
        (self.refused, self.counted) = (None, None);
        self.handed_out.clear();
        self.attempts_ended = 0;
        let Bench { broker, handed_out, leases, refused, counted, attempts_ended, .. } = self;
        let history = &mut self.history;
        broker.apply(self.now, input, &mut |effect: Effect<'_>| {
            if let Effect::Fact(Fact::AttemptEnded { .. }) = &effect {
                *attempts_ended += 1;
            }
            let Effect::Tell(_, event) = effect else { return };
            if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = &event
            {
                handed_out.push(deliveries.len());
                leases.extend(deliveries.iter().map(|delivery| delivery.lease));
            } else if let Event::Refused { refusal, .. } = &event {
                *refused = Some((refusal.code, refusal.message.clone().into_owned()));
            } else if let Event::Count { count, .. } = &event {
                *counted = Some(*count);
            } else if let Event::Inspected { view: View::Messages(messages), .. } = &event {
                let attempts = messages.iter().flat_map(|message| &message.attempts);
                *history = attempts.map(|attempt| attempt.number).collect();
            }
        });
        broker.check().expect("every invariant holds");
    }

    fn ask(&mut self, op: Op<'_>) {
        self.input(Input::Request(ME, Request { tag: Tag(1), op }));
    }

    fn done(&mut self, op: Op<'_>) {
        self.ask(op);
        assert_eq!(self.refused, None);
    }

    fn queue(&mut self, name: &'static str, policy: QueuePolicy<'static>) {
        self.done(Op::DeclareQueue { name: name.into(), policy });
    }

    fn publish(&mut self, queue: &'static str, count: usize, body: &[u8]) {
        let mut batch = Batch::new();
        for _ in 0..count {
            batch.push_body(body);
        }
        let records = batch.finish().expect("there is a record");
        self.done(Op::publish(Target::Queue { name: queue.into() }, true, records));
    }

    fn consume(&mut self, queue: &'static str, prefetch: u32) {
        self.done(Op::Consume {
            queue: queue.into(),
            prefetch,
            visibility: None,
            auto_ack: false,
            exclusive: false,
        });
    }
}

fn visible_for(ms: u64) -> QueuePolicy<'static> {
    QueuePolicy { visibility: Span::from_millis(ms), ..QueuePolicy::default() }
}

#[test]
fn many_leases_that_end_at_once_end_in_turns_and_the_deadline_says_so() {
    let count = EXPIRIES_PER_APPLY_MAX * 2 + 100;
    let mut bench = Bench::new(Limits::default());
    bench.queue("jobs", visible_for(10));
    bench.publish("jobs", count, b"x");
    while bench.leases.len() < count {
        bench.done(Op::Receive {
            queue: "jobs".into(),
            messages_max: DELIVERIES_PER_EVENT_MAX as u32,
            wait: Span::ZERO,
            visibility: None,
            auto_ack: false,
        });
    }
    bench.now = Time::from_millis(50);
    let mut turns = Vec::new();
    while bench.broker.deadline().is_some_and(|(at, _)| at <= bench.now) {
        bench.input(Input::Tick);
        turns.push(bench.attempts_ended);
    }
    assert_eq!(turns, [EXPIRIES_PER_APPLY_MAX, EXPIRIES_PER_APPLY_MAX, 100]);
}

#[test]
fn a_connection_that_held_very_much_leaves_in_turns_and_the_deadline_says_so() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("jobs", QueuePolicy::default());
    bench.publish("jobs", 3_000, b"x");
    let leaves = ConnId(7);
    bench.input(Input::Open(leaves, Session { protocol: PROTOCOL, client: "leaves".into() }));
    let (queue, visibility, auto_ack) = ("jobs".into(), None, false);
    let consume = Op::Consume { queue, prefetch: 3_000, visibility, auto_ack, exclusive: false };
    bench.input(Input::Request(leaves, Request { tag: Tag(1), op: consume }));
    bench.input(Input::Closed(leaves));
    assert_eq!(bench.attempts_ended, EXPIRIES_PER_APPLY_MAX);
    let mut ended = bench.attempts_ended;
    while bench.broker.deadline().is_some_and(|(at, _)| at <= bench.now) {
        bench.input(Input::Tick);
        assert!((1..=EXPIRIES_PER_APPLY_MAX).contains(&bench.attempts_ended));
        ended += bench.attempts_ended;
    }
    assert_eq!((ended, bench.broker.deadline()), (3_000, None), "each of them once");
}

#[test]
fn an_event_hands_out_so_many_messages_and_the_next_event_goes_on() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("jobs", QueuePolicy::default());
    bench.publish("jobs", 600, b"x");
    bench.consume("jobs", 1_000);
    assert_eq!(bench.handed_out, [DELIVERIES_PER_EVENT_MAX, DELIVERIES_PER_EVENT_MAX, 88]);
    let offsets: Vec<_> = bench.leases.iter().map(|lease| lease.offset.0).collect();
    assert_eq!(offsets, (0..600).collect::<Vec<_>>(), "in the queue's order");
}

#[test]
fn an_event_is_bounded_in_bytes_but_one_message_always_fits() {
    let limits = Limits { batch_bytes_max: 1_000, record_bytes_max: 900, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.queue("jobs", QueuePolicy::default());
    for _ in 0..5 {
        bench.publish("jobs", 1, &[b'x'; 450]);
    }
    bench.consume("jobs", 10);
    assert_eq!(bench.handed_out, [2, 2, 1]);
}

#[test]
fn a_clock_that_goes_back_does_not_take_time_back() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("jobs", visible_for(100));
    bench.publish("jobs", 1, b"x");
    bench.now = Time::from_millis(1_000);
    bench.consume("jobs", 1);
    bench.now = Time::from_millis(10);
    bench.input(Input::Tick);
    assert_eq!(bench.broker.now(), Time::from_millis(1_000));
    assert_eq!(bench.attempts_ended, 0);
    bench.now = Time::from_millis(1_100);
    bench.input(Input::Tick);
    assert_eq!(bench.attempts_ended, 1);
}

#[test]
fn of_many_attempts_the_newest_are_remembered_and_all_are_counted() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("jobs", QueuePolicy::default());
    bench.publish("jobs", 1, b"x");
    bench.consume("jobs", 1);
    for _ in 0..HISTORY_MAX + 4 {
        let lease = bench.leases.pop().expect("it was handed out again");
        bench.done(Op::Nack { leases: vec![lease].into(), delay: Span::ZERO });
    }
    bench.done(Op::Peek { queue: "jobs".into(), from: Offset(0), messages_max: 1 });
    assert_eq!(bench.history, (5..=HISTORY_MAX as u32 + 4).collect::<Vec<_>>());
}

#[test]
fn a_redrive_stops_where_the_target_is_full_and_says_how_many_went() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("from", QueuePolicy::default());
    bench.queue("to", QueuePolicy { messages_max: Some(3), ..QueuePolicy::default() });
    bench.publish("from", 5, b"x");
    let redrive = || Op::Redrive {
        queue: "from".into(),
        pick: Pick::Oldest { messages_max: 10 },
        to: Some("to".into()),
    };
    bench.ask(redrive());
    assert_eq!(bench.counted, Some(3));
    bench.ask(redrive());
    assert_eq!(bench.refused.as_ref().map(|(code, _)| *code), Some(Code::QueueFull));
}

#[test]
fn a_publish_passes_only_so_many_exchanges() {
    let mut bench = Bench::new(Limits::default());
    bench.queue("end", QueuePolicy::default());
    let name = |number: usize| format!("x{number}");
    for number in 0..=EXCHANGE_HOPS_MAX {
        let kind = ExchangeKind::Fanout;
        bench.done(Op::DeclareExchange {
            name: name(number).into(),
            kind,
            policy: Default::default(),
        });
    }
    for number in 0..EXCHANGE_HOPS_MAX {
        let to = Destination::Exchange(name(number + 1).into());
        bench.done(Op::Bind {
            exchange: name(number).into(),
            to,
            pattern: "".into(),
            headers: Default::default(),
        });
    }
    let to = Destination::Queue("end".into());
    bench.done(Op::Bind {
        exchange: name(EXCHANGE_HOPS_MAX).into(),
        to,
        pattern: "".into(),
        headers: Default::default(),
    });
    let publish = |from: usize| {
        Op::publish(
            Target::Exchange { name: name(from).into(), routing_key: "".into() },
            true,
            Batch::new().push_body(b"x").finish().expect("there is a record"),
        )
    };
    bench.done(publish(1));
    bench.ask(publish(0));
    assert_eq!(bench.refused.as_ref().map(|(code, _)| *code), Some(Code::TooMany));
}

#[test]
fn names_keys_and_headers_are_as_long_as_they_may_be_and_no_longer() {
    let mut bench = Bench::new(Limits::default());
    let code = |bench: &Bench| bench.refused.as_ref().map(|(code, _)| *code);
    let queue = |name: String| Op::DeclareQueue { name: name.into(), policy: Default::default() };
    bench.done(queue("q".repeat(NAME_BYTES_MAX)));
    bench.ask(queue("q".repeat(NAME_BYTES_MAX + 1)));
    assert_eq!(code(&bench), Some(Code::BadName));
    bench.ask(queue("line\nbreak".into()));
    assert_eq!(code(&bench), Some(Code::BadName));
    let bind = |words: usize| Op::Bind {
        exchange: "amq.topic".into(),
        to: Destination::Queue("q".repeat(NAME_BYTES_MAX).into()),
        pattern: vec!["a"; words].join(".").into(),
        headers: Default::default(),
    };
    bench.done(bind(ROUTING_WORDS_MAX));
    bench.ask(bind(ROUTING_WORDS_MAX + 1));
    assert_eq!(code(&bench), Some(Code::BadName));
    let publish = |headers: usize| {
        let mut batch = Batch::new();
        let headers = vec![("name", &b"value"[..]); headers];
        batch.push(None, headers, None, b"x").expect("the encoding has room for one more");
        let name = "q".repeat(NAME_BYTES_MAX).into();
        let records = batch.finish().expect("there is a record");
        Op::publish(Target::Queue { name }, true, records)
    };
    bench.done(publish(HEADERS_MAX));
    bench.ask(publish(HEADERS_MAX + 1));
    assert_eq!(code(&bench), Some(Code::TooMany));
}

#[test]
fn a_batch_has_only_so_many_records() {
    let mut batch = Batch::new();
    for _ in 0..BATCH_RECORDS_MAX {
        batch.push_body(b"x");
    }
    let whole = batch.finish().expect("there are records");
    assert!(fanlight_core::Records::parse(whole.as_bytes()).is_ok());
    let more = batch.push_body(b"x").finish().expect("there are records");
    let error = fanlight_core::Records::parse(more.as_bytes()).expect_err("one too many");
    assert_eq!(error.to_string(), "a batch has 1 to 4096 records");
}

#[test]
fn an_overview_shows_so_many_of_each_kind_and_says_that_there_are_more() {
    let mut bench = Bench::new(Limits::default());
    for number in 0..OVERVIEW_ROWS_MAX + 2 {
        let name = format!("q{number:05}").into();
        bench.done(Op::DeclareQueue { name, policy: QueuePolicy::default() });
    }
    let mut seen = Vec::new();
    let what = Inspect::Overview;
    let ask = Request { tag: Tag(1), op: Op::Inspect { what } };
    bench.broker.apply(bench.now, Input::Request(ME, ask), &mut |effect: Effect<'_>| {
        if let Effect::Tell(_, Event::Inspected { view: View::Overview(overview), .. }) = effect {
            seen.push((overview.queues.len(), overview.connections.len(), overview.more));
        }
    });
    let after = format!("q{:05}", OVERVIEW_ROWS_MAX - 1);
    assert_eq!(seen, [(OVERVIEW_ROWS_MAX, 1, vec![(Listed::Queues, after)])]);
    assert_eq!(bench.broker.overview().queues.len(), OVERVIEW_ROWS_MAX + 2);
}

#[test]
fn what_members_propose_and_a_leader_assigns_has_so_many_bytes() {
    let mut bench = Bench::new(Limits::default());
    let join = |bytes: usize| Op::JoinClassic {
        group: "crew".into(),
        member: None,
        instance: None,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: vec![0; bytes].into() }].into(),
        session_timeout: None,
        rebalance_timeout: None,
        initial_delay: Some(Span::ZERO),
    };
    let sync = |bytes: usize| Op::Sync {
        member: MemberId(1),
        generation: Generation(1),
        protocol_type: None,
        protocol: None,
        assignments: vec![MemberAssignment {
            member: MemberId(1),
            assignment: vec![0; bytes].into(),
        }]
        .into(),
    };
    let name = "range".len();
    let too_large = |bench: &Bench| bench.refused.as_ref().map(|(code, _)| *code);
    bench.input(Input::Request(ME, Request { tag: Tag(1), op: join(PROPOSALS_BYTES_MAX) }));
    assert_eq!(too_large(&bench), Some(Code::TooLarge), "the name counts, too");
    let fits = PROPOSALS_BYTES_MAX - 2 * name - 1;
    bench.input(Input::Request(ME, Request { tag: Tag(2), op: join(fits) }));
    assert_eq!(too_large(&bench), None);
    bench.input(Input::Request(ME, Request { tag: Tag(3), op: join(2) }));
    assert_eq!(too_large(&bench), Some(Code::TooLarge), "all members together");
    bench.input(Input::Request(ME, Request { tag: Tag(4), op: sync(ASSIGNMENTS_BYTES_MAX + 1) }));
    assert_eq!(too_large(&bench), Some(Code::TooLarge));
    bench.input(Input::Request(ME, Request { tag: Tag(5), op: sync(ASSIGNMENTS_BYTES_MAX) }));
    assert_eq!(too_large(&bench), None);
    bench.input(Input::Request(ME, Request { tag: Tag(6), op: join(1) }));
    assert_eq!(too_large(&bench), None, "as much as is left");
}
