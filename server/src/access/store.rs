//! The file of users: TOML, written by `fanlight users`, read by the server.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::secret;
use crate::settings::{NAMESPACE_DEFAULT, NAMESPACE_RULE, is_namespace};

/// What a user's name may have.
const NAME_LENGTH_MAX: usize = 64;
const HEAD: &str = "\
# Users of a fanlight server, written by `fanlight users`: passwords as argon2id hashes, tokens
# as SHA-256. The server reads it anew when it changes.

";

/// What a user may beside permissions.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tag {
    /// Everything that monitoring may, and whatever is asked over the network about users
    Admin,
    /// See metrics, everything that happens, and everything there is
    Monitoring,
}

impl Tag {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tag::Admin => "admin",
            Tag::Monitoring => "monitoring",
        }
    }
}

/// A pattern of names as it is typed: a regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(pub(crate) String);

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        pattern_of(text).map(|_| Pattern(text.to_owned()))
    }
}

/// What a user may take of the server; None: as much as the server's own limits allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Quota {
    /// Open WebSockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<u32>,
    /// Bytes of records published a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish_bytes_per_second: Option<u64>,
    /// Queues whose names the user may configure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queues: Option<u32>,
}

/// A token, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptToken {
    /// What people call it.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created: String,
    /// Its SHA-256, in hex.
    pub(crate) sha256: String,
}

/// In place of a namespace's name: all that are not named.
pub(crate) const EVERY_NAMESPACE: &str = "*";

/// What a user may do in one namespace: names, as regular expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Permissions {
    /// What it may declare, change and delete.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) configure: String,
    /// What it may write to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) write: String,
    /// What it may read from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) read: String,
}

/// A user, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct User {
    /// The hash of the password; None: only tokens prove who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    /// What it may beside permissions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<Tag>,
    /// Names in the default namespace of what it may declare, change and delete: a regular
    /// expression.
    pub(crate) configure: String,
    /// Names there of what it may write to.
    pub(crate) write: String,
    /// Names there of what it may read from.
    pub(crate) read: String,
    /// What it may in other namespaces, by their name; [`EVERY_NAMESPACE`]: in all that are not
    /// named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) namespaces: BTreeMap<String, Permissions>,
    /// What it may take.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) quota: Quota,
    /// Its tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tokens: Vec<KeptToken>,
}

fn is_default(quota: &Quota) -> bool {
    *quota == Quota::default()
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Content {
    users: BTreeMap<String, User>,
}

/// The file of users.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Users by name.
    pub(crate) users: BTreeMap<String, User>,
    /// Held by whoever is changing the file.
    lock: Option<File>,
}

