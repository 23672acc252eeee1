//! A request as a line of a trace says it.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, Batch, CommitOffset, Condition, ConnId, ConsumerId, DeathReason, Destination,
    ExchangeKind, ExchangePolicy, Generation, HeaderMatch, Inspect, LeaseId, Listed, MatchMode,
    MemberId, Offset, Op, Pick, Position, ProducerEpoch, ProducerId, ReadFrom, RedriveId,
    Sequenced, Span, Start, Target, Time, Unroutable, WantedHeader,
};

use super::groups;
use super::names::Names;
use super::policy::policy;
use super::text::{add_record, span};
use super::topics::{budget, topics};

pub(super) type Parsed<T> = Result<T, String>;

/// The words after a verb: those of the form `name=value` by name, the others in their order.
pub(super) struct Words<'t> {
    named: Vec<(&'t str, &'t str)>,
    plain: std::vec::IntoIter<&'t str>,
}

impl<'t> Words<'t> {
    fn new(words: Vec<&'t str>) -> Words<'t> {
        let named = |word: &&str| word.contains('=') && !word.starts_with(['"', '@', '{', '[']);
        let (named, plain): (Vec<&str>, Vec<&str>) = words.into_iter().partition(named);
        let named = named.into_iter().filter_map(|word| word.split_once('=')).collect();
        Words { named, plain: plain.into_iter() }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'t str> {
        let at = self.named.iter().position(|(n, _)| *n == name)?;
        let value = self.named.remove(at).1;
        Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value))
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, name: &str) -> Parsed<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("{name}={value} is no number"))
    }

    pub(super) fn span(&mut self, name: &str) -> Parsed<Option<Span>> {
        self.take(name).map(span).transpose()
    }

    /// Whether this word stands among those that are no `name=value`.
    pub(super) fn flag(&mut self, word: &str) -> bool {
        let at = self.plain.as_slice().iter().position(|other| *other == word);
        let mut plain = self.plain.as_slice().to_vec();
        if let Some(at) = at {
            plain.remove(at);
            self.plain = plain.into_iter();
        }
        at.is_some()
    }

    /// The next word that is no `name=value`.
    pub(super) fn next(&mut self, what: &str) -> Parsed<&'t str> {
        let word = self.plain.next().ok_or_else(|| format!("{what} is missing"))?;
        Ok(word.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(word))
    }

    /// Whether this word is there, which is then taken.
    fn has(&mut self, word: &str) -> bool {
        let before = self.plain.len();
        let others: Vec<_> = self.plain.by_ref().filter(|other| *other != word).collect();
        self.plain = others.into_iter();
        self.plain.len() < before
    }

    pub(super) fn name(&mut self, what: &str) -> Parsed<Cow<'t, str>> {
        self.next(what).map(Cow::from)
    }

    /// The words of the form `name=value` that were not taken.
    pub(super) fn all_named(&mut self) -> std::vec::IntoIter<(&'t str, &'t str)> {
        core::mem::take(&mut self.named).into_iter()
    }

    /// The words that are no `name=value`, and were not taken.
    pub(super) fn all_plain(&mut self) -> std::vec::IntoIter<&'t str> {
        core::mem::take(&mut self.plain)
    }

    pub(super) fn id(&mut self, prefix: &str) -> Parsed<u64> {
        let word = self.next(prefix)?;
        let number = word.strip_prefix(prefix).and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("{word:?} is no {prefix}1"))
    }

    fn leases(&mut self, names: &Names) -> Parsed<Cow<'t, [LeaseId]>> {
        self.plain.by_ref().map(|word| names.lease(word)).collect()
    }

    fn done(mut self) -> Parsed<()> {
        match (self.plain.next(), self.named.first()) {
            (None, None) => Ok(()),
            (Some(word), _) => Err(format!("{word:?} is too much")),
            (_, Some((name, _))) => Err(format!("{name}= is not known here")),
        }
    }
}

