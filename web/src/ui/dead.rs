//! Dead letters: each with its body, its attempts and the reason; mended or not, sent back or
//! purged.

use fanlight_core::{Attempt, Death, Offset};
use fanlight_web::picture::{LineKind, Name, Picture};
use fanlight_web::world::{Act, Answer, Question, ShownMessage, Ticket};
use web_sys::{HtmlTextAreaElement, InputEvent};
use yew::prelude::*;

use super::wish::Wish;
use super::words;
use crate::hold::Hold;

/// Dead letters that are listed: the oldest.
const LISTED: u32 = 100;

/// What the panel is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) wish: Callback<Wish>,
}

/// The component.
pub(crate) struct DeadLetters {
    queues: Vec<Heap>,
    open: Option<(Name, Offset)>,
    /// The body as the user mends it.
    draft: Option<String>,
}

/// One dead-letter queue as it was last asked for.
struct Heap {
    queue: Name,
    /// What was there when it was asked: other marks, another question.
    offsets: Vec<Offset>,
    run: u64,
    ticket: Option<Ticket>,
    messages: Vec<ShownMessage>,
    refused: Option<String>,
}

/// What comes to it.
pub(crate) enum Msg {
    Open(Name, Offset),
    Draft(String),
    Unmend,
}

impl Component for DeadLetters {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let mut panel = DeadLetters { queues: Vec::new(), open: None, draft: None };
        panel.ask(&ctx.props().world);
        panel
    }

    fn changed(&mut self, ctx: &Context<Self>, _: &Props) -> bool {
        self.ask(&ctx.props().world);
        true
    }

    fn update(&mut self, _: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Open(queue, offset) => {
                let letter = Some((queue, offset));
                self.open = if self.open == letter { None } else { letter };
                self.draft = None;
            }
            Msg::Draft(body) => self.draft = Some(body),
            Msg::Unmend => self.draft = None,
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let wish = &ctx.props().wish;
        let world = ctx.props().world.borrow();
        let picture = world.picture();
        if self.queues.iter().all(|heap| heap.offsets.is_empty()) {
            return self.view_nothing(picture, wish);
        }
        html! {
            <div class="pad">
                { for self.queues.iter().filter(|heap| !heap.offsets.is_empty()).map(|heap| {
                    self.view_heap(ctx, heap)
                }) }
            </div>
        }
    }
}

impl DeadLetters {
    /// Asks for what lies in the dead-letter queues now, if that is something else than before.
    fn ask(&mut self, hold: &Hold) {
        let mut world = hold.borrow_mut();
        let now: Vec<(Name, Vec<Offset>)> = world
            .picture()
            .queues
            .iter()
            .filter(|queue| !queue.dead_letters_of.is_empty())
            .map(|queue| (queue.name.clone(), queue.marks.iter().map(|mark| mark.offset).collect()))
            .collect();
        self.queues.retain(|heap| now.iter().any(|(name, _)| *name == heap.queue));
        for (queue, offsets) in now {
            let known = self.queues.iter().position(|heap| heap.queue == queue);
            let at = known.unwrap_or_else(|| {
                let (offsets, messages) = (Vec::new(), Vec::new());
                let queue = queue.clone();
                self.queues.push(Heap {
                    queue,
                    offsets,
                    run: 0,
                    ticket: None,
                    messages,
                    refused: None,
                });
                self.queues.len() - 1
            });
            let heap = &mut self.queues[at];
            if heap.offsets != offsets || heap.run != hold.run() {
                heap.run = hold.run();
                heap.offsets = offsets;
                let question = Question::Peek {
                    queue: queue.to_string(),
                    from: Offset(0),
                    messages_max: LISTED,
                };
                heap.ticket = Some(world.ask(question));
            }
            let answer = heap.ticket.and_then(|ticket| world.answer(ticket));
            match answer {
                Some(Answer::Messages(messages)) => {
                    (heap.messages, heap.refused, heap.ticket) = (messages, None, None);
                }
                Some(Answer::Refused(why)) => (heap.refused, heap.ticket) = (Some(why), None),
                None => {}
            }
        }
    }

    fn view_nothing(&self, picture: &Picture, wish: &Callback<Wish>) -> Html {
        let died = picture.log.iter().any(|line| line.kind == LineKind::Death);
        html! {
            <div class="empty">
                <strong>
                    { if died { "Nobody is dead now" } else { "Nothing has died yet" } }
                </strong>
                {"A message that fails its last attempt falls into the dead-letter queue, with the \
                  history of its attempts."}
                <br />
                <button class="button breaks" onclick={wish.reform(|_: MouseEvent| Wish::Do(Act::PoisonNext))}>
                    {"Poison next order"}</button>
            </div>
        }
    }

