//! What the command line says of itself to shells and to `man`.

use std::fs;
use std::path::PathBuf;

use clap_complete::Shell;

use super::Session;
use super::failure::Failure;
use super::output::counted;

/// For which shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
                  fanlight completions bash > ~/.local/share/bash-completion/completions/fanlight\n  \
                  fanlight completions zsh > ~/.zfunc/_fanlight     (with ~/.zfunc in fpath)\n  \
                  fanlight completions fish > ~/.config/fish/completions/fanlight.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Which pages.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
                  fanlight man dlq redrive | man -l -\n  \
                  fanlight man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command whose page is printed; without one the page of fanlight itself
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs `fanlight completions`.
pub(crate) fn completions(
    options: &Completions,
    mut cli: clap::Command,
    session: &mut Session,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    let name = cli.get_name().to_owned();
    clap_complete::generate(options.shell, &mut cli, name, &mut script);
    session.out.line(String::from_utf8_lossy(&script).trim_end())
}

/// Runs `fanlight man`.
pub(crate) fn man(options: &Man, cli: clap::Command, session: &mut Session) -> Result<(), Failure> {
    // `fanlight help` is an option in a page's words.
    let mut cli = cli.disable_help_subcommand(true);
    if let Some(dir) = &options.out {
        let failed = |error: std::io::Error| {
            Failure::failed(format!("{} cannot be written: {error}", dir.display()))
        };
        fs::create_dir_all(dir).map_err(failed)?;
        let pages = 1 + commands(&cli);
        clap_mangen::generate_to(cli, dir).map_err(failed)?;
        return session.out.done(&format!(
            "{} written to {}",
            counted(pages as u64, "page"),
            dir.display()
        ));
    }
    cli.build();
    let mut command = &cli;
    for name in &options.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let of = command.get_bin_name().unwrap_or("fanlight");
            let there = match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("there are: {}", names.join(", ")),
            };
            Failure::usage(format!("{of} has no command {name}; {there}"))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::failed(format!("the page could not be made: {error}")))?;
    session.out.line(String::from_utf8_lossy(&page).trim_end())
}

/// How many commands there are below this one.
fn commands(of: &clap::Command) -> usize {
    of.get_subcommands().map(|command| 1 + commands(command)).sum()
}
