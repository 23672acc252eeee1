//! What makes the spans of a shard.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use fanlight_core::{
    Broker, ConnId, Delivery, Fetched, LeaseId, Op, QueueId, Record, Records, Target,
};

use super::context::{TRACEPARENT, TRACESTATE};
use super::{Context, Ended, Kind, Span, Spans, Value};

/// The header by which messages of one conversation know each other.
const CORRELATION: &str = "correlation-id";
/// Spans that one request or event makes; messages of further traces are counted as dropped.
const SPANS_MAX: usize = 256;
/// Deliveries of traced messages that are remembered until they are settled.
const DELIVERIES_MAX: usize = 65_536;

/// Where a span's name is still to be found.
#[derive(Clone, Copy, Debug)]
struct Unnamed {
    index: usize,
    queue: QueueId,
}

/// Makes the spans of a shard.
pub(crate) struct Tracer {
    namespace: String,
    ended: Ended,
    /// What part of those publishes begins a trace that have none, in 2^64ths.
    ratio: u64,
    random: u64,
    spans: Vec<Span>,
    unnamed: Vec<Unnamed>,
    /// The deliveries of traced messages, and their spans.
    deliveries: HashMap<LeaseId, Context>,
    /// The oldest in front.
    order: VecDeque<LeaseId>,
}

/// A request whose spans have begun.
pub(crate) struct Begun(Vec<Span>);