    fn view_heap(&self, ctx: &Context<Self>, heap: &Heap) -> Html {
        let wish = &ctx.props().wish;
        let queue = heap.queue.to_string();
        let all = Act::RedriveAll { queue: queue.clone(), messages_max: heap.offsets.len() as u32 };
        let purge = Act::Purge { queue };
        html! {
            <section key={heap.queue.to_string()} class="heap">
                <h2>{ &*heap.queue }</h2>
                <p class="note">
                    { words::count(heap.offsets.len() as u64, "dead letter", "dead letters") }
                </p>
                <div class="row">
                    <button class="button mends" onclick={wish.reform(move |_: MouseEvent| Wish::Do(all.clone()))}>
                        {"Redrive all"}</button>
                    <button class="button breaks" onclick={wish.reform(move |_: MouseEvent| Wish::Do(purge.clone()))}>
                        {"Purge"}</button>
                </div>
                if let Some(why) = &heap.refused {
                    <p class="note wrong">{ why }</p>
                }
                <ul class="picks letters">
                    { for heap.messages.iter().map(|message| self.view_letter(ctx, heap, message)) }
                </ul>
            </section>
        }
    }

    fn view_letter(&self, ctx: &Context<Self>, heap: &Heap, message: &ShownMessage) -> Html {
        let letter = (heap.queue.clone(), message.offset);
        let is_open = self.open.as_ref() == Some(&letter);
        let death = message.deaths.last();
        let onclick = {
            let (queue, offset) = letter;
            ctx.link().callback(move |_: MouseEvent| Msg::Open(queue.clone(), offset))
        };
        let title =
            title(&message.content.body).unwrap_or_else(|| format!("offset {}", message.offset));
        html! {
            <li key={message.offset.0}>
                <button {onclick} aria-expanded={is_open.to_string()}>
                    <span class="mark is-dead"></span>
                    <span class="grow">{ title }</span>
                    <span class="far">{ death.map(|death| words::clock(death.at)) }</span>
                </button>
                if is_open {
                    <div class="letter">
                        { for death.map(view_death) }
                        { self.view_body(ctx, heap, message) }
                        { for death.map(view_attempts) }
                    </div>
                }
            </li>
        }
    }

    fn view_body(&self, ctx: &Context<Self>, heap: &Heap, message: &ShownMessage) -> Html {
        let own = words::readable(&message.content.body);
        let draft = self.draft.clone().unwrap_or_else(|| own.clone());
        let is_mended = draft != own;
        let no_longer_json = is_mended && !is_json(&draft) && is_json(&own);
        let oninput = ctx.link().callback(|event: InputEvent| {
            let field: HtmlTextAreaElement = event.target_unchecked_into();
            Msg::Draft(field.value())
        });
        let act = Act::Redrive {
            queue: heap.queue.to_string(),
            offset: message.offset,
            body: is_mended.then(|| words::compact(&draft)),
        };
        let redrive = ctx.props().wish.reform(move |_: MouseEvent| Wish::Do(act.clone()));
        html! {
            <>
                if let Some(reason) = &message.poison {
                    <p class="note wrong">{ format!("It would fail again: {reason}") }</p>
                }
                <label class="mend">
                    <span>{ if is_mended { "Body, mended" } else { "Body: mend it here" } }</span>
                    <textarea class="input" rows="9" spellcheck="false" value={draft} {oninput} />
                </label>
                if no_longer_json {
                    <p class="note wrong">
                        {"This was JSON and no longer is: a quote, comma or bracket is missing."}
                    </p>
                }
                <div class="row">
                    <button class="button primary" onclick={redrive}>
                        { if is_mended { "Redrive mended" } else { "Redrive as it is" } }</button>
                    if is_mended {
                        <button class="button quiet" onclick={ctx.link().callback(|_| Msg::Unmend)}>
                            {"Undo"}</button>
                    }
                </div>
            </>
        }
    }
}

/// Why a message died, and where.
fn view_death(death: &Death) -> Html {
    html! {
        <p class="note">
            { format!("Died in {} at offset {}: {}.", death.queue, death.offset, death.reason) }
        </p>
    }
}

/// What it went through before.
fn view_attempts(death: &Death) -> Html {
    html! {
        <>
            <h3>{"Its attempts"}</h3>
            <ol class="journey">{ for death.attempts.iter().map(view_attempt) }</ol>
        </>
    }
}

fn view_attempt(attempt: &Attempt) -> Html {
    html! {
        <li key={attempt.number} class="is-redelivered">
            <time>{ format!("attempt {} · {}", attempt.number, words::clock(attempt.at)) }</time>
            { format!("{}: {}", attempt.client, attempt.end) }
        </li>
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// What to call a letter: an order by its number.
fn title(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let order = value.get("order_id")?.as_str()?;
    let what = value.get("description").and_then(|text| text.as_str()).unwrap_or_default();
    Some(format!("{order} {what}").trim().to_owned())
}
