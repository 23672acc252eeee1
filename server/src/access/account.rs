//! Users as the server knows them while it runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use regex::Regex;

use super::permission::Need;
use super::secret::token_hash;
use super::store::{EVERY_NAMESPACE, KeptToken, Permissions, Quota, Store, Tag, User, pattern_of};
use crate::settings::NAMESPACE_DEFAULT;

/// Audit lines of one user that are written in a second; the others are counted.
const AUDIT_LINES_PER_SECOND: f64 = 10.0;

/// What proved who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The password with this hash.
    Password(String),
    /// The token with this hash.
    Token(String),
}

/// What names may be configured, written and read.
type Patterns = [Option<Regex>; 3];

/// A user, or everybody where nobody has to say who they are.
#[derive(Debug)]
pub(crate) struct Account {
    /// The name.
    pub(crate) name: String,
    user: Arc<User>,
    /// What it may do in each namespace. None: everything, everywhere.
    permissions: Option<Arc<HashMap<String, Patterns>>>,
    /// What it may do in the namespace that it is in.
    patterns: Patterns,
    /// What it takes at the moment; it stays the same over reloads.
    pub(crate) usage: Arc<Usage>,
}

/// What a user takes at the moment.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    connections: AtomicU32,
    published: Bucket,
    audited: Bucket,
    unaudited: AtomicU32,
}

/// An allowance that fills with time.
#[derive(Debug, Default)]
struct Bucket(Mutex<Option<(f64, Instant)>>);

impl Bucket {
    /// Fills it up to now, and gives what is in it after `take` has been taken.
    fn level(&self, rate: f64, now: Instant, take: impl FnOnce(f64) -> f64) -> f64 {
        let mut state = self.0.lock().expect("nobody panics while holding a bucket");
        let (level, at) = state.unwrap_or((rate, now));
        let passed = now.saturating_duration_since(at).as_secs_f64();
        let filled = rate.min(level + rate * passed);
        let level = filled - take(filled);
        *state = Some((level, now));
        level
    }
}

impl Account {
    /// Whoever comes where there are no users: all of it.
    pub(crate) fn everybody() -> Account {
        Account {
            name: String::new(),
            user: Arc::new(User { tags: vec![Tag::Admin], ..User::default() }),
            permissions: None,
            patterns: Patterns::default(),
            usage: Arc::default(),
        }
    }

    /// A user, outside of any namespace.
    fn new(name: String, user: User, usage: Arc<Usage>) -> Result<Account, String> {
        let mut permissions = HashMap::new();
        for (namespace, Permissions { configure, write, read }) in user.permissions() {
            let patterns = [pattern_of(&configure)?, pattern_of(&write)?, pattern_of(&read)?];
            permissions.insert(namespace, patterns);
        }
        let permissions = Some(Arc::new(permissions));
        Ok(Account { name, user: user.into(), permissions, patterns: Patterns::default(), usage })
    }

    /// The same one, in a namespace; None if it may do nothing there. In the default one everybody
    /// is, so that a server without others tells what is missing for each request.
    pub(crate) fn within(self: &Arc<Account>, namespace: &str) -> Option<Arc<Account>> {
        let Some(permissions) = &self.permissions else { return Some(self.clone()) };
        let patterns =
            permissions.get(namespace).or_else(|| permissions.get(EVERY_NAMESPACE)).cloned();
        let patterns = match patterns {
            Some(patterns) => patterns,
            None if namespace == NAMESPACE_DEFAULT || self.monitors() => Patterns::default(),
            None => return None,
        };
        let (name, user, usage) = (self.name.clone(), self.user.clone(), self.usage.clone());
        let permissions = self.permissions.clone();
        Some(Arc::new(Account { name, user, permissions, patterns, usage }))
    }

    /// Whether nothing is refused to it.
    pub(crate) fn is_everybody(&self) -> bool {
        self.permissions.is_none()
    }

    /// Whether it may see everything.
    pub(crate) fn monitors(&self) -> bool {
        self.user.tags.iter().any(|tag| matches!(tag, Tag::Admin | Tag::Monitoring))
    }

