//! `fanlight exchanges`.

use clap::{Subcommand, ValueEnum};

use fanlight_core::{
    BindingView, Destination, ExchangeKind, ExchangePolicy, HeaderMatch, MatchMode, Op, Overview,
    WantedHeader,
};
use fanlight_server::client::{Client, ClientError};

use super::Session;
use super::body;
use super::failure::Failure;
use super::names::{self, Kind};
use super::output::{Output, Table};

/// What to do with exchanges.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  fanlight exchanges declare shop --kind topic\n  \
                  fanlight exchanges bind shop --queue payment --pattern 'order.*'"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List all exchanges and their bindings (what `fanlight exchanges` alone does)
    #[command(after_help = "Example:\n  fanlight exchanges list --json")]
    List,
    /// Make an exchange
    #[command(after_help = "Examples:\n  fanlight exchanges declare shop --kind topic\n  \
                            fanlight exchanges declare by-tenant --kind headers --alternate rest")]
    Declare {
        /// Its name
        name: String,
        /// How it routes
        #[arg(long, short, value_enum, default_value = "direct")]
        kind: KindArg,
        /// The exchange that gets what no binding takes
        #[arg(long, value_name = "EXCHANGE")]
        alternate: Option<String>,
        /// It goes when its last binding goes
        #[arg(long)]
        auto_delete: bool,
        /// Only exchanges route to it: a publish is refused
        #[arg(long)]
        internal: bool,
    },
    /// Delete an exchange and its bindings
    #[command(after_help = "Example:\n  fanlight exchanges delete shop")]
    Delete {
        /// Its name
        name: String,
    },
    /// Bind an exchange to where it routes
    #[command(after_help = "Examples:\n  \
                            fanlight exchanges bind shop --queue payment --pattern 'order.*'\n  \
                            fanlight exchanges bind by-tenant --queue blue --header tenant=blue")]
    Bind(Binding),
    /// Remove a binding
    #[command(after_help = "Example:\n  \
                            fanlight exchanges unbind shop --queue payment --pattern 'order.*'")]
    Unbind(Binding),
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    /// To the bindings whose pattern is the routing key
    Direct,
    /// To the bindings whose pattern matches the routing key's words: * one word, # any number
    Topic,
    /// To every binding
    Fanout,
    /// To the bindings whose headers a record has
    Headers,
}

#[derive(clap::Args)]
struct Binding {
    /// The exchange routed from
    exchange: String,
    #[command(flatten)]
    to: To,
    /// Routing key or pattern; not looked at by a fanout exchange
    #[arg(long, short, default_value = "")]
    pattern: String,
    /// Of a headers exchange: a header that is wanted, as name=value, or name with any value; can
    /// be given several times
    #[arg(long, value_name = "NAME[=VALUE]")]
    header: Vec<String>,
    /// How many of these headers a record has to have
    #[arg(long = "match", value_enum, default_value = "all", requires = "header")]
    mode: ModeArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    /// All of them
    All,
    /// At least one
    Any,
}

impl Binding {
    fn headers(&self) -> HeaderMatch<'_> {
        let wanted = |header: &'_ String| match header.split_once('=') {
            Some((name, value)) => WantedHeader {
                name: name.to_owned().into(),
                value: Some(value.as_bytes().to_vec().into()),
            },
            None => WantedHeader { name: header.clone().into(), value: None },
        };
        let mode = match self.mode {
            ModeArg::All => MatchMode::All,
            ModeArg::Any => MatchMode::Any,
        };
        HeaderMatch { mode, headers: self.header.iter().map(wanted).collect() }
    }
}

/// What a binding wants of a record: its pattern, or headers.
fn wants(binding: &BindingView) -> String {
    let headers: Vec<String> = binding
        .headers
        .headers
        .iter()
        .map(|wanted| match &wanted.value {
            Some(value) => format!("{}={}", wanted.name, body::text(value)),
            None => wanted.name.to_string(),
        })
        .collect();
    let mode = match binding.headers.mode {
        MatchMode::All | MatchMode::AllWithX => "all of",
        MatchMode::Any | MatchMode::AnyWithX => "any of",
    };
    match headers.is_empty() {
        true => binding.pattern.clone(),
        false => format!("{} {mode} {}", binding.pattern, headers.join(" ")).trim().to_owned(),
    }
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Route to this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Route to this topic; each record's key picks its partition
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Route to this exchange
    #[arg(long = "exchange", id = "to_exchange", value_name = "NAME")]
    exchange: Option<String>,
}

