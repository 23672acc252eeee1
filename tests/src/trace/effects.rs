//! Effects as lines: compact, and with everything that matters in them.

use fanlight_core::{
    Assignment, Attempt, BindingView, Death, Delivery, Duplicate, Effect, Event, ExchangeView,
    Fact, Fetched, HeaderMatch, MessageState, MessageView, Offset, OffsetChange, Overview, Place,
    ProducerView, QueueId, QueuePolicy, QueueView, RedriveView, Stored, StoredCommit, Time, Via,
    View, WantedHeader, WorkGroupView,
};

use super::explained::{shown_connection, shown_due, shown_journey};
use super::groups::{shown_group, shown_summary, shown_told};
use super::names::Names;
use super::policy::shown_policy;
use super::text::{shown_record, shown_records, shown_span};
use super::topics::{shown_reads, shown_topic, shown_topic_fact};

/// The lines of an effect: one, and one more for each thing that an event lists.
pub(super) fn shown(effect: &Effect<'_>, names: &Names) -> Vec<String> {
    match effect {
        Effect::Fact(fact) => vec![format!("fact {}", shown_fact(fact, names))],
        Effect::Close(conn, reason) => vec![format!("close {conn} {reason:?}")],
        Effect::Tell(conn, event) => {
            let (first, rest) = shown_event(event, names);
            let rest = rest.into_iter().map(|line| format!("    {line}"));
            [format!("{conn} {first}")].into_iter().chain(rest).collect()
        }
    }
}

pub(super) fn time(at: Time) -> String {
    shown_span(at.since(Time::ZERO))
}

fn offsets(offsets: &[Offset]) -> String {
    offsets.iter().map(|offset| format!("@{offset}")).collect::<Vec<_>>().join(" ")
}

