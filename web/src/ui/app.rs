//! The page: it holds the world, what is in focus and what the panels show, and grants wishes.

use fanlight_core::Time;
use fanlight_web::world::{Notice, World};
use gloo_timers::callback::Interval;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::KeyboardEvent;
use yew::prelude::*;

use super::address::Address;
use super::clients::Hands;
use super::help::Help;
use super::inspector::Inspector;
use super::keys;
use super::lesson::Lessons;
use super::speech::Speech;
use super::timeline::Timeline;
use super::top::Top;
use super::wish::{Sheet, Tab, TimeWish, Wish};
use crate::focus::Focus;
use crate::hold::Hold;
use crate::stage::{Seen, Stage};

/// The run that a page without a seed in its address opens on.
const SEED: u64 = 7;
/// How often there is something to look after although nothing moves.
const BEAT_MS: u32 = 500;
/// Beats for which a notice stands.
const NOTICE_BEATS: u64 = 16;

/// The component.
pub(crate) struct App {
    world: Hold,
    /// The same one for every drawing, so that a panel is not drawn again for it.
    wish: Callback<Wish>,
    on_pulse: Callback<Seen>,
    on_focus: Callback<Option<Focus>>,
    /// Of the run in this page that is gone back to from a server.
    seed: u64,
    pulse: u64,
    seen: Seen,
    focus: Option<Focus>,
    tab: Tab,
    sheet: Sheet,
    theme: AttrValue,
    is_help_open: bool,
    is_attach_open: bool,
    notice: Option<(Notice, u64)>,
    _keys: Closure<dyn FnMut(KeyboardEvent)>,
    _clicks: Closure<dyn FnMut(MouseEvent)>,
    _beat: Interval,
}

/// What comes to it.
pub(crate) enum Msg {
    /// The stage says that something changed.
    Pulse(Seen),
    /// Time passed: what was said is put away, even on a stage where nothing moves.
    Beat,
    Wish(Wish),
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let window = web_sys::window().expect("a page has a window");
        let address = Address::read(&window);
        let seed = address.seed.unwrap_or(SEED);
        let mut world = World::in_page(seed);
        world.play();
        let mut notice = None;
        if let Some(url) = address.attach {
            notice = world.attach(&url, None).err().map(problem);
        }
        let wish = ctx.link().callback(Msg::Wish);
        let pressed = wish.clone();
        let keys = Closure::<dyn FnMut(KeyboardEvent)>::new(move |event: KeyboardEvent| {
            if let Some(wanted) = keys::wish(&event) {
                event.prevent_default();
                pressed.emit(wanted);
            }
        });
        let listener = keys.as_ref().unchecked_ref();
        let listens = window.add_event_listener_with_callback("keydown", listener);
        debug_assert!(listens.is_ok(), "a window can be listened to");
        let clicks =
            Closure::<dyn FnMut(MouseEvent)>::new(|event: MouseEvent| keys::release(&event));
        let listener = clicks.as_ref().unchecked_ref();
        let listens = window.add_event_listener_with_callback("click", listener);
        debug_assert!(listens.is_ok(), "a window can be listened to");
        let link = ctx.link().clone();
        App {
            world: Hold::new(world),
            on_pulse: ctx.link().callback(Msg::Pulse),
            on_focus: wish.reform(Wish::Look),
            wish,
            seed,
            pulse: 0,
            seen: Seen::default(),
            focus: None,
            tab: Tab::Focus,
            sheet: Sheet::Lesson,
            theme: theme_now().into(),
            is_help_open: false,
            is_attach_open: false,
            notice: notice.map(|notice| (notice, NOTICE_BEATS)),
            _keys: keys,
            _clicks: clicks,
            _beat: Interval::new(BEAT_MS, move || link.send_message(Msg::Beat)),
        }
    }

    fn update(&mut self, _: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Pulse(seen) => {
                self.pulse += 1;
                self.seen = seen;
                self.hear();
                true
            }
            Msg::Beat => {
                self.keep_alive();
                let is_over = self.notice.as_ref().is_some_and(|(_, left)| *left == 0);
                if let Some((_, left)) = &mut self.notice {
                    *left = left.saturating_sub(1);
                }
                if is_over {
                    self.notice = None;
                }
                self.hear();
                let stands = !self.world.borrow().clock().is_running;
                self.pulse += u64::from(stands);
                is_over || stands
            }
            Msg::Wish(wish) => {
                self.pulse += 1;
                self.grant(wish);
                self.hear();
                true
            }
        }
    }

    fn view(&self, _: &Context<Self>) -> Html {
        let wish = self.wish.clone();
        let (on_pulse, on_focus) = (self.on_pulse.clone(), self.on_focus.clone());
        let sheet = Sheet::ALL.iter().find(|(sheet, ..)| *sheet == self.sheet);
        let (world, pulse, focus) = (self.world.clone(), self.pulse, self.focus.clone());
        html! {
            <div class="app" data-sheet={sheet.map(|(_, name, _)| *name)}>
                <a class="skip" href="#inspector">{"Skip to the inspector"}</a>
                <Top world={&world} {pulse} theme={self.theme.clone()} wish={wish.clone()}
                    is_attach_open={self.is_attach_open} />
                <Lessons world={&world} {pulse} wish={wish.clone()} />
                <main class="stage-place" aria-label="Stage">
                    <Stage world={&world} focus={focus.clone()} theme={self.theme.clone()}
                        {on_focus} {on_pulse}>
                        <Hands world={&world} {pulse} focus={focus.clone()}
                            at={self.seen.focus_at} wish={wish.clone()} />
                        { self.view_notice(&wish) }
                    </Stage>
                </main>
                <Inspector world={&world} {pulse} {focus} tab={self.tab} wish={wish.clone()} />
                <Timeline world={&world} {pulse} focus={self.focus.clone()} wish={wish.clone()} />
                { self.view_sheet_tabs(&wish) }
                <Speech world={&world} {pulse} />
                <Help is_open={self.is_help_open} {wish} />
            </div>
        }
    }
}

