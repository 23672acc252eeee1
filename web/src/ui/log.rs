//! The event log: every row a sentence with its reason. Only the rows in view exist.

use std::rc::Rc;

use fanlight_web::picture::{Line, Picture};
use web_sys::HtmlElement;
use yew::prelude::*;

use super::wish::Wish;
use super::words;
use crate::focus::Focus;
use crate::hold::Hold;

/// As the style sheet has it.
const ROW: f64 = 24.0;
/// Rows beyond the edges, so that scrolling shows no gap.
const SPARE: usize = 6;

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) focus: Option<Focus>,
    pub(crate) filter: AttrValue,
    pub(crate) wish: Callback<Wish>,
}

/// The component.
pub(crate) struct Log {
    place: NodeRef,
    /// The top of what is in view, and how high it is.
    view: (f64, f64),
    /// Whether it stays with the newest row.
    follows: bool,
}

/// What comes to it.
pub(crate) enum Msg {
    Scrolled,
    ToNewest,
}

impl Component for Log {
    type Message = Msg;
    type Properties = Props;

    fn create(_: &Context<Self>) -> Self {
        Log { place: NodeRef::default(), view: (0.0, 240.0), follows: true }
    }

    fn update(&mut self, _: &Context<Self>, msg: Msg) -> bool {
        let Some(place) = self.place.cast::<HtmlElement>() else { return false };
        match msg {
            Msg::Scrolled => {
                let (top, height) =
                    (f64::from(place.scroll_top()), f64::from(place.client_height()));
                self.view = (top, height);
                self.follows = top + height >= f64::from(place.scroll_height()) - ROW;
            }
            Msg::ToNewest => self.follows = true,
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let props = ctx.props();
        let world = props.world.borrow();
        let picture = world.picture();
        let wanted = props.filter.trim().to_lowercase();
        let lines: Vec<&Rc<Line>> =
            picture.log.iter().filter(|line| matches(line, &wanted)).collect();
        let (top, height) = self.view;
        let top = if self.follows { (lines.len() as f64 * ROW - height).max(0.0) } else { top };
        let first = ((top / ROW) as usize).saturating_sub(SPARE);
        let count = (height / ROW) as usize + 2 * SPARE + 2;
        // So much more that the newest row is whole at the bottom and the first in view at the top.
        let whole = lines.len() as f64 * ROW + height % ROW;
        let rows = lines.iter().enumerate().skip(first).take(count);
        html! {
            <div class="log-place">
                <div class="log" ref={&self.place} tabindex="0" role="log" aria-live="off"
                    aria-label="Event log" onscroll={ctx.link().callback(|_| Msg::Scrolled)}>
                    <div class="log-space" style={format!("height:{whole}px")}>
                        { for rows.map(|(i, line)| row(props, picture, i, line)) }
                    </div>
                    if lines.is_empty() {
                        <p class="empty">{
                            if wanted.is_empty() { "Nothing has happened yet." }
                            else { "No line has these words." }
                        }</p>
                    }
                </div>
                if !self.follows {
                    <button class="button to-newest"
                        onclick={ctx.link().callback(|_| Msg::ToNewest)}>{"To the newest"}</button>
                }
            </div>
        }
    }

    fn rendered(&mut self, _: &Context<Self>, first: bool) {
        let Some(place) = self.place.cast::<HtmlElement>() else { return };
        let height = f64::from(place.client_height());
        if first || (height - self.view.1).abs() > 1.0 {
            self.view.1 = height;
        }
        if self.follows {
            place.set_scroll_top(place.scroll_height());
            self.view.0 = f64::from(place.scroll_top());
        }
    }
}

/// Whether a line has every word that is wanted.
fn matches(line: &Line, wanted: &str) -> bool {
    wanted.is_empty() || {
        let sentence = line.sentence.to_lowercase();
        wanted.split_whitespace().all(|word| sentence.contains(word))
    }
}

fn row(props: &Props, picture: &Picture, index: usize, line: &Rc<Line>) -> Html {
    let target = target(picture, line);
    let is_about = props.focus.is_some()
        && match (&props.focus, &target) {
            (Some(Focus::Message(story, _)), _) => line.story == Some(*story),
            (focus, target) => focus == target,
        };
    let class = classes!("log-row", is_about.then_some("about"));
    let style = format!("top:{}px", index as f64 * ROW);
    let inside = html! {
        <>
            <time>{ words::clock(line.at) }</time>
            <span class={classes!("mark", words::line_class(line.kind))}></span>
            <span class="said">{ &*line.sentence }</span>
        </>
    };
    let sentence = AttrValue::from(line.sentence.to_string());
    match target {
        Some(target) => html! {
            <button key={line.seq} {class} {style} title={sentence} tabindex="-1"
                onclick={props.wish.reform(move |_: MouseEvent| Wish::Look(Some(target.clone())))}>
                { inside }
            </button>
        },
        None => html! { <div key={line.seq} {class} {style} title={sentence}>{ inside }</div> },
    }
}

/// What a line is about, to look at.
fn target(picture: &Picture, line: &Line) -> Option<Focus> {
    use fanlight_web::picture::Place;
    let message = line.story.map(|story| Focus::Message(story, line.message.clone()));
    let group = || line.group.clone().map(Focus::Group);
    let place = || match line.place.as_ref()? {
        Place::Queue(name) => Some(Focus::Queue(name.clone())),
        Place::Partition(topic, n) => Some(Focus::Partition(topic.clone(), *n)),
    };
    let actor = || line.actor.map(Focus::Actor);
    message.or_else(actor).or_else(group).or_else(place).filter(|focus| focus.is_in(picture))
}