fn shown_fact(fact: &Fact<'_>, names: &Names) -> String {
    match fact {
        Fact::Started { epoch } => format!("started epoch={epoch}"),
        Fact::ExchangeDeclared { name, kind } => format!("exchange-declared {name} {kind:?}"),
        Fact::ExchangeDeleted { name } => format!("exchange-deleted {name}"),
        Fact::QueueDeclared { id, name, policy } => {
            format!("queue-declared {name} {id}{}", shown_policy(&policy.clone().into()))
        }
        Fact::QueueMade { id, name, settings, at: _ } => {
            format!("queue-declared {name} {id}{}", shown_policy(&QueuePolicy::of(settings)))
        }
        Fact::QueueAltered { id, settings, at: _ } => {
            let policy = shown_policy(&QueuePolicy::of(settings));
            format!("queue-altered {}{policy}", names.queue(*id))
        }
        Fact::QueueDeleted { id } => format!("queue-deleted {}", names.queue(*id)),
        Fact::TopicCreated { .. }
        | Fact::TopicMade { .. }
        | Fact::TopicAltered { .. }
        | Fact::PartitionsAdded { .. }
        | Fact::LogTrimmed { .. }
        | Fact::Compacted { .. }
        | Fact::SparseBatch { .. }
        | Fact::CompactionState { .. } => shown_topic_fact(fact, names),
        Fact::TopicDeleted { id } => format!("topic-deleted {}", names.topic(*id)),
        Fact::Bound { exchange, to, pattern } => format!("bound {exchange} {to:?} key={pattern:?}"),
        Fact::Unbound { exchange, to, pattern } => {
            format!("unbound {exchange} {to:?} key={pattern:?}")
        }
        Fact::ExchangeMade { name, kind, settings } => {
            format!("exchange-made {name} {kind:?} {settings:?}")
        }
        Fact::BoundByHeaders { exchange, to, pattern, headers } => {
            format!("bound {exchange} {to:?} key={pattern:?} {}", shown_wanted(headers))
        }
        Fact::UnboundByHeaders { exchange, to, pattern, headers } => {
            format!("unbound {exchange} {to:?} key={pattern:?} {}", shown_wanted(headers))
        }
        Fact::Published { batches, at: _ } => {
            format!("published {}", shown_stored(batches, names))
        }
        Fact::Settled { queue, offsets: gone } => {
            format!("settled {} {}", names.queue(*queue), offsets(gone))
        }
        Fact::AttemptEnded { queue, offset, end, client, ready_at, at: _ } => format!(
            "attempt-ended {}@{offset} {end:?} client={client} ready-at={}",
            names.queue(*queue),
            time(*ready_at)
        ),
        Fact::DeadLettered { queue, offset, reason, to, to_offset, record, at: _ } => format!(
            "dead-lettered {}@{offset} -> {}@{to_offset} {reason:?}: {}",
            names.queue(*queue),
            names.queue(*to),
            shown_record(&record.record())
        ),
        Fact::Died { queue, offset, reason, to, record, at: _ } => format!(
            "died {}@{offset} -> {} {reason:?}: {}",
            names.queue(*queue),
            names.appends(to),
            shown_record(&record.record())
        ),
        Fact::RedriveStarted { id, queue, until, filter, to, rate, dry_run, at: _ } => {
            let to = to.map(|to| format!(" to={}", names.queue(to))).unwrap_or_default();
            let rate = rate.map(|rate| format!(" rate={rate}")).unwrap_or_default();
            let dry = if *dry_run { " dry-run" } else { "" };
            format!("{id} started {} until={until}{to}{rate}{dry} {filter:?}", names.queue(*queue))
        }
        Fact::RedriveStepped { id, next, moved, skipped } => {
            format!("{id} is at {next}, moved={moved} skipped={skipped}")
        }
        Fact::RedriveEnded { id } => format!("{id} ended"),
        Fact::GroupVacated { group, at: _ } => format!("vacated {}", names.group(*group)),
        Fact::RedrivesFrom { .. } | Fact::BatchAway { .. } => {
            format!("only in snapshots: {fact:?}")
        }
        Fact::CameVia { queue, from, via } => match via {
            Some(via) => format!(
                "came-via {}@{from} {} key={:?}",
                names.queue(*queue),
                via.exchange,
                via.routing_key
            ),
            None => format!("came-via {}@{from} nothing", names.queue(*queue)),
        },
        Fact::Redriven { queue, offset, to, to_offset, record, at: _ } => format!(
            "redriven {}@{offset} -> {}@{to_offset}: {}",
            names.queue(*queue),
            names.queue(*to),
            shown_record(&record.record())
        ),
        Fact::BroughtBack { queue, offset, to, to_offset, at: _ } => format!(
            "brought-back {}@{offset} -> {}@{to_offset}",
            names.queue(*queue),
            names.queue(*to)
        ),
        Fact::GroupCreated { id, name } => format!("group-created {name} {id}"),
        Fact::Rebalanced { group, generation } => {
            format!("rebalanced {} generation={generation}", names.group(*group))
        }
        Fact::Committed { group, topic, partition, offset, at: _ } => format!(
            "committed {} {}/{partition}={offset}",
            names.group(*group),
            names.topic(*topic)
        ),
        Fact::OffsetsCommitted { group, offsets, at: _ } => format!(
            "committed {} {}",
            names.group(*group),
            list(offsets.iter().map(|StoredCommit { topic, partition, offset, metadata }| {
                let metadata = noted(metadata);
                format!("{}/{partition}={offset}{metadata}", names.topic(*topic))
            }))
        ),
        Fact::OffsetsDeleted { group, topic, partitions } => format!(
            "offsets-deleted {} {}",
            names.group(*group),
            list(partitions.iter().map(|p| format!("{}/{p}", names.topic(*topic))))
        ),
        Fact::GroupDeleted { id } => format!("group-deleted {}", names.group(*id)),
        Fact::WorkGroupMade { name, topic, at: _, settings, parts } => {
            let part = |(id, start): &(QueueId, Offset)| format!("{id}@{start}");
            let parts: Vec<_> = parts.iter().map(part).collect();
            let policy = shown_policy(&QueuePolicy::of(settings));
            format!("work-group-made {name} {} {}{policy}", names.topic(*topic), parts.join(" "))
        }
        Fact::WorkGroupDeleted { name } => format!("work-group-deleted {name}"),
        Fact::KeptGone { queue, at: _, start } => {
            format!("kept-gone {} before @{start}", names.queue(*queue))
        }
        Fact::RunsSettled { queue, runs } => {
            let run = |(base, count): &(Offset, u64)| match count {
                1 => format!("@{base}"),
                _ => format!("@{base}-{}", base.0 + count - 1),
            };
            let runs: Vec<_> = runs.iter().map(run).collect();
            format!("settled {} {}", names.queue(*queue), runs.join(" "))
        }
        Fact::ProducerInitialised { id, name, epoch, renewed: _, timeout, at: _ } => format!(
            "producer-initialised {id}{} epoch={epoch} timeout={}",
            name.iter().map(|name| format!(" {name}")).collect::<String>(),
            shown_span(*timeout)
        ),
        Fact::Produced {
            producer,
            epoch,
            lane,
            sequence,
            transactional,
            batches,
            at: _,
            count: _,
        } => format!(
            "produced by {producer} epoch={epoch}{} sequence={sequence}{} {}",
            lane.iter()
                .map(|(topic, partition)| format!(" for {}/{partition}", names.topic(*topic)))
                .collect::<String>(),
            if *transactional { " in its transaction" } else { "" },
            shown_stored(batches, names)
        ),
        Fact::ProducerExpired { id } => format!("producer-expired {id}"),
        Fact::OffsetsPending { producer, epoch, group, offsets, at: _ } => format!(
            "offsets-pending of {producer} epoch={epoch} for {}: {}",
            names.group(*group),
            list(offsets.iter().map(|commit| format!(
                "{}/{}={}",
                names.topic(commit.topic),
                commit.partition,
                commit.offset
            )))
        ),
        Fact::TransactionEnded { producer, epoch, commit, at: _ } => format!(
            "transaction-ended of {producer} epoch={epoch} {}",
            if *commit { "committed" } else { "aborted" }
        ),
        Fact::LogStarts { .. }
        | Fact::NumbersFrom { .. }
        | Fact::MessageState { .. }
        | Fact::Remembered { .. }
        | Fact::ProducerSequence { .. }
        | Fact::ProducersFrom { .. }
        | Fact::TransactionOpen { .. }
        | Fact::TransactionOutcome { .. }
        | Fact::Aborted { .. } => {
            format!("only in snapshots: {fact:?}")
        }
    }
}