impl App {
    fn view_notice(&self, wish: &Callback<Wish>) -> Html {
        let Some((notice, _)) = &self.notice else { return Html::default() };
        let dismiss = wish.reform(|_: MouseEvent| Wish::Dismiss);
        html! {
            <div class={classes!("notice", notice.is_problem.then_some("wrong"))} role="status">
                <span>{ &notice.sentence }</span>
                <button class="button quiet" onclick={dismiss}>{"Dismiss"}</button>
            </div>
        }
    }

    fn view_sheet_tabs(&self, wish: &Callback<Wish>) -> Html {
        html! {
            <nav class="sheet-tabs tabs" role="tablist" aria-label="Panels">
                { for Sheet::ALL.iter().map(|(sheet, name, title)| html! {
                    <button key={*name} role="tab"
                        aria-selected={(*sheet == self.sheet).to_string()}
                        onclick={wish.reform(|_: MouseEvent| Wish::Sheet(*sheet))}>
                        { *title }
                    </button>
                }) }
            </nav>
        }
    }

    /// A tab in the background gets no frames; its clients on a server would be taken for dead.
    fn keep_alive(&self) {
        let window = web_sys::window().expect("a page has a window");
        let is_hidden = window.document().is_some_and(|document| document.hidden());
        let mut world = self.world.borrow_mut();
        if is_hidden && !world.clock().is_ours {
            let now_ms = window.performance().map_or(0.0, |performance| performance.now());
            world.frame(now_ms);
        }
    }

    /// Takes what the world has to say.
    fn hear(&mut self) {
        let said = self.world.borrow_mut().take_notices().pop();
        if let Some(notice) = said {
            self.notice = Some((notice, NOTICE_BEATS));
        }
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.notice = Some((problem(sentence.into()), NOTICE_BEATS));
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Do(act) => {
                let done = self.world.borrow_mut().act(act);
                if let Err(sentence) = done {
                    self.say(sentence);
                }
            }
            Wish::Look(focus) => {
                if focus.is_some() {
                    self.tab = Tab::Focus;
                    self.sheet = Sheet::Inspector;
                }
                self.focus = focus;
            }
            Wish::Show(tab) => {
                self.tab = tab;
                self.sheet = Sheet::Inspector;
            }
            Wish::Sheet(sheet) => self.sheet = sheet,
            Wish::Theme => self.turn_theme(),
            Wish::Help(is_open) => self.is_help_open = is_open,
            Wish::AttachForm(is_open) => self.is_attach_open = is_open,
            Wish::Dismiss => self.notice = None,
            Wish::Time(wish) => self.move_time(wish),
            Wish::Attach { url, token } => self.change_broker(Some((&url, &token))),
            Wish::Detach => self.change_broker(None),
        }
    }

    fn move_time(&mut self, wish: TimeWish) {
        let mut world = self.world.borrow_mut();
        let clock = world.clock();
        let needs_own_clock = !matches!(wish, TimeWish::Toggle | TimeWish::Speed(_));
        if needs_own_clock && !clock.is_ours {
            drop(world);
            self.say("A server's time is its own: it can be watched, not stepped or rewound.");
            return;
        }
        match wish {
            TimeWish::Toggle if clock.is_running => world.pause(),
            TimeWish::Toggle => world.play(),
            TimeWish::Speed(speed) => world.set_speed(speed),
            TimeWish::Step => world.step(),
            TimeWish::StepBack => {
                let newest = world.picture().log.back().map(|line| line.at);
                world.pause();
                world.seek(newest.map_or(Time::ZERO, |at| Time(at.0.saturating_sub(1))));
                self.world.begin_again();
            }
            TimeWish::Seek(to) => {
                world.seek(Time(to));
                self.world.begin_again();
            }
            TimeWish::Restart(seed) => {
                world.restart(seed);
                world.play();
                drop(world);
                self.world.begin_again();
                (self.focus, self.seed) = (None, seed);
            }
        }
    }

    /// Goes to the server at an address, with a token or an empty one, or back to the broker in the page.
    fn change_broker(&mut self, server: Option<(&str, &str)>) {
        let mut world = self.world.borrow_mut();
        let outcome = match server {
            Some((url, token)) => {
                let token = Some(token.trim()).filter(|token| !token.is_empty());
                world.attach(url.trim(), token)
            }
            None => {
                world.detach(self.seed);
                world.play();
                Ok(())
            }
        };
        drop(world);
        self.world.begin_again();
        self.focus = None;
        match outcome {
            Ok(()) => self.notice = None,
            Err(sentence) => self.say(sentence),
        }
    }

    fn turn_theme(&mut self) {
        let theme = if &*self.theme == "light" { "dark" } else { "light" };
        let window = web_sys::window().expect("a page has a window");
        let root = window.document().and_then(|document| document.document_element());
        if let Some(root) = root {
            root.set_attribute("data-theme", theme).unwrap_or_default();
        }
        // A page without storage forgets the theme, and works.
        if let Ok(Some(storage)) = window.local_storage() {
            storage.set_item("fanlight.theme", theme).unwrap_or_default();
        }
        self.theme = theme.into();
    }
}

fn problem(sentence: String) -> Notice {
    Notice { is_problem: true, sentence }
}

fn theme_now() -> String {
    let document = web_sys::window().and_then(|window| window.document());
    let root = document.and_then(|document| document.document_element());
    root.and_then(|root| root.get_attribute("data-theme")).unwrap_or_else(|| "dark".to_owned())
}
