//! A client in the inspector, and the buttons that break it beside it on the stage.

use fanlight_web::picture::{Actor, ActorId, ActorState, Role, Tuning};
use fanlight_web::world::Act;
use web_sys::{HtmlInputElement, InputEvent};
use yew::prelude::*;

use super::places::go;
use super::wish::Wish;
use super::words;
use crate::focus::Focus;
use crate::hold::Hold;
use crate::stage::{Rect, focus_actor, state_word};

/// What the inspector's panel is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) id: ActorId,
    pub(crate) wish: Callback<Wish>,
}

/// The panel.
#[component]
pub(crate) fn ClientPanel(props: &Props) -> Html {
    let world = props.world.borrow();
    let Some(actor) = world.picture().actor(props.id) else { return Html::default() };
    let wish = &props.wish;
    let (kind, place) = match &actor.role {
        Role::Producer => ("Producer", None),
        Role::Member { group } => ("Member of", Some((group, Focus::Group(group.clone())))),
        Role::Worker { queue } => ("Worker on", Some((queue, Focus::Queue(queue.clone())))),
        Role::Unknown => ("Connection", None),
    };
    let made = if actor.role == Role::Producer { "published" } else { "processed" };
    html! {
        <div class="pad">
            <p class="kicker">
                { kind }{" "}{ for place.map(|(name, focus)| go(name, focus, wish)) }
            </p>
            <h2>{ &*actor.name }</h2>
            <dl class="facts">
                <dt>{"state"}</dt><dd>{ doing(actor) }</dd>
                <dt>{ made }</dt><dd>{ actor.done }</dd>
                if actor.failed > 0 {
                    <dt>{"failed"}</dt><dd>{ actor.failed }</dd>
                }
                if let Some(conn) = actor.conn {
                    <dt>{"connection"}</dt><dd>{ conn.to_string() }</dd>
                }
                <dt>{"holds"}</dt><dd>{ words::count(actor.held.len() as u64, "message", "messages") }</dd>
            </dl>
            if actor.id.is_ours() {
                <div class="row">{ for hands(actor, wish) }</div>
                { for actor.tuning.as_ref().map(|tuning| tuning_form(actor, *tuning, wish)) }
            } else {
                <p class="note">
                    {"This client is not the page's own: it can be watched, not controlled."}
                </p>
            }
        </div>
    }
}

/// What a client is doing, in words.
pub(crate) fn doing(actor: &Actor) -> String {
    match (state_word(actor.state), &actor.work) {
        (Some(word), _) => word.to_owned(),
        (None, Some(work)) if work.attempt > 1 => {
            format!("working on {}, attempt {}", work.message, work.attempt)
        }
        (None, Some(work)) => format!("working on {}", work.message),
        (None, None) => "running".to_owned(),
    }
}

/// The buttons that a client can be broken and mended with.
pub(crate) fn hands(actor: &Actor, wish: &Callback<Wish>) -> Vec<Html> {
    let id = actor.id;
    let button = |class: &'static str, word: &'static str, act: Act| {
        let onclick = wish.reform(move |_: MouseEvent| Wish::Do(act.clone()));
        html! { <button class={classes!("button", class)} key={word} {onclick}>{ word }</button> }
    };
    let crash = match actor.role {
        Role::Worker { .. } => "Drop connection",
        Role::Producer | Role::Member { .. } | Role::Unknown => "Crash",
    };
    match actor.state {
        ActorState::Running | ActorState::Connecting if actor.role == Role::Producer => vec![
            button("breaks", "Poison next order", Act::PoisonNext),
            button("", "Publish 10 at once", Act::Burst { orders: 10 }),
            button("", "Stop", Act::Stop { actor: id }),
        ],
        ActorState::Running | ActorState::Connecting => vec![
            button("breaks", crash, Act::Crash { actor: id }),
            button("breaks", "Silence", Act::Silence { actor: id }),
            button("", "Stop", Act::Stop { actor: id }),
        ],
        ActorState::Silent => vec![
            button("mends", "Wake", Act::Start { actor: id }),
            button("breaks", crash, Act::Crash { actor: id }),
        ],
        ActorState::Stopping => Vec::new(),
        ActorState::Idle | ActorState::Stopped | ActorState::Crashed => {
            vec![button("mends", "Start", Act::Start { actor: id })]
        }
    }
}