/// The request of a line.
pub(super) fn parse<'t>(verb: &str, words: Vec<&'t str>, names: &Names) -> Parsed<Op<'t>> {
    let mut words = Words::new(words);
    let op = match topology(verb, &mut words)? {
        Some(op) => op,
        None => match queues(verb, &mut words, names)? {
            Some(op) => op,
            None => match streams(verb, &mut words)? {
                Some(op) => op,
                None => match groups::parse(verb, &mut words)? {
                    Some(op) => op,
                    None => producers(verb, &mut words)?
                        .ok_or_else(|| format!("{verb:?} is no request"))?,
                },
            },
        },
    };
    words.done()?;
    Ok(op)
}

fn topology<'t>(verb: &str, words: &mut Words<'t>) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "exchange" => {
            let name = words.name("the exchange")?;
            let kind = match words.next("its kind")? {
                "direct" => ExchangeKind::Direct,
                "topic" => ExchangeKind::Topic,
                "fanout" => ExchangeKind::Fanout,
                "headers" => ExchangeKind::Headers,
                other => {
                    return Err(format!("{other:?} is no kind: direct, topic, fanout, headers"));
                }
            };
            let policy = ExchangePolicy {
                alternate: words.take("alternate").map(Cow::from),
                auto_delete: words.has("auto-delete"),
                internal: words.has("internal"),
            };
            Op::DeclareExchange { name, kind, policy }
        }
        "delete-exchange" => {
            let if_unused = words.has("if-unused");
            Op::DeleteExchange { name: words.name("the exchange")?, if_unused }
        }
        "queue" => {
            let name = words.name("the queue")?;
            let policy = policy(words)?;
            Op::DeclareQueue { name, policy }
        }
        "alter-queue" => {
            let name = words.name("the queue")?;
            let policy = policy(words)?;
            Op::AlterQueue { name, policy }
        }
        "work-group" => {
            let name = words.name("the work group")?;
            let topic = words.take("topic").ok_or("topic= is missing")?.into();
            let from = position(words.take("from").unwrap_or("earliest"))?;
            Op::CreateWorkGroup { name, topic, policy: policy(words)?, from }
        }
        "delete-work-group" => Op::DeleteWorkGroup { name: words.name("the work group")? },
        "replay" => Op::Replay {
            queue: words.name("the queue")?,
            from: position(words.take("from").unwrap_or("earliest"))?,
            records_max: words.number("max")?.unwrap_or(100),
            bytes_max: words.number("bytes-max")?,
        },
        "delete-queue" => Op::DeleteQueue {
            name: words.name("the queue")?,
            if_empty: words.flag("if-empty"),
            if_unused: words.flag("if-unused"),
        },
        "purge" => Op::PurgeQueue { name: words.name("the queue")?, all: words.flag("all") },
        "bind" => Op::Bind {
            exchange: words.name("the exchange")?,
            to: destination(words)?,
            pattern: words.take("key").unwrap_or_default().into(),
            headers: wanted(words)?,
        },
        "unbind" => Op::Unbind {
            exchange: words.name("the exchange")?,
            to: destination(words)?,
            pattern: words.take("key").unwrap_or_default().into(),
            headers: wanted(words)?,
        },
        "watch" => Op::Watch { on: words.next("on or off")? == "on" },
        "inspect" => Op::Inspect { what: inspected(words)? },
        _ => return topics(verb, words),
    }))
}

/// `match=any type:order retry`: a header with its value, or whatever it is.
fn wanted<'t>(words: &mut Words<'t>) -> Parsed<HeaderMatch<'t>> {
    let mode = match words.take("match") {
        None | Some("all") => MatchMode::All,
        Some("any") => MatchMode::Any,
        Some("all-with-x") => MatchMode::AllWithX,
        Some("any-with-x") => MatchMode::AnyWithX,
        Some(other) => return Err(format!("{other:?} is no match: all, any")),
    };
    let wanted = words.plain.by_ref().map(|word| {
        let (name, value) = word.split_once(':').map_or((word, None), |(n, v)| (n, Some(v)));
        WantedHeader { name: name.into(), value: value.map(|value| value.as_bytes().into()) }
    });
    Ok(HeaderMatch { mode, headers: wanted.collect() })
}

