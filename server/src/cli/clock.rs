//! `fanlight clock`: the time of a server that was started with `--clock virtual`.

use std::time::Duration;

use clap::{Args, Subcommand};
use fanlight_core::Span;
use serde_json::{Value, json};

use fanlight_server::client::Client;

use super::Session;
use super::failure::Failure;
use super::output;
use super::parse;

/// What to do with the clock.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
                  fanlight serve --clock virtual\n  \
                  fanlight clock\n  \
                  fanlight clock advance 30s"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Print what time it is for the broker
    #[command(after_help = "Example:\n  fanlight clock show --json")]
    Show,
    /// Move the clock on; whatever is due on the way happens at its time, before this returns
    #[command(after_help = "Example:\n  fanlight clock advance 30s")]
    Advance {
        /// By how much, as 500ms, 30s or 2h
        #[arg(value_name = "TIME", value_parser = parse::span)]
        by: Span,
    },
    /// Let time stand still
    #[command(after_help = "Example:\n  fanlight clock freeze")]
    Freeze,
    /// Let time run on from where it stood
    #[command(after_help = "Example:\n  fanlight clock resume")]
    Resume,
}

/// Runs `fanlight clock`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("clock").await?;
    let clock = match options.what.unwrap_or(What::Show) {
        What::Show => ask(&mut client, json!("show")).await?,
        What::Advance { by } => advance(&mut client, by).await?,
        What::Freeze => ask(&mut client, json!("freeze")).await?,
        What::Resume => ask(&mut client, json!("resume")).await?,
    };
    if session.out.is_json() {
        session.out.json_line(&clock)?;
    } else {
        let now = clock["now"].as_str().unwrap_or_default();
        let how = match (clock["kind"].as_str(), clock["running"].as_bool()) {
            (Some("virtual"), Some(false)) => "a virtual clock that stands still",
            (Some("virtual"), _) => "a virtual clock that runs",
            _ => "the machine's clock",
        };
        session.out.line(format_args!("{now}  ({how})"))?;
    }
    client.close().await;
    Ok(())
}

async fn ask(client: &mut Client, what: Value) -> Result<Value, Failure> {
    Ok(client.control(json!({ "clock": what })).await?["clock"].take())
}

/// Asks again for what is left, where so much is due on the way that the server stops in between.
async fn advance(client: &mut Client, by: Span) -> Result<Value, Failure> {
    let mut left = by;
    loop {
        let text = humantime::format_duration(Duration::from_nanos(left.0)).to_string();
        let clock = ask(client, json!({ "advance": text })).await?;
        if clock["reached"] != json!(false) {
            return Ok(clock);
        }
        let came = clock["advanced"].as_str().and_then(|text| parse::span(text).ok());
        left = Span(left.0.saturating_sub(came.unwrap_or_default().0));
        if output::notes_are_seen() {
            output::note(format_args!("so much is due on the way: {} left", output::span(left)));
        }
    }
}
