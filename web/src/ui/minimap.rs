//! The run at a glance: what was published each second, with marks for faults and deaths; and the
//! way to any instant of it.

use fanlight_web::picture::Tally;
use web_sys::{HtmlInputElement, InputEvent};
use yew::prelude::*;

use super::wish::{TimeWish, Wish};
use super::words;
use crate::hold::Hold;

const HEIGHT: f64 = 26.0;
/// Seconds in view of a server's run, whose beginning is long ago.
const SERVER_SECONDS: u64 = 120;

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) wish: Callback<Wish>,
}

/// The strip.
#[component]
pub(crate) fn Minimap(props: &Props) -> Html {
    let world = props.world.borrow();
    let clock = world.clock();
    let now = clock.now.0 / 1_000_000_000;
    let (from, to) = if clock.is_ours {
        (0, (clock.reached.0 / 1_000_000_000 + 1).max(30))
    } else {
        (now.saturating_sub(SERVER_SECONDS), now + 1)
    };
    let strip = strip(world.tallies().iter(), from, to, now);
    let seek = props.wish.reform(|event: InputEvent| {
        let field: HtmlInputElement = event.target_unchecked_into();
        Wish::Time(TimeWish::Seek((field.value_as_number().max(0.0) * 1e6) as u64))
    });
    html! {
        <div class="minimap-place">
            { strip }
            if clock.is_ours {
                <input class="scrub" type="range" min="0" step="10" max={(to * 1_000).to_string()}
                    value={clock.now.as_millis().to_string()} oninput={seek}
                    aria-label="Instant of the run" aria-valuetext={words::clock(clock.now)} />
            }
        </div>
    }
}

fn strip<'a>(
    tallies: impl Iterator<Item = &'a Tally> + Clone,
    from: u64,
    to: u64,
    now: u64,
) -> Html {
    let seconds = (to - from).max(1);
    let second = |tally: &Tally| tally.at.0 / 1_000_000_000;
    let shown = tallies.filter(|tally| second(tally) >= from && second(tally) < to);
    let most = shown.clone().map(|tally| tally.published).max().unwrap_or(1).max(4);
    let width = 1_000.0 / seconds as f64;
    let x = |tally: &Tally| (second(tally) - from) as f64 * width;
    let mut bars = String::new();
    let mut faults = String::new();
    let mut deaths = String::new();
    for tally in shown {
        // By the root, so that a burst does not flatten all that is not one.
        let share = (f64::from(tally.published) / f64::from(most)).sqrt();
        let height = share * (HEIGHT - 8.0);
        let (x, w) = (x(tally), (width * 0.8).max(0.6));
        bars += &format!("M{x:.1} {HEIGHT}v{:.1}h{w:.1}V{HEIGHT}z", -height);
        if tally.died > 0 {
            deaths += &format!("M{x:.1} 0h{:.1}v6h-{:.1}z", w.max(3.0), w.max(3.0));
        }
        if tally.faults > 0 {
            faults += &format!("M{x:.1} 0v{HEIGHT}h1.6V0z");
        }
    }
    let here = (now - from) as f64 * width;
    html! {
        <svg class="minimap" viewBox={format!("0 0 1000 {HEIGHT}")} preserveAspectRatio="none"
            aria-hidden="true">
            <path d={bars} fill="var(--ready)" opacity="0.55" />
            <path d={faults} fill="var(--dead)" />
            <path d={deaths} fill="var(--dead)" />
            <path d={format!("M{here:.1} 0v{HEIGHT}")} stroke="var(--text)" stroke-width="1.5"
                vector-effect="non-scaling-stroke" />
        </svg>
    }
}