fn shown_stored(batches: &[Stored<'_>], names: &Names) -> String {
    let stored = |Stored { appends, records }: &Stored<'_>| {
        format!("{}: {}", names.appends(appends), shown_records(records))
    };
    batches.iter().map(stored).collect::<Vec<_>>().join("; ")
}

fn shown_event(event: &Event<'_>, names: &Names) -> (String, Vec<String>) {
    let first = match event {
        Event::Opened { conn, epoch, now } => {
            format!("opened as {conn} epoch={epoch} now={}", time(*now))
        }
        Event::Done { tag } => format!("{tag} done"),
        Event::Count { tag, count, left: 0 } => format!("{tag} count {count}"),
        Event::Count { tag, count, left } => format!("{tag} count {count}, {left} not looked at"),
        Event::Refused { tag, refusal } => {
            format!(
                "{tag} refused {} {:?}: {}",
                refusal.code.number(),
                refusal.code,
                refusal.message
            )
        }
        Event::Published { tag, appends, duplicate, duplicates } => {
            let before = if *duplicate { " before, at" } else { "" };
            let again = duplicates.iter().map(|duplicate| {
                let Duplicate { queue, index, offset } = duplicate;
                format!("; record {index} came before: {}@{offset}", names.queue(*queue))
            });
            let again: String = again.collect();
            format!("{tag} published{before} {}{again}", names.appends(appends))
        }
        Event::ProducerReady { tag, producer, epoch } => {
            format!("{tag} ready as {producer} epoch={epoch}")
        }
        Event::Consuming { tag, consumer } => format!("{tag} consuming as {consumer}"),
        Event::Cancelled { consumer } => format!("{consumer} cancelled"),
        Event::Delivered { consumer, deliveries } => {
            return (format!("{consumer} delivered"), shown_deliveries(deliveries, names));
        }
        Event::Received { tag, deliveries, left: 0 } if deliveries.is_empty() => {
            format!("{tag} received nothing")
        }
        Event::Received { tag, deliveries, left } => {
            let left = if *left == 0 { String::new() } else { format!(", {left} left") };
            return (format!("{tag} received{left}"), shown_deliveries(deliveries, names));
        }
        Event::Settled { tag, count, stale } if stale.is_empty() => {
            format!("{tag} settled {count}")
        }
        Event::Settled { tag, count, stale } => {
            let stale: Vec<_> = stale.iter().map(|lease| names.shown_lease(lease)).collect();
            format!("{tag} settled {count}, stale: {}", stale.join(" "))
        }
        Event::Joined { tag, member } => format!("{tag} joined as {member}"),
        Event::Assigned { member, generation, partitions } => format!(
            "{member} assigned generation={generation}: {}",
            list(partitions.iter().map(|Assignment { topic, partition, position }| format!(
                "{topic}/{partition} from {position}"
            )))
        ),
        Event::JoinedClassic { .. } | Event::Synced { .. } | Event::MembersRemoved { .. } => {
            shown_told(event).expect("it is one of those")
        }
        Event::Expelled { member, reason } => format!("{member} expelled: {reason}"),
        Event::Polled { tag, batches } if batches.is_empty() => format!("{tag} polled nothing"),
        Event::Polled { tag, batches } => {
            return (format!("{tag} polled"), batches.iter().map(shown_fetched).collect());
        }
        Event::ReadDone { tag, start, end, stable_end, batch } => {
            let batch = batch.iter().map(shown_fetched).collect();
            let stable = match stable_end == end {
                true => String::new(),
                false => format!(", stable to {stable_end}"),
            };
            return (format!("{tag} read of {start} to {end}{stable}"), batch);
        }
        Event::FetchDone { tag, reads } => return (format!("{tag} fetched"), shown_reads(reads)),
        Event::OffsetsReset { tag, changes } => format!(
            "{tag} reset {}",
            list(changes.iter().map(|OffsetChange { topic, partition, from, to }| {
                let from = from.map_or("none".into(), |from| from.to_string());
                format!("{topic}/{partition} from {from} to {to}")
            }))
        ),
        Event::Inspected { tag, view } => return (format!("{tag} inspected"), shown_view(view)),
        Event::RedriveStarted { tag, redrive } => format!("{tag} started {redrive}"),
        Event::RedriveEnded { redrive, messages } => {
            let messages = messages.iter().flat_map(shown_message).collect();
            return (shown_redrive(redrive), messages);
        }
        Event::Returned { tag, refusal, records } => format!(
            "{tag} returned {}: {} {:?}: {}",
            shown_records(records),
            refusal.code.number(),
            refusal.code,
            refusal.message
        ),
        Event::Activity { at: _, activity } => format!("sees: {activity}"),
        Event::Pressure { is_high, stored_bytes, low, high, max } => {
            let asked = if *is_high { "slow down" } else { "go on" };
            format!("told to {asked}: {stored_bytes}B of low={low} high={high} max={max}")
        }
    };
    (first, Vec::new())
}

