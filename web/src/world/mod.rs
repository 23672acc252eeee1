//! The world: a broker, the clients around it, the clock, and what the user does to them.

mod act;
mod actor;
mod attached;
mod flow;
mod member;
pub mod orders;
mod page;
mod rng;
pub mod scenario;
mod shop;
#[cfg(test)]
mod tests;
mod worker;

pub use act::{Act, Answer, Clock, LinkState, Notice, Question, Script, ShownMessage, Ticket};

use std::collections::VecDeque;

use fanlight_core::{Span, Time};

use crate::link::Link;
use crate::picture::{Picture, Tally};
use attached::Attached;
use page::Page;

/// The slowest and the fastest that broker time runs against the page's.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=64.0;
/// The page's time that one frame covers at most, so that a hidden tab does not come back to a
/// storm.
const FRAME_MS_MAX: f64 = 100.0;

/// A broker with the order flow around it. In the page it is a pure function of its seed and of
/// the user's acts with their times; attached to a server, it is a window on what goes on there.
pub struct World {
    mode: Mode,
    is_running: bool,
    speed: f64,
    wall_ms: Option<f64>,
    tickets: u64,
    /// Revisions of pictures that were left: what is drawn anew must be known as new.
    revisions_before: u64,
    layouts_before: u64,
}

#[expect(clippy::large_enum_variant, reason = "there is one of it")]
enum Mode {
    Page(Page),
    Attached(Attached),
}

/// Does the same with the flow, wherever it is.
macro_rules! flow {
    ($world:expr, $flow:ident, $now:ident => $do:expr) => {
        match &mut $world.mode {
            Mode::Page(page) => {
                let $now = page.now();
                let $flow = page.flow_mut();
                $do
            }
            Mode::Attached(attached) => {
                let $now = attached.now();
                let $flow = attached.flow_mut();
                $do
            }
        }
    };
}

impl World {
    /// The order flow on a broker in this page, running.
    pub fn in_page(seed: u64) -> World {
        World::of(Mode::Page(Page::new(seed)), true)
    }

    fn of(mode: Mode, is_running: bool) -> World {
        World {
            mode,
            is_running,
            speed: 1.0,
            wall_ms: None,
            tickets: 0,
            revisions_before: 0,
            layouts_before: 0,
        }
    }

    /// What to draw. Cheap: nothing is copied.
    pub fn picture(&self) -> &Picture {
        match &self.mode {
            Mode::Page(page) => page.flow().picture(),
            Mode::Attached(attached) => attached.flow().picture(),
        }
    }

    /// Changes whenever anything that is drawn has changed, also over a seek, a restart and an
    /// attach: an idle stage draws nothing.
    pub fn revision(&self) -> u64 {
        self.revisions_before + self.picture().revision
    }

    /// Changes whenever parts came or went: then the layout has to be made again.
    pub fn layout_revision(&self) -> u64 {
        self.layouts_before + self.picture().layout_revision
    }

    /// Called once each animation frame with the page's clock in milliseconds (any origin, as long
    /// as it rises). Runs the broker in the page on by the time since the last call times the
    /// speed, at most 100 ms of the page's time a call; attached, hands on what has come.
    pub fn frame(&mut self, wall_ms: f64) {
        let since = self.wall_ms.map_or(0.0, |before| (wall_ms - before).clamp(0.0, FRAME_MS_MAX));
        self.wall_ms = Some(wall_ms);
        match &mut self.mode {
            Mode::Page(page) if self.is_running => {
                page.run_to(page.now() + Span((since * self.speed * 1e6) as u64));
            }
            Mode::Page(_) => {}
            Mode::Attached(attached) => attached.frame(wall_ms),
        }
    }

    /// Runs the broker in the page on by so much of its own time, whether it is paused or not.
    /// Attached it does nothing: a server's time is its own.
    pub fn advance(&mut self, by: Span) {
        if let Mode::Page(page) = &mut self.mode {
            page.run_to(page.now() + by);
        }
    }

    /// Lets time run.
    pub fn play(&mut self) {
        self.is_running = true;
    }

    /// Holds time. In the page only: a server does not wait.
    pub fn pause(&mut self) {
        self.is_running = matches!(self.mode, Mode::Attached(_));
    }

    /// Runs on to the next thing that happens, and pauses. In the page only.
    pub fn step(&mut self) {
        if let Mode::Page(page) = &mut self.mode {
            self.is_running = false;
            page.step();
        }
    }

    /// How fast the broker's time runs against the page's; held within [`SPEEDS`].
    pub fn set_speed(&mut self, speed: f64) {
        if speed.is_finite() {
            self.speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        }
    }

    /// Begins again in the page, at time zero, from a seed.
    pub fn restart(&mut self, seed: u64) {
        self.replace(Mode::Page(Page::new(seed)));
    }

