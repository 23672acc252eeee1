//! The inspector: what is in focus, everything in words, dead letters, the ledger.

use yew::prelude::*;

use super::dead::DeadLetters;
use super::focus_panel::FocusPanel;
use super::ledger::LedgerPanel;
use super::parts::Parts;
use super::wish::{Tab, Wish};
use crate::focus::Focus;
use crate::hold::Hold;

/// What it is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) focus: Option<Focus>,
    pub(crate) tab: Tab,
    pub(crate) wish: Callback<Wish>,
}

/// The panel.
#[component]
pub(crate) fn Inspector(props: &Props) -> Html {
    let (world, pulse, wish) = (props.world.clone(), props.pulse, props.wish.clone());
    // Unseen, and while time runs, the words need not be as quick as the picture.
    let is_quick = props.tab == Tab::Parts || !world.borrow().clock().is_running;
    let parts_pulse = if is_quick { pulse } else { pulse / 4 };
    let dead: u64 = {
        let world = world.borrow();
        let queues = world.picture().queues.iter();
        queues
            .filter(|q| !q.dead_letters_of.is_empty())
            .map(|q| q.ready + q.leased + q.delayed)
            .sum()
    };
    let tab = |tab: Tab, name: &str, count: Option<u64>| {
        html! {
            <button role="tab" aria-selected={(props.tab == tab).to_string()} aria-controls="inspector"
                onclick={props.wish.reform(move |_: MouseEvent| Wish::Show(tab))}>
                { name.to_owned() }
                if let Some(count) = count {
                    <span class={classes!("count", (count > 0).then_some("dead"))}>{ count }</span>
                }
            </button>
        }
    };
    html! {
        <aside class="inspector" aria-label="Inspector">
            <div class="bar tabs" role="tablist" aria-label="Inspector">
                { tab(Tab::Focus, "Focus", None) }
                { tab(Tab::Dead, "Dead letters", Some(dead)) }
                { tab(Tab::Ledger, "Ledger", None) }
                { tab(Tab::Parts, "Parts", None) }
            </div>
            <div class="scroll" id="inspector" role="tabpanel" tabindex="-1">
                { match props.tab {
                    Tab::Focus => html! {
                        <FocusPanel world={world.clone()} {pulse} focus={props.focus.clone()}
                            wish={wish.clone()} />
                    },
                    Tab::Dead => html! { <DeadLetters world={world.clone()} {pulse} wish={wish.clone()} /> },
                    Tab::Ledger => html! { <LedgerPanel world={world.clone()} {pulse} wish={wish.clone()} /> },
                    Tab::Parts => Html::default(),
                } }
                // The stage in words is always there for those who cannot see the stage.
                <Parts {world} pulse={parts_pulse}
                    is_shown={props.tab == Tab::Parts} focus={props.focus.clone()} {wish} />
            </div>
        </aside>
    }
}
