//! What is in focus, whichever sort of thing it is; with nothing in focus, how to read the stage.

use yew::prelude::*;

use super::clients::ClientPanel;
use super::message::MessagePanel;
use super::places::{exchange, group, partition, queue};
use super::wish::Wish;
use crate::focus::Focus;
use crate::hold::Hold;

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) focus: Option<Focus>,
    pub(crate) wish: Callback<Wish>,
}

/// The states a message can be in, as they are drawn.
const STATES: [(&str, &str); 6] = [
    ("is-ready", "ready"),
    ("is-leased", "leased, in work"),
    ("is-settled", "settled"),
    ("is-redelivered", "redelivered"),
    ("is-poison", "poison"),
    ("is-dead", "dead"),
];

/// The panel.
#[component]
pub(crate) fn FocusPanel(props: &Props) -> Html {
    let world = props.world.borrow();
    let picture = world.picture();
    let focus = props.focus.as_ref().filter(|focus| focus.is_in(picture));
    let inside = match focus {
        None => how_to_read(props.focus.is_some()),
        Some(Focus::Message(story, at)) => {
            return html! {
                <MessagePanel world={&props.world} pulse={props.pulse} story={*story} at={at.clone()}
                    wish={props.wish.clone()} />
            };
        }
        Some(Focus::Actor(id)) => {
            return html! {
                <ClientPanel world={&props.world} pulse={props.pulse} id={*id} wish={props.wish.clone()} />
            };
        }
        Some(Focus::Partition(topic, n)) => partition(picture, topic, *n, &props.wish),
        Some(Focus::Queue(name)) => queue(picture, name, &props.wish),
        Some(Focus::Group(name)) => group(picture, name, &props.wish),
        Some(Focus::Exchange(name)) => exchange(picture, name, &props.wish),
    };
    html! { <div class="pad">{ inside }</div> }
}

/// The legend of the stage.
fn how_to_read(was_forgotten: bool) -> Html {
    html! {
        <>
            <h2>{ if was_forgotten { "That is gone" } else { "Click anything" } }</h2>
            <p class="note">
                if was_forgotten {
                    {"What was in focus is no longer kept. "}
                }
                {"Every dot is a message in a real broker. Click one to see its journey, or a tape, a \
                  queue, a group or a client to see what it is doing and to break it."}
            </p>
            <h3>{"A message is"}</h3>
            <ul class="legend">
                { for STATES.iter().map(|(class, word)| html! {
                    <li key={*class}><span class={classes!("mark", *class)}></span>{ *word }</li>
                }) }
            </ul>
            <h3>{"A group's flags on a tape"}</h3>
            <ul class="legend tall">
                <li><svg class="flag" viewBox="0 0 14 16" aria-hidden="true">
                    <path d="M3 1v14M3 1.5l8 3.2-8 3.3z" stroke="var(--settled)" fill="var(--settled)"
                        stroke-width="1.6" /></svg>
                    {"committed: where it starts again after a crash"}</li>
                <li><svg class="flag" viewBox="0 0 14 16" aria-hidden="true">
                    <path d="M3 1v14M3 1.5l8 3.2-8 3.3z" stroke="var(--leased)" fill="none"
                        stroke-width="1.6" /></svg>
                    {"position: what it reads next"}</li>
                <li><span class="swatch"></span>
                    {"between them: exactly what a crash would deliver again"}</li>
            </ul>
        </>
    }
}
