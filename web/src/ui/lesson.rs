//! The lessons: four flows, each with the controls that break it. Guess, then see. A step ticks
//! itself when it happened in the broker, whoever made it happen.

use fanlight_web::picture::{Actor, ActorId, ActorState, LineKind, Picture, Role};
use fanlight_web::world::Act;
use yew::prelude::*;

use super::lesson_text::{FLOWS, Flow};
use super::wish::{Tab, Wish};
use crate::hold::Hold;

/// The group that the first flow stops.
const ANALYTICS: &str = "analytics";
/// The group whose member the second flow crashes.
const PAYMENT: &str = "payment";
/// Records of lag that are plain to see.
const LAG_PLAIN: u64 = 6;

/// What the column is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) wish: Callback<Wish>,
}

/// The component.
pub(crate) struct Lessons {
    open: Option<usize>,
    guesses: [Option<usize>; 4],
    done: [[bool; 3]; 4],
    seen: u64,
    run: u64,
}

/// What comes to it.
pub(crate) enum Msg {
    Open(usize),
    Guess(usize, usize),
}

impl Component for Lessons {
    type Message = Msg;
    type Properties = Props;

    fn create(_: &Context<Self>) -> Self {
        Lessons { open: Some(0), guesses: [None; 4], done: [[false; 3]; 4], seen: 0, run: 1 }
    }

    fn update(&mut self, _: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Open(flow) => self.open = if self.open == Some(flow) { None } else { Some(flow) },
            Msg::Guess(flow, choice) => self.guesses[flow] = Some(choice),
        }
        true
    }

    fn changed(&mut self, ctx: &Context<Self>, _: &Props) -> bool {
        let hold = &ctx.props().world;
        let world = hold.borrow();
        let picture = world.picture();
        if self.run != hold.run() {
            self.run = hold.run();
            self.seen = picture.log.back().map_or(0, |line| line.seq);
        }
        self.tick(picture);
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let world = ctx.props().world.borrow();
        let picture = world.picture();
        let idle: Vec<ActorId> =
            picture.actors.iter().filter(|a| a.state == ActorState::Idle).map(|a| a.id).collect();
        html! {
            <section class="lesson" aria-label="Lessons">
                <h2>{"Break it and see"}</h2>
                if !idle.is_empty() {
                    <div class="flow-body">
                        <p>{"On this server the order flow is not running. Its clients can be started \
                             here, and connect from this page."}</p>
                        { start_all(&ctx.props().wish, idle) }
                    </div>
                }
                { for FLOWS.iter().enumerate().map(|(i, flow)| self.view_flow(ctx, picture, i, flow)) }
            </section>
        }
    }
}

