//! The keyboard: what each key wants, unless something else is being typed into.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};

use super::wish::{Tab, TimeWish, Wish};

/// Every key and what it does, as the help tells it.
pub(crate) const KEYS: [(&str, &str); 10] = [
    ("Space", "run, or hold time"),
    (".", "step to the next thing that happens"),
    (",", "step back"),
    ("+ −", "faster, slower: in the clock's speed buttons"),
    ("/", "filter the event log"),
    ("d", "dead letters"),
    ("p", "everything on the stage, in words"),
    ("t", "light or dark"),
    ("Esc", "look at nothing in particular"),
    ("?", "this help"),
];

/// What a key press wants.
pub(crate) fn wish(event: &KeyboardEvent) -> Option<Wish> {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return None;
    }
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let tag = target.as_ref().map(|target| target.tag_name()).unwrap_or_default();
    if matches!(tag.as_str(), "INPUT" | "TEXTAREA" | "SELECT") && !is_choice(target.as_ref()) {
        return None;
    }
    if target.is_some_and(|target| target.closest("dialog[open]").ok().flatten().is_some()) {
        return None;
    }
    let key = event.key();
    match key.as_str() {
        // A button in focus is pressed by the space bar.
        " " if tag == "BUTTON" || tag == "INPUT" => None,
        " " => Some(Wish::Time(TimeWish::Toggle)),
        "." => Some(Wish::Time(TimeWish::Step)),
        "," => Some(Wish::Time(TimeWish::StepBack)),
        "+" | "=" => speed_button("faster"),
        "-" | "−" => speed_button("slower"),
        "/" => focus_filter(),
        "d" => Some(Wish::Show(Tab::Dead)),
        "p" => Some(Wish::Show(Tab::Parts)),
        "t" => Some(Wish::Theme),
        "?" => Some(Wish::Help(true)),
        "Escape" => Some(Wish::Look(None)),
        _ => None,
    }
}

/// Takes the focus off a button that a pointer pressed: who clicked “Crash” and then holds time
/// with the space bar does not want to crash it again. The keyboard goes on from there all the same.
pub(crate) fn release(event: &MouseEvent) {
    let by_pointer = event.detail() > 0;
    let active = web_sys::window().and_then(|w| w.document()).and_then(|d| d.active_element());
    let pressed = active.filter(|active| by_pointer && active.tag_name() == "BUTTON");
    if let Some(pressed) = pressed.and_then(|pressed| pressed.dyn_into::<HtmlElement>().ok()) {
        pressed.blur().unwrap_or_default();
    }
}

/// Whether it is a radio button or a box to tick, into which nothing is typed.
fn is_choice(target: Option<&Element>) -> bool {
    let kind = target.and_then(|target| target.get_attribute("type"));
    matches!(kind.as_deref(), Some("radio" | "checkbox" | "range"))
}

fn element(selector: &str) -> Option<HtmlElement> {
    let document = web_sys::window()?.document()?;
    document.query_selector(selector).ok()??.dyn_into().ok()
}

/// Presses the speed button beside the one that is on.
fn speed_button(which: &str) -> Option<Wish> {
    let data = element(".speeds")?.get_attribute(&format!("data-{which}"))?;
    data.parse().ok().map(|speed| Wish::Time(TimeWish::Speed(speed)))
}

/// The log's filter is not part of the page's state, so it is only given the focus.
fn focus_filter() -> Option<Wish> {
    element(".filter input")?.focus().ok()?;
    Some(Wish::Sheet(super::wish::Sheet::Time))
}
