//! `fanlight top`: rates, depths and lag, as they are now.

mod sample;
mod screen;
mod terminal;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::json;

use fanlight_server::client::Client;

use self::sample::{Picture, Row, Sampler};
use super::Session;
use super::failure::Failure;
use super::output::{self, Table};
use super::parse;

/// The least that lies between two looks: a look costs the broker a walk over its names.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What to show, and how.
#[derive(clap::Args)]
#[command(
    after_help = "On a terminal it is redrawn until q is pressed; elsewhere it prints a table each \
                  interval, and with --json an object in a line.\n\n\
                  Keys: q quit, arrows left and right sort, r reverse, Tab queues or topics or \
                  groups, arrows up and down scroll, / find, p pause.\n\n\
                  Examples:\n  \
                  fanlight top\n  \
                  fanlight top --once --sort oldest\n  \
                  fanlight top --json --interval 5s >> depths.jsonl"
)]
pub(crate) struct Options {
    /// How long between two looks
    #[arg(long, short, value_parser = interval, default_value = "1s", value_name = "DURATION")]
    interval: Duration,
    /// Print once, after one interval, and end
    #[arg(long)]
    once: bool,
    /// By what rows are sorted
    #[arg(long, short, value_enum, default_value = "depth")]
    sort: Column,
    /// Only these
    #[arg(long, short, value_enum, default_value = "all")]
    kind: Only,
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse::duration(text)? {
        interval if interval >= INTERVAL_MIN => Ok(interval),
        _ => Err("it should be 100ms or more".to_owned()),
    }
}

/// A column that rows can be sorted by, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Column {
    /// By kind, then by name
    Kind,
    /// By name
    Name,
    /// By messages that wait: of a topic its records, of a group its lag
    Depth,
    /// By messages that come a second
    In,
    /// By messages that are done a second
    Out,
    /// By messages in hand
    Held,
    /// By the age of the oldest that waits
    Oldest,
    /// By consumers or members
    Readers,
}

/// Which rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Only {
    /// All of them
    All,
    /// Queues and work groups
    Queues,
    /// Topics
    Topics,
    /// Consumer groups
    Groups,
}

/// What is seen of a picture.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    sort: Column,
    reverse: bool,
    only: Only,
    /// What names have to contain.
    find: String,
}

impl Wish {
    fn of(options: &Options) -> Wish {
        let (sort, only) = (options.sort, options.kind);
        Wish { sort, reverse: false, only, find: String::new() }
    }

    /// The rows to show, in their order.
    fn rows<'p>(&self, picture: &'p Picture) -> Vec<&'p Row> {
        let mut rows: Vec<&Row> = picture
            .rows
            .iter()
            .filter(|row| row.kind.is_among(self.only) && row.name.contains(&self.find))
            .collect();
        let order = |a: &Row, b: &Row| match self.sort {
            Column::Kind => a.kind.cmp(&b.kind),
            Column::Name => a.name.cmp(&b.name),
            Column::Depth => b.depth.cmp(&a.depth),
            Column::In => b.came.total_cmp(&a.came),
            Column::Out => b.went.unwrap_or(-1.0).total_cmp(&a.went.unwrap_or(-1.0)),
            Column::Held => b.held.cmp(&a.held),
            Column::Oldest => b.oldest.cmp(&a.oldest),
            Column::Readers => b.readers.cmp(&a.readers),
        };
        rows.sort_by(|a, b| {
            let by = if self.reverse { order(b, a) } else { order(a, b) };
            by.then_with(|| a.name.cmp(&b.name)).then_with(|| a.kind.cmp(&b.kind))
        });
        rows
    }
}

/// Runs `fanlight top`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let client = session.connect("top").await?;
    let is_live = !options.once && !session.out.is_json();
    if is_live && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return terminal::run(&options, session, client).await;
    }
    print(&options, session, client).await
}

/// Prints what there is, once or each interval.
async fn print(
    options: &Options,
    session: &mut Session,
    mut client: Client,
) -> Result<(), Failure> {
    let wish = Wish::of(options);
    let mut sampler = Sampler::default();
    sampler.take(client.overview().await?, Instant::now());
    let mut ticks = tokio::time::interval(options.interval);
    ticks.tick().await;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut interrupted => break,
        }
        let picture = sampler.take(client.overview().await?, Instant::now());
        show(&picture, &wish, session)?;
        session.out.flush()?;
        if options.once {
            break;
        }
        if !session.out.is_json() {
            session.out.line("")?;
        }
    }
    client.close().await;
    Ok(())
}

fn show(picture: &Picture, wish: &Wish, session: &mut Session) -> Result<(), Failure> {
    let rows = wish.rows(picture);
    let totals = &picture.totals;
    if session.out.is_json() {
        return session.out.json_line(&json!({
            "at": output::instant(picture.now),
            "server": session.server.to_string(),
            "inPerSecond": rounded(totals.came),
            "outPerSecond": rounded(totals.went),
            "waiting": totals.waiting,
            "held": totals.held,
            "lag": totals.lag,
            "storedBytes": picture.stored_bytes,
            "connections": picture.connections,
            "rows": rows.iter().map(|row| row.shown()).collect::<Vec<_>>(),
        }));
    }
    session.out.line(format!("{}  {}", output::instant(picture.now), screen::summary(picture)))?;
    let mut table =
        Table::new(&["KIND", "NAME", "DEPTH", "IN/s", "OUT/s", "HELD", "OLDEST", "READERS"]);
    for row in rows {
        table.row([
            row.kind.noun().to_owned(),
            row.name.clone(),
            row.depth.to_string(),
            format!("{:.0}", row.came),
            row.went.map(|went| format!("{went:.0}")).unwrap_or_default(),
            row.held.map(|held| held.to_string()).unwrap_or_default(),
            row.oldest.map(screen::age).unwrap_or_default(),
            row.readers.map(|readers| readers.to_string()).unwrap_or_default(),
        ]);
    }
    session.out.table(&table, "there is nothing to show: no queue, topic or group")
}

/// A rate with as many places as it is worth.
fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}
