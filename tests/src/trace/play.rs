//! From a trace's text to the text it should be.

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, Config, Effect, Input, Request, Tag, Time};

use super::command::{Command, When, parse};
use super::effects::shown;
use super::names::Names;
use super::request;
use crate::replay::Happened;
use crate::shrink::caught;

/// Plays every block of a trace: the same text, with the effects as they are.
pub fn play(text: &str) -> Result<String, String> {
    play_into(text, &mut Vec::new())
}

/// A frame of every kind for everything that goes in and comes out while a trace is played, and
/// for every fact of the snapshot in the end.
pub fn frames(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut frames = Vec::new();
    play_into(text, &mut frames)?;
    Ok(frames)
}

/// What happens in a trace, and with which configuration: as far as it can be played.
pub fn happened(text: &str) -> (Config, Vec<Happened>) {
    let mut player = Player::new(Config::default());
    player.happened = Some(Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "----" {
            lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        } else if !line.is_empty()
            && !line.starts_with('#')
            && caught(|| player.line(line)).is_err()
        {
            break;
        }
    }
    (player.config, player.happened.unwrap_or_default())
}

fn play_into(text: &str, frames: &mut Vec<Vec<u8>>) -> Result<String, String> {
    let mut player = Player::new(Config::default());
    let mut played = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        played.push_str(line);
        played.push('\n');
        if line == "----" {
            while lines.next_if(|(_, line)| !line.is_empty()).is_some() {}
            for effect in player.effects.drain(..) {
                played.push_str(&effect);
                played.push('\n');
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            player.line(line).map_err(|why| format!("line {}, {line:?}: {why}", number + 1))?;
        }
    }
    player.keep_snapshot();
    frames.append(&mut player.frames);
    if player.effects.is_empty() { Ok(played) } else { Err("inputs without ---- after".into()) }
}

struct Player {
    config: Config,
    broker: Broker,
    now: Time,
    tag: u32,
    names: Names,
    facts: Vec<u8>,
    effects: Vec<String>,
    frames: Vec<Vec<u8>>,
    /// Kept where somebody asks for it.
    happened: Option<Vec<Happened>>,
}

/// What an encoder appends to nothing.
fn frame(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::new();
    encode(&mut frame);
    frame
}

impl Player {
    fn new(config: Config) -> Player {
        Player {
            broker: Broker::new(config.clone(), Time::ZERO),
            config,
            now: Time::ZERO,
            tag: 0,
            names: Names::default(),
            facts: Vec::new(),
            effects: Vec::new(),
            frames: Vec::new(),
            happened: None,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (when, command) = parse(line)?;
        match when {
            When::Same => {}
            When::At(span) => self.now = Time::ZERO + span,
            When::Due => self.now = self.broker.deadline().ok_or("nothing is due")?.0,
        }
        match command {
            Command::Config(seed, limits) if self.facts.is_empty() => {
                let happened = self.happened.take();
                *self = Player::new(Config { seed, limits: *limits });
                self.happened = happened;
            }
            Command::Config(..) => return Err("config comes first".into()),
            Command::Open(conn, session) => self.apply(Input::Open(conn, session)),
            Command::Closed(conn) => self.apply(Input::Closed(conn)),
            Command::Tick => self.apply(Input::Tick),
            Command::Restart { from_snapshot, lost } => {
                self.happened.iter_mut().for_each(|all| all.push(Happened::Restart { lost }));
                self.restart(from_snapshot, lost)?;
            }
            Command::Request(conn, "frame", words) => {
                let bytes = crate::vectors::bytes(&words.concat())?;
                let op = codec::decode_value(&bytes).ok_or("the bytes are no request")?;
                self.tag += 1;
                self.apply(Input::Request(conn, Request { tag: Tag(self.tag), op }));
            }
            Command::Request(conn, verb, words) => {
                let op = request::parse(verb, words, &self.names)?;
                self.tag += 1;
                self.apply(Input::Request(conn, Request { tag: Tag(self.tag), op }));
            }
        }
        self.broker.check().map_err(|violation| violation.to_string())
    }

    fn apply(&mut self, input: Input<'_>) {
        if let Some(happened) = &mut self.happened {
            let frame = frame(|out| codec::encode_input(self.now, &input, out));
            // It lives as long as the program: a trace that is replayed is a short one.
            let Ok(Frame::Input(at, input)) = codec::decode(&mut &*frame.leak(), usize::MAX - 1)
            else {
                unreachable!("it was encoded as an input");
            };
            happened.push(Happened::Input(at, input));
        }
        let (names, facts, effects) = (&mut self.names, &mut self.facts, &mut self.effects);
        let frames = &mut self.frames;
        frames.push(frame(|out| codec::encode_input(self.now, &input, out)));
        match &input {
            Input::Open(_, session) => {
                frames.push(frame(|out| codec::encode_session(session, out)));
            }
            Input::Request(_, request) => {
                frames.push(frame(|out| codec::encode_request(request, out)));
            }
            Input::Closed(_) | Input::Tick => {}
        }
        self.broker.apply(self.now, input, &mut |effect: Effect<'_>| {
            frames.push(frame(|out| codec::encode_effect(&effect, out)));
            match &effect {
                Effect::Fact(fact) => {
                    codec::encode_fact(fact, facts);
                    frames.push(frame(|out| codec::encode_fact(fact, out)));
                }
                Effect::Tell(_, event) => {
                    frames.push(frame(|out| codec::encode_event(event, out)));
                }
                Effect::Close(..) => {}
            }
            names.hear(&effect);
            effects.extend(shown(&effect, names));
        });
    }

    fn keep_snapshot(&mut self) {
        let snapshot = frame(|out| self.broker.snapshot(out));
        let mut rest = &snapshot[6..];
        while !rest.is_empty() {
            let before = rest;
            codec::decode(&mut rest, usize::MAX - 1).expect("a snapshot holds facts");
            self.frames.push(before[..before.len() - rest.len()].to_vec());
        }
    }

    fn restart(&mut self, from_snapshot: bool, lost: usize) -> Result<(), String> {
        let mut snapshot = Vec::new();
        self.broker.snapshot(&mut snapshot);
        self.broker = Broker::new(self.config.clone(), self.now);
        if from_snapshot {
            let loaded = Broker::load(self.config.clone(), self.now, &snapshot);
            self.broker = loaded.map_err(|error| error.to_string())?;
            return Ok(());
        }
        let mut ends = vec![0];
        let mut rest = &self.facts[..];
        while codec::decode(&mut rest, usize::MAX - 1).is_ok() {
            ends.push(self.facts.len() - rest.len());
        }
        self.facts.truncate(ends[ends.len().saturating_sub(lost + 1)]);
        let mut rest = &self.facts[..];
        while !rest.is_empty() {
            match codec::decode(&mut rest, usize::MAX - 1) {
                Ok(Frame::Fact(fact)) => self.broker.restore(fact),
                other => return Err(format!("a fact reads as {other:?}")),
            }
        }
        Ok(())
    }
}
