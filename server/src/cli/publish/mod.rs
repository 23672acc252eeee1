//! `fanlight publish`: lines in, messages out.

mod check;
mod lines;
mod pipeline;
mod progress;
mod tally;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ArgGroup;
use tokio::sync::mpsc::Receiver;

use fanlight_core::limits::BATCH_RECORDS_MAX;
use fanlight_core::{Overview, Target};

use self::check::Rules;
use self::lines::{Cut, Piece, Source};
use self::pipeline::{Part, Pipeline};
use self::progress::Progress;
use super::Session;
use super::failure::Failure;
use super::names::{self, Kind};
use super::output;
use super::parse;

pub(crate) use self::progress::bar_style;

/// How long answers are waited for after ctrl-C.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// With a rate, batches are so small that this many leave in a second.
const BATCHES_PER_SECOND: f64 = 10.0;

/// What to publish, and where to.
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("kind").args(["topic", "queue", "exchange"]),
    after_help = "Each line is a message: one JSON value, unless --raw is given. A batch is \
                  confirmed when it is as durable as the server's --sync promises.\n\n\
                  Examples:\n  \
                  fanlight publish orders --key country < online-retail.jsonl\n  \
                  fanlight publish shop --exchange --routing-key order.placed orders.jsonl\n  \
                  echo '{\"id\":1}' | fanlight publish payments --queue"
)]
pub(crate) struct Options {
    /// A topic, a queue or an exchange; which of them is looked up
    target: String,
    /// Files to read, one after the other; standard input if there are none, or for `-`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// TARGET is a topic
    #[arg(long)]
    topic: bool,
    /// TARGET is a queue
    #[arg(long)]
    queue: bool,
    /// TARGET is an exchange
    #[arg(long)]
    exchange: bool,
    /// The top-level JSON field whose value is the key: the same key, the same partition
    #[arg(long, short, value_name = "FIELD", conflicts_with = "raw")]
    key: Option<String>,
    /// What an exchange matches bindings against
    #[arg(long, value_name = "KEY")]
    routing_key: Option<String>,
    /// Publish to this partition of a topic, whatever the keys
    #[arg(long, short, value_name = "P")]
    partition: Option<u32>,
    /// A header for every message; can be given more than once
    #[arg(long = "header", short = 'H', value_parser = parse::header, value_name = "NAME=VALUE")]
    headers: Vec<(String, String)>,
    /// Publish lines as they are, without looking whether they are JSON
    #[arg(long)]
    raw: bool,
    /// Pass over lines that are not right, and count them
    #[arg(long)]
    skip_invalid: bool,
    /// Messages of a batch
    #[arg(long, default_value_t = 500, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=BATCH_RECORDS_MAX as i64))]
    batch: u32,
    /// Batches on the way without an answer; 1 keeps the order even if a batch is refused at first
    #[arg(long, default_value_t = 8, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    in_flight: u32,
    /// Publish no faster than this
    #[arg(long, value_parser = parse::rate, value_name = "N/s")]
    rate: Option<f64>,
    /// How long to try again where a queue or the broker is full
    #[arg(long, value_parser = parse::duration, default_value = "2m", value_name = "DURATION")]
    retry_for: Duration,
}

/// Where it all goes.
pub(crate) struct Goal {
    kind: Kind,
    name: String,
    routing_key: String,
    partition: Option<u32>,
}

impl Goal {
    fn find(options: &Options, overview: &Overview) -> Result<Goal, Failure> {
        let name = options.target.as_str();
        let kinds: &[Kind] = match (options.topic, options.queue, options.exchange) {
            (true, ..) => &[Kind::Topic],
            (_, true, _) => &[Kind::Queue],
            (.., true) => &[Kind::Exchange],
            (false, false, false) => &[Kind::Topic, Kind::Queue, Kind::Exchange],
        };
        let kind = match kinds.contains(&Kind::Exchange) && names::is_built_in(name) {
            true => Kind::Exchange,
            false => names::resolve(overview, name, kinds)?,
        };
        if kind != Kind::Exchange && options.routing_key.is_some() {
            return Err(Failure::usage(format!(
                "--routing-key is for exchanges, and {name} is a {}",
                kind.noun()
            )));
        }
        if kind != Kind::Topic && options.partition.is_some() {
            let article = if kind == Kind::Exchange { "an" } else { "a" };
            return Err(Failure::usage(format!(
                "--partition is for topics, and {name} is {article} {}",
                kind.noun()
            )));
        }
        Ok(Goal {
            kind,
            name: name.to_owned(),
            routing_key: options.routing_key.clone().unwrap_or_default(),
            partition: options.partition,
        })
    }

