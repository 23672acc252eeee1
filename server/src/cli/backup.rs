//! `fanlight backup`: a copy of what a server has, taken while it serves.

use clap::Args;
use serde_json::json;

use super::Session;
use super::failure::Failure;

/// Options of `fanlight backup`.
#[derive(Args)]
#[command(after_help = "The server writes it, on its own machine, into the directory that it was \
                        started with (--backup-dir). Everything that was confirmed before this \
                        command is in it. It is a data directory of one namespace: `fanlight check` \
                        looks into it, and a copy of it is served as any other.\n\nExamples:\n  \
                        fanlight serve --data ./data --backup-dir ./backups\n  \
                        fanlight backup monday\n  \
                        fanlight check ./backups/monday\n  \
                        cp -r ./backups/monday ./restored && fanlight serve --data ./restored")]
pub(crate) struct Options {
    /// The name of the new directory in the server's --backup-dir
    name: String,
}

/// Runs `fanlight backup`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("backup").await?;
    let backup = client.control(json!({ "backup": options.name })).await?["backup"].take();
    if session.out.is_json() {
        session.out.json_line(&backup)?;
    } else {
        let directory = backup["directory"].as_str().unwrap_or_default();
        let bytes = indicatif::HumanBytes(backup["bytes"].as_u64().unwrap_or_default());
        session.out.line(format_args!("{directory}: {bytes}, synced"))?;
    }
    client.close().await;
    Ok(())
}
