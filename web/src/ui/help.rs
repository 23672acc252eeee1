//! How this works, and every key.

use web_sys::HtmlDialogElement;
use yew::prelude::*;

use super::keys::KEYS;
use super::wish::Wish;

/// What the dialog is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) is_open: bool,
    pub(crate) wish: Callback<Wish>,
}

/// The dialog.
#[component]
pub(crate) fn Help(props: &Props) -> Html {
    let place = use_node_ref();
    use_effect_with((props.is_open, place.clone()), |(is_open, place)| {
        if let Some(dialog) = place.cast::<HtmlDialogElement>() {
            if *is_open && !dialog.open() {
                dialog.show_modal().unwrap_or_default();
            } else if !*is_open && dialog.open() {
                dialog.close();
            }
        }
    });
    let onclose = props.wish.reform(|_: Event| Wish::Help(false));
    let close = props.wish.reform(|_: MouseEvent| Wish::Help(false));
    html! {
        <dialog class="help" ref={place} {onclose} aria-label="Help">
            <h2>{"A broker you can see through"}</h2>
            <p>{"What you see is not an animation. A message broker, the same code as the native \
                 server's, runs in this page on a clock of its own; the shop, the groups and the \
                 workers are its clients. Every dot is a message in it. Break something and watch what \
                 the broker does about it, and why: the event log has a reason in every line."}</p>
            <div class="columns">
                <section>
                    <h3>{"Keys"}</h3>
                    <dl class="keys">
                        { for KEYS.iter().map(|(key, what)| html! {
                            <><dt><kbd>{ *key }</kbd></dt><dd>{ *what }</dd></>
                        }) }
                    </dl>
                </section>
                <section>
                    <h3>{"Time"}</h3>
                    <p>{"Time is yours: hold it, step it, or pull the strip above the event log back to \
                         any instant. The same seed with the same actions gives the same run."}</p>
                    <h3>{"A real server"}</h3>
                    <p>{"Start "}<code>{"fanlight serve"}</code>{", press the button that says “This page”, \
                         and give its address. What any client does there appears here."}</p>
                    <h3>{"The orders"}</h3>
                    <p>{"are real: a sample of the Online Retail data set (Daqing Chen, UCI Machine Learning \
                         Repository, 2015, CC BY 4.0)."}</p>
                </section>
            </div>
            <div class="row popover-foot">
                <button class="button primary" onclick={close}>{"Close"}</button>
            </div>
        </dialog>
    }
}
