//! Groups in traces: how members of classic groups ask, and how groups are shown.

use std::borrow::Cow;

use fanlight_core::{
    ClassicView, Event, Generation, GroupSummary, GroupView, MemberAssignment, MemberId,
    MemberName, NotRemoved, Op, Proposal, Protocol,
};

use super::effects::{list, noted, time};
use super::request::{Parsed, Words};

pub(super) fn parse<'t>(verb: &str, words: &mut Words<'t>) -> Parsed<Option<Op<'t>>> {
    Ok(Some(match verb {
        "join-classic" => join_classic(words)?,
        "sync" => sync(words)?,
        "remove" => {
            let group = words.name("the group")?;
            let named = |(id, instance): (&'t str, &'t str)| {
                let instance = Some(instance.into());
                Ok(MemberName { member: Some(member(id)?), instance })
            };
            let mut members: Vec<_> =
                words.all_named().map(named).collect::<Parsed<Vec<MemberName<'t>>>>()?;
            members.extend(words.all_plain().map(|word| match member(word) {
                Ok(member) => MemberName { member: Some(member), instance: None },
                Err(_) if word == "nobody" => MemberName::default(),
                Err(_) => MemberName { member: None, instance: Some(word.into()) },
            }));
            Op::RemoveMembers { group, members: members.into() }
        }
        "subscribe" => {
            let member = MemberId(words.id("member-")?);
            let topics = words.take("topics").unwrap_or_default();
            let topics: Vec<_> = topics.split(',').map(Cow::from).collect();
            Op::Subscribe { member, topics: topics.into() }
        }
        _ => return Ok(None),
    }))
}

fn member(word: &str) -> Parsed<MemberId> {
    let number = word.strip_prefix("member-").and_then(|number| number.parse().ok());
    number.map(MemberId).ok_or_else(|| format!("{word:?} is no member-1"))
}

/// `join-classic crew type=consumer protocols=range:orders,sticky:orders delay=0ms`.
fn join_classic<'t>(words: &mut Words<'t>) -> Parsed<Op<'t>> {
    let protocols = words.take("protocols").unwrap_or("range");
    let protocols = protocols.split(',').map(|protocol| {
        let (name, metadata) = protocol.split_once(':').unwrap_or((protocol, ""));
        Protocol { name: name.into(), metadata: repeated(metadata) }
    });
    Ok(Op::JoinClassic {
        group: words.name("the group")?,
        member: words.take("member").map(member).transpose()?,
        instance: words.take("instance").map(Cow::from),
        protocol_type: words.take("type").unwrap_or("consumer").into(),
        protocols: protocols.collect(),
        session_timeout: words.span("session")?,
        rebalance_timeout: words.span("rebalance")?,
        initial_delay: words.span("delay")?,
    })
}

/// `sync member-1 generation=1 member-1=orders/0 member-2=orders/1`.
fn sync<'t>(words: &mut Words<'t>) -> Parsed<Op<'t>> {
    let of = MemberId(words.id("member-")?);
    let generation = Generation(words.number("generation")?.ok_or("generation=")?);
    let (protocol_type, protocol) = (words.take("type"), words.take("protocol"));
    let assignments = words.all_named().map(|(id, given)| {
        Ok(MemberAssignment { member: member(id)?, assignment: repeated(given) })
    });
    Ok(Op::Sync {
        member: of,
        generation,
        assignments: assignments.collect::<Parsed<Vec<_>>>()?.into(),
        protocol_type: protocol_type.map(Cow::from),
        protocol: protocol.map(Cow::from),
    })
}

/// The bytes of a text; `5000*x` stands for so many of them.
fn repeated(text: &str) -> Cow<'_, [u8]> {
    match text.split_once('*').map(|(times, what)| (times.parse::<usize>(), what)) {
        Some((Ok(times), what)) => what.repeat(times).into_bytes().into(),
        _ => text.as_bytes().into(),
    }
}

