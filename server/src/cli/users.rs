//! `fanlight users`: the file of users that a server reads.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::time::SystemTime;

use clap::Subcommand;
use serde_json::json;

use super::Session;
use super::failure::Failure;
use super::output::{self, Output, Table};
use crate::access::{
    EVERY_NAMESPACE, Pattern, Permissions, Quota, Store, Tag, Token, User, is_name,
};
use crate::settings::{self, NAMESPACE_DEFAULT, NAMESPACE_RULE, Place, is_namespace};

/// The shortest password that is taken.
const PASSWORD_LENGTH_MIN: usize = 8;

/// What to do with users.
#[derive(clap::Args)]
#[command(after_help = "Begin with:\n  fanlight users add admin --admin --data ./fanlight-data")]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List users, what they may, and their tokens
    #[command(after_help = "Example:\n  fanlight users list --data ./fanlight-data")]
    List,
    /// Make a user; the password is asked for, or read from standard input
    #[command(
        after_help = "Example:\n  fanlight users add admin --admin --data ./fanlight-data\n  \
                            fanlight users add billing --no-password --read '^orders$|^billing$'"
    )]
    Add {
        /// Its name
        name: String,
        /// May do and see everything
        #[arg(long)]
        admin: bool,
        /// Only tokens will prove that it is this user
        #[arg(long)]
        no_password: bool,
        #[command(flatten)]
        grant: Grant,
    },
    /// Remove a user; its connections are closed
    #[command(after_help = "Example:\n  fanlight users remove billing")]
    Remove {
        /// Its name
        name: String,
    },
    /// Give a user another password, asked for or read from standard input
    #[command(after_help = "Example:\n  fanlight users passwd admin")]
    Passwd {
        /// Its name
        name: String,
    },
    /// Make a token for a user, shown now and never again; or take one back
    #[command(after_help = "Example:\n  fanlight users token billing --name ci\n  \
                            fanlight users token billing --revoke ci")]
    Token {
        /// The user's name
        user: String,
        /// What to call the token
        #[arg(long, default_value = "token")]
        name: String,
        /// Take back the token that is called so
        #[arg(long, value_name = "NAME", conflicts_with = "name")]
        revoke: Option<String>,
    },
    /// Change what a user may
    #[command(
        after_help = "Example:\n  fanlight users permit billing --read '^orders$|^billing$' \
                            --publish-bytes 1MiB"
    )]
    Permit {
        /// Its name
        name: String,
        #[command(flatten)]
        grant: Grant,
    },
}

/// What a user may.
#[derive(clap::Args)]
struct Grant {
    /// Names of what it may declare, change and delete: a regular expression, which may match any
    /// part of a name; an empty one matches none
    #[arg(long, value_name = "PATTERN")]
    configure: Option<Pattern>,
    /// Names of what it may publish to
    #[arg(long, value_name = "PATTERN")]
    write: Option<Pattern>,
    /// Names of what it may read from
    #[arg(long, value_name = "PATTERN")]
    read: Option<Pattern>,
    /// Give it a tag
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Take a tag from it
    #[arg(long, value_name = "TAG")]
    untag: Vec<Tag>,
    /// Connections that it may have open; `none`: as many as the server takes
    #[arg(long, value_name = "COUNT", value_parser = count)]
    connections: Option<Most<u32>>,
    /// Bytes that it may publish a second
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    publish_bytes: Option<Most<u64>>,
    /// Queues that there may be whose names it may configure
    #[arg(long, value_name = "COUNT", value_parser = count)]
    queues: Option<Most<u32>>,
}

/// A bound, or none.
#[derive(Clone, Copy)]
struct Most<T>(Option<T>);

fn count(text: &str) -> Result<Most<u32>, String> {
    match text {
        "none" => Ok(Most(None)),
        text => text
            .parse()
            .map(|count| Most(Some(count)))
            .map_err(|_| "it should be a whole number, or none".to_owned()),
    }
}

fn bytes(text: &str) -> Result<Most<u64>, String> {
    match text {
        "none" => Ok(Most(None)),
        text => settings::bytes(text).map(|bytes| Most(Some(bytes))),
    }
}