impl To {
    fn destination(&self) -> Destination<'_> {
        match (&self.queue, &self.topic, &self.exchange) {
            (Some(name), ..) => Destination::Queue(name.into()),
            (_, Some(name), _) => Destination::Topic(name.into()),
            (_, _, name) => Destination::Exchange(name.as_deref().unwrap_or_default().into()),
        }
    }

    fn kind_and_name(&self) -> (Kind, &str) {
        match (&self.queue, &self.topic, &self.exchange) {
            (Some(name), ..) => (Kind::Queue, name),
            (_, Some(name), _) => (Kind::Topic, name),
            (_, _, name) => (Kind::Exchange, name.as_deref().unwrap_or_default()),
        }
    }
}

/// Runs `fanlight exchanges`.
pub(crate) async fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let mut client = session.connect("exchanges").await?;
    let out = &mut session.out;
    match options.action.unwrap_or(Action::List) {
        Action::List => list(&client.overview().await?, out)?,
        Action::Declare { name, kind, alternate, auto_delete, internal } => {
            let kind = match kind {
                KindArg::Direct => ExchangeKind::Direct,
                KindArg::Topic => ExchangeKind::Topic,
                KindArg::Fanout => ExchangeKind::Fanout,
                KindArg::Headers => ExchangeKind::Headers,
            };
            let alternate = alternate.map(Into::into);
            client
                .done(Op::DeclareExchange {
                    name: name.as_str().into(),
                    kind,
                    policy: ExchangePolicy { alternate, auto_delete, internal },
                })
                .await?;
            out.done(&format!("exchange {name} is declared"))?;
        }
        Action::Delete { name } => {
            match client
                .done(Op::DeleteExchange { name: name.as_str().into(), if_unused: false })
                .await
            {
                Ok(()) => out.done(&format!("exchange {name} is deleted"))?,
                Err(error) => return Err(names::explain(&mut client, error, &name).await),
            }
        }
        Action::Bind(binding) => {
            let Binding { exchange, to, pattern, .. } = &binding;
            let (exchange, pattern) = (exchange.as_str().into(), pattern.as_str().into());
            let done = client
                .done(Op::Bind {
                    exchange,
                    to: to.destination(),
                    pattern,
                    headers: binding.headers(),
                })
                .await;
            settled(&mut client, done, &binding, "is bound to", out).await?;
        }
        Action::Unbind(binding) => {
            let Binding { exchange, to, pattern, .. } = &binding;
            let (exchange, pattern) = (exchange.as_str().into(), pattern.as_str().into());
            let done = client
                .done(Op::Unbind {
                    exchange,
                    to: to.destination(),
                    pattern,
                    headers: binding.headers(),
                })
                .await;
            settled(&mut client, done, &binding, "is no longer bound to", out).await?;
        }
    }
    client.close().await;
    Ok(())
}

async fn settled(
    client: &mut Client,
    done: Result<(), ClientError>,
    binding: &Binding,
    verb: &str,
    out: &mut Output,
) -> Result<(), Failure> {
    let (kind, to) = binding.to.kind_and_name();
    match done {
        Ok(()) => {
            let with = match binding.pattern.as_str() {
                "" => String::new(),
                pattern => format!(" with {pattern}"),
            };
            out.done(&format!("exchange {} {verb} {} {to}{with}", binding.exchange, kind.noun()))
        }
        Err(error) => {
            let overview = client.overview().await?;
            let custom = |name: &str| overview.exchanges.iter().any(|e| e.name == name);
            let exchange_is_known =
                custom(&binding.exchange) || names::is_built_in(&binding.exchange);
            let named = if exchange_is_known { to } else { &binding.exchange };
            Err(names::explain(client, error, named).await)
        }
    }
}

fn list(overview: &Overview, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.document(&overview.exchanges);
    }
    let mut table = Table::new(&["EXCHANGE", "KIND", "PATTERN", "TO"]);
    for exchange in &overview.exchanges {
        let kind = match exchange.kind {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Headers => "headers",
        };
        for binding in &exchange.bindings {
            let to = match &binding.to {
                Destination::Queue(name) => format!("queue {name}"),
                Destination::Topic(name) => format!("topic {name}"),
                Destination::Exchange(name) => format!("exchange {name}"),
            };
            table.row([exchange.name.clone(), kind.to_owned(), wants(binding), to]);
        }
        if exchange.bindings.is_empty() {
            let unbound = "nowhere: it has no bindings".to_owned();
            table.row([exchange.name.clone(), kind.to_owned(), String::new(), unbound]);
        }
    }
    out.table(
        &table,
        "there are no exchanges but the built-in ones; `fanlight exchanges declare NAME --kind \
         topic` makes one",
    )
}
