//! What happened in a simulation, once more, without its disk and its dice: inputs, and crashes
//! that lose the newest facts. So a failure can be made shorter, and written down as a trace.

use fanlight_core::codec;
use fanlight_core::{Broker, Config, Effect, Input, Time};

use crate::invariants::{Moment, all, see};
use crate::shrink::{caught, kind, shorter};
use crate::simulation::{event, fact};

/// One thing that happened.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are inputs")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// An input, and when.
    Input(Time, Input<'static>),
    /// Power failed: so many of the newest facts were not on the disk.
    Restart {
        /// How many.
        lost: usize,
    },
}

/// Lets it happen again, with everything durable and told at once; which invariant does not hold,
/// if one does not.
pub fn replay(config: &Config, what: &[Happened]) -> Result<(), String> {
    let mut broker = Broker::new(config.clone(), Time::ZERO);
    let (mut history, mut invariants): (Vec<Vec<u8>>, _) = (Vec::new(), all());
    let mut now = Time::ZERO;
    for happened in what {
        let input = match happened {
            Happened::Input(at, input) => {
                now = now.max(*at);
                input
            }
            Happened::Restart { lost } => {
                history.truncate(history.len().saturating_sub(*lost));
                broker = Broker::new(config.clone(), now);
                for frame in &history {
                    broker.try_restore(fact(frame)?).map_err(|violation| violation.to_string())?;
                }
                let moment = Moment::Recovered {
                    durable: history.len(),
                    history: &history,
                    broker: &broker,
                };
                see(&mut invariants, &moment)?;
                continue;
            }
        };
        match input {
            Input::Request(conn, request) => {
                see(&mut invariants, &Moment::Asked(*conn, request))?;
            }
            Input::Closed(conn) => see(&mut invariants, &Moment::Gone(*conn))?,
            Input::Open(..) | Input::Tick => {}
        }
        let mut effects = Vec::new();
        broker.apply(now, input.clone(), &mut |effect: Effect<'_>| {
            let mut frame = Vec::new();
            match &effect {
                Effect::Fact(fact) => {
                    codec::encode_fact(fact, &mut frame);
                    effects.push((None, frame));
                }
                Effect::Tell(conn, event) => {
                    codec::encode_event(event, &mut frame);
                    effects.push((Some(*conn), frame));
                }
                Effect::Close(..) => {}
            }
        });
        for (to, frame) in &effects {
            match to {
                None => {
                    see(&mut invariants, &Moment::Fact(&fact(frame)?))?;
                    history.push(frame.clone());
                }
                Some(conn) => see(&mut invariants, &Moment::Decided(*conn, &event(frame)?))?,
            }
        }
        for (to, frame) in &effects {
            let Some(conn) = *to else { continue };
            let (needs, durable) = (history.len(), history.len());
            let moment = Moment::Told { conn, event: &event(frame)?, needs, durable };
            see(&mut invariants, &moment)?;
        }
        see(&mut invariants, &Moment::Looked(&broker))?;
        broker.check().map_err(|violation| violation.to_string())?;
    }
    Ok(())
}

/// The shortest way to the same failure, if replaying finds it at all.
pub fn shortest(config: &Config, what: Vec<Happened>) -> Option<(Vec<Happened>, String)> {
    let fails = |what: &[Happened]| caught(|| replay(config, what)).err();
    let wanted = kind(&fails(&what)?);
    let short = shorter(what, |what| fails(what).is_some_and(|why| kind(&why) == wanted));
    let why = fails(&short)?;
    Some((short, why))
}