/// What was noted beside an offset.
pub(super) fn noted(metadata: &str) -> String {
    if metadata.is_empty() { String::new() } else { format!(",{metadata}") }
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "nothing".into() } else { items.join(", ") }
}

fn shown_deliveries(deliveries: &[Delivery<'_>], names: &Names) -> Vec<String> {
    let one = |delivery: &Delivery<'_>| {
        let Delivery { lease, attempt, deadline, appended_at: _, via, record } = delivery;
        let lease = names.shown_lease(lease);
        let via = via.as_ref().map(shown_via).unwrap_or_default();
        let record = shown_record(&record.record());
        format!("{lease} attempt={attempt} until={}{via} {record}", time(*deadline))
    };
    deliveries.iter().map(one).collect()
}

/// By what a message came.
fn shown_via(Via { exchange, routing_key }: &Via<'_>) -> String {
    format!(" by={exchange}:{routing_key}")
}

pub(super) fn shown_fetched(fetched: &Fetched<'_>) -> String {
    let Fetched { topic, partition, base, offsets, records, appended_at: _, next } = fetched;
    let at = match offsets.is_empty() {
        true => base.to_string(),
        false => offsets.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let last = fetched.offset(records.count() - 1);
    let next = if last.plus(1) == *next { String::new() } else { format!(" next={next}") };
    format!("{topic}/{partition}@{at}: {}{next}", shown_records(records))
}

fn shown_view(view: &View<'_>) -> Vec<String> {
    match view {
        View::Overview(overview) => shown_overview(overview),
        View::Queue(queue) => shown_queue(queue),
        View::Topic(topic) => shown_topic(topic),
        View::Group(group) => shown_group(group),
        View::Exchange(exchange) => shown_exchange(exchange),
        View::Redrives(redrives) => redrives.iter().map(shown_redrive).collect(),
        View::Groups(groups) => groups.iter().map(shown_summary).collect(),
        View::Connection(connection) => shown_connection(connection),
        View::Due(due) => due.iter().map(shown_due).collect(),
        View::Journey(journey) => shown_journey(journey),
        View::Page(page) => {
            let next = page.next.as_ref().map(|next| format!("more after {next}"));
            shown_overview(&page.list).into_iter().chain(next).collect()
        }
        View::WorkGroup(group) => shown_work_group(group),
        View::Messages(messages) => messages.iter().flat_map(shown_message).collect(),
        View::Producers(producers) => producers.iter().flat_map(shown_producer).collect(),
    }
}

fn shown_overview(overview: &Overview) -> Vec<String> {
    let Overview { now, epoch, stored_bytes, due, exchanges, queues, .. } = overview;
    let Overview { topics, groups, connections, work_groups, .. } = overview;
    let due = due.map(|(at, reason)| format!(" due={} {reason:?}", time(at))).unwrap_or_default();
    let mut lines = vec![format!("now={} epoch={epoch} stored={stored_bytes}B{due}", time(*now))];
    lines.extend(exchanges.iter().flat_map(shown_exchange));
    lines.extend(queues.iter().flat_map(shown_queue));
    lines.extend(topics.iter().flat_map(shown_topic));
    lines.extend(groups.iter().flat_map(shown_group));
    lines.extend(work_groups.iter().flat_map(shown_work_group));
    lines.extend(connections.iter().map(|c| format!("connection {} {}", c.id, c.client)));
    lines.extend(overview.more.iter().map(|(of, after)| format!("more {of:?} after {after}")));
    lines
}

fn shown_exchange(exchange: &ExchangeView) -> Vec<String> {
    let ExchangeView { name, kind, policy, bindings } = exchange;
    let mut first = format!("exchange {name} {kind:?}");
    if let Some(alternate) = &policy.alternate {
        first += &format!(" alternate={alternate}");
    }
    if policy.auto_delete {
        first += " auto-delete";
    }
    if policy.internal {
        first += " internal";
    }
    let mut lines = vec![first];
    lines.extend(bindings.iter().map(|BindingView { pattern, to, headers }| {
        let wanted = if headers.is_default() { String::new() } else { shown_wanted(headers) + " " };
        format!("  {pattern:?} {wanted}-> {to:?}")
    }));
    lines
}

fn shown_wanted(wanted: &HeaderMatch<'_>) -> String {
    let header = |header: &WantedHeader<'_>| match &header.value {
        None => format!(" {}", header.name),
        Some(value) => format!(" {}:{}", header.name, String::from_utf8_lossy(value)),
    };
    format!("{:?}", wanted.mode) + &wanted.headers.iter().map(header).collect::<String>()
}

