//! Partitions, queues, groups and exchanges in the inspector.

use fanlight_core::Position;
use fanlight_web::picture::{BindingTo, Cursor, Group, MessageRef, Name, Picture, Place, Queue};
use fanlight_web::world::Act;
use yew::prelude::*;

use super::message::picks;
use super::wish::{Tab, Wish};
use super::words;
use crate::focus::Focus;

/// Messages in a list: the oldest of a queue, the newest of a tape.
const LISTED: usize = 24;

/// A partition: how far each group is, and its newest records.
pub(crate) fn partition(picture: &Picture, topic: &Name, n: u32, wish: &Callback<Wish>) -> Html {
    let tape = picture.topic(topic).and_then(|topic| topic.tapes.get(n as usize));
    let Some(tape) = tape else { return Html::default() };
    let readers = picture.groups.iter().flat_map(|group| {
        let own = group.cursors.iter().filter(|c| c.topic == *topic && c.partition == n);
        own.map(move |cursor| (group, cursor))
    });
    let place = Place::Partition(topic.clone(), n);
    let newest = tape.marks.iter().rev().take(LISTED).map(|mark| {
        let at = MessageRef { place: place.clone(), offset: mark.offset };
        let class = if mark.poison { "is-poison" } else { "is-ready" };
        (mark.story, at, class, if mark.poison { "poison".to_owned() } else { "offset".to_owned() })
    });
    html! {
        <>
            <p class="kicker">{"Partition"}</p>
            <h2>{ format!("{topic}/{n}") }</h2>
            <dl class="facts">
                <dt>{"offsets"}</dt><dd>{ format!("{} to {}", tape.start, tape.end) }</dd>
                <dt>{"records"}</dt><dd>{ tape.end.0 - tape.start.0 }</dd>
            </dl>
            <h3>{"Groups"}</h3>
            <table class="numbers">
                <thead>
                    <tr><th>{"group"}</th><th>{"committed"}</th><th>{"position"}</th><th>{"lag"}</th></tr>
                </thead>
                <tbody>
                    { for readers.map(|(group, cursor)| html! {
                        <tr key={group.name.to_string()}>
                            <td>{ go(&group.name, Focus::Group(group.name.clone()), wish) }</td>
                            { flags(cursor) }
                        </tr>
                    }) }
                </tbody>
            </table>
            <h3>{"Newest records"}</h3>
            { picks(newest, picture, wish) }
        </>
    }
}

fn flags(cursor: &Cursor) -> Html {
    let offset = |offset: Option<fanlight_core::Offset>| {
        offset.map_or_else(|| "–".to_owned(), |offset| offset.to_string())
    };
    html! {
        <>
            <td>{ offset(cursor.committed) }</td>
            <td>{ offset(cursor.position) }</td>
            <td>{ cursor.lag }</td>
        </>
    }
}

/// A name that leads to what it names.
pub(crate) fn go(name: &str, focus: Focus, wish: &Callback<Wish>) -> Html {
    html! {
        <button class="link" onclick={wish.reform(move |_: MouseEvent| Wish::Look(Some(focus.clone())))}>
            { name.to_owned() }
        </button>
    }
}

/// A queue: its counts, its policy, its oldest messages.
pub(crate) fn queue(picture: &Picture, name: &Name, wish: &Callback<Wish>) -> Html {
    let Some(queue) = picture.queue(name) else { return Html::default() };
    let is_dead_letter = !queue.dead_letters_of.is_empty();
    let place = Place::Queue(name.clone());
    let oldest = queue.marks.iter().take(LISTED).map(|mark| {
        let at = MessageRef { place: place.clone(), offset: mark.offset };
        let (class, word) = if is_dead_letter {
            ("is-dead", "dead")
        } else {
            words::mark_words(mark.state, mark.attempt, mark.poison)
        };
        let word = if mark.attempt > 1 {
            format!("{word}, attempt {}", mark.attempt)
        } else {
            word.to_owned()
        };
        (mark.story, at, class, word)
    });
    html! {
        <>
            <p class="kicker">{ if is_dead_letter { "Dead-letter queue" } else { "Queue" } }</p>
            <h2>{ &**name }</h2>
            { counts(queue) }
            <div class="row">
                if is_dead_letter {
                    <button class="button" onclick={wish.reform(|_: MouseEvent| Wish::Show(Tab::Dead))}>
                        {"Open the dead letters"}</button>
                }
                <button class="button breaks" disabled={queue.ready == 0}
                    onclick={wish.reform({
                        let queue = name.to_string();
                        move |_: MouseEvent| Wish::Do(Act::Purge { queue: queue.clone() })
                    })}>{"Purge what is ready"}</button>
            </div>
            { policy(queue, wish) }
            <h3>{"Oldest messages"}</h3>
            if queue.marks.is_empty() {
                <p class="note">{"It is empty."}</p>
            }
            { picks(oldest, picture, wish) }
        </>
    }
}

fn counts(queue: &Queue) -> Html {
    html! {
        <dl class="facts">
            <dt>{"ready"}</dt><dd>{ queue.ready }</dd>
            <dt>{"leased"}</dt><dd>{ queue.leased }</dd>
            <dt>{"delayed"}</dt><dd>{ queue.delayed }</dd>
            <dt>{"acknowledged"}</dt><dd>{ queue.acked }</dd>
            <dt>{"died here"}</dt><dd>{ queue.dead_lettered }</dd>
            <dt>{"ever came"}</dt><dd>{ queue.end.0 }</dd>
        </dl>
    }
}

