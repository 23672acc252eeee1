//! What the user wants, as the panels say it to the page.

use fanlight_web::world::Act;

use crate::focus::Focus;

/// One thing that the user wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// To do something to the world.
    Do(Act),
    /// To look at something, or at nothing in particular.
    Look(Option<Focus>),
    /// To have a tab of the inspector in front.
    Show(Tab),
    /// Under 900 px: to have one of the panels in the sheet.
    Sheet(Sheet),
    /// To be elsewhere in time, or to go through it otherwise.
    Time(TimeWish),
    /// To look at a server.
    Attach {
        /// At this address.
        url: String,
        /// What says who it is; empty where nobody asks.
        token: String,
    },
    /// To come back to the broker in the page.
    Detach,
    /// The other theme.
    Theme,
    /// To read how this works, or to close that.
    Help(bool),
    /// The form for the address of a server, opened or closed.
    AttachForm(bool),
    /// To put away what was last said.
    Dismiss,
}

/// What the user wants of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TimeWish {
    /// To have time run if it stands, and stand if it runs.
    Toggle,
    /// To see the next thing that happens.
    Step,
    /// To be where the last thing had not happened yet.
    StepBack,
    /// To be at an instant of this run, in nanoseconds.
    Seek(u64),
    /// Another speed.
    Speed(f64),
    /// To begin again from a seed.
    Restart(u64),
}

/// The inspector's tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    /// What is in focus.
    #[default]
    Focus,
    /// Everything there is, in words.
    Parts,
    /// Dead letters.
    Dead,
    /// What the run comes to.
    Ledger,
}

/// The panels that share the sheet of a narrow page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sheet {
    #[default]
    Lesson,
    Inspector,
    Time,
}

impl Sheet {
    pub(crate) const ALL: [(Sheet, &'static str, &'static str); 3] = [
        (Sheet::Lesson, "lesson", "Lessons"),
        (Sheet::Inspector, "inspector", "Inspector"),
        (Sheet::Time, "time", "Event log"),
    ];
}
