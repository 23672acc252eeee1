//! The bar on top: the scenario, its seed, the broker that is looked at, theme and help.

use fanlight_web::world::LinkState;
use web_sys::{HtmlInputElement, InputEvent, SubmitEvent};
use yew::prelude::*;

use super::address::socket_here;
use super::icons;
use super::wish::{TimeWish, Wish};
use crate::hold::Hold;

/// What the bar is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) theme: AttrValue,
    pub(crate) is_attach_open: bool,
    pub(crate) wish: Callback<Wish>,
}

/// The bar.
#[component]
pub(crate) fn Top(props: &Props) -> Html {
    let wish = &props.wish;
    let link = props.world.borrow().link_state();
    let clock = props.world.borrow().clock();
    let scenario = match &link {
        LinkState::InPage => "Order flow, on a broker in this page".to_owned(),
        LinkState::Connecting { url }
        | LinkState::Attached { url }
        | LinkState::Failed { url, .. } => {
            format!("Watching {}", host_of(url))
        }
    };
    let to_light = &*props.theme == "dark";
    html! {
        <header class="top">
            <h1 class="brand">{ icons::brand() }<span>{"Fanlight"}</span></h1>
            <div class="scenario">{ scenario }</div>
            <div class="gap"></div>
            if clock.is_ours {
                <Seed seed={clock.seed} wish={wish.clone()} />
            }
            <button class="button attach" aria-expanded={props.is_attach_open.to_string()}
                aria-haspopup="dialog"
                onclick={wish.reform({
                    let open = !props.is_attach_open;
                    move |_: MouseEvent| Wish::AttachForm(open)
                })}>
                <span class={classes!("mark", link_class(&link))}></span>
                { link_word(&link) }
            </button>
            <button class="button quiet icon"
                aria-label={if to_light { "Light theme" } else { "Dark theme" }}
                title={if to_light { "Light theme (t)" } else { "Dark theme (t)" }}
                onclick={wish.reform(|_: MouseEvent| Wish::Theme)}>{ icons::theme() }</button>
            <button class="button quiet icon" aria-label="Help" title="Help (?)"
                onclick={wish.reform(|_: MouseEvent| Wish::Help(true))}>{ icons::help() }</button>
            if props.is_attach_open {
                <AttachForm {link} wish={wish.clone()} />
            }
        </header>
    }
}

fn link_class(link: &LinkState) -> &'static str {
    match link {
        LinkState::InPage => "is-ready",
        LinkState::Connecting { .. } => "is-leased",
        LinkState::Attached { .. } => "is-settled",
        LinkState::Failed { .. } => "is-dead",
    }
}

fn link_word(link: &LinkState) -> String {
    match link {
        LinkState::InPage => "This page".to_owned(),
        LinkState::Connecting { .. } => "Connecting…".to_owned(),
        LinkState::Attached { url } => host_of(url).to_owned(),
        LinkState::Failed { .. } => "Not reached".to_owned(),
    }
}

/// The host and port of a socket's address.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[derive(Properties, PartialEq)]
struct SeedProps {
    seed: u64,
    wish: Callback<Wish>,
}

#[component]
fn Seed(props: &SeedProps) -> Html {
    let typed = use_state(|| props.seed.to_string());
    use_effect_with(props.seed, {
        let typed = typed.setter();
        move |seed| typed.set(seed.to_string())
    });
    let oninput = {
        let typed = typed.setter();
        Callback::from(move |event: InputEvent| {
            let field: HtmlInputElement = event.target_unchecked_into();
            typed.set(field.value());
        })
    };
    let onsubmit = {
        let (wish, seed) = (props.wish.clone(), typed.trim().parse().unwrap_or(props.seed));
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            wish.emit(Wish::Time(TimeWish::Restart(seed)));
        })
    };
    html! {
        <form class="row" {onsubmit}>
            <label class="field seed" title="The same seed gives the same run, event for event">
                <span>{"Seed"}</span>
                <input name="seed" type="text" inputmode="numeric" pattern="[0-9]{1,19}"
                    title="A whole number of at most 19 digits" aria-label="Seed"
                    autocomplete="off" value={(*typed).clone()} {oninput} />
            </label>
            <button class="button icon" type="submit" aria-label="Begin again from this seed"
                title="Begin again from this seed">{ icons::restart() }</button>
        </form>
    }
}

#[derive(Properties, PartialEq)]
struct AttachProps {
    link: LinkState,
    wish: Callback<Wish>,
}

#[component]
fn AttachForm(props: &AttachProps) -> Html {
    let url = use_state(|| match &props.link {
        LinkState::InPage => {
            web_sys::window().map(|window| socket_here(&window)).unwrap_or_default()
        }
        LinkState::Connecting { url }
        | LinkState::Attached { url }
        | LinkState::Failed { url, .. } => url.clone(),
    });
    let token = use_state(String::new);
    let typed = |into: &UseStateHandle<String>| {
        let into = into.clone();
        Callback::from(move |event: InputEvent| {
            let field: HtmlInputElement = event.target_unchecked_into();
            into.set(field.value());
        })
    };
    let onsubmit = {
        let (url, token, wish) = (url.clone(), token.clone(), props.wish.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            wish.emit(Wish::Attach { url: (*url).clone(), token: (*token).clone() });
        })
    };
    let close = props.wish.reform(|_: MouseEvent| Wish::AttachForm(false));
    let onkeydown = props.wish.clone();
    let onkeydown = Callback::from(move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            onkeydown.emit(Wish::AttachForm(false));
        }
    });
    let is_away = props.link != LinkState::InPage;
    html! {
        <div class="popover" role="dialog" aria-label="Which broker to look at" {onkeydown}>
            <h2>{"Which broker to look at"}</h2>
            { match &props.link {
                LinkState::InPage => html! {
                    <p>{"Now: the one in this page. A running "}<code>{"fanlight serve"}</code>
                        {" can be watched and driven through the same panels."}</p>
                },
                LinkState::Connecting { url } => html! {
                    <p role="status">{ format!("Connecting to {url} …") }</p>
                },
                LinkState::Attached { url } => html! {
                    <p role="status">{ format!("Attached to {url}.") }</p>
                },
                LinkState::Failed { sentence, .. } => html! {
                    <p class="wrong" role="alert">{ sentence }</p>
                },
            } }
            <form {onsubmit}>
                <div class="row">
                    <input class="input" aria-label="Address of the server's socket"
                        spellcheck="false" autocomplete="off" placeholder="ws://127.0.0.1:7420/ws"
                        value={(*url).clone()} oninput={typed(&url)} />
                    <button class="button primary" type="submit">{"Attach"}</button>
                </div>
                <div class="row popover-token">
                    <input class="input" type="password" aria-label="Token" spellcheck="false"
                        autocomplete="off" placeholder="Token, if the server has users"
                        title="fanlight users token NAME makes one. The page keeps it until it is \
                               closed or reloaded."
                        value={(*token).clone()} oninput={typed(&token)} />
                </div>
            </form>
            <div class="row popover-foot">
                if is_away {
                    <button class="button" onclick={props.wish.reform(|_: MouseEvent| Wish::Detach)}>
                        {"Back to this page's broker"}</button>
                }
                <button class="button quiet" onclick={close}>{"Close"}</button>
            </div>
        </div>
    }
}