impl Lessons {
    /// Looks at what happened since it last looked.
    fn tick(&mut self, picture: &Picture) {
        let group_member = |name: &str| {
            picture
                .actors
                .iter()
                .find(|a| matches!(&a.role, Role::Member { group } if &**group == name))
        };
        let lag = |name: &str| picture.group(name).map_or(0, fanlight_web::picture::Group::lag);
        let mark = |done: &mut bool, happened: bool| *done = *done || happened;

        let analytics = group_member(ANALYTICS).map(|actor| actor.state);
        let is_stopped = matches!(analytics, Some(ActorState::Stopped | ActorState::Crashed));
        let [fan_out, offsets, redelivery, dead] = &mut self.done;
        let [stopped, behind, back] = fan_out;
        mark(stopped, is_stopped);
        mark(behind, is_stopped && lag(ANALYTICS) >= lag(PAYMENT) + LAG_PLAIN);
        mark(back, *behind && analytics == Some(ActorState::Running) && lag(ANALYTICS) < LAG_PLAIN);

        let payment = group_member(PAYMENT).map(|actor| actor.state);
        let [crashed, again, redelivered] = offsets;
        mark(crashed, payment == Some(ActorState::Crashed));
        mark(again, *crashed && payment == Some(ActorState::Running));

        let silent = picture.actors.iter().any(|a| {
            matches!(a.role, Role::Worker { .. })
                && a.state == ActorState::Silent
                && !a.held.is_empty()
        });
        let [silenced, ran_out, attempted] = redelivery;
        mark(silenced, silent);
        let [poisoned, died, mended] = dead;

        for line in picture.lines_since(self.seen) {
            self.seen = line.seq;
            let is_payment = line.group.as_deref() == Some(PAYMENT);
            let is_poison = line
                .story
                .and_then(|story| picture.story(story))
                .is_some_and(|story| story.poison.is_some());
            mark(redelivered, *again && is_payment && line.kind == LineKind::Return);
            mark(ran_out, *silenced && line.kind == LineKind::Return && line.story.is_some());
            mark(
                attempted,
                *ran_out && line.kind == LineKind::Deliver && is_again(picture, line.story),
            );
            mark(poisoned, is_poison && line.kind == LineKind::Publish);
            mark(died, line.kind == LineKind::Death);
            mark(mended, *died && line.kind == LineKind::Redrive);
        }
        // A read is no line of its own kind when it comes again: the ledger knows.
        let rows = picture.ledger.rows.iter();
        let read_again =
            rows.filter(|row| row.is_group && &*row.name == PAYMENT).any(|r| r.redelivered > 0);
        mark(redelivered, *again && read_again);
    }

    fn view_flow(&self, ctx: &Context<Self>, picture: &Picture, i: usize, flow: &Flow) -> Html {
        let is_open = self.open == Some(i);
        let is_done = self.done[i].iter().all(|step| *step);
        let body = format!("flow-{i}");
        html! {
            <section key={flow.title} class={classes!("flow", is_done.then_some("done"))}>
                <h3>
                    <button class="flow-title" aria-expanded={is_open.to_string()} aria-controls={body.clone()}
                        onclick={ctx.link().callback(move |_| Msg::Open(i))}>
                        <span class="flow-number" aria-label={is_done.then_some("done")}>
                            { if is_done { "✓".to_owned() } else { (i + 1).to_string() } }
                        </span>
                        { flow.title }
                    </button>
                </h3>
                <div class="flow-body" id={body} hidden={!is_open}>
                    if is_open {
                        <p>{ flow.about }</p>
                        { self.view_guess(ctx, i, flow) }
                        <div class="controls">{ for controls(picture, i, &ctx.props().wish) }</div>
                        <ol class="steps">
                            { for flow.steps.iter().zip(self.done[i]).map(|(step, done)| html! {
                                <li key={*step} class={done.then_some("done")}>
                                    { *step }
                                    if done { <span class="unseen">{" (done)"}</span> }
                                </li>
                            }) }
                        </ol>
                    }
                </div>
            </section>
        }
    }

    fn view_guess(&self, ctx: &Context<Self>, i: usize, flow: &Flow) -> Html {
        let guess = self.guesses[i];
        let is_right = guess == Some(flow.right);
        html! {
            <>
                <fieldset class="guess">
                    <legend>{ flow.question }</legend>
                    { for flow.choices.iter().enumerate().map(|(choice, text)| html! {
                        <label key={choice}>
                            <input type="radio" name={format!("guess-{i}")}
                                checked={guess == Some(choice)}
                                onchange={ctx.link().callback(move |_| Msg::Guess(i, choice))} />
                            { *text }
                        </label>
                    }) }
                </fieldset>
                <div role="status">
                    if guess.is_some() {
                        <p class={classes!("answer", is_right.then_some("right"))}>
                            <strong>{ if is_right { "Right. " } else { "Look closely. " } }</strong>
                            { flow.answer }
                        </p>
                    }
                </div>
            </>
        }
    }
}

