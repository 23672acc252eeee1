//! The command line: what is asked, of which server, and how the answer is shown.

mod backup;
mod bench;
pub(crate) mod body;
mod clock;
mod config;
mod confirm;
mod consume;
mod data;
mod dlq;
mod exchanges;
mod failure;
mod fault;
mod groups;
mod look;
mod manual;
pub(crate) mod message;
mod messages;
mod names;
pub(crate) mod output;
mod parse;
mod policy;
mod producers;
mod publish;
mod queues;
mod replay;
mod top;
mod topics;
mod users;
mod watch;
mod workgroups;

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use fanlight_server::client::{Access, Client, Credentials, ServerAddress};

use self::failure::Failure;
use self::output::Output;
use crate::serve;
use crate::settings::{self, Given};

pub(crate) use names::nearest;

/// Fanlight: the message broker you can see through.
#[derive(Parser)]
#[command(
    name = "fanlight",
    version,
    about,
    after_help = "Begin with:\n  \
                  fanlight serve                               start a server\n  \
                  fanlight topics create orders --partitions 4\n  \
                  fanlight publish orders --key country < orders.jsonl\n  \
                  fanlight consume orders --group billing\n\n\
                  Exit codes: 0 done, 1 refused or failed, 2 asked for what makes no sense, \
                  130 interrupted"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command can be told.
#[derive(clap::Args)]
struct Global {
    /// The server to ask; http://host:port and host:port are read too
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_SERVER",
        value_name = "URL",
        default_value = "ws://127.0.0.1:7420/ws"
    )]
    server: ServerAddress,

    /// The namespace to work in; without it `default`
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_NAMESPACE",
        value_name = "NAME"
    )]
    namespace: Option<String>,

    /// Who you are; with a password
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_USER",
        value_name = "NAME",
        requires = "password"
    )]
    user: Option<String>,

    /// The user's password; better in the environment, where other users of this machine do not see
    /// it
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    password: Option<String>,

    /// A token that proves who you are; better in the environment, as above
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,

    /// File of certificates (PEM) to trust where TLS is spoken; without it those of this machine
    #[arg(
        long,
        global = true,
        help_heading = "Options of every command",
        env = "FANLIGHT_CA",
        value_name = "FILE"
    )]
    ca: Option<PathBuf>,

    /// Print JSON, for programs to read
    #[arg(long, global = true, help_heading = "Options of every command")]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  fanlight serve --data ./fanlight-data")]
    Serve(Given),
    /// Make, list, change and remove users, in the file that a server reads
    Users(users::Options),
    /// Print what a server would be told, and from where: flags, environment, file or default
    #[command(after_help = "Example:\n  fanlight config --config fanlight.toml --changed")]
    Config(config::Options),
    /// Publish lines from standard input or files, a message each
    Publish(publish::Options),
    /// Print the messages of a topic or a queue
    Consume(consume::Options),
    /// List, create, describe, alter, trim and delete topics
    Topics(topics::Options),
    /// List, declare, describe, alter, purge, delete and look into queues
    Queues(queues::Options),
    /// List, declare, bind and delete exchanges
    Exchanges(exchanges::Options),
    /// List and describe consumer groups and their lag, reset their offsets, remove members
    Groups(groups::Options),
    /// List, create, describe and delete work groups: a topic's records taken one by one
    #[command(visible_alias = "share-groups")]
    WorkGroups(workgroups::Options),
    /// Look at single messages, and at what happened to them
    Messages(messages::Options),
    /// Look at dead messages, and redrive or purge them
    Dlq(dlq::Options),
    /// List and describe producers that number their batches, and what they have open
    Producers(producers::Options),
    /// List open transactions
    Transactions(producers::Open),
    /// Show rates, depths and lag, as they are now
    Top(top::Options),
    /// Print what happens in the broker, as it happens
    #[command(after_help = "Example:\n  fanlight watch")]
    Watch(watch::Options),
    /// Show, move, stop and start the time of a server with a virtual clock
    Clock(clock::Options),
    /// Let something go wrong, on a server that was started with --faults
    Fault(fault::Options),
    /// Do a run again that `fanlight serve --record` wrote down, and look whether the same follows
    Replay(replay::Options),
    /// Have a server write a copy of what it has, while it serves
    Backup(backup::Options),
    /// Look whether a data directory is as it should be
    Check(data::Check),
    /// Print the facts of a data directory's journal
    Dump(data::Dump),
    /// Print a script with which a shell completes commands and options
    Completions(manual::Completions),
    /// Print the manual page of a command, or write all of them
    Man(manual::Man),
    /// Measure messages a second, published to and consumed from a server
    Bench(bench::Options),
}