impl Grant {
    /// Patterns are those of a namespace; the rest is the user's wherever it is.
    fn apply(self, user: &mut User, namespace: &str) {
        let given = [self.configure, self.write, self.read];
        if given.iter().any(Option::is_some) {
            for (given, kept) in given.into_iter().zip(user.within(namespace)) {
                if let Some(Pattern(pattern)) = given {
                    *kept = pattern;
                }
            }
            user.namespaces.retain(|_, permissions| *permissions != Permissions::default());
        }
        user.tags.extend(self.tag);
        user.tags.retain(|tag| !self.untag.contains(tag));
        user.tags.sort();
        user.tags.dedup();
        let quota = &mut user.quota;
        quota.connections = self.connections.map_or(quota.connections, |most| most.0);
        quota.publish_bytes_per_second =
            self.publish_bytes.map_or(quota.publish_bytes_per_second, |most| most.0);
        quota.queues = self.queues.map_or(quota.queues, |most| most.0);
    }
}

/// Runs `fanlight users`.
pub(crate) fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let loaded = settings::load(&options.place.0).map_err(Failure::usage)?;
    let Some(path) = loaded.settings.users_file() else {
        return Err(Failure::usage(
            "users are kept in a file: name the server's data directory with --data, or the file \
             with --users",
        ));
    };
    let namespace = session.namespace.as_deref().unwrap_or(NAMESPACE_DEFAULT);
    if namespace != EVERY_NAMESPACE && !is_namespace(namespace) {
        return Err(Failure::usage(format!(
            "{namespace:?} is no namespace: {NAMESPACE_RULE} ({EVERY_NAMESPACE:?}: all that are not \
             named)"
        )));
    }
    let out = &mut session.out;
    match options.what {
        What::List => list(&path, out),
        What::Add { name, admin, no_password, grant } => {
            add(&path, &name, admin, no_password, (grant, namespace), out)
        }
        What::Remove { name } => {
            let mut store = edit(&path)?;
            store.users.remove(&name).ok_or_else(|| unknown(&store, &name))?;
            store.save().map_err(Failure::failed)?;
            out.done(&format!("removed the user {name}"))
        }
        What::Passwd { name } => {
            // Asked for before the file is locked: people take their time.
            let password = password(&name)?;
            change(&path, &name, |user| user.set_password(&password))?;
            out.done(&format!("changed the password of {name}"))
        }
        What::Token { user, revoke: Some(token), .. } => revoke(&path, &user, &token, out),
        What::Token { user, name, revoke: None } => token(&path, &user, name, out),
        What::Permit { name, grant } => {
            change(&path, &name, |user| grant.apply(user, namespace))?;
            out.done(&format!("changed what {name} may"))
        }
    }
}

fn edit(path: &Path) -> Result<Store, Failure> {
    Store::edit(path).map_err(Failure::failed)
}

fn change(path: &Path, name: &str, how: impl FnOnce(&mut User)) -> Result<(), Failure> {
    let mut store = edit(path)?;
    match store.users.get_mut(name) {
        Some(user) => how(user),
        None => return Err(unknown(&store, name)),
    }
    store.save().map_err(Failure::failed)
}

fn unknown(store: &Store, name: &str) -> Failure {
    let names = store.users.keys().map(|name| ((), name.as_str()));
    Failure::failed(match super::nearest(name, names) {
        Some(((), near)) => format!("there is no user {name}; did you mean {near}?"),
        None => format!("there is no user {name} in {}", store.path().display()),
    })
}

fn add(
    path: &Path,
    name: &str,
    admin: bool,
    no_password: bool,
    (grant, namespace): (Grant, &str),
    out: &mut Output,
) -> Result<(), Failure> {
    is_name(name).map_err(Failure::usage)?;
    let free = |store: &Store| match store.users.contains_key(name) {
        true => Err(Failure::failed(format!(
            "there is a user {name}; `fanlight users passwd` and `permit` change one"
        ))),
        false if store.users.is_empty() && !admin => Err(Failure::failed(
            "the first user has to be one who may do everything, or nobody could: add --admin",
        )),
        false => Ok(()),
    };
    free(&edit(path)?)?;
    let mut user = User::default();
    if !no_password {
        user.set_password(&password(name)?);
    }
    if admin {
        user.tags.push(Tag::Admin);
        for namespace in [NAMESPACE_DEFAULT, EVERY_NAMESPACE] {
            for pattern in user.within(namespace) {
                ".*".clone_into(pattern);
            }
        }
    }
    grant.apply(&mut user, namespace);
    let mut store = edit(path)?;
    free(&store)?;
    store.users.insert(name.to_owned(), user);
    store.save().map_err(Failure::failed)?;
    let whom = if admin { "the admin" } else { "the user" };
    out.done(&format!("added {whom} {name} to {}", path.display()))
}