impl Store {
    /// Reads the file; None if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Store>, String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => {
                return Err(format!("the users in {} cannot be read: {error}", path.display()));
            }
        };
        let wrong = |line: usize, what: &str| format!("{}:{line}: {what}", path.display());
        let content: Content = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            wrong(1 + text[..at].matches('\n').count(), error.message().trim())
        })?;
        let users = content.users;
        for (name, user) in &users {
            let good = is_name(name).and_then(|()| user.check());
            good.map_err(|what| format!("{}: user {name:?}: {what}", path.display()))?;
        }
        Ok(Some(Store { path: path.to_owned(), users, lock: None }))
    }

    /// Reads the file to change it, or begins one; nobody else changes it meanwhile.
    pub(crate) fn edit(path: &Path) -> Result<Store, String> {
        let dir = directory(path);
        let cannot = |error| format!("{} cannot be changed: {error}", path.display());
        fs::create_dir_all(dir).map_err(cannot)?;
        let lock = File::open(dir).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        let store = Store::read(path)?;
        let users = store.map(|store| store.users).unwrap_or_default();
        Ok(Store { path: path.to_owned(), users, lock: Some(lock) })
    }

    /// Writes it back: whole, or not at all.
    pub(crate) fn save(self) -> Result<(), String> {
        let cannot = |error| format!("{} cannot be written: {error}", self.path.display());
        assert!(self.lock.is_some(), "a store that is saved was opened to be changed");
        let content = Content { users: self.users };
        let text = toml::to_string(&content).expect("users are plain text and numbers");
        let new = self.path.with_extension("toml.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new).map_err(cannot)?;
        file.write_all(format!("{HEAD}{text}").as_bytes()).map_err(cannot)?;
        file.sync_all().map_err(cannot)?;
        fs::rename(&new, &self.path).map_err(cannot)?;
        let dir = File::open(directory(&self.path)).map_err(cannot)?;
        dir.sync_all().map_err(cannot)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Also where what should be its directory is none: whoever needs that says so.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl User {
    /// One with a new password.
    pub(crate) fn set_password(&mut self, password: &str) {
        self.password = Some(secret::hash_password(password));
    }

    /// One with one more token.
    pub(crate) fn keep(&mut self, token: &secret::Token, name: &str, created: String) {
        let sha256 = token.hash();
        self.tokens.push(KeptToken { name: name.to_owned(), created, sha256 });
    }

    fn check(&self) -> Result<(), String> {
        if self.password.as_deref().is_some_and(|hash| !secret::is_password_hash(hash)) {
            return Err("the password is not an argon2 hash; set it with `fanlight users passwd`"
                .to_owned());
        }
        let digest = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(token) = self.tokens.iter().find(|token| !digest(&token.sha256)) {
            return Err(format!("the token {:?} is not a SHA-256 in hex", token.name));
        }
        for (namespace, Permissions { configure, write, read }) in self.permissions() {
            if namespace != EVERY_NAMESPACE && !is_namespace(&namespace) {
                return Err(format!("{namespace:?} is no namespace: {NAMESPACE_RULE}"));
            }
            for pattern in [configure, write, read] {
                pattern_of(&pattern)?;
            }
        }
        Ok(())
    }

    /// What it may, by namespace. Nothing at all is said of the default one by empty patterns.
    pub(crate) fn permissions(&self) -> BTreeMap<String, Permissions> {
        let mut all = self.namespaces.clone();
        let User { configure, write, read, .. } = self.clone();
        let here = Permissions { configure, write, read };
        if here != Permissions::default() {
            all.insert(NAMESPACE_DEFAULT.to_owned(), here);
        }
        all
    }

    /// What it may in one namespace, to be changed.
    pub(crate) fn within(&mut self, namespace: &str) -> [&mut String; 3] {
        if namespace == NAMESPACE_DEFAULT {
            return [&mut self.configure, &mut self.write, &mut self.read];
        }
        let Permissions { configure, write, read } =
            self.namespaces.entry(namespace.to_owned()).or_default();
        [configure, write, read]
    }
}

/// A pattern's regular expression. As in RabbitMQ it may match any part of a name, and an empty one
/// matches nothing.
pub(crate) fn pattern_of(pattern: &str) -> Result<Option<regex::Regex>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let built =
        regex::RegexBuilder::new(pattern).size_limit(1 << 20).dfa_size_limit(1 << 20).build();
    built.map(Some).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("{pattern:?} is not a regular expression: {why}")
    })
}

/// Whether this can be a user's name.
pub(crate) fn is_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(plain) {
        return Err(format!(
            "a user's name has 1 to {NAME_LENGTH_MAX} letters, digits or any of . _ @ -"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_saved_is_read_again_and_only_its_owner_may() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("users.toml");
        assert!(Store::read(&path).expect("no file is no mistake").is_none());
        let mut store = Store::edit(&path).expect("it can be made");
        let quota = Quota { queues: Some(3), ..Quota::default() };
        let mut user = User { tags: vec![Tag::Admin], quota, ..User::default() };
        user.read = "^orders\\.".to_owned();
        user.set_password("secret");
        store.users.insert("alice".to_owned(), user.clone());
        store.save().expect("it can be written");
        let read = Store::read(&path).expect("it is right").expect("it is there");
        assert_eq!(read.users.get("alice"), Some(&user));
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).expect("text").contains("secret"));
    }

    #[test]
    fn a_mistake_is_told_by_its_place_or_its_user() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("users.toml");
        for (text, part) in [
            ("[users.bob]\nwrite = \"(\"\n", "user \"bob\": \"(\" is not a regular expression"),
            ("\n[users.bob]\nwriet = \"a\"\n", ":3: unknown field `wriet`"),
            ("[users.bob]\npassword = \"plain\"\n", "fanlight users passwd"),
            ("[users.\"a:b\"]\n", "letters, digits"),
        ] {
            fs::write(&path, text).expect("it writes");
            let sentence = Store::read(&path).expect_err("it is wrong");
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