fn destination<'t>(words: &mut Words<'t>) -> Parsed<Destination<'t>> {
    if let Some(queue) = words.take("queue") {
        return Ok(Destination::Queue(queue.into()));
    }
    if let Some(topic) = words.take("topic") {
        return Ok(Destination::Topic(topic.into()));
    }
    let exchange = words.take("exchange").ok_or("where to? queue=, topic=, exchange=")?;
    Ok(Destination::Exchange(exchange.into()))
}

fn inspected<'t>(words: &mut Words<'t>) -> Parsed<Inspect<'t>> {
    if let Some(queue) = words.take("message-of") {
        let offset = Offset(words.number("offset")?.unwrap_or(0));
        return Ok(Inspect::Message { queue: queue.into(), offset });
    }
    if let Some(topic) = words.take("record-of") {
        let partition = words.number("partition")?.unwrap_or(0);
        let offset = Offset(words.number("offset")?.unwrap_or(0));
        return Ok(Inspect::Record { topic: topic.into(), partition, offset });
    }
    if let Some(of) = words.take("list") {
        let of = match of {
            "exchanges" => Listed::Exchanges,
            "queues" => Listed::Queues,
            "topics" => Listed::Topics,
            "groups" => Listed::Groups,
            "connections" => Listed::Connections,
            "work-groups" => Listed::WorkGroups,
            other => return Err(format!("there is no list of {other:?}")),
        };
        let max = words.number("max")?.unwrap_or(100);
        return Ok(Inspect::List { of, after: words.take("after").unwrap_or("").into(), max });
    }
    if let Some(from) = words.number("transactions")? {
        return Ok(Inspect::Transactions(ProducerId(from)));
    }
    if let Some(name) = words.take("producer-named") {
        return Ok(Inspect::ProducerNamed(name.into()));
    }
    if let Some(topic) = words.take("producers-of") {
        let partition = words.number("partition")?.unwrap_or(0);
        let from = ProducerId(words.number("from")?.unwrap_or(0));
        return Ok(Inspect::ProducersOf { topic: topic.into(), partition, from });
    }
    if let Some(queue) = words.take("sources-of") {
        let after = words.take("after").unwrap_or("").into();
        let max = words.number("max")?.unwrap_or(100);
        return Ok(Inspect::DeadLetterSources { queue: queue.into(), after, max });
    }
    if let Some(max) = words.number("due")? {
        return Ok(Inspect::Due { max });
    }
    if let Some(conn) = words.number("connection")? {
        return Ok(Inspect::Connection(ConnId(conn)));
    }
    if let Some(queue) = words.take("queue") {
        return Ok(Inspect::Queue(queue.into()));
    }
    if let Some(topic) = words.take("topic") {
        return Ok(Inspect::Topic(topic.into()));
    }
    if let Some(group) = words.take("group") {
        return Ok(Inspect::Group(group.into()));
    }
    if let Some(group) = words.take("work-group") {
        return Ok(Inspect::WorkGroup(group.into()));
    }
    if let Some(exchange) = words.take("exchange") {
        return Ok(Inspect::Exchange(exchange.into()));
    }
    if let Some(groups_max) = words.number("groups")? {
        let after = words.take("after").unwrap_or_default().into();
        return Ok(Inspect::Groups { after, groups_max });
    }
    if let Some(from) = words.number("producers")? {
        return Ok(Inspect::Producers(ProducerId(from)));
    }
    if let Some(id) = words.number("producer")? {
        return Ok(Inspect::Producer(ProducerId(id)));
    }
    if words.flag("redrives") {
        return Ok(Inspect::Redrives);
    }
    words
        .next("overview, queue=, topic=, group=, groups=, exchange=, producers= or producer=")
        .map(|_| Inspect::Overview)
}

