//! `fanlight config`: what a server would be told, and by whom.

use serde_json::json;

use super::Session;
use super::failure::Failure;
use super::output::Table;
use crate::settings::{self, From, Given, TABLE};

/// What to show.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only what is not as it is by default
    #[arg(long)]
    changed: bool,

    #[command(flatten)]
    given: Given,
}

/// Runs `fanlight config`.
pub(crate) fn run(options: &Options, session: &mut Session) -> Result<(), Failure> {
    let loaded = settings::load(&options.given).map_err(Failure::usage)?;
    let rows = TABLE.iter().zip(&loaded.from);
    let rows = rows.filter(|(_, from)| !options.changed || **from != From::Default);
    if session.out.is_json() {
        let settings: Vec<_> = rows
            .map(|(row, from)| {
                json!({
                    "key": row.key,
                    "value": (row.json)(&loaded.settings),
                    "from": from.to_string(),
                    "flag": format!("--{}", row.flag),
                    "variable": row.env,
                })
            })
            .collect();
        return session.out.document(&settings);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for (row, from) in rows {
        table.row([row.key.clone(), (row.shown)(&loaded.settings), from.to_string()]);
    }
    session.out.table(&table, "everything is as it is by default")
}
