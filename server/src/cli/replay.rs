//! `fanlight replay`: a recorded run once more.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Session;
use super::failure::Failure;
use super::output::{self, Output, instant};
use crate::serve::recording::replay::{
    Difference, Mode, Replayed, Step, Summary, Unreadable, replay,
};

/// Options of `fanlight replay`.
#[derive(clap::Args)]
#[command(after_help = "Exits with 1 if what follows is not what was recorded.\n\nExamples:\n  \
                        fanlight serve --record run.fanlight\n  \
                        fanlight replay run.fanlight\n  \
                        fanlight replay run.fanlight --print | grep Publish")]
pub(crate) struct Options {
    /// What `fanlight serve --record` wrote
    file: PathBuf,

    /// Only print the inputs, one a line
    #[arg(long)]
    print: bool,
}

impl From<Unreadable> for Failure {
    fn from(error: Unreadable) -> Failure {
        Failure::failed(error.to_string())
    }
}

/// Runs `fanlight replay`.
pub(crate) fn run(options: &Options, session: &mut Session) -> Result<(), Failure> {
    let out = &mut session.out;
    let mode = if options.print { Mode::Read } else { Mode::Again };
    let replayed = replay(&options.file, mode, &mut |step: &Step| match mode {
        Mode::Read => print(step, out),
        Mode::Again => Ok(()),
    })?;
    match replayed {
        Replayed::Equal(summary) if options.print => {
            tell_torn(&summary);
            Ok(())
        }
        Replayed::Equal(summary) => equal(&summary, out),
        Replayed::Different(difference) => different(&difference, out),
    }
}

fn print(step: &Step, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json_line(&as_json(step));
    }
    out.line(format_args!("{}  {}  {step}", step.number, instant(step.at)))
}

fn as_json(step: &Step) -> Value {
    json!({
        "input": step.number,
        "at": instant(step.at),
        "connection": step.conn.as_ref().map(|(conn, _)| conn.0),
        "client": step.conn.as_ref().map(|(_, name)| name),
        "what": step.what,
    })
}

fn equal(summary: &Summary, out: &mut Output) -> Result<(), Failure> {
    if let Some(beginning) = &summary.beginning
        && beginning.version != env!("CARGO_PKG_VERSION")
    {
        output::note(format_args!("fanlight {} recorded it", beginning.version));
    }
    if out.is_json() {
        return out.document(&json!({
            "equal": true,
            "namespace": summary.beginning.as_ref().map(|beginning| &beginning.namespace),
            "inputs": summary.inputs,
            "effects": summary.effects,
            "from": summary.span.map(|(first, _)| instant(first)),
            "to": summary.span.map(|(_, last)| instant(last)),
            "digest": summary.digest,
            "tornBytes": summary.torn_bytes,
        }));
    }
    tell_torn(summary);
    let (inputs, effects, digest) = (summary.inputs, summary.effects, &summary.digest);
    let Some((first, last)) = summary.span else {
        return out.line("nothing came to this broker");
    };
    let span = output::span(last.since(first));
    out.line(format_args!(
        "the same followed: {inputs} inputs and {effects} effects, from {} to {} ({span}), digest \
         {digest}",
        instant(first),
        instant(last),
    ))
}

/// Says that the end is missing.
fn tell_torn(summary: &Summary) {
    if let Some(bytes) = summary.torn_bytes {
        output::note(format_args!(
            "the recording was not ended in good order: {bytes} bytes after input {}, which are \
             no whole input with all its effects, are left out",
            summary.inputs
        ));
    }
}

fn different(difference: &Difference, out: &mut Output) -> Result<(), Failure> {
    let Difference { step, effect, expected, got } = difference;
    if out.is_json() {
        out.document(&json!({
            "equal": false,
            "at": as_json(step),
            "effect": effect,
            "expected": expected,
            "got": got,
        }))?;
    } else {
        let nothing = || "nothing more".to_owned();
        out.line(format_args!("input {} at {}, {step}", step.number, instant(step.at)))?;
        out.line(format_args!("  effect    {effect}"))?;
        out.line(format_args!("  expected  {}", expected.clone().unwrap_or_else(nothing)))?;
        out.line(format_args!("  got       {}", got.clone().unwrap_or_else(nothing)))?;
    }
    let what = format!("what follows from input {} is not what was recorded", step.number);
    Err(Failure::failed(what))
}