    fn target(&self) -> Target<'_> {
        let name = self.name.as_str().into();
        match self.kind {
            Kind::Topic => Target::Topic { name, partition: self.partition },
            Kind::Queue => Target::Queue { name },
            Kind::Exchange | Kind::Group | Kind::WorkGroup => {
                Target::Exchange { name, routing_key: self.routing_key.as_str().into() }
            }
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "the default exchange"),
            name => write!(f, "{} {name}", self.kind.noun()),
        }
    }
}

/// Runs `fanlight publish`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let sources = Source::open(&options.files).map_err(Failure::Failed)?;
    let mut client = session.connect("publish").await?;
    let overview = client.overview().await?;
    let goal = Goal::find(&options, &overview)?;
    let from_terminal = sources.iter().any(|source| matches!(source, Source::Stdin))
        && std::io::stdin().is_terminal();
    if from_terminal && output::notes_are_seen() {
        output::note("reading messages from the terminal, a line each; ctrl-D ends");
    }
    let total = sources.iter().map(Source::len).sum::<Option<u64>>();
    let pieces = lines::read(sources, cut(&options));

    let progress = Progress::new(total.filter(|_| !from_terminal), &goal.to_string());
    let mut pipeline = Pipeline::new(&mut client, &goal, &overview, progress);
    pipeline.window = options.in_flight as usize;
    pipeline.patience = options.retry_for;
    let result = tokio::select! {
        result = feed(&mut pipeline, pieces, options.rate) => result,
        _ = tokio::signal::ctrl_c() => {
            // What is on the way is still counted, if the server answers soon.
            let _ = tokio::time::timeout(LAST_WAIT, pipeline.drain()).await;
            Err(Failure::Interrupted("interrupted".to_owned()))
        }
    };
    let unanswered = pipeline.unanswered();
    let unpublished = pipeline.first_unpublished();
    let tally = pipeline.finish();
    let result = result.map_err(|failure| tally.blame(failure, unanswered, unpublished));
    tally.print(&goal, &mut session.out)?;
    result?;
    client.close().await;
    Ok(())
}

fn cut(options: &Options) -> Cut {
    let paced = options.rate.map_or(f64::INFINITY, |rate| (rate / BATCHES_PER_SECOND).max(1.0));
    Cut {
        rules: match (&options.key, options.raw) {
            (Some(field), _) => Rules::Keyed(field.clone()),
            (None, true) => Rules::Raw,
            (None, false) => Rules::Json,
        },
        headers: options.headers.clone(),
        records_max: (options.batch as usize).min(paced as usize),
        skip_invalid: options.skip_invalid,
    }
}

/// Publishes everything that is read; whatever ends it, what was read before is confirmed first.
async fn feed(
    pipeline: &mut Pipeline<'_>,
    mut pieces: Receiver<Piece>,
    rate: Option<f64>,
) -> Result<(), Failure> {
    let mut due = Instant::now();
    while let Some(piece) = pipeline.meanwhile(pieces.recv()).await? {
        let chunk = match piece {
            Piece::Chunk(chunk) => chunk,
            Piece::Stop(sentence) => {
                pipeline.drain().await?;
                return Err(Failure::Failed(sentence));
            }
        };
        pipeline.note_input(&chunk);
        let Some(part) = Part::of(chunk) else { continue };
        if let Some(rate) = rate {
            let wait = due.saturating_duration_since(Instant::now());
            pipeline.meanwhile(tokio::time::sleep(wait)).await?;
            due = due.max(Instant::now()) + Duration::from_secs_f64(part.len() as f64 / rate);
        }
        pipeline.push(part).await?;
    }
    pipeline.drain().await
}
