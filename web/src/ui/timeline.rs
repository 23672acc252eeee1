//! The clock and what it has seen: transport, minimap, event log.

use fanlight_core::Time;
use fanlight_web::world::Clock;
use web_sys::{HtmlInputElement, InputEvent};
use yew::prelude::*;

use super::icons;
use super::log::Log;
use super::minimap::Minimap;
use super::wish::{TimeWish, Wish};
use super::words;
use crate::focus::Focus;
use crate::hold::Hold;

/// The speeds that there is a button for.
const SPEEDS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 8.0, 64.0];

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) focus: Option<Focus>,
    pub(crate) wish: Callback<Wish>,
}

/// The panel.
#[component]
pub(crate) fn Timeline(props: &Props) -> Html {
    let filter = use_state(String::new);
    let clock = props.world.borrow().clock();
    let oninput = {
        let filter = filter.clone();
        Callback::from(move |event: InputEvent| {
            let field: HtmlInputElement = event.target_unchecked_into();
            filter.set(field.value());
        })
    };
    let on_key = {
        let filter = filter.clone();
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Escape" {
                filter.set(String::new());
            }
        })
    };
    html! {
        <>
            <section class="transport" aria-label="Time">
                { transport(&clock, &props.wish) }
                <div class="gap"></div>
                <label class="field filter wide-only">
                    <span class="unseen">{"Filter the event log"}</span>
                    <input type="search" placeholder="Filter the log ( / )" spellcheck="false"
                        value={(*filter).clone()} {oninput} onkeydown={on_key} />
                </label>
            </section>
            <section class="time" aria-label="Event log">
                <Minimap world={&props.world} pulse={props.pulse} wish={props.wish.clone()} />
                <Log world={&props.world} pulse={props.pulse} focus={props.focus.clone()}
                    filter={AttrValue::from((*filter).clone())} wish={props.wish.clone()} />
            </section>
        </>
    }
}

fn transport(clock: &Clock, wish: &Callback<Wish>) -> Html {
    let (word, sign) =
        if clock.is_running { ("Pause", icons::pause()) } else { ("Run", icons::play()) };
    let can_step = clock.is_ours;
    html! {
        <>
            <div class="row steps-row" role="group" aria-label="Run and step">
                <button class="button quiet icon" aria-label="Step back" title="Step back ( , )"
                    disabled={!can_step || clock.now == Time::ZERO}
                    onclick={wish.reform(|_: MouseEvent| Wish::Time(TimeWish::StepBack))}>
                    { icons::step_back() }
                </button>
                <button class="button icon play" aria-label={word} title={format!("{word} (space)")}
                    onclick={wish.reform(|_: MouseEvent| Wish::Time(TimeWish::Toggle))}>
                    { sign }
                </button>
                <button class="button quiet icon" aria-label="Step" title="Step ( . )"
                    disabled={!can_step}
                    onclick={wish.reform(|_: MouseEvent| Wish::Time(TimeWish::Step))}>
                    { icons::step() }
                </button>
            </div>
            <output class="clock" aria-label="The broker's time">
                { words::clock(clock.now) }
            </output>
            if clock.is_ours {
                { speeds(clock.speed, wish) }
            } else {
                <span class="note-inline">{"the server's own time"}</span>
            }
        </>
    }
}

fn speeds(speed: f64, wish: &Callback<Wish>) -> Html {
    let at = SPEEDS.iter().position(|s| *s >= speed).unwrap_or(SPEEDS.len() - 1);
    let faster = SPEEDS[(at + 1).min(SPEEDS.len() - 1)];
    let slower = SPEEDS[at.saturating_sub(1)];
    html! {
        <div class="segmented speeds" role="group" aria-label="Speed"
            data-faster={faster.to_string()} data-slower={slower.to_string()}>
            { for SPEEDS.iter().map(|choice| {
                let choice = *choice;
                let name = match choice {
                    0.25 => "¼×".to_owned(),
                    0.5 => "½×".to_owned(),
                    whole => format!("{whole:.0}×"),
                };
                html! {
                    <button key={name.clone()} aria-label={format!("Speed {choice}")}
                        aria-pressed={(choice == speed).to_string()}
                        onclick={wish.reform(move |_: MouseEvent| Wish::Time(TimeWish::Speed(choice)))}>
                        { name }
                    </button>
                }
            }) }
        </div>
    }
}