impl Tracer {
    /// One for a namespace; `ratio` of the publishes without a trace begin one.
    pub(crate) fn new(namespace: &str, ended: Ended, ratio: f64, seed: u64) -> Tracer {
        Tracer {
            namespace: namespace.to_owned(),
            ended,
            ratio: (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64,
            random: seed | 1,
            spans: Vec::new(),
            unnamed: Vec::new(),
            deliveries: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Somebody asks for something; None: no trace is concerned.
    pub(crate) fn asked(&mut self, conn: ConnId, op: &Op<'_>, broker: &Broker) -> Option<Begun> {
        let spans = if let Op::Publish { to, records, .. } = op {
            self.published(conn, to, records)
        } else if let Op::Ack { leases } = op {
            self.settled(conn, "ack", leases, broker)
        } else if let Op::Nack { leases, .. } = op {
            self.settled(conn, "nack", leases, broker)
        } else if let Op::Reject { leases } = op {
            self.settled(conn, "reject", leases, broker)
        } else if let Op::Release { leases } = op {
            self.settled(conn, "release", leases, broker)
        } else {
            return None;
        };
        (!spans.is_empty()).then_some(Begun(spans))
    }

    /// It was done, or refused by this name.
    pub(crate) fn done(&mut self, begun: Begun, refused: Option<String>) {
        self.spans.extend(begun.0.into_iter().map(|mut span| {
            span.refused.clone_from(&refused);
            span
        }));
    }

    fn published(&mut self, conn: ConnId, to: &Target<'_>, records: &Records<'_>) -> Vec<Span> {
        let mut traces = Traces::default();
        for record in records.iter() {
            self.dropped(traces.add(&record));
        }
        let destination = match to {
            Target::Exchange { name, routing_key } if name.is_empty() => routing_key,
            Target::Exchange { name, .. } | Target::Queue { name } | Target::Topic { name, .. } => {
                name
            }
        };
        if !traces.is_decided && self.ratio > 0 && self.random() <= self.ratio {
            let conversation = records.iter().find_map(|record| conversation(&record));
            let root = self.root();
            let mut span = self.span(conn, root, ("publish", "send", Kind::Server), destination);
            span.parent = None;
            describe(&mut span, records.count(), conversation);
            return vec![span];
        }
        let of = |this: &mut Tracer, Trace { context, count, conversation }| {
            let what = ("publish", "send", Kind::Server);
            let mut span = this.span(conn, context, what, destination);
            describe(&mut span, count, conversation);
            span
        };
        traces.all.into_iter().map(|trace| of(self, trace)).collect()
    }

    /// Messages of a queue were handed out.
    pub(crate) fn delivered(&mut self, conn: ConnId, deliveries: &[Delivery<'_>]) {
        let first = self.spans.len();
        let mut traces = Traces::default();
        for delivery in deliveries {
            self.dropped(traces.add(&delivery.record.record()));
        }
        if traces.all.is_empty() {
            return;
        }
        let queue = deliveries[0].lease.queue;
        for Trace { context, count, conversation } in traces.all {
            let index = self.spans.len();
            let mut span = self.span(conn, context, ("deliver", "receive", Kind::Producer), "");
            describe(&mut span, count, conversation);
            self.spans.push(span);
            self.unnamed.push(Unnamed { index, queue });
        }
        for delivery in deliveries {
            let context = traced(&delivery.record.record()).filter(|context| context.is_sampled);
            let Some(context) = context else { continue };
            let is_its = |span: &&Span| {
                (span.context.trace, span.parent) == (context.trace, Some(context.span))
            };
            let Some(span) = self.spans[first..].iter().find(is_its) else { continue };
            let context = span.context.clone();
            if self.order.len() == DELIVERIES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.deliveries.remove(&oldest);
            }
            self.deliveries.insert(delivery.lease, context);
            self.order.push_back(delivery.lease);
        }
    }

    /// Records of topics went to a member of a group.
    pub(crate) fn polled(&mut self, conn: ConnId, batches: &[Fetched<'_>]) {
        for batch in batches {
            let mut traces = Traces::default();
            for record in batch.records.iter() {
                self.dropped(traces.add(&record));
            }
            for Trace { context, count, conversation } in traces.all {
                let what = ("deliver", "receive", Kind::Producer);
                let mut span = self.span(conn, context, what, &batch.topic);
                let partition = Value::Text(batch.partition.to_string());
                span.attributes.push(("messaging.destination.partition.id", partition));
                describe(&mut span, count, conversation);
                self.spans.push(span);
            }
        }
    }

    fn settled(
        &mut self,
        conn: ConnId,
        how: &'static str,
        leases: &[LeaseId],
        broker: &Broker,
    ) -> Vec<Span> {
        let mut spans: Vec<(Span, u32)> = Vec::new();
        if self.deliveries.is_empty() {
            return Vec::new();
        }
        for lease in leases {
            let Some(context) = self.deliveries.remove(lease) else { continue };
            let same = |(span, _): &&mut (Span, u32)| {
                (span.context.trace, span.parent) == (context.trace, Some(context.span))
            };
            if let Some((_, count)) = spans.iter_mut().find(same) {
                *count += 1;
                continue;
            }
            let name = broker.name_of_queue(lease.queue).unwrap_or_default();
            let span = self.span(conn, context, (how, "settle", Kind::Server), name);
            spans.push((span, 1));
        }
        if self.deliveries.is_empty() {
            self.order.clear();
        }
        let describe = |(mut span, count)| {
            describe(&mut span, count, None);
            span
        };
        spans.into_iter().map(describe).collect()
    }

    /// Gives the spans of deliveries the names of their queues.
    pub(crate) fn name(&mut self, broker: &Broker) {
        for Unnamed { index, queue } in std::mem::take(&mut self.unnamed) {
            let name = broker.name_of_queue(queue).unwrap_or_default();
            self.spans[index].destination = name.to_owned();
            let named = Value::Text(name.to_owned());
            self.spans[index].attributes.push(("messaging.destination.name", named));
        }
    }

    /// The spans of the turn so far.
    pub(crate) fn take(&mut self) -> Option<Spans> {
        if self.spans.is_empty() {
            return None;
        }
        let spans = std::mem::take(&mut self.spans);
        Some(Spans { spans, ended: self.ended.clone() })
    }

    /// A span below the one that a context names.
    fn span(
        &mut self,
        conn: ConnId,
        above: Context,
        (operation, kind_of, kind): (&'static str, &'static str, Kind),
        destination: &str,
    ) -> Span {
        let parent = above.span;
        let context = Context { span: self.random().to_be_bytes(), ..above };
        let mut attributes = vec![
            ("messaging.system", Value::Text("fanlight".to_owned())),
            ("messaging.operation.name", Value::Text(operation.to_owned())),
            ("messaging.operation.type", Value::Text(kind_of.to_owned())),
            ("fanlight.namespace", Value::Text(self.namespace.clone())),
            ("fanlight.connection", Value::Number(conn.0.cast_signed())),
        ];
        if !destination.is_empty() {
            let name = Value::Text(destination.to_owned());
            attributes.push(("messaging.destination.name", name));
        }
        Span {
            context,
            parent: Some(parent),
            operation,
            destination: destination.to_owned(),
            kind,
            began: SystemTime::now(),
            attributes,
            refused: None,
        }
    }

    fn root(&mut self) -> Context {
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.random().to_be_bytes());
        trace[8..].copy_from_slice(&self.random().to_be_bytes());
        Context { trace, span: [0; 8], is_sampled: true, state: String::new() }
    }

    /// Never zero, which names no span.
    fn random(&mut self) -> u64 {
        // xorshift64*: names have to differ, and nobody need be unable to guess them.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d).max(1)
    }

    fn dropped(&self, count: u64) {
        if count > 0 {
            self.ended.entrance.spans_dropped.add(count);
        }
    }
}

/// The messages of one trace in a batch.
struct Trace {
    context: Context,
    count: u32,
    conversation: Option<String>,
}

/// The traces of a batch.
#[derive(Default)]
struct Traces {
    all: Vec<Trace>,
    /// Whether somebody decided already whether to keep a trace.
    is_decided: bool,
}

impl Traces {
    /// Adds a record; gives how many spans there will be too few.
    fn add(&mut self, record: &Record<'_>) -> u64 {
        let Some(context) = traced(record) else { return 0 };
        self.is_decided = true;
        if !context.is_sampled {
            return 0;
        }
        // Most often a batch is of one trace, or each record of another.
        let same = |trace: &&mut Trace| {
            (trace.context.trace, trace.context.span) == (context.trace, context.span)
        };
        if let Some(trace) = self.all.iter_mut().rev().find(same) {
            trace.count += 1;
            return 0;
        }
        if self.all.len() == SPANS_MAX {
            return 1;
        }
        self.all.push(Trace { context, count: 1, conversation: conversation(record) });
        0
    }
}

fn traced(record: &Record<'_>) -> Option<Context> {
    let parent = record.headers.find(TRACEPARENT)?;
    Context::read(parent, record.headers.find(TRACESTATE))
}

fn conversation(record: &Record<'_>) -> Option<String> {
    let id = record.headers.find(CORRELATION)?;
    Some(String::from_utf8_lossy(id).into_owned())
}

fn describe(span: &mut Span, count: u32, conversation: Option<String>) {
    if count > 1 {
        span.attributes.push(("messaging.batch.message_count", Value::Number(count.into())));
    }
    if let Some(id) = conversation {
        span.attributes.push(("messaging.message.conversation_id", Value::Text(id)));
    }
}