/// Bytes, as text where they are short.
fn shown_bytes(bytes: &[u8]) -> String {
    match bytes.len() {
        0..64 => format!("{:?}", String::from_utf8_lossy(bytes)),
        more => format!("{more}B"),
    }
}

/// What a member of a group is told, if it is about groups whose members assign.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are shown elsewhere")]
pub(super) fn shown_told(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::JoinedClassic {
            tag,
            member,
            generation,
            protocol_type,
            protocol,
            leader,
            skip_assignment,
            members,
        } => {
            let skip = if *skip_assignment { ", which has assigned already" } else { "" };
            let members = members.iter().map(|Proposal { member, instance, metadata }| {
                let instance = instance.iter().map(|name| format!(" ({name})"));
                format!("{member}{} {}", instance.collect::<String>(), shown_bytes(metadata))
            });
            let members = list(members);
            format!(
                "{tag} joined as {member} generation={generation} {protocol_type} by {protocol}, \
                 led by {leader}{skip}; proposals: {members}"
            )
        }
        Event::Synced { tag, protocol_type, protocol, assignment } => {
            format!("{tag} synced {protocol_type} by {protocol}: {}", shown_bytes(assignment))
        }
        Event::MembersRemoved { tag, refused } => {
            let refused = refused.iter().map(|NotRemoved { index, refusal }| {
                let (code, message) = (refusal.code, &refusal.message);
                format!("{index}: {} {code:?}: {message}", code.number())
            });
            format!("{tag} removed all but {}", list(refused))
        }
        _ => return None,
    })
}

pub(super) fn shown_summary(group: &GroupSummary) -> String {
    let GroupSummary { id, name, state, generation, members, protocol_type } = group;
    let kind = protocol_type.iter().map(|kind| format!(" of type {kind}")).collect::<String>();
    format!("group {name} {id} {state:?} generation={generation} members={members}{kind}")
}

pub(super) fn shown_group(group: &GroupView) -> Vec<String> {
    let GroupView { id, name, state, generation, assignor, members, partitions, .. } = group;
    let by = match &group.classic {
        None => format!("{assignor:?}"),
        Some(ClassicView { protocol_type, protocol, leader }) => {
            let protocol = protocol.as_deref().unwrap_or("nothing yet");
            format!("{protocol_type} by {protocol}, led by {leader}")
        }
    };
    let since = group.vacated_at.map_or_else(String::new, |at| format!(" since={}", time(at)));
    let mut lines =
        vec![format!("group {name} {id} {state:?}{since} generation={generation} {by}")];
    lines.extend(members.iter().map(|m| {
        let conn = m.conn.map_or("nobody".into(), |conn| conn.to_string());
        let instance = m.instance.iter().map(|name| format!(" instance={name}"));
        let opaque = group.classic.iter().map(|_| {
            let (metadata, assignment) = (shown_bytes(&m.metadata), shown_bytes(&m.assignment));
            format!(" proposes {metadata}, has {assignment}")
        });
        let more: String = instance.chain(opaque).collect();
        format!("  {} of {conn} {}{more}", m.id, m.client)
    }));
    lines.extend(partitions.iter().map(|p| {
        let none = || "none".to_string();
        format!(
            "  {}/{} committed={}{}{} position={} end={} lag={}{} owner={}",
            p.topic,
            p.partition,
            p.committed.map_or_else(none, |offset| offset.to_string()),
            noted(&p.metadata) + if p.is_pending { " pending" } else { "" },
            p.committed_at.map_or_else(String::new, |at| format!(" at={}", time(at))),
            p.position.map_or_else(none, |offset| offset.to_string()),
            p.end,
            p.lag,
            p.oldest_at.map_or_else(String::new, |at| format!(" oldest-at={}", time(at))),
            p.owner.map_or_else(none, |owner| owner.to_string())
        )
    }));
    lines
}