    /// Whether it may do to the server what it likes.
    pub(crate) fn is_admin(&self) -> bool {
        self.user.tags.contains(&Tag::Admin)
    }

    /// Whether it may do this with what has this name.
    pub(crate) fn may(&self, need: Need, name: &str) -> bool {
        if self.is_everybody() {
            return true;
        }
        let [configure, write, read] = &self.patterns;
        let matches = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|p| p.is_match(name));
        match need {
            Need::Configure => matches(configure),
            Need::Write => matches(write),
            Need::Read => matches(read),
            Need::See => self.monitors() || matches(read) || matches(write) || matches(configure),
            Need::Monitor => self.monitors(),
        }
    }

    /// What it may take.
    pub(crate) fn quota(&self) -> &Quota {
        &self.user.quota
    }

    /// Whether it may the same as another, so that whoever is connected need not be told.
    pub(crate) fn may_the_same(&self, other: &Account) -> bool {
        let what = |account: &Account| (account.user.tags.clone(), account.user.permissions());
        self.is_everybody() == other.is_everybody() && what(self) == what(other)
    }

    /// The hash of the password.
    pub(crate) fn password_hash(&self) -> Option<&str> {
        self.user.password.as_deref()
    }

    /// Whether something still proves that it is this user.
    pub(crate) fn accepts(&self, credential: Option<&Credential>) -> bool {
        match credential {
            None => self.is_everybody(),
            Some(Credential::Password(hash)) => self.user.password.as_ref() == Some(hash),
            Some(Credential::Token(hash)) => self.user.tokens.iter().any(|t| t.sha256 == *hash),
        }
    }

    /// Opens one more connection, if the quota has room; it is closed when the place is dropped.
    pub(crate) fn connect(&self) -> Option<Connected> {
        let max = self.user.quota.connections.unwrap_or(u32::MAX);
        let open = &self.usage.connections;
        let step = |n: u32| (n < max).then(|| n + 1);
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).ok()?;
        Some(Connected(self.usage.clone()))
    }

    /// Takes so many bytes to publish. If there is nothing left, they are not taken, and it says
    /// how many seconds it will be until there is.
    pub(crate) fn publish(&self, bytes: usize, now: Instant) -> Result<(), f64> {
        let Some(rate) = self.user.quota.publish_bytes_per_second else { return Ok(()) };
        let rate = (rate as f64).max(1.0);
        let mut wait = None;
        self.usage.published.level(rate, now, |level| {
            if level > 0.0 {
                return bytes as f64;
            }
            wait = Some(-level / rate);
            0.0
        });
        wait.map_or(Ok(()), Err)
    }

    /// Seconds until there is something left to publish with.
    pub(crate) fn owes(&self, now: Instant) -> f64 {
        let Some(rate) = self.user.quota.publish_bytes_per_second else { return 0.0 };
        let rate = (rate as f64).max(1.0);
        (-self.usage.published.level(rate, now, |_| 0.0) / rate).max(0.0)
    }

    /// Whether an audit line may be written now, and how many were not since the last that was.
    pub(crate) fn audit(&self, now: Instant) -> Option<u32> {
        self.usage.audit(now)
    }
}

