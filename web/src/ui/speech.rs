//! What a screen reader is told as it happens: the notable things, at most every two seconds.

use fanlight_web::picture::{LineKind, Picture};
use gloo_timers::callback::Interval;
use yew::prelude::*;

use crate::hold::Hold;

const EVERY_MS: u32 = 2_000;
/// More than so many at once are counted, not read out.
const READ_OUT_MAX: usize = 3;

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
}

/// The component.
pub(crate) struct Speech {
    seen: u64,
    said: String,
    _timer: Interval,
}

impl Component for Speech {
    type Message = ();
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let link = ctx.link().clone();
        let timer = Interval::new(EVERY_MS, move || link.send_message(()));
        Speech { seen: 0, said: String::new(), _timer: timer }
    }

    fn changed(&mut self, _: &Context<Self>, _: &Props) -> bool {
        false
    }

    fn update(&mut self, ctx: &Context<Self>, (): ()) -> bool {
        let world = ctx.props().world.borrow();
        let picture = world.picture();
        let newest = picture.log.back().map_or(0, |line| line.seq);
        let said = if newest < self.seen { String::new() } else { news(picture, self.seen) };
        self.seen = newest;
        let changed = said != self.said && !said.is_empty();
        if changed {
            self.said = said;
        }
        changed
    }

    fn view(&self, _: &Context<Self>) -> Html {
        html! { <div class="unseen" role="status" aria-live="polite" id="speech">{ &self.said }</div> }
    }
}

/// What is worth saying of what happened since.
fn news(picture: &Picture, since: u64) -> String {
    let notable: Vec<&str> = picture
        .lines_since(since)
        .filter(|line| match line.kind {
            LineKind::Return
            | LineKind::Death
            | LineKind::Redrive
            | LineKind::Client
            | LineKind::Refusal
            | LineKind::User => true,
            LineKind::Publish
            | LineKind::Deliver
            | LineKind::Settle
            | LineKind::Group
            | LineKind::Topology
            | LineKind::Work => false,
        })
        .map(|line| &*line.sentence)
        .collect();
    let left_out = notable.len().saturating_sub(READ_OUT_MAX);
    let mut said = notable[left_out..].join(". ");
    if left_out > 0 {
        said = format!("{left_out} more things happened. {said}");
    }
    said
}
