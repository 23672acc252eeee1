//! `fanlight fault`: what goes wrong on a server that was started with `--faults`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use fanlight_core::Span;
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::failure::Failure;
use super::output::{self, Table};
use super::parse;

/// What to do about faults.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Let something go wrong, once or several times
    #[command(after_help = "Examples:\n  \
                            fanlight fault add drop-confirm --client shop --on orders\n  \
                            fanlight fault add cut --client 'billing*' --times 3\n  \
                            fanlight fault add delay --by 5s\n  \
                            fanlight fault add refuse --on jobs")]
    Add(Add),
    /// Let the broker end as in a crash, at once, and begin again from its journal; without --data
    /// everything is gone
    #[command(after_help = "Example:\n  fanlight fault restart")]
    Restart,
    /// Print what is still to go wrong
    #[command(after_help = "Example:\n  fanlight fault list")]
    List,
    /// Let a fault not happen, or none of them
    #[command(after_help = "Examples:\n  fanlight fault clear 3\n  fanlight fault clear")]
    Clear {
        /// Its number; without one, all
        id: Option<u64>,
    },
}

#[derive(Args)]
struct Add {
    /// What goes wrong
    fault: Kind,

    /// To connections that call themselves so; * stands for any text
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    client: String,

    /// Only with this queue, topic or exchange
    #[arg(long, value_name = "NAME")]
    on: Option<String>,

    /// How often
    #[arg(long, value_name = "N", default_value_t = 1)]
    times: u32,

    /// How much later, for delay
    #[arg(long, value_name = "TIME", value_parser = parse::span, required_if_eq("fault", "delay"))]
    by: Option<Span>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A publish is done, and its confirm does not come
    DropConfirm,
    /// The connection breaks after a delivery, before it can be acknowledged
    Cut,
    /// The next event of a connection comes later, and those after it with it
    Delay,
    /// A publish is refused as by a full queue
    Refuse,
}

/// Runs `fanlight fault`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("fault").await?;
    let ask = match options.what {
        What::Add(add) => json!({ "add": spec(add) }),
        What::Restart => return restart(client, session).await,
        What::List => json!("list"),
        What::Clear { id } => json!({ "clear": id }),
    };
    let answer = client.control(json!({ "fault": ask })).await?;
    client.close().await;
    if session.out.is_json() {
        return session.out.json_line(&answer);
    }
    let one = answer.get("fault").into_iter();
    let listed = answer["faults"].as_array().into_iter().flatten();
    let mut table = Table::new(&["ID", "FAULT", "CLIENT", "ON", "BY", "TIMES"]);
    for fault in one.chain(listed) {
        let text = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| fault[key].as_u64().unwrap_or_default().to_string();
        table.row([
            number("id"),
            text("fault"),
            text("client"),
            text("on"),
            text("by"),
            number("times"),
        ]);
    }
    session.out.table(&table, "nothing is to go wrong")
}

/// The connection that asks is cut off with the others: that another opens says that it is done.
async fn restart(mut client: Client, session: &mut Session) -> Result<(), Failure> {
    let epoch = client.epoch();
    match client.control(json!({ "fault": "restart" })).await {
        Ok(_) | Err(ClientError::Closed { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let client = session.connect("fault").await?;
    let lives =
        if client.epoch() > epoch { ", and everything in its journal is there" } else { "" };
    session.out.done(&format!("the broker has begun again{lives}"))?;
    client.close().await;
    Ok(())
}

fn spec(add: Add) -> Value {
    let mut spec = Map::new();
    let fault = match add.fault {
        Kind::DropConfirm => "drop_confirm",
        Kind::Cut => "cut",
        Kind::Delay => "delay",
        Kind::Refuse => "refuse",
    };
    spec.insert("fault".to_owned(), fault.into());
    spec.insert("client".to_owned(), add.client.into());
    spec.insert("times".to_owned(), add.times.into());
    if let Some(on) = add.on {
        spec.insert("on".to_owned(), on.into());
    }
    if let Some(by) = add.by {
        spec.insert("by".to_owned(), output::span(by).into());
    }
    spec.into()
}
