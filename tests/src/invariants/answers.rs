//! Every request of a connection that stays is answered, once.

use std::collections::BTreeMap;

use fanlight_core::{ConnId, Op, Span, Tag};

use super::{Books, Invariant, Moment};
use crate::answers::answer;

#[derive(Clone, Default)]
pub(super) struct Answers {
    /// What is not answered yet, and whether it may stay so.
    open: BTreeMap<(ConnId, Tag), bool>,
}

impl Invariant for Answers {
    fn name(&self) -> &'static str {
        "every request is answered once"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                let waits = match &request.op {
                    Op::Receive { wait, .. } => *wait > Span::ZERO,
                    Op::Poll { budget, .. }
                    | Op::Read { budget, .. }
                    | Op::Fetch { budget, .. } => budget.wait > Span::ZERO,
                    // It is answered only if it is refused.
                    Op::Publish { confirm, .. } => !confirm,
                    _ => false,
                };
                self.open.insert((*conn, request.tag), waits);
            }
            Moment::Told { conn, event, .. } => {
                let Some((tag, kind)) = answer(event) else { return Ok(()) };
                if self.open.remove(&(*conn, tag)).is_none() {
                    return Err(format!("{conn} was answered {kind} to {tag}, which is not open"));
                }
            }
            Moment::Gone(conn) => self.open.retain(|(of, _), _| of != conn),
            Moment::Recovered { .. } => self.open.clear(),
            Moment::Drained(_) => {
                if let Some(((conn, tag), _)) = self.open.iter().find(|(_, waits)| !**waits) {
                    return Err(format!("{conn} request {tag} was never answered"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