fn queues<'t>(verb: &str, words: &mut Words<'t>, names: &Names) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "publish" => publish(words)?,
        "consume" => Op::Consume {
            queue: words.name("the queue")?,
            prefetch: words.number("prefetch")?.unwrap_or(1),
            visibility: words.span("visibility")?,
            auto_ack: words.flag("auto-ack"),
            exclusive: words.flag("exclusive"),
        },
        "prefetch" => Op::Prefetch { max: words.number("max")?.unwrap_or_default() },
        "cancel" => Op::Cancel { consumer: ConsumerId(words.id("consumer-")?) },
        "receive" => Op::Receive {
            queue: words.name("the queue")?,
            messages_max: words.number("max")?.unwrap_or(1),
            wait: words.span("wait")?.unwrap_or_default(),
            visibility: words.span("visibility")?,
            auto_ack: words.flag("auto-ack"),
        },
        "ack" => Op::Ack { leases: words.leases(names)? },
        "nack" => {
            let delay = words.span("delay")?.unwrap_or_default();
            Op::Nack { leases: words.leases(names)?, delay }
        }
        "reject" => Op::Reject { leases: words.leases(names)? },
        "release" => Op::Release { leases: words.leases(names)? },
        "extend" => {
            let visibility = words.span("visibility")?.ok_or("visibility= is missing")?;
            Op::Extend { leases: words.leases(names)?, visibility }
        }
        "peek" => Op::Peek {
            queue: words.name("the queue")?,
            from: Offset(words.number("from")?.unwrap_or_default()),
            messages_max: words.number("max")?.unwrap_or(10),
        },
        "start-redrive" => Op::StartRedrive {
            queue: words.name("the queue")?,
            filter: conditions(words)?,
            to: words.take("to").map(Cow::from),
            rate: words.number("rate")?,
            dry_run: words.flag("dry-run"),
        },
        "stop-redrive" => Op::StopRedrive { redrive: RedriveId(words.id("redrive-")? as u32) },
        "redrive" => {
            let queue = words.name("the queue")?;
            let pick = match words.number("one")? {
                Some(offset) => {
                    let body = words.take("body").map(|body| Cow::Borrowed(body.as_bytes()));
                    Pick::One { offset: Offset(offset), body }
                }
                None => {
                    let filter = conditions(words)?;
                    let messages_max = words.number("oldest")?.ok_or("one= or oldest=")?;
                    if filter.is_empty() {
                        Pick::Oldest { messages_max }
                    } else {
                        Pick::Filtered { filter, messages_max }
                    }
                }
            };
            Op::Redrive { queue, pick, to: words.take("to").map(Cow::from) }
        }
        _ => return Ok(None),
    }))
}

fn publish<'t>(words: &mut Words<'t>) -> Parsed<Op<'t>> {
    let to = if let Some(name) = words.take("queue") {
        Target::Queue { name: name.into() }
    } else if let Some(name) = words.take("topic") {
        match name.split_once('/') {
            Some((name, partition)) => Target::Topic {
                name: name.into(),
                partition: Some(partition.parse().map_err(|_| "the partition is a number")?),
            },
            None => Target::Topic { name: name.into(), partition: None },
        }
    } else {
        let name = words.take("exchange").ok_or("where to? queue=, topic=, exchange=")?;
        let routing_key = words.take("key").unwrap_or_default();
        Target::Exchange { name: name.into(), routing_key: routing_key.into() }
    };
    let by = words.take("by").map(sequenced).transpose()?;
    let (mut confirm, mut transactional, mut batch) = (true, false, Batch::new());
    let unroutable = match words.take("unroutable") {
        None => Unroutable::Refuse,
        Some("return") => Unroutable::Return,
        Some("drop") => Unroutable::Drop,
        Some(other) => return Err(format!("{other:?}: unroutable=return or drop")),
    };
    for word in words.plain.by_ref() {
        if word == "unconfirmed" {
            confirm = false;
        } else if word == "transactional" {
            transactional = true;
        } else {
            add_record(&mut batch, word)?;
        }
    }
    let records = batch.finish().ok_or("a publish has a record at least")?;
    Ok(Op::Publish { to, confirm, unroutable, records, by, transactional })
}

/// `producer-1/0/5`: in its epoch 0, from sequence 5.
fn sequenced(text: &str) -> Parsed<Sequenced> {
    let (life, sequence) = text.rsplit_once('/').ok_or("by=producer-1/0/5")?;
    let (producer, epoch) = producer(life)?;
    let sequence = sequence.parse().map_err(|_| format!("{text:?}: the sequence is a number"))?;
    Ok(Sequenced { producer, epoch, sequence })
}