    /// Goes to an instant of this run, back or forth, by running it again from before. Acts after
    /// that instant are kept, and done again when their time comes, until the user acts anew. In
    /// the page only.
    pub fn seek(&mut self, to: Time) {
        let before = (self.revision(), self.layout_revision());
        if let Mode::Page(page) = &mut self.mode {
            page.seek(to.min(Time::ZERO + page::RUN_MAX));
        }
        self.rise_above(before);
    }

    fn replace(&mut self, mode: Mode) {
        let before = (self.revision(), self.layout_revision());
        self.mode = mode;
        self.rise_above(before);
    }

    /// Keeps revisions rising over a change of the picture.
    fn rise_above(&mut self, (revision, layout): (u64, u64)) {
        self.revisions_before = revision + 1;
        self.layouts_before = layout + 1;
    }

    /// How time stands.
    pub fn clock(&self) -> Clock {
        match &self.mode {
            Mode::Page(page) => Clock {
                is_ours: true,
                is_running: self.is_running,
                speed: self.speed,
                now: page.now(),
                reached: page.reached(),
                seed: page.seed(),
            },
            Mode::Attached(attached) => Clock {
                is_ours: false,
                is_running: true,
                speed: 1.0,
                now: attached.now(),
                reached: attached.now(),
                seed: 0,
            },
        }
    }

    /// The run second by second, also ahead of now where time was gone back over: for the minimap.
    pub fn tallies(&self) -> &VecDeque<Tally> {
        match &self.mode {
            Mode::Page(page) => page.tallies(),
            Mode::Attached(attached) => &attached.flow().picture().tallies,
        }
    }

    /// Does something to the world, now, and remembers it for the script. What is wrong with it is
    /// said in the error; what the broker makes of it appears in the log and in the notices.
    pub fn act(&mut self, act: Act) -> Result<(), String> {
        match &mut self.mode {
            Mode::Page(page) => page.act(act),
            Mode::Attached(attached) => {
                let now = attached.now();
                attached.flow_mut().act(now, &act)
            }
        }
    }

    /// The run so far, as a link may share it; None while attached: a server's run is its own.
    pub fn script(&self) -> Option<Script> {
        match &self.mode {
            Mode::Page(page) => Some(page.script()),
            Mode::Attached(_) => None,
        }
    }

    /// A run from its script, at the script's end, paused.
    pub fn from_script(script: &Script) -> Result<World, String> {
        Ok(World::of(Mode::Page(Page::from_script(script)?), false))
    }

    /// Asks the broker something. It changes nothing and is not part of the script. In the page
    /// the answer is there at once.
    pub fn ask(&mut self, question: Question) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        flow!(self, flow, now => flow.ask(now, ticket, question));
        ticket
    }

    /// The answer to a question, once it is there; it can be taken once.
    pub fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        flow!(self, flow, _now => flow.answer(ticket))
    }

    /// Short things to say to the user that came up since the last call: refusals, counts.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        flow!(self, flow, _now => std::mem::take(&mut flow.notices))
    }

    /// How many of this page's orders the broker has confirmed.
    pub fn confirmed(&self) -> u64 {
        match &self.mode {
            Mode::Page(page) => page.flow().confirmed(),
            Mode::Attached(attached) => attached.flow().confirmed(),
        }
    }

    /// Leaves the broker in the page for the server at an address as people type it
    /// (`ws://127.0.0.1:7420`). What becomes of it is told by [`World::link_state`]. The
    /// server is left as it is until the user starts an actor: then it gets the order flow's
    /// exchange, topic and queues, as far as they are not there. Where the server has users, a token
    /// says which of them this is.
    pub fn attach(&mut self, typed: &str, token: Option<&str>) -> Result<(), String> {
        let url = crate::link::address(typed)?;
        #[cfg(target_arch = "wasm32")]
        {
            self.attach_through(Box::new(crate::link::SocketLink::new(&url, token)), &url);
            Ok(())
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = token;
            Err(format!("{url} cannot be reached: WebSockets are a browser's, and this is none"))
        }
    }

    /// The same, through a link that there is already.
    pub fn attach_through(&mut self, link: Box<dyn Link>, url: &str) {
        let (seed, wall_ms) = (self.clock().seed, self.wall_ms.unwrap_or(0.0));
        self.replace(Mode::Attached(Attached::new(link, url, seed, wall_ms)));
        self.is_running = true;
    }

    /// Comes back to a broker in the page, from the beginning.
    pub fn detach(&mut self, seed: u64) {
        self.restart(seed);
    }

    /// How the way to the broker is.
    pub fn link_state(&self) -> LinkState {
        match &self.mode {
            Mode::Page(_) => LinkState::InPage,
            Mode::Attached(attached) => attached.state().clone(),
        }
    }

    #[cfg(test)]
    fn page(&self) -> &Page {
        match &self.mode {
            Mode::Page(page) => page,
            Mode::Attached(_) => panic!("the broker of this test is in the page"),
        }
    }
}
