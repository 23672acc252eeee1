//! Settings as flags of the command line.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::table::{LIMITS_SECTION, Row, TABLE};

/// What the command line says of settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The file with the others.
    pub(crate) config: Option<PathBuf>,
    /// Rows of the table, and their values as text.
    pub(crate) flags: Vec<(usize, String)>,
}

/// The flags of these rows.
fn augment(command: Command, rows: impl Iterator<Item = &'static Row>) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("TOML file with settings; flags and environment win over it [env: FANLIGHT_CONFIG]");
    command.arg(config).args(rows.map(|row| {
        let arg = Arg::new(row.key.as_str()).long(row.flag.as_str()).help(row.help.as_str());
        let arg = arg.hide_short_help(row.rare).help_heading(heading(row));
        match row.value_name {
            "" => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL"),
            "LIST" => arg.action(ArgAction::Append).value_name("LIST"),
            name => arg.value_name(name),
        }
    }))
}

fn heading(row: &Row) -> Option<&'static str> {
    match row.key.split_once('.')?.0 {
        LIMITS_SECTION => Some("Limits of the broker"),
        "connections" => Some("Connections"),
        "auth" | "tls" => Some("Security"),
        _ => None,
    }
}

fn given(matches: &ArgMatches) -> Given {
    let config = matches.get_one::<PathBuf>("config").cloned();
    let mut flags = Vec::new();
    for (index, row) in TABLE.iter().enumerate() {
        if let Ok(Some(values)) = matches.try_get_many::<String>(&row.key) {
            let values: Vec<&str> = values.map(String::as_str).collect();
            flags.push((index, values.join(",")));
        }
    }
    Given { config, flags }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        Ok(given(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = given(matches);
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        augment(command, TABLE.iter())
    }

    fn augment_args_for_update(command: Command) -> Command {
        augment(command, TABLE.iter())
    }
}

/// Where users are kept: the settings that say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(pub(crate) Given);

impl FromArgMatches for Place {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Place, clap::Error> {
        Ok(Place(given(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Place(given(matches));
        Ok(())
    }
}

impl Args for Place {
    fn augment_args(command: Command) -> Command {
        let rows = TABLE.iter().filter(|row| matches!(row.key.as_str(), "data" | "users"));
        augment(command, rows).mut_args(|arg| arg.global(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Place::augment_args(command)
    }
}
