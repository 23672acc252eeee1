//! The world: a broker, the clients around it, the clock, and what the user does to them.

mod act;

pub use act::{Act, Answer, Clock, LinkState, Notice, Question, Script, ShownMessage, Ticket};

use fanlight_core::Time;

use crate::picture::Picture;

/// A broker with the order flow around it. In the page it is a pure function of its seed and of
/// the user's acts with their times; attached to a server, it is a window on what goes on there.
pub struct World {
    picture: Picture,
}

impl World {
    /// The order flow on a broker in this page, running.
    pub fn in_page(_seed: u64) -> World {
        World { picture: Picture::default() }
    }

    /// What to draw. Cheap: nothing is copied.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Called once each animation frame with the page's clock in milliseconds (any origin). Runs
    /// the broker in the page on by the time since the last call times the speed (at most 100 ms of
    /// the page's time a call, so that a hidden tab does not come back to a storm); attached, hands
    /// on what the sockets brought.
    pub fn frame(&mut self, _wall_ms: f64) {}

    /// Lets time run.
    pub fn play(&mut self) {}

    /// Holds time. Attached, it holds only the picture's clock: a server does not wait.
    pub fn pause(&mut self) {}

    /// Runs on to the next thing that happens, and pauses. In the page only.
    pub fn step(&mut self) {}

    /// How fast the broker's time runs against the page's: 0.1 to 64.
    pub fn set_speed(&mut self, _speed: f64) {}

    /// Begins again, at time zero, from a seed. In the page only.
    pub fn restart(&mut self, _seed: u64) {}

    /// Goes to an instant of this run, back or forth, by running it again from its beginning. Acts
    /// after that instant are kept until the user acts anew. In the page only.
    pub fn seek(&mut self, _to: Time) {}

    /// How time stands.
    pub fn clock(&self) -> Clock {
        Clock { is_ours: true, is_running: false, speed: 1.0, now: Time::ZERO, seed: 0 }
    }

    /// Does something to the world, now, and remembers it for the script. What is wrong with it is
    /// said in the error; what the broker makes of it appears in the log and in the notices.
    pub fn act(&mut self, _act: Act) -> Result<(), String> {
        Ok(())
    }

    /// The run so far, as a link may share it.
    pub fn script(&self) -> Script {
        Script { version: Script::VERSION, seed: 0, acts: Vec::new(), until: Time::ZERO }
    }

    /// A run from its script, at the script's end, paused.
    pub fn from_script(_script: &Script) -> Result<World, String> {
        Ok(World::in_page(0))
    }

    /// Asks the broker something. It changes nothing and is not part of the script. In the page
    /// the answer is there at once.
    pub fn ask(&mut self, _question: Question) -> Ticket {
        Ticket(0)
    }

    /// The answer to a question, once it is there; it can be taken once.
    pub fn answer(&mut self, _ticket: Ticket) -> Option<Answer> {
        None
    }

    /// Short things to say to the user that came up since the last call: refusals, counts.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Leaves the broker in the page for the server at `ws://…` or `wss://…`.
    #[cfg(target_arch = "wasm32")]
    pub fn attach(&mut self, _url: &str) -> Result<(), String> {
        Ok(())
    }

    /// Comes back to a broker in the page, from the beginning.
    pub fn detach(&mut self) {}

    /// How the way to the broker is.
    pub fn link_state(&self) -> LinkState {
        LinkState::InPage
    }
}
