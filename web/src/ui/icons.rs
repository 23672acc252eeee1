//! The few signs on buttons.

use yew::prelude::*;

fn icon(path: &'static str) -> Html {
    html! { <svg viewBox="0 0 16 16" aria-hidden="true"><path d={path} /></svg> }
}

pub(crate) fn play() -> Html {
    icon("M4 2.5v11l9-5.5z")
}

pub(crate) fn pause() -> Html {
    icon("M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z")
}

pub(crate) fn step() -> Html {
    icon("M3 2.5v11l7-5.5zM11 2.5h2v11h-2z")
}

pub(crate) fn step_back() -> Html {
    icon("M13 2.5v11L6 8zM3 2.5h2v11H3z")
}

pub(crate) fn restart() -> Html {
    icon(
        "M8 2.6a5.4 5.4 0 1 0 5.3 6.4h-1.7A3.8 3.8 0 1 1 8 4.2c1 0 2 .4 2.7 1.1L8.6 7.4H14V2l-2.1 2.1A5.4 \
         5.4 0 0 0 8 2.6z",
    )
}

pub(crate) fn theme() -> Html {
    icon("M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 3v10a5 5 0 0 1 0-10z")
}

pub(crate) fn help() -> Html {
    icon(
        "M7 10.2h1.9c0-1.9 2.6-2.2 2.6-4.7C11.5 3.600 10 2.300 8 2.300S4.600 3.5 4.400 5.400h1.900C6.5 \
         4.5 7.100 4 8 4s1.600.5 1.600 1.500C9.600 7.200 7 7.400 7 10.200zM6.900 11.800h2.100v2.100H6.900z",
    )
}

/// The mark: a fanlight, the window above a door.
pub(crate) fn brand() -> Html {
    html! {
        <svg viewBox="0 0 32 32" aria-hidden="true" fill="none" stroke-width="2.4"
            stroke-linecap="round" stroke-linejoin="round">
            <path d="M4 25a12 12 0 0 1 24 0z" stroke="currentColor" />
            <path d="M16 25V13M16 25 7.5 16.500M16 25l8.5-8.5" stroke="var(--ready)" />
        </svg>
    }
}
