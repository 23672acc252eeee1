//! One message: what it says, where it is, and everything that happened to it.

use std::rc::Rc;

use fanlight_web::picture::{Content, MarkState, MessageRef, Name, Picture, Place, StoryId};
use yew::prelude::*;

use super::wish::Wish;
use super::words;
use crate::focus::Focus;
use crate::hold::Hold;

/// What the panel is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) story: StoryId,
    pub(crate) at: Option<MessageRef>,
    pub(crate) wish: Callback<Wish>,
}

/// The panel.
#[component]
pub(crate) fn MessagePanel(props: &Props) -> Html {
    let world = props.world.borrow();
    let picture = world.picture();
    let Some(story) = picture.story(props.story) else { return Html::default() };
    html! {
        <div class="pad">
            <p class="kicker">{"Message"}</p>
            <h2>{ &*story.title }</h2>
            if let Some(reason) = &story.poison {
                <p class="note wrong">{ format!("Poison: {reason}") }</p>
            }
            <h3>{"Where it is"}</h3>
            <ul class="picks">
                { for story.places.iter().map(|place| view_place(picture, place, props)) }
            </ul>
            <h3>{"Its journey"}</h3>
            <ol class="journey">
                { for story.journey.iter().map(|line| html! {
                    <li key={line.seq} class={words::line_class(line.kind)}>
                        <time>{ words::clock(line.at) }</time>{ &*line.sentence }
                    </li>
                }) }
            </ol>
            { story.content.as_ref().map(view_content).unwrap_or_else(|| html! {
                <><h3>{"Content"}</h3><p class="note">{"Not known here yet."}</p></>
            }) }
        </div>
    }
}

fn view_place(picture: &Picture, place: &MessageRef, props: &Props) -> Html {
    let (class, word) = state_at(picture, place);
    let focus = Focus::Message(props.story, Some(place.clone()));
    let onclick = match &place.place {
        Place::Queue(name) => look(props, Focus::Queue(name.clone())),
        Place::Partition(topic, n) => look(props, Focus::Partition(topic.clone(), *n)),
    };
    let is_clicked = props.at.as_ref() == Some(place);
    html! {
        <li key={place.to_string()} data-focus={focus.story().map(|story| story.0.to_string())}>
            <button {onclick} aria-current={is_clicked.to_string()}>
                <span class={classes!("mark", class)}></span>
                <span class="grow">{ place.to_string() }</span>
                <span class="far">{ word }</span>
            </button>
        </li>
    }
}

fn look(props: &Props, focus: Focus) -> Callback<MouseEvent> {
    props.wish.reform(move |_: MouseEvent| Wish::Look(Some(focus.clone())))
}

/// What a message is doing in one of its places.
fn state_at(picture: &Picture, message: &MessageRef) -> (&'static str, String) {
    match &message.place {
        Place::Queue(name) => {
            let Some(queue) = picture.queue(name) else { return ("is-plain", "gone".to_owned()) };
            let Some(mark) = queue.marks.iter().find(|mark| mark.offset == message.offset) else {
                return ("is-settled", "no longer there".to_owned());
            };
            if !queue.dead_letters_of.is_empty() {
                return ("is-dead", "dead".to_owned());
            }
            let (class, word) = words::mark_words(mark.state, mark.attempt, mark.poison);
            let word = match mark.state {
                MarkState::Leased { holder, .. } => {
                    let name = picture.actor(holder).map(|actor| actor.name.to_string());
                    format!("{word}, {}", name.unwrap_or_default())
                }
                MarkState::Ready | MarkState::Delayed { .. } => word.to_owned(),
            };
            (class, word)
        }
        Place::Partition(topic, n) => {
            let readers = picture.groups.iter().flat_map(|group| {
                let own = group.cursors.iter().filter(|c| c.topic == *topic && c.partition == *n);
                own.map(|cursor| cursor.committed.is_some_and(|to| to > message.offset))
            });
            let (done, all) =
                readers.fold((0, 0), |(done, all), is| (done + u32::from(is), all + 1));
            let class = if done == all { "is-settled" } else { "is-ready" };
            (class, format!("{done} of {all} groups past it"))
        }
    }
}

/// What a message says.
pub(crate) fn view_content(content: &Rc<Content>) -> Html {
    html! {
        <>
            <h3>{"Content"}</h3>
            <dl class="facts">
                if let Some(key) = &content.key {
                    <dt>{"key"}</dt><dd>{ key }</dd>
                }
                { for content.headers.iter().map(|(name, value)| html! {
                    <><dt>{ name }</dt><dd>{ value }</dd></>
                }) }
            </dl>
            <pre class="body-text">{ words::readable(&content.body) }</pre>
        </>
    }
}

/// A list of messages to pick from.
pub(crate) fn picks<'a>(
    messages: impl Iterator<Item = (StoryId, MessageRef, &'static str, String)> + 'a,
    picture: &'a Picture,
    wish: &'a Callback<Wish>,
) -> Html {
    html! {
        <ul class="picks">
            { for messages.map(|(story, at, class, word)| {
                let title = picture.story(story).map(|story| Name::clone(&story.title));
                let title = title.map_or_else(|| at.to_string(), |title| title.to_string());
                let offset = at.offset;
                let focus = Focus::Message(story, Some(at));
                html! {
                    <li key={offset.0}>
                        <button onclick={wish.reform(move |_: MouseEvent| Wish::Look(Some(focus.clone())))}>
                            <span class={classes!("mark", class)}></span>
                            <span class="grow">{ title }</span>
                            <span class="far">{ format!("{word} · {offset}") }</span>
                        </button>
                    </li>
                }
            }) }
        </ul>
    }
}
