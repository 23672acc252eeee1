//! The stage in words: everything on it as a tree, for those who cannot see it, or would rather
//! read.

use fanlight_web::picture::{Actor, Group, Picture, Queue, Role, Topic};
use yew::prelude::*;

use super::clients::doing;
use super::wish::Wish;
use crate::focus::Focus;
use crate::hold::Hold;

/// What the panel is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) is_shown: bool,
    pub(crate) focus: Option<Focus>,
    pub(crate) wish: Callback<Wish>,
}

/// The tree.
#[component]
pub(crate) fn Parts(props: &Props) -> Html {
    let world = props.world.borrow();
    let picture = world.picture();
    let class = if props.is_shown { "pad parts" } else { "parts unseen" };
    let producers =
        picture.actors.iter().filter(|a| matches!(a.role, Role::Producer | Role::Unknown));
    html! {
        <section {class} id="parts" aria-label="The stage in words">
            <h2>{"Everything there is"}</h2>
            if picture.topics.is_empty() && picture.queues.is_empty() {
                <p class="note">{"The broker has no topics and no queues yet."}</p>
            }
            <ul>
                { for producers.map(|actor| client(props, actor)) }
                { for picture.exchanges.iter().map(|exchange| html! {
                    <li key={format!("x-{}", exchange.name)}>
                        { item(props, Focus::Exchange(exchange.name.clone()),
                            format!("exchange {}, {} bindings", exchange.name, exchange.bindings.len())) }
                    </li>
                }) }
                { for picture.topics.iter().map(|topic| view_topic(props, picture, topic)) }
                { for picture.groups.iter().map(|group| view_group(props, picture, group)) }
                { for picture.queues.iter().map(|queue| view_queue(props, picture, queue)) }
            </ul>
        </section>
    }
}

fn item(props: &Props, focus: Focus, words: String) -> Html {
    let is_current = props.focus.as_ref() == Some(&focus);
    let onclick = props.wish.reform(move |_: MouseEvent| Wish::Look(Some(focus.clone())));
    html! {
        <button class="part" {onclick} aria-current={is_current.to_string()}
            tabindex={if props.is_shown { "0" } else { "-1" }}>{ words }</button>
    }
}

fn client(props: &Props, actor: &Actor) -> Html {
    let words = format!("{}: {}, {} done", actor.name, doing(actor), actor.done);
    html! { <li key={format!("a-{}", actor.id.0)}>{ item(props, Focus::Actor(actor.id), words) }</li> }
}

fn view_topic(props: &Props, picture: &Picture, topic: &Topic) -> Html {
    html! {
        <li key={format!("t-{}", topic.name)}>
            <span class="part">
                { format!("topic {}, {} partitions", topic.name, topic.tapes.len()) }
            </span>
            <ul>
                { for topic.tapes.iter().zip(0_u32..).map(|(tape, n)| {
                    let words = format!("partition {n}: offsets {} to {}", tape.start, tape.end);
                    html! {
                        <li key={n}>
                            { item(props, Focus::Partition(topic.name.clone(), n), words) }
                            <ul>
                                { for picture.groups.iter().filter_map(|group| cursor(picture, group, topic, n)) }
                            </ul>
                        </li>
                    }
                }) }
            </ul>
        </li>
    }
}

fn cursor(picture: &Picture, group: &Group, topic: &Topic, n: u32) -> Option<Html> {
    let cursor = group.cursors.iter().find(|c| c.topic == topic.name && c.partition == n)?;
    let offset = |offset: Option<fanlight_core::Offset>| {
        offset.map_or_else(|| "nothing".to_owned(), |offset| offset.to_string())
    };
    let owner = cursor.owner.and_then(|owner| picture.actor(owner));
    let owner = owner.map_or_else(|| "nobody".to_owned(), |actor| actor.name.to_string());
    let words = format!(
        "{}: committed {}, position {}, lag {}, read by {owner}",
        group.name,
        offset(cursor.committed),
        offset(cursor.position),
        cursor.lag
    );
    Some(html! { <li key={group.name.to_string()}>{ words }</li> })
}

fn view_group(props: &Props, picture: &Picture, group: &Group) -> Html {
    let words =
        format!("group {}: lag {}, {} members", group.name, group.lag(), group.members.len());
    let members = picture
        .actors
        .iter()
        .filter(|actor| matches!(&actor.role, Role::Member { group: own } if *own == group.name));
    html! {
        <li key={format!("g-{}", group.name)}>
            { item(props, Focus::Group(group.name.clone()), words) }
            <ul>{ for members.map(|actor| client(props, actor)) }</ul>
        </li>
    }
}

fn view_queue(props: &Props, picture: &Picture, queue: &Queue) -> Html {
    let words = if queue.dead_letters_of.is_empty() {
        format!(
            "queue {}: {} ready, {} leased, {} delayed, {} acknowledged",
            queue.name, queue.ready, queue.leased, queue.delayed, queue.acked
        )
    } else {
        format!(
            "dead-letter queue {}: {} dead",
            queue.name,
            queue.ready + queue.leased + queue.delayed
        )
    };
    let workers = picture
        .actors
        .iter()
        .filter(|actor| matches!(&actor.role, Role::Worker { queue: own } if *own == queue.name));
    html! {
        <li key={format!("q-{}", queue.name)}>
            { item(props, Focus::Queue(queue.name.clone()), words) }
            <ul>{ for workers.map(|actor| client(props, actor)) }</ul>
        </li>
    }
}