fn shown_queue(queue: &QueueView) -> Vec<String> {
    let QueueView { id, name, policy, ready, leased, delayed, bytes, end, .. } = queue;
    let QueueView { acked, dead_lettered, oldest_at, consumers, .. } = queue;
    let oldest = oldest_at.map(|at| format!(" oldest-at={}", time(at))).unwrap_or_default();
    let altered = match queue.altered_at == queue.made_at {
        true => String::new(),
        false => format!(" altered-at={}", time(queue.altered_at)),
    };
    let dropped = match queue.dropped {
        0 => String::new(),
        dropped => format!(" dropped={dropped}"),
    };
    let mut lines = vec![
        format!("queue {name} {id}{}{altered}", shown_policy(policy)),
        format!(
            "  ready={ready} leased={leased} delayed={delayed} acked={acked} \
             dead-lettered={dead_lettered}{dropped} end={end} {bytes}B{oldest}"
        ),
    ];
    lines.extend(consumers.iter().map(|consumer| {
        format!(
            "  {} of {} holds {} of {}{}{}{}",
            consumer.id,
            consumer.conn,
            consumer.outstanding,
            consumer.prefetch,
            if consumer.auto_ack { ", settled before it is told" } else { "" },
            if consumer.exclusive { ", alone" } else { "" },
            if consumer.active { "" } else { ", waits for the active one to go" }
        )
    }));
    lines
}

