//! `fanlight watch`: what happens in the broker, as it happens.

use fanlight_core::{Event, Op};

use super::Session;
use super::failure::Failure;
use super::output;

/// What to watch: everything.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// End after this many
    #[arg(long, short, value_name = "N")]
    max: Option<u64>,
}

/// Runs `fanlight watch`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("watch").await?;
    client.done(Op::Watch { on: true }).await?;
    if output::notes_are_seen() {
        output::note(format_args!("watching {}; ctrl-C ends it", client.address()));
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut left = options.max.unwrap_or(u64::MAX);
    while left > 0 {
        let frame = tokio::select! {
            frame = client.next() => frame?,
            _ = &mut interrupted => break,
        };
        let Event::Activity { at, activity } = frame.event()? else { continue };
        left -= 1;
        if session.out.is_json() {
            session.out.json_line(&serde_json::json!({
                "at": output::instant(at),
                "sentence": activity.to_string(),
                "activity": activity,
            }))?;
        } else {
            session.out.line(format_args!("{}  {activity}", output::instant(at)))?;
        }
        session.out.flush()?;
    }
    client.close().await;
    Ok(())
}