impl Global {
    /// A token that is named wins over a user.
    fn access(&self) -> Access {
        let credentials = match (&self.token, &self.user, &self.password) {
            (Some(token), _, _) => Credentials::Token(token.clone()),
            (None, Some(user), Some(password)) => {
                Credentials::Password { user: user.clone(), password: password.clone() }
            }
            (None, _, _) => Credentials::None,
        };
        Access { credentials, ca: self.ca.clone() }
    }
}

/// What a command works with: the server it asks, and where its answer goes.
struct Session {
    server: ServerAddress,
    /// In which of its namespaces, where that was said.
    namespace: Option<String>,
    access: Access,
    out: Output,
}

impl Session {
    /// Connects; `command` is what the connection is called in the broker's views.
    async fn connect(&self, command: &str) -> Result<Client, Failure> {
        if self.access.is_secret() && !self.server.is_private() {
            output::note(format_args!(
                "{} is not encrypted: who is on the way reads the secret that is sent; wss:// is",
                self.server
            ));
        }
        Ok(Client::connect_as(&self.server, &format!("fanlight {command}"), &self.access).await?)
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let access = global.access();
    let Global { server, namespace, json, .. } = global;
    let server = match &namespace {
        Some(name) => server.within(name),
        None => server,
    };
    let mut session = Session { server, namespace, access, out: Output::new(json) };
    let result = run(command, &mut session);
    let flushed = session.out.flush();
    match result.and(flushed) {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure @ Failure::Told) => ExitCode::from(failure.exit_code()),
        Err(failure) => {
            // If standard error is closed too, the exit code is all that is left to say.
            let _ = writeln!(std::io::stderr(), "{} {failure}", output::error());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command, session: &mut Session) -> Result<(), Failure> {
    match command {
        Command::Serve(given) => {
            let settings = settings::load(&given).map_err(Failure::usage)?.settings;
            serve::run(settings).map_err(|error| match error.is_told() {
                true => Failure::Told,
                false => Failure::failed(error.to_string()),
            })
        }
        Command::Users(options) => users::run(options, session),
        Command::Config(options) => config::run(&options, session),
        Command::Publish(options) => block_on(publish::run(options, session)),
        Command::Consume(options) => block_on(consume::run(options, session)),
        Command::Topics(options) => block_on(topics::run(options, session)),
        Command::Queues(options) => block_on(queues::run(options, session)),
        Command::Exchanges(options) => block_on(exchanges::run(options, session)),
        Command::Groups(options) => block_on(groups::run(options, session)),
        Command::WorkGroups(options) => block_on(workgroups::run(options, session)),
        Command::Messages(options) => block_on(messages::run(options, session)),
        Command::Dlq(options) => block_on(dlq::run(options, session)),
        Command::Producers(options) => block_on(producers::run(options, session)),
        Command::Transactions(options) => block_on(producers::open(options, session)),
        Command::Top(options) => block_on(top::run(options, session)),
        Command::Watch(options) => block_on(watch::run(options, session)),
        Command::Clock(options) => block_on(clock::run(options, session)),
        Command::Fault(options) => block_on(fault::run(options, session)),
        Command::Replay(options) => replay::run(&options, session),
        Command::Completions(options) => manual::completions(&options, Cli::command(), session),
        Command::Man(options) => manual::man(&options, Cli::command(), session),
        Command::Backup(options) => block_on(backup::run(options, session)),
        Command::Check(options) => data::check(&options, session),
        Command::Dump(options) => data::dump(&options, session),
        Command::Bench(options) => bench::run(options, session),
    }
}

/// Runs a command's future: a client is one connection, for which one thread is enough.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime could be started: {error}")))?;
    let result = runtime.block_on(work);
    // A thread may still wait for standard input, which nobody needs any more.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn leaves(command: &clap::Command, path: &str, seen: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        if !command.has_subcommands() && command.get_after_help().is_none() {
            seen.push(path.clone());
        }
        for sub in command.get_subcommands() {
            leaves(sub, &path, seen);
        }
    }

    #[test]
    fn every_command_shows_an_example_in_its_help() {
        let mut without = Vec::new();
        leaves(&Cli::command(), "", &mut without);
        assert_eq!(without, Vec::<String>::new());
    }
}