/// `producer-1/0`: in its epoch 0.
fn producer(text: &str) -> Parsed<(ProducerId, ProducerEpoch)> {
    let bad = || format!("{text:?} is no producer-1/0");
    let (producer, epoch) = text.split_once('/').ok_or_else(bad)?;
    let producer = producer.strip_prefix("producer-").and_then(|n| n.parse().ok());
    let epoch = epoch.parse().map_err(|_| bad())?;
    Ok((ProducerId(producer.ok_or_else(bad)?), ProducerEpoch(epoch)))
}

fn producers<'t>(verb: &str, words: &mut Words<'t>) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "init-producer" => Op::InitProducer {
            timeout: words.span("timeout")?,
            current: words.take("current").map(producer).transpose()?,
            name: words.plain.next().map(Cow::from),
        },
        "commit-in-transaction" => {
            let (producer, epoch) = producer(words.next("producer-1/0")?)?;
            let group = words.name("the group")?;
            let generation = words.number("generation")?.map(Generation);
            let member = match generation {
                Some(generation) => Some((MemberId(words.id("member-")?), generation)),
                None => None,
            };
            let offsets = offsets(words)?;
            Op::CommitInTransaction { producer, epoch, group, member, offsets }
        }
        "end-transaction" => {
            let (producer, epoch) = producer(words.next("producer-1/0")?)?;
            let commit = match words.next("commit or abort")? {
                "commit" => true,
                "abort" => false,
                other => return Err(format!("{other:?}: commit or abort")),
            };
            Op::EndTransaction { producer, epoch, commit }
        }
        _ => return Ok(None),
    }))
}

fn streams<'t>(verb: &str, words: &mut Words<'t>) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "read" => {
            let (topic, partition) = partition(words.next("topic/partition")?)?;
            let from = position(words.next("a position")?)?;
            let budget = budget(words)?;
            Op::Read { topic: topic.into(), partition, from, budget }
        }
        "fetch" => {
            let budget = budget(words)?;
            let reads = offsets(words)?.into_owned().into_iter().map(|at| ReadFrom {
                topic: at.topic,
                partition: at.partition,
                from: Position::At(at.offset),
                bytes_max: at.metadata.parse().ok(),
            });
            Op::Fetch { reads: reads.collect(), budget }
        }
        "join" => join(words)?,
        "heartbeat" => Op::Heartbeat {
            member: MemberId(words.id("member-")?),
            generation: words.number("generation")?.map(Generation),
        },
        "revoked" => Op::Revoked {
            member: MemberId(words.id("member-")?),
            generation: Generation(words.number("generation")?.ok_or("generation=")?),
        },
        "leave" => Op::Leave { member: MemberId(words.id("member-")?) },
        "poll" => Op::Poll { member: MemberId(words.id("member-")?), budget: budget(words)? },
        "commit" => {
            let member = MemberId(words.id("member-")?);
            let generation = Generation(words.number("generation")?.ok_or("generation=")?);
            Op::Commit { member, generation, offsets: offsets(words)? }
        }
        "commit-group" => {
            Op::CommitGroup { group: words.name("the group")?, offsets: offsets(words)? }
        }
        "seek" => {
            let member = MemberId(words.id("member-")?);
            let (topic, partition) = partition(words.next("topic/partition")?)?;
            let to = position(words.next("a position")?)?;
            Op::Seek { member, topic: topic.into(), partition, to }
        }
        "reset" => {
            let group = words.name("the group")?;
            let (topic, partition) = partitions(words.next("topic or topic/partition")?)?;
            let to = position(words.next("a position")?)?;
            let dry_run = words.plain.as_slice().first() == Some(&"dry-run");
            words.plain.by_ref().take(usize::from(dry_run)).for_each(drop);
            Op::ResetOffsets { group, topic: topic.into(), partition, to, dry_run }
        }
        "delete-offsets" => {
            let group = words.name("the group")?;
            let (topic, partition) = partitions(words.next("topic or topic/partition")?)?;
            Op::DeleteOffsets { group, topic: topic.into(), partition }
        }
        "delete-group" => Op::DeleteGroup { group: words.name("the group")? },
        _ => return Ok(None),
    }))
}