fn shown_work_group(group: &WorkGroupView) -> Vec<String> {
    let first = format!("work group {} on {}", group.name, group.topic);
    let parts = group.parts.iter().flat_map(shown_queue).map(|line| format!("  {line}"));
    [first].into_iter().chain(parts).collect()
}

fn shown_message(message: &MessageView<'_>) -> Vec<String> {
    let state = match &message.state {
        MessageState::Ready => "ready".to_string(),
        MessageState::Blocked => "blocked".to_string(),
        MessageState::Held => "held".to_string(),
        MessageState::Leased { conn, until } => format!("leased to {conn} until={}", time(*until)),
        MessageState::Delayed { until } => format!("delayed until={}", time(*until)),
    };
    let record = shown_record(&message.record.record());
    let mut lines = vec![format!(
        "@{} came={}{} {state} failed={} {record}",
        message.offset,
        time(message.at),
        message.via.as_ref().map(shown_via).unwrap_or_default(),
        message.attempts_failed
    )];
    lines.extend(message.attempts.iter().map(shown_attempt));
    for death in &message.deaths {
        lines.push(shown_death(death));
        lines.extend(death.attempts.iter().map(|attempt| format!("  {}", shown_attempt(attempt))));
    }
    lines
}

fn shown_producer(producer: &ProducerView) -> Vec<String> {
    let ProducerView { id, name, epoch, seen, forgotten_at, .. } = producer;
    let mut lines = vec![format!(
        "{id}{} epoch={epoch} seen={} forgotten-at={}",
        name.iter().map(|name| format!(" {name}")).collect::<String>(),
        time(*seen),
        time(*forgotten_at)
    )];
    lines.extend(producer.sequences.iter().map(|sequence| {
        let partition = sequence.topic.iter().zip(sequence.partition);
        let partition = partition.map(|(topic, partition)| format!(" of {topic}/{partition}"));
        format!("  next{} is {}", partition.collect::<String>(), sequence.next)
    }));
    if let Some(open) = &producer.transaction {
        lines.push(format!(
            "  transaction began={} until={} records={} logs={} offsets={}",
            time(open.began),
            time(open.until),
            open.records,
            open.logs,
            open.offsets
        ));
        lines.extend(open.writes.iter().map(|write| {
            let partition = match write.place {
                Place::Queue(_) => String::new(),
                Place::Partition(_, partition) => format!("/{partition}"),
            };
            format!("    {}{partition}@{}: {}", write.name, write.first, write.records)
        }));
    }
    lines
}

fn shown_redrive(redrive: &RedriveView) -> String {
    let RedriveView { id, queue, state, moved, skipped, remaining, .. } = redrive;
    let to = redrive.to.iter().map(|to| format!(" to={to}")).collect::<String>();
    let rate = redrive.rate.map(|rate| format!(" rate={rate}")).unwrap_or_default();
    let dry = if redrive.dry_run { " dry-run" } else { "" };
    let ended = redrive.ended_at.map(|at| format!(" ended={}", time(at))).unwrap_or_default();
    format!(
        "{id} of {queue}{to}{rate}{dry} {state:?}{ended}: moved={moved} skipped={skipped} remaining={remaining}"
    )
}

fn shown_death(death: &Death) -> String {
    let mut shown = format!(
        "  died in {}@{} at {} {:?}, where it came at {}",
        death.queue,
        death.offset,
        time(death.at),
        death.reason,
        time(death.appended_at)
    );
    if !death.exchange.is_empty() {
        shown += &format!(" by {} with key {:?}", death.exchange, death.routing_key);
    }
    if death.count > 1 {
        shown += &format!(", {} times since {}", death.count, time(death.first_at));
    }
    if let Some(ttl) = death.ttl {
        shown += &format!(", ttl={}", shown_span(ttl));
    }
    if death.redriven {
        shown += ", then redriven";
    }
    shown
}

fn shown_attempt(attempt: &Attempt) -> String {
    let Attempt { number, at, end, client } = attempt;
    format!("  attempt {number} ended at {} {end:?} client={client}", time(*at))
}