fn tuning_form(actor: &Actor, tuning: Tuning, wish: &Callback<Wish>) -> Html {
    let id = actor.id;
    let slider = |name: &'static str,
                  shown: String,
                  now: f64,
                  (min, max, step): (f64, f64, f64),
                  set: fn(&mut Tuning, f64)| {
        let oninput = wish.reform(move |event: InputEvent| {
            let field: HtmlInputElement = event.target_unchecked_into();
            let mut tuning = tuning;
            set(&mut tuning, field.value_as_number());
            Wish::Do(Act::Tune { actor: id, tuning })
        });
        html! {
            <label class="slider" key={name}>
                <span>{ name }</span><output>{ shown }</output>
                <input type="range" min={min.to_string()} max={max.to_string()} step={step.to_string()}
                    value={now.to_string()} {oninput} />
            </label>
        }
    };
    let work = || {
        let set = |tuning: &mut Tuning, n: f64| tuning.work_ms = n as u64;
        slider(
            "Work on one message",
            format!("{} ms", tuning.work_ms),
            tuning.work_ms as f64,
            (50.0, 4_000.0, 50.0),
            set,
        )
    };
    let settings = match actor.role {
        Role::Producer => vec![slider(
            "Orders a second",
            tuning.rate.to_string(),
            tuning.rate,
            (0.5, 20.0, 0.5),
            |t, n| t.rate = n,
        )],
        Role::Member { .. } => vec![
            work(),
            slider(
                "Commit after",
                words::count(u64::from(tuning.commit_every), "record", "records"),
                f64::from(tuning.commit_every),
                (1.0, 20.0, 1.0),
                |t, n| t.commit_every = n as u32,
            ),
        ],
        Role::Worker { .. } => vec![
            work(),
            slider(
                "Holds at once",
                tuning.prefetch.to_string(),
                f64::from(tuning.prefetch),
                (1.0, 10.0, 1.0),
                |t, n| t.prefetch = n as u32,
            ),
        ],
        Role::Unknown => Vec::new(),
    };
    html! { <><h3>{"Settings"}</h3>{ for settings }{ for commit_first(actor, tuning, wish) }</> }
}

/// The choice between at most once and at least once, which only members of a group have.
fn commit_first(actor: &Actor, tuning: Tuning, wish: &Callback<Wish>) -> Option<Html> {
    let id = actor.id;
    matches!(actor.role, Role::Member { .. }).then(|| {
        let onchange = wish.reform(move |event: Event| {
            let field: HtmlInputElement = event.target_unchecked_into();
            let tuning = Tuning { commit_first: field.checked(), ..tuning };
            Wish::Do(Act::Tune { actor: id, tuning })
        });
        html! {
            <label class="tick"><input type="checkbox" checked={tuning.commit_first} {onchange} />
                {"Commit before the work: at most once"}</label>
        }
    })
}

/// What is laid over the stage beside the client in focus.
#[derive(Properties, PartialEq)]
pub(crate) struct HandsProps {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) focus: Option<Focus>,
    pub(crate) at: Option<Rect>,
    pub(crate) wish: Callback<Wish>,
}

/// The buttons.
#[component]
pub(crate) fn Hands(props: &HandsProps) -> Html {
    let id = focus_actor(props.focus.as_ref()).filter(|id| id.is_ours());
    let world = props.world.borrow();
    let actor = id.and_then(|id| world.picture().actor(id));
    let (Some(actor), Some(at)) = (actor, props.at) else { return Html::default() };
    let style = if actor.role == Role::Producer {
        format!("left:{:.0}px;top:{:.0}px", at.x.max(8.0), at.bottom() + 10.0)
    } else {
        format!("right:calc(100% - {:.0}px);top:{:.0}px", at.right() + 2.0, at.bottom() + 5.0)
    };
    html! {
        <div class="hands" {style} role="group" aria-label={format!("What can be done to {}", actor.name)}>
            { for hands(actor, &props.wish) }
        </div>
    }
}