/// Whether the newest attempt at a message is not its first.
fn is_again(picture: &Picture, story: Option<fanlight_web::picture::StoryId>) -> bool {
    let marks = picture.queues.iter().flat_map(|queue| &queue.marks);
    story.is_some_and(|story| marks.into_iter().any(|m| m.story == story && m.attempt > 1))
}

/// The buttons of a flow, as its clients are now.
fn controls(picture: &Picture, flow: usize, wish: &Callback<Wish>) -> Vec<Html> {
    let member = |name: &str| {
        picture
            .actors
            .iter()
            .find(|a| matches!(&a.role, Role::Member { group } if &**group == name))
    };
    let workers = || {
        picture.actors.iter().filter(|a| matches!(a.role, Role::Worker { .. }) && a.id.is_ours())
    };
    match flow {
        0 => member(ANALYTICS).map_or_else(Vec::new, |actor| {
            let stop = Act::Stop { actor: actor.id };
            vec![
                toggle(wish, actor, "Stop analytics", "", stop),
                act(wish, "Publish 10 orders at once", "", Act::Burst { orders: 10 }),
            ]
        }),
        1 => member(PAYMENT).map_or_else(Vec::new, |actor| {
            let word = format!("Crash {}", actor.name);
            vec![toggle(wish, actor, &word, "breaks", Act::Crash { actor: actor.id })]
        }),
        2 => {
            let down = workers().filter(|a| !is_up(a));
            // The one that has most to lose: it holds something, and has just begun.
            let up = workers().filter(|a| is_up(a));
            let busy = up.clone().find(|a| a.work.is_some()).or_else(|| up.clone().next());
            let mut buttons = Vec::new();
            if let Some(actor) = busy {
                let silence = Act::Silence { actor: actor.id };
                buttons.push(act(wish, "Silence a worker", "breaks", silence));
                buttons.push(act(
                    wish,
                    "Drop a worker’s connection",
                    "breaks",
                    Act::Crash { actor: actor.id },
                ));
            }
            for actor in down {
                let word = if actor.state == ActorState::Silent { "Wake" } else { "Start" };
                buttons.push(act(
                    wish,
                    &format!("{word} {}", actor.name),
                    "mends",
                    Act::Start { actor: actor.id },
                ));
            }
            buttons
        }
        _ => {
            let show = wish.reform(|_: MouseEvent| Wish::Show(Tab::Dead));
            vec![
                act(wish, "Poison next order", "breaks", Act::PoisonNext),
                html! {
                    <button key="open" class="button" onclick={show}>
                        {"Open the dead letters"}
                    </button>
                },
            ]
        }
    }
}

fn is_up(actor: &Actor) -> bool {
    matches!(actor.state, ActorState::Running | ActorState::Connecting)
}

fn act(wish: &Callback<Wish>, word: &str, class: &'static str, act: Act) -> Html {
    let onclick = wish.reform(move |_: MouseEvent| Wish::Do(act.clone()));
    html! {
        <button key={word.to_owned()} class={classes!("button", class)} {onclick}>
            { word.to_owned() }
        </button>
    }
}

/// Breaks a client that is up, and starts one that is not.
fn toggle(
    wish: &Callback<Wish>,
    actor: &Actor,
    word: &str,
    class: &'static str,
    down: Act,
) -> Html {
    if is_up(actor) {
        return act(wish, word, class, down);
    }
    if actor.state == ActorState::Stopping {
        return html! {
            <button key="wait" class="button" disabled=true>
                { format!("{} is stopping…", actor.name) }
            </button>
        };
    }
    act(wish, &format!("Start {}", actor.name), "mends", Act::Start { actor: actor.id })
}

fn start_all(wish: &Callback<Wish>, actors: Vec<ActorId>) -> Html {
    let wish = wish.clone();
    let onclick = Callback::from(move |_: MouseEvent| {
        for actor in &actors {
            wish.emit(Wish::Do(Act::Start { actor: *actor }));
        }
    });
    html! { <button class="button primary" {onclick}>{"Start the order flow here"}</button> }
}
