//! From what happened to a trace's text. A request that the traces' language has no words for, or
//! not all of them, is written as its frame, with what it says above it.

use std::fmt::Write;

use fanlight_core::codec::{encode_fact, encode_value};
use fanlight_core::{
    Broker, Config, Effect, Input, LeaseId, Limits, Op, QueuePolicy, Target, Time,
};

use super::names::Names;
use super::play::play;
use super::request;
use super::text::{shown_records, shown_span};
use crate::replay::Happened;
use crate::shrink::caught;
use crate::vectors::hex;

/// A trace of what happened, with its effects, as far as it can be played.
pub fn written(config: &Config, what: &[Happened], about: &str) -> String {
    let mut text = String::new();
    for line in about.lines() {
        text += &format!("# {line}\n");
    }
    text += &shown_config(config);
    let mut names = Names::default();
    let mut broker = Broker::new(config.clone(), Time::ZERO);
    let mut facts: Vec<Vec<u8>> = Vec::new();
    let mut now = None;
    for happened in what {
        let (at, input) = match happened {
            Happened::Restart { lost } => {
                text += &format!("restart losing={lost}\n");
                facts.truncate(facts.len().saturating_sub(*lost));
                broker = Broker::new(config.clone(), broker.now());
                for frame in &facts {
                    let fact = crate::simulation::fact(frame).expect("it was written as a fact");
                    drop(broker.try_restore(fact));
                }
                continue;
            }
            Happened::Input(at, input) => (*at, input),
        };
        let mut line = String::new();
        if now != Some(at) {
            line += &format!("at {} ", shown_span(at.since(Time::ZERO)));
            now = Some(at);
        }
        match input {
            Input::Tick => line += "tick",
            Input::Closed(conn) => line += &format!("{conn} closed"),
            Input::Open(conn, session) => {
                line += &format!("{conn} open {:?} {}", session.client, session.protocol);
            }
            Input::Request(conn, request) => {
                match words(&request.op, &names).filter(|words| reads(words, &request.op, &names)) {
                    Some(words) => line += &format!("{conn} {words}"),
                    None => {
                        text += &format!("# {:?}\n", request.op);
                        let bytes = encode_value(&request.op);
                        line += &format!("{conn} frame {}", hex(&bytes));
                    }
                }
            }
        }
        text += &line;
        text.push('\n');
        // A bug may panic here; what was written by then is the trace.
        let applied = caught(|| {
            broker.apply(at, input.clone(), &mut |effect: Effect<'_>| {
                names.hear(&effect);
                if let Effect::Fact(fact) = &effect {
                    let mut frame = Vec::new();
                    encode_fact(fact, &mut frame);
                    facts.push(frame);
                }
            });
            Ok(())
        });
        if applied.is_err() {
            break;
        }
    }
    text += "----\n";
    match caught(|| play(&text)) {
        Ok(played) => played,
        Err(_) => text,
    }
}

fn shown_config(config: &Config) -> String {
    if *config == Config::default() {
        return String::new();
    }
    let mut line = format!("config seed={}", config.seed);
    let (given, usual) = (format!("{:?}", config.limits), format!("{:?}", Limits::default()));
    let fields = |text: &str| -> Vec<String> {
        let inner = text.trim_start_matches("Limits { ").trim_end_matches(" }");
        inner.split(", ").map(|field| field.replace(": ", "=")).collect()
    };
    for (given, usual) in fields(&given).into_iter().zip(fields(&usual)) {
        if given != usual {
            write!(line, " {given}").expect("a String takes it");
        }
    }
    line + "\n"
}

/// Whether a line's words are read as this request, by one who knows the same names.
fn reads(line: &str, op: &Op<'_>, names: &Names) -> bool {
    let mut words = super::text::words(line).into_iter();
    let Some(verb) = words.next() else { return false };
    let read = caught(|| request::parse(verb, words.collect(), names));
    read.is_ok_and(|read| encode_value(&read) == encode_value(op))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no words is written as its frame")]
fn words(op: &Op<'_>, names: &Names) -> Option<String> {
    let leases = |leases: &[LeaseId]| -> String {
        leases.iter().map(|lease| format!(" {}", names.shown_lease(lease))).collect()
    };
    Some(match op {
        Op::DeclareQueue { name, policy } if *policy == QueuePolicy::default() => {
            format!("queue {name}")
        }
        Op::DeleteQueue { name, .. } => format!("delete-queue {name}"),
        Op::PurgeQueue { name, .. } => format!("purge {name}"),
        Op::CreateTopic { name, partitions, .. } => format!("topic {name} partitions={partitions}"),
        Op::Publish { to, confirm, records, .. } => {
            let to = match to {
                Target::Queue { name } => format!("queue={name}"),
                Target::Topic { name, partition: None } => format!("topic={name}"),
                Target::Topic { name, partition: Some(number) } => format!("topic={name}/{number}"),
                Target::Exchange { name, routing_key } => {
                    format!("exchange={name} key={routing_key:?}")
                }
            };
            let unconfirmed = if *confirm { "" } else { " unconfirmed" };
            format!("publish {to}{unconfirmed} {}", shown_records(records))
        }
        Op::Receive { queue, messages_max, wait, .. } => {
            format!("receive {queue} max={messages_max} wait={}", shown_span(*wait))
        }
        Op::Consume { queue, prefetch, .. } => format!("consume {queue} prefetch={prefetch}"),
        Op::Ack { leases: held } => format!("ack{}", leases(held)),
        Op::Nack { leases: held, delay } => {
            format!("nack{} delay={}", leases(held), shown_span(*delay))
        }
        Op::Reject { leases: held } => format!("reject{}", leases(held)),
        Op::Release { leases: held } => format!("release{}", leases(held)),
        Op::Extend { leases: held, visibility } => {
            format!("extend{} visibility={}", leases(held), shown_span(*visibility))
        }
        Op::Join { group, topics, .. } => format!("join {group} topics={}", topics.join(",")),
        Op::Leave { member } => format!("leave {member}"),
        Op::Heartbeat { member, generation: None } => format!("heartbeat {member}"),
        Op::Revoked { member, generation } => format!("revoked {member} generation={generation}"),
        Op::Poll { member, budget } => {
            let (max, wait) = (budget.records_max, shown_span(budget.wait));
            format!("poll {member} max={max} wait={wait}")
        }
        Op::Commit { member, generation, offsets } => {
            let mut line = format!("commit {member} generation={generation}");
            for at in offsets.iter() {
                line += &format!(" {}/{}={}", at.topic, at.partition, at.offset);
            }
            line
        }
        _ => return None,
    })
}