fn join<'t>(words: &mut Words<'t>) -> Parsed<Op<'t>> {
    let group = words.name("the group")?;
    let topics: Vec<_> =
        words.take("topics").unwrap_or_default().split(',').map(Cow::from).collect();
    let assignor = match words.take("assignor") {
        None | Some("range") => Assignor::Range,
        Some("round-robin") => Assignor::RoundRobin,
        Some("sticky") => Assignor::Sticky,
        Some("cooperative-sticky") => Assignor::CooperativeSticky,
        Some(other) => return Err(format!("{other:?} is no assignor")),
    };
    let start = match words.take("start") {
        None | Some("earliest") => Start::Earliest,
        Some("latest") => Start::Latest,
        Some(other) => return Err(format!("{other:?} is no start: earliest, latest")),
    };
    Ok(Op::Join {
        group,
        topics: topics.into(),
        assignor,
        start,
        session_timeout: words.span("session")?,
        instance: words.take("instance").map(Cow::from),
        rebalance_timeout: words.span("rebalance")?,
    })
}

/// A topic, or one partition of it.
fn partitions(text: &str) -> Parsed<(&str, Option<u32>)> {
    if !text.contains('/') {
        return Ok((text, None));
    }
    partition(text).map(|(topic, partition)| (topic, Some(partition)))
}

/// The words of the form `topic/partition=offset` or `topic/partition=offset,metadata`.
fn offsets<'t>(words: &mut Words<'t>) -> Parsed<Cow<'t, [CommitOffset<'t>]>> {
    let offsets = words.named.drain(..).map(|(at, offset)| {
        let (topic, partition) = partition(at)?;
        let (offset, metadata) = offset.split_once(',').unwrap_or((offset, ""));
        let offset = Offset(offset.parse().map_err(|_| "an offset is a number")?);
        let (topic, metadata) = (topic.into(), metadata.into());
        Ok(CommitOffset { topic, partition, offset, metadata })
    });
    Ok(offsets.collect::<Parsed<Vec<_>>>()?.into())
}

pub(super) fn partition(text: &str) -> Parsed<(&str, u32)> {
    let (topic, partition) = text.split_once('/').ok_or_else(|| format!("{text:?}: topic/0"))?;
    Ok((topic, partition.parse().map_err(|_| format!("{text:?}: the partition is a number"))?))
}

pub(super) fn position(text: &str) -> Parsed<Position> {
    Ok(match text {
        "earliest" => Position::Earliest,
        "latest" => Position::Latest,
        _ => match text.strip_prefix("since:") {
            Some(time) => Position::Since(Time::ZERO + span(time)?),
            None => Position::At(Offset(
                text.parse().map_err(|_| format!("{text:?}: earliest, latest, 3, since:10ms"))?,
            )),
        },
    })
}

/// `reason=rejected origin=jobs header=type:order key=k died-since=5ms died-until=9ms attempts=2`.
fn conditions<'t>(words: &mut Words<'t>) -> Parsed<Vec<Condition<'t>>> {
    let mut all = Vec::new();
    if let Some(reason) = words.take("reason") {
        all.push(Condition::Reason(match reason {
            "rejected" => DeathReason::Rejected,
            "exhausted" => DeathReason::DeliveriesExhausted,
            "expired" => DeathReason::Expired,
            "max-length" => DeathReason::MaxLength,
            other => return Err(format!("{other:?} is no reason")),
        }));
    }
    all.extend(words.take("origin").map(|queue| Condition::Origin(queue.into())));
    all.extend(words.take("header").map(|header| {
        let (name, value) = header.split_once(':').map_or((header, None), |(n, v)| (n, Some(v)));
        let value = value.map(|value| value.as_bytes().into());
        Condition::Header(WantedHeader { name: name.into(), value })
    }));
    all.extend(words.take("key").map(|key| Condition::Key { key: key.as_bytes().into() }));
    let time = |span: Span| Time::ZERO + span;
    all.extend(words.span("died-since")?.map(|at| Condition::DiedSince(time(at))));
    all.extend(words.span("died-until")?.map(|at| Condition::DiedUntil(time(at))));
    all.extend(words.number("attempts")?.map(Condition::AttemptsMin));
    Ok(all)
}