impl Usage {
    /// Whether an audit line may be written now, and how many were not since the last that was.
    pub(crate) fn audit(&self, now: Instant) -> Option<u32> {
        let mut written = false;
        self.audited.level(AUDIT_LINES_PER_SECOND, now, |level| {
            written = level >= 1.0;
            if written { 1.0 } else { 0.0 }
        });
        if written {
            return Some(self.unaudited.swap(0, Ordering::Relaxed));
        }
        self.unaudited.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// A user's open connection.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Usage>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All users.
#[derive(Debug)]
pub(crate) struct Accounts {
    by_name: HashMap<String, Arc<Account>>,
    by_token: HashMap<String, Arc<Account>>,
}

impl Accounts {
    /// The users of a file; `before` are those who were there.
    pub(crate) fn new(store: Store, before: Option<&Accounts>) -> Result<Accounts, String> {
        let mut accounts = Accounts { by_name: HashMap::new(), by_token: HashMap::new() };
        for (name, user) in store.users {
            let usage = before.and_then(|before| before.by_name.get(&name));
            let usage = usage.map(|account| account.usage.clone()).unwrap_or_default();
            let tokens: Vec<KeptToken> = user.tokens.clone();
            let account = Arc::new(Account::new(name.clone(), user, usage)?);
            for token in tokens {
                accounts.by_token.insert(token.sha256, account.clone());
            }
            accounts.by_name.insert(name, account);
        }
        Ok(accounts)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The user with this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// Whose token this is.
    pub(crate) fn with_token(&self, token: &str) -> Option<(Arc<Account>, Credential)> {
        let hash = token_hash(token);
        let account = self.by_token.get(&hash)?.clone();
        Some((account, Credential::Token(hash)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn account(user: User) -> Arc<Account> {
        let account = Account::new("bob".to_owned(), user, Arc::default());
        let account = Arc::new(account.expect("patterns are right"));
        account.within(NAMESPACE_DEFAULT).map_or(account, |within| within)
    }

    #[test]
    fn patterns_match_a_part_of_a_name_unless_they_are_anchored_and_an_empty_one_matches_none() {
        let user = User { write: "^jobs".into(), read: "jobs".into(), ..User::default() };
        let account = account(user);
        assert!(account.may(Need::Write, "jobs.one") && !account.may(Need::Write, "my-jobs"));
        assert!(account.may(Need::Read, "my-jobs") && account.may(Need::See, "my-jobs"));
        assert!(!account.may(Need::Configure, "jobs") && !account.may(Need::Configure, ""));
        assert!(!account.may(Need::See, "other") && !account.may(Need::Monitor, ""));
        assert!(Account::everybody().may(Need::Configure, "anything"));
    }

    #[test]
    fn what_a_user_may_in_one_namespace_it_may_not_in_another() {
        let read = |pattern: &str| Permissions { read: pattern.into(), ..Default::default() };
        let mut user = User { read: "^jobs$".into(), ..User::default() };
        user.namespaces.insert("test".to_owned(), read(".*"));
        let account = account(user.clone());
        assert!(account.may(Need::Read, "jobs") && !account.may(Need::Read, "other"));
        let test = account.within("test").expect("it may something there");
        assert!(test.may(Need::Read, "other") && !test.may(Need::Write, "other"));
        assert!(account.within("prod").is_none());
        user.namespaces.insert(EVERY_NAMESPACE.to_owned(), read("^all$"));
        let account = self::account(user);
        let prod = account.within("prod").expect("what holds for every namespace holds there");
        assert!(prod.may(Need::Read, "all") && !prod.may(Need::Read, "jobs"));
        assert!(!account.may(Need::Read, "all"), "its own permissions stand before those of all");
    }

    #[test]
    fn what_is_published_beyond_the_quota_is_owed_and_paid_with_time() {
        let quota = Quota { publish_bytes_per_second: Some(100), ..Quota::default() };
        let account = account(User { quota, ..User::default() });
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(account.publish(250, at(0)), Ok(()), "more than a second's at once, but once");
        assert_eq!(account.owes(at(0)), 1.5);
        assert_eq!(account.publish(1, at(500)), Err(1.0));
        assert_eq!(account.publish(1, at(1_600)), Ok(()));
        assert_eq!(account.owes(at(60_000)), 0.0);
    }

    #[test]
    fn connections_are_counted_and_given_back() {
        let quota = Quota { connections: Some(1), ..Quota::default() };
        let account = account(User { quota, ..User::default() });
        let first = account.connect().expect("there is room for one");
        assert!(account.connect().is_none());
        drop(first);
        assert!(account.connect().is_some());
    }

    #[test]
    fn audit_lines_beyond_some_a_second_are_counted_and_not_written() {
        let usage = Usage::default();
        let now = Instant::now();
        let written = (0..100).filter_map(|_| usage.audit(now)).count();
        assert_eq!(written, 10);
        assert_eq!(usage.audit(now + Duration::from_secs(1)), Some(90));
    }
}
