//! No event is told before every fact that came before it is durable.

use super::{Books, Invariant, Moment};

#[derive(Clone)]
pub(super) struct Durability;

impl Invariant for Durability {
    fn name(&self) -> &'static str {
        "no event before its facts are durable"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Told { conn, event, needs, durable } if needs > durable => Err(format!(
                "{conn} was told {event:?}: {needs} facts come before it, {durable} are durable"
            )),
            _ => Ok(()),
        }
    }
}
