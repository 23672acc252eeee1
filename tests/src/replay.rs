//! What happened in a simulation, once more, without its disk and its dice: inputs, and crashes
//! that lose the newest facts. So a failure can be made shorter, and written down as a trace.

use fanlight_core::codec;
use fanlight_core::{Broker, Config, ConnId, Effect, Input, Time};

use crate::invariants::{Invariants, Moment};
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

/// A broker to which it happens again.
struct Again {
    broker: Broker,
    history: Vec<Vec<u8>>,
    invariants: Invariants,
    /// What was told to whom, after how many facts. It is heard as late as can be, since a crash may
    /// take the facts before it away.
    told: Vec<(ConnId, Vec<u8>, usize)>,
}

impl Again {
    /// Everybody hears what lies behind no more than these facts.
    fn hear(&mut self, durable: usize) -> Result<(), String> {
        for (conn, frame, needs) in std::mem::take(&mut self.told) {
            if needs <= durable {
                let moment = Moment::Told { conn, event: &event(&frame)?, needs, durable };
                self.invariants.see(&moment)?;
            }
        }
        Ok(())
    }

    fn restart(&mut self, config: &Config, now: Time, lost: usize) -> Result<(), String> {
        self.history.truncate(self.history.len().saturating_sub(lost));
        self.hear(self.history.len())?;
        self.broker = Broker::new(config.clone(), now);
        for frame in &self.history {
            let restored = self.broker.try_restore(fact(frame)?);
            restored.map_err(|violation| violation.to_string())?;
        }
        let durable = self.history.len();
        let moment = Moment::Recovered { durable, history: &self.history, broker: &self.broker };
        self.invariants.see(&moment)
    }

    fn input(&mut self, now: Time, input: &Input<'static>) -> Result<(), String> {
        self.invariants.see(&Moment::At(now))?;
        match input {
            Input::Request(conn, request) => {
                self.invariants.see(&Moment::Asked(*conn, request))?;
            }
            Input::Closed(conn) => {
                self.told.retain(|(to, ..)| to != conn);
                self.invariants.see(&Moment::Gone(*conn))?;
            }
            Input::Open(..) | Input::Tick => {}
        }
        for (to, frame) in self.apply(now, input) {
            match to {
                None => {
                    self.invariants.see(&Moment::Fact(&fact(&frame)?))?;
                    self.history.push(frame);
                }
                Some(conn) => {
                    self.invariants.see(&Moment::Decided(conn, &event(&frame)?))?;
                    self.told.push((conn, frame, self.history.len()));
                }
            }
        }
        if let Input::Closed(conn) = input {
            self.told.retain(|(to, ..)| to != conn);
        }
        self.invariants.see(&Moment::Looked(&self.broker))?;
        self.broker.check().map_err(|violation| violation.to_string())
    }

    /// Facts, and events with whom they are told to, as frames.
    fn apply(&mut self, now: Time, input: &Input<'static>) -> Vec<(Option<ConnId>, Vec<u8>)> {
        let mut effects = Vec::new();
        self.broker.apply(now, input.clone(), &mut |effect: Effect<'_>| {
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
        effects
    }
}

/// Lets it happen again; which invariant does not hold, if one does not.
pub fn replay(config: &Config, what: &[Happened]) -> Result<(), String> {
    let mut again = Again {
        broker: Broker::new(config.clone(), Time::ZERO),
        history: Vec::new(),
        invariants: Invariants::default(),
        told: Vec::new(),
    };
    let mut now = Time::ZERO;
    for happened in what {
        match happened {
            Happened::Input(at, input) => {
                now = now.max(*at);
                again.input(now, input)?;
            }
            Happened::Restart { lost } => again.restart(config, now, *lost)?,
        }
    }
    again.hear(again.history.len())
}

/// The shortest way to the same failure, if replaying finds it at all.
pub fn shortest(config: &Config, what: Vec<Happened>) -> Option<(Vec<Happened>, String)> {
    let fails = |what: &[Happened]| caught(|| replay(config, what)).err();
    let wanted = kind(&fails(&what)?);
    let short = shorter(what, |what| fails(what).is_some_and(|why| kind(&why) == wanted));
    let why = fails(&short)?;
    Some((short, why))
}
