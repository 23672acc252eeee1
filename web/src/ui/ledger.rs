//! The ledger: what was lost, repeated or is stuck, against what was meant.

use fanlight_web::picture::LedgerRow;
use yew::prelude::*;

use super::places::go;
use super::wish::Wish;
use crate::focus::Focus;
use crate::hold::Hold;

/// What the panel is given.
#[derive(Properties, PartialEq)]
pub(crate) struct Props {
    pub(crate) world: Hold,
    pub(crate) pulse: u64,
    pub(crate) wish: Callback<Wish>,
}

/// The panel.
#[component]
pub(crate) fn LedgerPanel(props: &Props) -> Html {
    let world = props.world.borrow();
    let picture = world.picture();
    let ledger = &picture.ledger;
    html! {
        <div class="pad ledger">
            <h2>{ format!("{} published", ledger.published) }</h2>
            <p class="note">{"Each reader has its own accounts: what came to it is processed, waiting, \
                              or dead. At least once means that “again” may be more than none, and \
                              “lost” may not."}</p>
            { for ledger.rows.iter().map(|row| view_row(row, &props.wish)) }
            { for ledger.rows.iter().filter_map(|row| {
                let seq = row.first_violation?;
                let line = picture.log.iter().find(|line| line.seq == seq)?;
                let focus = line.story.map(|story| Focus::Message(story, line.message.clone()));
                Some(html! {
                    <p class="note" key={format!("v{}", row.name)}>
                        { format!("{}: first of these: ", row.name) }
                        { match focus {
                            Some(focus) => go(&line.sentence, focus, &props.wish),
                            None => html! { { &*line.sentence } },
                        } }
                    </p>
                })
            }) }
        </div>
    }
}

fn view_row(row: &LedgerRow, wish: &Callback<Wish>) -> Html {
    let focus =
        if row.is_group { Focus::Group(row.name.clone()) } else { Focus::Queue(row.name.clone()) };
    let cell = |name: &'static str, n: u64, is_wrong: bool| {
        html! {
            <>
                <dt>{ name }</dt>
                <dd class={(is_wrong && n > 0).then_some("violated")}>{ n }</dd>
            </>
        }
    };
    html! {
        <section key={row.name.to_string()}>
            <h3>
                { go(&row.name, focus, wish) }{ if row.is_group { " · group" } else { " · queue" } }
            </h3>
            <dl class="facts accounts">
                { cell("came", row.came, false) }
                { cell("processed", row.processed, false) }
                { cell("waiting", row.outstanding, false) }
                { cell("again", row.again, false) }
                { cell("redelivered", row.redelivered, false) }
                { cell("dead", row.dead, true) }
                { cell("lost", row.lost, true) }
            </dl>
        </section>
    }
}
