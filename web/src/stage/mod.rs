//! The stage: two canvases above one another and the loop that runs the world and draws it.
//!
//! The lower canvas holds what stands still and is drawn when it changed; the upper one the
//! messages, drawn when something moves. When nothing does, nothing is drawn. Yew hears of the
//! world at most ten times a second.

mod clients;
mod geometry;
mod hit;
mod ink;
mod lanes;
mod motion;
mod palette;
mod scene;
mod tokens;
mod turn;

use std::cell::RefCell;
use std::rc::Rc;

use fanlight_web::picture::ActorId;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlCanvasElement, HtmlElement, MouseEvent, ResizeObserver};
use yew::prelude::*;

pub(crate) use clients::state_word;
pub(crate) use geometry::Rect;

use crate::focus::Focus;
use crate::hold::Hold;
use turn::Turn;

/// What the stage is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) focus: Option<Focus>,
    pub(crate) theme: AttrValue,
    pub(crate) on_focus: Callback<Option<Focus>>,
    /// At most ten times a second, when something changed.
    pub(crate) on_pulse: Callback<Seen>,
    #[prop_or_default]
    pub(crate) children: Html,
}

/// What the panels need to know of the stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Where the client in focus stands, in pixels of the stage's own box.
    pub(crate) focus_at: Option<Rect>,
    /// The height of all that there is to see.
    pub(crate) height: f64,
}

/// The component. It owns the loop; the loop ends with it.
pub(crate) struct Stage {
    place: NodeRef,
    lower: NodeRef,
    upper: NodeRef,
    turn: Rc<RefCell<Option<Turn>>>,
    height: f64,
    watch: Option<(ResizeObserver, Closure<dyn FnMut()>)>,
}

/// What comes to it.
pub(crate) enum Msg {
    /// What there is to see grew or shrank, so that it scrolls or no longer does.
    Height(f64),
    Clicked(MouseEvent),
}

impl Component for Stage {
    type Message = Msg;
    type Properties = Props;

    fn create(_: &Context<Self>) -> Self {
        Stage {
            place: NodeRef::default(),
            lower: NodeRef::default(),
            upper: NodeRef::default(),
            turn: Rc::default(),
            height: 0.0,
            watch: None,
        }
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Height(height) => {
                let changed = (self.height - height).abs() > 0.5;
                self.height = height;
                changed
            }
            Msg::Clicked(event) => {
                let turn = self.turn.borrow();
                let found = turn.as_ref().and_then(|turn| {
                    let target = self.place.cast::<HtmlElement>()?;
                    let rect = target.get_bounding_client_rect();
                    let x = f64::from(event.client_x()) - rect.left();
                    let y = f64::from(event.client_y()) - rect.top();
                    turn.hit(x, y)
                });
                ctx.props().on_focus.emit(found);
                false
            }
        }
    }

    fn changed(&mut self, ctx: &Context<Self>, old: &Props) -> bool {
        if let Some(turn) = self.turn.borrow_mut().as_mut() {
            turn.set_focus(ctx.props().focus.clone());
            if ctx.props().theme != old.theme {
                turn.read_palette();
            }
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let onclick = ctx.link().callback(Msg::Clicked);
        html! {
            <div class="stage">
                <canvas ref={&self.lower} aria-hidden="true" />
                <canvas ref={&self.upper} aria-hidden="true" />
                <div class="stage-scroll" ref={&self.place} {onclick} role="presentation">
                    <div style={format!("height:{:.0}px", self.height)}></div>
                </div>
                { ctx.props().children.clone() }
            </div>
        }
    }

    fn rendered(&mut self, ctx: &Context<Self>, first: bool) {
        if !first {
            return;
        }
        let (Some(place), Some(lower), Some(upper)) = (
            self.place.cast::<HtmlElement>(),
            self.lower.cast::<HtmlCanvasElement>(),
            self.upper.cast::<HtmlCanvasElement>(),
        ) else {
            return;
        };
        let props = ctx.props();
        let link = ctx.link().clone();
        let on_pulse = props.on_pulse.clone();
        let tell = move |seen: Seen| {
            link.send_message(Msg::Height(seen.height));
            on_pulse.emit(seen);
        };
        let turn = Turn::new(props.world.clone(), place.clone(), lower, upper, Box::new(tell));
        *self.turn.borrow_mut() = turn;
        let resized = {
            let turn = Rc::clone(&self.turn);
            Closure::<dyn FnMut()>::new(move || {
                if let Some(turn) = turn.borrow_mut().as_mut() {
                    turn.resized();
                }
            })
        };
        if let Ok(observer) = ResizeObserver::new(resized.as_ref().unchecked_ref()) {
            observer.observe(&place);
            self.watch = Some((observer, resized));
        }
        run(Rc::downgrade(&self.turn));
    }

    fn destroy(&mut self, _: &Context<Self>) {
        self.turn.borrow_mut().take();
        if let Some((observer, _)) = self.watch.take() {
            observer.disconnect();
        }
    }
}

/// Calls the turn once for each frame, until it is gone.
fn run(turn: std::rc::Weak<RefCell<Option<Turn>>>) {
    type Frame = Closure<dyn FnMut(f64)>;
    let own: Rc<RefCell<Option<Frame>>> = Rc::default();
    let again = Rc::clone(&own);
    let ask = |frame: &Frame| {
        if let Some(window) = web_sys::window() {
            let asked = window.request_animation_frame(frame.as_ref().unchecked_ref());
            debug_assert!(asked.is_ok(), "a window gives animation frames");
        }
    };
    let frame = Frame::new(move |now_ms: f64| {
        let Some(turn) = turn.upgrade() else { return };
        let goes_on = turn.borrow_mut().as_mut().is_some_and(|turn| {
            turn.frame(now_ms);
            true
        });
        if let Some(frame) = again.borrow().as_ref().filter(|_| goes_on) {
            ask(frame);
        }
    });
    ask(&frame);
    *own.borrow_mut() = Some(frame);
}

/// Where a client stands, for what is laid over the stage.
pub(crate) fn focus_actor(focus: Option<&Focus>) -> Option<ActorId> {
    match focus {
        Some(Focus::Actor(id)) => Some(*id),
        Some(
            Focus::Message(..)
            | Focus::Partition(..)
            | Focus::Queue(_)
            | Focus::Group(_)
            | Focus::Exchange(_),
        )
        | None => None,
    }
}