fn policy(queue: &Queue, wish: &Callback<Wish>) -> Html {
    let policy = &queue.policy;
    html! {
        <>
            <h3>{"Policy"}</h3>
            <dl class="facts">
                <dt>{"lease"}</dt><dd>{ policy.visibility.to_string() }</dd>
                <dt>{"deliveries"}</dt>
                <dd>
                    { match policy.deliveries_max {
                        Some(max) => format!("at most {max}"),
                        None => "no maximum".to_owned(),
                    } }
                </dd>
                if let Some(to) = &policy.dead_letter {
                    <dt>{"then to"}</dt>
                    <dd>{ go(to, Focus::Queue(Name::from(&**to)), wish) }</dd>
                }
                if policy.retry_delay.0 > 0 {
                    <dt>{"retry after"}</dt><dd>{ policy.retry_delay.to_string() }</dd>
                }
                if let Some(max) = policy.messages_max {
                    <dt>{"holds"}</dt><dd>{ format!("at most {max}") }</dd>
                }
            </dl>
        </>
    }
}

/// A group: its flags in every partition, its members.
pub(crate) fn group(picture: &Picture, name: &Name, wish: &Callback<Wish>) -> Html {
    let Some(group) = picture.group(name) else { return Html::default() };
    html! {
        <>
            <p class="kicker">{"Consumer group"}</p>
            <h2>{ format!("{} {}", group.letter, group.name) }</h2>
            <dl class="facts">
                <dt>{"lag"}</dt><dd>{ group.lag() }</dd>
                <dt>{"generation"}</dt><dd>{ group.generation.to_string() }</dd>
                <dt>{"at risk"}</dt><dd>{ at_risk(group) }</dd>
            </dl>
            <table class="numbers">
                <thead>
                    <tr><th>{"partition"}</th><th>{"committed"}</th><th>{"position"}</th><th>{"lag"}</th></tr>
                </thead>
                <tbody>
                    { for group.cursors.iter().map(|cursor| {
                        let place = format!("{}/{}", cursor.topic, cursor.partition);
                        let focus = Focus::Partition(cursor.topic.clone(), cursor.partition);
                        html! { <tr key={place.clone()}><td>{ go(&place, focus, wish) }</td>{ flags(cursor) }</tr> }
                    }) }
                </tbody>
            </table>
            { members(picture, group, wish) }
        </>
    }
}

fn at_risk(group: &Group) -> String {
    let records: u64 = group.cursors.iter().map(|cursor| cursor.at_risk().count() as u64).sum();
    format!("{} read, not committed", words::count(records, "record", "records"))
}

fn members(picture: &Picture, group: &Group, wish: &Callback<Wish>) -> Html {
    let name = group.name.to_string();
    let reset = |to: Position| {
        let group = name.clone();
        let topic = match picture.group(&name).and_then(|g| g.cursors.first()) {
            Some(cursor) => cursor.topic.to_string(),
            None => String::new(),
        };
        wish.reform(move |_: MouseEvent| {
            Wish::Do(Act::ResetOffsets {
                group: group.clone(),
                topic: topic.clone(),
                partition: None,
                to,
            })
        })
    };
    html! {
        <>
            <h3>{"Members"}</h3>
            if group.members.is_empty() {
                <p class="note">
                    {"Nobody reads for this group now. Its flags stay where they are, and can be moved:"}
                </p>
                <div class="row">
                    <button class="button" onclick={reset(Position::Earliest)}>
                        {"Back to the first record"}
                    </button>
                    <button class="button" onclick={reset(Position::Latest)}>
                        {"On to the newest"}
                    </button>
                </div>
            }
            <ul class="picks">
                { for group.members.iter().filter_map(|member| picture.actor(member.actor)).map(|actor| {
                    let focus = Focus::Actor(actor.id);
                    let own = group.cursors.iter().filter(|c| c.owner == Some(actor.id));
                    let reads: Vec<String> = own.map(|c| c.partition.to_string()).collect();
                    html! {
                        <li key={actor.id.0}>
                            <button onclick={wish.reform(move |_: MouseEvent| Wish::Look(Some(focus.clone())))}>
                                <span class="grow">{ &*actor.name }</span>
                                <span class="far">{ format!("reads {}", reads.join(", ")) }</span>
                            </button>
                        </li>
                    }
                }) }
            </ul>
        </>
    }
}

/// An exchange: where it routes.
pub(crate) fn exchange(picture: &Picture, name: &Name, wish: &Callback<Wish>) -> Html {
    let found = picture.exchanges.iter().find(|exchange| exchange.name == *name);
    let Some(exchange) = found else { return Html::default() };
    html! {
        <>
            <p class="kicker">{ format!("{:?} exchange", exchange.kind) }</p>
            <h2>{ &**name }</h2>
            <p class="note">{"A message that comes here is published once, and lies in every place whose \
                              binding matches its routing key."}</p>
            <h3>{"Bindings"}</h3>
            <table class="numbers">
                <thead><tr><th>{"routing key"}</th><th>{"leads to"}</th></tr></thead>
                <tbody>
                    { for exchange.bindings.iter().map(|binding| {
                        let (kind, to, focus) = match &binding.to {
                            BindingTo::Queue(name) => ("queue", name, Focus::Queue(name.clone())),
                            BindingTo::Topic(name) => ("topic", name, Focus::Partition(name.clone(), 0)),
                            BindingTo::Exchange(name) => ("exchange", name, Focus::Exchange(name.clone())),
                        };
                        let pattern = if binding.pattern.is_empty() { "any" } else { &*binding.pattern };
                        html! {
                            <tr key={format!("{pattern} {kind} {to}")}>
                                <td><code>{ pattern.to_owned() }</code></td>
                                <td>{ format!("{kind} ") }{ go(to, focus, wish) }</td>
                            </tr>
                        }
                    }) }
                </tbody>
            </table>
        </>
    }
}