/// A password, from a person who does not see what is typed, or from the first line of a pipe.
fn password(name: &str) -> Result<String, Failure> {
    let unread = |error: io::Error| Failure::failed(format!("no password could be read: {error}"));
    let password = if io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("Password of {name}: ")).map_err(unread)?;
        let again = rpassword::prompt_password("Again: ").map_err(unread)?;
        if first != again {
            return Err(Failure::failed("the two are not the same; nothing was changed"));
        }
        first
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unread)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.chars().count() < PASSWORD_LENGTH_MIN {
        return Err(Failure::usage(format!(
            "a password has at least {PASSWORD_LENGTH_MIN} characters; it is asked for, or read \
             from the first line of standard input (--no-password: only tokens)"
        )));
    }
    Ok(password)
}

fn token(path: &Path, user: &str, name: String, out: &mut Output) -> Result<(), Failure> {
    let mut store = edit(path)?;
    let Some(kept) = store.users.get_mut(user) else { return Err(unknown(&store, user)) };
    if kept.tokens.iter().any(|token| token.name == name) {
        return Err(Failure::failed(format!(
            "{user} has a token that is called {name}; choose another with --name"
        )));
    }
    let token = Token::new();
    kept.keep(&token, &name, humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    store.save().map_err(Failure::failed)?;
    if out.is_json() {
        return out.json_line(&json!({ "user": user, "name": name, "token": token.reveal() }));
    }
    output::note("this is shown once: keep it where secrets are kept");
    out.line(token.reveal())
}

fn revoke(path: &Path, user: &str, name: &str, out: &mut Output) -> Result<(), Failure> {
    let mut found = false;
    change(path, user, |user| {
        let before = user.tokens.len();
        user.tokens.retain(|token| token.name != name);
        found = user.tokens.len() < before;
    })?;
    match found {
        true => out.done(&format!("took back the token {name} of {user}")),
        false => Err(Failure::failed(format!("{user} has no token that is called {name}"))),
    }
}

fn list(path: &Path, out: &mut Output) -> Result<(), Failure> {
    let users = Store::read(path).map_err(Failure::failed)?.map(|store| store.users);
    let users = users.unwrap_or_default();
    if out.is_json() {
        let shown: Vec<_> = users.iter().map(|(name, user)| shown(name, user)).collect();
        return out.document(&shown);
    }
    let mut table = Table::new(&[
        "USER",
        "TAGS",
        "NAMESPACE",
        "CONFIGURE",
        "WRITE",
        "READ",
        "PASSWORD",
        "TOKENS",
        "QUOTA",
    ]);
    for (name, user) in &users {
        let tags: Vec<String> = user.tags.iter().map(|tag| tag.name().to_owned()).collect();
        let tokens: Vec<&str> = user.tokens.iter().map(|token| token.name.as_str()).collect();
        let password = if user.password.is_some() { "yes" } else { "no" };
        let mut about = [
            name.clone(),
            tags.join(","),
            password.to_owned(),
            tokens.join(","),
            quota(&user.quota),
        ];
        let mut permissions = user.permissions();
        if permissions.is_empty() {
            permissions.insert(NAMESPACE_DEFAULT.to_owned(), Permissions::default());
        }
        // What is the user's in every namespace stands in its first row.
        for (namespace, Permissions { configure, write, read }) in permissions {
            let [name, tags, password, tokens, quota] = std::mem::take(&mut about);
            table.row([name, tags, namespace, configure, write, read, password, tokens, quota]);
        }
    }
    out.table(&table, "there are no users: whoever reaches the server may do everything")
}

/// A user, without anything that is secret: not even hashes.
fn shown(name: &str, user: &User) -> serde_json::Value {
    json!({
        "user": name,
        "tags": user.tags,
        "configure": user.configure,
        "write": user.write,
        "read": user.read,
        "namespaces": user.namespaces,
        "password": user.password.is_some(),
        "tokens": user.tokens.iter().map(|token| {
            json!({ "name": token.name, "created": token.created })
        }).collect::<Vec<_>>(),
        "quota": user.quota,
    })
}

fn quota(quota: &Quota) -> String {
    let parts = [
        quota.connections.map(|n| format!("{n} connections")),
        quota.publish_bytes_per_second.map(|n| format!("{}/s", settings::shown_bytes(n))),
        quota.queues.map(|n| format!("{n} queues")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
