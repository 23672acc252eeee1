//! Recovery gives the live durable state: a beginning of the history that holds at least all that
//! was durable, and exactly the state that those facts make.

use fanlight_core::{Broker, Config, codec};

use super::{Books, Invariant, Moment};
use crate::run::{first_difference, snapshot};

#[derive(Clone, Default)]
pub(super) struct Recovery {
    history: Vec<Vec<u8>>,
}

impl Recovery {
    fn recovered(
        &mut self,
        durable: usize,
        found: &[Vec<u8>],
        broker: &Broker,
    ) -> Result<(), String> {
        if found.len() < durable {
            return Err(format!("{durable} facts were durable, {} were found", found.len()));
        }
        if !self.history.starts_with(found) {
            return Err("the facts that were found are not those that were written".into());
        }
        let mut again = Broker::new(Config::default(), broker.now());
        super::facts(found).for_each(|fact| again.restore(fact));
        let (left, right) = (snapshot(&again), snapshot(broker));
        if left != right {
            let difference = first_difference(&left, &right);
            return Err(format!("the recovered state is not that of its facts:\n{difference}"));
        }
        broker.check().map_err(|violation| violation.to_string())?;
        self.history.truncate(found.len());
        Ok(())
    }
}

impl Invariant for Recovery {
    fn name(&self) -> &'static str {
        "recovery gives the live durable state"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => {
                let mut frame = Vec::new();
                codec::encode_fact(fact, &mut frame);
                self.history.push(frame);
                Ok(())
            }
            Moment::Recovered { durable, history, broker } => {
                self.recovered(*durable, history, broker)
            }
            _ => Ok(()),
        }
    }
}
